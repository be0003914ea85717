"""Precipitation minus evaporation of ERA5-Land, from its monthly means.

ECMWF's monthly means of accumulations are in metres of water A DAY, and its fluxes are positive
downward: evaporation is negative. So, with d the days of a month::

    P − E = (tp + e) · 1000 kg m⁻³ · d        [kg m⁻² a month]

Runoff is left out: over Antarctica the model's snow does not leave. Evaporation from bare soil,
vegetation and open water, whose names ECMWF once swapped, is not needed.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import model_cells
from stac.field_units import FieldFormatError
from stac.model_months import TIME_NAMES, days_of, read_months
from stac.netcdf import Array, NetcdfFile, require_size
from stac.regional_climate import AT_ONCE

FLOAT = NDArray[np.float64]

PRECIPITATION = ("tp", "total_precipitation")
EVAPORATION = ("e", "evaporation", "total_evaporation")
ROWS, COLUMNS = ("latitude", "lat"), ("longitude", "lon")
NORTHERNMOST = -60.0
WATER_KG = 1000.0
"""Mass of a metre of water equivalent [kg m⁻²]."""
METRES_A_DAY = ("m", "m of water equivalent", "m day-1", "m/day", "m d-1", "m per day",
                "m of water equivalent per day", "m of water equivalent day-1")  # fmt: skip
LARGEST_DAY = 1.0
"""More than falls in any day, as a mean of a month [m]."""


def find(file: NetcdfFile) -> tuple[Array, Array] | None:
    """Return precipitation and evaporation, if a file has both."""
    by_name = {array.name.lower(): array for array in file.arrays.values() if array.is_number}
    found = [next((by_name[n] for n in names if n in by_name), None)
             for names in (PRECIPITATION, EVAPORATION)]  # fmt: skip
    tp, e = found
    return None if tp is None or e is None else (tp, e)


def read_reanalysis(file: NetcdfFile, tp: Array, e: Array) -> xr.Dataset:
    """Read monthly means of precipitation and evaporation south of 60° S.

    Parameters
    ----------
    file : NetcdfFile
        Open file.
    tp, e : Array
        Total precipitation and evaporation, on the same axes.

    Returns
    -------
    xarray.Dataset
        As :func:`stac.surface_mass_balance.read_surface_mass_balance`; NaN where the model has no
        land, which includes parts of the coast.

    Raises
    ------
    FieldFormatError
        Other units, axes that differ, no cell in the south, or damaged.
    """
    for array in (tp, e):
        _require_daily(array)
    time, row, column = _dimensions(file, tp, e)
    latitude, longitude = (_degrees(file, dim) for dim in (row, column))
    south = np.flatnonzero(latitude <= NORTHERNMOST)
    if south.size < 2:
        msg = (
            f"{file.name} reaches from {latitude.min():g}° to {latitude.max():g}° of latitude, "
            f"expected rows south of {-NORTHERNMOST:g}° S; fetch the south"
        )
        raise FieldFormatError(msg)
    rows = slice(int(south[0]), int(south[-1]) + 1)
    months = read_months(file, time, tp.shape[tp.dims.index(time)])
    amounts = np.empty((months.size, south.size * longitude.size))
    require_size(amounts.shape, what=f"{file.name}: {tp.name!r}")
    pairs = zip(*(_daily(array, time, row, column, rows) for array in (tp, e)), strict=True)
    for (at, water), (_, vapour) in pairs:
        days = days_of(months[at])[:, None]
        amounts[at] = (water + vapour).reshape(len(water), -1) * WATER_KG * days
    cells = model_cells.geographic_cells(latitude[rows], longitude, what=file.name)
    attributes = {
        "product": "ERA5-Land",
        "quantity": "precipitation_minus_evaporation",
        "source_variable": f"{tp.name}, {e.name}",
        "source_unit": f"{tp.unit} a day",
    }
    return model_cells.dataset(amounts, months, cells, attributes)


def _daily(
    array: Array, time: str, row: str, column: str, rows: slice
) -> Iterator[tuple[slice, FLOAT]]:
    """Yield means a day of some months after the other [m], shape (block, rows, columns)."""
    others = [dim for dim in array.dims if dim not in {time, row, column}]
    sizes = dict(zip(array.dims, array.shape, strict=True))
    for start in range(0, sizes[time], AT_ONCE):
        at = slice(start, min(start + AT_ONCE, sizes[time]))
        wanted = {time: at, row: rows}
        values = array.read(tuple(wanted.get(dim, slice(None)) for dim in array.dims))
        order = [array.dims.index(dim) for dim in (*others, time, row, column)]
        stacked = np.transpose(values, order).reshape(-1, *(values.shape[k] for k in order[-3:]))
        merged = _first_known(stacked)
        if not np.nanmax(np.abs(merged), initial=0.0) < LARGEST_DAY:
            msg = (
                f"{array.file}: {array.name!r} reaches {np.nanmax(np.abs(merged)):g} m a day, "
                f"expected less than {LARGEST_DAY:g}; is it in mm, or a sum of the month? fetch "
                "the monthly means"
            )
            raise FieldFormatError(msg)
        yield at, merged


def _first_known(stacked: FLOAT) -> FLOAT:
    """Merge ERA5 and its preliminary continuation, which share the times of a file."""
    merged: FLOAT = stacked[0]
    for later in stacked[1:]:
        merged = np.where(np.isnan(merged), later, merged)
    return merged


def _require_daily(array: Array) -> None:
    if " ".join(array.unit.lower().split()) not in METRES_A_DAY:
        msg = (
            f"{array.file}: {array.name!r} is in {array.unit!r}, expected m of water equivalent a "
            "day, as monthly means of ERA5-Land are; fetch these, or correct the units"
        )
        raise FieldFormatError(msg)


def _dimensions(file: NetcdfFile, tp: Array, e: Array) -> tuple[str, str, str]:
    """Return time, row and column; others may be versions of the experiment only."""
    found = [[dim for dim in tp.dims if dim.lower() in names]
             for names in (TIME_NAMES, ROWS, COLUMNS)]  # fmt: skip
    if tp.dims != e.dims or tp.shape != e.shape or any(len(each) != 1 for each in found):
        msg = (
            f"{file.name}: {tp.name!r} {tp.dims} {tp.shape} and {e.name!r} {e.dims} {e.shape}, "
            "expected both on the same time, latitude and longitude; fetch them together"
        )
        raise FieldFormatError(msg)
    time, row, column = (each[0] for each in found)
    for dim, size in zip(tp.dims, tp.shape, strict=True):
        if dim not in {time, row, column, "expver"} and size != 1:
            msg = f"{file.name}: {tp.name!r} has {size} entries along {dim!r}, expected one"
            raise FieldFormatError(msg)
    return time, row, column


def _degrees(file: NetcdfFile, dim: str) -> FLOAT:
    along = file.along(dim)
    if along is None or not along.unit.lower().startswith("degree"):
        msg = f"{file.name} has no coordinates in degrees along {dim!r}; fetch it again"
        raise FieldFormatError(msg)
    return along.read()
