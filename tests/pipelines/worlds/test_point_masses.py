"""The world's own harmonics against closed forms and against those of the products."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.gravity import harmonics
from pipelines.worlds.point_masses import real_harmonics, sum_over_points


@given(latitude=st.floats(-90.0, 90.0), longitude=st.floats(-180.0, 180.0))
def test_squares_of_one_degree_sum_to_its_size(latitude: float, longitude: float) -> None:
    pattern = real_harmonics(np.array([latitude]), np.array([longitude]), j_max=40)[..., 0]

    # Addition theorem in 4π normalisation: Σ_m Y² = 2j + 1.
    np.testing.assert_allclose((pattern**2).sum(axis=(0, 2)), 2 * np.arange(41) + 1, rtol=1e-12)


def test_low_degrees_have_their_closed_forms() -> None:
    psi, lam = np.radians(-74.0), np.radians(255.0)
    pattern = real_harmonics(np.array([-74.0]), np.array([255.0]), j_max=2)[..., 0]

    np.testing.assert_allclose(pattern[0, 1, 0], np.sqrt(3.0) * np.sin(psi))
    np.testing.assert_allclose(pattern[0, 1, 1], np.sqrt(3.0) * np.cos(psi) * np.cos(lam))
    np.testing.assert_allclose(pattern[1, 1, 1], np.sqrt(3.0) * np.cos(psi) * np.sin(lam))
    np.testing.assert_allclose(pattern[0, 2, 0], np.sqrt(5.0) * (1.5 * np.sin(psi) ** 2 - 0.5))
    assert pattern[1, 2, 0] == 0.0


def test_the_products_transform_agrees() -> None:
    generator = np.random.default_rng(5)
    weights = generator.standard_normal((3, 500))
    latitude = generator.uniform(-90.0, -60.0, 500)
    longitude = generator.uniform(-180.0, 180.0, 500)

    ours = sum_over_points(weights, latitude, longitude, j_max=96)

    theirs = harmonics.project_from(weights, latitude, longitude, j_max=96)
    np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=1e-11 * np.abs(theirs).max())
