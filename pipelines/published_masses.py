"""Errors of rates that are taken from a series of masses, such as IMBIE's files of dM.

A file gives the error s of each mass beside that of a reference date, and not how the errors of two
dates belong together. One assumption is made: **the error of a change depends on how long it
lasts.** What the file says of the change since its reference t₀, the date of its least error, then
holds for every change of that length τ::

    V(τ) = s(t₀ + τ)² + s(t₀)²,    Γ_jk = V(|t_j − t_k|),    |s_j − s_k| ≤ √Γ_jk ≤ s_j + s_k

(the bounds are those of any two errors). A bias of the rate (s ∝ τ) so stays one error of it,
independent increments (s ∝ √τ) add in squares, and errors of each mass by itself (s constant) count
at both ends. A rate r = Σ c_j M_j with Σ c_j = 0 has the variance::

    var r = −½ Σ_jk c_j c_k Γ_jk

(Matheron, 1963, Economic Geology 58, 1246: the intrinsic hypothesis), and is taken to be no better
known than the change between its first and last mass: what averages out, a file does not say.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Masses:
    """Errors of the masses of a region beside that of one date.

    Attributes
    ----------
    region : str
        Its id, or the name of a group.
    dates : tuple of float
        Dates, increasing [decimal years].
    sigmas : tuple of float
        One standard deviation of each mass [Gt].
    """

    region: str
    dates: tuple[float, ...]
    sigmas: tuple[float, ...]

    @property
    def days(self) -> tuple[dt.date, ...]:
        """The day nearest to each date."""
        return tuple(map(day_of, self.dates))


def day_of(year: float) -> dt.date:
    """Return the day nearest to a decimal year.

    >>> day_of(2011.4959), day_of(2012.0)
    (datetime.date(2011, 7, 1), datetime.date(2012, 1, 1))
    """
    first = dt.datetime(int(year), 1, 1, tzinfo=dt.UTC)
    length = dt.datetime(int(year) + 1, 1, 1, tzinfo=dt.UTC) - first
    return (first + (year - int(year)) * length + dt.timedelta(hours=12)).date()


def change_sigma(masses: Masses) -> FLOAT:
    """Return the standard deviation √Γ_jk of the change between any two masses.

    Of changes longer than any since the reference, errors go on to grow in proportion to time.

    Returns
    -------
    ndarray, shape (date, date)
        [Gt], 0 from a date to itself.

    Examples
    --------
    Errors of a walk at random, s = 2 √τ: of two years that begin later, 2 √2.

    >>> walk = Masses("AIS", (2000.0, 2001.0, 2002.0, 2003.0), (0.0, 2.0, 8.0**0.5, 12.0**0.5))
    >>> change_sigma(walk)[1].round(3)
    array([2.   , 0.   , 2.   , 2.828])
    """
    date, sigma = np.array(masses.dates), np.array(masses.sigmas)
    apart = np.abs(date[:, None] - date)
    if not sigma.any():
        return np.zeros_like(apart)
    reference = int(sigma.argmin())
    order = np.argsort(apart[reference], kind="stable")
    # An error of 0 away from the reference was not given, and says nothing of how errors grow.
    order = order[(sigma[order] > 0.0) | (order == reference)]
    lag, grown = apart[reference, order], np.maximum.accumulate(sigma[order])
    beyond = np.maximum(1.0, apart / lag[-1])
    since = sigma[reference] + (np.interp(apart, lag, grown) - sigma[reference]) * beyond
    least, most = np.abs(sigma[:, None] - sigma), sigma[:, None] + sigma
    found: FLOAT = np.clip(np.hypot(since, sigma[reference]), least, most)
    np.fill_diagonal(found, 0.0)
    return found


def rate_sigma(masses: Masses, weights: FLOAT) -> float:
    """Return the standard deviation of a weighted rate, see the head of this module.

    Parameters
    ----------
    masses : Masses
        n + 1 errors.
    weights : ndarray, shape (n,)
        What the rate between each two dates counts [1].

    Returns
    -------
    float
        [Gt yr⁻¹]; 0 of no weights, NaN where the file gives no error.

    Examples
    --------
    >>> steady = Masses("AIS", (2000.0, 2001.0, 2002.0, 2003.0), (0.0, 20.0, 40.0, 60.0))
    >>> round(rate_sigma(steady, np.array([0.0, 0.5, 0.5])), 6)
    20.0
    """
    if not weights.any():
        return 0.0
    date, sigma = np.array(masses.dates), change_sigma(masses)
    yearly = weights / np.diff(date)
    counts = np.append(0.0, yearly) - np.append(yearly, 0.0)
    variance = -0.5 * counts @ sigma**2 @ counts
    first, *_, last = np.flatnonzero(np.append(weights, 0.0) + np.append(0.0, weights))
    ends = weights.sum() * sigma[first, last] / (date[last] - date[first])
    return float(np.sqrt(max(variance, ends**2))) or float("nan")
