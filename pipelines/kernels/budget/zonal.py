"""Sums over regions of what models give per cell, where some cells have no value.

Weights are sparse: a region touches few cells, and the same weights serve every month.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
Coast = Literal["renormalise", "as_missing"]


AREAS_KNOWN_TO = 1e-4
"""Share of a region that its area and the sum of its cells' areas may differ by [1]."""
_ROUNDING = 1e-12


class ZonalError(ValueError):
    """Weights and amounts that do not belong together."""


class RegionSums(NamedTuple):
    """Sums over regions, and how much of each region they lack.

    Attributes
    ----------
    total : ndarray, shape (..., region)
        Sums [unit of the amounts × unit of the weights], NaN where a region has no value at all.
    missing : ndarray, shape (..., region)
        Share of the region's weight that has no value [1].
    """

    total: FLOAT
    missing: FLOAT


def region_sums(
    weights: scipy.sparse.csr_array,
    amounts: FLOAT,
    *,
    coast: Coast = "renormalise",
    whole: FLOAT | None = None,
) -> RegionSums:
    """Sum amounts over regions by weights, and say what was missing.

    ::

        S_r = Σ_c w_rc a_c / (1 − f_r),        f_r = 1 − Σ_c w_rc / W_r     over cells with a value

    Parameters
    ----------
    weights : csr_array, shape (region, cell)
        Area that region and cell share [m²].
    amounts : ndarray, shape (..., cell)
        Amount per area [kg m⁻²], NaN where there is none.
    coast : {"renormalise", "as_missing"}
        What stands for the part of a region without a value: the mean of the rest, as the divisor
        1 − f_r has it; or nothing, so that a region which lacks more than ``AREAS_KNOWN_TO`` is
        NaN.
    whole : ndarray, shape (region,), optional
        W_r, weight of the whole region [m²]; that of the cells it touches if not given, which does
        not see where a region reaches beyond all cells.

    Returns
    -------
    RegionSums
        Sums [kg] and missing shares [1].

    Raises
    ------
    ZonalError
        Shapes that do not fit, weights that are negative or not finite, an unknown coast.
    """
    _check(weights, amounts, coast, whole)
    used = np.unique(weights.indices)
    narrow = scipy.sparse.csr_array(weights[:, used])
    taken = amounts[..., used].reshape(math.prod(amounts.shape[:-1]), used.size)
    lacks = np.isnan(taken)
    full = np.asarray(narrow.sum(axis=1)).ravel()
    covered = np.broadcast_to(full, (taken.shape[0], full.size))
    patchy = np.flatnonzero(lacks.any(axis=0))
    if patchy.size:
        taken[:, patchy] = np.where(lacks[:, patchy], 0.0, taken[:, patchy])
        covered = covered - lacks[:, patchy].astype(np.float64) @ narrow[:, patchy].T
    total = np.asarray((narrow @ taken.T).T)
    reference = full if whole is None else np.asarray(whole, dtype=np.float64)
    sums, missing = completed(total, covered, reference, coast=coast)
    shape = (*amounts.shape[:-1], full.size)
    return RegionSums(sums.reshape(shape), missing.reshape(shape))


def completed(total: FLOAT, covered: FLOAT, whole: FLOAT, *, coast: Coast) -> RegionSums:
    """Return sums of regions from those of the cells that have a value.

    For sums that are made in parts; :func:`region_sums` makes them at once.

    Parameters
    ----------
    total : ndarray, shape (..., region)
        Σ w a over cells with a value [kg].
    covered : ndarray, shape (..., region)
        Σ w over the same cells [m²].
    whole : ndarray, shape (region,)
        Weight of each whole region [m²].
    coast : {"renormalise", "as_missing"}
        As :func:`region_sums` has it.

    Returns
    -------
    RegionSums
        Sums [kg] and missing shares [1].
    """
    share = _share(covered, whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        filled = total / share
    kept = np.where(share < 1.0 - AREAS_KNOWN_TO, np.nan, total)
    sums = np.where(share > 0.0, filled if coast == "renormalise" else kept, np.nan)
    return RegionSums(sums, 1.0 - share)


def _share(covered: FLOAT, whole: FLOAT) -> FLOAT:
    """Return which share of each region's weight has a value, shape (n, region) [1]."""
    share = np.divide(covered, whole, out=np.zeros(covered.shape), where=whole > 0.0)
    share = np.where(share > 1.0 - _ROUNDING, 1.0, share)
    return np.where(share < _ROUNDING, 0.0, share)


def _check(
    weights: scipy.sparse.csr_array, amounts: FLOAT, coast: str, whole: FLOAT | None
) -> None:
    regions, cells = weights.shape
    if amounts.ndim == 0 or amounts.shape[-1] != cells:
        msg = (
            f"found weights for {cells} cells and amounts of shape {amounts.shape}, expected the "
            "last axis to be those cells; make the weights from the amounts' own grid"
        )
        raise ZonalError(msg)
    if not (np.isfinite(weights.data).all() and (weights.data >= 0.0).all()):
        msg = "some weights are negative or not finite, expected areas [m²]; check the cells' areas"
        raise ZonalError(msg)
    if coast not in {"renormalise", "as_missing"}:
        msg = f"coast is {coast!r}, expected 'renormalise' or 'as_missing'; change it"
        raise ZonalError(msg)
    if whole is not None and np.shape(whole) != (regions,):
        msg = (
            f"found {np.shape(whole)} as weights of {regions} whole regions, expected one for each"
        )
        raise ZonalError(msg)
