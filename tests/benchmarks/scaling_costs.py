"""Unit costs of keys, tasks and commits on Dask, measured for the simulation.

Processor times, not wall-clock times: other programs on the machine do not show in them. The same
keys run once with a task each and once many to a task; two equations give what a task and what a
key costs. Scheduler and driver are one process in a local cluster; its time is split evenly.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import zarr

from cluster.dask_crew import DaskWorkers
from cluster.unit_costs import Engine, UnitCosts
from cluster.version import Version
from cluster.work import process
from tests.benchmarks import scaling_sides as sides
from tests.fixtures.products import Rows, keys

KEYS = 240


@dataclass(frozen=True)
class Spent:
    """Processor seconds of one run: of the driver, of the workers; tasks; time of each commit."""

    driver: float
    workers: float
    tasks: int
    commits: tuple[float, ...]


def measured(client: Any, folder: Path) -> UnitCosts:
    """Return the costs on the workers of a client."""
    process(keys(20), Rows(), version=sides.version_of(folder, 20), client=client)
    job = job_seconds(folder)
    single = _spent(client, folder, most_keys=1)
    shared = _spent(client, folder, most_keys=DaskWorkers.most_keys)
    fewer = max(1, single.tasks - shared.tasks)
    driver_task = max(0.0, single.driver - shared.driver) / fewer
    driver_key = max(0.0, shared.driver - driver_task * shared.tasks) / KEYS
    worker_task = max(0.0, single.workers - shared.workers) / fewer
    worker_key = max(0.0, (shared.workers - worker_task * shared.tasks) / KEYS - job)
    commits = single.commits + shared.commits
    engine = Engine(
        scheduler_task=driver_task / 2,
        driver_task=driver_task / 2,
        driver_key=driver_key,
        worker_task=worker_task,
        worker_key=worker_key,
        commit=float(np.median(commits)),
    )
    return UnitCosts(engine=engine)


def job_seconds(folder: Path) -> float:
    """Return the processor time of the job itself [s]: it makes a row and stores it."""
    version = sides.version_of(folder, KEYS)
    group = zarr.open_group(version.fork().store, mode="r+")
    job = Rows()
    job("key/0", group)
    before = time.process_time()
    for name in keys(KEYS)[1:]:
        job(name, group)
    return (time.process_time() - before) / (KEYS - 1)


def _spent(client: Any, folder: Path, *, most_keys: int) -> Spent:
    version = sides.version_of(folder, KEYS)
    tasks: list[int] = []
    commits: list[float] = []
    submit, commit = DaskWorkers.submit, Version.commit

    def submitted(self: DaskWorkers, *given: Any) -> Any:
        tasks.append(1)
        return submit(self, *given)

    def committed(self: Version, *given: Any) -> Any:
        before = time.thread_time()
        done = commit(self, *given)
        commits.append(time.thread_time() - before)
        return done

    pids = list(client.run(os.getpid).values())
    workers = [psutil.Process(pid) for pid in pids]
    with (
        mock.patch.object(DaskWorkers, "most_keys", most_keys),
        mock.patch.object(DaskWorkers, "submit", submitted),
        mock.patch.object(Version, "commit", committed),
    ):
        before, there = time.process_time(), _processor(workers)
        process(keys(KEYS), Rows(), version=version, client=client, batch=16)
        driver = time.process_time() - before - sum(commits)
        return Spent(driver, _processor(workers) - there, len(tasks), tuple(commits))


def _processor(processes: list[psutil.Process]) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in processes)
