"""Damage maps killed in their middle, on other workers, or with new scenes: the same arrays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pipelines.lifecycle import Plan
from tests.fixtures import shelf_scenes

from . import networks_world as networks
from . import shelf_damage_world as world
from .conftest import opened, write_document
from .killed_runs import committed, kill_after, run_quietly
from .shelf_damage_world import Bay

pytestmark = pytest.mark.long

BLOCKS = {"shelf_damage": {"batch": 1}}


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Bay:
    return world.bay(tmp_path_factory.mktemp("bay"))


@pytest.fixture(scope="module")
def quiet(bay: Bay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of a run that nobody disturbed, in one process."""
    plan = bay.plan(tmp_path_factory.mktemp("quiet"), **BLOCKS)
    outcome = networks.executed(plan)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return Path(plan.output)


def arrays(group: zarr.Group, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, array in group.arrays():
        yield f"{path}/{name}", array[...]
    for name, inner in group.groups():
        yield from arrays(inner, f"{path}/{name}")


def assert_same(output: Path, quiet: Path) -> None:
    """Compare every array bit for bit, and the tables."""
    ours, theirs = (dict(arrays(opened(each))) for each in (output, quiet))
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    for name in ("shelves", "unpublished", "scenes"):
        table = f"tables/{name}.csv"
        assert (output / table).read_bytes() == (quiet / table).read_bytes(), name


def run_killed(bay: Bay, folder: Path, keys: int) -> tuple[Plan, int]:
    """Kill a run after so many keys and let it end; return how many it had done by then."""
    path = write_document(folder, bay.document(**BLOCKS))
    plan = bay.plan(folder, **BLOCKS)
    killed = kill_after(keys, path, plan)
    done = run_quietly(path)
    assert done.returncode == 0, done.stderr
    return plan, killed


@pytest.mark.parametrize("stage", ["segment", "merge"])
def test_a_run_killed_in_a_stage_ends_with_the_arrays_of_a_quiet_one(bay, quiet, tmp_path, stage):
    sizes = {each.name: len(each.keys) for each in bay.plan(tmp_path).stages}
    before = {"segment": 0, "merge": sizes["segment"] + sizes["extent"]}[stage]
    plan, killed = run_killed(bay, tmp_path, before + 1)

    assert before < killed < sum(sizes.values())
    assert committed(plan) == sum(sizes.values())
    assert_same(tmp_path / "out", quiet)
    lines = (tmp_path / "out" / "receipts.jsonl").read_text().splitlines()
    told = [json.loads(line)["key"].partition("@")[0] for line in lines]
    assert sorted(told) == sorted(key for each in plan.stages for key in each.keys)


def stopped(plan: Plan, after: int) -> list[str]:
    """Carry a plan out until so many keys are done, then stop as a person would."""
    worked: list[str] = []

    def count(receipt: Any) -> None:
        worked.append(receipt.key.partition("@")[0])
        if len(worked) == after:
            raise KeyboardInterrupt

    with networks.here():
        try:
            plan.execute(on_receipt=count)
        except KeyboardInterrupt:
            return worked
    return worked


@pytest.mark.parametrize("after", [2, 6])
def test_what_is_done_is_not_done_again_after_a_stop(bay, quiet, tmp_path, after):
    plan = bay.plan(tmp_path, **BLOCKS)
    first = stopped(plan, after)
    second = stopped(bay.plan(tmp_path, **BLOCKS), 999)

    assert len(first) == after
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(key for s in plan.stages for key in s.keys)
    assert_same(tmp_path / "out", quiet)


def test_more_threads_an_actor_or_another_batch_make_no_other_run(bay, tmp_path):
    plain = bay.plan(tmp_path, **BLOCKS)
    other = bay.plan(tmp_path, shelf_damage={"batch": 5, "actors": {"count": 2}})

    assert plain.run_id == other.run_id
    assert plain.run_id != bay.plan(tmp_path, shelf_damage={"threshold": 0.4}).run_id


def test_scenes_that_were_made_again_make_another_run_that_says_so(bay, quiet, tmp_path):
    """A new release of the scenes has another snapshot: nothing old is taken for done."""
    from cluster.zarr_sink import VersionConflict

    record = shelf_scenes.write_scenes(
        tmp_path / "scenes", ("cedar",), summers=(2010, 2011), size=shelf_scenes.SMALL,
        striped=(),
    )  # fmt: skip
    inputs = {"inputs": {"scenes": str(record.output)}}
    plan = bay.plan(quiet.parent, **inputs)

    assert plan.run_id != bay.plan(quiet.parent).run_id
    with pytest.raises(VersionConflict, match=r"give --fresh to start a new version"):
        networks.executed(plan)
