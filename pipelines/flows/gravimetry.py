"""Gravimetry: monthly gravity fields → ensemble of surface mass rates, by region and on a map.

Sasgen et al. (2019), sections 2.1, 2.6 and 3.3. The stages, each a set of keys:

======== ============================================ ==================================
stage    keys                                         writes
======== ============================================ ==================================
prepare  ``mask``, ``kernels``, ``month/2011-02`` …   mask, region kernels, Stokes fields
trend    ``trend``                                    time model of every coefficient
localise ``localise/mean``, ``…/perturbation/0`` …    surface mass of the factors
sums     ``regions``, ``map/0`` …                     region sums, covariance, series, map
======== ============================================ ==================================
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import catalogue_inputs, gravimetry_mask, regions
from pipelines.flows import gravimetry_arrays as arrays
from pipelines.flows import gravimetry_inputs as inputs
from pipelines.flows import gravimetry_results as results
from pipelines.flows import gravimetry_stages as stages
from pipelines.flows.planning import planned
from pipelines.flows.product_arrays import PARTS
from pipelines.kernels import trends
from pipelines.kernels.gravity import filters, love_numbers, stokes
from pipelines.lifecycle import MIB, ByKind, Plan, Stage
from stac import contracts

if TYPE_CHECKING:
    from pipelines.settings import Run

MAP_HALF_WIDTH_M = 3_040_000.0
"""Half the width of the map [m]: the grounded ice, its shelves and the 300 km buffer."""

MAP_ROWS = 19
"""Rows of one map key: a quarter of a 40 km map holds 60 MiB of Legendre functions."""


def plan(run: Run) -> Plan:
    """Resolve the inputs of ``run`` and lay out its stages; nothing is computed.

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError, stac.contracts.ContractError
        The catalogue does not hold what the run file asks for.
    """
    found = inputs.resolve(run)
    there = np.array([not month.low_degrees.dropped for month in found.months])
    trends.require_resolvable(found.epochs[there], model=time_model(run))
    layout = _layout(run, found)
    return planned(
        run,
        found.items,
        stages=_stages(run, found, layout),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=_notes(found),
    )


def time_model(run: Run) -> trends.TimeModel:
    """Return the time model of the run; its epoch is the middle of the period unless named."""
    epoch = run.choices.reference_epoch
    if epoch is None:
        epoch = middle_of_period(run.period)
    return trends.TimeModel(
        reference_epoch=epoch,
        terms=tuple(run.choices.terms),
        mission_change=run.choices.mission_change if "mission_bias" in run.choices.terms else None,
    )


def middle_of_period(period: tuple[dt.date, dt.date]) -> float:
    """Return the middle of a period whose end is inclusive, in decimal years."""
    first = np.array([np.datetime64(period[0], "s")])
    after = np.array([np.datetime64(period[1], "s") + np.timedelta64(86_400, "s")])
    return float(stokes.mid_epochs(first, after)[0])


def _layout(run: Run, found: inputs.GravimetryInputs) -> arrays.Layout:
    choices, model = run.choices, time_model(run)
    polygons = contracts.open_regions(found.regions)
    x, y = map_axes(choices.map.spacing_km)
    return arrays.Layout(
        j_max=choices.j_max,
        mask_degree=choices.mask.degree,
        result_degree=choices.result_degree,
        parameters=tuple(trends.parameter_names(model)),
        members=choices.members,
        gia=tuple(item.id for item in found.gia),
        regions=regions.region_names(polygons),
        start=found.start,
        end=found.end,
        epochs=found.epochs,
        x=x,
        y=y,
        factors=_surface_mass_factors(run, found),
        map_rows=MAP_ROWS,
        destripe=choices.destripe,
        attributes=results.provenance(run, found),
    )


def map_axes(spacing_km: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cell centres of the map, x eastward and y southward in the image sense [m]."""
    spacing = 1_000.0 * spacing_km
    count = int(np.ceil(MAP_HALF_WIDTH_M / spacing))
    x: NDArray[np.float64] = (np.arange(-count, count, dtype=np.float64) + 0.5) * spacing
    return x, x[::-1].copy()


