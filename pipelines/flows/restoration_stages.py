"""The job of a restoration: a block of a scene, read with a margin, filled, written whole.

Patches lie on one lattice of the whole scene, and a block is read so far around that it sees every
patch that reaches into it. So blocks agree along their edges, and neither order nor number of
actors shows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import product_arrays
from pipelines.flows.finished_products import ProductSource
from pipelines.flows.network_inputs import Weights, opening
from pipelines.flows.pixel_blocks import Window
from pipelines.flows.restoration_arrays import FRACTION_STEP, NO_SPREAD
from pipelines.kernels.imagery import quality_bits, radiometry
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.lifecycle import Job
    from pipelines.settings_restoration import RestorationChoices

MOST_BLOCK = 2048
"""Rows and columns of a block at most, unless a chunk is larger [pixels]."""

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]


@dataclass(frozen=True)
class RestoreJob:
    """Keys ``restore/SHELF/SUMMER/SCENE/ROW/COLUMN``: all chunks of a block of a scene.

    Attributes
    ----------
    source : ProductSource
        The scenes, at one snapshot.
    weights : Weights
        Of the restorer.
    choices : RestorationChoices
        Of the run.
    side : int
        Of blocks [pixels].
    """

    source: ProductSource
    weights: Weights
    choices: RestorationChoices
    side: int

    def opened(self, device: str) -> Job:
        """Return the job with the network in the memory of a device."""
        return opening(lambda: self._opened(device))

    def _opened(self, device: str) -> RestoreOpened:
        from pipelines.nets import models

        where = device if self.choices.device == "cuda" else "cpu"
        network = models.opened(
            self.weights.read(), name=self.weights.name, sha256=self.weights.sha256,
            task="restoration", device=where,
        )  # fmt: skip
        return RestoreOpened(self, network, where, self.source.open())


@dataclass(frozen=True)
class Scene:
    """A scene of a product: the group of its summer, its label, and its row there."""

    path: str
    label: str
    number: int


MEASURED = np.float32(-1.0)
"""In place of the spread of a band that was measured there."""


class RestoreOpened:
    """A :class:`RestoreJob` with its network, and the scenes that it reads."""

    def __init__(self, job: RestoreJob, network: Any, device: str, scenes: zarr.Group) -> None:
        self._job = job
        self._network = network
        self._device = device
        self._scenes = scenes

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Fill the gaps of a block; one without gaps is copied."""
        from pipelines.nets.restoration_stage import RestorationError

        _, shelf, summer, scene, row, column = key.split("/")
        made = group_at(group, f"{shelf}/{summer}")
        number, block = int(scene), (int(row), int(column))
        label = product_arrays.labels_of(made, "scene")[number]
        said: list[str] = []
        try:
            self._restore(made, Scene(f"{shelf}/{summer}", label, number), block, said)
        except RestorationError as error:
            reason = f"{shelf} {summer}, scene {number}, block {row}/{column}: {error}"
            raise KeyFailed(reason) from error
        return Receipt(
            key, "done", note="; ".join(said), model=self._job.weights.sha256,
            snapshot=self._job.source.snapshot,
        )  # fmt: skip

    def _restore(
        self, made: zarr.Group, scene: Scene, block: tuple[int, int], said: list[str]
    ) -> None:
        number = scene.number
        places: Any = made.attrs["nunatak:places"]
        place = int(places[number])
        image, gap, window, shape = self._read(scene.path, place, block)
        inner = tuple(
            slice(window.before, window.before + min(part.stop, size) - part.start)
            for part, size in zip((window.rows, window.columns), shape, strict=True)
        )
        at = tuple(
            slice(part.start, min(part.stop, size))
            for part, size in zip((window.rows, window.columns), shape, strict=True)
        )
        mean, each = image, np.full_like(image, MEASURED)
        if gap[inner].any():
            mean, each = self._filled(image, gap, window, scene, said)
        mean, each = mean[:, *inner], each[:, *inner]
        missing = gap[inner] & ~np.isfinite(image[:, *inner]).all(axis=0)
        filled, spread = missing & np.isfinite(mean).all(axis=0), rms(mean, each)
        stored.write(made, "reflectance", radiometry.counts(mean), (number, slice(None), *at))
        stored.write(made, "spread", spread_counts(spread), (number, *at))
        stored.write(made, "restored", filled.astype(np.uint8), (number, *at))
        stored.write(made, "gap_fraction", fraction_counts(gap)[inner], (number, *at))
        known = spread[filled & np.isfinite(spread)]
        sums = [missing.sum(), filled.sum(), known.size, known.sum(dtype=np.float64)]
        stored.write(made, "sums", np.array(sums, dtype=np.float64), (number, *block))

    def _read(
        self, path: str, place: int, block: tuple[int, int]
    ) -> tuple[FLOAT32, BOOL, Window, tuple[int, int]]:
        """Return reflectance with NaN, gaps, the window, and the shape of the scene."""
        scenes, choices, side = group_at(self._scenes, path), self._job.choices, self._job.side
        _, ny, nx = stored.array(scenes, "mask").shape
        shape = (ny, nx)
        window = Window.of(block, shape, side=side, patch=choices.patch, overlap=choices.overlap)
        outer, margins = window.outer(shape), window.margins(shape)
        counts = stored.values(scenes, "reflectance", (place, slice(None), *outer))
        mask = stored.values(scenes, "mask", (place, *outer))
        image = np.where(counts > 0, radiometry.reflectance_of(counts), np.float32(np.nan))
        gap = (mask & np.uint16(quality_bits.GAP)) != 0
        image = np.pad(image, ((0, 0), *margins), constant_values=np.nan)
        return image, np.pad(gap, margins), window, shape

    def _filled(
        self,
        image: FLOAT32,
        gap: BOOL,
        window: Window,
        scene: Scene,
        said: list[str],
    ) -> tuple[FLOAT32, FLOAT32]:
        """Return the image filled, and its spread, NaN where not known.

        Stripes lie a pixel or two apart from band to band: what a band measured in the gap of
        another stays, bit for bit.
        """
        from pipelines.nets import patched_restoration

        measured = np.isfinite(image).all(axis=0) & ~gap
        if not measured.any():
            return image, np.full_like(image, MEASURED)
        choices = self._job.choices
        found = patched_restoration.restored(
            self._network, image, gap, tile=choices.patch, overlap=choices.overlap,
            samples=choices.samples, steps=choices.sampler_steps,
            seed=scene_seed(choices.seed, scene),
            device=self._device, half=self._device == "cuda",
            origin=(window.rows.start - window.before, window.columns.start - window.before),
            say=said.append,
        )  # fmt: skip
        kept = np.isfinite(image)
        mean = np.where(kept, image, found.mean)
        return mean, np.where(kept, MEASURED, found.spread)


