"""Granules to scenes: passes hold together across midnight, dates do not."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import acquisition_days, wrs2
from pipelines.kernels.imagery.acquisition_days import AcquisitionDayError, group

DIBBLE_PATH, DIBBLE_ROWS = 85, (105, 106, 107, 108)


def seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


@pytest.fixture(scope="module")
def dibble() -> np.ndarray:
    """Times of rows 105 to 108 of Landsat 8 over the Dibble Ice Shelf, 134° E, by the orbit."""
    nearest = min(
        range(1, 234),
        key=lambda path: abs(float(wrs2.scene_centre(path, 107)[0]) - 133.55),
    )
    days = {"first": "2019-12-01", "last": "2019-12-31"}
    return np.array(
        [wrs2.acquisition_times("landsat-8", nearest, row, **days)[0] for row in DIBBLE_ROWS]
    )


def test_a_pass_over_dibble_at_midnight_is_one_scene_but_two_utc_dates(dibble):
    of_platform, of_path = ["landsat-8"] * 4, [DIBBLE_PATH] * 4
    dates = [dt.datetime.fromtimestamp(time, tz=dt.UTC).date().isoformat() for time in dibble]
    assert len(set(dates)) == 2
    assert group(dibble, of_platform, of_path) == (dates[0],) * 4
    assert group(dibble, of_platform, of_path, rule="utc") == tuple(dates)


def test_two_orbits_of_a_day_are_two_scenes_unless_hours_allow():
    starts = [seconds("2011-01-23T14:00:00"), seconds("2011-01-23T15:38:53")]
    paths = [3, 19]
    apart = ("2011-01-23", "2011-01-23b")
    together = ("2011-01-23", "2011-01-23")
    assert group(starts, [7, 7], paths) == apart
    assert group(starts, [7, 7], paths, hours=1.0) == apart
    assert group(starts, [7, 7], paths, hours=2.0) == together
    assert group(starts, [7, 7], paths, rule="utc") == together


def test_two_satellites_are_never_one_pass():
    starts = [seconds("2022-01-23T14:00:00"), seconds("2022-01-23T14:01:00")]
    assert len(set(group(starts, ["landsat-8", "landsat-9"], [3, 3]))) == 2


def test_rows_missing_in_a_region_do_not_cut_a_pass():
    starts = seconds("2011-01-23T14:00:00") + 24.0 * np.array([0.0, 1.0, 9.0, 30.0])
    assert set(group(starts, ["landsat-8"] * 4, [3] * 4)) == {"2011-01-23"}


def test_the_same_path_sixteen_days_later_is_another_scene():
    starts = [seconds("2011-01-07T14:00:00"), seconds("2011-01-23T14:00:00")]
    assert group(starts, [7, 7], [3, 3]) == ("2011-01-07", "2011-01-23")


def test_hours_are_counted_from_the_first_pass_so_that_a_day_does_not_chain():
    starts = seconds("2011-01-23T10:00:00") + 5933.0 * np.arange(5)
    labels = group(starts, [7] * 5, [3, 19, 35, 51, 67], hours=2.0)
    assert labels == ("2011-01-23",) * 2 + ("2011-01-23b",) * 2 + ("2011-01-23c",)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * 86_400),
            st.sampled_from(["landsat-7", "landsat-8"]),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["pass", "utc"]),
    st.sampled_from([0.0, 2.0]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_granules_is_of_no_matter(granules, rule, hours, random):
    shuffled = random.sample(range(len(granules)), len(granules))
    labels = group(*zip(*granules, strict=True), rule=rule, hours=hours)
    again = group(*zip(*[granules[i] for i in shuffled], strict=True), rule=rule, hours=hours)
    assert again == tuple(labels[i] for i in shuffled)


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(7, 8), st.integers(1, 2)),
        min_size=1,
        max_size=12,
    )
)
def test_a_pass_is_what_chains_of_near_granules_of_one_track_hold(granules):
    """The oracle joins pairs until nothing changes."""
    scene = list(range(len(granules)))
    for i, (time, *track) in enumerate(granules):
        for j, (other, *its) in enumerate(granules):
            if track == its and abs(time - other) <= acquisition_days.PASS_GAP_S:
                scene = [scene[i] if s == scene[j] else s for s in scene]
    labels = group(*zip(*granules, strict=True))
    for i in range(len(granules)):
        for j in range(len(granules)):
            assert (labels[i] == labels[j]) == (scene[i] == scene[j])


def test_a_label_is_the_utc_date_of_the_first_granule_even_before_1970():
    assert group([-1.0], [7], [1]) == ("1969-12-31",)
    assert group([], [], []) == ()


def test_thirty_scenes_of_a_date_have_thirty_names():
    starts = 86_400.0 * np.ones(30) + 2_000.0 * np.arange(30)
    labels = group(starts, [7] * 30, [1] * 30)
    assert len(set(labels)) == 30
    assert labels[1] == "1970-01-02b"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rule": "solar"}, "'solar'.*expected one of"),
        ({"hours": 24.0}, "hours is 24"),
        ({"paths": [1]}, "one of each per granule"),
        ({"starts": [0.0, np.nan]}, r"granules \[1\] have no finite start"),
    ],
)
def test_what_cannot_be_grouped_is_refused(change, said):
    sound = {"starts": [0.0, 1.0], "platforms": [7, 7], "paths": [1, 1]}
    with pytest.raises(AcquisitionDayError, match=said):
        group(**(sound | change))
