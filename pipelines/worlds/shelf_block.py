"""A block of pixels of a shelf's window on a day: labels of its ice, and smooth fields of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import seed_of
from pipelines.worlds.shelf_flow import Labels, spline_block
from pipelines.worlds.shelves import Shelf

FLOAT = NDArray[np.float32]
DOUBLE = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """Pixels of a shelf on a day.

    Attributes
    ----------
    shelf : Shelf
        Whose.
    year : float
        Since 2000 [yr].
    summer : int
        Year in which the summer began.
    season : float
        Days since its 1 November [d].
    x, y : ndarray, shape (nx,), (ny,)
        Centres of columns and rows [m].
    """

    shelf: Shelf
    year: float
    summer: int
    season: float
    x: DOUBLE
    y: DOUBLE

    def seed(self, *parts: int | str) -> int:
        """Return the seed of a field of this world and shelf."""
        return seed_of(self.shelf.world.seed, self.shelf.id, *parts)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.size, self.x.size

    @cached_property
    def labels(self) -> Labels:
        """What the ice of each pixel keeps, (ny, nx)."""
        return self.shelf.flow.labels(self.x, self.y)

    @cached_property
    def across(self) -> FLOAT:
        """Flow line a, (ny, nx) [m]."""
        return self.labels.across.astype(np.float32)

    @cached_property
    def age(self) -> FLOAT:
        """Years since the grounding line τ, (ny, nx) [yr]."""
        return self.labels.age.astype(np.float32)

    @cached_property
    def birth(self) -> DOUBLE:
        """When the ice crossed the grounding line, years since 2000, (ny, nx) [yr]."""
        return np.asarray(self.year - self.labels.age)

    @cached_property
    def metric(self) -> tuple[FLOAT, FLOAT, FLOAT]:
        """|∇a|², ∇a·∇τ and |∇τ|², each (ny, nx) [1, yr m⁻¹, yr² m⁻²]."""
        d = self.labels
        aa = d.across_x**2 + d.across_y**2
        at = d.across_x * d.age_x + d.across_y * d.age_y
        tt = d.age_x**2 + d.age_y**2
        return aa.astype(np.float32), at.astype(np.float32), tt.astype(np.float32)

    def spread(self, field: Callable[[Block], FLOAT], *, every: int) -> FLOAT:
        """Compute a smooth field at nodes that lie `every` pixels apart and read it at the pixels.

        Parameters
        ----------
        field : callable
            Takes the block of nodes and returns values, (node row, node column).
        every : int
            Pixels of the shelf's grid between nodes; nodes are the same for every block.

        Returns
        -------
        ndarray, shape (ny, nx)
            The values, smoothed by a cubic B-spline of the nodes.
        """
        grid = self.shelf.grid
        step = grid.spacing * every
        rows, columns = (grid.north - self.y) / step, (self.x - grid.west) / step
        first_row, first_column = (int(np.floor(part.min())) - 1 for part in (rows, columns))
        last_row, last_column = (int(np.floor(part.max())) + 3 for part in (rows, columns))
        node_y = grid.north - np.arange(first_row, last_row, dtype=np.float64) * step
        node_x = grid.west + np.arange(first_column, last_column, dtype=np.float64) * step
        nodes = Block(self.shelf, self.year, self.summer, self.season, node_x, node_y)
        values = np.asarray(field(nodes), dtype=np.float64)
        return spline_block(values, rows - first_row, columns - first_column).astype(np.float32)


def pace_of(nodes: Block) -> float:
    """Metres that the ice of the middle of the shelf moves in a year [m yr⁻¹]."""
    lines = nodes.shelf.flow.lines
    middle = int(np.argmin(np.abs(lines.across)))
    return float(lines.distance[middle, -1] / lines.age[middle, -1])
