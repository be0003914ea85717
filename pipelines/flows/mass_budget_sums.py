"""All terms of the budget of every member, by year and row, with their covariance between years.

Errors are independent factors (:mod:`pipelines.kernels.budget.loadings`) but for those of the
flux through a gate, whose covariance the flux stage has made: the two meet as covariances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import mass_budget_snow as snow
from pipelines.flows.mass_budget_arrays import ERROR_TERMS, FLUX_TERMS, QUANTITIES
from pipelines.flows.mass_budget_flux import row_covariance
from pipelines.flows.mass_budget_snow import Snow
from pipelines.kernels.budget import balance, loadings, replacement, uncertainty
from pipelines.kernels.budget.loadings import CORRELATED, RANDOM, Loadings
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.mass_budget_rows import Rows
    from pipelines.kernels.budget.years import Year
    from pipelines.settings_mass_budget import MassBudgetChoices, Model

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Terms of one member, (year, region) [kg yr⁻¹], and what they depend on."""

    ice_flux: FLOAT
    sliver_smb: FLOAT
    volume: FLOAT
    sliver_melt: FLOAT
    smb: FLOAT
    melt: FLOAT
    sliver_area: FLOAT
    discharge: FLOAT
    balance: FLOAT

    def by_quantity(self) -> FLOAT:
        """Return them in the order of the contract's names, (quantity, year, region)."""
        return np.stack([
            self.ice_flux, self.sliver_smb, self.volume, self.sliver_melt, self.discharge,
            self.smb, self.melt, self.balance,
        ])  # fmt: skip


