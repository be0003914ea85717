"""Actors of a pool, in the words of :class:`cluster.crew.Workers`.

Overall strategy: keys wait in a queue here and go to the least busy actor that has its model open,
two to each at the most (the next one is there when one ends). An actor that dies is replaced. It
carries out its keys in the order in which they came, so that the first one not ended is the one it
died under; the others go back to the front of the queue and are not blamed. A key is given up, for
the crew to try it alone, when it has ended its actors ``NUNATAK_ALLOWED_FAILURES`` times by the
loss of a whole node, or :data:`CRASHES` times by a crash on a node that lived on: to lose machines
is the way of a spot pool, while a process that dies on a sound machine mostly dies of its key.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import icechunk

from cluster import settings
from cluster.crew import LARGE_JOB, TASKS_PER_THREAD, Landing, Outcome, WorkersLost
from cluster.dask_cluster import ClusterError
from cluster.gpu_pool import Place, Pool, hire
from cluster.jobs import Job, ModelJob
from cluster.ray_crew import defect

logger = logging.getLogger(__name__)

# A key's actor, or one that opens its model, crashes so often before we draw conclusions. Never
# more than NUNATAK_ALLOWED_FAILURES.
CRASHES = 3
_SETTLING = 10.0  # [s] for Ray to tell of every key of an actor that died
_LOOK_AGAIN = 1.0  # [s] between two looks at a cluster from which nothing comes
_REMIND = 60.0  # [s] between two lines about a cluster without room
# Machines that were there and went are waited for so much longer than those that never came.
_MORE_PATIENCE = 20.0
_MODEL = ""  # in the place of a key: what deaths during opening are counted against


@dataclass(frozen=True, eq=False)
class _Task:
    """A key under way; it stays the same when it starts again on another actor."""

    key: str
    fork: icechunk.ForkSession


@dataclass(eq=False)
class _Actor:
    """An actor, from its asking to its end.

    Attributes
    ----------
    handle : ray.actor.ActorHandle
    placing, opening : ray.ObjectRef or None
        Its place, and the end of opening; None once they are known.
    place : Place or None
        None until it has a node.
    flights : dict
        The task of each call under way, first in first out.
    """

    handle: Any
    placing: Any
    opening: Any
    place: Place | None = None
    flights: dict[Any, _Task] = field(default_factory=dict)

    def references(self) -> Iterator[Any]:
        """Yield what Ray may be asked to wait for."""
        yield from (each for each in (self.placing, self.opening) if each is not None)
        yield from self.flights

    @property
    def has_room(self) -> bool:
        """Whether it can take a key."""
        return self.opening is None and len(self.flights) < TASKS_PER_THREAD


@dataclass(frozen=True)
class _Death:
    """Of an actor, in Ray's words."""

    message: str


