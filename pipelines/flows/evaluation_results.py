"""How a finished evaluation is told: scores, calibration, what the network saw and said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored, tables
from pipelines.flows import network_inputs, network_results
from pipelines.flows.network_results import score_row

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.evaluation_uncertainty import Told
    from pipelines.flows.network_inputs import Found, TileSource
    from pipelines.lifecycle import Finished
    from pipelines.nets.segmentation_scores import TileTally
    from pipelines.settings import Run

TITLE = "Scores of networks on annotated tiles"
MOST_DRAWN = 6
"""Tiles that the figure of examples shows."""


def provenance(run: Run, found: Found) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **network_results.provenance(run, found.items, title=TITLE),
        "references": "Tang et al. (2026), tables 1, 4 and 5",
    }


def tell(
    finished: Finished,
    *,
    run: Run,
    found: Found,
    tiles: Sequence[TileSource],
    seen: Mapping[str, Collection[str]],
) -> None:
    """Write the table, the figures, and last ``item.json``; seen are regions learnt, by role."""
    from pipelines.figures import segmented_tiles
    from pipelines.flows import (
        evaluation_errors,
        evaluation_uncertainty,
        segmentation_tables,
        tile_scores,
    )

    group, choices = finished.group, run.choices
    names, regions = [tile.name for tile in tiles], [tile.region for tile in tiles]
    tallies = tile_scores.read(group, names, regions, threshold=choices.threshold)
    rows = segmentation_tables.marked(
        segmentation_tables.rows(run, tallies, resamples=choices.resamples, seed=choices.seed),
        seen["segmenter"],
    )
    radon = stored.values(group, "radon_counts")
    rows += segmentation_tables.baseline_rows(
        run, radon, name="nerd", resamples=choices.resamples, seed=choices.seed
    )
    rows += reliability(finished, run, tallies)
    factor = evaluation_errors.told(group, tiles, rows, seen["segmenter"])
    if "restorer" in found.weights:
        either = {*seen["segmenter"], *seen["restorer"]}
        rows += segmentation_tables.marked(restoration_rows(group, run, tiles), either)
        fitted = uncertainty(group, run, found)
        told = segmentation_tables.marked(fitted.rows(run), either)
        finished.write(evaluation_uncertainty.TABLE, tables.write_rows(told))
        factor |= fitted.properties()
    finished.write("tables/scores.csv", tables.write_rows(rows))
    shown = segmented_tiles.drawn(examples(group, tiles), threshold=choices.threshold)
    finished.write("figures/tiles.png", shown)
    pooled = {
        f"score_{row.quantity}": round(row.value, 6) for row in rows
        if row.region == "pooled" and "method=" not in row.note and "baseline=" not in row.note
    }  # fmt: skip
    network_results.publish(
        run, TITLE, items=found.items, sources=found.sources, snapshot=finished.snapshot,
        properties={"tiles": len(tiles), **pooled, **factor},
    )  # fmt: skip


def reliability(finished: Finished, run: Run, tallies: Sequence[TileTally]) -> list[tables.Row]:
    """Draw how often what was told came true, and return its error; nothing without labels."""
    from pipelines.figures import reliability_diagram
    from pipelines.nets import calibration

    if not any(each.counts.total for each in tallies):
        return []
    told = calibration.reliability(tallies)
    finished.write(
        "figures/reliability.png",
        reliability_diagram.drawn(told.told, told.found, told.pixels, error=told.error),
    )
    note = f"bins={told.pixels.size}"
    name = "expected_calibration_error"
    return [score_row(run, name, "pooled", told.error, float("nan"), note=note)]


def restoration_rows(group: zarr.Group, run: Run, tiles: Sequence[TileSource]) -> list[tables.Row]:
    """Return scores of every way to fill gaps: of each region, and of all tiles together."""
    from pipelines.flows import gap_trial_tables

    marks = "trial_"
    stored_names = [name for name in group.array_keys() if name.startswith(marks)]
    rows: list[tables.Row] = []
    regions = sorted({tile.region for tile in tiles})
    for name in sorted(set(stored_names) - {"trial_pixels"}):
        method = str(stored.array(group, name).attrs["long_name"]).removeprefix(
            "sums over pixels of "
        )
        for region in (*regions, "pooled"):
            chosen = [n for n, t in enumerate(tiles) if region in {t.region, "pooled"}]
            scores = gap_trial_tables.scores_of(group, method, seed=run.choices.seed, tiles=chosen)
            rows += gap_trial_tables.rows(run, method, scores, region=region)
    return rows


def uncertainty(group: zarr.Group, run: Run, found: Found) -> Told:
    """Return the factor of uncertainty of the chain that the restorer uses."""
    from pipelines.flows import evaluation_uncertainty, gap_trial_tables, gap_trials

    network = network_inputs.opened(found.weights["restorer"], role="restorer", task="restoration")
    chains = gap_trials.candidates(network)
    scores = {
        name: gap_trial_tables.scores_of(group, name, seed=run.choices.seed)
        for name, _, _ in chains
    }
    method = evaluation_uncertainty.chosen(chains, network.spec.chain, scores)
    return evaluation_uncertainty.told(method, scores[method])


def examples(group: zarr.Group, tiles: Sequence[TileSource]) -> list[tuple[str, Any, Any, Any]]:
    """Return a few tiles with most damage: name, image, label and probability.

    Their images are read again: some megabytes each, and no more than are drawn.
    """
    damage = stored.values(group, "counts")[:, [0, 3]].sum(axis=1)
    chosen = np.argsort(-damage, kind="stable")[:MOST_DRAWN]
    found = []
    for n in (int(each) for each in chosen):
        tile = tiles[n].read()
        counts = stored.values(group, f"tiles/{n}/probability")
        probability = np.where(counts > 0, (counts - 1.0) / 254.0, np.nan)
        found.append((tiles[n].name, tile.image[0], tile.label, probability))
    return found
