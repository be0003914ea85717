"""What has to be read of a grid for the nodes of a gate, before anything is read.

The cells that carry weight at any node, and for each array the stored chunks that hold them, told
from metadata alone. Chunks of a sharded array are its inner ones: they are what can be read apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget import bilinear
from pipelines.kernels.budget.bilinear import GridError, Method, Outside, Stencil

FLOAT = NDArray[np.float64]

TILE = 512
"""Rows and columns read at once of an array that is not cut into chunks."""
BLOCK_BYTES = 64 * 2**20
"""A chunk with more than this along its leading axes is read in parts, along whole chunks."""
RUN_BYTES = 16 * 2**20
"""Touched neighbours in a row are asked for together up to this: a store fetches them at once."""


@dataclass(frozen=True)
class Layout:
    """How an array lies in its store.

    Attributes
    ----------
    leading : tuple of int
        Shape of the axes before y and x.
    leading_axes : tuple of int
        Which axes of the array these are.
    y_axis, x_axis : int
        Which axes are y and x.
    shape : tuple of int
        Rows and columns.
    chunk : tuple of int
        Rows and columns of one stored chunk, the inner one of shards.
    together : int
        Entries of the first leading axis that are read at once.
    dtype : dtype
        Of the values.
    """

    leading: tuple[int, ...]
    leading_axes: tuple[int, ...]
    y_axis: int
    x_axis: int
    shape: tuple[int, int]
    chunk: tuple[int, int]
    together: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Piece:
    """A rectangle of the grid that is read at once, and what is kept of it.

    Attributes
    ----------
    rows, columns : slice
        Where it is on the grid.
    cell_rows, cell_columns : ndarray of int, shape (k,)
        Its gate cells, counted from its first row and column.
    positions : ndarray of int, shape (k,)
        Where these stand in the table of all gate cells.
    """

    rows: slice
    columns: slice
    cell_rows: NDArray[np.intp]
    cell_columns: NDArray[np.intp]
    positions: NDArray[np.intp]


@dataclass(frozen=True)
class Touched(Piece):
    """One stored chunk that nodes touch.

    Attributes
    ----------
    nodes : int
        How many nodes take from it.
    """

    nodes: int


@dataclass(frozen=True)
class ArrayPlan:
    """What is read of one array.

    Attributes
    ----------
    layout : Layout
        How it lies in its store.
    chunks : tuple of Touched
        What is read, in the order of the store.
    """

    layout: Layout
    chunks: tuple[Touched, ...]

    @property
    def bytes_read(self) -> int:
        """Bytes of the touched chunks, inflated."""
        return sum(_area(part) for part in self.chunks) * self._bytes_per_cell

    @property
    def bytes_whole(self) -> int:
        """Bytes of the whole array, inflated."""
        return math.prod(self.layout.shape) * self._bytes_per_cell

    @property
    def runs(self) -> tuple[Piece, ...]:
        """The chunks, touched neighbours in a row as one piece of at most `RUN_BYTES`."""
        runs: list[list[Touched]] = []
        for chunk in self.chunks:
            run = runs[-1] if runs else []
            size = sum(_area(part) for part in (*run, chunk)) * self._bytes_per_cell
            if run and _are_neighbours(run[-1], chunk) and size <= RUN_BYTES:
                run.append(chunk)
            else:
                runs.append([chunk])
        return tuple(_joined(run) for run in runs)

    @property
    def bytes_at_once(self) -> int:
        """Bytes of the largest part that :func:`sample` holds at once, inflated."""
        whole = max((_area(part) for part in self.runs), default=0) * self._bytes_per_cell
        first = self.layout.leading[0] if self.layout.leading else 1
        return whole * min(self.layout.together, first) // max(first, 1)

    @property
    def _bytes_per_cell(self) -> int:
        return math.prod(self.layout.leading) * self.layout.dtype.itemsize


@dataclass(frozen=True)
class ReadingPlan:
    """Chunks, cells and nodes: all that is known before anything is read.

    Attributes
    ----------
    stencil : Stencil
        Cells and weights of each node.
    corners : ndarray of int, shape (n, 4)
        Position of each corner in the table of gate cells.
    cells : int
        Size of that table.
    arrays : mapping of str to ArrayPlan
        What is read of each array.
    """

    stencil: Stencil
    corners: NDArray[np.intp]
    cells: int
    arrays: Mapping[str, ArrayPlan]

    @property
    def share(self) -> float:
        """Bytes to read as a part of all arrays, inflated [1]."""
        whole = sum(part.bytes_whole for part in self.arrays.values())
        return sum(part.bytes_read for part in self.arrays.values()) / whole

    def describe(self) -> str:
        """Return a line for people."""
        chunks = sum(len(part.chunks) for part in self.arrays.values())
        size = sum(part.bytes_read for part in self.arrays.values()) / 1e6
        outside = int(self.stencil.outside.sum())
        return (
            f"{len(self.corners)} nodes ({outside} outside the grid) touch {self.cells} cells in "
            f"{chunks} chunks: {size:.0f} MB inflated, {100 * self.share:.1f} % of the arrays"
        )


def plan(
    arrays: Mapping[str, Any],
    x_axis: FLOAT,
    y_axis: FLOAT,
    x: FLOAT,
    y: FLOAT,
    *,
    method: Method = "bilinear",
    outside: Outside = "flag",
) -> ReadingPlan:
    """Find what has to be read. Reads no values.

    Parameters
    ----------
    arrays : mapping of str to array
        xarray variables that are not Dask's (any order of dimensions, called ``y`` and ``x``), Zarr
        arrays (the same if their dimensions have names, else the last two), or NumPy arrays. All on
        one grid. xarray masks fill values and scales; Zarr arrays are taken as they are.
    x_axis, y_axis : ndarray, shape (n_x,), (n_y,)
        Cell centres [m], in the order of the arrays.
    x, y : ndarray, shape (n,)
        Nodes [m]; neighbours on the map are best neighbours here too.
    method, outside
        See :func:`pipelines.kernels.budget.bilinear.stencil`.

    Raises
    ------
    GridError
        If an array does not fit the axes; if nodes are outside and that is refused.
    """
    stencil = bilinear.stencil(x_axis, y_axis, x, y, method=method, outside=outside)
    shape = len(y_axis), len(x_axis)
    layouts = {name: layout(name, array, shape) for name, array in arrays.items()}
    inside = ~stencil.outside
    flat = stencil.rows * shape[1] + stencil.columns
    cells, position = np.unique(flat[inside], return_inverse=True)
    corners = np.zeros(flat.shape, dtype=np.intp)
    corners[inside] = position.reshape(-1, 4)
    cut: dict[tuple[int, int], tuple[Touched, ...]] = {}
    for found in layouts.values():
        if found.chunk not in cut:
            cut[found.chunk] = _touched(cells, corners[inside], shape, found.chunk)
    parts = {name: ArrayPlan(found, cut[found.chunk]) for name, found in layouts.items()}
    return ReadingPlan(stencil, corners, cells.size, parts)


def layout(name: str, array: Any, shape: tuple[int, int]) -> Layout:
    """Return how an array lies in its store, from its metadata alone.

    Raises
    ------
    GridError
        If it has no axes y and x, or these are not as long as those of the grid.
    """
    y_axis, x_axis = _axes(name, array)
    found = array.shape[y_axis], array.shape[x_axis]
    if found != shape:
        msg = (
            f"{name} has {found[0]} rows and {found[1]} columns, the axes y and x have {shape[0]} "
            f"and {shape[1]}; sample arrays of another grid apart, with their own axes"
        )
        raise GridError(msg)
    chunks = _chunks(array, y_axis, x_axis)
    axes = tuple(n for n in range(array.ndim) if n not in {y_axis, x_axis})
    leading = tuple(array.shape[n] for n in axes)
    chunk = min(chunks[y_axis], shape[0]), min(chunks[x_axis], shape[1])
    dtype, together = np.dtype(array.dtype), 1
    if leading:
        entry = math.prod(chunk) * math.prod(leading[1:]) * dtype.itemsize
        stored = chunks[axes[0]]
        together = stored * max(1, BLOCK_BYTES // max(1, entry * stored))
    return Layout(leading, axes, y_axis, x_axis, found, chunk, together, dtype)


def _axes(name: str, array: Any) -> tuple[int, int]:
    """Return which axes are y and x: by name where axes have names."""
    names = getattr(array, "dims", None)
    if names is None:
        names = getattr(getattr(array, "metadata", None), "dimension_names", None)
    if names is not None and {"y", "x"} <= set(names):
        return tuple(names).index("y"), tuple(names).index("x")
    if array.ndim < 2 or hasattr(array, "dims"):
        msg = f"{name} has the dimensions {names or array.shape}, expected y and x among them"
        raise GridError(msg)
    return array.ndim - 2, array.ndim - 1


def _chunks(array: Any, y_axis: int, x_axis: int) -> tuple[int, ...]:
    """Return the shape of one stored chunk, of squares where the store has none."""
    if hasattr(array, "dims"):
        preferred = array.encoding.get("preferred_chunks") or {}
        if set(array.dims) <= set(preferred):
            return tuple(int(preferred[dim]) for dim in array.dims)
    else:
        chunks = getattr(array, "chunks", None)
        if chunks is not None:
            return tuple(int(size) for size in chunks)
    return tuple(TILE if n in {y_axis, x_axis} else 1 for n in range(array.ndim))


def _touched(
    cells: NDArray[np.intp],
    corners: NDArray[np.intp],
    shape: tuple[int, int],
    chunk: tuple[int, int],
) -> tuple[Touched, ...]:
    """Return the chunks that hold any of the cells, given by their flat indices."""
    rows, columns = np.divmod(cells, shape[1])
    across = -(-shape[1] // chunk[1])
    ids, of_cell = np.unique(rows // chunk[0] * across + columns // chunk[1], return_inverse=True)
    order = np.argsort(of_cell, kind="stable")
    ends = np.cumsum(np.bincount(of_cell, minlength=ids.size))[:-1]
    nodes = _count_nodes(of_cell[corners], ids.size)
    touched = []
    for n, positions in enumerate(np.split(order, ends) if ids.size else []):
        row, column = int(ids[n]) // across * chunk[0], int(ids[n]) % across * chunk[1]
        touched.append(
            Touched(
                slice(row, min(row + chunk[0], shape[0])),
                slice(column, min(column + chunk[1], shape[1])),
                rows[positions] - row,
                columns[positions] - column,
                positions,
                int(nodes[n]),
            )
        )
    return tuple(touched)


def _count_nodes(chunk: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return how many nodes touch each chunk, from the chunk of each corner, shape (n, 4)."""
    nodes = np.zeros(count, dtype=np.intp)
    for k in range(4):
        again = (chunk[:, :k] == chunk[:, k, None]).any(axis=1)
        nodes += np.bincount(chunk[~again, k], minlength=count)
    return nodes


def _are_neighbours(left: Piece, right: Piece) -> bool:
    return left.rows == right.rows and left.columns.stop == right.columns.start


def _joined(run: Sequence[Piece]) -> Piece:
    """Return neighbours in a row, from left to right, as one piece."""
    first = run[0].columns.start
    return Piece(
        run[0].rows,
        slice(first, run[-1].columns.stop),
        np.concatenate([part.cell_rows for part in run]),
        np.concatenate([part.cell_columns + part.columns.start - first for part in run]),
        np.concatenate([part.positions for part in run]),
    )


def _area(piece: Piece) -> int:
    rows, columns = piece.rows, piece.columns
    return int((rows.stop - rows.start) * (columns.stop - columns.start))
