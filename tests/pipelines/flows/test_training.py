"""Trainings: what folds see, kills that change no bit, weights that open, and what is refused."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import pytest
import torch
import zarr

from cluster.ledger import Receipt
from pipelines import tables
from pipelines.flows import training_networks as networks
from pipelines.flows import training_stages
from pipelines.flows.catalogue_inputs import InputError
from pipelines.nets import backends, checkpoints, inference, models, segmentation_scores
from pipelines.nets.segmentation_training import SegmentationTask

from . import networks_world as world
from .conftest import Document, changed, opened

REGIONS = ("amery", "brunt", "cook")
TINY = {
    "network": "tiny", "detail": 4, "steps": 5, "rounds": 3, "crops": 2, "crop": 64,
    "schedule": "short", "augmentation": "light", "holdout": ["cook"], "name": "net",
    "licence": "CC0-1.0",
}  # fmt: skip
RESTORER = {
    "task": "restoration", "network": "lossless", "rounds": 2, "crops": 1, "crop": 32,
    "restorer_steps": {"mean": 2, "texture": 1, "diffusion": 0, "harmoniser": 0},
    "schedule": "short", "holdout": ["cook"], "name": "filler",
}  # fmt: skip
TILES = {
    f"{region}-{n}": world.drawn(
        f"{region}-{n}", region, bands=1 if (region, n) == ("cook", 1) else 3
    )
    for region in REGIONS
    for n in range(2)
}
"""Two of each region, one of them of a single band."""

MakeRun = Callable[..., Document]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    world.add_tiles(folder / "catalogue", list(TILES.values()), folder, "tiles")
    return folder / "catalogue"


@pytest.fixture(scope="module")
def run(catalogue: Path) -> MakeRun:
    def made(choices: Document = TINY, **changes: Any) -> Document:
        document = world.document(
            "training", catalogue, inputs={"labels": ["tiles"]}, training=choices
        )
        return changed(document, **changes)

    return made


@pytest.fixture(scope="module")
def finished(run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of a training that ran through."""
    folder = tmp_path_factory.mktemp("finished")
    outcome = world.executed(world.plan_of(run(), folder))
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return folder / "out"


def weights_of(output: Path, name: str = "net") -> bytes:
    return (output / "weights" / f"{name}.safetensors").read_bytes()


def tensors(output: Path) -> dict[str, bytes]:
    state, _ = checkpoints.read(weights_of(output), name="net")
    return {name: value.numpy().tobytes() for name, value in state.items()}


def test_rounds_are_stages_and_tiles_that_were_left_out_are_scored_last(run, tmp_path):
    plan = world.plan_of(run(), tmp_path)

    assert [stage.name for stage in plan.stages] == [
        "segmenter 0", "segmenter 1", "segmenter 2", "score",
    ]  # fmt: skip
    assert [stage.keys for stage in plan.stages] == [
        ("train/0/0",), ("train/0/1",), ("train/0/2",), ("score/0", "score/1"),
    ]  # fmt: skip
    assert sum(turn.steps for turn in plan.stages[0].job.rounds) == 5


def test_a_fold_learns_from_no_tile_of_a_region_that_it_scores(run, tmp_path):
    plan = world.plan_of(run(TINY | {"holdout": [], "folds": 2}), tmp_path)
    learnt, scored = plan.stages[0].job.tiles, plan.stages[-1].job.tiles

    for fold, tiles in learnt.items():
        regions = {tile.region for tile, of in scored if of == fold}
        assert regions
        assert regions.isdisjoint(tile.region for tile in tiles)
    assert sorted(tile.name for tile, _ in scored) == sorted(TILES)


def test_a_training_that_was_killed_twice_ends_with_the_same_bits(finished, run, tmp_path):
    class KilledError(BaseException):
        pass

    def killed(_: object) -> None:
        raise KilledError

    for _ in range(2):
        with world.here(), pytest.raises(KilledError):
            world.plan_of(run(), tmp_path).execute(on_receipt=killed)
    assert not (tmp_path / "out" / "item.json").exists()
    outcome = world.executed(world.plan_of(run(), tmp_path))

    assert (outcome.done, outcome.failed, outcome.left) == (5, 0, 0)
    assert tensors(tmp_path / "out") == tensors(finished)
    for name in ("network", "training", "curve"):
        ours, theirs = (opened(at)[f"fold/0/{name}"][...] for at in (tmp_path / "out", finished))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_training_whose_actor_is_killed_ends_with_the_same_bits(finished, run, tmp_path):
    """On actors of Ray: the one that has the second round is killed while it begins."""
    killed: list[int] = []

    def kill_next(receipt: Receipt) -> None:
        if receipt.key.startswith("train/0/0"):
            threading.Thread(target=kill_an_actor, args=(killed,), daemon=True).start()

    outcome = world.plan_of(run(), tmp_path).execute(on_receipt=kill_next)

    assert (outcome.done, outcome.failed, outcome.left) == (5, 0, 0), outcome.failures
    assert len(killed) == 1
    assert tensors(tmp_path / "out") == tensors(finished)


