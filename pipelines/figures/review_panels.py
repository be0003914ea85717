"""Parts of a review sheet: when scenes were taken, which one gives what, what QA rejects."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.review_candidates import Candidate, Sheet, percent, platforms_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

CHOSEN = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442", "#7f5aa8")
"""Colours of the chosen scenes in their order (after Okabe and Ito, 2008); numbers say it too."""
FAST = "#d55e00"
"""The fast-flowing part, in outlines and in bars."""
REJECTED = "#c2006b"
"""What QA_PIXEL rejects: neither ice, cloud, shadow nor sea is magenta."""
_LISTED = 12
"""Most chosen scenes that are named beside the map."""
_FINEST, _GAP = 128, 3.0
"""Cells a side that hatching can show, and gaps between data that it crosses [cells]."""


class Cells(Protocol):
    """Anything on cells whose centres x and y [m] are evenly spaced; y decreases."""

    @property
    def x(self) -> FLOAT:
        """Centres, shape (xc,) [m]."""

    @property
    def y(self) -> FLOAT:
        """Centres, shape (yc,) [m]."""


def colour(order: int) -> str:
    """Return the colour of the chosen scene of an order, from 1.

    Examples
    --------
    >>> colour(1), colour(8)
    ('#0072b2', '#0072b2')
    """
    return CHOSEN[(order - 1) % len(CHOSEN)]


def draw_times(axes: Axes, sheet: Sheet) -> None:
    """Draw how clear each candidate is against the day when it was taken."""
    chosen = [one.day.toordinal() for one in sheet.candidates if one.order]
    if len(chosen) > 1:
        axes.axvspan(min(chosen), max(chosen), color=canvas.SHADE, linewidth=0, zorder=0)
    for one in sheet.candidates:
        _mark(axes, one.day.toordinal(), 100.0 * float(np.nan_to_num(one.valid)), one)
    canvas.tidy(axes)
    axes.set_ylim(-7.0, 107.0)
    axes.set_yticks([0, 25, 50, 75, 100])
    days = [*sheet.season, *(one.day for one in sheet.candidates)]
    axes.set_xlim(min(days).toordinal() - 3, max(days).toordinal() + 3)
    _name_months(axes, min(days), max(days))
    axes.set_ylabel("clear part of the region [%]")
    canvas.heading(axes, "When", right="filled: chosen, numbered in order     ○ not needed     "
                   "× rejected     shaded: from first to last chosen")  # fmt: skip


def _name_months(axes: Axes, first: date, last: date) -> None:
    """Write the first of each month, and short ticks each ten days."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    months = [day for day in days if day.day == 1]
    names = [f"1 {day:%b %Y}" if day.month in {1, 11} else f"1 {day:%b}" for day in months]
    axes.set_xticks([day.toordinal() for day in months], names)
    tens = [day.toordinal() for day in days if day.day in {11, 21}]
    axes.set_xticks(tens, minor=True)


def _mark(axes: Axes, day: int, clear: float, one: Candidate) -> None:
    """Draw one candidate on the time axis."""
    if one.order:
        axes.plot([day, day], [0.0, clear], color=canvas.INK, linewidth=0.8, zorder=2)
        axes.plot(day, clear, "o", color=colour(one.order), markersize=12, zorder=4,
                  markeredgecolor=canvas.INK, markeredgewidth=0.7)  # fmt: skip
        axes.annotate(f"{one.order}", (day, clear), ha="center", va="center_baseline", zorder=5,
                      fontsize=8, fontweight="bold", color=letters_on(one.order))  # fmt: skip
    elif one.rank:
        axes.plot(day, clear, "o", markerfacecolor="white", markeredgecolor=canvas.GREY,
                  markersize=5, zorder=3)  # fmt: skip
    else:
        axes.plot(day, clear, "x", color=canvas.FAINT, markersize=5, zorder=3)


