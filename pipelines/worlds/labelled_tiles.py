"""Annotated tiles of the synthetic shelves as Landsat sees them: what a segmenter learns from.

A tile is two GeoTIFFs: ``X.tif`` with stored reflectances (counts of 2.5·10⁻⁵, 0 is none) and
``X_mask.tif`` with labels (0 intact, 1 damage, 255 not labelled), as a person would draw them:
damage that can be seen, dense fields as areas, and nothing where a cloud or its shadow hides the
ground. The file's ``SHELF`` tag names its shelf, ``REGION`` the shelf of the demonstration that it
takes after: kin overlap their elder on the ground and share its nature, so splits by region keep
them together.

Every view is of a real pass of Landsat 7 (before its scan lines failed), 8 or 9, so sun, sensor and
season belong together. What stands in the folder, made of the same choices, is kept.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from pipelines.kernels.imagery import radiometry
from pipelines.worlds import landsat_plan, landsat_sensors, shelf_kin, shelves
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.landsat_granules import View, view
from pipelines.worlds.landsat_sun import earth_sun_distance
from pipelines.worlds.landsat_view import Seen, see
from pipelines.worlds.shelf_surface import Surface, surface
from pipelines.worlds.shelves import Shelf
from stac.pixel_grids import PixelGrid

VERSION = 2
"""Of the way in which tiles are made; another one makes them anew."""
BANDS = ("red", "green", "blue")
NOT_LABELLED = 255
SIZE = 512
"""Rows and columns of a tile unless told otherwise, the paper's [1]."""
SUMMERS = {"landsat-7": range(1999, 2003), "landsat-8": range(2013, 2025)}
"""First years of the summers of each era: Landsat 7 without gaps, then Landsat 8 and 9."""
OLDER = 0.4
"""Part of the views that Landsat 7 has [1]."""
CLOUDINESS = (0.0, 0.0, 0.0, 0.03, 0.10, 0.25)
"""Of a view, each as likely: the paper takes days without clouds first, then others."""
MOST_HAZE = 0.35
MIDDLE = (1, 16)
"""Month and day in the middle of the season, November to March."""
WHOLE_SEASON = 366.0
LOWEST_SUN = 8.0
"""Lower suns are not taken [degrees]; Landsat takes hardly any scene below 5."""


class TileError(ValueError):
    """Tiles that cannot be made as asked."""


@dataclass(frozen=True)
class WrittenTile:
    """A tile's two files, its shelf, and the pass that saw it.

    Attributes
    ----------
    image, mask : Path
        GeoTIFFs of the same pixels.
    shelf, region : str
        Identity of its shelf, and of the elder that the shelf is or takes after.
    """

    image: Path
    mask: Path
    shelf: str
    region: str


def tile_shelves(
    world: Antarctica, *, kin: int = 0, seed: int = 1, size: int = shelves.SIZE,
    elders: bool = True,
) -> tuple[Shelf, ...]:  # fmt: skip
    """Return the shelves of the demonstration, and kin of theirs.

    Parameters
    ----------
    world : Antarctica
        Where they lie.
    kin : int
        How many more, see :mod:`pipelines.worlds.shelf_kin`.
    seed : int
        Of the kin.
    size : int
        Rows and columns of the windows [1].
    elders : bool
        Whether those of the demonstration are among them; weights that ship learnt from three.
    """
    more = tuple(shelf_kin.kin(world, n, seed=seed, size=size) for n in range(kin))
    return (*(shelves.demo_shelves(world, size=size) if elders else ()), *more)


def write_tiles(
    folder: Path, *, shelves: Sequence[Shelf], views: int = 4, seed: int = 1, size: int = SIZE,
    bands: Sequence[str] = BANDS, within_days: float = WHOLE_SEASON,
) -> Iterator[WrittenTile]:  # fmt: skip
    """Write annotated tiles of shelves, and yield each when its files are there.

    Parameters
    ----------
    folder : Path
        Gets ``<shelf>/<shelf>_<platform>_<day>_r<row>c<column>.tif`` and ``…_mask.tif``.
    shelves : sequence of Shelf
        See :func:`tile_shelves`.
    views : int
        Passes of each shelf; more of them leave the first as they are.
    seed : int
        Of passes, weather and noise.
    size : int
        Rows and columns of a tile [1].
    bands : sequence of str
        Of the images, of :data:`pipelines.worlds.landsat_sensors.BANDS`.
    within_days : float
        See :func:`views_of`.

    Raises
    ------
    TileError
        No views, a tile that does not divide a window, or an unknown band.
    """
    _require(shelves, views=views, size=size, bands=bands)
    for shelf in shelves:
        for granule in views_of(shelf, views, seed=seed, within_days=within_days):
            yield from _write_view(folder / shelf.id, shelf, granule, size, tuple(bands))


