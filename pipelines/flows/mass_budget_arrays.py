"""The arrays of a mass-budget product: nodes, velocities at them, sums by region and year.

What is large has a dimension ``node``; what people quote has ``row``: the regions and then their
groups. An ensemble is the product of its choices: a *case* is a gate set with a bed and a mosaic,
a *member* is a case with a surface mass balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows.product_arrays import Array, coordinate, labels, polar_axes, whole
from pipelines.flows.product_arrays import create as create_arrays

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_nodes import Nodes
    from pipelines.flows.mass_budget_rows import Rows
    from pipelines.kernels.budget.years import Year

FLUX_TERMS = ("thickness", "velocity", "density")
"""Sources of error of the flux through a gate."""

QUANTITIES = (
    "ice_flux", "smb_gate_to_grounding_line", "dynamic_volume_change", "basal_melt_gate_to_line",
    "discharge", "surface_mass_balance", "basal_melt", "mass_balance",
)  # fmt: skip
"""Terms of the budget, in the order in which they enter it; the contract's names."""

ERROR_TERMS = (
    "thickness", "velocity", "density", "surface_mass_balance", "hindcast", "dynamic_volume",
    "basal_melt",
)  # fmt: skip
"""Sources of error of the mass balance; snow below the gate errs with that of its region."""

WEIGHTS = ("length", "flux")
"""What a node counts in the coverage: its length, or the flux that it usually carries."""

FLUX = "kg yr-1"


