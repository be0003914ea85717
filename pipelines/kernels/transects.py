"""Lines across the ice sheet along which fields are shown (Sasgen et al., 2019, figures 3 and 6).

Waypoints are joined by straight lines of EPSG:3031 or by great circles; either way distances are
true ones on the ellipsoid: lengths on the map divided by its scale factor.
"""

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.geodesy import (
    inverse_polar_stereographic,
    map_scale,
    polar_stereographic,
    unit_vectors,
)

FLOAT = NDArray[np.float64]
Path = Literal["map", "great_circle"]

_DENSE_STEP = 1000.0
"""Length of the pieces that lines are measured by [m]; the scale varies by 1e-4 along one."""

DEFAULT_TRANSECTS: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "AA'": (
            (93.4, -68.7),
            (103.4, -68.0),
            (113.5, -69.3),
            (124.2, -68.5),
            (129.2, -68.8),
            (132.9, -68.1),
            (140.6, -68.6),
        ),
        "BB'": (
            (9.5, -72.3),
            (26.8, -72.8),
            (35.4, -71.7),
            (41.4, -71.8),
            (45.5, -69.7),
            (53.2, -68.9),
            (60.6, -69.3),
        ),
        "CC'": (
            (-64.0, -71.7),
            (-66.0, -73.6),
            (-76.2, -75.6),
            (-92.1, -75.6),
            (-96.7, -77.0),
            (-118.9, -76.5),
            (-126.1, -76.6),
        ),
        "aa'": ((119.4, -71.5), (114.1, -62.8)),
        "bb'": ((34.2, -74.4), (41.8, -65.8)),
        "cc'": ((-92.0, -79.4), (-105.1, -71.0)),
    }
)
"""Waypoints (longitude, latitude) [degrees] of the six transects; ours, not the paper's.

The paper draws them without coordinates and says: three of 2000 km about 200 km inland of the
grounding line and parallel to it, three of 1000 km across it. We took the outline of the MEaSUREs
grounded basins (v2), moved the coasts of Wilkes Land, of Dronning Maud and Enderby Land, and of the
Amundsen and Bellingshausen Seas 200 km inland in EPSG:3031, simplified the lines to about 30 km,
and cut them so that, counting from A, B and C, the point nearest to Totten Glacier (67.1° S,
116.2° E) is at 997 km, to Shirase Glacier (70.25° S, 38.8° E) at 1007 km, to Thwaites Glacier
(75.5° S, 106.5° W) at 1494 km and to Smith and Kohler Glaciers (75.2° S, 111.5° W) at 1636 km. AA'
and BB' run eastward, CC' from Palmer Land westward; they are 198, 196 and 151 km inland on average
(where the Peninsula is narrow, CC' keeps to its middle). aa', bb' and cc' start on the ice and
leave it at right angles to the line 200 km inland, crossing the grounding line of Totten, Shirase
and Pine Island Glaciers near 500 km. Coordinates are rounded to 0.1°.
"""


class TransectError(ValueError):
    """Waypoints or a spacing that make no line."""


class Transect(NamedTuple):
    """Points of a line.

    Attributes
    ----------
    longitude, latitude : ndarray, shape (p,)
        Geodetic coordinates on WGS84 [degrees], longitude in (−180, 180].
    distance_km : ndarray, shape (p,)
        True distance from the first waypoint along the line [km].
    """

    longitude: FLOAT
    latitude: FLOAT
    distance_km: FLOAT


def sample_transect(
    longitude: FLOAT, latitude: FLOAT, *, spacing_km: float, path: Path = "map"
) -> Transect:
    """Return points along a line, equally spaced from its first waypoint.

    ::

        s = ∫ |dx| / k        k: scale factor of EPSG:3031

    Parameters
    ----------
    longitude, latitude : ndarray, shape (w,)
        Waypoints, geodetic [degrees]; two at least, all in the southern hemisphere.
    spacing_km : float
        True distance of the points [km]. The last waypoint is a point only if the length is a
        multiple of it.
    path : {"map", "great_circle"}
        What joins the waypoints.

    Returns
    -------
    Transect

    Raises
    ------
    TransectError
        Fewer than two waypoints, one out of place or repeated, or a spacing that is not positive.

    Examples
    --------
    >>> across = sample_transect(np.array([0.0, 180.0]), np.array([-89.0, -89.0]), spacing_km=50.0)
    >>> across.latitude.round(2).tolist(), across.distance_km.tolist()
    ([-89.0, -89.45, -89.9, -89.66, -89.21], [0.0, 50.0, 100.0, 150.0, 200.0])
    """
    lon, lat = np.asarray(longitude, dtype=np.float64), np.asarray(latitude, dtype=np.float64)
    _check(lon, lat, spacing_km, path)
    x, y = _dense_map(lon, lat) if path == "map" else _dense_great_circle(lon, lat)
    middle, _ = inverse_polar_stereographic((x[1:] + x[:-1]) / 2.0, (y[1:] + y[:-1]) / 2.0)
    pieces = np.hypot(np.diff(x), np.diff(y)) / map_scale(middle)
    along = np.concatenate([[0.0], np.cumsum(pieces)]) / 1000.0
    count = int(along[-1] / spacing_km * (1.0 + 1e-12)) + 1
    distance: FLOAT = np.arange(count, dtype=np.float64) * spacing_km
    at_latitude, at_longitude = inverse_polar_stereographic(
        np.interp(distance, along, x), np.interp(distance, along, y)
    )
    return Transect(at_longitude, at_latitude, distance)


