"""What is written into a static catalogue, in an order that survives a kill at any point.

First the data store, under the checksum of its source; then the item's file; then the index and
the links of the collection, which repeat what the item files say. A collection on local disk has
one writer at a time (a lock file, held while an item is put in place, not while it is converted,
which lists the ids of the items, so that writers learn of each other's without listing the folder).
On object storage an item file is created by a conditional PUT, so of two ingests of one name one
wins and the other is told; index and links are swapped against the version that was read.
Promised there: no item is lost and none overwritten. Not promised there: that the same bytes under
two names, ingested at the same moment, end as one item.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from typing import Any

import numpy as np
import pystac

from stac import item_index, stores
from stac.documents import MalformedError, find_item, find_json, hrefs, read_json, require_item
from stac.grids import WHOLE_GLOBE
from stac.items import ALWAYS, JSON_MEDIA, Source, multihash, store_name
from stac.locations import (
    CatalogueError,
    create_bytes,
    join,
    list_folders,
    locked,
    normalise,
    parent,
    reaching,
    update_bytes,
)
from stac.queries import Query, instant, plane_box, rfc3339
from stac.source_files import SourceError
from stac.static_catalogue import CollectionFiles, StaticCatalogue, item_url

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
ITEM_ID = re.compile(r"\w[\w.-]*", re.ASCII)


class ChangedSourceError(ValueError):
    """A source differs from the item that already has its name."""


@dataclass
class CollectionWriter:
    """One collection of a static catalogue, open for adding items.

    `known` maps item ids to (source name, source multihash); it grows as others add items.
    """

    root: str
    name: str
    kind: str
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    _by_checksum: dict[str, str] = field(default_factory=dict, repr=False)
    _heard: int = field(default=0, repr=False)
    """Bytes of the lock file that were read."""

    @property
    def folder(self) -> str:
        """Folder of the collection."""
        return join(self.root, self.name)

    def refresh(self) -> None:
        """Learn of items that were added since, by listing the folder."""
        self._learn_of(list_folders(self.folder))

    def _learn_of(self, ids: Iterable[str]) -> None:
        for item_id in set(ids) - set(self.known):
            item = find_item(item_url(self.folder, item_id))
            if item is not None:
                self.learn(item)

    def _catch_up(self, journal: FileIO | None) -> None:
        """Learn of items that other processes on this machine began to add, as their lock tells.

        On object storage nobody tells: there a lost creation is what makes a writer look.
        """
        if journal is None:
            return
        size = journal.seek(0, os.SEEK_END)
        journal.seek(self._heard if size >= self._heard else 0)
        lines = journal.readall().decode(errors="replace").split("\n")
        self._learn_of(line for line in lines if ITEM_ID.fullmatch(line))
        self._heard = size

    def _announce(self, item_id: str, journal: FileIO | None) -> None:
        """Tell others before the item is there, so that it is seen if this writer is killed."""
        if journal is not None:
            # A line that a killed writer left unfinished must not become part of this one.
            with reaching(self.folder, to="write"):
                self._heard += journal.write(f"\n{item_id}\n".encode())

    def learn(self, item: Mapping[str, Any]) -> None:
        """Remember which source an item holds."""
        properties = item["properties"]
        name, checksum = (
            str(properties.get(f"nunatak:source_{each}")) for each in ("name", "checksum")
        )
        self.known[str(item["id"])] = name, checksum
        self._by_checksum.setdefault(checksum, str(item["id"]))

    def find(self, source: Source, item_id: str) -> str | None:
        """Return the id of the item that holds these bytes, if any.

        Raises
        ------
        ChangedSourceError
            If other bytes already have this source's id.
        """
        present = self._by_checksum.get(multihash(source.sha256))
        if present is None and item_id in self.known:
            raise self._changed(source, item_id)
        return present

    def add(self, item: pystac.Item, stored: stores.Stored | None, source: Source) -> str | None:
        """Put a converted source in place; return the id of the item that was there, if any.

        Without a store there is the item alone, which names files that stay where they are.

        Raises
        ------
        ChangedSourceError
            If the name is taken by other bytes, or by a file that is no item.
        SourceError
            If its id, which may be a stranger's text, would lie outside the collection's folder.
        """
        if not ITEM_ID.fullmatch(item.id):
            msg = f"{source.name}: its id {item.id!r} must be letters, digits, '-', '_' or '.'"
            raise SourceError(msg)
        with locked(self.folder) as journal:
            self._catch_up(journal)
            present = self.find(source, item.id)
            if present is not None:
                return present
            url = item_url(self.folder, item.id)
            if stored is not None:
                stores.place(stored, join(parent(url), store_name(source, stored)))
            document = item.to_dict(include_self_link=False, transform_hrefs=False)
            self._announce(item.id, journal)
            if create_bytes(url, to_json(document)):
                self.learn(document)
                return None
            self.refresh()
            present = self.find(source, item.id)
            if present is None:
                msg = (
                    f"{url} is there and is no STAC item; delete it and ingest {source.name} again"
                )
                raise ChangedSourceError(msg)
            return present

    def publish(self) -> None:
        """Bring index, links and extents of the collection up to the item files."""
        if not self.known:
            return
        with locked(self.folder):
            update_index(self.folder)
            update_bytes(join(self.folder, "collection.json"), self._collection_document)
        with locked(self.root):
            update_bytes(join(self.root, "catalog.json"), self._catalogue_document)

    def _collection_document(self, old: bytes | None) -> bytes:
        document = json.loads(old) if old else new_collection(self.name, self.kind)
        items = all_items(self.root, self.name)
        kept = [link for link in document.get("links", []) if link["rel"] != "item"]
        linked = [_link("item", f"./{item['id']}/{item['id']}.json") for item in items]
        extent = {"spatial": {"bbox": [_box(items)]}, "temporal": {"interval": [_interval(items)]}}
        return to_json(document | {"extent": extent, "links": [*kept, *linked]})

    def _catalogue_document(self, old: bytes | None) -> bytes:
        document = json.loads(old) if old else new_catalogue()
        child = _link("child", f"./{self.name}/collection.json")
        links = document.setdefault("links", [])
        if all(link.get("href") != child["href"] for link in links):
            links.append(child)
        return to_json(document)

    def _changed(self, source: Source, item_id: str) -> ChangedSourceError:
        name, checksum = self.known[item_id]
        msg = (
            f"{source.name} has SHA-256 {source.sha256}, but item {item_id!r} of {self.name!r} was "
            f"made from {name} with SHA-256 {checksum.removeprefix(multihash(''))}; items never "
            "change: rename the file, or ingest it into another collection"
        )
        return ChangedSourceError(msg)


def open_writer(catalogue: str, collection: str, kind: str) -> CollectionWriter:
    """Open a collection for adding; nothing is written before the first item.

    Raises
    ------
    CatalogueError
        If the catalogue cannot be reached or written, the name cannot be a folder, or the
        collection holds another kind.
    """
    root = normalise(catalogue)
    root = parent(root) if root.endswith(".json") else root
    if root.startswith(("http://", "https://")):
        msg = f"{root} can only be read; ingest into a folder or an s3:// address"
        raise CatalogueError(msg)
    if not NAME.fullmatch(collection):
        msg = f"collection name {collection!r} must be letters, digits, '-', '_' or '.', no '/'"
        raise CatalogueError(msg)
    writer = CollectionWriter(root, collection, kind)
    entry = join(root, "catalog.json")
    hrefs(find_json(entry, expected="Catalog") or {}, "child", entry)
    url = join(writer.folder, "collection.json")
    document = find_json(url, expected="Collection")
    hrefs(document or {}, "item", url)
    if document is not None and document.get("nunatak:kind") != kind:
        found = document.get("nunatak:kind")
        msg = f"collection {collection!r} holds {found!r}, not {kind!r}; choose another collection"
        raise CatalogueError(msg)
    for item in all_items(root, collection):
        writer.learn(item)
    return writer


def rebuild_index(catalogue: str, collection: str) -> int:
    """Write the index of a collection anew from its item files; return how many items it holds."""
    root = normalise(catalogue)
    root = parent(root) if root.endswith(".json") else root
    folder = join(root, collection)
    document = read_json(join(folder, "collection.json"), expected="Collection")
    with locked(folder):
        update_index(folder, anew=True)
    writer = open_writer(root, collection, str(document.get("nunatak:kind")))
    writer.publish()
    return len(writer.known)


def update_index(folder: str, *, anew: bool = False) -> None:
    """Add to the index the items whose files it lacks; `anew` reads every item file again."""

    def change(old: bytes | None) -> bytes:
        indexed = None if old is None or anew else _indexed(old)
        added = _item_files(folder, {str(item["id"]) for item in indexed or []})
        if old is not None and indexed is not None and not added:
            return old
        return item_index.encode([*(indexed or []), *added])

    if list_folders(folder):
        update_bytes(join(folder, item_index.FILE_NAME), change)


def _indexed(data: bytes) -> list[dict[str, Any]] | None:
    """Return the items of an index; None if it is damaged, for the item files tell the same."""
    try:
        items = item_index.items(item_index.read(data))
        for item in items:
            require_item(item, item_index.FILE_NAME)
    except (item_index.DamagedError, MalformedError):
        return None
    return items


def all_items(root: str, collection: str) -> list[dict[str, Any]]:
    """Return every item of a collection as its file holds it, by id."""
    files = CollectionFiles(collection, join(root, collection, "collection.json"), {})
    items = [item for _, item in StaticCatalogue(root).item_dicts(files, Query())]
    return sorted(items, key=lambda item: str(item["id"]))


def new_catalogue() -> dict[str, Any]:
    """Return the document of an empty catalogue."""
    made = pystac.Catalog("nunatak", "Inputs and products of Nunatak, as static STAC.")
    return made.to_dict(include_self_link=False) | {"links": [_link("root", "./catalog.json")]}


def new_collection(name: str, kind: str) -> dict[str, Any]:
    """Return the document of an empty collection of one kind."""
    extent = pystac.Extent(
        pystac.SpatialExtent([list(WHOLE_GLOBE)]), pystac.TemporalExtent([[ALWAYS[0], None]])
    )
    made = pystac.Collection(
        name,
        f"Sources of kind {kind}, converted by Nunatak; each item names its source.",
        extent,
        license="other",
        extra_fields={"nunatak:kind": kind},
    )
    links = [_link("root", "../catalog.json"), _link("parent", "../catalog.json")]
    return made.to_dict(include_self_link=False) | {"links": links}


def to_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as it is stored: UTF-8, indented, no NaN."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _item_files(folder: str, known: set[str]) -> list[dict[str, Any]]:
    names = [name for name in list_folders(folder) if name not in known]
    found = (find_item(item_url(folder, name)) for name in names)
    return [item for item in found if item is not None]


def _link(relation: str, href: str) -> dict[str, str]:
    return {"rel": relation, "href": href, "type": JSON_MEDIA}


def _box(items: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the box around all items; one that tells no box adds nothing."""
    told = [plane_box(item["bbox"]) for item in items if item.get("bbox")]
    boxes = np.array(told or [WHOLE_GLOBE], dtype=float)
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]


def _interval(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return first and last instant of items; one without a period lasts no time."""
    first, last = (
        [instant(p.get(end) or p["datetime"]) for p in (item["properties"] for item in items)]
        for end in ("start_datetime", "end_datetime")
    )
    return [rfc3339(min(first)), rfc3339(max(last))]
