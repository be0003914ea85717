"""Heights along tracks to rates of elevation in pixels, by least squares in space and time.

Sasgen et al. (2019), appendix A: within a pixel of 2 km the surface is not flat, so its shape is
removed (M1) or estimated together with the rate (M2 to M4). The paper names the four; which
polynomial M2 is it does not say, so it is ours (record 0012)::

    M1   h − DEM(x, y) = a₀ + ḣ τ                                external terrain
    M2   h = a₀ + a₁ x + a₂ y + a₃ x y + ḣ τ                     polynomial: plane with a twist
    M3   h = a₀ + a₁ x + a₂ y + ḣ τ                              linear: plane
    M4   h = a₀ + a₁ x + a₂ y + a₃ x y + a₄ x² + a₅ y² + ḣ τ     quadratic

with x and y from the centre of the pixel and τ from the mean time of its points. All pixels are
solved together: sums over the points of a pixel make small normal equations, in coordinates scaled
to ±1 so that squaring them costs no digits that matter.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

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
        """Return the pixel of each point, row · columns + column; −1 outside the raster."""
        column = np.floor((x - self.left) / self.spacing).astype(np.int64)
        row = np.floor((self.top - y) / self.spacing).astype(np.int64)
        inside = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        return np.where(inside, row * self.columns + column, -1)

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

    Parameters
    ----------
    points : Points
        Heights; those outside the raster or not finite are left out.
    pixels : Pixels
        The raster.
    model : {"M1", "M2", "M3", "M4"}
        What stands for the surface.
    terrain : ndarray, shape (n,), optional
        Height of a DEM at the points [m], for M1; points where it is NaN are left out.
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
    pixel = pixels.index(points.x, points.y)
    good = (pixel >= 0) & np.isfinite(height) & np.isfinite(points.time)
    order = np.flatnonzero(good)[np.argsort(pixel[good], kind="stable")]
    group = _Group.of(pixel[order])
    surface = _surface(points, pixels, pixel, order, model)
    time, height = points.time[order], height[order]
    kept = np.ones(order.size, dtype=bool)
    for _ in range(ROUNDS):
        solved = _solve(surface, time, height, kept, group, (least_points, least_years))
        outlier = kept & _is_outlier(solved.residual, kept, group, rejection)
        if not outlier.any():
            break
        kept &= ~outlier
    solved = _solve(surface, time, height, kept, group, (least_points, least_years))
    return _on_raster(solved, kept, group, pixels)


@dataclass(frozen=True)
class _Group:
    """Points sorted by pixel: where each pixel's points begin, and which pixel each is of."""

    pixel: INT
    start: INT
    member: INT

    @classmethod
    def of(cls, pixel: INT) -> "_Group":
        unique, start, member = np.unique(pixel, return_index=True, return_inverse=True)
        return cls(unique, start, member)

    def sum(self, values: FLOAT) -> FLOAT:
        """Return sums over the points of each pixel, along the first axis."""
        return np.add.reduceat(values, self.start, axis=0) if self.start.size else values[:0]


class _Solved(NamedTuple):
    rate: FLOAT
    sigma: FLOAT
    used: INT
    residual: FLOAT


def _surface(points: Points, pixels: Pixels, pixel: INT, order: INT, model: FitModel) -> FLOAT:
    """Return the columns of the surface, shape (points, terms), in half pixels."""
    centre_x, centre_y = pixels.centres(pixel[order])
    x = 2.0 * (points.x[order] - centre_x) / pixels.spacing
    y = 2.0 * (points.y[order] - centre_y) / pixels.spacing
    one = np.ones(x.size)
    columns = {
        "M1": [one],
        "M2": [one, x, y, x * y],
        "M3": [one, x, y],
        "M4": [one, x, y, x * y, x**2, y**2],
    }
    return np.stack(columns[model], axis=1)


