"""Named grids of the continent, and footprints that keep to one side of 180°.

The antimeridian is the half axis x = 0, y < 0 of EPSG:3031, and the pole is its origin. So a shape
is cut along both axes into quadrants, each of which lies in 90° of longitude with the pole at its
corner, where one point becomes the segment of the parallel 90° S between its neighbours' meridians.
No rule has to guess which way round an edge goes.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry import mapping

from stac.queries import QueryError

POLAR = "EPSG:3031"
GEOGRAPHIC = "EPSG:4326"
GEOCENTRIC = "EPSG:4978"
EDGE_M = 20_000.0
FARTHEST_M = 1.3e7
AT_POLE_M = 1e-3
LONGITUDE_STEP = np.radians(2.0)
WHOLE_GLOBE = (-180.0, -90.0, 180.0, 90.0)


@dataclass(frozen=True)
class Grid:
    """A regular grid in EPSG:3031; coordinates are those of cell centres.

    Parameters
    ----------
    name : str
        Name of the grid.
    west, south : float
        Outer edges of the first column and row [m].
    spacing : float
        Cell size [m].
    nx, ny : int
        Columns and rows.
    """

    name: str
    west: float
    south: float
    spacing: float
    nx: int
    ny: int

    @property
    def x(self) -> NDArray[np.float64]:
        """Cell centres along x, shape (nx,) [m], increasing."""
        return np.asarray(self.west + (np.arange(self.nx) + 0.5) * self.spacing, dtype=np.float64)

    @property
    def y(self) -> NDArray[np.float64]:
        """Cell centres along y, shape (ny,) [m], increasing."""
        return np.asarray(self.south + (np.arange(self.ny) + 0.5) * self.spacing, dtype=np.float64)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north edges [m]."""
        east = self.west + self.nx * self.spacing
        return self.west, self.south, east, self.south + self.ny * self.spacing

    @property
    def footprint(self) -> dict[str, Any]:
        """The grid's outline as GeoJSON, split at 180°."""
        return footprint(shapely.box(*self.bounds))


def covering(bounds: tuple[float, float, float, float], *, spacing: float, name: str = "") -> Grid:
    """Return the smallest grid around bounds [m] whose edges are multiples of the spacing [m].

    >>> covering((-950.0, 10.0, 950.0, 990.0), spacing=1000.0).bounds
    (-1000.0, 0.0, 1000.0, 1000.0)
    """
    west, south = (float(np.floor(edge / spacing)) * spacing for edge in bounds[:2])
    nx, ny = (int(np.ceil((high - low) / spacing - 1e-9)) for low, high in
              zip((west, south), bounds[2:], strict=True))  # fmt: skip
    return Grid(name, west, south, spacing, max(nx, 1), max(ny, 1))


CONTINENT_M = (-3_072_000.0, -3_072_000.0, 3_072_000.0, 3_072_000.0)
GRIDS: Mapping[str, Grid] = MappingProxyType(
    {
        name: covering(CONTINENT_M, spacing=spacing, name=name)
        for name, spacing in (
            ("antarctica-32km", 32_000.0),
            ("antarctica-16km", 16_000.0),
            ("antarctica-8km", 8_000.0),
            ("antarctica-4km", 4_000.0),
            ("antarctica-2km", 2_000.0),
            ("antarctica-1km", 1_000.0),
        )
    }
)


def whole_globe() -> dict[str, Any]:
    """Return the polygon of everything, for fields that cover the whole Earth."""
    return dict(mapping(shapely.box(*WHOLE_GLOBE)))


