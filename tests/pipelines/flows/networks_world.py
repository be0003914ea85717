"""A world for networks: tiny annotated tiles and weights, ingested, and runs without Ray.

Tiles are written by hand: smooth bright ice, and damage that is dark, so that what is stored can be
computed again from the files alone. Runs work their keys in this process, where Ray's actors would.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rasterio
import torch
import yaml
import zarr
from numpy.typing import NDArray
from rasterio.transform import Affine

from cluster.ledger import Receipt
from cluster.zarr_sink import Repository
from pipelines import execution, settings
from pipelines.commands.products import FLOWS
from pipelines.flows import product_arrays, scenes_arrays
from pipelines.flows.product_arrays import Array
from pipelines.kernels.imagery import quality_bits
from pipelines.lifecycle import Outcome, Plan
from pipelines.nets import checkpoints
from pipelines.nets.checkpoints import ModelCard
from pipelines.nets.restorer import Restorer, RestorerSpec
from pipelines.nets.segmenter import Segmenter, SegmenterSpec
from stac.ingest import ingest
from stac.pixel_grids import PixelGrid

from .conftest import Document, changed

BANDS = ("red", "green", "blue")
COUNT = 2.5e-5
SIDE = 96


@dataclass(frozen=True)
class Drawn:
    """A tile before it is written.

    Attributes
    ----------
    name, region : str
    counts : ndarray of uint16, shape (band, y, x)
        Reflectance in steps of 2.5e-5; 0 where nothing was measured.
    label : ndarray of uint8, shape (y, x)
        0 intact, 1 damage, 255 none.
    """

    name: str
    region: str
    counts: NDArray[np.uint16]
    label: NDArray[np.uint8]
    day: str = ""

    @property
    def image(self) -> NDArray[np.float32]:
        """Reflectance [1], NaN where nothing was measured."""
        found = self.counts.astype(np.float32) * np.float32(COUNT)
        return np.where(self.counts > 0, found, np.float32(np.nan))


def drawn(
    name: str, region: str, *, bands: int = 3, side: int = SIDE, missing: float = 0.1
) -> Drawn:
    """Draw a tile of smooth ice with a dark rift, a part of it not measured."""
    rng = np.random.default_rng([len(name), *name.encode()])
    y, x = np.mgrid[:side, :side] / side
    ice = 0.7 + 0.1 * np.sin(6.0 * x + rng.uniform(0, 6)) * np.cos(4.0 * y)
    label = np.zeros((side, side), np.uint8)
    at = int(rng.integers(side // 4, side // 2))
    label[at : at + 8, side // 8 : -side // 8] = 1
    ice = np.where(label == 1, 0.4, ice) + 0.01 * rng.standard_normal((side, side))
    image = np.stack([ice * (1.0 + 0.02 * n) for n in range(bands)])
    counts = np.rint(image / COUNT).astype(np.uint16)
    counts[:, : int(missing * side)] = 0
    return Drawn(name, region, counts, label)


def write_tile(tile: Drawn, folder: Path) -> Path:
    """Write an image and its mask as GeoTIFF."""
    folder.mkdir(parents=True, exist_ok=True)
    bands, ny, nx = tile.counts.shape
    place = {"crs": "EPSG:3031", "transform": Affine(30.0, 0.0, 15.0, 0.0, -30.0, 1_000_015.0)}
    shape = {"driver": "GTiff", "height": ny, "width": nx, **place}
    path = folder / f"{tile.name}.tif"
    with rasterio.open(path, "w", count=bands, dtype="uint16", **shape) as file:
        file.write(tile.counts)
        file.update_tags(REGION=tile.region, SCALE=str(COUNT))
        if tile.day:
            file.update_tags(DATETIME=f"{tile.day}T12:00:00Z")
        for number, name in enumerate(BANDS[:bands], start=1):
            file.set_band_description(number, name)
    mask = path.with_name(f"{tile.name}_mask.tif")
    with rasterio.open(mask, "w", count=1, dtype="uint8", nodata=255, **shape) as file:
        file.write(tile.label, 1)
    return path


def add_tiles(catalogue: Path, tiles: Sequence[Drawn], folder: Path, collection: str) -> None:
    """Ingest tiles."""
    paths = [str(write_tile(tile, folder)) for tile in tiles]
    found = list(ingest("damage-labels", paths, catalogue=str(catalogue), collection=collection))
    assert [each.state for each in found] == ["added"] * len(paths), [e.reason for e in found]


def add_weights(catalogue: Path, data: bytes, name: str, folder: Path) -> str:
    """Ingest weights and return how a run file names them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    path.write_bytes(data)
    (done,) = ingest("weights", [str(path)], catalogue=str(catalogue), collection="nets")
    assert done.state == "added", done.reason
    return f"nets/{name}"


