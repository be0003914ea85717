"""Inverse-distance gridding: as the double loop does it, missing where nothing is near."""

import numpy as np
import pytest

from pipelines.kernels.altimetry.gridding import GriddingError, inverse_distance

X, Y = np.arange(1e3, 61e3, 2e3), np.arange(99e3, 49e3, -2e3)
TO_X, TO_Y = np.arange(2.5e3, 60e3, 5e3), np.arange(97.5e3, 50e3, -5e3)


def literal(rates: np.ndarray, radius: float, power: float) -> np.ndarray:
    out = np.full((TO_Y.size, TO_X.size), np.nan)
    px, py = np.meshgrid(X, Y)
    for i, v in enumerate(TO_Y):
        for j, u in enumerate(TO_X):
            d = np.hypot(px - u, py - v)
            near = (d <= radius) & np.isfinite(rates)
            if near.any():
                w = d[near] ** -power
                out[i, j] = (w * rates[near]).sum() / w.sum()
    return out


@pytest.mark.parametrize(("radius", "power"), [(25e3, 2.0), (3e3, 1.0), (7e3, 4.0)])
def test_gridding_is_the_double_loop(radius: float, power: float) -> None:
    generator = np.random.default_rng(3)
    rates = generator.normal(size=(Y.size, X.size))
    rates[generator.random(rates.shape) < 0.5] = np.nan

    found = inverse_distance(X, Y, rates, TO_X, TO_Y, radius=radius, power=power)

    np.testing.assert_allclose(found, literal(rates, radius, power), rtol=1e-11)


def test_a_node_on_a_pixel_takes_its_value() -> None:
    rates = np.random.default_rng(0).normal(size=(Y.size, X.size))

    found = inverse_distance(X, Y, rates, X[3:5], Y[3:5], radius=10e3)

    np.testing.assert_allclose(found, rates[3:5, 3:5], rtol=1e-5)


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
