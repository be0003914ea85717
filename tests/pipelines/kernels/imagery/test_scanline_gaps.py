"""Gaps of the scan line corrector: told from the outside, the same in any block, at any date."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipelines.kernels.imagery import stripes
from pipelines.kernels.imagery.scanline_gaps import (
    HALO_PX,
    WIDEST_GAP_PX,
    GapError,
    SlcState,
    gap_mask,
    halo_px,
    has_stripes,
    is_slc_off,
    parts_of,
    slc_state,
)


def band(azimuth_deg: float, *, width: float, shape=(160, 170), period: float = 0.0) -> np.ndarray:
    """Return strips of a width through the middle, every `period` pixels if one is given."""
    t = np.radians(azimuth_deg)
    y, x = np.indices(shape) - np.reshape(shape, (2, 1, 1)) / 2 + 0.3
    v = y * np.cos(t) - x * np.sin(t)
    return np.abs((v + period / 2) % period - period / 2 if period else v) < width / 2


def swath(azimuth_deg: float, *, half: float, shape=(160, 170)) -> np.ndarray:
    """Return what lies within `half` pixels of the middle, along the stripes."""
    return band(azimuth_deg + 90.0, width=2 * half, shape=shape)


@given(st.floats(0, 360), st.floats(0.8, WIDEST_GAP_PX))
@settings(max_examples=40, deadline=None)
def test_every_gap_is_found_however_it_runs(azimuth, width):
    fill = band(azimuth, width=width, period=33.0)
    np.testing.assert_array_equal(gap_mask(fill), fill)


@given(st.floats(0, 360), st.floats(2, 14.4))
@settings(max_examples=40, deadline=None)
def test_the_outside_of_the_swath_is_no_gap_and_gaps_end_at_its_edge(azimuth, width):
    inside = swath(azimuth, half=60)
    fill = band(azimuth, width=width, period=33.0) | ~inside

    gap = gap_mask(fill)

    # The outside reaches no more than 8 pixels into the mouth of a gap.
    deep = swath(azimuth, half=51)
    np.testing.assert_array_equal(gap[deep], fill[deep])
    # Slivers and corners of the outside, less than 18 pixels wide, are at the array's edge only.
    core = np.s_[18:-18, 18:-18]
    assert not (gap & ~inside)[core].any()


def test_patches_that_something_else_took_are_no_gaps():
    fill = np.zeros((200, 200), dtype=bool)
    fill[20:60, 30:90] = True
    fill[120:152, :] = True
    assert not gap_mask(fill).any()
    assert not gap_mask(np.ones((50, 60), dtype=bool)).any()


def test_single_missing_pixels_in_the_swath_count_as_gaps():
    fill = np.random.default_rng(0).random((80, 90)) < 0.02
    np.testing.assert_array_equal(gap_mask(fill), fill)


def test_it_is_an_opening_by_an_octagon_and_a_square():
    shape = np.zeros((37, 37), dtype=bool)
    shape[18, 18] = True
    for part in (np.ones((1, 8)), np.ones((8, 1)), np.eye(6), np.eye(6)[::-1]):
        shape = ndimage.binary_dilation(shape, part)
    octagon = shape[np.ix_(shape.any(1), shape.any(0))]
    rng = np.random.default_rng(1)
    for _ in range(5):
        fill = ndimage.gaussian_filter(rng.standard_normal((90, 100)), 6) > -0.01
        reached = ndimage.binary_opening(fill, octagon)
        reached |= ndimage.binary_opening(fill, np.ones((18, 18)))
        np.testing.assert_array_equal(gap_mask(fill), fill & ~reached)


@given(st.integers(0, 2**31), st.integers(24, 120), st.integers(24, 120), st.floats(0, 360))
@settings(max_examples=25, deadline=None)
def test_any_blocking_gives_what_the_whole_scene_gives(seed, height, width, azimuth):
    rng = np.random.default_rng(seed)
    shape = (150, 140)
    rough = ndimage.gaussian_filter(rng.standard_normal(shape), 8)
    fill = band(azimuth, width=9.0, period=33.0, shape=shape) | (rough > np.quantile(rough, 0.8))
    whole = gap_mask(fill)
    out = np.zeros_like(fill)

    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            first = max(top - HALO_PX, 0), max(left - HALO_PX, 0)
            block = fill[first[0] : top + height + HALO_PX, first[1] : left + width + HALO_PX]
            part = gap_mask(block)[top - first[0] :, left - first[1] :][:height, :width]
            out[top : top + height, left : left + width] = part

    np.testing.assert_array_equal(out, whole)


@pytest.mark.parametrize(
    ("factor", "apart"), [(2, 0.0005), (3, 0.0005), (5, 0.001), (10, 0.001), (20, 0.003)]
)
@pytest.mark.parametrize("azimuth", [229.3, 184.0, 94.0, 31.2])
def test_gaps_on_coarse_cells_are_those_of_the_pixels_in_their_middle(factor, apart, azimuth):
    (drawn,) = stripes.simulate(
        np.random.default_rng(0), nadir=(0, 0), bands=1, azimuth_deg=azimuth
    )
    t, size = np.radians(azimuth), 1800
    # The edge of the swath crosses the window, where gaps are widest.
    corner = [round((drawn.edge_px - 250.0) * part - size / 2) for part in (np.sin(t), np.cos(t))]
    y, x = np.ogrid[:size, :size]
    beyond = (x + corner[1]) * np.cos(t) + (y + corner[0]) * np.sin(t) > drawn.edge_px
    fill = stripes.render(drawn, (size, size), origin=(corner[0], corner[1])) | beyond
    middle = np.s_[factor // 2 :: factor, factor // 2 :: factor]
    exact, seen = gap_mask(fill)[middle], ~fill[middle]

    coarse = gap_mask(fill[middle], spacing=30.0 * factor)

    assert (coarse != exact).mean() < apart
    assert abs((coarse | seen).mean() - (exact | seen).mean()) < apart


@given(st.integers(0, 99), st.sampled_from([60.0, 90.0, 150.0, 300.0, 600.0]), st.integers(9, 40))
def test_any_block_of_coarse_cells_gives_what_the_whole_gives(seed, spacing, size):
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((70, 60)), 2)
    fill, halo = rough > 0, halo_px(spacing)
    whole = gap_mask(fill, spacing=spacing)
    block = gap_mask(fill[20 - halo : 20 + size + halo, 5 : 45 + halo], spacing=spacing)
    np.testing.assert_array_equal(block[halo:-halo, 10:-halo], whole[20 : 20 + size, 15:45])


@pytest.mark.parametrize("pixels", range(2, 101))
def test_large_cells_are_cut_into_parts_that_have_their_middle(pixels):
    parts = parts_of(30.0 * pixels)
    assert parts % 2 == 1
    assert pixels % parts == 0
    # Sixteenths have no odd divisor that is large enough.
    assert pixels // parts <= 10 or pixels % 16 == 0


@pytest.mark.parametrize("spacing", [0.0, -30.0, np.nan, np.inf])
def test_cells_without_a_size_are_refused(spacing):
    with pytest.raises(GapError, match="above 0"):
        gap_mask(np.zeros((50, 50), dtype=bool), spacing=spacing)


def test_leading_axes_are_bands_of_their_own_and_inputs_stay():
    fill = np.stack([band(10.0, width=6, period=33.0), ~swath(70.0, half=40)])
    before = fill.copy()

    both = gap_mask(fill)

    np.testing.assert_array_equal(fill, before)
    for one, mask in zip(fill, both, strict=True):
        np.testing.assert_array_equal(gap_mask(one), mask)


@pytest.mark.parametrize(
    "fill", [np.zeros((17, 90), dtype=bool), np.zeros((90, 90)), np.zeros(90, dtype=bool)]
)
def test_what_is_no_mask_or_too_small_is_refused(fill):
    with pytest.raises(GapError, match="halo of 17"):
        gap_mask(fill)


def test_the_corrector_failed_at_one_moment():
    failed = datetime(2003, 5, 31, 21, 42, 35, tzinfo=UTC)
    assert is_slc_off("landsat-7", failed)
    assert not is_slc_off("LANDSAT_7", "2003-05-31T21:42:34Z")
    assert is_slc_off("landsat-7", "2003-05-31T23:00:00")
    assert is_slc_off("landsat-7", date(2003, 5, 31))
    assert not is_slc_off("landsat-7", date(2003, 5, 30))
    assert not is_slc_off("landsat-8", date(2013, 12, 1))
    # Half past nine in the evening in Texas is after midnight in UTC.
    assert is_slc_off("landsat-7", "2003-05-31T21:30:00-05:00")


@pytest.mark.parametrize(
    ("platform", "day"), [("sentinel-2a", "2010-01-01"), ("landsat-7", "1 May"), ("landsat-", "x")]
)
def test_other_platforms_and_dates_are_refused(platform, day):
    with pytest.raises(GapError, match="expected"):
        is_slc_off(platform, day)


def test_dates_and_gaps_that_disagree_are_reported():
    def state(day: str, gaps: int) -> SlcState:
        return slc_state("landsat-7", day, gap_pixels=gaps, swath_pixels=1000)

    assert state("2010-12-24", 210) == SlcState(by_date=True, by_gaps=True, agrees=True)
    assert state("1999-12-24", 2) == SlcState(by_date=False, by_gaps=False, agrees=True)
    assert state("1999-12-24", 210) == SlcState(by_date=False, by_gaps=True, agrees=False)
    assert state("2010-12-24", 2).to_dict() == {"by_date": True, "by_gaps": False, "agrees": False}
    assert not has_stripes(0, 0)
    for gaps, pixels in ((5, 4), (-1, 4)):
        with pytest.raises(GapError, match="no more gaps than swath"):
            has_stripes(gaps, pixels)
