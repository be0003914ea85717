"""One estimate from several: by least squares and by IMBIE's rule.

Generalised least squares asks for the mean x that all methods measure with errors of covariance Σ:

    w = Σ⁻¹1 / (1ᵀΣ⁻¹1),    x = wᵀy,    σ² = 1 / (1ᵀΣ⁻¹1),    χ² = (y − x1)ᵀ Σ⁻¹ (y − x1).

It is the unbiased linear estimate of least variance. A weight may be negative: of two methods that
share a large error the more uncertain one then corrects the other; that is told, not cut off.
Where the methods disagree by more than their errors, χ² exceeds its n − 1 degrees of freedom, and
σ √(χ²/(n − 1)) (the Birge ratio) is given beside σ.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import chi2

from pipelines.kernels.comparison.estimates import EstimateError, Estimates


@dataclass(frozen=True)
class Combined:
    """A combined estimate.

    Attributes
    ----------
    value, sigma : float
        [Gt yr⁻¹].
    weights : tuple of float
        Of each method, adding to 1.
    chi_square : float
        Of the methods about the value; 0 for one method.
    freedom : int
        Degrees of freedom, n − 1.
    """

    value: float
    sigma: float
    weights: tuple[float, ...]
    chi_square: float
    freedom: int

    @property
    def birge(self) -> float:
        """√(χ²/(n − 1)), at least 1: by how much the errors would have to be larger."""
        return max(1.0, (self.chi_square / self.freedom) ** 0.5) if self.freedom else 1.0

    @property
    def probability(self) -> float:
        """How often methods that agree within their errors would lie at least so far apart [1]."""
        return float(chi2.sf(self.chi_square, self.freedom)) if self.freedom else 1.0


@dataclass(frozen=True)
class Difference:
    """Two estimates of one thing, the first less the second.

    Attributes
    ----------
    value, sigma : float
        The standard deviation knows what errors they share [Gt yr⁻¹].
    """

    value: float
    sigma: float

    @property
    def z(self) -> float:
        """The difference in standard deviations."""
        return self.value / self.sigma


def generalised_mean(found: Estimates) -> Combined:
    """Return the generalised least squares mean of all methods.

    Parameters
    ----------
    found : Estimates
        n methods.

    Examples
    --------
    >>> from pipelines.kernels.comparison.estimates import estimates
    >>> mean = generalised_mean(estimates({"a": (0.0, 1.0), "b": (3.0, 2.0)}))
    >>> round(mean.value, 12), [round(w, 12) for w in mean.weights], round(mean.sigma**2, 12)
    (0.6, [0.8, 0.2], 0.8)
    """
    factor = cho_factor(found.covariance)
    ones = np.ones(len(found.names))
    solved: NDArray[np.float64] = cho_solve(factor, ones)
    total = float(solved.sum())
    weights = solved / total
    value = float(weights @ found.values)
    apart = found.values - value
    chi_square = float(apart @ cho_solve(factor, apart))
    freedom = len(found.names) - 1
    return Combined(value, total**-0.5, tuple(map(float, weights)), chi_square, freedom)


def imbie_mean(found: Estimates, classes: Mapping[str, str]) -> Combined:
    """Return the mean by IMBIE's rule as read here: within each class, then over the classes.

    The steps are those of IMBIE's protocol (imbie.org, IMBIE 2023: aggregate within each class of
    observations, combine the classes); how each step weighs is our reading, told so in the report.
    Within a class estimates are averaged by their inverse variances, and the class's error is the
    root mean square of theirs: more estimates of one kind, which share their errors, do not make
    it smaller. Classes (gravimetry, altimetry, mass budget) count as independent: their means are
    averaged by inverse variances, and the error is the root of the sum of squared weights and
    errors. Errors shared between classes are not known to the rule; compare
    :func:`generalised_mean`.

    Parameters
    ----------
    found : Estimates
        n methods.
    classes : mapping of str to str
        The class of each method.

    Raises
    ------
    EstimateError
        A method without a class.
    """
    if missing := [name for name in found.names if name not in classes]:
        msg = f"no class is given for {missing}; expected gravimetry, altimetry or mass budget"
        raise EstimateError(msg)
    kinds = tuple(dict.fromkeys(classes[name] for name in found.names))
    weights = np.zeros(len(found.names))
    errors = np.zeros(len(kinds))
    for number, kind in enumerate(kinds):
        members = np.array([classes[name] == kind for name in found.names])
        inverse = members / found.sigmas**2
        weights += inverse / inverse.sum() * (1.0 / np.mean(found.sigmas[members] ** 2))
        errors[number] = np.mean(found.sigmas[members] ** 2) ** 0.5
    total = float((errors**-2).sum())
    weights /= total
    value = float(weights @ found.values)
    apart = [
        (_class_mean(found, classes, kind) - value) / error
        for kind, error in zip(kinds, errors, strict=True)
    ]
    chi_square = float(np.square(apart).sum())
    return Combined(value, total**-0.5, tuple(map(float, weights)), chi_square, len(kinds) - 1)


def _class_mean(found: Estimates, classes: Mapping[str, str], kind: str) -> float:
    members = np.array([classes[name] == kind for name in found.names])
    return float(np.average(found.values[members], weights=found.sigmas[members] ** -2.0))


def difference(found: Estimates, first: str, second: str) -> Difference:
    """Return one method less another, knowing what errors they share.

    Raises
    ------
    EstimateError
        A method that is not there.
    """
    if first == second:
        msg = f"{first!r} does not differ from itself; expected two methods"
        raise EstimateError(msg)
    if missing := {first, second} - set(found.names):
        msg = f"there is no estimate by {sorted(missing)}; found {list(found.names)}"
        raise EstimateError(msg)
    one, other = found.names.index(first), found.names.index(second)
    variance = (
        found.covariance[one, one]
        + found.covariance[other, other]
        - 2.0 * found.covariance[one, other]
    )
    return Difference(float(found.values[one] - found.values[other]), float(variance**0.5))
