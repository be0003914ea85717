"""The solid Earth of the synthetic world: how it yields to a load, and how it still rebounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import KG_PER_GT, MEAN_DENSITY, MEAN_RADIUS
from pipelines.worlds.point_masses import real_harmonics

RIGIDITY = 1.45e11
"""Shear modulus μ of the synthetic Earth, that of the mid-mantle [Pa]."""
GRAVITY = 9.82
"""Gravity at the surface [m s⁻²]."""
DEGREE_ONE_LOVE = (-0.2700, 0.1035)
"""h₁ and l₁ in CE: k₁ in CF is −(h₁ + 2 l₁)/3 = 0.021, what TN-13 prescribes [1]."""


@dataclass(frozen=True)
class Rebound:
    """A smooth patch of the Earth whose mass still grows since the ice age.

    Attributes
    ----------
    name : str
        Where it is.
    latitude, longitude : float
        Its middle, geocentric [degrees].
    width : float
        Angular width s of exp(−j (j + 1) s² / 2) [rad].
    rate : float
        Apparent mass that it gains, over the whole sphere [Gt yr⁻¹].
    """

    name: str
    latitude: float
    longitude: float
    width: float
    rate: float


REBOUNDS = (
    Rebound("northern embayment", -81.0, 300.0, 0.10, 64.0),
    Rebound("western embayment", -81.0, 200.0, 0.11, 56.0),
    Rebound("Amundsen", -77.0, 250.0, 0.09, 16.0),
    Rebound("southern forebulge", -85.0, 60.0, 0.40, -136.0),
    Rebound("Hudson Bay", 60.0, 276.0, 0.15, 260.0),
    Rebound("Fennoscandia", 63.0, 20.0, 0.10, 60.0),
    Rebound("northern forebulge", 66.0, 290.0, 0.45, -320.0),
)
"""Their sum is zero: rebound moves mass and makes none."""


def kelvin_love_numbers(
    j_max: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Load Love numbers of a homogeneous, incompressible, elastic sphere.

    Thomson (1863) for tides; for loads (Munk and MacDonald 1960, section 5.8; Lambeck 1980)::

        k_j = −1 / (1 + N_j)     h_j = (2j + 1)/3 k_j     l_j = k_j / j
        N_j = (2j² + 4j + 3)/j · μ / (ρ g a)

    Parameters
    ----------
    j_max : int
        Maximum degree J.

    Returns
    -------
    h, l, k : ndarray, shape (J + 1,)
        Love numbers by degree from 0, in the frame CE [1].

    Notes
    -----
    Degree 1 is not Kelvin's. A homogeneous sphere answers a load of degree 1 without any strain,
    which would make the frames CE and CF one and hide a mistake between them, so degree 1 is
    given values like those of PREM (:data:`DEGREE_ONE_LOVE`).
    """
    j = np.arange(1, j_max + 1)
    stiffness = (2 * j**2 + 4 * j + 3) / j * RIGIDITY / (MEAN_DENSITY * GRAVITY * MEAN_RADIUS)
    k = -1.0 / (1.0 + stiffness)
    h, shear = (2 * j + 1) / 3.0 * k, k / j
    h[0], shear[0], k[0] = (*DEGREE_ONE_LOVE, 0.0)
    return (
        np.concatenate([[0.0], h]),
        np.concatenate([[0.0], shear]),
        np.concatenate([[0.0], k]),
    )


def rebound_surface_mass(j_max: int) -> NDArray[np.float64]:
    """Apparent surface mass that glacial isostatic adjustment adds in a year.

    Parameters
    ----------
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (2, J + 1, J + 1)
        Coefficients from degree 2 [kg m⁻² yr⁻¹]; degrees 0 and 1 are zero, as in posted models.
    """
    latitude = np.array([patch.latitude for patch in REBOUNDS])
    longitude = np.array([patch.longitude for patch in REBOUNDS])
    rate = np.array([patch.rate for patch in REBOUNDS]) * KG_PER_GT
    width = np.array([patch.width for patch in REBOUNDS])
    j = np.arange(j_max + 1)
    spread = np.exp(-0.5 * np.outer(j * (j + 1.0), width**2))
    pattern = real_harmonics(latitude, longitude, j_max=j_max)
    summed = np.einsum("pjmn,jn,n->pjm", pattern, spread, rate)
    summed[:, :2] = 0.0
    return np.asarray(summed / (4.0 * np.pi * MEAN_RADIUS**2))
