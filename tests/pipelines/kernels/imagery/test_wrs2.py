"""The reference system of Landsat: five real scenes, the handbooks' numbers, closed geometry."""

import json
import re

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import wrs2
from pipelines.kernels.imagery.wrs2 import Wrs2Error

GEOD = pyproj.Geod(ellps="WGS84")
PATHS, ROWS = st.integers(1, 233), st.integers(1, 248)

REAL = {
    # platform, path, row, SCENE_CENTER_TIME, code, west, east, south, north: all from the MTL
    "LC08 2019": ("landsat-8", 99, 120, "2019-11-29T01:00:37", 3031,
                  733800, 1004700, 224100, 494400),
    "LC08 2015": ("landsat-8", 5, 9, "2015-07-10T14:34:36", 32624,
                  365700, 629400, 7879200, 8143800),
    "LE07 2011": ("landsat-7", 92, 84, "2011-08-09T23:56:04", 32655,
                  354900, 599400, -3935700, -3723000),
    "LE07 1999": ("landsat-7", 92, 84, "1999-09-25T23:55:38", 32655,
                  353700, 592200, -3936000, -3722700),
    "LC09 2022": ("landsat-9", 10, 65, "2022-01-29T15:28:34", 32617,
                  492000, 720300, -915900, -683700),
    "LE07 2010": ("landsat-7", 21, 30, "2010-01-09T16:13:46", 32616,
                  559500, 800400, 4677300, 4890000),
}  # fmt: skip
"""A scene lies askew in its rectangle, but in its middle."""


def seconds(text: str) -> float:
    return float(np.datetime64(text, "s").astype(np.int64))


def distance(longitude, latitude, other_longitude, other_latitude) -> float:
    return GEOD.inv(longitude, latitude, other_longitude, other_latitude)[2]


@pytest.mark.parametrize("scene", REAL)
def test_real_scenes_lie_within_five_kilometres_of_their_path_and_row(scene):
    _, path, row, _, code, west, east, south, north = REAL[scene]
    to_degrees = pyproj.Transformer.from_crs(code, 4326, always_xy=True).transform
    centre = to_degrees((west + east) / 2.0, (south + north) / 2.0)
    assert distance(*centre, *map(float, wrs2.scene_centre(path, row))) < 5e3


@pytest.mark.parametrize("scene", REAL)
def test_real_scenes_were_taken_within_three_minutes_of_the_calendar(scene):
    platform, path, row, time, *_ = REAL[scene]
    day = time[:10]
    found = wrs2.acquisition_times(platform, path, row, first=day, last=day)
    assert found == pytest.approx([seconds(time)], abs=180.0)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name",
    [
        "landsat8_antarctica_099120_20191129/LC08_L2SR_099120_20191129_20201016_02_T2_MTL.json",
        "landsat8_greenland_005009_20150710/LC08_L2SP_005009_20150710_20200908_02_T2_MTL.json",
    ],
)
def test_the_metadata_on_disk_agree_with_the_orbit_and_the_sun(data_root, name):
    text = (data_root / "optical/imagery" / name).read_text()
    found = dict(re.findall(r'"([A-Z_]+)" *: *"([^"]+)"', json.dumps(json.loads(text))))
    path, row = int(found["WRS_PATH"]), int(found["WRS_ROW"])
    time = f"{found['DATE_ACQUIRED']}T{found['SCENE_CENTER_TIME'][:8]}"
    days = {"first": time[:10], "last": time[:10]}
    assert wrs2.acquisition_times("landsat-8", path, row, **days) == pytest.approx(
        [seconds(time)], abs=180.0
    )
    corners = [
        [float(found[f"CORNER_{corner}_{axis}_PRODUCT"]) for corner in ("UL", "UR", "LL", "LR")]
        for axis in ("LON", "LAT")
    ]
    centre = GEOD.npts(corners[0][0], corners[1][0], corners[0][3], corners[1][3], 1)[0]
    assert distance(*centre, *map(float, wrs2.scene_centre(path, row))) < 25e3


