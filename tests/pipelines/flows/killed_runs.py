"""`nunatak run` in a process group of its own, killed once it has committed some keys."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import zarr_sink
from pipelines.lifecycle import Plan

NUNATAK = str(Path(sys.executable).with_name("nunatak"))
LONGEST = 120.0
"""Seconds that a run may take to get as far as it is to be killed."""


def run_quietly(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NUNATAK, "run", str(path)],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def kill_after(keys: int, path: Path, plan: Plan) -> int:
    """Start a run, SIGKILL all of its processes when it has so many receipts; return how many."""
    process = subprocess.Popen(
        [NUNATAK, "run", str(path)],
        cwd=path.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + LONGEST
        while committed(plan) < keys and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.poll() is None, "the run ended before it was to be killed"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    return committed(plan)


def committed(plan: Plan) -> int:
    """Return how many keys a run has receipts for, 0 before it begins."""
    try:
        return len(zarr_sink.receipts_of(f"{plan.output}/product.icechunk", plan.run_id))
    except (zarr_sink.NoRepository, LookupError):
        return 0
