"""Latent diffusion with networks small enough for a test."""

import dataclasses
import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.nets import latent_diffusion, restorer, training
from pipelines.nets.latent_diffusion import LatentDiffusion, LatentSpec, missing_latents
from pipelines.nets.latent_diffusion_training import LatentTask, only_learning
from pipelines.nets.noise_schedule import NOISE_STEPS
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.smooth_fill import smooth_fill

TINY = LatentSpec(channels=1, autoencoder=(8, 8, 16), denoiser=(16, 24))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stage(seed: int = 0, spec: LatentSpec = TINY) -> LatentDiffusion:
    torch.manual_seed(seed)
    made = LatentDiffusion(spec).eval()
    # An untrained U-Net says v = 0; with this it says something.
    torch.nn.init.normal_(made.denoiser.conv_out.weight, std=0.1)
    return made


def stripes(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y + 0.2 * x) % 33) < 9


def patches(
    n: int = 2, shape: tuple[int, int] = (40, 56), channels: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn((n, channels, *shape), generator=generator)
    known = torch.from_numpy(~stripes(shape)).float().expand(n, 1, *shape).clone()
    return images * known, known, smooth_fill(images, known)


def generators(n: int = 2, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + k) for k in range(n)]


def rolling(rng: np.random.Generator, side: int = 96) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / 9.0
    a, b, c = rng.uniform(0, 6, 3)
    return (0.5 + 0.2 * np.sin(x + a) * np.cos(0.7 * y + b) + 0.05 * np.sin(3 * x + c))[
        None
    ].astype(np.float32)


def test_fills_have_the_shape_of_samples_of_patches_of_any_size():
    images, known, guess = patches()

    fills = stage().fill(images, known, guess, samples=3, steps=2, generators=generators())

    assert fills.shape == (3, 2, 1, 40, 56)
    assert fills.dtype == images.dtype
    assert torch.isfinite(fills).all()


def test_the_same_generators_draw_the_same_fills_in_any_batch():
    images, known, guess = patches()
    made = stage()

    both = made.fill(images, known, guess, samples=2, steps=3, generators=generators())
    again = made.fill(images, known, guess, samples=2, steps=3, generators=generators())
    second = made.fill(
        images[1:], known[1:], guess[1:], samples=2, steps=3, generators=generators(1, first=1)
    )
    others = made.fill(images, known, guess, samples=2, steps=3, generators=generators(first=7))

    torch.testing.assert_close(both, again, rtol=0, atol=0)
    torch.testing.assert_close(both[:, 1:], second, rtol=1e-4, atol=1e-5)
    assert (both - others).abs().max() > 1e-3
    assert (both[0] - both[1]).abs().max() > 1e-3, "samples differ"


def test_what_a_gap_holds_is_not_read():
    images, known, guess = patches()
    spoilt = torch.where(known > 0.5, images, 1e6)

    made = stage()
    fills = [
        made.fill(each, known, guess, samples=1, steps=2, generators=generators())
        for each in (images, spoilt)
    ]

    torch.testing.assert_close(*fills, rtol=0, atol=0)