def scene_seed(seed: int, scene: Scene) -> int:
    """Return the seed of a scene's noise, so that that of two dates is independent.

    >>> one = scene_seed(1, Scene("amery/2011", "2011-12-05", 0))
    >>> one == scene_seed(1, Scene("amery/2011", "2011-12-05", 7))
    True
    >>> one == scene_seed(1, Scene("amery/2011", "2011-12-21", 0))
    False
    """
    digest = hashlib.sha256(f"{seed}/{scene.path}/{scene.label}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def rms(mean: FLOAT32, spread: FLOAT32) -> FLOAT32:
    """Return the root mean square of spreads over the bands that were filled.

    Parameters
    ----------
    mean, spread : ndarray, shape (band, ny, nx)
        Reflectance, NaN where there is none, and its spread, `MEASURED` of what was measured [1].

    Returns
    -------
    ndarray, shape (ny, nx)
        0 where all bands that have a value were measured; NaN where none has a value, or a filled
        one has an unknown spread.

    Examples
    --------
    One band of three was missing there, as stripes of bands lie a pixel or two apart:

    >>> spread = np.float32([0.03, MEASURED, MEASURED]).reshape(3, 1, 1)
    >>> round(float(rms(np.ones((3, 1, 1), np.float32), spread)[0, 0]), 4)
    0.03
    """
    there = np.isfinite(mean)
    filled = there & (spread != MEASURED)
    count = filled.sum(axis=0, dtype=np.float32)
    total = np.where(filled, spread.astype(np.float32) ** 2, np.float32(0.0)).sum(axis=0)
    out = np.where(there.any(axis=0), np.float32(0.0), np.float32(np.nan))
    np.divide(total, count, out=out, where=count > 0)
    return np.sqrt(out)


def spread_counts(spread: FLOAT32) -> NDArray[np.uint16]:
    """Return spreads as they are stored, in steps of reflectance counts.

    >>> spread_counts(np.float32([0.0, 0.0025, 9.0, np.nan])).tolist()
    [0, 100, 65534, 65535]
    """
    counts = np.clip(np.rint(spread / radiometry.PER_COUNT), 0, NO_SPREAD - 1)
    return np.where(np.isnan(counts), NO_SPREAD, counts).astype(np.uint16)


def fraction_counts(gap: BOOL) -> NDArray[np.uint8]:
    """Return local gap fractions as they are stored."""
    from pipelines.nets.restoration_scores import local_gap_fraction

    return np.asarray(np.rint(local_gap_fraction(gap) / FRACTION_STEP), dtype=np.uint8)
