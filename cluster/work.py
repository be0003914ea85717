"""Carry out keys of work, here or on Dask workers, and commit them as they come.

Overall strategy: a key already done in the ledger of the version is skipped. Every other key gets a
fork of the version, which travels to a worker and returns with references to the chunks that the
job wrote and with a receipt; no array passes through this process. Every few receipts the forks
are merged and committed together with their receipts. Whatever ends a run, what was finished is
committed first, and the next run skips it. Since a key owns whole chunks and its job depends on
nothing but the key and the inputs, neither order nor batch nor number of workers nor crashes show
in the arrays.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import icechunk
import zarr

from cluster.icechunk_storage import explained, quiet
from cluster.ledger import KeyFailed, Receipt
from cluster.metered_store import MeteredStore, WholeChunkError
from cluster.object_store import StoreError
from cluster.version import Version

if TYPE_CHECKING:
    from distributed import Client

Job = Callable[[str, zarr.Group], Receipt | None]

TASKS_PER_THREAD = 2
LONGEST_WAIT = 30.0
# A job of more bytes than this is sent to the workers once, not with every key.
LARGE_JOB = 2**18


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


def process(
    keys: Sequence[str],
    job: Job,
    *,
    version: Version,
    client: "Client | None" = None,
    batch: int = 16,
    retries: int = 1,
    on_receipt: Callable[[Receipt], None] | None = None,
) -> list[Receipt]:
    """Carry out ``job`` for every key that is not done, and return the receipts of all keys.

    Parameters
    ----------
    keys : sequence of str
        Keys of work; each names work whose chunks no other key of the version writes.
    job : callable
        Called as ``job(key, group)`` with the root group of the version, opened for writing. It
        writes whole chunks and returns a done receipt naming its inputs (or None). Time and the
        bytes that pass through the group are measured here; a receipt's own ``bytes_read`` are
        those read from elsewhere and are added. Bad input is signalled by raising
        :class:`~cluster.ledger.KeyFailed`: the key gets a failed receipt and the others go on.
        Whatever else it raises is a defect and ends the run.
    version : Version
        Where to write; its arrays exist.
    client : distributed.Client, optional
        The workers; without one, keys are carried out in this process.
    batch : int
        Commit after this many receipts, or when the oldest has waited half a minute: the most
        that a killed driver has to do again.
    retries : int
        How many more times to submit a key that the scheduler gave up because its workers died.
    on_receipt : callable, optional
        Called once for each key that was not done at the start, after its receipt is committed.

    Returns
    -------
    list of Receipt
        In the order of ``keys``.

    Notes
    -----
    A failed key of an earlier run is tried again. Failing again for the same reason is no news and
    makes no commit.
    """
    names = list(dict.fromkeys(keys))
    desk = _Desk(version, batch, on_receipt or _ignore)
    waiting = (name for name in names if desk.is_left(name))
    outcomes = (
        _here(waiting, job, version)
        if client is None
        else _Crew(client, job, version, retries).outcomes(waiting)
    )
    try:
        with closing(outcomes):
            for outcome in outcomes:
                desk.take(outcome)
        desk.commit()
    except BaseException as error:
        desk.rescue(error)
        raise
    return [desk.ledger[name] for name in names]


def perform(key: str, job: Job, fork: icechunk.ForkSession) -> Outcome:
    """Carry out one key into its fork; runs on the worker.

    Time and bytes are measured around the job. What a failed job wrote is left behind: no commit
    ever names those chunks.
    """
    quiet()
    store = MeteredStore(fork.store)
    started = time.perf_counter()
    try:
        receipt = job(key, zarr.open_group(store, mode="r+")) or Receipt(key, "done")
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
    )
    if measured.state == "failed":
        return Outcome(measured)
    return Outcome(measured, fork, frozenset(store.chunks))


class _Desk:
    """Collects outcomes of one call of :func:`process` and commits them in batches."""

    def __init__(self, version: Version, batch: int, on_receipt: Callable[[Receipt], None]) -> None:
        self._version = version
        self._batch = batch
        self._on_receipt = on_receipt
        self._pending: list[Outcome] = []
        self._oldest = 0.0
        self._owners: dict[str, str] = {}
        self.ledger = version.receipts()
        self._done_before = _done(self.ledger)

    def is_left(self, key: str) -> bool:
        """Whether nobody has done ``key``; tells of it if another driver has since."""
        if key in self._done_before:
            return False
        if key in _done(self.ledger):
            self._on_receipt(self.ledger[key])
            return False
        return True

    def take(self, outcome: Outcome) -> None:
        """Keep an outcome, and commit if it is time."""
        self._refuse_shared(outcome)
        if not self._pending:
            self._oldest = time.monotonic()
        self._pending.append(outcome)
        waited = time.monotonic() - self._oldest
        if len(self._pending) >= self._batch or waited >= LONGEST_WAIT:
            self.commit()

    def commit(self) -> None:
        """Commit what is kept, and tell of it."""
        if not self._pending:
            return
        taken = self._pending
        self._version.commit(
            [outcome.fork for outcome in taken], [outcome.receipt for outcome in taken]
        )
        self._pending = []
        self.ledger = self._version.receipts()
        for outcome in taken:
            self._on_receipt(self.ledger[outcome.receipt.key])

    def rescue(self, error: BaseException) -> None:
        """Commit what is kept while ``error`` ends the run; never hide ``error``."""
        try:
            self.commit()
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"{len(self._pending)} finished keys could not be committed: {second}")

    def _refuse_shared(self, outcome: Outcome) -> None:
        key = outcome.receipt.key
        for chunk in outcome.chunks:
            owner = self._owners.setdefault(chunk, key)
            if owner != key:
                msg = (
                    f"keys {owner!r} and {key!r} both write chunk {chunk!r}, so the result would "
                    "depend on their order; give each chunk to one key"
                )
                raise WholeChunkError(msg)


def _here(keys: Iterator[str], job: Job, version: Version) -> Generator[Outcome, None, None]:
    for key in keys:
        yield perform(key, job, version.fork())


class _Crew:
    """Dask workers that carry out keys, with two tasks per thread under way at the most.

    The scheduler itself moves tasks off workers that died. It gives one up (``KilledWorker``) after
    ``allowed-failures`` deaths; such a key is submitted ``retries`` more times.
    """

    def __init__(self, client: "Client", job: Job, version: Version, retries: int) -> None:
        from distributed import as_completed

        self._client: Any = client
        self._job = job
        self._shipped = self._ship()
        self._version = version
        self._retries = retries
        self._flying: dict[Any, str] = {}
        self._lost: Counter[str] = Counter()
        self._landing: Any = as_completed()  # type: ignore[no-untyped-call]

    def outcomes(self, keys: Iterator[str]) -> Generator[Outcome, None, None]:
        """Yield outcomes as they come, in any order; submit a key for each one that ended."""
        try:
            self._refill(keys)
            for future in self._landing:
                key = self._flying.pop(future)
                outcome = _landed(future)
                if outcome is None:
                    self._submit_again(key)
                else:
                    yield outcome
                self._refill(keys)
        finally:
            self._client.cancel(list(self._flying))

    def _refill(self, keys: Iterator[str]) -> None:
        threads = sum(self._client.nthreads().values())
        room = TASKS_PER_THREAD * max(1, threads) - len(self._flying)
        for _, key in zip(range(room), keys, strict=False):
            self._submit(key)

    def _submit(self, key: str) -> None:
        future = self._client.submit(perform, key, self._shipped, self._version.fork(), pure=False)
        self._flying[future] = key
        self._landing.add(future)

    def _submit_again(self, key: str) -> None:
        if self._lost[key] >= self._retries:
            msg = (
                f"every worker that was given key {key!r} died ({self._retries + 1} submissions); "
                "look for 'memory' in the workers' logs; give them more of it or fewer threads"
            )
            raise WorkersLost(msg)
        self._lost[key] += 1
        # A large job may have been lost together with the workers that held it.
        self._shipped = self._ship()
        self._submit(key)

    def _ship(self) -> Any:
        """Return the job, or a reference to it on the workers if it is too large for each task."""
        from distributed.protocol.pickle import dumps

        if len(dumps(self._job)) <= LARGE_JOB:  # type: ignore[no-untyped-call]
            return self._job
        return self._client.scatter(self._job, broadcast=True, hash=False)


def _landed(future: Any) -> Outcome | None:
    """Return the outcome of a task, None if its workers died; raise what the job raised."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        outcome: Outcome = future.result()
    except (KilledWorker, CancelledError):
        return None
    return outcome


def _done(ledger: dict[str, Receipt]) -> frozenset[str]:
    return frozenset(key for key, receipt in ledger.items() if receipt.state == "done")


def _ignore(receipt: Receipt) -> None:
    del receipt
