"""Legendre functions on the rows of a cap, order by order: what the cap transform multiplies by.

Cell kernels integrate the functions over each cell, so that a field of cell means is expanded
without error (record 0011)::

    K_jm,i = (1 / 4π) ∫_band i P_jm(cos θ) sin θ dθ · Δλ sinc(m Δλ / 2)

Point kernels weigh values at the centres of the cells by a quadrature of the whole globe. Near the
pole and for high orders the functions vanish: each order keeps boxes of degrees and rows where they
do not, the lower degrees from fewer rows.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.cap_grid import CapGrid, CapGridError
from pipelines.kernels.gravity.legendre import Rows, legendre

FLOAT = NDArray[np.float64]

Quadrature = Literal["cell", "fejer", "exact"]

NEGLIGIBLE = 1e-16
"""Part of the largest Legendre function of degree J, about √(2J + 1), below which they are left out.
"""

DEGREES_PER_BLOCK = 96
"""Degrees that share their first row: fewer prune more and multiply slower."""

_FORMAT = 1
"""Version of what :func:`content_key` stands for."""


@dataclass(frozen=True)
class Block:
    """The kernel of one order and some degrees, cut to the rows where it is not negligible.

    Attributes
    ----------
    m : int
        Order.
    degree, row : int
        First degree and first row of the box; it reaches to the last row.
    values : ndarray, shape (degrees, rows)
        K [1].
    """

    m: int
    degree: int
    row: int
    values: FLOAT


def blocks(
    grid: CapGrid, *, j_max: int, quadrature: Quadrature = "cell", orders: range | None = None
) -> Iterator[Block]:
    """Yield the kernel order by order; of what is negligible everywhere there are no blocks.

    Parameters
    ----------
    grid : CapGrid
        Cells.
    j_max : int
        Highest degree.
    quadrature : {"cell", "fejer", "exact"}
        ``cell`` is exact for cell means; ``fejer`` samples centres with Fejér's first rule;
        ``exact`` samples them and is exact for fields of the globe that are band-limited.
    orders : range, optional
        Orders wanted, all if not given.

    Raises
    ------
    CapGridError
        A degree that the cells do not carry, or an unknown quadrature.
    """
    require_carried(grid, j_max=j_max, quadrature=quadrature)
    make = _cell_columns if quadrature == "cell" else _point_columns
    wanted = range(j_max + 1) if orders is None else orders
    yield from make(grid, j_max, quadrature, wanted)


def require_carried(grid: CapGrid, *, j_max: int, quadrature: str) -> None:
    """Refuse degrees that the cells do not carry."""
    if quadrature not in get_args(Quadrature):
        known = ", ".join(get_args(Quadrature))
        msg = f"found the quadrature {quadrature!r}, expected one of {known}"
        raise CapGridError(msg)
    if not 0 <= j_max <= grid.highest_degree:
        msg = (
            f"found degree {j_max}, but cells of {grid.step:g}° in latitude and {grid.lon_step:g}° "
            f"in longitude carry 0 to {grid.highest_degree}; lower the degree or take finer cells"
        )
        raise CapGridError(msg)


def content_key(grid: CapGrid, *, j_max: int, quadrature: str) -> str:
    """Return a digest of everything that the kernel depends on, to find it in a cache."""
    facts = [_FORMAT, NEGLIGIBLE, grid.edges.tolist(), grid.n_lon, j_max, quadrature]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _cell_columns(
    grid: CapGrid, j_max: int, quadrature: Quadrature, orders: range
) -> Iterator[Block]:
    points = _points_per_cell(grid, j_max)
    node, weight = np.polynomial.legendre.leggauss(points)
    from_pole = np.radians(grid.edges + 90.0)
    half = np.diff(from_pole)[:, None] / 2.0
    theta = from_pole[:-1, None] + half * (1.0 + node)
    rows = Rows(-np.cos(theta.ravel()), np.sin(theta.ravel()))
    band = (weight * half * np.sin(theta)).ravel()
    width = np.radians(grid.lon_step)
    row_weight = 1.0 - np.cos(from_pole)
    for m in orders:
        factor = width * np.sinc(m * width / (2.0 * np.pi)) / (4.0 * np.pi)
        column = legendre(rows, j_max=j_max, m=m) * band
        mean = column.reshape(len(column), -1, points).sum(axis=-1)
        yield from _cut(mean, np.diff(row_weight), m, j_max, factor)


def _points_per_cell(grid: CapGrid, j_max: int) -> int:
    """Return Gauss points that integrate the highest degree over a band to 1e-14.

    At most half a wave of degree J lies in a cell (π / 2 either way of its middle), and n points
    are wrong by (π/2)^2n / (2n)! (n! / (2n)!)² or so: 1.2e-13 for 6 at 0.2° and degree 512.
    """
    phase = j_max * np.radians(grid.step) / 2.0
    return int(np.ceil(6.0 + 4.0 * max(0.0, phase - 0.7)))


def _point_columns(
    grid: CapGrid, j_max: int, quadrature: Quadrature, orders: range
) -> Iterator[Block]:
    from_pole = np.radians(grid.latitude + 90.0)
    rows = Rows(-np.cos(from_pole), np.sin(from_pole))
    weight = fejer_weights(grid.globe_rows)[: len(from_pole)]
    factor = 1.0 / (2.0 * grid.n_lon)
    for m in orders:
        column = (
            legendre(rows, j_max=j_max, m=m) * weight
            if quadrature == "fejer"
            else _exact_column(grid, j_max, m)
        )
        yield from _cut(column, weight, m, j_max, factor)


def fejer_weights(n: int) -> FLOAT:
    """Return Fejér's first weights of rows at θ_i = (i + ½) π / n, shape (n,); they sum to 2.

    ::

        w_i = (2 / n) (1 − 2 Σ_k cos(2 k θ_i) / (4 k² − 1)),      k = 1 … ⌊n / 2⌋
    """
    theta = (np.arange(n) + 0.5) * np.pi / n
    k = np.arange(1, n // 2 + 1)
    waves = np.cos(2.0 * np.outer(theta, k)) / (4.0 * k**2 - 1.0)
    return np.asarray(2.0 / n * (1.0 - 2.0 * waves.sum(axis=1)))


def _exact_column(grid: CapGrid, j_max: int, m: int) -> FLOAT:
    """Return weights that expand a band-limited field of the globe from its rows, without error.

    A field of degree < n has in θ the period 2π and the parity (−1)^m, so n rows at half steps
    determine it: as a series in cos kθ (m even) or sin kθ (m odd). The weights are the integrals
    of that series against P_jm sin θ, done by Gauss-Legendre, which is exact for both.
    """
    n = grid.globe_rows
    theta = (np.arange(n) + 0.5) * np.pi / n
    node, weight = np.polynomial.legendre.leggauss(n + j_max // 2 + 2)
    fine = np.arccos(-node)
    # P_jm from the south pole: x = cos θ' with θ' counted from it.
    at_fine = legendre(Rows(-np.cos(fine), np.sin(fine)), j_max=j_max, m=m) * weight
    k = np.arange(n) if m % 2 == 0 else np.arange(1, n + 1)
    wave = np.cos if m % 2 == 0 else np.sin
    norm = np.where((k == 0) | (k == n), 1.0 / n, 2.0 / n)
    series = wave(np.outer(theta, k)) * norm
    moments = at_fine @ wave(np.outer(fine, k))
    return np.asarray((moments @ series.T)[:, : len(grid.latitude)])


def _cut(column: FLOAT, row_weight: FLOAT, m: int, j_max: int, factor: float) -> Iterator[Block]:
    """Yield the boxes of an order outside which its functions are negligible."""
    there = np.abs(column) >= NEGLIGIBLE * np.sqrt(2.0 * j_max + 1.0) * np.abs(row_weight)
    for first in range(0, len(column), DEGREES_PER_BLOCK):
        part = there[first : first + DEGREES_PER_BLOCK]
        degrees, rows = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        if degrees.size:
            lowest, row = first + int(degrees[0]), int(rows[0])
            box = column[lowest : first + len(part), row:] * factor
            yield Block(m, m + lowest, row, box)
