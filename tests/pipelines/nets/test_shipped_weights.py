"""Weights that come with the project do on fixed tiles what their cards say.

The tiles are of Cedar, a synthetic shelf that no shipped weights saw: two of 512² pixels, made here
by seed, so that the scores are the same wherever the networks compute the same. A score that is too
low may be of the weights or of the tiles: the failure says whether the tiles are still `TILES`.

The issue's rows on real MODIS tiles (restored against original) are those of
``python -m tests.benchmarks.restoration``, which has the tiles; nothing here stands for them.
"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from pipelines.nets import (
    backends,
    checkpoints,
    gap_fill_baselines,
    inference,
    models,
    patched_restoration,
    simulated_gaps,
)
from pipelines.nets import restoration_scores as restoring
from pipelines.nets import segmentation_scores as scoring
from pipelines.nets.restoration_sums import Pair
from pipelines.nets.segmentation_training import Tile
from pipelines.worlds import antarctica, forcing, labelled_tiles, shelves

pytestmark = pytest.mark.slow

INVENTED = {"alder", "birch", "dunlin", "elder", "fir"}
"""Synthetic shelves, of which the cards tell."""
HELD_OUT = "Cedar"
LEAST_MIOU = 0.80
"""The issue's must on a held-out shelf; the card says more, over many tiles."""
LEAST_GAIN_DB = 0.3
"""Over biharmonic, on synthetic tiles; the issue's must is stated on real MODIS ones, not here."""
TILES = "751a1db26c0e334b"
"""SHA-256 of the tiles that the weights were judged on (first 16 digits), see `digest`."""


def digest(tiles: list[Tile]) -> str:
    """Hash labels, and images to a hundredth of reflectance."""
    found = hashlib.sha256()
    for tile in tiles:
        found.update(tile.label.tobytes())
        found.update(np.rint(100 * np.nan_to_num(tile.image)).astype(np.int16).tobytes())
    return found.hexdigest()[:16]


def told(tiles: list[Tile]) -> str:
    """Say for a failure whether the tiles are still those that the weights were judged on."""
    found = digest(tiles)
    if found == TILES:
        return "the tiles are those that the weights were judged on: look at networks and weights"
    return (
        f"the tiles are {found}, not {TILES}: pipelines.worlds draws other shelves than when these "
        "weights were judged; train again (infra/runs/weights) and set TILES, or undo the change"
    )


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[Tile]:
    world = antarctica.Antarctica(seed=1, anomalies=forcing.ANOMALIES + forcing.OUTLETS)
    shelf = shelves.find(world, HELD_OUT)
    folder = tmp_path_factory.mktemp("tiles")
    written = labelled_tiles.write_tiles(folder, shelves=(shelf,), views=1, seed=1)
    return [read(each.image, each.mask) for each in written]


def read(image: Path, mask: Path) -> Tile:
    with rasterio.open(image) as source:
        counts = source.read()
    with rasterio.open(mask) as source:
        label = source.read(1)
    reflectance = np.where(counts > 0, counts * np.float32(2.5e-5), np.float32(np.nan))
    return Tile(reflectance.astype(np.float32), label, HELD_OUT, image.stem)


@pytest.mark.parametrize("name", ["segmenter-b0", "restorer-lossless"])
def test_shipped_weights_open_and_say_what_they_saw(name: str) -> None:
    data = models.shipped(name)

    state, card = checkpoints.read(data, name=name)

    assert len(data) < 16e6
    assert card.licence == "Apache-2.0"
    assert INVENTED & set(re.findall("[a-z]+", f"{card.data} {card.split}".casefold()))
    assert "MODIS" not in json.dumps([card.data, card.split])
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())


def test_the_shipped_segmenter_maps_damage_of_a_shelf_it_never_saw(tiles: list[Tile]) -> None:
    network = models.opened(models.shipped("segmenter-b0"), name="shipped", task="segmentation")
    predictor = backends.predictor(network, device="cpu", threads=1)

    tallies = [
        scoring.tally(
            inference.blended(predictor, tile.image), tile.label, name=tile.name, region="cedar"
        )
        for tile in tiles
    ]

    assert "cedar" in network.card.split.lower()
    assert scoring.scores(scoring.pooled(tallies)).miou >= LEAST_MIOU, told(tiles)


def test_the_shipped_restorer_beats_biharmonic_in_gaps(tiles: list[Tile]) -> None:
    network = models.opened(models.shipped("restorer-lossless"), name="shipped", task="restoration")
    side, pairs = 256, {"ours": [], "biharmonic": []}
    for n, tile in enumerate(tiles):
        image = tile.image[:, :side, :side]
        gap = simulated_gaps.draw(np.random.default_rng([1, n]), (side, side))
        gap &= np.isfinite(image).all(axis=0)
        hidden = np.where(gap, np.float32(np.nan), image)
        found = patched_restoration.restored(network, hidden, gap, samples=1, steps=4)
        pairs["ours"].append(Pair(image, found.mean, gap))
        pairs["biharmonic"].append(
            Pair(image, gap_fill_baselines.FILLS["biharmonic"](hidden, gap), gap)
        )
        np.testing.assert_array_equal(found.mean[:, ~gap], hidden[:, ~gap])

    psnr = {
        name: restoring.score(each, replicates=1).gaps["psnr"].value for name, each in pairs.items()
    }
    assert psnr["ours"] >= psnr["biharmonic"] + LEAST_GAIN_DB, told(tiles)
