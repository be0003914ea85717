"""Tasks on Dask workers, in the words of :class:`cluster.crew.Workers`."""

from typing import TYPE_CHECKING, Any

import icechunk

from cluster.crew import LARGE_JOB, MOST_KEYS_PER_TASK, Landing, perform_all
from cluster.jobs import Job, ModelJob

if TYPE_CHECKING:
    from distributed import Client


_GONE = (
    "the Dask scheduler is gone; what was finished is kept: start a scheduler and run the same "
    "command again"
)


class SchedulerLost(ConnectionError):  # noqa: N818 - says what happened
    """The scheduler that had the tasks does not answer any more; the same command resumes."""

    resumable = True


class DaskWorkers:
    """The workers of a client.

    The scheduler moves tasks off workers that died by itself and gives a task up
    (``KilledWorker``) after ``allowed-failures`` deaths.
    """

    quarantines = False
    most_keys = MOST_KEYS_PER_TASK

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

    def submit(self, keys: tuple[str, ...], shipped: Any, fork: icechunk.ForkSession) -> Any:
        """Start a task on a worker and return its future."""
        future = self._client.submit(perform_all, keys, shipped, fork, pure=False)
        self._flying.add(future)
        self._landing.add(future)
        return future

    def landed(self) -> Any:
        """Wait for a future that ended and return it."""
        future = next(self._landing)
        self._flying.discard(future)
        return future

    def outcome(self, task: Any) -> Landing | None:
        """Return what a task made, None if its workers died; raise what the job raised."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            landing: Landing = task.result()
        except (KilledWorker, CancelledError):
            if self._client.status in {"closing", "closed"}:
                raise SchedulerLost(_GONE) from None
            return None
        except CommClosedError:  # what a worker made comes by way of the scheduler
            raise SchedulerLost(_GONE) from None
        return landing

    def cancel(self) -> None:
        """Give up every future that has not ended."""
        self._client.cancel(list(self._flying))
