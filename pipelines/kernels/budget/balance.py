"""The mass budget of regions: what leaves, what stays, and what groups of regions add up to."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.kernels import basins
from pipelines.kernels.constants import GT_PER_MM_SEA_LEVEL

SHEETS: Mapping[str, tuple[int, ...]] = {
    "EAIS": tuple(range(2, 18)),
    "WAIS": (1, *range(18, 24)),
    "AP": tuple(range(24, 28)),
}
"""Ice sheets as Zwally et al. (2012) number their 27 basins (Yang et al. 2023, table 2)."""

SECTORS: Mapping[str, tuple[int, ...]] = {
    "Amundsen": tuple(range(20, 23)),
    "Bellingshausen": tuple(range(23, 26)),
    "Weddell": (26, 27, *range(1, 6)),
    "West Indian": tuple(range(6, 12)),
    "East Indian": tuple(range(12, 15)),
    "Ross": tuple(range(15, 20)),
}
"""Sectors of the sea that the basins drain into (Yang et al. 2023, figure 3), each basin in one."""

ALL = "AIS"
"""Every region together."""


class BalanceError(ValueError):
    """Terms or regions that make no budget."""


def discharge(
    ice_flux: NDArray[np.float64],
    sliver_smb: NDArray[np.float64],
    volume_rate: NDArray[np.float64],
    *,
    density: float,
    sliver_melt: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return what crosses the grounding line, from what crosses the gate upstream of it.

    Yang et al. (2023), equation 2, with the density that its volume rate lacks, and melt at the
    bed between gate and grounding line, which the paper leaves out::

        D = IF + SMB_s − ρ dV/dt − BMB_s

    Parameters
    ----------
    ice_flux : ndarray, shape (..., region)
        Flux through the gate IF, positive outward [kg yr⁻¹].
    sliver_smb : ndarray, shape (..., region)
        Surface mass balance between gate and grounding line SMB_s, negative for what lies where
        the gate is beyond the grounding line [kg yr⁻¹].
    volume_rate : ndarray, shape (..., region)
        Rate of the volume there dV/dt, with the same sign of the area [m³ yr⁻¹].
    density : float
        Density ρ of the volume that changes [kg m⁻³].
    sliver_melt : array_like, shape (..., region)
        Melt at the bed there BMB_s, positive where ice is lost [kg yr⁻¹].

    Returns
    -------
    ndarray, shape (..., region)
        Discharge D [kg yr⁻¹], positive outward; NaN where a term is.

    Raises
    ------
    BalanceError
        A density that is not positive.

    Examples
    --------
    A sliver that gains 2 by snow and thins by 1 m³ of ice a year passes all of it on:

    >>> float(discharge(np.array(100.0), np.array(2.0), np.array(-1.0), density=917.0))
    1019.0
    """
    rate = dynamic_mass_rate(volume_rate, density=density)
    terms: NDArray[np.float64] = ice_flux + sliver_smb - rate - np.asarray(sliver_melt)
    return terms


def dynamic_mass_rate(volume_rate: NDArray[np.float64], *, density: float) -> NDArray[np.float64]:
    """Return the mass that a changing volume gains, ``ρ dV/dt``.

    Parameters
    ----------
    volume_rate : ndarray, shape (...)
        dV/dt [m³ yr⁻¹].
    density : float
        ρ of the volume that changes [kg m⁻³].

    Returns
    -------
    ndarray, shape (...)
        [kg yr⁻¹]; NaN where the volume's rate is.

    Raises
    ------
    BalanceError
        A density that is not positive.
    """
    if not (np.isfinite(density) and density > 0.0):
        msg = f"density is {density} kg m⁻³, expected a positive one such as 917"
        raise BalanceError(msg)
    return np.asarray(density * volume_rate, dtype=np.float64)


