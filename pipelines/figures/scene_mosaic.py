"""The summer as it will be seen: the chosen scenes in natural colours, each where it is uppermost.

One stretch of contrast serves all scenes and all three colours, so that ice keeps its colour and a
change of brightness between two scenes stays visible.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, review_panels
from pipelines.figures.maps import Outline
from pipelines.figures.review_candidates import check_axes, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOAT = NDArray[np.float64]
BYTES = NDArray[np.uint8]

SEAM = "#d55e00"
"""Lines where the scene changes."""
WHITE = 1.2
"""Reflectance of the byte 255; that of the byte 1 is 0."""
ICE = 0.3
"""Reflectance above which a cell counts as ice or snow for the contrast; open water lies below 0.1,
and blue ice above 0.4."""
WITHIN = (2.0, 99.5)
"""Percentiles of the ice that are drawn black and white."""
_LEAST_ICE, _LEAST_SPAN = 0.02, 0.15
"""Part of the cells below which all cells set the contrast, and least span of reflectance."""

_LEFT, _RIGHT, _ABOVE, _BELOW, _TALLEST = 0.75, 0.2, 0.4, 1.4, 8.4
"""Inches: beside, above and below the map, and its greatest height."""
_SCALE, _LINE, _COLUMNS = 0.55, 0.22, 3
"""Inches from the map to its scale, and of a line of the list; columns of the list."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Centres of cells [m]."""

    x: FLOAT
    y: FLOAT


def mosaic(
    quicklooks: BYTES,
    supplier: NDArray[np.integer[Any]],
    x: FLOAT,
    y: FLOAT,
    *,
    title: str,
    labels: Sequence[str],
    outlines: Sequence[Outline] = (),
) -> bytes:
    """Draw what the chosen scenes of a shelf and summer show together.

    Parameters
    ----------
    quicklooks : ndarray of uint8, shape (n, yc, xc, 3)
        Red, green and blue of each chosen scene in its order, the first row in the north: 0 where
        there is none, 1 to 255 for reflectances from 0 to `WHITE`.
    supplier : ndarray of int, shape (yc, xc)
        Order, from 1, of the scene that is uppermost; 0 where none is clear.
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells in EPSG:3031 [m]; y decreases.
    title : str
        Shelf and summer.
    labels : sequence of str
        What each scene is called: its day and platform.
    outlines : sequence of (x, y)
        Lines of the shelf and of the region [m].

    Returns
    -------
    bytes
        A PNG picture, 7.2 inches wide.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Arrays or labels that do not fit each other.
    """
    cells = Cells(x, y)
    _check(quicklooks, supplier, cells, labels)
    colours, shown = laid(quicklooks, supplier)
    uppermost = np.where(shown, supplier, 0)
    low, high, words = contrast(colours, shown)
    made, axes, below = _page(cells, len(labels))
    axes.patch.set(facecolor="white", edgecolor=canvas.MISSING, hatch="/" * 5, linewidth=0.0)
    axes.imshow(stretched(colours, shown, low, high), extent=review_panels.extent(cells),
                interpolation="nearest", zorder=0)  # fmt: skip
    draw_seams(axes, cells, uppermost)
    for line_x, line_y in outlines:
        axes.plot(line_x / 1e3, line_y / 1e3, color=canvas.INK, linewidth=0.8,
                  path_effects=canvas.halo(2.0))  # fmt: skip
    _number(axes, cells, supplier, len(labels))
    _finish(axes, cells, title)
    _list(made, uppermost, labels, below)
    _write_caption(made, words)
    return canvas.png(made)


def _page(cells: Cells, scenes: int) -> tuple[Figure, Axes, float]:
    """Return a page, axes for the map with its scale below, and where the list begins [inches]."""
    wide, ratio = canvas.PAGE - _LEFT - _RIGHT, review_panels.height_to_width(cells)
    tall = min(wide * ratio, _TALLEST)
    wide = tall / ratio
    height = _ABOVE + tall + _BELOW + _LINE * math.ceil(scenes / _COLUMNS)
    made = canvas.figure(canvas.PAGE, height)
    made.set_layout_engine("none")
    axes: Axes = made.add_axes((_LEFT / canvas.PAGE, 1.0 - (_ABOVE + tall) / height,
                                wide / canvas.PAGE, tall / height))  # fmt: skip
    review_panels.draw_scale(axes, cells, below=_SCALE / tall)
    return made, axes, _ABOVE + tall + _SCALE + 0.28


