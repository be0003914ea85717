"""Same bytes, same item; changed bytes are refused; a killed ingest leaves nothing to repair."""

import hashlib
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pystac
import pytest

from pipelines.commands.ingest import ingest_all
from stac import registry, source_files, stores
from stac.catalogue import CatalogueError, UnreachableError, open_catalogue
from stac.contracts import open_item, open_regions
from stac.ingest import KINDS, READABLE, Ingested, IngestError, ingest
from tests.stac.conftest import Fill, square, write_geojson, write_month


def states(results) -> Counter[str]:
    return Counter(done.state for done in results)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def months_into(url: Path, *sources: Path):
    return list(ingest("grace-l2", [str(s) for s in sources], catalogue=str(url), collection="f"))


def test_ingest_adds_what_can_be_opened(catalogue: Path):
    opened = open_catalogue(str(catalogue))

    fields = [open_item(item) for item in opened.search("fields")]
    tables = [open_regions(item) for item in opened.search("regions")]

    assert [field.attrs["time_start"] for field in fields[:2]] == ["2011-01-01", "2011-02-01"]
    assert sum(len(table) for table in tables) == 4


def test_repeating_it_changes_nothing(catalogue: Path, fill: Fill):
    before = everything(catalogue)

    assert states(fill(str(catalogue))) == {"present": 8}

    assert everything(catalogue) == before


def test_the_same_bytes_under_another_name_are_the_same_item(catalogue: Path, months: Path):
    first = min(months.iterdir())
    copy = first.with_name("a-copy.gz")
    copy.write_bytes(first.read_bytes())

    (done,) = ingest("grace-l2", [str(copy)], catalogue=str(catalogue), collection="fields")

    assert done.state == "present"
    assert done.item_id == first.stem
    assert first.name in done.reason


def test_changed_bytes_are_refused_with_both_checksums(catalogue: Path, months: Path):
    before = everything(catalogue)
    old = hashlib.sha256((months / min(p.name for p in months.iterdir())).read_bytes()).hexdigest()
    path = write_month(months, 2011, 1, scale=99.0)
    new = hashlib.sha256(path.read_bytes()).hexdigest()

    (done,) = ingest("grace-l2", [str(path)], catalogue=str(catalogue), collection="fields")

    assert done.state == "failed"
    assert old in done.reason
    assert new in done.reason
    assert "items never change" in done.reason
    assert everything(catalogue) == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[: len(data) // 2], ""),
        (lambda data: b"", "is empty"),
        (lambda data: b"hello", ""),
        (lambda data: pickle.dumps({"a": 1}), ""),
    ],
)
def test_one_bad_source_fails_alone(months: Path, tmp_path: Path, spoil, message: str):
    victim = sorted(months.iterdir())[2]
    victim.write_bytes(spoil(victim.read_bytes()))

    results = months_into(tmp_path / "c", months)

    assert states(results) == {"added": 4, "failed": 1}
    (failed,) = [done for done in results if done.state == "failed"]
    assert failed.source == str(victim)
    assert failed.item_id == ""
    assert message in failed.reason
    assert failed.reason
    assert len(list(open_catalogue(str(tmp_path / "c")).search("f"))) == 4


def test_no_source_is_unpickled(months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a source was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)

    assert states(months_into(tmp_path / "c", months)) == {"added": 5}


def test_sources_may_be_files_folders_and_globs(months: Path, tmp_path: Path):
    (months / ".hidden").write_text("not looked at")
    (months / "deep").mkdir()
    first, *_ = sorted(months.glob("*.gz"))
    first.rename(months / "deep" / first.name)

    by_file = months_into(tmp_path / "c", months / "deep" / first.name)
    by_glob = months_into(tmp_path / "c", Path(str(months / "GSM-2_2011*.gz")))
    by_folder = months_into(tmp_path / "c", months)

    assert states(by_file) == {"added": 1}
    assert states(by_glob) == {"added": 4}
    assert states(by_folder) == {"present": 5}


@pytest.mark.parametrize("source", ["nowhere.gz", "no*thing", "empty"])
def test_a_source_that_stands_for_nothing_fails_alone(tmp_path: Path, months: Path, source: str):
    (tmp_path / "empty").mkdir()

    results = months_into(tmp_path / "c", tmp_path / source, months)

    assert results[0].state == "failed"
    assert "check the path" in results[0].reason
    assert states(results[1:]) == {"added": 5}


