"""Whole images from tiles: blended, aware of what was not measured, in a band of memory."""

import tracemalloc

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.imagery.tiling import TilingError, gaussian_weights
from pipelines.nets.inference import Cut, InferenceError, Windowed, bands, blended, classes

ALL_FLIPS = ("lr", "ud", "both")


class Answering:
    """Answers with a function of the first band; remembers what it was shown."""

    def __init__(self, answer=lambda image: image[:, 0]) -> None:
        self.answer = answer
        self.images: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []

    def predict(self, image, valid):
        self.images.append(image.copy())
        self.masks.append(valid.copy())
        return self.answer(image)


def ramp(rows: int, columns: int) -> np.ndarray:
    """A linear function of position as an image of two bands, from 0 to 1."""
    y, x = np.mgrid[:rows, :columns]
    return np.stack([(2 * y + x) / (2 * rows + columns), np.ones_like(x)]).astype(np.float32)


@st.composite
def cases(draw) -> tuple[np.ndarray, dict]:
    """A ramp with pixels missing by chance, and a way to cut it."""
    tile = draw(st.integers(2, 16))
    choices = {
        "tile": tile,
        "overlap": draw(st.integers(0, tile - 1)),
        "batch": draw(st.integers(1, 5)),
        "flips": draw(st.permutations(ALL_FLIPS))[: draw(st.integers(0, 3))],
    }
    image = ramp(draw(st.integers(1, 40)), draw(st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image[rng.random(image.shape) < draw(st.sampled_from([0.0, 0.1, 0.7, 1.0]))] = np.nan
    return image, choices


@given(cases())
@settings(max_examples=40)
def test_what_does_not_depend_on_the_tile_is_not_changed_by_blending(case):
    image, choices = case
    measured = np.isfinite(image).all(axis=0)
    linear = blended(Answering(), image, **choices)
    constant = blended(Answering(lambda tiles: np.full_like(tiles[:, 0], 0.3)), image, **choices)
    assert linear.dtype == np.float32
    for found in (linear, constant):
        np.testing.assert_array_equal(np.isfinite(found), measured)
    # Up to a thousand float32 terms (16² tiles of 4 looks), each rounded to 6e-8.
    np.testing.assert_allclose(linear[measured], image[0][measured], rtol=6e-5, atol=1e-7)
    np.testing.assert_allclose(constant[measured], 0.3, rtol=6e-5)


def test_blending_is_the_weighted_mean_of_all_tiles_that_show_a_pixel():
    rng = np.random.default_rng(3)
    image = rng.random((1, 20, 27)).astype(np.float32)
    image[:, 4:9, 10:22] = np.nan
    seen = Answering(lambda tiles: tiles[:, 0] * tiles[:, 0].sum((1, 2), keepdims=True))
    found = blended(seen, image, tile=8, overlap=3, batch=3)

    total, weight = np.zeros((2, 20, 27))
    filled = np.nan_to_num(image[0].astype(float))
    for row in (0, 4, 8, 12):
        for column in (0, 5, 10, 14, 19):
            part = np.s_[row : row + 8, column : column + 8]
            total[part] += gaussian_weights(8) * filled[part] * filled[part].sum()
            weight[part] += gaussian_weights(8)
    expected = np.where(np.isnan(image[0]), np.nan, total / weight)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_missing_pixels_are_shown_as_zeros_and_said_to_be_missing():
    image = ramp(8, 8) + 1.0
    image[1, 2, 3] = np.nan
    image[0, 5, 5] = np.inf
    seen = Answering()
    found = blended(seen, image, tile=8, overlap=0)
    expected = np.ones((8, 8), bool)
    expected[2, 3] = expected[5, 5] = False
    np.testing.assert_array_equal(seen.masks[0][0], expected)
    assert (seen.images[0][0][:, ~expected] == 0.0).all()
    np.testing.assert_array_equal(np.isnan(found), ~expected)


def test_tiles_without_data_are_not_shown_and_change_nothing_elsewhere():
    whole = np.random.default_rng(0).random((1, 16, 64)).astype(np.float32)
    partly = whole.copy()
    partly[..., 32:] = np.nan
    answer = lambda tiles: tiles.mean((1, 2, 3), keepdims=True)[:, 0] + 0 * tiles[:, 0]  # noqa: E731
    all_seen, half_seen = Answering(answer), Answering(answer)
    complete = blended(all_seen, whole, tile=16, overlap=8, batch=1)
    left = blended(half_seen, partly, tile=16, overlap=8, batch=1)
    assert len(all_seen.images) == 7
    assert len(half_seen.images) == 4
    # From column 24 on a tile that reaches into the missing half has its say.
    np.testing.assert_array_equal(left[:, :24], complete[:, :24])


def test_an_image_without_any_data_is_answered_without_the_network():
    seen = Answering()
    found = blended(seen, np.full((3, 20, 30), np.nan), tile=8, overlap=2)
    assert np.isnan(found).all()
    assert not seen.images


def test_a_small_image_is_padded_with_pixels_said_to_be_missing():
    seen = Answering()
    image = ramp(5, 3)
    found = blended(seen, image, tile=8, overlap=2)
    assert seen.images[0].shape == (1, 2, 8, 8)
    assert seen.masks[0][0].sum() == 15
    assert seen.masks[0][0, :5, :3].all()
    np.testing.assert_allclose(found, image[0], rtol=1e-6)


def test_flips_show_mirror_images_and_average_what_is_mirrored_back():
    image = np.random.default_rng(1).random((1, 6, 6)).astype(np.float32)
    first_row = Answering(lambda tiles: tiles[:, 0] * (np.arange(6)[:, None] == 0))
    found = blended(first_row, image, tile=6, overlap=0, batch=8, flips=ALL_FLIPS)
    shown = first_row.images[0][:, 0]
    plain = image[0]
    expected = [plain, plain[:, ::-1], plain[::-1], plain[::-1, ::-1]]
    np.testing.assert_array_equal(shown, expected)
    # Two of four looks have a row at the top.
    np.testing.assert_allclose(found[[0, 5]], plain[[0, 5]] / 2, rtol=1e-6)
    assert (found[1:5] == 0.0).all()


def test_batches_are_as_large_as_asked_and_change_nothing():
    image = ramp(32, 32)
    alone, together = Answering(), Answering()
    one = blended(alone, image, tile=8, overlap=2, batch=1, flips=["lr"])
    many = blended(together, image, tile=8, overlap=2, batch=4, flips=["lr"])
    assert {len(tiles) for tiles in alone.images} == {1}
    assert max(len(tiles) for tiles in together.images) == 4
    np.testing.assert_array_equal(one, many)


def test_arrays_of_zarr_and_functions_are_read_by_rows_of_tiles():
    image = ramp(40, 30)
    image[:, 3:6, 3:9] = np.nan
    expected = blended(Answering(), image, tile=16, overlap=4)
    stored = zarr.array(image, chunks=(1, 16, 16))
    np.testing.assert_array_equal(blended(Answering(), stored, tile=16, overlap=4), expected)

    asked = []

    def read(rows: slice, columns: slice) -> np.ndarray:
        asked.append((rows.start, rows.stop))
        return image[:, rows, columns]

    function = Windowed(image.shape, read)
    np.testing.assert_array_equal(blended(Answering(), function, tile=16, overlap=4), expected)
    assert asked == [(0, 16), (12, 28), (24, 40)]


def test_rows_are_handed_out_once_from_top_to_bottom():
    image = ramp(37, 20)
    handed = list(bands(Answering(), image, Cut(tile=8, overlap=3)))
    assert [rows.start for rows, _ in handed[1:]] == [rows.stop for rows, _ in handed[:-1]]
    assert handed[0][0].start == 0
    assert handed[-1][0].stop == 37
    np.testing.assert_allclose(np.concatenate([band for _, band in handed]), image[0], rtol=1e-6)


def test_memory_is_that_of_a_row_of_tiles_however_tall_the_image():
    def peak(rows: int) -> int:
        image = Windowed(
            (1, rows, 64),
            lambda rows, columns: np.ones((1, rows.stop - rows.start, columns.stop), np.float32),
        )
        least = type("Least", (), {"predict": lambda _, image, __: image[:, 0]})()
        tracemalloc.start()
        for _ in bands(least, image, Cut(tile=64, overlap=16, batch=1)):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(64 * 40) < 1.2 * peak(64 * 4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_network_that_fails_on_a_tile_is_refused_with_the_tile_named(wrong):
    image = np.full((1, 24, 24), 0.5, np.float32)
    image[0, 20, 12] = 9.0

    def answer(tiles):
        return np.where(tiles[:, 0] > 8.0, np.float32(wrong), tiles[:, 0])

    message = r"1 values.* of 64 .*rows 16 to 24 and columns 8 to 16, .* runs from 0\.5 to 9"
    with pytest.raises(InferenceError, match=message):
        blended(Answering(answer), image, tile=8, overlap=0)


def test_what_a_network_says_where_nothing_was_measured_does_not_matter():
    image = ramp(16, 16)
    image[:, 2:4, 2:15] = np.nan
    missing = np.isnan(image[0])

    class Spoilt:
        def predict(self, image, valid):
            return np.where(valid, image[:, 0], np.nan)

    found = blended(Spoilt(), image, tile=8, overlap=4)
    np.testing.assert_array_equal(np.isnan(found), missing)
    np.testing.assert_allclose(found[~missing], image[0][~missing], rtol=1e-6)


def test_classes_follow_the_threshold_and_keep_what_is_not_known():
    probability = np.array([[0.0, 0.5, 0.51, 1.0, np.nan]], np.float32)
    np.testing.assert_array_equal(classes(probability), [[0, 0, 1, 1, 255]])
    np.testing.assert_array_equal(classes(probability, threshold=0.9), [[0, 0, 0, 1, 255]])


@pytest.mark.parametrize("shape", [(20, 20), (1, 0, 20), (1, 2, 20, 20)])
def test_what_is_not_an_image_is_refused(shape):
    with pytest.raises(InferenceError, match="expected \\(bands, rows, columns\\)"):
        blended(Answering(), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"batch": 0}, "batch of 0"),
        ({"flips": ["up"]}, "'lr', 'ud', 'both'"),
        ({"flips": ["lr", "lr"]}, "at most once"),
    ],
)
def test_ways_to_predict_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(InferenceError, match=message):
        blended(Answering(), ramp(8, 8), **choices)


@pytest.mark.parametrize("overlap", [512, -1])
def test_overlaps_that_leave_gaps_or_go_nowhere_are_refused(overlap):
    with pytest.raises(TilingError, match="uncovered"):
        blended(Answering(), ramp(8, 8), overlap=overlap)


def test_answers_of_another_shape_are_refused():
    with pytest.raises(InferenceError, match=r"gave shape \(1, 4, 4\); expected \(1, 8, 8\)"):
        blended(Answering(lambda tiles: tiles[:, 0, ::2, ::2]), ramp(8, 8), tile=8, overlap=0)


def test_readers_that_give_too_little_are_refused():
    short = Windowed((1, 16, 8), lambda _, __: np.zeros((1, 4, 8), np.float32))
    with pytest.raises(InferenceError, match=r"rows 0 to 8 .* shape \(1, 4, 8\)"):
        blended(Answering(), short, tile=8, overlap=0)
