"""Regions of interest as files for others: a STAC collection of one item each, and a GeoPackage.

The paper gives its regions as a GeoPackage per shelf. Here all regions are one file with two
layers, ``rois`` (one row per shelf) and ``extents`` (one per shelf and year), beside the items.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pystac

from stac import grids
from stac.ice_shelves import ShelfError, ShelfRegion
from stac.items import ALWAYS, JSON_MEDIA, PROJECTION_EXTENSION, multihash
from stac.locations import join, normalise, write_bytes
from stac.queries import rfc3339
from stac.registry import to_json

COLLECTION = "ice-shelf-rois"
PACKAGE = "rois.gpkg"
PACKAGE_MEDIA = "application/geopackage+sqlite3"
WRITTEN = "2000-01-01T00:00:00Z"
"""Date inside the GeoPackage: the same regions are the same bytes on any day."""


def roi_items(regions: Iterable[ShelfRegion] | Mapping[str, ShelfRegion]) -> list[dict[str, Any]]:
    """Return the STAC item of each region, as JSON documents.

    Each tells its pixel grid (``proj:code``, ``proj:transform``, ``proj:shape``) and the summers
    that have an outline of their own (``nunatak:years``); its links are those of a collection
    folder as `write_roi_collection` lays it out.
    """
    return [_item(region) for region in _listed(regions)]


def _listed(regions: Iterable[ShelfRegion] | Mapping[str, ShelfRegion]) -> list[ShelfRegion]:
    listed = list(regions.values() if isinstance(regions, Mapping) else regions)
    if not listed:
        msg = "there is no region to write, expected one ice shelf at least"
        raise ShelfError(msg)
    return listed


def _item(region: ShelfRegion) -> dict[str, Any]:
    start, end = _span(region.years)
    footprint = region.footprint
    made = pystac.Item(
        id=region.id,
        geometry=footprint,
        bbox=grids.bounding_box(footprint),
        datetime=None,
        collection=COLLECTION,
        stac_extensions=[PROJECTION_EXTENSION],
        properties={
            "title": region.name,
            "start_datetime": rfc3339(start),
            "end_datetime": rfc3339(end),
            "proj:code": region.grid.code,
            "proj:shape": list(region.grid.shape),
            "proj:transform": list(region.grid.transform),
            "proj:bbox": list(region.grid.bounds),
            "nunatak:kind": COLLECTION,
            "nunatak:grid": region.grid.name,
            "nunatak:years": list(region.years),
        },
    )
    made.add_asset("rois", pystac.Asset(f"../{PACKAGE}", None, None, PACKAGE_MEDIA, ["data"]))
    for relation in ("root", "parent", "collection"):
        made.add_link(pystac.Link(relation, "../collection.json", JSON_MEDIA))
    return made.to_dict(include_self_link=False, transform_hrefs=False)


def _span(years: tuple[int, ...]) -> tuple[datetime, datetime]:
    """Return first and last instant of the summers, November to March; always without any."""
    if not years:
        return ALWAYS
    return datetime(years[0], 11, 1, tzinfo=UTC), datetime(
        years[-1] + 1, 3, 31, 23, 59, 59, tzinfo=UTC
    )


def rois_geopackage(regions: Iterable[ShelfRegion] | Mapping[str, ShelfRegion]) -> bytes:
    """Return a GeoPackage in EPSG:3031 with the layers ``rois`` and ``extents``.

    The same regions give the same bytes.
    """
    listed = _listed(regions)
    rois = gpd.GeoDataFrame(
        {"region": [r.id for r in listed], "name": [r.name for r in listed]},
        geometry=[r.roi for r in listed],
        crs=grids.POLAR,
    )
    rows = [
        (r.id, r.name, year, shape) for r in listed for year, shape in sorted(r.extents.items())
    ]
    extents = gpd.GeoDataFrame(
        [row[:3] for row in rows],
        columns=["region", "name", "year"],
        geometry=[row[3] for row in rows],
        crs=grids.POLAR,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, PACKAGE)
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})
        try:
            rois.to_file(path, layer="rois", driver="GPKG")
            extents.to_file(path, layer="extents", driver="GPKG", mode="a")
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        return path.read_bytes()


def write_roi_collection(
    regions: Iterable[ShelfRegion] | Mapping[str, ShelfRegion], url: str
) -> str:
    """Write ``collection.json``, ``rois.gpkg`` and ``ID/ID.json`` of each region into a folder.

    Parameters
    ----------
    regions : iterable or mapping of ShelfRegion
        The regions.
    url : str
        Folder or ``s3://`` prefix; what it holds under these names is replaced.

    Returns
    -------
    str
        Address of ``collection.json``, which is written last.

    Raises
    ------
    CatalogueError
        If the folder cannot be written.
    """
    listed, folder = _listed(regions), normalise(url)
    package = rois_geopackage(listed)
    write_bytes(join(folder, PACKAGE), package)
    documents = roi_items(listed)
    for document in documents:
        name = str(document["id"])
        write_bytes(join(folder, name, f"{name}.json"), to_json(document))
    target = join(folder, "collection.json")
    write_bytes(target, to_json(_collection(documents, package)))
    return target


def _collection(documents: list[dict[str, Any]], package: bytes) -> dict[str, Any]:
    boxes = [document["bbox"] for document in documents]
    sides = (min, min, max, max)
    box = [side(b[i] for b in boxes) for i, side in enumerate(sides)]
    periods = [document["properties"] for document in documents]
    first = min(str(each["start_datetime"]) for each in periods)
    last = max(str(each["end_datetime"]) for each in periods)
    asset = {
        "href": f"./{PACKAGE}",
        "type": PACKAGE_MEDIA,
        "roles": ["data"],
        "file:size": len(package),
        "file:checksum": multihash(hashlib.sha256(package).hexdigest()),
    }
    links = [
        {"rel": "item", "href": f"./{each['id']}/{each['id']}.json", "type": JSON_MEDIA}
        for each in documents
    ]
    return {
        "type": "Collection",
        "stac_version": documents[0]["stac_version"],
        "id": COLLECTION,
        "description": "Regions of interest around ice shelves, on the grid of Landsat's pixels.",
        "license": "other",
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[first, last]]}},
        "links": [{"rel": "root", "href": "./collection.json", "type": JSON_MEDIA}, *links],
        "assets": {"rois": asset},
        "nunatak:kind": COLLECTION,
    }