def segmenter_bytes(*, broken: bool = False, seed: int = 3, **spec: Any) -> bytes:
    """Return a tiny untrained segmenter; a broken one answers NaN to whatever it is shown."""
    torch.manual_seed(seed)
    network = Segmenter(SegmenterSpec("tiny", detail=4, **spec))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    if broken:
        last = [name for name, value in state.items() if value.ndim == 4][-1]
        state[last] = torch.full_like(state[last], 3e38)
    card = ModelCard("segmentation", "segformer", network.spec.as_json(), licence="CC0-1.0")
    return checkpoints.save(state, card, half=not broken)


def restorer_bytes(*, seed: int = 5, **spec: Any) -> bytes:
    """Return a tiny untrained restorer whose texture draws samples."""
    torch.manual_seed(seed)
    network = Restorer(RestorerSpec(**{"mean": (8, 16), "diffusion": (), **spec}))
    card = ModelCard("restoration", "restorer", network.spec.to_json(), licence="CC0-1.0")
    return checkpoints.save(network, card)


def document(product: str, catalogue: Path | str, **sections: Any) -> Document:
    """Return a run file."""
    made = {
        "product": product, "catalogue": str(catalogue), "output": "out",
        "period": ["2000-01-01", "2020-12-31"], product: {},
    }  # fmt: skip
    return changed(made, **sections)


def plan_of(run: Mapping[str, Any], folder: Path) -> Plan:
    """Plan a run file that is written into a folder."""
    import importlib

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(dict(run)))
    read = settings.read(path)
    plan: Plan = importlib.import_module(FLOWS[read.product]).plan(read)
    return plan


@contextmanager
def here() -> Iterator[None]:
    """Carry out every stage in this process, models too."""
    with mock.patch.object(execution._Workforces, "of", return_value=None):
        yield


def executed(plan: Plan) -> Outcome:
    """Carry out a plan in this process."""
    with here():
        return plan.execute()


def receipts(output: Path) -> dict[str, Receipt]:
    """Return the receipts beside a product by their undated keys."""
    lines = (output / "receipts.jsonl").read_text().splitlines()
    found = [Receipt.from_json(line) for line in lines]
    return {receipt.key.partition("@")[0]: receipt for receipt in found}


GRID = PixelGrid("bay", "EPSG:3031", 15.0, 1_000_015.0, 30.0, nx=200, ny=160)
"""Of the stored scenes."""


@dataclass(frozen=True)
class Stored:
    """Stored scenes, two with gaps, one without: counts (scene, band, y, x), masks."""

    counts: NDArray[np.uint16]
    mask: NDArray[np.uint16]

    @property
    def gap(self) -> NDArray[np.bool_]:
        """Where the stripes are, shape (scene, y, x)."""
        return (self.mask & np.uint16(quality_bits.GAP)) != 0


LABELS = ("2011-12-05", "2011-12-21", "2012-01-06b")
JITTERED = 120
"""Row of the first scene in whose gaps blue was measured."""
PLACES = (2, 1, 3)
"""Candidates, from 1, at the first three places; the last place is empty."""


