"""Yearly damage maps of ice shelves: scenes of a summer to one map, its areas, how sure.

Tang et al. (2026), sections 2.4 and 3. Stages: ``segment/SHELF/SUMMER/SCENE/ROW/COLUMN`` on actors
of Ray, ``extent/SHELF``, ``merge/SHELF/SUMMER/ROW/COLUMN``, ``judge/SHELF/SUMMER`` and
``fractures/SHELF/SUMMER``. What is done of a shelf dates its own keys alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import shapely

from pipelines.flows import (
    network_inputs,
    shelf_damage_arrays,
    shelf_damage_fractures,
    shelf_damage_inputs,
    shelf_damage_release_names,
    shelf_damage_segmenting,
    shelf_damage_template,
)
from pipelines.flows import shelf_damage_results as results
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.pixel_blocks import block_side
from pipelines.flows.planning import planned
from pipelines.flows.scenes_arrays import BANDS
from pipelines.flows.shelf_damage_arrays import CELL
from pipelines.flows.shelf_damage_extents import ExtentJob, Shape, digest_of, shelf_of
from pipelines.flows.shelf_damage_inputs import DamageFound
from pipelines.flows.shelf_damage_judging import JudgeJob
from pipelines.flows.shelf_damage_merging import HALO, MergeJob
from pipelines.flows.shelf_damage_records import DamageSummer
from pipelines.flows.shelf_damage_segmenting import SegmentJob, margin_of
from pipelines.lifecycle import MIB, RESULTS, Plan, Stage
from stac.ice_shelves import slug

if TYPE_CHECKING:
    from pipelines.settings import Run
    from pipelines.settings_shelf_damage import ShelfDamageChoices

NETWORK_BYTES = 1100 * MIB
"""A process of torch or OpenVINO with a segmenter and a few tiles at work [B]."""
SEGMENT_BYTES = 70
MERGE_BYTES = 260
CELL_BYTES = 90
"""Memory of a block to be segmented, of one to be merged, for each of their pixels, and of a shelf
for each of its cells, of 64 pixels each [B]."""
SECONDS_PER_MPX = 0.5
"""Processor time of a million pixels of a scene, of each picture that the network is shown [s]: of
the b0 that ships, in OpenVINO, on a core of an EPYC (Zen 4); with torch it is 2.2."""
MERGE_SECONDS_PER_MPX = 0.25
"""Of a million pixels of a scene to be merged: 0.5 measured of two scenes, 0.8 of six [s]."""
FRACTURE_SECONDS_PER_MPX = 0.5
"""Of a million pixels of a map: 0.2 measured at 2 % of damage, up to 0.9 of dense nets [s]."""


def plan(run: Run) -> Plan:
    """Find scenes, weights and outlines, lay out blocks; no pixel is read.

    Raises
    ------
    InputError
        What is named is not there or does not belong together, or tiles do not fit the chunks.
    """
    found = shelf_damage_inputs.resolve(run)
    network = network_inputs.opened(found.weights, role="segmenter", task="segmentation")
    _require_bands(found, tuple(network.spec.channels))
    side = block_side(found.chunk, most=shelf_damage_segmenting.MOST_BLOCK)
    _require_lattice(run.choices, found.chunk, side)
    _require_parts(run, found)
    _require_names(found)
    _require_overrides(run, found)
    attributes = results.provenance(run, found)
    finest = min(summer.grid.spacing for summer in found.summers)
    margin = margin_of(network.spec, run.choices, spacing=finest)
    layout = (
        shelf_damage_arrays.arrays(s, chunk=found.chunk, side=side, parts=s.parts)
        for s in found.summers
    )
    return planned(
        run,
        found.items,
        stages=stages(run, found, side, margin),
        template=functools.partial(
            shelf_damage_template.create, summers=found.summers, chunk=found.chunk, side=side,
            fractures=run.choices.fractures, attributes=attributes,
        ),
        tell=functools.partial(results.tell, run=run, found=found),
        bytes_to_write=sum(array.bytes() for arrays in layout for array in arrays),
        notes=_notes(found, network.card),
        results=_told(run.choices),
    )  # fmt: skip


def _told(choices: ShelfDamageChoices) -> tuple[str, ...]:
    """Return the files and folders that people look for."""
    review = ("review.yaml",) if choices.review else ()
    return (*RESULTS, *review, *((results.RELEASE,) if choices.release else ()))


def _require_bands(found: DamageFound, bands: tuple[str, ...]) -> None:
    """Refuse weights of other bands than scenes have; pictures of one band are shown as each."""
    seen = {image.bands for image in found.images.values()} if found.images else {BANDS}
    for has in seen:
        if has != bands and len(has) > 1:
            msg = f"inputs.segmenter: {found.weights.name} looks at {', '.join(bands)}, expected "
            raise InputError(msg + f"{', '.join(has)}, the bands there are; name other weights")


def _require_lattice(choices: ShelfDamageChoices, chunk: int, side: int) -> None:
    stride = choices.tiles.tile - choices.tiles.overlap
    if side % stride:
        msg = f"shelf_damage.tiles: tiles of {choices.tiles.tile} that overlap by "
        msg += f"{choices.tiles.overlap} advance by {stride} pixels, which does not divide blocks "
        raise InputError(msg + f"of {side}; choose a difference that does, such as 320 and 64")
    if chunk % CELL:
        msg = f"inputs.scenes: chunks of {chunk} pixels are no multiple of {CELL}; "
        raise InputError(msg + "run scenes with such a chunk")


def _require_parts(run: Run, found: DamageFound) -> None:
    if run.choices.parts and found.grounded is None:
        msg = "shelf_damage.parts: where a front is cannot be told without grounded ice, which has "
        raise InputError(msg + "no sea beside it; name inputs.grounded_ice")


def _require_names(found: DamageFound) -> None:
    """Refuse shelves whose names would not do in released files."""
    try:
        for summer in found.summers:
            shelf_damage_release_names.folder_of(summer.name)
            for part in summer.parts[1:]:
                shelf_damage_release_names.folder_of(f"{summer.name}_{part}")
    except shelf_damage_release_names.ReleaseError as error:
        msg = f"regions: {error}"
        raise InputError(msg) from error


def _require_overrides(run: Run, found: DamageFound) -> None:
    """Refuse what a person decided of a summer or a scene that is not there."""
    labels = {each.path: [scene.label for scene in each.scenes] for each in found.summers}
    for n, override in enumerate(run.choices.overrides):
        path, where = f"{slug(override.shelf)}/{override.summer}", f"shelf_damage.overrides[{n}]"
        if path not in labels:
            msg = f"{where}: {override.shelf} {override.summer} is not in this run; its shelf or "
            raise InputError(msg + "its summer is left out")
        unknown = [label for label in override.drop if label not in labels[path]]
        if unknown:
            msg = f"{where}: {path} has no scene {', '.join(unknown)}; it has "
            raise InputError(msg + ", ".join(labels[path]))


def stages(run: Run, found: DamageFound, side: int, margin: int) -> tuple[Stage, ...]:
    """Return the stages of a run, with the memory and time that their keys take.

    Parameters
    ----------
    run, found
        What is done, with what.
    side, margin : int
        Of blocks, and how far they are read beyond their tiles [pixels].
    """
    shapes = {s.path: Shape(_wkb(s.front), _wkb(s.outline)) for s in found.summers}
    ground = _wkb(found.grounded)
    blocks = {s.path: _blocks(s, side) for s in found.summers}
    merge = MergeJob(shapes, ground, found.evaluated.errors.length_m, run.choices, side)
    pixels = max(min(side, max(s.grid.shape)) for s in found.summers)
    made = [
        _segment_stage(run, found, side, pixels, margin),
        Stage(
            "extent", tuple(_extent_key(run, shelf) for shelf in found.shelves),
            ExtentJob(shapes, ground, found.velocity, run.choices),
            _extent_bytes(found), 2.0, "ice in all cells of a shelf",
            scope=shelf_of, decided=True,
        ),
        Stage(
            "merge", tuple(f"merge/{s.path}/{at}" for s in found.summers for at in blocks[s.path]),
            merge, 300 * MIB + MERGE_BYTES * (pixels + 2 * HALO) ** 2,
            MERGE_SECONDS_PER_MPX * pixels**2 / 1e6 * _most_scenes(found),
            f"a block of {side}² pixels of one scene, and sums of all", scope=shelf_of,
        ),
        Stage(
            "judge", tuple(f"judge/{s.path}" for s in found.summers), JudgeJob(run.choices),
            200 * MIB, 0.1, "sums of blocks", scope=shelf_of, partial=True,
        ),
    ]  # fmt: skip
    if run.choices.fractures:
        made.append(_fracture_stage(found))
    return tuple(made)


def _segment_stage(run: Run, found: DamageFound, side: int, pixels: int, margin: int) -> Stage:
    choices = run.choices
    keys = tuple(
        f"segment/{summer.path}/{scene}/{at}"
        for summer in found.summers
        for scene in range(len(summer.scenes))
        for at in _blocks(summer, side)
    )
    memory = NETWORK_BYTES + SEGMENT_BYTES * (pixels + choices.tiles.tile + 2 * margin) ** 2
    job = SegmentJob(
        found.scenes, found.restoration, found.images, found.weights,
        found.evaluated.errors.temperature, choices, side,
    )  # fmt: skip
    looks = 1 + 2 * (found.restoration is not None and choices.restoration_spread)
    seconds = SECONDS_PER_MPX * pixels**2 / 1e6 * looks * (1 + len(choices.tiles.flips))
    actors = network_inputs.actors_of(choices, memory=memory, label="segmentation")
    reason = f"a network, and a block of {side}² pixels with its margin"
    return Stage("segment", keys, job, memory, seconds, reason, scope=shelf_of, actors=actors)


def _fracture_stage(found: DamageFound) -> Stage:
    side = block_side(found.chunk, most=shelf_damage_fractures.BLOCK_SIDE)
    largest = max(summer.grid.ny * summer.grid.nx for summer in found.summers)
    return Stage(
        "fractures", tuple(f"fractures/{each.path}" for each in found.summers),
        shelf_damage_fractures.FractureJob(side), shelf_damage_fractures.stage_memory(side),
        FRACTURE_SECONDS_PER_MPX * largest / 1e6,
        f"bodies of a block of {side}² pixels, and a path through one", scope=shelf_of,
        partial=True, dispensable=True,
    )  # fmt: skip


def _blocks(summer: DamageSummer, side: int) -> list[str]:
    ny, nx = summer.grid.shape
    return [f"{row}/{column}" for row in range(-(-ny // side)) for column in range(-(-nx // side))]


def _extent_key(run: Run, shelf: str) -> str:
    """Return the key of a shelf's extents; what a person decided of its summers is in its name."""
    digest = digest_of(run.choices.overrides, shelf)
    return f"extent/{shelf}+{digest}" if digest else f"extent/{shelf}"