def laid(quicklooks: BYTES, supplier: NDArray[np.integer[Any]]) -> tuple[BYTES, NDArray[np.bool_]]:
    """Return the colours of the uppermost scenes, and where there are any.

    Parameters
    ----------
    quicklooks : ndarray of uint8, shape (n, yc, xc, 3)
        0 where there is none.
    supplier : ndarray of int, shape (yc, xc)
        From 1; 0 for none.

    Returns
    -------
    colours : ndarray of uint8, shape (yc, xc, 3)
        0 where nothing is shown.
    shown : ndarray of bool, shape (yc, xc)
        Whether a scene is uppermost and has data.

    Examples
    --------
    >>> scenes = np.array([[[[9, 9, 9], [8, 8, 8]]], [[[5, 5, 5], [0, 0, 0]]]], np.uint8)
    >>> laid(scenes, np.array([[2, 2]]))[0].tolist()
    [[[5, 5, 5], [0, 0, 0]]]
    """
    stack = np.concatenate([np.zeros((1, *quicklooks.shape[1:]), np.uint8), quicklooks])
    colours = np.take_along_axis(stack, supplier[None, ..., None].astype(np.intp), axis=0)[0]
    return colours, (colours != 0).any(axis=-1)


def contrast(colours: BYTES, shown: NDArray[np.bool_]) -> tuple[float, float, str]:
    """Return the reflectances drawn black and white, and words that say so.

    Percentiles `WITHIN` of the cells brighter than `ICE`: dark sea would else take most of the
    contrast, and ice would be one plain white.

    Parameters
    ----------
    colours : ndarray of uint8, shape (yc, xc, 3)
        1 to 255 for reflectances from 0 to `WHITE`.
    shown : ndarray of bool, shape (yc, xc)
        Where there are any.

    Returns
    -------
    low, high : float
        Reflectances [1], at least `_LEAST_SPAN` apart.
    words : str
        For the caption.
    """
    values = reflectance(colours[shown])
    if not values.size:
        return 0.0, WHITE, "No scene shows any part."
    ice = values.mean(axis=-1) > ICE
    what = f"cells brighter than {ICE:g}"
    if ice.mean() < _LEAST_ICE:
        ice, what = np.ones_like(ice), "the cells"
    low, high = (float(value) for value in np.percentile(values[ice], WITHIN))
    if high - low < _LEAST_SPAN:
        middle = (low + high) / 2.0
        low, high = middle - _LEAST_SPAN / 2.0, middle + _LEAST_SPAN / 2.0
    words = (f"Natural colours; reflectance {low:.2f} is drawn black and {high:.2f} white in all "
             f"three (about percentiles {WITHIN[0]:g} and {WITHIN[1]:g} of {what}).")  # fmt: skip
    return low, high, words


def reflectance(colours: BYTES) -> FLOAT:
    """Return the reflectances of bytes from 1 to 255.

    Examples
    --------
    >>> reflectance(np.array([1, 128, 255], np.uint8)).round(3).tolist()
    [0.0, 0.6, 1.2]
    """
    return (colours.astype(np.float64) - 1.0) * (WHITE / 254.0)


def stretched(colours: BYTES, shown: NDArray[np.bool_], low: float, high: float) -> BYTES:
    """Return colours with `low` as black and `high` as white, transparent where nothing is shown.

    Parameters
    ----------
    colours : ndarray of uint8, shape (yc, xc, 3)
        1 to 255 for reflectances from 0 to `WHITE`.
    shown : ndarray of bool, shape (yc, xc)
        Where there are any.
    low, high : float
        Reflectances [1].

    Returns
    -------
    ndarray of uint8, shape (yc, xc, 4)
        Red, green, blue, and 0 or 255.
    """
    drawn = np.clip((reflectance(colours) - low) / (high - low), 0.0, 1.0) * 255.0
    rgba = np.concatenate([drawn, 255.0 * shown[..., None]], axis=-1)
    return np.asarray(np.round(rgba), dtype=np.uint8)


