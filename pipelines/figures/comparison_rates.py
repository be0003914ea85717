"""Rates of mass change by several methods beside each other, and how far they are apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]
Numbers = tuple[FLOAT, FLOAT]
"""Rates and their standard deviations, shape (regions,) [Gt yr⁻¹]; NaN has no mark."""

UNIT = "Gt yr⁻¹"
AGREED = 2.0
"""Standard deviations within which a difference is none that is told."""


@dataclass(frozen=True)
class Style:
    """How a method is drawn: the mark and the line say it without colours, too."""

    colour: str
    mark: str
    line: Any


ORANGE = "#e08214"
KNOWN = {
    "gravimetry": Style(canvas.RED, "o", "-"),
    "altimetry": Style(canvas.BLUE, "s", (0, (5, 1.5))),
    "combination": Style(canvas.GREEN, "^", (0, (3, 1, 1, 1))),
    "mass budget": Style(ORANGE, "D", (0, (1, 1))),
}
OTHERS = (
    Style(canvas.PURPLE, "v", (0, (6, 2))), Style("#56b4e9", "P", (0, (4, 1, 1, 1, 1, 1))),
    Style("#cc79a7", "X", (0, (2, 2))), Style(canvas.GREY, "<", "-"),
    Style("#7f5aa8", ">", (0, (5, 1.5))),
)  # fmt: skip
TOGETHER = "combined estimate"


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """Return the style of each method: the same in every picture for those of ``KNOWN``.

    Examples
    --------
    >>> found = styles(["mass_budget", "imbie-2021", "gravimetry"])
    >>> found["mass_budget"] == KNOWN["mass budget"], found["imbie-2021"] == OTHERS[0]
    (True, True)
    """
    others = itertools.cycle(OTHERS)
    found: dict[str, Style] = {}
    for name in methods:
        known = name.replace("_", " ")
        found[name] = KNOWN[known] if known in KNOWN else next(others)
    return found


def method_rates(
    regions: Sequence[str],
    rates: Mapping[str, Numbers],
    *,
    combined: Numbers | None = None,
    title: str,
) -> bytes:
    """Draw the rate of every region by every method, with its uncertainty.

    Parameters
    ----------
    regions : sequence of str
        Names of the regions, from the top.
    rates : mapping of str to (rates, sigmas)
        By method, in the order of the marks of a region.
    combined : (rates, sigmas), optional
        What they give together.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture. Thick bars are one standard deviation, thin ones two.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No region or method, or numbers that are not one for each region.
    """
    shape = (_counted(regions),)
    shown = dict(rates)
    if combined is not None:
        shown[TOGETHER] = combined
    for n, what in enumerate(("rates", "standard deviations")):
        canvas.check_shapes({name: pair[n] for name, pair in shown.items()}, shape, what=what)
    high = max(0.42, 0.13 * len(shown)) * len(regions)
    made = canvas.figure(canvas.PAGE, 1.35 + high)
    axes = made.add_subplot()
    looks = styles(rates)
    looks[TOGETHER] = Style(canvas.INK, "d", "-")
    step = 0.78 / max(len(shown), 2)
    for n, (name, (values, sigmas)) in enumerate(shown.items()):
        at = np.arange(len(regions)) + (n - (len(shown) - 1) / 2.0) * step
        _marks(axes, at, values, sigmas, looks[name], canvas.plain(name.replace("_", " ")))
    _rows(axes, regions)
    axes.axvline(0.0, color=canvas.INK, linewidth=0.7, zorder=1)
    axes.set_xlabel(f"rate of mass change [{UNIT}]")
    canvas.heading(axes, title, right="bars: one and two standard deviations")
    made.legend(*axes.get_legend_handles_labels(), loc="outside lower center", frameon=False,
                fontsize=7.5, ncols=min(len(shown), 4))  # fmt: skip
    return canvas.png(made)


def standardised_differences(
    regions: Sequence[str], differences: Mapping[str, FLOAT], *, title: str
) -> bytes:
    """Draw how far methods are apart, in standard deviations of their difference.

    Parameters
    ----------
    regions : sequence of str
        Names of the regions, from the top.
    differences : mapping of str to ndarray, shape (regions,)
        By pair, such as "mass budget − gravimetry": the difference over its standard deviation
        [1]; NaN has no mark.
    title : str
        What and when.

    Returns
    -------
    bytes
        A PNG picture; within the shade methods agree.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No region or pair, or numbers that are not one for each region.
    """
    canvas.check_shapes(differences, (_counted(regions),), what="differences")
    high = max(0.36, 0.13 * len(differences)) * len(regions)
    made = canvas.figure(canvas.PAGE, 1.35 + high)
    axes = made.add_subplot()
    axes.axvspan(-AGREED, AGREED, color=canvas.SHADE, linewidth=0, zorder=0)
    step = 0.78 / max(len(differences), 2)
    looks = itertools.cycle([*KNOWN.values(), *OTHERS])
    for n, ((pair, z), look) in enumerate(zip(differences.items(), looks, strict=False)):
        at = np.arange(len(regions)) + (n - (len(differences) - 1) / 2.0) * step
        axes.hlines(at, 0.0, z, color=look.colour, linewidth=1.2, zorder=2)
        outside = np.abs(z) > AGREED
        axes.plot(z, at, look.mark, color=look.colour, markersize=4.5, markerfacecolor="white",
                  markeredgewidth=1.1, label=canvas.plain(pair), zorder=3)  # fmt: skip
        axes.plot(z[outside], at[outside], look.mark, color=look.colour, markersize=4.5, zorder=4)
    _rows(axes, regions)
    axes.axvline(0.0, color=canvas.INK, linewidth=0.7, zorder=1)
    reach = _reach(differences.values())
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("difference in its standard deviations [1]; filled: beyond two")
    canvas.heading(axes, title, right="shaded: the methods agree")
    made.legend(*axes.get_legend_handles_labels(), loc="outside lower center", frameon=False,
                fontsize=7.5, ncols=min(len(differences), 3))  # fmt: skip
    return canvas.png(made)


def _counted(regions: Sequence[str]) -> int:
    if not regions:
        msg = "found no regions, expected at least one; nothing can be drawn"
        raise canvas.FigureError(msg)
    return len(regions)


def _reach(differences: Iterable[FLOAT]) -> float:
    """Return where the axis ends: beyond the largest difference, and at three at least."""
    values = np.concatenate([np.ravel(each) for each in differences])
    there = np.abs(values[np.isfinite(values)])
    return max(3.0, 1.08 * float(there.max())) if there.size else 3.0


def _marks(
    axes: Axes, at: NDArray[Any], values: FLOAT, sigmas: FLOAT, look: Style, label: str
) -> None:
    for factor, width in ((2.0, 0.7), (1.0, 2.2)):
        axes.hlines(at, values - factor * sigmas, values + factor * sigmas, color=look.colour,
                    linewidth=width, zorder=2)  # fmt: skip
    axes.plot(values, at, look.mark, color=look.colour, markersize=4.8, markeredgecolor="white",
              markeredgewidth=0.7, linestyle="none", label=label, zorder=3)  # fmt: skip


def _rows(axes: Axes, regions: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(regions)), [canvas.plain(name) for name in regions])
    axes.set_ylim(len(regions) - 0.5, -0.5)
    canvas.tidy(axes)
    axes.grid(visible=False, axis="y")
    for row in range(1, len(regions)):
        axes.axhline(row - 0.5, color=canvas.GRID, linewidth=0.8, zorder=0)
