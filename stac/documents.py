"""STAC documents that anybody may have written: read whole, bounded, their shape checked once.

What leaves this module can be searched, sorted and opened without another look: an item has an
id, properties with dates that are dates, a box of numbers, and assets with addresses.
"""

import difflib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pystac

from stac.locations import CatalogueError, read_bytes
from stac.queries import DATE, QueryError, instant

LARGEST = 64 * 2**20
"""A document of a catalogue, or a page of an API, at most [bytes]."""
ENDS = ("start_datetime", "end_datetime")
# What pystac raises of documents whose details are not as the standard has them.
UNREADABLE = (
    pystac.STACError, pystac.STACTypeError, AttributeError, LookupError, OverflowError,
    RecursionError, TypeError, ValueError,
)  # fmt: skip

logger = logging.getLogger(__name__)


class AbsentError(CatalogueError):
    """A document of a catalogue is not there."""


class MalformedError(CatalogueError):
    """A document is there and is not what STAC says it should be."""


def read_json(url: str, *, expected: str) -> dict[str, Any]:
    """Read a STAC document and check that it is of one of the expected types, and of its shape.

    Raises
    ------
    AbsentError
        If there is no such file.
    MalformedError
        If it holds something else.
    CatalogueError
        If it is larger than `LARGEST`, or cannot be reached.
    """
    try:
        document = parsed(read_bytes(url, confined=True, largest=LARGEST))
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = (
            f"no {expected} at {url}; check the address, or make one with "
            "`nunatak ingest KIND SOURCE --catalogue URL --collection NAME`"
        )
        raise AbsentError(msg) from error
    except ValueError as error:
        msg = f"{url} is no JSON ({error}); restore it from a copy or ingest into a new folder"
        raise MalformedError(msg) from error
    found = document.get("type") if isinstance(document, dict) else type(document).__name__
    if found not in expected.split(" or ") or "id" not in document:
        msg = f"{url} holds {found!r}, expected a STAC {expected} with an id; check the address"
        raise MalformedError(msg)
    if not isinstance(document["id"], str):
        msg = f"{url} has the id {document['id']!r}, expected text; correct it"
        raise MalformedError(msg)
    if found == "Feature":
        require_item(document, url)
    return dict(document)


def parsed(data: bytes | str) -> Any:
    """Return what JSON holds.

    Raises
    ------
    ValueError
        If it is no JSON, is nested too deeply, or holds half a letter that no file can name.
    """
    try:
        document = json.loads(data)
        if b"\\u" in (data.encode() if isinstance(data, str) else data):
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        msg = "it is nested too deeply"
        raise ValueError(msg) from None
    return document


def find_json(url: str, *, expected: str) -> dict[str, Any] | None:
    """Read a STAC document that may be absent: None, if it is."""
    try:
        return read_json(url, expected=expected)
    except AbsentError:
        return None


def find_item(url: str) -> dict[str, Any] | None:
    """Read an item among many: None if it is absent, or is none, which a warning tells."""
    try:
        return find_json(url, expected="Feature")
    except MalformedError as error:
        pass_over(error)
        return None


def pass_over(error: MalformedError) -> None:
    """Tell of one bad item, which the others must not wait for."""
    logger.warning("one item is passed over: %s", error)


def require_item(item: object, url: str) -> None:
    """Check the shape of an item.

    Raises
    ------
    MalformedError
        If it is not what the standard says, naming `url` and what is wrong.
    """
    fault = _item_fault(item)
    if fault:
        msg = f"{url} is no STAC item ({fault}); correct it, or ingest its source again"
        raise MalformedError(msg)


