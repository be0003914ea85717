"""The size of single spherical-harmonic coefficients: triangles of order against degree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.maps import extend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

DECADES = 4.0
"""Powers of ten below the largest coefficient that colours tell apart."""

COLOURS = "magma_r"


def triangle(coefficients: FLOAT, *, j_max: int) -> FLOAT:
    """Return coefficients by degree and signed order, sines at negative orders.

    Parameters
    ----------
    coefficients : ndarray, shape (2, J + 1, J + 1)
        C and S.
    j_max : int
        Highest degree shown.

    Returns
    -------
    ndarray, shape (j_max + 1, 2 j_max + 1)
        NaN where the order exceeds the degree.

    Examples
    --------
    >>> triangle(np.arange(8.0).reshape(2, 2, 2), j_max=1)
    array([[nan,  0., nan],
           [ 7.,  2.,  3.]])
    """
    shown = np.full((j_max + 1, 2 * j_max + 1), np.nan)
    cosine, sine = coefficients[:, : j_max + 1, : j_max + 1]
    top = len(cosine)
    shown[:top, j_max : j_max + top] = cosine
    shown[:top, j_max - top + 1 : j_max] = sine[:, :0:-1]
    degree, order = np.indices(shown.shape)
    return np.where(np.abs(order - j_max) <= degree, shown, np.nan)


def triangles(
    means: Mapping[str, FLOAT], spreads: Mapping[str, FLOAT], *, j_max: int, title: str
) -> bytes:
    """Draw the size of mean coefficients, and of their spreads, by sensor.

    Sasgen et al. (2019), figure 2.

    Parameters
    ----------
    means, spreads : mapping of str to ndarray, shape (2, J + 1, J + 1)
        Mean coefficients and standard deviations of the members [kg m⁻² yr⁻¹]; J may differ.
    j_max : int
        Highest degree shown.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Coefficients that are NaN or beyond J are grey within the triangle.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Coefficients of another shape, or spreads of other sensors than the means.
    """
    from matplotlib.colors import LogNorm

    canvas.check_names(spreads, means, what="spreads")
    for name in means:
        for held in (means[name], spreads[name]):
            canvas.check_shapes({name: held}, (2, *(2 * held.shape[-1:])), what="coefficients")
    columns = [[np.abs(triangle(by[name], j_max=j_max)) for name in means]
               for by in (means, spreads)]  # fmt: skip
    largest = max((float(np.nanmax(each, initial=0.0)) for each in columns[0]), default=0.0) or 1.0
    scale = LogNorm(largest * 10.0**-DECADES, largest)
    made = canvas.figure(canvas.PAGE, 0.95 + 2.35 * len(means))
    panels = made.subplots(len(means), 2, squeeze=False, sharex=True, sharey=True)
    for column, (fields, what) in enumerate(zip(columns, ("mean", "spread"), strict=True)):
        for row, (name, size) in enumerate(zip(means, fields, strict=True)):
            shown = _triangle(panels[row][column], size, scale)
            text = f"{canvas.letter(2 * row + column)} {name}, {what}"
            canvas.heading(panels[row][column], text)
    made.suptitle(title, fontsize=9.5, color=canvas.INK)
    _finish(made, panels, shown, np.concatenate([np.ravel(columns[0]), np.ravel(columns[1])]))
    return canvas.png(made)


def _triangle(axes: Axes, size: FLOAT, scale: Any) -> Any:
    """Draw one triangle; zero has the palest colour, NaN is grey, and outside it is white."""
    from matplotlib.colors import ListedColormap

    j_max = len(size) - 1
    degree, column = np.indices(size.shape)
    lost = np.isnan(size) & (np.abs(column - j_max) <= degree)
    place: dict[str, Any] = {
        "extent": (-j_max - 0.5, j_max + 0.5, j_max + 0.5, -0.5),
        "aspect": "auto",
        "interpolation": "nearest",
    }
    grey = ListedColormap([canvas.MISSING])
    axes.imshow(np.ma.masked_where(~lost, np.zeros(size.shape)), cmap=grey, **place)
    positive = np.maximum(size, scale.vmin / 2.0)
    shown = axes.imshow(np.ma.masked_invalid(positive), cmap=COLOURS, norm=scale, **place)
    axes.set_xlim(-j_max - 1.0, j_max + 1.0)
    axes.set_ylim(j_max + 0.5, -1.5)
    canvas.tidy(axes)
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(False)
    return shown


def _finish(made: Any, panels: Any, shown: Any, sizes: FLOAT) -> None:
    """Name the axes, and draw the colour bar that all panels share."""
    for axes in panels[-1]:
        axes.set_xlabel("sine  ←  order m  →  cosine", fontsize=8.5)
        axes.xaxis.set_major_formatter(lambda order, _: f"{abs(order):.0f}")
    for axes in panels[:, 0]:
        axes.set_ylabel("degree j", fontsize=8.5)
    ends = extend(sizes, shown.norm.vmin, shown.norm.vmax)
    bar = made.colorbar(shown, ax=panels, location="bottom", extend=ends, shrink=0.6, aspect=40)
    bar.set_label("magnitude of a coefficient [kg m⁻² yr⁻¹]", fontsize=8)
    bar.ax.tick_params(labelsize=7, width=0.5)
    bar.outline.set_linewidth(0.5)
