"""The orbit and the sun, held against real scenes that did not fix them."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipelines.kernels import geodesy
from pipelines.worlds import landsat_passes, landsat_sun

# Platform, path, row and day of real scenes (../shared/data/README.md), no anchors of the model.
REAL_DAYS = [
    ("landsat-7", 92, 84, datetime(2011, 8, 9, tzinfo=UTC)),
    ("landsat-8", 5, 9, datetime(2015, 7, 10, tzinfo=UTC)),
]
# Row's centre: middle of the corners of the scene's outline in its STAC item.
REAL_PLACES = [(99, 120, -81.36, 67.6), (21, 30, 43.18, -84.77), (10, 65, -7.23, -80.04)]
# Time, place, and SUN_ELEVATION, SUN_AZIMUTH, EARTH_SUN_DISTANCE of the scene's metadata.
REAL_SUNS = [
    (datetime(2019, 11, 29, 1, 0, 37, tzinfo=UTC), -81.36, 67.6, 20.493, 97.578, 0.9865207),
    (datetime(2010, 1, 9, 16, 13, 46, tzinfo=UTC), 43.18, -84.77, 21.390, 156.984, 0.9833890),
    (datetime(2022, 1, 29, 15, 28, 34, tzinfo=UTC), -7.23, -80.04, 57.844, 112.201, 0.9849984),
]


@pytest.mark.parametrize(("platform", "path", "row", "day"), REAL_DAYS)
def test_paths_come_round_on_the_days_of_real_scenes(platform, path, row, day):
    before, after = day - timedelta(days=8), day + timedelta(days=8)

    (moment,) = landsat_passes.moments(platform, path, row, before, after)

    assert moment.date() == day.date()


@pytest.mark.parametrize(("path", "row", "latitude", "longitude"), REAL_PLACES)
def test_rows_lie_where_real_scenes_lie(path, row, latitude, longitude):
    found = [float(each) for each in landsat_passes.track(path, np.array(float(row)))]

    # 0.15° of latitude is 17 km, a tenth of a scene; nominal rows are not quite where scenes are.
    assert abs(found[0] - latitude) < 0.15
    assert abs(found[1] - longitude) * np.cos(np.radians(latitude)) < 0.15


@pytest.mark.parametrize(("time", "latitude", "longitude", "up", "azimuth", "distance"), REAL_SUNS)
def test_the_sun_stands_where_metadata_of_real_scenes_say(
    time, latitude, longitude, up, azimuth, distance
):
    found = landsat_sun.sun_position(time, latitude, longitude)

    # The middle of an outline and the metadata's place differ by up to 10 km, 0.1°.
    assert found == pytest.approx((up, azimuth), abs=0.2)
    assert landsat_sun.earth_sun_distance(time) == pytest.approx(distance, abs=1e-4)


def test_a_path_returns_after_16_days_and_its_neighbour_after_7_or_9():
    start, end = datetime(2019, 11, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    one, other = (
        list(landsat_passes.moments("landsat-8", path, 113, start, end)) for path in (50, 51)
    )

    assert {after - before for before, after in itertools.pairwise(one)} == {timedelta(days=16)}
    apart = abs((other[1] - one[1]).total_seconds()) / 86400.0
    assert min(abs(apart - 7.0), abs(apart - 9.0)) < 0.01


def test_landsat_7_ends_when_landsat_8_begins():
    last = datetime(2030, 1, 1, tzinfo=UTC)
    early = datetime(1999, 1, 1, tzinfo=UTC)

    seven, eight, nine = (
        list(landsat_passes.moments(f"landsat-{n}", 7, 113, early, last)) for n in (7, 8, 9)
    )

    assert seven[-1] < datetime(2013, 4, 1, tzinfo=UTC) <= eight[0]
    assert nine[0] >= datetime(2021, 11, 1, tzinfo=UTC)


def test_a_swath_frame_keeps_lengths_and_points_along_the_track():
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    swath = landsat_passes.swath("landsat-8", 1, 113.2, moment)

    along = landsat_passes.track(1, np.array([113.2, 113.3]))
    across, ahead = swath.frame(*geodesy.polar_stereographic(*along))

    assert np.abs(across).max() < 200.0
    # 0.1 row is 16.1 km on the ground; the map's scale is within 3 % of 1 here.
    assert ahead[1] - ahead[0] == pytest.approx(0.1 * landsat_passes.ROW_M, rel=0.03)
    x, y = swath.place(12e3, -7e3)
    assert [float(each) for each in swath.frame(np.array(x), np.array(y))] == pytest.approx(
        [12e3, -7e3]
    )


def test_east_lies_90_degrees_right_of_north_on_the_map():
    # At 90° E the map's x axis points north and its y axis west.
    assert landsat_sun.towards(0.0, 90.0) == pytest.approx((1.0, 0.0), abs=1e-12)
    assert landsat_sun.towards(90.0, 90.0) == pytest.approx((0.0, -1.0), abs=1e-12)


def test_a_slope_to_the_sun_is_lit_as_lambert_says():
    slope = np.tile(3.0 * np.arange(20, dtype=np.float32), (20, 1))  # rises to the east: faces west

    lit = landsat_sun.lambert(slope, spacing=30.0, sun=(-1.0, 0.0), elevation=20.0)

    tilt, sun = np.arctan(0.1), np.radians(20.0)
    assert lit[10, 10] == pytest.approx(np.sin(sun + tilt) / np.sin(sun), rel=1e-5)


@pytest.mark.parametrize("sun", [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])
def test_a_wall_throws_a_shadow_of_its_height_over_the_tangent(sun):
    height = np.zeros((81, 81), dtype=np.float32)
    height[40, 40] = 60.0

    dark = landsat_sun.cast_shadow(height, spacing=30.0, sun=sun, elevation=15.0) >= 1.0

    # 60 m / tan 15° = 224 m: seven pixels, away from the sun; y rises as rows fall.
    expected = np.zeros_like(dark)
    for step in range(1, 8):
        expected[40 + round(step * sun[1]), 40 - round(step * sun[0])] = True
    np.testing.assert_array_equal(dark, expected)
