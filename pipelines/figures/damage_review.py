"""The page on which a person judges the map of a shelf and summer: what is shown, and by what.

Above, the damage over the scene that supplies each part, with what is known of coverage and extent;
below, a card for each scene with what the network found in it. Words and look are those of the
sheet on which its scenes were chosen (:mod:`pipelines.figures.review_sheet`).
"""

from __future__ import annotations

import datetime as dt
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, damage_panels, review_panels
from pipelines.figures.maps import Outline
from pipelines.figures.review_candidates import check_axes, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

WIDTH = 12.0
"""Width of the page [inches], as that of the scenes."""
DPI = 140
"""Dots an inch: a product has hundreds of these sheets."""
MOST = 40
"""Most scenes that have a card; more are named at the foot."""
DRAWN = 0.25
"""Share of a cell that is damage, or mean probability, from which a cell is drawn as damage."""
_MARGIN, _BETWEEN, _TOP, _WORDS = 0.3, 0.16, 0.95, 0.55
_MAP_WIDE, _MAP_TALL, _LINE = 5.6, 5.0, 0.19
_CARD_TALL = 3.6
_KEY = (
    "orange to dark: probability of damage     thick frame: gives a part of the map     "
    "line: extent     hatched: shows nothing"
)
_LIST = 8.0


@dataclass(frozen=True, eq=False)
class ReviewedScene:
    """A scene of the summer.

    Attributes
    ----------
    number : int
        From 1, as in the map of suppliers.
    label, sensors : str
        What it is called, and what took it.
    day : date
        When it was taken.
    supplied, known : float
        Part of the map that it supplies, and part of the region that it shows [1].
    marks : tuple of str
        What else should be known: "SLC-off", "restored", "sun 24°", "dropped".
    probability : ndarray, shape (yc, xc)
        Mean probability of damage [1]; NaN where it shows nothing.
    picture : ndarray of uint8, shape (any, any, 3), or None
        Its colours over the same region.
    """

    number: int
    label: str
    sensors: str
    day: dt.date
    supplied: float
    known: float
    marks: tuple[str, ...]
    probability: FLOAT
    picture: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class ReviewedSummer:
    """A shelf in a summer.

    Attributes
    ----------
    title : str
        Shelf and summer.
    scenes : tuple of ReviewedScene
        In the order of their numbers.
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells in EPSG:3031 [m]; y decreases.
    supplier : ndarray of int, shape (yc, xc)
        Number of the scene that supplies each cell; 0 where none does.
    damage : ndarray, shape (yc, xc)
        Share of damage [1], also outside the extent.
    extent : ndarray of bool, shape (yc, xc)
        Where the shelf is.
    facts : tuple of str
        Coverage, source of the extent, rules: a line each.
    unpublished : str
        Why the map is not published; empty if it is.
    outlines : sequence of (x, y)
        Lines of the region [m].
    note : str
        How to decide otherwise.
    """

    title: str
    scenes: tuple[ReviewedScene, ...]
    x: FLOAT
    y: FLOAT
    supplier: NDArray[np.integer[Any]]
    damage: FLOAT
    extent: BOOL
    facts: tuple[str, ...]
    unpublished: str = ""
    outlines: Sequence[Outline] = ()
    note: str = ""


def sheet(shown: ReviewedSummer) -> bytes:
    """Draw the page of a shelf and summer.

    Returns
    -------
    bytes
        A PNG picture, 12 inches wide.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Arrays that do not fit each other.
    """
    _check(shown)
    ratio = review_panels.height_to_width(shown)
    tall = min(_MAP_WIDE * ratio, _MAP_TALL)
    above = _TOP + max(tall, _LINE * (len(shown.facts) + min(len(shown.scenes), 24) + 2)) + 0.9
    cards = shown.scenes[:MOST]
    columns = min(6, max(3, len(cards)))
    wide = (WIDTH - 2 * _MARGIN - (columns - 1) * _BETWEEN) / columns
    high = min(wide * ratio, _CARD_TALL)
    rows = math.ceil(len(cards) / columns)
    made = canvas.figure(WIDTH, above + rows * (high + _WORDS) + 0.15)
    made.set_layout_engine("none")
    _write_head(made, shown)
    _draw_map(_axes(made, _MARGIN, _TOP, tall / ratio, tall), shown)
    _write_facts(made, shown)
    _text(made, _MARGIN, above - 0.1, "What the network found in each", fontsize=9,
          color=canvas.INK)  # fmt: skip
    _text(made, WIDTH - _MARGIN, above - 0.1, _KEY, fontsize=7, color=canvas.GREY, ha="right")
    for n, one in enumerate(cards):
        row, column = divmod(n, columns)
        left = _MARGIN + column * (wide + _BETWEEN)
        _draw_card(made, shown, one, (left, above + row * (high + _WORDS), wide, high))
    return canvas.png(made, dpi=DPI)


