import hashlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from pipelines.kernels import geodesy
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_errors import FITS, PERFECT, RETRACKERS
from pipelines.worlds.elevation_files import AltimetryFiles, write_altimetry

SPACING_KM = 50.0


@pytest.fixture(scope="module")
def files(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> AltimetryFiles:
    return write_altimetry(world, tmp_path_factory.mktemp("rates"), spacing_km=SPACING_KM)


def inside_of(world: Antarctica, data: xr.Dataset) -> np.ndarray:
    x, y = np.meshgrid(data.x.values, data.y.values)
    return world.is_grounded(*geodesy.inverse_polar_stereographic(x, y))


def test_a_file_per_retracker_holds_four_fits_in_epsg_3031(files):
    assert len(files.elevation_rate) == 7
    for name, path in zip(RETRACKERS, files.elevation_rate, strict=True):
        with xr.open_dataset(path) as data:
            rate = data.elevation_rate
            assert rate.dims == ("retracker", "fit", "y", "x")
            assert rate.attrs["units"] == "m yr-1"
            assert [str(r) for r in data.retracker.values] == [name]
            assert tuple(str(f) for f in data.fit.values) == FITS
            assert CRS.from_wkt(data[rate.attrs["grid_mapping"]].attrs["crs_wkt"]) == CRS(3031)
            assert np.diff(data.x.values) == pytest.approx(50e3)
            assert np.diff(data.y.values) == pytest.approx(-50e3)


def test_every_member_lacks_the_same_cells_and_no_rate_lies_off_grounded_ice(world, files):
    lacking = []
    for path in files.elevation_rate:
        with xr.open_dataset(path) as data:
            lacking.append(np.isnan(data.elevation_rate.values[0]))
            inside = inside_of(world, data)
    stacked = np.concatenate(lacking)

    assert (stacked == stacked[0]).all()
    assert stacked[0][~inside].all()
    assert 0.03 < stacked[0][inside].mean() < 0.25


def test_members_lack_different_cells_if_asked(world, tmp_path):
    files = write_altimetry(world, tmp_path, spacing_km=SPACING_KM, different_gaps=True)

    with xr.open_dataset(files.elevation_rate[0]) as data:
        lacking = np.isnan(data.elevation_rate.values[0])

    assert (lacking.any(axis=0) & ~lacking.all(axis=0)).any()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_ones(world, files, tmp_path):
    again = write_altimetry(world, tmp_path / "again", spacing_km=SPACING_KM)
    other = write_altimetry(world, tmp_path / "other", spacing_km=SPACING_KM, seed=2)

    assert _digests(again) == _digests(files)
    assert not set(_digests(other)) & set(_digests(files)) - {_digest(files.velocity[0])}


def _digests(files: AltimetryFiles) -> list[str]:
    paths = (*files.elevation_rate, *files.surface_processes, *files.velocity)
    return [_digest(path) for path in paths]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_without_errors_give_the_mass_rate_by_equation_a1(world, tmp_path):
    files = write_altimetry(world, tmp_path, spacing_km=SPACING_KM, sizes=PERFECT)

    with xr.open_dataset(files.elevation_rate[3]) as rates:
        height = rates.elevation_rate.values[0, 2].astype(np.float64)
        x, y = np.meshgrid(rates.x.values, rates.y.values)
    with xr.open_dataset(files.surface_processes[0]) as trends:
        surface = trends.surface_elevation_rate.values.astype(np.float64)
        snow = trends.surface_mass_rate.values.astype(np.float64)
    found = 910.0 * (height - surface) + snow
    truth = world.mass_rate(*geodesy.inverse_polar_stereographic(x, y))

    seen = np.isfinite(found)
    # Two heights are rounded to 0.1 mm, a mass to 0.01 kg: 910 × 0.0001 + 0.005, and float32.
    assert np.abs(found - truth)[seen].max() < 0.097
    assert seen.sum() > 3000


def test_velocity_is_that_of_the_world_and_missing_where_no_ice_is(world, files):
    with xr.open_dataset(files.velocity[0]) as data:
        v_x, v_y = data.v_x.values, data.v_y.values
        expected = world.velocity(*np.meshgrid(data.x.values, data.y.values))

    for found, truth in zip((v_x, v_y), expected, strict=True):
        # Rounded to 0.1 mm, then to float32: 6e-8 of 3 km a year.
        assert found == pytest.approx(truth, abs=5e-4, nan_ok=True)
    assert np.isnan(v_x[0, 0])


def test_rates_can_be_written_for_a_mass_change_that_is_given(world, tmp_path):
    files = write_altimetry(
        world,
        tmp_path,
        spacing_km=SPACING_KM,
        sizes=PERFECT,
        mass_rate=lambda x, y: np.where(x > 0.0, -80.0, 20.0),
        grounded=lambda x, y: np.hypot(x, y) < 1.5e6,
    )

    with xr.open_dataset(files.elevation_rate[0]) as rates:
        x, y = np.meshgrid(rates.x.values, rates.y.values)
        rate = rates.elevation_rate.values[0, 0]
    with xr.open_dataset(files.surface_processes[0]) as trends:
        mass = 910.0 * (rate - trends.surface_elevation_rate.values)
        mass += trends.surface_mass_rate.values
    seen = np.isfinite(rate)
    assert seen[(np.hypot(x, y) < 1.2e6) & (np.hypot(x, y) > 0.3e6)].mean() > 0.8
    assert not seen[np.hypot(x, y) > 1.5e6].any()
    assert mass[seen] == pytest.approx(np.where(x > 0.0, -80.0, 20.0)[seen], abs=0.1)


def test_a_spacing_that_does_not_divide_the_grid_is_refused(world, tmp_path):
    with pytest.raises(ValueError, match="spacing of 33 km, expected one that divides 5600 km"):
        write_altimetry(world, tmp_path, spacing_km=33.0)
