"""Maps in EPSG:3031: the pole in the middle, Greenwich up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
Outline = tuple[FLOAT, FLOAT]

GRATICULE = (-80.0, -70.0, -60.0)


def rate_map(
    x: FLOAT,
    y: FLOAT,
    field: FLOAT,
    *,
    outlines: Sequence[Outline],
    coast: Sequence[Outline],
    title: str,
    diverging: bool,
) -> bytes:
    """Draw a rate of surface mass density in EPSG:3031.

    Parameters
    ----------
    x, y : ndarray, shape (nx,), (ny,)
        Cell centres [m].
    field : ndarray, shape (ny, nx)
        Rate [kg m⁻² yr⁻¹, the same number in mm of water a year]; NaN stays blank.
    outlines, coast : sequence of (x, y)
        Lines of the basins and of the grounded ice [m].
    title : str
        What, when and how filtered.
    diverging : bool
        Red for loss and blue for gain around zero, or one hue from zero up.

    Returns
    -------
    bytes
        A PNG picture.
    """
    made = canvas.figure(7.2, 6.2)
    axes = made.add_subplot()
    limit = round_limit(field)
    shown = axes.pcolormesh(
        x / 1e3,
        y / 1e3,
        field,
        cmap="RdBu" if diverging else "viridis",
        vmin=-limit if diverging else 0.0,
        vmax=limit,
        rasterized=True,
    )
    draw_lines(axes, outlines, width=0.4)
    draw_lines(axes, coast, width=0.8)
    draw_graticule(axes, half_width=float(np.abs(x).max()) / 1e3)
    axes.set(title=title, xlabel="x [km], EPSG:3031", ylabel="y [km]", aspect="equal")
    extend = "both" if diverging else "max"
    made.colorbar(shown, ax=axes, label="kg m⁻² yr⁻¹ (mm water a year)", extend=extend, shrink=0.85)
    return canvas.png(made)


def round_limit(field: FLOAT) -> float:
    """Return a colour limit of one or two digits that 99.5 % of the cells stay within."""
    magnitude = np.abs(field[np.isfinite(field)])
    high = float(np.quantile(magnitude, 0.995)) if magnitude.size else 1.0
    if high <= 0.0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(high))
    return float(np.ceil(high / step) * step)


def draw_lines(axes: Axes, lines: Sequence[Outline], *, width: float) -> None:
    """Draw lines of EPSG:3031 [m]."""
    for x, y in lines:
        axes.plot(x / 1e3, y / 1e3, color=canvas.INK, linewidth=width)


def draw_graticule(axes: Axes, *, half_width: float) -> None:
    """Draw parallels and meridians, and set the limits of the map [km]."""
    from pipelines.kernels import geodesy

    lon = np.linspace(0.0, 360.0, 361)
    for lat in GRATICULE:
        x, y = geodesy.polar_stereographic(np.full_like(lon, lat), lon)
        axes.plot(x / 1e3, y / 1e3, color=canvas.FAINT, linewidth=0.4, linestyle=":")
    for meridian in range(0, 360, 30):
        x, y = geodesy.polar_stereographic(np.array([-89.0, -55.0]), np.full(2, float(meridian)))
        axes.plot(x / 1e3, y / 1e3, color=canvas.FAINT, linewidth=0.4, linestyle=":")
    axes.set_xlim(-half_width, half_width)
    axes.set_ylim(-half_width, half_width)
