"""Rates of mass change that others published, by region and interval.

Four layouts are read, told apart by their header: files that IMBIE asks for (rates dM/dt, or masses
dM whose differences are rates), files that it publishes (a year and a mass balance a line, a region
a file), tables of papers by region (:mod:`pipelines.published_tables`: a column of mass balance for
each epoch, or of ``mass_rate`` by method), and our own tables. They cannot be
summed again on another mask: what is compared is what was printed.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import datetime as dt
import io
import math
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines import imbie_check, published_tables, tables
from pipelines.kernels.budget.printed_numbers import Column
from pipelines.published_masses import Masses, change_sigma, day_of

BALANCES = frozenset({"mass_rate", "mass_balance"})
"""Quantities of our own tables that are rates of mass."""

LONGEST_STEP = 1.5
"""Steps between dates of a result, in usual ones, from which on dates are missing between them."""

UNKNOWN = "published"
"""Class of a series whose method its file does not tell."""

_EPOCH = re.compile(r"(1[89]\d\d|2[01]\d\d)(?:-(1[89]\d\d|2[01]\d\d))?")
_UNREADABLE = frozenset({"file", "number", "date", "dates", "uncertainty"})
_OTHER_SHEET = frozenset({"GRIS", "GIS", "GREENLAND"})
_CLASSES = {
    "altimetry": "altimetry", "cryosat": "altimetry", "gravimetry": "gravimetry",
    "grace": "gravimetry", "gmb": "gravimetry", "ra": "altimetry", "la": "altimetry",
    "massbudget": "mass_budget", "iom": "mass_budget", "budget": "mass_budget",
    "combined": "combination", "combination": "combination",
}  # fmt: skip
_SHEETS = {"APIS": "AP"}
_RESULT = {"mass balance (gt/yr)", "mass balance uncertainty (gt/yr)"}
_PLACES = (("west_antarctica", "WAIS"), ("east_antarctica", "EAIS"), ("peninsula", "AP"))


class PublishedRateError(ValueError):
    """A file without rates of mass by region and interval."""


@dataclass(frozen=True)
class Interval:
    """A rate of mass of a region.

    Attributes
    ----------
    region : str
        Its id, or the name of a group.
    first, after : date
        First day, and the first day after.
    value, sigma : float
        Rate and one standard deviation [Gt yr⁻¹]; a sigma of NaN was not given.
    """

    region: str
    first: dt.date
    after: dt.date
    value: float
    sigma: float


@dataclass(frozen=True)
class Series:
    """What one method gave.

    Attributes
    ----------
    name : str
        The file's name, and where it holds several, that of the column.
    kind : str
        gravimetry, altimetry, mass_budget, combination, or :data:`UNKNOWN`.
    intervals : tuple of Interval
    areas : tuple of (str, float)
        Areas of regions as the file prints them [km²]: they tell whether an id means the same ice.
    masses : tuple of Masses
        Errors of the masses whose differences intervals are, if the file gives masses.
    """

    name: str
    kind: str
    intervals: tuple[Interval, ...]
    areas: tuple[tuple[str, float], ...] = ()
    masses: tuple[Masses, ...] = ()


def read(
    data: bytes, *, name: str, period: tuple[dt.date, dt.date] | None = None
) -> tuple[Series, ...]:
    r"""Return the series of rates that a file holds.

    Parameters
    ----------
    data : bytes
        CSV in UTF-8, a header first.
    name : str
        What to call it, without an ending.
    period : tuple of date, optional
        First and last day of the rates of a table that does not say them.

    Returns
    -------
    tuple of Series
        One at least.

    Raises
    ------
    PublishedRateError
        No layout that is known, no rate in it, or no dates where none are given.

    Examples
    --------
    >>> table = b"basin,MB_2007-2011,MB_sigma_2007-2011\n22,-53,18\n"
    >>> series, = read(table, name="yang")
    >>> series.intervals[0].first, series.intervals[0].value
    (datetime.date(2007, 7, 1), -53.0)
    """
    try:
        header, _ = published_tables.header_and_lines(data, name=name)
        if tuple(cell.strip() for cell in header) == tables.COLUMNS:
            found = _own(data, name)
        elif imbie_check.is_imbie(header):
            found = _imbie(data, name)
        elif _is_result(header):
            found = [_result(data, name)]
        else:
            found = _printed(data, name, period)
    except (published_tables.PublishedTableError, tables.TableError) as error:
        msg = str(error) if name in str(error) else f"{name}: {error}"
        raise PublishedRateError(msg) from error
    found = [_measured(series) for series in found]
    if not any(series.intervals for series in found):
        msg = (
            f"{name}: found no rate of mass; expected a file of IMBIE, columns such as MB_2007-2011"
            " or mass_rate_grace by basin, or rows mass_rate or mass_balance of our own tables"
        )
        raise PublishedRateError(msg)
    return tuple(series for series in found if series.intervals)


def _measured(series: Series) -> Series:
    """Return a series without intervals that have no rate; refuse what cannot be one."""
    kept = tuple(each for each in series.intervals if math.isfinite(each.value))
    by_region: dict[str, list[Interval]] = {}
    for each in sorted(kept, key=lambda each: each.first):
        by_region.setdefault(each.region, []).append(each)
    for region, ordered in by_region.items():
        last = dt.date.min
        for each in ordered:
            found = f"region {region} has a rate of {each.first} to {each.after}"
            if each.after <= each.first:
                msg = f"{series.name}: {found}, expected an end after the start"
                raise PublishedRateError(msg)
            if each.first < last:
                msg = (
                    f"{series.name}: {found} after one that ends at {last}; expected intervals "
                    "that follow each other: leave out means over others"
                )
                raise PublishedRateError(msg)
            if each.sigma < 0.0:
                found = f"region {region} has an uncertainty of {each.sigma:g} Gt/yr"
                msg = f"{series.name}: {found}, expected 0 or more (one sigma)"
                raise PublishedRateError(msg)
            last = each.after
    return dataclasses.replace(series, intervals=kept)


def _own(data: bytes, name: str) -> list[Series]:
    """Return rates of our own schema, one series for each product or method in it."""
    series: dict[tuple[str, str], list[Interval]] = {}
    for row in tables.read_rows(data):
        if row.quantity in BALANCES:
            method = row.told.get("method", row.product)
            after = row.period_end + dt.timedelta(days=1)
            each = Interval(row.region, row.period_start, after, row.value, row.uncertainty)
            series.setdefault((method, row.told.get("class", method)), []).append(each)
    several = len(series) > 1
    return [
        Series(f"{name}-{method}" if several else name, _kind(kind), tuple(rates))
        for (method, kind), rates in series.items()
    ]


def _kind(text: str) -> str:
    words = re.findall(
        r"[a-z]+", text.lower().replace("_", "").replace("mass budget", "massbudget")
    )
    return next((kind for word, kind in _CLASSES.items() if word in words), UNKNOWN)


def _imbie(data: bytes, name: str) -> list[Series]:
    """Return rates of a file of IMBIE, one series for each contributor, group and region set."""
    text = data.removeprefix(codecs.BOM_UTF8)
    header, *lines = [line for line in csv.reader(io.StringIO(text.decode())) if line]
    lines = [line for line in lines if not line[0].startswith("#")]
    faults = imbie_check.check(text, imbie_check.guess_dialect(header))
    unreadable = [str(each) for each in faults
                  if each.column in _UNREADABLE or each.found.endswith(" columns")]  # fmt: skip
    unreadable += [f"found {len(line)} columns below {len(header)} names: {', '.join(line)[:60]}"
                   for line in lines if len(line) != len(header)]  # fmt: skip
    if unreadable:
        msg = f"{name}: {unreadable[0]}"
        raise PublishedRateError(msg)
    kind, further = imbie_check.columns(header)
    series: dict[tuple[str, ...], list[tuple[str, list[float]]]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line]
        if further is not None and cells.pop(further).upper() in _OTHER_SHEET:
            continue
        region = _SHEETS.get(cells[3].upper(), cells[3])
        series.setdefault(tuple(cells[:3]), []).append((region, [float(c) for c in cells[4:]]))
    names = {key: "-".join((name, *key)).replace(" ", "_") if series.keys() - {key} else name
             for key in series}  # fmt: skip
    return [_of_imbie(names[key], _kind(key[1]), found, kind) for key, found in series.items()]


def _of_imbie(name: str, of: str, rows: list[tuple[str, list[float]]], kind: str) -> Series:
    """Return the series of a file's rows: region; area, area observed, dates, value and sigma."""
    areas = tuple({region: numbers[0] for region, numbers in rows if numbers[0] > 0.0}.items())
    if kind == "rate":
        return Series(name, of, tuple(_as_rates(rows)), areas)
    by_region: dict[str, list[list[float]]] = {}
    for region, (_, _, *numbers) in rows:
        by_region.setdefault(region, []).append(numbers)
    found = [_differences(region, sorted(held)) for region, held in by_region.items()]
    intervals = tuple(interval for held, _ in found for interval in held)
    return Series(name, of, intervals, areas, tuple(masses for _, masses in found))


