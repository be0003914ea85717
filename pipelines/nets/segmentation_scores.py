"""How well damage is found: scores from counts of pixels, per region and pooled, with intervals.

Counts of each tile (true and false positives and negatives, from torchmetrics) are all that is
kept; a region or a whole test set is the sum of its tiles, so large tiles weigh more than small
ones, as in the paper. Chance is in the choice of tiles, not of pixels, which are alike next to each
other; so intervals come from drawing tiles again (bootstrap).
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.nets.calibration import (
    Reliability,
    calibrated,
    calibration_error,
    reliability,
    temperature,
)
from pipelines.nets.segmentation_tally import BINS, HALF, Counts, Near, ScoreError, TileTally, tally

__all__ = [
    "BINS", "Counts", "Estimate", "Near", "Reliability", "ScoreError", "ScoreTable", "Scores",
    "TileTally", "best_threshold", "bootstrap", "calibrated", "calibration_error",
    "cross_validated", "figures", "pooled", "reliability", "score_table", "scores", "tally",
    "temperature",
]  # fmt: skip

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Scores:
    """Scores between 0 and 1; NaN where they divide nothing by nothing.

    Attributes
    ----------
    iou, iou_intact, miou : float
        Intersection over union of damage, of intact ice, and their mean (mIoU).
    accuracy : float
        Share of pixels that are right (OA).
    precision, recall, f1 : float
        Of damage.
    ratio : float
        λ = precision / recall, which is labelled over mapped damage: the paper's factor.
    """

    iou: float
    iou_intact: float
    miou: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    ratio: float


@dataclass(frozen=True)
class Estimate:
    """A score of all tiles, and what tiles drawn anew give: standard deviation and interval."""

    value: float
    spread: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreTable:
    """Scores of a set of tiles.

    Attributes
    ----------
    threshold : float
        Probability above which a pixel is damage.
    pooled : mapping of str to Estimate
        As in :func:`figures`, and ``near_f1``.
    regions : mapping of str to Scores
        Each region alone.
    tiles, pixels, unsaid : int
        How many tiles, pixels compared, and labelled pixels without a probability.
    """

    threshold: float
    pooled: Mapping[str, Estimate]
    regions: Mapping[str, Scores]
    tiles: int
    pixels: int
    unsaid: int

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON: None where a score is NaN."""
        plain = dataclasses.asdict(self)
        return {key: _without_nan(value) for key, value in plain.items()}


def scores(counts: Counts) -> Scores:
    """Return the scores of counts.

    >>> round(scores(Counts(8, 2, 85, 5)).f1, 4)
    0.6957
    """
    values = {k: float(v) for k, v in figures(np.array(dataclasses.astuple(counts))).items()}
    return Scores(**values)


def figures(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return the scores of many confusion matrices by name.

    Parameters
    ----------
    counts : ndarray of int, shape (..., 4)
        True positives, false positives, true negatives, false negatives.

    Returns
    -------
    dict of str to ndarray, each of shape (...)
        The fields of :class:`Scores`; NaN where nothing is divided by nothing.
    """
    tp, fp, tn, fn = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        iou, intact = tp / (tp + fp + fn), tn / (tn + fp + fn)
        return {
            "iou": iou,
            "iou_intact": intact,
            "miou": (iou + intact) / 2.0,
            "accuracy": (tp + tn) / (tp + fp + tn + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2.0 * tp / (2.0 * tp + fp + fn),
            "ratio": np.where(tp > 0.0, (tp + fn) / (tp + fp), np.nan),
        }


def bootstrap(
    counts: NDArray[np.int64], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return the spread and the interval of each score when tiles are drawn anew.

    Parameters
    ----------
    counts : ndarray of int, shape (tile, 4)
        As in :func:`figures`.
    draws : int
        Sets of as many tiles, drawn with replacement; a score that a set lacks is passed over.
    level : float
        Share of sets within the interval; percentiles cut off evenly at both ends.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to (spread, low, high)
        Standard deviation and percentiles; NaN where no set has the score.
    """
    return _spreads(figures(_drawn_sums(counts, draws, seed)), level)


def _drawn_sums(counts: NDArray[np.int64], draws: int, seed: int) -> NDArray[np.int64]:
    tiles = len(counts)
    times = np.random.default_rng(seed).multinomial(tiles, np.full(tiles, 1.0 / tiles), draws)
    return np.asarray(times @ counts)


def _spreads(
    drawn: Mapping[str, NDArray[np.float64]], level: float
) -> dict[str, tuple[float, float, float]]:
    tails = [50.0 * (1.0 - level), 50.0 * (1.0 + level)]
    found = {}
    for name, values in drawn.items():
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, tails) if known.size else (math.nan, math.nan)
        found[name] = (float(known.std()) if known.size else math.nan, float(low), float(high))
    return found


