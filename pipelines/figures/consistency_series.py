"""How well maps of damage agree, pair by pair, with the flow of the ice and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, year_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

CARRIED, AS_WAS = "#0072b2", "#d55e00"
"""Colours of both ways (after Okabe and Ito, 2008); their marks differ too."""


@dataclass(frozen=True)
class Agreements:
    """A measure of every pair, one way.

    Attributes
    ----------
    value, lower, upper : ndarray, shape (pairs,)
        The measure and the ends of its interval [1]; NaN where there is none.
    """

    value: FLOAT
    lower: FLOAT
    upper: FLOAT


def drawn(
    pairs: year_axis.Spans,
    measures: Sequence[tuple[str, Agreements, Agreements]],
    *,
    title: str,
) -> bytes:
    """Draw measures of all pairs.

    Parameters
    ----------
    pairs : Spans
        From the earlier to the later map, in order.
    measures : sequence of (name, carried, as it was)
        A panel each.
    title : str
        Which shelf.

    Returns
    -------
    bytes
        PNG.
    """
    for _, *ways in measures:
        for way in ways:
            year_axis.check(pairs, {"value": way.value}, what="agreements")
    made = canvas.figure(canvas.PAGE, 0.7 + 1.9 * len(measures))
    panels = made.subplots(len(measures), 1, squeeze=False)[:, 0]
    for number, (axes, (name, carried, as_was)) in enumerate(zip(panels, measures, strict=True)):
        shift = 0.06 * float(pairs.lengths.min())
        _draw(axes, pairs.centres - shift, as_was, colour=AS_WAS, mark="s", label="as it was")
        _draw(axes, pairs.centres + shift, carried, colour=CARRIED, mark="o",
              label="carried by the flow")  # fmt: skip
        canvas.heading(axes, f"{canvas.letter(number)} {name}", right=_gain(carried, as_was))
        canvas.tidy(axes)
        year_axis.draw(axes, pairs, inches=canvas.PAGE - 0.8)
        axes.set_ylabel("agreement [1]", fontsize=8)
        axes.set_ylim(*_limits(carried, as_was))
    panels[0].legend(fontsize=7, frameon=False, loc="best")
    panels[-1].set_xlabel(
        "pair of summers; bars: 68 % by leaving out blocks of the map", fontsize=8
    )
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    return canvas.png(made)


def _draw(axes: Axes, at: FLOAT, of: Agreements, *, colour: str, mark: str, label: str) -> None:
    known = np.isfinite(of.lower) & np.isfinite(of.upper)
    axes.vlines(at[known], of.lower[known], of.upper[known], color=colour, linewidth=1.1)
    axes.plot(at, of.value, mark, color=colour, markersize=4.2, label=label,
              markerfacecolor=colour if mark == "o" else "white")  # fmt: skip
    middle = float(np.median(of.value[np.isfinite(of.value)])) if np.isfinite(of.value).any() else 0
    axes.axhline(middle, color=colour, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)


def _gain(carried: Agreements, as_was: Agreements) -> str:
    """Return the medians over pairs, which dashed lines show."""
    told = []
    for of in (as_was, carried):
        known = of.value[np.isfinite(of.value)]
        told.append(f"{np.median(known):.3f}" if known.size else "none")
    return f"medians (dashed): {told[0]} as it was, {told[1]} carried"


def _limits(*ways: Agreements) -> tuple[float, float]:
    """Return the ends of the axis: up to 1, down to what there is."""
    held = np.concatenate([each for of in ways for each in (of.value, of.lower)])
    low = float(np.nanmin(held)) if np.isfinite(held).any() else 0.0
    return max(-1.0, np.floor(10.0 * low - 0.5) / 10.0), 1.03