def _is_result(header: Sequence[str]) -> bool:
    """Return whether a first line is that of a result which IMBIE publishes."""
    words = [" ".join(cell.lower().split()) for cell in header]
    return bool(words) and words[0] == "year" and set(words) >= _RESULT


def _result(data: bytes, name: str) -> Series:
    """Return a published result: rates from each date to the next, of the region in its name.

    Where dates are missing a rate lasts as long as the file's usual one (the median), not longer.
    """
    header, *lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    words = [" ".join(cell.lower().split()) for cell in header]
    at = [words.index("year"), *(words.index(word) for word in sorted(_RESULT))]
    try:
        rows = sorted([float(line[i]) for i in at] for line in lines if any(line))
    except (ValueError, IndexError) as error:
        msg = f"{name}: a line is not of numbers ({error}); expected {', '.join(header)}"
        raise PublishedRateError(msg) from error
    least, most = imbie_check.YEARS
    years = [row[0] for row in rows]
    if len(rows) < 2 or not all(least <= year <= most for year in years):
        msg = f"{name}: found the dates {years[:3]}, expected two decimal years at least"
        raise PublishedRateError(msg)
    steps = [after - year for year, after in pairwise(years)]
    usual = statistics.median(steps)
    steps = [usual if step > LONGEST_STEP * usual else step for step in steps]
    ends = [year + step for year, step in zip(years, [*steps, steps[-1]], strict=True)]
    region = next((region for word, region in _PLACES if word in name.lower()), "AIS")
    intervals = tuple(
        Interval(region, day_of(year), day_of(end), value, sigma)
        for (year, value, sigma), end in zip(rows, ends, strict=True)
    )
    return Series(_without_place(name), UNKNOWN, intervals)


