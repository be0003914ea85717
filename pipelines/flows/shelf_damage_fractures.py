"""Fractures of each summer: a map of identities and a table of how they lie, run and reach.

``fractures/SHELF/SUMMER`` reads the merged map twice, block by block. The first time bodies of
blocks are measured and joined across edges; the second time the joined labels are written, and
paths through each body are measured. Fracture 1 has most pixels; row k − 1 of the table is
fracture k.

Angles are degrees from the x axis of EPSG:3031 towards its y axis, in (−90, 90]: the direction of
an axis on the map, not of a compass. Lengths and areas are true ones, on the ellipsoid.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import (
    austral_summers,
    product_arrays,
    product_results,
    shelf_damage_bodies,
)
from pipelines.flows.product_arrays import Array
from pipelines.flows.shelf_damage_arrays import UNKNOWN, shares
from pipelines.flows.shelf_damage_bodies import CELL, MARGIN, Block, Bodies
from pipelines.kernels import geodesy
from pipelines.kernels.damage import fracture_lines
from pipelines.lifecycle import MIB
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines import tables
    from pipelines.settings import Run

FLOAT = NDArray[np.float64]
LABELS = NDArray[np.int32]
Part = tuple[slice, slice]
Read = Callable[[slice, slice], LABELS]
Told = tuple[str, float, float, str, str]

QUANTITIES = (
    "label", "pixels", "area_m2", "length_m", "length_by", "width_m", "orientation_deg",
    "orientation_spread_deg", "axis_deg", "straight_length_m", "x_m", "y_m", "probability",
    "touches_edge",
)  # fmt: skip
"""What the table tells of a fracture, see ``docs/fractures.md``."""
LEFT_OUT = ("small", "beyond")
"""Bodies that are no fracture: of too few pixels, and beyond the most."""
MOST_FRACTURES = 5000
LEAST_PIXELS = 10
"""Pixels of a fracture at least: 300 m of one pixel's width."""
MOST_BOX = 2048 * 2048
"""Pixels around a body that are in memory at once; a wider one is measured on wider cells."""
BLOCK_SIDE = 1024
"""Rows and columns of a block, unless a chunk is larger [pixels]."""
WORKER_BYTES = 250 * MIB
"""A process with what it imports [B]."""
PIXEL_BYTES = 220
"""Memory of a block for each of its pixels, all of them damaged [B]."""
PATH_BYTES = 30
"""Memory of a path for each pixel of the box around a body [B]."""
UNITS = {
    "fracture_count": "1", "fracture_length": "km", "longest_fracture": "km",
    "mean_orientation": "deg",
}  # fmt: skip
"""What people quote of a summer, with units."""
_BY_PIXELS, _BY_CELLS = 1.0, 2.0
_LONGEST_STEPS = 0.028
"""How much too long a path of knight's moves is at most [1]."""


def arrays(ny: int, nx: int, chunk: int) -> tuple[Array, ...]:
    """Return the arrays of a summer that fractures fill."""
    shape = (MOST_FRACTURES, len(QUANTITIES))
    return (
        Array("fracture", ("y", "x"), (ny, nx), (chunk, chunk), "1",
              "number of the fracture; 0 none", "int32", level=1),
        product_arrays.whole("fracture_table", ("fracture_row", "fracture_quantity"), shape, "1",
                             "fractures, most pixels first; units are in the quantities' names"),
        product_arrays.whole("fracture_left_out", ("fracture_left_out",), (len(LEFT_OUT),), "1",
                             "bodies of damage that are no fracture"),
    )  # fmt: skip


def name_quantities(made: zarr.Group) -> None:
    """Write down what the columns of the table are."""
    product_arrays.labels(made, "fracture_quantity", QUANTITIES)


def table_of(made: zarr.Group) -> dict[str, FLOAT]:
    """Return the table of a summer by quantity, only rows that hold a fracture."""
    table = stored.read(made, "fracture_table")
    table = table[np.isfinite(table[:, 0])]
    return {name: table[:, k] for k, name in enumerate(QUANTITIES)}


