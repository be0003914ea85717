"""Results stream into the bucket: neither memory nor the local disk grows with the product."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from cluster.zarr_sink import Repository
from tests.fixtures.seaweed import S3Store
from tests.services.streamed_product import SIDE, field_of

pytestmark = [pytest.mark.services, pytest.mark.slow]

FEW, MANY = 24, 240
DIFFERENCE = (MANY - FEW) * SIDE * SIDE * 8
SLACK = DIFFERENCE // 4
"""What allocators keep in three processes and the ledger of ten times the keys may take [bytes]."""
A_FEW_FILES = 8 * 2**20
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Peak:
    """The most memory of a program and of those it started, and the most on a disk [bytes]."""

    program: psutil.Process
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
        while not self._ended.wait(0.1):
            self.memory = max(self.memory, _memory(self.program))
            self.disk = max(self.disk, _size(self.folder))


def _memory(program: psutil.Process) -> int:
    try:
        return sum(map(_own_memory, [program, *program.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def _own_memory(process: psutil.Process) -> int:
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


def streamed(keys: int, url: str, folder: Path) -> Peak:
    """Stream so many keys by a program of its own, whose working folder is `folder`."""
    folder.mkdir()
    own = {"TMPDIR": str(folder), "DASK_TEMPORARY_DIRECTORY": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.services.streamed_product", str(keys), url]
    with (
        subprocess.Popen(command, cwd=folder, env={**os.environ, **own}) as program,
        Peak(psutil.Process(program.pid), folder) as peak,
    ):
        assert program.wait(timeout=300) == 0
    return peak


def test_a_product_ten_times_as_large_needs_no_more_memory_or_disk(
    s3_environment: S3Store, tmp_path: Path
) -> None:
    few = streamed(FEW, s3_environment.url("few"), tmp_path / "few")
    many = streamed(MANY, s3_environment.url("many"), tmp_path / "many")

    group = Repository.open(s3_environment.url("many")).begin("streamed").group()
    np.testing.assert_array_equal(group["field"][MANY - 1], field_of(MANY - 1))
    assert few.memory > 100 * 2**20  # driver and workers were seen
    assert many.memory < few.memory + SLACK
    assert many.disk < A_FEW_FILES
