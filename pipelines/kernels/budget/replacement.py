"""Regions whose balance is taken from elsewhere, with what the budget itself says kept beside it.

Yang et al. (2023), section 2.5, take basins 25 and 26 from altimetry, which moves the balance of
Antarctica by −54 Gt yr⁻¹. Both numbers are always returned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget.balance import group_sums

FLOAT = NDArray[np.float64]


class ReplacementError(ValueError):
    """A replacement that names no region, or has no size."""


@dataclass(frozen=True)
class Replacement:
    """A balance from elsewhere, the same at all times.

    Attributes
    ----------
    region : str
        Region whose balance is replaced.
    value, sigma : float
        Balance and its standard deviation [kg yr⁻¹].
    source : str
        Where it is from.
    """

    region: str
    value: float
    sigma: float
    source: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and np.isfinite(self.sigma) and self.sigma >= 0.0):
            msg = (
                f"region {self.region}: found {self.value} ± {self.sigma} kg/yr, expected a finite "
                "balance and a standard deviation of 0 or more"
            )
            raise ReplacementError(msg)
        if not self.source.strip():
            msg = f"region {self.region}: say where the balance is from, source is empty"
            raise ReplacementError(msg)


@dataclass(frozen=True)
class Replaced:
    """Balances with and without replacements, by region or by group.

    Attributes
    ----------
    native, replaced, difference : ndarray, shape (..., r)
        What the budget says, what stands in its place, and the second less the first [kg yr⁻¹].
    """

    native: FLOAT
    replaced: FLOAT

    @property
    def difference(self) -> FLOAT:
        """What the replacements add: 0 where none is, NaN where the budget has no value."""
        return np.asarray(self.replaced - self.native)

    def sums(self, matrix: FLOAT) -> "Replaced":
        """Return both by group.

        Parameters
        ----------
        matrix : ndarray, shape (g, r)
            Membership, see :func:`pipelines.kernels.budget.balance.membership`.
        """
        return Replaced(group_sums(self.native, matrix), group_sums(self.replaced, matrix))


def replace(
    balance: FLOAT, regions: Sequence[str], replacements: Sequence[Replacement]
) -> Replaced:
    """Put balances from elsewhere in the place of those of some regions.

    Parameters
    ----------
    balance : ndarray, shape (..., r)
        Mass balance [kg yr⁻¹]; leading axes are epochs, years or members.
    regions : sequence of str, length r
        Identifiers.
    replacements : sequence of Replacement
        What replaces what; none changes nothing.

    Returns
    -------
    Replaced
        Both balances. A replacement stands also where the budget has no value.

    Raises
    ------
    ReplacementError
        A region that is not there, or is replaced twice; shapes that differ.

    Examples
    --------
    >>> source = "altimetry 2003 to 2019"
    >>> found = replace(np.array([3.0, 10.8]), ["24", "25"], [Replacement("25", -10.0, 13.0, source)])
    >>> found.replaced, found.difference
    (array([  3., -10.]), array([  0. , -20.8]))
    """  # noqa: E501
    columns = _columns(regions, replacements, balance.shape[-1])
    replaced = np.array(balance, dtype=np.float64)
    for column, each in zip(columns, replacements, strict=True):
        replaced[..., column] = each.value
    return Replaced(np.array(balance, dtype=np.float64), replaced)


def replace_sigma(
    sigma: FLOAT, regions: Sequence[str], replacements: Sequence[Replacement]
) -> FLOAT:
    """Return the standard deviations of replaced balances, shape (..., r) [kg yr⁻¹]."""
    columns = _columns(regions, replacements, sigma.shape[-1])
    replaced = np.array(sigma, dtype=np.float64)
    for column, each in zip(columns, replacements, strict=True):
        replaced[..., column] = each.sigma
    return replaced


def replace_covariance(
    covariance: FLOAT, regions: Sequence[str], replacements: Sequence[Replacement]
) -> FLOAT:
    """Return the covariance of replaced balances.

    A balance from elsewhere shares no error with the budget, nor with another replacement.

    Parameters
    ----------
    covariance : ndarray, shape (..., r, r)
        Covariance of the regions' balances [kg² yr⁻²].
    regions, replacements
        As for :func:`replace`.

    Returns
    -------
    ndarray, shape (..., r, r)
        Covariance with rows and columns of replaced regions that hold σ² alone.
    """
    columns = _columns(regions, replacements, covariance.shape[-1])
    replaced = np.array(covariance, dtype=np.float64)
    for column, each in zip(columns, replacements, strict=True):
        replaced[..., column, :] = 0.0
        replaced[..., :, column] = 0.0
        replaced[..., column, column] = each.sigma**2
    return replaced


def _columns(
    regions: Sequence[str], replacements: Sequence[Replacement], size: int
) -> tuple[int, ...]:
    """Return where the replaced regions are."""
    if len(regions) != size:
        msg = f"found {size} balances and {len(regions)} regions, expected one name each"
        raise ReplacementError(msg)
    names = [each.region for each in replacements]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"region {', '.join(twice)} is replaced more than once; keep one replacement of each"
        raise ReplacementError(msg)
    absent = [name for name in names if name not in regions]
    if absent:
        msg = f"found a replacement of {', '.join(absent)}, the regions are {', '.join(regions)}"
        raise ReplacementError(msg)
    return tuple(list(regions).index(name) for name in names)