def _require(shelves: Sequence[Shelf], *, views: int, size: int, bands: Sequence[str]) -> None:
    unknown = [band for band in bands if band not in landsat_sensors.BANDS]
    if unknown or not bands:
        known = ", ".join(landsat_sensors.BANDS)
        msg = f"found bands {', '.join(unknown) or 'none'}, expected some of {known}"
        raise TileError(msg)
    sides = {side for shelf in shelves for side in shelf.grid.shape}
    if views < 1 or size < 1 or any(side % size for side in sides):
        msg = (
            f"found {views} views in tiles of {size} pixels of windows of {sorted(sides)}, "
            "expected 1 view or more and a size that divides the windows"
        )
        raise TileError(msg)


def views_of(
    shelf: Shelf, count: int, *, seed: int, within_days: float = WHOLE_SEASON
) -> tuple[View, ...]:
    """Return passes over a shelf that see the whole window, no two of one day.

    Parameters
    ----------
    shelf : Shelf
        What is seen.
    count : int
        How many.
    seed : int
        Of chance: summer, pass, weather and noise.
    within_days : float
        Of 16 January, the middle of the season: under its high sun, where yearly maps take their
        scenes, cracks show less than early and late [d].

    Raises
    ------
    TileError
        If too few passes see the whole window.
    """
    found: dict[str, View] = {}
    for number in range(20 * count if within_days >= WHOLE_SEASON else 200 * count):
        granule = _drawn(shelf, np.random.default_rng([seed, _number(shelf.id), number]))
        if granule is not None and _from_middle(granule) <= within_days:
            found.setdefault(granule.start.date().isoformat(), granule)
        if len(found) == count:
            return tuple(found.values())
    msg = f"found {len(found)} days on which {shelf.name} is seen whole, expected {count}; ask less"
    raise TileError(msg)


def _from_middle(granule: View) -> float:
    """Return how far a view is from 16 January [d]."""
    start = granule.start
    summer = start.year if start.month >= 7 else start.year - 1
    middle = dt.datetime(summer + 1, *MIDDLE, tzinfo=dt.UTC)
    return abs((start - middle).total_seconds()) / 86_400.0


def _drawn(shelf: Shelf, rng: np.random.Generator) -> View | None:
    """Return a pass by chance, None if that summer has none with the sun high enough."""
    era = "landsat-7" if rng.random() < OLDER else "landsat-8"
    passes = _passes(shelf.grid, int(rng.choice(SUMMERS[era])))
    if not passes:
        return None
    swath = passes[int(rng.integers(len(passes)))].swath
    row = round(swath.row)
    # The frame is moved along the flight until its middle lies near the window's.
    granule = view(
        swath, row, cloudiness=float(rng.choice(CLOUDINESS)), seed=int(rng.integers(2**31)),
        haze=float(rng.uniform(0.0, MOST_HAZE)), shift=-swath.row_centre(row),
    )  # fmt: skip
    return granule if granule.sun_elevation >= LOWEST_SUN else None


@lru_cache(maxsize=64)
def _passes(grid: PixelGrid, summer: int) -> tuple[landsat_plan.Pass, ...]:
    """Return the passes of a summer that see a whole window."""
    found = landsat_plan.passes(grid, summer)
    return tuple(each for each in found if each.cover >= landsat_plan.WHOLE and each.rows)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _write_view(
    home: Path, shelf: Shelf, granule: View, size: int, bands: tuple[str, ...]
) -> list[WrittenTile]:
    """Write the tiles of one view that are not there."""
    stem = f"{shelf.id}_{granule.platform}_{granule.start:%Y%m%d}"
    corners = [
        (row, column)
        for row in range(0, shelf.grid.ny, size)
        for column in range(0, shelf.grid.nx, size)
    ]
    tiles = [
        WrittenTile(
            home / f"{name}.tif", home / f"{name}_mask.tif", shelf.id, shelf_kin.elder_of(shelf.id)
        )
        for name in (f"{stem}_r{row:04d}c{column:04d}" for row, column in corners)
    ]
    choices = [VERSION, shelf.world, shelf.nature, shelf.grid, granule, size, bands]
    token = hashlib.sha256(repr(choices).encode()).hexdigest()
    if not _complete(home / f".{stem}.json", token, tiles):
        ice = surface(shelf.world, shelf, day=granule.start.date())
        seen = see(ice, granule)
        image, mask = reflectance(seen, granule, bands), labels(ice, seen)
        for tile, corner in zip(tiles, corners, strict=True):
            _write_pair(tile, image, mask, corner, size, shelf, granule, bands)
        sizes = {path.name: path.stat().st_size for each in tiles for path in _files(each)}
        (home / f".{stem}.json").write_text(json.dumps({"token": token, "sizes": sizes}))
    return tiles


