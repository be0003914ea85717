"""The first stage of damage maps: what the network says of a block of a scene.

Tiles of the network lie on one lattice of the whole scene, and a block is read so far around that
it sees every tile that reaches into it; so blocks agree along their edges. Around that lies a
margin for what reaches farther: clouds near by, and light around a pixel that a network evens out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cluster.chunk_errors import is_away
from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.finished_products import ProductSource
from pipelines.flows.network_inputs import Weights, opening
from pipelines.flows.pixel_blocks import Window, reach
from pipelines.flows.restoration_arrays import FRACTION_STEP, NO_SPREAD
from pipelines.flows.shelf_damage_arrays import (
    CELL,
    CLEAR,
    ICE,
    RESTORED,
    SCENE_SUMS,
    WATER,
    counts,
    scenes_of,
)
from pipelines.kernels.damage import extents
from pipelines.kernels.imagery import melt_water, quality_bits, radiometry
from pipelines.stored import group_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    import zarr

    from pipelines.flows.segmenting import Segmenting
    from pipelines.lifecycle import Job
    from pipelines.nets.segmenter import SegmenterSpec
    from pipelines.settings_shelf_damage import ShelfDamageChoices

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]

HIDDEN = quality_bits.CLOUD | quality_bits.SHADOW | quality_bits.OPINION
"""Bits of the mask that hide ice."""
MOST_BLOCK = 2048
"""Rows and columns of a block at most, unless a chunk is larger [pixels]."""
FAR = 255
"""Stands for a distance from cloud beyond which it no longer matters [pixels]."""
LEAST_SEEN = 0.5
"""Part of a cell that must be seen clearly for its ice to count [1]."""


@dataclass(frozen=True, eq=False)
class SceneWindow:
    """A window of a scene as it is segmented.

    Attributes
    ----------
    image : ndarray of float32, shape (band, ny, nx)
        Reflectance [1], NaN where nothing is known.
    hidden : ndarray of bool, shape (ny, nx)
        Cloud or shadow.
    restored : ndarray of bool, shape (ny, nx)
        Filled from its surroundings.
    spread : ndarray of float32, shape (ny, nx)
        Standard deviation of what was filled [1]; 0 where measured or not known.
    gap_fraction : ndarray of float32, shape (ny, nx)
        How much was missing around a pixel [1].
    """

    image: FLOAT32
    hidden: BOOL
    restored: BOOL
    spread: FLOAT32
    gap_fraction: FLOAT32

    def within(self, margin: int) -> SceneWindow:
        """Return the window without so many pixels along its edges."""
        ny, nx = self.hidden.shape
        at = (..., slice(margin, ny - margin), slice(margin, nx - margin))
        return SceneWindow(
            self.image[at], self.hidden[at], self.restored[at], self.spread[at],
            self.gap_fraction[at],
        )  # fmt: skip


@dataclass(frozen=True)
class SegmentJob:
    """Keys ``segment/SHELF/SUMMER/SCENE/ROW/COLUMN``: a block of a scene.

    Attributes
    ----------
    scenes, restoration : ProductSource or None
        Stored scenes, and those whose gaps were filled.
    images : mapping
        Pictures that are no stored scenes, by id.
    weights : Weights
        Of the segmenter.
    temperature : float
        That calibrates its probabilities [1].
    choices : ShelfDamageChoices
        Of the run.
    side : int
        Of blocks [pixels].
    """

    scenes: ProductSource | None
    restoration: ProductSource | None
    images: Mapping[str, Any]
    weights: Weights
    temperature: float
    choices: ShelfDamageChoices
    side: int

    def opened(self, device: str) -> Job:
        """Return the job with the network in the memory of a device."""
        return opening(lambda: self._opened(device))

    def _opened(self, device: str) -> SegmentOpened:
        from pipelines.flows import segmenting

        segmenter = segmenting.of_bytes(
            self.weights.read(), name=self.weights.name, sha256=self.weights.sha256,
            device=device if self.choices.device == "cuda" else "cpu",
            backend=self.choices.backend, precision=self.choices.precision,
            threads=self.choices.threads,
        )  # fmt: skip
        return SegmentOpened(self, segmenter)


class SegmentOpened:
    """A :class:`SegmentJob` with its network, and the scenes that it reads."""

    def __init__(self, job: SegmentJob, segmenter: Segmenting) -> None:
        self._job = job
        self._segmenter = segmenter
        self._scenes = job.scenes.open() if job.scenes is not None else None
        self._restored = job.restoration.open() if job.restoration is not None else None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Segment a block; what cannot be read, or a network that answers NaN, fails the key."""
        _, shelf, summer, scene, row, column = key.split("/")
        made = group_at(group, f"{shelf}/{summer}")
        number, block = int(scene), (int(row), int(column))
        told = scenes_of(made)[number]
        _, ny, nx = stored.array(made, "scene_probability").shape
        margin = margin_of(self._segmenter.spec, self._job.choices, spacing=_spacing(made))
        tiles = self._job.choices.tiles
        window = Window.of(
            block, (ny, nx), side=self._job.side, patch=tiles.tile, overlap=tiles.overlap,
            margin=margin,
        )  # fmt: skip
        wide = self._read(made, told, window, (ny, nx))
        probability, spread = self._probability(wide, told, margin)
        measured = np.isfinite(wide.image).all(axis=0)
        far = cloud_reach(self._job.choices, spacing=_spacing(made))
        cloud = cloud_distance(wide.hidden & measured, reach=far)
        inner = (slice(margin, margin + size) for size in probability.shape)
        self._write(
            made, number, block, wide.within(margin), probability, spread, cloud[tuple(inner)]
        )
        return Receipt(key, "done", inputs=(told["label"],), model=self._job.weights.sha256)

    def _read(
        self, made: zarr.Group, told: dict[str, Any], window: Window, shape: tuple[int, int]
    ) -> SceneWindow:
        """Return the window, margins beyond the scene's edges included."""
        outer, margins = window.outer(shape), window.margins(shape)
        try:
            if told["image"]:
                from pipelines.flows import shelf_damage_images

                held = shelf_damage_images.window(self._job.images[told["image"]], *outer)
            else:
                held = self._stored(made.path.strip("/"), told, outer)
        except (OSError, LookupError, RuntimeError, ValueError) as error:
            if is_away(error):
                raise
            reason = f"{made.path}, scene {told['label']}: it cannot be read ({error}); "
            raise KeyFailed(reason + "run the scenes again", (told["label"],)) from error

        def padded(values: NDArray[Any], *, empty: float) -> NDArray[Any]:
            lead = [(0, 0)] * (values.ndim - 2)
            return np.pad(values, (*lead, *margins), constant_values=empty)

        return SceneWindow(
            padded(held.image, empty=np.nan), padded(held.hidden, empty=1),
            padded(held.restored, empty=0), padded(held.spread, empty=0.0),
            padded(held.gap_fraction, empty=0.0),
        )  # fmt: skip

    def _stored(self, path: str, told: dict[str, Any], outer: tuple[slice, slice]) -> SceneWindow:
        assert self._scenes is not None  # noqa: S101 - the plan named scenes
        scenes, place, row = group_at(self._scenes, path), told["place"], told["restored_row"]
        mask = stored.values(scenes, "mask", (place, *outer))
        hidden = (mask & np.uint16(HIDDEN)) != 0
        if row < 0 or self._restored is None:
            held = stored.values(scenes, "reflectance", (place, slice(None), *outer))
            none = np.zeros(mask.shape, np.float32)
            return SceneWindow(_reflectance(held), hidden, none > 0.0, none, none)
        made = group_at(self._restored, path)
        held = stored.values(made, "reflectance", (row, slice(None), *outer))
        spread = stored.values(made, "spread", (row, *outer))
        known = np.where(spread == NO_SPREAD, 0, spread).astype(np.float32)
        fraction = stored.values(made, "gap_fraction", (row, *outer)).astype(np.float32)
        return SceneWindow(
            _reflectance(held), hidden, stored.values(made, "restored", (row, *outer)) > 0,
            known * np.float32(radiometry.PER_COUNT), fraction * np.float32(FRACTION_STEP),
        )  # fmt: skip

    def _probability(
        self, wide: SceneWindow, told: dict[str, Any], margin: int
    ) -> tuple[FLOAT32, FLOAT32]:
        """Return calibrated probabilities within a margin, their spread from what was filled [1].

        The spread is half the difference between the scene with everything that was filled one
        standard deviation brighter, and darker: a difference along the error that is known.
        """
        found = self._calibrated(wide.image, told, margin)
        spread = np.zeros_like(found)
        seen = wide.within(margin)
        unsure = seen.restored & (seen.spread > 0.0)
        if self._job.choices.restoration_spread and unsure.any():
            step = np.where(wide.restored, wide.spread, np.float32(0.0))
            high, low = (
                self._calibrated(wide.image + sign * step, told, margin) for sign in (1, -1)
            )
            spread = np.where(unsure, np.abs(high - low) / 2.0, np.float32(0.0))
        return found, np.nan_to_num(spread)

    def _calibrated(self, image: FLOAT32, told: dict[str, Any], margin: int) -> FLOAT32:
        from pipelines.nets import calibration, inference

        bands = len(self._segmenter.channels)
        if len(image) == 1 and bands > 1:
            image = np.repeat(image, bands, axis=0)
        size = (image.shape[1] - 2 * margin, image.shape[2] - 2 * margin)
        if not np.isfinite(image).all(axis=0).any():
            return np.full(size, np.nan, np.float32)
        tiles, enlarged = self._job.choices.tiles, self._segmenter.spec.magnify
        try:
            found = self._segmenter.probability(
                image, tile=tiles.tile * enlarged, overlap=tiles.overlap, flips=tiles.flips,
                margin=margin,
            )  # fmt: skip
        except inference.InferenceError as error:
            reason = f"{told['label']}: {error}"
            raise KeyFailed(reason, (told["label"],)) from error
        return calibration.calibrated(found, self._job.temperature)

    def _write(
        self,
        made: zarr.Group,
        number: int,
        block: tuple[int, int],
        seen: SceneWindow,
        probability: FLOAT32,
        spread: FLOAT32,
        cloud: NDArray[np.uint8],
    ) -> None:
        _, ny, nx = stored.array(made, "scene_probability").shape
        side, tiles = self._job.side, self._job.choices.tiles
        before, _ = reach(side, patch=tiles.tile, overlap=tiles.overlap)
        at = tuple(
            slice(n * side, min((n + 1) * side, size))
            for n, size in zip(block, (ny, nx), strict=True)
        )
        inner = tuple(slice(before, before + part.stop - part.start) for part in at)
        known = np.isfinite(probability)
        flags = flags_of(seen, known, self._job.choices)
        for name, values in (
            ("scene_probability", counts(probability)), ("scene_spread", counts(spread)),
            ("scene_flags", flags), ("scene_cloud", cloud),
        ):  # fmt: skip
            stored.write(made, name, values[inner], (number, *at))
        cells = (slice(part.start // CELL, -(-part.stop // CELL)) for part in at)
        stored.write(made, "scene_ice", counts(ice_share(flags[inner])), (number, *cells))
        filled = seen.restored[inner]
        sums = dict.fromkeys(SCENE_SUMS, 0.0)
        sums["gap_pixels"] = float(filled.sum())
        sums["gap_fraction_sum"] = float(seen.gap_fraction[inner][filled].sum(dtype=np.float64))
        row = np.array([sums[name] for name in SCENE_SUMS])
        stored.write(made, "scene_sums", row, (number, *block))


def _reflectance(held: NDArray[np.uint16]) -> FLOAT32:
    return np.where(held > 0, radiometry.reflectance_of(held), np.float32(np.nan))


def flags_of(seen: SceneWindow, known: BOOL, choices: ShelfDamageChoices) -> NDArray[np.uint8]:
    """Return what a window shows of each pixel, as bits of ``scene_flags``; 0 where not known.

    Parameters
    ----------
    seen : SceneWindow
        The window.
    known : ndarray of bool, shape (ny, nx)
        Where there is a probability.
    choices : ShelfDamageChoices
        What is bright as ice, and blue as water.
    """
    bright = np.nan_to_num(seen.image.mean(axis=0)) >= choices.extent.ice_reflectance
    water = np.zeros_like(known)
    if len(seen.image) >= 3:
        red, blue = seen.image[0], seen.image[2]
        water = melt_water.is_water(red, blue, limit=choices.melt_water_index)
    flags = np.zeros(known.shape, np.uint8)
    for bit, where in ((ICE, bright), (WATER, water), (RESTORED, seen.restored),
                       (CLEAR, ~seen.hidden)):  # fmt: skip
        flags[known & where] |= np.uint8(bit)
    return flags


def _spacing(made: zarr.Group) -> float:
    return float(made.attrs["nunatak:spacing"])  # type: ignore[arg-type]


def cloud_reach(choices: ShelfDamageChoices, *, spacing: float) -> int:
    """Return the distance from cloud that still matters [pixels]."""
    return min(math.ceil(choices.merge.cloud_distance_m / spacing), FAR - 1)


def margin_of(spec: SegmenterSpec, choices: ShelfDamageChoices, *, spacing: float) -> int:
    """Return how far around the tiles of a block it is read [pixels].

    Parameters
    ----------
    spec : SegmenterSpec
        Of the network: how far what it is shown depends on what lies around.
    choices : ShelfDamageChoices
        How far clouds matter.
    spacing : float
        Width of a pixel [m].
    """
    from pipelines.nets import extra_channels

    return max(cloud_reach(choices, spacing=spacing), extra_channels.reach(spec))


def cloud_distance(hidden: BOOL, *, reach: int) -> NDArray[np.uint8]:
    """Return how far cloud or shadow is [pixels], :data:`FAR` beyond a reach.

    >>> cloud_distance(np.array([[True, False, False, False]]), reach=2).tolist()
    [[0, 1, 2, 255]]
    """
    if not hidden.any():
        return np.full(hidden.shape, FAR, np.uint8)
    far = ndimage.distance_transform_edt(~hidden)
    return np.where(far > reach, FAR, np.rint(far)).astype(np.uint8)


def ice_share(flags: NDArray[np.uint8]) -> FLOAT32:
    """Return the share of ice in what is seen clearly of each cell [1]; NaN where it is too little.

    Parameters
    ----------
    flags : ndarray of uint8, shape (ny, nx)
        Of a block, which begins at the edge of a cell.
    """
    clear = (flags & CLEAR) != 0
    ice = clear & ((flags & ICE) != 0)
    seen = extents.coarse_share(clear, factor=CELL)
    share = extents.coarse_share(ice, factor=CELL)
    enough = seen >= LEAST_SEEN
    return np.asarray(np.where(enough, share / np.where(enough, seen, 1.0), np.nan), np.float32)
