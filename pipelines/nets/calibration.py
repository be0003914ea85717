"""Whether probabilities are what they say: of pixels with p = 0.7, seven of ten are damaged.

Guo et al. (2017): networks are too sure of themselves, and one number, a temperature T, that
divides their logits, mends most of it on validation tiles; it changes no class at p = 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

NOT_LABELLED = 255
TINY = 1e-6
"""Probabilities nearer to 0 or 1 are taken for this: float32 rounds sigmoids of logits above 17."""
SOFTEST, SHARPEST = 1e-3, 1e3
"""Inverse temperatures between which the best is sought."""


class CalibrationError(ValueError):
    """Labels that tell nothing of how sure to be."""


class Binned(Protocol):
    """Labelled pixels by probability, as a :class:`segmentation_scores.TileTally` has them."""

    @property
    def damaged(self) -> NDArray[np.int64]:
        """Damaged pixels in each bin."""
        ...

    @property
    def intact(self) -> NDArray[np.int64]:
        """Intact pixels in each bin."""
        ...

    @property
    def summed(self) -> NDArray[np.float64]:
        """Sum of the probabilities in each bin."""
        ...


@dataclass(frozen=True, eq=False)
class Reliability:
    """Told and found shares of damage, by told probability.

    Attributes
    ----------
    told, found : ndarray, shape (bins,)
        Mean probability, and share of damaged pixels; NaN in empty bins.
    pixels : ndarray of int, shape (bins,)
        How many there are.
    error : float
        Expected calibration error: mean of |found - told| over all pixels [1].
    """

    told: NDArray[np.float64]
    found: NDArray[np.float64]
    pixels: NDArray[np.int64]
    error: float


def reliability(tiles: Sequence[Binned], *, bins: int = 20) -> Reliability:
    """Return the reliability of tiles together, in even bins of probability.

    Raises
    ------
    CalibrationError
        If there are no labelled pixels, or bins do not divide those of the tiles.
    """
    if not tiles or len(tiles[0].summed) % bins:
        msg = f"{len(tiles)} tiles in {bins} bins; give some, and a divisor of their own bins"
        raise CalibrationError(msg)
    damaged, intact, summed = (
        np.sum([getattr(tile, name) for tile in tiles], axis=0).reshape(bins, -1).sum(axis=1)
        for name in ("damaged", "intact", "summed")
    )
    pixels = damaged + intact
    if not pixels.any():
        msg = f"{len(tiles)} tiles without a labelled pixel; give labelled ones"
        raise CalibrationError(msg)
    with np.errstate(invalid="ignore"):
        told, found = summed / pixels, damaged / pixels
    return Reliability(told, found, pixels, _error(told, found, pixels))


def calibration_error(histogram: NDArray[np.int64]) -> float:
    """Return the expected calibration error [1] of pixels counted by label and probability.

    Parameters
    ----------
    histogram : ndarray of int, shape (2, bins)
        Intact and damaged pixels in even bins of probability, whose middles stand for them.

    Returns
    -------
    float
        NaN without pixels.
    """
    pixels = histogram.sum(axis=0)
    told = (np.arange(pixels.size) + 0.5) / pixels.size
    with np.errstate(invalid="ignore"):
        return _error(told, histogram[1] / pixels, pixels)


def _error(
    told: NDArray[np.float64], found: NDArray[np.float64], pixels: NDArray[np.int64]
) -> float:
    """Return mean |found - told| over pixels; empty bins are passed over."""
    if not pixels.any():
        return float("nan")
    return float(np.nansum(np.abs(found - told) * pixels) / pixels.sum())


def temperature(probability: NDArray[np.floating], label: NDArray[np.uint8]) -> float:
    """Return the T that makes labels most likely, with probabilities sigmoid(logit(p) / T).

    Parameters
    ----------
    probability : ndarray, any shape
        Of validation tiles [1]; NaN is passed over.
    label : ndarray of uint8, the same shape
        0 intact, 1 damage, 255 not labelled.

    Raises
    ------
    CalibrationError
        If one of the two classes is not labelled.

    Notes
    -----
    The negative log-likelihood is convex in β = 1/T: its slope Σ z (σ(β z) - y) grows with β, so
    there is one best β between `SOFTEST` and `SHARPEST`, or it is one of these.
    """
    used = np.isfinite(probability) & (label != NOT_LABELLED)
    y = label[used].astype(np.float64)
    if not 0.0 < y.sum() < y.size:
        msg = f"{int(y.sum())} of {y.size} labelled pixels are damaged; both kinds are needed"
        raise CalibrationError(msg)
    z = logit(np.clip(probability[used].astype(np.float64), TINY, 1.0 - TINY))

    def slope(log_beta: float) -> float:
        return float(z @ (expit(np.exp(log_beta) * z) - y))

    ends = float(np.log(SOFTEST)), float(np.log(SHARPEST))
    if slope(ends[0]) >= 0.0:
        return 1.0 / SOFTEST
    if slope(ends[1]) <= 0.0:
        return 1.0 / SHARPEST
    return float(np.exp(-brentq(slope, *ends, xtol=1e-9)))


def calibrated(probability: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Return σ(logit(p) / T) as float32; NaN stays.

    Raises
    ------
    CalibrationError
        If the temperature is not above 0.
    """
    if not (np.isfinite(temperature) and temperature > 0.0):
        msg = f"a temperature of {temperature}, expected one above 0; 1 changes nothing"
        raise CalibrationError(msg)
    inside = np.clip(probability.astype(np.float64), TINY, 1.0 - TINY)
    return np.asarray(expit(logit(inside) / temperature), dtype=np.float32)
