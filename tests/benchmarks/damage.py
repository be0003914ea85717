"""Damage maps: how fast blocks are segmented, merged and searched for fractures, and their memory.

``python -m tests.benchmarks.damage [--quick]``. One thread; times are of the processor, per
megapixel of a scene (segment, restored, merge) or of a map (fractures).

* ours, segment: `SegmentJob` with the shipped `segmenter-b0`, blocks read from disk and written.
* ``authors-recipe``: the authors' loop (tiles of 512, half a tile of overlap, four flips one after
  the other, SegFormer-b2 in eager float32) on a part, by the forwards that a whole scene takes. Its
  network is the larger one: `segmentation` tells networks and loops apart.

``peak_mib`` holds the most memory of processes of their own that do every block of a job: of a map
(``base``), of one with four times the scenes (``scenes``), of one with four times the area
(``area``). Blocks have one side, so these should not differ. ``max_relative_error`` is the largest
difference of the stored probabilities from those of the network on the whole scene; half of a
count of 1/250 is rounding.
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr

from pipelines.flows import restoration_arrays, segmenting, shelf_damage_template
from pipelines.flows.network_inputs import Weights
from pipelines.flows.shelf_damage_arrays import EXTENT_QUANTITIES, SOURCES, counts, shares
from pipelines.flows.shelf_damage_fractures import FractureJob
from pipelines.flows.shelf_damage_merging import MergeJob
from pipelines.flows.shelf_damage_records import DamageScene, DamageSummer
from pipelines.flows.shelf_damage_segmenting import SegmentJob
from pipelines.kernels.imagery import radiometry
from pipelines.nets import checkpoints, models
from pipelines.nets.segmenter import paper_spec
from pipelines.settings_shelf_damage import ShelfDamageChoices
from stac.pixel_grids import PixelGrid
from tests.benchmarks.segmentation import own_peak_mib
from tests.benchmarks.segmentation_sides import TILE, AuthorsPredictor, image, spread
from tests.benchmarks.statement import Statement, Timing
from tests.benchmarks.threads import on_one_thread

MODULE = "tests.benchmarks.damage"
PATH = "bay/2011"
QUICK_SIDE = 512
TIME = 1_326_672_000.0
JOBS = ("segment", "merge")
CHOICES = ShelfDamageChoices(backend="torch")


@dataclass(frozen=True)
class Held:
    """A folder of arrays in place of a finished product."""

    path: str

    def open(self) -> zarr.Group:
        """Return its arrays."""
        return zarr.open_group(self.path, mode="r")


def main() -> None:
    """Measure, or do one job alone and tell its memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="blocks of 512² pixels")
    parser.add_argument("--alone", nargs=2, metavar=("JOB", "FOLDER"), help="a job on what is held")
    options = parser.parse_args()
    on_one_thread(MODULE)
    torch.set_num_threads(1)
    side = QUICK_SIDE if options.quick else 1024
    if options.alone:
        name, folder = options.alone
        work(name, Path(folder), side)
        print(own_peak_mib())
        return
    with tempfile.TemporaryDirectory() as folder:
        state(Path(folder), side).tell()


def state(folder: Path, side: int) -> Statement:
    """Measure times here, memory in processes of their own."""
    sizes = {"base": (2, side), "scenes": (8, side), "area": (2, 2 * side)}
    for name, (scenes, pixels) in sizes.items():
        write(folder / name, scenes, pixels, side)
    base = folder / "base"
    times = {name: timed(name, base, side) for name in ("segment", "restored", "merge",
                                                          "fractures")}  # fmt: skip
    peaks = {job: {name: alone(job, folder / name, side) for name in sizes} for job in JOBS}
    seconds = {name: each.cpu for name, each in times.items()}
    ours = dataclasses.replace(times["segment"], name="ours")
    whole = side * side / 1e6
    print("\n".join(f"{name:10s} {value:8.3f} s per Mpx" for name, value in seconds.items()))
    print("\n".join(f"{job:10s} {told} MiB" for job, told in peaks.items()))
    return Statement(
        "damage",
        [ours, authors()],
        largest_difference(base),
        {"side": side, "scenes": 2, "mpx": whole, "part": TILE},
        unit="Mpx", clock="cpu",
        more={"seconds_per_mpx": {k: round(v, 4) for k, v in seconds.items()}, "peak_mib": peaks},
    )  # fmt: skip


