"""A mass budget on the common ground.

Discharge changes slowly and is known by years: each day of the common period takes the nearest
year. Snowfall does not, and is known by months: the months of the period are summed themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import catalogue_inputs, mass_budget_epochs
from pipelines.flows import mass_budget_snow as snow
from pipelines.flows.catalogue_inputs import POLYGONS, InputError
from pipelines.flows.comparison_masks import row_matrix
from pipelines.flows.comparison_sums import MethodSum, centred, months_in
from pipelines.flows.mass_budget_rows import Rows
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.budget.years import year
from pipelines.kernels.comparison import alignment
from pipelines.kernels.comparison.attribution import ALTERNATIVE, Expected
from pipelines.kernels.constants import DAYS_PER_YEAR
from pipelines.settings_mass_budget import MassBudgetChoices, Model, Part
from pipelines.settings_reading import read_record

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.comparison_inputs import Ground, Method

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]

GATE_SHARE = 0.3
"""Plausible error of a gate correction that was made, over the correction [1]: models of snow
differ by as much near the coast."""

MISSING_ODDS = float(np.log(10.0))
"""A correction that a budget has not made, though ice lies below its gates, is ten times likelier
to be what is wrong than any other cause: nobody has to look at a rate to know that."""

MISSING = Expected(1.0, 0.5)
"""Amplitude of a correction that was not made: all of it, by snow that is known to half."""

LEAST_WITHIN = 0.98
"""Share of a region's area that must lie in one common region, or in none, for it to be summed."""


@dataclass(frozen=True)
class Calendar:
    """Years and months of a budget, as the comparison takes them."""

    start: DATES
    end: DATES
    months: DATES
    period: tuple[np.datetime64, np.datetime64]
    reading: alignment.Reading

    def year_weights(self) -> FLOAT:
        """Return what each year counts, every day of the period taking the nearest, (year,)."""
        return alignment.interval_weights(*self._nearest(), self.period, reading=self.reading)

    def elapsed(self, ends: DATES) -> FLOAT:
        """Return the time since the period began that is of each year, (end, year) [yr]."""
        start, end = self._nearest()
        first = self.period[0]
        spent = np.minimum(ends[:, None], end) - np.maximum(first, start)
        return np.maximum(spent.astype(np.float64), 0.0) / DAYS_PER_YEAR

    def month_weights(self) -> FLOAT:
        """Return what the rate of each month counts, (month,)."""
        days = self.months.astype("datetime64[D]"), (self.months + 1).astype("datetime64[D]")
        return alignment.interval_weights(*days, self.period, reading=self.reading)

    def covered(self) -> float:
        """Return the share of the period that years of velocity cover."""
        return alignment.covered_share(self.start, self.end, self.period)

    def _nearest(self) -> tuple[DATES, DATES]:
        return alignment.nearest_intervals(self.start, self.end, self.period)


def calendar_of(product: zarr.Group, ground: Ground, reading: alignment.Reading) -> Calendar:
    """Return the calendar of a mass-budget product over the common period."""

    def days(name: str) -> DATES:
        return stored.values(product, name).astype("datetime64[D]")

    first, after = ground.period
    months = np.arange(first.astype("datetime64[M]"), (after - 1).astype("datetime64[M]") + 1)
    return Calendar(days("year_start"), days("year_end"), months, ground.period, reading)


