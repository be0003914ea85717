"""A fine raster of rates onto a coarser grid, by inverse-distance weighting within a radius.

Sasgen et al. (2019), appendix A: rates in 2 km pixels are interpolated "using inverse distance
weighting with a radius of 25 km" onto a grid of 5 km.
"""

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]


class GriddingError(ValueError):
    """A raster or a radius that cannot be gridded."""


def inverse_distance(
    x: FLOAT,
    y: FLOAT,
    rates: FLOAT,
    to_x: FLOAT,
    to_y: FLOAT,
    *,
    radius: float,
    power: float = 2.0,
) -> FLOAT:
    """Interpolate a raster with gaps onto the nodes of a grid.

    ::

        f(x) = Σ_i f_i d_i^−p / Σ_i d_i^−p        over pixels with d_i ≤ R

    Runs over the offsets between node and pixel, a few hundred, each for all nodes at once, so
    memory is a few grids whatever the radius is.

    Parameters
    ----------
    x, y : ndarray, shapes (n,) and (m,)
        Centres of the pixels, equally spaced [m].
    rates : ndarray, shape (m, n)
        Values; missing is NaN.
    to_x, to_y : ndarray, shapes (u,) and (v,)
        Nodes wanted [m].
    radius : float
        R [m].
    power : float
        p.

    Returns
    -------
    ndarray, shape (v, u)
        NaN where no measured pixel lies within the radius; the pixel's own value at its centre.

    Raises
    ------
    GriddingError
        Axes that are not equally spaced, or a radius that is not positive.
    """
    steps = [_spacing(axis, name) for axis, name in ((x, "x"), (y, "y"))]
    if not (radius > 0.0 and rates.shape == (y.size, x.size)):
        msg = (
            f"found rates {rates.shape} and a radius of {radius:g} m; expected shape "
            f"{(y.size, x.size)} and a positive radius"
        )
        raise GriddingError(msg)
    column = np.rint((to_x - x[0]) / steps[0]).astype(np.int64)
    row = np.rint((to_y - y[0]) / steps[1]).astype(np.int64)
    away_x, away_y = to_x - (x[0] + column * steps[0]), to_y - (y[0] + row * steps[1])
    known = np.isfinite(rates)
    values = np.where(known, rates, 0.0)
    total, weight = np.zeros((2, to_y.size, to_x.size))
    reach = [int(radius / abs(step)) + 1 for step in steps]
    for down in range(-reach[1], reach[1] + 1):
        for across in range(-reach[0], reach[0] + 1):
            distance2 = np.square(away_x - across * steps[0]) + np.square(
                away_y - down * steps[1]
            ).reshape(-1, 1)
            near = _weights(distance2, radius, power)
            place = np.ix_(
                np.clip(row + down, 0, y.size - 1), np.clip(column + across, 0, x.size - 1)
            )
            inside = _within(row + down, y.size)[:, None] & _within(column + across, x.size)
            near = np.where(inside & known[place], near, 0.0)
            total += near * values[place]
            weight += near
    nowhere = np.full(total.shape, np.nan)
    return np.asarray(np.divide(total, weight, out=nowhere, where=weight > 0.0))


def _weights(distance2: FLOAT, radius: float, power: float) -> FLOAT:
    """Return d^−p within the radius, zero beyond; a node on a pixel takes its value alone."""
    at_centre = 1e-6 * radius
    return np.where(
        distance2 <= radius**2, np.maximum(distance2, at_centre**2) ** (-power / 2.0), 0.0
    )


def _within(index: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    return (index >= 0) & (index < size)


def _spacing(axis: FLOAT, name: str) -> float:
    steps = np.diff(axis)
    if not steps.size or steps[0] == 0.0 or np.ptp(steps) > 1e-6 * abs(steps[0]):
        msg = f"{name} has {axis.size} centres that are not equally spaced; give a regular raster"
        raise GriddingError(msg)
    return float(steps[0])
