"""The third stage of damage maps: one map of a summer from what its scenes say, block by block.

Scenes are read one after the other and forgotten, so memory does not grow with their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import shelf_damage_extents
from pipelines.flows.shelf_damage_arrays import (
    CELL,
    CLEAR,
    EDGES,
    ICE,
    INNER,
    KINDS,
    PROBABILITY_STEP,
    RESTORED,
    SUMS,
    WATER,
    WHOLE,
    counts,
    scenes_of,
    shares,
)
from pipelines.flows.shelf_damage_extents import (
    Shape,
    burnt,
    decision_in,
    decision_of,
    dropped,
    pixel_grid,
    source_of,
)
from pipelines.flows.shelf_damage_segmenting import FAR
from pipelines.kernels.damage import areas, correlated_sums, extents, merging, release_names
from pipelines.kernels.damage.correlated_sums import BlockSum
from pipelines.kernels.damage.merging import Merged, Merger, SceneTraits, Weighting
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_shelf_damage import ShelfDamageChoices

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]

HALO = extents.HALO_CELLS * CELL
"""Pixels around a block on which its extent depends."""
DAY = 86_400.0
STRIPE_M = 300.0
"""Length over which errors of a restoration are alike [m]: a gap of Landsat 7 is 14 pixels wide."""


@dataclass(frozen=True)
class MergeJob:
    """Keys ``merge/SHELF/SUMMER/ROW/COLUMN``: a block of the map of a summer, and its sums.

    Attributes
    ----------
    shapes : mapping of str to Shape
        By ``SHELF/SUMMER``.
    grounded : bytes
        Grounded ice as WKB; empty if not known.
    length_m : float
        Correlation length of errors of the segmentation [m].
    choices : ShelfDamageChoices
        Of the run.
    side : int
        Of blocks [pixels].
    """

    shapes: Mapping[str, Shape]
    grounded: bytes
    length_m: float
    choices: ShelfDamageChoices
    side: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Merge a block."""
        _, shelf, summer, row, column = key.split("/")
        path, block = f"{shelf}/{summer}", (int(row), int(column))
        made = group_at(group, path)
        if decision_in(made) != decision_of(self.choices.overrides, shelf):
            reason = f"{path}: no extent was found with what a person decided of {shelf}; see the "
            raise KeyFailed(reason + f"receipt of extent/{shelf}")
        window = Window.of(stored.array(made, "extent").shape, block, self.side)
        seen = self._merged(made, path, window)
        extent = self._extent(made, path, window, seen)
        map_ = seen.within(window.inner)
        inside = extent[window.inner]
        self._write_map(made, window.at, map_, inside)
        self._write_sums(group, made, block, window, map_, inside)
        return Receipt(key, "done")

    def _merged(self, made: zarr.Group, path: str, window: Window) -> Seen:
        """Return what all scenes say of a window."""
        choices = self.choices.merge
        weighting = Weighting(
            choices.time_scale_days, choices.view_floor, choices.sun_floor, choices.cloud_floor,
            choices.cloud_distance_m,
        )  # fmt: skip
        merger = Merger(window.shape, weighting)
        wet, dry = (np.zeros(window.shape, bool) for _ in range(2))
        scenes = list(self._scenes(made, path))
        spacing = pixel_grid(made).spacing
        for place, scene in scenes:
            flags = stored.values(made, "scene_flags", (place, *window.outer))
            cloud = stored.values(made, "scene_cloud", (place, *window.outer))
            found = shares(stored.values(made, "scene_probability", (place, *window.outer)))
            clear, water = ((flags & bit) != 0 for bit in (CLEAR, WATER))
            wet |= clear & water
            dry |= clear & ~water
            found[water] = np.nan
            far = np.where(cloud == FAR, np.inf, cloud.astype(np.float64) * spacing)
            merger.add(found, clear, far, traits=traits_of(scene, path))
        water = wet & ~dry
        merged = without(merger.merged(choices.mode), water)
        flags, spread = self._supplied(made, scenes, window, merged)
        return Seen(merged, flags, spread, water, dry)

    def _scenes(self, made: zarr.Group, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the scenes that count, with their rows in the product."""
        without = dropped(self.choices.overrides, path)
        for place, scene in enumerate(scenes_of(made)):
            if scene["label"] not in without:
                yield place, scene

    def _supplied(
        self,
        made: zarr.Group,
        scenes: list[tuple[int, dict[str, Any]]],
        window: Window,
        merged: Merged,
    ) -> tuple[NDArray[np.uint8], FLOAT32]:
        """Return flags and restoration spread of the scene that supplied each pixel."""
        flags, spread = (np.zeros(window.shape, np.uint8) for _ in range(2))
        for place, scene in scenes:
            mine = merged.supplier == scene["number"]
            if mine.any():
                for name, into in (("scene_flags", flags), ("scene_spread", spread)):
                    into[mine] = stored.values(made, name, (place, *window.outer))[mine]
        return flags, spread.astype(np.float32) * np.float32(PROBABILITY_STEP)

    def _extent(self, made: zarr.Group, path: str, window: Window, seen: Seen) -> BOOL:
        """Return the extent on the pixels of a window."""
        source, shape = source_of(made), self.shapes.get(path, Shape())
        grid = pixel_grid(made).window(*window.outer)
        if source == "front product":
            return burnt(shape.front, grid)
        if source == "outline":
            return burnt(shape.outline, grid)
        known = seen.merged.scenes > 0
        if source in {"none", "all that is seen"}:
            return known if source != "none" else np.zeros_like(known)
        body = stored.values(made, "cells") > 0
        cells = np.ix_(*(np.arange(part.start, part.stop) // CELL for part in window.outer))
        ice = np.where(known, (seen.flags & ICE) != 0, body[cells])
        grounded = burnt(self.grounded, shelf_damage_extents.cell_grid(made))
        return extents.refined(
            ice, ~burnt(self.grounded, grid), body, grounded, factor=CELL, rows=window.outer[0],
            columns=window.outer[1],
        )  # fmt: skip

    def _write_map(
        self, made: zarr.Group, at: tuple[slice, slice], seen: Seen, extent: BOOL
    ) -> None:
        merged = seen.merged
        known = np.isfinite(merged.probability)
        damage = known & (np.nan_to_num(merged.probability) >= self.choices.threshold)
        # The paper's full-region files have no code for what is not known; `supplier` tells it.
        everywhere = np.ones_like(known)
        for name, values in (
            ("probability", counts(merged.probability)),
            ("spread", counts(merged.spread)),
            ("supplier", np.minimum(merged.supplier, 255).astype(np.uint8)),
            ("scenes", np.minimum(merged.scenes, 255).astype(np.uint8)),
            ("extent", extent.astype(np.uint8)),
            ("water", seen.water.astype(np.uint8)),
            ("clear", (seen.clear & known).astype(np.uint8)),
            ("restored", seen.restored.astype(np.uint8)),
            ("filling_spread", np.rint(seen.spread / PROBABILITY_STEP).astype(np.uint8)),
            ("damage", release_names.extent_codes(damage, known, extent)),
            ("region_damage", release_names.region_codes(damage, everywhere)),
        ):
            stored.write(made, name, values, at)

    def _write_sums(
        self,
        group: zarr.Group,
        made: zarr.Group,
        block: tuple[int, int],
        window: Window,
        seen: Seen,
        extent: BOOL,
    ) -> None:
        """Keep areas and errors of each part of the shelf."""
        grid = pixel_grid(made).window(*window.at)
        area = areas.pixel_areas(grid.x, grid.y, spacing=grid.spacing)
        parts: Any = made.attrs["nunatak:parts"]
        shelf = group_at(group, made.path.strip("/").partition("/")[0])
        count = len(parts)
        sums = np.zeros((count, len(SUMS)))
        inner = np.zeros((count, len(KINDS), len(INNER)))
        edges = np.zeros((count, len(KINDS), len(EDGES), self.side))
        for n, part in enumerate(parts):
            inside = extent & _part(shelf, str(part), window.at)
            sums[n] = self._sums(seen, area, inside)
            for kind, (spread, length) in enumerate(self._errors(seen, area, inside)):
                found = correlated_sums.block_sum(spread, length=length, spacing=grid.spacing)
                inner[n, kind], edges[n, kind] = packed(found, self.side)
        for name, values in (
            ("block_sums", sums), ("error_inner", inner), ("error_edges", edges),
        ):  # fmt: skip
            stored.write(made, name, values, block)

    def _sums(self, seen: Seen, area: NDArray[np.float64], inside: BOOL) -> NDArray[np.float64]:
        probability = seen.merged.probability
        found = areas.damage_sums(
            probability, area, inside, seen.restored, threshold=self.choices.threshold
        )
        known = inside & np.isfinite(probability)
        p, filled = probability[known].astype(np.float64), known & seen.restored
        told = {
            "damage": found.damage, "expected": found.expected,
            "clear": float(area[known & seen.clear].sum()), "region": float(area.sum()),
            "unsure": float(np.sum(area[known] * p * (1.0 - p))), "known": found.known,
            "extent": found.extent, "restored": float(area[filled].sum()),
            "restored_damage": found.restored,
            "water": float(area[inside & seen.water].sum()),
        }  # fmt: skip
        return np.array([told[name] for name in SUMS])

    def _errors(
        self, seen: Seen, area: NDArray[np.float64], inside: BOOL
    ) -> tuple[tuple[NDArray[np.float64], float], ...]:
        """Return the spread of each pixel's area, and over which length it is alike."""
        variance = np.where(np.isfinite(seen.merged.probability), seen.spread**2, 0.0)
        by_network, by_filling = areas.pixel_spreads(
            seen.merged.probability, area, inside, variance
        )
        return (by_network, self.length_m), (by_filling, STRIPE_M)


@dataclass(frozen=True, eq=False)
class Seen:
    """What all scenes say of a window: the merged map, and of the suppliers flags and spread."""

    merged: Merged
    flags: NDArray[np.uint8]
    spread: FLOAT32
    water: BOOL
    clear: BOOL

    @property
    def restored(self) -> BOOL:
        """Where the supplier's pixel was filled from its surroundings."""
        return np.asarray((self.flags & RESTORED) != 0)

    def within(self, inner: tuple[slice, slice]) -> Seen:
        """Return the part without the halo."""
        whole = self.merged
        merged = Merged(
            whole.probability[inner], whole.supplier[inner], whole.scenes[inner],
            whole.spread[inner],
        )  # fmt: skip
        return Seen(
            merged, self.flags[inner], self.spread[inner], self.water[inner], self.clear[inner]
        )


@dataclass(frozen=True)
class Window:
    """A block of a map, and the halo around it as far as the map reaches."""

    at: tuple[slice, slice]
    outer: tuple[slice, slice]

    @classmethod
    def of(cls, shape: tuple[int, ...], block: tuple[int, int], side: int) -> Window:
        """Return the window of a block of some side."""
        at = [
            slice(n * side, min((n + 1) * side, size)) for n, size in zip(block, shape, strict=True)
        ]
        outer = [
            slice(max(part.start - HALO, 0), min(part.stop + HALO, size))
            for part, size in zip(at, shape, strict=True)
        ]
        return cls((at[0], at[1]), (outer[0], outer[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns with the halo."""
        rows, columns = (part.stop - part.start for part in self.outer)
        return rows, columns

    @property
    def inner(self) -> tuple[slice, slice]:
        """The block within the halo."""
        rows, columns = (
            slice(own.start - around.start, own.stop - around.start)
            for own, around in zip(self.at, self.outer, strict=True)
        )
        return rows, columns


def traits_of(scene: Mapping[str, Any], path: str) -> SceneTraits:
    """Return what holds for all pixels of a scene of ``SHELF/SUMMER``."""
    middle = merging.summer_middle(int(path.rpartition("/")[2]))
    days = (float(scene["time"]) - middle.astype("datetime64[s]").astype(np.int64)) / DAY
    sun = scene["sun_elevation"]
    return SceneTraits(int(scene["number"]), float(days), math.nan if sun is None else float(sun))


def without(merged: Merged, water: BOOL) -> Merged:
    """Return a map that knows nothing where every clear view shows water.

    A view through cloud sees no more there.
    """
    nothing = np.float32(np.nan)
    return Merged(
        np.where(water, nothing, merged.probability),
        np.where(water, np.uint16(0), merged.supplier),
        np.where(water, np.uint16(0), merged.scenes),
        np.where(water, nothing, merged.spread),
    )


def _part(shelf: zarr.Group, part: str, at: tuple[slice, slice]) -> BOOL:
    """Return which pixels of a block lie in a part of the shelf."""
    shape = tuple(each.stop - each.start for each in at)
    if part == WHOLE:
        return np.ones(shape, bool)
    cells = stored.values(shelf, f"part_{part}") > 0
    return np.asarray(cells[np.ix_(*(np.arange(each.start, each.stop) // CELL for each in at))])


def packed(found: BlockSum, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a block's errors as they are stored; edges of smaller blocks end with NaN."""
    inner = np.array([found.variance, *found.corners.ravel()])
    edges = np.full((len(EDGES), side), np.nan)
    for n, name in enumerate(EDGES):
        values = getattr(found, name)
        edges[n, : len(values)] = values
    return inner, edges


def unpacked(inner: NDArray[np.float64], edges: NDArray[np.float64]) -> BlockSum:
    """Return what :func:`packed` stored."""
    told = dict(zip(INNER, inner.tolist(), strict=True))
    sides = {name: edges[n][np.isfinite(edges[n])] for n, name in enumerate(EDGES)}
    corners = inner[1:].reshape(2, 2)
    return BlockSum(told["variance"], corners=corners, **sides)
