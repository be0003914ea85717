"""The life of one product: planned, run key by key, published, described.

A flow says what its stages are and how a finished product is told (tables, figures, catalogue
item). Everything that is the same for every product stands here: resuming, failures, the order of
publication. Flows import this module and never each other.

A key of a later stage is *dated* with a digest of the earlier keys that are done. When a month that
failed yesterday succeeds today, everything computed without it has another date, so it is computed
again, and nothing stale can be taken for done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cluster.ledger import Receipt

if TYPE_CHECKING:
    import zarr
    from cluster.zarr_sink import Repository, Version

MIB = 2**20


class Job(Protocol):
    """One kind of work: reads and writes whole chunks of a product for one key."""

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do one key and say what was done; raise ``KeyFailed`` for bad input."""


@dataclass(frozen=True)
class Stage:
    """Keys that may be done in any order once every earlier stage has ended."""

    name: str
    keys: tuple[str, ...]
    job: Job
    bytes_per_task: int
    seconds_per_task: float
    reason: str


@dataclass(frozen=True)
class InputItem:
    """A catalogue item that the product is made from."""

    role: str
    id: str
    checksum: str
    bytes: int
    href: str


@dataclass(frozen=True)
class Outcome:
    """What a run has done so far, and where the results are."""

    done: int
    failed: int
    left: int
    failures: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A published product, ready to be told in tables and figures."""

    group: zarr.Group
    snapshot: str
    receipts: Mapping[str, Receipt]
    write: Callable[[str, bytes], None]


@dataclass(frozen=True)
class Dated:
    """A job whose keys carry the digest of what they were computed from."""

    job: Job

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do the undated key; the receipt is filed under the dated one."""
        receipt = self.job(key.partition("@")[0], group)
        return dataclasses.replace(receipt, key=key)


@dataclass(frozen=True)
class ByKind:
    """A job that is one of several, chosen by the first part of the key (``month/2011-02``)."""

    jobs: Mapping[str, Job]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do the key with the job of its kind."""
        return self.jobs[key.partition("/")[0]](key, group)


@dataclass(frozen=True)
class Plan:
    """Everything that is known about a run before anything is computed."""

    product: str
    output: str
    run_id: str
    run_text: str
    description: Mapping[str, str]
    inputs: tuple[InputItem, ...]
    stages: tuple[Stage, ...]
    batch: int
    template: Callable[[zarr.Group], None]
    tell: Callable[[Finished], Mapping[str, str]]
    bytes_to_write: int
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the plan in words, one fact a line."""
        return "\n".join(_plan_lines(self))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON object."""
        return {
            "product": self.product,
            "output": self.output,
            "run_id": self.run_id,
            "items": len(self.inputs),
            "bytes_to_read": sum(item.bytes for item in self.inputs),
            "bytes_to_write": self.bytes_to_write,
            "core_seconds": core_seconds(self),
            "stages": [
                {"name": s.name, "tasks": len(s.keys), "bytes_per_task": s.bytes_per_task}
                for s in self.stages
            ],
            "notes": list(self.notes),
        }

    def execute(
        self,
        *,
        scheduler: str | None = None,
        fresh: bool = False,
        on_receipt: Callable[[Receipt], None] | None = None,
    ) -> Outcome:
        """Do what is left of the run, publish it, and say where the results are."""
        return execute(self, scheduler=scheduler, fresh=fresh, on_receipt=on_receipt)

    def status(self) -> Outcome:
        """Say what an earlier run has done, failed and left, without doing anything."""
        return status(self)


def core_seconds(plan: Plan) -> float:
    """Return the expected work of a plan [core s], from the stages' own figures."""
    return sum(len(stage.keys) * stage.seconds_per_task for stage in plan.stages)


def _plan_lines(plan: Plan) -> Iterable[str]:
    yield f"{plan.product}: {len(plan.inputs)} catalogue items into {plan.output}"
    by_role: dict[str, list[InputItem]] = {}
    for item in plan.inputs:
        by_role.setdefault(item.role, []).append(item)
    for role, items in by_role.items():
        ids = items[0].id if len(items) == 1 else f"{items[0].id} … {items[-1].id}"
        size = sum(item.bytes for item in items) / MIB
        yield f"  {role:<14}{len(items):5d} items {size:9.1f} MiB  {ids}"
    yield f"  to write {plan.bytes_to_write / MIB:.1f} MiB"
    for stage in plan.stages:
        memory = stage.bytes_per_task / MIB
        yield f"  stage {stage.name:<12}{len(stage.keys):5d} tasks {memory:7.0f} MiB a task"
    seconds = core_seconds(plan)
    yield f"  expected cost {seconds / 3600:.3f} core-hours (about {seconds:.0f} s on one core)"
    yield from (f"  note: {note}" for note in plan.notes)


