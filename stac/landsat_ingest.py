"""Landsat products as items of our catalogue: their files are named, never copied.

An item has the form that the agency's services give theirs (assets by common band name, extensions
landsat, view, eo and projection), so one reader understands ours and theirs. Its images keep their
place: hrefs are relative to the item where they lie under the catalogue, else absolute.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyproj
import pystac
import shapely
from numpy.typing import NDArray
from shapely.geometry import mapping

from stac import grids, landsat_services
from stac.confinement import remote
from stac.granules import Asset
from stac.items import (
    FILE_EXTENSION,
    JSON_MEDIA,
    PROCESSING_EXTENSION,
    PROJECTION_EXTENSION,
    REFERENCED,
    Source,
    multihash,
    versions,
)
from stac.landsat_files import (
    AssetFile,
    Image,
    SceneError,
    SceneFiles,
    bounded,
    exists,
    is_metadata,
    measure,
    scene,
)
from stac.landsat_items import granule
from stac.landsat_metadata import BANDS, SceneMetadata
from stac.landsat_products import INSTRUMENTS, product_id
from stac.locations import EscapeError, UnreachableError, is_local, join, normalise, parent
from stac.queries import rfc3339

KIND = "landsat"
EXTENSIONS = (
    FILE_EXTENSION,
    PROCESSING_EXTENSION,
    PROJECTION_EXTENSION,
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/view/v1.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://landsat.usgs.gov/stac/landsat-extension/v1.1.1/schema.json",
)
GEOTIFF = "image/tiff; application=geotiff"
MEDIA = {".json": JSON_MEDIA, ".xml": "application/xml", ".txt": "text/plain",
         ".gz": "application/gzip"}  # fmt: skip


@dataclass(frozen=True)
class Referenced:
    """A source that stays where it is: what it is called, its checksum, its finished item."""

    source: Source
    item: pystac.Item


def referenced(url: str, *, collection: str, folder: str) -> Referenced:
    """Read a product's MTL file, or an item of any service, and build its item.

    Parameters
    ----------
    url : str
        Address of ``*_MTL.json|xml|txt``, or of a STAC item document.
    collection : str
        Collection that it will belong to.
    folder : str
        Folder of that collection.

    Returns
    -------
    Referenced
        Its item names files where they lie; of another catalogue's item those beside it.

    Raises
    ------
    SceneError
        If files are missing, damaged or lie elsewhere than told, or the document is no item.
    MetadataError
        If the MTL cannot be used.
    LandsatItemError
        If the item is of no Landsat product that can be read.
    """
    try:
        source, found = (_of_scene if is_metadata(url) else _of_document)(url, folder)
    except UnreachableError as error:
        raise SceneError(str(error)) from error
    return Referenced(source, _finished(found, source, collection))


def _of_scene(url: str, folder: str) -> tuple[Source, pystac.Item]:
    files = scene(url)
    return files.source, _scene_item(files, folder)


def _of_document(url: str, folder: str) -> tuple[Source, pystac.Item]:
    data = bounded(url)
    source = Source(PurePosixPath(url).name, len(data), hashlib.sha256(data).hexdigest())
    return source, _document_item(data, url, folder)


def _finished(item: pystac.Item, source: Source, collection: str) -> pystac.Item:
    item.collection_id = collection
    item.properties |= {
        "created": rfc3339(datetime.now(UTC).replace(microsecond=0)),
        "nunatak:kind": KIND,
        REFERENCED: True,
        "nunatak:source_name": source.name,
        "nunatak:source_checksum": multihash(source.sha256),
        "nunatak:source_size": source.size,
        "processing:software": versions(("nunatak", "rasterio", "pyproj", "shapely")),
    }
    for relation, href in (
        ("root", "../../catalog.json"),
        ("parent", "../collection.json"),
        ("collection", "../collection.json"),
    ):
        item.add_link(pystac.Link(relation, href, JSON_MEDIA))
    return item


def _scene_item(files: SceneFiles, folder: str) -> pystac.Item:
    metadata = files.metadata
    lineage = [f"{files.source.name} and the images beside it, read in place", *files.remarks]
    item = _empty_item(metadata.product_id, footprint(files.outline, metadata.code), metadata.start)
    item.properties |= {
        **_acquisition(metadata),
        "proj:code": files.image.code,
        "proj:shape": list(files.image.shape),
        "proj:transform": list(files.image.transform),
        "nunatak:cloud_optimised": all(a.image.cloud_optimised for a in files.assets if a.image),
        "processing:lineage": "; ".join(lineage),
    }
    for asset in files.assets:
        item.add_asset(asset.name, _scene_asset(asset, metadata, folder))
    return item


def _empty_item(identity: str, geometry: Mapping[str, Any], moment: datetime) -> pystac.Item:
    start = rfc3339(moment)
    return pystac.Item(
        id=identity,
        geometry=dict(geometry),
        bbox=grids.bounding_box(geometry),
        datetime=moment,
        stac_extensions=list(EXTENSIONS),
        properties={"start_datetime": start, "end_datetime": start},
    )


def _acquisition(metadata: SceneMetadata) -> dict[str, Any]:
    """Return when and how it was taken, in the words of the agency's items."""
    cover = {} if math.isnan(metadata.cloud_cover) else {"eo:cloud_cover": metadata.cloud_cover}
    return cover | {
        "platform": metadata.platform,
        "instruments": list(INSTRUMENTS[metadata.platform]),
        "gsd": metadata.spacing,
        "view:sun_elevation": metadata.sun_elevation,
        "view:sun_azimuth": metadata.sun_azimuth,
        "landsat:wrs_type": "2",
        "landsat:wrs_path": f"{metadata.path:03d}",
        "landsat:wrs_row": f"{metadata.row:03d}",
        "landsat:collection_number": f"{metadata.collection_number:02d}",
        "landsat:collection_category": metadata.category,
        "landsat:correction": metadata.correction,
    }


