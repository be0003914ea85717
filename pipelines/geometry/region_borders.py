"""Regions that gates are cut by: their borders, which one holds a point, which one is near."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.geometry.gate_parts import require_polar
from pipelines.geometry.true_area import true_area
from pipelines.kernels.budget.flux_gate import GateError

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

SLIVER_WIDTH_M = 1_000.0
"""Neighbours simplified apart overlap in strips; below this mean width they are no fault [m]."""
SIMPLER_THAN_M = 50.0
"""Borders may move by this much in the search for overlaps [m]."""
_PARALLEL = 1e-12
_CLOSEST_CUTS_M = 1e-6


@dataclass(frozen=True)
class Borders:
    """Regions near some place, and their borders edge by edge.

    Attributes
    ----------
    names : tuple of str
        Ids of all regions, in the order of their table.
    shapes : ndarray of shapely.Geometry, shape (region,)
        Their polygons.
    start, end : ndarray, shape (edge, 2)
        Ends of the edges near the place [m].
    region : ndarray of int, shape (edge,)
        Region that each edge bounds.
    tree : shapely.STRtree
        Of the edges.
    """

    names: tuple[str, ...]
    shapes: NDArray[np.object_]
    start: FLOAT
    end: FLOAT
    region: INT
    tree: shapely.STRtree


def borders(regions: gpd.GeoDataFrame, *, near: FLOAT, margin_m: float) -> Borders:
    """Take the borders of regions apart.

    Parameters
    ----------
    regions : GeoDataFrame
        Columns ``region`` (id) and ``geometry`` (polygons in EPSG:3031).
    near : ndarray, shape (4,)
        Bounds of the place that matters: x and y from, x and y to [m].
    margin_m : float
        Edges within this distance of the place count too [m]; infinite for all.

    Returns
    -------
    Borders

    Raises
    ------
    GateError
        If there is no region, one of them is no valid polygon, two overlap, or the coordinates
        differ.
    """
    require_polar(regions, "regions")
    names = tuple(str(name) for name in regions["region"])
    shapes = np.asarray(regions.geometry.to_numpy(), dtype=object)
    _require_polygons(names, shapes)
    place = shapely.box(
        near[0] - margin_m, near[1] - margin_m, near[2] + margin_m, near[3] + margin_m
    )
    _require_apart(names, shapes, None if np.isinf(margin_m) else place)
    rings, owner = _rings(shapes)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    joined = np.flatnonzero(ring[1:] == ring[:-1])
    start, end = points[joined], points[joined + 1]
    low, high = np.minimum(start, end), np.maximum(start, end)
    kept = (
        (low <= near[2:] + margin_m).all(axis=1)
        & (high >= near[:2] - margin_m).all(axis=1)
        & (start != end).any(axis=1)
    )
    start, end, region = start[kept], end[kept], owner[ring[joined[kept]]]
    tree = shapely.STRtree(shapely.linestrings(np.stack([start, end], axis=1)))
    return Borders(names, shapes, start, end, region, tree)


def _rings(shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], INT]:
    """Return the rings of polygons, and the polygon of each."""
    parts, shape_of = shapely.get_parts(shapes, return_index=True)
    rings, part_of = shapely.get_rings(parts, return_index=True)
    return rings, shape_of[part_of]


def _require_polygons(names: tuple[str, ...], shapes: NDArray[np.object_]) -> None:
    if not names:
        msg = "the table of regions is empty, expected one polygon at least"
        raise GateError(msg)
    for name, shape in zip(names, shapes, strict=True):
        kind = "nothing" if shape is None or shape.is_empty else shape.geom_type
        if kind not in {"Polygon", "MultiPolygon"}:
            msg = f"region {name} holds {kind}, expected a polygon; leave the row out or close it"
            raise GateError(msg)
        if not shapely.is_valid(shape):
            reason = shapely.is_valid_reason(shape)
            msg = f"region {name} is no valid polygon ({reason}); repair it with shapely.make_valid"
            raise GateError(msg)


def _require_apart(
    names: tuple[str, ...], shapes: NDArray[np.object_], place: shapely.Geometry | None
) -> None:
    """Refuse regions that share more than strips of ice near a place."""
    coarse = np.arange(len(shapes)) if place is None else np.flatnonzero(
        shapely.intersects(shapely.box(*shapely.bounds(shapes).T), place)
    )  # fmt: skip
    # Strips are no fault, so borders need not be finer than a part of their width.
    simple = shapely.simplify(shapes[coarse], SIMPLER_THAN_M)
    simple = np.where(shapely.is_valid(simple), simple, shapes[coarse])
    first, second = shapely.STRtree(simple).query(simple)
    found = []
    for i, j in zip(first[first < second], second[first < second], strict=True):
        wide = wide_parts(shapely.intersection(simple[i], simple[j]))
        if len(wide):
            pair = f"{names[coarse[i]]} and {names[coarse[j]]}"
            found.append(f"{pair} by {true_area(wide).sum() / 1e6:,.0f} km²")
    if found:
        msg = (
            f"regions overlap: {'; '.join(found)}; flux through the common part would count twice. "
            "Give each point to one region (subtract one polygon from the other)"
        )
        raise GateError(msg)


def wide_parts(shape: shapely.Geometry) -> NDArray[np.object_]:
    """Return the parts of a shape that are more than strips.

    Parameters
    ----------
    shape : shapely.Geometry
        Any.

    Returns
    -------
    ndarray of shapely.Geometry, shape (n,)
        Parts whose mean width, 2 area / length of the outline, is 1 km at least.
    """
    parts = shapely.get_parts(shape)
    length = shapely.length(parts)
    width = np.divide(
        2.0 * shapely.area(parts), length, out=np.zeros(len(parts)), where=length > 0.0
    )
    return np.asarray(parts[width >= SLIVER_WIDTH_M], dtype=object)


def holder(known: Borders, x: FLOAT, y: FLOAT) -> INT:
    """Return the region that holds each point.

    Parameters
    ----------
    known : Borders
        Regions.
    x, y : ndarray, shape (n,)
        Points [m].

    Returns
    -------
    ndarray of int, shape (n,)
        Index of the region, the first of two that overlap in a strip; −1 outside all.
    """
    found = np.full(len(x), -1, dtype=np.int64)
    for index, shape in enumerate(known.shapes):
        west, south, east, north = shape.bounds
        open_ = (found < 0) & (x >= west) & (x <= east) & (y >= south) & (y <= north)
        candidates = np.flatnonzero(open_)
        if candidates.size:
            shapely.prepare(shape)
            inside = shapely.contains_xy(shape, x[candidates], y[candidates])
            found[candidates[inside]] = index
    return found


def nearest(known: Borders, x: FLOAT, y: FLOAT, *, within_m: float) -> tuple[INT, FLOAT]:
    """Return the region whose border is nearest to each point.

    Parameters
    ----------
    known : Borders
        Regions.
    x, y : ndarray, shape (n,)
        Points [m].
    within_m : float
        Farthest border that counts [m].

    Returns
    -------
    region : ndarray of int, shape (n,)
        Index of the region, the first of two as near; −1 if none is within reach.
    distance : ndarray, shape (n,)
        Distance on the map [m]; infinite if none is within reach.
    """
    region = np.full(len(x), -1, dtype=np.int64)
    distance = np.full(len(x), np.inf)
    if not len(x) or not len(known.region):
        return region, distance
    reach = None if np.isinf(within_m) else within_m
    (point, edge), found = known.tree.query_nearest(
        shapely.points(x, y), max_distance=reach, return_distance=True
    )
    first_last = np.lexsort((-known.region[edge], point))
    region[point[first_last]] = known.region[edge[first_last]]
    distance[point] = found
    return region, distance


def cuts(known: Borders, start: FLOAT, end: FLOAT) -> tuple[INT, FLOAT]:
    """Return where borders cut segments.

    Parameters
    ----------
    known : Borders
        Regions.
    start, end : ndarray, shape (n, 2)
        Ends of the segments [m].

    Returns
    -------
    segment : ndarray of int, shape (c,)
        Segment of each cut, rising.
    part : ndarray, shape (c,)
        How far along the segment it lies, between 0 and 1, rising within a segment; no cut
        lies within 1e-6 m of an end or of another.
    """
    lines = shapely.linestrings(np.stack([start, end], axis=1))
    segment, edge = known.tree.query(lines, predicate="intersects")
    at = _crossings(start[segment], end[segment], known.start[edge], known.end[edge])
    segment, part = np.concatenate([segment, segment, segment]), np.concatenate(at)
    length = np.hypot(*(end - start).T)[segment]
    inner = (part * length > _CLOSEST_CUTS_M) & ((1.0 - part) * length > _CLOSEST_CUTS_M)
    segment, part, length = segment[inner], part[inner], length[inner]
    order = np.lexsort((part, segment))
    segment, part, length = segment[order], part[order], length[order]
    apart = np.ones(len(segment), dtype=bool)
    apart[1:] = (segment[1:] != segment[:-1]) | (np.diff(part) * length[1:] > _CLOSEST_CUTS_M)
    return segment[apart], part[apart]


def _crossings(a: FLOAT, b: FLOAT, p: FLOAT, q: FLOAT) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return up to three places along a→b where the edge p→q begins or ends to lie beside it.

    Edges that run along the segment give both their ends, others one crossing; what is missing is
    NaN, which no comparison keeps.
    """
    d, e, ap, aq = b - a, q - p, p - a, q - a
    across = d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]
    squared = (d * d).sum(axis=1)
    lengths = np.sqrt(squared * (e * e).sum(axis=1))
    along = np.abs(across) <= _PARALLEL * lengths
    t_p, t_q = (ap * d).sum(axis=1) / squared, (aq * d).sum(axis=1) / squared
    crossing = (ap[:, 0] * e[:, 1] - ap[:, 1] * e[:, 0]) / np.where(along, np.nan, across)
    crossing = np.clip(crossing, np.minimum(t_p, t_q), np.maximum(t_p, t_q))
    return np.where(along, t_p, np.nan), np.where(along, t_q, np.nan), crossing
