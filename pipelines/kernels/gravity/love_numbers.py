"""Load Love numbers: from Stokes coefficients to the mass on the surface that causes them.

A load deforms the Earth beneath it, and the deformation changes the gravity field too: of the
change seen from orbit, a part ``k_j / (1 + k_j)`` comes from the depressed Earth. The factor of
degree 1 depends on where the origin of coordinates is put, so the set must be brought into the
frame of the degree-1 coefficients that it converts.
"""

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import MEAN_DENSITY, MEAN_RADIUS

Frame = Literal["CF", "CE", "CM"]

_CE_TOLERANCE = 1e-6


class LoveNumberError(ValueError):
    """A set of Love numbers that cannot serve the conversion asked for."""


def in_frame(
    h: NDArray[np.float64],
    l: NDArray[np.float64],  # noqa: E741 - Love's and Shida's symbols
    k: NDArray[np.float64],
    *,
    frame: Frame,
    k_1: float | None = None,
) -> NDArray[np.float64]:
    """Bring the potential Love numbers of the solid Earth's centre into another frame.

    Only degree 1 changes (Blewitt 2003, table 1 and equation 23)::

        CE  centre of mass of the solid Earth    k₁ = 0
        CF  centre of figure                     k₁ = −(h₁ + 2 l₁) / 3
        CM  centre of mass of the whole Earth    k₁ = −1

    Parameters
    ----------
    h, l, k : ndarray, shape (n,)
        Love numbers by degree from 0, in CE [1].
    frame : {"CF", "CE", "CM"}
        Frame of the degree-1 coefficients to be converted.
    k_1 : float, optional
        Use this k₁ instead, whatever the frame [1]. TN-13 states 0.021 (Swenson et al. 2008),
        the CF frame of Han and Wahr's set gives 0.02743: 0.6 % of the degree-1 mass.

    Returns
    -------
    ndarray, shape (n,)
        k with its degree 1 replaced [1].

    Raises
    ------
    LoveNumberError
        Lengths that differ, a set without degree 1, one that is not in CE, an unknown frame.
    """
    _check_set(h, l, k)
    in_ce = {"CE": 0.0, "CF": -(float(h[1]) + 2.0 * float(l[1])) / 3.0, "CM": -1.0}
    if frame not in in_ce:
        msg = f"found frame {frame!r}, expected one of {', '.join(in_ce)}"
        raise LoveNumberError(msg)
    replaced = np.array(k, dtype=np.float64)
    replaced[1] = in_ce[frame] if k_1 is None else k_1
    return replaced


def _check_set(
    h: NDArray[np.float64],
    l: NDArray[np.float64],  # noqa: E741
    k: NDArray[np.float64],
) -> None:
    shapes = [np.shape(h), np.shape(l), np.shape(k)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] < 2:
        msg = (
            f"found h, l, k of shapes {shapes[0]}, {shapes[1]}, {shapes[2]}; expected three "
            "vectors of one length, by degree from 0 to at least 1"
        )
        raise LoveNumberError(msg)
    if not abs(k[1]) <= _CE_TOLERANCE:
        msg = (
            f"k₁ is {float(k[1]):+.5g}, but a set in the frame CE has k₁ = 0; check the order "
            "of the columns (some files say l h k l) or convert the set to CE first"
        )
        raise LoveNumberError(msg)


def surface_mass_factors(k: NDArray[np.float64], *, j_max: int) -> NDArray[np.float64]:
    """Surface mass density per unit of a Stokes coefficient, by degree.

    Wahr et al. (1998), equation 13, in 4π normalisation::

        σ_jm = a ρ_E / 3 · (2j + 1) / (1 + k_j) · g_jm

    Parameters
    ----------
    k : ndarray, shape (n,)
        Potential load Love numbers by degree from 0 [1], in the frame of the degree-1
        coefficients, see :func:`in_frame`.
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (J + 1,)
        Factors [kg m⁻²]; multiply along the degree axis.

    Raises
    ------
    LoveNumberError
        A set that ends before J, is not finite, or leaves a degree undetermined (1 + k_j ≤ 0:
        in CM the degree-1 potential is zero whatever the load).

    Notes
    -----
    a and ρ_E are the mean radius and density of :mod:`pipelines.kernels.constants`, those of
    gravity-toolkit. The other pair in use (6378136.3 m, 5517 kg m⁻³) is 0.177 % larger.
    Degree 0 uses k₀ as given, zero in every published set: a load that conserves mass does not
    change the mass of the Earth, so σ₀₀ = a ρ_E / 3 · g₀₀.
    """
    if k.size < j_max + 1:
        msg = (
            f"the Love numbers end at degree {k.size - 1}, but degree {j_max} is asked for; "
            "use a longer set or a lower maximum degree"
        )
        raise LoveNumberError(msg)
    response = 1.0 + np.asarray(k[: j_max + 1], dtype=np.float64)
    undetermined = np.flatnonzero(~(response > 0.0) | ~np.isfinite(response))
    if undetermined.size:
        j = int(undetermined[0])
        msg = (
            f"1 + k_{j} is {response[j]:.5g}, so degree {j} of the gravity field does not "
            "determine a load; expected a finite positive value (for degree 1 use frame CF or CE)"
        )
        raise LoveNumberError(msg)
    degree = np.arange(j_max + 1)
    factors: NDArray[np.float64] = MEAN_RADIUS * MEAN_DENSITY / 3.0 * (2 * degree + 1) / response
    return factors


def stokes_factors(k: NDArray[np.float64], *, j_max: int) -> NDArray[np.float64]:
    """Stokes coefficient per unit of surface mass density, by degree.

    Wahr et al. (1998), equation 12; the inverse of :func:`surface_mass_factors`::

        g_jm = 3 / (a ρ_E) · (1 + k_j) / (2j + 1) · σ_jm

    Parameters
    ----------
    k : ndarray, shape (n,)
        Potential load Love numbers by degree from 0 [1].
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (J + 1,)
        Factors [m² kg⁻¹].
    """
    return 1.0 / surface_mass_factors(k, j_max=j_max)


def digest(
    h: NDArray[np.float64],
    l: NDArray[np.float64],  # noqa: E741
    k: NDArray[np.float64],
) -> str:
    """Fingerprint of a set of Love numbers, the same for the same numbers everywhere.

    SHA-256 of h, then l, then k as little-endian float64, with −0 written as 0. The three have
    one length, so the boundaries need no mark.

    Parameters
    ----------
    h, l, k : ndarray, shape (n,)
        Love numbers by degree from 0, as read (before :func:`in_frame`) [1].

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    _check_set(h, l, k)
    canonical = np.stack([h, l, k]).astype("<f8") + 0.0
    return hashlib.sha256(canonical.astype("<f8").tobytes()).hexdigest()
