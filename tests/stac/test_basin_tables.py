"""Tables by basin go through with their broken times and areas, or are refused."""

from pathlib import Path

import numpy as np
import pytest

from stac.basin_tables import RIGNOT_KM2
from stac.contracts import CONTRACTS, open_item
from stac.field_units import FieldFormatError
from stac.ingest import ingest
from stac.model_months import decimal_months
from stac.surface_mass_balance import read_surface_mass_balance
from tests.stac import mass_balance_files as files


def read(path: Path):
    made = read_surface_mass_balance(path.read_bytes(), name=path.name)
    return CONTRACTS["surface-mass-balance-regions"].check_values(made)


def starts(dataset) -> list[str]:
    return dataset["time_start"].to_numpy().astype("datetime64[M]").astype(str).tolist()


def text_table(folder: Path, *lines: str, header: str = files.HEADER) -> Path:
    path = folder / "kittel_AIS_Zwally.dat"
    path.write_text(header + "".join(lines))
    return path


def test_the_release_without_times_has_its_published_months(tmp_path: Path):
    made = read(files.write_rignot_table(tmp_path / "anything.nc"))

    assert starts(made)[0] == "1979-01"
    assert starts(made)[-1] == "2021-12"
    assert made.attrs["region_set"] == "rignot"


def test_areas_labelled_square_kilometres_may_be_millions_of_them(tmp_path: Path):
    made = read(files.write_rignot_table(tmp_path / "a.nc"))

    np.testing.assert_allclose(made.region_area[:-1], 1e6 * files.RIGNOT_MILLION_KM2)
    assert made.attrs["note"] == "areas labelled km2 held 10^6 km2"
    right = read(files.write_rignot_table(tmp_path / "b.nc", areas=1e6 * files.RIGNOT_MILLION_KM2))
    np.testing.assert_allclose(right.region_area, made.region_area)
    assert right.attrs["note"] == ""


def test_basins_without_names_are_known_by_their_areas(tmp_path: Path):
    made = read(files.write_rignot_table(tmp_path / "a.nc"))

    assert made.region.values.tolist() == [*RIGNOT_KM2, "AIS"]
    np.testing.assert_allclose(
        made.surface_mass_balance[:, :-1].sum("region"), made.surface_mass_balance[:, -1]
    )


def test_basins_in_another_order_are_not_guessed(tmp_path: Path):
    path = files.write_rignot_table(tmp_path / "a.nc", areas=files.RIGNOT_MILLION_KM2[::-1])
    with pytest.raises(FieldFormatError, match=r"does not name its 20 regions.*basins\(basins\)"):
        read(path)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"months": 515}, "515 months without times"),
        ({"title": "SMB"}, "516 months without times"),
        ({"definition": "ours", "title": "SMB", "first_month": "1979-01"}, "names no set"),
        ({"areas": 1e12 * files.RIGNOT_MILLION_KM2}, "less than 2e\\+07"),
    ],
)
def test_tables_that_leave_something_open_are_refused(tmp_path: Path, choices, message: str):
    path = files.write_rignot_table(tmp_path / "a.nc", **choices)
    with pytest.raises(FieldFormatError, match=message):
        read(path)


def test_months_as_numbers_are_read(tmp_path: Path):
    made = read(files.write_rignot_table(tmp_path / "a.nc", months=2, title="SMB",
                                         times=np.array([200012.0, 200101.0])))  # fmt: skip

    assert starts(made) == ["2000-12", "2001-01"]


def test_text_gives_regions_in_order_and_ends_of_months(tmp_path: Path):
    made = read(text_table(tmp_path, *files.zwally_lines(files.ENDS)))

    assert made.region.values.tolist() == ["2", "11", "AIS"]
    assert starts(made)[0] == "2000-01"
    assert starts(made)[-1] == "2000-12"
    np.testing.assert_allclose(made.surface_mass_balance, [[3.0, 5.0, 9.0]] * 12)
    np.testing.assert_allclose(made.region_area, [1e5, 250000.5, 4e5])
    assert made.attrs["product"] == "kittel"
    assert made.attrs["note"] == "AIS has +12.0 Gt/yr beside the sum of its 2 regions"


def test_decimal_years_are_starts_or_ends_where_years_are_whole():
    ends = decimal_months(np.round(2000 + np.arange(1, 25) / 12, 2), what="a")
    begins = decimal_months(np.round(2000 + np.arange(24) / 12, 2), what="a")
    middles = decimal_months(np.round(2000 + (np.arange(24) + 0.5) / 12, 2), what="a")

    assert ends.tolist() == begins.tolist() == middles.tolist()
    with pytest.raises(FieldFormatError, match="may be starts or ends"):
        decimal_months(np.array([2000.25, 2000.33]), what="a")
    with pytest.raises(FieldFormatError, match="partly on boundaries"):
        decimal_months(np.array([2000.04, 2000.17]), what="a")


