"""An altimetry run killed again and again, then left in peace: the arrays of an undisturbed one."""

from pathlib import Path

import pytest

from pipelines import settings
from pipelines.flows import altimetry

from .conftest import Products, altimetry_document, changed, write_document
from .killed_runs import committed, kill_after, run_quietly
from .test_gravimetry import assert_equal_bit_for_bit

pytestmark = pytest.mark.long


def test_a_run_killed_in_every_part_ends_with_the_arrays_of_a_quiet_one(
    products: Products, altimetry_catalogue: Path, tmp_path: Path
) -> None:
    document = altimetry_document(str(altimetry_catalogue), "out")
    path = write_document(tmp_path, changed(document, altimetry={"batch": 2}))
    plan = altimetry.plan(settings.read(path))
    keys = sum(len(stage.keys) for stage in plan.stages)

    killed = [kill_after(part, path, plan) for part in (6, 25, 45)]
    done = run_quietly(path)

    assert keys == 71
    assert killed == sorted(set(killed)), killed
    assert killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    assert_equal_bit_for_bit(tmp_path / "out", products.altimetry)
    one, other = (
        folder / "tables" / "regions.csv" for folder in (tmp_path / "out", products.altimetry)
    )
    assert one.read_bytes() == other.read_bytes()
