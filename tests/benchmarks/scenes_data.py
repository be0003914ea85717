"""Landsat scenes of one shelf and summer on a local S3 server, with a catalogue that finds them.

The pixels are those of the demonstration's world: a shelf as Landsat 8 sees it, clouds, shadows and
noise with it, laid in mirrored copies until a scene is full. Every third day has two rows that
overlap by a tenth. Files are larger than the region and do not share its tiles, as in the archive.
"""

import datetime as dt
import shutil
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
import yaml
from numpy.typing import NDArray

from pipelines.worlds import landsat_cogs, landsat_documents, landsat_plan
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.landsat_documents import Product
from pipelines.worlds.landsat_view import Seen, View, see, view
from pipelines.worlds.shelf_surface import surface
from pipelines.worlds.shelves import Shelf, demo_shelves
from stac import ingest
from stac.pixel_grids import PixelGrid
from tests.fixtures.seaweed import S3Store

SUMMER = 2019
DRAWN_PX = 1024
CLOUDINESS = (0.02, 0.3, 0.1, 0.5, 0.05, 0.6)
"""Of the days, in turn."""
SCREENING_M = 240
BEFORE = (200, 296)
"""Rows and columns of a file above and left of the region, multiples of a screening cell."""
CHUNK = 1024
"""Side of our chunks: twice the usual, as the peers' are the best of several."""
NAMES = ("red", "green", "blue", "qa_pixel", "qa_radsat")
NOISE = 20.0
"""Standard deviation of a number of OLI over snow: a thousandth."""
NORTH, SOUTH = (0.0, 0.55), (0.45, 1.0)
"""Parts of a scene that two rows hold."""


@dataclass(frozen=True)
class Size:
    """What is stored.

    Attributes
    ----------
    side : int
        Rows and columns of the region.
    scenes : int
        Days.
    """

    side: int
    scenes: int

    @property
    def file_side(self) -> int:
        """Rows and columns of the files, or of two rows together."""
        return self.side + 512

    @property
    def megapixels(self) -> float:
        """Pixels of the stack, each of three bands [10⁶]."""
        return self.scenes * self.side**2 / 1e6


@dataclass(frozen=True)
class Archive:
    """What is on the server, and the catalogue that tells of it."""

    store: S3Store
    catalogue: Path
    grid: PixelGrid
    days: tuple[dt.date, ...]

    def run_file(self, path: Path, output: str, *, scenes: int) -> Path:
        """Write the run file that stores the first days, all of them."""
        used = sorted(day.isoformat() for day in self.days[:scenes])
        reason = "the benchmark stores every day"
        document = {
            "product": "scenes",
            "catalogue": str(self.catalogue),
            "output": output,
            "period": [f"{SUMMER}-11-01", f"{SUMMER + 1}-03-31"],
            "regions": "shelves",
            "inputs": {"landsat": [collection(scenes)]},
            "scenes": {
                "buffer_km": 0,
                "screening_m": SCREENING_M,
                "most_cloud": 100,
                "sun": "scene",
                "chunk": CHUNK,
                "choice": {"most": scenes, "spares": 0},
                "overrides": [{"shelf": "alder", "summer": SUMMER, "use": used, "reason": reason}],
            },
        }
        path.write_text(yaml.safe_dump(document))
        return path


def collection(scenes: int) -> str:
    """Return the name of the collection that holds so many days."""
    return f"landsat-{scenes}"


def archive(store: S3Store, folder: Path, size: Size, *, times: int) -> Archive:
    """Write files unless they are there, upload and catalogue them.

    Parameters
    ----------
    store : S3Store
        The server; its environment is that of this process.
    folder : Path
        Where files stay.
    size : Size
        Days and pixels.
    times : int
        A second collection holds so many times the days; their pixels repeat those of the first.
    """
    shelf = demo_shelves(Antarctica(seed=1), size=DRAWN_PX)[0]
    grid = replace(shelf.grid, nx=size.file_side, ny=size.file_side)
    top, left = BEFORE
    region = grid.window(slice(top, top + size.side), slice(left, left + size.side))
    flown = _passes(shelf, size.scenes * times)
    home = folder / f"{size.side}-{size.scenes * times}"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        _write(shelf, grid, flown, home, distinct=size.scenes)
        (home / "complete").touch()
    catalogue = folder / "catalogue"
    shutil.rmtree(catalogue, ignore_errors=True)
    addresses = _upload(store, home)
    days = [each.moment.date() for each in flown]
    for count in {size.scenes, size.scenes * times}:
        wanted = [url for url, day in addresses if day in days[:count]]
        _ingest("landsat", wanted, catalogue, collection(count))
    _ingest("ice-shelves", [str(_outline(folder, region))], catalogue, "shelves")
    return Archive(store, catalogue, region, tuple(days))


def _passes(shelf: Shelf, count: int) -> list[Any]:
    """Return swaths on different days, those of each half spread over the summer."""
    found = [each.swath for each in landsat_plan.passes(shelf.grid, SUMMER) if each.cover > 0.0]
    first = [next(same) for _, same in groupby(found, key=lambda swath: swath.moment.date())]
    chosen = [first[round(k)] for k in np.linspace(0, len(first) - 1, count)]
    return chosen[::2] + chosen[1::2] if count > 1 else chosen