def _scene_asset(asset: AssetFile, metadata: SceneMetadata, folder: str) -> pystac.Asset:
    fields: dict[str, Any] = {
        "file:size": asset.size,
        "file:checksum": multihash(asset.sha256),
    }
    roles = ["metadata"]
    if asset.name in BANDS:
        roles = ["data", "reflectance"]
        fields["eo:bands"] = [{"name": asset.name, "common_name": asset.name}]
    elif asset.image is not None or asset.name.startswith("gap_"):
        roles = ["data", "sun-zenith" if asset.name == "sza" else "quality"]
    # A count of level 1 needs the sun's elevation as well: no scale and offset turn it into one.
    if asset.name in BANDS and metadata.level == 2:
        scale, offset = metadata.reflectance_mult[asset.name], metadata.reflectance_add[asset.name]
        fields["raster:bands"] = [{"nodata": 0, "scale": scale, "offset": offset}]
    href = _href(asset.url, folder)
    return pystac.Asset(href, media_type=_media(asset.url, asset.image), roles=roles,
                        extra_fields=fields)  # fmt: skip


def _media(url: str, image: Image | None) -> str:
    cloud = image is not None and image.cloud_optimised
    suffix = PurePosixPath(url).suffix.lower()
    return MEDIA.get(suffix, GEOTIFF + ("; profile=cloud-optimized" if cloud else ""))


def _href(url: str, folder: str) -> str:
    """Return an address as an item in a collection's folder writes it: relative, if under its root.

    >>> _href("/ice/scenes/a.TIF", "/ice/catalogue/landsat")
    '/ice/scenes/a.TIF'
    >>> _href("/ice/catalogue/scenes/a.TIF", "/ice/catalogue/landsat")
    '../../scenes/a.TIF'
    """
    root = parent(folder)
    if not url.startswith(f"{root}/"):
        return url
    inside = url[len(root) + 1 :]
    return f"../../{inside}" if not inside.startswith("../") else url


def footprint(outline: shapely.Geometry, code: str) -> dict[str, Any]:
    """Return polygons of any projection as GeoJSON, split at 180°.

    Parameters
    ----------
    outline : Polygon or MultiPolygon
        In the coordinates of `code`.
    code : str
        ``EPSG:n``; a projection other than EPSG:3031 holds no pole inside the outline.
    """
    if code == grids.POLAR:
        return grids.footprint(outline)
    to_geographic = pyproj.Transformer.from_crs(code, grids.GEOGRAPHIC, always_xy=True)
    dense = shapely.segmentize(outline, grids.EDGE_M)
    polygon = shapely.transform(dense, lambda points: _plane(to_geographic, points))
    east = shapely.intersection(polygon, shapely.box(-180.0, -90.0, 180.0, 90.0))
    beyond = shapely.intersection(polygon, shapely.box(180.0, -90.0, 540.0, 90.0))
    west = shapely.transform(beyond, lambda points: points - np.array([360.0, 0.0]))
    return dict(mapping(shapely.orient_polygons(shapely.union_all([east, west]))))


