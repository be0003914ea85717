"""Harmonics of scattered points of mass, by a recursion of the world's own.

The products have their own, faster transforms; a truth that used them could not test them.
"""

import numpy as np
from numpy.typing import NDArray


def legendre_by_order(
    sine: NDArray[np.float64], *, m: int, j_max: int, sectoral: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Associated Legendre functions of one order, 4π-normalised, without Condon-Shortley phase.

    Holmes and Featherstone (2002), equations 11 and 12, upwards in degree.

    Parameters
    ----------
    sine : ndarray, shape (n,)
        Sine of geocentric latitude [1].
    m : int
        Order.
    j_max : int
        Maximum degree J.
    sectoral : ndarray, shape (n,)
        P_mm [1], see :func:`next_sectoral`.

    Returns
    -------
    ndarray, shape (J + 1 − m, n)
        P_jm for j = m to J [1].
    """
    functions = np.empty((j_max + 1 - m, sine.size))
    functions[0] = sectoral
    previous = np.zeros_like(sine)
    for j in range(m + 1, j_max + 1):
        up = np.sqrt((2 * j - 1) * (2 * j + 1) / ((j - m) * (j + m)))
        back = np.sqrt(
            (2 * j + 1) * (j + m - 1) * (j - m - 1) / ((j - m) * (j + m) * max(2 * j - 3, 1))
        )
        functions[j - m] = up * sine * functions[j - m - 1] - back * previous
        previous = functions[j - m - 1]
    return functions


def next_sectoral(
    sectoral: NDArray[np.float64], cosine: NDArray[np.float64], *, m: int
) -> NDArray[np.float64]:
    """Return P_(m+1)(m+1) from P_mm; cosine is that of latitude, all of shape (n,) [1]."""
    factor = np.sqrt(3.0) if m == 0 else np.sqrt((2 * m + 3) / (2 * m + 2))
    return np.asarray(factor * cosine * sectoral)


def sum_over_points(
    weights: NDArray[np.float64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    *,
    j_max: int,
) -> NDArray[np.float64]:
    """Sum weighted harmonics over points.

    ::

        A_jm = Σ_n w_n P_jm(sin ψ_n) {cos mλ_n, sin mλ_n}

    Parameters
    ----------
    weights : ndarray, shape (f, n)
        Weights of every field, for instance masses [any unit].
    latitude, longitude : ndarray, shape (n,)
        Geocentric latitude and longitude [degrees].
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (f, 2, J + 1, J + 1)
        Sums in the unit of the weights.
    """
    psi, azimuth = np.radians(latitude), np.radians(longitude)
    sine, cosine = np.sin(psi), np.cos(psi)
    sums = np.zeros((len(weights), 2, j_max + 1, j_max + 1))
    sectoral = np.ones_like(sine)
    for m in range(j_max + 1):
        functions = legendre_by_order(sine, m=m, j_max=j_max, sectoral=sectoral)
        sums[:, 0, m:, m] = (weights * np.cos(m * azimuth)) @ functions.T
        sums[:, 1, m:, m] = (weights * np.sin(m * azimuth)) @ functions.T
        sectoral = next_sectoral(sectoral, cosine, m=m)
    return sums


def real_harmonics(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], *, j_max: int
) -> NDArray[np.float64]:
    """Return every harmonic at a few points.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (n,)
        Geocentric latitude and longitude [degrees].
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (2, J + 1, J + 1, n)
        Y_jm [1].
    """
    one_each = np.eye(np.size(latitude))
    summed = sum_over_points(one_each, latitude, longitude, j_max=j_max)
    return np.moveaxis(summed, 0, -1)