@dataclass(frozen=True)
class BudgetJob:
    """``sum/mass_budget``: balance, its terms, its curve, and what its choices do to it."""

    method: Method
    ground: Ground
    reading: alignment.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product = self.method.product.open()
        rows = labels_of(group, "row")
        places = _places(product, self.method, self.ground, rows)
        calendar = calendar_of(product, self.ground, self.reading)
        weights = calendar.year_weights()[None]
        fallen = _snow_shift(product, self.method, calendar, places)
        told = {name: _told(product, name, weights, places)
                for name in ("replaced", "surface_mass_balance", "discharge")}  # fmt: skip
        rate, sigma, between = told["replaced"]
        members = between[:, 0] - between[:, 0].mean(axis=0)
        spread = members.T @ members / max(len(members) - 1, 1)
        within = np.maximum(sigma[0] ** 2 - np.diag(spread), 0.0)
        mass, mass_sigma = self._curve(product, group, calendar, places, fallen)
        shifted = np.nan_to_num(fallen.shift)
        MethodSum(
            rate[0] + shifted, spread + np.diag(within), calendar.covered(), mass, mass_sigma,
            terms={
                "surface_mass_balance": (told["surface_mass_balance"][0][0] + shifted,
                                         told["surface_mass_balance"][1][0]),
                "discharge": (told["discharge"][0][0], told["discharge"][1][0]),
            },
            patterns=_patterns(product, group, weights, places, self.method),
            odds={"gate_correction": MISSING_ODDS} if _uncorrected(product) else {},
            expected=_expected(product),
        ).write(group, self.method.name)  # fmt: skip
        said = f"snow by {'months' if len(fallen.amounts) else 'years'}"
        if unknown := [name for name, value in zip(rows, rate[0], strict=True) if np.isnan(value)]:
            said += f"; nothing of {', '.join(unknown)}, which its own regions do not make up"
        return Receipt(key, "done", note=f"{said}; {calendar.covered():.2f} of it has velocity")

    def _curve(
        self,
        product: zarr.Group,
        group: zarr.Group,
        calendar: Calendar,
        places: Places,
        fallen: Snow,
    ) -> tuple[FLOAT, FLOAT]:
        """Return masses at the middles of months and their spread, (row, month) [kg]."""
        months = months_in(group)
        firsts = months.astype("datetime64[D]").astype(np.int64)
        middles = (firsts + 15).astype("datetime64[D]")
        elapsed = calendar.elapsed(middles)
        elapsed = elapsed - elapsed.mean(axis=0)
        mass, sigma, _ = _told(product, "replaced", elapsed, places)
        return centred(mass.T + fallen.monthly(months)), sigma.T


@dataclass(frozen=True)
class Places:
    """Where the common rows are in a budget.

    Attributes
    ----------
    rows : ndarray, shape (row, row of the budget)
        What each row of the budget, regions and then groups, counts in a common one.
    regions : ndarray, shape (row, region of the budget)
        The same by its regions alone.
    """

    rows: FLOAT
    regions: FLOAT


def _places(product: zarr.Group, method: Method, ground: Ground, rows: tuple[str, ...]) -> Places:
    """Return where the common rows are; NaN where the budget cannot say.

    Rows of the same polygons are taken by name, groups with the errors that they were given.
    Elsewhere a common region is the sum of the budget's own regions, if whole ones make it up.
    """
    names, ids = labels_of(product, "row"), labels_of(product, "region")
    common = ground.polygons()
    if not method.same_regions:
        made, unclear = _made_up(ids, method, common)
        matrix = row_matrix(common)
        regions = matrix @ made
        regions[matrix @ unclear > 0.0] = np.nan
        wide = np.zeros((len(rows), len(names)))
        wide[:, : len(ids)] = regions
        return Places(wide, regions)
    order = [list(common.region).index(each) for each in ids]
    regions = row_matrix(common)[:, order]
    # A part of the ice sheet is `all` in a budget and AIS in others: the sum of its regions.
    by_name = np.zeros((len(rows), len(names)))
    by_name[:, : len(ids)] = regions
    for number, row in enumerate(rows):
        if row in names:
            by_name[number] = [float(name == row) for name in names]
    return Places(by_name, regions)


def _made_up(ids: tuple[str, ...], method: Method, common: gpd.GeoDataFrame) -> tuple[FLOAT, FLOAT]:
    """Return which regions of a budget make up each common one, and which it cannot say."""
    import geopandas as gpd

    own = _own_regions(method)
    pieces = gpd.overlay(own[["region", "geometry"]], common[["region", "geometry"]],
                         how="intersection", keep_geom_type=True)  # fmt: skip
    area = dict(zip(own.region, own.geometry.area, strict=True))
    shares = np.zeros((len(common), len(ids)))
    commons = list(common.region)
    for mine, theirs, shape in zip(pieces.region_1, pieces.region_2, pieces.geometry, strict=True):
        shares[commons.index(theirs), ids.index(mine)] += shape.area / area[mine]
    matrix = (shares >= LEAST_WITHIN).astype(np.float64)
    unclear = ((shares > 1.0 - LEAST_WITHIN) & (shares < LEAST_WITHIN)).any(axis=1)
    made = (matrix * shares) @ np.array([area[each] for each in ids])
    lacking = made < LEAST_WITHIN * np.asarray(common.geometry.area)
    return matrix, (unclear | lacking).astype(np.float64)