def _write_head(made: Figure, shown: ReviewedSummer) -> None:
    """Write the title, whether the map is published, and the note."""
    _text(made, _MARGIN, 0.34, shown.title, fontsize=14, color=canvas.INK, fontweight="bold")
    told, shade = "published", canvas.GREEN
    if shown.unpublished:
        told, shade = f"not published: {shown.unpublished}", canvas.RED
    _text(made, WIDTH - _MARGIN, 0.34, textwrap.shorten(told, 95, placeholder=" …"), fontsize=9,
          color=shade, ha="right")  # fmt: skip
    for line, text in enumerate(textwrap.wrap(shown.note, 205, max_lines=2, placeholder=" …")):
        _text(made, _MARGIN, 0.55 + 0.14 * line, text, fontsize=7.5, color=canvas.GREY)


def _draw_map(axes: Axes, shown: ReviewedSummer) -> None:
    """Draw damage over the paled colour of the scene that supplies each cell."""
    axes.patch.set(facecolor="white", edgecolor=canvas.FAINT, hatch="/" * 6, linewidth=0.0)
    axes.imshow(over_suppliers(shown), extent=review_panels.extent(shown), zorder=0,
                interpolation="nearest")  # fmt: skip
    if shown.extent.any() and not shown.extent.all():
        axes.contour(shown.x / 1e3, shown.y / 1e3, shown.extent.astype(np.float64), levels=[0.5],
                     colors=canvas.INK, linewidths=1.0)  # fmt: skip
    for x, y in shown.outlines:
        axes.plot(x / 1e3, y / 1e3, color=canvas.GREY, linewidth=0.7, linestyle="dashed")
    review_panels.finish_map(axes, shown)
    canvas.heading(axes, "Damage, over the scene that gives each part")
    tall = float(axes.bbox.height / axes.figure.dpi)
    review_panels.draw_scale(axes, shown, below=0.2 / tall)
    for one in shown.scenes:
        place = review_panels.widest(shown.supplier == one.number)
        if place is not None:
            west, east, south, north = review_panels.extent(shown)
            at = ((shown.x[place[1]] / 1e3 - west) / (east - west),
                  (shown.y[place[0]] / 1e3 - south) / (north - south))  # fmt: skip
            review_panels.badge(axes, one.number, at, size=7.5)


def over_suppliers(shown: ReviewedSummer) -> FLOAT:
    """Return red, green, blue and opacity of the map, shape (yc, xc, 4), 0 to 1."""
    colours = np.zeros((*shown.supplier.shape, 4))
    for one in shown.scenes:
        tint = review_panels.rgb(review_panels.colour(one.number))
        here = shown.supplier == one.number
        pale = np.where(shown.extent[here][:, None], 0.5, 0.25)
        colours[here, :3] = 1.0 - pale * (1.0 - tint)
        colours[here, 3] = 1.0
    damaged = (np.nan_to_num(shown.damage) >= DRAWN) & (shown.supplier > 0)
    colours[damaged, :3] = review_panels.rgb(damage_panels.DAMAGE[-1])
    return colours


def _write_facts(made: Figure, shown: ReviewedSummer) -> None:
    """Write beside the map what is known of it, then the scenes in a list."""
    left = _MARGIN + _MAP_WIDE + 0.35
    _text(made, left, _TOP - 0.07, "dark: damage     line: extent     hatched: no scene",
          fontsize=7, color=canvas.GREY)  # fmt: skip
    for n, text in enumerate(shown.facts):
        _text(made, left, _TOP + 0.12 + _LINE * n, text, fontsize=8, color=canvas.INK)
    top = _TOP + 0.12 + _LINE * (len(shown.facts) + 1)
    _text(made, left, top, "Scenes, and what part of the map each one gives", fontsize=9,
          color=canvas.INK)  # fmt: skip
    for n, one in enumerate(shown.scenes[:24], start=1):
        axes = _axes(made, left, top + _LINE * n - 0.075, 0.15, 0.15)
        axes.set_axis_off()
        review_panels.badge(axes, one.number, (0.5, 0.5), size=6.5)
        marks = f", {', '.join(one.marks)}" if one.marks else ""
        text = f"{one.label}  {one.sensors}  gives {percent(one.supplied)}, "
        text += f"shows {percent(one.known)}{marks}"
        shade = canvas.INK if one.supplied > 0.0 else canvas.GREY
        _text(made, left + 0.24, top + _LINE * n + 0.04, textwrap.shorten(text, 88,
              placeholder=" …"), fontsize=_LIST, color=shade)  # fmt: skip
    more = len(shown.scenes) - 24
    if more > 0:
        _text(made, left, top + _LINE * 25 + 0.04, f"and {more} more, see review.yaml",
              fontsize=_LIST, color=canvas.GREY)  # fmt: skip


