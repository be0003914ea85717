"""Tiles that cover an image, and the weights that blend them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipelines.kernels.imagery.tiling import TilingError, gaussian_weights, starts, windows


@st.composite
def cuts(draw) -> tuple[int, int, int]:
    """Length of an axis, tile and stride."""
    tile = draw(st.integers(1, 60))
    return draw(st.integers(1, 400)), tile, draw(st.integers(1, tile))


@given(cuts())
def test_tiles_cover_every_pixel_inside_the_image_with_the_fewest_tiles(cut):
    length, tile, stride = cut
    found = starts(length, tile=tile, stride=stride)
    covered = np.zeros(max(length, tile), bool)
    for start in found:
        covered[start : start + tile] = True
    assert covered.all()
    assert found[0] == 0
    assert found[-1] + tile == max(length, tile)
    steps = np.diff(found)
    assert (steps > 0).all()
    assert (steps <= stride).all()
    assert len(found) == 1 + max(0, math.ceil((length - tile) / stride))


def test_a_size_that_divides_gets_no_excess_tile():
    # The authors' notebook makes 15 x 15 tiles of 3584 pixels where 13 x 13 cover them.
    assert len(starts(3584, tile=512, stride=256)) == 13
    assert starts(1024, tile=512, stride=256) == (0, 256, 512)
    assert starts(512, tile=512, stride=256) == (0,)


def test_windows_run_by_rows_of_tiles():
    found = windows((10, 7), tile=4, stride=4)
    assert [rows.start for rows, _ in found] == [0, 0, 3, 3, 6, 6]
    assert [columns.start for _, columns in found] == [0, 3] * 3
    assert {part.stop - part.start for window in found for part in window} == {4}


def test_an_image_smaller_than_a_tile_is_one_window():
    assert windows((3, 2), tile=8, stride=4) == ((slice(0, 8), slice(0, 8)),)


@pytest.mark.parametrize("tile", [16, 64, 512])
def test_weights_are_the_authors_blurred_point(tile):
    # Their code blurs a point with a Gaussian filter of tile / 8; odd tiles have a centre pixel.
    point = np.zeros((tile + 1, tile + 1))
    point[tile // 2, tile // 2] = 1.0
    blurred = ndimage.gaussian_filter(point, tile / 8, mode="constant", truncate=8.0)
    expected = np.maximum(blurred / blurred.max(), 1e-3)
    found = gaussian_weights(tile + 1, sigma=tile / 8)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@given(st.integers(1, 80), st.floats(0.2, 50.0), st.floats(1e-6, 1.0))
def test_weights_are_symmetric_and_between_floor_and_one(tile, sigma, floor):
    weights = gaussian_weights(tile, sigma=sigma, floor=floor)
    assert weights.dtype == np.float32
    assert weights.shape == (tile, tile)
    assert weights.min() >= np.float32(floor)
    assert weights.max() <= 1.0
    for other in (weights[::-1], weights[:, ::-1], weights.T):
        np.testing.assert_array_equal(weights, other)


def test_an_eighth_of_the_tile_is_the_deviation_unless_another_is_given():
    np.testing.assert_array_equal(gaussian_weights(64), gaussian_weights(64, sigma=8.0))


@pytest.mark.parametrize("stride", [0, -1, 9])
def test_strides_that_leave_gaps_are_refused(stride):
    with pytest.raises(TilingError, match=f"8 pixels at steps of {stride} leave pixels uncovered"):
        starts(100, tile=8, stride=stride)


def test_an_empty_image_is_refused():
    with pytest.raises(TilingError, match="an image of 0 pixels"):
        windows((0, 5), tile=4, stride=4)


@pytest.mark.parametrize(
    ("tile", "sigma", "floor"), [(0, 1, 0.1), (4, 0, 0.1), (4, 1, 0), (4, 1, 2)]
)
def test_weights_that_cannot_be_divided_by_are_refused(tile, sigma, floor):
    with pytest.raises(TilingError, match="least weight"):
        gaussian_weights(tile, sigma=sigma, floor=floor)
