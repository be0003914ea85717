"""Filters: the half-radius, Bessel functions in many digits, gravity-toolkit's destriping."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity.filters import FilterError, destripe, gaussian_weights

RADII = st.floats(1.0, 20_000.0)


@pytest.mark.parametrize("radius_km", [0.01, 0.3, 1.0, 100.0, 300.0, 1000.0, 20_000.0])
def test_the_weights_are_ratios_of_spherical_bessel_functions(radius_km):
    """To 1e-14: SciPy's functions are good to a few units of the last digit."""
    degrees = list(range(0, 181, 30))
    found = gaussian_weights(180, radius_km=radius_km)[degrees]
    np.testing.assert_allclose(found, bessel_ratios(degrees, radius_km), atol=1e-14, rtol=0)


def bessel_ratios(degrees: list[int], radius_km: float) -> list[float]:
    """I_{j+1/2}(b) / I_{1/2}(b) in 60 digits."""
    with mpmath.workdps(60):
        angle = mpmath.mpf(1000.0 * radius_km) / mpmath.mpf(MEAN_RADIUS)
        b = mpmath.log(2) / (1 - mpmath.cos(angle))
        half = mpmath.mpf(1) / 2
        first = mpmath.besseli(half, b)
        return [float(mpmath.besseli(j + half, b) / first) for j in degrees]


@pytest.mark.parametrize("radius_km", [100.0, 300.0, 500.0])
def test_the_weights_are_those_of_gravity_toolkit_until_its_recursion_ends(
    gravity_toolkit, radius_km
):
    """It multiplies by 1/2π and takes 6371.0 km; below 1e-5 its digits are lost to cancellation."""
    same_angle = radius_km * 6371.0e3 / MEAN_RADIUS
    peer = 2.0 * np.pi * gravity_toolkit.gauss_weights(same_angle, 180)
    weights = gaussian_weights(180, radius_km=radius_km)
    kept = weights > 1e-2
    np.testing.assert_allclose(weights[kept], peer[kept], rtol=1e-9)
    np.testing.assert_allclose(weights, peer, atol=1e-7)


@pytest.mark.parametrize("radius_km", [300.0, 800.0])
def test_a_point_is_spread_so_that_half_is_left_at_the_radius(radius_km):
    """Σ (2j + 1) W_j P_j(cos γ), summed to degree 250, where W_j of 300 km is 1e-23."""
    weights = gaussian_weights(250, radius_km=radius_km)
    angle = 1e3 * radius_km / MEAN_RADIUS
    terms = (2 * np.arange(251) + 1) * weights
    kernel = np.polynomial.legendre.legval(np.cos([0.0, angle, 2.0 * angle]), terms)
    assert kernel[1] / kernel[0] == pytest.approx(0.5, rel=1e-12)
    assert kernel[2] / kernel[0] == pytest.approx(
        0.5 ** ((1.0 - np.cos(2.0 * angle)) / (1.0 - np.cos(angle))), rel=1e-11
    )


@given(radius_km=RADII, wider=RADII)
def test_weights_fall_with_degree_and_with_radius(radius_km, wider):
    narrow = gaussian_weights(90, radius_km=min(radius_km, wider))
    wide = gaussian_weights(90, radius_km=max(radius_km, wider))
    assert narrow[0] == wide[0] == 1.0
    assert (np.diff(narrow) <= 0.0).all()
    assert (wide >= 0.0).all()
    assert (wide <= narrow + 1e-14).all()


def test_no_radius_is_no_filter():
    np.testing.assert_array_equal(gaussian_weights(5, radius_km=0.0), np.ones(6))


def test_the_limit_for_radii_below_250_m_holds_to_degree_2700():
    found = gaussian_weights(2700, radius_km=0.23)[[900, 1800, 2700]]
    np.testing.assert_allclose(found, bessel_ratios([900, 1800, 2700], 0.23), atol=1e-11, rtol=0)


@pytest.mark.parametrize("radius_km", [-1.0, np.nan, np.inf, 20_100.0])
def test_a_radius_off_the_sphere_is_refused(radius_km):
    with pytest.raises(FilterError, match="found a radius"):
        gaussian_weights(10, radius_km=radius_km)


def test_a_negative_degree_is_refused():
    with pytest.raises(FilterError, match="degree -1"):
        gaussian_weights(-1, radius_km=300.0)


# Destriping


def random_coefficients(j_max: int, *leading: int, seed: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((*leading, 2, j_max + 1, j_max + 1))
    return np.asarray(values * np.tri(j_max + 1))


@pytest.mark.parametrize(("zero_short", "narrow"), [(True, False), (False, True)])
def test_destriping_is_that_of_gravity_toolkit(gravity_toolkit, zero_short, narrow):
    """Its default zeroes short orders although its comment says that they pass unaltered.

    Windows, edges and orders are the same by definition; lstsq of the normal equations and a
    pseudo-inverse of the quadratic itself differ by rounding, 2e-14 here.
    """
    coefficients = random_coefficients(60)
    peer = gravity_toolkit.destripe_harmonics(*coefficients, LMAX=60, NARROW=narrow)
    found = destripe(coefficients, zero_short=zero_short)
    np.testing.assert_allclose(found, np.stack([peer["clm"], peer["slm"]]), atol=1e-12, rtol=0)


def test_what_runs_smoothly_through_degrees_of_one_parity_is_a_stripe():
    """A quadratic in degree, different for even and odd: it vanishes where windows are full."""
    j = np.arange(61.0)
    smooth = np.where(j % 2 == 0, 1.0 - 0.3 * j + 0.01 * j**2, -2.0 + 0.002 * j**2)
    coefficients = (smooth[:, None] * np.tri(61))[None].repeat(2, axis=0)
    left = destripe(coefficients, zero_short=True)
    np.testing.assert_allclose(left[..., 5:], 0.0, atol=1e-12)
    np.testing.assert_array_equal(left[..., :5], coefficients[..., :5])


def test_orders_below_the_first_are_not_touched():
    coefficients = random_coefficients(60)
    filtered = destripe(coefficients, first_order=8)
    np.testing.assert_array_equal(filtered[..., :8], coefficients[..., :8])
    assert (filtered[..., 8:12] != coefficients[..., 8:12]).any()


def test_orders_too_short_for_a_window_are_kept_unless_told():
    coefficients = random_coefficients(60)
    np.testing.assert_array_equal(destripe(coefficients)[..., 55:], coefficients[..., 55:])
    assert not destripe(coefficients, zero_short=True)[..., 55:].any()


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(-3.0, 3.0), seed=st.integers(0, 99))
def test_destriping_is_linear_and_acts_on_each_member(scale, seed):
    members = random_coefficients(40, 2, seed=seed)
    kept = members.copy()
    together = destripe(members)
    total = destripe(members[0] + scale * members[1])
    np.testing.assert_allclose(total, together[0] + scale * together[1], atol=1e-12)
    np.testing.assert_array_equal(members, kept)


@pytest.mark.parametrize("wrong", [{"narrowest": 0}, {"decay": 0.0}, {"first_order": -1}])
def test_a_window_that_cannot_hold_a_quadratic_is_refused(wrong):
    with pytest.raises(FilterError, match="needs 3 coefficients"):
        destripe(np.zeros((2, 5, 5)), **wrong)
