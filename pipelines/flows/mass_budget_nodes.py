"""The nodes of all gate sets of a run: read or generated lines, cut into segments.

Nodes are geometry, known before anything is computed: planning makes them, the product's template
writes them, and workers read them from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.product_arrays import coordinate
from pipelines.geometry import gate_generator, gate_lines, gate_parts, region_borders
from pipelines.kernels.budget.flux_gate import GateError
from stac import boundaries, contracts

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.mass_budget_inputs import MassBudgetInputs
    from pipelines.settings import Run
    from pipelines.settings_mass_budget import Gates

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

FIELDS = {
    "x": ("m", "x of the middle of a segment in EPSG:3031"),
    "y": ("m", "y of the middle of a segment in EPSG:3031"),
    "w_x": ("m", "Outward true width along x"),
    "w_y": ("m", "Outward true width along y"),
    "length": ("m", "True length of the segment"),
    "region": ("1", "Region, counted from 0; -1 outside all"),
    "patch": ("1", "Patch of common errors"),
    "gate": ("1", "Gate within its set"),
    "is_open": ("1", "Whether the gate is an open line, whose outside is where its ice goes"),
    "gate_set": ("1", "Gate set"),
}
"""What is stored of every node, as ``node_NAME``."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of all gate sets, one set after the other; arrays of shape (node,).

    See :class:`pipelines.geometry.gate_lines.GateNodes` for the fields; ``gates`` are the names of
    the gates of each set.
    """

    x: FLOAT
    y: FLOAT
    w_x: FLOAT
    w_y: FLOAT
    length: FLOAT
    region: INT
    patch: INT
    gate: INT
    is_open: INT
    gate_set: INT
    gates: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def most_gates(self) -> int:
        """How many gates the largest set has."""
        return max((len(names) for names in self.gates), default=0)

    def write(self, group: zarr.Group) -> None:
        """Write them as coordinates of the product."""
        for name, (unit, about) in FIELDS.items():
            attributes = {"units": unit, "long_name": about}
            coordinate(group, f"node_{name}", ("node",), getattr(self, name), attributes)


def read(group: zarr.Group) -> Nodes:
    """Return the nodes that the template of a product wrote; names and notes are left out."""
    values = {name: stored.array(group, f"node_{name}")[...] for name in FIELDS}
    return Nodes(**{k: np.asarray(v) for k, v in values.items()}, gates=(), notes=())


@dataclass(frozen=True)
class Lines:
    """Where the lines of a gate set are: a collection, or so far inland of the grounding line."""

    name: str
    source: Source | None
    inland_m: float = 0.0

    def open(self, grounded: gpd.GeoDataFrame, choices: Gates) -> gpd.GeoDataFrame:
        """Return the lines: columns ``gate``, ``closed`` and geometry in EPSG:3031."""
        if self.source is not None:
            return _selected(contracts.open_gates(self.source.item()), choices.only, self.name)
        return gate_generator.generate(
            boundaries.union(grounded),
            distance_m=self.inland_m,
            smallest_area_m2=1e6 * choices.smallest_km2,
            simplify_m=0.1 * self.inland_m,
        )


def _selected(table: gpd.GeoDataFrame, only: tuple[str, ...], name: str) -> gpd.GeoDataFrame:
    """Return the gates that a run asks for, all of them if it names none."""
    if not only:
        return table
    unknown = sorted(set(only) - set(table.gate))
    if unknown:
        msg = (
            f"mass_budget.gates.only: {name!r} has no gate {', '.join(unknown)}; it holds "
            f"{', '.join(map(str, table.gate[:12]))}"
        )
        raise InputError(msg)
    return table[table.gate.isin(only)].reset_index(drop=True)


def gate_sets(run: Run, found: MassBudgetInputs) -> tuple[Lines, ...]:
    """Return the gate sets of a run: those read, then those generated."""
    read_ones = (Lines(name, source) for name, source in found.gates)
    made = (
        Lines(f"inland_{distance:g}km", None, 1000.0 * distance)
        for distance in run.choices.gates.generate_km
    )
    return (*read_ones, *made)


def nodes_of(run: Run, found: MassBudgetInputs) -> Nodes:
    """Return the nodes of every gate set of a run.

    Raises
    ------
    InputError
        A gate that cannot be used, or regions that overlap.
    """
    regions = contracts.open_regions(found.regions)
    grounded = contracts.open_regions(found.grounded_ice)
    choices = run.choices.gates
    _require_apart(regions)
    made: list[gate_lines.GateNodes] = []
    closed: list[INT] = []
    for lines in gate_sets(run, found):
        table = lines.open(grounded, choices)
        try:
            _require_once(table)
            made.append(
                gate_lines.gate_nodes(
                    table,
                    regions,
                    spacing_m=1000.0 * choices.spacing_km,
                    patch_km=run.choices.uncertainty.correlation_km,
                    snap_m=1000.0 * choices.snap_km,
                )
            )
        except GateError as error:
            msg = f"inputs.gates: {lines.name}: {error}"
            raise InputError(msg) from error
        is_closed = dict(zip(table.gate, table.closed, strict=True))
        closed.append(np.array([is_closed[name] for name in made[-1].gate_names], dtype=np.int64))
    names = [lines.name for lines in gate_sets(run, found)]
    return _together(names, made, closed)


def _require_once(table: gpd.GeoDataFrame) -> None:
    """Refuse closed gates within each other: their flux would be summed twice."""
    twice = gate_parts.enclosed_twice(gate_parts.gate_parts(table))
    if twice:
        msg = f"{twice[0]}; name those to use at mass_budget.gates.only, or ingest each by itself"
        raise GateError(msg)


def _require_apart(regions: gpd.GeoDataFrame) -> None:
    """Refuse regions that share more than a strip of ice, wherever the gates are."""
    shapes = regions.geometry.to_numpy()
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for i, j in zip(first, second, strict=True):
        if i >= j:
            continue
        shared = region_borders.wide_parts(shapely.intersection(shapes[i], shapes[j]))
        if len(shared):
            area = float(shapely.area(shared).sum()) / 1e6
            msg = (
                f"regions {regions.region[i]} and {regions.region[j]} share {area:.0f} km2, "
                "which would be counted twice; cut one of them, or take another collection"
            )
            raise InputError(msg)


def _together(names: list[str], made: list[gate_lines.GateNodes], closed: list[INT]) -> Nodes:
    """Return the nodes of all sets in one; patches that sets share have one number."""

    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(each, name) for each in made])

    sizes = [len(each.x) for each in made]
    return Nodes(
        **{name: joined(name).astype("f8") for name in ("x", "y", "w_x", "w_y", "length")},
        **{name: joined(name).astype("i8") for name in ("region", "patch", "gate")},
        is_open=1 - np.concatenate(
            [each[nodes.gate] for each, nodes in zip(closed, made, strict=True)]
        ),
        gate_set=np.repeat(np.arange(len(made)), sizes),
        gates=tuple(tuple(each.gate_names) for each in made),
        notes=tuple(
            f"gates {name}: {note}" for name, each in zip(names, made, strict=True)
            for note in each.notes
        ),
    )  # fmt: skip
