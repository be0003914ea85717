"""Surface mass balance of regions: months to years, records continued by a reanalysis, ensembles.

A climate model that ends early is continued by a reanalysis brought to its level region by region
(Yang et al. 2023, section 2.4). How well that predicts years which the model does have is the
standard deviation of the years which it has not; the paper gives them none.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget.epochs import weighted_sums
from pipelines.kernels.budget.hindcast import Fit, Hindcast, Method, fit, hindcast
from pipelines.kernels.budget.years import Reading, month_shortfall, month_weights

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
DATES = NDArray[np.datetime64]

MONTHS_PER_YEAR = 12.0
_SHORT = 1e-9


class SurfaceMassBalanceError(ValueError):
    """Records of surface mass balance that do not fit together."""


class YearSums(NamedTuple):
    """Sums of months over years.

    Attributes
    ----------
    total : ndarray, shape (..., year, region)
        Amounts of the years [kg], NaN where a month is missing.
    missing : ndarray, shape (..., year, region)
        Months that are missing, absent from the record or without a value [months].
    """

    total: FLOAT
    missing: FLOAT


def year_sums(
    amounts: FLOAT, months: DATES, start: DATES, end: DATES, *, reading: Reading = "velocity"
) -> YearSums:
    """Sum months over years of ice flow.

    Parameters
    ----------
    amounts : ndarray, shape (..., month, region)
        Amount of each month [kg], NaN where there is none.
    months : ndarray of datetime64[M], shape (month,)
        Months, each once.
    start, end : ndarray of datetime64[D], shape (year,)
        First days, and first days after, of the years.
    reading : str
        Whose months a year takes, see :func:`pipelines.kernels.budget.years.month_weights`.

    Returns
    -------
    YearSums
        A year that lacks a month, or a part of one, is NaN: eleven months are no year.

    Raises
    ------
    SurfaceMassBalanceError
        As many months as amounts are expected.
    """
    if amounts.ndim < 2 or amounts.shape[-2] != len(months):
        msg = (
            f"found amounts {amounts.shape} and {len(months)} months, expected (..., month, region)"
        )
        raise SurfaceMassBalanceError(msg)
    weights = month_weights(start, end, months, reading=reading)
    absent = month_shortfall(start, end, months, reading=reading)[:, None]
    missing = absent + weights @ np.isnan(amounts).astype(np.float64)
    total = weighted_sums(weights, amounts)
    return YearSums(np.where(missing > _SHORT, np.nan, total), missing)


@dataclass(frozen=True)
class Extended:
    """A model's record continued by a reanalysis.

    Attributes
    ----------
    amounts : ndarray, shape (month, region)
        Amount of each month [kg].
    extended : ndarray of bool, shape (month, region)
        Whether the month is from the reanalysis.
    fit : Fit
        What brought it to the model's level.
    score : Hindcast
        How well that predicts; its ``rmse`` is the spread of a year that is all reanalysis.
    """

    amounts: FLOAT
    extended: BOOL
    fit: Fit
    score: Hindcast


def extend(
    model: FLOAT,
    reanalysis: FLOAT,
    months: DATES,
    *,
    first_year: int,
    last_year: int,
    method: Method = "ratio",
    folds: int | None = None,
) -> Extended:
    """Continue a model's months by those of a reanalysis, brought to its level region by region.

    The fit is to calendar years of the overlap, the paper's 1979 to 2015 or 2017. Months before
    the model's first and after its last month are continued; a gap inside its record stays one.

    Parameters
    ----------
    model, reanalysis : ndarray, shape (month, region)
        Amounts [kg], NaN where there is none.
    months : ndarray of datetime64[M], shape (month,)
        Months of both, ascending.
    first_year, last_year : int
        Calendar years of the overlap, both included.
    method, folds
        See :mod:`pipelines.kernels.budget.hindcast`.

    Returns
    -------
    Extended
        The record. Regions without a fit are not continued: NaN.

    Raises
    ------
    SurfaceMassBalanceError
        Months that do not ascend, or an overlap of no year.
    HindcastError
        See :func:`pipelines.kernels.budget.hindcast.hindcast`.
    """
    if np.any(np.diff(months.astype(np.int64)) <= 0):
        msg = "months do not ascend; sort the records by time and drop what is there twice"
        raise SurfaceMassBalanceError(msg)
    if last_year < first_year:
        msg = f"found an overlap from {first_year} to {last_year}, expected a first and a last year"
        raise SurfaceMassBalanceError(msg)
    every = np.arange(first_year, last_year + 1).astype(str).astype("datetime64[Y]")
    start, end = every.astype("datetime64[D]"), (every + 1).astype("datetime64[D]")
    m, r = (year_sums(record, months, start, end).total for record in (model, reanalysis))
    learnt = fit(m, r, method=method)
    score = hindcast(m, r, method=method, folds=folds)
    continued = learnt.predict(reanalysis, years=1.0 / MONTHS_PER_YEAR)
    outside = ~_inside(~np.isnan(model))
    amounts = np.where(outside, continued, model)
    return Extended(amounts, outside & ~np.isnan(continued), learnt, score)


def _inside(known: BOOL) -> BOOL:
    """Return whether each month lies between the first and the last known one, by region."""
    begun = np.logical_or.accumulate(known, axis=0)
    to_come = np.logical_or.accumulate(known[::-1], axis=0)[::-1]
    return np.asarray(begun & to_come)


def extension_sigma(share: FLOAT, rmse: FLOAT) -> FLOAT:
    """Return the spread that a year has because part of it is continued.

    ::

        σ = rmse √f

    as if the errors of its months were independent, which for a part of a year is more than
    ``rmse f``.

    Parameters
    ----------
    share : ndarray, shape (..., year, region)
        Part f of the year's months that is from the reanalysis: 0 to 1 [1].
    rmse : ndarray, shape (region,)
        Spread of whole years, see :class:`Hindcast` [kg].

    Returns
    -------
    ndarray, shape (..., year, region)
        Standard deviation [kg]: 0 in years of the model, NaN in others where there is no score.
    """
    return np.where(share == 0.0, 0.0, rmse * np.sqrt(share))


def extended_share(
    extended: BOOL, months: DATES, start: DATES, end: DATES, *, reading: Reading = "velocity"
) -> FLOAT:
    """Return what part of each year's months is from the reanalysis, shape (year, region) [1]."""
    weights = month_weights(start, end, months, reading=reading)
    whole = weights.sum(axis=1, keepdims=True)
    part = weights @ extended.astype(np.float64)
    return np.where(whole > 0.0, part / np.where(whole > 0.0, whole, 1.0), np.nan)


class Ensemble(NamedTuple):
    """What several models say together.

    Attributes
    ----------
    mean, spread : ndarray, shape (...)
        Mean and sample standard deviation over models, NaN where a model has no value; of one
        model the spread is NaN, since it is not known.
    """

    mean: FLOAT
    spread: FLOAT


def ensemble(models: FLOAT) -> Ensemble:
    """Return mean and spread of models.

    Where one model ends, the mean of the others would jump by what separates them, which between
    published models is 250 Gt yr⁻¹ for Antarctica: such years have no mean.

    Parameters
    ----------
    models : ndarray, shape (model, ...)
        Surface mass balance of each model [kg].

    Returns
    -------
    Ensemble
        Mean and spread [kg].

    Raises
    ------
    SurfaceMassBalanceError
        No model.
    """
    count = len(models)
    if count == 0:
        msg = "found no model, expected one at least"
        raise SurfaceMassBalanceError(msg)
    mean = np.asarray(models.mean(axis=0))
    if count == 1:
        return Ensemble(mean, np.full(mean.shape, np.nan))
    return Ensemble(mean, np.asarray(models.std(axis=0, ddof=1)))
