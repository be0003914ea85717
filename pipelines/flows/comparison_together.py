"""All methods together, row by row: covariance, combined estimates, closures, causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    leaning: Mapping[str, str]

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write covariances, combined estimates, closures and causes."""
        together = Together.read(group, self.choices.shared, self.leaning)
        there = [name for name in _MADE if name in group]
        made = {name: np.full(stored.array(group, name).shape, np.nan) for name in there}
        usable = together.usable(self.choices.least_covered)
        kinds = dict(zip(together.names, self.kinds, strict=True))
        for row in range(usable.shape[1]):
            told = [name for name, on in zip(together.names, usable[:, row], strict=True) if on]
            _close(together, told, made, row)
            kept = [name for name in self.combined if name in told]
            if kept:
                _combine(labels_of(group, "estimate"), together, kept, kinds, made, row)
        said = self._explain(group, together, usable, made)
        left = [name for name, told in zip(together.names, usable, strict=True) if not told.any()]
        if left:
            said += f"; not compared for want of years or rates: {', '.join(left)}"
        for name, values in {**made, "rate_covariance": together.covariance}.items():
            stored.write(group, name, values)
        return Receipt(key, "done", note=said)

    def _explain(
        self,
        group: zarr.Group,
        together: Together,
        usable: NDArray[np.bool_],
        made: dict[str, FLOAT],
    ) -> str:
        """Fill in how well each cause explains the disagreements of regions; name the best."""
        names, labels = together.names, labels_of(group, "cause")
        usable = usable[:, : self.regions]
        members = [names.index(name) for name in self.combined if usable[names.index(name)].any()]
        rows = np.flatnonzero(np.all(usable[members], axis=0)).astype(np.int64)
        if len(members) < 2 or not len(rows) or not labels:
            return "no disagreement to explain"
        moved = [names.index(label.rpartition("@")[2]) for label in labels]
        held = stored.read(group, "cause_effect") / KG_PER_GT
        patterns = {
            label: _differences(held[members, n][:, rows])
            for n, (label, method) in enumerate(zip(labels, moved, strict=True))
            if method in members and np.isfinite(held[members, n][:, rows]).all()
        }
        try:
            apart = together.disagreements(members, rows)
            found = attribution.causes(*apart, patterns, _expected(group, labels, moved))
        except EstimateError as error:
            return f"no cause is asked about: {error}"
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
        weak = "" if first.evidence > attribution.BY_CHANCE else ", no more than chance gives"
        return f"likeliest cause: {first.name}, ln B {first.evidence:.1f}{weak}"


def _combine(
    estimates: tuple[str, ...],
    together: Together,
    kept: list[str],
    kinds: dict[str, str],
    made: dict[str, FLOAT],
    row: int,
) -> None:
    """Fill in what the methods that are combined say together, and without each in turn."""
    found, methods = together.among(row, kept), together.names
    told = {
        "generalised_least_squares": combining.generalised_mean(found),
        "imbie": combining.imbie_mean(found, kinds),
    }
    for name in kept if len(kept) > 1 else ():
        others = [each for each in kept if each != name]
        told[f"without:{name}"] = combining.generalised_mean(together.among(row, others))
    for name, each in told.items():
        at = estimates.index(name), row
        made["combined"][at] = KG_PER_GT * each.value
        made["combined_sigma"][at] = KG_PER_GT * each.sigma
        made["combined_chi_square"][at] = each.chi_square
        made["combined_freedom"][at] = each.freedom
        members = [member for member in found.names if name != f"without:{member}"]
        for member, weight in zip(members, each.weights, strict=True):
            made["combined_weight"][at[0], methods.index(member), row] = weight


