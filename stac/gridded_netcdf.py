"""Variables of a NetCDF file that lie on a grid: which dimensions are x and y, and what it is in.

Coordinate systems are looked for where CF, GDAL and the polar community write them: in the grid
mapping of the variable, in the only grid mapping of the file, in global attributes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stac.field_units import FieldFormatError
from stac.netcdf import Array, NetcdfFile, require_size, text
from stac.polar_axes import WARP, PolarAxes, polar_axes, require_polar, to_metres

FLOAT = NDArray[np.float64]

X_NAMES = ("x", "xc", "x1", "easting", "eastings", "projection_x_coordinate", "lon", "longitude")
Y_NAMES = ("y", "yc", "y1", "northing", "northings", "projection_y_coordinate", "lat", "latitude")
CRS_ATTRIBUTES = (
    "crs_wkt", "spatial_ref", "spatial_epsg", "epsg_code", "epsg", "proj4", "proj4text",
    "proj4string", "proj4_string", "crs", "projection", "geospatial_bounds_crs",
)  # fmt: skip
FILLS = ("_FillValue", "missing_value")
_LENGTH = re.compile(r"^([+-]?\d+(?:\.\d*)?)\s*([a-z]+)$", re.IGNORECASE)
GLOBAL_CRS_ATTRIBUTES = tuple(name for name in CRS_ATTRIBUTES if name != "projection")
"""A global ``projection`` is prose in most files."""


@dataclass(frozen=True)
class GridVariable:
    """A variable with an axis along x and one along y; a layer of `stac.gridded`."""

    array: Array
    file: NetcdfFile
    x_dim: str
    y_dim: str
    documented_unit: str = ""
    documented_crs: str = ""

    @property
    def name(self) -> str:
        """Name of the variable."""
        return self.array.name

    @property
    def standard_name(self) -> str:
        """CF standard name."""
        return text(self.array.attributes.get("standard_name"))

    @property
    def unit(self) -> str:
        """Unit as written, or as documented if it is not."""
        return self.array.unit or self.documented_unit

    @property
    def has_zero_fill(self) -> bool:
        """Whether 0 is declared to stand for missing values."""
        declared = (self.array.attributes.get(name) for name in FILLS)
        return any(each is not None and text(each) in {"0", "0.0", "-0.0"} for each in declared)

    def documented(self, *, unit: str = "", crs: str = "", zeros: bool = False) -> "GridVariable":
        """Return it with what its file does not tell: unit and grid, or with zeros as values."""
        array = self.array
        if zeros and self.has_zero_fill:
            kept = {key: value for key, value in array.attributes.items() if key not in FILLS}
            array = replace(array, attributes=kept)
        return replace(self, array=array, documented_unit=unit, documented_crs=crs)

    @property
    def is_real(self) -> bool:
        """Whether it may hold measured numbers."""
        return self.array.is_real

    @property
    def leading(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Dimensions besides x and y with their labels; a single time is none.

        Raises
        ------
        FieldFormatError
            Several times.
        """
        return tuple(
            (dim, self._labels(dim, size)) for dim, size in self._others() if not self._is_time(dim)
        )

    def axes(self) -> PolarAxes:
        """Return the grid.

        Raises
        ------
        FieldFormatError
            No coordinates, in degrees, uneven, or not in EPSG:3031.
        """
        x = self._centres(self.x_dim, "x", X_NAMES)
        y = self._centres(self.y_dim, "y", Y_NAMES)
        said = _statements(self.array, self.file)
        if not said and self.documented_crs:
            said = {"the guide of the product": self.documented_crs}
        require_polar(said, what=self._what)
        return polar_axes(x, y, what=self._what)

    def read(self, out: FLOAT) -> None:
        """Read member by member into shape (member, y, x), rows and columns as in the file."""
        require_size(self.array.shape, what=self._what)
        leading = [dim for dim, _ in self._others()]
        sizes = [size for _, size in self._others()]
        across = self.array.dims.index(self.x_dim) < self.array.dims.index(self.y_dim)
        for member, position in enumerate(np.ndindex(*sizes)):
            at = dict(zip(leading, position, strict=True))
            index = tuple(at.get(dim, slice(None)) for dim in self.array.dims)
            values = self.array.read(index)
            out[member] = values.T if across else values

    @property
    def _what(self) -> str:
        return f"{self.file.name}: {self.name!r}"

    def _others(self) -> list[tuple[str, int]]:
        pairs = zip(self.array.dims, self.array.shape, strict=True)
        return [(dim, size) for dim, size in pairs if dim not in {self.x_dim, self.y_dim}]

    def _is_time(self, dim: str) -> bool:
        """Say whether a dimension is a time, and refuse more than one."""
        along = self.file.along(dim)
        is_time = dim.lower() in {"time", "t"} or (
            along is not None
            and (text(along.attributes.get("standard_name")) == "time" or " since " in along.unit)
        )
        size = dict(self._others())[dim]
        if is_time and size != 1:
            msg = (
                f"{self._what} is a series of {size} times along {dim!r}, expected one field over "
                "the whole period; fit or choose it first, for instance with "
                f"ncks -d {dim},0 FILE NEW.nc"
            )
            raise FieldFormatError(msg)
        return is_time

    def _labels(self, dim: str, size: int) -> tuple[str, ...]:
        along = self.file.along(dim)
        found = along.labels() if along is not None else ()
        return found if len(found) == size else tuple(str(i) for i in range(size))

    def _centres(self, dim: str, axis: str, names: tuple[str, ...]) -> FLOAT:
        along = self.file.along(dim) or _named_along(self.file, dim, axis, names)
        if along is None and (corner := self._from_corner(dim, axis)) is not None:
            return corner
        if along is None or len(along.dims) != 1:
            msg = (
                f"{self._what} has no coordinates {axis} along its dimension {dim!r}, so its grid "
                f"is unknown; expected centres of cells in EPSG:3031, in m or km, in a variable "
                f"{dim}({dim}); add them, or warp the file: {WARP}"
            )
            raise FieldFormatError(msg)
        return to_metres(along.read(), along.unit, what=f"{self.file.name}: {along.name!r}")

    def _from_corner(self, dim: str, axis: str) -> FLOAT | None:
        """Return centres from the attributes xmin or ymax and spacing, texts such as ``900 m``.

        As the first maps of MEaSUREs have them: xmin and ymax are centres of the first column
        and row, which version 2 of NSIDC-0484 and the grid of NSIDC-0525 agree with.
        """
        named = {str(key).lower(): text(value) for key, value in self.file.attributes.items()}
        corner = {"x": "xmin", "y": "ymax"}[axis]
        first, step = (_LENGTH.match(named.get(key, "")) for key in (corner, "spacing"))
        if first is None or step is None:
            return None
        size = dict(zip(self.array.dims, self.array.shape, strict=True))[dim]
        told = named.get(f"n{axis}", "")
        if re.fullmatch(r"\d+(\.0*)?", told) and float(told) != size:
            msg = (
                f"{self._what} has {size} entries along {axis}, but attribute n{axis} is {told}; "
                "it is cut or turned, so its corner is unknown: add coordinates x and y"
            )
            raise FieldFormatError(msg)
        start, width = (
            to_metres(np.array(float(m[1])), m[2], what=self._what) for m in (first, step)
        )
        return np.asarray(start + (width if axis == "x" else -width) * np.arange(size))


