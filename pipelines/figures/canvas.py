"""One way to make a picture: no display, no global state, PNG bytes out."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b2733"
FAINT = "#8a949e"
BLUE, RED, GREEN, PURPLE = "#2166ac", "#b2182b", "#1b7837", "#762a83"
"""Colours that people with the common colour-vision deficiencies can tell apart."""

GREY = "#57636e"
GRID = "#e3e7ea"
SHADE = "#dfe5e9"
MISSING = "#c9ced3"
"""Not measured: darker than the middle of diverging colours, which means zero."""

SENSORS = {"altimetry": BLUE, "gravimetry": RED, "combination": GREEN}
"""Colours of the sensors, the same in every picture."""

RATES, SPREADS = "RdBu", "BuPu"
"""Colours of rates, white at zero, and of spreads, white at none."""

PAGE = 7.2
"""Width of a page without its margins [inches]; letters are sized for it."""


_drawn: ContextVar[list[bytes] | None] = ContextVar("_drawn", default=None)
"""Where :func:`png` leaves the picture as SVG, too, if somebody wants it."""


class FigureError(ValueError):
    """Arrays that do not make the picture asked for."""


@dataclass(frozen=True)
class Drawing:
    """One picture in both forms."""

    png: bytes
    svg: bytes


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` × ``height`` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(made: Figure, *, dpi: int = 200) -> bytes:
    """Return the picture as PNG bytes, without a date, so equal data give equal files."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    wanted = _drawn.get()
    if wanted is not None:
        wanted.append(_svg(made, dpi=dpi))
    return buffer.getvalue()


def drawing(draw: Callable[[], bytes]) -> Drawing:
    """Return what ``draw`` makes as PNG and as SVG: one drawing, saved twice.

    Parameters
    ----------
    draw : callable
        Calls one function that ends in :func:`png`.

    Raises
    ------
    FigureError
        Not one picture.
    """
    kept: list[bytes] = []
    before = _drawn.set(kept)
    try:
        data = draw()
    finally:
        _drawn.reset(before)
    if len(kept) != 1:
        msg = f"found {len(kept)} pictures drawn, expected one; draw them one by one"
        raise FigureError(msg)
    return Drawing(data, kept[0])


def _svg(made: Figure, *, dpi: int) -> bytes:
    """Return a picture that was saved as SVG, as it lies; cells and images stay rasters.

    Letters are outlines, so that it looks the same where our fonts are not; without a date and with
    a fixed salt, equal data give equal files.
    """
    from matplotlib import rc_context

    made.set_layout_engine("none")  # where the parts are was found for the PNG
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "nunatak"}):
        made.savefig(buffer, format="svg", dpi=dpi, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def plain(text: str, *, most: int = 60) -> str:
    """Return a name as it is to be drawn: one short line, in which ``$`` begins no formula.

    Examples
    --------
    >>> plain("Pine  Island "), plain("Amery", most=3), len(plain("$x$"))
    ('Pine Island', 'Am…', 5)
    """
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    shown = shown if len(shown) <= most else f"{shown[: most - 1]}…"
    return shown.replace("$", r"\$")


def tidy(axes: Axes) -> None:
    """Give axes of curves thin frames, a faint grid, and letters for a page's width."""
    axes.grid(visible=True, color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=7.5, color=FAINT, width=0.6)
    axes.tick_params(which="minor", length=1.8, width=0.4)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(8.5)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=FAINT)


def heading(axes: Axes, text: str, *, right: str = "") -> None:
    """Write what a panel shows above its left end, and a fact above its right end."""
    axes.set_title(text, loc="left", fontsize=9, color=INK)
    if right:
        axes.set_title(right, loc="right", fontsize=7, color=GREY)


def letter(n: int) -> str:
    """Return the letter of panel ``n``, counted from 0.

    Examples
    --------
    >>> letter(2)
    '(c)'
    """
    return f"({chr(97 + n)})"


def halo(width: float = 1.6) -> list[Any]:
    """Return a white rim for letters and lines on coloured ground."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground="white")]


def colour(sensor: str) -> str:
    """Return the colour of a sensor.

    Raises
    ------
    FigureError
        A name without a colour.

    Examples
    --------
    >>> colour("combination")
    '#1b7837'
    """
    if sensor not in SENSORS:
        msg = f"found the sensor {sensor!r}, expected one of {', '.join(SENSORS)}"
        raise FigureError(msg)
    return SENSORS[sensor]


def check_shapes(
    arrays: Mapping[str, NDArray[np.float64]], shape: tuple[int, ...], *, what: str
) -> None:
    """Refuse arrays that are not of ``shape``; ``what`` says what they hold.

    Raises
    ------
    FigureError
        No array, or one of another shape.
    """
    if not arrays:
        msg = f"found no {what}, expected at least one sensor; nothing can be drawn"
        raise FigureError(msg)
    for name, array in arrays.items():
        if np.shape(array) != shape:
            msg = (
                f"found {what} of {name!r} of shape {np.shape(array)}, expected {shape}; "
                "give every sensor on the same axes"
            )
            raise FigureError(msg)


def check_names(found: Iterable[str], expected: Iterable[str], *, what: str) -> None:
    """Refuse ``what`` that is not given for the same names as the means are.

    Raises
    ------
    FigureError
        A name that only one of the two has.
    """
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    if missing or extra:
        msg = (
            f"found {what} without {sorted(missing)} and with {sorted(extra)} besides, "
            "expected the same names as the means have"
        )
        raise FigureError(msg)
