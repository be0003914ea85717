"""Altimetry on the common ground, from its coefficients.

A product of the common regions keeps the sums that it has; any other is summed again with the
kernels of the common regions, never scaled (masking moved altimetry from −118 to −89 Gt yr⁻¹ in
Sasgen et al., 2019, table 1 and section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import spectra
from pipelines.flows.comparison_masks import MASK_DEGREE, row_kernels
from pipelines.flows.comparison_sums import MethodSum, member_covariance, months_in, straight
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels import basins
from pipelines.kernels.comparison.alignment import covered_share
from pipelines.kernels.comparison.attribution import ALTERNATIVE
from pipelines.kernels.gravity import harmonics
from pipelines.kernels.mixed_ensembles import MixedEnsemble

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import Ground, Method

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class AltimetryJob:
    """``sum/altimetry``: members, and what another density would do."""

    method: Method
    ground: Ground

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product = self.method.product.open()
        basis = altimetry_basis(self.method, self.ground, len(labels_of(group, "row")))
        members = MixedEnsemble(basis, stored.read(product, "mixing")).members()
        rate, covariance = members.mean(axis=0), member_covariance(members)
        patterns = {
            f"density:{name}": rate - members[chosen].mean(axis=0)
            for name, chosen in densities(product).items()
        }
        if "mask_kernel" in group:
            patterns["mask"] = masked(mean_field(product, MASK_DEGREE), group)
        mass, sigma = steady(group, rate, covariance)
        MethodSum(
            rate, covariance, covered(self.method, self.ground), mass, sigma, patterns=patterns,
            expected=dict.fromkeys(patterns.keys() - {"mask"}, ALTERNATIVE),
        ).write(group, self.method.name)  # fmt: skip
        return Receipt(key, "done", note="a steady rate, no series")


def steady(group: zarr.Group, rate: FLOAT, covariance: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the masses of steady rates on the months of the comparison, and their spread."""
    return straight(rate, np.sqrt(np.diag(covariance)), months_in(group))


def covered(method: Method, ground: Ground) -> float:
    """Return the share of the common period that a method with one steady rate covers [1]."""
    after = np.datetime64(method.last) + np.timedelta64(1, "D")
    first = np.array([np.datetime64(method.first)])
    return covered_share(first, np.array([after]), ground.period)


def altimetry_basis(method: Method, ground: Ground, rows: int) -> FLOAT:
    """Return the sums of altimetry's basis fields over the common rows, (basis, row)."""
    product = method.product.open()
    if method.same_regions:
        return stored.read(product, "region_mass_rate_basis")[:, :rows]
    polygons, reading = ground.polygons(), method.run["altimetry"]["latitude"]
    degree = stored.array(product, "mass_rate_basis").shape[-1] - 1
    sums = np.zeros((stored.array(product, "mass_rate_basis").shape[0], rows))
    for orders in spectra.order_blocks(product, "mass_rate_basis"):
        some = range(orders.start, min(orders.stop, degree + 1))
        kernels = row_kernels(polygons, degree=degree, reading=reading, orders=some)
        sums += basins.region_sums(spectra.read_orders(product, "mass_rate_basis", orders), kernels)
    return sums


def mean_field(product: zarr.Group, degree: int) -> FLOAT:
    """Return the mean of altimetry's members to a degree, (2, degree + 1, degree + 1)."""
    field = spectra.read_to_degree(product, "mass_rate_basis", degree)
    mean = np.tensordot(stored.read(product, "mixing").mean(axis=0), field, axes=1)
    return harmonics.truncate(mean, min(degree, field.shape[-1] - 1))


def masked(field: FLOAT, group: zarr.Group) -> FLOAT:
    """Return what a narrower mask takes from the sums of a field."""
    degree = min(MASK_DEGREE, field.shape[-1] - 1)
    kernel = harmonics.truncate(stored.read(group, "mask_kernel"), degree)
    return basins.region_sums(harmonics.truncate(field, degree), kernel)


def densities(product: zarr.Group) -> dict[str, list[int]]:
    """Return the members of each density model, where there are several."""
    models: dict[str, list[int]] = {}
    for number, label in enumerate(labels_of(product, "member")):
        models.setdefault(label.rpartition(":")[2], []).append(number)
    return models if len(models) > 1 else {}


def altimetry_causes(method: Method, *, mask: bool) -> tuple[str, ...]:
    """Return the causes that :class:`AltimetryJob` has patterns of."""
    names = densities(method.product.open())
    return (*(f"density:{name}" for name in names), *(("mask",) if mask else ()))
