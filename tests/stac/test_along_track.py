"""Granules of an altimeter: true ones, and what their own flags say."""

from datetime import UTC, datetime
from pathlib import Path

import netCDF4
import numpy as np
import pystac
import pytest
import shapely
from pyproj import Transformer
from pystac.validation import JsonSchemaSTACValidator
from pystac.validation.local_validator import get_local_schema_cache

from stac import along_track, elevation, items
from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from tests.stac.field_files import write_granule, write_rates

LATITUDE = np.linspace(-75.0, -76.0, 8)
LONGITUDE = np.linspace(100.0, 101.0, 8)
HEIGHT = np.linspace(2500.0, 2510.0, 8)
REAL = {
    "altimetry/CS_OFFL_SIR_TDP_LI_ANTARC_20100718T001450_20100718T001611_01_02650_B001.nc":
        (1765, 1397, {"elevation": 335, "ocean": 33}, -69.71),
    "optical/itslive_altimetry_granules/"
    "CS_OFFL_SIR_TDP_LI_ANTARC_20101218T074854_20101218T075135_02_05295_C001.nc":
        (3429, 2854, {"elevation": 458, "ice_free_land": 117}, -78.43),
}  # fmt: skip
"""Points in the file, points kept, points dropped by reason, northernmost latitude kept."""


def read(path: Path):
    made = along_track.read_granule(path.read_bytes(), name=path.name)
    return CONTRACTS["elevation"].check_values(made)


def granule(tmp_path: Path, **choices) -> Path:
    given = {"latitude": LATITUDE, "longitude": LONGITUDE, "elevation": HEIGHT} | choices
    return write_granule(tmp_path / "granule.nc", **given)


def test_points_are_placed_in_the_plane(tmp_path: Path):
    made = read(granule(tmp_path))
    longitude, latitude = Transformer.from_crs(3031, 4326, always_xy=True).transform(
        made["x"].to_numpy(), made["y"].to_numpy()
    )
    np.testing.assert_allclose(latitude, LATITUDE, atol=1e-9)
    np.testing.assert_allclose(longitude, LONGITUDE, atol=1e-9)
    np.testing.assert_array_equal(made["elevation"], HEIGHT)
    assert (made["instrument_mode"] == 3).all()
    assert made.attrs["retracker"] == "LMC"
    assert made.attrs["source_product"] == "Cryo-TEMPO Land Ice Thematic Product, baseline C"


@pytest.mark.parametrize(
    ("units", "value", "expected"),
    [
        ("UTC seconds since 00:00:00 1-Jan-2000", 345973734.354738, "2010-12-18T07:48:54.354738"),
        ("seconds since 2000-01-01 00:00:00", 86400.5, "2000-01-02T00:00:00.500000"),
        ("days since 1950-01-01T00:00:00Z", 22000.25, "2010-03-27T06:00:00"),
        ("hours since 2000-01-01 02:00:00 +02:00", 1.0, "2000-01-01T01:00:00"),
    ],
)
def test_times_are_read_whatever_their_units_look_like(
    tmp_path: Path, units: str, value: float, expected: str
):
    made = read(granule(tmp_path, seconds=np.full(8, value), time_units=units))
    found = made["time"].to_numpy()[0]
    assert abs(found - np.datetime64(expected, "ns")) <= np.timedelta64(1, "us")


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("TAI seconds since 2000-01-01", "expected UTC"),
        ("seconds", "expected UTC such as 'seconds since"),
        ("months since 2000-01-01", "expected UTC"),
        ("seconds since once upon a time", "expected UTC"),
        ("days since 2000-01-01", "200 years or more from 2000-01-01"),
    ],
)
def test_times_that_are_not_clear_are_refused(tmp_path: Path, units: str, message: str):
    with pytest.raises(FieldFormatError, match=message):
        read(granule(tmp_path, time_units=units))


