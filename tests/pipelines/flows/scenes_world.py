"""A small bay seen by Landsat: scenes of 300 × 300 pixels drawn here, ingested, and runs on them.

Nothing of `pipelines.worlds` is used: numbers, quality bits and MTL files are written by hand, so
that what a run stores can be computed again from the files alone.
"""

import contextlib
import copy
import datetime as dt
import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import geopandas as gpd
import numpy as np
import rasterio
import shapely
import yaml
import zarr
from numpy.typing import NDArray
from rasterio.transform import Affine
from zarr.storage import MemoryStore

from cluster.ledger import KeyFailed, Receipt
from pipelines import execution, settings, stored
from pipelines.flows import scenes, scenes_inputs
from pipelines.lifecycle import Outcome, Plan
from stac import landsat_search
from stac.ingest import ingest
from stac.pixel_grids import PixelGrid

from .conftest import Document, changed

UINT16 = NDArray[np.uint16]
BOOL = NDArray[np.bool_]

SIDE = 320
ROI = PixelGrid("roi", "EPSG:3031", 15.0 - 1_500_000.0, 15.0 - 390_000.0, 30.0, SIDE, SIDE)
"""Pixels of the region of interest of Rowan; Landsat's edges lie at 30 k + 15 m."""
MARGIN = 20
FRAME = PixelGrid(
    "frame", ROI.code, ROI.west - 30.0 * MARGIN, ROI.north + 30.0 * MARGIN, 30.0, 360, 360
)
"""Pixels of a scene that shows all of it."""
HAZEL_NORTH = ROI.north - 60_000.0
BUFFER_M = 600.0
NUMBERS = {
    "landsat-7": {"blue": 1, "green": 2, "red": 3, "nir08": 4, "swir16": 5, "swir22": 7},
    "landsat-8": {"blue": 2, "green": 3, "red": 4, "nir08": 5, "swir16": 6, "swir22": 7},
}
NUMBERS["landsat-9"] = NUMBERS["landsat-8"]
COEFFICIENTS = {"landsat-7": (2.3e-3, -0.011), "landsat-8": (2.0e-5, -0.1)}
COEFFICIENTS["landsat-9"] = COEFFICIENTS["landsat-8"]
BRIGHT = {"landsat-7": 120, "landsat-8": 20_000, "landsat-9": 20_000}
CLEAR, CLOUD, SHADOW = 30048, 22280, 23888
"""QA_PIXEL of Collection 2 as USGS writes it: clear snow, surely cloud, shadow of one."""


