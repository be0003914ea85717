"""When Landsat 7, 8 and 9 pass over a place: the Worldwide Reference System 2, for estimates.

233 orbits take 16 days and then repeat. Each is a path, cut into 248 rows of equal angle; row 60 is
the descending crossing of the equator, row 122 the southernmost. The orbit is taken as a circle.
Five real scenes lie within 5 km of the centres given here, and their times within 2 minutes.

What a service holds is less than what passes: not every pass was switched on (over Antarctica
Landsat 7 was for a part of them), and a search limits cloud. Counts from here are upper bounds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.kernels.constants import SECONDS_PER_DAY, WGS84_E2, WGS84_SEMI_MAJOR
from pipelines.kernels.imagery.sun import sun_position

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

PATHS = 233
"""Orbits in a cycle, and paths."""
ROWS = 248
"""Rows of a path."""
EQUATOR_ROW = 60
"""Row at the descending crossing of the equator."""
SOUTHERNMOST_ROW = 122
"""Last row of the descending, daytime half of the orbit in the south."""
CYCLE_S = 16.0 * SECONDS_PER_DAY
"""After this the orbit repeats [s]."""
ORBIT_S = CYCLE_S / PATHS
"""From one descending crossing of the equator to the next, 98.88 min [s]."""
CYCLE_TURNS = 16
"""Turns of the Earth below the orbit's plane in a cycle; the next orbit's path is 16 higher."""
INCLINATION = np.radians(98.2)
"""Of the orbit (Landsat 7 and 8 data users' handbooks) [rad]."""
PATH_1_LONGITUDE = -64.60
"""Where path 1 crosses the equator southward [degrees] (handbooks: 64.60° W)."""
ORBIT_RADIUS = WGS84_SEMI_MAJOR + 705_000.0
"""Of the circle: 705 km above the equator (handbooks) [m]."""
SWATH_M, SCENE_LENGTH_M = 185_000.0, 180_000.0
"""Scenes across and along the track (Landsat 8 handbook; Landsat 7: 183 and 170 km) [m]."""

ANCHORS = {
    "landsat-7": (21, 30, "2010-01-09T16:13:46.0"),
    "landsat-8": (99, 120, "2019-11-29T01:00:37.6"),
    "landsat-9": (10, 65, "2022-01-29T15:28:34.4"),
}
"""Path, row and UTC time of the centre of a real scene of each satellite (its MTL)."""

LIFETIMES = {
    "landsat-7": ("1999-06-28", "2022-04-06"),
    "landsat-8": ("2013-04-11", "2100-01-01"),
    "landsat-9": ("2021-10-31", "2100-01-01"),
}
"""First day of scenes and the day after the last, on this orbit (USGS). Tang et al. (2026) use
Landsat 7 to March 2013 only: leave it out of the platforms of later summers to do the same."""

LEAST_SUN = 5.0
"""Sun elevation below which no scene is expected [degrees] (the acquisition plans' limit)."""


class Wrs2Error(ValueError):
    """A place, a path or a platform is not in the reference system."""


@dataclass(frozen=True)
class Passes:
    """Scenes that see a place, by time.

    Attributes
    ----------
    platform : ndarray of str, shape (granule,)
        Satellite, such as ``landsat-8``.
    path, row : ndarray of int, shape (granule,)
        Of the reference system.
    time : ndarray, shape (granule,)
        Of the scene's centre, since 1970-01-01T00:00 UTC [s].
    sun_elevation : ndarray, shape (granule,)
        At the scene's centre [degrees].
    """

    platform: NDArray[np.str_]
    path: INT
    row: INT
    time: FLOAT
    sun_elevation: FLOAT


def _angle(row: NDArray[np.generic]) -> FLOAT:
    """Return the angle θ along the orbit from the descending node to a row [rad]."""
    return np.asarray((row.astype(np.float64) - EQUATOR_ROW) * (2.0 * np.pi / ROWS))


def scene_centre(path: ArrayLike, row: ArrayLike) -> tuple[FLOAT, FLOAT]:
    """Return where the centre of a path and row lies.

    With θ the angle since the descending node, i the inclination, λ_p the node's longitude::

        sin ψ = −sin i sin θ
        λ = λ_p + atan2(cos i sin θ, cos θ) − (16/233) θ,   λ_p = −64.60° − (p − 1) 360°/233

    ψ is geocentric, at the satellite; the geodetic latitude of the point below it follows.

    Parameters
    ----------
    path, row : array_like of int, shape (...)
        1 to 233, 1 to 248.

    Returns
    -------
    longitude, latitude : ndarray, shape (...)
        Geodetic on WGS84 [degrees]; longitude from −180 to 180.

    Examples
    --------
    >>> longitude, latitude = scene_centre(1, 60)
    >>> round(float(longitude), 2), round(abs(float(latitude)), 2)
    (-64.6, 0.0)
    """
    paths, rows = np.asarray(path), np.asarray(row)
    _check_path_row(paths, rows)
    return _below(paths, _angle(rows))


def _below(path: NDArray[np.generic], theta: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return longitude and latitude below the satellite at an angle θ of a path [degrees]."""
    node = PATH_1_LONGITUDE - (path.astype(np.float64) - 1.0) * (360.0 / PATHS)
    along = np.arctan2(np.cos(INCLINATION) * np.sin(theta), np.cos(theta))
    longitude = node + np.degrees(along - theta * (CYCLE_TURNS / PATHS))
    geocentric = np.arcsin(-np.sin(INCLINATION) * np.sin(theta))
    return np.asarray((longitude + 180.0) % 360.0 - 180.0), np.degrees(_geodetic(geocentric))


def _geodetic(geocentric: FLOAT) -> FLOAT:
    """Return the geodetic latitude φ below a satellite of geocentric latitude ψ [rad].

    A few steps of tan φ = (z + e² N sin φ) / r_xy from φ = ψ; each is 150 times nearer.
    """
    z, across = ORBIT_RADIUS * np.sin(geocentric), ORBIT_RADIUS * np.cos(geocentric)
    phi = geocentric
    for _ in range(5):
        normal = WGS84_SEMI_MAJOR / np.sqrt(1.0 - WGS84_E2 * np.sin(phi) ** 2)
        phi = np.arctan2(z + WGS84_E2 * normal * np.sin(phi), across)
    return np.asarray(phi)


def _unit(longitude: FLOAT, latitude: FLOAT) -> FLOAT:
    """Return unit vectors (..., 3) of directions [degrees]."""
    lam, phi = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _frames(path: NDArray[np.generic], row: NDArray[np.generic]) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return unit vectors (..., 3) of each centre: up, along the track, to the right of it."""
    theta = _angle(row)
    up = _unit(*_below(path, theta))
    ahead = _unit(*_below(path, theta + 1e-4)) - _unit(*_below(path, theta - 1e-4))
    ahead -= (ahead * up).sum(axis=-1, keepdims=True) * up
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    return up, ahead, np.cross(ahead, up)


def footprint(path: int, row: int) -> tuple[FLOAT, FLOAT]:
    """Return the corners of a scene of 185 by 180 km.

    Parameters
    ----------
    path, row : int
        1 to 233, 1 to 248.

    Returns
    -------
    longitude, latitude : ndarray, shape (4,)
        Corners in the order of flight: front left, front right, back right, back left [degrees].
    """
    _check_path_row(np.asarray(path), np.asarray(row))
    up, ahead, right = _frames(np.asarray(path), np.asarray(row))
    along = np.array([1.0, 1.0, -1.0, -1.0])[:, None] * (SCENE_LENGTH_M / 2.0 / WGS84_SEMI_MAJOR)
    across = np.array([-1.0, 1.0, 1.0, -1.0])[:, None] * (SWATH_M / 2.0 / WGS84_SEMI_MAJOR)
    corner = up + np.tan(along) * ahead + np.tan(across) * right
    longitude = np.degrees(np.arctan2(corner[:, 1], corner[:, 0]))
    return longitude, np.degrees(np.arctan2(corner[:, 2], np.hypot(corner[:, 0], corner[:, 1])))


def scenes_over(
    longitude: ArrayLike, latitude: ArrayLike, *, descending: bool = True
) -> tuple[INT, INT]:
    """Return the paths and rows whose scenes hold at least one of the points.

    Parameters
    ----------
    longitude, latitude : array_like, shape (n,)
        Points that fill a region, a scene's size (100 km) apart at most [degrees].
    descending : bool
        Only the half of the orbit that flies south, by day.

    Returns
    -------
    path, row : ndarray of int, shape (scene,)
    """
    points = _unit(*_checked_points(longitude, latitude))
    rows = np.arange(1, (SOUTHERNMOST_ROW if descending else ROWS) + 1)
    path, row = (part.ravel() for part in np.meshgrid(np.arange(1, PATHS + 1), rows))
    up, ahead, right = _frames(path, row)
    reach = np.hypot(SWATH_M, SCENE_LENGTH_M) / 2.0 / WGS84_SEMI_MAJOR
    holds = np.zeros(path.size, dtype=bool)
    for point in points:
        near = np.flatnonzero((up @ point > np.cos(reach)) & ~holds)
        height = up[near] @ point
        along = np.abs(np.arctan2(ahead[near] @ point, height)) * WGS84_SEMI_MAJOR
        across = np.abs(np.arctan2(right[near] @ point, height)) * WGS84_SEMI_MAJOR
        holds[near] = (along <= SCENE_LENGTH_M / 2.0) & (across <= SWATH_M / 2.0)
    return path[holds], row[holds]


def acquisition_times(platform: str, path: int, row: int, *, first: str, last: str) -> FLOAT:
    """Return when a satellite passes over a path and row: every 16 days.

    Parameters
    ----------
    platform : str
        ``landsat-7``, ``landsat-8`` or ``landsat-9``.
    path, row : int
        1 to 233, 1 to 248.
    first, last : str
        From the begin of the first UTC day to the end of the last ("2011-11-01").

    Returns
    -------
    ndarray, shape (pass,)
        Since 1970-01-01T00:00 UTC, ascending, good to a few minutes [s]; those of the satellite's
        lifetime only.

    Examples
    --------
    >>> times = acquisition_times("landsat-7", 92, 84, first="2011-08-01", last="2011-08-31")
    >>> [str(np.datetime64(int(time), "s"))[:10] for time in times]
    ['2011-08-09', '2011-08-25']
    """
    _check_path_row(np.asarray(path), np.asarray(row))
    if platform not in ANCHORS:
        msg = f"there is no orbit of {platform!r}, expected one of {', '.join(ANCHORS)}"
        raise Wrs2Error(msg)
    known_path, known_row, known_time = ANCHORS[platform]
    orbits = (path - known_path) * pow(CYCLE_TURNS, -1, PATHS) % PATHS
    time = _seconds(known_time) + (orbits + (row - known_row) / ROWS) * ORBIT_S
    begin, end = LIFETIMES[platform]
    start = max(_seconds(first), _seconds(begin))
    stop = min(_seconds(last) + SECONDS_PER_DAY, _seconds(end))
    repeats = np.arange(np.ceil((start - time) / CYCLE_S), np.ceil((stop - time) / CYCLE_S))
    return np.asarray(time + CYCLE_S * repeats)


def _seconds(text: str) -> float:
    """Return a UTC time since 1970-01-01T00:00 [s]."""
    return float((np.datetime64(text, "ms") - np.datetime64(0, "ms")).astype(np.int64)) / 1e3


def passes_over(
    longitude: ArrayLike,
    latitude: ArrayLike,
    *,
    summer: int,
    platforms: Iterable[str] = tuple(ANCHORS),
    least_sun: float = LEAST_SUN,
) -> Passes:
    """Return the scenes that can see a region in a summer, on descending, sunlit passes.

    Parameters
    ----------
    longitude, latitude : array_like, shape (n,)
        Points that fill the region, 100 km apart at most [degrees].
    summer : int
        Y of the summer from 1 November Y to 31 March Y + 1.
    platforms : iterable of str
        Satellites.
    least_sun : float
        Least elevation of the sun at the scene's centre [degrees].

    Returns
    -------
    Passes
        By time.
    """
    path, row = scenes_over(longitude, latitude)
    days = {"first": f"{summer}-11-01", "last": f"{summer + 1}-03-31"}
    found = [
        (platform, p, r, time)
        for platform in platforms
        for p, r in zip(path.tolist(), row.tolist(), strict=True)
        for time in acquisition_times(platform, p, r, **days).tolist()
    ]
    names, paths, rows, times = zip(*found, strict=True) if found else ((), (), (), ())
    platform_of = np.array(names, dtype=np.str_)
    path_of, row_of = np.array(paths, dtype=np.int64), np.array(rows, dtype=np.int64)
    time_of = np.array(times, dtype=np.float64)
    sun, _ = sun_position(time_of, *_below(path_of, _angle(row_of)))
    lit = np.flatnonzero(sun > least_sun)
    order = lit[np.lexsort((row_of[lit], path_of[lit], time_of[lit]))]
    return Passes(platform_of[order], path_of[order], row_of[order], time_of[order], sun[order])


def count_granules(
    longitude: ArrayLike,
    latitude: ArrayLike,
    *,
    summer: int,
    platforms: Iterable[str] = tuple(ANCHORS),
    share: float = 1.0,
) -> int:
    """Return how many granules over a region a search for a summer can find at most.

    Parameters
    ----------
    longitude, latitude, summer, platforms
        See :func:`passes_over`.
    share : float
        Part of the passes that was acquired and passes the search [1]; 1 is an upper bound.

    Returns
    -------
    int
        Granules, to the nearest whole one.
    """
    if not 0.0 <= share <= 1.0:
        msg = f"share is {share:g}, expected the acquired part of all passes, from 0 to 1"
        raise Wrs2Error(msg)
    seen = passes_over(longitude, latitude, summer=summer, platforms=platforms)
    return round(share * seen.time.size)


def _checked_points(longitude: ArrayLike, latitude: ArrayLike) -> tuple[FLOAT, FLOAT]:
    lam = np.atleast_1d(np.asarray(longitude, dtype=np.float64))
    phi = np.atleast_1d(np.asarray(latitude, dtype=np.float64))
    sound = lam.shape == phi.shape and lam.ndim == 1 and bool(np.isfinite(lam).all())
    if not (sound and bool((np.abs(phi) <= 90.0).all())):
        msg = (
            f"longitudes {lam.shape} and latitudes {phi.shape} are no points: expected as many of "
            "each, finite, latitudes from −90 to 90"
        )
        raise Wrs2Error(msg)
    return lam, phi


def _check_path_row(path: NDArray[np.generic], row: NDArray[np.generic]) -> None:
    for name, values, most in (("path", path, PATHS), ("row", row, ROWS)):
        if values.size and not (values.min() >= 1 and values.max() <= most):
            msg = f"{name} runs from {values.min()} to {values.max()}, expected 1 to {most}"
            raise Wrs2Error(msg)
