"""Patches to restore: real MODIS tiles, and Landsat 7 as it sees the synthetic shelves.

All patches are whole, so that every gap has a truth. Gaps are of the measured geometry, the same
at every run: on MODIS a third of the pixels is missing, as near the edge of a scene (`damage.md`
5.3), on Landsat what chance brings between nadir and edge, as in a whole scene.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import radiometry
from pipelines.nets import simulated_gaps
from pipelines.worlds import forcing, labelled_tiles, shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.landsat_view import see
from pipelines.worlds.shelf_surface import surface
from pipelines.worlds.shelves import Shelf
from stac.damage_labels import read_labels

MODIS_PX = 128
LANDSAT_PX = 256
WINDOW_PX = 1024
"""Sides of patches, and of the window of a synthetic shelf [pixels]."""
SHELF = "cedar"
"""The synthetic shelf that no shipped weights learn from."""
VIEWS = 24
"""Passes of a shelf of which the two closest days are taken."""
DAY = 86400.0
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Patch:
    """What is restored.

    Attributes
    ----------
    name : str
        Its tile or shelf.
    image : ndarray of float32, shape (band, y, x)
        Reflectance, whole [1].
    gap : ndarray of bool, shape (y, x)
        What is taken out.
    other : ndarray of float32, shape (band, y, x), optional
        Another date with gaps of its own, NaN there.
    """

    name: str
    image: NDArray[np.float32]
    gap: NDArray[np.bool_]
    other: NDArray[np.float32] | None = None

    @property
    def holed(self) -> NDArray[np.float32]:
        """The image with NaN in gaps."""
        return np.where(self.gap, np.float32(np.nan), self.image)


def modis(*, most: int, tiles: Sequence[str] = ()) -> list[Patch]:
    """Return patches of the real tiles, or of some, spread over them; none where there are none."""
    root = Path(os.environ.get("NUNATAK_DATA", BESIDE))
    there = sorted((root / "optical/damage/lai2020_moa125m/train").glob("*[0-9].tif"))
    wanted = [tile for tile in there if not tiles or tile.stem in tiles]
    found = [patch for tile in wanted for patch in _whole_patches(tile)]
    taken = np.unique(np.linspace(0, len(found) - 1, most).round().astype(int)) if found else []
    return [Patch(*found[k], simulated_gaps.fixed(k, (MODIS_PX, MODIS_PX), bands=1)) for k in taken]


def landsat(*, most: int) -> list[Patch]:
    """Return patches of `SHELF`, each with a second date."""
    world = Antarctica(seed=1, anomalies=forcing.ANOMALIES + forcing.OUTLETS)
    return list(islice(_views(shelves.find(world, SHELF, size=WINDOW_PX)), most))


def _whole_patches(tile: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    mask = tile.with_name(f"{tile.stem}_mask.tif")
    parts = {".tif": tile.read_bytes(), "_mask.tif": mask.read_bytes()}
    image = read_labels(parts, name=tile.name)["image"].to_numpy()
    for patch in _cut(image, MODIS_PX):
        if np.isfinite(patch).all():
            yield tile.stem, patch


def _views(shelf: Shelf) -> Iterator[Patch]:
    """Photograph a shelf on the two closest of some days, not the same one, and cut both."""
    views = sorted(labelled_tiles.views_of(shelf, VIEWS, seed=3), key=lambda view: view.start)
    apart = [(b.start - a.start).total_seconds() for a, b in pairwise(views)]
    first = int(np.argmin([seconds if seconds > DAY else np.inf for seconds in apart]))
    images = []
    for view in views[first : first + 2]:
        seen = see(surface(shelf.world, shelf, day=view.start.date()), view)
        counts = labelled_tiles.reflectance(seen, view, labelled_tiles.BANDS)
        images.append(radiometry.reflectance_of(counts))
    both = zip(*(_cut(image, LANDSAT_PX) for image in images), strict=True)
    days = (views[first + 1].start - views[first].start).days
    for number, (image, other) in enumerate(both):
        shape = image.shape[1:]
        gap, hidden = (
            simulated_gaps.fixed(1000 * part + number, shape, across=(0.0, 1.0), bands=3)
            for part in (1, 2)
        )
        if np.isfinite(image).all() and gap.any():
            yield Patch(f"{shelf.id}, {days} days", image, gap, np.where(hidden, np.nan, other))


def _cut(image: NDArray[np.float32], side: int) -> Iterator[NDArray[np.float32]]:
    for y in range(0, image.shape[1] - side + 1, side):
        for x in range(0, image.shape[2] - side + 1, side):
            yield image[:, y : y + side, x : x + side]