def _without_place(name: str) -> str:
    """Return the name that files of all regions share.

    >>> _without_place("imbie_west_antarctica_2021_Gt"), _without_place("imbie_antarctica_2021_Gt")
    ('imbie_2021_Gt', 'imbie_2021_Gt')
    """
    return re.sub(r"(?i)_?(west_|east_)?antarctic(a|_peninsula)", "", name) or name


def merged(series: Iterable[Series]) -> tuple[Series, ...]:
    """Return series with those of one name, of several files, put together.

    Raises
    ------
    PublishedRateError
        Two files that give a rate of the same region and days.
    """
    found: dict[tuple[str, str], Series] = {}
    for each in series:
        held = found.get((each.name, each.kind), Series(each.name, each.kind, ()))
        found[each.name, each.kind] = dataclasses.replace(
            held,
            intervals=held.intervals + each.intervals,
            areas=held.areas + each.areas,
            masses=held.masses + each.masses,
        )
    return tuple(_measured(each) for each in found.values())


def _as_rates(rows: Iterable[tuple[str, list[float]]]) -> Iterator[Interval]:
    for region, (_, _, start, end, value, sigma) in rows:
        yield Interval(region, day_of(start), day_of(end), value, sigma)


def _differences(region: str, rows: list[list[float]]) -> tuple[list[Interval], Masses]:
    """Return the rates between masses (date, mass, sigma), and the errors of the masses."""
    date, mass, sigma = zip(*rows, strict=True)
    masses = Masses(region, date, sigma)
    change = change_sigma(masses)
    days = masses.days
    intervals = [
        Interval(
            region, days[i], days[j], (mass[j] - mass[i]) / (date[j] - date[i]),
            float(change[i, j] / (date[j] - date[i])) or float("nan"),
        )
        for i, j in pairwise(range(len(rows)))
    ]  # fmt: skip
    return intervals, masses


