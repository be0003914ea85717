"""The plane in which the synthetic continent is laid out: true areas, closed-form coordinates.

A Lambert azimuthal plane about the South Pole whose radius is built from authalic latitude, so
that an area of the plane is the area on the WGS84 ellipsoid, exactly. A field whose divergence
is known in this plane therefore conserves true mass. A point is one complex number,
Z = r (sin λ + i cos λ) [m], as the axes of EPSG:3031 lie. Only the southern hemisphere is used.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.kernels.constants import WGS84_E2, WGS84_SEMI_MAJOR

_ECCENTRICITY = float(np.sqrt(WGS84_E2))

_NEWTON_STEPS = 4


def radius(latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the pole in the equal-area plane.

    Snyder (1987), equations 3-12 and 24-23, polar aspect::

        r = a √(q_pole − |q(φ)|)

    Parameters
    ----------
    latitude : ndarray, shape (...)
        Geodetic latitude, southern [degrees].

    Returns
    -------
    ndarray, shape (...)
        Radius r [m], with r dr dλ the true area.
    """
    colatitude = np.radians(90.0 + np.asarray(latitude, dtype=np.float64))
    # q_pole − q loses digits near the pole; its own series in sin²(colatitude/2) does not.
    sine = np.cos(colatitude)
    versine = 2.0 * np.sin(colatitude / 2.0) ** 2
    e, e2 = _ECCENTRICITY, WGS84_E2
    rational = versine * (1.0 + e2 * sine) / ((1.0 - e2) * (1.0 - e2 * sine**2))
    logarithm = np.arctanh(e * versine / (1.0 - e2 * sine)) / e
    gap = (1.0 - e2) * (rational + logarithm)
    return np.asarray(WGS84_SEMI_MAJOR * np.sqrt(gap))


def _latitude_from_radius(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert :func:`radius` by Newton steps: dr/d(colatitude) = p M / r [m]."""
    colatitude = 2.0 * np.arcsin(r / (2.0 * WGS84_SEMI_MAJOR))
    for _ in range(_NEWTON_STEPS):
        latitude = np.degrees(colatitude) - 90.0
        slope = stretch(latitude)[0] * _meridian_radius(np.sin(np.radians(latitude)))
        colatitude = colatitude - (radius(latitude) - r) / slope
    return np.asarray(np.degrees(colatitude) - 90.0)


def _meridian_radius(sine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radius of curvature in the meridian M [m]."""
    return np.asarray(WGS84_SEMI_MAJOR * (1.0 - WGS84_E2) / (1.0 - WGS84_E2 * sine**2) ** 1.5)


def stretch(latitude: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths in the plane over true lengths, along the meridian and along the parallel.

    Equal area makes the two reciprocal::

        dr / ds = p / r        r dλ / (p dλ) = r / p        p = N cos φ

    Parameters
    ----------
    latitude : ndarray, shape (...)
        Geodetic latitude, southern [degrees].

    Returns
    -------
    meridional, zonal : ndarray, shape (...)
        Plane over true length [1]; both are 1 at the pole.
    """
    colatitude = np.radians(90.0 + np.asarray(latitude, dtype=np.float64))
    prime_vertical = WGS84_SEMI_MAJOR / np.sqrt(1.0 - WGS84_E2 * np.cos(colatitude) ** 2)
    parallel = prime_vertical * np.sin(colatitude)
    r = radius(latitude)
    at_pole = r == 0.0
    zonal = np.where(at_pole, 1.0, r / np.where(at_pole, 1.0, parallel))
    return 1.0 / zonal, zonal


def plane_from_geodetic(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Position in the equal-area plane of points given in geodetic degrees.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (...)
        Geodetic latitude and longitude on WGS84 [degrees].

    Returns
    -------
    ndarray, shape (...)
        Z = r (sin λ + i cos λ) [m].

    Examples
    --------
    >>> import numpy as np
    >>> z = plane_from_geodetic(np.array(-75.0), np.array(90.0))
    >>> float(np.round(z.real, 3)), bool(abs(z.imag) < 1e-6)
    (1670250.014, True)
    """
    azimuth = np.radians(longitude)
    return np.asarray(radius(latitude) * (np.sin(azimuth) + 1j * np.cos(azimuth)))


def geodetic_from_plane(
    z: NDArray[np.complex128],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Invert :func:`plane_from_geodetic`.

    Parameters
    ----------
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    latitude, longitude : ndarray, shape (...)
        Geodetic degrees; longitude in (−180, 180].
    """
    z = np.asarray(z, dtype=np.complex128)
    return _latitude_from_radius(np.abs(z)), np.degrees(np.arctan2(z.real, z.imag))


def plane_from_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Position in the equal-area plane of points of EPSG:3031.

    Parameters
    ----------
    x, y : ndarray, shape (...)
        Coordinates in EPSG:3031 [m].

    Returns
    -------
    ndarray, shape (...)
        Z [m].
    """
    return plane_from_geodetic(*geodesy.inverse_polar_stereographic(x, y))


def map_from_plane(
    z: NDArray[np.complex128],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates in EPSG:3031 of points of the equal-area plane.

    Parameters
    ----------
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    x, y : ndarray, shape (...)
        Coordinates in EPSG:3031 [m].
    """
    return geodesy.polar_stereographic(*geodetic_from_plane(z))


def true_vector(
    in_plane: NDArray[np.complex128], z: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Flux density on the ground of a flux density in the equal-area plane.

    Mass that crosses a line is the same in both, lengths differ by
    :func:`stretch`, so with p the radius of the parallel

        Φ_out = f_r r / p        Φ_east = f_λ p / r

    Directions from the pole are the same in the plane and in EPSG:3031.

    Parameters
    ----------
    in_plane : ndarray, shape (...)
        f_X + i f_Y [kg m⁻¹ yr⁻¹].
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    ndarray, shape (...)
        Φ_x + i Φ_y along the axes of EPSG:3031, per true metre [kg m⁻¹ yr⁻¹].
    """
    r = np.abs(z)
    outward = np.where(r > 0.0, z / np.where(r > 0.0, r, 1.0), 1.0)
    turned = in_plane * np.conj(outward)
    meridional, zonal = stretch(geodetic_from_plane(z)[0])
    return np.asarray((turned.real * zonal + 1j * turned.imag * meridional) * outward)
