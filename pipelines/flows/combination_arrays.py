"""The arrays of a combination product: names, shapes, chunks, units. Keys fill them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.flows import product_arrays
from pipelines.flows.product_arrays import (
    DENSITY_RATE,
    PARTS,
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

FLOAT = NDArray[np.float64]

SOURCES = ("gravimetry", "altimetry", "combination")
"""What is shown beside each other."""

CORRECTION = ("density", "total", "target", "target_sigma", "gravimetry_weight")
"""Numbers of the correction of the total, in SI units and years."""


@dataclass(frozen=True)
class Layout:
    """Sizes and labels of a combination product."""

    j_max: int
    gravimetry_degree: int
    orders: int
    gravimetry_members: int
    altimetry_members: int
    altimetry_labels: tuple[str, ...]
    quantiles: tuple[float, ...]
    regions: tuple[str, ...]
    x: FLOAT
    y: FLOAT
    map_rows: int
    transects: tuple[str, ...]
    transect_points: int
    transect_spacing_m: float
    attributes: dict[str, Any]

    def bytes(self) -> int:
        """Return the size of all arrays, uncompressed [B]."""
        return sum(array.bytes() for array in variables(self))


def variables(layout: Layout) -> tuple[Array, ...]:
    """Return every array that keys fill."""
    return (*_spectra(layout), *_sums(layout), *_degrees(layout), *_maps(layout),
            *_transects(layout))  # fmt: skip


def _spectra(layout: Layout) -> tuple[Array, ...]:
    coefficients = spectrum(layout.j_max)
    chunk = (*coefficients[:2], layout.orders)
    named = {
        "mass_rate_coefficients": ("combined rate of surface mass density, mean", DENSITY_RATE),
        "mass_rate_variance": ("population variance of the combined members", "kg2 m-4 yr-2"),
        "altimetry_coefficients": ("rate of surface mass density by altimetry", DENSITY_RATE),
        "altimetry_variance": ("population variance of altimetry", "kg2 m-4 yr-2"),
    }
    low = ("part", "degree_gravimetry", "order_gravimetry")
    return (
        whole("weight_gravimetry", low, spectrum(layout.gravimetry_degree), "1",
              "weight of gravimetry in each coefficient; altimetry has the rest"),
        *(Array(name, SPECTRUM, coefficients, chunk, unit, text)
          for name, (text, unit) in named.items()),
    )  # fmt: skip


def _sums(layout: Layout) -> tuple[Array, ...]:
    r, k, n = len(layout.regions), layout.gravimetry_members, layout.altimetry_members
    return (
        whole("region_mass_rate", ("region",), (r,), "kg yr-1",
              "rate of mass, mean of the combined members, total corrected if asked for"),
        whole("region_mass_rate_uncorrected", ("region",), (r,), "kg yr-1",
              "the same before the correction of the total"),
        whole("region_mass_rate_covariance", ("region", "region_2"), (r, r), "kg2 yr-2",
              "population covariance of the combined members"),
        whole("region_mass_rate_gravimetry", ("gravimetry_member", "region"), (k, r), "kg yr-1",
              "what gravimetry adds to each combined member"),
        whole("region_mass_rate_altimetry", ("altimetry_member", "region"), (n, r), "kg yr-1",
              "what altimetry adds to each combined member"),
        whole("region_area", ("region",), (r,), "m2", "area of grounded ice in a region"),
        whole("ocean_leakage", ("source",), (len(SOURCES),), "kg yr-1",
              "rate of mass outside the regions"),
        whole("ocean_leakage_sigma", ("source",), (len(SOURCES),), "kg yr-1",
              "standard deviation of the members"),
        whole("total_correction", ("correction",), (len(CORRECTION),), "1",
              "correction of the total, each in its own SI unit and years"),
        whole("member_mismatch", ("gravimetry_member", "altimetry_member"), (k, n), "1",
              "normalised mismatch of the two spectra of a member"),
        whole("member_weight", ("gravimetry_member", "altimetry_member"), (k, n), "1",
              "weight of a member in means and spreads"),
    )  # fmt: skip


def _degrees(layout: Layout) -> tuple[Array, ...]:
    shape, dims = (len(SOURCES), layout.j_max + 1), ("source", "degree")
    return (
        whole("degree_power", dims, shape, "kg2 m-4 yr-2", "power of the mean by degree"),
        whole("degree_power_spread", dims, shape, "kg2 m-4 yr-2", "variance by degree"),
        whole("cumulative_power_fraction", dims, shape, "1",
              "share of the power up to a degree (Sasgen et al., 2019, equation 6); of the "
              "combination, (p_G + p_C) / p - 1"),
    )  # fmt: skip


def _maps(layout: Layout) -> tuple[Array, ...]:
    height, width = len(layout.y), len(layout.x)
    maps = {
        "mass_rate": "rate of surface mass density, mean of the combined members",
        "mass_rate_sigma": "standard deviation of the combined members",
        "gravimetry_mass_rate": "rate of surface mass density by gravimetry alone",
        "gravimetry_mass_rate_sigma": "standard deviation of its members",
        "gravimetry_mass_rate_gaussian": "gravimetry alone, Gaussian-filtered for display",
        "altimetry_mass_rate": "rate of surface mass density by altimetry alone",
        "altimetry_mass_rate_sigma": "standard deviation of its members",
    }
    chunk, q = (layout.map_rows, width), len(layout.quantiles)
    quantiles = (
        Array("mass_rate_quantile", ("quantile", "y", "x"), (q, height, width), (q, *chunk),
              DENSITY_RATE, "quantiles of the combined members"),
    )  # fmt: skip
    return (
        *(Array(name, ("y", "x"), (height, width), chunk, DENSITY_RATE, text)
          for name, text in maps.items()),
        *(quantiles if q else ()),
    )  # fmt: skip


def _transects(layout: Layout) -> tuple[Array, ...]:
    n, points = len(layout.transects), layout.transect_points
    place, curve = ("transect", "distance"), ("source", "transect", "distance")
    return (
        *(whole(f"transect_{name}", place, (n, points), "degrees", name)
          for name in ("latitude", "longitude")),
        whole("transect_grounded", place, (n, points), "1", "1 on grounded ice, 0 off it"),
        whole("transect_mass_rate", curve, (len(SOURCES), n, points), DENSITY_RATE,
              "rate of surface mass density along a transect"),
        whole("transect_mass_rate_sigma", curve, (len(SOURCES), n, points), DENSITY_RATE,
              "standard deviation of the members"),
    )  # fmt: skip


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the empty arrays (missing = NaN) and write the coordinates."""
    product_arrays.create(group, variables(layout), layout.attributes)
    polar_axes(group, {"x": layout.x, "y": layout.y})
    for name in ("degree", "order"):
        coordinate(group, name, (name,), np.arange(layout.j_max + 1), {"units": "1"})
    if layout.quantiles:
        values = np.array(layout.quantiles)
        coordinate(group, "quantile", ("quantile",), values, {"units": "1"})
    distance = np.arange(layout.transect_points) * layout.transect_spacing_m
    coordinate(group, "distance", ("distance",), distance, {"units": "m"})
    labels(group, "part", ("C", "S"))
    labels(group, "altimetry_member", layout.altimetry_labels)
    labels(group, "region", layout.regions)
    labels(group, "source", SOURCES)
    labels(group, "correction", CORRECTION)
    labels(group, "transect", layout.transects)


__all__ = ["CORRECTION", "PARTS", "SOURCES", "Layout", "create", "variables"]
