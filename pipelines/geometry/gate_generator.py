"""Gates made from the grounding line: rings at set distances inland, for ensembles of gates.

Distances are true. The grounding line is taken in pieces within which k changes by 0.02 % at most,
and each piece clears ice to d k on the map. What is left over is the change of k between the line
and the gate, d² |∇k| / 2k: 3e-4 of d = 20 km where k changes fastest. Round corners are drawn with
128 edges a circle, inside it by 3e-4 d, and the line itself is drawn to 2e-4 d. So a gate lies at
its distance within 1e-3 of it for d up to 50 km, and then within ``simplify_m``.
"""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.geometry.gate_parts import EPSG
from pipelines.geometry.true_area import map_scale_at, true_area, true_length
from pipelines.kernels.budget.flux_gate import GateError

SCALE_STEP = 2e-4
LONGEST_EDGE_M = 5_000.0
QUARTER_CIRCLE_EDGES = 32
COAST_SHARE = 2e-4
"""The coast that distances count from may move by this part of them."""


def generate(
    grounded: shapely.Geometry,
    *,
    distance_m: float | Sequence[float],
    smallest_area_m2: float,
    simplify_m: float,
) -> gpd.GeoDataFrame:
    """Return closed gates at distances inland of the grounding line.

    Parameters
    ----------
    grounded : shapely.Polygon or shapely.MultiPolygon
        Grounded ice in EPSG:3031.
    distance_m : float or sequence of float
        True distances inland [m]; 0 is the grounding line itself.
    smallest_area_m2 : float
        Ice left inland, holes of the grounded ice and rings smaller than this are dropped: true
        area [m²].
    simplify_m : float
        Farthest that simplification may move a gate, on the map [m]; 0 for none.

    Returns
    -------
    GeoDataFrame
        One gate a distance, alternatives of each other: ``gate`` (such as ``inland-5000m``),
        ``name``, ``closed``, ``length_km`` (true), ``distance_m``, ``geometry`` (MultiLineString;
        holes run counter-clockwise); ``attrs["remarks"]`` says what was dropped.

    Raises
    ------
    GateError
        If a distance is negative or comes twice, the grounded ice is no valid polygon, or nothing
        is left inland.
    """
    distances = [float(d) for d in np.atleast_1d(np.asarray(distance_m, dtype=np.float64))]
    _require_distances(distances)
    _require_polygon(grounded)
    filled = _without_small(grounded, smallest_area_m2)
    rows, remarks = [], []
    for distance in distances:
        inland = _inland(filled, distance)
        kept = _without_small(_simplified(inland, simplify_m), smallest_area_m2)
        if kept.is_empty:
            msg = (
                f"no ice of {smallest_area_m2 / 1e6:.4g} km² is left {distance:.0f} m inland; "
                "choose a smaller distance or a smaller area"
            )
            raise GateError(msg)
        rows.append(_row(kept, distance))
        lost = len(shapely.get_parts(filled)) - len(shapely.get_parts(kept))
        if lost > 0:
            remarks.append(f"{rows[-1]['gate']}: {lost} parts of the ice lie outside every gate")
    table = gpd.GeoDataFrame(rows, geometry="geometry", crs=EPSG)
    table.attrs["remarks"] = remarks
    return table


def _require_distances(distances: list[float]) -> None:
    wrong = [d for d in distances if not (np.isfinite(d) and d >= 0.0)]
    if wrong or not distances or len(set(distances)) < len(distances):
        msg = (
            f"found distances {distances} m, expected different ones of 0 or more: gates lie on "
            "grounded ice, inland of its edge"
        )
        raise GateError(msg)


def _require_polygon(grounded: shapely.Geometry) -> None:
    if grounded.geom_type not in {"Polygon", "MultiPolygon"} or grounded.is_empty:
        msg = f"the grounded ice is {grounded.geom_type}, expected polygons that are not empty"
        raise GateError(msg)
    if not shapely.is_valid(grounded):
        reason = shapely.is_valid_reason(grounded)
        msg = f"the grounded ice is no valid polygon ({reason}); repair it with shapely.make_valid"
        raise GateError(msg)


def _without_small(shape: shapely.Geometry, smallest_area_m2: float) -> shapely.Geometry:
    """Drop polygons and fill holes of less than an area."""
    parts = shapely.get_parts(shape)
    kept = [
        shapely.Polygon(part.exterior, _large_rings(part, smallest_area_m2))
        for part in parts[true_area(parts) >= smallest_area_m2]
    ]
    return shapely.multipolygons(kept) if kept else shapely.MultiPolygon()


def _large_rings(polygon: shapely.Polygon, smallest_area_m2: float) -> list[shapely.LinearRing]:
    holes = np.asarray([shapely.Polygon(ring) for ring in polygon.interiors], dtype=object)
    return [hole.exterior for hole in holes[true_area(holes) >= smallest_area_m2]]


def _coast_by_scale(
    shape: shapely.Geometry,
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Return the outline as one bundle of lines for each step of k, and k of each."""
    points, ring_of = shapely.get_coordinates(
        shapely.get_parts(shapely.boundary(shapely.segmentize(shape, LONGEST_EDGE_M))),
        return_index=True,
    )
    joined = np.flatnonzero(ring_of[1:] == ring_of[:-1])
    middle = (points[joined] + points[joined + 1]) / 2.0
    step = np.round(map_scale_at(*middle.T) / SCALE_STEP).astype(np.int64)
    # A new line begins with a new ring and wherever k passes to another step.
    begins = np.r_[True, (np.diff(joined) != 1) | (np.diff(step) != 0)]
    first = np.flatnonzero(begins)
    last = np.r_[first[1:], len(joined)] - 1
    lines = np.asarray(
        [
            shapely.LineString(points[joined[a] : joined[b] + 2])
            for a, b in zip(first, last, strict=True)
        ],
        dtype=object,
    )
    steps = np.unique(step)
    bundles = [shapely.multilinestrings(lines[step[first] == value]) for value in steps]
    return np.asarray(steps * SCALE_STEP, dtype=np.float64), np.asarray(bundles, dtype=object)


def _inland(shape: shapely.Geometry, distance_m: float) -> shapely.Geometry:
    """Return the ice farther than a true distance from its outline."""
    if distance_m == 0.0:
        return shape
    scales, lines = _coast_by_scale(_simplified(shape, COAST_SHARE * distance_m))
    near = shapely.buffer(lines, distance_m * scales, quad_segs=QUARTER_CIRCLE_EDGES)
    return shapely.difference(shape, shapely.union_all(near))


def _simplified(shape: shapely.Geometry, simplify_m: float) -> shapely.Geometry:
    if simplify_m <= 0.0:
        return shape
    simple = shapely.simplify(shape, simplify_m, preserve_topology=True)
    if not shapely.is_valid(simple):
        simple = shapely.make_valid(simple, method="structure", keep_collapsed=False)
    return simple


def _row(shape: shapely.Geometry, distance: float) -> dict[str, object]:
    """Return the gate around some ice."""
    turned = shapely.orient_polygons(shape, exterior_cw=True)
    rings = shapely.get_rings(shapely.get_parts(turned))
    lines = shapely.multilinestrings([shapely.LineString(ring) for ring in rings])
    return {
        "gate": f"inland-{distance:.0f}m",
        "name": f"{distance:g} m inland of the grounding line",
        "closed": True,
        "length_km": float(true_length(np.asarray([lines], dtype=object))[0]) / 1e3,
        "distance_m": distance,
        "geometry": lines,
    }