def draw_supplies(axes: Axes, sheet: Sheet) -> None:
    """Draw which chosen scene gives which part of the region."""
    chosen = sorted((one for one in sheet.candidates if one.order), key=lambda one: one.order)
    shown = np.full((*sheet.supplies.shape, 3), rgb("#ffffff"))
    for one in chosen:
        shown[sheet.supplies == one.order] = rgb(colour(one.order))
    axes.imshow(shown, extent=extent(sheet), interpolation="nearest", zorder=0)
    draw_lines(axes, sheet)
    finish_map(axes, sheet)
    canvas.heading(axes, "Which gives what")
    axes.set_anchor("NW")
    inch = 1.0 / width(axes, sheet)
    down = inch / height_to_width(sheet)
    draw_scale(axes, sheet, below=0.12 * down)
    side: dict[str, Any] = {"xycoords": "axes fraction", "va": "center", "fontsize": 7}
    axes.annotate("shares of what is shown; white: none", (1.0 + 0.12 * inch, 1.0 - 0.07 * down),
                  color=canvas.GREY, **side)  # fmt: skip
    given = sheet.supplies[sheet.supplies > 0]
    for line, one in enumerate(chosen):
        deepest = widest(sheet.supplies == one.order)
        if deepest is not None:
            x, y = sheet.x[deepest[1]] / 1e3, sheet.y[deepest[0]] / 1e3
            axes.text(x, y, f"{one.order}", fontsize=8, ha="center", va="center",
                      fontweight="bold", color=letters_on(one.order))  # fmt: skip
        if line < _LISTED:
            share = float(np.mean(given == one.order)) if given.size else 0.0
            text = f"{one.day}  {platforms_text(one.platforms)}  {percent(share)}"
            y = 1.0 - (0.34 + min(0.27, 1.9 / min(len(chosen), _LISTED)) * line) * down
            badge(axes, one.order, (1.0 + 0.2 * inch, y), size=7.0)
            axes.annotate(text, (1.0 + 0.38 * inch, y), color=canvas.INK, **side)


def width(axes: Axes, cells: Cells) -> float:
    """Return the width of a map whose sides are as long as those of its region [inches]."""
    box = axes.bbox
    return float(min(box.width, box.height / height_to_width(cells)) / axes.figure.dpi)


def badge(axes: Axes, order: int, place: tuple[float, float], *, size: float) -> None:
    """Draw the number of a chosen scene, or a cross for 0, at a place of the axes."""
    axes.annotate(f"{order}" if order else "×", place, ha="center", va="center",
                  xycoords="axes fraction", fontsize=size, fontweight="bold", zorder=7,
                  color=letters_on(order) if order else canvas.RED,
                  bbox={"boxstyle": "circle,pad=0.24", "edgecolor": canvas.INK, "linewidth": 0.7,
                        "facecolor": colour(order) if order else "white"})  # fmt: skip