def default_transect(name: str, *, spacing_km: float = 5.0) -> Transect:
    """Return one of :data:`DEFAULT_TRANSECTS`, sampled.

    Parameters
    ----------
    name : str
        ``AA'``, ``BB'``, ``CC'``, ``aa'``, ``bb'`` or ``cc'``.
    spacing_km : float
        Distance of the points [km].

    Raises
    ------
    TransectError
        Another name.
    """
    if name not in DEFAULT_TRANSECTS:
        msg = f"found the transect {name!r}, expected one of {', '.join(DEFAULT_TRANSECTS)}"
        raise TransectError(msg)
    longitude, latitude = np.array(DEFAULT_TRANSECTS[name]).T
    return sample_transect(longitude, latitude, spacing_km=spacing_km)


def _dense_map(longitude: FLOAT, latitude: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return map coordinates of pieces of about a kilometre, straight between waypoints."""
    x, y = polar_stereographic(latitude, longitude)
    ends = np.stack([x, y], axis=-1)
    legs = [
        a + np.linspace(0.0, 1.0, _steps(float(np.hypot(*(b - a)))) + 1)[1:, None] * (b - a)
        for a, b in itertools.pairwise(ends)
    ]
    points = np.concatenate([ends[:1], *legs])
    return points[:, 0], points[:, 1]


def _dense_great_circle(longitude: FLOAT, latitude: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return map coordinates along great circles of the sphere of geodetic directions."""
    ends = unit_vectors(latitude, longitude)
    legs = []
    for a, b in itertools.pairwise(ends):
        angle = 2.0 * np.arcsin(np.clip(np.linalg.norm(b - a) / 2.0, 0.0, 1.0))
        f = np.linspace(0.0, 1.0, _steps(6.4e6 * float(angle)) + 1)[1:, None]
        legs.append((np.sin((1.0 - f) * angle) * a + np.sin(f * angle) * b) / np.sin(angle))
    points = np.concatenate([ends[:1], *legs])
    between = np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])))
    return polar_stereographic(between, np.degrees(np.arctan2(points[:, 1], points[:, 0])))


def _steps(length: float) -> int:
    return max(1, int(np.ceil(length / _DENSE_STEP)))


def _check(longitude: FLOAT, latitude: FLOAT, spacing_km: float, path: str) -> None:
    if longitude.ndim != 1 or longitude.shape != latitude.shape or longitude.size < 2:
        msg = (
            f"found longitudes of shape {longitude.shape} and latitudes of shape {latitude.shape}, "
            "expected (w,) for both with at least two waypoints"
        )
        raise TransectError(msg)
    if not (np.isfinite(longitude).all() and ((latitude >= -90.0) & (latitude < 0.0)).all()):
        msg = (
            f"found waypoints with latitudes {latitude.min():.1f}° to {latitude.max():.1f}°, "
            "expected −90° to the equator, and finite longitudes (longitude comes first)"
        )
        raise TransectError(msg)
    x, y = polar_stereographic(latitude, longitude)
    still = np.flatnonzero(np.hypot(np.diff(x), np.diff(y)) == 0.0)
    if still.size:
        msg = f"waypoints {still[0]} and {still[0] + 1} are the same point; drop one"
        raise TransectError(msg)
    if not 0.0 < spacing_km < np.inf:
        msg = f"found a spacing of {spacing_km} km, expected a positive one such as 5"
        raise TransectError(msg)
    if path not in get_args(Path):
        msg = f"found the path {path!r}, expected one of {', '.join(get_args(Path))}"
        raise TransectError(msg)
