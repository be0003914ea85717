"""What a key costs beside its own work, against the engines' own maps.

``python -m tests.benchmarks.scaling [--quick] [--curve] [--costs FILE]``

Each side carries out the same small keys with two workers (:mod:`tests.benchmarks.scaling_sides`).
``dask-map`` is ``client.map`` against ours on Dask, ``ray-map`` remote functions against ours on
Ray; ``process-pool`` is the standard library's, beside both. Times are of the whole machine's
processor in our process tree, since all sides keep both cores busy and others may use them too;
wall-clock times stand beside. ``--curve`` adds 100 to 100,000 keys. ``--costs`` writes the unit
costs that ``nunatak simulate`` reads.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster import dask_cluster, ray_cluster
from tests.benchmarks import scaling_sides as sides
from tests.benchmarks.statement import peak_rss_mib
from tests.fixtures.products import expected

KEYS = 10_000
CURVE = (100, 1000, 10_000, 100_000)
PEERS = {"dask-map": "ours on dask", "ray-map": "ours on ray"}


@dataclass(frozen=True)
class Spent:
    """Time of one run: wall clock and processor of the whole tree [s]."""

    wall: float
    cpu: float


def main() -> None:
    """Compare the sides on the same keys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="600 keys, one run of each")
    parser.add_argument("--curve", action="store_true", help="100 to 100,000 keys, ours and map")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--costs", type=Path, help="write unit costs for `nunatak simulate`")
    asked = parser.parse_args()
    count, runs = (600, 1) if asked.quick else (asked.keys, asked.runs)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        started = first_results(stack, Path(folder))
        bench = Bench(Path(folder), started.pop("client"), started.pop("cluster"))
        spent, error = bench.compared(count, runs)
        more: dict[str, Any] = {"first_result_seconds": started}
        if asked.curve:
            more["curve_ms_per_key"] = bench.curve()
        tell(spent, count, error, more)
        if asked.costs:
            from tests.benchmarks import scaling_costs

            asked.costs.write_text(scaling_costs.measured(bench.client, Path(folder)).to_json())


def first_results(stack: ExitStack, folder: Path) -> dict[str, Any]:
    """Start both engines; return how long each takes to the first receipt, and the engines."""
    found: dict[str, Any] = {}
    for name, connect in (("client", dask_cluster.connect), ("cluster", ray_cluster.connect)):
        version = sides.version_of(folder, 1)
        begun = time.perf_counter()
        found[name] = stack.enter_context(connect(workers=sides.WORKERS))
        sides.ours(found[name], version, 1)
        engine = {"client": "dask", "cluster": "ray"}[name]
        found[engine] = round(time.perf_counter() - begun, 2)
    path = sides.plain_store(folder, 1)
    begun = time.perf_counter()
    sides.process_pool(path, 1)
    return found | {"process-pool": round(time.perf_counter() - begun, 2)}


class Bench:
    """Both engines, ready."""

    def __init__(self, folder: Path, client: Any, cluster: Any) -> None:
        self._folder = folder
        self.client = client
        self._cluster = cluster

    def sides(self, count: int) -> Mapping[str, Callable[[], Callable[[], Any]]]:
        """Return what prepares each side and gives the run of it, to be timed."""

        def ours(workforce: Any) -> Callable[[], Any]:
            version = sides.version_of(self._folder, count)

            def run() -> Any:
                sides.ours(workforce, version, count)
                return version.group

            return run

        def theirs(work: Callable[[str], None]) -> Callable[[], Any]:
            path = sides.plain_store(self._folder, count)

            def run() -> Any:
                work(path)
                return lambda: sides.zarr.open_group(path, mode="r")

            return run

        return {
            "ours on dask": lambda: ours(self.client),
            "dask-map": lambda: theirs(lambda path: sides.dask_map(self.client, path, count)),
            "ours on ray": lambda: ours(self._cluster),
            "ray-map": lambda: theirs(lambda path: sides.ray_map(path, count)),
            "process-pool": lambda: theirs(lambda path: sides.process_pool(path, count)),
        }

    def compared(self, count: int, runs: int) -> tuple[dict[str, list[Spent]], float]:
        """Time all sides in turn, and compare what they wrote with the truth."""
        self._warmed()
        spent: dict[str, list[Spent]] = {}
        truth, error = expected(count, run="a"), 0.0
        for _ in range(runs):
            for name, prepared in self.sides(count).items():
                taken, written = timed(prepared())
                spent.setdefault(name, []).append(taken)
                found = sides.stored(written(), count)
                error = max(error, float(np.nan_to_num(np.abs(found - truth), nan=9e9).max()))
        return spent, error

    def curve(self) -> dict[str, dict[str, float]]:
        """Return milliseconds of processor time for a key, by side and number of keys."""
        found: dict[str, dict[str, float]] = {}
        for count in CURVE:
            for name, prepared in self.sides(count).items():
                taken, _ = timed(prepared())
                found.setdefault(name, {})[str(count)] = round(1e3 * taken.cpu / count, 3)
                print(f"{count:7d} keys  {name:13} {1e3 * taken.cpu / count:8.3f} ms a key", end="")
                print(f"  ({1e3 * taken.wall / count:.3f} ms wall)", flush=True)
        return found

    def _warmed(self) -> None:
        """Let every worker import what it needs."""
        for name, prepared in self.sides(40).items():
            if name != "process-pool":
                prepared()()


def timed(run: Callable[[], Any]) -> tuple[Spent, Any]:
    """Run once; return the times and what the run returned."""
    before, begun = sides.processor_times(), time.perf_counter()
    written = run()
    wall = time.perf_counter() - begun
    return Spent(wall, sides.processor_seconds(before, sides.processor_times())), written


def tell(
    spent: Mapping[str, list[Spent]], count: int, error: float, more: Mapping[str, Any]
) -> None:
    """Print the table, then the line of JSON."""
    middle = {
        name: Spent(
            statistics.median(each.wall for each in runs),
            statistics.median(each.cpu for each in runs),
        )
        for name, runs in spent.items()
    }
    print(f"scaling, per key ({count} keys of one chunk, {sides.WORKERS} workers)")
    print(f"{'':14}{'wall [ms]':>11}{'cpu [ms]':>11}  runs")
    for name, each in middle.items():
        print(
            f"{name:14}{1e3 * each.wall / count:11.3f}{1e3 * each.cpu / count:11.3f}"
            f"{len(spent[name]):6d}"
        )
    own = {peer: middle[mine] for peer, mine in PEERS.items()}
    stated = {
        "benchmark": "scaling",
        "ratio": {peer: round(middle[peer].cpu / own[peer].cpu, 3) for peer in PEERS},
        "max_relative_error": error,
        "peak_rss_mib": round(peak_rss_mib()),
        "size": {"keys": count, "workers": sides.WORKERS, "chunk_bytes": 3200},
        "wall_ratio": {peer: round(middle[peer].wall / own[peer].wall, 3) for peer in PEERS},
        "cpu_ms_per_key": {name: round(1e3 * s.cpu / count, 3) for name, s in middle.items()},
        **more,
    }
    print(json.dumps(stated), flush=True)


if __name__ == "__main__":
    main()
