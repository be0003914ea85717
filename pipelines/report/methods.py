"""Rates of mass change by method and region, and how methods differ, each with its row."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines import tables
from pipelines.report import sheets
from pipelines.report.material import KINDS, OWN, Material
from pipelines.report.outputs import Output, ReportError
from pipelines.report.sheets import Cited, Sheet
from pipelines.tables import Row

GROUPS = ("AIS", "EAIS", "WAIS", "AP")
"""Rows of the table of totals, where a product has them."""

OWN_TABLE = "differences"

ASSUMED = "correlation=taken as 0"
"""What the report's own differences take errors of two products for."""

MEAN = "mean"
"""Epoch of a mass budget that all of its years make."""


@dataclass(frozen=True)
class Rate:
    """Rate of mass change of a region by one method [Gt yr⁻¹].

    Attributes
    ----------
    method : str
        What the method is called here.
    kind : str
        Product that it comes from, or the class that a comparison gives it.
    cited : Cited
    """

    method: str
    kind: str
    cited: Cited

    @property
    def row(self) -> Row:
        """The row that it stands in."""
        return self.cited.row

    @property
    def region(self) -> str:
        """The region or group."""
        return self.row.region

    @property
    def period(self) -> tuple[dt.date, dt.date]:
        """First and last day."""
        return self.row.period_start, self.row.period_end


def rates(of: Material) -> list[Rate]:
    """Return what each product says of each region, methods in the order of ``KINDS``."""
    return [
        Rate(of.label(output), product, cited)
        for product in KINDS
        for output in of.of(product)
        for cited in _balances(product, of.rows(output, "regions"))
        if math.isfinite(cited.row.value)
    ]


def _balances(product: str, rows: Sequence[Cited]) -> Iterator[Cited]:
    """Yield the rows that are the mass balance of a region over the whole run."""
    if product != "mass_budget":
        yield from (each for each in rows if each.row.quantity == "mass_rate")
        return
    found: dict[str, Cited] = {}
    for quantity in ("mass_balance", "mass_balance_replaced"):
        for each in rows:
            if each.row.quantity == quantity and each.row.told.get("epoch") == MEAN:
                found[each.row.region] = each
    yield from found.values()


def likelihood(each: Cited) -> float:
    """Return by what causes are ranked: ln B, and how likely a cause was beforehand."""
    try:
        prior = float(each.row.told.get("prior", "0"))
    except ValueError:
        prior = 0.0
    return each.row.value + prior if math.isfinite(each.row.value) else -math.inf


def compared(of: Material) -> list[Rate]:
    """Return the rates that a comparison puts side by side: one mask, one period."""
    return [
        Rate(
            words(each.row.told.get("method", "unnamed")),
            each.row.told.get("class", ""),
            each,
        )
        for output in of.of("comparison")
        for each in of.rows(output, "comparison")
        if each.row.quantity == "mass_balance" and math.isfinite(each.row.value)
    ]


def combined(of: Material) -> list[Cited]:
    """Return combined estimates of two methods or more, without those that leave a method out."""
    return [
        each
        for output in of.of("comparison")
        for each in of.rows(output, "comparison")
        if each.row.quantity == "mass_balance_combined" and "without" not in each.row.told
        and len(each.row.told.get("weights", "").split(",")) > 1
    ]  # fmt: skip


def not_compared(of: Material) -> list[Cited]:
    """Return the rates that a comparison could not bring to its period."""
    return [
        each
        for output in of.of("comparison")
        for each in of.rows(output, "comparison")
        if each.row.quantity == "mass_balance_not_compared"
    ]


def differences(of: Material) -> list[Cited]:
    """Return how methods differ: of a comparison if there is one, else the report's own."""
    found = [
        each
        for output in of.of("comparison")
        for each in of.rows(output, "comparison")
        if each.row.quantity == "closure"
    ]
    return found or [
        each for each in of.library.of(OWN, OWN_TABLE) if each.row.quantity == "difference"
    ]


def words(name: str) -> str:
    """Return a method of a comparison as people write it.

    >>> words("mass_budget"), words("imbie-2021")
    ('mass budget', 'imbie-2021')
    """
    return KINDS.get(name, name.replace("_", " "))


def standardised(row: Row) -> float:
    """Return a difference in its standard deviations; NaN where that is not known."""
    told = row.told.get("z")
    if told is not None:
        try:
            return float(told)
        except ValueError:
            return math.nan
    if math.isfinite(row.uncertainty) and row.uncertainty > 0.0:
        return row.value / row.uncertainty
    return math.nan


