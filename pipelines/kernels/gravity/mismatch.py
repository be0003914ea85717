"""Which members of gravimetry and altimetry agree, and what follows when agreement counts.

Sasgen et al. (2019), section 4.2: where the two spectra disagree, the combination has artefacts,
seen over the ocean. The paper searched for the members (k, l) with the smallest, and only wished
for a posteriori weights "according to the inverse of the signal artefacts". Here are both.

Scores of all pairs come from one matrix product: with a_k = Ḡ + C̄ + g_k (or Ḡ − C̄ + g_k) and
deviations c_l,

    Σ_i u_i (a_ki + c_li)² = |a_k|² + |c_l|² + 2 a_k · c_l        under the weights u_i.
"""

import math
from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.gravity.combination import Combination, CombinationError
from pipelines.kernels.mixed_ensembles import (
    MixedEnsemble,
    blocks,
    centred_mixing,
    deviation_factor,
)

FLOAT = NDArray[np.float64]
INT = NDArray[np.int64]

Rule = Literal["inverse_mismatch", "exponential"]

BLOCK_BYTES = 4 * 1024 * 1024
"""Fields that meet in one matrix product [B]."""


def spectral_mismatch(
    gravimetry: MixedEnsemble,
    altimetry: MixedEnsemble,
    degree: INT,
    *,
    highest_degree: int,
    lowest_degree: int = 0,
) -> FLOAT:
    """Return how much the spectra of every pair of members differ, over what they may differ.

    ::

        Q_kl = mean over j_0 ≤ j ≤ j_s of (G_k,jm − C_l,jm)² / (v_G,jm + v_C,jm)

    Averaged over all pairs it is 1 where the two mean spectra are the same, 2 where they differ as
    their spreads allow, and more where a spread is too small.

    Parameters
    ----------
    gravimetry, altimetry : MixedEnsemble
        Coefficients before weighting, both in one layout (...) [u].
    degree : ndarray of int, broadcastable to (...)
        Degree of each coefficient.
    highest_degree, lowest_degree : int
        j_s and j_0. Coefficients without any variance do not count.

    Returns
    -------
    ndarray, shape (k, l)
        Q [1].

    Raises
    ------
    CombinationError
        Different layouts, or no coefficient left to compare.
    """
    shape = Combination(gravimetry, altimetry).shape
    degrees = np.broadcast_to(degree, shape)
    among = np.flatnonzero((degrees >= lowest_degree) & (degrees <= highest_degree))
    near = [_at(ensemble, among) for ensemble in (gravimetry, altimetry)]
    variance = near[0].variance() + near[1].variance()
    varies = variance > 0.0
    if not varies.any():
        msg = (
            f"found {among.size} coefficients of degrees {lowest_degree} to {highest_degree} and "
            "none that varies; expected degrees that both missions observe"
        )
        raise CombinationError(msg)
    share = np.divide(1.0, variance, out=np.zeros(variance.shape), where=varies) / varies.sum()
    difference = MixedEnsemble(-near[1].basis, near[1].mixing)
    return pair_sums_of_squares(Combination(near[0], difference), share)


def _at(ensemble: MixedEnsemble, elements: INT) -> MixedEnsemble:
    flat = ensemble.basis.reshape(len(ensemble.basis), -1)
    return MixedEnsemble(flat[:, elements], ensemble.mixing)


def ocean_artefact(combination: Combination, weight: FLOAT) -> FLOAT:
    """Return the mean square of every combined member where there should be nothing.

    ::

        A_kl = Σ_p u_p (g_kp + c_lp)² / Σ_p u_p

    Parameters
    ----------
    combination : Combination
        At nodes or cells, shape (...) [kg m⁻² yr⁻¹].
    weight : ndarray, shape (...)
        Solid angle or area over the ocean, zero elsewhere.

    Returns
    -------
    ndarray, shape (k, l)
        A [kg² m⁻⁴ yr⁻²].

    Raises
    ------
    CombinationError
        Weights that are negative, or all zero.
    """
    total = float(weight.sum())
    if not total > 0.0 or (weight < 0.0).any():
        msg = f"the weights of the ocean sum to {total:.3g}; expected some, and none negative"
        raise CombinationError(msg)
    return pair_sums_of_squares(combination, np.asarray(weight / total))


def pair_sums_of_squares(combination: Combination, weight: FLOAT) -> FLOAT:
    """Return Σ u (g_k + c_l)² for every pair of members.

    Fields meet once, in the product F U Fᵀ of the mean, the deviations R_G X_G of gravimetry and
    R_C X_C of altimetry (89 fields for 90 × 112 members); the mixing does the rest. A block of
    elements at a time.

    Parameters
    ----------
    combination : Combination
        In any one space, shape (...) [u].
    weight : ndarray, shape (...)
        Weights, not negative.

    Returns
    -------
    ndarray, shape (k, l)
        Sums [u² × weight].
    """
    shape = combination.shape
    if weight.shape != shape:
        msg = f"found weights of shape {weight.shape} for members of shape {shape}"
        raise CombinationError(msg)
    g_rows, g_scores = centred_mixing(combination.gravimetry.mixing)
    c_rows, c_scores = centred_mixing(combination.altimetry.mixing)
    split = len(g_rows)
    product = np.zeros((split + len(c_rows) - 1,) * 2)
    root = np.sqrt(weight).reshape(-1)
    for part, g, c in _joint_blocks(combination):
        fields = np.concatenate([g_rows @ g, c_rows[1:] @ c])
        fields[0] += c_rows[0] @ c
        fields *= root[part]
        product += fields @ fields.T
    c_scores = c_scores[:, 1:]
    near, cross, far = product[:split, :split], product[:split, split:], product[split:, split:]
    of_each = np.einsum("ki,ij,kj->k", g_scores, near, g_scores, optimize=True)
    of_other = np.einsum("li,ij,lj->l", c_scores, far, c_scores, optimize=True)
    return np.asarray(of_each[:, None] + of_other + 2.0 * g_scores @ cross @ c_scores.T)


