"""Small files of monthly surface mass balance in their publishers' layouts."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pyproj

from tests.stac.field_files import NetcdfWriter

RLAT = np.round(np.arange(-2.0, 2.01, 0.25), 3)
RLON = np.round(np.arange(-3.0, 3.01, 0.25), 3)
RACMO_POLE = "-m 57.295779506 +proj=ob_tran +o_proj=latlon +o_lat_p=-180.0 +lon_0=10.0"
FILL = 9.969209968386869e36
MONTHS = 3


def racmo_places() -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of the cells by PROJ's own rotation."""
    rotation = pyproj.Proj("+proj=ob_tran +o_proj=longlat +o_lat_p=-180 +lon_0=10 +R=6371000")
    rlon, rlat = np.meshgrid(RLON, RLAT)
    longitude, latitude = rotation(np.radians(rlon), np.radians(rlat), inverse=True)
    return latitude, longitude


def racmo_field() -> np.ndarray:
    """Return amounts, shape (time, height, rlat, rlon), a corner of which has no ice."""
    field = 10.0 + np.arange(MONTHS)[:, None, None] + 0.1 * RLON + RLAT[:, None]
    field[:, -3:, -4:] = -9999.0
    return field[:, None]


def write_racmo(
    path: Path,
    *,
    name: str = "smb",
    unit: str = "kg m-2 per month",
    times: np.ndarray | None = None,
    time_unit: str = "days since 1950-01-01 00:00:00.0",
    with_places: bool = True,
    pole: dict[str, Any] | None = None,
    fill: float | None = -9999.0,
    values: np.ndarray | None = None,
    **attributes: Any,
) -> Path:
    """Write ``smb(time, height, rlat, rlon)`` on the rotated pole of ANT27."""
    writer = NetcdfWriter(path)
    times = np.array([22294.5, 22324.0, 22353.5]) if times is None else times
    writer.field("time", times, ("time",), units=time_unit)
    values = racmo_field() if values is None else values
    writer.field("height", np.zeros(values.shape[1]), ("height",), units="m")
    writer.field("rlat", RLAT, ("rlat",), units="degrees", standard_name="grid_latitude")
    writer.field("rlon", RLON, ("rlon",), units="degrees", standard_name="grid_longitude")
    if with_places:
        for key, place in zip(("lat", "lon"), racmo_places(), strict=True):
            writer.field(key, place, ("rlat", "rlon"), dtype="f4", units="degrees")
    default = {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": -180.0, "grid_north_pole_longitude": -170.0,
        "proj4_params": RACMO_POLE,
    }  # fmt: skip
    writer.mapping(default if pole is None else pole, name="rotated_pole")
    writer.field(name, values,
                 ("time", "height", "rlat", "rlon"), dtype="f4", fill=fill, units=unit,
                 grid_mapping="rotated_pole")  # fmt: skip
    return writer.done(**({"title": "RACMO2.3p2 ANT27"} | attributes))


ERA_LAT = np.round(np.arange(-59.0, -90.05, -1.0), 1)
ERA_LON = np.round(np.arange(0.0, 359.95, 2.0), 1)


def write_era5(
    path: Path,
    *,
    tp: np.ndarray | None = None,
    e: np.ndarray | None = None,
    unit: str = "m",
    layout: str = "valid_time",
) -> Path:
    """Write monthly means of ERA5-Land; `layout` is that of the new or the old data store."""
    shape = (2, ERA_LAT.size, ERA_LON.size)
    tp = np.full(shape, 1.0e-3) if tp is None else tp
    e = np.full(shape, -2.0e-4) if e is None else e
    writer = NetcdfWriter(path)
    time, dims = layout, (layout, "latitude", "longitude")
    if layout == "valid_time":
        seconds = np.array([1296518400, 1298937600])
        writer.field(time, seconds, (time,), dtype="i8", units="seconds since 1970-01-01")
        writer.labels("expver", ["0001", "0001"])
    elif layout == "date":
        writer.field(time, np.array([20110201, 20110301]), (time,), dtype="i8")
    else:
        hours = np.array([973752, 974424])
        writer.field(time, hours, (time,), dtype="i4", units="hours since 1900-01-01 00:00:00.0")
        writer.field("expver", np.array([1, 5]), ("expver",), dtype="i4")
        dims = (time, "expver", "latitude", "longitude")
        merged = np.full((2, 2, *shape[1:]), np.nan)
        later = merged.copy()
        (merged[0, 0], merged[1, 1]), (later[0, 0], later[1, 1]) = tp, e
        tp, e = merged, later
    writer.field("latitude", ERA_LAT, ("latitude",), units="degrees_north")
    writer.field("longitude", ERA_LON, ("longitude",), units="degrees_east")
    writer.field(
        "tp", tp, dims, fill=np.nan, dtype="f4", units=unit, long_name="Total precipitation"
    )
    writer.field("e", e, dims, fill=np.nan, dtype="f4", units="m of water equivalent")
    writer.field("ro", np.full(tp.shape, 9.0), dims, dtype="f4", units="m")
    return writer.done(institution="European Centre for Medium-Range Weather Forecasts")


