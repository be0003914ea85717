"""What floats in front of a shelf: pack ice with leads, mélange, icebergs that drift."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import (
    fractal_noise,
    seed_of,
    smoothstep,
    uniform,
    value_noise,
)
from pipelines.worlds.shelf_block import Block

FLOAT = NDArray[np.float32]
DOUBLE = NDArray[np.float64]

FLOE_SIZES = (1400.0, 420.0)
"""Cells of large and of small floes [m]."""
BERG_CELLS = ((800.0, 0.10, 0.15), (3100.0, 0.04, 0.80))
"""Cell of icebergs [m], part of cells that hold one, and what a calving adds to that part [1]."""
DRIFT = 900.0
"""Daily way of the pack [m d⁻¹]; icebergs make a twelfth of it."""
_BERG_MEMORY = 2.5


@dataclass(frozen=True)
class Sea:
    """The sea at some pixels, every array of shape (pixel,).

    Attributes
    ----------
    height : ndarray
        Above sea level [m].
    ice : ndarray
        Part covered with sea ice or rubble [1].
    bright : ndarray
        How thick and snowy that ice is: 0 thin and grey, 1 white [1].
    berg : ndarray
        Part covered by icebergs [1].
    """

    height: FLOAT
    ice: FLOAT
    bright: FLOAT
    berg: FLOAT


def sea(block: Block, x: DOUBLE, y: DOUBLE, ahead: FLOAT) -> Sea:
    """Draw the sea at pixels.

    Parameters
    ----------
    block : Block
        Day and shelf.
    x, y : ndarray, shape (pixel,)
        Places [m].
    ahead : ndarray, shape (pixel,)
        Distance from the front [m].

    Returns
    -------
    Sea
        At the pixels.
    """
    days = block.year * 365.25
    wind = 6.2831853 * float(uniform(np.array([block.summer]), 0, block.seed("wind"))[0])
    way = DRIFT * days
    u, v = x - way * math.cos(wind), y - way * math.sin(wind)
    shift = (way * math.cos(wind), way * math.sin(wind))
    large, large_gap, large_tone = _floes(block, u, v, shift, FLOE_SIZES[0])
    small, small_gap, small_tone = _floes(block, u, v, shift, FLOE_SIZES[1])
    rubble = smoothstep(2500.0, 0.0, ahead) * np.float32(0.35 * block.shelf.nature.pack)
    on_large = (large > 0.1) & (large_gap > 28.0)
    on_small = (small + rubble > 0.15) & (small_gap > 16.0)
    edge = np.where(on_large, smoothstep(28.0, 62.0, large_gap), smoothstep(16.0, 45.0, small_gap))
    ice = np.where(on_large | on_small, edge, np.float32(0.0))
    cover = concentration(block, x, y)
    thin = cover * np.float32(0.55) * smoothstep(0.55, 0.95, cover)
    bright = np.where(on_large, 0.55 + 0.45 * large_tone, 0.25 + 0.6 * small_tone)
    bright = bright * ice + np.float32(0.08) * (np.float32(1.0) - ice)
    ice = np.maximum(ice, thin)
    height = np.where(on_large | on_small, np.float32(0.6) * ice, np.float32(0.1) * ice)
    berg, top = _bergs(block, x, y)
    floating = np.where(berg > 0.5, top, height)
    return Sea(floating.astype(np.float32), ice.astype(np.float32), bright.astype(np.float32), berg)


def concentration(block: Block, x: DOUBLE, y: DOUBLE) -> FLOAT:
    """Part of the sea that pack ice covers: falls from November to February, shape (...) [1]."""
    nature = block.shelf.nature
    icy = float(uniform(np.array([block.summer]), 1, block.seed("icy"))[0])
    melt = 1.0 / (1.0 + math.exp(-(block.season - 45.0 - 40.0 * (icy - 0.3)) / 12.0))
    mean = 0.97 - (1.05 - 0.75 * nature.pack * icy) * melt
    drift = value_noise(y / 7000.0, x / 7000.0 + block.season / 15.0, block.seed("pack"))
    return np.asarray(np.clip(np.float32(mean) + np.float32(0.22) * drift, 0.0, 1.0))


def _floes(
    block: Block, u: DOUBLE, v: DOUBLE, shift: tuple[float, float], size: float
) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Whether the nearest floe is there, distance from its border [m], its tone, each (pixel,).

    Cells of Worley (1996): the border lies where two centres are equally near. A floe is there if
    the first number, how much the pack exceeds its draw, is above 0.
    """
    seed = block.seed("floes", block.summer, int(size))
    p, q = v / size, u / size
    row, column = np.floor(p).astype(np.int64), np.floor(q).astype(np.int64)
    if row.size == 0:
        empty = np.zeros(0, dtype=np.float32)
        return empty, empty, empty
    i0, j0 = int(row.min()) - 1, int(column.min()) - 1
    rows = np.arange(i0, int(row.max()) + 2)[:, None]
    columns = np.arange(j0, int(column.max()) + 2)
    draw = [uniform(rows, columns, seed + k).ravel() for k in range(4)]
    base = (row - i0) * columns.size + (column - j0)
    fp, fq = (p - row).astype(np.float32), (q - column).astype(np.float32)
    first = np.full(p.size, 9.0, dtype=np.float32)
    second, owner = first.copy(), base
    for m in (-1, 0, 1):
        for n in (-1, 0, 1):
            cell = base + (m * columns.size + n)
            dp = fp - np.float32(m) - draw[0][cell]
            dq = fq - np.float32(n) - draw[1][cell]
            far = dp * dp + dq * dq
            nearer = far < first
            second = np.minimum(second, np.maximum(far, first))
            owner = np.where(nearer, cell, owner)
            first = np.minimum(first, far)
    gap = (np.sqrt(second) - np.sqrt(first)) * np.float32(0.5 * size)
    centres = (columns * size + shift[0], rows * size + shift[1])
    there = concentration(block, *(np.asarray(c, dtype=np.float64) for c in centres)).ravel()
    return (there - draw[2])[owner], gap, draw[3][owner]


