"""What an altimetry run reads: elevation rates or granules, fields of the density models, polygons.

Only item records and coordinates are read here; the rates are opened on the workers, one member a
task.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import catalogue_inputs
from pipelines.flows.catalogue_inputs import POLYGONS, InputError, Source, input_item, source_of
from pipelines.kernels import geodesy
from pipelines.kernels.constants import DAYS_PER_YEAR
from pipelines.lifecycle import InputItem
from stac import contracts
from stac.catalogue import Catalogue, open_catalogue

if TYPE_CHECKING:
    import pystac
    import xarray as xr

    from pipelines.settings import Run

FLOAT = NDArray[np.float64]

RATES, GRANULES = "elevation-rate", "elevation"
"""Kinds of collection that elevation rates come from: gridded, or to be fitted."""

KINDS = {
    "elevation_rate": (RATES, GRANULES),
    "velocity": ("velocity",),
    "surface_processes": ("surface-processes",),
    "surface_elevation": ("surface-elevation",),
    "regions": POLYGONS,
    "grounded_ice": POLYGONS,
}
"""Kinds of collection that can play each role."""

NEEDED = {"fast_or_lowering": "velocity", "surface_processes": "surface_processes"}
"""Density models that need a field of their own, and its role."""

LONGEST_SHIFT = dt.timedelta(days=31)
"""Rates whose period begins or ends farther from the run's are not of the same trend."""

MARGIN_M = 25_000.0
"""How far a grid that is fitted here reaches beyond the grounded ice [m]."""


@dataclass(frozen=True)
class Member:
    """One field of elevation rates: its place in the ensemble, and where it comes from."""

    index: int
    label: str
    source: Source | None
    position: int = 0

    @property
    def key(self) -> str:
        """Key of the work on this member."""
        return f"height/{self.index}"


@dataclass(frozen=True)
class AltimetryInputs:
    """The resolved inputs of an altimetry run."""

    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    members: tuple[Member, ...]
    member_dimensions: str
    x: FLOAT
    y: FLOAT
    granules: tuple[pystac.Item, ...]
    velocity: pystac.Item | None
    surface_processes: pystac.Item | None
    surface_elevation: pystac.Item | None
    regions: pystac.Item
    grounded_ice: pystac.Item
    notes: tuple[str, ...]


def resolve(run: Run) -> AltimetryInputs:
    """Find every input of ``run`` in its catalogue; members must lie on one grid.

    Raises
    ------
    InputError
        What the run file asks for is not there, or does not fit together.
    """
    catalogue = open_catalogue(run.catalogue)
    rates = [i for name in run.inputs.elevation_rate for i in _all(catalogue, name)]
    named = {
        role: _single(catalogue, getattr(run.inputs, role), role)
        for role in ("velocity", "surface_processes", "surface_elevation")
        if getattr(run.inputs, role) is not None
    }
    named["regions"] = _single(catalogue, run.regions, "regions")
    named["grounded_ice"] = _single(catalogue, run.inputs.grounded_ice, "grounded_ice")
    _require_density_fields(run, named)
    gridded = _kind_of(rates) == RATES
    members, dimensions, x, y = _gridded(rates) if gridded else _fitted(run, named["grounded_ice"])
    if not gridded:
        rates = _granules_in_period(run, rates)
    _require_carried(run, x, named["grounded_ice"])
    roles = [("elevation_rate", item) for item in rates] + list(named.items())
    return AltimetryInputs(
        items=tuple(input_item(role, item) for role, item in roles),
        sources=tuple(item for _, item in roles),
        members=members,
        member_dimensions=dimensions,
        x=x,
        y=y,
        granules=() if gridded else tuple(rates),
        velocity=named.get("velocity"),
        surface_processes=named.get("surface_processes"),
        surface_elevation=named.get("surface_elevation"),
        regions=named["regions"],
        grounded_ice=named["grounded_ice"],
        notes=tuple(_period_notes(run, rates)) if gridded else (),
    )


