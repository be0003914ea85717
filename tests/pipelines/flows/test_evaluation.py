"""Evaluations: scores are those of the stored maps, and a tile that cannot be used fails alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import save_file

from pipelines import settings, tables
from pipelines.cli import main
from pipelines.flows import evaluation_stages, evaluation_uncertainty, segmenting
from pipelines.flows import gap_trials as trials
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.network_inputs import TileSource, another_date
from pipelines.nets import (
    backends,
    inference,
    models,
    perceptual_distance,
    restoration_scores,
    segmentation_scores,
)
from pipelines.nets.gap_fill_baselines import FILLS
from pipelines.nets.restoration_scores import FractionScores, Interval, RestorationScores
from pipelines.nets.restoration_sums import Pair
from pipelines.nets.segmentation_training import Tile

from . import networks_world as world
from .conftest import Document, changed, opened

MakeRun = Callable[..., Document]
FULL = [world.drawn("amery-0", "amery"), world.drawn("brunt-0", "brunt", missing=0.0)]
GREY = world.drawn("cook-0", "cook", bands=1)


def scattered() -> world.Drawn:
    """Return a tile of which no pixel was measured in all bands."""
    tile = world.drawn("drift-0", "drift", missing=0.0)
    tile.counts[0, :, :48] = 0
    tile.counts[1, :, 48:] = 0
    return tile


TILES = (*FULL, GREY, scattered())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold tiles, among them one of a single band and one never measured whole, and weights."""
    made = tmp_path_factory.mktemp("evaluation")
    world.add_tiles(made / "catalogue", TILES, made / "in", "tiles")
    world.add_weights(made / "catalogue", world.segmenter_bytes(), "segmenter", made / "in")
    world.add_weights(made / "catalogue", world.restorer_bytes(), "filler", made / "in")
    return made


@pytest.fixture(scope="module")
def segmenter() -> Any:
    network: Any = models.opened(world.segmenter_bytes(), name="s", task="segmentation")
    return backends.predictor(network, device="cpu", backend="torch", threads=1)


@pytest.fixture(scope="module")
def threshold(segmenter: Any) -> float:
    """Return what half of the pixels of a tile are above: the network is untrained."""
    found = inference.blended(segmenter, seen(FULL[1]), tile=96, overlap=48)
    return round(float(np.median(found)), 4)


@pytest.fixture(scope="module")
def run(folder: Path, threshold: float) -> MakeRun:
    def made(**changes: Any) -> Document:
        document = world.document(
            "evaluation",
            folder / "catalogue",
            inputs={"labels": ["tiles"], "segmenter": "nets/segmenter"},
            evaluation={
                "backend": "torch", "patch": 64, "samples": 2, "sampler_steps": 2,
                "baselines": ["linear"], "resamples": 50, "threshold": threshold,
            },
        )  # fmt: skip
        return changed(document, **changes)

    return made