class PoolWorkers:
    """The actors of a pool for one call of :func:`cluster.work.process`."""

    quarantines = True
    most_keys = 1  # so that a death speaks of one key

    def __init__(self, pool: Pool) -> None:
        choices = settings.read()
        self._pool = pool
        self._patience = choices.connect_timeout
        self._allowed = choices.allowed_failures
        self._shipped: Any = None
        self._queue: deque[_Task] = deque()
        self._actors: list[_Actor] = []
        self._crashed: Counter[str] = Counter()
        self._node_lost: Counter[str] = Counter()
        # What each task came to; None if it was given up.
        self._ended: dict[_Task, Any] = {}
        self._was_placed = False
        self._idle_since = time.monotonic()
        self._reminded = self._idle_since

    def threads(self) -> int:
        """Return how many actors there shall be now."""
        return self._pool.size()

    def ship(self, job: Job | ModelJob) -> Any:
        """Return the job, or a reference to it in Ray's object store if it is large.

        It goes to each actor once, when the actor is made.
        """
        import ray
        from ray import cloudpickle

        size = len(cloudpickle.dumps(job))  # type: ignore[no-untyped-call]
        self._shipped = job if size <= LARGE_JOB else ray.put(job)
        return self._shipped

    def submit(self, keys: tuple[str, ...], shipped: Any, fork: icechunk.ForkSession) -> _Task:
        """Queue a key for an actor and return its task."""
        del shipped  # the actors have it
        (key,) = keys
        task = _Task(key, fork)
        self._queue.append(task)
        self._deal()
        return task

    def landed(self) -> _Task:
        """Wait for a task that ended or was given up and return it."""
        while not self._ended:
            self._deal()
            self._wait()
        return next(iter(self._ended))

    def outcome(self, task: Any) -> Landing | None:
        """Return what a task made, None if its actors died; raise what the job raised."""
        from ray.exceptions import RayTaskError

        result = self._ended.pop(task)
        if isinstance(result, RayTaskError):
            raise defect(result) from None
        outcome: Outcome | None = result
        return None if outcome is None else Landing((outcome,))

    def cancel(self) -> None:
        """End every actor, and with it what is under way."""
        import ray

        for actor in self._actors:
            ray.kill(actor.handle)
        self._actors.clear()
        self._queue.clear()

    def _deal(self) -> None:
        """Hand queued keys to the least busy actors, and ask for actors that are wanting."""
        while self._queue:
            free = [actor for actor in self._actors if actor.has_room]
            if not free:
                break
            actor = min(free, key=lambda each: len(each.flights))
            task = self._queue.popleft()
            actor.flights[actor.handle.process.remote(task.key, task.fork)] = task
        under_way = len(self._queue) + sum(len(actor.flights) for actor in self._actors)
        for _ in range(min(self._pool.size(), under_way) - len(self._actors)):
            handle = hire(self._pool.needs, self._shipped)
            self._actors.append(_Actor(handle, handle.place.remote(), handle.open.remote()))

    def _wait(self) -> None:
        """Take in what came; without anything for a while, see whether anything can come."""
        import ray

        references = {each: actor for actor in self._actors for each in actor.references()}
        ready, _ = ray.wait(list(references), num_returns=1, timeout=_LOOK_AGAIN)
        for reference in ready:
            self._take(references[reference], reference)
        if any(actor.place for actor in self._actors):
            self._was_placed = True
            self._idle_since = self._reminded = time.monotonic()
        elif not ready:
            self._require_room()

    def _take(self, actor: _Actor, reference: Any) -> None:
        """Take in one answer of an actor: its place, its model, a key, or its death."""
        from ray.exceptions import RayTaskError

        result = _result(reference)
        if isinstance(result, _Death):
            self._bury(actor, result)
        elif reference in actor.flights:
            self._ended[actor.flights.pop(reference)] = result
        elif isinstance(result, RayTaskError):
            raise defect(result) from None
        elif reference == actor.placing:
            actor.placing, actor.place = None, result
        else:
            actor.opening = None
            self._crashed.pop(_MODEL, None)
            self._node_lost.pop(_MODEL, None)

    def _bury(self, actor: _Actor, death: _Death) -> None:
        """Let a dead actor go: blame the first key that it had not ended, queue the others."""
        import ray

        self._actors.remove(actor)
        ray.kill(actor.handle)  # one that is only out of reach must not go on
        logger.info("an actor of %s died and is replaced: %s", self._pool.name, death.message)
        if actor.opening is not None:
            if self._blamed(_MODEL, actor.place, spare=0):
                raise self._not_opened(death)
            return
        ray.wait(list(actor.flights), num_returns=len(actor.flights), timeout=_SETTLING)
        left = []
        for reference, task in actor.flights.items():
            result = _result(reference, timeout=0.0)
            if not isinstance(result, _Death):
                self._ended[task] = result
            else:
                left.append(task)
        if left and self._blamed(left[0].key, actor.place, spare=1):
            self._ended[left.pop(0)] = None
        self._queue.extendleft(reversed(left))

    def _blamed(self, name: str, place: Place | None, *, spare: int) -> bool:
        """Count a death against a key; return whether it had all its deaths but ``spare``."""
        lost = place is not None and not self._pool.cluster.has_node(place.node)
        deaths, most = (
            (self._node_lost, self._allowed)
            if lost
            else (self._crashed, min(CRASHES, self._allowed))
        )
        deaths[name] += 1
        return deaths[name] >= max(1, most - spare)

    def _not_opened(self, death: _Death) -> WorkersLost:
        msg = f"{self._pool.name}: the actors die while they open the model, before any key "
        msg += f"({death.message}); give each more memory or fewer actors to a node, and see "
        msg += "that the model's libraries are those of the driver"
        return WorkersLost(msg)

    def _require_room(self) -> None:
        """Refuse to wait any longer for a cluster that has no room for a single actor."""
        now = time.monotonic()
        waited, patience = now - self._idle_since, self._patience
        if self._pool.cluster.address == "local":
            patience = 0.0
        elif self._was_placed:
            patience *= _MORE_PATIENCE
        if waited > patience and not self._pool.room():
            raise ClusterError(self._pool.without_room())
        if now - self._reminded > _REMIND:
            self._reminded = now
            logger.warning("%s has waited %.0f s for room on the cluster", self._pool.name, waited)


def _result(reference: Any, timeout: float | None = None) -> Any:
    """Return what a call returned or raised (a RayTaskError), or the death of its actor."""
    import ray
    from ray.exceptions import ObjectLostError, RayError, RayTaskError

    try:
        return ray.get(reference, timeout=timeout)
    except RayTaskError as error:
        if isinstance(error.cause, ObjectLostError):  # the job went down with the node it lay on
            return _Death(str(error.cause).partition("\n")[0])
        return error
    except RayError as error:
        return _Death(str(error).strip())
