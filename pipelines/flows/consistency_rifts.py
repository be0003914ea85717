"""Which fracture of a summer is which of a later one, and identities that last through a series.

``links/SHELF/Y1/Y2`` reads the maps of fractures of two summers on cells of 3 pixels or more (the
largest label of a cell stands for it), carries the earlier ones by the departures that
``pair/SHELF/Y1/Y2`` left, and links what overlaps. The whole shelf is held on these cells, and
cells are as wide as it takes that there are 4 million at most: 90 m up to 180 km squared, 150 m of
the Amery ice shelf, 450 m of the Ross ice shelf.

A fracture without a partner ended, or is new, only where the other map says so: of one that lay
mostly where the other summer was not seen nothing is known, and it is *unseen*. Ice that the other
summer's extent leaves out is known to hold no fracture of the shelf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import product_arrays, shelf_damage_fractures
from pipelines.flows.consistency_arrays import cell_axes, pair_path
from pipelines.flows.consistency_stages import shelf_of
from pipelines.flows.product_arrays import Array
from pipelines.flows.shelf_damage_arrays import UNKNOWN
from pipelines.flows.shelf_damage_fractures import MOST_FRACTURES
from pipelines.kernels import geodesy
from pipelines.kernels.damage import advection, fracture_links
from pipelines.kernels.damage.advection import Departures
from pipelines.kernels.damage.fracture_links import Links
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.consistency_inputs import DamageMap, Shelf
    from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
LABELS = NDArray[np.int32]
INDEX = NDArray[np.intp]

QUANTITIES = (
    "earlier", "later", "kind", "share", "shared_m2", "earlier_length_m", "later_length_m",
    "earlier_x_m", "earlier_y_m", "later_x_m", "later_y_m",
)  # fmt: skip
"""What is told of a link: labels, 0 of none; what became of it; the s of fracture_links, and the
true area that both share, cell on cell; lengths and centres of both, each at its own time."""
KINDS = ("same", "split", "merged", "new", "gone", "unseen")
"""A later fracture is the *same* as an earlier one, has *split* from one, is *new* or was *unseen*
before; an earlier one has *merged* into a later one, is *gone*, or is *unseen* after."""
SAME, SPLIT, MERGED, NEW, GONE, UNSEEN = (float(k) for k in range(len(KINDS)))
RECORD = ("cell_m", "earlier_count", "later_count", "carried_share")
"""Of a pair: width of its cells, fractures of both summers, and the share of cells whose ice came
from within the earlier map."""
LEAST_FACTOR = 3
"""Pixels along a cell at least."""
MOST_CELLS = 4_000_000
CELL_BYTES = 150
"""Memory of a pair for each of its cells [B]."""
SECONDS_PER_MILLION_CELLS = 1.0
"""Time to link a pair of a million cells [s]."""
TOLERANCE = 2.0
"""So far apart maps of one fracture may lie [cells]."""
LEAST_SHARE = 0.3
_BLOCK = 1024


class Coarse(NamedTuple):
    """A summer on cells: labels of fractures, and where it says whether there is one."""

    label: LABELS
    known: BOOL


@dataclass(frozen=True, eq=False)
class Fractures:
    """What the table of a summer tells of labels from 0 on; NaN of label 0."""

    length: FLOAT
    x: FLOAT
    y: FLOAT

    @property
    def count(self) -> int:
        """Highest label."""
        return self.length.size - 1


def arrays() -> tuple[Array, ...]:
    """Return the arrays of a pair that links fill."""
    shape = (2 * MOST_FRACTURES, len(QUANTITIES))
    return (
        product_arrays.whole("link", ("link_row", "link_quantity"), shape, "1",
                             "what became of fractures; units are in the quantities' names"),
        product_arrays.whole("link_record", ("link_record_quantity",), (len(RECORD),), "1",
                             "how fractures were linked"),
    )  # fmt: skip


def linked_pairs(shelves: tuple[Shelf, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return the pairs of which both summers tell fractures; only attributes are read."""
    opened: dict[tuple[str, str], zarr.Group] = {}
    told = {}
    for made in (each for shelf in shelves for each in shelf.maps):
        where = (made.source.address, made.source.snapshot)
        opened[where] = opened.get(where) or made.source.open()
        told[made.path] = "fracture_table" in group_at(opened[where], made.path)
    return tuple(
        (shelf.id, a, b)
        for shelf in shelves
        for a, b in shelf.pairs
        if told[f"{shelf.id}/{a}"] and told[f"{shelf.id}/{b}"]
    )


def create(group: zarr.Group, pairs: tuple[tuple[str, int, int], ...]) -> None:
    """Create the empty arrays of pairs in their groups."""
    for pair in pairs:
        made = group_at(group, pair_path(*pair))
        product_arrays.create(made, arrays(), {})
        product_arrays.labels(made, "link_quantity", QUANTITIES)
        product_arrays.labels(made, "link_record_quantity", RECORD)
        kinds = {"flag_values": list(range(len(KINDS))), "flag_meanings": " ".join(KINDS)}
        made["link"].attrs["nunatak:kinds"] = kinds


