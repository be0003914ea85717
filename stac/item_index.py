"""The index of a collection: its items as one stac-geoparquet table, searched in process.

The index repeats what the item files say, so it may be thrown away: `static_catalogue` reads item
files that it lacks, `registry.rebuild_index` writes it anew. A seal before its footer, where no
reader of Parquet looks, tells whether its bytes are those that were written.
"""

import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
import stac_geoparquet.arrow as stac_arrow
from numpy.typing import NDArray

from stac.locations import CatalogueError
from stac.queries import EARLIEST, LATEST, OutlineError, Query, outline

FILE_NAME = "items.parquet"
SEAL = b"nunatak-index-sha256:"
DIGEST_BYTES = hashlib.sha256().digest_size
# What Arrow and its readers raise of bytes that are in memory, and are not what they should be.
PARSING = (
    pa.ArrowException, shapely.errors.ShapelyError, ArithmeticError, AttributeError, LookupError,
    OSError, RecursionError, TypeError, ValueError,
)  # fmt: skip
# Text in STAC, timestamps in the table, which come back with microseconds.
INSTANTS = frozenset({"datetime", "start_datetime", "end_datetime", "created", "updated"})


class DamagedError(ValueError):
    """The bytes of an index are not what was written, or not those of an index."""


def encode(items: Sequence[Mapping[str, Any]]) -> bytes:
    """Write items, sorted by id, as a sealed stac-geoparquet file.

    Relative hrefs are kept as they stand in the item files, so the catalogue can be moved.

    Raises
    ------
    CatalogueError
        If the geometry of an item cannot be read, or no table holds all of the items.
    """
    for item in items:
        _require_outline(item)
    table = _table(sorted(items, key=lambda item: str(item["id"])))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE_NAME)
        stac_arrow.to_parquet(table, path)
        return _sealed(path.read_bytes())


def _table(items: Sequence[Mapping[str, Any]]) -> pa.Table:
    if not items:
        msg = (
            "no item of the collection can be read: see the warnings, and ingest its sources again"
        )
        raise CatalogueError(msg)
    try:
        return stac_arrow.parse_stac_items_to_arrow([dict(item) for item in items]).read_all()
    except PARSING as error:
        reason = " ".join(str(error).split())[:200]
        whose = items[0].get("collection") or "the collection"
        msg = (
            f"the items of {whose!r} fit no common table ({reason}); correct "
            "the file that holds this value, or ingest its source again: until then searches read "
            "each item file"
        )
        raise CatalogueError(msg) from error


def _sealed(data: bytes) -> bytes:
    """Put the checksum of a Parquet file before its footer."""
    start = _footer(data)
    return data[:start] + SEAL + hashlib.sha256(data).digest() + data[start:]


def _footer(data: bytes) -> int:
    """Return where the footer begins, as the last eight bytes tell."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def _require_whole(data: bytes) -> None:
    """Compare an index with its seal; one that others wrote has none."""
    start = _footer(data)
    begin = start - len(SEAL) - DIGEST_BYTES
    if begin < 0 or data[begin : begin + len(SEAL)] != SEAL:
        return
    found = hashlib.sha256(memoryview(data)[:begin])
    found.update(memoryview(data)[start:])
    if found.digest() != data[start - DIGEST_BYTES : start]:
        msg = "its bytes are not those that were written"
        raise DamagedError(msg)


def _require_outline(item: Mapping[str, Any]) -> None:
    if item.get("geometry") is None:
        return
    try:
        outline(item["geometry"])
    except OutlineError as error:
        msg = f"item {item['id']}: {error}; correct its file, or ingest its source again"
        raise CatalogueError(msg) from error


def read(data: bytes) -> pa.Table:
    """Open the bytes of an index.

    Raises
    ------
    DamagedError
        If they are damaged; the item files tell the same as the index did.
    """
    _require_whole(data)
    with _parsing():
        return pq.read_table(io.BytesIO(data))


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except PARSING as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        msg = f"it cannot be read ({reason})"
        raise DamagedError(msg) from error


def ids(table: pa.Table) -> set[str]:
    """Return the ids that the index holds.

    Raises
    ------
    DamagedError
        If it has none, or what is no text.
    """
    with _parsing():
        found = table["id"].cast(pa.string()).to_pylist()
        if None in found:
            msg = "a row has no id"
            raise ValueError(msg)
        return set(found)


def items(table: pa.Table) -> list[dict[str, Any]]:
    """Return items as the dicts that their files hold.

    A column that one item has is null for the items that lack it; those nulls are dropped, except
    ``datetime``, which STAC wants to be null where an item spans a period.

    Raises
    ------
    DamagedError
        If the rows are no items.
    """
    with _parsing():
        return [_without_nulls(item) for item in stac_arrow.stac_table_to_items(table)]


def select(table: pa.Table, query: Query) -> list[dict[str, Any]]:
    """Return the items that answer a query; all conditions but CQL2 are tested on whole columns.

    Raises
    ------
    DamagedError
        If the columns are not those of an index.
    """
    with _parsing():
        keep = _kept(table, query)
    chosen = items(table.filter(pa.array(keep)))
    return [item for item in chosen if query.passes_filter(item)]


def _kept(table: pa.Table, query: Query) -> NDArray[np.bool_]:
    keep = np.ones(table.num_rows, dtype=bool)
    if query.ids is not None:
        keep &= pc.is_in(table["id"], value_set=pa.array(list(query.ids), pa.string())).to_numpy()
    if query.span is not None:
        keep &= _overlapping(table, query.span)
    if query.area is not None:
        keep &= _meeting(table, query.area)
    return keep


def _overlapping(table: pa.Table, span: tuple[datetime, datetime]) -> NDArray[np.bool_]:
    first, last = (_instants(table, name) for name in ("start_datetime", "end_datetime"))
    start, end = (pa.scalar(moment, pa.timestamp("us", "UTC")) for moment in span)
    begins_before = pc.less_equal(first, end) if span[1] < LATEST else pc.is_valid(first)
    ends_after = pc.greater_equal(last, start) if span[0] > EARLIEST else pc.is_valid(last)
    both = pc.fill_null(pc.and_(begins_before, ends_after), fill_value=False)
    return np.asarray(both.to_numpy(), dtype=bool)


def _instants(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column of instants; an item without a period lasts no time at its ``datetime``."""
    kind = pa.timestamp("us", "UTC")
    columns = [table[n].cast(kind) for n in (name, "datetime") if n in table.column_names]
    return pc.coalesce(*columns) if len(columns) > 1 else columns[0]


def _meeting(table: pa.Table, area: shapely.Geometry) -> NDArray[np.bool_]:
    wkb = table["geometry"].combine_chunks()
    storage = wkb.storage if isinstance(wkb, pa.ExtensionArray) else wkb
    geometries = shapely.from_wkb(storage.to_numpy(zero_copy_only=False))
    shapely.prepare(area)
    return np.asarray(shapely.intersects(area, geometries), dtype=bool)


def _without_nulls(item: dict[str, Any]) -> dict[str, Any]:
    moment = item["properties"].get("datetime")
    cleaned: dict[str, Any] = _prune(item)
    cleaned.setdefault("assets", {})
    properties = cleaned["properties"] | {"datetime": moment}
    for name in INSTANTS & properties.keys():
        if properties[name] is not None:
            properties[name] = str(properties[name]).replace(".000000Z", "Z")
    return cleaned | {"properties": properties}


def _prune(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _prune(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_prune(inner) for inner in value]
    return value