def _wkb(shape: shapely.Geometry | None) -> bytes:
    return b"" if shape is None else shapely.to_wkb(shape)


def _most_scenes(found: DamageFound) -> int:
    return max(len(summer.scenes) for summer in found.summers)


def _extent_bytes(found: DamageFound) -> int:
    cells = max(s.grid.ny * s.grid.nx for s in found.summers) // CELL**2
    return 300 * MIB + CELL_BYTES * cells


def _notes(found: DamageFound, card: Any) -> tuple[str, ...]:
    scenes = [scene for summer in found.summers for scene in summer.scenes]
    striped = [scene for scene in scenes if scene.slc_off]
    bare = sum(scene.restored_row < 0 for scene in striped)
    notes = [
        f"{len(scenes)} scenes of {len(found.summers)} summers of {len(found.shelves)} shelves",
        found.evaluated.describe(),
    ]
    if striped:
        said = f"{len(striped)} scenes have gaps of the scan line corrector; "
        notes.append(said + (f"{bare} are used with their gaps, for none of them was restored"
                             if bare else "all were restored"))  # fmt: skip
    fronts = sum(summer.front is not None for summer in found.summers)
    notes.append(f"fronts are given for {fronts} of {len(found.summers)} summers")
    if card.note:
        notes.append(f"{found.weights.name}: {card.note}")
    return tuple(notes)
