"""Time, cost and what workers wait for, against their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HOUR = 3600.0
_COLOURS = (
    canvas.GREEN, "#a6dba0", "#92c5de", canvas.BLUE, "#f4a582", canvas.RED, "#d9d9d9", "#b8a3cf",
    canvas.PURPLE,
)  # fmt: skip


def scale_curves(
    workers: Sequence[int],
    seconds: Sequence[float],
    dollars: Sequence[float],
    shares: Mapping[str, Sequence[float]],
    *,
    title: str,
) -> bytes:
    """Return a picture of a run of growing size as PNG.

    Parameters
    ----------
    workers : sequence of int
        Numbers of workers, growing.
    seconds, dollars : sequence of float
        Time [s] and cost [$] of the run with each.
    shares : mapping of str to sequence of float
        Share of the workers' time by reason [1], the keys' own work first.
    title : str
        What was run.

    Raises
    ------
    FigureError
        Fewer than two numbers of workers, or series of other lengths.
    """
    lengths = {len(seconds), len(dollars), *(len(values) for values in shares.values())}
    if len(workers) < 2 or lengths != {len(workers)} or len(shares) > len(_COLOURS):
        msg = f"found {len(workers)} numbers of workers and series of {sorted(lengths)} values; "
        msg += f"expected two or more, as many in each, and at most {len(_COLOURS)} reasons"
        raise canvas.FigureError(msg)
    made = canvas.figure(canvas.PAGE, 4.6)
    times, parts = made.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
    _draw_times(times, workers, seconds, dollars)
    canvas.heading(times, f"(a) {title}", right="time (blue), cost (red), ideal (dashed)")
    stacked = [np.asarray(values) for values in shares.values()]
    parts.stackplot(
        workers, *stacked, labels=list(shares), colors=_COLOURS[: len(stacked)], linewidth=0
    )
    parts.set_xscale("log")
    parts.set_xlim(workers[0], workers[-1])
    parts.set_ylim(0, 1)
    parts.set_xlabel("workers")
    parts.set_ylabel("share of workers' time")
    canvas.tidy(parts)
    parts.legend(fontsize=6.5, ncols=1, loc="center left", bbox_to_anchor=(1.08, 0.5))
    canvas.heading(parts, "(b) what workers do, and wait for")
    return canvas.png(made)


def _draw_times(
    axes: Axes, workers: Sequence[int], seconds: Sequence[float], dollars: Sequence[float]
) -> None:
    hours = np.asarray(seconds) / _HOUR
    axes.loglog(workers, hours, color=canvas.BLUE, marker="o", markersize=3)
    ideal = hours[0] * workers[0] / np.asarray(workers, dtype=float)
    axes.loglog(workers, ideal, color=canvas.FAINT, linestyle="--", linewidth=0.8)
    axes.set_ylabel("time [h]", color=canvas.BLUE)
    canvas.tidy(axes)
    cost = axes.twinx()
    cost.plot(workers, dollars, color=canvas.RED, marker="s", markersize=3)
    cost.set_ylim(0, 1.15 * max(dollars))
    cost.set_ylabel("cost [$]", color=canvas.RED, fontsize=8.5)
    canvas.tidy(cost)
    cost.grid(visible=False)
