"""The page of a report: what stands where, and what is not in it and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.report import (
    budgets,
    cautions,
    comparing,
    damage,
    maps,
    methods,
    provenance,
    series,
    style,
    totals,
)
from pipelines.report.material import KINDS, OWN, is_synthetic
from pipelines.report.rounding import counted
from pipelines.report.summary import Facts
from pipelines.summary_page import (
    WITH_IMAGES,
    Cell,
    Folded,
    Link,
    Notice,
    Page,
    Part,
    Section,
    Sentence,
    Table,
)

if TYPE_CHECKING:
    from pipelines.report.material import Material
    from pipelines.report.methods import Rate
    from pipelines.report.pictures import Picture
    from pipelines.report.provenance import Told
    from pipelines.report.sheets import Cited

Draw = Callable[[Iterable["Picture"]], list[Part]]
"""Draws pictures, keeps their files and returns them as parts of the page."""

MOST_NOTES = 200


@dataclass(frozen=True)
class Plan:
    """A section that there may be something for.

    Attributes
    ----------
    heading, anchor : str
    parts : callable
        Makes what stands in it.
    needs : str
        What it is made from, told where there is nothing.
    """

    heading: str
    anchor: str
    parts: Callable[[], list[Part]]
    needs: str


def sections(of: Material, rates: Sequence[Rate], draw: Draw) -> tuple[list[Section], list[str]]:
    """Return the sections that there is something for, and what is left out and why."""
    found, left_out = [], []
    for plan in _plans(of, rates, draw):
        parts = plan.parts()
        if parts:
            found.append(Section(plan.heading, tuple(parts), plan.anchor))
        else:
            left_out.append(f"{plan.heading}: needs {plan.needs}.")
    return found, left_out


def _plans(of: Material, rates: Sequence[Rate], draw: Draw) -> list[Plan]:
    return [
        Plan("Totals", "totals", lambda: list(totals.group_tables(of, rates)),
             "a mass balance of the ice sheet or its parts"),
        Plan("Basins", "basins", lambda: _some(totals.basin_table(of, rates)),
             "a mass balance by basin"),
        Plan("Maps", "maps", lambda: draw(maps.pictures(of, rates)),
             "gravimetry, altimetry, their combination or a mass budget with a map"),
        Plan("Mass by time", "series", lambda: draw(series.pictures(of, rates)),
             "gravimetry or a mass budget of years that follow each other"),
        Plan("Budget", "budget", lambda: draw(budgets.pictures(of)),
             "a mass budget with snow"),
        Plan("Damage of ice shelves", "damage", lambda: _damage(of, draw),
             "shelf_damage or consistency"),
        Plan("Methods compared", "comparison", lambda: _compared(of, rates, draw),
             _methods_needed(of)),
        Plan("Damage against dynamics", "dynamics", lambda: _dynamics(of, draw),
             "a comparison with shelf_damage and a mass budget"),
    ]  # fmt: skip


def _some(*tables: Table | None) -> list[Part]:
    return [each for each in tables if each is not None]


def _methods_needed(of: Material) -> str:
    """Return what a comparison of methods lacks."""
    if methods.not_compared(of):
        return "two methods of one period: those of the comparison could not be brought to one"
    if of.of("comparison"):
        return "two methods or more in the comparison"
    return "two methods or more, or a comparison"


def _damage(of: Material, draw: Draw) -> list[Part]:
    parts: list[Part] = []
    for output in of.of("shelf_damage"):
        parts += _some(damage.table(of.rows(output, "shelves")))
    parts += draw(damage.pictures(of))
    for output in of.of("consistency"):
        parts += _some(damage.agreement(of.rows(output, "consistency")))
    return parts


def _compared(of: Material, rates: Sequence[Rate], draw: Draw) -> list[Part]:
    found = methods.differences(of)
    parts = draw(comparing.pictures(of, rates))
    if found and not of.of("comparison"):
        parts.append(
            "These differences are the report's own: errors of two products are taken as "
            "independent, and regions and periods are as the products have them. A comparison "
            "puts them on one mask and period."
        )
    parts += _some(comparing.difference_table(found), comparing.combined_table(of),
                   comparing.cause_table(_causes(of, "cause_evidence")),
                   comparing.mover_table(_causes(of, "largest_mover")))  # fmt: skip
    return parts


def _dynamics(of: Material, draw: Draw) -> list[Part]:
    return [*draw(comparing.dynamics_pictures(of)),
            *_some(comparing.correlation_table(_correlations(of)))]  # fmt: skip


def _causes(of: Material, quantity: str) -> list[Cited]:
    return [each for output in of.of("comparison") for each in of.rows(output, "causes")
            if each.row.quantity == quantity]  # fmt: skip


def _correlations(of: Material) -> list[Cited]:
    return [each for output in of.of("comparison") for each in of.rows(output, "damage")
            if each.row.quantity == "lagged_correlation"]  # fmt: skip


def facts(of: Material, rates: Sequence[Rate]) -> Facts:
    """Return the numbers that the summary is made from."""
    changes = {
        (each.row.region, each.row.told.get("output")): each
        for each in of.library.of(OWN, methods.OWN_TABLE)
        if each.row.quantity == "damage_fraction_change"
    }
    shelves = [
        (first, last, changes[first.row.region, methods.said(output.name)])
        for output in of.of("shelf_damage")
        for first, last in methods.damage_ends(of.rows(output, "shelves"))
    ]
    return Facts(
        methods.compared(of) or rates, methods.differences(of), methods.combined(of), _budget(of),
        shelves, methods.single_summers(of), _causes(of, "cause_evidence"), _correlations(of),
        is_synthetic(of.outputs), bool(methods.not_compared(of)),
    )  # fmt: skip


def _budget(of: Material) -> list[Cited]:
    """Return snow and discharge of the whole: of a comparison, else of the first mass budget."""
    compared = [each for output in of.of("comparison") for each in of.rows(output, "comparison")]
    own = [
        each for output in of.of("mass_budget")[:1] for each in of.rows(output, "regions")
        if each.row.told.get("epoch") == methods.MEAN
    ]  # fmt: skip
    budgets = dict.fromkeys(each.row.told.get("method") for each in compared)
    by_budget = [[each for each in compared if each.row.told.get("method") == method]
                 for method in budgets]  # fmt: skip
    for rows in (*by_budget, own):
        found = {each.row.quantity: each for each in rows if _is_of_the_whole(each)}
        if {"surface_mass_balance", "discharge"} <= set(found):
            wanted = ("surface_mass_balance", "discharge", "sea_level_rate")
            return [found[name] for name in wanted if name in found]
    return []


def _is_of_the_whole(each: Cited) -> bool:
    """Return whether a row is a known number of the whole, nothing replaced by another method."""
    own = each.row.told.get("of", "mass_balance") == "mass_balance"
    return each.row.region == "AIS" and math.isfinite(each.row.value) and own


@dataclass(frozen=True)
class Contents:
    """What a page is put together from.

    Attributes
    ----------
    title : str
    notices : sequence of Notice
    paragraphs : sequence of Sentence
        The summary.
    middle : sequence of Section
    left_out : sequence of str
    told : sequence of Told
    map_page : str
        Address of the map; empty without one.
    """

    title: str
    notices: Sequence[Notice]
    paragraphs: Sequence[Sentence]
    middle: Sequence[Section]
    left_out: Sequence[str]
    told: Sequence[Told]
    map_page: str = ""


def assemble(of: Material, contents: Contents) -> bytes:
    """Return the page."""
    every = [
        Section("Warnings", tuple(_warnings(contents.notices)), "warnings"),
        Section("Summary", tuple(contents.paragraphs), "summary"),
        *contents.middle,
        Section("Provenance", (provenance.table(contents.told),), "provenance"),
        Section("Tables", (_tables(of),), "tables"),
    ]
    if contents.left_out:
        every.append(Section("Not in this report", tuple(contents.left_out), "left-out"))
    shown = Page(contents.title, _subtitle(of), tuple(every), style=style.INDEX,
                 policy=WITH_IMAGES, contents="Contents",
                 above=_above(contents.map_page))  # fmt: skip
    return shown.html().encode()


def _warnings(notices: Sequence[Notice]) -> Iterator[Part]:
    first = [each for each in notices if each.level != cautions.NOTE]
    notes = [each for each in notices if each.level == cautions.NOTE]
    if not first:
        yield "Nothing failed, lacks or disagrees, as far as the products tell."
    yield from first
    if notes:
        more = len(notes) - MOST_NOTES
        end = (f"{more:,} more, in receipts.jsonl of the products",) if more > 0 else ()
        shown = (*notes[:MOST_NOTES], *end)
        yield Folded(f"{counted(len(notes), 'note')} of the runs", shown)


def _above(map_page: str) -> Sentence | None:
    if not map_page:
        return None
    said = ": it needs a web server or a bucket; on this machine, run nunatak serve."
    return Sentence((Link("Open the map", map_page), said))


def title_of(of: Material) -> str:
    """Return what the report is of."""
    products = {output.product for output in of.outputs}
    mass = products & {"gravimetry", "altimetry", "combination", "mass_budget", "comparison"}
    shelves = products & {"shelf_damage", "consistency"}
    if mass and shelves:
        return "Mass balance of the Antarctic ice sheet and damage of its ice shelves"
    if mass:
        return "Mass balance of the Antarctic ice sheet"
    if shelves:
        return "Damage of Antarctic ice shelves"
    return f"Products of Nunatak: {', '.join(sorted(products))}".replace("_", " ")


def _subtitle(of: Material) -> str:
    shown = [each for each in of.outputs if each.product in {*KINDS, "comparison", "shelf_damage"}]
    days = [methods.days_of(output) for output in shown or of.outputs]
    first, last = min(each[0] for each in days), max(each[1] for each in days)
    names = ", ".join(of.label(output) for output in of.outputs)
    return f"Made by nunatak report from {names}; {first} to {last}."


def _tables(of: Material) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (each.title, Link(each.stem, each.page(1)), each.length, Link("CSV", each.csv))
        for each in of.library.sheets
    )
    return Table(("product", "table", "rows", "download"), rows, caption="All tables, by row")
