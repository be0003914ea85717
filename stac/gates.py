"""Flux gates: any lines or polygons that somebody drew across the ice, as one table of lines.

A gate may be open (across an outlet) or closed (around a region). Lines keep the direction in which
they were drawn: the flow turns closed ones clockwise, and open ones by the ice that crosses them.
Polygons become their rings, and parts of a line that meet end to end become one.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from stac import boundaries
from stac.boundaries import DEGREE_STEP, ELLIPSOID, NORTHERNMOST, BoundaryError
from stac.grids import GEOGRAPHIC, POLAR
from stac.polar_axes import is_polar

SUFFIXES = boundaries.SUFFIXES
ID_COLUMNS = ("gate", "id", "name")
"""Columns that may name gates, in the order in which they are looked for; case does not matter."""
SHAPES = ("LineString", "LinearRing", "MultiLineString", "Polygon", "MultiPolygon")
EDGE_M = 1_000.0
"""Longest edge before a gate is projected, and when its length is measured [m]."""
CLOSED_M = 1.0
"""Ends of a line that are nearer than this are one point [m]."""
SHORTEST_M = 1.0
"""A gate shorter than this is none [m]."""


class GateFileError(BoundaryError):
    """A file of gates that cannot be used: what was found, what was expected."""


@dataclass(frozen=True)
class Place:
    """A point: coordinates in EPSG:3031 [m]."""

    x: float
    y: float

    def __str__(self) -> str:
        to_geographic = pyproj.Transformer.from_crs(POLAR, GEOGRAPHIC, always_xy=True)
        longitude, latitude = to_geographic.transform(self.x, self.y)
        return f"x = {self.x:.0f}, y = {self.y:.0f} m ({latitude:.3f}°, {longitude:.3f}°)"


def read_gates(parts: Mapping[str, bytes], *, name: str) -> gpd.GeoDataFrame:
    """Read lines or polygons from a GeoPackage, GeoJSON file or shapefile.

    Parameters
    ----------
    parts : mapping of str to bytes
        Suffix and bytes of each file: one, or the four of a shapefile (and ``.cpg``).
    name : str
        File name, for messages.

    Returns
    -------
    GeoDataFrame
        Columns ``gate`` (id as text, from `ID_COLUMNS`; 1, 2, … if there is none), ``name``,
        ``closed``, ``length_km`` (true length on WGS84), ``geometry`` (LineString or
        MultiLineString, EPSG:3031); ``attrs["remarks"]`` tells what was chosen or changed.

    Raises
    ------
    GateFileError
        A gate of one node, one that crosses itself, one north of 50° S, two of one id, points.
    BoundaryError
        No file of shapes, damaged, empty, or without a coordinate system.
    """
    raw = boundaries.read_shapes(parts, name, shape="line")
    _require_antarctic(raw, name)
    gates, remarks = _identities(raw, name)
    _require_lines(raw, gates, name)
    lines = _project(raw)
    closed = [_closed(line, f"{name}: gate {g!r}") for g, line in zip(gates, lines, strict=True)]
    lengths = [true_length_km(line) for line in lines]
    columns = {"gate": gates, "name": _names(raw, gates), "closed": closed, "length_km": lengths}
    table = gpd.GeoDataFrame(columns, geometry=lines, crs=POLAR)
    table.attrs["remarks"] = remarks
    return table


def true_length_km(line: shapely.Geometry) -> float:
    """Length [km] on the WGS84 ellipsoid of lines in EPSG:3031.

    Geodesics between points at most 1 km apart (Karney 2013) stand for the straight edges of the
    projection.

    >>> round(true_length_km(shapely.LineString([(0.0, 0.0), (0.0, 1.0e5)])), 2)
    102.8
    """
    to_geographic = pyproj.Transformer.from_crs(POLAR, GEOGRAPHIC, always_xy=True)
    geod = pyproj.Geod(ellps=ELLIPSOID)
    total = 0.0
    for part in shapely.get_parts(shapely.segmentize(line, EDGE_M)):
        longitude, latitude = to_geographic.transform(*shapely.get_coordinates(part).T)
        total += float(geod.line_length(longitude, latitude))
    return total / 1.0e3


def _identities(raw: gpd.GeoDataFrame, name: str) -> tuple[list[str], list[str]]:
    """Return an id for each gate, and a remark if the file has none."""
    found = _column(raw, ID_COLUMNS)
    if found is None:
        numbered = [str(i + 1) for i in range(len(raw))]
        return numbered, [f"gates numbered 1 to {len(raw)}: no column {', '.join(ID_COLUMNS)}"]
    gates = _texts(raw[found])
    if "" in gates:
        msg = f"{name}: row {gates.index('')} has no {found}; give every gate one, or drop {found}"
        raise GateFileError(msg)
    twice = sorted({gate for gate in gates if gates.count(gate) > 1})
    if twice:
        msg = (
            f"{name}: gates {twice} come more than once in column {found!r}, expected an id of its "
            "own for each; rename them, or join their lines into one gate"
        )
        raise GateFileError(msg)
    return gates, []


def _names(raw: gpd.GeoDataFrame, gates: list[str]) -> list[str]:
    """Return the names of gates, their ids where they have none."""
    found = _column(raw, ("name",))
    names = gates if found is None else _texts(raw[found])
    return [own or gate for own, gate in zip(names, gates, strict=True)]


def _column(raw: gpd.GeoDataFrame, wanted: tuple[str, ...]) -> str | None:
    """Return the first of some columns that holds anything."""
    lower = {str(column).lower(): str(column) for column in raw.columns}
    return next((lower[c] for c in wanted if c in lower and raw[lower[c]].notna().any()), None)


def _texts(column: Iterable[Any]) -> list[str]:
    """Return ids as text: 22, 22.0 and "22" are all "22"; accents in one spelling."""
    return [
        "" if pd.isna(value)
        else str(int(value)) if isinstance(value, float) and value.is_integer()
        else unicodedata.normalize("NFC", str(value)).strip()
        for value in column
    ]  # fmt: skip


def _require_lines(raw: gpd.GeoDataFrame, gates: list[str], name: str) -> None:
    for gate, shape in zip(gates, raw.geometry, strict=True):
        if shape is None or shape.is_empty:
            msg = (
                f"{name}: gate {gate!r} has no geometry, or a single node; expected a line of two "
                "nodes at least: draw it again, or remove it"
            )
            raise GateFileError(msg)
        if shape.geom_type not in SHAPES:
            msg = (
                f"{name}: gate {gate!r} is a {shape.geom_type}, expected a line or a polygon; join "
                "its points to a line"
            )
            raise GateFileError(msg)


def _require_antarctic(raw: gpd.GeoDataFrame, name: str) -> None:
    points = shapely.get_coordinates(raw.geometry.to_numpy())
    if not len(points):
        return
    if raw.crs.is_geographic and np.abs(points).max() > 360.0:
        msg = (
            f"{name} says longitude and latitude ({raw.crs.to_string()[:40]}) but holds "
            f"coordinates up to {np.abs(points).max():.0f}; they look like metres: write the "
            f"coordinate system into the file, such as ogr2ogr -a_srs {POLAR} NEW.gpkg FILE"
        )
        raise GateFileError(msg)
    to_geographic = pyproj.Transformer.from_crs(raw.crs, GEOGRAPHIC, always_xy=True)
    latitude = np.asarray(to_geographic.transform(points[:, 0], points[:, 1])[1])
    if not (latitude <= NORTHERNMOST).all() or (latitude < -90.0).any():
        msg = (
            f"{name} reaches latitude {latitude.max():.2f}° ({raw.crs.to_string()[:40]}), expected "
            f"gates south of {-NORTHERNMOST:.0f}° S; check the file, its coordinate system and the "
            "order of longitude and latitude"
        )
        raise GateFileError(msg)


def _project(raw: gpd.GeoDataFrame) -> list[shapely.Geometry]:
    """Return lines in EPSG:3031 without heights; edges that bend there are cut up first."""
    lines = [_outlines(shape) for shape in shapely.force_2d(raw.geometry.to_numpy())]
    if raw.crs.is_geographic:
        lines = [shapely.transform(line, _unrolled) for line in lines]
        lines = list(shapely.segmentize(lines, DEGREE_STEP))
    elif not is_polar(raw.crs):
        lines = list(
            shapely.segmentize(lines, EDGE_M / raw.crs.axis_info[0].unit_conversion_factor)
        )
    return [_tidy(line) for line in gpd.GeoSeries(lines, crs=raw.crs).to_crs(POLAR)]


def _outlines(shape: shapely.Geometry) -> shapely.Geometry:
    """Return the rings of polygons as lines, and lines with the parts joined that meet."""
    if shape.geom_type == "MultiLineString":
        return shapely.line_merge(shape)
    if shape.geom_type not in {"Polygon", "MultiPolygon"}:
        return shape
    rings = shapely.get_rings(shapely.get_parts(shape))
    return shapely.multilinestrings([_without_pole(shapely.get_coordinates(r)) for r in rings])


def _without_pole(points: NDArray[np.float64]) -> shapely.LineString:
    """Drop the corners at 90° S that close a ring around the pole on a map of longitudes."""
    kept = points[points[:, 1] != -90.0]
    if len(kept) < len(points):
        kept = np.concatenate([kept, kept[:1]])
    return shapely.LineString(kept)


def _unrolled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let no edge go round the pole the long way, as from 179° to -179°."""
    return np.column_stack([np.unwrap(points[:, 0], period=360.0), points[:, 1]])


