"""Altimetry: rates of surface elevation → ensemble of surface mass rates, by region and on a map.

Sasgen et al. (2019), section 2.2 and appendix A. The stages, each a set of keys:

======== ================================== ===============================================
stage    keys                               writes
======== ================================== ===============================================
read     ``grounded``, ``kernels``,         which cells are ice, region kernels,
         ``read/0`` … or ``fit/0`` …        measured rates of each member
gaps     ``gaps``                           nothing: refuses members with different gaps
fill     ``height/0`` …                     rates without gaps, zero outside the ice
density  ``density``, ``constant``          fields of the density models
rows     ``rows/0`` …                       rates of mass on rows of cells, as Fourier series
analyse  ``orders/0`` …                     spherical-harmonic coefficients of the basis
sums     ``regions``, ``map/0`` …           region sums, covariance, power, map
======== ================================== ===============================================

The members (rate × density model) are never expanded: they mix a few basis fields.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from pipelines.flows import altimetry_arrays as arrays
from pipelines.flows import altimetry_fits as fits
from pipelines.flows import altimetry_heights as heights
from pipelines.flows import altimetry_inputs as inputs
from pipelines.flows import altimetry_results as results
from pipelines.flows import altimetry_spectrum as spectrum
from pipelines.flows import altimetry_sums as sums
from pipelines.flows import polar_maps, regions
from pipelines.flows.catalogue_inputs import source_of
from pipelines.flows.planning import planned
from pipelines.flows.product_arrays import PARTS
from pipelines.kernels.altimetry import density
from pipelines.lifecycle import MIB, ByKind, Job, Plan, Stage
from stac import contracts

if TYPE_CHECKING:
    from pipelines.settings import Run

ORDERS_PER_CHUNK = 64
"""Orders of one stored chunk of coefficients."""

ELEMENTS_PER_KEY = 64_000_000
"""Legendre functions (row, degree, order) that one task makes: all at degree 512 and 0.2°."""


def plan(run: Run) -> Plan:
    """Resolve the inputs of ``run`` and lay out its stages; nothing is computed.

    Raises
    ------
    pipelines.flows.catalogue_inputs.InputError, stac.contracts.ContractError
        The catalogue does not hold what the run file asks for.
    """
    found = inputs.resolve(run)
    layout = _layout(run, found)
    return planned(
        run,
        found.items,
        stages=_stages(run, found, layout),
        template=functools.partial(arrays.create, layout=layout),
        tell=functools.partial(results.tell, run=run, found=found, layout=layout),
        bytes_to_write=layout.bytes(),
        notes=found.notes,
    )


def _layout(run: Run, found: inputs.AltimetryInputs) -> arrays.Layout:
    choices = run.choices
    labels = tuple(member.label.replace(" ", "_") for member in found.members)
    mixed = density.mixing_matrix(
        len(labels),
        choices.density.models,
        ice=choices.density.ice,
        mean=choices.density.mean,
    )
    names = density.field_names(len(labels), choices.density.models)
    # Stored rates are those of ice, so that the basis has one unit and the mixing none.
    mixed[:, [name.startswith("h:") for name in names]] /= choices.density.ice
    grid = spectrum.grid_of(choices.cells)
    x, y = polar_maps.axes(choices.map.spacing_km)
    raster = fits.raster_of(run, found)
    x_pixel, y_pixel = raster.axes() if raster else (np.empty(0), np.empty(0))
    return arrays.Layout(
        j_max=choices.j_max,
        orders=min(ORDERS_PER_CHUNK, choices.j_max + 1),
        heights=labels,
        models=choices.density.models,
        members=tuple(f"{label}:{model}" for model in choices.density.models for label in labels),
        mixing=mixed,
        fields=names,
        regions=regions.region_names(contracts.open_regions(found.regions)),
        x_grid=found.x,
        y_grid=found.y,
        x_pixel=x_pixel,
        y_pixel=y_pixel,
        pixels_per_tile=fits.TILE_PIXELS,
        rows=len(grid.latitude),
        columns=grid.n_lon,
        x=x,
        y=y,
        map_rows=polar_maps.band_rows(len(y)),
        attributes=results.provenance(run, found),
    )


def _stages(run: Run, found: inputs.AltimetryInputs, layout: arrays.Layout) -> tuple[Stage, ...]:
    """Return the stages of the run with the memory and time that one task of each takes."""
    choices = run.choices
    field = 8 * len(layout.x_grid) * len(layout.y_grid)
    n, models = len(layout.heights), choices.density.models
    fields = tuple(
        key
        for key, model in (("density", "fast_or_lowering"), ("constant", "surface_processes"))
        if model in models
    )
    blocks = _order_blocks(layout)
    shown = polar_maps.degree_of(choices.map.spacing_km, j_max=choices.j_max)
    coefficients = 8 * PARTS * layout.basis * (shown + 1) ** 2
    per_key = spectrum.members_per_key(n)
    rows = tuple(f"rows/{i}" for i in range(0, n, per_key))
    filled = tuple(member.key for member in found.members)
    density_stage = Stage(
        "density", fields, _density(run, found, layout),
        12 * field + _band_bytes(found) + 64 * MIB, 2.0,
        "bands of speed and trends on their own grids, fields on that of the rates", fields,
    )  # fmt: skip
    return (
        *_reading(run, found, layout, blocks),
        Stage("gaps", ("gaps",), heights.GapJob(layout.heights, choices.gaps),
              (n // 8 + 3) * field + 64 * MIB, 0.1 * n,
              "which cells each member lacks", ("gaps",)),
        Stage("fill", filled, heights.FillJob(choices.gaps, choices.gap_filling, n),
              12 * field + 64 * MIB, 2.0, "one member, and the measured cells around each gap",
              filled),
        *((density_stage,) if fields else ()),
        Stage("rows", rows, spectrum.RowJob(choices, layout.models, n, per_key),
              40 * field + 3 * 16 * layout.rows * layout.columns + 256 * MIB, 12.0,
              "areas that cells share with pixels, one member on rows of cells", rows),
        Stage("analyse", blocks, spectrum.OrderJob(choices), _analysis_bytes(layout), 3.0,
              "Legendre functions of some orders, those orders of all basis fields", blocks),
        Stage("sums", ("regions", *polar_maps.band_keys(len(layout.y))),
              _sums(run, found, layout, shown),
              2 * coefficients + 4 * 8 * PARTS * layout.basis * (layout.j_max + 1) * layout.orders
              + 6 * field + 256 * MIB, 6.0,
              "coefficients of all basis fields that the map shows, a band of it"),
    )  # fmt: skip


def _band_bytes(found: inputs.AltimetryInputs) -> int:
    spacing = abs(float(found.x[1] - found.x[0]))
    items = [item for item in (found.velocity, found.surface_processes) if item is not None]
    return max((heights.band_bytes(contracts.open_item(i), spacing) for i in items), default=0)


def _order_blocks(layout: arrays.Layout) -> tuple[str, ...]:
    """Return keys of blocks of orders, whole chunks each, that are worth a task."""
    chunks = -(-(layout.j_max + 1) // layout.orders)
    per_chunk = layout.rows * (layout.j_max + 1) * layout.orders
    together = max(1, ELEMENTS_PER_KEY // per_chunk)
    step = layout.orders * together
    count = -(-chunks // together)
    return tuple(f"orders/{i * step}-{min((i + 1) * step, layout.j_max + 1)}" for i in range(count))


def _analysis_bytes(layout: arrays.Layout) -> int:
    """Return the memory of one chunk of orders: row spectra and coefficients of the basis."""
    rows = 16 * layout.basis * layout.rows * layout.orders
    coefficients = 16 * layout.basis * (layout.j_max + 1) * layout.orders
    return 3 * rows + 4 * coefficients + 32 * layout.rows * (layout.j_max + 1) + 128 * MIB


def _widest(blocks: tuple[str, ...], layout: arrays.Layout) -> int:
    return max(len(regions.orders_of(block, degree=layout.j_max)) for block in blocks)


def _reading(
    run: Run, found: inputs.AltimetryInputs, layout: arrays.Layout, blocks: tuple[str, ...]
) -> tuple[Stage, ...]:
    """Return the stages that end with the measured rates of every member on one grid."""
    choices = run.choices
    kernels = regions.KernelJob(
        source_of(found.regions),
        spacing_m=1_000.0 * choices.region_spacing_km,
        degree=choices.j_max,
        reading=choices.latitude,
    )
    first: dict[str, Job] = {
        "grounded": heights.GroundedJob(source_of(found.grounded_ice)),
        "kernels": kernels,
    }
    common = ("grounded", *(block.replace("orders", "kernels") for block in blocks))
    orders = _widest(blocks, layout)
    kernel_bytes = 3 * 8 * PARTS * len(layout.regions) * (layout.j_max + 1) * orders + 900 * MIB
    about = "2 km raster of the regions and the lattice of their weights"
    if found.granules:
        return fits.stages(run, found, layout, Stage(
            "read", common, ByKind(first), kernel_bytes, 20.0, about, common))  # fmt: skip
    members = {member.key: member for member in found.members}
    first["read"] = heights.ReadJob(members, choices.largest_rate_m_per_yr)
    read = tuple(key.replace("height", "read") for key in members)
    return (
        Stage("read", (*common, *read), ByKind(first), kernel_bytes, 1.5, about, (*common, *read)),
    )


def _density(run: Run, found: inputs.AltimetryInputs, layout: arrays.Layout) -> ByKind:
    choices = run.choices.density
    jobs: dict[str, Job] = {}
    if found.velocity is not None:
        source = source_of(found.velocity)
        jobs["density"] = heights.DensityJob(choices, source, len(layout.heights))
    if found.surface_processes is not None:
        jobs["constant"] = heights.ConstantJob(choices, source_of(found.surface_processes))
    return ByKind(jobs)


def _sums(run: Run, found: inputs.AltimetryInputs, layout: arrays.Layout, degree: int) -> ByKind:
    region = sums.RegionJob(source_of(found.regions), len(layout.heights), len(layout.models))
    return ByKind({"regions": region, "map": sums.MapJob(degree, run.choices.latitude)})
