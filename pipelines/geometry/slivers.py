"""What lies between gates and the grounding line, region by region, with its sign.

Discharge is the flux through a gate and what is added or lost between it and the grounding line
(Yang et al., 2023, equation 2). Where the gate is inland that ice counts once more (+1); where the
gate lies off the grounding line it was counted too much (−1).
"""

from collections.abc import Collection

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.geometry.gate_parts import EPSG, GateParts, gate_parts, require_polar
from pipelines.geometry.nearest_region import SMALLEST_M2, by_region, polygons_of
from pipelines.geometry.region_borders import Borders, borders, wide_parts
from pipelines.geometry.true_area import true_area
from pipelines.kernels.budget.flux_gate import GateError

NEAR_M, OFF_M = 20_000.0, 1_000_000.0
"""Grounded ice, and what a gate encloses off it, that is in no region's sliver: farther than this
from every region, as outlines differ by less and gates lie nearer [m]."""
BESIDE_M = 1.0
"""How far from the middle of an edge of a gate its two sides are looked at [m]."""
WHOLE = 0.95
"""Part of the length of open gates that must have the ice below them on its far side; the rest may
be lost where faces are too small to tell."""
ONE_SIDED = 1e-3
"""A face is downstream of a gate if at most this part of the gate's length beside it says else."""

_Piece = tuple[int, int, shapely.Geometry]


def slivers(
    gates: gpd.GeoDataFrame,
    grounded: gpd.GeoDataFrame | shapely.Geometry,
    regions: gpd.GeoDataFrame,
    *,
    reversed_gates: Collection[str] = (),
) -> gpd.GeoDataFrame:
    """Return the ice between gates and the grounding line.

    Parameters
    ----------
    gates : GeoDataFrame
        Columns ``gate`` (id) and ``geometry`` (lines, rings or polygons in EPSG:3031).
    grounded : GeoDataFrame or shapely.Polygon or shapely.MultiPolygon
        Grounded ice in EPSG:3031; holes narrower than 1 km on average are taken for ice.
    regions : GeoDataFrame
        Columns ``region`` (id) and ``geometry`` (polygons in EPSG:3031).
    reversed_gates : collection of str
        Open gates that were drawn with outward to their right.

    Returns
    -------
    GeoDataFrame
        ``region`` (id), ``sign`` (+1 inland of the grounding line, −1 off it), ``geometry``
        (MultiPolygon), ``area_km2`` (true); one row for each region and sign that has any, in the
        order of the regions. What lies in no region goes to the nearest. ``attrs["remarks"]`` names
        regions that no gate enters by more than a strip and open gates that leave a way around
        them, which get none, and regions of which gates hold the smaller part.

    Raises
    ------
    GateError
        As :func:`gate_lines.gate_nodes`; or a gate to reverse is not in the table, or is closed.
    """
    parts = gate_parts(gates)
    _require_open(parts, reversed_gates)
    ice = _grounded_ice(grounded)
    known = borders(regions, near=np.asarray(regions.total_bounds), margin_m=np.inf)
    inside = shapely.union_all([part.inside for part in parts if part.inside is not None])
    pieces, entered = _around_closed(inside, ice, known)
    turned = [_turned(part, reversed_gates) for part in parts if part.inside is None]
    more, remarks = _below_open(turned, ice, known, entered)
    met = entered | {region for region, _, _ in more} | _crossed(turned, known)
    without = [name for i, name in enumerate(known.names) if i not in met]
    if without:
        remarks.append(f"no gate enters regions {', '.join(without)}: they get no slivers")
    table = _table([*pieces, *more], known.names)
    table.attrs["remarks"] = [*remarks, *_mostly_slivers(table, known)]
    return table


def _mostly_slivers(table: gpd.GeoDataFrame, known: Borders) -> list[str]:
    """Name the regions of which gates hold the smaller part."""
    whole = dict(zip(known.names, true_area(known.shapes) / 1e6, strict=True))
    inland = table[table.sign > 0]
    return [
        f"{100.0 * area / whole[region]:.0f} % of region {region} lies outside its gates"
        for region, area in zip(inland.region, inland.area_km2, strict=True)
        if area > 0.5 * whole[region]
    ]


def _near(
    shape: shapely.Geometry, regions: NDArray[np.object_], distance: float
) -> shapely.Geometry:
    """Return what of a shape lies in or near the regions: what is elsewhere belongs to none."""
    if shape.is_empty:
        return shape
    plain = shapely.simplify(regions, distance / 20.0)
    return shapely.intersection(shape, shapely.union_all(shapely.buffer(plain, distance)))


def _require_open(parts: tuple[GateParts, ...], names: Collection[str]) -> None:
    wrong = sorted(set(names) - {part.name for part in parts if part.inside is None})
    if wrong:
        msg = f"gates {', '.join(wrong)} are to be reversed, but are no open gates of the table"
        raise GateError(msg)


def _turned(part: GateParts, reversed_gates: Collection[str]) -> GateParts:
    if part.name not in reversed_gates:
        return part
    return GateParts(part.name, tuple(shapely.reverse(line) for line in part.lines), None)


def _grounded_ice(grounded: gpd.GeoDataFrame | shapely.Geometry) -> shapely.Geometry:
    """Return one shape; gaps between neighbours that were simplified apart are closed."""
    if isinstance(grounded, gpd.GeoDataFrame):
        require_polar(grounded, "polygons of grounded ice")
        grounded = shapely.union_all(grounded.geometry.to_numpy())
    polygons = polygons_of(grounded)
    if not len(polygons):
        msg = f"the grounded ice is {grounded.geom_type} without area, expected polygons"
        raise GateError(msg)
    return shapely.union_all([shapely.Polygon(p.exterior, _wide_holes(p)) for p in polygons])


