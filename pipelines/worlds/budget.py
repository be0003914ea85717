"""The mass budget of the synthetic ice sheet through a gate: every term, exactly.

A gate lies at μ_g(ν) inland of the grounding line M(ν). What crosses it in a basin is what fell
above it and was not kept, since basins exchange nothing (:mod:`pipelines.worlds.ice_flow`)::

    IF = ∫ F₀(μ_g(ν), ν) dν,        D = ∫ F₀(M(ν), ν) dν = IF + SMB_s − ρ dV/dt

with the snow SMB_s and the rate of volume dV/dt of the sliver between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.kernels.constants import KG_PER_GT
from pipelines.worlds import equal_area, forcing, ice_flow, outline
from pipelines.worlds.antarctica import ICE_DENSITY, Antarctica, bearings
from pipelines.worlds.boundaries import CRS, coast_bearings
from pipelines.worlds.regions import by_region

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class GatePlace:
    """Where a gate lies: so far inland of the grounding line, with waves along it.

    Attributes
    ----------
    inland : float
        How far inland; negative beyond the grounding line [m].
    waves : int
        Number of waves around the ice sheet.
    height : float
        Half the range of the waves; where it exceeds ``inland`` the gate crosses the line [m].

    Notes
    -----
    Beyond the grounding line the truth has ice that goes on as if it were grounded, so terms close;
    but shelves of this world melt and cliffs end it, so its velocity carries less there.
    """

    inland: float = 15e3
    waves: int = 41
    height: float = 5e3

    def reach(self, world: Antarctica, nu: FLOAT) -> FLOAT:
        """Return μ_g at bearings, shape (...) [1].

        Coordinates are conformal, so a way d across the grounding line M(ν) is, to first order::

            M − μ_g = d √(1 + M'²) / √J
        """
        coast, slope = outline.coast(nu, world.waves)
        away = self.inland + self.height * np.sin(self.waves * nu)
        return np.asarray(
            coast - away * np.hypot(1.0, slope) / np.sqrt(world.divide.jacobian(coast, nu))
        )


@dataclass(frozen=True)
class BudgetTruth:
    """Terms of the budget by basin, group and in all.

    Attributes
    ----------
    ice_flux, sliver_smb, sliver_mass_rate, discharge, surface_mass_balance, mass_balance : dict
        [Gt yr⁻¹].
    """

    ice_flux: dict[str, float]
    sliver_smb: dict[str, float]
    sliver_mass_rate: dict[str, float]
    discharge: dict[str, float]
    surface_mass_balance: dict[str, float]
    mass_balance: dict[str, float]


def gate_line(world: Antarctica, place: GatePlace, *, along: int = 4) -> gpd.GeoDataFrame:
    """Return the gate as one closed line in EPSG:3031.

    Parameters
    ----------
    world : Antarctica
        Whose ice.
    place : GatePlace
        Where.
    along : int
        Vertices for each of the coast's, which are about 3 km apart.
    """
    coarse = coast_bearings()
    steps = np.arange(along) / along
    nu = (coarse[:-1, None] + steps * np.diff(coarse)[:, None]).ravel()
    z = world.divide.position(place.reach(world, nu), nu)
    x, y = (np.round(each, 2) for each in equal_area.map_from_plane(z))
    points = np.column_stack([x, y])
    ring = shapely.LineString(np.concatenate([points, points[:1]]))
    return gpd.GeoDataFrame(
        {"gate": ["inland"], "name": ["a wave inland"]}, geometry=[ring], crs=CRS
    )


def truth(world: Antarctica, place: GatePlace) -> BudgetTruth:
    """Return the budget of the world with a gate at a place."""
    nu, weight = bearings()
    crossing = by_region(
        (world.carried_flux(place.reach(world, nu), nu) * weight).sum(-1) / KG_PER_GT
    )
    snow, kept = _sliver(world, place)
    return BudgetTruth(
        ice_flux=crossing,
        sliver_smb=by_region(snow / KG_PER_GT),
        sliver_mass_rate=by_region(kept / KG_PER_GT),
        discharge=world.basin_discharge(),
        surface_mass_balance=world.basin_surface_mass_balance(),
        mass_balance=world.basin_mass_rates(),
    )


def _sliver(world: Antarctica, place: GatePlace) -> tuple[FLOAT, FLOAT]:
    """Return snow and mass change between gate and grounding line by basin [kg yr⁻¹]."""
    u, w = ice_flow.unit_gauss(ice_flow.RAY_NODES)
    nu, w_nu = bearings()
    reach = world.coast(nu)
    first = place.reach(world, nu)
    mu = first[..., None] + (reach - first)[..., None] * u
    across = nu[..., None]
    area = world.divide.jacobian(mu, across) * (w_nu * (reach - first))[..., None] * w
    # Beyond the grounding line snow goes on and the fraction stays 1, as in the flux itself.
    snow = forcing.accumulation(world.fraction(mu, across), np.broadcast_to(across, mu.shape))
    kept = forcing.mass_change(world.divide.position(mu, across), world.anomalies)
    return (snow * area).sum(axis=(-1, -2)), (kept * area).sum(axis=(-1, -2))


def ice_equivalent_rate(world: Antarctica, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the rate of thickness that a change of mass amounts to, shape (...) [m yr⁻¹].

    It goes on beyond the grounding line, so that cells there are whole.
    """
    change = forcing.mass_change(equal_area.plane_from_map(x, y), world.anomalies)
    return np.asarray(change / ICE_DENSITY)
