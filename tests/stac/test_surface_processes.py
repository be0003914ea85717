"""Modelled rates of the surface and of its mass, together in one file."""

from pathlib import Path

import numpy as np
import pytest

from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from stac.surface_processes import read_surface_processes
from tests.stac.field_files import POLAR_CF, NetcdfWriter, ramp, write_geotiff

HEIGHT, MASS = "surface_elevation_rate", "surface_mass_rate"


def read(path: Path):
    made = read_surface_processes(path.read_bytes(), name=path.name)
    return CONTRACTS["surface-processes"].check_values(made)


def writer(path: Path) -> NetcdfWriter:
    return NetcdfWriter(path).axes().mapping(POLAR_CF)


def test_both_rates_are_read_in_our_units(tmp_path: Path):
    file = writer(tmp_path / "s.nc").field("firn_dhdt", 100.0 * ramp(), units="cm/yr")
    made = read(file.field("smb_trend", ramp(), units="m w.e. yr-1").done())
    np.testing.assert_allclose(made[HEIGHT], ramp())
    np.testing.assert_allclose(made[MASS], 1000.0 * ramp())


def test_a_geotiff_names_both_in_its_bands(tmp_path: Path):
    units = ["m yr-1", "kg m-2 yr-1"]
    path = write_geotiff(tmp_path / "s.tif", ramp(2), units=units, descriptions=[HEIGHT, MASS])
    made = read(path)
    np.testing.assert_allclose(made[MASS], ramp(2)[1])


def test_a_file_with_one_of_them_is_refused(tmp_path: Path):
    path = writer(tmp_path / "s.nc").field(HEIGHT, ramp(), units="m/yr").done()
    with pytest.raises(FieldFormatError, match=f"expected one of them to be '{MASS}'"):
        read(path)


def test_mass_in_place_of_elevation_is_refused(tmp_path: Path):
    file = writer(tmp_path / "s.nc").field(HEIGHT, ramp(), units="kg m-2 yr-1")
    path = file.field(MASS, ramp(), units="kg m-2 yr-1").done()
    with pytest.raises(FieldFormatError, match="is in 'kg m-2 yr-1', expected 'm yr-1'"):
        read(path)


@pytest.mark.parametrize("names", [(HEIGHT, MASS), ("zs", "smb")])
def test_monthly_series_are_refused_saying_what_to_give(tmp_path: Path, names: tuple[str, str]):
    file = writer(tmp_path / "s.nc").labels("time", np.arange(3.0))
    for name, unit in zip(names, ("m/yr", "kg m-2 yr-1"), strict=True):
        file.field(name, ramp(3), ("time", "y", "x"), units=unit)
    with pytest.raises(FieldFormatError, match=r"series of 3 times.*over the (whole|run's) period"):
        read(file.done())


def test_members_are_refused(tmp_path: Path):
    file = writer(tmp_path / "s.nc").field(HEIGHT, ramp(2), ("model", "y", "x"), units="m/yr")
    path = file.field(MASS, ramp(), units="kg m-2 yr-1").done()
    with pytest.raises(FieldFormatError, match=r"dimensions \(model: 2\) besides y and x"):
        read(path)


def test_both_rates_become_an_item(tmp_path: Path):
    file = writer(tmp_path / "s.nc").field(HEIGHT, ramp(), units="m/yr")
    path = file.field(MASS, ramp(), units="kg m-2 yr-1").done()

    (done,) = ingest("surface-processes", [str(path)], catalogue=str(tmp_path), collection="s")

    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path)).search("s")
    assert item.properties["nunatak:kind"] == "surface-processes"
    np.testing.assert_allclose(open_item(item)[MASS], ramp())
