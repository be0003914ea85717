"""Surface mass balance of regional climate models, month by month, in the models' own cells.

RACMO2.3p2 ANT27 is on a rotated pole: ``smb(time, height, rlat, rlon)`` with one height, totals of
months or rates. MAR is on squares of a polar map, in km, in mm w.e. a day. Both may give latitude
and longitude of each cell, which then decide.
"""

import re
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import model_cells
from stac.field_units import FieldFormatError
from stac.gridded_netcdf import GridVariable
from stac.model_cells import Cells, Pole
from stac.model_months import month_factors, read_months
from stac.netcdf import Array, NetcdfFile, require_size, text

FLOAT = NDArray[np.float64]

NAMES = ("smb", "smb_rec", "smb_corr", "smbcorr", "surface_mass_balance", "acabf", "smbl")
"""Names of the variable in lower case, the first that a file has."""
STANDARD_NAMES = (
    "land_ice_surface_specific_mass_balance_flux",
    "land_ice_surface_specific_mass_balance",
    "surface_specific_mass_balance",
)
ROW_NAMES = ("rlat", "y", "lat", "latitude", "nj", "south_north")
COLUMN_NAMES = ("rlon", "x", "lon", "longitude", "ni", "west_east")
TIMES = ("time", "valid_time", "date", "t")
UNDECLARED_FILL = -9999.0
"""What RACMO writes where it has no ice, also where the file does not declare it."""
LARGEST_MONTH = 2.0e4
"""More than any month brings anywhere [kg m⁻²]; a larger amount is an unknown fill or unit."""
SAME_CELL = 0.1
"""Share of a cell that centres by the pole and those by latitude and longitude may differ."""
AT_ONCE = 24
_PROJ = re.compile(r"\+(o_lat_p|o_lon_p|lon_0)=(-?\d+(?:\.\d*)?)")


def find(file: NetcdfFile) -> Array | None:
    """Return the variable of the surface mass balance, by its name or standard name."""
    fields = [array for array in file.arrays.values() if array.is_number and len(array.dims) > 1]
    for name in NAMES:
        for array in fields:
            if array.name.lower() == name:
                return array
    named = [a for a in fields if text(a.attributes.get("standard_name")) in STANDARD_NAMES]
    return named[0] if len(named) == 1 else None


def read_model(file: NetcdfFile, array: Array, *, product: str) -> xr.Dataset:
    """Read monthly fields of a regional model.

    Parameters
    ----------
    file : NetcdfFile
        Open file.
    array : Array
        Its surface mass balance.
    product : str
        What the model is called.

    Returns
    -------
    xarray.Dataset
        As :func:`stac.surface_mass_balance.read_surface_mass_balance`.

    Raises
    ------
    FieldFormatError
        An unknown grid, unit or time, several heights, or damaged.
    """
    what = f"{file.name}: {array.name!r}"
    time, row, column = _dimensions(array, what=what)
    sizes = dict(zip(array.dims, array.shape, strict=True))
    months = read_months(file, time, sizes[time])
    require_size(array.shape, what=what)
    cells, order = _cells(file, array, row, column)
    scale = month_factors(array.unit, months, to="kg m-2", what=what)
    amounts = np.empty((sizes[time], sizes[row] * sizes[column]))
    for at, block in blocks(array, time, row, column):
        amounts[at] = block.reshape(len(block), -1)[:, order] * scale[at, None]
    _require_plausible(amounts, array.unit, what=what)
    attributes = {
        "product": product,
        "quantity": "surface_mass_balance",
        "source_variable": array.name,
        "source_unit": array.unit,
    }
    return model_cells.dataset(amounts, months, cells, attributes)


def blocks(
    array: Array, time: str, row: str, column: str, rows: slice = slice(None)
) -> Iterator[tuple[slice, FLOAT]]:
    """Yield some months after the other, shape (block, rows, columns), NaN where missing."""
    sizes = dict(zip(array.dims, array.shape, strict=True))
    for start in range(0, sizes[time], AT_ONCE):
        at = slice(start, min(start + AT_ONCE, sizes[time]))
        wanted = {time: at, row: rows, column: slice(None)}
        values = array.read(tuple(wanted.get(dim, 0) for dim in array.dims))
        kept = [dim for dim in array.dims if dim in wanted]
        values = np.transpose(values, [kept.index(dim) for dim in (time, row, column)])
        yield at, np.where(values == UNDECLARED_FILL, np.nan, values)


def _dimensions(array: Array, *, what: str) -> tuple[str, str, str]:
    """Return the dimensions of time, rows and columns; any other must have one entry."""
    found = [
        [dim for dim in array.dims if dim.lower().rstrip("0123456789_") in names or
         dim.lower() in names]
        for names in (TIMES, ROW_NAMES, COLUMN_NAMES)
    ]  # fmt: skip
    if any(len(each) != 1 for each in found):
        msg = (
            f"{what} has dimensions {array.dims}, expected a time, rows (rlat, y or lat) and "
            "columns (rlon, x or lon); rename them with ncrename"
        )
        raise FieldFormatError(msg)
    time, row, column = (each[0] for each in found)
    for dim, size in zip(array.dims, array.shape, strict=True):
        # MAR's first sector is the one of ice.
        if dim not in {time, row, column} and size != 1 and not dim.lower().startswith("sector"):
            msg = (
                f"{what} has {size} entries along {dim!r}, expected one; choose it with "
                f"ncks -d {dim},0 FILE NEW.nc"
            )
            raise FieldFormatError(msg)
    return time, row, column


