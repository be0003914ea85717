"""Values of a grid at the nodes of gates, by weights that know missing values.

A node lies between four cell centres. With t and s its distances from the lower row and column, as
parts of the spacing,

::

    f = (1 − t)(1 − s) f₀₀ + (1 − t) s f₀₁ + t (1 − s) f₁₀ + t s f₁₁

The weights depend on the node alone, so they are found once for all variables and years. Corners
are in the order of their coordinates, not of their indices: a flipped grid gives the same bits.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
Method = Literal["bilinear", "nearest"]
Missing = Literal["renormalise", "propagate"]
Outside = Literal["flag", "refuse"]

_BLOCK = 2**18
"""Values that are gathered at once: they stay in the processor's cache."""
_ROUNDING = 1e-12
"""What weights that sum to `least` may lack by rounding."""


class GridError(ValueError):
    """Axes that are none, nodes outside them, or arrays that do not fit them."""


@dataclass(frozen=True)
class Stencil:
    """The four cells around each node.

    Attributes
    ----------
    rows, columns : ndarray of int, shape (n, 4)
        Indices of the cells on the axes y and x. A corner without weight is given as the cell of
        the greatest one, so that no cell is read for nothing.
    weights : ndarray, shape (n, 4)
        They sum to 1; NaN for a node outside the grid.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    weights: FLOAT

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Which nodes the grid does not reach, shape (n,)."""
        return np.isnan(self.weights[:, 0])


def stencil(
    x_axis: FLOAT,
    y_axis: FLOAT,
    x: FLOAT,
    y: FLOAT,
    *,
    method: Method = "bilinear",
    outside: Outside = "flag",
) -> Stencil:
    """Return the cells and weights that give the value at each node.

    Parameters
    ----------
    x_axis, y_axis : ndarray, shape (n_x,), (n_y,)
        Cell centres [m], ascending or descending, evenly spaced or not.
    x, y : ndarray, shape (n,)
        Nodes [m].
    method : {"bilinear", "nearest"}
        ``nearest`` takes the cell that the node lies in, on an edge the one of lower coordinate.
    outside : {"flag", "refuse"}
        What becomes of a node that lies beyond the outermost centres (``nearest``: half a cell
        beyond), or nowhere (NaN): NaN weights, or an error.

    Raises
    ------
    GridError
        If an axis does not run one way, or nodes are outside and that is refused.

    Examples
    --------
    >>> axis = np.array([0.0, 1.0])
    >>> found = stencil(axis, axis[::-1], np.array([0.25]), np.array([1.0]))
    >>> found.rows.tolist(), found.columns.tolist(), found.weights.tolist()
    ([[0, 0, 0, 0]], [[0, 0, 0, 1]], [[0.0, 0.0, 0.75, 0.25]])
    """
    _require(method, Method, "method")
    _require(outside, Outside, "way with nodes outside")
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        msg = f"found nodes x of shape {x.shape} and y of shape {y.shape}, expected (n,) for both"
        raise GridError(msg)
    low_row, high_row, t = _between(np.asarray(y_axis, dtype=np.float64), y, "y", method)
    low_column, high_column, s = _between(np.asarray(x_axis, dtype=np.float64), x, "x", method)
    rows = np.stack([low_row, low_row, high_row, high_row], axis=1)
    columns = np.stack([low_column, high_column, low_column, high_column], axis=1)
    weights = np.stack([(1 - t) * (1 - s), (1 - t) * s, t * (1 - s), t * s], axis=1)
    weights[np.isnan(weights).any(axis=1)] = np.nan
    if outside == "refuse":
        _refuse_outside(np.isnan(weights[:, 0]), x, y, x_axis, y_axis)
    idle = weights == 0.0
    main = weights.argmax(axis=1)[:, None]
    rows = np.where(idle, np.take_along_axis(rows, main, axis=1), rows)
    columns = np.where(idle, np.take_along_axis(columns, main, axis=1), columns)
    return Stencil(rows, columns, weights)


def interpolate(
    values: NDArray[np.floating],
    weights: FLOAT,
    *,
    missing: Missing = "renormalise",
    least: float = 0.5,
) -> FLOAT:
    """Return the weighted mean of each node's four corners.

    Parameters
    ----------
    values : ndarray, shape (..., n, 4)
        Values at the corners, ``grid[..., stencil.rows, stencil.columns]``; NaN is not measured.
    weights : ndarray, shape (n, 4)
        Of :func:`stencil`.
    missing : {"renormalise", "propagate"}
        What a missing corner of non-zero weight does: the mean is of the measured corners where
        these weigh at least `least`, or the node is missing.
    least : float
        Smallest weight of measured corners, of 1, that makes a mean.

    Returns
    -------
    ndarray, shape (..., n)
        float64, in the unit of `values`; NaN where not measured and outside the grid.

    Examples
    --------
    >>> corners = np.array([[1.0, 3.0, np.nan, np.nan]])
    >>> interpolate(corners, np.array([[0.4, 0.4, 0.1, 0.1]])).tolist()
    [2.0]
    """
    _require(missing, Missing, "policy for missing values")
    if values.shape[-2:] != weights.shape or weights.shape[-1:] != (4,):
        msg = (
            f"found values {values.shape} and weights {weights.shape}, expected (..., n, 4), (n, 4)"
        )
        raise GridError(msg)
    result = values[..., 0] * weights[:, 0]
    for k in (1, 2, 3):
        result += values[..., k] * weights[:, k]
    lost = np.nonzero(np.isnan(result) & _may_be_mended(weights, missing))
    if lost[-1].size:
        result[lost] = _mean_of_measured(values[lost], weights[lost[-1]], missing, least)
    return np.asarray(result, dtype=np.float64)


