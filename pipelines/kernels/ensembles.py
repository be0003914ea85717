"""Ensembles as sums of independent factors: members that never need to be written out.

An ensemble with members ``m_ik = e + p_i + f_k`` (every i with every k) is known by its factors:
means add, population variances add, covariances add. Ninety or ten thousand members cost the
sum of the sizes of the factors, not their product. A correction that is *subtracted*, such as
glacial isostatic adjustment, enters with its sign: ``f_k = −g_k``.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 64 * 1024 * 1024
"""Largest outer sum held at once by :func:`factor_quantiles` [B]."""


class EnsembleError(ValueError):
    """An ensemble that cannot have the moments asked for."""


def single_perturbation(
    sigma: NDArray[np.float64], *, seed: int, member: int
) -> NDArray[np.float64]:
    """Draw the perturbation of one member, whoever draws it and in whatever order.

    Each member has a generator of its own, seeded with the pair (seed, member)::

        p_i = σ ξ_i,    ξ_i ~ N(0, 1) independently by element

    Parameters
    ----------
    sigma : ndarray, shape (...)
        Standard deviations [any unit]; zero stays exactly zero.
    seed : int
        Seed of the ensemble, ≥ 0.
    member : int
        Index i of the member, ≥ 0.

    Returns
    -------
    ndarray, shape (...)
        Perturbation [unit of sigma], not centred.

    Raises
    ------
    EnsembleError
        A sigma that is negative or not finite; a negative seed or member.
    """
    bad = np.argwhere(~(np.isfinite(sigma) & (np.asarray(sigma) >= 0.0)))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        msg = (
            f"sigma is {np.asarray(sigma)[where]} at index {where} ({len(bad)} such values); "
            "expected finite values, zero or more"
        )
        raise EnsembleError(msg)
    if seed < 0 or member < 0:
        msg = f"found seed {seed} and member {member}; expected zero or more"
        raise EnsembleError(msg)
    generator = np.random.default_rng([seed, member])
    return np.asarray(sigma * generator.standard_normal(np.shape(sigma)))


def perturbations(
    sigma: NDArray[np.float64], *, members: int, seed: int, centred: bool = True
) -> NDArray[np.float64]:
    """Draw the perturbations of all members, see :func:`single_perturbation`.

    Parameters
    ----------
    sigma : ndarray, shape (...)
        Standard deviations [any unit].
    members : int
        Number of members n.
    seed : int
        Seed of the ensemble.
    centred : bool
        Give the ensemble the mean 0 and the expected variance σ², see :func:`centre`.

    Returns
    -------
    ndarray, shape (n, ...)
        Perturbations [unit of sigma].

    Raises
    ------
    EnsembleError
        Fewer than one member, or than two if centred; a sigma that is no spread.
    """
    if members < 1:
        msg = f"found {members} members, expected at least 1"
        raise EnsembleError(msg)
    drawn = np.stack([single_perturbation(sigma, seed=seed, member=i) for i in range(members)])
    return centre(drawn) if centred else drawn


def centre(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove the mean of the members and widen them so that their variance is unbiased.

    ::

        p'_i = √(n / (n − 1)) (p_i − p̄)

    so that the mean member is the estimate itself, and the population variance (divisor n),
    the one that adds across factors, has the expectation σ².

    Parameters
    ----------
    drawn : ndarray, shape (n, ...)
        Perturbations of all members.

    Returns
    -------
    ndarray, shape (n, ...)
        Centred perturbations.

    Raises
    ------
    EnsembleError
        Fewer than two members: one alone has no spread about its mean.
    """
    n = drawn.shape[0]
    if n < 2:
        msg = f"found {n} member(s) to centre, expected at least 2 (or centred=False)"
        raise EnsembleError(msg)
    widened: NDArray[np.float64] = (drawn - drawn.mean(axis=0)) * math.sqrt(n / (n - 1))
    return widened