def mass_balance(
    smb: NDArray[np.float64],
    discharge: NDArray[np.float64],
    basal_melt: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Return what the grounded ice gains: Yang et al. (2023), equation 3, with an optional term.

    ::

        MB = SMB − D − BMB

    Parameters
    ----------
    smb : ndarray, shape (..., region)
        Surface mass balance down to the grounding line [kg yr⁻¹].
    discharge : ndarray, shape (..., region)
        D, see :func:`discharge` [kg yr⁻¹].
    basal_melt : array_like, shape (..., region)
        Melt at the grounded bed, positive where ice is lost [kg yr⁻¹].

    Returns
    -------
    ndarray, shape (..., region)
        Mass balance [kg yr⁻¹]; NaN where a term is.

    Examples
    --------
    Mean snowfall and weighted mean discharge of the paper's table 2, in Gt yr⁻¹:

    >>> float(mass_balance(np.array(1864.0), np.array(1897.5)))
    -33.5
    """
    balance: NDArray[np.float64] = smb - discharge - np.asarray(basal_melt)
    return balance


def sea_level_rate(mass_rate_gt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rise of the sea that a mass balance amounts to.

    Parameters
    ----------
    mass_rate_gt : ndarray, shape (...)
        Mass balance of land ice [Gt yr⁻¹], or a mass [Gt].

    Returns
    -------
    ndarray, shape (...)
        Mean rise of sea level [mm yr⁻¹, or mm]: positive where ice is lost.

    Examples
    --------
    >>> float(sea_level_rate(np.array(-361.8)))
    1.0
    """
    return np.asarray(-mass_rate_gt / GT_PER_MM_SEA_LEVEL)


def groups(regions: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Return which regions each group holds: their own groups, sectors of the sea, all.

    A sector needs basins of Zwally et al. (2012): a region is one if its id is 1 to 27 and its
    label is the ice sheet of that id. A sector of which a basin is missing is left out, since its
    sum would pass for the whole sector.

    Parameters
    ----------
    regions : sequence of str, length r
        Identifiers.
    labels : sequence of str, length r
        Group of each region, such as ``EAIS``; empty for none.

    Returns
    -------
    dict of str to list of str
        Members of each group: labels in the order EAIS, WAIS, AP, others; ``AIS``; sectors.

    Raises
    ------
    BalanceError
        As many labels as regions are expected.
    """
    if len(regions) != len(labels):
        msg = f"found {len(regions)} regions and {len(labels)} labels, expected one label each"
        raise BalanceError(msg)
    pairs = list(zip(regions, labels, strict=True))
    order = [*SHEETS, *sorted({label for label in labels if label} - {*SHEETS, ALL})]
    own = {name: [region for region, label in pairs if label == name] for name in order}
    zwally = {str(i): sheet for sheet, ids in SHEETS.items() for i in ids}
    known = {region for region, label in pairs if label and zwally.get(region) == label}
    sectors = {name: [str(i) for i in ids] for name, ids in SECTORS.items()}
    return {
        **{name: members for name, members in own.items() if members},
        ALL: list(regions),
        **{name: ids for name, ids in sectors.items() if known.issuperset(ids)},
    }


def membership(
    regions: Sequence[str], labels: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names of all groups and the matrix that sums regions to them.

    Parameters
    ----------
    regions, labels : sequence of str, length r
        As for :func:`groups`.

    Returns
    -------
    names : tuple of str, length g
        Groups.
    matrix : ndarray, shape (g, r)
        1 where the region belongs to the group, 0 elsewhere.
    """
    members = groups(regions, labels)
    return tuple(members), basins.group_matrix(regions, members)


def group_sums(values: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum regions to groups; a region that is not measured leaves only its own groups unknown.

    Parameters
    ----------
    values : ndarray, shape (..., r)
        Rates of regions [kg yr⁻¹].
    matrix : ndarray, shape (g, r)
        Membership.

    Returns
    -------
    ndarray, shape (..., g)
        Sums [kg yr⁻¹]; NaN where a member is.

    Examples
    --------
    >>> group_sums(np.array([1.0, 2.0, np.nan]), np.array([[1.0, 1, 0], [0, 1, 1]]))
    array([ 3., nan])
    """
    if values.shape[-1] != matrix.shape[-1]:
        msg = (
            f"found {values.shape[-1]} regions in the values and {matrix.shape[-1]} in the "
            "membership matrix, expected the same"
        )
        raise BalanceError(msg)
    sums = np.nan_to_num(values, nan=0.0) @ matrix.T
    unknown = np.isnan(values).astype(np.float64) @ (matrix != 0.0).T
    return np.where(unknown > 0.0, np.nan, sums)
