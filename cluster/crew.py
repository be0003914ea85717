"""Keys on workers: so many under way and no more, again when workers die, none after the end.

Overall strategy: whatever schedules the tasks hides behind :class:`Workers`, which says in Dask's
or in Ray's words how a task starts, lands and is given up. What a run promises (no array passes
through the driver, a lost worker costs time and no number, nothing goes on after an error) is kept
here, once for both.
"""

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import icechunk
import zarr

from cluster.icechunk_storage import explained, quiet
from cluster.jobs import OPENED, Job, ModelJob
from cluster.ledger import KeyFailed, Receipt
from cluster.metered_store import MeteredStore
from cluster.object_store import StoreError
from cluster.version import Version

TASKS_PER_THREAD = 2
# A job of more bytes than this is sent to the workers once, not with every key.
LARGE_JOB = 2**18
# So many keys that end their workers, and none that does not, speak against the job, not the keys.
SYSTEMATIC = 3


class WorkersLost(RuntimeError):  # noqa: N818 - says what happened
    """Every worker that was given a key died."""


@dataclass(frozen=True)
class Outcome:
    """What a worker sends back of one key: a receipt and references, never arrays.

    Attributes
    ----------
    receipt : Receipt
    fork : ForkSession or None
        The chunks written; None if the key failed.
    chunks : frozenset of str
        Their names in the store.
    """

    receipt: Receipt
    fork: icechunk.ForkSession | None = None
    chunks: frozenset[str] = frozenset()


class Workers(Protocol):
    """What a crew asks of a scheduler; one for each call of :func:`cluster.work.process`.

    Attributes
    ----------
    quarantines : bool
        Whether a key that ends every worker fails, and the others go on; otherwise it ends the run.
    """

    @property
    def quarantines(self) -> bool:
        """See the attributes."""

    def threads(self) -> int:
        """Return how many tasks can be carried out at once now."""

    def ship(self, job: Job | ModelJob) -> Any:
        """Return the job, or a reference to it on the workers if it is too large for each task."""

    def submit(self, key: str, shipped: Any, fork: icechunk.ForkSession) -> Any:
        """Start :func:`perform` on a worker and return the task."""

    def landed(self) -> Any:
        """Wait for a task that ended, in any order, and return it."""

    def outcome(self, task: Any) -> Outcome | None:
        """Return what a task made, None if its workers died; raise what the job raised."""

    def cancel(self) -> None:
        """Give up every task that is under way."""


def perform(
    key: str, job: Job | ModelJob, fork: icechunk.ForkSession, *, hashed: bool = False
) -> Outcome:
    """Carry out one key into its fork; runs on the worker.

    Time and bytes are measured around the job. What a failed job wrote is left behind: no commit
    ever names those chunks. A model job is opened here unless this process has it open, and what
    it writes is hashed; other jobs are spared the hash unless ``hashed``.
    """
    quiet()
    store = MeteredStore(fork.store, hashed=hashed or isinstance(job, ModelJob))
    carry_out = OPENED.of(job) if isinstance(job, ModelJob) else job
    started = time.perf_counter()
    try:
        receipt = carry_out(key, zarr.open_group(store, mode="r+")) or Receipt(key, "done")
    except KeyFailed as failure:
        receipt = Receipt(key, "failed", inputs=failure.inputs, reason=str(failure) or "no reason")
    except icechunk.IcechunkError as error:
        msg = f"writing the chunks of key {key!r} failed: {explained(error)}"
        raise StoreError(msg) from error
    measured = replace(
        receipt,
        key=key,
        seconds=time.perf_counter() - started,
        bytes_read=receipt.bytes_read + store.bytes_read,
        bytes_written=store.bytes_written if receipt.state == "done" else 0,
        output_sha256=store.digest() if receipt.state == "done" else "",
    )
    if measured.state == "failed":
        return Outcome(measured)
    return Outcome(measured, fork, frozenset(store.chunks))


class Crew:
    """Workers that carry out keys, with two tasks per thread under way at the most.

    The scheduler itself moves tasks off workers that died and gives one up after
    ``NUNATAK_ALLOWED_FAILURES`` deaths. It counts a death against every key that the worker had, so
    such a key is only a suspect: it is submitted ``retries`` more times, alone, and a death then
    speaks of no other key. Where workers die of it again, it ends the run, or is put into
    quarantine (a failed receipt) and the others go on: that is for the :class:`Workers` to say.
    """

    def __init__(
        self, workers: Workers, job: Job | ModelJob, version: Version, retries: int
    ) -> None:
        self._workers = workers
        self._job = job
        self._shipped = workers.ship(job)
        self._version = version
        self._retries = retries
        self._flying: dict[Any, str] = {}
        self._lost: Counter[str] = Counter()
        self._suspects: list[str] = []
        self._quarantined = 0
        self._landed = 0

    def outcomes(self, keys: Iterator[str]) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come, in any order; submit a key for each one that ended."""
        try:
            self._refill(keys)
            while self._flying:
                task = self._workers.landed()
                key = self._flying.pop(task)
                outcome = self._workers.outcome(task)
                if outcome is None:
                    outcome = self._suspect(key)
                else:
                    self._landed += 1
                if outcome is not None:
                    yield outcome
                self._refill(keys)
        finally:
            self._workers.cancel()

    def _refill(self, keys: Iterator[str]) -> None:
        """Submit what there is room for; a suspect waits until nothing else is under way."""
        if self._suspects:
            if not self._flying:
                # A large job may have been lost together with the workers that held it.
                self._shipped = self._workers.ship(self._job)
                self._submit(self._suspects.pop(0))
            return
        if any(self._lost[key] for key in self._flying.values()):
            return
        room = TASKS_PER_THREAD * max(1, self._workers.threads()) - len(self._flying)
        for _, key in zip(range(room), keys, strict=False):
            self._submit(key)

    def _submit(self, key: str) -> None:
        self._flying[self._workers.submit(key, self._shipped, self._version.fork())] = key

    def _suspect(self, key: str) -> Outcome | None:
        """Note that ``key`` ended its workers; return what became of it if that was the last time.

        Raises
        ------
        WorkersLost
            If it ends the run.
        """
        if self._lost[key] < self._retries:
            self._lost[key] += 1
            self._suspects.append(key)
            return None
        advice = "look for 'memory' in the workers' logs; give them more of it or fewer threads"
        if not self._workers.quarantines:
            msg = f"every worker that was given key {key!r} died ({self._retries + 1} submissions)"
            msg += f"; {advice}"
            raise WorkersLost(msg)
        self._quarantined += 1
        if self._quarantined >= SYSTEMATIC and not self._landed:
            msg = f"each of the first {SYSTEMATIC} keys ended every worker that was given it, the "
            msg += (
                f"last was {key!r}, and no key did not: this is the job or the machines; {advice}"
            )
            raise WorkersLost(msg)
        reason = f"quarantined: every worker that was given this key died, last alone; {advice}"
        return Outcome(Receipt(key, "failed", reason=reason))
