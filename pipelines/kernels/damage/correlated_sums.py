"""The variance of sums over pixels whose errors are correlated in space, exactly, block by block.

Errors of pixels i and k are taken to be correlated as

::

    ρ_ik = r^|x_i − x_k| r^|y_i − y_k|,     r = exp(−Δ / L)

with the width Δ of a pixel and the correlation length L: exponential along rows and along columns,
a Markov field. With s_i the standard deviation of a pixel times its area, the variance of the sum

::

    V = Σ_i Σ_k s_i s_k ρ_ik

has N² terms, but along a row Σ_k s_k r^|i − k| is a forward and a backward recursion, so N steps
are enough. What a block gives to terms with other blocks is in its edges: along a row between
separate columns r^(k − i) = r^(end − i) r^(gap) r^(k − start), a product. A block therefore leaves
its own V, four vectors and four numbers (:class:`BlockSum`), and :func:`total_variance` puts blocks
together to the same V as the whole, however it is cut.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

NEGLIGIBLE = 1e-15
"""Correlation below which two blocks are independent [1]."""


class CorrelationError(ValueError):
    """Errors, lengths or blocks that cannot be summed."""


@dataclass(frozen=True, eq=False)
class BlockSum:
    """What a block of pixels gives to the variance of a sum.

    Attributes
    ----------
    variance : float
        V of the block alone [unit²].
    west, east : ndarray, shape (y,)
        Σ over a row of s r^(columns from that edge) [unit].
    north, south : ndarray, shape (x,)
        Σ over a column of s r^(rows from that edge) [unit].
    corners : ndarray, shape (2, 2)
        Σ s r^(rows + columns from that corner): north-west, north-east; south-west, south-east.
    """

    variance: float
    west: FLOAT
    east: FLOAT
    north: FLOAT
    south: FLOAT
    corners: FLOAT


def neighbour_correlation(length: float, *, spacing: float) -> float:
    """Return r, the correlation of neighbours: 0 for L = 0, 1 for L = inf.

    Parameters
    ----------
    length, spacing : float
        Correlation length L and width of a pixel Δ [m].

    Raises
    ------
    CorrelationError
        If the length is negative or the spacing not positive.

    Examples
    --------
    >>> round(neighbour_correlation(300.0, spacing=30.0), 4)
    0.9048
    """
    if not (length >= 0.0 and spacing > 0.0):
        msg = f"found a correlation length of {length:g} m at {spacing:g} m pixels, expected at "
        raise CorrelationError(msg + "least 0 m and more than 0 m")
    return math.exp(-spacing / length) if length > 0.0 else 0.0


def measured_length(error: FLOAT, known: BOOL, *, spacing: float, lag: int = 1) -> float:
    """Return the correlation length L of errors, from labelled pictures for example.

    With the mean product of errors a lag of k pixels apart, along rows and along columns,

    ::

        r^k = ⟨e_i e_(i + k)⟩ / ⟨e_i²⟩,     L = −k Δ / ln r^k

    Parameters
    ----------
    error : ndarray, shape (..., y, x)
        Label minus calibrated probability [1], or another error; its mean is taken as 0, so that a
        bias makes L longer.
    known : ndarray of bool, shape (..., y, x)
        Where there is a label.
    spacing : float
        Width of a pixel Δ [m].
    lag : int
        k [pixels]. A longer one tells more of wide errors and less of those along edges.

    Returns
    -------
    float
        L [m]: 0 where errors are independent or alternate, inf where all are equal.

    Raises
    ------
    CorrelationError
        If no two known pixels are that far apart, or nothing errs.
    """
    e = np.where(known, error, 0.0)
    products, squares = 0.0, 0.0
    for axis in (-2, -1):
        one, other = (
            [
                np.take(v, np.arange(first, v.shape[axis] - lag + first), axis=axis)
                for v in (e, known)
            ]
            for first in (0, lag)
        )
        both = one[1] & other[1]
        products += 2.0 * float(np.sum(one[0] * other[0] * both))
        squares += float(np.sum((one[0] ** 2 + other[0] ** 2) * both))
    if squares == 0.0:
        msg = (
            f"found no errors {lag} pixels apart in {int(known.sum())} known pixels, expected some"
        )
        raise CorrelationError(msg + "; give more labelled pixels, or a shorter lag")
    correlation = products / squares
    if correlation <= 0.0:
        return 0.0
    return math.inf if correlation >= 1.0 else -lag * spacing / math.log(correlation)


def line_inflation(n: int, r: float) -> float:
    """Return Σ_i Σ_k r^|i − k| of n pixels in a line, in closed form.

    ::

        n (1 + r) / (1 − r) − 2 r (1 − rⁿ) / (1 − r)²

    It is n for independent pixels and n² for fully correlated ones. A block of n × m pixels of one
    deviation s has V = s² times the product of its two lines'.

    Examples
    --------
    >>> line_inflation(3, 0.5), line_inflation(3, 0.0), line_inflation(3, 1.0)
    (5.5, 3.0, 9.0)
    """
    if r == 1.0:
        return float(n * n)
    # 1 − rⁿ through expm1: near r = 1 the two terms cancel to n²
    falls = -math.expm1(n * math.log(r)) if r > 0.0 else 1.0
    return n * (1.0 + r) / (1.0 - r) - 2.0 * r * falls / (1.0 - r) ** 2


def _spread_along(values: FLOAT, r: float, *, axis: int) -> FLOAT:
    """Return Σ_k s_k r^|i − k| along an axis: forwards, backwards, and itself only once."""
    if r == 0.0:
        return values

    def forward(of: FLOAT) -> FLOAT:
        return np.asarray(signal.lfilter([1.0], [1.0, -r], of, axis=axis))

    return forward(values) + np.flip(forward(np.flip(values, axis)), axis) - values


def block_sum(spread: FLOAT, *, length: float, spacing: float) -> BlockSum:
    """Return what a block gives to the variance of a sum.

    Parameters
    ----------
    spread : ndarray, shape (y, x)
        s, standard deviation of a pixel times its area [unit], 0 where it does not count.
    length, spacing : float
        Correlation length and width of a pixel [m].

    Returns
    -------
    BlockSum

    Raises
    ------
    CorrelationError
        If a deviation is negative or not finite.

    Examples
    --------
    >>> block_sum(np.ones((3, 2)), length=0.0, spacing=30.0).variance
    6.0
    >>> block_sum(np.ones((3, 2)), length=np.inf, spacing=30.0).variance
    36.0
    """
    if spread.ndim != 2 or not (np.isfinite(spread).all() and (spread >= 0.0).all()):
        msg = f"found deviations of shape {spread.shape}, expected (y, x), finite and at least 0; "
        raise CorrelationError(msg + "give 0 where a pixel is unknown or outside")
    r = neighbour_correlation(length, spacing=spacing)
    own = np.asarray(spread, np.float64)
    rows, columns = (r ** np.arange(size, dtype=np.float64) for size in own.shape)
    reached = _spread_along(_spread_along(own, r, axis=0), r, axis=1)
    west, east = own @ columns, own @ columns[::-1]
    return BlockSum(
        variance=float(np.sum(own * reached)),
        west=west,
        east=east,
        north=rows @ own,
        south=rows[::-1] @ own,
        corners=np.array([[rows @ west, rows @ east], [rows[::-1] @ west, rows[::-1] @ east]]),
    )


def total_variance(
    blocks: Mapping[tuple[int, int], BlockSum], *, length: float, spacing: float
) -> float:
    """Return V of all blocks together.

    Parameters
    ----------
    blocks : mapping of (int, int) to BlockSum
        By the row and the column of a block's first pixel. Blocks are those of a grid of bands and
        columns; blocks without any deviation may be left out.
    length, spacing : float
        As in :func:`block_sum`.

    Returns
    -------
    float
        V [unit²].

    Raises
    ------
    CorrelationError
        If blocks overlap or do not lie in bands and columns of one grid.
    """
    r = neighbour_correlation(length, spacing=spacing)
    total = math.fsum(block.variance for block in blocks.values())
    if r == 0.0:
        return total
    heights = _sizes({(at[0], block.west.size) for at, block in blocks.items()}, "rows")
    widths = _sizes({(at[1], block.north.size) for at, block in blocks.items()}, "columns")
    bands = {top: [k for k in widths if (top, k) in blocks] for top in heights}
    terms = [
        _along([(left, widths[left], blocks[top, left].west, blocks[top, left].east)
                for left in lefts], r)
        for top, lefts in bands.items()
    ]  # fmt: skip
    terms += [
        _along([(top, heights[top], blocks[top, left].north, blocks[top, left].south)
                for top in heights if (top, left) in blocks], r)
        for left in widths
    ]  # fmt: skip
    terms.append(_diagonal(blocks, heights, widths, r))
    return total + math.fsum(terms)


def _sizes(found: set[tuple[int, int]], what: str) -> dict[int, int]:
    """Return how far each band reaches, by where it starts; refuse bands that overlap."""
    ordered = sorted(found)
    for (start, size), (following, _) in itertools.pairwise(ordered):
        if start + size > following:
            msg = (
                f"found blocks of {size} {what} from {start} on and others from {following} on, "
                "expected the bands of one grid; cut the map along its chunks"
            )
            raise CorrelationError(msg)
    return dict(ordered)


def _along(line: list[tuple[int, int, FLOAT, FLOAT]], r: float) -> float:
    """Return twice the covariance of blocks in one band, from (start, size, near, far) in order.

    What lies before a block decays on its way: one vector is carried along.
    """
    total, carried, end = 0.0, np.zeros_like(line[0][2]), line[0][0]
    for start, size, near, far in line:
        # `carried` counts from the pixel before `end`
        carried = carried * r ** (start - end)
        reached = _spread_along(carried * r, r, axis=0)
        total += 2.0 * float(near @ reached)
        carried = carried * r**size + far
        end = start + size
    return total


def _diagonal(
    blocks: Mapping[tuple[int, int], BlockSum],
    heights: dict[int, int],
    widths: dict[int, int],
    r: float,
) -> float:
    """Return twice the covariance of blocks that share neither rows nor columns."""
    terms = []
    for (top, left), block in blocks.items():
        for low in heights:
            down = r ** (low - (top + heights[top] - 1)) if low > top else 0.0
            if down < NEGLIGIBLE:
                continue
            for other, wide in widths.items():
                if other == left or (low, other) not in blocks:
                    continue
                east = int(other > left)
                apart = other - (left + widths[left]) if east else left - (other + wide)
                towards = blocks[low, other].corners[0, 1 - east]
                terms.append(2.0 * down * r ** (apart + 1) * block.corners[1, east] * towards)
    return math.fsum(terms)
