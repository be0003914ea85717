"""The velocity between two maps of damage: maps of years at their own time, others in their gaps.

Overall strategy: every map that can serve is read around the shelf alone, averaged to cells no
finer than half a density cell needs, brought to metres on the map and to one grid. The maps of
years that enclose the pair become a field that is linear in time; what one of them lacks comes
from the nearest of them, then from maps of no year in the order of the run. Without a map of a
year near enough, those of no year are a field at rest in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines.kernels.budget import velocity
from pipelines.kernels.damage import flow_field
from pipelines.kernels.damage.flow_field import FlowField

if TYPE_CHECKING:
    import xarray as xr

    from pipelines.flows.consistency_inputs import Flow

FLOAT = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""West, east, south and north [m]."""

BAND_ROWS = 1024
"""Rows of a map of velocity that are read at once."""
CELLS_PER_CELL = 2.0
"""Cells of velocity along a side of a density cell, at most: speeds vary over kilometres."""


@dataclass(frozen=True)
class Choices:
    """How the velocity of a pair is put together.

    Attributes
    ----------
    cell_m : float
        Side of density cells [m].
    within_years : float
        How far from the pair a map of a year may be [yr].
    reach_m : float
        How far beyond the known velocity the nearest one holds [m].
    """

    cell_m: float
    within_years: float
    reach_m: float


@dataclass(frozen=True)
class Used:
    """A field with the ids of the maps that it is made of, and what a person should know."""

    field: FlowField
    ids: tuple[str, ...]
    note: str = ""


def between(
    flows: Sequence[Flow], box: Box, *, earlier: float, later: float, choices: Choices
) -> Used:
    """Return the velocity in a box from one time to another.

    Parameters
    ----------
    flows : sequence of Flow
        Maps in the order of the run.
    box : tuple of float
        Around the shelf [m].
    earlier, later : float
        Times of the maps of damage [decimal year].
    choices : Choices
        How it is put together.

    Raises
    ------
    KeyFailed
        No map reaches into the box, or one cannot be read.
    """
    annual, note = _enclosing(flows, earlier, later, choices.within_years)
    lasting = [each for each in flows if not each.annual]
    around = {e.source.href: _around(e, box, choices.cell_m) for e in (*annual, *lasting)}
    fields = {href: field for href, field in around.items() if field is not None}
    known = [each for each in (*annual, *lasting) if each.source.href in fields]
    if not known:
        msg = f"no map of inputs.velocity reaches the box {', '.join(f'{e:.0f}' for e in box)} m"
        raise KeyFailed(msg)
    x, y = _axes(fields[known[0].source.href], box)
    on_grid = {each.source.href: _resampled(fields[each.source.href], x, y) for each in known}
    times = sorted({each.middle for each in known if each.annual})
    stacked = [
        velocity.fill([on_grid[each.source.href] for each in _preferred(known, time)])
        for time in times or [0.0]
    ]
    field = FlowField(
        np.stack([each.v_x for each in stacked]), np.stack([each.v_y for each in stacked]),
        x, y, np.array(times or [0.0]),
    )  # fmt: skip
    made = flow_field.extended(field, reach=choices.reach_m)
    return Used(made, tuple(each.source.id for each in known), note)


def _enclosing(
    flows: Sequence[Flow], earlier: float, later: float, within: float
) -> tuple[list[Flow], str]:
    """Return maps of years in a pair's time, the next before and behind it, and what is odd."""

    def far(each: Flow) -> float:
        return max(earlier - each.middle, each.middle - later, 0.0)

    annual = [each for each in flows if each.annual]
    near = [each for each in annual if far(each) <= within]
    note = ""
    if not near and annual and len(annual) == len(flows):
        nearest = min(annual, key=far)
        near = [each for each in annual if each.middle == nearest.middle]
        note = f"velocity of {nearest.middle:.1f} stands for {earlier:.1f} to {later:.1f}"
    before = max((e.middle for e in near if e.middle <= earlier), default=-np.inf)
    behind = min((e.middle for e in near if e.middle >= later), default=np.inf)
    return [each for each in near if before <= each.middle <= behind], note


