"""What a finished comparison tells people: methods beside each other, closures, causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipelines.commands import columns
from pipelines.commands.reporting import GROUPS, table_rows

if TYPE_CHECKING:
    from pipelines.lifecycle import Plan
    from pipelines.tables import Row

CLOSED = 2.0
"""Differences up to so many standard deviations count as closed."""

MOST_CAUSES = 3


def show_comparison(plan: Plan) -> None:
    """Print the rates of groups by every method, what is not closed, and what would explain it."""
    rows = table_rows(plan.output, "comparison")
    header, cells = by_method(rows)
    click.echo("Mass balance by every method [Gt/yr], with one standard deviation:")
    columns.show(header, cells, numbers=header[1:])
    open_pairs = [row for row in rows if row.quantity == "closure" and row.region in GROUPS
                  and abs(float(row.told["z"])) > CLOSED]  # fmt: skip
    pairs = sum(row.quantity == "closure" and row.region in GROUPS for row in rows)
    click.echo(f"closed within {CLOSED:g} sigma: {pairs - len(open_pairs)} of {pairs} differences")
    for row in open_pairs:
        click.echo(f"  open    {row.region}: {row.told['between']} {row.value:+.1f} "
                   f"± {row.uncertainty:.1f}")  # fmt: skip
    _show_causes(table_rows(plan.output, "causes"))


def _show_causes(rows: list[Row]) -> None:
    """Print the likeliest causes of the disagreements, and what chance may give."""
    from pipelines.kernels.comparison.attribution import BY_CHANCE

    found = [row for row in rows if row.quantity == "cause_evidence" and row.value > 0.0]
    if found:
        click.echo(f"likeliest causes of differences (chance gave ln B up to {BY_CHANCE:g}):")
    for row in found[:MOST_CAUSES]:
        told = row.told
        click.echo(f"  {told['cause']} of {told['method']}: ln B {row.value:.1f}, "
                   f"{told['amplitude']} plausible errors")  # fmt: skip


def by_method(
    rows: list[Row], regions: tuple[str, ...] = GROUPS
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and lines of a table: regions down, methods and the combined across."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row.quantity == "mass_balance":
            found[row.region, row.told["method"]] = row
        elif row.quantity == "mass_balance_combined" and "without" not in row.told:
            found[row.region, _RULES[row.told["by"]]] = row
    methods = list(dict.fromkeys(method for _, method in found))
    methods.sort(key=lambda method: method in _RULES.values())
    lines = [
        (region, *(_cell(found.get((region, method))) for method in methods))
        for region in regions
        if any((region, method) in found for method in methods)
    ]
    return ("region", *methods), lines


_RULES = {"generalised_least_squares": "combined", "imbie": "IMBIE_rule"}


def _cell(row: Row | None) -> str:
    return f"{row.value:.1f} ± {row.uncertainty:.1f}" if row else "-"
