"""The sun over a scene as a surface: held to the sun's own position, pixel by pixel."""

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import sun_surface
from pipelines.kernels.imagery.sun import sun_position

SOLSTICE = 1_419_116_400.0
"""2014-12-20T23:00 UTC [s]."""


def elevation(x: np.ndarray, y: np.ndarray, time: float) -> np.ndarray:
    to_geographic = pyproj.Transformer.from_crs("EPSG:3031", "EPSG:4326", always_xy=True)
    longitude, latitude = to_geographic.transform(x, y)
    return sun_position(np.full(np.shape(x), time), longitude, latitude)[0]


@given(
    x0=st.integers(-2400, 2400),
    y0=st.integers(-2400, 2400),
    hours=st.integers(0, 24 * 120),
)
def test_a_quadratic_form_holds_the_sun_over_a_scene(x0: int, y0: int, hours: int) -> None:
    time = SOLSTICE - 40 * 86_400 + hours * 3600.0
    axis = np.linspace(-90e3, 90e3, 13)
    x, y = (a.ravel() for a in np.meshgrid(1e3 * x0 + axis, 1e3 * y0 + axis))
    made = sun_surface.fit(x, y, elevation(x, y, time))

    fine_x, fine_y = (
        1e3 * x0 + np.linspace(-90e3, 90e3, 31),
        1e3 * y0 + np.linspace(90e3, -90e3, 29),
    )
    exact = elevation(*np.meshgrid(fine_x, fine_y), time)
    # At 5° a hundredth of a degree is 0.2 % of the reflectance, half of what Landsat 8 claims.
    assert np.abs(made.at(fine_x, fine_y) - exact).max() < 0.01


def test_one_sun_for_a_scene_would_be_a_sixth_off_at_its_edge() -> None:
    x = np.array([1.5e6, 1.5e6])
    y = np.array([-0.9e5, 0.9e5]) - 0.4e6
    low, high = sorted(elevation(x, y, SOLSTICE + 75 * 86_400))
    assert high - low > 0.3


def test_a_window_of_a_surface_is_the_surface() -> None:
    made = sun_surface.SunSurface((20.0, 0.5, -0.3, 0.02, 0.01, -0.02), 0.0, 0.0)
    x, y = np.arange(100) * 30.0, -np.arange(80) * 30.0
    assert np.array_equal(made.at(x, y)[20:50, 10:60], made.at(x[10:60], y[20:50]))


def test_too_few_points_are_refused() -> None:
    few = np.arange(11.0)
    with pytest.raises(sun_surface.SunSurfaceError, match="found 11 elevations"):
        sun_surface.fit(few, few, few)
    holed = np.where(np.arange(20) == 3, np.nan, 20.0)
    with pytest.raises(sun_surface.SunSurfaceError, match="19 of them finite"):
        sun_surface.fit(np.arange(20.0), np.arange(20.0), holed)
