"""Masses of regions from spherical harmonics, and what they share of each other's uncertainty.

The mass of a region is a plain sum of products: its *kernel* holds, coefficient by coefficient,
what one unit of surface mass density weighs there,

    K_r,jm = a² ∫_r Y_jm dΩ  [m²],      mass_r = Σ_jm K_r,jm σ_jm  [kg].

Kernels of groups are sums of kernels, and their uncertainty is summed from the covariance:
adding the rows of a table adds neither.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_STEP_TOLERANCE = 1e-9


class RegionError(ValueError):
    """Regions, groups or points that do not fit together."""


def region_sums(
    coefficients: NDArray[np.float64], kernels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum a field of surface mass density over regions, without going through a map.

    ::

        b_r = Σ_{C,S} Σ_j Σ_m K_r,jm σ_jm

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        Surface mass density, or its rate [kg m⁻² or kg m⁻² yr⁻¹].
    kernels : ndarray, shape (r, 2, J + 1, J + 1)
        Kernels of the regions [m²].

    Returns
    -------
    ndarray, shape (..., r)
        Masses [kg], or rates [kg yr⁻¹]; NaN where a field has one.

    Raises
    ------
    RegionError
        Field and kernels of different degrees.

    Examples
    --------
    >>> sphere = np.zeros((1, 2, 3, 3))
    >>> sphere[0, 0, 0, 0] = 510e12  # the whole surface, in m²
    >>> float(region_sums(sphere[0] / 510e12, sphere)[0])  # 1 kg m⁻² everywhere
    510000000000000.0
    """
    if coefficients.shape[-3:] != kernels.shape[-3:] or kernels.ndim != 4:
        msg = (
            f"found coefficients (..., {_trailing(coefficients)}) and kernels "
            f"({_trailing(kernels, 4)}); expected (..., 2, J + 1, J + 1) and (r, 2, J + 1, J + 1) "
            "of one degree J: truncate the longer"
        )
        raise RegionError(msg)
    flat = coefficients.reshape(*coefficients.shape[:-3], -1)
    sums: NDArray[np.float64] = flat @ kernels.reshape(len(kernels), -1).T
    return sums


def _trailing(array: NDArray[np.float64], count: int = 3) -> str:
    return ", ".join(str(length) for length in array.shape[-count:])