def test_known_latents_are_those_of_the_image_at_every_step_and_in_the_end(monkeypatch):
    images, known, guess = patches(shape=(64, 64))
    made = stage()
    missing = missing_latents(1 - known) > 0.5
    z_0 = made.encoded(torch.where(known > 0.5, images, guess))
    seen = []
    forward = LatentDiffusion.forward

    def watched(self, noisy, step, shown, mask):
        seen.append((noisy.clone(), int(step[0])))
        return forward(self, noisy, step, shown, mask)

    decoded = LatentDiffusion.decoded
    last = []
    monkeypatch.setattr(LatentDiffusion, "forward", watched)
    monkeypatch.setattr(
        LatentDiffusion, "decoded", lambda self, z: last.append(z.clone()) or decoded(self, z)
    )
    made.fill(images, known, guess, samples=1, steps=4, generators=generators())

    noise = torch.stack([torch.randn((1, *z_0.shape[1:]), generator=g)[0] for g in generators()])
    betas = []
    for t in range(NOISE_STEPS):  # Nichol & Dhariwal (2021), equation 17
        bar = [np.cos((s / NOISE_STEPS + 0.008) / 1.008 * np.pi / 2) ** 2 for s in (t, t + 1)]
        betas.append(min(1 - bar[1] / bar[0], 0.999))
    squared = np.cumprod(1 - np.array(betas))
    held = (~missing).expand_as(z_0)
    assert len(seen) == 4
    assert held.any()
    for z, step in seen:
        expected = np.sqrt(squared[step]) * z_0 + np.sqrt(1 - squared[step]) * noise
        torch.testing.assert_close(z[held].double(), expected[held].double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(last[0][held], z_0[held], rtol=0, atol=0)
    assert (last[0] - z_0)[~held].abs().max() > 1e-3


def test_an_untrained_denoiser_leaves_latents_of_unit_variance():
    torch.manual_seed(0)
    made = LatentDiffusion(TINY).eval()
    noise, lacking = torch.randn(4, 4, 16, 16), torch.ones(4, 1, 16, 16)

    with torch.no_grad():
        z = made._denoised(noise, torch.zeros_like(noise), lacking, steps=10)

    assert float(z.std()) == pytest.approx(1.0, abs=0.1)


def test_a_restorer_of_the_kl_profile_is_built_from_plain_values_and_restores():
    torch.manual_seed(0)
    latent = {"autoencoder": [8, 8, 16], "denoiser": [16]}
    plain = {"profile": "kl", "channels": ["gray"], "mean": [], "diffusion": [], "latent": latent,
             "chain": ["latent", "harmoniser"], "sampler": ""}  # fmt: skip
    made = restorer.built(json.loads(json.dumps(plain))).eval()
    images, known, _ = patches()

    found = made.restore(images, known, samples=3, steps=2)

    held = (known > 0.5).expand_as(images)
    assert torch.equal(found.mean[held], images[held])
    assert torch.isfinite(found.mean).all()
    assert (found.spread[~held] > 0).all()
    assert found.samples.shape == (3, *images.shape)


@settings(max_examples=25)
@given(st.integers(0, 31), st.integers(0, 31))
def test_a_missing_pixel_takes_its_latent_and_the_eight_around_it(y, x):
    gap = torch.zeros(1, 1, 32, 32)
    gap[0, 0, y, x] = 1

    missing = missing_latents(gap)[0, 0]

    expected = torch.zeros(8, 8)
    j, i = y // 4, x // 4
    expected[max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2] = 1
    assert torch.equal(missing, expected)


def test_a_specification_goes_through_json():
    for spec in (TINY, latent_diffusion.SMALL, latent_diffusion.LARGE):
        assert LatentSpec(**json.loads(json.dumps(dataclasses.asdict(spec)))) == spec


def test_the_small_profile_takes_three_bands_and_works_on_patches_of_256():
    with torch.device("meta"):
        made = LatentDiffusion(latent_diffusion.SMALL)
    parameters = sum(each.numel() for each in made.parameters())

    assert 256 % latent_diffusion.SMALL.side == 256 % latent_diffusion.LARGE.side == 0
    assert 5e6 < parameters < 2e7


@pytest.mark.parametrize(
    "wrong",
    [{"autoencoder": (8, 16)}, {"denoiser": ()}, {"denoiser": (12,)}, {"channels": 0}],
)
def test_specifications_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(RestorationError, match="correct the specification"):
        LatentSpec(**wrong)


def test_a_batch_is_a_function_of_its_seed_and_has_no_nan():
    image = rolling(np.random.default_rng(0))
    image[:, :30, :50] = np.nan
    task = LatentTask([image], lambda _, shape: stripes(shape), "denoiser", crop=64)

    first, again = (task.batch(np.random.default_rng([1, 5]), 3) for _ in range(2))

    assert set(first) == {"images", "valid", "known", "noise", "step"}
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name])
        assert torch.isfinite(tensor).all()
    assert first["images"].shape == (3, 1, 64, 64)
    assert (first["known"] <= first["valid"]).all()
    assert (first["valid"].mean(dim=(1, 2, 3)) >= 0.25).all()