def kill_an_actor(killed: list[int]) -> None:
    """Kill the first actor that holds a model and did not when this was called."""
    before = set(actors())
    deadline = time.monotonic() + 120.0
    while not killed and time.monotonic() < deadline:
        for pid in set(actors()) - before:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            break
        time.sleep(0.01)


def actors() -> Iterator[int]:
    """Yield the processes of actors that this process's Ray has started."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "ray::GpuWorker" in "".join(child.cmdline()):
                yield child.pid


def test_weights_open_and_their_card_tells_what_they_saw_and_reach(finished):
    network = models.opened(weights_of(finished), name="net", task="segmentation")
    card = network.card

    assert network.spec.backbone == "tiny"
    assert card.data == "4 annotated tiles of tiles, 2 regions: amery, brunt"
    assert card.split == "by region; left out and scored: cook"
    assert (card.licence, card.recipe["steps"], card.recipe["seed"]) == ("CC0-1.0", 5, 1)
    assert card.recipe["seconds"] > 0
    assert "cook" in (finished / "weights" / "net.md").read_text()


def test_scores_are_those_of_the_network_as_it_was_kept(finished, run, tmp_path):
    group = opened(finished)
    choices = world.plan_of(run(), tmp_path).stages[0].job.choices
    last = training_stages.kept(group, "fold/0/network", 2)
    network = networks.with_weights(networks.built(choices), last).eval()
    predictor = backends.predictor(network, device="cpu", backend="torch", threads=1)
    tallies = []
    for tile in (TILES["cook-0"], TILES["cook-1"]):
        image = np.repeat(tile.image, 3 // len(tile.image), axis=0)
        probability = inference.blended(predictor, image, tile=96, overlap=12)
        label = np.where(np.isfinite(image).all(axis=0), tile.label, 255).astype(np.uint8)
        tallies.append(segmentation_scores.tally(probability, label, name=tile.name, region="cook"))
    table = segmentation_scores.score_table(tallies)

    rows = tables.read_rows((finished / "tables" / "scores.csv").read_bytes())
    found = {row.quantity: row.value for row in rows if row.region == "pooled"}
    assert found["miou"] == pytest.approx(table.pooled["miou"].value)
    assert found["overall_accuracy"] == pytest.approx(table.pooled["accuracy"].value)
    assert {row.region for row in rows} == {"pooled", "cook"}
    card = models.opened(weights_of(finished), name="net").card
    assert card.scores["miou"] == pytest.approx(found["miou"], abs=1e-6)


def test_receipts_say_what_was_learnt_from_and_which_network_was_scored(finished):
    found = world.receipts(finished)

    assert found["train/0/0"].inputs == ("amery-0", "amery-1", "brunt-0", "brunt-1")
    assert all(receipt.output_sha256 for receipt in found.values())
    assert len({found[f"score/{n}"].model for n in range(2)} - {""}) == 1
    assert (finished / "figures" / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_not_finite_fails_the_round_and_ends_the_training(run, tmp_path):
    loss = SegmentationTask.loss
    calls: list[int] = []

    def spoilt(task: Any, module: Any, batch: Any) -> Any:
        calls.append(1)
        return loss(task, module, batch) * (float("nan") if len(calls) == 3 else 1.0)

    with mock.patch.object(SegmentationTask, "loss", spoilt):
        outcome = world.executed(world.plan_of(run(), tmp_path))

    assert (outcome.done, outcome.failed) == (1, 1)
    assert outcome.failures[0][0].startswith("train/0/1@")
    assert "segmenter of fold 0" in outcome.failures[0][1]
    assert "nan" in outcome.failures[0][1]
    assert set(world.receipts(tmp_path / "out")) == {"train/0/0", "train/0/1"}
    assert not (tmp_path / "out" / "weights").exists()


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"holdout": ["atlantis"]}, "no tile of atlantis; there are amery, brunt, cook"),
        ({"holdout": [], "folds": 4}, r"3 regions .* do not make 4 folds"),
        ({"holdout": list(REGIONS)}, "hold out fewer regions"),
    ],
)
def test_splits_that_leave_nothing_to_learn_or_to_score_are_refused(run, tmp_path, choices, told):
    with pytest.raises(InputError, match=told):
        world.plan_of(run(TINY | choices), tmp_path)


def test_weights_of_another_network_cannot_begin_a_training(catalogue, run, tmp_path):
    other = world.add_weights(catalogue, world.segmenter_bytes(), "other", tmp_path / "w")
    filler = world.add_weights(catalogue, world.restorer_bytes(), "filler", tmp_path / "w")
    inputs = {"labels": ["tiles"]}

    with pytest.raises(InputError, match=r"nets/other cannot begin a training of tiny.*another"):
        world.plan_of(run(TINY | {"detail": 8}, inputs={**inputs, "start": other}), tmp_path)
    with pytest.raises(InputError, match="task is restoration, expected segmentation"):
        world.plan_of(run(inputs={**inputs, "start": filler}), tmp_path)
    plan = world.plan_of(run(inputs={**inputs, "start": other}), tmp_path)
    given = models.opened(world.segmenter_bytes(), name="other").state_dict()
    begun = networks.built(plan.stages[0].job.choices, plan.stages[0].job.start.read())
    assert all(torch.equal(given[name], value) for name, value in begun.state_dict().items())


@pytest.fixture(scope="module")
def begun(catalogue: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return how a run file names the weights of the finished training."""
    folder = tmp_path_factory.mktemp("begun")
    return world.add_weights(catalogue, weights_of(finished), "begun", folder)