MAR_X = np.arange(-105.0, 106.0, 35.0)
MAR_Y = np.arange(700.0, 806.0, 35.0)


def write_mar(path: Path, *, said: str = "places", unit: str = "mmWE/day") -> Path:
    """Write ``SMB(TIME, SECTOR, Y, X)`` on squares of 35 km, whose axes are in km."""
    writer = NetcdfWriter(path)
    writer.field("TIME", np.array([14.5, 45.0]), ("TIME",), units="DAYS since 2011-01-01 00:00:00")
    names = ("x", "y") if said == "system" else ("X", "Y")
    writer.field(names[0], MAR_X, (names[0],), units="km")
    writer.field(names[1], MAR_Y, (names[1],), units="km")
    if said == "places":
        to = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
        places = to.transform(*np.meshgrid(MAR_X * 1e3, MAR_Y * 1e3))
        for name, values in zip(("LON", "LAT"), places, strict=True):
            writer.field(name, values, names[::-1], units="degrees")
    if said == "system":
        writer.mapping(pyproj.CRS.from_epsg(3031).to_cf())
    values = np.arange(2 * 2 * MAR_Y.size * MAR_X.size, dtype=float)
    values = values.reshape(2, 2, MAR_Y.size, MAR_X.size) / 100.0
    writer.field("SMB", values, ("TIME", "SECTOR", *names[::-1]), units=unit)
    return writer.done(title="MARv3.12")


RIGNOT_MILLION_KM2 = np.array([0.153, 0.263, 2.13, 0.643, 0.0625, 0.0739, 0.1446, 0.065, 0.4295,
                               0.1346, 0.8352, 1.6378, 0.4288, 0.6939, 1.1516, 0.6955, 1.3352,
                               0.6433, 0.7776])  # fmt: skip


def write_rignot_table(
    path: Path,
    *,
    months: int = 516,
    areas: np.ndarray = RIGNOT_MILLION_KM2,
    times: np.ndarray | None = None,
    time_unit: str = "yyyymm",
    definition: str = "Rignot 2016",
    title: str = "Modelled monthly integrated SMB components from ERA5-3H_RACMO2.3p2_ANT27_IMBIE2",
    **attributes: Any,
) -> Path:
    """Write ``smb(time, basins)`` as IMBIE has it: no times, areas that are not km², no names."""
    smb = 10.0 + np.arange(months)[:, None] % 12 + np.arange(areas.size)
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("time", None)
        file.createDimension("basins", areas.size + 1)
        time = file.createVariable("time", "f8", ("time",))
        time.units = time_unit
        values = file.createVariable("smb", "f8", ("time", "basins"), fill_value=-999.0)
        values.units = "Gt per month"
        area = file.createVariable("area", "f8", ("basins",), fill_value=-999.0)
        area.units = "km2"
        values[:] = np.column_stack([smb, smb.sum(axis=1)])
        area[:] = np.append(areas, areas.sum())
        if times is not None:
            time[:] = times
        file.setncatts({"basin_definition": definition, "title": title} | attributes)
    return path


HEADER = (
    "Participant Surname,Experiment Group (altimetry/gravimetry/mass budget),"
    "Drainage Region Set (Rignot/Zwally),Drainage Region ID,Drainage Region Area (km2),"
    "Drainage Region Area Observed (km2),Date (decimal years),Relative Mass Change (Gt),"
    "Relative Mass Change Uncertainty (Gt),Snowfall (Gt)\n"
)


def zwally_lines(dates: list[str]) -> list[str]:
    """Return lines as MAR's authors wrote them: the ice sheet first, then basins downward."""
    return [
        f"kittel,Surface Mass Balance,Zwally,{region:>3},{area},{area},{date},{amount:.4f},.1,1.0\n"
        for region, area, amount in (("ais", 400000.0, 9.0), ("11", 250000.5, 5.0),
                                     ("2", 100000.0, 3.0))
        for date in dates
    ]  # fmt: skip


ENDS = [f"{2000 + m / 12:.2f}" for m in range(1, 13)]
