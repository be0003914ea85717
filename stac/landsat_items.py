"""One Landsat product as one record, whichever service wrote its STAC item.

Services differ in the names of assets (``red``, ``SR_B4.TIF``, ``mtl.json``), of properties
(``eo:sun_elevation``, ``view:sun_elevation``) and in how they tell the projection (``proj:code``,
``proj:epsg``, ``proj:wkt2``, on the item or on each asset). Here all of them end: what leaves this
module names bands by their common names and the projection by one code.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pystac

from stac import landsat_services
from stac.granules import Asset, Granule, LandsatItemError
from stac.grids import bounding_box
from stac.landsat_assets import (
    ASSETS,
    asset_document,
    check_assets,
    first,
    named_assets,
    projection,
    read_asset,
)
from stac.landsat_products import CATEGORIES, INSTRUMENTS, PLATFORMS, ProductId, product_id
from stac.queries import OutlineError, QueryError, instant, outline, rfc3339
from stac.raster_addresses import is_local

__all__ = [
    "ASSETS",
    "Asset",
    "Granule",
    "LandsatItemError",
    "granule",
    "item_document",
    "item_geometry",
    "item_name",
    "may_be",
]

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("eo/v1.1.0", "file/v2.1.0", "processing/v1.2.0", "projection/v2.0.0",
                 "raster/v1.1.0", "view/v1.0.0")
)  # fmt: skip
CLOCK_SLACK = timedelta(minutes=1)


def granule(
    item: pystac.Item | Mapping[str, Any],
    *,
    service: str = landsat_services.OURS,
    local_files: bool = True,
) -> Granule:
    """Understand an item of any service.

    Parameters
    ----------
    item : pystac.Item or mapping
        An item, or its JSON document (also of STAC 0.7, which USGS wrote beside its scenes).
    service : str
        Which service told it; it decides which of several addresses of an asset is read.
    local_files : bool
        Whether it may name files of this machine; what comes from another service may never.

    Raises
    ------
    LandsatItemError
        If the item is no Landsat 7, 8 or 9 product, contradicts its own id, lacks a band, has no
        geometry where it should, or names files that its service cannot have.
    """
    try:
        found = _understood(item, service)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, LandsatItemError):
            raise
        msg = f"{item_name(item)} is no STAC item that can be read ({error!r})"[:300]
        raise LandsatItemError(msg) from error
    if not local_files:
        _refuse_local(found)
    return found


def item_name(item: object) -> str:
    """Return the id of what may be an item."""
    if isinstance(item, pystac.Item):
        return str(item.id)
    told = item.get("id") if isinstance(item, Mapping) else None
    return "a document without id" if told is None else str(told)


def item_geometry(item: pystac.Item | Mapping[str, Any]) -> Any:
    """Return what an item tells as its geometry, which may be anything; None if it tells none."""
    return item.geometry if isinstance(item, pystac.Item) else item.get("geometry")


def _refuse_local(found: Granule) -> None:
    """Refuse a file of this machine: its name is a stranger's, and what is there is ours."""
    local = [name for name, asset in found.assets.items() if is_local(asset.href)]
    if local:
        msg = (
            f"{found.id}: its {local[0]} is a file of this machine, which another service cannot "
            "know; expected s3:// or https://: search again, or ingest the file"
        )
        raise LandsatItemError(msg)


def _understood(item: pystac.Item | Mapping[str, Any], service: str) -> Granule:
    document = _document(item)
    name, properties = str(document["id"]), document["properties"]
    told = product_id(name) or product_id(str(properties.get("landsat:product_id", "")))
    platform = _platform(name, document, told)
    found = named_assets(document, platform)
    check_assets(document, found)
    where = landsat_services.named(service)
    code, shape, transform = projection(name, properties, found)
    return Granule(
        id=name,
        platform=platform,
        start=_start(name, properties, told),
        path=_place(name, "path", properties, told),
        row=_place(name, "row", properties, told),
        category=_category(name, properties, told),
        collection_number=_collection_number(name, document, told),
        level=_level(name, document, told),
        sun_elevation=_number(name, properties, "view:sun_elevation", "eo:sun_elevation"),
        sun_azimuth=_number(name, properties, "view:sun_azimuth", "eo:sun_azimuth"),
        cloud_cover=_cloud_cover(name, properties),
        code=code,
        shape=shape,
        transform=transform,
        assets={each: read_asset(name, found[each], where) for each in ASSETS if each in found},
        service=service,
        footprint=_footprint(name, document.get("geometry")),
    )