def _item_fault(item: object) -> str:
    """Return what is wrong with the shape of an item; nothing if all is right."""
    if not isinstance(item, Mapping) or item.get("type") != "Feature":
        return "it is of another type than Feature"
    if not isinstance(item.get("id"), str) or not item["id"].isprintable() or not item["id"]:
        return f"its id is {shown(item.get('id'))}, expected text"
    for name in ("properties", "assets"):
        if not isinstance(item.get(name), Mapping):
            return f"its {name} are {shown(item.get(name))}, expected an object"
    if "geometry" not in item:
        return "it has no geometry, expected one, or null"
    for name, asset in item["assets"].items():
        if not isinstance(asset, Mapping) or not _is_address(asset.get("href")):
            return f"its asset {shown(name)} is {shown(asset)}, expected an object with href"
    return _date_fault(item["properties"]) or _box_fault(item.get("bbox"))


def _is_address(href: object) -> bool:
    """Tell whether this is text that can be an address: no other text may be asked for."""
    if not isinstance(href, str) or not href or "\0" in href:
        return False
    try:
        urlsplit(href)
    except ValueError:
        return False
    return True


def _date_fault(properties: Mapping[str, Any]) -> str:
    for name in ("datetime", *ENDS):
        told = properties.get(name)
        if told is not None and not _is_date(told):
            return f"its {name} is {shown(told)}, expected a date such as 2011-02-01T00:00:00Z"
    if properties.get("datetime") is None and any(properties.get(end) is None for end in ENDS):
        return "it has no datetime, nor start_datetime with end_datetime"
    return ""


def _is_date(told: object) -> bool:
    if not isinstance(told, str) or not DATE.match(told):
        return False
    try:
        instant(told)
    except QueryError:
        return False
    return True


def _box_fault(box: object) -> str:
    if box is None:
        return ""
    if isinstance(box, Sequence) and len(box) in {4, 6}:
        try:
            if all(map(math.isfinite, box)):
                return ""
        except (OverflowError, TypeError):
            pass
    return f"its bbox is {shown(box)}, expected four or six numbers"


def shown(value: object) -> str:
    """Return a value as a message can hold it."""
    try:
        text = repr(value)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_item(item: dict[str, Any], url: str | None, *, called: str | None = None) -> pystac.Item:
    """Make a pystac item of a document that lies at `url`, or that a server gave: `called` so.

    Raises
    ------
    MalformedError
        If the document is no valid item.
    """
    try:
        made = pystac.Item.from_dict(item)
        if url is not None:
            made.set_self_href(url)
        sort_key(made)
    except UNREADABLE as error:
        msg = f"{called or url} is no STAC item ({error!r}); correct it, or ingest its source again"
        raise MalformedError(msg) from error
    return made


def hrefs(document: Mapping[str, Any], relation: str, url: str) -> list[str]:
    """Return the targets of the links of one relation.

    Raises
    ------
    MalformedError
        If a link lacks one of its two texts.
    """
    links = document.get("links", [])
    if not isinstance(links, list):
        msg = f"{url}: its links are {shown(links)}, expected a list; correct it"
        raise MalformedError(msg)
    found = []
    for link in links:
        told = link if isinstance(link, Mapping) else {}
        if not isinstance(told.get("rel"), str):
            msg = f"{url}: a link lacks rel or href ({shown(link)}); each STAC link needs both"
            raise MalformedError(msg)
        if told["rel"] != relation:
            continue
        if not _is_address(told.get("href")):
            msg = f"{url}: a link lacks rel or href ({shown(link)}); each STAC link needs both"
            raise MalformedError(msg)
        found.append(told["href"])
    return found


def sort_key(item: pystac.Item) -> tuple[str, str]:
    """Order items by the start of their period, then by id."""
    start = item.common_metadata.start_datetime or item.datetime
    return ("" if start is None else start.isoformat(), item.id)


def unknown_collection(name: str, known: Sequence[str], url: str) -> CatalogueError:
    """Build the refusal of a collection that is not there, naming the nearest."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    msg = f"no collection {name!r} in {url}; {hint}it holds: {', '.join(known) or 'none'}"
    return CatalogueError(msg)
