"""Gravimetry, altimetry and their combination on the common ground, from their coefficients.

A product of the common regions keeps the sums that it has; any other is summed again with the
kernels of the common regions, never scaled (masking moved altimetry from −118 to −89 Gt yr⁻¹ in
Sasgen et al., 2019, table 1 and section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows import regions, spectra
from pipelines.flows.comparison_masks import MASK_DEGREE, row_kernels, row_matrix
from pipelines.flows.comparison_sums import (
    MethodSum,
    centred,
    decimal_year,
    member_covariance,
    months_in,
    months_of,
    straight,
)
from pipelines.flows.gravimetry_stages import read_ensemble
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels import basins, ensembles, trends
from pipelines.kernels.comparison.alignment import covered_share
from pipelines.kernels.comparison.attribution import ALTERNATIVE, Expected
from pipelines.kernels.gravity import harmonics, localisation
from pipelines.kernels.mixed_ensembles import MixedEnsemble

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.comparison_inputs import ComparisonInputs, Ground, Method

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class GravimetryJob:
    """``sum/gravimetry``: members, monthly masses, and what other models of rebound would do.

    A field that ends at degree 60 shows part of a basin's mass beside it. What altimetry says of
    the same ice, summed whole and summed as gravimetry would see it, tells how much (record 0045);
    without altimetry what lies in the ocean buffer is taken as an error.
    """

    method: Method
    ground: Ground
    gia: tuple[Source, ...]
    gia_share: float
    leakage_share: float
    altimetry: Method | None

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product = self.method.product.open()
        kernels = spectral_kernels(self.method, self.ground, len(labels_of(group, "row")))
        mean, factors = read_ensemble(product)
        sums = [basins.region_sums(factor, kernels) for factor in factors]
        gia = -sums[1] if len(sums) > 1 else np.zeros((1, len(kernels)))
        observed = _observed(product, kernels)
        fitted, scale, note = self._fitted(product, observed, gia.mean(axis=0))
        is_aligned = self.method.is_aligned(self.ground)
        rate = basins.region_sums(mean, kernels) if is_aligned else fitted
        covariance = ensembles.factor_covariance(sums[:1]) * np.outer(scale, scale)
        if len(sums) > 1:
            covariance = covariance + ensembles.factor_covariance(sums[1:])
        patterns = self._patterns(product, group, observed, gia)
        own = _leakage_alone(self.method, self.ground, kernels, rate)
        lost, spread, shared = self._lost(kernels, own)
        alone = rate, np.sqrt(np.diag(covariance) + (own**2).sum(axis=0))
        mass, sigma = self._months(product, observed, gia.mean(axis=0), group)
        unseen = straight(lost, np.sqrt(np.diag(spread)), months_in(group))
        mass, sigma = centred(mass + unseen[0]), np.hypot(sigma, unseen[1])
        covered = covered_share(*period_of(self.method), self.ground.period)
        MethodSum(
            rate + lost, covariance + spread, covered, mass, sigma, shared=shared,
            patterns=patterns, lost=lost, alone=alone, expected=_alternatives(product, patterns),
        ).write(group, self.method.name)  # fmt: skip
        return Receipt(key, "done", note=note)

    def _lost(self, kernels: FLOAT, own: FLOAT) -> tuple[FLOAT, FLOAT, dict[str, FLOAT]]:
        """Return what gravimetry does not see of each row, its spread, and what is shared."""
        if self.altimetry is None:
            return np.zeros(len(kernels)), own.T @ own, {}
        lost, whole = leakage_members(self.method, self.altimetry, self.ground, kernels)
        weight = np.full(len(lost), 1.0 / len(lost))
        shared = {self.altimetry.name: cross_covariance(lost, whole, weight)}
        mean = lost.mean(axis=0)
        # Members of altimetry differ in density; how near the coast the mass lies, all of them
        # smooth alike.
        coast = self.leakage_share * mean
        return mean, member_covariance(lost) + np.outer(coast, coast), shared

    def _series(self, product: zarr.Group, observed: FLOAT, gia: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Return the epochs of the months in the period, and their masses (month, row)."""
        epoch = stored.read(product, "epoch")
        first, after = (decimal_year(day) for day in self.ground.period)
        mass = basins.region_sums(stored.read(product, "stokes"), observed)
        kept = (epoch >= first) & (epoch < after) & np.isfinite(mass).all(axis=1)
        return epoch[kept], mass[kept] - (epoch[kept] - 0.5 * (first + after))[:, None] * gia

    def _fitted(self, product: zarr.Group, observed: FLOAT, gia: FLOAT) -> tuple[FLOAT, FLOAT, str]:
        """Return the trends of the months in the period, and how much more they scatter.

        Errors of coefficients are striped, not independent: sums over regions scatter by more than
        the coefficients' own errors say, and their own residuals tell it.
        """
        epoch, mass = self._series(product, observed, gia)
        terms = tuple(self.method.run["gravimetry"]["terms"])
        kept = tuple(term for term in terms if term != trends.MISSION_BIAS)
        model = trends.TimeModel(float(np.mean(epoch)) if len(epoch) else 0.0, kept)
        names = trends.parameter_names(model)
        try:
            fit = trends.fit(mass, trends.design_matrix(epoch, model=model), names=names)
        except trends.TrendError as error:
            msg = f"{self.method.name}: {len(epoch)} months in the common period ({error})"
            raise KeyFailed(msg) from error
        index = names.index("trend")
        alone = np.sqrt(np.diag(basins.independent_covariance(_formal(product), observed)))
        scale = np.maximum(1.0, fit.standard_deviation[index] / alone)
        note = f"{len(epoch)} months; errors of regions {np.median(scale):.2f} times their members'"
        return fit.parameters[index], scale, note

    def _months(
        self, product: zarr.Group, observed: FLOAT, gia: FLOAT, group: zarr.Group
    ) -> tuple[FLOAT, FLOAT]:
        """Return masses and spreads on the months of the comparison, (row, month)."""
        epoch, series = self._series(product, observed, gia)
        months = months_in(group)
        solved = months_of(epoch)[:, None] == months
        count = solved.sum(axis=0)
        mass = np.where(count > 0, series.T @ solved / np.maximum(count, 1), np.nan)
        residual = stored.read(product, "stokes_residual_sigma")
        spread = np.sqrt(np.diag(basins.independent_covariance(residual, observed)))
        sigma = np.where(np.isfinite(mass), spread[:, None], np.nan)
        return centred(mass), sigma

    def _patterns(
        self, product: zarr.Group, group: zarr.Group, observed: FLOAT, gia: FLOAT
    ) -> dict[str, FLOAT]:
        """Return what other models of rebound, and a narrower mask, would do to the rates."""
        used, patterns = gia.mean(axis=0), {}
        models = labels_of(product, "gia")
        for name, sums in zip(models, gia, strict=False):
            patterns[f"gia:{name}"] = sums - used
        if len(models) == 1:
            patterns[f"gia:{models[0]}"] = -self.gia_share * used
        for source in self.gia:
            if source.id not in models:
                patterns[f"gia:{source.id}"] = _gia_sums(source, observed) - used
        if "mask_kernel" in group:
            patterns["mask"] = _masked(read_ensemble(product)[0], group)
        return patterns


