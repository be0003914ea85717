"""A damaged index is never believed, and never in the way of a search or an ingest."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stac import item_index
from stac.catalogue import CatalogueError, open_catalogue
from stac.ingest import ingest
from stac.locations import UnreachableError
from stac.queries import Query
from tests.stac.conftest import write_month
from tests.stac.scripted_server import item

EVERYWHERE = Query(bbox=[-180, -90, 180, 90], period=("2000-01-01", ".."))
FEW = 150
"""Bytes that are flipped where each takes a search: some seconds."""


@pytest.fixture(scope="module")
def items() -> list[dict]:
    return [item("a"), item("b"), item("c")]


@pytest.fixture(scope="module")
def index(items: list[dict]) -> bytes:
    return item_index.encode(items)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def unsealed(data: bytes) -> bytes:
    """Return an index as those write it who know of no seal."""
    start = data.index(item_index.SEAL)
    return data[:start] + data[start + len(item_index.SEAL) + 32 :]


def test_a_sealed_index_is_parquet_for_everybody(index: bytes):
    assert index.count(item_index.SEAL) == 1
    sealed, bare = (pq.read_table(io.BytesIO(data)) for data in (index, unsealed(index)))
    assert sealed.equals(bare)
    assert sealed["id"].to_pylist() == ["a", "b", "c"]


def test_each_flipped_byte_is_seen_or_changes_nothing(index: bytes, items: list[dict]):
    whole = item_index.items(item_index.read(index))
    believed = 0
    for place in range(len(index)):
        try:
            table = item_index.read(flipped(index, place))
            found = item_index.select(table, EVERYWHERE)
        except item_index.DamagedError:
            continue
        believed += 1
        assert found == whole, place
        assert item_index.ids(table) == {"a", "b", "c"}
    # The seal's own name, without which an index is one of somebody else.
    assert believed <= len(item_index.SEAL)


def test_each_flipped_byte_of_an_index_without_seal_is_no_defect(index: bytes):
    bare = unsealed(index)
    damaged = 0
    for place in range(0, len(bare), max(1, len(bare) // 1500)):
        try:
            _looked_through(flipped(bare, place))
        except item_index.DamagedError:
            damaged += 1
    assert damaged > 50


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 100])
def test_a_torn_index_is_damaged(index: bytes, length: int):
    for data in (index[:length], index[-length:] if length else b""):
        with pytest.raises(item_index.DamagedError):
            item_index.read(data)


def test_a_table_of_something_else_is_no_index():
    import pyarrow as pa

    for columns in ({"name": ["a"]}, {"id": [None]}, {"id": [["a"]]}, {"id": ["a"]}):
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        with pytest.raises(item_index.DamagedError):
            _looked_through(sink.getvalue())


def _looked_through(data: bytes) -> None:
    table = item_index.read(data)
    item_index.ids(table)
    item_index.select(table, EVERYWHERE)


def test_a_row_that_is_no_item_is_looked_up_in_its_file(
    catalogue: Path,
):
    path = catalogue / "fields" / "items.parquet"
    table = item_index.read(path.read_bytes())
    sink = io.BytesIO()
    pq.write_table(table.drop_columns(["datetime", "start_datetime", "end_datetime"]), sink)
    path.write_bytes(sink.getvalue())

    found = list(open_catalogue(str(catalogue)).search("fields"))

    assert len(found) == 5
    assert all(Path(each.assets["data"].href).is_dir() for each in found)


def test_searches_and_ingests_do_without_a_damaged_index(
    catalogue: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = catalogue / "fields" / "items.parquet"
    whole = path.read_bytes()
    expected = [each.to_dict() for each in open_catalogue(str(catalogue)).search("fields")]
    for place in range(0, len(whole), len(whole) // FEW):
        path.write_bytes(flipped(whole, place))
        found = open_catalogue(str(catalogue)).search("fields", period=("2011-01-01", ".."))
        assert [each.to_dict() for each in found] == expected
    assert f"{path} is passed over" in caplog.text

    for place in range(0, len(whole), len(whole) // 8):
        path.write_bytes(flipped(whole, place))
        (done,) = ingest(
            "grace-l2", [str(tmp_path / "months" / "GSM-2_2011001*.gz")],
            catalogue=str(catalogue), collection="fields",
        )  # fmt: skip
        assert done.state == "present"
        assert path.read_bytes() == whole


def test_a_store_that_does_not_answer_is_no_damage(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else a search of a store that stumbles would quietly read each item file."""

    def failing(*_: object, **__: object) -> bytes:
        msg = "the store does not answer"
        raise UnreachableError(msg)

    opened = open_catalogue(str(catalogue))
    monkeypatch.setattr("stac.static_catalogue.read_bytes", failing)

    with pytest.raises(UnreachableError):
        opened.search("fields")


