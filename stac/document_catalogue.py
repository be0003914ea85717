"""STAC items that lie beside their data, read where a service has lost them.

USGS writes ``PRODUCT_SR_stac.json`` into the folder of every product, also of those whose item its
API does not tell (Landsat 4 to 7, hyp3-autorift issue 172).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pystac

from stac.confinement import remote
from stac.documents import read_item, read_json, sort_key, unknown_collection
from stac.locations import CatalogueError, filesystem, is_local, join, normalise, reaching
from stac.queries import Query

ENDING = "_stac.json"
OTHER_PRODUCTS = ("_ST_stac.json",)
"""Items of surface temperature carry the id of the reflectance product beside them."""


@dataclass(frozen=True)
class DocumentCatalogue:
    """Items from a list of documents; answers what every catalogue answers.

    Parameters
    ----------
    url : str
        The first address they were read from.
    documents : tuple of (str, mapping)
        Address and content of each.
    """

    url: str
    documents: tuple[tuple[str, Mapping[str, Any]], ...]

    def collections(self) -> list[str]:
        """Return the ids of the collections that the documents name, sorted."""
        return sorted(
            {str(item["collection"]) for _, item in self.documents if "collection" in item}
        )

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
        query = Query(bbox, intersects, period, cql2, ids)
        names = [collection] if isinstance(collection, str) else collection
        known = self.collections()
        for name in names or []:
            if name not in known:
                raise unknown_collection(name, known, self.url)
        found = [
            _absolute(read_item(dict(item), url), url)
            for url, item in self.documents
            if (names is None or item.get("collection") in names) and query.matches(item)
        ]
        return iter(sorted(found, key=sort_key)[:limit])


def items_from_documents(addresses: Sequence[str]) -> DocumentCatalogue:
    """Read item documents: files that end in ``.json``, or folders and buckets of them.

    Parameters
    ----------
    addresses : sequence of str
        Paths, ``file://``, ``s3://`` or (files only) ``http(s)://``.

    Raises
    ------
    CatalogueError
        If nothing is there, or something else than a STAC item.
    """
    urls = [url for address in addresses for url in _files(normalise(address))]
    if not urls:
        msg = (
            f"no document that ends in {ENDING} in {', '.join(addresses) or 'an empty list'}; "
            "give the folders of products, or the documents themselves"
        )
        raise CatalogueError(msg)
    read = tuple((url, read_json(url, expected="Feature")) for url in dict.fromkeys(urls))
    return DocumentCatalogue(normalise(addresses[0]), read)


def _files(address: str) -> list[str]:
    """Return the documents that an address names, sorted."""
    if address.endswith(".json"):
        return [address]
    fs, path = filesystem(address)
    with reaching(address, to="list"):
        found = sorted(str(name) for name in fs.find(path))
    chosen = [name for name in found if name.endswith(ENDING) and not name.endswith(OTHER_PRODUCTS)]
    if is_local(address):
        return chosen
    return [join(address, name.removeprefix(path).lstrip("/")) for name in chosen]


def _absolute(item: pystac.Item, url: str) -> pystac.Item:
    """Make addresses whole; a document that lies elsewhere names no file of this machine."""
    for asset in item.assets.values():
        href = asset.get_absolute_href() or asset.href
        asset.href = href if is_local(url) else remote(href, root=url)
    return item
