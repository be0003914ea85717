"""Heights along tracks to rates of elevation in pixels, by least squares in space and time.

Sasgen et al. (2019), appendix A: within a pixel of 2 km the surface is not flat, so its shape is
removed (M1) or estimated together with the rate (M2 to M4). The paper names the four; which
polynomial M2 is it does not say, so it is ours (record 0012)::

    M1   h − DEM(x, y) = a₀ + ḣ τ                                external terrain
    M2   h = a₀ + a₁ x + a₂ y + a₃ x y + ḣ τ                     polynomial: plane with a twist
    M3   h = a₀ + a₁ x + a₂ y + ḣ τ                              linear: plane
    M4   h = a₀ + a₁ x + a₂ y + a₃ x y + a₄ x² + a₅ y² + ḣ τ     quadratic

with x and y from the centre of the pixel and τ from the mean time of its points. M3 is a case of
M2, and M2 of M4: three grades of freedom, which is what a spread over fits is to sample.

All pixels are solved together: sums over the points of a pixel make small normal equations, in
coordinates scaled to ±1 so that squaring them costs no digits that matter (1e-12 of the rate for
points all over a pixel; for points that all but coincide, 1e-7 of its standard error, where
:data:`LARGEST_CONDITION` ends it). Rounds after the first solve only pixels that lost a point.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]
BOOL = NDArray[np.bool_]

FitModel = Literal["M1", "M2", "M3", "M4"]
FIT_MODELS: tuple[FitModel, ...] = get_args(FitModel)

ROUNDS = 10
"""Most rounds of rejection; each leaves out what the last one made an outlier."""

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

LARGEST_CONDITION = 1e10
"""Of the normal equations; beyond it the points cannot tell surface and rate apart."""

ROUNDING_M = 1e-9
"""Residuals below it are rounding of a perfect fit, never outliers [m]."""


class FitError(ValueError):
    """Points, pixels or choices that cannot be fitted."""


class Points(NamedTuple):
    """Heights along tracks.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Places in EPSG:3031 [m].
    time : ndarray, shape (n,)
        Decimal years.
    height : ndarray, shape (n,)
        Height of the surface [m].
    """

    x: FLOAT
    y: FLOAT
    time: FLOAT
    height: FLOAT


@dataclass(frozen=True)
class Pixels:
    """A raster of square pixels, rows southward from the top.

    Attributes
    ----------
    left, top : float
        Outer edges [m].
    spacing : float
        Size of a pixel [m].
    rows, columns : int
    """

    left: float
    top: float
    spacing: float
    rows: int
    columns: int

    def index(self, x: FLOAT, y: FLOAT) -> INT:
        """Return the pixel of each point, row · columns + column; −1 outside, or not finite."""
        column = np.floor((x - self.left) / self.spacing)
        row = np.floor((self.top - y) / self.spacing)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        return np.where(inside, row * self.columns + column, -1.0).astype(np.int64)

    def centres(self, index: INT) -> tuple[FLOAT, FLOAT]:
        """Return x and y of the centres of pixels [m]."""
        row, column = np.divmod(index, self.columns)
        return self.left + (column + 0.5) * self.spacing, self.top - (row + 0.5) * self.spacing


class Rates(NamedTuple):
    """Rates of elevation in the pixels of a raster.

    Attributes
    ----------
    rate, sigma : ndarray, shape (rows, columns)
        ∂h/∂t at the centre of the pixel and its standard error [m yr⁻¹]; NaN where there are too
        few points, over too short a time, or in too special a place.
    used, rejected : ndarray of int, shape (rows, columns)
        Points that made it, and outliers.
    """

    rate: FLOAT
    sigma: FLOAT
    used: INT
    rejected: INT


def terrain_at(points: Points, x: FLOAT, y: FLOAT, dem: FLOAT) -> FLOAT:
    """Interpolate a DEM bilinearly to points, for M1.

    Parameters
    ----------
    points : Points
        Where.
    x, y : ndarray, shapes (c,) and (r,)
        Axes of the DEM in EPSG:3031, rising or falling [m].
    dem : ndarray, shape (r, c)
        Height [m]; missing is NaN.

    Returns
    -------
    ndarray, shape (n,)
        Height at the points [m]; NaN beyond the DEM and beside its missing values.

    Examples
    --------
    >>> here = Points(np.array([5.0]), np.array([5.0]), np.array([2014.0]), np.array([8.0]))
    >>> axis = np.array([0.0, 10.0])
    >>> terrain_at(here, axis, axis[::-1], np.array([[4.0, 4.0], [0.0, 0.0]])).tolist()
    [2.0]
    """
    across, down = (slice(None, None, 1 if axis[-1] > axis[0] else -1) for axis in (x, y))
    surface = RegularGridInterpolator(
        (y[down], x[across]), dem[down, across], bounds_error=False, fill_value=np.nan
    )
    return np.asarray(surface((points.y, points.x)))


def fit(
    points: Points,
    pixels: Pixels,
    *,
    model: FitModel,
    terrain: FLOAT | None = None,
    least_points: int = 15,
    least_years: float = 2.0,
    rejection: float = 3.0,
) -> Rates:
    """Fit every pixel of a raster.

    A residual r of a pixel with n points and k unknowns is an outlier, and left out of the next
    round, where::

        |r| > rejection · σ̂,        σ̂ = 1.4826 · median|r| · √(n / (n − k))

    The root undoes what k unknowns take from the residuals. Of good, normal points of which 15
    share a quadratic surface, 3 σ̂ with it rejects 0.4 in 100, without it 1.8 (measured; 0.27 are
    beyond 3 σ). Rejection makes standard errors small: the rates of such pixels scatter by 1.3 of
    them, with 30 points by 1.1, with 60 by 1.03.

    Parameters
    ----------
    points : Points
        Heights; those outside the raster or not finite are left out.
    pixels : Pixels
        The raster.
    model : {"M1", "M2", "M3", "M4"}
        What stands for the surface.
    terrain : ndarray, shape (n,), optional
        Height of a DEM at the points [m], see :func:`terrain_at`, for M1; points where it is NaN
        are left out.
    least_points : int
        Fewest points of a pixel, after rejection.
    least_years : float
        Least time between its first and last point [yr].
    rejection : float
        Residuals beyond this many robust standard deviations are rejected, round after round.

    Returns
    -------
    Rates

    Raises
    ------
    FitError
        An unknown model, M1 without terrain, or arrays of different lengths.
    """
    _check(points, model, terrain)
    height = points.height - terrain if model == "M1" and terrain is not None else points.height
    todo = _Sorted.of(points._replace(height=height), pixels, model)
    there, before = todo.pixel, np.diff(todo.start, append=todo.time.size)
    rate, sigma = np.full((2, there.size), np.nan)
    found = _Solved(rate, sigma, np.zeros(there.size, np.int64))
    now = np.arange(there.size)
    for last in [False] * ROUNDS + [True]:
        solved, residual = _solve(todo, least_points, least_years)
        for whole, part in zip(found, solved, strict=True):
            whole[now] = part
        outlier = _is_outlier(residual, todo, rejection)
        again = todo.sum(outlier.astype(np.int64)) > 0
        if last or not again.any():
            break
        todo, now = todo.only(again[todo.member] & ~outlier), now[again]
    return _on_raster(found, before - found.used, there, pixels)


@dataclass(frozen=True)
class _Sorted:
    """Points sorted by pixel.

    ``pixel`` (p,) is the index of each pixel that has points, ``start`` (p,) where they begin,
    ``member`` (n,) which of the p each is of, ``surface`` (terms, n) the columns of the model.
    """

    pixel: INT
    start: INT
    member: INT
    surface: FLOAT
    time: FLOAT
    height: FLOAT

    @classmethod
    def of(cls, points: Points, pixels: Pixels, model: FitModel) -> "_Sorted":
        index = pixels.index(points.x, points.y)
        good = np.flatnonzero((index >= 0) & np.isfinite(points.height) & np.isfinite(points.time))
        order = good[np.argsort(index[good], kind="stable")]
        surface = _surface(points, pixels, index[order], order, model)
        pixel, start, member = np.unique(index[order], return_index=True, return_inverse=True)
        return cls(pixel, start, member, surface, points.time[order], points.height[order])

    def only(self, wanted: BOOL) -> "_Sorted":
        """Return some of the points, and the pixels that have any."""
        number, start, member = np.unique(
            self.member[wanted], return_index=True, return_inverse=True
        )
        columns = self.surface[:, wanted], self.time[wanted], self.height[wanted]
        return _Sorted(self.pixel[number], start, member, *columns)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return sums over the points of each pixel, shape (p,)."""
        return np.add.reduceat(values, self.start) if self.start.size else values[:0]


