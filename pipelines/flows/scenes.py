"""Scenes: from a search for Landsat to one analysis-ready stack per ice shelf and summer.

Tang et al. (2026), sections 2.1.3 and 2.4.1, which did by hand what is done here by rule. The
stages, each a set of keys:

========= ================================= ================================================
stage     keys                              writes
========= ================================= ================================================
ground    ``ground/SHELF``                  which screening cells are ROI, which flow fast
screen    ``screen/SHELF/SUMMER/CANDIDATE`` coarse mask, quicklook and scores of a candidate
choose    ``choose/SHELF/SUMMER/0``         the smallest set that covers the ROI
store     ``store/SHELF/SUMMER/PLACE``      pixels and flags of a chosen scene at 30 m
choose 1  ``choose/SHELF/SUMMER/1``         replacements of what could not be read, and so on
close     ``close/SHELF/SUMMER``            which places are the set, which scene lies where
========= ================================= ================================================

Keys are dated by their own shelf and summer: a scene that can be read again changes nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING

from pipelines.flows import scenes_arrays as arrays
from pipelines.flows import scenes_costs as costs
from pipelines.flows import scenes_estimate
from pipelines.flows import scenes_inputs as inputs
from pipelines.flows import scenes_results as results
from pipelines.flows.catalogue_inputs import source_of
from pipelines.flows.planning import planned
from pipelines.flows.scenes_arrays import Places
from pipelines.flows.scenes_choosing import ChooseJob, CloseJob, Rules
from pipelines.flows.scenes_reading import Reading
from pipelines.flows.scenes_screening import GroundJob, ScreenJob
from pipelines.flows.scenes_storing import MOST_JOINED, StoreJob, block_bytes, block_side
from pipelines.kernels.imagery import cloud_opinion, quality_bits
from pipelines.lifecycle import MIB, RESULTS, Plan, Stage
from stac.locations import UnreachableError

if TYPE_CHECKING:
    from pipelines.settings import Run
    from pipelines.settings_scenes import Override, ScenesChoices

REJECTED = {
    "cloud": quality_bits.CLOUD,
    "shadow": quality_bits.SHADOW,
    "dilated": quality_bits.DILATED,
    "cirrus": quality_bits.CIRRUS,
    "opinion": quality_bits.OPINION,
    "saturated": quality_bits.SATURATED_ALL,
}
"""Bits by the names that run files use."""


def plan(run: Run) -> Plan:
    """Search, and lay out the stages; no pixel is read.

    Where the service of a run cannot be reached, scenes are estimated from Landsat's orbit, so that
    the plan still says what the run would cost; such a plan refuses to be run.

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError, stac.contracts.ContractError
        The catalogue does not hold what the run file asks for.
    """
    cloud_opinion.opinion(run.choices.cloud_opinion)
    estimated = ""
    try:
        found = inputs.resolve(run)
    except UnreachableError as error:
        if run.choices.service == "catalogue":
            raise
        silence = scenes_estimate.silence(run.choices.service, error)
        estimated = f"{silence}; {scenes_estimate.REMEDY}"
        found = scenes_estimate.found(run, silence)
    layout = layout_of(run, found)
    return planned(
        run,
        found.items,
        stages=stages(run, found, layout),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=found.notes,
        traffic=costs.traffic(layout),
        results=(*RESULTS[:3], "review.yaml", "search.json", "rois", "items", *RESULTS[3:]),
        estimated=estimated,
    )


def layout_of(run: Run, found: inputs.ScenesFound) -> arrays.Layout:
    """Return names and shapes of a run's arrays."""
    choices: ScenesChoices = run.choices
    return arrays.Layout(
        grids={name: region.grid for name, region in found.regions.items()},
        summers=found.summers,
        places=Places.of(choices.choice),
        factor=choices.screening_m // 30,
        chunk=choices.chunk,
        encoding=choices.encoding,
        attributes=results.provenance(run, found),
    )


def decision(override: Override | None) -> str:
    """Return what a key says of a person's decision: a digest of the scenes used and dropped."""
    if override is None:
        return ""
    told = json.dumps([override.use, override.drop])
    return f"+{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def scope(key: str) -> str:
    """Return the shelf and summer that a key belongs to.

    >>> scope("store/amery/2011/3"), scope("ground/amery")
    ('amery/2011', '')
    """
    parts = key.split("/")
    return f"{parts[1]}/{parts[2]}" if len(parts) > 2 else ""


