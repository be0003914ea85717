"""Does one series follow another: the lag that is there, and false alarms at their stated rate."""

import numpy as np
import pytest

from pipelines.kernels.comparison.lagged_correlation import (
    Pair,
    SeriesError,
    detrended,
    lagged_correlations,
    persistence,
)

YEARS = 26


def autoregressive(phi: float, rng: np.random.Generator, years: int = YEARS) -> np.ndarray:
    series = [rng.standard_normal()]
    for _ in range(years - 1):
        series.append(phi * series[-1] + (1 - phi**2) ** 0.5 * rng.standard_normal())
    return np.array(series)


def test_the_lag_and_the_sign_that_are_there_are_found():
    rng = np.random.default_rng(4)
    damage = autoregressive(0.5, rng) + 0.1 * np.arange(YEARS)
    discharge = np.r_[np.full(2, np.nan), -3.0 * damage[:-2]] + 0.3 * rng.standard_normal(YEARS)
    (found,) = lagged_correlations([Pair("Dotson", damage, discharge)], longest_lag=4, seed=1)
    assert found.lag == 2
    assert found.correlation < -0.9
    assert found.local == found.family < 0.01
    assert found.years == YEARS - 2


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.7])
def test_unrelated_series_that_drift_raise_false_alarms_no_more_often_than_stated(phi):
    """Plain correlation tests at 5 % alarm in a third of such pairs and more at phi 0.7."""
    rng = np.random.default_rng(5)
    trials, alarms = 400, 0
    for trial in range(trials):
        pair = Pair(
            "x",
            autoregressive(phi, rng) + 0.05 * np.arange(YEARS),
            autoregressive(phi, rng) - 0.2 * np.arange(YEARS),
        )
        (found,) = lagged_correlations([pair], longest_lag=3, seed=trial, draws=200)
        alarms += found.local < 0.05
    # Over 1500 trials 4.5, 4.7 and 6.5 % were found; without the correction of the persistence for
    # its bias 11 % at 0.7.
    limit = 0.055 + 2.5 * (0.055 * 0.945 / trials) ** 0.5
    assert alarms / trials < limit


def test_of_several_unrelated_shelves_the_best_raises_alarms_no_more_often_than_stated():
    rng = np.random.default_rng(9)
    trials, alarms = 300, 0
    for trial in range(trials):
        pairs = [Pair(str(n), autoregressive(0.4, rng), autoregressive(0.4, rng)) for n in range(4)]
        found = lagged_correlations(pairs, longest_lag=3, seed=trial, draws=200)
        alarms += min(each.family for each in found) < 0.05
    assert alarms / trials < 0.055 + 2.5 * (0.055 * 0.945 / trials) ** 0.5


def test_the_more_shelves_are_tried_the_less_the_best_of_them_says():
    rng = np.random.default_rng(6)
    pairs = [Pair(str(n), autoregressive(0.3, rng), autoregressive(0.3, rng)) for n in range(9)]
    found = lagged_correlations(pairs, longest_lag=3, seed=1, draws=1000)
    assert all(each.family >= each.local for each in found)
    assert min(each.family for each in found) > 2.0 * min(each.local for each in found)


def test_missing_years_are_missing_in_the_draws_too():
    rng = np.random.default_rng(7)
    leader, follower = autoregressive(0.3, rng), autoregressive(0.3, rng)
    leader[4:10] = np.nan
    follower[20] = np.nan
    (found,) = lagged_correlations([Pair("x", leader, follower)], longest_lag=2, seed=1)
    both = np.isfinite(leader) & np.isfinite(follower)
    expected = np.corrcoef(detrended(leader)[both], detrended(follower)[both])[0, 1]
    assert found.correlations[0] == pytest.approx(expected)


def test_detrending_is_that_of_a_straight_line_with_gaps():
    years = np.arange(10.0)
    series = 3.0 - 2.0 * years + np.sin(years)
    series[[2, 7]] = np.nan
    kept = np.isfinite(series)
    line = np.polynomial.Polynomial.fit(years[kept], series[kept], 1)
    np.testing.assert_allclose(detrended(series)[kept], (series - line(years))[kept], atol=1e-12)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
def test_persistence_is_right_on_average(phi):
    rng = np.random.default_rng(8)
    found = [persistence(autoregressive(phi, rng, 60)) for _ in range(500)]
    # Negative estimates count as none, which lifts the mean at 0 by some 0.05. The bias that is
    # corrected is 0.05 and 0.07 at the others.
    assert np.mean(found) == pytest.approx(phi, abs=0.03 if phi else 0.08)


@pytest.mark.parametrize(
    ("leader", "follower", "words"),
    [
        (np.arange(9.0) ** 2, np.r_[np.full(3, np.nan), np.arange(6.0) ** 2], "8 at least"),
        (np.arange(8.0) ** 2, np.arange(8.0) ** 2, "shorter lags"),
        (np.arange(20.0), np.sin(np.arange(20.0)), "does not vary about its straight line"),
        (np.sin(np.arange(20.0)), np.sin(np.arange(21.0)), "the same years in both"),
        (
            np.r_[np.sin(np.arange(9.0)), np.full(11, np.nan)],
            np.r_[np.full(11, np.nan), np.sin(np.arange(9.0))],
            "years in common",
        ),
    ],
)
def test_what_cannot_be_correlated_is_refused(leader, follower, words):
    with pytest.raises(SeriesError, match=words):
        lagged_correlations([Pair("x", leader, follower)], longest_lag=1, seed=1, draws=10)
