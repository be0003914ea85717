"""Flux through one line: widths, signs and sums, against closed forms and pyproj's scale."""

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import geodesy
from pipelines.kernels.budget.flux_gate import (
    GateError,
    outward_widths,
    region_sums,
    segment_flux,
    signed_area,
)

DENSITY = 917.0


def circle(*, radius: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a clockwise circle around the pole, the first repeated."""
    angle = -2.0 * np.pi * np.arange(n + 1) / n
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    x[-1], y[-1] = x[0], y[0]
    return x, y


@st.composite
def stars(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Clockwise star-shaped rings of 3 to 40 nodes somewhere in Antarctica."""
    n = draw(st.integers(3, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    angle = -2.0 * np.pi * (np.arange(n) + rng.uniform(0.05, 0.95, n)) / n
    radius = 10.0 ** rng.uniform(3.0, 6.0) * rng.uniform(0.3, 1.0, n)
    x0, y0 = rng.uniform(-1.5e6, 1.5e6, 2)
    x, y = x0 + radius * np.cos(angle), y0 + radius * np.sin(angle)
    return np.append(x, x[0]), np.append(y, y[0])


def middles(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x[1:] + x[:-1]) / 2.0, (y[1:] + y[:-1]) / 2.0


def flat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Widths on a map without distortion."""
    return outward_widths(x, y, map_over_true=np.ones(len(x) - 1))


def test_the_scale_factor_is_above_one_at_65_south_as_pyproj_has_it():
    scale = geodesy.map_scale(np.array([-63.0, -65.0, -71.0, -80.0, -90.0]))
    proj = pyproj.Proj("EPSG:3031")
    expected = [proj.get_factors(0.0, lat).meridional_scale for lat in (-63, -65, -71, -80, -90)]
    np.testing.assert_allclose(scale, expected, rtol=1e-9)
    assert scale[1] == pytest.approx(1.0205, abs=5e-5)


def test_a_width_at_65_south_is_shorter_than_on_the_map_and_not_longer():
    """The opposite convention (0.9799 at 65° S) would make a kilometre on the map 1020 m."""
    _, radius = geodesy.polar_stereographic(np.array(-65.0), np.array(0.0))
    x, y = np.array([-500.0, 500.0]), np.full(2, float(radius))
    _, w_y = outward_widths(x, y, map_over_true=geodesy.map_scale(np.full(1, -65.0)))

    inverse = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = inverse.transform(x, y)
    geod = pyproj.Geod(ellps="WGS84")
    _, _, true = geod.inv(longitude[0], latitude[0], longitude[1], latitude[1])
    assert w_y[0] == pytest.approx(true, rel=1e-6)
    assert w_y[0] == pytest.approx(979.9, abs=0.05)


def test_outward_of_a_clockwise_circle_points_away_from_its_centre():
    x, y = circle(radius=1e6, n=60)
    w_x, w_y = flat(x, y)
    x_mid, y_mid = middles(x, y)
    assert np.all(w_x * x_mid + w_y * y_mid > 0.0)
    np.testing.assert_allclose(np.hypot(w_x, w_y), 2e6 * np.sin(np.pi / 60), rtol=1e-12)


def test_uniform_flow_through_a_closed_gate_leaves_nothing_behind():
    x, y = circle(radius=1e6, n=90)
    w_x, w_y = flat(x, y)
    thickness, v_x, v_y = np.full(90, 1000.0), np.full(90, 300.0), np.full(90, -40.0)

    flux = segment_flux(thickness, v_x, v_y, w_x, w_y, density=DENSITY)

    assert abs(flux.sum()) < 1e-15 * np.abs(flux).sum()


def test_uniform_flow_nets_exactly_zero_where_widths_have_no_rounding():
    """Vertices on whole metres: every step and sum is exact in binary."""
    x = np.array([-9e5, -4e5, 3e5, 1.1e6, 2e5, -9e5])
    y = np.array([-1e5, 8e5, 9e5, -2e5, -7e5, -1e5])
    w_x, w_y = flat(x, y)
    assert signed_area(x, y) < 0.0
    assert (
        segment_flux(np.ones(5), np.ones(5) * 512.0, np.ones(5), w_x, w_y, density=1.0).sum() == 0
    )


@settings(deadline=None)
@given(stars())
def test_flow_away_from_the_pole_at_the_speed_of_its_distance_leaves_twice_the_area(star):
    """∮ r · n ds = ∫ div r dA = 2 A, exact for mid-points of straight edges."""
    x, y = star
    w_x, w_y = flat(x, y)
    x_mid, y_mid = middles(x, y)
    flux = segment_flux(np.ones(len(x) - 1), x_mid, y_mid, w_x, w_y, density=1.0)
    rounding = 1e-15 * len(x) * np.abs(flux).sum()
    assert abs(flux.sum() + 2.0 * signed_area(x, y)) <= rounding


def test_a_circle_loses_twice_its_area_to_fifteen_digits():
    x, y = circle(radius=1e6, n=720)
    w_x, w_y = flat(x, y)
    flux = segment_flux(np.ones(720), *middles(x, y), w_x, w_y, density=1.0)
    area = 0.5 * 720 * 1e12 * np.sin(2.0 * np.pi / 720)
    assert flux.sum() == pytest.approx(2.0 * area, rel=2e-15)


@settings(deadline=None)
@given(stars())
def test_reversing_the_nodes_flips_the_sign_of_every_segment(star):
    x, y = star
    rng = np.random.default_rng(len(x))
    k, v_x, v_y, thickness = rng.uniform(0.97, 1.03, (4, len(x) - 1))
    forth = segment_flux(
        thickness, v_x, v_y, *outward_widths(x, y, map_over_true=k), density=DENSITY
    )
    w_x, w_y = outward_widths(x[::-1], y[::-1], map_over_true=k[::-1])
    back = segment_flux(thickness[::-1], v_x[::-1], v_y[::-1], w_x, w_y, density=DENSITY)
    np.testing.assert_array_equal(back[::-1], -forth)


def test_flux_has_the_unit_of_mass_a_year():
    """1000 m of ice at 365 m a year over one kilometre: 0.3347 Gt a year, from the definition."""
    w_x, w_y = flat(np.array([0.0, 1000.0]), np.zeros(2))
    flux = segment_flux(np.full(1, 1e3), np.zeros(1), np.full(1, 365.0), w_x, w_y, density=DENSITY)
    assert flux[0] == pytest.approx(917.0 * 1e3 * 365.0 * 1e3, rel=1e-15)


def test_flux_keeps_leading_axes_and_missing_values():
    rng = np.random.default_rng(1)
    thickness, (v_x, v_y) = rng.uniform(size=4), rng.uniform(size=(2, 3, 4))
    v_x[1, 2] = np.nan
    flux = segment_flux(thickness, v_x, v_y, np.ones(4), np.ones(4), density=DENSITY)
    assert flux.shape == (3, 4)
    assert np.flatnonzero(np.isnan(flux)).tolist() == [6]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_sums_by_region_are_those_of_a_loop(n, n_regions, seed):
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(2, 3, n))
    region = rng.integers(-1, n_regions, n)
    expected = np.zeros((2, 3, n_regions))
    for i, r in enumerate(region):
        if r >= 0:
            expected[..., r] += flux[..., i]
    found = region_sums(flux, region, n_regions)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_a_missing_segment_leaves_its_own_region_missing_and_no_other():
    sums = region_sums(np.array([1.0, np.nan, 3.0, np.nan]), np.array([0, 1, 2, -1]), 4)
    np.testing.assert_array_equal(sums, [1.0, np.nan, 3.0, 0.0])


@pytest.mark.parametrize(
    ("x", "y", "k", "said"),
    [
        ([0.0], [0.0], [], "1 node"),
        ([0.0, 1.0], [0.0], [1.0], "two equal shapes"),
        ([0.0, 1.0], [0.0, 1.0], [1.0, 1.0], "middle of each segment"),
        ([0.0, 1.0], [0.0, 1.0], [0.0], "near 1"),
    ],
)
def test_lines_without_a_flux_are_refused(x, y, k, said):
    with pytest.raises(GateError, match=said):
        outward_widths(np.array(x), np.array(y), map_over_true=np.array(k))


@pytest.mark.parametrize(
    ("region", "said"), [([0, 1], "one index for each"), ([0, 1, 2], "−1 \\(none\\) to 1")]
)
def test_regions_that_do_not_fit_the_segments_are_refused(region, said):
    with pytest.raises(GateError, match=said):
        region_sums(np.ones(3), np.array(region), 2)
