"""Rows of segmentation scores: each region, and all tiles together with intervals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import tables
from pipelines.flows.gap_trial_tables import told_interval
from pipelines.flows.network_results import OTHER_FOLDS, score_row
from pipelines.nets import segmentation_scores
from pipelines.nets.segmentation_scores import ScoreTable, TileTally

if TYPE_CHECKING:
    from pipelines.settings import Run

NAMES = {
    "miou": "miou", "accuracy": "overall_accuracy", "precision": "precision", "recall": "recall",
    "f1": "f1", "iou": "iou", "near_f1": "f1_within_a_pixel", "ratio": "precision_over_recall",
}  # fmt: skip
"""Quantities of tables by the names of scores."""


def rows(
    run: Run, tallies: Sequence[TileTally], *, resamples: int, seed: int
) -> Iterator[tables.Row]:
    """Yield scores of each tile's region and of all tiles; the latter with bootstrap intervals.

    Tiles that failed, or have no label, are none of them.
    """
    tallies = _scored(tallies)
    if not tallies:
        return
    table = segmentation_scores.score_table(tallies, draws=max(1, resamples), seed=seed)
    note = f"threshold={table.threshold:g};tiles={table.tiles};pixels={table.pixels}"
    for region, scores in table.regions.items():
        for name, value in asdict(scores).items():
            if name in NAMES and np.isfinite(value):
                where = f"threshold={table.threshold:g}"
                yield score_row(run, NAMES[name], region, value, float("nan"), note=where)
    for name, each in table.pooled.items():
        if name in NAMES and np.isfinite(each.value):
            sigma, bounds = told_interval(each.low, each.high, tiles=table.tiles)
            yield score_row(run, NAMES[name], "pooled", each.value, sigma, note=note + bounds)


def _scored(tallies: Sequence[TileTally]) -> list[TileTally]:
    return [each for each in tallies if each.counts.total or each.unsaid]


def cross_validated_rows(
    run: Run, folds: Sequence[Sequence[TileTally]], *, resamples: int, seed: int
) -> Iterator[tables.Row]:
    """Yield pooled scores where each fold is cut at the threshold that is best on the others.

    Nothing without several folds, or where the damage of one leaves the others none.
    """
    try:
        scored = [_scored(fold) for fold in folds]
        counts = segmentation_scores.cross_validated(scored) if len(folds) > 1 else None
    except segmentation_scores.ScoreError:
        counts = None
    if counts is not None:
        yield from _pooled_rows(run, counts, OTHER_FOLDS, resamples=resamples, seed=seed)


def marked(rows: Iterable[tables.Row], seen: Collection[str]) -> list[tables.Row]:
    """Return rows with ``seen=1`` where the network learnt from the region, or from one of all."""
    if not seen:
        return list(rows)
    return [
        replace(row, note=f"{row.note};seen=1") if row.region in {*seen, "pooled"} else row
        for row in rows
    ]


def baseline_rows(
    run: Run, counts: NDArray[np.int64], *, name: str, resamples: int, seed: int
) -> Iterator[tables.Row]:
    """Yield pooled scores of a baseline from the counts (4) of each tile."""
    if counts.any():
        yield from _pooled_rows(run, counts, f"baseline={name}", resamples=resamples, seed=seed)


def _pooled_rows(
    run: Run, counts: NDArray[np.int64], what: str, *, resamples: int, seed: int
) -> Iterator[tables.Row]:
    figures = segmentation_scores.figures(counts.sum(axis=0))
    spread = segmentation_scores.bootstrap(counts, draws=max(1, resamples), seed=seed)
    for key, value in figures.items():
        if key in NAMES and np.isfinite(value):
            _, low, high = spread[key]
            sigma, bounds = told_interval(float(low), float(high), tiles=len(counts))
            note = f"{what};tiles={len(counts)}{bounds}"
            yield score_row(run, NAMES[key], "pooled", float(value), sigma, note=note)


def pooled(table: ScoreTable) -> dict[str, float]:
    """Return the pooled scores by the names of tables."""
    return {NAMES[k]: round(v.value, 6) for k, v in table.pooled.items() if k in NAMES}