def test_the_handbooks_numbers():
    """Row 1 at 80°47′ N, row 122 at 81°51′ S, row 246 at 81°51′ N; 98.9 min to an orbit."""
    _, latitude = wrs2.scene_centre([1, 1, 1, 1], [1, 60, 122, 246])
    assert latitude == pytest.approx([80 + 47 / 60, 0.0, -81 - 51 / 60, 81 + 51 / 60], abs=0.01)
    assert pytest.approx(98.9, abs=0.05) == wrs2.ORBIT_S / 60.0
    longitude, _ = wrs2.scene_centre(233, 60)
    assert float(longitude) == pytest.approx(-64.60 + 360.0 / 233.0, abs=1e-9)


@given(PATHS, st.integers(1, 247))
def test_rows_follow_each_other_every_161_kilometres(path, row):
    ends = (map(float, wrs2.scene_centre(path, r)) for r in (row, row + 1))
    assert 158e3 < distance(*next(ends), *next(ends)) < 164e3


@given(PATHS, ROWS)
def test_the_nadir_point_is_below_the_satellite(path, row):
    """PROJ places a point at the orbit's height above the centre; it must lie at the orbit."""
    longitude, latitude = map(float, wrs2.scene_centre(path, row))
    to_space = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True).transform
    ground, up = (np.array(to_space(longitude, latitude, h)) for h in (0.0, 1000.0))
    normal = (up - ground) / 1000.0
    along = ground @ normal
    height = -along + np.sqrt(along**2 - ground @ ground + wrs2.ORBIT_RADIUS**2)
    satellite = ground + height * normal
    theta = np.radians((row - 60) * 360.0 / 248.0)
    sine = -np.sin(np.radians(98.2)) * np.sin(theta)
    assert satellite[2] / wrs2.ORBIT_RADIUS == pytest.approx(sine, abs=1e-9)


@given(PATHS, ROWS)
def test_a_scene_is_185_by_180_kilometres_around_its_centre(path, row):
    longitude, latitude = wrs2.footprint(path, row)
    sphere = pyproj.Geod(a=wrs2.WGS84_SEMI_MAJOR, b=wrs2.WGS84_SEMI_MAJOR)
    sides = [
        sphere.inv(longitude[i], latitude[i], longitude[i - 1], latitude[i - 1])[2]
        for i in range(4)
    ]
    assert sides == pytest.approx([180e3, 185e3, 180e3, 185e3], rel=1e-3)
    centre = wrs2.scene_centre(path, row)
    away = [
        sphere.inv(*map(float, centre), *corner)[2]
        for corner in zip(longitude, latitude, strict=True)
    ]
    assert away == pytest.approx([np.hypot(90e3, 92.5e3)] * 4, rel=1e-3)


@given(PATHS, st.integers(2, 121), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_scene_holds_the_points_between_its_corners_and_not_those_beyond(path, row, u, v):
    front_left, front_right, back_right, back_left = (
        wrs2._unit(*corner) for corner in zip(*wrs2.footprint(path, row), strict=True)
    )

    def between(along: float, across: float) -> tuple[float, float]:
        front = (0.5 - across) * front_left + (0.5 + across) * front_right
        back = (0.5 - across) * back_left + (0.5 + across) * back_right
        x, y, z = (0.5 + along) * front + (0.5 - along) * back
        return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))

    inside = list(zip(*wrs2.scenes_over(*between(u, v)), strict=True))
    beyond = list(zip(*wrs2.scenes_over(*between(u, 0.6 + abs(v))), strict=True))
    assert (path, row) in inside
    assert (path, row) not in beyond


@given(PATHS, ROWS, st.sampled_from(sorted(wrs2.ANCHORS)))
def test_a_satellite_comes_every_sixteen_days(path, row, platform):
    days = (
        {"first": "2014-01-01", "last": "2014-03-05"}
        if platform != "landsat-9"
        else {"first": "2023-01-01", "last": "2023-03-05"}
    )  # 64 days
    times = wrs2.acquisition_times(platform, path, row, **days)
    assert times.size == 4
    assert np.diff(times) == pytest.approx([16 * 86_400.0] * 3, abs=1e-6)


@pytest.mark.parametrize("platforms", [("landsat-7", "landsat-8"), ("landsat-8", "landsat-9")])
def test_two_satellites_take_turns_of_eight_days(platforms):
    one, other = (
        wrs2.acquisition_times(platform, 1, 113, first="2021-11-01", last="2021-12-31")
        for platform in platforms
    )
    apart = (one[0] - other[0]) / 86_400.0 % 16.0
    assert apart == pytest.approx(8.0, abs=0.02)


