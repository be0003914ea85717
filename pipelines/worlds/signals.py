"""What gravity sees of the synthetic world: ice that changes, the sea that takes it, and when.

Surface mass is kept as harmonics of dm / (a² dΩ) with Ω the geocentric solid angle, so that
4π a² σ₀₀ is the mass itself (decision record 0005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import DAYS_PER_YEAR, KG_PER_GT, MEAN_RADIUS, S2_ALIAS_DAYS
from pipelines.kernels.geodesy import geocentric_latitude
from pipelines.kernels.gravity.sphere import solid_angle
from pipelines.worlds import equal_area, forcing, ice_flow, outline
from pipelines.worlds.earth import rebound_surface_mass
from pipelines.worlds.point_masses import sum_over_points
from pipelines.worlds.regions import by_region

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

SPEEDING_UP = (
    forcing.Anomaly("Amundsen", -75.9, 254.5, 195e3, -45.0),
    forcing.Anomaly("Maud", -73.0, 15.0, 400e3, 6.0),
)
"""Second derivatives of mass; here ``rate`` is in kg m⁻² yr⁻²."""
SEASONAL_FRACTION = 0.30
"""Amplitude of the yearly cycle of accumulation over its mean [1]."""
WETTEST = 0.30
"""When in the year most snow falls, as a fraction of it [1]."""
S2_ALIAS_AMPLITUDE = 25.0
"""Error of the S2 tide beneath the shelves [kg m⁻²]."""
SHELF_NODES = (24, 12)


@dataclass(frozen=True)
class Signals:
    """Surface mass of the world as harmonics, each with its own course in time.

    Attributes
    ----------
    trend : ndarray, shape (2, J + 1, J + 1)
        Ice and the ocean that balances it [kg m⁻² yr⁻¹].
    acceleration : ndarray, shape (2, J + 1, J + 1)
        The same, second derivative [kg m⁻² yr⁻²].
    seasonal : ndarray, shape (2, J + 1, J + 1)
        Amplitude of the yearly cycle, without its phase [kg m⁻²].
    tide : ndarray, shape (2, J + 1, J + 1)
        Amplitude of the S2 alias beneath the shelves [kg m⁻²].
    rebound : ndarray, shape (2, J + 1, J + 1)
        Apparent mass of glacial isostatic adjustment [kg m⁻² yr⁻¹].
    """

    trend: NDArray[np.float64]
    acceleration: NDArray[np.float64]
    seasonal: NDArray[np.float64]
    tide: NDArray[np.float64]
    rebound: NDArray[np.float64]

    def mean_over(
        self, start: NDArray[np.float64], stop: NDArray[np.float64], *, epoch: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average the loads, and the rebound, over windows of time.

        Parameters
        ----------
        start, stop : ndarray, shape (n,)
            Windows [yr].
        epoch : float
            When trend and rebound are zero, and the acceleration too [yr].

        Returns
        -------
        load, rebound : ndarray, shape (n, 2, J + 1, J + 1)
            Surface mass, and apparent mass of the rebound [kg m⁻²].
        """
        middle, half = (start + stop) / 2.0 - epoch, (stop - start) / 2.0
        square = middle**2 + half**2 / 3.0
        season = mean_cosine(start, stop, period=1.0, phase=WETTEST + 0.25)
        alias = mean_cosine(start, stop, period=S2_ALIAS_DAYS / DAYS_PER_YEAR, phase=epoch)
        load = (
            np.multiply.outer(middle, self.trend)
            + np.multiply.outer(square / 2.0, self.acceleration)
            + np.multiply.outer(season, self.seasonal)
            + np.multiply.outer(alias, self.tide)
        )
        return load, np.multiply.outer(middle, self.rebound)


def mean_cosine(
    start: NDArray[np.float64], stop: NDArray[np.float64], *, period: float, phase: float
) -> NDArray[np.float64]:
    """Average cos(2π (t − phase)/period) over windows.

    Parameters
    ----------
    start, stop : ndarray, shape (n,)
        Windows [yr].
    period, phase : float
        Period and time of the maximum [yr].

    Returns
    -------
    ndarray, shape (n,)
        Averages [1].
    """
    omega = 2.0 * np.pi / period
    change = np.sin(omega * (stop - phase)) - np.sin(omega * (start - phase))
    return np.asarray(change / (omega * (stop - start)))


