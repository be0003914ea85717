"""The 10 080-member combination against other ways to it: seconds of one thread.

``python -m tests.benchmarks.combination [--quick]``. 57 fields that 112 members of altimetry mix
and 32 that 90 members of gravimetry mix become weights, 25 regional rates of every pair of members,
their covariance, and mean and standard deviation of all members in every pixel of a 0.2° cap.

* ours: :class:`pipelines.kernels.gravity.cap_combination.CapCombination`; its matrices, made once
  per grid, are not in the time but in ``set_up_cpu_s``.
* ``factorised-ducc0``: the same algebra of 57 and 32 fields on ducc0's transform of the rings of
  the cap, in a batch: the strongest peer. The same on our own transform, by packed coefficients, is
  stated beside it as ``by_packed_coefficients`` (its time over ours).
* ``literal-pyshtools-ducc``, ``literal-pyshtools-shtools``: 10 080 combined spectra, each brought
  to a map and summed over regions, after 112 analyses. A few pairs are timed and multiplied: nobody
  waits for the whole. pyshtools works on its own grid, the coarsest that holds the degree.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.combination_sides import (
    GRAVIMETRY_DEGREE,
    DuccRings,
    InRows,
    Packed,
    Problem,
    Product,
    make_problem,
    order_and_degree,
    product,
)
from tests.benchmarks.statement import TO_MEBIBYTES, Statement, Timing, alternate
from tests.benchmarks.threads import on_one_thread

PAIRS = 90 * 112
FULL, QUICK = {"j_max": 512, "step": 0.2}, {"j_max": 256, "step": 0.4}
LITERAL_PAIRS = {"ducc": 12, "shtools": 2}
LITERAL_ANALYSES = {"ducc": 6, "shtools": 1}


def main() -> None:
    """Compare all sides on one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="degree 256 on 0.4°")
    parser.add_argument("--memory", action="store_true", help="only tell the memory of our side")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.combination")
    choices = QUICK if options.quick else FULL
    if options.memory:
        print(product_memory(choices))
        return
    # First, while this process is small: a child's peak begins at that of its parent.
    peak = memory_of_a_process_of_its_own(quick=options.quick)
    state(make_problem(**choices), peak, quick=options.quick).tell()


def state(problem: Problem, peak_mib: float, *, quick: bool) -> Statement:
    """Time and compare all sides."""
    started = time.process_time()
    ours = InRows(problem)
    set_up = time.process_time() - started
    packed, ducc = Packed(problem), DuccRings(problem)
    error = difference(ours.product(problem), product(ducc, problem))
    error |= {"pyshtools_members": literal_difference(packed, problem)}
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: ours.product(problem),
        "factorised-ducc0": lambda: product(ducc, problem),
        "packed": lambda: product(packed, problem),
    }
    literal = Literal(problem)
    for backend in LITERAL_PAIRS:
        sides[f"pairs-{backend}"] = literal.pairs(backend)
        sides[f"analyses-{backend}"] = literal.analyses(backend)
    timed = {timing.name: timing for timing in alternate(sides, runs=3 if quick else 5)}
    timings = [timed["ours"], timed["factorised-ducc0"]]
    timings += [extrapolated(timed, backend) for backend in ("ducc", "shtools")]
    size = {
        "members": PAIRS,
        "degree": problem.j_max,
        "pixels": problem.grid.latitude.size * problem.grid.n_lon,
        "regions": len(problem.area),
        "fields": "57 + 32",
    }
    more = {
        "literal_is_extrapolated_from_pairs": LITERAL_PAIRS,
        "relative_errors": error,
        "by_packed_coefficients": round(timed["packed"].cpu / timed["ours"].cpu, 3),
        "set_up_cpu_s": round(set_up, 3),
    }
    return Statement(
        "combination",
        timings,
        max(error.values()),
        size,
        unit="product (CPU time; literal ones extrapolated from a few pairs)",
        more=more,
        clock="cpu",
        peak_mib=peak_mib,
    )


def difference(ours: Product, theirs: Product) -> dict[str, float]:
    """Return the largest difference of each result, over its largest value [1]."""
    pairs = {
        "regions_of_all_members": (ours.regions.members(), theirs.regions.members()),
        "covariance": (ours.covariance, theirs.covariance),
        "pixel_mean": (ours.mean, theirs.mean),
        "pixel_deviation": (ours.deviation, theirs.deviation),
    }
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, (a, b) in pairs.items()}


