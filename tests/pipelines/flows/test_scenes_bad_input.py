"""Scenes that cannot be read: failed receipts that say why, the next-ranked taken, all mended."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from click.testing import CliRunner

from pipelines.cli import main

from .scenes_world import (
    Bay,
    Done,
    Shot,
    arrays,
    bay,
    carried_out,
    choose,
    counts,
    found,
    part,
    pixels,
    planned,
    recorded,
    stripes,
    tried,
    without_workers,
)

BEST = Shot("2014-12-10T12:00:00", seed=1)
SECOND = Shot("2014-12-12T12:00:00", path=8, cloud=lambda r, c: (r < 60) & (c < 60), seed=2)
WEST = Shot("2015-12-03T12:00:00", path=8, grid=part((-20, 340), (-20, 190)), seed=3)
EAST = Shot("2015-12-05T12:00:00", path=9, grid=part((-20, 340), (170, 340)), seed=4)
POOR = Shot("2015-12-07T12:00:00", path=7, cloud=lambda r, c: (r + c) % 60 < 24, seed=5)
STRIPED = Shot("2010-12-10T12:00:00", "landsat-7", gap=stripes, gap_files=True, seed=6)
SHOTS = [BEST, SECOND, WEST, EAST, POOR, STRIPED]
BOTH = {"period": ["2014-11-01", "2016-03-31"]}
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return bay(tmp_path_factory.mktemp("bay"), SHOTS)


@pytest.fixture(scope="module")
def whole(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run in which everything can be read."""
    return carried_out(made.document(2014, **BOTH), tmp_path_factory.mktemp("whole"))


@contextlib.contextmanager
def broken(path: Path, change: Change) -> Iterator[None]:
    """Change a file for a while."""
    kept = path.read_bytes()
    change(path)
    try:
        yield
    finally:
        path.write_bytes(kept)


