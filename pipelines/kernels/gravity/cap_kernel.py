"""Legendre functions on the rows of a cap, order by order: what the cap transform multiplies by.

Cell kernels integrate the functions over each cell, so that a field of cell means is expanded
without error (record 0011)::

    K_jm,i = (1 / 4π) ∫_band i P_jm(cos θ) sin θ dθ · Δλ sinc(m Δλ / 2)

Point kernels weigh values at the centres of the cells by a quadrature of the whole globe. Towards
the pole a function decays as e^−S, with S known before anything is computed (:func:`decay`): each
order keeps the box of rows where its highest degree is not negligible, and within the box fewer
rows for lower degrees.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from pipelines.kernels.gravity.cap_grid import CapGrid, CapGridError
from pipelines.kernels.gravity.harmonics import gauss_legendre
from pipelines.kernels.gravity.legendre import Rows, legendre, legendre_blocks

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

Quadrature = Literal["cell", "fejer", "exact"]

NEGLIGIBLE = 1e-14
"""Decay e^−S below which a function is left out: it is then below 2e-15 of the largest, √(2J + 1).
"""

DEGREES_PER_PANEL = 96
"""Degrees, or rows, that share one product: fewer prune more and multiply slower."""

GAUSS_ERROR = 1e-13
"""Largest relative error of the integral of the highest degree over a band."""


@dataclass(frozen=True)
class Panel:
    """A part of the kernel of an order, as slices of its box.

    Attributes
    ----------
    degrees, rows : slice
        Within the box.
    """

    degrees: slice
    rows: slice


@dataclass(frozen=True)
class Block:
    """The kernel of one order, on the rows where its highest degree is not negligible.

    Attributes
    ----------
    m : int
        Order.
    degree, row : int
        First degree (the order) and first row of the box; it reaches to the last of both.
    values : ndarray, shape (degrees, rows)
        K [1].
    by_degree, by_row : tuple of Panel
        What is not negligible, cut so that panels share no degrees, or no rows.
    """

    m: int
    degree: int
    row: int
    values: FLOAT
    by_degree: tuple[Panel, ...]
    by_row: tuple[Panel, ...]

    def dense(self) -> FLOAT:
        """Return the values of the whole box, shape (degrees, rows)."""
        return self.values

    def to_degrees(self, columns: FLOAT, out: FLOAT) -> None:
        """Write K z of columns z (rows, k), from the first row on, into ``out`` (degrees, k)."""
        for panel in self.by_degree:
            values = self.values[panel.degrees, panel.rows]
            np.matmul(values, columns[panel.rows], out=out[panel.degrees])

    def to_rows(self, coefficients: FLOAT, out: FLOAT) -> None:
        """Write Kᵀ c of coefficients c (degrees, k) into ``out`` (rows, k)."""
        for panel in self.by_row:
            values = self.values[panel.degrees, panel.rows]
            np.matmul(values.T, coefficients[panel.degrees], out=out[panel.rows])


def row_weights(grid: CapGrid, quadrature: Quadrature) -> FLOAT:
    """Return the weight that each row has in a kernel, shape (n_lat,): values times it are K.

    For exact weights, which are no products of that kind, it is that of Fejér's rule.
    """
    if quadrature == "cell":
        return np.asarray(grid.solid_angles / (4.0 * np.pi))
    return fejer_weights(grid.globe_rows)[: len(grid.latitude)] / (2.0 * grid.n_lon)


@dataclass(frozen=True)
class Reach:
    """How far the kernel of each order reaches towards the pole.

    Attributes
    ----------
    edge : ndarray, shape (n_lat,)
        Angle from the pole of the places that stand for the rows [rad].
    j_max : int
        Highest degree.
    pruned : bool
        Whether negligible rows are left out: those of exact weights never are.
    """

    edge: FLOAT
    j_max: int
    pruned: bool

    def first_row(self, m: int, j: int) -> int:
        """Return the first row on which degree j of order m is not negligible."""
        if not self.pruned or m == 0:
            return 0
        there = decay(self.edge, j=j, m=m) <= -np.log(NEGLIGIBLE)
        return int(np.argmax(there)) if there.any() else len(there)

    @property
    def limits(self) -> INT:
        """Number of orders that are not negligible on each row, shape (n_lat,)."""
        firsts = [self.first_row(m, self.j_max) for m in range(self.j_max + 1)]
        return np.searchsorted(np.maximum.accumulate(firsts), np.arange(len(self.edge)), "right")

    def panels(self, m: int) -> tuple[tuple[Panel, ...], tuple[Panel, ...]]:
        """Return the panels of an order, by degrees and by rows."""
        row, rows = self.first_row(m, self.j_max), len(self.edge)
        degrees = self.j_max + 1 - m
        count = max(1, round(degrees / DEGREES_PER_PANEL))
        cuts = [degrees * i // count for i in range(count + 1)]
        firsts = [self.first_row(m, m + stop - 1) - row for stop in cuts[1:]]
        ends = [rows - row, *firsts[:-1]]
        by_degree = tuple(
            Panel(slice(start, stop), slice(first, rows - row))
            for start, stop, first in zip(cuts[:-1], cuts[1:], firsts, strict=True)
        )
        by_row = tuple(
            Panel(slice(start, degrees), slice(first, end))
            for start, first, end in zip(cuts[:-1], firsts, ends, strict=True)
            if end > first
        )
        return by_degree, by_row


def decay(from_pole: FLOAT, *, j: int, m: int) -> FLOAT:
    """Return how far P_jm has decayed, as the exponent S of e^−S, 0 where it oscillates.

    Between the pole and the latitude where sin θ = μ = m / (j + ½), to first order (WKB)::

        S = (j + ½) (μ artanh(r / (μ cos θ)) − arcosh(cos θ / √(1 − μ²))),   r² = μ² − sin² θ

    Parameters
    ----------
    from_pole : ndarray, shape (n,)
        Angle θ from the pole; beyond the equator nothing is said to decay [rad].
    j, m : int
        Degree, and order above 0.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> decay(np.radians([1.0, 5.0, 40.0]), j=60, m=30).round(1)
    array([92.5, 44.5,  0. ])
    """
    mu = m / (j + 0.5)
    sine, cosine = np.sin(from_pole), np.cos(from_pole)
    inside = (sine < mu) & (cosine > 0.0)
    x = np.where(inside, cosine, 1.0)
    r = np.sqrt(np.where(inside, (mu - sine) * (mu + sine), 0.0))
    # artanh(r / μx) and arcosh(x / √(1 − μ²)), by logarithms that stay finite at the pole.
    root = np.sqrt(1.0 - mu * mu)
    gap = np.maximum(root * np.where(inside, sine, 1.0), 1e-300)
    exponent = mu * np.log((mu * x + r) / gap) - np.log((x + r) / root)
    return np.asarray(np.where(inside, (j + 0.5) * exponent, 0.0))


def reach(grid: CapGrid, *, j_max: int, quadrature: Quadrature = "cell") -> Reach:
    """Return how far the orders of a kernel reach; arguments as in :func:`blocks`."""
    require_carried(grid, j_max=j_max, quadrature=quadrature)
    edge = grid.edges[1:] if quadrature == "cell" else grid.latitude
    return Reach(np.radians(edge + 90.0), j_max, pruned=quadrature != "exact")


def blocks(
    grid: CapGrid, *, j_max: int, quadrature: Quadrature = "cell", orders: range | None = None
) -> Iterator[Block]:
    """Yield the kernel order by order; orders that are negligible everywhere have none.

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
    reached = reach(grid, j_max=j_max, quadrature=quadrature)
    make = _MAKERS[quadrature](grid, reached)
    for m in range(j_max + 1) if orders is None else orders:
        row = reached.first_row(m, j_max)
        if row < len(grid.latitude):
            yield Block(m, m, row, make(m, row), *reached.panels(m))


