"""All methods together, row by row: covariance, combined estimates, closures, causes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import KeyFailed, Receipt
from pipelines import stored
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison import attribution, combining
from pipelines.kernels.comparison.estimates import EstimateError, Estimates
from pipelines.kernels.constants import KG_PER_GT

if TYPE_CHECKING:
    import zarr

    from pipelines.settings_comparison import ComparisonChoices, Share

FLOAT = NDArray[np.float64]


_MADE = (
    "combined", "combined_sigma", "combined_weight", "combined_chi_square", "combined_freedom",
    "closure", "closure_sigma", "cause_prior", "cause_evidence", "cause_amplitude",
    "cause_amplitude_sigma", "cause_explained",
)  # fmt: skip


@dataclass(frozen=True)
class TogetherJob:
    """``together``: there are few numbers here, so one key makes them all."""

    kinds: tuple[str, ...]
    combined: tuple[str, ...]
    regions: int
    choices: ComparisonChoices

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write covariances, combined estimates, closures and causes."""
        together = Together.read(group, self.choices.shared)
        made = {name: np.full(stored.array(group, name).shape, np.nan) for name in _MADE}
        usable = together.usable(self.choices.least_covered)
        kinds = dict(zip(together.names, self.kinds, strict=True))
        for row in range(usable.shape[1]):
            found = together.estimates(row, np.flatnonzero(usable[:, row]))
            if found is not None:
                _close(together.names, found, made, row)
                self._combine(labels_of(group, "estimate"), together, found, kinds, made, row)
        said = self._explain(group, together, usable, made)
        left = [name for name, told in zip(together.names, usable, strict=True) if not told.any()]
        if left:
            said += f"; not compared for want of years or rates: {', '.join(left)}"
        for name, values in {**made, "rate_covariance": together.covariance}.items():
            stored.write(group, name, values)
        return Receipt(key, "done", note=said)

    def _combine(
        self,
        estimates: tuple[str, ...],
        together: Together,
        found: Estimates,
        kinds: dict[str, str],
        made: dict[str, FLOAT],
        row: int,
    ) -> None:
        """Fill in what the methods that are combined say together, and without each in turn."""
        kept = [name for name in self.combined if name in found.names]
        if not kept:
            return
        chosen = found.of(kept)
        told = {
            "generalised_least_squares": combining.generalised_mean(chosen),
            "imbie": combining.imbie_mean(chosen, kinds),
        }
        if len(kept) > 1:
            left = combining.leave_one_out(chosen)
            told |= {f"without:{name}": mean for name, (mean, _) in left.items()}
        for name, each in told.items():
            at = estimates.index(name), row
            made["combined"][at] = KG_PER_GT * each.value
            made["combined_sigma"][at] = KG_PER_GT * each.sigma
            made["combined_chi_square"][at] = each.chi_square
            made["combined_freedom"][at] = each.freedom
            members = [member for member in kept if name != f"without:{member}"]
            for member, weight in zip(members, each.weights, strict=True):
                made["combined_weight"][at[0], together.names.index(member), row] = weight

    def _explain(
        self,
        group: zarr.Group,
        together: Together,
        usable: NDArray[np.bool_],
        made: dict[str, FLOAT],
    ) -> str:
        """Fill in how well each cause explains the disagreements of regions; name the best."""
        names, labels = together.names, labels_of(group, "cause")
        members = [names.index(name) for name in self.combined if usable[names.index(name)].any()]
        everywhere = np.asarray(np.all(usable[members], axis=0), dtype=np.bool_)
        rows = np.flatnonzero(everywhere[: self.regions]).astype(np.int64)
        if len(members) < 2 or not len(rows) or not labels:
            return "no disagreement to explain"
        moved = [names.index(label.rpartition("@")[2]) for label in labels]
        held = stored.read(group, "cause_effect") / KG_PER_GT
        patterns = {
            label: _differences(held[method, n, rows], method, members)
            for n, (label, method) in enumerate(zip(labels, moved, strict=True))
            if method in members and np.isfinite(held[method, n, rows]).all()
        }
        try:
            apart = together.disagreements(members, rows)
            found = attribution.causes(*apart, patterns, _expected(group, labels, moved))
        except EstimateError as error:
            msg = f"causes: {error}"
            raise KeyFailed(msg) from error
        odds = stored.read(group, "cause_odds")
        for each in found:
            slot = labels.index(each.name)
            made["cause_prior"][slot] = odds[moved[slot], slot]
            made["cause_evidence"][slot] = each.evidence
            made["cause_explained"][slot] = each.explained
            made["cause_amplitude"][slot] = each.amplitude
            made["cause_amplitude_sigma"][slot] = each.sigma
        if not found:
            return "no cause to ask about"
        first = max(
            found, key=lambda each: each.evidence + made["cause_prior"][labels.index(each.name)]
        )
        return f"likeliest cause: {first.name}, ln B {first.evidence:.1f}"


def _close(names: tuple[str, ...], found: Estimates, made: dict[str, FLOAT], row: int) -> None:
    """Fill in the differences of every two methods."""
    for number, (one, other) in enumerate(combinations(names, 2)):
        if one in found.names and other in found.names:
            apart = combining.difference(found, one, other)
            made["closure"][number, row] = KG_PER_GT * apart.value
            made["closure_sigma"][number, row] = KG_PER_GT * apart.sigma


