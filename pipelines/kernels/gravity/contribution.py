"""What gravimetry and altimetry contribute to the combined field at each scale.

Sasgen et al. (2019), section 2.5 and figure 5. Elementwise over coefficients: any layout, with the
degrees in a broadcastable array.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]


def cumulative_power(coefficients: FLOAT, degree: INT, *, j_max: int) -> FLOAT:
    """Return the power of a field up to each degree.

    ::

        p_j = Σ_{j' ≤ j} Σ_m C²_j'm        Sasgen et al. (2019), section 2.5

    Parameters
    ----------
    coefficients : ndarray, shape (...)
        Coefficients of one field, times their weight [u].
    degree : ndarray of int, broadcastable to (...)
        Degree of each.
    j_max : int
        Highest degree of the result; beyond what the field holds, the power stays.

    Returns
    -------
    ndarray, shape (j_max + 1,)
        p_j [u²].
    """
    degrees = np.broadcast_to(degree, coefficients.shape).reshape(-1)
    power = np.bincount(degrees, np.square(coefficients).reshape(-1), minlength=j_max + 1)
    return np.asarray(np.cumsum(power)[: j_max + 1])


class Contribution(NamedTuple):
    """Shares of the missions in the power of the combined field, up to each degree.

    Attributes
    ----------
    gravimetry, altimetry : ndarray, shape (j_max + 1,)
        P_j [1], equation 6; they sum to 1, and are NaN while neither has any power.
    deviation : ndarray, shape (j_max + 1,)
        (p_G + p_C) / p_comb − 1 [1]: the cross term that equation 6 leaves out. The paper finds
        about 6 % at most, at degree 90.
    """

    gravimetry: FLOAT
    altimetry: FLOAT
    deviation: FLOAT


def contribution(p_gravimetry: FLOAT, p_altimetry: FLOAT, p_combined: FLOAT) -> Contribution:
    """Return what each mission contributes at each scale.

    Sasgen et al. (2019), equation 6::

        P_j = p_j / (p_j^G + p_j^C)

    Parameters
    ----------
    p_gravimetry, p_altimetry, p_combined : ndarray, shape (j_max + 1,)
        Power up to each degree of w_G Ḡ, of w_C C̄ and of their sum [u²],
        see :func:`cumulative_power`.

    Returns
    -------
    Contribution
    """
    total = p_gravimetry + p_altimetry
    nothing = np.full(total.shape, np.nan)
    share = np.divide(p_gravimetry, total, out=nothing.copy(), where=total > 0.0)
    ratio = np.divide(total, p_combined, out=nothing.copy(), where=p_combined > 0.0)
    return Contribution(share, 1.0 - share, ratio - 1.0)
