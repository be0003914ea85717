"""Which years a run has, and which maps give the velocity of each.

The maps of a mosaic's first layer are the years: a year of ice flow is whatever interval its
publisher averaged, and climate models are summed over that very interval.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipelines.flows.catalogue_inputs import InputError
from pipelines.kernels.budget.years import Year, decimal

if TYPE_CHECKING:
    from pipelines.flows.mass_budget_inputs import VelocityMap
    from pipelines.settings import Run
    from pipelines.settings_mass_budget import Layer, Mosaic

LONGEST_YEAR = dt.timedelta(days=2 * 366)
"""A map of a longer time is an average over the run's whole period, not of a year."""


def year(start: dt.date, end: dt.date) -> Year:
    """Return an interval of ice flow with its label.

    Examples
    --------
    >>> year(dt.date(2007, 7, 1), dt.date(2008, 7, 1)).label
    '2007-2008'
    >>> year(dt.date(2008, 1, 1), dt.date(2009, 1, 1)).label
    '2008'
    >>> year(dt.date(2008, 3, 1), dt.date(2008, 4, 1)).label
    '2008-03'
    """
    last = end - dt.timedelta(days=1)
    if (start.month, start.day, last.month, last.day) == (1, 1, 12, 31) and start.year == last.year:
        return Year(f"{start.year}", start, end)
    if start.day == 1 and (last.year, last.month) == (start.year, start.month) and end.day == 1:
        return Year(f"{start:%Y-%m}", start, end)
    glaciological = (start.month, start.day, end) == (7, 1, dt.date(start.year + 1, 7, 1))
    if glaciological or end - start > LONGEST_YEAR:
        return Year(f"{start.year}-{last.year}", start, end)
    return Year(f"{start}_{last}", start, end)


@dataclass(frozen=True)
class Sampled:
    """A velocity map as it is sampled at the nodes."""

    map: VelocityMap
    sampling: Literal["bilinear", "nearest"]

    @property
    def label(self) -> str:
        """Name of the item, and how it is sampled where that is not the rule."""
        return self.map.source.id + ("" if self.sampling == "bilinear" else f":{self.sampling}")


@dataclass(frozen=True)
class Candidate:
    """What may give the velocity of one year: a map, or a line in time through two.

    ``layer`` counts the layers of the mosaic from 1; ``maps`` are indices of sampled maps.
    """

    layer: int
    maps: tuple[int, ...]
    years: tuple[float, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """The years of a run, the maps that are sampled, and the candidates of each mosaic and year."""

    years: tuple[Year, ...]
    sampled: tuple[Sampled, ...]
    candidates: tuple[tuple[tuple[Candidate, ...], ...], ...]


def calendar_of(run: Run, maps: Sequence[VelocityMap], mosaics: Sequence[Mosaic]) -> Calendar:
    """Lay out which map serves which year.

    Raises
    ------
    InputError
        No map of the first layer lies in the period, or a layer has not the maps that it needs.
    """
    _require_one_each(maps)
    years = _years(run, maps, mosaics)
    chosen: dict[tuple[str, str], int] = {}
    sampled: list[Sampled] = []

    def index(each: VelocityMap, layer: Layer) -> int:
        key = (each.source.href, layer.sampling)
        if key not in chosen:
            chosen[key] = len(sampled)
            sampled.append(Sampled(each, layer.sampling))
        return chosen[key]

    found = []
    for mosaic in mosaics:
        of_mosaic = []
        for of in years:
            row = []
            for number, layer in enumerate(mosaic.layers, start=1):
                served = _maps_for(layer, of, [m for m in maps if m.collection == layer.collection])
                if served:
                    moments = tuple(decimal(m.middle) for m in served)
                    row.append(Candidate(number, tuple(index(m, layer) for m in served), moments))
            of_mosaic.append(tuple(row))
        found.append(tuple(of_mosaic))
    return Calendar(years, tuple(sampled), tuple(found))


def _require_one_each(maps: Sequence[VelocityMap]) -> None:
    """Refuse two maps of one collection and one time: which of them counts would be chance."""
    seen: dict[tuple[str, dt.date, dt.date], str] = {}
    for each in maps:
        key = (each.collection, each.start, each.end)
        if key in seen:
            msg = (
                f"inputs.velocity: {each.collection!r} holds {seen[key]} and {each.source.id}, "
                f"both of {each.start} to {each.end}; name one of them as COLLECTION/ITEM"
            )
            raise InputError(msg)
        seen[key] = each.source.id


def _years(run: Run, maps: Sequence[VelocityMap], mosaics: Sequence[Mosaic]) -> tuple[Year, ...]:
    # One calendar for the whole ensemble: the first mosaic's; maps of others serve by overlap.
    firsts = {mosaics[0].layers[0].collection}
    start, end = run.period[0], run.period[1] + dt.timedelta(days=1)
    found: set[Year] = set()
    held = [each for each in maps if each.collection in firsts]
    for each in held:
        if each.end - each.start > LONGEST_YEAR:
            found.add(year(start, end))
        elif start <= each.middle < end:
            found.add(year(each.start, each.end))
    if not found:
        names = ", ".join(sorted(firsts))
        span = f"{min(each.start for each in held)} to {max(each.end for each in held)}"
        msg = (
            f"period {run.period[0]} to {run.period[1]}: no map of {names} lies in it, they are of "
            f"{span}; change the period, or ingest others"
        )
        raise InputError(msg)
    return tuple(sorted(found, key=lambda each: (each.start, each.end)))


def _maps_for(layer: Layer, of: Year, maps: Sequence[VelocityMap]) -> tuple[VelocityMap, ...]:
    """Return the maps of one layer that serve a year: none, one, or two for a trend."""
    if layer.before is not None and of.start.year >= layer.before:
        return ()
    if layer.use == "trend":
        return _trend(layer, maps)
    if layer.use == "static":
        return (_only(layer, maps),)
    ranked = sorted(maps, key=lambda each: (-_overlap(each, of), _distance(each, of), each.start))
    if layer.use == "nearest_year":
        return tuple(ranked[:1])
    return tuple(each for each in ranked[:1] if _overlap(each, of) > 0)


def _trend(layer: Layer, maps: Sequence[VelocityMap]) -> tuple[VelocityMap, ...]:
    if len(maps) != 2:
        msg = (
            f"mass_budget.mosaics: layer {layer.collection!r} is a trend, which needs two maps of "
            f"different times; the collection holds {len(maps)}"
        )
        raise InputError(msg)
    first, last = sorted(maps, key=lambda each: each.middle)
    return first, last


def _only(layer: Layer, maps: Sequence[VelocityMap]) -> VelocityMap:
    if len(maps) != 1:
        msg = (
            f"mass_budget.mosaics: layer {layer.collection!r} is static, which needs one map; the "
            f"collection holds {len(maps)}: name one as COLLECTION/ITEM"
        )
        raise InputError(msg)
    return maps[0]


def _overlap(each: VelocityMap, of: Year) -> int:
    """Return how many days a map and a year share."""
    return max(0, (min(each.end, of.end) - max(each.start, of.start)).days)


def _distance(each: VelocityMap, of: Year) -> float:
    return abs(decimal(each.middle) - of.middle)
