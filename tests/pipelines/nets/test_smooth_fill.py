"""First guesses in gaps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.restoration import inpaint_biharmonic

from pipelines.nets.smooth_fill import (
    MEMBRANE,
    PLATE,
    TENSE_PLATE,
    Sheet,
    pyramid_fill,
    smooth_fill,
)

SHEETS = (MEMBRANE, PLATE, TENSE_PLATE)


def stripes(side: int, width: int) -> torch.Tensor:
    """1 where known; a gap every 21 rows."""
    known = torch.ones(1, 1, side, side)
    for row in range(7, side - width, 21):
        known[..., row : row + width, :] = 0.0
    return known


def waves(side: int) -> torch.Tensor:
    y, x = np.mgrid[:side, :side]
    image = 0.5 + 0.2 * np.sin(x / 9.0) * np.cos(y / 11.0 + 0.3)
    return torch.from_numpy(image.astype(np.float32))[None, None]


@pytest.mark.parametrize("sheet", SHEETS)
def test_known_pixels_keep_their_bits_and_gaps_are_not_read(sheet: Sheet):
    image, known = waves(42), stripes(42, 6)
    holes = torch.where(known > 0.5, image, torch.nan)

    fill = smooth_fill(holes, known, sheet)

    assert torch.equal(fill[known > 0.5], image[known > 0.5])
    assert bool(torch.isfinite(fill).all())


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_slope_goes_on_across_a_gap(sheet: Sheet):
    slope = torch.arange(48.0)[:, None].expand(48, 48)[None, None] / 48.0
    known = torch.ones(1, 1, 48, 48)
    known[..., 18:30, :] = 0.0

    fill = smooth_fill(slope, known, Sheet(sheet.stiffness, sheet.tension, 400))

    # Linear functions solve both equations, so only rounding of single precision is left.
    assert float((fill - slope).abs().max()) < 1e-3


def test_the_plate_is_the_biharmonic_fill_of_scikit_image():
    image, known = waves(42), stripes(42, 6)
    mask = known[0, 0].numpy() < 0.5

    ours = smooth_fill(image, known, PLATE)[0, 0].numpy()
    theirs = inpaint_biharmonic(np.where(mask, 0.0, image[0, 0].numpy()), mask)

    # The two differ in their equations at the image's border only.
    inner = (slice(6, -6), slice(6, -6))
    contrast = float(image.std())
    assert np.abs(ours - theirs)[inner].max() < 0.1 * contrast


def test_the_membrane_solves_laplaces_equation():
    image, known = waves(42), stripes(42, 6)
    u = smooth_fill(image, known, Sheet(0.0, 1.0, 300))[0, 0].numpy()
    inside = known[0, 0].numpy()[1:-1, 1:-1] < 0.5
    neighbours = (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]) / 4.0

    assert np.abs(neighbours - u[1:-1, 1:-1])[inside].max() < 1e-5


def test_a_membrane_never_leaves_the_range_of_what_is_known():
    rng = np.random.default_rng(3)
    image = torch.from_numpy(rng.uniform(size=(1, 2, 40, 40)).astype(np.float32))
    known = stripes(40, 9)
    seen = image[known.expand_as(image) > 0.5]

    fill = smooth_fill(image, known, Sheet(0.0, 1.0, 300))

    assert float(fill.min()) >= float(seen.min()) - 1e-5
    assert float(fill.max()) <= float(seen.max()) + 1e-5


@settings(max_examples=15)
@given(
    brightness=st.floats(-2.0, 2.0),
    contrast=st.floats(0.1, 10.0),
    side=st.integers(5, 33),
    seed=st.integers(0, 99),
)
def test_fills_follow_brightness_and_contrast(
    brightness: float, contrast: float, side: int, seed: int
):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.normal(size=(1, 1, side, side)).astype(np.float32))
    known = torch.from_numpy((rng.random((1, 1, side, side)) < 0.6).astype(np.float32))
    known[..., 0, 0] = 1.0

    one = smooth_fill(image, known)
    other = smooth_fill(contrast * image + brightness, known)

    assert torch.allclose(contrast * one + brightness, other, atol=2e-2 * contrast + 1e-2)


def test_a_patch_does_not_depend_on_its_neighbours_in_the_batch():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(size=(3, 2, 32, 32)).astype(np.float32))
    known = torch.cat([stripes(32, width) for width in (2, 5, 9)])

    together = smooth_fill(images, known)
    alone = torch.cat([smooth_fill(images[k : k + 1], known[k : k + 1]) for k in range(3)])

    assert torch.equal(together, alone)


def test_where_nothing_is_known_the_fill_is_zero():
    assert float(smooth_fill(torch.ones(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)).abs().max()) == 0.0
    assert float(pyramid_fill(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))) == 0.0
