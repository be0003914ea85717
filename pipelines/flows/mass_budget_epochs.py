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

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.kernels.budget.years import Year
    from pipelines.settings_mass_budget import Epoch, MassBudgetChoices

FLOAT = NDArray[np.float64]

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


def whole_epochs(choices: MassBudgetChoices, years: Sequence[Year]) -> list[Epoch]:
    """Return the epochs of which the run has every year."""
    known = {year.label for year in years}
    return [each for each in choices.epochs if known.issuperset(each.years)]


def spans(choices: MassBudgetChoices, years: Sequence[Year]) -> list[Span]:
    """Return the epochs that the run has, then the mean over them; over all years if none is."""
    whole = [
        epochs.Epoch(each.name, each.years, each.weights) for each in whole_epochs(choices, years)
    ]
    if not whole:
        return [_span(MEAN, np.full(len(years), 1.0 / len(years)), years)]
    matrix = epochs.weight_matrix(whole, [year.label for year in years])
    together = epochs.mean_weights(whole, of=choices.mean) @ matrix
    found = [_span(each.name, row, years) for each, row in zip(whole, matrix, strict=True)]
    return [*found, _span(MEAN, together, years)]


def single_years(years: Sequence[Year]) -> list[Span]:
    """Return each year by itself."""
    return [
        _span(year.label, row, years) for year, row in zip(years, np.eye(len(years)), strict=True)
    ]


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


def told(group: zarr.Group, quantity: str, span: Span) -> Told:
    """Return one of the budget's terms over a span; ``replaced`` is the balance as replaced.

    Years that do not count are not looked at, so that one without velocity leaves the rest whole.
    """
    weights = np.asarray(span.weights)
    on = weights > 0.0
    if quantity == "replaced":
        values = stored.read(group, "replaced_mass_balance")
        spread = stored.read(group, "replaced_covariance")
    else:
        number = QUANTITIES.index(quantity)
        values = stored.read(group, "budget", (slice(None), number))
        spread = stored.read(group, "budget_covariance", (slice(None), number))
    mean = np.einsum("t,mtr->mr", weights[on], values[:, on])
    variance = np.einsum("t,u,mrtu->mr", weights[on], weights[on], spread[:, :, on][:, :, :, on])
    return Told(mean, np.sqrt(np.maximum(variance, 0.0)))


def skipped(choices: MassBudgetChoices, layout: Layout) -> Iterator[str]:
    """Say which epochs the run's years do not make."""
    known = {year.label for year in layout.years}
    left = [each for each in choices.epochs if not known.issuperset(each.years)]
    if left and len(left) < len(choices.epochs):
        for each in left:
            absent = ", ".join(label for label in each.years if label not in known)
            yield f"epoch {each.name}: no velocity of {absent}; the epoch is left out"
    elif left:
        yield "no epoch of the run file has all its years; the mean is that of every year"
