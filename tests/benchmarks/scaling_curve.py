"""What a key costs from 100 keys to 100,000: the curve of the benchmark ``scaling``.

``python -m tests.benchmarks.scaling --curve [--engines dask ray pool] [--sizes 100 ...]
[--points FILE] [--figure PNG]``

One engine after the other, so that none is there while another one is measured. Each point is
printed and kept as soon as it is there; ``--points`` adds to what earlier calls have found, and a
point measured several times is told by its median. Of what each side wrote a thousand rows are
compared with the truth.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from cluster import dask_cluster, ray_cluster
from cluster.prices import Prices
from pipelines.figures import canvas
from tests.benchmarks import scaling_sides as sides
from tests.fixtures.products import row

SIZES = (100, 1000, 10_000, 100_000)
ENGINES = {
    "dask": ("ours on dask", "dask-map"),
    "ray": ("ours on ray", "ray-map"),
    "pool": ("process-pool",),
}
# Colour by engine; ours are drawn through.
LINES = {
    "ours on dask": (canvas.BLUE, "-"), "dask-map": (canvas.BLUE, "--"),
    "ours on ray": (canvas.RED, "-"), "ray-map": (canvas.RED, "--"),
    "process-pool": (canvas.GREY, ":"),
}  # fmt: skip
COMPARED = 1000


@dataclass(frozen=True)
class Point:
    """One side once.

    Attributes
    ----------
    side : str
    keys : int
    cpu_ms, wall_ms : float
        Processor time and wall clock, for a key [ms].
    """

    side: str
    keys: int
    cpu_ms: float
    wall_ms: float


class Curve:
    """Points, kept in a file if there is one.

    Parameters
    ----------
    path : Path or None
        What it holds already is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        is_there = path is not None and path.exists()
        self.points = [Point(**each) for each in json.loads(path.read_text())] if is_there else []

    def add(self, point: Point) -> None:
        """Keep a point, and tell of it."""
        self.points.append(point)
        print(
            f"{point.keys:7d} keys  {point.side:13}{point.cpu_ms:9.3f} ms a key"
            f"  ({point.wall_ms:.3f} ms wall)",
            flush=True,
        )
        if self._path:
            self._path.write_text(json.dumps([asdict(each) for each in self.points], indent=1))

    def medians(self) -> dict[str, dict[int, Point]]:
        """Return the medians by side and number of keys."""
        found: dict[str, dict[int, Point]] = {}
        for name in (side for sides_ in ENGINES.values() for side in sides_):
            own = [each for each in self.points if each.side == name]
            for count in sorted({each.keys for each in own}):
                same = [each for each in own if each.keys == count]
                found.setdefault(name, {})[count] = Point(
                    name, count,
                    statistics.median(each.cpu_ms for each in same),
                    statistics.median(each.wall_ms for each in same),
                )  # fmt: skip
        return found

    def table(self) -> str:
        """Return the medians as Markdown, processor time then wall clock."""
        medians = self.medians()
        counts = sorted({count for line in medians.values() for count in line})
        lines = [
            "| side | " + " | ".join(f"{count:,}" for count in counts) + " |",
            "|---" * (len(counts) + 1) + "|",
        ]
        for name, line in medians.items():
            cells = (line.get(count) for count in counts)
            told = (f"{p.cpu_ms:.2f}, {p.wall_ms:.2f}" if p else "" for p in cells)
            lines.append(f"| {name} | " + " | ".join(told) + " |")
        return "\n".join(lines)


def measure(
    curve: Curve, engines: Sequence[str], sizes: Sequence[int], folder: Path, *, maps_to: int
) -> float:
    """Add a point of every side of the engines for every size; return the largest error.

    The engines' own maps are measured up to ``maps_to`` keys.
    """
    error = 0.0
    for engine in engines:
        with _started(engine) as workforce:
            _warm(engine, workforce, folder)
            for count in sizes:
                for name in ENGINES[engine]:
                    if name.endswith("-map") and count > maps_to:
                        continue
                    spent, written = sides.timed(sides.prepared(name, workforce, folder, count))
                    error = max(error, _error(written(), count))
                    per_key = 1e3 / count
                    curve.add(Point(name, count, per_key * spent.cpu, per_key * spent.wall))
    return error


def _started(engine: str) -> AbstractContextManager[Any]:
    if engine == "dask":
        return dask_cluster.connect(workers=sides.WORKERS)
    if engine == "ray":
        return ray_cluster.connect(workers=sides.WORKERS)
    return nullcontext()


def _warm(engine: str, workforce: Any, folder: Path) -> None:
    """Let every worker that stays import what it needs."""
    if engine != "pool":
        for name in ENGINES[engine]:
            sides.prepared(name, workforce, folder, 40)()


def _error(group: zarr.Group, count: int) -> float:
    """Return the largest error of rows spread over all; infinite where one was not written."""

    def differences() -> Iterator[float]:
        for number in np.unique(np.linspace(0, count - 1, min(count, COMPARED)).astype(int)):
            found = np.asarray(group["rows"][int(number)])  # type: ignore[index]
            yield float(np.abs(found - row(int(number), run="a")).max())

    worst = max(differences())
    return worst if np.isfinite(worst) else float("inf")


def draw(curve: Curve, path: Path) -> None:
    """Draw processor time, with what it costs, and wall clock against the number of keys."""
    made = canvas.figure(canvas.PAGE, 3.2)
    panels = made.subplots(1, 2)
    for axes, what in zip(panels, ("cpu_ms", "wall_ms"), strict=True):
        for name, line in curve.medians().items():
            colour, style = LINES[name]
            values = [getattr(point, what) for point in line.values()]
            axes.semilogx(
                list(line),
                values,
                style,
                color=colour,
                marker="o",
                markersize=2.5,
                linewidth=1.2,
                label=name,
            )
        axes.set_ylim(0.0, None)
        axes.set_xlabel("keys")
        axes.set_ylabel("time of a key [ms]")
        canvas.tidy(axes)
    canvas.heading(panels[0], f"{canvas.letter(0)} processor time")
    canvas.heading(panels[1], f"{canvas.letter(1)} wall clock")
    # A million keys of a millisecond are 1000 s of a core.
    dollars = Prices().core_hour * 1e3 / 3600.0
    right = panels[0].secondary_yaxis(
        "right", functions=(lambda ms: ms * dollars, lambda paid: paid / dollars)
    )
    right.set_ylabel("dollars for a million keys", fontsize=8.5)
    right.tick_params(which="both", labelsize=7.5)
    made.legend(
        *panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=5,
        fontsize=7, frameon=False, handlelength=3.0,
    )  # fmt: skip
    path.write_bytes(canvas.png(made))
