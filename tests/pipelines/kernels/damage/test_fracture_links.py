"""Fractures keep their identities while they move, grow, split and merge."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.damage import fracture_lines, fracture_links
from pipelines.kernels.damage.fracture_links import LinkError

SHAPE = (60, 80)


def rifts(*boxes):
    """Labels of rectangles (top, bottom, left, right), numbered in this order."""
    label = np.zeros(SHAPE, int)
    for k, (top, bottom, left, right) in enumerate(boxes, start=1):
        label[top:bottom, left:right] = k
    return label


def linked(one, other, **more):
    return fracture_links.link(
        one, other, earlier_count=int(one.max()), later_count=int(other.max()), **more
    )


def test_fractures_that_stay_are_themselves():
    label = rifts((5, 8, 10, 40), (20, 23, 10, 40), (40, 50, 60, 63))

    made = linked(label, label)

    assert made.pairs.tolist() == [[1, 1], [2, 2], [3, 3]]
    np.testing.assert_array_equal(made.shares, 1.0)
    assert not made.parent.any()
    assert not made.heir.any()


def test_fractures_carried_by_the_flow_keep_their_identity():
    before = rifts((10, 12, 10, 40), (14, 16, 10, 40), (30, 50, 20, 22))
    after = np.roll(before, (4, 9), axis=(0, 1))  # four rows are the distance of the first two
    swapped = np.array([0, 3, 1, 2])[after]
    row, column = np.indices(SHAPE).astype(float)

    still = linked(before, swapped)
    carried = linked(fracture_links.carried_labels(before, row - 4.0, column - 9.2), swapped)

    assert carried.pairs.tolist() == [[1, 3], [2, 1], [3, 2]]
    assert still.pairs.tolist() != carried.pairs.tolist()


def test_a_rift_that_grows_keeps_its_identity():
    made = linked(rifts((20, 22, 10, 30)), rifts((20, 22, 10, 70)))

    assert made.pairs.tolist() == [[1, 1]]


def test_a_thin_rift_two_pixels_off_is_found_within_the_tolerance():
    before, after = rifts((20, 21, 10, 60)), rifts((22, 23, 10, 60))

    assert linked(before, after, tolerance=2.0).pairs.tolist() == [[1, 1]]
    assert linked(before, after, tolerance=1.0).pairs.size == 0


def test_of_a_split_rift_the_larger_piece_keeps_the_identity():
    before, after = rifts((20, 23, 10, 70)), rifts((20, 23, 10, 25), (20, 23, 30, 70))

    made = linked(before, after)
    identity, following = fracture_links.kept_identities(made, np.array([0, 7]), following=8)

    assert made.pairs.tolist() == [[1, 2]]
    assert made.parent.tolist() == [0, 1, 0]
    assert identity.tolist() == [0, 8, 7]
    assert following == 9


def test_of_merged_rifts_the_larger_one_lives_on():
    before, after = rifts((20, 23, 10, 25), (20, 23, 30, 70)), rifts((20, 23, 10, 70))

    made = linked(before, after)

    assert made.pairs.tolist() == [[2, 1]]
    assert made.heir.tolist() == [0, 1, 0]


def test_what_ends_and_what_begins_have_neither_heir_nor_parent():
    made = linked(rifts((5, 8, 5, 30)), rifts((40, 43, 5, 30)))

    assert made.pairs.shape == (0, 2)
    assert made.heir.tolist() == made.parent.tolist() == [0, 0]


def best_sum(common):
    """The largest sum of entries in different rows and columns, by trying all."""
    rows, columns = common.shape
    if rows > columns:
        return best_sum(common.T)
    return max(
        sum(common[i, k] for i, k in enumerate(chosen))
        for chosen in itertools.permutations(range(columns), rows)
    )


@given(st.integers(0, 9999))
@settings(max_examples=60)
def test_links_share_as_many_pixels_as_any_assignment(seed):
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(0, 5, (6, 9)) for _ in range(2))
    common = np.array([[((one == a) & (other == b)).sum() for b in range(1, 5)]
                       for a in range(1, 5)])  # fmt: skip

    made = fracture_links.link(
        one, other, earlier_count=4, later_count=4, tolerance=0.0, least_share=0.0
    )

    assert sum(common[a - 1, b - 1] for a, b in made.pairs) == best_sum(common)
    assert len(set(made.pairs[:, 0])) == len(set(made.pairs[:, 1])) == len(made.pairs)


@given(st.integers(0, 9999), st.permutations(range(1, 7)))
@settings(max_examples=60)
def test_the_numbers_of_fractures_do_not_matter(seed, order):
    rng = np.random.default_rng(seed)
    one, _ = fracture_lines.bodies(rng.random((20, 24)) < 0.2)
    one = np.where(one <= 6, one, 0)
    other = np.roll(one, 1, axis=0)
    renamed = np.array([0, *order])

    made = fracture_links.link(one, other, earlier_count=6, later_count=6)
    again = fracture_links.link(renamed[one], other, earlier_count=6, later_count=6)

    assert made.shares.sum() == pytest.approx(again.shares.sum(), rel=0.2)
    assert len(made.pairs) == len(again.pairs)


def test_identities_last_through_years():
    identity, following = np.array([0, 1, 2]), 3
    years = [rifts((10, 12, 5 + 3 * t, 30 + 3 * t), (40, 42, 5, 30 + 2 * t)) for t in range(5)]
    years[3] = np.array([0, 2, 1])[years[3]]  # numbered otherwise that year

    for before, after in itertools.pairwise(years):
        identity, following = fracture_links.kept_identities(
            linked(before, after), identity, following=following
        )

    assert identity.tolist() == [0, 1, 2]
    assert following == 3


def test_ice_from_outside_the_earlier_map_has_no_label():
    row, column = np.indices(SHAPE).astype(float)
    column[0, 0] = np.nan

    made = fracture_links.carried_labels(np.ones(SHAPE, int), row, column - 30.0)

    assert not made[:, :30].any()
    assert made[:, 30:].all()


LABEL = rifts((1, 3, 1, 9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linked(LABEL, LABEL[:5]), "see carried_labels"),
        (lambda: linked(-LABEL, LABEL), "labels from -1 to 0"),
        (lambda: linked(LABEL, LABEL, tolerance=-1.0), "tolerance of -1 pixels"),
        (
            lambda: fracture_links.kept_identities(
                linked(LABEL, LABEL), np.array([0, 5]), following=5
            ),
            "from 1 to below 5",
        ),
        (
            lambda: fracture_links.kept_identities(
                linked(LABEL, LABEL), np.zeros(5, int), following=9
            ),
            "identities \\[0, 0, 0, 0\\] of 4 fractures",
        ),
    ],
)
def test_what_cannot_be_linked_is_refused(make, message):
    with pytest.raises(LinkError, match=message):
        make()