def test_points_that_are_no_ice_or_no_measurement_are_dropped_and_counted(tmp_path: Path):
    height, latitude = HEIGHT.copy(), LATITUDE.copy()
    height[0] = latitude[1] = np.nan
    surface = np.array([0, 1, 0, 0, 3, 2, 1, -128])

    made = read(granule(tmp_path, elevation=height, latitude=latitude, surface=surface))

    np.testing.assert_array_equal(made["elevation"], HEIGHT[5:7])
    assert made["surface_type"].to_numpy().tolist() == [2, 1]
    assert made.attrs["points_in_file"] == 8
    assert made.attrs["dropped"] == (
        "1 without an elevation, 1 without a place or time, 2 on ocean, 1 on ice_free_land, "
        "1 on an unknown surface of 8 points"
    )


def test_flags_mean_what_the_file_says(tmp_path: Path):
    surface = np.array([7, 7, 7, 7, 9, 9, 9, 9])
    flags = {"flags": "7b, 9b", "meanings": "floating_ice ocean"}
    made = read(granule(tmp_path, surface=surface, **flags))
    assert made["surface_type"].to_numpy().tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"elevation": HEIGHT * np.nan},
            r"none of 8 points can be used \(8 without an elevation\)",
        ),
        ({"surface": np.zeros(8)}, r"\(8 on ocean\).*leave this granule out"),
        ({"latitude": -LATITUDE}, "between 75.00° and 76.00° of latitude, expected Antarctica"),
        ({"latitude": LATITUDE - 20.0}, "expected Antarctica"),
        ({"flags": "0b, 1b"}, "2 flag_values and 5 flag_meanings"),
        ({"meanings": "a b c d e"}, "no land ice granule"),
    ],
)
def test_a_granule_that_cannot_be_used_says_why(tmp_path: Path, choices, message: str):
    with pytest.raises(FieldFormatError, match=message):
        read(granule(tmp_path, **choices))


def test_gridded_rates_are_no_granule(tmp_path: Path):
    with pytest.raises(FieldFormatError, match=r"lacks latitude, longitude, time, elevation"):
        read(write_rates(tmp_path / "a.nc"))


def test_a_file_is_known_by_what_it_holds(tmp_path: Path):
    track, grid = granule(tmp_path), write_rates(tmp_path / "a.nc")
    assert "point" in elevation.read_elevation(track.read_bytes(), name="x").dims
    assert "member" in elevation.read_elevation(grid.read_bytes(), name="x").dims


@pytest.mark.parametrize("kind", ["elevation-rate", "elevation"])
def test_a_granule_becomes_an_item_of_elevations_under_either_name(tmp_path: Path, kind: str):
    path = granule(tmp_path)

    (done,) = ingest(kind, [str(path)], catalogue=str(tmp_path / "c"), collection="t")
    (again,) = ingest(kind, [str(path)], catalogue=str(tmp_path / "c"), collection="t")

    assert (done.state, again.state) == ("added", "present"), done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("t")
    assert item.properties["nunatak:kind"] == "elevation"
    assert item.properties["nunatak:points"] == 8
    assert item.properties["nunatak:dropped"] == "none"
    assert item.properties["start_datetime"] == "2010-12-18T07:48:54Z"
    assert item.properties["end_datetime"] == "2010-12-18T07:49:01Z"
    np.testing.assert_array_equal(open_item(item)["elevation"], HEIGHT)


