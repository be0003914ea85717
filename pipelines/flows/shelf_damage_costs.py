"""What yearly damage maps of many shelves take, before there are scenes to plan with.

``nunatak plan`` counts the blocks of scenes that are there. This is the same arithmetic for shelves
of so many pixels, with unit costs measured on one block of synthetic ice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.prices import Prices
from pipelines.flows.pixel_blocks import block_side
from pipelines.flows.shelf_damage import (
    FRACTURE_SECONDS_PER_MPX,
    MERGE_SECONDS_PER_MPX,
    SECONDS_PER_MPX,
)
from pipelines.flows.shelf_damage_segmenting import MOST_BLOCK
from pipelines.lifecycle import GIB

CHUNK = 512
"""Rows and columns of stored chunks, the default of scenes."""
LOOKS_AT_RESTORED = 3
"""Pictures that the network is shown of a scene with filled gaps: it, a brighter, a darker one."""
SCENE_ARRAYS, MAP_ARRAYS = 4, 10
"""Arrays on pixels, of each scene and of each map with its fractures."""
SCENE_BYTES, MAP_BYTES = 0.25, 0.56
"""Compressed bytes of a pixel, of all arrays of a scene and of a map: 2048² pixels of the synthetic
shelf Cedar, 2 % of them damage. Real noise may take more of the probabilities."""
SCENE_BYTES_READ = 3.2
"""Compressed bytes of a pixel of a stored scene, its mask included; read with margins."""
MARGIN = (2048 + 2 * 256 + 64) ** 2 / 2048**2
"""Pixels that are read for a pixel of a block [1]."""
COPIES = 2
"""The versioned store and its plain copy."""


@dataclass(frozen=True)
class DamageCosts:
    """What a run takes.

    Attributes
    ----------
    tasks : dict of str to int
        Keys of each stage.
    core_seconds : dict of str to float
        Processor time of each stage [s].
    bytes_read, bytes_kept : float
        From the scenes; in store and copy, both compressed [B].
    reads, writes : float
        Requests, where both lie in a bucket.
    """

    tasks: dict[str, int]
    core_seconds: dict[str, float]
    bytes_read: float
    bytes_kept: float
    reads: float
    writes: float

    @property
    def core_hours(self) -> float:
        """Processor time of all stages [h]."""
        return sum(self.core_seconds.values()) / 3600.0

    def dollars(self, prices: Prices) -> float:
        """Return what machines and requests cost once; keeping the bytes is another thing.

        Parameters
        ----------
        prices : Prices
            Of cores, requests and bytes read.
        """
        requests = self.reads * prices.thousand_reads + self.writes * prices.thousand_writes
        read = self.bytes_read / GIB * prices.gib_in
        return self.core_hours * prices.core_hour + requests / 1000.0 + read


def estimate(
    shelf_pixels: Sequence[float],
    *,
    summers: int,
    scenes_per_summer: float,
    slc_off_share: float,
    chunk: int = CHUNK,
) -> DamageCosts:
    """Return what maps of shelves take.

    Parameters
    ----------
    shelf_pixels : sequence of float
        Pixels of the grid of each shelf, sea and grounded ice within it included.
    summers : int
        Of each shelf.
    scenes_per_summer : float
        Chosen scenes of a summer, on average; each is taken to fill the grid.
    slc_off_share : float
        Part of the scenes whose gaps were filled [1].
    chunk : int
        Rows and columns of stored chunks.

    Returns
    -------
    DamageCosts

    Raises
    ------
    ValueError
        Nothing to map, or a share beyond 0 to 1.

    Examples
    --------
    >>> made = estimate([2048**2], summers=1, scenes_per_summer=2, slc_off_share=0.0)
    >>> made.tasks["segment"], round(sum(made.core_seconds.values()), 1)
    (2, 8.4)
    """
    _require(shelf_pixels, summers, scenes_per_summer, slc_off_share)
    blocks = sum(
        math.ceil(pixels / block_side(chunk, most=MOST_BLOCK) ** 2) for pixels in shelf_pixels
    )
    mapped = sum(shelf_pixels) * summers
    seen = mapped * scenes_per_summer
    maps = len(shelf_pixels) * summers
    looks = 1.0 + (LOOKS_AT_RESTORED - 1) * slc_off_share
    arrays = SCENE_ARRAYS * seen + MAP_ARRAYS * mapped
    return DamageCosts(
        tasks={
            "segment": round(blocks * summers * scenes_per_summer), "extent": len(shelf_pixels),
            "merge": blocks * summers, "judge": maps, "fractures": maps,
        },
        core_seconds={
            "segment": SECONDS_PER_MPX * looks * seen / 1e6,
            "merge": MERGE_SECONDS_PER_MPX * seen / 1e6,
            "fractures": FRACTURE_SECONDS_PER_MPX * mapped / 1e6,
        },
        bytes_read=SCENE_BYTES_READ * MARGIN * seen,
        bytes_kept=COPIES * (SCENE_BYTES * seen + MAP_BYTES * mapped),
        # Red, green, blue and mask of the scenes, and what merging reads of them again.
        reads=(4 * MARGIN + SCENE_ARRAYS) * seen / chunk**2,
        writes=COPIES * arrays / chunk**2,
    )  # fmt: skip


def _require(
    shelf_pixels: Sequence[float], summers: int, scenes_per_summer: float, slc_off_share: float
) -> None:
    if not (shelf_pixels and min(shelf_pixels) > 0 and summers > 0 and scenes_per_summer > 0):
        msg = f"found shelves of {list(shelf_pixels)} pixels, {summers} summers and "
        msg += f"{scenes_per_summer:g} scenes of each, expected some of all three; correct them"
        raise ValueError(msg)
    if not 0.0 <= slc_off_share <= 1.0:
        msg = f"found a share of {slc_off_share:g} of scenes with gaps, expected 0 to 1; correct it"
        raise ValueError(msg)