def _joint_blocks(combination: Combination) -> Iterator[tuple[slice, FLOAT, FLOAT]]:
    """Yield both bases, the elements of a member flattened, a block of elements at a time."""
    g, c = (
        ensemble.basis.reshape(len(ensemble.basis), -1)
        for ensemble in (combination.gravimetry, combination.altimetry)
    )
    for part, block in blocks(c, BLOCK_BYTES):
        yield part, g[:, part], block


def posterior_weights(score: FLOAT, *, rule: Rule = "inverse_mismatch") -> FLOAT:
    """Return a posteriori weights of all pairs of members.

    ::

        ω_kl ∝ 1 / Q_kl            ("inverse_mismatch": the paper's wish)
        ω_kl ∝ exp(−Q_kl / 2)      ("exponential")

    Parameters
    ----------
    score : ndarray, shape (k, l)
        Q of :func:`spectral_mismatch`, or for the first rule also :func:`ocean_artefact`.
    rule : {"inverse_mismatch", "exponential"}
        How a score becomes a weight.

    Returns
    -------
    ndarray, shape (k, l)
        Weights; they sum to 1.

    Raises
    ------
    CombinationError
        Scores that are not finite and positive, or an unknown rule.

    Examples
    --------
    >>> posterior_weights(np.array([[1.0, 3.0]])).tolist()
    [[0.75, 0.25]]
    """
    if rule not in get_args(Rule):
        msg = f"found the rule {rule!r}, expected one of {', '.join(get_args(Rule))}"
        raise CombinationError(msg)
    if not (np.isfinite(score) & (score > 0.0)).all():
        msg = (
            f"scores run from {float(np.min(score)):.3g} to {float(np.max(score)):.3g}; expected "
            "finite ones above zero: a pair without any mismatch would be the only one to count"
        )
        raise CombinationError(msg)
    best = score.min()
    relative = best / score if rule == "inverse_mismatch" else np.exp((best - score) / 2.0)
    return np.asarray(relative / relative.sum())


def effective_members(weights: FLOAT) -> float:
    """Return how many equal members would be as certain, 1 / Σ ω² (Kish, 1965).

    Parameters
    ----------
    weights : ndarray, any shape
        Weights that sum to 1.
    """
    return float(1.0 / np.square(weights).sum())


def weighted_moments(combination: Combination, weights: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return mean and variance of all pairs of members under weights of their own.

    ::

        mean = Σ_k ω_k. g_k + Σ_l ω_.l c_l
        var  = Σ_k ω_k. g_k² + Σ_l ω_.l c_l² + 2 Σ_kl ω_kl g_k c_l − mean²

    with ω_k., ω_.l the sums over the other index. Weights of pairs make the missions depend on each
    other, hence the cross term. It is not summed as written, which would lose digits and could turn
    negative: rows (T_k, T_l) of the joint mixing, centred and times √ω_kl, have one triangular
    factor (R_G R_C), and var = |R_G X_G + R_C X_C|².

    Parameters
    ----------
    combination : Combination
        In any one space, shape (...) [u].
    weights : ndarray, shape (k, l)
        ω, their sum is 1.

    Returns
    -------
    mean : ndarray, shape (...)
        [u].
    variance : ndarray, shape (...)
        [u²].

    Raises
    ------
    CombinationError
        Weights of another shape.
    """
    shape, sizes = combination.shape, combination.sizes
    if weights.shape != sizes:
        msg = f"found weights of shape {weights.shape}, expected one for each of {sizes} pairs"
        raise CombinationError(msg)
    k, l = (index.reshape(-1) for index in np.indices(sizes))  # noqa: E741
    joint = np.concatenate(
        [combination.gravimetry.mixing[k], combination.altimetry.mixing[l]], axis=1
    )
    omega = weights.reshape(-1)
    rows = np.concatenate([(omega @ joint)[None], deviation_factor(joint, omega)])
    split = combination.gravimetry.mixing.shape[1]
    out = np.empty((2, math.prod(shape)))
    for part, g, c in _joint_blocks(combination):
        mixed = rows[:, :split] @ g + rows[:, split:] @ c
        out[0, part] = mixed[0]
        out[1, part] = np.einsum("ij,ij->j", mixed[1:], mixed[1:])
    return out[0].reshape(shape), out[1].reshape(shape)
