"""Files of a synthetic mass budget: readers know them, and their errors are what is stated."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pipelines.kernels import geodesy
from pipelines.worlds import budget, snowfall_files, velocity_files
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.mass_budget_files import (
    THICKNESS_SIGMA,
    THINNING_SIGMA,
    BudgetFiles,
    write_mass_budget,
)
from pipelines.worlds.velocity_files import PATCH_M, SIGMA, patch_errors
from stac import elevation, gates, surface_mass_balance, thickness, velocity

SPACING_KM = 40.0
FIRST, YEARS = 2011, 2
PRODUCTS = {
    "velocity_annual": ("nsidc-0720-v1", "glaciological", ["2011-07-01", "2012-07-01"]),
    "velocity_central": ("nsidc-0525-v1", "calendar", ["1997-01-01", "2009-01-01"]),
    "velocity_filler": ("its-live-v1", "calendar", ["2011-01-01", "2012-01-01"]),
    "velocity_phase": ("nsidc-0754-v1", "multi_year", ["1996-01-01"]),
}
READERS = {
    "velocity": velocity.read_velocity,
    "thickness": thickness.read_thickness,
    "surface": surface_mass_balance.read_surface_mass_balance,
    "reanalysis": surface_mass_balance.read_surface_mass_balance,
    "thinning": elevation.read_elevation,
}


@pytest.fixture(scope="module")
def files(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> BudgetFiles:
    folder = tmp_path_factory.mktemp("budget")
    return write_mass_budget(world, folder, spacing_km=SPACING_KM, first_year=FIRST, years=YEARS)


def read(files: BudgetFiles, kind: str) -> list[xr.Dataset]:
    """Read all files of a kind as the catalogue does."""
    reader = READERS[kind.partition("_")[0]]
    return [reader(path.read_bytes(), name=path.name) for path in getattr(files, kind)]


def places(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(data.x.to_numpy(), data.y.to_numpy())
    return x, y


@pytest.mark.parametrize("kind", PRODUCTS)
def test_maps_of_velocity_are_known_by_product_and_year(files, kind):
    product, definition, starts = PRODUCTS[kind]
    found = read(files, kind)
    assert {each.attrs["product"] for each in found} == {product}
    assert {each.attrs["year_definition"] for each in found} == {definition}
    assert [each.attrs["time_start"] for each in found] == starts


@pytest.mark.parametrize("kind", PRODUCTS)
def test_no_map_holds_a_zero_that_means_nothing_was_measured(world, files, kind):
    for data in read(files, kind):
        missing = np.isnan(data.v_x.to_numpy())
        assert (missing == np.isnan(data.v_y.to_numpy())).all()
        assert missing[world.thickness(*places(data)) == 0.0].all()
        if kind != "velocity_filler":  # of whole metres a year, with a filler of its own
            assert not (data.v_x == 0.0).any()
        assert 0.02 < 1.0 - missing.mean() < 0.6


def test_annual_maps_have_gaps_and_a_hole_at_the_pole_that_the_phase_map_fills(world, files):
    ice = world.thickness(*places(read(files, "velocity_phase")[0])) > 0.0
    assert (np.isfinite(read(files, "velocity_phase")[0].v_x.to_numpy()) == ice).all()
    lacking = []
    for data in read(files, "velocity_annual"):
        latitude, _ = geodesy.inverse_polar_stereographic(*places(data))
        seen = np.isfinite(data.v_x.to_numpy())
        assert not seen[latitude < -86.0].any()
        outside = ice & (latitude > -83.5)
        assert 0.05 < 1.0 - seen[outside].mean() < 0.4
        lacking.append(ice & ~seen)
    assert (lacking[0] != lacking[1]).any()
    for data in read(files, "velocity_central"):
        latitude, _ = geodesy.inverse_polar_stereographic(*places(data))
        assert (np.isfinite(data.v_x.to_numpy()) == (ice & (latitude < -80.0))).all()


@pytest.mark.parametrize("kind", PRODUCTS)
def test_both_components_of_every_map_err_by_the_stated_sigma(world, files, kind):
    errors = []
    for data in read(files, kind):
        x, y = places(data)
        seen = np.isfinite(data.v_x.to_numpy())
        truth = world.velocity(x[seen], y[seen])
        errors += [
            data[name].to_numpy()[seen] - true
            for name, true in zip(("v_x", "v_y"), truth, strict=True)
        ]
    for error in errors:
        # Cells of 40 km are patches of their own: sigma / sqrt(2 n), n from 1200 to 8000.
        wide = 4.0 * SIGMA / np.sqrt(2.0 * len(error))
        assert error.std() == pytest.approx(SIGMA, abs=wide)
        assert abs(error.mean()) < 4.0 * SIGMA / np.sqrt(len(error))
    if len({len(error) for error in errors}) == 1:
        between = np.corrcoef(errors) - np.eye(len(errors))
        assert np.abs(between).max() < 4.0 / np.sqrt(len(errors[0]))


def test_two_beds_of_bedmachine_err_by_40_m_each_by_itself(world, files):
    beds = read(files, "thickness") + read(files, "thickness_other")
    assert [bed.attrs["product"] for bed in beds] == ["nsidc-0756-v3", "nsidc-0756-v2"]
    errors = []
    for bed in beds:
        assert bed.attrs["thickness_kind"] == "ice_equivalent"
        true = world.thickness(*places(bed))
        assert (bed.thickness.to_numpy()[true == 0.0] == 0.0).all()
        assert (bed.thickness_sigma.to_numpy()[true > 0.0] == THICKNESS_SIGMA).all()
        errors.append((bed.thickness.to_numpy() - true)[true > 4.0 * THICKNESS_SIGMA])
    for error in errors:
        assert error.std() == pytest.approx(THICKNESS_SIGMA, rel=4.0 / np.sqrt(2.0 * len(error)))
    assert abs(np.corrcoef(errors)[0, 1]) < 4.0 / np.sqrt(len(errors[0]))


def test_rates_of_elevation_err_by_a_tenth_of_a_metre_a_year(world, files):
    (data,) = read(files, "thinning")
    assert (data.attrs["time_start"], data.attrs["time_end"]) == ("2011-07-01", "2013-07-01")
    found = data.elevation_rate.to_numpy()[0]
    seen = np.isfinite(found)
    error = (found - budget.ice_equivalent_rate(world, *places(data)))[seen]
    assert seen.sum() > 8000
    assert error.std() == pytest.approx(THINNING_SIGMA, rel=4.0 / np.sqrt(2.0 * len(error)))


def test_errors_are_alike_within_20_km_and_independent_beyond():
    axis = np.arange(-400e3 + 1e3, 400e3, 2e3)
    drawn = patch_errors(*np.meshgrid(axis, axis), np.random.default_rng(5), count=2)
    side = round(PATCH_M / 2e3)
    blocks = drawn.reshape(2, len(axis) // side, side, len(axis) // side, side)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    patches = blocks[:, :, 0, :, 0]
    assert patches.std() == pytest.approx(1.0, abs=4.0 / np.sqrt(2.0 * patches.size))
    for shifted in (patches[:, 1:] * patches[:, :-1], patches[..., 1:] * patches[..., :-1]):
        assert abs(shifted.mean()) < 4.0 / np.sqrt(shifted.size)
    assert abs((patches[0] * patches[1]).mean()) < 4.0 / np.sqrt(patches[0].size)


def test_a_map_of_1_km_errs_alike_within_patches(world, tmp_path):
    # A corner of 200 km inland, so that 400 cells share each error.
    grid = velocity_files.grid_of(world, np.arange(-800e3 + 500.0, -600e3, 1e3))
    path = velocity_files.write_phase(grid, tmp_path, seed=3)
    data = velocity.read_velocity(path.read_bytes(), name=path.name)
    error = (data.v_x.to_numpy() - grid.v_x).reshape(10, 20, 10, 20)
    assert np.isfinite(error).all()
    # Files hold millimetres a year in 32 bits.
    assert np.abs(error - error.mean(axis=(1, 3), keepdims=True)).max() < 2e-3
    assert error.mean(axis=(1, 3)).std() == pytest.approx(SIGMA, rel=4.0 / np.sqrt(200.0))


def test_the_gate_is_one_closed_line_inland_of_the_grounding_line(world, files):
    (path,) = files.gates
    table = gates.read_gates({path.suffix: path.read_bytes()}, name=path.name)
    assert table.gate.tolist() == ["inland"]
    assert table.closed.tolist() == [True]
    x, y = table.geometry.iloc[0].xy
    latitude, longitude = geodesy.inverse_polar_stereographic(np.array(x), np.array(y))
    assert world.is_grounded(latitude, longitude).all()
    assert float(table.length_km.iloc[0]) > 10_000.0


def test_months_have_shares_of_the_year_whose_mean_is_one_over_the_written_years():
    months = np.arange("2009-01", "2017-01", dtype="datetime64[M]")
    written = slice(30, 90)
    factors = snowfall_files.month_factors(months, seed=1, whole=written)
    assert factors[written].mean() == pytest.approx(1.0, abs=1e-12)
    assert factors.mean() != pytest.approx(1.0, abs=1e-4)
    by_month = factors.reshape(8, 12)
    # Most snow falls around the turn from April to May, least half a year later.
    assert (by_month[:, 3:5].min(axis=1) > by_month[:, 9:11].max(axis=1) * 1.5).all()


def centres(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return (data[name].to_numpy().mean(axis=1) for name in ("corner_x", "corner_y"))


def test_models_of_snow_give_the_world_but_for_an_error_of_each_basin(world, files):
    months = np.arange("2009-01", "2014-01", dtype="datetime64[M]")
    factors = snowfall_files.month_factors(months, seed=1, whole=slice(30, 54))
    for number, kind in enumerate(("surface_mass_balance", "surface_mass_balance_other")):
        (data,) = read(files, kind)
        assert data.attrs["quantity"] == "surface_mass_balance"
        count = data.sizes["time"]
        # The first model ends two years before the other, within the years of velocity.
        assert count == (36 if number == 0 else 60)
        start = data.time_start.to_numpy().astype("datetime64[M]")
        assert (start == months[:count]).all()
        x, y = centres(data)
        latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
        inside = world.is_grounded(latitude, longitude) & (np.hypot(x, y) > 200e3)
        error = snowfall_files.basin_errors(
            world, latitude[inside], longitude[inside], seed=1, model=number
        )
        year = world.accumulation(x[inside], y[inside]) * (1.0 + error)
        found = data.surface_mass_balance.to_numpy()[:, inside]
        ratio = found / (factors[:count, None] / 12.0 * year)
        # Corners average to the centre but for the bow of a cell; borders of basins shift by it.
        assert np.abs(np.median(ratio) - 1.0) < 1e-4
        assert np.quantile(np.abs(ratio - 1.0), 0.98) < 2e-3
        assert len(np.unique(np.round(error, 9))) == 27


def test_the_reanalysis_is_wetter_than_the_world_by_its_factor(world, files):
    (data,) = read(files, "reanalysis")
    assert data.attrs["quantity"] == "precipitation_minus_evaporation"
    months = np.arange("2009-01", "2014-01", dtype="datetime64[M]")
    assert (data.time_start.to_numpy().astype("datetime64[M]") == months).all()
    factors = snowfall_files.month_factors(months, seed=1, whole=slice(30, 54))
    x, y = centres(data)
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    inside = world.is_grounded(latitude, longitude) & (latitude > -85.0)
    expected = factors[:, None] / 12.0 * world.accumulation(x[inside], y[inside])
    ratio = np.median(data.surface_mass_balance.to_numpy()[:, inside] / expected, axis=1)
    spread = snowfall_files.TOO_WET * snowfall_files.NOISE
    # 60 months, each with a noise of its own.
    assert ratio.mean() == pytest.approx(snowfall_files.TOO_WET, abs=4.0 * spread / np.sqrt(60.0))
    assert ratio.std() == pytest.approx(spread, rel=4.0 / np.sqrt(120.0))


def test_precipitation_and_evaporation_are_metres_a_day(files):
    (path,) = files.reanalysis
    with netCDF4.Dataset(path) as file:
        tp, e = (file[name][0].filled(np.nan) for name in ("tp", "e"))
    (data,) = read(files, "reanalysis")
    latitude, longitude = geodesy.inverse_polar_stereographic(*centres(data))
    clear = latitude > -88.0
    row = np.round((-60.0 - latitude[clear]) / 0.5).astype(int)
    column = np.round(longitude[clear]).astype(int) % 360
    january = data.surface_mass_balance.to_numpy()[0, clear]
    amount = (31.0 * 1000.0 * (tp.astype(np.float64) + e))[row, column]
    assert np.isfinite(january).sum() > 5000
    assert january == pytest.approx(amount, rel=1e-5, nan_ok=True)
    assert np.nanmax(e) < 0.0


def test_writing_twice_gives_the_same_arrays_and_another_seed_others(world, files, tmp_path):
    choices = {"spacing_km": SPACING_KM, "first_year": FIRST, "years": YEARS}
    again = write_mass_budget(world, tmp_path / "again", **choices)
    other = write_mass_budget(world, tmp_path / "other", seed=2, **choices)
    for kind, paths in vars(files).items():
        for number, path in enumerate(paths):
            twin, stranger = (getattr(each, kind)[number] for each in (again, other))
            if kind == "gates":
                assert gates_of(path) == gates_of(twin) == gates_of(stranger)
                continue
            assert same_arrays(path, twin)
            assert not same_arrays(path, stranger)


def gates_of(path: Path) -> list[str]:
    table = gates.read_gates({path.suffix: path.read_bytes()}, name=path.name)
    return [line.wkt for line in table.geometry]


def same_arrays(first: Path, second: Path) -> bool:
    with netCDF4.Dataset(first) as a, netCDF4.Dataset(second) as b:
        a.set_auto_maskandscale(False)
        b.set_auto_maskandscale(False)
        assert list(a.variables) == list(b.variables)
        return all(
            np.array_equal(a[name][...], b[name][...], equal_nan=a[name].dtype.kind == "f")
            for name in a.variables
        )