@pytest.fixture(scope="module")
def finished(run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("finished")
    outcome = world.executed(world.plan_of(run(inputs={"restorer": "nets/filler"}), made))
    assert (outcome.done, outcome.failed, outcome.left) == (8, 0, 0), outcome.failures
    return made / "out"


def scores(output: Path, region: str = "pooled") -> dict[str, float]:
    rows = tables.read_rows((output / "tables" / "scores.csv").read_bytes())
    told = [row for row in rows if row.region == region and "method" not in row.note]
    return {row.quantity: row.value for row in told if "baseline" not in row.note}


def seen(tile: world.Drawn) -> np.ndarray:
    return np.repeat(tile.image, 3 // len(tile.image), axis=0)


def test_scores_are_those_of_the_maps_of_the_network(finished, segmenter, threshold):
    tallies, hits = [], np.zeros(3)
    for tile in TILES:
        image = seen(tile)
        label = np.where(np.isfinite(image).all(axis=0), tile.label, 255).astype(np.uint8)
        probability = inference.blended(segmenter, image, tile=96, overlap=48)
        tallies.append(
            segmentation_scores.tally(
                probability, label, name=tile.name, region=tile.region, threshold=threshold
            )
        )
        said, known = np.nan_to_num(probability) > threshold, label != 255
        damage = label == 1
        hits += [(said & damage).sum(), (said & known & ~damage).sum(), (~said & damage).sum()]
    table = segmentation_scores.score_table(tallies)

    found = scores(finished)
    assert found["iou"] == pytest.approx(hits[0] / hits.sum())
    assert found["miou"] == pytest.approx(table.pooled["miou"].value)
    assert found["recall"] == pytest.approx(hits[0] / (hits[0] + hits[2]))
    assert scores(finished, "brunt")["overall_accuracy"] == pytest.approx(
        table.regions["brunt"].accuracy
    )
    assert 0.0 <= found["expected_calibration_error"] <= 1.0


def test_maps_are_stored_in_steps_of_a_254th_and_nothing_where_nothing_was_measured(
    finished, segmenter
):
    group = opened(finished)
    expected = inference.blended(segmenter, seen(TILES[0]), tile=96, overlap=48)
    counts = group["tiles/0/probability"][...]

    np.testing.assert_array_equal(counts == 0, np.isnan(expected))
    known = counts > 0
    np.testing.assert_allclose((counts[known] - 1.0) / 254.0, expected[known], atol=0.5 / 254)
    assert (group["tiles/3/probability"][...] == 0).all()
    assert (group["tiles/3/label"][...] == 255).all()


def test_a_tile_never_measured_whole_adds_nothing(finished):
    group = opened(finished)

    assert group["counts"][3].sum() == 0
    assert group["trial_pixels"][3].sum() == 0
    assert "drift" not in {
        row.region for row in tables.read_rows((finished / "tables/scores.csv").read_bytes())
    }


def test_a_tile_of_one_band_is_seen_as_three(finished, segmenter):
    expected = inference.blended(segmenter, seen(GREY), tile=96, overlap=48)
    counts = opened(finished)["tiles/2/probability"][...]

    np.testing.assert_allclose(
        (counts[counts > 0] - 1.0) / 254.0, expected[np.isfinite(expected)], atol=0.5 / 254
    )


def test_a_method_is_scored_as_if_by_hand(finished):
    pairs = []
    for tile in (FULL[0], FULL[1], GREY):
        drawn = trials.trial(Tile(seen(tile), tile.label, tile.region, tile.name), seed=1)
        hidden = np.where(drawn.gap, np.nan, drawn.image).astype(np.float32)
        pairs.append(Pair(drawn.image, FILLS["linear"](hidden, drawn.gap), drawn.gap))
    expected = restoration_scores.score(pairs, replicates=10)
    rows = tables.read_rows((finished / "tables" / "scores.csv").read_bytes())
    found = {
        row.quantity: row.value
        for row in rows
        if row.region == "pooled" and row.note.startswith("method=linear;tiles")
    }

    assert found["psnr_gaps"] == pytest.approx(expected.gaps["psnr"].value)
    assert found["ssim"] == pytest.approx(expected.full["ssim"].value)
    assert 0.0 < found["miou"] <= 1.0


def test_a_chain_and_one_sample_of_it_are_compared_with_baselines(finished):
    rows = tables.read_rows((finished / "tables" / "scores.csv").read_bytes())
    methods = {row.note.split(";")[0].removeprefix("method=") for row in rows if "me" in row.note}

    assert {"linear", "first-guess", "mean", "mean-sample"} <= methods
    assert all(row.unit == "dB" for row in rows if row.quantity == "psnr_gaps")


def test_receipts_name_the_tile_and_the_model(finished, run, tmp_path):
    job = world.plan_of(run(), tmp_path).stages[0].job
    found = world.receipts(finished)

    assert found["segment/2"].inputs == ("cook-0",)
    assert found["segment/2"].model == job.weights.sha256
    assert found["restore/2"].model not in {"", job.weights.sha256}
    assert all((finished / "figures" / f"{name}.png").exists() for name in ("reliability", "tiles"))


class Spoilt:
    """A predictor that answers with NaN to tiles that were measured everywhere."""

    def __init__(self, network: Any) -> None:
        self._inner = backends.predictor(network, device="cpu", backend="torch", threads=1)

    def predict(self, image: Any, valid: Any) -> Any:
        found = self._inner.predict(image, valid)
        return found * np.nan if valid.all() else found


def test_a_tile_that_makes_the_model_give_nan_fails_alone(run, tmp_path, monkeypatch):
    plan = world.plan_of(run(), tmp_path)
    network = models.opened(world.segmenter_bytes(), name="s")
    monkeypatch.setattr(
        evaluation_stages,
        "segmenter_of",
        lambda *_: segmenting.Segmenting(Spoilt(network), network.spec),
    )
    outcome = world.executed(plan)

    assert (outcome.done, outcome.failed, outcome.left) == (3, 1, 0)
    assert "brunt-0: the network gave 9,216 values that are not finite" in outcome.failures[0][1]
    assert world.receipts(tmp_path / "out")["segment/1"].inputs == ("brunt-0",)
    assert "miou" in scores(tmp_path / "out")
    assert scores(tmp_path / "out", "brunt") == {}


def test_tiles_of_some_regions_can_be_tried_alone(run, tmp_path):
    plan = world.plan_of(run(evaluation={"regions_of": ["brunt", "cook"]}), tmp_path)

    assert [tile.name for tile in plan.stages[0].job.tiles] == ["brunt-0", "cook-0"]
    with pytest.raises(InputError, match="no tile of atlantis; there are amery, brunt"):
        world.plan_of(run(evaluation={"regions_of": ["atlantis"]}), tmp_path)


def test_tiles_without_any_label_are_evaluated_to_an_empty_table(run, tmp_path):
    outcome = world.executed(world.plan_of(run(evaluation={"regions_of": ["drift"]}), tmp_path))

    assert (outcome.done, outcome.failed) == (1, 0)
    assert scores(tmp_path / "out") == {}


def test_weights_of_the_wrong_role_are_refused_in_the_plan(run, tmp_path):
    with pytest.raises(InputError, match="task is restoration, expected segmentation"):
        world.plan_of(run(inputs={"segmenter": "nets/filler"}), tmp_path)
    with pytest.raises(InputError, match="task is segmentation, expected restoration"):
        world.plan_of(run(inputs={"restorer": "nets/segmenter"}), tmp_path)


class TestTrials:
    def test_a_large_tile_is_tried_where_it_was_measured_best(self):
        valid = np.zeros((400, 500), bool)
        valid[90:360, 130:450] = True
        image = np.where(valid, np.float32(0.5), np.float32(np.nan))[None].repeat(3, axis=0)
        drawn = trials.trial(
            Tile(image, np.where(valid, 0, 255).astype(np.uint8), "r", "n"), seed=1
        )

        assert drawn.image.shape == (3, 256, 256)
        assert np.isfinite(drawn.image).all()
        assert 0.05 < drawn.gap.mean() < 0.5

    def test_the_best_window_is_the_same_as_by_trying_all(self):
        valid = np.random.default_rng(2).random((23, 31)) < 0.6
        rows, columns = trials.best_measured(valid, 9)
        most = max(valid[i : i + 9, j : j + 9].sum() for i in range(15) for j in range(23))

        assert valid[rows, columns].sum() == most
        assert valid[rows, columns].shape == (9, 9)

    def test_a_tile_measured_everywhere_is_tried_in_its_middle(self):
        assert trials.best_measured(np.ones((301, 257), bool)) == (slice(22, 278), slice(0, 256))

    def test_what_a_method_leaves_open_is_scored_as_the_mean_of_what_was_known(self):
        image = np.full((1, 40, 40), 0.5, np.float32)
        gap = np.zeros((40, 40), bool)
        gap[:, 10:14] = True
        drawn = trials.Trial(image, gap, (slice(None), slice(None)))
        sums, _ = trials.sums_of(drawn, lambda hidden, _: (hidden, None))
        kept, _ = trials.sums_of(drawn, lambda hidden, _: (np.nan_to_num(hidden, nan=0.5), None))

        np.testing.assert_allclose(sums, kept, atol=1e-6)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_the_command_evaluates_on_actors_of_ray(run, tmp_path):
    path = tmp_path / "run.yaml"
    wanted = {"regions_of": ["amery", "brunt"], "actors": {"count": 1}}
    path.write_text(yaml.safe_dump(run(output=str(tmp_path / "out"), evaluation=wanted)))
    answer = CliRunner().invoke(main, ["run", str(path)])

    assert answer.exit_code == 0, answer.output
    assert "Damage on tiles that were left out" in answer.output
    rows = tables.read_rows((tmp_path / "out" / "tables" / "scores.csv").read_bytes())
    assert {row.region for row in rows} == {"pooled", "amery", "brunt"}
    assert {row.product for row in rows} == {"evaluation"}
    found = world.receipts(tmp_path / "out")
    assert all(receipt.model and receipt.output_sha256 for receipt in found.values())


def test_the_baseline_is_what_nerd_calls_damage(finished):
    rows = tables.read_rows((finished / "tables" / "scores.csv").read_bytes())
    told = {row.quantity: row.value for row in rows if row.note.startswith("baseline=nerd")}

    counts = np.zeros(4)
    for tile in TILES:
        image = seen(tile)
        label = np.where(np.isfinite(image).all(axis=0), tile.label, 255).astype(np.uint8)
        damage = segmenting.radon_damage(image.astype(np.float32))
        known = np.isfinite(damage) & (label != 255)
        hit, true = damage == 1.0, label == 1
        counts += [
            np.count_nonzero(known & hit & true), np.count_nonzero(known & hit & ~true),
            np.count_nonzero(known & ~hit & ~true), np.count_nonzero(known & ~hit & true),
        ]  # fmt: skip

    assert told["overall_accuracy"] == pytest.approx((counts[0] + counts[2]) / counts.sum())
    assert told["recall"] == pytest.approx(counts[0] / (counts[0] + counts[3]))


def test_nerd_says_nothing_of_windows_that_lack_a_pixel():
    image = np.random.default_rng(1).uniform(0.2, 0.9, (1, 22, 20)).astype(np.float32)
    image[0, 3, 4] = np.nan

    damage = segmenting.radon_damage(image)

    assert np.isnan(damage[:5, :5]).all()
    assert np.isnan(damage[20:]).all()
    assert set(np.unique(damage[5:20])) <= {0.0, 1.0}


def test_a_tile_of_another_day_is_a_baseline_for_those_of_its_place(run, folder, tmp_path):
    first = replace(world.drawn("first", "amery", side=96), day="2008-01-05")
    later = replace(first, name="later", day="2008-01-21", counts=first.counts // 2)
    alone = world.drawn("alone", "amery", side=96)
    world.add_tiles(folder / "catalogue", [first, later, alone], tmp_path / "in", "dated")
    wanted = {"labels": ["dated"], "restorer": "nets/filler"}
    methods = {"baselines": ["linear", "second-scene"]}
    outcome = world.executed(world.plan_of(run(inputs=wanted, evaluation=methods), tmp_path))

    assert (outcome.done, outcome.failed) == (6, 0), outcome.failures
    rows = tables.read_rows((tmp_path / "out" / "tables" / "scores.csv").read_bytes())
    psnr = {
        tuple(row.note.split(";")[:2]): row.value
        for row in rows
        if row.quantity == "psnr_gaps" and row.region == "pooled"
    }
    # Half as bright in all, the other day says everything that a fill can only guess.
    assert psnr["method=second-scene", "tiles=2"] > psnr["method=linear", "tiles=3"] + 10.0


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (("2008-01-05", "2008-01-21", "2008-03-01"), "1"),
        (("2008-01-05", "2008-01-05", "2008-03-01"), "2"),
        (("2008-01-05", "", ""), None),
        (("", "2008-01-05", ""), None),
    ],
)
def test_the_other_day_is_the_nearest_of_the_same_pixels(days, found):
    place = (30.0, 0.0, 15.0, 0.0, -30.0, 15.0)
    tiles = [
        TileSource(SimpleNamespace(id=str(n)), "amery", (64, 64), place, day and f"{day}T12:00:00")
        for n, day in enumerate(days)
    ]
    beside = replace(tiles[0], place=(*place[:2], 45.0, *place[3:]), day="2008-01-06T12:00:00")

    other = another_date(tiles[0], [beside, *tiles])

    assert (other and other.name) == found


def alexnet(folder: Path) -> str:
    """Write random convolutions of AlexNet's shapes, and return their address."""
    generator = torch.Generator().manual_seed(4)
    held = {}
    for index, shape in (
        (0, (64, 3, 11, 11)), (3, (192, 64, 5, 5)), (6, (384, 192, 3, 3)),
        (8, (256, 384, 3, 3)), (10, (256, 256, 3, 3)),
    ):  # fmt: skip
        held[f"features.{index}.weight"] = 0.05 * torch.randn(shape, generator=generator)
        held[f"features.{index}.bias"] = torch.zeros(shape[0])
    save_file(held, folder / "alex.safetensors")
    return str(folder / "alex.safetensors")


def test_lpips_is_told_where_a_backbone_is_named_and_it_is_part_of_the_run(run, tmp_path):
    address = alexnet(tmp_path)
    wanted = {"lpips": address, "regions_of": ["brunt"]}
    plan = world.plan_of(run(inputs={"restorer": "nets/filler"}, evaluation=wanted), tmp_path)
    outcome = world.executed(plan)
    assert (outcome.done, outcome.failed) == (2, 0), outcome.failures

    rows = tables.read_rows((tmp_path / "out" / "tables" / "scores.csv").read_bytes())
    told = {
        row.note.split(";")[0]: row.value
        for row in rows
        if row.quantity == "lpips" and row.region == "pooled"
    }
    tile = FULL[1]
    drawn = trials.trial(Tile(tile.image, tile.label, tile.region, tile.name), seed=1)
    filled = FILLS["linear"](np.where(drawn.gap, np.float32(np.nan), drawn.image), drawn.gap)
    seen_by = perceptual_distance.opened(Path(address))
    expected = seen_by.of_reflectance(filled.astype(np.float32), drawn.image)
    assert told["method=linear"] == pytest.approx(expected, rel=1e-4)
    assert any(item.role == "lpips" and item.checksum for item in plan.inputs)


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot be used"), (b"PK not a backbone", "safetensors"), ("other", "features.0")],
)
def test_a_backbone_that_cannot_be_read_is_refused_in_the_plan(run, tmp_path, content, told):
    path = tmp_path / "backbone.safetensors"
    if content == "other":
        save_file({"weight": torch.zeros(2)}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"evaluation\.lpips: .*" + told):
        world.plan_of(
            run(inputs={"restorer": "nets/filler"}, evaluation={"lpips": str(path)}), tmp_path
        )


