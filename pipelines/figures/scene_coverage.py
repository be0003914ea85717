"""Which summers of which shelves the chosen scenes show: one page for a whole run.

After Figure 3 of Tang et al. (2026), which tells years with a map from years without; here a cell
also says how much is shown, by how many scenes, and of which Landsat.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOAT = NDArray[np.float64]
COUNTS = NDArray[np.integer[Any]]

COLOURS = "YlGnBu"
"""From light, little, to dark, all: one order for all readers, and in grey print."""
ENOUGH = 0.8
"""Part of the region from which a summer counts as well shown in the words at the right."""

_LEFT_LEAST, _RIGHT, _ABOVE, _BELOW = 0.6, 0.95, 0.6, 1.15
"""Inches: least room for the names, and right of, above and below the cells."""
_CELL, _WIDEST, _TALL, _UPRIGHT = 0.34, 0.9, 0.38, 0.5
"""Least and greatest width of a cell, its height, and width for level names [inches]."""
_PAUSE = 0.35
"""Widths of a cell between summers that do not follow each other."""
_LETTER = 0.068
"""Width of a letter of 8.5 points [inches]."""


def coverage(
    shelves: Sequence[str],
    summers: Sequence[int],
    shown: FLOAT,
    scenes: COUNTS,
    platforms: Sequence[Sequence[str]],
    *,
    found: COUNTS | None = None,
    title: str = "What the chosen scenes show",
) -> bytes:
    """Draw a table of shelves and summers whose colours say how much is shown.

    Parameters
    ----------
    shelves : sequence of str
        Names, from the top.
    summers : sequence of int
        Years in which the summers begin, in order.
    shown : ndarray, shape (shelf, summer)
        Fraction of the region that chosen scenes show [1]; NaN where the summer was not asked for.
    scenes : ndarray of int, shape (shelf, summer)
        Number of chosen scenes.
    platforms : sequence of sequences of str, shape (shelf, summer)
        Landsats of the chosen scenes: "7", "8+9"; "" for none.
    found : ndarray of int, shape (shelf, summer), or None
        Number of candidates; tells summers without any from such of which all were rejected. None:
        a summer without chosen scenes counts as one without candidates.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture, 7.2 inches wide, or as wide as the summers need.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No shelf or summer, arrays of other shapes, fractions outside 0 to 1, summers out of order.
    """
    codes = np.array([list(row) for row in platforms], dtype=object)
    asked = np.isfinite(shown)
    _check(shelves, summers, {"shown": shown, "scenes": scenes, "platforms": codes}, found)
    absent = asked & ((scenes if found is None else found) == 0)
    places = columns(summers)
    made, axes, upright = _page(shelves, places)
    for row, name in enumerate(shelves):
        for column, place in enumerate(places):
            at, here = (row, column), (float(place), float(row))
            if not asked[at]:
                _box(axes, here, facecolor="white", edgecolor=canvas.GRID)
            elif absent[at]:
                _box(axes, here, facecolor="white", edgecolor=canvas.FAINT, hatch="/" * 5)
            else:
                _cell(axes, here, float(shown[at]), f"{int(scenes[at])}", str(codes[at]))
        axes.text(-0.62, row, name, ha="right", va="center", fontsize=8.5, color=canvas.INK)
        axes.text(places[-1] + 0.64, row, _summary(shown[row]), va="center", fontsize=7,
                  color=canvas.GREY)  # fmt: skip
    axes.text(places[-1] + 0.64, -0.68, f"≥ {100 * ENOUGH:.0f} % shown", fontsize=7,
              va="center", color=canvas.GREY)  # fmt: skip
    names = [f"{year}/{(year + 1) % 100:02d}" for year in summers]
    axes.set_xticks(list(places), names, rotation=90 if upright else 0)
    axes.tick_params(labelsize=7.5, length=0.0, pad=3.0)
    width, height = made.get_size_inches()
    made.text(0.15 / width, 1.0 - 0.27 / height, title, fontsize=11, fontweight="bold",
              color=canvas.INK)  # fmt: skip
    _draw_key(made, absent_only=found is None)
    return canvas.png(made)


def columns(summers: Sequence[int]) -> FLOAT:
    """Return where summers stand [widths of a cell], with pauses where years are left out.

    Examples
    --------
    >>> columns([2005, 2006, 2014]).tolist()
    [0.0, 1.0, 2.35]
    """
    steps = np.where(np.diff(summers) > 1, 1.0 + _PAUSE, 1.0)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _page(shelves: Sequence[str], places: FLOAT) -> tuple[Figure, Axes, bool]:
    """Return a page, axes whose unit is a cell, and whether names of summers stand upright."""
    left = max(_LEFT_LEAST, 0.25 + _LETTER * max(len(name) for name in shelves))
    across = float(places[-1]) + 1.0
    cell = min(max((canvas.PAGE - left - _RIGHT) / across, _CELL), _WIDEST)
    width = max(canvas.PAGE, left + cell * across + _RIGHT)
    tall, upright = _TALL * len(shelves), cell < _UPRIGHT
    height = _ABOVE + tall + _BELOW + (0.35 if upright else 0.0)
    made = canvas.figure(width, height)
    made.set_layout_engine("none")
    axes: Axes = made.add_axes((left / width, 1.0 - (_ABOVE + tall) / height,
                                cell * across / width, tall / height))  # fmt: skip
    axes.set(xlim=(-0.5, across - 0.5), ylim=(len(shelves) - 0.5, -0.5), yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return made, axes, upright


def _box(axes: Axes, here: tuple[float, float], **style: Any) -> None:
    """Draw a cell with a narrow margin."""
    from matplotlib.patches import Rectangle

    corner = (here[0] - 0.47, here[1] - 0.46)
    axes.add_patch(Rectangle(corner, 0.94, 0.92, linewidth=0.5, clip_on=False, **style))


def _cell(
    axes: Axes, here: tuple[float, float], fraction: float, count: str, platforms: str
) -> None:
    """Draw a summer that has candidates: what is shown, by how many scenes, of which Landsat."""
    shade, letters = colours_of(fraction)
    _box(axes, here, facecolor=shade, edgecolor=canvas.FAINT)
    up = 0.14 if platforms else 0.0
    axes.text(here[0], here[1] - up, count, ha="center", va="center", fontsize=8.5, color=letters,
              fontweight="bold")  # fmt: skip
    axes.text(here[0], here[1] + 0.25, platforms, ha="center", va="center", fontsize=5.8,
              color=letters)  # fmt: skip


def colours_of(fraction: float) -> tuple[tuple[float, float, float], str]:
    """Return red, green and blue of a fraction, 0 to 1, and a colour for letters on it."""
    from matplotlib import colormaps

    red, green, blue, _ = colormaps[COLOURS](fraction)
    # relative luminance, near enough; ink and white stand out equally where it is 0.22
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return (float(red), float(green), float(blue)), canvas.INK if light > 0.22 else "white"


def _summary(shown: FLOAT) -> str:
    """Return how many of the summers asked for are well shown."""
    asked = shown[np.isfinite(shown)]
    return f"{int((asked >= ENOUGH).sum())} of {asked.size}" if asked.size else "–"


def _draw_key(made: Figure, *, absent_only: bool) -> None:
    """Draw the scale of colours and what else a cell can be, at the foot of the page."""
    from matplotlib import colormaps

    width, height = made.get_size_inches()
    bar: Axes = made.add_axes((0.25 / width, 0.42 / height, 2.4 / width, 0.13 / height))
    bar.imshow(colormaps[COLOURS](np.linspace(0.0, 1.0, 256))[None], aspect="auto",
               extent=(0.0, 100.0, 0.0, 1.0))  # fmt: skip
    bar.set(xticks=[0, 20, 40, 60, 80, 100], yticks=[])
    for spine in bar.spines.values():
        spine.set(linewidth=0.5, color=canvas.FAINT)
    bar.tick_params(labelsize=7, length=2.0, width=0.5, color=canvas.FAINT)
    bar.set_title("part of the region that is shown [%]", fontsize=7.5, loc="left",
                  color=canvas.INK, pad=3.0)  # fmt: skip
    key: Axes = made.add_axes((2.95 / width, 0.2 / height, 4.1 / width, 0.5 / height))
    key.set(xlim=(0.0, 4.1), ylim=(0.0, 0.5))
    key.set_axis_off()
    none = "no scene" if absent_only else "no scene found"
    _swatch(key, (0.0, 0.32), none, edgecolor=canvas.FAINT, hatch="/" * 5)
    _swatch(key, (1.3, 0.32), "not asked for", edgecolor=canvas.GRID)
    words = "in a cell: number of chosen scenes, and which Landsat took them"
    if not absent_only:
        words += "; 0: all rejected"
    key.text(0.0, 0.09, words, fontsize=7, va="center", color=canvas.INK)


def _swatch(axes: Axes, place: tuple[float, float], words: str, **style: Any) -> None:
    """Draw an example of a cell and what it means."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(place, 0.26, 0.16, facecolor="white", linewidth=0.5, **style))
    axes.text(place[0] + 0.34, place[1] + 0.08, words, fontsize=7, va="center", color=canvas.INK)


def _check(
    shelves: Sequence[str],
    summers: Sequence[int],
    arrays: dict[str, NDArray[Any]],
    found: COUNTS | None,
) -> None:
    """Refuse what makes no table."""
    shape = (len(shelves), len(summers))
    if not all(shape):
        msg = f"found {shape[0]} shelves and {shape[1]} summers, expected at least one of each"
        raise canvas.FigureError(msg)
    for name, array in arrays.items() if found is None else [*arrays.items(), ("found", found)]:
        if np.shape(array) != shape:
            msg = f"found {name} of shape {np.shape(array)}, expected {shape}: (shelf, summer)"
            raise canvas.FigureError(msg)
    if (np.diff(summers) < 1).any():
        msg = f"found the summers {list(summers)}, expected each once and in order; sort them"
        raise canvas.FigureError(msg)
    values = arrays["shown"][np.isfinite(arrays["shown"])]
    if values.size and not (values.min() >= 0.0 and values.max() <= 1.0 + 1e-9):
        msg = (f"found shown from {values.min():g} to {values.max():g}, expected fractions from 0 "
               "to 1, NaN where a summer was not asked for")  # fmt: skip
        raise canvas.FigureError(msg)
