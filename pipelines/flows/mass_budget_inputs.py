"""What a mass-budget run reads: velocity maps, thickness, gates, climate models, polygons.

Only item records, small tables of lines and polygons, and time axes are read here; maps are opened
on the workers, at the nodes of the gates alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.flows import catalogue_inputs
from pipelines.flows.catalogue_inputs import POLYGONS, InputError, Source, input_item, source_of
from pipelines.lifecycle import InputItem
from pipelines.settings_mass_budget import Layer, Model, Mosaic, Part
from stac import contracts
from stac.catalogue import Catalogue, open_catalogue

if TYPE_CHECKING:
    import pystac

    from pipelines.settings import Run

GRIDDED, TABULATED = "surface-mass-balance", "surface-mass-balance-regions"
"""Kinds of surface mass balance: amounts of model cells, or sums over the regions of a table."""

COARSE_M = 5000.0
"""Cells wider than this do not resolve the outlets that carry most ice [m]."""

KINDS = {
    "velocity": ("velocity",),
    "thickness": ("thickness",),
    "gates": ("gates",),
    "surface_mass_balance": (GRIDDED, TABULATED),
    "reanalysis": (GRIDDED, TABULATED),
    "elevation_rate": ("elevation-rate",),
    "basal_melt": ("basal-melt",),
    "regions": POLYGONS,
    "grounded_ice": POLYGONS,
}
"""Kinds of collection that can play each role."""


@dataclass(frozen=True)
class VelocityMap:
    """One map of velocity: where it is, of which time, and what its product promises."""

    collection: str
    source: Source
    start: dt.date
    end: dt.date
    product: str
    frame: str
    sigma_kind: str

    @property
    def middle(self) -> dt.date:
        """Middle of its time."""
        return self.start + (self.end - self.start) / 2


@dataclass(frozen=True)
class Record:
    """One climate model: the items that hold its months, in order."""

    name: str
    kind: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class MassBudgetInputs:
    """The resolved inputs of a mass-budget run."""

    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    maps: tuple[VelocityMap, ...]
    mosaics: tuple[Mosaic, ...]
    thickness: tuple[tuple[str, Source], ...]
    gates: tuple[tuple[str, Source], ...]
    records: tuple[Record, ...]
    models: tuple[Model, ...]
    reanalysis: Record | None
    elevation_rate: Source | None
    basal_melt: Source | None
    regions: pystac.Item
    grounded_ice: pystac.Item
    notes: tuple[str, ...]

    def record(self, name: str) -> Record:
        """Return a climate model by the name of its collection."""
        return next(each for each in self.records if each.name == name)


def resolve(run: Run) -> MassBudgetInputs:
    """Find every input of ``run`` in its catalogue.

    Raises
    ------
    InputError
        What the run file asks for is not there, or does not fit together.
    """
    named = _named(run)
    maps = tuple(m for name in run.inputs.velocity for m in _maps(name, named[f"velocity/{name}"]))
    mosaics = run.choices.mosaics or (_default_mosaic(run.inputs.velocity),)
    _require_layers(mosaics, run.inputs.velocity)
    records = tuple(
        _record(name, named[f"surface_mass_balance/{name}"])
        for name in run.inputs.surface_mass_balance
    )
    models = run.choices.surface_mass_balance.models or tuple(
        Model(record.name, (Part(record.name),)) for record in records
    )
    _require_parts(models, run.inputs.surface_mass_balance)
    _require_gates(run)
    _require_regions(named)
    return MassBudgetInputs(
        items=tuple(
            input_item(r.partition("/")[0], i) for r, items in named.items() for i in items
        ),
        sources=tuple(item for items in named.values() for item in items),
        maps=maps,
        mosaics=mosaics,
        thickness=_one_each(named, "thickness"),
        gates=_one_each(named, "gates"),
        records=records,
        models=models,
        reanalysis=_reanalysis(run, named),
        elevation_rate=_source(named, "elevation_rate"),
        basal_melt=_source(named, "basal_melt"),
        regions=named["regions"][0],
        grounded_ice=named["grounded_ice"][0],
        notes=tuple(_notes(run, maps, named)),
    )


def _named(run: Run) -> dict[str, list[pystac.Item]]:
    """Return the items of every role, by ``role/collection`` where a role may have several."""
    catalogue = open_catalogue(run.catalogue)
    named: dict[str, list[pystac.Item]] = {}
    for role in ("velocity", "thickness", "gates", "surface_mass_balance"):
        for name in getattr(run.inputs, role):
            named[f"{role}/{name}"] = _all(catalogue, name, role)
    for role in ("grounded_ice", "elevation_rate", "basal_melt"):
        if (name := getattr(run.inputs, role)) is not None:
            named[role] = [_single(catalogue, name, role)]
    if run.inputs.reanalysis is not None:
        named["reanalysis"] = _all(catalogue, run.inputs.reanalysis, "reanalysis")
    named["regions"] = [_single(catalogue, run.regions, "regions")]
    return named


def _all(catalogue: Catalogue, name: str, role: str) -> list[pystac.Item]:
    return catalogue_inputs.all_of(catalogue, name, role=role, kinds=KINDS[role])


def _single(catalogue: Catalogue, name: str, role: str) -> pystac.Item:
    return catalogue_inputs.single(catalogue, name, role=role, kinds=KINDS[role])


def _source(named: dict[str, list[pystac.Item]], role: str) -> Source | None:
    return source_of(named[role][0]) if role in named else None


def _one_each(named: dict[str, list[pystac.Item]], role: str) -> tuple[tuple[str, Source], ...]:
    """Return the one item of each collection of a role; several would be no one choice."""
    found = []
    for key, items in named.items():
        if not key.startswith(f"{role}/"):
            continue
        name = key.partition("/")[2]
        if len(items) > 1:
            names = ", ".join(f"{name}/{item.id}" for item in items)
            msg = (
                f"inputs.{role}: {name!r} holds {len(items)} items, but is one choice of the "
                f"ensemble; name them apart: {names}"
            )
            raise InputError(msg)
        found.append((name, source_of(items[0])))
    return tuple(found)


def _maps(name: str, items: Sequence[pystac.Item]) -> Iterable[VelocityMap]:
    for item in items:
        told = [str(item.properties.get(f"{end}_datetime") or "")[:10] for end in ("start", "end")]
        if "" in told:
            msg = (
                f"inputs.velocity: {item.id} does not say of which time its map is; ingest it from "
                "a file that does, or one named as its publisher names it"
            )
            raise InputError(msg)
        properties = item.properties
        yield VelocityMap(
            collection=name,
            source=source_of(item),
            start=dt.date.fromisoformat(told[0]),
            end=dt.date.fromisoformat(told[1]) + dt.timedelta(days=1),
            product=str(properties.get("nunatak:product", "unknown")),
            frame=str(properties.get("nunatak:velocity_frame", "unknown")),
            sigma_kind=str(properties.get("nunatak:sigma_kind", "unknown")),
        )


def _default_mosaic(collections: Sequence[str]) -> Mosaic:
    """Return the order in which collections are named: maps of years first, then the nearest."""
    first = Layer(collections[0])
    others = tuple(Layer(name, use="nearest_year") for name in collections[1:])
    return Mosaic("default", (first, *others))


def _require_layers(mosaics: Sequence[Mosaic], collections: Sequence[str]) -> None:
    for mosaic in mosaics:
        for layer in mosaic.layers:
            if layer.collection not in collections:
                msg = (
                    f"mass_budget.mosaics: {mosaic.name!r} has a layer of {layer.collection!r}, "
                    f"but inputs.velocity names {', '.join(collections)}; add it there"
                )
                raise InputError(msg)


def _require_parts(models: Sequence[Model], collections: Sequence[str]) -> None:
    for model in models:
        for part in model.parts:
            if part.collection not in collections:
                msg = (
                    f"mass_budget.surface_mass_balance.models: {model.name!r} has a part of "
                    f"{part.collection!r}, but inputs.surface_mass_balance names "
                    f"{', '.join(collections) or 'nothing'}; add it there"
                )
                raise InputError(msg)


def _require_regions(named: dict[str, list[pystac.Item]]) -> None:
    """Refuse tables by region that are of other regions than the run's."""
    regions = set(map(str, contracts.open_regions(named["regions"][0]).region))
    for key, items in named.items():
        for item in items:
            if item.properties.get("nunatak:kind") != TABULATED:
                continue
            held = [str(name) for name in contracts.open_item(item).region.values]
            if not regions.intersection(held):
                msg = (
                    f"inputs.{key.partition('/')[0]}: {item.id} is a table of regions "
                    f"{', '.join(held[:6])} …, the run has {', '.join(sorted(regions)[:6])} …; "
                    "take the table of the run's regions, or a model on its own cells"
                )
                raise InputError(msg)


