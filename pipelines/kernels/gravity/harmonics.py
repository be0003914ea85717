"""Spherical harmonics: grids, points and lattices to coefficients and back.

Coefficients have the shape ``(..., part, degree, order)``: part 0 is C, part 1 is S,
4π-normalised, without the Condon-Shortley phase, zero where the order exceeds the degree::

    f(θ, λ) = Σ_j Σ_m P_jm(cos θ) (C_jm cos mλ + S_jm sin mλ)        Sasgen et al. (2019), eq. 1

Everything runs order by order: the columns P_jm of one order are made by recursion at all rows
or points at once and meet all members in one matrix product, so no table of all degrees, orders
and rows is ever held. θ is colatitude on the sphere, that is, from geocentric latitude.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

POINTS_PER_BLOCK = 4096
"""Scattered points that share one set of Legendre columns: 6 MiB at degree 180."""


HIGHEST_DEGREE = 1500
"""Degree to which P_jm / sin^m θ stays within double precision everywhere."""


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
    def latitude(self) -> FLOAT:
        """Latitude of the rows [degrees]."""
        return np.degrees(np.arcsin(self.cosine))

    @property
    def rows(self) -> "Rows":
        """Cosine and sine of the colatitude of the rows."""
        return Rows(self.cosine, np.sqrt((1.0 - self.cosine) * (1.0 + self.cosine)))


@dataclass(frozen=True)
class Rows:
    """Colatitudes by their cosine and sine, so that neither loses digits near a pole.

    Attributes
    ----------
    cosine, sine : ndarray, shape (n,)
        Of the colatitude θ.
    """

    cosine: FLOAT
    sine: FLOAT


def rows_at(latitude: FLOAT) -> Rows:
    """Return the rows at latitudes on the sphere, shape (n,) [degrees]."""
    phi = np.radians(np.asarray(latitude, dtype=np.float64))
    return Rows(np.sin(phi), np.cos(phi))


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
    """
    node, weight = _nodes(n)
    columns = n_lon or 2 * n
    longitude = np.arange(columns) * (360.0 / columns)
    return GaussGrid(node[::-1].copy(), weight[::-1].copy(), longitude)


def _nodes(n: int) -> tuple[FLOAT, FLOAT]:
    """Return Gauss-Legendre nodes, increasing, and weights.

    NumPy's weights next to the poles are off by 5e-12 at n = 91 (against mpmath): there a weight
    amplifies the rounding of its node by n². One Newton step in extended precision mends both.
    """
    node = np.polynomial.legendre.leggauss(n)[0].astype(np.longdouble)
    for _ in range(2):
        before, value = np.ones_like(node), node
        for j in range(1, n):
            before, value = value, ((2 * j + 1) * node * value - j * before) / (j + 1)
        slope = n * (before - node * value) / ((1 - node) * (1 + node))
        node = node - value / slope
    weight = 2 / ((1 - node) * (1 + node) * slope**2)
    return node.astype(np.float64), weight.astype(np.float64)


def legendre(rows: Rows, *, j_max: int, m: int) -> FLOAT:
    """Return the normalised associated Legendre functions of one order.

    Holmes & Featherstone (2002), equations 11 and 12, upward in degree from the sectorial value::

        P_mm = sin^m θ √(2 Π_{i=2..m} (2i + 1)/(2i)) √3,      P_00 = 1
        P_jm = a_jm cos θ P_{j−1,m} − b_jm P_{j−2,m}

    The recursion runs on P_jm / sin^m θ, so that what underflows at the end is below 1e-300 itself.
    The quotient stays below 1e300 to degree 1500; higher degrees need a scaled recursion.

    Parameters
    ----------
    rows : Rows
        cos θ and sin θ at n places.
    j_max, m : int
        Highest degree, and the order, 0 ≤ m ≤ j_max.

    Returns
    -------
    ndarray, shape (j_max + 1 − m, n)
        P_jm(cos θ) for j from m to j_max, 4π-normalised, no Condon-Shortley phase.

    Raises
    ------
    HarmonicsError
        An order outside 0 … j_max, or a degree beyond 1500.
    """
    if j_max > HIGHEST_DEGREE:
        msg = f"degree {j_max} exceeds {HIGHEST_DEGREE}, where this recursion overflows at the pole"
        raise HarmonicsError(msg)
    if not 0 <= m <= j_max:
        msg = f"order {m} is outside 0 … {j_max}; ask for an order within the degrees"
        raise HarmonicsError(msg)
    cosine, sine = rows.cosine, rows.sine
    column = np.empty((j_max + 1 - m, cosine.size))
    column[0] = _sectorial(m)
    if j_max > m:
        column[1] = np.sqrt(2 * m + 3) * cosine * column[0]
    for j in range(m + 2, j_max + 1):
        scale = (2 * j + 1) / ((j - m) * (j + m))
        a = np.sqrt(scale * (2 * j - 1))
        b = np.sqrt(scale * (j + m - 1) * (j - m - 1) / (2 * j - 3))
        column[j - m] = a * cosine * column[j - m - 1] - b * column[j - m - 2]
    return np.asarray(column * sine**m)


