"""The uncertainty of Yang et al. (2023) as printed, equations 4 to 10, to reproduce their numbers.

Every node errs by itself here, so the uncertainty of a flux falls with the square root of the
number of nodes, and that of the density nearly vanishes. For an uncertainty that holds use
:mod:`pipelines.kernels.budget.uncertainty`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.budget.loadings import UncertaintyError

RELATIVE_SMB = 0.2
"""Part of a surface mass balance that is uncertain [1] (Yang et al. 2023, section 2.6)."""
RELATIVE_DYNAMIC_VOLUME = 0.4
"""Part of a dynamic volume change that is uncertain [1] (Yang et al. 2023, section 2.6)."""


@dataclass(frozen=True, eq=False)
class FluxSigma:
    """Uncertainty of the flux of regions by its sources, shape (..., region) [kg yr⁻¹].

    Attributes
    ----------
    thickness, velocity, density : ndarray
        Equations 5, 6 and 7.
    """

    thickness: NDArray[np.float64]
    velocity: NDArray[np.float64]
    density: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """``σ_IF = √(σ_H² + σ_V² + σ_ρ²)``, equation 4."""
        return np.sqrt(self.thickness**2 + self.velocity**2 + self.density**2)


def flux_sigma(
    thickness: NDArray[np.float64],
    v_x: NDArray[np.float64],
    v_y: NDArray[np.float64],
    w_x: NDArray[np.float64],
    w_y: NDArray[np.float64],
    *,
    sigma_thickness: NDArray[np.float64],
    sigma_speed: NDArray[np.float64],
    density: float,
    sigma_density: float,
    region: NDArray[np.int64],
    regions: int,
) -> FluxSigma:
    """Return the uncertainty of the flux of each region.

    Yang et al. (2023), equations 5 to 7, with the width W_i across the flow, ``W V = v·w``::

        σ_H = √Σ (u_H W V ρ)²,    σ_V = √Σ (u_V H W ρ)²,    σ_ρ = √Σ (u_ρ V H W)²

    Parameters
    ----------
    thickness, v_x, v_y : ndarray, shape (..., n)
        H [m], v [m yr⁻¹].
    w_x, w_y : ndarray, shape (n,)
        True outward widths [m].
    sigma_thickness, sigma_speed : ndarray, shape (..., n)
        u_H [m], u_V [m yr⁻¹].
    density, sigma_density : float
        ρ, u_ρ [kg m⁻³].
    region : ndarray of int, shape (n,)
        Index of each node's region.
    regions : int
        Number of regions.

    Returns
    -------
    FluxSigma
        NaN in regions with a node that is not known.

    Notes
    -----
    Where ice stands still "perpendicular to the velocity" has no meaning: W is then the whole
    width, the most it can be.
    """
    through = v_x * w_x + v_y * w_y
    speed = np.hypot(v_x, v_y)
    whole = np.hypot(w_x, w_y)
    width = np.divide(
        through, speed, out=np.broadcast_to(whole, speed.shape).copy(), where=speed != 0
    )
    terms = (
        sigma_thickness * through * density,
        sigma_speed * thickness * width * density,
        sigma_density * through * thickness,
    )
    return FluxSigma(*(_quadrature(term, region, regions) for term in terms))


def discharge_sigma(
    ice_flux_sigma: NDArray[np.float64],
    sliver_smb: NDArray[np.float64],
    dynamic_mass_rate: NDArray[np.float64],
    *,
    relative_smb: float = RELATIVE_SMB,
    relative_dynamic_volume: float = RELATIVE_DYNAMIC_VOLUME,
) -> NDArray[np.float64]:
    """Return the uncertainty of the discharge of each region: Yang et al. (2023), equation 8.

    ::

        σ_D = √(σ_IF² + σ_ΔSMB² + σ_dV²)

    Parameters
    ----------
    ice_flux_sigma : ndarray, shape (..., region)
        σ_IF [kg yr⁻¹].
    sliver_smb, dynamic_mass_rate : ndarray, shape (..., region)
        SMB and ρ dV/dt between gate and grounding line [kg yr⁻¹].
    relative_smb, relative_dynamic_volume : float
        Parts of them that are uncertain [1].

    Examples
    --------
    >>> float(discharge_sigma(np.array(2.0), np.array(-5.0), np.array(5.0)))
    3.0
    """
    snow, volume = relative_smb * sliver_smb, relative_dynamic_volume * dynamic_mass_rate
    return np.asarray(np.sqrt(ice_flux_sigma**2 + snow**2 + volume**2))


def total_discharge_sigma(sigma_discharge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the uncertainty of all regions: Yang et al. (2023), equation 9, shape (...).

    ::

        σ_D,AIS = √Σ σ_D,i²
    """
    return np.asarray(np.sqrt((np.asarray(sigma_discharge) ** 2).sum(axis=-1)))


def balance_sigma(
    sigma_discharge: NDArray[np.float64],
    smb: NDArray[np.float64],
    *,
    relative_smb: float = RELATIVE_SMB,
) -> NDArray[np.float64]:
    """Return the uncertainty of the mass balance of all regions: Yang et al. (2023), equation 10.

    ::

        σ_MB = √(σ_D,AIS² + Σ σ_SMB,i²)

    Parameters
    ----------
    sigma_discharge : ndarray, shape (..., region)
        σ_D of each region [kg yr⁻¹]; a region alone has its own uncertainty.
    smb : ndarray, shape (..., region)
        Surface mass balance [kg yr⁻¹].
    relative_smb : float
        Part of it that is uncertain [1].

    Returns
    -------
    ndarray, shape (...)
        σ_MB [kg yr⁻¹].
    """
    snow = ((relative_smb * smb) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(total_discharge_sigma(sigma_discharge) ** 2 + snow))


def _quadrature(
    effect: NDArray[np.float64], region: NDArray[np.int64], regions: int
) -> NDArray[np.float64]:
    """Return the root of the sums of squares over the nodes of each region."""
    if region.min(initial=0) < 0 or region.max(initial=0) >= regions:
        msg = (
            f"found regions from {region.min()} to {region.max()}, expected 0 to {regions - 1}: "
            "leave out nodes that have none"
        )
        raise UncertaintyError(msg)
    rows = effect.reshape(-1, effect.shape[-1]) ** 2
    sums = np.stack([np.bincount(region, row, minlength=regions) for row in rows])
    return np.sqrt(sums).reshape(*effect.shape[:-1], regions)
