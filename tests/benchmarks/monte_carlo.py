"""A thousand fluxes of a continent with errors of 20 km patches, against adding them to every node.

``python -m tests.benchmarks.monte_carlo [--quick]``. 280,000 nodes, 21 years, 27 regions, 1000
members, about 2200 patches; errors of thickness and of both components of velocity, alike within
a patch; velocity errs anew each year.

* ours: sums by patch of the nodes, then all members
  (:func:`pipelines.kernels.budget.monte_carlo.flux_members`), its draws included.
* ``node-level``: the same draws, added to thickness and velocity of every node. A few members are
  timed, draws included, and multiplied: nobody waits for the whole. On these members both sides
  are compared.

Besides, seconds at four sizes each of nodes, years and members, with the exponent of the power law
through them: 1 is linear.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from pipelines.kernels.budget.loadings import CORRELATED
from pipelines.kernels.budget.monte_carlo import draws, flux_members
from pipelines.kernels.budget.patches import NodeErrors, patch_sums
from pipelines.kernels.constants import KG_PER_GT
from tests.benchmarks.monte_carlo_sides import make_nodes, node_level
from tests.benchmarks.statement import TO_MEBIBYTES, Statement, Timing, alternate
from tests.benchmarks.threads import on_one_thread

FULL = {"nodes": 280_000, "years": 21, "members": 1000}
QUICK = {"nodes": 80_000, "years": 7, "members": 400}
NODE_LEVEL_MEMBERS = 8
PARTS = (1 / 4, 1 / 2, 1, 2)
"""Sizes of the growth, as parts of the size stated."""


def main() -> None:
    """Compare both sides on one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="80,000 nodes, 7 years, 400 members")
    parser.add_argument("--memory", action="store_true", help="only tell the memory of our side")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.monte_carlo")
    size = QUICK if options.quick else FULL
    if options.memory:
        print(*our_memory(size))
        return
    # First, while this process is small: a child's peak begins at that of its parent.
    peak, inputs = memory_of_a_process_of_its_own(quick=options.quick)
    state(size, peak, inputs, quick=options.quick).tell()


def generator() -> np.random.Generator:
    """The same draws for both sides, from numpy's fastest source of them."""
    return np.random.Generator(np.random.SFC64(1))


def ours(nodes: NodeErrors, members: int) -> np.ndarray:
    """All members, from the nodes to the regions."""
    return flux_members(
        patch_sums(nodes),
        thickness=CORRELATED,
        velocity=CORRELATED,
        members=members,
        generator=generator(),
    )


def state(size: dict[str, int], peak: float, inputs: float, *, quick: bool) -> Statement:
    """Time and compare both sides, then time ours at other sizes."""
    nodes = make_nodes(size["nodes"], size["years"])
    sums = patch_sums(nodes)
    few = NODE_LEVEL_MEMBERS
    fast, slow = ours(nodes, few), at_nodes(nodes, sums, few)
    difference = float(np.abs(fast - slow).max())
    all_of_it = float(np.abs(fast.sum(axis=-1) - slow.sum(axis=-1)).max())
    mine, few_members = alternate(
        {"ours": lambda: ours(nodes, size["members"]), "few": lambda: at_nodes(nodes, sums, few)},
        runs=3,
    )
    every = size["members"] / few
    node = Timing("node-level", few_members.wall * every, few_members.cpu * every, few_members.runs)
    drawing = seconds_of_draws(sums, size["members"])
    more = {
        "node_level_is_extrapolated_from_members": few,
        "max_difference_gt_per_year": difference / KG_PER_GT,
        "max_difference_of_the_sum_gt_per_year": all_of_it / KG_PER_GT,
        "peak_rss_before_mib": round(inputs),
        "draws_cpu_s": round(drawing, 3),
        "ratio_without_draws": round((node.cpu - drawing) / (mine.cpu - drawing), 1),
        "growth": {name: growth(size, name) for name in size},
    }
    return Statement(
        "monte_carlo",
        [mine, node],
        difference / float(np.abs(slow).max()),
        size | {"patches": sums.patches, "regions": sums.regions},
        unit="Monte Carlo (CPU time; node level extrapolated from a few members)",
        more=more,
        clock="cpu",
        peak_mib=peak,
    )


def at_nodes(nodes: NodeErrors, sums, members: int) -> np.ndarray:
    """What is timed of the node level: draws and nodes, nothing of ours."""
    drawn = draws(
        sums,
        thickness=CORRELATED,
        velocity=CORRELATED,
        members=members,
        generator=generator(),
    )
    return node_level(nodes, drawn)


def seconds_of_draws(sums, members: int) -> float:
    """CPU time of the random numbers alone, which both sides need [s]."""
    started = time.process_time()
    drawn = draws(
        sums,
        thickness=CORRELATED,
        velocity=CORRELATED,
        members=members,
        generator=generator(),
    )
    for block in drawn:
        for _ in block.velocity:
            pass
    return time.process_time() - started


def growth(size: dict[str, int], name: str) -> dict[str, object]:
    """Seconds of ours at four sizes of one kind, and the power of the size that they follow."""
    sizes = [round(size[name] * part) for part in PARTS]
    seconds = [best_seconds(size | {name: one}) for one in sizes]
    power = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    return {
        "sizes": sizes,
        "cpu_s": [round(one, 3) for one in seconds],
        "exponent": round(float(power), 3),
    }


def best_seconds(size: dict[str, int], *, runs: int = 2) -> float:
    """CPU time of the faster of a few runs [s]."""
    nodes = make_nodes(size["nodes"], size["years"])
    spent = []
    for _ in range(runs):
        started = time.process_time()
        ours(nodes, size["members"])
        spent.append(time.process_time() - started)
    return min(spent)


def our_memory(size: dict[str, int]) -> tuple[float, float]:
    """Most memory that one run held, inputs and libraries included, and without the run [MiB]."""
    nodes = make_nodes(size["nodes"], size["years"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / TO_MEBIBYTES
    ours(nodes, size["members"])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / TO_MEBIBYTES, before


def memory_of_a_process_of_its_own(*, quick: bool) -> tuple[float, float]:
    """Measure the memory of our side where no peer has run."""
    command = [sys.executable, "-m", "tests.benchmarks.monte_carlo", "--memory"]
    command += ["--quick"] * quick
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


if __name__ == "__main__":
    main()
