import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.worlds.place_noise import fractal_noise, hashed_gaussian, lattice_noise

STARTS = st.integers(-(10**6), 10**6)


@given(first=STARTS, top=STARTS, seed=st.integers(0, 2**40), right=st.integers(0, 9))
def test_a_window_has_the_numbers_of_the_whole(first, top, seed, right):
    columns, rows = np.arange(first, first + 30), np.arange(top, top + 20)

    whole = hashed_gaussian(columns, rows, seed=seed)

    part = hashed_gaussian(columns[right : right + 7], rows[3:9], seed=seed)
    np.testing.assert_array_equal(part, whole[3:9, right : right + 7])


def test_hashed_numbers_are_normal_and_independent_of_their_neighbours_and_seeds():
    first, second = (hashed_gaussian(np.arange(600), np.arange(500), seed=s) for s in (1, 2))

    # 300 000 numbers: means err by 0.002, correlations by 0.002; limits are at four times that.
    assert abs(first.mean()) < 0.008
    assert abs(first.std() - 1.0) < 0.006
    for other in (
        second,
        np.roll(first, 1, 0),
        np.roll(first, 1, 1),
        np.roll(first, (1, 1), (0, 1)),
    ):
        assert abs(np.mean(first * other)) < 0.008
    half = np.mean(np.abs(first) < 0.6745)
    assert abs(half - 0.5) < 0.02  # a sum of four: 0.4846


def test_smooth_noise_has_variance_one_at_every_place_of_its_lattice():
    x = np.linspace(0.0, 300.0, 7)
    fields = np.stack([lattice_noise(x, x[:1], length=100.0, seed=seed)[0] for seed in range(3000)])

    # The variance of 3000 draws errs by 2.6 %.
    np.testing.assert_allclose(fields.var(axis=0), 1.0, atol=0.11)
    assert np.abs(fields.mean(axis=0)).max() < 0.08


def test_smooth_noise_is_the_same_in_any_window():
    x, y = 30.0 * np.arange(-40, 80), 30.0 * np.arange(60, -30, -1)

    whole = fractal_noise(x, y, length=900.0, seed=3, stretch=1.7)

    part = fractal_noise(x[30:50], y[20:31], length=900.0, seed=3, stretch=1.7)
    np.testing.assert_allclose(part, whole[20:31, 30:50], atol=2e-6)
