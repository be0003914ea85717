"""A comparison of a synthetic world beside its truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from pipelines.commands import columns, comparison_reporting
from pipelines.commands.reporting import table_rows

COMBINED = "combined"


def compare(true: Mapping[str, float], output: str) -> list[dict[str, Any]]:
    """Print what every method says on common ground beside the truth; return both for scripts.

    Parameters
    ----------
    true : mapping of str to float
        Rate of mass of every basin, and of groups [Gt yr⁻¹].
    output : str
        Of the finished comparison.

    Returns
    -------
    list of dict
        A region, a method, value, uncertainty, truth and z each.
    """
    rows = table_rows(output, "comparison")
    header, lines = comparison_reporting.by_method(rows, tuple(true))
    click.echo("On common ground [Gt/yr]: gravimetry with what it does not see, by altimetry;")
    click.echo("the budget with the snow of the very months, whose weather the truth has not;")
    click.echo("all of them together:")
    told = [(name, f"{true[name]:.1f}", *cells) for name, *cells in lines]
    columns.show(("region", "truth", *header[1:]), told, numbers=("truth", *header[1:]))
    return [
        {
            "region": row.region, "method": method, "value": row.value,
            "uncertainty": row.uncertainty, "truth": true[row.region],
            "z": (row.value - true[row.region]) / row.uncertainty,
        }
        for row in rows
        if (method := _method(row)) and row.region in true
    ]  # fmt: skip


def _method(row: Any) -> str:
    """Return the method of a row of rates; nothing for other rows."""
    if row.quantity == "mass_balance":
        return str(row.told["method"])
    is_whole = row.quantity == "mass_balance_combined" and "without" not in row.told
    return COMBINED if is_whole and row.told["by"] == "generalised_least_squares" else ""
