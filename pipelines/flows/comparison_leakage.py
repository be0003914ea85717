"""What gravimetry does not see of a basin, as altimetry tells it (record 0045).

A field that ends at degree 60 shows part of a basin's mass beside it. What altimetry says of the
same ice, summed whole and summed as gravimetry would see it, tells how much. All gravimetries are
told by the same members of the same altimetry, so they share its errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows import regions, spectra
from pipelines.flows.comparison_altimetry import (
    altimetry_basis,
    covered,
    densities,
    masked,
    mean_field,
)
from pipelines.flows.comparison_masks import MASK_DEGREE, row_kernels, row_matrix
from pipelines.flows.comparison_sums import member_covariance
from pipelines.flows.gravimetry_stages import read_ensemble
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels import basins
from pipelines.kernels.gravity import harmonics, localisation

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_inputs import ComparisonInputs, Ground, Method

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Leakage:
    """What a gravimetry does not see.

    Attributes
    ----------
    lost : ndarray, shape (row,)
        What is added to its rate [kg yr⁻¹].
    spread : ndarray, shape (row, row)
        Covariance of its errors [kg² yr⁻²].
    shared : mapping of str to ndarray, shape (row, row)
        Covariance of its errors with those of other methods [kg² yr⁻²].
    own : ndarray, shape (2, row)
        Errors of it where no altimetry tells anything, see :func:`alone` [kg yr⁻¹].
    moved : mapping of str to ndarray, shape (row,)
        What an error of altimetry adds to it, by cause and altimetry [kg yr⁻¹].
    mask : ndarray, shape (row,)
        What is added to it less where gravimetry's own mask is narrower [kg yr⁻¹].
    """

    lost: FLOAT
    spread: FLOAT
    own: FLOAT
    shared: Mapping[str, FLOAT] = field(default_factory=dict)
    moved: Mapping[str, FLOAT] = field(default_factory=dict)
    mask: FLOAT | None = None


@dataclass(frozen=True)
class LeakageOf:
    """Finds what a gravimetry does not see.

    Attributes
    ----------
    ground : Ground
    altimetry : Method or None
        What tells it; None where none does.
    share : float
        How uncertain the place of the mass near the coast is, as a part of what is lost [1].
    peers : tuple of Method
        Gravimetries that are told the same; the covariance with each is this method's to write.
    """

    ground: Ground
    altimetry: Method | None
    share: float
    peers: tuple[Method, ...]

    def __call__(self, method: Method, kernels: FLOAT, group: zarr.Group) -> Leakage:
        """Return what ``method`` does not see of the rows that ``kernels`` sum over."""
        own = alone(method, self.ground, kernels)
        if self.altimetry is None:
            shared = {each.name: own.T @ alone(each, self.ground, self._kernels(each, kernels))
                      for each in self.peers}  # fmt: skip
            return Leakage(np.zeros(len(kernels)), own.T @ own, own, shared)
        lost, whole = members(method, self.altimetry, self.ground, kernels)
        weight = np.full(len(lost), 1.0 / len(lost))
        mean = lost.mean(axis=0)
        shared = {self.altimetry.name: cross_covariance(lost, whole, weight)}
        for each in self.peers:
            other, _ = members(each, self.altimetry, self.ground, self._kernels(each, kernels))
            shared[each.name] = cross_covariance(lost, other, weight)
            shared[each.name] += self.share**2 * np.outer(mean, other.mean(axis=0))
        # Members of altimetry differ in density; how near the coast the mass lies, all of them
        # smooth alike.
        spread = member_covariance(lost) + self.share**2 * np.outer(mean, mean)
        moved, mask = self._moved(method, self.altimetry, lost, kernels, group)
        return Leakage(mean, spread, own, shared, moved, mask)

    def _kernels(self, method: Method, like: FLOAT) -> FLOAT:
        return spectral_kernels(method, self.ground, len(like))

    def _moved(
        self, method: Method, altimetry: Method, lost: FLOAT, kernels: FLOAT, group: zarr.Group
    ) -> tuple[dict[str, FLOAT], FLOAT | None]:
        """Return what errors of altimetry do to what is lost, and what one's own mask does."""
        product = altimetry.product.open()
        moved = {
            f"density:{name}@{altimetry.name}": lost.mean(axis=0) - lost[chosen].mean(axis=0)
            for name, chosen in densities(product).items()
        }
        if "mask_kernel" not in group:
            return moved, None
        moved[f"mask@{altimetry.name}"] = masked(mean_field(product, MASK_DEGREE), group)
        narrower = harmonics.truncate(
            stored.read(group, "mask_kernel"), min(MASK_DEGREE, kernels.shape[-1] - 1)
        )
        degree = highest_degree(method)
        seen = basins.region_sums(mean_field(product, degree), _seen(method, narrower, degree))
        return moved, seen


