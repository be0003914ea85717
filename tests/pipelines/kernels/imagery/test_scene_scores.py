"""What a scene shows of a region: counted by hand, and on the two real scenes."""

import dataclasses
import math

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.kernels.imagery import quality_bits as bits
from pipelines.kernels.imagery import scene_scores
from pipelines.kernels.imagery.scene_scores import (
    Limits,
    SceneScoreError,
    Scores,
    clear_cells,
    quality,
    rejection,
    scores,
)

FLAGS = [
    bits.FILL,
    bits.CLEAR,
    bits.CLOUD,
    bits.SHADOW,
    bits.CLEAR | bits.SNOW,
    bits.FILL | bits.GAP,
]
MASKS = arrays.arrays(np.uint16, (4, 6), elements=st.sampled_from(FLAGS))
EVERYWHERE = np.ones((4, 6), dtype=bool)
LEFT = np.indices((4, 6))[1] < 3


def row(*flags: int) -> np.ndarray:
    return np.array([flags], dtype=np.uint16)


def all_of(mask: np.ndarray, **choices) -> Scores:
    everywhere = np.ones(mask.shape, dtype=bool)
    return scores(mask, everywhere, everywhere, **choices)


@given(MASKS)
def test_fractions_are_those_counted_by_hand_where_no_gaps_are(mask):
    mask = np.where(mask & bits.GAP, bits.FILL, mask).astype(np.uint16)
    roi = np.roll(LEFT, 1, axis=1)
    found = scores(mask, roi, LEFT)
    inside = [int(flags) for flags in mask[roi]]
    fast = [int(flags) for flags in mask[roi & LEFT]]
    clear = (bits.CLEAR, bits.CLEAR | bits.SNOW)
    assert found.observed == sum(flags != bits.FILL for flags in inside) / len(inside)
    assert found.valid == sum(flags in clear for flags in inside) / len(inside)
    assert found.valid_fast == sum(flags in clear for flags in fast) / len(fast)
    assert found.cloud == inside.count(bits.CLOUD) / len(inside)
    assert found.shadow == inside.count(bits.SHADOW) / len(inside)
    assert found.snow == inside.count(bits.CLEAR | bits.SNOW) / len(inside)
    assert found.gap == found.saturated == 0.0


@given(MASKS, st.sampled_from([bits.PAPER, bits.CAREFUL]), st.booleans())
def test_valid_is_part_of_observed_and_what_is_outside_is_never_valid(mask, reject, gaps_count):
    found = scores(mask, EVERYWHERE, LEFT, reject=reject, gaps_count=gaps_count)
    assert 0.0 <= found.valid <= found.observed <= 1.0
    assert 0.0 <= found.valid_fast <= 1.0
    clear = clear_cells(mask, reject=reject, gaps_count=gaps_count)
    assert found.valid == clear.mean()
    assert not clear[(mask & bits.FILL != 0) & (mask & bits.GAP == 0)].any()


@given(MASKS)
def test_rejecting_more_flags_never_clears_a_cell(mask):
    assert not (clear_cells(mask, reject=bits.CAREFUL) & ~clear_cells(mask)).any()


def test_a_gap_is_as_clear_as_what_lies_beside_it():
    mask = row(bits.CLEAR, bits.FILL | bits.GAP, bits.CLOUD, bits.FILL | bits.GAP, bits.CLOUD)
    assert clear_cells(mask).tolist()[0][3:] == [False, False]
    half = row(bits.CLEAR, bits.GAP, bits.GAP, bits.CLOUD)
    assert clear_cells(half).tolist() == [[True, True, False, False]]
    assert clear_cells(half, gaps_count=False).tolist() == [[True, False, False, False]]


def test_an_overcast_scene_with_gaps_is_not_clear_in_its_gaps():
    mask = np.tile(
        row(bits.CLOUD, bits.CLOUD, bits.CLOUD, bits.CLOUD, bits.FILL | bits.GAP), (9, 4)
    )
    found = all_of(mask)
    assert (found.observed, found.valid, found.cloud, found.gap) == (1.0, 0.0, 0.8, 0.2)


def test_gaps_count_as_observed_only_if_asked():
    mask = row(bits.CLEAR, bits.FILL | bits.GAP, bits.CLEAR, bits.FILL)
    assert (all_of(mask).observed, all_of(mask).valid) == (0.75, 0.75)
    strict = all_of(mask, gaps_count=False)
    assert (strict.observed, strict.valid, strict.gap) == (0.5, 0.5, 0.25)


def test_a_mask_of_gaps_alone_shows_nothing():
    found = all_of(row(bits.GAP, bits.GAP))
    assert (found.observed, found.valid, found.gap) == (0.0, 0.0, 1.0)


def test_only_saturation_in_all_three_bands_counts():
    mask = row(bits.CLEAR | bits.SATURATED, bits.CLEAR | bits.SATURATED | bits.SATURATED_ALL)
    assert all_of(mask).saturated == 0.5


