"""Which inputs of products can still be read from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipelines.report.lineage import input_links

if TYPE_CHECKING:
    from pipelines.report.outputs import Output

State = Literal["there", "gone", "not asked"]


@dataclass(frozen=True)
class Reached:
    """Inputs of one collection.

    Attributes
    ----------
    collection : str
        Its name, or that of the product it is.
    items : int
        How many inputs come from it.
    state : str
        Whether the first of them is where the item says; addresses of the web are not asked.
    """

    collection: str
    items: int
    state: State


def reached(output: Output, outputs: tuple[Output, ...]) -> list[Reached]:
    """Return the collections that a product was made from; one item stands for each.

    A product that is among the outputs counts as there, wherever it was when it was read.
    """
    here = {str(each.item.get("id")) for each in outputs}
    found: dict[str, list[dict[str, Any]]] = {}
    for link in input_links(output):
        name = link.get("nunatak:collection") or link.get("nunatak:id") or link.get("href")
        found.setdefault(str(name), []).append(link)
    return [
        Reached(name, len(links),
                "there" if str(links[0].get("nunatak:id")) in here else state(links[0].get("href")))
        for name, links in found.items()
    ]  # fmt: skip


def state(href: object) -> State:
    """Return whether an address holds something.

    Only paths and buckets are asked: an item may name any address, and a report is to reach for
    none of the web.
    """
    from cluster import object_store
    from cluster.store_errors import StoreError

    try:
        return "there" if object_store.exists(str(href)) else "gone"
    except StoreError:
        return "not asked" if str(href).startswith(("http://", "https://")) else "gone"