def test_a_backbone_without_a_restorer_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"found no inputs\.restorer; name one"):
        world.plan_of(run(evaluation={"lpips": "/nowhere"}), tmp_path)


def test_the_factor_of_uncertainty_is_fitted_for_the_chain_of_the_weights(finished):
    rows = tables.read_rows((finished / "tables" / "scores.csv").read_bytes())
    found = tables.read_rows((finished / "tables" / "uncertainty.csv").read_bytes())
    raw = {
        row.note.split("gap_fraction=")[1].split(";")[0]: row.value
        for row in rows
        if row.quantity == "precision_over_recall_by_gap_fraction"
        and row.note.startswith("method=mean;")
    }
    factors = [row.value for row in found]
    held = json.loads((finished / "item.json").read_text())["properties"]

    assert {row.note.split(";")[0] for row in found} == {"method=mean"}
    assert len(factors) == len(raw)
    assert factors == sorted(factors)
    assert min(raw.values()) - 1e-6 <= factors[0] <= factors[-1] <= max(raw.values()) + 1e-6
    assert held["nunatak:uncertainty_factor"]["method"] == "mean"
    np.testing.assert_allclose(held["nunatak:uncertainty_factor"]["factors"], factors, rtol=1e-6)


def scored(psnr: float, *factors: float) -> RestorationScores:
    """Return scores with a PSNR in gaps, and factors in bins of local gap fraction."""
    of = {"psnr": Interval(psnr, psnr, psnr)}
    bins = tuple(
        FractionScores(
            0.1 * n, 0.1 * n + 0.1, 100, {"lambda": Interval(each, each, each)}, 0.1 * n + 0.03
        )
        for n, each in enumerate(factors)
    )
    return RestorationScores(1, {}, of, bins)


