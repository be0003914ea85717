"""Least-squares time models: bias, trend, acceleration, seasons and tidal aliases of a series.

One model serves every coefficient of a gravity field. With equal weights all coefficients share
one factorisation; with weights of their own each solves a small system of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from pipelines.kernels.constants import DAYS_PER_YEAR, P1_ALIAS_DAYS, S2_ALIAS_DAYS

PERIODS_DAYS = {
    "annual": DAYS_PER_YEAR,
    "semiannual": DAYS_PER_YEAR / 2.0,
    "s2": S2_ALIAS_DAYS,
    "p1": P1_ALIAS_DAYS,
}
"""Periods of the oscillations [d].

161 d and 171 d are the periods at which errors in the S2 and P1 ocean tides reappear in GRACE
(Ray and Luthcke 2006). Sasgen et al. (2019), section 2.1, print the two labels swapped; both
terms are fitted together, so the fit is the same.
"""

POLYNOMIALS = ("bias", "trend", "acceleration")
MISSION_BIAS = "mission_bias"
TERMS = (*POLYNOMIALS, *PERIODS_DAYS, MISSION_BIAS)

CONDITION_LIMIT = 1e4
"""Condition number above which terms count as one [1].

The uncertainty of a parameter grows with it. Sasgen's model has 3.2 over the 60 CSR months of
2011-02 to 2017-06, 200 over 12 months, 836 if t₀ is put to 1990.
"""

_INVOLVED = 0.1


class TrendError(ValueError):
    """A time model that the series cannot determine, or a series that cannot be fitted."""


@dataclass(frozen=True)
class TimeModel:
    """What a series is made of.

    Attributes
    ----------
    reference_epoch : float
        t₀, where bias and trend are quoted and oscillations have phase zero [yr].
    terms : tuple of str
        Names from :data:`TERMS`, each at most once.
    mission_change : float or None
        Epoch from which ``mission_bias`` adds a step [yr]; given if and only if that term is.
    """

    reference_epoch: float
    terms: tuple[str, ...]
    mission_change: float | None = None

    def __post_init__(self) -> None:
        """Refuse terms that are unknown or doubled, and half a mission bias."""
        unknown = [term for term in self.terms if term not in TERMS]
        if unknown or not self.terms or len(set(self.terms)) < len(self.terms):
            msg = f"found terms {self.terms}; expected some of {', '.join(TERMS)}, each once"
            raise TrendError(msg)
        if (MISSION_BIAS in self.terms) != (self.mission_change is not None):
            msg = (
                f"found terms {self.terms} and mission_change={self.mission_change}; the term "
                f"{MISSION_BIAS} and the epoch of the change [yr] go together: give both or none"
            )
            raise TrendError(msg)


@dataclass(frozen=True)
class Fit:
    """Parameters of a time model and how well the series determines them.

    Attributes
    ----------
    parameters, standard_deviation : ndarray, shape (p, ...)
        Estimates and formal standard deviations, scaled by the post-fit residuals. Units are
        those of the series, per year for ``trend``, per year² for ``acceleration``.
    residual_variance : ndarray, shape (...)
        Variance of an observation of average weight about the model [unit of the series²].
    degrees_of_freedom : int
        n − p.
    """

    parameters: NDArray[np.float64]
    standard_deviation: NDArray[np.float64]
    residual_variance: NDArray[np.float64]
    degrees_of_freedom: int


def parameter_names(model: TimeModel) -> tuple[str, ...]:
    """Return the names of the columns of :func:`design_matrix`, in order.

    Parameters
    ----------
    model : TimeModel
        Time model.

    Returns
    -------
    tuple of str, length p
        A term's own name, or ``annual_cosine``, ``annual_sine`` and so on for oscillations.

    Examples
    --------
    >>> parameter_names(TimeModel(2014.0, ("bias", "trend", "s2")))
    ('bias', 'trend', 's2_cosine', 's2_sine')
    """
    names: list[str] = []
    for term in model.terms:
        names += [f"{term}_cosine", f"{term}_sine"] if term in PERIODS_DAYS else [term]
    return tuple(names)


def design_matrix(t: NDArray[np.float64], *, model: TimeModel) -> NDArray[np.float64]:
    """Evaluate each term of a time model at each epoch.

    Sasgen et al. (2019), section 2.1, with τ = t − t₀::

        bias 1,  trend τ,  acceleration ½ τ²,
        oscillation of period T: cos 2πτ/T, sin 2πτ/T,
        mission bias: 0 before the change, 1 from it on

    The acceleration is thus a second derivative, and the trend is the rate at t₀.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Epochs, decimal years [yr].
    model : TimeModel
        Time model.

    Returns
    -------
    ndarray, shape (n, p)
        Columns in the order of :func:`parameter_names`.
    """
    columns: list[NDArray[np.float64]] = []
    for term in model.terms:
        columns += _columns(term, np.asarray(t, dtype=np.float64), model)
    return np.stack(columns, axis=-1)


def _columns(term: str, t: NDArray[np.float64], model: TimeModel) -> list[NDArray[np.float64]]:
    tau = t - model.reference_epoch
    if term in PERIODS_DAYS:
        phase = 2.0 * np.pi * tau * DAYS_PER_YEAR / PERIODS_DAYS[term]
        return [np.cos(phase), np.sin(phase)]
    if term == MISSION_BIAS and model.mission_change is not None:
        return [(t >= model.mission_change).astype(np.float64)]
    power = POLYNOMIALS.index(term)
    return [tau**power / (1.0, 1.0, 2.0)[power]]


def condition(design: NDArray[np.float64]) -> float:
    """Return the condition number of a design matrix with columns scaled to unit length.

    Parameters
    ----------
    design : ndarray, shape (n, p)
        Design matrix.

    Returns
    -------
    float
        Largest over smallest singular value [1]; infinite for a column of zeros.
    """
    values = np.linalg.svd(_unit_columns(design), compute_uv=False)
    smallest = float(values[-1]) if design.shape[0] >= design.shape[1] else 0.0
    return float(values[0]) / smallest if smallest > 0.0 else float("inf")


def _unit_columns(design: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(design, axis=0)
    scaled: NDArray[np.float64] = design / np.where(length > 0.0, length, 1.0)
    return scaled


def require_resolvable(t: NDArray[np.float64], *, model: TimeModel) -> float:
    """Raise unless a series at these epochs determines every term of a model.

    Meant for planning: it needs the epochs only.

    Parameters
    ----------
    t : ndarray, shape (n,)
        Epochs, decimal years [yr].
    model : TimeModel
        Time model.

    Returns
    -------
    float
        Condition number of the design matrix [1], see :func:`condition`.

    Raises
    ------
    TrendError
        Too few epochs, or terms that cannot be told apart in the period, with their names.
    """
    design = design_matrix(t, model=model)
    try:
        _require_full_rank(design, parameter_names(model))
    except TrendError as error:
        msg = f"in the period {t.min():.2f} to {t.max():.2f}: {error}" if t.size else str(error)
        raise TrendError(msg) from error
    return condition(design)


def _require_full_rank(design: NDArray[np.float64], names: Sequence[str]) -> None:
    n, p = design.shape
    if n <= p:
        msg = (
            f"{n} epochs cannot determine {p} parameters ({', '.join(names)}) and their spread; "
            f"expected at least {p + 1}: lengthen the period or leave out terms"
        )
        raise TrendError(msg)
    found = condition(design)
    if found > CONDITION_LIMIT:
        _, _, directions = np.linalg.svd(_unit_columns(design), full_matrices=False)
        involved = np.flatnonzero(np.abs(directions[-1]) > _INVOLVED)
        listed = ", ".join(names[int(i)] for i in involved)
        msg = (
            f"{n} epochs cannot tell {listed} apart (condition number {found:.3g}, expected at "
            f"most {CONDITION_LIMIT:g}); lengthen the period or leave out one of these terms"
        )
        raise TrendError(msg)


def fit(
    series: NDArray[np.float64],
    design: NDArray[np.float64],
    *,
    sigma: NDArray[np.float64] | None = None,
    names: Sequence[str] | None = None,
) -> Fit:
    """Adjust a time model to every series at once by (weighted) least squares.

    ::

        x̂ = (Aᵀ W A)⁻¹ Aᵀ W y,    s² = rᵀ W r / (n − p),    Cov x̂ = s² (Aᵀ W A)⁻¹

    with r = y − A x̂ and weights W = diag(σ⁻²) divided by their mean: only their ratios count,
    and the residuals set the scale. With equal weights A = QR serves all series.

    Parameters
    ----------
    series : ndarray, shape (n, ...)
        Observations by epoch, complete.
    design : ndarray, shape (n, p)
        Design matrix A.
    sigma : ndarray, shape (n, ...), optional
        Standard deviations of the observations [unit of the series]. A series whose sigmas are
        all zero (coefficients that exist by convention only, m > j) gets equal weights.
    names : sequence of str, length p, optional
        Names of the columns for messages, see :func:`parameter_names`.

    Returns
    -------
    Fit
        Estimates, formal standard deviations, residual variance, degrees of freedom.

    Raises
    ------
    TrendError
        n ≤ p; columns that cannot be told apart; values that are not finite; sigmas that are
        not positive; shapes that do not match.
    """
    n, p = design.shape
    _require_full_rank(design, names or [f"column {i}" for i in range(p)])
    _check_series(series, n)
    flat = np.asarray(series, dtype=np.float64).reshape(n, -1)
    length = np.linalg.norm(design, axis=0)
    q, r = np.linalg.qr(design / length)
    inverse = solve_triangular(r, np.eye(p)) / length[:, None]
    if sigma is None:
        parameters = inverse @ (q.T @ flat)
        residual = flat - design @ parameters
        variance = np.square(residual).sum(axis=0) / (n - p)
        cofactor = np.square(inverse).sum(axis=1)[:, None]
    else:
        weights = _weights(series, sigma).reshape(n, -1)
        reduced, cofactor = _solve_weighted(q, inverse, flat, weights)
        parameters = inverse @ reduced
        residual = flat - design @ parameters
        variance = (weights * np.square(residual)).sum(axis=0) / (n - p)
    shape = np.shape(series)[1:]
    return Fit(
        parameters=parameters.reshape(p, *shape),
        standard_deviation=np.sqrt(cofactor * variance).reshape(p, *shape),
        residual_variance=variance.reshape(shape),
        degrees_of_freedom=n - p,
    )


def _solve_weighted(
    q: NDArray[np.float64],
    inverse: NDArray[np.float64],
    flat: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the normal equations of each series in the orthonormal basis of the design.

    In the basis Q the unweighted normal matrix is the identity, so that of a series is as well
    conditioned as its weights are even, whatever the design.

    Parameters
    ----------
    q : ndarray, shape (n, p)
        Orthonormal columns.
    inverse : ndarray, shape (p, p)
        R⁻¹, from coordinates in Q to parameters.
    flat, weights : ndarray, shape (n, k)
        Observations and their weights.

    Returns
    -------
    tuple of ndarray, shapes (p, k)
        Coordinates in Q, and the diagonal of (Aᵀ W A)⁻¹.
    """
    n, p = q.shape
    products = (q[:, :, None] * q[:, None, :]).reshape(n, p * p)
    normal = (weights.T @ products).reshape(-1, p, p)
    inverted = np.linalg.inv(normal)
    right = (q.T @ (weights * flat)).T
    reduced = np.einsum("kij,kj->ik", inverted, right)
    cofactor = np.einsum("ai,kij,aj->ak", inverse, inverted, inverse, optimize=True)
    return reduced, cofactor


