"""Epochs of a mass budget: which of them the run's years make, and terms averaged over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.mass_budget_arrays import QUANTITIES
from pipelines.kernels.budget import epochs
from pipelines.kernels.budget import years as intervals

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.kernels.budget.years import Year
    from pipelines.settings_mass_budget import Epoch, MassBudgetChoices

FLOAT = NDArray[np.float64]

LONGEST_MONTH = 0.1
"""Velocities of intervals shorter than this are monthly [yr]."""

MEAN = "mean"
"""Name of the span that all epochs, or all years, make together."""


@dataclass(frozen=True)
class Span:
    """Years that are averaged: an epoch, the mean of a run, or a year by itself.

    Attributes
    ----------
    name : str
        What people call it.
    weights : tuple of float
        What each year of the run counts; their sum is 1.
    first, last : date
        First and last day of the years that count.
    """

    name: str
    weights: tuple[float, ...]
    first: dt.date
    last: dt.date


def resolved(label: str, years: Sequence[Year]) -> FLOAT:
    """Return the weights of a run's years in one that is asked for by its label, (year,).

    The year of that label; or, where the run has months, those of the year, by their days. NaN
    throughout if the run has neither.
    """
    named = np.array([year.label == label for year in years], dtype=np.float64)
    if named.any():
        return named
    try:
        asked = intervals.year(label)
    except intervals.YearError:
        return np.full(len(years), np.nan)
    weights = np.asarray(intervals.day_weights([asked], years)[0])
    # A longer interval is no part of the year: what it averages is mostly of other years.
    inside = [asked.start <= year.start and year.end <= asked.end for year in years]
    return (
        weights
        if np.all(np.isin(np.flatnonzero(weights), np.flatnonzero(inside)))
        else (np.full(len(years), np.nan))
    )


def whole_epochs(choices: MassBudgetChoices, years: Sequence[Year]) -> list[Epoch]:
    """Return the epochs of which the run has every year."""
    return [
        each
        for each in choices.epochs
        if all(np.isfinite(resolved(label, years)).all() for label in each.years)
    ]


def spans(choices: MassBudgetChoices, years: Sequence[Year]) -> list[Span]:
    """Return the epochs that the run has, then the mean over them; over all years if none is.

    Without epochs years count by their length, as months do.
    """
    whole = [
        epochs.Epoch(each.name, each.years, each.weights) for each in whole_epochs(choices, years)
    ]
    if not whole:
        lengths = np.array([year.duration for year in years])
        return [_span(MEAN, lengths / lengths.sum(), years)]
    labels = list(dict.fromkeys(label for each in whole for label in each.years))
    by_label = np.stack([resolved(label, years) for label in labels])
    matrix = epochs.weight_matrix(whole, labels) @ by_label
    together = epochs.mean_weights(whole, of=choices.mean) @ matrix
    found = [_span(each.name, row, years) for each, row in zip(whole, matrix, strict=True)]
    return [*found, _span(MEAN, together, years)]


def single_years(years: Sequence[Year]) -> list[Span]:
    """Return each year by itself."""
    pairs = zip(years, np.eye(len(years)), strict=True)
    return [_span(year.label, row, years) for year, row in pairs]


def years_of_months(years: Sequence[Year]) -> list[Span]:
    """Return the whole calendar years of a run of months; none of a run of years."""
    if not years or max(year.duration for year in years) > LONGEST_MONTH:
        return []
    asked = sorted({str(year.start.year) for year in years})
    found = ((label, resolved(label, years)) for label in asked)
    return [_span(label, row, years) for label, row in found if np.isfinite(row).all()]


def _span(name: str, weights: FLOAT, years: Sequence[Year]) -> Span:
    counted = [year for year, weight in zip(years, weights, strict=True) if weight > 0.0]
    first = min(year.start for year in counted)
    last = max(year.end for year in counted) - dt.timedelta(days=1)
    return Span(name, tuple(float(weight) for weight in weights), first, last)


@dataclass(frozen=True)
class Told:
    """One term over one span, of all rows: mean of the members, and what makes it uncertain.

    Attributes
    ----------
    members : ndarray, shape (member, row)
        Each member's value [kg yr⁻¹].
    sigmas : ndarray, shape (member, row)
        Standard deviation within each member [kg yr⁻¹].
    """

    members: FLOAT
    sigmas: FLOAT

    @property
    def value(self) -> FLOAT:
        """Mean of the members, shape (row,) [kg yr⁻¹]."""
        return np.asarray(self.members.mean(axis=0))

    @property
    def within(self) -> FLOAT:
        """Root mean square of the members' own standard deviations, shape (row,)."""
        return np.asarray(np.sqrt((self.sigmas**2).mean(axis=0)))

    @property
    def between(self) -> FLOAT:
        """Spread of the members about their mean, shape (row,); 0 for a single one."""
        if len(self.members) == 1:
            return np.zeros(self.members.shape[1])
        return np.asarray(self.members.std(axis=0, ddof=1))

    @property
    def sigma(self) -> FLOAT:
        """Standard deviation of the mean member: ``√(within² + between²)``, shape (row,)."""
        return np.asarray(np.hypot(self.within, self.between))


def stored_term(group: zarr.Group, quantity: str) -> tuple[FLOAT, FLOAT]:
    """Return a term of all members by year and row, and its covariance between years."""
    if quantity == "replaced":
        values = stored.read(group, "replaced_mass_balance")
        return values, stored.read(group, "replaced_covariance")
    at = (slice(None), QUANTITIES.index(quantity))
    return stored.read(group, "budget", at), stored.read(group, "budget_covariance", at)


def told(group: zarr.Group, quantity: str, span: Span) -> Told:
    """Return one of the budget's terms over a span; ``replaced`` is the balance as replaced.

    Years that do not count are not looked at, so that one without velocity leaves the rest whole.
    """
    weights = np.asarray(span.weights)
    on = weights > 0.0
    values, spread = stored_term(group, quantity)
    mean = np.einsum("t,mtr->mr", weights[on], values[:, on])
    variance = np.einsum("t,u,mrtu->mr", weights[on], weights[on], spread[:, :, on][:, :, :, on])
    return Told(mean, np.sqrt(np.maximum(variance, 0.0)))


def skipped(choices: MassBudgetChoices, layout: Layout) -> Iterator[str]:
    """Say which epochs the run's years do not make."""
    whole = whole_epochs(choices, layout.years)
    left = [each for each in choices.epochs if each not in whole]
    if left and len(left) < len(choices.epochs):
        for each in left:
            absent = ", ".join(
                label for label in each.years if np.isnan(resolved(label, layout.years)).any()
            )
            yield f"epoch {each.name}: no velocity of {absent}; the epoch is left out"
    elif left:
        yield "no epoch of the run file has all its years; the mean is that of every year"
