"""The arrays of a comparison: what each method says of the common regions, and all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import comparison_dynamics
from pipelines.flows.product_arrays import PARTS, Array, coordinate, labels, whole
from pipelines.flows.product_arrays import create as create_arrays

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.comparison_dynamics import DamageOf

FLUX, MASS = "kg yr-1", "kg"

TERMS = ("surface_mass_balance", "discharge")
"""Terms of a budget that are told beside its balance."""


@dataclass(frozen=True)
class Layout:
    """What the sizes and coordinates of a comparison follow from.

    Attributes
    ----------
    methods, rows : tuple of str
        Methods; polygons and then groups of them.
    regions : int
        How many of the rows are polygons.
    months : ndarray of datetime64[M], shape (month,)
        Months of the period.
    patterns : tuple of (str, str)
        A cause and the method that it moves.
    combined : tuple of str
        Methods of the combined estimate.
    mask_degree : int
        Degree of the kernels by which a mask is asked whether it is wrong; 0 for none.
    shelves : tuple of DamageOf
        Ice shelves whose damage stands beside discharge.
    longest_lag : int
        Of their correlation [yr].
    attributes : dict
        Provenance.
    """

    methods: tuple[str, ...]
    rows: tuple[str, ...]
    regions: int
    months: NDArray[np.datetime64]
    patterns: tuple[tuple[str, str], ...]
    combined: tuple[str, ...]
    mask_degree: int
    shelves: tuple[DamageOf, ...]
    longest_lag: int
    attributes: dict[str, Any]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every two methods, in their order."""
        return tuple(
            (one, other) for i, one in enumerate(self.methods) for other in self.methods[i + 1 :]
        )

    @property
    def estimates(self) -> tuple[str, ...]:
        """Names of the combined estimates."""
        out = tuple(f"without:{name}" for name in self.combined) if len(self.combined) > 1 else ()
        return ("generalised_least_squares", "imbie", *out)

    def bytes(self) -> int:
        """Return the size of the arrays, uncompressed [B]."""
        return sum(array.bytes() for array in arrays(self))


def arrays(layout: Layout) -> list[Array]:
    """Return every array that keys of work fill; one method has no pairs, and no array of them."""
    wanted = [
        *_by_method(layout),
        *_together(layout),
        *_mask(layout),
        *comparison_dynamics.arrays(layout.shelves, layout.longest_lag),
    ]
    return [array for array in wanted if 0 not in array.shape]


def _mask(layout: Layout) -> list[Array]:
    """Return what a narrower mask takes from each region."""
    if not layout.mask_degree:
        return []
    r, side = len(layout.rows), layout.mask_degree + 1
    return [
        whole("mask_kernel", ("row", "part", "degree", "order"), (r, PARTS, side, side), "m2",
              "kernel of the regions on a narrower mask, less that of the regions"),
        whole("mask_area", ("row",), (r,), "m2", "area that a narrower mask takes from a region"),
    ]  # fmt: skip