def dated_keys(
    stages: tuple[Stage, ...], receipts: Mapping[str, Receipt]
) -> tuple[tuple[str, ...], ...]:
    """Return the keys of every stage, dated by what the stages before it have done."""
    dated: list[tuple[str, ...]] = []
    for stage in stages:
        done = sorted(k for keys in dated for k in keys if is_done(receipts, k))
        date = hashlib.sha256("\n".join(done).encode()).hexdigest()[:8]
        dated.append(tuple(f"{key}@{date}" for key in stage.keys) if dated else stage.keys)
    return tuple(dated)


def is_done(receipts: Mapping[str, Receipt], key: str) -> bool:
    """Return whether a key is done; a failed key is tried again by the next run."""
    return key in receipts and receipts[key].state == "done"


def execute(
        self,
        *,
        scheduler: str | None = None,
        fresh: bool = False,
        on_receipt: Callable[[Receipt], None] | None = None,
    ) -> Outcome:
        """Do what is left of the run, publish it, and say where the results are."""
        return execute(self, scheduler=scheduler, fresh=fresh, on_receipt=on_receipt)

    def status(self) -> Outcome:
        """Say what an earlier run has done, failed and left, without doing anything."""
        return status(self)


def core_seconds(plan: Plan) -> float:
    """Return the expected work of a plan [core s], from the stages' own figures."""
    return sum(len(stage.keys) * stage.seconds_per_task for stage in plan.stages)


def _plan_lines(plan: Plan) -> Iterable[str]:
    yield f"{plan.product}: {len(plan.inputs)} catalogue items into {plan.output}"
    by_role: dict[str, list[InputItem]] = {}
    for item in plan.inputs:
        by_role.setdefault(item.role, []).append(item)
    for role, items in by_role.items():
        ids = items[0].id if len(items) == 1 else f"{items[0].id} … {items[-1].id}"
        size = sum(item.bytes for item in items) / MIB
        yield f"  {role:<14}{len(items):5d} items {size:9.1f} MiB  {ids}"
    yield f"  to write {plan.bytes_to_write / MIB:.1f} MiB"
    for stage in plan.stages:
        memory = stage.bytes_per_task / MIB
        yield f"  stage {stage.name:<12}{len(stage.keys):5d} tasks {memory:7.0f} MiB a task"
    seconds = core_seconds(plan)
    yield f"  expected cost {seconds / 3600:.3f} core-hours (about {seconds:.0f} s on one core)"
    yield from (f"  note: {note}" for note in plan.notes)


def dated_keys(stages: tuple[Stage, ...], done: Mapping[str, Receipt]) -> tuple[str, ...]:
    """Return the keys of the last of ``stages``, dated by what the earlier ones have done."""
    *earlier, stage = stages
    if not earlier:
        return stage.keys
    upstream = dated_keys(tuple(earlier), done)
    before = tuple(key for s in _prefixes(tuple(earlier)) for key in dated_keys(s, done))
    names = sorted(k for k in {*before, *upstream} if k in done and done[k].state == "done")
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return tuple(f"{key}@{digest}" for key in stage.keys)


def _prefixes(stages: tuple[Stage, ...]) -> Iterable[tuple[Stage, ...]]:
    return (stages[: i + 1] for i in range(len(stages)))


def execute(
    plan: Plan,
    *,
    scheduler: str | None,
    fresh: bool,
    on_receipt: Callable[[Receipt], None] | None,
) -> Outcome:
    """Continue or begin the version of this run, stage by stage, then publish it."""
    from cluster import object_store, zarr_sink

    repository = zarr_sink.Repository.open(object_store.join(plan.output, "product.icechunk"))
    version = repository.begin(plan.run_id, fresh=fresh, describe=plan.description)
    version.initialise(plan.template)
    if _left(plan, version.receipts()):
        _process(plan, version, scheduler, on_receipt)
    if _told_snapshot(plan) != version.tip:
        _publish(plan, repository, version)
    return outcome(plan, version.receipts())