def test_a_file_that_cannot_be_read_fails_alone(
    months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The tests may run as root, whom permissions do not stop: the store says it instead."""
    victim = min(months.iterdir())
    filesystem = source_files.filesystem

    class Guarded:
        def __init__(self, fs):
            self._fs = fs

        def __getattr__(self, name):
            return getattr(self._fs, name)

        def cat_file(self, path):
            if path == str(victim):
                raise PermissionError(13, "Permission denied")
            return self._fs.cat_file(path)

    def guarded(url):
        fs, path = filesystem(url)
        return Guarded(fs), path

    monkeypatch.setattr(source_files, "filesystem", guarded)

    results = months_into(tmp_path / "c", months)

    assert states(results) == {"failed": 1, "added": 4}
    assert "check the path and its permissions" in results[0].reason


def test_a_shapefile_is_its_parts(tmp_path: Path):
    import geopandas as gpd

    table = gpd.read_file(write_geojson(tmp_path / "x.geojson", {"a": square(10.0, -75.0)}))
    folder = tmp_path / "shapes"
    folder.mkdir()
    table.to_crs("EPSG:3031").to_file(folder / "one.shp")

    (first,) = ingest("basins", [str(folder)], catalogue=str(tmp_path / "c"), collection="b")
    (folder / "one.dbf").write_bytes((folder / "one.dbf").read_bytes().replace(b"a ", b"b "))
    (second,) = ingest("basins", [str(folder)], catalogue=str(tmp_path / "c"), collection="b")

    parts = [folder / f"one{suffix}" for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg")]
    assert first.state == "added"
    assert first.bytes == sum(part.stat().st_size for part in parts)
    assert second.state == "failed"
    assert first.checksum in second.reason
    (folder / "one.prj").unlink()
    (third,) = ingest("basins", [str(folder)], catalogue=str(tmp_path / "c"), collection="d")
    assert "comes without .prj" in third.reason


def test_each_kind_has_a_reader_and_others_are_refused(tmp_path: Path):
    assert set(READABLE) == set(KINDS)
    assert len(KINDS) == 21
    with pytest.raises(IngestError, match="'gravity' is no kind of source"):
        ingest("gravity", [], catalogue=str(tmp_path), collection="v")


def test_a_collection_holds_one_kind(catalogue: Path):
    with pytest.raises(CatalogueError, match="holds 'grace-l2', not 'gia'"):
        ingest("gia", [], catalogue=str(catalogue), collection="fields")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_a_collection_name_stays_inside_the_catalogue(tmp_path: Path, name: str):
    with pytest.raises(CatalogueError, match="collection name"):
        ingest("gia", [], catalogue=str(tmp_path), collection=name)


def test_a_web_address_cannot_be_written(tmp_path: Path):
    with pytest.raises(CatalogueError, match="can only be read"):
        ingest("gia", [], catalogue="http://127.0.0.1:9/x", collection="x")


def test_nothing_ingested_makes_no_collection(tmp_path: Path):
    results = months_into(tmp_path / "c", tmp_path / "nowhere")

    assert states(results) == {"failed": 1}
    assert not (tmp_path / "c" / "catalog.json").exists()


def test_a_full_disk_stops_the_ingest_and_leaves_what_was_there(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = everything(catalogue)
    more = tmp_path / "more"
    more.mkdir()
    write_month(more, 2011, 6)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "_place_locally", full)

    with pytest.raises(UnreachableError, match=r"No space left.*make room and repeat"):
        list(ingest("grace-l2", [str(more)], catalogue=str(catalogue), collection="fields"))

    assert everything(catalogue) == before


def test_an_ingest_that_is_closed_early_leaves_an_index(months: Path, tmp_path: Path):
    running = ingest("grace-l2", [str(months)], catalogue=str(tmp_path / "c"), collection="f")

    assert [next(running).state, next(running).state] == ["added", "added"]
    running.close()

    assert (tmp_path / "c" / "f" / "items.parquet").is_file()
    assert len(list(open_catalogue(str(tmp_path / "c")).search("f"))) == 2


def test_a_file_where_the_catalogue_should_be_is_told(months: Path, tmp_path: Path):
    (tmp_path / "c").write_text("in the way")

    with pytest.raises(UnreachableError, match=r"cannot .* check the path"):
        months_into(tmp_path / "c", months)


STOPS = ("place", "create_bytes", "update_index")
KILLED = """
import os, sys
from stac import registry
from stac.ingest import ingest
target, source, stop = sys.argv[1:]
owner = registry.stores if stop == "place" else registry
real, calls = getattr(owner, stop), []
def dying(*arguments, **options):
    calls.append(stop)
    if len(calls) == 3 or stop == "update_index":
        os.kill(os.getpid(), 9)
    return real(*arguments, **options)
setattr(owner, stop, dying)
list(ingest("grace-l2", [source], catalogue=target, collection="f"))
"""


@pytest.mark.parametrize("stop", STOPS)
def test_a_killed_ingest_is_finished_by_the_next(months: Path, tmp_path: Path, stop: str):
    target, whole = tmp_path / "killed", tmp_path / "whole"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(target), str(months), stop], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    left = sum(1 for _ in target.glob("f/*/*.json"))
    half = next(target.glob("f/*/*.zarr"), None)
    if stop == "create_bytes":
        newest = max(target.glob("f/*/*.zarr/zarr.json"), key=os.path.getmtime)
        newest.write_bytes(b"half")

    results = months_into(target, months)
    months_into(whole, months)

    assert half is not None
    assert left == (5 if stop == "update_index" else 2)
    assert states(results) == Counter(added=5 - left, present=left) - Counter()
    made = {n: d for n, d in everything(target).items() if ".zarr/" in n}
    assert made == {n: d for n, d in everything(whole).items() if ".zarr/" in n}
    assert (
        len(list(pystac.Catalog.from_file(str(target / "catalog.json")).get_items(recursive=True)))
        == 5
    )


def test_items_of_a_killed_ingest_are_found_before_the_next(months: Path, tmp_path: Path):
    target = tmp_path / "c"
    first, *_ = sorted(months.iterdir())
    months_into(target, first)
    subprocess.run(
        [sys.executable, "-c", KILLED, str(target), str(months), "update_index"], check=False
    )

    assert len(list(open_catalogue(str(target)).search("f"))) == 5


def _ingest_in_process(url: str, source: str, collection: str) -> list[str]:
    results = ingest("basins", [source], catalogue=url, collection=collection)
    return [done.state for done in results]


@pytest.mark.slow
def test_concurrent_ingests_lose_no_item(tmp_path: Path):
    """Four processes, 12 own files each and 4 in common, two collections, one catalogue."""
    folders = []
    for process in range(4):
        folder = tmp_path / f"p{process}"
        folder.mkdir()
        folders.append(folder)
        for k in range(12):
            where = square(-170.0 + 25.0 * k, -72.0 - process)
            write_geojson(folder / f"own-{process}-{k}.geojson", {f"{process}-{k}": where})
        for k in range(4):
            write_geojson(folder / f"common-{k}.geojson", {f"c{k}": square(30.0 * k, -80.0)})
    url = str(tmp_path / "c")
    tasks = [(url, str(folder), f"n{i % 2}") for i, folder in enumerate(folders)]

    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(_ingest_in_process, *zip(*tasks, strict=True)))

    opened = open_catalogue(url)
    assert all(set(done) <= {"added", "present"} for done in results)
    assert sum(done.count("added") for done in results) == 2 * (2 * 12 + 4)
    for name in ("n0", "n1"):
        assert len(list(opened.search(name))) == 28
        document = json.loads((tmp_path / "c" / name / "collection.json").read_text())
        assert sum(link["rel"] == "item" for link in document["links"]) == 28
        assert len(registry.all_items(url, name)) == 28


@pytest.mark.realdata
def test_the_real_months_are_catalogued_once(data_root: Path, tmp_path: Path):
    source = data_root / "gravity" / "csr_rl06_96"
    sources = [str(path) for path in sorted(source.iterdir())[:6]]

    first = list(ingest("grace-l2", sources, catalogue=str(tmp_path), collection="csr"))
    again = list(ingest("grace-l2", sources, catalogue=str(tmp_path), collection="csr"))

    assert states(first) == {"added": 6}
    assert states(again) == {"present": 6}
    (item, *_) = open_catalogue(str(tmp_path)).search("csr")
    assert open_item(item).attrs["max_degree"] == 96


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("kind", "place", "count"),
    [
        ("degree-one", "gravity/auxiliary/TN-13*", 1),
        ("low-degrees", "gravity/auxiliary/TN-14*", 1),
        ("love-numbers", "gravity/love_numbers", 3),
        ("gia", "gravity/gia", 2),
        ("grace-l2", "gravity/GOCO06s_l20.gfc", 1),
        ("basins", "basins/measures_imbie_basins_v02", 1),
        ("boundaries", "basins/measures_coastline_v02", 1),
    ],
)
def test_every_real_auxiliary_file_is_catalogued(
    data_root: Path, tmp_path: Path, kind: str, place: str, count: int
):
    results = list(
        ingest(kind, [str(data_root / place)], catalogue=str(tmp_path), collection="aux")
    )

    assert states(results) == {"added": count}, results
    for item in open_catalogue(str(tmp_path)).search("aux"):
        (open_regions if kind in {"basins", "boundaries"} else open_item)(item)


def test_a_command_looks_at_each_source_once(
    months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stac import ingest as module

    looked: list[str] = []
    expand = module.expand

    def counting(source: str, kind: str) -> list[str | Ingested]:
        looked.append(source)
        return expand(source, kind)

    monkeypatch.setattr(module, "expand", counting)
    sources = (str(months), str(tmp_path / "nothing"))

    found = ingest_all("grace-l2", sources, catalogue=str(tmp_path / "c"), collection="f")

    assert looked == list(sources)
    assert states(found) == {"added": 5, "failed": 1}
