"""What a key costs beside its own work, against the engines' own maps.

``python -m tests.benchmarks.scaling [--quick] [--curve] [--costs FILE]``

Each side carries out the same small keys with two workers (:mod:`tests.benchmarks.scaling_sides`).
``dask-map`` is ``client.map`` against ours on Dask, ``ray-map`` remote functions against ours on
Ray; ``process-pool`` is the standard library's, beside both. Times are of the whole machine's
processor in our process tree, since all sides keep both cores busy and others may use them too;
wall-clock times stand beside. ``--curve`` runs 100 to 100,000 keys instead
(:mod:`tests.benchmarks.scaling_curve`). ``--costs`` writes the unit costs that ``nunatak simulate``
reads.
"""

import argparse
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from cluster import dask_cluster, ray_cluster
from tests.benchmarks import scaling_curve
from tests.benchmarks import scaling_sides as sides
from tests.benchmarks.statement import peak_rss_mib
from tests.fixtures.products import expected

KEYS = 10_000
SIDES = ("ours on dask", "dask-map", "ours on ray", "ray-map", "process-pool")
PEERS = {"dask-map": "ours on dask", "ray-map": "ours on ray"}


def main() -> None:
    """Compare the sides on the same keys, or draw their curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="600 keys, one run of each")
    parser.add_argument("--curve", action="store_true", help="100 to 100,000 keys instead")
    parser.add_argument("--engines", nargs="+", choices=scaling_curve.ENGINES, help="of the curve")
    parser.add_argument("--sizes", nargs="+", type=int, help="keys of the curve's points")
    parser.add_argument("--maps-to", type=int, default=10**9, help="most keys of the engines' maps")
    parser.add_argument("--points", type=Path, help="JSON to which the curve's points are added")
    parser.add_argument("--figure", type=Path, help="PNG of the curve")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--costs", type=Path, help="write unit costs for `nunatak simulate`")
    asked = parser.parse_args()
    if asked.curve:
        curve(asked)
    else:
        compare(asked)


def curve(asked: argparse.Namespace) -> None:
    """Measure the points asked for, one engine after the other, and draw all there are."""
    found = scaling_curve.Curve(asked.points)
    engines, sizes = asked.engines or scaling_curve.ENGINES, asked.sizes or scaling_curve.SIZES
    with tempfile.TemporaryDirectory() as folder:
        error = scaling_curve.measure(
            found, list(engines), sizes, Path(folder), maps_to=asked.maps_to
        )
    print(found.table())
    if asked.figure:
        scaling_curve.draw(found, asked.figure)
    stated = {"benchmark": "scaling-curve", "max_relative_error": error}
    print(json.dumps(stated | {"points": [vars(each) for each in found.points]}), flush=True)
    if error:
        raise SystemExit(1)


def compare(asked: argparse.Namespace) -> None:
    """Compare all sides on the same number of keys."""
    count, runs = (600, 1) if asked.quick else (asked.keys, asked.runs)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        started = first_results(stack, Path(folder))
        bench = Bench(Path(folder), started.pop("client"), started.pop("cluster"))
        spent, error = bench.compared(count, runs)
        more: dict[str, Any] = {"first_result_seconds": started}
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

    def prepared(self, count: int) -> Mapping[str, Callable[[], Callable[[], Any]]]:
        """Return what prepares each side and gives the run of it, to be timed."""
        workforces = dict.fromkeys(SIDES) | {
            "ours on dask": self.client, "dask-map": self.client, "ours on ray": self._cluster,
        }  # fmt: skip
        return {
            name: functools.partial(sides.prepared, name, workforces[name], self._folder, count)
            for name in SIDES
        }

    def compared(self, count: int, runs: int) -> tuple[dict[str, list[sides.Spent]], float]:
        """Time all sides in turn, and compare what they wrote with the truth."""
        self._warmed()
        spent: dict[str, list[sides.Spent]] = {}
        truth, error = expected(count, run="a"), 0.0
        for _ in range(runs):
            for name, prepared in self.prepared(count).items():
                taken, written = sides.timed(prepared())
                spent.setdefault(name, []).append(taken)
                found = sides.stored(written(), count)
                error = max(error, float(np.nan_to_num(np.abs(found - truth), nan=9e9).max()))
        return spent, error

    def _warmed(self) -> None:
        """Let every worker import what it needs."""
        for name, prepared in self.prepared(40).items():
            if name != "process-pool":
                prepared()()


def tell(
    spent: Mapping[str, list[sides.Spent]], count: int, error: float, more: Mapping[str, Any]
) -> None:
    """Print the table, then the line of JSON."""
    middle = {
        name: sides.Spent(
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
