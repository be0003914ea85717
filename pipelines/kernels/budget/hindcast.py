"""A reanalysis brought to the level of a climate model, and how well that predicts the model.

Yang et al. (2023, section 2.4) take the ratio of sums over the years that both have, region by
region. How well it predicts years that it has not seen is left to :func:`hindcast`.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
Method = Literal["ratio", "regression"]


class HindcastError(ValueError):
    """Records that cannot be brought to one level, or scored."""


class Fit(NamedTuple):
    """What brings a reanalysis to the level of a model: ``model ≈ slope · reanalysis + intercept``.

    Attributes
    ----------
    slope, intercept : ndarray, shape (..., region)
        Slope [1] and intercept [kg yr⁻¹], NaN where there are too few years.
    """

    slope: FLOAT
    intercept: FLOAT

    def predict(self, reanalysis: FLOAT, *, years: float = 1.0) -> FLOAT:
        """Return the model's amounts from those of the reanalysis over a part of a year [kg]."""
        return np.asarray(self.slope * reanalysis + self.intercept * years)


def fit(model: FLOAT, reanalysis: FLOAT, *, method: Method = "ratio") -> Fit:
    """Bring a reanalysis to the level of a model over the years that both have.

    ::

        ratio:       slope = Σ_t M_t / Σ_t R_t,    intercept = 0
        regression:  least squares of M_t on R_t

    Parameters
    ----------
    model, reanalysis : ndarray, shape (..., year, region)
        Sums of the years of the overlap [kg], NaN where there is none.
    method : {"ratio", "regression"}
        Ratio of sums, as the paper has it, or a line.

    Returns
    -------
    Fit
        NaN in regions with fewer common years than the method needs (1 or 3), or in which the
        reanalysis sums to nothing or has the opposite sign, or does not vary.

    Raises
    ------
    HindcastError
        Different shapes, an unknown method, no year that both have in any region.

    Examples
    --------
    >>> fit(np.array([[90.0], [110.0]]), np.array([[100.0], [150.0]])).slope
    array([0.8])
    """
    _require_records(model, reanalysis, method)
    both = ~np.isnan(model) & ~np.isnan(reanalysis)
    n = both.sum(axis=-2)
    m, r = (np.where(both, record, 0.0) for record in (model, reanalysis))
    m_sum, r_sum = m.sum(axis=-2), r.sum(axis=-2)
    if method == "ratio":
        sound = (n >= 1) & (m_sum * r_sum > 0.0)
        slope = np.where(sound, m_sum / np.where(sound, r_sum, 1.0), np.nan)
        return Fit(slope, np.where(sound, 0.0, np.nan))
    count = np.maximum(n, 1)
    m_mean, r_mean = m_sum / count, r_sum / count
    r_less = np.where(both, r - r_mean[..., None, :], 0.0)
    square = (r_less**2).sum(axis=-2)
    sound = (n >= 3) & (square > 1e-20 * (r**2).sum(axis=-2))
    slope = np.where(sound, (r_less * m).sum(axis=-2) / np.where(sound, square, 1.0), np.nan)
    return Fit(slope, m_mean - slope * r_mean)


def _require_records(model: FLOAT, reanalysis: FLOAT, method: str) -> None:
    if method not in {"ratio", "regression"}:
        msg = f"found the method {method!r}, expected 'ratio' or 'regression'"
        raise HindcastError(msg)
    if model.shape != reanalysis.shape or model.ndim < 2:
        msg = (
            f"found a model {model.shape} and a reanalysis {reanalysis.shape}, expected "
            "(..., year, region) for both; put them on the same months and regions"
        )
        raise HindcastError(msg)
    if np.all(np.isnan(model) | np.isnan(reanalysis)):
        msg = (
            "model and reanalysis have no complete year in common in any region; choose an overlap "
            "that both records cover, such as 1979 to 2015"
        )
        raise HindcastError(msg)


class Hindcast(NamedTuple):
    """How well a continued record predicts years of the model that it was not fitted to.

    Attributes
    ----------
    predicted : ndarray, shape (year, region)
        Each year from a fit without its fold [kg].
    rmse, bias : ndarray, shape (region,)
        Root mean square, and mean, of predicted less model [kg].
    r2 : ndarray, shape (region,)
        Part of the model's variance that is predicted, 1 − Σ d² / Σ (M − mean)² [1]; negative
        where its mean predicts better.
    correlation2 : ndarray, shape (region,)
        Squared correlation of model and reanalysis, which a line fitted to them has [1].
    years : ndarray of int, shape (region,)
        Years that were predicted.
    """

    predicted: FLOAT
    rmse: FLOAT
    bias: FLOAT
    r2: FLOAT
    correlation2: FLOAT
    years: NDArray[np.int64]


def hindcast(
    model: FLOAT, reanalysis: FLOAT, *, method: Method = "ratio", folds: int | None = None
) -> Hindcast:
    """Predict every year of the overlap from the others, and score the prediction.

    Parameters
    ----------
    model, reanalysis : ndarray, shape (year, region)
        Sums of consecutive years [kg], NaN where there is none.
    method : {"ratio", "regression"}
        See :func:`fit`.
    folds : int or None
        Blocks of consecutive years that are left out in turn; None leaves out one year. Blocks
        leave less of a year's memory in its neighbours to learn from.

    Returns
    -------
    Hindcast
        NaN in regions with fewer than three predicted years.

    Raises
    ------
    HindcastError
        As for :func:`fit`; fewer than two folds, or more than years.
    """
    _require_records(model, reanalysis, method)
    count = len(model) if folds is None else folds
    if not 2 <= count <= len(model):
        msg = f"found {count} folds for {len(model)} years, expected 2 to {len(model)}"
        raise HindcastError(msg)
    predicted = np.full(model.shape, np.nan)
    for fold in np.array_split(np.arange(len(model)), count):
        kept = np.ones(len(model), np.bool_)
        kept[fold] = False
        if np.all(np.isnan(model[kept]) | np.isnan(reanalysis[kept])):
            continue
        learnt = fit(model[kept], reanalysis[kept], method=method)
        predicted[fold] = learnt.predict(reanalysis[fold])
    return _score(model, reanalysis, predicted)


def _score(model: FLOAT, reanalysis: FLOAT, predicted: FLOAT) -> Hindcast:
    known = ~np.isnan(model) & ~np.isnan(predicted)
    n = known.sum(axis=0)

    def mean(values: FLOAT) -> FLOAT:
        total = np.where(known, values, 0.0).sum(axis=0)
        return np.where(n >= 3, total / np.maximum(n, 1), np.nan)

    error = predicted - model
    m, r = model - mean(model), reanalysis - mean(reanalysis)
    variance, of_reanalysis = mean(m**2), mean(r**2)
    product = variance * of_reanalysis
    r2 = 1.0 - mean(error**2) / np.where(variance > 0.0, variance, np.nan)
    correlation2 = mean(m * r) ** 2 / np.where(product > 0.0, product, np.nan)
    return Hindcast(predicted, np.sqrt(mean(error**2)), mean(error), r2, correlation2, n)