def test_a_crop_wholly_in_a_gap_is_learned_without_it():
    task = LatentTask(
        [rolling(np.random.default_rng(0))], lambda _, s: np.ones(s, bool), "denoiser", crop=32
    )

    batch = task.batch(np.random.default_rng(0), 1)

    assert torch.equal(batch["known"], batch["valid"])
    assert float(task.loss(stage(), batch).detach()) == 0.0


def test_images_that_no_crop_fits_into_are_refused():
    empty = np.full((1, 64, 64), np.nan, dtype=np.float32)
    for images in ([], [empty], [np.zeros((1, 20, 90), dtype=np.float32)]):
        with pytest.raises(RestorationError, match="crop less"):
            LatentTask(images, lambda _, s: np.zeros(s, bool), "autoencoder", crop=32)


@pytest.mark.parametrize("learner", ["autoencoder", "denoiser"])
def test_one_network_learns_while_the_other_rests(learner):
    made = only_learning(stage(), learner)
    images = [rolling(np.random.default_rng(k)) for k in range(2)]
    images[0][:, 40:50] = np.nan
    task = LatentTask(images, lambda _, shape: stripes(shape), learner, crop=32)
    before = {name: value.clone() for name, value in made.state_dict().items()}

    state = training.fresh(made, training.Recipe(steps=2, batch=2, peak_rate=1e-3))
    training.advance(state, task, 2, threads=1)

    changed = {name.split(".")[0] for name, value in made.state_dict().items()
               if not torch.equal(value, before[name])}  # fmt: skip
    measured = {"centre", "spread"} if learner == "autoencoder" else set()
    assert changed == {learner} | measured


@pytest.mark.slow
def test_a_small_overfit_fills_better_than_noise_and_keeps_what_is_known():
    """Ten waves, half a minute of training: given back by the autoencoder, continued in gaps."""
    rng = np.random.default_rng(0)
    images = [rolling(rng) for _ in range(10)]
    torch.manual_seed(0)
    spec = LatentSpec(channels=1, autoencoder=(16, 16, 32), denoiser=(48, 48))
    made = LatentDiffusion(spec)
    for learner, steps in (("autoencoder", 100), ("denoiser", 150)):
        recipe = training.Recipe(steps=steps, batch=6, peak_rate=3e-3, schedule="short")
        task = LatentTask(images, lambda _, shape: stripes(shape), learner, crop=32)
        training.advance(
            training.fresh(only_learning(made, learner), recipe), task, steps, threads=1
        )
    truth = torch.from_numpy(np.stack([image[:, :64, :64] for image in images]))
    truth = (truth - truth.mean()) / truth.std()
    known = torch.from_numpy(~stripes((64, 64))).float().expand(10, 1, 64, 64)
    guess = smooth_fill(truth * known, known)

    with torch.no_grad():
        back = made.decoded(made.encoded(truth))
    fills = made.fill(truth * known, known, guess, samples=2, steps=10, generators=generators(10))

    gap = (known < 0.5).expand_as(truth)
    assert float((back - truth).square().mean()) < 0.1, "of unit variance"
    error = float((fills - truth)[:, gap].square().mean())
    assert error < 0.5, f"{error:.2f}: noise would have 2, the mean 1"


@pytest.mark.gpu
def test_a_whole_scene_is_drawn_in_minutes_on_a_gpu():
    """7000² pixels are 1,369 patches of 256 with 64 shared: a batch of 64 says the time of all."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = stage(spec=latent_diffusion.SMALL).cuda()
    images, known, guess = (each.cuda() for each in patches(64, (256, 256), channels=3))

    def draw() -> None:
        made.fill(images, known, guess, samples=4, steps=10, generators=generators(64))
        torch.cuda.synchronize()

    draw()
    began = time.perf_counter()
    draw()
    seconds = (time.perf_counter() - began) * 1369 / 64

    assert seconds < 180.0


@pytest.mark.gpu
def test_a_gpu_draws_what_a_processor_draws_to_the_precision_of_bfloat16():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    made = stage()
    images, known, guess = patches()
    here = made.fill(images, known, guess, samples=1, steps=4, generators=generators())
    made.cuda()
    there = made.fill(images.cuda(), known.cuda(), guess.cuda(), samples=1, steps=4,
                      generators=generators()).cpu()  # fmt: skip

    assert float((here - there).square().mean().sqrt() / here.std()) < 0.05
