"""What stages learn from, and that they learn."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.nets import training
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restoration_training import RestorationTask, fit_texture, structure
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.smooth_fill import smooth_fill

SIDE = 32


@dataclass(frozen=True)
class Tile:
    image: NDArray[np.float32]


def gaps(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Stripes of 7 rows or columns every 16."""
    lines = (np.arange(SIDE) + int(rng.integers(16))) % 16 < 7
    square = np.broadcast_to(lines[:, None], (SIDE, SIDE))
    return square.copy() if rng.random() < 0.5 else square.T.copy()


def ridges(angle: float, seed: int = 0) -> Tile:
    """Waves of 6 pixels: too short for a smooth surface to guess across 7."""
    y, x = np.mgrid[:96, :96]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 6.0)
    noise = np.random.default_rng(seed).normal(scale=0.005, size=(3, 96, 96))
    return Tile((0.6 + 0.1 * wave + noise).astype(np.float32))


def spec() -> RestorerSpec:
    return RestorerSpec(mean=(16, 16), diffusion=(8, 8), harmoniser=(8,))


def test_batches_show_known_pixels_only_and_score_gaps_only():
    tile = ridges(0.4)
    image = tile.image.copy()
    image[:, 40:50, 40:50] = np.nan
    batch = RestorationTask([Tile(image)], gaps, crop=SIDE).batch(np.random.default_rng(0), 6)
    known, missing, truth = batch["known"], batch["missing"], batch["truth"]

    assert float((known * missing).max()) == 0.0
    assert bool(((known + missing) <= 1.0).all())
    unseen = (known + missing) == 0.0
    assert 0 < int(unseen.sum()) <= 6 * 100
    assert bool((truth[unseen.expand_as(truth)] == 0.0).all())
    # The guess is made of what is known: of the truth elsewhere it holds nothing.
    again = smooth_fill(torch.where(known > 0.5, truth, torch.nan), known)
    assert torch.equal(batch["guess"], again)
    shown = torch.where(known > 0.5, truth, torch.nan).flatten(2)
    assert torch.allclose(shown.nanmean(dim=-1), torch.zeros(6, 3), atol=1e-4)


def test_a_batch_is_a_function_of_its_generator():
    task = RestorationTask([ridges(0.4), ridges(1.0)], gaps, crop=SIDE)
    one, two = (task.batch(np.random.default_rng([3, 1]), 2) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_mean_network_learns_to_carry_ridges_across_a_gap():
    torch.manual_seed(0)
    net = Restorer(spec())
    task = RestorationTask([ridges(0.3), ridges(1.9)], gaps, crop=SIDE)
    recipe = training.Recipe(steps=60, batch=8, schedule="short", peak_rate=4e-3)
    state = training.advance(training.fresh(net.mean, recipe), task, 60, threads=1)
    held_out = RestorationTask([ridges(1.1, seed=1)], gaps, crop=SIDE)
    batch = held_out.batch(np.random.default_rng(9), 16)
    with torch.no_grad():
        estimate = state.module.eval()(batch["guess"], batch["known"])
    missing = (batch["missing"] > 0.5).expand_as(batch["truth"])

    before = (batch["guess"] - batch["truth"])[missing].square().mean()
    after = (estimate.mean - batch["truth"])[missing].square().mean()
    assert float(after) < 0.75 * float(before)
    error = (estimate.mean - batch["truth"]).abs()[missing]
    assert float(torch.corrcoef(torch.stack([error, estimate.spread[missing]]))[0, 1]) > 0.1


@pytest.mark.parametrize("stage", ["diffusion", "harmoniser"])
def test_later_stages_learn_on_what_the_mean_network_says(stage: str):
    torch.manual_seed(0)
    net = Restorer(spec()).eval()
    task = RestorationTask([ridges(0.3)], gaps, crop=SIDE, stage=stage, restorer=net)
    recipe = training.Recipe(steps=12, batch=4, schedule="short", peak_rate=3e-3)
    losses: list[float] = []
    training.advance(
        training.fresh(getattr(net, stage), recipe),
        task,
        12,
        threads=1,
        on_step=lambda _step, loss, _rate: losses.append(loss),
    )

    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert all(parameter.grad is None for parameter in net.mean.parameters())


def test_texture_is_fitted_to_residuals():
    net = Restorer(spec()).eval()
    before = net.texture.kernel.clone()
    fit_texture(net, RestorationTask([ridges(0.3)], gaps, crop=SIDE), batches=2, size=4)

    assert not torch.equal(net.texture.kernel, before)
    energy = net.texture.kernel.square().sum(dim=(1, 2))
    assert torch.allclose(energy, torch.ones_like(energy), atol=1e-5)
    # The three bands of the tile are one wave: their residuals are nearly the same.
    mixing = net.texture.mixing
    assert float(mixing[1, 0]) > 0.9 * float(mixing[1].norm())


def test_structure_is_neither_slope_nor_noise():
    noise = np.random.default_rng(0).normal(size=(1, 128, 128)).astype(np.float32)
    slope = np.broadcast_to(np.arange(128.0, dtype=np.float32), (1, 128, 128))
    waves = np.sin(slope * np.pi / 6.0)

    assert abs(structure(noise)) < 0.2
    assert structure(slope) == 0.0
    # Across rows 4 u at lag 6, where the wave turns over; nothing along columns.
    assert structure(waves) == pytest.approx(16 * 0.5 / 2 - 0.0718 / 4, rel=0.02)
    holes = np.where(np.random.default_rng(1).random((1, 128, 128)) < 0.2, np.nan, waves)
    assert structure(holes) == pytest.approx(structure(waves), rel=0.05)


def test_crops_come_from_what_is_measured_alone():
    image = np.full((3, 200, 200), np.nan, dtype=np.float32)
    image[:, 150:190, 20:60] = ridges(0.3).image[:, :40, :40]
    task = RestorationTask([Tile(image)], gaps, crop=SIDE)
    batch = task.batch(np.random.default_rng(0), 8)
    seen = (batch["known"] + batch["missing"]).mean(dim=(1, 2, 3))

    assert float(seen.min()) >= 0.7


def test_what_cannot_be_learnt_from_is_refused():
    tile = ridges(0.3)
    with pytest.raises(RestorationError, match="found stage 'texture'"):
        RestorationTask([tile], gaps, crop=SIDE, stage="texture")
    with pytest.raises(RestorationError, match="no mean network before 'diffusion'"):
        RestorationTask([tile], gaps, crop=SIDE, stage="diffusion")
    with pytest.raises(RestorationError, match="found no tiles"):
        RestorationTask([], gaps, crop=SIDE)
    with pytest.raises(RestorationError, match="take smaller crops"):
        RestorationTask([tile], gaps, crop=128)
    empty = Tile(np.full((3, 64, 64), np.nan, dtype=np.float32))
    with pytest.raises(RestorationError, match="found no crop of 32 pixels with 70%"):
        RestorationTask([empty], gaps, crop=SIDE)
    with pytest.raises(RestorationError, match="draw masks of the size of the crop"):
        RestorationTask([tile], gaps, crop=16).batch(np.random.default_rng(0), 1)
