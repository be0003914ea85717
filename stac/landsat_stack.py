"""Landsat granules on a pixel grid: a lazy stack of many, or one band of one at once.

stackstac 0.5.1 builds the stack; what it would get wrong is settled here. It knows ``proj:epsg``
only, which current pystac rewrites to ``proj:code``; it takes bounds from the footprint in degrees
unless told; it moves bounds to multiples of the resolution, half a pixel off Landsat's lattice; it
labels corners, not centres; it makes float64 of everything; it drops granules outside the bounds;
and it knows one fill where quality bits need another than reflectance.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import raster_access, raster_places, signing
from stac.aligned_reader import AlignedReader, Source, place_of, read_window
from stac.landsat_items import Asset, Granule
from stac.pixel_grids import PixelGrid
from stac.raster_addresses import RasterError
from stac.raster_places import Alignment

# Bit 0 of QA_PIXEL says "fill"; everything else has 0 where nothing was measured.
FILLS: Mapping[str, int] = MappingProxyType({"qa_pixel": 1})
DIMENSIONS = ("granule", "band", "y", "x")


def stack(
    granules: Sequence[Granule], *, bands: Sequence[str], grid: PixelGrid, chunk: int = 1024
) -> xr.DataArray:
    """Lay granules over each other on a grid.

    Lazy: nothing is opened. One chunk is one window of one band of one granule, and is the unit of
    parallelism.

    Parameters
    ----------
    granules : sequence of Granule
        Their ids differ; their order is kept.
    bands : sequence of str
        Common names; their order is kept.
    grid : PixelGrid
        The pixels wanted.
    chunk : int
        Side of a chunk [pixels].

    Returns
    -------
    DataArray, dims (granule, band, y, x), uint16
        Stored numbers. Outside a granule 1 in ``qa_pixel`` and 0 elsewhere. ``x`` and ``y`` are
        pixel centres [m], ``y`` decreasing.

    Raises
    ------
    RasterError
        If there is no granule or band, one is named twice, or a granule lacks a band.
    """
    _check_names("granules", [each.id for each in granules])
    _check_names("bands", list(bands))
    items = [_item(each, bands, grid) for each in granules]
    parts = []
    for fill in sorted({FILLS.get(band, 0) for band in bands}):
        alike = [band for band in bands if FILLS.get(band, 0) == fill]
        parts.append(_part(items, alike, grid, fill=fill, chunk=chunk))
    joined = parts[0] if len(parts) == 1 else xr.concat(parts, dim="band")
    laid: xr.DataArray = joined.sel(band=list(bands))
    attributes = {"crs": grid.code, "transform": grid.transform, "grid": grid.name}
    return laid.rename("landsat").assign_attrs(attributes)


def read(granule: Granule, band: str, grid: PixelGrid) -> NDArray[np.uint16]:
    """Read the pixels that :func:`stack` would give, at once and without Dask.

    Parameters
    ----------
    granule : Granule
        The product.
    band : str
        Common name.
    grid : PixelGrid
        The pixels wanted: any window of a grid gives the same pixels as the whole; on a coarser
        grid they are of the nearest stored overview.

    Returns
    -------
    ndarray, shape (ny, nx), uint16
        Stored numbers; outside the granule 1 for ``qa_pixel``, else 0.

    Raises
    ------
    RasterError
        See :func:`stac.aligned_reader.read_window`; or if the granule lacks the band.
    """
    return read_window(_source(granule, band), grid, fill=FILLS.get(band, 0))


def alignment(granule: Granule, grid: PixelGrid, *, band: str = "qa_pixel") -> Alignment:
    """Tell how a granule's pixels become those of a grid, see :func:`raster_places.alignment`.

    The item decides if it tells the projection; else the band's file is opened.
    """
    source = _source(granule, band)
    place = source.promised
    if place is None:
        href = signing.signed(source.asset.href, source.service)
        with raster_access.opened(Asset(href, source.asset.size)) as dataset:
            place = place_of(dataset, source)
    return raster_places.alignment(place, grid)


def _source(granule: Granule, band: str) -> Source:
    if band not in granule.assets or band == "mtl":
        known = ", ".join(sorted(set(granule.assets) - {"mtl"}))
        msg = f"{granule.id} has no band {band!r}; it has {known}: leave it out, or name another"
        raise RasterError(msg)
    return Source(
        granule=granule.id,
        band=band,
        asset=granule.assets[band],
        service=granule.service,
        code=granule.code,
        transform=granule.transform,
        shape=granule.shape,
    )


def _item(granule: Granule, bands: Sequence[str], grid: PixelGrid) -> dict[str, Any]:
    """Return an item as stackstac wants it: with its outline told in the grid's projection."""
    sources = {band: _source(granule, band) for band in bands}
    promised = next(iter(sources.values())).promised
    outline = grid.bounds if promised is None else raster_places.outline(promised, grid)
    return {
        "id": granule.id,
        "properties": {
            "datetime": granule.start,
            "proj:epsg": grid.epsg,
            "proj:bbox": list(outline),
        },
        "assets": {band: {"href": source} for band, source in sources.items()},
    }


def _part(
    items: Sequence[Mapping[str, Any]],
    bands: Sequence[str],
    grid: PixelGrid,
    *,
    fill: int,
    chunk: int,
) -> xr.DataArray:
    """Stack the bands that share a fill; granules outside the grid are all fill."""
    near = [each for each in items if _overlap(each["properties"]["proj:bbox"], grid.bounds)]
    labels = [each["id"] for each in items]
    coords = {"granule": labels, "band": list(bands), "y": grid.y, "x": grid.x}
    if not near:
        empty = _empty((len(items), len(bands), *grid.shape), fill=fill, chunk=chunk)
        return xr.DataArray(empty, coords, DIMENSIONS)
    inner = coords | {"granule": [each["id"] for each in near]}
    laid = xr.DataArray(_stacked(near, bands, grid, fill=fill, chunk=chunk), inner, DIMENSIONS)
    if len(near) == len(items):
        return laid
    return laid.reindex(granule=labels, fill_value=np.uint16(fill))


def _stacked(
    items: Sequence[Mapping[str, Any]],
    bands: Sequence[str],
    grid: PixelGrid,
    *,
    fill: int,
    chunk: int,
) -> Any:
    import stackstac

    return stackstac.stack(
        list(items),
        assets=list(bands),
        epsg=grid.epsg,
        resolution=grid.spacing,
        bounds=grid.bounds,
        snap_bounds=False,
        rescale=False,
        dtype=np.dtype(np.uint16),
        # A plain 0 is an int64, which NumPy 2 refuses to see as uint16.
        fill_value=np.uint16(fill),
        chunksize=chunk,
        sortby_date=False,
        xy_coords=False,
        properties=False,
        band_coords=False,
        reader=AlignedReader,
    ).data


def _empty(shape: tuple[int, ...], *, fill: int, chunk: int) -> Any:
    import dask.array

    chunks = (1, 1, chunk, chunk)
    return dask.array.full(shape, fill, dtype=np.uint16, chunks=chunks)  # type: ignore[no-untyped-call]


def _overlap(first: Sequence[float], second: Sequence[float]) -> bool:
    return bool(
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _check_names(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f"{', '.join(twice)} more than once" if twice else "none"
        msg = f"a stack of {what} with {found}; name one at least, and each once"
        raise RasterError(msg)
