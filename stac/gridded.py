"""Fields on square grids in EPSG:3031, from the bytes of a NetCDF file or a GeoTIFF.

One careful reader for all of them: the variable is found by its name, its unit converted, missing
values made NaN, rows ordered from the top and columns from the left. A grid that is not known to
be in EPSG:3031 is refused, whatever its numbers look like.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import prod
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import geotiff, gridded_netcdf, netcdf
from stac.field_units import FieldFormatError, factor
from stac.netcdf import require_size
from stac.polar_axes import PolarAxes

FLOAT = NDArray[np.float64]

PERIODS = (
    ("time_coverage_start", "time_coverage_end"),
    ("time_start", "time_end"),
    ("start_time", "end_time"),
    ("start_date", "end_date"),
    ("period_start", "period_end"),
)
"""Attributes that tell the period of a file, first match first."""


class Layer(Protocol):
    """One variable or band on a grid, not read yet."""

    @property
    def name(self) -> str:
        """Name of the variable, or description of the band."""

    @property
    def standard_name(self) -> str:
        """CF standard name; empty if there is none."""

    @property
    def unit(self) -> str:
        """Unit as the file writes it."""

    @property
    def leading(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Dimensions before y and x, each with a label for each entry."""

    @property
    def is_real(self) -> bool:
        """Whether it may hold measured numbers, not classes or counts."""

    @property
    def has_zero_fill(self) -> bool:
        """Whether 0 is declared to stand for missing values."""

    def documented(self, *, unit: str = "", crs: str = "", zeros: bool = False) -> "Layer":
        """Return it with what its file does not tell: unit and grid, or with zeros as values."""

    def axes(self) -> PolarAxes:
        """Return its grid, or refuse it."""

    def read(self, out: FLOAT) -> None:
        """Read all entries into shape (member, y, x), rows and columns as in the file."""


@dataclass(frozen=True)
class Quantity:
    """What is looked for in a file.

    Attributes
    ----------
    name : str
        Name in our dataset; a variable of this name wins over any other.
    unit : str
        Unit in our dataset.
    names : tuple of str
        Names that publishers give it, in lower case.
    standard_names : tuple of str
        CF standard names, taken if no name fits.
    """

    name: str
    unit: str
    names: tuple[str, ...] = ()
    standard_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FieldFile:
    """An open file: layers, global attributes, and whether its layers are bands."""

    name: str
    layers: tuple[Layer, ...]
    attributes: Mapping[str, Any]
    is_banded: bool = False

    def find(self, wanted: Quantity) -> Layer | None:
        """Return the layer that holds a quantity by its name, or None.

        Raises
        ------
        FieldFormatError
            If several may.
        """
        for fits in (
            [each for each in self.layers if each.name.lower() == wanted.name],
            [each for each in self.layers if each.name.lower() in wanted.names],
            [each for each in self.layers if each.standard_name in wanted.standard_names],
        ):
            if len(fits) > 1:
                raise FieldFormatError(self._ambiguous(wanted, fits))
            if fits:
                return fits[0]
        return None

    def choose(self, wanted: Quantity, *, only: bool = False) -> Layer:
        """Return the layer that holds a quantity.

        Parameters
        ----------
        wanted : Quantity
            What is looked for.
        only : bool
            Whether a file's only layer of real numbers will do, under any name.

        Raises
        ------
        FieldFormatError
            If none does, or several may.
        """
        found = self.find(wanted)
        if found is not None:
            return found
        real = [each for each in self.layers if each.is_real]
        if only and len(real) == 1:
            return real[0]
        raise FieldFormatError(self._ambiguous(wanted, real if only else self.layers))

    def _ambiguous(self, wanted: Quantity, fits: Sequence[Layer]) -> str:
        names = ", ".join(f"{each.name} [{each.unit or 'no unit'}]" for each in fits) or "no field"
        how = "set the description of the band" if self.is_banded else "rename the variable"
        return (
            f"{self.name} holds {names}; expected one of them to be {wanted.name!r} (or "
            f"{', '.join(wanted.names[:3])} …); {how} to {wanted.name!r}, or leave the others out"
        )


@contextmanager
def opened(data: bytes, *, name: str) -> Iterator[FieldFile]:
    """Open a NetCDF file or a GeoTIFF in memory.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        Its name, for messages; what it is shows in its first bytes.

    Raises
    ------
    FieldFormatError
        Neither, or damaged.
    """
    if netcdf.is_netcdf(data):
        with netcdf.opened(data, name=name) as file:
            yield FieldFile(name, gridded_netcdf.layers(file), file.attributes)
    elif geotiff.is_geotiff(data):
        with geotiff.opened(data, name=name) as (bands, tags):
            yield FieldFile(name, bands, tags, is_banded=True)
    else:
        msg = (
            f"{name} begins {data[:8]!r}, expected NetCDF or GeoTIFF; unpack it if it is "
            "compressed, or convert it"
        )
        raise FieldFormatError(msg)


