"""Rates of one period from measurements of months and of years of ice flow.

A rate of a period is ∫ w r dt over the rates r(t) in it. Two readings of w are in use, and they
differ where snowfall does: the *mean* rate, what a budget of years gives,

    w = 1 / T,

and the *trend*, what a straight line through a series of masses M(t) = ∫ r dt gives, for which the
middle of the period counts most (integrate the normal equations by parts):

    w = 6 s (1 − s) / T,    s = (t − t₀) / T from 0 to 1.

Both have the integral W(s), s or 3 s² − 2 s³, and an interval weighs W(s₂) − W(s₁).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]
Reading = Literal["mean", "trend"]
READINGS: tuple[Reading, ...] = ("mean", "trend")


class AlignmentError(ValueError):
    """Intervals that give no rate of a period."""


def interval_weights(
    start: DATES, end: DATES, period: Sequence[np.datetime64], *, reading: Reading
) -> FLOAT:
    """Return what the rate of each interval counts in the rate of a period.

    Parameters
    ----------
    start, end : ndarray of datetime64[D], shape (n,)
        First days, and first days after.
    period : sequence of two datetime64[D]
        First day of the period, and the first day after it.
    reading : {"mean", "trend"}
        See the head of this module.

    Returns
    -------
    ndarray, shape (n,)
        Weights [1]; they sum to 1 where disjoint intervals cover the period.

    Raises
    ------
    AlignmentError
        A period or an interval that ends before it begins, or an unknown reading.

    Examples
    --------
    >>> days = np.array(["2011-01-01", "2012-01-01", "2013-01-01", "2014-01-01"], "datetime64[D]")
    >>> interval_weights(days[:-1], days[1:], days[[0, -1]], reading="trend").round(3)
    array([0.259, 0.482, 0.259])
    """
    if reading not in READINGS:
        msg = f"found the reading {reading!r}, expected one of {', '.join(READINGS)}"
        raise AlignmentError(msg)
    first, after = (day.astype("datetime64[D]") for day in period)
    if not (first < after and (start < end).all()):
        msg = f"found a period {first} to {after} or an interval that ends before it begins"
        raise AlignmentError(msg)
    length = (after - first).astype(np.float64)
    return _weight_until((end - first).astype(np.float64) / length, reading) - _weight_until(
        (start - first).astype(np.float64) / length, reading
    )


def _weight_until(s: FLOAT, reading: Reading) -> FLOAT:
    """Return W(s), 0 before the period and 1 after it."""
    inside = np.clip(s, 0.0, 1.0)
    return inside if reading == "mean" else inside**2 * (3.0 - 2.0 * inside)


def nearest_intervals(
    start: DATES, end: DATES, period: Sequence[np.datetime64]
) -> tuple[DATES, DATES]:
    """Return intervals widened so that each day of the period belongs to the nearest of them.

    Discharge changes slowly: where no year of velocity covers a part of the period, the year
    beside it stands for it. Snowfall does not, and is taken by months.

    Parameters
    ----------
    start, end : ndarray of datetime64[D], shape (n,)
        First days, and first days after, of disjoint intervals in order of time.
    period : sequence of two datetime64[D]
        First day, and the first day after.

    Returns
    -------
    start, end : ndarray of datetime64[D], shape (n,)

    Raises
    ------
    AlignmentError
        No interval, or intervals that overlap or are out of order.
    """
    if not len(start) or (start[1:] < end[:-1]).any():
        msg = f"found {len(start)} intervals; expected one at least, in order, none overlapping"
        raise AlignmentError(msg)
    first, after = (day.astype("datetime64[D]") for day in period)
    middle = end[:-1] + (start[1:] - end[:-1]) // 2
    lower = np.concatenate([[min(first, start[0])], middle])
    upper = np.concatenate([middle, [max(after, end[-1])]])
    return lower, upper


def covered_share(start: DATES, end: DATES, period: Sequence[np.datetime64]) -> float:
    """Return the share of the days of a period that disjoint intervals cover [1]."""
    return float(interval_weights(start, end, period, reading="mean").sum())
