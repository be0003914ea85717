"""Cumulative mass by every method on one axis; what was not measured stays open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.comparison_rates import Style, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

LONGER = 1.6
"""Steps that are longer than most by this factor are gaps."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Mass by one method.

    Attributes
    ----------
    times : ndarray, shape (n,)
        Growing [decimal years]; only what was measured, or NaN as its mass.
    mass, sigma : ndarray, shape (n,)
        Mass and its standard deviation [Gt].
    """

    times: FLOAT
    mass: FLOAT
    sigma: FLOAT

    def __post_init__(self) -> None:
        shape = np.shape(self.times)
        for what, part in (("mass", self.mass), ("sigma", self.sigma)):
            if np.shape(part) != shape or len(shape) != 1:
                msg = f"found {what} of shape {np.shape(part)} at times of {shape}, expected equal"
                raise canvas.FigureError(msg)
        if not (np.diff(self.times) > 0.0).all():
            msg = f"found times {np.asarray(self.times).tolist()}, expected each once and in order"
            raise canvas.FigureError(msg)


def cumulative_by_method(curves: Mapping[str, Mapping[str, Curve]], *, title: str) -> bytes:
    """Draw a panel for each region, a curve with its band for each method.

    Parameters
    ----------
    curves : mapping of str to mapping of str to Curve
        By region, then by method; of one reference, such as their mean over common years.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Lines break where a step is longer than is usual of the curve.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No region, or one without a curve.
    """
    if not curves or not all(curves.values()):
        msg = f"found curves of {[*curves]}, expected at least one region and a curve of each"
        raise canvas.FigureError(msg)
    columns = 1 if len(curves) == 1 else 2
    lines = math.ceil(len(curves) / columns)
    made = canvas.figure(canvas.PAGE, 0.95 + 2.3 * lines)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    panels = made.subplots(lines, columns, sharex=True, squeeze=False)
    looks = styles(dict.fromkeys(name for held in curves.values() for name in held))
    for n, (axes, (region, held)) in enumerate(zip(panels.flat, curves.items(), strict=False)):
        for name, curve in held.items():
            _draw(axes, curve, looks[name], canvas.plain(name.replace("_", " ")))
        axes.axhline(0.0, color=canvas.INK, linewidth=0.6, zorder=1)
        canvas.tidy(axes)
        axes.tick_params(labelbottom=n + columns >= len(curves))
        letter = f"{canvas.letter(n)} " if len(curves) > 1 else ""
        canvas.heading(axes, f"{letter}{canvas.plain(region)}")
        if n % columns == 0:
            axes.set_ylabel("mass [Gt]", fontsize=8.5)
    for axes in panels.flat[len(curves) :]:
        axes.set_axis_off()
    told = [axes.get_legend_handles_labels() for axes in panels.flat]
    handles = {label: handle for pair in told for handle, label in zip(*pair, strict=True)}
    made.legend([*handles.values()], [*handles], loc="outside lower center", frameon=False,
                fontsize=7.5, ncols=4)  # fmt: skip
    return canvas.png(made)


def _draw(axes: Axes, curve: Curve, look: Style, label: str) -> None:
    t, mass, sigma = broken(curve)
    axes.fill_between(t, mass - sigma, mass + sigma, color=look.colour, alpha=0.16, linewidth=0)
    many = len(curve.times) > 24
    axes.plot(t, mass, color=look.colour, linestyle=look.line, linewidth=1.2,
              marker="" if many else look.mark, markersize=3.6, markeredgecolor="white",
              markeredgewidth=0.5, label=label, zorder=3)  # fmt: skip
    alone = _alone(mass)
    axes.plot(t[alone], mass[alone], ".", color=look.colour, markersize=3.0, zorder=3)


def broken(curve: Curve) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return times, mass and sigma with NaN in each gap, so that no line crosses it.

    Examples
    --------
    >>> t, mass, _ = broken(Curve(np.array([0.0, 1.0, 2.0, 5.0]), np.arange(4.0), np.ones(4)))
    >>> t.tolist(), mass.tolist()
    ([0.0, 1.0, 2.0, 3.5, 5.0], [0.0, 1.0, 2.0, nan, 3.0])
    """
    there = np.isfinite(curve.mass)
    t, mass, sigma = (part[there] for part in (curve.times, curve.mass, curve.sigma))
    steps = np.diff(t)
    if steps.size:
        cuts = np.flatnonzero(steps > LONGER * float(np.median(steps))) + 1
        middles = (t[cuts - 1] + t[cuts]) / 2.0
        mass, sigma = (np.insert(part, cuts, np.nan) for part in (mass, sigma))
        t = np.insert(t, cuts, middles)
    return t, mass, sigma


def _alone(mass: FLOAT) -> NDArray[np.bool_]:
    """Return which points have no neighbour that a line could join them to."""
    there = np.isfinite(np.concatenate([[np.nan], mass, [np.nan]]))
    return np.asarray(there[1:-1] & ~there[:-2] & ~there[2:])