def signals(world: Antarctica, *, j_max: int) -> Signals:
    """Expand the changes of a world.

    Parameters
    ----------
    world : Antarctica
        Whose mass changes.
    j_max : int
        Maximum degree J.

    Returns
    -------
    Signals
        Harmonics of surface mass.
    """
    nodes = world.nodes
    z = world.divide.position(nodes.mu, nodes.nu)
    snow = forcing.accumulation(world.fraction(nodes.mu, nodes.nu), nodes.nu)
    rates = np.stack([
        forcing.mass_change(z, world.anomalies),
        forcing.mass_change(z, SPEEDING_UP),
        SEASONAL_FRACTION * snow / (2.0 * np.pi),
    ])  # fmt: skip
    trend, acceleration, seasonal = with_ocean(world, rates, j_max=j_max)
    return Signals(trend, acceleration, seasonal, _tide(world, j_max), rebound_surface_mass(j_max))


def with_ocean(
    world: Antarctica, density: NDArray[np.float64], *, j_max: int
) -> NDArray[np.float64]:
    """Expand fields on the grounded ice, and spread what they lose over the rest of the globe.

    Parameters
    ----------
    world : Antarctica
        Whose nodes carry the fields.
    density : ndarray, shape (f, region, node)
        Mass per true area at the nodes [kg m⁻²].
    j_max : int
        Maximum degree J.

    Returns
    -------
    ndarray, shape (f, 2, J + 1, J + 1)
        Harmonics [kg m⁻²] whose degree 0 is zero: no mass is made.
    """
    nodes = world.nodes
    sphere = 4.0 * np.pi * MEAN_RADIUS**2
    angle = solid_angle(nodes.area, nodes.latitude, reading="geocentric")
    mass = density * nodes.area
    weights = np.concatenate([mass, (MEAN_RADIUS**2 * angle)[None]]).reshape(len(mass) + 1, -1)
    summed = sum_over_points(
        weights,
        geocentric_latitude(nodes.latitude.ravel()),
        nodes.longitude.ravel(),
        j_max=j_max,
    )
    *ice, indicator = summed / sphere
    elsewhere = -indicator
    elsewhere[0, 0, 0] += 1.0
    lost = np.array([field[0, 0, 0] for field in ice]) / elsewhere[0, 0, 0]
    return np.asarray(np.stack(ice) - np.multiply.outer(lost, elsewhere))


def _tide(world: Antarctica, j_max: int) -> NDArray[np.float64]:
    """Expand one kind of error under every shelf; the sea gives and takes its mass unseen."""
    (u, w_u), (v, w_v) = (ice_flow.unit_gauss(count) for count in SHELF_NODES)
    summed = np.zeros((2, j_max + 1, j_max + 1))
    for shelf in outline.SHELVES:
        nu = (shelf.bearing + shelf.half_width * (2.0 * u - 1.0))[:, None]
        reach = outline.floating_reach(nu)
        mu = world.coast(nu) + reach * v
        area = world.divide.jacobian(mu, nu) * (2.0 * shelf.half_width * w_u[:, None] * reach * w_v)
        latitude, longitude = equal_area.geodetic_from_plane(world.divide.position(mu, nu))
        summed += sum_over_points(
            S2_ALIAS_AMPLITUDE * area.reshape(1, -1),
            geocentric_latitude(latitude.ravel()),
            longitude.ravel(),
            j_max=j_max,
        )[0]
    summed[0, 0, 0] = 0.0
    return np.asarray(summed / (4.0 * np.pi * MEAN_RADIUS**2))


def resolved_mass_rates(world: Antarctica, *, j_max: int) -> dict[str, float]:
    """Sum the trend over basins as a perfect field of limited degree would show it.

    The difference to :meth:`Antarctica.basin_mass_rates` is leakage across the borders of basins
    and the coast, which no processing of such a field can know.

    Parameters
    ----------
    world : Antarctica
        Whose trend.
    j_max : int
        Maximum degree J.

    Returns
    -------
    dict
        Rates by basin, group and in all, the ocean's share of the water included [Gt yr⁻¹].
    """
    nodes = world.nodes
    change = forcing.mass_change(world.divide.position(nodes.mu, nodes.nu), world.anomalies)
    trend = with_ocean(world, change[None], j_max=j_max)[0]
    psi = geocentric_latitude(nodes.latitude)
    angle = solid_angle(nodes.area, nodes.latitude, reading="geocentric")
    sums = [
        np.sum(trend * sum_over_points(angle[r, None], psi[r], nodes.longitude[r], j_max=j_max)[0])
        for r in range(len(angle))
    ]
    return by_region(np.array(sums) * MEAN_RADIUS**2 / KG_PER_GT)