@dataclass(frozen=True)
class Shot:
    """One granule.

    Attributes
    ----------
    start : str
        When, UTC.
    cloud, gap : callable or None
        Rows and columns of the ROI (floats beyond it) to where cloud is, or nothing was measured.
    light : float
        Brightness over the usual one.
    more : tuple of str
        Files beyond the usual ones: swir16, sza.
    """

    start: str
    platform: str = "landsat-8"
    path: int = 7
    row: int = 113
    grid: PixelGrid = FRAME
    cloud: Callable[[Any, Any], Any] | None = None
    gap: Callable[[Any, Any], Any] | None = None
    swir: Callable[[Any, Any], Any] | None = None
    light: float = 1.0
    sun: float = 25.0
    cover: float = 5.0
    seed: int = 1
    gap_files: bool = False
    more: tuple[str, ...] = ()

    @property
    def moment(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.start).replace(tzinfo=dt.UTC)

    @property
    def id(self) -> str:
        prefix = {"landsat-7": "LE07", "landsat-8": "LC08", "landsat-9": "LC09"}[self.platform]
        made = self.moment + dt.timedelta(days=12)
        return f"{prefix}_L1GT_{self.path:03}{self.row:03}_{self.moment:%Y%m%d}_{made:%Y%m%d}_02_T2"

    @property
    def numbers(self) -> dict[str, int]:
        return NUMBERS[self.platform]

    def where(self, rule: Callable[[Any, Any], Any] | None) -> BOOL:
        """Return where a rule holds on the pixels of the granule, shape (ny, nx)."""
        if rule is None:
            return np.zeros(self.grid.shape, dtype=bool)
        rows = (ROI.north - self.grid.y) / 30.0 - 0.5
        columns = (self.grid.x - ROI.west) / 30.0 - 0.5
        return np.broadcast_to(rule(rows[:, None], columns[None, :]), self.grid.shape).astype(bool)

    def images(self) -> dict[str, NDArray[Any]]:
        """Return numbers of each file by its common name."""
        draw = np.random.default_rng(self.seed)
        kind = np.uint8 if self.platform == "landsat-7" else np.uint16
        cloud, gap, bright = (self.where(rule) for rule in (self.cloud, self.gap, self.swir))
        level = self.light * BRIGHT[self.platform]
        made: dict[str, NDArray[Any]] = {}
        for n, band in enumerate(("red", "green", "blue", "swir16")):
            usual = level * (0.25 if band == "swir16" else 1.0 + 0.05 * n)
            ground = usual * draw.uniform(0.9, 1.1, self.grid.shape)
            ground[cloud] *= 1.2
            if band == "swir16":
                ground[bright] = 1.5 * level
            made[band] = np.where(gap, 0, np.clip(ground, 1, np.iinfo(kind).max)).astype(kind)
        quality = np.where(cloud, CLOUD, CLEAR)
        quality[(self.grid.ny // 2) : (self.grid.ny // 2) + 3] = SHADOW
        made["qa_pixel"] = np.where(gap, 1, quality).astype(np.uint16)
        radsat = np.zeros(self.grid.shape, dtype=np.uint16)
        radsat[150:160, 150:160] = 1 << (self.numbers["red"] - 1)
        radsat[170:175, 150:160] = sum(1 << (self.numbers[b] - 1) for b in ("red", "green", "blue"))
        made["qa_radsat"] = np.where(gap, 0, radsat).astype(np.uint16)
        zenith = 9_000.0 - 100.0 * (self.sun + np.linspace(-1.0, 1.0, self.grid.nx))[None, :]
        zenith = np.broadcast_to(zenith, self.grid.shape)
        made["sza"] = np.where(gap, 0, zenith.round()).astype(np.int16)
        return {name: made[name] for name in file_names(self)}


def file_names(shot: Shot) -> dict[str, str]:
    wanted = ("red", "green", "blue", "qa_pixel", "qa_radsat", *shot.more)
    number = shot.numbers
    return {
        name: f"{shot.id}_" + (f"B{number[name]}.TIF" if name in number else f"{name.upper()}.TIF")
        for name in wanted
    }


def mtl(shot: Shot) -> bytes:
    """Write the metadata file in JSON, as Collection 2 has it; corners are centres of pixels."""
    west, south, east, north = shot.grid.bounds
    utm = shot.grid.code != "EPSG:3031"
    place = (
        {"MAP_PROJECTION": "UTM", "DATUM": "WGS84", "UTM_ZONE": shot.grid.code[-2:]}
        if utm
        else {"MAP_PROJECTION": "PS", "DATUM": "WGS84", "VERTICAL_LON_FROM_POLE": "0.00000",
              "TRUE_SCALE_LAT": "-71.00000", "FALSE_EASTING": "0", "FALSE_NORTHING": "0"}
    )  # fmt: skip
    corners = {
        f"CORNER_{name}_PROJECTION_{axis}_PRODUCT": f"{value:.3f}"
        for name, at in (("UL", (west + 15, north - 15)), ("LR", (east - 15, south + 15)))
        for axis, value in zip("XY", at, strict=True)
    }
    files, (mult, add) = file_names(shot), COEFFICIENTS[shot.platform]
    groups = {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": shot.id, "PROCESSING_LEVEL": "L1GT", "COLLECTION_NUMBER": "02",
            "COLLECTION_CATEGORY": "T2",
            **{f"FILE_NAME_BAND_{n}": files[b] for b, n in shot.numbers.items() if b in files},
            "FILE_NAME_QUALITY_L1_PIXEL": files["qa_pixel"],
            "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION": files["qa_radsat"],
            **({"FILE_NAME_ANGLE_SOLAR_ZENITH_BAND_4": files["sza"]} if "sza" in files else {}),
        },
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": shot.platform.upper().replace("-", "_"), "SENSOR_ID": "X",
            "WRS_PATH": f"{shot.path}", "WRS_ROW": f"{shot.row}",
            "DATE_ACQUIRED": f"{shot.moment:%Y-%m-%d}",
            "SCENE_CENTER_TIME": f"{shot.moment:%H:%M:%S}Z", "CLOUD_COVER": f"{shot.cover:.2f}",
            "SUN_AZIMUTH": "60.0", "SUN_ELEVATION": f"{shot.sun}", "EARTH_SUN_DISTANCE": "0.985",
        },
        "PROJECTION_ATTRIBUTES": {
            **place, **corners, "GRID_CELL_SIZE_REFLECTIVE": "30.00", "ORIENTATION": "NORTH_UP",
            "REFLECTIVE_LINES": str(shot.grid.ny), "REFLECTIVE_SAMPLES": str(shot.grid.nx),
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            f"REFLECTANCE_{key}_BAND_{n}": str(value)
            for n in shot.numbers.values() for key, value in (("MULT", mult), ("ADD", add))
        },
    }  # fmt: skip
    return json.dumps({"LANDSAT_METADATA_FILE": groups}).encode()


