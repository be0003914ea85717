"""Cloud-optimised GeoTIFFs such as Landsat's, and the granules that name them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from stac.landsat_items import Asset, Granule
from stac.pixel_grids import PixelGrid

# How real files over Antarctica tell their projection (LC08_L2SR_099120_20191129).
PS_WGS84 = (
    'PROJCS["PS         WGS84",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,'
    '298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]],AUTHORITY["EPSG","4326"]],'
    'PROJECTION["Polar_Stereographic"],PARAMETER["latitude_of_origin",-71],'
    'PARAMETER["central_meridian",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],'
    'UNIT["metre",1],AXIS["Easting",NORTH],AXIS["Northing",NORTH]]'
)


def pixels(shape: tuple[int, int], *, seed: int, kind: str = "uint16") -> Any:
    """Return random numbers, a tenth of them 0, of the whole range of their type."""
    generator = np.random.default_rng(seed)
    values = generator.integers(1, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
    return np.where(generator.random(shape) < 0.1, 0, values).astype(kind)


def write_cog(
    path: Path, values: Any, grid: PixelGrid, *, crs: str | None = None, **options: Any
) -> Path:
    """Write a tiled GeoTIFF with overviews, as Landsat's Collection 2 is stored."""
    profile = {
        "driver": "COG",
        "blocksize": 512,
        "overview_resampling": "nearest",
        "compress": "deflate",
        "height": grid.ny,
        "width": grid.nx,
        "count": 1,
        "dtype": values.dtype,
        "crs": crs or grid.code,
        "transform": Affine(*grid.transform),
    }
    with rasterio.open(path, "w", **(profile | options)) as file:
        file.write(values, 1)
    return path


def granule(
    name: str, files: Mapping[str, Path | str], grid: PixelGrid | None, **changes: Any
) -> Granule:
    """Return a granule of Landsat 8 with these files; without a place if the grid is None."""
    base = Granule(
        id=name,
        platform="landsat-8",
        start="2019-11-29T10:11:12Z",
        path=99,
        row=120,
        category="T2",
        collection_number=2,
        level=1,
        sun_elevation=20.5,
        sun_azimuth=60.0,
        cloud_cover=1.0,
        code="" if grid is None else grid.code,
        shape=() if grid is None else grid.shape,
        transform=() if grid is None else grid.transform,
        assets={band: Asset(str(file)) for band, file in files.items()},
    )
    return dataclasses.replace(base, **changes)


def item(one: Granule, *, code: str | None = None, **properties: Any) -> dict[str, Any]:
    """Return the STAC item of a granule as catalogues write it."""
    from shapely.geometry import box

    from stac.grids import footprint

    rows, columns = one.shape
    step, _, west, _, _, north = one.transform
    shape = footprint(box(west, north - rows * step, west + columns * step, north))
    from shapely.geometry import shape as geometry

    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
        ],
        "id": one.id,
        "geometry": shape,
        "bbox": list(geometry(shape).bounds),
        "properties": {
            "datetime": one.start,
            "proj:code": code or one.code,
            "proj:shape": list(one.shape),
            "proj:transform": list(one.transform),
            **properties,
        },
        "links": [],
        "assets": {
            band: {
                "href": asset.href,
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
            }
            for band, asset in one.assets.items()
        },
    }
