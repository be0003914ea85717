"""Damage density on coarse cells, counted from fine pixels in blocks.

Tang et al. (2026, section 2.5.2) take the fraction of damaged pixels of 30 m in cells of 900 m,
without resampling. What is counted is additive: blocks of a map, cut anywhere, give counts that
:func:`merged` sums, and only :func:`densities` divides. The true area of the pixels of one cell
varies by 1e-5 of itself, which is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INTEGER = NDArray[np.int64]

PIXELS_PER_CELL = 30
"""Pixels along a side of a cell: 900 m of 30 m (Tang et al., 2026, section 2.5.2)."""
INTACT, DAMAGED, UNKNOWN = 0, 1, 255
"""Values of a damage map within the extent of a shelf (Tang et al., 2026, section 4)."""


class DensityError(ValueError):
    """Maps, places or shares from which no density can be counted."""


@dataclass(frozen=True)
class Tally:
    """Pixels counted in coarse cells.

    Attributes
    ----------
    row, column : int
        The first coarse cell, on the coarse grid.
    damaged : ndarray, shape (..., rows, columns)
        Damaged pixels, or the sum of their probabilities.
    known : ndarray of int64, shape (..., rows, columns)
        Pixels of which something is known.
    pixels_per_cell : int
        Pixels along a side of a whole cell.
    """

    row: int
    column: int
    damaged: FLOAT
    known: INTEGER
    pixels_per_cell: int


def tally(
    block: NDArray[Any],
    *,
    row: int = 0,
    column: int = 0,
    pixels_per_cell: int = PIXELS_PER_CELL,
) -> Tally:
    """Count the pixels of a block in the coarse cells that it touches.

    Parameters
    ----------
    block : ndarray, shape (..., h, w)
        A map of 0 intact, 1 damaged, 255 unknown (integers; booleans are all known), or
        probabilities of damage with NaN where nothing is known (floating point) [1]. It must not
        be the product of a whole region of interest, in which 255 is damage.
    row, column : int
        The block's first pixel, counted from the corner of the coarse grid, not negative. Maps
        that are compared need the same corner.
    pixels_per_cell : int
        Pixels along a side of a cell.

    Returns
    -------
    Tally
        Counts of the cells touched, exact for maps.

    Raises
    ------
    DensityError
        An empty block, a place before the grid, values that are neither a map nor probabilities.

    Examples
    --------
    >>> found = tally(np.array([[1, 0, 255, 1]], np.uint8), column=1, pixels_per_cell=2)
    >>> found.damaged.tolist(), found.known.tolist()
    ([[1.0, 0.0, 1.0]], [[1, 1, 1]])
    """
    _require_block(block, row, column, pixels_per_cell)
    values, known = _read(block)
    starts = [
        np.maximum(np.arange(-(at % pixels_per_cell), size, pixels_per_cell), 0)
        for at, size in ((row, block.shape[-2]), (column, block.shape[-1]))
    ]
    return Tally(
        row // pixels_per_cell,
        column // pixels_per_cell,
        _summed(values, starts).astype(np.float64),
        _summed(known, starts),
        pixels_per_cell,
    )


def merged(tallies: Sequence[Tally], *, shape: tuple[int, int]) -> Tally:
    """Sum the counts of the blocks of a map on the whole coarse grid.

    Parameters
    ----------
    tallies : sequence of Tally
        Of blocks that share no pixel, with the same leading axes.
    shape : tuple of int
        Rows and columns of the coarse grid.

    Returns
    -------
    Tally
        Counts of all cells, 0 where no block was.

    Raises
    ------
    DensityError
        No tallies, cells of different sizes, or cells beyond the grid.
    """
    sizes = {each.pixels_per_cell for each in tallies}
    if len(sizes) != 1:
        msg = f"found cells of {sorted(sizes)} pixels a side, expected tallies with one size"
        raise DensityError(msg)
    leading = tallies[0].known.shape[:-2]
    damaged, known = np.zeros(leading + shape), np.zeros(leading + shape, np.int64)
    for each in tallies:
        rows, columns = each.known.shape[-2:]
        if each.row + rows > shape[0] or each.column + columns > shape[1]:
            msg = (
                f"a block ends at cell ({each.row + rows}, {each.column + columns}), expected "
                f"within {shape}; enlarge the coarse grid"
            )
            raise DensityError(msg)
        here = (..., slice(each.row, each.row + rows), slice(each.column, each.column + columns))
        damaged[here] += each.damaged
        known[here] += each.known
    made = Tally(0, 0, damaged, known, sizes.pop())
    _require_once(made)
    return made


def densities(counts: Tally, *, least_known: float = 0.5) -> tuple[FLOAT, FLOAT]:
    """Divide counts: the damage density of each cell and the share of it that is known.

    ::

        density = damaged pixels / known pixels,      share = known pixels / pixels of a cell

    Parameters
    ----------
    counts : Tally
        Counts of whole cells: of all blocks that touch them.
    least_known : float
        Share of a cell's pixels that must be known [1], in (0, 1].

    Returns
    -------
    density : ndarray, shape (..., rows, columns)
        Damage density [1], NaN where less is known.
    share : ndarray, shape (..., rows, columns)
        Share of known pixels [1].

    Raises
    ------
    DensityError
        A share out of range.

    Notes
    -----
    A cell on the edge of a shelf is divided by its known pixels, not by all: what lies outside
    the extent is not intact ice.
    """
    if not 0.0 < least_known <= 1.0:
        msg = f"found a least share of {least_known:g}, expected more than 0 and at most 1"
        raise DensityError(msg)
    _require_once(counts)
    share = counts.known / counts.pixels_per_cell**2
    density = np.divide(
        counts.damaged, counts.known, out=np.full(share.shape, np.nan), where=share >= least_known
    )
    return density, share


def _read(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what each pixel adds, 0 where unknown, and which are known."""
    if np.issubdtype(block.dtype, np.floating):
        known = ~np.isnan(block)
        lowest, highest = (f(block, where=known, initial=0.5) for f in (np.min, np.max))
        if lowest < 0.0 or highest > 1.0:
            msg = f"found values of {lowest:g} to {highest:g}, expected probabilities, 0 to 1"
            raise DensityError(msg)
        return np.where(known, block, 0.0).astype(np.float64), known
    damaged, known = block == DAMAGED, (block == DAMAGED) | (block == INTACT)
    strange = ~known & (block != UNKNOWN)
    if strange.any():
        msg = (
            f"found {int(strange.sum())} pixels of {int(block[strange][0])} and the like, expected "
            f"{INTACT} intact, {DAMAGED} damaged, {UNKNOWN} unknown; divide percentages by 100"
        )
        raise DensityError(msg)
    return damaged, known


