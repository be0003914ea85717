"""The terms of the uncertainty of a mass budget, each by its structure.

Every function returns :class:`~pipelines.kernels.budget.loadings.Loadings`: what independent
factors do to each year and region. Terms of a budget are kept apart by name, and are independent
of each other unless told that they come from one model.

Three parts make an error (:class:`~pipelines.kernels.budget.loadings.Structure`):

============  ===================================  ==============================================
part          of nodes of a gate                   of sums over regions
============  ===================================  ==============================================
systematic    one factor for a map                 one factor for all regions and years
correlated    one factor for a map and patch       one factor for a region, for all its years
random        white noise along the gate           a factor for each region and year
============  ===================================  ==============================================
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.kernels.budget import loadings
from pipelines.kernels.budget.loadings import (
    SYSTEMATIC,
    Loadings,
    Structure,
    UncertaintyError,
)
from pipelines.kernels.budget.patches import COMPONENTS, NodeErrors, PatchSums
from pipelines.kernels.budget.random_errors import random_thickness, random_velocity

TERMS = (
    "thickness",
    "velocity",
    "density",
    "surface_mass_balance",
    "sliver_smb",
    "dynamic_volume",
    "basal_melt",
    "replacement",
)
"""Names of the terms, in the order of tables and plots."""

SMB_READINGS: Mapping[str, Structure] = {
    "model_bias": Structure(1.0, 0.0, 0.0),
    "independent_regions": Structure(0.0, 1.0, 0.0),
}
"""What 20 % of the surface mass balance may mean: a climate model that snows too much everywhere
(373 Gt yr⁻¹ of the paper's ice sheet), or basins that err apart (85; Yang et al. 2023,
equation 10).
"""


def thickness_loadings(
    nodes: NodeErrors,
    sums: PatchSums,
    structure: Structure,
    *,
    random_length_m: float | None = None,
) -> Loadings:
    """Return how errors of thickness change the flux: one bed for all years.

    ::

        δH_i = σ_H,i (s ξ + c η_patch(i) + r ε_i)

    Parameters
    ----------
    nodes : NodeErrors
        Nodes of the gate; only the random part needs them.
    sums : PatchSums
        Their sums by patch.
    structure : Structure
        s, c and r.
    random_length_m : float, optional
        Length of gate over which a random error is alike, such as the cell of the grid [m].

    Returns
    -------
    Loadings
        Of the flux through the gate, to first order [kg yr⁻¹].
    """
    zero = np.zeros(len(sums.patch), dtype=np.int64)
    parts = [
        _of_sums(sums, structure.systematic * sums.thickness, zero),
        _of_sums(sums, structure.correlated * sums.thickness, sums.patch),
    ]
    if structure.random > 0.0:
        whole = random_thickness(nodes, random_length_m=_needed(random_length_m))
        parts.append(whole.scaled(structure.random))
    return loadings.stacked(parts)


def velocity_loadings(
    nodes: NodeErrors,
    sums: PatchSums,
    structure: Structure,
    *,
    random_length_m: float | None = None,
) -> Loadings:
    """Return how errors of velocity change the flux: years that share a map share its errors.

    ::

        δv_k,i = σ_k,i (s ξ_k,map + c η_k,map,patch(i) + r ε_k,map,i),    k = x, y

    Parameters
    ----------
    nodes, sums, structure, random_length_m
        As for :func:`thickness_loadings`.

    Returns
    -------
    Loadings
        Of the flux through the gate, to first order [kg yr⁻¹].

    Notes
    -----
    A systematic error is a shift along an axis of the map. What it lets out on one side of a
    closed gate it lets in on the other.
    """
    parts = []
    for k in range(COMPONENTS):
        source = sums.velocity_map * COMPONENTS + k
        effect = sums.velocity[k]
        parts.append(_of_sums(sums, structure.systematic * effect, source))
        by_patch = source * sums.patches + sums.patch
        parts.append(_of_sums(sums, structure.correlated * effect, by_patch))
    if structure.random > 0.0:
        whole = random_velocity(nodes, random_length_m=_needed(random_length_m))
        parts.append(whole.scaled(structure.random))
    return loadings.stacked(parts)


def product_loadings(sums: PatchSums, thickness: Structure, velocity: Structure) -> Loadings:
    """Return what thickness and velocity change together, which first order leaves out.

    Products of independent factors of unit variance have unit variance and covary with neither::

        δH δv ∝ (s ξ + c η_p)(s' ξ' + c' η'_p) = s s' ξξ' + s c' ξη'_p + c s' η_pξ' + c c' η_pη'_p

    so with them the covariance of the systematic and correlated parts is exact, though products
    are not normally distributed. Those of random parts are left out.

    Parameters
    ----------
    sums : PatchSums
        Sums by patch.
    thickness, velocity : Structure
        Parts of each.

    Returns
    -------
    Loadings
        Of the flux through the gate [kg yr⁻¹].
    """
    parts = []
    for k in range(COMPONENTS):
        source = sums.velocity_map * COMPONENTS + k
        by_patch = source * sums.patches + sums.patch
        effect = sums.product[k]
        parts.append(_of_sums(sums, thickness.systematic * velocity.systematic * effect, source))
        for first, second in (
            (thickness.systematic, velocity.correlated),
            (thickness.correlated, velocity.systematic),
            (thickness.correlated, velocity.correlated),
        ):
            parts.append(_of_sums(sums, first * second * effect, by_patch))
    return loadings.stacked(parts)


def _of_sums(sums: PatchSums, values: NDArray[np.float64], factor: NDArray[np.int64]) -> Loadings:
    return Loadings.of_entries(values, factor, sums.column, years=sums.years, regions=sums.regions)


def _needed(random_length_m: float | None) -> float:
    if random_length_m is None:
        msg = (
            "a random part needs random_length_m, the length of gate over which it is alike [m]; "
            "without one its effect would depend on the spacing of the nodes"
        )
        raise UncertaintyError(msg)
    return random_length_m


def regional_loadings(
    effect: NDArray[np.float64], structure: Structure, *, epoch: ArrayLike | None = None
) -> Loadings:
    """Return the errors of a term that is known by year and region only.

    ::

        δ_tr = e_tr (s ξ_epoch(t) + c η_epoch(t),r + r ε_t,r)

    Parameters
    ----------
    effect : ndarray, shape (year, region)
        Error of one σ, with the sign it has when the source errs upwards [kg yr⁻¹]; NaN where it
        is not known.
    structure : Structure
        s: alike in all regions; c: alike in all years of a region; r: neither.
    epoch : array_like of int, shape (year,), optional
        Years of one epoch share what is not random, as those of one altimeter do; all years if not
        given.

    Returns
    -------
    Loadings
        Of shape (year, region) [kg yr⁻¹].
    """
    years, regions = effect.shape
    at_year, at_region = np.indices(effect.shape)
    of_epoch = np.zeros(years, np.int64) if epoch is None else np.asarray(epoch, np.int64)
    source = np.broadcast_to(of_epoch, (years,))[at_year]
    column = at_year * regions + at_region
    epochs = int(of_epoch.max(initial=0)) + 1
    # Every factor is kept, loaded or not, so that two terms of one source can be added.
    shared = (
        (structure.systematic, source, epochs),
        (structure.correlated, source * regions + at_region, epochs * regions),
        (structure.random, column, years * regions),
    )
    return loadings.stacked(
        [
            Loadings.of_entries(
                (part * effect).ravel(),
                factor.ravel(),
                column.ravel(),
                years=years,
                regions=regions,
                factors=factors,
            )
            for part, factor, factors in shared
            if part > 0.0
        ]
    )


def relative_loadings(
    values: NDArray[np.float64],
    structure: Structure,
    *,
    relative: float,
    epoch: ArrayLike | None = None,
) -> Loadings:
    """Return the errors of a term known to a fraction: 20 % of snowfall, 40 % of dynamic thinning.

    Parameters
    ----------
    values : ndarray, shape (year, region)
        The term, with its sign [kg yr⁻¹].
    structure, epoch
        As for :func:`regional_loadings`.
    relative : float
        σ as a fraction of the term [1].
    """
    if not (np.isfinite(relative) and relative >= 0.0):
        msg = f"found a relative error of {relative}, expected zero or more (0.2 for 20 %)"
        raise UncertaintyError(msg)
    return regional_loadings(relative * values, structure, epoch=epoch)


def sigma_loadings(
    sigma: NDArray[np.float64], structure: Structure, *, epoch: ArrayLike | None = None
) -> Loadings:
    """Return the errors of a term with a given σ, such as a hindcast's, shape (year, region).

    Raises
    ------
    UncertaintyError
        A σ that is negative; NaN is not known and stays so.
    """
    if (sigma < 0.0).any():
        msg = f"found a sigma of {np.nanmin(sigma):.6g} kg yr⁻¹, expected zero or more"
        raise UncertaintyError(msg)
    return regional_loadings(sigma, structure, epoch=epoch)


def density_loadings(
    ice_flux: NDArray[np.float64],
    dynamic_mass_rate: ArrayLike = 0.0,
    *,
    density: float,
    sigma_density: float,
) -> Loadings:
    """Return how the density of ice changes discharge: one error for all of it.

    ::

        δD = (δρ / ρ) (IF − ρ dV/dt)

    5 of 917 kg m⁻³ are 0.55 % of the discharge. Equation 7 of Yang et al. (2023) has the density
    of every node err by itself, which leaves next to nothing.

    Parameters
    ----------
    ice_flux : ndarray, shape (year, region)
        IF [kg yr⁻¹].
    dynamic_mass_rate : array_like, shape (year, region)
        ρ dV/dt between gate and grounding line [kg yr⁻¹].
    density, sigma_density : float
        ρ and its standard deviation [kg m⁻³].
    """
    if not density > 0.0:
        msg = f"density is {density} kg m⁻³, expected a positive one such as 917"
        raise UncertaintyError(msg)
    volume_terms = np.asarray(ice_flux - np.asarray(dynamic_mass_rate))
    return relative_loadings(volume_terms, SYSTEMATIC, relative=sigma_density / density)


def balance_terms(
    discharge: Mapping[str, Loadings],
    surface_mass_balance: Loadings,
    basal_melt: Loadings | None = None,
    *,
    one_model: bool = False,
) -> dict[str, Loadings]:
    """Return the terms of the error of ``MB = SMB − D − BMB`` from those of discharge.

    Parameters
    ----------
    discharge : mapping of str to Loadings
        Terms of D, each with the sign it has there: ``sliver_smb`` adds, and the flow gives
        ``dynamic_volume`` the loadings of −ρ dV/dt.
    surface_mass_balance : Loadings
        Of SMB down to the grounding line.
    basal_melt : Loadings, optional
        Of BMB, positive for ice that is lost.
    one_model : bool
        Snow on the sliver comes from the model of SMB and errs with it, factor by factor: both
        must have the same structure. What the model adds to SMB it then adds to D as well.

    Returns
    -------
    dict of str to Loadings
        Terms of MB; with ``one_model`` those of the sliver are inside ``surface_mass_balance``.
    """
    terms = {name: term.scaled(-1.0) for name, term in discharge.items()}
    sliver = terms.pop("sliver_smb") if one_model else None
    terms["surface_mass_balance"] = (
        surface_mass_balance if sliver is None else surface_mass_balance.plus(sliver)
    )
    if basal_melt is not None:
        melt = basal_melt.scaled(-1.0)
        known = terms.get("basal_melt")
        terms["basal_melt"] = melt if known is None else loadings.stacked([known, melt])
    return {name: terms[name] for name in sorted(terms, key=_order)}


def with_replacement(
    terms: Mapping[str, Loadings], replaced: NDArray[np.bool_], sigma: NDArray[np.float64]
) -> dict[str, Loadings]:
    """Return the terms where some regions are taken from elsewhere, such as altimetry.

    Parameters
    ----------
    terms : mapping of str to Loadings
        Terms of the budget's own mass balance.
    replaced : ndarray of bool, shape (region,)
        Regions that are taken from elsewhere: what the budget says of them has no part any more.
    sigma : ndarray, shape (region,)
        Standard deviation of what replaces them, one error for all years [kg yr⁻¹].
    """
    own = {name: term.only(~replaced) for name, term in terms.items()}
    years = next(iter(terms.values())).years
    effect = np.broadcast_to(np.where(replaced, sigma, 0.0), (years, len(replaced)))
    return {**own, "replacement": sigma_loadings(effect, loadings.CORRELATED)}


def _order(name: str) -> tuple[int, str]:
    return (TERMS.index(name) if name in TERMS else len(TERMS), name)