def _own_regions(method: Method) -> gpd.GeoDataFrame:
    """Return the polygons that a budget was made by, from the catalogue that it was made from."""
    from stac import contracts
    from stac.catalogue import CatalogueError, open_catalogue

    name, address = str(method.run["regions"]), str(method.run["catalogue"])
    try:
        catalogue = open_catalogue(address)
        item = catalogue_inputs.single(catalogue, name, role="regions", kinds=POLYGONS)
        return contracts.open_regions(item)
    except (CatalogueError, InputError, contracts.ContractError, OSError, LookupError) as error:
        msg = (
            f"{method.name}: its regions {name!r} are not to be had from {address} ({error}); "
            "compare over the very regions that it was made by, or run mass_budget again"
        )
        raise KeyFailed(msg) from error


def _told(
    product: zarr.Group, quantity: str, weights: FLOAT, places: Places
) -> tuple[FLOAT, FLOAT, FLOAT]:
    """Return a term at several weightings of the years.

    Value and standard deviation, (weighting, row), and each member's value,
    (member, weighting, row).
    """
    values, spread = mass_budget_epochs.stored_term(product, quantity)
    known = np.nan_to_num(values)
    members = np.einsum("wt,mtr,pr->mwp", weights, known, places.rows)
    unknown = (
        np.einsum("wt,mtr,pr->mwp", weights != 0.0, np.isnan(values), places.rows != 0.0) > 0.0
    )
    members = np.where(unknown, np.nan, members)
    within = np.einsum(
        "wt,wu,mrtu,pr->mwp", weights, weights, np.nan_to_num(spread), places.rows**2, optimize=True
    )
    between = members.std(axis=0, ddof=1) if len(members) > 1 else np.zeros_like(members[0])
    sigma = np.sqrt(np.maximum(within.mean(axis=0), 0.0) + between**2)
    return members.mean(axis=0), sigma, members


@dataclass(frozen=True)
class Snow:
    """What monthly snowfall changes of a budget by years.

    Attributes
    ----------
    shift : ndarray, shape (row,)
        Rate over the months of the period, less that over its years [kg yr⁻¹]; NaN if not known.
    months : ndarray of datetime64[M], shape (month,)
    amounts : ndarray, shape (month, row)
        Snow of each month, less what its year gives a month [kg]; no month if it is not known.
    """

    shift: FLOAT
    months: DATES
    amounts: FLOAT

    def monthly(self, months: DATES) -> FLOAT:
        """Return the masses that months add up to at their middles, (row, month)."""
        first = np.flatnonzero(self.months == months[0])
        if not first.size or not len(self.amounts):
            return np.zeros((len(self.shift), len(months)))
        own = self.amounts[first[0] : first[0] + len(months)]
        return np.asarray((np.cumsum(own, axis=0) - 0.5 * own).T)


def _snow_shift(product: zarr.Group, method: Method, calendar: Calendar, places: Places) -> Snow:
    """Return what the months of the climate models say that the years of the budget do not."""
    rows = len(places.rows)
    monthly = _monthly_snow(product, method, calendar)
    if monthly is None or np.isnan(monthly).any():
        return Snow(np.full(rows, np.nan), calendar.months, np.zeros((0, rows)))
    yearly, _ = mass_budget_epochs.stored_term(product, "surface_mass_balance")
    by_year = np.nan_to_num(yearly.mean(axis=0)[:, : monthly.shape[1]])
    starts = calendar.months.astype("datetime64[D]")
    ends = (calendar.months + 1).astype("datetime64[D]")
    elapsed = calendar.elapsed(ends) - calendar.elapsed(starts)
    apart = monthly * elapsed.sum(axis=1, keepdims=True) - elapsed @ by_year
    shift = calendar.month_weights() @ monthly - calendar.year_weights() @ by_year
    return Snow(places.regions @ shift, calendar.months, apart @ places.regions.T)


