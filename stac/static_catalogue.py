"""A static STAC catalogue: JSON files in a folder or bucket, searched in this process.

What a search sees is the index of each collection (`items.parquet`) and every item file that the
index does not hold yet, so an ingest in progress, or one that was killed, never hides its items.
Links are followed inside the catalogue's folder only.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pystac

from stac import item_index
from stac.items import REFERENCED
from stac.locations import (
    CatalogueError,
    is_local,
    join,
    list_folders,
    normalise,
    parent,
    read_bytes,
    resolve,
)
from stac.queries import Query

DEEPEST = 8


class AbsentError(CatalogueError):
    """A document of a catalogue is not there."""


@dataclass(frozen=True)
class CollectionFiles:
    """Where one collection lies: its id, its document and the folder that holds its items."""

    id: str
    url: str
    document: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """The folder of ``collection.json``."""
        return parent(self.url)


@dataclass(frozen=True)
class StaticCatalogue:
    """A catalogue of files; `url` is its folder, `entry` the name of its first document."""

    url: str
    entry: str = "catalog.json"

    def collections(self) -> list[str]:
        """Return the ids of the collections, sorted."""
        return sorted(files.id for files in self.collection_files())

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
        chosen = self._chosen(collection)
        found = [item for files in chosen for item in self._answers(files, query)]
        found.sort(key=sort_key)
        return iter(found[:limit])

    def collection_files(self) -> Iterator[CollectionFiles]:
        """Walk the child links from the entry document."""
        yield from self._walk(join(self.url, self.entry), depth=0)

    def item_dicts(self, files: CollectionFiles, query: Query) -> list[tuple[str, dict[str, Any]]]:
        """Return ``(address of the item file, item)`` for the items that answer a query."""
        table = read_index(files.folder)
        known = set() if table is None else item_index.ids(table)
        indexed = [] if table is None else item_index.select(table, query)
        answers = [(item_url(files.folder, item["id"]), item) for item in indexed]
        for url in self._item_urls(files):
            if url.rsplit("/", 1)[-1].removesuffix(".json") in known:
                continue
            item = find_json(url, expected="Feature")
            if item is not None and query.matches(item):
                answers.append((url, item))
        return answers

    def _chosen(self, collection: str | Sequence[str] | None) -> list[CollectionFiles]:
        every = {files.id: files for files in self.collection_files()}
        if collection is None:
            return list(every.values())
        names = [collection] if isinstance(collection, str) else list(collection)
        for name in names:
            if name not in every:
                raise unknown_collection(name, sorted(every), self.url)
        return [every[name] for name in dict.fromkeys(names)]

    def _walk(self, url: str, *, depth: int) -> Iterator[CollectionFiles]:
        document = read_json(url, expected="Catalog or Collection" if depth else "Catalog")
        if document["type"] == "Collection":
            yield CollectionFiles(str(document["id"]), url, document)
            return
        if depth == DEEPEST:
            msg = (
                f"{url}: catalogues are nested more than {DEEPEST} deep; is a child link a circle?"
            )
            raise CatalogueError(msg)
        for href in hrefs(document, "child", url):
            yield from self._walk(self._follow(href, parent(url)), depth=depth + 1)

    def _item_urls(self, files: CollectionFiles) -> list[str]:
        linked = [self._follow(h, files.folder) for h in hrefs(files.document, "item", files.url)]
        listed = [item_url(files.folder, name) for name in list_folders(files.folder)]
        return list(dict.fromkeys([*linked, *listed]))

    def _follow(self, href: str, folder: str) -> str:
        return resolve(href, folder=folder, root=self.url)

    def _answers(self, files: CollectionFiles, query: Query) -> Iterator[pystac.Item]:
        for url, item in self.item_dicts(files, query):
            for asset in item["assets"].values():
                asset["href"] = self._asset_url(item, asset["href"], parent(url))
            yield read_item(item, url)

    def _asset_url(self, item: Mapping[str, Any], href: str, folder: str) -> str:
        """Return where an asset lies: in this catalogue, unless its item says that it only refers.

        Such an item may name any absolute address, but one that came from elsewhere no local path.
        """
        absolute = "://" in href or href.startswith("/")
        if not (item["properties"].get(REFERENCED) is True and absolute):
            return self._follow(href, folder)
        target = normalise(href)
        return target if is_local(self.url) or not is_local(target) else self._follow(href, folder)


def read_item(item: dict[str, Any], url: str) -> pystac.Item:
    """Make a pystac item of a document.

    Raises
    ------
    CatalogueError
        If the document is no valid item.
    """
    try:
        made = pystac.Item.from_dict(item)
    except (pystac.STACError, KeyError, TypeError, ValueError) as error:
        msg = f"{url} is no STAC item ({error!r}); write it again by ingesting its source"
        raise CatalogueError(msg) from error
    made.set_self_href(url)
    return made


def item_url(folder: str, item_id: str) -> str:
    """Return where the file of an item lies in a collection's folder."""
    return join(folder, item_id, f"{item_id}.json")


def read_index(folder: str) -> pa.Table | None:
    """Open the index of a collection; None where there is none, or where it is damaged."""
    try:
        return item_index.read(read_bytes(join(folder, item_index.FILE_NAME), confined=True))
    except FileNotFoundError:
        return None


def find_json(url: str, *, expected: str) -> dict[str, Any] | None:
    """Read a STAC document that may be absent: None, if it is."""
    try:
        return read_json(url, expected=expected)
    except AbsentError:
        return None


def read_json(url: str, *, expected: str) -> dict[str, Any]:
    """Read a STAC document and check that it says it is one of the expected types.

    Raises
    ------
    AbsentError
        If there is no such file.
    CatalogueError
        If it holds something else.
    """
    try:
        document = json.loads(read_bytes(url, confined=True))
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = (
            f"no {expected} at {url}; check the address, or make one with "
            "`nunatak ingest KIND SOURCE --catalogue URL --collection NAME`"
        )
        raise AbsentError(msg) from error
    except ValueError as error:
        msg = f"{url} is no JSON ({error}); restore it from a copy or ingest into a new folder"
        raise CatalogueError(msg) from error
    found = document.get("type") if isinstance(document, dict) else type(document).__name__
    if found not in expected.split(" or ") or "id" not in document:
        msg = f"{url} holds {found!r}, expected a STAC {expected} with an id; check the address"
        raise CatalogueError(msg)
    return dict(document)


def hrefs(document: Mapping[str, Any], relation: str, url: str) -> list[str]:
    """Return the targets of the links of one relation."""
    try:
        links = [link for link in document.get("links", []) if link["rel"] == relation]
        return [str(link["href"]) for link in links]
    except (TypeError, KeyError) as error:
        msg = f"{url}: a link lacks rel or href ({error!r}); each STAC link needs both"
        raise CatalogueError(msg) from error


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
