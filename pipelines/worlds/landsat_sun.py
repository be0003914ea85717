"""Where the sun stands over a place, what it lights and what lies in shadow."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

FLOAT32 = NDArray[np.float32]

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
PENUMBRA_M = 1.5
"""Height over which a cast shadow goes from full sun to none [m]."""
_FARTHEST = 96
"""Pixels along the ray to the sun that are looked at."""


def _ecliptic(moment: datetime) -> tuple[float, float, float]:
    """Return days since J2000, mean anomaly and ecliptic longitude of the sun [rad]."""
    days = (moment - _J2000).total_seconds() / 86_400.0
    anomaly = math.radians(357.529 + 0.98560028 * days)
    mean = math.radians(280.459 + 0.98564736 * days)
    centre = math.radians(1.915) * math.sin(anomaly) + math.radians(0.020) * math.sin(2 * anomaly)
    return days, anomaly, mean + centre


def earth_sun_distance(moment: datetime) -> float:
    """Return the distance from the Earth to the sun [astronomical units].

    Astronomical Almanac, low-precision formulas: R = 1.00014 − 0.01671 cos g − 0.00014 cos 2g.
    """
    _, anomaly, _ = _ecliptic(moment)
    return 1.00014 - 0.01671 * math.cos(anomaly) - 0.00014 * math.cos(2 * anomaly)


def sun_position(moment: datetime, latitude: float, longitude: float) -> tuple[float, float]:
    """Return elevation and azimuth of the sun, without refraction.

    Astronomical Almanac, low-precision formulas, good to 0.02° from 1950 to 2050.

    Parameters
    ----------
    moment : datetime
        With its time zone.
    latitude, longitude : float
        Geodetic [degrees].

    Returns
    -------
    elevation, azimuth : float
        [degrees]; azimuth from north over east, −180 to 180 as Landsat's metadata has it.
    """
    days, _, ecliptic = _ecliptic(moment)
    tilt = math.radians(23.439 - 0.00000036 * days)
    declination = math.asin(math.sin(tilt) * math.sin(ecliptic))
    ascension = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    sidereal = math.radians((280.46062 + 360.98564737 * days) % 360.0)
    hour = sidereal + math.radians(longitude) - ascension
    phi = math.radians(latitude)
    up = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(
        hour
    )
    east = -math.cos(declination) * math.sin(hour)
    north = math.cos(phi) * math.sin(declination) - math.sin(phi) * math.cos(
        declination
    ) * math.cos(hour)
    return math.degrees(math.asin(up)), math.degrees(math.atan2(east, north))


def towards(azimuth: float, longitude: float) -> tuple[float, float]:
    """Return the unit vector of EPSG:3031 that points to an azimuth.

    North points away from the pole, (sin λ, cos λ); east is (cos λ, −sin λ).

    Parameters
    ----------
    azimuth, longitude : float
        From north over east; of the place [degrees].

    Returns
    -------
    tuple of float
        Along x and y [1].
    """
    bearing = math.radians(azimuth + longitude)
    return math.sin(bearing), math.cos(bearing)


def lambert(
    height: FLOAT32, *, spacing: float, sun: tuple[float, float], elevation: float
) -> FLOAT32:
    """Return direct light on the slope over that on level ground, cos i / sin e.

    With slopes p = ∂h/∂x, q = ∂h/∂y and the sun's direction (s_x, s_y) on the map::

        cos i / sin e = (1 − (p s_x + q s_y) / tan e) / √(1 + p² + q²),  at least 0

    Parameters
    ----------
    height : ndarray of float32, shape (ny, nx)
        Surface height, row 0 in the north [m].
    spacing : float
        Size of a pixel [m].
    sun : tuple of float
        Unit vector to the sun, see :func:`towards` [1].
    elevation : float
        Of the sun [degrees].

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        [1].
    """
    down, right = np.gradient(height, np.float32(spacing))
    facing = (right * np.float32(sun[0]) - down * np.float32(sun[1])) / np.float32(
        math.tan(math.radians(elevation))
    )
    steepness = np.sqrt(1.0 + right * right + down * down)
    return np.asarray(np.maximum(1.0 - facing, 0.0) / steepness, dtype=np.float32)


def cast_shadow(
    height: FLOAT32, *, spacing: float, sun: tuple[float, float], elevation: float
) -> FLOAT32:
    """Return the part of the direct light that higher ground takes away.

    A point is dark where the surface anywhere along the ray to the sun rises above the ray.
    Rays are followed for as far as the relief can throw a shadow, at most :data:`_FARTHEST` pixels.

    Parameters
    ----------
    height, spacing, sun, elevation
        As in :func:`lambert`.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        0 in the sun, 1 in shadow, between over :data:`PENUMBRA_M`.
    """
    rise = spacing * math.tan(math.radians(elevation))
    steps = min(_FARTHEST, math.ceil(float(np.ptp(height)) / rise))
    above = np.zeros_like(height)
    for step in range(1, steps + 1):
        across, up = round(step * sun[0]), round(step * sun[1])
        here, there = _overlap(height.shape, -up, across)
        higher = height[there] - height[here]
        higher -= np.float32(rise * math.hypot(across, up))
        np.maximum(above[here], higher, out=above[here])
    return np.asarray(np.clip(above / np.float32(PENUMBRA_M), 0.0, 1.0), dtype=np.float32)


def _overlap(
    shape: tuple[int, ...], down: int, right: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the parts of an array that lie over each other after a shift: here, and there."""
    here, there = [], []
    for size, shift in zip(shape, (down, right), strict=True):
        shift = max(-size, min(size, shift))  # noqa: PLW2901 - a shift beyond the array shares nothing
        here.append(slice(max(0, -shift), size - max(0, shift)))
        there.append(slice(max(0, shift), size - max(0, -shift)))
    return (here[0], here[1]), (there[0], there[1])
