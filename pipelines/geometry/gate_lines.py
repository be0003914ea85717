"""Gates as nodes: where thickness and velocity are read, and the true outward width of each.

Lines are cut wherever a border of a region crosses them and then into steps of equal length, so a
segment lies in one region and sums over regions are the whole. Its mid-point is the node. Widths
and lengths are those on the map over the scale factor k at the node, which neglects the change of k
along the step: 1e-9 of the length for 1 km, growing with its square.
"""

from dataclasses import dataclass
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.geometry.gate_parts import GateParts, enclosed_twice, gate_parts
from pipelines.geometry.region_borders import Borders, borders, cuts, holder, nearest
from pipelines.geometry.true_area import map_scale_at
from pipelines.kernels.budget.flux_gate import GateError

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

TILE_M = 100_000.0
"""Side of the squares that nodes are sorted by [m]."""
INWARD_M = 1e-3
"""A node belongs to the region this far inward of it [m], so that a gate drawn along a border
belongs to the region whose ice leaves through it, whatever the last digits of either line are."""


@dataclass(frozen=True)
class GateNodes:
    """Nodes of gates: mid-points of segments.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Nodes in EPSG:3031 [m].
    w_x, w_y : ndarray, shape (n,)
        True outward widths [m].
    length : ndarray, shape (n,)
        True length of the segments [m].
    gate : ndarray of int, shape (n,)
        Index into ``gate_names``.
    region : ndarray of int, shape (n,)
        Row of the table of regions; −1 outside all.
    patch : ndarray of int, shape (n,)
        Square of the map that errors are shared in, numbered from 0 without gaps.
    gate_names : tuple of str
        Ids of the gates.
    notes : tuple of str
        What was snapped to a region, what lies in none, and which closed gates hold ice in common.
    """

    x: FLOAT
    y: FLOAT
    w_x: FLOAT
    w_y: FLOAT
    length: FLOAT
    gate: INT
    region: INT
    patch: INT
    gate_names: tuple[str, ...]
    notes: tuple[str, ...]


class _Segments(NamedTuple):
    """Straight pieces of gates."""

    start: FLOAT
    end: FLOAT
    gate: INT


def gate_nodes(
    gates: gpd.GeoDataFrame,
    regions: gpd.GeoDataFrame,
    *,
    spacing_m: float,
    patch_km: float,
    snap_m: float,
) -> GateNodes:
    """Turn gates into nodes.

    Parameters
    ----------
    gates : GeoDataFrame
        Columns ``gate`` (id) and ``geometry`` (lines, rings or polygons in EPSG:3031). Closed gates
        are oriented, open ones stay as drawn: outward to the left.
    regions : GeoDataFrame
        Columns ``region`` (id) and ``geometry`` (polygons in EPSG:3031).
    spacing_m : float
        Longest segment on the map [m].
    patch_km : float
        Side of the squares of shared errors, on the map [km].
    snap_m : float
        A node outside all regions goes to the nearest within this distance on the map [m].

    Returns
    -------
    GateNodes
        Sorted by squares of 100 km, so that neighbours in memory are neighbours on the map.

    Raises
    ------
    GateError
        If a gate has one node, crosses itself or holds a vertex that is no number; if all of it
        lies farther than ``snap_m`` from every region; if regions overlap by more than a strip.
    """
    _require_positive(spacing_m=spacing_m, patch_km=patch_km)
    parts = gate_parts(gates)
    whole = _segments(parts)
    known = borders(regions, near=_bounds(whole), margin_m=snap_m)
    pieces = _stepped(_split(whole, known), spacing_m)
    x, y = ((pieces.start + pieces.end) / 2.0).T
    step = pieces.end - pieces.start
    k = map_scale_at(x, y)
    w_x, w_y, length = -step[:, 1] / k, step[:, 0] / k, np.hypot(*step.T) / k
    inward = INWARD_M / length
    held = holder(known, x - inward * w_x, y - inward * w_y)
    region, snapped = _snapped(known, x, y, held, snap_m)
    names = tuple(part.name for part in parts)
    _require_met(names, pieces.gate, region, snap_m)
    notes = (*_notes(length, region, snapped, snap_m), *enclosed_twice(parts))
    order = np.lexsort((np.floor(x / TILE_M), np.floor(y / TILE_M)))
    return GateNodes(
        x=x[order],
        y=y[order],
        w_x=w_x[order],
        w_y=w_y[order],
        length=length[order],
        gate=pieces.gate[order],
        region=region[order],
        patch=_patches(x, y, patch_km)[order],
        gate_names=names,
        notes=notes,
    )