def between(row: Row) -> tuple[str, str]:
    """Return the two methods of a difference, the first less the second.

    Names of methods may have hyphens: the note says them apart where it can.
    """
    told = row.told.get("between", "")
    first, second = row.told.get("first"), row.told.get("second")
    if first and second:
        return words(first), words(second)
    parts = told.split("-")
    if len(parts) == 2:
        return words(parts[0]), words(parts[1])
    known = [i for i in range(1, len(parts)) if "-".join(parts[:i]) in KINDS] + [
        i for i in range(1, len(parts)) if "-".join(parts[i:]) in KINDS
    ]
    at = known[0] if known else len(parts) // 2
    return words("-".join(parts[:at])), words("-".join(parts[at:]))


def days_of(output: Output) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a product's run."""
    told = output.item["properties"]
    first, last = (str(told.get(name) or "")[:10] for name in ("start_datetime", "end_datetime"))
    try:
        return dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    except ValueError as error:
        msg = f"{output.address}: item.json tells no period ({error}); run {output.product} again"
        raise ReportError(msg) from error


def own_sheet(of: Material, found: Iterable[Rate]) -> Sheet | None:
    """Return the report's own table: differences that no product tells; None if there are none."""
    rows = [*_method_differences(of, list(found)), *_damage_changes(of)]
    if not rows:
        return None
    return sheets.sheet(OWN, OWN_TABLE, "this report", tables.write_rows(rows))


def _method_differences(of: Material, found: list[Rate]) -> Iterator[Row]:
    """Yield differences of independent methods on the same regions that have days in common.

    What a combination shares with others is not known here.
    """
    if of.of("comparison"):
        return
    single = [each for each in found if each.kind != "combination" and each.region in GROUPS]
    for region in GROUPS:
        here = [each for each in single if each.region == region]
        for first, second in itertools.combinations(reversed(here), 2):
            if first.row.region_set == second.row.region_set and _together(first, second):
                yield _difference(first, second)


def _together(first: Rate, second: Rate) -> bool:
    """Return whether two rates have a day in common."""
    return first.period[0] <= second.period[1] and second.period[0] <= first.period[1]


def _difference(first: Rate, second: Rate) -> Row:
    a, b = first.row, second.row
    value, sigma = a.value - b.value, math.hypot(a.uncertainty, b.uncertainty)
    z = f"{value / sigma:.2f}" if math.isfinite(sigma) and sigma > 0.0 else "nan"
    start = max(a.period_start, b.period_start)
    end = min(a.period_end, b.period_end)
    note = f"first={said(first.method)};second={said(second.method)};z={z};{ASSUMED}"
    return Row(OWN, "difference", a.region_set, a.region, start, end, value, sigma, a.unit, note)


def _damage_changes(of: Material) -> Iterator[Row]:
    """Yield what the damaged share of each shelf changed by, from its first summer to its last."""
    for output in of.of("shelf_damage"):
        for first, last in damage_ends(of.rows(output, "shelves")):
            a, b = first.row, last.row
            value, sigma = b.value - a.value, math.hypot(a.uncertainty, b.uncertainty)
            z = f"{value / sigma:.2f}" if math.isfinite(sigma) and sigma > 0.0 else "nan"
            note = f"output={said(output.name)};z={z};{ASSUMED}"
            yield Row(OWN, "damage_fraction_change", a.region_set, a.region, a.period_start,
                      b.period_end, value, sigma, "1", note)  # fmt: skip


def damage_ends(rows: Sequence[Cited]) -> list[tuple[Cited, Cited]]:
    """Return the first and the last damage fraction of each shelf that has two, by its name."""
    by_shelf: dict[str, list[Cited]] = {}
    for each in rows:
        if each.row.quantity == "damage_fraction" and math.isfinite(each.row.value):
            by_shelf.setdefault(each.row.region, []).append(each)
    ends = []
    for name in sorted(by_shelf):
        ordered = sorted(by_shelf[name], key=lambda each: each.row.period_start)
        if len(ordered) > 1:
            ends.append((ordered[0], ordered[-1]))
    return ends


def single_summers(of: Material) -> list[Cited]:
    """Return the damage fraction of shelves that have one summer alone."""
    found: dict[tuple[str, str], list[Cited]] = {}
    for output in of.of("shelf_damage"):
        for each in of.rows(output, "shelves"):
            if each.row.quantity == "damage_fraction" and math.isfinite(each.row.value):
                found.setdefault((output.name, each.row.region), []).append(each)
    return [held[0] for held in found.values() if len(held) == 1]


def said(name: str) -> str:
    """Return a name without what would end it in a note.

    >>> said("a;b=c")
    'a,b c'
    """
    return name.replace(";", ",").replace("=", " ")
