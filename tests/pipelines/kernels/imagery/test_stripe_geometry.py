"""Stripes: what is drawn is what eight numbers say; what is measured is what was drawn."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.kernels.imagery.scanline_gaps import GapError
from pipelines.kernels.imagery.stripe_geometry import (
    Stripes,
    agreement,
    measure,
    render,
    simulate,
)

AZIMUTHS = st.floats(0, 360, exclude_max=True)
SCENE = Stripes(
    azimuth_deg=200.0,
    period_px=33.03,
    phase_px=7.0,
    width_px=14.0,
    narrowing=4.26,
    edge_px=800.0,
)


def angle_between(a: float, b: float) -> float:
    return abs((a - b + 180.0) % 360.0 - 180.0)


def test_stripes_along_rows_are_rows():
    flat = replace(SCENE, azimuth_deg=0.0, period_px=30.0, phase_px=4.0, width_px=5.0, narrowing=0)
    rows = render(flat, (60, 3)).all(axis=1)
    assert np.flatnonzero(rows).tolist() == [2, 3, 4, 5, 6, 32, 33, 34, 35, 36]
    assert render(flat, (60, 3)).any(axis=1).tolist() == rows.tolist()


def test_halves_are_half_a_period_apart_and_narrow_towards_nadir():
    one = replace(
        SCENE, azimuth_deg=0.0, period_px=40.0, phase_px=0.0, width_px=10.0, narrowing=10.0
    )
    assert one.centre_px == pytest.approx(-200.0)
    drawn = render(one, (400, 2001), origin=(0, -1200))  # columns −1200 to 800; nadir at −200
    share = drawn.mean(axis=0) * 40.0
    distance = np.abs(np.arange(-1200, 801) + 200.0)
    # Rows cut a width of w pixels into w ± 1 whole ones.
    assert np.abs(share - distance / 100.0).max() <= 1.0
    assert np.flatnonzero(drawn[:, -1])[:5].tolist() == [0, 1, 2, 3, 4]
    assert 20 in np.flatnonzero(drawn[:, 0])
    assert 0 not in np.flatnonzero(drawn[:, 0])


def test_gaps_of_the_intact_strip_are_filled():
    whole = replace(SCENE, azimuth_deg=0.0, width_px=8.0, narrowing=8.0, edge_px=500.0)
    drawn = render(replace(whole, intact_px=400.0), (120, 1000), origin=(0, -1000))
    inside = np.abs(np.arange(-1000, 0) + 500) < 200
    assert not drawn[:, inside].any()
    np.testing.assert_array_equal(
        drawn[:, ~inside], render(whole, (120, 1000), origin=(0, -1000))[:, ~inside]
    )


@given(AZIMUTHS, st.integers(-4000, 4000), st.integers(-4000, 4000), st.floats(0, 0.5))
@settings(max_examples=30, deadline=None)
def test_any_block_of_a_scene_holds_the_same_pixels(azimuth, row, column, jitter):
    stripes = replace(SCENE, azimuth_deg=azimuth, jitter_px=jitter, seed=5, intact_px=300.0)
    whole = render(stripes, (300, 70), origin=(row, column))
    block = render(stripes, (40, 30), origin=(row + 250, column + 31))
    np.testing.assert_array_equal(block, whole[250:290, 31:61])


@given(AZIMUTHS, st.floats(32.3, 33.2), st.floats(0, 1), st.floats(5, 14), st.integers(0, 2**31))
@settings(max_examples=6, deadline=None)
def test_drawn_stripes_are_measured_under_speckle_and_clouds(azimuth, period, phase, width, seed):
    # Along rows or columns all edges of a stripe fall on the same pixels: see the next test.
    assume(abs(azimuth % 90.0 - 45.0) < 40.0)
    found, drawn, middle, gap = measured(azimuth, period, phase, width, seed)

    assert angle_between(found.azimuth_deg, azimuth) < 0.02
    assert found.period_px == pytest.approx(period, abs=0.01)
    assert found.width_at(middle) == pytest.approx(drawn.width_at(middle), abs=0.2)
    assert found.narrowing == pytest.approx(4.26, abs=0.5)
    assert agreement(found, gap, ~gap, origin=(1000, 2000)) > 0.98


@pytest.mark.parametrize("azimuth", [0.0, 90.0])
@pytest.mark.parametrize("width", [5.0, 9.0])
def test_stripes_along_rows_or_columns_are_measured_to_a_fraction_of_a_pixel(azimuth, width):
    found, drawn, middle, gap = measured(azimuth, 33.0625, 0.25, width, seed=0)

    # A window of 360 pixels rounds every edge alike: a quarter of a pixel at most, 0.1 degrees.
    assert angle_between(found.azimuth_deg, azimuth) < 0.15
    assert found.period_px == pytest.approx(33.0625, abs=0.1)
    assert found.width_at(middle) == pytest.approx(drawn.width_at(middle), abs=1.0)
    assert agreement(found, gap, ~gap, origin=(1000, 2000)) > 0.85


def measured(azimuth, period, phase, width, seed):
    """Return stripes as measured under speckle and clouds, as drawn, a middle, and the gaps."""
    rng = np.random.default_rng(seed)
    t = math.radians(azimuth)
    middle = 2000 * math.cos(t) + 1000 * math.sin(t)
    drawn = replace(
        SCENE,
        azimuth_deg=azimuth,
        period_px=period,
        phase_px=phase * period,
        width_px=width,
        edge_px=middle + 200.0,
    )
    gap = render(drawn, (360, 400), origin=(1000, 2000))
    speckled = gap ^ (rng.random(gap.shape) < 0.02)
    y, x = np.indices(gap.shape)
    known = np.hypot(y - 250, x - 120) > 80
    known &= x + y < 600

    found = measure(speckled & known, known & ~speckled, origin=(1000, 2000))
    assert found is not None
    return found, drawn, middle, gap


@pytest.mark.parametrize("azimuth", [45.0, 281.3])
def test_both_halves_of_a_scene_are_measured_together(azimuth):
    (drawn,) = simulate(np.random.default_rng(4), nadir=(900, 1000), bands=1, azimuth_deg=azimuth)
    plain = replace(drawn, jitter_px=0.0)
    gap = render(plain, (1800, 2000))

    found = measure(gap, ~gap)

    assert found is not None
    turned = 180.0 if angle_between(found.azimuth_deg, azimuth) > 90 else 0.0
    assert angle_between(found.azimuth_deg, azimuth + turned) < 0.01
    nadir = found.centre_px if not turned else -found.centre_px
    assert nadir == pytest.approx(plain.centre_px, abs=20.0)
    assert found.intact_px == pytest.approx(22e3 / 30, abs=20.0)
    assert agreement(found, gap, ~gap) > 0.98


def test_filled_gaps_are_known_if_nadir_lies_just_outside():
    drawn = replace(SCENE, azimuth_deg=20.0, width_px=6.0, edge_px=1400.0, intact_px=700.0)
    first = round(drawn.centre_px / math.cos(math.radians(20.0))) + 10
    gap = render(drawn, (900, 1300), origin=(0, first))

    found = measure(gap, ~gap, origin=(0, first))

    assert found is not None
    assert found.intact_px == pytest.approx(700.0, abs=25.0)
    assert agreement(found, gap, ~gap, origin=(0, first)) > 0.97


def test_stripes_of_finer_pixels_have_the_same_size_in_metres():
    fine = replace(SCENE, azimuth_deg=30.0, period_px=66.0, width_px=20.0, spacing_m=15.0)
    gap = render(fine, (600, 600))
    found = measure(gap, ~gap, spacing=15.0)
    assert found is not None
    assert found.period_m == pytest.approx(990.0, abs=0.5)
    assert agreement(found, gap, ~gap) > 0.99


@pytest.mark.parametrize(
    "gap",
    [
        np.zeros((300, 300), dtype=bool),
        np.random.default_rng(0).random((300, 300)) < 0.2,
        render(replace(SCENE, azimuth_deg=0.0), (60, 400)),
        np.ones((300, 300), dtype=bool),
        np.arange(90_000).reshape(300, 300) % 300 < 150,
    ],
    ids=["none", "speckle", "two stripes", "all", "half"],
)
def test_no_stripes_are_found_where_there_are_too_few(gap):
    assert measure(gap, ~gap) is None


def test_thinned_scenes_alias_and_are_not_measured():
    gap = render(SCENE, (400, 400))
    assert measure(gap, ~gap, spacing=600.0) is None


def test_masks_that_contradict_each_other_are_refused():
    gap = np.ones((40, 40), dtype=bool)
    with pytest.raises(GapError, match="1600 pixels both"):
        measure(gap, gap)
    with pytest.raises(GapError, match="one shape"):
        measure(gap, gap[1:])
    with pytest.raises(GapError, match="two masks"):
        agreement(SCENE, gap, np.zeros((40, 40)))


@pytest.mark.parametrize(
    "change", [{"width_px": 40.0}, {"narrowing": -1.0}, {"phase_px": math.nan}, {"spacing_m": 0.0}]
)
def test_numbers_that_draw_no_stripes_are_refused(change):
    with pytest.raises(GapError, match="expected finite numbers"):
        replace(SCENE, **change)


def test_scenes_drawn_by_chance_have_the_geometry_of_real_ones():
    rng = np.random.default_rng(3)
    scenes = [simulate(rng, nadir=(3000.0, 3500.0)) for _ in range(200)]
    azimuth = np.radians([bands[0].azimuth_deg for bands in scenes])
    phase = np.array([bands[0].phase_px / bands[0].period_px for bands in scenes])
    # 200 uniform directions have a mean resultant of 0.07.
    assert abs(np.exp(1j * azimuth).mean()) < 0.2
    assert abs(np.exp(2j * np.pi * phase).mean()) < 0.2
    for bands in scenes:
        t = math.radians(bands[0].azimuth_deg)
        assert bands[0].centre_px == pytest.approx(3500 * math.cos(t) + 3000 * math.sin(t))
        shift = np.array([band.phase_px - bands[0].phase_px for band in bands])
        period = bands[0].period_px
        assert np.abs((shift + period / 2) % period - period / 2).max() <= 2.0
        assert 13.0 < bands[0].width_px < 15.0


def test_a_whole_scene_lacks_a_fifth_of_its_ground():
    (stripes,) = simulate(np.random.default_rng(2), nadir=(500, 3334), bands=1, azimuth_deg=0.0)
    # USGS: about 22 % of a scene; the official mask of a real one has 0.214.
    assert render(stripes, (1000, 6668)).mean() == pytest.approx(0.215, abs=0.01)


def test_centre_lines_jitter_as_far_as_they_may():
    flat = replace(SCENE, azimuth_deg=0.0, phase_px=16.0, narrowing=0.0, period_px=33.0)
    moved = replace(flat, jitter_px=3.0, seed=1)
    rows = render(moved, (3300, 1))[:, 0].reshape(100, 33)
    centre = (rows * np.arange(33)).sum(axis=1) / rows.sum(axis=1)
    assert 2.0 < np.abs(centre - 16.0).max() <= 3.5
    assert not np.array_equal(render(moved, (99, 9)), render(replace(moved, seed=2), (99, 9)))


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "azimuth"), [("s2", 11.53), ("s4", 11.50)])
def test_real_masks_are_drawn_again_from_what_was_measured(data_root: Path, name, azimuth):
    path = data_root / "optical/slc_off/slc_gap_masks_30m_dev.npz"
    with np.load(path, allow_pickle=False) as arrays:
        gap = arrays[name]

    found = measure(gap, ~gap)

    assert found is not None
    # Rows of one column from gap to gap, counted by hand: 33.10.
    assert found.row_period_px == pytest.approx(33.1, abs=0.02)
    assert found.azimuth_deg == pytest.approx(azimuth, abs=0.02)
    assert found.narrowing == pytest.approx(4.2, abs=0.05)
    assert agreement(found, gap, ~gap) >= 0.985