def _check_series(series: NDArray[np.float64], n: int) -> None:
    if np.ndim(series) < 1 or series.shape[0] != n:
        msg = f"found a series of shape {np.shape(series)}, expected {n} epochs on its first axis"
        raise TrendError(msg)
    bad = np.argwhere(~np.isfinite(series))
    if bad.size:
        where = tuple(int(i) for i in bad[0])
        msg = (
            f"the series is {series[where]} at index {where} ({len(bad)} such values); expected "
            "finite values: leave out epochs that were not measured"
        )
        raise TrendError(msg)


def _weights(series: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (n, ...) with mean 1 over the epochs of each series."""
    if sigma.shape != series.shape:
        msg = f"found sigma of shape {sigma.shape}, expected that of the series, {series.shape}"
        raise TrendError(msg)
    spread = np.where((sigma == 0.0).all(axis=0), 1.0, sigma)
    bad = np.argwhere(~((spread > 0.0) & np.isfinite(spread)))
    if bad.size:
        where = tuple(int(i) for i in bad[0])
        msg = (
            f"sigma is {sigma[where]} at index {where} ({len(bad)} such values); expected "
            "positive values: where a source gives none, fit with sigma=None"
        )
        raise TrendError(msg)
    relative = np.square(spread.min(axis=0) / spread)
    weights: NDArray[np.float64] = relative / relative.mean(axis=0)
    return weights


def predict(design: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate a fitted model, A x̂.

    Parameters
    ----------
    design : ndarray, shape (n, p)
        Design matrix at the epochs wanted, or some of its columns.
    parameters : ndarray, shape (p, ...)
        Parameters of the same columns.

    Returns
    -------
    ndarray, shape (n, ...)
        Modelled series.
    """
    return np.tensordot(design, parameters, axes=1)
