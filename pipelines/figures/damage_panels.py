"""Damage maps of a shelf side by side (as figures 12 to 15), in colours that all can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, review_panels
from pipelines.figures.maps import Outline
from pipelines.figures.review_candidates import check_axes
from pipelines.figures.scene_mosaic import Cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

MOST = 8
"""Most maps on a page."""
INTACT = "#dbe7f0"
DAMAGE = (INTACT, "#f2b46b", "#d55e00", "#8c2d04", "#3b1003")
"""Colours of ice without damage and of cells that are more and more damaged, ever darker."""
POWER = 0.6
"""Share of damage to place in the colours: thin fractures fill little of a cell."""
OUTLINE = "#1b2733"
_TALLEST = 3.0


@dataclass(frozen=True, eq=False)
class DamageMap:
    """One summer.

    Attributes
    ----------
    label : str
        The summer.
    damage : ndarray, shape (yc, xc)
        Share of damage of each cell [1]; NaN where it is not known or outside the shelf.
    extent : ndarray of bool, shape (yc, xc)
        Where the shelf is.
    note : str
        A word about it, such as why there is no map.
    """

    label: str
    damage: FLOAT
    extent: BOOL
    note: str = ""


def panels(
    maps: Sequence[DamageMap], x: FLOAT, y: FLOAT, *, title: str, coast: Sequence[Outline] = ()
) -> bytes:
    """Draw up to eight summers of a shelf in EPSG:3031.

    Parameters
    ----------
    maps : sequence of DamageMap
        In the order of panels a to h.
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells [m]; y decreases.
    title : str
        The shelf.
    coast : sequence of (x, y)
        Lines of Antarctica [m]; with them the first panel shows where the shelf lies.

    Returns
    -------
    bytes
        A PNG picture, 7.2 inches wide.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No map, too many, or shapes that differ.
    """
    cells = Cells(x, y)
    check(maps, cells, most=MOST)
    columns = min(4, len(maps)) if len(maps) != 3 else 3
    rows = math.ceil(len(maps) / columns)
    ratio = review_panels.height_to_width(cells)
    wide = (canvas.PAGE - 0.3) / columns
    tall = min(wide * ratio, _TALLEST)
    height = rows * (tall + 0.24) + 1.25
    made = canvas.figure(canvas.PAGE, height)
    made.set_layout_engine("none")
    places = []
    for n, one in enumerate(maps):
        row, column = divmod(n, columns)
        left, top = 0.15 + column * wide, 0.62 + row * (tall + 0.24)
        axes: Axes = made.add_axes((left / canvas.PAGE, 1.0 - (top + tall) / height,
                                    (wide - 0.08) / canvas.PAGE, tall / height))  # fmt: skip
        draw(axes, one, cells)
        canvas.heading(axes, f"{canvas.letter(n)} {one.label}", right=one.note)
        places.append(axes)
    if coast:
        _inset(made, places[0], maps[0], cells, coast)
    made.text(0.15 / canvas.PAGE, 1.0 - 0.24 / height, title, fontsize=11, color=canvas.INK,
              fontweight="bold")  # fmt: skip
    foot: Axes = made.add_axes((0.15 / canvas.PAGE, 0.42 / height, (wide - 0.08) / canvas.PAGE,
                                tall / height))  # fmt: skip
    review_panels.finish_map(foot, cells)
    foot.set_axis_off()
    review_panels.draw_scale(foot, cells, below=0.08 / tall)
    _key(made, abs(float(x[1] - x[0])), height)
    return canvas.png(made)


def colours() -> Any:
    """Return the colours of shares of damage from 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("damage", list(DAMAGE))


def picture(one: DamageMap) -> FLOAT:
    """Return red, green and blue of a map, shape (yc, xc, 3), 0 to 1: white where no shelf is."""
    share = np.clip(np.nan_to_num(one.damage), 0.0, 1.0) ** POWER
    shown = np.asarray(colours()(share)[..., :3], dtype=np.float64)
    shown[one.extent & ~np.isfinite(one.damage)] = review_panels.rgb(canvas.MISSING)
    shown[~one.extent] = 1.0
    return shown