def _all(catalogue: Catalogue, name: str) -> list[pystac.Item]:
    role = "elevation_rate"
    return catalogue_inputs.all_of(catalogue, name, role=role, kinds=KINDS[role])


def _single(catalogue: Catalogue, name: str, role: str) -> pystac.Item:
    return catalogue_inputs.single(catalogue, name, role=role, kinds=KINDS[role])


def _require_density_fields(run: Run, named: dict[str, pystac.Item]) -> None:
    """Refuse density models whose fields the run file does not name."""
    for model, role in NEEDED.items():
        if model in run.choices.density.models and role not in named:
            kept = ", ".join(name for name in run.choices.density.models if name != model)
            msg = (
                f"altimetry.density.models: {model!r} needs inputs.{role}, which is missing; name "
                f"a collection of kind {KINDS[role][0]!r}, or keep models [{kept}]"
            )
            raise InputError(msg)


def _kind_of(items: Sequence[pystac.Item]) -> str:
    """Return the kind of all items, which is one."""
    kinds = sorted({str(item.properties.get("nunatak:kind")) for item in items})
    if len(kinds) > 1:
        msg = (
            f"inputs.elevation_rate: found items of kinds {' and '.join(kinds)}, expected one; "
            "gridded rates and granules make different ensembles: run each by itself"
        )
        raise InputError(msg)
    return kinds[0]


def _gridded(
    items: Sequence[pystac.Item],
) -> tuple[tuple[Member, ...], str, FLOAT, FLOAT]:
    """Return the members of gridded rates, what tells them apart, and their one grid."""
    members: list[Member] = []
    opened = [(item, contracts.open_item(item)) for item in items]
    for item, data in opened:
        _require_same_grid(opened[0], (item, data))
        for position, label in enumerate(str(name) for name in data.member.values):
            members.append(Member(len(members), label, source_of(item), position))
    labels = [member.label for member in members]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        msg = (
            f"inputs.elevation_rate: members {', '.join(twice)} come more than once; name one "
            "collection or item of each, for instance COLLECTION/ITEM"
        )
        raise InputError(msg)
    first = opened[0][1]
    dimensions = str(first.attrs.get("member_dimensions", ""))
    return tuple(members), dimensions, first.x.values, first.y.values


def _require_same_grid(
    former: tuple[pystac.Item, xr.Dataset], latter: tuple[pystac.Item, xr.Dataset]
) -> None:
    for axis in ("x", "y"):
        held, found = (each[1][axis].values for each in (former, latter))
        if not np.array_equal(held, found):
            msg = (
                f"inputs.elevation_rate: {latter[0].id} has another grid than {former[0].id}: "
                f"{axis} has {found.size} cells from {found[0]:g} to {found[-1]:g} m, expected "
                f"{held.size} from {held[0]:g} to {held[-1]:g} m; regrid one of them to the other"
            )
            raise InputError(msg)


def _fitted(run: Run, grounded: pystac.Item) -> tuple[tuple[Member, ...], str, FLOAT, FLOAT]:
    """Return a member per fit, and the grid of the fits, which covers the grounded ice."""
    fits = run.choices.fits
    if "M1" in fits.models and run.inputs.surface_elevation is None:
        kept = ", ".join(name for name in fits.models if name != "M1")
        msg = (
            "altimetry.fits.models: 'M1' subtracts a DEM, but inputs.surface_elevation is "
            f"missing; name a collection of kind 'surface-elevation', or keep models [{kept}]"
        )
        raise InputError(msg)
    members = tuple(Member(i, name, None) for i, name in enumerate(fits.models))
    bounds = contracts.open_regions(grounded).total_bounds
    step = 1_000.0 * fits.spacing_km
    low = np.floor((bounds[:2] - MARGIN_M) / step) * step
    high = np.ceil((bounds[2:] + MARGIN_M) / step) * step
    x, y = (np.arange(low[i] + step / 2, high[i], step) for i in (0, 1))
    return members, "fit", x, y[::-1].copy()