def _close(together: Together, told: list[str], made: dict[str, FLOAT], row: int) -> None:
    """Fill in the differences of every two methods.

    Two at a time: a cause that two methods share need not fit a third, which leans on one of them.
    """
    for number, (one, other) in enumerate(combinations(together.names, 2)):
        if one in told and other in told:
            apart = combining.difference(together.estimates(row, [one, other]), one, other)
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
    known : ndarray, shape (method, method, row, row)
        Covariance of two methods, one of which leans on the other [kg² yr⁻²].
    shares : ndarray, shape (method, method)
        Correlation of two methods by the causes that the run file says they share [1].
    covered : ndarray, shape (method, row)
        Share of the period [1].
    alone, alone_sigma : ndarray, shape (method, row)
        Rate and standard deviation without leaning on another method [kg yr⁻¹].
    leaning : mapping of str to str
        Methods that take from another what they do not see, and that other.
    """

    names: tuple[str, ...]
    rate: FLOAT
    own: FLOAT
    known: FLOAT
    shares: FLOAT
    covered: FLOAT
    alone: FLOAT
    alone_sigma: FLOAT
    leaning: Mapping[str, str]

    @classmethod
    def read(
        cls, group: zarr.Group, shared: tuple[Share, ...], leaning: Mapping[str, str]
    ) -> Together:
        """Return what the sums of the methods have written."""
        names = labels_of(group, "method")
        known = np.nan_to_num(stored.read(group, "mass_rate_shared"))
        return cls(
            names,
            stored.read(group, "mass_rate"),
            stored.read(group, "mass_rate_covariance"),
            known + np.transpose(known, (1, 0, 3, 2)),
            shared_correlation(names, shared),
            stored.read(group, "covered"),
            stored.read(group, "mass_rate_alone"),
            stored.read(group, "mass_rate_alone_sigma"),
            leaning,
        )

    @property
    def covariance(self) -> FLOAT:
        """Covariance between methods at each row, (row, method, method) [kg² yr⁻²]."""
        variance = np.einsum("mrr->rm", self.own)
        sigma = np.sqrt(np.nan_to_num(variance))
        found: FLOAT = np.einsum("mnrr->rmn", self.known) + self.shares * (
            sigma[:, :, None] * sigma[:, None, :]
        )
        each = np.arange(len(self.names))
        found[:, each, each] = variance
        return found

    def usable(self, least_covered: float) -> NDArray[np.bool_]:
        """Return which methods say something of a row, for enough of the period."""
        variance = np.einsum("rmm->mr", self.covariance)
        known = np.isfinite(self.rate) & np.isfinite(variance) & (variance > 0.0)
        return np.asarray(known & (self.covered >= least_covered))

    def estimates(self, row: int, names: Sequence[str]) -> Estimates:
        """Return what some methods say of a row [Gt yr⁻¹]."""
        chosen = [self.names.index(name) for name in names]
        rate = self.rate[chosen, row] / KG_PER_GT
        covariance = self.covariance[row][np.ix_(chosen, chosen)] / KG_PER_GT**2
        try:
            return Estimates(tuple(names), rate, covariance)
        except EstimateError as error:
            msg = f"{', '.join(names)}: {error}; lower the shares of comparison.shared"
            raise KeyFailed(msg) from error

    def among(self, row: int, names: Sequence[str]) -> Estimates:
        """Return what some methods say; those that lean on none of them say it alone [Gt yr⁻¹].

        Errors that two of them share are scaled with their own.
        """
        found = self.estimates(row, names)
        values, covariance = found.values.copy(), found.covariance.copy()
        for number, name in enumerate(names):
            at = self.names.index(name)
            if name in self.leaning and self.leaning[name] not in names:
                values[number] = self.alone[at, row] / KG_PER_GT
                scale = self.alone_sigma[at, row] / KG_PER_GT / found.sigmas[number]
                covariance[number] *= scale
                covariance[:, number] *= scale
        return Estimates(found.names, values, covariance)

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
            at = np.ix_(rows, rows)
            if one == other:
                return np.asarray(self.own[one][at])
            both = _root(self.own[one][at]) @ _root(self.own[other][at])
            return np.asarray(self.known[one, other][at] + self.shares[one, other] * both)

        return np.asarray(of(m, n) - of(m, first) - of(first, n) + of(first, first))


def _root(covariance: FLOAT) -> FLOAT:
    """Return the symmetric root of a covariance.

    Two methods that share a part of their errors share it over regions as each of them errs:
    with roots R₁ and R₂, the covariance s R₁ R₂ᵀ is one for every s up to 1.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def shared_correlation(names: tuple[str, ...], shared: tuple[Share, ...]) -> FLOAT:
    """Return the correlation of every two methods by causes of a run file, (method, method) [1].

    Nothing stands where a method meets itself.
    """
    found = np.zeros((len(names), len(names)))
    for cause in shared:
        parts = np.zeros(len(names))
        parts[[names.index(name) for name in cause.methods]] = cause.shares
        found += np.outer(parts, parts)
    np.fill_diagonal(found, 0.0)
    return found


def _expected(
    group: zarr.Group, labels: tuple[str, ...], moved: list[int]
) -> dict[str, attribution.Expected]:
    """Return what amplitude each cause would have, from the slot of the method that it moves."""
    held = stored.read(group, "cause_amplitude_expected")
    return {
        label: attribution.Expected(*(float(each) for each in held[method, n]))
        for n, (label, method) in enumerate(zip(labels, moved, strict=True))
    }


def _differences(effects: FLOAT) -> FLOAT:
    """Return what a cause does to the distances from the first method, by its (member, row)."""
    return np.asarray((effects[1:] - effects[0]).ravel())
