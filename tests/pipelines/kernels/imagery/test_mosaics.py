"""A mosaic has neither a seam nor a blur, and does not know the order of its granules."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipelines.kernels.imagery import mosaics, quality_bits
from pipelines.kernels.imagery.quality_bits import CLEAR, CLOUD, FILL, GAP, SEAM

ROWS, COLUMNS, SPACING = 48, 60, 30.0


@st.composite
def footprints(draw, *, least=2, most=4):
    """Rectangles that overlap as they like, (n, y, x); the first reaches over the middle."""
    n = draw(st.integers(least, most))
    valid = np.zeros((n, ROWS, COLUMNS), bool)
    for own in valid:
        top, left = draw(st.integers(0, ROWS - 8)), draw(st.integers(0, COLUMNS - 8))
        own[top : top + draw(st.integers(6, ROWS)), left : left + draw(st.integers(6, COLUMNS))] = 1
    return valid


def weights_of(valid, *, feather=300.0, measured=None):
    distance = mosaics.edge_distance(valid, spacing=SPACING)
    return mosaics.seam_weights(distance, valid if measured is None else measured, feather=feather)


def strips(*, overlap=40, shape=(20, 100)):
    """A western and an eastern granule that overlap in the middle."""
    valid = np.zeros((2, *shape), bool)
    middle = shape[1] // 2
    valid[0, :, : middle + overlap // 2] = True
    valid[1, :, middle - overlap // 2 :] = True
    return valid


@given(footprints(), st.floats(0.0, 2000.0))
def test_weights_share_all_that_is_valid_and_nothing_else(valid, feather):
    weights = weights_of(valid, feather=feather)

    assert weights.dtype == np.float32
    assert (weights >= 0.0).all()
    assert not weights[~valid].any()
    np.testing.assert_allclose(weights.sum(axis=0), valid.any(axis=0), atol=1e-6)


@given(footprints(), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_granules_does_not_matter(valid, random, counts):
    n = len(valid)
    values = np.random.default_rng(n).uniform(0.2, 1.2, (n, 3, ROWS, COLUMNS)).astype(np.float32)
    masks = np.where(valid, CLEAR | np.arange(n, dtype=np.uint16)[:, None, None], FILL)
    masks = masks.astype(np.uint16)
    if counts:
        values = np.rint(values * 40000).astype(np.uint16)
    order = list(range(n))
    random.shuffle(order)

    one, other = weights_of(valid), weights_of(valid[order])

    np.testing.assert_allclose(other, one[order], atol=1e-6)
    np.testing.assert_allclose(
        mosaics.mosaic(values[order], other).astype(float),
        mosaics.mosaic(values, one).astype(float),
        atol=1.0 if counts else 1e-5,  # the last bit of a sum may fall on either side of a half
    )
    np.testing.assert_array_equal(
        mosaics.mosaic_flags(masks[order], one[order]), mosaics.mosaic_flags(masks, one)
    )


@given(footprints(), st.integers(1, 65535))
def test_what_all_granules_agree_on_stays_to_the_last_bit(valid, count):
    weights = weights_of(valid)
    anywhere = valid.any(axis=0)
    whole = np.where(valid[:, None], np.uint16(count), np.uint16(0))
    reflectance = np.where(valid[:, None], np.float32(count * 2.5e-5), np.float32(np.nan))

    assert (mosaics.mosaic(whole, weights)[0] == np.where(anywhere, count, 0)).all()
    np.testing.assert_array_equal(
        mosaics.mosaic(reflectance, weights)[0],
        np.where(anywhere, np.float32(count * 2.5e-5), np.float32(np.nan)),
    )


@given(footprints())
def test_a_ramp_stays_a_ramp(valid):
    y, x = np.mgrid[:ROWS, :COLUMNS]
    ramp = (0.3 + 0.004 * x - 0.003 * y).astype(np.float32)
    seen = np.where(valid, ramp, np.float32(np.nan))[:, None]

    made = mosaics.mosaic(seen, weights_of(valid))[0]

    anywhere = valid.any(axis=0)
    np.testing.assert_allclose(made[anywhere], ramp[anywhere], atol=2e-7)


@given(footprints(least=2, most=2), st.floats(60.0, 900.0))
@settings(max_examples=60)
def test_beyond_the_feather_every_pixel_is_one_granules_own(valid, feather):
    """The seam found by its own means: where the farther-reaching granule changes."""
    distance = mosaics.edge_distance(valid, spacing=SPACING)
    if (distance == mosaics.FAR_M).any():
        return  # one lies within the other: no seam to measure from
    both = valid.all(axis=0)
    side = np.sign(distance[0] - distance[1])
    turn = np.zeros((ROWS, COLUMNS), bool)
    turn[:-1] |= both[:-1] & both[1:] & (side[:-1] != side[1:])
    turn[:, :-1] |= both[:, :-1] & both[:, 1:] & (side[:, :-1] != side[:, 1:])
    turn |= both & (side == 0)
    away = ndimage.distance_transform_edt(~turn, sampling=SPACING) if turn.any() else np.inf

    weights = mosaics.seam_weights(distance, valid, feather=feather)

    mixed = (weights > 0.0).all(axis=0)
    assert not (mixed & (away > feather + 2 * SPACING)).any()
    values = np.random.default_rng(1).integers(1, 65536, (2, 1, ROWS, COLUMNS)).astype(np.uint16)
    made = mosaics.mosaic(values, weights)[0]
    heavier = np.where(weights[0] > weights[1], values[0, 0], values[1, 0])
    alone = ~mixed & valid.any(axis=0)
    np.testing.assert_array_equal(made[alone], heavier[alone])


def test_two_strips_mix_linearly_over_the_feather_around_the_middle():
    weights = weights_of(strips(), feather=600.0)

    # pixel centres lie half a pixel from the middle line; 600 m are 20 pixels
    from_seam = np.arange(100) + 0.5 - 50.0
    expected = np.clip(0.5 - from_seam / 20.0, 0.0, 1.0)
    np.testing.assert_allclose(weights[0], np.tile(expected, (20, 1)), atol=1e-6)


def test_a_jump_of_brightness_between_granules_becomes_a_slope_without_a_step():
    valid = strips()
    seen = np.where(valid, np.array([0.80, 0.90])[:, None, None], np.nan).astype(np.float32)

    made = mosaics.mosaic(seen[:, None], weights_of(valid, feather=900.0))[0]

    assert np.abs(np.diff(made, axis=1)).max() < 0.1 / 30.0 * 1.01
    assert made[0, 0] == np.float32(0.80)
    assert made[0, -1] == np.float32(0.90)


def test_two_rows_of_one_path_part_along_a_line_and_not_along_their_common_side():
    """Both reach to the same sides of the swath: no wedge of a blur grows from there."""
    valid = np.zeros((2, 90, 60), bool)
    valid[0, :50] = True
    valid[1, 40:] = True

    weights = weights_of(valid, feather=120.0)

    mixed = (weights > 0).all(axis=0)
    assert np.flatnonzero(mixed.any(axis=1)).tolist() == list(range(43, 47))
    assert (mixed.any(axis=1) == mixed.all(axis=1)).all()


def test_at_the_edge_of_a_footprint_its_weight_has_gone_to_nothing():
    """A narrow overlap and a wide feather: still no step where a granule ends."""
    weights = weights_of(strips(overlap=8), feather=3000.0)

    assert np.abs(np.diff(weights[0], axis=1)).max() < 1.01 / 8


def test_a_shifted_crevasse_pattern_keeps_its_contrast_and_the_median_loses_it():
    """Crevasses 4 pixels apart, seen by two granules that lie 2 pixels askew."""
    x = np.arange(400)
    pattern = [0.8 + 0.1 * np.sin(2 * np.pi * (x + shift) / 4.0 + 0.7) for shift in (0, 2)]
    valid = strips(overlap=300, shape=(12, 400))
    seen = np.where(valid, np.array(pattern)[:, None, :], np.nan).astype(np.float32)[:, None]

    ours = mosaics.mosaic(seen, weights_of(valid, feather=300.0))[0]
    with np.errstate(all="ignore"):
        theirs = np.nanmedian(seen, axis=0)[0]

    overlap = slice(60, 340)
    single = float(np.std(seen[0, 0, :, 60:340]))
    assert np.std(theirs[:, overlap]) < 0.02 * single
    assert np.std(ours[:, overlap]) > 0.97 * single


def test_a_gap_of_one_granule_is_filled_by_the_other_and_by_nothing_mixed():
    valid = strips()
    measured = valid.copy()
    measured[0, 5:9, :] = False  # a gap of the scan line corrector through the whole west
    values = np.where(measured, np.array([100, 300])[:, None, None], 0).astype(np.uint16)[:, None]

    weights = weights_of(valid, measured=measured)
    made = mosaics.mosaic(values, weights)[0]

    assert (made[5:9, 30:70] == 300).all()  # where both reach
    assert (made[5:9, :30] == 0).all()  # where only the first does
    np.testing.assert_array_equal(made[0], made[12])
    np.testing.assert_array_equal(made[:5], mosaics.mosaic(values, weights_of(valid))[0][:5])


def test_a_granule_within_another_gives_nothing_but_the_others_gaps():
    valid = np.ones((2, 30, 30), bool)
    valid[1, :, :10] = False
    measured = valid.copy()
    measured[0, 7, 20] = False

    weights = weights_of(valid, measured=measured)

    assert weights[1].sum() == 1.0
    assert weights[1, 7, 20] == 1.0


def test_the_same_granule_twice_is_itself():
    valid = np.ones((2, 6, 6), bool)
    values = np.random.default_rng(0).uniform(0, 1, (1, 2, 6, 6)).astype(np.float32)

    made = mosaics.mosaic(np.concatenate([values, values]), weights_of(valid))

    np.testing.assert_array_equal(made, values[0])


def test_a_band_that_one_granule_lacks_comes_from_the_other_where_they_mix():
    values = np.array([[[[100]], [[0]]], [[[200]], [[200]]]], np.uint16)
    weights = np.full((2, 1, 1), 0.5, np.float32)

    assert mosaics.mosaic(values, weights)[:, 0, 0].tolist() == [150, 200]
    assert mosaics.mosaic(np.zeros_like(values), weights)[:, 0, 0].tolist() == [0, 0]
    lost = np.full((2, 1, 1, 1), np.nan, np.float32)
    assert np.isnan(mosaics.mosaic(lost, weights)).all()


def test_one_granule_alone_is_itself():
    valid = np.random.default_rng(2).random((1, 9, 9)) > 0.3
    values = np.where(valid[:, None], 7, 0).astype(np.uint16)
    weights = weights_of(valid)
    np.testing.assert_array_equal(mosaics.mosaic(values, weights), values[0])


def test_flags_are_of_the_heaviest_and_say_where_two_mix():
    valid = strips()
    masks = np.where(valid, np.array([CLEAR, CLOUD])[:, None, None], FILL).astype(np.uint16)
    weights = weights_of(valid, feather=300.0)

    made = mosaics.mosaic_flags(masks, weights)

    assert set(np.unique(made[:, :45])) == {CLEAR}
    assert set(np.unique(made[:, 45:50])) == {CLEAR | SEAM}
    assert set(np.unique(made[:, 50:55])) == {CLOUD | SEAM}
    assert set(np.unique(made[:, 55:])) == {CLOUD}


@given(footprints())
def test_fill_is_left_only_where_all_is_fill(valid):
    masks = np.where(valid, CLEAR, FILL).astype(np.uint16)
    made = mosaics.mosaic_flags(masks, weights_of(valid))
    np.testing.assert_array_equal((made & FILL) > 0, ~valid.any(axis=0))


def test_a_gap_that_nobody_fills_is_told_from_the_outside():
    masks = np.array([[[FILL | GAP, FILL]], [[FILL, FILL]]], np.uint16)
    made = mosaics.mosaic_flags(masks, np.zeros((2, 1, 2), np.float32))
    assert made.tolist() == [[FILL | GAP, FILL]]
    assert quality_bits.rejected(made, 0).all()


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 30), st.integers(1, 40))
def test_distances_of_a_block_are_those_of_the_whole(factor, row, column, size):
    coarse = np.random.default_rng(factor).uniform(0, 9e3, (2, 7, 9)).astype(np.float32)
    everything = mosaics.on_block(
        coarse, factor=factor, rows=slice(0, 7 * factor), columns=slice(0, 9 * factor)
    )
    rows = slice(min(row, 7 * factor - 1), min(row + size, 7 * factor))
    columns = slice(min(column, 9 * factor - 1), min(column + size, 9 * factor))

    block = mosaics.on_block(coarse, factor=factor, rows=rows, columns=columns)

    np.testing.assert_array_equal(block, everything[:, rows, columns])


@pytest.mark.parametrize("factor", [1, 4, 10])
def test_a_coarse_plane_comes_back_as_that_plane(factor):
    """Bilinear against the plane itself, inside the outermost centres."""
    y, x = np.mgrid[:8, :6]
    coarse = (100.0 + 300.0 * x - 120.0 * y)[None].astype(np.float32)
    fine_y = (np.arange(8 * factor) + 0.5) / factor - 0.5
    fine_x = (np.arange(6 * factor) + 0.5) / factor - 0.5
    plane = 100.0 + 300.0 * fine_x - 120.0 * fine_y[:, None]

    found = mosaics.on_block(
        coarse, factor=factor, rows=slice(0, 8 * factor), columns=slice(0, 6 * factor)
    )[0]

    inner = np.ix_((fine_y >= 0) & (fine_y <= 7), (fine_x >= 0) & (fine_x <= 5))
    np.testing.assert_allclose(found[inner], plane[inner], atol=1e-3)


@given(footprints(least=2, most=3))
def test_distances_are_those_of_all_pairs(valid):
    """Against the slow definition, on every third cell."""
    valid = valid[:, ::3, ::3]
    found = mosaics.edge_distance(valid, spacing=90.0)

    anywhere = valid.any(axis=0)
    cells = np.argwhere(anywhere)
    for n, own in enumerate(valid):
        ends = np.argwhere(anywhere & ~own)
        for cell in cells[::17]:
            least = (
                90.0 * np.sqrt(((ends - cell) ** 2).sum(axis=1).min())
                if len(ends)
                else mosaics.FAR_M
            )
            assert found[n, cell[0], cell[1]] == pytest.approx(least, rel=1e-6)


def quadrilateral(azimuth: float, *, size: int = 120) -> np.ndarray:
    """A scene of 90 x 84 cells, turned."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2.0
    u = x * np.cos(azimuth) + y * np.sin(azimuth)
    v = -x * np.sin(azimuth) + y * np.cos(azimuth)
    return (np.abs(u + 0.1 * v) < 45.0) & (np.abs(v) < 42.0)