def layers(file: NetcdfFile) -> tuple[GridVariable, ...]:
    """Return all variables of numbers that have rows and columns.

    Their grids are looked at when one is chosen: a file may hold others on another grid.
    """
    bounds = {text(array.attributes.get("bounds")) for array in file.arrays.values()}
    found = []
    for array in file.arrays.values():
        is_field = array.is_number and len(array.dims) >= 2 and prod(array.shape) > 1
        if is_field and array.name not in bounds and not _is_geographic(array):
            y_dim, x_dim = _rows_and_columns(array, file)
            found.append(GridVariable(array, file, x_dim, y_dim))
    return tuple(found)


def _is_geographic(array: Array) -> bool:
    return array.unit.lower().startswith("degree") or text(
        array.attributes.get("standard_name")
    ) in {"latitude", "longitude"}


def _rows_and_columns(array: Array, file: NetcdfFile) -> tuple[str, str]:
    """Return the dimensions along y and x: by what they say, else the last two."""
    x_dims = [dim for dim in array.dims if _runs_along(dim, "x", X_NAMES, file)]
    y_dims = [dim for dim in array.dims if _runs_along(dim, "y", Y_NAMES, file)]
    if len(x_dims) == 1 and len(y_dims) == 1 and x_dims != y_dims:
        return y_dims[0], x_dims[0]
    return array.dims[-2], array.dims[-1]


def _runs_along(dim: str, axis: str, names: tuple[str, ...], file: NetcdfFile) -> bool:
    along = file.along(dim)
    if along is not None and _says_axis(along, axis):
        return True
    return dim.lower() in names or _named_along(file, dim, axis, names) is not None


def _says_axis(array: Array, axis: str) -> bool:
    standard_name = text(array.attributes.get("standard_name"))
    return (
        standard_name == f"projection_{axis}_coordinate"
        or text(array.attributes.get("axis")).lower() == axis
    )


def _named_along(file: NetcdfFile, dim: str, axis: str, names: tuple[str, ...]) -> Array | None:
    """Return the only variable along a dimension that is called or says that it is x or y."""
    found = [
        array for array in file.arrays.values()
        if array.dims == (dim,) and (array.name.lower() in names or _says_axis(array, axis))
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _statements(array: Array, file: NetcdfFile) -> dict[str, object]:
    """Return all that a file says of the coordinate system of a variable, nearest first."""
    named = text(array.attributes.get("grid_mapping")).split(":")[0].split(" ")[0]
    mapping = file.arrays.get(named) or _only_mapping(file)
    if mapping is not None and (said := _said(mapping.name, mapping.attributes)):
        return said
    own = _said(array.name, {k: v for k, v in array.attributes.items() if k in CRS_ATTRIBUTES})
    return own or _said("", file.attributes)


def _only_mapping(file: NetcdfFile) -> Array | None:
    found = [
        array for array in file.arrays.values()
        if {"grid_mapping_name", "crs_wkt", "spatial_ref"} & set(array.attributes)
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _said(name: str, attributes: Mapping[str, Any]) -> dict[str, object]:
    """Return statements among attributes; text and codes first, then CF parameters."""
    wanted = CRS_ATTRIBUTES if name else GLOBAL_CRS_ATTRIBUTES
    place = f"{name}:" if name else "global attribute "
    found: dict[str, object] = {
        f"{place}{key}": _plain(value) for key, value in attributes.items()
        if key.lower() in wanted and text(value)
    }  # fmt: skip
    if not found and "grid_mapping_name" in attributes:
        found[f"{place}grid_mapping_name"] = {k: _number(v) for k, v in attributes.items()}
    return found


def _plain(value: object) -> str:
    """Return text or a code such as 3031, also where it is stored as 3031.0."""
    if isinstance(value, np.integer | np.floating | int | float) and float(value).is_integer():
        return str(int(value))
    return text(value)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