class _Solved(NamedTuple):
    rate: FLOAT
    sigma: FLOAT
    used: INT


def _surface(points: Points, pixels: Pixels, pixel: INT, order: INT, model: FitModel) -> FLOAT:
    """Return the columns of the surface, shape (terms, points), in half pixels."""
    centre_x, centre_y = pixels.centres(pixel)
    x = 2.0 * (points.x[order] - centre_x) / pixels.spacing
    y = 2.0 * (points.y[order] - centre_y) / pixels.spacing
    one = np.ones(x.size)
    columns = {
        "M1": [one],
        "M2": [one, x, y, x * y],
        "M3": [one, x, y],
        "M4": [one, x, y, x * y, x**2, y**2],
    }
    return np.stack(columns[model])


def _solve(here: _Sorted, least_points: int, least_years: float) -> tuple[_Solved, FLOAT]:
    """Solve the normal equations of every pixel; those that cannot be are NaN.

    Returns
    -------
    _Solved, shapes (p,)
    residual : ndarray, shape (n,)
        Observed minus fitted [m]; NaN in pixels that could not be solved.
    """
    used = np.diff(here.start, append=here.time.size)
    middle, mean = here.sum(here.time) / used, here.sum(here.height) / used
    span = _span(here)
    scale = np.where(span > 0.0, span / 2.0, 1.0)
    tau = (here.time - middle[here.member]) / scale[here.member]
    columns = [*here.surface, tau]
    residual = here.height - mean[here.member]
    freedom = used - len(columns)
    solvable = (used >= least_points) & (freedom > 0) & (span >= least_years)
    inverse = np.full((used.size, len(columns), len(columns)), np.nan)
    inverse[solvable] = _inverse(_normal(here, columns)[solvable])
    right = np.stack([here.sum(column * residual) for column in columns], axis=1)
    solution = np.einsum("pij,pj->pi", inverse, right)
    for column, of_pixel in zip(columns, solution.T, strict=True):
        residual -= column * of_pixel[here.member]
    variance = here.sum(np.square(residual)) / np.maximum(freedom, 1) * inverse[:, -1, -1]
    return _Solved(solution[:, -1] / scale, np.sqrt(variance) / scale, used), residual