def _by_method(layout: Layout) -> list[Array]:
    m, r, t = len(layout.methods), len(layout.rows), len(layout.months)

    def array(name: str, dims: tuple[str, ...], sizes: tuple[int, ...], unit: str, about: str
              ) -> Array:  # fmt: skip
        return Array(name, ("method", *dims), (m, *sizes), (1, *sizes), unit, about)

    p = len(layout.patterns)
    return [
        array("mass_rate", ("row",), (r,), FLUX, "rate of mass over the common period and regions"),
        array("mass_rate_covariance", ("row", "row_2"), (r, r), "kg2 yr-2",
              "covariance of a method's rates between regions"),
        array("mass_rate_shared", ("method_2", "row", "row_2"), (m, r, r), "kg2 yr-2",
              "covariance of a method's rates and those of one that it leans on"),
        array("mass_rate_lost", ("row",), (r,), FLUX,
              "part of the rate that the method did not see itself"),
        array("mass_rate_alone", ("row",), (r,), FLUX,
              "rate without what the method takes from another"),
        array("mass_rate_alone_sigma", ("row",), (r,), FLUX, "one standard deviation of it"),
        array("covered", ("row",), (r,), "1", "share of the period that a method covers"),
        array("snow_by_months", ("row",), (r,), "1",
              "share of a row's area of which a budget counts the snow of the very months"),
        array("balance_replaced", ("row",), (r,), "1",
              "share of a row's area of which a budget's balance is from elsewhere"),
        array("mass", ("row", "month"), (r, t), MASS, "mass beside its mean over the period"),
        array("mass_sigma", ("row", "month"), (r, t), MASS, "one standard deviation of it"),
        array("term", ("budget_term", "row"), (len(TERMS), r), FLUX,
              "terms of a budget over the common period"),
        array("term_sigma", ("budget_term", "row"), (len(TERMS), r), FLUX,
              "one standard deviation of it"),
        array("cause_odds", ("cause",), (p,), "1",
              "logarithm of how much likelier a cause is than others before rates are looked at"),
        array("cause_amplitude_expected", ("cause", "moment"), (p, 2), "1",
              "mean and spread of the amplitude that a cause would have, in plausible errors"),
        array("cause_effect", ("cause", "row"), (p, r), FLUX,
              "what one plausible error of a cause adds to a method's rates"),
    ]  # fmt: skip


def _together(layout: Layout) -> list[Array]:
    m, r, e = len(layout.methods), len(layout.rows), len(layout.estimates)
    pairs, causes = len(layout.pairs), len(layout.patterns)
    return [
        whole("rate_covariance", ("row", "method", "method_2"), (r, m, m), "kg2 yr-2",
              "covariance between methods"),
        whole("combined", ("estimate", "row"), (e, r), FLUX, "combined rate of mass"),
        whole("combined_sigma", ("estimate", "row"), (e, r), FLUX, "one standard deviation of it"),
        whole("combined_weight", ("estimate", "method", "row"), (e, m, r), "1",
              "weight of each method in it"),
        whole("combined_chi_square", ("estimate", "row"), (e, r), "1",
              "squared distance of the methods from it, in their errors"),
        whole("combined_freedom", ("estimate", "row"), (e, r), "1", "degrees of freedom of that"),
        whole("closure", ("pair", "row"), (pairs, r), FLUX, "one method less another"),
        whole("closure_sigma", ("pair", "row"), (pairs, r), FLUX, "one standard deviation of it"),
        whole("cause_prior", ("cause",), (causes,), "1",
              "logarithm of how much likelier a cause was than others before"),
        whole("cause_evidence", ("cause",), (causes,), "1",
              "logarithm of how many times likelier the disagreements are with a cause"),
        whole("cause_amplitude", ("cause",), (causes,), "1", "its size in plausible errors"),
        whole("cause_amplitude_sigma", ("cause",), (causes,), "1", "one standard deviation"),
        whole("cause_explained", ("cause",), (causes,), "1", "how much chi square falls with it"),
    ]  # fmt: skip


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the arrays and write what is known before anything is computed."""
    create_arrays(group, arrays(layout), layout.attributes)
    labels(group, "method", layout.methods)
    labels(group, "row", layout.rows)
    labels(group, "budget_term", TERMS)
    labels(group, "moment", ("mean", "spread"))
    labels(group, "cause", [f"{cause}@{method}" for cause, method in layout.patterns])
    labels(group, "pair", [f"{one}-{other}" for one, other in layout.pairs])
    labels(group, "estimate", layout.estimates)
    labels(group, "shelf", [each.shelf.replace(" ", "_") for each in layout.shelves])
    labels(group, "summer", [str(each) for each in comparison_dynamics.span(layout.shelves)])
    about = {"units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
    days = layout.months.astype("datetime64[D]").astype("int64")
    coordinate(group, "month", ("month",), days, about)
