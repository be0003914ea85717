"""Velocities and thickness at the nodes of a gate, against other ways to them.

``python -m tests.benchmarks.gates [--quick] [--threads N] [--folder PATH]``. 280,000 nodes along
the grounding line, v_x and v_y of 21 years and a thickness on 5600² cells of 1 km.

* ours: :func:`pipelines.flows.gate_reading.sample` from the time-contiguous store; that from the
  published layout, a chunk per year, and from shards stand beside it.
* ``scipy-RegularGridInterpolator``: year by year from the published layout, which suits it best.
* ``xarray-interp-dask``: ``Dataset.interp`` on the same store, on Dask.

All sides run on as many threads of Zarr, Dask and linear algebra: one, and the clock is that of the
processor, unless ``--threads`` asks for more; then it is that of the wall. A missing corner makes a
missing node, as it does for the peers. Stores are written once, by a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from pipelines.flows import gate_reading
from tests.benchmarks import gate_grids
from tests.benchmarks.gate_grids import VELOCITIES, Size
from tests.benchmarks.statement import Statement, alternate, peak_rss_mib
from tests.benchmarks.threads import on_one_thread
from tests.fixtures.counted_reads import CountedReads

FULL = Size(side=5600, years=21, nodes=280_000, chunk=128, tile=512, inner=32)
QUICK = Size(side=2800, years=12, nodes=140_000, chunk=64, tile=256, inner=32)
NAMES = (*VELOCITIES, "thickness")

Sampled = dict[str, NDArray[np.float64]]


def main() -> None:
    """Write stores unless they are there, then compare all sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2800² cells, 12 years")
    parser.add_argument("--threads", type=int, default=1, help="of every side")
    parser.add_argument("--folder", type=Path, help="where stores are, or stay")
    parser.add_argument("--memory", action="store_true", help="only tell the memory of our side")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.gates")
    zarr.config.set({"threading.max_workers": options.threads})
    size = QUICK if options.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="gates-") as temporary,
        dask.config.set(scheduler="threads", num_workers=options.threads),
    ):
        folder = options.folder or Path(temporary)
        if options.memory:
            Ours(folder / "time_contiguous", size, options.threads).sample()
            print(peak_rss_mib())
            return
        state(folder, size, options.threads, quick=options.quick).tell()


def state(folder: Path, size: Size, threads: int, *, quick: bool) -> Statement:
    """Time and compare all sides."""
    seconds = written(folder, size)
    # First, while this process is small: a child's peak begins at that of its parent.
    peak = memory_of_a_process_of_its_own(folder, threads, quick=quick)
    ours = {name: Ours(folder / name, size, threads) for name in size.layouts}
    peers = {
        "scipy-RegularGridInterpolator": lambda: by_year(folder / "year_major", size),
        "xarray-interp-dask": lambda: by_xarray(folder / "year_major", size),
    }
    mine = ours["time_contiguous"].sample()
    errors = {name: difference(mine, peer()) for name, peer in peers.items()}
    sides: dict[str, Callable[[], object]] = {"ours": ours["time_contiguous"].sample, **peers}
    sides |= {f"ours, {name}": ours[name].sample for name in ("year_major", "sharded")}
    more = {
        "bytes_read_share": {name: each.share_of_bytes() for name, each in ours.items()},
        "same_bits_from_all_layouts": all(same(mine, each.sample()) for each in ours.values()),
        "finite_share_of_results": round(float(np.isfinite(mine["v_x"]).mean()), 4),
        "growth_exponents": growth(folder, size, runs=1 if quick else 3),
        "seconds_to_write_stores": seconds,
        "threads": threads,
    }
    *timings, year_major, sharded = alternate(sides, runs=2 if quick else 5)
    more["our_cpu_s_by_layout"] = {
        "time_contiguous": round(timings[0].cpu, 3),
        "year_major": round(year_major.cpu, 3),
        "sharded": round(sharded.cpu, 3),
    }
    shape = {"nodes": size.nodes, "years": size.years, "cells": f"{size.side}²"}
    return Statement(
        "gates",
        timings,
        max(errors.values()),
        shape | {"fields": 2 * size.years + 1, "outline": gate_grids.outlines()[2]},
        unit="sample of all nodes, variables and years",
        more=more,
        clock="cpu" if threads == 1 else "wall",
        peak_mib=peak,
    )


