"""Tables of a report: the ice sheet and its parts by method, then basins, every number linked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pipelines.report import methods
from pipelines.report.comparing import LEAST_SQUARES, MOST_ROWS, fine, pair_name
from pipelines.report.comparing import more as left_out
from pipelines.report.rounding import rounded
from pipelines.summary_page import Cell, Link, Table

if TYPE_CHECKING:
    from pipelines.report.material import Material
    from pipelines.report.methods import Rate
    from pipelines.report.sheets import Cited

Place = tuple[str, str]
"""Set of regions, and region: two sets may have a region of one name."""

UNIT = "Gt yr⁻¹, one standard deviation"
BUDGET = {"surface_mass_balance": "surface mass balance", "discharge": "discharge"}
"""Terms of a mass budget beside its balance, and what their columns are called."""


def group_tables(of: Material, rates: Sequence[Rate]) -> list[Table]:
    """Return rates of the groups: those of a comparison first, then as each product has them."""
    found: list[Table | None] = []
    compared = [each for each in methods.compared(of) if each.region in methods.GROUPS]
    if compared:
        found.append(_compared_table(of, compared))
    own = [each for each in rates if each.region in methods.GROUPS]
    said = "As each product has it, on its own regions and period" if compared else "Mass balance"
    found.append(_rate_table(of, own, f"{said} [{UNIT}]"))
    return [each for each in found if each is not None]


def basin_table(of: Material, rates: Sequence[Rate]) -> Table | None:
    """Return rates of all regions that are no groups; None without any."""
    compared = [each for each in methods.compared(of) if each.region not in methods.GROUPS]
    own = compared or [each for each in rates if each.region not in methods.GROUPS]
    return _rate_table(of, own, f"Mass balance by basin and sector [{UNIT}]")


def _compared_table(of: Material, found: Sequence[Rate]) -> Table | None:
    """Return methods on one mask and period, with what they give together and how they close."""
    together = {_place(each): each for each in methods.combined(of)
                if each.row.told.get("by") == LEAST_SQUARES}  # fmt: skip
    largest: dict[Place, Cited] = {}
    for each in methods.differences(of):
        before = largest.get(_place(each))
        if before is None or _z(each) > _z(before):
            largest[_place(each)] = each

    def more(place: Place) -> list[Cell]:
        estimate, worst = together.get(place), largest.get(place)
        shown: Cell = "" if estimate is None else Link(fine(estimate), estimate.href)
        apart: Cell = "" if worst is None else Link(_closure(worst), worst.href)
        return [shown, apart]

    return _rate_table(
        of, found, f"On one mask and period, as the comparison has it [{UNIT}]",
        extra=("together", "largest difference"), more=more,
    )  # fmt: skip


def _place(of: Rate | Cited) -> Place:
    return of.row.region_set, of.row.region


def _z(of: Cited) -> float:
    z = abs(methods.standardised(of.row))
    return z if math.isfinite(z) else -1.0


def _closure(of: Cited) -> str:
    z = abs(methods.standardised(of.row))
    said = f", {rounded(z, 1)} σ" if math.isfinite(z) else ""
    return f"{pair_name(of)}: {fine(of)}{said}"


def _rate_table(
    of: Material,
    found: Sequence[Rate],
    caption: str,
    *,
    extra: tuple[str, ...] = (),
    more: Callable[[Place], list[Cell]] | None = None,
) -> Table | None:
    """Return a row for each region, a column for each method; the periods stand first.

    Regions of one name that are of several sets have a row for each set, which is then named.
    """
    names = list(dict.fromkeys(each.method for each in found))
    if not names:
        return None
    held = {(each.method, _place(each)): each for each in found}
    rows = _rows(found)
    terms = _budget_terms(of, found) if more is None else {}
    columns = list(terms)
    days = ["; ".join(dict.fromkeys(_days(each) for each in found if each.method == name))
            for name in names]  # fmt: skip
    blank: list[Cell] = ["" for _ in (*columns, *extra)]
    lines: list[tuple[Cell, ...]] = [("period", *days, *blank)]
    for place, title in list(rows.items())[:MOST_ROWS]:
        cells: list[Cell] = [_shown(held.get((name, place))) for name in names]
        cells += [_shown(terms[column].get(place)) for column in columns]
        lines.append((title, *cells, *(more(place) if more is not None else ())))
    first = {_place(each): each.cited for each in reversed(found)}
    cut = [first[place] for place in list(rows)[MOST_ROWS:]]
    lines += left_out(cut, len(lines[0]))
    header = ("region", *names, *columns, *extra)
    return Table(header, tuple(lines), caption=caption, numbers=(*names, *columns, extra[0])
                 if extra else (*names, *columns), headed=True)  # fmt: skip


def _rows(found: Sequence[Rate]) -> dict[Place, str]:
    """Return what the row of each region is called, in their order."""
    sets: dict[str, list[str]] = {}
    for each in found:
        sets.setdefault(each.region, []).append(each.row.region_set)
    return {
        (name, region): region if len(set(sets[region])) == 1 else f"{region} ({name})"
        for region in ordered(sets)
        for name in dict.fromkeys(sets[region])
    }


def _shown(of: Rate | Cited | None) -> Cell:
    if of is None:
        return ""
    href = of.cited.href if isinstance(of, methods.Rate) else of.href
    return Link(fine(of), href)


def _days(of: Rate) -> str:
    first, last = of.period
    return f"{first:%Y-%m} to {last:%Y-%m}"


def _budget_terms(of: Material, found: Sequence[Rate]) -> dict[str, dict[Place, Cited]]:
    """Return snow and discharge by region of the first mass budget, where it is among the rates."""
    terms: dict[str, dict[Place, Cited]] = {}
    budgets = of.of("mass_budget")
    if not budgets or not any(each.kind == "mass_budget" for each in found):
        return terms
    for each in of.rows(budgets[0], "regions"):
        name = BUDGET.get(each.row.quantity)
        if name is not None and each.row.told.get("epoch") == methods.MEAN:
            terms.setdefault(name, {})[_place(each)] = each
    return {name: terms[name] for name in BUDGET.values() if name in terms}


def ordered(names: Iterable[str]) -> list[str]:
    """Return regions once each: groups, then numbers in their order, then names.

    >>> ordered(["Ross", "10", "9", "AP", "AIS", "9"])
    ['AIS', 'AP', '9', '10', 'Ross']
    """
    known = {name: n for n, name in enumerate(methods.GROUPS)}

    def place(name: str) -> tuple[int, int, str]:
        if name in known:
            return 0, known[name], ""
        return (1, int(name), "") if name.isdecimal() else (2, 0, name)

    return sorted(set(names), key=place)
