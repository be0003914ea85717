"""The arrays of an altimetry product: names, shapes, chunks, units. Keys fill them."""

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

FLOAT = NDArray[np.float64]

GRID = ("y_grid", "x_grid")
"""Dimensions of the grid of the elevation rates."""


@dataclass(frozen=True)
class Layout:
    """Sizes and labels of an altimetry product."""

    j_max: int
    orders: int
    heights: tuple[str, ...]
    models: tuple[str, ...]
    members: tuple[str, ...]
    mixing: FLOAT
    fields: tuple[str, ...]
    regions: tuple[str, ...]
    x_grid: FLOAT
    y_grid: FLOAT
    x_pixel: FLOAT
    y_pixel: FLOAT
    pixels_per_tile: int
    rows: int
    columns: int
    x: FLOAT
    y: FLOAT
    map_rows: int
    attributes: dict[str, Any]

    @property
    def basis(self) -> int:
        """Fields that span the ensemble: h_i, ρ*h_i, and one constant."""
        return int(self.mixing.shape[1])

    def bytes(self) -> int:
        """Return the size of all arrays, uncompressed [B]."""
        return sum(array.bytes() for array in variables(self))


def variables(layout: Layout) -> tuple[Array, ...]:
    """Return every array that keys fill."""
    return (*_pixels(layout), *_grids(layout), *_spectra(layout), *_sums(layout), *_maps(layout))


def _pixels(layout: Layout) -> tuple[Array, ...]:
    """Return what heights along tracks are fitted to; nothing for gridded rates."""
    if not layout.x_pixel.size:
        return ()
    n, side = len(layout.heights), layout.pixels_per_tile
    shape = (n, len(layout.y_pixel), len(layout.x_pixel))
    return tuple(
        Array(name, ("height", "y_pixel", "x_pixel"), shape, (n, side, side), "m yr-1", text)
        for name, text in (
            ("fitted_rate", "rate of surface elevation in pixels, fitted to heights along tracks"),
            ("fitted_rate_sigma", "its standard error"),
        )
    )


def _grids(layout: Layout) -> tuple[Array, ...]:
    height, width, n = len(layout.y_grid), len(layout.x_grid), len(layout.heights)
    return (
        Array("elevation_rate_measured", ("height", *GRID), (n, height, width), (1, height, width),
              "m yr-1", "rate of surface elevation where it was measured, else missing"),
        Array("elevation_rate", ("height", *GRID), (n, height, width), (1, height, width),
              "m yr-1", "rate of surface elevation, gaps filled, zero outside the grounding line"),
        Array("is_filled", ("height", *GRID), (n, height, width), (1, height, width), "1",
              "1 where a gap was filled", "uint8"),
        whole("is_grounded", GRID, (height, width), "1", "1 inside the grounding line", "uint8"),
        whole("density", GRID, (height, width), "kg m-3",
              "density where flow is fast or lowering fast, and elsewhere"),
        whole("surface_process_rate", GRID, (height, width), DENSITY_RATE,
              "constant of equation A1: surface mass less the mass of the height it explains"),
    )  # fmt: skip


def _spectra(layout: Layout) -> tuple[Array, ...]:
    r, coefficients = len(layout.regions), spectrum(layout.j_max)
    chunk = (*coefficients[:2], layout.orders)
    rows = (layout.basis, product_arrays.PARTS, layout.j_max + 1, layout.rows)
    return (
        Array("region_kernel", ("region", *SPECTRUM), (r, *coefficients), (r, *chunk), "m2",
              "mass of a region per unit coefficient of surface mass density"),
        Array("row_spectrum", ("basis", "part", "order", "row"), rows,
              (1, product_arrays.PARTS, layout.orders, layout.rows), DENSITY_RATE,
              "Fourier coefficients of the rows of latitude-longitude cells"),
        Array("mass_rate_basis", ("basis", *SPECTRUM), (layout.basis, *coefficients),
              (layout.basis, *chunk), DENSITY_RATE,
              "fields that span the members, rate of surface mass density"),
    )  # fmt: skip


def _sums(layout: Layout) -> tuple[Array, ...]:
    r, n, degrees = len(layout.regions), len(layout.heights), (layout.j_max + 1,)
    return (
        whole("region_mass_rate", ("region",), (r,), "kg yr-1",
              "rate of mass, mean of the members"),
        whole("region_mass_rate_covariance", ("region", "region_2"), (r, r), "kg2 yr-2",
              "population covariance of the members"),
        whole("region_mass_rate_basis", ("basis", "region"), (layout.basis, r), "kg yr-1",
              "rate of mass of the fields that span the members"),
        whole("region_filled_fraction", ("height", "region"), (n, r), "1",
              "fraction of the area of a region whose elevation rates were filled"),
        whole("region_area", ("region",), (r,), "m2", "true area of a region on the grid"),
        whole("degree_power", ("degree",), degrees, "kg2 m-4 yr-2",
              "power of the mean member by degree"),
        *(whole(f"degree_power_spread{of}", ("degree",), degrees, "kg2 m-4 yr-2", f"variance {by}")
          for of, by in (("", "of the members by degree"),
                         ("_heights", "of the members by degree, by rates alone"),
                         ("_models", "of the members by degree, by density models alone"))),
    )  # fmt: skip


def _maps(layout: Layout) -> tuple[Array, ...]:
    height, width = len(layout.y), len(layout.x)
    named = {
        "mass_rate": "rate of surface mass density, mean of the members",
        "mass_rate_sigma": "standard deviation of the members",
    }
    return tuple(
        Array(name, ("y", "x"), (height, width), (layout.map_rows, width), DENSITY_RATE, text)
        for name, text in named.items()
    )


def create(group: zarr.Group, *, layout: Layout) -> None:
    """Create the empty arrays (missing = NaN) and write the coordinates."""
    product_arrays.create(group, variables(layout), layout.attributes)
    axes = {"x": layout.x, "y": layout.y, "x_grid": layout.x_grid, "y_grid": layout.y_grid}
    if layout.x_pixel.size:
        axes |= {"x_pixel": layout.x_pixel, "y_pixel": layout.y_pixel}
    polar_axes(group, axes)
    for name in ("degree", "order"):
        coordinate(group, name, (name,), np.arange(layout.j_max + 1), {"units": "1"})
    about = {"units": "1", "long_name": "members as sums of the basis fields"}
    coordinate(group, "mixing", ("member", "basis"), layout.mixing, about)
    labels(group, "part", ("C", "S"))
    labels(group, "basis", layout.fields)
    labels(group, "height", layout.heights)
    labels(group, "member", layout.members)
    labels(group, "region", layout.regions)
