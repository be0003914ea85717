"""Trials of restorations: gaps drawn into tiles, filled by each method, scored. Imports torch.

A trial hides pixels that were measured, so it says what a method does and not what lay there in a
real gap. Gaps have the geometry of real ones and are drawn by seed and name of the tile, the same
for every method and every network. Of a larger tile the 256 × 256 pixels are tried that were
measured most completely: a chain with four samples takes seconds for them, and minutes for a scene.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.nets import (
    gap_fill_baselines,
    inference,
    patched_restoration,
    restoration_scores,
    restoration_stage,
    restoration_sums,
    simulated_gaps,
)
from pipelines.nets.restoration_sums import SUMS, Pair

if TYPE_CHECKING:
    from pipelines.nets.inference import Predictor
    from pipelines.nets.restorer import Restorer
    from pipelines.nets.segmentation_training import Tile

MOST_PX = 256
"""Rows and columns of a trial at most [pixels]."""

REFUSALS = (
    gap_fill_baselines.GapFillError,
    inference.InferenceError,
    restoration_stage.RestorationError,
    restoration_sums.RestorationScoresError,
)
"""What methods and scores say of a tile that they cannot use."""

ROWS = 2 + len(restoration_scores.FRACTIONS) - 1
"""Of a tile's sums: the whole, the gaps, and each bin of local gap fraction."""

SHAPE = (ROWS, len(SUMS))
BINS = ROWS - 2
SECOND_SCENE = "second-scene"
"""The baseline that needs another date of the same pixels, and is tried where there is one."""
HARMONISED = "+harmoniser"
"""How the names of chains end that a harmoniser closes."""

Fill = Callable[[NDArray[np.float32], NDArray[np.bool_]], tuple[Any, Any]]
"""From an image and its gaps to the restored image and, if it is known, its spread."""


@dataclass(frozen=True)
class Trial:
    """A tile, or the best measured part of one, with gaps that were drawn, and which part it is."""

    image: NDArray[np.float32]
    gap: NDArray[np.bool_]
    window: tuple[slice, slice]


def trial(tile: Tile, *, seed: int, edge: bool = False) -> Trial:
    """Draw gaps into the best measured part of a tile, wherever it was measured."""
    rows, columns = best_measured(tile.valid)
    valid = tile.valid[rows, columns]
    gap = gaps_of(tile.name, valid.shape, seed=seed, edge=edge)
    return Trial(tile.image[:, rows, columns], gap & valid, (rows, columns))


def gaps_of(
    name: str, shape: tuple[int, ...], *, seed: int, edge: bool = False
) -> NDArray[np.bool_]:
    """Draw the gaps that a tile of a name has in trials."""
    token = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    rng = np.random.default_rng([seed, token])
    across = simulated_gaps.EDGE if edge else simulated_gaps.WHOLE
    return simulated_gaps.draw(rng, (shape[0], shape[1]), across=across)