class Literal:
    """What one pair of members costs with pyshtools, without any algebra."""

    def __init__(self, problem: Problem) -> None:
        rng = np.random.default_rng(2)
        size = problem.j_max + 1
        self.degree = problem.j_max
        self.g, self.c, self.w = rng.normal(size=(3, 2, size, size)) * np.tri(size)
        self.w = np.abs(self.w) * (np.arange(size) <= GRAVIMETRY_DEGREE)[:, None]
        rows = 2 * size
        self.cap = slice(rows * 148 // 180, rows)
        self.field = rng.normal(size=(rows, 2 * rows))
        self.field[: self.cap.start] = 0.0
        sector = np.arange(2 * rows) * len(problem.area) // (2 * rows)
        row = np.sin(np.arange(rows)[self.cap] * np.pi / rows)
        member = np.arange(len(problem.area))[:, None] == sector
        self.area = (member[:, None] * row[:, None]).reshape(len(problem.area), -1)

    def pairs(self, backend: str) -> Callable[[], object]:
        """Combine, bring to a map, sum over regions, collect mean and square."""
        engine = _pyshtools(backend)

        def work() -> None:
            total = squares = np.zeros(1)
            for _ in range(LITERAL_PAIRS[backend]):
                spectrum = self.g * self.w + self.c * (1.0 - self.w)
                cap = engine.MakeGridDH(spectrum, sampling=2, lmax=self.degree)[self.cap]
                self.area @ cap.reshape(-1)
                total = total + cap
                squares = squares + cap * cap

        return work

    def analyses(self, backend: str) -> Callable[[], object]:
        """Expand members of altimetry, each on its own."""
        engine = _pyshtools(backend)

        def work() -> None:
            for _ in range(LITERAL_ANALYSES[backend]):
                engine.SHExpandDH(self.field, sampling=2)

        return work


def _pyshtools(backend: str) -> Any:
    from pyshtools.backends import backend_module

    return backend_module(backend=backend, nthreads=1)


def extrapolated(timed: dict[str, Timing], backend: str) -> Timing:
    """Return what all pairs and analyses would take."""
    pairs, analyses = timed[f"pairs-{backend}"], timed[f"analyses-{backend}"]
    every, each = PAIRS / LITERAL_PAIRS[backend], 112 / LITERAL_ANALYSES[backend]
    return Timing(
        f"literal-pyshtools-{backend}",
        pairs.wall * every + analyses.wall * each,
        pairs.cpu * every + analyses.cpu * each,
        pairs.runs,
    )


def literal_difference(ours: Packed, problem: Problem, *, points: int = 12) -> float:
    """Return how far a few combined members are from pyshtools at a few pixels, over the largest.

    The literal maps have other nodes than ours, so pyshtools evaluates spectra at ours.
    """
    from pyshtools import SHCoeffs

    rng = np.random.default_rng(3)
    m, j = order_and_degree(problem.j_max)
    basis = ours.analyse(problem.fields)
    largest, error = 0.0, 0.0
    for l in rng.integers(0, 112, size=3):  # noqa: E741
        member = np.tensordot(problem.mixing[l], basis, axes=1)
        pixels = ours.synthesise(member[None])[0]
        house = np.zeros((2, problem.j_max + 1, problem.j_max + 1))
        house[:, j, m] = member.T
        row = rng.integers(0, pixels.shape[0], size=points)
        column = rng.integers(0, pixels.shape[1], size=points)
        theirs = SHCoeffs.from_array(house).expand(
            lat=problem.grid.latitude[row], lon=problem.grid.longitude[column]
        )
        largest = max(largest, float(np.abs(pixels).max()))
        error = max(error, float(np.abs(theirs - pixels[row, column]).max()))
    return error / largest


def product_memory(choices: dict[str, Any]) -> float:
    """Return the most memory that one product held, inputs and libraries included [MiB]."""
    problem = make_problem(**choices)
    InRows(problem).product(problem)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / TO_MEBIBYTES


def memory_of_a_process_of_its_own(*, quick: bool) -> float:
    """Measure the memory of our side where no peer has run."""
    command = [sys.executable, "-m", "tests.benchmarks.combination", "--memory"]
    command += ["--quick"] * quick
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    main()
