"""Where the sun stands, for estimates of which passes have light."""

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import SECONDS_PER_DAY

FLOAT = NDArray[np.float64]

_J2000_S = 946_728_000.0
"""2000-01-01T12:00 UTC since 1970-01-01T00:00 UTC [s]."""


def sun_position(time: FLOAT, longitude: FLOAT, latitude: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return how high the sun stands and in which direction, without refraction.

    The low-precision formulas of the Astronomical Almanac (section C), with n the days since noon
    of 2000-01-01::

        g = 357.529° + 0.98560028° n,   L = 280.459° + 0.98564736° n
        λ = L + 1.915° sin g + 0.020° sin 2g,   ε = 23.439° − 0.00000036° n
        θ = 280.46062° + 360.98564737° n        sidereal time of Greenwich

    Parameters
    ----------
    time : ndarray, shape (...)
        Since 1970-01-01T00:00 UTC [s]; good to 0.02° from 1950 to 2050.
    longitude, latitude : ndarray, shape (...)
        Geodetic [degrees].

    Returns
    -------
    elevation, azimuth : ndarray, shape (...)
        Above the horizon; from north over east, −180 to 180 as in Landsat's metadata [degrees].

    Examples
    --------
    >>> noon_of_june_solstice = np.array(1_245_585_600.0)  # 2009-06-21T12:00
    >>> elevation, azimuth = sun_position(noon_of_june_solstice, np.array(0.0), np.array(50.0))
    >>> round(float(elevation), 1)
    63.4
    """
    days = (time - _J2000_S) / SECONDS_PER_DAY
    anomaly = np.radians(357.529 + 0.98560028 * days)
    mean = 280.459 + 0.98564736 * days
    ecliptic = np.radians(mean + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    tilt = np.radians(23.439 - 3.6e-7 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    hour = np.radians(280.46062 + 360.98564737 * days + longitude) - ascension
    phi = np.radians(latitude)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
    return np.degrees(np.arctan2(up, np.hypot(east, north))), np.degrees(np.arctan2(east, north))
