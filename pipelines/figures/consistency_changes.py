"""A map of what became of damage between two years, in the frame of the ice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.kernels.damage import moving_changes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
UINT8 = NDArray[np.uint8]

CARRIED_CODES = (
    moving_changes.CARRIED, moving_changes.CARRIED_HERE, moving_changes.CARRIED_AWAY,
)  # fmt: skip

CLASSES = (
    ("unchanged", (moving_changes.UNCHANGED,), "#e9edf0", "no damage in either year"),
    ("carried", CARRIED_CODES, "#4d4d4d", "carried"),
    ("gained", (moving_changes.GAINED,), "#d55e00", "gained"),
    ("lost", (moving_changes.LOST,), "#0072b2", "lost"),
    ("left", (moving_changes.LEFT,), "#56b4e9", "left, or not seen later"),
    ("entered", (moving_changes.ENTERED,), "#e69f00", "entered, or not seen before"),
)  # fmt: skip
"""Classes of the map: name, codes, colour (after Okabe and Ito, 2008), words."""

MOST_PIXELS = 900
"""Rows and columns of the map at most."""


@dataclass(frozen=True)
class Shrunk:
    """Classes of a map, thinned, and the centres of what was thinned.

    Attributes
    ----------
    classes : ndarray of uint8, shape (y, x)
        Index into `CLASSES`; 255 where nothing is known.
    x, y : ndarray, shape (x,), (y,)
        Centres [m].
    """

    classes: UINT8
    x: FLOAT
    y: FLOAT


def thinning(shape: tuple[int, int]) -> int:
    """Return how many pixels along a side become one.

    >>> thinning((900, 1800)), thinning((100, 100))
    (2, 1)
    """
    return max(1, -(-max(shape) // MOST_PIXELS))


def classes_of(codes: UINT8, *, each: int) -> UINT8:
    """Return the class of every square of `each` by `each` pixels.

    A square with any damage has the class that most of its damaged pixels have, so that rifts a
    pixel wide stay visible; areas are to be taken from the table, not from the picture.

    Parameters
    ----------
    codes : ndarray of uint8, shape (y, x)
        Of :func:`pipelines.kernels.damage.moving_changes.changes`.
    each : int
        Pixels along a side.

    Examples
    --------
    >>> classes_of(np.array([[0, 1], [0, 2], [255, 255]], np.uint8), each=1).tolist()
    [[0, 2], [0, 3], [255, 255]]
    >>> classes_of(np.array([[0, 1], [0, 0]], np.uint8), each=2).tolist()
    [[2]]
    """
    ny, nx = (-(-size // each) for size in codes.shape)
    padded = np.pad(
        codes, ((0, ny * each - codes.shape[0]), (0, nx * each - codes.shape[1])),
        constant_values=255,
    )  # fmt: skip
    squares = padded.reshape(ny, each, nx, each)
    counts = np.stack([
        np.isin(squares, held).sum(axis=(1, 3)) for _, held, _, _ in CLASSES[1:]
    ])  # fmt: skip
    made = np.where((squares == moving_changes.UNCHANGED).any(axis=(1, 3)), 0, 255)
    damaged = counts.max(axis=0) > 0
    return np.where(damaged, counts.argmax(axis=0) + 1, made).astype(np.uint8)


def drawn(shrunk: Shrunk, areas_km2: Mapping[str, float], *, title: str) -> bytes:
    """Draw a map of changes.

    Parameters
    ----------
    shrunk : Shrunk
        The map.
    areas_km2 : mapping of str to float
        Areas of the classes by name, for the legend [km²].
    title : str
        Which pair of which shelf.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        A map that is not on its axes.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    classes = {"map": shrunk.classes.astype(np.float64)}
    canvas.check_shapes(classes, (len(shrunk.y), len(shrunk.x)), what="changes")
    frame = _frame(shrunk)
    height = (frame[3] - frame[2]) / (frame[1] - frame[0])
    made = canvas.figure(canvas.PAGE, min(0.9 + 0.78 * canvas.PAGE * height, 9.5))
    axes = made.add_subplot()
    axes.set_facecolor("white")
    known = np.ma.masked_equal(shrunk.classes, 255)
    axes.imshow(
        known, cmap=ListedColormap([colour for _, _, colour, _ in CLASSES]), vmin=-0.5,
        vmax=len(CLASSES) - 0.5, extent=frame, interpolation="nearest", origin="upper",
    )  # fmt: skip
    axes.set(aspect="equal")
    axes.tick_params(labelsize=7, color=canvas.FAINT, width=0.6)
    axes.set_xlabel("x in EPSG:3031 [km]", fontsize=8)
    axes.set_ylabel("y in EPSG:3031 [km]", fontsize=8)
    shown = [
        Patch(facecolor=colour, edgecolor=canvas.FAINT, label=_said(name, words, areas_km2))
        for name, _, colour, words in CLASSES
    ]
    made.legend(handles=shown, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    _draw_scale(axes, frame)
    canvas.heading(axes, title)
    return canvas.png(made)


def _said(name: str, words: str, areas_km2: Mapping[str, float]) -> str:
    """Return a line of the legend."""
    if name not in areas_km2 or not np.isfinite(areas_km2[name]):
        return words
    number = f"{areas_km2[name]:,.1f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{words}: {number} km²"


def _frame(shrunk: Shrunk) -> tuple[float, float, float, float]:
    """Return west, east, south and north of the map [km]."""
    half = abs(float(shrunk.x[1] - shrunk.x[0])) / 2.0 if len(shrunk.x) > 1 else 15.0
    return (
        float(shrunk.x[0] - half) / 1e3, float(shrunk.x[-1] + half) / 1e3,
        float(shrunk.y[-1] - half) / 1e3, float(shrunk.y[0] + half) / 1e3,
    )  # fmt: skip


def _draw_scale(axes: Axes, frame: tuple[float, float, float, float]) -> None:
    """Draw a scale bar of a round length into the lower left corner; it is true at 71° S."""
    west, east, south, north = frame
    longest = 0.25 * (east - west)
    step = 10.0 ** np.floor(np.log10(longest))
    length = max(factor * step for factor in (1.0, 2.0, 5.0) if factor * step <= longest)
    left, bottom = west + 0.04 * (east - west), south + 0.05 * (north - south)
    axes.plot([left, left + length], [bottom, bottom], color=canvas.INK, linewidth=2.2,
              solid_capstyle="butt", path_effects=canvas.halo(3.5))  # fmt: skip
    axes.text(left + length / 2.0, bottom + 0.015 * (north - south), f"{length:g} km", fontsize=6.5,
              ha="center", va="bottom", color=canvas.INK, path_effects=canvas.halo())  # fmt: skip