def spectral_kernels(method: Method, ground: Ground, rows: int) -> FLOAT:
    """Return the kernels of the common rows for a gravimetry, its own if it has them."""
    product = method.product.open()
    if method.same_regions:
        return stored.read(product, "region_kernel", slice(0, rows))
    degree = stored.array(product, "mass_rate_coefficients").shape[-1] - 1
    return row_kernels(
        ground.polygons(), degree=degree, reading=method.run["gravimetry"]["latitude"]
    )


def leakage_members(
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
    degree = _degree(method)
    field = harmonics.truncate(spectra.read_to_degree(product, "mass_rate_basis", degree), degree)
    seen = basins.region_sums(field, _seen(method, kernels, degree))
    mixing = stored.read(product, "mixing")
    return mixing @ (whole - seen), mixing @ whole


def _leakage_alone(method: Method, ground: Ground, kernels: FLOAT, rate: FLOAT) -> FLOAT:
    """Return what gravimetry may have lost of each row, by what its own field shows (2, row).

    First what it loses of what it has seen when it is seen once more, which is little; then what
    lies in its ocean buffer, by the rate of each region: mass that left some region.
    """
    product = method.product.open()
    mean, _ = read_ensemble(product)
    degree = _degree(method)
    again = basins.region_sums(harmonics.truncate(mean, degree), _seen(method, kernels, degree))
    own, names = stored.read(product, "region_mass_rate"), labels_of(product, "region")
    groups = (*regions.GROUPS, regions.ALL, regions.BUFFERED)
    polygons = [number for number, name in enumerate(names) if name not in groups]
    buffered, whole = (own[names.index(name)] for name in (regions.BUFFERED, regions.ALL))
    common = ground.polygons()
    share = np.abs(rate[: len(common)]) / np.abs(own[polygons]).sum()
    return np.stack([rate - again, row_matrix(common) @ ((buffered - whole) * share)])


def _degree(method: Method) -> int:
    return stored.array(method.product.open(), "surface_mass_factor").shape[0] - 1


def _seen(method: Method, kernels: FLOAT, degree: int) -> FLOAT:
    """Return the kernels as gravimetry sees through its mask to its degree."""
    mask = stored.read(method.product.open(), "mask")
    return np.asarray(localisation.localise_adjoint(kernels, mask, j_max=degree))


def _alternatives(product: zarr.Group, patterns: dict[str, FLOAT]) -> dict[str, Expected]:
    """Return which causes are other models; a single model in use may err by a part of itself."""
    models = labels_of(product, "gia")
    own = {"mask", *(f"gia:{name}" for name in models if len(models) == 1)}
    return dict.fromkeys(patterns.keys() - own, ALTERNATIVE)


def gravimetry_causes(method: Method, gia: tuple[Source, ...], *, mask: bool) -> tuple[str, ...]:
    """Return the causes that :class:`GravimetryJob` has patterns of."""
    models = labels_of(method.product.open(), "gia")
    named = dict.fromkeys([*models, *(source.id for source in gia)])
    return (*(f"gia:{name}" for name in named), *(("mask",) if mask else ()))


def _observed(product: zarr.Group, kernels: FLOAT) -> FLOAT:
    """Return kernels that act on Stokes coefficients: adjoint of the mask, load factors."""
    factors = stored.read(product, "surface_mass_factor")
    mask = stored.read(product, "mask")
    adjoint = localisation.localise_adjoint(kernels, mask, j_max=len(factors) - 1)
    return np.asarray(adjoint * factors[:, None])


def _formal(product: zarr.Group) -> FLOAT:
    """Return the formal errors of the trend of every Stokes coefficient."""
    names = labels_of(product, "parameter")
    return stored.read(product, "stokes_parameters_sigma", names.index("trend"))


def _gia_sums(source: Source, observed: FLOAT) -> FLOAT:
    """Return the apparent rate of mass of a model, degree 1 left to the geocentre (record 0006)."""
    held = np.asarray(source.read(lambda data: data.stokes_rate.values), dtype=np.float64)
    rate = harmonics.truncate(held, observed.shape[-1] - 1).copy()
    rate[:, :2] = 0.0
    return basins.region_sums(rate, observed)


def _masked(field: FLOAT, group: zarr.Group) -> FLOAT:
    """Return what a narrower mask takes from the sums of a field."""
    degree = min(MASK_DEGREE, field.shape[-1] - 1)
    kernel = harmonics.truncate(stored.read(group, "mask_kernel"), degree)
    return basins.region_sums(harmonics.truncate(field, degree), kernel)


def period_of(method: Method) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Return the first day of a method and the first after, as arrays of one interval."""
    after = np.datetime64(method.last) + np.timedelta64(1, "D")
    return np.array([np.datetime64(method.first)]), np.array([after])


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
            for name, chosen in _densities(product).items()
        }
        if "mask_kernel" in group:
            field = spectra.read_to_degree(product, "mass_rate_basis", MASK_DEGREE)
            weights = stored.read(product, "mixing").mean(axis=0)
            patterns["mask"] = _masked(np.tensordot(weights, field, axes=1), group)
        mass, sigma = steady(group, rate, covariance)
        covered = covered_share(*period_of(self.method), self.ground.period)
        MethodSum(
            rate, covariance, covered, mass, sigma, patterns=patterns,
            expected=dict.fromkeys(patterns.keys() - {"mask"}, ALTERNATIVE),
        ).write(group, self.method.name)  # fmt: skip
        return Receipt(key, "done", note="a steady rate, no series")


def steady(group: zarr.Group, rate: FLOAT, covariance: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the masses of steady rates on the months of the comparison, and their spread."""
    return straight(rate, np.sqrt(np.diag(covariance)), months_in(group))


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


def _densities(product: zarr.Group) -> dict[str, list[int]]:
    """Return the members of each density model, where there are several."""
    models: dict[str, list[int]] = {}
    for number, label in enumerate(labels_of(product, "member")):
        models.setdefault(label.rpartition(":")[2], []).append(number)
    return models if len(models) > 1 else {}


def altimetry_causes(method: Method, *, mask: bool) -> tuple[str, ...]:
    """Return the causes that :class:`AltimetryJob` has patterns of."""
    densities = _densities(method.product.open())
    return (*(f"density:{name}" for name in densities), *(("mask",) if mask else ()))


def cross_covariance(part: FLOAT, other: FLOAT, weights: FLOAT) -> FLOAT:
    """Return the covariance (row, row) of two things that one set of members says."""
    apart = part - weights @ part
    return np.asarray((weights[:, None] * apart).T @ (other - weights @ other))


def leaking(found: ComparisonInputs) -> Method | None:
    """Return the altimetry that tells what gravimetry does not see; None without just one."""
    held = [each for each in found.methods if each.kind == "altimetry" and each.series is None]
    return held[0] if len(held) == 1 else None
