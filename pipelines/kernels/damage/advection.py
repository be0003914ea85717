"""Where the ice of a map came from, and the map as the flow carries it.

Overall strategy: every cell of the later map is traced back to the moment of the earlier one, and
takes the earlier value found there (semi-Lagrangian). Equation 13 of Tang et al. (2026) moves the
cells of the earlier map forward instead, which leaves holes where the ice spreads and cells hit
twice where it gathers, and needs a second rule for both. Density is a share of area, damaged over
whole: the two spread alike, so what ice carries is the value itself and not an amount. A remapping
that conserves the sum of densities would thin damage wherever a shelf stretches.

A cell whose way back leaves the earlier map, or the known velocity, has no value. Those that have
one are the advected footprint, on which alone two years may be compared.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget import bilinear
from pipelines.kernels.damage.flow_field import FlowField, velocity_at

FLOAT = NDArray[np.float64]
Scheme = Literal["euler", "rk2", "rk4"]

COURANT = 0.5
"""Cells of the velocity that a point may cross within a step, if nothing else is asked [1]."""
_MOST_STEPS = 100_000


class AdvectionError(ValueError):
    """Ways that cannot be traced, or maps that cannot be carried."""


class Departures(NamedTuple):
    """Where the ice that is in the cells of a grid at a later time was at an earlier one.

    Attributes
    ----------
    x, y : ndarray, shape (y, x)
        Places in EPSG:3031 [m], NaN where not known.
    """

    x: FLOAT
    y: FLOAT


def trace(
    field: FlowField,
    x: FLOAT,
    y: FLOAT,
    *,
    start: float,
    end: float,
    scheme: Scheme = "rk4",
    courant: float = COURANT,
    steps: int | None = None,
) -> tuple[FLOAT, FLOAT]:
    """Return where points are at another time, later or earlier.

    ::

        euler  x ← x + h v(x, t)                              (equation 13 with one step)
        rk2    x ← x + h v(x + h/2 v(x, t), t + h/2)          (midpoint)
        rk4    x ← x + h/6 (v₁ + 2 v₂ + 2 v₃ + v₄)            (classical)

    Steps end at the times of the field, between which it is linear in time, and cross
    `courant` cells of it at most where it is fastest.

    Parameters
    ----------
    field : FlowField
        Velocity on the map.
    x, y : ndarray, shape (...)
        Points in EPSG:3031 at `start` [m].
    start, end : float
        Times [decimal year]; an earlier `end` traces backward.
    scheme : {"euler", "rk2", "rk4"}
        Of order 1, 2 and 4 where the velocity is smooth; 1 for "euler".
    courant : float
        Cells of the velocity per step, positive [1].
    steps : int, optional
        Equal steps between two times of the field, instead of those by `courant`.

    Returns
    -------
    x, y : ndarray, shape (...)
        Points at `end` [m], NaN where the way leaves the known velocity. Points in ice at rest
        are returned as they are, to the bit.

    Raises
    ------
    AdvectionError
        Shapes that differ, times that are none, choices out of range, a speed that asks for more
        than 100 000 steps.
    """
    _require_ways(x, y, (start, end), scheme=scheme, courant=courant, steps=steps)
    at = np.stack([np.ravel(x), np.ravel(y)]).astype(np.float64)
    for time, step in _steps(field, start, end, courant=courant, steps=steps):
        at = at + step * _mean_velocity(field, at, time, step, scheme)
    return at[0].reshape(np.shape(x)), at[1].reshape(np.shape(y))


def departures(
    field: FlowField,
    x: FLOAT,
    y: FLOAT,
    *,
    earlier: float,
    later: float,
    scheme: Scheme = "rk4",
    courant: float = COURANT,
) -> Departures:
    """Trace the cells of a grid, or of a block of it, back to the time of the earlier map.

    Parameters
    ----------
    field : FlowField
        Velocity on the map.
    x, y : ndarray, shape (x,), (y,)
        Cell centres of the later map in EPSG:3031 [m].
    earlier, later : float
        Times of the maps [decimal year].
    scheme, courant
        As for :func:`trace`.

    Returns
    -------
    Departures
        Places at the earlier time, each of shape (y, x).

    Raises
    ------
    AdvectionError
        As from :func:`trace`.
    """
    return Departures(
        *trace(field, *np.meshgrid(x, y), start=later, end=earlier, scheme=scheme, courant=courant)
    )


def refined(coarse: Departures, x: FLOAT, y: FLOAT, *, to_x: FLOAT, to_y: FLOAT) -> Departures:
    """Return the departures of finer cells: the way that ice goes varies far less than damage.

    The displacement is bilinear between the coarse centres, so ice at rest stays in place to the
    bit.

    Parameters
    ----------
    coarse : Departures
        Places, shape (y, x) [m].
    x, y : ndarray, shape (x,), (y,)
        Centres of the coarse cells [m], ascending or descending.
    to_x, to_y : ndarray, shape (fine x,), (fine y,)
        Centres of the fine cells [m].

    Returns
    -------
    Departures
        Places, shape (fine y, fine x) [m]; NaN beyond the outermost coarse centres, and beside a
        coarse cell without departure.

    Raises
    ------
    AdvectionError
        Axes that do not fit the departures or do not run one way.
    """
    rest_x, rest_y = np.meshgrid(x, y)
    _require_axes(coarse.x.shape, x, y)
    moved = [at - rest for at, rest in zip(coarse, (rest_x, rest_y), strict=True)]
    between = [_along(_along(each, y, to_y, axis=0), x, to_x, axis=1) for each in moved]
    return Departures(*(a + b for a, b in zip(np.meshgrid(to_x, to_y), between, strict=True)))


def advected(
    density: FLOAT, x: FLOAT, y: FLOAT, origin: Departures, *, least_known: float = 0.5
) -> FLOAT:
    """Return an earlier map of density as the flow has carried it.

    Bilinear between cell centres. That smooths a map by up to a cell, and a smooth map agrees
    better with any other; to carry a fine map with :func:`advected_labels` and count its density
    afterwards avoids it.

    Parameters
    ----------
    density : ndarray, shape (..., y, x)
        Density of the earlier map [1], NaN where not known.
    x, y : ndarray, shape (x,), (y,)
        Its cell centres [m].
    origin : Departures
        Departures of the cells of the later map, shape (rows, columns).
    least_known : float
        Weight of known cells around a departure that makes a value [1].

    Returns
    -------
    ndarray, shape (..., rows, columns)
        Density [1]; NaN outside the advected footprint.

    Raises
    ------
    AdvectionError
        Axes that do not fit the map.
    """
    _require_axes(density.shape[-2:], x, y)
    around = bilinear.stencil(x, y, origin.x.ravel(), origin.y.ravel())
    found = bilinear.interpolate(
        density[..., around.rows, around.columns], around.weights, least=least_known
    )
    return found.reshape(density.shape[:-2] + origin.x.shape)


def advected_labels(
    labels: NDArray[Any], x: FLOAT, y: FLOAT, origin: Departures, *, unknown: int = 255
) -> NDArray[Any]:
    """Return an earlier map of classes as the flow has carried it: the nearest pixel's.

    Parameters
    ----------
    labels : ndarray, shape (..., y, x)
        Classes of the earlier map.
    x, y : ndarray, shape (x,), (y,)
        Its pixel centres, evenly spaced [m].
    origin : Departures
        Departures of the pixels of the later map, shape (rows, columns).
    unknown : int
        Class outside the advected footprint.

    Returns
    -------
    ndarray, shape (..., rows, columns)
        Classes, of the same type.

    Raises
    ------
    AdvectionError
        Axes that do not fit the map or are not evenly spaced.
    """
    _require_axes(labels.shape[-2:], x, y)
    places = [_nearest(axis, at) for axis, at in ((y, origin.y), (x, origin.x))]
    inside = (places[0] >= 0) & (places[1] >= 0)
    made = np.full(labels.shape[:-2] + inside.shape, unknown, labels.dtype)
    made[..., inside] = labels[..., places[0][inside], places[1][inside]]
    return made


def source_window(origin: Departures, x: FLOAT, y: FLOAT) -> tuple[slice, slice]:
    """Return the part of the earlier map that a block of departures needs.

    A block carried from less than that would lose what lies beyond as if it were unknown.

    Parameters
    ----------
    origin : Departures
        Departures of the cells of a block.
    x, y : ndarray, shape (x,), (y,)
        Cell centres of the whole earlier map, evenly spaced [m].

    Returns
    -------
    rows, columns : slice
        Of the earlier map, one cell wider than the departures on every side, within the map and
        at least two cells long; the first two cells if no departure is in it.

    Raises
    ------
    AdvectionError
        Axes that are not evenly spaced.

    Examples
    --------
    >>> axis = np.arange(10.0)
    >>> source_window(Departures(np.array([[4.2]]), np.array([[8.0]])), axis, axis[::-1])
    (slice(0, 3, None), slice(3, 7, None))
    """
    inside = (_nearest(x, origin.x) >= 0) & (_nearest(y, origin.y) >= 0)
    if not inside.any():
        return slice(0, 2), slice(0, 2)
    slices = []
    for axis, at in ((y, origin.y[inside]), (x, origin.x[inside])):
        step = (axis[-1] - axis[0]) / (len(axis) - 1)
        place = (at - axis[0]) / step
        first = max(0, math.floor(place.min()) - 1)
        slices.append(slice(min(first, len(axis) - 2), min(len(axis), math.ceil(place.max()) + 2)))
    return slices[0], slices[1]


def _steps(
    field: FlowField, start: float, end: float, *, courant: float, steps: int | None
) -> Iterator[tuple[float, float]]:
    """Yield the time at which each step starts and its signed length [yr]."""
    inside = field.times[(field.times > min(start, end)) & (field.times < max(start, end))]
    ends = [start, *(inside if end > start else inside[::-1]), end]
    per_year = field.fastest / (courant * field.spacing)
    if steps is None and abs(end - start) * per_year > _MOST_STEPS:
        msg = (
            f"found a speed of {field.fastest:g} m/yr on cells of {field.spacing:g} m, which needs "
            f"more than {_MOST_STEPS} steps; mask blunders of the velocity"
        )
        raise AdvectionError(msg)
    for first, last in itertools.pairwise(ends):
        count = steps or max(1, math.ceil(abs(last - first) * per_year))
        step = float(last - first) / count
        yield from ((float(first) + i * step, step) for i in range(count if step else 0))


def _mean_velocity(field: FlowField, at: FLOAT, time: float, step: float, scheme: Scheme) -> FLOAT:
    """Return the velocity that carries points through one step, shape (2, n) [m yr⁻¹]."""

    def v(place: FLOAT, part: float) -> FLOAT:
        return np.stack(velocity_at(field, place[0], place[1], time=time + part * step))

    v_1 = v(at, 0.0)
    if scheme == "euler":
        return v_1
    v_2 = v(at + step / 2.0 * v_1, 0.5)
    if scheme == "rk2":
        return v_2
    v_3 = v(at + step / 2.0 * v_2, 0.5)
    v_4 = v(at + step * v_3, 1.0)
    return (v_1 + 2.0 * v_2 + 2.0 * v_3 + v_4) / 6.0


def _along(values: FLOAT, nodes: FLOAT, to: FLOAT, *, axis: int) -> FLOAT:
    """Return values linear between nodes of one axis; a node of no weight is not read."""
    order = np.argsort(nodes)
    ascending = nodes[order]
    after = np.clip(np.searchsorted(ascending, to), 1, len(nodes) - 1)
    part = (to - ascending[after - 1]) / (ascending[after] - ascending[after - 1])
    low = order[np.where(part == 1.0, after, after - 1)]
    high = order[np.where(part == 0.0, after - 1, after)]
    part = np.where((part < 0.0) | (part > 1.0), np.nan, part)
    part = part[:, None] if axis == 0 else part[None, :]
    before, behind = np.take(values, low, axis), np.take(values, high, axis)
    # a + t (b − a) is a for a = b, to the bit, which (1 − t) a + t b is not.
    return np.asarray(before + part * (behind - before))


def _nearest(axis: FLOAT, at: FLOAT) -> NDArray[np.intp]:
    """Return the pixel that each place lies in, −1 for none."""
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    if not np.allclose(np.diff(axis), step, rtol=1e-6):
        found = np.abs(np.diff(axis))
        msg = f"found pixels of {found.min():g} to {found.max():g} m, expected evenly spaced ones"
        raise AdvectionError(msg)
    place = np.floor((at - axis[0]) / step + 0.5)
    return np.where((place >= 0) & (place < len(axis)), place, -1).astype(np.intp)


def _require_axes(shape: tuple[int, ...], x: FLOAT, y: FLOAT) -> None:
    if shape != (len(y), len(x)) or min(shape) < 2:
        msg = (
            f"found a map of {shape} with {len(y)} rows and {len(x)} columns of cell centres, "
            "expected the same, two of each at least"
        )
        raise AdvectionError(msg)
    for name, axis in (("x", x), ("y", y)):
        steps = np.diff(axis)
        if not (np.all(steps > 0.0) or np.all(steps < 0.0)):
            msg = f"{name} does not run one way, expected cell centres in order"
            raise AdvectionError(msg)


def _require_ways(
    x: FLOAT,
    y: FLOAT,
    times: tuple[float, float],
    *,
    scheme: str,
    courant: float,
    steps: int | None,
) -> None:
    if np.shape(x) != np.shape(y):
        msg = f"found points x {np.shape(x)} and y {np.shape(y)}, expected the same shape"
        raise AdvectionError(msg)
    if not np.all(np.isfinite(times)):
        msg = f"found times {times[0]} and {times[1]}, expected two decimal years"
        raise AdvectionError(msg)
    known = scheme in get_args(Scheme)
    if not (known and 0.0 < courant < np.inf and (steps is None or steps >= 1)):
        msg = (
            f"found the scheme {scheme!r}, {courant:g} cells a step and {steps} steps, expected "
            f"one of {', '.join(get_args(Scheme))}, a positive number of cells and 1 step or more"
        )
        raise AdvectionError(msg)
