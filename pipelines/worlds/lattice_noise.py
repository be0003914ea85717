"""Random fields that know their value at any place without drawing the places around it.

A lattice of infinite extent carries a hash of its indices and a seed at every node. A field is a
fixed formula of the few nodes around a point, so a window of a picture has the pixels of the whole
picture, bit for bit, whatever is computed beside it and in whatever order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float32]
INT = NDArray[np.int64]

_MIX_1, _MIX_2, _MIX_3 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B), np.uint32(0x9E3779B9)
_ROW, _COLUMN = np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_TO_UNIT = np.float32(2.0**-24)
NORMAL = 1.73205
"""Times this, a uniform draw of [-1, 1) has a standard deviation of 1 [1]."""


def seed_of(*parts: int | str) -> int:
    """Return one 32-bit seed for numbers and names, the same on every machine.

    Examples
    --------
    >>> seed_of(1, "alder") == seed_of(1, "alder") != seed_of("alder", 1)
    True
    """
    words: list[int] = []
    for part in parts:
        data = (
            part.encode() if isinstance(part, str) else int(part).to_bytes(8, "little", signed=True)
        )
        words.append(int.from_bytes(data, "little"))
    return int(np.random.SeedSequence(words).generate_state(1, dtype=np.uint32)[0])


def hashed(i: INT, j: INT | int, seed: int) -> NDArray[np.uint32]:
    """Return 32 random bits of each lattice node.

    Parameters
    ----------
    i, j : ndarray or int, shape (...)
        Indices of the node, of any sign.
    seed : int
        Of the field, 32 bits.

    Returns
    -------
    ndarray, shape (...)
        Bits mixed by two rounds of multiply-xorshift (constants of Wellons, 2018, ``lowbias32``).
    """
    rows = np.atleast_1d(np.asarray(i, dtype=np.int64)).astype(np.uint32)
    columns = np.atleast_1d(np.asarray(j, dtype=np.int64)).astype(np.uint32)
    bits = np.asarray(rows * _ROW ^ (columns * _COLUMN + _MIX_3) ^ np.uint32(seed))
    for _ in range(2):
        bits = (bits ^ (bits >> np.uint32(16))) * _MIX_1
        bits = (bits ^ (bits >> np.uint32(15))) * _MIX_2
        bits = bits ^ (bits >> np.uint32(16))
    return bits


def uniform(i: INT, j: INT | int, seed: int) -> FLOAT:
    """Return a number in [0, 1) of each lattice node, shape (...)."""
    return np.asarray((hashed(i, j, seed) >> np.uint32(8)).astype(np.float32) * _TO_UNIT)


def cubic_weights(fraction: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the four weights of a cubic B-spline at a fraction of the way between nodes."""
    t = fraction
    s = 1.0 - t
    t3, s3 = t * t * t, s * s * s
    return (
        s3 / 6.0,
        2.0 / 3.0 + t * t * (0.5 * t - 1.0),
        2.0 / 3.0 + s * s * (0.5 * s - 1.0),
        t3 / 6.0,
    )


