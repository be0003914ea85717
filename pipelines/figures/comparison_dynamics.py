"""Damage of a shelf above the discharge of the ice behind it, year by year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.figures import canvas
from pipelines.figures.comparison_curves import Curve, broken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 6
"""Shelves on one page."""


@dataclass(frozen=True, eq=False)
class Beside:
    """One shelf.

    Attributes
    ----------
    damage : Curve
        Damaged part of its area [1].
    discharge : Curve
        Discharge of the basins behind it [Gt yr⁻¹].
    """

    damage: Curve
    discharge: Curve


def damage_beside_discharge(shelves: Mapping[str, Beside], *, title: str) -> bytes:
    """Draw two panels for each shelf: damage fraction above, discharge below.

    Parameters
    ----------
    shelves : mapping of str to Beside
        By name; up to ``MOST``.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; bars are one standard deviation.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No shelf, or too many.
    """
    if not 1 <= len(shelves) <= MOST:
        msg = f"found {len(shelves)} shelves, expected 1 to {MOST}; choose some"
        raise canvas.FigureError(msg)
    columns = min(len(shelves), 3)
    lines = -(-len(shelves) // columns)
    made = canvas.figure(canvas.PAGE, 0.6 + 2.9 * lines)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    panels = made.subplots(2 * lines, columns, squeeze=False, sharex="col")
    for n, (name, held) in enumerate(shelves.items()):
        line, column = divmod(n, columns)
        upper, lower = panels[2 * line][column], panels[2 * line + 1][column]
        _draw(upper, held.damage, scale=100.0, colour="#d55e00", mark="o")
        _draw(lower, held.discharge, scale=1.0, colour="#0072b2", mark="s")
        canvas.heading(upper, f"{canvas.letter(n)} {canvas.plain(name, most=24)}")
        if column == 0:
            upper.set_ylabel("damage [%]")
            lower.set_ylabel("discharge [Gt yr⁻¹]")
        lower.tick_params(labelbottom=True)
        _whole_years(lower)
    for line, column in (divmod(n, columns) for n in range(len(shelves), lines * columns)):
        panels[2 * line][column].set_axis_off()
        panels[2 * line + 1][column].set_axis_off()
    return canvas.png(made)


def _draw(axes: Axes, curve: Curve, *, scale: float, colour: str, mark: str) -> None:
    t, level, sigma = broken(curve)
    axes.errorbar(t, scale * level, yerr=scale * np.nan_to_num(sigma), color=colour, marker=mark,
                  markersize=3.6, linewidth=1.0, elinewidth=0.8, capsize=1.5)  # fmt: skip
    canvas.tidy(axes)


def _whole_years(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
