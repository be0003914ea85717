"""Epochs of monthly fields: middles, overlaps and the month each solution stands for."""

import datetime as dt
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.gravity.stokes import (
    EpochError,
    decimal_years,
    mid_epochs,
    nominal_month,
    overlapping,
    refuse_overlaps,
)


def days(*text: str) -> np.ndarray:
    return np.array(text, dtype="datetime64[D]")


def test_first_of_january_is_a_whole_year():
    assert decimal_years(days("2011-01-01", "2012-01-01")).tolist() == [2011.0, 2012.0]


def test_half_of_a_leap_year_has_passed_on_the_second_of_july():
    assert decimal_years(days("2012-07-02"))[0] == 2012.5


def test_a_missing_instant_stays_missing():
    assert np.isnan(decimal_years(np.array(["NaT"], dtype="datetime64[ns]")))[0]


@given(
    st.datetimes(
        min_value=dt.datetime.combine(dt.date(1960, 1, 1), dt.time()),
        max_value=dt.datetime.combine(dt.date(2200, 1, 1), dt.time()),
    )
)
def test_decimal_years_agree_with_the_calendar_of_the_standard_library(moment):
    opening = dt.datetime.combine(dt.date(moment.year, 1, 1), dt.time())
    closing = dt.datetime.combine(dt.date(moment.year + 1, 1, 1), dt.time())
    expected = moment.year + (moment - opening) / (closing - opening)

    found = decimal_years(np.array([moment], dtype="datetime64[us]"))[0]

    # Two roundings at 2200 yr: 2 × 2.3e-13.
    assert abs(found - expected) < 5e-13


def test_the_middle_of_april_is_the_midnight_that_opens_the_sixteenth():
    middle = mid_epochs(days("2015-04-01"), days("2015-05-01"))
    assert middle[0] == decimal_years(days("2015-04-16"))[0]


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(EpochError, match=r"window 1 runs from 2010-03-01.*to 2010-02-01"):
        mid_epochs(days("2010-01-01", "2010-03-01"), days("2010-02-01", "2010-02-01"))


def test_as_many_ends_as_starts_are_expected():
    with pytest.raises(EpochError, match="one of each per month"):
        mid_epochs(days("2010-01-01"), days("2010-02-01", "2010-03-01"))


def test_windows_sharing_half_their_days_pass_and_duplicates_do_not():
    start = days("2011-10-01", "2011-10-16", "2011-10-01")
    end = days("2011-11-01", "2011-11-16", "2011-11-01")
    assert overlapping(start, end) == [(0, 2)]


def test_a_window_inside_a_longer_one_overlaps_wholly():
    assert overlapping(days("2011-01-01", "2011-01-10"), days("2011-03-01", "2011-01-20")) == [
        (0, 1)
    ]


def test_the_limit_is_a_part_of_the_shorter_window():
    start, end = days("2015-04-01", "2015-04-12"), days("2015-05-01", "2015-05-12")
    assert overlapping(start, end, limit=0.63) == [(0, 1)]
    assert overlapping(start, end, limit=0.64) == []


def test_the_refusal_of_an_overlap_names_both_files_and_their_windows():
    start, end = days("2011-10-01", "2011-10-03"), days("2011-11-01", "2011-11-01")
    with pytest.raises(EpochError, match=r"a\.gz \(2011-10-01 to 2011-10-31\) and b\.gz"):
        refuse_overlaps(start, end, ["a.gz", "b.gz"])


def test_distinct_months_are_accepted_in_silence():
    start, end = days("2011-10-01", "2011-11-01"), days("2011-11-01", "2011-12-01")
    refuse_overlaps(start, end, ["a", "b"])


REAL_CASES = {
    ("2011-10-01", "2011-10-31"): "2011-10",
    ("2011-10-16", "2011-11-15"): "2011-11",
    ("2011-12-13", "2012-01-11"): "2011-12",
    ("2012-01-01", "2012-01-31"): "2012-01",
    ("2015-04-01", "2015-04-30"): "2015-04",
    ("2015-04-12", "2015-05-11"): "2015-05",
    ("2018-10-22", "2018-11-09"): "2018-10",
    ("2018-11-01", "2018-11-30"): "2018-11",
    ("2019-01-01", "2019-01-31"): "2019-01",
    ("2019-01-26", "2019-03-07"): "2019-02",
    ("2019-03-01", "2019-03-31"): "2019-03",
}


