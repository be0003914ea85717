"""Normalised associated Legendre functions, one order at a time, from their cosine and sine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

HIGHEST_DEGREE = 2700
"""Degree to which the scaled recursion stays in range: its quotient reaches 10^565 at the pole."""

_SEED = 2.0**-930
"""Where the recursion starts, about 1e-280 (Holmes & Featherstone, 2002); a power of two is exact.
"""


class LegendreError(ValueError):
    """A degree or an order for which the functions are not computed."""


@dataclass(frozen=True)
class Rows:
    """Colatitudes by their cosine and sine, so that neither loses digits near a pole.

    Attributes
    ----------
    cosine, sine : ndarray, shape (n,)
        Of the colatitude θ.
    """

    cosine: FLOAT
    sine: FLOAT


def rows_at(latitude: FLOAT) -> Rows:
    """Return the rows at latitudes on the sphere, shape (n,) [degrees]."""
    phi = np.radians(np.asarray(latitude, dtype=np.float64))
    return Rows(np.sin(phi), np.cos(phi))


def legendre(rows: Rows, *, j_max: int, m: int) -> FLOAT:
    """Return the normalised associated Legendre functions of one order.

    Holmes & Featherstone (2002), equations 11 and 12, upward in degree from the sectorial value::

        P_mm = sin^m θ √(2 Π_{i=2..m} (2i + 1)/(2i)) √3,      P_00 = 1
        P_jm = a_jm cos θ P_{j−1,m} − b_jm P_{j−2,m}

    The recursion runs on 1e-280 P_jm / sin^m θ. The powers of sin θ come last and in two halves, so
    that nothing overflows at the pole and only values below 1e-50 are flushed to zero.

    Parameters
    ----------
    rows : Rows
        cos θ and sin θ at n places.
    j_max, m : int
        Highest degree, and the order, 0 ≤ m ≤ j_max.

    Returns
    -------
    ndarray, shape (j_max + 1 − m, n)
        P_jm(cos θ) for j from m to j_max, 4π-normalised, no Condon-Shortley phase.

    Raises
    ------
    LegendreError
        An order outside 0 … j_max, or a degree beyond 2700.
    """
    if j_max > HIGHEST_DEGREE:
        msg = f"degree {j_max} exceeds {HIGHEST_DEGREE}, where this recursion overflows at the pole"
        raise LegendreError(msg)
    if not 0 <= m <= j_max:
        msg = f"order {m} is outside 0 … {j_max}; ask for an order within the degrees"
        raise LegendreError(msg)
    cosine, sine = rows.cosine, rows.sine
    column = np.empty((j_max + 1 - m, cosine.size))
    column[0] = _SEED * _sectorial(m)
    if j_max > m:
        column[1] = np.sqrt(2 * m + 3) * cosine * column[0]
    older = np.empty(cosine.size)
    for i, (a, b) in enumerate(zip(*_recursion(j_max, m), strict=True), start=2):
        np.multiply(cosine, column[i - 1], out=column[i])
        column[i] *= a
        column[i] -= np.multiply(column[i - 2], b, out=older)
    column *= sine ** (m - m // 2) / _SEED
    column *= sine ** (m // 2)
    return column


def _sectorial(m: int) -> float:
    """Return P_mm / sin^m θ."""
    i = np.arange(2, m + 1)
    return float(np.exp(0.5 * np.log1p(1.0 / (2.0 * i)).sum()) * np.sqrt(3.0)) if m else 1.0


def _recursion(j_max: int, m: int) -> tuple[FLOAT, FLOAT]:
    """Return a_jm and b_jm for j from m + 2 to j_max."""
    j = np.arange(m + 2, j_max + 1, dtype=np.float64)
    scale = (2 * j + 1) / ((j - m) * (j + m))
    a = np.sqrt(scale * (2 * j - 1))
    b = np.sqrt(scale * (j + m - 1) * (j - m - 1) / (2 * j - 3))
    return a, b
