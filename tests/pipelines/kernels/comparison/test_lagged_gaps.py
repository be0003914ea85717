"""Series of which hardly two years follow each other tell nothing, and spoil no other's chances."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.kernels.comparison.lagged_correlation import (
    LEAST_NEIGHBOURS,
    Pair,
    SeriesError,
    lagged_correlations,
    persistence,
)

YEARS = 26


def every_second(neighbours: int = 0) -> NDArray[np.float64]:
    """Return noise of every second year, and of as many between as make pairs of neighbours."""
    series = np.random.default_rng(3).standard_normal(YEARS)
    kept = np.arange(YEARS) % 2 == 0
    kept[1:neighbours:2] = True
    if neighbours % 2:
        kept[-1] = True
    series[~kept] = np.nan
    assert np.isfinite(series[1:] * series[:-1]).sum() == neighbours
    return series


@pytest.mark.parametrize("neighbours", range(LEAST_NEIGHBOURS))
def test_a_series_of_too_few_neighbouring_years_has_no_persistence(neighbours: int) -> None:
    with pytest.raises(SeriesError, match=f"has {neighbours} pairs of neighbouring .* expected 4"):
        persistence(every_second(neighbours))


def test_as_many_as_are_asked_for_are_enough() -> None:
    assert 0.0 <= persistence(every_second(LEAST_NEIGHBOURS)) <= 0.95


@pytest.mark.parametrize("place", ["leader", "follower"])
def test_a_pair_with_such_a_series_is_refused_by_name(place: str) -> None:
    """Its draws would all be NaN, which nothing reaches: p of 1 in all draws, for every shelf."""
    rng = np.random.default_rng(4)
    good = Pair("Getz", rng.standard_normal(YEARS), rng.standard_normal(YEARS))
    series = {"leader": good.leader, "follower": good.follower, place: every_second()}

    with pytest.raises(SeriesError, match="Dotson: a series has 0 pairs of neighbouring years"):
        lagged_correlations([good, Pair("Dotson", **series)], longest_lag=3, seed=1, draws=50)