@dataclass(frozen=True)
class BudgetJob:
    """``budget``: every member's terms; there are few numbers here, so one key makes them all."""

    choices: MassBudgetChoices
    models: tuple[Model, ...]
    records: tuple[str, ...]
    cases: tuple[tuple[int, int, int], ...]
    members: tuple[tuple[int, int], ...]
    places: Rows
    years: tuple[Year, ...]
    has_reanalysis: bool

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write terms, replaced balances and covariances."""
        snows = self._snows(group)
        for number, (case, model) in enumerate(self.members):
            terms = self._terms(group, case, snows[model])
            values = self._rows(terms.by_quantity())
            stored.write(group, "budget", values, number)
            spread, by_term = self._covariance(group, case, terms, snows[model])
            stored.write(group, "budget_covariance", spread, number)
            stored.write(group, "balance_term_covariance", by_term, number)
            replaced = self._rows(self._replaced(terms))
            stored.write(group, "replaced_mass_balance", replaced, number)
            spread = self._replaced_covariance(group, case, terms, snows[model])
            stored.write(group, "replaced_covariance", spread, number)
        hindcast = [np.sqrt(each.hindcast**2 @ self.places.matrix().T) for each in snows]
        stored.write(group, "hindcast_sigma", np.stack(hindcast))
        stored.write(group, "is_extended", np.stack([each.extended for each in snows]))
        return Receipt(key, "done")

    def _snows(self, group: zarr.Group) -> list[Snow]:
        """Return the surface mass balance of each model; NaN throughout if there is none."""
        if not self.models:
            shape = (len(self.years), len(self.places.regions))
            # Without a model nothing is known of snow: discharge then has no term for slivers.
            sets = len({case[0] for case in self.cases})
            none, length = np.zeros(shape), np.ones((shape[0], 1))
            rate, below = np.full(shape, np.nan), np.zeros((sets, *shape))
            return [Snow(rate, below, rate[0], none, length, none[0], none[0], none[0])]
        records = snow.read(group, self.records, has_reanalysis=self.has_reanalysis)
        choices = self.choices.surface_mass_balance
        return [
            snow.snow_of(model, records, self.years, self.places, choices) for model in self.models
        ]

    def _terms(self, group: zarr.Group, case: int, fallen: Snow) -> Terms:
        """Return the terms of one member by year and region: equations 2 and 3."""
        gate_set = self.cases[case][0]
        flux = stored.read(group, "case_ice_flux", case)
        volume, sliver_melt = (
            np.broadcast_to(stored.read(group, name, gate_set), flux.shape)
            for name in ("volume_rate", "sliver_melt")
        )
        melt = np.broadcast_to(stored.read(group, "region_melt"), flux.shape)
        below, density = fallen.in_slivers[gate_set], self.choices.density
        out = balance.discharge(flux, below, volume, density=density, sliver_melt=sliver_melt)
        out = np.where(stored.values(group, "is_closed", gate_set) == 1, out, np.nan)
        return Terms(
            ice_flux=flux,
            sliver_smb=below,
            volume=balance.dynamic_mass_rate(volume, density=density),
            sliver_melt=sliver_melt,
            smb=fallen.rate,
            melt=melt,
            sliver_area=np.broadcast_to(
                stored.read(group, "sliver_area_gross", gate_set), flux.shape
            ),
            discharge=out,
            balance=balance.mass_balance(fallen.rate, out, melt),
        )

    def _rows(self, values: FLOAT) -> FLOAT:
        """Return values of regions and groups, (..., row)."""
        groups = balance.group_sums(values, self.places.group_matrix())
        return np.concatenate([values, groups], axis=-1)

    def _errors(self, terms: Terms, fallen: Snow) -> dict[str, Loadings]:
        """Return the errors of each term apart from the flux, by year and region."""
        sizes = self.choices.uncertainty
        bias = uncertainty.SMB_READINGS[
            "model_bias"
            if sizes.surface_mass_balance_between_regions == "common"
            else "independent_regions"
        ]

        def relative(values: FLOAT, size: float, structure: loadings.Structure) -> Loadings:
            return uncertainty.relative_loadings(np.asarray(values), structure, relative=size)

        return {
            "sliver_smb": relative(terms.sliver_smb, sizes.surface_mass_balance, bias),
            "dynamic_volume": loadings.stacked([
                relative(-terms.volume, sizes.dynamic_volume, CORRELATED),
                uncertainty.sigma_loadings(self._thinning_sigma(terms.sliver_area), CORRELATED),
            ]),
            "sliver_melt": relative(-terms.sliver_melt, sizes.basal_melt, CORRELATED),
            "smb": relative(terms.smb, sizes.surface_mass_balance, bias),
            "hindcast": loadings.stacked([
                uncertainty.sigma_loadings(fallen.extension_sigma(), RANDOM),
                uncertainty.sigma_loadings(fallen.ratio_sigma(), CORRELATED),
                uncertainty.sigma_loadings(fallen.coast_sigma(), CORRELATED),
            ]),
            "melt": relative(terms.melt, sizes.basal_melt, CORRELATED),
            "density": uncertainty.density_loadings(
                terms.ice_flux, terms.volume, density=self.choices.density,
                sigma_density=sizes.density_sigma,
            ),
        }  # fmt: skip

    def _thinning_sigma(self, area: FLOAT) -> FLOAT:
        """Return what errors of elevation rates, alike within patches, do to slivers [kg yr⁻¹].

        ::

            σ = ρ s √(A · min(A, L²))       rate's σ s, area A, side of a patch L
        """
        sizes, size = self.choices.uncertainty, np.abs(area)
        patch = np.minimum(size, (1000.0 * sizes.correlation_km) ** 2)
        rate = self.choices.density * sizes.elevation_rate_sigma_m_per_yr
        return np.asarray(rate * np.sqrt(size * patch))

    def _discharge(self, errors: dict[str, Loadings]) -> dict[str, Loadings]:
        """Return the errors of discharge but for the flux's thickness and velocity."""
        melts = errors["sliver_melt"]
        return {
            "density": errors["density"],
            "sliver_smb": errors["sliver_smb"],
            "dynamic_volume": errors["dynamic_volume"],
            "basal_melt": melts,
        }

    def _balance(self, errors: dict[str, Loadings]) -> dict[str, Loadings]:
        """Return the errors of the balance: snow below the gate errs with that of the region."""
        below = self._discharge(errors)
        # One map of melt: what it errs by below the gate it errs by in the region.
        melt = below.pop("basal_melt").scaled(-1.0).plus(errors["melt"].scaled(-1.0))
        terms = uncertainty.balance_terms(below, errors["smb"], one_model=bool(self.models))
        terms["basal_melt"] = melt
        return terms | {"hindcast": errors["hindcast"]}

    def _covariance(
        self, group: zarr.Group, case: int, terms: Terms, fallen: Snow
    ) -> tuple[FLOAT, FLOAT]:
        """Return the covariance between years, by quantity and by source of the balance's error.

        Shapes (quantity, row, year, year) and (error term, row, year, year).
        """
        errors, rows = self._errors(terms, fallen), self.places.matrix()
        of_flux = stored.read(group, "case_flux_covariance", case)[:, : len(rows)]
        placed = dict(zip(FLUX_TERMS, of_flux, strict=True))
        at_gate = placed["thickness"] + placed["velocity"]

        def own(*parts: Loadings) -> FLOAT:
            return row_covariance(loadings.stacked(list(parts)).grouped(rows))

        found = {
            "ice_flux": of_flux.sum(axis=0),
            "smb_gate_to_grounding_line": own(errors["sliver_smb"]),
            "dynamic_volume_change": own(errors["dynamic_volume"]),
            "basal_melt_gate_to_line": own(errors["sliver_melt"]),
            "discharge": at_gate + own(*self._discharge(errors).values()),
            "surface_mass_balance": own(errors["smb"], errors["hindcast"]),
            "basal_melt": own(errors["melt"]),
        }
        by_term = placed | {name: own(term) for name, term in self._by_term(errors).items()}
        terms_of = np.stack([by_term[name] for name in ERROR_TERMS])
        found["mass_balance"] = terms_of.sum(axis=0)
        return np.stack([found[name] for name in QUANTITIES]), terms_of

    def _by_term(self, errors: dict[str, Loadings]) -> dict[str, Loadings]:
        """Return the errors of the balance by the names that are told."""
        terms = self._balance(errors)
        return {name: terms[name] for name in ERROR_TERMS if name in terms}

    def _replaced(self, terms: Terms) -> FLOAT:
        """Return the balance of regions with replacements, (year, region)."""
        given = [
            replacement.Replacement(
                each.region, each.value * KG_PER_GT, each.uncertainty * KG_PER_GT, each.source
            )
            for each in self.choices.replacements
        ]
        return replacement.replace(terms.balance, self.places.regions, given).replaced

    def _replaced_covariance(
        self, group: zarr.Group, case: int, terms: Terms, fallen: Snow
    ) -> FLOAT:
        """Return the covariance of replaced balances between years, (row, year, year)."""
        rows, regions = self.places.matrix(), len(self.places.regions)
        out = self.places.is_replaced()
        sigma = np.zeros(regions)
        for each in self.choices.replacements:
            sigma[self.places.regions.index(each.region)] = each.uncertainty * KG_PER_GT
        terms_of = uncertainty.with_replacement(
            self._balance(self._errors(terms, fallen)), out, sigma
        )
        own = row_covariance(loadings.total(terms_of).grouped(rows))
        of_flux = stored.read(group, "case_flux_covariance", case)[:2].sum(axis=0)
        # A region that is replaced has nothing of the flux; groups come again without it.
        at_gate = np.concatenate([of_flux[:regions], of_flux[len(rows) :]])
        at_gate[:regions][out] = 0.0
        return np.asarray(own + at_gate)
