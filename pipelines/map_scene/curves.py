"""Curves and numbers of every region by every method, as the page shows them beside the map."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines import imbie
from pipelines.kernels.budget.years import decimal
from pipelines.report.outputs import Output, ReportError
from pipelines.tables import Row

FLOAT = NDArray[np.float64]

LEVEL = (
    "Each curve is shifted to a mean of zero over its own dates. Bands are one standard deviation. "
    "A dashed fan is a rate, for its method gives no series."
)
"""What the page says below curves of mass."""

GAP = 1.5
"""Neighbours further apart than this many of their periods have a gap between them."""

DIGITS = 5
"""Significant digits of curves; numbers of the table keep all."""

GROUPS = {"APIS": "AP"}
"""Groups that IMBIE calls otherwise."""

YEAR_DAYS = 365.25


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity of one region by one method.

    Attributes
    ----------
    region_set, region : str
        As the tables have them.
    method : str
        What made it.
    unit : str
        UDUNITS text.
    kind : str
        ``series``, or ``rate`` for the fan that a rate and its deviation span.
    t : ndarray, shape (n,)
        Decimal years, increasing.
    value, sigma : ndarray, shape (n,)
        The number and one standard deviation.
    breaks : tuple of int
        Places whose distance to the one before is a gap, over which no line is drawn.
    """

    region_set: str
    region: str
    method: str
    unit: str
    kind: str
    t: FLOAT
    value: FLOAT
    sigma: FLOAT
    breaks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Number:
    """One row of a product's table, with what the page calls it."""

    of: str
    table: str
    method: str
    row: Row


@dataclass
class Told:
    """Curves and numbers of all products."""

    curves: list[Curve] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def told(outputs: Sequence[Output]) -> Told:
    """Return what the tables of the products say of their regions.

    Where a comparison is among them its series are shown, for they are of common epochs and masks;
    methods that it does not have keep their own.
    """
    found = Told()
    for output in sorted(outputs, key=lambda each: each.product != "comparison"):
        try:
            numbers, curves = list(_numbers(output)), list(_curves(output))
        except (ReportError, ValueError) as error:
            found.warnings.append(f"{output.name}: {error}")
            continue
        known = {each.method for each in found.curves}
        found.numbers += numbers
        found.curves += [each for each in curves if each.method not in known]
    found.curves += _fans(found)
    return found


def _numbers(output: Output) -> Iterator[Number]:
    """Yield the rows of a product that stand for a region: its rates, its budget, its damage."""
    for table, wanted in TABLES.get(output.product, {}).items():
        for row in output.table(table):
            if row.quantity in wanted and row.told.get("epoch", "mean") == "mean":
                yield Number(output.name, f"tables/{table}.csv", _method(output, row), row)


def _method(output: Output, row: Row) -> str:
    """Return the method of a row; what combines or compares methods says so."""
    of = row.told
    if output.product != "comparison":
        return output.name
    if "between" in of:
        return of["between"]
    if "by" in of:
        without = f" without {of['without']}" if "without" in of else ""
        return of["by"].replace("_", " ") + without
    return of.get("method", output.name)


_RATES: Mapping[str, tuple[str, ...]] = {"regions": ("mass_rate", "mass_rate_buffered")}

TABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "gravimetry": _RATES,
    "altimetry": _RATES,
    "combination": _RATES,
    "mass_budget": {"regions": ("mass_balance", "surface_mass_balance", "discharge")},
    "comparison": {
        "comparison": (
            "mass_balance",
            "surface_mass_balance",
            "discharge",
            "mass_balance_combined",
            "closure",
        )
    },
    "shelf_damage": {"shelves": ("damage_fraction", "damage_area", "shelf_area")},
}
"""Tables that numbers of regions are from, and which of their quantities."""


def _curves(output: Output) -> Iterator[Curve]:
    if output.product == "gravimetry":
        yield from _series(output.table("series"), "mass_anomaly", lambda _row: output.name)
    elif output.product == "comparison":
        rows = output.table("series")
        yield from _series(rows, "cumulative_mass", lambda row: row.told.get("method", output.name))
    elif output.product == "mass_budget":
        yield from _cumulated(output)
    elif output.product == "shelf_damage":
        rows = output.table("shelves")
        yield from _series(rows, "damage_fraction", lambda _row: output.name, period=YEAR_DAYS)


