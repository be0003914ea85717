"""Restoration: gaps of Landsat 7's broken scan line corrector in stored scenes, filled.

Tang et al. (2026), section 2.2. One stage: ``restore/SHELF/SUMMER/SCENE/ROW/COLUMN`` fills a block
of a scene. Actors of Ray hold the network; keys and receipts are all that the driver sees.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pipelines.flows import (
    network_inputs,
    restoration_arrays,
    restoration_inputs,
    restoration_stages,
)
from pipelines.flows import restoration_results as results
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.pixel_blocks import block_side, reach
from pipelines.flows.planning import planned
from pipelines.flows.restoration_inputs import RestorationFound
from pipelines.flows.restoration_stages import RestoreJob
from pipelines.flows.scenes_arrays import BANDS
from pipelines.lifecycle import MIB, Plan, Stage

if TYPE_CHECKING:
    from pipelines.settings import Run
    from pipelines.settings_restoration import RestorationChoices

NETWORK_BYTES = 1200 * MIB
"""A process of torch with a restorer and a few patches at work [B]."""
PIXEL_BYTES = 90
"""Memory of a block for each of its pixels, margins included [B]."""
SECONDS_PER_MPX = 14.0
"""Time of a million pixels of an SLC-off scene on one core of a 2-core EPYC machine, of the mean
network or of one sample [s]."""


LEAST_OVERLAP = 16
"""So far around a block local gap fractions are counted [pixels]."""


def plan(run: Run) -> Plan:
    """Find scenes with gaps and weights, lay out blocks; no pixel is read.

    Raises
    ------
    InputError
        What is named is not there, no scene has gaps, weights are of another task or of other
        bands, or patches do not fit the chunks.
    """
    found = restoration_inputs.resolve(run)
    if not found.summers:
        msg = (
            f"inputs.scenes: no chosen scene of {run.inputs.scenes} has gaps in the period and on "
        )
        msg += "the shelves asked for, so there is nothing to restore; Landsat 7 has them from "
        raise InputError(msg + "2003-05-31")
    network = network_inputs.opened(found.weights, role="restorer", task="restoration")
    _require_bands(found, tuple(network.spec.channels))
    side = block_side(found.chunk, most=restoration_stages.MOST_BLOCK)
    _require_lattice(run.choices, side)
    stage = stage_of(
        run.choices, found, side, samples=run.choices.samples if network.uses_samples else 0
    )
    attributes = results.provenance(run, found)
    layout = (restoration_arrays.arrays(s, chunk=found.chunk, blocks=(1, 1)) for s in found.summers)
    return planned(
        run,
        found.items,
        stages=(stage,),
        template=functools.partial(
            restoration_arrays.create, found=found, side=side, attributes=attributes
        ),
        tell=functools.partial(results.tell, run=run, found=found),
        bytes_to_write=sum(array.bytes() for arrays in layout for array in arrays),
        notes=_notes(found, network.card),
    )


def _require_bands(found: RestorationFound, bands: tuple[str, ...]) -> None:
    """Refuse weights of other bands."""
    if bands != BANDS:
        msg = f"inputs.restorer: {found.weights.name} restores {', '.join(bands)}, expected "
        msg += f"{', '.join(BANDS)}, the bands of the scenes; name other weights"
        raise InputError(msg)


def _require_lattice(choices: RestorationChoices, side: int) -> None:
    stride = choices.patch - choices.overlap
    if side % stride:
        msg = f"restoration: patches of {choices.patch} that overlap by {choices.overlap} advance "
        msg += f"by {stride} pixels, which does not divide blocks of {side}; choose "
        fitting = [
            overlap for overlap in range(LEAST_OVERLAP, choices.patch // 2 + 1)
            if side % (choices.patch - overlap) == 0
        ]  # fmt: skip
        nearest = min(fitting, key=lambda each: abs(each - choices.overlap), default=None)
        other = f"a patch whose difference from its overlap divides {side}"
        raise InputError(msg + (other if nearest is None else f"overlap: {nearest}"))


def _notes(found: RestorationFound, card: Any) -> tuple[str, ...]:
    scenes = sum(len(summer.places) for summer in found.summers)
    missing = [each for summer in found.summers for each in summer.fractions]
    share = 100.0 * sum(missing) / len(missing)
    said = f"{scenes} scenes of {len(found.summers)} summers have gaps; "
    proved = (f"{found.weights.name}: {card.note}",) if card.note else ()
    return (
        f"{said}{share:.0f} % of their pixels are missing",
        "filled pixels are an estimate: their spread is stored beside them",
        *proved,
    )


def stage_of(
    choices: RestorationChoices, found: RestorationFound, side: int, *, samples: int
) -> Stage:
    """Return the one stage, with the memory and time that a block with samples takes."""
    keys = tuple(
        f"restore/{summer.path}/{scene}/{row}/{column}"
        for summer in found.summers
        for scene in range(len(summer.places))
        for row in range(-(-summer.grid.ny // side))
        for column in range(-(-summer.grid.nx // side))
    )
    widest = max(min(side, max(s.grid.ny, s.grid.nx)) for s in found.summers)
    margin = sum(reach(side, patch=choices.patch, overlap=choices.overlap))
    memory = NETWORK_BYTES + PIXEL_BYTES * (side + margin) ** 2
    actors = network_inputs.actors_of(choices, memory=memory, label="restoration")
    job = RestoreJob(found.source, found.weights, choices, side)
    seconds = SECONDS_PER_MPX * widest**2 / 1e6 * max(1, samples)
    reason = f"a network, and a block of {side}² pixels with its margin"
    return Stage("restore", keys, job, memory, seconds, reason, actors=actors, partial=True)