def _wide_holes(polygon: shapely.Polygon) -> list[shapely.LinearRing]:
    return [ring for ring in polygon.interiors if len(wide_parts(shapely.Polygon(ring)))]


def _around_closed(
    inside: shapely.Geometry, ice: shapely.Geometry, known: Borders
) -> tuple[list[_Piece], set[int]]:
    """Return what lies between the control volume of closed gates and the grounding line.

    Also the regions it enters by more than a strip.
    """
    if inside.is_empty:
        return [], set()
    shared = shapely.intersection(known.shapes, inside)
    entered = {i for i, shape in enumerate(shared) if len(wide_parts(shape))}
    pieces: list[_Piece] = []
    for sign, shape in (
        (1, _near(shapely.difference(ice, inside), known.shapes, NEAR_M)),
        (-1, _near(shapely.difference(inside, ice), known.shapes, OFF_M)),
    ):
        held = by_region(shape, known)
        pieces += [(i, sign, part) for i, part in held.items() if i in entered]
    return pieces, entered


def _below_open(
    parts: list[GateParts], ice: shapely.Geometry, known: Borders, entered: set[int]
) -> tuple[list[_Piece], list[str]]:
    """Return what lies downstream of open gates that cut a region in two."""
    pieces: list[_Piece] = []
    remarks = []
    for region, name in enumerate(known.names):
        crossing = _those_in(parts, known.shapes[region])
        if not crossing:
            continue
        listed = ", ".join(part.name for part in crossing)
        if region in entered:
            remarks.append(f"region {name} has closed gates: slivers of {listed} left out")
            continue
        found = _downstream(crossing, ice, known.shapes[region])
        pieces += [(region, sign, shape) for sign, shape in found]
        if not any(sign > 0 for sign, _ in found):
            remarks.append(
                f"open gates {listed} do not cut region {name} from side to side, each once: "
                "no slivers"
            )
    return pieces, remarks


def _those_in(parts: list[GateParts], region: shapely.Geometry) -> list[GateParts]:
    shapely.prepare(region)
    return [p for p in parts if any(shapely.intersects(region, line) for line in p.lines)]


def _crossed(parts: list[GateParts], known: Borders) -> set[int]:
    return {i for i, shape in enumerate(known.shapes) if _those_in(parts, shape)}


def _downstream(
    parts: list[GateParts], ice: shapely.Geometry, region: shapely.Geometry
) -> list[tuple[int, shapely.Geometry]]:
    """Return signed faces of a region cut by gates.

    A face of ice with gates on its inner side only, so that all flow enters it, lies between them
    and the grounding line: +1. A face off the ice, between the grounding line and the inner side of
    gates, is −1. There is none where ice that passed one gate may pass another, or go around: the
    gates then hold back no part of the region.
    """
    lines = [line for part in parts for line in part.lines]
    area = shapely.intersection(region, ice)
    linework = shapely.union_all([shapely.boundary(area), *lines])
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(linework)))
    faces = faces[shapely.area(faces) >= SMALLEST_M2]
    point = shapely.point_on_surface(faces)
    own, grounded = shapely.intersects(area, point), shapely.intersects(ice, point)
    into, out_of = _lengths_beside(lines, faces)
    below = own & (into > 0.0) & (out_of <= ONE_SIDED * into)
    crossing = sum(shapely.length(shapely.intersection(area, line)) for line in lines)
    if into[below].sum() < WHOLE * crossing:
        return []
    off = ~grounded & (out_of > 0.0) & (into <= ONE_SIDED * out_of)
    found = [(1, shapely.union_all(faces[below])), (-1, shapely.union_all(faces[off]))]
    return [(sign, shape) for sign, shape in found if not shape.is_empty]


def _lengths_beside(
    lines: list[shapely.LineString], faces: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the length of gates that flow passes into each face, and out of it."""
    edges = shapely.boundary(faces)
    into, out_of = np.zeros(len(faces)), np.zeros(len(faces))
    for line in lines:
        points = shapely.get_coordinates(shapely.segmentize(line, 1e3))
        step = np.diff(points, axis=0)
        length = np.hypot(*step.T)
        normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / length[:, None]
        middle = (points[1:] + points[:-1]) / 2.0
        near = shapely.intersects(edges, line)
        for i in np.flatnonzero(near):
            shapely.prepare(faces[i])
            into[i] += length[_within(faces[i], middle + BESIDE_M * normal)].sum()
            out_of[i] += length[_within(faces[i], middle - BESIDE_M * normal)].sum()
    return into, out_of


def _within(face: shapely.Geometry, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(shapely.contains_xy(face, points[:, 0], points[:, 1]), dtype=np.bool_)


def _table(pieces: list[_Piece], names: tuple[str, ...]) -> gpd.GeoDataFrame:
    """Return pieces as rows in the order of regions, +1 first."""
    pieces = sorted(pieces, key=lambda piece: (piece[0], -piece[1]))
    shapes = np.empty(len(pieces), dtype=object)
    for i, (_, _, shape) in enumerate(pieces):
        shapes[i] = shapely.multipolygons(list(polygons_of(shape)))
    return gpd.GeoDataFrame(
        {
            "region": [names[region] for region, _, _ in pieces],
            "sign": np.asarray([sign for _, sign, _ in pieces], dtype=np.int64),
            "area_km2": true_area(shapes) / 1e6,
        },
        geometry=shapes,
        crs=EPSG,
    )
