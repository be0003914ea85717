"""The jobs of a consistency run: densities of a map, agreement of a pair, changes of a block.

A damage map is read in blocks and never whole. What is held whole is a shelf on density cells: a
nine-hundredth of its pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import consistency_velocity
from pipelines.flows.consistency_arrays import AREAS, MEASURES, cell_axes, pair_path, per_cell
from pipelines.flows.consistency_carrying import (
    carried_density,
    carried_labels,
    departures_of,
)
from pipelines.flows.consistency_inputs import decimal_year
from pipelines.flows.pixel_blocks import block_side, blocks
from pipelines.flows.shelf_damage_arrays import scenes_of
from pipelines.kernels.damage import advection, areas, densities, moving_changes
from pipelines.kernels.damage.advection import AdvectionError, Departures, Scheme
from pipelines.kernels.damage.agreement import Agreement, PairAgreement, pair_agreement
from pipelines.kernels.damage.agreement_intervals import Interval, agreement_intervals
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import DamageMap, Flow, Shelf
    from pipelines.kernels.damage.flow_field import FlowField

FLOAT = NDArray[np.float64]
UINT8 = NDArray[np.uint8]

MOST_BLOCK = 1024
"""Rows and columns of a block at most, unless a chunk is larger [pixels]."""
ONE_SIGMA = math.erf(math.sqrt(0.5))
"""Probability within one standard deviation: intervals of it have that half-width [1]."""


@dataclass(frozen=True)
class DensityJob:
    """``density/SHELF/SUMMER``: damage densities of a map on coarse cells, and its mean time."""

    shelves: tuple[Shelf, ...]
    cell_m: float
    least_known: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Count the blocks of one map."""
        _, name, summer = key.split("/")
        shelf = shelf_of(self.shelves, name)
        number = shelf.place(int(summer))
        held = shelf.maps[number]
        made = group_at(held.source.open(), held.path)
        pixels = per_cell(held.grid, self.cell_m)
        tallies, supplied = [], np.zeros(256)
        side = block_side(held.chunk, most=MOST_BLOCK)
        for rows, columns in blocks((held.grid.ny, held.grid.nx), side):
            block = stored.values(made, "damage", (rows, columns))
            if "supplier" in made:
                by = stored.values(made, "supplier", (rows, columns))
                supplied += np.bincount(by[block != densities.UNKNOWN], minlength=256)[:256]
            tallies.append(
                densities.tally(block, row=rows.start, column=columns.start, pixels_per_cell=pixels)
            )
        x, y = cell_axes(held.grid, self.cell_m)
        counts = densities.merged(tallies, shape=(len(y), len(x)))
        density, share = densities.densities(counts, least_known=self.least_known)
        target = group_at(group, name)
        stored.write(target, "density", density.astype(np.float32), number)
        stored.write(target, "share", share.astype(np.float32), number)
        stored.write(target, "time", np.array(mean_time(made, supplied, held.time)), number)
        return Receipt(key, "done", snapshot=held.source.snapshot)


def mean_time(made: zarr.Group, supplied: FLOAT, otherwise: float) -> float:
    """Return when a map was acquired, on average over its pixels [s since 1970-01-01].

    Ice of 4 km yr⁻¹ crosses a cell in a quarter of a year: months within a summer count.

    Parameters
    ----------
    made : zarr.Group
        Of the map.
    supplied : ndarray, shape (256,)
        Pixels that each scene supplied, by its number.
    otherwise : float
        Where no scene is known to have supplied any [s].
    """
    weights = {int(scene["number"]): float(scene["time"]) for scene in scenes_of(made)}
    shares = {number: supplied[number] for number in weights if 0 < number < len(supplied)}
    total = sum(shares.values())
    if not total:
        return otherwise
    return float(sum(share * weights[number] for number, share in shares.items()) / total)


