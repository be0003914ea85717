"""Ensembles of elevation rates and elevation models, from files to items."""

from pathlib import Path

import numpy as np
import pystac
import pytest
from pyproj import Transformer
from pystac.validation import JsonSchemaSTACValidator
from pystac.validation.local_validator import get_local_schema_cache
from shapely.geometry import Point, shape

from stac import elevation
from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, ContractError, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from tests.stac.field_files import (
    POLAR_CF,
    SPACING,
    NetcdfWriter,
    X,
    Y,
    ramp,
    write_geotiff,
    write_rates,
)

MEMBERS = ["TFMRA/M1", "TFMRA/M2", "TFMRA/M3", "OCOG/M1", "OCOG/M2", "OCOG/M3"]
PERIOD = {"time_coverage_start": "2011-02-01", "time_coverage_end": "2017-06-30"}


def rates(path: Path):
    made = elevation.read_rates(path.read_bytes(), name=path.name)
    return CONTRACTS["elevation-rate"].check_values(made)


def plain(path: Path) -> NetcdfWriter:
    return NetcdfWriter(path).axes().mapping(POLAR_CF)


def test_leading_dimensions_become_members_in_the_order_of_the_file(tmp_path: Path):
    made = rates(write_rates(tmp_path / "a.nc", **PERIOD))

    assert made["member"].to_numpy().tolist() == MEMBERS
    assert made.attrs["member_dimensions"] == "retracker/fit"
    assert (made.attrs["time_start"], made.attrs["time_end"]) == ("2011-02-01", "2017-07-01")
    np.testing.assert_allclose(made["elevation_rate"], ramp(6))


def test_members_may_stand_after_rows_and_columns(tmp_path: Path):
    values = np.moveaxis(ramp(3), 0, -1)
    writer = plain(tmp_path / "a.nc").labels("threshold", np.array([10.0, 20.0, 30.0]))
    made = rates(writer.field("dhdt", values, ("y", "x", "threshold"), units="m/yr").done())

    assert made["member"].to_numpy().tolist() == ["10", "20", "30"]
    np.testing.assert_allclose(made["elevation_rate"], ramp(3))


def test_a_dimension_without_labels_is_numbered(tmp_path: Path):
    path = plain(tmp_path / "a.nc").field("sec", ramp(2), ("n", "y", "x"), units="m/yr").done()
    assert rates(path)["member"].to_numpy().tolist() == ["0", "1"]


@pytest.mark.parametrize(
    ("attributes", "dimensions", "label"),
    [
        ({}, "file", "dhdt_TFMRA.v2"),
        ({"retracker": "TFMRA", "fit": "M2"}, "retracker/fit", "TFMRA/M2"),
        ({"Retracker": "threshold 20/peak"}, "retracker", "threshold_20-peak"),
        ({"fit": "M4"}, "fit", "M4"),
    ],
)
def test_a_single_member_is_labelled_by_attributes_or_by_its_file(
    tmp_path: Path, attributes, dimensions: str, label: str
):
    path = plain(tmp_path / "dhdt_TFMRA.v2.nc").field("dhdt", ramp(), units="m/yr")
    made = rates(path.done(**attributes))
    assert made.attrs["member_dimensions"] == dimensions
    assert made["member"].to_numpy().tolist() == [label]


def test_labels_as_characters_are_words(tmp_path: Path):
    """NetCDF 3 has no strings: labels are rows of characters."""
    writer = NetcdfWriter(tmp_path / "a.nc", "NETCDF3_CLASSIC").axes().mapping(POLAR_CF)
    for dim, size in (("fit", 2), ("letters", 4)):
        writer.file.createDimension(dim, size)
    made = writer.file.createVariable("fit", "S1", ("fit", "letters"))
    made[:] = np.array([list("M1\0\0"), list("M2x\0")], dtype="S1")
    path = writer.field("dhdt", ramp(2), ("fit", "y", "x"), units="m/yr").done()

    assert rates(path)["member"].to_numpy().tolist() == ["M1", "M2x"]


def test_the_bands_of_a_geotiff_are_members(tmp_path: Path):
    path = write_geotiff(tmp_path / "a.tif", ramp(2), units=["m/yr"] * 2, descriptions=["M1", "M2"])
    made = rates(path)
    assert made["member"].to_numpy().tolist() == ["M1", "M2"]
    np.testing.assert_allclose(made["elevation_rate"], ramp(2))


