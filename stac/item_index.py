"""The index of a collection: its items as one stac-geoparquet table, searched in process.

The index repeats what the item files say, so it may be thrown away: `static_catalogue` reads item
files that it lacks, `registry.rebuild_index` writes it anew.
"""

import io
import tempfile
from collections.abc import Mapping, Sequence
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
# Text in STAC, timestamps in the table, which come back with microseconds.
INSTANTS = frozenset({"datetime", "start_datetime", "end_datetime", "created", "updated"})


def encode(items: Sequence[Mapping[str, Any]]) -> bytes:
    """Write items, sorted by id, as a stac-geoparquet file.

    Relative hrefs are kept as they stand in the item files, so the catalogue can be moved.

    Raises
    ------
    CatalogueError
        If the geometry of an item cannot be read.
    """
    for item in items:
        _require_outline(item)
    ordered = sorted(items, key=lambda item: str(item["id"]))
    table = stac_arrow.parse_stac_items_to_arrow([dict(item) for item in ordered]).read_all()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE_NAME)
        stac_arrow.to_parquet(table, path)
        return path.read_bytes()


def _require_outline(item: Mapping[str, Any]) -> None:
    if item.get("geometry") is None:
        return
    try:
        outline(item["geometry"])
    except OutlineError as error:
        msg = f"item {item['id']}: {error}; correct its file, or ingest its source again"
        raise CatalogueError(msg) from error


def read(data: bytes) -> pa.Table | None:
    """Open the bytes of an index; None if they are damaged, for the item files tell the same."""
    try:
        return pq.read_table(io.BytesIO(data))
    except pa.ArrowInvalid:
        return None


def ids(table: pa.Table) -> set[str]:
    """Return the ids that the index holds."""
    return set(table["id"].to_pylist())


def items(table: pa.Table) -> list[dict[str, Any]]:
    """Return items as the dicts that their files hold.

    A column that one item has is null for the items that lack it; those nulls are dropped, except
    ``datetime``, which STAC wants to be null where an item spans a period.
    """
    return [_without_nulls(item) for item in stac_arrow.stac_table_to_items(table)]


def select(table: pa.Table, query: Query) -> list[dict[str, Any]]:
    """Return the items that answer a query; all conditions but CQL2 are tested on whole columns."""
    keep = np.ones(table.num_rows, dtype=bool)
    if query.ids is not None:
        keep &= pc.is_in(table["id"], value_set=pa.array(list(query.ids), pa.string())).to_numpy()
    if query.span is not None:
        keep &= _overlapping(table, query.span)
    if query.area is not None:
        keep &= _meeting(table, query.area)
    chosen = items(table.filter(pa.array(keep)))
    return [item for item in chosen if query.passes_filter(item)]


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
