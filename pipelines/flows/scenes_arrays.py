"""Arrays of scenes: masks of each shelf, and for each of its summers candidates and stored scenes.

``SHELF/roi`` and ``SHELF/fast`` lie on the screening grid. ``SHELF/SUMMER`` holds rows of two
kinds: a *candidate* is every scene that the search found, judged at the screening's spacing; a
*scene* is a place for a chosen one at 30 m. Places come in rounds: the first choice, then
replacements of what could not be read. A place that no scene took has no chunks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines import stored
from pipelines.flows import austral_summers, product_arrays, scenes_candidates
from pipelines.flows.product_arrays import Array
from pipelines.kernels.imagery import quality_bits, radiometry
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.scenes_candidates import Scene
    from pipelines.settings_scenes import SceneChoice

BANDS = ("red", "green", "blue")
SCORES = (
    "observed", "valid", "valid_fast", "cloud", "shadow", "gap", "saturated", "snow",
    "sun_elevation",
)  # fmt: skip
"""What is known of a candidate: fractions of the ROI [1], and the sun's elevation [°]."""
GAP_QUANTITIES = (
    "fraction", "period_m", "azimuth_deg", "width_edge_m", "width_nadir_m", "source",
    "off_by_date", "off_by_gaps",
)  # fmt: skip
GAP_SOURCES = ("none", "fill", "file", "geometry")
REFLECTANCE = "reflectance, at the top of the atmosphere (level 1) or at the surface (level 2)"
SCREEN = ("y_screen", "x_screen")
Encoding = Literal["reflectance", "stretched", "paper"]
REPLACEMENT_ROUNDS = 2
STRETCHED_TO = 1.2
"""Reflectance of the byte 255; the byte 1 is 0."""


@dataclass(frozen=True)
class Places:
    """Where chosen scenes go: ``most`` places of the first round, ``spares`` of each later one."""

    most: int
    spares: int

    @classmethod
    def of(cls, choice: SceneChoice) -> Places:
        """Return the places of a run."""
        return cls(choice.most, choice.spares)

    @property
    def rounds(self) -> int:
        """How often scenes are chosen."""
        return 1 + (REPLACEMENT_ROUNDS if self.spares else 0)

    @property
    def count(self) -> int:
        """How many places there are."""
        return self.most + (self.rounds - 1) * self.spares

    def slots(self, turn: int) -> range:
        """Return the places of a round, counted from 0."""
        if turn == 0:
            return range(self.most)
        first = self.most + (turn - 1) * self.spares
        return range(first, first + self.spares)

    def turn(self, slot: int) -> int:
        """Return the round of a place."""
        return next(turn for turn in range(self.rounds) if slot in self.slots(turn))


@dataclass(frozen=True)
class Summer:
    """One shelf in one austral summer, which begins in November of its year."""

    shelf: str
    year: int
    scenes: tuple[Scene, ...]

    @property
    def path(self) -> str:
        """Its group in the product, and the scope of its keys."""
        return f"{self.shelf}/{self.year}"

    @property
    def days(self) -> tuple[dt.date, dt.date]:
        """Its first and last day."""
        return austral_summers.days_of(self.year)


@dataclass(frozen=True)
class Layout:
    """Everything that decides names and shapes."""

    grids: dict[str, PixelGrid]
    summers: tuple[Summer, ...]
    places: Places
    factor: int
    chunk: int
    encoding: Encoding
    attributes: dict[str, Any]

    def screen(self, shelf: str) -> PixelGrid:
        """Return the screening grid of a shelf."""
        return self.grids[shelf].coarser(self.factor)

    def bytes(self) -> int:
        """Return the size of what will be written at most, uncompressed [B]."""
        total = 0
        for summer in self.summers:
            used = min(len(summer.scenes), self.places.most)
            for array in _summer_arrays(self, summer):
                share = used / self.places.count if array.dims[0] == "scene" else 1.0
                total += int(array.bytes() * share)
        return total


