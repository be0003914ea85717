"""What lies on a shelf and around it on a day: shape, colour, kind and the truth of its damage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds import shelf_colours
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.lattice_noise import fractal_noise, smoothstep
from pipelines.worlds.shelf_block import Block, pace_of
from pipelines.worlds.shelf_colours import BANDS, mixed, pond_cover, snow
from pipelines.worlds.shelf_flow import year_of
from pipelines.worlds.shelf_fractures import CARVED, carve_field, rift_opening
from pipelines.worlds.shelf_relief import relief, snow_cover
from pipelines.worlds.shelf_sea import sea
from pipelines.worlds.shelf_truth import HALO, labelled, seen
from pipelines.worlds.shelves import Shelf, ShelfError
from stac.pixel_grids import PixelGrid

SEA, SEA_ICE, ICEBERG, SHELF, GROUNDED, ROCK, BLUE_ICE, POND = range(8)
TILE = 512
"""Rows and columns drawn at a time, so that memory does not grow with the window [1]."""
FIRST_MONTH = 7
"""A summer is named after the year of its November; from July on days belong to the next [1]."""


@dataclass(frozen=True)
class Surface:
    """The surface on one day, every array of shape (ny, nx).

    Attributes
    ----------
    grid : PixelGrid
        Where its pixels are.
    height : ndarray of float32
        Above sea level [m].
    reflectance : mapping of ndarray of float32
        Diffuse reflectance under normal light by band of :data:`BANDS` [1].
    kind : ndarray of uint8
        SEA 0, SEA_ICE 1, ICEBERG 2, SHELF 3, GROUNDED 4, ROCK 5, BLUE_ICE 6, POND 7.
    fractured : ndarray of bool
        Wherever a fracture is carved, seen or not.
    damage : ndarray of bool
        As a person would label it: dense fields as areas, only what can be seen.
    age_years : ndarray of float32
        Since the grounding line, NaN where no shelf is [yr].
    """

    grid: PixelGrid
    height: NDArray[np.float32]
    reflectance: Mapping[str, NDArray[np.float32]]
    kind: NDArray[np.uint8]
    fractured: NDArray[np.bool_]
    damage: NDArray[np.bool_]
    age_years: NDArray[np.float32]


def surface(
    world: Antarctica, shelf: Shelf, *, day: dt.date, grid: PixelGrid | None = None
) -> Surface:
    """Draw a shelf and its surroundings as they are on a day.

    Parameters
    ----------
    world : Antarctica
        Where the shelf lies.
    shelf : Shelf
        Of :func:`pipelines.worlds.shelves.demo_shelves`.
    day : date
        Of the picture.
    grid : PixelGrid, optional
        A window of the shelf's grid; the whole if none is given.

    Returns
    -------
    Surface
        Each pixel depends on world, shelf, day and its own place alone, to the last bit.
    """
    if shelf.world != world:
        msg = f"found shelf {shelf.name} of another world, expected one of demo_shelves(world)"
        raise ShelfError(msg)
    wanted = shelf.grid if grid is None else _checked(shelf, grid)
    arrays = _empty(wanted.shape)
    for rows, columns in _tiles(wanted.shape):
        tile = _tile(shelf, day, wanted.x[columns], wanted.y[rows])
        for name, values in tile.items():
            arrays[name][rows, columns] = values
    return Surface(
        wanted,
        arrays["height"],
        {band: arrays[band] for band in BANDS},
        arrays["kind"],
        arrays["fractured"],
        arrays["damage"],
        arrays["age_years"],
    )


def _checked(shelf: Shelf, grid: PixelGrid) -> PixelGrid:
    """Refuse a grid that is no window of the shelf's."""
    whole = shelf.grid
    column, row = (
        (grid.west - whole.west) / whole.spacing,
        (whole.north - grid.north) / whole.spacing,
    )
    inside = (
        min(row, column) >= 0.0
        and column + grid.nx <= whole.nx
        and row + grid.ny <= whole.ny
        and row == int(row)
        and column == int(column)
    )
    if grid.spacing != whole.spacing or grid.code != whole.code or not inside:
        msg = (
            f"found a grid of {grid.spacing:g} m with bounds {grid.bounds}, expected a window of "
            f"{shelf.name}'s {whole.spacing:g} m grid with bounds {whole.bounds}; take it with "
            "shelf.grid.window(rows, columns)"
        )
        raise ShelfError(msg)
    return grid


def _empty(shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    floats = ("height", "age_years", *BANDS)
    arrays: dict[str, NDArray[Any]] = {name: np.empty(shape, dtype=np.float32) for name in floats}
    arrays["kind"] = np.empty(shape, dtype=np.uint8)
    arrays |= {name: np.empty(shape, dtype=np.bool_) for name in ("fractured", "damage")}
    return arrays


def _tiles(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], TILE):
        for left in range(0, shape[1], TILE):
            yield (
                slice(top, min(top + TILE, shape[0])),
                slice(left, min(left + TILE, shape[1])),
            )


