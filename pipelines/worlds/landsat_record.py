"""A record of Landsat over synthetic shelves: outlines, products of several summers, and the truth.

A product is written beside its place and renamed when it is whole, so what stands under its name is
complete; one that stands there with the same choices is kept.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds import (
    landsat_cogs,
    landsat_dialects,
    landsat_documents,
    landsat_plan,
    shelf_outlines,
)
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.landsat_documents import Product
from pipelines.worlds.landsat_plan import Day
from pipelines.worlds.landsat_quality import CLOUD
from pipelines.worlds.landsat_view import Seen, View, see, view
from pipelines.worlds.shelf_surface import Surface, surface
from pipelines.worlds.shelves import Shelf
from stac.pixel_grids import PixelGrid

VERSION = 1
"""Of the way in which scenes are made; another one makes them anew."""
MIDDLE = (1, 15)
"""Month and day of the truth of a summer."""
OUTLINES = "IceShelf_Antarctica_v02.gpkg"
FRONTS = "ice_shelf_fronts.gpkg"


@dataclass(frozen=True)
class LandsatRecord:
    """What was written.

    Attributes
    ----------
    scenes : tuple of Path
        Metadata file (``_MTL.json``) of each product.
    items : tuple of Path
        STAC item (``_stac.json``) of each product, in the same order.
    shelves : Path
        Outlines of the shelves, as MEaSUREs names them.
    fronts : Path
        Outlines of each summer, in its middle.
    truth : mapping of (shelf id, summer) to Path
        NumPy archive of ``damage``, ``fractured``, ``kind`` on the shelf's grid, at mid-season.
    skies : mapping of product id to Path
        NumPy archive with ``cloud``, ``shadow``, ``gap`` and ``fill`` on the shelf's grid.
    kinds : mapping of product id to str
        Kind of its day, see :data:`pipelines.worlds.landsat_plan.KINDS`.
    """

    scenes: tuple[Path, ...]
    items: tuple[Path, ...]
    shelves: Path
    fronts: Path
    truth: Mapping[tuple[str, int], Path]
    skies: Mapping[str, Path]
    kinds: Mapping[str, str]


def write_landsat(
    world: Antarctica,
    folder: Path,
    *,
    shelves: Sequence[Shelf],
    summers: Sequence[int],
    days_per_summer: int = 6,
    seed: int = 1,
) -> LandsatRecord:
    """Write the outlines and all products of some summers; what is there and complete is kept.

    Files of a granule cover what of the shelf's window its bounding box covers: a whole scene of
    185 km is too large for a demonstration. Landsat 7 flies until March 2013, with gaps since June
    2003; then Landsat 8, and Landsat 9 beside it since November 2021.

    Parameters
    ----------
    world : Antarctica
        Where the shelves lie.
    folder : Path
        Gets ``outlines/``, ``landsat/<shelf>/<summer>/<product>/`` and ``truth/``.
    shelves : sequence of Shelf
        Of :func:`pipelines.worlds.shelves.demo_shelves`.
    summers : sequence of int
        First years.
    days_per_summer : int
        Days with scenes, see :data:`pipelines.worlds.landsat_plan.KINDS`.
    seed : int
        Of weather, noise and gaps.

    Returns
    -------
    LandsatRecord
        Where everything is.
    """
    outlines = shelf_outlines.write(shelves, folder / "outlines" / OUTLINES)
    fronts = shelf_outlines.write(shelves, folder / "outlines" / FRONTS, days=_middles(summers))
    scenes: list[Path] = []
    truth, skies, kinds = {}, {}, {}
    for shelf in shelves:
        for summer in summers:
            truth[shelf.id, summer] = _write_truth(world, shelf, summer, folder)
            place = folder / "landsat" / shelf.id / str(summer)
            for day in landsat_plan.days(shelf.grid, summer, count=days_per_summer, seed=seed):
                for home in _write_day(world, shelf, day, place):
                    scenes.append(home / f"{home.name}_MTL.json")
                    skies[home.name] = home / _SKY
                    kinds[home.name] = day.kind
    items = tuple(path.with_name(f"{path.parent.name}_stac.json") for path in scenes)
    return LandsatRecord(tuple(scenes), items, outlines, fronts, truth, skies, kinds)


def _middles(summers: Sequence[int]) -> dict[int, dt.date]:
    return {summer: dt.date(summer + 1, *MIDDLE) for summer in summers}


_SKY = "truth.npz"
_MARKER = "complete.json"


def _token(parts: Sequence[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _write_truth(world: Antarctica, shelf: Shelf, summer: int, folder: Path) -> Path:
    """Write the labels of the middle of a summer."""
    path = folder / "truth" / shelf.id / f"{summer}.npz"
    token = _token([VERSION, world, shelf.nature, shelf.grid, summer])
    if not _holds(path, token):
        ice = surface(world, shelf, day=dt.date(summer + 1, *MIDDLE))
        _save(path, token, damage=ice.damage, fractured=ice.fractured, kind=ice.kind)
    return path


def _holds(path: Path, token: str) -> bool:
    """Return whether an archive is there and was made of the same choices."""
    if not path.exists():
        return False
    with np.load(path) as archive:
        return str(archive["token"]) == token


def _save(path: Path, token: str, **arrays: NDArray[np.generic]) -> None:
    """Write an archive whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    with part.open("wb") as stream:
        np.savez_compressed(stream, token=np.array(token), **arrays)  # type: ignore[arg-type]
    part.replace(path)