@dataclass(frozen=True, eq=False)
class Together:
    """The rates of all methods.

    Attributes
    ----------
    names : tuple of str
        Methods.
    rate : ndarray, shape (method, row)
        [kg yr⁻¹].
    own : ndarray, shape (method, row, row)
        Covariance of each method between rows [kg² yr⁻²].
    crossed : ndarray, shape (method, method, row, row)
        Covariance between two methods [kg² yr⁻²].
    covered : ndarray, shape (method, row)
        Share of the period [1].
    """

    names: tuple[str, ...]
    rate: FLOAT
    own: FLOAT
    crossed: FLOAT
    covered: FLOAT

    @classmethod
    def read(cls, group: zarr.Group, shared: tuple[Share, ...]) -> Together:
        """Return what the sums of the methods have written."""
        return cls(
            labels_of(group, "method"),
            stored.read(group, "mass_rate"),
            stored.read(group, "mass_rate_covariance"),
            between_methods(group, shared),
            stored.read(group, "covered"),
        )

    @property
    def covariance(self) -> FLOAT:
        """Covariance between methods at each row, (row, method, method) [kg² yr⁻²]."""
        found: FLOAT = np.einsum("mnrr->rmn", self.crossed).copy()
        each = np.arange(len(self.names))
        found[:, each, each] = np.einsum("mrr->rm", self.own)
        return found

    def usable(self, least_covered: float) -> NDArray[np.bool_]:
        """Return which methods say something of a row, for enough of the period."""
        variance = np.einsum("rmm->mr", self.covariance)
        known = np.isfinite(self.rate) & np.isfinite(variance) & (variance > 0.0)
        return np.asarray(known & (self.covered >= least_covered))

    def estimates(self, row: int, chosen: NDArray[np.int64]) -> Estimates | None:
        """Return what some methods say of a row [Gt yr⁻¹]; None where none says anything."""
        if not len(chosen):
            return None
        names = tuple(self.names[i] for i in chosen)
        rate = self.rate[chosen, row] / KG_PER_GT
        covariance = self.covariance[row][np.ix_(chosen, chosen)] / KG_PER_GT**2
        try:
            return Estimates(names, rate, covariance)
        except EstimateError as error:
            msg = f"{', '.join(names)}: {error}; lower the shares of comparison.shared"
            raise KeyFailed(msg) from error

    def disagreements(self, members: list[int], rows: NDArray[np.int64]) -> tuple[FLOAT, FLOAT]:
        """Return how far methods lie from the first, region by region [Gt yr⁻¹], and its spread."""
        rate = self.rate[:, rows] / KG_PER_GT
        first, others = members[0], members[1:]
        apart = np.concatenate([rate[m] - rate[first] for m in others])
        whole = np.block([[self._block(rows, first, m, n) for n in others] for m in others])
        return apart, 0.5 * (whole + whole.T) / KG_PER_GT**2

    def _block(self, rows: NDArray[np.int64], first: int, m: int, n: int) -> FLOAT:
        """Return the covariance of two methods' distances from the first, (row, row)."""

        def of(one: int, other: int) -> FLOAT:
            held = self.own[one] if one == other else self.crossed[one, other]
            return np.asarray(held[np.ix_(rows, rows)])

        return np.asarray(of(m, n) - of(m, first) - of(first, n) + of(first, first))


def between_methods(group: zarr.Group, shared: tuple[Share, ...]) -> FLOAT:
    """Return the covariance between methods, (method, method, row, row) [kg² yr⁻²].

    What one leans on is known by members; other shared causes are those of the run file, which are
    taken as independent between regions. Nothing stands where a method meets itself.
    """
    names = labels_of(group, "method")
    known = np.nan_to_num(stored.read(group, "mass_rate_shared"))
    crossed = known + np.transpose(known, (1, 0, 3, 2))
    variance = np.einsum("mrr->mr", stored.read(group, "mass_rate_covariance"))
    sigma, rows = np.sqrt(np.nan_to_num(variance)), np.arange(variance.shape[1])
    for cause in shared:
        for one, part in zip(cause.methods, cause.shares, strict=True):
            for other, part_2 in zip(cause.methods, cause.shares, strict=True):
                if one != other:
                    i, j = names.index(one), names.index(other)
                    crossed[i, j, rows, rows] += part * part_2 * sigma[i] * sigma[j]
    return np.asarray(crossed)


def _expected(
    group: zarr.Group, labels: tuple[str, ...], moved: list[int]
) -> dict[str, attribution.Expected]:
    """Return what amplitude each cause would have, from the slot of the method that it moves."""
    held = stored.read(group, "cause_amplitude_expected")
    return {
        label: attribution.Expected(*(float(each) for each in held[method, n]))
        for n, (label, method) in enumerate(zip(labels, moved, strict=True))
    }


def _differences(pattern: FLOAT, moved: int, members: list[int]) -> FLOAT:
    """Return what a pattern of one method does to the distances from the first."""
    first, others = members[0], members[1:]
    factors = [float(m == moved) - float(first == moved) for m in others]
    return np.concatenate([factor * pattern for factor in factors])
