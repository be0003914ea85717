"""The bundle of stages: one model, one checkpoint, one answer."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.nets import checkpoints, models
from pipelines.nets.harmoniser import Harmoniser, membrane_corrected
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restorer import Restorer, RestorerSpec

TINY = RestorerSpec(mean=(8, 8), diffusion=(8, 8), harmoniser=(8,))
CHAINS = [
    ((), ""),
    (("mean",), "texture"),
    (("mean", "harmoniser"), "diffusion"),
    (("mean", "diffusion", "harmoniser"), "diffusion"),
]


def restorer(spec: RestorerSpec = TINY, *, seed: int = 0) -> Restorer:
    """A restorer whose networks say something: untrained ones say nothing at all."""
    torch.manual_seed(seed)
    made = Restorer(spec).eval()
    for parameter in made.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return made


def scene(n: int = 2, side: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    smooth = 0.6 + 0.1 * np.sin(x / 5.0 + y / 9.0)
    images = smooth + 0.01 * rng.normal(size=(n, 3, side, side))
    known = torch.ones(n, 1, side, side)
    known[..., 10:17, :] = 0.0
    return torch.from_numpy(images.astype(np.float32)), known


@pytest.mark.parametrize(("chain", "sampler"), CHAINS)
def test_known_pixels_keep_their_bits_through_every_chain(chain: tuple[str, ...], sampler: str):
    images, known = scene()
    answer = restorer().with_chain(chain, sampler).restore(images, known, samples=2, steps=2)
    there = (known > 0.5).expand_as(images)

    assert torch.equal(answer.mean[there], images[there])
    assert bool((answer.spread[there] == 0.0).all())
    assert (answer.samples is None) == (sampler == "")
    if answer.samples is not None:
        assert all(torch.equal(sample[there], images[there]) for sample in answer.samples)
        assert bool((answer.spread[~there] > 0.0).all())
    else:
        assert bool(torch.isnan(answer.spread[~there]).all())


def test_what_stands_in_gaps_is_not_read():
    images, known = scene()
    filled = torch.where(known > 0.5, images, torch.nan)
    net = restorer().with_chain(("mean", "diffusion", "harmoniser"), "diffusion")

    one = net.restore(images, known, samples=2, steps=2, seed=3)
    other = net.restore(filled, known, samples=2, steps=2, seed=3)

    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.spread, other.spread)


@settings(max_examples=8)
@given(gain=st.floats(0.2, 3.0), offset=st.floats(-0.3, 0.5))
def test_restoration_follows_brightness_and_contrast(gain: float, offset: float):
    images, known = scene(1)
    net = restorer()
    one = net.restore(images, known)
    other = net.restore(gain * images + offset, known)

    assert torch.allclose(gain * one.mean + offset, other.mean, atol=2e-3 * gain)
    assert torch.allclose(gain * one.spread, other.spread, atol=2e-3 * gain)


def test_seeds_decide_samples_and_the_batch_does_not():
    images, known = scene(3)
    net = restorer().with_chain(("mean",), "diffusion")
    together = net.restore(images, known, samples=2, steps=2, seed=[7, 8, 9]).samples
    again = net.restore(images, known, samples=2, steps=2, seed=[7, 8, 9]).samples
    last = net.restore(images[2:], known[2:], samples=2, steps=2, seed=[9]).samples
    other = net.restore(images, known, samples=2, steps=2, seed=[7, 8, 10]).samples

    assert together is not None
    assert again is not None
    assert last is not None
    assert other is not None
    assert torch.equal(together, again)
    assert torch.allclose(together[:, 2], last[:, 0], atol=1e-5)
    assert not torch.equal(together[:, 2], other[:, 2])
    assert torch.equal(together[:, 0], other[:, 0])


def test_spread_from_samples_is_pooled_with_that_of_the_mean_network():
    images, known = scene(1)
    net = restorer().with_chain(("mean",), "diffusion")
    alone = net.restore(images, known, samples=0).spread
    pooled = net.restore(images, known, samples=5, steps=2, seed=1)

    assert pooled.samples is not None
    deviation = (pooled.samples - pooled.samples.mean(dim=0)).square().sum(dim=0)
    expected = ((4.0 * alone**2 + deviation) / 8.0).sqrt()
    assert torch.allclose(pooled.spread, expected, atol=1e-5)


def test_the_membrane_takes_a_step_at_the_rim_away_and_keeps_differences_within():
    images = torch.zeros(1, 1, 24, 24)
    known = torch.ones(1, 1, 24, 24)
    known[..., 8:16, :] = 0.0
    detail = 0.01 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    detail = torch.where(known > 0.5, 0.0, detail)

    corrected = membrane_corrected(images + detail + 0.3, images, known)

    assert torch.allclose(corrected, detail, atol=1e-4)


def test_an_untrained_harmoniser_is_its_membrane():
    images, known = scene(1)
    fill = images + 0.1
    assert torch.equal(
        Harmoniser(3, (8,))(fill, images, known), Harmoniser(3, ())(fill, images, known)
    )


def test_one_checkpoint_holds_all_stages():
    net = restorer()
    spec = json.loads(json.dumps(net.spec.to_json()))
    card = checkpoints.ModelCard(
        task="restoration", architecture="restorer", spec=spec, data="none", split="none",
        scores={}, licence="MIT", recipe={}, note="",
    )  # fmt: skip

    again = models.opened(checkpoints.save(net, card, half=False), name="tiny")

    assert isinstance(again, Restorer)
    assert again.spec == net.spec
    images, known = scene(1)
    one = net.restore(images, known, samples=2)
    other = again.restore(images, known, samples=2)
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.spread, other.spread)


def test_the_kl_profile_fills_through_its_autoencoder():
    widths = {"autoencoder": (8, 8, 8), "denoiser": (8, 8)}
    spec = RestorerSpec(
        profile="kl", mean=(), diffusion=(), latent=widths, chain=("latent", "harmoniser"),
        sampler="latent",
    )  # fmt: skip
    torch.manual_seed(0)
    images, known = scene(1)
    answer = Restorer(spec).eval().restore(images, known, samples=2, steps=2)

    assert bool(torch.isfinite(answer.mean).all())
    assert answer.samples is not None
    there = (known > 0.5).expand_as(images)
    assert torch.equal(answer.mean[there], images[there])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"profile": "vae"}, "found profile"),
        ({"chain": ("median",)}, "found chain"),
        ({"chain": ("latent",)}, "expected only stages with a network"),
        ({"chain": ("diffusion",), "sampler": ""}, "the mean before"),
        ({"mean": (), "chain": ("mean",)}, "expected only stages with a network"),
        ({"channels": ()}, "found no channels"),
    ],
)
def test_specifications_that_cannot_be_built_are_refused(wrong: dict[str, object], message: str):
    with pytest.raises(RestorationError, match=message):
        RestorerSpec(**wrong)
    with pytest.raises(RestorationError, match="unknown keys"):
        RestorerSpec.from_json({"depth": 3})


def test_patches_that_cannot_be_restored_are_refused():
    images, known = scene()
    net = restorer()
    with pytest.raises(RestorationError, match="repeat a single grey band"):
        net.restore(images[:, :1], known)
    with pytest.raises(RestorationError, match="one mask for all bands"):
        net.restore(images, known.expand(-1, 3, -1, -1))
    with pytest.raises(RestorationError, match=r"no known pixel in patches \[1\] of 2"):
        net.restore(images, torch.cat([known[:1], torch.zeros_like(known[:1])]))
    with pytest.raises(RestorationError, match="1 seeds for 2 patches"):
        net.restore(images, known, seed=[1])


def test_a_network_that_says_nan_is_named():
    images, known = scene()
    net = restorer()
    assert net.mean is not None
    net.mean.net.head.bias.data[:] = torch.nan
    with pytest.raises(RestorationError, match=r"stage 'mean' says of patches \[0, 1\] of 2"):
        net.restore(images, known)


def test_a_single_band_restores_alone():
    images, known = scene()
    net = restorer(RestorerSpec(channels=("grey",), mean=(8,), diffusion=()))
    assert net.restore(images[:, :1], known).mean.shape == (2, 1, 32, 32)
