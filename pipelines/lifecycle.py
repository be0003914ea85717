"""What a product is before, while and after it is computed: plan, stages, outcome.

A flow says what its stages are and how a finished product is told (tables, figures, catalogue
item); :mod:`pipelines.execution` does the rest, the same for every product. Flows import this
module; which of them may know another's arrays and records is in ``docs/architecture.md``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cluster import prices, telemetry
from cluster.ledger import Receipt
from cluster.log_context import RunContext

if TYPE_CHECKING:
    import zarr

    from cluster.gpu_pool import Needs
    from cluster.jobs import ModelJob

MIB = 2**20
GIB = 2**30
RESULTS = (
    "product.zarr", "tables", "figures", "run.yaml", "receipts.jsonl", "summary.html", "item.json",
)  # fmt: skip


class EstimateError(ValueError):
    """A plan whose inputs are estimated cannot be run."""


class Job(Protocol):
    """One kind of work: reads and writes whole chunks of a product for one key."""

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do one key and say what was done; raise ``KeyFailed`` for bad input."""


def _whole_product(key: str) -> str:
    del key
    return ""


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
    scope : callable
        What a key belongs to; empty for the whole product. What is done in one scope does not
        date keys of another, so that a shelf mended today leaves the others done.
    decided : bool
        Whether a key may name a decision after a ``+``. Keys that differ in it write the same
        chunks, so only the one done last counts as done.
    actors : Needs or None
        What the actors need that serve the keys, if the job holds a model; they are Ray's,
        whatever the other stages run on.
    partial : bool
        Whether, as the last stage, it makes a product even if some of its keys failed.
    dispensable : bool
        Whether it does so even if all of them failed: what matters was made before.
    """

    name: str
    keys: tuple[str, ...]
    job: Job | ModelJob
    bytes_per_task: int
    seconds_per_task: float
    reason: str
    required: tuple[str, ...] = ()
    scope: Callable[[str], str] = _whole_product
    decided: bool = False
    actors: Needs | None = None
    partial: bool = False
    dispensable: bool = False


@dataclass(frozen=True)
class InputItem:
    """A catalogue item that the product is made from."""

    role: str
    id: str
    checksum: str
    bytes: int
    href: str


@dataclass(frozen=True)
class Traffic:
    """What a plan reads and asks of object stores.

    Attributes
    ----------
    bytes_read : int
        Bytes that come from the inputs' stores [B].
    reads, writes : int
        Requests.
    """

    bytes_read: int
    reads: int
    writes: int


@dataclass(frozen=True)
class Outcome:
    """What a run has done so far, and where the results are.

    ``conflict`` says why a run would be refused: the output holds the work of another one.
    """

    done: int
    failed: int
    left: int
    failures: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    results: Mapping[str, str] = field(default_factory=dict)
    conflict: str = ""


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
    """A job whose keys carry the digest of what they were computed from; ``run`` signs its logs."""

    job: Callable[[str, zarr.Group], Receipt | None]
    run: RunContext | None = None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Do the undated key; the receipt is filed under the dated one."""
        name = key.partition("@")[0]
        with telemetry.working_on(name, self.run):
            receipt = self.job(name, group) or Receipt(key, "done")
        return dataclasses.replace(receipt, key=key)


@dataclass(frozen=True)
class DatedModel:
    """A model job whose keys carry the digest of what they were computed from."""

    job: ModelJob
    run: RunContext | None = None

    def opened(self, device: str) -> Dated:
        """Open the model; the keys that it then serves are dated."""
        with telemetry.working_on("", self.run):
            return Dated(self.job.opened(device), self.run)


