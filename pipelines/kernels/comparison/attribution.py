"""Which cause would explain best why methods disagree.

Each cause that may be wrong leaves its own pattern over regions: another model of rebound moves
gravimetry where ice was thick, a gate correction that is missing moves the mass budget where snow
falls between gate and grounding line, a mask that is too wide moves sums in proportion to what lies
at its edge. The disagreements d of all regions, with covariance Σ, are held against the pattern s
that one *plausible error* of a cause makes: d = a s + e, a ~ N(0, 1), e ~ N(0, Σ). Compared with
no cause at all, the evidence for it is

    ln B = ½ g² / (1 + f) − ½ ln(1 + f),      f = sᵀΣ⁻¹s,  g = sᵀΣ⁻¹d,

and its amplitude a = g / (1 + f) ± (1 + f)^−½ (both follow from the ratio of the two normal
densities of d). The first term rewards a pattern that fits; the second is what a pattern pays for
being free to fit. So a cause that could explain anything is not named first for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from pipelines.kernels.comparison.estimates import EstimateError


@dataclass(frozen=True)
class Cause:
    """How well one cause explains the disagreements.

    Attributes
    ----------
    name : str
    evidence : float
        ln B, the natural logarithm of how many times likelier the disagreements are with it than
        without any cause; 3 is strong, negative speaks against it.
    amplitude, sigma : float
        In plausible errors of this cause.
    explained : float
        By how much χ² falls with it.
    """

    name: str
    evidence: float
    amplitude: float
    sigma: float
    explained: float


def causes(
    apart: NDArray[np.float64],
    covariance: NDArray[np.float64],
    patterns: Mapping[str, NDArray[np.float64]],
) -> list[Cause]:
    """Return the causes, the one with most evidence first.

    Parameters
    ----------
    apart : ndarray, shape (n,)
        Differences between methods, by region and pair of methods [Gt yr⁻¹].
    covariance : ndarray, shape (n, n)
        Of their errors, as they are stated [Gt² yr⁻²]: what is told as uncertain already speaks
        for no cause.
    patterns : mapping of str to ndarray, shape (n,)
        What one plausible error of each cause would add to the differences [Gt yr⁻¹].

    Raises
    ------
    EstimateError
        Shapes that do not fit, or a covariance that none is.

    Examples
    --------
    >>> patterns = {"west": np.array([3.0, 0.0]), "east": np.array([0.0, 3.0])}
    >>> [each.name for each in causes(np.array([0.2, -5.0]), np.eye(2), patterns)]
    ['east', 'west']
    """
    count = len(apart)
    if covariance.shape != (count, count) or not np.array_equal(covariance, covariance.T):
        msg = f"{count} differences come with a covariance {covariance.shape}, expected a symmetric"
        msg += f" ({count}, {count})"
        raise EstimateError(msg)
    if not (np.isfinite(apart).all() and np.isfinite(covariance).all()):
        msg = "a difference or its error is not finite; leave out regions that have none"
        raise EstimateError(msg)
    try:
        factor = cho_factor(covariance)
    except np.linalg.LinAlgError as error:
        msg = f"the covariance of {count} differences is not positive definite ({error})"
        raise EstimateError(msg) from error
    found = [_cause(name, apart, factor, pattern) for name, pattern in patterns.items()]
    return sorted(found, key=lambda cause: -cause.evidence)


def _cause(
    name: str,
    apart: NDArray[np.float64],
    factor: tuple[NDArray[np.float64], bool],
    pattern: NDArray[np.float64],
) -> Cause:
    if pattern.shape != apart.shape or not np.isfinite(pattern).all():
        msg = f"the pattern of {name!r} is {pattern.shape}; expected {apart.shape}, all finite"
        raise EstimateError(msg)
    solved = cho_solve(factor, pattern)
    norm, along = float(solved @ pattern), float(solved @ apart)
    amplitude = along / (1.0 + norm)
    return Cause(
        name,
        evidence=0.5 * along * amplitude - 0.5 * float(np.log1p(norm)),
        amplitude=amplitude,
        sigma=(1.0 + norm) ** -0.5,
        explained=along**2 / norm if norm > 0.0 else 0.0,
    )
