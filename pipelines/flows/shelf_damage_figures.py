"""Pictures of yearly damage: series of all shelves, maps of a shelf, a shelf through the years."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines import tables
from pipelines.figures import damage_animation, damage_panels, damage_series
from pipelines.figures.damage_panels import DamageMap
from pipelines.figures.damage_series import Series
from pipelines.figures.maps import Outline
from pipelines.flows import shelf_damage_arrays, shelf_damage_overview
from pipelines.flows.shelf_damage_overview import Overview
from pipelines.flows.shelf_damage_release_names import is_published, parts_of
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

NO_MAP = "not published"


def write(
    group: zarr.Group,
    rows: Sequence[tables.Row],
    put: Callable[[str, bytes], None],
    *,
    coast: Sequence[Outline] = (),
) -> None:
    """Draw every figure of a finished product.

    Parameters
    ----------
    group : zarr.Group
        The product, read only.
    rows : sequence of Row
        Those of ``tables/shelves.csv``.
    put : callable
        ``put(path, data)`` keeps a file: ``figures/damage_series.png``, and of each shelf
        ``figures/SHELF.png`` and ``figures/SHELF.gif``.
    coast : sequence of (x, y)
        Lines of Antarctica [m].
    """
    names: dict[str, str] = {}
    marked: dict[str, set[int]] = {}
    for shelf in shelf_damage_arrays.shelves(group):
        years = shelf_damage_arrays.summers(group, shelf)
        if not years:
            continue
        first = group_at(group, f"{shelf}/{years[0]}")
        name = str(first.attrs["nunatak:name"])
        seen = {year: shelf_damage_overview.overview(group_at(group, f"{shelf}/{year}"))
                for year in years}  # fmt: skip
        slc_off = {year for year in years
                   if broken(group_at(group, f"{shelf}/{year}"), seen[year])}  # fmt: skip
        for part in parts_of(first):
            region = shelf_damage_arrays.region_of(name, part)
            names[region], marked[region] = region.replace("_", " "), slc_off
        shown = {year: seen[year] for year in years
                 if is_published(group_at(group, f"{shelf}/{year}"))}  # fmt: skip
        if shown:
            put(f"figures/{shelf}.png", maps(name, shown, coast=coast))
            put(f"figures/{shelf}.gif", animation(name, seen, set(shown), rows))
    for path, data in series(rows, names, marked).items():
        put(path, data)


def broken(made: zarr.Group, seen: Overview) -> bool:
    """Tell whether a scene of the broken scan line corrector supplies a part of a map."""
    scenes = shelf_damage_arrays.scenes_of(made)
    return any(s["slc_off"] and seen.supplied[int(s["number"])] > 0.0 for s in scenes)


def representative(years: Collection[int], *, most: int = damage_panels.MOST) -> list[int]:
    """Return years for the panels: first, last, and evenly between.

    Examples
    --------
    >>> representative(range(1999, 2025))
    [1999, 2003, 2006, 2010, 2013, 2017, 2020, 2024]
    >>> representative([2004, 2001])
    [2001, 2004]
    """
    ordered = sorted(years)
    if len(ordered) <= most:
        return ordered
    places = np.rint(np.linspace(0, len(ordered) - 1, most)).astype(int)
    return [ordered[place] for place in places]


def maps(name: str, shown: Mapping[int, Overview], *, coast: Sequence[Outline] = ()) -> bytes:
    """Draw up to eight published summers of a shelf."""
    years = representative(shown)
    first = shown[years[0]]
    drawn = [DamageMap(tables.summer_name(y), shown[y].damage, shown[y].extent) for y in years]
    return damage_panels.panels(
        drawn, first.x, first.y, title=f"{name}: surface damage", coast=coast
    )


def animation(
    name: str,
    seen: Mapping[int, Overview],
    published: Collection[int],
    rows: Iterable[tables.Row],
) -> bytes:
    """Draw a shelf through the years; a year without a map says so, or that it is not there."""
    told = {year_of(row): row.value for row in rows
            if row.region == name and row.quantity == "damage_fraction"}  # fmt: skip
    years = list(range(min(seen), max(seen) + 1))
    any_of = next(iter(seen.values()))
    nothing = np.full(any_of.damage.shape, np.nan), np.zeros(any_of.damage.shape, bool)
    frames = []
    for year in years:
        if year in published:
            damage, extent, note = seen[year].damage, seen[year].extent, ""
        else:
            damage, extent = nothing
            note = NO_MAP if year in seen else "no scenes"
        frames.append(DamageMap(tables.summer_name(year), damage, extent, note))
    fractions = np.array([told.get(y, math.nan) if y in published else math.nan for y in years])
    return damage_animation.animation(
        frames, any_of.x, any_of.y, title=name, years=years, fractions=fractions
    )


def series(
    rows: Sequence[tables.Row], names: Mapping[str, str], marked: Mapping[str, Collection[int]]
) -> dict[str, bytes]:
    """Return the pages of fraction and area by year, by path; none where the rows tell nothing.

    Parameters
    ----------
    rows : sequence of Row
        Those of ``tables/shelves.csv``.
    names : mapping of str to str
        What each region of the table is called: shelves, and parts if they are wanted.
    marked : mapping of str to collection of int
        Summers of each whose map has scenes of the broken scan line corrector.
    """
    fractions, areas = [], []
    for region, name in names.items():
        pair = [of_region(rows, quantity, region, name, marked.get(region, ()))
                for quantity in ("damage_fraction", "damage_area")]  # fmt: skip
        if len(pair[0].years) and len(pair[1].years):
            fractions.append(pair[0])
            areas.append(pair[1])
    if not fractions:
        return {}
    pages = range(1, damage_series.pages(len(fractions)) + 1)
    return {
        f"figures/damage_series{'' if page == 1 else f'_{page}'}.png": damage_series.chart(
            fractions, areas, page=page
        )
        for page in pages
    }


def of_region(
    rows: Iterable[tables.Row], quantity: str, region: str, name: str, marked: Collection[int]
) -> Series:
    """Return one quantity of a region by year, with the bounds that the notes tell."""
    found = {year_of(row): row for row in rows
             if row.region == region and row.quantity == quantity}  # fmt: skip
    years = sorted(found)
    return Series(
        name,
        np.array(years, dtype=np.int64),
        np.array([found[year].value for year in years], dtype=np.float64),
        np.array([_bound(found[year], "lower") for year in years], dtype=np.float64),
        np.array([_bound(found[year], "upper") for year in years], dtype=np.float64),
        np.array([year in marked for year in years], dtype=bool),
    )


def year_of(row: tables.Row) -> int:
    """Return the year of the November in which a row's summer begins.

    Examples
    --------
    >>> import datetime as dt
    >>> day = dt.date(2006, 1, 20)
    >>> year_of(tables.Row("", "", "", "", day, day, 1.0, 0.1, "1", "")), year_of(
    ...     tables.Row("", "", "", "", day, day, 1.0, 0.1, "1", "summer=2005;lower=0.9"))
    (2005, 2005)
    """
    told = row.told.get("summer")
    return int(told) if told else row.period_start.year - (row.period_start.month < 7)


def _bound(row: tables.Row, name: str) -> float:
    """Return how far a number may be off to a side: by one standard deviation, and by equation 14.

    The wider of both: equation 14 may be one number, beside the value.
    """
    told = float(row.told.get(name) or row.value)
    if name == "lower":
        return max(min(told, row.value - row.uncertainty), 0.0)
    return max(told, row.value + row.uncertainty)
