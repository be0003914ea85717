"""A comparison killed after a mask and after some of its methods: the arrays of a quiet one."""

from pathlib import Path

import pytest

from tests.fixtures.comparison import FEW, FRACTIONS, Common, plan_of

from .budget_world import arrays_of, differing
from .conftest import opened, rows
from .killed_runs import committed, kill_after, run_quietly

pytestmark = pytest.mark.long


def test_a_run_killed_in_every_stage_ends_with_the_arrays_of_a_quiet_one(
    common: Common, tmp_path: Path
) -> None:
    document = common.document(
        regions="few",
        inputs={"shelf_damage": [common.address("shelf_damage")], "shelves": "shelves"},
        comparison={"mask_share": 0.02, "batch": 1,
                    "dynamics": {"behind": [{"shelf": shelf, "regions": ["21", "22"]}
                                            for shelf in FRACTIONS]}},
    )  # fmt: skip
    (tmp_path / "quiet").mkdir()
    plan_of(document, tmp_path / "quiet")
    # By workers too, with one thread each: sums of more threads have other last bits.
    quiet = run_quietly(tmp_path / "quiet" / "comparison.yaml")
    plan = plan_of(document, tmp_path)
    path = tmp_path / "comparison.yaml"
    keys = sum(len(stage.keys) for stage in plan.stages)

    # After the mask, and among the methods.
    killed = [kill_after(part, path, plan) for part in (1, 3)]
    done = run_quietly(path)

    assert keys == 7
    assert killed == sorted(set(killed)), killed
    assert killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    assert quiet.returncode == 0, quiet.stderr
    ours, theirs = (arrays_of(opened(folder / "out")) for folder in (tmp_path, tmp_path / "quiet"))
    assert not differing(theirs, ours)
    told = rows(tmp_path / "out", "comparison.csv")
    rates = {row.region for row in told if row.quantity == "mass_balance"}
    assert rates == {*FEW, "EAIS", "WAIS", "AIS"}
    assert "Mass balance by every method" in done.stdout
