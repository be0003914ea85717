"""Carry out a plan: resume, process, publish, tell. The same for every product.

The order of publication is the order of trust: arrays and receipts are committed together, `main`
moves when a version is complete, the plain copy follows, then tables and figures, and ``item.json``
last. It names the snapshot it tells of, so a run killed in between tells it again. The summary of
the run follows, whether or not there is a product.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pipelines.lifecycle import (
    Finished,
    Outcome,
    Plan,
    Stage,
    dated_job,
    dated_keys,
    is_done,
    is_whole,
)

if TYPE_CHECKING:
    import zarr

    from cluster.lease import Lease
    from cluster.ledger import Receipt
    from cluster.ray_cluster import RayCluster
    from cluster.version import Version
    from cluster.work import Workforce
    from cluster.zarr_sink import Repository
    from pipelines.observation import Observation


def execute(
    plan: Plan,
    scheduler: str | None,
    *,
    ray: str | None = None,
    fresh: bool = False,
    on_receipt: Callable[[Receipt], None] | None = None,
) -> Outcome:
    """Continue or begin the version of this run, stage by stage, then publish it.

    Parameters
    ----------
    plan : Plan
        What to do.
    scheduler : str or None
        Address of a Dask scheduler; local processes if None.
    ray : str or None
        Address of a Ray cluster, ``local`` for one on this machine. Stages of models run there;
        without a scheduler the others too. Stages of models have Ray even if it is not named.
    fresh : bool
        Begin a new version even if this run is done or another one holds the output.
    on_receipt : callable, optional
        Called with each receipt as it is committed.

    Returns
    -------
    Outcome
        What is done, failed and left over all runs of this plan.
    """
    from cluster import lease, log_context, metrics, object_store, zarr_sink
    from pipelines import observation

    metrics.place()  # refuses what is no place, before anything is begun
    signed = log_context.running(log_context.made(plan.run_id, plan.product))
    repository = zarr_sink.Repository.open(object_store.join(plan.output, "product.icechunk"))
    with signed, lease.held(plan.output, run_id=plan.run_id) as output:
        version = repository.begin(plan.run_id, fresh=fresh, describe=plan.description)
        version.initialise(functools.partial(_arrays, plan))
        with observation.observed(plan, version, on_receipt) as watch:
            if _unfinished(plan, version.receipts()):
                with ExitStack() as open_until_done:
                    workforces = _Workforces(plan, scheduler, ray, open_until_done)
                    _process(plan, version, workforces, output, watch)
            output.require()
            _account(plan, version)
            if is_whole(plan.stages, version.receipts()) and not _is_told(plan, version):
                _publish(plan, repository, version)
        return outcome(plan, version.receipts())


def _arrays(plan: Plan, group: zarr.Group) -> None:
    """Create the arrays of a plan, and keep beside them what it told before they were filled."""
    plan.template(group)
    group.attrs["nunatak:notes"] = list(plan.notes)


def _unfinished(plan: Plan, receipts: Mapping[str, Receipt]) -> bool:
    return not all(is_done(receipts, k) for keys in dated_keys(plan.stages, receipts) for k in keys)


class _Workforces:
    """Dask and Ray, each connected when the first stage asks for it, with room for its tasks.

    Stages of models are Ray's: at the address given, or else in a runtime on this machine. The
    others are Dask's, or Ray's too where only Ray is named.
    """

    def __init__(
        self, plan: Plan, scheduler: str | None, ray: str | None, stack: ExitStack
    ) -> None:
        self._plan = plan
        self._scheduler = scheduler
        self._ray_address = ray
        self._stack = stack
        self._dask: Workforce | None = None
        self._ray: RayCluster | None = None

    def of(self, stage: Stage) -> Workforce:
        """Return who carries out a stage."""
        from cluster.gpu_pool import Pool

        if stage.actors is not None:
            return Pool(self._on_ray(), stage.actors)
        return self._on_dask() if self._takes_dask() else self._on_ray()

    def _takes_dask(self) -> bool:
        return self._ray_address is None or self._scheduler is not None

    def _stages(self, *, dask: bool) -> list[Stage]:
        of_dask = self._takes_dask()
        return [s for s in self._plan.stages if (s.actors is None and of_dask) == dask]

    def _on_dask(self) -> Workforce:
        from cluster import dask_cluster, memory

        if self._dask is None:
            stages = self._stages(dask=True)
            reached = dask_cluster.connect(self._scheduler, task_bytes=_largest(stages))
            client = self._stack.enter_context(reached)
            memory.require_fits(projections(stages), dask_cluster.worker_memory(client))
            self._dask = client
        return self._dask

    def _on_ray(self) -> RayCluster:
        from cluster import memory, ray_cluster

        if self._ray is None:
            stages = self._stages(dask=False)
            address = self._ray_address or "local"
            reached = ray_cluster.connect(address, task_bytes=_largest(stages))
            self._ray = self._stack.enter_context(reached)
            memory.require_fits(projections(stages), self._ray.worker_memory())
        return self._ray


def _largest(stages: Sequence[Stage]) -> int:
    return max(stage.bytes_per_task for stage in stages)


def _process(
    plan: Plan,
    version: Version,
    workforces: _Workforces,
    output: Lease,
    watch: Observation,
) -> None:
    """Work through the stages, each to its end before the next.

    A stage whose required keys failed is the last: what follows would be made of missing values.
    """
    from cluster import log_context, telemetry, work

    for n, stage in enumerate(plan.stages):
        receipts = version.receipts()
        keys = dated_keys(plan.stages, receipts)[n]
        todo = [k for k in keys if not is_done(receipts, k)]
        watch.begins(stage, len(todo))
        if not todo:
            continue
        with telemetry.progress(len(todo), f"{plan.product}: {stage.name}") as bar:

            def report(receipt: Receipt, bar: telemetry.Progress = bar) -> None:
                bar.advance(1)
                watch.take(receipt)

            work.process(
                todo,
                dated_job(stage.job, log_context.current()),
                version=version,
                client=workforces.of(stage),
                batch=plan.batch,
                before_commit=output.require,
                on_receipt=report,
            )
        receipts = version.receipts()
        keys = dated_keys(plan.stages, receipts)[n]
        wanted = {key for key in keys if key.partition("@")[0] in stage.required}
        if not all(is_done(receipts, key) for key in wanted):
            return


def projections(stages: Sequence[Stage]) -> list[Any]:
    """Return the projected memory of a task of each stage, for :mod:`cluster.memory`."""
    from cluster import memory

    return [
        memory.TaskMemory(
            stage=s.name, tasks=len(s.keys), bytes_per_task=s.bytes_per_task, reason=s.reason
        )
        for s in stages
    ]


def _publish(plan: Plan, repository: Repository, version: Version) -> None:
    """Show readers the new version, then tell of exactly that one."""
    import zarr

    from cluster import geozarr, object_store

    store = repository.read(version.publish())
    snapshot, group = store.session.snapshot_id, zarr.open_group(store, mode="r")
    geozarr.export_geozarr(group, object_store.join(plan.output, "product.zarr"), snapshot=snapshot)
    plan.tell(Finished(group, snapshot, write=functools.partial(_write, plan)))


def _account(plan: Plan, version: Version) -> None:
    """Write the resolved run file and the receipts, whether or not there is a product to show."""
    receipts = version.receipts()
    _write(plan, "run.yaml", plan.run_text.encode())
    lines = (receipts[key].to_json() for key in sorted(receipts))
    _write(plan, "receipts.jsonl", "".join(f"{line}\n" for line in lines).encode())


def _write(plan: Plan, path: str, data: bytes) -> None:
    from cluster import object_store

    object_store.write_bytes(object_store.join(plan.output, path), data)


def _is_told(plan: Plan, version: Version) -> bool:
    """Return whether readers see this version and the tables and the item tell of it."""
    from cluster import object_store

    path = object_store.join(plan.output, "item.json")
    if not version.finished or not object_store.exists(path):
        return False
    item = json.loads(object_store.read_bytes(path))
    return bool(item.get("properties", {}).get("nunatak:snapshot") == version.tip)


def status(plan: Plan) -> Outcome:
    """Return what earlier runs of this plan have done; changes nothing.

    Parameters
    ----------
    plan : Plan
        The run asked about.

    Returns
    -------
    Outcome
        Everything is left where no run has begun.
    """
    from cluster import object_store, zarr_sink

    url = object_store.join(plan.output, "product.icechunk")
    try:
        repository = zarr_sink.Repository.open(url, read_only=True)
    except zarr_sink.NoRepository:
        return outcome(plan, {})
    version = repository.find(plan.run_id)
    if version is not None:
        return outcome(plan, version.receipts())
    held = repository.conflict(plan.run_id, plan.description)
    return dataclasses.replace(outcome(plan, {}), conflict=held)


def outcome(plan: Plan, receipts: Mapping[str, Receipt]) -> Outcome:
    """Sum up the receipts of a plan's keys.

    Parameters
    ----------
    plan : Plan
        The run.
    receipts : mapping of str to Receipt
        Its ledger.

    Returns
    -------
    Outcome
        Counts, failures with reasons, notes, and where the results are.
    """
    from cluster import object_store

    wanted = [k for keys in dated_keys(plan.stages, receipts) for k in keys]
    known = [receipts[k] for k in wanted if k in receipts]
    failures = tuple((r.key, r.reason) for r in known if r.state == "failed")
    return Outcome(
        done=sum(r.state == "done" for r in known),
        failed=len(failures),
        left=len(wanted) - len(known),
        failures=failures,
        notes=tuple((r.key, r.note) for r in known if r.note),
        results={name: object_store.join(plan.output, name) for name in plan.results},
    )
