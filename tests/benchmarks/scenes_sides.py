"""Recipes that users of stackstac and odc-stac write, and our flow, into the same store.

Each side ends with a Zarr group on the server that holds, for each day, red, green and blue of the
region at 30 m, and which pixels are cloud or shadow.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pystac
import xarray as xr
import zarr
from numpy.typing import NDArray

from cluster import geozarr
from pipelines import settings
from pipelines.flows import scenes
from stac.pixel_grids import PixelGrid
from tests.benchmarks import scenes_data
from tests.benchmarks.scenes_data import Archive

RGB = ["red", "green", "blue"]
CLOUD_OR_SHADOW = 0b11000
MULT, ADD = 2.0e-5, -0.1
"""M and A of OLI, the same in all scenes."""
SUN = "view:sun_elevation"


def ours(
    archive: Archive,
    url: str,
    folder: Path,
    scheduler: str,
    *,
    count: int,
    when_stored: Callable[[], None] = lambda: None,
) -> None:
    """Run the flow: plan, screen, choose, store, publish.

    Parameters
    ----------
    archive, url, folder, scheduler, count
        What is read, where it goes, where the run file is, who computes, how many days.
    when_stored : callable
        Called when the version is committed and shown to readers, before the plain copy.
    """
    run_file = archive.run_file(folder / "run.yaml", url, scenes=count)
    plan = scenes.plan(settings.read(run_file))
    copy = geozarr.export_geozarr

    def copied(*given: Any, **named: Any) -> bool:
        when_stored()
        return copy(*given, **named)

    geozarr.export_geozarr = copied
    try:
        outcome = plan.execute(scheduler)
    finally:
        geozarr.export_geozarr = copy
    if outcome.failed or outcome.left:
        msg = f"{outcome.failed} keys failed, {outcome.left} are left: {outcome.failures}"
        raise RuntimeError(msg)


def items(archive: Archive, count: int) -> list[pystac.Item]:
    """Return the items of so many days, as any reader of STAC finds them."""
    path = archive.catalogue / scenes_data.collection(count) / "collection.json"
    return list(pystac.Collection.from_file(str(path)).get_all_items())


def stackstac_recipe(archive: Archive, url: str, *, count: int, chunk: int) -> None:
    """Stack, mask, median of each day, store; as the documentation of stackstac has it."""
    import stackstac

    grid = archive.grid
    documents = []
    for item in items(archive, count):
        document = item.to_dict()
        # stackstac 0.5.1 does not know `proj:code`.
        document["properties"]["proj:epsg"] = grid.epsg
        documents.append(document)
    stack = stackstac.stack(
        documents, assets=[*RGB, "qa_pixel"], epsg=grid.epsg, resolution=grid.spacing,
        bounds=grid.bounds, snap_bounds=False, xy_coords="center", chunksize=chunk,
    )  # fmt: skip
    quality = stack.sel(band="qa_pixel", drop=True).fillna(0).astype("uint16")
    clear = stack.sel(band=RGB).where((quality & CLOUD_OR_SHADOW) == 0)
    reflectance = (MULT * clear + ADD) / np.sin(np.radians(stack[SUN]))
    daily = reflectance.groupby("time.date").median()
    store(daily.drop_vars([n for n in daily.coords if n not in daily.dims]), url, "date")


def odc_recipe(archive: Archive, url: str, *, count: int, chunk: int) -> None:
    """Load by solar day, mask, scale, store; as the notebooks of odc-stac have it."""
    import odc.stac
    from affine import Affine
    from odc.geo.geobox import GeoBox

    grid = archive.grid
    found = items(archive, count)
    # Bounds would be moved to multiples of 30 m, half a pixel off Landsat's.
    box = GeoBox(grid.shape, Affine(*grid.transform), grid.code)
    loaded = odc.stac.load(
        found, bands=[*RGB, "qa_pixel"], geobox=box, chunks={"x": chunk, "y": chunk},
        groupby="solar_day", dtype="uint16", nodata=0,
        stac_cfg={"*": {"assets": {"*": {"nodata": 0}, "qa_pixel": {"nodata": 1}}}},
    )  # fmt: skip
    sun = pd.DataFrame([(item.datetime.date(), item.properties[SUN]) for item in found])
    elevation = sun.groupby(0)[1].mean()
    days = loaded.time.dt.date.to_numpy()
    sine = xr.DataArray(np.sin(np.radians(elevation[days].to_numpy())), dims="time")
    counts = loaded[RGB].to_dataarray("band")
    good = ((loaded.qa_pixel & CLOUD_OR_SHADOW) == 0) & (counts != 0)
    reflectance = (MULT * counts.where(good).astype("float32") + ADD) / sine.astype("float32")
    store(reflectance.assign_coords(time=days).rename(time="date"), url, "date")


def store(array: xr.DataArray, url: str, dim: str) -> None:
    """Write an array as users do, a chunk of Dask a chunk of Zarr."""
    array = array.drop_vars([n for n in array.coords if n not in array.dims])
    array = array.assign_coords({dim: array[dim].astype("datetime64[ns]")})
    dataset = array.transpose(dim, "band", "y", "x").drop_vars("band").to_dataset(name="rho")
    dataset.rho.attrs.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.to_zarr(url, mode="w", zarr_format=3, consolidated=False)


def stored_by_us(url: str, grid: PixelGrid) -> dict[str, Any]:
    """Return lazily what our side stored: day to (counts, mask)."""
    summer = zarr.open_group(f"{url}/product.zarr", mode="r")[f"alder/{scenes_data.SUMMER}"]
    labels = str(summer["candidate"].attrs["flag_meanings"]).split()
    places = np.asarray(summer["candidate_of"][:])
    return {labels[c - 1][:10]: (summer, place) for place, c in enumerate(places) if c > 0}


def reflectance_of_ours(group: Any, place: int) -> NDArray[np.float32]:
    """Return a day of ours as the recipes have it: NaN in cloud and shadow, shape (3, ny, nx)."""
    counts = group["reflectance"][place]
    mask = group["mask"][place]
    rho = counts * np.float32(2.5e-5)
    rho[(counts == 0) | ((mask & CLOUD_OR_SHADOW) != 0)] = np.nan
    return rho