def read_together(
    file: FieldFile, layers: Mapping[str, Layer], *, units: Mapping[str, str]
) -> xr.Dataset:
    """Read fields that share one grid, by their names in our dataset.

    Returns
    -------
    xarray.Dataset
        Each field (y, x) in its unit, NaN where missing; attributes of the period and
        ``source_variable``.

    Raises
    ------
    FieldFormatError
        Unknown or different grids, members or times, a unit that does not convert, or damaged.
    """
    require_same_grid(file, list(layers.values()))
    read = {key: read_field(file, each, unit=units[key]) for key, each in layers.items()}
    fields = {key: (("y", "x"), field, units[key]) for key, (_, field) in read.items()}
    axes = next(iter(read.values()))[0]
    told = {"source_variable": ", ".join(each.name for each in layers.values())}
    return dataset(axes, fields, period(file) | told)


def require_same_grid(file: FieldFile, layers: Sequence[Layer]) -> PolarAxes:
    """Return the one grid of some layers.

    Raises
    ------
    FieldFormatError
        An unknown grid, or several.
    """
    axes = layers[0].axes()
    for layer in layers[1:]:
        if not layer.axes().same_as(axes):
            msg = (
                f"{file.name}: {layer.name!r} lies on another grid than {layers[0].name!r}, "
                "expected one grid for both; regrid one of them to the other"
            )
            raise FieldFormatError(msg)
    return axes


def read_members(file: FieldFile, layers: Sequence[Layer], *, unit: str) -> tuple[PolarAxes, FLOAT]:
    """Read layers that share one grid, each with all that its leading dimensions hold.

    Parameters
    ----------
    file : FieldFile
        Where they are.
    layers : sequence of Layer
        In order.
    unit : str
        Wanted unit.

    Returns
    -------
    PolarAxes
        The grid.
    ndarray, shape (member, y, x)
        In the wanted unit, members in order of the file, NaN where missing.

    Raises
    ------
    FieldFormatError
        Unknown or different grids, a unit that does not convert, too much, or damaged.
    """
    axes = require_same_grid(file, layers)
    factors = [factor(each.unit, unit, what=f"{file.name}: {each.name!r}") for each in layers]
    counts = [prod(len(labels) for _, labels in layer.leading) for layer in layers]
    shape = (sum(counts), axes.y.size, axes.x.size)
    require_size(shape, what=file.name)
    values = np.empty(shape)
    first = 0
    for layer, size, count in zip(layers, factors, counts, strict=True):
        part = values[first : first + count]
        layer.read(part)
        part *= size
        for member in part:
            if not np.isfinite(member).any():
                msg = (
                    f"{file.name}: {layer.name!r} holds no value at all in one of {count} fields, "
                    "expected some in each; leave it out, or make the file again"
                )
                raise FieldFormatError(msg)
            member[:] = axes.oriented(member)
        first += count
    return axes, values


def read_field(file: FieldFile, layer: Layer, *, unit: str) -> tuple[PolarAxes, FLOAT]:
    """Read a layer that has rows and columns only, shape (y, x); see `read_members`.

    Raises
    ------
    FieldFormatError
        Also if it has members or times.
    """
    if prod(len(labels) for _, labels in layer.leading) != 1:
        sizes = ", ".join(f"{name}: {len(labels)}" for name, labels in layer.leading)
        msg = (
            f"{file.name}: {layer.name!r} has dimensions ({sizes}) besides y and x, expected none; "
            "give one field: ncks -d DIMENSION,INDEX FILE NEW.nc"
        )
        raise FieldFormatError(msg)
    axes, values = read_members(file, [layer], unit=unit)
    return axes, values[0]


def dataset(
    axes: PolarAxes,
    fields: Mapping[str, tuple[tuple[str, ...], FLOAT, str]],
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Return fields on a grid, each given as (dimensions, values, unit), as xarray holds them."""
    placed = {
        name: (dims, values, {"units": unit}) for name, (dims, values, unit) in fields.items()
    }
    x, y = ((axis, values, {"units": "m"}) for axis, values in (("x", axes.x), ("y", axes.y)))
    return xr.Dataset(placed, {"y": y, "x": x}, dict(attributes))


def period(file: FieldFile) -> dict[str, str]:
    """Return the attributes ``time_start`` and ``time_end``, ISO 8601 in UTC, the end exclusive.

    They are empty if the file does not tell a period. An end that is a day counts whole.

    Raises
    ------
    FieldFormatError
        If the period ends before it starts.
    """
    named = {str(key).lower(): netcdf.text(value) for key, value in file.attributes.items()}
    for first, last in PERIODS:
        start, end = netcdf.instant(named.get(first, "")), netcdf.instant(named.get(last, ""))
        if start is None or end is None:
            continue
        end += timedelta(days=1 if len(named[last]) <= len("2017-06-30") else 0)
        if end <= start:
            msg = (
                f"{file.name} covers {named[first]} to {named[last]}, expected the end after the "
                f"start; correct the attributes {first} and {last}"
            )
            raise FieldFormatError(msg)
        stamps = (each.replace(tzinfo=None).isoformat() for each in (start, end))
        return dict(zip(("time_start", "time_end"), map(_shortest, stamps), strict=True))
    return {"time_start": "", "time_end": ""}


def _shortest(stamp: str) -> str:
    return stamp.removesuffix("T00:00:00")
