"""Random errors along a gate: white noise, whose effect does not depend on the spacing of nodes.

A node stands for a length L_i of gate. Errors that are alike over a length ℓ and independent beyond
it give the integral over the gate the variance of white noise of density σ² ℓ::

    Var Σ_i g_i = Σ_i (g_i)² ℓ / L_i

with the effect g_i ∝ L_i of one σ. Halving the segments halves every g_i² ℓ / L_i and doubles their
number. (With an error of its own for every node the variance would fall with their number.)

Each node lies in one region, so regions do not covary; years do where they share what errs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget.loadings import Loadings, UncertaintyError
from pipelines.kernels.budget.patches import NodeErrors, maps_of_year

NODES_AT_ONCE = 16_384
"""Nodes whose effects in all years are held at once."""


def random_thickness(nodes: NodeErrors, *, random_length_m: float) -> Loadings:
    """Return how a fully random error of thickness changes the flux: shared by all years.

    Parameters
    ----------
    nodes : NodeErrors
        Nodes of the gate.
    random_length_m : float
        ℓ [m].

    Returns
    -------
    Loadings
        At most as many factors per region as years; exact to first order [kg yr⁻¹].
    """
    root = _root_length(nodes, random_length_m)
    shared = np.zeros((nodes.years, nodes.regions, nodes.years))
    for block in _blocks(nodes):
        effect = _of_years(nodes, lambda t: nodes.thickness_effect(t)[None], block) * root[block]
        _add_products(shared, effect[:, 0], nodes.region[block])
    return _from_covariance(shared)


def random_velocity(nodes: NodeErrors, *, random_length_m: float) -> Loadings:
    """Return how fully random errors of velocity change the flux.

    Shared by years where their velocity is from one map, see
    :func:`pipelines.kernels.budget.uncertainty.velocity_loadings`.

    Parameters
    ----------
    nodes : NodeErrors
        Nodes of the gate.
    random_length_m : float
        ℓ [m].

    Returns
    -------
    Loadings
        At most as many factors per region as years; exact to first order [kg yr⁻¹].
    """
    root = _root_length(nodes, random_length_m)
    by_year = [maps_of_year(nodes, year) for year in range(nodes.years)]
    ids, uses = np.unique(np.concatenate(by_year), return_counts=True)
    shared_maps = ids[uses > 1]
    shared = np.zeros((nodes.years, nodes.regions, nodes.years))
    for year in range(nodes.years):
        power = ((nodes.velocity_effect(year) * root) ** 2).sum(axis=0)
        alone = np.isin(nodes.velocity_map[year], shared_maps, invert=True) | np.isnan(power)
        own = np.bincount(nodes.region, np.where(alone, power, 0.0), minlength=nodes.regions)
        shared[year, :, year] = own
    for block in _blocks(nodes) if len(shared_maps) else ():
        effect = _of_years(nodes, nodes.velocity_effect, block) * root[block]
        maps = nodes.velocity_map[:, block]
        for one in shared_maps:
            for k in range(effect.shape[1]):
                _add_products(shared, np.where(maps == one, effect[:, k], 0.0), nodes.region[block])
    return _from_covariance(shared)


def _root_length(nodes: NodeErrors, random_length_m: float) -> NDArray[np.float64]:
    """Return √(ℓ / L_i); 0 for segments without length, which let nothing through."""
    if not (np.isfinite(random_length_m) and random_length_m > 0.0):
        msg = f"random_length_m is {random_length_m} m, expected a positive length"
        raise UncertaintyError(msg)
    some = np.where(nodes.length > 0.0, nodes.length, np.inf)
    return np.sqrt(random_length_m / some)


def _blocks(nodes: NodeErrors) -> list[slice]:
    starts = range(0, len(nodes.region), NODES_AT_ONCE)
    return [slice(start, start + NODES_AT_ONCE) for start in starts]


def _of_years(
    nodes: NodeErrors,
    effect: Callable[[int], NDArray[np.float64]],
    block: slice,
) -> NDArray[np.float64]:
    """Return the effects of some nodes in all years, shape (year, component, node)."""
    return np.stack([effect(year)[:, block] for year in range(nodes.years)])


def _add_products(
    shared: NDArray[np.float64], effect: NDArray[np.float64], region: NDArray[np.int64]
) -> None:
    """Add the sums of products of years over the nodes of each region."""
    for r in np.unique(region):
        some = effect[:, region == r]
        shared[:, r] += some @ some.T


def _from_covariance(shared: NDArray[np.float64]) -> Loadings:
    """Return factors of the covariance between years, shape (year, region, year), of each region.

    A year that is not known keeps NaN for its own variance and takes no part in others.
    """
    years, regions, _ = shared.shape
    values, factor, column = [], [], []
    for r in range(regions):
        covariance = shared[:, r].copy()
        unknown = np.isnan(np.diagonal(covariance))
        covariance[unknown] = covariance[:, unknown] = 0.0
        power, vectors = np.linalg.eigh(covariance)
        loads = np.sqrt(np.maximum(power, 0.0))[:, None] * vectors.T
        loads[np.arange(years)[unknown], np.arange(years)[unknown]] = np.nan
        at_factor, at_year = np.indices(loads.shape)
        values.append(loads.ravel())
        factor.append((r * years + at_factor).ravel())
        column.append((at_year * regions + r).ravel())
    return Loadings.of_entries(
        np.concatenate(values),
        np.concatenate(factor),
        np.concatenate(column),
        years=years,
        regions=regions,
    )
