"""Whether one yearly series follows another, told honestly: neighbouring years and many tries.

A correlation of two short series that both drift is large by chance alone. Three things make it
larger than it is: each series resembles itself from year to year, several lags are tried and the
best is kept, and several ice shelves are tried. All three are answered at once by doing the same to
series that have nothing to do with each other: draws of autoregressive processes of first order
with the persistence of each series, gaps where it has gaps, detrended alike. The best |r| over the
lags is compared with theirs, for one shelf, and for the best of all shelves (the family).

    x_t = φ x_{t−1} + ε_t,    φ estimated from the detrended series, corrected for its length:

φ̂ is too small on average, by (1 + 3φ)/n after removing a mean (Marriott and Pope 1954; Kendall
1954) and by (2 + 4φ)/n after removing a line, which is what the test's rate of false alarms needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_YEARS = 8
"""Fewer pairs of years than this have no correlation worth its name."""
LEAST_NEIGHBOURS = 4
"""Fewer pairs of neighbouring years than this do not tell how a series resembles itself. Of 26
years, every second and as many as make 4 such pairs, 2, 5 and 6 % of unrelated pairs reach p 0.05
at φ 0, 0.4 and 0.7 (400 trials each)."""
MOST_PERSISTENT = 0.95
DRAWS = 4000


class SeriesError(ValueError):
    """Series that cannot be compared."""


@dataclass(frozen=True)
class Pair:
    """Two series of the same years.

    Attributes
    ----------
    name : str
        The shelf.
    leader, follower : ndarray, shape (years,)
        NaN where a year has no value.
    """

    name: str
    leader: NDArray[np.float64]
    follower: NDArray[np.float64]


@dataclass(frozen=True)
class Lagged:
    """What was found of one pair.

    Attributes
    ----------
    name : str
    correlations : ndarray, shape (lags,)
        By lag 0, 1, ... years of the follower behind the leader; NaN with too few years [1].
    lag : int
        That of the largest |r| [yr].
    correlation : float
        There [1].
    years : int
        Pairs of years there.
    persistence : tuple of float
        φ of the leader and of the follower [1].
    local, family : float
        How often unrelated series reach so much: at the best lag of this shelf, and at the best
        lag of the best of all shelves tried [1].
    """

    name: str
    correlations: NDArray[np.float64]
    lag: int
    correlation: float
    years: int
    persistence: tuple[float, float]
    local: float
    family: float


def lagged_correlations(
    pairs: Sequence[Pair], *, longest_lag: int, seed: int, draws: int = DRAWS
) -> list[Lagged]:
    """Correlate each pair at all lags, and say how often unrelated series would look as related.

    Parameters
    ----------
    pairs : sequence of Pair
        All that are tried: leaving out those that disappoint makes the family's p wrong.
    longest_lag : int
        Lags 0 to this are tried [yr]; at least :data:`LEAST_YEARS` less than the series has years.
    seed : int
        Of the draws.
    draws : int
        Number of sets of unrelated series; p is no smaller than 1 / (draws + 1).

    Raises
    ------
    SeriesError
        A pair with fewer than :data:`LEAST_YEARS` common years, or series that do not vary, or of
        which fewer than :data:`LEAST_NEIGHBOURS` years have the year after them.
    """
    if not pairs or longest_lag < 0 or draws < 1:
        msg = f"found {len(pairs)} pairs, lags to {longest_lag} and {draws} draws; expected some"
        raise SeriesError(msg)
    rng = np.random.default_rng(seed)
    seen = [_seen(pair, longest_lag) for pair in pairs]
    chance = np.stack(
        [_by_chance(pair, longest_lag, draws, rng) for pair in pairs]
    )  # (pairs, draws)
    best = chance.max(axis=0)
    told = []
    for pair, (correlations, counts), own in zip(pairs, seen, chance, strict=True):
        lag = int(np.nanargmax(np.abs(correlations)))
        size = abs(correlations[lag])
        told.append(
            Lagged(
                pair.name,
                correlations,
                lag,
                float(correlations[lag]),
                int(counts[lag]),
                (persistence(pair.leader), persistence(pair.follower)),
                local=_exceedance(own, size),
                family=_exceedance(best, size),
            )
        )
    return told


def _exceedance(chance: NDArray[np.float64], size: float) -> float:
    """Return how often chance reaches ``size``, the series itself counted in."""
    return float((1 + np.count_nonzero(chance >= size)) / (1 + len(chance)))


def detrended(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is left of series after their own straight lines.

    Parameters
    ----------
    series : ndarray, shape (..., years)
        One value a year [u]; NaN where there is none.

    Returns
    -------
    ndarray, shape (..., years)
        [u]; NaN stays.
    """
    years = np.arange(series.shape[-1], dtype=np.float64)
    is_there = np.isfinite(series)
    count = is_there.sum(axis=-1, keepdims=True)
    filled = np.where(is_there, series, 0.0)
    middle = (years * is_there).sum(axis=-1, keepdims=True) / count
    away = (years - middle) * is_there
    mean = filled.sum(axis=-1, keepdims=True) / count
    slope = (away * filled).sum(axis=-1, keepdims=True) / (away**2).sum(axis=-1, keepdims=True)
    return np.where(is_there, series - mean - slope * (years - middle), np.nan)


