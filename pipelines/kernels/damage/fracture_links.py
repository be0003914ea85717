"""Which fracture of a year is which of the next: identities that last.

The earlier year's labels are carried along the flow to the later year, where its fractures overlap
the later ones. With |A ∩ B| the pixels that an earlier fracture A, carried, and a later one B
share, each of them widened in turn by a tolerance t,

::

    o(A, B) = (|A⁺ᵗ ∩ B| + |A ∩ B⁺ᵗ|) / 2,     s(A, B) = min(1, o / min(|A|, |B|))

pairs are chosen so that the sum of their o is largest (the assignment problem; Kuhn, 1955), among
pairs of s above a limit. Fractures that overlap form separate groups, each of which is solved
alone, so the cost does not grow with the shelf. A later fracture without a partner that overlaps an
earlier one has split from it; an earlier one without a partner has merged into what it overlaps
most, or ended.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize, sparse
from scipy.sparse import csgraph

FLOAT = NDArray[np.float64]
LABELS = NDArray[np.integer]
INDEX = NDArray[np.intp]


class LinkError(ValueError):
    """Labels of two years that cannot be compared."""


@dataclass(frozen=True, eq=False)
class Links:
    """What became of the fractures of a year.

    Attributes
    ----------
    pairs : ndarray of int, shape (n, 2)
        Labels of one fracture, earlier and later, by earlier label.
    shares : ndarray, shape (n,)
        s of each pair [1].
    parent : ndarray of int, shape (later + 1,)
        Of each later label without a partner the earlier one that it split from, 0 if it is new
        ground; 0 of those with a partner.
    heir : ndarray of int, shape (earlier + 1,)
        Of each earlier label without a partner the later one that it merged into, 0 if it ended.
    """

    pairs: INDEX
    shares: FLOAT
    parent: INDEX
    heir: INDEX


def carried_labels(label: LABELS, row: FLOAT, column: FLOAT) -> LABELS:
    """Return the earlier label at each later pixel, from where its ice was.

    Parameters
    ----------
    label : ndarray of int, shape (y, x)
        Of the earlier year.
    row, column : ndarray, shape (Y, X)
        Where the ice of each later pixel was, in pixels of the earlier map; NaN where not known.

    Returns
    -------
    ndarray of int, shape (Y, X)
        The nearest label; 0 from outside the earlier map.
    """
    inside = (row > -0.5) & (row < label.shape[0] - 0.5)
    inside &= (column > -0.5) & (column < label.shape[1] - 0.5)
    r, c = (np.rint(np.where(inside, at, 0.0)).astype(np.intp) for at in (row, column))
    return np.where(inside, label[r, c], 0).astype(label.dtype)


def link(
    carried: LABELS, later: LABELS, *, earlier_count: int, later_count: int,
    tolerance: float = 2.0, least_share: float = 0.3,
) -> Links:  # fmt: skip
    """Return which fractures are the same.

    Parameters
    ----------
    carried, later : ndarray of int, shape (y, x)
        Labels of the earlier year in the frame of the later one, and of the later year; 0 none.
    earlier_count, later_count : int
        Highest label of each.
    tolerance : float
        t, how far maps of one fracture may lie apart, for its velocity and its outline [pixels].
    least_share : float
        Least s of a pair [1].

    Returns
    -------
    Links

    Raises
    ------
    LinkError
        If maps or labels do not fit.
    """
    _check(carried, later, earlier_count, later_count)
    if not (tolerance >= 0.0 and 0.0 <= least_share <= 1.0):
        msg = f"found a tolerance of {tolerance:g} pixels and a least share of {least_share:g}, "
        raise LinkError(msg + "expected at least 0 and 0 to 1")
    shape = (earlier_count + 1, later_count + 1)
    shared = _shared(_widened(carried, tolerance), later, shape)
    shared = (shared + _shared(carried, _widened(later, tolerance), shape)) / 2.0
    overlap = sparse.coo_array(shared)
    sizes = [
        np.bincount(each.ravel(), minlength=n)
        for each, n in zip((carried, later), shape, strict=True)
    ]
    a, b = overlap.row.astype(np.intp), overlap.col.astype(np.intp)
    smaller = np.minimum(sizes[0][a], sizes[1][b])
    share = np.minimum(overlap.data / np.maximum(smaller, 1), 1.0)
    good = (share >= least_share) & (share > 0.0)
    a, b, share, common = a[good], b[good], share[good], overlap.data[good]
    chosen = _assigned(a, b, common, shape)
    order = chosen[np.argsort(a[chosen])]
    parent = _largest(b, a, common, without=b[chosen], count=shape[1])
    heir = _largest(a, b, common, without=a[chosen], count=shape[0])
    return Links(np.stack([a[order], b[order]], axis=1), share[order], parent, heir)


def _widened(label: LABELS, tolerance: float) -> LABELS:
    """Return labels that reach farther: of the nearest fracture, within the tolerance."""
    if tolerance == 0.0 or not label.any():
        return label
    distance, (row, column) = ndimage.distance_transform_edt(label == 0, return_indices=True)
    return np.where(distance <= tolerance, label[row, column], 0).astype(label.dtype)


def _shared(one: LABELS, other: LABELS, shape: tuple[int, int]) -> sparse.csr_array:
    """Return how many pixels each label of one map shares with each of the other."""
    both = (one > 0) & (other > 0)
    ends = (one[both].astype(np.intp), other[both].astype(np.intp))
    return sparse.coo_array((np.ones(ends[0].size), ends), shape).tocsr()


def _assigned(a: INDEX, b: INDEX, common: FLOAT, shape: tuple[int, int]) -> INDEX:
    """Return the entries whose common pixels have the largest sum, each label only once."""
    total = shape[0] + shape[1]
    graph = sparse.coo_array((np.ones(a.size), (a, b + shape[0])), (total, total))
    _, group = csgraph.connected_components(graph, directed=False)
    order = np.argsort(group[a], kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[a][order])) + 1)
    chosen = [_assigned_in_group(a, b, common, part) for part in parts if part.size]
    return np.concatenate(chosen) if chosen else np.zeros(0, np.intp)


def _assigned_in_group(a: INDEX, b: INDEX, common: FLOAT, part: INDEX) -> INDEX:
    if part.size == 1:
        return part
    rows, r = np.unique(a[part], return_inverse=True)
    columns, c = np.unique(b[part], return_inverse=True)
    worth = np.zeros((rows.size, columns.size))
    entry = np.full(worth.shape, -1, np.intp)
    worth[r, c], entry[r, c] = common[part], part
    best = entry[optimize.linear_sum_assignment(worth, maximize=True)]
    return np.asarray(best[best >= 0])


def _largest(of: INDEX, to: INDEX, common: FLOAT, *, without: INDEX, count: int) -> INDEX:
    """Return the label that each label shares most pixels with, 0 of those with a partner."""
    made = np.zeros(count, np.intp)
    # the last one written stays: the largest, of equal ones the lowest label
    order = np.lexsort((-to, common))
    made[of[order]] = to[order]
    made[without] = 0
    return made


def kept_identities(links: Links, identity: INDEX, *, following: int) -> tuple[INDEX, int]:
    """Return the identities of the later fractures: those of their partners, or new ones.

    Parameters
    ----------
    links : Links
        From :func:`link`.
    identity : ndarray of int, shape (earlier + 1,)
        Of each earlier label; 0 of label 0.
    following : int
        The first identity that was never given.

    Returns
    -------
    identity : ndarray of int, shape (later + 1,)
        Of each later label; new ones in the order of labels.
    following : int
        The first identity that was never given, now.

    Raises
    ------
    LinkError
        If identities do not belong to these labels, are given twice, or are not below `following`.
    """
    real = identity[1:]
    if identity.size != links.heir.size or np.unique(real).size != real.size or (
        real.size and not 0 < real.min() <= real.max() < following
    ):  # fmt: skip
        msg = (
            f"found identities {real[:6].tolist()} of {real.size} fractures, expected different "
            f"ones of {links.heir.size - 1}, from 1 to below {following}"
        )
        raise LinkError(msg)
    made = np.zeros(links.parent.size, np.intp)
    made[links.pairs[:, 1]] = identity[links.pairs[:, 0]]
    new = np.flatnonzero(made[1:] == 0) + 1
    made[new] = following + np.arange(new.size)
    return made, following + int(new.size)


def _check(carried: LABELS, later: LABELS, earlier_count: int, later_count: int) -> None:
    if carried.shape != later.shape:
        msg = f"found labels of shapes {carried.shape} and {later.shape}, expected one grid; see "
        raise LinkError(msg + "carried_labels")
    for label, count in ((carried, earlier_count), (later, later_count)):
        if label.size and not 0 <= label.min() <= label.max() <= count:
            msg = f"found labels from {label.min()} to {label.max()}, expected 0 to {count}"
            raise LinkError(msg)
