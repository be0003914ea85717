"""A summer's maps on coarse cells, read block by block: what figures and review sheets draw."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import shelf_damage_arrays
from pipelines.flows.pixel_blocks import blocks
from pipelines.flows.shelf_damage_geotiff import TILE
from pipelines.kernels.damage import release_names

if TYPE_CHECKING:
    import zarr

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

MOST = 320
"""Most cells a side of an overview."""


@dataclass(frozen=True, eq=False)
class Overview:
    """One summer on coarse cells.

    Attributes
    ----------
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells [m]; y decreases.
    factor : int
        Pixels along the side of a cell.
    damage : ndarray, shape (yc, xc)
        Share of damage in what is known of the extent [1]; NaN where nothing is.
    extent : ndarray of bool, shape (yc, xc)
        Whether half of a cell or more is ice shelf.
    region : ndarray, shape (yc, xc)
        Share of damage wherever it is [1].
    supplier : ndarray of uint8, shape (yc, xc)
        Number of the scene in the middle of a cell; 0 for none.
    covered : float
        Part of the extent where something is known [1]; NaN of no extent.
    fraction : float
        Part of that which is damage [1], by pixels; the tables have it by area.
    supplied : ndarray, shape (256,)
        Part of what is supplied that each scene number gives [1].
    """

    x: FLOAT
    y: FLOAT
    factor: int
    damage: FLOAT
    extent: BOOL
    region: FLOAT
    supplier: NDArray[np.uint8]
    covered: float
    fraction: float
    supplied: FLOAT


def overview(made: zarr.Group, *, most: int = MOST) -> Overview:
    """Read a summer on cells of a power of two of pixels; memory does not grow with the map.

    Parameters
    ----------
    made : zarr.Group
        ``SHELF/SUMMER`` of the product.
    most : int
        Most cells a side.
    """
    ny, nx = (int(n) for n in stored.array(made, "damage").shape)
    factor = factor_of(max(ny, nx), most)
    shape = (-(-ny // factor), -(-nx // factor))
    sums = np.zeros((4, *shape))
    supplier, counts = np.zeros(shape, np.uint8), np.zeros(256)
    for rows, columns in blocks((ny, nx), TILE):
        at = (rows, columns)
        to = tuple(slice(s.start // factor, -(-s.stop // factor)) for s in at)
        codes, source = stored.values(made, "damage", at), stored.values(made, "supplier", at)
        layers = (
            codes == release_names.DAMAGE, codes != shelf_damage_arrays.UNKNOWN,
            stored.values(made, "extent", at) > 0,
            stored.values(made, "region_damage", at) > 0,
        )  # fmt: skip
        sums[:, to[0], to[1]] = [_summed(layer, factor) for layer in layers]
        supplier[to] = _middle(source, factor)
        counts += np.bincount(source.ravel(), minlength=256)
    counts[0] = 0.0
    return _told(made, factor, sums, supplier, counts)


def _told(
    made: zarr.Group, factor: int, sums: FLOAT, supplier: NDArray[np.uint8], counts: FLOAT
) -> Overview:
    damage, told, extent, region = sums
    pixels = _pixels(tuple(int(n) for n in stored.array(made, "damage").shape), factor)
    share = np.full(damage.shape, np.nan)
    np.divide(damage, told, out=share, where=told > 0)
    x, y = axes(made, factor, damage.shape)
    whole, known = float(extent.sum()), float(told.sum())
    return Overview(
        x, y, factor, share, 2 * extent >= pixels, region / pixels, supplier,
        known / whole if whole else math.nan, float(damage.sum()) / known if known else math.nan,
        counts / max(1.0, counts.sum()),
    )  # fmt: skip


def scene_overview(made: zarr.Group, place: int, factor: int) -> FLOAT:
    """Return a scene's mean probability of damage on coarse cells [1]; NaN where it shows nothing.

    Parameters
    ----------
    made : zarr.Group
        ``SHELF/SUMMER`` of the product.
    place : int
        Index along ``scene``.
    factor : int
        Pixels along the side of a cell.
    """
    ny, nx = (int(n) for n in stored.array(made, "scene_probability").shape[1:])
    mean = np.full((-(-ny // factor), -(-nx // factor)), np.nan)
    for rows, columns in blocks((ny, nx), TILE):
        held = stored.values(made, "scene_probability", (place, rows, columns))
        known = held != shelf_damage_arrays.UNKNOWN
        total, count = (
            _summed(layer, factor) for layer in (np.where(known, held, np.uint8(0)), known)
        )
        part = mean[rows.start // factor : -(-rows.stop // factor),
                    columns.start // factor : -(-columns.stop // factor)]  # fmt: skip
        np.divide(total, count, out=part, where=count > 0)
    return mean * shelf_damage_arrays.PROBABILITY_STEP


def factor_of(side: int, most: int) -> int:
    """Return the least power of two that divides a side into no more cells than asked for.

    Examples
    --------
    >>> factor_of(320, 320), factor_of(321, 320), factor_of(10_000, 320)
    (1, 2, 32)
    """
    factor = 1
    while -(-side // factor) > most:
        factor *= 2
    return factor


def axes(made: zarr.Group, factor: int, shape: tuple[int, ...]) -> tuple[FLOAT, FLOAT]:
    """Return the centres of coarse cells [m]."""
    told: Any = made.attrs["spatial:transform"]
    step, _, west, _, fall, north = (float(number) for number in told[:6])
    columns, rows = (np.arange(n, dtype=np.float64) + 0.5 for n in (shape[1], shape[0]))
    return west + step * factor * columns, north + fall * factor * rows


def days_of(scenes: list[dict[str, Any]]) -> list[dt.date]:
    """Return when scenes were taken."""
    return [dt.datetime.fromtimestamp(float(s["time"]), dt.UTC).date() for s in scenes]


def _summed(layer: NDArray[Any], factor: int) -> NDArray[np.uint32]:
    """Return sums of bytes over squares of pixels; those at the far edges may be smaller."""
    short = [-n % factor for n in layer.shape]
    whole = np.pad(layer, [(0, n) for n in short]) if any(short) else layer
    rows, columns = (n // factor for n in whole.shape)
    # down the columns first: whole rows are added, which is fast
    down = whole.view(np.uint8).reshape(rows, factor, -1).sum(axis=1, dtype=np.uint32)
    return np.asarray(down.reshape(rows, columns, factor).sum(axis=2, dtype=np.uint32))


def _pixels(shape: tuple[int, ...], factor: int) -> FLOAT:
    """Return how many pixels each square has."""
    sizes = [np.diff([*range(0, n, factor), n]) for n in shape]
    return np.outer(sizes[0], sizes[1]).astype(np.float64)


def _middle(layer: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the pixel in the middle of each square."""
    at = [np.minimum(np.arange(0, n, factor) + factor // 2, n - 1) for n in layer.shape]
    return np.asarray(layer[np.ix_(at[0], at[1])])