def _sectorial(m: int) -> float:
    """Return P_mm / sin^m θ."""
    i = np.arange(2, m + 1)
    return float(np.exp(0.5 * np.log1p(1.0 / (2.0 * i)).sum()) * np.sqrt(3.0)) if m else 1.0


def _columns(rows: Rows, j_max: int) -> Iterator[tuple[int, FLOAT]]:
    for m in range(j_max + 1):
        yield m, legendre(rows, j_max=j_max, m=m)


def _members(coefficients: FLOAT) -> tuple[FLOAT, tuple[int, ...], int]:
    """Return coefficients as (members, 2, J + 1, J + 1), the leading shape, and J."""
    shape = coefficients.shape
    if len(shape) < 3 or shape[-3] != 2 or shape[-1] != shape[-2]:
        msg = f"found coefficients of shape {shape}, expected (..., 2, J + 1, J + 1)"
        raise HarmonicsError(msg)
    return coefficients.reshape(-1, *shape[-3:]), shape[:-3], shape[-1] - 1


def synthesise(coefficients: FLOAT, latitude: FLOAT, longitude: FLOAT) -> FLOAT:
    """Evaluate expansions on the lattice of rows and columns.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.
    latitude : ndarray, shape (n_lat,)
        Rows, on the sphere [degrees].
    longitude : ndarray, shape (n_lon,)
        Columns [degrees], in any spacing.

    Returns
    -------
    ndarray, shape (..., n_lat, n_lon)
        Values of each expansion, in the unit of its coefficients.
    """
    return _synthesise_rows(coefficients, rows_at(latitude), longitude)


def synthesise_on(coefficients: FLOAT, grid: GaussGrid) -> FLOAT:
    """Evaluate expansions on a Gauss-Legendre grid: the inverse of :func:`analyse`.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.
    grid : GaussGrid
        The nodes.

    Returns
    -------
    ndarray, shape (..., n_lat, n_lon)
        Values of each expansion, in the unit of its coefficients.
    """
    return _synthesise_rows(coefficients, grid.rows, grid.longitude)


def _synthesise_rows(coefficients: FLOAT, rows: Rows, longitude: FLOAT) -> FLOAT:
    members, leading, j_max = _members(coefficients)
    wave = np.empty((2, j_max + 1, len(members), rows.cosine.size))
    for m, column in _columns(rows, j_max):
        wave[:, m] = np.swapaxes(members[:, :, m:, m], 0, 1) @ column
    m_lam = np.arange(j_max + 1)[:, None] * np.radians(longitude)
    field = np.tensordot(wave[0], np.cos(m_lam), axes=(0, 0))
    field += np.tensordot(wave[1], np.sin(m_lam), axes=(0, 0))
    return np.asarray(field.reshape(*leading, rows.cosine.size, longitude.size))


def project_rows(weights: FLOAT, latitude: FLOAT, longitude: FLOAT, *, j_max: int) -> FLOAT:
    """Return Σ w Y_jm over a lattice: the transpose of :func:`synthesise`.

    Parameters
    ----------
    weights : ndarray, shape (..., n_lat, n_lon)
        A weight per node, for instance mass or solid angle.
    latitude : ndarray, shape (n_lat,)
        Rows, on the sphere [degrees].
    longitude : ndarray, shape (n_lon,)
        Columns [degrees].
    j_max : int
        Highest degree.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
        Sums; for weights that are mass, divide by 4πa² to get an expansion of surface density.
    """
    if weights.shape[-2:] != (latitude.size, longitude.size):
        msg = (
            f"found weights of shape {weights.shape}, expected (..., {latitude.size}, "
            f"{longitude.size}), a row per latitude and a column per longitude"
        )
        raise HarmonicsError(msg)
    return _project_rows(weights, rows_at(latitude), longitude, j_max=j_max)


def _project_rows(weights: FLOAT, rows: Rows, longitude: FLOAT, *, j_max: int) -> FLOAT:
    flat = weights.reshape(-1, *weights.shape[-2:])
    m_lam = np.radians(longitude)[:, None] * np.arange(j_max + 1)
    parts = (flat @ np.cos(m_lam), flat @ np.sin(m_lam))
    sums = np.zeros((len(flat), 2, j_max + 1, j_max + 1))
    for m, column in _columns(rows, j_max):
        for part, waves in enumerate(parts):
            sums[:, part, m:, m] = waves[:, :, m] @ column.T
    sums[:, 1, :, 0] = 0.0
    return sums.reshape(*weights.shape[:-2], 2, j_max + 1, j_max + 1)


