"""How well gaps were restored: over whole images, over the gaps alone, and by how much was missing.

Every figure is a function of sums over pixels, so tiles of any size pool exactly, and intervals
come from drawing tiles again (bootstrap): pixels of a tile are not independent. A figure over the
whole image mostly counts pixels that were never missing: 22 % missing lifts a PSNR by 6.6 dB.

`psnr` [dB]
    10 log₁₀(1 / MSE): the data range is reflectance 1.0, whatever the image holds.
`rmse` [1], `cc` [1]
    Root mean square error; Pearson's correlation, all bands as one sample.
`ssim`, `uiqi` [1]
    torchmetrics' maps (Gaussian window of 11 × 11 pixels, σ 1.5), averaged over the pixels asked
    for. Wang & Bovik (2002) defined UIQI with uniform windows of 8 × 8; here it stays within 5
    pixels of the border undefined, and is 0 in windows without any contrast.
`texture` [1]
    Σ |∇ restored|² / Σ |∇ original|² over neighbours that both lie in gaps: 1 is real, less is
    smooth, more is noise.
`spread_cc` [1]
    Pearson's correlation of the stated spread with |restored − original|.
`spread_ratio`, `cover_1`, `cover_2` [1]
    Whether a stated spread s is a standard deviation of the error e: √(mean e² / mean s²) is 1 if
    it is, more if restorations are surer than they should be. Shares of values with e ≤ s and
    e ≤ 2s: 0.683 and 0.954 for normal errors. All over values in gaps whose spread is stated.
`miou`, `oa`, `precision`, `recall`, `f1`, `lambda` [1]
    A segmentation of the restored image against that of the original by the same network, as in
    Table 5 of Tang et al. (2026); λ = P / R is the factor of uncertainty of their equation 14.
`lpips` [1]
    Whole images only, where a backbone is given: see :mod:`pipelines.nets.perceptual_distance`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.nets import inference
from pipelines.nets.restoration_sums import (
    Pair,
    RestorationScoresError,
    agreement_sums,
    figures,
    mean_share,
    pixel_sums,
    sums_row,
)

FLOAT32 = NDArray[np.float32]
FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

LOCAL_PX: Final = 33
"""Side of the window in which the local gap fraction is counted: one period of the stripes."""

FRACTIONS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)
"""Edges of the bins of local gap fraction [1]."""

REPLICATES: Final = 1000
LEVEL: Final = 0.95
"""How many times tiles are drawn again, and the probability that an interval states."""


@dataclass(frozen=True)
class Interval:
    """A figure of all tiles together, and where it lies when tiles are drawn again.

    Attributes
    ----------
    value, low, high : float
        The pooled figure and the bounds of its 95 % interval; NaN where it is not defined.
    """

    value: float
    low: float
    high: float


Figures = Mapping[str, Interval]


@dataclass(frozen=True)
class FractionScores:
    """Scores where a certain share of the neighbourhood was missing.

    Attributes
    ----------
    least, most : float
        Local gap fraction [1]; the most is in the bin only if it is 1.
    pixels : int
        Pixels of the bin that were hidden in gaps: all its figures are of them alone.
    scores : mapping of str to Interval
        Of image and segmentation.
    fraction : float
        Mean local gap fraction of the pixels, NaN of none: bins are not filled evenly [1].
    """

    least: float
    most: float
    pixels: int
    scores: Figures
    fraction: float


@dataclass(frozen=True)
class RestorationScores:
    """What a method reaches on some tiles.

    Attributes
    ----------
    tiles : int
        How many.
    full, gaps : mapping of str to Interval
        Over all measured pixels, and over those in gaps.
    by_gap_fraction : tuple of FractionScores
        By the share of the neighbourhood that was missing.
    """

    tiles: int
    full: Figures
    gaps: Figures
    by_gap_fraction: tuple[FractionScores, ...] = field(default=())


def score(
    pairs: Iterable[Pair],
    *,
    predictor: inference.Predictor | None = None,
    threshold: float = 0.5,
    lpips: Callable[[FLOAT32, FLOAT32], float] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> RestorationScores:
    """Score the restoration of some tiles; one tile is held at a time.

    Parameters
    ----------
    pairs : iterable of Pair
        Tiles, drawn again as wholes for the intervals.
    predictor : Predictor, optional
        What segments both images; without it there is no agreement of segmentations.
    threshold : float
        Probability above which a pixel is damage [1].
    lpips : callable, optional
        Takes the restored and the original image without NaN, returns their distance.
    replicates, seed : int
        Of the bootstrap.

    Returns
    -------
    RestorationScores
        Figures that nothing is known of are left out.

    Raises
    ------
    RestorationScoresError
        No tiles.
    """
    summed = [
        tile_sums(pair, predictor=predictor, threshold=threshold, lpips=lpips) for pair in pairs
    ]
    if not summed:
        msg = "there is no tile to score; give at least one pair of images"
        raise RestorationScoresError(msg)
    sums, pixels = (np.stack(each) for each in zip(*summed, strict=True))
    return pooled(sums, pixels, replicates=replicates, seed=seed)


def pooled(
    sums: FLOAT, pixels: NDArray[np.int64], *, replicates: int = REPLICATES, seed: int = 0
) -> RestorationScores:
    """Return the scores that the sums of some tiles make together.

    Parameters
    ----------
    sums : ndarray, shape (tile, 2 + bin, sum)
        Of :func:`tile_sums`.
    pixels : ndarray of int, shape (tile, bin)
        Of the same.
    replicates, seed : int
        Of the bootstrap.
    """
    drawn = np.random.default_rng(seed).multinomial(
        len(sums), np.full(len(sums), 1.0 / len(sums)), size=replicates
    )
    # Axes: whole, gaps, bins of local gap fraction.
    regions = [_intervals(sums[:, region], drawn) for region in range(sums.shape[1])]
    means = mean_share(sums[:, 2:].sum(axis=0))
    bins = tuple(
        FractionScores(least, most, int(count), scores, float(mean))
        for (least, most), count, scores, mean in zip(
            pairwise(FRACTIONS), pixels.sum(axis=0), regions[2:], means, strict=True
        )
    )
    return RestorationScores(len(sums), regions[0], regions[1], bins)


def local_gap_fraction(gap: BOOL, *, side: int = LOCAL_PX) -> FLOAT32:
    """Return the share of pixels around that are missing, beyond the border mirrored [1].

    Parameters
    ----------
    gap : ndarray of bool, shape (y, x)
        What is missing.
    side : int
        Of the window [pixels].
    """
    # A running sum in double precision: in single precision it drifts along a row.
    share = ndimage.uniform_filter(gap.astype(np.float64), side, mode="reflect")
    clipped: FLOAT32 = np.clip(share, 0.0, 1.0).astype(np.float32)
    return clipped


def tile_sums(
    pair: Pair,
    *,
    predictor: inference.Predictor | None = None,
    threshold: float = 0.5,
    lpips: Callable[[FLOAT32, FLOAT32], float] | None = None,
) -> tuple[FLOAT, NDArray[np.int64]]:
    """Return what a tile adds to the scores; see :func:`score` for the parameters.

    Returns
    -------
    ndarray, shape (2 + bin, sum)
        Sums over the whole, over the gaps, and over the gaps in each bin of local gap fraction.
    ndarray of int, shape (bin,)
        Pixels of gaps in each bin.
    """
    measured, everywhere = pair.measured, np.ones_like(pair.gap)
    share = local_gap_fraction(pair.gap)
    bins = [
        pair.gap & (share >= least) & ((share < most) | (most == 1.0))
        for least, most in pairwise(FRACTIONS)
    ]
    where = [everywhere, pair.gap, *bins]
    sums = pixel_sums(pair, where)
    shares = [share[each & measured].astype(np.float64) for each in where]
    sums = sums + [sums_row({"share_n": each.size, "share": each.sum()}) for each in shares]
    if predictor is not None:
        sums = sums + agreement_sums(pair, where, predictor, threshold=threshold)
    if lpips is not None and measured.any():
        shown = (np.where(measured, image, np.float32(0)) for image in pair.images)
        weight = float(measured.sum())
        sums[0] += sums_row({"lpips_n": weight, "lpips": weight * lpips(*shown)})
    return sums, np.array([np.count_nonzero(each & measured) for each in bins])


def _intervals(sums: FLOAT, drawn: NDArray[np.int64]) -> dict[str, Interval]:
    """Return the pooled figures of tiles, shape (tile, sum), and their intervals."""
    pooled = figures(sums.sum(axis=0))
    again = figures(drawn @ sums)
    tails = (0.5 - LEVEL / 2.0, 0.5 + LEVEL / 2.0)
    out = {}
    for name, value in pooled.items():
        # A draw may hold no tile of which the figure is defined.
        defined = again[name][~np.isnan(again[name])]
        if not np.isnan(value) and defined.size:
            low, high = np.quantile(defined, tails, method="nearest")
            out[name] = Interval(float(value), float(low), float(high))
    return out