def _draw_card(
    made: Figure,
    shown: ReviewedSummer,
    one: ReviewedScene,
    place: tuple[float, float, float, float],
) -> None:
    """Draw what the network found in a scene, over the scene where its picture is at hand."""
    left, top, wide, high = place
    axes = _axes(made, left, top, wide, high)
    axes.patch.set(facecolor="white", edgecolor=canvas.FAINT, hatch="/" * 8, linewidth=0.0)
    box = review_panels.extent(shown)
    if one.picture is not None:
        there = (one.picture != 0).any(axis=-1, keepdims=True)
        axes.imshow(np.concatenate([one.picture, np.uint8(255) * there], axis=-1), extent=box,
                    zorder=0)  # fmt: skip
    axes.imshow(found(one), extent=box, zorder=1, interpolation="nearest")
    if shown.extent.any() and not shown.extent.all():
        axes.contour(shown.x / 1e3, shown.y / 1e3, shown.extent.astype(np.float64), levels=[0.5],
                     colors=canvas.INK, linewidths=0.6)  # fmt: skip
    review_panels.finish_map(axes, shown)
    gives = one.supplied > 0.0
    for spine in axes.spines.values():
        spine.set(linewidth=3.0 if gives else 0.5, zorder=6,
                  color=review_panels.colour(one.number) if gives else canvas.FAINT)  # fmt: skip
    review_panels.badge(axes, one.number, (0.09, 0.91), size=9.0)
    _text(made, left, top + high + 0.16, f"{one.label}  {one.sensors}", fontsize=7.5,
          color=canvas.INK, fontweight="bold")  # fmt: skip
    told = f"gives {percent(one.supplied)}, shows {percent(one.known)}"
    for line, text in enumerate([told, ", ".join(one.marks)]):
        _text(made, left, top + high + 0.28 + 0.11 * line, text, fontsize=6.4, color=canvas.INK)


def found(one: ReviewedScene) -> FLOAT:
    """Return the damage of a scene in colours, shape (yc, xc, 4), 0 to 1.

    Over a picture only what counts as damage is opaque; without one all that is known is.
    """
    known = np.isfinite(one.probability)
    share = np.clip(np.nan_to_num(one.probability), 0.0, 1.0)
    colours = np.asarray(damage_panels.colours()(share), dtype=np.float64)
    colours[..., 3] = known if one.picture is None else known & (share >= DRAWN)
    return colours


def _check(shown: ReviewedSummer) -> None:
    """Refuse arrays that do not fit each other."""
    check_axes(shown.x, shown.y)
    shape = (len(shown.y), len(shown.x))
    arrays = {"supplier": shown.supplier, "damage": shown.damage, "extent": shown.extent}
    arrays |= {f"probability of scene {one.number}": one.probability for one in shown.scenes}
    for name, array in arrays.items():
        if np.shape(array) != shape:
            msg = f"found {name} of shape {np.shape(array)}, expected {shape}"
            raise canvas.FigureError(msg)
    missing = set(np.unique(shown.supplier).tolist()) - {0, *(one.number for one in shown.scenes)}
    if missing:
        msg = f"found suppliers {sorted(missing)} that no scene has, expected numbers of scenes"
        raise canvas.FigureError(msg)


def _axes(made: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Return axes at a place on the page [inches from the left and from the top]."""
    width, height = made.get_size_inches()
    axes: Axes = made.add_axes((left / width, 1.0 - (top + high) / height, wide / width,
                                high / height))  # fmt: skip
    return axes


def _text(made: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write a line whose foot is at a place on the page [inches]."""
    made.text(left / WIDTH, 1.0 - top / float(made.get_size_inches()[1]), text, **style)
