"""What the synthetic ice sheet is given and what it gains or loses, in closed form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.equal_area import plane_from_geodetic
from pipelines.worlds.outline import bump


@dataclass(frozen=True)
class Anomaly:
    """A patch of the ice sheet that gains or loses mass.

    Attributes
    ----------
    name : str
        Where it is.
    latitude, longitude : float
        Its middle, geodetic [degrees].
    spread : float
        Standard deviation of the Gaussian in the equal-area plane [m].
    rate : float
        Rate of mass change in its middle [kg m⁻² yr⁻¹].
    """

    name: str
    latitude: float
    longitude: float
    spread: float
    rate: float


@dataclass(frozen=True)
class Wetness:
    """A stretch of coast with more or less snowfall than the rest.

    Attributes
    ----------
    name : str
        Where it is.
    bearing, sharpness : float
        Middle ν [rad] and κ of :func:`pipelines.worlds.outline.bump` [1].
    excess : float
        Accumulation at the coast beyond :data:`COASTAL_ACCUMULATION` [kg m⁻² yr⁻¹].
    """

    name: str
    bearing: float
    sharpness: float
    excess: float


ANOMALIES = (
    Anomaly("Amundsen", -75.9, 254.5, 195e3, -610.0),
    Anomaly("Bellingshausen", -74.6, 278.0, 180e3, -110.0),
    Anomaly("horn", -68.5, 296.0, 270e3, -140.0),
    Anomaly("Totten", -68.8, 116.0, 250e3, -85.0),
    Anomaly("Maud", -73.0, 15.0, 400e3, 50.0),
    Anomaly("Enderby", -69.5, 48.0, 260e3, 60.0),
    Anomaly("Kamb", -82.0, 222.0, 180e3, 45.0),
)
"""Losses and gains of about the size observed in 2011-2017; their sum is the world's own."""
OUTLETS = (
    Anomaly("middle Amundsen glacier", -75.10, 255.07, 32e3, -1500.0),
    Anomaly("western Amundsen glacier", -75.22, 248.26, 32e3, -1100.0),
    Anomaly("eastern Amundsen glacier", -74.74, 262.13, 32e3, -700.0),
    Anomaly("Bellingshausen glacier", -73.96, 277.82, 32e3, -450.0),
    Anomaly("Totten glacier", -66.94, 117.90, 36e3, -500.0),
)
"""Glaciers that thin at the mouths of streams, as ``anomalies=ANOMALIES + OUTLETS`` of a world that
is to show more at 40 km than its coast. None is narrower than the quadrature of basins resolves."""

WETNESS = (
    Wetness("west coast", -3.0, 3.0, 950.0),
    Wetness("horn", 2.50, 60.0, 700.0),
    Wetness("western embayment", -1.92, 30.0, -230.0),
    Wetness("northern embayment", 2.05, 30.0, -230.0),
    Wetness("Wilkes coast", -0.75, 6.0, 120.0),
)
INTERIOR_ACCUMULATION = 40.0
"""At the divide [kg m⁻² yr⁻¹]."""
COASTAL_ACCUMULATION = 260.0
"""At the grounding line, before :data:`WETNESS` [kg m⁻² yr⁻¹]."""
ACCUMULATION_POWER = 4


def coastal_accumulation(
    nu: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accumulation at the grounding line and its slope.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    rate, slope : ndarray, shape (...)
        [kg m⁻² yr⁻¹] and [kg m⁻² yr⁻¹ rad⁻¹].
    """
    nu = np.asarray(nu, dtype=np.float64)
    rate, slope = np.full(nu.shape, COASTAL_ACCUMULATION), np.zeros(nu.shape)
    for wet in WETNESS:
        part = wet.excess * bump(nu, wet.bearing, wet.sharpness)
        rate = rate + part
        slope = slope - wet.sharpness * np.sin(nu - wet.bearing) * part
    return rate, slope


def accumulation(fraction: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surface mass balance, dry at the divide and wet at the coast.

    Parameters
    ----------
    fraction : ndarray, shape (...)
        Way from the divide (0) to the grounding line (1, also beyond it) [1].
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    ndarray, shape (...)
        a = a_i + (a_c(ν) − a_i) t⁴ [kg m⁻² yr⁻¹].
    """
    rise = coastal_accumulation(nu)[0] - INTERIOR_ACCUMULATION
    return np.asarray(INTERIOR_ACCUMULATION + rise * fraction**ACCUMULATION_POWER)


def mass_change(z: NDArray[np.complex128], anomalies: tuple[Anomaly, ...]) -> NDArray[np.float64]:
    """Sum of the anomalies, whether or not there is ice.

    Parameters
    ----------
    z : ndarray, shape (...)
        Position in the equal-area plane [m].
    anomalies : tuple of Anomaly
        What to add up.

    Returns
    -------
    ndarray, shape (...)
        Rate of mass change [kg m⁻² yr⁻¹].
    """
    total = np.zeros(np.shape(z))
    for patch in anomalies:
        middle = plane_from_geodetic(np.asarray(patch.latitude), np.asarray(patch.longitude))
        away = np.abs(z - middle) / patch.spread
        total = total + patch.rate * np.exp(-0.5 * away**2)
    return total
