"""Damage of ice shelves beside the discharge of the basins behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored, tables
from pipelines.flows import mass_budget_epochs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.comparison_places import own_regions
from pipelines.flows.product_arrays import Array, labels_of, whole
from pipelines.kernels.comparison.lagged_correlation import (
    LEAST_YEARS,
    Lagged,
    Pair,
    SeriesError,
    lagged_correlations,
    persistence,
)
from pipelines.kernels.constants import DAYS_PER_YEAR, KG_PER_GT

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.comparison_inputs import Ground, Method
    from pipelines.flows.finished_products import Finished, ProductSource
    from pipelines.settings_comparison import Dynamics

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]

LONG_ENOUGH = 0.8
"""An interval of velocity shorter than this does not stand for the ice year that it is in [yr]."""

MOST_SAID = 5
"""Of so many shelves a receipt says why they are not correlated."""

FOUND = ("lag", "correlation", "years", "p_local", "p_family")
"""What is told of a shelf's correlation."""


@dataclass(frozen=True)
class DamageOf:
    """Damage fraction of a shelf by summer, and the basins behind it.

    Attributes
    ----------
    shelf : str
    behind : tuple of str
        Regions of the mass budget.
    summers : tuple of int
        Years in which the summers begin.
    fraction, sigma : tuple of float
        Damaged part of the shelf and one standard deviation [1].
    """

    shelf: str
    behind: tuple[str, ...]
    summers: tuple[int, ...]
    fraction: tuple[float, ...]
    sigma: tuple[float, ...]


def resolve(
    damage: Sequence[Finished],
    ground: Ground,
    shelves: Source | None,
    choices: Dynamics,
    methods: Sequence[Method] = (),
) -> tuple[DamageOf, ...]:
    """Return every shelf of the finished maps with the basins behind it.

    Raises
    ------
    InputError
        Neither polygons of the shelves nor ``comparison.dynamics.behind`` say which basins; a
        shelf that several products map.
    """
    stated = {each.shelf.lower(): each.regions for each in choices.behind}
    mapped = [pair for product in damage for pair in _fractions(product).items()]
    budget = next((m for m in methods if m.kind == "mass_budget" and m.source), None)
    unstated = [name for name, _ in mapped if name.lower() not in stated]
    near: dict[str, tuple[str, ...]] = {}
    if shelves is not None and unstated:
        near = _near(_basins(ground, budget), shelves, 1_000.0 * choices.reach_km)
    known = labels_of(budget.product.open(), "row") if budget else ()
    found = []
    for name, rows in mapped:
        behind = stated.get(name.lower(), near.get(name.lower()))
        if not behind:
            raise InputError(_untold(name, shelves, near, choices.reach_km))
        _require_known(name, behind, known)
        rows.sort(key=_summer)
        found.append(DamageOf(
            name, tuple(behind), tuple(_summer(row) for row in rows),
            tuple(row.value for row in rows), tuple(row.uncertainty for row in rows),
        ))  # fmt: skip
    _require_once(found, list(stated) if damage else [])
    return tuple(found)


def _basins(ground: Ground, budget: Method | None) -> gpd.GeoDataFrame:
    """Return the regions that discharge is known of: the budget's own, where they are others."""
    if budget is None or budget.same_regions:
        return ground.polygons()
    return own_regions(budget)


def _untold(
    name: str, shelves: Source | None, near: Mapping[str, tuple[str, ...]], reach_km: float
) -> str:
    """Say why no basins are known to lie behind a shelf, and what to do."""
    said = f"inputs.shelf_damage: which basins lie behind {name} is not known"
    choose = f"say comparison.dynamics.behind: [{{shelf: {name}, regions: [...]}}]"
    if shelves is None:
        return f"{said}; name polygons of ice shelves as inputs.shelves, or {choose}"
    if name.lower() not in near:
        return f"{said}: inputs.shelves has {', '.join(list(near)[:30])}; {choose}"
    return (
        f"{said}: none is within {reach_km:g} km of it; raise comparison.dynamics.reach_km, or "
        f"{choose}"
    )


def _require_known(shelf: str, behind: Sequence[str], known: Sequence[str]) -> None:
    absent = [each for each in behind if known and each not in known]
    if absent:
        msg = (
            f"comparison.dynamics: the mass budget has no region {', '.join(absent)} behind {shelf}"
            f"; it has {', '.join(known[:30])}"
        )
        raise InputError(msg)


def _require_once(found: Sequence[DamageOf], stated: Sequence[str]) -> None:
    """Refuse shelves that several products map, and basins of shelves that none does."""
    names = [each.shelf.lower() for each in found]
    if unknown := [name for name in stated if name not in names]:
        msg = (
            f"comparison.dynamics.behind: no shelf {', '.join(unknown)} is mapped; there is "
            f"{', '.join(names)}"
        )
        raise InputError(msg)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = f"inputs.shelf_damage: several products map {', '.join(twice)}; name one of each"
        raise InputError(msg)


