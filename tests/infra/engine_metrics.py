"""Which metrics Dask and Ray export, asked of real processes and kept in ``engine_metrics.json``.

``python -m tests.infra.engine_metrics`` starts a Dask scheduler with a worker and a Ray runtime
with an actor, lets each work, scrapes them and writes the file anew; it takes two minutes, most of
them until Ray has told all. Do that after an upgrade: a test refuses a file of other releases.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask
import ray
from prometheus_client.parser import text_string_to_metric_families

RECORD = Path(__file__).with_name("engine_metrics.json")
Names = dict[str, list[str]]
"""Labels by the name of a sample."""
RAY_SECONDS = 45.0
# Ray tells of a GPU only where there is one; its own table says which names it then uses.
GPU_NAMES = ("node_gpus_utilization", "node_gram_used", "node_gram_available")
GPU_LABELS = ["GpuDeviceName", "GpuIndex", "ip"]


def names(page: str) -> Names:
    """Return the samples of a page in Prometheus' text format, and their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
        if not family.samples:
            found.setdefault(family.name, set())
    return {name: sorted(each for each in found[name] if "otel" not in each) for name in found}


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 - of this machine
        return bytes(answer.read()).decode()


def of_dask() -> Mapping[str, Names]:
    """Return what a scheduler and a worker of Dask export after a little work."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        assert client.gather(client.map(str, range(8))) == [str(n) for n in range(8)]
        worker = next(iter(cluster.workers.values()))
        return {
            "scheduler": names(scraped(_page(cluster.scheduler))),
            "worker": names(scraped(_page(worker))),
        }


def _page(server: Any) -> str:
    return f"http://127.0.0.1:{server.http_server.port}/metrics"


def of_ray() -> Names:
    """Return what a Ray node exports while an actor lives, of all that it tells in a while."""
    from tests.fixtures.ray_head import _free_ports

    (port,) = _free_ports(1)
    folder = tempfile.mkdtemp(prefix="nt-", dir="/tmp")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        _temp_dir=folder,
        _metrics_export_port=port,
    )
    try:
        actor = ray.remote(_Counter).remote()
        assert ray.get([actor.next.remote(), ray.remote(_thrice).remote(1)]) == [1, 3]
        found: Names = {}
        until = time.monotonic() + RAY_SECONDS
        while time.monotonic() < until:
            time.sleep(5.0)
            for name, labels in names(scraped(f"http://127.0.0.1:{port}/metrics")).items():
                found[name] = sorted({*found.get(name, []), *labels})
        return found
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


class _Counter:
    def __init__(self) -> None:
        self._count = 0

    def next(self) -> int:
        self._count += 1
        return self._count


def _thrice(number: int) -> int:
    return 3 * number


def of_gpus() -> Names:
    """Return the names for GPUs, as Ray's own table of its node metrics has them."""
    from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

    return {f"ray_{name}": GPU_LABELS for name in GPU_NAMES if name in METRICS_GAUGES}


def main() -> None:
    record = {
        "releases": {"dask": dask.__version__, "ray": ray.__version__},
        **of_dask(),
        "ray": {**of_ray(), **of_gpus()},
    }
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
