"""How thick the synthetic ice is: a Vialov profile inland, a thinning wedge where it floats."""

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds import equal_area, ice_flow

FRONT_THICKNESS = 240.0
"""Thickness at the front of a shelf [m]."""
GROUNDING_LINE_THICKNESS = (380.0, 900.0)
"""At the grounding line: between streams, and added in the middle of one [m]."""
EASTERN_DOME = (-81.0, 80.0, 1.2e6, 2700.0)
WESTERN_DOME = (-79.0, 255.0, 0.75e6, 1000.0)
"""Latitude, longitude [degrees], spread [m] and height above the rest [m] of a dome."""
DIVIDE_THICKNESS = 900.0
"""Thickness of a divide away from the domes [m]."""
VIALOV = (4.0 / 3.0, 3.0 / 8.0)
"""Exponents (n + 1)/n and n/(2n + 2) of Vialov (1958) with Glen's n = 3 [1]."""


def divide(z: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return the thickness that the ice would have without a margin.

    Parameters
    ----------
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    ndarray, shape (...)
        H_d [m], highest at the domes.
    """
    total = np.full(np.shape(z), DIVIDE_THICKNESS)
    for latitude, longitude, spread, height in (EASTERN_DOME, WESTERN_DOME):
        dome = equal_area.plane_from_geodetic(np.asarray(latitude), np.asarray(longitude))
        total = total + height * np.exp(-0.5 * (np.abs(z - dome) / spread) ** 2)
    return total


def margin(nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the thickness at the grounding line, deeper where a stream crosses it.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    ndarray, shape (...)
        H_gl [m].
    """
    between, added = GROUNDING_LINE_THICKNESS
    peak = 2.0 * ice_flow.FOCUS / (1.0 - ice_flow.FOCUS)
    return np.asarray(between + added * np.maximum(ice_flow.gathering(nu)[0], 0.0) / peak)


def grounded(
    inland: NDArray[np.float64], at_margin: NDArray[np.float64], fraction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the thickness between the divide and a grounding line of finite thickness.

    Vialov (1958), raised to stand on H_gl instead of zero::

        H = H_gl + (H_d − H_gl) (1 − t^{4/3})^{3/8}

    Parameters
    ----------
    inland, at_margin : ndarray, shape (...)
        H_d and H_gl [m].
    fraction : ndarray, shape (...)
        Way from the divide (0) to the grounding line (1) t [1].

    Returns
    -------
    ndarray, shape (...)
        H [m].
    """
    inner, outer = VIALOV
    return np.asarray(at_margin + (inland - at_margin) * (1.0 - fraction**inner) ** outer)


def floating(
    at_margin: NDArray[np.float64], beyond: NDArray[np.float64], reach: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the thickness between the grounding line and the shelf front.

    Parameters
    ----------
    at_margin : ndarray, shape (...)
        H_gl [m].
    beyond : ndarray, shape (...)
        Distance past the grounding line in μ [1].
    reach : ndarray, shape (...)
        Distance of the front in μ, 0 where no ice floats [1].

    Returns
    -------
    ndarray, shape (...)
        H [m]; 0 beyond the front.
    """
    spent = np.clip(beyond / np.where(reach > 0.0, reach, 1.0), 0.0, 1.0)
    wedge = FRONT_THICKNESS + (at_margin - FRONT_THICKNESS) * (1.0 - spent) ** 2
    return np.where(beyond < reach, wedge, 0.0)