def create(group: zarr.Group, layout: Layout) -> None:
    """Create the empty arrays of every shelf and summer, and write down their candidates."""
    group.attrs.update({"Conventions": "CF-1.11", **layout.attributes})
    for shelf, grid in layout.grids.items():
        screen = layout.screen(shelf)
        made = group.require_group(shelf)
        product_arrays.create(made, _shelf_arrays(screen), _place(screen))
        _axes(made, {"x_screen": screen.x, "y_screen": screen.y})
        for summer in (each for each in layout.summers if each.shelf == shelf):
            _create_summer(group.require_group(summer.path), layout, summer, grid, screen)


def _create_summer(
    group: zarr.Group, layout: Layout, summer: Summer, grid: PixelGrid, screen: PixelGrid
) -> None:
    product_arrays.create(group, _summer_arrays(layout, summer), _place(grid))
    axes = {"x": grid.x, "y": grid.y, "x_screen": screen.x, "y_screen": screen.y}
    _axes(group, axes)
    product_arrays.labels(group, "candidate", [scene.label for scene in summer.scenes])
    product_arrays.labels(group, "band", BANDS)
    product_arrays.labels(group, "quantity", SCORES)
    product_arrays.labels(group, "gap_quantity", GAP_QUANTITIES)
    times = np.array([scene.day * 86_400.0 for scene in summer.scenes])
    about = {"units": "seconds since 1970-01-01", "standard_name": "time"}
    if times.size:
        product_arrays.coordinate(group, "candidate_time", ("candidate",), times, about)
    group["mask"].attrs.update(_flag_attributes())
    group["screen_mask"].attrs.update(_flag_attributes())
    group["reflectance"].attrs.update(_packing(layout.encoding))
    scenes_candidates.write(group, summer.scenes, grid)


def _axes(group: zarr.Group, axes: dict[str, np.ndarray]) -> None:
    product_arrays.polar_axes(group, axes)


def _place(grid: PixelGrid) -> dict[str, Any]:
    return {
        "proj:code": grid.code,
        "spatial:shape": [grid.ny, grid.nx],
        "spatial:transform": list(grid.transform),
    }


def _flag_attributes() -> dict[str, Any]:
    return {
        "flag_masks": list(quality_bits.FLAG_MASKS),
        "flag_meanings": quality_bits.FLAG_MEANINGS,
    }


def _packing(encoding: Encoding) -> dict[str, Any]:
    """Return how stored numbers become reflectance; zero is none."""
    if encoding == "reflectance":
        return {"scale_factor": radiometry.PER_COUNT, "add_offset": 0.0, "_FillValue": 0}
    if encoding == "stretched":
        step = STRETCHED_TO / 254.0
        return {"scale_factor": step, "add_offset": -step, "_FillValue": 0}
    return {"scale_factor": 1.0 / 255.0, "add_offset": 0.0}


def _shelf_arrays(screen: PixelGrid) -> tuple[Array, ...]:
    shape = (screen.ny, screen.nx)
    return tuple(
        Array(name, SCREEN, shape, shape, "1", long_name, "uint8")
        for name, long_name in (
            ("roi", "cell lies in the region of interest"),
            ("fast", "ice flows fast"),
        )
    )


def _summer_arrays(layout: Layout, summer: Summer) -> tuple[Array, ...]:
    screen = layout.screen(summer.shelf)
    return (
        *_candidate_arrays(max(len(summer.scenes), 1), screen),
        *_choice_arrays(max(len(summer.scenes), 1), layout.places),
        *_scene_arrays(layout, layout.grids[summer.shelf]),
        Array("shelf", SCREEN, screen.shape, screen.shape, "1",
              "cell lies on the shelf as it was in this summer", "uint8"),
        Array("supplier", SCREEN, screen.shape, screen.shape, "1",
              "place of the scene that is laid uppermost, from 1; 0 where none is clear", "int16"),
    )  # fmt: skip