def test_windows_with_the_same_middle_month_get_the_months_their_centre_names():
    start = days(*(first for first, _ in REAL_CASES))
    end = days(*(last for _, last in REAL_CASES)) + np.timedelta64(1, "D")
    assert nominal_month(start, end) == list(REAL_CASES.values())


def test_labels_follow_their_windows_whatever_the_order():
    start = days(*(first for first, _ in REAL_CASES))[::-1]
    end = days(*(last for _, last in REAL_CASES))[::-1] + np.timedelta64(1, "D")
    assert nominal_month(start, end) == list(REAL_CASES.values())[::-1]


def test_an_early_window_yields_when_the_late_one_cannot():
    # Both middles lie in March, but only the first touches February.
    start, end = days("2010-02-20", "2010-03-05"), days("2010-03-25", "2010-03-30")
    assert nominal_month(start, end) == ["2010-02", "2010-03"]


def test_more_windows_than_months_are_refused():
    start, end = days("2010-03-01", "2010-03-02"), days("2010-03-20", "2010-03-21")
    with pytest.raises(EpochError, match="touches only 2010-03"):
        nominal_month(start, end)


def test_no_months_have_no_labels():
    assert nominal_month(days(), days()) == []


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=40, unique=True),
    st.integers(28, 40),
)
def test_labels_are_distinct_increase_and_touch_their_windows(offsets, length):
    # At least 28 days apart with windows of at least 28 days: labels exist or are refused.
    start = np.datetime64("2002-04-05") + 28 * np.array(sorted(offsets)).astype("timedelta64[D]")
    end = start + np.timedelta64(length, "D")
    try:
        labels = nominal_month(start, end)
    except EpochError:
        return
    assert labels == sorted(set(labels))
    months = np.array(labels, dtype="datetime64[M]")
    assert np.all(months >= start.astype("datetime64[M]"))
    assert np.all(months.astype("datetime64[D]") < end)


@given(st.integers(1900, 2100), st.integers(1, 12))
def test_a_calendar_month_is_its_own_label(year, month):
    label = f"{year}-{month:02d}"
    start = np.array([label], dtype="datetime64[M]")
    assert nominal_month(start, start + 1) == [label]


def windows_of_names(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    names = sorted(path.name for path in folder.glob("GSM-2_*"))
    numbers = [re.match(r"GSM-2_(\d{4})(\d{3})-(\d{4})(\d{3})", name) for name in names]
    ends = [
        tuple(
            np.datetime64(f"{y}-01-01") + np.timedelta64(int(d) - 1, "D")
            for y, d in [(m[1], m[2]), (m[3], m[4])]
        )
        for m in numbers
        if m
    ]
    start, last = (np.array(side) for side in zip(*ends, strict=True))
    return start, last + np.timedelta64(1, "D"), names


@pytest.mark.realdata
def test_the_231_months_of_csr_have_231_labels_and_no_refused_overlap(data_root):
    start, end, names = windows_of_names(data_root / "gravity" / "csr_rl06_96")

    refuse_overlaps(start, end, names)
    labels = nominal_month(start, end)

    assert len(names) == 231
    assert len(set(labels)) == 231
    for label in ("2011-10", "2011-11", "2015-04", "2015-05", "2017-06", "2018-10", "2019-02"):
        assert label in labels


@pytest.mark.realdata
def test_only_two_months_of_csr_leave_the_month_of_their_middle(data_root):
    start, end, _ = windows_of_names(data_root / "gravity" / "csr_rl06_96")
    middle = (start + (end - start) // 2).astype("datetime64[M]").astype(str)
    moved = np.flatnonzero(np.array(nominal_month(start, end)) != middle)
    assert [str(s) for s in start[moved]] == ["2011-10-16", "2015-04-12"]


@pytest.mark.realdata
def test_csr_months_share_at_most_0_634_of_the_shorter(data_root):
    start, end, _ = windows_of_names(data_root / "gravity" / "csr_rl06_96")
    assert overlapping(start, end, limit=0.634) == []
    assert len(overlapping(start, end, limit=0.633)) == 1
