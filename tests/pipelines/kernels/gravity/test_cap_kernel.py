"""Kernels of the cap transform: what is left out is negligible, what is kept is exact."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.gravity import cap_kernel
from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.legendre import Rows, legendre

GRID = cap_grid(1.0, north=-55.0)


@pytest.mark.parametrize(("step", "j_max"), [(0.2, 512), (1.0, 120), (0.2, 60)])
def test_what_is_left_out_is_below_2e_15_of_the_largest(step, j_max):
    grid = cap_grid(step, north=-60.0)
    reach = cap_kernel.reach(grid, j_max=j_max, quadrature="fejer")
    from_pole = np.radians(grid.latitude + 90.0)
    rows = Rows(-np.cos(from_pole), np.sin(from_pole))
    worst, left_out = 0.0, 0
    for m in range(0, j_max + 1, 7):
        column = legendre(rows, j_max=j_max, m=m)
        row = reach.first_row(m, j_max)
        for panel in reach.panels(m)[0]:
            beyond = column[panel.degrees, : row + panel.rows.start]
            worst = max(worst, np.abs(beyond).max(initial=0.0))
            left_out += beyond.size
    assert 0.0 < worst < 2e-15 * np.sqrt(2 * j_max + 1)
    if j_max == 512:
        assert left_out > 0.5 * len(grid.latitude) * (j_max + 1) * (j_max + 2) / 14


@settings(max_examples=40, deadline=None)
@given(j_max=st.integers(0, 180), data=st.data())
def test_panels_by_degree_and_by_row_hold_the_same_cells_once(j_max, data):
    reach = cap_kernel.reach(GRID, j_max=j_max)
    m = data.draw(st.integers(0, j_max))
    shape = j_max + 1 - m, len(GRID.latitude) - reach.first_row(m, j_max)
    counts = np.zeros((2, *shape), dtype=int)
    for count, panels in zip(counts, reach.panels(m), strict=True):
        for panel in panels:
            count[panel.degrees, panel.rows] += 1
    np.testing.assert_array_equal(counts[0], counts[1])
    assert counts.max(initial=0) <= 1
    covered = counts[0].any(axis=1)
    assert covered.all() or not shape[1]


def test_limits_say_which_orders_reach_a_row():
    reach = cap_kernel.reach(GRID, j_max=100)
    for row, limit in enumerate(reach.limits):
        assert all(reach.first_row(m, 100) <= row for m in range(limit))
        assert all(reach.first_row(m, 100) > row for m in range(limit, 101))


@pytest.mark.parametrize(
    ("j", "m", "row"), [(512, 0, 0), (512, 1, 149), (510, 200, 149), (300, 40, 40)]
)
def test_cell_kernels_are_integrals_to_the_last_digits(j, m, row):
    """∫ P_jm sin θ dθ by Gauss points of mpmath, with P by recursion in 30 digits."""
    grid = cap_grid(0.2, north=-60.0)
    (block,) = cap_kernel.blocks(grid, j_max=512, orders=range(m, m + 1))
    with mpmath.workdps(30):
        a, b = (mpmath.mpf(row + i) * mpmath.pi / 900 for i in (0, 1))
        integral = mpmath.quad(
            lambda t: in_many_digits(j, m, t) * mpmath.sin(t),
            [a, b],
            method="gauss-legendre",
            maxdegree=3,
        )
        width = 2 * mpmath.pi / 1800
        across = width if m == 0 else 2 * mpmath.sin(m * width / 2) / m
        expected = float(integral * across / (4 * mpmath.pi))
    largest = np.abs(block.values[:, row - block.row]).max()
    assert block.values[j - m, row - block.row] == pytest.approx(expected, abs=2e-12 * largest)


def in_many_digits(j: int, m: int, from_pole: mpmath.mpf) -> mpmath.mpf:
    """P_jm at an angle from the south pole, by recursion in the digits that are set."""
    x, sine = -mpmath.cos(from_pole), mpmath.sin(from_pole)
    value = mpmath.mpf(1)
    for i in range(1, m + 1):
        value *= sine * (mpmath.sqrt(3) if i == 1 else mpmath.sqrt(mpmath.mpf(2 * i + 1) / (2 * i)))
    before = mpmath.mpf(0)
    for i in range(m + 1, j + 1):
        a = mpmath.sqrt(mpmath.mpf((2 * i - 1) * (2 * i + 1)) / ((i - m) * (i + m)))
        b = mpmath.mpf(0)
        if i > m + 1:
            b = mpmath.sqrt(
                mpmath.mpf((2 * i + 1) * (i + m - 1) * (i - m - 1))
                / ((2 * i - 3) * (i - m) * (i + m))
            )
        before, value = value, a * x * value - b * before
    return value


@given(n=st.integers(1, 60), degree=st.integers(0, 59))
def test_fejers_weights_integrate_cosine_series(n, degree):
    k = min(degree, n - 1)
    theta = (np.arange(n) + 0.5) * np.pi / n
    exact = 0.0 if k % 2 else 2.0 / (1.0 - k * k)
    assert cap_kernel.fejer_weights(n) @ np.cos(k * theta) == pytest.approx(exact, abs=1e-14)


@pytest.mark.parametrize(("step", "j_max"), [(0.2, 512), (0.045, 4000), (1.0, 180), (10.0, 3)])
def test_gauss_points_integrate_the_highest_wave_over_a_cell(step, j_max):
    grid = CapGrid(-90.0 + step * np.arange(4), 8000)
    n = cap_kernel.points_per_cell(grid, j_max)
    node, weight = np.polynomial.legendre.leggauss(n)
    c = (j_max + 1) * np.radians(step) / 2.0
    assert abs(weight @ np.cos(c * node) - 2.0 * np.sin(c) / c) < 2e-13
    assert n <= 8
