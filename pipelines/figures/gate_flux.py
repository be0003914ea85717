"""Where ice leaves: the flux through each metre of a gate, as points on a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas, maps
from pipelines.figures.maps import Outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

MT_PER_KM = 1e-6
"""Mt km⁻¹ in a kg m⁻¹."""

OUTWARD, INWARD = "YlOrRd", "Blues"
PALEST = 0.22
"""Where the colours start; the palest could not be told from white paper."""

DECADES = 4
"""Powers of ten that the colours span; less flux has the palest colour."""

DOT = 3.0
"""Area of a point [points²]: closer nodes make a line."""


def gate_flux(
    x: FLOAT,
    y: FLOAT,
    flux: FLOAT,
    *,
    total: tuple[float, float],
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
) -> bytes:
    """Draw the flux per length of gate in EPSG:3031, on a logarithmic scale for either sign.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Middles of the segments [m].
    flux : ndarray, shape (n,)
        Flux through a true metre of gate, positive outward [kg m⁻¹ yr⁻¹]; NaN is grey.
    total : (float, float)
        Flux through all gates and its standard deviation [Gt yr⁻¹].
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Points of more flux lie over those of less.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Not one place and flux for each node, or no node.
    """
    canvas.check_shapes({"x": x, "y": y, "flux": flux}, (np.size(flux),), what="numbers of nodes")
    if not np.size(flux):
        msg = "found no nodes of gates, expected at least one; nothing can be drawn"
        raise canvas.FigureError(msg)
    frame = maps.frame_of([*outlines, *coast, (x, y)], np.empty(0), np.empty(0))
    made = canvas.figure(canvas.PAGE, 1.3 + 0.97 * canvas.PAGE * maps.height_to_width(frame))
    axes = made.add_subplot()
    maps.draw_lines(axes, outlines, width=0.3)
    maps.draw_lines(axes, coast, width=0.5)
    draw_nodes(axes, x, y, MT_PER_KM * flux)
    maps.draw_frame(axes, frame, labelled=True)
    right = f"total {total[0]:.0f} ± {total[1]:.0f} Gt yr⁻¹ (one standard deviation)"
    if not np.isfinite(total).all():
        right = "no total: the gates do not enclose all regions"
    canvas.heading(axes, title, right=right)
    _bars(made, axes, MT_PER_KM * flux)
    return canvas.png(made)


def draw_nodes(axes: Axes, x: FLOAT, y: FLOAT, flux: FLOAT) -> None:
    """Draw nodes [m] coloured by flux [Mt km⁻¹ yr⁻¹]; more flux of either sign lies on top."""
    unknown = ~np.isfinite(flux)
    axes.scatter(x[unknown] / 1e3, y[unknown] / 1e3, s=DOT, color=canvas.FAINT, linewidths=0,
                 zorder=2.9)  # fmt: skip
    known = np.flatnonzero(~unknown)
    known = known[np.argsort(np.abs(flux[known]), kind="stable")]
    outward, inward = scales(flux)
    colours = np.where(
        flux[known, None] < 0.0, inward.to_rgba(-flux[known]), outward.to_rgba(flux[known])
    )
    axes.scatter(x[known] / 1e3, y[known] / 1e3, s=DOT, c=colours, linewidths=0, zorder=3.0)


def scales(flux: FLOAT) -> tuple[Any, Any]:
    """Return the logarithmic colours of outward and of inward flux, of the same limits."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    low, high = limits(flux)
    made = [ScalarMappable(LogNorm(low, high), palette(name)) for name in (OUTWARD, INWARD)]
    return made[0], made[1]


def limits(flux: FLOAT) -> tuple[float, float]:
    """Return where the colours start and end: at powers of ten [as ``flux``].

    Examples
    --------
    >>> limits(np.array([-0.2, 900.0, np.nan])), limits(np.array([np.nan]))
    ((0.1, 1000.0), (0.0001, 1.0))
    """
    size = np.abs(flux[np.isfinite(flux) & (flux != 0.0)])
    top = int(np.ceil(np.log10(np.quantile(size, maps.WITHIN)))) if size.size else 0
    return float(f"1e{top - DECADES}"), float(f"1e{top}")


def palette(name: str) -> Any:
    """Return a colour map without its palest end; nothing at all has the palest colour left."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps[name](np.linspace(PALEST, 1.0, 256))
    return ListedColormap(colours).with_extremes(bad=colours[0])


def _bars(made: Any, axes: Axes, flux: FLOAT) -> None:
    """Draw a colour bar of either direction below the map, the outward one first."""
    size = np.where(flux == 0.0, np.nan, np.abs(flux))
    unknown = int((~np.isfinite(flux)).sum())
    told = (("outward", flux > 0.0), ("inward", flux < 0.0))
    for (name, where), nodes in reversed(list(zip(told, scales(flux), strict=True))):
        bar = made.colorbar(nodes, ax=axes, location="bottom", shrink=0.8, aspect=45, pad=0.012,
                            extend=maps.extend(size, *limits(flux)))  # fmt: skip
        part = f"{where.mean():.1%}".replace("%", " %")
        note = f"; grey: {unknown} without data" if unknown and name == "inward" else ""
        bar.set_label(f"{name} flux [Mt yr⁻¹ km⁻¹], {part} of {flux.size} nodes{note}",
                      fontsize=7.5)  # fmt: skip
        bar.ax.tick_params(labelsize=7, width=0.5, length=2.5)
        bar.ax.tick_params(which="minor", width=0.3, length=1.5)
        bar.outline.set_linewidth(0.5)
