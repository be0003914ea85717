"""Bodies found block by block are those of the whole map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.damage import block_labels, fracture_lines


def cut(damage, high, wide):
    """Labels of blocks, and where they begin, by place in the grid of blocks."""
    made = {}
    for i, top in enumerate(range(0, damage.shape[0], high)):
        for k, left in enumerate(range(0, damage.shape[1], wide)):
            label, count = fracture_lines.bodies(damage[top : top + high, left : left + wide])
            made[i, k] = (label, count, top, left)
    return made


@settings(max_examples=40)
@given(st.integers(0, 999), st.integers(2, 9), st.integers(1, 9), st.floats(0.05, 0.6))
def test_bodies_of_blocks_are_those_of_the_whole(seed, high, wide, share):
    damage = np.random.default_rng(seed).random((17, 20)) < share
    expected, number = fracture_lines.bodies(damage)
    blocks = cut(damage, high, wide)

    parts = {at: block_labels.edges(b[0], count=b[1]) for at, b in reversed(blocks.items())}
    whole, count = block_labels.joined(parts)

    made = np.zeros_like(expected)
    for at, (label, _, top, left) in blocks.items():
        made[top : top + high, left : left + wide] = whole[at][label]
    assert count == number
    pairs = {(int(a), int(b)) for a, b in zip(made.flat, expected.flat, strict=True)} - {(0, 0)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}) == number


def test_a_fracture_across_blocks_is_measured_as_if_it_were_in_one():
    row, column = np.indices((40, 60))
    damage = abs(row - 0.5 * column - 3) < 2.0
    label, count = fracture_lines.bodies(damage)
    expected = fracture_lines.moments(label, count=count)
    blocks = cut(damage, 13, 17)

    whole, joined = block_labels.joined(
        {at: block_labels.edges(b[0], count=b[1]) for at, b in blocks.items()}
    )
    total = np.zeros_like(expected.sums)
    for at, (label, _, top, left) in blocks.items():
        here = fracture_lines.moments(whole[at][label], count=joined, row=top, column=left)
        total += here.sums

    assert joined == count == 1
    np.testing.assert_array_equal(total, expected.sums)


def test_blocks_without_bodies_may_be_left_out():
    one = np.array([[1, 0], [0, 0]])
    other = np.array([[0, 0], [0, 1]])

    whole, count = block_labels.joined(
        {(0, 0): block_labels.edges(one, count=1), (5, 5): block_labels.edges(other, count=1)}
    )

    assert count == 2
    assert whole[5, 5].tolist() == [0, 2]
    assert block_labels.joined({}) == ({}, 0)


def test_blocks_of_different_grids_are_refused():
    one = block_labels.edges(np.ones((2, 2), int), count=1)
    other = block_labels.edges(np.ones((3, 2), int), count=1)

    with pytest.raises(block_labels.BlockLabelError, match="cut the map along one grid"):
        block_labels.joined({(0, 0): one, (0, 1): other})