class Ours:
    """Our side, from one store."""

    def __init__(self, path: Path, size: Size, threads: int = 1) -> None:
        self.path, self.size, self.threads = path, size, threads
        self.nodes = gate_grids.gate(size.nodes)

    def sample(self, years: int | None = None) -> Sampled:
        """Return values at all nodes: opened, planned, read and interpolated."""
        return self._sample_from(str(self.path), years)

    def share_of_bytes(self) -> float:
        """Return bytes read at the store as a part of all that it holds of the arrays."""
        store = CountedReads(zarr.storage.LocalStore(self.path, read_only=True))
        opened(store)
        store.bytes_read = 0
        self._sample_from(store, None)
        files = (path for name in NAMES for path in (self.path / name).rglob("*"))
        whole = sum(p.stat().st_size for p in files if p.is_file() and p.name != "zarr.json")
        return round(store.bytes_read / whole, 4)

    def _sample_from(self, store: Any, years: int | None) -> Sampled:
        dataset = opened(store)
        if years is not None:
            dataset = dataset.isel(time=slice(0, years))
        do = gate_reading.sample if self.threads == 1 else gate_reading.sample_dask
        arrays = {name: dataset[name] for name in NAMES}
        return do(arrays, *self.size.axes, *self.nodes, missing="propagate")


def opened(store: Any) -> xr.Dataset:
    """Open a store lazily, without Dask."""
    return xr.open_zarr(store, chunks=None, consolidated=False, zarr_format=3)


def by_year(path: Path, size: Size) -> Sampled:
    """Read each year whole and interpolate it with SciPy."""
    group, nodes = zarr.open_group(path, mode="r"), gate_grids.gate(size.nodes)
    x, y = size.axes

    def at_nodes(grid: NDArray[Any]) -> NDArray[np.float64]:
        reader = RegularGridInterpolator(
            (y[::-1], x), grid[::-1], bounds_error=False, fill_value=np.nan
        )
        return np.asarray(reader((nodes[1], nodes[0])))

    found = {
        name: np.stack([at_nodes(group[name][year]) for year in range(size.years)])
        for name in VELOCITIES
    }
    return found | {"thickness": at_nodes(group["thickness"][:])}


def by_xarray(path: Path, size: Size) -> Sampled:
    """Interpolate the lazy dataset with xarray on Dask."""
    x, y = gate_grids.gate(size.nodes)
    at = {"x": xr.DataArray(x, dims="node"), "y": xr.DataArray(y, dims="node")}
    dataset = xr.open_zarr(path, chunks={}, consolidated=False, zarr_format=3)
    found = dataset[list(NAMES)].interp(**at, method="linear").compute()
    return {name: found[name].to_numpy() for name in NAMES}


def difference(ours: Sampled, theirs: Sampled) -> float:
    """Return the largest difference where both are measured, over the largest value [1]."""
    worst = 0.0
    for name, mine in ours.items():
        apart = np.abs(mine - theirs[name])
        if np.isfinite(apart).mean() < 0.99 * np.isfinite(mine).mean():
            msg = f"{name}: the peer misses nodes that we have; compare the same missing policy"
            raise ValueError(msg)
        worst = max(worst, float(np.nanmax(apart) / np.nanmax(np.abs(theirs[name]))))
    return worst


def same(a: Sampled, b: Sampled) -> bool:
    """Whether two samples are the same bits."""
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def growth(folder: Path, size: Size, *, runs: int) -> dict[str, Any]:
    """Return how our time grows: the slope of log time on log size, of four sizes each.

    Years are read from the layout that holds each apart; nodes from the time-contiguous one.
    """
    years = sorted({max(1, round(size.years * part)) for part in (0.125, 0.25, 0.5, 1.0)})
    nodes = [size.nodes * times // 2 for times in (1, 2, 4, 8)]
    at_years = Ours(folder / "year_major", size)
    gates = {n: Ours(folder / "time_contiguous", Size(**{**vars(size), "nodes": n})) for n in nodes}
    spent = {
        "years": {n: _cpu(lambda n=n: at_years.sample(n), runs) for n in years},
        "nodes": {n: _cpu(gates[n].sample, runs) for n in nodes},
    }
    slopes = {
        name: round(float(np.polyfit(np.log(list(of)), np.log(list(of.values())), 1)[0]), 3)
        for name, of in spent.items()
    }
    rounded = {name: {str(n): round(t, 3) for n, t in of.items()} for name, of in spent.items()}
    return slopes | {"cpu_s": rounded}


def _cpu(work: Callable[[], object], runs: int) -> float:
    """Return the least CPU time of some runs [s]."""
    spent = []
    for _ in range(runs):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def written(folder: Path, size: Size) -> float:
    """Write the stores in a process of their own unless all are there; return how long it took."""
    if all((folder / name / "zarr.json").is_file() for name in size.layouts):
        return 0.0
    started = time.perf_counter()
    subprocess.run([sys.executable, *gate_grids.write_command(folder, size)], check=True)
    return round(time.perf_counter() - started, 1)


def memory_of_a_process_of_its_own(folder: Path, threads: int, *, quick: bool) -> float:
    """Measure the memory of our side where no peer has run."""
    command = [sys.executable, "-m", "tests.benchmarks.gates", "--memory", f"--folder={folder}"]
    command += [f"--threads={threads}", *["--quick"] * quick]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    main()
