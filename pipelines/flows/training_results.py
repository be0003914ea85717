"""How a finished training is told: weights with their card, scores, losses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored, tables
from pipelines.flows import network_inputs, network_results
from pipelines.flows.product_arrays import Array
from pipelines.flows.training_stages import THRESHOLD, kept

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.network_inputs import Found
    from pipelines.flows.training import Layout
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

TITLE = "Weights of a network, trained on annotated tiles"
NONE_SCORED = "no tile that was left out could be scored, so there are no scores"
RESAMPLES = 1000
"""Times that tiles are drawn again for intervals."""


def provenance(run: Run, found: Found) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **network_results.provenance(run, found.items, title=TITLE),
        "references": "Tang et al. (2026), section 2.3",
    }


def trial_arrays(run: Run, tiles: int) -> tuple[Array, ...]:
    """Return the arrays of a restorer's trials: sums of every stage, and pixels of each bin."""
    from pipelines.flows import gap_trials as trials
    from pipelines.flows import training_networks

    network: Any = training_networks.built(run.choices)
    methods = [name for name, _ in trials.fills(network, baselines=("biharmonic",))]
    shape = (tiles, *trials.SHAPE)
    return (
        *(
            Array(trials.array_name(name), ("tile", "row", "sum"), shape, (1, *trials.SHAPE), "1",
                  f"sums over pixels of {name}")
            for name in methods
        ),
        Array("trial_pixels", ("tile", "bin"), (tiles, trials.BINS), (1, trials.BINS), "1",
              "pixels by local gap fraction", "int64"),
    )  # fmt: skip


def tell(finished: Finished, *, run: Run, found: Found, layout: Layout) -> None:
    """Write weights, table, curve, and last ``item.json``."""
    from pipelines.figures import training_curves
    from pipelines.flows import training_networks as networks
    from pipelines.nets import checkpoints

    group, choices = finished.group, run.choices
    rows, scores, sentence, used = _judged(group, run, layout)
    last = layout.rounds[-1].number
    for n, left_out in enumerate(layout.folds):
        network: Any = networks.built(choices)
        network = networks.with_weights(network, kept(group, f"fold/{n}/network", last))
        if used is not None:
            network = networks.with_chain(network, *used)
        seconds = float(np.nansum(stored.read(group, f"fold/{n}/seconds")))
        card = networks.card(
            choices, network, data=_data(run, found, layout, n), split=_split(left_out),
            scores=scores, note=sentence,
        )  # fmt: skip
        card.recipe["seconds"] = round(seconds, 1)
        card.recipe["regions"] = sorted({t.region for t in layout.learnt(found.tiles, n)})
        if "start" in found.weights:
            _tell_start(card, found)
        name = choices.name if not choices.folds else f"{choices.name}-fold{n}"
        data = checkpoints.save(network, card)
        finished.write(f"weights/{name}.safetensors", data)
        finished.write(f"weights/{name}.md", checkpoints.card_text(card).encode())
    curves = [stored.read(group, f"fold/{n}/curve") for n in range(len(layout.folds))]
    names = [f"{turn.phase}" for turn in layout.rounds]
    finished.write("tables/scores.csv", tables.write_rows(rows))
    finished.write("figures/losses.png", training_curves.losses(curves, names))
    network_results.publish(
        run, TITLE, items=found.items, sources=found.sources, snapshot=finished.snapshot,
        properties={"task": choices.task, "network": choices.network, **_flat(scores)},
    )  # fmt: skip


def start_card(found: Found) -> Any:
    """Return the card of the weights that a training begins from; no network is built."""
    from pipelines.nets import checkpoints

    start = found.weights["start"]
    return checkpoints.read(start.read(), name=start.name, sha256=start.sha256)[1]


def _tell_start(card: Any, found: Found) -> None:
    """Write into a card what the weights that it began from are, and have learnt."""
    start, told = found.weights["start"], start_card(found)
    learnt = network_inputs.learnt_regions(told)
    card.recipe["regions"] = sorted(learnt | set(card.recipe["regions"]))
    card.recipe["start"] = {"name": start.name, "sha256": start.sha256, "licence": told.licence}


def _data(run: Run, found: Found, layout: Layout, fold: int) -> str:
    learnt = layout.learnt(found.tiles, fold)
    regions = sorted({tile.region for tile in learnt})
    tiles = f"{len(learnt)} annotated tiles of {', '.join(run.inputs.labels)}"
    return f"{tiles}, {len(regions)} regions: {', '.join(regions)}"


def _split(left_out: set[str]) -> str:
    if not left_out:
        return "by region; none was left out"
    return f"by region; left out and scored: {', '.join(sorted(left_out))}"


def _flat(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"score_{name}": value for name, value in scores.items()}


Judged = tuple[list[tables.Row], dict[str, float], str, "tuple[tuple[str, ...], str] | None"]


def _judged(group: zarr.Group, run: Run, layout: Layout) -> Judged:
    """Return rows, pooled scores, a sentence, and for a restorer the chain and sampler to use."""
    if not layout.scored:
        return _unproved(run, "no region was left out, so there are no scores")
    if run.choices.task == "segmentation":
        if not stored.values(group, "counts").any():
            return _unproved(run, NONE_SCORED)
        rows = list(segmentation_rows(group, run, layout))
        pooled = {
            row.quantity: round(row.value, 6)
            for row in rows
            if row.region == "pooled" and not row.note.startswith(network_results.OTHER_FOLDS)
        }
        return rows, pooled, "", None
    return _restoration(group, run)


def _unproved(run: Run, reason: str) -> Judged:
    """Return what is told where there are no scores; a restorer then falls back."""
    from pipelines.flows import training_networks

    if run.choices.task == "segmentation":
        return [], {}, reason, None
    network: Any = training_networks.built(run.choices)
    chain, sampler, said = training_networks.unproved(network)
    return [], {}, f"{reason}; {said}", (chain, sampler)


def segmentation_rows(group: zarr.Group, run: Run, layout: Layout) -> Iterator[tables.Row]:
    """Yield scores of each region left out, of all, and with thresholds of the other folds."""
    from pipelines.flows import segmentation_tables, tile_scores

    names = [tile.name for tile, _ in layout.scored]
    regions = [tile.region for tile, _ in layout.scored]
    tallies = tile_scores.read(group, names, regions, threshold=THRESHOLD)
    how = {"resamples": RESAMPLES, "seed": run.choices.seed}
    yield from segmentation_tables.rows(run, tallies, **how)
    folds = [
        [each for each, (_, fold) in zip(tallies, layout.scored, strict=True) if fold == number]
        for number in range(len(layout.folds))
    ]
    yield from segmentation_tables.cross_validated_rows(run, folds, **how)


def _restoration(group: zarr.Group, run: Run) -> Judged:
    from pipelines.flows import gap_trial_tables, training_networks
    from pipelines.flows import gap_trials as trials

    network: Any = training_networks.built(run.choices)
    chains = trials.candidates(network)
    methods = [name for name, _ in trials.fills(network, baselines=("biharmonic",))]
    scores = {
        name: gap_trial_tables.scores_of(group, name, seed=run.choices.seed) for name in methods
    }
    if not scores[chains[0][0]].gaps:
        return _unproved(run, NONE_SCORED)
    decided = gap_trial_tables.decided(chains, scores)
    rows = [row for name in methods for row in gap_trial_tables.rows(run, name, scores[name])]
    chosen = gap_trial_tables.short(scores[decided.name])
    return rows, chosen, decided.sentence, (decided.chain, decided.sampler)
