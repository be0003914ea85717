"""Gaps: filled as a plain double loop fills them, never off the ice, never over measurements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.altimetry.gap_filling import GapError, fill, filled_fraction


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


def test_filling_is_inverse_distance_weighting() -> None:
    generator = np.random.default_rng(2)
    field = generator.normal(size=(30, 40))
    field[generator.random(field.shape) < 0.4] = np.nan
    inside = np.hypot(*np.meshgrid(np.arange(40) - 20, np.arange(30) - 15)) < 14

    # All measured pixels: which of several at one distance are "nearest" is nobody's choice.
    count = int((inside & np.isfinite(field)).sum())
    found = fill(field, inside, spacing_m=5e3, neighbours=count, power=2.0)

    np.testing.assert_allclose(found.field, literal_fill(field, inside, count, 2.0), rtol=1e-12)
    np.testing.assert_array_equal(found.is_filled, inside & np.isnan(field))


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


def test_ice_without_any_measurement_is_refused() -> None:
    with pytest.raises(GapError, match=r"none of the 9 pixels on the ice \(225 km²\) has a value"):
        fill(np.full((3, 3), np.nan), np.ones((3, 3), dtype=bool), spacing_m=5e3)
    with pytest.raises(GapError, match="expected one shape"):
        fill(np.ones((3, 3)), np.ones((2, 3), dtype=bool), spacing_m=5e3)
    with pytest.raises(GapError, match="1 values are infinite"):
        fill(np.array([[np.inf, 1.0]]), np.ones((1, 2), dtype=bool), spacing_m=5e3)