def write_image(path: Path, values: NDArray[Any], grid: PixelGrid) -> None:
    transform = Affine(grid.spacing, 0.0, grid.west, 0.0, -grid.spacing, grid.north)
    with rasterio.open(
        path, "w", driver="COG", width=grid.nx, height=grid.ny, count=1, dtype=values.dtype.name,
        crs=grid.code, transform=transform, BLOCKSIZE=128, COMPRESS="NONE", OVERVIEW_COUNT=2,
        OVERVIEW_RESAMPLING="NEAREST",
    ) as image:  # fmt: skip
        image.write(values, 1)


def write_shot(shot: Shot, folder: Path) -> Path:
    """Write the files of a granule into a folder of its own; return its MTL file."""
    home = folder / shot.id
    home.mkdir(parents=True)
    names = file_names(shot)
    for name, values in shot.images().items():
        write_image(home / names[name], values, shot.grid)
    if shot.gap_files:
        _write_gap_files(shot, home / "gap_mask")
    path = home / f"{shot.id}_MTL.json"
    path.write_bytes(mtl(shot))
    return path


def _write_gap_files(shot: Shot, home: Path) -> None:
    home.mkdir()
    held = (~shot.where(shot.gap)).astype(np.uint8)
    for band in ("red", "green", "blue"):
        plain = home / "plain.TIF"
        write_image(plain, held, shot.grid)
        packed = gzip.compress(plain.read_bytes(), mtime=0)
        (home / f"{shot.id}_GM_B{shot.numbers[band]}.TIF.gz").write_bytes(packed)
        plain.unlink()


def part(rows: tuple[int, int], columns: tuple[int, int]) -> PixelGrid:
    """Return pixels by rows and columns of the ROI, negative ones beyond it."""
    return PixelGrid(
        "part", ROI.code, ROI.west + 30.0 * columns[0], ROI.north - 30.0 * rows[0], 30.0,
        columns[1] - columns[0], rows[1] - rows[0],
    )  # fmt: skip


def stripes(rows: Any, columns: Any) -> Any:
    """Gaps of a broken scan line corrector: 10 of 33 rows, across the flight."""
    return (rows + 0.2 * columns) % 33.0 < 10.0


def swath(rows: Any, columns: Any) -> Any:
    """Those gaps, and the outside of the swath in a corner."""
    return stripes(rows, columns) | (rows + columns < 60.0)


