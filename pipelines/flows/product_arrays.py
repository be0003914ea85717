"""Arrays of a product before anything fills them: names, shapes, chunks, units, coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr

PARTS = 2
"""Cosine and sine coefficients, C and S."""

SPECTRUM = ("part", "degree", "order")
"""Dimensions of spherical-harmonic coefficients."""

POLAR_DIMS = (
    ("y", "x"),
    ("y_grid", "x_grid"),
    ("y_pixel", "x_pixel"),
    ("y_screen", "x_screen"),
)
"""Dimensions of arrays that lie in EPSG:3031."""

DENSITY_RATE = "kg m-2 yr-1"
"""Unit of rates of surface mass density."""


@dataclass(frozen=True)
class Array:
    """One array of a product; one chunk, or a few whole ones, is what one key writes.

    Attributes
    ----------
    name : str
        Name in the store.
    dims : tuple of str
        Dimensions in order.
    shape, chunks : tuple of int
        Sizes of the array and of a chunk.
    unit, long_name : str
        CF attributes.
    dtype : str
        NumPy type; what no key wrote is NaN, or ``empty`` in an array of integers.
    empty : int
        What stands for nothing in an array of integers.
    level : int
        How hard Zstandard tries: 0 is its own choice, 3; 1 takes a quarter of the time for a
        fifth more bytes of imagery.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    unit: str
    long_name: str
    dtype: str = "float64"
    empty: int = 0
    level: int = 0

    def bytes(self) -> int:
        """Return its size, uncompressed [B]."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape))


def spectrum(degree: int) -> tuple[int, int, int]:
    """Return the shape of coefficients to a degree."""
    return (PARTS, degree + 1, degree + 1)


def whole(
    name: str,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    unit: str,
    long_name: str,
    dtype: str = "float64",
) -> Array:
    """Return an array of one chunk: one key writes all of it."""
    return Array(name, dims, shape, shape, unit, long_name, dtype)


def create(group: zarr.Group, arrays: Iterable[Array], attributes: dict[str, Any]) -> None:
    """Create the empty arrays (missing = NaN) and write the attributes of the product."""
    from zarr.codecs import ZstdCodec

    group.attrs.update({"Conventions": "CF-1.11", **attributes})
    for array in arrays:
        about: dict[str, Any] = {"units": array.unit, "long_name": array.long_name}
        if array.dims[-2:] in POLAR_DIMS:
            about["grid_mapping"] = "crs"
        group.create_array(
            array.name,
            shape=array.shape,
            chunks=array.chunks,
            dtype=array.dtype,
            fill_value=float("nan") if np.dtype(array.dtype).kind == "f" else array.empty,
            compressors=ZstdCodec(level=array.level),
            dimension_names=array.dims,
            attributes=about,
        )


def polar_axes(group: zarr.Group, axes: dict[str, NDArray[np.float64]]) -> None:
    """Write cell centres along the axes of EPSG:3031 [m]; the name ends with the axis."""
    for name, values in axes.items():
        standard = f"projection_{name[0]}_coordinate"
        coordinate(group, name, (name,), values, {"units": "m", "standard_name": standard})


def coordinate(
    group: zarr.Group,
    name: str,
    dims: tuple[str, ...],
    values: NDArray[Any],
    attributes: dict[str, Any],
) -> None:
    """Write an array that is known before anything is computed."""
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        dimension_names=dims,
        attributes=attributes,
    )
    array[...] = values


def labels(group: zarr.Group, name: str, names: Sequence[str]) -> None:
    """Write labels as flag values and meanings (CF, section 3.5).

    Text arrays have no settled specification in Zarr v3; flags are read by everything.
    """
    if names:
        meanings = " ".join(names)
        values = np.arange(len(names), dtype="int32")
        attributes: dict[str, Any] = {
            "flag_values": values.tolist(),
            "flag_meanings": meanings,
            "long_name": f"{name} index",
        }
        coordinate(group, name, (name,), values, attributes)


def labels_of(group: zarr.Group, name: str) -> tuple[str, ...]:
    """Return the labels that :func:`labels` wrote; none where there is no such dimension."""
    return tuple(str(group[name].attrs["flag_meanings"]).split()) if name in group else ()
