"""Candidates among which the scenes of a shelf and summer are chosen, as a sheet shows them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.figures import canvas
from pipelines.figures.maps import Outline

FLOAT = NDArray[np.float64]

PER_PAGE = 40
"""Most candidates on one page."""


@dataclass(frozen=True)
class Candidate:
    """A scene that was found.

    Attributes
    ----------
    name : str
        How the run file names it.
    day : date
        When it was taken.
    platforms : tuple of str
        "landsat-7", "landsat-8", "landsat-9".
    path_rows : tuple of (int, int)
        Path and row of each granule in WRS-2.
    valid, valid_fast, cloud, gap, saturated : float
        Fractions of the region, `valid_fast` of its fast-flowing part [1]; NaN where there is none.
    sun_elevation : float
        [degrees].
    rank : int
        From 1, the best by the clear part of the region and of its fast part; 0 where
        it was rejected before the ranking.
    order : int
        From 1, the one that is laid on top; 0 where it was not chosen.
    reason : str
        Why, in words.
    """

    name: str
    day: date
    platforms: tuple[str, ...]
    path_rows: tuple[tuple[int, int], ...]
    valid: float
    valid_fast: float
    cloud: float
    gap: float
    saturated: float
    sun_elevation: float
    rank: int
    order: int
    reason: str

    @property
    def rejected(self) -> bool:
        """Whether it was out before the ranking."""
        return not (self.rank or self.order)


@dataclass(frozen=True, eq=False)
class Sheet:
    """All candidates of one shelf and summer.

    Attributes
    ----------
    title : str
        Shelf and summer.
    candidates : tuple of Candidate
        In any order, that of `thumbnails`.
    thumbnails : ndarray of uint8, shape (n, yc, xc, 3)
        Red, green and blue of each on coarse cells, the first row in the north; all three 0 where
        there is none.
    x, y : ndarray, shape (xc,), (yc,)
        Centres of the cells in EPSG:3031 [m]; y decreases.
    supplies : ndarray of int, shape (yc, xc)
        Order of the chosen scene that gives each cell, 0 where none does.
    season : (date, date)
        First and last day of the summer.
    outlines : sequence of (x, y)
        Lines of the shelf and of the region [m].
    fast : ndarray of bool, shape (yc, xc), or None
        The fast-flowing part.
    note : str
        What else the reader should know: coverage reached, rules, how to overrule the choice.
    rejected : ndarray of bool, shape (n, yc, xc), or None
        Cells of each candidate that QA_PIXEL, or a second opinion, calls cloud or shadow.
    """

    title: str
    candidates: tuple[Candidate, ...]
    thumbnails: NDArray[np.uint8]
    x: FLOAT
    y: FLOAT
    supplies: NDArray[np.integer[Any]]
    season: tuple[date, date]
    outlines: Sequence[Outline] = ()
    fast: NDArray[np.bool_] | None = None
    note: str = ""
    rejected: NDArray[np.bool_] | None = None


def pages(sheet: Sheet) -> int:
    """Return how many pages the candidates of a sheet take."""
    return max(1, math.ceil(len(sheet.candidates) / PER_PAGE))


def in_order(candidates: Sequence[Candidate]) -> list[int]:
    """Return the places of the candidates as they are shown: chosen, ranked, rejected by day."""

    def key(n: int) -> tuple[int, int, date, str]:
        one = candidates[n]
        group = 0 if one.order else 1 if one.rank else 2
        return group, one.order or one.rank, one.day, one.name

    return sorted(range(len(candidates)), key=key)


def path_rows_text(path_rows: Sequence[tuple[int, int]]) -> str:
    """Return paths with their rows, rows that follow each other as a range.

    Examples
    --------
    >>> path_rows_text([(217, 107), (217, 106), (218, 105), (217, 109)])
    '217/106–107+109, 218/105'
    """
    texts = []
    for path, group in itertools.groupby(sorted(set(path_rows)), key=lambda pair: pair[0]):
        rows = [row for _, row in group]
        runs = [list(run) for _, run in itertools.groupby(
            enumerate(rows), key=lambda pair: pair[1] - pair[0])]  # fmt: skip
        ends = [(run[0][1], run[-1][1]) for run in runs]
        texts.append(f"{path}/" + "+".join(f"{a}" if a == b else f"{a}–{b}" for a, b in ends))
    return ", ".join(texts)


def platforms_text(platforms: Sequence[str]) -> str:
    """Return platforms in short.

    Examples
    --------
    >>> platforms_text(["landsat-9", "landsat-8"])
    'L8+L9'
    """
    return "+".join(sorted({f"L{platform.rpartition('-')[2]}" for platform in platforms}))


def percent(fraction: float) -> str:
    """Return a fraction in words; small ones are not zero.

    Examples
    --------
    >>> percent(0.814), percent(0.0), percent(0.002), percent(0.998), percent(float("nan"))
    ('81 %', '0 %', '<1 %', '>99 %', '–')
    """
    if math.isnan(fraction):
        return "–"
    whole = round(100.0 * fraction)
    if whole == 0 and fraction > 0.0:
        return "<1 %"
    return ">99 %" if whole == 100 and fraction < 1.0 else f"{whole} %"


def check(sheet: Sheet, page: int) -> None:
    """Refuse arrays that do not fit, orders that are given twice, and pages that are none."""
    cells = (len(sheet.y), len(sheet.x))
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "thumbnails": (sheet.thumbnails, (len(sheet.candidates), *cells, 3)),
        "supplies": (sheet.supplies, cells),
    }
    if sheet.fast is not None:
        shapes["fast"] = (sheet.fast, cells)
    if sheet.rejected is not None:
        shapes["rejected"] = (sheet.rejected, (len(sheet.candidates), *cells))
    for name, (array, shape) in shapes.items():
        if np.shape(array) != shape:
            msg = f"found {name} of shape {np.shape(array)}, expected {shape}"
            raise canvas.FigureError(msg)
    check_axes(sheet.x, sheet.y)
    orders = [one.order for one in sheet.candidates if one.order]
    if sorted(orders) != list(range(1, len(orders) + 1)):
        msg = f"found the orders {sorted(orders)} of chosen scenes, expected 1, 2, 3 and so on"
        raise canvas.FigureError(msg)
    if not 1 <= page <= pages(sheet):
        msg = f"found page {page}, expected 1 to {pages(sheet)}"
        raise canvas.FigureError(msg)


def check_axes(x: FLOAT, y: FLOAT) -> None:
    """Refuse axes of fewer than two cells, and such that do not run east and south.

    Raises
    ------
    pipelines.figures.canvas.FigureError
        Such axes.
    """
    if min(len(x), len(y)) < 2 or not (np.diff(x) > 0).all() or not (np.diff(y) < 0).all():
        msg = "found axes that do not run east and south, expected x to grow and y to decrease"
        raise canvas.FigureError(msg)
