"""Carry out keys of work, here or on Dask or Ray, and commit them as they come.

Overall strategy: a key already done in the ledger of the version is skipped. Every other key gets a
fork of the version, which travels to a worker and returns with references to the chunks that the
job wrote and with a receipt; no array passes through this process. Keys that take milliseconds
share a fork and a task. Every few receipts the forks are merged and committed together with their
receipts; a commit writes the list of all chunks anew, so that commits keep to a share of the time,
or a run of many short keys would spend its time on them. Whatever ends a run, what was finished is
committed first, and the next run skips it. Since a key owns whole chunks and its job depends on
nothing but the key and the inputs, neither order nor batch nor number of workers nor crashes show
in the arrays.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from cluster.crew import Crew, Outcome, Workers, WorkersLost, perform
from cluster.gpu_pool import Pool
from cluster.jobs import OPENED, Job, ModelJob
from cluster.ledger import Receipt
from cluster.metered_store import WholeChunkError
from cluster.ray_cluster import RayCluster
from cluster.version import Version

if TYPE_CHECKING:
    from distributed import Client

    Workforce = Client | RayCluster | Pool

__all__ = ["Job", "ModelJob", "Outcome", "WorkersLost", "perform", "process"]

# Looked at whenever a task comes back.
LONGEST_WAIT = 30.0
# Commits take no more than this share of the time of a run, or are as seldom as LONGEST_WAIT.
COMMIT_SHARE = 0.05


def process(
    keys: Sequence[str],
    job: Job | ModelJob,
    *,
    version: Version,
    client: "Workforce | None" = None,
    batch: int = 16,
    retries: int = 1,
    before_commit: Callable[[], None] | None = None,
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
        Whatever else it raises is a defect and ends the run. A
        :class:`~cluster.jobs.ModelJob` is opened first, once for each process that works.
    version : Version
        Where to write; its arrays exist.
    client : distributed.Client, RayCluster or Pool, optional
        The workers: of Dask, of Ray, or actors of Ray that keep their model between keys; without
        any, keys are carried out in this process.
    batch : int
        Commit after this many receipts; where that many come faster than twenty times the last
        commit took, after as long; and when a task comes back and the oldest receipt has waited
        half a minute. A killed driver has to do again what was not committed and what is under
        way, two tasks a thread. Where keys take longer than half a minute, receipts wait for
        the next key to end.
    retries : int
        How many more times to submit a key that the scheduler gave up because its workers died.
        If they die again, a pool puts the key into quarantine (a failed receipt) and goes on;
        the others end the run.
    before_commit : callable, optional
        Called before each commit; what it raises ends the run, and nothing more is committed.
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
    desk = _Desk(version, batch, before_commit or _agree, on_receipt or _ignore)
    waiting = (name for name in names if desk.is_left(name))
    landings = (
        _here(waiting, job, version)
        if client is None
        else Crew(_team(client), job, version, retries).outcomes(waiting, desk.left(names))
    )
    try:
        with closing(landings):
            for outcomes in landings:
                desk.take(outcomes)
        desk.commit()
    except BaseException as error:
        desk.rescue(error)
        raise
    return [desk.ledger[name] for name in names]


class _Desk:
    """Collects outcomes of one call of :func:`process` and commits them in batches."""

    def __init__(
        self,
        version: Version,
        batch: int,
        before_commit: Callable[[], None],
        on_receipt: Callable[[Receipt], None],
    ) -> None:
        self._version = version
        self._batch = batch
        self._before_commit = before_commit
        self._on_receipt = on_receipt
        self._pending: list[Outcome] = []
        self._oldest = 0.0
        self._not_before = 0.0
        self._owners: dict[str, str] = {}
        self._done_before = _done(version.receipts())

    @property
    def ledger(self) -> Mapping[str, Receipt]:
        """The ledger as this driver saw it last."""
        return self._version.ledger

    def left(self, keys: Sequence[str]) -> int:
        """Return how many keys were not done at the start."""
        return sum(key not in self._done_before for key in keys)

    def is_left(self, key: str) -> bool:
        """Whether nobody has done ``key``; tells of it if another driver has since."""
        if key in self._done_before:
            return False
        receipt = self.ledger.get(key)
        if receipt is not None and receipt.state == "done":
            self._on_receipt(receipt)
            return False
        return True

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the outcomes of a task, and commit if it is time."""
        for outcome in outcomes:
            self._refuse_shared(outcome)
        now = time.monotonic()
        if not self._pending:
            self._oldest = now
        self._pending.extend(outcomes)
        is_due = len(self._pending) >= self._batch and now >= self._not_before
        if is_due or now - self._oldest >= LONGEST_WAIT:
            self.commit()

    def commit(self) -> None:
        """Commit what is kept, and tell of it."""
        if not self._pending:
            return
        self._before_commit()
        started = time.monotonic()
        taken = self._pending
        self._version.commit(
            [outcome.fork for outcome in taken], [outcome.receipt for outcome in taken]
        )
        self._pending = []
        ended = time.monotonic()
        self._not_before = ended + (1.0 / COMMIT_SHARE - 1.0) * (ended - started)
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


def _here(
    keys: Iterator[str], job: Job | ModelJob, version: Version
) -> Generator[tuple[Outcome, ...], None, None]:
    try:
        for key in keys:
            yield (perform(key, job, version.fork()),)
    finally:
        OPENED.forget()


def _team(client: "Workforce") -> Workers:
    """Return the tasks of a client in the one form that a crew knows."""
    if isinstance(client, Pool):
        from cluster.pool_crew import PoolWorkers

        return PoolWorkers(client)
    if isinstance(client, RayCluster):
        from cluster.ray_crew import RayWorkers

        return RayWorkers(client)
    from cluster.dask_crew import DaskWorkers

    return DaskWorkers(client)


def _done(ledger: Mapping[str, Receipt]) -> frozenset[str]:
    return frozenset(key for key, receipt in ledger.items() if receipt.state == "done")


def _agree() -> None:
    pass


def _ignore(receipt: Receipt) -> None:
    del receipt
