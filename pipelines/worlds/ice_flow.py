"""Flux along the flow lines, and what gathers it into ice streams without creating mass.

The flux has two parts. One follows from one-dimensional conservation along each flow line,

    F₀(μ, ν) = ∫₀^μ (a − ṁ) J dμ'        [kg yr⁻¹ rad⁻¹]

and the other is the curl of a stream function ψ, whose divergence is zero whatever ψ is:

    F_μ = F₀ + ∂ψ/∂ν        F_ν = −∂ψ/∂μ        ⇒   ∂F_μ/∂μ + ∂F_ν/∂ν = (a − ṁ) J.

ψ is zero on every basin border, so basins exchange nothing and discharge what F₀ says.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.regions import SECTORS, sector_index

RAY_NODES = 64
FOCUS = 0.70
"""Eccentricity ρ of the Poisson kernel that shapes a stream: 0 none, 1 a line [1]."""


def unit_gauss(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights on [0, 1].

    Parameters
    ----------
    count : int
        Number of nodes.

    Returns
    -------
    nodes, weights : ndarray, shape (count,)
        The weights sum to one.
    """
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) / 2.0, weights / 2.0


def gathering(
    nu: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How streams concentrate flux across a basin.

    The Poisson kernel over each of a basin's n equal strips of width w, and its integral::

        P(θ) = (1 − ρ²) / (1 − 2 ρ cos θ + ρ²),    mean 1,    θ in (−π, π) across a strip
        W(θ) = 2 arctan((1 + ρ)/(1 − ρ) tan(θ/2)) − θ,    zero at both ends

    Parameters
    ----------
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    excess, shift : ndarray, shape (...)
        P − 1 [1], and its integral over ν from the strip's edge, W w / 2π [rad].
    """
    index = sector_index(nu)
    start = np.array([s.start for s in SECTORS])[index]
    strip = np.array([(s.stop - s.start) / s.streams for s in SECTORS])[index]
    turns = np.mod(np.mod(nu - start, 2.0 * np.pi) / strip, 1.0)
    theta = 2.0 * np.pi * turns - np.pi
    kernel = (1.0 - FOCUS**2) / (1.0 - 2.0 * FOCUS * np.cos(theta) + FOCUS**2)
    steep = (1.0 + FOCUS) / (1.0 - FOCUS)
    integral = 2.0 * np.arctan2(steep * np.sin(theta / 2.0), np.cos(theta / 2.0)) - theta
    return np.asarray(kernel - 1.0), np.asarray(integral * strip / (2.0 * np.pi))


def onset(fraction: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How fully streams have formed on the way to the coast.

    Parameters
    ----------
    fraction : ndarray, shape (...)
        Way from the divide (0) to the grounding line (1, also beyond it) [1].

    Returns
    -------
    degree, slope : ndarray, shape (...)
        g = t⁸ (9 − 8t), flat at both ends, and dg/dt [1].
    """
    t = fraction
    return np.asarray(t**8 * (9.0 - 8.0 * t)), np.asarray(72.0 * t**7 * (1.0 - t))


def gathered_flux(
    flux: NDArray[np.float64],
    strength: tuple[NDArray[np.float64], NDArray[np.float64]],
    fraction: NDArray[np.float64],
    fraction_slopes: tuple[NDArray[np.float64], NDArray[np.float64]],
    nu: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux with its streams: the sum of F₀ and the curl of ψ = q(ν) g(t) ∫(P − 1) dν.

    Parameters
    ----------
    flux : ndarray, shape (...)
        F₀ [kg yr⁻¹ rad⁻¹].
    strength : tuple of ndarray, shape (...)
        q and dq/dν [kg yr⁻¹ rad⁻¹, kg yr⁻¹ rad⁻²].
    fraction : ndarray, shape (...)
        Way from the divide to the grounding line t [1].
    fraction_slopes : tuple of ndarray, shape (...)
        ∂t/∂μ [1] and ∂t/∂ν [rad⁻¹].
    nu : ndarray, shape (...)
        Bearing [rad].

    Returns
    -------
    along, across : ndarray, shape (...)
        F_μ [kg yr⁻¹ rad⁻¹] and F_ν [kg yr⁻¹].
    """
    excess, shift = gathering(nu)
    degree, degree_slope = onset(fraction)
    t_mu, t_nu = fraction_slopes
    q, q_nu = strength
    turned = q_nu * degree + q * degree_slope * t_nu
    along = flux + q * degree * excess + shift * turned
    across = -shift * q * degree_slope * t_mu
    return np.asarray(along), np.asarray(across)
