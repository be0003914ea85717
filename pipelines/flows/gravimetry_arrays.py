"""The arrays of a gravimetry product: names, shapes, chunks, units. Keys fill them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr

PARTS = 2
"""Cosine and sine coefficients, C and S."""


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
        return sum(8 * int(np.prod(array.shape)) for array in variables(self))


@dataclass(frozen=True)
class Array:
    """One array of the product."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    unit: str
    long_name: str


def _spectrum(size: int) -> tuple[int, int, int]:
    return (PARTS, size + 1, size + 1)


def variables(layout: Layout) -> tuple[Array, ...]:
    """Return every array that keys fill; one chunk is what one key writes."""
    n, p, r = len(layout.epochs), len(layout.parameters), len(layout.regions)
    field, result = _spectrum(layout.j_max), _spectrum(layout.result_degree)
    mask, height, width = _spectrum(layout.mask_degree), len(layout.y), len(layout.x)
    jm, jr = ("part", "degree", "order"), ("part", "degree_result", "order_result")
    k, g, rows = layout.members, len(layout.gia), layout.map_rows

    def whole(name: str, dims: tuple[str, ...], shape: tuple[int, ...], *about: str) -> Array:
        return Array(name, dims, shape, shape, *about)

    spectra = (
        Array("stokes", ("time", *jm), (n, *field), (1, *field), "1",
              "monthly Stokes coefficients"),
        Array("stokes_sigma", ("time", *jm), (n, *field), (1, *field), "1",
              "formal standard deviation of the monthly coefficients"),
        whole("stokes_parameters", ("parameter", *jm), (p, *field), "1", "fitted time model"),
        whole("stokes_parameters_sigma", ("parameter", *jm), (p, *field), "1",
              "one standard deviation, formal, scaled by the post-fit residuals"),
        whole("stokes_residual_sigma", jm, field, "1",
              "standard deviation of the post-fit residuals"),
        whole("mask", ("part", "degree_mask", "order_mask"), mask, "1", "localisation mask"),
        whole("region_kernel", ("region", *jr), (r, *result), "m2",
              "mass of a region per unit coefficient of surface mass density"),
        whole("mass_rate_coefficients", jr, result, "kg m-2 yr-1",
              "rate of surface mass density, localised, GIA not removed"),
        Array("mass_rate_perturbation", ("perturbation", *jr), (k, *result), (1, *result),
              "kg m-2 yr-1", "perturbation of each member, localised"),
        whole("degree_power", ("degree_result",), (layout.result_degree + 1,), "kg2 m-4 yr-2",
              "power of the mean member by degree"),
        whole("degree_power_spread", ("degree_result",), (layout.result_degree + 1,),
              "kg2 m-4 yr-2", "variance of the members by degree"),
    )  # fmt: skip
    gia = (
        Array("mass_rate_gia", ("gia", *jr), (g, *result), (1, *result), "kg m-2 yr-1",
              "apparent rate of surface mass density by glacial isostatic adjustment, localised"),
    )  # fmt: skip
    striped = (
        whole("mass_rate_destriped_coefficients", jr, result, "kg m-2 yr-1",
              "rate of surface mass density, destriped, for comparison only"),
    )  # fmt: skip
    sums = (
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
    )  # fmt: skip
    maps = tuple(
        Array(name, ("y", "x"), (height, width), (rows, width), "kg m-2 yr-1", text)
        for name, text in (
            ("mass_rate", "rate of surface mass density, mean of the members"),
            ("mass_rate_sigma", "standard deviation of the members"),
            ("mass_rate_gaussian", "mean of the members after a Gaussian filter, for display"),
            ("mass_rate_destriped", "destriped and Gaussian-filtered mean, for comparison"),
        )
        if layout.destripe or name != "mass_rate_destriped"
    )
    return spectra + (gia if g else ()) + (striped if layout.destripe else ()) + sums + maps


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the empty arrays (missing = NaN) and write the coordinates."""
    group.attrs.update({"Conventions": "CF-1.11", **layout.attributes})
    for array in variables(layout):
        attributes: dict[str, Any] = {"units": array.unit, "long_name": array.long_name}
        if array.dims == ("y", "x"):
            attributes["grid_mapping"] = "crs"
        group.create_array(
            array.name,
            shape=array.shape,
            chunks=array.chunks,
            dtype="float64",
            fill_value=float("nan"),
            dimension_names=array.dims,
            attributes=attributes,
        )
    _coordinates(group, layout)


def _coordinates(group: zarr.Group, layout: Layout) -> None:
    day = np.timedelta64(1, "D")
    origin = np.datetime64("2000-01-01", "s")
    middle = layout.start + (layout.end - layout.start) / 2
    since = "days since 2000-01-01"
    bounds = np.stack([layout.start - origin, layout.end - origin], axis=-1) / day
    _coordinate(group, "time", ("time",), (middle - origin) / day,
                {"units": since, "standard_name": "time", "bounds": "time_bounds"})  # fmt: skip
    _coordinate(group, "time_bounds", ("time", "bound"), bounds, {"units": since})
    _coordinate(
        group, "epoch", ("time",), layout.epochs, {"units": "yr", "long_name": "decimal year"}
    )
    for name, size in (("degree", layout.j_max), ("degree_result", layout.result_degree)):
        _coordinate(group, name, (name,), np.arange(size + 1), {"units": "1"})
    for axis, values in (("x", layout.x), ("y", layout.y)):
        _coordinate(group, axis, (axis,), values,
                    {"units": "m", "standard_name": f"projection_{axis}_coordinate"})  # fmt: skip
    _coordinate(group, "surface_mass_factor", ("degree",), layout.factors,
                {"units": "kg m-2", "long_name": "load per unit Stokes coefficient"})  # fmt: skip
    _labels(group, "region", layout.regions)
    _labels(group, "parameter", layout.parameters)
    _labels(group, "gia", layout.gia)


def _coordinate(
    group: zarr.Group,
    name: str,
    dims: tuple[str, ...],
    values: NDArray[Any],
    attributes: dict[str, Any],
) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        dimension_names=dims,
        attributes=attributes,
    )
    array[...] = values


def _labels(group: zarr.Group, name: str, labels: Sequence[str]) -> None:
    """Write labels as flag values and meanings (CF, section 3.5).

    Text arrays have no settled specification in Zarr v3; flags are read by everything.
    """
    if labels:
        meanings = " ".join(labels)
        attributes: dict[str, Any] = {"flag_meanings": meanings, "long_name": f"{name} index"}
        _coordinate(group, name, (name,), np.arange(len(labels), dtype="int32"), attributes)
