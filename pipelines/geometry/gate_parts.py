"""Lines of gates, checked and turned so that outward lies to the left of each.

A closed gate is a control volume: the outer ring of its ice runs clockwise, the ring of a hole (a
nunatak, an island of rock) counter-clockwise, and left of both is out of the ice. Rings that come
as lines are nested by the even-odd rule: a ring inside another is a hole, a ring inside a hole is
ice again. Open gates stay as drawn.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.kernels.budget.flux_gate import GateError, signed_area

EPSG = 3031
LINES = ("LineString", "LinearRing", "MultiLineString")
POLYGONS = ("Polygon", "MultiPolygon")
SHARED_M2 = 1e6
"""Closed gates that have less in common lie beside each other [m²]."""


@dataclass(frozen=True)
class GateParts:
    """One gate.

    Attributes
    ----------
    name : str
        Its id.
    lines : tuple of shapely.LineString
        Its parts, outward to the left of each if closed, as drawn if open.
    inside : shapely.Geometry or None
        The ice inside a closed gate; None for an open one.
    """

    name: str
    lines: tuple[shapely.LineString, ...]
    inside: shapely.Geometry | None


def gate_parts(gates: gpd.GeoDataFrame) -> tuple[GateParts, ...]:
    """Check and orient every gate of a table.

    Parameters
    ----------
    gates : GeoDataFrame
        Columns ``gate`` (id), ``geometry`` (lines, rings or polygons in EPSG:3031) and, if it is
        there, ``closed``.

    Returns
    -------
    tuple of GateParts
        In the order of the rows.

    Raises
    ------
    GateError
        If the table is empty, in other coordinates, or names a gate twice; if a gate has one node,
        a vertex that is no number, crosses itself, or is called closed and is not.
    """
    require_polar(gates, "gates")
    names = [str(name) for name in gates["gate"]]
    if not names:
        msg = "the table of gates is empty, expected one gate at least"
        raise GateError(msg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"gates {', '.join(twice)} come more than once; merge their lines or rename them"
        raise GateError(msg)
    said = list(gates["closed"]) if "closed" in gates.columns else [False] * len(names)
    return tuple(
        _one_gate(name, shape, called_closed=bool(closed))
        for name, shape, closed in zip(names, gates.geometry, said, strict=True)
    )


def enclosed_twice(parts: tuple[GateParts, ...]) -> tuple[str, ...]:
    """Say which closed gates hold ice in common.

    Parameters
    ----------
    parts : tuple of GateParts
        Gates that are to be summed.

    Returns
    -------
    tuple of str
        One remark, or none.
    """
    closed = [part for part in parts if part.inside is not None]
    areas = np.asarray([part.inside for part in closed], dtype=object)
    first, second = shapely.STRtree(areas).query(areas, predicate="intersects")
    pairs = [
        f"{closed[i].name} and {closed[j].name}"
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
        if i < j and shapely.area(shapely.intersection(areas[i], areas[j])) >= SHARED_M2
    ]
    if not pairs:
        return ()
    listed = "; ".join(pairs[:5]) + ("; ..." if len(pairs) > 5 else "")
    remark = (
        f"{len(pairs)} pairs of closed gates hold ice in common ({listed}): sums over all gates "
        "count what leaves it more than once"
    )
    return (remark,)


def require_polar(table: gpd.GeoDataFrame, what: str) -> None:
    """Refuse tables in other coordinates than EPSG:3031.

    Parameters
    ----------
    table : GeoDataFrame
        Any.
    what : str
        What the message calls it.
    """
    if table.crs is None or table.crs.to_epsg() != EPSG:
        found = "no coordinate system" if table.crs is None else table.crs.to_string()[:40]
        msg = f"the {what} come in {found}, expected EPSG:{EPSG}; project them first (to_crs)"
        raise GateError(msg)


def _one_gate(name: str, shape: shapely.Geometry, *, called_closed: bool) -> GateParts:
    kind = shape.geom_type if shape is not None else "nothing"
    if kind not in (*LINES, *POLYGONS) or shape.is_empty:
        msg = f"gate {name} holds {kind}, expected a line or a polygon of two nodes at least"
        raise GateError(msg)
    _require_numbers(name, shapely.get_coordinates(shape))
    outline = shapely.boundary(shape) if kind in POLYGONS else shape
    lines = [_checked(name, part) for part in shapely.get_parts(shapely.force_2d(outline))]
    closed = [bool(shapely.is_closed(line)) for line in lines]
    if not all(closed):
        if called_closed:
            msg = (
                f"gate {name} is called closed, but {closed.count(False)} of its {len(lines)} "
                "parts end elsewhere than they start; close them or call it open"
            )
            raise GateError(msg)
        _require_uncrossed(name, lines)
        return GateParts(name, tuple(lines), None)
    return _closed_gate(name, lines)


def _require_numbers(name: str, points: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if bad.size:
        msg = (
            f"gate {name}: {bad.size} of {len(points)} vertices are no numbers, the first at "
            f"index {bad[0]}; remove them or cut the line there"
        )
        raise GateError(msg)


def _checked(name: str, line: shapely.LineString) -> shapely.LineString:
    """Return a line without repeated vertices, or say why it is none."""
    points = shapely.get_coordinates(line)
    kept = points[np.r_[True, (np.diff(points, axis=0) != 0.0).any(axis=1)]]
    if len(kept) < 2:
        msg = f"gate {name} has one node, at {_place(kept[0])}; expected two at least"
        raise GateError(msg)
    clean = shapely.linestrings(kept)
    if not shapely.is_simple(clean) or (len(kept) < 4 and shapely.is_closed(clean)):
        msg = (
            f"gate {name} crosses or touches itself near {_place(_crossing(clean))}, so its inside "
            "is not one side of it; cut it there or remove the loop"
        )
        raise GateError(msg)
    return clean


def _require_uncrossed(name: str, lines: list[shapely.LineString]) -> None:
    """Refuse parts of an open gate that cross each other; they may meet at their ends."""
    first, second = shapely.STRtree(lines).query(lines, predicate="crosses")
    if len(first):
        shared = shapely.intersection(lines[first[0]], lines[second[0]])
        msg = (
            f"gate {name}: two of its {len(lines)} parts cross each other near "
            f"{_place(shapely.get_coordinates(shared)[0])}; give each a gate of its own"
        )
        raise GateError(msg)


def _crossing(line: shapely.LineString) -> NDArray[np.float64]:
    """Return where most pieces of a line meet once it is cut at its own crossings."""
    pieces = shapely.get_parts(shapely.node(line))
    ends = np.concatenate([shapely.get_coordinates(piece)[[0, -1]] for piece in pieces])
    places, count = np.unique(ends, axis=0, return_counts=True)
    return np.asarray(places[np.argmax(count)])


def _place(point: NDArray[np.float64]) -> str:
    return f"x {point[0]:.0f} m, y {point[1]:.0f} m"


def _closed_gate(name: str, rings: list[shapely.LineString]) -> GateParts:
    """Orient rings by how many others they lie in."""
    areas = np.asarray([shapely.Polygon(ring) for ring in rings], dtype=object)
    hole = _depth(name, areas) % 2 == 1
    turned = []
    for ring, is_hole in zip(rings, hole, strict=True):
        x, y = shapely.get_coordinates(ring).T
        counter_clockwise = signed_area(x, y) > 0.0
        turned.append(ring if counter_clockwise == is_hole else shapely.reverse(ring))
    ice = shapely.union_all(areas[~hole])
    if hole.any():
        ice = _even_odd(areas)
    return GateParts(name, tuple(turned), ice)


def _even_odd(areas: NDArray[np.object_]) -> shapely.Geometry:
    """Return what lies in an odd number of areas; largest first, as holes lie in larger ones."""
    inside = shapely.Polygon()
    for area in areas[np.argsort(-shapely.area(areas))]:
        inside = shapely.symmetric_difference(inside, area)
    return inside


def _depth(name: str, areas: NDArray[np.object_]) -> NDArray[np.int64]:
    """Count the rings around each ring; refuse rings that cross each other."""
    if len(areas) == 1:
        return np.zeros(1, dtype=np.int64)
    tree = shapely.STRtree(areas)
    outer, inner = _pairs(tree, areas, "contains")
    one, other = _pairs(tree, areas, "intersects")
    nested = set(zip(outer.tolist(), inner.tolist(), strict=True))
    for i, j in zip(one.tolist(), other.tolist(), strict=True):
        apart = i >= j or ((i, j) in nested) != ((j, i) in nested)
        if not apart and ((i, j) in nested or shapely.overlaps(areas[i], areas[j])):
            shared = shapely.intersection(areas[i], areas[j])
            centre = shapely.get_coordinates(shapely.point_on_surface(shared))[0]
            msg = (
                f"gate {name}: two of its {len(areas)} rings cross each other or are the same, "
                f"near {_place(centre)}; merge them or give each a gate of its own"
            )
            raise GateError(msg)
    return np.bincount(inner, minlength=len(areas))


def _pairs(
    tree: shapely.STRtree, areas: NDArray[np.object_], predicate: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs (first, second) of different areas that stand in a relation."""
    first, second = tree.query(areas, predicate=predicate)
    apart = first != second
    return first[apart], second[apart]
