"""Gaps: filled as a plain double loop fills them, never off the ice, never over measurements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.altimetry import gap_filling
from pipelines.kernels.altimetry.gap_filling import GapError, fill, filled_fraction, gap_patterns


def literal_fill(field: np.ndarray, inside: np.ndarray, n: int, power: float) -> np.ndarray:
    measured = np.argwhere(inside & np.isfinite(field))
    out = np.where(inside, field, 0.0)
    for gap in np.argwhere(inside & ~np.isfinite(field)):
        distance = np.hypot(*(measured - gap).T)
        nearest = np.argsort(distance, kind="stable")[:n]
        weight = distance[nearest] ** -power
        values = np.array([field[tuple(at)] for at in measured[nearest]])
        out[tuple(gap)] = (weight * values).sum() / weight.sum()
    return out


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_filling_is_inverse_distance_weighting(power: float) -> None:
    generator = np.random.default_rng(2)
    field = generator.normal(size=(30, 40))
    field[generator.random(field.shape) < 0.4] = np.nan
    inside = np.hypot(*np.meshgrid(np.arange(40) - 20, np.arange(30) - 15)) < 14

    # All measured pixels: which of several at one distance are "nearest" is nobody's choice.
    count = int((inside & np.isfinite(field)).sum())
    found = fill(field, inside, spacing_m=5e3, neighbours=count, power=power)

    np.testing.assert_allclose(found.field, literal_fill(field, inside, count, power), rtol=1e-12)
    np.testing.assert_array_equal(found.is_filled, inside & np.isnan(field))


def members_with_gaps(seed: int, patterns: tuple[int, ...]) -> np.ndarray:
    """Members on 20 × 25 pixels, each with the gaps of its pattern."""
    generator = np.random.default_rng(seed)
    gaps = generator.random((max(patterns) + 1, 20, 25)) < 0.4
    fields = generator.normal(size=(len(patterns), 20, 25))
    fields[gaps[list(patterns)]] = np.nan
    return fields


@pytest.mark.parametrize("at_once", [50, 1_600_000])
def test_members_filled_together_are_members_filled_apart(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gap_filling, "NEIGHBOURS_AT_ONCE", at_once)
    fields = members_with_gaps(3, (0, 1, 0, 0, 1, 2))
    before = fields.copy()
    inside = np.random.default_rng(4).random((20, 25)) < 0.7

    together = fill(fields.reshape(2, 3, 20, 25), inside, spacing_m=5e3)

    for member, field in enumerate(fields):
        apart = fill(field, inside, spacing_m=5e3)
        where = np.unravel_index(member, (2, 3))
        np.testing.assert_allclose(together.field[where], apart.field, rtol=1e-14, atol=1e-15)
        np.testing.assert_array_equal(together.is_filled[where], apart.is_filled)
    np.testing.assert_array_equal(fields, before)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_how_arrays_lie_in_memory_does_not_matter(axes: tuple[int, int, int]) -> None:
    fields = members_with_gaps(9, (0, 1, 0))
    inside = np.random.default_rng(9).random((20, 25)) < 0.7
    laid = fields.transpose(axes).copy().transpose(np.argsort(axes))

    found = fill(laid, np.asfortranarray(inside), spacing_m=5e3)

    np.testing.assert_array_equal(found.field, fill(fields, inside, spacing_m=5e3).field)


def test_filling_is_linear_in_maps_with_the_same_gaps() -> None:
    h = members_with_gaps(5, (0, 0))
    inside = np.ones((20, 25), dtype=bool)

    one, other = fill(h, inside, spacing_m=5e3).field
    mixed = fill(910.0 * h[0] - 3.0 * h[1], inside, spacing_m=5e3).field

    np.testing.assert_allclose(mixed, 910.0 * one - 3.0 * other, rtol=1e-12, atol=1e-11)


def test_only_the_nearest_neighbours_count() -> None:
    line = np.array([[100.0, 7.0, np.nan, 1.0, 50.0]])
    ice = np.ones((1, 5), dtype=bool)

    assert fill(line, ice, spacing_m=5e3, neighbours=2).field[0, 2] == pytest.approx(4.0)
    # (7 + 1 + 100/4 + 50/4) / (2 + 2/4)
    assert fill(line, ice, spacing_m=5e3, neighbours=9).field[0, 2] == pytest.approx(18.2)


def test_gaps_that_differ_are_counted_by_pixel_and_refused_with_the_choices() -> None:
    ice = np.ones((20, 25), dtype=bool)
    ice[:5] = False
    fields = members_with_gaps(8, (0, 1, 0))

    found = gap_patterns(iter(fields), ice)

    lacking = np.isnan(fields[:, 5:])
    differing = int((lacking[0] != lacking[1]).sum())
    assert found.pattern == (0, 1, 0)
    assert found.lacking == tuple(lacking.sum(axis=(1, 2)))
    assert found.differing == differing
    np.testing.assert_array_equal(found.in_any[5:], lacking.any(axis=0))
    assert not found.in_any[:5].any()
    with pytest.raises(
        GapError, match=rf"{differing} of 375 pixels .* M1 \d+, .*choose union.* or each"
    ):
        found.require_same(["M1", "M2", "M3"])


def test_gaps_off_the_ice_may_differ_and_the_same_gaps_pass() -> None:
    fields = members_with_gaps(8, (0, 0))
    ice = np.ones((20, 25), dtype=bool)
    ice[0] = False
    fields[1, 0] = np.nan

    found = gap_patterns(fields, ice)

    assert found.pattern == (0, 0)
    found.require_same(["M1", "M2"])


def test_many_members_are_not_all_named() -> None:
    fields = members_with_gaps(1, tuple(range(9)))
    found = gap_patterns(fields, np.ones((20, 25), dtype=bool))

    with pytest.raises(GapError, match=r"and \d more members\); choose union"):
        found.require_same([f"m{i}" for i in range(9)])


def test_the_union_of_gaps_makes_them_one_pattern() -> None:
    fields = members_with_gaps(2, (0, 1, 2))
    ice = np.ones((20, 25), dtype=bool)

    united = np.where(gap_patterns(fields, ice).in_any, np.nan, fields)

    assert gap_patterns(united, ice).differing == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_filled_values_lie_between_measured_ones(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    field = generator.normal(size=(12, 12))
    field[generator.random(field.shape) < share] = np.nan
    inside = generator.random(field.shape) < 0.8
    known = inside & np.isfinite(field)
    if not known.any():
        return

    found = fill(field, inside, spacing_m=5e3)

    assert (found.field[~inside] == 0.0).all()
    np.testing.assert_array_equal(found.field[known], field[known])
    low, high = field[known].min(), field[known].max()
    assert ((found.field[inside] >= low - 1e-12) & (found.field[inside] <= high + 1e-12)).all()


def test_the_filled_fraction_is_of_area() -> None:
    labels = np.array([[0, 0, 1], [0, -1, 1]])
    area = np.array([[1.0, 2.0, 5.0], [1.0, 9.0, 5.0]])
    filled = np.array([[True, False, False], [False, True, False]])

    fraction = filled_fraction(filled, labels, area, regions=3)

    np.testing.assert_allclose(fraction[:2], [0.25, 0.0])
    assert np.isnan(fraction[2])
    stack = filled_fraction(np.stack([filled, ~filled]), labels, area, regions=3)
    np.testing.assert_array_equal(stack[0], fraction)
    np.testing.assert_allclose(stack[1, :2], [0.75, 1.0])


def test_ice_without_any_measurement_is_refused() -> None:
    with pytest.raises(GapError, match=r"none of the 9 pixels on the ice \(225 km²\) has a value"):
        fill(np.full((3, 3), np.nan), np.ones((3, 3), dtype=bool), spacing_m=5e3)
    with pytest.raises(GapError, match="expected one shape"):
        fill(np.ones((3, 3)), np.ones((2, 3), dtype=bool), spacing_m=5e3)
    with pytest.raises(GapError, match="1 values are infinite"):
        fill(np.array([[np.inf, 1.0]]), np.ones((1, 2), dtype=bool), spacing_m=5e3)
    one_empty = np.stack([np.ones((3, 3)), np.full((3, 3), np.nan)])
    with pytest.raises(GapError, match=r"has a value in members \[1\] of 2; expected one"):
        fill(one_empty, np.ones((3, 3), dtype=bool), spacing_m=5e3)
    with pytest.raises(GapError, match="found no members"):
        gap_patterns([], np.ones((3, 3), dtype=bool))
