"""Terms of a mass budget by year: series, and cumulative sums with their covariance."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import mass_budget_epochs as epochs
from pipelines.kernels.budget.years import decimal
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    from pipelines.figures.year_axis import Spans
    from pipelines.flows.mass_budget_tables import Told

FLOAT = NDArray[np.float64]


def spans(of: Told) -> Spans:
    """Return the years of a run as spans of an axis."""
    from pipelines.figures.year_axis import Spans

    years = of.layout.years
    starts, ends = (
        np.array([decimal(getattr(year, end)) for year in years]) for end in ("start", "end")
    )
    return Spans(starts, ends, [year.label for year in years])


def by_year(of: Told, quantity: str, row: int) -> tuple[FLOAT, FLOAT]:
    """Return a term of one row and its standard deviation, (year,) [Gt yr⁻¹]."""
    found = [epochs.told(of.group, quantity, span) for span in epochs.single_years(of.layout.years)]
    values, sigmas = ([getattr(each, name)[row] for each in found] for name in ("value", "sigma"))
    return np.array(values) / KG_PER_GT, np.array(sigmas) / KG_PER_GT


def is_unbroken(of: Told) -> bool:
    """Return whether every year begins where the one before it ends."""
    years = of.layout.years
    return all(a.end == b.start for a, b in itertools.pairwise(years))


def cumulative(of: Told, row: int, quantity: str = "replaced") -> tuple[FLOAT, FLOAT]:
    """Return the mass gained by each year's end and its standard deviation, (year,) [Gt].

    ::

        ΔM_t = Σ_{s ≤ t} MB_s Δ_s,      cov = A cov(MB) Aᵀ,      A lower triangular of Δ

    Errors that years share add up, those of a year by itself add in quadrature; the spread between
    members is another part.
    """
    ends = spans(of)
    values, spread = epochs.stored_term(of.group, quantity)
    change, sigma = gained(values[:, :, row], spread[:, row], ends.ends - ends.starts)
    return change / KG_PER_GT, sigma / KG_PER_GT


def gained(balance: FLOAT, covariance: FLOAT, lengths: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return what :func:`cumulative` does, from arrays.

    Parameters
    ----------
    balance : ndarray, shape (member, year)
        Mass balance of one row [kg yr⁻¹].
    covariance : ndarray, shape (member, year, year)
        Its covariance between years [kg² yr⁻²].
    lengths : ndarray, shape (year,)
        Of the years [yr].

    Returns
    -------
    change, sigma : ndarray, shape (year,)
        Mass gained by each year's end and its standard deviation [kg].
    """
    steps = np.tril(np.ones((len(lengths), 1)) * lengths)
    members = balance @ steps.T
    within = np.einsum("at,mtu,au->ma", steps, covariance, steps).mean(axis=0)
    between = members.var(axis=0, ddof=1) if len(members) > 1 else np.zeros(len(steps))
    return members.mean(axis=0), np.sqrt(np.maximum(within, 0.0) + between)