def _footprint(name: str, told: Any) -> dict[str, Any]:
    """Return a geometry as plain values with float coordinates; {} if none is told."""
    if not told:
        return {}
    try:
        outline(told)
    except OutlineError as error:
        msg = f"{name}: {error}"
        raise LandsatItemError(msg) from error
    plain: dict[str, Any] = json.loads(json.dumps(told), parse_int=float)
    return plain


def claimed_platform(document: Mapping[str, Any]) -> str:
    """Return the platform that an item's document claims, readable or not; "" if it tells none.

    >>> claimed_platform({"id": "a", "properties": {"eo:platform": "LANDSAT_8"}})
    'landsat-8'
    """
    text = first(_properties(document), "platform", "eo:platform")
    if text is not None:
        return re.sub(r"[\s_]+", "-", str(text).strip().lower())
    told = product_id(str(document.get("id")))
    return "" if told is None else told.platform


def may_be(item: pystac.Item | Mapping[str, Any], platforms: tuple[str, ...]) -> bool:
    """Tell whether an item is of a platform by its word or its id, or a Landsat scene of none.

    >>> may_be({"id": "a", "collection": "landsat-c2l1", "properties": {}}, ("landsat-8",))
    True
    """
    document: Mapping[str, Any] = (
        {"id": item.id, "properties": item.properties, "collection": item.collection_id}
        if isinstance(item, pystac.Item)
        else item
    )
    told = product_id(str(document.get("id")))
    by_id = "" if told is None else told.platform
    claimed = {claimed_platform(document), by_id} - {""}
    return not claimed.isdisjoint(platforms) if claimed else _is_landsat(document)


def _is_landsat(document: Mapping[str, Any]) -> bool:
    """Tell whether a document that tells no platform means to be a Landsat scene."""
    properties = _properties(document)
    kind = properties.get("nunatak:kind")
    named = "landsat" in str(document.get("collection") or "").lower()
    spelt = any(str(key).startswith("landsat:") for key in properties)
    return kind == "landsat" or (kind is None and (named or spelt))


def _properties(document: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = document.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def item_document(scene: Granule) -> dict[str, Any]:
    """Return a granule as a STAC item in today's spelling; `granule` reads it back as it was."""
    numbers = {
        "eo:cloud_cover": scene.cloud_cover,
        "view:sun_elevation": scene.sun_elevation,
        "view:sun_azimuth": scene.sun_azimuth,
    }
    properties: dict[str, Any] = {
        "datetime": scene.start,
        "platform": scene.platform,
        "instruments": list(INSTRUMENTS[scene.platform]),
        "landsat:wrs_type": "2",
        "landsat:wrs_path": f"{scene.path:03d}",
        "landsat:wrs_row": f"{scene.row:03d}",
        "landsat:collection_category": scene.category,
        "landsat:collection_number": f"{scene.collection_number:02d}",
        "processing:level": f"L{scene.level}",
        **{key: number for key, number in numbers.items() if not math.isnan(number)},
    }
    told = {"proj:code": scene.code, "proj:shape": list(scene.shape),
            "proj:transform": list(scene.transform)}  # fmt: skip
    box = {"bbox": bounding_box(scene.footprint)} if scene.footprint else {}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": list(EXTENSIONS),
        "id": scene.id,
        "geometry": dict(scene.footprint) or None,
        **box,
        "properties": properties | {key: value for key, value in told.items() if value},
        "links": [],
        "assets": {name: asset_document(name, asset) for name, asset in scene.assets.items()},
    }