def require_carried(grid: CapGrid, *, j_max: int, quadrature: str) -> None:
    """Refuse degrees that the cells do not carry.

    Points carry degrees below the number of rows of the globe, and orders below half the columns.
    Cell means carry one more: the integrals over cells are exact for any degree, but from degree
    180° / step on a wave is no longer seen by the cells.
    """
    if quadrature not in get_args(Quadrature):
        known = ", ".join(get_args(Quadrature))
        msg = f"found the quadrature {quadrature!r}, expected one of {known}"
        raise CapGridError(msg)
    if quadrature != "cell" and abs(grid.globe_rows * grid.step - 180.0) > 1e-6:
        msg = (
            f"found rows {grid.step:g}° high, which do not divide 180°, so {quadrature!r} has no "
            "weights; use 'cell' or another step"
        )
        raise CapGridError(msg)
    highest = grid.highest_degree
    if quadrature == "cell":
        highest = min(int(180.0 / grid.step + 1e-9), grid.n_lon // 2)
    if not 0 <= j_max <= highest:
        msg = (
            f"found degree {j_max}, but cells of {grid.step:g}° in latitude and {grid.lon_step:g}° "
            f"in longitude carry 0 to {highest}; lower the degree or take finer cells"
        )
        raise CapGridError(msg)


Maker = Callable[[int, int], FLOAT]
"""From an order and its first row to the values of its box."""


def _cell_maker(grid: CapGrid, reached: Reach) -> Maker:
    node, weight = np.polynomial.legendre.leggauss(points_per_cell(grid, reached.j_max))
    from_pole = np.radians(grid.edges + 90.0)
    half = np.diff(from_pole) / 2.0
    theta = from_pole[:-1] + half * (1.0 + node[:, None])
    band = weight[:, None] * half * np.sin(theta)
    width = np.radians(grid.lon_step)

    def make(m: int, row: int) -> FLOAT:
        factor = width * np.sinc(m * width / (2.0 * np.pi)) / (4.0 * np.pi)
        return _summed(theta[:, row:], factor * band[:, row:], reached, m)

    return make


def points_per_cell(grid: CapGrid, j_max: int) -> int:
    """Return how many Gauss points integrate degree J over a band to :data:`GAUSS_ERROR`.

    P_jm sin θ is a trigonometric polynomial of degree J + 1. The error of n points for its highest
    wave, with c = (J + 1) Δθ / 2 half its phase across the band, is below::

        (2c)^2n (n!)⁴ / ((2n + 1) (2n)!³)
    """
    c = (j_max + 1) * np.radians(grid.step) / 2.0
    n = np.arange(1, 65)
    error = 2 * n * np.log(2 * c) + 4 * gammaln(n + 1) - np.log(2 * n + 1) - 3 * gammaln(2 * n + 1)
    return int(n[np.argmax(error < np.log(GAUSS_ERROR))])


def _fejer_maker(grid: CapGrid, reached: Reach) -> Maker:
    theta = np.radians(grid.latitude + 90.0)[None]
    weight = fejer_weights(grid.globe_rows)[None, : theta.size] / (2.0 * grid.n_lon)
    return lambda m, row: _summed(theta[:, row:], weight[:, row:], reached, m)


def _summed(theta: FLOAT, weight: FLOAT, reached: Reach, m: int) -> FLOAT:
    """Return Σ_q w P_jm over the places (q, row) of each row, shape (degrees, rows)."""
    rows = theta.shape[1]
    row = len(reached.edge) - rows
    values = np.zeros((reached.j_max + 1 - m, rows))
    places = Rows(-np.cos(theta.ravel()), np.sin(theta.ravel()))
    for block in legendre_blocks(places, j_max=reached.j_max, m=m):
        stop = block.first + len(block.size)
        first = reached.first_row(m, stop - 1) - row
        found = block.mantissa.reshape(-1, *theta.shape)[..., first:]
        factor = (block.power.reshape(theta.shape) * weight)[:, first:]
        into = values[block.first - m : stop - m, first:]
        np.einsum("jqi,qi->ji", found, factor, out=into)
        into *= block.size[:, None]
    return values


def fejer_weights(n: int) -> FLOAT:
    """Return Fejér's first weights of rows at θ_i = (i + ½) π / n, shape (n,); they sum to 2.

    ::

        w_i = (2 / n) (1 − 2 Σ_k cos(2 k θ_i) / (4 k² − 1)),      k = 1 … ⌊n / 2⌋
    """
    theta = (np.arange(n) + 0.5) * np.pi / n
    k = np.arange(1, n // 2 + 1)
    waves = np.cos(2.0 * np.outer(theta, k)) / (4.0 * k**2 - 1.0)
    return np.asarray(2.0 / n * (1.0 - 2.0 * waves.sum(axis=1)))


def _exact_maker(grid: CapGrid, reached: Reach) -> Maker:
    """Return weights that expand a band-limited field of the globe from its rows, without error.

    A field of degree < n has in θ the period 2π and the parity (−1)^m, so n rows at half steps
    determine it: as a series in cos kθ (m even) or sin kθ (m odd). The weights are the integrals
    of that series against P_jm sin θ, done by Gauss-Legendre, which is exact for both.
    """
    n = grid.globe_rows
    fine = gauss_legendre((n + reached.j_max) // 2 + 2, n_lon=1)
    theta = (np.arange(len(grid.latitude)) + 0.5) * np.pi / n
    through = []
    for k, wave in ((np.arange(n), np.cos), (np.arange(1, n + 1), np.sin)):
        series = wave(np.outer(theta, k)) * np.where((k == 0) | (k == n), 1.0 / n, 2.0 / n)
        # θ from the south pole: the rows of the fine grid, from north to south, are turned round.
        at_fine = wave(np.outer(np.arccos(-fine.cosine), k)) * fine.weights[:, None]
        through.append(at_fine @ series.T / (2.0 * grid.n_lon))
    return lambda m, _: legendre(fine.rows, j_max=reached.j_max, m=m) @ through[m % 2]


_MAKERS: Mapping[str, Callable[[CapGrid, Reach], Maker]] = {
    "cell": _cell_maker,
    "fejer": _fejer_maker,
    "exact": _exact_maker,
}
