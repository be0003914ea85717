"""Which share of every square of a grid lies within a polygon, exactly and for all rows at once.

The share of a square is a line integral along the polygon's rim, as in the scan conversion of
outlines. In units of squares, u along columns and v along rows, a piece of the rim within one
square changes the share of that square by Δv (1 − ū), with ū its mean distance from the square's
left side, and that of all squares to the right of it by Δv. So a sum along each row ends it. The
work grows with the rim, not with the area.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse
import shapely
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

NEGLIGIBLE = 1e-9
"""Share of a square below which an overlap is rounding: a square of 27 km has 0.7 m² of it."""


class _Window(NamedTuple):
    """Rows and columns of the grid that a polygon may touch, ends exclusive."""

    row: int
    row_end: int
    column: int
    column_end: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.row_end - self.row, self.column_end - self.column


def coverage(u: FLOAT, v: FLOAT, ring: INT, shape: tuple[int, int]) -> scipy.sparse.coo_array:
    """Return the share of every square within a polygon.

    Parameters
    ----------
    u, v : ndarray, shape (n,)
        Vertices of all rings, closed, in units of squares from the outer corner of the first;
        rims turn one way and holes the other, see :func:`outline`.
    ring : ndarray, shape (n,)
        Ring of each vertex.
    shape : tuple of int
        Rows and columns of the grid.

    Returns
    -------
    coo_array, shape (rows, columns)
        Shares between 0 and 1 [1]; squares outside are left out.
    """
    window = _window(u, v, shape)
    if 0 in window.shape:
        return scipy.sparse.coo_array(shape, dtype=np.float64)
    edges = np.flatnonzero(ring[:-1] == ring[1:])
    u, v = u - window.column, v - window.row
    piece_u, piece_v = _pieces(u[edges], v[edges], u[edges + 1], v[edges + 1])
    share = np.abs(_accumulated(piece_u, piece_v, window.shape))
    share[share > 1.0 - NEGLIGIBLE] = 1.0
    row, column = np.nonzero(share > NEGLIGIBLE)
    place = (row + window.row, column + window.column)
    return scipy.sparse.coo_array((share[row, column], place), shape=shape)


def outline(polygon: shapely.Geometry) -> tuple[FLOAT, FLOAT, INT]:
    """Return x, y [m] and ring of the vertices of a polygon; rims and holes turn opposite ways."""
    # Rings are given of polygons only, not of collections of them.
    rings = shapely.get_rings(shapely.orient_polygons(shapely.get_parts(polygon)))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    return points[:, 0], points[:, 1], np.asarray(ring, dtype=np.int64)


def _window(u: FLOAT, v: FLOAT, shape: tuple[int, int]) -> _Window:
    low_u, low_v = (max(int(np.floor(each.min())), 0) for each in (u, v))
    high_u, high_v = (
        min(int(np.ceil(each.max())), size)
        for each, size in ((u, shape[1]), (v, shape[0]))
    )  # fmt: skip
    return _Window(low_v, max(high_v, low_v), low_u, max(high_u, low_u))


def _pieces(u0: FLOAT, v0: FLOAT, u1: FLOAT, v1: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Break edges where they cross sides of squares; return u and v of ends, shape (2, pieces)."""
    ends = np.arange(u0.size)
    found = [(ends, np.zeros(u0.size)), (ends, np.ones(u0.size))]
    found += [_crossings(u0, u1), _crossings(v0, v1)]
    edge = np.concatenate([each[0] for each in found])
    t = np.concatenate([each[1] for each in found])
    order = np.lexsort((t, edge))
    edge, t = edge[order], t[order]
    first = np.flatnonzero((edge[:-1] == edge[1:]) & (t[1:] > t[:-1]))
    e, at = edge[first], np.stack([t[first], t[first + 1]])
    # Both forms are exact at their own end, so that pieces of neighbouring edges meet.
    near = at <= 0.5
    u = np.where(near, u0[e] + at * (u1 - u0)[e], u1[e] - (1.0 - at) * (u1 - u0)[e])
    v = np.where(near, v0[e] + at * (v1 - v0)[e], v1[e] - (1.0 - at) * (v1 - v0)[e])
    return u, v


def _crossings(start: FLOAT, end: FLOAT) -> tuple[INT, FLOAT]:
    """Return edges and the places along them [0 to 1] where a coordinate is a whole number."""
    low, high = np.minimum(start, end), np.maximum(start, end)
    first = np.floor(low).astype(np.int64) + 1
    count = np.maximum(np.ceil(high).astype(np.int64) - first, 0)
    edge = np.repeat(np.arange(start.size), count)
    step = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    whole = first[edge] + step
    return edge, (whole - start[edge]) / (end - start)[edge]


def _accumulated(u: FLOAT, v: FLOAT, shape: tuple[int, int]) -> FLOAT:
    """Sum what pieces add to their own square and to those on its right, shape (rows, columns)."""
    rows, columns = shape
    middle_u = u.mean(axis=0)
    row = np.floor(v.mean(axis=0)).astype(np.int64)
    column = np.floor(middle_u).astype(np.int64)
    inside = (row >= 0) & (row < rows) & (column < columns)
    row, column, middle_u = row[inside], column[inside], middle_u[inside]
    dv = (v[1] - v[0])[inside]
    # A piece to the left of the grid counts in full from the first column on.
    passed = np.where(column < 0, 0.0, middle_u - column)
    at = row * (columns + 1) + np.maximum(column, 0)
    size = rows * (columns + 1)
    change = np.bincount(at, dv * (1.0 - passed), minlength=size)
    change += np.bincount(at + 1, dv * passed, minlength=size)[:size]
    return np.asarray(np.cumsum(change.reshape(rows, columns + 1), axis=1)[:, :columns])
