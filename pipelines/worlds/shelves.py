"""Named ice shelves of the synthetic world: windows of pixels across grounding line and front.

Four places of :class:`pipelines.worlds.antarctica.Antarctica` where ice floats, each of its own
nature (:mod:`pipelines.worlds.shelf_natures`). What lies there on a day is drawn by
:func:`pipelines.worlds.shelf_surface.surface`; here is where they are and how far they reach.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon, box

from pipelines.worlds import equal_area, outline, shelf_front
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.shelf_examples import NATURES
from pipelines.worlds.shelf_flow import FlowFrame, year_of
from pipelines.worlds.shelf_natures import Nature
from stac.pixel_grids import PixelGrid, snapped

SIZE = 1024
"""Rows and columns of a shelf's window unless told otherwise [1]."""
MULTIPLE = 64
SPACING = 30.0
"""Side of a pixel [m]."""


class ShelfError(ValueError):
    """A shelf, a day or a window that the world does not have."""


@dataclass(frozen=True)
class Shelf:
    """A named ice shelf of the world and the window through which it is seen.

    Attributes
    ----------
    id, name : str
        Slug and name.
    grid : PixelGrid
        The window, its region of interest: pixels of 30 m on Landsat's lattice.
    world : Antarctica
        Where it lies.
    nature : Nature
        What it looks like.
    """

    id: str
    name: str
    grid: PixelGrid
    world: Antarctica
    nature: Nature

    @cached_property
    def flow(self) -> FlowFrame:
        """Labels of its ice."""
        return FlowFrame(self.world, self.grid, self.nature.bearing)

    @cached_property
    def usual_flow(self) -> FlowFrame:
        """Labels of the window of the usual size: where cracks open may lie outside a smaller one.

        What is laid out there looks the same through windows of all sizes.
        """
        if self.grid.shape == (SIZE, SIZE):
            return self.flow
        return placed(self.world, self.nature, SIZE).flow

    @cached_property
    def front(self) -> shelf_front.Front:
        """Where its front is on every day."""
        return shelf_front.Front(self.nature, self.flow.lines, self.world.seed)

    @cached_property
    def region(self) -> Polygon:
        """The farthest that its floating ice ever reaches inside the window, in EPSG:3031."""
        return _outlined(self.flow, self.flow.lines.age[:, -1], self.grid)

    def extent(self, day: dt.date) -> Polygon:
        """Outline its floating ice on a day, inside the window.

        Parameters
        ----------
        day : date
            Of the outline; the front moves with the ice between calvings.

        Returns
        -------
        Polygon
            From the grounding line to the front, in EPSG:3031; in parts where sea divides it.
        """
        age = np.minimum(self.front.age_limit(year_of(day)), self.flow.lines.age[:, -1])
        return _outlined(self.flow, age, self.grid)


@lru_cache(maxsize=8)
def demo_shelves(world: Antarctica, *, size: int = SIZE) -> tuple[Shelf, ...]:
    """Return the shelves Alder, Birch, Cedar and Dunlin.

    Alder is fast with torn shear margins, Birch slow with ponds and blue ice, Cedar is cut by
    rifts and calves in winter 2011, Dunlin is hardly damaged and has rock.

    Parameters
    ----------
    world : Antarctica
        Where they lie.
    size : int
        Rows and columns of the windows, a multiple of 64; 3584 for benchmarks [1].

    Returns
    -------
    tuple of Shelf
        In the order of their names.

    Raises
    ------
    ShelfError
        A size that is no multiple of 64 or too small to hold a front.
    """
    if size < MULTIPLE or size % MULTIPLE:
        msg = f"found windows of {size} pixels, expected a multiple of {MULTIPLE} pixels"
        raise ShelfError(msg)
    return tuple(placed(world, nature, size) for nature in NATURES)


def find(world: Antarctica, name: str, *, size: int = SIZE) -> Shelf:
    """Return the shelf of a name or an id.

    Raises
    ------
    ShelfError
        No shelf is called so.
    """
    for shelf in demo_shelves(world, size=size):
        if name.lower() == shelf.id:
            return shelf
    names = ", ".join(nature.name for nature in NATURES)
    msg = f"found no shelf {name!r}, expected one of {names}"
    raise ShelfError(msg)


def placed(world: Antarctica, nature: Nature, size: int) -> Shelf:
    """Return the shelf of a nature: the window around the middle that its nature names.

    Parameters
    ----------
    world : Antarctica
        Where it lies.
    nature : Nature
        What it looks like; ice must float at its bearing.
    size : int
        Rows and columns of the window, a multiple of 64 [1].
    """
    nu = np.asarray(nature.bearing)
    mu = world.coast(nu) + nature.middle * outline.floating_reach(nu)
    x, y = (float(c) for c in equal_area.map_from_plane(world.divide.position(mu, nu)))
    half = 0.5 * (size - MULTIPLE) * SPACING
    corner = snapped((x - half, y - half, x - half + 1.0, y - half + 1.0), multiple=MULTIPLE)
    side = size * SPACING
    bounds = (corner.west, corner.bounds[1], corner.west + side, corner.bounds[1] + side)
    grid = snapped(bounds, multiple=MULTIPLE)
    return Shelf(nature.name.lower(), nature.name, grid, world, nature)


def _outlined(flow: FlowFrame, age: NDArray[np.float64], grid: PixelGrid) -> Polygon:
    lines = flow.lines
    front_x, front_y = lines.place_at(age)
    ring_x = np.concatenate([lines.x[:, 0], front_x[::-1]])
    ring_y = np.concatenate([lines.y[:, 0], front_y[::-1]])
    ring = Polygon(np.stack([ring_x, ring_y], axis=-1))
    return shapely.make_valid(ring).intersection(box(*grid.bounds))
