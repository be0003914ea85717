"""Every published map of velocity in its own layout, and the traps of each."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, ContractError, data_url, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from stac.velocity import read_velocity, require_plausible, settle_zeros
from stac.velocity_products import FRAMES, PRODUCTS, SIGMAS, YEARS, recognise
from tests.stac.field_files import POLAR_CF, NetcdfWriter, Y, write_geotiff
from tests.stac.velocity_files import (
    NORTH,
    WEST,
    plane,
    write_cogs,
    write_enveo,
    write_first_measures,
    write_its_live,
    write_measures,
)

ANNUAL = "Antarctica_ice_velocity_2007_2008_1km_v1.nc"


def read(path: Path) -> xr.Dataset:
    return CONTRACTS["velocity"].check_values(read_velocity(path.read_bytes(), name=path.name))


def told(made: xr.Dataset) -> tuple[str, ...]:
    names = ("product", "velocity_frame", "year_definition", "sigma_kind", "time_start", "time_end")
    return tuple(made.attrs[name] for name in names)


def test_an_annual_map_is_of_the_glaciological_year_that_its_name_tells(tmp_path: Path):
    v_x, v_y = plane()
    # Attributes are copied from file to file; the name is not.
    copied = {"time_coverage_start": "2005-07-01", "time_coverage_end": "2006-06-30"}
    path = write_measures(tmp_path / ANNUAL, v_x, v_y, **copied)
    made = read(path)
    np.testing.assert_allclose(made["v_x"], v_x, rtol=1e-6)
    assert told(made) == (
        "nsidc-0720-v1", "unknown", "glaciological", "relative", "2007-07-01", "2008-07-01",
    )  # fmt: skip
    assert (made["v_x_sigma"] == 3.0).all()
    assert (made["v_y_sigma"] == 4.0).all()
    assert made.attrs["doi"] == "10.5067/9T4EPQXTJYW9"


def test_zeros_of_an_annual_map_are_no_velocities(tmp_path: Path):
    v_x, v_y = plane()
    v_x[0, :3], v_y[0, :3] = 0.0, 0.0
    made = read(write_measures(tmp_path / ANNUAL, v_x, v_y))
    assert int(made["v_x"].isnull().sum()) == 3
    # The mean over what was measured, which a reader that keeps zeros gets wrong.
    assert float(made["v_x"].mean()) == pytest.approx(v_x[v_x != 0.0].mean(), rel=1e-6)


def test_a_component_of_zero_does_not_lose_the_pixel(tmp_path: Path):
    v_x, v_y = plane()
    v_x[1, 1], v_y[2, 2] = 0.0, 0.0
    made = read(write_measures(tmp_path / ANNUAL, v_x, v_y))
    assert float(made["v_x"][1, 1]) == 0.0
    assert float(made["v_y"][1, 1]) == pytest.approx(v_y[1, 1])
    assert float(made["v_y"][2, 2]) == 0.0
    assert int(made["v_x"].isnull().sum()) == 0


def test_counts_tell_a_measured_zero_from_none(tmp_path: Path):
    v_x, v_y = plane()
    count = np.full(v_x.shape, 4)
    v_x[1, 1:3] = 0.0
    count[1, 2] = 0
    made = read(write_measures(tmp_path / ANNUAL, v_x, v_y, count=count))
    assert float(made["v_x"][1, 1]) == 0.0
    assert np.isnan(made["v_x"][1, 2])
    assert np.isnan(made["v_y"][1, 2])


def test_a_filler_that_is_no_zero_stays_missing_beside_zeros(tmp_path: Path):
    v_x, v_y = plane()
    v_x[1, 1] = np.nan
    made = read(write_measures(tmp_path / ANNUAL, v_x, v_y))
    assert np.isnan(made["v_x"][1, 1])


def test_maps_of_several_years_named_alike_are_another_product(tmp_path: Path):
    path = write_measures(tmp_path / "Antarctica_ice_velocity_2005_2009_1km_v1.nc", *plane())
    assert told(read(path))[:3] == ("unknown", "unknown", "unknown")


def test_the_phase_map_is_of_many_years_whatever_its_folder_is_called(tmp_path: Path):
    folder = tmp_path / "1996.01.01"
    folder.mkdir()
    made = read(write_measures(folder / "antarctic_ice_vel_phase_map_v01.nc", *plane()))
    assert told(made) == (
        "nsidc-0754-v1", "unknown", "multi_year", "relative", "1996-01-01", "2019-01-01",
    )  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_a_map_of_450_m_tells_its_own_period(tmp_path: Path, turned: bool):
    v_x, v_y = plane()
    path = tmp_path / "antarctica_ice_velocity_450m_v2.nc"
    if turned:
        writer = NetcdfWriter(path).axes(y=Y[::-1]).mapping(POLAR_CF)
        for name, values in {"VX": v_x, "VY": v_y}.items():
            writer.field(name, values[::-1].T, ("x", "y"), fill=0.0, units="meter/year")
        writer.done(time_coverage_start="1995-01-01", time_coverage_end="2016-12-31")
    else:
        write_measures(path, v_x, v_y, time_coverage_start="1995-01-01",
                       time_coverage_end="2016-12-31")  # fmt: skip
    made = read(path)
    np.testing.assert_allclose(made["v_y"], v_y, rtol=1e-6)
    assert made.attrs["product"] == "nsidc-0484-v2"
    assert (made.attrs["time_start"], made.attrs["time_end"]) == ("1995-01-01", "2017-01-01")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Antarctica_ice_velocity_900m.nc",
         ("nsidc-0484-v1", "unknown", "multi_year", "relative", "1996-01-01", "2012-01-01")),
        ("Central_Antarctica_ice_velocity_1997.nc",
         ("nsidc-0525-v1", "unknown", "calendar", "relative", "1997-01-01", "1998-01-01")),
        ("Central_Antarctica_ice_velocity_2009.nc",
         ("nsidc-0525-v1", "unknown", "calendar", "relative", "2009-01-01", "2010-01-01")),
    ],
)  # fmt: skip
def test_maps_without_coordinates_are_placed_by_their_corner(tmp_path: Path, name, expected):
    x, y = WEST + 900.0 * np.arange(5), NORTH - 900.0 * np.arange(4)
    v_x, v_y = plane(x, y)
    v_x[3, 4], v_y[3, 4] = 0.0, 0.0
    made = read(write_first_measures(tmp_path / name, v_x, v_y))
    np.testing.assert_array_equal(made["x"], x)
    np.testing.assert_array_equal(made["y"], y)
    assert float(made["v_x"].sel(x=x[1], y=y[2])) == pytest.approx(v_x[2, 1], rel=1e-6)
    # 0 is not declared as a filler there, but is one.
    assert np.isnan(made["v_x"][3, 4])
    assert (made["v_x_sigma"] == 5.0).all()
    assert (made["v_y_sigma"] == 5.0).all()
    assert told(made) == expected


def test_the_two_epochs_of_central_antarctica_are_twelve_years_apart(tmp_path: Path):
    middles = []
    for year in ("1997", "2009"):
        known = recognise(f"Central_Antarctica_ice_velocity_{year}.nc", {})
        ends = np.array([known.time_start, known.time_end], dtype="datetime64[D]")
        middles.append(ends[0] + (ends[1] - ends[0]) / 2)
    assert (middles[1] - middles[0]) / np.timedelta64(1, "D") / 365.25 == pytest.approx(
        12.0, abs=0.01
    )


@pytest.mark.parametrize(
    ("corner", "reason"),
    [
        ({"xmin": "-1422100.0"}, "no coordinates x"),
        ({"spacing": "900 degrees"}, "latitude-longitude"),
        ({"nx": 7}, "has 5 entries along x, but attribute nx is 7"),
        ({"xmin": None}, "no coordinates x"),
    ],
)
def test_a_corner_that_does_not_fit_is_refused(tmp_path: Path, corner, reason: str):
    x, y = WEST + 900.0 * np.arange(5), NORTH - 900.0 * np.arange(4)
    path = write_first_measures(
        tmp_path / "Central_Antarctica_ice_velocity_1997.nc", *plane(x, y), **corner
    )
    with pytest.raises(FieldFormatError, match=reason):
        read(path)


@pytest.mark.parametrize(
    ("name", "errors", "expected"),
    [
        ("ANT_G0240_2015.nc", "err",
         ("its-live-v1", "ground", "calendar", "absolute", "2015-01-01", "2016-01-01")),
        ("ANT_G0240_0000.nc", "err",
         ("its-live-v1", "ground", "multi_year", "absolute", "1985-01-01", "2019-01-01")),
        ("ITS_LIVE_velocity_120m_RGI19A_2019_v02.nc", "error",
         ("its-live-v2", "map", "calendar", "relative", "2019-01-01", "2020-01-01")),
        ("ITS_LIVE_velocity_120m_RGI19A_0000_v02.nc", "error",
         ("its-live-v2", "map", "multi_year", "relative", "2014-01-01", "2023-01-01")),
        ("NSIDC-0776_RGI19A_2014-2022_V02.0.nc", "error",
         ("its-live-v2", "map", "multi_year", "relative", "2014-01-01", "2023-01-01")),
        ("ITS_LIVE_velocity_120m_RGI19A_2019_V02.1.nc", "error",
         ("its-live-v2.1", "unknown", "calendar", "relative", "2019-01-01", "2020-01-01")),
    ],
)  # fmt: skip
def test_its_live_is_known_by_version_and_year(tmp_path: Path, name: str, errors: str, expected):
    v_x, v_y = plane()
    v_x[0, 0], v_y[0, 0] = np.nan, np.nan
    # Whole numbers: a component of 0 is ordinary there, and no filler.
    v_x[1, 1], v_y[1, 1], v_x[2, 2] = 0.0, 0.0, 0.0
    made = read(write_its_live(tmp_path / name, v_x, v_y, errors=errors))
    np.testing.assert_array_equal(made["v_x"], np.round(v_x))
    np.testing.assert_array_equal(made["v_y"], np.round(v_y))
    assert int((made["v_y_sigma"] == 7.0).sum()) == v_x.size - 1
    assert np.isnan(made["v_x_sigma"][0, 0])
    assert told(made) == expected


def test_a_filler_of_its_live_that_is_not_declared_is_refused(tmp_path: Path):
    v_x, v_y = plane()
    writer = NetcdfWriter(tmp_path / "ANT_G0240_2015.nc").axes().mapping(POLAR_CF)
    for name, values in {"vx": v_x, "vy": v_y}.items():
        values[0, 0] = -32767.0
        writer.field(name, values, dtype="f4", units="m/y")
    with pytest.raises(FieldFormatError, match=r"1 speeds above 20000 m/yr, 46339.5 m/yr at most"):
        read(writer.done())


def test_components_in_files_of_their_own_become_one_item(tmp_path: Path):
    v_x, v_y = plane()
    v_x[0, 0], v_y[0, 0] = np.nan, np.nan
    folder = tmp_path / "annual" / "cog"
    folder.mkdir(parents=True)
    for year in (2018, 2019):
        write_cogs(folder, f"ITS_LIVE_velocity_120m_RGI19A_{year}_v02", v_x + year - 2018, v_y)

    done = list(ingest("velocity", [str(folder)], catalogue=str(tmp_path / "c"), collection="v"))

    assert [each.state for each in done] == ["added", "added"], [each.reason for each in done]
    first, second = sorted(open_catalogue(str(tmp_path / "c")).search("v"), key=lambda i: i.id)
    made = open_item(second)
    np.testing.assert_array_equal(made["v_x"], np.round(v_x + 1.0))
    np.testing.assert_array_equal(made["v_y"], np.round(v_y))
    assert int((made["v_x_sigma"] == 7.0).sum()) == v_x.size - 1
    assert int((made["v_y_sigma"] == 8.0).sum()) == v_x.size - 1
    assert first.properties["start_datetime"] == "2018-01-01T00:00:00Z"
    assert first.properties["end_datetime"] == "2018-12-31T23:59:59Z"
    assert first.properties["nunatak:velocity_frame"] == "map"


def test_a_changed_component_is_another_source(tmp_path: Path):
    v_x, v_y = plane()
    stem = "ITS_LIVE_velocity_120m_RGI19A_2018_v02"
    catalogue = {"catalogue": str(tmp_path / "c"), "collection": "v"}
    path = next(p for p in write_cogs(tmp_path, stem, v_x, v_y) if p.stem.endswith("_vx"))
    assert [e.state for e in ingest("velocity", [str(path)], **catalogue)] == ["added"]
    assert [e.state for e in ingest("velocity", [str(path)], **catalogue)] == ["present"]
    write_cogs(tmp_path, stem, v_x, v_y + 5.0)
    assert [e.state for e in ingest("velocity", [str(path)], **catalogue)] == ["failed"]


def test_a_component_without_its_sibling_is_refused(tmp_path: Path):
    v_x, v_y = plane()
    paths = write_cogs(tmp_path, "ITS_LIVE_velocity_120m_RGI19A_2018_v02", v_x, v_y)
    for path in paths:
        if not path.stem.endswith("_vx"):
            path.unlink()
    (done,) = ingest("velocity", [str(tmp_path)], catalogue=str(tmp_path / "c"), collection="v")
    assert done.state == "failed"
    assert "NAME_vx.tif and NAME_vy.tif" in done.reason


def test_a_month_of_enveo_is_in_true_metres_a_day(tmp_path: Path):
    v_x, v_y = plane()
    path = tmp_path / "antarctica_iv_200m_s1_s20170101_e20170131_v1_0.nc"
    made = read(write_enveo(path, v_x / 365.25, v_y / 365.25))
    np.testing.assert_allclose(made["v_x"], v_x, rtol=1e-6)
    np.testing.assert_allclose(made["v_y_sigma"], 3.6525, rtol=1e-6)
    assert told(made) == (
        "enveo-antarctica-s1", "ground", "calendar", "absolute", "2017-01-01", "2017-02-01",
    )  # fmt: skip


def test_a_file_of_no_known_product_is_unknown_in_all(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "mine.nc").axes().mapping(POLAR_CF)
    for name, values in zip(("vx", "vy", "vx_err", "vy_err"), (*plane(), *plane()), strict=True):
        writer.field(name, values, units="m/yr")
    assert told(read(writer.done())) == ("unknown",) * 4 + ("", "")


def test_a_file_may_say_itself_what_it_holds(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "mine.nc").axes().mapping(POLAR_CF)
    for name, values in zip(("vx", "vy"), plane(), strict=True):
        writer.field(name, values, units="m/yr")
    made = read(writer.done(product="world-1", velocity_frame="map", year_definition="sometimes"))
    assert told(made)[:4] == ("world-1", "map", "unknown", "none")


def test_a_title_is_believed_only_where_the_period_fits(tmp_path: Path):
    title = "MEaSURES Antarctica Ice Velocity Map 450m spacing"
    for last, product in (("2016-12-31", "nsidc-0484-v2"), ("1995-12-31", "unknown")):
        path = write_measures(tmp_path / f"copy-{last}.nc", *plane(), title=title,
                              time_coverage_start="1995-01-01", time_coverage_end=last)  # fmt: skip
        assert read(path).attrs["product"] == product


@pytest.mark.parametrize("unit", [None, ""])
def test_a_velocity_without_a_unit_is_refused(tmp_path: Path, unit: str | None):
    x, y = WEST + 900.0 * np.arange(5), NORTH - 900.0 * np.arange(4)
    path = write_first_measures(
        tmp_path / "Central_Antarctica_ice_velocity_1997.nc", *plane(x, y), unit=unit
    )
    with pytest.raises(FieldFormatError, match="does not say its unit"):
        read(path)


def test_metres_a_year_labelled_as_a_day_or_second_are_refused(tmp_path: Path):
    for unit in ("m/day", "m/s"):
        path = tmp_path / f"{unit[2:]}.nc"
        writer = NetcdfWriter(path).axes().mapping(POLAR_CF)
        for name, values in zip(("vx", "vy"), plane(), strict=True):
            writer.field(name, values, units=unit)
        with pytest.raises(FieldFormatError, match=r"24 speeds above 20000 m/yr, \d"):
            read(writer.done())


def test_metres_a_second_labelled_as_a_year_are_refused(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "v.nc").axes().mapping(POLAR_CF)
    for name, values in zip(("vx", "vy"), plane(), strict=True):
        writer.field(name, values / (365.25 * 86400.0), units="m/yr")
    with pytest.raises(FieldFormatError, match=r"nowhere faster than \d\.\d+e-06 m/yr"):
        read(writer.done())


def test_a_map_without_any_velocity_is_refused():
    empty = np.full((2, 2), np.nan)
    with pytest.raises(FieldFormatError, match="holds no velocity"):
        require_plausible(empty, np.ones((2, 2)), what="v.nc")


zeros = st.sampled_from([0.0, 0.0, 5.0, -3.0, float("nan")])


@given(st.lists(st.tuples(zeros, zeros, st.integers(0, 3)), min_size=1, max_size=20), st.booleans())
def test_settling_zeros_only_ever_removes_zeros_and_their_partner(cells, counted: bool):
    v_x, v_y, count = (np.array([column], dtype=float) for column in zip(*cells, strict=True))
    before = v_x.copy(), v_y.copy()
    settle_zeros(v_x, v_y, count if counted else None)
    for i, (a, b, n) in enumerate(cells):
        gone = (a == 0.0 and b == 0.0) or (counted and n == 0 and 0.0 in (a, b))
        for after, old in zip((v_x, v_y), before, strict=True):
            expected = np.nan if gone else old[0, i]
            np.testing.assert_equal(after[0, i], expected)


def test_every_product_promises_what_the_contract_allows():
    for entry in PRODUCTS:
        assert entry.velocity_frame in FRAMES
        assert entry.year_definition in YEARS
        assert entry.sigma_kind in SIGMAS
        assert entry.doi.startswith("10.")
    assert len({entry.product for entry in PRODUCTS}) == len(PRODUCTS)


def test_stores_of_earlier_versions_lack_the_promises_but_wrong_ones_are_refused():
    contract = CONTRACTS["velocity"]
    old = contract.example()
    for name in ("product", "doi", "velocity_frame", "year_definition", "sigma_kind"):
        del old.attrs[name]
    contract.check(old)
    with pytest.raises(ContractError, match="'velocity_frame' is 'sky', expected one of"):
        contract.check(old.assign_attrs(velocity_frame="sky"))


def test_a_velocity_is_stored_in_tiles_for_gates(tmp_path: Path):
    x, y = 450.0 * np.arange(300.0), -450.0 * np.arange(270.0)
    path = NetcdfWriter(tmp_path / "v.nc").axes(x, y).mapping(POLAR_CF)
    for name, values in zip(("vx", "vy"), plane(x, y), strict=True):
        path.field(name, values, units="m/yr")
    done = list(
        ingest("velocity", [str(path.done())], catalogue=str(tmp_path / "c"), collection="v")
    )
    assert done[0].state == "added", done[0].reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("v")
    assert zarr.open_group(data_url(item), mode="r")["v_x"].chunks == (256, 256)


def test_zero_as_nodata_of_a_geotiff_is_settled_too(tmp_path: Path):
    v_x, v_y = plane()
    v_x[1, 1], v_x[0, 0], v_y[0, 0] = 0.0, 0.0, 0.0
    path = write_geotiff(tmp_path / "v.tif", np.stack([v_x, v_y]), nodata=0.0,
                         units=["m/yr"] * 2, descriptions=["vx", "vy"])  # fmt: skip
    made = read(path)
    assert float(made["v_x"][1, 1]) == 0.0
    assert int(made["v_x"].isnull().sum()) == int(made["v_y"].isnull().sum()) == 1