def pooled(tallies: Iterable[TileTally]) -> Counts:
    """Return the counts of tiles together."""
    return sum((each.counts for each in tallies), Counts())


def score_table(
    tallies: Sequence[TileTally], *, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> ScoreTable:
    """Score tiles together and by region.

    Parameters
    ----------
    tallies : sequence of TileTally
        Of one threshold.
    draws, level, seed
        As in :func:`bootstrap`.

    Raises
    ------
    ScoreError
        If there are no tiles, or of several thresholds.
    """
    thresholds = {each.threshold for each in tallies}
    if len(thresholds) != 1:
        msg = f"found {len(tallies)} tiles of thresholds {sorted(thresholds)}; give tiles of one"
        raise ScoreError(msg)
    counts = np.array([dataclasses.astuple(each.counts) for each in tallies])
    near = np.array([dataclasses.astuple(each.near) for each in tallies])
    spread = bootstrap(counts, draws=draws, level=level, seed=seed)
    spread |= _spreads({"near_f1": _near_f1(_drawn_sums(near, draws, seed))}, level)
    whole = figures(counts.sum(axis=0)) | {"near_f1": _near_f1(near.sum(axis=0))}
    regions = dict.fromkeys(each.region for each in tallies)
    return ScoreTable(
        threshold=thresholds.pop(),
        pooled={k: Estimate(float(whole[k]), *spread[k]) for k in whole},
        regions={r: scores(pooled(t for t in tallies if t.region == r)) for r in regions},
        tiles=len(tallies),
        pixels=int(counts.sum()),
        unsaid=sum(each.unsaid for each in tallies),
    )


def _near_f1(near: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the tolerant F1 of counts (..., 4), see :attr:`Near.f1`."""
    rows = near.reshape(-1, 4).tolist()
    return np.array([Near(*row).f1 for row in rows]).reshape(near.shape[:-1])


def best_threshold(tallies: Sequence[TileTally], *, score: str = "f1") -> float:
    """Return the threshold with the highest pooled score; of equal ones that nearest to 0.5.

    Choose it on validation tiles, never on those it is told of.

    Raises
    ------
    ScoreError
        If there are no tiles, or none has labelled damage.
    """
    if not any(each.damaged.any() for each in tallies):
        msg = (
            f"none of {len(tallies)} tiles has labelled damage; choose a threshold on some that do"
        )
        raise ScoreError(msg)
    counts = np.sum([each.at_edges() for each in tallies], axis=0)
    values = np.nan_to_num(figures(counts)[score], nan=-1.0)
    edges = np.arange(BINS) / BINS
    best = np.flatnonzero(values >= values.max())
    return float(edges[best[np.argmin(np.abs(edges[best] - HALF))]])


def cross_validated(folds: Sequence[Sequence[TileTally]]) -> NDArray[np.int64]:
    """Return the counts of each tile with the threshold that is best on the other folds.

    Parameters
    ----------
    folds : sequence of sequence of TileTally
        Tiles by the fold that left them out.

    Returns
    -------
    ndarray of int, shape (tiles, 4)
        As in `Counts`, fold by fold.

    Raises
    ------
    ScoreError
        If the other folds of one have no labelled damage.
    """
    rows = []
    for number, held in enumerate(folds):
        others = [each for n, fold in enumerate(folds) if n != number for each in fold]
        edge = round(best_threshold(others) * BINS)
        rows += [each.at_edges()[edge] for each in held]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
