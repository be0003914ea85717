"""Tasks on Ray workers, in the words of :class:`cluster.crew.Workers`.

Ray's own retries are off: it would try a task that outgrows the memory for ever. Deaths are counted
here instead, and a task is given up after as many as on Dask (``NUNATAK_ALLOWED_FAILURES``).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import icechunk

from cluster import settings
from cluster.crew import LARGE_JOB, MOST_KEYS_PER_TASK, Landing, perform_all
from cluster.dask_cluster import ONE_THREAD
from cluster.jobs import Job, ModelJob
from cluster.ray_cluster import RayCluster


@dataclass(frozen=True, eq=False)
class _Task:
    """Keys under way; it stays the same when it starts again on another worker."""

    keys: tuple[str, ...]
    shipped: Any
    fork: icechunk.ForkSession


class RayWorkers:
    """The workers of a Ray cluster, one core and one thread of linear algebra a task."""

    quarantines = False
    most_keys = MOST_KEYS_PER_TASK

    def __init__(self, cluster: RayCluster) -> None:
        import ray

        self._cluster = cluster
        self._perform: Any = ray.remote(
            num_cpus=1, max_retries=0, runtime_env={"env_vars": dict(ONE_THREAD)}
        )(perform_all)
        self._allowed = settings.read().allowed_failures
        self._deaths: Counter[_Task] = Counter()
        self._flying: dict[Any, _Task] = {}
        self._ended: dict[_Task, Any] = {}

    def threads(self) -> int:
        """Return the cores of the cluster there are now."""
        return self._cluster.threads()

    def ship(self, job: Job | ModelJob) -> Any:
        """Return the job, or a reference to it in Ray's object store if it is large."""
        import ray
        from ray import cloudpickle

        size = len(cloudpickle.dumps(job))  # type: ignore[no-untyped-call]
        return job if size <= LARGE_JOB else ray.put(job)

    def submit(self, keys: tuple[str, ...], shipped: Any, fork: icechunk.ForkSession) -> _Task:
        """Start keys on a worker and return their task."""
        task = _Task(keys, shipped, fork)
        self._start(task)
        return task

    def landed(self) -> _Task:
        """Wait for a task that ended and return it; those whose worker died start again."""
        import ray

        while True:
            (reference, *_), _ = ray.wait(list(self._flying), num_returns=1)
            task = self._flying.pop(reference)
            if self._deaths[task] < self._allowed and _is_dead(reference):
                self._deaths[task] += 1
                self._start(task)
            else:
                self._deaths.pop(task, None)
                self._ended[task] = reference
                return task

    def outcome(self, task: _Task) -> Landing | None:
        """Return what a task made, None if its workers died; raise what the job raised."""
        return _landed(self._ended.pop(task))

    def cancel(self) -> None:
        """Give up every task that has not ended; the workers that carry one out are ended."""
        import ray

        for reference in self._flying:
            ray.cancel(reference, force=True)
        self._flying.clear()

    def _start(self, task: _Task) -> None:
        self._flying[self._perform.remote(task.keys, task.shipped, task.fork)] = task


def _is_dead(reference: Any) -> bool:
    """Return whether the worker of an ended task died under it."""
    import ray
    from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError

    try:
        ray.get(reference)
    except (WorkerCrashedError, NodeDiedError, OutOfMemoryError):
        return True
    except RayError:
        return False  # what the job raised, or a lost job: told by _landed
    return False


def _landed(reference: Any) -> Landing | None:
    import ray
    from ray.exceptions import (
        NodeDiedError,
        ObjectLostError,
        OutOfMemoryError,
        RayTaskError,
        WorkerCrashedError,
    )  # fmt: skip

    try:
        landing: Landing = ray.get(reference)
    except (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError):
        return None
    except RayTaskError as error:
        if isinstance(error.cause, ObjectLostError):  # the job went with the node that held it
            return None
        raise defect(error) from None
    return landing


def defect(error: Any) -> BaseException:
    """Return what a job raised, from the RayTaskError around it."""
    cause = error.cause
    if not isinstance(cause, BaseException):
        unknown: BaseException = error
        return unknown
    cause.add_note(f"on a Ray worker:\n{error}")
    return cause
