"""Normalised associated Legendre functions, one order at a time, from their cosine and sine."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

HIGHEST_DEGREE = 8192
"""Degree to which the recursion in extended range was tested."""

PLAIN_DEGREE = 2700
"""Degree to which the scaled recursion stays in range: its quotient reaches 10^565 at the pole."""

DEGREES_PER_BLOCK = 64
"""Degrees between two normalisations: values grow by less than 2^8 a degree, so by 2^512."""

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
        An order outside 0 … j_max, or a degree beyond 8192.
    """
    _require(j_max, m)
    if j_max > PLAIN_DEGREE:
        blocks = legendre_blocks(rows, j_max=j_max, m=m)
        return np.concatenate([block.values() for block in blocks])
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


@dataclass(frozen=True)
class LegendreBlock:
    """Some degrees of one order, P_jm = size_j × mantissa × power, each factor within range.

    Attributes
    ----------
    first : int
        Lowest degree of the block.
    size : ndarray, shape (d,)
        A factor of each degree.
    mantissa : ndarray, shape (d, n)
        Overwritten when the next block is made.
    power : ndarray, shape (n,)
        A power of two for each place; 0 where every value is below 1e-245.
    """

    first: int
    size: FLOAT
    mantissa: FLOAT
    power: FLOAT

    def values(self) -> FLOAT:
        """Return P_jm, shape (d, n)."""
        return np.asarray(self.mantissa * self.power * self.size[:, None])


def legendre_blocks(
    rows: Rows, *, j_max: int, m: int, degrees: int = DEGREES_PER_BLOCK
) -> Iterator[LegendreBlock]:
    """Yield the functions of one order, some degrees at a time, without underflow.

    As :func:`legendre`, with values held as a number times a power of two that belongs to the
    place (the idea of Fukushima, 2012), so that any order starts at any distance from the pole.
    P_jm = size_j q_jm with size_j = b_jm size_{j−2} saves one product in each step::

        q_jm = a_jm (size_{j−1} / size_j) cos θ q_{j−1,m} − q_{j−2,m}

    Parameters
    ----------
    rows : Rows
        cos θ and sin θ at n places.
    j_max, m : int
        Highest degree, and the order, 0 ≤ m ≤ j_max.
    degrees : int
        Degrees in a block.

    Yields
    ------
    LegendreBlock
        Of degrees m … m + degrees − 1, and so on to j_max.

    Raises
    ------
    LegendreError
        An order outside 0 … j_max, or a degree beyond 8192.
    """
    _require(j_max, m)
    size, slope = _sizes(j_max, m)
    older = np.zeros(rows.cosine.size)
    newest, exponent = _power(rows.sine, m)
    newest *= _sectorial(m)
    table, tilted = np.empty((2, degrees, rows.cosine.size))
    for first in range(m, j_max + 1, degrees):
        found = table[: min(degrees, j_max + 1 - first)]
        steps = slope[first - m : first - m + len(found), None]
        np.multiply(steps, rows.cosine, out=tilted[: len(found)])
        start = 0
        if first == m:
            found[0], start = newest, 1
        for i in range(start, len(found)):
            np.multiply(tilted[i], newest, out=found[i])
            found[i] -= older
            older, newest = newest, found[i]
        block = size[first - m : first - m + len(found)]
        yield LegendreBlock(first, block, found, np.ldexp(1.0, np.maximum(exponent, -1100)))
        older, newest, exponent = _normalised(older, newest, exponent)


def _normalised(
    older: FLOAT, newest: FLOAT, exponent: NDArray[np.int32]
) -> tuple[FLOAT, FLOAT, NDArray[np.int32]]:
    """Move powers of two from both values to the exponent where they have grown beyond 1."""
    grown = np.frexp(np.maximum(np.abs(older), np.abs(newest)))[1]
    shift = np.where(exponent < 0, np.clip(grown, 0, -exponent), 0)
    return np.ldexp(older, -shift), np.ldexp(newest, -shift), exponent + shift


def _power(base: FLOAT, m: int) -> tuple[FLOAT, NDArray[np.int32]]:
    """Return base^m as mantissa and exponent, by repeated squaring."""
    value, exponent = np.ones(base.size), np.zeros(base.size, dtype=np.int32)
    for digit in f"{m:b}":
        value *= value
        exponent *= 2
        if digit == "1":
            value *= base
        value, more = np.frexp(value)
        exponent += np.where(value == 0.0, -(2**14), more)
    return value, exponent


def _sizes(j_max: int, m: int) -> tuple[FLOAT, FLOAT]:
    """Return size_j and the factor of cos θ q_{j−1,m}, for j from m to j_max."""
    a, b = _recursion(j_max, m)
    size, slope = np.ones((2, j_max + 1 - m))
    size[2::2], size[3::2] = np.cumprod(b[::2]), np.cumprod(b[1::2])
    slope[2:] = a * size[1:-1] / size[2:]
    slope[1:2] = np.sqrt(2 * m + 3)
    return size, slope


def _require(j_max: int, m: int) -> None:
    if j_max > HIGHEST_DEGREE:
        msg = f"degree {j_max} exceeds {HIGHEST_DEGREE}, the highest that was tested"
        raise LegendreError(msg)
    if not 0 <= m <= j_max:
        msg = f"order {m} is outside 0 … {j_max}; ask for an order within the degrees"
        raise LegendreError(msg)


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