def seams(supplier: NDArray[np.integer[Any]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the lines along which one scene meets another, as (column, row) of their two ends.

    Edges of what no scene shows are none; lines run as far as they are straight.

    Examples
    --------
    >>> seams(np.array([[1, 2, 0], [1, 2, 2], [1, 1, 0]]))
    [((1, 0), (1, 2)), ((1, 2), (2, 2))]
    """
    found = []
    for turned in (False, True):
        part = supplier.T if turned else supplier
        meets = (part[:, 1:] != part[:, :-1]) & (part[:, 1:] > 0) & (part[:, :-1] > 0)
        # runs down each edge between two columns begin where 1 follows 0, and end where 0 does 1
        steps = np.diff(np.pad(meets.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        edges, begins = np.nonzero(steps == 1)
        ends = np.nonzero(steps == -1)[1]
        for edge, begin, end in zip(edges.tolist(), begins.tolist(), ends.tolist(), strict=True):
            line = (edge + 1, begin), (edge + 1, end)
            found.append((line[0][::-1], line[1][::-1]) if turned else line)
    return found


def draw_seams(axes: Axes, cells: review_panels.Cells, supplier: NDArray[np.integer[Any]]) -> None:
    """Draw thin lines where the scene changes."""
    from matplotlib.collections import LineCollection

    west, east, south, north = review_panels.extent(cells)
    rows, columns = supplier.shape
    lines = np.array(seams(supplier), dtype=np.float64).reshape(-1, 2, 2)
    places = (west, north) + lines * ((east - west) / columns, (south - north) / rows)
    axes.add_collection(
        LineCollection(list(places), colors=SEAM, linewidths=0.5, capstyle="projecting"),
        autolim=False,
    )


def _number(axes: Axes, cells: Cells, supplier: NDArray[np.integer[Any]], scenes: int) -> None:
    """Write the number of each scene where its part is widest."""
    for order in range(1, scenes + 1):
        place = review_panels.widest(supplier == order)
        if place is not None:
            west, east, south, north = review_panels.extent(cells)
            at = ((cells.x[place[1]] / 1e3 - west) / (east - west),
                  (cells.y[place[0]] / 1e3 - south) / (north - south))  # fmt: skip
            review_panels.badge(axes, order, at, size=7.0)


def _finish(axes: Axes, cells: Cells, title: str) -> None:
    """Give the map its frame, axes in kilometres, and heading."""
    from matplotlib.ticker import MaxNLocator

    west, east, south, north = review_panels.extent(cells)
    axes.set(xlim=(west, east), ylim=(south, north))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(labelsize=7.5, color=canvas.FAINT, width=0.6)
    axes.set_xlabel("x of EPSG:3031 [km]", fontsize=8.0, labelpad=2.0)
    axes.set_ylabel("y of EPSG:3031 [km]", fontsize=8.0)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=canvas.FAINT)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=canvas.INK)


def _list(
    made: Figure, supplier: NDArray[np.integer[Any]], labels: Sequence[str], top: float
) -> None:
    """Write which scenes are shown, and how much of what is shown each one gives."""
    height = float(made.get_size_inches()[1])
    wide = canvas.PAGE - _LEFT - _RIGHT
    axes: Axes = made.add_axes((_LEFT / canvas.PAGE, 1.0 - (top + 1.0) / height,
                                wide / canvas.PAGE, 1.0 / height))  # fmt: skip
    axes.set_axis_off()
    shown = supplier[supplier > 0]
    for order, label in enumerate(labels, start=1):
        line, column = divmod(order - 1, _COLUMNS)
        left, y = column / _COLUMNS, 1.0 - _LINE * line
        share = percent(float(np.mean(shown == order)) if shown.size else 0.0)
        review_panels.badge(axes, order, (left + 0.015, y), size=7.0)
        axes.annotate(f"{label}, {share}", (left + 0.045, y), xycoords="axes fraction",
                      fontsize=7.5, va="center", color=canvas.INK)  # fmt: skip


def _write_caption(made: Figure, words: str) -> None:
    """Write how to read the picture, at the foot of the page."""
    text = (f"{words} Numbers and shares [% of what is shown]: the scene that is uppermost; thin "
            "orange lines: another scene. Hatched: no chosen scene shows it. Dark lines: shelf "
            "and region.")  # fmt: skip
    height = float(made.get_size_inches()[1])
    for line, part in enumerate(reversed(textwrap.wrap(text, 118))):
        made.text(_LEFT / canvas.PAGE, (0.1 + 0.135 * line) / height, part, fontsize=7,
                  color=canvas.GREY)  # fmt: skip


def _check(
    quicklooks: BYTES, supplier: NDArray[np.integer[Any]], cells: Cells, labels: Sequence[str]
) -> None:
    """Refuse arrays and labels that do not fit each other."""
    shape = (len(cells.y), len(cells.x))
    check_axes(cells.x, cells.y)
    for name, array, expected in (("quicklooks", quicklooks, (len(labels), *shape, 3)),
                                  ("supplier", supplier, shape)):  # fmt: skip
        if np.shape(array) != expected:
            msg = (f"found {name} of shape {np.shape(array)}, expected {expected} with "
                   f"{len(labels)} labels; give one of each for every chosen scene")  # fmt: skip
            raise canvas.FigureError(msg)
    if supplier.min() < 0 or supplier.max() > len(labels):
        msg = (f"found suppliers from {supplier.min()} to {supplier.max()}, expected 0 to "
               f"{len(labels)}: the order of the chosen scenes, 0 for none")  # fmt: skip
        raise canvas.FigureError(msg)
