"""Which scenes of a summer to take: few, clear together, near in time.

The paper picks by eye (Tang et al., 2026, sections 2.1.3 and 2.4.1): one cloud-free scene that
covers the region if there is one, else scenes that complement each other, close in time. Here that
is a set cover with a price for every scene and for the days between the first and the last::

    J(S) = U(S) + g (|S| + T(S) / τ) + 0.1 g Σ_{s in S} (1 − q_s)

U(S) is the weighted fraction of cells that no scene of S sees clearly, g the least gain that is
worth one more scene, T the days from first to last, τ the days that cost as much as a scene, q
quality. J is minimised exactly, by branch and bound (:mod:`.cover_search`); where that would take
too long the best set found is returned, and the choice says so.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import cover_search
from pipelines.kernels.imagery.cover_search import Cover

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]

QUALITY_SHARE = 0.1
"""What a scene of quality 0 costs more than one of quality 1, as a share of the least gain [1]."""
NODE_LIMIT = 10_000
"""Most sets to search below before the best one so far is taken: 2 s on 14 000 cells. Summers of 60
cloudy scenes take 500 to 2500 (0.05 to 0.2 s); clouds much smaller than the region, alike in all
scenes, can take more than the limit."""


class SceneChoiceError(ValueError):
    """Scenes cannot be chosen from what was given."""


@dataclass(frozen=True)
class Choice:
    """The scenes to take.

    Attributes
    ----------
    chosen : tuple of int
        Indices of scenes, in the order in which they are best laid: the best one first, on top.
    covered : float
        Weighted fraction of the cells that they see clearly together [1].
    gains : tuple of float
        What each adds to those before it [1]; they add up to `covered`.
    spread_days : float
        From the first to the last of them [d].
    objective : float
        J [1].
    exact : bool
        Whether no set is cheaper, or just none was found within the limit.
    """

    chosen: tuple[int, ...]
    covered: float
    gains: tuple[float, ...]
    spread_days: float
    objective: float
    exact: bool


def choose(
    clear: BOOL,
    *,
    weight: FLOAT,
    day: FLOAT,
    quality: FLOAT,
    least_gain: float = 0.02,
    days_per_scene: float = 30.0,
    most: int = 6,
    required: Collection[int] = (),
    forbidden: Collection[int] = (),
    node_limit: int = NODE_LIMIT,
) -> Choice:
    """Choose the scenes that cover a region best for what they cost.

    Parameters
    ----------
    clear : ndarray of bool, shape (scene, cell)
        Where each scene shows the surface.
    weight : ndarray, shape (cell,)
        What each cell counts; only ratios matter [1].
    day : ndarray, shape (scene,)
        Acquisition, from any origin [d].
    quality : ndarray, shape (scene,)
        From 0 to 1; orders scenes that are as good otherwise.
    least_gain : float
        Fraction of the region that one more scene must add [1].
    days_per_scene : float
        Days between the first and the last scene that cost as much as one more scene [d].
    most : int
        Most scenes; the required ones are taken even if they are more.
    required, forbidden : collection of int
        Scenes that a person wants or does not want. Required ones are taken whatever they cost.
    node_limit : int
        Work after which the best set so far is taken, see :data:`NODE_LIMIT`.

    Returns
    -------
    Choice
        Nothing chosen and nothing covered if there are no scenes, or none that is worth its price.

    Raises
    ------
    SceneChoiceError
        If shapes, numbers or indices make no sense.

    Notes
    -----
    Among sets of equal cost the smaller, then the nearer in time, then that of better quality, then
    that of earlier scenes is taken. The order of the scenes given is of no matter.

    Laid first are scenes that see most and best: by the mean of their weighted clear fraction and
    their quality.

    Examples
    --------
    >>> clear = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=bool)
    >>> days, same = np.array([0.0, 60.0, 3.0]), np.ones(3)
    >>> chosen = choose(clear, weight=np.ones(4), day=days, quality=same)
    >>> chosen.chosen, chosen.covered, chosen.spread_days
    ((0, 2), 1.0, 3.0)
    """
    _check(clear, weight, day, quality)
    _check_rules(least_gain, days_per_scene, most)
    _check_indices(clear.shape[0], required, forbidden)
    order = [s for s in _canonical(clear, day, quality) if s not in set(forbidden)]
    cover = Cover(
        *_groups(clear[order], weight / weight.sum()),
        day=day[order].astype(np.float64),
        price=least_gain * (1.0 + QUALITY_SHARE * (1.0 - quality[order])),
        price_per_day=least_gain / days_per_scene,
        most=max(most, len(set(required))),
    )
    needed = tuple(position for position, scene in enumerate(order) if scene in set(required))
    start = cover_search.greedy(cover, needed)
    best, proven = cover_search.exact(cover, needed, start, node_limit=node_limit)
    laid = tuple(order[position] for position in _laid(cover, best, quality[order]))
    gains = _gains(clear, weight, laid)
    return Choice(
        chosen=laid,
        covered=float(sum(gains)),
        gains=tuple(gains),
        spread_days=cover.spread(best),
        objective=cover.cost(best),
        exact=proven,
    )


def _canonical(clear: BOOL, day: FLOAT, quality: FLOAT) -> list[int]:
    """Return the scenes by day, quality and what they see: the order given is then no matter."""
    packed = np.packbits(clear, axis=1)
    return sorted(
        range(clear.shape[0]), key=lambda s: (day[s], -quality[s], packed[s].tobytes(), s)
    )


def _groups(clear: BOOL, weight: FLOAT) -> tuple[FLOAT, FLOAT, float]:
    """Return the cells grouped by which scenes see them: seen (scene, group), weight, unseen.

    Cells of one group are covered together or not at all, so nothing is lost.
    """
    packed = np.ascontiguousarray(np.packbits(clear, axis=0).T)
    packed = np.pad(packed, ((0, 0), (0, 1)))  # a key of no byte cannot be sorted
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    weights = np.bincount(inverse.ravel(), weight, minlength=first.size).astype(np.float64)
    patterns = clear[:, first]
    some = patterns.any(axis=0) & (weights > 0.0)
    unseen = float(weights[~patterns.any(axis=0)].sum())
    return np.ascontiguousarray(patterns[:, some], dtype=np.float64), weights[some], unseen


def _laid(cover: Cover, chosen: tuple[int, ...], quality: FLOAT) -> list[int]:
    worth = cover.seen @ cover.weight + quality
    return sorted(chosen, key=lambda scene: (-round(float(worth[scene]), 12), scene))


def _gains(clear: BOOL, weight: FLOAT, laid: tuple[int, ...]) -> list[float]:
    """Return what each scene adds to those before it [1]."""
    gains, seen = [], np.zeros(clear.shape[1], dtype=bool)
    for scene in laid:
        gains.append(float(weight[clear[scene] & ~seen].sum() / weight.sum()))
        seen |= clear[scene]
    return gains


def explain(
    choice: Choice,
    clear: BOOL,
    *,
    weight: FLOAT,
    day: FLOAT,
    least_gain: float = 0.02,
    most: int = 6,
    required: Collection[int] = (),
    forbidden: Collection[int] = (),
) -> tuple[str, ...]:
    """Say of each scene why it was chosen or not, for a person who may want to choose otherwise.

    Parameters
    ----------
    choice : Choice
        From :func:`choose`, with the same other arguments.
    clear, weight, day, least_gain, most, required, forbidden
        See :func:`choose`.

    Returns
    -------
    tuple of str
        One sentence per scene.

    Examples
    --------
    >>> clear = np.array([[1, 1, 1, 0], [0, 0, 1, 0]], dtype=bool)
    >>> same = {"weight": np.ones(4), "day": np.zeros(2)}
    >>> explain(choose(clear, quality=np.ones(2), **same), clear, **same)
    ('chosen 1st: shows 75.0 % of the ROI, adds 75.0 %', 'not needed: would add 0.0 %')
    """
    share = weight / weight.sum()
    seen = clear[list(choice.chosen)].any(axis=0)
    return tuple(
        _chosen(choice, scene, float(share[row].sum()), by_hand=scene in required)
        if scene in choice.chosen
        else _left(
            choice,
            added=float(share[row & ~seen].sum()),
            away=_away(day[list(choice.chosen)], float(day[scene])),
            least_gain=least_gain,
            full=len(choice.chosen) >= most,
            by_hand=scene in forbidden,
        )
        for scene, row in enumerate(clear)
    )


def _chosen(choice: Choice, scene: int, shown: float, *, by_hand: bool) -> str:
    place = choice.chosen.index(scene)
    how = "chosen by hand, laid" if by_hand else "chosen"
    return (
        f"{how} {_ordinal(place + 1)}: shows {_percent(shown)} of the ROI, "
        f"adds {_percent(choice.gains[place])}"
    )


def _left(
    choice: Choice, *, added: float, away: float, least_gain: float, full: bool, by_hand: bool
) -> str:
    """Say why a scene was not taken."""
    text = f"would add {_percent(added)}"
    if by_hand:
        return f"dropped by hand: {text}"
    if added < least_gain:
        return f"not needed: {text}"
    if full:
        return f"not taken: {text}, but the set of {len(choice.chosen)} scenes is full"
    if away > 0.0:
        return f"not taken: {text}, but lengthens the set by {away:.1f} days"
    return f"not taken: {text}, but a set without it is cheaper"


def _away(days: FLOAT, day: float) -> float:
    """Return by how much a scene lengthens the span of the chosen ones [d]."""
    return max(float(days.min()) - day, day - float(days.max()), 0.0) if days.size else 0.0


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in {11, 12, 13} else suffix}"


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.1f} %"


def _check(clear: BOOL, weight: FLOAT, day: FLOAT, quality: FLOAT) -> None:
    scenes, cells = clear.shape if clear.ndim == 2 else (-1, -1)
    if (day.shape, quality.shape, weight.shape) != ((scenes,), (scenes,), (cells,)):
        msg = (
            f"clear has shape {clear.shape}, day {day.shape}, quality {quality.shape}, weight "
            f"{weight.shape}; expected (scene, cell), (scene,), (scene,) and (cell,)"
        )
        raise SceneChoiceError(msg)
    if clear.dtype != np.bool_:
        msg = f"clear is {clear.dtype}, expected bool: True where a scene shows the surface"
        raise SceneChoiceError(msg)
    if not (np.isfinite(weight).all() and (weight >= 0.0).all() and weight.sum() > 0.0):
        msg = (
            f"the weights of the {cells} cells add up to {weight.sum():g}; expected finite ones, "
            "none negative, of positive sum: check the region's mask"
        )
        raise SceneChoiceError(msg)
    if not (np.isfinite(day).all() and ((quality >= 0.0) & (quality <= 1.0)).all()):
        bad = np.flatnonzero(~(np.isfinite(day) & (quality >= 0.0) & (quality <= 1.0)))
        msg = (
            f"scenes {bad.tolist()} have day {day[bad].tolist()} and quality "
            f"{quality[bad].tolist()}; expected a finite day and a quality from 0 to 1"
        )
        raise SceneChoiceError(msg)


def _check_rules(least_gain: float, days_per_scene: float, most: int) -> None:
    if not (0.0 <= least_gain <= 1.0 and days_per_scene > 0.0 and most >= 1):
        msg = (
            f"least_gain is {least_gain:g}, days_per_scene {days_per_scene:g}, most {most}; "
            "expected a fraction from 0 to 1, days above 0 and at least 1 scene"
        )
        raise SceneChoiceError(msg)


def _check_indices(scenes: int, required: Collection[int], forbidden: Collection[int]) -> None:
    unknown = sorted(s for s in {*required, *forbidden} if not 0 <= s < scenes)
    if unknown:
        msg = f"scenes {unknown} are required or forbidden, but there are {scenes}, counted from 0"
        raise SceneChoiceError(msg)
    both = sorted(set(required) & set(forbidden))
    if both:
        msg = f"scenes {both} are both required and forbidden; take them off one of the two lists"
        raise SceneChoiceError(msg)
