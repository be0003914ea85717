"""Region sums of a combination, its correction, leakage over the ocean, and shares by degree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.combination_arrays import SOURCES
from pipelines.flows.combination_spectra import Sources, placed, truncated
from pipelines.flows.spectra import order_blocks, read_orders, read_to_degree
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity import combination, harmonics
from pipelines.kernels.gravity.combination import Combination
from pipelines.kernels.gravity.contribution import contribution, cumulative_power
from pipelines.kernels.mixed_ensembles import MixedEnsemble, mixed_mean

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_combination import CombinationChoices

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class RegionJob:
    """``regions``: sums of all members, covariance, leakage, correction, shares by degree."""

    sources: Sources
    choices: CombinationChoices
    total: int
    whole: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write everything that is one number per region, member or degree."""
        sums = self._sums(group)
        weight = stored.read(group, "member_weight")
        mean, covariance = _moments_of_sums(sums, weight)
        stored.write(group, "region_mass_rate_gravimetry", sums.gravimetry.members())
        stored.write(group, "region_mass_rate_altimetry", sums.altimetry.members())
        stored.write(group, "region_mass_rate_covariance", covariance)
        stored.write(group, "region_mass_rate_uncorrected", mean)
        area = stored.read(self.sources.altimetry.open(), "region_area")
        stored.write(group, "region_area", area)
        correction = self._correction(mean, float(area[self.total]))
        stored.write(group, "total_correction", np.array(correction))
        applied = correction.density if self.choices.total_correction == "ad_hoc" else 0.0
        stored.write(group, "region_mass_rate", mean + applied * area)
        self._write_leakage(group, mean, covariance)
        self._write_degrees(group)
        said = f"{correction.total / KG_PER_GT:+.1f} Gt/yr, {'' if applied else 'not '}applied"
        return Receipt(key, "done", note=f"correction of the total: {said}")

    def _sums(self, group: zarr.Group) -> Combination:
        """Return what each mission adds to the region sums of every member."""
        altimetry = self.sources.altimetry.open()
        degree = self.choices.taper.degree
        kernel = read_to_degree(altimetry, "region_kernel", degree)
        weighed = weighed_sums(self.sources, stored.read(group, "weight_gravimetry"), kernel)
        # Altimetry has the weight 1 beyond that degree: its sums lack only the low part.
        whole, lacking = stored.read(altimetry, "region_mass_rate_basis"), weighed.altimetry
        own = MixedEnsemble(whole - lacking.basis, lacking.mixing)
        return Combination(weighed.gravimetry, own)

    def _correction(self, mean: FLOAT, area: float) -> combination.AdHocCorrection:
        """Return the correction of the total: gravimetry with its buffer, altimetry on the ice."""
        gravimetry, altimetry = self.sources.gravimetry.open(), self.sources.altimetry.open()
        rates = [stored.read(group, "region_mass_rate") for group in (gravimetry, altimetry)]
        sigmas = [_sigmas(group) for group in (gravimetry, altimetry)]
        try:
            return combination.ad_hoc_correction(
                float(mean[self.total]),
                float(rates[0][self.whole]),
                float(rates[1][self.total]),
                gravimetry_sigma=float(sigmas[0][self.whole]),
                altimetry_sigma=float(sigmas[1][self.total]),
                area=area,
            )
        except combination.CombinationError as error:
            if self.choices.total_correction == "none":
                return combination.AdHocCorrection(*[float("nan")] * 5)
            msg = f"combination.total_correction: {error}; or set it to none"
            raise KeyFailed(msg) from error

    def _write_leakage(self, group: zarr.Group, mean: FLOAT, covariance: FLOAT) -> None:
        """Write the mass outside the regions: all that there is, less the regions."""
        contrast = np.zeros(len(mean))
        contrast[self.whole], contrast[self.total] = 1.0, -1.0
        found = [(mean, covariance)]
        for product in (self.sources.altimetry.open(), self.sources.gravimetry.open()):
            rate = stored.read(product, "region_mass_rate")
            found.insert(0, (rate, stored.read(product, "region_mass_rate_covariance")))
        leakage = np.array([contrast @ rate for rate, _ in found])
        sigma = np.array([np.sqrt(contrast @ spread @ contrast) for _, spread in found])
        stored.write(group, "ocean_leakage", leakage)
        stored.write(group, "ocean_leakage_sigma", sigma)

    def _write_degrees(self, group: zarr.Group) -> None:
        """Write power, spread and shares by degree of both missions and of the combination."""
        members = self.sources.gravimetry_members()
        j_max = stored.array(group, "degree_power").shape[-1] - 1
        power, spread = (np.zeros((len(SOURCES), j_max + 1)) for _ in range(2))
        low = members.mean(), members.variance()
        top = min(j_max + 1, low[0].shape[-1])
        power[0, :top] = harmonics.degree_variance(low[0])[:top]
        spread[0, :top] = low[1].sum(axis=(0, 2))[:top]
        shares = np.zeros((len(SOURCES), j_max + 1))
        degrees = combination.house_degrees(j_max)
        weighed = self._weighed_gravimetry(group, members)
        for orders in order_blocks(group, "mass_rate_coefficients"):
            combined = read_orders(group, "mass_rate_coefficients", orders)
            altimetry = read_orders(group, "altimetry_coefficients", orders)
            by_gravimetry = placed(weighed, combined.shape, orders)
            for i, field in enumerate((by_gravimetry, combined - by_gravimetry, combined)):
                shares[i] += cumulative_power(field, degrees, j_max=j_max)
            for i, name in ((1, "altimetry"), (2, "mass_rate")):
                mean = altimetry if i == 1 else combined
                power[i] += np.square(mean).sum(axis=(0, 2))
                spread[i] += read_orders(group, f"{name}_variance", orders).sum(axis=(0, 2))
        stored.write(group, "degree_power", power)
        stored.write(group, "degree_power_spread", spread)
        stored.write(group, "cumulative_power_fraction", np.stack(contribution(*shares)))

    def _weighed_gravimetry(self, group: zarr.Group, members: MixedEnsemble) -> FLOAT:
        """Return what gravimetry adds to the mean, members counted as in it; to its last degree."""
        weight = stored.read(group, "weight_gravimetry")
        counts = stored.read(group, "member_weight").sum(axis=1)
        low = truncated(members, weight.shape[-1] - 1)
        return weight * mixed_mean(low.basis, low.mixing, counts / counts.sum())


