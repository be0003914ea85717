"""Every form in which surface mass balance is published gives the same two kinds of dataset."""

from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely

from stac import model_cells
from stac.contracts import CONTRACTS
from stac.field_units import FieldFormatError
from stac.model_cells import Pole
from stac.surface_mass_balance import read_surface_mass_balance
from tests.stac import mass_balance_files as files

JANUARY_TO_MARCH = ["2011-01", "2011-02", "2011-03"]


def read(path: Path):
    made = read_surface_mass_balance(path.read_bytes(), name=path.name)
    kind = "surface-mass-balance-regions" if "region" in made.dims else "surface-mass-balance"
    return CONTRACTS[kind].check_values(made)


def months(dataset) -> list[str]:
    return dataset["time_start"].to_numpy().astype("datetime64[M]").astype(str).tolist()


def test_racmo_comes_in_its_own_cells_with_gaps_kept(tmp_path: Path):
    made = read(files.write_racmo(tmp_path / "smb_monthlyS_ANT27_ERA5-3H_RACMO2.3p2.nc"))

    expected = files.racmo_field().reshape(3, -1)
    missing = expected == -9999.0
    assert missing.any()
    np.testing.assert_array_equal(np.isnan(made.surface_mass_balance), missing)
    np.testing.assert_allclose(
        made.surface_mass_balance.values[~missing], expected[~missing], rtol=1e-6
    )
    assert months(made) == JANUARY_TO_MARCH
    assert made.time_end.values[1] == np.datetime64("2011-03-01")
    assert made.attrs["quantity"] == "surface_mass_balance"
    assert made.attrs["product"] == "RACMO2.3p2 ANT27"


def test_cells_of_the_rotated_pole_lie_around_their_centres(tmp_path: Path):
    made = read(files.write_racmo(tmp_path / "smb.nc"))

    latitude, longitude = files.racmo_places()
    to = pyproj.Transformer.from_crs(4326, 3031, always_xy=True)
    x, y = to.transform(longitude.ravel(), latitude.ravel())
    np.testing.assert_allclose(made.corner_x.mean("corner"), x, atol=30.0)
    np.testing.assert_allclose(made.corner_y.mean("corner"), y, atol=30.0)
    cells = shapely.polygons(np.stack([made.corner_x, made.corner_y], axis=-1))
    union = shapely.union_all(cells, grid_size=1e-3)
    assert union.geom_type == "Polygon"
    assert union.area == pytest.approx(shapely.area(cells).sum(), rel=1e-6)


def test_true_areas_are_those_of_the_ellipsoid_not_of_the_models_sphere(tmp_path: Path):
    made = read(files.write_racmo(tmp_path / "smb.nc"))

    ring = np.stack([made.corner_x, made.corner_y], axis=-1)[[0, 150, 300]]
    geod = pyproj.Geod(ellps="WGS84")
    dense = shapely.segmentize(shapely.polygons(ring), 500.0)
    to = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    geodesic = [
        abs(geod.polygon_area_perimeter(*to.transform(*shapely.get_coordinates(cell).T))[0])
        for cell in dense
    ]
    np.testing.assert_allclose(made.area.values[[0, 150, 300]], geodesic, rtol=1e-6)
    step = np.radians(0.25)
    sphere = 6.371e6**2 * step * 2.0 * np.sin(step / 2.0) * np.cos(np.radians(files.RLAT))
    more = made.area.values.reshape(files.RLAT.size, -1) / sphere[:, None] - 1.0
    assert 0.0085 < more.min() < more.max() < 0.0091


@pytest.mark.parametrize(
    ("unit", "amount"),
    [
        ("kg m-2 per month", 1.0), ("kg m-2 month-1", 1.0), ("mm w.e./month", 1.0),
        ("kg m-2", 1.0), ("kg m-2 s-1", 28 * 86400.0), ("mm w.e. day-1", 28.0),
        ("kg m-2 yr-1", 28 / 365.25),
    ],
)  # fmt: skip
def test_units_tell_amounts_of_the_month_from_rates(tmp_path: Path, unit: str, amount: float):
    values = np.full((3, 1, files.RLAT.size, files.RLON.size), 2.0 / amount)

    made = read(files.write_racmo(tmp_path / "smb.nc", unit=unit, values=values))

    np.testing.assert_allclose(made.surface_mass_balance.values[1], 2.0, rtol=1e-6)


@pytest.mark.parametrize("name", ["smb", "SMB", "smb_rec", "SMB_rec"])
def test_the_case_of_the_name_does_not_matter(tmp_path: Path, name: str):
    assert read(files.write_racmo(tmp_path / "a.nc", name=name)).attrs["source_variable"] == name