def cell_factor(ny: int, nx: int) -> int:
    """Return the pixels along a cell: no more cells than fit into memory.

    >>> cell_factor(3000, 3000), cell_factor(18_000, 7_000), cell_factor(30_000, 30_000)
    (3, 6, 15)
    """
    factor = LEAST_FACTOR
    while -(-ny // factor) * -(-nx // factor) > MOST_CELLS:
        factor += 1
    return factor


def cell_count(ny: int, nx: int) -> int:
    """Return how many cells a map is linked on.

    >>> cell_count(300, 301)
    10100
    """
    factor = cell_factor(ny, nx)
    return -(-ny // factor) * -(-nx // factor)


@dataclass(frozen=True)
class LinkJob:
    """Keys ``links/SHELF/Y1/Y2``: which fracture of a pair of summers is which.

    Attributes
    ----------
    shelves : tuple of Shelf
        Maps and pairs.
    cell_m : float
        Side of the cells for which departures are kept [m].
    """

    shelves: tuple[Shelf, ...]
    cell_m: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Carry the earlier fractures, link them, and write a row for each link."""
        _, name, *summers = key.split("/")
        shelf = shelf_of(self.shelves, name)
        was, now = (shelf.maps[shelf.place(int(summer))] for summer in summers)
        pair = group_at(group, pair_path(name, int(summers[0]), int(summers[1])))
        factor = cell_factor(shelf.grid.ny, shelf.grid.nx)
        before, after = (fractures_of(each) for each in (was, now))
        earlier, later = (coarse(each, factor) for each in (was, now))
        carried, known, share = self._carried(pair, shelf.grid, factor, earlier)
        del earlier
        found = fracture_links.link(
            carried, later.label, earlier_count=before.count, later_count=after.count,
            tolerance=TOLERANCE, least_share=LEAST_SHARE,
        )  # fmt: skip
        x, y = cells(shelf.grid, factor)
        table = _table(found, Coarse(carried, known), later, (before, after), (x, y))
        told = np.full(stored.array(pair, "link").shape, np.nan)
        told[: len(table)] = table
        width = factor * shelf.grid.spacing
        stored.write(pair, "link", told)
        stored.write(pair, "link_record", np.array([width, before.count, after.count, share]))
        counts = [int((table[:, 2] == kind).sum()) for kind in range(len(KINDS))]
        note = ", ".join(f"{n} {kind}" for n, kind in zip(counts, KINDS, strict=True))
        return Receipt(key, "done", note=note, snapshot=now.source.snapshot)

    def _carried(
        self, pair: zarr.Group, grid: PixelGrid, factor: int, earlier: Coarse
    ) -> tuple[LABELS, BOOL, float]:
        """Return earlier labels in the frame of the later map, and where anything is known."""
        nodes = Departures(*(stored.read(pair, f"departure_{axis}") for axis in ("x", "y")))
        if np.isnan(nodes.x).all():
            msg = f"{pair.path} was not advected, or no velocity reaches it; see its key pair/..."
            raise KeyFailed(msg)
        node_x, node_y = cell_axes(grid, self.cell_m, halo=1)
        x, y = cells(grid, factor)
        label, known = np.zeros_like(earlier.label), np.zeros(earlier.known.shape, bool)
        inside = 0
        for first in range(0, y.size, _BLOCK):
            rows = slice(first, min(first + _BLOCK, y.size))
            origin = advection.refined(nodes, node_x, node_y, to_x=x, to_y=y[rows])
            label[rows] = advection.advected_labels(earlier.label, x, y, origin, unknown=0)
            was_known = advection.advected_labels(
                earlier.known.astype(np.uint8), x, y, origin, unknown=UNKNOWN
            )
            known[rows] = was_known == 1
            inside += int((was_known != UNKNOWN).sum())
        return label, known, inside / label.size


def fractures_of(held: DamageMap) -> Fractures:
    """Return the table of a summer by label.

    Raises
    ------
    KeyFailed
        Fractures of that summer were not told.
    """
    made = group_at(held.source.open(), held.path)
    if np.isnan(stored.read(made, "fracture_left_out")).any():
        msg = f"fractures of {held.path} were not told; see why their key failed in shelf_damage"
        raise KeyFailed(msg)
    table = shelf_damage_fractures.table_of(made)
    columns = (table["length_m"], table["x_m"], table["y_m"])
    return Fractures(*(np.concatenate([[np.nan], column]) for column in columns))


def cells(grid: PixelGrid, factor: int) -> tuple[FLOAT, FLOAT]:
    """Return the centres of cells along x and y [m]; the last ones may reach beyond the map."""
    return cell_axes(grid, factor * grid.spacing)


def coarse(held: DamageMap, factor: int) -> Coarse:
    """Return a summer on cells of `factor` pixels, read block by block.

    A cell is known if half of its pixels are: pixels of the extent with a value, and those that
    are not of the shelf.
    """
    made = group_at(held.source.open(), held.path)
    ny, nx = held.grid.ny, held.grid.nx
    shape = (-(-ny // factor), -(-nx // factor))
    label, known = np.zeros(shape, np.int32), np.zeros(shape, bool)
    step = max(1, _BLOCK // factor)
    for top in range(0, shape[0], step):
        for left in range(0, shape[1], step):
            to = (slice(top, min(top + step, shape[0])), slice(left, min(left + step, shape[1])))
            at = tuple(
                slice(part.start * factor, min(part.stop * factor, size))
                for part, size in zip(to, (ny, nx), strict=True)
            )
            said = stored.values(made, "damage", at) != UNKNOWN
            said |= stored.values(made, "extent", at) == 0
            label[to] = _squares(stored.values(made, "fracture", at), factor).max(axis=(1, 3))
            known[to] = _squares(said, factor).mean(axis=(1, 3), dtype=np.float32) >= 0.5
    return Coarse(label, known)


def _squares(block: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Return a block with axes row of cells, row, column of cells, column; its edge goes on."""
    whole = np.pad(block, [(0, -size % factor) for size in block.shape], mode="edge")
    high, wide = (size // factor for size in whole.shape)
    return whole.reshape(high, factor, wide, factor)


def _table(
    found: Links, carried: Coarse, later: Coarse, tables: tuple[Fractures, Fractures],
    axes: tuple[FLOAT, FLOAT],
) -> FLOAT:  # fmt: skip
    """Return the rows of all links, shape (n, quantity)."""
    before, after = tables
    kinds = list(_kinds(found, carried, later, before.count, after.count))
    one, other, kind, share = (np.concatenate(part) for part in zip(*kinds, strict=True))
    a, b = one.astype(np.intp), other.astype(np.intp)
    area = _shared_areas(carried.label, later.label, axes)
    shared = [area.get((int(i), int(j)), 0.0) for i, j in zip(a, b, strict=True)]
    lengths = (before.length[a], after.length[b])
    places = (before.x[a], before.y[a], after.x[b], after.y[b])
    return np.stack([one, other, kind, share, np.array(shared), *lengths, *places], axis=1)


Rows = tuple[FLOAT, FLOAT, FLOAT, FLOAT]


def _kinds(
    found: Links, carried: Coarse, later: Coarse, earlier_count: int, later_count: int
) -> Iterator[Rows]:
    """Yield earlier and later labels, kinds and shares: each label once, but those linked to."""
    first, second = found.pairs.T
    yield _rows(first, second, SAME, found.shares)
    pieces, joined = np.flatnonzero(found.parent), np.flatnonzero(found.heir)
    yield _rows(found.parent[pieces], pieces, SPLIT)
    yield _rows(joined, found.heir[joined], MERGED)
    born = _alone(later_count, second, found.parent)
    seen = _seen(later.label, carried.known, later_count)[born]
    yield _rows(np.zeros_like(born), born, np.where(seen, NEW, UNSEEN))
    ended = _alone(earlier_count, first, found.heir)
    seen = _seen(carried.label, later.known, earlier_count)[ended]
    yield _rows(ended, np.zeros_like(ended), np.where(seen, GONE, UNSEEN))


def _rows(one: INDEX, other: INDEX, kind: float | FLOAT, share: float | FLOAT = np.nan) -> Rows:
    a, b, c, d = np.broadcast_arrays(one, other, kind, share)
    return a.astype(np.float64), b.astype(np.float64), c.astype(np.float64), d.astype(np.float64)


def _alone(count: int, paired: NDArray[np.intp], linked: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the labels without a partner that are linked to nothing."""
    free = linked == 0
    free[paired] = False
    free[0] = False
    return np.flatnonzero(free[: count + 1])


def _seen(label: LABELS, known: BOOL, count: int) -> BOOL:
    """Return which labels lie half where the other summer is known; none without a cell."""
    cells_of = np.bincount(label.ravel(), minlength=count + 1)
    known_of = np.bincount(label[known], minlength=count + 1)
    return np.asarray((cells_of > 0) & (2 * known_of >= cells_of))


def _shared_areas(
    one: LABELS, other: LABELS, axes: tuple[FLOAT, FLOAT]
) -> dict[tuple[int, int], float]:
    """Return the true area that labels of two maps share [m²]."""
    rows, columns = np.nonzero((one > 0) & (other > 0))
    if not rows.size:
        return {}
    x, y = axes
    area = geodesy.cell_areas(x[columns], y[rows], float(abs(x[1] - x[0])))
    ends = np.stack([one[rows, columns], other[rows, columns]])
    pairs, which = np.unique(ends, axis=1, return_inverse=True)
    total = np.bincount(which.ravel(), weights=area)
    return {(int(a), int(b)): float(t) for (a, b), t in zip(pairs.T, total, strict=True)}