def stored_scenes(*, gaps: bool = True) -> Stored:
    """Draw what a product of scenes would hold; the scene at the second place has no gaps."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[: GRID.ny, : GRID.nx]
    ice = 0.6 + 0.1 * np.sin(x / 9.0) * np.cos(y / 13.0)
    shape = (4, 3, GRID.ny, GRID.nx)
    image = ice + 0.02 * rng.standard_normal(shape)
    counts = np.rint(image / COUNT).astype(np.uint16)
    mask = np.zeros((4, GRID.ny, GRID.nx), np.uint16)
    if gaps:
        for n, phase in ((0, 0), (2, 11)):
            mask[n][(y + x // 5 + phase) % 33 < 9] = quality_bits.GAP
    outside = y + x < 40
    mask[:, outside] = quality_bits.FILL
    counts[np.broadcast_to(mask[:, None] != 0, shape)] = 0
    counts[0, 1, 100, 60:70] = 0
    if gaps:  # stripes of bands lie apart: here one band was measured in the gap of the others
        there = mask[0, JITTERED] == quality_bits.GAP
        counts[0, 2, JITTERED, there] = 21_000 + np.flatnonzero(there)
    counts[3], mask[3] = 0, quality_bits.FILL
    return Stored(counts, mask)


def write_scenes(output: Path, held: Stored, *, chunk: int = 32, encoding: str = "reflectance"):
    """Write a finished product of scenes, as readers of it find it."""
    run = yaml.safe_dump({"product": "scenes", "scenes": {"chunk": chunk, "encoding": encoding}})
    count, ny, nx = held.mask.shape
    plane = (count, ny, nx)
    quantities = scenes_arrays.GAP_QUANTITIES
    arrays = (
        Array("reflectance", ("scene", "band", "y", "x"), (count, 3, ny, nx),
              (1, 3, chunk, chunk), "1", "", "uint16"),
        Array("mask", ("scene", "y", "x"), plane, (1, chunk, chunk), "1", "", "uint16"),
        Array("selected", ("scene",), (count,), (count,), "1", "", "uint8"),
        Array("candidate_of", ("scene",), (count,), (count,), "1", "", "int32"),
        Array("time", ("scene",), (count,), (count,), "s", ""),
        Array("gap_record", ("scene", "gap_quantity"), (count, len(quantities)),
              (1, len(quantities)), "1", ""),
    )  # fmt: skip

    def template(group: zarr.Group) -> None:
        group.attrs.update({"nunatak:product": "scenes", "nunatak:run": run})
        made = group.require_group("amery/2011")
        product_arrays.create(made, arrays, {})
        product_arrays.labels(made, "candidate", LABELS)
        about = {name: getattr(GRID, name) for name in
                 ("name", "code", "west", "north", "spacing", "nx", "ny")}  # fmt: skip
        made.attrs["nunatak:grid"] = json.dumps(about)
        made["reflectance"][...], made["mask"][...] = held.counts, held.mask
        made["selected"][...] = np.array([1, 1, 1, 0], np.uint8)
        made["candidate_of"][...] = np.array([*PLACES, 0], np.int32)
        made["time"][...] = np.array([1.32e9, 1.33e9, 1.34e9, np.nan])
        record = np.full((count, len(quantities)), np.nan)
        record[:3, quantities.index("fraction")] = held.gap[:3].mean(axis=(1, 2))
        made["gap_record"][...] = record

    repository = Repository.open(str(output / "product.icechunk"))
    version = repository.begin("scenes")
    version.initialise(template)
    snapshot = repository.read(version.publish()).session.snapshot_id
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": "scenes", "bbox": [0, -80, 1, -79],
        "geometry": {"type": "Polygon", "coordinates": [
            [[0, -80], [1, -80], [1, -79], [0, -79], [0, -80]]]},
        "properties": {"datetime": "2011-12-05T13:00:00Z", "nunatak:snapshot": snapshot},
        "links": [], "assets": {},
    }  # fmt: skip
    (output / "item.json").write_text(json.dumps(item))
