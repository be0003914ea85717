"""When and along which line Landsat flies over a place: the orbit of 233 paths in 16 days.

The Worldwide Reference System 2 divides the orbit into 248 rows; row 60 is the descending crossing
of the equator and row 122 the southernmost. In an orbit the Earth turns by 16/233 of a circle below
the satellite, so the next orbit is that of the path 16 higher. Three real scenes fix the calendars.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy

PATHS, ROWS = 233, 248
CYCLE = timedelta(days=16)
INCLINATION = 98.2
"""Of the orbit [degrees]."""
FIRST_NODE = -64.60
"""Longitude of the descending crossing of the equator of path 1 [degrees]."""
EQUATOR_ROW, LAST_ROW = 60, 122
ROW_M = 40_030e3 / ROWS
"""From the centre of a row to the next along the ground [m]."""
SCENE_M = 180e3
"""Length of a scene, so that rows share a tenth [m]."""
HALF_SWATH_M = 92.5e3
"""From the middle line of the swath to its edge [m]."""

ANCHORS = {
    "landsat-7": (21, 30, datetime(2010, 1, 9, 16, 13, 46, tzinfo=UTC)),
    "landsat-8": (99, 120, datetime(2019, 11, 29, 1, 0, 37, tzinfo=UTC)),
    "landsat-9": (10, 65, datetime(2022, 1, 29, 15, 28, 34, tzinfo=UTC)),
}
"""Path, row and time of a real scene's centre."""

SERVICE = {
    "landsat-7": (datetime(1999, 7, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC)),
    "landsat-8": (datetime(2013, 4, 11, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)),
    "landsat-9": (datetime(2021, 11, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)),
}
"""When scenes of a satellite are taken, first and last; the paper's choice for Landsat 7."""

SCAN_LINES_FAILED = datetime(2003, 5, 31, tzinfo=UTC)
"""When the scan line corrector of Landsat 7 failed."""


@dataclass(frozen=True)
class Swath:
    """One pass of a satellite near a place, in a plane frame of EPSG:3031.

    Attributes
    ----------
    platform : str
        Such as ``landsat-8``.
    path : int
        Of WRS-2.
    moment : datetime
        When the satellite is over the frame's origin.
    x, y : float
        Origin of the frame, on the middle line of the swath [m].
    heading : float
        Of the flight, from +x to +y [rad].
    row : float
        Where along the orbit the origin is [rows].
    """

    platform: str
    path: int
    moment: datetime
    x: float
    y: float
    heading: float
    row: float

    def frame(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how far places are across the flight, to its right, and along it [m].

        Parameters
        ----------
        x, y : ndarray, shapes (...) that broadcast
            Coordinates of EPSG:3031 [m].
        """
        right, ahead = x - self.x, y - self.y
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return right * sin - ahead * cos, right * cos + ahead * sin

    def place(self, across: float, along: float) -> tuple[float, float]:
        """Return the coordinates of a place of the frame [m]."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return self.x + across * sin + along * cos, self.y - across * cos + along * sin

    def row_centre(self, row: int) -> float:
        """Return how far ahead the centre of a row is [m]."""
        return (row - self.row) * ROW_M

    def row_moment(self, row: int) -> datetime:
        """Return when the satellite is over the centre of a row."""
        return self.moment + (row - self.row) / ROWS * (CYCLE / PATHS)


def track(path: int, row: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ground below the satellite at rows of a path.

    On a circular orbit, with the angle u = 360° (row − 60) / 248 from the descending node::

        sin φ = −sin i sin u
        λ = λ_path + atan2(cos i sin u, cos u) − (16 / 233) u

    Parameters
    ----------
    path : int
        1 to 233.
    row : ndarray, shape (...)
        May be fractions.

    Returns
    -------
    latitude, longitude : ndarray, shape (...)
        Geodetic [degrees].
    """
    u = 2.0 * np.pi * (np.asarray(row) - EQUATOR_ROW) / ROWS
    tilt = math.radians(INCLINATION)
    centric = np.degrees(np.arcsin(-math.sin(tilt) * np.sin(u)))
    turned = np.degrees(np.arctan2(math.cos(tilt) * np.sin(u), np.cos(u)) - 16.0 / PATHS * u)
    longitude = FIRST_NODE - (path - 1) * 360.0 / PATHS + turned
    return geodesy.geodetic_latitude(centric), (longitude + 180.0) % 360.0 - 180.0


def swaths_over(x: float, y: float, *, reach: float) -> list[tuple[int, float, float]]:
    """Return the descending paths whose middle line comes near a place.

    Parameters
    ----------
    x, y : float
        A place in EPSG:3031 [m].
    reach : float
        How near [m].

    Returns
    -------
    list of tuple
        Path, row of the nearest point of its line, and distance to it [m].
    """
    rows = np.arange(EQUATOR_ROW + 40.0, LAST_ROW + 0.01, 0.01)
    found = []
    for path in range(1, PATHS + 1):
        distance = np.hypot(*np.subtract(_on_map(path, rows), [[x], [y]]))
        nearest = int(distance.argmin())
        if distance[nearest] <= reach:
            found.append((path, float(rows[nearest]), float(distance[nearest])))
    return found


def swath(platform: str, path: int, row: float, moment: datetime) -> Swath:
    """Return the pass over a point of a path."""
    (x_1, x_2), (y_1, y_2) = _on_map(path, np.array([row - 0.1, row + 0.1]))
    (x,), (y,) = _on_map(path, np.array([row]))
    heading = math.atan2(y_2 - y_1, x_2 - x_1)
    return Swath(platform, path, moment, float(x), float(y), heading, row)


def moments(
    platform: str, path: int, row: float, first: datetime, last: datetime
) -> Iterator[datetime]:
    """Yield when a satellite passes a row of a path, between two times and while it serves.

    An orbit takes 16 days / 233, and the orbits after the anchor are of the paths 16, 32, … higher.
    """
    start_path, start_row, start = ANCHORS[platform]
    orbits = (path - start_path) * pow(16, -1, PATHS) % PATHS
    moment = start + (orbits + (row - start_row) / ROWS) * (CYCLE / PATHS)
    begin, end = max(first, SERVICE[platform][0]), min(last, SERVICE[platform][1])
    moment += math.ceil((begin - moment) / CYCLE) * CYCLE
    while moment < end:
        yield moment
        moment += CYCLE


def _on_map(path: int, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x and y of points of a path, shape (2, n) [m]."""
    return np.stack(geodesy.polar_stereographic(*track(path, rows)))