def factor_mean(
    estimate: NDArray[np.float64], factors: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the mean of all members ``e + p_i + f_k + …``.

    Parameters
    ----------
    estimate : ndarray, shape (...)
        e, common to all members.
    factors : sequence of ndarray, shapes (n_f, ...)
        Independent factors; none leaves the estimate.

    Returns
    -------
    ndarray, shape (...)
        e + Σ mean of each factor.
    """
    _check_factors(factors, np.shape(estimate))
    means = [factor.mean(axis=0) for factor in factors]
    return np.asarray(sum(means, start=np.asarray(estimate, dtype=np.float64)))


def factor_variance(factors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the population variance of all members: the sum of those of the factors.

    ``var_ik = var_i + var_k`` holds exactly with the divisor n, not with n − 1: sample
    variances summed over factors of 90 and 112 members are about 1 % too large.

    Parameters
    ----------
    factors : sequence of ndarray, shapes (n_f, ...)
        Independent factors, at least one.

    Returns
    -------
    ndarray, shape (...)
        Variance [unit²].
    """
    _check_factors(factors, _trailing(factors))
    return np.asarray(sum(factor.var(axis=0) for factor in factors))


def factor_covariance(factors: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the population covariance of all members across regions: it adds too.

    Parameters
    ----------
    factors : sequence of ndarray, shapes (n_f, r)
        Independent factors of region sums, at least one.

    Returns
    -------
    ndarray, shape (r, r)
        Covariance [unit²]; its diagonal is :func:`factor_variance`.
    """
    shape = _trailing(factors)
    _check_factors(factors, shape)
    if len(shape) != 1:
        msg = f"found factors of fields {shape}, expected one sum per region, shape (n_f, r)"
        raise EnsembleError(msg)
    total = np.zeros(2 * shape)
    for factor in factors:
        centred = factor - factor.mean(axis=0)
        total += centred.T @ centred / factor.shape[0]
    return total


def expand(
    estimate: NDArray[np.float64], factors: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Write out every member: the slow, obvious form that the others are tested against.

    Parameters
    ----------
    estimate : ndarray, shape (...)
        e, common to all members.
    factors : sequence of ndarray, shapes (n_f, ...)
        Independent factors.

    Returns
    -------
    ndarray, shape (Π n_f, ...)
        Members, the last factor varying fastest.
    """
    _check_factors(factors, np.shape(estimate))
    members = np.asarray(estimate, dtype=np.float64)[None]
    for factor in factors:
        outer = members[:, None] + factor[None]
        members = outer.reshape(-1, *np.shape(estimate))
    return members


def factor_quantiles(
    estimate: NDArray[np.float64],
    factors: Sequence[NDArray[np.float64]],
    *,
    q: Sequence[float],
) -> NDArray[np.float64]:
    """Return quantiles over all members, element by element.

    Those of an outer sum have no closed form, so members are formed, but only for as many
    elements at once as :data:`BLOCK_BYTES` allows.

    Parameters
    ----------
    estimate : ndarray, shape (...)
        e, common to all members.
    factors : sequence of ndarray, shapes (n_f, ...)
        Independent factors.
    q : sequence of float
        Probabilities, 0 to 1 [1].

    Returns
    -------
    ndarray, shape (len(q), ...)
        Quantiles by linear interpolation between members.
    """
    _check_factors(factors, np.shape(estimate))
    flat = np.asarray(estimate, dtype=np.float64).reshape(-1)
    flats = [factor.reshape(factor.shape[0], -1) for factor in factors]
    members = math.prod(factor.shape[0] for factor in factors)
    width = max(1, BLOCK_BYTES // (8 * members))
    out = np.empty((len(q), flat.size))
    for first in range(0, flat.size, width):
        block = slice(first, first + width)
        expanded = expand(flat[block], [factor[:, block] for factor in flats])
        out[:, block] = np.quantile(expanded, q, axis=0)
    return out.reshape(len(q), *np.shape(estimate))


def _trailing(factors: Sequence[NDArray[np.float64]]) -> tuple[int, ...]:
    if not factors:
        msg = "found no factor, expected at least one: without members there is no spread"
        raise EnsembleError(msg)
    return factors[0].shape[1:]


def _check_factors(factors: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> None:
    for i, factor in enumerate(factors):
        if factor.ndim < 1 or factor.shape[0] < 1 or factor.shape[1:] != shape:
            msg = (
                f"factor {i} has shape {factor.shape}, expected (members, "
                f"{', '.join(map(str, shape))}) with at least one member; leave an empty "
                "factor out of the list"
            )
            raise EnsembleError(msg)