def test_an_undeclared_fill_is_missing_all_the_same(tmp_path: Path):
    made = read(files.write_racmo(tmp_path / "smb.nc", fill=None))

    assert np.isnan(made.surface_mass_balance).sum() == 3 * 12


@pytest.mark.parametrize(
    "pole",
    [
        {"proj4_params": files.RACMO_POLE},
        {"grid_north_pole_latitude": -180.0, "grid_north_pole_longitude": -170.0},
        {"proj4_params": files.RACMO_POLE.replace("lon_0=10", "lon_0=99"),
         "grid_north_pole_latitude": -180.0, "grid_north_pole_longitude": -170.0},
        {"proj4_params": "+proj=ob_tran +o_lat_p=-12 +lon_0=77"},
        {},
    ],
)  # fmt: skip
def test_the_cells_own_places_outrank_a_pole_that_does_not_fit(tmp_path: Path, pole):
    expected = read(files.write_racmo(tmp_path / "a.nc"))

    made = read(files.write_racmo(tmp_path / "b.nc", pole=pole))

    # Places are stored in single precision and corners by neighbours leave out 1e-5 of curvature.
    np.testing.assert_allclose(made.corner_x, expected.corner_x, atol=30.0)
    np.testing.assert_allclose(made.area, expected.area, rtol=5e-3)


def test_a_pole_alone_places_the_cells(tmp_path: Path):
    expected = read(files.write_racmo(tmp_path / "a.nc"))

    made = read(files.write_racmo(tmp_path / "b.nc", with_places=False))

    np.testing.assert_array_equal(made.corner_y, expected.corner_y)


