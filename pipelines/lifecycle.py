"""What a product is before, while and after it is computed: plan, stages, outcome.

A flow says what its stages are and how a finished product is told (tables, figures, catalogue
item); :mod:`pipelines.execution` does the rest, the same for every product. Flows import this
module and never each other.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cluster.ledger import Receipt

if TYPE_CHECKING:
    import zarr

MIB = 2**20


class Job(Protocol):
    """One kind of work: reads and writes whole chunks of a product for one key."""

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do one key and say what was done; raise ``KeyFailed`` for bad input."""


@dataclass(frozen=True)
class Stage:
    """Keys that may be done in any order once every earlier stage has ended.

    Attributes
    ----------
    name : str
        What people call it.
    keys : tuple of str
        Pieces of work; each owns whole chunks.
    job : Job
        What is done with a key; it travels to the workers, so it holds no arrays.
    bytes_per_task : int
        The most memory that one key needs [B].
    seconds_per_task : float
        Time of one key on one core [s], measured on a 2-core EPYC machine.
    reason : str
        What fills that memory.
    required : tuple of str
        Keys without which no later stage makes sense.
    """

    name: str
    keys: tuple[str, ...]
    job: Job
    bytes_per_task: int
    seconds_per_task: float
    reason: str
    required: tuple[str, ...] = ()


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
    """A published product, ready to be told in tables and figures.

    Attributes
    ----------
    group : zarr.Group
        The arrays, read only.
    snapshot : str
        The version they are.
    write : callable
        ``write(path, data)`` puts a file beside the product.
    """

    group: zarr.Group
    snapshot: str
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
    """Everything that is known about a run before anything is computed.

    Attributes
    ----------
    product, output : str
        What, and the address where it goes.
    run_id : str
        Digest of the resolved run file and the checksums of its inputs.
    run_text : str
        The resolved run file.
    description : mapping
        The facts behind ``run_id``, to explain a conflict with another run.
    inputs, stages : tuple
        What is read, what is done.
    batch : int
        Keys per commit: the most that a killed driver does again.
    template : callable
        Creates the empty arrays.
    tell : callable
        Writes tables and figures of the finished product, ``item.json`` last.
    bytes_to_write : int
        Size of the arrays before compression [B].
    notes : tuple of str
        What a person should know before starting.
    """

    product: str
    output: str
    run_id: str
    run_text: str
    description: Mapping[str, str]
    inputs: tuple[InputItem, ...]
    stages: tuple[Stage, ...]
    batch: int
    template: Callable[[zarr.Group], None]
    tell: Callable[[Finished], None]
    bytes_to_write: int
    notes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the plan in words, one fact a line."""
        return "\n".join(_lines(self))

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
        client_address: str | None = None,
        *,
        ray: str | None = None,
        fresh: bool = False,
        on_receipt: Callable[[Receipt], None] | None = None,
    ) -> Outcome:
        """Do what is left on Dask or on Ray, publish it, and say where the results are."""
        from pipelines import execution

        return execution.execute(self, client_address, ray=ray, fresh=fresh, on_receipt=on_receipt)

    def status(self) -> Outcome:
        """Say what an earlier run has done, failed and left, without doing anything."""
        from pipelines import execution

        return execution.status(self)


def core_seconds(plan: Plan) -> float:
    """Return the expected work of a plan [core s], from the stages' own figures."""
    return sum(len(stage.keys) * stage.seconds_per_task for stage in plan.stages)


def _lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.product}: {len(plan.inputs)} catalogue items into {plan.output}"
    by_role: dict[str, list[InputItem]] = {}
    for item in plan.inputs:
        by_role.setdefault(item.role, []).append(item)
    for role, items in by_role.items():
        ids = items[0].id if len(items) == 1 else f"{items[0].id} … {items[-1].id}"
        size = sum(item.bytes for item in items) / MIB
        yield f"  read  {role:<13}{len(items):4d} items {size:8.1f} MiB  {ids}"
    yield f"  write {'arrays':<13}{'':10} {plan.bytes_to_write / MIB:8.1f} MiB before compression"
    for stage in plan.stages:
        memory = f"{stage.bytes_per_task / MIB:8.0f} MiB a task: {stage.reason}"
        yield f"  do    {stage.name:<13}{len(stage.keys):4d} tasks {memory}"
    seconds = core_seconds(plan)
    yield f"  cost  {seconds / 3600:.3f} core-hours expected ({seconds:.0f} s on one core)"
    yield from (f"  note  {note}" for note in plan.notes)


def dated_keys(
    stages: tuple[Stage, ...], receipts: Mapping[str, Receipt]
) -> tuple[tuple[str, ...], ...]:
    """Return the keys of every stage, dated by what the stages before it have done.

    When a month that failed yesterday succeeds today, everything computed without it has another
    date, so it is computed again, and nothing stale can be taken for done.
    """
    dated: list[tuple[str, ...]] = []
    for stage in stages:
        done = sorted(k for keys in dated for k in keys if is_done(receipts, k))
        date = hashlib.sha256("\n".join(done).encode()).hexdigest()[:8]
        dated.append(tuple(f"{key}@{date}" for key in stage.keys) if dated else stage.keys)
    return tuple(dated)


def is_whole(stages: tuple[Stage, ...], receipts: Mapping[str, Receipt]) -> bool:
    """Return whether the last stage is done, so that there is a product to show."""
    return all(is_done(receipts, key) for key in dated_keys(stages, receipts)[-1])


def is_done(receipts: Mapping[str, Receipt], key: str) -> bool:
    """Return whether a key is done; a failed key is tried again by the next run."""
    return key in receipts and receipts[key].state == "done"
