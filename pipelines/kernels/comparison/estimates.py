"""What several methods say of one rate, and how their errors hang together.

Errors of methods are not independent: gravimetry and altimetry subtract the same rebound, altimetry
and the mass budget lean on the same snowfall, and a combination is made of its sources. Each shared
cause is a *loading*, what one standard deviation of it moves each estimate by, with its sign:

    Σ = diag(s²) + Σ_k l_k l_kᵀ,

s the rest, which no other method shares. So no pair of methods needs a coefficient of correlation
that nobody knows, and Σ is positive definite by construction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class EstimateError(ValueError):
    """Estimates that do not fit together."""


@dataclass(frozen=True)
class Estimates:
    """One rate by n methods.

    Attributes
    ----------
    names : tuple of str
        The methods, each once.
    values : ndarray, shape (n,)
        What they say [Gt yr⁻¹].
    covariance : ndarray, shape (n, n)
        Of their errors [Gt² yr⁻²].

    Raises
    ------
    EstimateError
        Shapes that do not fit, values that are not finite, or a covariance that none is.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.names)
        if count == 0 or len(set(self.names)) != count:
            msg = f"found estimates named {self.names}; expected each method once, and one at least"
            raise EstimateError(msg)
        if self.values.shape != (count,) or self.covariance.shape != (count, count):
            msg = (
                f"{count} estimates come with values {self.values.shape} and a covariance "
                f"{self.covariance.shape}; expected ({count},) and ({count}, {count})"
            )
            raise EstimateError(msg)
        _require_covariance(self.values, self.covariance)

    @property
    def sigmas(self) -> NDArray[np.float64]:
        """Standard deviations, shape (n,) [Gt yr⁻¹]."""
        return np.sqrt(np.diag(self.covariance))

    def without(self, name: str) -> "Estimates":
        """Return the others."""
        return self.of([other for other in self.names if other != name])

    def of(self, names: Sequence[str]) -> "Estimates":
        """Return those of some methods, in their order."""
        kept = [self.names.index(name) for name in names]
        return Estimates(tuple(names), self.values[kept], self.covariance[np.ix_(kept, kept)])


def estimates(
    values: Mapping[str, tuple[float, float]],
    shared: Mapping[str, Mapping[str, float]] | None = None,
) -> Estimates:
    """Return estimates whose errors share causes.

    Parameters
    ----------
    values : mapping of str to (float, float)
        Value and standard deviation by method, the latter of all errors together [Gt yr⁻¹].
    shared : mapping of str to mapping of str to float, optional
        For each cause, what one standard deviation of it moves the methods by [Gt yr⁻¹]; methods
        that are not named do not feel it. What is left of a method's variance is its own.

    Raises
    ------
    EstimateError
        A method that is not there, or whose shared causes are more than all of its error.

    Examples
    --------
    >>> two = estimates({"a": (1.0, 5.0), "b": (2.0, 5.0)}, {"rebound": {"a": 3.0, "b": -4.0}})
    >>> two.covariance
    array([[ 25., -12.],
           [-12.,  25.]])
    """
    names = tuple(values)
    if wrong := [name for name, (_, sigma) in values.items() if not sigma > 0.0]:
        msg = f"the standard deviations of {wrong} are not above zero"
        raise EstimateError(msg)
    covariance = np.diag(np.array([sigma for _, sigma in values.values()], dtype=np.float64) ** 2)
    for cause, moved in (shared or {}).items():
        if unknown := sorted(moved.keys() - values.keys()):
            msg = f"cause {cause!r} moves {unknown}, and there are estimates of {sorted(names)}"
            raise EstimateError(msg)
        loading = np.array([moved.get(name, 0.0) for name in names], dtype=np.float64)
        covariance += np.outer(loading, loading) * (1.0 - np.eye(len(names)))
    _require_shares(names, covariance, shared or {})
    told = np.array([value for value, _ in values.values()], dtype=np.float64)
    return Estimates(names, told, covariance)


def _require_shares(
    names: tuple[str, ...],
    covariance: NDArray[np.float64],
    shared: Mapping[str, Mapping[str, float]],
) -> None:
    for number, name in enumerate(names):
        common = sum(moved.get(name, 0.0) ** 2 for moved in shared.values())
        if common > covariance[number, number]:
            msg = (
                f"the shared errors of {name!r} are {common**0.5:.4g} together, more than all of "
                f"its error, {covariance[number, number] ** 0.5:.4g}; expected its standard "
                "deviation to hold them"
            )
            raise EstimateError(msg)


def _require_covariance(values: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    if not (np.isfinite(values).all() and np.isfinite(covariance).all()):
        msg = "an estimate or its error is not finite; leave out methods that have none here"
        raise EstimateError(msg)
    if not np.array_equal(covariance, covariance.T):
        msg = "the covariance is not symmetric"
        raise EstimateError(msg)
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(covariance)[0])
        msg = (
            f"the covariance is not positive definite (its least eigenvalue is {least:.3g}); "
            "expected errors above zero, and none that is wholly another's"
        )
        raise EstimateError(msg) from None
