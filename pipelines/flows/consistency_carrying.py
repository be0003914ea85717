"""A fine map carried to another time in blocks: where its pixels' ice was, and what was there.

Ways vary over kilometres, so they are traced on coarse cells and refined to the pixels of a block;
of the earlier map only the part is read that the block's ice comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows.consistency_arrays import MEASURES, cell_axes, per_cell
from pipelines.flows.pixel_blocks import block_side, blocks
from pipelines.kernels.damage import advection, densities
from pipelines.kernels.damage.advection import Departures
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import DamageMap
    from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]
UINT8 = NDArray[np.uint8]
Window = tuple[slice, ...]
"""Rows and columns of pixels."""


def departures_of(
    pair: zarr.Group, grid: PixelGrid, window: Window, *, cell_m: float
) -> Departures:
    """Return where the ice in a window of pixels was at the time of the earlier map.

    Parameters
    ----------
    pair : zarr.Group
        Of the pair, ``SHELF/Y1-Y2``.
    grid : PixelGrid
        Of the maps.
    window : tuple of slice
        Rows and columns.
    cell_m : float
        Side of the cells that the departures are kept for [m].

    Returns
    -------
    Departures
        Places, shape (rows, columns) [m]; NaN where not known.

    Raises
    ------
    KeyFailed
        The pair has none: it was not advected.
    """
    if np.isnan(stored.read(pair, "measure")[:, MEASURES.index("cells")]).any():
        msg = f"{pair.path} was not advected, so nothing is known of its changes"
        raise KeyFailed(msg)
    rows, columns = _cells_around(grid, window, cell_m)
    coarse = Departures(
        *(stored.read(pair, f"departure_{axis}", (rows, columns)) for axis in ("x", "y"))
    )
    return _refined(coarse, grid, window, cell_m=cell_m)


def _refined(coarse: Departures, grid: PixelGrid, window: Window, *, cell_m: float) -> Departures:
    """Return departures of the pixels of a window from those of the cells around it."""
    x, y = cell_axes(grid, cell_m, halo=1)
    rows, columns = _cells_around(grid, window, cell_m)
    to_x, to_y = grid.x[window[1]], grid.y[window[0]]
    return advection.refined(coarse, x[columns], y[rows], to_x=to_x, to_y=to_y)


def _cells_around(grid: PixelGrid, window: Window, cell_m: float) -> tuple[slice, slice]:
    """Return the cells, with a rim around the grid, whose centres enclose a window's pixels."""
    x, y = cell_axes(grid, cell_m, halo=1)
    rows, columns = _around(-y, -grid.y[window[0]]), _around(x, grid.x[window[1]])
    return slice(*rows), slice(*columns)


def _around(axis: FLOAT, at: FLOAT) -> tuple[int, int]:
    """Return the run of ascending cell centres that encloses ascending places."""
    first = int(np.searchsorted(axis, at[0], side="right")) - 1
    last = int(np.searchsorted(axis, at[-1], side="left"))
    return max(0, first), min(len(axis), max(last, first + 1) + 1)


def carried_labels(held: DamageMap, origin: Departures) -> UINT8:
    """Return a map's damage as the flow has carried it into a window; only its source is read."""
    made = group_at(held.source.open(), held.path)
    x, y = held.grid.x, held.grid.y
    rows, columns = advection.source_window(origin, x, y)
    window = stored.values(made, "damage", (rows, columns))
    found: UINT8 = advection.advected_labels(window, x[columns], y[rows], origin)
    return found


def carried_density(
    held: DamageMap, nodes: Departures, *, cell_m: float, least_known: float, side: int
) -> FLOAT:
    """Return the density of a map whose pixels were carried, and counted afterwards.

    Nothing is smoothed, unlike densities that are carried themselves.

    Parameters
    ----------
    held : DamageMap
        The earlier map.
    nodes : Departures
        Of density cells with a rim of one, shape (rows + 2, columns + 2) [m].
    cell_m : float
        Side of a cell [m].
    least_known : float
        Share of a cell's pixels that must be known [1].
    side : int
        Pixels along a block, at most, if a cell is no wider.

    Returns
    -------
    ndarray, shape (rows, columns)
        Density [1]; NaN outside the advected footprint.
    """
    pixels = per_cell(held.grid, cell_m)
    tallies = []
    shape = (held.grid.ny, held.grid.nx)
    for window in blocks(shape, block_side(pixels, most=side)):
        around = _cells_around(held.grid, window, cell_m)
        coarse = Departures(*(each[around] for each in nodes))
        labels = carried_labels(held, _refined(coarse, held.grid, window, cell_m=cell_m))
        tallies.append(
            densities.tally(
                labels, row=window[0].start, column=window[1].start, pixels_per_cell=pixels
            )
        )
    shape = (nodes.x.shape[0] - 2, nodes.x.shape[1] - 2)
    density, _ = densities.densities(
        densities.merged(tallies, shape=shape), least_known=least_known
    )
    return density