def _span(here: _Sorted) -> FLOAT:
    """Return the time between first and last point of each pixel [yr]."""
    if not here.start.size:
        return here.time[:0]
    last, first = (each.reduceat(here.time, here.start) for each in (np.maximum, np.minimum))
    return np.asarray(last - first)


def _normal(here: _Sorted, columns: list[FLOAT]) -> FLOAT:
    """Return the products of all columns, summed over pixels, shape (p, terms, terms)."""
    normal = np.empty((here.pixel.size, len(columns), len(columns)))
    for i, one in enumerate(columns):
        for j, other in enumerate(columns[: i + 1]):
            normal[:, i, j] = normal[:, j, i] = here.sum(one * other)
    return normal


def _inverse(normal: FLOAT) -> FLOAT:
    """Return inverses of normal equations, NaN where they are all but singular."""
    inverse = np.full(normal.shape, np.nan)
    if len(normal):
        values = np.linalg.eigvalsh(normal)
        good = values[:, 0] * LARGEST_CONDITION > values[:, -1]
        inverse[good] = np.linalg.inv(normal[good])
    return inverse


def _is_outlier(residual: FLOAT, here: _Sorted, rejection: float) -> BOOL:
    """Return which residuals are too large for their pixel; none where it has no solution."""
    if not here.start.size:
        return np.zeros(0, dtype=bool)
    size = np.abs(residual)
    ranked = size[np.lexsort((size, here.member))]
    used = np.diff(here.start, append=size.size)
    deviation = (ranked[here.start + (used - 1) // 2] + ranked[here.start + used // 2]) / 2.0
    freedom = np.maximum(used - len(here.surface) - 1, 1)
    limit = rejection * MAD_TO_SIGMA * deviation * np.sqrt(used / freedom)
    return np.asarray(size > np.maximum(limit, ROUNDING_M)[here.member])


def _on_raster(solved: _Solved, rejected: INT, there: INT, pixels: Pixels) -> Rates:
    shape = (pixels.rows, pixels.columns)

    def raster(values: NDArray[Any], empty: float) -> NDArray[Any]:
        full = np.full(pixels.rows * pixels.columns, empty, dtype=values.dtype)
        full[there] = values
        return full.reshape(shape)

    return Rates(
        raster(solved.rate, np.nan),
        raster(solved.sigma, np.nan),
        raster(solved.used, 0),
        raster(rejected, 0),
    )


def _check(points: Points, model: str, terrain: FLOAT | None) -> None:
    if model not in FIT_MODELS:
        msg = f"found the fit {model!r}, expected one of {', '.join(FIT_MODELS)}"
        raise FitError(msg)
    if model == "M1" and terrain is None:
        msg = "M1 subtracts a DEM and found none; give terrain at the points, or fit M2 to M4"
        raise FitError(msg)
    lengths = [len(column) for column in points] + ([len(terrain)] if terrain is not None else [])
    if len(set(lengths)) > 1:
        msg = f"found columns of {lengths} points; expected one length"
        raise FitError(msg)