def _fractions(product: Finished) -> dict[str, list[tables.Row]]:
    """Return the rows of damage fraction of a product's shelves, as its table tells them."""
    from cluster import object_store

    path = object_store.join(product.source.address, "tables/shelves.csv")
    try:
        rows = tables.read_rows(object_store.read_bytes(path))
    except tables.TableError as error:
        msg = f"inputs.shelf_damage: {path}: {error}"
        raise InputError(msg) from error
    shelves: dict[str, list[tables.Row]] = {}
    for row in rows:
        if row.quantity == "damage_fraction" and "part" not in row.told:
            shelves.setdefault(row.region, []).append(row)
    return shelves


def _summer(row: tables.Row) -> int:
    """Return the year of the November in which a row's summer begins."""
    told = row.told.get("summer", "")
    return int(told) if told.isdigit() else (row.period_start - dt.timedelta(days=182)).year


def _near(basins: gpd.GeoDataFrame, shelves: Source, reach_m: float) -> dict[str, tuple[str, ...]]:
    """Return the regions within reach of each shelf, by its name in small letters."""
    table = shelves.open_regions()
    return {
        str(name).lower(): tuple(basins.region[basins.geometry.distance(shape) <= reach_m])
        for name, shape in zip(table.region, table.geometry, strict=True)
    }


def span(shelves: Sequence[DamageOf]) -> tuple[int, ...]:
    """Return every summer from the first to the last that some shelf has."""
    summers = [summer for shelf in shelves for summer in shelf.summers]
    return tuple(range(min(summers), max(summers) + 1)) if summers else ()


def arrays(shelves: Sequence[DamageOf], lags: int) -> list[Array]:
    """Return the arrays of shelves; none without shelves."""
    n, years = len(shelves), len(span(shelves))
    if not n:
        return []
    return [
        whole("damage_fraction", ("shelf", "summer"), (n, years), "1",
              "damaged part of the ice shelf"),
        whole("damage_fraction_sigma", ("shelf", "summer"), (n, years), "1",
              "one standard deviation of it"),
        whole("discharge_behind", ("shelf", "summer"), (n, years), "kg yr-1",
              "discharge of the basins behind the shelf, mean of the ice year around the summer"),
        whole("discharge_behind_sigma", ("shelf", "summer"), (n, years), "kg yr-1",
              "one standard deviation of it"),
        whole("lagged_correlation", ("shelf", "lag"), (n, lags + 1), "1",
              "correlation of discharge with damage so many years before"),
        whole("lagged_correlation_found", ("shelf", "found"), (n, len(FOUND)), "1",
              "the lag of the largest, it, its years, and how often unrelated series reach it"),
    ]  # fmt: skip


