"""A shelf through the years as a GIF: the map of each summer, and the curve up to it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, damage_panels, review_panels
from pipelines.figures.damage_panels import DamageMap
from pipelines.figures.scene_mosaic import Cells

if TYPE_CHECKING:
    from PIL.Image import Image

FLOAT = NDArray[np.float64]

WIDTH, DPI = 5.2, 110
"""Width of a frame [inches], and dots an inch."""
FRAME_MS, LAST_MS = 700, 2200
"""How long a frame stays, and the last one [ms]."""
MOST = 400
"""Most frames."""


def animation(
    maps: Sequence[DamageMap],
    x: FLOAT,
    y: FLOAT,
    *,
    title: str,
    years: Sequence[int],
    fractions: FLOAT,
) -> bytes:
    """Draw the summers of a shelf, one after the other; equal data give equal bytes.

    Parameters
    ----------
    maps : sequence of DamageMap
        One for each year, also for those without a map: their note says why.
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells [m]; y decreases.
    title : str
        The shelf.
    years : sequence of int
        Of each map, growing.
    fractions : ndarray, shape (years,)
        Damage fraction [1]; NaN where there is none.

    Returns
    -------
    bytes
        A GIF that repeats for ever.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No map, or other numbers of years or fractions.
    """
    cells = Cells(x, y)
    damage_panels.check(maps, cells, most=MOST)
    if not len(maps) == len(years) == len(fractions):
        msg = f"found {len(maps)} maps, {len(years)} years and {len(fractions)} fractions, "
        raise canvas.FigureError(msg + "expected as many of each")
    from PIL.Image import Dither

    frames = [_frame(one, cells, title, n, years, fractions) for n, one in enumerate(maps)]
    # one palette for all frames, or the ice would flicker
    stacked = _side_by_side(frames).quantize(128, method=0, dither=Dither.NONE)
    indexed = [frame.quantize(palette=stacked, dither=Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    indexed[0].save(
        buffer, format="GIF", save_all=True, append_images=indexed[1:], loop=0, optimize=False,
        duration=[*[FRAME_MS] * (len(indexed) - 1), LAST_MS], disposal=1,
    )  # fmt: skip
    return buffer.getvalue()


def _side_by_side(frames: Sequence[Image]) -> Image:
    """Return first, middle and last frame in one picture, from which the palette is taken."""
    from PIL.Image import fromarray

    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    return fromarray(np.concatenate([np.asarray(frame) for frame in chosen], axis=1))


def _frame(
    one: DamageMap, cells: Cells, title: str, n: int, years: Sequence[int], fractions: FLOAT
) -> Image:
    from matplotlib.ticker import MaxNLocator
    from PIL.Image import fromarray

    tall = min(max((WIDTH - 0.4) * review_panels.height_to_width(cells), 1.6), 6.0)
    height = 0.5 + tall + 0.45 + 1.25
    made = canvas.figure(WIDTH, height)
    made.set_layout_engine("none")
    axes = made.add_axes((0.2 / WIDTH, 1.0 - (0.5 + tall) / height, 1.0 - 0.4 / WIDTH,
                          tall / height))  # fmt: skip
    damage_panels.draw(axes, one, cells)
    review_panels.draw_scale(axes, cells, below=0.17 / tall)
    made.text(0.2 / WIDTH, 1.0 - 0.32 / height, title, fontsize=11, fontweight="bold",
              color=canvas.INK)  # fmt: skip
    made.text(1.0 - 0.2 / WIDTH, 1.0 - 0.32 / height, one.label, fontsize=13, ha="right",
              color=canvas.INK)  # fmt: skip
    if one.note:
        axes.text(0.5, 0.5, one.note, transform=axes.transAxes, ha="center", va="center",
                  fontsize=9, color=canvas.GREY, wrap=True)  # fmt: skip
    curve = made.add_axes((0.62 / WIDTH, 0.4 / height, 1.0 - 0.85 / WIDTH, 0.78 / height))
    percent = 100.0 * np.asarray(fractions, dtype=np.float64)
    curve.plot(years, percent, color=canvas.MISSING, linewidth=1.0, marker="o", markersize=2.0)
    curve.plot(years[: n + 1], percent[: n + 1], color=canvas.INK, linewidth=1.3)
    curve.plot(years[n], percent[n], "o", color=damage_panels.DAMAGE[2], markersize=6.0)
    canvas.tidy(curve)
    known = percent[np.isfinite(percent)]
    curve.set_ylim(0.0, 1.15 * float(known.max(initial=0.0)) or 1.0)
    curve.set_xlim(years[0] - 0.7, years[-1] + 0.7)
    curve.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    curve.set_ylabel("damage [%]", fontsize=8)
    made.set_dpi(DPI)
    made.canvas.draw()
    return fromarray(np.asarray(made.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]