def _write(shelf: Shelf, grid: PixelGrid, flown: list[Any], home: Path, *, distinct: int) -> None:
    middle = (sum(grid.bounds[::2]) / 2.0, sum(grid.bounds[1::2]) / 2.0)
    ice = surface(Antarctica(seed=1), shelf, day=dt.date(SUMMER + 1, 1, 15))
    made: list[list[dict[str, Path]]] = []
    for number, each in enumerate(flown):
        swath = replace(each, x=middle[0], y=middle[1])
        row = round(swath.row)
        like = number % distinct
        parts = (NORTH, SOUTH) if like % 3 == 2 else ((0.0, 1.0),)
        looks = [_view(swath, row + n, like) for n in range(len(parts))]
        seen = None if number >= distinct else _filled(see(ice, looks[0]), grid.nx, seed=number)
        made.append([])
        for n, (look, part) in enumerate(zip(looks, parts, strict=True)):
            rows = slice(*(round(end * grid.ny / 8) * 8 for end in part))
            product = Product(look, grid.window(rows, slice(0, grid.nx)), 30.0)
            known = None if seen is not None else made[like][n]
            made[-1].append(_write_product(product, seen, rows, home, known))


def _view(swath: Any, row: int, number: int) -> View:
    return view(swath, row, cloudiness=CLOUDINESS[number % len(CLOUDINESS)], seed=1000 + number,
                shift=-swath.row_centre(row))  # fmt: skip


def _write_product(
    product: Product, seen: Seen | None, rows: slice, home: Path, known: dict[str, Path] | None
) -> dict[str, Path]:
    """Write the images of a product, or copy those of another, and its metadata."""
    folder = home / product.id
    folder.mkdir(parents=True)
    paths = {name: folder / product.files[name] for name in NAMES}
    if seen is None and known is not None:
        for name, path in paths.items():
            path.hardlink_to(known[name])
    elif seen is not None:
        images = {**seen.dn, "qa_pixel": seen.qa_pixel, "qa_radsat": seen.qa_radsat}
        nodata = {"qa_pixel": 1, "qa_radsat": None}
        for name, path in paths.items():
            landsat_cogs.write_cog(
                images[name][rows], product.grid, path, nodata=nodata.get(name, 0)
            )
    name = "mtl.json"
    (folder / product.files[name]).write_bytes(landsat_documents.encodings(product)[name])
    return paths


def _filled(seen: Seen, size: int, *, seed: int) -> Seen:
    """Return a picture laid in mirrored copies, shape (size, size), no two of them alike.

    Without noise of its own each copy would be a repetition that large chunks do not store twice.
    """
    rng = np.random.default_rng(seed)

    def laid(values: NDArray[Any]) -> NDArray[Any]:
        beyond = [(0, max(size - n, 0)) for n in values.shape]
        return np.pad(values, beyond, mode="symmetric")[:size, :size]

    def noisy(values: NDArray[Any]) -> NDArray[Any]:
        counts = laid(values)
        noise = np.rint(rng.normal(scale=NOISE, size=counts.shape))
        return np.where(counts == 0, 0, np.clip(counts + noise, 1, 65535)).astype(counts.dtype)

    return replace(
        seen,
        dn={band: noisy(seen.dn[band]) for band in ("red", "green", "blue")},
        qa_pixel=laid(seen.qa_pixel),
        qa_radsat=laid(seen.qa_radsat),
    )


def _upload(store: S3Store, home: Path) -> list[tuple[str, dt.date]]:
    """Put all files on the server; return the metadata file and the day of each product."""
    client, found = store.client(), []
    for path in sorted(home.glob("*/*")):
        key = f"landsat/{path.parent.name}/{path.name}"
        client.upload_file(str(path), store.bucket, key)
        if path.name.endswith("_MTL.json"):
            day = path.name.split("_")[3]
            found.append((store.url(key), dt.datetime.strptime(day, "%Y%m%d").date()))  # noqa: DTZ007
    return found


def _outline(folder: Path, region: PixelGrid) -> Path:
    """Write the region as the outline of a shelf, a metre inside its pixels."""
    box = shapely.box(*region.bounds).buffer(-1.0, join_style="mitre")
    columns = {"NAME": ["Alder"], "TYPE": ["FL"]}
    table = gpd.GeoDataFrame(columns, geometry=[box], crs="EPSG:3031")
    path = folder / "outlines.gpkg"
    path.unlink(missing_ok=True)
    write_polygons(table, path)
    return path


def _ingest(kind: str, sources: list[str], catalogue: Path, name: str) -> None:
    done = list(ingest.ingest(kind, sources, catalogue=str(catalogue), collection=name))
    failed = [each for each in done if each.state == "failed"]
    if failed or len(done) != len(sources):
        msg = f"{name}: {len(done)} of {len(sources)} ingested, {failed}"
        raise RuntimeError(msg)