def dated_job(job: Job | ModelJob, run: RunContext | None = None) -> Dated | DatedModel:
    """Return a job that takes dated keys, and whose log lines name the run and the key."""
    return Dated(job, run) if callable(job) else DatedModel(job, run)


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
    traffic : Traffic or None
        What is read and asked of stores, where it is not all of every input.
    results : tuple of str
        Files and folders below ``output`` that people look for.
    estimated : str
        Why the inputs are estimated and not found; such a plan is to be read, not run.
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
    traffic: Traffic | None = None
    results: tuple[str, ...] = RESULTS
    estimated: str = ""

    @property
    def bytes_to_read(self) -> int:
        """What is read [B]."""
        if self.traffic is not None:
            return self.traffic.bytes_read
        return sum(item.bytes for item in self.inputs)

    def describe(self) -> str:
        """Return the plan in words, one fact a line."""
        from pipelines import plan_words

        return "\n".join(plan_words.lines(self))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON object."""
        return {
            "product": self.product,
            "output": self.output,
            "run_id": self.run_id,
            "items": len(self.inputs),
            "bytes_to_read": self.bytes_to_read,
            "bytes_to_write": self.bytes_to_write,
            "core_seconds": core_seconds(self),
            "dollars": round(dollars(self, prices.read()), 4),
            "stages": [
                {"name": s.name, "tasks": len(s.keys), "bytes_per_task": s.bytes_per_task}
                for s in self.stages
            ],
            "estimated": bool(self.estimated),
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
        if self.estimated:
            msg = f"this run cannot begin: {self.estimated}"
            raise EstimateError(msg)
        from pipelines import execution

        return execution.execute(self, client_address, ray=ray, fresh=fresh, on_receipt=on_receipt)

    def status(self) -> Outcome:
        """Say what an earlier run has done, failed and left, without doing anything."""
        from pipelines import execution

        return execution.status(self)


def core_seconds(plan: Plan) -> float:
    """Return the expected work of a plan [core s], from the stages' own figures."""
    return sum(len(stage.keys) * stage.seconds_per_task for stage in plan.stages)


def dollars(plan: Plan, price: prices.Prices) -> float:
    """Return what a plan costs at some prices: cores, requests, bytes from elsewhere [$]."""
    traffic = plan.traffic or Traffic(plan.bytes_to_read, 0, 0)
    return (
        price.core_hour * core_seconds(plan) / 3600.0
        + price.thousand_reads * traffic.reads / 1e3
        + price.thousand_writes * traffic.writes / 1e3
        + price.gib_in * traffic.bytes_read / GIB
    )


def dated_keys(
    stages: tuple[Stage, ...], receipts: Mapping[str, Receipt]
) -> tuple[tuple[str, ...], ...]:
    """Return the keys of every stage, dated by what the stages before it have done.

    When a month that failed yesterday succeeds today, everything computed without it has another
    date, so it is computed again, and nothing stale can be taken for done. A key of a scope is
    dated by that scope and by what belongs to the whole product.
    """
    dated: list[tuple[str, ...]] = []
    done: dict[str, list[str]] = {}
    for stage in stages:
        dates = {scope: _date(done, scope) for scope in {stage.scope(key) for key in stage.keys}}
        keys = tuple(f"{key}@{dates[stage.scope(key)]}" if dated else key for key in stage.keys)
        if stage.decided:
            keys = _decided(keys, receipts)
        for key, bare in zip(keys, stage.keys, strict=True):
            if is_done(receipts, key):
                done.setdefault(stage.scope(bare), []).append(key)
        dated.append(keys)
    return tuple(dated)


def _decided(keys: tuple[str, ...], receipts: Mapping[str, Receipt]) -> tuple[str, ...]:
    """Return keys as they are filed: numbered anew where another decision was done since.

    The ledger holds keys in the order in which they were done. Of ``choose/0@d`` and
    ``choose/0+ab@d`` the later one's chunks are there; who wants the other one again asks for
    ``choose/0~2@d``.
    """
    families: dict[tuple[str, str], list[str]] = {}
    for key in receipts:
        name, _, date = key.partition("@")
        family = name.partition("~")[0].partition("+")[0]
        if is_done(receipts, key):
            families.setdefault((family, date), []).append(name)
    filed = []
    for key in keys:
        name, at, date = key.partition("@")
        done = families.get((name.partition("+")[0], date), [])
        if done and done[-1].partition("~")[0] == name:
            name = done[-1]
        elif done:
            name = f"{name}~{len(done)}"
        filed.append(f"{name}{at}{date}")
    return tuple(filed)


def _date(done: Mapping[str, list[str]], scope: str) -> str:
    """Return the digest of what is done in a scope; that of the whole product sees every scope."""
    seen = done if not scope else {name: done.get(name, []) for name in ("", scope)}
    keys = sorted(key for names in seen.values() for key in names)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:8]


def is_whole(stages: tuple[Stage, ...], receipts: Mapping[str, Receipt]) -> bool:
    """Return whether the last stage is done, so that there is a product to show.

    Of a partial stage no key may be left untried, and one must be done if it is indispensable.
    """
    keys = dated_keys(stages, receipts)[-1]
    done = [is_done(receipts, key) for key in keys]
    if stages[-1].partial:
        enough = any(done) or stages[-1].dispensable
        return enough and all(key in receipts for key in keys)
    return all(done)


def is_done(receipts: Mapping[str, Receipt], key: str) -> bool:
    """Return whether a key is done; a failed key is tried again by the next run."""
    return key in receipts and receipts[key].state == "done"