LINES = files.zwally_lines(files.ENDS)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:-1], "35 lines for 3 regions and 12 months"),
        ([*LINES, LINES[0]], "37 lines for 3 regions"),
        ([*LINES[:5], "cut,off\n"], "line 7 has not the 10 columns"),
        ([], "no line follows"),
        ([LINES[0].replace("Zwally", "Rignot"), *LINES[1:]], "rignot and zwally"),
        ([LINES[0].replace("9.0000", "nine"), *LINES[1:]], "expected numbers"),
        ([LINES[0].replace("400000", "400001"), *LINES[1:]], "one area for each region"),
    ],
)
def test_text_that_is_incomplete_is_refused(tmp_path: Path, lines, message: str):
    with pytest.raises(FieldFormatError, match=message):
        read(text_table(tmp_path, *lines))


def test_fields_and_tables_are_ingested_under_one_name(tmp_path: Path):
    files.write_racmo(tmp_path / "smb.nc")
    text_table(tmp_path, *LINES)
    (tmp_path / "era5.grib").write_bytes(b"GRIB....")

    done = list(ingest("surface-mass-balance", [str(tmp_path)],
                       catalogue=str(tmp_path / "c"), collection="smb"))  # fmt: skip

    assert sorted(each.state for each in done) == ["added", "added", "failed"]
    assert next(each.reason for each in done if each.state == "failed").endswith("NEW.nc FILE")
    from stac.catalogue import open_catalogue

    found = {
        i.properties["nunatak:kind"]: i for i in open_catalogue(str(tmp_path / "c")).search("smb")
    }
    assert sorted(found) == ["surface-mass-balance", "surface-mass-balance-regions"]
    for item in found.values():
        CONTRACTS[item.properties["nunatak:kind"]].check_values(open_item(item))
    west, south, east, north = found["surface-mass-balance"].bbox
    assert (west, south, east) == (-180.0, -90.0, 180.0)
    assert -87.0 < north < -86.0
    assert found["surface-mass-balance-regions"].properties["nunatak:months"] == 12


@pytest.mark.realdata
def test_the_real_tables_give_their_published_totals(data_root: Path):
    racmo = read(data_root / "smb" / "ERA5-3H_RACMO2.3p2_ANT27_IMBIE2.nc")
    mar = read(data_root / "smb" / "kittel_amory_agosta_AIS_Zwally.dat")

    def yearly(dataset) -> float:
        return float(12.0 * dataset.surface_mass_balance.sel(region="AIS").mean())

    assert yearly(racmo) == pytest.approx(2137.6, abs=0.05)
    assert yearly(mar) == pytest.approx(2235.6, abs=0.05)
    assert racmo.sizes == {"time": 516, "region": 20}
    assert float(racmo.region_area[-1]) == pytest.approx(12.298e6, rel=1e-4)
    assert mar.region.values.tolist() == [*map(str, range(1, 28)), "AIS"]
    assert "+122.8 Gt/yr" in mar.attrs["note"]


@pytest.mark.realdata
def test_months_that_no_file_states_go_with_those_of_the_other_model(data_root: Path):
    anomalies = []
    for name in ("ERA5-3H_RACMO2.3p2_ANT27_IMBIE2.nc", "kittel_amory_agosta_AIS_Zwally.dat"):
        made = read(data_root / "smb" / name)
        series = made.surface_mass_balance.sel(region="AIS").values.reshape(-1, 12)
        anomalies.append((series - series.mean(axis=0)).ravel())

    def agreement(lag: int) -> float:
        return float(np.corrcoef(anomalies[0][24:-24], np.roll(anomalies[1], lag)[24:-24])[0, 1])

    assert agreement(0) > 0.95
    assert max(agreement(lag) for lag in range(-24, 25) if lag) < 0.2


@pytest.mark.realdata
def test_areas_of_rignots_basins_are_those_of_the_boundaries(data_root: Path):
    from stac.boundaries import read_regions

    folder = data_root / "basins" / "measures_imbie_basins_v02"
    parts = {p.suffix: p.read_bytes() for p in folder.iterdir()
             if p.suffix in {".shp", ".shx", ".dbf", ".prj"}}  # fmt: skip
    table = read_regions(parts, name="Basins_IMBIE_Antarctica_v02.shp")

    area = dict(zip(table["region"], table["area_km2"], strict=True))
    assert {k: v for k, v in area.items() if k in RIGNOT_KM2} == pytest.approx(RIGNOT_KM2, rel=1e-4)
    assert set(RIGNOT_KM2) == set(area)
