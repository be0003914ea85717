"""Evaluation: how good networks are on annotated tiles that they may never have seen.

========= =================== ==========================================================
stage     keys                writes
========= =================== ==========================================================
segment   ``segment/NUMBER``  probability and label of a tile, its histogram
restore   ``restore/NUMBER``  sums of every way to fill gaps that were drawn into a tile
========= =================== ==========================================================

Table 1 of Tang et al. (2026) is the first stage, tables 4 and 5 are the second.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.flows import evaluation_backbone, network_inputs, product_arrays
from pipelines.flows import evaluation_results as results
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.evaluation_stages import STEP, RestoreJob, SegmentJob, methods_of
from pipelines.flows.network_inputs import Found, TileSource, another_date
from pipelines.flows.planning import planned
from pipelines.flows.product_arrays import Array
from pipelines.lifecycle import MIB, Plan, Stage

if TYPE_CHECKING:
    import zarr

    from pipelines.settings import Run
    from pipelines.settings_evaluation import EvaluationChoices

SEGMENT_SECONDS = 2.0
RESTORE_SECONDS = 170.0
"""Time of a million pixels on one core of a 2-core EPYC machine [s]."""
NETWORK_BYTES = 1500 * MIB
"""A process of torch with a network and its tiles at work [B]."""
TRIED_PX = 256
"""Side of the part of a tile that restorations are tried on, see `gap_trials` [pixels]."""
PIXEL_BYTES = 120
"""Memory of a tile for each of its pixels while it is tried [B]."""


def plan(run: Run) -> Plan:
    """Find tiles and weights; nothing is computed.

    Raises
    ------
    InputError
        What is named is not there, no tile is of a region that is asked for, or weights are of
        another task.
    """
    weights = {"segmenter": run.inputs.segmenter, "restorer": run.inputs.restorer}
    found = network_inputs.resolve(run.catalogue, run.inputs.labels, weights)
    found = evaluation_backbone.added(run, found)
    tiles = tried(found, run.choices)
    regions = {tile.region for tile in tiles}
    seen = {
        role: network_inputs.seen(
            network_inputs.opened(found.weights[role], role=role, task=task).card, regions
        )
        for role, task in (("segmenter", "segmentation"), ("restorer", "restoration"))
        if role in found.weights
    }
    attributes = results.provenance(run, found)
    arrays = arrays_of(run.choices, found, tiles)
    return planned(
        run,
        found.items,
        stages=stages(run.choices, found, tiles),
        template=functools.partial(create, tiles=tiles, arrays=arrays, attributes=attributes),
        tell=functools.partial(results.tell, run=run, found=found, tiles=tiles, seen=seen),
        bytes_to_write=sum(2 * tile.shape[0] * tile.shape[1] for tile in tiles),
        notes=notes(tiles, seen),
    )


def notes(tiles: tuple[TileSource, ...], seen: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Say what is tried, and what of it says nothing of ice that is new to a network."""
    said = [f"{len(tiles)} tiles of {len({t.region for t in tiles})} regions are tried"]
    for role, regions in seen.items():
        if regions:
            count = sum(tile.region in regions for tile in tiles)
            said.append(
                f"the {role} has learnt from {', '.join(sorted(regions))} by its card: the scores "
                f"of {count} of the tiles (seen=1 in tables/scores.csv) are not of ice that it "
                "never saw"
            )
    return tuple(said)


def tried(found: Found, choices: EvaluationChoices) -> tuple[TileSource, ...]:
    """Return the tiles of the regions that a run asks for."""
    unknown = sorted(set(choices.regions_of) - set(found.regions))
    if unknown:
        msg = f"evaluation.regions_of: no tile of {', '.join(unknown)}; there are "
        raise InputError(msg + ", ".join(found.regions))
    wanted = set(choices.regions_of or found.regions)
    return tuple(tile for tile in found.tiles if tile.region in wanted)


def stages(
    choices: EvaluationChoices, found: Found, tiles: tuple[TileSource, ...]
) -> tuple[Stage, ...]:
    """Return the stages of a run with what one tile of each takes."""
    largest = max(tile.shape[0] * tile.shape[1] for tile in tiles)
    memory = NETWORK_BYTES + PIXEL_BYTES * largest
    reason = f"a network, and a tile of {largest / 1e6:.2f} Mpx"
    actors = network_inputs.actors_of(choices, memory=memory, label="evaluation")
    segmenter = found.weights["segmenter"]
    made = [
        Stage(
            "segment", tuple(f"segment/{n}" for n in range(len(tiles))),
            SegmentJob(segmenter, tiles, choices), memory,
            SEGMENT_SECONDS * largest / 1e6, reason, actors=actors, partial=True,
        )
    ]  # fmt: skip
    if "restorer" in found.weights:
        backbone = found.weights.get(evaluation_backbone.ROLE)
        job = RestoreJob(found.weights["restorer"], segmenter, tiles, choices, backbone)
        made.append(
            Stage(
                "restore", tuple(f"restore/{n}" for n in range(len(tiles))), job, memory,
                RESTORE_SECONDS * min(largest, TRIED_PX**2) / 1e6, reason, actors=actors,
                partial=True,
            )
        )  # fmt: skip
    return tuple(made)


def arrays_of(
    choices: EvaluationChoices, found: Found, tiles: tuple[TileSource, ...]
) -> tuple[Array, ...]:
    """Return the arrays that hold a row for each tile."""
    count = len(tiles)
    from pipelines.flows import tile_scores

    segmented = tile_scores.arrays(count)
    if "restorer" not in found.weights:
        return segmented
    from pipelines.flows import gap_trials as trials

    network = network_inputs.opened(found.weights["restorer"], role="restorer", task="restoration")
    names = [name for name, _ in methods_of(network, choices)]
    if trials.SECOND_SCENE in choices.baselines and any(another_date(t, tiles) for t in tiles):
        names.append(trials.SECOND_SCENE)
    sums = tuple(
        Array(trials.array_name(name), ("tile", "row", "sum"), (count, *trials.SHAPE),
              (1, *trials.SHAPE), "1", f"sums over pixels of {name}")
        for name in names
    )  # fmt: skip
    pixels = Array(
        "trial_pixels", ("tile", "bin"), (count, trials.BINS), (1, trials.BINS), "1",
        "pixels by local gap fraction", "int64",
    )  # fmt: skip
    return (*segmented, *sums, pixels)


def create(
    group: zarr.Group,
    *,
    tiles: tuple[TileSource, ...],
    arrays: tuple[Array, ...],
    attributes: dict[str, Any],
) -> None:
    """Create the empty arrays, and a group for each tile."""
    product_arrays.create(group, arrays, attributes)
    product_arrays.labels(group, "tile", [tile.name for tile in tiles])
    for n, tile in enumerate(tiles):
        made = group.require_group(f"tiles/{n}")
        whole = (
            Array("probability", ("row", "column"), tile.shape, tile.shape, "1",
                  "probability of damage; 0: not known", "uint8", level=1),
            Array("label", ("row", "column"), tile.shape, tile.shape, "1",
                  "annotation: 0 intact, 1 damage, 255 none", "uint8", 255, level=1),
        )  # fmt: skip
        product_arrays.create(made, whole, {"nunatak:tile": tile.name})
        made["probability"].attrs.update(
            {"scale_factor": STEP, "add_offset": -STEP, "_FillValue": 0}
        )
