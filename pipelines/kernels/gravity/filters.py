"""Filters that make maps readable: Gaussian averaging and destriping. No total is filtered."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from pipelines.kernels.constants import MEAN_RADIUS

FLOAT = NDArray[np.float64]


_LARGEST_ARGUMENT = 1e9
"""Argument to which SciPy's scaled Bessel functions are accurate; they return NaN soon after."""


class FilterError(ValueError):
    """A filter that cannot be built as asked."""


def gaussian_weights(j_max: int, *, radius_km: float) -> FLOAT:
    """Return Jekeli's Gaussian weights by degree, W_0 = 1.

    Wahr et al. (1998), equation 34, solved in closed form: the kernel e^{b cos γ} has as its
    Legendre coefficients modified spherical Bessel functions of the first kind::

        W_j = i_j(b) / i_0(b) = I_{j+1/2}(b) / I_{1/2}(b),      b = ln 2 / (1 − cos(r/a))

    Parameters
    ----------
    j_max : int
        Highest degree.
    radius_km : float
        Distance at which the averaging kernel has fallen to one half [km].

    Returns
    -------
    ndarray, shape (j_max + 1,)
        Weights [1]; all 1 for radius 0.

    Raises
    ------
    FilterError
        A radius outside half a great circle, or a negative degree.

    Notes
    -----
    The published recursion W_{j+1} = W_{j−1} − (2j + 1)/b W_j subtracts nearly equal numbers and
    has no digits left once W_j < 1e-10; tools put a constant there. The closed form has no such
    limit and ends in zeros where double precision does. Radii below 250 m use its limit for large
    b, W_j = exp(−j (j + 1) / 2b), off by j²/(4b²) < 1e-11 at degree 2700.

    Examples
    --------
    >>> gaussian_weights(60, radius_km=300.0)[[0, 30, 60]].round(3)
    array([1.   , 0.475, 0.054])
    """
    antipode_km = 1e-3 * np.pi * MEAN_RADIUS
    if not 0.0 <= radius_km <= antipode_km or j_max < 0:
        msg = (
            f"found a radius of {radius_km:g} km and degree {j_max}, expected a radius from 0 (no "
            f"filter) to {antipode_km:.0f} km (the antipode) and a degree of 0 or more"
        )
        raise FilterError(msg)
    if radius_km == 0.0:
        return np.ones(j_max + 1)
    # 1 − cos x = 2 sin²(x/2) keeps its digits for small x.
    b = np.log(2.0) / (2.0 * np.sin(500.0 * radius_km / MEAN_RADIUS) ** 2)
    degree = np.arange(j_max + 1)
    if b > _LARGEST_ARGUMENT:
        return np.asarray(np.exp(-degree * (degree + 1) / (2.0 * b)))
    return np.asarray(ive(degree + 0.5, b) / ive(0.5, b))


def destripe(
    coefficients: FLOAT,
    *,
    first_order: int = 5,
    widest: float = 15.0,
    decay: float = 10.0,
    narrowest: int = 2,
    zero_short: bool = False,
) -> FLOAT:
    """Remove what coefficients of equal parity have in common with their neighbours in degree.

    Swenson & Wahr (2006): for each order m a quadratic in degree is fitted to the coefficients
    whose degrees have the same parity, in a window of 2n + 1 of them, and subtracted. The window
    narrows with order; the form is the one that Duan et al. (2009) report for that paper::

        n = max(round(15 e^{−m/10}), 2)

    For comparison only: Sasgen et al. (2019, 2.1) leave it out, as it removes signal as well.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        Stokes coefficients of an anomaly: the mean field removed.
    first_order : int
        Lowest order that is touched; lower ones carry little striping.
    widest, decay : float
        Half-width n at order 0, and the order over which it falls by e [1].
    narrowest : int
        Least half-width [1].
    zero_short : bool
        Set coefficients of orders with fewer than 2n + 1 of a parity to zero, as gravity-toolkit
        does by default. Without it they stay as they are.

    Returns
    -------
    ndarray, shape (..., 2, J + 1, J + 1)
        Filtered coefficients; orders below the first are unchanged.

    Raises
    ------
    FilterError
        A window too narrow for the quadratic, or a decay that does not fall.
    """
    if narrowest < 1 or decay <= 0.0 or first_order < 0:
        msg = (
            f"found a least half-width of {narrowest}, a decay of {decay:g} and a first order of "
            f"{first_order}; a quadratic needs 3 coefficients, so a half-width of 1 or more, and "
            "the window narrows only for a decay above 0; the first order is 0 or more"
        )
        raise FilterError(msg)
    filtered = np.array(coefficients, dtype=np.float64)
    j_max = filtered.shape[-1] - 1
    for m in range(first_order, j_max + 1):
        half = max(round(widest * float(np.exp(-m / decay))), narrowest)
        for degrees in (slice(m, None, 2), slice(m + 1, None, 2)):
            column = coefficients[..., degrees, m]
            if column.shape[-1] > 2 * half:
                smoother = _moving_quadratic(column.shape[-1], half)
                filtered[..., degrees, m] = column - column @ smoother.T
            elif zero_short:
                filtered[..., degrees, m] = 0.0
    return filtered


def _moving_quadratic(count: int, half: int) -> FLOAT:
    """Return the matrix that gives the value at each place of a quadratic fitted around it.

    Within ``half`` places of an end, the first or the last whole window is used, off its centre.
    """
    window = np.arange(-half, half + 1)
    fit = np.linalg.pinv(np.vander(window, 3, increasing=True))
    smoother = np.zeros((count, count))
    for place in range(count):
        centre = min(max(place, half), count - 1 - half)
        offset = place - centre
        smoother[place, centre + window] = np.array([1.0, offset, offset**2]) @ fit
    return smoother