@dataclass(frozen=True)
class Layout:
    """What the sizes, chunks and coordinates of a mass-budget product follow from.

    Attributes
    ----------
    nodes : Nodes
        Nodes of all gate sets.
    per_task : int
        Nodes of one chunk.
    places : Rows
        Regions and their groups.
    years : tuple of Year
        The years of the first layer's maps, in order of time.
    months : ndarray of datetime64[M], shape (month,)
        Months of the climate models and the reanalysis together.
    gate_sets, beds, mosaics, records, models : tuple of str
        The choices of the ensemble by name; ``records`` are single climate models, the reanalysis
        last if there is one.
    maps : tuple of str
        Velocity maps that are sampled.
    x, y : ndarray, shape (x,), (y,)
        Cell centres of the velocity map [m]; empty for none.
    attributes : dict
        Provenance.
    """

    nodes: Nodes
    per_task: int
    places: Rows
    years: tuple[Year, ...]
    months: NDArray[np.datetime64]
    gate_sets: tuple[str, ...]
    beds: tuple[str, ...]
    mosaics: tuple[str, ...]
    records: tuple[str, ...]
    models: tuple[str, ...]
    maps: tuple[str, ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    attributes: dict[str, Any]

    @property
    def regions(self) -> tuple[str, ...]:
        """Ids of the regions."""
        return self.places.regions

    @property
    def rows(self) -> tuple[str, ...]:
        """Regions, then groups."""
        return self.places.names

    @property
    def cases(self) -> tuple[tuple[int, int, int], ...]:
        """Gate set, bed and mosaic of each case."""
        sizes = len(self.gate_sets), len(self.beds), len(self.mosaics)
        return tuple((g, b, m) for g, b, m in np.ndindex(*sizes))

    @property
    def members(self) -> tuple[tuple[int, int], ...]:
        """Case and model of each member; a discharge without a model is a member too."""
        models = range(max(1, len(self.models)))
        return tuple((case, model) for case in range(len(self.cases)) for model in models)

    def member_name(self, member: int) -> str:
        """Return the choices of a member, ``gate:bed:mosaic:model``."""
        case, model = self.members[member]
        gate, bed, mosaic = self.cases[case]
        named = [self.gate_sets[gate], self.beds[bed], self.mosaics[mosaic]]
        return ":".join([*named, *self.models[model : model + 1]])

    def bytes(self) -> int:
        """Return the size of the arrays, uncompressed [B]."""
        return sum(array.bytes() for array in arrays(self))


def arrays(layout: Layout) -> list[Array]:
    """Return every array that keys of work fill."""
    return [
        *_at_nodes(layout),
        *_by_case(layout),
        *_below_gates(layout),
        *_by_month(layout),
        *_by_row(layout),
        *_maps(layout),
    ]


def _at_nodes(layout: Layout) -> list[Array]:
    n, block = len(layout.nodes.x), min(layout.per_task, max(1, len(layout.nodes.x)))

    def array(name: str, first: tuple[tuple[str, int], ...], unit: str, about: str, dtype: str,
              *, apart: int = 0) -> Array:  # fmt: skip
        """Return an array over nodes; its first ``apart`` dimensions are cut into ones."""
        sizes = tuple(size for _, size in first)
        chunks = (*((1,) * apart), *sizes[apart:], block)
        dims = (*(name for name, _ in first), "node")
        return Array(name, dims, (*sizes, n), chunks, unit, about, dtype)

    maps = (("map", len(layout.maps)),)
    beds = (("bed", len(layout.beds)),)
    mosaics = (("mosaic", len(layout.mosaics)), ("year", len(layout.years)))
    speed = "m yr-1"
    return [
        *(array(f"map_{name}", maps, speed, f"{about} of each velocity map at the nodes", "float32")
          for name, about in _VELOCITY),
        array("thickness", beds, "m", "Ice-equivalent thickness at the nodes", "float32"),
        array("thickness_sigma", beds, "m", "Standard deviation of the thickness", "float32"),
        *(array(name, mosaics, speed, f"{about} of the mosaics at the nodes", "float32", apart=1)
          for name, about in _VELOCITY),
        array("velocity_source", mosaics, "1",
              "Layer that filled the node, from 1; 0 where none did", "int8", apart=1),
        array("velocity_map", mosaics, "1",
              "Map or pair of maps that the velocity is from, from 1; errors are shared by map",
              "int32", apart=1),
        Array("node_flux", ("case", "node"), (len(layout.cases), n), (1, n), FLUX,
              "Flux through each node's segment, mean of the years", "float32"),
    ]  # fmt: skip


_VELOCITY = (
    ("v_x", "Velocity along x"), ("v_y", "Velocity along y"),
    ("v_x_sigma", "Standard deviation of the velocity along x"),
    ("v_y_sigma", "Standard deviation of the velocity along y"),
)  # fmt: skip


def _by_case(layout: Layout) -> list[Array]:
    """Return what the flux stage makes of each case: sums, covariances, where velocity is from."""
    r, g = len(layout.regions), len(layout.gate_sets)
    cases, years = len(layout.cases), len(layout.years)
    terms, wide = len(FLUX_TERMS), len(layout.places.flux_names)
    layers = 1 + max((len(each) for each in layout.attributes["nunatak:layers"]), default=0)
    return [
        Array("case_ice_flux", ("case", "year", "region"), (cases, years, r), (1, years, r), FLUX,
              "Mass through the gate, outward"),
        Array("gate_ice_flux", ("case", "year", "gate"), (cases, years, layout.nodes.most_gates),
              (1, years, layout.nodes.most_gates), FLUX, "Mass through each gate of the set"),
        Array("gate_sign", ("case", "gate"), (cases, layout.nodes.most_gates),
              (1, layout.nodes.most_gates), "1",
              "Which way is outward: -1 where an open gate was drawn against its flow"),
        Array("gate_flux_covariance", ("case", "gate", "year", "year_2"),
              (cases, layout.nodes.most_gates, years, years),
              (1, layout.nodes.most_gates, years, years), "kg2 yr-2",
              "Covariance between years of the flux through each gate"),
        Array("case_flux_covariance", ("case", "term", "flux_row", "year", "year_2"),
              (cases, terms, wide, years, years), (1, terms, wide, years, years),
              "kg2 yr-2", "Covariance of the flux between years, by source of error"),
        Array("case_paper_sigma", ("case", "term", "flux_row", "year"),
              (cases, terms, wide, years), (1, terms, wide, years), FLUX,
              "Spread of the flux by equations 5 to 7 of Yang et al. (2023)"),
        Array("case_monte_carlo_sigma", ("case", "flux_row", "year"), (cases, wide, years),
              (1, wide, years), FLUX, "Spread of the flux over drawn errors"),
        Array("coverage", ("mosaic", "gate_set", "weight", "year", "region", "layer"),
              (len(layout.mosaics), g, len(WEIGHTS), years, r, layers),
              (1, 1, len(WEIGHTS), years, r, layers), "1",
              "Part of each region's gate that each layer gave; the last is what none gave"),
    ]  # fmt: skip


def _below_gates(layout: Layout) -> list[Array]:
    """Return sums between gates and grounding line, and areas."""
    r, g, rows = len(layout.regions), len(layout.gate_sets), len(layout.rows)
    return [
        whole("volume_rate", ("gate_set", "region"), (g, r), "m3 yr-1",
              "Rate of ice volume between gate and grounding line"),
        whole("volume_rate_missing", ("gate_set", "region"), (g, r), "1",
              "Part of the area between gate and grounding line without a measured rate"),
        whole("sliver_area", ("gate_set", "region"), (g, r), "m2",
              "Area between gate and grounding line, less what the gate encloses beyond it"),
        whole("sliver_area_gross", ("gate_set", "region"), (g, r), "m2",
              "Area between gate and grounding line on either side of the line"),
        Array("is_closed", ("gate_set", "region"), (g, r), (g, r), "1",
              "1 where the gates leave no way around them, so that their flux is the region's",
              "int8"),
        whole("sliver_melt", ("gate_set", "region"), (g, r), FLUX,
              "Basal melt between gate and grounding line"),
        whole("region_melt", ("region",), (r,), FLUX, "Basal melt of the grounded ice"),
        whole("region_area", ("row",), (rows,), "m2", "Area of the grounded ice"),
    ]  # fmt: skip


def _by_month(layout: Layout) -> list[Array]:
    """Return the months of climate models; none of a run without any."""
    r, g, m = len(layout.regions), len(layout.gate_sets), len(layout.months)
    count = len(layout.records)
    if not (count and m):
        return []
    return [
        Array("record_smb", ("record", "month", "region"), (count, m, r), (1, m, r), "kg",
              "Surface mass balance of the month"),
        Array("record_missing", ("record", "month", "region"), (count, m, r), (1, m, r), "1",
              "Part of the region's area where the model has no value"),
        Array("record_sliver_smb", ("record", "gate_set", "month", "region"), (count, g, m, r),
              (1, g, m, r), "kg", "Surface mass balance between gate and grounding line"),
    ]  # fmt: skip


def _by_row(layout: Layout) -> list[Array]:
    members, years, rows = len(layout.members), len(layout.years), len(layout.rows)
    shape = (members, len(QUANTITIES), years, rows)
    wide = (members, len(QUANTITIES), rows, years, years)
    return [
        Array("budget", ("member", "quantity", "year", "row"), shape, (1, *shape[1:]), FLUX,
              "Terms of the mass budget"),
        Array("budget_covariance", ("member", "quantity", "row", "year", "year_2"), wide,
              (1, *wide[1:]), "kg2 yr-2", "Covariance of the terms between years"),
        Array("replaced_mass_balance", ("member", "year", "row"), (members, years, rows),
              (1, years, rows), FLUX, "Mass balance with regions replaced as the run says"),
        Array("replaced_covariance", ("member", "row", "year", "year_2"),
              (members, rows, years, years), (1, rows, years, years), "kg2 yr-2",
              "Its covariance between years"),
        Array("balance_term_covariance", ("member", "error_term", "row", "year", "year_2"),
              (members, len(ERROR_TERMS), rows, years, years),
              (1, len(ERROR_TERMS), rows, years, years), "kg2 yr-2",
              "Covariance between years of the native mass balance, by source of error"),
        whole("hindcast_sigma", ("model", "row"), (max(1, len(layout.models)), rows), FLUX,
              "Error of a year's surface mass balance where the reanalysis continues the model"),
        Array("is_extended", ("model", "year", "region"),
              (max(1, len(layout.models)), years, len(layout.regions)),
              (max(1, len(layout.models)), years, len(layout.regions)), "1",
              "Part of the year's months that the reanalysis gives"),
    ]  # fmt: skip


def _maps(layout: Layout) -> list[Array]:
    if not layout.x.size:
        return []
    shape = (len(layout.years), len(layout.y), len(layout.x))
    return [
        Array("speed", ("year", "y", "x"), shape, (1, *shape[1:]), "m yr-1",
              "Ice speed of the first mosaic", "float32"),
    ]  # fmt: skip


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the arrays of the product and write what is known before anything is computed."""
    create_arrays(group, arrays(layout), layout.attributes)
    if layout.x.size:
        polar_axes(group, {"x": layout.x, "y": layout.y})
    layout.nodes.write(group)
    for name in ("regions", "rows", "gate_sets", "beds", "mosaics", "records", "models", "maps"):
        labels(group, name.removesuffix("s"), getattr(layout, name))
    labels(group, "flux_row", layout.places.flux_names)
    labels(group, "year", [year.label for year in layout.years])
    for end in ("start", "end"):
        days = np.array([getattr(year, end) for year in layout.years], dtype="datetime64[D]")
        _days(group, f"year_{end}", ("year",), days)
    _days(group, "month", ("month",), layout.months.astype("datetime64[D]"))
    for name, names in (("quantity", QUANTITIES), ("term", FLUX_TERMS), ("weight", WEIGHTS),
                        ("error_term", ERROR_TERMS)):  # fmt: skip
        labels(group, name, names)
    for name, of in (("case_choice", layout.cases), ("member_choice", layout.members)):
        choices = np.array(of, dtype="int32")
        dims = (name.removesuffix("_choice"), f"{name.removesuffix('_choice')}_part")
        coordinate(group, name, dims, choices, {"long_name": _CHOICES[name]})


_CHOICES = {
    "case_choice": "Index of the gate set, the bed and the mosaic of each case",
    "member_choice": "Index of the case and of the model of each member",
}


def _days(
    group: zarr.Group, name: str, dims: tuple[str, ...], days: NDArray[np.datetime64]
) -> None:
    attributes = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    if days.size:
        coordinate(group, name, dims, days.astype("int64"), attributes)
