"""Where the synthetic ice is grounded and where it floats: coast and shelf front by bearing.

The grounding line is μ = M(ν), a smooth sum of lobes and embayments; the shelf front is
μ = S(ν) ≥ M(ν), equal to it where no ice floats.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lobe:
    """A bump of the coast (an embayment where its rise is negative).

    Attributes
    ----------
    name : str
        What it looks like on the map.
    bearing : float
        ν of its middle [rad].
    sharpness : float
        κ of exp(κ (cos(ν − bearing) − 1)): the larger the narrower [1].
    rise : float
        Height in μ [1].
    """

    name: str
    bearing: float
    sharpness: float
    rise: float


@dataclass(frozen=True)
class Shelf:
    """A floating ice shelf off part of the coast.

    Attributes
    ----------
    name : str
        Its name in the world's polygons.
    bearing : float
        ν of its middle [rad].
    half_width : float
        It reaches from ``bearing − half_width`` to ``bearing + half_width`` [rad].
    reach : float
        How far its front lies beyond the grounding line in the middle, in μ [1].
    """

    name: str
    bearing: float
    half_width: float
    reach: float


MEAN_COAST = 1.03
LOBES = (
    Lobe("eastern dome", 0.30, 3.4, 0.47),
    Lobe("Wilkes lobe", -1.10, 2.7, 0.51),
    Lobe("Maud lobe", 1.56, 6.0, 0.44),
    Lobe("western embayment", -1.93, 27.0, -0.85),
    Lobe("northern embayment", 2.20, 8.2, -0.86),
    Lobe("horn", 2.375, 270.0, 0.88),
    Lobe("foot of the horn", 2.55, 16.0, 0.55),
    Lobe("eastern inlet", 0.107, 67.0, -0.32),
)
SHELVES = (
    Shelf("Western Embayment", -1.92, 0.36, 0.52),
    Shelf("Northern Embayment", 2.02, 0.40, 0.52),
    Shelf("Eastern Inlet", 0.105, 0.15, 0.14),
    Shelf("Maud Fringe", 1.20, 0.30, 0.05),
    Shelf("Wilkes Fringe", -0.85, 0.12, 0.04),
    Shelf("Amundsen Fringe", -3.05, 0.16, 0.07),
)
ROUGHNESS_ORDERS = range(18, 49)
ROUGHNESS_SPREAD = 0.0009


def offset(nu: NDArray[np.float64], bearing: float) -> NDArray[np.float64]:
    """Angle ν − bearing, wrapped.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].
    bearing : float
        Origin [rad].

    Returns
    -------
    ndarray, shape (...)
        Angle in [−π, π) [rad].
    """
    return np.asarray(np.mod(np.asarray(nu) - bearing + np.pi, 2.0 * np.pi) - np.pi)


def bump(nu: NDArray[np.float64], bearing: float, sharpness: float) -> NDArray[np.float64]:
    """Return a smooth periodic bump of height one.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].
    bearing, sharpness : float
        Middle [rad] and κ [1].

    Returns
    -------
    ndarray, shape (...)
        exp(κ (cos(ν − bearing) − 1)) [1].
    """
    return np.asarray(np.exp(sharpness * (np.cos(np.asarray(nu) - bearing) - 1.0)))


def roughness(generator: np.random.Generator) -> NDArray[np.complex128]:
    """Draw the small waves of the coast.

    Parameters
    ----------
    generator : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    ndarray, shape (n,)
        Complex amplitude in μ by order of :data:`ROUGHNESS_ORDERS` [1].
    """
    draws = generator.standard_normal((2, len(ROUGHNESS_ORDERS)))
    return np.asarray(ROUGHNESS_SPREAD * (draws[0] + 1j * draws[1]))


def coast(
    nu: NDArray[np.float64], waves: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grounding line M(ν) and its slope.

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].
    waves : ndarray, shape (n,)
        Amplitudes of :func:`roughness` [1].

    Returns
    -------
    reach, slope : ndarray, shape (...)
        M [1] and dM/dν [rad⁻¹].
    """
    nu = np.asarray(nu, dtype=np.float64)
    reach, slope = np.full(nu.shape, MEAN_COAST), np.zeros(nu.shape)
    for lobe in LOBES:
        part = lobe.rise * bump(nu, lobe.bearing, lobe.sharpness)
        reach = reach + part
        slope = slope - lobe.sharpness * np.sin(nu - lobe.bearing) * part
    for k, wave in zip(ROUGHNESS_ORDERS, waves, strict=True):
        phasor = wave * np.exp(1j * k * nu)
        reach, slope = reach + phasor.real, slope - k * phasor.imag
    return reach, slope


def floating_reach(nu: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the shelf front lies beyond the grounding line, S(ν) − M(ν).

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    ndarray, shape (...)
        Reach in μ [1], exactly zero where no ice floats.
    """
    nu = np.asarray(nu, dtype=np.float64)
    total = np.zeros(nu.shape)
    for shelf in SHELVES:
        across = offset(nu, shelf.bearing) / shelf.half_width
        total = total + shelf.reach * np.maximum(0.0, 1.0 - across**2) ** 2
    return total