@pytest.mark.parametrize(
    "points",
    [
        np.array([[1e6, 0.0]]),
        np.column_stack([np.linspace(-5e5, 5e5, 400), np.full(400, -3e5)]),
        np.random.default_rng(1).normal(0.0, 3e5, (3000, 2)),
        np.column_stack([np.linspace(0.0, 8e5, 900), 9e3 * (-1.0) ** np.arange(900) - 1e6]),
    ],
    ids=["one", "across 180°", "everywhere", "zigzag"],
)
def test_a_footprint_holds_every_point_on_one_side_of_180(points: np.ndarray):
    made = CONTRACTS["elevation"].example().isel(point=np.zeros(len(points), dtype=int))
    made = made.assign(x=("point", points[:, 0], {"units": "m"}))
    made = made.assign(y=("point", points[:, 1], {"units": "m"}))

    coverage = items.track_coverage(made)

    longitude, latitude = Transformer.from_crs(3031, 4326, always_xy=True).transform(*points.T)
    covered = shapely.geometry.shape(coverage.geometry).buffer(1e-6)
    assert shapely.contains_xy(covered, longitude, latitude).all()
    west, _, east, _ = shapely.geometry.shape(coverage.geometry).bounds
    assert (west, east) >= (-180.0, -180.0)
    assert east <= 180.0


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_granules_are_read_whole(data_root: Path, name: str):
    path = data_root / name
    total, kept, dropped, north = REAL[name]
    made = read(path)

    assert (made.attrs["points_in_file"], made.sizes["point"]) == (total, kept)
    for reason, count in dropped.items():
        assert f"{count} " in made.attrs["dropped"].split(reason)[0].split(", ")[-1]
    latitude = Transformer.from_crs(3031, 4326, always_xy=True).transform(
        made["x"].to_numpy(), made["y"].to_numpy()
    )[1]
    assert latitude.max() < -60.0
    assert latitude.max() == pytest.approx(north, abs=0.02)
    assert made["elevation"].min() > 0.0
    assert made["elevation"].max() < 4100.0
    assert float(abs(made["elevation"] - made["reference_elevation"]).median()) < 5.0
    day = np.datetime64(datetime.strptime(path.name.split("_")[6][:8], "%Y%m%d").date())  # noqa: DTZ007
    assert (made["time"].to_numpy().astype("datetime64[D]") == day).all()


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_points_are_those_that_the_file_holds(data_root: Path, name: str):
    """The oracle is the library itself: kept points have its elevations, uncertainties, times."""
    made = read(data_root / name)
    with netCDF4.Dataset(data_root / name) as file:
        ice = np.isin(file["surface_type"][:], [1, 2]) & np.isfinite(file["elevation"][:])
        held = {
            each: np.asarray(file[each][:])[ice] for each in ("elevation", "uncertainty", "time")
        }

    np.testing.assert_array_equal(made["elevation"], held["elevation"])
    np.testing.assert_array_equal(made["uncertainty"], held["uncertainty"])
    since = (made["time"].to_numpy() - np.datetime64("2000-01-01")) / np.timedelta64(1, "s")
    np.testing.assert_allclose(since, held["time"], atol=1e-6, rtol=0.0)


@pytest.mark.realdata
def test_real_granules_are_catalogued_where_and_when_they_flew(data_root: Path, tmp_path: Path):
    sources = [str(data_root / name) for name in REAL]
    found = list(ingest("elevation-rate", sources, catalogue=str(tmp_path), collection="cs2"))
    again = list(ingest("elevation-rate", sources, catalogue=str(tmp_path), collection="cs2"))

    assert [each.state for each in found] == ["added"] * 2
    assert [each.state for each in again] == ["present"] * 2
    catalogue = open_catalogue(str(tmp_path))
    validator = JsonSchemaSTACValidator()
    validator.schema_cache |= get_local_schema_cache()
    for item in catalogue.search("cs2"):
        validator.validate_core(
            item.to_dict(include_self_link=False), pystac.STACObjectType.ITEM, "1.1.0"
        )
        made = open_item(item)
        place = Transformer.from_crs(3031, 4326, always_xy=True)
        longitude, latitude = place.transform(made["x"].to_numpy(), made["y"].to_numpy())
        covered = shapely.geometry.shape(item.geometry)
        assert shapely.contains_xy(covered, longitude, latitude).all()
        assert item.bbox[1] > -90.0
        assert item.bbox[3] < -60.0
        assert covered.area < 0.2 * shapely.box(*item.bbox).area or item.bbox[0] > -180.0
    (july,) = catalogue.search("cs2", bbox=(16.0, -74.0, 19.0, -68.0))
    assert july.common_metadata.start_datetime == datetime(2010, 7, 18, 0, 14, 49, tzinfo=UTC)
    assert july.common_metadata.end_datetime <= datetime(2010, 7, 18, 0, 16, 11, tzinfo=UTC)
