"""What runs of damage maps print: area and fraction by shelf and summer, and agreement of years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.commands import columns
from pipelines.commands.reporting import table_rows

if TYPE_CHECKING:
    from pipelines.lifecycle import Plan
    from pipelines.tables import Row

MOST_LINES = 40
"""Summers that are printed; the table has all."""


def show_damage(plan: Plan) -> None:
    """Print area and fraction of damage of each shelf and summer, and what was not published."""
    from pipelines.tables import summer_name

    found: dict[tuple[str, int], dict[str, Row]] = {}
    for row in table_rows(plan.output, "shelves"):
        found.setdefault((row.region, int(row.told["summer"])), {})[row.quantity] = row
    cells = [
        (
            shelf, summer_name(summer),
            f"{rows['damage_area'].value:.1f}", f"± {rows['damage_area'].uncertainty:.1f}",
            f"{float(rows['damage_area'].told['lower']):.1f}",
            f"{float(rows['damage_area'].told['upper']):.1f}",
            f"{100 * rows['damage_fraction'].value:.2f}", f"{rows['shelf_area'].value:.0f}",
        )
        for (shelf, summer), rows in found.items()
    ]  # fmt: skip
    header = ("shelf", "summer", "damage_km2", "sigma", "lower", "upper", "damage_%", "shelf_km2")
    if cells:
        click.echo("Damage of each shelf and summer; lower and upper are precision over recall:")
        columns.show(header, cells[-MOST_LINES:], numbers=header[2:])
    if len(cells) > MOST_LINES:
        click.echo(f"the last {MOST_LINES} of {len(cells)}; all are in tables/shelves.csv")
    for row in table_rows(plan.output, "unpublished"):
        reason = row.note.partition(";")[2]
        summer = summer_name(int(row.told["summer"]))
        click.echo(f"not published: {row.region} {summer}: {reason}")


def show_consistency(plan: Plan) -> None:
    """Print medians over pairs of years of each shelf, with and without advection."""
    found: dict[str, dict[tuple[str, str], Row]] = {}
    for row in table_rows(plan.output, "consistency"):
        if "median" in row.told:
            found.setdefault(row.region, {})[row.quantity, row.told.get("advection", "")] = row
    names = ("spearman", "concordance", "rmse")
    cells = [
        (region, *(_value(rows.get((name, way))) for name in names for way in ("no", "yes")))
        for region, rows in found.items()
    ]
    if cells:
        header = ("region", *(f"{name}{end}" for name in names for end in ("", "_advected")))
        click.echo("Agreement of damage densities of years that follow, medians over pairs:")
        columns.show(header, cells, numbers=header[1:])


def _value(row: Row | None) -> str:
    return "-" if row is None else f"{row.value:.3f}"