def cubic_slopes(fraction: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the derivatives of :func:`cubic_weights` with respect to the fraction."""
    t = fraction
    return (
        -((1.0 - t) ** 2) / 2.0,
        (3.0 * t**2 - 4.0 * t) / 2.0,
        (-3.0 * t**2 + 2.0 * t + 1.0) / 2.0,
        t**2 / 2.0,
    )


def value_noise(u: NDArray[np.float64], v: NDArray[np.float64], seed: int) -> FLOAT:
    """Return smooth noise of mean 0 and variance about 1: cubic B-splines of white nodes.

    Parameters
    ----------
    u, v : ndarray, shape (...)
        Place in units of the lattice spacing [1]; the shortest wave is about two units long.
    seed : int
        Of the field.

    Returns
    -------
    ndarray, shape (...)
        Values, twice continuously differentiable [1].
    """
    u, v = np.broadcast_arrays(u, v)
    row, column = np.floor(u), np.floor(v)
    i, j = row.astype(np.int64), column.astype(np.int64)
    if i.size == 0:
        return np.zeros(np.shape(u), dtype=np.float32)
    i0, j0 = int(i.min()) - 1, int(j.min()) - 1
    table_rows = np.arange(i0, int(i.max()) + 3)[:, None]
    table_columns = np.arange(j0, int(j.max()) + 3)
    table = uniform(table_rows, table_columns, seed) * np.float32(2.0) - np.float32(1.0)
    flat, width = table.ravel(), table.shape[1]
    base = (i - 1 - i0) * width + (j - 1 - j0)
    w_u = [w.astype(np.float32) for w in cubic_weights(u - row)]
    w_v = [w.astype(np.float32) for w in cubic_weights(v - column)]
    total = np.zeros(np.shape(u), dtype=np.float32)
    for m in range(4):
        line = np.zeros(np.shape(u), dtype=np.float32)
        for n in range(4):
            line += w_v[n] * np.take(flat, base + (m * width + n))
        total += w_u[m] * line
    return np.asarray(total * np.float32(NORMAL * _SPLINE_GAIN))


_SPLINE_GAIN = 1.0 / (151.0 / 315.0)
"""White nodes seen through a cubic B-spline keep 151/315 of their spread along each axis [1]."""


def fractal_noise(
    u: NDArray[np.float64], v: NDArray[np.float64], seed: int, *, octaves: int, gain: float
) -> FLOAT:
    """Return a sum of noises, each of half the wavelength and `gain` times the height.

    Its power falls as wave number to the power of −β, β = 2 − 2 log₂ gain: 4.4 for a gain of 0.435.

    Parameters
    ----------
    u, v : ndarray, shape (...)
        Place in units of the longest lattice spacing [1].
    seed : int
        Of the field.
    octaves : int
        How many.
    gain : float
        Height of an octave over that of the one before [1].

    Returns
    -------
    ndarray, shape (...)
        Values of mean 0 and variance about 1 [1].
    """
    total = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(v)), dtype=np.float32)
    for k in range(octaves):
        scale = 2.0**k
        # A shift by a part of a node keeps the nodes of all octaves from meeting at the origin.
        noise = value_noise(
            u * scale + 0.37 * k, v * scale + 0.71 * k, (seed + 977 * k) & 0xFFFFFFFF
        )
        total += np.float32(gain**k) * noise
    norm = math.sqrt(sum(gain ** (2 * k) for k in range(octaves)))
    return np.asarray(total / np.float32(norm))


def line_noise(u: NDArray[np.float64], seed: int, *, octaves: int = 1, gain: float = 0.5) -> FLOAT:
    """Return fractal noise of one variable, shape (...), mean 0 and variance about 1 [1]."""
    total = np.zeros(np.shape(u), dtype=np.float32)
    for k in range(octaves):
        place = np.asarray(u, dtype=np.float64) * 2.0**k + 0.37 * k
        node = np.floor(place)
        i = node.astype(np.int64)
        part = np.zeros(np.shape(u), dtype=np.float32)
        for m, weight in enumerate(cubic_weights(place - node)):
            draw = uniform(i + (m - 1), k, seed) * np.float32(2.0) - np.float32(1.0)
            part += weight.astype(np.float32) * draw
        total += np.float32(gain**k) * part
    norm = math.sqrt(sum(gain ** (2 * k) for k in range(octaves)) * _SPLINE_GAIN**-1)
    return np.asarray(total * np.float32(NORMAL / norm))


def smoothstep(low: float, high: float, value: FLOAT) -> FLOAT:
    """Return 0 below `low`, 1 above `high` and 3t² − 2t³ between, shape (...) [1]."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0).astype(np.float32)
    return np.asarray(t * t * (np.float32(3.0) - np.float32(2.0) * t))