def footprint(shape: shapely.Geometry, *, edge_m: float = EDGE_M) -> dict[str, Any]:
    """Return polygons in EPSG:3031 as GeoJSON in longitude and latitude, never across 180°.

    With edges of 20 km at most, its outline is within 300 m of the shape's.

    Parameters
    ----------
    shape : Polygon or MultiPolygon
        Valid shape in EPSG:3031 [m].
    edge_m : float
        Longest edge after densification [m]; a straight edge here is a curve there.

    Raises
    ------
    QueryError
        If the shape is empty or beyond what EPSG:3031 can show.
    """
    if shape.is_empty or not np.isfinite(shape.bounds).all():
        msg = "the footprint is empty; give a polygon with an area in EPSG:3031"
        raise QueryError(msg)
    if np.abs(shape.bounds).max() > FARTHEST_M:
        msg = f"bounds {shape.bounds} m are not EPSG:3031 south of the equator; reproject the shape"
        raise QueryError(msg)
    polygons = [
        _geographic(polygon, east=east, edge_m=edge_m)
        for east, quadrant in _quadrants()
        for polygon in shapely.get_parts(shapely.intersection(shape, quadrant))
        if polygon.geom_type == "Polygon" and polygon.area > 0.0
    ]
    return dict(mapping(shapely.orient_polygons(shapely.union_all(polygons))))


def _quadrants() -> list[tuple[bool, shapely.Polygon]]:
    """Return (whether longitudes are positive, quadrant of the plane [m])."""
    far = FARTHEST_M
    return [
        (x > 0, shapely.box(min(x, 0.0), min(y, 0.0), max(x, 0.0), max(y, 0.0)))
        for x in (-far, far)
        for y in (-far, far)
    ]


def _geographic(polygon: shapely.Polygon, *, east: bool, edge_m: float) -> shapely.Polygon:
    """Return a polygon of one quadrant in longitude and latitude [°]."""
    dense = shapely.segmentize(polygon, edge_m)
    holes = [_ring(ring, east=east) for ring in dense.interiors]
    return shapely.make_valid(shapely.Polygon(_ring(dense.exterior, east=east), holes))


def _ring(ring: shapely.LinearRing, *, east: bool) -> NDArray[np.float64]:
    """Return the vertices of a ring, shape (n, 2) [°]; a vertex at the pole becomes two."""
    x, y = _refined(shapely.get_coordinates(ring), east=east)[:-1].T
    longitude = np.degrees(_longitude(x, y, east=east))
    latitude = np.asarray(_to_geographic().transform(x, y)[1])
    at_pole = np.hypot(x, y) < AT_POLE_M
    before, after = np.roll(longitude, 1), np.roll(longitude, -1)
    vertices: list[tuple[float, float]] = []
    for i in range(x.size):
        if at_pole[i]:
            vertices += [(before[i], -90.0), (after[i], -90.0)]
        else:
            vertices.append((longitude[i], latitude[i]))
    return np.array([*vertices, vertices[0]])


def _longitude(
    x: NDArray[np.float64], y: NDArray[np.float64], *, east: bool
) -> NDArray[np.float64]:
    """Return longitudes [rad]; the antimeridian is +π seen from the east and -π from the west."""
    longitude = np.arctan2(x, y)
    return np.where(np.abs(longitude) == np.pi, np.pi if east else -np.pi, longitude)


def _refined(points: NDArray[np.float64], *, east: bool) -> NDArray[np.float64]:
    """Add points where an edge that passes near the pole sweeps many degrees of longitude.

    The ray of longitude λ meets the line from (x₀, y₀) to (x₁, y₁) where
    x cos λ = y sin λ; inside a quadrant an edge never sweeps more than 90°.
    """
    longitude = _longitude(points[:, 0], points[:, 1], east=east)
    at_pole = np.hypot(points[:, 0], points[:, 1]) < AT_POLE_M
    refined = [points[:1]]
    for i in range(1, len(points)):
        first, last = points[i - 1], points[i]
        steps = int(np.ceil(abs(longitude[i] - longitude[i - 1]) / LONGITUDE_STEP))
        if steps > 1 and not (at_pole[i] or at_pole[i - 1]):
            angle = np.linspace(longitude[i - 1], longitude[i], steps + 1)[1:-1]
            across = np.stack([np.cos(angle), -np.sin(angle)])
            share = (first @ across) / ((first - last) @ across)
            refined.append(first + share[:, None] * (last - first))
        refined.append(points[i : i + 1])
    return np.concatenate(refined)


@functools.cache
def _to_geographic() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(POLAR, GEOGRAPHIC, always_xy=True)


def bounding_box(geometry: Mapping[str, Any]) -> list[float]:
    """Return west, south, east, north [°]; a footprint split at 180° spans all longitudes."""
    return [float(value) for value in shapely.geometry.shape(geometry).bounds]
