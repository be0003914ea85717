"""A static STAC catalogue: JSON files in a folder or bucket, searched in this process.

What a search sees is the index of each collection (`items.parquet`) and every item file that the
index does not hold yet, so an ingest in progress, or one that was killed, never hides its items.
Links are followed inside the catalogue's folder only.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pystac

from stac import item_index
from stac.confinement import remote
from stac.documents import (
    MalformedError,
    find_item,
    hrefs,
    pass_over,
    read_item,
    read_json,
    require_item,
    sort_key,
    unknown_collection,
)
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
LARGEST_INDEX = 2**30
"""An index at most [bytes]: of a million items or more."""

logger = logging.getLogger(__name__)


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
        """Return ``(address of the item file, item)`` for the items that answer a query.

        One that is no STAC item is passed over with a warning.
        """
        answers, known = indexed(files.folder, query)
        for url in self._item_urls(files):
            if url.rsplit("/", 1)[-1].removesuffix(".json") in known:
                continue
            item = find_item(url)
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
            try:
                yield read_item(item, url)
            except MalformedError as error:
                pass_over(error)

    def _asset_url(self, item: Mapping[str, Any], href: str, folder: str) -> str:
        """Return where an asset lies: in this catalogue, unless its item says that it only refers.

        Such an item may name any absolute address, but one that came from elsewhere no local path.
        """
        absolute = "://" in href or href.startswith("/")
        if not (item["properties"].get(REFERENCED) is True and absolute):
            return self._follow(href, folder)
        return normalise(href) if is_local(self.url) else remote(href, root=self.url)


def item_url(folder: str, item_id: str) -> str:
    """Return where the file of an item lies in a collection's folder."""
    return join(folder, item_id, f"{item_id}.json")


def indexed(folder: str, query: Query) -> tuple[list[tuple[str, dict[str, Any]]], set[str]]:
    """Return what the index of a collection answers, and the ids that it speaks for.

    A damaged index speaks for none: the item files say the same. Nor does it speak for a row that
    is no STAC item.
    """
    url = join(folder, item_index.FILE_NAME)
    try:
        data = read_bytes(url, confined=True, largest=LARGEST_INDEX)
    except FileNotFoundError:
        return [], set()
    try:
        table = item_index.read(data)
        known, rows = item_index.ids(table), item_index.select(table, query)
    except item_index.DamagedError as error:
        logger.warning("%s is passed over: %s; the next ingest writes it anew", url, error)
        return [], set()
    answers = []
    for item in rows:
        item_file = item_url(folder, str(item.get("id")))
        try:
            require_item(item, item_file)
        except MalformedError:
            known.discard(str(item.get("id")))
        else:
            answers.append((item_file, item))
    return answers, known