def write(folder: Path, scenes: int, pixels: int, side: int) -> None:
    """Write scenes, their restoration, and the empty product of one summer."""
    chunk = min(512, side)
    seen = image(pixels)
    held = np.where(np.isfinite(seen), np.rint(seen / radiometry.PER_COUNT), 0).astype(np.uint16)
    gap = (np.add.outer(np.arange(pixels), np.arange(pixels) // 6) % 33 < 8) & (held[0] > 0)
    stores = {name: zarr.open_group(str(folder / name), mode="w") for name in
              ("scenes", "restored", "product")}  # fmt: skip
    made = stores["scenes"].require_group(PATH)
    for group in (made, stores["restored"].require_group(PATH)):
        put(group, "reflectance", np.stack([held] * scenes), chunk)
    put(made, "mask", np.zeros((scenes, pixels, pixels), np.uint16), chunk)
    restored = stores["restored"][PATH]
    several = np.stack([gap] * scenes)
    put(restored, "restored", several.astype(np.uint8), chunk)
    put(restored, "spread", np.where(several, 800, 0).astype(np.uint16), chunk)
    fraction = round(0.25 / restoration_arrays.FRACTION_STEP)
    put(restored, "gap_fraction", np.where(several, fraction, 0).astype(np.uint8), chunk)
    shelf_damage_template.create(
        stores["product"], summers=(summer(scenes, pixels),), chunk=chunk, side=side,
        fractures=True, attributes={},
    )  # fmt: skip
    fill(stores["product"][PATH], held[0] > 0)


def put(group: zarr.Group, name: str, values: Any, chunk: int) -> None:
    lead = values.shape[1:-2] if values.ndim == 4 else ()
    array = group.create_array(
        name, shape=values.shape, chunks=(1, *lead, chunk, chunk), dtype=values.dtype
    )
    array[...] = values


def summer(scenes: int, pixels: int) -> DamageSummer:
    """Return a summer whose scenes are all alike but for their days."""
    held = tuple(
        DamageScene(n + 1, f"2012-01-{n + 1:02d}", TIME + n * 86_400.0, ("LE07",), 20.0, n, n)
        for n in range(scenes)
    )
    grid = PixelGrid("bay", "EPSG:3031", 1.2e6, 0.9e6, 30.0, nx=pixels, ny=pixels)
    return DamageSummer("bay", "Bay", 2011, grid, held)


def fill(made: zarr.Group, known: Any) -> None:
    """Write what scenes say, so that maps can be merged without a network."""
    y, x = np.indices(known.shape, dtype=np.float32)
    wave = np.clip(0.3 + 0.6 * np.sin(x / 17.0) * np.cos(y / 11.0), 0.0, 1.0)
    for scene in range(made["scene_probability"].shape[0]):
        made["scene_probability"][scene] = counts(np.where(known, wave, np.nan))
        made["scene_flags"][scene] = np.where(known, 9, 0).astype(np.uint8)
        made["scene_cloud"][scene] = np.full(known.shape, 255, np.uint8)
    record = np.zeros(len(EXTENT_QUANTITIES))
    record[0] = SOURCES.index("all that is seen")
    made["extent_record"][...] = record


def jobs(folder: Path, side: int) -> dict[str, Any]:
    """Return what does a key, by name."""
    data = models.shipped("segmenter-b0")
    weights = Weights("shipped:segmenter-b0", "", checkpoints.digest(data))
    scenes, restored = Held(str(folder / "scenes")), Held(str(folder / "restored"))
    told = {"images": {}, "weights": weights, "temperature": 1.0, "choices": CHOICES, "side": side}
    return {
        "segment": lambda: SegmentJob(scenes, None, **told).opened("cpu"),
        "restored": lambda: SegmentJob(scenes, restored, **told).opened("cpu"),
        "merge": lambda: MergeJob({}, b"", 100.0, CHOICES, side),
        "fractures": lambda: FractureJob(side),
    }


def work(name: str, folder: Path, side: int) -> Timing:
    """Do every block of a job; return its time per megapixel."""
    job = jobs(folder, side)[name]()
    group = zarr.open_group(str(folder / "product"), mode="r+")
    scenes, ny, nx = group[PATH]["scene_probability"].shape
    places = [f"{r}/{c}" for r in range(-(-ny // side)) for c in range(-(-nx // side))]
    keys = {
        "merge": [f"merge/{PATH}/{place}" for place in places],
        "fractures": [f"fractures/{PATH}"],
    }.get(name, [f"segment/{PATH}/{n}/{place}" for n in range(scenes) for place in places])
    cpu, wall = time.process_time(), time.perf_counter()
    for key in keys:
        job(key, group)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    megapixels = (1 if name == "fractures" else scenes) * ny * nx / 1e6
    return Timing(name, spent[0] / megapixels, spent[1] / megapixels, 1)


def timed(name: str, folder: Path, side: int) -> Timing:
    """Return the time of a second run: the first one loads and compiles."""
    work(name, folder, side)
    return work(name, folder, side)


def alone(name: str, folder: Path, side: int) -> int:
    """Return the peak memory of a process that does all blocks of a job [MiB]."""
    command = [sys.executable, "-m", MODULE, "--alone", name, str(folder)]
    if side == QUICK_SIDE:
        command.append("--quick")
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(float(told.stdout.splitlines()[-1]))


def authors() -> Timing:
    """Return the authors' loop per megapixel, from one tile and its four flips."""
    part = np.nan_to_num(image(TILE), nan=0.7)
    sample = part[:, -TILE // 2 :, -TILE // 2 :]
    peer = AuthorsPredictor(spread(paper_spec(), sample))
    peer.predict(part)
    started, wall = time.process_time(), time.perf_counter()
    peer.predict(part)
    # Half a tile of overlap: a tile advances by a quarter of its area.
    new = (TILE / 2) ** 2 / 1e6
    spent = time.perf_counter() - wall, time.process_time() - started
    return Timing("authors-recipe", spent[0] / new, spent[1] / new, 1)


def largest_difference(folder: Path) -> float:
    """Return the largest difference of what was stored from the network on the whole scene [1]."""
    stored = zarr.open_group(str(folder / "product"), mode="r")[PATH]
    work("segment", folder, stored["scene_probability"].shape[1])
    held = Held(str(folder / "scenes")).open()[PATH]["reflectance"][0]
    seen = np.where(held > 0, radiometry.reflectance_of(held), np.float32(np.nan))
    before = CHOICES.tiles.tile - CHOICES.tiles.overlap
    margins = (before, CHOICES.tiles.overlap)
    network = segmenting.of_bytes(
        models.shipped("segmenter-b0"), name="b0", sha256=checkpoints.digest(
            models.shipped("segmenter-b0")), device="cpu", backend="torch", threads=1,
    )  # fmt: skip
    wide = np.pad(seen, ((0, 0), margins, margins), constant_values=np.nan)
    found = network.probability(wide, tile=CHOICES.tiles.tile, overlap=CHOICES.tiles.overlap)
    inner = found[before : before + seen.shape[1], before : before + seen.shape[2]]
    return float(np.nanmax(np.abs(inner - shares(stored["scene_probability"][0]))))


if __name__ == "__main__":
    main()
