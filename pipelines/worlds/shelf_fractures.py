"""Cracks of a shelf: fields of crevasses on lattices of labels, and rifts along lines of birth.

Every crack has a place in the labels (a, t − τ), so the ice carries, turns and stretches it as it
flows. How wide and deep a crack is depends on the years since it opened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.lattice_noise import smoothstep, uniform, value_noise
from pipelines.worlds.shelf_block import Block
from pipelines.worlds.shelf_natures import CrevasseField
from pipelines.worlds.shelves import Shelf

FLOAT = NDArray[np.float32]
DOUBLE = NDArray[np.float64]

CARVED = 0.6
"""A pixel is fractured where more than this is carved out [m]."""
_LONGEST = 0.72
"""Half length of the longest crack of a field in cells; two cells around a pixel reach 1 [1]."""
_WIDEST = 0.40
"""Half width of the widest crack of a field in cells [1]."""
_DELAY = 0.22
"""Cracks of a field open within this part of their life [1]."""
_RIM = 18.0
"""Half width of the edge of a rift [m]."""


@dataclass(frozen=True)
class Cells:
    """How labels become cells of a field: p along its cracks and q across, in cells.

    p and q grow by ``p_a`` and ``q_a`` per metre of a, and by ``p_t`` and ``q_t`` per year of τ.
    """

    p_a: float
    p_t: float
    q_a: float
    q_t: float
    origin: float

    def place(self, across: DOUBLE, birth: DOUBLE) -> tuple[DOUBLE, DOUBLE]:
        """Cells p and q of labels, each (...)."""
        a = across - self.origin
        return self.p_a * a - self.p_t * birth, self.q_a * a - self.q_t * birth

    def labels(self, p: DOUBLE, q: DOUBLE) -> tuple[DOUBLE, DOUBLE]:
        """Labels a and birth of cells, each (...); inverts :meth:`place`."""
        size = self.p_a * self.q_t - self.p_t * self.q_a
        a = (self.q_t * p - self.p_t * q) / size
        return a + self.origin, (self.q_a * p - self.p_a * q) / size

    def reach(self) -> tuple[float, float]:
        """How far apart a crack and a pixel on it can be in a and in birth [m, yr]."""
        a, birth = self.labels(np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
        return float(np.abs(np.diff(a)).sum() * 2.0), float(np.abs(np.diff(birth)).sum() * 2.0)


@lru_cache(maxsize=256)
def cells_of(shelf: Shelf, field: CrevasseField) -> Cells:
    """Lay the cells of a field so that its cracks open in their direction and of their size.

    At the place where the middle of the field cracks, with v the speed, σ the slope of τ across the
    flow and g that of a, labels are metres along (X) and across (Y) the flow by

        X = −v (t − τ) − v σ Y        Y = a / g.
    """
    lines, flow = shelf.usual_flow.lines, shelf.usual_flow
    line = int(np.argmin(np.abs(lines.across - field.across)))
    age = max(field.birth, 0.0)
    x, y = (np.interp([age], lines.age[line], place[line]) for place in (lines.x, lines.y))
    at = flow.labels(x, y)
    a_x, a_y, t_x, t_y = (float(d[0, 0]) for d in (at.across_x, at.across_y, at.age_x, at.age_y))
    g = math.hypot(a_x, a_y)
    along = (a_y * t_x - a_x * t_y) / g
    # Downstream is the side on which τ grows.
    speed, slant = 1.0 / abs(along), (a_x * t_x + a_y * t_y) / g
    cos, sin = math.cos(math.radians(field.strike)), math.sin(math.radians(field.strike))
    length, spacing = field.length / (2.0 * _LONGEST), field.spacing
    y_a, x_a = 1.0 / g, -speed * slant / g
    return Cells(
        p_a=(cos * y_a + sin * x_a) / length,
        p_t=sin * speed / length,
        q_a=(-sin * y_a + cos * x_a) / spacing,
        q_t=cos * speed / spacing,
        origin=field.across,
    )


def carve_field(block: Block, field: CrevasseField, warp: FLOAT, depth: FLOAT) -> None:
    """Carve a field of crevasses into `depth`, (ny, nx) [m], in place.

    Parameters
    ----------
    block : Block
        Pixels.
    field : CrevasseField
        What to carve.
    warp : ndarray, shape (ny, nx)
        Bends of all cracks [m].
    depth : ndarray, shape (ny, nx)
        Depth of all cracks so far [m].
    """
    cells = cells_of(block.shelf, field)
    wide, slack = cells.reach()
    near = np.abs(block.across - np.float32(field.across)) < 1.6 * field.half_width + wide
    near &= block.age > field.birth - slack
    near &= block.age < field.birth + (1.0 + _DELAY) * field.life + slack
    pixels = np.flatnonzero(near)
    if pixels.size == 0:
        return
    p, q = cells.place(block.labels.across.ravel()[pixels], block.birth.ravel()[pixels])
    q = q + (warp.ravel()[pixels] / np.float32(field.spacing))
    aa, at, tt = (m.ravel()[pixels] for m in block.metric)
    metric = (
        _form(cells.p_a, cells.p_t, cells.p_a, cells.p_t, aa, at, tt),
        _form(cells.p_a, cells.p_t, cells.q_a, cells.q_t, aa, at, tt),
        _form(cells.q_a, cells.q_t, cells.q_a, cells.q_t, aa, at, tt),
    )
    found = _deepest(block, field, cells, p, q, metric)
    flat = depth.ravel()
    flat[pixels] = np.maximum(flat[pixels], found)
    depth[...] = flat.reshape(depth.shape)


def _form(f_a: float, f_t: float, g_a: float, g_t: float, aa: FLOAT, at: FLOAT, tt: FLOAT) -> FLOAT:
    """Return ∇f·∇g of two linear functions of the labels, shape (...) [m⁻²]."""
    a, b, c = np.float32(f_a * g_a), np.float32(f_a * g_t + f_t * g_a), np.float32(f_t * g_t)
    return np.asarray(a * aa + b * at + c * tt)


@dataclass(frozen=True)
class _Cracks:
    """One crack of each cell of a table, every array flat; `width` of columns."""

    i0: int
    j0: int
    columns: int
    offset_p: FLOAT
    offset_q: FLOAT
    half_length: FLOAT
    tilt: FLOAT
    curve: FLOAT
    half_width: FLOAT
    depth: FLOAT


def _cracks(
    block: Block, field: CrevasseField, cells: Cells, i: NDArray[np.int64], j: NDArray[np.int64]
) -> _Cracks:
    """Draw the cracks of all cells from the least to the greatest index and one more."""
    i0, j0 = int(i.min()), int(j.min())
    rows = np.arange(i0, int(i.max()) + 2)[:, None]
    columns = np.arange(j0, int(j.max()) + 2)
    seed = block.seed("field", field.name)
    draws = [uniform(rows, columns, seed + k) for k in range(8)]
    shift_p, shift_q = 0.5 * (draws[0] - 0.5), 0.55 * (draws[1] - 0.5)
    across, birth = cells.labels(rows + 0.5 + shift_p, columns + 0.5 + shift_q)
    delay = field.birth + _DELAY * field.life * draws[2]
    open_for = block.year - birth - delay
    spent = np.clip(open_for / field.life, 0.0, 1.5)
    chance = _density(block, field, across, birth) + field.trend * (birth + delay)
    there = (draws[3] < chance) & (open_for > 0.0) & (spent < 1.0)
    grown = smoothstep(0.0, 0.12, spent.astype(np.float32))
    fading = np.float32(1.0) - smoothstep(0.6, 1.0, spent.astype(np.float32))
    width = 0.5 * (field.width * (0.75 + 0.6 * draws[4]) + field.opening * open_for)
    return _Cracks(
        i0,
        j0,
        columns.size,
        (0.5 + shift_p).astype(np.float32).ravel(),
        (0.5 + shift_q).astype(np.float32).ravel(),
        (_LONGEST * (0.45 + 0.55 * draws[5]) * (0.4 + 0.6 * grown)).astype(np.float32).ravel(),
        (0.35 * (draws[6] - 0.5)).astype(np.float32).ravel(),
        (0.4 * (draws[7] - 0.5)).astype(np.float32).ravel(),
        np.where(there, width * (0.5 + 0.5 * grown), 0.0).astype(np.float32).ravel(),
        (field.depth * (0.6 + 0.7 * draws[4]) * fading * there).astype(np.float32).ravel(),
    )


def _density(block: Block, field: CrevasseField, across: DOUBLE, birth: DOUBLE) -> DOUBLE:
    """Part of the cells of a field that crack, by the labels of the cell, shape (...) [1]."""
    seed = block.seed("density", field.name)
    ragged = value_noise(across / 2600.0, birth / (0.3 * field.life), seed)
    off = np.abs(across - field.across) / field.half_width + 0.22 * ragged
    inside = 1.0 - smoothstep(0.75, 1.1, off.astype(np.float32))
    if field.patch > 0.0:
        years = field.life * 0.45
        patches = value_noise(across / field.patch, birth / years, seed + 1)
        inside = inside * smoothstep(-0.75, 0.15, patches)
    return np.asarray(field.density * inside, dtype=np.float64)


def _deepest(
    block: Block,
    field: CrevasseField,
    cells: Cells,
    p: DOUBLE,
    q: DOUBLE,
    metric: tuple[FLOAT, FLOAT, FLOAT],
) -> FLOAT:
    """Depth of the deepest of the four cracks around each pixel, (pixel,) [m]."""
    row, column = np.floor(p - 0.5), np.floor(q - 0.5)
    i, j = row.astype(np.int64), column.astype(np.int64)
    u, v = (p - row).astype(np.float32), (q - column).astype(np.float32)
    table = _cracks(block, field, cells, i, j)
    base = (i - table.i0) * table.columns + (j - table.j0)
    deepest = np.zeros(p.size, dtype=np.float32)
    open_cell = table.depth > 0.0
    for m in (0, 1):
        for n in (0, 1):
            cell = base + (m * table.columns + n)
            cracked = np.flatnonzero(open_cell[cell])
            du, dv = u[cracked] - np.float32(m), v[cracked] - np.float32(n)
            near = (metric[0][cracked], metric[1][cracked], metric[2][cracked])
            found = _profile(table, cell[cracked], du, dv, near)
            deepest[cracked] = np.maximum(deepest[cracked], found)
    return deepest


def _profile(
    table: _Cracks, cell: NDArray[np.int64], u: FLOAT, v: FLOAT, metric: tuple[FLOAT, FLOAT, FLOAT]
) -> FLOAT:
    """Depth of one crack at each pixel: a lens seen from above, a rounded V in section.

    The crack is the curve f = q − k p − c p² = 0; a pixel is |f| / |∇f| away from it.
    """
    pp, pq, qq = metric
    du = u - table.offset_p[cell]
    curve, tilt = table.curve[cell], table.tilt[cell]
    f = v - table.offset_q[cell] - (tilt + curve * du) * du
    slope = tilt + np.float32(2.0) * curve * du
    per_metre = np.sqrt(qq - np.float32(2.0) * slope * pq + slope * slope * pp)
    along = np.float32(1.0) - (du / table.half_length[cell]) ** 2
    lens = np.sqrt(np.maximum(along, np.float32(0.0)))
    reach = np.minimum(table.half_width[cell] * lens * per_metre, np.float32(_WIDEST))
    off = np.abs(f) / np.maximum(reach, np.float32(1e-6))
    section = np.maximum(np.float32(1.0) - off * off, np.float32(0.0))
    return np.asarray(table.depth[cell] * lens * section)


def rift_opening(block: Block, warp: FLOAT) -> FLOAT:
    """How far each pixel lies inside an open rift.

    Parameters
    ----------
    block : Block
        Pixels.
    warp : ndarray, shape (ny, nx)
        Roughness of the walls [m].

    Returns
    -------
    ndarray, shape (ny, nx)
        0 outside, 1 where rubble and water fill it [1].
    """
    opening = np.zeros(block.shape, dtype=np.float32)
    for born, half_width in rift_lines(block.shelf, block.year):
        if half_width.any():
            np.maximum(opening, _inside(block, born, half_width, warp), out=opening)
    return opening


@lru_cache(maxsize=64)
def rift_lines(shelf: Shelf, year: float) -> list[tuple[DOUBLE, DOUBLE]]:
    """Date of birth of the ice along each open rift and half its width, (line,) [yr, m]."""
    front, across = shelf.front, shelf.flow.lines.across
    found = []
    for k, rift in enumerate(shelf.nature.rifts):
        if year <= rift.year:
            continue
        off = np.abs(across - rift.across)
        open_for = np.maximum(year - rift.year - off / rift.pace, 0.0)
        taper = np.sqrt(np.maximum(1.0 - (off / rift.reach) ** 2, 0.0))
        width = np.minimum(rift.opening * open_for, rift.widest) * taper
        found.append((front.rift_births(rift, k), 0.5 * width * front.jaggedness(k)))
    for k, calving in enumerate(shelf.nature.calvings):
        begin = calving.year - calving.lead
        if begin < year < calving.year:
            side = 1.0 if k % 2 else -1.0
            span = across[-1] - across[0]
            off = side * across - (side * across).min()
            open_for = np.maximum(year - begin - off / span * calving.lead * 0.97, 0.0)
            width = np.minimum(55.0 * open_for, 330.0)
            found.append((front.births[k], 0.5 * width * front.jaggedness(50 + k)))
    return found


def _inside(block: Block, born: DOUBLE, half_width: DOUBLE, warp: FLOAT) -> FLOAT:
    front, across = block.shelf.front, block.labels.across
    slope = front.on(across, np.gradient(born, block.shelf.flow.lines.across)).astype(np.float32)
    off = (block.birth - front.on(across, born)).astype(np.float32)
    aa, at, tt = block.metric
    per_metre = np.sqrt(tt + np.float32(2.0) * slope * at + slope * slope * aa)
    half = front.on(across, half_width).astype(np.float32)
    distance = np.abs(off) / per_metre + warp
    within = smoothstep(-_RIM, _RIM, half - distance)
    return np.asarray(np.where(half > np.float32(8.0), within, np.float32(0.0)))
