"""Maps of velocity in the true layout of each publisher, small; netCDF4 and GDAL write them."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from tests.stac.field_files import POLAR_CF, NetcdfWriter, X, Y, write_geotiff

NORTH, WEST = 1_443_700.0, -1_422_100.0
"""Corner of NSIDC-0525 [m]."""


def plane(x: np.ndarray = X, y: np.ndarray = Y) -> tuple[np.ndarray, np.ndarray]:
    """Return two components that tell where they belong, shape (y, x) [m yr⁻¹]; none is 0."""
    across, down = np.meshgrid(x, y)
    return 100.0 + across / 1e4, -200.0 + down / 1e4


def write_measures(
    path: Path, v_x: np.ndarray, v_y: np.ndarray, *, count: np.ndarray | None = None, **told: Any
) -> Path:
    """Write a map as MEaSUREs does since 2017: capitals, 0 for missing, errors, spread, counts."""
    writer = NetcdfWriter(path).axes().mapping(POLAR_CF, "coord_system")
    fields = {"VX": v_x, "VY": v_y, "STDX": 0.0 * v_x + 2.0, "STDY": 0.0 * v_y + 2.0,
              "ERRX": 0.0 * v_x + 3.0, "ERRY": 0.0 * v_y + 4.0}  # fmt: skip
    for name, values in fields.items():
        writer.field(name, values, dtype="f4", fill=0.0, units="meter/year",
                     grid_mapping="coord_system", coordinates="lon lat")  # fmt: skip
    if count is not None:
        writer.field("CNT", count, dtype="i4", fill=0, units="", grid_mapping="coord_system")
    return writer.done(**told)


def write_first_measures(
    path: Path, v_x: np.ndarray, v_y: np.ndarray, *, unit: str | None = "m/yr", **told: Any
) -> Path:
    """Write a map as MEaSUREs did until 2013: NetCDF 3, no coordinates, a corner as text."""
    file = netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC")
    for dim, size in zip(("ny", "nx"), v_x.shape, strict=True):
        file.createDimension(dim, size)
    for name, values in {"vx": v_x, "vy": v_y, "err": 0.0 * v_x + 5.0}.items():
        made = file.createVariable(name, "f4", ("ny", "nx"))
        made.set_auto_maskandscale(False)
        made[:] = values
        if unit is not None:
            made.units = unit
    corner = {"nx": v_x.shape[1], "ny": v_x.shape[0], "xmin": f"{WEST:.1f} m",
              "ymax": f"{NORTH:.1f} m", "spacing": "900 m",
              "projection": "Polar Stereographic South (71S,0E)"}  # fmt: skip
    file.setncatts({key: value for key, value in {**corner, **told}.items() if value is not None})
    file.close()
    return path


def write_its_live(path: Path, v_x: np.ndarray, v_y: np.ndarray, *, errors: str) -> Path:
    """Write an annual mosaic as ITS_LIVE does: whole m/yr as int16, -32767 for missing."""
    mapping = "Polar_Stereographic" if errors == "err" else "mapping"
    writer = NetcdfWriter(path).axes().mapping({**POLAR_CF, "spatial_epsg": 3031}, mapping)
    for name, values in {"vx": v_x, "vy": v_y, "v": np.hypot(v_x, v_y)}.items():
        whole = np.where(np.isnan(values), -32767, np.round(values))
        writer.field(name, whole, dtype="i2", fill=-32767, units="m/y", grid_mapping=mapping)
    for axis in "xy":
        dtype, fill = ("f4", 0.0) if errors == "err" else ("u2", 32767)
        values = np.where(np.isnan(v_x), fill, 7.0)
        writer.field(f"v{axis}_{errors}", values, dtype=dtype, fill=fill, units="m/y")
    return writer.done()


def write_cogs(folder: Path, stem: str, v_x: np.ndarray, v_y: np.ndarray) -> list[Path]:
    """Write the same as a file for each component, no unit in any."""
    fields = {"vx": v_x, "vy": v_y, "v": np.hypot(v_x, v_y), "vx_error": 0.0 * v_x + 7.0,
              "vy_error": 0.0 * v_y + 8.0, "count": 0.0 * v_x + 9.0}  # fmt: skip
    return [
        write_geotiff(folder / f"{stem}_{name}.tif", np.nan_to_num(
            np.round(values), nan=-32767).astype("i2")[None], nodata=-32767)
        for name, values in fields.items()
    ]  # fmt: skip


def write_enveo(path: Path, v_x: np.ndarray, v_y: np.ndarray) -> Path:
    """Write a month as ENVEO does: a time of one entry, true metres a day."""
    writer = NetcdfWriter(path).axes().mapping(POLAR_CF).labels("time", np.array([9862.0]))
    sigma = np.full((1, *v_x.shape), 0.01)
    for name, values in {"velocity": (v_x, v_y), "stddev": (sigma, sigma)}.items():
        for axis, field in zip(("easting", "northing"), values, strict=True):
            writer.field(f"land_ice_surface_{axis}_{name}", field.reshape(1, *v_x.shape),
                         ("time", "y", "x"), dtype="f4", fill=3.4028235e38, units="m/day",
                         grid_mapping="crs")  # fmt: skip
    return writer.done()
