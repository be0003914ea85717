"""A run of any size as discrete events: its time, its cost, and what it waits for.

Overall strategy: driver, scheduler, workers and the limits of a store are queues with measured
service times (:mod:`cluster.unit_costs`); keys are what passes through them, by the rules of
:mod:`cluster.crew` and :mod:`cluster.work` (two tasks under way to a thread, short keys share a
task, commits keep to their share of the time, a stage begins when the one before has ended). Every
second of every worker is put down to one reason, and the largest reason other than the keys' own
work is the bottleneck.

What a worker is given is a lot, mostly a single task (:mod:`cluster.simulated_work`).
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from cluster.crew import TASKS_PER_THREAD
from cluster.prices import Prices
from cluster.simulated_cores import Cores
from cluster.simulated_work import Lot, Work, lots_of
from cluster.unit_costs import UnitCosts
from cluster.work import COMMIT_SHARE, LONGEST_WAIT

_DRIVING_CORES = 4  # of the driver and the scheduler, kept while a run lasts
_HOUR = 3600.0

KEYS, ENGINE, STORE, LIMIT, SCHEDULER, DRIVER, END, START, LOST = (
    "keys", "task overhead", "store latency", "store limits", "scheduler", "driver",
    "end of stages", "starting nodes", "preemption",
)  # fmt: skip
REASONS = (KEYS, ENGINE, STORE, LIMIT, SCHEDULER, DRIVER, END, START, LOST)


class SimulationError(ValueError):
    """A run that cannot be simulated."""


@dataclass(frozen=True)
class Fleet:
    """Who does the work.

    Attributes
    ----------
    workers : int
        Of one thread each.
    spot : bool
        Whether they are a spot market's, cheap and taken back at times.
    shared : tuple of float
        Cores that so many busy processes get together, see :class:`cluster.simulated_cores.Cores`;
        scheduler and driver are among them. Empty where each worker has a core of its own.
    batch : int
        Keys per commit.
    """

    workers: int
    spot: bool = False
    shared: tuple[float, ...] = ()
    batch: int = 16


@dataclass(frozen=True)
class Simulated:
    """What came of it.

    Attributes
    ----------
    workers : int
    seconds : float
        From asking for nodes to the last commit [s].
    stages : tuple of float
        When each stage ended [s].
    dollars : float
        Cores and requests [$].
    utilisation : float
        Share of the workers' time that the keys' own work took [1].
    shares : dict of str to float
        All of the workers' time by its reason, which sum to 1.
    bottleneck : str
        The largest reason; the keys' own work if that is half of the time or more.
    commits, preempted : int
        How many.
    lots : int
        Events that stood for tasks.
    """

    workers: int
    seconds: float
    stages: tuple[float, ...]
    dollars: float
    utilisation: float
    shares: dict[str, float]
    bottleneck: str
    commits: int
    preempted: int
    lots: int


def simulate(
    works: Sequence[Work],
    fleet: Fleet,
    *,
    costs: UnitCosts,
    prices: Prices,
    seed: int = 0,
) -> Simulated:
    """Return what a run would take.

    Raises
    ------
    SimulationError
        Without workers, or with stages without keys or times.
    """
    if fleet.workers < 1 or fleet.batch < 1:
        msg = f"found {fleet.workers} workers and {fleet.batch} keys a commit; expected 1 or more"
        raise SimulationError(msg)
    for work in works:
        if work.keys < 1 or not work.seconds or min(work.seconds) < 0.0:
            msg = f"stage {work.name!r} has {work.keys} keys and {len(work.seconds)} times; "
            msg += "expected at least one of each, and no time below zero"
            raise SimulationError(msg)
    if not works:
        msg = "found no stages; expected at least one"
        raise SimulationError(msg)
    return _Run(works, fleet, costs, seed).result(prices)


class _Run:
    """One simulated run."""

    def __init__(self, works: Sequence[Work], fleet: Fleet, costs: UnitCosts, seed: int) -> None:
        self._works = works
        self._fleet = fleet
        self._costs = costs
        self._random = np.random.default_rng(seed)
        self._clock = simpy.Environment()
        self._cores = Cores(self._clock, fleet.shared) if fleet.shared else None
        self._to_schedule = simpy.Store(self._clock)
        self._queue = simpy.Store(self._clock)
        self._landed = simpy.Store(self._clock)
        self._tally = dict.fromkeys(REASONS, 0.0)
        self._free_requests = {"reads": 0.0, "writes": 0.0}
        self._free_bytes = 0.0
        self._left_to_submit = False
        # From when to when all tasks of a stage were with workers, and others had nothing to do.
        self._dry: list[tuple[float, float]] = []
        self._waiting_since: dict[int, tuple[float, str]] = {}
        self._pending = self._held = self._commits = self._preempted = self._lots = 0
        self._oldest = self._not_before = 0.0
        self._stages: list[float] = []

    def result(self, prices: Prices) -> Simulated:
        """Carry it out and sum it up."""
        self._clock.process(self._schedule())
        for number in range(self._fleet.workers):
            self._clock.process(self._worker(number))
        self._clock.run(until=self._clock.process(self._drive()))
        for since, reason in self._waiting_since.values():
            self._account(reason, since)
        whole = self._fleet.workers * self._clock.now
        spent = dict(self._tally)
        # What is under way when the last key ends (a node that starts again) is of no use.
        spent[END] += max(0.0, whole - sum(spent.values()))
        shares = {reason: seconds / sum(spent.values()) for reason, seconds in spent.items()}
        others = {reason: share for reason, share in shares.items() if reason != KEYS}
        useful = shares[KEYS]
        return Simulated(
            workers=self._fleet.workers,
            seconds=self._clock.now,
            stages=tuple(self._stages),
            dollars=self._dollars(prices),
            utilisation=useful,
            shares=shares,
            bottleneck=KEYS if useful >= 0.5 else max(others, key=lambda name: others[name]),
            commits=self._commits,
            preempted=self._preempted,
            lots=self._lots,
        )

    def _dollars(self, prices: Prices) -> float:
        share = self._costs.nodes.spot_price if self._fleet.spot else 1.0
        cores = self._fleet.workers * share + _DRIVING_CORES
        requests = sum(
            work.keys * (work.reads * prices.thousand_reads + work.writes * prices.thousand_writes)
            for work in self._works
        )
        read = sum(work.keys * work.bytes_read for work in self._works)
        return (
            prices.core_hour * cores * self._clock.now / _HOUR
            + requests / 1e3
            + prices.gib_in * read / 2**30
        )

    def _busy(self, seconds: float) -> Any:
        """Return the event of a core having worked for so long."""
        return self._cores.use(seconds) if self._cores else self._clock.timeout(seconds)

    def _drive(self) -> Generator[Any, Any, None]:
        """Submit, take in and commit, as :func:`cluster.work.process` does, stage by stage."""
        engine = self._costs.engine
        for work in self._works:
            lots = self._lots_of(work)
            flying = 0
            self._left_to_submit = True
            while True:
                room = TASKS_PER_THREAD * self._fleet.workers - flying
                for lot in self._some(lots, room):
                    flying += 1
                    yield self._busy(0.5 * engine.driver_task * lot.tasks)
                    self._to_schedule.put(lot)
                if not flying:
                    break
                lot = yield self._landed.get()
                flying -= 1
                yield self._busy(
                    0.5 * engine.driver_task * lot.tasks + engine.driver_key * lot.keys
                )
                yield from self._take(lot)
            yield from self._commit()
            self._stages.append(self._clock.now)
            self._dry[-1] = (self._dry[-1][0], self._clock.now)

    def _lots_of(self, work: Work) -> Iterator[Lot]:
        store, moving = self._costs.store, 0.0
        if not self._cores:
            moving = (work.reads + work.writes) * store.latency / store.at_once
        return lots_of(work, self._fleet.workers, self._random, moving=moving)

    def _some(self, lots: Iterator[Lot], room: int) -> Iterator[Lot]:
        for _ in range(room):
            lot = next(lots, None)
            if lot is None:
                self._left_to_submit = False
                self._dried()
                return
            self._lots += 1
            yield lot

    def _take(self, lot: Lot) -> Generator[Any, Any, None]:
        """Keep what landed, and commit if it is time."""
        now = self._clock.now
        if not self._pending:
            self._oldest = now
        self._pending += lot.keys
        is_due = self._pending >= self._fleet.batch and now >= self._not_before
        if is_due or now - self._oldest >= LONGEST_WAIT:
            yield from self._commit()

    def _commit(self) -> Generator[Any, Any, None]:
        if not self._pending:
            return
        engine, store = self._costs.engine, self._costs.store
        self._held += self._pending
        self._pending = 0
        self._commits += 1
        started = self._clock.now
        yield self._busy(engine.commit + engine.commit_key * self._held)
        if not self._cores:
            # Snapshot, list of chunks, reference: one after the other.
            yield self._clock.timeout(3 * store.latency)
        ended = self._clock.now
        self._not_before = ended + (1.0 / COMMIT_SHARE - 1.0) * (ended - started)

    def _schedule(self) -> Generator[Any, Any, None]:
        while True:
            lot = yield self._to_schedule.get()
            yield self._busy(self._costs.engine.scheduler_task * lot.tasks)
            self._queue.put(lot)
            self._dried()

    def _dried(self) -> None:
        """Note when the last task of a stage has gone to the workers."""
        is_open = len(self._dry) > len(self._stages)
        if not (self._left_to_submit or self._to_schedule.items or is_open):
            self._dry.append((self._clock.now, math.inf))

    def _worker(self, number: int) -> Generator[Any, Any, None]:
        """Live, work, be taken back, and come again."""
        nodes = self._costs.nodes
        while True:
            start = 0.0 if self._cores else nodes.start * self._random.uniform(0.75, 1.25)
            yield from self._waited(number, START, self._clock.timeout(start))
            death = self._clock.now + self._lifetime()
            while (lot := (yield from self._next(number))) is not None:
                if not (yield from self._do(number, lot, death)):
                    break

    def _lifetime(self) -> float:
        taken = self._costs.nodes.preempted
        if not self._fleet.spot or taken <= 0.0:
            return math.inf
        return float(self._random.exponential(_HOUR / taken))

    def _waited(self, number: int, reason: str, event: Any) -> Generator[Any, Any, Any]:
        """Wait for an event and put the time down to a reason."""
        since = self._clock.now
        self._waiting_since[number] = (since, reason)
        value = yield event
        del self._waiting_since[number]
        self._account(reason, since)
        return value

    def _account(self, reason: str, since: float) -> None:
        """Put time down to a reason; who waits for a task while there is none waits for the end."""
        now = self._clock.now
        spent = now - since
        if reason in {SCHEDULER, DRIVER}:
            dry = sum(max(0.0, min(now, end) - max(since, start)) for start, end in self._dry)
            self._tally[END] += dry
            spent -= dry
        self._tally[reason] += spent

    def _next(self, number: int) -> Generator[Any, Any, Lot]:
        """Wait for a task; who is to blame is who has the next one now."""
        if self._queue.items:
            lot: Lot = yield self._queue.get()
            return lot
        reason = SCHEDULER if self._to_schedule.items else DRIVER
        lot = yield from self._waited(number, reason, self._queue.get())
        yield from self._waited(number, ENGINE, self._clock.timeout(self._costs.engine.trip))
        return lot

    def _do(self, number: int, lot: Lot, death: float) -> Generator[Any, Any, bool]:
        """Carry out a lot; return whether the worker lives."""
        engine, work = self._costs.engine, lot.work
        overhead = engine.worker_task * lot.tasks + engine.worker_key * lot.keys
        yield from self._waited(number, ENGINE, self._busy(overhead))
        yield from self._moved(number, lot.keys * work.reads, lot.keys * work.bytes_read, "reads")
        own = lot.seconds
        if self._clock.now + own > death:
            yield from self._lost(number, lot, death)
            return False
        waits = own * work.waiting
        if waits:
            yield from self._waited(number, KEYS, self._clock.timeout(waits))
        if own > waits:
            yield from self._waited(number, KEYS, self._busy(own - waits))
        written = lot.keys * work.bytes_written
        yield from self._moved(number, lot.keys * work.writes, written, "writes")
        self._landed.put(lot)
        return True

    def _lost(self, number: int, lot: Lot, death: float) -> Generator[Any, Any, None]:
        """Lose the worker and the task it was at; what it had ended before of its lot is kept."""
        self._preempted += 1
        left = max(0.0, death - self._clock.now)
        kept = int(lot.tasks * min(1.0, left / lot.seconds)) if lot.seconds else 0
        done = lot.seconds * kept / lot.tasks
        yield from self._waited(number, KEYS, self._clock.timeout(min(left, done)))
        yield from self._waited(number, LOST, self._clock.timeout(max(0.0, left - done)))
        lot.seconds -= done
        self._clock.process(self._again(lot))

    def _again(self, lot: Lot) -> Generator[Any, Any, None]:
        yield self._clock.timeout(self._costs.nodes.noticed)
        self._to_schedule.put(lot)

    def _moved(
        self, number: int, requests: float, size: float, kind: str
    ) -> Generator[Any, Any, None]:
        """Read or write: what a worker's own requests take, and what all workers share."""
        if not requests and not size:
            return
        store, now = self._costs.store, self._clock.now
        own = requests * store.latency / store.at_once + size / store.worker_bandwidth
        rate = (store.reads if kind == "reads" else store.writes) * store.prefixes
        asked = max(now, self._free_requests[kind]) + requests / rate
        self._free_requests[kind] = asked
        self._free_bytes = max(now, self._free_bytes) + size / store.total_bandwidth
        until = max(asked, self._free_bytes)
        yield from self._waited(number, STORE, self._clock.timeout(own))
        beyond = until - self._clock.now
        if beyond > 0.0:
            yield from self._waited(number, LIMIT, self._clock.timeout(beyond))