def analyse(field: FLOAT, grid: GaussGrid, *, j_max: int) -> FLOAT:
    """Expand fields given on a Gauss-Legendre grid; exact for band-limited fields.

    ::

        C_jm = (1/4π) ∫ f Y_jm dΩ        Sasgen et al. (2019), equation 2, 4π-normalised

    Parameters
    ----------
    field : ndarray, shape (..., n_lat, n_lon)
        Values at the nodes.
    grid : GaussGrid
        The nodes.
    j_max : int
        Highest degree. Rows and columns must resolve it: n ≥ j_max + 1, n_lon ≥ 2 j_max + 1.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
        Coefficients in the unit of the field.

    Raises
    ------
    HarmonicsError
        A grid too coarse for ``j_max``, or a field of another shape.
    """
    rows, columns = grid.cosine.size, grid.longitude.size
    if rows < j_max + 1 or columns < 2 * j_max + 1:
        msg = (
            f"found a grid of {rows} × {columns} nodes, expected at least {j_max + 1} × "
            f"{2 * j_max + 1} for degree {j_max}; use a finer grid or a lower degree"
        )
        raise HarmonicsError(msg)
    weighted = field * (grid.weights[:, None] / (2.0 * columns))
    return _project_rows(weighted, grid.rows, grid.longitude, j_max=j_max)


def synthesise_at(coefficients: FLOAT, latitude: FLOAT, longitude: FLOAT) -> FLOAT:
    """Evaluate expansions at scattered points, a block of points at a time.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.
    latitude, longitude : ndarray, shape (p,)
        Points on the sphere [degrees].

    Returns
    -------
    ndarray, shape (..., p)
        Values of each expansion.
    """
    members, leading, j_max = _members(coefficients)
    values = np.zeros((len(members), latitude.size))
    for block in _blocks(latitude.size):
        rows, lam = rows_at(latitude[block]), np.radians(longitude[block])
        for m, column in _columns(rows, j_max):
            cosine, sine = members[:, :, m:, m].swapaxes(0, 1) @ column
            values[:, block] += cosine * np.cos(m * lam) + sine * np.sin(m * lam)
    return values.reshape(*leading, latitude.size)


def project_from(weights: FLOAT, latitude: FLOAT, longitude: FLOAT, *, j_max: int) -> FLOAT:
    """Return Σ w Y_jm over scattered points: the transpose of :func:`synthesise_at`.

    Parameters
    ----------
    weights : ndarray, shape (..., p)
        A weight per point.
    latitude, longitude : ndarray, shape (p,)
        Points on the sphere [degrees].
    j_max : int
        Highest degree.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
        Sums, without the 1/4π of an expansion.
    """
    flat = weights.reshape(-1, latitude.size)
    sums = np.zeros((len(flat), 2, j_max + 1, j_max + 1))
    for block in _blocks(latitude.size):
        rows, lam = rows_at(latitude[block]), np.radians(longitude[block])
        for m, column in _columns(rows, j_max):
            sums[:, 0, m:, m] += (flat[:, block] * np.cos(m * lam)) @ column.T
            sums[:, 1, m:, m] += (flat[:, block] * np.sin(m * lam)) @ column.T
    return sums.reshape(*weights.shape[:-1], 2, j_max + 1, j_max + 1)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(i, i + POINTS_PER_BLOCK) for i in range(0, count, POINTS_PER_BLOCK))


def degree_variance(coefficients: FLOAT) -> FLOAT:
    """Return the power of each degree, Σ_m C_jm² + S_jm² (Sasgen et al., 2019, figure 1).

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.

    Returns
    -------
    ndarray, shape (..., J + 1)
        Power, in the square of the coefficients' unit.
    """
    return np.asarray(np.square(coefficients).sum(axis=(-3, -1)))


def truncate(coefficients: FLOAT, j_max: int) -> FLOAT:
    """Return the coefficients up to a degree: cut, or padded with zeros.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        C and S.
    j_max : int
        Highest degree wanted.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
    """
    held = coefficients.shape[-1] - 1
    if held >= j_max:
        return coefficients[..., : j_max + 1, : j_max + 1].copy()
    missing = j_max - held
    widths = [(0, 0)] * (coefficients.ndim - 2) + [(0, missing)] * 2
    return np.pad(coefficients, widths)
