"""Fills that learn nothing, against closed forms, whole solves and each other."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.nets.gap_fill_baselines import (
    FILLS,
    GapFillError,
    linear,
    linear_columns,
    navier_stokes,
    second_scene,
    telea,
)

NAMES = sorted(FILLS)


def stripes(shape: tuple[int, int], *, width: float = 9.0, tilt: float = 0.2) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y + tilt * x) % 33.0) < width


def rolling(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack([0.6 + 0.2 * np.sin(x / 17 + y / 23), 0.5 + 0.1 * np.cos(x / 11 - y / 31)])


@pytest.mark.parametrize("name", NAMES)
def test_known_pixels_come_back_bit_for_bit_and_gaps_come_back_filled(name):
    image, gap = rolling((70, 64)).astype(np.float32), stripes((70, 64))
    given_image = np.where(gap, np.nan, image).astype(np.float32)
    given_image[:, 40:44, 50:] = np.nan
    kept, kept_gap = given_image.copy(), gap.copy()

    filled = FILLS[name](given_image, gap)

    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[:, ~gap], given_image[:, ~gap])
    assert np.isfinite(filled[:, gap]).all()
    np.testing.assert_array_equal(given_image, kept)
    np.testing.assert_array_equal(gap, kept_gap)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_gaps_hold_has_no_influence(name):
    image, gap = rolling((40, 48)).astype(np.float32), stripes((40, 48), width=6)
    other = np.where(gap, 7.0, image).astype(np.float32)

    np.testing.assert_array_equal(
        FILLS[name](other, gap), FILLS[name](np.where(gap, np.nan, image), gap)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_image_stays_flat(name):
    gap = stripes((50, 40))
    flat = np.full((1, 50, 40), 0.73, dtype=np.float32)

    np.testing.assert_allclose(FILLS[name](np.where(gap, np.nan, flat), gap), flat, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_smooth_image_is_nearly_found_again(name):
    image, gap = rolling((96, 96)).astype(np.float32), stripes((96, 96), width=8, tilt=0.1)
    inside = (
        gap & (np.indices(gap.shape).min(axis=0) > 8) & (np.indices(gap.shape).max(axis=0) < 88)
    )

    error = FILLS[name](np.where(gap, np.nan, image), gap) - image

    assert np.sqrt(np.mean(error[:, inside] ** 2)) < 0.02, "a tenth of the amplitude"


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 1), (1, 1), (1, -1)])
def test_linear_goes_the_shortest_way_across_whatever_the_azimuth(down, right):
    """Stripes along one line of the lattice: across it a plane is found again exactly."""
    y, x = np.mgrid[:60, :60]
    along = {(1, 0): x, (0, 1): y, (1, 1): x - y, (1, -1): x + y}[down, right]
    gap = (along % 20) < 7
    plane = (0.2 + 0.004 * x + 0.007 * y)[None].astype(np.float32)
    inside = gap & (np.minimum(x, y) > 16) & (np.maximum(x, y) < 44)

    filled = linear(np.where(gap, np.nan, plane), gap)

    np.testing.assert_allclose(filled[:, inside], plane[:, inside], atol=1e-6)


def test_linear_equals_interpolation_down_columns_where_stripes_are_level():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1, (2, 66, 30)).astype(np.float32)
    gap = np.zeros((66, 30), dtype=bool)
    gap[5:9], gap[38:43] = True, True
    rows = np.arange(66)
    expected = image.astype(np.float64)
    for band, x in np.ndindex(2, 30):
        expected[band, gap[:, x], x] = np.interp(
            rows[gap[:, x]], rows[~gap[:, x]], image[band, ~gap[:, x], x]
        )

    np.testing.assert_allclose(linear_columns(image, gap), expected, atol=1e-6)
    np.testing.assert_allclose(linear(image, gap)[:, :, 8:22], expected[:, :, 8:22], atol=1e-6)


@settings(max_examples=40)
@given(
    hnp.arrays(np.float32, (1, 9, 11), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.bool_, (9, 11)),
)
def test_linear_never_leaves_the_range_of_what_is_known(image, gap):
    if gap.all():
        gap = gap.copy()
        gap[0, 0] = False
    for fill in (linear, linear_columns):
        filled = fill(image, gap)
        assert filled.min() >= image[:, ~gap].min() - 1e-6
        assert filled.max() <= image[:, ~gap].max() + 1e-6


def test_biharmonic_by_connected_gaps_is_the_solution_of_all_at_once():
    """The discrete biharmonic equation, assembled here row by row and solved densely."""
    rng = np.random.default_rng(1)
    image = rng.uniform(0.4, 0.6, (1, 24, 24)).astype(np.float32)
    gap = np.zeros((24, 24), dtype=bool)
    gap[5:8, 5:12], gap[14:17, 6:17] = True, True
    stencil = np.zeros((5, 5))
    for (y, x), weight in {
        (2, 2): 20, (1, 2): -8, (3, 2): -8, (2, 1): -8, (2, 3): -8, (1, 1): 2, (1, 3): 2,
        (3, 1): 2, (3, 3): 2, (0, 2): 1, (4, 2): 1, (2, 0): 1, (2, 4): 1,
    }.items():  # fmt: skip
        stencil[y, x] = weight
    places = np.argwhere(gap)
    index = {tuple(place): row for row, place in enumerate(places.tolist())}
    matrix, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for row, (y, x) in enumerate(places.tolist()):
        for (dy, dx), weight in np.ndenumerate(stencil):
            at = (y + dy - 2, x + dx - 2)
            if at in index:
                matrix[row, index[at]] += weight
            else:
                right[row] -= weight * image[0][at]
    expected = np.clip(np.linalg.solve(matrix, right), image[0, ~gap].min(), image[0, ~gap].max())

    np.testing.assert_allclose(FILLS["biharmonic"](image, gap)[0, gap], expected, atol=1e-5)


def test_telea_counts_in_sixteen_bits_of_the_images_own_range():
    image, gap = rolling((60, 60)).astype(np.float32), stripes((60, 60), width=6)
    holed = np.where(gap, np.nan, image)

    bright = telea((holed * 1e-3).astype(np.float32), gap)

    np.testing.assert_allclose(bright[:, gap] * 1e3, telea(holed, gap)[:, gap], atol=5e-3)


def test_navier_stokes_counts_in_float():
    image, gap = rolling((60, 60)).astype(np.float32), stripes((60, 60), width=6)
    holed = np.where(gap, np.nan, image)

    filled = navier_stokes(holed, gap)[:, gap]

    assert np.unique(filled).size > 0.9 * filled.size, "no grey levels"


def test_a_second_scene_of_other_sun_and_haze_is_matched_exactly():
    rng = np.random.default_rng(2)
    image = rng.uniform(0.3, 0.9, (2, 80, 80)).astype(np.float32)
    gap, other_gap = stripes((80, 80)), stripes((80, 80), tilt=-0.3, width=5)
    other = np.where(other_gap, np.nan, 0.1 + 0.6 * image).astype(np.float32)

    filled = second_scene(np.where(gap, np.nan, image), other, gap)

    found = gap & ~other_gap
    np.testing.assert_allclose(filled[:, found], image[:, found], atol=2e-3)
    assert np.isfinite(filled).all(), "what both lack is interpolated"


def test_what_only_the_other_date_shows_is_not_taken_over():
    image = np.full((1, 60, 60), 0.5, dtype=np.float32)
    other = np.random.default_rng(3).uniform(0, 1, (1, 60, 60)).astype(np.float32)
    gap = stripes((60, 60))

    filled = second_scene(np.where(gap, np.nan, image), other, gap)

    np.testing.assert_allclose(filled, 0.5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_known_is_refused(name):
    with pytest.raises(GapFillError, match="none of 64 pixels is known"):
        FILLS[name](np.full((3, 8, 8), np.nan, dtype=np.float32), np.zeros((8, 8), dtype=bool))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_gaps_is_returned_as_it_is(name):
    image = np.full((1, 8, 8), 0.5, dtype=np.float32)
    image[0, 0, 0] = np.nan

    np.testing.assert_array_equal(FILLS[name](image, np.zeros((8, 8), dtype=bool)), image)


def test_shapes_that_do_not_fit_are_refused():
    image = np.zeros((1, 8, 8), dtype=np.float32)
    gap = np.zeros((8, 8), dtype=bool)
    with pytest.raises(GapFillError, match=r"shape \(8, 7\)"):
        linear(image, gap[:, :7])
    with pytest.raises(GapFillError, match="align them first"):
        second_scene(image, image[:, :7], gap)
    with pytest.raises(GapFillError, match="share no known pixel"):
        second_scene(image, image * np.nan, gap)