def best_measured(valid: NDArray[np.bool_], side: int = MOST_PX) -> tuple[slice, slice]:
    """Return the window of a side with most measured pixels; of equal ones that nearest the middle.

    >>> best_measured(np.tri(5, dtype=bool), 3)
    (slice(2, 5, None), slice(0, 3, None))
    """
    height, width = (min(side, size) for size in valid.shape)
    sums = np.pad(valid, ((1, 0), (1, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    held = sums[height:, width:] - sums[:-height, width:]
    held = held - sums[height:, :-width] + sums[:-height, :-width]
    rows, columns = np.nonzero(held == held.max())
    middle = [(size - 1) / 2.0 for size in held.shape]
    nearest = int(np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2))
    top, left = int(rows[nearest]), int(columns[nearest])
    return slice(top, top + height), slice(left, left + width)


def candidates(network: Restorer) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Return the chains of a restorer from the simplest on: name, stages, sampler.

    Each is offered with a harmoniser too; one without widths is the membrane alone.
    """
    plain: list[tuple[str, tuple[str, ...], str]] = []
    if network.latent is not None:
        plain.append(("latent", ("latent",), "latent"))
    if network.mean is not None:
        plain.append(("mean", ("mean",), "texture"))
    if network.diffusion is not None:
        plain.append(("diffusion", ("mean", "diffusion"), "diffusion"))
    found: list[tuple[str, tuple[str, ...], str]] = [("first-guess", (), "")]
    for name, chain, sampler in plain:
        found.append((name, chain, sampler))
        found.append((f"{name}{HARMONISED}", (*chain, "harmoniser"), sampler))
    return tuple(found)


def fills(
    network: Restorer | None,
    *,
    baselines: Sequence[str] = (),
    patch: int = 256,
    samples: int = 4,
    steps: int = 10,
    seed: int = 0,
    device: str = "cpu",
) -> Iterator[tuple[str, Fill]]:
    """Yield methods by name: baselines, then chains of a restorer, and a sample of plain ones."""
    for name in baselines:
        if name != SECOND_SCENE:
            yield name, _plain(gap_fill_baselines.FILLS[name])
    if network is None:
        return
    how = {"tile": patch, "overlap": patch // 4, "seed": seed, "steps": steps, "device": device}
    for name, chain, sampler in candidates(network):
        used = network.with_chain(chain, sampler)
        yield name, _restoring(used, {**how, "samples": samples})
        # A harmoniser takes nothing of a sample's texture away that is worth a trial of its own.
        if sampler and not name.endswith(HARMONISED):
            yield f"{name}-sample", _sampling(used, how)


def from_second_scene(other: NDArray[np.float32]) -> Fill:
    """Return the fill from another date of the same pixels."""
    return lambda image, gap: (gap_fill_baselines.second_scene(image, other, gap), None)


def _plain(fill: Any) -> Fill:
    return lambda image, gap: (fill(image, gap), None)


def _restoring(used: Restorer, how: Mapping[str, Any]) -> Fill:
    def fill(image: NDArray[np.float32], gap: NDArray[np.bool_]) -> tuple[Any, Any]:
        found = patched_restoration.restored(used, image, gap, **how)
        return found.mean, found.spread

    return fill


def _sampling(used: Restorer, how: Mapping[str, Any]) -> Fill:
    return lambda image, gap: (patched_restoration.one_sample(used, image, gap, **how), None)


def sums_of(
    drawn: Trial,
    fill: Fill,
    *,
    predictor: Predictor | None = None,
    threshold: float = 0.5,
    lpips: Callable[[NDArray[np.float32], NDArray[np.float32]], float] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what a trial adds to the scores of a method, see `restoration_scores.tile_sums`.

    Nothing if it has no gap, as where nothing was measured.
    """
    if not drawn.gap.any():
        return np.zeros(SHAPE), np.zeros(BINS, dtype=np.int64)
    hidden = np.where(drawn.gap, np.float32(np.nan), drawn.image)
    restored, spread = fill(hidden, drawn.gap)
    # What a method leaves open is scored as what was known on average: a method's own silence.
    level = np.nanmean(hidden, axis=(1, 2), keepdims=True)
    open_still = drawn.gap & ~np.isfinite(restored).all(axis=0)
    restored = np.asarray(np.where(open_still, level, restored), dtype=np.float32)
    stated = None if spread is None else np.nan_to_num(spread).astype(np.float32)
    pair = Pair(drawn.image, restored, drawn.gap, stated)
    return restoration_scores.tile_sums(pair, predictor=predictor, threshold=threshold, lpips=lpips)


def array_name(method: str) -> str:
    """Return what the sums of a method are called in a product.

    >>> array_name("mean+harmoniser-sample")
    'trial_mean_harmoniser_sample'
    """
    return "trial_" + method.replace("+", "_").replace("-", "_")


def of_stages(
    network: Restorer,
    tile: Tile,
    *,
    seed: int,
    device: str,
    predictor: Predictor | None = None,
) -> dict[str, NDArray[Any]]:
    """Return what a tile adds to the scores of every stage of a restorer, by name of the array.

    A predictor segments restored and original images, so that stages are judged by that too.
    """
    drawn = trial(tile, seed=seed)
    found: dict[str, NDArray[Any]] = {}
    for name, fill in fills(network, baselines=("biharmonic",), seed=seed, device=device):
        found[array_name(name)], found["trial_pixels"] = sums_of(drawn, fill, predictor=predictor)
    return found
