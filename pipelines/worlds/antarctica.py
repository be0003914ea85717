"""One synthetic Antarctica: its shape, thickness, flow, snowfall and mass change, all consistent.

The continent lives in an equal-area plane (:mod:`pipelines.worlds.equal_area`), flows from a
divide along confocal hyperbolas (:mod:`pipelines.worlds.divide`), and its flux is the integral of
snowfall less mass change along each flow line (:mod:`pipelines.worlds.ice_flow`). So for every
basin surface mass balance − discharge = mass change, by construction and not by fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import KG_PER_GT
from pipelines.worlds import boundaries, equal_area, forcing, ice_flow, outline, thickness
from pipelines.worlds.divide import Divide
from pipelines.worlds.regions import SECTORS, by_region

ICE_DENSITY = 917.0
"""Density of ice, as every mass budget of ours takes it [kg m⁻³]."""

MELT_LENGTH = 0.6
"""A shelf loses a part 1/e of its flux to melt over this distance in μ [1]."""

BASIN_NODES = 32
MAIN_DIVIDE = Divide(west=-1000e3 - 280e3j, east=1100e3 + 250e3j)
"""From the western to the eastern dome, past the pole."""
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Nodes:
    """Gauss-Legendre nodes that cover the grounded ice, a row for each basin.

    Attributes
    ----------
    latitude, longitude : ndarray, shape (region, node)
        Geodetic degrees.
    area : ndarray, shape (region, node)
        True area that a node stands for [m²].
    mu, nu : ndarray, shape (region, node)
        Coordinates of :class:`pipelines.worlds.divide.Divide`.
    """

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    area: NDArray[np.float64]
    mu: NDArray[np.float64]
    nu: NDArray[np.float64]


@dataclass(frozen=True)
class Antarctica:
    """A synthetic ice sheet whose every number is known.

    Attributes
    ----------
    seed : int
        Draws the small waves of the coast (and, in the writers, weather and noise).
    divide : Divide
        Its two domes.
    anomalies : tuple of Anomaly
        Where it gains and loses mass.
    channelling : float
        How much of the flux is gathered into streams, 0 to 1.
    """

    seed: int = 1
    divide: Divide = MAIN_DIVIDE
    anomalies: tuple[forcing.Anomaly, ...] = forcing.ANOMALIES
    channelling: float = 0.8

    @cached_property
    def waves(self) -> NDArray[np.complex128]:
        """Small waves of this world's coast, see :func:`pipelines.worlds.outline.roughness`."""
        return outline.roughness(np.random.default_rng([self.seed, 0]))

    def coast(self, nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Grounding line M(ν), shape (...) [1]."""
        return outline.coast(nu, self.waves)[0]

    def fraction(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Way from the divide to the grounding line, t = sinh μ / sinh M, at most 1 [1]."""
        return np.asarray(np.minimum(np.sinh(mu) / np.sinh(self.coast(nu)), 1.0))

    def surplus(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Snowfall that the flow must carry away, a − ṁ, shape (...) [kg m⁻² yr⁻¹]."""
        gained = forcing.mass_change(self.divide.position(mu, nu), self.anomalies)
        return np.asarray(forcing.accumulation(self.fraction(mu, nu), nu) - gained)

    def carried_flux(self, mu: NDArray[np.float64], nu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Flux F₀ = ∫₀^μ (a − ṁ) J dμ' that conservation asks of a flow line.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow [1, rad].

        Returns
        -------
        ndarray, shape (...)
            Flux per unit of ν [kg yr⁻¹ rad⁻¹].
        """
        nodes, weights = ice_flow.unit_gauss(ice_flow.RAY_NODES)
        along, across = np.broadcast_arrays(mu, nu)
        flat_mu, flat_nu = along.ravel(), across.ravel()
        flux = np.empty(flat_mu.shape)
        for first in range(0, flux.size, _BLOCK):
            part = slice(first, first + _BLOCK)
            ray, bearing = flat_mu[part, None] * nodes, flat_nu[part, None]
            integrand = self.surplus(ray, bearing) * self.divide.jacobian(ray, bearing)
            flux[part] = (integrand @ weights) * flat_mu[part]
        return flux.reshape(along.shape)

    def flux(
        self, mu: NDArray[np.float64], nu: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Flux along and across the flow lines, streams and melting shelves included.

        Parameters
        ----------
        mu, nu : ndarray, shape (...)
            Coordinates along and across the flow [1, rad].

        Returns
        -------
        along, across : ndarray, shape (...)
            F_μ [kg yr⁻¹ rad⁻¹] and F_ν [kg yr⁻¹].
        """
        reach, slope = outline.coast(nu, self.waves)
        grounded = np.minimum(mu, reach)
        t = np.sinh(grounded) / np.sinh(reach)
        t_slopes = (np.cosh(grounded) / np.sinh(reach), -t * slope / np.tanh(reach))
        strength = self._stream_strength(reach, slope, nu)
        along, across = ice_flow.gathered_flux(
            self.carried_flux(grounded, nu), strength, t, t_slopes, nu
        )
        melted = np.exp(-np.maximum(mu - reach, 0.0) / MELT_LENGTH)
        return along * melted, across * melted

    def _stream_strength(
        self,
        reach: NDArray[np.float64],
        slope: NDArray[np.float64],
        nu: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Flux that a plain climate would send through the coast, q(ν), and its slope."""
        wet, wet_slope = forcing.coastal_accumulation(nu)
        rate = 0.75 * forcing.INTERIOR_ACCUMULATION + 0.25 * wet
        area = self.divide.area_within(reach, nu)
        area_slope = self.divide.jacobian(reach, nu) * slope + (
            abs(self.divide.half_axis) ** 2 * reach * np.sin(2.0 * np.asarray(nu))
        )
        k = self.channelling
        return k * rate * area, k * (rate * area_slope + 0.25 * wet_slope * area)

    def thickness(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ice-equivalent thickness, grounded and floating, see :mod:`pipelines.worlds.thickness`.

        Parameters
        ----------
        x, y : ndarray, shape (...)
            Coordinates in EPSG:3031 [m].

        Returns
        -------
        ndarray, shape (...)
            H [m]; 0 beyond the coast and the shelf front.
        """
        z = equal_area.plane_from_map(x, y)
        mu, nu = self.divide.coordinates(z)
        return self._thickness(z, mu, nu)

    def _thickness(
        self, z: NDArray[np.complex128], mu: NDArray[np.float64], nu: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        reach = self.coast(nu)
        t = np.minimum(np.sinh(mu) / np.sinh(reach), 1.0)
        margin = thickness.margin(nu)
        grounded = thickness.grounded(thickness.divide(z), margin, t)
        floating = thickness.floating(margin, mu - reach, outline.floating_reach(nu))
        return np.where(mu < reach, grounded, floating)

    def velocity(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the true velocity of the ice, the same at every depth.

        Parameters
        ----------
        x, y : ndarray, shape (...)
            Coordinates in EPSG:3031 [m].

        Returns
        -------
        v_x, v_y : ndarray, shape (...)
            Along the axes of EPSG:3031, in metres on the ground and not on the map [m yr⁻¹];
            NaN where there is no ice.
        """
        z = equal_area.plane_from_map(x, y)
        mu, nu = self.divide.coordinates(z)
        along, across = self.flux(mu, nu)
        tangent = self.divide.tangent(mu, nu)
        norm = np.abs(tangent) ** 2
        still = norm == 0.0
        in_plane = (along + 1j * across) * tangent / np.where(still, 1.0, norm)
        depth = self._thickness(z, mu, nu)
        ice = depth > 0.0
        flow = equal_area.true_vector(np.where(still, 0.0, in_plane), z)
        velocity = flow / np.where(ice, depth * ICE_DENSITY, 1.0)
        return np.where(ice, velocity.real, np.nan), np.where(ice, velocity.imag, np.nan)

    def accumulation(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Surface mass balance.

        Parameters
        ----------
        x, y : ndarray, shape (...)
            Coordinates in EPSG:3031 [m].

        Returns
        -------
        ndarray, shape (...)
            a [kg m⁻² yr⁻¹], also over the sea.
        """
        mu, nu = self.divide.coordinates(equal_area.plane_from_map(x, y))
        return forcing.accumulation(self.fraction(mu, nu), nu)

    def is_grounded(
        self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether ice rests on its bed at geodetic positions, shape (...) [degrees]."""
        mu, nu = self.divide.coordinates(equal_area.plane_from_geodetic(latitude, longitude))
        return np.asarray((mu < self.coast(nu)) & (np.asarray(latitude) < 0.0))

    def mass_rate(
        self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Rate of mass change of the grounded ice.

        Parameters
        ----------
        latitude, longitude : ndarray, shape (...)
            Geodetic latitude and longitude on WGS84 [degrees].

        Returns
        -------
        ndarray, shape (...)
            ṁ [kg m⁻² yr⁻¹]; 0 where no ice is grounded.
        """
        z = equal_area.plane_from_geodetic(latitude, longitude)
        change = forcing.mass_change(z, self.anomalies)
        return np.where(self.is_grounded(latitude, longitude), change, 0.0)

    @cached_property
    def nodes(self) -> Nodes:
        """Quadrature over the grounded ice of every basin."""
        u, w = ice_flow.unit_gauss(ice_flow.RAY_NODES)
        nu, w_nu = bearings()
        reach = self.coast(nu)
        mu = reach[..., None] * u
        area = self.divide.jacobian(mu, nu[..., None]) * (w_nu * reach)[..., None] * w
        flat = (len(SECTORS), -1)
        mu, nu = mu.reshape(flat), np.repeat(nu, u.size, axis=-1)
        latitude, longitude = equal_area.geodetic_from_plane(self.divide.position(mu, nu))
        return Nodes(latitude, longitude, area.reshape(flat), mu, nu)

    def basin_areas(self) -> dict[str, float]:
        """Sum the true area of the grounded ice by basin, group and in all [m²]."""
        return by_region(self.nodes.area.sum(axis=-1))

    def basin_mass_rates(self) -> dict[str, float]:
        """Mass change by basin, group and in all [Gt yr⁻¹]."""
        z = self.divide.position(self.nodes.mu, self.nodes.nu)
        change = forcing.mass_change(z, self.anomalies) * self.nodes.area
        return by_region(change.sum(axis=-1) / KG_PER_GT)

    def basin_surface_mass_balance(self) -> dict[str, float]:
        """Surface mass balance of the grounded ice by basin, group and in all [Gt yr⁻¹]."""
        t = self.fraction(self.nodes.mu, self.nodes.nu)
        gained = forcing.accumulation(t, self.nodes.nu) * self.nodes.area
        return by_region(gained.sum(axis=-1) / KG_PER_GT)

    def basin_discharge(self) -> dict[str, float]:
        """Ice that crosses the grounding line by basin, group and in all [Gt yr⁻¹]."""
        nu, weight = bearings()
        crossing = self.carried_flux(self.coast(nu), nu) * weight
        return by_region(crossing.sum(axis=-1) / KG_PER_GT)

    def basins(self) -> gpd.GeoDataFrame:
        """Grounded basins: region, name, group and geometry in EPSG:3031."""
        return boundaries.basins(self)

    def grounded(self) -> gpd.GeoDataFrame:
        """One polygon of all grounded ice in EPSG:3031."""
        return boundaries.grounded(self)

    def coastline(self) -> gpd.GeoDataFrame:
        """One polygon of all ice, grounded and floating, in EPSG:3031."""
        return boundaries.coastline(self)

    def ice_shelves(self) -> gpd.GeoDataFrame:
        """Polygons of the floating shelves in EPSG:3031."""
        return boundaries.ice_shelves(self)


def bearings() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes across every basin.

    Returns
    -------
    nu, weight : ndarray, shape (region, node)
        Bearings and the angle each stands for [rad].
    """
    u, w = ice_flow.unit_gauss(BASIN_NODES)
    start = np.array([s.start for s in SECTORS])[:, None]
    width = np.array([s.stop for s in SECTORS])[:, None] - start
    return start + width * u, width * w