@pytest.mark.parametrize("pole", [Pole(-180.0, 10.0), Pole(5.0, -33.0), Pole(39.25, 18.0, 12.0)])
def test_rotation_is_that_of_proj(pole: Pole):
    rlat, rlon = np.meshgrid(np.linspace(-50.0, 50.0, 11), np.linspace(-170.0, 170.0, 12))
    text = f"+proj=ob_tran +o_proj=longlat +o_lat_p={pole.latitude} +o_lon_p={pole.lon_p}"
    rotation = pyproj.Proj(f"{text} +lon_0={pole.lon_0} +R=6371000")
    longitude, latitude = rotation(np.radians(rlon), np.radians(rlat), inverse=True)

    found, found_longitude = model_cells.unrotated(rlat, rlon, pole)

    np.testing.assert_allclose(found, latitude, atol=1e-9)
    np.testing.assert_allclose(np.exp(1j * np.radians(found_longitude)),
                               np.exp(1j * np.radians(longitude)), atol=1e-9)  # fmt: skip


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([201101, 201102, 201103], "yyyymm"),
        ([20110115.5, 20110214.0, 20110315.5], "day as %Y%m%d.%f"),
        ([2011.04, 2011.12, 2011.21], "decimal years"),
        ([384.0, 385.0, 386.0], "months since 1979-01-15 00:00:00"),
    ],
)
def test_months_are_read_however_they_are_written(tmp_path: Path, times, unit: str):
    made = read(files.write_racmo(tmp_path / "a.nc", times=np.array(times), time_unit=unit))

    assert months(made) == JANUARY_TO_MARCH


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("smb.nc", {"first_month": "2011-01"}),
        ("smb.nc", {"time_coverage_start": "20110101T000000"}),
        ("smb_201101_201103.nc", {}),
        ("smb.2011-01_2011-03.nc", {}),
    ],
)
def test_a_file_without_times_may_tell_its_first_month(tmp_path: Path, name: str, attributes):
    times = np.full(3, files.FILL)

    made = read(files.write_racmo(tmp_path / name, times=times, time_unit="yyyymm", **attributes))

    assert months(made) == JANUARY_TO_MARCH


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"times": np.full(3, files.FILL)}, "3 months without times.*ncatted -a first_month"),
        ({"times": np.array([1.0, files.FILL, 3.0])}, "lacks 1 of 3 times"),
        ({"times": np.array([22294.5, 22295.5, 22353.5])}, "of 2011-01 and 2011-01"),
        ({"times": np.array([3.0, 2.0, 9e6]), "time_unit": "weeks"}, "in 'weeks', expected"),
        ({"unit": "m s-1"}, "is in 'm s-1', expected 'kg m-2'"),
        ({"unit": "mm"}, "is in 'mm'"),
        ({"unit": ""}, "does not say its unit"),
        ({"fill": -1.0, "values": np.full((3, 1, 17, 25), -32767.0)}, "32767 kg m⁻² in a month"),
        ({"values": np.full((3, 1, 17, 25), -9999.0)}, "no value at all"),
        ({"values": np.ones((3, 2, 17, 25))}, "2 entries along .height.*ncks"),
        ({"name": "snowfall"}, "expected a surface mass balance .*rename"),
        (
            {"pole": {"proj4_params": "+o_lat_p=40 +lon_0=0"}, "with_places": False},
            "expected .*Ant",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(tmp_path: Path, choices, message: str):
    path = files.write_racmo(tmp_path / "smb.nc", **choices)
    with pytest.raises(FieldFormatError, match=message):
        read(path)


def test_era5_land_is_per_day_and_evaporates_downward(tmp_path: Path):
    made = read(files.write_era5(tmp_path / "era5-land.nc"))

    # (1.0 − 0.2) mm a day for the 28 days of February and the 31 of March.
    np.testing.assert_allclose(made.surface_mass_balance[0], 0.8 * 28, rtol=1e-6)
    np.testing.assert_allclose(made.surface_mass_balance[1], 0.8 * 31, rtol=1e-6)
    assert made.attrs["quantity"] == "precipitation_minus_evaporation"
    assert months(made) == ["2011-02", "2011-03"]


@pytest.mark.parametrize("layout", ["time", "date"])
def test_era5_land_of_other_data_stores_is_the_same(tmp_path: Path, layout: str):
    expected = read(files.write_era5(tmp_path / "a.nc"))

    made = read(files.write_era5(tmp_path / "b.nc", layout=layout))

    np.testing.assert_allclose(made.surface_mass_balance, expected.surface_mass_balance)
    assert months(made) == months(expected)


def test_era5_land_keeps_the_south_and_the_gaps_of_its_coast(tmp_path: Path):
    shape = (2, files.ERA_LAT.size, files.ERA_LON.size)
    tp = np.where(files.ERA_LAT[:, None] > -75.0, np.nan, 1e-3 * np.ones(shape))

    made = read(files.write_era5(tmp_path / "a.nc", tp=tp))

    rows = np.count_nonzero(files.ERA_LAT <= -60.0)
    field = made.surface_mass_balance.values[0].reshape(rows, -1)
    assert np.isnan(field[:15]).all()
    assert np.isfinite(field[15:]).all()


def test_era5_land_cells_cover_the_cap_once(tmp_path: Path):
    made = read(files.write_era5(tmp_path / "a.nc"))

    e2 = 0.0066943799901
    e, sine = np.sqrt(e2), np.sin(np.radians(np.array([59.5, 90.0])))
    q = (1 - e2) * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)
    cap = np.pi * 6378137.0**2 * (q[1] - q[0])
    # Chords of 2° instead of arcs of parallels take 2e-4 away.
    assert made.area.values.sum() == pytest.approx(cap * np.sinc(2 / 180.0), rel=2e-5)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"unit": "mm"}, "expected m of water equivalent a day"),
        ({"unit": "kg m-2"}, "expected m of water equivalent a day"),
        ({"tp": np.full((2, files.ERA_LAT.size, files.ERA_LON.size), 30.0)}, "30 m a day"),
    ],
)
def test_era5_land_in_another_unit_is_refused(tmp_path: Path, choices, message: str):
    path = files.write_era5(tmp_path / "a.nc", **choices)
    with pytest.raises(FieldFormatError, match=message):
        read(path)


@pytest.mark.parametrize("said", ["places", "system"])
def test_mar_is_read_by_its_places_or_by_its_system(tmp_path: Path, said: str):
    made = read(files.write_mar(tmp_path / "mar.nc", said=said))

    centre_x, centre_y = made.corner_x.values.mean(axis=1), made.corner_y.values.mean(axis=1)
    column, row = centre_x / 35e3 + 3, centre_y / 35e3 - 20
    expected = (row * files.MAR_X.size + column) / 100.0 * 31
    np.testing.assert_allclose(made.surface_mass_balance[0], expected, atol=1e-3)
    assert np.ptp(made.corner_x.values, axis=1) == pytest.approx(35e3, rel=1e-6)
    assert months(made) == ["2011-01", "2011-02"]


def test_mar_on_an_unknown_grid_is_refused(tmp_path: Path):
    path = files.write_mar(tmp_path / "mar.nc", said="nothing")
    with pytest.raises(FieldFormatError, match="coordinate system"):
        read(path)


def test_grib_is_refused_with_a_way_out():
    with pytest.raises(FieldFormatError, match=r"era5\.grib is GRIB.*grib_to_netcdf"):
        read_surface_mass_balance(b"GRIB\x00\x00", name="era5.grib")


@pytest.mark.parametrize("data", [b"", b"hello", b"a,b\n1,2\n"])
def test_other_files_are_refused(data: bytes):
    with pytest.raises(FieldFormatError, match="neither NetCDF nor a table"):
        read_surface_mass_balance(data, name="x.dat")