def cut(path: Path) -> None:
    """Lose the last pixels; overviews stand before them."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])


def vanish(path: Path) -> None:
    path.unlink()


def flip(path: Path) -> None:
    """Change one byte of the last pixels, so that the size stays."""
    data = bytearray(path.read_bytes())
    data[-200] ^= 0xFF
    path.write_bytes(data)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 7)


@pytest.mark.parametrize(
    ("name", "change", "verify", "key", "said"),
    [
        ("red", cut, "none", "store/rowan/2014/0", "cut off"),
        ("red", cut, "size", "store/rowan/2014/0", "its catalogue promises"),
        ("red", flip, "full", "store/rowan/2014/0", "has checksum"),
        ("blue", grow, "size", "store/rowan/2014/0", "its catalogue promises"),
        ("red", vanish, "size", "screen/rowan/2014/0", "is not there"),
        ("qa_pixel", grow, "size", "screen/rowan/2014/0", "its catalogue promises"),
        ("qa_pixel", flip, "full", "screen/rowan/2014/0", "has checksum"),
    ],
)
def test_a_scene_that_cannot_be_read_is_told_and_the_next_ranked_is_taken(
    made: Bay, tmp_path: Path, name: str, change: Change, verify: str, key: str, said: str
) -> None:
    with broken(made.file(BEST, name), change):
        run = tried(choose(made.document(2014), verify=verify), tmp_path)

    assert set(run.failures) == {key}
    assert said in run.failures[key]
    assert made.file(BEST, name).name in run.failures[key]
    assert run.chosen("rowan/2014") == ["2014-12-12"]
    spare = 2 if key.startswith("store") else 0
    assert run.place("rowan/2014", "2014-12-12") == spare


def mended(made: Bay, folder: Path, path: Path, change: Change) -> tuple[Done, Done]:
    """Run with a broken file, then again when it is whole."""
    document = made.document(2014, **BOTH)
    with broken(path, change):
        before = carried_out(document, folder)
        held = arrays(before.group)
    after = carried_out(document, folder)
    assert before.outcome.failed == 1
    assert held
    assert after.outcome.failed == after.outcome.left == 0
    return before, after


def assert_as_if_never_failed(again: Done, expected: Done) -> None:
    """Compare all arrays but the note that a place was taken before."""
    ours, theirs = arrays(again.group), arrays(expected.group)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        if not name.endswith("/held"):
            assert ours[name].tobytes() == theirs[name].tobytes(), name
    for name in ("tables/scenes.csv", "review.yaml", "search.json"):
        assert (again.output / name).read_bytes() == (expected.output / name).read_bytes()


@pytest.mark.slow
def test_a_mended_file_is_taken_as_if_it_had_never_failed(
    made: Bay, whole: Done, tmp_path: Path
) -> None:
    before, after = mended(made, tmp_path, made.file(BEST, "red"), cut)

    ((key, reason),) = before.outcome.failures
    assert key.partition("@")[0] == "store/rowan/2014/0"
    assert made.file(BEST, "red").name in reason
    assert (before.output / "item.json").exists()
    assert_as_if_never_failed(after, whole)


@pytest.mark.slow
def test_a_candidate_mended_later_replaces_the_pixels_of_who_stood_in_for_it(
    made: Bay, whole: Done, tmp_path: Path
) -> None:
    before, after = mended(made, tmp_path, made.file(WEST, "red"), vanish)

    assert {r.key.split("/")[0] for r in before.receipts if r.state == "failed"} == {"screen"}
    assert_as_if_never_failed(after, whole)
    for name in ("reflectance", "mask"):
        ours, theirs = (
            {p.relative_to(run.output) for p in run.output.rglob("c/*") if name in p.parts}
            for run in (after, whole)
        )
        assert ours == theirs


@pytest.mark.slow
def test_mending_one_summer_leaves_the_other_alone(made: Bay, tmp_path: Path) -> None:
    _, after = mended(made, tmp_path, made.file(BEST, "red"), cut)

    keys = {receipt.key.partition("@")[0] for receipt in after.receipts}
    assert {"store/rowan/2014/0", "close/rowan/2014", "choose/rowan/2014/1"} <= keys
    assert not [key for key in keys if "2015" in key or key.startswith(("screen", "ground"))]


@pytest.mark.slow
def test_a_scene_that_fails_twice_costs_nothing_the_second_time(made: Bay, tmp_path: Path) -> None:
    with broken(made.file(BEST, "red"), cut):
        carried_out(made.document(2014), tmp_path)
        again = carried_out(made.document(2014), tmp_path)

    assert [receipt.key.partition("@")[0] for receipt in again.receipts] == ["store/rowan/2014/0"]
    assert again.chosen("rowan/2014") == ["2014-12-12"]


@pytest.mark.slow
def test_the_review_says_what_could_not_be_read(made: Bay, tmp_path: Path) -> None:
    with broken(made.file(BEST, "red"), cut):
        run = carried_out(made.document(2014), tmp_path)

    text = (run.output / "review.yaml").read_text()
    assert "2014-12-10  landsat-8  was chosen, but could not be read" in text
    assert yaml.safe_load(text)["overrides"][0]["use"] != []


def test_the_command_publishes_the_rest_and_exits_with_3(made: Bay, tmp_path: Path) -> None:
    planned(made.document(2014), tmp_path)
    with broken(made.file(BEST, "red"), cut), without_workers():
        done = CliRunner().invoke(main, ["run", str(tmp_path / "scenes.yaml")])

    assert done.exit_code == 3, done.output
    assert made.file(BEST, "red").name in done.output
    assert (tmp_path / "out" / "product.zarr" / "zarr.json").exists()


@pytest.mark.slow
def test_when_nothing_can_be_read_the_summer_is_empty_and_the_rest_published(
    made: Bay, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        for shot in (BEST, SECOND):
            stack.enter_context(broken(made.file(shot, "qa_pixel"), vanish))
        run = carried_out(made.document(2014, **BOTH), tmp_path)

    assert run.outcome.failed == 2
    assert run.chosen("rowan/2014") == []
    assert sorted(run.chosen("rowan/2015")) == ["2015-12-03", "2015-12-05"]
    assert not run.array("rowan/2014/supplier").any()


@pytest.fixture(scope="module")
def search(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return found(made.document(2014, **BOTH), tmp_path_factory.mktemp("search"))


@pytest.fixture(scope="module")
def striped(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return found(made.document(2010), tmp_path_factory.mktemp("striped"))


def replayed(made: Bay, search: bytes, folder: Path, change: Callable[[Any], None]) -> Any:
    """Run 2014 on a recorded search in which the item of BEST is changed."""

    def of_best(features: list[dict[str, Any]]) -> None:
        change(next(each for each in features if each["id"] == BEST.id))

    name = recorded(search, folder, of_best)
    return tried(made.document(2014, inputs={"recorded": str(name)}), folder)


def without_place(item: dict[str, Any]) -> None:
    for each in (item["properties"], *item["assets"].values()):
        for key in [key for key in each if key.startswith("proj:")]:
            del each[key]


def test_an_item_without_projection_is_laid_where_its_files_say(
    made: Bay, search: bytes, tmp_path: Path
) -> None:
    run = replayed(made, search, tmp_path, without_place)

    assert run.failures == {}
    stored = run.counts("rowan/2014", "2014-12-10").astype(float)
    assert np.abs(stored - counts(made, BEST)).max() <= 1


def test_an_item_without_projection_whose_files_have_none_either_is_refused(
    made: Bay, search: bytes, tmp_path: Path
) -> None:
    def misplaced(item: dict[str, Any]) -> None:
        without_place(item)
        for name in ("red", "green", "blue", "qa_pixel", "qa_radsat"):
            path = tmp_path / f"{name}.tif"
            values = pixels(made.file(BEST, name))
            with rasterio.open(
                path, "w", driver="GTiff", width=320, height=320, count=1, dtype="uint16"
            ) as image:
                image.write(values, 1)
            item["assets"][name] = {"href": str(path)}

    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        run = replayed(made, search, tmp_path, misplaced)
    assert "proj:" in run.failures["screen/rowan/2014/0"]
    assert run.chosen("rowan/2014") == ["2014-12-12"]


def test_metadata_of_another_scene_is_refused(made: Bay, search: bytes, tmp_path: Path) -> None:
    def mixed(item: dict[str, Any]) -> None:
        item["assets"]["mtl"]["href"] = str(made.home(SECOND) / f"{SECOND.id}_MTL.json")
        for key in ("file:size", "file:checksum"):
            item["assets"]["mtl"].pop(key)

    run = replayed(made, search, tmp_path, mixed)

    assert "another product" in run.failures["screen/rowan/2014/0"]
    assert SECOND.id in run.failures["screen/rowan/2014/0"]


def test_of_two_collections_the_newer_is_taken_and_the_other_told(
    made: Bay, search: bytes, tmp_path: Path
) -> None:
    def older(item: dict[str, Any]) -> None:
        item["id"] = item["id"].replace("_02_T2", "_01_T2")
        item["properties"]["landsat:collection_number"] = "01"

    run = replayed(made, search, tmp_path, older)

    assert run.words("rowan/2014/candidate") == ["2014-12-12"]
    assert any("Collection 1 beside Collection 2" in note for note in run.plan.notes)


@pytest.mark.parametrize(
    ("asset", "href"),
    [
        ("red", "/etc/passwd"),
        ("red", "/vsicurl/http://127.0.0.1:9/a.tif"),
        ("red", "GTIFF_RAW:/etc/passwd"),
        ("red", "<VRTDataset rasterXSize='1' rasterYSize='1'/>"),
        ("qa_pixel", "file:///etc/passwd"),
        ("qa_pixel", "/vsizip//etc/hosts.zip/a.tif"),
        ("qa_pixel", "s3://.."),
        ("mtl", "/etc/passwd"),
        ("mtl", "file:///etc/passwd"),
        ("mtl", "simplecache::file:///etc/A_MTL.json"),
        ("mtl", "zip://A_MTL.json::/etc/passwd"),
    ],
)
def test_an_item_that_points_elsewhere_is_refused_and_nothing_of_it_told(
    made: Bay, search: bytes, tmp_path: Path, asset: str, href: str
) -> None:
    def elsewhere(item: dict[str, Any]) -> None:
        item["assets"][asset] = {"href": href}

    run = replayed(made, search, tmp_path, elsewhere)

    told = json.dumps(run.failures) + " ".join(run.plan.notes)
    assert run.failures or "left out" in told
    assert "root:" not in told
    assert run.chosen("rowan/2014") == ["2014-12-12"]


@pytest.mark.parametrize("verify", ["none", "size", "full"])
@pytest.mark.parametrize("name", ["mtl", "gap_red"])
def test_a_file_that_is_called_otherwise_is_asked_nothing(
    made: Bay, striped: bytes, tmp_path: Path, verify: str, name: str
) -> None:
    """Its size would tell a stranger what there is on this machine."""
    other = tmp_path / "private"
    other.write_bytes(b"7 bytes")

    def elsewhere(features: list[dict[str, Any]]) -> None:
        features[0]["assets"][name] = {
            "href": str(other), "file:size": 5, "file:checksum": "1220" + 64 * "0"
        }  # fmt: skip

    path = recorded(striped, tmp_path, elsewhere)
    document = choose(made.document(2010, inputs={"recorded": str(path)}), verify=verify)
    run = tried(document, tmp_path)

    (reason,) = run.failures.values()
    assert "expected a file called" in reason or "expected a gap mask named" in reason
    assert "bytes" not in reason
    assert "checksum" not in reason


def lose_the_outline(item: dict[str, Any]) -> None:
    item["geometry"] = {"type": "Polygon", "coordinates": [[[0, -70], [1, -70]]]}


def lose_the_platform(item: dict[str, Any]) -> None:
    item["id"] = "nameless"
    del item["properties"]["platform"]


@pytest.mark.parametrize("change", [lose_the_outline, lose_the_platform])
def test_an_item_that_cannot_be_read_is_left_out_and_told(
    made: Bay, search: bytes, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    run = replayed(made, search, tmp_path, change)

    assert run.failures == {}
    assert run.words("rowan/2014/candidate") == ["2014-12-12"]
    assert any("left out" in note for note in run.plan.notes)


@pytest.mark.parametrize(
    ("asset", "said"),
    [
        ({"href": "/nowhere/X_GM_B3.TIF.gz"}, "no gap mask|is not there"),
        ({"href": "/etc/passwd"}, "expected a gap mask named as"),
        ({"href": "zip://X_GM_B3.TIF.gz::/etc/passwd"}, "no plain address"),
        ({"file:size": 3}, "its catalogue promises 3"),
    ],
)
def test_a_gap_mask_that_cannot_be_used_is_told(
    made: Bay, striped: bytes, tmp_path: Path, asset: dict[str, Any], said: str
) -> None:
    def worse(features: list[dict[str, Any]]) -> None:
        given = features[0]["assets"]["gap_red"]
        features[0]["assets"]["gap_red"] = asset if "href" in asset else given | asset

    name = recorded(striped, tmp_path, worse)
    run = tried(made.document(2010, inputs={"recorded": str(name)}), tmp_path)

    assert re.search(said, run.failures["store/rowan/2010/0"])
    assert "b'root" not in run.failures["store/rowan/2010/0"]
    assert run.chosen("rowan/2010") == []
