"""Spherical harmonics: grids, points and lattices to coefficients and back.

Coefficients have the shape ``(..., part, degree, order)``: part 0 is C, part 1 is S,
4π-normalised, without the Condon-Shortley phase, zero where the order exceeds the degree::

    f(θ, λ) = Σ_j Σ_m P_jm(cos θ) (C_jm cos mλ + S_jm sin mλ)        Sasgen et al. (2019), eq. 1

Everything runs order by order: the columns P_jm of one order are made by recursion at all rows
or points at once and meet all members in one matrix product, so no table of all degrees, orders
and rows is ever held. θ is colatitude on the sphere, that is, from geocentric latitude.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.gauss_grid import GaussGrid, HarmonicsError, gauss_legendre
from pipelines.kernels.gravity.legendre import Rows, legendre, rows_at

__all__ = [
    "GaussGrid",
    "HarmonicsError",
    "analyse",
    "degree_variance",
    "gauss_legendre",
    "project_from",
    "project_rows",
    "synthesise",
    "synthesise_at",
    "synthesise_on",
    "truncate",
]

FLOAT = NDArray[np.float64]

POINTS_PER_BLOCK = 4096
"""Scattered points that share one set of Legendre columns: 6 MiB at degree 180."""


WAVE_BYTES = 96 * 1024 * 1024
"""Fourier coefficients that are held together: 215 rows of 57 members at degree 512 [B]."""


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

    Raises
    ------
    HarmonicsError
        Weights whose shape is not that of the lattice.
    """
    _require_lattice(weights, latitude.size, longitude.size)
    return _project_rows(weights, rows_at(latitude), longitude, j_max=j_max)


def _require_lattice(field: FLOAT, rows: int, columns: int) -> None:
    if field.shape[-2:] != (rows, columns):
        msg = (
            f"found values of shape {field.shape}, expected (..., {rows}, {columns}): "
            "a row per latitude and a column per longitude"
        )
        raise HarmonicsError(msg)


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
    _require_lattice(field, rows, columns)
    weighted = field * (grid.weights[:, None] / (2.0 * columns))
    return _project_rows(weighted, grid.rows, grid.longitude, j_max=j_max)


def synthesise_at(coefficients: FLOAT, latitude: FLOAT, longitude: FLOAT) -> FLOAT:
    """Evaluate expansions at scattered points, a block of latitudes at a time.

    Points of one latitude share their Legendre functions and all that is done with them: a map in
    EPSG:3031 has each latitude up to eight times.

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

    Raises
    ------
    HarmonicsError
        Latitudes and longitudes of different shapes.
    """
    members, leading, _ = _members(coefficients)
    _require_points(latitude, longitude)
    values = np.zeros((len(members), latitude.size))
    per_field = 16 * members.shape[-1]
    for rows, points in _latitude_blocks(
        latitude, most=WAVE_BYTES // per_field, fields=len(members)
    ):
        waves = _row_waves(members, rows_at(rows))
        at, known = np.maximum(points, 0), points >= 0
        m_lam = np.arange(len(waves))[:, None] * np.radians(longitude[at])[:, None, :]
        turns = np.stack([np.cos(m_lam), np.sin(m_lam)], axis=2)
        summed = waves.transpose(3, 1, 0, 2).reshape(*waves.shape[3:], len(members), -1) @ (
            turns.reshape(len(rows), -1, points.shape[1])
        )
        values[:, points[known]] = summed.transpose(1, 0, 2)[:, known]
    return values.reshape(*leading, latitude.size)


def _row_waves(members: FLOAT, rows: Rows) -> FLOAT:
    """Return the Fourier coefficients of rows, shape (order, member, part, row)."""
    count, j_max = len(members), members.shape[-1] - 1
    waves = np.empty((j_max + 1, count, 2, rows.cosine.size))
    for m, column in _columns(rows, j_max):
        of_order = members[:, :, m:, m].reshape(2 * count, -1)
        np.matmul(of_order, column, out=waves[m].reshape(2 * count, -1))
    return waves


def _latitude_blocks(
    latitude: FLOAT, *, most: int, fields: int
) -> Iterator[tuple[FLOAT, NDArray[np.int64]]]:
    """Yield different latitudes, and the points of each, shape (rows, points), -1 for none.

    In a block, rows × fields and rows × points both stay below ``most``.
    """
    unique, member = np.unique(latitude, return_inverse=True)
    order = np.argsort(member, kind="stable")
    count = np.bincount(member, minlength=unique.size)
    place = np.arange(latitude.size) - np.repeat(np.cumsum(count) - count, count)
    points = np.full((unique.size, int(count.max(initial=0))), -1, dtype=np.int64)
    points[member[order], place] = order
    step = max(1, most // max(1, fields, points.shape[1]))
    for first in range(0, unique.size, step):
        yield unique[first : first + step], points[first : first + step]


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

    Raises
    ------
    HarmonicsError
        Weights, latitudes and longitudes of different lengths.
    """
    _require_points(latitude, longitude)
    if weights.shape[-1:] != latitude.shape:
        msg = f"found weights of shape {weights.shape}, expected (..., {latitude.size})"
        raise HarmonicsError(msg)
    flat = weights.reshape(-1, latitude.size)
    sums = np.zeros((len(flat), 2, j_max + 1, j_max + 1))
    for rows, points, starts in _sorted_latitudes(latitude):
        some, lam = flat[:, points], np.radians(longitude[points])
        for m, column in _columns(rows_at(rows), j_max):
            for part, wave in enumerate((np.cos(m * lam), np.sin(m * lam))):
                along = np.add.reduceat(some * wave, starts, axis=1)
                sums[:, part, m:, m] += along @ column.T
    return sums.reshape(*weights.shape[:-1], 2, j_max + 1, j_max + 1)


def _require_points(latitude: FLOAT, longitude: FLOAT) -> None:
    if latitude.ndim != 1 or latitude.shape != longitude.shape:
        msg = (
            f"found latitudes of shape {latitude.shape} and longitudes of shape "
            f"{longitude.shape}, expected (p,) for both; ravel them"
        )
        raise HarmonicsError(msg)


def _sorted_latitudes(
    latitude: FLOAT,
) -> Iterator[tuple[FLOAT, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield different latitudes, the points on them, and where those of each latitude start.

    A block has about :data:`POINTS_PER_BLOCK` points, or all of one latitude.
    """
    unique, member = np.unique(latitude, return_inverse=True)
    points = np.argsort(member, kind="stable")
    stops = np.cumsum(np.bincount(member, minlength=unique.size))
    row, first = 0, 0
    while row < unique.size:
        stop = max(row + 1, int(np.searchsorted(stops, first + POINTS_PER_BLOCK, side="right")))
        starts = np.concatenate([[first], stops[row : stop - 1]]) - first
        yield unique[row:stop], points[first : stops[stop - 1]], starts
        row, first = stop, int(stops[stop - 1])


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