def test_one_time_is_no_member_and_several_are_refused(tmp_path: Path):
    single, series = (
        plain(tmp_path / f"{count}.nc")
        .labels("time", np.arange(count, dtype=float))
        .field("dhdt", ramp(count), ("time", "y", "x"), units="m/yr")
        .done()
        for count in (1, 3)
    )
    assert rates(single).attrs["member_dimensions"] == "file"
    with pytest.raises(FieldFormatError, match=r"series of 3 times along 'time'.*ncks -d time,0"):
        rates(series)


@pytest.mark.parametrize("name", ["elevation_rate", "dhdt", "dh_dt", "sec", "SEC", "anything"])
def test_the_rates_are_found_beside_other_variables(tmp_path: Path, name: str):
    writer = plain(tmp_path / "a.nc").field(name, ramp(), units="m/yr")
    writer.field("count", np.ones(ramp().shape), dtype="i4", units="1")
    assert rates(writer.done()).attrs["source_variable"] == name


def test_our_own_name_wins(tmp_path: Path):
    writer = plain(tmp_path / "a.nc").field("elevation_rate", ramp(), units="m/yr")
    path = writer.field("dhdt", 9.0 * ramp(), units="m/yr").done()
    np.testing.assert_allclose(rates(path)["elevation_rate"][0], ramp())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dhdt", "sec"], r"holds dhdt \[m/yr\], sec \[m/yr\]; expected one of them"),
        (["first", "second"], r"holds first \[m/yr\], second \[m/yr\].*rename the variable"),
        ([], "holds no field"),
    ],
)
def test_several_candidates_are_listed(tmp_path: Path, names: list[str], message: str):
    writer = plain(tmp_path / "a.nc")
    for name in names:
        writer.field(name, ramp(), units="m/yr")
    with pytest.raises(FieldFormatError, match=message):
        rates(writer.done())


def test_labels_that_repeat_are_refused(tmp_path: Path):
    writer = plain(tmp_path / "a.nc").labels("fit", ["M1", "M1"])
    path = writer.field("dhdt", ramp(2), ("fit", "y", "x"), units="m/yr").done()
    with pytest.raises(FieldFormatError, match="label M1 more than once"):
        rates(path)


@pytest.mark.parametrize(
    ("standard_name", "reference"),
    [("height_above_reference_ellipsoid", "ellipsoid"), ("surface_altitude", "geoid"),
     (None, "unknown")],
)  # fmt: skip
def test_an_elevation_model_tells_what_it_is_above(tmp_path: Path, standard_name, reference: str):
    writer = plain(tmp_path / "a.nc").field("bed", ramp(), units="m")
    path = writer.field("surface", 1e3 * ramp(), units="m", standard_name=standard_name).done()

    made = elevation.read_surface_elevation(path.read_bytes(), name="a.nc")

    CONTRACTS["surface-elevation"].check_values(made)
    assert made.attrs["height_reference"] == reference
    np.testing.assert_allclose(made["surface_elevation"], 1e3 * ramp())


def test_an_elevation_model_may_be_a_geotiff(tmp_path: Path):
    path = write_geotiff(tmp_path / "dem.tif", ramp(1).astype("f4"), units=["m"])
    made = elevation.read_surface_elevation(path.read_bytes(), name="dem.tif")
    np.testing.assert_allclose(made["surface_elevation"], ramp(), rtol=1e-6)


