"""Mass that has gone since a beginning, and the sea level it makes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.figures import canvas
from pipelines.kernels import constants

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
Change = tuple[FLOAT, FLOAT]
"""Change of mass since the beginning and its standard deviation, shape (years,) [Gt]."""

GROUPS = {
    "AIS": (canvas.INK, "-"),
    "EAIS": (canvas.BLUE, (0, (5, 1.5))),
    "WAIS": (canvas.RED, (0, (3, 1, 1, 1))),
    "AP": ("#e08214", (0, (1, 1))),
}
"""Colour and line of the ice sheets; others take those of ``OTHERS`` in turn."""

OTHERS = ((canvas.PURPLE, "-"), (canvas.GREEN, (0, (5, 1.5))), (canvas.GREY, (0, (1, 1))))


def cumulative(ends: FLOAT, groups: Mapping[str, Change], *, start: float, title: str) -> bytes:
    """Draw the cumulative change of mass by group, with bands that grow with time.

    Parameters
    ----------
    ends : ndarray, shape (years,)
        Ends of the years [decimal years].
    groups : mapping of str to (change, sigma)
        Change of mass from ``start`` to each year's end, and its standard deviation, which
        knows what is correlated between years; shape (years,) [Gt]. NaN leaves a gap.
    start : float
        When all changes are zero and known [decimal years].
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture, with an axis of sea level at the right [mm]: a loss of 361.8 Gt is 1 mm.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No group, changes that are not one for each year, or years not in order after ``start``.
    """
    for n, what in enumerate(("changes", "standard deviations")):
        arrays = {name: change[n] for name, change in groups.items()}
        canvas.check_shapes(arrays, np.shape(ends), what=what)
    if not np.all(np.diff(ends, prepend=start) > 0.0):
        msg = f"found ends of years {list(ends)}, expected them in order after the start {start}"
        raise canvas.FigureError(msg)
    made = canvas.figure(canvas.PAGE, 4.3)
    axes = made.add_subplot()
    draw_changes(axes, ends, groups, start=start)
    canvas.heading(axes, title, right="bands: one standard deviation")
    return canvas.png(made)


def draw_changes(axes: Axes, ends: FLOAT, groups: Mapping[str, Change], *, start: float) -> None:
    """Draw curves from zero at ``start`` [Gt], and sea level at the right [mm]."""
    from matplotlib.ticker import MaxNLocator

    t = np.concatenate([[start], ends])
    others = itertools.cycle(OTHERS)
    for name, (change, sigma) in groups.items():
        colour, style = GROUPS[name] if name in GROUPS else next(others)
        mass, error = (np.concatenate([[0.0], values]) for values in (change, sigma))
        axes.fill_between(t, mass - error, mass + error, color=colour, alpha=0.15, linewidth=0)
        axes.plot(t, mass, color=colour, linestyle=style, linewidth=1.5, marker=".", markersize=3,
                  label=f"{name}: {last_text(change, sigma)}")  # fmt: skip
    axes.axhline(0.0, color=canvas.INK, linewidth=0.6)
    axes.set(xlabel="year", ylabel="change of mass [Gt]")
    axes.set_xlim(start, float(ends[-1]) + 0.01 * float(ends[-1] - start))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.tidy(axes)
    right = axes.secondary_yaxis("right", functions=(sea_level, sea_level_mass))
    right.set_ylabel(
        f"sea-level equivalent [mm], {constants.GT_PER_MM_SEA_LEVEL} Gt mm⁻¹", fontsize=8.5
    )
    right.tick_params(labelsize=7.5, color=canvas.FAINT, width=0.6)
    axes.legend(frameon=False, fontsize=7.5, loc="best")


def sea_level(mass: ArrayLike) -> FLOAT:
    """Return the sea level [mm] that a change of mass of grounded ice [Gt] makes.

    Examples
    --------
    >>> float(sea_level(np.array(-361.8)))
    1.0
    """
    return np.asarray(mass, dtype=np.float64) / -constants.GT_PER_MM_SEA_LEVEL


def sea_level_mass(rise: ArrayLike) -> FLOAT:
    """Return the change of mass of grounded ice [Gt] that makes a rise of the sea [mm]."""
    return np.asarray(rise, dtype=np.float64) * -constants.GT_PER_MM_SEA_LEVEL


def last_text(change: FLOAT, sigma: FLOAT) -> str:
    """Return the last known change with its standard deviation.

    Examples
    --------
    >>> last_text(np.array([-10.0, -2541.2, np.nan]), np.array([5.0, 160.4, np.nan]))
    '−2541 ± 160 Gt'
    """
    known = np.flatnonzero(np.isfinite(change))
    if not known.size:
        return "no data"
    text = f"{change[known[-1]]:+.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{text} ± {sigma[known[-1]]:.0f} Gt"
