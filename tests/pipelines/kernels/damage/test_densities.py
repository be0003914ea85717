"""Densities are fractions of known pixels, however a map is cut into blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.damage import densities as counted
from pipelines.kernels.damage.densities import densities, merged, tally


def random_map(shape, *, seed=1):
    return np.random.default_rng(seed).choice(
        np.array([0, 1, 255], np.uint8), shape, p=[0.6, 0.2, 0.2]
    )


def slow_density(damage, factor, row, column):
    """Count each cell by itself, from the definition."""
    rows, columns = -(-(row + damage.shape[0]) // factor), -(-(column + damage.shape[1]) // factor)
    sums = np.zeros((rows, columns, 2))
    for (i, j), value in np.ndenumerate(damage):
        if value != 255:
            sums[(row + i) // factor, (column + j) // factor] += (value, 1)
    return sums[..., 0], sums[..., 1]


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 9), st.integers(0, 9)
)
def test_counts_are_those_of_each_cell_by_itself(height, width, factor, row, column):
    damage = random_map((height, width))
    found = tally(damage, row=row, column=column, pixels_per_cell=factor)
    sums, known = slow_density(damage, factor, row, column)
    assert np.array_equal(found.damaged, sums[found.row :, found.column :])
    assert np.array_equal(found.known, known[found.row :, found.column :])


@given(st.integers(1, 22), st.integers(1, 17), st.integers(1, 7))
def test_blocks_cut_anywhere_give_the_same_counts(cut_row, cut_column, factor):
    damage = random_map((23, 18))
    shape = (-(-23 // factor), -(-18 // factor))
    parts = [
        tally(
            damage[rows, columns],
            row=rows.start,
            column=columns.start,
            pixels_per_cell=factor,
        )
        for rows in (slice(0, cut_row), slice(cut_row, 23))
        for columns in (slice(0, cut_column), slice(cut_column, 18))
    ]
    whole = merged([tally(damage, pixels_per_cell=factor)], shape=shape)
    again = merged(parts[::-1], shape=shape)
    assert np.array_equal(whole.damaged, again.damaged)
    assert np.array_equal(whole.known, again.known)


def test_the_cell_of_the_paper_is_900_m_of_30_m():
    damage = np.zeros((60, 30), np.uint8)
    damage[:9, :10] = 1
    density, share = densities(tally(damage))
    assert density.tolist() == [[0.1], [0.0]]
    assert share.tolist() == [[1.0], [1.0]]


def test_a_cell_at_the_edge_is_divided_by_what_is_known_of_it():
    damage = np.full((4, 4), 255, np.uint8)
    damage[:2, :4] = [[1, 0, 0, 0], [1, 0, 0, 0]]
    counts = tally(damage, pixels_per_cell=4)
    assert densities(counts)[0].tolist() == [[0.25]]
    assert densities(counts)[1].tolist() == [[0.5]]
    assert np.isnan(densities(counts, least_known=0.51)[0]).all()


def test_a_cell_without_known_pixels_is_not_intact():
    density, share = densities(tally(np.full((2, 2), np.nan), pixels_per_cell=2), least_known=1e-9)
    assert np.isnan(density).all()
    assert share.tolist() == [[0.0]]


def test_probabilities_give_the_expected_density():
    rng = np.random.default_rng(2)
    chance = rng.uniform(size=(6, 8)).astype(np.float32)
    chance[0, 0] = np.nan
    density, share = densities(tally(chance, pixels_per_cell=2))
    expected = [
        [np.nanmean(chance[i : i + 2, j : j + 2].astype(float)) for j in range(0, 8, 2)]
        for i in range(0, 6, 2)
    ]
    assert density == pytest.approx(np.array(expected), rel=1e-12)
    assert share[0, 0] == 0.75


def test_a_map_is_a_certain_probability_and_leading_axes_stay():
    damage = random_map((3, 8, 8))
    certain = np.where(damage == 255, np.nan, damage)
    one, other = (tally(each, row=3, pixels_per_cell=4) for each in (damage, certain))
    assert one.damaged.shape == (3, 3, 2)
    assert np.array_equal(one.damaged, other.damaged)
    alone = tally(damage[1], row=3, pixels_per_cell=4)
    assert np.array_equal(one.known[1], alone.known)
    both = merged([one], shape=(3, 2))
    assert np.array_equal(both.damaged, one.damaged)


def test_booleans_are_all_known():
    found = tally(np.array([[True, False]]), pixels_per_cell=2)
    assert (found.damaged.tolist(), found.known.tolist()) == ([[1.0]], [[2]])


def test_refusals():
    error = counted.DensityError
    with pytest.raises(error, match="1 pixels of 100 and the like"):
        tally(np.array([[0, 100]], np.uint8))
    with pytest.raises(error, match="expected probabilities"):
        tally(np.array([[0.5, 1.5]]))
    with pytest.raises(error, match="move the grid's corner"):
        tally(np.zeros((2, 2), np.uint8), row=-1)
    with pytest.raises(error, match="with pixels in it"):
        tally(np.zeros((0, 2), np.uint8))
    one = tally(np.zeros((2, 2), np.uint8), pixels_per_cell=2)
    with pytest.raises(error, match="enlarge the coarse grid"):
        merged([tally(np.zeros((2, 4), np.uint8), pixels_per_cell=2)], shape=(1, 1))
    with pytest.raises(error, match="count each block once"):
        merged([one, one], shape=(1, 1))
    with pytest.raises(error, match="with one size"):
        merged([one, tally(np.zeros((2, 2), np.uint8), pixels_per_cell=1)], shape=(2, 2))
    with pytest.raises(error, match="with one size"):
        merged([], shape=(2, 2))
    with pytest.raises(error, match="more than 0"):
        densities(one, least_known=0.0)
