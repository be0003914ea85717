"""The cheapest set of scenes: branch and bound over sets, greedy steps and exchanges beside it.

What a scene adds to a set only shrinks as the set grows (covers are submodular). So what is left to
gain below a set is at most the sum of the largest gains that single scenes still have, which bounds
every larger set, and a scene that no longer pays its own price never will.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INDEX = NDArray[np.intp]

SAME = 1e-12
"""Costs closer than this are equal: rounding of sums of weights that add up to one."""


@dataclass(frozen=True)
class Cover:
    """A problem: what each scene sees, what it costs.

    Attributes
    ----------
    seen : ndarray, shape (scene, group)
        1 where a scene sees a group of cells clearly, else 0.
    weight : ndarray, shape (group,)
        Share of the region's weight in each group [1].
    unseen : float
        Share of the region that no scene sees [1].
    day : ndarray, shape (scene,)
        Acquisition [d].
    price : ndarray, shape (scene,)
        Cost of taking each scene, its want of quality included [1].
    price_per_day : float
        Cost of each day between the first and the last scene [d⁻¹].
    most : int
        Most scenes in a set.
    """

    seen: FLOAT
    weight: FLOAT
    unseen: float
    day: FLOAT
    price: FLOAT
    price_per_day: float
    most: int

    def uncovered(self, chosen: tuple[int, ...]) -> FLOAT:
        """Return the weight (group,) that a set leaves unseen [1]."""
        if not chosen:
            return self.weight.copy()
        unseen = self.seen[list(chosen)].max(axis=0) == 0.0
        return np.where(unseen, self.weight, 0.0)

    def spread(self, chosen: tuple[int, ...]) -> float:
        """Return the days from the first to the last scene of a set [d]."""
        days = self.day[list(chosen)]
        return float(days.max() - days.min()) if chosen else 0.0

    def cost(self, chosen: tuple[int, ...]) -> float:
        """Return J of a set [1]."""
        left = float(self.uncovered(chosen).sum()) + self.unseen
        price = float(self.price[list(chosen)].sum())
        return left + price + self.price_per_day * self.spread(chosen)


@dataclass
class _Best:
    """The best set so far: least cost; of equal costs fewest scenes, nearest, cheapest, first."""

    cover: Cover
    chosen: tuple[int, ...]
    cost: float = field(init=False)

    def __post_init__(self) -> None:
        self.cost = self.cover.cost(self.chosen)

    def offer(self, chosen: tuple[int, ...]) -> bool:
        """Take a set if it is better; say whether it was."""
        chosen = tuple(sorted(chosen))
        cost = self.cover.cost(chosen)
        equal = abs(cost - self.cost) <= SAME
        if equal and self._rank(chosen) >= self._rank(self.chosen):
            return False
        if not equal and cost > self.cost:
            return False
        self.chosen, self.cost = chosen, cost
        return True

    def _rank(self, chosen: tuple[int, ...]) -> tuple[int, float, float, tuple[int, ...]]:
        price = float(self.cover.price[list(chosen)].sum())
        return len(chosen), self.cover.spread(chosen), round(price, 12), chosen


def greedy(cover: Cover, required: tuple[int, ...]) -> tuple[int, ...]:
    """Return a good set: the best scene at a time, then single drops and exchanges while they help.

    Parameters
    ----------
    cover : Cover
        The problem.
    required : tuple of int
        Scenes that every set holds.

    Returns
    -------
    tuple of int
        Scenes, ascending.
    """
    best = _Best(cover, tuple(sorted(required)))
    while len(best.chosen) < cover.most and _improved(best, best.chosen):
        pass
    free = True
    while free:
        free = False
        for scene in best.chosen:
            if scene not in required:
                fewer = tuple(other for other in best.chosen if other != scene)
                if best.offer(fewer) or _improved(best, fewer):
                    free = True
                    break
    return best.chosen


def _improved(best: _Best, chosen: tuple[int, ...]) -> bool:
    """Offer a set with the one scene more that lowers its cost most; say whether it was taken."""
    costs = _costs_with_one_more(best.cover, chosen)
    cheapest = float(costs.min(initial=np.inf))
    equal = np.isfinite(costs) & (costs <= cheapest + SAME)
    taken = [best.offer((*chosen, scene)) for scene in np.flatnonzero(equal).tolist()]
    return any(taken)


def _costs_with_one_more(cover: Cover, chosen: tuple[int, ...]) -> FLOAT:
    """Return J (scene,) of a set with each scene added [1]; infinite for its own scenes."""
    left = cover.uncovered(chosen)
    days = cover.day[list(chosen)]
    first, last = days.min(initial=np.inf), days.max(initial=-np.inf)
    spread = np.maximum(cover.day, last) - np.minimum(cover.day, first)
    price = float(cover.price[list(chosen)].sum()) + cover.price + cover.price_per_day * spread
    costs = left.sum() + cover.unseen - cover.seen @ left + price
    costs[list(chosen)] = np.inf
    return np.asarray(costs)


class _Search:
    """A depth-first walk through all sets that could still be cheaper than the best one."""

    def __init__(self, cover: Cover, start: tuple[int, ...], *, node_limit: int) -> None:
        self.cover, self.best, self.nodes_left = cover, _Best(cover, start), node_limit

    def below(self, chosen: tuple[int, ...], free: INDEX) -> None:
        """Visit the sets that hold `chosen` and more scenes out of `free`."""
        self.nodes_left -= 1
        slots = self.cover.most - len(chosen)
        if slots <= 0 or self.nodes_left < 0:
            return
        left = self.cover.uncovered(chosen)
        surplus = self.cover.seen[free] @ left - self.cover.price[free]
        free, surplus = free[surplus > SAME], surplus[surplus > SAME]
        order = np.argsort(-surplus, kind="stable")
        free, surplus = free[order], surplus[order]
        base = float(left.sum()) + self.cover.unseen + float(self.cover.price[list(chosen)].sum())
        total = np.concatenate([[0.0], np.cumsum(surplus)])
        ends = np.minimum(np.arange(free.size) + slots, free.size)
        bounds = base - (total[ends] - total[:-1])
        for position, scene in enumerate(free.tolist()):
            more = (*chosen, scene)
            days = self.cover.price_per_day * self.cover.spread(more)
            if bounds[position] > self.best.cost + SAME:
                return
            if bounds[position] + days <= self.best.cost + SAME:
                self.best.offer(more)
                self.below(more, free[position + 1 :])


def exact(
    cover: Cover, required: tuple[int, ...], start: tuple[int, ...], *, node_limit: int
) -> tuple[tuple[int, ...], bool]:
    """Return the cheapest set, and whether that is proven.

    Parameters
    ----------
    cover : Cover
        The problem.
    required : tuple of int
        Scenes that every set holds.
    start : tuple of int
        A good set that holds them, see :func:`greedy`.
    node_limit : int
        Most sets to look below. A count, not a time: the same input gives the same answer.

    Returns
    -------
    chosen : tuple of int
        Scenes, ascending.
    proven : bool
        Whether all other sets were excluded before the limit.
    """
    search = _Search(cover, start, node_limit=node_limit)
    needed = tuple(sorted(required))
    search.best.offer(needed)
    everything = np.setdiff1d(np.arange(cover.day.size), np.array(needed, dtype=np.intp))
    search.below(needed, everything)
    return search.best.chosen, search.nodes_left >= 0