def _preferred(flows: Sequence[Flow], time: float) -> list[Flow]:
    """Return maps in the order in which they serve a time: nearest years, then those of none."""
    annual = [each for each in flows if each.annual]
    ordered = sorted(annual, key=lambda each: abs(each.middle - time))
    return [*ordered, *(each for each in flows if not each.annual)]


def _around(flow: Flow, box: Box, cell_m: float) -> FlowField | None:
    """Return a map of velocity around a box, in metres on the map; None where it does not reach."""

    def choose(data: xr.Dataset) -> tuple[FLOAT, ...] | None:
        x, y = (np.asarray(data[axis].values, np.float64) for axis in ("x", "y"))
        spacing = abs(float(x[1] - x[0]))
        each = max(1, int(cell_m / CELLS_PER_CELL // spacing))
        columns, rows = (
            _window(axis, low, high, margin=2.0 * each * spacing, each=each)
            for axis, low, high in ((x, box[0], box[1]), (y, box[2], box[3]))
        )
        if min(len(range(*part.indices(1 << 40))) for part in (columns, rows)) < 2 * each:
            return None
        v_x, v_y = (_averaged(data[name], rows, columns, each) for name in ("v_x", "v_y"))
        return v_x, v_y, *(axis[part].reshape(-1, each).mean(axis=1)
                           for axis, part in ((x, columns), (y, rows)))  # fmt: skip

    found = flow.source.read(choose)
    if found is None:
        return None
    v_x, v_y, x, y = found
    frame: flow_field.Frame = "ground" if flow.frame == "ground" else "map"
    return flow_field.flow_field(v_x, v_y, x, y, frame=frame)


def _window(axis: FLOAT, low: float, high: float, *, margin: float, each: int) -> slice:
    """Return a run of cells around an interval whose number is a multiple of `each`."""
    inside = np.flatnonzero((axis >= low - margin) & (axis <= high + margin))
    if not inside.size:
        return slice(0, 0)
    first, count = int(inside[0]), int(inside[-1]) + 1 - int(inside[0])
    return slice(first, first + count // each * each)


def _averaged(array: xr.DataArray, rows: slice, columns: slice, each: int) -> FLOAT:
    """Return means of `each` by `each` cells, NaN where fewer than half are known."""
    step = max(1, BAND_ROWS // each) * each
    bands = []
    for first in range(rows.start, rows.stop, step):
        part = array.isel(y=slice(first, min(first + step, rows.stop)), x=columns)
        # A band of a shelf's window: some tens of MB.
        values = np.asarray(part.values, np.float64)
        ny, nx = (size // each for size in values.shape)
        cells = values.reshape(ny, each, nx, each)
        known = ~np.isnan(cells)
        count = known.sum(axis=(1, 3))
        total = np.where(known, cells, 0.0).sum(axis=(1, 3))
        enough = 2 * count >= each * each
        bands.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=enough))
    return np.concatenate(bands)


def _axes(field: FlowField, box: Box) -> tuple[FLOAT, FLOAT]:
    """Return the axes of a field, as far as the box: others may reach where it does not."""
    spacing = field.spacing
    x, y = (
        axis.min() + np.arange(
            np.floor((low - axis.min()) / spacing) - 2, np.ceil((high - axis.min()) / spacing) + 3
        ) * spacing
        for axis, low, high in ((field.x, box[0], box[1]), (field.y, box[2], box[3]))
    )  # fmt: skip
    return np.asarray(x), np.asarray(y)


def _resampled(field: FlowField, x: FLOAT, y: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return both components on a grid, shape (y, x)."""
    at_x, at_y = np.meshgrid(x, y)
    found = flow_field.velocity_at(field, at_x.ravel(), at_y.ravel(), time=0.0)
    v_x, v_y = (each.reshape(at_x.shape) for each in found)
    return v_x, v_y