def _tidy(line: shapely.Geometry) -> shapely.Geometry:
    """Drop repeated nodes, and close rings whose ends differ by rounding."""
    parts = []
    for part in shapely.get_parts(line):
        points = shapely.get_coordinates(part)
        if len(points) > 3 and np.hypot(*(points[0] - points[-1])) <= CLOSED_M:
            points[-1] = points[0]
        parts.append(shapely.remove_repeated_points(shapely.LineString(points)))
    return parts[0] if len(parts) == 1 else shapely.multilinestrings(parts)


def _closed(line: shapely.Geometry, what: str) -> bool:
    """Say whether a gate is closed; refuse one that is no gate."""
    _require_length(line, what)
    _require_simple(line, what)
    each = {bool(part.is_closed) for part in shapely.get_parts(line)}
    if len(each) > 1:
        msg = (
            f"{what} has closed and open parts, expected one or the other; give each part an id of "
            "its own"
        )
        raise GateFileError(msg)
    return each.pop()


def _require_length(line: shapely.Geometry, what: str) -> None:
    parts = shapely.get_parts(line)
    if (shapely.length(parts) < SHORTEST_M).any():
        x, y = shapely.get_coordinates(parts[shapely.length(parts).argmin()])[0]
        msg = (
            f"{what} has a part of length zero at {Place(x, y)}: all its nodes are one; "
            "expected a line of two nodes at least: draw it again, or remove it"
        )
        raise GateFileError(msg)