def test_where_no_fast_part_is_there_is_no_number_for_it():
    found = scores(np.full((4, 6), bits.CLEAR, dtype=np.uint16), EVERYWHERE, ~EVERYWHERE)
    assert math.isnan(found.valid_fast)
    assert quality(found, sun_elevation=40.0) == 1.0


def test_cells_of_the_fast_part_weigh_more_and_those_outside_nothing():
    weight = scene_scores.cell_weights(LEFT, np.roll(LEFT, 2, axis=1), fast_weight=3.0)
    assert weight[0].tolist() == [1.0, 1.0, 3.0, 0.0, 0.0, 0.0]


PERFECT = Scores(1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_quality_runs_from_nothing_to_one():
    assert quality(PERFECT, sun_elevation=25.0) == 1.0
    assert quality(PERFECT, sun_elevation=5.0) == 0.9
    assert quality(PERFECT, sun_elevation=math.nan) == 0.95
    assert quality(Scores(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), sun_elevation=0.0) == 0.0


@pytest.mark.parametrize(
    "worse",
    [{"valid": 0.9}, {"valid_fast": 0.9}, {"gap": 0.1}, {"saturated": 0.1}],
)
def test_whatever_is_worse_lowers_quality(worse):
    poor = dataclasses.replace(PERFECT, **worse)
    assert quality(poor, sun_elevation=20.0) < quality(PERFECT, sun_elevation=20.0)
    assert quality(PERFECT, sun_elevation=15.0) < quality(PERFECT, sun_elevation=20.0)


@given(MASKS, st.floats(-90.0, 90.0) | st.just(math.nan))
def test_quality_is_a_fraction(mask, sun_elevation):
    assert 0.0 <= quality(scores(mask, EVERYWHERE, LEFT), sun_elevation=sun_elevation) <= 1.0


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (PERFECT, ""),
        (
            Scores(0.5, 0.01, 0.0, 0.45, 0.04, 0.0, 0.0, 0.0),
            (
                "1.0 % of the ROI is clear (QA_PIXEL calls 45.0 % cloud, 4.0 % cloud shadow, "
                "50.0 % is outside the scene), expected at least 5.0 %"
            ),
        ),
        (
            Scores(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            "0.0 % of the ROI is inside the scene: its granules hold nothing but fill there",
        ),
        (
            Scores(0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.4, 0.0),
            "80.0 % of what is seen is saturated in red, green and blue, expected at most 50.0 %",
        ),
    ],
)
def test_a_scene_that_is_no_candidate_is_told_why(seen, reason):
    assert rejection(seen) == reason


def test_a_second_opinion_that_rejects_a_scene_is_told_apart_from_qa_pixel():
    found = all_of(row(bits.CLEAR | bits.OPINION), reject=bits.PAPER | bits.OPINION)
    assert "QA_PIXEL calls 0.0 % cloud, 100.0 % has other rejected flags" in rejection(found)


def test_limits_are_a_choice():
    assert rejection(PERFECT, Limits(least_valid=1.0)) == ""
    assert rejection(dataclasses.replace(PERFECT, valid=0.3), Limits(least_valid=0.5))
    assert not rejection(dataclasses.replace(PERFECT, valid=0.3), Limits(least_valid=0.2))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((row(1, 2), EVERYWHERE, EVERYWHERE), "on the same cells"),
        ((row(1).astype(np.int16), *[np.ones((1, 1), bool)] * 2), "expected uint16 flags"),
        ((row(1), *[np.zeros((1, 1), bool)] * 2), "none of the 1 cells is in the region"),
    ],
)
def test_what_cannot_be_scored_is_refused(arguments, said):
    with pytest.raises(SceneScoreError, match=said):
        scores(*arguments)


def real_mask(data_root, folder: str) -> np.ndarray:
    """Return the flags of a real scene: the low byte of QA_PIXEL is ours."""
    (path,) = (data_root / "optical/imagery" / folder).glob("*_QA_PIXEL.TIF")
    with rasterio.open(path) as file:
        return (file.read(1) & 0xFF).astype(np.uint16)


@pytest.mark.realdata
def test_the_real_antarctic_scene_is_rejected_with_its_reason(data_root):
    mask = real_mask(data_root, "landsat8_antarctica_099120_20191129")
    roi = (mask & bits.FILL) == 0
    found = scores(mask, roi, roi)
    assert (found.observed, found.cloud) == (1.0, 1.0)
    assert rejection(found) == (
        "0.0 % of the ROI is clear (QA_PIXEL calls 100.0 % cloud), expected at least 5.0 %"
    )


@pytest.mark.realdata
def test_the_real_greenland_scene_is_a_candidate(data_root):
    mask = real_mask(data_root, "landsat8_greenland_005009_20150710")
    roi = (mask & bits.FILL) == 0
    found = scores(mask, roi, roi)
    assert rejection(found) == ""
    assert found.valid + found.cloud + found.shadow == pytest.approx(1.0, abs=1e-3)
