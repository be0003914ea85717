"""Errors as sums of independent factors, and what each factor does to every year and region.

The error of year t in region r is linear in factors ξ_f of unit variance, none of which depends
on another::

    ε_tr = Σ_f ξ_f L_f,tr,      Cov(ε_tr, ε_us) = Σ_f L_f,tr L_f,us

so the covariance between years and regions, and sums over groups, means over epochs, differences
and cumulative sums of them, are linear algebra on L: nothing is assumed about them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

BLOCK_BYTES = 64 * 1024 * 1024
"""Most random numbers, or dense factors, that are held at once [B]."""

WIDE = 48
"""Loads of a factor above which products of it are faster dense than sparse."""


class UncertaintyError(ValueError):
    """Errors that no uncertainty can be computed from."""


@dataclass(frozen=True)
class Structure:
    """How an error is shared: the amplitude of each part, whose squares sum to 1.

    Attributes
    ----------
    systematic : float
        One factor for all that a source of error reaches [1].
    correlated : float
        One factor for each patch, within which errors are alike [1].
    random : float
        What differs from one place, or one year, to the next [1].

    Examples
    --------
    >>> Structure(systematic=0.6, correlated=0.8, random=0.0).correlated
    0.8
    """

    systematic: float
    correlated: float
    random: float

    def __post_init__(self) -> None:
        parts = (self.systematic, self.correlated, self.random)
        whole = sum(part**2 for part in parts)
        if any(not math.isfinite(part) or part < 0.0 for part in parts) or abs(whole - 1) > 1e-6:
            msg = (
                f"found the parts systematic {parts[0]}, correlated {parts[1]}, random {parts[2]}, "
                f"whose squares sum to {whole:.6g}; expected parts of zero or more whose squares "
                "sum to 1 (Structure.of_variances takes fractions of the variance)"
            )
            raise UncertaintyError(msg)

    @classmethod
    def of_variances(
        cls, *, systematic: float = 0.0, correlated: float = 0.0, random: float = 0.0
    ) -> Structure:
        """Return the structure whose parts have these fractions of the variance, of sum 1."""
        if min(systematic, correlated, random) < 0.0:
            msg = (
                f"found fractions of the variance systematic {systematic}, correlated "
                f"{correlated}, random {random}; expected zero or more"
            )
            raise UncertaintyError(msg)
        return cls(math.sqrt(systematic), math.sqrt(correlated), math.sqrt(random))


SYSTEMATIC = Structure(1.0, 0.0, 0.0)
CORRELATED = Structure(0.0, 1.0, 0.0)
RANDOM = Structure(0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Loadings:
    """What independent factors of unit variance do to years and regions.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, shape (factor, year × region)
        L, region varying fastest [kg yr⁻¹]. NaN where the error is not known.
    years, regions : int
        Numbers of rows and columns of what is uncertain: years may be epochs, regions groups.
    """

    matrix: sparse.csr_array
    years: int
    regions: int

    @classmethod
    def of_entries(
        cls,
        values: NDArray[np.float64],
        factor: NDArray[np.int64],
        column: NDArray[np.int64],
        *,
        years: int,
        regions: int,
        factors: int | None = None,
    ) -> Loadings:
        """Sum loads that share factor and column.

        Factors without loads take no space, unless ``factors`` says how many there are: then
        factor i of one source of error is factor i of another (:meth:`plus`).
        """
        if factors is not None:
            shape = (factors, years * regions)
            whole = sparse.coo_array((values, (factor, column)), shape=shape)
            return cls(whole.tocsr(), years, regions)
        used = (values != 0.0) | np.isnan(values)
        present, dense = np.unique(factor[used], return_inverse=True)
        shape = (len(present), years * regions)
        matrix = sparse.coo_array((values[used], (dense, column[used])), shape=shape)
        return cls(matrix.tocsr(), years, regions)

    @classmethod
    def of_arrays(cls, factors: NDArray[np.float64]) -> Loadings:
        """Return the loadings of dense factors, shape (factor, year, region) [kg yr⁻¹]."""
        count, years, regions = factors.shape
        return cls(sparse.csr_array(factors.reshape(count, -1)), years, regions)

    @classmethod
    def none(cls, years: int, regions: int) -> Loadings:
        """Return the loadings of nothing: a term without error."""
        return cls(sparse.csr_array((0, years * regions)), years, regions)

    @property
    def factors(self) -> int:
        """How many independent factors there are."""
        return int(self.matrix.shape[0])

    def variance(self) -> NDArray[np.float64]:
        """Return the variance, shape (year, region) [kg² yr⁻²]."""
        total = self.matrix.power(2).sum(axis=0)
        return np.asarray(total, dtype=np.float64).reshape(self.years, self.regions)

    def sigma(self) -> NDArray[np.float64]:
        """Return standard deviations, shape (year, region) [kg yr⁻¹]."""
        return np.sqrt(self.variance())

    def covariance(self) -> NDArray[np.float64]:
        """Return the covariance LᵀL, shape (year, region, year, region) [kg² yr⁻²]."""
        wide = np.diff(self.matrix.indptr) > WIDE
        narrow = self.matrix[np.flatnonzero(~wide)]
        whole = np.asarray((narrow.T @ narrow).toarray())
        rows = np.flatnonzero(wide)
        step = max(1, BLOCK_BYTES // (8 * len(whole)))
        for first in range(0, len(rows), step):
            block = self.matrix[rows[first : first + step]].toarray()
            whole += block.T @ block
        return whole.reshape(2 * (self.years, self.regions))

    def weighted(self, weights: ArrayLike) -> Loadings:
        """Return the loadings of weighted sums over years: means of epochs, differences, sums.

        Parameters
        ----------
        weights : array_like, shape (epoch, year)
            What each year counts in each epoch [1]: (1, 3, 4, 3)/11 for the mean of the paper,
            −1 and 1 for a difference, ones below the diagonal for a cumulative sum. A weight of
            zero also leaves out what is not known.

        Returns
        -------
        Loadings
            Of shape (epoch, region).

        Examples
        --------
        A systematic error does not shrink in a mean; it leaves a difference.

        >>> same = Loadings.of_arrays(np.full((1, 4, 1), 3.0))
        >>> same.weighted([[0.25, 0.25, 0.25, 0.25], [-1, 0, 0, 1]]).sigma()
        array([[3.],
               [0.]])
        """
        operator = _operator(weights, self.years, "years")
        spread = sparse.kron(operator, sparse.eye_array(self.regions), format="csr")
        return Loadings(self.matrix @ spread.T, int(operator.shape[0]), self.regions)

    def grouped(self, matrix: ArrayLike) -> Loadings:
        """Return the loadings of sums over regions, of shape (year, group).

        Parameters
        ----------
        matrix : array_like, shape (group, region)
            Membership, see :func:`pipelines.kernels.budget.balance.membership` [1].
        """
        operator = _operator(matrix, self.regions, "regions")
        spread = sparse.kron(sparse.eye_array(self.years), operator, format="csr")
        return Loadings(self.matrix @ spread.T, self.years, int(operator.shape[0]))

    def scaled(self, factor: float) -> Loadings:
        """Return the loadings of the error times a number; −1 for what is subtracted."""
        return Loadings(self.matrix * factor, self.years, self.regions)

    def plus(self, other: Loadings) -> Loadings:
        """Add errors that come from the same factors, one by one, such as one model's bias."""
        if self.matrix.shape != other.matrix.shape or self.years != other.years:
            msg = (
                f"found {self.factors} and {other.factors} factors of {self._shape} and "
                f"{other._shape} years and regions; expected the same factors of the same ones "
                "(stacked() joins independent errors)"
            )
            raise UncertaintyError(msg)
        return Loadings(self.matrix + other.matrix, self.years, self.regions)

    def only(self, kept: NDArray[np.bool_]) -> Loadings:
        """Keep the errors of some regions, shape (region,) or (year, region); others have none."""
        keep = np.broadcast_to(kept, self._shape).reshape(-1)
        entries = self.matrix.tocoo()
        on = keep[entries.col]
        where = (entries.row[on], entries.col[on])
        matrix = sparse.coo_array((entries.data[on], where), shape=self.matrix.shape)
        return Loadings(matrix.tocsr(), self.years, self.regions)

    def draw(self, members: int, *, generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw errors with exactly this covariance, normally distributed.

        Parameters
        ----------
        members : int
            How many.
        generator : numpy.random.Generator
            Source of the factors, member by member.

        Returns
        -------
        ndarray, shape (member, year, region)
            Errors [kg yr⁻¹].
        """
        out = np.zeros((members, self.years * self.regions))
        step = max(1, BLOCK_BYTES // (8 * max(1, self.factors)))
        turned = self.matrix.T.tocsr()
        for first in range(0, members, step):
            rows = out[first : first + step]
            rows[:] = (turned @ generator.standard_normal((len(rows), self.factors)).T).T
        return out.reshape(members, self.years, self.regions)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.years, self.regions


def stacked(parts: Sequence[Loadings]) -> Loadings:
    """Join errors that are independent of each other: their factors side by side.

    Raises
    ------
    UncertaintyError
        No part, or parts of different years and regions.
    """
    shapes = {(part.years, part.regions) for part in parts}
    if len(shapes) != 1:
        msg = (
            f"found {len(parts)} errors of (years, regions) {sorted(shapes)}; expected one or "
            "more of the same years and regions"
        )
        raise UncertaintyError(msg)
    years, regions = shapes.pop()
    matrix = sparse.vstack([part.matrix for part in parts], format="csr")
    return Loadings(matrix, years, regions)


def total(terms: Mapping[str, Loadings]) -> Loadings:
    """Join all terms of a budget, which are independent of each other."""
    return stacked(list(terms.values()))


def variance_shares(terms: Mapping[str, Loadings]) -> dict[str, NDArray[np.float64]]:
    """Return the part of each term in the variance of the whole, shape (year, region) [1].

    NaN where the whole has no variance.
    """
    variances = {name: term.variance() for name, term in terms.items()}
    whole = np.asarray(sum(variances.values()))
    known = np.where(whole > 0.0, whole, np.nan)
    return {name: variance / known for name, variance in variances.items()}


def _operator(values: ArrayLike, length: int, what: str) -> sparse.csr_array:
    dense = np.asarray(values, dtype=np.float64)
    if dense.ndim != 2 or dense.shape[1] != length or not np.isfinite(dense).all():
        msg = (
            f"found weights of shape {dense.shape} ({np.sum(~np.isfinite(dense))} not finite), "
            f"expected finite ones of shape (any, {length}): a column for each of the {what}"
        )
        raise UncertaintyError(msg)
    return sparse.csr_array(dense)
