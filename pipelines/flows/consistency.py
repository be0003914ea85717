"""Consistency: how damage maps of two years agree once the ice has moved, and what changed.

Tang et al. (2026), sections 2.5.2 and 3.2.5. Stages: ``density/SHELF/SUMMER`` counts damage on
coarse cells, ``pair/SHELF/Y1/Y2`` carries the earlier densities to the later map and compares,
``links/SHELF/Y1/Y2`` finds which fracture is which where both maps tell fractures, and
``change/SHELF/Y1/Y2/ROW/COLUMN`` tells at full resolution what was gained, lost and carried.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pipelines.flows import (
    consistency_arrays,
    consistency_inputs,
    consistency_rifts,
    consistency_stages,
)
from pipelines.flows import consistency_results as results
from pipelines.flows.consistency_arrays import block_counts
from pipelines.flows.consistency_inputs import ConsistencyFound
from pipelines.flows.consistency_stages import ChangeJob, DensityJob, PairJob
from pipelines.flows.consistency_velocity import CELLS_PER_CELL, Choices
from pipelines.flows.pixel_blocks import block_side
from pipelines.flows.planning import planned
from pipelines.lifecycle import MIB, Plan, Stage

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import Shelf
    from pipelines.settings import Run

WORKER_BYTES = 250 * MIB
"""A process with what it imports [B]."""
DENSITY_PIXEL_BYTES = 12
"""Memory of a block that is counted, for each of its pixels [B]."""
CHANGE_PIXEL_BYTES = 110
"""Memory of a block of changes for each of its pixels, its source and halo included [B]."""
FIELD_CELL_BYTES = 48
"""Memory of a map of velocity for each of its cells, as it is read and on the common grid [B]."""
CELL_BYTES = 900
"""Memory of a pair for each density cell: ways, maps, ranks [B]."""

SECONDS_PER_MPX = 0.02
"""Time to count a million pixels [s]."""
SECONDS_PER_MILLION_CELLS = 20.0
"""Time to carry and compare a pair of a million density cells [s]."""
CHANGE_SECONDS_PER_MPX = 0.35
"""Time to carry and compare a million pixels [s]."""


def plan(run: Run) -> Plan:
    """Find the maps and the velocity, lay out pairs; no pixel is read.

    Raises
    ------
    InputError
        What is named is not there or of another kind, no shelf has two summers, or a velocity does
        not say which metres it holds.
    """
    found = consistency_inputs.resolve(run)
    choices = run.choices
    chunk = max(each.maps[0].chunk for each in found.shelves)
    side = block_side(chunk, most=consistency_stages.MOST_BLOCK)
    attributes = results.provenance(run, found)
    return planned(
        run,
        found.items,
        stages=stages_of(run, found, side),
        template=functools.partial(
            _create, shelves=found.shelves, cell_m=choices.cell_m,
            side=side if choices.changes else None, attributes=attributes,
        ),
        tell=functools.partial(results.tell, run=run, found=found),
        bytes_to_write=_bytes_to_write(run, found, side),
        notes=tuple(_notes(run, found)),
    )  # fmt: skip


def _create(group: zarr.Group, *, shelves: tuple[Shelf, ...], **more: Any) -> None:
    consistency_arrays.create(group, shelves=shelves, **more)
    consistency_rifts.create(group, consistency_rifts.linked_pairs(shelves))


def stages_of(run: Run, found: ConsistencyFound, side: int) -> tuple[Stage, ...]:
    """Return the stages; keys of a shelf are dated by that shelf alone."""
    made = [_densities(run, found), _pairs(run, found)]
    if linked := consistency_rifts.linked_pairs(found.shelves):
        made.append(_links(run, found, linked))
    if run.choices.changes:
        made.append(_changes(run, found, side))
    return tuple(made)


def shelf_of_key(key: str) -> str:
    """Return the shelf that a key is about.

    >>> shelf_of_key("pair/amery/2003/2004")
    'amery'
    """
    return key.split("/")[1]


def _densities(run: Run, found: ConsistencyFound) -> Stage:
    keys = tuple(f"density/{made.path}" for shelf in found.shelves for made in shelf.maps)
    job = DensityJob(found.shelves, run.choices.cell_m, run.choices.least_known)
    pixels = _block_pixels(found)
    whole = max(s.grid.ny * s.grid.nx for s in found.shelves)
    memory = WORKER_BYTES + DENSITY_PIXEL_BYTES * pixels + 64 * _cells(run, found)
    return Stage(
        "density", keys, job, memory, SECONDS_PER_MPX * whole / 1e6,
        "a block of pixels and the shelf's density cells", scope=shelf_of_key, partial=True,
    )  # fmt: skip


def _pairs(run: Run, found: ConsistencyFound) -> Stage:
    choices = run.choices
    keys = tuple(f"pair/{s.id}/{a}/{b}" for s in found.shelves for a, b in s.pairs)
    velocity = Choices(choices.cell_m, choices.annual_within_years, 1000.0 * choices.reach_km)
    job = PairJob(
        found.shelves, found.flows, velocity, choices.scheme, choices.carry,
        choices.least_known, choices.least_cells,
    )  # fmt: skip
    cells = _cells(run, found)
    maps = max(_maps_at_once(found), 1)
    # Cells of velocity are at least half as wide as those of densities, unless maps are coarser.
    field = int(cells * (2.0 * CELLS_PER_CELL) ** 2) * maps * FIELD_CELL_BYTES
    pixels = _block_pixels(found) if choices.carry == "pixels" else 0
    whole = max(s.grid.ny * s.grid.nx for s in found.shelves) if pixels else 0
    return Stage(
        "pair", keys, job, WORKER_BYTES + CELL_BYTES * cells + field + CHANGE_PIXEL_BYTES * pixels,
        (SECONDS_PER_MILLION_CELLS * cells + CHANGE_SECONDS_PER_MPX * whole) / 1e6,
        f"the shelf's density cells, and {maps} maps of velocity around it",
        scope=shelf_of_key, partial=True,
    )  # fmt: skip


def _maps_at_once(found: ConsistencyFound) -> int:
    """Return how many maps of velocity serve a pair at most: years, and those of none."""
    lasting = sum(not each.annual for each in found.flows)
    longest = max(b - a for shelf in found.shelves for a, b in shelf.pairs)
    times = sorted(each.middle for each in found.flows if each.annual)
    return lasting + max(
        (sum(start <= time <= start + longest + 3.0 for time in times) for start in times),
        default=0,
    )


def _links(run: Run, found: ConsistencyFound, pairs: tuple[tuple[str, int, int], ...]) -> Stage:
    cells = max(consistency_rifts.cell_count(s.grid.ny, s.grid.nx) for s in found.shelves)
    return Stage(
        "links", tuple(f"links/{shelf}/{a}/{b}" for shelf, a, b in pairs),
        consistency_rifts.LinkJob(found.shelves, run.choices.cell_m),
        WORKER_BYTES + consistency_rifts.CELL_BYTES * cells,
        consistency_rifts.SECONDS_PER_MILLION_CELLS * cells / 1e6,
        f"a pair of maps of fractures on {cells} cells", scope=shelf_of_key, partial=True,
        dispensable=True,
    )  # fmt: skip


def _changes(run: Run, found: ConsistencyFound, side: int) -> Stage:
    keys = tuple(
        f"change/{shelf.id}/{a}/{b}/{row}/{column}"
        for shelf in found.shelves
        for a, b in shelf.pairs
        for row in range(block_counts(shelf.grid, side)[0])
        for column in range(block_counts(shelf.grid, side)[1])
    )
    job = ChangeJob(found.shelves, run.choices.cell_m, side, run.choices.tolerance_px)
    widest = max(min(side, max(s.grid.ny, s.grid.nx)) for s in found.shelves)
    pixels = (widest + 2 * int(run.choices.tolerance_px + 1)) ** 2
    return Stage(
        "change", keys, job, WORKER_BYTES + CHANGE_PIXEL_BYTES * pixels,
        CHANGE_SECONDS_PER_MPX * pixels / 1e6, f"a block of {side}² pixels and where its ice was",
        scope=shelf_of_key, partial=True,
    )  # fmt: skip


def _block_pixels(found: ConsistencyFound) -> int:
    """Return the pixels of the largest block of a map."""
    most = consistency_stages.MOST_BLOCK
    return max(
        min(block_side(shelf.maps[0].chunk, most=most), max(shelf.grid.ny, shelf.grid.nx)) ** 2
        for shelf in found.shelves
    )


def _cells(run: Run, found: ConsistencyFound) -> int:
    """Return the density cells of the largest shelf."""
    sizes = [consistency_arrays.cell_axes(s.grid, run.choices.cell_m, halo=1)
             for s in found.shelves]  # fmt: skip
    return max(len(x) * len(y) for x, y in sizes)


def _bytes_to_write(run: Run, found: ConsistencyFound, side: int) -> int:
    total, cell_m = 0, run.choices.cell_m
    for shelf in found.shelves:
        blocks = block_counts(shelf.grid, side) if run.choices.changes else None
        total += sum(a.bytes() for a in consistency_arrays.shelf_arrays(shelf, cell_m=cell_m))
        pair = consistency_arrays.pair_arrays(shelf, cell_m=cell_m, blocks=blocks)
        total += len(shelf.pairs) * sum(array.bytes() for array in pair)
    return total


def _notes(run: Run, found: ConsistencyFound) -> list[str]:
    pairs = sum(len(shelf.pairs) for shelf in found.shelves)
    annual = sum(each.annual for each in found.flows)
    maps = sum(len(shelf.maps) for shelf in found.shelves)
    notes = [
        f"{pairs} pairs of {maps} maps of {len(found.shelves)} shelves",
        f"velocity: {annual} maps of years, {len(found.flows) - annual} of no year",
    ]
    if run.choices.scheme == "euler":
        notes.append("one Euler step a pair, as equation 13; it cuts the corners of curved flow")
    if not run.choices.changes:
        notes.append("changes: false, so no map of gained and lost damage is made")
    return notes
