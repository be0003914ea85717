"""Gaps in maps of elevation rates, filled by inverse-distance weighting inside the grounding line.

Sasgen et al. (2019), section 2.2: the expansion in spherical harmonics needs a value everywhere, so
gaps on the ice are interpolated and everything off the grounded ice is zero.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

GAPS_AT_ONCE = 100_000
"""Gaps whose neighbours are looked up together: 26 MB with 16 of them."""


class GapError(ValueError):
    """A map whose gaps cannot be filled."""


class Filled(NamedTuple):
    """A map without gaps, and where they were."""

    field: FLOAT
    is_filled: BOOL


def fill(
    field: FLOAT, inside: BOOL, *, spacing_m: float, neighbours: int = 16, power: float = 2.0
) -> Filled:
    """Fill the gaps of one map inside the ice; outside it becomes zero.

    ::

        f(x) = Σ_i f_i d_i^−p / Σ_i d_i^−p        over the n nearest measured pixels

    Parameters
    ----------
    field : ndarray, shape (y, x)
        Values; missing is NaN.
    inside : ndarray of bool, shape (y, x)
        Pixels on grounded ice. Measured pixels outside it are not used.
    spacing_m : float
        Size of a pixel [m]; distances cancel, so it only serves the error message.
    neighbours : int
        n, at most; fewer if fewer are measured.
    power : float
        p.

    Returns
    -------
    field : ndarray, shape (y, x)
        Measured values untouched, gaps filled, zero outside.
    is_filled : ndarray of bool, shape (y, x)
        Where a gap was filled.

    Raises
    ------
    GapError
        Shapes that differ, infinite values, or no measured pixel on the ice.

    Examples
    --------
    >>> line = np.array([[1.0, np.nan, 3.0, np.nan]])
    >>> ice = np.array([[True, True, True, False]])
    >>> fill(line, ice, spacing_m=5e3).field.tolist()
    [[1.0, 2.0, 3.0, 0.0]]
    """
    _check(field, inside)
    measured = inside & np.isfinite(field)
    gaps = inside & ~measured
    if gaps.any() and not measured.any():
        area = inside.sum() * (spacing_m / 1e3) ** 2
        msg = (
            f"none of the {inside.sum()} pixels on the ice ({area:.0f} km²) has a value; expected "
            "one at least: leave this member out, or give rates that cover the ice"
        )
        raise GapError(msg)
    filled = np.where(measured, field, 0.0)
    if gaps.any():
        filled[gaps] = _interpolated(field, measured, gaps, neighbours, power)
    return Filled(filled, gaps)


def _interpolated(field: FLOAT, measured: BOOL, gaps: BOOL, neighbours: int, power: float) -> FLOAT:
    places, values = np.argwhere(measured), field[measured]
    tree = cKDTree(places)
    count = min(neighbours, len(places))
    wanted = np.argwhere(gaps)
    found = np.empty(len(wanted))
    for first in range(0, len(wanted), GAPS_AT_ONCE):
        part = slice(first, first + GAPS_AT_ONCE)
        distance, index = tree.query(wanted[part], k=[*range(1, count + 1)])
        weight = distance**-power
        found[part] = (weight * values[index]).sum(axis=1) / weight.sum(axis=1)
    return found


def filled_fraction(
    is_filled: BOOL, labels: NDArray[np.int64], area: FLOAT, *, regions: int
) -> FLOAT:
    """Return the part of each region's area that was filled.

    Parameters
    ----------
    is_filled : ndarray of bool, shape (y, x)
        Where gaps were filled.
    labels : ndarray of int, shape (y, x)
        Region of each pixel, −1 for none.
    area : ndarray, shape (y, x)
        True area of each pixel [m²].
    regions : int
        Number of regions r.

    Returns
    -------
    ndarray, shape (r,)
        Fraction [1]; NaN where a region has no pixel.
    """
    here = labels >= 0
    whole = np.bincount(labels[here], area[here], minlength=regions)
    part = np.bincount(labels[here], (area * is_filled)[here], minlength=regions)
    return np.asarray(np.divide(part, whole, out=np.full(regions, np.nan), where=whole > 0.0))


def _check(field: FLOAT, inside: BOOL) -> None:
    if field.shape != inside.shape or field.ndim != 2:
        msg = f"found a map {field.shape} and a mask {inside.shape}; expected one shape (y, x)"
        raise GapError(msg)
    if np.isinf(field).any():
        msg = f"{int(np.isinf(field).sum())} values are infinite; expected NaN where none is known"
        raise GapError(msg)
