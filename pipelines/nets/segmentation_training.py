"""What a segmenter learns: crops of labelled tiles, most of them around damage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.nets import losses
from pipelines.nets.augmentation import Augmentation, PaperAugmentation, Sample
from pipelines.nets.extra_channels import shown
from pipelines.nets.losses import NOT_LABELLED
from pipelines.nets.segmenter import SegmenterSpec

JITTER = 0.35
"""Farthest that damage lies from the middle of its crop, of its side: turned, it stays inside."""


class SegmentationTaskError(ValueError):
    """Tiles that nothing can be learnt from."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A labelled image.

    Attributes
    ----------
    image : ndarray, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    label : ndarray of uint8, shape (h, w)
        0 intact, 1 damage, 255 not labelled.
    region : str
        Splits are by region.
    name : str
        How errors and tables call it.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    region: str
    name: str

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[1:] != self.label.shape:
            msg = (
                f"tile {self.name}: image {self.image.shape} and label {self.label.shape} must be "
                "(c, h, w) and (h, w)"
            )
            raise SegmentationTaskError(msg)
        if not np.isin(self.label, (0, 1, NOT_LABELLED)).all():
            msg = (
                f"tile {self.name}: labels {np.unique(self.label)[:6]} must be 0 (intact), 1 "
                f"(damage) or {NOT_LABELLED} (not labelled)"
            )
            raise SegmentationTaskError(msg)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where all bands were measured, shape (h, w)."""
        return np.asarray(np.isfinite(self.image).all(axis=0))


def with_extras(tiles: Sequence[Tile], spec: SegmenterSpec) -> list[Tile]:
    """Show each tile as a specification wants it, once and on the whole tile."""
    for tile in tiles:
        if len(tile.image) != len(spec.channels):
            msg = (
                f"tile {tile.name} has {len(tile.image)} bands, the segmenter wants "
                f"{', '.join(spec.channels)}; give tiles of these bands or another specification"
            )
            raise SegmentationTaskError(msg)
    return [Tile(shown(tile.image, spec), tile.label, tile.region, tile.name) for tile in tiles]


@dataclass(frozen=True, eq=False)
class _Ground:
    """A tile as crops are cut from it: 0-filled, with the places of known damage."""

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    label: NDArray[np.uint8]
    positive: NDArray[np.int64]


def _ground(tile: Tile) -> _Ground:
    valid = tile.valid
    image = np.where(valid, tile.image, np.float32(0.0))
    return _Ground(image, valid, tile.label, np.flatnonzero((tile.label == 1) & valid))


def cut(array: NDArray[np.generic], top: int, left: int, side: int, outside: float) -> NDArray[Any]:
    """Cut a square from the last two axes; what lies outside the array is ``outside``."""
    height, width = array.shape[-2:]
    square = np.full((*array.shape[:-2], side, side), outside, array.dtype)
    rows = slice(max(top, 0), max(min(top + side, height), 0))
    columns = slice(max(left, 0), max(min(left + side, width), 0))
    if rows.start < rows.stop and columns.start < columns.stop:
        square[
            ..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ] = array[..., rows, columns]
    return square


def known_share(sample: Sample) -> float:
    """Share of pixels that are valid and labelled."""
    return float((sample.valid & (sample.label != NOT_LABELLED)).mean())


@dataclass(frozen=True, eq=False)
class SegmentationTask:
    """Crops of tiles for :func:`pipelines.nets.training.advance`.

    Attributes
    ----------
    tiles : sequence of Tile
        With the extras of the specification appended, see :func:`with_extras`.
    crop : int
        Side of a crop [pixel].
    bands : int
        Leading channels that are reflectance; all of them if 0.
    augmentation : Augmentation
        Of :mod:`pipelines.nets.augmentation`.
    positive_share : float
        Of crops laid around a damaged pixel.
    least_known : float
        Share of valid and labelled pixels below which a crop is drawn again.
    attempts : int
        Draws of one crop; the best of them is taken if none suffices.
    smoothing, positive_weight, edge_weight : float
        Of :func:`pipelines.nets.losses.bce_dice`.
    """

    tiles: Sequence[Tile]
    crop: int
    bands: int = 0
    augmentation: Augmentation = field(default_factory=PaperAugmentation)
    positive_share: float = 0.65
    least_known: float = 0.25
    attempts: int = 8
    smoothing: float = losses.SMOOTHING
    positive_weight: float = 1.0
    edge_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.crop < 1 or self.attempts < 1 or not 0 <= self.positive_share <= 1:
            msg = (
                f"crop {self.crop} and attempts {self.attempts} must be positive, positive_share "
                f"{self.positive_share} in [0, 1]"
            )
            raise SegmentationTaskError(msg)
        if len({len(tile.image) for tile in self.tiles}) != 1:
            found = {tile.name: len(tile.image) for tile in self.tiles}
            msg = f"tiles of one number of channels are needed, at least one; found {found}"
            raise SegmentationTaskError(msg)
        if not self._weights.sum() > 0:
            msg = f"none of {len(self.tiles)} tiles has a pixel both valid and labelled"
            raise SegmentationTaskError(msg)

    @cached_property
    def _grounds(self) -> list[_Ground]:
        return [_ground(tile) for tile in self.tiles]

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        """Known pixels of each tile: how often crops come from it."""
        known = [(each.valid & (each.label != NOT_LABELLED)).sum() for each in self._grounds]
        return np.array(known, np.float64)

    @cached_property
    def _damaged(self) -> list[int]:
        return [index for index, each in enumerate(self._grounds) if each.positive.size]

    def batch(self, rng: np.random.Generator, size: int) -> Mapping[str, Tensor]:
        """Draw crops: image (n, c, h, w), valid (n, 1, h, w) float, label (n, h, w) uint8."""
        samples = [self._sample(rng) for _ in range(size)]
        valid = np.stack([sample.valid for sample in samples])[:, None]
        return {
            "image": torch.from_numpy(np.stack([sample.image for sample in samples])),
            "valid": torch.from_numpy(valid.astype(np.float32)),
            "label": torch.from_numpy(np.stack([sample.label for sample in samples])),
        }

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy and Dice of the module on a batch."""
        logits = module(batch["image"], batch["valid"])
        return losses.bce_dice(
            logits,
            batch["label"],
            batch["valid"],
            smoothing=self.smoothing,
            positive_weight=self.positive_weight,
            edge_weight=self.edge_weight,
        )

    def _sample(self, rng: np.random.Generator) -> Sample:
        around_damage = rng.uniform() < self.positive_share and bool(self._damaged)
        best = self._drawn(rng, around_damage=around_damage)
        for _ in range(self.attempts - 1):
            if known_share(best) >= self.least_known:
                break
            drawn = self._drawn(rng, around_damage=around_damage)
            best = max(best, drawn, key=known_share)
        return best

    def _drawn(self, rng: np.random.Generator, *, around_damage: bool) -> Sample:
        if around_damage:
            ground = self._grounds[self._damaged[int(rng.integers(len(self._damaged)))]]
            row, column = divmod(int(rng.choice(ground.positive)), ground.label.shape[1])
            reach = int(JITTER * self.crop)
            row, column = (at + int(rng.integers(-reach, reach + 1)) for at in (row, column))
        else:
            index = rng.choice(len(self.tiles), p=self._weights / self._weights.sum())
            ground = self._grounds[int(index)]
            row, column = (self._middle(rng, size) for size in ground.label.shape)
        side = self.augmentation.window(self.crop)
        top, left = row - side // 2, column - side // 2
        sample = Sample(
            cut(ground.image, top, left, side, 0.0),
            cut(ground.valid, top, left, side, 0.0),
            cut(ground.label, top, left, side, NOT_LABELLED),
            self.bands or len(ground.image),
        )
        return self.augmentation(rng, sample, self.crop)

    def _middle(self, rng: np.random.Generator, size: int) -> int:
        """Middle of a crop that lies inside the tile where that is large enough."""
        if size <= self.crop:
            return size // 2
        return int(rng.integers(size - self.crop + 1)) + self.crop // 2
