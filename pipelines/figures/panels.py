"""Maps of gravimetry, altimetry and their combination beside each other, with their spreads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.maps import Outline, draw_graticule, draw_lines, round_limit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

SCALE_BAR_KM = 1000.0


def rate_maps(
    x: FLOAT,
    y: FLOAT,
    means: Mapping[str, FLOAT],
    spreads: Mapping[str, FLOAT],
    *,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
) -> bytes:
    """Draw the rate of each sensor and its spread, in EPSG:3031.

    Sasgen et al. (2019), figure 4.

    Parameters
    ----------
    x, y : ndarray, shapes (x,) and (y,)
        Cell centres [m].
    means, spreads : mapping of str to ndarray, shape (y, x)
        Rates and standard deviations of the members [kg m⁻² yr⁻¹]; NaN stays blank.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. All rates share one scale, all spreads another.
    """
    made, panels = _grid(len(means), title)
    limit = max(round_limit(field) for field in means.values())
    widest = max(round_limit(field) for field in spreads.values())
    for row, name in enumerate(means):
        for column, (field, low, high, colours) in enumerate(
            ((means[name], -limit, limit, "RdBu"), (spreads[name], 0.0, widest, "viridis"))
        ):
            axes = panels[row][column]
            shown = axes.pcolormesh(
                x / 1e3, y / 1e3, field, cmap=colours, vmin=low, vmax=high, rasterized=True
            )
            draw_lines(axes, outlines, width=0.3)
            draw_lines(axes, coast, width=0.7)
            draw_graticule(axes, half_width=float(np.abs(x).max()) / 1e3)
            _finish(axes, row, column, name)
            made.colorbar(shown, ax=axes, shrink=0.8, label="kg m⁻² yr⁻¹",
                          extend="max" if column else "both")  # fmt: skip
    return canvas.png(made)


def basin_maps(
    shapes: Sequence[Sequence[Outline]],
    names: Sequence[str],
    values: Mapping[str, FLOAT],
    sigmas: Mapping[str, FLOAT],
    *,
    title: str,
) -> bytes:
    """Draw the mass rate of every basin by each sensor, and its standard deviation.

    Sasgen et al. (2019), figure 7.

    Parameters
    ----------
    shapes : sequence of sequence of (x, y)
        Outer rings of each basin in EPSG:3031 [m].
    names : sequence of str
        What is written into each basin.
    values, sigmas : mapping of str to ndarray, shape (basins,)
        Mass rates and standard deviations [Gt yr⁻¹].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture.
    """
    made, panels = _grid(len(values), title)
    limit = max(float(np.abs(rates).max()) for rates in values.values())
    widest = max(float(np.abs(rates).max()) for rates in sigmas.values())
    for row, name in enumerate(values):
        for column, (numbers, low, high, colours) in enumerate(
            ((values[name], -limit, limit, "RdBu"), (sigmas[name], 0.0, widest, "viridis"))
        ):
            axes = panels[row][column]
            shown = _basins(axes, shapes, numbers, names, (low, high, colours))
            _finish(axes, row, column, name)
            made.colorbar(shown, ax=axes, shrink=0.8, label="Gt yr⁻¹")
    return canvas.png(made)


def _basins(
    axes: Axes,
    shapes: Sequence[Sequence[Outline]],
    numbers: FLOAT,
    names: Sequence[str],
    scale: tuple[float, float, str],
) -> Any:
    """Fill the basins and write a label into the largest ring of each."""
    from matplotlib.collections import PolyCollection

    rings = [np.stack(ring, axis=1) / 1e3 for shape in shapes for ring in shape]
    owner = np.repeat(np.arange(len(shapes)), [len(shape) for shape in shapes])
    filled = PolyCollection(rings, edgecolors=canvas.INK, linewidths=0.3, cmap=scale[2])
    filled.set_array(numbers[owner])
    filled.set_clim(scale[0], scale[1])
    axes.add_collection(filled)
    for shape, name in zip(shapes, names, strict=True):
        if shape:
            widest = max(shape, key=lambda ring: float(np.ptp(ring[0]) * np.ptp(ring[1])))
            x, y = (float(np.median(line)) / 1e3 for line in widest)
            label = axes.text(x, y, name, fontsize=6, ha="center", va="center", color=canvas.INK)
            label.set_path_effects(_halo())
    half = max(float(np.abs(ring).max()) for ring in rings) * 1.05 if rings else 1.0
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    return filled


def _halo() -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=1.5, foreground="white")]


def _grid(rows: int, title: str) -> tuple[Any, Any]:
    made = canvas.figure(9.0, 3.6 * rows)
    made.suptitle(title)
    return made, made.subplots(rows, 2, squeeze=False)


def _finish(axes: Axes, row: int, column: int, name: str) -> None:
    """Write the letter of a panel, and a scale bar into the first."""
    what = "spread" if column else "mean"
    axes.set_title(f"({chr(97 + 2 * row + column)}) {name}, {what}", loc="left", fontsize=10)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    if row == column == 0:
        left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
        x = np.array([left + 150.0, left + 150.0 + SCALE_BAR_KM])
        axes.plot(x, np.full(2, bottom + 200.0), color=canvas.INK, linewidth=2.0)
        axes.text(float(x.mean()), bottom + 260.0, f"{SCALE_BAR_KM:.0f} km", fontsize=7,
                  ha="center")  # fmt: skip
