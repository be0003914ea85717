"""Speed of the ice, and how it changed between epochs, in EPSG:3031."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, maps
from pipelines.figures.maps import Outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

LINEAR = 10.0
"""Change of speed below which colours are linear, above it logarithmic [m yr⁻¹]."""

CHANGES, SPEEDS = "RdBu_r", "YlGnBu"
"""Red is faster, blue slower; speeds rise from pale to dark, so that lines show inland."""

SLOWEST = 1.0
"""Speed that the darkest colour has [m yr⁻¹]."""

MOST_CELLS = 1500
"""Cells a side that a page's width can show; finer maps are averaged."""

PALE = 0.6
"""How much of the colour of insignificant changes white covers."""

UNIT = "m yr⁻¹"


def speed_map(
    x: FLOAT,
    y: FLOAT,
    speed: FLOAT,
    *,
    sigma: FLOAT | None = None,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
) -> bytes:
    """Draw the speed of the ice in logarithmic colours.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,) and (ny,)
        Cell centres [m].
    speed, sigma : ndarray, shape (ny, nx)
        Speed and its standard deviation, which is told as its median [m yr⁻¹]; NaN is grey.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Fields that are not on the axes.
    """
    from matplotlib.colors import LogNorm

    check(x, y, {"speed": (speed, sigma)})
    frame = maps.frame_of([*outlines, *coast], x, y)
    made = canvas.figure(canvas.PAGE, 0.95 + 0.97 * canvas.PAGE * maps.height_to_width(frame))
    axes = made.add_subplot()
    x, y, speed, sigma = thinned(x, y, speed, sigma)
    top = max(maps.round_limit(speed, within=0.9995), 10.0 * SLOWEST)
    shown = draw(axes, x, y, speed, norm=LogNorm(SLOWEST, top), colours=SPEEDS)
    maps.draw_lines(axes, outlines, width=0.3)
    maps.draw_lines(axes, coast, width=0.7)
    maps.draw_frame(axes, frame, labelled=True)
    canvas.heading(axes, title, right=sigma_text(speed, sigma, changes=False))
    bar = made.colorbar(shown, ax=axes, location="bottom", shrink=0.8, aspect=45, pad=0.012,
                        extend=maps.extend(speed, SLOWEST, top), format="%g")  # fmt: skip
    maps.finish_bar(bar, f"speed [{UNIT}]", (speed,), (SLOWEST, top))
    return canvas.png(made)


