"""Which share of every cell of a model lies within each polygon, exactly: weights of zonal sums.

Cells keep the model's own grid: quadrilaterals in EPSG:3031 for rotated poles and meridians, or
squares. Nothing is interpolated. A sum over a region needs the true area of the cells as well::

    w_rc = f_rc A_c          f: share of the cell's map area,  A: true area [m²]

The scale of the map changes by less than 2·10⁻³ across a cell of 27 km. So the part of a cell that
a polygon takes has, by its share, a true area wrong by that at most; along a whole rim such errors
cancel, and regions of 600 km are right to 2·10⁻⁵.
"""

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import scipy.sparse
import shapely
from numpy.typing import NDArray

from pipelines.geometry import grid_coverage
from pipelines.geometry.grid_coverage import NEGLIGIBLE

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

UNEVEN = 1e-3
"""Share of the spacing that centres of a grid may be off, as 32-bit coordinates are."""
_FEW_VERTICES = 500
"""Vertices of a polygon with which intersections are cheap."""
_FEWEST_CELLS = 8


class OverlapError(ValueError):
    """Cells or polygons that cannot be overlaid."""


def overlap(corner_x: FLOAT, corner_y: FLOAT, polygons: gpd.GeoSeries) -> scipy.sparse.csr_array:
    """Return the share of every cell's map area within each polygon.

    Cells that a polygon covers are whole; only those on its rim are intersected, with what of the
    polygon is near them.

    Parameters
    ----------
    corner_x, corner_y : ndarray, shape (cell, 4)
        Corners in EPSG:3031 in order around the cell, either way [m]; two may coincide, as at the
        pole.
    polygons : GeoSeries, length region
        Valid polygons in EPSG:3031.

    Returns
    -------
    csr_array, shape (region, cell)
        Shares between 0 and 1 [1].

    Raises
    ------
    OverlapError
        Corners that are missing or cross, polygons that are empty, cross themselves or are not in
        EPSG:3031.
    """
    shapes = _polygons(polygons)
    cells = _cells(corner_x, corner_y)
    region, cell = shapely.STRtree(cells).query(shapes)
    shapely.prepare(shapes)
    touched = np.flatnonzero(shapely.intersects(shapes[region], cells[cell]))
    region, cell = region[touched], cell[touched]
    share = np.ones(cell.size)
    rim = np.flatnonzero(~shapely.covers(shapes[region], cells[cell]))
    for of in np.unique(region[rim]):
        on = rim[region[rim] == of]
        share[on] = _rim_shares(shapes[of], cells[cell[on]])
    share[share > 1.0 - NEGLIGIBLE] = 1.0
    kept = share > NEGLIGIBLE
    place = (region[kept], cell[kept])
    shape = (len(shapes), cells.size)
    return scipy.sparse.csr_array(scipy.sparse.coo_array((share[kept], place), shape=shape))


def grid_overlap(x: FLOAT, y: FLOAT, polygons: gpd.GeoSeries) -> scipy.sparse.csr_array:
    """Return the share of every square of a grid in EPSG:3031 within each polygon.

    As :func:`overlap`, from line integrals along the rims, without building a cell.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,), (ny,)
        Centres of even squares, each axis either way [m].
    polygons : GeoSeries, length region
        Valid polygons in EPSG:3031.

    Returns
    -------
    csr_array, shape (region, ny · nx)
        Shares between 0 and 1 [1]; cells row by row as ``values.reshape(-1)`` has them.

    Raises
    ------
    OverlapError
        Uneven or single centres, cells that are no squares; polygons as in :func:`overlap`.
    """
    step_x, step_y = _step(x, "x"), _step(y, "y")
    if abs(abs(step_x) - abs(step_y)) > UNEVEN * abs(step_x):
        msg = (
            f"cells are {abs(step_x):g} by {abs(step_y):g} m, expected squares; give their corners "
            "to overlap() instead"
        )
        raise OverlapError(msg)
    rows = [
        _covered(shape, (x[0], step_x), (y[0], step_y), (y.size, x.size))
        for shape in _polygons(polygons)
    ]
    if not rows:
        return scipy.sparse.csr_array((0, y.size * x.size))
    index = [row.coords[0].astype(np.int64) * x.size + row.coords[1] for row in rows]
    ends = np.cumsum([0, *(each.size for each in index)])
    data = np.concatenate([row.data for row in rows])
    shape = (len(rows), y.size * x.size)
    return scipy.sparse.csr_array((data, np.concatenate(index), ends), shape=shape)


def area_weights(shares: scipy.sparse.csr_array, area: FLOAT) -> scipy.sparse.csr_array:
    """Return the true area that regions and cells have in common.

    Parameters
    ----------
    shares : csr_array, shape (region, cell)
        From :func:`overlap` or :func:`grid_overlap` [1].
    area : ndarray, shape (cell,)
        True area of each cell [m²].

    Returns
    -------
    csr_array, shape (region, cell)
        Areas [m²].
    """
    if area.shape != shares.shape[1:]:
        msg = f"found areas {area.shape} for {shares.shape[1]} cells, expected one for each"
        raise OverlapError(msg)
    place = (shares.indices, shares.indptr)
    return scipy.sparse.csr_array((shares.data * area[shares.indices], *place), shape=shares.shape)


