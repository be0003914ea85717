"""Snow of the very months of the common period, where a mass budget has snow of years."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import mass_budget_epochs
from pipelines.flows import mass_budget_snow as snow
from pipelines.flows.comparison_places import choices_of
from pipelines.flows.mass_budget_rows import Rows
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.budget.years import year
from pipelines.settings_mass_budget import Model, Part

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_calendar import Calendar
    from pipelines.flows.comparison_inputs import Method
    from pipelines.flows.comparison_places import Places

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]

SHARES = ("snow_by_months", "balance_replaced")
"""Arrays (method, row) of how a budget's rate was made, shares of the area [1]."""


@dataclass(frozen=True)
class Snow:
    """What monthly snowfall changes of a budget by years.

    Attributes
    ----------
    shift : ndarray, shape (region,)
        Rate over the months of the period, less that over its years [kg yr⁻¹]; 0 for a region that
        stays by years.
    months : ndarray of datetime64[M], shape (month,)
    amounts : ndarray, shape (month, region)
        Snow of each month, less what its year gives a month [kg]; 0 for such a region.
    by_months : ndarray of bool, shape (region,)
        Regions of which every month is known. A region without one stays by years: a rate over
        months that lack is one over others.
    """

    shift: FLOAT
    months: DATES
    amounts: FLOAT
    by_months: NDArray[np.bool_]

    def monthly(self, months: DATES) -> FLOAT:
        """Return the masses that months add up to at their middles, (region, month) [kg]."""
        first = np.flatnonzero(self.months == months[0])
        if not first.size:
            return np.zeros((len(self.shift), len(months)))
        own = self.amounts[first[0] : first[0] + len(months)]
        return np.asarray((np.cumsum(own, axis=0) - 0.5 * own).T)

    def told(self, regions: tuple[str, ...]) -> str:
        """Say which regions have snow by months."""
        if self.by_months.all():
            return "snow by months"
        if not self.by_months.any():
            return "snow by years"
        lacking = [name for name, here in zip(regions, self.by_months, strict=True) if not here]
        return f"snow by months, by years in {', '.join(lacking)} where months lack"


def snow_shift(product: zarr.Group, method: Method, calendar: Calendar) -> Snow:
    """Return what the months of the climate models say that the years of the budget do not."""
    monthly = _monthly_snow(product, method, calendar)
    by_months = np.asarray(np.isfinite(monthly).all(axis=0))
    yearly, _ = mass_budget_epochs.stored_term(product, "surface_mass_balance")
    by_year = np.nan_to_num(yearly.mean(axis=0)[:, : monthly.shape[1]])
    starts = calendar.months.astype("datetime64[D]")
    ends = (calendar.months + 1).astype("datetime64[D]")
    elapsed = calendar.elapsed(ends) - calendar.elapsed(starts)
    apart = monthly * elapsed.sum(axis=1, keepdims=True) - elapsed @ by_year
    shift = calendar.month_weights() @ monthly - calendar.year_weights() @ by_year
    return Snow(
        np.where(by_months, shift, 0.0), calendar.months, np.where(by_months, apart, 0.0), by_months
    )


def _monthly_snow(product: zarr.Group, method: Method, calendar: Calendar) -> FLOAT:
    """Return the rates of snow of the months of the period, mean of the models, (month, region).

    Records that end are continued as in the budget itself; NaN [kg yr⁻¹] where one has no value,
    everywhere without models.
    """
    run, records = method.run, labels_of(product, "record")
    regions = labels_of(product, "region")
    if not records or "record_smb" not in product:
        return np.full((len(calendar.months), len(regions)), np.nan)
    choices = choices_of(method).surface_mass_balance
    months = snow.read(product, records, has_reanalysis=bool(run["inputs"].get("reanalysis")))
    collections = tuple(run["inputs"]["surface_mass_balance"])
    models = choices.models or tuple(Model(name, (Part(name),)) for name in collections)
    spans = tuple(year(str(month)) for month in calendar.months)
    places = Rows(regions, ())
    found = [snow.snow_of(model, months, spans, places, choices) for model in models]
    return np.asarray(np.mean([each.rate for each in found], axis=0))


def shares(product: zarr.Group, places: Places, fallen: Snow) -> dict[str, FLOAT]:
    """Return how much of each row's area has snow by months, and a balance from elsewhere [1].

    Arrays of shape (row,) by the names of :data:`SHARES`.
    """
    own = stored.read(product, "region_area")[: len(fallen.by_months)]
    whole = places.area(product)
    parts = fallen.by_months, places.is_replaced
    return {
        name: np.asarray((places.regions @ (own * part)) / whole)
        for name, part in zip(SHARES, parts, strict=True)
    }


def notes(group: zarr.Group) -> list[list[str]]:
    """Return what notes of rows say of how a rate was made, by method and row.

    ``;snow=months``, ``years``, or ``both`` of a group of which some regions lack months;
    ``;replaced=0.120`` where that share of the area has a balance from elsewhere, so that snow less
    discharge is not the balance. Empty for methods that are no budget.
    """
    methods, rows = labels_of(group, "method"), labels_of(group, "row")
    # A version that was begun before these arrays were made has none.
    if any(name not in group for name in SHARES):
        return [[""] * len(rows) for _ in methods]
    by_months, replaced = (stored.read(group, name) for name in SHARES)
    return [
        [_note(float(a), float(b)) for a, b in zip(*of, strict=True)]
        for of in zip(by_months, replaced, strict=True)
    ]


def _note(by_months: float, replaced: float) -> str:
    if np.isnan(by_months):
        return ""
    how = {0.0: "years", 1.0: "months"}.get(round(by_months, 9), "both")
    return f";snow={how}" + (f";replaced={replaced:.3f}" if replaced > 0.0 else "")
