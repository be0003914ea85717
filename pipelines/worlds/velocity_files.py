"""Maps of velocity as their publishers write them, with their gaps, holes and errors.

Errors are those of the model of uncertainty (record 0018): one number for a patch of the map and a
component, another for each map. So the uncertainty that a run states for them can be held against
their distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.worlds import field_files
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.smooth_noise import smooth_noise

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

PATCH_M = 20_000.0
"""Side of the squares that share an error [m]."""

SIGMA = 8.0
"""Standard deviation of a component of the velocity [m yr⁻¹]."""

HOLES = {"annual": (-86.0, -83.5), "its-live": (-82.7, -82.7)}
"""Southernmost latitudes that a product sees, lowest and highest of its years [degrees]."""

GAPS = {"annual": 1.1, "its-live": 0.6}
"""A map lacks places where a smooth field of spread 1 exceeds this [1]."""

STRIPES = (400e3, 15e3)
"""Between swaths that an annual map lacks, and how wide they are [m]."""

CENTRAL_YEARS = (1997, 2009)
CENTRAL_EDGE = -80.0
"""Central Antarctica is mapped south of this [degrees]."""


@dataclass(frozen=True)
class Grid:
    """A square grid: centres along x and y [m], and what truly is there (y, x).

    Velocity [m yr⁻¹] is NaN and thickness [m] 0 where there is no ice; latitude in degrees.
    """

    x: FLOAT
    y: FLOAT
    v_x: FLOAT
    v_y: FLOAT
    thickness: FLOAT
    grounded: BOOL
    latitude: FLOAT

    @property
    def places(self) -> tuple[FLOAT, FLOAT]:
        """Centres of all cells, shape (y, x) [m]."""
        x, y = np.meshgrid(self.x, self.y)
        return x, y


def patch_errors(x: FLOAT, y: FLOAT, generator: np.random.Generator, *, count: int = 1) -> FLOAT:
    """Draw errors of one σ that are alike within patches, shape (count, …) [1]."""
    size = round(2.0 * 2800e3 / PATCH_M) + 2
    drawn = generator.standard_normal((count, size, size))
    column, row = (
        np.clip(np.floor((each + 2800e3) / PATCH_M).astype(int), 0, size - 1) for each in (x, y)
    )
    return np.asarray(drawn[:, row, column])


def grid_of(world: Antarctica, axis: FLOAT) -> Grid:
    """Return the world on a square grid of centres along x, and along y the other way [m]."""
    x, y = np.meshgrid(axis, axis[::-1])
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    thickness = world.thickness(x, y)
    ice = thickness > 0.0
    v_x, v_y = (np.full(x.shape, np.nan) for _ in range(2))
    v_x[ice], v_y[ice] = world.velocity(x[ice], y[ice])
    grounded = np.zeros(x.shape, dtype=bool)
    grounded[ice] = world.is_grounded(latitude[ice], longitude[ice])
    return Grid(axis, axis[::-1].copy(), v_x, v_y, thickness, grounded, latitude)


def write_annual(grid: Grid, folder: Path, *, years: Sequence[int], seed: int) -> list[Path]:
    """Write maps of July to June in the layout of NSIDC-0720, one for each first year.

    Their ``ERRX`` and ``ERRY`` fall with the number of measurements and are no error of theirs,
    which is :data:`SIGMA` everywhere.
    """
    paths = []
    for year in years:
        generator = np.random.default_rng([seed, 20, year])
        seen = _seen(grid, "annual", generator)
        v_x, v_y = _measured(grid, seen, generator)
        count = 1.0 + np.floor(4.0 * patch_errors(*grid.places, generator)[0] ** 2)
        quality = {
            "ERRX": SIGMA / np.sqrt(count), "ERRY": SIGMA / np.sqrt(count),
            "STDX": 2.0, "STDY": 2.0, "CNT": count,
        }  # fmt: skip
        zeros = {name: np.where(seen, value, 0.0) for name, value in quality.items()}
        fields = {"VX": np.nan_to_num(v_x), "VY": np.nan_to_num(v_y), **zeros}
        path = folder / f"Antarctica_ice_velocity_{year}_{year + 1}_1km_v1.nc"
        units = {name: "" if name == "CNT" else "meter/year" for name in fields}
        paths.append(field_files.write(
            path, grid.x, grid.y, fields, units=units, fill=0.0,
            title="MEaSUREs Annual Antarctic Ice Velocity Maps, synthetic",
        ))  # fmt: skip
    return paths


def write_central(grid: Grid, folder: Path, *, seed: int) -> list[Path]:
    """Write the two maps of Central Antarctica in the layout of NSIDC-0525."""
    paths = []
    for year in CENTRAL_YEARS:
        generator = np.random.default_rng([seed, 21, year])
        v_x, v_y = _measured(grid, grid.latitude < CENTRAL_EDGE, generator)
        fields = {"vx": np.nan_to_num(v_x), "vy": np.nan_to_num(v_y)}
        fields["err"] = np.where(np.isfinite(v_x), SIGMA, 0.0)
        path = folder / f"central_antarctica_ice_velocity_{year}.nc"
        paths.append(field_files.write(
            path, grid.x, grid.y, fields, units=dict.fromkeys(fields, "m/yr"), fill=0.0,
            title="InSAR-based ice velocity of central Antarctica, synthetic",
        ))  # fmt: skip
    return paths


def write_its_live(grid: Grid, folder: Path, *, years: Sequence[int], seed: int) -> list[Path]:
    """Write maps of calendar years in the layout of ITS_LIVE version 1."""
    paths = []
    for year in years:
        generator = np.random.default_rng([seed, 22, year])
        v_x, v_y = _measured(grid, _seen(grid, "its-live", generator), generator)
        known = np.isfinite(v_x)
        filler = -32767.0
        spread = np.where(known, SIGMA, filler)
        fields = {
            "vx": np.where(known, v_x, filler), "vy": np.where(known, v_y, filler),
            "vx_err": spread, "vy_err": spread, "count": np.where(known, 7.0, filler),
        }  # fmt: skip
        units = {name: "" if name == "count" else "m/yr" for name in fields}
        paths.append(field_files.write(
            folder / f"ANT_G0240_{year}.nc", grid.x, grid.y, fields, units=units, fill=filler,
            kinds=dict.fromkeys(fields, "i2"), title="ITS_LIVE annual mosaics, synthetic",
        ))  # fmt: skip
    return paths


def write_phase(grid: Grid, folder: Path, *, seed: int) -> Path:
    """Write a map of all ice and several years in the layout of NSIDC-0754."""
    generator = np.random.default_rng([seed, 23])
    v_x, v_y = _measured(grid, np.isfinite(grid.v_x), generator)
    fields = {"VX": np.nan_to_num(v_x), "VY": np.nan_to_num(v_y)}
    fields |= dict.fromkeys(("ERRX", "ERRY"), np.where(np.isfinite(v_x), SIGMA, 0.0))
    return field_files.write(
        folder / "antarctic_ice_vel_phase_map_v01.nc", grid.x, grid.y, fields,
        units=dict.fromkeys(fields, "meter/year"), fill=0.0,
        title="MEaSUREs Phase-Based Antarctica Ice Velocity Map, synthetic",
    )  # fmt: skip


def _measured(grid: Grid, seen: BOOL, generator: np.random.Generator) -> tuple[FLOAT, FLOAT]:
    """Return both components as a map has them: with errors, NaN where it has nothing."""
    errors = SIGMA * patch_errors(*grid.places, generator, count=2)
    v_x, v_y = (
        np.where(seen, v + e, np.nan) for v, e in zip((grid.v_x, grid.v_y), errors, strict=True)
    )
    return v_x, v_y


def _seen(grid: Grid, product: str, generator: np.random.Generator) -> BOOL:
    """Return where a product has a velocity in one year: not at the pole, not everywhere else."""
    hole = generator.uniform(*HOLES[product])
    gaps = smooth_noise(*grid.places, generator, length=80e3) > GAPS[product]
    if product == "annual":
        gaps |= _stripes(grid, generator)
    return np.isfinite(grid.v_x) & (grid.latitude > hole) & ~gaps


def _stripes(grid: Grid, generator: np.random.Generator) -> BOOL:
    """Return swaths of one direction that were not seen, (y, x)."""
    x, y = grid.places
    bearing, start = generator.uniform(0.0, np.pi), generator.uniform(0.0, STRIPES[0])
    across = x * np.cos(bearing) + y * np.sin(bearing) - start
    return np.asarray(np.mod(across, STRIPES[0]) < STRIPES[1])
