"""Gauss-Legendre grids: rows on which sums over latitude are exact integrals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.legendre import Rows

FLOAT = NDArray[np.float64]


class HarmonicsError(ValueError):
    """Grids or coefficients whose shapes cannot belong together."""


@dataclass(frozen=True)
class GaussGrid:
    """A Gauss-Legendre grid: rows at the roots of P_n, columns equally spaced.

    Attributes
    ----------
    cosine : ndarray, shape (n,)
        cos θ of the rows from north to south: the nodes, to the last digit.
    weights : ndarray, shape (n,)
        Quadrature weights in cos θ; they sum to 2.
    longitude : ndarray, shape (n_lon,)
        Columns from 0 eastward [degrees].
    """

    cosine: FLOAT
    weights: FLOAT
    longitude: FLOAT

    @property
    def colatitude(self) -> FLOAT:
        """Colatitude θ of the rows [rad]."""
        return np.arccos(self.cosine)

    @property
    def latitude(self) -> FLOAT:
        """Latitude of the rows [degrees]."""
        return np.degrees(np.arcsin(self.cosine))

    @property
    def rows(self) -> Rows:
        """Cosine and sine of the colatitude of the rows."""
        return Rows(self.cosine, np.sqrt((1.0 - self.cosine) * (1.0 + self.cosine)))


def gauss_legendre(n: int, *, n_lon: int | None = None) -> GaussGrid:
    """Return the grid whose quadrature is exact for polynomials up to degree 2n − 1.

    Parameters
    ----------
    n : int
        Number of rows.
    n_lon : int, optional
        Number of columns, 2n if not given.

    Returns
    -------
    GaussGrid

    Raises
    ------
    HarmonicsError
        Fewer than one row or column.
    """
    columns = 2 * n if n_lon is None else n_lon
    if n < 1 or columns < 1:
        msg = f"found a grid of {n} × {columns} nodes, expected at least one row and one column"
        raise HarmonicsError(msg)
    node, weight = _nodes(n)
    longitude = np.arange(columns, dtype=np.float64) * (360.0 / columns)
    return GaussGrid(node[::-1].copy(), weight[::-1].copy(), longitude)


def _nodes(n: int) -> tuple[FLOAT, FLOAT]:
    """Return Gauss-Legendre nodes, increasing, and weights.

    NumPy's weights next to the poles are off by 5e-12 at n = 91 (against mpmath): there a weight
    amplifies the rounding of its node by n². Newton steps in extended precision mend both.
    """
    start = np.polynomial.legendre.leggauss(n)[0]
    node: NDArray[np.floating[Any]] = start.astype(np.longdouble)
    for _ in range(2):
        before, value = np.ones_like(node), node
        for j in range(1, n):
            before, value = value, ((2 * j + 1) * node * value - j * before) / (j + 1)
        slope = n * (before - node * value) / ((1 - node) * (1 + node))
        node = node - value / slope
    weight = 2 / ((1 - node) * (1 + node) * slope**2)
    return node.astype(np.float64), weight.astype(np.float64)
