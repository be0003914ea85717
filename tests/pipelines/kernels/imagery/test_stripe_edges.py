"""Edges of stripes: their misfit as the formula says, its slope as differences of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.imagery import stripe_geometry
from pipelines.kernels.imagery.stripe_edges import Edges, Fit, Samples, closest, edge_distance
from pipelines.kernels.imagery.stripes import Stripes, render

SCALE = np.array([1.0, 33.0, 450.0, 450.0, 1.0]) / 450.0


def sample(seed: int, *, count: int = 500) -> Samples:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 900, (2, count))
    return Samples(x, y, rng.random(count) < 0.3)


@given(
    st.integers(0, 99), st.floats(0, 6.3), st.floats(27, 41), st.floats(-9, 9),
    st.floats(-3, 12), st.sampled_from([1.0, 0.4, 0.15]),
)  # fmt: skip
def test_misfit_is_a_logistic_edge_and_its_slope_its_derivative(
    seed, azimuth, period, phase, width, s
):
    samples = sample(seed)
    fit = Fit(450.0, 450.0, azimuth, period, phase, width, 0.0042)
    edges = Edges(samples, s)

    def misfit(step: np.ndarray) -> np.ndarray:
        return edges.misfit(Fit(450.0, 450.0, *(np.array(fit[2:]) + step * SCALE)))

    e = edge_distance(fit, samples.x, samples.y)
    expected = samples.gap - 0.5 * (1.0 - np.tanh(e / (2.0 * s)))
    np.testing.assert_allclose(misfit(np.zeros(5)), expected, atol=1e-9)
    slope = edges.slope(fit, SCALE)
    for n, one in enumerate(np.eye(5) * 1e-5):
        difference = (misfit(one) - misfit(-one)) / 2e-5
        # Where a difference reaches over a corner (a centre line, nadir) there is no slope.
        assert np.quantile(np.abs(slope[:, n] - difference), 0.95) < 1e-5


def test_least_squares_find_edges_that_are_a_pixel_off():
    samples, true = sample(1, count=9_000), Fit(450.0, 450.0, 0.2, 33.0, 4.0, 11.0, 0.0042)
    samples = samples._replace(gap=edge_distance(true, samples.x, samples.y) < 0)
    start = Fit(450.0, 450.0, 0.202, 33.05, 5.0, 10.0, 0.003)
    found = closest(start, samples, SCALE, s=0.4)
    assert (np.abs(np.subtract(found, true))[2:] < [2e-4, 0.01, 0.05, 0.1, 4e-4]).all()


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
def test_whole_periods_along_rows_of_a_large_window_do_not_alias(azimuth):
    # Every 11th row would see three phases of these stripes only.
    drawn = Stripes(azimuth, 33.0, 7.0, 9.0, 4.2, 2200.0)
    gap = render(drawn, (2200, 2200))

    found = stripe_geometry.measure(gap, ~gap)

    assert found is not None
    assert found == stripe_geometry.measure(gap, ~gap)
    assert found.period_px == pytest.approx(33.0, abs=0.005)
    assert found.width_px == pytest.approx(9.0, abs=0.15)
    assert stripe_geometry.agreement(found, gap, ~gap) > 0.98
