"""Errors of rates from masses: closed forms, exact covariances of known errors, odd files."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.kernels.comparison.alignment import READINGS, Reading, interval_weights
from pipelines.published_masses import Masses, change_sigma, rate_sigma

FLOAT = NDArray[np.float64]

ERRORS: dict[str, Callable[[FLOAT], FLOAT]] = {
    "a bias of the rate": lambda since: 12.0**2 * np.outer(since, since),
    "independent increments": lambda since: 300.0 * np.minimum.outer(since, since),
    "both": lambda since: 12.0**2 * np.outer(since, since) + 300.0 * np.minimum.outer(since, since),
    "each mass by itself": lambda since: 20.0**2 * np.eye(len(since)),
}
"""Covariance of the errors of masses between dates [Gt²], by years since the first."""


def masses(years: FLOAT, covariance: FLOAT) -> Masses:
    return Masses("AIS", tuple(2000.0 + years), tuple(np.sqrt(np.diag(covariance))))


def weighed(years: FLOAT, start: float, end: float, reading: Reading) -> FLOAT:
    """Return what the rate between each two dates counts, dates taken to thousandths of a year."""
    days = np.rint(1000.0 * years).astype(np.int64).astype("datetime64[D]")
    period = np.array([round(1000.0 * start), round(1000.0 * end)]).astype("datetime64[D]")
    return interval_weights(days[:-1], days[1:], period, reading=reading)


def true_sigma(years: FLOAT, covariance: FLOAT, weights: FLOAT) -> float:
    """Return the standard deviation of the rate by the whole covariance, which no file has."""
    counts = (weights / np.diff(years)) @ np.diff(np.eye(len(years)), axis=0)
    return float(np.sqrt(counts @ covariance @ counts))


@pytest.mark.parametrize("a_year", [1, 4, 12])
@pytest.mark.parametrize(("start", "end"), [(0.0, 6.0), (2.0, 6.0), (1.0, 3.0), (4.0, 5.0)])
@pytest.mark.parametrize("kind", ERRORS)
def test_the_mean_rate_is_as_uncertain_as_the_change_between_both_ends(
    kind: str, start: float, end: float, a_year: int
) -> None:
    """Of every kind of errors, in any part of the series, however often it was sampled."""
    years = np.arange(6 * a_year + 1) / a_year
    covariance = ERRORS[kind](years)
    weights = weighed(years, start, end, "mean")

    found = rate_sigma(masses(years, covariance), weights)

    # Weights are of whole thousandths of a year: a month of 83 is not a twelfth.
    assert found == pytest.approx(true_sigma(years, covariance, weights), rel=4e-3)


@pytest.mark.parametrize("a_year", [1, 4, 12])
@pytest.mark.parametrize(("start", "end"), [(0.0, 6.0), (2.0, 6.0), (1.5, 3.2)])
@pytest.mark.parametrize("kind", ERRORS)
def test_a_trend_is_weighed_and_no_better_known_than_the_ends(
    kind: str, start: float, end: float, a_year: int
) -> None:
    years = np.arange(6 * a_year + 1) / a_year
    covariance = ERRORS[kind](years)
    weights = weighed(years, start, end, "trend")
    used = np.flatnonzero(weights)
    ends = years[[used[0], used[-1] + 1]]
    least = true_sigma(years, covariance, weighed(years, *ends, "mean"))
    true = true_sigma(years, covariance, weights)

    found = rate_sigma(masses(years, covariance), weights)

    assert found == pytest.approx(max(true, least), rel=4e-3)
    assert found >= true * (1.0 - 1e-9)


def test_a_simulated_walk_and_simulated_noise_scatter_as_told() -> None:
    generator = np.random.default_rng(11)
    years = np.arange(61) / 12.0
    walk = np.cumsum(generator.normal(0.0, 5.0, (20_000, 61)), axis=1)
    walk -= walk[:, :1]
    noise = generator.normal(0.0, 20.0, (20_000, 61))

    for errors in (walk, noise):
        series = Masses("AIS", tuple(2000.0 + years), tuple(errors.std(axis=0)))
        rates = np.diff(errors, axis=1) / np.diff(years)
        for reading in READINGS:
            weights = weighed(years, 0.0, 5.0, reading)
            scatter = float((rates @ weights).std())
            found = rate_sigma(series, weights)
            # Of noise a line takes much out: the file does not say so, and it is not taken.
            if errors is noise and reading == "trend":
                assert found > scatter
            else:
                assert found == pytest.approx(scatter, rel=0.03)


def test_numbers_of_five_years_of_months() -> None:
    """What a reviewer found wrong: ± 60, 88 and 0 instead of these [Gt yr⁻¹]."""
    months = np.arange(61)
    years, weights = tuple(2000.0 + months / 12.0), np.full(60, 1.0 / 60.0)

    for sigma, expected in (
        (5.0 * np.sqrt(months), 5.0 * 60.0**0.5 / 5.0),
        (1.0 * months, 60.0 / 5.0),
        (np.full(61, 20.0), 2.0**0.5 * 20.0 / 5.0),
    ):
        assert rate_sigma(Masses("AIS", years, tuple(sigma)), weights) == pytest.approx(expected)


def test_masses_beside_one_in_the_middle_grow_both_ways() -> None:
    years = np.linspace(-5.0, 5.0, 11)
    bias = Masses("AIS", tuple(2005.0 + years), tuple(7.0 * np.abs(years)))

    for start, end in ((0.0, 10.0), (0.0, 3.0), (3.0, 8.0)):
        for reading in READINGS:
            weights = weighed(years + 5.0, start, end, reading)
            assert rate_sigma(bias, weights) == pytest.approx(7.0)


def test_an_error_that_stops_growing_is_no_certainty() -> None:
    plateau = Masses("AIS", (2000.0, 2001.0, 2002.0, 2003.0, 2004.0), (0.0, 9.0, 16.0, 16.0, 16.0))

    last_year = rate_sigma(plateau, np.array([0.0, 0.0, 0.0, 1.0]))

    assert last_year == 9.0


def test_two_dates_without_an_error_before_those_with_one_leave_it_growing() -> None:
    late = Masses("AIS", (2000.0, 2001.0, 2002.0, 2003.0), (0.0, 0.0, 10.0, 15.0))

    assert rate_sigma(late, np.array([0.0, 0.0, 1.0])) == pytest.approx(5.0)
    assert np.isnan(rate_sigma(late, np.array([1.0, 0.0, 0.0])))


def test_without_errors_a_rate_has_none_and_without_weights_nothing() -> None:
    bare = Masses("AIS", (2000.0, 2001.0, 2002.0), (0.0, 0.0, 0.0))

    assert np.isnan(rate_sigma(bare, np.array([0.5, 0.5])))
    assert rate_sigma(bare, np.zeros(2)) == 0.0


@given(
    steps=st.lists(st.integers(1, 900), min_size=1, max_size=12),
    data=st.data(),
    reading=st.sampled_from(READINGS),
)
def test_whatever_a_file_says_the_error_is_one_that_its_masses_can_have(
    steps: list[int], data: st.DataObject, reading: Reading
) -> None:
    years = np.append(0, np.cumsum(steps)) / 1000.0
    one = st.one_of(st.just(0.0), st.floats(1e-4, 999.0))
    sigma = np.array(data.draw(st.lists(one, min_size=len(years), max_size=len(years))))
    series = Masses("AIS", tuple(2000.0 + years), tuple(sigma))

    found = rate_sigma(series, weighed(years, 0.0, years[-1], reading))

    changes = change_sigma(series)
    np.testing.assert_allclose(changes, changes.T)
    assert (changes <= np.add.outer(sigma, sigma) + 1e-9).all()
    assert (changes >= np.abs(np.subtract.outer(sigma, sigma)) - 1e-9).all()
    # Never 0: either an error, or none that is known.
    assert np.isnan(found) or found > 0.0
    if sigma[0] + sigma[-1] > 0.0:
        assert found >= abs(sigma[-1] - sigma[0]) / (years[-1] - years[0]) * (1.0 - 1e-9)
