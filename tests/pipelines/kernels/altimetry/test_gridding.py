"""Inverse-distance gridding: as the double loop does it, missing where nothing is near."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.altimetry.gridding import GriddingError, inverse_distance

X, Y = np.arange(1e3, 61e3, 2e3), np.arange(99e3, 49e3, -2e3)
TO_X, TO_Y = np.arange(2.5e3, 60e3, 5e3), np.arange(97.5e3, 50e3, -5e3)


def literal(
    rates: np.ndarray,
    radius: float,
    power: float,
    sigma: np.ndarray | None = None,
    nodes: tuple[np.ndarray, np.ndarray] = (TO_X, TO_Y),
) -> np.ndarray:
    """Node by node, pixel by pixel."""
    out = np.full((nodes[1].size, nodes[0].size), np.nan)
    px, py = np.meshgrid(X, Y)
    for i, v in enumerate(nodes[1]):
        for j, u in enumerate(nodes[0]):
            d = np.hypot(px - u, py - v)
            near = (d <= radius) & np.isfinite(rates)
            if sigma is not None:
                near &= np.isfinite(sigma)
            if (d[near] == 0.0).any():
                out[i, j] = rates[near][d[near] == 0.0][0]
            elif near.any():
                w = d[near] ** -power
                if sigma is not None:
                    w = w / sigma[near] ** 2
                out[i, j] = (w * rates[near]).sum() / w.sum()
    return out


def holed(seed: int, share: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rates = generator.normal(size=(Y.size, X.size))
    rates[generator.random(rates.shape) < share] = np.nan
    return rates


@pytest.mark.parametrize(("radius", "power"), [(25e3, 2.0), (3e3, 1.0), (7e3, 4.0)])
def test_gridding_is_the_double_loop(radius: float, power: float) -> None:
    rates = holed(3, 0.5)

    found = inverse_distance(X, Y, rates, TO_X, TO_Y, radius=radius, power=power)

    np.testing.assert_allclose(found, literal(rates, radius, power), rtol=1e-11)


def test_gridding_by_standard_errors_is_the_double_loop() -> None:
    rates = holed(5, 0.3)
    sigma = np.random.default_rng(6).uniform(0.01, 1.0, rates.shape)
    sigma[3:6, 4:9] = np.nan

    found = inverse_distance(X, Y, rates, TO_X, TO_Y, sigma, radius=9e3)
    even = inverse_distance(X, Y, rates, TO_X, TO_Y, np.full(rates.shape, 0.2), radius=9e3)

    np.testing.assert_allclose(found, literal(rates, 9e3, 2.0, sigma), rtol=1e-11)
    np.testing.assert_allclose(even, literal(rates, 9e3, 2.0), rtol=1e-11)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(2e3, 40e3), st.floats(0.2, 0.99))
def test_nodes_anywhere_are_the_double_loop_and_lie_between_pixels(
    seed: int, radius: float, share: float
) -> None:
    generator = np.random.default_rng(seed)
    rates = holed(seed, share)
    nodes = generator.uniform(-20e3, 80e3, 5), generator.uniform(30e3, 120e3, 4)

    found = inverse_distance(X, Y, rates, *nodes, radius=radius)

    # Places are told apart to 2e-6 m beside distances of metres; values are of order 1.
    np.testing.assert_allclose(found, literal(rates, radius, 2.0, nodes=nodes), rtol=0, atol=1e-6)
    known = found[np.isfinite(found)]
    assert (known >= np.nanmin(rates) - 1e-12).all()
    assert (known <= np.nanmax(rates) + 1e-12).all()


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, 8.0])
def test_a_node_on_a_pixel_takes_its_value_and_on_a_gap_its_neighbours(power: float) -> None:
    rates = holed(0, 0.4)

    found = inverse_distance(X, Y, rates, X, Y, radius=10e3, power=power)

    known = np.isfinite(rates)
    np.testing.assert_array_equal(found[known], rates[known])
    np.testing.assert_allclose(found, literal(rates, 10e3, power, nodes=(X, Y)), rtol=1e-11)


def test_inputs_are_left_as_they_were() -> None:
    rates = holed(1, 0.5)
    before = rates.copy()

    inverse_distance(X, Y, rates, X, Y, np.ones(rates.shape), radius=5e3)

    np.testing.assert_array_equal(rates, before)


def test_nothing_near_is_missing() -> None:
    rates = np.full((Y.size, X.size), np.nan)
    rates[0, 0] = 5.0

    found = inverse_distance(X, Y, rates, TO_X, TO_Y, radius=6e3)

    assert found[0, 0] == pytest.approx(5.0)
    assert np.isnan(found[-1]).all()


def test_uneven_rasters_are_refused() -> None:
    uneven = X.copy()
    uneven[2] += 1.0
    with pytest.raises(GriddingError, match="not equally spaced"):
        inverse_distance(uneven, Y, np.ones((Y.size, X.size)), TO_X, TO_Y, radius=1e3)
    with pytest.raises(GriddingError, match="positive radius"):
        inverse_distance(X, Y, np.ones((Y.size, X.size)), TO_X, TO_Y, radius=0.0)
    with pytest.raises(GriddingError, match="a power of -2"):
        inverse_distance(X, Y, np.ones((Y.size, X.size)), TO_X, TO_Y, radius=1e3, power=-2.0)
    with pytest.raises(GriddingError, match=r"found shapes \[\(2, 2\), \(25, 30\)\]"):
        inverse_distance(X, Y, np.ones((25, 30)), TO_X, TO_Y, np.ones((2, 2)), radius=1e3)
    with pytest.raises(GriddingError, match="750 standard errors are zero, negative or infinite"):
        inverse_distance(X, Y, np.ones((25, 30)), TO_X, TO_Y, np.zeros((25, 30)), radius=1e3)
