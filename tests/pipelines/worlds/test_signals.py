"""What gravity sees: mass is conserved, leaks as it must, and averages over a month."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.constants import EARTH_MASS, MEAN_RADIUS
from pipelines.kernels.geodesy import geocentric_latitude
from pipelines.kernels.gravity import harmonics, love_numbers
from pipelines.kernels.gravity.sphere import solid_angle
from pipelines.worlds import forcing
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.earth import kelvin_love_numbers
from pipelines.worlds.regions import by_region
from pipelines.worlds.signals import (
    Signals,
    mean_cosine,
    resolved_mass_rates,
    signals,
    with_ocean,
)

SPHERE = 4.0 * np.pi * MEAN_RADIUS**2


@pytest.fixture(scope="module")
def seen(world: Antarctica) -> Signals:
    return signals(world, j_max=60)


def ice_rates(world: Antarctica) -> np.ndarray:
    return forcing.mass_change(
        world.divide.position(world.nodes.mu, world.nodes.nu), world.anomalies
    )


def test_no_signal_makes_mass(seen: Signals) -> None:
    for field in (seen.trend, seen.acceleration, seen.seasonal, seen.tide, seen.rebound):
        assert field[0, 0, 0] == pytest.approx(0.0, abs=1e-18)


def test_degree_zero_of_the_ice_is_its_mass(world: Antarctica) -> None:
    mass = ice_rates(world) * world.nodes.area
    latitude = geocentric_latitude(world.nodes.latitude.ravel())

    field = harmonics.project_from(
        mass.reshape(1, -1), latitude, world.nodes.longitude.ravel(), j_max=2
    )[0]

    total = field[0, 0, 0] / 1e12
    assert total == pytest.approx(world.basin_mass_rates()["AIS"], rel=1e-13)


def test_the_ocean_takes_what_the_ice_loses(world: Antarctica) -> None:
    one_layer = np.ones_like(world.nodes.area)[None]

    field = with_ocean(world, one_layer, j_max=40)[0]

    # Far from the coast: minus the lost mass over the rest of the sphere, once smoothing has
    # calmed the ringing of a field that ends at degree 40.
    j = np.arange(41)
    smooth = field * np.exp(-0.004 * j * (j + 1))[:, None]
    depth = harmonics.synthesise(smooth, np.array([10.0, 40.0]), np.array([0.0, 120.0]))
    area = world.basin_areas()["AIS"]
    np.testing.assert_allclose(depth, -area / (SPHERE - area), rtol=0.01)


def test_a_degree_sums_to_what_gravitation_says(world: Antarctica) -> None:
    """Newton instead of Wahr: ΔC_jm = (1 + k_j)/(2j + 1) Σ m Y_jm / M_E."""
    mass = (ice_rates(world) * world.nodes.area).reshape(1, -1)
    latitude = geocentric_latitude(world.nodes.latitude.ravel())
    attracted = harmonics.project_from(mass, latitude, world.nodes.longitude.ravel(), j_max=30)[0]
    k = love_numbers.in_frame(*kelvin_love_numbers(30), frame="CF")
    j = np.arange(31)
    newton = attracted * ((1.0 + k) / (2 * j + 1) / EARTH_MASS)[:, None]

    wahr = (attracted / SPHERE) * love_numbers.stokes_factors(k, j_max=30)[:, None]

    np.testing.assert_allclose(wahr, newton, rtol=1e-12, atol=1e-30)


def test_basins_of_a_perfect_field_differ_from_the_truth_by_leakage_alone(
    world: Antarctica, seen: Signals
) -> None:
    truth, resolved = world.basin_mass_rates(), resolved_mass_rates(world, j_max=60)
    finer = resolved_mass_rates(world, j_max=120)

    nodes = world.nodes
    angle = solid_angle(nodes.area, nodes.latitude, reading="geocentric")
    kernels = harmonics.project_from(
        np.eye(27)[:, :, None].repeat(angle.shape[1], axis=2).reshape(27, -1) * angle.ravel(),
        geocentric_latitude(nodes.latitude.ravel()),
        nodes.longitude.ravel(),
        j_max=60,
    )
    by_kernels = by_region(np.einsum("rpjm,pjm->r", kernels, seen.trend) * MEAN_RADIUS**2 / 1e12)
    for region, value in resolved.items():
        assert by_kernels[region] == pytest.approx(value, abs=1e-9)
    # Degree 60 resolves 333 km. The narrow horn keeps three fifths of its loss, the east all.
    assert resolved["EAIS"] == pytest.approx(truth["EAIS"], abs=1.0)
    assert resolved["WAIS"] == pytest.approx(truth["WAIS"], rel=0.10)
    assert resolved["AIS"] == pytest.approx(truth["AIS"], rel=0.20)
    assert abs(finer["AIS"] - truth["AIS"]) < 0.6 * abs(resolved["AIS"] - truth["AIS"])


def test_rebound_over_the_grounded_ice_is_of_the_size_of_published_models(
    world: Antarctica, seen: Signals
) -> None:
    nodes = world.nodes
    angle = solid_angle(nodes.area, nodes.latitude, reading="geocentric").reshape(1, -1)
    kernel = harmonics.project_from(
        angle, geocentric_latitude(nodes.latitude.ravel()), nodes.longitude.ravel(), j_max=60
    )[0]

    apparent = np.sum(kernel * seen.rebound) * MEAN_RADIUS**2 / 1e12

    assert 40.0 < apparent < 60.0  # Gt/yr; ICE-6G_D: +65


@given(
    start=st.floats(2010.0, 2018.0),
    width=st.floats(0.02, 0.12),
    period=st.sampled_from([1.0, 161.0 / 365.25]),
    phase=st.floats(0.0, 1.0),
)
def test_a_month_averages_the_cosine(
    start: float, width: float, period: float, phase: float
) -> None:
    u, w = np.polynomial.legendre.leggauss(12)
    t = start + width * (u + 1.0) / 2.0

    averaged = mean_cosine(np.array(start), np.array(start + width), period=period, phase=phase)

    expected = w @ np.cos(2.0 * np.pi * (t - phase) / period) / 2.0
    assert abs(averaged - expected) < 1e-9


def test_the_mean_rate_over_the_record_is_the_trend(seen: Signals) -> None:
    """A parabola about the middle of the record leaves the mean slope alone."""
    edges = np.array([2011.0, 2016.0])
    load, rebounded = seen.mean_over(edges - 0.5, edges + 0.5, epoch=2013.5)

    slope = (load[1] - load[0]) / 5.0
    season = mean_cosine(edges - 0.5, edges + 0.5, period=1.0, phase=0.0)
    alias = mean_cosine(edges - 0.5, edges + 0.5, period=161.0 / 365.25, phase=2013.5)
    expected = seen.trend + np.diff(alias)[0] / 5.0 * seen.tide
    assert np.abs(season).max() < 1e-12
    np.testing.assert_allclose(slope, expected, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(rebounded[1] - rebounded[0], 5.0 * seen.rebound)
