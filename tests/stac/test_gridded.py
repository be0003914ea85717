"""One field, however it is written, is one field; a grid that is not known is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.transform import Affine

from stac import elevation, geotiff, gridded, netcdf
from stac.field_units import FieldFormatError, factor
from tests.stac.field_files import POLAR_CF, SPACING, NetcdfWriter, X, Y, ramp, write_geotiff

FIELD = ramp()
WKT = CRS.from_epsg(3031).to_wkt()
PROJ4 = "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m"


def read(path: Path):
    return elevation.read_rates(path.read_bytes(), name=path.name)


def plain(path: Path, form: str = "NETCDF4") -> NetcdfWriter:
    return NetcdfWriter(path, form).axes().mapping(POLAR_CF)


def same(path: Path) -> None:
    """Assert that a file holds the ramp: place and orientation included."""
    found = read(path)
    np.testing.assert_allclose(found["x"], X, atol=1e-6)
    np.testing.assert_allclose(found["y"], Y, atol=1e-6)
    np.testing.assert_allclose(found["elevation_rate"].isel(member=0), FIELD, rtol=1e-6)


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC",
                                  "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])  # fmt: skip
def test_every_generation_of_netcdf_is_read(tmp_path: Path, form: str):
    same(
        plain(tmp_path / "a.nc", form).field("dhdt", FIELD, units="m/yr", grid_mapping="crs").done()
    )


@pytest.mark.parametrize(
    ("mapping", "global_attributes"),
    [
        (POLAR_CF, {}),
        ({"crs_wkt": WKT}, {}),
        ({"spatial_ref": WKT, "GeoTransform": "0 1 0 0 0 1"}, {}),
        ({"spatial_epsg": 3031.0}, {}),
        ({"grid_mapping_name": "polar_stereographic", "proj4text": PROJ4}, {}),
        (None, {"proj4": "+init=epsg:3031"}),
        (None, {"epsg": np.int32(3031)}),
        (None, {"crs": "EPSG:3031", "projection": "Polar Stereographic South (71S,0E)"}),
        (None, {"proj4": PROJ4.replace("units=m", "units=km")}),
    ],
)
def test_the_coordinate_system_may_be_said_in_many_ways(tmp_path: Path, mapping, global_attributes):
    writer = NetcdfWriter(tmp_path / "a.nc").axes()
    if mapping is not None:
        writer.mapping(mapping)
    same(writer.field("dhdt", FIELD, units="m/yr", grid_mapping="crs").done(**global_attributes))


def test_a_grid_mapping_counts_though_no_variable_names_it(tmp_path: Path):
    same(plain(tmp_path / "a.nc").field("dhdt", FIELD, units="m/yr").done())


def test_rows_from_the_bottom_and_columns_from_the_right_are_turned(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "a.nc").axes(X[::-1], Y[::-1]).mapping(POLAR_CF)
    same(writer.field("dhdt", FIELD[::-1, ::-1], units="m/yr").done())


def test_columns_before_rows_are_transposed(tmp_path: Path):
    same(plain(tmp_path / "a.nc").field("dhdt", FIELD.T, ("x", "y"), units="m/yr").done())


def test_kilometres_and_32_bit_coordinates_make_the_same_grid(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "a.nc").axes(X / 1e3, Y / 1e3, unit="km", dtype="f4")
    same(writer.mapping(POLAR_CF).field("dhdt", FIELD, units="m/yr").done())


def test_axes_are_known_by_what_they_say_not_by_their_names(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "a.nc").axes(names=("nj", "ni")).mapping(POLAR_CF)
    same(writer.field("dhdt", FIELD, ("ni", "nj"), units="m/yr").done())


@pytest.mark.parametrize(
    ("unit", "size"),
    [("m yr-1", 1.0), ("m a-1", 1.0), ("cm/yr", 100.0), ("mm yr^-1", 1000.0),
     ("m d-1", 1 / 365.25), ("m/s", 1 / 31557600.0), ("metres per year", 1.0), ("m·yr⁻¹", 1.0)],
)  # fmt: skip
def test_units_are_converted(tmp_path: Path, unit: str, size: float):
    same(plain(tmp_path / "a.nc").field("dhdt", FIELD * size, units=unit).done())


def test_packed_values_are_unpacked_and_fills_are_missing(tmp_path: Path):
    packed = np.round(FIELD / 1e-3 - 50.0).astype("i2")
    packed[1, 2], packed[2, 3] = -32767, -999
    path = plain(tmp_path / "a.nc").field(
        "dhdt", packed, dtype="i2", fill=-32767, units="m/yr", scale_factor=1e-3,
        add_offset=0.05, missing_value=np.int16(-999),
    ).done()  # fmt: skip

    rate = read(path)["elevation_rate"].to_numpy()[0]

    expected = FIELD.copy()
    expected[1, 2] = expected[2, 3] = np.nan
    np.testing.assert_allclose(rate, expected, atol=5.1e-4)


@pytest.mark.parametrize("fill", [-9999.0, 0.0, 9.96921e36])
def test_a_fill_value_is_missing_whatever_it_is(tmp_path: Path, fill: float):
    values = FIELD.astype("f4")
    values[0, 0] = fill
    path = plain(tmp_path / "a.nc").field("dhdt", values, dtype="f4", fill=fill, units="m/yr")
    rate = read(path.done())["elevation_rate"].to_numpy()[0]
    assert np.isnan(rate[0, 0])
    assert np.isfinite(rate).sum() == FIELD.size - 1


def test_the_librarys_own_fill_is_missing_without_an_attribute(tmp_path: Path):
    values = FIELD.astype("f4")
    values[0, 0] = 9.969209968386869e36
    path = plain(tmp_path / "a.nc").field("dhdt", values, dtype="f4", units="m/yr").done()
    assert np.isnan(read(path)["elevation_rate"].to_numpy()[0, 0, 0])


def test_values_beyond_the_valid_range_are_missing(tmp_path: Path):
    path = plain(tmp_path / "a.nc").field(
        "dhdt", FIELD, units="m/yr", valid_min=0.01, valid_max=0.03
    ).done()  # fmt: skip
    rate = read(path)["elevation_rate"].to_numpy()[0]
    np.testing.assert_array_equal(np.isfinite(rate), (FIELD >= 0.01) & (FIELD <= 0.03))


def test_a_geotiff_is_the_same_field(tmp_path: Path):
    values = FIELD[None].copy()
    same(write_geotiff(tmp_path / "a.tif", values, units=["m yr-1"]))
    values[0, 1, 2] = -9999.0
    path = write_geotiff(tmp_path / "b.tif", values, tags={"units": "m yr-1"}, nodata=-9999.0)
    rate = read(path)["elevation_rate"].to_numpy()[0]
    assert np.isnan(rate[1, 2])
    assert np.isfinite(rate).sum() == FIELD.size - 1


def test_a_geotiff_with_its_first_row_in_the_south_is_turned(tmp_path: Path):
    transform = Affine(SPACING, 0.0, X[0] - SPACING / 2, 0.0, SPACING, Y[-1] - SPACING / 2)
    same(write_geotiff(tmp_path / "a.tif", FIELD[None, ::-1], units=["m/yr"], transform=transform))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mapping": None}, "says no coordinate system.*expected EPSG:3031.*gdalwarp -t_srs"),
        ({"mapping": {"crs_wkt": "gibberish"}}, "crs:crs_wkt, which PROJ cannot read"),
        ({"mapping": CRS.from_epsg(3413).to_cf()}, "is in EPSG:3413.*expected EPSG:3031.*gdalwarp"),
        ({"mapping": {"crs_wkt": CRS.from_epsg(32701).to_wkt()}}, "EPSG:32701"),
        ({"mapping": {"crs_wkt": WKT, "epsg_code": "EPSG:3413"}}, "EPSG:3413.*crs:epsg_code"),
        ({"mapping": {"proj4": PROJ4.replace("ts=-71", "ts=-70")}}, "expected EPSG:3031"),
        ({"mapping": {"proj4": PROJ4.replace("datum=WGS84", "R=6371000")}}, "expected EPSG:3031"),
        ({"unit": None}, "'x' does not say its unit, expected 'm'"),
        ({"unit": "furlong"}, "'x' is in 'furlong'"),
        ({"unit": "degrees_east"}, "latitude-longitude grid, expected x and y.*gdalwarp"),
        ({"x": X + 30.0 * np.arange(X.size) ** 2}, "spaced 5030 to 5270 m along x.*regular grid"),
        ({"x": np.where(np.arange(X.size) == 2, np.nan, X)}, "5 usable of 6 coordinates along x"),
        ({"y": Y[0] - 4000.0 * np.arange(Y.size)}, "cells of 5000 × 4000 m, expected squares"),
        ({"y": np.array([0.0, 0.0, 0.0, 0.0])}, "spaced 0 to 0 m along y"),
    ],
)  # fmt: skip
def test_an_unknown_grid_is_refused_with_what_to_change(tmp_path: Path, change, message: str):
    writer = NetcdfWriter(tmp_path / "a.nc")
    writer.axes(change.get("x", X), change.get("y", Y), unit=change.get("unit", "m"))
    if (mapping := change.get("mapping", POLAR_CF)) is not None:
        writer.mapping(mapping)
    path = writer.field("dhdt", FIELD, units="m/yr", grid_mapping="crs").done()

    with pytest.raises(FieldFormatError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith("a.nc")


def test_a_grid_without_coordinates_is_refused(tmp_path: Path):
    path = (
        NetcdfWriter(tmp_path / "a.nc").mapping(POLAR_CF).field("dhdt", FIELD, units="m/yr").done()
    )
    with pytest.raises(FieldFormatError, match="no coordinates x along its dimension 'x'"):
        read(path)


def test_a_curvilinear_grid_of_latitudes_is_refused(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "a.nc")
    for name in ("lat", "lon"):
        writer.field(name, FIELD, ("nj", "ni"), units="degrees_north")
    path = writer.field("dhdt", FIELD, ("nj", "ni"), units="m/yr", coordinates="lat lon").done()
    with pytest.raises(FieldFormatError, match="no coordinates x along its dimension 'ni'"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": None}, "says no coordinate system"),
        ({"crs": "EPSG:3413"}, "EPSG:3413"),
        ({"crs": "EPSG:4326", "transform": Affine(0.1, 0.0, 0.0, 0.0, -0.1, -70.0)}, "EPSG:4326"),
        ({"transform": Affine(5e3, 1e2, 1e6, 1e2, -5e3, 5e5)}, "rotated rows"),
        ({"transform": Affine(5e3, 0.0, 1e6, 0.0, -4e3, 5e5)}, "5000 × 4000 m"),
        ({"units": ()}, "does not say its unit.*rio edit-info"),
        ({"dtype": "complex64", "nodata": None}, "does not hold real numbers"),
    ],
)
def test_a_geotiff_on_an_unknown_grid_is_refused(tmp_path: Path, change, message: str):
    bands = FIELD[None].astype(change.get("dtype", "f8"))
    path = write_geotiff(tmp_path / "a.tif", bands, **({"units": ["m/yr"]} | change))
    with pytest.raises(FieldFormatError, match=message):
        read(path)


def test_a_field_without_any_value_is_refused(tmp_path: Path):
    path = plain(tmp_path / "a.nc").field("dhdt", FIELD * np.nan, units="m/yr").done()
    with pytest.raises(FieldFormatError, match="holds no value at all"):
        read(path)


def test_damaged_files_are_refused_in_words(tmp_path: Path):
    whole = plain(tmp_path / "a.nc").field("dhdt", FIELD, units="m/yr").done().read_bytes()
    tiff = write_geotiff(tmp_path / "a.tif", FIELD[None], units=["m/yr"]).read_bytes()
    damaged = [whole[: len(whole) // 2], whole[:60], tiff[: len(tiff) // 2], tiff[:20]]
    for data in [*damaged, b"hello", b"\x80\x04K\x01.", b"CDF\x01", b"II*\0"]:
        with pytest.raises(
            FieldFormatError, match=r"fetch (it|the file) again|expected NetCDF or GeoTIFF"
        ):
            elevation.read_rates(data, name="a")


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("unlimited", [False, True])
def test_an_old_file_that_was_cut_off_anywhere_is_refused(
    tmp_path: Path, form: str, unlimited: bool
):
    """The library itself reads zeros where a NetCDF 3 file ends early."""
    writer = plain(tmp_path / "a.nc", form)
    if unlimited:
        writer.file.createDimension("record", None)
        writer.file.createVariable("a", "f4", ("record",))[:3] = 1.0
        writer.file.createVariable("b", "i2", ("record", "x"))[:3] = 2
    data = writer.field("dhdt", FIELD, units="m/yr").done().read_bytes()
    elevation.read_rates(data, name="a")

    for size in range(4, len(data) - 4, 7):
        with pytest.raises(FieldFormatError, match="fetch it again"):
            elevation.read_rates(data[:size], name="a")


def test_too_much_is_refused_before_it_is_read(tmp_path: Path):
    """Chunks of fill values take no room: the file is 20 kB and claims 80 GB."""
    writer = NetcdfWriter(tmp_path / "bomb.nc").mapping(POLAR_CF)
    for name in ("y", "x"):
        writer.file.createDimension(name, 100_000)
        made = writer.file.createVariable(name, "f8", (name,), zlib=True)
        made[:] = 100.0 * np.arange(100_000)
        made.units = "m"
    made = writer.file.createVariable("dhdt", "f8", ("y", "x"), zlib=True, chunksizes=(1000, 1000))
    made.units = "m/yr"
    path = writer.done()
    assert path.stat().st_size < 2_000_000

    with pytest.raises(
        FieldFormatError, match=r"100000 × 100000 values, 74.5 GiB, expected at most"
    ):
        read(path)


def test_a_tiff_that_claims_too_much_is_refused(tmp_path: Path):
    transform = Affine(10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
    path = tmp_path / "bomb.tif"
    import rasterio

    with rasterio.open(path, "w", driver="GTiff", count=1, height=60_000, width=60_000,
                       dtype="float32", crs="EPSG:3031", transform=transform, tiled=True,
                       sparse_ok=True, compress="deflate"):  # fmt: skip
        pass
    with pytest.raises(FieldFormatError, match="expected at most 4 GiB"):
        read(path)


@given(
    step=st.sampled_from([1.0, 250.0, 5000.0, 14400.0]),
    west=st.integers(-3000, 3000),
    flips=st.tuples(st.booleans(), st.booleans()),
    nx=st.integers(2, 40),
)
def test_any_order_of_rows_and_columns_gives_one_grid(step, west, flips, nx):
    from stac.polar_axes import polar_axes

    x, y = west * step + step * np.arange(nx), step * np.arange(3)[::-1]
    field = x[None, :] + 10.0 * y[:, None]
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in flips)

    axes = polar_axes(x[columns], y[rows], what="f")

    np.testing.assert_array_equal(axes.x, x)
    np.testing.assert_array_equal(axes.y, y)
    np.testing.assert_array_equal(axes.oriented(field[rows, columns]), field)


@pytest.mark.parametrize(
    ("unit", "to", "expected"),
    [
        ("kg m^-2 a^-1", "kg m-2 yr-1", 1.0),
        ("kg/m2/yr", "kg m-2 yr-1", 1.0),
        ("mm w.e. yr-1", "kg m-2 yr-1", 1.0),
        ("m w.e./a", "kg m-2 yr-1", 1000.0),
        ("kg m-2 s-1", "kg m-2 yr-1", 365.25 * 86400.0),
        ("km", "m", 1000.0),
        ("meters", "m", 1.0),
    ],
)
def test_units_have_their_size(unit: str, to: str, expected: float):
    assert factor(unit, to, what="f") == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    "unit", ["", "m", "1", "Mm yr-1", "m/month", "kg m-2 yr-1", "m/(yr)", "m ms-1", "m yr-1 K-1"]
)
def test_units_that_are_no_rate_of_elevation_are_refused(unit: str):
    with pytest.raises(FieldFormatError, match="expected 'm yr-1'"):
        factor(unit, "m yr-1", what="f")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"time_coverage_start": "2011-02-01", "time_coverage_end": "2017-06-30"},
         ("2011-02-01", "2017-07-01")),
        ({"time_start": "2011-02-01T00:00:00Z", "time_end": "2017-07-01T00:00:00Z"},
         ("2011-02-01", "2017-07-01")),
        ({"start_date": "2011-02-01 12:00:00+03:00", "end_date": "2011-02-02"},
         ("2011-02-01T09:00:00", "2011-02-03")),
        ({"time_coverage_start": "once", "time_coverage_end": "later"}, ("", "")),
        ({}, ("", "")),
    ],
)  # fmt: skip
def test_the_period_is_read_with_its_end_exclusive(attributes, expected: tuple[str, str]):
    found = gridded.period(gridded.FieldFile("f", (), attributes))
    assert (found["time_start"], found["time_end"]) == expected


def test_a_period_that_ends_before_it_starts_is_refused():
    file = gridded.FieldFile("f", (), {"time_start": "2017-01-01", "time_end": "2011-01-01"})
    with pytest.raises(FieldFormatError, match="expected the end after the start"):
        gridded.period(file)


def test_no_file_is_taken_for_another_format():
    assert netcdf.is_netcdf(b"\x89HDF\r\n\x1a\n")
    assert geotiff.is_geotiff(b"MM\0+")
    assert not netcdf.is_netcdf(b"CDF\x03")
