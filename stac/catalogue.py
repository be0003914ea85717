"""One way to ask what data exist, whether files or a STAC API answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pystac

from stac import api_catalogue
from stac.documents import LARGEST, parsed, read_json
from stac.locations import (
    CatalogueError,
    EscapeError,
    UnreachableError,
    normalise,
    parent,
    read_bytes,
)
from stac.queries import QueryError
from stac.static_catalogue import StaticCatalogue

__all__ = [
    "Catalogue",
    "CatalogueError",
    "EscapeError",
    "QueryError",
    "UnreachableError",
    "open_catalogue",
]


class Catalogue(Protocol):
    """What exists, in collections of STAC items."""

    @property
    def url(self) -> str:
        """Where the catalogue lies."""
        ...

    def collections(self) -> list[str]:
        """Return the ids of the collections, sorted."""
        ...

    def search(
        self,
        collection: str | Sequence[str] | None = None,
        *,
        bbox: Sequence[float] | None = None,
        intersects: Mapping[str, Any] | None = None,
        period: tuple[str, str] | None = None,
        cql2: str | None = None,
        ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[pystac.Item]:
        """Return items that answer a `queries.Query`, by start and id; asset hrefs are absolute."""
        ...


def open_catalogue(url: str) -> Catalogue:
    """Open a folder, bucket or web address of STAC files, or a STAC API.

    `url` may name ``catalog.json`` or its folder. A web address is an API if its root document
    declares what it conforms to.

    Raises
    ------
    CatalogueError
        If nothing is there, it is no catalogue, or it does not answer.
    """
    address = normalise(url)
    entry = "catalog.json"
    if address.endswith(".json"):
        address, entry = parent(address), address.rsplit("/", 1)[-1]
    elif _is_api(address):
        return api_catalogue.connect(address)
    catalogue = StaticCatalogue(address, entry)
    read_json(f"{address}/{entry}", expected="Catalog")
    return catalogue


def _root(address: str) -> bytes:
    """Return the root document; some servers send who leaves the last slash away out of TLS."""
    try:
        return read_bytes(address, confined=True, largest=LARGEST)
    except EscapeError:
        if not address.startswith("https://"):
            raise
        return read_bytes(f"{address}/", confined=True, largest=LARGEST)


def _is_api(address: str) -> bool:
    if not address.startswith(("http://", "https://")):
        return False
    try:
        document = parsed(_root(address))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(document, dict) and "conformsTo" in document
