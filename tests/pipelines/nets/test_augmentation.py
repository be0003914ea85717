"""Augmentations: what belongs together stays together, and corners are what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.nets.augmentation import (
    AUGMENTATIONS,
    AugmentationError,
    BetterAugmentation,
    PaperAugmentation,
    Sample,
    named,
    rotation,
    warped,
)

CROP = 32
DARK = {"contrast": 0.0, "offset": 0.0, "brightness": 0.0, "noise": 0.0}


def sample(side: int, seed: int = 0) -> Sample:
    """The label is damage exactly where the first band exceeds a half; the third is an extra."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((2, side // 4 + 1, side // 4 + 1))
    bands = np.kron(coarse, np.ones((4, 4)))[:, :side, :side]
    valid = np.kron(rng.random((side // 4 + 1,) * 2) > 0.2, np.ones((4, 4)))[:side, :side] > 0
    image = np.where(valid, [*bands, np.full((side, side), 0.7)], 0.0).astype(np.float32)
    label = np.where(valid, bands[0] > 0.5, 255).astype(np.uint8)
    return Sample(image, valid, label, 2)


def turned_only(name: str):
    return PaperAugmentation(share=0.0) if name == "paper" else BetterAugmentation(**DARK)


@pytest.mark.parametrize("name", ["paper", "better"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_labels_move_with_their_pixels(name, seed):
    augmentation = turned_only(name)
    found = augmentation(np.random.default_rng(seed), sample(augmentation.window(CROP), seed), CROP)
    assert found.image.shape == (3, CROP, CROP)
    both = found.valid & (found.label != 255)
    # Interpolated between blocks, the first band may say half and half.
    sure = both & (np.abs(found.image[0] - 0.5) > 0.25)
    agree = (found.image[0] > 0.5) == (found.label == 1)
    assert agree[sure].mean() > (0.999 if name == "paper" else 0.9)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_every_variation_keeps_types_shapes_and_the_mask(name, seed):
    augmentation = named(name)
    before = sample(augmentation.window(CROP), seed)
    copy = before.image.copy()
    found = augmentation(np.random.default_rng(seed), before, CROP)
    kinds = found.image.dtype, found.valid.dtype, found.label.dtype
    assert kinds == (np.float32, np.bool_, np.uint8)
    assert found.image.shape == (3, *found.valid.shape) == (3, CROP, CROP)
    assert not found.image[:, ~found.valid].any()
    assert set(np.unique(found.label)) <= {0, 1, 255}
    np.testing.assert_allclose(found.image[2][found.valid], 0.7, rtol=1e-5)
    np.testing.assert_array_equal(before.image, copy)
    again = augmentation(np.random.default_rng(seed), before, CROP)
    np.testing.assert_array_equal(again.image, found.image)


def test_the_papers_corners_are_empty_and_its_values_those_of_pixels():
    full = Sample(
        np.random.default_rng(0).random((1, CROP, CROP), dtype=np.float32),
        np.ones((CROP, CROP), bool),
        np.zeros((CROP, CROP), np.uint8),
        1,
    )
    found = warped(full, rotation(45.0, window=CROP, crop=CROP), CROP, smooth=False)
    corners = found.valid[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()
    assert (found.label[~found.valid] == 255).all()
    assert np.isin(found.image[0][found.valid], full.image).all()
    # An octagon is left of a square turned about its centre by 45°: 2 (√2 - 1) of its area.
    assert found.valid.mean() == pytest.approx(2 * (np.sqrt(2) - 1), abs=0.03)


def test_the_papers_angles_and_brightness_have_its_ranges():
    augmentation = PaperAugmentation()
    flat = Sample(
        np.ones((1, 33, 33), np.float32), np.ones((33, 33), bool), np.zeros((33, 33), np.uint8), 1
    )
    gains = np.array(
        [
            augmentation(np.random.default_rng(seed), flat, 33).image[0, 16, 16]
            for seed in range(400)
        ]
    )
    assert gains.min() >= 0.75
    assert gains.max() <= 1.25
    assert (gains == 1).mean() == pytest.approx(0.5, abs=0.08)
    assert np.ptp(gains) > 0.45


@pytest.mark.parametrize("crop", [16, 33])
def test_better_corners_show_what_surrounds_the_crop(crop):
    augmentation = BetterAugmentation(**DARK)
    side = augmentation.window(crop)
    full = Sample(
        np.ones((1, side, side), np.float32),
        np.ones((side, side), bool),
        np.ones((side, side), np.uint8),
        1,
    )
    for seed in range(40):
        found = augmentation(np.random.default_rng(seed), full, crop)
        assert found.valid.all()
        assert (found.label == 1).all()
        np.testing.assert_allclose(found.image, 1.0, rtol=1e-5)


def test_a_rotation_of_a_right_angle_is_that_of_numpy():
    before = sample(CROP)
    found = warped(before, rotation(90.0, window=CROP, crop=CROP), CROP, smooth=False)
    expected = np.rot90(before.label, 1)
    opposite = np.rot90(before.label, -1)
    assert (found.label == expected).all() or (found.label == opposite).all()


@pytest.mark.parametrize(("mirror", "scale"), [(False, 1.0), (True, 1.0), (True, 1.25)])
def test_the_centre_stays_and_scale_counts_pixels_of_the_window(mirror, scale):
    matrix = rotation(30.0, window=64, crop=32, scale=scale, mirror=mirror)
    np.testing.assert_allclose(matrix @ [15.5, 15.5, 1.0], [31.5, 31.5])
    assert abs(np.linalg.det(matrix[:, :2])) == pytest.approx(scale**2)


def test_an_invalid_sample_stays_empty():
    side = named("better").window(CROP)
    empty = Sample(
        np.zeros((3, side, side), np.float32),
        np.zeros((side, side), bool),
        np.full((side, side), 255, np.uint8),
        3,
    )
    found = named("better")(np.random.default_rng(0), empty, CROP)
    assert not found.valid.any()
    assert not found.image.any()


def test_unknown_names_are_refused():
    with pytest.raises(AugmentationError, match="no augmentation 'best'; choose from none, paper"):
        named("best")
