"""Writers of the synthetic altimetry: rates of elevation, trends of snow and firn, velocity.

NetCDF in EPSG:3031 as centres publish gridded rates: coordinates in metres, the projection in
``spatial_ref``, units, NaN where nothing was measured. The same world and seed give the same bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import CRS

from pipelines.kernels import geodesy
from pipelines.worlds.elevation import ElevationChange, Field, elevation_change
from pipelines.worlds.elevation_errors import (
    FITS,
    RETRACKERS,
    SIZES,
    ErrorSizes,
    Places,
    elevation_errors,
    gaps,
    member_gaps,
    modelled_surface,
    places,
)

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
Inside = Callable[[FLOAT, FLOAT], BOOL]
"""Whether points of EPSG:3031 lie on grounded ice: x, y [m], shapes (...), to shape (...)."""

HALF_WIDTH_KM = 2800.0
"""Grids reach this far from the pole along x and y [km]."""
PERIOD = (dt.date(2011, 2, 1), dt.date(2017, 6, 30))
"""First and last day of the rates, those of Sasgen et al. (2019)."""
DECIMALS = {"m yr-1": 4, "kg m-2 yr-1": 2}
"""Digits after the point that files keep, by unit: far fewer than errors leave."""
CHUNK = 280
"""Rows and columns of a chunk."""


@dataclass(frozen=True)
class AltimetryFiles:
    """Files of a synthetic altimetry.

    Attributes
    ----------
    elevation_rate : tuple of Path
        A file per re-tracker: ``elevation_rate`` (retracker, fit, y, x) [m yr⁻¹].
    surface_processes : tuple of Path
        One file: ``surface_elevation_rate`` (y, x) [m yr⁻¹] and ``surface_mass_rate`` (y, x)
        [kg m⁻² yr⁻¹], as a model has them.
    velocity : tuple of Path
        One file: ``v_x``, ``v_y`` (y, x) [m yr⁻¹].
    """

    elevation_rate: tuple[Path, ...]
    surface_processes: tuple[Path, ...]
    velocity: tuple[Path, ...]


def write_altimetry(
    world: Antarctica,
    folder: Path,
    *,
    seed: int = 1,
    spacing_km: float = 5.0,
    sizes: ErrorSizes = SIZES,
    mass_rate: Field | None = None,
    grounded: Inside | None = None,
    different_gaps: bool = False,
    period: tuple[dt.date, dt.date] = PERIOD,
) -> AltimetryFiles:
    """Write everything that an altimetry run reads, but for the polygons.

    Parameters
    ----------
    world : Antarctica
        What is measured; its streams and its snowfall part flow from snow.
    folder : Path
        Where to write; made if absent.
    seed : int
        Draws the errors.
    spacing_km : float
        Of the grid; must divide 5600 km evenly [km].
    sizes : ErrorSizes
        How large the errors are.
    mass_rate : callable, optional
        (x, y) of EPSG:3031 [m] to rates of mass [kg m⁻² yr⁻¹] that altimetry is to match; the
        world's own if not given.
    grounded : callable, optional
        (x, y) to whether ice is grounded there; as in the world if not given.
    different_gaps : bool
        Whether each member lacks cells of its own beside those that all lack.
    period : tuple of date
        First and last day of the rates.

    Returns
    -------
    AltimetryFiles
        Paths of what was written.

    Raises
    ------
    ValueError
        A spacing that does not divide the width of the grid.
    """
    axis = grid_axis(spacing_km)
    x, y = np.meshgrid(axis, axis[::-1])
    inside = _grounded(world, x, y) if grounded is None else grounded(x, y)
    change = elevation_change(world, x, y, mass_rate=mass_rate, grounded=inside)
    at = places(world, x, y)
    folder.mkdir(parents=True, exist_ok=True)
    measured = _Measured(change.elevation_rate, inside & ~gaps(world, at))
    draw = _Draw(at, measured, seed=seed, sizes=sizes, different_gaps=different_gaps)
    grid = _Grid(axis, axis[::-1], period)
    return AltimetryFiles(
        tuple(
            _write_retracker(draw, index, errors, grid, folder)
            for index, errors in enumerate(elevation_errors(at, seed=seed, sizes=sizes))
        ),
        (_write_surface(world, draw, change, inside, grid, folder),),
        (_write_velocity(world, at, grid, folder),),
    )


def grid_axis(spacing_km: float) -> FLOAT:
    """Return the centres of the cells along x, from west to east [m].

    Examples
    --------
    >>> grid_axis(1400.0).tolist()
    [-2100000.0, -700000.0, 700000.0, 2100000.0]
    """
    count = round(2.0 * HALF_WIDTH_KM / spacing_km) if spacing_km > 0.0 else 0
    if count < 1 or abs(count * spacing_km - 2.0 * HALF_WIDTH_KM) > 1e-6:
        msg = (
            f"found a spacing of {spacing_km:g} km, expected one that divides "
            f"{2.0 * HALF_WIDTH_KM:g} km into whole cells, such as 5, 10 or 20"
        )
        raise ValueError(msg)
    return np.asarray(1000.0 * spacing_km * (np.arange(count) + 0.5) - 1000.0 * HALF_WIDTH_KM)


def _grounded(world: Antarctica, x: FLOAT, y: FLOAT) -> BOOL:
    return world.is_grounded(*geodesy.inverse_polar_stereographic(x, y))


@dataclass(frozen=True)
class _Measured:
    """The true rate, and where all members have one."""

    truth: FLOAT
    seen: BOOL


@dataclass(frozen=True)
class _Draw:
    """What the members of one ensemble share."""

    at: Places
    measured: _Measured
    seed: int
    sizes: ErrorSizes
    different_gaps: bool


@dataclass(frozen=True)
class _Grid:
    """Axes and period that all files share."""

    x: FLOAT
    y: FLOAT
    period: tuple[dt.date, dt.date]


def _write_retracker(draw: _Draw, index: int, errors: FLOAT, grid: _Grid, folder: Path) -> Path:
    rates = np.where(draw.measured.seen, draw.measured.truth + errors, np.nan)
    if draw.different_gaps:
        for fit, rate in enumerate(rates):
            rate[member_gaps(draw.at, retracker=index, fit=fit, seed=draw.seed)] = np.nan
    name = RETRACKERS[index]
    rate = _variable(
        rates[None], "m yr-1", "rate of surface elevation", ("retracker", "fit", "y", "x")
    )
    data = xr.Dataset({"elevation_rate": rate}, {"retracker": [name], "fit": list(FITS)})
    return _write(data, grid, folder / f"elevation_rate_{name}.nc")


def _write_surface(
    world: Antarctica,
    draw: _Draw,
    change: ElevationChange,
    inside: BOOL,
    grid: _Grid,
    folder: Path,
) -> Path:
    height, mass = modelled_surface(world, draw.at, change, seed=draw.seed, sizes=draw.sizes)
    rates = {
        "surface_elevation_rate": (height, "m yr-1", "rate of the surface by snowfall and firn"),
        "surface_mass_rate": (mass, "kg m-2 yr-1", "anomaly of surface mass balance"),
    }
    data = xr.Dataset({
        name: _variable(np.where(inside, field, np.nan), unit, text)
        for name, (field, unit, text) in rates.items()
    })  # fmt: skip
    return _write(data, grid, folder / "surface_processes.nc")


def _write_velocity(world: Antarctica, at: Places, grid: _Grid, folder: Path) -> Path:
    parts = zip(("v_x", "v_y"), world.velocity(at.x, at.y), strict=True)
    data = xr.Dataset({
        name: _variable(field, "m yr-1", f"velocity of the ice along {name[-1]}, on the ground")
        for name, field in parts
    })  # fmt: skip
    return _write(data, grid, folder / "velocity.nc")


def _variable(
    field: FLOAT, unit: str, text: str, dims: tuple[str, ...] = ("y", "x")
) -> xr.Variable:
    attributes = {"units": unit, "long_name": text, "grid_mapping": "spatial_ref"}
    rounded = np.round(field, DECIMALS[unit]) + 0.0  # no negative zeros
    encoding: dict[str, Any] = {
        "dtype": "float32",
        "_FillValue": np.float32(np.nan),
        "zlib": True,
        "complevel": 4,
        "shuffle": True,
        "chunksizes": tuple(min(CHUNK, n) if n > len(FITS) else 1 for n in field.shape),
    }
    return xr.Variable(dims, rounded, attributes, encoding)


def _write(data: xr.Dataset, grid: _Grid, path: Path) -> Path:
    """Add axes, projection and period, and write; a file that exists is replaced."""
    for name, values in (("x", grid.x), ("y", grid.y)):
        attributes = {
            "units": "m",
            "standard_name": f"projection_{name}_coordinate",
            "long_name": f"{name} of EPSG:3031",
        }
        data = data.assign_coords({name: (name, values, attributes, {"_FillValue": None})})
    crs = CRS.from_epsg(3031)
    projection = {**crs.to_cf(), "spatial_ref": crs.to_wkt()}
    data = data.assign_coords(spatial_ref=((), np.int32(0), projection))
    data.attrs = {
        "Conventions": "CF-1.8",
        "title": "Synthetic altimetry of a synthetic Antarctica",
        "source": "nunatak, pipelines.worlds",
        "time_coverage_start": grid.period[0].isoformat(),
        "time_coverage_end": grid.period[1].isoformat(),
    }
    path.unlink(missing_ok=True)
    # Plain arrays, written here: a scheduler that this process had and lost is not asked.
    with dask.config.set(scheduler="synchronous"):
        data.to_netcdf(path, format="NETCDF4")
    return path
