"""Months of snow as a climate model on a rotated pole and a reanalysis write them.

The world's accumulation is a rate; a month has its share of the year, by a season and by how the
year was, whose mean over the years that are written is one. The model errs by basin, as its stated
uncertainty has it; the reanalysis is too wet and noisy, which its ratio to the model mends.
"""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pyproj
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.worlds import equal_area, forcing
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.regions import sector_index

FLOAT = NDArray[np.float64]
MONTHS = NDArray[np.datetime64]

SPACING = 0.25
"""Cells of the climate model on its rotated pole [degrees]."""

RELATIVE = 0.05
"""Standard deviation of the model's error in a basin, as a part of its snow [1]."""

SEASON, YEARS_VARY = 0.25, 0.06
"""Amplitude of the season, and spread of years [1]."""

OTHER_SPACING_KM = 35.0
"""Cells of the other climate model, squares of the map [km]."""

TOO_WET, NOISE = 1.12, 0.03
"""What the reanalysis snows for 1 of the model, and the spread of its months [1]."""

EVAPORATED = 0.1
POLE = "-m 57.295779506 +proj=ob_tran +o_proj=latlon +o_lat_p=-180.0 +lon_0=10.0"
FILLER = -9999.0
UNITS = {"height": "m", "X": "km", "Y": "km", "SECTOR": "1"}
"""Of axes that are not in degrees."""


def month_factors(months: MONTHS, *, seed: int, whole: slice | None = None) -> FLOAT:
    """Return how much of a mean month each month has, shape (month,) [1].

    Parameters
    ----------
    months : ndarray of datetime64[M], shape (month,)
        Consecutive months.
    seed : int
        Draws the years.
    whole : slice, optional
        Months over which the mean is 1; all if not given.
    """
    year = months.astype("datetime64[Y]").astype(int)
    drawn = np.random.default_rng([seed, 30]).standard_normal(500)
    number = months.astype(int) % 12
    season = 1.0 + SEASON * np.cos(2.0 * np.pi * (number - 3.5) / 12.0)
    factors = season * (1.0 + YEARS_VARY * drawn[year % 500])
    return np.asarray(factors / factors[whole or slice(None)].mean())


