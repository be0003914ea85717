"""Where a point of the ellipsoid lies on the sphere of harmonics, and its solid angle.

Stokes coefficients are functions of *geocentric* latitude on a sphere; maps and polygons are given
in *geodetic* latitude on the ellipsoid. At 75° S the two differ by 0.096°, or 11 km. Many tools
read the one as the other; both readings are kept here because published totals were made with both.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import WGS84_E2, WGS84_SEMI_MAJOR
from pipelines.kernels.geodesy import geocentric_latitude

Reading = Literal["geocentric", "geographic"]


def latitude_on_sphere(latitude: NDArray[np.float64], *, reading: Reading) -> NDArray[np.float64]:
    """Return the latitude at which harmonics are evaluated for a geodetic latitude.

    Parameters
    ----------
    latitude : ndarray, shape (...)
        Geodetic latitude on WGS84 [degrees].
    reading : {"geocentric", "geographic"}
        ``geocentric`` converts, as geometry demands; ``geographic`` takes geodetic latitude as if
        the Earth were a sphere, as most gridded GRACE work does.

    Returns
    -------
    ndarray, shape (...)
        Latitude on the sphere [degrees].
    """
    if reading == "geocentric":
        return geocentric_latitude(latitude)
    return np.array(latitude, dtype=np.float64)


def solid_angle(
    area: NDArray[np.float64], latitude: NDArray[np.float64], *, reading: Reading
) -> NDArray[np.float64]:
    """Return the solid angle of a small patch of the ellipsoid, as the harmonics see it.

    A patch of true area A at geodetic latitude φ, geocentric latitude ψ and radius r fills

        Ω = A cos(φ − ψ) / r²        (geocentric)
        Ω = A / (M N)                (geographic: φ read as latitude on a sphere)

    with M, N the radii of curvature in the meridian and the prime vertical. Mass that a sphere of
    radius a carries with density σ is Σ σ a² Ω, which is what keeps the total of a band-limited
    field equal to 4π a² C₀₀ (decision record 0005).

    Parameters
    ----------
    area : ndarray, shape (...)
        True area of the patch [m²].
    latitude : ndarray, shape (...)
        Geodetic latitude of its centre [degrees].
    reading : {"geocentric", "geographic"}
        See :func:`latitude_on_sphere`.

    Returns
    -------
    ndarray, shape (...)
        Solid angle [sr].
    """
    phi = np.radians(latitude)
    w2 = 1.0 - WGS84_E2 * np.sin(phi) ** 2
    prime_vertical = WGS84_SEMI_MAJOR / np.sqrt(w2)
    if reading == "geographic":
        meridian = WGS84_SEMI_MAJOR * (1.0 - WGS84_E2) / w2**1.5
        return np.asarray(area / (meridian * prime_vertical))
    psi = np.radians(geocentric_latitude(latitude))
    radius2 = prime_vertical**2 * (np.cos(phi) ** 2 + ((1.0 - WGS84_E2) * np.sin(phi)) ** 2)
    return np.asarray(area * np.cos(phi - psi) / radius2)
