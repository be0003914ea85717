"""STAC items of a Landsat product as three services write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from pipelines.kernels import geodesy
from pipelines.worlds import landsat_sensors
from pipelines.worlds.landsat_documents import CATEGORY, LEVEL, ORIGIN, Product
from pipelines.worlds.landsat_sensors import BANDS

USGS, USGS_OLD, PLANETARY_COMPUTER = "usgs", "usgs-old", "planetary-computer"
DIALECTS = (USGS, USGS_OLD, PLANETARY_COMPUTER)
COG = "image/vnd.stac.geotiff; cloud-optimized=true"
MICROMETRES = {
    "blue": 0.48, "green": 0.56, "red": 0.65, "nir08": 0.86, "swir16": 1.6, "swir22": 2.2,
}  # fmt: skip
INSTRUMENTS = {"ETM": ["ETM"], "OLI_TIRS": ["OLI", "TIRS"]}
DATA = "https://landsatlook.usgs.gov/data/"


class DialectError(LookupError):
    """A dialect that no service speaks."""


def item(
    product: Product,
    hrefs: Mapping[str, str],
    *,
    dialect: str = USGS,
    checksums: Mapping[str, tuple[int, str]] | None = None,
) -> dict[str, Any]:
    """Return a product's item as a service writes it.

    Parameters
    ----------
    product : Product
        Its files cover a part of the scene; the geometry is that of the part, and says so.
    hrefs : mapping
        Where the files of :attr:`Product.files` are. The address of a bucket (``s3://``) stands as
        the alternate of an address of LandsatLook, as USGS has it; any other stands alone.
    dialect : str
        ``usgs`` (names of bands, STAC 1.0), ``usgs-old`` (names of files, STAC 0.7) or
        ``planetary-computer``.
    checksums : mapping, optional
        Size [bytes] and multihash of each file.

    Returns
    -------
    dict
        JSON.

    Raises
    ------
    DialectError
        If no service speaks the dialect.
    """
    if dialect not in DIALECTS:
        msg = f"found dialect {dialect!r}, expected one of {', '.join(DIALECTS)}"
        raise DialectError(msg)
    geometry, bbox = _geometry(product)
    old = dialect == USGS_OLD
    return {
        "type": "Feature",
        "stac_version": "0.7.0" if old else "1.0.0",
        "stac_extensions": _EXTENSIONS[dialect],
        "id": product.id.replace(f"_{product.processed:%Y%m%d}", "")
        if dialect == PLANETARY_COMPUTER
        else product.id,
        "collection": _COLLECTIONS[dialect],
        "geometry": geometry,
        "bbox": bbox,
        "description": f"{ORIGIN}; the files cover a part of the scene only",
        "properties": _old_properties(product) if old else _properties(product, dialect),
        "assets": _assets(product, hrefs, dialect, checksums or {}),
        "links": [],
    }


_COLLECTIONS = {
    USGS: "landsat-c2l1", USGS_OLD: "landsat-c2l1", PLANETARY_COMPUTER: "landsat-c2-l1",
}  # fmt: skip
_EXTENSIONS = {
    USGS: [
        "https://landsat.usgs.gov/stac/landsat-extension/v1.1.1/schema.json",
        "https://stac-extensions.github.io/projection/v1.0.0/schema.json",
        "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
        "https://stac-extensions.github.io/alternate-assets/v1.1.0/schema.json",
        "https://stac-extensions.github.io/file/v2.1.0/schema.json",
        "https://stac-extensions.github.io/view/v1.0.0/schema.json",
    ],
    USGS_OLD: ["eo", "https://landsat.usgs.gov/stac/landsat-extension/schema.json"],
    PLANETARY_COMPUTER: [
        "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
        "https://stac-extensions.github.io/view/v1.0.0/schema.json",
        "https://stac-extensions.github.io/projection/v1.0.0/schema.json",
        "https://landsat.usgs.gov/stac/landsat-extension/v1.1.1/schema.json",
    ],
}


def _geometry(product: Product) -> tuple[dict[str, Any], list[float]]:
    """Return what of the footprint the files cover, in degrees, and its bounds."""
    seen = shapely.Polygon(product.view.corners) & shapely.box(*product.grid.bounds)
    ring = shapely.get_coordinates(shapely.segmentize(seen.exterior, 20e3))
    latitude, longitude = geodesy.inverse_polar_stereographic(ring[:, 0], ring[:, 1])
    points = np.stack([longitude, latitude], axis=1).round(7)
    west, south = points.min(axis=0).tolist()
    east, north = points.max(axis=0).tolist()
    return {"type": "Polygon", "coordinates": [points.tolist()]}, [west, south, east, north]


def _landsat(product: Product) -> dict[str, Any]:
    return {
        "landsat:cloud_cover_land": round(product.cloud_cover, 2),
        "landsat:wrs_type": "2",
        "landsat:wrs_path": f"{product.view.path:03}",
        "landsat:wrs_row": f"{product.view.row:03}",
        "landsat:scene_id": product.scene_id,
        "landsat:collection_category": CATEGORY,
        "landsat:collection_number": "02",
    }


def _properties(product: Product, dialect: str) -> dict[str, Any]:
    view = product.view
    instruments = INSTRUMENTS[landsat_sensors.SENSORS[view.platform]]
    planetary = dialect == PLANETARY_COMPUTER
    return {
        "datetime": f"{view.start:%Y-%m-%dT%H:%M:%S.%fZ}",
        "eo:cloud_cover": round(product.cloud_cover, 2),
        "view:sun_azimuth": round(view.sun_azimuth, 8),
        "view:sun_elevation": round(view.sun_elevation, 8),
        "view:off_nadir": 0,
        "platform": view.platform if planetary else view.platform.upper().replace("-", "_"),
        "instruments": [each.lower() for each in instruments] if planetary else instruments,
        **_landsat(product),
        "landsat:correction": LEVEL,
        "proj:epsg": product.grid.epsg,
        "proj:shape": list(product.grid.shape),
        "proj:transform": list(product.grid.transform),
    }


def _old_properties(product: Product) -> dict[str, Any]:
    """Return properties of STAC 0.7: a day without time, no projection."""
    view = product.view
    numbers = landsat_sensors.BAND_NUMBERS[view.platform]
    return {
        "datetime": f"{view.start:%Y-%m-%d}",
        "eo:cloud_cover": round(product.cloud_cover, 2),
        "eo:sun_azimuth": round(view.sun_azimuth, 8),
        "eo:sun_elevation": round(view.sun_elevation, 8),
        "eo:platform": view.platform.upper().replace("-", "_"),
        "eo:instrument": landsat_sensors.SENSORS[view.platform],
        "eo:off_nadir": 0,
        **_landsat(product),
        "eo:bands": [
            {
                "name": f"B{numbers[band]}", "common_name": band, "gsd": 30,
                "center_wavelength": MICROMETRES[band],
            } for band in BANDS
        ],
    }  # fmt: skip


def _assets(
    product: Product,
    hrefs: Mapping[str, str],
    dialect: str,
    checksums: Mapping[str, tuple[int, str]],
) -> dict[str, Any]:
    assets = {}
    for name, href in hrefs.items():
        asset: dict[str, Any] = {"href": href, "type": _media_type(name), "title": name}
        if name in BANDS and dialect == USGS_OLD:
            asset["eo:bands"] = [BANDS.index(name)]
        elif name in BANDS:
            asset["eo:bands"] = [{"common_name": name, "center_wavelength": MICROMETRES[name]}]
        if name in checksums and dialect == USGS:
            asset["file:size"], asset["file:checksum"] = checksums[name]
        if href.startswith("s3://") and dialect != PLANETARY_COMPUTER:
            asset["href"] = DATA + href.removeprefix("s3://").partition("/")[2]
            asset["alternate"] = {"s3": {"href": href, "storage:platform": "AWS",
                                         "storage:requester_pays": True}}  # fmt: skip
        assets[_key(product, name, dialect)] = asset
    return assets


def _key(product: Product, name: str, dialect: str) -> str:
    """Return what a service calls an asset."""
    if dialect == USGS_OLD:
        return product.files[name].removeprefix(f"{product.id}_")
    if name.startswith("mtl.") and dialect == USGS:
        return f"MTL.{name.removeprefix('mtl.')}"
    return name.upper() if name == "sza" and dialect == USGS else name


def _media_type(name: str) -> str:
    kinds = {"mtl.json": "application/json", "mtl.xml": "application/xml", "mtl.txt": "text/plain"}
    return kinds.get(name, COG)
