"""The Earth of the synthetic world: Kelvin's sphere, and a rebound that makes no mass."""

import numpy as np
import pytest

from pipelines.kernels.constants import MEAN_DENSITY, MEAN_RADIUS
from pipelines.kernels.gravity import love_numbers
from pipelines.worlds.earth import (
    GRAVITY,
    REBOUNDS,
    RIGIDITY,
    kelvin_love_numbers,
    rebound_surface_mass,
)


def test_degree_two_is_kelvins() -> None:
    _, _, k = kelvin_love_numbers(4)

    # Thomson (1863): the rigidity enters degree 2 as 19 μ / (2 ρ g a).
    rigidity = 19.0 * RIGIDITY / (2.0 * MEAN_DENSITY * GRAVITY * MEAN_RADIUS)
    assert k[2] == pytest.approx(-1.0 / (1.0 + rigidity), rel=1e-14)


def test_a_rigid_sphere_would_not_yield_and_ours_yields_like_the_earth() -> None:
    h, shear, k = kelvin_love_numbers(100)

    assert np.all(np.diff(k[2:]) > 0.0)
    assert -0.35 < k[2] < -0.15  # PREM: -0.30
    assert -0.12 < k[10] < -0.05  # PREM: -0.07
    np.testing.assert_allclose(h[2:], (2 * np.arange(2, 101) + 1) / 3.0 * k[2:])
    np.testing.assert_allclose(shear[2:] * np.arange(2, 101), k[2:])


def test_degree_one_in_the_centre_of_figure_is_what_the_geocentre_series_asks() -> None:
    in_cf = love_numbers.in_frame(*kelvin_love_numbers(3), frame="CF")

    assert in_cf[1] == pytest.approx(0.021, abs=1e-12)


def test_rebound_makes_no_mass_and_no_geocentre_motion() -> None:
    rate = rebound_surface_mass(40)

    assert sum(patch.rate for patch in REBOUNDS) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(rate[:, :2], 0.0)
    # Smooth: nothing is left of it at the degree where fields end.
    assert np.abs(rate[:, 40]).max() < 1e-3 * np.abs(rate).max()
