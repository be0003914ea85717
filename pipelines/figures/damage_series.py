"""Damage of ice shelves by year: fraction above, area below, bounds shaded (as figure 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#1b2733", "#e69f00", "#56b4e9", "#7f5aa8",
           "#8a949e")  # fmt: skip
"""Colours of shelves (after Okabe and Ito, 2008); markers say it too."""
MARKERS = "osD^vPX<>"
PER_PAGE = len(COLOURS)
"""Most shelves on one page."""
UNLIKE = 20.0
"""Where areas of shelves differ by more than this factor, their axis is logarithmic."""


@dataclass(frozen=True, eq=False)
class Series:
    """One number of a shelf by year.

    Attributes
    ----------
    name : str
        The shelf.
    years : ndarray of int, shape (n,)
        Of the Novembers in which the summers begin, growing; a year that lacks is a gap.
    values, lower, upper : ndarray, shape (n,)
        The number and its bounds; NaN cuts the line.
    slc_off : ndarray of bool, shape (n,)
        Whether the scan line corrector of a scene in the map was broken.
    """

    name: str
    years: NDArray[np.int64]
    values: FLOAT
    lower: FLOAT
    upper: FLOAT
    slc_off: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = np.shape(self.years)
        for part in (self.values, self.lower, self.upper, self.slc_off):
            if np.shape(part) != shape:
                msg = f"found numbers of {self.name} of shape {np.shape(part)}, expected {shape}"
                raise canvas.FigureError(msg)
        if len(shape) != 1 or not (np.diff(self.years) > 0).all():
            msg = f"found years {np.asarray(self.years).tolist()} of {self.name}, expected each "
            raise canvas.FigureError(msg + "once and in order")


def pages(shelves: int) -> int:
    """Return how many pages some shelves take.

    >>> pages(0), pages(9), pages(10)
    (1, 1, 2)
    """
    return max(1, -(-shelves // PER_PAGE))


def chart(fractions: Sequence[Series], areas: Sequence[Series], *, page: int = 1) -> bytes:
    """Draw a page of shelves.

    Parameters
    ----------
    fractions, areas : sequence of Series
        Damage fraction [1] and damage area [km²] of the same shelves in the same order.
    page : int
        From 1 to :func:`pages`.

    Returns
    -------
    bytes
        A PNG picture, 7.2 inches wide.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Other shelves in one than in the other, none, or no such page.
    """
    if [one.name for one in fractions] != [one.name for one in areas] or not fractions:
        found = f"{[s.name for s in fractions]} and areas of {[s.name for s in areas]}"
        msg = f"found fractions of {found}, expected the same shelves, and one at least"
        raise canvas.FigureError(msg)
    if not 1 <= page <= pages(len(fractions)):
        msg = f"found page {page}, expected 1 to {pages(len(fractions))}"
        raise canvas.FigureError(msg)
    part = slice((page - 1) * PER_PAGE, page * PER_PAGE)
    made = canvas.figure(canvas.PAGE, 6.4)
    above, below = made.subplots(2, 1, sharex=True)
    _panel(above, fractions[part], "damage fraction [%]", scale=100.0)
    _panel(below, areas[part], "damage area [km²]", scale=1.0)
    if _unlike(areas[part]):
        below.set_yscale("log")
    else:
        below.set_ylim(bottom=0.0)
    above.set_ylim(bottom=0.0)
    canvas.heading(
        above,
        f"{canvas.letter(0)} damage fraction",
        right="shaded: one sigma, equation 14     hollow: with SLC-off scenes",
    )
    canvas.heading(below, f"{canvas.letter(1)} damage area")
    below.set_xlabel("November in which the summer begins")
    _years(below, [one for one in fractions if len(one.years)])
    handles, labels = above.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)),
                fontsize=7.5, frameon=False)  # fmt: skip
    return canvas.png(made)


def _panel(axes: Axes, shown: Sequence[Series], label: str, *, scale: float) -> None:
    for n, one in enumerate(shown):
        years = _with_gaps(one, one.years)
        values, lower, upper = (
            _with_gaps(one, scale * part) for part in (one.values, one.lower, one.upper)
        )
        axes.fill_between(years, lower, upper, color=COLOURS[n], alpha=0.16, linewidth=0)
        axes.vlines(years, lower, upper, color=COLOURS[n], alpha=0.4, linewidth=0.8)
        axes.plot(years, values, color=COLOURS[n], linewidth=1.1, zorder=3)
        style: dict[str, Any] = {
            "color": COLOURS[n],
            "marker": MARKERS[n],
            "markersize": 4.0,
            "linestyle": "none",
        }
        axes.plot([], [], linewidth=1.1, **{**style, "linestyle": "-"}, label=one.name)
        for hollow in (False, True):
            at = one.slc_off == hollow
            axes.plot(one.years[at], one.values[at] * scale, markeredgewidth=0.9, zorder=4,
                      markerfacecolor="white" if hollow else COLOURS[n], **style)  # fmt: skip
    canvas.tidy(axes)
    axes.set_ylabel(label)


def _with_gaps(one: Series, values: NDArray[Any]) -> FLOAT:
    """Return numbers with NaN where years lack, so that no line crosses them."""
    cuts = np.flatnonzero(np.diff(one.years) > 1) + 1
    return np.insert(np.asarray(values, dtype=np.float64), cuts, np.nan)


def _unlike(areas: Sequence[Series]) -> bool:
    """Tell whether areas need a logarithmic axis, and bear one."""
    known = [one.values[np.isfinite(one.values)] for one in areas]
    known = [values for values in known if values.size]
    if len(known) < 2 or min(float(values.min()) for values in known) <= 0.0:
        return False
    middles = [float(np.median(values)) for values in known]
    return max(middles) > UNLIKE * min(middles)


def _years(axes: Axes, shown: Sequence[Series]) -> None:
    if not shown:
        return
    first = min(int(one.years[0]) for one in shown)
    last = max(int(one.years[-1]) for one in shown)
    step = max(1, math.ceil((last - first + 1) / 14))
    axes.set_xlim(first - 0.6, last + 0.6)
    axes.set_xticks(range(first, last + 1, step))
    axes.set_xticks(range(first, last + 1), minor=True)
