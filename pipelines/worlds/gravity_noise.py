"""Errors of the synthetic gravity fields, as large and as correlated as those of CSR RL06.

Sizes follow the residuals of 80 CSR RL06 months (2007-2014) about a trend, a parabola and a yearly
cycle: 4 × 10⁻¹³ for zonal terms of degree 30 to 60, growing with the square of the order to
1.3 × 10⁻¹¹ at order 60, and with degree beyond 60. At one order, errors of the same parity of
degree are alike (Swenson and Wahr 2006), which paints stripes from north to south.
"""

import numpy as np
from numpy.typing import NDArray

ZONAL_SPREAD = 4.3e-13
"""Of a zonal term of middle degree [1]."""
ORDER_SCALE = 11.0
DEGREE_SCALE = 68.0
LONG_WAVE_SPREAD = 4.0e-12
"""Of terms of degree 5, falling as j^−1.2: leakage of the atmosphere and the ocean [1]."""
FORMAL_FRACTION = 0.4
"""Formal sigma over true spread, without the long waves: sigmas are not calibrated [1]."""
STRIPE_CORRELATION = 0.85
STRIPE_ORDER = 14.0


def spreads(j_max: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the true spread of the errors, and the formal sigma that a centre would publish.

    Parameters
    ----------
    j_max : int
        Maximum degree J.

    Returns
    -------
    spread, formal : ndarray, shape (2, J + 1, J + 1)
        One standard deviation [1]; zero below degree 2 and for S of order 0.
    """
    j = np.arange(j_max + 1.0)[:, None]
    m = np.arange(j_max + 1.0)[None, :]
    short = ZONAL_SPREAD * (1.0 + (m / ORDER_SCALE) ** 2) * (1.0 + (j / DEGREE_SCALE) ** 6)
    long = LONG_WAVE_SPREAD * (np.maximum(j, 1.0) / 5.0) ** -1.2
    exists = np.broadcast_to((m <= j) & (j >= 2), (2, j_max + 1, j_max + 1)).copy()
    exists[1, :, 0] = False
    return np.where(exists, np.hypot(short, long), 0.0), np.where(
        exists, FORMAL_FRACTION * short, 0.0
    )


def errors(months: int, j_max: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw the errors of months, independent in time and striped in space.

    Along degrees of one parity at one order the draws are autoregressive, with a correlation
    r_m = 0.85 (1 − exp(−m/14)) between j and j + 2::

        e_j = r e_(j−2) + √(1 − r²) w_j

    Parameters
    ----------
    months : int
        Number of months n.
    j_max : int
        Maximum degree J.
    generator : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    ndarray, shape (n, 2, J + 1, J + 1)
        Errors of Stokes coefficients [1].
    """
    draws = generator.standard_normal((months, 2, j_max + 1, j_max + 1))
    r = STRIPE_CORRELATION * (1.0 - np.exp(-np.arange(j_max + 1) / STRIPE_ORDER))
    for j in range(4, j_max + 1):
        begun = np.arange(j_max + 1) <= j - 2
        kept = np.where(begun, r, 0.0)
        draws[:, :, j] = kept * draws[:, :, j - 2] + np.sqrt(1.0 - kept**2) * draws[:, :, j]
    return np.asarray(draws * spreads(j_max)[0])
