"""Both ensembles of a combination as their products hold them; weights and combined spectra.

Each ensemble stays a basis and its mixing. Only what a key needs of it is read, a block of orders
or the degrees of a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import regions
from pipelines.flows.spectra import order_blocks, read_orders, read_to_degree
from pipelines.kernels.gravity import combination, harmonics, mismatch
from pipelines.kernels.gravity.combination import Combination
from pipelines.kernels.mixed_ensembles import MixedEnsemble, factor_mixing

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.finished_products import ProductSource
    from pipelines.settings_combination import CombinationChoices

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Sources:
    """Both products, and how their ensembles are read."""

    gravimetry: ProductSource
    altimetry: ProductSource

    def gravimetry_members(self) -> MixedEnsemble:
        """Return the members of gravimetry, rate + perturbation_i − GIA_k, to their own degree."""
        group = self.gravimetry.open()
        factors = [stored.read(group, "mass_rate_perturbation")]
        if "mass_rate_gia" in group:
            factors.append(-stored.read(group, "mass_rate_gia"))
        return factor_mixing(stored.read(group, "mass_rate_coefficients"), factors)

    def altimetry_mixing(self) -> FLOAT:
        """Return how altimetry's members mix its basis."""
        return stored.read(self.altimetry.open(), "mixing")

    def altimetry_orders(self, orders: slice) -> MixedEnsemble:
        """Return the members of altimetry at some orders, shape (2, J + 1, orders)."""
        basis = read_orders(self.altimetry.open(), "mass_rate_basis", orders)
        return MixedEnsemble(basis, self.altimetry_mixing())

    def altimetry_to_degree(self, degree: int) -> MixedEnsemble:
        """Return the members of altimetry up to a degree."""
        basis = read_to_degree(self.altimetry.open(), "mass_rate_basis", degree)
        return MixedEnsemble(basis, self.altimetry_mixing())


def truncated(ensemble: MixedEnsemble, degree: int) -> MixedEnsemble:
    """Return an ensemble of coefficients up to a degree."""
    return ensemble.through(lambda basis: harmonics.truncate(basis, degree))


@dataclass(frozen=True)
class WeighJob:
    """``weights``: equations 3 and 4 for every coefficient, and how much every member counts."""

    sources: Sources
    choices: CombinationChoices

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the weights of gravimetry, the mismatch of members and their weights."""
        taper = self.choices.taper
        gravimetry = truncated(self.sources.gravimetry_members(), taper.degree)
        altimetry = self.sources.altimetry_to_degree(taper.degree)
        found = combination.weights(
            gravimetry.variance(),
            altimetry.variance(),
            combination.house_degrees(taper.degree),
            gravimetry_degree=taper.degree,
            width=taper.width,
            mode=taper.reading,
        )
        stored.write(group, "weight_gravimetry", found.gravimetry)
        self._weigh_members(group, gravimetry, altimetry)
        return Receipt(key, "done", note=f"taper read as {taper.reading}")

    def _weigh_members(
        self, group: zarr.Group, gravimetry: MixedEnsemble, altimetry: MixedEnsemble
    ) -> None:
        """Write how well the spectra of each pair of members agree, and how much it counts."""
        choices = self.choices.members
        degree = min(choices.highest_degree, self.choices.taper.degree)
        score = mismatch.spectral_mismatch(
            truncated(gravimetry, degree),
            truncated(altimetry, degree),
            combination.house_degrees(degree),
            highest_degree=degree,
            lowest_degree=choices.lowest_degree,
        )
        weight = np.full(score.shape, 1.0 / score.size)
        if choices.weights != "uniform":
            weight = mismatch.posterior_weights(score, rule=choices.weights)
        stored.write(group, "member_mismatch", score)
        stored.write(group, "member_weight", weight)


def weights_at(group: zarr.Group, shape: tuple[int, ...], orders: slice) -> FLOAT:
    """Return the weights of gravimetry on coefficients (2, J + 1, orders), zero beyond its end."""
    return placed(stored.read(group, "weight_gravimetry"), shape, orders)


def placed(low: FLOAT, shape: tuple[int, ...], orders: slice) -> FLOAT:
    """Return some orders of coefficients (..., 2, j + 1, j + 1) in a shape of more degrees."""
    found = np.zeros(shape)
    part = low[..., : shape[-2], orders]
    found[..., : part.shape[-2], : part.shape[-1]] = part
    return found


@dataclass(frozen=True)
class CombineJob:
    """``orders/0-64``: mean and variance of the combined coefficients (equation 5)."""

    sources: Sources

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write mean and variance of altimetry and of the combination for some orders."""
        degree = stored.array(group, "mass_rate_coefficients").shape[-1] - 1
        named = regions.orders_of(key, degree=degree)
        for orders in order_blocks(group, "mass_rate_coefficients"):
            if orders.start in named:
                self._write(group, orders)
        return Receipt(key, "done")

    def _write(self, group: zarr.Group, orders: slice) -> None:
        altimetry = self.sources.altimetry_orders(orders)
        weight = weights_at(group, altimetry.shape, orders)
        gravimetry = self._gravimetry_orders(altimetry.shape, orders)
        combined = combination.combine(
            gravimetry, altimetry, w_gravimetry=weight, w_altimetry=1.0 - weight
        )
        mean, variance = moments(combined, stored.read(group, "member_weight"))
        for name, values in (
            ("altimetry_coefficients", altimetry.mean()),
            ("altimetry_variance", altimetry.variance()),
            ("mass_rate_coefficients", mean),
            ("mass_rate_variance", variance),
        ):
            stored.array(group, name)[..., orders] = values

    def _gravimetry_orders(self, shape: tuple[int, ...], orders: slice) -> MixedEnsemble:
        """Return the members of gravimetry at some orders, zero beyond its degree."""
        members = self.sources.gravimetry_members()
        basis = placed(members.basis, (len(members.basis), *shape), orders)
        return MixedEnsemble(basis, members.mixing)


def moments(combined: Combination, weight: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return mean and variance of all members; equal weights need no cross term."""
    if np.ptp(weight) == 0.0:
        return combined.mean(), combined.variance()
    return mismatch.weighted_moments(combined, weight)
