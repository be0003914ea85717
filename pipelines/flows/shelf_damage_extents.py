"""The second stage of damage maps: where a shelf ended in each summer.

One key finds all summers of a shelf, in order, for what imagery does not show is as it was the year
before. It works on cells (:data:`~pipelines.flows.shelf_damage_arrays.CELL`), a 64th of the pixels.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import scenes_screening, shelf_damage_arrays
from pipelines.flows.catalogue_inputs import Source
from pipelines.flows.shelf_damage_arrays import CELL, EXTENT_QUANTITIES, SOURCES, shares
from pipelines.kernels.damage import extents, sub_regions
from pipelines.kernels.damage.extents import Extent, ExtentError, Limits
from pipelines.kernels.damage.sub_regions import SubRegionError
from pipelines.stored import group_at
from stac import ice_shelves
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_shelf_damage import DamageOverride, ShelfDamageChoices

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Where one shelf ended in one summer, by polygons in EPSG:3031, as WKB; empty if not known."""

    front: bytes = b""
    outline: bytes = b""


@dataclass(frozen=True)
class ExtentJob:
    """Keys ``extent/SHELF``: the extent on cells of every summer, and its sub-regions.

    Attributes
    ----------
    shapes : mapping of str to Shape
        By ``SHELF/SUMMER``.
    grounded : bytes
        Grounded ice as WKB; empty if not known.
    velocity : Source or None
        Of the ice: how far a front can have come.
    choices : ShelfDamageChoices
        Of the run.
    """

    shapes: Mapping[str, Shape]
    grounded: bytes
    velocity: Source | None
    choices: ShelfDamageChoices

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Find the extents of a shelf; a summer without one says why and the others go on."""
        shelf = shelf_of(key)
        made = group_at(group, shelf)
        grid = cell_grid(group_at(made, str(shelf_damage_arrays.summers(group, shelf)[0])))
        said: list[str] = []
        ground = Ground(burnt(self.grounded, grid), self._speed(grid, said), bool(self.grounded))
        decision = decision_of(self.choices.overrides, shelf)
        last: tuple[int, BOOL] | None = None
        for summer in shelf_damage_arrays.summers(group, shelf):
            of = group_at(made, str(summer))
            try:
                source, extent = self._extent(of, f"{shelf}/{summer}", ground, last, summer)
            except ExtentError as error:
                said.append(f"{summer}: {error}")
                write(of, "none", None, decision)
                continue
            write(of, source, extent, decision)
            last = (summer, extent.body)
        said += self._write_parts(group, shelf, ground, last)
        return Receipt(key, "done", note="; ".join(said))

    def _speed(self, grid: PixelGrid, said: list[str]) -> FLOAT | None:
        """Return the speed on cells; None, and why, where the map has none of this shelf."""
        if self.velocity is None:
            return None
        try:
            speed = scenes_screening.speed_on(self.velocity, grid)
        except KeyFailed as error:
            said.append(f"without a velocity, for {error}")
            return None
        if np.isfinite(speed).any():
            return speed
        said.append(f"{self.velocity.id} has no velocity here: how far fronts come is not limited")
        return None

    def _extent(
        self,
        made: zarr.Group,
        path: str,
        ground: Ground,
        last: tuple[int, BOOL] | None,
        summer: int,
    ) -> tuple[str, Extent]:
        """Return the extent of a summer and its source, the first that there is."""
        wanted, shape = self.choices.extent.source, self.shapes.get(path, Shape())
        grid = cell_grid(made)
        if wanted in {"auto", "fronts"} and shape.front:
            return "front product", Extent(burnt(shape.front, grid), "front product")
        if wanted in {"auto", "imagery"} and ground.is_known:
            found = self._seen(made, ground, last, summer)
            return found.source, found
        if wanted in {"auto", "outline"} and shape.outline:
            return "outline", Extent(burnt(shape.outline, grid), "front product")
        if wanted == "auto":
            _, known = cells_seen(made, dropped(self.choices.overrides, path))
            return "all that is seen", Extent(known, "imagery")
        msg = f"found no {wanted} for {path}, expected one; name inputs.fronts for a front or an "
        raise ExtentError(msg + "outline, inputs.grounded_ice for imagery, or let source be auto")

    def _seen(
        self, made: zarr.Group, ground: Ground, last: tuple[int, BOOL] | None, summer: int
    ) -> Extent:
        choices = self.choices.extent
        share, known = cells_seen(made, dropped(self.choices.overrides, made.path.strip("/")))
        return extents.found_extent(
            share >= choices.solid_share, known, np.ones_like(known), ground.grounded,
            None if last is None else last[1], ground.speed,
            years=1.0 if last is None else float(summer - last[0]),
            spacing=cell_grid(made).spacing,
            limits=Limits(
                choices.advance, choices.slack_m, choices.neck_m, choices.least_known,
                choices.least_share,
            ),
        )  # fmt: skip

    def _write_parts(
        self, group: zarr.Group, shelf: str, ground: Ground, last: tuple[int, BOOL] | None
    ) -> list[str]:
        """Write the cells of sub-regions: near the front of the last extent, for every summer.

        Returns
        -------
        list of str
            Why a part stays empty.
        """
        made = group_at(group, shelf)
        said: list[str] = []
        for part in self.choices.parts:
            if ice_shelves.slug(part.shelf) != shelf or last is None:
                continue
            grid = cell_grid(group_at(made, str(last[0])))
            solid = ~last[1] & ~open_sea(last[1], ground.grounded)
            try:
                near = sub_regions.near_front(
                    last[1], np.ones_like(last[1]), solid,
                    distance=1000.0 * part.within_km, spacing=grid.spacing,
                )  # fmt: skip
            except SubRegionError as error:
                said.append(f"{part.name}: {error}")
                continue
            stored.write(made, f"part_{part.name}", near.astype(np.uint8))
        return said


def open_sea(body: BOOL, grounded: BOOL) -> BOOL:
    """Return the cells of sea: slivers between an outline and the grounding line are none.

    Parameters
    ----------
    body, grounded : ndarray of bool, shape (cell_y, cell_x)
        The shelf, and grounded ice.
    """
    wide = ndimage.binary_opening(np.pad(~body & ~grounded, 1, mode="edge"), np.ones((3, 3)))
    return np.asarray(wide[1:-1, 1:-1])


def shelf_of(key: str) -> str:
    """Return the shelf that a key is about, whatever decision stands in its name.

    >>> shelf_of("merge/amery/2011/0/1"), shelf_of("extent/larsen-b+0a1b2c3d~2@5e6f")
    ('amery', 'larsen-b')
    """
    return re.split("[+~@]", key.split("/")[1])[0]


@dataclass(frozen=True, eq=False)
class Ground:
    """What lies still: grounded cells, the speed of the ice, and whether any of it is known."""

    grounded: BOOL
    speed: FLOAT | None
    is_known: bool


def cell_grid(made: zarr.Group) -> PixelGrid:
    """Return the grid of the cells of a summer."""
    place: Any = made.attrs["spatial:transform"]
    spacing, west, north = float(place[0]), float(place[2]), float(place[5])
    ny, nx = stored.array(made, "cells").shape
    return PixelGrid("", str(made.attrs["proj:code"]), west, north, CELL * spacing, nx, ny)


def pixel_grid(made: zarr.Group) -> PixelGrid:
    """Return the grid of the pixels of a summer."""
    place: Any = made.attrs["spatial:transform"]
    ny, nx = stored.array(made, "extent").shape
    code = str(made.attrs["proj:code"])
    return PixelGrid("", code, float(place[2]), float(place[5]), float(place[0]), nx, ny)


def burnt(shape: bytes, grid: PixelGrid) -> BOOL:
    """Return which pixels of a grid have their centre in a shape (WKB, EPSG:3031); none of none."""
    return ice_shelves.burnt(shapely.from_wkb(shape), grid) if shape else np.zeros(grid.shape, bool)


def of_summer(overrides: tuple[DamageOverride, ...], path: str) -> tuple[DamageOverride, ...]:
    """Return what a person decided of ``SHELF/SUMMER``."""
    shelf, _, summer = path.partition("/")
    return tuple(
        each for each in overrides
        if (ice_shelves.slug(each.shelf), each.summer) == (shelf, int(summer))
    )  # fmt: skip


def dropped(overrides: tuple[DamageOverride, ...], path: str) -> frozenset[str]:
    """Return the labels of the scenes that a person left out of ``SHELF/SUMMER``."""
    return frozenset(label for each in of_summer(overrides, path) for label in each.drop)


def cells_seen(made: zarr.Group, without: frozenset[str]) -> tuple[FLOAT, BOOL]:
    """Return the share of ice in each cell, the median of its scenes, and where there is one.

    Parameters
    ----------
    made : Group
        A summer.
    without : frozenset of str
        Labels of scenes that do not count.

    Returns
    -------
    share : ndarray, shape (cell_y, cell_x)
        0 where no scene sees the cell [1].
    known : ndarray of bool, shape (cell_y, cell_x)
    """
    scenes = shelf_damage_arrays.scenes_of(made)
    used = [n for n, scene in enumerate(scenes) if scene["label"] not in without]
    array = stored.array(made, "scene_ice")
    share: FLOAT = np.zeros(array.shape[1:])
    known: BOOL = np.zeros(array.shape[1:], bool)
    # In bands of blocks, so that the scenes of a whole shelf are never in memory together.
    for top in range(0, array.shape[1], array.chunks[1]):
        rows = slice(top, top + array.chunks[1])
        if not used:
            break
        held = shares(np.stack([stored.values(made, "scene_ice", (n, rows)) for n in used]))
        seen = np.isfinite(held).any(axis=0)
        known[rows] = seen
        share[rows][seen] = np.nanmedian(held[:, seen], axis=0) if seen.any() else 0.0
    return share, known


def write(made: zarr.Group, source: str, extent: Extent | None, decision: float) -> None:
    """Keep the cells, how they came about, and after which decision of a person."""
    shape = stored.array(made, "cells").shape
    body = np.zeros(shape, bool) if extent is None else extent.body
    stored.write(made, "cells", body.astype(np.uint8))
    told: dict[str, float] = dict.fromkeys(EXTENT_QUANTITIES, 0.0)
    told |= {"source": float(SOURCES.index(source)), "decision": decision}
    if extent is not None:
        told |= {name: float(getattr(extent, name)) for name in EXTENT_QUANTITIES[1:-1]}
    stored.write(made, "extent_record", np.array([told[name] for name in EXTENT_QUANTITIES]))


def digest_of(overrides: tuple[DamageOverride, ...], shelf: str) -> str:
    """Return what stands for the decisions on a shelf's summers; empty without any."""
    mine = [each for each in overrides if ice_shelves.slug(each.shelf) == shelf]
    if not mine:
        return ""
    text = repr(sorted(repr((each.summer, each.drop, each.publish)) for each in mine))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def decision_of(overrides: tuple[DamageOverride, ...], shelf: str) -> float:
    """Return the same as a number, 0 without any decision."""
    return float(int(digest_of(overrides, shelf) or "0", 16))


def decision_in(made: zarr.Group) -> float:
    """Return after which decision the extent of a summer was found; NaN if it never was."""
    return float(stored.read(made, "extent_record")[EXTENT_QUANTITIES.index("decision")])


def source_of(made: zarr.Group) -> str:
    """Return where the extent of a summer is from, one of ``SOURCES``."""
    record = stored.read(made, "extent_record")
    return SOURCES[int(np.nan_to_num(record[EXTENT_QUANTITIES.index("source")]))]