def _solve(
    surface: FLOAT,
    time: FLOAT,
    height: FLOAT,
    kept: BOOL,
    group: _Group,
    least: tuple[int, float],
) -> _Solved:
    """Solve the normal equations of every pixel; those that cannot be are NaN."""
    weight = kept.astype(np.float64)
    used = group.sum(weight)
    divisor = np.maximum(used, 1.0)
    middle = group.sum(time * weight) / divisor
    mean = group.sum(np.where(kept, height, 0.0)) / divisor
    span = _span(time, kept, group)
    scale = np.where(span > 0.0, span / 2.0, 1.0)
    tau = (time - middle[group.member]) / scale[group.member]
    design = np.concatenate([surface, tau[:, None]], axis=1) * weight[:, None]
    target = (height - mean[group.member]) * weight
    normal = group.sum(design[:, :, None] * design[:, None, :])
    right = group.sum(design * target[:, None])
    terms = design.shape[1]
    solvable = (used >= max(least[0], terms + 1)) & (span >= least[1])
    inverse = np.full(normal.shape, np.nan)
    inverse[solvable] = _inverse(normal[solvable])
    solution = np.einsum("pij,pj->pi", inverse, right)
    full = np.concatenate([surface, tau[:, None]], axis=1)
    fitted = np.einsum("ni,ni->n", full, solution[group.member])
    residual = height - mean[group.member] - fitted
    squares = group.sum(np.where(kept, np.square(residual), 0.0))
    freedom = np.maximum(used - terms, 1.0)
    variance = squares / freedom * inverse[:, -1, -1]
    return _Solved(
        solution[:, -1] / scale, np.sqrt(variance) / scale, used.astype(np.int64), residual
    )


def _span(time: FLOAT, kept: BOOL, group: _Group) -> FLOAT:
    """Return the time between first and last kept point of each pixel [yr]."""
    if not group.start.size:
        return time[:0]
    last = np.maximum.reduceat(np.where(kept, time, -np.inf), group.start)
    first = np.minimum.reduceat(np.where(kept, time, np.inf), group.start)
    return np.asarray(np.maximum(last - first, 0.0))


def _inverse(normal: FLOAT) -> FLOAT:
    """Return inverses of normal equations, NaN where they are all but singular."""
    inverse = np.full(normal.shape, np.nan)
    if len(normal):
        values = np.linalg.eigvalsh(normal)
        good = values[:, 0] * LARGEST_CONDITION > values[:, -1]
        inverse[good] = np.linalg.inv(normal[good])
    return inverse


def _is_outlier(residual: FLOAT, kept: BOOL, group: _Group, rejection: float) -> BOOL:
    """Return which residuals are too large for their pixel's median absolute deviation."""
    size = np.where(kept & np.isfinite(residual), np.abs(residual), np.inf)
    order = np.lexsort((size, group.member))
    count = group.sum(np.isfinite(size).astype(np.float64)).astype(np.int64)
    middle = group.start + np.maximum(count - 1, 0) // 2
    deviation = size[order][middle] if group.start.size else size[:0]
    limit = rejection * MAD_TO_SIGMA * np.where(count > 0, deviation, np.inf)
    # Residuals of a perfect fit are rounding, not outliers.
    return np.isfinite(size) & (size > np.maximum(limit[group.member], 1e-9))


def _on_raster(solved: _Solved, kept: BOOL, group: _Group, pixels: Pixels) -> Rates:
    shape = pixels.rows * pixels.columns

    def raster(values: NDArray[np.generic], empty: float) -> FLOAT:
        full = np.full(shape, empty)
        full[group.pixel] = values
        return full.reshape(pixels.rows, pixels.columns)

    rejected = group.sum((~kept).astype(np.float64))
    return Rates(
        raster(solved.rate, np.nan),
        raster(solved.sigma, np.nan),
        raster(solved.used, 0.0).astype(np.int64),
        raster(rejected, 0.0).astype(np.int64),
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
