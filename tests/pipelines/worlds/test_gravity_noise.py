"""Errors of the synthetic fields: their size, and the stripes they paint."""

import numpy as np
import pytest

from pipelines.worlds import gravity_noise


def test_spreads_are_those_of_real_residuals() -> None:
    spread, formal = gravity_noise.spreads(96)

    # Residuals of CSR RL06, 2007-2014, that this was fitted to, by degree and order.
    for j, m, size in ((40, 0, 4.4e-13), (60, 40, 5.8e-12), (60, 60, 1.3e-11), (96, 1, 5.6e-12)):
        assert spread[0, j, m] == pytest.approx(size, rel=0.75)
    assert np.all(formal < spread + (spread == 0.0))
    assert not spread[:, :2].any()
    assert not spread[1, :, 0].any()


def test_errors_have_their_spread_and_are_striped() -> None:
    drawn = gravity_noise.errors(3000, 30, np.random.default_rng(2))
    spread, _ = gravity_noise.spreads(30)
    white = drawn / np.where(spread > 0.0, spread, 1.0)

    # 3000 draws give a standard deviation to 1.3 %; six such deviations are allowed for.
    np.testing.assert_allclose(drawn.std(axis=0)[spread > 0.0], spread[spread > 0.0], rtol=0.08)
    along = np.mean(white[:, 0, 24, 20] * white[:, 0, 26, 20])
    across = np.mean(white[:, 0, 24, 20] * white[:, 0, 25, 20])
    assert along == pytest.approx(0.85 * (1.0 - np.exp(-20.0 / 14.0)), abs=0.08)
    assert across == pytest.approx(0.0, abs=0.08)
    np.testing.assert_array_equal(drawn[:, spread == 0.0], 0.0)


def test_the_same_generator_draws_the_same_errors() -> None:
    first, again = (gravity_noise.errors(2, 8, np.random.default_rng(7)) for _ in range(2))

    np.testing.assert_array_equal(first, again)
