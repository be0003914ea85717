"""Fractures of a map that is never in memory as a whole: bodies of blocks, and what they add up to.

Each block is labelled alone. What it says of its bodies adds up over blocks: whole numbers of
pixels exactly, areas and probabilities but for rounding. Bodies smaller than wanted that touch no
edge of their block are dropped at once, so of a map of speckle little stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels import geodesy
from pipelines.kernels.damage import block_labels, fracture_lines
from pipelines.kernels.damage.block_labels import BlockEdges
from pipelines.kernels.damage.fracture_lines import Moments

FLOAT = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]
LABELS = NDArray[np.int32]
INDEX = NDArray[np.intp]

WINDOW = 16
"""Side of windows whose orientation is told [pixels]."""
CELL = WINDOW // 2
"""Side of the cells that have the orientation of the window around them [pixels]: a fracture along
the edge of a window turns its axis. Chunks of scenes are multiples of 32, and so of cells."""
MARGIN = (WINDOW - CELL) // 2
"""So far a window reaches beyond its cell [pixels]."""
LEAST_SIGNAL = 0.05
"""Deviation of profiles of probability below which a window has no orientation [1]; published
thresholds for images are 0.03 to 0.05 (Izeboud and Lhermitte, 2023)."""
_NOWHERE = np.iinfo(np.intp).max


@dataclass(frozen=True)
class Block:
    """What is read of a block.

    Attributes
    ----------
    damage : ndarray of bool, shape (y, x)
        Mapped damage.
    probability : ndarray, shape (y + 2 MARGIN, x + 2 MARGIN)
        Of damage [1], NaN where not known; :data:`MARGIN` pixels more on each side.
    outside : ndarray of bool, shape (y + 2, x + 2)
        Not on the ice shelf; a pixel more on each side.
    x, y : ndarray, shapes (x,) and (y,)
        Centres of columns and rows in EPSG:3031 [m].
    spacing : float
        Width of a pixel on the map [m].
    row, column : int
        Place of the first pixel in the map.
    columns : int
        Of the map.
    """

    damage: BOOL
    probability: FLOAT32
    outside: BOOL
    x: FLOAT
    y: FLOAT
    spacing: float
    row: int
    column: int
    columns: int


@dataclass(frozen=True, eq=False)
class Bodies:
    """What labels from 0 up stand for: of a block, or of the whole map. Label 0 is none.

    Attributes
    ----------
    moments : Moments
        Of places; of the whole map's rows and columns.
    sums : ndarray, shape (5, labels)
        True area [m²], sum of probabilities, then of the axes of cells: weight, and
        weight times cosine and sine of doubled angles.
    box : ndarray of int, shape (4, labels)
        First row, first column, and the negative last ones [pixels].
    first : ndarray of int, shape (labels,)
        First pixel, counted along rows of the map.
    at_edge : ndarray of bool, shape (labels,)
        Touches what is not on the ice shelf.
    """

    moments: Moments
    sums: FLOAT
    box: INDEX
    first: INDEX
    at_edge: BOOL


@dataclass(frozen=True, eq=False)
class BlockBodies:
    """A block's bodies, its edges, and how many were too small to be kept."""

    bodies: Bodies
    edges: BlockEdges
    dropped: int


def labelled(damage: BOOL, *, least_pixels: int) -> tuple[LABELS, int, int]:
    """Return labels of a block, how many there are, and how many were dropped.

    A body that touches an edge of the block stays, however small: it may go on beyond.

    >>> label, count, dropped = labelled(np.eye(3, 5, 1, bool), least_pixels=4)
    >>> count, dropped
    (1, 0)
    """
    label, count = fracture_lines.bodies(damage)
    keep = np.bincount(label.ravel(), minlength=count + 1) >= least_pixels
    for edge in (label[0], label[-1], label[:, 0], label[:, -1]):
        keep[edge] = True
    keep[0] = False
    number = (np.cumsum(keep) * keep).astype(np.int32)
    kept = int(keep.sum())
    return number[label], kept, count - kept


def measured(block: Block, *, least_pixels: int) -> BlockBodies:
    """Return what a block says of its bodies."""
    label, count, dropped = labelled(block.damage, least_pixels=least_pixels)
    moments = fracture_lines.moments(label, count=count, row=block.row, column=block.column)
    rows, columns = np.nonzero(label)
    own = label[rows, columns]
    area = geodesy.cell_areas(block.x[columns], block.y[rows], block.spacing)
    probability = np.nan_to_num(block.probability[rows + MARGIN, columns + MARGIN])
    size = count + 1
    sums = [np.bincount(own, weights=each, minlength=size) for each in (area, probability)]
    near = ndimage.binary_dilation(block.outside, fracture_lines.EIGHT)[1:-1, 1:-1]
    at_edge = np.zeros(size, bool)
    at_edge[own[near[rows, columns]]] = True
    rows += block.row
    columns += block.column
    box = np.full((4, size), _NOWHERE)
    for kept, place in zip(box, (rows, columns, -rows, -columns), strict=True):
        np.minimum.at(kept, own, place)
    first = np.full(size, _NOWHERE)
    # pixels come in the order of rows, and of those written backwards the first one stays
    first[own[::-1]] = (rows * block.columns + columns)[::-1]
    axes = _axes(label, block.probability, count)
    found = Bodies(moments, np.stack([*sums, *axes]), box, first, at_edge)
    return BlockBodies(found, block_labels.edges(label, count=count), dropped)


