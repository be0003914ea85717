"""Landsat items as services write them, made up in their real form."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import pyproj
import shapely

from stac.grids import bounding_box, footprint

NUMBERS = {
    "landsat-7": {"blue": 1, "green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7},
    "landsat-8": {"blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7},
    "landsat-9": {"blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7},
}
LETTERS = {"landsat-7": "LE07", "landsat-8": "LC08", "landsat-9": "LC09"}
MIRROR = "https://landsatlook.usgs.gov/data/collection02"
BLOBS = "https://landsateuwest.blob.core.windows.net/landsat-c2"


def product(
    platform: str = "landsat-8",
    when: str = "2020-01-05T13:21:07.123456Z",
    *,
    path: int = 99,
    row: int = 120,
    correction: str = "L1GT",
    processed: str = "20201016",
    collection: int = 2,
    category: str = "T2",
) -> str:
    """Return a product id."""
    day = when[:10].replace("-", "")
    place = f"{path:03d}{row:03d}"
    return "_".join(
        [LETTERS[platform], correction, place, day, processed, f"{collection:02d}", category]
    )


def scene_box(x: float = 0.0, y: float = 1.2e6, *, half: float = 92e3) -> shapely.Polygon:
    """Return the outline of a scene in EPSG:3031 [m]; turned, as scenes are."""
    return shapely.affinity.rotate(shapely.box(x - half, y - half, x + half, y + half), 31.0)


def corners(shape: shapely.Polygon) -> dict[str, Any]:
    """Return an outline as USGS writes it: its corners in degrees, joined without any cut."""
    xy = shapely.get_coordinates(shape)
    to_degrees = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform(xy[:, 0], xy[:, 1])
    ring = [[float(each), float(north)] for each, north in zip(longitude, latitude, strict=True)]
    return {"type": "Polygon", "coordinates": [ring]}


def modern(
    name: str,
    when: str = "2020-01-05T13:21:07.123456Z",
    *,
    platform: str = "landsat-8",
    shape: shapely.Polygon | None = None,
    cloud: float | None = 12.5,
    collection: str = "landsat-c2l1",
    place: tuple[int, int] = (99, 120),
    category: str = "T2",
    number: str = "02",
    mtl: str = "MTL.json",
    projection: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an item as LandsatLook (new), Earth Search and the Planetary Computer write it."""
    shape = scene_box() if shape is None else shape
    outline = json.loads(split_outline(shape.wkb))
    west, _, _, north = shape.bounds
    properties: dict[str, Any] = {
        "datetime": when,
        "platform": platform,
        "instruments": ["etm+"] if platform == "landsat-7" else ["oli", "tirs"],
        "view:sun_elevation": 21.5,
        "view:sun_azimuth": 77.25,
        "proj:shape": [9011, 9031],
        "proj:transform": [30.0, 0.0, edge(west), 0.0, -30.0, edge(north)],
        "landsat:wrs_type": "2",
        "landsat:wrs_path": f"{place[0]:03d}",
        "landsat:wrs_row": f"{place[1]:03d}",
        "landsat:collection_category": category,
        "landsat:collection_number": number,
        **({"proj:epsg": 3031} if projection is None else projection),
    }  # fmt: skip
    if cloud is not None:
        properties["eo:cloud_cover"] = cloud
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": name,
        "collection": collection,
        "geometry": outline,
        "bbox": bounding_box(outline),
        "properties": properties,
        "links": [],
        "assets": modern_assets(name, platform, mtl),
    }


@functools.cache
def split_outline(wkb: bytes) -> str:
    return json.dumps(footprint(shapely.from_wkb(wkb)))


def edge(metres: float) -> float:
    """Return the nearest edge of a pixel below: Landsat's lie at odd multiples of 15 m."""
    return 30.0 * ((metres - 15.0) // 30.0) + 15.0


def modern_assets(name: str, platform: str, mtl: str) -> dict[str, Any]:
    """Return assets by common names, each also in the requester-pays bucket."""
    files = {
        **{band: f"B{number}.TIF" for band, number in NUMBERS[platform].items()},
        "pan": "B8.TIF",
        "qa_pixel": "QA_PIXEL.TIF",
        "qa_radsat": "QA_RADSAT.TIF",
        "SZA": "SZA.TIF",
        mtl: "MTL.json",
        "thumbnail": "thumb_small.jpeg",
    }
    return {key: modern_asset(f"standard/{name}/{name}_{file}") for key, file in files.items()}


def modern_asset(path: str) -> dict[str, Any]:
    return {
        "href": f"{MIRROR}/{path}",
        "alternate": {"s3": {"href": f"s3://usgs-landsat/collection02/{path}"}},
        "file:checksum": "1340" + 128 * "a",
        "roles": ["data"],
    }


def planetary(name: str) -> dict[str, Any]:
    """Return a level 2 item as the Planetary Computer writes it, its hrefs signed."""
    item = modern(name, collection="landsat-c2-l2", mtl="mtl.json",
                  projection={"proj:code": "EPSG:3031"})  # fmt: skip
    item["properties"]["landsat:correction"] = "L2SR"
    for asset in item["assets"].values():
        file = asset["href"].rsplit("/", 1)[-1]
        asset.clear()
        asset["href"] = f"{BLOBS}/level-2/{file}?st=2026&se=2027&sp=rl&sig=SECRET%3D"
        asset["raster:bands"] = [{"scale": 2.75e-05, "offset": -0.2, "nodata": 0}]
    return item


def old_usgs(
    name: str, platform: str, when: str, *, shape: shapely.Polygon, cloud: float = 30.0
) -> dict[str, Any]:
    """Return a document of STAC 0.7 as USGS writes it beside a product."""
    bands = [
        {"name": f"SR_B{number}", "common_name": band} for band, number in NUMBERS[platform].items()
    ]
    keys = [f"{band['name']}.TIF" for band in bands]
    assets: dict[str, Any] = {
        key: {"href": f"{MIRROR}/{name}_{key}", "eo:bands": [index]}
        for index, key in enumerate(keys)
    }
    for key in ("QA_PIXEL.TIF", "QA_RADSAT.TIF", "MTL.json", "MTL.txt"):
        assets[key] = {"href": f"{MIRROR}/{name}_{key}"}
    outline = corners(shape)
    return {
        "stac_version": "0.7.0",
        "stac_extensions": ["eo"],
        "type": "Feature",
        "id": name,
        "collection": "landsat-c2l2-sr",
        "geometry": outline,
        "bbox": bounding_box(outline),
        "properties": {
            "datetime": when,
            "eo:cloud_cover": cloud,
            "eo:sun_azimuth": 97.5,
            "eo:sun_elevation": 20.5,
            "eo:platform": platform.upper().replace("-", "_"),
            "landsat:wrs_path": name.split("_")[2][:3].lstrip("0"),
            "landsat:wrs_row": name.split("_")[2][3:].lstrip("0"),
            "landsat:collection_category": name.rsplit("_", 1)[-1],
            "landsat:collection_number": "02",
            "eo:bands": bands,
        },
        "assets": assets,
        "links": [],
    }
