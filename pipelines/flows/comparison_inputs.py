"""What a comparison run reads: finished products, published rates, and the common ground.

The *common ground* is what every method is brought to: polygons, clipped where a mask is named,
and a period. A product that was summed over the same polygons keeps its own kernels; any other is
summed again, from its coefficients, or from the regions that make up the common ones.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.ledger import KeyFailed
from pipelines import published_rates, stored
from pipelines.flows import catalogue_inputs, finished_products, regions
from pipelines.flows.catalogue_inputs import POLYGONS, InputError, Source, input_item, source_of
from pipelines.flows.comparison_sums import months_of
from pipelines.flows.finished_products import Finished, ProductSource
from pipelines.lifecycle import InputItem
from pipelines.settings_comparison import METHODS
from stac.catalogue import open_catalogue

if TYPE_CHECKING:
    import geopandas as gpd
    import pystac

    from pipelines.settings import Run
    from stac.catalogue import Catalogue

OUTLINES = ("ice-shelves", *POLYGONS)
"""Kinds of collection that hold outlines of ice shelves."""

SAME_PERIOD = dt.timedelta(days=31)
"""Periods whose ends are no further apart are one: a month begins on another day in some fields."""


@dataclass(frozen=True)
class Ground:
    """The common regions and period.

    Attributes
    ----------
    regions : Source
        Polygons.
    mask : Source or None
        Polygons that clip them.
    first, last : date
        First and last day.
    """

    regions: Source
    mask: Source | None
    first: dt.date
    last: dt.date

    @property
    def period(self) -> tuple[np.datetime64, np.datetime64]:
        """First day, and the first day after."""
        return np.datetime64(self.first), np.datetime64(self.last) + np.timedelta64(1, "D")

    def polygons(self) -> gpd.GeoDataFrame:
        """Return the common regions in EPSG:3031; one that the mask leaves nothing of is gone."""
        from stac import boundaries

        table = self.regions.open_regions()
        if self.mask is None:
            return table
        inside = boundaries.union(self.mask.open_regions())
        clipped = table.set_geometry(table.geometry.intersection(inside))
        return clipped[~clipped.geometry.is_empty].reset_index(drop=True)


@dataclass(frozen=True)
class Method:
    """One way to a mass balance.

    Attributes
    ----------
    name, kind : str
        Its label, and the product or class of published series that it is.
    source : ProductSource or None
        The finished product; None for a published series.
    run : dict
        The run file of the product; empty for a published series.
    same_regions : bool
        Whether it was summed over the common regions themselves.
    first, last : date
        What it covers: of gravimetry its months, whatever period its run asked for.
    made_of : tuple of (str, ProductSource)
        For a combination, its gravimetry and altimetry, at the snapshots that it combined.
    series : Series or None
        What was published.
    """

    name: str
    kind: str
    source: ProductSource | None
    run: dict[str, Any]
    same_regions: bool
    first: dt.date
    last: dt.date
    made_of: tuple[tuple[str, ProductSource], ...] = ()
    series: published_rates.Series | None = None

    @property
    def product(self) -> ProductSource:
        """The finished product; a published series has none, and is not asked for it."""
        if self.source is None:
            msg = f"{self.name} is published, no product of ours"
            raise TypeError(msg)
        return self.source

    def is_aligned(self, ground: Ground) -> bool:
        """Whether it covers the common period, no more and no less."""
        return (
            abs(self.first - ground.first) <= SAME_PERIOD
            and abs(self.last - ground.last) <= SAME_PERIOD
        )


@dataclass(frozen=True)
class ComparisonInputs:
    """The resolved inputs of a comparison run."""

    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    ground: Ground
    methods: tuple[Method, ...]
    damage: tuple[Finished, ...]
    shelves: Source | None
    gia: tuple[Source, ...]
    regions: pystac.Item
    rows: tuple[str, ...]
    regions_count: int


def resolve(run: Run) -> ComparisonInputs:
    """Find products, published rates and polygons.

    Raises
    ------
    InputError
        What is named is not there, unfinished or of another kind; a file without rates; two
        methods of one name.
    """
    catalogue = open_catalogue(run.catalogue)
    polygons, gia = _polygons(catalogue, run), _gia(catalogue, run)
    found = [
        finished_products.find(address, role=role, product=role)
        for role in METHODS
        for address in getattr(run.inputs, role)
    ]
    damage = tuple(
        finished_products.find(address, role="shelf_damage", product="shelf_damage")
        for address in run.inputs.shelf_damage
    )
    published, records = _published(run)
    ground = _ground(run, polygons)
    table = _common_regions(run, ground)
    methods = (*(_method(each, polygons, found) for each in found), *published)
    _require_one_name(methods)
    return ComparisonInputs(
        items=(
            *(each.record for each in (*found, *damage)),
            *records,
            *(input_item(role, item) for role, item in polygons.items()),
            *(input_item("gia", item) for item in gia),
        ),
        sources=(*(each.item for each in (*found, *damage)), *polygons.values(), *gia),
        ground=ground,
        methods=methods,
        damage=damage,
        shelves=source_of(polygons["shelves"]) if "shelves" in polygons else None,
        gia=tuple(source_of(item) for item in gia),
        regions=polygons["regions"],
        rows=regions.region_names(table)[:-1],
        regions_count=len(table),
    )


def _polygons(catalogue: Catalogue, run: Run) -> dict[str, pystac.Item]:
    """Return the items of the regions, the mask and the outlines of ice shelves, by their role."""
    found = {
        "regions": catalogue_inputs.single(catalogue, run.regions, role="regions", kinds=POLYGONS)
    }
    for role, kinds in (("grounded_ice", POLYGONS), ("shelves", OUTLINES)):
        if name := getattr(run.inputs, role):
            found[role] = catalogue_inputs.single(catalogue, name, role=role, kinds=kinds)
    return found


def _common_regions(run: Run, ground: Ground) -> gpd.GeoDataFrame:
    table = ground.polygons()
    if table.empty:
        msg = (
            f"inputs.grounded_ice: {run.inputs.grounded_ice} leaves nothing of the regions "
            f"{run.regions}; expected outlines of the same ice"
        )
        raise InputError(msg)
    return table


def _gia(catalogue: Catalogue, run: Run) -> list[pystac.Item]:
    return [
        item
        for name in run.inputs.gia
        for item in catalogue_inputs.all_of(catalogue, name, role="gia", kinds=("gia",))
    ]


def _ground(run: Run, polygons: dict[str, pystac.Item]) -> Ground:
    mask = polygons.get("grounded_ice")
    return Ground(
        source_of(polygons["regions"]),
        source_of(mask) if mask is not None else None,
        *run.period,
    )


def _method(found: Finished, polygons: dict[str, pystac.Item], all_found: list[Finished]) -> Method:
    alone = len([each for each in all_found if each.role == found.role]) == 1
    folder = PurePosixPath(found.source.address.rstrip("/")).name
    name = found.role if alone else _label(folder)
    first, last = _days_of(found)
    return Method(
        name=name,
        kind=found.role,
        source=found.source,
        run=dict(found.run),
        same_regions="grounded_ice" not in polygons and _has_regions(found, polygons["regions"]),
        first=first,
        last=last,
        made_of=_made_of(found, all_found) if found.role == "combination" else (),
    )


def _days_of(found: Finished) -> tuple[dt.date, dt.date]:
    """Return the first and the last day that a product has anything of."""
    first, last = (dt.date.fromisoformat(day) for day in found.attributes["nunatak:period"])
    if found.role != "gravimetry":
        return first, last
    months = months_of(stored.read(found.source.open(), "epoch"))
    if not len(months):
        return first, last
    after = (months[-1] + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    return months[0].astype("datetime64[D]").astype(dt.date), after.astype(dt.date)


def _label(text: str) -> str:
    """Return a name that notes of tables, keys and labels of arrays can hold.

    >>> _label("Le Roy/2020; a@b")
    'Le_Roy_2020__a_b'
    """
    return re.sub(r"[^\w.+-]", "_", text)


def _has_regions(found: Finished, item: pystac.Item) -> bool:
    """Return whether a product was summed over these very polygons, whatever they were called."""
    checksum = input_item("regions", item).checksum
    held = dict(found.attributes.get("nunatak:inputs", {}))
    return any(name.startswith("regions/") and held[name] == checksum for name in held)


def _made_of(found: Finished, all_found: list[Finished]) -> tuple[tuple[str, ProductSource], ...]:
    """Return the products that a combination is made of, at the snapshots that it combined.

    One that is named in this run is read there: it may have moved since.
    """
    sources = []
    for role in ("gravimetry", "altimetry"):
        snapshot = str(found.attributes["nunatak:products"][role]["snapshot"])
        made = ProductSource(str(found.run["inputs"][role]), snapshot)
        known = (each.source for each in all_found if each.role == role)
        source = next((each for each in known if each.snapshot == snapshot), made)
        try:
            source.open()
        except KeyFailed as error:
            msg = (
                f"inputs.combination: {found.source.address} was made of {source.address}, which "
                f"cannot be opened ({error}); name its {role} as inputs.{role}, or combine anew"
            )
            raise InputError(msg) from error
        sources.append((role, source))
    return tuple(sources)


def _published(run: Run) -> tuple[list[Method], list[InputItem]]:
    """Return the series of the files that are named, each a method, and records of the files."""
    import hashlib

    from cluster import object_store

    stated = {each.name: each for each in run.choices.published_periods}
    found: list[published_rates.Series] = []
    records = []
    for address in run.inputs.published:
        name = _label(PurePosixPath(address).stem)
        data = object_store.read_bytes(address)
        period = _months(stated[name].first, stated[name].last) if name in stated else None
        try:
            held = published_rates.read(data, name=name, period=period)
        except published_rates.PublishedRateError as error:
            msg = f"inputs.published: {error}"
            raise InputError(msg) from error
        found += held
        digest = hashlib.sha256(data).hexdigest()
        records.append(InputItem("published", name, f"1220{digest}", len(data), address))
    if unknown := stated.keys() - {each.id for each in records}:
        known = ", ".join(each.id for each in records) or "no file"
        msg = f"comparison.published_periods: found {', '.join(sorted(unknown))}; there is {known}"
        raise InputError(msg)
    return [_published_method(each) for each in _merged(found)], records


def _merged(found: list[published_rates.Series]) -> tuple[published_rates.Series, ...]:
    try:
        return published_rates.merged(found)
    except published_rates.PublishedRateError as error:
        msg = f"inputs.published: {error}; is a file named twice?"
        raise InputError(msg) from error


def _months(first: str, last: str) -> tuple[dt.date, dt.date]:
    after = (np.datetime64(last, "M") + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    return dt.date.fromisoformat(f"{first}-01"), after.astype(dt.date)


def _published_method(series: published_rates.Series) -> Method:
    first = min(each.first for each in series.intervals)
    last = max(each.after for each in series.intervals) - dt.timedelta(days=1)
    return Method(_label(series.name), series.kind, None, {}, same_regions=False, first=first,
                  last=last, series=series)  # fmt: skip


def _require_one_name(methods: tuple[Method, ...]) -> None:
    names = [each.name for each in methods]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = (
            f"inputs: several methods are called {', '.join(twice)}; put their outputs in folders "
            "of different names, or name each once"
        )
        raise InputError(msg)
