"""Combination: gravimetry and altimetry, coefficient by coefficient → map, regions, transects.

Sasgen et al. (2019), sections 2.3 to 2.6 and 4.2. The stages, each a set of keys:

======== ========================== ========================================================
stage    keys                       writes
======== ========================== ========================================================
weigh    ``weights``                weights of gravimetry, degree by degree and order by order
combine  ``orders/0-513`` …         combined coefficients and their variances
sums     ``regions``                region sums, covariance, correction, leakage, shares
maps     ``map/0`` …, ``transects`` maps, quantiles, transects
======== ========================== ========================================================

The 90 × 112 members are never expanded: they are sums of two small ensembles.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from pipelines import stored
from pipelines.flows import combination_arrays as arrays
from pipelines.flows import combination_inputs as inputs
from pipelines.flows import combination_maps as maps
from pipelines.flows import combination_results as results
from pipelines.flows import combination_spectra as spectra
from pipelines.flows import combination_sums as sums
from pipelines.flows import polar_maps, regions
from pipelines.flows.catalogue_inputs import source_of
from pipelines.flows.planning import planned
from pipelines.flows.product_arrays import PARTS, labels_of
from pipelines.kernels import transects
from pipelines.lifecycle import MIB, ByKind, Plan, Stage

if TYPE_CHECKING:
    from pipelines.settings import Run

ORDERS_PER_CHUNK = 64
"""Orders of one stored chunk of coefficients."""

BLOCK_BYTES = 256 * MIB
"""Most coefficients of altimetry's basis that one task reads."""


def plan(run: Run) -> Plan:
    """Resolve the inputs of ``run`` and lay out its stages; nothing is computed.

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError
        A product is not there, or the two cannot be combined.
    """
    found = inputs.resolve(run)
    lines = _lines(run)
    layout = _layout(run, found, lines)
    return planned(
        run,
        found.items,
        stages=_stages(run, found, layout, lines),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=found.notes,
    )


def _lines(run: Run) -> tuple[maps.Line, ...]:
    """Return the transects of the run, those of figure 3 if it names none, sampled."""
    named = {
        each.name: np.array([each.longitudes, each.latitudes]) for each in run.choices.transects
    } or {name: np.array(points).T for name, points in transects.DEFAULT_TRANSECTS.items()}
    spacing = run.choices.transect_spacing_km
    lines = []
    for name, (longitude, latitude) in named.items():
        sampled = transects.sample_transect(longitude, latitude, spacing_km=spacing)
        lines.append(maps.Line(name, sampled.latitude, sampled.longitude))
    return tuple(lines)


def _layout(
    run: Run, found: inputs.CombinationInputs, lines: tuple[maps.Line, ...]
) -> arrays.Layout:
    choices = run.choices
    x, y = polar_maps.axes(choices.map.spacing_km)
    gravimetry, altimetry = (p.source.open() for p in (found.gravimetry, found.altimetry))
    models = max(1, len(found.gia))
    return arrays.Layout(
        j_max=found.altimetry_degree,
        gravimetry_degree=found.gravimetry_degree,
        orders=min(ORDERS_PER_CHUNK, found.altimetry_degree + 1),
        gravimetry_members=stored.array(gravimetry, "mass_rate_perturbation").shape[0] * models,
        altimetry_members=stored.array(altimetry, "mixing").shape[0],
        altimetry_labels=labels_of(altimetry, "member"),
        quantiles=choices.quantiles,
        regions=found.region_names,
        x=x,
        y=y,
        map_rows=polar_maps.band_rows(len(y)),
        transects=tuple(line.name for line in lines),
        transect_points=max(len(line.latitude) for line in lines),
        transect_spacing_m=1_000.0 * choices.transect_spacing_km,
        attributes=results.provenance(run, found),
    )


def _stages(
    run: Run,
    found: inputs.CombinationInputs,
    layout: arrays.Layout,
    lines: tuple[maps.Line, ...],
) -> tuple[Stage, ...]:
    """Return the stages of the run with the memory and time that one task of each takes."""
    choices = run.choices
    sources = spectra.Sources(found.gravimetry.source, found.altimetry.source)
    shown = polar_maps.degree_of(choices.map.spacing_km, j_max=layout.j_max)
    basis = stored.array(found.altimetry.source.open(), "mixing").shape[1]
    degree = int(found.gravimetry.run["gravimetry"]["result_degree"])
    low = 8 * PARTS * (layout.gravimetry_members + basis) * (degree + 1) ** 2
    chunk = 8 * PARTS * basis * (layout.j_max + 1) * layout.orders
    quantiles = 2 * 8 * layout.gravimetry_members * layout.altimetry_members * 64
    ice = maps.Ice(source_of(found.grounded_ice), source_of(found.regions))
    total, whole = (layout.regions.index(n) for n in (regions.ALL, regions.BUFFERED))
    reading = found.altimetry.run["altimetry"]["latitude"]
    shown_bytes = 2 * 8 * PARTS * basis * (shown + 1) ** 2
    drawn = ByKind({
        "map": maps.MapJob(sources, choices, ice, shown, reading),
        "transects": maps.TransectJob(sources, choices, ice, lines, shown, reading),
    })  # fmt: skip
    return (
        Stage("weigh", ("weights",), spectra.WeighJob(sources, choices), 3 * low + 64 * MIB, 1.0,
              "both ensembles up to where gravimetry ends", ("weights",)),
        Stage("combine", _order_keys(layout, chunk), spectra.CombineJob(sources),
              3 * chunk + 2 * low + 64 * MIB, 2.0,
              "some orders of all basis fields", _order_keys(layout, chunk)),
        Stage("sums", ("regions",), sums.RegionJob(sources, choices, total, whole),
              4 * low + 3 * chunk + 256 * MIB, 3.0,
              "both ensembles up to where gravimetry ends, all pairs of members", ("regions",)),
        Stage("maps", (*polar_maps.band_keys(len(layout.y)), "transects"), drawn,
              shown_bytes + 2 * low + quantiles + 256 * MIB, 8.0,
              "coefficients of all basis fields that the map shows, a band of it"),
    )  # fmt: skip


def _order_keys(layout: arrays.Layout, chunk_bytes: int) -> tuple[str, ...]:
    """Return keys of blocks of orders, whole chunks each."""
    step = layout.orders * max(1, BLOCK_BYTES // chunk_bytes)
    last = layout.j_max + 1
    return tuple(f"orders/{i}-{min(i + step, last)}" for i in range(0, last, step))