def _series(
    rows: Iterable[Row],
    quantity: str,
    method_of: Callable[[Row], str],
    *,
    period: float | None = None,
) -> Iterator[Curve]:
    """Yield a curve for each region and method of a table; rows are ``period`` [days] apart."""
    held: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.quantity == quantity and math.isfinite(row.value):
            held.setdefault((row.region_set, row.region, method_of(row)), []).append(row)
    for (region_set, region, method), of in held.items():
        of.sort(key=lambda row: row.period_start)
        days = period or float(np.median([(r.period_end - r.period_start).days + 1 for r in of]))
        t = np.array([_middle(row) for row in of])
        yield _curve(
            (region_set, region, method), of[0].unit, t,
            np.array([row.value for row in of]), np.array([row.uncertainty for row in of]),
            period_yr=days / YEAR_DAYS,
        )  # fmt: skip


def _curve(
    whose: tuple[str, str, str],
    unit: str,
    t: FLOAT,
    value: FLOAT,
    sigma: FLOAT,
    *,
    period_yr: float,
) -> Curve:
    """Return a curve with its gaps found; masses are relative to their own mean."""
    level = float(value.mean()) if unit == "Gt" else 0.0
    breaks = np.flatnonzero(np.diff(t) > GAP * period_yr) + 1
    region_set, region, method = whose
    return Curve(
        region_set, region, method, unit, "series", t, value - level, sigma,
        tuple(int(each) for each in breaks),
    )  # fmt: skip


def _middle(row: Row) -> float:
    """Return the middle of a row's period [decimal years]."""
    return (decimal(row.period_start) + decimal(row.period_end + dt.timedelta(1))) / 2.0


def _cumulated(output: Output) -> Iterator[Curve]:
    """Yield the mass that a budget's years add up to, as it wrote it for IMBIE.

    Raises
    ------
    ReportError
        A file that is not in IMBIE's columns.
    """
    path = "tables/imbie_dm.csv"
    if path not in output.item["assets"]:
        return
    *_, region, _, _, date, mass, spread = imbie.MASS
    of = {row.region for row in output.table("regions")}
    region_set = next((row.region_set for row in output.table("regions")), "")
    held: dict[str, list[tuple[float, float, float]]] = {}
    try:
        for line in csv.DictReader(io.StringIO(output.read(path).decode())):
            name = GROUPS.get(line[region], line[region])
            numbers = float(line[date]), float(line[mass]), float(line[spread])
            if name in of and math.isfinite(numbers[1]):
                held.setdefault(name, []).append(numbers)
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{output.address}/{path} is not in IMBIE's columns ({error!r}); run it again"
        raise ReportError(msg) from error
    for name, points in held.items():
        t, value, sigma = np.array(sorted(points)).T
        yield _curve((region_set, name, output.name), "Gt", t, value, sigma, period_yr=1.0)


def _fans(found: Told) -> Iterator[Curve]:
    """Yield what a rate and its deviation span, for methods without a series of that region."""
    known = {(each.region_set, each.region, each.method) for each in found.curves}
    for number in found.numbers:
        row = number.row
        whose = (row.region_set, row.region, number.method)
        if row.quantity in {"mass_rate", "mass_balance"} and whose not in known:
            known.add(whose)
            ends = decimal(row.period_start), decimal(row.period_end + dt.timedelta(1))
            t = np.array([ends[0], sum(ends) / 2.0, ends[1]])
            since = t - t[1]
            yield Curve(*whose, "Gt", "rate", t, row.value * since, row.uncertainty * np.abs(since))


def rounded(values: FLOAT) -> list[float | None]:
    """Return numbers of a few significant digits, None where there is none.

    Examples
    --------
    >>> rounded(np.array([-1234.5678, np.nan, 0.0]))
    [-1234.6, None, 0.0]
    """
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]
