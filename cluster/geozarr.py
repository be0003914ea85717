"""A plain Zarr copy of a complete version, for browsers and for every reader of Zarr.

The copy holds the stored chunks of the version byte for byte, with metadata that its readers look
for: consolidated metadata in the root, a CF grid mapping variable, and the registration of the
GeoZarr conventions ``proj:`` and ``spatial:`` whose attributes the version carries. It also records
the snapshot that it was made of, so that copying the same version again does nothing.

Nobody can open half a copy. On a local disk it is built aside and renamed into place; on an object
store the root ``zarr.json``, without which nothing opens, is removed first and written last.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import zarr
from zarr.abc.store import Store
from zarr.buffer import default_buffer_prototype

from cluster import object_store
from cluster.address import Address, parse
from cluster.icechunk_storage import guard, quiet, translated
from cluster.version import COUNTER

SNAPSHOT = "nunatak:snapshot"
ROOT = "zarr.json"
# Encoded chunks held in memory at any time.
COPIES = 4

# The conventions are known by these identifiers, wherever their texts are kept.
_CONVENTIONS = {
    "proj:": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "spatial:": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
}

Document = dict[str, Any]
Value = TypeVar("Value")


class GeoZarrError(ValueError):
    """A group cannot be copied as GeoZarr."""


def export_geozarr(
    group: zarr.Group, url: str, *, snapshot: str, grid_mapping: Mapping[str, Any] | None = None
) -> bool:
    """Copy ``group`` to a plain Zarr v3 store at ``url``, and return whether anything was copied.

    Parameters
    ----------
    group : zarr.Group
        The root group of a version, read-only.
    url : str
        Address of the copy, by custom ``OUTPUT/product.zarr``; an older copy is replaced.
    snapshot : str
        The snapshot that ``group`` shows; recorded as attribute ``nunatak:snapshot``.
    grid_mapping : mapping, optional
        Attributes of the CF grid mapping variable, ``crs_wkt`` among them. If not given and the
        group has an attribute ``proj:code``, they are those of that reference system.

    Notes
    -----
    The variable is called as the ``grid_mapping`` attributes of the arrays say, or ``crs``. Arrays
    whose last dimensions are ``(y, x)`` get that attribute if they lack it. Memory is bounded by
    four encoded chunks.
    """
    if group.path:
        msg = f"the group {group.path!r} is not the root of its store; export the root group"
        raise GeoZarrError(msg)
    quiet()
    address = parse(url)
    with guard(address), translated(address, "writing the plain copy"):
        if _copied_snapshot(address) == snapshot:
            return False
        names = _waited(_names(group.store))
        documents = _documents(group.store, names, snapshot, grid_mapping)
        chunks = [name for name in names if not _is_metadata(name)]
        replace = _replace_folder if address.is_local else _replace_objects
        replace(group.store, chunks, documents, address)
    return True


def _copied_snapshot(address: Address) -> str | None:
    root = address.join(ROOT).url
    if not object_store.exists(root):
        return None
    found = json.loads(object_store.read_bytes(root)).get("attributes", {}).get(SNAPSHOT)
    return None if found is None else str(found)


def _replace_folder(
    store: Store, chunks: Iterable[str], documents: Mapping[str, Document], address: Address
) -> None:
    """Build the copy aside, then put it in the place of the old one by renaming.

    A reader between the two renames, a few microseconds, finds no copy; never a part of one.
    """
    target = address.local
    aside, old = (target.with_name(f".{target.name}.{end}") for end in ("tmp", "old"))
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)

    def write(name: str, data: bytes) -> None:
        path = aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    try:
        _write_all(store, chunks, documents, write)
        if target.exists():
            target.rename(old)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _replace_objects(
    store: Store, chunks: Iterable[str], documents: Mapping[str, Document], address: Address
) -> None:
    """Take the old root away, clear the prefix, write the copy, and its root last."""
    object_store.delete(address.join(ROOT).url)
    stale = [address.join(name).url for name in object_store.list_objects(address.url)]
    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(object_store.delete, stale))

    def write(name: str, data: bytes) -> None:
        object_store.write_bytes(address.join(name).url, data)

    _write_all(store, chunks, documents, write)


def _write_all(
    store: Store,
    chunks: Iterable[str],
    documents: Mapping[str, Document],
    write: Callable[[str, bytes], None],
) -> None:
    def copy(name: str) -> None:
        write(name, _read(store, name))

    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(copy, chunks))
    for name in sorted(documents, key=lambda name: name == ROOT):
        write(name, json.dumps(documents[name], indent=2).encode())


def _documents(
    store: Store, names: Iterable[str], snapshot: str, grid_mapping: Mapping[str, Any] | None
) -> dict[str, Document]:
    """Return the metadata of the copy, by name, the root consolidated."""
    metadata = [name for name in names if _is_metadata(name)]
    with ThreadPoolExecutor(COPIES) as pool:
        texts = pool.map(lambda name: _read(store, name), metadata)
        documents: dict[str, Document] = dict(zip(metadata, map(json.loads, texts), strict=True))
    root = documents[ROOT]
    attributes = root.setdefault("attributes", {})
    attributes.pop(COUNTER, None)
    attributes[SNAPSHOT] = snapshot
    _register_conventions(attributes)
    if grid_mapping is None and "proj:code" in attributes:
        grid_mapping = _cf_attributes(str(attributes["proj:code"]))
    if grid_mapping is not None:
        _add_grid_mapping(documents, dict(grid_mapping))
    members = {name.removesuffix(f"/{ROOT}"): documents[name] for name in sorted(documents)}
    members.pop(ROOT)
    root["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": members,
    }
    return documents


def _register_conventions(attributes: Document) -> None:
    used = [
        prefix for prefix in _CONVENTIONS if any(name.startswith(prefix) for name in attributes)
    ]
    known = {str(entry.get("uuid")) for entry in attributes.get("zarr_conventions", [])}
    added = [
        {"uuid": _CONVENTIONS[prefix], "name": prefix}
        for prefix in used
        if _CONVENTIONS[prefix] not in known
    ]
    if added:
        attributes["zarr_conventions"] = [*attributes.get("zarr_conventions", []), *added]


def _add_grid_mapping(documents: dict[str, Document], mapping: Document) -> None:
    """Add the variable that CF calls a grid mapping, and refer to it from maps that do not yet.

    A name in ``grid_mapping`` is looked up in the group of the map, so each such group gets one.
    """
    for name in [name for name in documents if _is_map(documents[name])]:
        attributes = documents[name].setdefault("attributes", {})
        variable = attributes.setdefault("grid_mapping", "crs")
        folder = name.removesuffix(f"/{ROOT}").rpartition("/")[0]
        path = f"{folder}/{variable}/{ROOT}" if folder else f"{variable}/{ROOT}"
        documents.setdefault(path, _scalar(mapping))


def _is_map(document: Document) -> bool:
    return (
        tuple(document.get("dimension_names") or ())[-2:] == ("y", "x")
        or "grid_mapping" in document.get("attributes", {})
    )  # fmt: skip


def _scalar(attributes: Document) -> Document:
    """Return the metadata of an array without dimensions, whose attributes are what matters."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [],
        "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": []}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": attributes,
        "dimension_names": [],
        "storage_transformers": [],
    }


def _cf_attributes(code: str) -> Document:
    """Return the CF attributes of a reference system, ``crs_wkt`` among them."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return dict(CRS.from_user_input(code).to_cf())
    except CRSError as error:
        msg = f"proj:code is {code!r}, which is no reference system; write e.g. EPSG:3031"
        raise GeoZarrError(msg) from error


def _is_metadata(name: str) -> bool:
    return name.rsplit("/", 1)[-1] == ROOT


async def _names(store: Store) -> list[str]:
    return sorted([name async for name in store.list()])


def _read(store: Store, name: str) -> bytes:
    """Return one object of ``store``; called on threads, each with a loop of its own."""
    found = asyncio.run(store.get(name, default_buffer_prototype()))
    if found is None:
        msg = f"{name!r} vanished while it was copied; export a snapshot, which cannot change"
        raise GeoZarrError(msg)
    return found.to_bytes()


def _waited(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Return the result of ``coroutine``; the caller may be inside an event loop itself."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
