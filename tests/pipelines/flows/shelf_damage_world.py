"""Summers of damage maps made by hand, and runs on small synthetic shelves.

Stages after the first read what scenes say from arrays, so most facts about them are told of arrays
that are filled here, in memory. Whole runs stand on `tests.fixtures.shelf_scenes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines.flows import shelf_damage_template
from pipelines.flows.shelf_damage_arrays import WHOLE, counts
from pipelines.flows.shelf_damage_records import DamageScene, DamageSummer
from pipelines.lifecycle import Plan
from pipelines.nets import checkpoints
from pipelines.nets.checkpoints import ModelCard
from pipelines.nets.segmenter import SegmenterSpec
from stac.pixel_grids import PixelGrid
from tests.benchmarks.segmentation_sides import spread
from tests.fixtures import shelf_catalogue, shelf_scenes
from tests.fixtures.shelf_catalogue import Known
from tests.fixtures.shelf_scenes import Record

from . import networks_world as world
from .conftest import Document, changed

CHUNK = 64
WEST, NORTH = 1_200_000.0, 900_000.0
DAY = 86_400.0
MIDDLE = {2010: 1_295_136_000.0, 2011: 1_326_672_000.0, 2012: 1_358_294_400.0}
"""Noon of 16 January, the middle of summers, but for half a day [s]."""
SHELF = "bay"


def grid(ny: int, nx: int) -> PixelGrid:
    return PixelGrid(SHELF, "EPSG:3031", WEST, NORTH, 30.0, nx=nx, ny=ny)


def scene(number: int, summer: int, **told: Any) -> DamageScene:
    """Return a scene a few days from the middle of its summer."""
    made: dict[str, Any] = {
        "number": number, "label": f"{summer + 1}-01-{9 + number:02d}",
        "time": MIDDLE[summer] + (number - 7) * DAY, "sensors": ("LE07",), "sun_elevation": 20.0,
        "place": number - 1,
    }  # fmt: skip
    return DamageScene(**made | told)


def summer(
    year: int = 2011, *, ny: int = 96, nx: int = 136, scenes: int = 2, **told: Any
) -> DamageSummer:
    """Return a summer of a shelf; nothing is known of where it ends."""
    held = tuple(scene(n, year) for n in range(1, scenes + 1))
    return DamageSummer(SHELF, "Bay", year, grid(ny, nx), held, **told)


def product(*summers: DamageSummer, side: int = CHUNK, parts: Sequence[str] = ()) -> zarr.Group:
    """Return an empty product in memory."""
    import dataclasses

    named = tuple(dataclasses.replace(each, parts=(WHOLE, *parts)) for each in summers)
    group = zarr.open_group(MemoryStore(), mode="w")
    shelf_damage_template.create(
        group, summers=named, chunk=CHUNK if side % CHUNK == 0 else side, side=side,
        fractures=False, attributes={},
    )  # fmt: skip
    return group


def blocks(made: zarr.Group, side: int) -> list[str]:
    ny, nx = made["extent"].shape
    return [f"{row}/{column}" for row in range(-(-ny // side)) for column in range(-(-nx // side))]


@dataclass(frozen=True)
class Said:
    """What scenes say of each pixel, shapes (scene, y, x)."""

    probability: NDArray[np.float32]
    flags: NDArray[np.uint8]
    cloud: NDArray[np.uint8]
    spread: NDArray[np.float32]


def said(ny: int = 96, nx: int = 136, *, scenes: int = 2, seed: int = 7) -> Said:
    """Draw scenes: smooth probabilities, gaps, clouds, water, filled stripes."""
    rng = np.random.default_rng(seed)
    shape = (scenes, ny, nx)
    y, x = np.mgrid[:ny, :nx]
    wave = np.stack([np.sin(x / 11.0 + n) * np.cos(y / 7.0 - n) for n in range(scenes)])
    probability = np.clip(0.4 + 0.5 * wave + 0.1 * rng.standard_normal(shape), 0.0, 1.0)
    flags = np.full(shape, 1 | 8, np.uint8)
    flags[rng.random(shape) < 0.1] &= np.uint8(0xFF - 1)
    stripes = np.stack([(y + x // 5 + 9 * n) % 33 < 8 for n in range(scenes)])
    flags[stripes] |= np.uint8(4)
    cloudy = np.stack([np.hypot(y - 30 - 9 * n, x - 40 - 30 * n) < 18 for n in range(scenes)])
    flags[cloudy] &= np.uint8(0xFF - 8)
    pond = (y > 70) & (y < 84) & (x > 20) & (x < 60)
    flags[:, pond] |= np.uint8(2)
    cloud = np.where(cloudy, 0, rng.integers(1, 256, shape)).astype(np.uint8)
    unknown = rng.random(shape) < 0.15
    unknown[:, 5:9, 100:120] = True
    probability[unknown], flags[unknown] = np.nan, 0
    spread = np.where(stripes & ~unknown, 0.12, 0.0).astype(np.float32)
    return Said(probability.astype(np.float32), flags, cloud, spread)


def fill(made: zarr.Group, held: Said, *, cells: NDArray[np.bool_] | None = None) -> None:
    """Write what the scenes of a summer say; and its cells, as the extent job would."""
    made["scene_probability"][...] = counts(held.probability)
    made["scene_spread"][...] = counts(held.spread)
    made["scene_flags"][...] = held.flags
    made["scene_cloud"][...] = held.cloud
    if cells is not None:
        made["cells"][...] = cells.astype(np.uint8)


def box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """Return a rectangle by pixels from the upper left corner, rows downwards."""
    return shapely.box(WEST + 30 * west, NORTH - 30 * south, WEST + 30 * east, NORTH - 30 * north)


def segmenter(*, seed: int = 3, scores: bool = True, **spec: Any) -> bytes:
    """Return a tiny network of random weights whose card tells precision and recall.

    Its log-odds are spread, so that it says all from 0 to 1 of snow with cracks.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    snow = 0.7 + 0.1 * np.sin(x / 9.0) * np.cos(y / 7.0) - 0.3 * (np.abs(y - x) < 3)
    sample = (snow + 0.03 * rng.standard_normal((3, 96, 96))).astype(np.float32)
    form = SegmenterSpec("tiny", detail=4, **spec)
    network = spread(form, sample[: form.inputs], seed=seed)
    told = {"precision": 0.8, "recall": 0.9} if scores else {}
    card = ModelCard("segmentation", "segformer", network.spec.as_json(), scores=told,
                     split="held out: pine", licence="CC0-1.0")  # fmt: skip
    return checkpoints.save(network.state_dict(), card, half=True)


