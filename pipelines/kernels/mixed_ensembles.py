"""Ensembles whose members mix a few fields: 112 members that span only 57.

Member l is a combination of *basis* fields, the same everywhere::

    m_l = Σ_b T_lb x_b            T: the mixing, n × b

Altimetry mixes 28 elevation rates h, 28 products ρ h and one field of firn and surface mass
balance; gravimetry mixes its estimate, 30 perturbations and a few models of glacial isostatic
adjustment (:func:`factor_mixing`). Whatever is linear (a transform, a weight per coefficient, sums
over regions) is done to the basis, once per field, and the mixing stays. So do the moments: with
the centred mixing T' = Q R (QR decomposition; a deficient rank does no harm),

    mean = t̄ X,      variance = |R X|² / n,      covariance = (R X)ᵀ (R X) / n

with the divisor n, the one that adds across ensembles. No member is ever written out.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.ensembles import EnsembleError

FLOAT = NDArray[np.float64]

BLOCK_BYTES = 2 * 1024 * 1024
"""Basis fields that meet the mixing at once [B]: small enough for a core's own cache."""

_RANK_TOLERANCE = 1e-13


@dataclass(frozen=True)
class MixedEnsemble:
    """Basis fields and how members mix them.

    Attributes
    ----------
    basis : ndarray, shape (b, ...)
        Fields x_b in any space: coefficients in any layout, pixels, regions.
    mixing : ndarray, shape (n, b)
        T: row l makes member l.
    """

    basis: FLOAT
    mixing: FLOAT

    def __post_init__(self) -> None:
        """Refuse a mixing that is not of this basis."""
        _check(self.basis, self.mixing)

    @property
    def size(self) -> int:
        """Number of members n."""
        return int(self.mixing.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one member."""
        return tuple(self.basis.shape[1:])

    def member(self, index: int) -> FLOAT:
        """Return one member, shape (...)."""
        return np.asarray(np.tensordot(self.mixing[index], self.basis, axes=1))

    def members(self) -> FLOAT:
        """Write out all members, shape (n, ...): for few regions or low degrees, and for tests."""
        return np.asarray(np.tensordot(self.mixing, self.basis, axes=1))

    def through(self, operator: Callable[[FLOAT], FLOAT]) -> "MixedEnsemble":
        """Return what a linear operator on stacks ``(b, ...)`` makes of the ensemble."""
        return MixedEnsemble(operator(self.basis), self.mixing)

    def scaled(self, weights: FLOAT) -> "MixedEnsemble":
        """Multiply every member by the same weights, shape broadcastable to (...)."""
        return MixedEnsemble(self.basis * weights, self.mixing)

    def reduced(self) -> "MixedEnsemble":
        """Return the same members from as few basis fields as the mixing has rank.

        Thirty perturbations that sum to zero and three models around an estimate are 34 fields of
        rank 32. By singular values T = U S Vᵀ: fields S Vᵀ X, mixing U.
        """
        u, s, vt = np.linalg.svd(self.mixing, full_matrices=False)
        rank = int((s > _RANK_TOLERANCE * s[0]).sum())
        rotation = s[:rank, None] * vt[:rank]
        return MixedEnsemble(np.tensordot(rotation, self.basis, axes=1), u[:, :rank])

    def mean(self) -> FLOAT:
        """Return the mean of the members, shape (...)."""
        return mixed_mean(self.basis, self.mixing)

    def variance(self) -> FLOAT:
        """Return the population variance of the members, shape (...)."""
        return mixed_moments(self.basis, self.mixing)[1]

    def moments(self) -> tuple[FLOAT, FLOAT]:
        """Return mean and population variance in one pass, see :func:`mixed_moments`."""
        return mixed_moments(self.basis, self.mixing)

    def covariance(self) -> FLOAT:
        """Return the population covariance of region sums, shape (r, r)."""
        return mixed_covariance(self.basis, self.mixing)


def factor_mixing(estimate: FLOAT, factors: Sequence[FLOAT]) -> MixedEnsemble:
    """Return the ensemble ``e + p_i + f_k + …``, every i with every k, as basis and mixing.

    Parameters
    ----------
    estimate : ndarray, shape (...)
        e, common to all members.
    factors : sequence of ndarray, shapes (n_f, ...)
        Independent factors. What is subtracted enters with its sign.

    Returns
    -------
    MixedEnsemble
        1 + Σ n_f fields, Π n_f members, the last factor varying fastest
        (:func:`pipelines.kernels.ensembles.expand`).

    Examples
    --------
    >>> factor_mixing(np.zeros(5), [np.ones((2, 5)), np.ones((2, 5))]).mixing
    array([[1., 1., 0., 1., 0.],
           [1., 1., 0., 0., 1.],
           [1., 0., 1., 1., 0.],
           [1., 0., 1., 0., 1.]])
    """
    basis = np.concatenate([np.asarray(estimate)[None], *factors])
    mixing = np.ones((1, 1))
    for factor in factors:
        n = factor.shape[0]
        every = np.tile(np.eye(n), (mixing.shape[0], 1))
        mixing = np.concatenate([np.repeat(mixing, n, axis=0), every], axis=1)
    return MixedEnsemble(basis, mixing)


def deviation_factor(mixing: FLOAT, weights: FLOAT | None = None) -> FLOAT:
    """Return R, whose products with the basis have the squares of all members' deviations.

    ::

        diag(√ω) (T − 1 ω T) = Q R,      Σ_l ω_l (m_l − m̄)² = |R X|²

    Parameters
    ----------
    mixing : ndarray, shape (n, b)
        T.
    weights : ndarray, shape (n,), optional
        Weights ω of the members, their sum is 1; equal weights if not given.

    Returns
    -------
    ndarray, shape (min(n, b), b)
        R, upper triangular; the factor 1/√n is in it.

    Raises
    ------
    EnsembleError
        Weights that are negative or do not sum to 1.
    """
    omega = _member_weights(mixing, weights)
    centred = np.sqrt(omega)[:, None] * (mixing - omega @ mixing)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def centred_mixing(mixing: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the mixing as the mean and orthogonal deviations.

    ::

        T = 1 t̄ + √n Q R,      rows = (t̄, R),      scores = (1, √n Q)

    so that ``scores @ rows`` is T, field 0 of ``rows @ basis`` is the mean of the members, and the
    squares of all others sum to their variance.

    Parameters
    ----------
    mixing : ndarray, shape (n, b)
        T.

    Returns
    -------
    rows : ndarray, shape (1 + r, b)
        What to make of the basis, r = min(n, b).
    scores : ndarray, shape (n, 1 + r)
        How members mix it.
    """
    n, mean = mixing.shape[0], mixing.mean(axis=0)
    q, r = np.linalg.qr(mixing - mean)
    scores = np.concatenate([np.ones((n, 1)), np.sqrt(n) * q], axis=1)
    return np.concatenate([mean[None], r / np.sqrt(n)]), scores


def _member_weights(mixing: FLOAT, weights: FLOAT | None) -> FLOAT:
    n = mixing.shape[0]
    if weights is None:
        return np.full(n, 1.0 / n)
    total = float(weights.sum())
    if weights.shape != (n,) or not (weights >= 0.0).all() or abs(total - 1.0) > 1e-9:
        msg = (
            f"found weights of shape {weights.shape} with the sum {total:.9g} and the smallest "
            f"{float(weights.min()):.3g}; expected {n} weights, none negative, that sum to 1"
        )
        raise EnsembleError(msg)
    return weights


def mixed_mean(basis: FLOAT, mixing: FLOAT, weights: FLOAT | None = None) -> FLOAT:
    """Return the mean of all members, Σ_l ω_l m_l.

    Parameters
    ----------
    basis : ndarray, shape (b, ...)
        Fields.
    mixing : ndarray, shape (n, b)
        T.
    weights : ndarray, shape (n,), optional
        Weights of the members; equal if not given.

    Returns
    -------
    ndarray, shape (...)
    """
    _check(basis, mixing)
    row = np.asarray(_member_weights(mixing, weights) @ mixing)[None]
    mean: FLOAT = _each_block(basis, lambda block: row @ block, 1)[0]
    return mean


def mixed_variance(basis: FLOAT, mixing: FLOAT, weights: FLOAT | None = None) -> FLOAT:
    """Return the population variance of all members.

    Parameters
    ----------
    basis, mixing, weights : ndarray
        Shapes (b, ...) [u], (n, b) and (n,), see :func:`mixed_moments`.

    Returns
    -------
    ndarray, shape (...)
        Never negative [u²].
    """
    return mixed_moments(basis, mixing, weights)[1]


def mixed_moments(basis: FLOAT, mixing: FLOAT, weights: FLOAT | None = None) -> tuple[FLOAT, FLOAT]:
    """Return mean and population variance of all members in one pass over the basis.

    A block of the basis at a time meets the mean row t̄ and R in one matrix product.

    Parameters
    ----------
    basis : ndarray, shape (b, ...)
        Fields [u].
    mixing : ndarray, shape (n, b)
        T.
    weights : ndarray, shape (n,), optional
        Weights of the members; equal if not given.

    Returns
    -------
    mean : ndarray, shape (...)
        [u].
    variance : ndarray, shape (...)
        Never negative [u²].
    """
    _check(basis, mixing)
    omega = _member_weights(mixing, weights)
    rows = np.concatenate([(omega @ mixing)[None], deviation_factor(mixing, weights)])

    def moments(block: FLOAT) -> FLOAT:
        mixed = rows @ block
        return np.stack([mixed[0], np.einsum("ij,ij->j", mixed[1:], mixed[1:])])

    mean, variance = _each_block(basis, moments, 2)
    return mean, variance


def mixed_covariance(basis: FLOAT, mixing: FLOAT, weights: FLOAT | None = None) -> FLOAT:
    """Return the population covariance of region sums.

    Parameters
    ----------
    basis : ndarray, shape (b, r)
        Region sums of the basis fields [u].
    mixing : ndarray, shape (n, b)
        T.
    weights : ndarray, shape (n,), optional
        Weights of the members; equal if not given.

    Returns
    -------
    ndarray, shape (r, r)
        Covariance [u²]; its diagonal is :func:`mixed_variance`.
    """
    _check(basis, mixing)
    if basis.ndim != 2:
        msg = f"found a basis of shape {basis.shape}, expected sums per region, shape (b, r)"
        raise EnsembleError(msg)
    deviations = deviation_factor(mixing, weights) @ basis
    return np.asarray(deviations.T @ deviations)


def blocks(basis: FLOAT, block_bytes: int) -> Iterator[tuple[slice, FLOAT]]:
    """Yield the basis in pieces along its first trailing axis, each as ``(b, elements)``.

    The pieces are slices of that axis; a layout in which members are not the slowest axis (a view
    of packed coefficients) is copied a piece at a time, never as a whole.

    Parameters
    ----------
    basis : ndarray, shape (b, rows, ...)
        Fields.
    block_bytes : int
        Size of a piece at most, unless a row is larger [B].

    Yields
    ------
    slice, ndarray, shape (b, elements)
        Rows, and their values.
    """
    rows = basis.shape[1]
    per_row = 8 * basis.shape[0] * math.prod(basis.shape[2:])
    step = max(1, block_bytes // max(1, per_row))
    for first in range(0, rows, step):
        part = slice(first, min(rows, first + step))
        piece = basis[:, part]
        yield part, piece.reshape(basis.shape[0], math.prod(piece.shape[1:]))


def _each_block(basis: FLOAT, work: Callable[[FLOAT], FLOAT], results: int) -> FLOAT:
    """Apply work ``(b, elements) → (results, elements)`` block by block."""
    flat = basis.reshape(len(basis), -1) if basis.flags.c_contiguous else basis
    out = np.empty((results, *flat.shape[1:]))
    for part, block in blocks(flat, BLOCK_BYTES):
        out[:, part] = work(block).reshape(results, *out[0, part].shape)
    return out.reshape(results, *basis.shape[1:])


def _check(basis: FLOAT, mixing: FLOAT) -> None:
    if mixing.ndim != 2 or mixing.shape[0] < 1 or basis.shape[:1] != mixing.shape[1:]:
        msg = (
            f"found a mixing of shape {mixing.shape} for a basis of shape {basis.shape}; expected "
            "(members, fields) and (fields, ...) with at least one member"
        )
        raise EnsembleError(msg)
