"""The assets of a Landsat item and their projection, whatever a service calls them."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import pyproj

from stac.granules import Asset, LandsatItemError
from stac.landsat_products import BANDS, common_name
from stac.landsat_services import Service
from stac.signing import unsigned

NEEDED = ("red", "green", "blue", "qa_pixel")
GAPS = ("gap_red", "gap_green", "gap_blue")
ASSETS = (*BANDS, "qa_pixel", "qa_radsat", "sza", "mtl", *GAPS)
"""Every asset that is read here, by the name it has here."""
ALIASES = {"nir": "nir08", "mtl.json": "mtl", "bqa": "qa_pixel"}
_NUMBERED = re.compile(r"(?:(?P<kind>GM|SR)_)?B(?P<number>\d{1,2})(?:\.TIF)?", re.IGNORECASE)


def first(properties: Mapping[str, Any], *keys: str) -> Any:
    """Return the first value that is told under one of several names."""
    return next((properties[key] for key in keys if properties.get(key) is not None), None)


def named_assets(document: Mapping[str, Any], platform: str) -> dict[str, Mapping[str, Any]]:
    """Return the assets that are read here by their names here; plain names come first."""
    prefix = f"{document['id']}_"
    found: dict[str, Mapping[str, Any]] = {}
    for key, asset in document["assets"].items():
        short = key.removeprefix(prefix).lower().removesuffix(".tif")
        name = ALIASES.get(short, short)
        if name in ASSETS:
            found[name] = asset
    for key, asset in document["assets"].items():
        name = _band_name(document, platform, key.removeprefix(prefix), asset)
        if name:
            found.setdefault(name, asset)
    for key in ("MTL.xml", "mtl.xml", "MTL.txt", "mtl.txt"):
        if key in document["assets"]:
            found.setdefault("mtl", document["assets"][key])
    return found


def _band_name(
    document: Mapping[str, Any], platform: str, key: str, asset: Mapping[str, Any]
) -> str:
    """Return the name of a band asset by its number, or by the one band that it declares.

    Raises
    ------
    LandsatItemError
        If number and declaration differ: bands of another platform would be taken.
    """
    numbered = _NUMBERED.fullmatch(key)
    by_number = common_name(platform, int(numbered["number"])) if numbered else ""
    if numbered and (numbered["kind"] or "").upper() == "GM":
        return f"gap_{by_number}" if f"gap_{by_number}" in GAPS else ""
    declared = _declared(document["properties"], asset)
    if by_number and declared and declared != by_number:
        msg = (
            f"{document['id']}: asset {key} is {by_number} on {platform} but declares itself "
            f"{declared}; the platform or the bands of the item are wrong"
        )
        raise LandsatItemError(msg)
    if by_number or numbered or "reflectance" not in asset.get("roles", ["reflectance"]):
        return by_number
    return declared if declared in BANDS else ""


def _declared(properties: Mapping[str, Any], asset: Mapping[str, Any]) -> str:
    """Return the common name of an asset's only band, or "" ."""
    bands = asset.get("bands") or asset.get("eo:bands") or []
    if len(bands) != 1:
        return ""
    band, every = bands[0], properties.get("eo:bands") or []
    if isinstance(band, int):
        band = every[band] if 0 <= band < len(every) else {}
    name = str(band.get("eo:common_name") or band.get("common_name") or "")
    return ALIASES.get(name, name)


def check_assets(document: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse an item without the bands that every product is made of."""
    lacking = [name for name in NEEDED if name not in found]
    if lacking:
        there = ", ".join(document["assets"])
        msg = (
            f"{document['id']} has no {', '.join(lacking)}; its assets are {there}; take the "
            "item of the reflectance product, not of surface temperature or a thumbnail"
        )
        raise LandsatItemError(msg)


def read_asset(name: str, asset: Mapping[str, Any], where: Service) -> Asset:
    """Return an asset as the service has it read, without the signature it may carry."""
    other = (asset.get("alternate") or {}).get(where.alternate) or {}
    href = other.get("href") or asset.get("href")
    if not href:
        msg = f"{name}: an asset has no href; take the item from its service again"
        raise LandsatItemError(msg)
    band = next(iter(asset.get("raster:bands") or asset.get("bands") or []), None)
    scale, offset = (
        first({**asset, **(band if isinstance(band, Mapping) else {})}, f"raster:{key}", key)
        for key in ("scale", "offset")
    )
    return Asset(
        where.read_from(unsigned(str(href))),
        int(asset.get("file:size") or 0),
        str(asset.get("file:checksum") or ""),
        None if scale is None else float(scale),
        None if offset is None else float(offset),
    )


def asset_document(name: str, asset: Asset) -> dict[str, Any]:
    """Return an asset as a STAC item has it; what is not known is left out."""
    band = {key: value for key, value in (("scale", asset.scale), ("offset", asset.offset))
            if value is not None}  # fmt: skip
    told = {"file:size": asset.size, "file:checksum": asset.checksum,
            "raster:bands": [band] if band else []}  # fmt: skip
    declared = {"eo:bands": [{"common_name": name}]} if name in BANDS else {}
    roles = ["metadata"] if name == "mtl" else ["data"]
    return {"href": asset.href, "roles": roles, **declared,
            **{key: value for key, value in told.items() if value}}  # fmt: skip


def projection(
    name: str, properties: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]
) -> tuple[str, tuple[int, ...], tuple[float, ...]]:
    """Return code, shape and transform; what an asset tells comes before what the item tells."""
    codes = {each: _code(name, found[each]) or _code(name, properties) for each in NEEDED}
    if len(set(codes.values())) > 1:
        msg = f"{name}: its assets tell several projections, {codes}; they must be one product"
        raise LandsatItemError(msg)
    shape, transform = (
        first(found["red"], key) or first(properties, key) or ()
        for key in ("proj:shape", "proj:transform")
    )
    try:
        rows_columns = tuple(int(size) for size in shape)
        affine = tuple(float(number) for number in transform)[:6]
    except (TypeError, ValueError) as error:
        msg = f"{name}: proj:shape {shape!r} or proj:transform {transform!r} holds no numbers"
        raise LandsatItemError(msg) from error
    return codes["red"], rows_columns, affine


def _code(name: str, fields: Mapping[str, Any]) -> str:
    """Return the projection that one level of an item tells, "" if it tells none by number."""
    for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"):
        told = fields.get(key)
        if told is None:
            continue
        text = f"EPSG:{told}" if key == "proj:epsg" else told
        if isinstance(text, Mapping):
            text = json.dumps(text, sort_keys=True)
        try:
            return _epsg(str(text))
        except pyproj.exceptions.CRSError as error:
            msg = f"{name}: {key} {str(told)[:80]!r} is no projection ({error})"
            raise LandsatItemError(msg) from error
    return ""


@functools.lru_cache(maxsize=256)
def _epsg(text: str) -> str:
    number = pyproj.CRS.from_user_input(text).to_epsg()
    return "" if number is None else f"EPSG:{number}"
