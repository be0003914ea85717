"""What a consistency run reads: damage maps of summers, and the velocity that carries them.

Only attributes, labels and one number of each summer are read here; pixels and velocities are
opened on the workers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored
from pipelines.flows import austral_summers, catalogue_inputs, finished_products
from pipelines.flows.catalogue_inputs import InputError, Source, input_item, source_of
from pipelines.flows.finished_products import Finished, ProductSource
from pipelines.flows.shelf_damage_arrays import scenes_of
from pipelines.kernels.constants import DAYS_PER_YEAR, SECONDS_PER_DAY
from pipelines.lifecycle import InputItem
from pipelines.stored import group_at
from stac.catalogue import open_catalogue
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    import pystac
    import zarr

    from pipelines.settings import Run

EPOCH = dt.date(1970, 1, 1).toordinal()
LONGEST_YEAR = dt.timedelta(days=2 * 366)
"""A map of velocity of a longer time is of no year: it serves any."""


@dataclass(frozen=True)
class DamageMap:
    """The damage map of a shelf's summer, in the product that holds it."""

    shelf: str
    summer: int
    source: ProductSource
    grid: PixelGrid
    chunk: int
    time: float
    name: str

    @property
    def path(self) -> str:
        """Its group in the product of damage maps."""
        return f"{self.shelf}/{self.summer}"