def _left(plan: Plan, receipts: Mapping[str, Receipt]) -> int:
    wanted = (k for keys in dated_keys(plan.stages, receipts) for k in keys)
    return sum(not is_done(receipts, k) for k in wanted)


def _process(
    plan: Plan,
    version: Version,
    scheduler: str | None,
    on_receipt: Callable[[Receipt], None] | None,
) -> None:
    from cluster import dask_cluster, memory, telemetry, work

    with dask_cluster.connect(scheduler) as client:
        memory.require_fits(projections(plan), dask_cluster.worker_memory(client))
        for n, stage in enumerate(plan.stages):
            receipts = version.receipts()
            keys = dated_keys(plan.stages, receipts)[n]
            todo = [k for k in keys if not is_done(receipts, k)]
            with telemetry.progress(len(todo), f"{plan.product}: {stage.name}") as bar:

                def report(receipt: Receipt, bar: Any = bar) -> None:
                    bar.advance(1)
                    if on_receipt is not None:
                        on_receipt(receipt)

                work.process(
                    todo,
                    Dated(stage.job),
                    version=version,
                    client=client,
                    batch=plan.batch,
                    on_receipt=report,
                )


def projections(plan: Plan) -> list[Any]:
    """Return the projected memory of a task of each stage."""
    from cluster import memory

    return [
        memory.TaskMemory(
            stage=s.name, tasks=len(s.keys), bytes_per_task=s.bytes_per_task, reason=s.reason
        )
        for s in plan.stages
    ]


def _publish(plan: Plan, repository: Repository, version: Version) -> None:
    """Move readers to the new version, then tell it: ``item.json`` last, so a kill is resumed."""
    from cluster import geozarr, object_store

    def write(path: str, data: bytes) -> None:
        object_store.write_bytes(object_store.join(plan.output, path), data)

    version.publish()
    snapshot, receipts, group = version.tip, version.receipts(), version.group()
    geozarr.export_geozarr(
        group, object_store.join(plan.output, "product.zarr"), snapshot=snapshot
    )
    write("run.yaml", plan.run_text.encode())
    lines = [receipts[k].to_json() for k in sorted(receipts)]
    write("receipts.jsonl", "".join(f"{line}\n" for line in lines).encode())
    plan.tell(Finished(group=group, snapshot=snapshot, receipts=receipts, write=write))


def _told_snapshot(plan: Plan) -> str | None:
    """Return the snapshot whose tables and item were written last, if any."""
    import json

    from cluster import object_store

    path = object_store.join(plan.output, "item.json")
    if not object_store.exists(path):
        return None
    item = json.loads(object_store.read_bytes(path))
    snapshot = item.get("properties", {}).get("nunatak:snapshot")
    return str(snapshot) if snapshot else None


def outcome(plan: Plan, receipts: Mapping[str, Receipt]) -> Outcome:
    """Sum up the receipts of a plan's keys."""
    wanted = [k for keys in dated_keys(plan.stages, receipts) for k in keys]
    known = [receipts[k] for k in wanted if k in receipts]
    failures = tuple((r.key, r.reason) for r in known if r.state == "failed")
    notes = tuple((r.key, r.note) for r in known if r.note)
    return Outcome(
        done=sum(r.state == "done" for r in known),
        failed=len(failures),
        left=len(wanted) - len(known),
        failures=failures,
        notes=notes,
        results=result_paths(plan.output),
    )


def result_paths(output: str) -> dict[str, str]:
    """Return where a product's parts are, by name."""
    from cluster import object_store

    names = ("product.zarr", "tables", "figures", "run.yaml", "receipts.jsonl", "item.json")
    return {name: object_store.join(output, name) for name in names}


def status(plan: Plan) -> Outcome:
    """Return what an earlier run of this plan has done."""
    from cluster import object_store, zarr_sink

    url = object_store.join(plan.output, "product.icechunk")
    receipts = zarr_sink.receipts_of(url, plan.run_id)
    return outcome(plan, receipts)


class Stopwatch:
    """Seconds since it was made, for receipts."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def seconds(self) -> float:
        """Return the seconds that have passed."""
        return time.perf_counter() - self._started
