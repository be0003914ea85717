"""The oracle of a combination: its members written out, pair by pair.

24 members of gravimetry and 112 of altimetry make 2688 pairs, combined as equations 3 to 5 of
Sasgen et al. (2019) are printed.
"""

import dataclasses

import numpy as np
import zarr
from numpy.typing import NDArray

from pipelines import stored

from .conftest import (
    DEGREE,
    RESULT_DEGREE,
    Document,
    Products,
    changed,
    harmonics_at,
    on_sphere,
    opened,
)

FLOAT = NDArray[np.float64]
WIDTH = 3
PAIRS = (24, 112)
ROWS, COLUMNS = np.array([0, 4, 11, 14, 18, 19, 25, 37]), np.array([37, 8, 20, 6, 19, 3, 30, 0])
"""Cells of the map that are looked at: sea, coasts, beside the pole, corners."""
DEGREES = np.arange(RESULT_DEGREE + 1)[:, None]


@dataclasses.dataclass(frozen=True)
class Ensembles:
    """Members written out: (k, 2, J + 1, J + 1) and (l, 2, J + 1, J + 1)."""

    gravimetry: FLOAT
    altimetry: FLOAT

    @classmethod
    def of(cls, products: Products) -> "Ensembles":
        """Write out the members of both products: rate + perturbation − rebound, and mixing."""
        gravimetry, altimetry = opened(products.gravimetry), opened(products.altimetry)
        rate, perturbations, rebounds = (
            stored.read(gravimetry, name)
            for name in ("mass_rate_coefficients", "mass_rate_perturbation", "mass_rate_gia")
        )
        mixing, basis = (stored.read(altimetry, name) for name in ("mixing", "mass_rate_basis"))
        members = np.array([rate + p - g for p in perturbations for g in rebounds])
        return cls(members, np.tensordot(mixing, basis, axes=1))

    def weight(self, *, printed: bool = False) -> FLOAT:
        """Return w_G as equations 3 and 4 are printed, with 1 / v; altimetry has what is 0 / 0."""
        v_g, v_c = self.gravimetry.var(axis=0), self.altimetry.var(axis=0)
        taper = 1.0 - np.clip((DEGREES - (DEGREE - WIDTH)) / WIDTH, 0.0, 1.0) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            if printed:  # the deviation of gravimetry times the taper, and none beyond its degree
                inverse = np.where(DEGREES <= DEGREE, 1.0 / (v_g * taper**2), 0.0)
            else:
                inverse = np.where(taper > 0.0, taper / v_g, 0.0)
            weight = inverse / (inverse + 1.0 / v_c)
        weight[np.isinf(inverse) & (v_c > 0.0)] = 1.0
        return np.nan_to_num(weight, nan=0.0)

    def combined(self, weight: FLOAT) -> FLOAT:
        """Return all pairs, equation 5, shape (k · l, 2, J + 1, J + 1)."""
        pairs = (weight * self.gravimetry)[:, None] + ((1.0 - weight) * self.altimetry)[None]
        return pairs.reshape(-1, *weight.shape)

    def mismatch(self) -> FLOAT:
        """Return the mean square difference of degrees 2 to 30 over both variances, (k, l)."""
        both = self.gravimetry.var(axis=0) + self.altimetry.var(axis=0)
        counted = (both > 0.0) & (DEGREES >= 2) & (DEGREES <= DEGREE)
        return np.array([
            np.mean(np.square(g - self.altimetry)[:, counted] / both[counted], axis=1)
            for g in self.gravimetry
        ])  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Brute:
    """All pairs of members, in every space: (pair, …)."""

    coefficients: FLOAT
    regions: FLOAT
    nodes: FLOAT

    @classmethod
    def of(cls, pairs: FLOAT, products: Products) -> "Brute":
        """Take pairs of coefficients to regions and to the cells that are looked at."""
        kernels = stored.read(opened(products.altimetry), "region_kernel")
        harmonics = harmonics_on_map(products)
        over = ([1, 2, 3], [1, 2, 3])
        return cls(
            pairs,
            np.tensordot(pairs, kernels, axes=over),
            np.tensordot(pairs, harmonics, axes=over),
        )

    def assert_moments(self, group: zarr.Group, omega: FLOAT | None = None) -> None:
        """Compare mean and variance of coefficients, regions and nodes, before any correction."""
        weights = np.full(len(self.regions), 1.0 / len(self.regions)) if omega is None else omega
        found = stored.read(group, "mass_rate_coefficients")
        mean, variance = moments(self.coefficients, weights)
        close(found, mean)
        close(stored.read(group, "mass_rate_variance"), variance)
        mean, _ = moments(self.regions, weights)
        close(stored.read(group, "region_mass_rate_uncorrected"), mean)
        covariance = np.cov(self.regions.T, aweights=weights, ddof=0)
        close(stored.read(group, "region_mass_rate_covariance"), covariance)
        mean, variance = moments(self.nodes, weights)
        close(stored.read(group, "mass_rate")[ROWS, COLUMNS], mean)
        close(stored.read(group, "mass_rate_sigma")[ROWS, COLUMNS], np.sqrt(variance))


def moments(members: FLOAT, weights: FLOAT) -> tuple[FLOAT, FLOAT]:
    mean = np.tensordot(weights, members, axes=1)
    return mean, np.tensordot(weights, np.square(members - mean), axes=1)


def close(found: FLOAT, expected: FLOAT, *, part: float = 1e-10) -> None:
    """Compare to a part of the largest: sums of 10⁴ products of both signs."""
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=part * np.abs(expected).max())


def harmonics_on_map(products: Products) -> FLOAT:
    """Return Y at the cells that are looked at, by SciPy."""
    group = opened(products.combination)
    x, y = stored.read(group, "x"), stored.read(group, "y")
    return harmonics_at(*on_sphere(x[COLUMNS], y[ROWS]), j_max=RESULT_DEGREE)


def choose(document: Document, **choices: object) -> Document:
    """Return a run file of a combination with other choices."""
    return changed(document, combination=changed(document["combination"], **choices))
