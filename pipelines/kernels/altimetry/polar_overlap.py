"""Areas that pixels of EPSG:3031 share with latitude-longitude cells, exact on the ellipsoid.

In EPSG:3031 a cell is a sector of a ring around the pole and a pixel a rectangle. With q(r) the
true area between the pole and map radius r per radian of longitude, the part of a pixel within a
ring radius r_i and a sector is, by Green's theorem, a sum over its edges::

    A = Σ_edges ∫ min(q(r), q_i) dλ,        dλ = (y dx − x dy) / r²

Edges are broken where they cross rings and rays; on each piece ∫ q dλ is the integral of q / r²,
which is all but constant, so a few Gauss points give it to the last digit. A pixel that holds the
pole, inside or on its rim, has angles that do not cancel and so fills the rings below its edges.
Nothing is approximated but the arithmetic.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from pipelines.kernels import geodesy

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

PIXELS_AT_ONCE = 20_000
"""Pixels whose edges are broken together: about 100 MB, more where many meridians cross them."""

FARTHEST_M = 6.0e6
"""Map radius to which areas are known [m], 38° S."""

_GAUSS = 4
"""Points per piece: q / r² varies by 1e-3 over a pixel of 100 km, so its 8th derivative is nil."""

_NEGLIGIBLE = 1e-12
"""Part of a pixel below which an overlap is rounding: q at 60° S is 1e5 pixels of 5 km wide."""


class OverlapError(ValueError):
    """Pixels or cells that cannot be overlaid."""


class Cells(NamedTuple):
    """Rings and sectors around the pole.

    Attributes
    ----------
    radius : ndarray, shape (n_lat + 1,)
        Map radii of the edges of the rows, increasing from 0 [m].
    n_lon : int
        Sectors of equal width, the first from longitude 0 eastward.
    """

    radius: FLOAT
    n_lon: int


@functools.cache
def _area_series() -> np.polynomial.Chebyshev:
    """Return q / r² as a series in r², from q / r² = ½ ∫₀¹ k⁻²(r √u) du."""
    node, weight = np.polynomial.legendre.leggauss(24)
    u = (node + 1.0) / 2.0

    def ratio(s: FLOAT) -> FLOAT:
        r = np.sqrt(np.outer(np.atleast_1d(s), u))
        latitude, _ = geodesy.inverse_polar_stereographic(np.zeros(r.shape), r)
        return np.asarray((weight / 4.0 / geodesy.map_scale(latitude) ** 2).sum(axis=1))

    series: np.polynomial.Chebyshev = np.polynomial.Chebyshev.interpolate(
        ratio, 28, domain=[0.0, FARTHEST_M**2]
    )
    return series


def area_per_radian(radius: FLOAT) -> FLOAT:
    """Return the true area between the pole and a map radius, per radian of longitude.

    ::

        q(r) = ∫₀^r r' / k(r')² dr'        k: scale factor of EPSG:3031

    Parameters
    ----------
    radius : ndarray, shape (...)
        Map radius [m], up to ``FARTHEST_M``.

    Returns
    -------
    ndarray, shape (...)
        q [m²], on WGS84.
    """
    squared = np.square(radius)
    return np.asarray(_area_series()(squared) * squared)


def overlaps(
    left: FLOAT, right: FLOAT, bottom: FLOAT, top: FLOAT, cells: Cells
) -> scipy.sparse.csr_array:
    """Return the true area that each rectangle shares with each cell.

    Parameters
    ----------
    left, right, bottom, top : ndarray, shape (p,)
        Sides of the rectangles in EPSG:3031 [m].
    cells : Cells
        Rings and sectors.

    Returns
    -------
    csr_array, shape (n_lat · n_lon, p)
        Areas [m²], rows of cells from the pole northward, columns from 0° eastward.

    Raises
    ------
    OverlapError
        Part of a rectangle lies beyond the outermost ring, or beyond ``FARTHEST_M``.
    """
    parts = [shared for _, shared in overlap_blocks(left, right, bottom, top, cells)]
    if not parts:
        return scipy.sparse.csr_array(((len(cells.radius) - 1) * cells.n_lon, 0))
    return scipy.sparse.csr_array(scipy.sparse.hstack(parts, format="csc"))


def overlap_blocks(
    left: FLOAT,
    right: FLOAT,
    bottom: FLOAT,
    top: FLOAT,
    cells: Cells,
    *,
    pixels_at_once: int = PIXELS_AT_ONCE,
) -> Iterator[tuple[slice, scipy.sparse.csc_array]]:
    """Yield the overlaps of some rectangles after the other, for cells too many to hold.

    Rectangles are all checked before the first is overlaid. Blocks are columns of one matrix and
    hold no more than their own overlaps, so memory is that of one block.

    Parameters
    ----------
    left, right, bottom, top, cells
        As for :func:`overlaps`.
    pixels_at_once : int
        Rectangles in a block.

    Yields
    ------
    where : slice
        Rectangles of the block.
    shared : csc_array, shape (n_lat · n_lon, block)
        Areas [m²].

    Raises
    ------
    OverlapError
        As :func:`overlaps`.
    """
    _require_inside(left, right, bottom, top, cells)
    inside = (len(cells.radius) - 1) * cells.n_lon
    for start in range(0, left.size, pixels_at_once):
        s = slice(start, min(start + pixels_at_once, left.size))
        areas = _block(left[s], right[s], bottom[s], top[s], cells)
        shared = scipy.sparse.csc_array(areas[:inside])
        total = np.asarray(areas.sum(axis=0)).ravel()
        shared.data *= np.abs(shared.data) > _NEGLIGIBLE * np.repeat(total, np.diff(shared.indptr))
        shared.eliminate_zeros()
        yield s, shared


def _block(
    left: FLOAT, right: FLOAT, bottom: FLOAT, top: FLOAT, cells: Cells
) -> scipy.sparse.csc_array:
    """Return the overlaps of some rectangles, with a last row of cells for what lies beyond."""
    corner_x = np.stack([left, left, right, right], axis=1)
    corner_y = np.stack([bottom, top, top, bottom], axis=1)
    pieces = _pieces(corner_x, corner_y, cells)
    # The rim counts: an edge through the pole has no angle, and the others do not reach down to it.
    holds_pole = (left <= 0.0) & (right >= 0.0) & (bottom <= 0.0) & (top >= 0.0)
    lowest = np.full(left.size, len(cells.radius), dtype=np.int64)
    np.minimum.at(lowest, pieces.owner, pieces.row)
    lowest[holds_pole] = 0
    return _assemble(pieces, lowest, cells, left.size)


class _Pieces(NamedTuple):
    """Pieces of edges, each within one ring and one sector."""

    owner: INT
    row: INT
    column: INT
    angle: FLOAT
    area: FLOAT


def _pieces(corner_x: FLOAT, corner_y: FLOAT, cells: Cells) -> _Pieces:
    """Break the edges of rectangles, shape (p, 4), where they cross rings and rays."""
    x, y = corner_x.ravel(), corner_y.ravel()
    dx = (np.roll(corner_x, -1, axis=1) - corner_x).ravel()
    dy = (np.roll(corner_y, -1, axis=1) - corner_y).ravel()
    cross = y * dx - x * dy
    # Edges that point at the pole have no angle; those lie on a ray and add nothing.
    on = np.flatnonzero(cross != 0.0)
    x, y, dx, dy, cross = x[on], y[on], dx[on], dy[on], cross[on]
    edge, t = _breaks(x, y, dx, dy, cells)
    first = np.flatnonzero(edge[:-1] == edge[1:])
    e, t0, t1 = edge[first], t[first], t[first + 1]
    long = t1 > t0
    e, t0, t1 = e[long], t0[long], t1[long]
    x0, y0 = x[e] + t0 * dx[e], y[e] + t0 * dy[e]
    x1, y1 = x[e] + t1 * dx[e], y[e] + t1 * dy[e]
    # cross · (t1 − t0) is y0 x1 − x0 y1 without its cancellation, which q would multiply by 1e5.
    angle = np.arctan2(cross[e] * (t1 - t0), x0 * x1 + y0 * y1)
    middle_x, middle_y = (x0 + x1) / 2.0, (y0 + y1) / 2.0
    row = np.searchsorted(cells.radius, np.hypot(middle_x, middle_y), side="right") - 1
    turn = np.arctan2(middle_x, middle_y) / (2.0 * np.pi) % 1.0
    column = np.minimum((turn * cells.n_lon).astype(np.int64), cells.n_lon - 1)
    node, weight = np.polynomial.legendre.leggauss(_GAUSS)
    at = t0[:, None] + (t1 - t0)[:, None] * (node + 1.0) / 2.0
    squared = np.square(x[e, None] + at * dx[e, None]) + np.square(y[e, None] + at * dy[e, None])
    area = cross[e] * (t1 - t0) * (_area_series()(squared) @ (weight / 2.0))
    return _Pieces(on[e] // 4, row.astype(np.int64), column, angle, area)


def _breaks(x: FLOAT, y: FLOAT, dx: FLOAT, dy: FLOAT, cells: Cells) -> tuple[INT, FLOAT]:
    """Return (edge, place along it) of ends, feet of perpendiculars and crossings, sorted."""
    length2 = dx**2 + dy**2
    foot = -(x * dx + y * dy) / length2
    inside = np.flatnonzero((foot > 0.0) & (foot < 1.0))
    ends = np.arange(x.size)
    found = [
        (ends, np.zeros(x.size)),
        (ends, np.ones(x.size)),
        (inside, foot[inside]),
        *_ring_crossings(x, y, dx, dy, foot, cells),
        _ray_crossings(x, y, dx, dy, cells),
    ]
    edge = np.concatenate([each[0] for each in found])
    t = np.clip(np.concatenate([each[1] for each in found]), 0.0, 1.0)
    order = np.lexsort((t, edge))
    return edge[order], t[order]


def _ring_crossings(
    x: FLOAT, y: FLOAT, dx: FLOAT, dy: FLOAT, foot: FLOAT, cells: Cells
) -> list[tuple[INT, FLOAT]]:
    """Return where edges cross rings, before and after the foot of their perpendicular."""
    length = np.hypot(dx, dy)
    nearest = np.abs(y * dx - x * dy) / length
    found = []
    for side, end in ((-1.0, np.hypot(x, y)), (1.0, np.hypot(x + dx, y + dy))):
        # Along this side the radius grows from the foot (or the other end) to this end.
        reaches = foot > 0.0 if side < 0.0 else foot < 1.0
        start = np.where(side < 0.0, np.hypot(x + dx, y + dy), np.hypot(x, y))
        low = np.where((foot > 0.0) & (foot < 1.0), nearest, np.minimum(start, end))
        first = np.searchsorted(cells.radius, low, side="left")
        last = np.searchsorted(cells.radius, end, side="right")
        edge, ring = _expanded(first, np.where(reaches, np.maximum(last, first), first))
        away = np.sqrt(np.maximum(np.square(cells.radius[ring]) - np.square(nearest[edge]), 0.0))
        found.append((edge, foot[edge] + side * away / length[edge]))
    return found


def _ray_crossings(x: FLOAT, y: FLOAT, dx: FLOAT, dy: FLOAT, cells: Cells) -> tuple[INT, FLOAT]:
    """Return where edges cross the rays between sectors."""
    width = 2.0 * np.pi / cells.n_lon
    start = np.arctan2(x, y)
    sweep = np.arctan2(y * (x + dx) - x * (y + dy), x * (x + dx) + y * (y + dy))
    low, high = np.minimum(start, start + sweep), np.maximum(start, start + sweep)
    edge, ray = _expanded(
        np.ceil(low / width).astype(np.int64), np.floor(high / width).astype(np.int64) + 1
    )
    sine, cosine = np.sin(ray * width), np.cos(ray * width)
    across = dx[edge] * cosine - dy[edge] * sine
    ahead = -(x[edge] * cosine - y[edge] * sine)
    return edge, np.divide(ahead, across, out=np.zeros(ahead.shape), where=across != 0.0)


def _expanded(first: INT, last: INT) -> tuple[INT, INT]:
    """Return (i, n) for every n with first[i] ≤ n < last[i]."""
    count = np.maximum(last - first, 0)
    index = np.repeat(np.arange(first.size), count)
    before = np.cumsum(count) - count
    return index, np.arange(index.size) - before[index] + first[index]


def _assemble(pieces: _Pieces, lowest: INT, cells: Cells, count: int) -> scipy.sparse.csc_array:
    """Sum what every piece adds to its own ring and to the rings between it and the pole."""
    # Rings beyond all pixels may reach farther than areas are known; they are not used.
    q = area_per_radian(np.minimum(cells.radius, FARTHEST_M))
    own = pieces.area - q[pieces.row] * pieces.angle
    index, ring = _expanded(lowest[pieces.owner], pieces.row)
    full = (q[ring + 1] - q[ring]) * pieces.angle[index]
    row = np.concatenate([pieces.row, ring])
    column = np.concatenate([pieces.column, pieces.column[index]])
    owner = np.concatenate([pieces.owner, pieces.owner[index]])
    value = np.concatenate([own, full])
    shape = (len(cells.radius) * cells.n_lon, count)
    return scipy.sparse.csc_array(
        scipy.sparse.coo_array((value, (row * cells.n_lon + column, owner)), shape=shape)
    )


def _require_inside(left: FLOAT, right: FLOAT, bottom: FLOAT, top: FLOAT, cells: Cells) -> None:
    farthest = np.hypot(np.maximum(-left, right), np.maximum(-bottom, top))
    reach = float(np.max(farthest, initial=0.0))
    edge = float(cells.radius[-1])
    if reach > FARTHEST_M:
        msg = (
            f"pixels reach the map radius {reach / 1e3:.1f} km; areas are known to "
            f"{FARTHEST_M / 1e3:.0f} km, 38° S: leave the pixels beyond it out of the wanted ones"
        )
        raise OverlapError(msg)
    far = np.flatnonzero(farthest > edge)
    if not far.size:
        return
    rings = Cells(np.array([0.0, edge]), 1)
    areas = _block(left[far], right[far], bottom[far], top[far], rings).toarray()
    crossing = areas[1] > _NEGLIGIBLE * areas.sum(axis=0)
    if crossing.any():
        latitude, _ = geodesy.inverse_polar_stereographic(np.array(reach), np.array(0.0))
        msg = (
            f"{areas[1].sum() / 1e6:.6g} km² of {np.count_nonzero(crossing)} pixels lie north of "
            f"the cells, whose edge has the map radius {edge / 1e3:.1f} km; the pixels reach "
            f"{reach / 1e3:.1f} km, geodetic latitude {float(latitude):.2f}°: move the northern "
            "edge there, or leave these pixels out of the wanted ones"
        )
        raise OverlapError(msg)