def _write_day(world: Antarctica, shelf: Shelf, day: Day, place: Path) -> list[Path]:
    """Write the granules of a day that are not there; the ice is drawn once for them, if at all."""

    @cache
    def ice() -> Surface:
        return surface(world, shelf, day=day.views[0].start.date())

    homes = []
    for granule in day.views:
        grid, rows, columns = _part(shelf.grid, granule)
        home = place / Product(granule, grid, 0.0).id
        token = _token([VERSION, world, shelf.nature, grid, granule])
        if not _complete(home, token):
            seen = see(ice(), granule)
            _write_product(_cut(seen, rows, columns), seen, granule, grid, home, token)
        homes.append(home)
    return homes


def _part(grid: PixelGrid, granule: View) -> tuple[PixelGrid, slice, slice]:
    """Return the part of a window inside a granule's bounding box."""
    corners = np.array(granule.corners)
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    rows = np.flatnonzero((grid.y >= south) & (grid.y <= north))
    columns = np.flatnonzero((grid.x >= west) & (grid.x <= east))
    down, right = (slice(int(each[0]), int(each[-1]) + 1) for each in (rows, columns))
    return grid.window(down, right), down, right


def _cut(seen: Seen, rows: slice, columns: slice) -> Seen:
    return replace(
        seen,
        dn={band: counts[rows, columns] for band, counts in seen.dn.items()},
        qa_pixel=seen.qa_pixel[rows, columns],
        qa_radsat=seen.qa_radsat[rows, columns],
        sza=seen.sza[rows, columns],
    )


def _complete(home: Path, token: str) -> bool:
    """Return whether a product is there, of the same choices, with all its files."""
    mark = home / _MARKER
    if not mark.exists():
        return False
    said = json.loads(mark.read_text())
    return said["token"] == token and all(
        (home / name).is_file() and (home / name).stat().st_size == size
        for name, size in said["sizes"].items()
    )