def at_nodes(
    cells: NDArray[np.floating],
    corners: NDArray[np.integer],
    weights: FLOAT,
    *,
    missing: Missing = "renormalise",
    least: float = 0.5,
) -> FLOAT:
    """Return :func:`interpolate` of a table of cells, bit for bit, without all corners in memory.

    Parameters
    ----------
    cells : ndarray, shape (c, ...)
        Values of the cells that nodes touch. The years of a cell lie together in memory, so a node
        costs four short runs: twice as fast as the sparse matrix of the weights.
    corners : ndarray of int, shape (n, 4)
        Which cell each corner is; of no meaning where weights are NaN.
    weights, missing, least
        As of :func:`interpolate`.

    Returns
    -------
    ndarray, shape (..., n)
        float64.
    """
    _require(missing, Missing, "policy for missing values")
    table = cells.reshape(len(cells), int(np.prod(cells.shape[1:])))
    result = np.full((table.shape[1], len(weights)), np.nan)
    inside = np.flatnonzero(~np.isnan(weights[:, 0]))
    step = max(1, _BLOCK // max(1, table.shape[1]))
    for start in range(0, inside.size, step):
        nodes = _as_slice(inside[start : start + step])
        w, c = weights[nodes], corners[nodes]
        total = table[c[:, 0]] * w[:, 0, None]
        for k in (1, 2, 3):
            total += table[c[:, k]] * w[:, k, None]
        node, column = np.nonzero(np.isnan(total) & _may_be_mended(w, missing)[:, None])
        if node.size:
            values = table[c[node], column[:, None]]
            total[node, column] = _mean_of_measured(values, w[node], missing, least)
        result[:, nodes] = total.T
    return result.reshape(*cells.shape[1:], len(weights))


def _as_slice(indices: NDArray[np.intp]) -> "slice | NDArray[np.intp]":
    """Return a run of indices as a slice: it costs no copy."""
    first, last = int(indices[0]), int(indices[-1]) + 1
    return slice(first, last) if last - first == indices.size else indices


def _may_be_mended(weights: FLOAT, missing: Missing) -> NDArray[np.bool_]:
    """Return at which nodes a sum with missing corners may have a mean, shape (n,).

    Where gaps propagate, only where a corner has no weight; outside the grid, nowhere.
    """
    if missing == "propagate":
        return np.asarray((weights == 0.0).any(axis=1))
    return np.asarray(~np.isnan(weights[:, 0]))


def _mean_of_measured(
    values: NDArray[np.floating], weights: FLOAT, missing: Missing, least: float
) -> FLOAT:
    """Return the mean of corners of which some are NaN, shape (k, 4) to (k,)."""
    measured = ~np.isnan(values)
    total = np.where(measured, values * weights, 0.0).sum(axis=-1)
    lacks = (~measured & (weights > 0.0)).any(axis=-1)
    if missing == "propagate":
        return np.asarray(np.where(lacks, np.nan, total))
    weight = np.where(measured, weights, 0.0).sum(axis=-1)
    enough = (weight >= least - _ROUNDING) & (weight > 0.0)
    mean = np.divide(total, weight, out=np.full(total.shape, np.nan), where=enough)
    return np.asarray(np.where(lacks, mean, total))


def _between(
    axis: FLOAT, at: FLOAT, name: str, method: Method
) -> tuple[NDArray[np.intp], NDArray[np.intp], FLOAT]:
    """Return the indices of the lower and higher centre, and the way between them in [0, 1]."""
    _check_axis(axis, name)
    descends = axis[-1] < axis[0]
    rising = axis[::-1] if descends else axis
    low = np.clip(np.searchsorted(rising, at, side="right") - 1, 0, rising.size - 2)
    way = (at - rising[low]) / (rising[low + 1] - rising[low])
    beyond = 0.0 if method == "bilinear" else 0.5
    way[~((way >= -beyond) & (way <= 1.0 + beyond))] = np.nan
    if method == "nearest":
        way = np.where(np.isnan(way), np.nan, way > 0.5)
    if descends:
        return axis.size - 1 - low, axis.size - 2 - low, way
    return low, low + 1, way


def _check_axis(axis: FLOAT, name: str) -> None:
    if axis.ndim != 1 or axis.size < 2:
        msg = f"the axis {name} has shape {axis.shape}, expected at least two cell centres"
        raise GridError(msg)
    steps = np.diff(axis)
    if not ((steps > 0.0).all() or (steps < 0.0).all()):
        wrong = int(np.flatnonzero(~(np.sign(steps) == np.sign(steps[0])))[:1].sum())
        msg = (
            f"the axis {name} turns or stands still between cells {wrong} and {wrong + 1} "
            f"({axis[wrong]:g} and {axis[wrong + 1]:g} m); sort the grid along {name}"
        )
        raise GridError(msg)


def _refuse_outside(
    outside: NDArray[np.bool_], x: FLOAT, y: FLOAT, x_axis: FLOAT, y_axis: FLOAT
) -> None:
    if not outside.any():
        return
    first = int(np.flatnonzero(outside)[0])
    bounds = (
        f"x {np.min(x_axis):.0f} to {np.max(x_axis):.0f} m, "
        f"y {np.min(y_axis):.0f} to {np.max(y_axis):.0f} m"
    )
    msg = (
        f"{int(outside.sum())} of {outside.size} nodes lie outside the grid ({bounds}), the first "
        f"at x {x[first]:.0f}, y {y[first]:.0f} m; clip the gate, use a grid that holds it, or "
        "ask for such nodes as missing"
    )
    raise GridError(msg)


def _require(found: str, choices: object, name: str) -> None:
    expected = get_args(choices)
    if found not in expected:
        msg = f"found {name} {found!r}, expected one of {', '.join(expected)}"
        raise GridError(msg)