def _stages(run: Run, found: inputs.GravimetryInputs, layout: arrays.Layout) -> tuple[Stage, ...]:
    """Return the stages of the run with the memory and time that one task of each takes."""
    choices = run.choices
    field, result = _spectrum_bytes(choices.j_max), _spectrum_bytes(choices.result_degree)
    series = len(found.months) * field
    factors = choices.members + len(layout.gia) + len(layout.regions)
    prepare = ("mask", "kernels", *(month.key for month in found.months))
    bands = tuple(f"map/{row}" for row in range(0, len(layout.y), MAP_ROWS))
    return (
        Stage("prepare", prepare, _prepare(run, found), 900 * MIB, 0.15,
              "2 km raster of the regions and the lattice of their weights", ("mask", "kernels")),
        Stage("trend", ("trend",), stages.TrendJob(time_model(run), choices.weights),
              6 * series + 64 * MIB, 2.0, "all months of all coefficients, and their residuals",
              ("trend",)),
        Stage("localise", _factor_keys(layout), _localise(run, found, layout),
              choices.members * field + 40 * result + 64 * MIB, 0.3,
              "all perturbations, one field on the Gauss grid", _factor_keys(layout)),
        Stage("sums", ("regions", *bands), _sums(run, layout),
              2 * series + 3 * factors * result + 128 * MIB, 1.0,
              "factors of the ensemble, region kernels, a band of the map"),
    )  # fmt: skip


def _spectrum_bytes(degree: int) -> int:
    return 8 * PARTS * (degree + 1) ** 2


def _factor_keys(layout: arrays.Layout) -> tuple[str, ...]:
    perturbations = (f"localise/perturbation/{i}" for i in range(layout.members))
    gia = (f"localise/gia/{name}" for name in layout.gia)
    destriped = ("localise/destriped",) if layout.destripe else ()
    return ("localise/mean", *perturbations, *gia, *destriped)


def _prepare(run: Run, found: inputs.GravimetryInputs) -> ByKind:
    choices = run.choices
    mask = gravimetry_mask.MaskJob(
        catalogue_inputs.source_of(found.grounded_ice),
        degree=choices.mask.degree,
        inner_km=choices.mask.inner_km,
        outer_km=choices.mask.outer_km,
        reading=choices.latitude,
    )
    kernels = regions.KernelJob(
        catalogue_inputs.source_of(found.regions),
        spacing_m=1_000.0 * choices.region_spacing_km,
        degree=choices.result_degree,
        reading=choices.latitude,
    )
    months = {month.key: month for month in found.months}
    month = stages.MonthJob(months, j_max=choices.j_max)
    return ByKind({"mask": mask, "kernels": kernels, "month": month})


def _localise(
    run: Run, found: inputs.GravimetryInputs, layout: arrays.Layout
) -> stages.LocaliseJob:
    choices = run.choices
    return stages.LocaliseJob(
        layout.factors,
        trend_index=layout.parameters.index("trend"),
        members=choices.members,
        seed=choices.seed,
        centred=choices.centred,
        gia=tuple(catalogue_inputs.source_of(item) for item in found.gia),
        j_max=choices.j_max,
        result_degree=choices.result_degree,
    )


def _sums(run: Run, layout: arrays.Layout) -> ByKind:
    choices = run.choices
    sums = stages.RegionJob(
        layout.factors,
        j_max=choices.j_max,
        trend_index=layout.parameters.index("trend"),
        reference_epoch=time_model(run).reference_epoch,
    )
    gaussian = filters.gaussian_weights(
        choices.result_degree, radius_km=choices.figures.gaussian_km
    )
    bands = stages.MapJob(MAP_ROWS, gaussian=gaussian, reading=choices.latitude)
    return ByKind({"regions": sums, "map": bands})


def _surface_mass_factors(run: Run, found: inputs.GravimetryInputs) -> NDArray[np.float64]:
    """Return kg m⁻² per Stokes coefficient by degree, Love numbers in the run's frame."""
    load = contracts.open_item(found.love_numbers).load()  # a few thousand numbers
    k = love_numbers.in_frame(
        load.h.values, load.l.values, load.k.values, frame=run.choices.frame, k_1=run.choices.k1
    )
    return love_numbers.surface_mass_factors(k, j_max=run.choices.j_max)


def _notes(found: inputs.GravimetryInputs) -> tuple[str, ...]:
    told = ((month.key, month.low_degrees) for month in found.months)
    dropped = [f"{key}: {said.told()}" for key, said in told if said.dropped]
    outside = [f"{name}: touches the period, its middle is outside" for name in found.left_out]
    return (*dropped, *outside)