def weighed_sums(sources: Sources, weight: FLOAT, kernel: FLOAT) -> Combination:
    """Return the sums over regions of both ensembles times the weight of gravimetry.

    Parameters
    ----------
    sources : Sources
        Both products.
    weight : ndarray, shape (2, j + 1, j + 1)
        Weight of gravimetry, to where it ends [1].
    kernel : ndarray, shape (region, 2, j + 1, j + 1)
        Kernels of the regions [m²].

    Returns
    -------
    Combination
        What gravimetry adds to the sums of each member, and what altimetry's sums lack.
    """
    degree = weight.shape[-1] - 1
    parts = truncated(sources.gravimetry_members(), degree), sources.altimetry_to_degree(degree)
    gravimetry, lacking = (
        each.scaled(weight).through(lambda basis: _sums_of(basis, kernel)) for each in parts
    )
    return Combination(gravimetry, lacking)


def _sums_of(basis: FLOAT, kernel: FLOAT) -> FLOAT:
    return np.asarray(basis.reshape(len(basis), -1) @ kernel.reshape(len(kernel), -1).T)


def _sigmas(group: zarr.Group) -> FLOAT:
    return np.sqrt(np.diag(stored.read(group, "region_mass_rate_covariance")))


def _moments_of_sums(sums: Combination, weight: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return mean and covariance of the region sums of all members under their weights."""
    members = sums.members().reshape(weight.size, -1)
    mean = weight.ravel() @ members
    centred = (members - mean) * np.sqrt(weight.ravel())[:, None]
    return mean, centred.T @ centred
