"""Mass budget: velocity, thickness, snowfall and thinning → discharge and balance of regions.

Yang et al. (2023), section 2. The stages, each a set of keys:

========= =============================== ==================================================
stage     keys                            writes
========= =============================== ==================================================
sample    ``sample/0`` …                  every velocity map and bed at a block of nodes
mosaic    ``mosaic/0/0`` …                velocity of every year, gaps filled, and from where
flux      ``flux/0`` …                    flux of one case by region and year, its covariance
sources   ``record/0`` …, ``slivers``     snowfall by month and region; what lies between gates
                                          and grounding line
maps      ``speed/0`` …                   continental mosaics of a year, for maps of change
budget    ``budget``                      all terms of all members, by year and row
========= =============================== ==================================================

Gaps are filled at the nodes, after sampling: continental mosaics are made for pictures alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines.flows import mass_budget_arrays as arrays
from pipelines.flows import mass_budget_inputs as inputs
from pipelines.flows import mass_budget_maps as maps
from pipelines.flows import mass_budget_nodes as gate_nodes
from pipelines.flows import mass_budget_records as records
from pipelines.flows import mass_budget_results as results
from pipelines.flows import mass_budget_rows as rows
from pipelines.flows import mass_budget_velocity as velocity
from pipelines.flows import mass_budget_years as years
from pipelines.flows.catalogue_inputs import InputError, source_of
from pipelines.flows.mass_budget_fields import Field
from pipelines.flows.mass_budget_flux import FluxJob
from pipelines.flows.mass_budget_sums import BudgetJob
from pipelines.flows.planning import planned
from pipelines.lifecycle import MIB, ByKind, Job, Plan, Stage
from stac import contracts

if TYPE_CHECKING:
    from pipelines.flows.catalogue_inputs import Source
    from pipelines.settings import Run

MOST_CHUNK_BYTES = 8 * 1024**2
"""The most that one stored chunk of a map takes in memory [B]."""


def plan(run: Run) -> Plan:
    """Resolve the inputs of ``run``, cut its gates into nodes, and lay out its stages.

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError, stac.contracts.ContractError
        The catalogue does not hold what the run file asks for, or a gate cannot be used.
    """
    found = inputs.resolve(run)
    calendar = years.calendar_of(run, found.maps, found.mosaics)
    layout = _layout(run, found, calendar)
    return planned(
        run,
        found.items,
        stages=_stages(run, found, calendar, layout),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=(*found.notes, *layout.nodes.notes, *results.planned_notes(run, layout)),
    )


def _layout(run: Run, found: inputs.MassBudgetInputs, calendar: years.Calendar) -> arrays.Layout:
    choices = run.choices
    together = [*found.records, *([found.reanalysis] if found.reanalysis else [])]
    x, y = maps.axes(found.grounded_ice, choices.map.spacing_km)
    attributes = results.provenance(run, found)
    layers = [[layer.collection for layer in mosaic.layers] for mosaic in found.mosaics]
    return arrays.Layout(
        nodes=gate_nodes.nodes_of(run, found),
        per_task=choices.nodes_per_task,
        places=rows.rows_of(contracts.open_regions(found.regions), choices.replacements),
        years=calendar.years,
        months=_months(together),
        gate_sets=tuple(lines.name for lines in gate_nodes.gate_sets(run, found)),
        beds=tuple(name for name, _ in found.thickness),
        mosaics=tuple(mosaic.name for mosaic in found.mosaics),
        records=tuple(record.name for record in together),
        models=tuple(model.name for model in found.models),
        maps=tuple(each.label for each in calendar.sampled),
        x=x,
        y=y,
        attributes=attributes | {"nunatak:layers": layers},
    )


def _months(together: list[inputs.Record]) -> NDArray[np.datetime64]:
    """Return all months of all climate models, in order."""
    found = []
    for record in together:
        own = [records.months_of(source) for source in record.sources]
        twice = _twice(own)
        if twice:
            msg = (
                f"inputs: {record.name!r} holds {twice} in more than one item, of which one would "
                "win by chance; name one of them as COLLECTION/ITEM"
            )
            raise InputError(msg)
        found += own
    if not found:
        return np.empty(0, dtype="datetime64[M]")
    first, last = min(each.min() for each in found), max(each.max() for each in found)
    return np.arange(first, last + 1)


def _twice(items: list[NDArray[np.datetime64]]) -> str:
    """Return the first month that several items have; empty if none."""
    months, counts = np.unique(np.concatenate(items), return_counts=True)
    return str(months[counts > 1][0]) if (counts > 1).any() else ""


def _stages(
    run: Run, found: inputs.MassBudgetInputs, calendar: years.Calendar, layout: arrays.Layout
) -> tuple[Stage, ...]:
    """Return the stages of the run with the memory and time that one task of each takes."""
    choices, count = run.choices, len(layout.nodes.x)
    block = min(choices.nodes_per_task, count)
    numbers = velocity.blocks(count, choices.nodes_per_task)
    sampled = tuple(f"sample/{i}" for i in numbers)
    filled = tuple(f"mosaic/{m}/{i}" for m in range(len(layout.mosaics)) for i in numbers)
    cases = tuple(f"flux/{i}" for i in range(len(layout.cases)))
    fields = 4 * len(layout.maps) + 2 * len(layout.beds)
    of_years = 8 * len(layout.years)
    sizes = choices.uncertainty
    beds = tuple(source for _, source in found.thickness)
    return (
        Stage("sample", sampled,
              velocity.SampleJob(calendar.sampled, beds, choices.nodes_per_task),
              8 * block * (fields + 40) + 4 * MOST_CHUNK_BYTES + 128 * MIB,
              0.02 * fields + 1.0, "a block of nodes of every map, one chunk of a map", sampled),
        Stage("mosaic", filled,
              velocity.MosaicJob(calendar, sizes.velocity_sigma_m_per_yr, choices.nodes_per_task),
              block * (6 * of_years + 32 * len(layout.maps)) + 96 * MIB, 0.5,
              "a block of nodes of every map and year", filled),
        Stage("flux", cases, FluxJob(choices, layout.cases, layout.places),
              count * 14 * of_years + 256 * MIB, 5.0 + 2e-6 * count * len(layout.years),
              "velocity of all nodes and years with its errors", cases),
        _sources(run, found, layout),
        *maps.stages(found, calendar, layout),
        Stage("budget", ("budget",),
              BudgetJob(choices, found.models, layout.records, layout.cases, layout.members,
                        layout.places, calendar.years, has_reanalysis=found.reanalysis is not None),
              _budget_bytes(layout), 2.0, "covariances between years of all terms", ("budget",)),
    )  # fmt: skip


def _sources(run: Run, found: inputs.MassBudgetInputs, layout: arrays.Layout) -> Stage:
    choices = run.choices
    places = records.Places(
        source_of(found.regions),
        source_of(found.grounded_ice),
        gate_nodes.gate_sets(run, found),
        choices.gates,
        tuple(layout.cases.index((g, 0, 0)) for g in range(len(layout.gate_sets))),
    )
    together = (*found.records, *((found.reanalysis,) if found.reanalysis else ()))
    jobs: dict[str, Job] = {
        "record": records.RecordJob(together, places, choices.surface_mass_balance.coast),
        "slivers": records.SliverJob(places, found.elevation_rate, found.basal_melt),
    }
    keys = (*(f"record/{i}" for i in range(len(together))), "slivers")
    about = "months of a climate model, polygons between gates and grounding line"
    cells = max((records.cells_of(each) for each in together), default=0)
    fields = {"elevation_rate": found.elevation_rate, "basal_melt_rate": found.basal_melt}
    band = max((_band_bytes(each, name) for name, each in fields.items() if each), default=0)
    size = 300 * MIB + max(band, cells * (1200 + 16 * records.MONTHS_AT_ONCE))
    return Stage("sources", keys, ByKind(jobs), size, 5.0, about, keys)


def _band_bytes(source: Source, name: str) -> int:
    """Return the memory of a band; a field that cannot be opened fails its key, not the plan."""
    try:
        return Field.of(source, name).bytes()
    except KeyFailed:
        return 0


def _budget_bytes(layout: arrays.Layout) -> int:
    years_of, count = len(layout.years), len(layout.places.flux_names)
    covariances = 8 * len(arrays.QUANTITIES) * count * years_of**2
    return 6 * covariances + 64 * len(layout.months) * len(layout.rows) + 192 * MIB