def _tile(
    shelf: Shelf, day: dt.date, x: NDArray[np.float64], y: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Draw the pixels of a tile with a halo around it, and cut the halo off."""
    spacing = shelf.grid.spacing
    steps = np.arange(1, HALO + 1) * spacing
    wide_x = np.concatenate([x[0] - steps[::-1], x, x[-1] + steps])
    wide_y = np.concatenate([y[0] + steps[::-1], y, y[-1] - steps])
    block = block_of(shelf, day, wide_x, wide_y)
    drawn = _drawn(block)
    inner = (slice(HALO, -HALO), slice(HALO, -HALO))
    return {name: values[inner] for name, values in drawn.items()}


def block_of(shelf: Shelf, day: dt.date, x: NDArray[np.float64], y: NDArray[np.float64]) -> Block:
    """Return the block of pixels at columns x and rows y [m] on a day."""
    summer = day.year if day.month >= FIRST_MONTH else day.year - 1
    season = float((day - dt.date(summer, 11, 1)).days)
    return Block(shelf, year_of(day), summer, season, x, y)


def _drawn(block: Block) -> dict[str, NDArray[Any]]:
    """Everything at the pixels of a block, by name."""
    ahead = _metres_to_front(block)
    ice = (ahead > 0.0) | (block.age <= 0.0)
    land = ice & (block.age <= 0.0)
    shape = relief(block)
    cracks, rift = _fractures(block, land)
    cover = snow_cover(block)
    open_depth = np.maximum(cracks - cover, np.float32(0.0))
    freeboard = shape.height - np.float32(2.0)
    ponds = pond_cover(block, shape.crossing, shape.bare) * (np.float32(1.0) - rift) * ice
    open_depth *= np.float32(1.0) - ponds
    carved = np.maximum(open_depth, rift * freeboard)
    colours = mixed(
        snow(block),
        [
            (shape.bare, shelf_colours.BLUE_ICE),
            (smoothstep(0.3, 6.0, open_depth) * np.float32(0.9), shelf_colours.CRACKED_SNOW),
            (shape.rock, shelf_colours.ROCK),
            (ponds, shelf_colours.MELT_WATER),
        ],
    )
    height = shape.height - carved
    kind = np.full(block.shape, SHELF, dtype=np.uint8)
    kind[land] = GROUNDED
    kind[shape.bare > 0.5] = BLUE_ICE
    kind[shape.rock > 0.5] = ROCK
    kind[ponds > 0.5] = POND
    fractured = ((cracks > CARVED) | (rift > 0.5)) & ice
    shown = seen(np.where(ice, carved, 0.0).astype(np.float32), spacing=block.shelf.grid.spacing)
    shown |= rift > 0.5
    damage = labelled(((open_depth > CARVED) | (rift > 0.5)) & ice, shown, ice)
    _flood(block, np.maximum(rift, np.where(ice, 0.0, 1.0)), ice, ahead, height, colours, kind)
    age = np.where(ice & ~land, block.age, np.float32(np.nan)).astype(np.float32)
    return colours | {
        "height": height,
        "kind": kind,
        "fractured": fractured,
        "damage": damage,
        "age_years": age,
    }


def _metres_to_front(block: Block) -> NDArray[np.float32]:
    """Distance to the front, negative at sea, (ny, nx) [m]."""
    ahead, slope = block.shelf.front.distance(block.labels.across, block.labels.age, block.year)
    aa, at, tt = block.metric
    slope = slope.astype(np.float32)
    return np.asarray(
        ahead.astype(np.float32) / np.sqrt(tt - np.float32(2.0) * slope * at + slope * slope * aa)
    )


def _fractures(
    block: Block, land: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth of crevasses [m], and how far pixels are inside a rift [1], (ny, nx)."""
    bends = block.spread(_bends, every=4)
    depth = np.zeros(block.shape, dtype=np.float32)
    for field in block.shelf.nature.fields:
        carve_field(block, field, np.float32(38.0) * bends, depth)
    rift = rift_opening(block, np.float32(26.0) * bends)
    return depth, np.where(land, np.float32(0.0), rift).astype(np.float32)


def _bends(nodes: Block) -> NDArray[np.float32]:
    """Irregularity of cracks that moves with them, (row, column) [1]."""
    pace = pace_of(nodes)
    along = nodes.birth * (pace / 420.0)
    return fractal_noise(
        nodes.labels.across / 420.0, along, nodes.seed("bends"), octaves=3, gain=0.5
    )


def _flood(
    block: Block,
    water: NDArray[Any],
    ice: NDArray[np.bool_],
    ahead: NDArray[np.float32],
    height: NDArray[np.float32],
    colours: dict[str, NDArray[np.float32]],
    kind: NDArray[np.uint8],
) -> None:
    """Draw the sea where there is no shelf, and rubble in its rifts, in place."""
    flooded = np.flatnonzero(water > 0.02)
    if flooded.size == 0:
        return
    rows, columns = np.divmod(flooded, block.x.size)
    part = water.ravel()[flooded].astype(np.float32)
    inside = ice.ravel()[flooded]
    away = np.where(inside, np.float32(0.0), -ahead.ravel()[flooded])
    found = sea(block, block.x[columns], block.y[rows], away.astype(np.float32))
    bright = np.where(inside, np.float32(0.55) * found.bright, found.bright)
    for n, band in enumerate(BANDS):
        sheet = (
            shelf_colours.GREY_ICE[n]
            + (shelf_colours.PACK_ICE[n] - shelf_colours.GREY_ICE[n]) * bright
        )
        tone = shelf_colours.OPEN_SEA[n] + (sheet - shelf_colours.OPEN_SEA[n]) * found.ice
        tone = tone + (shelf_colours.OLD_SNOW[n] - tone) * np.where(
            inside, np.float32(0.0), found.berg
        )
        flat = colours[band].ravel()
        flat[flooded] = (flat[flooded] * (1.0 - part) + tone * part).astype(np.float32)
        colours[band] = flat.reshape(block.shape)
    at_sea = ~inside
    spots = flooded[at_sea]
    height.ravel()[spots] = found.height[at_sea]
    kinds = np.where(found.ice[at_sea] > 0.5, SEA_ICE, SEA)
    kind.ravel()[spots] = np.where(found.berg[at_sea] > 0.5, ICEBERG, kinds)
    rifted = flooded[inside & (part > 0.5)]
    kind.ravel()[rifted] = np.where(found.ice[inside & (part > 0.5)] > 0.5, SEA_ICE, SEA)