def counted_twice(shares: scipy.sparse.csr_array) -> FLOAT:
    """Return by how much the shares of each cell exceed the cell, shape (cell,) [1].

    Zero for regions that lie beside each other; positive where regions overlap, but for what of an
    overlap lies in cells that they do not fill together.
    """
    excess = np.asarray(shares.sum(axis=0)).ravel() - 1.0
    return np.where(excess > NEGLIGIBLE, excess, 0.0)


class _Axis(NamedTuple):
    """First centre and step along an axis [m]."""

    first: float
    step: float

    def units(self, values: FLOAT) -> FLOAT:
        """Return coordinates in steps from the outer side of the first cell."""
        return (values - self.first) / self.step + 0.5


def _covered(
    polygon: shapely.Geometry,
    x: tuple[float, float],
    y: tuple[float, float],
    shape: tuple[int, int],
) -> scipy.sparse.coo_array:
    points_x, points_y, ring = grid_coverage.outline(polygon)
    u, v = _Axis(*x).units(points_x), _Axis(*y).units(points_y)
    return grid_coverage.coverage(u, v, ring, shape)


def _step(centres: FLOAT, axis: str) -> float:
    steps = np.diff(centres)
    step = float((centres[-1] - centres[0]) / steps.size) if steps.size else 0.0
    if step == 0.0 or not np.abs(steps - step).max() <= UNEVEN * abs(step):
        found = f"{steps.min():g} to {steps.max():g} m" if steps.size else "none"
        msg = (
            f"steps along {axis} are {found}, expected even ones between two centres at least; "
            "give the corners of the cells to overlap() instead"
        )
        raise OverlapError(msg)
    return step


def _polygons(polygons: gpd.GeoSeries) -> NDArray[np.object_]:
    """Return shapes after a look at their system, type and validity."""
    if polygons.crs is not None and polygons.crs.to_epsg() != 3031:
        msg = f"polygons are in {polygons.crs.to_string()}, expected EPSG:3031; reproject them"
        raise OverlapError(msg)
    shapes = np.asarray(polygons.to_numpy(), dtype=object)
    areal = np.isin(shapely.get_type_id(shapes), (3, 6)) & ~shapely.is_empty(shapes)
    sound = areal & shapely.is_valid(shapes)
    if not sound.all():
        worst = int(np.flatnonzero(~sound)[0])
        why = shapely.is_valid_reason(shapes[worst]) if areal[worst] else "no area"
        msg = (
            f"{np.count_nonzero(~sound)} of {shapes.size} polygons cannot be overlaid, the first "
            f"at {polygons.index[worst]!r} ({why}); expected valid polygons: repair or drop it"
        )
        raise OverlapError(msg)
    return shapes


def _cells(corner_x: FLOAT, corner_y: FLOAT) -> NDArray[np.object_]:
    """Return cells as polygons."""
    if corner_x.shape != corner_y.shape or corner_x.ndim != 2 or corner_x.shape[1] != 4:
        msg = f"corners have shapes {corner_x.shape} and {corner_y.shape}, expected (cell, 4) both"
        raise OverlapError(msg)
    corners = np.stack([corner_x, corner_y], axis=-1)
    if not np.isfinite(corners).all():
        lacking = np.flatnonzero(~np.isfinite(corners).all(axis=(1, 2)))
        msg = (
            f"{lacking.size} of {len(corners)} cells lack a corner, the first is cell {lacking[0]};"
            " expected coordinates in EPSG:3031: leave these cells out"
        )
        raise OverlapError(msg)
    cells = shapely.polygons(np.concatenate([corners, corners[:, :1]], axis=1))
    crossed = np.flatnonzero(~shapely.is_valid(cells))
    if crossed.size:
        msg = (
            f"the sides of {crossed.size} of {cells.size} cells cross, the first is cell "
            f"{crossed[0]} at ({corners[crossed[0], 0, 0]:.0f}, {corners[crossed[0], 0, 1]:.0f}) m;"
            " expected corners in order around the cell: correct their order"
        )
        raise OverlapError(msg)
    return np.asarray(cells, dtype=object)


def _rim_shares(shape: shapely.Geometry, cells: NDArray[np.object_]) -> FLOAT:
    """Return the share of each cell within a polygon, which is cut down to few cells at a time."""
    bounds = shapely.bounds(cells)
    middle = (bounds[:, :2] + bounds[:, 2:]) / 2.0
    common = np.zeros(cells.size)
    waiting = [(shape, np.arange(cells.size))]
    while waiting:
        part, at = waiting.pop()
        if at.size <= _FEWEST_CELLS or shapely.get_num_coordinates(part) <= _FEW_VERTICES:
            common[at] = shapely.area(shapely.intersection(part, cells[at]))
            continue
        axis = int(np.argmax(np.ptp(middle[at], axis=0)))
        order = at[np.argsort(middle[at, axis], kind="stable")]
        for half in (order[: order.size // 2], order[order.size // 2 :]):
            low, high = bounds[half, :2].min(axis=0), bounds[half, 2:].max(axis=0)
            waiting.append((shapely.intersection(part, shapely.box(*low, *high)), half))
    return np.asarray(common / shapely.area(cells))