def draw(axes: Axes, one: DamageMap, cells: review_panels.Cells) -> None:
    """Draw one summer: damage, what is not known hatched, the outline of the extent."""
    axes.imshow(picture(one), extent=review_panels.extent(cells), interpolation="nearest",
                zorder=0)  # fmt: skip
    x, y = cells.x / 1e3, cells.y / 1e3
    unknown = one.extent & ~np.isfinite(one.damage)
    if unknown.any():
        hatched = axes.contourf(x, y, unknown.astype(np.float64), levels=[0.5, 1.5], colors="none",
                                hatches=["/" * 6])  # fmt: skip
        hatched.set(edgecolor=canvas.FAINT, linewidth=0.0)
    if one.extent.any() and not one.extent.all():
        axes.contour(x, y, one.extent.astype(np.float64), levels=[0.5], colors=OUTLINE,
                     linewidths=0.6)  # fmt: skip
    review_panels.finish_map(axes, cells)


def check(maps: Sequence[DamageMap], cells: review_panels.Cells, *, most: int) -> None:
    """Refuse no map, too many, and shapes that differ.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Such maps.
    """
    check_axes(cells.x, cells.y)
    if not 1 <= len(maps) <= most:
        msg = f"found {len(maps)} maps, expected 1 to {most}; choose some of the years"
        raise canvas.FigureError(msg)
    shape = (len(cells.y), len(cells.x))
    for one in maps:
        if np.shape(one.damage) != shape or np.shape(one.extent) != shape:
            found = f"{np.shape(one.damage)} and {np.shape(one.extent)}"
            msg = f"found a map of {one.label} of shapes {found}, expected {shape}"
            raise canvas.FigureError(msg)


def _key(made: Figure, spacing: float, height: float) -> None:
    """Draw the colours and what grey and white are."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    box = made.add_axes((0.48, 0.44 / height, 0.3, 0.1 / height))
    norm = PowerNorm(POWER, 0.0, 100.0)
    bar = made.colorbar(ScalarMappable(norm, colours()), cax=box, orientation="horizontal",
                        ticks=[0, 5, 20, 50, 100])  # fmt: skip
    bar.set_label(f"damage in each cell of {spacing:.0f} m [%]", fontsize=7, labelpad=1.0)
    bar.ax.tick_params(labelsize=6.5, width=0.5, length=2.0)
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.5)
    made.text(0.8, 0.46 / height, "hatched: not known\nline: extent of the shelf", fontsize=6.5,
              color=canvas.GREY, va="center")  # fmt: skip


def emptiest_corner(extent: BOOL) -> tuple[bool, bool]:
    """Return which corner of a map has least ice: whether it is above, and whether it is left.

    Examples
    --------
    >>> emptiest_corner(np.array([[1, 1, 1], [0, 0, 1], [0, 0, 1]], bool))
    (False, True)
    """
    rows, columns = (max(1, n // 2) for n in extent.shape)
    ice = {
        (top, left): int(extent[:rows if top else None, :columns if left else None]
                         [None if top else -rows:, None if left else -columns:].sum())
        for top in (True, False) for left in (False, True)
    }  # fmt: skip
    return min(ice, key=lambda corner: ice[corner])


def _inset(
    made: Figure, beside: Axes, one: DamageMap, cells: review_panels.Cells, coast: Sequence[Outline]
) -> None:
    """Draw Antarctica into the corner of a panel that has least ice, and where the shelf lies."""
    box = beside.get_position()
    width, height = made.get_size_inches()
    side = 0.36 * min(box.width * width, box.height * height)
    top, left = emptiest_corner(one.extent)
    place = (box.x0 if left else box.x1 - side / width, box.y1 - side / height if top else box.y0)
    inset = made.add_axes((*place, side / width, side / height))
    inset.patch.set_alpha(0.85)
    for x, y in coast:
        inset.fill(x / 1e3, y / 1e3, facecolor=canvas.SHADE, edgecolor=canvas.GREY, linewidth=0.3)
    inset.plot(float(np.mean(cells.x)) / 1e3, float(np.mean(cells.y)) / 1e3, "s", markersize=3.2,
               color=DAMAGE[2])  # fmt: skip
    inset.set(xticks=[], yticks=[], aspect="equal")
    for spine in inset.spines.values():
        spine.set(linewidth=0.4, color=canvas.FAINT)