def test_weights_that_have_learnt_what_is_to_be_scored_cannot_begin_a_training(
    begun, run, tmp_path
):
    start = {"labels": ["tiles"], "start": begun}

    for wanted in ({"holdout": ["brunt"]}, {"holdout": [], "folds": 3}):
        with pytest.raises(InputError, match=r"nets/begun has learnt from (amery, )?brunt"):
            world.plan_of(run(TINY | wanted, inputs=start), tmp_path)


def test_a_card_tells_of_the_weights_that_the_training_began_from(begun, finished, run, tmp_path):
    """They saw amery and brunt: those that learn from cook after them have seen all three."""
    wanted = TINY | {"holdout": [], "steps": 1, "rounds": 1, "licence": "MIT"}
    plan = world.plan_of(run(wanted, inputs={"labels": ["tiles"], "start": begun}), tmp_path)
    world.executed(plan)

    card = models.opened(weights_of(tmp_path / "out"), name="net").card
    assert card.recipe["regions"] == ["amery", "brunt", "cook"]
    assert card.recipe["start"] == {
        "name": begun, "licence": "CC0-1.0",
        "sha256": hashlib.sha256(weights_of(finished)).hexdigest(),
    }  # fmt: skip
    assert any("begins from nets/begun (licence CC0-1.0)" in note for note in plan.notes)


def test_a_band_that_tiles_lack_fails_the_first_round_by_the_name_of_the_tile(run, tmp_path):
    wanted = TINY | {"channels": ["red", "nir08", "blue"]}
    outcome = world.executed(world.plan_of(run(wanted), tmp_path))

    assert outcome.failed == 1
    assert "amery-0" in outcome.failures[0][1]
    assert "nir08" in outcome.failures[0][1]


def test_a_restorer_is_tried_on_what_was_left_out_and_its_card_says_what_is_used(run, tmp_path):
    small = {"diffusion": (), "mean": (8, 16)}
    spec = networks._restorer_spec

    def smaller(choices: Any) -> Any:
        return networks.dataclasses.replace(spec(choices), **small)

    with mock.patch.object(networks, "_restorer_spec", smaller):
        plan = world.plan_of(run(RESTORER), tmp_path)
        outcome = world.executed(plan)

    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    group = opened(tmp_path / "out")
    assert np.isfinite(group["trial_mean"][...]).all()
    assert group["trial_pixels"][...].sum() > 0
    rows = tables.read_rows((tmp_path / "out" / "tables" / "scores.csv").read_bytes())
    methods = {row.note.split(";")[0] for row in rows}
    assert {"method=biharmonic", "method=first-guess", "method=mean"} <= methods
    network = models.opened(weights_of(tmp_path / "out", "filler"), name="filler")
    assert "is used" in network.card.note
    assert network.spec.chain in {(), ("mean",)}


def test_bytes_of_a_round_are_read_back_and_too_many_are_refused():
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    group.create_array("slots", shape=(2, 32), dtype="uint8")
    for number in range(3):
        training_stages.keep(group, "slots", number, bytes([number]) * (5 + number))

    assert training_stages.kept(group, "slots", 2) == b"\x02" * 7
    assert training_stages.kept(group, "slots", 1) == b"\x01" * 6
    with pytest.raises(ValueError, match="do not fit"):
        training_stages.keep(group, "slots", 3, bytes(25))