def outlines(path: Path) -> Path:
    """Write the outlines of two shelves; with the buffer, Rowan's region fills `ROI`."""
    inner = BUFFER_M + 5.0
    west, south, east, north = ROI.bounds
    rowan = shapely.box(west + inner, south + inner, east - inner, north - inner)
    drop = ROI.north - HAZEL_NORTH
    hazel = shapely.box(west + inner, south + inner - drop + 4_500.0, east - inner - 4_500.0,
                        north - inner - drop)  # fmt: skip
    table = gpd.GeoDataFrame({"NAME": ["Rowan", "Hazel"]}, geometry=[rowan, hazel], crs=ROI.code)
    table.to_file(path, driver="GPKG")
    return path


def catalogued(kind: str, sources: list[Path], catalogue: Path, collection: str) -> None:
    paths = [str(path) for path in sources]
    found = list(ingest(kind, paths, catalogue=str(catalogue), collection=collection))
    assert [done.state for done in found] == ["added"] * len(paths), [d.reason for d in found]


@dataclass(frozen=True)
class Bay:
    """Files, their catalogue, and the granules by id."""

    folder: Path
    shots: dict[str, Shot] = field(hash=False)

    @property
    def catalogue(self) -> Path:
        return self.folder / "catalogue"

    def home(self, shot: Shot) -> Path:
        return self.folder / "files" / shot.id

    def file(self, shot: Shot, name: str) -> Path:
        return self.home(shot) / file_names(shot)[name]

    def document(self, summer: int, **changes: object) -> Document:
        """Return the run file of one summer of Rowan, with changes."""
        usual = {
            "product": "scenes",
            "catalogue": str(self.catalogue),
            "output": "out",
            "period": [f"{summer}-11-01", f"{summer + 1}-03-31"],
            "regions": "shelves",
            "inputs": {"landsat": ["landsat"]},
            "scenes": {
                "shelves": ["Rowan"], "buffer_km": BUFFER_M / 1e3, "chunk": 96,
                "choice": {"most": 2, "spares": 1}, "sun": "scene",
            },
        }  # fmt: skip
        return changed(usual, **changes)


def bay(folder: Path, shots: list[Shot]) -> Bay:
    """Write and ingest granules and outlines."""
    catalogue = folder / "catalogue"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [write_shot(shot, folder / "files") for shot in shots]
    if paths:
        catalogued("landsat", paths, catalogue, "landsat")
    catalogued("ice-shelves", [outlines(folder / "shelves.gpkg")], catalogue, "shelves")
    return Bay(folder, {shot.id: shot for shot in shots})


@contextlib.contextmanager
def without_workers() -> Iterator[None]:
    """Carry keys out in this process."""
    with mock.patch.object(execution._Workforces, "of", return_value=None):
        yield


class Arrays:
    """What is read of a product, by the paths of its arrays."""

    @property
    def group(self) -> zarr.Group:
        raise NotImplementedError

    def array(self, path: str) -> NDArray[Any]:
        return stored.values(self.group, path)

    def words(self, path: str) -> list[str]:
        """Return the labels along a dimension."""
        return str(self.group[path].attrs["flag_meanings"]).split()

    def chosen(self, path: str) -> list[str]:
        """Return labels of the selected scenes, in the order in which they are laid."""
        taken = [c - 1 for c in self.array(f"{path}/candidate_of") if c > 0]
        return [self.words(f"{path}/candidate")[c] for c in taken]

    def place(self, path: str, label: str) -> int:
        """Return where a scene lies."""
        index = self.words(f"{path}/candidate").index(label) + 1
        return int(np.flatnonzero(self.array(f"{path}/candidate_of") == index)[0])

    def counts(self, path: str, label: str) -> NDArray[Any]:
        """Return the stored numbers of a scene, shape (band, ny, nx)."""
        return stored.values(self.group, f"{path}/reflectance", self.place(path, label))

    def mask(self, path: str, label: str) -> NDArray[Any]:
        """Return the flags of a scene, shape (ny, nx)."""
        return stored.values(self.group, f"{path}/mask", self.place(path, label))


