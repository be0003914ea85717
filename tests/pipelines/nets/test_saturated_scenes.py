"""Saturated scenes: what is flat at the highest count is answered, and not called certain."""

import numpy as np
import pytest
import torch

from pipelines.kernels.imagery import radiometry
from pipelines.nets import backends, inference, patched_restoration
from pipelines.nets.normalisation import LEAST_CONTRAST
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.segmenter import Segmenter, SegmenterSpec

CEILING = np.float32(65_535 * radiometry.PER_COUNT)
SIDE = 64


def gap() -> np.ndarray:
    found = np.zeros((SIDE, SIDE), bool)
    found[20:30] = True
    return found


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    torch.manual_seed(0)
    return Restorer(RestorerSpec(mean=(8, 8), diffusion=())).eval()


def rough(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.05, (3, SIDE, SIDE))
    return (0.7 + noise).astype(np.float32)


def test_a_patch_flat_at_the_ceiling_is_filled_with_it_and_is_not_certain(restorer):
    image = np.full((3, SIDE, SIDE), CEILING, np.float32)

    found = patched_restoration.restored(restorer, image, gap(), tile=SIDE, overlap=16)

    assert np.abs(found.mean - CEILING).max() < 0.05
    assert (found.spread[:, gap()] >= np.float32(LEAST_CONTRAST)).all()
    assert (found.spread[:, ~gap()] == 0).all()
    counts = radiometry.counts(found.mean)
    assert (counts[:, ~gap()] == 65_535).all()
    assert counts.min() > 60_000


def test_one_saturated_band_changes_no_spread_of_the_others_below_the_floor(restorer):
    image = rough()
    image[0] = CEILING

    found = patched_restoration.restored(restorer, image, gap(), tile=SIDE, overlap=16)

    assert (found.spread[0, gap()] >= np.float32(LEAST_CONTRAST)).all()
    assert np.isfinite(found.mean).all()
    np.testing.assert_array_equal(found.mean[:, ~gap()], image[:, ~gap()])


def test_a_fill_above_the_ceiling_is_stored_as_the_ceiling():
    above = np.full((1, 2, 2), CEILING + 0.2, np.float32)

    assert (radiometry.counts(above) == 65_535).all()


def test_a_saturated_image_is_segmented():
    torch.manual_seed(0)
    network = Segmenter(SegmenterSpec("tiny", detail=4)).eval()
    predictor = backends.predictor(network, device="cpu", backend="torch", threads=1)
    image = np.full((3, SIDE, SIDE), CEILING, np.float32)

    probability = inference.blended(predictor, image, tile=SIDE, overlap=16)

    assert np.isfinite(probability).all()