def spectral_kernels(method: Method, ground: Ground, rows: int) -> FLOAT:
    """Return the kernels of the common rows for a gravimetry, its own if it has them."""
    product = method.product.open()
    if method.same_regions:
        return stored.read(product, "region_kernel", slice(0, rows))
    degree = stored.array(product, "mass_rate_coefficients").shape[-1] - 1
    return row_kernels(
        ground.polygons(), degree=degree, reading=method.run["gravimetry"]["latitude"]
    )


def members(
    method: Method, altimetry: Method, ground: Ground, kernels: FLOAT
) -> tuple[FLOAT, FLOAT]:
    """Return what gravimetry would not see of every member of altimetry, and their whole sums.

    Returns
    -------
    lost, whole : ndarray, shape (member, row)
        [kg yr⁻¹].
    """
    product = altimetry.product.open()
    whole = altimetry_basis(altimetry, ground, len(kernels))
    degree = highest_degree(method)
    field = harmonics.truncate(spectra.read_to_degree(product, "mass_rate_basis", degree), degree)
    seen = basins.region_sums(field, _seen(method, kernels, degree))
    mixing = stored.read(product, "mixing")
    return mixing @ (whole - seen), mixing @ whole


def alone(method: Method, ground: Ground, kernels: FLOAT) -> FLOAT:
    """Return what gravimetry may have lost of each row, by what its own field shows (2, row).

    First what it loses of what it has seen when it is seen once more, which is little; then what
    lies in its ocean buffer, by the rate of each region: mass that left some region. Both are of
    the product's whole period, whatever part of it is compared.
    """
    product = method.product.open()
    mean, _ = read_ensemble(product)
    degree, rate = highest_degree(method), basins.region_sums(mean, kernels)
    again = basins.region_sums(harmonics.truncate(mean, degree), _seen(method, kernels, degree))
    own, names = stored.read(product, "region_mass_rate"), labels_of(product, "region")
    groups = (*regions.GROUPS, regions.ALL, regions.BUFFERED)
    polygons = [number for number, name in enumerate(names) if name not in groups]
    buffered, whole = (own[names.index(name)] for name in (regions.BUFFERED, regions.ALL))
    common = ground.polygons()
    share = np.abs(rate[: len(common)]) / np.abs(own[polygons]).sum()
    return np.stack([rate - again, row_matrix(common) @ ((buffered - whole) * share)])


def highest_degree(method: Method) -> int:
    """Return the degree at which a gravimetry ends."""
    return stored.array(method.product.open(), "surface_mass_factor").shape[0] - 1


def _seen(method: Method, kernels: FLOAT, degree: int) -> FLOAT:
    """Return the kernels as gravimetry sees through its mask to its degree."""
    mask = stored.read(method.product.open(), "mask")
    return np.asarray(localisation.localise_adjoint(kernels, mask, j_max=degree))


def cross_covariance(part: FLOAT, other: FLOAT, weights: FLOAT) -> FLOAT:
    """Return the covariance (row, row) of two things that one set of members says."""
    apart = part - weights @ part
    return np.asarray((weights[:, None] * apart).T @ (other - weights @ other))


def telling(found: ComparisonInputs, least_covered: float) -> Method | None:
    """Return the altimetry that tells what gravimetry does not see.

    None where there is none or several, or its own period is not the one that is compared.
    """
    held = [each for each in found.methods if each.kind == "altimetry" and each.series is None]
    return next(
        (each for each in held if len(held) == 1 and covered(each, found.ground) >= least_covered),
        None,
    )
