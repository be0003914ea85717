"""Two components of ice velocity on one grid."""

from pathlib import Path

import numpy as np
import pytest

from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from stac.velocity import read_velocity
from tests.stac.field_files import POLAR_CF, NetcdfWriter, X, ramp, write_geotiff


def read(path: Path):
    return CONTRACTS["velocity"].check_values(read_velocity(path.read_bytes(), name=path.name))


def write(path: Path, names: tuple[str, str], unit: str = "m/yr", size: float = 1.0, **more: str):
    writer = NetcdfWriter(path).axes().mapping(POLAR_CF)
    for i, name in enumerate(names):
        writer.field(name, (i + 1) * size * ramp(), units=unit, **more)
    return writer


@pytest.mark.parametrize(
    "names", [("v_x", "v_y"), ("vx", "vy"), ("VX", "VY"), ("u_surf", "v_surf")]
)
def test_components_are_known_by_their_names(tmp_path: Path, names: tuple[str, str]):
    writer = write(tmp_path / "v.nc", names)
    made = read(writer.field("v", ramp(), units="m/yr").done())
    np.testing.assert_allclose(made["v_x"], ramp())
    np.testing.assert_allclose(made["v_y"], 2.0 * ramp())
    assert "v_x_sigma" not in made


def test_components_are_known_by_their_standard_names(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "v.nc").axes().mapping(POLAR_CF)
    for axis, size in (("x", 1.0), ("y", 2.0)):
        writer.field(f"east_{axis}", size * ramp(), units="m/yr",
                     standard_name=f"land_ice_surface_{axis}_velocity")  # fmt: skip
    np.testing.assert_allclose(read(writer.done())["v_y"], 2.0 * ramp())


@pytest.mark.parametrize(("unit", "seconds"), [("m/s", 1.0), ("m/day", 86400.0)])
def test_speeds_in_seconds_and_days_become_years(tmp_path: Path, unit: str, seconds: float):
    size = seconds / (365.25 * 86400.0)
    made = read(write(tmp_path / "v.nc", ("vx", "vy"), unit, size).done())
    np.testing.assert_allclose(made["v_x"], ramp())


def test_uncertainties_are_kept(tmp_path: Path):
    writer = write(tmp_path / "v.nc", ("VX", "VY"))
    for name in ("ERRX", "ERRY"):
        writer.field(name, np.full(ramp().shape, 3.0), units="m/yr")
    made = read(writer.done())
    assert (made["v_x_sigma"] == 3.0).all()
    assert (made["v_y_sigma"] == 3.0).all()


def test_a_geotiff_holds_both_components_as_described_bands(tmp_path: Path):
    made = read(
        write_geotiff(tmp_path / "v.tif", ramp(2), units=["m/yr"] * 2, descriptions=["vy", "vx"])
    )
    np.testing.assert_allclose(made["v_y"], ramp(2)[0])
    np.testing.assert_allclose(made["v_x"], ramp(2)[1])


def test_bands_without_descriptions_are_refused(tmp_path: Path):
    path = write_geotiff(tmp_path / "v.tif", ramp(2), units=["m/yr"] * 2)
    with pytest.raises(FieldFormatError, match=r"holds band 1 .*set the description of the band"):
        read(path)


def test_a_component_that_is_missing_is_named(tmp_path: Path):
    path = write(tmp_path / "v.nc", ("vx", "speed")).done()
    with pytest.raises(FieldFormatError, match="expected one of them to be 'v_y'"):
        read(path)


def test_components_on_two_grids_are_refused(tmp_path: Path):
    writer = NetcdfWriter(tmp_path / "v.nc").axes().mapping(POLAR_CF)
    writer.field("vx", ramp(), units="m/yr").axes(X - 100.0, names=("x1", "y1"))
    path = writer.field("vy", ramp(), ("y1", "x1"), units="m/yr").done()
    with pytest.raises(FieldFormatError, match="'vy' lies on another grid than 'vx'"):
        read(path)


def test_a_velocity_map_becomes_an_item(tmp_path: Path):
    path = write(tmp_path / "v.nc", ("vx", "vy")).done()

    (done,) = ingest("velocity", [str(path)], catalogue=str(tmp_path / "c"), collection="v")

    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("v")
    assert item.properties["nunatak:kind"] == "velocity"
    assert item.properties["nunatak:source_variable"] == "vx, vy"
    np.testing.assert_allclose(open_item(item)["v_x"], ramp())


@pytest.mark.realdata
def test_measures_is_known_by_its_title_and_so_is_its_grid(data_root: Path):
    """The mirror dropped the grid mapping that its variables name; the product has one grid."""
    made = read(data_root / "optical/velocity_thickness/ais/MEaSUREs_Antarctica_v2_14.4km.nc")

    speed = np.hypot(made["v_x"], made["v_y"])
    assert speed.shape == (421, 421)
    assert float(speed.max()) == pytest.approx(4052.0, abs=1.0)
    # 109536 of 177241 cells are 0 in both components, none in one alone.
    assert int(np.isnan(speed).sum()) == 109536
    told = made.attrs
    assert (told["product"], told["doi"]) == ("nsidc-0484-v2", "10.5067/D7GK8F5J8M8R")
    assert (told["velocity_frame"], told["year_definition"]) == ("unknown", "multi_year")
    assert told["sigma_kind"] == "none"
    assert (told["time_start"], told["time_end"]) == ("1995-01-01", "2017-01-01")


@pytest.mark.realdata
def test_a_single_component_of_itslive_is_refused(data_root: Path):
    path = data_root / "optical/velocity_thickness/pig_itslive/example_G0240_vx.tif"
    with pytest.raises(FieldFormatError, match=r"holds b1 \[no unit\]; expected .*'v_x'"):
        read(path)


@pytest.mark.realdata
def test_both_components_of_itslive_become_one_item(data_root: Path, tmp_path: Path):
    folder = data_root / "optical/velocity_thickness/pig_itslive"

    (done,) = ingest("velocity", [str(folder)], catalogue=str(tmp_path / "c"), collection="v")

    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("v")
    assert item.properties["nunatak:product"] == "its-live-v1"
    assert item.properties["nunatak:velocity_frame"] == "ground"
    made = open_item(item)
    speed = np.hypot(made["v_x"], made["v_y"]).to_numpy()
    assert speed.shape == (494, 401)
    assert np.nanmax(speed) == pytest.approx(5584.0, abs=1.0)
    assert int(np.isnan(speed).sum()) == 17626
