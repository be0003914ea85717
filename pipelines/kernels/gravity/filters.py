"""Filters that make maps readable: Gaussian averaging and destriping. No total is filtered."""

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import MEAN_RADIUS

FLOAT = NDArray[np.float64]

_CUTOFF = 1e-7
"""Weights below this are noise of the recursion; Jekeli's decreases monotonically before it."""


class FilterError(ValueError):
    """A filter that cannot be built as asked."""


def gaussian_weights(j_max: int, *, radius_km: float) -> FLOAT:
    """Return Jekeli's Gaussian weights by degree, W_0 = 1.

    Wahr et al. (1998), equation 34, with b = ln 2 / (1 − cos(r/a))::

        W_1 = (1 + e^{−2b}) / (1 − e^{−2b}) − 1/b,      W_{j+1} = −(2j + 1)/b W_j + W_{j−1}

    The recursion loses all digits once the weights are small; from there they are zero.

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
        A negative radius.
    """
    if radius_km < 0.0:
        msg = f"found a radius of {radius_km:g} km, expected 0 (no filter) or more"
        raise FilterError(msg)
    weights = np.ones(j_max + 1)
    if radius_km == 0.0 or j_max == 0:
        return weights
    b = np.log(2.0) / (1.0 - np.cos(1e3 * radius_km / MEAN_RADIUS))
    weights[1] = (1.0 + np.exp(-2.0 * b)) / (1.0 - np.exp(-2.0 * b)) - 1.0 / b
    for j in range(1, j_max):
        weights[j + 1] = weights[j - 1] - (2 * j + 1) / b * weights[j]
        if not _CUTOFF < weights[j + 1] < weights[j]:
            weights[j + 1 :] = 0.0
            break
    return weights


def destripe(
    coefficients: FLOAT,
    *,
    first_order: int = 8,
    degree_of_polynomial: int = 2,
    a: float = 30.0,
    k: float = 15.0,
    narrowest: int = 5,
) -> FLOAT:
    """Remove what coefficients of equal parity have in common with their neighbours in degree.

    Swenson & Wahr (2006): for each order a quadratic is fitted to the coefficients of the same
    parity of degree in a moving window and subtracted. The window narrows with order, as Duan et
    al. (2009) describe: w = max(A e^{−m/K} + 1, narrowest), rounded to odd. For comparison only:
    the paper finds it can be omitted (Sasgen et al., 2019, 2.1).

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        Stokes coefficients.
    first_order : int
        Lowest order that is touched; lower ones carry little striping.
    degree_of_polynomial : int
        Of the smooth part.
    a, k : float
        A and K of the window [1].
    narrowest : int
        Fewest coefficients in a window; more than ``degree_of_polynomial``.

    Returns
    -------
    ndarray, shape (..., 2, J + 1, J + 1)
        Filtered coefficients; degrees below the first order are unchanged.

    Raises
    ------
    FilterError
        A window too narrow for the polynomial.
    """
    if narrowest <= degree_of_polynomial:
        msg = (
            f"a window of {narrowest} coefficients cannot determine a polynomial of degree "
            f"{degree_of_polynomial}; widen it to {degree_of_polynomial + 1} or more"
        )
        raise FilterError(msg)
    filtered = coefficients.copy()
    j_max = coefficients.shape[-1] - 1
    for m in range(first_order, j_max + 1):
        width = max(2 * int((a * np.exp(-m / k) + 1.0) / 2.0) + 1, narrowest)
        for parity in (0, 1):
            degrees = np.arange(m + parity, j_max + 1, 2)
            if degrees.size >= width:
                smoother = _moving_polynomial(degrees.size, width, degree_of_polynomial)
                column = coefficients[..., degrees, m]
                filtered[..., degrees, m] = column - column @ smoother.T
    return filtered


def _moving_polynomial(count: int, width: int, degree: int) -> FLOAT:
    """Return the matrix that gives the value of a polynomial fitted in a window about each place.

    At the ends the window stops at the edge and keeps its width.
    """
    smoother = np.zeros((count, count))
    for place in range(count):
        first = min(max(place - width // 2, 0), count - width)
        window = np.arange(first, first + width)
        powers = np.vander((window - place) / width, degree + 1, increasing=True)
        smoother[place, window] = np.linalg.pinv(powers)[0]
    return smoother
