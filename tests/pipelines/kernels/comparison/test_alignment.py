"""What intervals count in the rate of a period: sums over days, and straight lines by NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.comparison.alignment import (
    READINGS,
    AlignmentError,
    Reading,
    covered_share,
    interval_weights,
    nearest_intervals,
)

DAY = np.timedelta64(1, "D")
ORIGIN = np.datetime64("2011-01-01", "D")


def days(*offsets):
    return ORIGIN + np.array(offsets, dtype="timedelta64[D]")


def daily_weights(start, end, period, reading):
    """Weigh each day of the period by w at its middle, and add the days of each interval."""
    every = np.arange(period[0], period[1])
    s = (np.arange(len(every)) + 0.5) / len(every)
    w = (np.ones_like(s) if reading == "mean" else 6.0 * s * (1.0 - s)) / len(every)
    return np.array([
        w[(every >= a) & (every < b)].sum() for a, b in zip(start, end, strict=True)
    ])  # fmt: skip


edges = st.lists(st.integers(-400, 3000), min_size=2, max_size=12, unique=True).map(sorted)
periods = st.tuples(st.integers(0, 1000), st.integers(200, 1500))


@pytest.mark.parametrize("reading", READINGS)
@given(edges=edges, period=periods)
def test_weights_are_sums_over_days(reading: Reading, edges, period) -> None:
    ends = days(*edges)
    whole = days(period[0], period[0] + period[1])

    found = interval_weights(ends[:-1], ends[1:], whole, reading=reading)

    # The midpoint rule errs by w''/24 = 12 / (24 n²) in all, for n days: 1.3e-5 of 200.
    np.testing.assert_allclose(
        found, daily_weights(ends[:-1], ends[1:], whole, reading), atol=0.5 / period[1] ** 2 + 1e-12
    )


@pytest.mark.parametrize("reading", READINGS)
@given(cuts=st.lists(st.integers(1, 999), max_size=8, unique=True).map(sorted))
def test_weights_of_intervals_that_cover_the_period_sum_to_one(reading: Reading, cuts) -> None:
    ends = days(-50, *cuts, 1200)

    found = interval_weights(ends[:-1], ends[1:], days(0, 1000), reading=reading)

    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert (found >= 0.0).all()


@given(
    rates=st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=20),
    length=st.integers(20, 400),
)
def test_the_trend_is_the_straight_line_through_the_integrated_series(rates, length) -> None:
    """Masses of every day are the integral of rates of intervals; NumPy fits their line."""
    count = len(rates) * length
    ends = days(*range(0, count + 1, length))
    # Mass at the middle of each day, the rate being constant within it [rate × day].
    daily = np.repeat(rates, length)
    mass = np.cumsum(daily) - 0.5 * daily
    line = np.polyfit(np.arange(count) + 0.5, mass, deg=1)[0]

    weights = interval_weights(ends[:-1], ends[1:], days(0, count), reading="trend")

    # A sum over n days stands for the integral: off by 1 / n² of the largest rate.
    size = max(map(abs, rates)) + 1.0
    assert weights @ np.array(rates) == pytest.approx(line, abs=4.0 * size / count**2 + 1e-9 * size)


def test_a_year_in_the_middle_counts_more_in_a_trend_and_alike_in_a_mean() -> None:
    ends = np.array(["2011", "2012", "2013", "2014", "2015", "2016"], "datetime64[Y]").astype(
        "datetime64[D]"
    )
    of = {r: interval_weights(ends[:-1], ends[1:], ends[[0, -1]], reading=r) for r in READINGS}

    np.testing.assert_allclose(of["mean"], 0.2, atol=5e-4)  # a leap year is 366 of 1826 days
    np.testing.assert_allclose(of["trend"], [0.104, 0.248, 0.296, 0.248, 0.104], atol=1e-3)


def test_intervals_beside_the_period_count_nothing() -> None:
    start, end = days(-20, -10, 100), days(-10, 0, 200)

    for reading in READINGS:
        found = interval_weights(start, end, days(0, 100), reading=reading)
        np.testing.assert_array_equal(found, 0.0)
    assert covered_share(start, end, days(0, 100)) == 0.0
    assert covered_share(days(-20, 50), days(25, 60), days(0, 100)) == pytest.approx(0.35)


@given(gaps=st.lists(st.integers(0, 300), min_size=0, max_size=6), period=periods, first=st.data())
def test_every_day_of_the_period_takes_the_nearest_interval(gaps, period, first) -> None:
    begin = first.draw(st.integers(-500, 1500))
    edges, at = [], begin
    for gap in [*gaps, 0]:
        edges += [at, at + 100]
        at += 100 + gap
    start, end, whole = days(*edges[::2]), days(*edges[1::2]), days(period[0], sum(period))

    lower, upper = nearest_intervals(start, end, whole)

    every = np.arange(whole[0], whole[1])
    apart = np.maximum(
        np.maximum((start[:, None] - every).astype(int), (every - end[:, None] + DAY).astype(int)),
        0,
    )
    own = (lower[:, None] <= every) & (every < upper[:, None])
    assert (own.sum(axis=0) == 1).all()
    taken = np.argmax(own, axis=0)
    # Of two that are as near but for the day in the middle either may have it.
    distance = apart[taken, np.arange(len(every))]
    assert (distance <= apart.min(axis=0) + 1).all()
    assert (lower <= start).all()
    assert (upper >= end).all()


def test_one_interval_stands_for_all_of_the_period() -> None:
    lower, upper = nearest_intervals(days(500), days(865), days(0, 3000))

    assert (lower[0], upper[0]) == tuple(days(0, 3000))


@pytest.mark.parametrize(
    ("start", "end", "period", "reading", "match"),
    [
        ([0], [10], (0, 10), "median", "found the reading 'median', expected one of mean, trend"),
        ([0], [10], (10, 10), "mean", "found a period 2011-01-11 to 2011-01-11"),
        ([0], [10], (10, 0), "mean", "found a period 2011-01-11 to 2011-01-01"),
        ([0, 5], [10, 5], (0, 10), "mean", "an interval that ends before it begins"),
        ([0, 15], [10, 5], (0, 10), "trend", "an interval that ends before it begins"),
    ],
)
def test_what_has_no_rate_is_refused(start, end, period, reading, match) -> None:
    with pytest.raises(AlignmentError, match=match):
        interval_weights(days(*start), days(*end), days(*period), reading=reading)


@pytest.mark.parametrize(("start", "end"), [([], []), ([0, 5], [10, 20]), ([20, 0], [30, 10])])
def test_intervals_that_overlap_or_are_out_of_order_have_no_nearest(start, end) -> None:
    with pytest.raises(AlignmentError, match=rf"found {len(start)} intervals; expected one at"):
        nearest_intervals(days(*start), days(*end), days(0, 100))