@dataclass(frozen=True)
class DynamicsJob:
    """``dynamics``: damage and discharge by summer, and whether one follows the other."""

    shelves: tuple[DamageOf, ...]
    budget: ProductSource
    choices: Dynamics

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write both series of every shelf and their lagged correlation."""
        summers = span(self.shelves)
        product = self.budget.open()
        shape = (len(self.shelves), len(summers))
        held = {name: np.full(shape, np.nan) for name in _SERIES}
        for number, shelf in enumerate(self.shelves):
            at = [summers.index(each) for each in shelf.summers]
            held["damage_fraction"][number, at] = shelf.fraction
            held["damage_fraction_sigma"][number, at] = shelf.sigma
            value, sigma = discharge_behind(product, shelf, summers)
            held["discharge_behind"][number] = value
            held["discharge_behind_sigma"][number] = sigma
        for name, values in held.items():
            stored.write(group, name, values)
        return Receipt(key, "done", note=self._correlate(group, held))

    def _correlate(self, group: zarr.Group, held: dict[str, FLOAT]) -> str:
        """Write the correlations of the shelves that have years enough; say why others have not."""
        pairs = [
            Pair(shelf.shelf, damage, discharge)
            for shelf, damage, discharge in zip(
                self.shelves, held["damage_fraction"], held["discharge_behind"], strict=True
            )
        ]
        unfit = {n: why for n, pair in enumerate(pairs) if (why := _unfit(pair))}
        enough = {n: pair for n, pair in enumerate(pairs) if n not in unfit}
        said = [f"{pairs[n].name}: {why}" for n, why in unfit.items()]
        said[MOST_SAID:] = [f"and {len(said) - MOST_SAID} more"] * (len(said) > MOST_SAID)
        if not enough:
            return "; ".join(["nothing is correlated", *said])
        lag = min(self.choices.longest_lag, len(span(self.shelves)) - LEAST_YEARS)
        try:
            found = lagged_correlations(
                list(enough.values()), longest_lag=lag, seed=self.choices.seed,
                draws=self.choices.draws,
            )  # fmt: skip
        except SeriesError as error:
            raise KeyFailed(str(error)) from error
        _write_found(group, dict(zip(enough, found, strict=True)))
        return "; ".join([f"{len(enough)} of {len(pairs)} shelves are correlated", *said])


def _write_found(group: zarr.Group, found: Mapping[int, Lagged]) -> None:
    """Write what was found of shelves by their number; NaN for the others and at longer lags."""
    made = {name: np.full(stored.array(group, name).shape, np.nan)
            for name in ("lagged_correlation", "lagged_correlation_found")}  # fmt: skip
    for number, each in found.items():
        made["lagged_correlation"][number, : len(each.correlations)] = each.correlations
        made["lagged_correlation_found"][number] = (
            each.lag, each.correlation, each.years, each.local, each.family,
        )  # fmt: skip
    for name, values in made.items():
        stored.write(group, name, values)


_SERIES = (
    "damage_fraction", "damage_fraction_sigma", "discharge_behind", "discharge_behind_sigma",
)  # fmt: skip


def _unfit(pair: Pair) -> str:
    """Say why a pair cannot be correlated; nothing where it can."""
    common = int((np.isfinite(pair.leader) & np.isfinite(pair.follower)).sum())
    if common < LEAST_YEARS:
        return f"{common} years of both, expected {LEAST_YEARS} at least"
    for name, series in (("damage", pair.leader), ("discharge", pair.follower)):
        try:
            persistence(series)
        except SeriesError as error:
            return f"{name}: {error}"
    return ""


def discharge_behind(
    product: zarr.Group, shelf: DamageOf, summers: tuple[int, ...]
) -> tuple[FLOAT, FLOAT]:
    """Return the discharge of the basins behind a shelf in the ice year around each summer.

    Errors of basins are taken as independent, those of one basin as the budget tells them, between
    months of a year too.

    Returns
    -------
    value, sigma : ndarray, shape (summer,)
        [kg yr⁻¹]; NaN for a summer that the budget has no whole year of, see
        :func:`ice_year_weights`.
    """
    names = labels_of(product, "row")
    if missing := [each for each in shelf.behind if each not in names]:
        msg = f"{shelf.shelf}: the mass budget has no region {', '.join(missing)} behind it"
        raise KeyFailed(msg)
    rows = [names.index(each) for each in shelf.behind]
    values, spread = mass_budget_epochs.stored_term(product, "discharge")
    start, end = (stored.values(product, f"year_{edge}").astype("datetime64[D]")
                  for edge in ("start", "end"))  # fmt: skip
    found = np.full((2, len(summers)), np.nan)
    for number, summer in enumerate(summers):
        weights = ice_year_weights(start, end, summer)
        on = np.flatnonzero(weights)
        if on.size:
            w = weights[on]
            members = np.einsum("t,mtr->m", w, values[:, on][:, :, rows])
            own = np.einsum("t,u,mrtu->m", w, w, spread[:, rows][:, :, on][:, :, :, on]).mean()
            between = members.var(ddof=1) if len(members) > 1 else 0.0
            found[:, number] = members.mean(), np.sqrt(own + between)
    return found[0], found[1]


def ice_year_weights(start: DATES, end: DATES, summer: int) -> FLOAT:
    """Return what each interval of velocity counts in the ice year around a summer.

    July to June: the intervals in it by their days, if together they are all of it; else the one
    of :data:`LONG_ENOUGH` at least that holds the middle of the summer, such as a calendar year.
    A single month is no year.

    Parameters
    ----------
    start, end : ndarray of datetime64[D], shape (year,)
        First days, and first days after, of intervals that do not overlap.
    summer : int
        Year of the November in which the summer begins.

    Returns
    -------
    ndarray, shape (year,)
        Weights [1] that sum to 1; all 0 where the intervals make no such year.
    """
    first, after = (np.datetime64(f"{year}-07-01") for year in (summer, summer + 1))
    days = (end - start).astype(np.float64)
    inside = np.where((first <= start) & (end <= after), days, 0.0)
    if inside.sum() == (after - first).astype(np.float64):
        return np.asarray(inside / inside.sum())
    middle = np.datetime64(f"{summer + 1}-01-15")
    holds = (start <= middle) & (middle < end) & (days >= LONG_ENOUGH * DAYS_PER_YEAR)
    weights = np.zeros(len(start))
    weights[np.flatnonzero(holds)[:1]] = 1.0
    return weights


def budget_of(methods: Sequence[Method]) -> ProductSource | None:
    """Return the first mass budget of ours among the methods; None without one."""
    return next((each.source for each in methods if each.kind == "mass_budget" and each.source),
                None)  # fmt: skip


def rows_of(group: zarr.Group) -> list[tuple[str, str, int, float, float]]:
    """Return (quantity, shelf, summer, value, sigma) of both series, discharge in Gt yr⁻¹."""
    if "damage_fraction" not in group:
        return []
    told = []
    summers = [int(each) for each in labels_of(group, "summer")]
    for quantity, name, scale in (("damage_fraction", "damage_fraction", 1.0),
                                  ("discharge", "discharge_behind", KG_PER_GT)):  # fmt: skip
        values, sigmas = stored.read(group, name), stored.read(group, f"{name}_sigma")
        for number, shelf in enumerate(labels_of(group, "shelf")):
            told += [
                (quantity, shelf, summer, values[number, i] / scale, sigmas[number, i] / scale)
                for i, summer in enumerate(summers)
                if np.isfinite(values[number, i])
            ]
    return told
