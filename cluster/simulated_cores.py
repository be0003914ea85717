"""Cores that busy processes share, as an operating system shares them."""

import heapq
from collections.abc import Sequence
from itertools import count
from typing import Any

import simpy


class Cores:
    """Processor sharing: all busy processes get equal parts of what the cores give.

    Parameters
    ----------
    environment : simpy.Environment
        Its clock.
    given : sequence of float
        Cores that so many busy processes get together, from one on [1]; more processes than the
        sequence is long get its last. ``(1, 2)`` are two cores that nobody else uses.
    """

    def __init__(self, environment: simpy.Environment, given: Sequence[float]) -> None:
        self._environment = environment
        self._given = tuple(given)
        # Work that each process present since the beginning would have been given [s].
        self._each = 0.0
        self._since = 0.0
        self._busy: list[tuple[float, int, Any]] = []
        self._order = count()
        self._plan = 0

    def use(self, seconds: float) -> Any:
        """Return an event that comes when a process has had ``seconds`` of a core."""
        self._advance()
        ended = self._environment.event()
        heapq.heappush(self._busy, (self._each + seconds, next(self._order), ended))
        self._wait()
        return ended

    def _rate(self) -> float:
        busy = len(self._busy)
        return self._given[min(busy, len(self._given)) - 1] / busy if busy else 0.0

    def _advance(self) -> None:
        now = self._environment.now
        self._each += (now - self._since) * self._rate()
        self._since = now

    def _wait(self) -> None:
        """Look again when the next process ends, unless another comes or goes before."""
        self._plan += 1
        if not self._busy:
            return
        left = max(0.0, self._busy[0][0] - self._each) / self._rate()
        plan = self._plan
        timer = self._environment.timeout(left)
        timer.callbacks.append(lambda _: self._look(plan))

    def _look(self, plan: int) -> None:
        if plan != self._plan:
            return
        self._advance()
        # Rounding must not leave the process behind whose end this is.
        self._each = max(self._each, self._busy[0][0])
        while self._busy and self._busy[0][0] <= self._each:
            heapq.heappop(self._busy)[2].succeed()
        self._wait()