def _document(item: pystac.Item | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON document of an item, with absolute hrefs where its own address is known."""
    if not isinstance(item, pystac.Item):
        lacking = [key for key in ("id", "properties", "assets") if not item.get(key)]
        if lacking:
            msg = f"{item.get('id', 'a document')} is no STAC item: it lacks {', '.join(lacking)}"
            raise LandsatItemError(msg)
        return item
    document: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    for key, asset in item.assets.items():
        document["assets"][key]["href"] = asset.get_absolute_href() or asset.href
    return document


def _contradiction(name: str, what: str, told: object, by_id: object) -> LandsatItemError:
    msg = (
        f"{name}: its properties tell {what} {told} and its id {by_id}; two products were mixed: "
        "take the item from its service again"
    )
    return LandsatItemError(msg)


def _agreed(name: str, what: str, value: Any, by_id: Any) -> Any:
    """Return what properties and id tell alike, or what one of them tells."""
    if value is None and by_id is None:
        msg = f"{name} tells no {what}, neither in its properties nor in its id; it is not readable"
        raise LandsatItemError(msg)
    if value is not None and by_id is not None and value != by_id:
        raise _contradiction(name, what, value, by_id)
    return by_id if value is None else value


def _whole(name: str, properties: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number that may be written as text; None where it is not told."""
    value = properties.get(key)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError) as error:
        msg = f"{name}: {key} is {value!r}, expected a whole number"
        raise LandsatItemError(msg) from error


def _number(name: str, properties: Mapping[str, Any], *keys: str) -> float:
    value = first(properties, *keys)
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError) as error:
        msg = f"{name}: {keys[0]} is {value!r}, expected a number"
        raise LandsatItemError(msg) from error


def _place(name: str, axis: str, properties: Mapping[str, Any], told: ProductId | None) -> int:
    claimed = _whole(name, properties, f"landsat:wrs_{axis}")
    return int(_agreed(name, axis, claimed, None if told is None else getattr(told, axis)))


def _cloud_cover(name: str, properties: Mapping[str, Any]) -> float:
    """Return the cloud cover [%]; USGS writes -1 where none was found out."""
    cover = _number(name, properties, "eo:cloud_cover")
    return cover if cover >= 0.0 else math.nan


def _platform(name: str, document: Mapping[str, Any], told: ProductId | None) -> str:
    claimed, by_id = claimed_platform(document) or None, None if told is None else told.platform
    platform = str(_agreed(name, "platform", claimed, by_id))
    if platform not in PLATFORMS:
        msg = f"{name} is of platform {platform!r}; read here are {', '.join(PLATFORMS)}"
        raise LandsatItemError(msg)
    return platform


def _category(name: str, properties: Mapping[str, Any], told: ProductId | None) -> str:
    claimed = properties.get("landsat:collection_category")
    category = str(_agreed(name, "category", claimed, None if told is None else told.category))
    if category not in CATEGORIES:
        msg = f"{name} is of category {category!r}, expected one of {', '.join(CATEGORIES)}"
        raise LandsatItemError(msg)
    return category


def _collection_number(name: str, document: Mapping[str, Any], told: ProductId | None) -> int:
    claimed = _whole(name, document["properties"], "landsat:collection_number")
    if claimed is None and told is None:
        claimed = _of_collection(document, r"c0?(\d)")
    by_id = None if told is None else told.collection_number
    number = int(_agreed(name, "collection number", claimed, by_id))
    if number not in {1, 2}:
        msg = f"{name} is of Landsat Collection {number}; read here are Collections 1 and 2"
        raise LandsatItemError(msg)
    return number


def _level(name: str, document: Mapping[str, Any], told: ProductId | None) -> int:
    correction = str(first(document["properties"], "landsat:correction", "processing:level") or "")
    claimed = int(correction[1]) if re.fullmatch(r"L[12]\w*", correction) else None
    if claimed is None and told is None:
        claimed = _of_collection(document, r"c0?\d-?l(\d)")
    return int(_agreed(name, "level", claimed, None if told is None else told.level))


def _of_collection(document: Mapping[str, Any], pattern: str) -> int | None:
    """Return what a collection's id such as ``landsat-c2l1`` or ``landsat-c2-l2`` tells."""
    found = re.search(f"landsat-{pattern}", str(document.get("collection") or ""))
    return None if found is None else int(found[1])


def _start(name: str, properties: Mapping[str, Any], told: ProductId | None) -> str:
    text = first(properties, "datetime", "start_datetime")
    if text is None and told is not None:
        text = told.acquired.isoformat()
    if text is None:
        msg = f"{name} tells no datetime, neither in its properties nor in its id"
        raise LandsatItemError(msg)
    try:
        moment = instant(str(text))
    except QueryError as error:
        msg = f"{name}: {error}"
        raise LandsatItemError(msg) from error
    if told is not None:
        near = {(moment + slack).date() for slack in (-CLOCK_SLACK, CLOCK_SLACK)}
        if told.acquired not in near:
            raise _contradiction(name, "day", moment.date(), told.acquired)
    return rfc3339(moment)