def spacing_of(made: zarr.Group) -> float:
    """Return the width of a pixel of a summer on the map [m]."""
    transform: Any = made.attrs["spatial:transform"]
    return abs(float(transform[0]))


@dataclass(frozen=True)
class FractureJob:
    """Keys ``fractures/SHELF/SUMMER``: bodies of damage of a summer, from its merged map.

    Attributes
    ----------
    side : int
        Of blocks: whole chunks, see :func:`block_side` [pixels].
    least_pixels, most : int
        Pixels of a fracture at least, and fractures at most.
    """

    side: int
    least_pixels: int = LEAST_PIXELS
    most: int = MOST_FRACTURES

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Label and measure; a map without damage has no fractures, and is done."""
        _, shelf, summer = key.split("/")
        made = group_at(group, f"{shelf}/{summer}")
        if self.side % CELL:
            msg = f"found blocks of {self.side} pixels, expected a multiple of the {CELL} of cells "
            raise ValueError(msg + "of orientation; see block_side")
        return Receipt(key, "done", note=self._measure(made))

    def _measure(self, made: zarr.Group) -> str:
        shape = stored.array(made, "damage").shape
        places = dict(_places((shape[0], shape[1]), self.side))
        axes = (stored.read(made, "x"), stored.read(made, "y"))
        least = self.least_pixels
        found = {
            at: shelf_damage_bodies.measured(_block(made, axes, part), least_pixels=least)
            for at, part in places.items()
        }
        whole, bodies = shelf_damage_bodies.joined(found)
        dropped = sum(each.dropped for each in found.values())
        del found
        chosen, rank, small, beyond = shelf_damage_bodies.ranked(
            bodies, least_pixels=least, most=self.most
        )
        box = bodies.box[:, chosen] * np.array([[1], [1], [-1], [-1]])
        lengths = np.full((2, chosen.size), np.nan)
        for at, (rows, columns) in places.items():
            label = self._relabelled(made, rows, columns, rank[whole[at]])
            stored.write(made, "fracture", label, (rows, columns))
            _measure_inside(label, (rows, columns), box, lengths)
        _measure_across(made, box, lengths)
        self._tell(made, _columns(bodies, chosen, lengths, made), small + dropped, beyond)
        said = f"{chosen.size} fractures; {small + dropped} bodies of fewer than "
        said += f"{least} pixels left out"
        return said + (f"; {beyond} beyond the largest {self.most} left out" if beyond else "")

    def _relabelled(
        self, made: zarr.Group, rows: slice, columns: slice, rank: NDArray[np.intp]
    ) -> LABELS:
        damage = stored.values(made, "damage", (rows, columns)) == 1
        label, _, _ = shelf_damage_bodies.labelled(damage, least_pixels=self.least_pixels)
        return rank.astype(np.int32)[label]

    def _tell(self, made: zarr.Group, columns: dict[str, FLOAT], small: int, beyond: int) -> None:
        table = np.full(stored.array(made, "fracture_table").shape, np.nan)
        told = np.stack([columns[name] for name in QUANTITIES], axis=1)
        table[: len(told)] = told
        stored.write(made, "fracture_table", table)
        stored.write(made, "fracture_left_out", np.array([small, beyond], dtype=np.float64))


def _places(shape: tuple[int, int], side: int) -> Iterator[tuple[tuple[int, int], Part]]:
    starts = (range(0, size, side) for size in shape)
    for top, left in itertools.product(*starts):
        rows, columns = (
            slice(first, min(first + side, size))
            for first, size in zip((top, left), shape, strict=True)
        )
        yield (top // side, left // side), (rows, columns)


def _block(made: zarr.Group, axes: tuple[FLOAT, FLOAT], part: Part) -> Block:
    """Return a block of a summer, with what lies around it."""
    rows, columns = part
    return Block(
        damage=stored.values(made, "damage", part) == 1,
        probability=shares(_around(made, "probability", part, MARGIN, beyond=UNKNOWN)),
        outside=_around(made, "extent", part, 1, beyond=0) == 0,
        x=axes[0][columns],
        y=axes[1][rows],
        spacing=spacing_of(made),
        row=rows.start,
        column=columns.start,
        columns=axes[0].size,
    )


def _around(
    made: zarr.Group, name: str, part: Part, margin: int, *, beyond: int
) -> NDArray[np.uint8]:
    """Return a block of an array and a margin around it, beyond the map too."""
    there, lacking = [], []
    for here, size in zip(part, stored.array(made, name).shape, strict=True):
        first, last = here.start - margin, here.stop + margin
        there.append(slice(max(0, first), min(size, last)))
        lacking.append((there[-1].start - first, last - there[-1].stop))
    held = stored.values(made, name, tuple(there))
    return np.pad(held, lacking, constant_values=beyond)


def _measure_inside(label: LABELS, part: Part, box: NDArray[np.intp], lengths: FLOAT) -> None:
    """Measure the fractures that lie whole in a block that is in memory."""
    rows, columns = part
    inside = (box[0] >= rows.start) & (box[1] >= columns.start)
    inside &= (box[2] < rows.stop) & (box[3] < columns.stop)

    def read(r: slice, c: slice) -> LABELS:
        top, left = rows.start, columns.start
        return label[r.start - top : r.stop - top, c.start - left : c.stop - left]

    for k in np.flatnonzero(inside):
        lengths[:, k] = _path(read, box[:, k], int(k) + 1)


def _measure_across(made: zarr.Group, box: NDArray[np.intp], lengths: FLOAT) -> None:
    """Measure the fractures that reach across blocks, from the map as it was written."""

    def read(r: slice, c: slice) -> LABELS:
        return stored.values(made, "fracture", (r, c))

    for k in np.flatnonzero(np.isnan(lengths[0])):
        lengths[:, k] = _path(read, box[:, k], int(k) + 1)


def _path(read: Read, box: NDArray[np.intp], fracture: int) -> tuple[float, float]:
    """Return the length of a fracture [pixels], and how it was measured."""
    top, left, bottom, right = (int(each) for each in box)
    columns = slice(left, right + 1)
    cell = 1
    while (bottom + 1 - top) * (right + 1 - left) > MOST_BOX * cell**2:
        cell *= 2
    strip = cell * max(1, MOST_BOX // ((right + 1 - left) * cell))
    parts, pixels = [], 0
    for first in range(top, bottom + 1, strip):
        body = read(slice(first, min(first + strip, bottom + 1)), columns) == fracture
        pixels += int(body.sum())
        parts.append(_coarser(body, cell))
    length = fracture_lines.geodesic_length(np.concatenate(parts), spacing=float(cell))
    exact = cell == 1 and pixels <= fracture_lines.MOST_PIXELS
    return length, _BY_PIXELS if exact else _BY_CELLS


def _coarser(body: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
    """Return which cells of pixels hold some of a body."""
    if cell == 1:
        return body
    whole = np.pad(body, [(0, -size % cell) for size in body.shape])
    high, wide = (size // cell for size in whole.shape)
    return np.asarray(whole.reshape(high, cell, wide, cell).any(axis=(1, 3)))


def _columns(
    bodies: Bodies, chosen: NDArray[np.intp], lengths: FLOAT, made: zarr.Group
) -> dict[str, FLOAT]:
    """Return the columns of the table."""
    x, y, spacing = stored.read(made, "x"), stored.read(made, "y"), spacing_of(made)
    straight = fracture_lines.fractures(bodies.moments, spacing=spacing)
    at_x = np.interp(straight.column[chosen], np.arange(x.size), x)
    at_y = np.interp(straight.row[chosen], np.arange(y.size), y)
    scale = geodesy.map_scale(geodesy.inverse_polar_stereographic(at_x, at_y)[0])
    pixels = bodies.moments.sums[0][chosen]
    area, probability, weight, across, up = bodies.sums[:, chosen]
    length = lengths[0] * spacing / scale
    axis = straight.orientation[chosen]
    agreement = np.hypot(across, up) / np.where(weight > 0.0, weight, np.nan)
    by_windows = fracture_lines.within_half_turn(np.degrees(np.arctan2(up, across)) / 2.0)
    return {
        "label": np.arange(1.0, chosen.size + 1.0),
        "pixels": pixels,
        "area_m2": area,
        "length_m": length,
        "length_by": lengths[1],
        "width_m": area / length,
        "orientation_deg": np.where(np.isnan(agreement), axis, by_windows),
        "orientation_spread_deg": angular_deviation(agreement),
        "axis_deg": axis,
        "straight_length_m": straight.length[chosen] / scale,
        "x_m": at_x,
        "y_m": at_y,
        "probability": probability / pixels,
        "touches_edge": bodies.at_edge[chosen].astype(np.float64),
    }


def angular_deviation(agreement: FLOAT) -> FLOAT:
    """Return how far axes lie from their mean [degrees]: ½ √(2 (1 − R)) rad (Batschelet, 1981).

    Of doubled angles, halved again: 0 of axes alike, 40.5° of axes in all directions.

    >>> angular_deviation(np.array([1.0, 0.0])).round(1).tolist()
    [0.0, 40.5]
    """
    return np.degrees(np.sqrt(2.0 * np.clip(1.0 - agreement, 0.0, 1.0))) / 2.0


def rows(group: zarr.Group, run: Run, shelf: str, summer: int) -> tuple[tables.Row, ...]:
    """Return what people quote of a summer's fractures.

    A fracture is taken to be there with the mean probability p of its pixels, apart from the
    others, so a sum of quantities q has the variance Σ q² p (1 − p). The longest path is too long
    by its steps, evenly up to 2.8 %, and each end is good to a pixel. The mean axis is weighted by
    length; its uncertainty is the angular deviation of fractures from it.

    Parameters
    ----------
    group : zarr.Group
        The finished product.
    run : Run
        Of the product.
    shelf : str
        Id of the shelf.
    summer : int
        Year of its November.
    """
    made = group_at(group, f"{shelf}/{summer}")
    counted = stored.read(made, "fracture_left_out")
    if np.isnan(counted).any():
        told = tuple(
            (name, np.nan, np.nan, unit, "reason=not_done") for name, unit in UNITS.items()
        )
    else:
        told = _numbers(table_of(made), counted, spacing_of(made))
    days = austral_summers.days_of(summer)
    return tuple(
        product_results.row(run, name, shelf, float(value), float(sigma), unit=unit, note=note,
                            days=days)
        for name, value, sigma, unit, note in told
    )  # fmt: skip


def _numbers(table: dict[str, FLOAT], counted: FLOAT, spacing: float) -> tuple[Told, ...]:
    """Return name, value, uncertainty, unit and note of what is quoted."""
    length, p = table["length_m"] / 1000.0, table["probability"]
    doubt = np.sqrt(p * (1.0 - p))
    whole = np.zeros(length.size, np.intp)
    mean, agreement = fracture_lines.axial_mean(table["orientation_deg"], length, whole, count=0)
    longest = float(length.max(initial=0.0))
    steps = _LONGEST_STEPS / np.sqrt(12.0) * longest
    reach = float(np.hypot(steps, spacing / 1000.0)) if length.size else 0.0
    note = f"fractures={length.size};smaller={counted[0]:.0f};beyond={counted[1]:.0f}"
    values = (
        (length.size, np.hypot.reduce(doubt), note),
        (length.sum(), np.hypot.reduce(length * doubt), note),
        (longest, reach, "path=shortest paths"),
        (mean[0], angular_deviation(agreement)[0],
         "from=x axis of EPSG:3031 towards y;weight=length;uncertainty=angular deviation"),
    )  # fmt: skip
    return tuple(
        (name, float(value), float(sigma), unit, said)
        for (name, unit), (value, sigma, said) in zip(UNITS.items(), values, strict=True)
    )


def stage_memory(side: int) -> int:
    """Return the most memory that a key needs [B]."""
    return WORKER_BYTES + PIXEL_BYTES * side**2 + PATH_BYTES * MOST_BOX
