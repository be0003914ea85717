"""What a tile adds to scores: counts of its pixels, and how often each probability was right.

Pixels that are not labelled (255) count nowhere; labelled ones of which the network says nothing
(NaN) neither, but are told. Counts of tiles add up.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_stat_scores

from pipelines.nets.losses import NOT_LABELLED

BINS = 1000
"""Bins of probability; thresholds are chosen at their edges."""
HALF = 0.5


class ScoreError(ValueError):
    """Maps that cannot be compared, or nothing to compare."""


@dataclass(frozen=True)
class Counts:
    """Pixels of a confusion matrix, ordered as torchmetrics' stat scores; damage is positive."""

    true_positive: int = 0
    false_positive: int = 0
    true_negative: int = 0
    false_negative: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Counts(*(a + b for a, b in zip(mine, others, strict=True)))

    @property
    def total(self) -> int:
        """All pixels that were compared."""
        return sum(dataclasses.astuple(self))


@dataclass(frozen=True)
class Near:
    """Pixels that are right within a tolerance.

    Attributes
    ----------
    found, predicted : int
        Predicted damage that has labelled damage near it, and all predicted damage.
    met, labelled : int
        Labelled damage that has predicted damage near it, and all labelled damage.
    """

    found: int = 0
    predicted: int = 0
    met: int = 0
    labelled: int = 0

    def __add__(self, other: "Near") -> "Near":
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Near(*(a + b for a, b in zip(mine, others, strict=True)))

    @property
    def f1(self) -> float:
        """Harmonic mean of both shares; NaN where there is neither damage nor a prediction."""
        if not (self.predicted or self.labelled):
            return math.nan
        shares = _ratio(self.found, self.predicted), _ratio(self.met, self.labelled)
        known = [0.0 if math.isnan(share) else share for share in shares]
        return _ratio(2.0 * known[0] * known[1], sum(known)) if sum(known) else 0.0


@dataclass(frozen=True, eq=False)
class TileTally:
    """What is kept of a tile.

    Attributes
    ----------
    name, region : str
        The tile, and what splits are made by.
    threshold : float
        Probability above which a pixel is damage.
    counts : Counts
        At the threshold.
    near : Near
        At the threshold, within the tolerance.
    damaged, intact : ndarray of int, shape (`BINS`,)
        Labelled pixels by probability: bin k holds k/`BINS` < p <= (k + 1)/`BINS`, the first 0 too.
    summed : ndarray of float, shape (`BINS`,)
        Sum of the probabilities in each bin.
    unsaid : int
        Labelled pixels without a probability.
    """

    name: str
    region: str
    threshold: float
    counts: Counts
    near: Near
    damaged: NDArray[np.int64]
    intact: NDArray[np.int64]
    summed: NDArray[np.float64]
    unsaid: int

    def at_edges(self) -> NDArray[np.int64]:
        """Return counts with each edge k/`BINS` as threshold, shape (`BINS`, 4) as in `Counts`."""
        positive, wrong = (np.cumsum(b[::-1])[::-1] for b in (self.damaged, self.intact))
        return np.stack(
            [positive, wrong, self.intact.sum() - wrong, self.damaged.sum() - positive], axis=1
        )


def tally(
    probability: NDArray[np.float32],
    label: NDArray[np.uint8],
    *,
    name: str,
    region: str,
    threshold: float = HALF,
    tolerance: int = 1,
) -> TileTally:
    """Compare a map of probabilities with labels.

    Parameters
    ----------
    probability : ndarray, shape (h, w)
        Of damage [1]; NaN where nothing is said.
    label : ndarray of uint8, shape (h, w)
        0 intact, 1 damage, 255 not labelled.
    name, region : str
        Of the tile.
    threshold : float
        Damage is above it, as torchmetrics has it.
    tolerance : int
        Pixels, in rows and in columns, within which damage is near damage.

    Raises
    ------
    ScoreError
        If shapes differ, a probability is outside 0 to 1, or a label is none of the three.
    """
    _require(probability, label, name)
    said = np.isfinite(probability)
    known = label != NOT_LABELLED
    used = said & known
    target = np.where(used, label, NOT_LABELLED).astype(np.int64)
    filled = np.where(said, probability, 0.0).astype(np.float32)
    found = binary_stat_scores(
        torch.from_numpy(filled), torch.from_numpy(target), threshold, ignore_index=NOT_LABELLED
    )
    tp, fp, tn, fn, _ = (int(number) for number in found)
    place = np.clip(np.ceil(filled.astype(np.float64) * BINS) - 1, 0, BINS - 1).astype(np.int64)
    damaged, intact = (
        np.bincount(place[used & (label == kind)], minlength=BINS) for kind in (1, 0)
    )
    summed = np.zeros(BINS)
    np.add.at(summed, place[used], filled[used].astype(np.float64))
    near = _near((filled > threshold) & used, (label == 1) & used, tolerance)
    return TileTally(
        name, region, threshold, Counts(tp, fp, tn, fn), near, damaged, intact, summed,
        int((known & ~said).sum()),
    )  # fmt: skip


def _require(probability: NDArray[np.float32], label: NDArray[np.uint8], name: str) -> None:
    if probability.ndim != 2 or probability.shape != label.shape:
        msg = (
            f"{name}: probabilities of shape {probability.shape}, labels {label.shape}; expected "
            "the same rows and columns"
        )
        raise ScoreError(msg)
    said = probability[np.isfinite(probability)]
    if said.size and not (said.min() >= 0.0 and said.max() <= 1.0):
        msg = f"{name}: probabilities from {said.min():g} to {said.max():g}, expected 0 to 1"
        raise ScoreError(msg + "; take the sigmoid of logits")
    found = set(np.unique(label).tolist())
    if not found <= {0, 1, NOT_LABELLED}:
        msg = f"{name}: labels {sorted(found)[:8]}, expected 0 intact, 1 damage, 255 not labelled"
        raise ScoreError(msg)


def _near(predicted: NDArray[np.bool_], labelled: NDArray[np.bool_], tolerance: int) -> Near:
    wide = [_widened(mask, tolerance) for mask in (predicted, labelled)]
    return Near(
        int((predicted & wide[1]).sum()), int(predicted.sum()),
        int((labelled & wide[0]).sum()), int(labelled.sum()),
    )  # fmt: skip


def _widened(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Return which pixels have one of a mask within some rows and columns."""
    tensor = torch.from_numpy(mask.astype(np.float32))[None, None]
    size = 2 * pixels + 1
    pooled_mask = torch.nn.functional.max_pool2d(tensor, size, stride=1, padding=pixels)
    return np.asarray(pooled_mask[0, 0].numpy() > 0.0)


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan
