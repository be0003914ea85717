"""Files of IMBIE: what is written is read back by another reader, and what is wrong is found."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import imbie, imbie_check
from pipelines.imbie_names import DIALECTS, ImbieError

RATES = [
    imbie.Rate("22", 213744.0, 200000.0, 2013.5, 2017.5, -46.0, 18.0),
    imbie.Rate("22", 213744.0, 213744.0, 2017.5, 2020.5, -53.0, 18.0),
    imbie.Rate("AP", 228732.0, 228732.0, 2017.5, 2020.5, -24.0, 26.0),
]
MASSES = [
    imbie.Mass("AIS", 12169469.0, 12000000.0, 2013.5, 0.0, 10.0),
    imbie.Mass("AIS", 12169469.0, 12000000.0, 2014.5, -75.0, 101.0),
]
YANG = {"contributor": "Yang", "region_set": "zwally2012"}


def rows_of(data):
    """Read with the standard library only: dictionaries by header."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8")), strict=True))


def swapped(old, new, *, dialect="imbie-3"):
    """Return the faults of a good file in which one thing was changed."""
    data = imbie.dmdt(RATES, dialect=dialect, **YANG).decode()
    assert old in data
    return imbie.check(data.replace(old, new).encode(), dialect)


@pytest.mark.parametrize(
    ("dialect", "rates", "masses"),
    [("imbie-3", 10, 9), ("imbie-2023", 11, 10), ("imbie-2024", 11, 10)],
)
def test_each_dialect_has_its_number_of_columns_and_passes(dialect, rates, masses):
    for data, size in (
        (imbie.dmdt(RATES, dialect=dialect, **YANG), rates),
        (imbie.dm(MASSES, dialect=dialect, **YANG), masses),
    ):
        lines = list(csv.reader(io.StringIO(data.decode())))
        assert {len(line) for line in lines} == {size}
        assert imbie.check(data, dialect) == []
        assert imbie_check.guess_dialect(lines[0]).startswith(dialect[:7])


def test_the_peninsula_has_the_name_that_imbie_gives_it():
    rows = rows_of(imbie.dmdt(RATES, dialect="imbie-3", **YANG))
    assert [row["Drainage Region ID"] for row in rows] == ["22", "22", "APIS"]
    assert {row["Drainage Region Set (Rignot/Zwally)"] for row in rows} == {"Zwally"}


years = st.floats(1990.0, 2030.0).map(lambda value: round(value, 2))
rates = st.builds(
    imbie.Rate,
    region=st.sampled_from(["1", "27", "EAIS", "AIS"]),
    area_km2=st.floats(1e5, 1e6),
    area_observed_km2=st.floats(0.0, 1e5),
    start=years,
    end=years.map(lambda value: value + 50.0),
    dmdt=st.floats(-500.0, 500.0),
    sigma=st.floats(0.0, 500.0),
)


@given(rates, st.sampled_from(DIALECTS))
def test_a_rate_comes_back_to_the_digits_written(rate, dialect):
    (row,) = rows_of(imbie.dmdt([rate], dialect=dialect, **YANG))
    cells = list(row.values())[-6:]
    expected = [rate.area_km2, rate.area_observed_km2, rate.start, rate.end, rate.dmdt, rate.sigma]
    for cell, number, digits in zip(cells, expected, [2, 2, 4, 4, 4, 4], strict=True):
        assert float(cell) == pytest.approx(number, abs=0.51 * 10.0**-digits)


def test_what_was_not_measured_is_left_out():
    missing = imbie.Rate("1", 479840.0, 0.0, 2000.5, 2001.5, math.nan, math.nan)
    data = imbie.dmdt([missing, *RATES], dialect="imbie-3", **YANG)
    assert data == imbie.dmdt(RATES, dialect="imbie-3", **YANG)


def test_the_further_column_is_the_callers_to_choose():
    extra = imbie.ExtraColumn("Version", "2", 7)
    data = imbie.dm(MASSES, dialect="imbie-2024", extra=extra, **YANG)
    assert rows_of(data)[0]["Version"] == "2"
    assert imbie.check(data, "imbie-2024") == []


@pytest.mark.parametrize(
    ("old", "new", "column", "expected"),
    [
        ("Zwally,22", "Zwally,28", "region", "1 to 27"),
        ("Zwally,APIS", "Zwally,AP", "region", "APIS"),
        ("Zwally,22", "Yang,22", "region set", "Rignot or Zwally"),
        ("2013.5000,2017.5000", "2017.5000,2013.5000", "dates", "an end after the start"),
        ("2013.5000,2017.5000", "2013.5000,2018.5000", "date", "do not overlap"),
        ("2013.5000", "20130701", "date", "decimal years"),
        ("-53.0000,18.0000", "-53.0000,-18.0000", "uncertainty", "0 or more"),
        ("200000.00", "213745.00", "area observed", "0 to 213744"),
        ("213744.00,200000.00", "213744000000,200000000000", "area", "km²"),
        ("-46.0000", "-46000000000000", "mass", "other units"),
        ("-46.0000", "", "number", "a number"),
        ("-46.0000", "nan", "number", "finite"),
        ("Mass Budget", "Budget", "group", "Mass Budget"),
        ("Drainage Region ID", "Basin", "header", "drainage region id"),
        (",18.0000\n", "\n", "row", "10"),
        ("Participant Surname,", "", "header", "10"),
    ],
)
def test_each_fault_is_found_and_says_what_was_expected(old, new, column, expected):
    faults = swapped(old, new)
    assert faults
    assert any(each.column == column and expected in each.expected for each in faults), faults


def test_an_imbie_3_file_is_one_column_short_in_2024_and_the_other_way_round():
    old, new = (imbie.dmdt(RATES, dialect=d, **YANG) for d in ("imbie-3", "imbie-2024"))
    assert "10 columns" in str(imbie.check(old, "imbie-2024")[0])
    assert "11 columns" in str(imbie.check(new, "imbie-3")[0])


def test_spaces_and_comments_pass_only_in_the_older_dialect():
    old = imbie.dmdt(RATES, dialect="imbie-3", **YANG).decode()
    assert imbie.check(("#" + old).replace(",", ", ").encode(), "imbie-3") == []
    assert swapped(",22,", ", 22,", dialect="imbie-2024")


def test_bytes_that_are_no_text_and_files_without_rows_are_faults():
    assert imbie.check(b"\xff\xfe\x00", "imbie-3")[0].column == "file"
    assert imbie.check(b"", "imbie-3")[0].expected == "a header and a row or more"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dialect": "imbie-1"}, "imbie-1"),
        ({"region_set": "basins"}, "Zwally and Rignot"),
        ({"contributor": "Yang, T."}, "surname without commas"),
    ],
)
def test_what_cannot_be_written_is_refused(change, said):
    with pytest.raises(ImbieError, match=said):
        imbie.dmdt(RATES, **{"dialect": "imbie-3", **YANG, **change})


def test_sectors_and_faulty_records_are_refused():
    sector = imbie.Rate("Amundsen", 6e5, 6e5, 2000.5, 2001.5, -155.0, 41.0)
    with pytest.raises(ImbieError, match="Amundsen"):
        imbie.dmdt([sector], dialect="imbie-3", **YANG)
    with pytest.raises(ImbieError, match="area observed"):
        imbie.dm([imbie.Mass("1", 1.0, 2.0, 2000.0, 0.0, 0.0)], dialect="imbie-3", **YANG)


@pytest.mark.realdata
def test_the_real_file_of_mar_is_told_from_a_clean_one(data_root):
    data = (data_root / "smb" / "kittel_amory_agosta_AIS_Zwally.dat").read_bytes()
    header = next(csv.reader(io.StringIO(data.decode())))
    assert imbie_check.is_imbie(header)
    assert imbie_check.guess_dialect(header[:9]) == "imbie-3"
    # Five components of snowfall follow the nine columns; without them only its group is not one.
    assert "14 columns" in str(imbie.check(data, "imbie-3")[0])
    nine = "\n".join(",".join(line.split(",")[:9]) for line in data.decode().splitlines())
    assert {each.column for each in imbie.check(nine.encode(), "imbie-3")} == {"group"}