@given(st.floats(0.0, 6.3), st.integers(0, 5))
def test_the_footprint_of_a_striped_scene_is_the_scene(azimuth, phase):
    """Stripes across it take 5 of 11 cells; no outside is taken in."""
    scene = quadrilateral(azimuth)
    y, x = np.mgrid[:120, :120]
    along = -x * np.sin(azimuth) + y * np.cos(azimuth)
    striped = scene & ((along + phase) % 11.0 > 5.0)

    hull = mosaics.footprint(striped)

    assert (hull[striped]).all()
    assert not (hull & ~scene).any()
    assert (scene & ~hull).sum() < 2 * 6 * 100  # a last stripe may be lost at either end
    np.testing.assert_array_equal(mosaics.footprint(scene), scene)


@pytest.mark.parametrize("cells", [[], [(3, 4)], [(3, 1), (3, 4)], [(0, 0), (5, 5)]])
def test_footprints_of_hardly_anything(cells):
    valid = np.zeros((6, 7), bool)
    for cell in cells:
        valid[cell] = True
    hull = mosaics.footprint(valid)
    assert hull[valid].all()
    assert hull.sum() <= max(0, 6 * len(cells))
    assert hull.any() == bool(cells)


def test_blocks_of_a_mosaic_meet():
    """A scene cut into blocks gives the pixels of the scene in one piece."""
    coarse = np.stack([quadrilateral(0.3), np.roll(quadrilateral(0.3), (31, 17), (0, 1))])
    distance = mosaics.edge_distance(coarse, spacing=300.0)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    whole = mosaics.seam_weights(
        mosaics.on_block(distance, factor=4, rows=slice(0, 480), columns=slice(0, 480)),
        fine,
        feather=900.0,
    )
    for row, column in itertools.product((0, 160, 320), repeat=2):
        rows, columns = slice(row, row + 160), slice(column, column + 160)
        part = mosaics.seam_weights(
            mosaics.on_block(distance, factor=4, rows=rows, columns=columns),
            fine[:, rows, columns],
            feather=900.0,
        )
        np.testing.assert_array_equal(part, whole[:, rows, columns])


def test_granules_that_do_not_fit_are_refused():
    valid = np.ones((2, 4, 4), bool)
    distance = np.ones((2, 4, 4), np.float32)
    with pytest.raises(mosaics.MosaicError, match="granule, y, x"):
        mosaics.edge_distance(valid[0], spacing=30.0)
    with pytest.raises(mosaics.MosaicError, match="feather of -1"):
        mosaics.seam_weights(distance, valid, feather=-1.0)
    with pytest.raises(mosaics.MosaicError, match="found distances"):
        mosaics.seam_weights(distance[:, :2], valid, feather=1.0)
    with pytest.raises(mosaics.MosaicError, match="granule, band, y, x"):
        mosaics.mosaic(np.ones((2, 4, 4), np.float32), distance)
    with pytest.raises(mosaics.MosaicError, match="uint16"):
        mosaics.mosaic(np.ones((2, 1, 4, 4), np.uint8), distance)
