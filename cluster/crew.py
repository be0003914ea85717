"""Keys on workers: so many under way and no more, again when workers die, none after the end.

Overall strategy: whatever schedules the tasks hides behind :class:`Workers`, which says in Dask's
or in Ray's words how a task starts, lands and is given up. What a run promises (no array passes
through the driver, a lost worker costs time and no number, nothing goes on after an error) is kept
here, once for both. A task is one key, or a handful of keys that take so little time each that
starting a task would cost more than doing them.
"""

import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import icechunk
import zarr

from cluster.icechunk_storage import explained, quiet
from cluster.jobs import OPENED, Job, ModelJob
from cluster.ledger import KeyFailed, Receipt
from cluster.metered_store import MeteredStore
from cluster.object_store import StoreError
from cluster.patience import root_group
from cluster.version import Version

TASKS_PER_THREAD = 2
# A job of more bytes than this is sent to the workers once, not with every key.
LARGE_JOB = 2**18
# So many keys that end their workers, and none that does not, speak against the job, not the keys.
SYSTEMATIC = 3
# Short keys share a task up to this time [s]: what a lost worker costs again, and far more than the
# milliseconds that an engine takes to start a task.
TASK_SECONDS = 0.25
MOST_KEYS_PER_TASK = 64
# Near the end tasks are small again, so that no thread waits for another's handful: so many tasks
# for each thread are to come at least.
TASKS_TO_COME = 4
_MEMORY_OF_PACE = 0.1  # weight of the newest key in the mean time of a key


class WorkersLost(RuntimeError):  # noqa: N818 - says what happened
    """Every worker that was given a key died."""


class TasksLost(RuntimeError):  # noqa: N818 - says what happened
    """The scheduler forgot all tasks under way, through no fault of a key, and takes new ones."""


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


@dataclass(frozen=True)
class Landing:
    """What became of one task.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Those of keys that ended; they share one fork.
    again : tuple of str
        Keys to carry out again, each in a task of its own.
    """

    outcomes: tuple[Outcome, ...]
    again: tuple[str, ...] = ()


class Workers(Protocol):
    """What a crew asks of a scheduler; one for each call of :func:`cluster.work.process`.

    Attributes
    ----------
    quarantines : bool
        Whether a key that ends every worker fails, and the others go on; otherwise it ends the run.
    most_keys : int
        How many keys a task may have.
    """

    @property
    def quarantines(self) -> bool:
        """See the attributes."""

    @property
    def most_keys(self) -> int:
        """See the attributes."""

    def threads(self) -> int:
        """Return how many tasks can be carried out at once now."""

    def ship(self, job: Job | ModelJob) -> Any:
        """Return the job, or a reference to it on the workers if it is too large for each task."""

    def submit(self, keys: tuple[str, ...], shipped: Any, fork: icechunk.ForkSession) -> Any:
        """Start :func:`perform_all` on a worker and return the task."""

    def landed(self) -> Any:
        """Wait for a task that ended, in any order, and return it."""

    def outcome(self, task: Any) -> Landing | None:
        """Return what a task made, None if its workers died; raise what the job raised.

        Raises
        ------
        TasksLost
            If this task and all others under way are to be submitted again; none of them lands.
        """

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
    (outcome,) = perform_all((key,), job, fork, hashed=hashed).outcomes
    return outcome


def perform_all(
    keys: tuple[str, ...],
    job: Job | ModelJob,
    fork: icechunk.ForkSession,
    *,
    hashed: bool = False,
) -> Landing:
    """Carry out keys one after the other into one fork; runs on the worker.

    The fork must hold nothing but the chunks of keys that are done. If one fails or raises after it
    wrote, the fork is dropped and the keys of this task start again, each in a task of its own; so
    do those that come after a key that raises, which is told of when it raises alone.
    """
    quiet()
    store = MeteredStore(fork.store, hashed=hashed or isinstance(job, ModelJob))
    carry_out = OPENED.of(job) if isinstance(job, ModelJob) else job
    outcomes: list[Outcome] = []
    failed: list[Outcome] = []
    group: zarr.Group | None = None
    for number, key in enumerate(keys):
        store.renew()
        started = time.perf_counter()
        try:
            with _told_as_store_error(key):
                group = root_group(store, "r+") if group is None else group
                receipt = _carried_out(key, carry_out, group)
        except Exception:
            if len(keys) == 1:
                raise
            again = keys[number:] if not store.chunks else _but(keys, failed)
            return Landing(tuple(failed if store.chunks else failed + outcomes), again)
        receipt = _measured(receipt, key, store, time.perf_counter() - started)
        if receipt.state == "done":
            outcomes.append(Outcome(receipt, fork, frozenset(store.chunks)))
            continue
        failed.append(Outcome(receipt))
        if store.chunks and len(keys) > 1:
            return Landing(tuple(failed), _but(keys, failed))
    return Landing(tuple(failed + outcomes))


def _but(keys: tuple[str, ...], ended: list[Outcome]) -> tuple[str, ...]:
    """Return the keys that have not ended."""
    known = {outcome.receipt.key for outcome in ended}
    return tuple(key for key in keys if key not in known)


@contextmanager
def _told_as_store_error(key: str) -> Iterator[None]:
    try:
        yield
    except icechunk.IcechunkError as error:
        msg = f"writing the chunks of key {key!r} failed: {explained(error)}"
        raise StoreError(msg) from error


def _carried_out(key: str, job: Job, group: zarr.Group) -> Receipt:
    """Call the job; bad input becomes a failed receipt."""
    try:
        return job(key, group) or Receipt(key, "done")
    except KeyFailed as failure:
        return Receipt(key, "failed", inputs=failure.inputs, reason=str(failure) or "no reason")


