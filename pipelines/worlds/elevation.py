"""How the surface of the synthetic ice sheet rises and sinks, and what of it is ice, snow or air.

The rate of mass change of the world is split into a part that flow brings about and a part that
snowfall does, and the surface follows both, each at its own density::

    ṁ = ṁ_D + ṁ_S                                              [kg m⁻² yr⁻¹]
    ∂h/∂t = ṁ_D / ρ_D + ∂h_S/∂t,     ∂h_S/∂t = ṁ_S / ρ_S + c   [m yr⁻¹]

with ρ_D the density of equation A1 of Sasgen et al. (2019), ρ_S that of fresh snow and c the rate
at which air leaves the firn. So equation A1, given ∂h_S/∂t and ṁ_S, returns ṁ to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.worlds import equal_area, forcing, ice_flow

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
Field = Callable[[FLOAT, FLOAT], FLOAT]
"""A field of EPSG:3031: x, y [m], shapes (...), to values of shape (...)."""

DYNAMIC_DENSITY = 910.0
"""Density at which ice that flow brings or takes moves the surface, as in A1 [kg m⁻³]."""
SNOW_DENSITY = (310.0, 400.0)
"""Of snow in the dry interior, and where :data:`WET` falls in a year [kg m⁻³]."""
WET = 800.0
"""Accumulation that makes the densest snow [kg m⁻² yr⁻¹]."""
LEAST_DYNAMIC_SHARE = 0.15
"""Share of mass change due to flow where no stream and none of :data:`DYNAMIC` is near [1]."""

DYNAMIC = (
    forcing.Anomaly("Amundsen", -75.9, 254.5, 230e3, 0.85),
    forcing.Anomaly("Bellingshausen", -74.6, 278.0, 180e3, 0.6),
    forcing.Anomaly("Totten", -68.8, 116.0, 200e3, 0.6),
    forcing.Anomaly("Kamb", -82.0, 222.0, 250e3, 0.95),
)
"""Where flow changes; here ``rate`` is a share of mass change in the middle [1]."""
COMPACTION = (
    forcing.Anomaly("horn", -68.5, 296.0, 300e3, -0.040),
    forcing.Anomaly("Wilkes", -70.5, 125.0, 450e3, -0.015),
    forcing.Anomaly("Maud", -74.0, 20.0, 500e3, 0.012),
    forcing.Anomaly("eastern dome", -80.0, 80.0, 700e3, 0.004),
)
"""Change of the air in the firn; here ``rate`` is a change of height [m yr⁻¹]."""


@dataclass(frozen=True)
class ElevationChange:
    """Rates at points: of mass and of the surface, in their parts. All are 0 off grounded ice.

    Attributes
    ----------
    dynamic, snow : ndarray, shape (...)
        Rates of mass by flow ṁ_D and by snowfall ṁ_S [kg m⁻² yr⁻¹].
    snow_density : ndarray, shape (...)
        ρ_S [kg m⁻³].
    compaction : ndarray, shape (...)
        Rate of the surface by change of air in the firn, c [m yr⁻¹].
    """

    dynamic: FLOAT
    snow: FLOAT
    snow_density: FLOAT
    compaction: FLOAT

    @property
    def mass_rate(self) -> FLOAT:
        """Rate of mass change ṁ [kg m⁻² yr⁻¹]."""
        return self.dynamic + self.snow

    @property
    def surface_elevation_rate(self) -> FLOAT:
        """Rate of the surface by snowfall and firn, ∂h_S/∂t [m yr⁻¹]."""
        return self.snow / self.snow_density + self.compaction

    @property
    def elevation_rate(self) -> FLOAT:
        """Rate of the surface ∂h/∂t [m yr⁻¹]."""
        return self.dynamic / DYNAMIC_DENSITY + self.surface_elevation_rate


def elevation_change(
    world: Antarctica,
    x: FLOAT,
    y: FLOAT,
    *,
    mass_rate: Field | None = None,
    grounded: BOOL | None = None,
) -> ElevationChange:
    """Split the mass change of a world, or one that is given, into flow, snow and firn.

    Parameters
    ----------
    world : Antarctica
        Whose streams and snowfall part it.
    x, y : ndarray, shape (...)
        Points of EPSG:3031 [m].
    mass_rate : callable, optional
        (x, y) to rates of mass [kg m⁻² yr⁻¹]; the world's own if not given.
    grounded : ndarray of bool, shape (...), optional
        Where ice rests on its bed; as in the world if not given.

    Returns
    -------
    ElevationChange
    """
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    inside = world.is_grounded(latitude, longitude) if grounded is None else grounded
    rate = world.mass_rate(latitude, longitude) if mass_rate is None else mass_rate(x, y)
    rate = np.where(inside, rate, 0.0)
    z = equal_area.plane_from_geodetic(latitude, longitude)
    dynamic = dynamic_share(world, z) * rate
    compaction = np.where(inside, forcing.mass_change(z, COMPACTION), 0.0)
    return ElevationChange(dynamic, rate - dynamic, snow_density(world, x, y), compaction)


def dynamic_share(world: Antarctica, z: NDArray[np.complex128]) -> FLOAT:
    """Return the share of mass change that flow brings about: most where ice streams drain.

    ::

        s = s₀ + (1 − s₀) (1 − (1 − stream) (1 − d)),    d = Σ of the patches, at most 1

    Parameters
    ----------
    world : Antarctica
        Whose flow lines.
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    ndarray, shape (...)
        s, from 0.15 to 1 [1].
    """
    changing = np.minimum(forcing.mass_change(z, DYNAMIC), 1.0)
    elsewhere = (1.0 - stream(world, z)) * (1.0 - changing)
    return np.asarray(1.0 - (1.0 - LEAST_DYNAMIC_SHARE) * elsewhere)


def stream(world: Antarctica, z: NDArray[np.complex128]) -> FLOAT:
    """Return how far a point lies in an ice stream.

    Parameters
    ----------
    world : Antarctica
        Whose flow lines.
    z : ndarray, shape (...)
        Position in the equal-area plane [m].

    Returns
    -------
    ndarray, shape (...)
        1 in the middle of a stream at the coast, near 0 between streams and inland [1].
    """
    mu, nu = world.divide.coordinates(z)
    peak = (1.0 + ice_flow.FOCUS) / (1.0 - ice_flow.FOCUS)
    formed = ice_flow.onset(world.fraction(mu, nu))[0]
    return np.asarray(formed * (ice_flow.gathering(nu)[0] + 1.0) / peak)


def snow_density(world: Antarctica, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the density of snow, which grows with snowfall, shape (...) [kg m⁻³]."""
    dry, dense = SNOW_DENSITY
    wetness = np.clip(world.accumulation(x, y) / WET, 0.0, 1.0)
    return np.asarray(dry + (dense - dry) * wetness)
