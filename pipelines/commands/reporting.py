"""What a finished or unfinished run tells people and scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pipelines.commands import columns

if TYPE_CHECKING:
    from pipelines.lifecycle import Outcome, Plan
    from pipelines.tables import Row

GROUPS = ("EAIS", "WAIS", "AP", "Islands", "AIS")
"""Regions of the short table; every other region is in ``tables/regions.csv``."""

WITHOUT_REGIONS = (
    "scenes", "training", "evaluation", "restoration", "shelf_damage", "consistency",
    "comparison",
)  # fmt: skip
"""Products without a table of basins of their own."""

WHOLE = "mean"
"""Name of the epoch that is all of a budget's."""

MOST_NOTES = 20
"""Different notes of keys that are printed."""

QUANTITIES = (
    "mass_rate", "mass_rate_buffered", "total_correction",
    "surface_mass_balance", "discharge", "mass_balance",
)  # fmt: skip
"""Quantities of the short table; the others are there too."""


def is_shown(plan: Plan, outcome: Outcome) -> bool:
    """Return whether the last stage is done, so that the tables are those of this run."""
    last = plan.stages[-1]
    failed = {key.partition("@")[0] for key, _ in outcome.failures}
    if last.partial:
        return outcome.left == 0 and not failed.issuperset(last.keys)
    return outcome.left == 0 and failed.isdisjoint(last.keys)


def outcome_lines(plan: Plan, outcome: Outcome) -> Iterator[str]:
    """Yield what is done, what failed and why, and where the results are."""
    counts = f"{outcome.done} done, {outcome.failed} failed, {outcome.left} left"
    yield f"{plan.product}: {counts}"
    yield from _note_lines(outcome)
    yield from (f"  failed  {key}: {reason}" for key, reason in outcome.failures)
    if is_shown(plan, outcome):
        yield "results:"
        yield from (f"  {name:<15} {where}" for name, where in outcome.results.items())
    elif outcome.conflict:
        yield f"nothing of this run is done, and it cannot begin: {outcome.conflict}"
    elif outcome.done or outcome.failed:
        yield f"no results of this run yet; `nunatak run` continues it into {plan.output}"
    else:
        yield f"nothing is done yet; `nunatak run` begins it in {plan.output}"


def _note_lines(outcome: Outcome) -> Iterator[str]:
    """Yield each note once, with the keys that it is about."""
    keys: dict[str, list[str]] = {}
    for key, note in outcome.notes:
        keys.setdefault(note, []).append(key.partition("@")[0])
    for note, about in list(keys.items())[:MOST_NOTES]:
        many = f"{about[0]} … {about[-1]} ({len(about)} keys)"
        yield f"  note    {about[0] if len(about) == 1 else many}: {note}"
    if len(keys) > MOST_NOTES:
        yield f"  note    {len(keys) - MOST_NOTES} more, in receipts.jsonl"


def table_rows(output: str, name: str) -> list[Row]:
    """Return the rows of ``tables/NAME.csv`` below ``output``."""
    from cluster import object_store
    from pipelines import tables

    path = object_store.join(output, "tables", f"{name}.csv")
    return tables.read_rows(object_store.read_bytes(path))


def main_rows(plan: Plan) -> list[Row]:
    """Return the rows of the table that people look at first; none if it has no regions."""
    return [] if plan.product in WITHOUT_REGIONS else table_rows(plan.output, "regions")


def show_summers(plan: Plan) -> None:
    """Print what the chosen scenes of each shelf and summer show."""
    from pipelines import tables

    rows = table_rows(plan.output, "scenes")
    cells = [
        (
            row.region,
            tables.summer_name(row.period_start.year),
            *_counts(row),
            f"{100.0 * row.value:.1f}",
        )
        for row in rows
        if row.quantity == "covered_fraction" and not row.note.endswith("candidates=0")
    ]
    click.echo("Scenes chosen, and the part of the region of interest that is clear in them:")
    header = ("shelf", "summer", "scenes", "candidates", "ROI_shown_%")
    columns.show(header, cells, numbers=header[2:])
    empty = sum(row.quantity == "covered_fraction" for row in rows) - len(cells)
    if empty:
        click.echo(f"without any scene: {empty} of {empty + len(cells)}")


def _counts(row: Row) -> tuple[str, str]:
    return row.told["scenes"], row.told["candidates"]


def show_groups(rows: list[Row]) -> None:
    """Print a short table: a line per group of regions, with one standard deviation."""
    cells = [
        (row.region, row.quantity, f"{row.value:.1f}", f"± {row.uncertainty:.1f}", row.unit)
        for row in rows
        if row.region in GROUPS
        and row.quantity in QUANTITIES
        and row.told.get("epoch", WHOLE) == WHOLE
    ]
    if cells:
        header = ("region", "quantity", "value", "sigma", "unit")
        columns.show(header, cells, numbers=("value", "sigma"))


def facts(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Return the same for scripts."""
    return {
        "product": plan.product,
        "output": plan.output,
        "run_id": plan.run_id,
        "done": outcome.done,
        "failed": outcome.failed,
        "left": outcome.left,
        "failures": [{"key": key, "reason": reason} for key, reason in outcome.failures],
        "conflict": outcome.conflict,
        "notes": [{"key": key, "note": note} for key, note in outcome.notes],
        "results": dict(outcome.results) if is_shown(plan, outcome) else {},
    }


def region_facts(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the rows of the short table for scripts."""
    return [
        {
            "region": row.region,
            "quantity": row.quantity,
            "value": row.value,
            "uncertainty": row.uncertainty,
            "unit": row.unit,
        }
        for row in rows
        if row.region in GROUPS
    ]
