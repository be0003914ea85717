"""Surface mass balance month by month: which form a file has, told by what it holds.

=============================  =====================================================
regional climate models        ``smb`` on a rotated pole or a polar map, `regional_climate`
reanalysis                     ``tp`` and ``e`` of ERA5-Land's monthly means, `reanalysis`
tables by basin                ``smb(time, basins)`` or IMBIE's text, `basin_tables`
=============================  =====================================================
"""

from pathlib import PurePosixPath

import xarray as xr

from stac import basin_tables, netcdf, reanalysis, regional_climate
from stac.field_units import FieldFormatError
from stac.netcdf import NetcdfFile, text

SUFFIXES = (".nc", ".nc4", ".cdf", ".h5", ".dat", ".csv", ".grib", ".grb", ".grib2")
"""GRIB is among them so that it is refused, not passed over."""
PRODUCT_ATTRIBUTES = ("product", "model_id", "model", "source_id", "title", "source")


def read_surface_mass_balance(data: bytes, *, name: str) -> xr.Dataset:
    """Read monthly surface mass balance in a model's own cells, or summed over basins.

    Parameters
    ----------
    data : bytes
        NetCDF, or IMBIE's table as text.
    name : str
        File name, for messages; its months are believed only where the file has none.

    Returns
    -------
    xarray.Dataset
        On cells: ``surface_mass_balance`` (time, cell) [kg m⁻²], the amount of each month, NaN
        where the model has none; ``corner_x``, ``corner_y`` (cell, corner) in EPSG:3031 [m];
        ``area`` (cell), true [m²]. By basin: ``surface_mass_balance`` (time, region) [Gt],
        ``region`` as text, ``region_area`` (region) [km²]; attribute ``region_set``. Both:
        ``time_start``, ``time_end`` (exclusive); attributes ``product`` and ``quantity``.

    Raises
    ------
    FieldFormatError
        GRIB, no such quantity, an unknown grid, unit or time, or damaged.
    """
    if data.startswith(b"GRIB"):
        msg = (
            f"{name} is GRIB, expected NetCDF; fetch it as NetCDF, or convert it: "
            "grib_to_netcdf -o NEW.nc FILE"
        )
        raise FieldFormatError(msg)
    if not netcdf.is_netcdf(data):
        if basin_tables.is_text_table(data):
            return basin_tables.read_text(data, name=name)
        msg = (
            f"{name} is neither NetCDF nor a table with the columns "
            f"{', '.join(map(repr, basin_tables.COLUMNS.values()))}; expected monthly surface mass "
            "balance in one of these forms"
        )
        raise FieldFormatError(msg)
    with netcdf.opened(data, name=name) as file:
        return _read_netcdf(file)


def _read_netcdf(file: NetcdfFile) -> xr.Dataset:
    array = regional_climate.find(file)
    if array is not None:
        table = basin_tables.find(array)
        if table is not None:
            return basin_tables.read_netcdf(file, array, *table, product=_product(file))
        return regional_climate.read_model(file, array, product=_product(file))
    pair = reanalysis.find(file)
    if pair is not None:
        return reanalysis.read_reanalysis(file, *pair)
    held = ", ".join(sorted(file.arrays)) or "nothing"
    msg = (
        f"{file.name} holds {held}, expected a surface mass balance "
        f"({', '.join(regional_climate.NAMES)}) or tp and e of ERA5-Land; rename the variable with "
        "ncrename"
    )
    raise FieldFormatError(msg)


def _product(file: NetcdfFile) -> str:
    """Return what a file calls itself, else its name."""
    given = {str(key).lower(): text(value) for key, value in file.attributes.items()}
    said = next((given[key] for key in PRODUCT_ATTRIBUTES if given.get(key)), "")
    return said or PurePosixPath(file.name).stem
