"""Basins filled with colours: rings in EPSG:3031, one number each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.maps import Outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
Shapes = Sequence[Sequence[Outline]]

CANDIDATES = 32
"""Places a side among which the one for a label is chosen."""

NODES = 200
"""Nodes of a ring that are enough to find a place inside it."""


def check(shapes: Shapes, names: Sequence[str]) -> None:
    """Refuse basins without a name each, and no basins at all.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Another number of names, or no ring.
    """
    if len(names) != len(shapes):
        msg = f"found {len(names)} names of {len(shapes)} basins, expected one for each"
        raise canvas.FigureError(msg)
    if not any(shapes):
        msg = "found no rings of basins, expected at least one; nothing can be drawn"
        raise canvas.FigureError(msg)


def fill(
    axes: Axes,
    shapes: Shapes,
    numbers: FLOAT,
    *,
    scale: tuple[float, float],
    colours: str,
    root: bool,
) -> Any:
    """Fill basins by their numbers, shape (basins,); ``root`` colours by the square root."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize, PowerNorm

    owner = np.repeat(np.arange(len(shapes)), [len(shape) for shape in shapes])
    filled = PolyCollection(
        _rings(shapes), edgecolors=canvas.INK, linewidths=0.3, cmap=colours, zorder=3.0,
        norm=PowerNorm(0.5, *scale) if root else Normalize(*scale),
    )  # fmt: skip
    filled.set_cmap(filled.get_cmap().with_extremes(bad=canvas.MISSING))
    filled.set_array(np.ma.masked_invalid(numbers[owner]))
    axes.add_collection(filled)
    return filled


def hatch(axes: Axes, shapes: Shapes, where: NDArray[np.bool_]) -> None:
    """Hatch the basins ``where``, shape (basins,)."""
    from matplotlib.collections import PolyCollection

    chosen = _rings([shape for shape, wanted in zip(shapes, where, strict=True) if wanted])
    axes.add_collection(
        PolyCollection(chosen, facecolors="none", edgecolors=canvas.GREY, linewidths=0.0,
                       hatch="//////", hatch_linewidth=0.3, zorder=3.1)
    )  # fmt: skip


def labels(shapes: Shapes, names: Sequence[str]) -> list[tuple[float, float, str]]:
    """Return the place [km] of each basin's name: inside its largest ring, far from its edge."""
    placed = []
    for shape, name in zip(shapes, names, strict=True):
        if shape:
            x, y = inside(max(shape, key=_area))
            placed.append((x / 1e3, y / 1e3, name))
    return placed


def write(axes: Axes, labels: Sequence[tuple[float, float, str]]) -> None:
    """Write names where :func:`labels` puts them."""
    for x, y, name in labels:
        axes.text(x, y, name, fontsize=5.5, ha="center", va="center", color=canvas.INK,
                  path_effects=canvas.halo(1.2), zorder=5)  # fmt: skip


def inside(ring: Outline) -> tuple[float, float]:
    """Return the place farthest from a ring among a lattice of places inside it.

    Examples
    --------
    >>> x, y = inside((np.array([0.0, 4.0, 4.0, 0.0]), np.array([0.0, 0.0, 2.0, 2.0])))
    >>> abs(y - 1.0) < 0.05 and 0.9 < x < 3.1
    True
    """
    from matplotlib.path import Path

    nodes = np.stack(ring, axis=1)[:: max(1, len(ring[0]) // NODES)]
    steps = (np.arange(CANDIDATES) + 0.5) / CANDIDATES
    low, size = nodes.min(axis=0), np.ptp(nodes, axis=0)
    places = low + size * np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    within = places[Path(nodes).contains_points(places)]
    if not len(within):
        return float(nodes[:, 0].mean()), float(nodes[:, 1].mean())
    x, y = within[np.argmax(_distance(within, nodes))]
    return float(x), float(y)


def _distance(places: FLOAT, nodes: FLOAT) -> FLOAT:
    """Return the distance of places (p, 2) to the closed line through nodes (n, 2), shape (p,)."""
    along = np.roll(nodes, -1, axis=0) - nodes
    from_node = places[:, None] - nodes
    length = np.maximum((along**2).sum(axis=1), np.finfo(np.float64).tiny)
    share = np.clip((from_node * along).sum(axis=-1) / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(from_node - share[..., None] * along, axis=-1).min(axis=1))


def _area(ring: Outline) -> float:
    """Return the area that a ring encloses, by its nodes (Gauss's formula)."""
    x, y = ring
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2.0


def _rings(shapes: Shapes) -> list[FLOAT]:
    """Return all rings as nodes, shape (n, 2) [km]."""
    return [np.stack(ring, axis=1) / 1e3 for shape in shapes for ring in shape]
