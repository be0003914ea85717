"""Killed at any moment, the same command finishes with the same arrays."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr

from cluster.ledger import Receipt
from cluster.zarr_sink import NoRepository, NoVersion, Repository, receipts_of
from tests.fixtures.products import expected, keys, rows_of

COUNT = 24
ROOT = Path(__file__).resolve().parents[2]


def start(url: str, run: str, *extra: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fixtures.products", url, run, f"--keys={COUNT}", *extra]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def kill(driver: subprocess.Popen[str]) -> None:
    """End a driver, and whatever processes it left, without warning."""
    if driver.poll() is not None:
        driver.communicate()
        return
    family = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    for process in family[1:]:
        if process.is_running():
            process.kill()
    psutil.wait_procs(family[1:], timeout=20)


def finish(url: str, run: str, *extra: str) -> str:
    driver = start(url, run, *extra)
    tag = driver.communicate(timeout=120)[0].split()[-1]
    assert driver.returncode == 0
    return tag


def done_at(url: str, run: str) -> int:
    return sum(receipt.state == "done" for receipt in receipts_of(url, run).values())


def kill_after(driver: subprocess.Popen[str], url: str, run: str, done: int, delay: float) -> None:
    """Kill ``driver`` a moment after the ledger holds ``done`` keys; the delay is what varies."""
    deadline = time.monotonic() + 60.0
    while driver.poll() is None and done_at(url, run) < done:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(delay)
    kill(driver)


@contextmanager
def watched(url: str, *allowed: np.ndarray) -> Iterator[list[int]]:
    """Read the product over and over as a reader would; yield how often each state was seen.

    Whatever is read must be one of the ``allowed`` arrays, whole. The last read begins after the
    block has ended, however busy the machine is.
    """
    stop, seen, wrong = threading.Event(), [0] * len(allowed), []

    def watch() -> None:
        last = False
        while not last:
            last = stop.wait(0.01)
            try:
                store = Repository.open(url, read_only=True).read()
            except (NoVersion, NoRepository):
                continue
            rows = rows_of(zarr.open_group(store, mode="r"))
            matches = [np.array_equal(rows, each) for each in allowed]
            if any(matches):
                seen[matches.index(True)] += 1
            else:
                wrong.append(rows)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()
    assert not wrong, f"a reader saw {len(wrong)} half versions"


def receipts_in_history(url: str, run: str) -> list[str]:
    version = Repository.open(url).begin(run)
    history = version._repository.ancestry(branch=version.branch)
    lines = [line for info in history for line in info.metadata.get("receipts", [])]
    return sorted(Receipt.from_json(line).key for line in lines)


def survive(url: str, *extra: str, moments: int, seed: int) -> None:
    """Publish run a; kill run b at ``moments`` random moments; finish it; compare."""
    random = np.random.default_rng(seed)
    before, after = expected(COUNT, run="a"), expected(COUNT, run="b")
    assert finish(url, "a") == "v1"
    with watched(url, before, after) as seen:
        for _ in range(moments):
            fresh = ["--fresh"] if receipts_of(url, "b") == {} else []
            # However late the kill comes on a busy machine, it comes before the end.
            driver = start(url, "b", "--seconds=0.08", f"--held={COUNT - 4}", *fresh, *extra)
            wanted = min(COUNT // 2, done_at(url, "b") + int(random.integers(0, 4)))
            kill_after(driver, url, "b", max(wanted, 1), random.uniform(0, 0.08))
            assert Repository.open(url, read_only=True).history()[0].current
        done = done_at(url, "b")
        tag = finish(url, "b", *extra)

    assert 0 < done < COUNT, "no kill fell into the middle of the work"
    assert tag == "v2"
    assert min(seen) > 0
    assert receipts_in_history(url, "b") == sorted(keys(COUNT))
    group = zarr.open_group(Repository.open(url).read(), mode="r")
    np.testing.assert_array_equal(rows_of(group), after)


@pytest.mark.slow
def test_a_driver_killed_at_random_moments_finishes_with_equal_arrays(tmp_path):
    survive(str(tmp_path / "product.icechunk"), moments=6, seed=1)


@pytest.mark.slow
def test_a_driver_with_two_workers_killed_at_random_moments_does_too(tmp_path):
    survive(str(tmp_path / "product.icechunk"), "--workers=2", moments=3, seed=2)


@pytest.mark.slow
@pytest.mark.services
def test_a_driver_killed_while_it_writes_to_s3_does_too(s3_environment):
    survive(s3_environment.url("killed/product.icechunk"), moments=2, seed=3)


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.long
def test_a_driver_with_workers_killed_while_they_write_to_s3_does_too(s3_environment):
    survive(s3_environment.url("killed-workers/product.icechunk"), "--workers=2", moments=1, seed=4)


@pytest.mark.slow
@pytest.mark.services
def test_a_store_that_dies_and_comes_back_loses_no_committed_key(s3_environment):
    url = s3_environment.url("store-died/product.icechunk")
    driver = start(url, "a", "--seconds=0.05", "--batch=2")
    while done_at(url, "a") < 6:
        time.sleep(0.02)
    committed = receipts_of(url, "a")
    s3_environment.kill()
    time.sleep(0.5)
    s3_environment.restart()
    driver.communicate(timeout=120)

    assert finish(url, "a") == "v1"

    assert committed.items() <= receipts_of(url, "a").items()
    group = zarr.open_group(Repository.open(url).read(), mode="r")
    np.testing.assert_array_equal(rows_of(group), expected(COUNT, run="a"))


@pytest.mark.slow
def test_killed_before_its_first_commit_a_run_starts_from_nothing(tmp_path):
    for number, delay in enumerate(np.random.default_rng(5).uniform(0.5, 1.2, size=4)):
        url = str(tmp_path / str(number) / "product.icechunk")
        driver = start(url, "a", "--seconds=0.02", "--batch=1000")
        time.sleep(delay)
        kill(driver)

        finish(url, "a")

        group = zarr.open_group(Repository.open(url).read(), mode="r")
        np.testing.assert_array_equal(rows_of(group), expected(COUNT, run="a"))
