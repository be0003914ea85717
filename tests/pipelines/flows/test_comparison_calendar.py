"""Years of velocity that overlap are refused as a fault of the input, by their names."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from cluster.ledger import KeyFailed
from pipelines.flows.comparison_calendar import calendar_of
from pipelines.flows.comparison_inputs import Ground
from pipelines.flows.product_arrays import labels

GROUND = Ground(None, None, dt.date(2011, 2, 1), dt.date(2013, 1, 31))  # type: ignore[arg-type]


def product(*years: tuple[str, str, str]) -> zarr.Group:
    """Return what a budget says of its years: name, first day, first day after."""
    group = zarr.open_group(MemoryStore(), mode="w")
    labels(group, "year", [name for name, _, _ in years])
    for number, name in enumerate(("year_start", "year_end"), start=1):
        days = np.array([year[number] for year in years], "datetime64[D]")
        group.create_array(name, data=days.astype("int64"))
    return group


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (("2012", "2012-01-01", "2013-01-01"), r"2012 \(2012-01-01 to 2012-12-31\)"),
        (("late", "2012-06-30", "2013-07-01"), r"late \(2012-06-30 to 2013-06-30\)"),
    ],
)
def test_years_that_overlap_are_a_failed_key_that_names_both(
    other: tuple[str, str, str], said: str
) -> None:
    held = product(("2011-2012", "2011-07-01", "2012-07-01"), other)

    with pytest.raises(KeyFailed, match=rf"2011-2012 \(2011-07-01 to 2012-06-30\) and {said} over"):
        calendar_of(held, GROUND, "mean")


def test_many_years_beside_one_of_them_are_a_failed_key() -> None:
    held = product(
        ("2010-2014", "2010-07-01", "2014-07-01"), ("2012-2013", "2012-07-01", "2013-07-01")
    )

    with pytest.raises(KeyFailed, match=r"2010-2014 .* and 2012-2013 .* overlap"):
        calendar_of(held, GROUND, "trend")


def test_years_that_follow_each_other_or_leave_a_gap_are_a_calendar() -> None:
    held = product(
        ("2010-2011", "2010-07-01", "2011-07-01"), ("2011-2012", "2011-07-01", "2012-07-01"),
        ("2013-2014", "2013-07-01", "2014-07-01"),
    )  # fmt: skip

    found = calendar_of(held, GROUND, "mean")

    # To June 2011 are 150 days; half of the missing year, of 365 days, belongs to either side.
    np.testing.assert_allclose(found.year_weights(), np.array([150, 366 + 182, 33]) / 731.0)
    assert found.covered() == pytest.approx((150 + 366) / 731)
