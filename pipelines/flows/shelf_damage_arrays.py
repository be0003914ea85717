"""Arrays of yearly damage maps: what each scene says, what a summer's map is, sums of blocks.

``SHELF/SUMMER`` holds scenes (probability, what is known of each pixel) and the map merged from
them. All lie on the grid of the scenes; *cells* are squares of :data:`CELL` pixels, on which the
shape of a whole shelf fits into memory.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows.product_arrays import Array
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.shelf_damage_records import DamageSummer

CELL = 8
"""Pixels along the side of a cell: chunks are whole cells."""
PROBABILITY_STEP = 1.0 / 250.0
"""Probability, or share, of one count [1]."""
UNKNOWN = 255
"""Count of what is not known."""

ICE, WATER, RESTORED, CLEAR = 1, 2, 4, 8
"""Bits of ``scene_flags``: bright as ice; blue as melt water; filled from its surroundings; neither
cloud nor shadow."""
FLAGS = {"ice": ICE, "melt_water": WATER, "restored": RESTORED, "clear": CLEAR}

SUMS = (
    "damage", "expected", "unsure", "known", "clear", "extent", "restored", "restored_damage",
    "water", "region",
)  # fmt: skip
"""What a block adds to the areas of a part [m²]: mapped damage, Σ a p and Σ a p (1 − p) of
probabilities p and pixels' areas a, extent where something is known, where it is seen neither
through cloud nor shadow, extent, restored extent and mapped damage on it, extent under melt water,
the whole region."""
KINDS = ("segmentation", "restoration")
"""Errors of pixels, correlated over lengths of their own."""
EDGES = ("west", "east", "north", "south")
INNER = ("variance", "north_west", "north_east", "south_west", "south_east")
SCENE_SUMS = ("gap_pixels", "gap_fraction_sum")
EXTENT_QUANTITIES = ("source", "unknown", "detached", "beyond", "gained", "lost", "decision")
SOURCES = ("none", "front product", "imagery", "last year", "outline", "all that is seen")
"""Where an extent is from, by number; ``none`` where none could be found."""
WHOLE = "shelf"
"""The part that is the whole shelf."""


def arrays(
    summer: DamageSummer, *, chunk: int, side: int, parts: tuple[str, ...]
) -> tuple[Array, ...]:
    """Return the arrays of a summer."""
    ny, nx = summer.grid.shape
    blocks = (-(-ny // side), -(-nx // side))
    return (
        *_scene_arrays(len(summer.scenes), ny, nx, chunk, blocks, side),
        *_map_arrays(ny, nx, chunk),
        *_cell_arrays(ny, nx),
        *_sum_arrays(len(parts), blocks, side),
    )


def _scene_arrays(
    count: int, ny: int, nx: int, chunk: int, blocks: tuple[int, int], side: int
) -> tuple[Array, ...]:
    plane, tile = (count, ny, nx), (1, chunk, chunk)
    dims = ("scene", "y", "x")
    cells = (count, -(-ny // CELL), -(-nx // CELL))
    return (
        Array("scene_probability", dims, plane, tile, "1", "probability of damage in a scene",
              "uint8", UNKNOWN, level=1),
        Array("scene_spread", dims, plane, tile, "1",
              "standard deviation of the probability from what filled a gap", "uint8", level=1),
        Array("scene_flags", dims, plane, tile, "1", "what a scene shows of a pixel", "uint8",
              level=1),
        Array("scene_cloud", dims, plane, tile, "1",
              "distance from cloud or shadow in pixels; 255 too far to matter", "uint8", level=1),
        Array("scene_ice", ("scene", "cell_y", "cell_x"), cells, (1, side // CELL, side // CELL),
              "1", "share of ice in each cell", "uint8", UNKNOWN),
        Array("scene_sums", ("scene", "block_y", "block_x", "scene_quantity"),
              (count, *blocks, len(SCENE_SUMS)), (1, 1, 1, len(SCENE_SUMS)), "1",
              "sums of each block of a scene"),
    )  # fmt: skip


def _map_arrays(ny: int, nx: int, chunk: int) -> tuple[Array, ...]:
    def plane(name: str, long_name: str, empty: int = 0) -> Array:
        return Array(name, ("y", "x"), (ny, nx), (chunk, chunk), "1", long_name, "uint8", empty,
                     level=1)  # fmt: skip

    return (
        plane("probability", "probability of damage", UNKNOWN),
        plane("spread", "standard deviation of the probability between scenes", UNKNOWN),
        plane("supplier", "number of the scene that weighs most; 0 none"),
        plane("scenes", "how many scenes know the pixel"),
        plane("extent", "lies on the ice shelf as it was in this summer"),
        plane("water", "melt water in every clear view"),
        plane("clear", "some scene sees the pixel neither through cloud nor through shadow"),
        plane("restored", "supplied from a gap that was filled"),
        plane("filling_spread", "standard deviation of the probability from what filled a gap"),
        plane("damage", "0 intact, 1 damage, 255 outside or not known", UNKNOWN),
        plane("region_damage", "0 background, 255 damage"),
    )


def _cell_arrays(ny: int, nx: int) -> tuple[Array, ...]:
    shape = (-(-ny // CELL), -(-nx // CELL))
    return (
        Array("cells", ("cell_y", "cell_x"), shape, shape, "1", "cell lies on the ice shelf",
              "uint8"),
        Array("published", ("one",), (1,), (1,), "1",
              "1 where enough of the extent is covered for the map to be published", "uint8"),
        Array("extent_record", ("extent_quantity",), (len(EXTENT_QUANTITIES),),
              (len(EXTENT_QUANTITIES),), "1", "how the extent was found"),
    )  # fmt: skip


def _sum_arrays(parts: int, blocks: tuple[int, int], side: int) -> tuple[Array, ...]:
    at, one = ("block_y", "block_x", "part"), (1, 1, parts)
    kinds = len(KINDS)
    return (
        Array("block_sums", (*at, "sum_quantity"), (*blocks, parts, len(SUMS)), (*one, len(SUMS)),
              "m2", "areas of each block"),
        Array("error_inner", (*at, "error_kind", "inner_quantity"),
              (*blocks, parts, kinds, len(INNER)), (*one, kinds, len(INNER)), "m4",
              "variance of each block's area of damage, and its corners (block_sum)"),
        Array("error_edges", (*at, "error_kind", "edge", "pixel"),
              (*blocks, parts, kinds, len(EDGES), side), (*one, kinds, len(EDGES), side), "m2",
              "what the edges of each block give to covariances with others"),
    )  # fmt: skip


def counts(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return probabilities or shares as they are stored, NaN as unknown.

    >>> counts(np.float32([0.0, 0.5, 1.0, np.nan])).tolist()
    [0, 125, 250, 255]
    """
    known = np.isfinite(values)
    held = np.rint(np.where(known, values, 0.0) / PROBABILITY_STEP)
    return np.where(known, held, UNKNOWN).astype(np.uint8)


def shares(held: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what :func:`counts` stored [1], NaN where unknown."""
    made = held.astype(np.float32) * np.float32(PROBABILITY_STEP)
    made[held == UNKNOWN] = np.nan
    return made


def region_of(name: str, part: str) -> str:
    """Return what tables call a part of a shelf.

    >>> region_of("Amery", "shelf"), region_of("Amery", "front")
    ('Amery', 'Amery_front')
    """
    return name if part == WHOLE else f"{name}_{part}"


def shelves(group: zarr.Group) -> tuple[str, ...]:
    """Return the ids of the shelves of a product, in order."""
    return tuple(sorted(str(name) for name in group.group_keys()))


def summers(group: zarr.Group, shelf: str) -> tuple[int, ...]:
    """Return the summers of a shelf, in order, published or not."""
    return tuple(sorted(int(name) for name in group_at(group, shelf).group_keys()))


def scenes_of(made: zarr.Group) -> list[dict[str, Any]]:
    """Return the scenes of a summer as :meth:`DamageScene.to_dict` told them."""
    found: list[dict[str, Any]] = json.loads(str(made.attrs["nunatak:scenes"]))
    return found
