"""A fine raster of rates onto a coarser grid, by inverse-distance weighting within a radius.

Sasgen et al. (2019), appendix A: rates in 2 km pixels are interpolated "using inverse distance
weighting with a radius of 25 km" onto a grid of 5 km.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]
BOOL = NDArray[np.bool_]

SAME_PLACE = 1e-9
"""Part of a pixel within which a node lies on its centre."""


class GriddingError(ValueError):
    """A raster or a radius that cannot be gridded."""


def inverse_distance(
    x: FLOAT,
    y: FLOAT,
    rates: FLOAT,
    to_x: FLOAT,
    to_y: FLOAT,
    sigma: FLOAT | None = None,
    *,
    radius: float,
    power: float = 2.0,
) -> FLOAT:
    """Interpolate a raster with gaps onto the nodes of a grid.

    ::

        f(x) = Σ_i w_i f_i / Σ_i w_i,    w_i = d_i^−p, or d_i^−p σ_i^−2,    over pixels with d_i ≤ R

    Nodes of a regular grid lie in few ways between pixels (2 × 2 ways for 5 km and 2 km). For
    all nodes of one way and for each row of pixels below or above them, the sum along the row is
    one product with a banded matrix, so memory is a few rasters whatever the radius is.

    Parameters
    ----------
    x, y : ndarray, shapes (n,) and (m,)
        Centres of the pixels, equally spaced [m].
    rates : ndarray, shape (m, n)
        Values; missing is NaN.
    to_x, to_y : ndarray, shapes (u,) and (v,)
        Nodes wanted [m].
    sigma : ndarray, shape (m, n), optional
        Standard errors of the values, to weigh them by; a pixel where it is NaN counts as missing.
    radius : float
        R [m].
    power : float
        p.

    Returns
    -------
    ndarray, shape (v, u)
        NaN where no measured pixel lies within the radius; at the centre of a measured pixel,
        its own value.

    Raises
    ------
    GriddingError
        Axes that are not equally spaced, shapes that differ, a radius or power that is not
        positive, or standard errors that are not.

    Notes
    -----
    The weights of the paper are those of distance alone, the default.
    """
    steps = _spacing(x, "x"), _spacing(y, "y")
    _check(x, y, rates, sigma, radius, power)
    across, down = _Nodes.between(x, steps[0], to_x), _Nodes.between(y, steps[1], to_y)
    weight = np.isfinite(rates) * (1.0 if sigma is None else np.nan_to_num(sigma**-2.0))
    value = np.where(weight > 0.0, rates, 0.0)
    sums = np.zeros((2, to_y.size, to_x.size))
    for way in np.unique(down.away):
        nodes = np.flatnonzero(down.away == way)
        reach = int(radius / abs(steps[1])) + 1
        for offset in range(-reach, reach + 1):
            row = down.pixel[nodes] + offset
            here = (row >= 0) & (row < y.size)
            band = _band(across, steps, way - offset * steps[1], x.size, radius, power)
            if here.any() and band.nnz:
                of_row = weight[row[here]]
                sums[0, nodes[here]] += (band @ (of_row * value[row[here]]).T).T
                sums[1, nodes[here]] += (band @ of_row.T).T
    nowhere = np.full(sums[0].shape, np.nan)
    found = np.divide(sums[0], sums[1], out=nowhere, where=sums[1] > 0.0)
    return _own_values(found, value, weight > 0.0, across, down)


class _Nodes(NamedTuple):
    """Along one axis: the pixel nearest to each node, and how far the node is from it [m]."""

    pixel: INT
    away: FLOAT

    @classmethod
    def between(cls, centres: FLOAT, step: float, to: FLOAT) -> "_Nodes":
        place = (to - centres[0]) / step
        pixel = np.rint(place)
        # Rounded, so that nodes that lie alike are found to do so.
        return cls(pixel.astype(np.int64), np.round(place - pixel, 9) * step)


def _band(
    across: _Nodes,
    steps: tuple[float, float],
    apart: float,
    pixels: int,
    radius: float,
    power: float,
) -> sparse.csr_array:
    """Return d^−p between nodes and pixels of rows that are ``apart``, shape (u, n).

    A pixel on a node has no weight here: the node takes its value alone.
    """
    half = np.sqrt(max(radius**2 - apart**2, 0.0))
    reach = int(half / abs(steps[0])) + 1
    column = across.pixel[:, None] + np.arange(-reach, reach + 1)
    distance = np.hypot(across.away[:, None] - np.arange(-reach, reach + 1) * steps[0], apart)
    on_node = distance <= SAME_PLACE * abs(steps[0])
    near = (distance <= radius) & (column >= 0) & (column < pixels) & ~on_node
    end = np.concatenate([[0], np.cumsum(near.sum(axis=1))])
    return sparse.csr_array(
        (distance[near] ** -power, column[near], end), shape=(len(column), pixels)
    )


def _own_values(found: FLOAT, value: FLOAT, known: BOOL, across: _Nodes, down: _Nodes) -> FLOAT:
    """Return the grid with the pixel's own value wherever a node lies on a measured pixel."""
    row, column = (
        np.flatnonzero((nodes.away == 0.0) & (nodes.pixel >= 0) & (nodes.pixel < size))
        for nodes, size in zip((down, across), value.shape, strict=True)
    )
    pixel = np.ix_(down.pixel[row], across.pixel[column])
    node = np.ix_(row, column)
    found[node] = np.where(known[pixel], value[pixel], found[node])
    return found


def _check(
    x: FLOAT, y: FLOAT, rates: FLOAT, sigma: FLOAT | None, radius: float, power: float
) -> None:
    shapes = {np.shape(each) for each in (rates, sigma) if each is not None}
    if not (radius > 0.0 and power > 0.0 and shapes == {(y.size, x.size)}):
        msg = (
            f"found shapes {sorted(shapes)}, a radius of {radius:g} m and a power of {power:g}; "
            f"expected shape {(y.size, x.size)}, a positive radius and a positive power"
        )
        raise GriddingError(msg)
    if sigma is not None and (np.isinf(sigma) | (sigma <= 0.0)).any():
        bad = int((np.isinf(sigma) | (sigma <= 0.0)).sum())
        msg = (
            f"{bad} standard errors are zero, negative or infinite, which would give one pixel all "
            "the weight or none; expected positive ones, NaN where the pixel is not to be used"
        )
        raise GriddingError(msg)


def _spacing(axis: FLOAT, name: str) -> float:
    steps = np.diff(axis)
    if not steps.size or steps[0] == 0.0 or np.ptp(steps) > 1e-6 * abs(steps[0]):
        msg = f"{name} has {axis.size} centres that are not equally spaced; give a regular raster"
        raise GriddingError(msg)
    return float(steps[0])