def _write_product(
    seen: Seen, whole: Seen, granule: View, grid: PixelGrid, home: Path, token: str
) -> None:
    """Write a product beside its place, then rename it; its marker is written last."""
    valid = seen.qa_pixel != 1
    called = (seen.qa_pixel & CLOUD) != 0
    cover = 100.0 * float(called.sum()) / max(int(valid.sum()), 1)
    product = Product(granule, grid, round(cover, 2))
    part = home.with_name(f".{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    paths = landsat_cogs.write_seen(seen, grid, part, product.files)
    for name, data in landsat_documents.encodings(product).items():
        paths[name] = part / product.files[name]
        paths[name].write_bytes(data)
    item = landsat_dialects.item(
        product, {name: f"./{path.name}" for name, path in paths.items()},
        checksums={name: _checksum(path) for name, path in paths.items()},
    )  # fmt: skip
    (part / f"{home.name}_stac.json").write_text(json.dumps(item, indent=1))
    fill = whole.qa_pixel == 1
    _save(part / _SKY, token, cloud=whole.cloud, shadow=whole.shadow, gap=whole.gap, fill=fill)
    sizes = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
    (part / _MARKER).write_text(json.dumps({"token": token, "sizes": sizes}))
    shutil.rmtree(home, ignore_errors=True)
    os.replace(part, home)  # noqa: PTH105 - a directory


def _checksum(path: Path) -> tuple[int, str]:
    """Return size [bytes] and the multihash of SHA-256 (1220)."""
    data = path.read_bytes()
    return len(data), f"1220{hashlib.sha256(data).hexdigest()}"


def big_stack(
    world: Antarctica,
    folder: Path,
    *,
    shelf: Shelf,
    size: int = 3584,
    scenes: int = 12,
    summer: int = 2019,
    seed: int = 1,
) -> tuple[Path, ...]:
    """Write large scenes for a benchmark, each of one granule; what is there is kept.

    A shelf is seen as always, and its picture is laid in mirrored copies until the scene is full.
    So texture, clouds and noise are realistic and cheap; their repetition is not.

    Parameters
    ----------
    world, shelf
        What is seen.
    folder : Path
        Gets a folder for each product.
    size : int
        Rows and columns of a scene.
    scenes : int
        How many days.
    summer : int
        Of Landsat 8, from 2013.
    seed : int
        Of weather and noise.

    Returns
    -------
    tuple of Path
        Metadata file of each product.
    """
    grid = replace(shelf.grid, nx=size, ny=size)
    middle = (sum(grid.bounds[::2]) / 2.0, sum(grid.bounds[1::2]) / 2.0)
    found = [each for each in landsat_plan.passes(shelf.grid, summer) if each.cover > 0.0]
    chosen = [found[round(k)] for k in np.linspace(0, len(found) - 1, scenes)]

    @cache
    def ice() -> Surface:
        return surface(world, shelf, day=dt.date(summer + 1, *MIDDLE))

    written = []
    for number, each in enumerate(chosen):
        swath = replace(each.swath, x=middle[0], y=middle[1])
        row = round(swath.row)
        granule = view(
            swath, row, cloudiness=_CLOUDINESS[number % len(_CLOUDINESS)],
            seed=seed * 1000 + number, shift=-swath.row_centre(row),
        )  # fmt: skip
        home = folder / Product(granule, grid, 0.0).id
        token = _token([VERSION, world, shelf.nature, grid, granule])
        if not _complete(home, token):
            seen = _mirrored(see(ice(), granule), size)
            _write_product(seen, seen, granule, grid, home, token)
        written.append(home / f"{home.name}_MTL.json")
    return tuple(written)


_CLOUDINESS = (0.02, 0.3, 0.1, 0.6, 0.05, 0.8)
"""Of the days of :func:`big_stack`, in turn."""


def _mirrored(seen: Seen, size: int) -> Seen:
    """Return a picture laid in mirrored copies, shape (size, size)."""

    def laid(values: NDArray[Any]) -> NDArray[Any]:
        beyond = [(0, max(size - n, 0)) for n in values.shape]
        return np.pad(values, beyond, mode="symmetric")[:size, :size]

    return Seen(
        {band: laid(counts) for band, counts in seen.dn.items()},
        laid(seen.qa_pixel), laid(seen.qa_radsat), laid(seen.sza), laid(seen.cloud),
        laid(seen.shadow), laid(seen.gap),
    )  # fmt: skip
