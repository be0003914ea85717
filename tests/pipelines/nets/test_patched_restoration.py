"""Whole images, restored patch by patch."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.nets.patched_restoration import one_sample, restored
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restorer import Restored, Restorer, RestorerSpec

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]


def scene(height: int = 80, width: int = 112) -> tuple[FLOAT32, BOOL]:
    y, x = np.mgrid[:height, :width]
    image = 0.5 + 0.2 * np.sin(x / 8.0) * np.cos(y / 7.0)
    gap = (x + 2 * y) % 33 < 9
    noise = np.random.default_rng(0).normal(scale=0.01, size=(3, height, width))
    return (image + noise).astype(np.float32), gap


def restorer(chain: tuple[str, ...] = ("mean",), sampler: str = "texture") -> Restorer:
    torch.manual_seed(0)
    spec = RestorerSpec(mean=(8, 8), diffusion=(8, 8), chain=chain, sampler=sampler)
    return Restorer(spec).eval()


class Constant:
    """Says one number of all gaps, and remembers the batches and seeds it saw."""

    def __init__(self, value: float = 0.25, most: int = 99) -> None:
        self.value, self.most, self.batches, self.seeds = value, most, [], set()
        self.uses_samples, self.samples = True, set()

    def restore(
        self, images: Tensor, known: Tensor, *, samples: int, seed: Sequence[int], steps: int
    ) -> Restored:
        if len(images) > self.most:
            raise torch.OutOfMemoryError
        self.batches.append(len(images))
        self.samples.add(samples)
        self.seeds |= set(seed)
        fill = torch.where(known > 0.5, images, self.value)
        return Restored(fill, torch.full_like(images, 0.1), fill.expand(1, *fill.shape))


def test_known_pixels_keep_their_bits_and_have_no_spread():
    image, gap = scene()
    mean, spread = restored(restorer(), image, gap, tile=48, overlap=16)

    assert np.array_equal(mean[:, ~gap], image[:, ~gap])
    assert (spread[:, ~gap] == 0.0).all()
    assert np.isfinite(mean).all()
    assert (spread[:, gap] > 0.0).all()


def test_an_image_without_gaps_returns_itself():
    image, gap = scene()
    image[:, 3, 4] = np.nan
    net = Constant()
    mean, spread = restored(net, image, np.zeros_like(gap))

    assert np.array_equal(mean, image, equal_nan=True)
    assert mean is not image
    assert np.nanmax(spread) == 0.0
    assert net.batches == []


def test_a_constant_survives_blending():
    image, gap = scene()
    mean, spread = restored(Constant(), image, gap, tile=40, overlap=8)
    assert mean[:, gap] == pytest.approx(0.25, abs=1e-6)
    assert spread[:, gap] == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("sampler", ["texture", "diffusion"])
def test_the_answer_depends_on_the_seed_and_not_on_batches(sampler: str):
    image, gap = scene()
    net = restorer(("mean", "diffusion") if sampler == "diffusion" else ("mean",), sampler)
    choices = {"tile": 48, "overlap": 16, "samples": 2, "steps": 2}
    one = restored(net, image, gap, **choices, seed=5, batch=1)
    four = restored(net, image, gap, **choices, seed=5, batch=4)
    other = restored(net, image, gap, **choices, seed=6, batch=4)

    # Convolutions may sum in another order in a larger batch.
    assert np.allclose(one.mean, four.mean, atol=1e-5)
    assert np.allclose(one.spread, four.spread, atol=1e-5)
    if sampler == "diffusion":
        assert not np.allclose(one.mean, other.mean, atol=1e-3)


def test_a_part_of_an_image_far_from_its_edges_can_be_restored_alone():
    # A patch at the same row and column has the same noise, whatever lies elsewhere.
    image, gap = scene(96, 96)
    changed = image.copy()
    changed[:, 48:] += 0.1
    net = restorer(("mean", "diffusion"), "diffusion")
    choices = {"tile": 48, "overlap": 0, "samples": 1, "steps": 1, "batch": 1}
    one, other = (restored(net, each, gap, **choices) for each in (image, changed))

    assert np.array_equal(one.mean[:, :48], other.mean[:, :48])


def test_gaps_around_which_nothing_is_known_stay_empty_and_this_is_said():
    image, gap = scene(64, 128)
    image[:, :, 64:] = np.nan
    gap[:, 64:] = True
    said: list[str] = []
    mean, spread = restored(Constant(), image, gap, tile=32, overlap=0, say=said.append)

    assert np.isnan(mean[:, :, 64:]).all()
    assert np.isnan(spread[:, :, 64:]).all()
    assert np.isfinite(mean[:, :, :64]).all()
    left = f"{64 * 64:,} of {np.count_nonzero(gap):,} gap pixels stay empty"
    assert said == [f"{left}: nothing is known in the patches around them"]


def test_pixels_missing_outside_of_gaps_stay_missing():
    image, gap = scene()
    image[:, :10, :10] = np.nan
    gap[:10, :10] = False
    mean, spread = restored(restorer(), image, gap, tile=48, overlap=16)

    assert np.isnan(mean[:, :10, :10]).all()
    assert np.isnan(spread[:, :10, :10]).all()
    assert np.isfinite(mean[:, gap]).all()


def test_a_sample_is_not_blended():
    image, gap = scene()
    net = restorer()
    mean, spread = restored(net, image, gap, tile=48, overlap=24)
    sample = one_sample(net, image, gap, tile=48, overlap=24)

    assert np.array_equal(sample[:, ~gap], image[:, ~gap])
    deviation = ((sample - mean) / np.where(spread > 0.0, spread, 1.0))[:, gap]
    # Blends of several draws would have less than unit variance.
    assert deviation.std() == pytest.approx(1.0, abs=0.1)
    with pytest.raises(RestorationError, match="draws no samples"):
        one_sample(restorer(sampler=""), image, gap, tile=48, overlap=24)


def test_a_gpu_without_memory_gets_smaller_batches():
    image, gap = scene()
    net = Constant(most=1)
    mean, _ = restored(net, image, gap, tile=40, overlap=8, batch=4)

    assert set(net.batches) == {1}
    assert len(net.seeds) == len(net.batches)
    assert np.isfinite(mean).all()
    with pytest.raises(RestorationError, match="no memory on cpu for one patch"):
        restored(Constant(most=0), image, gap, tile=40, overlap=8)


def test_images_smaller_than_a_tile_are_one_patch():
    image, gap = scene(20, 30)
    assert np.isfinite(restored(restorer(), image, gap).mean).all()


def test_images_that_cannot_be_restored_are_refused():
    image, gap = scene()
    with pytest.raises(RestorationError, match="one mask for all bands"):
        restored(Constant(), image, np.stack([gap] * 3))
    with pytest.raises(RestorationError, match="expected 0 to 63"):
        restored(Constant(), image, gap, tile=64, overlap=64)
    with pytest.raises(RestorationError, match="no known pixel in an image of 80 × 112"):
        restored(Constant(), np.full_like(image, np.nan), gap)
    with pytest.raises(RestorationError, match="repeat a single grey band"):
        restored(restorer(), image[:1], gap)
    net = restorer()
    net.mean.net.head.bias.data[:] = torch.nan
    with pytest.raises(RestorationError, match="says of patches"):
        restored(net, image, gap)


@pytest.mark.parametrize(("used", "drawn"), [(True, {3}), (False, {0})])
def test_samples_are_drawn_only_where_mean_or_spread_use_them(used: bool, drawn: set[int]):
    image, gap = scene()
    net = Constant()
    net.uses_samples = used
    restored(net, image, gap, tile=48, overlap=16, samples=3)

    assert net.samples == drawn


def test_a_texture_changes_neither_mean_nor_spread():
    image, gap = scene(48, 64)
    images, known = torch.from_numpy(image[None]), torch.from_numpy(~gap)[None, None].float()
    net = restorer(("mean",), "texture")
    assert not net.uses_samples
    none, four = (net.restore(images, known, samples=count) for count in (0, 4))

    assert torch.equal(none.mean, four.mean)
    assert torch.equal(none.spread, four.spread)


@pytest.mark.parametrize(
    ("chain", "sampler"), [(("mean", "diffusion"), "diffusion"), (("mean",), "diffusion")]
)
def test_samples_of_a_diffusion_are_part_of_the_spread(chain: tuple[str, ...], sampler: str):
    image, gap = scene(48, 64)
    images, known = torch.from_numpy(image[None]), torch.from_numpy(~gap)[None, None].float()
    net = restorer(chain, sampler)
    assert net.uses_samples
    none, four = (net.restore(images, known, samples=count, steps=2) for count in (0, 4))

    assert not torch.equal(none.spread, four.spread)
