"""What a benchmark states: a table for people, then one line of JSON (`shared/contracts.md`)."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TO_MEBIBYTES = 2**20 if sys.platform == "darwin" else 2**10
"""`ru_maxrss` counts bytes on macOS, KiB elsewhere."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one side of a comparison.

    Attributes
    ----------
    name : str
        Who ran: ``ours`` or a peer.
    wall, cpu : float
        Medians over runs [s]. CPU time is that of all threads of this process.
    runs : int
        How many.
    """

    name: str
    wall: float
    cpu: float
    runs: int


@dataclass(frozen=True)
class Statement:
    """One benchmark's result.

    Attributes
    ----------
    benchmark : str
        Its name, as in ``python -m tests.benchmarks.NAME``.
    timings : list of Timing
        The first is ours.
    max_relative_error : float
        Largest difference of the compared results, over the largest value [1].
    size : mapping
        What was computed.
    unit : str
        What one run is, for the table.
    more : mapping
        Further keys of the JSON line.
    clock : {"wall", "cpu"}
        Which time ratios are of: that of the processor where all sides run on one thread, as it
        does not grow when others use the machine.
    peak_mib : float, optional
        Most memory of our side alone [MiB]; that of this process and its children if not given.
    """

    benchmark: str
    timings: list[Timing]
    max_relative_error: float
    size: Mapping[str, Any]
    unit: str = "run"
    more: Mapping[str, Any] = field(default_factory=dict)
    clock: Literal["wall", "cpu"] = "wall"
    peak_mib: float | None = None

    @property
    def ratio(self) -> dict[str, float]:
        """Peer time divided by ours, of medians."""
        ours, *peers = self.timings
        return {peer.name: round(self._seconds(peer) / self._seconds(ours), 3) for peer in peers}

    @property
    def _peak(self) -> float:
        return peak_rss_mib() if self.peak_mib is None else self.peak_mib

    def _seconds(self, timing: Timing) -> float:
        return timing.cpu if self.clock == "cpu" else timing.wall

    def table(self) -> str:
        """Return the table for people."""
        width = max(len(timing.name) for timing in self.timings)
        ours = self.timings[0]
        head = f"{'':{width}}  {'wall [ms]':>10}  {'cpu [ms]':>10}  {'times ours':>10}  runs"
        rows = [
            f"{timing.name:{width}}  {1e3 * timing.wall:10.3f}  {1e3 * timing.cpu:10.3f}  "
            f"{self._seconds(timing) / self._seconds(ours):10.2f}  {timing.runs:4d}"
            for timing in self.timings
        ]
        size = ", ".join(f"{key} {value}" for key, value in self.size.items())
        title = f"{self.benchmark}, per {self.unit} ({size})"
        error, peak = self.max_relative_error, self._peak
        foot = f"largest relative difference {error:.2g}, peak memory {peak:.0f} MiB"
        return "\n".join([title, head, *rows, foot])

    def line(self) -> str:
        """Return the line of JSON."""
        stated = {
            "benchmark": self.benchmark,
            "ratio": self.ratio,
            "max_relative_error": self.max_relative_error,
            "peak_rss_mib": round(self._peak),
            "size": dict(self.size),
            **self.more,
        }
        return json.dumps(stated)

    def tell(self) -> None:
        """Print the table, then the line."""
        print(self.table())
        print(self.line(), flush=True)


def peak_rss_mib() -> float:
    """Return the most memory this process and any child ever held [MiB]."""
    peaks = (
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return max(peaks) / TO_MEBIBYTES


def alternate(sides: Mapping[str, Callable[[], object]], *, runs: int) -> list[Timing]:
    """Time functions in turn, so that a busy machine slows all of them alike.

    Parameters
    ----------
    sides : mapping of str to callable
        Ours first. Each does the whole work of one run; results are compared by the caller.
    runs : int
        Timed runs of each, after one that is not timed.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, work in sides.items():
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            elapsed = time.perf_counter() - wall, time.process_time() - cpu
            if run:
                spent[name].append(elapsed)
    return [
        Timing(
            name,
            statistics.median(wall for wall, _ in times),
            statistics.median(cpu for _, cpu in times),
            len(times),
        )
        for name, times in spent.items()
    ]


def per_item(timings: list[Timing], count: int) -> list[Timing]:
    """Divide timings of whole runs by the number of items in each."""
    return [Timing(t.name, t.wall / count, t.cpu / count, t.runs) for t in timings]
