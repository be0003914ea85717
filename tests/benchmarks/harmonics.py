"""Analysis of 112 fields on a polar cap, against other ways to it: seconds of one thread.

``python -m tests.benchmarks.harmonics [--quick] [--degree 4000]``. All sides expand the same number
of fields on a 0.2° cap to degree 512.

* ``ducc0-cap-batch``: ducc0 on the rings of the cap, all fields in one call: the strongest peer.
* ``pyshtools-ducc``, ``pyshtools-shtools``: a field at a time on its own grid, the coarsest that
  holds the degree; a few fields are timed and multiplied.
* ``gravity-toolkit``: ``gen_stokes`` on the rows of the cap, its Legendre functions given to it.

Our kernel is made once per grid and kept; so is what the peers keep. ducc0 and we write into memory
that is there already. ``--degree`` instead streams orders on two threads, and tells wall time.
"""

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ducc0
import numpy as np

from pipelines.kernels.gravity.cap_grid import CapGrid, cap_grid
from pipelines.kernels.gravity.cap_kernel import fejer_weights
from pipelines.kernels.gravity.cap_transform import CapTransform
from pipelines.kernels.gravity.layouts import PackedLayout, to_ducc0, unpack
from tests.benchmarks.harmonics_extra import gpu_statement, stream_statement, two_threads
from tests.benchmarks.statement import TO_MEBIBYTES, Statement, Timing, alternate
from tests.benchmarks.threads import on_one_thread

FIELDS = 112
FULL, QUICK = {"j_max": 512, "step": 0.2}, {"j_max": 256, "step": 0.4}
TIMED = {"pyshtools-ducc": 14, "pyshtools-shtools": 2, "gravity-toolkit": 1}
"""Fields that the slow peers expand in a run; their time is multiplied."""


def main() -> None:
    """Compare all sides on one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="degree 256 on 0.4°")
    parser.add_argument("--memory", action="store_true", help="only tell the memory of our side")
    parser.add_argument("--degree", type=int, help="stream orders to this degree instead")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.harmonics")
    if options.degree:
        stream_statement(options.degree, fields=8 if options.quick else FIELDS).tell()
        return
    choices = QUICK if options.quick else FULL
    if options.memory:
        print(memory_of_one_analysis(**choices))
        return
    state(**choices, quick=options.quick).tell()


@dataclass(frozen=True)
class Problem:
    """Fields on the cap, and our transform of them.

    Attributes
    ----------
    grid : CapGrid
        Cells south of 60° S.
    fields : ndarray, shape (112, n_lat, n_lon)
        Noise: no side may make use of what the fields are.
    transform : CapTransform
        By Fejér's rule, which peers can follow; cells take the same time.
    """

    grid: CapGrid
    fields: np.ndarray
    transform: CapTransform


def make_problem(*, j_max: int, step: float) -> Problem:
    """Return the problem of one size."""
    grid = cap_grid(step, north=-60.0)
    shape = FIELDS, len(grid.latitude), grid.n_lon
    fields = np.random.default_rng(1).standard_normal(shape)
    return Problem(grid, fields, CapTransform(grid, j_max, "fejer"))


def state(*, j_max: int, step: float, quick: bool) -> Statement:
    """Time and compare all sides."""
    problem = make_problem(j_max=j_max, step=step)
    started = time.process_time()
    problem.transform.kernel_for("analysis")
    set_up = time.process_time() - started
    packed = np.zeros((problem.transform.layout.size, FIELDS), complex)
    rings = DuccRings(problem)
    ours = lambda: problem.transform.analyse(problem.fields, out=packed)  # noqa: E731
    sides: dict[str, Callable[[], object]] = {"ours": ours, "ducc0-cap-batch": rings.analyse}
    sides |= {f"pyshtools-{name}": one_by_one(name, j_max) for name in ("ducc", "shtools")}
    toolkit = Toolkit(problem)
    sides["gravity-toolkit"] = toolkit.analyse
    error = {
        "ducc0": difference(ours(), rings),
        "gravity-toolkit": toolkit.difference(),
        "pyshtools": pyshtools_difference(problem, ours()),
        "mass": mass_error(problem),
    }
    timings = [scaled(timing) for timing in alternate(sides, runs=3 if quick else 7)]
    more = {
        "relative_errors": error,
        "extrapolated_from_fields": TIMED,
        "set_up_cpu_s": round(set_up, 3),
        "two_threads": two_threads(problem.fields, j_max, step, runs=5),
        "gpu": gpu_statement(problem.fields, j_max, step),
    }
    return Statement(
        "harmonics",
        timings,
        max(error.values()),
        {"fields": FIELDS, "degree": j_max, "rows": problem.fields.shape[1], "step_deg": step},
        unit="analysis of all fields (CPU time of one thread)",
        more=more,
        clock="cpu",
        peak_mib=memory_of_a_process_of_its_own(quick=quick),
    )


def scaled(timing: Timing) -> Timing:
    """Return what all fields would take of a side that expanded a few."""
    times = FIELDS / TIMED.get(timing.name, FIELDS)
    return Timing(timing.name, timing.wall * times, timing.cpu * times, timing.runs)


class DuccRings:
    """ducc0 on the rings of the cap, all fields in one call."""

    def __init__(self, problem: Problem) -> None:
        grid, count = problem.grid, len(problem.fields)
        n_lat, n_lon = problem.fields.shape[1:]
        self.alm = np.zeros((count, 1, problem.transform.layout.size), complex)
        self.choices: dict[str, Any] = {
            "map": problem.fields.reshape(count, 1, -1),
            "theta": np.radians(90.0 - grid.latitude),
            "nphi": np.full(n_lat, n_lon, dtype=np.uint64),
            "phi0": np.full(n_lat, np.pi / n_lon),
            "ringstart": np.arange(n_lat, dtype=np.uint64) * n_lon,
            "ringfactor": fejer_weights(grid.globe_rows)[:n_lat] * 2.0 * np.pi / n_lon,
            "lmax": problem.transform.j_max,
            "spin": 0,
            "nthreads": 1,
        }

    def analyse(self) -> np.ndarray:
        """Expand all fields by Fejér's rule."""
        return np.asarray(ducc0.sht.adjoint_synthesis(alm=self.alm, **self.choices))


