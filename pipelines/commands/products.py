"""Which flow makes which product, and how a run file becomes a plan."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from pipelines.lifecycle import Plan
    from pipelines.settings import Run

PRODUCTS = (
    "gravimetry", "altimetry", "combination", "mass_budget", "scenes", "training", "evaluation",
    "restoration", "shelf_damage", "consistency", "comparison",
)  # fmt: skip

FLOWS = {name: f"pipelines.flows.{name}" for name in PRODUCTS}
"""Module of each product; imported when a run file asks for it."""


class Flow(Protocol):
    """What the module of a product offers."""

    def plan(self, run: Run) -> Plan:
        """Resolve the inputs of a run and lay out its work; computes nothing."""


def plan_of(run_file: Path, overrides: Sequence[str] = ()) -> tuple[Run, Plan]:
    """Read a run file and let the flow of its product plan it.

    Parameters
    ----------
    run_file : Path
        The run file.
    overrides : sequence of str
        ``KEY=VALUE`` of ``--set``.

    Returns
    -------
    run, plan
        The checked run file, and everything that is known before anything is computed.
    """
    from pipelines import settings

    run = settings.read(run_file, overrides)
    flow = cast("Flow", importlib.import_module(FLOWS[run.product]))
    return run, flow.plan(run)


def worker_bytes(scheduler: str | None, plan: Plan) -> int:
    """Return the memory limit of the smallest worker, here or of the scheduler named [B]."""
    from cluster import dask_cluster, settings

    if scheduler in {None, "local"}:
        choices, largest = settings.read(), max(stage.bytes_per_task for stage in plan.stages)
        return dask_cluster.local_shape(choices, choices.workers, task_bytes=largest)[1]
    with dask_cluster.connect(scheduler) as client:
        return dask_cluster.worker_memory(client)


def require_fits(plan: Plan, limit: int) -> None:
    """Refuse a plan whose tasks outgrow a worker of ``limit`` [B], before anything is computed."""
    from cluster import memory
    from pipelines import execution

    memory.require_fits(execution.projections(plan.stages), limit)
