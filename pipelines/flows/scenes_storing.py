"""Storing: the pixels of a chosen scene, block by block, as whole chunks at 30 m."""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import pixel_blocks, scenes_candidates, scenes_joining, scenes_reading
from pipelines.flows.scenes_arrays import Encoding, Places
from pipelines.flows.scenes_candidates import Scene
from pipelines.flows.scenes_gaps import Gaps
from pipelines.flows.scenes_reading import Depths, Drawn, Look, Reading
from pipelines.flows.scenes_sun import sun_of
from pipelines.kernels.imagery import quality_bits, radiometry
from pipelines.kernels.imagery.sun_surface import SunSurface
from pipelines.lifecycle import MIB
from stac.landsat_items import Granule
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import zarr

Suns = tuple[SunSurface | float | None, ...]
"""The sun over each granule of a scene, see `scenes_sun.sun_of`."""
BLOCK_BYTES = 512 * MIB
"""Most that a block, which is what is read at once, takes if chunks are not larger."""
MOST_JOINED = 4
"""Granules of a scene that share a block at most: two rows of a pass, and of its neighbour."""
OTHERS = ("qa_pixel", "qa_radsat", "sza", "mtl", "gap_red", "gap_green", "gap_blue")
"""Files of a granule that are verified before it is stored, beside its bands."""


@dataclass(frozen=True)
class StoreJob:
    """Key ``store/SHELF/SUMMER/PLACE``: all chunks of the scene that the place is for, if any.

    Attributes
    ----------
    reading : Reading
        How pixels are read.
    places : Places
        Where chosen scenes go.
    factor : int
        Pixels along a screening cell.
    encoding : str
        What is stored.
    """

    reading: Reading
    places: Places
    factor: int
    encoding: Encoding

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Store one scene; ``stored`` is written last. What an earlier run left here goes."""
        _, shelf, year, place = key.split("/")
        slot = int(place)
        made = stored.group_at(group, f"{shelf}/{year}")
        at = (self.places.turn(slot), slot)
        index = int(stored.values(made, "chosen", at)) - 1
        if int(stored.values(made, "held", at)):
            self._clear(made, slot)
        if index < 0:
            return Receipt(key, "done")
        scene, grid = scenes_candidates.read(made)[index], scenes_candidates.grid_of(made)
        roi = stored.values(stored.group_at(group, shelf), "roi") > 0
        with scenes_reading.failing(scene):
            names = (*self.reading.bands, *OTHERS)
            scenes_reading.verify(scene, names, self.reading.verify)
            gaps = Gaps.of(scene, grid, self.reading)
            self._store(made, slot, scene, grid, roi, gaps)
            stored.write(made, "gap_record", gaps.row(), slot)
        stored.write(made, "stored", np.asarray(index + 1, np.int32), slot)
        ids = tuple(granule.id for granule in scene.granules)
        return Receipt(key, "done", inputs=ids, note=gaps.note)

    def _clear(self, made: zarr.Group, slot: int) -> None:
        grid, chunk = scenes_candidates.grid_of(made), stored.array(made, "mask").chunks[-1]
        for rows, columns in pixel_blocks.blocks((grid.ny, grid.nx), block_side(chunk, 1)):
            stored.write(made, "reflectance", np.asarray(0), (slot, ..., rows, columns))
            stored.write(made, "mask", np.asarray(quality_bits.FILL), (slot, rows, columns))
        stored.write(made, "gap_record", np.asarray(np.nan), slot)
        stored.write(made, "stored", np.asarray(0), slot)

    def _store(
        self,
        made: zarr.Group,
        slot: int,
        scene: Scene,
        grid: PixelGrid,
        roi: NDArray[np.bool_],
        gaps: Gaps,
    ) -> None:
        deep = scenes_reading.depths(scene, grid.coarser(self.factor), factor=self.factor)
        screen = grid.coarser(self.factor)
        suns = tuple(sun_of(granule, screen, self.reading.sun) for granule in scene.granules)
        chunk, joined = stored.array(made, "mask").chunks[-1], min(MOST_JOINED, len(scene.granules))
        # A block is written while the next one is read: stores answer late, not slowly.
        with ThreadPoolExecutor(1) as writer:
            written: Future[None] | None = None
            for rows, columns in pixel_blocks.blocks((grid.ny, grid.nx), block_side(chunk, joined)):
                if not _touched(roi, rows, columns, self.factor):
                    continue
                seen = read_block(scene, grid, rows, columns, self.reading, deep, suns, gaps.drawn)
                if written is not None:
                    written.result()
                if seen is not None:
                    written = writer.submit(self._write, made, slot, rows, columns, seen)
            if written is not None:
                written.result()

    def _write(self, made: zarr.Group, slot: int, rows: slice, columns: slice, seen: Look) -> None:
        counts = encoded(seen, self.encoding)
        stored.write(made, "reflectance", counts, (slot, ..., rows, columns))
        stored.write(made, "mask", seen.mask, (slot, rows, columns))


def block_side(chunk: int, granules: int) -> int:
    """Return the side of a block of whole chunks that takes `BLOCK_BYTES` at most [pixels].

    >>> block_side(512, 1), block_side(512, 2), block_side(512, 4), block_side(4096, 1)
    (2048, 1536, 1024, 4096)
    """
    most = math.sqrt(BLOCK_BYTES / block_bytes(1, granules))
    return pixel_blocks.block_side(chunk, most=int(most))


def block_bytes(side: int, granules: int) -> int:
    """Return the memory of a block in which granules are joined [B], as it was measured."""
    return (50 + 75 * granules) * side**2


def _touched(roi: NDArray[np.bool_], rows: slice, columns: slice, factor: int) -> bool:
    """Whether a block holds a cell of the ROI."""
    # A cell is of the ROI by its centre; its neighbours may hold some pixels of the edge.
    cells = tuple(
        slice(max(0, part.start // factor - 1), -(-part.stop // factor) + 1)
        for part in (rows, columns)
    )
    return bool(roi[cells].any())


def read_block(
    scene: Scene,
    grid: PixelGrid,
    rows: slice,
    columns: slice,
    reading: Reading,
    deep: Depths | None,
    suns: Suns,
    drawn: Drawn | None = None,
) -> Look | None:
    """Return a block of a scene; None where no granule reaches it."""
    window = grid.window(rows, columns)
    within = [n for n, granule in enumerate(scene.granules) if reaches(granule, window)]
    if not within:
        return None
    looks = [
        scenes_reading.look(scene.granules[n], window, reading, sun=suns[n], drawn=drawn)
        for n in within
    ]
    return scenes_joining.on_block(
        looks, deep, within, (rows, columns), feather_m=reading.feather_m
    )


def reaches(granule: Granule, window: PixelGrid) -> bool:
    """Whether a granule's file may hold pixels of a window; True where its item does not say."""
    if granule.code != window.code or not (granule.shape and granule.transform):
        return True
    step_x, _, west, _, step_y, north = granule.transform[:6]
    rows, columns = granule.shape
    held = shapely.box(west, north + rows * step_y, west + columns * step_x, north)
    return bool(held.intersects(shapely.box(*window.bounds)))


def encoded(seen: Look, encoding: Encoding) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Return counts as they are stored."""
    if encoding == "reflectance":
        return seen.counts
    rho = radiometry.reflectance_of(seen.counts)
    if encoding == "paper":
        return radiometry.paper_bytes(rho)
    return radiometry.stretched_bytes(rho)