def difference(packed: np.ndarray, rings: DuccRings) -> float:
    """Return how far ours is from ducc0's, over the largest coefficient."""
    theirs, worst, largest = rings.analyse()[:, 0], 0.0, 0.0
    for member in range(packed.shape[1]):
        worst = max(worst, float(np.abs(to_ducc0(packed[:, member]) - theirs[member]).max()))
        largest = max(largest, float(np.abs(theirs[member]).max()))
    return worst / largest


def one_by_one(backend: str, j_max: int) -> Callable[[], object]:
    """Return how pyshtools expands a few fields: zero but on the cap, on its own grid."""
    from pyshtools.backends import backend_module

    engine = backend_module(backend=backend, nthreads=1)
    rows = 2 * (j_max + 1)
    fields = np.zeros((TIMED[f"pyshtools-{backend}"], rows, 2 * rows))
    cap = fields[:, rows * 150 // 180 :]
    cap[...] = np.random.default_rng(2).standard_normal(cap.shape)

    def work() -> None:
        for field in fields:
            engine.SHExpandDH(field, sampling=2)

    return work


class Toolkit:
    """gravity-toolkit on the rows of the cap; Legendre functions are made once and given to it."""

    def __init__(self, problem: Problem) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            import gravity_toolkit
        self.problem, self.degree = problem, problem.transform.j_max
        grid = problem.grid
        functions, _ = gravity_toolkit.plm_holmes(self.degree, np.sin(np.radians(grid.latitude)))
        self.options = {
            "LMAX": self.degree,
            "UNITS": np.ones(self.degree + 1),
            "LOVE": (0, 0, 0),
            "PLM": functions,
        }
        self.expand = gravity_toolkit.gen_stokes

    def analyse(self, field: int = 0) -> Any:
        """Expand one field."""
        grid = self.problem.grid
        return self.expand(
            self.problem.fields[field].T, grid.longitude, grid.latitude, **self.options
        )

    def difference(self) -> float:
        """Return how far our sums over the same points are from its, over the largest."""
        grid, peer = self.problem.grid, self.analyse(3)
        weight = np.cos(np.radians(grid.latitude))[:, None] * np.radians(grid.step) ** 2
        packed = self.problem.transform.adjoint(self.problem.fields[3] * weight)
        found = unpack(packed, j_max=self.degree)[0]
        theirs = np.stack([peer.clm, peer.slm])
        return float(np.abs(found - theirs).max() / np.abs(theirs).max())


def pyshtools_difference(problem: Problem, packed: np.ndarray, *, points: int = 24) -> float:
    """Return how far our values of one expansion are from pyshtools' at a few places."""
    import pyshtools

    one = np.ascontiguousarray(packed[:, :1])
    values = problem.transform.synthesise(one)[0]
    rng = np.random.default_rng(3)
    row = rng.integers(0, values.shape[0], points)
    column = rng.integers(0, values.shape[1], points)
    house = unpack(one, j_max=problem.transform.j_max)[0]
    theirs = pyshtools.expand.MakeGridPoint(
        house, problem.grid.latitude[row], problem.grid.longitude[column], lmax=house.shape[-1] - 1
    )
    return float(np.abs(theirs - values[row, column]).max() / np.abs(values).max())


def mass_error(problem: Problem) -> float:
    """Return how far 4π C_00 of cells is from Σ f Ω, over Σ |f| Ω."""
    grid, some = problem.grid, problem.fields[:4]
    found = 4.0 * np.pi * CapTransform(grid, 2).analyse(some)[0].real
    weight = grid.solid_angles[:, None]
    return float(
        (
            np.abs(found - (some * weight).sum(axis=(1, 2))) / (np.abs(some) * weight).sum((1, 2))
        ).max()
    )


def memory_of_one_analysis(*, j_max: int, step: float) -> float:
    """Return the most memory that one analysis held, fields and libraries included [MiB]."""
    problem = make_problem(j_max=j_max, step=step)
    packed = problem.transform.analyse(problem.fields)
    assert packed.shape == (PackedLayout.whole(j_max).size, FIELDS)
    return peak_of_this_program()


def peak_of_this_program() -> float:
    """Return the most memory since this program was started [MiB].

    ``ru_maxrss`` of a child begins with what its parent held, so ask Linux for the program's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / TO_MEBIBYTES


def memory_of_a_process_of_its_own(*, quick: bool) -> float:
    """Measure the memory of our side where no peer has run."""
    command = [sys.executable, "-m", "tests.benchmarks.harmonics", "--memory"]
    command += ["--quick"] * quick
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    main()