def test_rates_become_an_item_that_opens_as_they_were(tmp_path: Path):
    values = ramp(2)
    values[:, :, 4:] = np.nan
    writer = plain(tmp_path / "rates.nc").labels("fit", ["M1", "M2"])
    path = writer.field("dhdt", values, ("fit", "y", "x"), units="m/yr").done(**PERIOD)

    (done,) = ingest("elevation-rate", [str(path)], catalogue=str(tmp_path / "c"), collection="r")
    (again,) = ingest("elevation-rate", [str(path)], catalogue=str(tmp_path / "c"), collection="r")

    assert (done.state, again.state) == ("added", "present")
    (item,) = open_catalogue(str(tmp_path / "c")).search("r")
    validator = JsonSchemaSTACValidator()
    validator.schema_cache |= get_local_schema_cache()
    validator.validate_core(
        item.to_dict(include_self_link=False), pystac.STACObjectType.ITEM, "1.1.0"
    )
    properties = item.properties
    assert properties["nunatak:kind"] == "elevation-rate"
    assert properties["start_datetime"] == "2011-02-01T00:00:00Z"
    assert properties["end_datetime"] == "2017-06-30T23:59:59Z"
    assert properties["proj:code"] == "EPSG:3031"
    assert properties["proj:shape"] == [4, 6]
    assert properties["proj:transform"] == [5000.0, 0.0, 997500.0, 0.0, -5000.0, 502500.0]
    assert (properties["nunatak:members"], properties["nunatak:spacing_m"]) == (2, SPACING)
    opened = open_item(item)
    np.testing.assert_allclose(opened["elevation_rate"], values)
    np.testing.assert_array_equal(opened["x"], X)
    np.testing.assert_array_equal(opened["y"], Y)
    assert opened["member"].to_numpy().tolist() == ["M1", "M2"]
    covered = shape(item.geometry)
    for column, inside in ((0, True), (3, True), (5, False)):
        place = Transformer.from_crs(3031, 4326, always_xy=True).transform(X[column], Y[1])
        assert covered.contains(Point(place)) == inside


def test_a_store_is_cut_into_tiles_of_one_member(tmp_path: Path):
    import zarr

    from stac import stores
    from stac.gridded import dataset
    from stac.polar_axes import polar_axes

    axes = polar_axes(1e3 * np.arange(700), -1e3 * np.arange(600), what="f")
    field = (("member", "y", "x"), np.ones((2, 600, 700)), "m yr-1")
    made = dataset(axes, {"elevation_rate": field}, {})
    stores.write_group(made.assign_coords(member=["a", "b"]), tmp_path / "s.zarr")

    assert zarr.open_group(tmp_path / "s.zarr")["elevation_rate"].chunks == (1, 512, 512)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.isel(y=slice(None, None, -1)), "'y' does not decrease"),
        (lambda d: d.isel(x=[0, 2, 3]), "expected even squares"),
        (lambda d: d.isel(member=[0, 0]), "not all different"),
        (lambda d: d.drop_vars("member"), "'member' .* is missing"),
        (lambda d: d.transpose("y", "x", "member"), "has dimensions"),
    ],
)
def test_a_grid_that_is_not_ours_breaks_the_contract(change, message: str):
    contract = CONTRACTS["elevation-rate"]
    with pytest.raises(ContractError, match=message):
        contract.check_values(change(contract.example()))


def test_bad_files_fail_alone_and_others_are_passed_over(tmp_path: Path):
    folder = tmp_path / "rates"
    folder.mkdir()
    write_rates(folder / "good.nc")
    (folder / "cut.nc").write_bytes((folder / "good.nc").read_bytes()[:3000])
    (folder / "README.txt").write_text("how to cite")
    NetcdfWriter(folder / "lost.nc").axes().field("dhdt", ramp(), units="m/yr").done()

    found = ingest("elevation-rate", [str(folder)], catalogue=str(tmp_path / "c"), collection="r")

    reasons = {Path(each.source).name: (each.state, each.reason) for each in found}
    assert {name: state for name, (state, _) in reasons.items()} == {
        "good.nc": "added", "cut.nc": "failed", "lost.nc": "failed",
    }  # fmt: skip
    assert "fetch it again" in reasons["cut.nc"][1]
    assert "says no coordinate system" in reasons["lost.nc"][1]


@pytest.mark.realdata
def test_bedmachine_of_the_whole_continent_is_an_elevation_model(data_root: Path):
    path = data_root / "optical/velocity_thickness/ais/BedMachineAntarctica_v3_8km.nc"
    made = elevation.read_surface_elevation(path.read_bytes(), name=path.name)

    CONTRACTS["surface-elevation"].check_values(made)
    assert made["surface_elevation"].shape == (833, 833)
    assert made.attrs["height_reference"] == "geoid"
    assert 3_900.0 < float(made["surface_elevation"].max()) < 4_900.0
    vostok = Transformer.from_crs(4326, 3031, always_xy=True).transform(106.84, -78.46)
    height = made["surface_elevation"].sel(x=vostok[0], y=vostok[1], method="nearest")
    assert float(height) == pytest.approx(3488.0, abs=60.0)
