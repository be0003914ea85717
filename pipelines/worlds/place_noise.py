"""Random fields of the map that are functions of the place: the same in any window of any size.

Each point of a lattice has its own number, hashed from its indices and a seed; nothing is drawn in
an order. So two windows agree where they overlap, and no field of the whole map is ever made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOAT32 = NDArray[np.float32]
INTEGERS = NDArray[np.int64]

_ODD = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
"""Odd multipliers; the first three are those of SplitMix64 (Steele et al. 2014)."""

_SUM_OF_FOUR = 4.0 * (2.0**32 - 1.0) / 12.0
"""Variance of the sum of four independent uniform 16-bit integers [1]."""


def hashed_gaussian(columns: INTEGERS, rows: INTEGERS, *, seed: int) -> FLOAT32:
    """Return one nearly Gaussian number for each point of a lattice.

    The sum of the four 16-bit parts of a 64-bit hash, standardised: mean 0, variance 1, kurtosis
    2.7, at most 3.46 in size.

    Parameters
    ----------
    columns, rows : ndarray of int, shapes (nx,) and (ny,)
        Indices of the lattice, of either sign.
    seed : int
        Another seed gives another field.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        Independent numbers [1].

    Examples
    --------
    >>> import numpy as np
    >>> whole = hashed_gaussian(np.arange(-3, 9), np.arange(5), seed=4)
    >>> part = hashed_gaussian(np.arange(2, 6), np.arange(1, 4), seed=4)
    >>> bool((whole[1:4, 5:9] == part).all())
    True
    """
    mixed = _mixed(rows, columns, seed)
    parts = mixed.view(np.uint16).reshape(*mixed.shape, 4)
    total = parts[..., 0].astype(np.float32)
    for each in range(1, 4):
        total += parts[..., each]
    total -= np.float32(2.0 * 65535.0)
    total *= np.float32(1.0 / np.sqrt(_SUM_OF_FOUR))
    return total


def lattice_noise(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    length: float,
    seed: int,
    stretch: float = 1.0,
) -> FLOAT32:
    """Return a smooth field of mean 0 and variance 1 at every point.

    Hashed numbers on a lattice are blended by cubic B-splines, and divided by the root of the sum
    of squared weights, which makes the variance 1 everywhere and not only on average.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,) and (ny,)
        Coordinates of the columns and rows [m].
    length : float
        Spacing of the lattice, about the distance at which values become independent [m].
    seed : int
        Another seed gives another field.
    stretch : float
        How much longer features are along x than along y [1].

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        The field [1].
    """
    columns, across = _spline_weights(np.asarray(x) / (length * np.sqrt(stretch)))
    rows, along = _spline_weights(np.asarray(y) / (length / np.sqrt(stretch)))
    return np.asarray(along @ hashed_gaussian(columns, rows, seed=seed) @ across.T)


def fractal_noise(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    length: float,
    seed: int,
    octaves: int = 4,
    stretch: float = 1.0,
) -> FLOAT32:
    """Return the sum of lattice noises, each 0.4 times as long and 0.55 times as strong.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,) and (ny,)
        Coordinates of the columns and rows [m].
    length : float
        Spacing of the coarsest lattice [m].
    seed, octaves, stretch
        As in :func:`lattice_noise`; how many are added.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        A field of mean 0 and variance 1 [1].
    """
    strengths = 0.55 ** np.arange(octaves)
    strengths /= np.sqrt((strengths**2).sum())
    total = np.zeros((np.size(y), np.size(x)), dtype=np.float32)
    for each, strength in enumerate(strengths):
        part = lattice_noise(
            x, y, length=length * 0.4**each, seed=seed * 31 + each, stretch=stretch
        )
        part *= np.float32(strength)
        total += part
    return total


def _mixed(rows: INTEGERS, columns: INTEGERS, seed: int) -> NDArray[np.uint64]:
    """Return 64 hashed bits for each point, shape (ny, nx); SplitMix64's finalizer of a mixture."""
    with np.errstate(over="ignore"):
        down = np.asarray(rows).astype(np.uint64) * np.uint64(_ODD[0])
        start = np.uint64((seed * _ODD[3] + _ODD[1]) % 2**64)
        down = _finalized(down + start)
        z = down[:, None] + np.asarray(columns).astype(np.uint64)[None, :] * np.uint64(_ODD[3])
        return _finalized(z)


def _finalized(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of fresh numbers in place."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(_ODD[1])
    z ^= z >> np.uint64(27)
    z *= np.uint64(_ODD[2])
    z ^= z >> np.uint64(31)
    return z


def _spline_weights(f: NDArray[np.float64]) -> tuple[INTEGERS, FLOAT32]:
    """Return lattice points and their weights at positions f, shapes (m,) and (n, m)."""
    points = np.arange(int(np.floor(f.min())) - 1, int(np.floor(f.max())) + 3)
    distance = np.abs(f[:, None] - points[None, :])
    inner = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    outer = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    weights = np.where(distance < 1.0, inner, outer)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return points, weights.astype(np.float32)