def _period_notes(run: Run, items: Sequence[pystac.Item]) -> list[str]:
    """Refuse rates of another period than the run's; say where they differ by days, or are silent.

    A rate cannot be cut to a period: rates of other years are another trend.
    """
    notes = []
    for item in items:
        told = [item.properties.get(f"{end}_datetime") for end in ("start", "end")]
        asked = f"the run has {run.period[0]} to {run.period[1]}"
        if None in told or not str(item.properties.get("nunatak:time_start", "told")):
            notes.append(f"{item.id}: does not say of which period its rates are; {asked}")
            continue
        found = [dt.date.fromisoformat(str(day)[:10]) for day in told]
        shift = max(abs(a - b) for a, b in zip(found, run.period, strict=True))
        if shift > LONGEST_SHIFT:
            msg = (
                f"inputs.elevation_rate: {item.id} holds rates of {found[0]} to {found[1]}, "
                f"{asked}; rates of different periods are different trends: change one of them"
            )
            raise InputError(msg)
        if shift > dt.timedelta(0):
            notes.append(f"{item.id}: rates of {found[0]} to {found[1]}, {asked}")
    return notes


def _granules_in_period(run: Run, items: Sequence[pystac.Item]) -> list[pystac.Item]:
    """Return the granules that touch the period; refuse a record too short for any pixel."""
    first, last = (day.isoformat() for day in run.period)
    days = [
        (str(item.properties["start_datetime"])[:10], str(item.properties["end_datetime"])[:10])
        for item in items
    ]
    chosen = [i for i, (start, end) in enumerate(days) if start <= last and end >= first]
    if not chosen:
        found = f"{min(start for start, _ in days)} to {max(end for _, end in days)}"
        msg = (
            f"period {first} to {last}: none of {len(items)} granules is of it, they are of "
            f"{found}; change the period, or ingest others"
        )
        raise InputError(msg)
    begins, ends = min(days[i][0] for i in chosen), max(days[i][1] for i in chosen)
    years = (dt.date.fromisoformat(ends) - dt.date.fromisoformat(begins)).days / DAYS_PER_YEAR
    if years < run.choices.fits.least_years:
        msg = (
            f"altimetry.fits.least_years: granules of {begins} to {ends} span {years:.2f} years, "
            f"but a pixel needs {run.choices.fits.least_years:g}, so that none can be fitted; "
            "ingest a longer record, or lower it"
        )
        raise InputError(msg)
    return [items[i] for i in chosen]


def _require_carried(run: Run, x: FLOAT, grounded: pystac.Item) -> None:
    """Refuse a degree that the rates do not carry, and cells that do not reach the ice's edge."""
    spacing_km = abs(float(x[1] - x[0])) / 1e3
    carried = int(20_000.0 / spacing_km)
    if run.choices.j_max > carried:
        msg = (
            f"altimetry.j_max: found {run.choices.j_max}, but rates every {spacing_km:g} km carry "
            f"degrees up to 20 000 km / {spacing_km:g} km = {carried}; lower it, or take "
            "finer rates"
        )
        raise InputError(msg)
    edge = _northernmost(grounded)
    if edge > run.choices.cells.north:
        msg = (
            f"altimetry.cells.north: found {run.choices.cells.north:g}, but {grounded.id} reaches "
            f"{edge:.2f} degrees; move it north of that, by whole cells"
        )
        raise InputError(msg)


def _northernmost(grounded: pystac.Item) -> float:
    """Return the northernmost latitude of polygons on the sphere [degrees]."""
    import shapely

    points = shapely.get_coordinates(contracts.open_regions(grounded).geometry.to_numpy())
    latitude, _ = geodesy.inverse_polar_stereographic(points[:, 0], points[:, 1])
    return float(geodesy.geocentric_latitude(latitude.max()))