def rules_of(run: Run, found: inputs.ScenesFound) -> Rules:
    """Return what decides which candidates are chosen."""
    choices: ScenesChoices = run.choices
    return Rules(
        choice=choices.choice,
        reject=sum(REJECTED[name] for name in set(choices.reject)),
        least_valid=choices.least_valid,
        least_sun_degrees=choices.least_sun_degrees,
        most_saturated=choices.most_saturated,
        overrides=found.overrides,
    )


def stages(run: Run, found: inputs.ScenesFound, layout: arrays.Layout) -> tuple[Stage, ...]:
    """Return the stages of a run with the memory and time that one task of each takes."""
    choices: ScenesChoices = run.choices
    reading = Reading(
        opinion=choices.cloud_opinion,
        sun=choices.sun,
        gaps=choices.gaps,
        verify=choices.verify,
        feather_m=choices.feather_m,
    )
    rules = rules_of(run, found)
    velocity = None if found.velocity is None else source_of(found.velocity)
    ground = tuple(f"ground/{shelf}" for shelf in found.regions)
    return (
        Stage("ground", ground, GroundJob(found.regions, layout.factor, velocity,
              choices.fast_m_per_yr, tuple(sorted({s.year for s in found.summers}))),
              40 * _most_cells(layout) + 256 * MIB, 2.0,
              "ROI and speed on the screening grid", ground),
        Stage("screen", _screen_keys(found), ScreenJob(reading, layout.factor, rules.reject),
              100 * _most_cells(layout) + 256 * MIB, costs.screen_seconds(layout),
              "overviews of one candidate's bands", scope=scope),
        *_rounds(found, layout, reading, rules),
        Stage("close", _keys(found, "close"), CloseJob(rules, layout.places),
              16 * _most_cells(layout) + 128 * MIB, 0.1, "coarse masks of the chosen", scope=scope),
    )  # fmt: skip


def _rounds(
    found: inputs.ScenesFound, layout: arrays.Layout, reading: Reading, rules: Rules
) -> tuple[Stage, ...]:
    places = layout.places
    cells = _most_cells(layout)
    most = max((len(summer.scenes) for summer in found.summers), default=0)
    store = StoreJob(reading, places, layout.factor, layout.encoding)
    joined = min(MOST_JOINED, max((len(s.granules) for m in found.summers for s in m.scenes),
                                  default=1))  # fmt: skip
    side = block_side(layout.chunk, joined)
    largest = max(block_bytes(block_side(layout.chunk, n), n) for n in range(1, joined + 1))
    made: list[Stage] = []
    for turn in range(places.rounds):
        name = f" again {turn}" if turn else ""
        keys = tuple(
            f"choose/{summer.path}/{turn}{decision(rules.override(summer.shelf, summer.year))}"
            for summer in found.summers
        )
        made.append(
            Stage(f"choose{name}", keys, ChooseJob(rules, places),
                  40 * cells + 40_000 * most + 256 * MIB, 0.5,
                  "coarse masks of all candidates, one at a time", scope=scope,
                  decided=True))  # fmt: skip
        expected = costs.store_seconds(layout) if turn == 0 else 0.05
        made.append(
            Stage(f"store{name}", _keys(found, "store", places.slots(turn)), store,
                  largest + 8 * cells + 256 * MIB, expected,
                  f"a block of {side} pixels a side, granules of a scene joined: {joined}",
                  scope=scope))  # fmt: skip
    return tuple(made)


def _keys(
    found: inputs.ScenesFound, kind: str, numbers: tuple[int, ...] | range = ()
) -> tuple[str, ...]:
    if not numbers:
        return tuple(f"{kind}/{summer.path}" for summer in found.summers)
    return tuple(f"{kind}/{summer.path}/{n}" for summer in found.summers for n in numbers)


def _screen_keys(found: inputs.ScenesFound) -> tuple[str, ...]:
    return tuple(
        f"screen/{summer.path}/{n}" for summer in found.summers for n in range(len(summer.scenes))
    )


def _most_cells(layout: arrays.Layout) -> int:
    return max(layout.screen(s).nx * layout.screen(s).ny for s in layout.grids)
