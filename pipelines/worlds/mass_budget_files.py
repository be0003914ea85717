"""Everything that a mass budget of the synthetic ice sheet is made from, in published layouts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds import budget, field_files, snowfall_files, velocity_files
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.budget import GatePlace
from pipelines.worlds.elevation_files import grid_axis
from pipelines.worlds.velocity_files import Grid, patch_errors

FLOAT = NDArray[np.float64]

THICKNESS_SIGMA = 40.0
"""Standard deviation of the bed [m], alike within a patch of 20 km."""

THINNING_SIGMA = 0.1
"""Standard deviation of a rate of elevation [m yr⁻¹], alike within a patch of 20 km."""


@dataclass(frozen=True)
class BudgetFiles:
    """Files of a mass budget, by what they are; see the writers for their layouts."""

    velocity_annual: tuple[Path, ...]
    velocity_central: tuple[Path, ...]
    velocity_filler: tuple[Path, ...]
    velocity_phase: tuple[Path, ...]
    thickness: tuple[Path, ...]
    thickness_other: tuple[Path, ...]
    gates: tuple[Path, ...]
    surface_mass_balance: tuple[Path, ...]
    surface_mass_balance_other: tuple[Path, ...]
    reanalysis: tuple[Path, ...]
    thinning: tuple[Path, ...]


def write_mass_budget(
    world: Antarctica,
    folder: Path,
    *,
    seed: int = 1,
    spacing_km: float = 5.0,
    first_year: int = 2011,
    years: int = 5,
    place: GatePlace = GatePlace(),  # noqa: B008 - frozen
) -> BudgetFiles:
    """Write velocity, thickness, a gate, snow and thinning, with their products' own flaws.

    Parameters
    ----------
    world : Antarctica
        What is measured.
    folder : Path
        Where to write; made if absent.
    seed : int
        Draws errors, gaps and weather.
    spacing_km : float
        Of all maps; must divide 5600 km evenly [km]. The flux through the gate is right to 0.02,
        0.12, 0.7 and 12 Gt/yr in any basin at 2, 5, 10 and 20 km; errors make 0.5 to 2.
    first_year, years : int
        Maps of velocity are of July of the first year to June, and so many years on.
    place : GatePlace
        Where the gate is.

    Returns
    -------
    BudgetFiles
        Paths of what was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grid = velocity_files.grid_of(world, grid_axis(spacing_km))
    labels = range(first_year, first_year + years)
    gate = folder / "gate.gpkg"
    return BudgetFiles(
        tuple(velocity_files.write_annual(grid, folder, years=labels, seed=seed)),
        tuple(velocity_files.write_central(grid, folder, seed=seed)),
        tuple(velocity_files.write_its_live(grid, folder, years=labels, seed=seed)),
        (velocity_files.write_phase(grid, folder, seed=seed),),
        (_write_bed(grid, folder / "BedMachineAntarctica-v3.nc", seed=seed, bed=0),),
        (_write_bed(grid, folder / "BedMachineAntarctica_2020-07-15_v02.nc", seed=seed, bed=1),),
        (write_polygons(budget.gate_line(world, place), gate),),
        *_snow(world, folder, seed=seed, first_year=first_year, years=years),
        (_write_thinning(world, grid, folder, seed, (labels[0], labels[-1] + 1)),),
    )  # fmt: skip


def _write_bed(grid: Grid, path: Path, *, seed: int, bed: int) -> Path:
    """Write a bed in the layout of BedMachine, whose thickness is ice-equivalent already."""
    true, grounded = grid.thickness, grid.grounded
    generator = np.random.default_rng([seed, 24, bed])
    errors = THICKNESS_SIGMA * patch_errors(*grid.places, generator)[0]
    thickness = np.where(true > 0.0, np.maximum(true + errors, 1.0), 0.0)
    mask = np.where(true > 0.0, np.where(grounded, 2, 3), 0)
    surface = np.where(grounded, 0.3 * thickness, 0.1 * thickness)
    fields = {
        "mask": mask, "thickness": thickness, "surface": surface, "bed": surface - thickness,
        "errbed": np.full(true.shape, THICKNESS_SIGMA), "firn": np.where(true > 0.0, 15.0, 0.0),
        "geoid": np.zeros(true.shape), "source": np.where(true > 0.0, 2, 0),
    }  # fmt: skip
    units = dict.fromkeys(("thickness", "surface", "bed", "errbed", "firn", "geoid"), "meters")
    return field_files.write(
        path, grid.x, grid.y, fields, units=units, kinds={"mask": "i1", "source": "i1"},
        title="BedMachine Antarctica, synthetic", thickness_kind="ice_equivalent",
    )  # fmt: skip


def _snow(
    world: Antarctica, folder: Path, *, seed: int, first_year: int, years: int
) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[Path, ...]]:
    """Write a climate model that ends a year and a half early, and two records that do not."""
    months = np.arange(
        f"{first_year - 2}-01", f"{first_year + years + 1}-01", dtype="datetime64[M]"
    )
    begun = int((np.datetime64(f"{first_year}-07", "M") - months[0]).astype(int))
    factors = snowfall_files.month_factors(
        months, seed=seed, whole=slice(begun, begun + 12 * years)
    )
    short = len(months) - 24
    model = snowfall_files.write_model(
        world, folder / "RACMO23p2_ANT27_smb.nc", months=months[:short], factors=factors[:short],
        seed=seed,
    )  # fmt: skip
    other = snowfall_files.write_other_model(
        world, folder / "MARv3.12_monthly_smb.nc", months=months, factors=factors, seed=seed
    )
    reanalysis = snowfall_files.write_reanalysis(
        world, folder / "era5_land_monthly.nc", months=months, factors=factors, seed=seed
    )
    return (model,), (other,), (reanalysis,)


def _write_thinning(
    world: Antarctica, grid: Grid, folder: Path, seed: int, years: tuple[int, int]
) -> Path:
    """Write rates of elevation that are dynamic, as the budget takes them: of ice."""
    x, y = grid.places
    generator = np.random.default_rng([seed, 25])
    rate = budget.ice_equivalent_rate(world, x, y)
    noisy = rate + THINNING_SIGMA * patch_errors(x, y, generator)[0]
    ice = np.isfinite(grid.v_x)
    first, last = dt.date(years[0], 7, 1), dt.date(years[1], 6, 30)
    return field_files.write(
        folder / "dynamic_elevation_rate.nc", grid.x, grid.y,
        {"dhdt": np.where(ice, noisy, np.nan)}, units={"dhdt": "m/yr"}, fill=np.nan,
        title="Rates of elevation from altimetry, synthetic",
        time_coverage_start=first.isoformat(), time_coverage_end=last.isoformat(),
    )  # fmt: skip