def test_the_next_orbit_is_sixteen_paths_higher_and_the_next_path_seven_days_later():
    days = {"first": "2019-12-01", "last": "2019-12-16"}
    path_1, path_2, path_17 = (
        float(wrs2.acquisition_times("landsat-8", path, 60, **days)[0]) for path in (1, 2, 17)
    )
    assert (path_17 - path_1) % wrs2.CYCLE_S == pytest.approx(wrs2.ORBIT_S, abs=1e-3)
    assert (path_2 - path_1) % wrs2.CYCLE_S / 86_400.0 == pytest.approx(7.0, abs=0.02)


def test_every_path_is_flown_once_in_a_cycle_at_ten_in_the_morning():
    times = np.array(
        [
            wrs2.acquisition_times("landsat-8", path, 60, first="2019-12-01", last="2019-12-16")
            for path in range(1, 234)
        ]
    )
    assert times.shape == (233, 1)
    assert np.diff(np.sort(times[:, 0])) == pytest.approx(wrs2.ORBIT_S, abs=1e-3)
    longitude, _ = wrs2.scene_centre(np.arange(1, 234), 60)
    local = (times[:, 0] / 3600.0 + longitude / 15.0) % 24.0
    assert np.ptp(local) < 1e-6
    assert local[0] == pytest.approx(10.2, abs=0.1)


PINE_ISLAND = np.meshgrid(np.linspace(-103.0, -99.0, 9), np.linspace(-75.5, -74.5, 9))


def test_pine_island_is_seen_half_as_often_by_one_satellite_as_by_two():
    place = [part.ravel() for part in PINE_ISLAND]
    one = wrs2.count_granules(*place, summer=2000, platforms=["landsat-7"])
    two = wrs2.count_granules(*place, summer=2023, platforms=["landsat-8", "landsat-9"])
    assert 100 < one < 400
    assert two == pytest.approx(2 * one, rel=0.05)
    assert wrs2.count_granules(*place, summer=2023, share=0.5) == round(0.5 * two)


def test_no_satellite_no_granules_and_no_light_no_granules():
    place = [part.ravel() for part in PINE_ISLAND]
    assert wrs2.count_granules(*place, summer=1990) == 0
    assert wrs2.count_granules(*place, summer=2000, platforms=["landsat-9"]) == 0
    assert wrs2.count_granules([0.0], [83.0], summer=2015) == 0
    assert wrs2.count_granules([0.0], [-89.0], summer=2015) == 0


def test_passes_are_sunlit_of_the_summer_and_in_order():
    seen = wrs2.passes_over([-100.0], [-75.0], summer=2015, least_sun=20.0)
    assert seen.time.size > 0
    assert seen.sun_elevation.min() > 20.0
    assert np.all(np.diff(seen.time) >= 0.0)
    assert seconds("2015-11-01T00:00:00") <= seen.time[0]
    assert seen.time[-1] < seconds("2016-04-01T00:00:00")
    assert set(seen.platform) == {"landsat-7", "landsat-8"}
    everything = wrs2.passes_over([-100.0], [-75.0], summer=2015, least_sun=-90.0)
    assert everything.time.size > seen.time.size


@given(st.floats(-180.0, 180.0), st.floats(-81.0, -60.0))
def test_every_place_north_of_the_pole_hole_is_seen_in_every_cycle(longitude, latitude):
    path, row = wrs2.scenes_over([longitude], [latitude])
    assert path.size >= 2
    assert row.max() <= wrs2.SOUTHERNMOST_ROW


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: wrs2.scene_centre(234, 1), "path runs from 234 to 234, expected 1 to 233"),
        (lambda: wrs2.footprint(1, 0), "row runs from 0 to 0"),
        (lambda: wrs2.scenes_over([0.0, 1.0], [-75.0]), "are no points"),
        (lambda: wrs2.scenes_over([0.0], [np.nan]), "are no points"),
        (lambda: wrs2.count_granules([0.0], [-75.0], summer=2015, share=2.0), "share is 2"),
        (
            lambda: wrs2.passes_over([0.0], [-75.0], summer=2015, platforms=["landsat-6"]),
            "no orbit of 'landsat-6'",
        ),
    ],
)
def test_what_is_not_in_the_system_is_refused(call, said):
    with pytest.raises(Wrs2Error, match=said):
        call()