def _axes(label: LABELS, probability: FLOAT32, count: int) -> tuple[FLOAT, ...]:
    """Return what the axes of cells add to each label: weight, cosine, sine of doubled angles."""
    if not count:
        return tuple(np.zeros((3, count + 1)))
    high, wide = (-(-size // CELL) for size in label.shape)
    orientation, signal = _windows(label, probability, high, wide)
    known = np.where(np.isnan(orientation), 0.0, np.nan_to_num(signal))
    mean, agreement = fracture_lines.body_orientations(
        label, orientation, known, window=CELL, count=count
    )
    at = np.nonzero(label)
    here = known[at[0] // CELL, at[1] // CELL]
    weight: FLOAT = np.bincount(label[at], weights=here, minlength=count + 1).astype(np.float64)
    length = weight * np.nan_to_num(agreement)
    doubled = np.radians(2.0 * np.nan_to_num(mean))
    return weight, length * np.cos(doubled), length * np.sin(doubled)


def _windows(label: LABELS, probability: FLOAT32, high: int, wide: int) -> tuple[FLOAT, FLOAT]:
    """Return orientation and signal around each cell; only cells with a body are looked at."""
    lacking = (high * CELL - label.shape[0], wide * CELL - label.shape[1])
    more = [(0, size) for size in lacking]
    cells = np.pad(label, more).reshape(high, CELL, wide, CELL)
    there = np.asarray((cells != 0).any(axis=(1, 3)))
    around = np.pad(probability, more, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(around, (WINDOW, WINDOW))[::CELL, ::CELL]
    orientation, signal = np.full((2, high, wide), np.nan)
    if there.any():
        found = fracture_lines.window_orientations(
            windows[there].reshape(-1, WINDOW), window=WINDOW, least_signal=LEAST_SIGNAL
        )
        orientation[there], signal[there] = (each[:, 0] for each in found)
    return orientation, signal


def joined(
    blocks: Mapping[tuple[int, int], BlockBodies],
) -> tuple[dict[tuple[int, int], INDEX], Bodies]:
    """Return the label in the whole map of each label of each block, and what those stand for."""
    whole, count = block_labels.joined({at: each.edges for at, each in blocks.items()})
    order = sorted(blocks)
    group = np.concatenate([whole[at] for at in order])
    parts = [blocks[at].bodies for at in order]
    sums = np.concatenate([part.sums for part in parts], axis=1)
    moments = Moments(np.concatenate([part.moments.sums for part in parts], axis=1))
    size = count + 1
    box = np.full((4, size), _NOWHERE)
    for kept, each in zip(box, np.concatenate([p.box for p in parts], axis=1), strict=True):
        np.minimum.at(kept, group, each)
    first = np.full(size, _NOWHERE)
    np.minimum.at(first, group, np.concatenate([part.first for part in parts]))
    at_edge = np.zeros(size, bool)
    np.logical_or.at(at_edge, group, np.concatenate([part.at_edge for part in parts]))
    added: FLOAT = np.stack([np.bincount(group, each, size) for each in sums]).astype(np.float64)
    return whole, Bodies(moments.grouped(group), added, box, first, at_edge)


def ranked(bodies: Bodies, *, least_pixels: int, most: int) -> tuple[INDEX, INDEX, int, int]:
    """Return which bodies are fractures, in their order, and how many are not.

    Parameters
    ----------
    bodies : Bodies
        Of the whole map.
    least_pixels, most : int
        Pixels that a fracture has at least, and how many are told at most.

    Returns
    -------
    chosen : ndarray of int, shape (fractures,)
        Labels of bodies, most pixels first; of equal ones the one that begins farther north, then
        west. None of it depends on how the map was cut.
    rank : ndarray of int, shape (labels,)
        Fracture of each label, from 1; 0 of others.
    small, beyond : int
        Bodies of too few pixels, and beyond the most.
    """
    pixels = bodies.moments.sums[0]
    enough = np.flatnonzero(pixels >= least_pixels)
    order = enough[np.lexsort((bodies.first[enough], -pixels[enough]))]
    chosen = order[:most]
    rank = np.zeros(pixels.size, np.intp)
    rank[chosen] = np.arange(1, chosen.size + 1)
    small = int((pixels[1:] > 0).sum()) - int(enough.size)
    return chosen, rank, small, int(order.size - chosen.size)
