"""A mass budget on one process, on workers, and killed again and again: the same arrays."""

from pathlib import Path

import pytest

from pipelines import settings
from pipelines.flows import mass_budget

from .budget_world import BudgetWorld, arrays_of, differing
from .conftest import changed, opened, plan_of, worked, write_document
from .killed_runs import committed, kill_after, run_quietly

pytestmark = pytest.mark.long

TABLES = ("regions", "years", "members", "gates", "coverage", "uncertainty")


def test_a_run_killed_in_every_stage_ends_with_the_arrays_of_a_quiet_one(
    budget: BudgetWorld, tmp_path: Path
) -> None:
    document = changed(budget.document(), mass_budget={"batch": 2, "nodes_per_task": 4096})
    path = write_document(tmp_path, document)
    plan = mass_budget.plan(settings.read(path))
    stages = {stage.name: len(stage.keys) for stage in plan.stages}
    keys = sum(stages.values())
    here = worked(plan_of(document, tmp_path))

    # Within samples, within mosaics, and after the flux.
    ends = (2, stages["sample"] + 2, stages["sample"] + stages["mosaic"] + 1)
    killed = [kill_after(part, path, plan) for part in ends]
    done = run_quietly(path)

    assert killed == sorted(set(killed)), killed
    assert killed[-1] < keys
    assert done.returncode == 0, done.stderr
    assert committed(plan) == keys
    written = arrays_of(opened(tmp_path / "out"))
    assert not differing(arrays_of(here), written)
    for name in TABLES:
        assert (tmp_path / "out" / "tables" / f"{name}.csv").stat().st_size > 200


def test_two_workers_and_other_blocks_of_nodes_give_the_same_bits(
    budget: BudgetWorld, workers: str, tmp_path: Path
) -> None:
    document = budget.document()
    here = arrays_of(worked(plan_of(document, tmp_path)))
    blocks = changed(document, mass_budget={"nodes_per_task": 2048})

    outcome = plan_of(blocks, tmp_path).execute(workers)

    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    assert not differing(here, arrays_of(opened(tmp_path / "out")))


@pytest.mark.ray
def test_ray_sweeps_an_ensemble_with_the_numbers_of_dask(
    budget: BudgetWorld, workers: str, tmp_path: Path
) -> None:
    """Two beds by a gate that is read and one that is made."""
    document = changed(budget.document(), mass_budget={"gates": {"generate_km": [40]}})
    on_dask = plan_of(changed(document, output="dask"), tmp_path)
    on_ray = plan_of(changed(document, output="ray"), tmp_path)

    outcomes = [on_dask.execute(workers), on_ray.execute(ray="local")]

    assert [(each.failed, each.left) for each in outcomes] == [(0, 0), (0, 0)]
    written = [arrays_of(opened(tmp_path / name)) for name in ("dask", "ray")]
    assert len(written[0]["member_choice"]) > 1
    assert not differing(*written)
