"""One map of a summer from the probabilities of its scenes.

Tang et al. (2026, section 2.4.1) merge predictions, not images, by hand: scenes with a clear view
first, then those near in time. Here each scene s has a weight at each pixel,

::

    w_s = a_s (f_v + (1 − f_v) v_s) (f_c + (1 − f_c) min(1, d_s / D))
    a_s = exp(−|t_s| / τ) (f_h + (1 − f_h) h_s)

with its clear view v from 0 to 1, the distance d from cloud, the days t from the wanted day and the
height of the sun h, from 0 at 5° to 1 at 25°. The floors f leave a pixel that only a poor scene saw
to that scene. The weight of a pixel depends on that pixel and on numbers of the scene, so a map may
be merged in any blocks.

Scenes are added one by one and forgotten, so memory does not grow with their number. Weights and
moments are summed as whole numbers, w in units of 2⁻²⁰ and p in units of 2⁻³²: sums of whole
numbers do not know the order of their terms, and a scene that knows nothing adds nothing, to the
last bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery.scene_scores import HIGH_SUN, LOW_SUN

REAL = NDArray[np.floating]
FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]
WHOLE = NDArray[np.int64]

Mode = Literal["best", "weighted"]

WEIGHT_UNIT = 2.0**-20
PROBABILITY_UNIT = 2.0**-32
MOST_SCENES = 2047
"""Scenes whose moments fit into 63 bits: 2¹¹ weights of 2²⁰ times values of 2³²."""
UNKNOWN_SUN = 0.5
"""What a sun of unknown height counts, between none (5°) and all (25°) [1]."""


class MergeError(ValueError):
    """Scenes that cannot be merged as asked."""


@dataclass(frozen=True)
class Weighting:
    """How much the traits of a scene and of its pixels count. The paper gives no numbers.

    Attributes
    ----------
    time_scale : float
        τ, days after which a scene counts 1/e [d]. Ice of 1 km yr⁻¹ moves 80 m in 30 days.
    view_floor : float
        f_v, what a pixel called cloud counts beside a clear one [1]. It is small, not 0: over
        snow three in ten clouds of CFMask are none.
    sun_floor : float
        f_h, what the lowest sun counts beside the highest [1].
    cloud_floor : float
        f_c, what a pixel at the edge of a cloud counts beside one far from it [1].
    cloud_distance : float
        D, distance from cloud beyond which it no longer matters [m]; 0 if it never does.
    """

    time_scale: float = 30.0
    view_floor: float = 0.02
    sun_floor: float = 0.5
    cloud_floor: float = 0.25
    cloud_distance: float = 1500.0

    def __post_init__(self) -> None:
        floors = (self.view_floor, self.sun_floor, self.cloud_floor)
        if not (self.time_scale > 0.0 and self.cloud_distance >= 0.0):
            msg = (
                f"found a time scale of {self.time_scale:g} d and a distance from cloud of "
                f"{self.cloud_distance:g} m, expected more than 0 d and at least 0 m"
            )
            raise MergeError(msg)
        if not all(0.0 <= floor <= 1.0 for floor in floors):
            msg = f"found floors of view, sun and cloud of {floors}, expected each from 0 to 1"
            raise MergeError(msg)


@dataclass(frozen=True)
class SceneTraits:
    """What holds for all pixels of a scene.

    Attributes
    ----------
    number : int
        From 1, as it will stand in the map of suppliers.
    days : float
        After the wanted day, for example the middle of the summer [d]; before it, negative.
    sun_elevation : float
        Of the scene's centre [degrees]; NaN if not known.
    """

    number: int
    days: float
    sun_elevation: float = math.nan


@dataclass(frozen=True, eq=False)
class Merged:
    """A merged map.

    Attributes
    ----------
    probability : ndarray of float32, shape (y, x)
        Of damage [1]; NaN where no scene knows anything.
    supplier : ndarray of uint16, shape (y, x)
        Number of the scene that weighs most there, in mode "best" the one taken; 0 none.
    scenes : ndarray of uint16, shape (y, x)
        How many scenes know the pixel.
    spread : ndarray of float32, shape (y, x)
        Weighted standard deviation between scenes [1], good to 3e-5: 0 of one scene or of equal
        ones, NaN where none is.
    """

    probability: FLOAT
    supplier: NDArray[np.uint16]
    scenes: NDArray[np.uint16]
    spread: FLOAT


def summer_middle(year: int) -> np.datetime64:
    """Return the middle of the season of a year, November to March of the next (section 2.1.2).

    Examples
    --------
    >>> summer_middle(2003)
    np.datetime64('2004-01-16T00','h')
    """
    first, end = (np.datetime64(day, "h") for day in (f"{year}-11-01", f"{year + 1}-04-01"))
    return first + (end - first) // 2


def scene_weight(traits: SceneTraits, weighting: Weighting) -> float:
    """Return a_s, what a scene counts for its day and its sun [1]; never more than 1.

    Examples
    --------
    >>> scene_weight(SceneTraits(1, 0.0, 30.0), Weighting())
    1.0
    """
    height = (traits.sun_elevation - LOW_SUN) / (HIGH_SUN - LOW_SUN)
    sun = UNKNOWN_SUN if math.isnan(height) else min(max(height, 0.0), 1.0)
    closeness = math.exp(-abs(traits.days) / weighting.time_scale)
    return closeness * (weighting.sun_floor + (1.0 - weighting.sun_floor) * sun)


def pixel_weights(
    view: REAL | BOOL, cloud_distance: REAL, *, traits: SceneTraits, weighting: Weighting
) -> NDArray[np.float64]:
    """Return w_s, what a scene counts at each pixel.

    Parameters
    ----------
    view : ndarray, shape (y, x)
        Clear view v from 0 (cloud) to 1 [1], or bool.
    cloud_distance : ndarray, shape (y, x)
        Distance d from the nearest cloud of the scene [m]; inf where it has none.
    traits : SceneTraits
        Of the scene.
    weighting : Weighting
        τ, D and floors.

    Returns
    -------
    ndarray, shape (y, x)
        w from 0 to 1 [1].
    """
    seen = weighting.view_floor + (1.0 - weighting.view_floor) * np.asarray(view, np.float64)
    if weighting.cloud_distance > 0.0:
        share = np.minimum(np.asarray(cloud_distance, np.float64) / weighting.cloud_distance, 1.0)
        seen *= weighting.cloud_floor + (1.0 - weighting.cloud_floor) * share
    return np.asarray(scene_weight(traits, weighting) * seen)


class Merger:
    """The scenes of a block so far: about 50 bytes a pixel, however many scenes are added.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the block.
    weighting : Weighting, optional
        How much what counts.
    """

    def __init__(self, shape: tuple[int, int], weighting: Weighting | None = None) -> None:
        self._weighting = weighting or Weighting()
        self._traits: dict[int, tuple[float, float, float]] = {}
        self._sums: WHOLE = np.zeros((3, *shape), np.int64)
        self._heaviest: WHOLE = np.zeros(shape, np.int64)
        self._best: FLOAT = np.full(shape, np.nan, np.float32)
        self._low: FLOAT = np.full(shape, np.inf, np.float32)
        self._high: FLOAT = np.full(shape, -np.inf, np.float32)
        self._supplier: NDArray[np.uint16] = np.zeros(shape, np.uint16)
        self._scenes: NDArray[np.uint16] = np.zeros(shape, np.uint16)

    def add(
        self, probability: FLOAT, view: REAL | BOOL, cloud_distance: REAL, *, traits: SceneTraits
    ) -> None:
        """Add a scene.

        Parameters
        ----------
        probability : ndarray of float32, shape (y, x)
            Of damage, from 0 to 1 [1]; NaN where the scene knows nothing.
        view, cloud_distance : ndarray, shape (y, x)
            See :func:`pixel_weights`; looked at where the probability is known.
        traits : SceneTraits
            Of the scene.

        Raises
        ------
        MergeError
            If shapes or types differ, values are out of range or the number is taken.
        """
        self._check(probability, view, cloud_distance, traits)
        known = ~np.isnan(probability)
        share = pixel_weights(
            np.where(known, view, 0.0),
            np.where(known, cloud_distance, 0.0),
            traits=traits,
            weighting=self._weighting,
        )
        weight: WHOLE = np.rint(share / WEIGHT_UNIT).astype(np.int64)
        # a weight too small for its unit is still better than nothing
        weight = np.where(known, np.maximum(weight, share > 0.0), 0)
        known = weight > 0
        value = np.where(known, probability, np.float32(0.0))
        self._sums[0] += weight
        for power in (1, 2):
            self._sums[power] += weight * _whole(value.astype(np.float64) ** power)
        np.minimum(self._low, value, out=self._low, where=known)
        np.maximum(self._high, value, out=self._high, where=known)
        self._scenes += known
        self._take_better(value, weight, traits)

    def _take_better(self, value: FLOAT, weight: WHOLE, traits: SceneTraits) -> None:
        """Let the scene supply pixels where it weighs most.

        Of equal weights the scene that counts more takes the pixel, then the earlier one, then the
        one under the higher sun; of scenes that are alike in all this the higher probability: none
        of it knows in which order scenes came.
        """
        key = (scene_weight(traits, self._weighting), -traits.days, traits.sun_elevation)
        key = (*key[:2], key[2] if not math.isnan(key[2]) else -math.inf)
        self._traits[traits.number] = key
        wins, equals = (np.zeros(max(self._traits) + 1, bool) for _ in range(2))
        for number, other in self._traits.items():
            wins[number], equals[number] = key > other, key == other
        tie = (weight == self._heaviest) & (weight > 0)
        better = weight > self._heaviest
        better |= tie & wins[self._supplier]
        better |= tie & equals[self._supplier] & (value > self._best)
        self._heaviest[better] = weight[better]
        self._best[better] = value[better]
        self._supplier[better] = traits.number

    def merged(self, mode: Mode = "weighted") -> Merged:
        """Return the map of the scenes so far.

        Parameters
        ----------
        mode : {"weighted", "best"}
            The mean p̄ = Σ w p / Σ w, or the p of the scene of the largest w.

        Raises
        ------
        MergeError
            If there is no such mode.
        """
        if mode not in get_args(Mode):
            msg = f"found the mode {mode!r}, expected one of {', '.join(get_args(Mode))}"
            raise MergeError(msg)
        total = self._sums[0].astype(np.float64)
        none = total == 0.0
        total[none] = np.nan
        mean, square = (part * PROBABILITY_UNIT / total for part in self._sums[1:])
        # between the scenes' own values: the mean of equal ones is theirs, to the last bit
        low, high = (np.where(none, np.nan, edge) for edge in (self._low, self._high))
        middle = np.clip(mean.astype(np.float32), low, high).astype(np.float32)
        spread = np.sqrt(np.maximum(square - mean**2, 0.0)).astype(np.float32)
        spread[low == high] = 0.0
        probability = middle if mode == "weighted" else self._best.copy()
        return Merged(probability, self._supplier.copy(), self._scenes.copy(), spread)

    def _check(
        self, probability: FLOAT, view: REAL | BOOL, distance: REAL, traits: SceneTraits
    ) -> None:
        shape = self._best.shape
        if not shape == probability.shape == view.shape == distance.shape:
            msg = (
                f"found probabilities of shape {probability.shape}, view {view.shape} and distance "
                f"{distance.shape}, expected {shape} of each; cut them to the block"
            )
            raise MergeError(msg)
        if probability.dtype != np.float32:
            msg = f"found probabilities of {probability.dtype}, expected float32, as stored"
            raise MergeError(msg)
        _check_scene(traits, taken=self._traits)
        known = ~np.isnan(probability)
        _check_range(probability[known], 1.0, "probabilities", "apply the sigmoid first")
        _check_range(view[known], 1.0, "clear views", "0 is cloud, 1 clear")
        _check_range(distance[known], math.inf, "distances from cloud", "inf where no cloud is")


def _whole(value: NDArray[np.float64]) -> WHOLE:
    return np.rint(value / PROBABILITY_UNIT).astype(np.int64)


def _check_scene(traits: SceneTraits, *, taken: dict[int, tuple[float, float, float]]) -> None:
    if traits.number in taken or not 1 <= traits.number <= MOST_SCENES:
        msg = (
            f"found a scene of number {traits.number} beside {sorted(taken)}, expected another "
            f"number from 1 to {MOST_SCENES}; number the chosen scenes of a summer from 1"
        )
        raise MergeError(msg)
    if not math.isfinite(traits.days):
        msg = f"found scene {traits.number} {traits.days} days from the wanted day, expected a "
        raise MergeError(msg + "finite number; take it from the time in its catalogue item")


def _check_range(values: REAL | BOOL, most: float, what: str, hint: str) -> None:
    if values.size and not (values.min() >= 0.0 and values.max() <= most):
        bad = values[~((values >= 0.0) & (values <= most))][0]
        msg = f"found {bad:g} among {what}, expected 0 to {most:g} where something is known; {hint}"
        raise MergeError(msg)


def merge(
    probability: FLOAT,
    view: REAL | BOOL,
    cloud_distance: REAL,
    *,
    traits: Sequence[SceneTraits],
    weighting: Weighting | None = None,
    mode: Mode = "weighted",
) -> Merged:
    """Return one map of scenes that are all at hand.

    Parameters
    ----------
    probability, view, cloud_distance : ndarray, shape (scene, y, x)
        See :meth:`Merger.add`.
    traits : sequence of SceneTraits
        One of each scene.
    weighting, mode
        See :class:`Weighting` and :meth:`Merger.merged`.

    Raises
    ------
    MergeError
        If arrays do not fit, see :meth:`Merger.add`.

    Examples
    --------
    >>> p = np.array([[[0.25, np.nan]], [[0.75, 0.5]]], np.float32)
    >>> far = np.full(p.shape, np.inf)
    >>> days = [SceneTraits(1, -10.0, 20.0), SceneTraits(2, 10.0, 20.0)]
    >>> made = merge(p, np.ones(p.shape), far, traits=days)
    >>> made.probability.tolist(), made.supplier.tolist()
    ([[0.5, 0.5]], [[1, 2]])
    """
    if not len(probability) == len(view) == len(cloud_distance) == len(traits):
        msg = (
            f"found {len(probability)} maps of probability, {len(view)} of view, "
            f"{len(cloud_distance)} of distance and {len(traits)} scenes' traits, expected as many "
            "of each"
        )
        raise MergeError(msg)
    merger = Merger((probability.shape[1], probability.shape[2]), weighting)
    for own, seen, far, scene in zip(probability, view, cloud_distance, traits, strict=True):
        merger.add(own, seen, far, traits=scene)
    return merger.merged(mode)