def _cells(
    file: NetcdfFile, array: Array, row: str, column: str
) -> tuple[Cells, NDArray[np.int64]]:
    """Return the cells, and for each its place in the rows and columns of the file."""
    centres = _centres(file, row, column)
    sizes = dict(zip(array.dims, array.shape, strict=True))
    order = np.arange(sizes[row] * sizes[column])
    pole_cells = _rotated(file, array, row, column, centres)
    if pole_cells is not None:
        return pole_cells, order
    try:
        axes = GridVariable(array, file, x_dim=column, y_dim=row).axes()
    except FieldFormatError:
        if centres is None:
            raise
        return model_cells.curvilinear_cells(*centres, what=file.name), order
    placed = axes.oriented(order.reshape(sizes[row], sizes[column]).astype(np.float64))
    return model_cells.square_cells(axes.x, axes.y), placed.reshape(-1).astype(np.int64)


def _centres(file: NetcdfFile, row: str, column: str) -> tuple[FLOAT, FLOAT] | None:
    """Return latitude and longitude of each cell, shape (rows, columns) [°], if there are any."""
    found = []
    for names in (("lat", "latitude"), ("lon", "longitude")):
        fits = [a for a in file.arrays.values()
                if set(a.dims) == {row, column} and (a.name.lower() in names or
                text(a.attributes.get("standard_name")) in names)]  # fmt: skip
        if len(fits) != 1:
            return None
        values = fits[0].read()
        found.append(values if fits[0].dims == (row, column) else values.T)
    return found[0], found[1]


def _rotated(
    file: NetcdfFile,
    array: Array,
    row: str,
    column: str,
    centres: tuple[FLOAT, FLOAT] | None,
) -> Cells | None:
    """Return cells of a rotated pole; none where there is no pole or it is not that of the cells.

    Which way an angle of −180° turns is read differently by different programs, so the latitudes
    and longitudes of the file decide between the ways, and over the pole.
    """
    axes = [file.along(dim) for dim in (row, column)]
    poles = _poles(file, array)
    if not poles or None in axes:
        return None
    rlat, rlon = (axis.read() for axis in axes if axis is not None)
    if centres is None:
        return model_cells.rotated_cells(rlat, rlon, poles[0], what=file.name)
    step = abs(model_cells.even_step(rlat, what=file.name))
    places = np.meshgrid(rlat, rlon, indexing="ij")
    for pole in poles:
        away = _angle(*model_cells.unrotated(places[0], places[1], pole), *centres)
        if away.max() < SAME_CELL * step:
            return model_cells.rotated_cells(rlat, rlon, pole, what=file.name)
    return None


def _poles(file: NetcdfFile, array: Array) -> list[Pole]:
    """Return the rotated poles that a file may mean: by PROJ's text, then by CF."""
    named = file.arrays.get(text(array.attributes.get("grid_mapping"))) or file.arrays.get(
        "rotated_pole"
    )
    if named is None:
        return []
    given = named.attributes
    found = []
    said = {k: float(v) for k, v in _PROJ.findall(text(given.get("proj4_params")))}
    if "o_lat_p" in said:
        found.append(Pole(said["o_lat_p"], said.get("lon_0", 0.0), said.get("o_lon_p", 0.0)))
    if {"grid_north_pole_latitude", "grid_north_pole_longitude"} <= set(given):
        latitude, longitude, own = (
            float(np.asarray(given.get(key, 0.0)).reshape(-1)[0])
            for key in ("grid_north_pole_latitude", "grid_north_pole_longitude",
                        "north_pole_grid_longitude")
        )  # fmt: skip
        found.append(Pole(latitude, longitude + 180.0, own))
    return found


def _angle(latitude: FLOAT, longitude: FLOAT, other: FLOAT, other_longitude: FLOAT) -> FLOAT:
    """Return angles between places, by the haversine [°]."""
    phi, psi = np.radians(latitude), np.radians(other)
    half = np.radians(longitude - other_longitude) / 2.0
    chord = np.sin((phi - psi) / 2.0) ** 2 + np.cos(phi) * np.cos(psi) * np.sin(half) ** 2
    return np.asarray(np.degrees(2.0 * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))))


def _require_plausible(amounts: FLOAT, unit: str, *, what: str) -> None:
    largest = float(np.nanmax(np.abs(amounts), initial=0.0))
    if np.isnan(amounts).all() or not largest < LARGEST_MONTH:
        found = "no value at all" if np.isnan(amounts).all() else f"{largest:g} kg m⁻² in a month"
        msg = (
            f"{what} in {unit!r} has {found}, expected at most {LARGEST_MONTH:g} kg m⁻²; correct "
            "its units, or declare its _FillValue"
        )
        raise FieldFormatError(msg)
