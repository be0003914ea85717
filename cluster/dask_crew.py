"""Tasks on Dask workers, in the words of :class:`cluster.crew.Workers`."""

from typing import TYPE_CHECKING, Any

import icechunk

from cluster.crew import LARGE_JOB, Outcome, perform
from cluster.jobs import Job, ModelJob

if TYPE_CHECKING:
    from distributed import Client


class DaskWorkers:
    """The workers of a client.

    The scheduler moves tasks off workers that died by itself and gives a task up
    (``KilledWorker``) after ``allowed-failures`` deaths.
    """

    quarantines = False

    def __init__(self, client: "Client") -> None:
        from distributed import as_completed

        self._client: Any = client
        self._flying: set[Any] = set()
        self._landing: Any = as_completed()  # type: ignore[no-untyped-call]

    def threads(self) -> int:
        """Return the threads of all workers there are now."""
        return int(sum(self._client.nthreads().values()))

    def ship(self, job: Job | ModelJob) -> Any:
        """Return the job, or a reference to it on the workers if it is too large for each task."""
        from distributed.protocol.pickle import dumps

        if len(dumps(job)) <= LARGE_JOB:  # type: ignore[no-untyped-call]
            return job
        return self._client.scatter(job, broadcast=True, hash=False)

    def submit(self, key: str, shipped: Any, fork: icechunk.ForkSession) -> Any:
        """Start a key on a worker and return its future."""
        future = self._client.submit(perform, key, shipped, fork, pure=False)
        self._flying.add(future)
        self._landing.add(future)
        return future

    def landed(self) -> Any:
        """Wait for a future that ended and return it."""
        future = next(self._landing)
        self._flying.discard(future)
        return future

    def outcome(self, task: Any) -> Outcome | None:
        """Return what a task made, None if its workers died; raise what the job raised."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            outcome: Outcome = task.result()
        except (KilledWorker, CancelledError):
            return None
        return outcome

    def cancel(self) -> None:
        """Give up every future that has not ended."""
        self._client.cancel(list(self._flying))
