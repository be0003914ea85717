"""Smooth random fields of EPSG:3031 that are the same on whatever grid they are read."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FLOAT = NDArray[np.float64]

HALF_WIDTH = 4096e3
"""Fields repeat beyond this distance from the pole along x and y [m]; ice ends before 2800 km."""
PER_LENGTH = 2.5
"""Least number of lattice points in a correlation length: splines then err by less than 1 % [1]."""
SHORTEST = 10e3
"""Shortest correlation length: its lattice has 2048² points [m]."""


def smooth_noise(x: FLOAT, y: FLOAT, generator: np.random.Generator, *, length: float) -> FLOAT:
    """Draw a Gaussian random field of mean 0 and variance 1.

    White noise on a periodic lattice is filtered so that the covariance is

        cov(d) = exp(−d² / 2L²)

    and read between lattice points by cubic splines. d is distance on the map, which is 0.97 times
    that on the ground at the pole and 1.02 times it at 65° S.

    Parameters
    ----------
    x, y : ndarray, shape (...)
        Points of EPSG:3031 [m].
    generator : numpy.random.Generator
        Where the draw comes from.
    length : float
        Correlation length L [m]; the lattice depends on it, and not on the points.

    Returns
    -------
    ndarray, shape (...)
        Values [1].

    Raises
    ------
    ValueError
        A length below :data:`SHORTEST`.
    """
    if length < SHORTEST:
        msg = (
            f"found a correlation length of {length / 1e3:g} km, expected {SHORTEST / 1e3:g} km or "
            "more: a shorter one needs a lattice of more than 2048 × 2048 points"
        )
        raise ValueError(msg)
    size = 2 ** math.ceil(math.log2(2.0 * HALF_WIDTH * PER_LENGTH / length))
    spacing = 2.0 * HALF_WIDTH / size
    white = generator.standard_normal((size, size))
    filtered = np.fft.irfft2(np.fft.rfft2(white) * _transfer(size, spacing, length), s=white.shape)
    row, column = ((np.asarray(axis) + HALF_WIDTH) / spacing for axis in (y, x))
    return np.asarray(
        ndimage.map_coordinates(filtered, np.stack([row, column]), order=3, mode="grid-wrap")
    )


def _transfer(size: int, spacing: float, length: float) -> FLOAT:
    """Return the filter of white noise, its mean square 1, shape (size, size // 2 + 1)."""
    k_y = 2.0 * np.pi * np.fft.fftfreq(size, spacing)[:, None]
    k_x = 2.0 * np.pi * np.fft.rfftfreq(size, spacing)
    whole = np.exp(-(k_y**2 + (2.0 * np.pi * np.fft.fftfreq(size, spacing)) ** 2) * length**2 / 2.0)
    half = np.exp(-(k_y**2 + k_x**2) * length**2 / 4.0)
    return np.asarray(half / np.sqrt(whole.mean()))