def _plane(to_geographic: pyproj.Transformer, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitude and latitude [°], those beyond 180° with longitudes above it."""
    longitude, latitude = to_geographic.transform(points[:, 0], points[:, 1])
    across = np.ptp(longitude) > 180.0
    return np.column_stack(
        [np.where(across & (longitude < 0), longitude + 360, longitude), latitude]
    )


def _document_item(data: bytes, url: str, folder: str) -> pystac.Item:
    """Build our item of the item of a service; what its files hold is not looked at."""
    document = _item_document(data, url)
    told = granule(document, service=_service(document))
    if not told.footprint:
        msg = f"{url} has no geometry, so no search could find it; give the product's MTL file"
        raise SceneError(msg)
    named = product_id(told.id)
    item = _empty_item(told.id, told.footprint, told.moment)
    numbers = {
        "eo:cloud_cover": told.cloud_cover,
        "view:sun_elevation": told.sun_elevation,
        "view:sun_azimuth": told.sun_azimuth,
    }
    item.properties |= {name: value for name, value in numbers.items() if not math.isnan(value)}
    item.properties |= {
        "platform": told.platform,
        "instruments": list(INSTRUMENTS[told.platform]),
        "landsat:wrs_type": "2",
        "landsat:wrs_path": f"{told.path:03d}",
        "landsat:wrs_row": f"{told.row:03d}",
        "landsat:collection_number": f"{told.collection_number:02d}",
        "landsat:collection_category": told.category,
        "landsat:correction": named.correction if named else f"L{told.level}",
        "processing:lineage": f"{PurePosixPath(url).name}, an item of another catalogue",
    }
    if told.code:
        item.properties["proj:code"] = told.code
    if told.shape and told.transform:
        item.properties |= {"proj:shape": list(told.shape), "proj:transform": list(told.transform)}
    for name, asset in told.assets.items():
        item.add_asset("mtl.json" if name == "mtl" else name, _told_asset(asset, name, url, folder))
    return item


def _item_document(data: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        msg = f"{url} is no JSON ({error}); is it whole? fetch it again"
        raise SceneError(msg) from error
    if not isinstance(document, dict) or document.get("type") != "Feature":
        found = document.get("type") if isinstance(document, dict) else type(document).__name__
        msg = f"{url} holds {found!r}, expected a STAC item (type Feature) or an MTL file"
        raise SceneError(msg + "; give the document of one product")
    return document


def _service(document: Mapping[str, Any]) -> str:
    """Return whose mirror holds the files, by where the document was published."""
    assets = document.get("assets")
    texts = assets.values() if isinstance(assets, Mapping) else ()
    web = landsat_services.USGS_MIRROR[0]
    hrefs = [str(asset.get("href")) for asset in texts if isinstance(asset, Mapping)]
    return "usgs" if any(href.startswith(web) for href in hrefs) else landsat_services.OURS


def _told_asset(told: Asset, name: str, url: str, folder: str) -> pystac.Asset:
    """Name a file of another catalogue's item: the one beside the document, if it lies there."""
    beside = join(parent(url), PurePosixPath(told.href).name)
    fields: dict[str, Any] = {}
    if exists(beside):
        size, sha256 = measure(beside)
        fields = {"file:size": size, "file:checksum": multihash(sha256)}
        where = beside
    else:
        where = _told_address(told.href, url)
        fields |= {"file:size": told.size} if told.size else {}
        fields |= {"file:checksum": told.checksum} if told.checksum else {}
    if told.scale is not None and told.offset is not None:
        fields["raster:bands"] = [{"nodata": 0, "scale": told.scale, "offset": told.offset}]
    if name in BANDS:
        fields["eo:bands"] = [{"name": name, "common_name": name}]
    roles = ["data"] if name != "mtl" else ["metadata"]
    return pystac.Asset(_href(where, folder), media_type=_media(where, None), roles=roles,
                        extra_fields=fields)  # fmt: skip


def _told_address(href: str, url: str) -> str:
    """Return where a document says that a file lies; one from elsewhere names none of ours."""
    where = _absolute(href, parent(url))
    try:
        return where if is_local(url) else remote(where, root=url)
    except EscapeError as error:
        msg = (
            f"{url} names {href!r}, a file of this machine, which a document elsewhere cannot "
            "know; expected s3:// or https://: ingest the document from where its files are"
        )
        raise SceneError(msg) from error


def _absolute(href: str, folder: str) -> str:
    return normalise(href if "://" in href or href.startswith("/") else join(folder, href))