def _summed(values: NDArray[Any], starts: Sequence[NDArray[np.intp]]) -> NDArray[Any]:
    """Sum the pixels between starts along rows and columns; booleans are counted."""
    counted = np.float64 if np.issubdtype(values.dtype, np.floating) else np.int64
    by_column = np.add.reduceat(values, starts[1], axis=-1, dtype=counted)
    return np.asarray(np.add.reduceat(by_column, starts[0], axis=-2))


def _require_block(block: NDArray[Any], row: int, column: int, pixels_per_cell: int) -> None:
    if block.ndim < 2 or block.size == 0:
        msg = f"found a block of shape {block.shape}, expected (..., h, w) with pixels in it"
        raise DensityError(msg)
    if min(row, column) < 0 or pixels_per_cell < 1:
        msg = (
            f"found a block at ({row}, {column}) and {pixels_per_cell} pixels a side of a cell, "
            "expected a place on the coarse grid and 1 pixel at least; move the grid's corner"
        )
        raise DensityError(msg)


def _require_once(counts: Tally) -> None:
    """Refuse cells with more pixels than they have."""
    most, room = int(counts.known.max(initial=0)), counts.pixels_per_cell**2
    if most > room:
        msg = f"a cell of {room} pixels has {most} known ones; count each block once, without halo"
        raise DensityError(msg)
