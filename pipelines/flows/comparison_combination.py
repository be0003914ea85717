"""A combination on the common ground: its members, and what it shares with its sources."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import yaml
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import combination_sums
from pipelines.flows import comparison_leakage as leakage
from pipelines.flows.combination_spectra import Sources
from pipelines.flows.comparison_altimetry import altimetry_basis, covered, steady
from pipelines.flows.comparison_leakage import cross_covariance, spectral_kernels
from pipelines.flows.comparison_masks import row_kernels
from pipelines.flows.comparison_sums import MethodSum, member_covariance
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels import basins
from pipelines.kernels.mixed_ensembles import MixedEnsemble

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import ComparisonInputs, Ground, Method

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class CombinationJob:
    """``sum/combination``: its members, and what it shares with the products that it is made of."""

    method: Method
    ground: Ground
    parts: tuple[Method, Method]
    named: tuple[str | None, str | None]
    leaks_by: str | None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product, rows = self.method.product.open(), len(labels_of(group, "row"))
        weight = stored.read(product, "member_weight")
        counts = weight.sum(axis=1), weight.sum(axis=0)
        own = self._own(rows)
        parts = self._weighed(product, rows, own)
        rate = counts[0] @ parts[0] + counts[1] @ parts[1] + self._correction(product, rows)
        covariance = sum(member_covariance(part, count)
                         for part, count in zip(parts, counts, strict=True))  # fmt: skip
        shared = {
            name: cross_covariance(part, alone, count)
            for name, part, alone, count in zip(self.named, parts, own, counts, strict=True)
            if name is not None
        }
        if self.named[0] and self.leaks_by and self.leaks_by == self.named[1]:
            kernels = spectral_kernels(self.parts[0], self.ground, rows)
            lost, _ = leakage.members(*self.parts, self.ground, kernels)
            shared[self.named[0]] += cross_covariance(parts[1], lost, counts[1])
        mass, sigma = steady(group, rate, np.asarray(covariance))
        part = covered(self.method, self.ground)
        MethodSum(rate, np.asarray(covariance), part, mass, sigma, shared=shared).write(
            group, self.method.name
        )
        return Receipt(key, "done", note="a steady rate, no series")

    def _own(self, rows: int) -> tuple[FLOAT, FLOAT]:
        """Return the members of both sources by themselves, (member, row)."""
        sources = Sources(self.parts[0].product, self.parts[1].product)
        kernels = spectral_kernels(self.parts[0], self.ground, rows)
        members = sources.gravimetry_members().through(lambda b: basins.region_sums(b, kernels))
        basis = altimetry_basis(self.parts[1], self.ground, rows)
        return members.members(), MixedEnsemble(basis, sources.altimetry_mixing()).members()

    def _kernels(self, degree: int) -> FLOAT:
        reading = self.parts[1].run["altimetry"]["latitude"]
        return row_kernels(self.ground.polygons(), degree=degree, reading=reading)

    def _weighed(
        self, product: zarr.Group, rows: int, own: tuple[FLOAT, FLOAT]
    ) -> tuple[FLOAT, FLOAT]:
        """Return what both sources add to each member, (member, row)."""
        names = "region_mass_rate_gravimetry", "region_mass_rate_altimetry"
        if self.method.same_regions:
            first, second = (stored.read(product, name)[:, :rows] for name in names)
            return first, second
        weight = stored.read(product, "weight_gravimetry")
        sources = Sources(self.parts[0].product, self.parts[1].product)
        kernel = self._kernels(weight.shape[-1] - 1)
        found = combination_sums.weighed_sums(sources, weight, kernel)
        return found.gravimetry.members(), own[1] - found.altimetry.members()

    def _correction(self, product: zarr.Group, rows: int) -> FLOAT:
        """Return the correction of the total that the product applied, over its own regions."""
        applied = stored.read(product, "region_mass_rate") - stored.read(
            product, "region_mass_rate_uncorrected"
        )
        if self.method.same_regions:
            return applied[:rows]
        if np.any(applied[:-1] != 0.0):
            msg = (
                f"{self.method.name}: its total was corrected over other regions; run combination "
                "with the regions of this comparison, or with total_correction: none"
            )
            raise KeyFailed(msg)
        return np.zeros(rows)


def combination_job(
    method: Method, found: ComparisonInputs, telling: Method | None
) -> CombinationJob:
    """Return the job of a combination, which knows its sources and what they are called here.

    ``telling`` is the altimetry that tells what gravimetry does not see.
    """
    parts, named = [], []
    for role, source in method.made_of:
        run = yaml.safe_load(str(source.open().attrs["nunatak:run"]))
        parts.append(
            dataclasses.replace(method, name=role, kind=role, source=source, run=run, made_of=())
        )
        named.append(next((each.name for each in found.methods if each.source == source), None))
    return CombinationJob(method, found.ground, (parts[0], parts[1]), (named[0], named[1]),
                          telling.name if telling is not None else None)  # fmt: skip
