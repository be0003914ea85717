"""Tasks on Dask workers, in the words of :class:`cluster.crew.Workers`."""

import logging
import time
from typing import TYPE_CHECKING, Any

import icechunk

from cluster.crew import LARGE_JOB, MOST_KEYS_PER_TASK, Landing, TasksLost, perform_all
from cluster.jobs import Job, ModelJob

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

_GONE = (
    "the Dask scheduler is gone; what was finished is kept: start a scheduler and run the same "
    "command again"
)
# Why Dask cancels futures that nobody gave up: the scheduler that knew them is no more.
_FORGOTTEN = frozenset({"scheduler-connection-lost", "scheduler-restart"})
_CLOSED = frozenset({"closing", "closed"})
_LOOK_AGAIN = 0.2  # [s] between two looks at a client that tries to connect


class SchedulerLost(ConnectionError):  # noqa: N818 - says what happened
    """The scheduler that had the tasks does not answer any more; the same command resumes."""

    resumable = True


class DaskWorkers:
    """The workers of a client.

    The scheduler moves tasks off workers that died by itself and gives a task up
    (``KilledWorker``) after ``allowed-failures`` deaths. A scheduler that ends is waited for while
    the client tries to connect (``NUNATAK_CONNECT_TIMEOUT``); one that comes back knows no task.
    """

    quarantines = False
    most_keys = MOST_KEYS_PER_TASK

    def __init__(self, client: "Client") -> None:
        self._client: Any = client
        self._forget()

    def _forget(self) -> None:
        from distributed import as_completed

        self._flying: set[Any] = set()
        self._landing: Any = as_completed(loop=self._client.loop)  # type: ignore[no-untyped-call]

    def threads(self) -> int:
        """Return the threads of all workers there are now.

        Raises
        ------
        SchedulerLost
            If the scheduler is gone and does not come back.
        """
        while self._client.status not in _CLOSED:
            try:
                if self._client.status == "running":
                    return int(sum(self._client.nthreads().values()))
            except OSError as error:
                logger.debug("the Dask scheduler does not answer: %s", error)
            time.sleep(_LOOK_AGAIN)
        raise SchedulerLost(_GONE)

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
        """Return what a task made, None if its workers died; raise what the job raised.

        Raises
        ------
        TasksLost
            If the scheduler was gone and is back.
        SchedulerLost
            If it is gone and does not come back.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            landing: Landing = task.result()
        except KilledWorker:
            return None
        except CancelledError as error:
            if getattr(error, "reason", "") in _FORGOTTEN:
                raise self._back() from None
            if self._client.status in _CLOSED:
                raise SchedulerLost(_GONE) from None
            return None
        except CommClosedError:  # what a worker made comes by way of the scheduler
            if task.status == "error":  # unless the job itself raised it
                raise
            raise self._back() from None
        return landing

    def _back(self) -> TasksLost:
        """Wait until the scheduler is back, and forget the tasks of the one before.

        Raises
        ------
        SchedulerLost
            If it does not come back.
        """
        logger.warning("the Dask scheduler is gone; waiting for it to come back")
        self.threads()
        tasks = len(self._flying) + 1
        self._forget()
        msg = f"the Dask scheduler is back without its tasks; {tasks} start again"
        logger.warning(msg)
        return TasksLost(msg)

    def cancel(self) -> None:
        """Give up every future that has not ended; those of a lost scheduler are given up."""
        if self._client.status not in _CLOSED:
            self._client.cancel(list(self._flying))