def write_model(
    world: Antarctica, path: Path, *, months: MONTHS, factors: FLOAT, seed: int
) -> Path:
    """Write ``smb(time, height, rlat, rlon)`` as RACMO2.3p2 ANT27 has it [kg m⁻² a month].

    Parameters
    ----------
    world : Antarctica
        Whose snow.
    path : Path
        File to write; one that exists is replaced.
    months : ndarray of datetime64[M], shape (month,)
        Months to write.
    factors : ndarray, shape (month,)
        Share of a mean month, see :func:`month_factors`.
    seed : int
        Draws the model's error of each basin.
    """
    rlat, rlon = np.arange(-27.0, 27.01, SPACING), np.arange(-28.0, 28.01, SPACING)
    rotation = pyproj.Proj("+proj=ob_tran +o_proj=longlat +o_lat_p=-180 +lon_0=10 +R=6371000")
    east, north = np.meshgrid(rlon, rlat)
    longitude, latitude = rotation(np.radians(east), np.radians(north), inverse=True)
    rate, near = _rate(world, latitude, longitude)
    rate = rate * (1.0 + basin_errors(world, latitude, longitude, seed=seed))
    path.unlink(missing_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        _axes(file, {"rlat": rlat, "rlon": rlon, "height": np.zeros(1)}, months)
        for name, values in (("lat", latitude), ("lon", longitude)):
            file.createVariable(name, "f4", ("rlat", "rlon"), zlib=True)[:] = values
        pole = file.createVariable("rotated_pole", "i4")
        pole.setncatts({"grid_mapping_name": "rotated_latitude_longitude", "proj4_params": POLE})
        field = file.createVariable("smb", "f4", ("time", "height", "rlat", "rlon"), zlib=True,
                                    fill_value=FILLER, chunksizes=(1, 1, *rate.shape))  # fmt: skip
        field.setncatts({"units": "kg m-2 per month", "grid_mapping": "rotated_pole"})
        for number, factor in enumerate(factors):
            field[number, 0] = np.where(near, rate * factor / 12.0, FILLER)
        file.title = "RACMO2.3p2 ANT27, synthetic"
    return path


def write_other_model(
    world: Antarctica, path: Path, *, months: MONTHS, factors: FLOAT, seed: int
) -> Path:
    """Write ``SMB(TIME, SECTOR, Y, X)`` as MAR has it: squares in km, mm of water a day.

    Parameters are those of :func:`write_model`; errors are drawn apart from its.
    """
    centres = np.arange(-2800.0, 2800.1, OTHER_SPACING_KM)
    x, y = np.meshgrid(1e3 * centres, 1e3 * centres)
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    rate, near = _rate(world, latitude, longitude)
    rate = rate * (1.0 + basin_errors(world, latitude, longitude, seed=seed, model=1))
    days = _days(months)
    path.unlink(missing_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        _axes(file, {"Y": centres, "X": centres, "SECTOR": np.arange(1.0, 3.0)}, months,
              name="TIME")  # fmt: skip
        for name, values in (("LAT", latitude), ("LON", longitude)):
            file.createVariable(name, "f8", ("Y", "X"), zlib=True)[:] = values
            file[name].units = "degrees"
        field = file.createVariable("SMB", "f4", ("TIME", "SECTOR", "Y", "X"), zlib=True,
                                    fill_value=FILLER, chunksizes=(1, 1, *rate.shape))  # fmt: skip
        field.units = "mmWE/day"
        for number, factor in enumerate(factors):
            ice = np.where(near, rate * factor / 12.0 / days[number], FILLER)
            field[number] = np.stack([ice, np.zeros(ice.shape)])
        file.title = "MARv3.12, synthetic"
    return path


def basin_errors(
    world: Antarctica, latitude: FLOAT, longitude: FLOAT, *, seed: int, model: int = 0
) -> FLOAT:
    """Return a model's error of the basin that each place lies in, shape (...) [1]."""
    drawn = RELATIVE * np.random.default_rng([seed, 31 + 2 * model]).standard_normal(27)
    _, nu = world.divide.coordinates(equal_area.plane_from_geodetic(latitude, longitude))
    return np.asarray(drawn[sector_index(nu)])


def write_reanalysis(
    world: Antarctica, path: Path, *, months: MONTHS, factors: FLOAT, seed: int
) -> Path:
    """Write ``tp`` and ``e`` as ERA5-Land's monthly means: metres of water a day, e below zero."""
    latitude, longitude = np.arange(-60.0, -90.01, -0.5), np.arange(0.0, 359.6, 1.0)
    east, north = np.meshgrid(longitude, latitude)
    rate, near = _rate(world, np.clip(north, -89.999, None), np.where(east > 180, east - 360, east))
    generator = np.random.default_rng([seed, 32])
    days = _days(months)
    path.unlink(missing_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        _axes(file, {"latitude": latitude, "longitude": longitude}, months, name="valid_time")
        for name in ("tp", "e"):
            file.createVariable(name, "f4", ("valid_time", "latitude", "longitude"), zlib=True,
                                fill_value=np.float32(np.nan))  # fmt: skip
        file["tp"].units, file["e"].units = "m", "m of water equivalent"
        for number, factor in enumerate(factors):
            noisy = TOO_WET * factor * (1.0 + NOISE * generator.standard_normal())
            a_day = np.where(near, rate * noisy / 12.0 / days[number] / 1000.0, np.nan)
            file["tp"][number] = (1.0 + EVAPORATED) * a_day
            file["e"][number] = -EVAPORATED * a_day
        file.institution = "European Centre for Medium-Range Weather Forecasts, synthetic"
    return path


def _rate(world: Antarctica, latitude: FLOAT, longitude: FLOAT) -> tuple[FLOAT, NDArray[np.bool_]]:
    """Return the yearly accumulation at places [kg m⁻² yr⁻¹], and which are near or on the ice."""
    z = equal_area.plane_from_geodetic(latitude, longitude)
    mu, nu = world.divide.coordinates(z)
    near = (mu < world.coast(nu) + 0.08) & (latitude < 0.0)
    return forcing.accumulation(world.fraction(mu, nu), nu), near


def _days(months: MONTHS) -> FLOAT:
    """Return how long months are, shape (month,) [d]."""
    starts, ends = (each.astype("datetime64[D]") for each in (months, months + 1))
    return np.asarray((ends - starts).astype(float))


def _axes(
    file: netCDF4.Dataset, axes: dict[str, FLOAT], months: MONTHS, *, name: str = "time"
) -> None:
    for key, values in axes.items():
        file.createDimension(key, len(values))
        axis = file.createVariable(key, "f8", (key,))
        axis.units = UNITS.get(key, "degrees")
        axis[:] = values
    file.createDimension(name, None)
    time = file.createVariable(name, "f8", (name,))
    time.setncatts({"units": "days since 1950-01-01 00:00:00", "calendar": "standard"})
    first = months.astype("datetime64[D]") - np.datetime64("1950-01-01", "D")
    # The reanalysis dates a month by its first day, models by its middle.
    time[:] = first.astype(int) + (0.0 if name == "valid_time" else 14.5)
