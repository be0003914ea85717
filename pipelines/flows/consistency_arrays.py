"""Arrays of a consistency product: densities of each map, where the ice came from, what changed.

``SHELF`` holds the densities of all its maps on coarse cells, ``SHELF/Y1-Y2`` what belongs to a
pair of summers. Cells, and pixels of changes, are those of the later map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import product_arrays
from pipelines.flows.product_arrays import Array
from pipelines.kernels.damage import moving_changes

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import Shelf
    from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]

ADVECTION = ("yes", "no")
"""With the earlier map carried by the flow, and as it was."""

MEASURES = (
    "spearman", "spearman_lower", "spearman_upper",
    "concordance", "concordance_lower", "concordance_upper",
    "rmse", "bias", "cells", "spearman_printed",
    "spearman_own", "concordance_own", "rmse_own", "cells_own",
)  # fmt: skip
"""Numbers of a pair: on the cells that both ways know, then (``own``) on each way's own cells."""

AREAS = ("gained", "lost", "carried_later", "carried_earlier", "left", "entered", "unchanged")
"""Areas of a block of changes [m²], in the order of :class:`moving_changes.ChangeAreas`."""

MEANINGS = {
    moving_changes.UNCHANGED: "unchanged", moving_changes.GAINED: "gained",
    moving_changes.LOST: "lost", moving_changes.CARRIED: "carried",
    moving_changes.CARRIED_HERE: "carried_within_tolerance",
    moving_changes.CARRIED_AWAY: "carried_from_within_tolerance",
    moving_changes.LEFT: "left", moving_changes.ENTERED: "entered",
}  # fmt: skip
"""Names of the codes of changes."""


def pair_path(shelf: str, earlier: int, later: int) -> str:
    """Return the group of a pair.

    >>> pair_path("amery", 2003, 2004)
    'amery/2003-2004'
    """
    return f"{shelf}/{earlier}-{later}"


def cell_axes(grid: PixelGrid, cell_m: float, *, halo: int = 0) -> tuple[FLOAT, FLOAT]:
    """Return the centres of coarse cells along x and y [m], counted from the grid's corner.

    Parameters
    ----------
    grid : PixelGrid
        Of the pixels.
    cell_m : float
        Side of a cell [m]; the last ones may reach beyond the grid.
    halo : int
        Cells more on every side.
    """
    nx, ny = (-(-size // per_cell(grid, cell_m)) for size in (grid.nx, grid.ny))
    x = grid.west + (np.arange(-halo, nx + halo) + 0.5) * cell_m
    y = grid.north - (np.arange(-halo, ny + halo) + 0.5) * cell_m
    return np.asarray(x), np.asarray(y)


def per_cell(grid: PixelGrid, cell_m: float) -> int:
    """Return the pixels along a side of a cell."""
    return round(cell_m / grid.spacing)


def shelf_arrays(shelf: Shelf, *, cell_m: float) -> tuple[Array, ...]:
    """Return the arrays of a shelf."""
    x, y = cell_axes(shelf.grid, cell_m)
    shape, chunks = (len(shelf.maps), len(y), len(x)), (1, len(y), len(x))
    return (
        Array("density", ("map", "y", "x"), shape, chunks, "1",
              "damaged pixels over known pixels of a cell", "float32"),
        Array("share", ("map", "y", "x"), shape, chunks, "1",
              "known pixels over pixels of a cell", "float32"),
        Array("time", ("map",), (len(shelf.maps),), (1,), "seconds since 1970-01-01",
              "acquisition, mean over the pixels that scenes supplied"),
    )  # fmt: skip


def pair_arrays(
    shelf: Shelf, *, cell_m: float, blocks: tuple[int, int] | None
) -> tuple[Array, ...]:
    """Return the arrays of a pair; those of changes where there are blocks of them."""
    x, y = cell_axes(shelf.grid, cell_m)
    nodes = (len(y) + 2, len(x) + 2)
    of = "at the time of the earlier map of the ice that is here"
    made = (
        product_arrays.whole("departure_x", ("y_node", "x_node"), nodes, "m", f"x {of}"),
        product_arrays.whole("departure_y", ("y_node", "x_node"), nodes, "m", f"y {of}"),
        Array("advected", ("y", "x"), (len(y), len(x)), (len(y), len(x)), "1",
              "density of the earlier map, carried to the later one", "float32"),
        product_arrays.whole("measure", ("advection", "quantity"),
                             (len(ADVECTION), len(MEASURES)), "1", "agreement of the pair"),
    )  # fmt: skip
    if blocks is None:
        return made
    ny, nx, chunk = shelf.grid.ny, shelf.grid.nx, shelf.maps[0].chunk
    return (
        *made,
        Array("change", ("y_pixel", "x_pixel"), (ny, nx), (chunk, chunk), "1",
              "what became of damage", "uint8", 255),
        Array("areas", ("block_y", "block_x", "area"), (*blocks, len(AREAS)),
              (1, 1, len(AREAS)), "m2", "true areas of what changed in a block"),
    )  # fmt: skip


def create(
    group: zarr.Group,
    *,
    shelves: tuple[Shelf, ...],
    cell_m: float,
    side: int | None,
    attributes: dict[str, Any],
) -> None:
    """Create the empty arrays of every shelf and pair; `side` is that of blocks of changes."""
    group.attrs.update({"Conventions": "CF-1.11", **attributes})
    for shelf in shelves:
        grid = shelf.grid
        about = {
            "proj:code": grid.code,
            "spatial:shape": [grid.ny, grid.nx],
            "spatial:transform": list(grid.transform),
            "nunatak:name": shelf.maps[0].name,
        }
        made = group.require_group(shelf.id)
        product_arrays.create(made, shelf_arrays(shelf, cell_m=cell_m), about)
        product_arrays.labels(made, "map", [str(each.summer) for each in shelf.maps])
        x, y = cell_axes(grid, cell_m)
        product_arrays.polar_axes(made, {"x": x, "y": y})
        for earlier, later in shelf.pairs:
            pair = group.require_group(pair_path(shelf.id, earlier, later))
            _create_pair(pair, shelf, cell_m=cell_m, side=side, about=about)


def _create_pair(
    made: zarr.Group, shelf: Shelf, *, cell_m: float, side: int | None, about: dict[str, Any]
) -> None:
    grid = shelf.grid
    blocks = None if side is None else block_counts(grid, side)
    product_arrays.create(made, pair_arrays(shelf, cell_m=cell_m, blocks=blocks), about)
    (x, y), (x_node, y_node) = (cell_axes(grid, cell_m, halo=halo) for halo in (0, 1))
    product_arrays.polar_axes(made, {"x": x, "y": y, "x_node": x_node, "y_node": y_node})
    product_arrays.labels(made, "advection", ADVECTION)
    product_arrays.labels(made, "quantity", MEASURES)
    if blocks is not None:
        product_arrays.polar_axes(made, {"x_pixel": grid.x, "y_pixel": grid.y})
        product_arrays.labels(made, "area", AREAS)
        made["change"].attrs.update({
            "flag_values": list(MEANINGS), "flag_meanings": " ".join(MEANINGS.values()),
            "_FillValue": 255,
        })  # fmt: skip


def block_counts(grid: PixelGrid, side: int) -> tuple[int, int]:
    """Return how many blocks of changes lie along y and x."""
    return -(-grid.ny // side), -(-grid.nx // side)
