"""Damage of ice shelves beside the discharge of the basins behind them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored, tables
from pipelines.flows import mass_budget_epochs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.product_arrays import Array, labels_of, whole
from pipelines.kernels.comparison.lagged_correlation import (
    LEAST_YEARS,
    Pair,
    SeriesError,
    lagged_correlations,
    persistence,
)
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.comparison_inputs import Ground, Method
    from pipelines.flows.finished_products import Finished, ProductSource
    from pipelines.settings_comparison import Dynamics

FLOAT = NDArray[np.float64]

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
    found = []
    stated = {each.shelf.lower(): each.regions for each in choices.behind}
    budget = next((each for each in methods if each.kind == "mass_budget"), None)
    # Basins near a shelf are those of the comparison: a budget of others must be told its own.
    is_told = shelves is not None and (budget is None or budget.same_regions)
    near = _near(ground, shelves, 1_000.0 * choices.reach_km) if shelves and is_told else {}
    known = labels_of(budget.product.open(), "row") if budget and budget.source else ()
    for product in damage:
        for name, rows in _fractions(product).items():
            behind = stated.get(name.lower(), near.get(name.lower()))
            if not behind:
                msg = (
                    f"inputs.shelf_damage: which basins lie behind {name} is not known; name "
                    "polygons of ice shelves as inputs.shelves, raise comparison.dynamics.reach_km,"
                    f" or say comparison.dynamics.behind: [{{shelf: {name}, regions: [...]}}]"
                )
                raise InputError(msg)
            _require_known(name, behind, known)
            rows.sort(key=_summer)
            found.append(DamageOf(
                name, tuple(behind), tuple(_summer(row) for row in rows),
                tuple(row.value for row in rows), tuple(row.uncertainty for row in rows),
            ))  # fmt: skip
    _require_once(found, list(stated) if damage else [])
    return tuple(found)


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


def _near(ground: Ground, shelves: Source, reach_m: float) -> dict[str, tuple[str, ...]]:
    """Return the regions within reach of each shelf."""
    basins = ground.polygons()
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
              "discharge of the basins behind the shelf, of the ice year around the summer"),
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
        """Write the correlations of the shelves that have years enough; say which have not."""
        pairs = {
            number: Pair(shelf.shelf, held["damage_fraction"][number],
                         held["discharge_behind"][number])
            for number, shelf in enumerate(self.shelves)
        }  # fmt: skip
        enough = {n: pair for n, pair in pairs.items() if _can_follow(pair)}
        if not enough:
            return f"no shelf has {LEAST_YEARS} years of both that vary; nothing is correlated"
        lag = min(self.choices.longest_lag, len(span(self.shelves)) - LEAST_YEARS)
        try:
            found = lagged_correlations(
                list(enough.values()), longest_lag=lag, seed=self.choices.seed,
                draws=self.choices.draws,
            )  # fmt: skip
        except SeriesError as error:
            raise KeyFailed(str(error)) from error
        made = {name: np.full(stored.array(group, name).shape, np.nan)
                for name in ("lagged_correlation", "lagged_correlation_found")}  # fmt: skip
        for number, each in zip(enough, found, strict=True):
            made["lagged_correlation"][number, : lag + 1] = each.correlations
            made["lagged_correlation_found"][number] = (
                each.lag, each.correlation, each.years, each.local, each.family,
            )  # fmt: skip
        for name, values in made.items():
            stored.write(group, name, values)
        return f"{len(enough)} of {len(pairs)} shelves have years enough to be correlated"


_SERIES = (
    "damage_fraction", "damage_fraction_sigma", "discharge_behind", "discharge_behind_sigma",
)  # fmt: skip


def _can_follow(pair: Pair) -> bool:
    """Whether a pair has years enough, and both of its series vary."""
    common = int((np.isfinite(pair.leader) & np.isfinite(pair.follower)).sum())
    try:
        return common >= LEAST_YEARS and bool(persistence(pair.leader) + persistence(pair.follower)
                                              >= 0.0)  # fmt: skip
    except SeriesError:
        return False


def discharge_behind(
    product: zarr.Group, shelf: DamageOf, summers: tuple[int, ...]
) -> tuple[FLOAT, FLOAT]:
    """Return the discharge of the basins behind a shelf in the ice year around each summer.

    Errors of basins are taken as independent, those of one basin as the budget tells them.

    Returns
    -------
    value, sigma : ndarray, shape (summer,)
        [kg yr⁻¹]; NaN for a summer in no year of the budget.
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
        middle = np.datetime64(f"{summer + 1}-01-15")
        at = np.flatnonzero((start <= middle) & (middle < end))
        if at.size:
            members = values[:, at[0], rows].sum(axis=1)
            own = np.mean([spread[:, row, at[0], at[0]] for row in rows], axis=1).sum()
            between = members.var(ddof=1) if len(members) > 1 else 0.0
            found[:, number] = members.mean(), np.sqrt(own + between)
    return found[0], found[1]


def budget_of(methods: Sequence[Method]) -> ProductSource | None:
    """Return the first mass budget among the methods; None without one."""
    return next((each.source for each in methods if each.kind == "mass_budget"), None)


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