def reflectance(seen: Seen, granule: View, bands: Sequence[str]) -> NDArray[np.uint16]:
    """Return stored reflectances above the air, with the sun of each pixel.

    Parameters
    ----------
    seen : Seen
        Pixels of a granule, shape (ny, nx).
    granule : View
        The granule.
    bands : sequence of str
        Which.

    Returns
    -------
    ndarray of uint16, shape (band, ny, nx)
        Counts of 2.5·10⁻⁵; 0 where a band has nothing.
    """
    gains = landsat_sensors.gains(
        granule.platform, gain=granule.gain, distance=earth_sun_distance(granule.start)
    )
    elevation = 90.0 - np.where(seen.sza > 0, seen.sza, 6000) / 100.0
    return np.stack([
        radiometry.counts(radiometry.top_of_atmosphere(
            seen.dn[band], mult=gains[band].reflectance_mult, add=gains[band].reflectance_add,
            sun_elevation=elevation,
        ))
        for band in bands
    ])  # fmt: skip


def labels(ice: Surface, seen: Seen) -> NDArray[np.uint8]:
    """Return damage as a person would draw it, shape (ny, nx): 0, 1, or 255 where it is hidden.

    Hidden is what lies under a cloud or in its shadow, what a visible band has not seen, and damage
    that saturates all visible bands; where nothing but snow saturates, a person draws nothing.
    """
    hidden = seen.cloud | seen.shadow
    saturated = np.ones(hidden.shape, dtype=np.bool_)
    for band in BANDS:
        hidden |= seen.dn[band] == 0
        saturated &= seen.dn[band] == np.iinfo(seen.dn[band].dtype).max
    hidden |= saturated & ice.damage
    mask = ice.damage.astype(np.uint8)
    mask[hidden] = NOT_LABELLED
    return mask


def _files(tile: WrittenTile) -> tuple[Path, Path]:
    return tile.image, tile.mask


def _complete(mark: Path, token: str, tiles: Sequence[WrittenTile]) -> bool:
    """Return whether all tiles of a view are there, of the same choices."""
    if not mark.exists():
        return False
    said = json.loads(mark.read_text())
    there = {
        path.name: path.stat().st_size for each in tiles for path in _files(each) if path.exists()
    }
    return bool(said["token"] == token and said["sizes"] == there)


def _write_pair(
    tile: WrittenTile, image: NDArray[np.uint16], mask: NDArray[np.uint8],
    corner: tuple[int, int], size: int, shelf: Shelf, granule: View, bands: Sequence[str],
) -> None:  # fmt: skip
    """Write a tile's two files, each beside its place and renamed when it is whole."""
    row, column = corner
    here = (slice(row, row + size), slice(column, column + size))
    grid = shelf.grid.window(*here)
    tags = {
        "SHELF": tile.shelf,
        "REGION": tile.region,
        "PLATFORM": granule.platform,
        "DATETIME": f"{granule.start:%Y-%m-%dT%H:%M:%SZ}",
        "SUN_ELEVATION": f"{granule.sun_elevation:.2f}",
        "SYNTHETIC": f"nunatak labelled tile, version {VERSION}",
    }
    tile.image.parent.mkdir(parents=True, exist_ok=True)
    for path, values, names, extra, nodata in (
        (tile.image, image[:, *here], tuple(bands), {"SCALE": str(radiometry.PER_COUNT)}, 0),
        (tile.mask, mask[None][:, *here], ("damage",), {}, NOT_LABELLED),
    ):
        part = path.with_name(f".{path.name}")
        with rasterio.open(
            part, "w", driver="GTiff", width=grid.nx, height=grid.ny, count=len(names),
            dtype=values.dtype.name, crs=grid.code, nodata=nodata, compress="deflate", predictor=2,
            zlevel=4, tiled=True, blockxsize=256, blockysize=256, interleave="band",
            transform=Affine(grid.spacing, 0.0, grid.west, 0.0, -grid.spacing, grid.north),
        ) as file:  # fmt: skip
            file.write(values)
            file.update_tags(**tags, **extra)
            for number, name in enumerate(names, start=1):
                file.set_band_description(number, name)
        part.replace(path)
