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
_MOST_VERTICES = 192
"""Vertices of a part of a polygon: intersections with a few hundred are cheap."""
_NARROWEST_M = 1.0


class OverlapError(ValueError):
    """Cells or polygons that cannot be overlaid."""


def overlap(corner_x: FLOAT, corner_y: FLOAT, polygons: gpd.GeoSeries) -> scipy.sparse.csr_array:
    """Return the share of every cell's map area within each polygon.

    Polygons are cut into parts of a few vertices. Cells that a part covers are whole; only those on
    a rim are intersected.

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
    parts = [(region, part) for region, shape in enumerate(shapes) for part in _parts(shape)]
    region = np.array([each[0] for each in parts], dtype=np.int64)
    pieces = np.array([each[1] for each in parts], dtype=object)
    part, cell = shapely.STRtree(cells).query(pieces)
    share = _shares(pieces, cells, part, cell)
    shape = (len(shapes), cells.size)
    found = scipy.sparse.csr_array(
        scipy.sparse.coo_array((share, (region[part], cell)), shape=shape)
    )
    found.data[found.data > 1.0 - NEGLIGIBLE] = 1.0
    found.data[found.data < NEGLIGIBLE] = 0.0
    found.eliminate_zeros()
    return found


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


def _parts(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """Cut a polygon in halves until each part has few vertices."""
    waiting, done = list(shapely.get_parts(shape)), []
    while waiting:
        part = waiting.pop()
        if part.area == 0.0:
            continue
        x0, y0, x1, y1 = part.bounds
        size = max(x1 - x0, y1 - y0)
        if shapely.get_num_coordinates(part) <= _MOST_VERTICES or size < _NARROWEST_M:
            done.append(part)
            continue
        x, y = (x0 + x1) / 2.0, (y0 + y1) / 2.0
        wide = x1 - x0 > y1 - y0
        halves = (
            [shapely.box(x0, y0, x, y1), shapely.box(x, y0, x1, y1)] if wide
            else [shapely.box(x0, y0, x1, y), shapely.box(x0, y, x1, y1)]
        )  # fmt: skip
        for half in halves:
            cut = shapely.get_parts(shapely.intersection(part, half))
            waiting += [each for each in cut if each.geom_type == "Polygon"]
    return done


def _shares(parts: NDArray[np.object_], cells: NDArray[np.object_], part: INT, cell: INT) -> FLOAT:
    """Return the share of a cell within a part, for pairs whose bounds meet."""
    shapely.prepare(parts)
    share = np.zeros(part.size)
    touched = np.flatnonzero(shapely.intersects(parts[part], cells[cell]))
    whole = shapely.covers(parts[part[touched]], cells[cell[touched]])
    share[touched[whole]] = 1.0
    rim = touched[~whole]
    common = shapely.area(shapely.intersection(parts[part[rim]], cells[cell[rim]]))
    share[rim] = common / shapely.area(cells[cell[rim]])
    return share