def _require_positive(**sizes: float) -> None:
    for name, size in sizes.items():
        if not (np.isfinite(size) and size > 0.0):
            msg = f"found {name} {size}, expected a positive number"
            raise GateError(msg)


def _segments(parts: tuple[GateParts, ...]) -> _Segments:
    """Return the edges of all gates as drawn."""
    lines = [line for part in parts for line in part.lines]
    gate_of = np.repeat(np.arange(len(parts)), [len(part.lines) for part in parts])
    points, line_of = shapely.get_coordinates(lines, return_index=True)
    joined = np.flatnonzero(line_of[1:] == line_of[:-1])
    return _Segments(points[joined], points[joined + 1], gate_of[line_of[joined]])


def _bounds(segments: _Segments) -> FLOAT:
    points = np.concatenate([segments.start, segments.end])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _split(whole: _Segments, known: Borders) -> _Segments:
    """Cut segments at the borders of regions; neighbours share the cut to the last digit."""
    segment, part = cuts(known, whole.start, whole.end)
    owner = np.concatenate([np.arange(len(whole.gate)), segment])
    at = whole.start[segment] + part[:, None] * (whole.end[segment] - whole.start[segment])
    order = np.lexsort((np.concatenate([np.zeros(len(whole.gate)), part]), owner))
    start, owner = np.concatenate([whole.start, at])[order], owner[order]
    end = np.roll(start, -1, axis=0)
    last = np.r_[owner[1:] != owner[:-1], True]
    end[last] = whole.end
    return _Segments(start, end, whole.gate[owner])


def _stepped(pieces: _Segments, spacing_m: float) -> _Segments:
    """Cut segments into equal steps no longer than the spacing."""
    length = np.hypot(*(pieces.end - pieces.start).T)
    count = np.maximum(1, np.ceil(length / spacing_m * (1.0 - 1e-12))).astype(np.int64)
    owner = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    a, b, n = pieces.start[owner], pieces.end[owner], count[owner][:, None]
    start, end = (a + (b - a) * (part[:, None] / n) for part in (step, step + 1))
    last = step + 1 == count[owner]
    return _Segments(start, np.where(last[:, None], b, end), pieces.gate[owner])


def _snapped(
    known: Borders, x: FLOAT, y: FLOAT, held: INT, snap_m: float
) -> tuple[INT, NDArray[np.bool_]]:
    """Give nodes outside all regions to the nearest; return regions, and which were given."""
    outside = np.flatnonzero(held < 0)
    region, snapped = held.copy(), np.zeros(len(x), dtype=bool)
    # A gate drawn along the outer border of the regions may run beside it by its own rounding.
    reach = max(snap_m, 2.0 * INWARD_M)
    region[outside], distance = nearest(known, x[outside], y[outside], within_m=reach)
    snapped[outside] = np.isfinite(distance) & (distance > 2.0 * INWARD_M)
    return region, snapped


def _require_met(names: tuple[str, ...], gate: INT, region: INT, snap_m: float) -> None:
    met = np.bincount(gate[region >= 0], minlength=len(names)) > 0
    if not met.all():
        missed = [name for name, hit in zip(names, met, strict=True) if not hit]
        msg = (
            f"{len(missed)} of {len(names)} gates lie farther than {snap_m:.0f} m from every "
            f"region, the first {missed[0]}; leave them out, or check coordinates and regions"
        )
        raise GateError(msg)


def _notes(
    length: FLOAT, region: INT, snapped: NDArray[np.bool_], snap_m: float
) -> tuple[str, ...]:
    """Say how much of the gates lies in no region, and how much was snapped to one."""
    nowhere, total = length[region < 0].sum(), length.sum()
    moved = length[snapped].sum()
    notes = []
    if nowhere > 0.0:
        notes.append(
            f"{100.0 * nowhere / total:.2f} % of the gates' length ({nowhere / 1e3:.1f} km) lies "
            f"in no region, nor within {snap_m:.0f} m of one: its flux is in no sum"
        )
    if moved > 0.0:
        notes.append(
            f"{100.0 * moved / total:.2f} % of the gates' length ({moved / 1e3:.1f} km) lies "
            f"outside all regions and went to the nearest within {snap_m:.0f} m"
        )
    return tuple(notes)


def _patches(x: FLOAT, y: FLOAT, patch_km: float) -> INT:
    """Return the numbers of the squares of the map that hold nodes."""
    column, row = np.floor(x / (1e3 * patch_km)), np.floor(y / (1e3 * patch_km))
    number = (row - row.min()) * (column.max() - column.min() + 1.0) + column - column.min()
    return np.asarray(np.unique(number, return_inverse=True)[1], dtype=np.int64)