def _candidate_arrays(count: int, screen: PixelGrid) -> tuple[Array, ...]:
    shape = (screen.ny, screen.nx)
    return (
        Array("screen_mask", ("candidate", *SCREEN), (count, *shape), (1, *shape), "1",
              "quality of the pixel in the middle of each cell", "uint16", quality_bits.FILL),
        Array("quicklook", ("candidate", *SCREEN, "colour"), (count, *shape, 3), (1, *shape, 3),
              "1", "red, green, blue; reflectance 0 to 1.2", "uint8"),
        Array("score", ("candidate", "quantity"), (count, len(SCORES)), (1, len(SCORES)), "1",
              "fractions of the region of interest; elevation of the sun in degrees"),
    )  # fmt: skip


def _choice_arrays(count: int, places: Places) -> tuple[Array, ...]:
    rounds, slots = places.rounds, places.count
    return (
        Array("chosen", ("round", "scene"), (rounds, slots), (1, slots), "1",
              "candidate that a place is for, from 1; 0 for none", "int32"),
        Array("held", ("round", "scene"), (rounds, slots), (1, slots), "1",
              "a place held a scene of an earlier run when it was chosen for", "uint8"),
        Array("gain", ("round", "scene"), (rounds, slots), (1, slots), "1",
              "weighted part of the region that a scene adds to those before it"),
        Array("would_add", ("round", "candidate"), (rounds, count), (1, count), "1",
              "weighted part of the region that a candidate would add to those chosen"),
        Array("covered", ("round",), (rounds,), (1,), "1",
              "weighted part of the region that the chosen scenes cover"),
    )  # fmt: skip


def _scene_arrays(layout: Layout, grid: PixelGrid) -> tuple[Array, ...]:
    slots, chunk = layout.places.count, layout.chunk
    kind = "uint16" if layout.encoding == "reflectance" else "uint8"
    return (
        Array("reflectance", ("scene", "band", "y", "x"), (slots, len(BANDS), grid.ny, grid.nx),
              (1, len(BANDS), chunk, chunk), "1", REFLECTANCE, kind,
              level=1),
        Array("mask", ("scene", "y", "x"), (slots, grid.ny, grid.nx), (1, chunk, chunk), "1",
              "quality of each pixel", "uint16", quality_bits.FILL, level=1),
        Array("stored", ("scene",), (slots,), (1,), "1",
              "candidate whose pixels were written here, from 1; 0 for none", "int32"),
        Array("gap_record", ("scene", "gap_quantity"), (slots, len(GAP_QUANTITIES)),
              (1, len(GAP_QUANTITIES)), "1", "stripes without data, as measured"),
        Array("selected", ("scene",), (slots,), (slots,), "1", "is of the chosen set", "uint8"),
        Array("time", ("scene",), (slots,), (slots,), "seconds since 1970-01-01",
              "acquisition of the scene"),
        Array("candidate_of", ("scene",), (slots,), (slots,), "1",
              "candidate whose pixels are here, from 1; 0 for none", "int32"),
    )  # fmt: skip


def chosen_so_far(group: zarr.Group, places: Places, turn: int) -> dict[int, int]:
    """Return place to candidate (from 0) of all rounds before ``turn``."""
    rows = stored.values(group, "chosen", slice(turn))
    return {
        slot: int(row[slot]) - 1
        for done, row in enumerate(rows)
        for slot in places.slots(done)
        if row[slot] > 0
    }


def kept_so_far(group: zarr.Group, places: Places, turn: int) -> dict[int, int]:
    """Return place to candidate of all rounds before ``turn``, of those that are stored."""
    here = stored.values(group, "stored")
    chosen = chosen_so_far(group, places, turn)
    # A place may still hold what an earlier run chose for it.
    return {slot: index for slot, index in sorted(chosen.items()) if here[slot] == index + 1}


def path_of(parts: Sequence[str]) -> str:
    """Return the group that a key is about: ``screen/amery/2011/3`` to ``amery/2011``."""
    return "/".join(parts[1:3])
