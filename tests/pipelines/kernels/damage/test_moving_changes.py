"""Damage gained, lost and carried adds up to the maps, whatever they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.damage import moving_changes as moving
from pipelines.kernels.damage.moving_changes import change_areas, changes, density_changes

SEEDS = st.integers(0, 2**32 - 1)


def two_maps(seed, shape=(13, 17)):
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet([3.0, 1.0, 0.7])
    values = np.array([0, 1, 255], np.uint8)
    return [rng.choice(values, shape, p=odds) for _ in range(2)]


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([0.0, 1.0, 1.5, 4.0]))
def test_the_accounts_close(seed, tolerance):
    earlier, later = two_maps(seed)
    area = np.random.default_rng(seed).uniform(850.0, 950.0, earlier.shape)
    codes = changes(earlier, later, tolerance=tolerance)
    found = change_areas(codes, area)

    inside = (earlier != 255) & (later != 255)
    assert found.later == pytest.approx(area[inside & (later == 1)].sum(), rel=1e-12)
    assert found.earlier == pytest.approx(area[inside & (earlier == 1)].sum(), rel=1e-12)
    assert found.later + found.entered == pytest.approx(area[later == 1].sum(), rel=1e-12)
    assert found.earlier + found.left == pytest.approx(area[earlier == 1].sum(), rel=1e-12)
    whole = found.unchanged + found.later + found.earlier - area[codes == moving.CARRIED].sum()
    assert whole == pytest.approx(area[inside].sum(), rel=1e-12)


@settings(max_examples=40)
@given(SEEDS)
def test_time_reversed_swaps_gained_and_lost(seed):
    earlier, later = two_maps(seed)
    one, back = (
        change_areas(changes(*pair, tolerance=1.5), np.array(900.0))
        for pair in ((earlier, later), (later, earlier))
    )
    assert (one.gained, one.entered) == (back.lost, back.left)
    assert (one.carried_later, one.later) == (back.carried_earlier, back.earlier)


@settings(max_examples=40)
@given(SEEDS)
def test_a_map_compared_with_itself_has_changed_nowhere(seed):
    earlier, _ = two_maps(seed)
    codes = changes(earlier, earlier, tolerance=2.0)
    assert set(np.unique(codes)) <= {moving.UNCHANGED, moving.CARRIED, 255}
    found = change_areas(codes, np.array(1.0))
    assert found.carried_later == found.carried_earlier == (earlier == 1).sum()


def test_each_code_is_what_it_says():
    earlier = np.array([[0, 0, 1, 1, 1, 255, 255, 0]], np.uint8)
    later = np.array([[0, 1, 0, 1, 255, 1, 0, 255]], np.uint8)
    assert changes(earlier, later).tolist() == [[0, 1, 2, 3, 6, 7, 255, 255]]


def test_a_rift_displaced_by_a_pixel_is_carried_within_the_tolerance():
    earlier, later = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    earlier[:, 3], later[:, 4] = 1, 1
    strict = change_areas(changes(earlier, later), np.array(900.0))
    assert (strict.gained, strict.lost, strict.carried_later) == (8100.0, 8100.0, 0.0)
    lenient = changes(earlier, later, tolerance=1.0)
    assert (lenient[:, 3] == moving.CARRIED_AWAY).all()
    assert (lenient[:, 4] == moving.CARRIED_HERE).all()
    found = change_areas(lenient, np.array(900.0))
    assert (found.gained, found.lost) == (0.0, 0.0)
    assert found.carried_later == found.carried_earlier == 8100.0


def test_a_rift_that_grows_is_carried_but_for_its_new_end():
    earlier, later = np.zeros((5, 20), np.uint8), np.zeros((5, 20), np.uint8)
    earlier[2, :10], later[2, :16] = 1, 1
    found = changes(earlier, later, tolerance=2.0)
    assert (found[2, :10] == moving.CARRIED).all()
    assert (found[2, 10:12] == moving.CARRIED_HERE).all()
    assert (found[2, 12:16] == moving.GAINED).all()


def test_blocks_with_a_halo_give_the_whole():
    earlier, later = two_maps(9, (30, 12))
    whole = changes(earlier, later, tolerance=2.5)
    upper = changes(earlier[:18], later[:18], tolerance=2.5)[:15]
    lower = changes(earlier[12:], later[12:], tolerance=2.5)[3:]
    assert np.array_equal(np.concatenate([upper, lower]), whole)


@settings(max_examples=40)
@given(SEEDS)
def test_densities_close_too_and_stay_unknown_where_either_is(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(size=(2, 30))
    x[:3], y[2:6] = np.nan, np.nan
    found = density_changes(x, y)
    known = np.arange(30) >= 6
    assert (found.gained + found.carried)[known] == pytest.approx(y[known], abs=1e-15)
    assert (found.lost + found.carried)[known] == pytest.approx(x[known], abs=1e-15)
    assert (found.gained * found.lost)[known].max() == 0.0
    assert all(np.isnan(each[:6]).all() for each in found)


def test_refusals():
    good = np.zeros((2, 2), np.uint8)
    with pytest.raises(moving.ChangeError, match="expected \\(y, x\\) for both"):
        changes(good, good[:1])
    with pytest.raises(moving.ChangeError, match="tolerance of -1"):
        changes(good, good, tolerance=-1.0)
    with pytest.raises(moving.ChangeError, match="the later map has values \\[2\\]"):
        changes(good, good + np.uint8(2))
    with pytest.raises(moving.ChangeError, match="expected one for each"):
        change_areas(good, np.ones((3, 2, 2)))
    with pytest.raises(moving.ChangeError, match="the same cells"):
        density_changes(np.zeros(2), np.zeros(3))
