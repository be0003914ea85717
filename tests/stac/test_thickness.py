"""Thickness is that of ice alone or says what else; fillers are no ice, and no ice is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stac import thickness as reader
from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from stac.thickness import ice_equivalent, read_thickness
from tests.stac.field_files import POLAR_CF, NetcdfWriter, ramp, write_geotiff
from tests.stac.thickness_files import (
    BED,
    ERROR,
    FIRN,
    ICE,
    MASK,
    SOURCE,
    SURFACE,
    THICKNESS,
    VERSIONS,
    X,
    Y,
    write_bedmachine,
    write_bedmap2,
    write_bedmap3,
)


def read(path: Path):
    return CONTRACTS["thickness"].check_values(read_thickness(path.read_bytes(), name=path.name))


def write(path: Path, values: np.ndarray, name: str = "thk", unit: str = "m", **told: str) -> Path:
    writer = NetcdfWriter(path).axes().mapping(POLAR_CF)
    return writer.field(name, values, units=unit).done(**told)


DEEP = 1000.0 + 100.0 * ramp()


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_bedmachine_is_ice_equivalent_already(tmp_path: Path, version: int):
    """Its ``firn`` is told, and was subtracted by the publisher: not again."""
    made = read(write_bedmachine(tmp_path, version))

    np.testing.assert_allclose(made["thickness"], THICKNESS, rtol=1e-7)
    np.testing.assert_allclose(made["thickness_sigma"], ERROR)
    np.testing.assert_allclose(made["bed"], BED, rtol=1e-6)
    np.testing.assert_allclose(made["surface"], SURFACE, rtol=1e-6)
    np.testing.assert_array_equal(made["mask"], MASK)
    np.testing.assert_array_equal(made["source_class"], SOURCE)
    np.testing.assert_allclose(made["y"], Y)
    assert made.attrs["product"] == f"nsidc-0756-v{version}"
    assert (made.attrs["thickness_kind"], made.attrs["firn_air"]) == ("ice_equivalent", "removed")
    assert "firn_air_content" not in made


def test_the_version_may_stand_in_the_name_alone(tmp_path: Path):
    made = read(write_bedmachine(tmp_path, 2, told={"version": ""}))
    assert made.attrs["product"] == "nsidc-0756-v2"


def test_ice_above_lake_vostok_is_grounded(tmp_path: Path):
    made = read(write_bedmachine(tmp_path))
    assert reader.grounded(made)[MASK == 4].all()
    np.testing.assert_array_equal(reader.grounded(made), np.isin(MASK, (2, 4)))


def test_without_a_mask_ice_floats_whose_base_is_above_the_bed(tmp_path: Path):
    made = read(write_bedmachine(tmp_path, mask=None))
    assert "mask" not in made
    np.testing.assert_array_equal(reader.grounded(made), np.isin(MASK, (2, 4)))
    with pytest.raises(FieldFormatError, match="neither mask nor bed and surface"):
        reader.grounded(made.drop_vars("bed"))


def test_ocean_and_rock_have_no_ice_and_that_is_known(tmp_path: Path):
    made = read(write_bedmachine(tmp_path))
    assert (made["thickness"].to_numpy()[~ICE] == 0.0).all()
    absent = np.where(ICE, THICKNESS, -9999.0)
    filled = read(write_bedmachine(tmp_path, 3, thickness=absent))
    assert (filled["thickness"].to_numpy()[~ICE] == 0.0).all()


def test_missing_thickness_of_ice_stays_nan(tmp_path: Path):
    holed = THICKNESS.copy()
    holed[3, 2] = -9999.0
    made = read(write_bedmachine(tmp_path, thickness=holed))
    assert np.isnan(made["thickness"].to_numpy()[3, 2])
    assert np.isnan(made["thickness"]).sum() == 1


def test_ice_without_thickness_is_unknown_not_zero(tmp_path: Path):
    """Bedmap3 has shelves of thickness 0."""
    thin = THICKNESS.copy()
    thin[0, 3] = 0.0
    made = read(write_bedmachine(tmp_path, thickness=thin))
    assert np.isnan(made["thickness"].to_numpy()[0, 3])
    assert made.attrs["ice_without_thickness"] == 1


def test_a_filler_that_only_a_global_attribute_declares_is_missing(tmp_path: Path):
    """BedMachine says ``no_data = -9999`` for the file; copies lose ``_FillValue``."""
    holed = THICKNESS.copy()
    holed[3, 2] = -9999.0
    made = read(write_bedmachine(tmp_path, fill=None, thickness=holed))
    assert np.isnan(made["thickness"].to_numpy()[3, 2])


@pytest.mark.parametrize("filler", [-9999.0, -32768.0, 9999.0, 32767.0, -5.0])
def test_fillers_that_nothing_declares_are_refused(tmp_path: Path, filler: float):
    holed = THICKNESS.copy()
    holed[3, 2] = filler
    path = write_bedmachine(tmp_path, fill=None, thickness=holed, told={"no_data": ""})
    with pytest.raises(
        FieldFormatError, match=rf"1 values outside 0 to 6000 m, such as {filler:g}"
    ):
        read(path)


def test_rounding_below_zero_is_no_ice(tmp_path: Path):
    shallow = np.where(ICE, THICKNESS, -1e-4)
    made = read(write_bedmachine(tmp_path, thickness=shallow))
    assert (made["thickness"].to_numpy()[~ICE] == 0.0).all()


def test_rows_from_the_south_are_turned(tmp_path: Path):
    path = tmp_path / "BedMachineAntarctica-v3.nc"
    writer = NetcdfWriter(path).axes(X, Y[::-1], dtype="f4")
    for name, values in (("Hi", THICKNESS), ("Hb", BED), ("Hs", SURFACE), ("mask", MASK)):
        writer.field(name, values[::-1], dtype="f4", units="meters" if name != "mask" else None)
    made = read(writer.done(Title="BedMachine Antarctica", proj4="+init=epsg:3031"))
    np.testing.assert_allclose(made["thickness"], THICKNESS)
    np.testing.assert_array_equal(made["mask"], MASK)
    assert made.attrs["product"] == "nsidc-0756-v3"


def test_bedmap3_holds_air_and_has_its_own_mask(tmp_path: Path):
    """Its 4 is rock, not Lake Vostok; its 2 a shelf that grounds at times; nothing is ocean."""
    made = read(write_bedmap3(tmp_path))

    np.testing.assert_allclose(made["thickness"], THICKNESS + FIRN)
    np.testing.assert_array_equal(made["mask"], np.where(MASK == 4, 2, MASK))
    np.testing.assert_allclose(made["thickness_sigma"].to_numpy()[ICE], ERROR[ICE])
    assert made.attrs["product"] == "bedmap3"
    assert (made.attrs["thickness_kind"], made.attrs["firn_air"]) == ("physical", "included")


def test_firn_air_in_the_file_is_subtracted_from_a_physical_thickness(tmp_path: Path):
    made = read(write_bedmap3(tmp_path, firn_air_content=FIRN))

    np.testing.assert_allclose(made["thickness"], THICKNESS)
    assert (made.attrs["thickness_kind"], made.attrs["firn_air"]) == (
        "ice_equivalent", "subtracted",
    )  # fmt: skip
    assert "firn_air_content" not in made


def test_bedmap2_is_known_by_its_name_and_its_empty_cells_stay_unknown(tmp_path: Path):
    made = read(write_bedmap2(tmp_path))
    np.testing.assert_allclose(made["thickness"], np.where(ICE, THICKNESS + FIRN, np.nan))
    assert (made.attrs["product"], made.attrs["thickness_kind"]) == ("bedmap2", "physical")
    with pytest.raises(FieldFormatError, match=r"such as 32767; .*gdal_translate -a_nodata 32767"):
        read(write_bedmap2(tmp_path, nodata=None))


def test_other_bands_of_bedmap2_are_no_thickness(tmp_path: Path):
    path = tmp_path / "bedmap2_bed.tif"
    path.write_bytes(write_bedmap2(tmp_path).read_bytes())
    with pytest.raises(FieldFormatError, match="expected one of them to be 'thickness'"):
        read(path)


def test_kilometres_are_converted(tmp_path: Path):
    path = write(tmp_path / "t.nc", DEEP / 1e3, unit="km", thickness_kind="physical")
    np.testing.assert_allclose(read(path)["thickness"], DEEP)


def test_kilometres_that_say_metres_are_refused(tmp_path: Path):
    path = write(tmp_path / "t.nc", DEEP / 1e3, unit="m", thickness_kind="physical")
    with pytest.raises(FieldFormatError, match=r"m at most, expected hundreds.*looks like km"):
        read(path)


def test_the_kind_of_another_product_must_be_told(tmp_path: Path):
    with pytest.raises(FieldFormatError, match=r"no known product.*ncatted -a thickness_kind"):
        read(write(tmp_path / "t.nc", DEEP))
    with pytest.raises(FieldFormatError, match="has thickness_kind 'water', expected ice_equiv"):
        read(write(tmp_path / "t.nc", DEEP, thickness_kind="water"))
    made = read(write(tmp_path / "t.nc", DEEP, thickness_kind="ice_equivalent", product="mine"))
    assert made.attrs["product"] == "mine"


def test_a_geotiff_may_tell_its_kind_in_a_tag(tmp_path: Path):
    path = write_geotiff(tmp_path / "ice_thickness.tif", DEEP[None], units=["m"],
                         tags={"thickness_kind": "ice_equivalent"})  # fmt: skip
    made = read(path)
    np.testing.assert_allclose(made["thickness"], DEEP)
    assert made.attrs["product"] == "unknown"


def test_a_file_without_thickness_says_what_it_holds(tmp_path: Path):
    path = write(tmp_path / "t.nc", DEEP, name="speed", thickness_kind="physical")
    with pytest.raises(FieldFormatError, match=r"holds speed .*expected one of them to be 'thickn"):
        read(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mask": np.where(MASK == 4, 7, MASK)}, r"'mask' holds \[7\], expected \[0, 1, 2, 3, 4\]"),
        ({"thickness": np.full(MASK.shape, -9999.0)}, "holds no value at all"),
        ({"thickness_unit": "kg m-2"}, "is in 'kg m-2', expected 'm'"),
        ({"errbed": np.where(ICE, ERROR, -77)}, "thickness_sigma holds .* such as -77"),
    ],
)
def test_bedmachine_gone_wrong_is_refused(tmp_path: Path, changed: dict, message: str):
    with pytest.raises(FieldFormatError, match=message):
        read(write_bedmachine(tmp_path, **changed))


HEIGHTS = arrays(np.float64, 8, elements=st.floats(0.0, 4800.0) | st.just(np.nan))


@given(thickness=HEIGHTS, air=HEIGHTS)
def test_ice_and_air_make_up_the_physical_thickness(thickness: np.ndarray, air: np.ndarray):
    ice = ice_equivalent(thickness, air)
    known = ~np.isnan(thickness) & ~np.isnan(air)
    thicker = known & (thickness >= air)
    np.testing.assert_allclose((ice + air)[thicker], thickness[thicker], rtol=1e-12)
    assert (ice[known] >= 0.0).all()
    np.testing.assert_array_equal(
        np.isnan(ice), np.isnan(thickness) | (np.isnan(air) & (thickness != 0))
    )


def test_no_ice_has_no_air():
    assert ice_equivalent(np.zeros(2), np.array([np.nan, 20.0])).tolist() == [0.0, 0.0]


def test_bedmachine_becomes_an_item(tmp_path: Path):
    path = write_bedmachine(tmp_path)

    (done,) = ingest("thickness", [str(path)], catalogue=str(tmp_path / "c"), collection="h")

    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("h")
    assert item.properties["nunatak:thickness_kind"] == "ice_equivalent"
    assert item.properties["nunatak:product"] == "nsidc-0756-v2"
    stored = open_item(item)
    assert stored["mask"].dtype == np.int8
    np.testing.assert_array_equal(stored["mask"], MASK)
    np.testing.assert_allclose(stored["thickness"], THICKNESS, rtol=1e-7)
    np.testing.assert_array_equal(reader.grounded(stored), np.isin(MASK, (2, 4)))


@pytest.mark.realdata
def test_the_coarse_bedmachine_of_the_whole_continent(data_root: Path):
    """8 km without a mask: bases agree with the bed to a metre where ice is grounded.

    With no tolerance at all float32 rounding would let half of the sheet float (6.5 of 11.8
    million km² on the map would be grounded).
    """
    path = data_root / "optical/velocity_thickness/ais/BedMachineAntarctica_v3_8km.nc"
    made = read(path)
    assert made.attrs["product"] == "nsidc-0756-v3"
    assert made.attrs["thickness_kind"] == "ice_equivalent"
    assert float(made["thickness"].max()) == pytest.approx(4434.4, abs=0.1)
    assert not np.isnan(made["thickness"]).any()
    assert made["y"][0] > made["y"][-1]
    assert reader.grounded(made).sum() * 64.0 == pytest.approx(11.76e6, rel=1e-3)
