"""Rates of mass along lines across the ice sheet, by each sensor with its spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOAT = NDArray[np.float64]
Curve = tuple[FLOAT, FLOAT]

WIDEST = 2.0
"""Widths of the left panels over those of the right at most: long lines over short ones."""


@dataclass(frozen=True)
class Profile:
    """One transect.

    Attributes
    ----------
    name : str
        Its name, AA' or cc'.
    distance_km : ndarray, shape (p,)
        Distance from its first point [km], increasing.
    curves : mapping of str to (mean, spread), each ndarray, shape (p,)
        Rate and standard deviation by sensor [kg m⁻² yr⁻¹]; NaN leaves a gap.
    grounded : ndarray, shape (p,)
        1 on grounded ice, 0 off it.
    places : tuple of (float, str)
        Distances [km] and names of glaciers to be told.
    """

    name: str
    distance_km: FLOAT
    curves: Mapping[str, Curve]
    grounded: FLOAT
    places: tuple[tuple[float, str], ...] = ()


def profiles(lines: Sequence[Profile], *, title: str) -> bytes:
    """Draw transects one above the other, long ones left and short ones right.

    Sasgen et al. (2019), figure 6.

    Parameters
    ----------
    lines : sequence of Profile
        Transects.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; bands are one standard deviation, grey is off the grounded ice.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No transect, or one whose curves do not have its points.
    """
    _check(lines)
    rows = -(-len(lines) // 2)
    made = canvas.figure(canvas.PAGE, 0.8 + 2.15 * rows)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    columns = [lines[:rows], lines[rows:]] if len(lines) > 1 else [lines]
    panels = made.subplots(rows, len(columns), squeeze=False, width_ratios=_widths(columns))
    for column, group in enumerate(columns):
        for row, line in enumerate(group):
            _profile(panels[row][column], line)
            letter = canvas.letter(row + rows * column)
            canvas.heading(panels[row][column], f"{letter} {line.name.replace(chr(39), '′')}")
        for row in range(len(group), rows):
            panels[row][column].set_axis_off()
        panels[len(group) - 1][column].set_xlabel("distance [km]", fontsize=8.5)
    for axes in panels[:, 0]:
        axes.set_ylabel("kg m⁻² yr⁻¹", fontsize=8.5)
    _legend(made, lines)
    return canvas.png(made)


def _check(lines: Sequence[Profile]) -> None:
    if not lines:
        msg = "found no transects, expected at least one; nothing can be drawn"
        raise canvas.FigureError(msg)
    for line in lines:
        shape = np.shape(line.distance_km)
        canvas.check_shapes({line.name: line.grounded}, shape, what="grounded points")
        for curve, what in ((0, "rates"), (1, "spreads")):
            chosen = {
                f"{name} along {line.name}": each[curve] for name, each in line.curves.items()
            }
            canvas.check_shapes(chosen, shape, what=what)
        if len(line.distance_km) < 2 or not np.all(np.diff(line.distance_km) > 0.0):
            msg = (
                f"found distances of {line.name!r} that do not increase along {shape} points, "
                "expected two points at least, in order from the first"
            )
            raise canvas.FigureError(msg)


def _widths(columns: Sequence[Sequence[Profile]]) -> list[float]:
    """Return widths of columns in proportion to their longest lines, within reason."""
    lengths = [max(float(line.distance_km[-1]) for line in group) for group in columns]
    least = max(lengths) / WIDEST
    return [max(length, least) for length in lengths]


def _profile(axes: Axes, line: Profile) -> None:
    """Draw the curves of one line over the ground they cross."""
    off = line.grounded < 0.5
    axes.fill_between(line.distance_km, 0, 1, where=off.tolist(), color=canvas.SHADE, zorder=0,
                      transform=axes.get_xaxis_transform(), step="mid", linewidth=0)  # fmt: skip
    axes.axhline(0.0, color=canvas.INK, linewidth=0.5, zorder=1.5)
    for name, (mean, spread) in line.curves.items():
        hue = canvas.colour(name)
        axes.fill_between(line.distance_km, mean - spread, mean + spread, color=hue, alpha=0.18,
                          linewidth=0)  # fmt: skip
        axes.plot(line.distance_km, mean, color=hue, linewidth=1.2)
    for place, told in line.places:
        axes.axvline(place, color=canvas.FAINT, linewidth=0.5, linestyle=":", zorder=1)
        axes.annotate(told, (place, 1.0), xycoords=axes.get_xaxis_transform(), ha="center",
                      va="top", xytext=(0, -2), textcoords="offset points", fontsize=6,
                      color=canvas.GREY, path_effects=canvas.halo())  # fmt: skip
    axes.set_xlim(float(line.distance_km[0]), float(line.distance_km[-1]))
    canvas.tidy(axes)
    _ends(axes, line.name)


def _ends(axes: Axes, name: str) -> None:
    """Write A and A′ at the ends of the line AA′; other names have no ends of their own."""
    first, rest = name[:1], name[1:]
    if rest == f"{first}'":
        for x, text, side in ((0.012, first, "left"), (0.988, f"{first}′", "right")):
            axes.text(x, 0.04, text, transform=axes.transAxes, ha=side, fontsize=8,
                      fontweight="bold", color=canvas.GREY, path_effects=canvas.halo())  # fmt: skip


def _legend(made: Figure, lines: Sequence[Profile]) -> None:
    """Say below all panels what colours, bands and grey ground mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = dict.fromkeys(name for line in lines for name in line.curves)
    told: list[Any] = [Line2D([], [], color=canvas.colour(name), label=name) for name in names]
    told.append(Patch(color=canvas.BLUE, alpha=0.25, linewidth=0, label="± one spread"))
    told.append(Patch(color=canvas.SHADE, linewidth=0, label="off grounded ice"))
    made.legend(handles=told, loc="outside lower center", ncols=len(told), frameon=False,
                fontsize=8, handlelength=1.8)  # fmt: skip