def change_maps(
    x: FLOAT,
    y: FLOAT,
    changes: Mapping[str, tuple[FLOAT, FLOAT | None]],
    *,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
) -> bytes:
    """Draw changes of speed between epochs beside each other, with the same colours.

    Yang et al. (2023), figure 4.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,) and (ny,)
        Cell centres [m].
    changes : mapping of str to (change, sigma)
        By the two epochs, such as "2000 to 2007–2011": speed of the later less that of the
        earlier, and its standard deviation or None, shape (ny, nx) [m yr⁻¹]; NaN is grey.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What is shown.

    Returns
    -------
    bytes
        A PNG picture. Changes within one standard deviation of zero are pale.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No change, or fields that are not on the axes.
    """
    check(x, y, changes)
    frame = maps.frame_of([*outlines, *coast], x, y)
    columns = 1 if len(changes) == 1 else 2
    lines = -(-len(changes) // columns)
    high = 0.97 * canvas.PAGE / columns * maps.height_to_width(frame) + 0.25
    made = canvas.figure(canvas.PAGE, lines * high + 0.95)
    if len(changes) > 1:
        made.suptitle(title, fontsize=9.5, color=canvas.INK)
    made.set_layout_engine("constrained", w_pad=0.05, h_pad=0.02, hspace=0.01, wspace=0.01)
    panels = made.subplots(lines, columns, squeeze=False)
    thin = {name: thinned(x, y, *change) for name, change in changes.items()}
    top = max(10.0 * LINEAR, *(maps.round_limit(change[2], within=0.999)
                               for change in thin.values()))  # fmt: skip
    for n, (axes, (name, change)) in enumerate(zip(panels.flat, thin.items(), strict=False)):
        shown = draw_change(axes, *change, top=top)
        maps.draw_lines(axes, outlines, width=0.25)
        maps.draw_lines(axes, coast, width=0.5)
        maps.draw_frame(axes, frame, labelled=n == 0)
        prefix = f"{canvas.letter(n)} " if len(changes) > 1 else f"{title}, "
        told = f"{prefix}{canvas.plain(name)}"
        canvas.heading(axes, told, right=sigma_text(*change[2:], changes=True))
    for axes in panels.flat[len(changes) :]:
        axes.set_axis_off()
    _change_bar(made, panels, shown, list(thin.values()), top)
    return canvas.png(made)


def draw_change(
    axes: Axes, x: FLOAT, y: FLOAT, change: FLOAT, sigma: FLOAT | None, *, top: float
) -> Any:
    """Draw one change in colours that end at ``top`` [m yr⁻¹], pale where it is within sigma."""
    from matplotlib.colors import ListedColormap, SymLogNorm

    norm = SymLogNorm(LINEAR, linscale=0.6, vmin=-top, vmax=top)
    shown = draw(axes, x, y, change, norm=norm, colours=CHANGES)
    if sigma is not None:
        within = np.ma.masked_equal((np.abs(change) < sigma).astype(np.float64), 0.0)
        axes.pcolormesh(x / 1e3, y / 1e3, within, cmap=ListedColormap(["white"]), alpha=PALE,
                        rasterized=True)  # fmt: skip
    return shown


def draw(axes: Axes, x: FLOAT, y: FLOAT, field: FLOAT, *, norm: Any, colours: str) -> Any:
    """Fill the cells of a map with colours by a norm; cells without data are grey."""
    axes.set_facecolor(canvas.MISSING)
    return axes.pcolormesh(x / 1e3, y / 1e3, np.ma.masked_invalid(field), cmap=colours, norm=norm,
                           rasterized=True)  # fmt: skip


def check(x: FLOAT, y: FLOAT, fields: Mapping[str, tuple[FLOAT, FLOAT | None]]) -> None:
    """Refuse fields and standard deviations that are not on the axes."""
    shape = (len(y), len(x))
    canvas.check_shapes({name: pair[0] for name, pair in fields.items()}, shape, what="speeds")
    sigmas = {name: pair[1] for name, pair in fields.items() if pair[1] is not None}
    if sigmas:
        canvas.check_shapes(sigmas, shape, what="standard deviations")


def thinned(
    x: FLOAT, y: FLOAT, field: FLOAT, sigma: FLOAT | None, *, most: int = MOST_CELLS
) -> tuple[FLOAT, FLOAT, FLOAT, FLOAT | None]:
    """Return axes, field and sigma of no more than ``most`` cells a side.

    Square blocks of cells become one: the mean of what was measured in them; NaN where nothing
    was. The mean of sigma stands for errors that blocks share. Cells that fill no block go.

    Examples
    --------
    >>> field = np.array([[1.0, 3.0, np.nan, np.nan]] * 2)
    >>> x, y, mean, _ = thinned(np.arange(4.0), np.arange(2.0), field, None, most=2)
    >>> x.tolist(), y.tolist(), mean.tolist()
    ([0.5, 2.5], [0.5], [[2.0, nan]])
    """
    block = -(-max(len(x), len(y)) // most)
    if block <= 1 or min(len(x), len(y)) < block:
        return x, y, field, sigma
    x, y = (axis[: len(axis) // block * block].reshape(-1, block).mean(axis=1) for axis in (x, y))
    shape = (len(y), block, len(x), block)
    mean = _measured_mean(field, shape)
    return x, y, mean, None if sigma is None else _measured_mean(sigma, shape)


def _measured_mean(field: FLOAT, shape: tuple[int, int, int, int]) -> FLOAT:
    """Return the mean of finite cells of blocks, ``shape`` (rows, block, columns, block)."""
    rows, block, columns, _ = shape
    cells = field[: rows * block, : columns * block].reshape(shape)
    there = np.isfinite(cells)
    count = there.sum(axis=(1, 3)).astype(np.float64)
    sums = np.where(there, cells, 0.0).sum(axis=(1, 3))
    return np.asarray(np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0.0))


def sigma_text(field: FLOAT, sigma: FLOAT | None, *, changes: bool) -> str:
    """Return the median standard deviation, and of ``changes`` how many are within theirs.

    Examples
    --------
    >>> sigma_text(np.array([1.0, -20.0]), np.array([4.0, 4.0]), changes=True)
    '50 % within σ, median 4 m yr⁻¹'
    """
    if sigma is None:
        return "σ not given"
    both = np.isfinite(field) & np.isfinite(sigma)
    if not both.any():
        return "no data"
    median = f"{np.median(sigma[both]):.2g} {UNIT}"
    if not changes:
        return f"median σ {median}"
    within = np.mean(np.abs(field[both]) < sigma[both])
    return f"{within:.0%} within σ, median {median}".replace("%", " %")


def _change_bar(
    made: Any,
    panels: Any,
    shown: Any,
    changes: Sequence[tuple[FLOAT, FLOAT, FLOAT, FLOAT | None]],
    top: float,
) -> None:
    """Draw the colour bar of all changes below them."""
    fields = [change[2] for change in changes]
    beyond = maps.extend(np.concatenate([np.ravel(field) for field in fields]), -top, top)
    bar = made.colorbar(shown, ax=panels, location="bottom", extend=beyond, shrink=0.9,
                        aspect=45, pad=0.012)  # fmt: skip
    powers = LINEAR * 10.0 ** np.arange(0.0, np.log10(top / LINEAR) + 1e-9)
    ends = powers if np.isclose(powers[-1], top) else np.append(powers, top)
    ticks = [*-ends[::-1], 0.0, *ends]
    bar.set_ticks(ticks, labels=[f"{tick:+.0f}".replace("-", "\N{MINUS SIGN}") if tick else "0"
                                 for tick in ticks])  # fmt: skip
    bar.minorticks_off()
    pale = "; pale: within σ" if any(change[3] is not None for change in changes) else ""
    maps.finish_bar(bar, f"change of speed [{UNIT}], red: faster{pale}", fields, (-top, top))