def _printed(data: bytes, name: str, period: tuple[dt.date, dt.date] | None) -> list[Series]:
    """Return the rates of a table of a paper: MB by epoch, or mass rates by method."""
    epochs: list[Interval] = []
    by_method: list[Series] = []
    columns = published_tables.read(_full_names(data), name=name)
    areas = tuple(area for column in columns for area in _areas(column))
    for column in columns:
        sigmas = {region: each.value for region, each in column.sigmas.items()}
        rates = [(r, each.value, sigmas.get(r, float("nan"))) for r, each in column.values.items()]
        if column.quantity == "MB" and (days := _epoch(column.period)):
            epochs += [Interval(r, *days, value, sigma) for r, value, sigma in rates]
        elif column.quantity == "mass" and column.period.startswith("rate_"):
            method = column.period.removeprefix("rate_")
            days = _stated(period, name)
            found = tuple(Interval(r, *days, value, sigma) for r, value, sigma in rates)
            by_method.append(Series(f"{name}-{method}", _kind(method), found, areas))
    return ([Series(name, "mass_budget", tuple(epochs), areas)] if epochs else []) + by_method


def _areas(column: Column) -> Iterator[tuple[str, float]]:
    """Yield the areas of a column such as ``area_km2`` or ``area_1e4km2`` [km²]."""
    scale = re.fullmatch(r"(?:1e(\d))?(?:km2)?", column.period)
    if column.quantity == "area" and scale:
        factor = 10.0 ** int(scale.group(1) or 0)
        yield from ((region, factor * each.value) for region, each in column.values.items())


def _full_names(data: bytes) -> bytes:
    """Return a table whose ``sigma_x`` that belong to ``mass_rate_x`` say so in full."""
    header, newline, rest = data.partition(b"\n")
    cells = header.decode("utf-8-sig").split(",")
    methods = {c.strip().removeprefix("mass_rate_") for c in cells if c.startswith("mass_rate_")}
    full = [
        f"mass_rate_sigma_{cell.strip().removeprefix('sigma_')}"
        if cell.strip().startswith("sigma_") and cell.strip().removeprefix("sigma_") in methods
        else cell
        for cell in cells
    ]
    return ",".join(full).encode() + newline + rest


def _stated(period: tuple[dt.date, dt.date] | None, name: str) -> tuple[dt.date, dt.date]:
    if period is None:
        msg = (
            f"{name}: the table does not say of which years its rates are; give them as "
            f"comparison.published_periods: [{{name: {name}, first: YYYY-MM, last: YYYY-MM}}]"
        )
        raise PublishedRateError(msg)
    return period[0], period[1] + dt.timedelta(days=1)


def _epoch(label: str) -> tuple[dt.date, dt.date] | None:
    """Return an epoch of ice years: 2007-2011 begins in July 2007 and ends with June 2011.

    A single year is the ice year that begins in it, not the calendar year: table 1 of Yang et al.
    (2023) makes their epoch 2000 of the velocities of 2000 to 2001.
    """
    match = _EPOCH.fullmatch(label)
    if not match:
        return None
    first = int(match.group(1))
    return dt.date(first, 7, 1), dt.date(int(match.group(2) or first + 1), 7, 1)
