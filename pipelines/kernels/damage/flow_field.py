"""The velocity that carries points over the map: where and when they are, in metres on the map.

A year's true path v is k v long on the map, with k the scale factor of EPSG:3031 (1.0205 at 65° S,
0.9802 at 80° S: 80 m in a year of 4 km yr⁻¹). Products give either, so the frame has to be said.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels import geodesy
from pipelines.kernels.budget import bilinear

FLOAT = NDArray[np.float64]
Frame = Literal["ground", "map"]


class FlowError(ValueError):
    """Velocities that carry nothing anywhere."""


@dataclass(frozen=True)
class FlowField:
    """Velocity on a grid, at one time or at several.

    Attributes
    ----------
    v_x, v_y : ndarray, shape (time, y, x)
        Velocity on the map [m yr⁻¹], NaN where not known.
    x, y : ndarray, shape (x,), (y,)
        Cell centres in EPSG:3031, ascending or descending [m].
    times : ndarray, shape (time,)
        Ascending [decimal year]; the velocity is linear between them and constant beyond.
    """

    v_x: FLOAT
    v_y: FLOAT
    x: FLOAT
    y: FLOAT
    times: FLOAT

    @property
    def fastest(self) -> float:
        """Highest speed on the map [m yr⁻¹], 0 where nothing is known."""
        speed = np.hypot(self.v_x, self.v_y)
        return float(np.max(speed, where=~np.isnan(speed), initial=0.0))

    @property
    def spacing(self) -> float:
        """Smallest distance between cell centres along an axis [m]."""
        return float(min(np.abs(np.diff(axis)).min() for axis in (self.x, self.y)))


def flow_field(
    v_x: FLOAT,
    v_y: FLOAT,
    x: FLOAT,
    y: FLOAT,
    *,
    frame: Frame,
    times: FLOAT | None = None,
) -> FlowField:
    """Return a velocity as what it does on the map.

    ::

        dx/dt = k v        frame "ground";        dx/dt = v        frame "map"

    Parameters
    ----------
    v_x, v_y : ndarray, shape (y, x) or (time, y, x)
        Velocity along the axes of EPSG:3031 [m yr⁻¹], NaN where not known.
    x, y : ndarray, shape (x,), (y,)
        Cell centres in EPSG:3031 [m].
    frame : {"ground", "map"}
        Whether the metres are true or those of the map: attribute ``velocity_frame`` of the
        velocity. A product that does not say is to be decided by the run, not here.
    times : ndarray, shape (time,), optional
        Middle of the years of the maps [decimal year]; not for a single map.

    Returns
    -------
    FlowField
        Gaps stay NaN, and a gap in one of two years is one between them: fill them before, with
        :func:`pipelines.kernels.budget.velocity.nearest_in_time`.

    Raises
    ------
    FlowError
        Shapes that do not fit, fewer than two cells along an axis, axes or times that do not run
        one way, another frame.
    """
    if frame not in get_args(Frame):
        msg = f"found velocity frame {frame!r}, expected 'ground' or 'map'; say which in the run"
        raise FlowError(msg)
    u, v = (np.asarray(each, np.float64) for each in (v_x, v_y))
    if times is None:
        u, v, times = u[None], v[None], np.zeros(1)
    _require_shapes(u, v, x, y, times)
    if frame == "ground":
        latitude, _ = geodesy.inverse_polar_stereographic(*np.meshgrid(x, y))
        k = geodesy.map_scale(latitude)
        u, v = k * u, k * v
    return FlowField(u, v, *(np.asarray(axis, np.float64) for axis in (x, y, times)))


def extended(field: FlowField, *, reach: float) -> FlowField:
    """Fill cells without velocity from the nearest that has one, as far as a front moves.

    The front of a map of velocity is that of its own year. Where a shelf has advanced beyond it,
    the newest ice, often the most damaged, would drop out of the footprint.

    Parameters
    ----------
    field : FlowField
        The velocity.
    reach : float
        Distance between cell centres to fill over, not negative [m].

    Returns
    -------
    FlowField
        Known velocities as they were; each time filled by itself.

    Raises
    ------
    FlowError
        A negative reach, or cells that are not evenly spaced.
    """
    steps = [np.diff(axis) for axis in (field.y, field.x)]
    even = all(np.allclose(step, step[0], rtol=1e-6) for step in steps)
    if not (0.0 <= reach < np.inf and even):
        msg = f"found a reach of {reach:g} m, expected 0 or more, over evenly spaced cells"
        raise FlowError(msg)
    v_x, v_y = field.v_x.copy(), field.v_y.copy()
    sampling = [abs(float(step[0])) for step in steps]
    for u, v in zip(v_x, v_y, strict=True):
        unknown = np.isnan(u) | np.isnan(v)
        if unknown.all():
            continue
        far, nearest = ndimage.distance_transform_edt(unknown, sampling, return_indices=True)
        fill = unknown & (far <= reach)
        source = tuple(index[fill] for index in nearest)
        u[fill], v[fill] = u[source], v[source]
    return replace(field, v_x=v_x, v_y=v_y)


def velocity_at(field: FlowField, x: FLOAT, y: FLOAT, *, time: float) -> tuple[FLOAT, FLOAT]:
    """Return the velocity at points, bilinear in space and linear in time.

    Parameters
    ----------
    field : FlowField
        The velocity.
    x, y : ndarray, shape (n,)
        Points [m].
    time : float
        When [decimal year].

    Returns
    -------
    v_x, v_y : ndarray, shape (n,)
        Velocity on the map [m yr⁻¹]; NaN beyond the outermost cell centres, and where less than
        half of the weight is of known cells: a measured edge reaches half a cell further.
    """
    around = bilinear.stencil(field.x, field.y, x, y)
    parts = _weights_in_time(field.times, time)
    corners = (around.rows, around.columns)
    v_x, v_y = (
        sum(part * bilinear.interpolate(v[i][corners], around.weights) for i, part in parts)
        for v in (field.v_x, field.v_y)
    )
    return np.asarray(v_x), np.asarray(v_y)


def _weights_in_time(times: FLOAT, time: float) -> list[tuple[int, float]]:
    """Return the maps around a time and their weights, without those of weight 0."""
    after = int(np.searchsorted(times, time))
    if after == 0 or after == len(times):
        return [(min(after, len(times) - 1), 1.0)]
    part = float((time - times[after - 1]) / (times[after] - times[after - 1]))
    return [(after, 1.0)] if part == 1.0 else [(after - 1, 1.0 - part), (after, part)]


def _require_shapes(v_x: FLOAT, v_y: FLOAT, x: FLOAT, y: FLOAT, times: FLOAT) -> None:
    shape = (len(times), len(y), len(x))
    if v_x.shape != shape or v_y.shape != shape or min(shape[1:]) < 2:
        msg = (
            f"found velocities {v_x.shape} and {v_y.shape} for {shape} times, rows and columns, "
            "expected these shapes and two rows and columns at least; give times for several maps"
        )
        raise FlowError(msg)
    for name, axis in (("x", x), ("y", y), ("times", times)):
        steps = np.diff(axis)
        descends = name != "times" and np.all(steps < 0.0)
        if not (np.all(np.isfinite(axis)) and (np.all(steps > 0.0) or descends)):
            order = "ascending" if name == "times" else "ascending or descending"
            msg = f"{name} does not run one way, expected it {order}; sort the maps"
            raise FlowError(msg)
