"""Gravimetry on the common ground, from its coefficients.

A product of the common regions keeps the sums that it has; any other is summed again with the
kernels of the common regions, never scaled. What a field of its degree does not see of a basin is
told by altimetry (:mod:`pipelines.flows.comparison_leakage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.comparison_altimetry import masked
from pipelines.flows.comparison_leakage import LeakageOf, spectral_kernels
from pipelines.flows.comparison_sums import (
    MethodSum,
    centred,
    months_in,
    months_of,
    straight,
)
from pipelines.flows.gravimetry_stages import read_ensemble
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels import basins, ensembles, trends
from pipelines.kernels.comparison.alignment import covered_share
from pipelines.kernels.comparison.attribution import ALTERNATIVE, Expected
from pipelines.kernels.gravity import harmonics, localisation, stokes

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.comparison_inputs import Ground, Method

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class GravimetryJob:
    """``sum/gravimetry``: members, monthly masses, and what other models of rebound would do."""

    method: Method
    ground: Ground
    gia: tuple[Source, ...]
    gia_share: float
    leakage: LeakageOf

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the slot of the method."""
        product = self.method.product.open()
        kernels = spectral_kernels(self.method, self.ground, len(labels_of(group, "row")))
        mean, factors = read_ensemble(product)
        sums = [basins.region_sums(factor, kernels) for factor in factors]
        gia = -sums[1] if len(sums) > 1 else np.zeros((1, len(kernels)))
        observed = _observed(product, kernels)
        fitted, scale, note = self._fitted(product, observed, gia.mean(axis=0))
        rate = basins.region_sums(mean, kernels) if self._is_fitted_alike() else fitted
        covariance = ensembles.factor_covariance(sums[:1]) * np.outer(scale, scale)
        if len(sums) > 1:
            covariance = covariance + ensembles.factor_covariance(sums[1:])
        leakage = self.leakage(self.method, kernels, group)
        patterns = self._patterns(product, group, observed, gia)
        if leakage.mask is not None:
            patterns["mask"] = patterns["mask"] - leakage.mask
        alone = rate, np.sqrt(np.diag(covariance) + (leakage.own**2).sum(axis=0))
        mass, sigma, covered = self._months(product, observed, gia.mean(axis=0), group)
        unseen = straight(leakage.lost, np.sqrt(np.diag(leakage.spread)), months_in(group))
        MethodSum(
            rate + leakage.lost, covariance + leakage.spread, covered,
            centred(mass + unseen[0]), np.hypot(sigma, unseen[1]), shared=leakage.shared,
            patterns=patterns, moved=leakage.moved, lost=leakage.lost, alone=alone,
            expected=_alternatives(product, patterns),
        ).write(group, self.method.name)  # fmt: skip
        return Receipt(key, "done", note=note)

    def _is_fitted_alike(self) -> bool:
        """Whether the product's own rate is that of the middle of the common period."""
        choices = self.method.run["gravimetry"]
        elsewhere = choices.get("reference_epoch") is not None and (
            "acceleration" in choices["terms"]
        )
        return self.method.is_aligned(self.ground) and not elsewhere

    def _series(self, product: zarr.Group, observed: FLOAT, gia: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Return the epochs of the months in the period, and their masses (month, row)."""
        epoch = stored.read(product, "epoch")
        first, after = stokes.decimal_years(np.array(self.ground.period))
        mass = basins.region_sums(stored.read(product, "stokes"), observed)
        kept = (epoch >= first) & (epoch < after) & np.isfinite(mass).all(axis=1)
        return epoch[kept], mass[kept] - (epoch[kept] - 0.5 * (first + after))[:, None] * gia

    def _fitted(self, product: zarr.Group, observed: FLOAT, gia: FLOAT) -> tuple[FLOAT, FLOAT, str]:
        """Return the trends of the months in the period, and how much more they scatter.

        Errors of coefficients are striped, not independent: sums over regions scatter by more than
        the coefficients' own errors say, and their own residuals tell it.
        """
        epoch, mass = self._series(product, observed, gia)
        middle = float(stokes.decimal_years(np.array(self.ground.period)).mean())
        model = _time_model(self.method.run["gravimetry"], epoch, middle)
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
    ) -> tuple[FLOAT, FLOAT, float]:
        """Return masses and spreads on the months of the comparison, and what part they span.

        The part is of the days of the period; masses and spreads are (row, month).
        """
        epoch, series = self._series(product, observed, gia)
        months = months_in(group)
        solved = months_of(epoch)[:, None] == months
        count = solved.sum(axis=0)
        mass = np.where(count > 0, series.T @ solved / np.maximum(count, 1), np.nan)
        residual = stored.read(product, "stokes_residual_sigma")
        spread = np.sqrt(np.diag(basins.independent_covariance(residual, observed)))
        sigma = np.where(np.isfinite(mass), spread[:, None], np.nan)
        # Masses on both sides of a gap tell what it brought; beyond the last nothing is told.
        held = months[count > 0].astype("datetime64[M]")
        first, after = held[:1].astype("datetime64[D]"), (held[-1:] + 1).astype("datetime64[D]")
        covered = covered_share(first, after, self.ground.period)
        return centred(mass), sigma, covered

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
            patterns["mask"] = masked(read_ensemble(product)[0], group)
        return patterns


def _time_model(choices: dict[str, Any], epoch: FLOAT, middle: float) -> trends.TimeModel:
    """Return the product's time model about the middle of the common period (record 0008).

    A step between missions is fitted if there are months on both sides of it.
    """
    change = choices.get("mission_change")
    terms = tuple(choices["terms"])
    stepped = trends.MISSION_BIAS in terms and len(epoch) > 0 and epoch[0] < change <= epoch[-1]
    kept = terms if stepped else tuple(term for term in terms if term != trends.MISSION_BIAS)
    return trends.TimeModel(middle, kept, change if stepped else None)


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
