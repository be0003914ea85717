"""The variance of a sum is that of all pairs, however the map is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.linalg import toeplitz

from pipelines.kernels.damage import correlated_sums as sums

SPACING = 30.0
LENGTHS = st.sampled_from([0.0, 10.0, 45.0, 300.0, 5000.0, np.inf])


def correlation(n, length):
    """Of n pixels in a line, as a matrix."""
    if length == 0.0:
        return np.eye(n)
    return toeplitz(np.exp(-SPACING * np.arange(n) / length))


def all_pairs(spread, length):
    """V as the sum over all pairs of pixels."""
    rows, columns = (correlation(n, length) for n in spread.shape)
    return spread.ravel() @ np.kron(rows, columns) @ spread.ravel()


@st.composite
def maps(draw):
    shape = (draw(st.integers(1, 8)), draw(st.integers(1, 9)))
    return draw(arrays.arrays(np.float64, shape, elements=st.floats(0.0, 3.0)))


@settings(max_examples=50)
@given(maps(), LENGTHS)
def test_a_block_is_the_sum_over_all_pairs(spread, length):
    made = sums.block_sum(spread, length=length, spacing=SPACING)

    assert made.variance == pytest.approx(all_pairs(spread, length), rel=1e-12)


@settings(max_examples=50)
@given(maps(), LENGTHS, st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_blocks_together_are_the_whole(spread, length, high, wide, random):
    blocks = {}
    for top in range(0, spread.shape[0], high):
        for left in range(0, spread.shape[1], wide):
            part = spread[top : top + high, left : left + wide]
            if part.any():  # an empty block may be left out
                blocks[top, left] = sums.block_sum(part, length=length, spacing=SPACING)
    mixed = list(blocks.items())
    random.shuffle(mixed)

    made = sums.total_variance(dict(mixed), length=length, spacing=SPACING)

    assert made == pytest.approx(all_pairs(spread, length), rel=1e-10)


@settings(max_examples=50)
@given(st.integers(1, 40), st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0]))
def test_the_closed_form_of_a_line_is_its_double_sum(n, r):
    i = np.arange(n)

    # near r = 1 two terms of n / (1 − r) cancel, which leaves 1e-16 / (1 − r)² of them
    assert sums.line_inflation(n, r) == pytest.approx(np.sum(r ** abs(i[:, None] - i)), rel=1e-9)


@pytest.mark.parametrize("length", [60.0, 300.0])
def test_a_uniform_block_has_the_closed_form(length):
    r = sums.neighbour_correlation(length, spacing=SPACING)

    made = sums.block_sum(np.full((50, 30), 0.4), length=length, spacing=SPACING)

    closed = 0.16 * sums.line_inflation(50, r) * sums.line_inflation(30, r)
    assert made.variance == pytest.approx(closed, rel=1e-12)


def test_simulated_fields_scatter_as_much():
    rng = np.random.default_rng(20260101)
    shape, length, n = (24, 30), 120.0, 4000
    spread = rng.uniform(0.0, 1.0, shape)
    roots = [np.linalg.cholesky(correlation(size, length)) for size in shape]
    noise = rng.standard_normal((n, *shape))
    fields = roots[0] @ noise @ roots[1].T

    scatter = np.var((fields * spread).sum(axis=(1, 2)))

    made = sums.block_sum(spread, length=length, spacing=SPACING).variance
    # a variance of n normal draws scatters by √(2 / n) = 2.2 %; one seed in 16 000 is four of these
    # away
    assert scatter == pytest.approx(made, rel=4.0 * np.sqrt(2.0 / n))


@settings(max_examples=50)
@given(maps(), st.sampled_from([(0.0, 30.0), (30.0, 300.0), (300.0, np.inf)]))
def test_longer_correlation_never_narrows_a_sum(spread, lengths):
    short, long = (sums.block_sum(spread, length=of, spacing=SPACING) for of in lengths)

    assert short.variance <= long.variance * (1.0 + 1e-12)


@pytest.mark.parametrize(("length", "lag"), [(60.0, 1), (200.0, 1), (200.0, 4)])
def test_the_length_of_a_simulated_field_is_found_again(length, lag):
    rng = np.random.default_rng(3)
    root = np.linalg.cholesky(correlation(200, length))
    field = root @ rng.standard_normal((10, 200, 200)) @ root.T
    known = rng.random(field.shape) < 0.7

    made = sums.measured_length(field, known, spacing=SPACING, lag=lag)

    # 10 · (200 Δ / 2 L)² independent places: 900 of the longer one, a correlation good to 0.01,
    # and d ln L = d r / (r ln r)
    assert made == pytest.approx(length, rel=0.15)


def test_lengths_of_extreme_errors():
    known = np.ones((8, 8), bool)
    chess = np.where(np.indices((8, 8)).sum(axis=0) % 2, 1.0, -1.0)

    assert sums.measured_length(chess, known, spacing=SPACING) == 0.0
    assert sums.measured_length(np.ones((8, 8)), known, spacing=SPACING) == np.inf
    with pytest.raises(sums.CorrelationError, match="a shorter lag"):
        sums.measured_length(chess, known, spacing=SPACING, lag=8)


def test_what_cannot_be_summed_is_refused():
    with pytest.raises(sums.CorrelationError, match="give 0 where"):
        sums.block_sum(np.array([[np.nan]]), length=1.0, spacing=1.0)
    with pytest.raises(sums.CorrelationError, match="at least 0"):
        sums.block_sum(np.array([[-1.0]]), length=1.0, spacing=1.0)
    with pytest.raises(sums.CorrelationError, match="correlation length of -1 m"):
        sums.block_sum(np.ones((1, 1)), length=-1.0, spacing=1.0)
    one = sums.block_sum(np.ones((3, 3)), length=1.0, spacing=1.0)
    with pytest.raises(sums.CorrelationError, match="expected the bands of one grid"):
        sums.total_variance({(0, 0): one, (2, 3): one}, length=1.0, spacing=1.0)
