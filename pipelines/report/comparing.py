"""How methods compare: pictures and tables of rates, differences, combined estimates and causes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.comparison.attribution import BY_CHANCE
from pipelines.report import methods
from pipelines.report.pictures import Picture
from pipelines.report.rounding import SIGNIFICANT, pair, rounded
from pipelines.summary_page import Cell, Link, Table

if TYPE_CHECKING:
    from pipelines.figures.comparison_curves import Curve
    from pipelines.report.material import Material
    from pipelines.report.methods import Rate
    from pipelines.report.sheets import Cited

FLOAT = NDArray[np.float64]

MOST_ROWS = 200
"""Rows of a table of the page; the CSV has all, and the last row says so."""

LEAST_SQUARES = "generalised_least_squares"


def pictures(of: Material, rates: Sequence[Rate]) -> Iterator[Picture]:
    """Yield rates of the groups by method, and how far methods are apart."""
    found = methods.compared(of) or list(rates)
    yield from _rates(of, [each for each in found if each.region in methods.GROUPS])
    yield from _apart(methods.differences(of))


def _rates(of: Material, found: Sequence[Rate]) -> Iterator[Picture]:
    from pipelines.figures.comparison_rates import method_rates

    regions = [name for name in methods.GROUPS if any(each.region == name for each in found)]
    names = list(dict.fromkeys(each.method for each in found))
    if not regions or len(names) < 2:
        return
    held = {(each.method, each.region): each.cited for each in found}
    numbers = {name: _numbers([held.get((name, region)) for region in regions]) for name in names}
    squares = {each.row.region: each for each in methods.combined(of)
               if each.row.told.get("by") == LEAST_SQUARES}  # fmt: skip
    together = _numbers([squares.get(region) for region in regions]) if squares else None

    def draw() -> bytes:
        return method_rates(regions, numbers, combined=together, title="Rates by method")

    told = "; ".join(
        f"{region} by {each.method} {fine(each)}"
        for region in regions for each in found if each.region == region
    )  # fmt: skip
    caption = (
        "Rates of mass change of the ice sheet and its parts by method [Gt yr⁻¹]; thick bars are "
        "one standard deviation, thin ones two."
    )
    yield Picture("rates-by-method", draw, f"Marks with error bars: {told} Gt yr⁻¹.", caption)


def fine(of: Rate | Cited) -> str:
    """Return a number as tables have it, with its standard deviation to two digits."""
    return pair(of.row.value, of.row.uncertainty, fine=True)


def _numbers(found: Sequence[Cited | None]) -> tuple[FLOAT, FLOAT]:
    """Return values and standard deviations; NaN where there is no row."""
    rows = [None if each is None else each.row for each in found]
    return (
        np.array([math.nan if row is None else row.value for row in rows]),
        np.array([math.nan if row is None else row.uncertainty for row in rows]),
    )


def _apart(found: Sequence[Cited]) -> Iterator[Picture]:
    from pipelines.figures.comparison_rates import standardised_differences

    held = {(pair_name(each), each.row.region): methods.standardised(each.row) for each in found}
    regions = [name for name in methods.GROUPS if any(region == name for _, region in held)]
    pairs = list(dict.fromkeys(name for name, _ in held))
    if not regions or not pairs:
        return
    z = {
        name: np.array([held.get((name, region), math.nan) for region in regions]) for name in pairs
    }

    def draw() -> bytes:
        return standardised_differences(regions, z, title="Differences between methods")

    told = "; ".join(f"{region}, {name}: {rounded(number, 1)}"
                     for (name, region), number in held.items()
                     if region in regions and math.isfinite(number))  # fmt: skip
    caption = (
        "Differences between methods in standard deviations of the difference [1]; beyond two, "
        "where marks are filled, they disagree."
    )
    yield Picture("differences", draw, f"Lines from zero to each difference. {told}.", caption)


def pair_name(of: Cited) -> str:
    """Return a difference in short, the first less the second."""
    first, second = methods.between(of.row)
    return f"{first} − {second}" if second else first


def difference_table(found: Sequence[Cited]) -> Table | None:
    """Return differences by region, and whether the methods agree; None without any."""
    lines: list[tuple[Cell, ...]] = []
    ordered = _by_group(found)
    for each in ordered[:MOST_ROWS]:
        z = methods.standardised(each.row)
        said = "" if not math.isfinite(z) else "agree" if abs(z) <= SIGNIFICANT else "disagree"
        shown = pair(each.row.value, each.row.uncertainty, signed=True, fine=True)
        of_z = rounded(z, 1, signed=True) if math.isfinite(z) else ""
        lines.append((each.row.region, pair_name(each), Link(shown, each.href),
                      Link(of_z, each.href) if of_z else "", said))  # fmt: skip
    header = ("region", "difference", "[Gt yr⁻¹]", "in σ", "the methods")
    return _table(header, lines, "Differences between methods, one standard deviation",
                  numbers=("[Gt yr⁻¹]", "in σ"), cut=ordered[MOST_ROWS:])  # fmt: skip


def combined_table(of: Material) -> Table | None:
    """Return combined estimates, also those that leave a method out; None without any."""
    found = _by_group([
        each for output in of.of("comparison") for each in of.rows(output, "comparison")
        if each.row.quantity == "mass_balance_combined"
    ])  # fmt: skip
    lines: list[tuple[Cell, ...]] = []
    for each in found[:MOST_ROWS]:
        told = each.row.told
        how = told.get("by", "").replace("_", " ")
        how += f", without {methods.words(told['without'])}" if "without" in told else ""
        weights = told.get("weights", "").replace(",", ", ")
        shown = Link(fine(each), each.href)
        lines.append((each.row.region, how, shown, told.get("birge", ""), weights))
    header = ("region", "estimate", "[Gt yr⁻¹]", "Birge ratio", "weights")
    return _table(header, lines, "Combined estimates, one standard deviation",
                  numbers=("[Gt yr⁻¹]", "Birge ratio"), cut=found[MOST_ROWS:])  # fmt: skip


def cause_table(found: Sequence[Cited]) -> Table | None:
    """Return causes of disagreement, the likeliest first; None without any."""
    lines: list[tuple[Cell, ...]] = []
    ordered = sorted(found, key=methods.likelihood, reverse=True)
    for each in ordered[:MOST_ROWS]:
        told = each.row.told
        evidence = rounded(each.row.value, 1) if math.isfinite(each.row.value) else "not known"
        lines.append((told.get("cause", ""), told.get("method", "").replace("_", " "),
                      Link(evidence, each.href), told.get("prior", ""), told.get("amplitude", ""),
                      told.get("sigma", ""), told.get("explained", "")))  # fmt: skip
    header = ("cause", "of", "ln B", "likelihood before", "amplitude", "its σ", "explained")
    caption = f"What would explain the disagreement; below ln B {BY_CHANCE:g} chance may, too"
    return _table(header, lines, caption, numbers=header[2:], cut=ordered[MOST_ROWS:])


def mover_table(found: Sequence[Cited]) -> Table | None:
    """Return the plausible error that moves each disagreement of a group most; None without any."""
    ordered = [each for each in _by_group(found) if each.row.region in methods.GROUPS]
    lines: list[tuple[Cell, ...]] = [
        (each.row.region, methods.said(each.row.told.get("between", "")),
         f"{each.row.told.get('cause', '')} of {each.row.told.get('method', '')}",
         Link(rounded(each.row.value, 1), each.href))
        for each in ordered[:MOST_ROWS]
    ]  # fmt: skip
    header = ("region", "between", "cause", "moves it by [Gt yr⁻¹]")
    return _table(header, lines, "What would move each disagreement most", numbers=header[3:],
                  cut=ordered[MOST_ROWS:])  # fmt: skip


def _by_group(found: Sequence[Cited]) -> list[Cited]:
    """Return rows of groups first, in the order of tables of totals."""
    order = {name: n for n, name in enumerate(methods.GROUPS)}
    return sorted(found, key=lambda each: order.get(each.row.region, len(order)))


def _table(
    header: tuple[str, ...], lines: list[tuple[Cell, ...]], caption: str, *,
    numbers: tuple[str, ...], cut: Sequence[Cited],
) -> Table | None:  # fmt: skip
    if not lines:
        return None
    rows = (*lines, *more(cut, len(header)))
    return Table(header, rows, caption=caption, numbers=numbers, headed=True)


def more(cut: Sequence[Cited], columns: int) -> Iterator[tuple[Cell, ...]]:
    """Yield the last row of a table that leaves rows out: how many, and where they stand."""
    if cut:
        said = f"{len(cut):,} more, in the table"
        yield (Link(said, cut[0].href.partition("#")[0]), *("" for _ in range(columns - 1)))


def dynamics_pictures(of: Material) -> Iterator[Picture]:
    """Yield damage above discharge, of the shelves that a comparison has both of."""
    from pipelines.figures import comparison_dynamics

    rows = [each for output in of.of("comparison") for each in of.rows(output, "damage")]
    held: dict[str, dict[str, list[Cited]]] = {}
    for each in rows:
        shelf = each.row.told.get("shelf", each.row.region)
        held.setdefault(shelf, {}).setdefault(each.row.quantity, []).append(each)
    shelves = {
        name.replace("_", " "): comparison_dynamics.Beside(
            _yearly(found["damage_fraction"]), _yearly(found["discharge"]))
        for name, found in held.items() if {"damage_fraction", "discharge"} <= set(found)
    }  # fmt: skip
    shown = dict(list(shelves.items())[: comparison_dynamics.MOST])
    if not shown:
        return

    def draw() -> bytes:
        return comparison_dynamics.damage_beside_discharge(
            shown, title="Damage and discharge of the ice behind it"
        )

    told = "; ".join(
        f"{name}: {len(beside.damage.times)} years of damage, {len(beside.discharge.times)} of "
        "discharge" for name, beside in shown.items()
    )  # fmt: skip
    caption = (
        "Damaged part of ice shelves [%] above the discharge of the basins behind them "
        "[Gt yr⁻¹], one standard deviation."
    )
    yield Picture("damage-and-discharge", draw, f"Pairs of series. {told}.", caption)


def _yearly(found: Sequence[Cited]) -> Curve:
    from pipelines.figures.comparison_curves import Curve
    from pipelines.report.series import middle

    points = {middle(each.row.period_start, each.row.period_end): each.row for each in found}
    times = sorted(points)
    return Curve(
        np.array(times, dtype=np.float64),
        np.array([points[t].value for t in times], dtype=np.float64),
        np.array([points[t].uncertainty for t in times], dtype=np.float64),
    )


def correlation_table(found: Sequence[Cited]) -> Table | None:
    """Return lagged correlations and how probable chance makes them; None without any."""
    lines: list[tuple[Cell, ...]] = []
    for each in found[:MOST_ROWS]:
        told = each.row.told
        r = rounded(each.row.value, 2) if math.isfinite(each.row.value) else "not known"
        lines.append((told.get("shelf", each.row.region).replace("_", " "), told.get("lag", ""),
                      told.get("years", ""), Link(r, each.href), told.get("p_local", ""),
                      told.get("p_family", "")))  # fmt: skip
    header = ("shelf", "lag [yr]", "years", "correlation", "p alone", "p of all tried")
    return _table(header, lines, "Damage against discharge: lagged correlation",
                  numbers=header[1:], cut=found[MOST_ROWS:])  # fmt: skip