def independent_covariance(
    sigma: NDArray[np.float64], kernels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Propagate independent errors of coefficients to the covariance of regions.

    ::

        Cov_rs = Σ_jm K_r,jm K_s,jm σ²_jm

    What an ensemble of coefficient-wise perturbations converges to as its members grow.

    Parameters
    ----------
    sigma : ndarray, shape (2, J + 1, J + 1)
        Standard deviations of the coefficients [u].
    kernels : ndarray, shape (r, 2, J + 1, J + 1)
        What each coefficient contributes to each region [m², or kg per u].

    Returns
    -------
    ndarray, shape (r, r)
        Covariance [square of the unit of the region sums].
    """
    scaled = (kernels * sigma).reshape(len(kernels), -1)
    covariance: NDArray[np.float64] = scaled @ scaled.T
    return covariance


def group_matrix(
    regions: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """Return the membership of regions in groups, as the matrix G that sums over them.

    Parameters
    ----------
    regions : sequence of str, length r
        Identifiers of the regions, each once.
    groups : mapping of str to sequence of str, length g
        Members of each group. Groups may overlap (AIS holds EAIS, WAIS and AP).

    Returns
    -------
    ndarray, shape (g, r)
        1 where the region belongs to the group, 0 elsewhere.

    Raises
    ------
    RegionError
        A region named twice, a member that is no region, an empty group.

    Examples
    --------
    >>> group_matrix(["1", "2", "24"], {"AP": ["24"], "AIS": ["1", "2", "24"]})
    array([[0., 0., 1.],
           [1., 1., 1.]])
    """
    column = {region: i for i, region in enumerate(regions)}
    if len(column) < len(regions):
        twice = sorted({region for region in regions if list(regions).count(region) > 1})
        msg = f"regions {', '.join(twice)} occur more than once; expected unique identifiers"
        raise RegionError(msg)
    matrix = np.zeros((len(groups), len(regions)))
    for row, (group, members) in enumerate(groups.items()):
        unknown = [member for member in members if member not in column]
        if unknown or not members:
            what = f"unknown members {', '.join(unknown)}" if unknown else "no members"
            msg = f"group {group} has {what}; expected some of {', '.join(regions)}"
            raise RegionError(msg)
        matrix[row, [column[member] for member in members]] = 1.0
    return matrix


def group_kernels(matrix: NDArray[np.float64], kernels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the kernels of the members of each group.

    Parameters
    ----------
    matrix : ndarray, shape (g, r)
        Membership, see :func:`group_matrix`.
    kernels : ndarray, shape (r, 2, J + 1, J + 1)
        Kernels of the regions [m²].

    Returns
    -------
    ndarray, shape (g, 2, J + 1, J + 1)
        Kernels of the groups [m²].
    """
    return np.tensordot(matrix, kernels, axes=1)


def total_covariance(
    matrix: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the covariance of group totals, G Cov Gᵀ.

    Neighbouring basins share errors: in the table of Sasgen et al. (2019) the quadratic sum of
    the basins is 9.3 Gt yr⁻¹ where the total has 22.6.

    Parameters
    ----------
    matrix : ndarray, shape (g, r)
        Membership, see :func:`group_matrix`.
    covariance : ndarray, shape (r, r)
        Covariance of the regions [kg²].

    Returns
    -------
    ndarray, shape (g, g)
        Covariance of the groups [kg²].
    """
    total: NDArray[np.float64] = matrix @ covariance @ matrix.T
    return total


def solid_angles(latitude_bounds: NDArray[np.float64], *, lon_step: float) -> NDArray[np.float64]:
    """Return the solid angle of one cell in each row of a latitude-longitude lattice.

    On the unit sphere::

        Ω_i = Δλ (sin ψ_{i+1} − sin ψ_i) = 2 Δλ cos((ψ_{i+1} + ψ_i) / 2) sin((ψ_{i+1} − ψ_i) / 2)

    The second form keeps its digits next to the pole.

    Parameters
    ----------
    latitude_bounds : ndarray, shape (n + 1,)
        Geocentric latitudes of the edges of the rows [degrees], increasing.
    lon_step : float
        Width of a cell Δλ [degrees].

    Returns
    -------
    ndarray, shape (n,)
        Solid angle [sr].

    Raises
    ------
    RegionError
        Edges that do not increase within −90° to 90°.
    """
    edges = np.asarray(latitude_bounds, dtype=np.float64)
    if not (edges.size > 1 and (np.diff(edges) > 0).all() and np.abs(edges[[0, -1]]).max() <= 90.0):
        msg = (
            f"found latitude edges {edges[:1]} … {edges[-1:]} ({edges.size} of them); expected "
            "at least two, increasing from south to north within ±90°"
        )
        raise RegionError(msg)
    south, north = np.radians(edges[:-1]), np.radians(edges[1:])
    # cos of the middle as the sine of its distance from the south pole, exact beside it.
    middle = np.radians((edges[:-1] + 90.0 + edges[1:] + 90.0) / 2.0)
    angles: NDArray[np.float64] = (
        2.0 * np.radians(lon_step) * np.sin(middle) * np.sin((north - south) / 2.0)
    )
    return angles


def bin_to_lattice(
    latitude_geocentric: NDArray[np.float64],
    longitude: NDArray[np.float64],
    weight: NDArray[np.float64],
    region_index: NDArray[np.int64] | None = None,
    *,
    n_regions: int,
    lat_step: float,
    lon_step: float,
    south_of: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Collect weighted points in the cells of a latitude-longitude lattice around the south pole.

    Turns a map of regions (points of EPSG:3031 with the area that each stands for) into what a
    row-wise harmonic transform can read. Every weight goes to the cell that holds its point, so
    totals are kept; each point moves by half a cell at most, which blurs a region by one cell.
    Averaged over how edges fall on the lattice, a wave of length λ is underestimated by
    (2π w / λ)² / 24, with w the width of a cell on the ground: by 0.1 % where 40 cells make a
    wave, by 2.6 % where 8 do. Columns may be wide in degrees, as meridians converge: 0.5° at
    75° S are 14 km, a 15th of a wave of degree 180.

    Parameters
    ----------
    latitude_geocentric, longitude : ndarray, shape (p,)
        Points [degrees]; longitudes of any turn.
    weight : ndarray, shape (p,) or (n_regions, p)
        Weight of each point [m²], or its weight in each region (fractions of boundary cells).
    region_index : ndarray of int, shape (p,)
        Region of each point, −1 for none; given if and only if ``weight`` has shape (p,).
    n_regions : int
        Number of regions r.
    lat_step, lon_step : float
        Size of a cell [degrees]; must divide the lattice evenly.
    south_of : float
        Northern edge of the lattice [degrees].

    Returns
    -------
    weights : ndarray, shape (r, n_lat, n_lon)
        Sum of weights per cell [m²].
    latitude : ndarray, shape (n_lat,)
        Centres of the rows from the pole northward [degrees].
    longitude : ndarray, shape (n_lon,)
        Centres of the columns from 0° eastward [degrees].

    Raises
    ------
    RegionError
        Points beyond the lattice, steps that do not divide it, indices or shapes that do not fit.
    """
    n_lat = _whole(south_of + 90.0, lat_step, "lat_step")
    n_lon = _whole(360.0, lon_step, "lon_step")
    _check_points(latitude_geocentric, longitude, south_of)
    per_region = _by_region(weight, region_index, latitude_geocentric.size, n_regions)
    row = np.minimum(((latitude_geocentric + 90.0) / lat_step).astype(np.int64), n_lat - 1)
    column = ((longitude % 360.0) / lon_step).astype(np.int64) % n_lon
    cell = row * n_lon + column
    lattice = np.zeros((n_regions, n_lat * n_lon))
    for region, (at, w) in enumerate(per_region):
        lattice[region] = np.bincount(cell[at], weights=w, minlength=n_lat * n_lon)
    latitude = np.asarray(-90.0 + (np.arange(n_lat) + 0.5) * lat_step, dtype=np.float64)
    columns = np.asarray((np.arange(n_lon) + 0.5) * lon_step, dtype=np.float64)
    return lattice.reshape(n_regions, n_lat, n_lon), latitude, columns


def _whole(extent: float, step: float, name: str) -> int:
    count = round(extent / step) if step > 0.0 else 0
    if count < 1 or abs(count * step - extent) > _STEP_TOLERANCE * extent:
        msg = (
            f"{name} {step}° does not divide {extent}° into whole cells; choose {extent}° over a "
            "whole number (the northern edge counts from the pole)"
        )
        raise RegionError(msg)
    return count


def _check_points(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], south_of: float
) -> None:
    inside = (latitude >= -90.0) & (latitude <= south_of) & np.isfinite(longitude)
    outside = np.flatnonzero(~inside)
    if outside.size:
        i = int(outside[0])
        msg = (
            f"{outside.size} of {latitude.size} points lie outside the lattice, the first at "
            f"latitude {latitude[i]:.4f}°, longitude {longitude[i]:.4f}°; expected −90° to "
            f"{south_of}°: move its northern edge"
        )
        raise RegionError(msg)


def _by_region(
    weight: NDArray[np.float64],
    region_index: NDArray[np.int64] | None,
    points: int,
    n_regions: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return indices and weights of the points of each region."""
    if region_index is None:
        if weight.shape != (n_regions, points):
            msg = (
                f"found weights {weight.shape} without region_index, expected {(n_regions, points)}"
            )
            raise RegionError(msg)
        everywhere = np.arange(points)
        return [(everywhere, row) for row in weight]
    if weight.shape != (points,) or region_index.shape != (points,):
        msg = (
            f"found weights {weight.shape} and region_index {region_index.shape}, expected both "
            f"of shape {(points,)}"
        )
        raise RegionError(msg)
    if points and not (region_index.min() >= -1 and region_index.max() < n_regions):
        msg = (
            f"region_index runs from {region_index.min()} to {region_index.max()}, expected −1 "
            f"(none) to {n_regions - 1}"
        )
        raise RegionError(msg)
    members = [np.flatnonzero(region_index == region) for region in range(n_regions)]
    return [(at, weight[at]) for at in members]
