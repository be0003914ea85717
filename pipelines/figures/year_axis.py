"""Years and epochs along an axis: steps over spans of time, labels that do not touch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOAT = NDArray[np.float64]

JOINED_YEARS = 0.02
"""Spans that end and start no further apart than this, a week, are drawn as one line."""

LETTER_INCHES = 0.055
"""Width of a letter of a label of 6.5 points [inches]."""


@dataclass(frozen=True)
class Spans:
    """Spans of time, in order of their starts.

    Parameters
    ----------
    starts, ends : ndarray, shape (years,)
        When each begins and ends [decimal years].
    labels : sequence of str
        What each is called: "2007–2008", "2008".

    Raises
    ------
    pipelines.figures.canvas.FigureError
        No span, another number of ends or labels, or spans that end before they start.
    """

    starts: FLOAT
    ends: FLOAT
    labels: Sequence[str]

    def __post_init__(self) -> None:
        shape = np.shape(self.starts)
        if len(shape) != 1 or not shape[0]:
            msg = f"found starts of years of shape {shape}, expected (years,) and at least one year"
            raise canvas.FigureError(msg)
        canvas.check_shapes({"ends": self.ends}, shape, what="years")
        if len(self.labels) != shape[0]:
            msg = f"found {len(self.labels)} labels of {shape[0]} years, expected one for each"
            raise canvas.FigureError(msg)
        if not (np.all(self.ends > self.starts) and np.all(np.diff(self.starts) > 0.0)):
            msg = (
                f"found years from {list(self.starts)} to {list(self.ends)}, expected decimal "
                "years in order, each ending after its start; sort them"
            )
            raise canvas.FigureError(msg)

    @property
    def centres(self) -> FLOAT:
        """Middle of each span, shape (years,) [decimal years]."""
        return (self.starts + self.ends) / 2.0

    @property
    def lengths(self) -> FLOAT:
        """Length of each span, shape (years,) [years]."""
        return self.ends - self.starts


def check(spans: Spans, numbers: Mapping[str, FLOAT], *, what: str) -> None:
    """Refuse ``numbers`` that are not one for each span, shape (years,)."""
    canvas.check_shapes(numbers, np.shape(spans.starts), what=what)


def steps(spans: Spans, *numbers: FLOAT) -> tuple[FLOAT, ...]:
    """Return times and numbers of a line that is level over each span.

    A NaN between spans that do not meet cuts the line there.

    Parameters
    ----------
    spans : Spans
        The years.
    numbers : ndarray, shape (years,)
        What is level.

    Returns
    -------
    tuple of ndarray, shape (points,)
        Times [decimal years], then each of ``numbers`` at those times.

    Examples
    --------
    >>> years = Spans(np.array([2000.0, 2001.0, 2004.0]), np.array([2001.0, 2002.0, 2005.0]), "abc")
    >>> t, level = steps(years, np.array([1.0, 2.0, 3.0]))
    >>> t.tolist()
    [2000.0, 2001.0, 2001.0, 2002.0, 2004.0, 2004.0, 2005.0]
    >>> level.tolist()
    [1.0, 1.0, 2.0, 2.0, nan, 3.0, 3.0]
    """
    t = np.stack([spans.starts, spans.ends], axis=1).ravel()
    apart = np.abs(spans.starts[1:] - spans.ends[:-1]) > JOINED_YEARS
    cuts = 2 * (np.flatnonzero(apart) + 1)
    return (
        np.insert(t, cuts, t[cuts]),
        *(
            np.insert(np.repeat(np.asarray(level, dtype=np.float64), 2), cuts, np.nan)
            for level in numbers
        ),
    )


def draw(axes: Axes, spans: Spans, *, inches: float) -> None:
    """Put labels below an axis of ``inches``, as many as do not touch, and set its ends."""
    low, high = float(spans.starts[0]), float(spans.ends.max())
    margin = 0.015 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    shown = untouched(spans, inches / (high - low + 2.0 * margin))
    axes.set_xticks(spans.centres[shown], [spans.labels[n] for n in shown])
    axes.tick_params(axis="x", labelsize=6.5)


def untouched(spans: Spans, inches_per_year: float) -> list[int]:
    """Return which labels can be written: every k-th, for the least k that leaves room.

    Examples
    --------
    >>> start = np.arange(2000.0, 2010.0)
    >>> untouched(Spans(start, start + 1.0, [f"{year:.0f}" for year in start]), 0.2)
    [0, 2, 4, 6, 8]
    """
    half = np.array([(len(label) + 1) * LETTER_INCHES / 2.0 for label in spans.labels])
    place = spans.centres * inches_per_year
    for every in range(1, len(place)):
        shown = list(range(0, len(place), every))
        if all(place[b] - place[a] >= half[a] + half[b] for a, b in itertools.pairwise(shown)):
            return shown
    return [0]