@dataclass(frozen=True)
class Shelf:
    """The maps of a shelf in order of their summers, all on one grid, and which are compared."""

    id: str
    maps: tuple[DamageMap, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def grid(self) -> PixelGrid:
        """The grid of its maps."""
        return self.maps[0].grid

    def place(self, summer: int) -> int:
        """Return which of the maps is that of a summer."""
        return [each.summer for each in self.maps].index(summer)


@dataclass(frozen=True)
class Flow:
    """A map of velocity: where it is, of which time, and which metres it holds."""

    source: Source
    frame: str
    start: dt.date
    end: dt.date

    @property
    def annual(self) -> bool:
        """Whether it is of a year, or of less."""
        return self.end - self.start <= LONGEST_YEAR

    @property
    def middle(self) -> float:
        """Middle of its time [decimal year]."""
        return decimal_year(
            (self.start.toordinal() + self.end.toordinal() - 2 * EPOCH) / 2.0 * SECONDS_PER_DAY
        )


def decimal_year(seconds: float) -> float:
    """Return a time as Julian years, those of velocities in m yr⁻¹.

    Parameters
    ----------
    seconds : float
        Since 1970-01-01 [s].

    Examples
    --------
    >>> decimal_year(365.25 * 86400.0)
    1971.0
    """
    return 1970.0 + seconds / (SECONDS_PER_DAY * DAYS_PER_YEAR)


@dataclass(frozen=True)
class ConsistencyFound:
    """Resolved inputs of a consistency run."""

    shelves: tuple[Shelf, ...]
    flows: tuple[Flow, ...]
    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    footprints: tuple[dict[str, Any], ...]
    region_set: str


def resolve(run: Run) -> ConsistencyFound:
    """Find the maps that are compared, and the velocity.

    Raises
    ------
    InputError
        No finished damage maps, no two summers of a shelf, maps on different grids, no velocity,
        or one that does not say which metres it holds.
    """
    products = [
        finished_products.find(address, role="damage", product="shelf_damage")
        for address in run.inputs.damage
    ]
    shelves = tuple(_shelves(run, products))
    catalogue = open_catalogue(run.catalogue)
    named = [
        catalogue_inputs.all_of(catalogue, name, role="velocity", kinds=("velocity",))
        for name in run.inputs.velocity
    ]
    items = [item for found in named for item in found]
    flows = tuple(flow_of(item, run.choices.unknown_frame) for item in items)
    _require_one_each(flows)
    told = [str(each.attributes.get("nunatak:region_set", "")) for each in products]
    return ConsistencyFound(
        shelves=shelves,
        flows=flows,
        items=(*_records(products), *(input_item("velocity", item) for item in items)),
        sources=(*(each.item for each in products), *items),
        footprints=tuple(dict(each.item.geometry) for each in products if each.item.geometry),
        region_set=run.regions or "+".join(dict.fromkeys(each for each in told if each)),
    )


def _records(products: Sequence[Finished]) -> Iterator[InputItem]:
    """Yield a record of each product, under names of their own: addresses do not count."""
    for product in products:
        made = product.record
        yield InputItem(made.role, f"{made.id}-{made.checksum}", made.checksum, 0, made.href)


def _shelves(run: Run, products: Iterable[Finished]) -> Iterator[Shelf]:
    """Yield the shelves that have two maps to compare."""
    held: dict[str, dict[int, DamageMap]] = {}
    for product in products:
        for made in _maps(product.source):
            if made.summer in held.setdefault(made.shelf, {}):
                msg = f"inputs.damage: two products hold {made.path}; name one of them"
                raise InputError(msg)
            held[made.shelf][made.summer] = made
    unknown = sorted(set(run.choices.shelves) - set(held))
    if unknown:
        msg = f"consistency.shelves: the damage maps hold no {', '.join(unknown)}; they hold "
        raise InputError(msg + (", ".join(sorted(held)) or "no published one"))
    found = 0
    for shelf in sorted(set(run.choices.shelves) or set(held)):
        maps = tuple(m for _, m in sorted(held[shelf].items()) if _asked(run, m.summer))
        pairs = tuple(_pairs(run, [made.summer for made in maps]))
        if pairs:
            _require_one_grid(maps, run.choices.cell_m)
            found += 1
            yield Shelf(shelf, maps, pairs)
    if not found:
        msg = "inputs.damage: no shelf has two published summers to compare among those asked for;"
        msg += f" found {_said(held)}; widen period, summers or longest_gap, or name more products"
        raise InputError(msg)


def _said(held: dict[str, dict[int, DamageMap]]) -> str:
    told = [f"{shelf} {', '.join(map(str, sorted(maps)))}" for shelf, maps in sorted(held.items())]
    return "; ".join(told) or "no published summer"


def _maps(source: ProductSource) -> Iterator[DamageMap]:
    """Yield the published maps of a product."""
    group = source.open()
    for shelf in sorted(group.group_keys()):
        for summer in sorted(group_at(group, shelf).group_keys()):
            made = group_at(group, f"{shelf}/{summer}")
            if summer.isdigit() and "damage" in made and _is_published(made):
                yield _map(made, source, shelf, int(summer))


def _is_published(made: zarr.Group) -> bool:
    return "published" in made and bool(stored.values(made, "published").any())


def _map(made: zarr.Group, source: ProductSource, shelf: str, summer: int) -> DamageMap:
    code = str(made.attrs["proj:code"])
    about: Any = made.attrs
    shape, transform = (list(about[f"spatial:{name}"]) for name in ("shape", "transform"))
    spacing, _, west, _, _, north = (float(each) for each in transform[:6])
    grid = PixelGrid("damage", code, west, north, spacing, int(shape[1]), int(shape[0]))
    times = [float(scene["time"]) for scene in scenes_of(made)]
    if not times:
        msg = f"inputs.damage: {made.path} is published but names no scene; run shelf_damage again"
        raise InputError(msg)
    chunk = int(stored.array(made, "damage").chunks[0])
    name = str(made.attrs.get("nunatak:name", shelf))
    return DamageMap(shelf, summer, source, grid, chunk, float(np.median(times)), name)


def _require_one_grid(maps: Sequence[DamageMap], cell_m: float) -> None:
    first = maps[0]
    for made in maps[1:]:
        if (made.grid, made.chunk) != (first.grid, first.chunk):
            msg = (
                f"inputs.damage: {made.path} lies on {made.grid.ny} × {made.grid.nx} pixels from "
                f"({made.grid.west:g}, {made.grid.north:g}) m, {first.path} on {first.grid.ny} × "
                f"{first.grid.nx} from ({first.grid.west:g}, {first.grid.north:g}) m; make all "
                "summers of a shelf in one run of shelf_damage"
            )
            raise InputError(msg)
    if first.grid.code != "EPSG:3031":
        msg = f"inputs.damage: {first.path} is in {first.grid.code}, expected EPSG:3031, in which "
        raise InputError(msg + "the velocity is; compare maps of places that are known")
    if cell_m % first.grid.spacing or cell_m < 2.0 * first.grid.spacing:
        msg = f"consistency.cell_m: found {cell_m:g} m for pixels of {first.grid.spacing:g} m, "
        raise InputError(msg + "expected a multiple of them, twice as wide at least")
    if min(first.grid.ny, first.grid.nx) * first.grid.spacing <= cell_m:
        msg = f"inputs.damage: {first.path} is no wider than a cell of {cell_m:g} m; choose a "
        raise InputError(msg + "smaller consistency.cell_m")


def _asked(run: Run, summer: int) -> bool:
    """Return whether a summer is asked for and meets the period."""
    wanted = not run.choices.summers or summer in run.choices.summers
    return wanted and austral_summers.meets(summer, run.period)


def _pairs(run: Run, summers: Sequence[int]) -> Iterator[tuple[int, int]]:
    every = pairwise(summers) if run.choices.pairs == "adjacent" else combinations(summers, 2)
    yield from ((a, b) for a, b in every if b - a <= run.choices.longest_gap)


def flow_of(item: pystac.Item, unknown_frame: str) -> Flow:
    """Return what a map of velocity promises."""
    told = [str(item.properties.get(f"{end}_datetime") or "")[:10] for end in ("start", "end")]
    start, end = (dt.date.fromisoformat(each) if each else None for each in told)
    frame = str(item.properties.get("nunatak:velocity_frame", "unknown"))
    if frame == "unknown":
        frame = unknown_frame
    if frame == "refuse":
        msg = (
            f"inputs.velocity: {item.id} does not say whether its metres are true ones or those of "
            "the map, which differ by 2 %; set consistency.unknown_frame to ground or map"
        )
        raise InputError(msg)
    if start is None or end is None:
        return Flow(source_of(item), frame, dt.date.min, dt.date.max)
    return Flow(source_of(item), frame, start, end + dt.timedelta(days=1))


def _require_one_each(flows: Sequence[Flow]) -> None:
    """Refuse a map that is named twice."""
    seen: set[str] = set()
    for each in flows:
        if each.source.href in seen:
            msg = f"inputs.velocity: {each.source.id} is named twice; name it once"
            raise InputError(msg)
        seen.add(each.source.href)
