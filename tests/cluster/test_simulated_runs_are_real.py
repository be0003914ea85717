"""Real runs on one, two and four workers take as long as they take in the simulation.

The machine is measured as it is, with whatever else runs on it: what a key, a task and a commit
cost, and how much of its cores so many busy processes get, before and after each run.
"""

import multiprocessing
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import zarr

from cluster import dask_cluster
from cluster.ledger import Receipt
from cluster.prices import Prices
from cluster.simulated_work import Work
from cluster.simulation import Fleet, simulate
from cluster.unit_costs import UnitCosts
from cluster.work import process
from tests.benchmarks import scaling_costs, scaling_sides
from tests.fixtures.products import Rows, keys

COUNT = 80
SECONDS = 0.06
PROBED = (1, 2, 3, 5)  # busy processes: of one, two and four workers, and the driver
PROBE_SECONDS = 0.4
WITHIN = 0.20


@dataclass(frozen=True)
class Busy(Rows):
    """Computes for so long, by its own processor time."""

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        until = time.thread_time() + SECONDS
        while time.thread_time() < until:
            pass
        return super().__call__(key, group)


JOBS = {"computing": (Busy(), 0.0), "waiting": (Rows(seconds=SECONDS), 1.0)}


def spin(until: float) -> float:
    """Compute until then, and return the processor time that this took."""
    before = time.process_time()
    while time.time() < until:
        pass
    return time.process_time() - before


def cores(pool) -> tuple[float, ...]:
    """Return how many cores so many busy processes get together here and now."""
    given = {}
    for busy in PROBED:
        until = time.time() + PROBE_SECONDS
        spent = [pool.apply_async(spin, (until,)) for _ in range(busy)]
        given[busy] = sum(each.get() for each in spent) / PROBE_SECONDS
    return tuple(
        given[n] if n in given else (given[n - 1] + given[n + 1]) / 2
        for n in range(1, max(PROBED) + 1)
    )


def real(client, folder: Path, job: Rows) -> float:
    """Return how long a run takes [s]."""
    version = scaling_sides.version_of(folder, COUNT)
    begun = time.perf_counter()
    process(keys(COUNT), job, version=version, client=client)
    return time.perf_counter() - begun


def simulated(costs: UnitCosts, given: tuple[float, ...], workers: int, own: float, waits: float):
    """Return how long it takes in the simulation [s]."""
    seconds = SECONDS + own
    work = Work("w", COUNT, (seconds,), waiting=waits * SECONDS / seconds)
    fleet = Fleet(workers, shared=given)
    return simulate([work], fleet, costs=costs, prices=Prices()).seconds


def ratios(folder: Path, pool, workers: int, rounds: int) -> dict[str, list[float]]:
    """Return real over simulated time of each job, measured alternately."""
    found: dict[str, list[float]] = {name: [] for name in JOBS}
    with dask_cluster.connect(workers=workers) as client:
        costs = scaling_costs.measured(client, folder)
        own = scaling_costs.job_seconds(folder)
        for _ in range(rounds):
            before = cores(pool)
            for name, (job, waits) in JOBS.items():
                took = real(client, folder, job)
                after = cores(pool)
                given = tuple((a + b) / 2 for a, b in zip(before, after, strict=True))
                expected = simulated(costs, given, workers, own, waits)
                found[name].append(took / expected)
                print(f"{workers} {name}: {took:.2f} s, simulated {expected:.2f} s, cores {given}")
                before = after
    return found


@pytest.mark.long
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_takes_as_long_as_simulated(tmp_path, workers):
    """Off once by more than a fifth, the median of three decides."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(max(PROBED)) as pool:
        pool.map(spin, [time.time()] * max(PROBED))
        found = ratios(tmp_path, pool, workers, rounds=1)
        if any(abs(values[0] - 1.0) > WITHIN for values in found.values()):
            again = ratios(tmp_path, pool, workers, rounds=2)
            found = {name: [*values, *again[name]] for name, values in found.items()}

    for name, values in found.items():
        assert statistics.median(values) == pytest.approx(1.0, abs=WITHIN), (name, values)
