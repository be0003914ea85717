"""Legendre functions: explicit sums in many digits, the addition theorem, degrees to 8192."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from pipelines.kernels.gravity.legendre import (
    DEGREES_PER_BLOCK,
    HIGHEST_DEGREE,
    PLAIN_DEGREE,
    LegendreError,
    Rows,
    legendre,
    legendre_blocks,
    rows_at,
)


def in_many_digits(j: int, m: int, latitude: float, *, digits: int) -> float:
    """P_jm by differentiating Rodrigues' formula term by term: a polynomial, summed by Horner."""
    with mpmath.workdps(digits):
        x = mpmath.sin(mpmath.mpf(latitude) * mpmath.pi / 180)
        term = mpmath.factorial(2 * j) / (mpmath.factorial(j) * mpmath.factorial(j - m))
        value = term
        for k in range((j - m) // 2):
            term *= -mpmath.mpf((j - m - 2 * k) * (j - m - 2 * k - 1))
            term /= 2 * (k + 1) * (2 * j - 2 * k - 1)
            value = value * x * x + term
        value *= x ** ((j - m) % 2) * (1 - x * x) ** (mpmath.mpf(m) / 2) / mpmath.mpf(2) ** j
        ratio = mpmath.factorial(j - m) / mpmath.factorial(j + m)
        return float(value * mpmath.sqrt((1 if m == 0 else 2) * (2 * j + 1) * ratio))


@pytest.mark.parametrize("m", [0, 1, 5, 60, 179])
@pytest.mark.parametrize("latitude", [-89.7, -75.0, -60.3, 0.0, 33.0, 89.9])
def test_functions_are_those_of_rodrigues(latitude, m):
    """To 1e-12 of the largest: 0.1° from the pole, the rounding of cos θ grows with degree²."""
    degrees = np.arange(m, 181, 20)
    expected = [in_many_digits(int(j), m, latitude, digits=150) for j in degrees]

    column = legendre(rows_at(np.array([latitude])), j_max=180, m=m)[:, 0]

    largest = max(np.abs(expected).max(), 1e-50)
    np.testing.assert_allclose(column[degrees - m], expected, atol=1e-12 * largest, rtol=0)


@pytest.mark.parametrize(("m", "latitude"), [(600, -74.0), (700, -70.0), (979, -66.5), (40, -89.5)])
def test_degree_2190_holds_where_the_power_of_the_sine_underflows(m, latitude):
    """sin^700 70° underflows and the quotient overflows, yet their product is right to 1e-11."""
    expected = in_many_digits(2190, m, latitude, digits=1800)
    found = legendre(rows_at(np.array([latitude])), j_max=2190, m=m)[-1, 0]
    assert found == pytest.approx(expected, rel=1e-11)


def test_the_quotient_stays_in_range_to_the_highest_degree_that_it_is_used_for():
    """P_jm / sin^m θ at the pole is √(2 (2j + 1) (j + m)!/(j − m)!) / (2^m m!)."""
    j, m = PLAIN_DEGREE, np.arange(PLAIN_DEGREE + 1)
    log = 0.5 * (np.log(4 * j + 2) + gammaln(j + m + 1) - gammaln(j - m + 1))
    log10 = (log - m * np.log(2) - gammaln(m + 1)) / np.log(10)
    worst = int(log10.argmax())
    assert log10[worst] - 280.0 < 300.0

    column = legendre(Rows(np.array([-1.0, 1.0]), np.zeros(2)), j_max=j, m=worst)

    np.testing.assert_array_equal(column, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("m", "latitude"), [(2, -89.9), (900, -76.0), (1999, -60.0)])
def test_degree_4000_is_right_to_1e_12_of_the_largest(m, latitude):
    """Near the pole the rounding of cos θ grows with degree²: 2e-10 at a tenth of a degree."""
    expected = in_many_digits(4000, m, latitude, digits=3600)
    column = legendre(rows_at(np.array([latitude])), j_max=4000, m=m)[:, 0]
    tolerance = 2e-10 if latitude < -89.0 else 1e-12
    assert column[-1] == pytest.approx(expected, abs=tolerance * np.abs(column).max())


def test_extended_range_agrees_with_the_plain_recursion():
    rows = rows_at(np.array([-89.9, -85.0, -66.0, -10.0, 0.0, 45.0]))
    for m in (0, 1, 37, 250, 400):
        plain = legendre(rows, j_max=400, m=m)
        blocks = [block.values() for block in legendre_blocks(rows, j_max=400, m=m)]
        assert {len(block) for block in blocks[:-1]} <= {DEGREES_PER_BLOCK}
        np.testing.assert_allclose(np.concatenate(blocks), plain, rtol=0, atol=2e-11)


def test_extended_range_starts_far_below_the_smallest_number():
    """sin^8000 10° is 1e-6083; at degree 8192 and 80° S order 1300 is as large as any."""
    rows = rows_at(np.array([-80.0, -89.0]))
    assert not legendre(rows, j_max=8000, m=8000).any()
    found = legendre(rows, j_max=HIGHEST_DEGREE, m=1300)
    assert np.isfinite(found).all()
    assert 5.0 < np.abs(found[:, 0]).max() < 20.0
    assert not found[:, 1].any()


@pytest.mark.slow
def test_the_squares_of_degree_3000_add_up_where_most_orders_underflow():
    rows = rows_at(np.array([-88.0, -70.0]))
    total = np.zeros(2)
    for m in range(1200):
        *_, last = legendre_blocks(rows, j_max=3000, m=m)
        total += last.values()[-1] ** 2
    np.testing.assert_allclose(total, 6001.0, rtol=1e-11)


@settings(max_examples=25, deadline=None)
@given(latitude=st.floats(-90.0, 90.0), j_max=st.integers(0, 60))
def test_the_squares_of_a_degree_add_up_to_2j_plus_1(latitude, j_max):
    """The addition theorem at zero distance."""
    total = np.zeros(j_max + 1)
    for m in range(j_max + 1):
        total[m:] += legendre(rows_at(np.array([latitude])), j_max=j_max, m=m)[:, 0] ** 2
    np.testing.assert_allclose(total, 2 * np.arange(j_max + 1) + 1, rtol=1e-12)


def test_at_a_pole_only_order_zero_is_left():
    poles = Rows(np.array([1.0, -1.0]), np.zeros(2))
    j = np.arange(31)
    zonal = legendre(poles, j_max=30, m=0)
    np.testing.assert_allclose(zonal[:, 0], np.sqrt(2 * j + 1), rtol=1e-14)
    np.testing.assert_allclose(zonal[:, 1], (-1.0) ** j * np.sqrt(2 * j + 1), rtol=1e-14)
    assert not legendre(poles, j_max=30, m=1).any()


def test_there_is_no_condon_shortley_phase():
    north = rows_at(np.array([30.0]))
    assert legendre(north, j_max=1, m=1)[0, 0] == pytest.approx(np.sqrt(3) * np.cos(np.pi / 6))


def test_a_degree_beyond_the_range_is_refused():
    with pytest.raises(LegendreError, match="degree 8193 exceeds 8192"):
        legendre(rows_at(np.zeros(1)), j_max=HIGHEST_DEGREE + 1, m=0)


@pytest.mark.parametrize("m", [-1, 6])
def test_an_order_outside_the_degrees_is_refused(m):
    with pytest.raises(LegendreError, match=f"order {m} is outside 0 … 5"):
        legendre(rows_at(np.zeros(1)), j_max=5, m=m)
