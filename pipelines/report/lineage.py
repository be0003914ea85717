"""What a product was made from: its run file, links to its inputs, the polygons of its regions.

An item may come from anybody. Its links are followed to disks and to buckets, never to the web.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipelines.report.outputs import Output

if TYPE_CHECKING:
    import pystac

HOPS = 2
"""Products between a product and the one that read the polygons: restoration, scenes."""

UNREADABLE = (LookupError, ValueError, OSError, TypeError, AttributeError)
"""What reading somebody's item may raise, beside pystac's own errors."""


def run_of(output: Output) -> dict[str, Any]:
    """Return the run file of a product, every default written out; empty if it tells none."""
    import yaml

    try:
        found = yaml.safe_load(str(output.item["properties"].get("processing:lineage", "")))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def input_links(output: Output) -> list[dict[str, Any]]:
    """Return the links of an item to what the product was made from."""
    links = output.item.get("links")
    found = links if isinstance(links, list) else []
    return [link for link in found
            if isinstance(link, dict) and link.get("rel") == "derived_from"]  # fmt: skip


def linked_item(output: Output, name: str) -> pystac.Item:
    """Return the catalogue item that the product's provenance links to for a collection.

    Its data are at an address that may be asked, too.

    Raises
    ------
    LookupError, ValueError, OSError, TypeError, AttributeError, STACError, STACTypeError
        No such link, or nothing that can be used behind it: items come from anywhere.
    """
    import pystac

    from stac import contracts

    address = _linked(output, name, hops=HOPS)
    if address is None:
        msg = f"{output.name}/item.json names no item of it"
        raise LookupError(msg)
    item = pystac.Item.from_dict(_document(address))
    item.set_self_href(address)
    _place(contracts.data_url(item))
    return item


def _linked(output: Output, name: str, *, hops: int) -> str | None:
    """Return the address of a collection's item among what a product was made from.

    A product that was made from other products has its regions from them, so their items are
    asked too, ``hops`` times at the most.
    """
    links = input_links(output)
    for link in links:
        if link.get("nunatak:collection") == name:
            return _place(str(link["href"]))
    for link in links:
        href = str(link["href"])
        if hops and "nunatak:collection" not in link and href.endswith("/item.json"):
            address = _place(href)
            above = Output(address, "", address, _document(address))
            found = _linked(above, name, hops=hops - 1)
            if found is not None:
                return found
    return None


def _place(href: str) -> str:
    """Return the address of an input, which is a path or in a bucket.

    Whoever wrote an item chose its links and its run file, so neither says whom on the web this
    machine may ask.

    Raises
    ------
    LookupError
        Any other address.
    """
    from cluster import object_store

    try:
        address = object_store.parse(href).url
    except object_store.StoreError as error:
        msg = f"{href} is none that a report asks: expected {object_store.SUPPORTED}"
        raise LookupError(msg) from error
    if "::" in href:  # by which fsspec would lead from one kind of address to another
        msg = f"{href} holds ::, which no address of a catalogue does"
        raise LookupError(msg)
    return address


def _document(address: str) -> dict[str, Any]:
    from cluster import object_store

    found = json.loads(object_store.read_bytes(address))
    if not isinstance(found, dict):
        msg = f"{address} is a {type(found).__name__}, expected an item"
        raise TypeError(msg)
    return found