def _measured(receipt: Receipt, key: str, store: MeteredStore, seconds: float) -> Receipt:
    """Return the receipt with the key's time and the bytes that passed through the store."""
    is_done = receipt.state == "done"
    return replace(
        receipt,
        key=key,
        seconds=seconds,
        bytes_read=receipt.bytes_read + store.bytes_read,
        bytes_written=store.bytes_written if is_done else 0,
        output_sha256=store.digest() if is_done else "",
    )


class Crew:
    """Workers that carry out keys, with two tasks per thread under way at the most.

    The scheduler itself moves tasks off workers that died and gives one up after
    ``NUNATAK_ALLOWED_FAILURES`` deaths. It counts a death against every key that the worker had, so
    such a key is only a suspect: it is submitted ``retries`` more times, alone, and a death then
    speaks of no other key. Where workers die of it again, it ends the run, or is put into
    quarantine (a failed receipt) and the others go on: that is for the :class:`Workers` to say.

    A scheduler that comes back without its tasks speaks of no key: they start again as they were.

    Parameters
    ----------
    workers : Workers
        The scheduler.
    job : Job or ModelJob
        What is done with a key.
    version : Version
        Where it is written.
    retries : int
        See above.
    """

    def __init__(
        self, workers: Workers, job: Job | ModelJob, version: Version, retries: int
    ) -> None:
        self._workers = workers
        self._job = job
        self._shipped = workers.ship(job)
        self._version = version
        self._retries = retries
        self._flying: dict[Any, tuple[str, ...]] = {}
        self._lost: Counter[str] = Counter()
        self._suspects: deque[str] = deque()
        self._again: deque[tuple[str, ...]] = deque()
        self._is_on_trial = False
        self._quarantined = 0
        self._landed = 0
        self._left = 0
        self._pace = TASK_SECONDS

    def outcomes(
        self, keys: Iterator[str], count: int = 0
    ) -> Generator[tuple[Outcome, ...], None, None]:
        """Yield the outcomes of tasks as they come, in any order; start one for each that ended.

        Parameters
        ----------
        keys : iterator of str
            Asked for the next key only when there is room for it.
        count : int
            How many there are about; short keys share tasks only where many are left.
        """
        self._left = count
        try:
            self._refill(keys)
            while self._flying:
                task = self._workers.landed()
                ended = self._landed_with(task)
                if ended:
                    yield ended
                self._refill(keys)
        finally:
            self._workers.cancel()

    def _landed_with(self, task: Any) -> tuple[Outcome, ...]:
        """Return the outcomes of a task, and note which keys are to be tried again."""
        try:
            landing = self._workers.outcome(task)
        except TasksLost:
            self._start_over()
            return ()
        names = self._flying.pop(task)
        self._is_on_trial = False
        return self._suspected(names) if landing is None else self._ended(landing)

    def _start_over(self) -> None:
        """Queue all tasks under way once more, and send a large job again, which is lost too."""
        tasks = list(self._flying.values())
        self._flying.clear()
        if self._is_on_trial:
            self._suspects.extendleft(name for names in tasks for name in names)
            self._is_on_trial = False
        else:
            self._again.extend(tasks)
        self._shipped = self._workers.ship(self._job)

    def _ended(self, landing: Landing) -> tuple[Outcome, ...]:
        """Take note of a task that came back, and of how long its keys took."""
        self._again.extend((key,) for key in landing.again)
        for outcome in landing.outcomes:
            self._landed += 1
            self._pace += _MEMORY_OF_PACE * (outcome.receipt.seconds - self._pace)
        return landing.outcomes

    def _refill(self, keys: Iterator[str]) -> None:
        """Start what there is room for; a suspect waits until nothing else is under way."""
        if self._suspects:
            if not self._flying:
                # A large job may have been lost together with the workers that held it.
                self._shipped = self._workers.ship(self._job)
                self._is_on_trial = True
                self._submit((self._suspects.popleft(),))
            return
        if self._is_on_trial:
            return
        threads = max(1, self._workers.threads())
        for _ in range(TASKS_PER_THREAD * threads - len(self._flying)):
            names = self._next(keys, threads)
            if not names:
                return
            self._submit(names)

    def _next(self, keys: Iterator[str], threads: int) -> tuple[str, ...]:
        """Return the keys of the next task: so many as take :data:`TASK_SECONDS`, or one."""
        if self._again:
            return self._again.popleft()
        fitting = int(TASK_SECONDS / max(self._pace, TASK_SECONDS / MOST_KEYS_PER_TASK))
        share = self._left // (TASKS_TO_COME * threads)
        names = tuple(islice(keys, max(1, min(fitting, share, self._workers.most_keys))))
        self._left -= len(names)
        return names

    def _submit(self, names: tuple[str, ...]) -> None:
        self._flying[self._workers.submit(names, self._shipped, self._version.fork())] = names

    def _suspected(self, names: tuple[str, ...]) -> tuple[Outcome, ...]:
        """Note that each of the keys may have ended its workers; return those given up for it.

        Raises
        ------
        WorkersLost
            If one ends the run.
        """
        # Of several keys one may be to blame at the most, so each is tried alone first.
        tries = max(self._retries, 1) if len(names) > 1 else self._retries
        ended = []
        for key in names:
            if self._lost[key] < tries:
                self._lost[key] += 1
                self._suspects.append(key)
            else:
                ended.append(self._given_up(key))
        return tuple(ended)

    def _given_up(self, key: str) -> Outcome:
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
