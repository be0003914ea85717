"""What runs of networks print: pooled scores, and what was restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from pipelines.commands import columns, comparison_reporting, damage_reporting
from pipelines.commands.reporting import table_rows

if TYPE_CHECKING:
    from pipelines.lifecycle import Plan
    from pipelines.tables import Row

SCORES = (
    "miou", "overall_accuracy", "precision", "recall", "f1", "iou", "expected_calibration_error",
)  # fmt: skip
"""Quantities of a segmentation that are printed."""

RESTORED = (
    "psnr", "psnr_gaps", "ssim", "texture_energy_ratio_gaps", "miou", "error_over_spread_gaps",
    "coverage_of_1_sigma_gaps",
)  # fmt: skip
"""Quantities of each way to fill gaps that are printed."""


def show_scores(plan: Plan) -> None:
    """Print pooled scores, and a line for each way to fill gaps if some were tried."""
    rows = [row for row in table_rows(plan.output, "scores") if row.region == "pooled"]
    cells = [
        (row.quantity + _cut(row), f"{row.value:.3f}", _interval(row))
        for name in SCORES
        for row in rows
        if row.quantity == name and "method=" not in row.note and "baseline=" not in row.note
    ]
    if cells:
        seen = any(row.told.get("seen", "") == "1" for row in rows)
        what = "some of which it has learnt from" if seen else "that were left out of its training"
        click.echo(f"Damage on tiles {what}, 95 % interval over tiles:")
        header = ("score", "value", "interval")
        columns.show(header, cells, numbers=("value",))
    tried: dict[str, dict[str, float]] = {}
    for row in rows:
        if "method=" in row.note and "gap_fraction" not in row.note:
            tried.setdefault(row.told.get("method", ""), {})[row.quantity] = row.value
    lines = [
        (name, *(f"{found[q]:.3f}" if q in found else "" for q in RESTORED))
        for name, found in tried.items()
    ]
    if lines:
        click.echo("Gaps that were drawn into tiles, filled; miou: segmentation against original:")
        columns.show(("method", *RESTORED), lines, numbers=RESTORED)


def _cut(row: Row) -> str:
    """Say of a score if the other folds chose where probabilities are cut."""
    from pipelines.flows.network_results import OTHER_FOLDS

    return ", threshold of other folds" if row.note.startswith(OTHER_FOLDS) else ""


def show_restored(plan: Plan) -> None:
    """Print for each scene how much was missing and how sure what was filled is."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in table_rows(plan.output, "restoration"):
        found.setdefault((row.region, row.told.get("scene", "")), {})[row.quantity] = row.value
    names = ("gap_fraction", "filled_fraction_of_gaps", "spread_of_filled")
    cells = [
        (shelf, scene, *(f"{numbers.get(name, float('nan')):.3f}" for name in names))
        for (shelf, scene), numbers in found.items()
    ]
    click.echo("Scenes whose gaps were filled; the spread is stated, as one sigma of reflectance:")
    columns.show(("shelf", "scene", *names), cells, numbers=names)


def _interval(row: Row) -> str:
    low, high = row.told.get("lower", ""), row.told.get("upper", "")
    return f"{float(low):.3f} to {float(high):.3f}" if low and high else ""


TABLES: Mapping[str, Callable[[Plan], None]] = {
    "training": show_scores,
    "evaluation": show_scores,
    "restoration": show_restored,
    "shelf_damage": damage_reporting.show_damage,
    "consistency": damage_reporting.show_consistency,
    "comparison": comparison_reporting.show_comparison,
}
"""What prints the numbers of each product that has no table of basins."""