@dataclass(frozen=True)
class Done(Arrays):
    """A run that was carried out here and published."""

    plan: Plan
    outcome: Outcome
    output: Path
    receipts: list[Receipt]

    @property
    def group(self) -> zarr.Group:
        """The plain copy."""
        return zarr.open_group(str(self.output / "product.zarr"), mode="r")


@dataclass(frozen=True)
class Tried(Arrays):
    """A run that was carried out in memory: its arrays, what failed and what is noted, by key."""

    plan: Plan
    held: zarr.Group
    failures: dict[str, str]
    notes: dict[str, str]

    @property
    def group(self) -> zarr.Group:
        return self.held


def tried(document: Document, folder: Path) -> Tried:
    """Do every key of a run in memory, one after the other; nothing is published."""
    plan = planned(document, folder)
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)
    failures, notes = {}, {}
    for stage in plan.stages:
        for key in stage.keys:
            try:
                notes[key] = stage.job(key, group).note
            except KeyFailed as failure:
                failures[key] = str(failure)
    return Tried(plan, group, failures, notes)


def written(document: Document, folder: Path) -> Path:
    """Write a run file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scenes.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def planned(document: Document, folder: Path) -> Plan:
    return scenes.plan(settings.read(written(document, folder)))


def found(document: Document, folder: Path) -> bytes:
    """Search for the scenes of a run, and record the search."""
    run = settings.read(written(document, folder))
    return landsat_search.record(scenes_inputs.resolve(run).search)


def carried_out(document: Document, folder: Path) -> Done:
    """Plan and execute a run in this process."""
    plan = planned(document, folder)
    receipts: list[Receipt] = []
    with without_workers():
        outcome = plan.execute(on_receipt=receipts.append)
    return Done(plan, outcome, Path(plan.output), receipts)


def choose(document: Document, **choices: object) -> Document:
    """Return a run file with other choices."""
    return changed(document, scenes=changed(document["scenes"], **choices))


def recorded(
    search: bytes, folder: Path, change: Callable[[list[dict[str, Any]]], None] | None = None
) -> Path:
    """Write a recorded search, its items changed."""
    document = copy.deepcopy(json.loads(search))
    if change is not None:
        change(document["features"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "changed.json"
    path.write_text(json.dumps(document))
    return path


def arrays(group: zarr.Group) -> Mapping[str, NDArray[Any]]:
    """Return every array below a group by its path."""
    found: dict[str, NDArray[Any]] = {}
    for name, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array):
            found[name] = np.asarray(member[...])
    return found


def pixels(path: Path, grid: PixelGrid = ROI, *, fill: int = 0) -> NDArray[Any]:
    """Read a file with rasterio and lay it on a grid of the same lattice, whole pixels only."""
    with rasterio.open(path) as source:
        values, at = source.read(1), source.transform
    laid = np.full(grid.shape, fill, dtype=values.dtype)
    row, column = round((grid.north - at.f) / at.e), round((grid.west - at.c) / at.a)
    rows = np.arange(grid.ny) + row
    columns = np.arange(grid.nx) + column
    inside = np.ix_(
        (rows >= 0) & (rows < values.shape[0]), (columns >= 0) & (columns < values.shape[1])
    )
    laid[inside] = values[np.ix_(rows[inside[0].ravel()], columns[inside[1].ravel()])]
    return laid


def counts(made: Bay, shot: Shot, *, elevation: Any = None) -> NDArray[np.float64]:
    """Compute stored counts from a granule's files in double precision, (band, row, column)."""
    mult, add = COEFFICIENTS[shot.platform]
    sine = np.sin(np.radians(shot.sun if elevation is None else elevation))
    numbers = np.stack([pixels(made.file(shot, band)) for band in ("red", "green", "blue")])
    rho = (mult * numbers.astype(float) + add) / sine
    return np.where(numbers == 0, 0.0, np.clip(np.rint(rho / 2.5e-5), 1, 65535))
