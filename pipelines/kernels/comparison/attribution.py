"""Which cause would explain best why methods disagree.

Each cause that may be wrong leaves its own pattern over regions: another model of rebound moves
gravimetry where ice was thick, a gate correction that is missing moves the mass budget where snow
falls between gate and grounding line, a mask that is too wide moves sums in proportion to what lies
at its edge. The disagreements d of all regions, with covariance Σ, are held against the pattern s
that one *plausible error* of a cause makes: d = a s + e, a ~ N(μ, τ²), e ~ N(0, Σ). An error of a
size has μ = 0 and τ = 1; an alternative, which is right or is not, such as another model, has
μ = 1 and a small τ: a tenth of the way to another model is no evidence for it. Compared with no
cause at all, the evidence for it is

    ln B = ½ (τ² g² + 2 μ g − μ² f) / (1 + τ² f) − ½ ln(1 + τ² f),    f = sᵀΣ⁻¹s,  g = sᵀΣ⁻¹d,

and its amplitude a = (τ² g + μ) / (1 + τ² f) ± τ (1 + τ² f)^−½ (both follow from the ratio of the
two normal densities of d). The last term is what a pattern pays for being free to fit. So a cause
that could explain anything is not named first for it.
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
        without any cause; negative speaks against it, and so far as :data:`BY_CHANCE` errors that
        nobody told would do.
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


@dataclass(frozen=True)
class Expected:
    """What amplitude a cause would have, in plausible errors.

    Attributes
    ----------
    mean, spread : float
        μ and τ.
    """

    mean: float = 0.0
    spread: float = 1.0


BY_CHANCE = 16.0
"""The largest ln B of a cause in ten synthetic worlds of 27 basins without a made error (15.7, the
median 2.4): errors that methods do not tell, above all how those of altimetry hang together between
basins, pass for causes. Made errors gave 30 to 88 (``tests/studies/comparison_truth.py``). By
normal theory 3 would be strong."""

SIZED = Expected()
"""An error of some size, either way."""

ALTERNATIVE = Expected(1.0, 0.25)
"""Something else is right instead, or nearly so."""


def causes(
    apart: NDArray[np.float64],
    covariance: NDArray[np.float64],
    patterns: Mapping[str, NDArray[np.float64]],
    expected: Mapping[str, Expected] | None = None,
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
    expected : mapping of str to Expected, optional
        Of causes that are not :data:`SIZED`.

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
    prior = expected or {}
    found = [
        _cause(name, apart, factor, pattern, prior.get(name, SIZED))
        for name, pattern in patterns.items()
    ]
    return sorted(found, key=lambda cause: -cause.evidence)


def _cause(
    name: str,
    apart: NDArray[np.float64],
    factor: tuple[NDArray[np.float64], bool],
    pattern: NDArray[np.float64],
    expected: Expected,
) -> Cause:
    if pattern.shape != apart.shape or not np.isfinite(pattern).all():
        msg = f"the pattern of {name!r} is {pattern.shape}; expected {apart.shape}, all finite"
        raise EstimateError(msg)
    solved = cho_solve(factor, pattern)
    norm, along = float(solved @ pattern), float(solved @ apart)
    mean, variance = expected.mean, expected.spread**2
    widened = 1.0 + variance * norm
    gained = variance * along**2 + 2.0 * mean * along - mean**2 * norm
    return Cause(
        name,
        evidence=0.5 * gained / widened - 0.5 * float(np.log1p(variance * norm)),
        amplitude=(variance * along + mean) / widened,
        sigma=expected.spread * widened**-0.5,
        explained=along**2 / norm if norm > 0.0 else 0.0,
    )