def _require_gates(run: Run) -> None:
    if not run.inputs.gates and not run.choices.gates.generate_km:
        msg = (
            "inputs.gates: no gate at all; name a collection of gates, or distances inland of the "
            "grounding line at mass_budget.gates.generate_km, such as [5, 10]"
        )
        raise InputError(msg)


def _record(name: str, items: Sequence[pystac.Item]) -> Record:
    kinds = sorted({str(item.properties.get("nunatak:kind")) for item in items})
    if len(kinds) > 1:
        msg = (
            f"inputs: {name!r} holds items of {' and '.join(kinds)}; amounts of cells and sums "
            "over regions are two records: put them into two collections"
        )
        raise InputError(msg)
    ordered = sorted(items, key=lambda item: str(item.properties.get("start_datetime")))
    return Record(name, kinds[0], tuple(source_of(item) for item in ordered))


def _reanalysis(run: Run, named: dict[str, list[pystac.Item]]) -> Record | None:
    if "reanalysis" not in named:
        return None
    return _record(run.inputs.reanalysis, named["reanalysis"])


def _notes(
    run: Run, maps: Sequence[VelocityMap], named: dict[str, list[pystac.Item]]
) -> Iterable[str]:
    """Say what a person should know before numbers are made."""
    for role, items in named.items():
        yield from _coarse_notes(role.partition("/")[0], items)
    bare = sorted({each.collection for each in maps if each.sigma_kind != "absolute"})
    if bare:
        sigma = run.choices.uncertainty.velocity_sigma_m_per_yr
        yield f"velocity of {', '.join(bare)}: no errors in m/yr; {sigma:g} m/yr stand for them"
    for each in maps:
        if each.end - each.start > dt.timedelta(days=800):
            span = (
                "tells no time" if each.start.year < 1950 else f"is of {each.start} to {each.end}"
            )
            yield f"velocity of {each.source.id} {span}; it stands for any year that asks for it"
    unknown = sorted({each.collection for each in maps if each.frame == "unknown"})
    if unknown:
        yield (
            f"velocity of {', '.join(unknown)}: the product does not say whether its metres are "
            "on the ground or on the map; taken as on the ground"
        )
    if not run.inputs.surface_mass_balance:
        yield (
            "no surface mass balance: discharge is made without the snow between gate and "
            "grounding line, and no balance"
        )
    if run.inputs.elevation_rate is None:
        yield "no elevation_rate: thinning between gate and grounding line is left out"
    for item in (i for key, items in named.items() if key.startswith("thickness/") for i in items):
        if item.properties.get("nunatak:thickness_kind") not in {"ice_equivalent", None}:
            kind = item.properties["nunatak:thickness_kind"]
            yield f"thickness of {item.id} is {kind}: it holds firn air, so its flux is too large"


def _coarse_notes(role: str, items: Sequence[pystac.Item]) -> Iterable[str]:
    """Say which maps are wider than outlets are."""
    if role not in {"velocity", "thickness"}:
        return
    for item in items:
        spacing = float(item.properties.get("nunatak:spacing_m", 0.0))
        if spacing > COARSE_M:
            yield (
                f"{role} of {item.id}: cells of {spacing / 1000.0:g} km average outlets narrower "
                "than two of them away; discharge will be too small"
            )
