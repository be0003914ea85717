"""The page on which a person judges a choice of scenes: what there was, what was taken, and why.

Above, when the scenes of a summer were taken and how clear they are, and which one gives which part
of the region; below, a card for each: its picture, its scores, and the reason in words. Chosen
scenes come first, in the order in which they are laid, then the others by rank, then the rejected.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.figures import canvas, review_panels
from pipelines.figures.review_candidates import (
    PER_PAGE,
    Candidate,
    Sheet,
    check,
    in_order,
    pages,
    path_rows_text,
    percent,
    platforms_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Candidate", "Sheet", "pages", "review_sheet"]

WIDTH = 12.0
"""Width of the page [inches]: 2400 dots, for a screen or for A3."""

_MARGIN, _BETWEEN, _ABOVE = 0.3, 0.16, 3.85
_WORDS = 1.08
"""Inches: around the page, between cards, above the cards, and for the words below a picture."""
_SMALL, _LETTER = 6.2, 0.53
"""Height of the letters on cards [points], and the mean width of a letter in heights."""
_RANK = "rank: by the clear part of the region and of its fast part; 1 is the best"
_REJECTED = "hatched magenta: QA rejects (cloud, shadow); judge whether the picture agrees"
"""What a reader of the cards has to know."""


def review_sheet(sheet: Sheet, *, page: int = 1) -> bytes:
    """Draw a page of the candidates of a shelf and summer.

    Parameters
    ----------
    sheet : Sheet
        What was found and what was chosen.
    page : int
        From 1 to :func:`pages`; time axis and map are on each.

    Returns
    -------
    bytes
        A PNG picture, 12 inches wide.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Arrays that do not fit each other, two scenes chosen as the same one, or no such page.
    """
    check(sheet, page)
    shown = in_order(sheet.candidates)[(page - 1) * PER_PAGE : page * PER_PAGE]
    columns = _columns(len(shown))
    wide = (WIDTH - 2 * _MARGIN - (columns - 1) * _BETWEEN) / columns
    high = wide * min(max(review_panels.height_to_width(sheet), 0.5), 1.6)
    rows = math.ceil(len(shown) / columns)
    height = _ABOVE + rows * (high + _WORDS) + 0.1
    made = canvas.figure(WIDTH, height)
    made.set_layout_engine("none")
    _write_head(made, sheet, page)
    review_panels.draw_times(_axes(made, 0.8, 1.05, 6.4, 2.05), sheet)
    review_panels.draw_supplies(_axes(made, 7.65, 1.05, 2.3, 2.25), sheet)
    for place, n in enumerate(shown):
        row, column = divmod(place, columns)
        left = _MARGIN + column * (wide + _BETWEEN)
        _draw_card(made, sheet, n, (left, _ABOVE + row * (high + _WORDS), wide, high))
    return canvas.png(made)


def _write_head(made: Figure, sheet: Sheet, page: int) -> None:
    """Write the title, how many were chosen of how many, and the note."""
    chosen = [one.day for one in sheet.candidates if one.order]
    rejected = sum(one.rejected for one in sheet.candidates)
    facts = f"{len(chosen)} chosen of {len(sheet.candidates)} candidates, {rejected} rejected"
    if len(chosen) > 1:
        facts += f"; {(max(chosen) - min(chosen)).days} days from first to last"
    if pages(sheet) > 1:
        facts += f"; page {page} of {pages(sheet)}"
    _text(made, _MARGIN, 0.34, sheet.title, fontsize=14, color=canvas.INK, fontweight="bold")
    _text(made, WIDTH - _MARGIN, 0.34, facts, fontsize=9, color=canvas.INK, ha="right")
    room = int((WIDTH - 2 * _MARGIN) * 72.0 / (7.5 * _LETTER))
    for line, text in enumerate(textwrap.wrap(sheet.note, room, max_lines=2, placeholder=" …")):
        _text(made, _MARGIN, 0.55 + 0.14 * line, text, fontsize=7.5, color=canvas.GREY)
    _text(made, _MARGIN, _ABOVE - 0.12, "Candidates", fontsize=9, color=canvas.INK)
    key = ["thick frame: chosen", "line: shelf and region", "dashed: fast part",
           "bars: clear of the region, of its fast part", "hatched grey: no data"]  # fmt: skip
    style: dict[str, Any] = {"fontsize": 7, "color": canvas.GREY, "ha": "right"}
    _text(made, WIDTH - _MARGIN, _ABOVE - 0.2, "     ".join(key), **style)
    _text(made, WIDTH - _MARGIN, _ABOVE - 0.07, _RANK, **style)
    if sheet.rejected is not None:
        style |= {"color": review_panels.REJECTED, "ha": "left"}
        _text(made, _MARGIN + 0.9, _ABOVE - 0.12, _REJECTED, **style)


def _draw_card(
    made: Figure, sheet: Sheet, n: int, place: tuple[float, float, float, float]
) -> None:
    """Draw picture, bars and words of candidate ``n`` at left, top, width, height [inches]."""
    left, top, wide, high = place
    one = sheet.candidates[n]
    axes = _axes(made, left, top, wide, high)
    there = (sheet.thumbnails[n] != 0).any(axis=-1, keepdims=True)
    picture = np.concatenate([sheet.thumbnails[n], np.uint8(255) * there], axis=-1)
    # hatched, because any plain grey might be ice, cloud or sea
    axes.patch.set(facecolor="white", edgecolor=canvas.FAINT, hatch="/" * 8, linewidth=0.0)
    axes.imshow(picture, extent=review_panels.extent(sheet), zorder=0)
    if sheet.rejected is not None:
        review_panels.draw_rejected(axes, sheet, sheet.rejected[n], there[..., 0])
    review_panels.draw_lines(axes, sheet)
    review_panels.finish_map(axes, sheet)
    axes.set_anchor("N")
    for spine in axes.spines.values():
        spine.set(linewidth=3.0 if one.order else 0.5, zorder=6,
                  color=review_panels.colour(one.order) if one.order else canvas.FAINT)  # fmt: skip
    if one.order or one.rejected:
        review_panels.badge(axes, one.order, (0.09, 0.91), size=9.0)
    _draw_bars(_axes(made, left, top + high + 0.05, wide, 0.1), one)
    _write_card(made, one, (left, top + high, wide))


def _draw_bars(axes: Axes, one: Candidate) -> None:
    """Draw how much is clear, of the region and of its fast part."""
    parts = ((1.0, one.valid, canvas.BLUE), (0.0, one.valid_fast, review_panels.FAST))
    for y, value, shade in parts:
        axes.barh(y, 1.0, color=canvas.GRID, height=0.8)
        axes.barh(y, 0.0 if math.isnan(value) else value, color=shade, height=0.8)
    axes.set(xlim=(0.0, 1.0), ylim=(-0.5, 1.5))
    axes.set_axis_off()


def _write_card(made: Figure, one: Candidate, place: tuple[float, float, float]) -> None:
    """Write the words below a picture: left, its lower edge, width [inches]."""
    left, top, wide = place
    room = int(wide * 72.0 / (_SMALL * _LETTER))
    where = f"{platforms_text(one.platforms)} {path_rows_text(one.path_rows)}"
    lines = [
        textwrap.shorten(f"rank {one.rank}, {where}" if one.rank else where, room,
                         placeholder=" …"),
        f"clear {percent(one.valid)}, fast {percent(one.valid_fast)}",
        f"cloud {percent(one.cloud)}, gap {percent(one.gap)}",
    ]  # fmt: skip
    if one.saturated > 0.0:
        lines[-1] += f", sat. {percent(one.saturated)}"
    _text(made, left, top + 0.28, one.name, fontsize=7.5, color=canvas.INK, fontweight="bold")
    if math.isfinite(one.sun_elevation):
        _text(made, left + wide, top + 0.28, f"sun {one.sun_elevation:.0f}°", fontsize=_SMALL,
              color=canvas.INK, ha="right")  # fmt: skip
    for line, text in enumerate(lines):
        _text(made, left, top + 0.395 + 0.105 * line, text, fontsize=_SMALL, color=canvas.INK)
    shade = canvas.BLUE if one.order else canvas.RED if one.rejected else canvas.GREY
    reason = textwrap.wrap(one.reason, room, max_lines=3, placeholder=" …")
    for line, text in enumerate(reason):
        _text(made, left, top + 0.72 + 0.105 * line, text, fontsize=_SMALL, fontstyle="italic",
              color=shade)  # fmt: skip


def _columns(cards: int) -> int:
    """Return how many cards lie side by side."""
    return next((c for c, most in ((4, 4), (5, 10), (6, 18), (7, 28)) if cards <= most), 8)


def _axes(made: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Return axes at a place on the page [inches from the left and from the top]."""
    width, height = made.get_size_inches()
    axes: Axes = made.add_axes((left / width, 1.0 - (top + high) / height, wide / width,
                                high / height))  # fmt: skip
    return axes


def _up(made: Figure, top: float) -> float:
    """Return the height on the page of what lies ``top`` inches below its upper edge."""
    return 1.0 - top / float(made.get_size_inches()[1])


def _text(made: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write a line whose foot is at a place on the page [inches]."""
    made.text(left / WIDTH, _up(made, top), text, **style)
