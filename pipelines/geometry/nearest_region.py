"""Shapes divided among regions: to the region that holds them, else to the nearest."""

import numpy as np
import scipy.spatial
import shapely
from numpy.typing import NDArray

from pipelines.geometry.region_borders import Borders, nearest

SMALLEST_M2 = 1.0
"""Shapes below this area are what rounding leaves of a cut [m²]."""
UNDIVIDED_M2 = 1e6
"""Shapes below this area go to one region, that which is nearest to a point of theirs [m²]."""
BORDER_STEPS = 500
"""Points along a border, to the diagonal of a shape that is divided between nearest regions."""


def by_region(shape: shapely.Geometry, known: Borders) -> dict[int, shapely.Geometry]:
    """Divide a shape among regions.

    Parameters
    ----------
    shape : shapely.Geometry
        Polygons in EPSG:3031.
    known : Borders
        Regions, with all of their borders.

    Returns
    -------
    dict of int to shapely.Geometry
        What each region holds, and what of the rest is nearer to its border than to any other
        (to 1/500 of the size of each part of the rest). Regions that get nothing are left out.
    """
    held = shapely.intersection(known.shapes, shape)
    found = {i: list(polygons_of(part)) for i, part in enumerate(held)}
    rest = polygons_of(shapely.difference(shape, shapely.union_all(held)))
    for part, region in zip(rest, _one_nearest(rest, known), strict=True):
        divided = {int(region): part} if region >= 0 else _by_nearest(part, known)
        for i, piece in divided.items():
            found[i].extend(polygons_of(piece))
    return {i: shapely.union_all(parts) for i, parts in found.items() if parts}


def polygons_of(shape: shapely.Geometry) -> NDArray[np.object_]:
    """Return the polygons of a shape, without lines, points and what rounding leaves.

    Parameters
    ----------
    shape : shapely.Geometry
        Any.

    Returns
    -------
    ndarray of shapely.Polygon, shape (n,)
        Those of 1 m² at least.
    """
    parts = shapely.get_parts(shapely.get_parts(shape))
    return np.asarray(parts[shapely.area(parts) >= SMALLEST_M2], dtype=object)


def _one_nearest(parts: NDArray[np.object_], known: Borders) -> NDArray[np.int64]:
    """Return the one region that is nearest to all of a part, −1 where there are several."""
    if not len(parts):
        return np.empty(0, dtype=np.int64)
    x, y = shapely.get_coordinates(shapely.point_on_surface(parts)).T
    region, _ = nearest(known, x, y, within_m=np.inf)
    large = np.flatnonzero(shapely.area(parts) >= UNDIVIDED_M2)
    points, part = shapely.get_coordinates(parts[large], return_index=True)
    of_vertex, _ = nearest(known, points[:, 0], points[:, 1], within_m=np.inf)
    several = np.unique(large[part[of_vertex != region[large[part]]]])
    region[several] = -1
    return region


def _by_nearest(part: shapely.Polygon, known: Borders) -> dict[int, shapely.Geometry]:
    """Divide a polygon by Voronoi cells of points along the borders around it."""
    points, owner = _border_points(part, known)
    cells = _cells(points)
    near = shapely.intersects(cells, part)
    owner, cells = owner[near], cells[near]
    merged = {int(i): shapely.union_all(cells[owner == i]) for i in np.unique(owner)}
    return {i: shapely.intersection(part, cell) for i, cell in merged.items()}


def _border_points(
    part: shapely.Polygon, known: Borders
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points along the borders around a polygon, on a fine lattice, and their regions.

    A lattice keeps points apart: cells of points that nearly meet have no digits left.
    """
    west, south, east, north = part.bounds
    size = float(np.hypot(east - west, north - south))
    box = shapely.box(west - size, south - size, east + size, north + size)
    edge = known.tree.query(box)
    lines = shapely.linestrings(np.stack([known.start[edge], known.end[edge]], axis=1))
    spacing = size / BORDER_STEPS
    points, line = shapely.get_coordinates(shapely.segmentize(lines, spacing), return_index=True)
    on = (np.abs(points - [(west + east) / 2.0, (south + north) / 2.0]) <= 2.0 * size).all(axis=1)
    lattice = np.rint(points[on] / (0.5 * spacing))
    owner = known.region[edge][line[on]]
    order = np.lexsort((owner, lattice[:, 1], lattice[:, 0]))
    lattice, owner = lattice[order], owner[order]
    first = np.r_[True, (np.diff(lattice, axis=0) != 0.0).any(axis=1)]
    return lattice[first] * (0.5 * spacing), owner[first]


def _cells(points: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return the Voronoi cell of each point; four far points close the outer ones."""
    centre = points.mean(axis=0)
    reach = 100.0 * (np.abs(points - centre).max() + 1.0)
    far = centre + reach * np.asarray([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    diagram = scipy.spatial.Voronoi(np.concatenate([points, far]) - centre)
    corners = diagram.vertices + centre
    rings = [diagram.regions[region] for region in diagram.point_region[: len(points)]]
    return np.asarray([shapely.convex_hull(shapely.MultiPoint(corners[ring])) for ring in rings])
