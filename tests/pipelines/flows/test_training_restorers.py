"""Trainings of restorers: each phase learns, stages are judged, what is untried is not used."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from pipelines import tables
from pipelines.flows import gap_trials as trials
from pipelines.flows import training, training_stages
from pipelines.flows import training_networks as networks
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.training_rounds import phases_of, rounds_of
from pipelines.nets import models
from pipelines.nets.extra_channels import appended
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.segmentation_training import SegmentationTask, Tile
from pipelines.settings_training import RestorerSteps, TrainingChoices

from . import networks_world as world
from .conftest import Document, changed, opened

REGIONS = ("amery", "cook")
STEPS = {"mean": 2, "texture": 1, "diffusion": 2, "harmoniser": 2}
CHOICES = {
    "task": "restoration", "network": "lossless", "rounds": 1, "crops": 1, "crop": 32,
    "restorer_steps": STEPS, "schedule": "short", "peak_rate": 0.01,
    "holdout": ["cook"], "name": "filler",
}  # fmt: skip
SEGMENTER = {
    "network": "tiny", "detail": 4, "steps": 2, "rounds": 1, "crops": 1, "crop": 32,
    "schedule": "short", "holdout": ["cook"], "name": "filler",
}  # fmt: skip
LATENT = {"autoencoder": (8, 8, 8), "denoiser": (8, 16)}

MakeRun = Callable[..., Document]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    drawn = [world.drawn(f"{region}-0", region, side=64) for region in REGIONS]
    world.add_tiles(folder / "catalogue", drawn, folder, "tiles")
    world.add_weights(folder / "catalogue", world.segmenter_bytes(seed=10), "judge", folder)
    nerd = world.segmenter_bytes(extras=("nerd",))
    world.add_weights(folder / "catalogue", nerd, "nerd", folder)
    return folder / "catalogue"


@pytest.fixture
def run(catalogue: Path) -> MakeRun:
    def made(choices: Document, segmenter: str | None = None, **changes: Any) -> Document:
        document = world.document(
            "training", catalogue, inputs={"labels": ["tiles"], "segmenter": segmenter},
            training=choices,
        )  # fmt: skip
        return changed(document, **changes)

    return made


@contextmanager
def small() -> Iterator[None]:
    """Build restorers of few channels, with the networks that the run asks for."""
    spec = networks._restorer_spec

    def smaller(choices: Any) -> RestorerSpec:
        full = spec(choices)
        widths = {name: (8,) if getattr(full, name) else () for name in ("mean", "diffusion")}
        harmoniser = (8,) if full.harmoniser else ()
        latent = LATENT if full.profile == "kl" else {}
        return networks.dataclasses.replace(full, **widths, harmoniser=harmoniser, latent=latent)

    with mock.patch.object(networks, "_restorer_spec", smaller):
        yield


def test_every_network_of_the_default_phases_learns_and_every_chain_is_judged(run, tmp_path):
    with small():
        plan = world.plan_of(run(CHOICES, "nets/judge"), tmp_path)
        untrained = networks.built(plan.stages[0].job.choices).state_dict()
        outcome = world.executed(plan)

    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    names = [stage.name.partition(" ")[0] for stage in plan.stages]
    assert names == ["mean", "texture", "diffusion", "harmoniser", "score"]
    data = (tmp_path / "out" / "weights" / "filler.safetensors").read_bytes()
    network = models.opened(data, name="filler", task="restoration")
    for part in ("mean", "diffusion", "harmoniser"):
        learnt = {k: v for k, v in network.state_dict().items() if k.startswith(f"{part}.")}
        assert learnt
        assert any(not torch.allclose(v, untrained[k], atol=1e-3) for k, v in learnt.items()), part
    rows = tables.read_rows((tmp_path / "out" / "tables" / "scores.csv").read_bytes())
    agreed = {row.note.split(";")[0] for row in rows if row.quantity == "miou"}
    chains = ("first-guess", "mean", "mean+harmoniser", "diffusion", "diffusion+harmoniser")
    assert agreed >= {f"method={name}" for name in chains}
    assert "segmentations agree by" in network.card.note
    assert "Chosen on the tiles that were left out" in network.card.note
    assert "batch" not in network.card.recipe


def test_without_a_segmenter_the_card_says_that_psnr_decided(run, tmp_path):
    choices = CHOICES | {"restorer_steps": STEPS | {"diffusion": 0, "harmoniser": 0}}
    with small():
        outcome = world.executed(world.plan_of(run(choices), tmp_path))

    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    assert np.isfinite(opened(tmp_path / "out")["trial_mean_harmoniser"][...]).all()
    card = models.opened(
        (tmp_path / "out" / "weights" / "filler.safetensors").read_bytes(), name="filler"
    ).card
    assert "PSNR alone decided." in card.note


def test_without_left_out_tiles_the_mean_network_is_used_alone_and_it_is_said(run, tmp_path):
    with small():
        plan = world.plan_of(run(CHOICES | {"holdout": []}), tmp_path)
        world.executed(plan)
    data = (tmp_path / "out" / "weights" / "filler.safetensors").read_bytes()
    network = models.opened(data, name="filler")

    assert any("its mean network will be used alone" in note for note in plan.notes)
    assert (network.spec.chain, network.spec.sampler) == (("mean",), "texture")
    assert "no stage was tried, so the mean network is used alone" in network.card.note


def test_a_latent_diffusion_that_nobody_tried_is_not_used():
    kl = Restorer(RestorerSpec("kl", mean=(), diffusion=(), latent=LATENT, chain=(), sampler=""))

    assert networks.unproved(kl)[:2] == ((), "")


@pytest.mark.parametrize("choices", [CHOICES, SEGMENTER], ids=["restorer", "segmenter"])
def test_weights_are_published_even_if_no_tile_can_be_scored(run, tmp_path, choices):
    small_steps = {"restorer_steps": STEPS | {"diffusion": 0}} if "task" in choices else {}

    def broken(*_: Any) -> None:
        raise torch.OutOfMemoryError

    with (
        small(),
        mock.patch.object(training_stages.ScoreOpened, "_restore", broken),
        mock.patch.object(training_stages.ScoreOpened, "_segment", broken),
    ):
        outcome = world.executed(world.plan_of(run(choices | small_steps), tmp_path))

    assert outcome.failed == 1
    card = models.opened(
        (tmp_path / "out" / "weights" / "filler.safetensors").read_bytes(), name="filler"
    ).card
    assert "could be scored" in card.note
    assert card.scores == {}


@pytest.mark.parametrize(
    ("choices", "segmenter", "told"),
    [
        ({"restorer_steps": STEPS | {"mean": 0}}, None, "restorer_steps.mean: found 0 beside"),
        ({"channels": ["red", "blue"]}, "nets/judge", "or null to do without"),
    ],
)
def test_what_cannot_be_built_on_or_judged_is_refused(run, tmp_path, choices, segmenter, told):
    with pytest.raises(InputError, match=told):
        world.plan_of(run(CHOICES | choices, segmenter), tmp_path)


def test_a_segmenter_sees_the_band_of_a_restorer_of_one_as_each_of_its_own(run, tmp_path):
    plan = world.plan_of(run(CHOICES | {"channels": ["red"]}, "nets/judge"), tmp_path)
    judge = plan.stages[-1].job.opened("cpu")._predictor()
    image = np.full((1, 1, 32, 32), 0.5, np.float32)
    valid = np.ones((1, 32, 32), bool)

    whole = judge.segmenting.predictor.predict(np.repeat(image, 3, axis=1), valid)
    np.testing.assert_array_equal(judge.predict(image, valid), whole)


def test_a_segmenter_with_extra_channels_makes_them_of_what_was_restored(run, tmp_path):
    plan = world.plan_of(run(CHOICES, "nets/nerd"), tmp_path)
    judge = plan.stages[-1].job.opened("cpu")._predictor()
    rng = np.random.default_rng(2)
    image, valid = rng.random((1, 3, 32, 32), np.float32), np.ones((1, 32, 32), bool)

    shown = appended(image[0], ("nerd",))[None]
    whole = judge.segmenting.predictor.predict(shown, valid)
    np.testing.assert_array_equal(judge.predict(image, valid), whole)


def test_a_harmoniser_learns_from_what_the_latent_diffusion_says():
    choices = TrainingChoices(
        task="restoration", network="kl", crops=2, crop=32, schedule="short",
        restorer_steps=RestorerSteps(autoencoder=0, latent=0, harmoniser=2),
    )  # fmt: skip
    rng = np.random.default_rng(1)
    tiles = [Tile(rng.random((3, 64, 64), np.float32), np.zeros((64, 64), np.uint8), "a", "a-0")]
    (turn,) = rounds_of(phases_of(choices), rounds=1)
    with small():
        network: Any = networks.built(choices)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses: list[float] = []
    networks.taught(
        network, None, turn, tiles, choices, fold=0, device="cpu",
        on_step=lambda _, loss, __: losses.append(loss),
    )  # fmt: skip

    learnt = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert learnt
    assert all(name.startswith("harmoniser.") for name in learnt)
    assert np.isfinite(losses).all()
    names = [name for name, _, _ in trials.candidates(network)]
    assert names == ["first-guess", "latent", "latent+harmoniser"]


def test_a_run_file_reaches_recipe_and_network():
    choices = TrainingChoices(weight_decay=0.2, clip=0.5, magnify=2, network="tiny")
    (turn,) = rounds_of(phases_of(choices), rounds=1)
    recipe = networks.recipe_of(choices, turn, fold=0)

    assert (recipe.weight_decay, recipe.clip) == (0.2, 0.5)
    assert networks.built(choices).spec.magnify == 2
    large = TrainingChoices(task="restoration", network="kl", size="large")
    assert networks._restorer_spec(large).latent["denoiser"] == [192, 384, 576]


@pytest.mark.parametrize("extras", [(), ("nerd",)])
def test_tiles_take_as_much_memory_as_the_plan_promises(extras):
    choices = TrainingChoices(extras=extras)
    side = 512
    source: Any = mock.Mock(shape=(side, side))
    promised = training.sizes_of(choices)(source)
    tracemalloc.start()
    label = np.zeros((side, side), np.uint8)
    label[: side // 4] = 1
    tile = Tile(np.ones((3, side, side), np.float32), label, "a", "a-0")
    seen = tile
    if extras:
        image = np.concatenate([tile.image, np.ones((1, side, side), np.float32)])
        seen = Tile(image, label, "a", "a-0")
    task = SegmentationTask([seen], 32)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(task.tiles) == 1
    assert 0.95 < held / promised < 1.05