def _bergs(block: Block, x: DOUBLE, y: DOUBLE) -> tuple[FLOAT, FLOAT]:
    """Part of each pixel that is iceberg, and the height of its top [m], each (pixel,)."""
    cover, top = np.zeros(x.size, dtype=np.float32), np.zeros(x.size, dtype=np.float32)
    if x.size == 0:
        return cover, top
    way = DRIFT / 12.0 * block.season
    heading = 6.2831853 * float(uniform(np.array([block.summer]), 2, block.seed("wind"))[0])
    u, v = x - way * math.cos(heading), y - way * math.sin(heading)
    recent = _since_calving(block)
    for size, part, added in BERG_CELLS:
        chance = part + added * recent
        found, height = _blocks_of_ice(u, v, size, chance, block.seed("bergs", block.summer))
        higher = found > cover
        cover, top = np.where(higher, found, cover), np.where(higher, height, top)
    return cover, top


def _since_calving(block: Block) -> float:
    """How much of the last great calving still drifts here, 1 on its day to 0 [1]."""
    past = [c.year for c in block.shelf.nature.calvings if c.year <= block.year and c.lead > 0.0]
    return math.exp(-(((block.year - max(past)) / _BERG_MEMORY) ** 2)) if past else 0.0


def _blocks_of_ice(
    u: DOUBLE, v: DOUBLE, size: float, chance: float, seed: int
) -> tuple[FLOAT, FLOAT]:
    """Tabular blocks, at most one a cell: cover and height, each (pixel,) [1, m]."""
    seed = seed_of(seed, int(size))
    p = v / size
    row = np.floor(p).astype(np.int64)
    # Rows are shifted against each other, or bergs would stand in columns.
    q = u / size + uniform(row, 0, seed + 8)
    column = np.floor(q).astype(np.int64)
    i0, j0 = int(row.min()), int(column.min())
    rows = np.arange(i0, int(row.max()) + 1)[:, None]
    columns = np.arange(j0, int(column.max()) + 1)
    draw = [uniform(rows, columns, seed + k).ravel() for k in range(7)]
    cell = (row - i0) * columns.size + (column - j0)
    dp = ((p - row).astype(np.float32) - np.float32(0.5) - 0.36 * (draw[0][cell] - 0.5)) * size
    dq = ((q - column).astype(np.float32) - np.float32(0.5) - 0.36 * (draw[1][cell] - 0.5)) * size
    angle = np.float32(3.1415927) * draw[2][cell]
    cos, sin = np.cos(angle), np.sin(angle)
    long, wide = cos * dp + sin * dq, -sin * dp + cos * dq
    ragged = value_noise(v / (0.16 * size), u / (0.16 * size), seed + 9) * np.float32(0.035 * size)
    half = np.float32(0.29 * size) * (np.float32(0.45) + np.float32(0.55) * draw[3][cell])
    slim = half * (np.float32(0.35) + np.float32(0.5) * draw[4][cell])
    # A square with bevelled corners: most tabular bergs are bounded by straight rifts.
    edge = np.maximum(
        np.maximum(np.abs(long) - half, np.abs(wide) - slim),
        (np.abs(long) + np.abs(wide) - np.float32(0.8) * (half + slim)) * np.float32(0.7),
    )
    cover = smoothstep(18.0, -18.0, edge + ragged) * (draw[5][cell] < chance)
    texture = fractal_noise(v / 900.0, u / 900.0, seed + 10, octaves=3, gain=0.5)
    top = np.float32(16.0) + np.float32(22.0) * draw[6][cell] + np.float32(1.2) * texture
    return np.asarray(cover, dtype=np.float32), np.asarray(top, dtype=np.float32)
