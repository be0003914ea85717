"""Results stream into the bucket: neither memory nor the local disk grows with the product."""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr

from cluster import dask_cluster, work
from cluster.ledger import Receipt
from cluster.zarr_sink import Repository
from tests.fixtures.seaweed import S3Store

pytestmark = [pytest.mark.services, pytest.mark.slow]

SIDE = 512  # 2 MiB a key
FEW, MANY = 24, 120
SLACK = 48 * 2**20
"""Less than the 192 MiB by which the products differ, more than what allocators keep [bytes]."""
A_FEW_FILES = 8 * 2**20


def template_of(keys: int):
    def template(group: zarr.Group) -> None:
        group.create_array(
            "field", shape=(keys, SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype="f8",
            compressors=None, fill_value=np.nan,
        )  # fmt: skip

    return template


def write(key: str, group: zarr.Group) -> Receipt:
    """Write two mebibytes that cannot be compressed."""
    number = int(key)
    group["field"][number] = np.random.default_rng(number).random((SIDE, SIDE))
    return Receipt(key, "done")


@dataclass
class Peak:
    """The most memory of this process and of those it started, and the most on a disk [bytes]."""

    folder: Path
    memory: int = 0
    disk: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Peak":
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(0.1):
            self.memory = max(self.memory, sum(map(_memory, [own, *own.children(recursive=True)])))
            self.disk = max(self.disk, _size(self.folder))


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # gone between the listing and the look
    return total


def test_a_product_five_times_as_large_needs_no_more_memory_or_disk(
    s3_environment: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    peaks = {}
    with dask_cluster.connect(None, workers=2) as client:
        for keys in (FEW, FEW, MANY):  # the first to load what is loaded once
            url = s3_environment.url(f"streamed-{keys}-{time.monotonic_ns()}")
            version = Repository.open(url).begin("streamed")
            version.initialise(template_of(keys))
            with Peak(tmp_path) as peaks[keys]:
                work.process([str(n) for n in range(keys)], write, version=version, client=client)
            group = version.group()
            last = np.random.default_rng(keys - 1).random((SIDE, SIDE))
            np.testing.assert_array_equal(group["field"][keys - 1], last)

    assert peaks[MANY].memory < peaks[FEW].memory + SLACK
    assert peaks[MANY].disk < A_FEW_FILES
    assert os.environ["TMPDIR"] == str(tmp_path)
