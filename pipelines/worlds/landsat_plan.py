"""Which passes of a summer are written for a shelf: days of different weather and cover."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from pipelines.worlds import landsat_passes
from pipelines.worlds.landsat_granules import View, view
from pipelines.worlds.landsat_passes import HALF_SWATH_M, SCENE_M, Swath
from stac.pixel_grids import PixelGrid

WHOLE = 0.999
"""Part of a window under a swath that counts as all of it [1]."""
SLIVER = 0.002
"""Part of a window below which a granule is not written [1]."""
_SAMPLES = 24


class PlanError(ValueError):
    """A summer or a place in which no scene can be had."""


@dataclass(frozen=True)
class Kind:
    """A kind of day: how much of the window it covers, with what weather, when.

    Attributes
    ----------
    name : str
        Of the kind.
    cover : tuple of float
        Least and most part of the window under the swath [1].
    rows : int
        Rows of the pass that see the window; 0 is any number.
    cloudiness : float
        See :class:`pipelines.worlds.landsat_granules.View`.
    season : float
        When, from 0 on 1 November to 1 on 31 March.
    """

    name: str
    cover: tuple[float, float]
    rows: int
    cloudiness: float
    season: float


KINDS = (
    Kind("clear", (WHOLE, 1.0), 1, 0.02, 0.58),
    Kind("partial", (0.25, 0.85), 0, 0.10, 0.48),
    Kind("two rows", (WHOLE, 1.0), 2, 0.30, 0.72),
    Kind("overcast", (WHOLE, 1.0), 0, 1.0, 0.3),
    Kind("broken", (WHOLE, 1.0), 0, 0.50, 0.35),
    Kind("low sun", (0.5, 1.0), 0, 0.08, 0.98),
    Kind("partial", (0.15, 0.7), 0, 0.20, 0.7),
    Kind("fair", (WHOLE, 1.0), 0, 0.15, 0.2),
)
"""Days in the order in which a summer gets them; further days repeat them."""


@dataclass(frozen=True)
class Pass:
    """A pass that could be written: the swath, what of the window it covers, by which rows."""

    swath: Swath
    cover: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Day:
    """A day that is written: its kind and its granules, in the order of their rows."""

    kind: str
    views: tuple[View, ...]


def passes(grid: PixelGrid, summer: int) -> list[Pass]:
    """Return all descending passes over a window in a summer, in the order of time.

    Parameters
    ----------
    grid : PixelGrid
        The window.
    summer : int
        Y, from 1 November Y to 31 March Y + 1.
    """
    first, last = datetime(summer, 11, 1, tzinfo=UTC), datetime(summer + 1, 4, 1, tzinfo=UTC)
    west, south, east, north = grid.bounds
    x, y = (west + east) / 2.0, (south + north) / 2.0
    reach = HALF_SWATH_M + math.hypot(east - west, north - south) / 2.0
    found = []
    for path, row, _ in landsat_passes.swaths_over(x, y, reach=reach):
        for platform in landsat_passes.ANCHORS:
            times = list(landsat_passes.moments(platform, path, row, first, last))
            if times:
                model = _pass(grid, landsat_passes.swath(platform, path, row, times[0]))
                found += [replace(model, swath=replace(model.swath, moment=time)) for time in times]
    return sorted(found, key=lambda each: each.swath.moment)


def _pass(grid: PixelGrid, swath: Swath) -> Pass:
    across, along = _frame(grid, swath)
    under = np.abs(across) <= HALF_SWATH_M
    return Pass(swath, float(under.mean()), _rows(swath, along[under], under.size))


def _frame(grid: PixelGrid, swath: Swath) -> tuple[np.ndarray, np.ndarray]:
    """Return where samples of a window lie in a swath's frame, shape (n,) each [m]."""
    west, south, east, north = grid.bounds
    x, y = np.meshgrid(np.linspace(west, east, _SAMPLES), np.linspace(south, north, _SAMPLES))
    across, along = swath.frame(x.ravel(), y.ravel())
    return across, along


def _rows(swath: Swath, along: np.ndarray, samples: int, shift: float = 0.0) -> tuple[int, ...]:
    """Return the rows whose frames hold more than a sliver of the window."""
    return tuple(
        row
        for row in range(math.floor(swath.row) - 3, math.ceil(swath.row) + 4)
        if (np.abs(along - swath.row_centre(row) - shift) <= SCENE_M / 2.0).sum() > SLIVER * samples
    )


def days(grid: PixelGrid, summer: int, *, count: int, seed: int) -> tuple[Day, ...]:
    """Return the days of a summer that are written, in the order of time.

    Parameters
    ----------
    grid : PixelGrid
        The window.
    summer : int
        See :func:`passes`.
    count : int
        How many days, the first of :data:`KINDS`.
    seed : int
        Of weather.

    Raises
    ------
    PlanError
        If satellites pass on fewer days.
    """
    candidates = passes(grid, summer)
    taken: list[tuple[Pass, Kind]] = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        used = {each.swath.moment.date() for each, _ in taken}
        free = [each for each in candidates if each.swath.moment.date() not in used]
        if not free:
            msg = (
                f"found passes on {len(used)} days of summer {summer}, expected {count}; ask for "
                "fewer days a summer, or for a summer since 1999"
            )
            raise PlanError(msg)
        misfits = [_misfit(each, kind, summer) for each in free]
        taken.append((free[int(np.argmin(misfits))], kind))
    written = [_day(grid, each, kind, seed) for each, kind in taken]
    return tuple(sorted(written, key=lambda day: day.views[0].start))


def _misfit(each: Pass, kind: Kind, summer: int) -> float:
    """Return how badly a pass suits a kind of day: cover first, then rows, then season."""
    low, high = kind.cover
    beyond = max(low - each.cover, each.cover - high, 0.0)
    rows = 0.0 if kind.rows in {0, len(each.rows)} else 1.0
    season = (each.swath.moment - datetime(summer, 11, 1, tzinfo=UTC)).days / 151.0
    return 10.0 * beyond + rows + abs(season - kind.season) + (5.0 if not each.rows else 0.0)


def _day(grid: PixelGrid, each: Pass, kind: Kind, seed: int) -> Day:
    """Return a day's granules; frames move along the flight where two rows don't meet by nature."""
    swath, rows, shift = each.swath, each.rows, 0.0
    if kind.rows == 2 and len(rows) != 2:
        across, along = _frame(grid, swath)
        middle = float(along[np.abs(across) <= HALF_SWATH_M].mean())
        lower = math.floor(swath.row)
        shift = middle - (swath.row_centre(lower) + swath.row_centre(lower + 1)) / 2.0
        rows = (lower, lower + 1)
    weather = _seed(swath, seed)
    haze = float(np.random.default_rng([weather, 47]).uniform(0.0, 0.35))
    return Day(
        kind.name,
        tuple(
            view(swath, row, cloudiness=kind.cloudiness, seed=weather, haze=haze, shift=shift)
            for row in rows
        ),
    )


def _seed(swath: Swath, seed: int) -> int:
    """Return a seed of a pass, the same for every window."""
    number = int(swath.platform[-1])
    days = swath.moment.toordinal()
    drawn = np.random.SeedSequence([seed, number, swath.path, days]).generate_state(1)
    return int(drawn[0]) & 0x7FFFFFFF
