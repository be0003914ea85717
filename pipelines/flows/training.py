"""Training: weights of a network from annotated tiles, by a recipe that a kill cannot change.

Tang et al. (2026), section 2.3. The stages, each a set of keys:

============ ======================= =====================================================
stage        keys                    writes
============ ======================= =====================================================
PHASE n      ``train/FOLD/ROUND``    network and training after some steps, and their losses
score        ``score/NUMBER``        what a tile that a fold left out adds to its scores
============ ======================= =====================================================

A fold's round reads what the round before it wrote, so a killed training goes on from its last
round, and by `pipelines.nets.training` to the same bits. Splits are by region, never by tile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.ledger import KeyFailed
from pipelines.flows import network_inputs, product_arrays, training_results
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.network_inputs import Found, TileSource
from pipelines.flows.planning import planned
from pipelines.flows.product_arrays import Array
from pipelines.flows.training_results import start_card
from pipelines.flows.training_rounds import Round, folds_of, phases_of, rounds_of
from pipelines.flows.training_stages import SLOTS, ScoreJob, TrainJob
from pipelines.lifecycle import GIB, MIB, RESULTS, Plan, Stage
from pipelines.settings_training import PHASES

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run
    from pipelines.settings_training import TrainingChoices

TITLE = "Weights of a network, trained on annotated tiles"
SECONDS_PER_MPX = {"tiny": 0.15, "b0": 2.2, "b2": 12.0, "lossless": 4.0, "kl": 30.0}
"""Time of a step for each million pixels of its crops on one core [s], as measured on a 2-core EPYC
machine in bfloat16 for b0 and lossless; b2 and kl by their share of the arithmetic."""
TRIAL_SECONDS = 10.0
"""Time to try every stage of a restorer on the 256 x 256 pixels of a trial on one core [s]."""
BYTES_PER_PIXEL = {"tiny": 900, "b0": 3500, "b2": 12_000, "lossless": 6000, "kl": 20_000}
"""Memory of a step for each pixel of its crops [B], as measured (b2, kl: by their widths)."""
SCORED_BYTES = 120
"""Memory of a tile for each of its pixels while it is scored [B]."""
DAMAGE_BYTES = 2
"""Places of damage, of 8 bytes each, for each pixel of a tile of which a quarter is damaged [B]."""
MOST_NAMED = 8
"""Regions that a note names."""
TORCH_BYTES = 1200 * MIB
"""What a process of torch and transformers takes before it does anything [B]."""


@dataclass(frozen=True)
class Layout:
    """What decides names and shapes of a training's arrays.

    Attributes
    ----------
    folds : tuple of set of str
        Regions that each fold leaves out.
    scored : tuple of (TileSource, int)
        Tiles that are left out, with the fold that leaves them out.
    rounds : tuple of Round
        Of each fold.
    sizes : tuple of int
        Bytes of a network and of its training.
    """

    folds: tuple[set[str], ...]
    scored: tuple[tuple[TileSource, int], ...]
    rounds: tuple[Round, ...]
    sizes: tuple[int, int]

    def learnt(self, tiles: tuple[TileSource, ...], fold: int) -> tuple[TileSource, ...]:
        """Return the tiles that a fold learns from."""
        return tuple(tile for tile in tiles if tile.region not in self.folds[fold])


def plan(run: Run) -> Plan:
    """Find tiles and weights, cut the training into rounds; nothing is computed.

    Raises
    ------
    InputError
        Regions that no tile has, a fold with nothing to learn from, or weights to start from of
        another network.
    """
    judged = run.choices.task == "restoration"
    roles = {"start": run.inputs.start, "segmenter": run.inputs.segmenter if judged else None}
    found = network_inputs.resolve(run.catalogue, run.inputs.labels, roles)
    if "start" in found.weights:
        _require_start(run.choices, found)
        _require_new(run.choices, found)
    else:
        _require_first_phase(run.choices)
    if "segmenter" in found.weights:
        _require_judge(run.choices, found)
    layout = layout_of(run, found)
    attributes = training_results.provenance(run, found)
    return planned(
        run,
        found.items,
        stages=stages(run, found, layout),
        template=functools.partial(create, run=run, layout=layout, attributes=attributes),
        tell=functools.partial(training_results.tell, run=run, found=found, layout=layout),
        bytes_to_write=len(layout.folds) * SLOTS * sum(layout.sizes),
        notes=notes(run.choices, found, layout),
        results=("weights", *RESULTS),
    )


def _require_start(choices: TrainingChoices, found: Found) -> None:
    """Refuse weights that the network of the run cannot begin with."""
    from pipelines.flows import training_networks
    from pipelines.nets.checkpoints import CheckpointError

    try:
        training_networks.built(choices, found.weights["start"].read())
    except (CheckpointError, KeyFailed) as error:
        name = found.weights["start"].name
        msg = f"inputs.start: {name} cannot begin a training of {choices.network}: {error}"
        raise InputError(msg) from error


def _require_new(choices: TrainingChoices, found: Found) -> None:
    """Refuse to leave out, so as to be scored, what the weights to start from have learnt."""
    left_out = set(found.regions) if choices.folds else set(choices.holdout)
    seen = network_inputs.seen(start_card(found), left_out)
    if seen:
        name = found.weights["start"].name
        msg = f"inputs.start: {name} has learnt from {', '.join(sorted(seen))} by its card, which "
        msg += "this training leaves out: scores there would not be of what it never saw; start "
        raise InputError(msg + "from other weights, or leave out other regions")


def _require_first_phase(choices: TrainingChoices) -> None:
    """Refuse phases that build on a network that was neither trained nor given."""
    phases = [name for name, _ in phases_of(choices)]
    first = "segmenter" if choices.task == "segmentation" else PHASES[choices.network][0]
    if first not in phases:
        msg = f"training.restorer_steps.{first}: found 0 beside steps of {', '.join(phases)}, which"
        msg += f" build on it; give {first} steps, or trained weights by inputs.start"
        raise InputError(msg)


def _require_judge(choices: TrainingChoices, found: Found) -> None:
    """Refuse a segmenter that cannot look at what a restorer restores."""
    network = network_inputs.opened(
        found.weights["segmenter"], role="segmenter", task="segmentation"
    )
    wanted, bands = network.spec.channels, choices.channels
    if len(bands) != 1 and tuple(wanted) != bands:
        names = ", ".join(wanted)
        msg = f"inputs.segmenter: {found.weights['segmenter'].name} looks at {names}, the restorer "
        msg += f"restores {', '.join(bands)}; name a segmenter of these, or null to do without"
        raise InputError(msg)


def layout_of(run: Run, found: Found) -> Layout:
    """Return the folds, rounds and sizes of a run."""
    from pipelines.flows import training_networks

    choices: TrainingChoices = run.choices
    unknown = sorted(set(choices.holdout) - set(found.regions))
    if unknown:
        msg = f"training.holdout: no tile of {', '.join(unknown)}; there are "
        raise InputError(msg + ", ".join(found.regions))
    folds = folds_of(found.regions, folds=choices.folds, holdout=choices.holdout)
    scored = tuple(
        (tile, n) for n, left_out in enumerate(folds) for tile in found.tiles
        if tile.region in left_out
    )  # fmt: skip
    rounds = rounds_of(phases_of(choices), rounds=choices.rounds)
    sizes = training_networks.size_bounds(training_networks.built(choices))
    layout = Layout(folds, scored, rounds, sizes)
    for n, left_out in enumerate(folds):
        if (choices.folds and not left_out) or not layout.learnt(found.tiles, n):
            msg = f"training: {len(found.regions)} regions ({', '.join(found.regions)}) do not make"
            msg += f" {len(folds)} folds with something to learn and something to score; ask for "
            raise InputError(msg + "fewer folds, or hold out fewer regions")
    return layout


def notes(choices: TrainingChoices, found: Found, layout: Layout) -> tuple[str, ...]:
    """Return what a person should know before starting."""
    said = []
    if not layout.scored:
        said.append("no region is held out: the weights will have no scores on what they never saw")
        if choices.task == "restoration":
            used = "first guess" if choices.network == "kl" else "mean network"
            said.append(f"no stage of the restorer can be tried: its {used} will be used alone")
    if choices.task == "restoration" and choices.network == "kl":
        said.append("profile kl is for a GPU: on a CPU its autoencoder needs days")
    if "start" in found.weights:
        name, licence = found.weights["start"].name, start_card(found).licence
        said.append(f"begins from {name} (licence {licence}), whose regions and licence it is told")
    regions = found.regions
    first = ", ".join(regions[:MOST_NAMED])
    more = f" and {len(regions) - MOST_NAMED} more" if len(regions) > MOST_NAMED else ""
    said.append(f"{len(found.tiles)} tiles of {len(regions)} regions: {first}{more}")
    return tuple(said)


def stages(run: Run, found: Found, layout: Layout) -> tuple[Stage, ...]:
    """Return a stage for each round, and the one that scores."""
    choices: TrainingChoices = run.choices
    tiles = {n: layout.learnt(found.tiles, n) for n in range(len(layout.folds))}
    job = TrainJob(choices, tiles, layout.rounds, found.weights.get("start"))
    enlarged = choices.magnify**2
    pixels = choices.crops * choices.crop**2 * enlarged
    held = max(sum(map(sizes_of(choices), each)) for each in tiles.values())
    memory = TORCH_BYTES + held + pixels * BYTES_PER_PIXEL[choices.network]
    memory += 3 * sum(layout.sizes)
    reason = f"{choices.crops} crops of {choices.crop}² in a network, tiles of {held / MIB:.0f} MiB"
    seconds = SECONDS_PER_MPX[choices.network] * pixels / 1e6
    made = [
        Stage(
            f"{turn.phase} {turn.number}",
            tuple(f"train/{n}/{turn.number}" for n in range(len(layout.folds))),
            job, memory, seconds * turn.steps, reason,
            required=tuple(f"train/{n}/{turn.number}" for n in range(len(layout.folds))),
            scope=scope, actors=network_inputs.actors_of(choices, memory=memory, label="training"),
        )
        for turn in layout.rounds
    ]  # fmt: skip
    if layout.scored:
        judge = found.weights.get("segmenter")
        scoring = ScoreJob(choices, layout.scored, layout.rounds[-1].number, judge)
        keys = tuple(f"score/{n}" for n in range(len(layout.scored)))
        largest = max(tile.shape[0] * tile.shape[1] for tile, _ in layout.scored)
        shown = enlarged * (1 + len(choices.flips))
        seconds = SECONDS_PER_MPX[choices.network] * largest * shown / 1e6
        scored = TORCH_BYTES + GIB + SCORED_BYTES * largest
        if choices.task == "restoration":
            seconds = TRIAL_SECONDS
        made.append(
            Stage("score", keys, scoring, scored, seconds, "a tile in a network",
                  actors=network_inputs.actors_of(choices, memory=scored, label="training"),
                  partial=True, dispensable=True)
        )  # fmt: skip
    return tuple(made)


def sizes_of(choices: TrainingChoices) -> Callable[[TileSource], int]:
    """Return the function that says what a tile takes while a network learns from it [B].

    A tile is held as it was read; for a segmenter also with its extras, and once more with zeros
    for what was not measured, its mask, and the places of damage.
    """
    bands, seen = len(choices.channels), len(choices.channels) + len(choices.extras)
    pixel = 4 * bands + 1
    if choices.task == "segmentation":
        pixel += 4 * seen * (2 if choices.extras else 1) + 1 + DAMAGE_BYTES
    return lambda tile: pixel * tile.shape[0] * tile.shape[1]


def scope(key: str) -> str:
    """Return the fold that a key of the training belongs to.

    >>> scope("train/2/7")
    'fold/2'
    """
    return f"fold/{key.split('/')[1]}"


def create(group: zarr.Group, *, run: Run, layout: Layout, attributes: dict[str, Any]) -> None:
    """Create the empty arrays of every fold, and of the scores."""
    turns = len(layout.rounds)
    longest = max(turn.steps for turn in layout.rounds)
    network, training = layout.sizes
    for n, left_out in enumerate(layout.folds):
        made = group.require_group(f"fold/{n}")
        arrays = (
            Array("network", ("slot", "byte"), (SLOTS, network), (1, network), "1",
                  "weights after the last two rounds, with their length before", "uint8", level=1),
            Array("training", ("slot", "byte"), (SLOTS, training), (1, training), "1",
                  "trainings after the last two rounds", "uint8", level=1),
            Array("curve", ("round", "step", "quantity"), (turns, longest, 2), (1, longest, 2),
                  "1", "loss and learning rate of each step", "float32"),
            Array("seconds", ("round",), (turns,), (1,), "s", "time of each round"),
        )  # fmt: skip
        product_arrays.create(made, arrays, {"nunatak:left_out": sorted(left_out)})
    tiles = len(layout.scored)
    if tiles and run.choices.task == "segmentation":
        from pipelines.flows import tile_scores

        product_arrays.create(group, tile_scores.arrays(tiles), {})
    elif tiles:
        product_arrays.create(group, training_results.trial_arrays(run, tiles), {})
    if tiles:
        product_arrays.labels(group, "tile", [tile.name for tile, _ in layout.scored])
    group.attrs.update({"Conventions": "CF-1.11", **attributes})
