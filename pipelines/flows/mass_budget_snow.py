"""Surface mass balance of each model by year: its parts put together, continued, summed.

A model may be several climate models for different regions; each is continued by the reanalysis
where it ends, and what that costs in certainty is its hindcast error.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.kernels.budget import surface_mass_balance as snow
from pipelines.kernels.budget import years as intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import zarr

    from pipelines.flows.mass_budget_rows import Rows
    from pipelines.kernels.budget.years import Year
    from pipelines.settings_mass_budget import Model, SurfaceMassBalance

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]

MONTHS_PER_YEAR = 12

LEAST_YEARS = 3
"""Fewer common years score no hindcast."""

ABOUT_A_YEAR = (0.8, 1.2)
"""Only intervals of such lengths may take the months of a calendar year [yr]."""


@dataclass(frozen=True)
class Snow:
    """What one model gives, and what is uncertain because a reanalysis continues it.

    Attributes
    ----------
    rate : ndarray, shape (year, region)
        Surface mass balance of the regions [kg yr⁻¹].
    in_slivers : ndarray, shape (gate_set, year, region)
        That between gates and grounding line [kg yr⁻¹].
    hindcast : ndarray, shape (region,)
        Error of a year that is all reanalysis [kg yr⁻¹]; NaN where there is none.
    extended : ndarray, shape (year, region)
        Part of the year's months that the reanalysis gives [1].
    length : ndarray, shape (year, 1)
        Length of each year [yr].
    bias, scored : ndarray, shape (region,)
        Size of the hindcast's mean error [kg yr⁻¹], and how many years were scored.
    lacking : ndarray, shape (region,)
        Part of the region where the model has no value, which the rest stands for [1].
    """

    rate: FLOAT
    in_slivers: FLOAT
    hindcast: FLOAT
    extended: FLOAT
    length: FLOAT
    bias: FLOAT
    scored: FLOAT
    lacking: FLOAT

    def coast_sigma(self) -> FLOAT:
        """Return the error of what the rest of a region stands for: as large as it is."""
        return np.abs(self.rate) * self.lacking

    def extension_sigma(self) -> FLOAT:
        """Return what continued years add to the error of each, (year, region) [kg yr⁻¹].

        ::

            σ = rmse √(f / T)       f: part that is continued, T: length of the year [yr]

        A hindcast scores sums of whole years: those of months scatter more as rates, the mean of a
        decade less.
        """
        return snow.extension_sigma(self.extended, self.hindcast) / np.sqrt(self.length)

    def ratio_sigma(self) -> FLOAT:
        """Return what the fit itself errs by, alike in all continued years, (year, region).

        ``rmse / √n`` of the n years of the overlap, or its mean error if that is more.
        """
        known = np.maximum(self.bias, self.hindcast / np.sqrt(np.maximum(self.scored, 1)))
        return np.where(self.extended > 0.0, self.extended * known, 0.0)


@dataclass(frozen=True)
class Months:
    """Monthly amounts of all climate models, (record, month, region) and by gate set [kg]."""

    months: DATES
    names: tuple[str, ...]
    regions: FLOAT
    slivers: FLOAT
    missing: FLOAT
    reanalysis: int | None


def read(group: zarr.Group, names: tuple[str, ...], *, has_reanalysis: bool) -> Months:
    """Return the months that the stage before has summed; the reanalysis is the last record."""
    days = stored.values(group, "month").astype("datetime64[D]")
    return Months(
        days.astype("datetime64[M]"),
        names,
        stored.read(group, "record_smb"),
        stored.read(group, "record_sliver_smb"),
        stored.read(group, "record_missing"),
        len(names) - 1 if has_reanalysis else None,
    )


def snow_of(
    model: Model,
    records: Months,
    years: Sequence[Year],
    places: Rows,
    choices: SurfaceMassBalance,
) -> Snow:
    """Return the surface mass balance of one model by year and region.

    Parameters
    ----------
    model : Model
        Which climate model stands for which regions.
    records : Months
        Their months, and those of the reanalysis.
    years : sequence of Year
        Years of ice flow.
    places : Rows
        Regions and groups, for parts that name groups.
    choices : SurfaceMassBalance
        Which months are a year's, and how records are continued.
    """
    count = len(places.regions)
    shape = (len(years), count)
    made = Snow(
        np.full(shape, np.nan),
        np.full((records.slivers.shape[1], *shape), np.nan),
        np.full(count, np.nan),
        np.zeros(shape),
        np.ones((len(years), 1)),
        np.zeros(count),
        np.zeros(count),
        np.zeros(count),
    )
    for part in model.parts:
        number = records.names.index(part.collection)
        chosen = _regions_of(part.regions, places)
        found = _of_record(records, number, years, choices)
        made.rate[:, chosen] = found.rate[:, chosen]
        made.in_slivers[:, :, chosen] = found.in_slivers[:, :, chosen]
        made.hindcast[chosen] = found.hindcast[chosen]
        made.extended[:, chosen] = found.extended[:, chosen]
        made.bias[chosen], made.scored[chosen] = found.bias[chosen], found.scored[chosen]
        made.length[:] = found.length
        made.lacking[chosen] = found.lacking[chosen]
    return made


def _regions_of(names: tuple[str, ...], places: Rows) -> NDArray[np.bool_]:
    """Return which regions a part is for, by id or by group; all if it names none."""
    if not names:
        return np.ones(len(places.regions), dtype=bool)
    groups = dict(places.groups)
    unknown = [name for name in names if name not in groups and name not in places.regions]
    if unknown:
        msg = (
            f"mass_budget.surface_mass_balance.models: no region or group {', '.join(unknown)}; "
            f"there are {', '.join(groups)} and the regions {', '.join(places.regions[:30])}"
        )
        raise KeyFailed(msg, ())
    wanted = {region for name in names for region in groups.get(name, (name,))}
    return np.array([region in wanted for region in places.regions])


def _of_record(
    records: Months, number: int, years: Sequence[Year], choices: SurfaceMassBalance
) -> Snow:
    """Return the years of one climate model, continued where it ends."""
    amounts = records.regions[number]
    share = np.zeros((len(years), amounts.shape[1]))
    hindcast = np.full(amounts.shape[1], np.nan)
    bias = scored = np.zeros(amounts.shape[1])
    ends = intervals.bounds(years)
    if not all(ABOUT_A_YEAR[0] < year.duration < ABOUT_A_YEAR[1] for year in years):
        choices = dataclasses.replace(choices, months="velocity")
    slivers = records.slivers[number]
    if records.reanalysis is not None and records.reanalysis != number:
        extended = _extended(records, number, choices)
        part = _sliver_part(amounts, slivers)
        slivers = np.where(extended.extended, part[:, None] * extended.amounts, slivers)
        amounts, hindcast = extended.amounts, extended.score.rmse
        bias = np.abs(np.nan_to_num(extended.score.bias))
        scored = extended.score.years.astype(np.float64)
        share = snow.extended_share(
            extended.extended, records.months, *ends, reading=choices.months
        )
    length = _lengths(records.months, *ends, choices)
    rate = snow.year_sums(amounts, records.months, *ends, reading=choices.months).total
    below = snow.year_sums(slivers, records.months, *ends, reading=choices.months).total
    lacking = np.nan_to_num(records.missing[number])
    held = np.isfinite(records.missing[number]).sum(axis=0)
    part = lacking.sum(axis=0) / np.maximum(held, 1)
    return Snow(rate / length, below / length, hindcast, share, length, bias, scored, part)


def _extended(records: Months, number: int, choices: SurfaceMassBalance) -> snow.Extended:
    model, other = records.regions[number], records.regions[int(records.reanalysis or 0)]
    how = choices.extension
    common = np.isfinite(model).any(axis=1) & np.isfinite(other).any(axis=1)
    years = _whole_years(records.months[common])
    if len(years) < LEAST_YEARS:
        msg = (
            f"{records.names[number]} and the reanalysis {records.names[-1]} have {len(years)} "
            f"whole calendar years in common, expected {LEAST_YEARS} at least to score it; "
            "ingest more of one, or leave the reanalysis out"
        )
        raise KeyFailed(msg, ())
    first, last = how.first_year or years[0], how.last_year or years[-1]
    try:
        return snow.extend(
            model, other, records.months, method=how.method, first_year=first, last_year=last,
            folds=max(2, min(how.folds, last - first + 1)),
        )  # fmt: skip
    except ValueError as error:
        msg = f"{records.names[number]} cannot be continued by {records.names[-1]}: {error}"
        raise KeyFailed(msg, ()) from error


def _whole_years(months: DATES) -> list[int]:
    """Return the calendar years of which all twelve months are there."""
    found, counts = np.unique(months.astype("datetime64[Y]").astype(int) + 1970, return_counts=True)
    return [
        int(year) for year, count in zip(found, counts, strict=True) if count == MONTHS_PER_YEAR
    ]


def _sliver_part(amounts: FLOAT, slivers: FLOAT) -> FLOAT:
    """Return what part of a region's snow falls below its gates, (gate_set, region) [1]."""
    known = np.isfinite(amounts) & np.isfinite(slivers).all(axis=0)
    whole = np.where(known, amounts, 0.0).sum(axis=0)
    below = np.where(known, slivers, 0.0).sum(axis=1)
    part = np.full(below.shape, np.nan)
    return np.asarray(np.divide(below, whole, out=part, where=whole != 0.0))


def _lengths(months: DATES, start: DATES, end: DATES, choices: SurfaceMassBalance) -> FLOAT:
    """Return how many years of months each year of flow takes, (year, 1) [yr]."""
    weights = intervals.month_weights(start, end, months, reading=choices.months).sum(axis=1)
    return np.asarray(np.where(weights > 0.0, weights, np.nan) / MONTHS_PER_YEAR)[:, None]
