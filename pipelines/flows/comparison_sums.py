"""What one method says of the common regions and period, in one record whatever it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.comparison_arrays import TERMS
from pipelines.flows.product_arrays import labels_of
from pipelines.kernels.comparison.attribution import SIZED, Expected

if TYPE_CHECKING:
    import zarr

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class MethodSum:
    """A method on common ground.

    Attributes
    ----------
    rate : ndarray, shape (row,)
        Rate of mass [kg yr⁻¹].
    covariance : ndarray, shape (row, row)
        Of its errors between regions [kg² yr⁻²].
    covered : float or ndarray, shape (row,)
        Share of the period that it covers [1].
    mass, mass_sigma : ndarray, shape (row, month), or None
        Mass beside its mean over the period, NaN in gaps [kg].
    shared : mapping of str to ndarray, shape (row, row)
        Covariance with methods that it leans on: of its rows and theirs [kg² yr⁻²].
    terms : mapping of str to (ndarray, ndarray)
        Terms of a budget and their standard deviations [kg yr⁻¹].
    patterns : mapping of str to ndarray, shape (row,)
        What one plausible error of a cause adds to the rate [kg yr⁻¹].
    moved : mapping of str to ndarray, shape (row,)
        What such errors of other methods add to it, by cause and method, ``CAUSE@METHOD``.
    expected : mapping of str to Expected
        What amplitude causes would have, where it is not that of an error of some size.
    odds : mapping of str to float
        Logarithm of how much likelier than others a cause is before rates are looked at; 0 for
        those that are not named.
    lost : ndarray, shape (row,), or None
        What of the rate the method did not see itself [kg yr⁻¹].
    alone : (ndarray, ndarray), shapes (row,), or None
        Rate and standard deviation without leaning on another method [kg yr⁻¹].
    """

    rate: FLOAT
    covariance: FLOAT
    covered: float | FLOAT
    mass: FLOAT | None = None
    mass_sigma: FLOAT | None = None
    shared: Mapping[str, FLOAT] = field(default_factory=dict)
    terms: Mapping[str, tuple[FLOAT, FLOAT]] = field(default_factory=dict)
    patterns: Mapping[str, FLOAT] = field(default_factory=dict)
    moved: Mapping[str, FLOAT] = field(default_factory=dict)
    expected: Mapping[str, Expected] = field(default_factory=dict)
    odds: Mapping[str, float] = field(default_factory=dict)
    lost: FLOAT | None = None
    alone: tuple[FLOAT, FLOAT] | None = None

    def write(self, group: zarr.Group, method: str) -> None:
        """Write the slot of the method in every array."""
        names = labels_of(group, "method")
        slot = names.index(method)
        stored.write(group, "mass_rate", self.rate, slot)
        stored.write(group, "mass_rate_covariance", self.covariance, slot)
        stored.write(group, "covered", np.zeros_like(self.rate) + self.covered, slot)
        if self.mass is not None and self.mass_sigma is not None:
            stored.write(group, "mass", self.mass, slot)
            stored.write(group, "mass_sigma", self.mass_sigma, slot)
        nothing = np.zeros_like(self.rate)
        alone = np.zeros_like(self.covariance)
        shared = np.stack([self.shared.get(name, alone) for name in names])
        stored.write(group, "mass_rate_shared", shared, slot)
        stored.write(group, "mass_rate_lost", nothing if self.lost is None else self.lost, slot)
        alone_rate, alone_sigma = self.alone or (self.rate, np.sqrt(np.diag(self.covariance)))
        stored.write(group, "mass_rate_alone", alone_rate, slot)
        stored.write(group, "mass_rate_alone_sigma", alone_sigma, slot)
        unknown = np.full_like(self.rate, np.nan), np.full_like(self.rate, np.nan)
        for number, name in enumerate(("term", "term_sigma")):
            told = np.stack([self.terms.get(term, unknown)[number] for term in TERMS])
            stored.write(group, name, told, slot)
        patterns = [label.rpartition("@") for label in labels_of(group, "cause")]
        held = [
            self.patterns[c] if m == method else self.moved.get(f"{c}@{m}", nothing)
            for c, _, m in patterns
        ]
        if held:
            stored.write(group, "cause_effect", np.stack(held), slot)
            odds = [self.odds.get(c, 0.0) if m == method else 0.0 for c, _, m in patterns]
            stored.write(group, "cause_odds", np.array(odds), slot)
            prior = [self.expected.get(c, SIZED) if m == method else SIZED for c, _, m in patterns]
            moments = np.array([[each.mean, each.spread] for each in prior])
            stored.write(group, "cause_amplitude_expected", moments, slot)


def centred(mass: FLOAT) -> FLOAT:
    """Return masses (row, month) beside their mean over the months that are there."""
    there = np.isfinite(mass)
    count = np.maximum(there.sum(axis=-1, keepdims=True), 1)
    mean = np.where(there, mass, 0.0).sum(axis=-1, keepdims=True) / count
    return np.asarray(mass - mean)


def straight(rate: FLOAT, sigma: FLOAT, months: NDArray[np.datetime64]) -> tuple[FLOAT, FLOAT]:
    """Return the masses of a steady rate and their spread, (row, month) [kg]."""
    since = years_of(months)
    since = since - since.mean()
    return rate[:, None] * since, sigma[:, None] * np.abs(since)


def years_of(months: NDArray[np.datetime64]) -> FLOAT:
    """Return the middles of months in years since 1970, of 365.25 days."""
    from pipelines.kernels.constants import DAYS_PER_YEAR

    first = months.astype("datetime64[D]").astype(np.float64)
    after = (months + 1).astype("datetime64[D]").astype(np.float64)
    return np.asarray(0.5 * (first + after) / DAYS_PER_YEAR)


def months_of(epoch: FLOAT) -> NDArray[np.datetime64]:
    """Return the months in which decimal years lie.

    >>> months_of(np.array([2011.0, 2011.0 + 58.9 / 365.0, 2012.0 + 60.0 / 366.0]))
    array(['2011-01', '2011-02', '2012-03'], dtype='datetime64[M]')
    """
    year = (np.floor(epoch).astype(np.int64) - 1970).astype("datetime64[Y]")
    first, after = year.astype("datetime64[m]"), (year + 1).astype("datetime64[m]")
    since = np.rint((epoch - np.floor(epoch)) * (after - first).astype(np.float64))
    return np.asarray((first + since.astype("timedelta64[m]")).astype("datetime64[M]"))


def member_covariance(members: FLOAT, weights: FLOAT | None = None) -> FLOAT:
    """Return the population covariance of members (n, row) under weights that sum to 1."""
    weight = np.full(len(members), 1.0 / len(members)) if weights is None else weights
    apart = (members - weight @ members) * np.sqrt(weight)[:, None]
    return np.asarray(apart.T @ apart)


def months_in(group: zarr.Group) -> NDArray[np.datetime64]:
    """Return the months of a comparison."""
    return stored.values(group, "month").astype("datetime64[D]").astype("datetime64[M]")
