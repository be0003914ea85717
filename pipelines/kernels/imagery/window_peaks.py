"""The highest peak of many short signals over angles at once, plateaus and edges as SciPy has them.

A loop over angles walks all signals together: each step is a few operations on vectors.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

REAL = NDArray[np.floating]
Peaks = Literal["published", "circular"]


def highest(values: REAL, peaks: Peaks) -> tuple[REAL, REAL]:
    """Return the highest peak of signals after a running median of three, and where it is.

    Parameters
    ----------
    values : ndarray, shape (angle, n)
        One signal per column. The median runs round the circle.
    peaks : {"published", "circular"}
        As published, peaks are those of ``scipy.signal.find_peaks``: the first and the last angle
        are never part of one. On the circle the highest value is the peak wherever it is.

    Returns
    -------
    height : ndarray, shape (n,)
        0 where there is no peak.
    angle : ndarray, shape (n,)
        Its index, of a plateau the middle one (the lower of two); of peaks of the same height
        the last. NaN where there is none.

    Notes
    -----
    A least distance between peaks never takes away the highest, so it does not matter here.
    """
    smooth = median_of_three(values)
    if peaks == "published":
        return _inner_peak(smooth)
    return _circular_peak(smooth)


def median_of_three(values: REAL) -> REAL:
    """Return the running median of three round the circle, along the first axis.

    >>> median_of_three(np.array([[3.0], [1.0], [2.0], [9.0]]))[:, 0].tolist()
    [3.0, 2.0, 2.0, 3.0]
    """
    before, after = np.roll(values, 1, axis=0), np.roll(values, -1, axis=0)
    low, high = np.minimum(before, values), np.maximum(before, values)
    np.minimum(high, after, out=high)
    return np.asarray(np.maximum(low, high, out=low))


def _inner_peak(smooth: REAL) -> tuple[REAL, REAL]:
    count = smooth.shape[1]
    height = np.zeros(count, dtype=smooth.dtype)
    begin, end = np.full(count, -1, dtype=np.int32), np.full(count, -1, dtype=np.int32)
    since = np.full(count, -1, dtype=np.int32)
    for i in range(1, len(smooth)):
        before, now = smooth[i - 1], smooth[i]
        falls = now < before
        top = falls & (since >= 0) & (before >= height)
        np.copyto(height, before, where=top)
        np.copyto(begin, since, where=top)
        np.copyto(end, np.int32(i - 1), where=top)
        np.copyto(since, np.int32(-1), where=falls)
        np.copyto(since, np.int32(i), where=now > before)
    angle = ((begin + end) // 2).astype(smooth.dtype)
    return height, np.where(begin < 0, np.nan, angle).astype(smooth.dtype)


def _circular_peak(smooth: REAL) -> tuple[REAL, REAL]:
    """Take the run of the highest value that ends last, round the circle."""
    size, count = smooth.shape
    height = smooth.max(axis=0)
    at_top = smooth == height
    flat = at_top.all(axis=0)
    # The last angle at the top whose next one is lower, counted from its end.
    ends = at_top & ~np.roll(at_top, -1, axis=0)
    end = size - 1 - np.argmax(ends[::-1], axis=0)
    length = np.zeros(count, dtype=np.int64)
    running = np.ones(count, dtype=bool)
    while running.any():
        running &= at_top[(end - length) % size, np.arange(count)] & (length < size)
        length += running
    angle = (end - (length - 1) + (length - 1) // 2) % size
    signal = np.where(flat, np.asarray(0.0, dtype=smooth.dtype), height)
    return signal, np.where(flat, np.nan, angle).astype(smooth.dtype)