def widest(part: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return row and column where a part is widest; None where no name would have room.

    Examples
    --------
    >>> part = np.zeros((9, 9), bool)
    >>> part[1:8, 2:7] = True
    >>> widest(part)
    (3, 4)
    """
    from scipy import ndimage

    deep = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    if deep.max() < 2.0:
        return None
    row, column = np.unravel_index(int(deep.argmax()), deep.shape)
    return int(row), int(column)


def draw_rejected(
    axes: Axes, cells: Cells, rejected: NDArray[np.bool_], there: NDArray[np.bool_]
) -> None:
    """Hatch cells thinly and draw a line around them, so that what lies below is still seen.

    Parameters
    ----------
    axes : Axes
        Those of the picture.
    cells : Cells
        Where the cells lie.
    rejected, there : ndarray of bool, shape (yc, xc)
        What is rejected, and where there are data.
    """
    shown = legible(rejected & there, there)
    if not shown.any():
        return
    west, east, south, north = extent(cells)
    # a frame of cells that are not rejected closes the line at the edges
    rows, columns = shown.shape
    high, wide = (north - south) / rows, (east - west) / columns
    grid = (west + wide * (np.arange(columns + 2) - 0.5),
            north - high * (np.arange(rows + 2) - 0.5),
            np.pad(shown, 1).astype(np.float64))  # fmt: skip
    hatched = axes.contourf(*grid, levels=[0.5, 1.5], colors="none", hatches=["\\" * 5])
    hatched.set(edgecolor=REJECTED, linewidth=0.0, hatch_linewidth=0.4)
    axes.contour(*grid, levels=[0.5], colors="white", linewidths=1.1, alpha=0.6)
    axes.contour(*grid, levels=[0.5], colors=REJECTED, linewidths=0.6)


def legible(rejected: NDArray[np.bool_], there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is rejected, without gaps of a few cells and as coarse as can be drawn.

    Cells without data up to `_GAP` from data count as the nearest of these, so that stripes that
    the scan-line corrector left do not cut the hatching to pieces; above `_FINEST` cells a side,
    the majority of square blocks is taken.

    Parameters
    ----------
    rejected, there : ndarray of bool, shape (yc, xc)
        What is rejected, only where there are data, and where there are.

    Returns
    -------
    ndarray of bool, shape (about yc / f, about xc / f)
        Blocks of about f × f cells, f = 1 up to `_FINEST` cells a side.
    """
    from scipy import ndimage

    if there.any() and not there.all():
        away, near = ndimage.distance_transform_edt(~there, return_indices=True)
        rejected = rejected[tuple(near)] & (away <= _GAP)
    factor = math.ceil(max(rejected.shape) / _FINEST)
    ends = [np.linspace(0, n, max(n // factor, 1) + 1).astype(int)[:-1] for n in rejected.shape]
    parts = np.add.reduceat(np.add.reduceat(rejected.astype(int), ends[0], axis=0), ends[1], axis=1)
    sizes = [np.diff([*first, n]) for first, n in zip(ends, rejected.shape, strict=True)]
    return np.asarray(2 * parts >= np.outer(*sizes))


def draw_lines(axes: Axes, sheet: Sheet) -> None:
    """Draw the outlines, and the fast part dashed."""
    for x, y in sheet.outlines:
        axes.plot(x / 1e3, y / 1e3, color=canvas.INK, linewidth=0.7, path_effects=canvas.halo(1.8))
    if sheet.fast is not None and sheet.fast.any() and not sheet.fast.all():
        axes.contour(sheet.x / 1e3, sheet.y / 1e3, sheet.fast.astype(np.float64), levels=[0.5],
                     colors=FAST, linewidths=0.9, linestyles="dashed")  # fmt: skip


def finish_map(axes: Axes, cells: Cells) -> None:
    """Show the region and nothing else."""
    west, east, south, north = extent(cells)
    axes.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[], aspect="equal")
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=canvas.FAINT)


def draw_scale(axes: Axes, cells: Cells, *, below: float = 0.05) -> None:
    """Draw a scale below the map, and the way to true north, away from the pole of EPSG:3031.

    Parameters
    ----------
    axes : Axes
        Those of the map.
    cells : Cells
        What the map shows.
    below : float
        How far below the map [heights of the map].
    """
    west, east, *_ = extent(cells)
    step = 10.0 ** math.floor(math.log10((east - west) / 2.0))
    length = step * max(n for n in (1.0, 2.0, 5.0) if n * step <= (east - west) / 2.0)
    part, inch = length / (east - west), 1.0 / width(axes, cells)
    style: dict[str, Any] = {"xycoords": "axes fraction", "annotation_clip": False}
    words: dict[str, Any] = {**style, "fontsize": 7, "va": "center", "color": canvas.INK}
    axes.plot([0.0, part], [-below, -below], transform=axes.transAxes, color=canvas.INK,
              linewidth=2.0, clip_on=False, solid_capstyle="butt")  # fmt: skip
    axes.annotate(f"{length:g} km", (part + 0.07 * inch, -below), **words)
    x, y = float(np.mean(cells.x)), float(np.mean(cells.y))
    away = math.hypot(x, y)
    if away > 0.0:
        half = 0.115 * inch
        middle = max(0.82, part + 0.58 * inch + half)  # beside the length, on narrow maps too
        # fractions of the axes are longer along the longer side
        dx, dy = half * x / away, half * y / away / height_to_width(cells)
        foot = -below - 0.4 * abs(dy)
        axes.annotate("", (middle + dx, foot + dy), (middle - dx, foot - dy), textcoords=
                      "axes fraction", arrowprops={"arrowstyle": "-|>", "color": canvas.INK,
                      "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}, **style)  # fmt: skip
        axes.annotate("north", (middle + half + 0.05 * inch, -below), **words)


def height_to_width(cells: Cells) -> float:
    """Return the height of the region in widths."""
    west, east, south, north = extent(cells)
    return (north - south) / (east - west)


def extent(cells: Cells) -> tuple[float, float, float, float]:
    """Return west, east, south and north edge of the cells [km]."""
    half = abs(float(cells.x[1] - cells.x[0])) / 2e3
    return (float(cells.x[0]) / 1e3 - half, float(cells.x[-1]) / 1e3 + half,
            float(cells.y[-1]) / 1e3 - half, float(cells.y[0]) / 1e3 + half)  # fmt: skip


def rgb(name: str) -> FLOAT:
    """Return red, green and blue of a colour, 0 to 1."""
    return np.array([int(name[i : i + 2], 16) / 255.0 for i in (1, 3, 5)])


def letters_on(order: int) -> str:
    """Return white or ink, whichever is legible on the colour of an order."""
    return "white" if rgb(colour(order)) @ np.array([0.30, 0.59, 0.11]) < 0.5 else canvas.INK
