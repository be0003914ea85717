"""A scenes run killed in its middle, or on other workers: the arrays of an undisturbed one."""

import json
from pathlib import Path

import pytest

from pipelines.lifecycle import dated_keys

from .killed_runs import committed, kill_after, run_quietly
from .scenes_world import (
    Bay,
    Done,
    Shot,
    arrays,
    bay,
    carried_out,
    choose,
    part,
    planned,
    without_workers,
)

pytestmark = pytest.mark.long

FULL = Shot("2014-12-10T12:00:00", seed=1)
CLOUDY = Shot("2014-12-03T12:00:00", path=8, cloud=lambda _, c: c > 200, seed=2)
WEST = Shot("2015-12-03T12:00:00", path=8, grid=part((-20, 340), (-20, 190)), seed=3)
EAST = Shot("2015-12-05T12:00:00", path=9, grid=part((-20, 340), (170, 340)), seed=4)
NORTH = Shot("2016-12-09T23:59:50", row=112, grid=part((-20, 200), (-20, 340)), seed=5)
SOUTH = Shot("2016-12-10T00:00:14", row=113, grid=part((120, 340), (-20, 340)), seed=6)
THREE = {"period": ["2014-11-01", "2017-03-31"]}
TOLD = ("tables/scenes.csv", "review.yaml", "search.json", "rois/rois.gpkg")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    shots = [FULL, CLOUDY, WEST, EAST, NORTH, SOUTH]
    return bay(tmp_path_factory.mktemp("bay"), shots)


@pytest.fixture(scope="module")
def quiet(made: Bay, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that nobody disturbed, in one process."""
    return carried_out(made.document(2014, **THREE), tmp_path_factory.mktemp("quiet"))


def assert_same(output: Path, quiet: Done) -> None:
    """Compare every array bit for bit, and what is told of them."""
    ours, theirs = arrays(Done(quiet.plan, quiet.outcome, output, []).group), arrays(quiet.group)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    for name in TOLD:
        assert (output / name).read_bytes() == (quiet.output / name).read_bytes(), name


def test_a_run_that_is_done_does_nothing_more(made: Bay, tmp_path: Path) -> None:
    document = made.document(2015)
    first = carried_out(document, tmp_path)
    held = {path: path.stat().st_mtime_ns for path in first.output.rglob("*.json")}

    again = carried_out(document, tmp_path)

    assert again.receipts == []
    assert again.outcome == first.outcome
    assert {path: path.stat().st_mtime_ns for path in again.output.rglob("*.json")} == held


def test_keys_in_reverse_and_one_by_one_give_the_same_bits(
    made: Bay, quiet: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import execution

    def backwards(*arguments: object) -> tuple[tuple[str, ...], ...]:
        return tuple(keys[::-1] for keys in dated_keys(*arguments))  # type: ignore[arg-type]

    plan = planned(choose(made.document(2014, **THREE), batch=1), tmp_path)
    monkeypatch.setattr(execution, "dated_keys", backwards)
    with without_workers():
        plan.execute()

    assert_same(tmp_path / "out", quiet)


def test_a_run_killed_while_it_stores_ends_with_the_arrays_of_a_quiet_one(
    made: Bay, quiet: Done, tmp_path: Path
) -> None:
    document = choose(made.document(2014, **THREE), batch=1)
    plan = planned(document, tmp_path)
    keys = sum(len(stage.keys) for stage in plan.stages)
    before_storing = 1 + len(plan.stages[1].keys) + len(plan.stages[2].keys)
    path = tmp_path / "scenes.yaml"

    killed = [kill_after(part, path, plan) for part in (3, before_storing + 2)]
    done = run_quietly(path)

    assert plan.stages[3].name == "store"
    assert killed == sorted(set(killed)), killed
    assert before_storing < killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    assert_same(tmp_path / "out", quiet)
    lines = (tmp_path / "out" / "receipts.jsonl").read_text().splitlines()
    told = [json.loads(line)["key"].partition("@")[0] for line in lines]
    assert sorted(told) == sorted(key for stage in plan.stages for key in stage.keys)


def test_two_processes_of_dask_give_the_bits_of_one(
    made: Bay, quiet: Done, tmp_path: Path, workers: str
) -> None:
    outcome = planned(made.document(2014, **THREE), tmp_path).execute(workers)

    assert outcome.failed == outcome.left == 0
    assert_same(tmp_path / "out", quiet)
