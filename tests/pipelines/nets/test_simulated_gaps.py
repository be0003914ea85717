"""Simulated gaps: as much is missing as in real scenes, and real masks are among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.imagery.scanline_gaps import GapError
from pipelines.kernels.imagery.stripe_geometry import agreement, measure
from pipelines.kernels.imagery.stripes import HALF_SWATH_M, NARROWING, PERIOD_M
from pipelines.nets.simulated_gaps import EDGE, draw, drawer, fixed, stripes_at

SHAPE = (128, 128)


def shares(number: int, **choices: object) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.array([draw(rng, SHAPE, **choices).mean() for _ in range(number)])


def test_a_fifth_of_a_scene_is_missing_in_a_band_and_a_quarter_in_one_of_three() -> None:
    # USGS: 22 % of a scene; widths fall linearly from 14 of 33 pixels to none: 21 %.
    assert shares(400, bands=1).mean() == pytest.approx(0.21, abs=0.015)
    assert shares(400, bands=3).mean() == pytest.approx(0.24, abs=0.015)


def test_a_third_is_missing_near_the_edge_as_in_the_real_masks() -> None:
    assert shares(200, bands=1, across=EDGE).mean() == pytest.approx(0.34, abs=0.01)


def test_nothing_is_missing_at_nadir_and_most_at_the_very_edge() -> None:
    assert shares(20, across=(0.0, 0.08)).max() == 0.0
    assert shares(50, bands=1, across=(1.0, 1.0)).mean() == pytest.approx(14.0 / 33.0, abs=0.012)


def test_stripes_run_anywhere_on_both_sides_of_nadir() -> None:
    rng = np.random.default_rng(2)
    drawn = [stripes_at(rng, SHAPE, distance)[0] for distance in (2000.0, -2000.0) * 100]
    turns = np.radians([each.azimuth_deg for each in drawn])
    phases = np.array([each.phase_px / each.period_px for each in drawn])

    # A mean of 200 unit vectors of any direction is 0.07 long.
    assert abs(np.exp(1j * turns).mean()) < 0.25
    assert abs(np.exp(2j * np.pi * phases).mean()) < 0.25
    for each, distance in zip(drawn, (2000.0, -2000.0) * 100, strict=True):
        t, middle = np.radians(each.azimuth_deg), 63.5
        from_nadir = middle * np.cos(t) + middle * np.sin(t) - each.centre_px
        assert from_nadir == pytest.approx(distance)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), place=st.floats(0.0, 1.0), rows=st.integers(1, 90))
def test_little_more_is_missing_than_the_stripes_of_three_bands(seed, place, rows) -> None:
    shape = (rows, 70)
    three = draw(np.random.default_rng(seed), shape, across=(place, place))
    again = drawer(70, across=(place, place))(np.random.default_rng(seed))

    assert three.shape == shape
    # What is missing grows with the distance: 14 px of 33, and 3 px more of band offsets. Fewer
    # rows may lie in a stripe alone.
    if rows >= 40:
        assert three.mean() < 0.46 * place + 0.16
    np.testing.assert_array_equal(draw(np.random.default_rng(seed), (70, 70),
                                       across=(place, place)), again)  # fmt: skip


def test_masks_of_evaluations_are_fixed() -> None:
    np.testing.assert_array_equal(fixed(3, SHAPE), fixed(3, SHAPE))
    assert not np.array_equal(fixed(3, SHAPE), fixed(4, SHAPE))
    assert 0.25 < np.mean([fixed(n, SHAPE).mean() for n in range(20)]) < 0.40


@pytest.mark.parametrize(
    "choices", [{"across": (0.5, 0.2)}, {"across": (-0.1, 0.2)}, {"across": (0.9, 1.1)},
                {"bands": 0}],
)  # fmt: skip
def test_places_outside_of_the_swath_are_refused(choices) -> None:
    with pytest.raises(GapError, match="from nadir to edge"):
        draw(np.random.default_rng(1), SHAPE, **choices)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["s2", "s4"])
def test_the_real_masks_are_among_the_simulated_ones(data_root: Path, name: str) -> None:
    path = data_root / "optical/slc_off/slc_gap_masks_30m_dev.npz"
    with np.load(path, allow_pickle=False) as arrays:
        gap = arrays[name]
    found = measure(gap, ~gap)
    assert found is not None
    t = np.radians(found.azimuth_deg)
    middle = np.array(gap.shape)[::-1] / 2.0 - 0.5
    distance = float(middle @ [np.cos(t), np.sin(t)]) - found.centre_px

    (simulated,) = stripes_at(
        np.random.default_rng(7), gap.shape, distance, bands=1, azimuth_deg=found.azimuth_deg
    )

    # The simulator's free numbers, as they were found; all others are its own.
    assert PERIOD_M[0] <= found.period_m <= PERIOD_M[1]
    assert NARROWING[0] <= found.narrowing <= NARROWING[1]
    drawn = replace(
        simulated, phase_px=found.phase_px, period_px=found.period_px, narrowing=found.narrowing,
        width_px=found.narrowing * HALF_SWATH_M / 30.0 / 1000.0, jitter_px=0.0,
    )  # fmt: skip
    assert abs(distance) * 30.0 < HALF_SWATH_M
    assert agreement(drawn, gap, ~gap) >= 0.98