def persistence(series: NDArray[np.float64]) -> float:
    """Return φ of a series, detrended and corrected for its length, from 0 to 0.95 [1].

    Parameters
    ----------
    series : ndarray, shape (years,)
        One value a year [u]; NaN where there is none.

    Raises
    ------
    SeriesError
        Too few years, or too few that follow each other, or a straight line.
    """
    left = detrended(series)
    count = int(np.isfinite(left).sum())
    if count < LEAST_YEARS:
        msg = f"a series has {count} years; expected {LEAST_YEARS} at least"
        raise SeriesError(msg)
    product = left[1:] * left[:-1]
    neighbours = int(np.isfinite(product).sum())
    if neighbours < LEAST_NEIGHBOURS:
        msg = (
            f"a series has {neighbours} pairs of neighbouring years, which do not tell how it "
            f"resembles itself; expected {LEAST_NEIGHBOURS} at least"
        )
        raise SeriesError(msg)
    power = float(np.nanmean(left**2))
    if power <= 1e-24 * float(np.nanmax(np.abs(series))) ** 2:
        msg = "a series does not vary about its straight line, so nothing can follow it"
        raise SeriesError(msg)
    raw = float(np.nanmean(product)) / power
    corrected = raw + (2.0 + 4.0 * raw) / count
    return float(np.clip(corrected, 0.0, MOST_PERSISTENT))


def _seen(pair: Pair, longest: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return correlations and numbers of years by lag."""
    if pair.leader.shape != pair.follower.shape or pair.leader.ndim != 1:
        msg = (
            f"{pair.name}: found series of shapes {pair.leader.shape} and {pair.follower.shape}; "
            "expected the same years in both"
        )
        raise SeriesError(msg)
    if longest > len(pair.leader) - LEAST_YEARS:
        msg = (
            f"{pair.name}: {len(pair.leader)} years leave fewer than {LEAST_YEARS} at least at a "
            f"lag of {longest}; expected more years or shorter lags"
        )
        raise SeriesError(msg)
    try:
        persistence(pair.leader), persistence(pair.follower)
    except SeriesError as error:
        msg = f"{pair.name}: {error}"
        raise SeriesError(msg) from None
    found, counts = _correlations(
        detrended(pair.leader)[None], detrended(pair.follower)[None], longest
    )
    if not np.isfinite(found).any():
        msg = (
            f"{pair.name}: the series have at most {counts.max()} years in common at any lag; "
            f"expected {LEAST_YEARS} at least"
        )
        raise SeriesError(msg)
    return found[0], counts[0]


def _correlations(
    leader: NDArray[np.float64], follower: NDArray[np.float64], longest: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return correlations and numbers of common years of series (n, years), each (n, lags)."""
    found, counts = [], []
    for lag in range(longest + 1):
        one = leader[:, : leader.shape[1] - lag]
        other = follower[:, lag:]
        both = np.isfinite(one) & np.isfinite(other)
        number = both.sum(axis=1)
        one, other = np.where(both, one, 0.0), np.where(both, other, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            one = (one - one.sum(axis=1, keepdims=True) / number[:, None]) * both
            other = (other - other.sum(axis=1, keepdims=True) / number[:, None]) * both
            size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
            found.append(np.where(number >= LEAST_YEARS, (one * other).sum(axis=1) / size, np.nan))
        counts.append(number)
    return np.stack(found, axis=1), np.stack(counts, axis=1)


def _by_chance(
    pair: Pair, longest: int, draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the largest |r| over the lags of unrelated series like these, shape (draws,)."""
    unrelated = [detrended(_drawn(series, draws, rng)) for series in (pair.leader, pair.follower)]
    found, _ = _correlations(unrelated[0], unrelated[1], longest)
    best: NDArray[np.float64] = np.nanmax(np.abs(found), axis=1)
    return best


def _drawn(
    series: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw stationary processes with the persistence and the gaps of a series, (draws, years)."""
    phi = persistence(series)
    noise = rng.standard_normal((draws, len(series)))
    drawn = np.empty_like(noise)
    drawn[:, 0] = noise[:, 0]
    for year in range(1, len(series)):
        drawn[:, year] = phi * drawn[:, year - 1] + (1.0 - phi**2) ** 0.5 * noise[:, year]
    drawn[:, ~np.isfinite(series)] = np.nan
    return drawn