@dataclass(frozen=True)
class PairJob:
    """``pair/SHELF/Y1/Y2``: where the ice came from, and how the maps agree with and without."""

    shelves: tuple[Shelf, ...]
    flows: tuple[Flow, ...]
    velocity: consistency_velocity.Choices
    scheme: Scheme
    carry: Literal["densities", "pixels"]
    least_known: float
    least_cells: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Carry the earlier densities, and compare."""
        _, name, *summers = key.split("/")
        shelf = shelf_of(self.shelves, name)
        places = [shelf.place(int(summer)) for summer in summers]
        held = group_at(group, name)
        earlier, later = (decimal_year(time) for time in times_of(shelf, held, places))
        pair = group_at(group, pair_path(name, int(summers[0]), int(summers[1])))
        x, y = cell_axes(shelf.grid, self.velocity.cell_m, halo=1)
        box = (float(x[0]), float(x[-1]), float(y[-1]), float(y[0]))
        used = consistency_velocity.between(
            self.flows, box, earlier=earlier, later=later, choices=self.velocity
        )
        try:
            nodes = self._departures(used.field, x, y, earlier=earlier, later=later)
        except AdvectionError as error:
            msg = f"{key}: {error}"
            raise KeyFailed(msg) from error
        for axis, values in zip(("x", "y"), nodes, strict=True):
            stored.write(pair, f"departure_{axis}", values)
        was, now = (stored.read(held, "density", place) for place in places)
        carried = self._carried(shelf.maps[places[0]], was, nodes)
        stored.write(pair, "advected", carried.astype(np.float32))
        measured, said = self._measured(was, carried, now)
        stored.write(pair, "measure", measured)
        notes = [note for note in (said, used.note) if note]
        return Receipt(key, "done", note="; ".join(notes), inputs=used.ids)

    def _departures(
        self, field: FlowField, x: FLOAT, y: FLOAT, *, earlier: float, later: float
    ) -> Departures:
        """Return where ice was; the paper's scheme is one Euler step between maps of velocity."""
        at = np.meshgrid(x, y)
        steps = 1 if self.scheme == "euler" else None
        return Departures(
            *advection.trace(field, *at, start=later, end=earlier, scheme=self.scheme, steps=steps)
        )

    def _carried(self, first: DamageMap, was: FLOAT, nodes: Departures) -> FLOAT:
        """Return the earlier densities on the cells of the later map, NaN off the footprint."""
        cell_m, least = self.velocity.cell_m, self.least_known
        if self.carry == "pixels":
            side = block_side(first.chunk, most=MOST_BLOCK)
            return carried_density(first, nodes, cell_m=cell_m, least_known=least, side=side)
        origin = Departures(*(each[1:-1, 1:-1] for each in nodes))
        x, y = cell_axes(first.grid, cell_m)
        return advection.advected(was, x, y, origin, least_known=least)

    def _measured(self, was: FLOAT, carried: FLOAT, now: FLOAT) -> tuple[FLOAT, str]:
        """Return the numbers of a pair, shape (advection, quantity), and why there are none."""
        found = pair_agreement(was, carried, now)
        common = ~(np.isnan(was) | np.isnan(carried) | np.isnan(now))
        if found.corrected.n < self.least_cells:
            said = f"{found.corrected.n} cells in common, fewer than {self.least_cells}"
            return np.array([_nothing(found.corrected.n)] * 2), said
        rows = []
        for earlier, on_common, own in _ways(found, was, carried):
            intervals = agreement_intervals(earlier, now, use=common, level=ONE_SIGMA)
            rows.append(
                [
                    on_common.rank_correlation, *_known(intervals.rank_correlation),
                    on_common.concordance, *_known(intervals.concordance),
                    on_common.rmse, on_common.bias, on_common.n,
                    on_common.printed_rank_correlation,
                    own.rank_correlation, own.concordance, own.rmse, own.n,
                ]
            )  # fmt: skip
        return np.array(rows), found.corrected.reason or found.uncorrected.reason


def _ways(
    found: PairAgreement, was: FLOAT, carried: FLOAT
) -> tuple[tuple[FLOAT, Agreement, Agreement], ...]:
    """Return the earlier map and its agreements, carried and not."""
    return (
        (carried, found.corrected, found.corrected_own),
        (was, found.uncorrected, found.uncorrected_own),
    )


def _nothing(cells: int) -> list[float]:
    """Return the numbers of a pair that is not compared: how many cells there are, and NaN."""
    return [float(cells) if name == "cells" else math.nan for name in MEASURES]


def _known(interval: Interval) -> Interval:
    """Return an interval, NaN where the blocks of the map do not tell one."""
    return interval if interval != (-1.0, 1.0) else (math.nan, math.nan)


@dataclass(frozen=True)
class ChangeJob:
    """``change/SHELF/Y1/Y2/ROW/COLUMN``: what became of damage in a block, and its areas."""

    shelves: tuple[Shelf, ...]
    cell_m: float
    side: int
    tolerance: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Carry the earlier map into a block and its halo, compare, keep the block."""
        _, name, first, second, *place = key.split("/")
        shelf, row, column = shelf_of(self.shelves, name), int(place[0]), int(place[1])
        was, now = (shelf.maps[shelf.place(int(summer))] for summer in (first, second))
        pair = group_at(group, pair_path(name, int(first), int(second)))
        inner = tuple(
            slice(number * self.side, min((number + 1) * self.side, size))
            for number, size in ((row, shelf.grid.ny), (column, shelf.grid.nx))
        )
        halo = math.ceil(self.tolerance)
        outer = tuple(
            slice(max(0, part.start - halo), min(size, part.stop + halo))
            for part, size in zip(inner, (shelf.grid.ny, shelf.grid.nx), strict=True)
        )
        later = stored.values(group_at(now.source.open(), now.path), "damage", outer)
        origin = departures_of(pair, shelf.grid, outer, cell_m=self.cell_m)
        earlier = carried_labels(was, origin)
        codes = moving_changes.changes(earlier, later, tolerance=self.tolerance)
        kept = codes[
            inner[0].start - outer[0].start : inner[0].stop - outer[0].start,
            inner[1].start - outer[1].start : inner[1].stop - outer[1].start,
        ]
        grid = shelf.grid
        area = areas.pixel_areas(grid.x[inner[1]], grid.y[inner[0]], spacing=grid.spacing)
        sums = moving_changes.change_areas(kept, area)
        stored.write(pair, "change", kept, inner)
        stored.write(pair, "areas", np.array([getattr(sums, n) for n in AREAS]), (row, column))
        return Receipt(key, "done", snapshot=now.source.snapshot)


def shelf_of(shelves: tuple[Shelf, ...], name: str) -> Shelf:
    """Return a shelf by its id."""
    return next(each for each in shelves if each.id == name)


def times_of(shelf: Shelf, held: zarr.Group, places: list[int]) -> list[float]:
    """Return when maps were acquired [s since 1970-01-01]; one that was not counted fails."""
    found = [float(stored.read(held, "time", place)) for place in places]
    for time, place in zip(found, places, strict=True):
        if math.isnan(time):
            msg = f"densities of {shelf.maps[place].path} were not made; see why their key failed"
            raise KeyFailed(msg)
    return found
