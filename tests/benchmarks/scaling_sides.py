"""The sides of the benchmark ``scaling``: the same small key, by us and by each engine's own map.

A key makes 400 numbers and writes them as one chunk of an array. The engines' own maps write into a
plain Zarr store and return a number: no ledger, no receipts, no commits, nothing to resume from.
We write the same chunks as a version with a receipt for each key.
"""

import concurrent.futures
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr
from numpy.typing import NDArray

from cluster.dask_cluster import ONE_THREAD
from cluster.version import Version
from cluster.work import process
from cluster.zarr_sink import Repository
from tests.fixtures.products import Rows, Template, keys, row

WORKERS = 2


@dataclass(frozen=True)
class Spent:
    """Time of one run: wall clock and processor of the whole tree [s]."""

    wall: float
    cpu: float


def write_row(number: int, path: str) -> int:
    """Write the chunk of a key into a plain Zarr store, as anybody would."""
    group = zarr.open_group(path, mode="r+")
    group["rows"][number] = row(number, run="a")  # type: ignore[index]
    return number


def plain_store(folder: Path, count: int) -> str:
    """Make a plain Zarr store with an empty array, and return its path."""
    path = tempfile.mkdtemp(dir=folder)
    Template(count)(zarr.open_group(path, mode="w"))
    return path


def version_of(folder: Path, count: int) -> Version:
    """Make a version with an empty array."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "product.icechunk"
    version = Repository.open(str(path)).begin("a")
    version.initialise(Template(count))
    return version


def ours(workforce: Any, version: Version, count: int) -> None:
    """Carry out all keys and commit them."""
    process(keys(count), Rows(), version=version, client=workforce)


def dask_map(client: Any, path: str, count: int) -> None:
    """Write all chunks by ``client.map``."""
    client.gather(client.map(write_row, range(count), path=path, pure=False))


def ray_map(path: str, count: int) -> None:
    """Write all chunks by a remote function for each key."""
    import ray

    remote = ray.remote(num_cpus=1, runtime_env={"env_vars": dict(ONE_THREAD)})(write_row)
    ray.get([remote.remote(number, path) for number in range(count)])


def process_pool(path: str, count: int) -> None:
    """Write all chunks by ``ProcessPoolExecutor.map``, a key a message."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        list(pool.map(write_row, range(count), [path] * count))


def prepared(name: str, workforce: Any, folder: Path, count: int) -> Callable[[], Any]:
    """Prepare a side; return the run of it, to be timed, which returns what reads the result."""
    if name.startswith("ours"):
        version = version_of(folder, count)

        def our_run() -> Any:
            ours(workforce, version, count)
            return version.group

        return our_run
    path = plain_store(folder, count)
    works = {
        "dask-map": lambda: dask_map(workforce, path, count),
        "ray-map": lambda: ray_map(path, count),
        "process-pool": lambda: process_pool(path, count),
    }

    def their_run() -> Any:
        works[name]()
        return lambda: zarr.open_group(path, mode="r")

    return their_run


def timed(run: Callable[[], Any]) -> tuple[Spent, Any]:
    """Run once; return the times and what the run returned."""
    before, begun = processor_times(), time.perf_counter()
    written = run()
    wall = time.perf_counter() - begun
    return Spent(wall, processor_seconds(before, processor_times())), written


def stored(group: zarr.Group, count: int) -> NDArray[np.float64]:
    """Return what a side wrote."""
    return np.asarray(group["rows"][:count])  # type: ignore[index]


def processor_times() -> dict[int, float]:
    """Return the processor time of this process and of all that it started, by process [s].

    Under 0 stands what children took that have ended.
    """
    ended = os.times()
    spent = {0: ended.children_user + ended.children_system}
    for each in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = each.cpu_times()
        except psutil.Error:
            continue
        spent[each.pid] = times.user + times.system
    return spent


def processor_seconds(before: dict[int, float], after: dict[int, float]) -> float:
    """Return what was spent between two looks [s], but by grandchildren that have ended."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