def _require_simple(line: shapely.Geometry, what: str) -> None:
    if not line.is_simple:
        where = next(_crossings(line), Place(*shapely.get_coordinates(line)[0]))
        msg = (
            f"{what} crosses or touches itself at {where}, so part of the flux would count twice; "
            "move the nodes there apart, or split the gate"
        )
        raise GateFileError(msg)


def _crossings(line: shapely.Geometry) -> Iterator[Place]:
    """Yield points that two edges share although they are not neighbours, or lie in each other."""
    edges = np.concatenate([_edges(part) for part in shapely.get_parts(line)])
    pairs = shapely.STRtree(edges).query(edges, predicate="intersects").T
    for i, j in pairs[pairs[:, 0] < pairs[:, 1]]:
        shared = shapely.intersection(edges[i], edges[j])
        ends = shapely.get_coordinates([edges[i], edges[j]]).reshape(2, 2, 2)
        meets = {tuple(end) for end in ends[0]} & {tuple(end) for end in ends[1]}
        point = shapely.get_coordinates(shared)[0]
        if shared.length > 0.0 or tuple(point) not in meets:
            yield Place(float(point[0]), float(point[1]))
    nodes, counts = np.unique(shapely.get_coordinates(edges), axis=0, return_counts=True)
    for x, y in nodes[counts > 2]:
        yield Place(float(x), float(y))


def _edges(part: shapely.LineString) -> NDArray[np.object_]:
    points = shapely.get_coordinates(part)
    made: NDArray[np.object_] = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1))
    return made
