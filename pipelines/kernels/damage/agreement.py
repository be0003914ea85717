"""How well two maps of damage density agree: equations 10 to 12 of Tang et al. (2026).

A year without damage is a fact about a shelf, not a mistake of the caller. So maps that leave a
measure undefined give NaN and the reason; only shapes and values that cannot be maps are errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]


class AgreementError(ValueError):
    """Arrays that are not two maps of the same cells."""


@dataclass(frozen=True)
class Agreement:
    """How a later map agrees with an earlier one on the cells that both know.

    Attributes
    ----------
    rank_correlation : float
        Spearman's r_s, the correlation of mid-ranks [1].
    printed_rank_correlation : float
        Equation 10 as printed, which ties break [1]; equal to r_s where there are none.
    concordance : float
        Lin's ρ_c [1], equation 11.
    rmse : float
        Root of the mean squared difference [1], equation 12.
    bias : float
        Mean of later less earlier [1].
    n : int
        Cells used.
    reason : str
        Why a measure is NaN; empty where all are numbers.
    """

    rank_correlation: float
    printed_rank_correlation: float
    concordance: float
    rmse: float
    bias: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class PairAgreement:
    """A pair of years with and without correction for the flow of the ice.

    Attributes
    ----------
    corrected, uncorrected : Agreement
        Both on the same cells: those that the earlier, the advected and the later map know. Their
        difference is what the correction does.
    corrected_own, uncorrected_own : Agreement
        Each on all cells that its two maps know, as tables 6 and 7 of the paper. These differ
        also because the cells do.
    """

    corrected: Agreement
    uncorrected: Agreement
    corrected_own: Agreement
    uncorrected_own: Agreement


@dataclass(frozen=True)
class MedianAgreement:
    """Medians over pairs of years; each is of the pairs that have the measure.

    Attributes
    ----------
    rank_correlation, printed_rank_correlation, concordance, rmse, bias : float
        Medians [1], NaN if no pair has the measure.
    n : float
        Median number of cells.
    pairs : int
        Pairs given.
    undefined : int
        Pairs among them with a measure that is NaN.
    """

    rank_correlation: float
    printed_rank_correlation: float
    concordance: float
    rmse: float
    bias: float
    n: float
    pairs: int
    undefined: int


def agreement(earlier: FLOAT, later: FLOAT, *, use: BOOL | None = None) -> Agreement:
    """Compare two maps of density on the cells where both are known.

    Tang et al. (2026), equations 10 to 12, with μ and σ² the mean and the variance (over n, as in
    Lin, 1989, Biometrics 45, 255) and d the difference of ranks::

        r_s  = corr(rank x, rank y)     = 1 − 6 Σ d² / (n (n² − 1))  without ties
        ρ_c  = 2 σ_xy / (σ_x² + σ_y² + (μ_x − μ_y)²)
        RMSE = √(Σ (x − y)² / n)

    Parameters
    ----------
    earlier, later : ndarray, shape (...)
        Damage densities x, y [1], NaN where not known.
    use : ndarray of bool, shape (...), optional
        Cells to compare; all if not given.

    Returns
    -------
    Agreement
        NaN in a measure, with a reason, where it does not exist: nothing without cells, r_s if
        either map is constant, ρ_c if both are and equal. If only one is constant, or both are
        and differ, equation 11 gives 0.

    Raises
    ------
    AgreementError
        Different shapes, or values that are infinite.

    Notes
    -----
    Most cells of a shelf have no damage at all and share one rank. The printed equation 10 holds
    without ties only; r_s is its general form, and both are given.

    Examples
    --------
    >>> found = agreement(np.array([0.0, 0.2, 0.4, np.nan]), np.array([0.1, 0.3, 0.5, 0.7]))
    >>> round(found.rank_correlation, 3), round(found.concordance, 3), round(found.bias, 3), found.n
    (1.0, 0.842, 0.1, 3)
    """
    x, y = _paired(earlier, later, use)
    n = len(x)
    if n == 0:
        return Agreement(np.nan, np.nan, np.nan, np.nan, np.nan, 0, "no cell is known in both maps")
    difference = y - x
    flat = [name for name, of in (("earlier", x), ("later", y)) if of.min() == of.max()]
    ranks = [stats.rankdata(of) for of in (x, y)]
    return Agreement(
        rank_correlation=np.nan if flat else _correlation(*ranks),
        printed_rank_correlation=np.nan if flat else _equation_10(*ranks),
        concordance=_concordance(x, y),
        rmse=float(np.sqrt(np.mean(difference**2))),
        bias=float(np.mean(difference)),
        n=n,
        reason=f"constant over {n} cells: the {' and the '.join(flat)} map" if flat else "",
    )


def pair_agreement(earlier: FLOAT, advected: FLOAT, later: FLOAT) -> PairAgreement:
    """Compare a pair of years with and without correction, on the same cells and on each one's own.

    Ice that flows out of the extent, or in from outside, has no partner. Dropping it from one of
    the two comparisons only makes them incomparable, which lowered r_s at Dotson (Tang et al.,
    2026, section 3.2.5) although nothing agreed less.

    Parameters
    ----------
    earlier, advected, later : ndarray, shape (...)
        Densities of the earlier year, of the same carried to the later year, and of the later
        year [1], NaN where not known.

    Returns
    -------
    PairAgreement
        Four agreements.

    Raises
    ------
    AgreementError
        As from :func:`agreement`.
    """
    common = ~np.isnan(earlier)
    if earlier.shape == advected.shape:
        common &= ~np.isnan(advected)
    return PairAgreement(
        corrected=agreement(advected, later, use=common),
        uncorrected=agreement(earlier, later, use=common),
        corrected_own=agreement(advected, later),
        uncorrected_own=agreement(earlier, later),
    )


def median_agreement(pairs: Sequence[Agreement]) -> MedianAgreement:
    """Return the medians over the pairs of a shelf, as Tang et al. (2026) in section 2.5.2.

    Parameters
    ----------
    pairs : sequence of Agreement
        One of each pair of neighbouring years.

    Returns
    -------
    MedianAgreement
        Medians of the pairs that have each measure.

    Raises
    ------
    AgreementError
        No pairs.
    """
    if not pairs:
        msg = "found no pairs of years, expected one at least; a median needs two maps of a shelf"
        raise AgreementError(msg)
    return MedianAgreement(
        rank_correlation=_median([pair.rank_correlation for pair in pairs]),
        printed_rank_correlation=_median([pair.printed_rank_correlation for pair in pairs]),
        concordance=_median([pair.concordance for pair in pairs]),
        rmse=_median([pair.rmse for pair in pairs]),
        bias=_median([pair.bias for pair in pairs]),
        n=float(np.median([pair.n for pair in pairs])),
        pairs=len(pairs),
        undefined=sum(bool(pair.reason) for pair in pairs),
    )


def _paired(earlier: FLOAT, later: FLOAT, use: BOOL | None) -> tuple[FLOAT, FLOAT]:
    """Return the values of the cells that both maps know, shape (n,)."""
    shapes = [np.shape(each) for each in (earlier, later, use) if each is not None]
    if len(set(shapes)) > 1:
        msg = f"found maps and masks of shapes {shapes}, expected one; cut them to the same cells"
        raise AgreementError(msg)
    known = ~(np.isnan(earlier) | np.isnan(later))
    if use is not None:
        known &= use
    x, y = (np.asarray(each, np.float64)[known] for each in (earlier, later))
    infinite = int(np.sum(np.isinf(x) | np.isinf(y)))
    if infinite:
        msg = f"{infinite} of {len(x)} cells are infinite, expected densities; NaN is not known"
        raise AgreementError(msg)
    return x, y


def _correlation(x: FLOAT, y: FLOAT) -> float:
    """Return Pearson's r of values that vary, shape (n,)."""
    a, b = x - x.mean(), y - y.mean()
    return float(np.clip(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), -1.0, 1.0))


def _equation_10(rank_x: FLOAT, rank_y: FLOAT) -> float:
    n = float(len(rank_x))
    return float(1.0 - 6.0 * np.sum((rank_x - rank_y) ** 2) / (n * (n * n - 1.0)))


def _concordance(x: FLOAT, y: FLOAT) -> float:
    """Return equation 11, NaN where both are constant and equal."""
    a, b = x - x.mean(), y - y.mean()
    spread = np.mean(a * a) + np.mean(b * b) + (x.mean() - y.mean()) ** 2
    if x.min() == x.max() == y.min() == y.max():
        return float("nan")
    return float(2.0 * np.mean(a * b) / spread)


def _median(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")
