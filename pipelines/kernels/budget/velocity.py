"""The velocity at gate nodes, made of several products: who filled what, and what looks wrong.

Gaps are filled after sampling. The order of the products is data of the run: Yang et al. (2023,
section 2.1) take the annual map, a line in time through the two maps of Central Antarctica,
ITS_LIVE before 2013, and the phase map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]
INT8 = NDArray[np.int8]
INTEGER = NDArray[np.integer]
BOOL = NDArray[np.bool_]

NO_SOURCE = -1
"""What stands for a source where no product has a velocity."""
_RAYLEIGH_MEDIAN = float(np.sqrt(2.0 * np.log(2.0)))
"""Median length of a plane vector whose components have a spread of 1 (Rayleigh distribution)."""


class VelocityError(ValueError):
    """Velocities that cannot be put together."""


class Filled(NamedTuple):
    """A velocity without the gaps that some product fills.

    Attributes
    ----------
    v_x, v_y : ndarray, shape (..., n)
        Velocity [m yr⁻¹], NaN where no product has both components.
    source : ndarray of int8, shape (..., n)
        Index of the product that both components are from, −1 where there is none.
    """

    v_x: FLOAT
    v_y: FLOAT
    source: INT8


def fill(candidates: Sequence[tuple[FLOAT, FLOAT]]) -> Filled:
    """Take each node's velocity from the first product that has both components of it.

    Parameters
    ----------
    candidates : sequence of (v_x, v_y), each shape (..., n)
        Velocities of the products in order of preference [m yr⁻¹]; NaN where not measured. A
        velocity of zero is measured.

    Returns
    -------
    Filled
        Velocity and its source. A year that no product has is NaN throughout, with source −1.

    Raises
    ------
    VelocityError
        No candidates, more than 127, or different shapes.

    Examples
    --------
    >>> annual = (np.array([5.0, np.nan, np.nan]), np.array([1.0, 2.0, np.nan]))
    >>> phase = (np.array([9.0, 9.0, np.nan]), np.array([8.0, 8.0, np.nan]))
    >>> fill([annual, phase])
    Filled(v_x=array([ 5.,  9., nan]), v_y=array([ 1.,  8., nan]), source=array([ 0,  1, -1], dtype=int8))
    """  # noqa: E501
    _require_candidates(candidates)
    v_x = np.full(np.shape(candidates[0][0]), np.nan)
    v_y = np.full_like(v_x, np.nan)
    source = np.full(v_x.shape, NO_SOURCE, np.int8)
    for number, (x, y) in enumerate(candidates):
        chosen = (source == NO_SOURCE) & ~np.isnan(x) & ~np.isnan(y)
        np.copyto(v_x, x, where=chosen)
        np.copyto(v_y, y, where=chosen)
        source[chosen] = number
    return Filled(v_x, v_y, source)


def _require_candidates(candidates: Sequence[tuple[FLOAT, FLOAT]]) -> None:
    if not 1 <= len(candidates) <= np.iinfo(np.int8).max:
        msg = f"found {len(candidates)} products to fill a velocity from, expected 1 to 127"
        raise VelocityError(msg)
    shapes = {np.shape(component) for pair in candidates for component in pair}
    if len(shapes) > 1:
        found = ", ".join(str(shape) for shape in sorted(shapes))
        msg = f"products have shapes {found}; sample all of them at the same nodes"
        raise VelocityError(msg)


def trend(v_a: FLOAT, v_b: FLOAT, *, year_a: float, year_b: float, year: float) -> FLOAT:
    """Return one component on the line in time through two maps.

    Yang et al. (2023), section 2.1, for Central Antarctica with maps of 1997 and 2009::

        v(t) = v_b + (v_b − v_a) (t − t_b) / (t_b − t_a)

    Parameters
    ----------
    v_a, v_b : ndarray, broadcastable shapes
        The component at two times [m yr⁻¹].
    year_a, year_b, year : float
        Times of the maps, and the time that is asked for [decimal year].

    Returns
    -------
    ndarray
        The component at ``year`` [m yr⁻¹]; NaN where either map is.

    Raises
    ------
    VelocityError
        Both maps are of the same time.

    Examples
    --------
    >>> float(trend(np.array(10.0), np.array(22.0), year_a=1997.0, year_b=2009.0, year=2019.0))
    32.0
    """
    span = year_b - year_a
    if not abs(span) > 0.0:
        msg = f"both maps are of {year_a:g}, a trend needs two different times"
        raise VelocityError(msg)
    return np.asarray(v_b + (v_b - v_a) * ((year - year_b) / span), dtype=np.float64)


def to_ground(v: FLOAT, map_over_true: FLOAT) -> FLOAT:
    """Turn metres on the map into metres on the ground: ``v / k``.

    Parameters
    ----------
    v : ndarray, shape (..., n)
        Component of a velocity, of a product whose ``velocity_frame`` is ``map`` [m yr⁻¹].
    map_over_true : ndarray, shape (n,)
        Scale factor k, map length over true length [1]: above 1 north of 71° S.

    Returns
    -------
    ndarray, shape (..., n)
        The component on the ground [m yr⁻¹].

    Raises
    ------
    VelocityError
        A scale factor that is not positive.
    """
    if not np.all(np.asarray(map_over_true) > 0.0):
        worst = float(np.min(map_over_true))
        msg = f"found a scale factor of {worst:.4g}, expected one near 1; see geodesy.map_scale"
        raise VelocityError(msg)
    return np.asarray(v / map_over_true, dtype=np.float64)


def nearest_in_time(v_x: FLOAT, v_y: FLOAT, times: FLOAT, *, longest: float = np.inf) -> Filled:
    """Fill each year from the nearest year of the same product that has both components.

    Parameters
    ----------
    v_x, v_y : ndarray, shape (year, ...)
        Velocity of each year [m yr⁻¹]; NaN where not measured.
    times : ndarray, shape (year,)
        Middle of each year [decimal year].
    longest : float
        Years further away than this fill nothing [yr].

    Returns
    -------
    Filled
        Velocity, and the index of the year it is from; of two equally near, the earlier one.

    Raises
    ------
    VelocityError
        As many times as years are expected, all different.
    """
    if np.shape(times) != np.shape(v_x)[:1] or len(np.unique(times)) != len(times):
        msg = f"found times {np.shape(times)}, expected {np.shape(v_x)[:1]} different ones"
        raise VelocityError(msg)
    rows = []
    for time in times:
        distance = np.abs(times - time)
        order = np.lexsort((times, distance))
        order = order[distance[order] <= longest]
        found = fill([(v_x[i], v_y[i]) for i in order])
        year = np.where(found.source >= 0, order[found.source], NO_SOURCE).astype(np.int8)
        rows.append(found._replace(source=year))
    return Filled(*(np.stack(parts) for parts in zip(*rows, strict=True)))


def usual_flux(flux: FLOAT, length: FLOAT) -> FLOAT:
    """Return how much flux a node usually carries, also where and when it is not measured.

    A weight of coverage has to exist at the very nodes that have no velocity. It is the mean of
    |F| over the years that have one; at a node that no year has, the mean of |F| per length over
    all other nodes, times its length.

    Parameters
    ----------
    flux : ndarray, shape (year, n)
        Flux through each node's segment [kg yr⁻¹], NaN where not measured.
    length : ndarray, shape (n,)
        True length of the segments [m].

    Returns
    -------
    ndarray, shape (n,)
        Weights [kg yr⁻¹], NaN if nothing at all is measured.
    """
    measured = ~np.isnan(flux)
    count = measured.sum(axis=0)
    total = np.where(measured, np.abs(flux), 0.0).sum(axis=0)
    known = count > 0
    usual = total / np.maximum(count, 1)
    of_known = float(np.sum(length, where=known))
    density = float(np.sum(usual, where=known)) / of_known if of_known > 0.0 else np.nan
    return np.where(known, usual, density * length)


def coverage(
    source: INTEGER, weight: FLOAT, region: INTEGER, *, n_regions: int, n_sources: int
) -> FLOAT:
    """Return what part of each region's gates every product gives.

    Parameters
    ----------
    source : ndarray of int, shape (..., n)
        Product of each node, see :func:`fill`; leading axes are years.
    weight : ndarray, shape (n,)
        What a node counts: its length [m], or the flux that it usually carries [kg yr⁻¹], see
        :func:`usual_flux`.
    region : ndarray of int, shape (n,)
        Region of each node, −1 for none.
    n_regions, n_sources : int
        Numbers of regions and of products.

    Returns
    -------
    ndarray, shape (..., n_regions, n_sources + 1)
        Fractions [1]; the last one is the part without a velocity. They sum to 1, or are NaN in a
        region without gates and where a weight is NaN.

    Raises
    ------
    VelocityError
        A negative weight, shapes that differ, a source or region out of range.

    Examples
    --------
    >>> coverage(np.array([0, 1, -1]), np.array([3.0, 1.0, 1.0]), np.zeros(3, int),
    ...          n_regions=1, n_sources=2)
    array([[0.6, 0.2, 0.2]])
    """
    _require_weights(source, weight, region, n_regions=n_regions, n_sources=n_sources)
    columns = n_sources + 1
    inside = region >= 0
    flat = source[..., inside].reshape(-1, int(inside.sum()))
    column = np.where(flat < 0, n_sources, flat)
    bins = region[inside].astype(np.intp) * columns + column
    sums = np.zeros((len(flat), n_regions * columns))
    for row, index in zip(sums, bins, strict=True):
        row[:] = np.bincount(index, weight[inside], n_regions * columns)
    sums = sums.reshape(*source.shape[:-1], n_regions, columns)
    whole = sums.sum(axis=-1, keepdims=True)
    return np.where(whole > 0.0, sums / np.where(whole > 0.0, whole, 1.0), np.nan)


def _require_weights(
    source: INTEGER, weight: FLOAT, region: INTEGER, *, n_regions: int, n_sources: int
) -> None:
    n = source.shape[-1:]
    if weight.shape != n or region.shape != n:
        msg = (
            f"found weights {weight.shape} and regions {region.shape} for sources "
            f"{source.shape}, expected {n} each"
        )
        raise VelocityError(msg)
    if np.any(weight < 0.0):
        msg = f"found a weight of {float(np.nanmin(weight)):g}, expected lengths or |flux|"
        raise VelocityError(msg)
    for name, index, size in (("source", source, n_sources), ("region", region, n_regions)):
        if index.size and not (index.min() >= -1 and index.max() < size):
            span = f"{index.min()} to {index.max()}"
            msg = f"found a {name} index from {span}, expected −1 to {size - 1}"
            raise VelocityError(msg)


class Screening(NamedTuple):
    """Which velocities are far from what their node has in other years.

    Attributes
    ----------
    outlier : ndarray of bool, shape (year, n)
        Whether the year departs; never where it is not measured.
    departure : ndarray, shape (year, n)
        Length of the difference from the node's median velocity [m yr⁻¹].
    flagged, measured : ndarray of int, shape (year,)
        How many nodes are flagged in each year, of how many. A bad map is a year with many.
    """

    outlier: BOOL
    departure: FLOAT
    flagged: NDArray[np.int64]
    measured: NDArray[np.int64]


def screen(
    v_x: FLOAT, v_y: FLOAT, *, n_sigmas: float, floor: float, least_years: int = 4
) -> Screening:
    """Flag years whose velocity departs from the node's median over years.

    ::

        d = |v − median v|,    σ = median d / √(2 ln 2),    outlier: d > n σ and d > floor

    Parameters
    ----------
    v_x, v_y : ndarray, shape (year, n)
        Velocity [m yr⁻¹], NaN where not measured.
    n_sigmas : float
        Robust standard deviations n beyond which a year departs [1].
    floor : float
        Least departure that counts, of the size of the products' errors [m yr⁻¹].
    least_years : int
        Nodes measured in fewer years are not judged.

    Returns
    -------
    Screening
        A log: nothing is removed here.

    Raises
    ------
    VelocityError
        Shapes that differ, or choices that are not positive.

    Notes
    -----
    One bad map took 10 % off the flux of Helheim glacier in a published series. A glacier that
    truly sped up looks the same where its early years are few, as 2000 is in Antarctica: the
    counts per year tell a bad map, which flags nodes of all glaciers, from one that accelerates.
    """
    if v_x.shape != v_y.shape or v_x.ndim != 2:
        msg = f"found v_x {v_x.shape} and v_y {v_y.shape}, expected (year, node) for both"
        raise VelocityError(msg)
    if not (n_sigmas > 0.0 and floor > 0.0 and least_years >= 2):
        msg = (
            f"found {n_sigmas:g} standard deviations, a floor of {floor:g} m/yr and {least_years} "
            "years, expected positive ones and two years at least"
        )
        raise VelocityError(msg)
    both = ~np.isnan(v_x) & ~np.isnan(v_y)
    judged = both.sum(axis=0) >= least_years
    departure = np.full(v_x.shape, np.nan)
    x, y = (np.where(both, v, np.nan)[:, judged] for v in (v_x, v_y))
    if judged.any():
        departure[:, judged] = np.hypot(x - np.nanmedian(x, 0), y - np.nanmedian(y, 0))
        sigma = np.nanmedian(departure[:, judged], axis=0) / _RAYLEIGH_MEDIAN
        bound = np.maximum(n_sigmas * sigma, floor)
    outlier = np.zeros(v_x.shape, np.bool_)
    if judged.any():
        outlier[:, judged] = departure[:, judged] > bound
    return Screening(outlier, departure, outlier.sum(axis=1), both.sum(axis=1))
