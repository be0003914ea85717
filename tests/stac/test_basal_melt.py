"""Basal melt becomes a rate of mass, positive where ice melts."""

from pathlib import Path

import numpy as np
import pytest

from stac.basal_melt import read_basal_melt
from stac.catalogue import open_catalogue
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from tests.stac.field_files import POLAR_CF, NetcdfWriter, X, Y, ramp, write_geotiff

MELT = np.linspace(-2.0, 20.0, ramp().size).reshape(ramp().shape)


def read(path: Path):
    return CONTRACTS["basal-melt"].check_values(read_basal_melt(path.read_bytes(), name=path.name))


def write(path: Path, values: np.ndarray, unit: str | None, name: str = "basal_melt_rate", **more):
    writer = NetcdfWriter(path).axes().mapping(POLAR_CF)
    return writer.field(name, values, units=unit, **more).done()


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        ("kg m-2 yr-1", 1.0),
        ("kg m-2 s-1", 1.0 / 31557600.0),
        ("m yr-1", 1.0 / 917.0),
        ("m/a", 1.0 / 917.0),
        ("mm yr-1", 1000.0 / 917.0),
        ("mm/day", 1000.0 / 917.0 / 365.25),
        ("mm w.e. yr-1", 1.0),
        ("m w.e. a-1", 1e-3),
    ],
)
def test_heights_are_of_ice_and_water_equivalents_of_water(tmp_path: Path, unit: str, size: float):
    made = read(write(tmp_path / "m.nc", MELT * size, unit))
    np.testing.assert_allclose(made["basal_melt_rate"], MELT)
    assert made.attrs["source_unit"] == unit


def test_a_mass_balance_at_the_base_changes_its_sign(tmp_path: Path):
    """CF and ISMIP6 count what the ice gains: melting is negative there."""
    by_name = write(tmp_path / "a.nc", -MELT, "kg m-2 yr-1", "libmassbfgr")
    by_standard_name = write(tmp_path / "b.nc", -MELT, "kg m-2 yr-1", "lower",
                             standard_name="land_ice_basal_specific_mass_balance_flux")  # fmt: skip
    for path in (by_name, by_standard_name):
        np.testing.assert_allclose(read(path)["basal_melt_rate"], MELT)


def test_refreezing_and_missing_cells_are_kept(tmp_path: Path):
    values = np.where(MELT > 19.0, -9999.0, MELT)
    made = read(write(tmp_path / "m.nc", values, "kg m-2 yr-1", fill=-9999.0))
    np.testing.assert_array_equal(np.isnan(made["basal_melt_rate"]), MELT > 19.0)
    assert float(made["basal_melt_rate"].min()) == -2.0


def test_a_geotiff_has_its_unit_on_the_band(tmp_path: Path):
    made = read(write_geotiff(tmp_path / "m.tif", MELT[None], units=["mm yr-1"]))
    np.testing.assert_allclose(made["basal_melt_rate"], MELT * 0.917)
    np.testing.assert_allclose(made["x"], X)
    np.testing.assert_allclose(made["y"], Y)


@pytest.mark.parametrize(
    ("values", "unit", "message"),
    [
        (-np.abs(MELT), "kg m-2 yr-1", "negative wherever .*change its sign, or call it 'libmass"),
        (MELT, None, "does not say its unit"),
        (MELT, "degC", "is in 'degC', expected"),
        (MELT, "m2 yr-1", "is in 'm2 yr-1', expected"),
    ],
)
def test_what_is_no_melting_is_refused(tmp_path: Path, values: np.ndarray, unit: str, message: str):
    with pytest.raises(FieldFormatError, match=message):
        read(write(tmp_path / "m.nc", values, unit))


def test_no_melting_anywhere_is_an_answer(tmp_path: Path):
    made = read(write(tmp_path / "m.nc", np.zeros_like(MELT), "m yr-1"))
    assert (made["basal_melt_rate"] == 0.0).all()


def test_a_map_of_melting_becomes_an_item(tmp_path: Path):
    path = write(tmp_path / "m.nc", MELT, "kg m-2 yr-1")
    (done,) = ingest("basal-melt", [str(path)], catalogue=str(tmp_path / "c"), collection="b")
    assert done.state == "added", done.reason
    (item,) = open_catalogue(str(tmp_path / "c")).search("b")
    np.testing.assert_allclose(open_item(item)["basal_melt_rate"], MELT)