def _monthly_snow(product: zarr.Group, method: Method, calendar: Calendar) -> FLOAT | None:
    """Return the rates of snow of the months of the period, mean of the models, (month, region).

    Records that end are continued as in the budget itself; None without models.
    """
    run, records = method.run, labels_of(product, "record")
    if not records or "record_smb" not in product:
        return None
    choices = read_record(MassBudgetChoices, run["mass_budget"], "mass_budget", [])
    months = snow.read(product, records, has_reanalysis=bool(run["inputs"].get("reanalysis")))
    collections = tuple(run["inputs"]["surface_mass_balance"])
    models = choices.surface_mass_balance.models or tuple(
        Model(name, (Part(name),)) for name in collections
    )
    spans = tuple(year(str(month)) for month in calendar.months)
    places = Rows(labels_of(product, "region"), ())
    found = [
        snow.snow_of(model, months, spans, places, choices.surface_mass_balance) for model in models
    ]
    return np.asarray(np.mean([each.rate for each in found], axis=0))


def _patterns(
    product: zarr.Group, group: zarr.Group, weights: FLOAT, places: Places, method: Method
) -> dict[str, FLOAT]:
    """Return what a plausible error of each choice of the budget adds to its balance."""
    below = _told(product, "smb_gate_to_grounding_line", weights, places)[0][0]
    fallen = _told(product, "surface_mass_balance", weights, places)[0][0]
    size = float(method.run["mass_budget"]["uncertainty"]["surface_mass_balance"])
    area = places.regions @ stored.read(product, "sliver_area_gross").mean(axis=0)
    inland = fallen / _region_area(product, places)
    # What was corrected may err by a part; what was not, though ice lies below, by all of it.
    gate = np.where(below != 0.0, GATE_SHARE * below, area * inland)
    patterns = {"gate_correction": gate, "surface_mass_balance": size * fallen}
    balance = _told(product, "replaced", weights, places)[2][:, 0]
    for name, chosen in _choices(product).items():
        patterns[name] = balance.mean(axis=0) - balance[chosen].mean(axis=0)
    if "mask_area" in group:
        known = (area > 0.0) & (below != 0.0)
        rate = np.where(known, below / np.where(known, area, 1.0), inland)
        patterns["mask"] = -rate * stored.read(group, "mask_area")
    return patterns


def _uncorrected(product: zarr.Group) -> bool:
    """Return whether no snow is taken from below the gates, though ice lies there."""
    below = mass_budget_epochs.stored_term(product, "smb_gate_to_grounding_line")[0]
    return bool(np.all(below == 0.0) and np.any(stored.read(product, "sliver_area_gross") > 0.0))


def _expected(product: zarr.Group) -> dict[str, Expected]:
    """Return which causes are other choices, and that a correction not made is missing."""
    missing = {"gate_correction": MISSING} if _uncorrected(product) else {}
    return {**dict.fromkeys(_choices(product), ALTERNATIVE), **missing}


def _region_area(product: zarr.Group, places: Places) -> FLOAT:
    count = len(labels_of(product, "region"))
    return np.asarray(places.regions @ stored.read(product, "region_area")[:count])


def _choices(product: zarr.Group) -> dict[str, list[int]]:
    """Return the members of each gate set, bed, mosaic and model that there are several of."""
    cases = stored.values(product, "case_choice")
    of_members = stored.values(product, "member_choice")
    chosen = np.column_stack([cases[of_members[:, 0]], of_members[:, 1]])
    found: dict[str, list[int]] = {}
    for part, name in enumerate(("gate_set", "bed", "mosaic", "model")):
        names = labels_of(product, name)
        for number, label in enumerate(names if len(names) > 1 else ()):
            found[f"{name}:{label}"] = [int(m) for m in np.flatnonzero(chosen[:, part] == number)]
    return found


def budget_causes(method: Method, *, mask: bool) -> tuple[str, ...]:
    """Return the causes that :class:`BudgetJob` has patterns of."""
    choices = _choices(method.product.open())
    return ("gate_correction", "surface_mass_balance", *choices, *(("mask",) if mask else ()))
