"""Networks, an image, and how others would predict it: sides of the benchmark `segmentation`."""

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import SegformerForSemanticSegmentation

from pipelines.nets import models
from pipelines.nets.checkpoints import CheckpointError
from pipelines.nets.segmenter import Segmenter, SegmenterSpec, transformers_config
from pipelines.worlds import labelled_tiles
from pipelines.worlds.antarctica import Antarctica

FLOAT = NDArray[np.float32]

TILE = 512
AUTHORS_STRIDE = TILE // 2
"""Half a tile of overlap, the default of the authors' notebook."""
AUTHORS_FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
LOGIT_DEVIATION, DAMAGED = 4.0, 0.1
"""What random networks are brought to, so that their classes are not a toss: spread of their
log-odds [1] and fraction of pixels called damage [1]."""


def image(side: int) -> FLOAT:
    """A synthetic shelf seen by Landsat, mirrored to fill a square; one corner was not measured.

    Returns
    -------
    ndarray, shape (3, side, side), float32
        Reflectance [1], NaN where not measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        shelves = labelled_tiles.tile_shelves(Antarctica())[:1]
        written = list(labelled_tiles.write_tiles(Path(folder), shelves=shelves, views=1))
        counts = [rasterio.open(tile.image).read() for tile in written]
    window = np.block([[counts[0], counts[1]], [counts[2], counts[3]]]) * np.float32(2.5e-5)
    more = max(0, side - window.shape[-1])
    whole = np.pad(window.astype(np.float32), [(0, 0), (0, more), (0, more)], mode="symmetric")
    seen: FLOAT = whole[:, :side, :side].copy()
    seen[:, : side // 16, : side // 8] = np.nan
    return seen


def network(name: str, spec: SegmenterSpec, sample: FLOAT) -> tuple[Segmenter, str]:
    """Return the shipped network of a name, or one of random weights; and which it is."""
    try:
        module = models.opened(models.shipped(name), name=name)
    except CheckpointError:
        return spread(spec, sample), "random weights, log-odds spread"
    assert isinstance(module, Segmenter)
    return module, "shipped weights"


def spread(spec: SegmenterSpec, sample: FLOAT, *, seed: int = 0) -> Segmenter:
    """Return a network of random weights whose log-odds are spread like those of a trained one.

    Parameters
    ----------
    spec : SegmenterSpec
        Its form.
    sample : ndarray, shape (c, h, w)
        Reflectance [1] without gaps on which the log-odds are brought to `LOGIT_DEVIATION`.
    """
    torch.manual_seed(seed)
    module = Segmenter(spec).eval()
    branch = module.branch
    last = module.decode_head.classifier if branch is None else branch.classifier
    tiles = torch.from_numpy(np.array(sample))[None]
    with torch.inference_mode():
        logits = module(tiles, torch.ones_like(tiles[:, :1]))
    factor = LOGIT_DEVIATION / float(logits.std())
    with torch.no_grad():
        last.weight *= factor
        last.bias *= factor
        last.bias[1] -= factor * float(torch.quantile(logits.flatten()[::7], 1.0 - DAMAGED))
    return module


class AuthorsPredictor:
    """The authors' configuration (Tang et al. 2026, their notebook), in words of ours.

    transformers' SegFormer-b2 in eager float32, one tile of 512 at a time, half a tile of overlap,
    four flips one after the other, mean of the softmax, Gaussian weights. It knows no missing data.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        config = transformers_config(segmenter.spec)
        self.module = SegformerForSemanticSegmentation(config).eval()
        self.module.load_state_dict(segmenter.state_dict())
        offset = np.arange(TILE) - (TILE - 1) / 2
        bell = np.exp(-0.5 * (offset / (TILE / 8)) ** 2)
        self.weights = np.maximum(np.outer(bell, bell), 1e-3)

    @staticmethod
    def forwards(side: int) -> int:
        """Times that the network is run for a square image, without the notebook's excess tile."""
        return len(range(0, side - TILE + 1, AUTHORS_STRIDE)) ** 2 * len(AUTHORS_FLIPS)

    def predict(self, part: FLOAT) -> FLOAT:
        """Return the probability of damage of an image whose sides the stride divides."""
        total, weight = np.zeros((2, *part.shape[1:]))
        for window in self._windows(part):
            total[window] += self.weights * self._tile(part[:, *window])
            weight[window] += self.weights
        return (total / weight).astype(np.float32)

    def _windows(self, part: FLOAT) -> Iterator[tuple[slice, slice]]:
        firsts = (range(0, size - TILE + 1, AUTHORS_STRIDE) for size in part.shape[1:])
        for row, column in product(*firsts):
            yield slice(row, row + TILE), slice(column, column + TILE)

    def _tile(self, tile: FLOAT) -> FLOAT:
        looks = []
        for axes in AUTHORS_FLIPS:
            seen = torch.from_numpy(np.flip(tile, axes).copy())[None]
            with torch.inference_mode():
                coarse = self.module(seen).logits
                logits = functional.interpolate(
                    coarse, size=(TILE, TILE), mode="bilinear", align_corners=False
                )
                both = torch.softmax(logits, dim=1)[0, 1].numpy()
            looks.append(np.flip(both, axes))
        return np.mean(looks, axis=0)