@dataclass(frozen=True)
class Bay:
    """Stored scenes of a small shelf, what is catalogued of it, and tiny weights."""

    folder: Path
    record: Record
    known: Known

    def document(self, **changes: Any) -> Document:
        """Return a run file."""
        made: Document = {
            "product": "shelf_damage", "catalogue": self.known.address, "output": "out",
            "period": ["1999-11-01", "2025-03-31"],
            "inputs": {"scenes": str(self.record.output), "segmenter": "nets/tiny",
                       "fronts": self.known.fronts},
            "shelf_damage": {"tiles": {"tile": 96, "overlap": 32}, "fractures": False,
                             "release": False, "backend": "torch", "least_covered": 0.0},
        }  # fmt: skip
        return changed(made, **changes)

    def plan(self, folder: Path, **changes: Any) -> Plan:
        return world.plan_of(self.document(**changes), folder)


def bay(
    folder: Path,
    names: Sequence[str] = ("cedar",),
    *,
    summers: Sequence[int] = (2010, 2011),
    **told: Any,
) -> Bay:
    """Write scenes, a catalogue and weights."""
    record = shelf_scenes.write_scenes(
        folder / "scenes", names, summers=summers, size=shelf_scenes.SMALL, **told
    )
    known = shelf_catalogue.write_catalogue(folder / "known", record)
    world.add_weights(Path(known.address), segmenter(), "tiny", folder / "in")
    return Bay(folder, record, known)


def segmented(plan: Plan, keys: Sequence[str] = ()) -> zarr.Group:
    """Work the first stage of a plan here and in memory, all of it or some keys."""
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)
    job = plan.stages[0].job.opened("cpu")  # type: ignore[union-attr]
    for key in keys or plan.stages[0].keys:
        job(key, group)
    return group