def test_without_the_chain_of_the_weights_the_best_one_is_told_of():
    chains = (("first-guess", (), ""), ("mean", ("mean",), "texture"))
    scores = {"first-guess": scored(20.0), "mean": scored(21.0)}

    assert evaluation_uncertainty.chosen(chains, (), scores) == "first-guess"
    assert evaluation_uncertainty.chosen(chains, ("mean", "diffusion"), scores) == "mean"


def test_a_factor_that_nothing_is_known_of_is_told_with_the_reason(run, tmp_path):
    told = evaluation_uncertainty.told("mean", scored(20.0, float("nan")))
    (row,) = told.rows(settings.read(_written(run(), tmp_path)))

    assert told.properties() == {}
    assert np.isnan(row.value)
    assert "evaluate tiles that have damage" in row.note


def test_bins_that_fall_by_chance_are_pooled():
    told = evaluation_uncertainty.told("mean", scored(20.0, 1.0, 1.21, 1.0, 1.5))

    assert told.factor is not None
    np.testing.assert_allclose(told.factor.factors, [1.0, 1.1, 1.1, 1.5])
    np.testing.assert_allclose(told.factor.fractions, [0.03, 0.13, 0.23, 0.33])


def _written(document: Document, folder: Path) -> Path:
    (folder / "run.yaml").write_text(yaml.safe_dump(document))
    return folder / "run.yaml"
