"""A combination killed again and again, then left in peace: the arrays of an undisturbed one."""

from pathlib import Path

import pytest

from pipelines import settings
from pipelines.flows import combination

from .conftest import Products, changed, write_document
from .killed_runs import committed, kill_after, run_quietly
from .test_gravimetry import assert_equal_bit_for_bit

pytestmark = pytest.mark.long


def test_a_run_killed_in_every_part_ends_with_the_arrays_of_a_quiet_one(
    products: Products, tmp_path: Path
) -> None:
    document = products.document("out")
    path = write_document(tmp_path, changed(document, combination={"batch": 1}))
    plan = combination.plan(settings.read(path))
    keys = sum(len(stage.keys) for stage in plan.stages)

    killed = [kill_after(part, path, plan) for part in (1, 3, 5)]
    done = run_quietly(path)

    assert keys == 8
    assert killed == sorted(set(killed)), killed
    assert killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    assert_equal_bit_for_bit(tmp_path / "out", products.combination)
    for name in ("regions.csv", "contribution.csv"):
        one, other = (
            folder / "tables" / name for folder in (tmp_path / "out", products.combination)
        )
        assert one.read_bytes() == other.read_bytes()
