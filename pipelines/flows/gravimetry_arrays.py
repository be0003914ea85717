"""The arrays of a gravimetry product: names, shapes, chunks, units. Keys fill them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import product_arrays
from pipelines.flows.product_arrays import (
    DENSITY_RATE,
    SPECTRUM,
    Array,
    coordinate,
    labels,
    polar_axes,
    spectrum,
    whole,
)

if TYPE_CHECKING:
    import zarr


@dataclass(frozen=True)
class Layout:
    """Sizes and labels of a gravimetry product."""

    j_max: int
    mask_degree: int
    result_degree: int
    parameters: tuple[str, ...]
    members: int
    gia: tuple[str, ...]
    regions: tuple[str, ...]
    start: NDArray[np.datetime64]
    end: NDArray[np.datetime64]
    epochs: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    factors: NDArray[np.float64]
    map_rows: int
    destripe: bool
    attributes: dict[str, Any]

    def bytes(self) -> int:
        """Return the size of all arrays, uncompressed [B]."""
        return sum(array.bytes() for array in variables(self))


FIELD = SPECTRUM
MASK = ("part", "degree_mask", "order_mask")
RESULT = ("part", "degree_result", "order_result")
"""Dimensions of spectra: of the months, of the mask, and of what was multiplied by it."""


def variables(layout: Layout) -> tuple[Array, ...]:
    """Return every array that keys fill; one chunk is what one key writes."""
    return (*_months(layout), *_operators(layout), *_members(layout), *_sums(layout),
            *_maps(layout))  # fmt: skip


def _months(layout: Layout) -> tuple[Array, ...]:
    n, p, field = len(layout.epochs), len(layout.parameters), spectrum(layout.j_max)
    return (
        Array("stokes", ("time", *FIELD), (n, *field), (1, *field), "1",
              "monthly Stokes coefficients"),
        Array("stokes_sigma", ("time", *FIELD), (n, *field), (1, *field), "1",
              "formal standard deviation of the monthly coefficients"),
        whole("stokes_parameters", ("parameter", *FIELD), (p, *field), "1", "fitted time model"),
        whole("stokes_parameters_sigma", ("parameter", *FIELD), (p, *field), "1",
               "one standard deviation, formal, scaled by the post-fit residuals"),
        whole("stokes_residual_sigma", FIELD, field, "1",
               "standard deviation of the post-fit residuals"),
    )  # fmt: skip


def _operators(layout: Layout) -> tuple[Array, ...]:
    kernels = (len(layout.regions), *spectrum(layout.result_degree))
    return (
        whole("mask", MASK, spectrum(layout.mask_degree), "1", "localisation mask"),
        whole("region_kernel", ("region", *RESULT), kernels, "m2",
               "mass of a region per unit coefficient of surface mass density"),
    )  # fmt: skip


def _members(layout: Layout) -> tuple[Array, ...]:
    """Return the factors of the ensemble: mean, perturbations, and GIA models if there are any."""
    result, g = spectrum(layout.result_degree), len(layout.gia)
    gia = (
        Array("mass_rate_gia", ("gia", *RESULT), (g, *result), (1, *result), DENSITY_RATE,
              "apparent rate of surface mass density by glacial isostatic adjustment, localised"),
    )  # fmt: skip
    destriped = (
        whole("mass_rate_destriped_coefficients", RESULT, result, DENSITY_RATE,
               "rate of surface mass density, destriped, for comparison only"),
    )  # fmt: skip
    return (
        whole("mass_rate_coefficients", RESULT, result, DENSITY_RATE,
               "rate of surface mass density, localised, GIA not removed"),
        Array("mass_rate_perturbation", ("perturbation", *RESULT), (layout.members, *result),
              (1, *result), DENSITY_RATE, "perturbation of each member, localised"),
        *(gia if g else ()),
        *(destriped if layout.destripe else ()),
    )  # fmt: skip


def _sums(layout: Layout) -> tuple[Array, ...]:
    n, r, degrees = len(layout.epochs), len(layout.regions), (layout.result_degree + 1,)
    return (
        whole("region_mass_rate", ("region",), (r,), "kg yr-1",
               "rate of mass, mean of the members"),
        whole("region_mass_rate_covariance", ("region", "region_2"), (r, r), "kg2 yr-2",
               "population covariance of the members"),
        whole("region_mass_rate_formal", ("region",), (r,), "kg yr-1",
               "standard deviation propagated exactly from the fit"),
        whole("mass_anomaly", ("region", "time"), (r, n), "kg",
               "mass relative to the mean of the months, GIA removed"),
        whole("mass_anomaly_sigma", ("region", "time"), (r, n), "kg",
               "one standard deviation from the post-fit residuals"),
        whole("degree_power", ("degree_result",), degrees, "kg2 m-4 yr-2",
               "power of the mean member by degree"),
        whole("degree_power_spread", ("degree_result",), degrees, "kg2 m-4 yr-2",
               "variance of the members by degree"),
    )  # fmt: skip


def _maps(layout: Layout) -> tuple[Array, ...]:
    height, width = len(layout.y), len(layout.x)
    named = {
        "mass_rate": "rate of surface mass density, mean of the members",
        "mass_rate_sigma": "standard deviation of the members",
        "mass_rate_gaussian": "mean of the members after a Gaussian filter, for display",
    }
    if layout.destripe:
        named["mass_rate_destriped"] = "destriped and Gaussian-filtered mean, for comparison"
    return tuple(
        Array(name, ("y", "x"), (height, width), (layout.map_rows, width), DENSITY_RATE, text)
        for name, text in named.items()
    )


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the empty arrays (missing = NaN) and write the coordinates."""
    product_arrays.create(group, variables(layout), layout.attributes)
    _coordinates(group, layout)


def _coordinates(group: zarr.Group, layout: Layout) -> None:
    day = np.timedelta64(1, "D")
    origin = np.datetime64("2000-01-01", "s")
    middle = layout.start + (layout.end - layout.start) / 2
    since = "days since 2000-01-01"
    bounds = np.stack([layout.start - origin, layout.end - origin], axis=-1) / day
    coordinate(group, "time", ("time",), (middle - origin) / day,
                {"units": since, "standard_name": "time", "bounds": "time_bounds"})  # fmt: skip
    coordinate(group, "time_bounds", ("time", "bound"), bounds, {"units": since})
    coordinate(
        group, "epoch", ("time",), layout.epochs, {"units": "yr", "long_name": "decimal year"}
    )
    for name, size in (("degree", layout.j_max), ("degree_result", layout.result_degree)):
        coordinate(group, name, (name,), np.arange(size + 1), {"units": "1"})
    polar_axes(group, {"x": layout.x, "y": layout.y})
    coordinate(group, "surface_mass_factor", ("degree",), layout.factors,
                {"units": "kg m-2", "long_name": "load per unit Stokes coefficient"})  # fmt: skip
    labels(group, "region", layout.regions)
    labels(group, "parameter", layout.parameters)
    labels(group, "gia", layout.gia)
