"""Bodies that reach across blocks, without the whole map in memory.

Each block labels its own bodies, 1 to its count. Two blocks that touch share an edge, and a label
pair for each contact of damaged pixels across it, corners included; bodies are the connected
components of these pairs. Only edges and pairs meet in one place, never pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

LABELS = NDArray[np.integer]
INDEX = NDArray[np.intp]


class BlockLabelError(ValueError):
    """Blocks that do not fit each other."""


@dataclass(frozen=True, eq=False)
class BlockEdges:
    """What a labelled block shows to its neighbours.

    Attributes
    ----------
    count : int
        Its bodies.
    north, south : ndarray of int, shape (x,)
        Labels of its first and last row.
    west, east : ndarray of int, shape (y,)
        Labels of its first and last column.
    """

    count: int
    north: LABELS
    south: LABELS
    west: LABELS
    east: LABELS


def edges(label: LABELS, *, count: int) -> BlockEdges:
    """Return the edges of a block's labels, shape (y, x), from 0 to `count`."""
    return BlockEdges(count, *(e.copy() for e in (label[0], label[-1], label[:, 0], label[:, -1])))


def joined(
    blocks: Mapping[tuple[int, int], BlockEdges],
) -> tuple[dict[tuple[int, int], INDEX], int]:
    """Return the label in the whole map of each label of each block, and how many there are.

    Parameters
    ----------
    blocks : mapping of (int, int) to BlockEdges
        By row and column in the grid of blocks, counted from 0; missing ones have no bodies.

    Returns
    -------
    whole : dict of (int, int) to ndarray of int, shape (count + 1,)
        Label in the whole map by label in the block, 0 of 0: ``whole[at][label]`` relabels a block.
        Numbers go by blocks in rows, and so do not depend on the order in which blocks came.
    count : int
        Bodies in the whole map.

    Raises
    ------
    BlockLabelError
        If blocks beside each other have edges of different lengths.

    Examples
    --------
    >>> left, right = np.array([[1, 0, 2]]), np.array([[1, 0, 2]])
    >>> made, count = joined({(0, 0): edges(left, count=2), (0, 1): edges(right, count=2)})
    >>> made[0, 0].tolist(), made[0, 1].tolist(), count
    ([0, 1, 2], [0, 2, 3], 3)
    """
    order = sorted(blocks)
    counts = np.array([blocks[at].count for at in order], np.intp)
    first = dict(zip(order, (np.cumsum(counts) - counts).tolist(), strict=True))
    pairs = [_contacts(blocks, at, first) for at in order]
    ends = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), np.intp)
    total = int(counts.sum())
    graph = sparse.coo_array((np.ones(ends.shape[1], np.int8), tuple(ends)), (total, total))
    number, component = csgraph.connected_components(graph, directed=False)
    # in the order in which bodies begin, whatever numbers the search gave
    begins = np.full(number, total, np.intp)
    np.minimum.at(begins, component, np.arange(total))
    rank = np.argsort(np.argsort(begins))
    whole = {
        at: np.concatenate([[0], 1 + rank[component[first[at] : first[at] + blocks[at].count]]])
        for at in order
    }
    return whole, int(number)


def _contacts(
    blocks: Mapping[tuple[int, int], BlockEdges],
    at: tuple[int, int],
    first: Mapping[tuple[int, int], int],
) -> INDEX:
    """Return which bodies of a block touch those of the four blocks that come after it."""
    row, column = at
    whole, first_, last = slice(None), slice(None, 1), slice(-1, None)
    beside = (
        ((row, column + 1), blocks[at].east, "west", whole, whole),
        ((row + 1, column), blocks[at].south, "north", whole, whole),
        ((row + 1, column + 1), blocks[at].south, "north", last, first_),
        ((row + 1, column - 1), blocks[at].south, "north", first_, last),
    )
    found = [np.zeros((2, 0), np.intp)]
    for there, edge, facing, part, other_part in beside:
        if there in blocks:
            other: LABELS = getattr(blocks[there], facing)
            offset = np.array([[first[at]], [first[there]]])
            found.append(_touching(edge[part], other[other_part], at, there) + offset)
    return np.concatenate(found, axis=1).astype(np.intp)


def _touching(mine: LABELS, theirs: LABELS, at: tuple[int, int], there: tuple[int, int]) -> INDEX:
    """Return pairs of labels, from 0, of pixels that touch across an edge, corners included."""
    if mine.size != theirs.size:
        msg = (
            f"found an edge of {mine.size} pixels of block {at} beside {theirs.size} of block "
            f"{there}, expected as many; cut the map along one grid"
        )
        raise BlockLabelError(msg)
    size = mine.size
    shifts = ((slice(0, size), slice(0, size)), (slice(0, -1), slice(1, None)),
              (slice(1, None), slice(0, -1)))  # fmt: skip
    pairs = np.concatenate([np.stack([mine[a], theirs[b]]) for a, b in shifts], axis=1)
    return np.unique(pairs[:, (pairs > 0).all(axis=0)], axis=1).astype(np.intp) - 1
