"""Years, months and their overlaps, against a count of days with pandas."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.budget import years
from pipelines.kernels.budget.years import YearError, year

MONTHS = np.arange("1979-01", "2022-01", dtype="datetime64[M]")
DAYS = pd.Series(pd.date_range("1979-01-01", "2021-12-31", freq="D"))


def by_counting_days(start, end):
    """Part of each month in an interval: its days there over its days."""
    inside = (pd.Timestamp(start) <= DAYS) & (pd.Timestamp(end) > DAYS)
    month = DAYS.dt.to_period("M")
    return (inside.groupby(month).sum() / month.value_counts().sort_index()).to_numpy()


def test_a_glaciological_year_runs_from_july_to_june_and_a_calendar_one_from_january():
    assert year("2007-2008") == years.Year("2007-2008", dt.date(2007, 7, 1), dt.date(2008, 7, 1))
    assert year("2008") == years.Year("2008", dt.date(2008, 1, 1), dt.date(2009, 1, 1))
    assert year("2008-02") == years.Year("2008-02", dt.date(2008, 2, 1), dt.date(2008, 3, 1))
    assert (year("2007-2008").end - year("2007-2008").start).days == 366
    assert (year("2006-2007").middle, year("2008").middle) == (2006 + 363.5 / 365, 2008.5)
    long = years.Year("all", dt.date(1996, 1, 1), dt.date(2018, 1, 1))
    assert long.middle == 2007.0
    assert year("2008").duration == 366 / 365.25


@pytest.mark.parametrize("label", ["2007-2009", "2008-2007", "2008-13", "2008-00", "08", "", "0"])
def test_a_label_that_is_no_year_is_refused(label):
    with pytest.raises(YearError, match="expected '2007-2008'"):
        year(label)


@pytest.mark.parametrize("labels", [["2007-2008", "2008", "2000-2001", "2019-2020"], ["2015-07"]])
def test_weights_of_months_are_counted_days(labels):
    start, end = years.bounds([year(label) for label in labels])
    found = years.month_weights(start, end, MONTHS)
    expected = np.array([by_counting_days(a, b) for a, b in zip(start, end, strict=True)])
    np.testing.assert_array_equal(found, expected)
    months = [1.0] if labels == ["2015-07"] else [12.0] * 4
    np.testing.assert_array_equal(found.sum(axis=1), months)


@settings(max_examples=25, deadline=None)
@given(st.dates(dt.date(1979, 1, 1), dt.date(2019, 1, 1)), st.integers(1, 800))
def test_weights_of_any_interval_are_counted_days(first, days):
    start = np.array([first], "datetime64[D]")
    end = start + np.timedelta64(days, "D")
    found = years.month_weights(start, end, MONTHS)[0]
    np.testing.assert_allclose(found, by_counting_days(start[0], end[0]), rtol=1e-12)


def test_readings_of_a_glaciological_year_differ_in_the_months_they_take():
    start, end = years.bounds([year("2007-2008")])
    sums = {}
    of_year = MONTHS.astype("datetime64[Y]").astype(int) + 1970
    for reading in ("velocity", "calendar", "calendar_end", "calendar_both"):
        weights = years.month_weights(start, end, MONTHS, reading=reading)[0]
        sums[reading] = {int(y): weights[of_year == y].sum() for y in (2007, 2008)}
        assert weights.sum() == pytest.approx(12.0)
    assert sums["velocity"] == {2007: 6.0, 2008: 6.0}
    assert sums["calendar"] == {2007: 12.0, 2008: 0.0}
    assert sums["calendar_end"] == {2007: 0.0, 2008: 12.0}
    # 184 days of July to December, 182 of January to June in a leap year.
    assert sums["calendar_both"] == pytest.approx({2007: 12 * 184 / 366, 2008: 12 * 182 / 366})


@pytest.mark.parametrize("reading", ["velocity", "calendar", "calendar_end", "calendar_both"])
def test_a_calendar_year_is_itself_under_every_reading(reading):
    start, end = years.bounds([year("2008")])
    found = years.month_weights(start, end, MONTHS, reading=reading)
    np.testing.assert_array_equal(found, years.month_weights(start, end, MONTHS))


def test_a_record_that_ends_in_winter_says_how_many_months_it_lacks():
    start, end = years.bounds([year("2020-2021"), year("2021"), year("2019-2020"), year("2030")])
    short = MONTHS[: np.searchsorted(MONTHS, np.datetime64("2021-04"))]
    np.testing.assert_array_equal(years.month_shortfall(start, end, short), [3.0, 9.0, 0.0, 12.0])
    calendar = years.month_shortfall(start, end, short, reading="calendar")
    np.testing.assert_array_equal(calendar, [0.0, 9.0, 0.0, 12.0])


def test_consecutive_years_share_all_months_between_them():
    labels = [f"{y}-{y + 1}" for y in range(1990, 2010)]
    weights = years.month_weights(*years.bounds([year(label) for label in labels]), MONTHS)
    inside = (np.datetime64("1990-07") <= MONTHS) & (np.datetime64("2010-07") > MONTHS)
    np.testing.assert_allclose(weights.sum(axis=0), inside.astype(float))


def test_weights_refuse_a_month_twice_years_backwards_and_other_units():
    start, end = years.bounds([year("2008")])
    with pytest.raises(YearError, match="1979-01 is there more than once"):
        years.month_weights(start, end, MONTHS[[0, 0, 1]])
    with pytest.raises(YearError, match="its end must be after its start"):
        years.month_weights(end, start, MONTHS)
    with pytest.raises(YearError, match="expected datetime64"):
        years.month_weights(start, end, MONTHS.astype("datetime64[D]"))
    with pytest.raises(YearError, match="found the reading 'seasonal'"):
        years.month_weights(start, end, MONTHS, reading="seasonal")


def test_the_mean_of_monthly_rates_weighs_days():
    months = years.months_of(dt.date(2007, 7, 1), dt.date(2008, 7, 1))
    weights = years.day_weights([year("2007-2008")], months)
    days = pd.date_range("2007-07-01", "2008-06-30", freq="D").to_period("M").value_counts()
    np.testing.assert_allclose(weights[0], days.sort_index().to_numpy() / 366.0)


def test_monthly_rates_that_leave_days_out_or_overlap_give_no_year():
    months = years.months_of(dt.date(2007, 7, 1), dt.date(2008, 7, 1))
    assert np.isnan(years.day_weights([year("2007-2008")], months[:-1])).all()
    assert np.isnan(years.day_weights([year("2007-2008")], (*months, months[0]))).all()


def test_months_need_first_days():
    with pytest.raises(YearError, match="expected the first days"):
        years.months_of(dt.date(2007, 7, 2), dt.date(2008, 7, 1))
