"""The sun: what the metadata of real scenes say, and what geometry says of noon and night."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery.sun import sun_position

REAL = {
    "LC08 099/120, MTL": ("2019-11-29T01:00:37.576", 67.545, -81.359, 20.493, 97.577),
    "LC08 005/009, MTL": ("2015-07-10T14:34:35.978", -39.072, 72.202, 40.002, 177.885),
    "LE07 092/084, MTL": ("2011-08-09T23:56:04.048", 146.751, -34.606, 29.353, 40.005),
    "LE07 092/084, MTL of 1999": ("1999-09-25T23:55:38.371", 146.705, -34.606, 44.854, 48.911),
    "LC09 010/065, MTL": ("2022-01-29T15:28:34.396", -80.038, -7.235, 57.844, 112.201),
    "LE07 021/030, MTL": ("2010-01-09T16:13:46.040", -84.786, 43.184, 21.390, 156.984),
}
"""Time, centre from the corners, SUN_ELEVATION and SUN_AZIMUTH of real scenes."""


def seconds(text: str) -> float:
    return float(np.datetime64(text, "ms").astype(np.int64)) / 1e3


@pytest.mark.parametrize("scene", REAL)
def test_the_sun_stands_where_the_metadata_of_a_real_scene_say(scene):
    time, longitude, latitude, elevation, azimuth = REAL[scene]
    found = sun_position(*(np.array(value) for value in (seconds(time), longitude, latitude)))
    assert found[0] == pytest.approx(elevation, abs=0.05)
    assert found[1] == pytest.approx(azimuth, abs=0.15)


def test_at_the_pole_the_sun_is_as_high_as_it_is_south_and_nearly_all_day():
    hours = seconds("2020-12-21T10:00") + 3600.0 * np.arange(24)
    elevation, _ = sun_position(hours, np.zeros(24), np.full(24, -90.0))
    assert np.abs(elevation - 23.436).max() < 0.01


@given(st.floats(0.0, 1.6e9), st.floats(-180.0, 180.0), st.floats(-90.0, 90.0))
def test_the_sun_is_over_one_half_of_the_earth(time, longitude, latitude):
    up, _ = sun_position(np.array(time), np.array(longitude), np.array(latitude))
    below, _ = sun_position(np.array(time), np.array(longitude + 180.0), np.array(-latitude))
    assert -90.0 <= up <= 90.0
    assert up == pytest.approx(-below, abs=1e-6)