def test_items_of_mixed_forms_are_told_when_written(items: list[dict]):
    odd = items[1] | {"properties": items[1]["properties"] | {"eo:cloud_cover": "many"}}
    plain = items[0] | {"properties": items[0]["properties"] | {"eo:cloud_cover": 5}}

    with pytest.raises(CatalogueError, match="fit no common table"):
        item_index.encode([plain, odd])


def test_an_ingest_lists_the_folder_no_more_often_for_more_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stac import locations, registry, static_catalogue

    listed: list[str] = []

    def counting(url: str) -> list[str]:
        listed.append(url)
        return locations.list_folders(url)

    for module in (registry, static_catalogue):
        monkeypatch.setattr(module, "list_folders", counting)
    counts = []
    for months in (2, 8):
        folder = tmp_path / f"months-{months}"
        folder.mkdir()
        for month in range(1, months + 1):
            write_month(folder, 2011, month)
        listed.clear()
        done = list(ingest("grace-l2", [str(folder)], catalogue=str(tmp_path / f"c{months}"),
                           collection="f"))  # fmt: skip
        assert len(done) == months
        counts.append(len(listed))
    assert counts[0] == counts[1]


def test_writers_learn_of_each_other_while_both_are_open(months: Path, tmp_path: Path):
    """The same bytes under two names end as one item, also when neither writer saw the other begin.

    Each generator has opened its writer, and so read what there is, before the first adds.
    """
    catalogue, twins = str(tmp_path / "c"), tmp_path / "twins"
    twins.mkdir()
    for k, path in enumerate(sorted(months.iterdir())):
        (twins / f"other-name-{k}.gz").write_bytes(path.read_bytes())
    first = ingest("grace-l2", [str(months)], catalogue=catalogue, collection="f")
    second = ingest("grace-l2", [str(twins)], catalogue=catalogue, collection="f")

    states = [(one.state, other.state) for one, other in zip(first, second, strict=True)]

    assert states == [("added", "present")] * 5


def test_what_a_killed_writer_announced_is_not_believed(months: Path, tmp_path: Path):
    """It announces an item before it is there, and may be killed in between, or within the line."""
    catalogue = tmp_path / "c"
    running = ingest("grace-l2", [str(months)], catalogue=str(catalogue), collection="f")
    assert next(running).state == "added"
    with (catalogue / "f" / ".lock").open("ab") as journal:
        journal.write(b"\nGSM-2_2011032-2011059_GRAC_UTCSR_BB01_0600\n../../secret\n\xff\nGSM-2_2")

    assert [done.state for done in running] == ["added"] * 4
    assert len(list(open_catalogue(str(catalogue)).search("f"))) == 5


def test_a_name_that_is_taken_by_other_bytes_is_still_told(months: Path, tmp_path: Path):
    catalogue = str(tmp_path / "c")
    (path, *_) = sorted(months.iterdir())
    first = ingest("grace-l2", [str(path)], catalogue=catalogue, collection="f")
    changed = tmp_path / "changed"
    changed.mkdir()
    write_month(changed, 2011, 1, scale=7.0)
    second = ingest("grace-l2", [str(changed)], catalogue=catalogue, collection="f")

    assert next(first).state == "added"
    (failed,) = second
    assert "items never change" in failed.reason
    assert json.loads((tmp_path / "c" / "f" / "collection.json").read_text())["id"] == "f"
