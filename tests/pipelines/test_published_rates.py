"""Rates that others printed: real tables, files of IMBIE as we write them, and bad files."""

import csv
import datetime as dt
import io
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import imbie, imbie_check, published_rates, tables
from pipelines.imbie_names import DIALECTS, Dialect
from pipelines.published_masses import Masses
from pipelines.published_rates import PublishedRateError, Series, read
from tests.fixtures.published import published

SASGEN = (dt.date(2011, 2, 1), dt.date(2017, 6, 30))
RATES = [
    imbie.Rate("22", 213744.0, 200000.0, 2013.5, 2017.5, -46.0, 18.0),
    imbie.Rate("22", 213744.0, 213744.0, 2017.5, 2020.5, -53.25, 17.0),
    imbie.Rate("AP", 228732.0, 228732.0, 2017.5, 2020.5, -24.0, 26.0),
]
MASSES = [
    imbie.Mass("AIS", 12169469.0, 12000000.0, 2013.5, 0.0, 0.0),
    imbie.Mass("AIS", 12169469.0, 12000000.0, 2014.5, -75.0, 30.0),
    imbie.Mass("AIS", 12169469.0, 12000000.0, 2016.5, -275.0, 50.0),
]


def dmdt(rates: Sequence[imbie.Rate], dialect: Dialect = "imbie-3") -> bytes:
    return imbie.dmdt(rates, dialect=dialect, contributor="Yang", region_set="zwally2012")


def dm(masses: Sequence[imbie.Mass], dialect: Dialect = "imbie-3") -> bytes:
    return imbie.dm(masses, dialect=dialect, contributor="Yang", region_set="zwally2012")


def cells(name: str) -> dict[str, dict[str, str]]:
    """Return a printed table by region and column, read with the standard library alone."""
    with published(name).open(encoding="utf-8") as file:
        return {row["basin"]: row for row in csv.DictReader(file)}


def by_region(series: Series) -> dict[str, list[published_rates.Interval]]:
    found: dict[str, list[published_rates.Interval]] = {}
    for each in series.intervals:
        found.setdefault(each.region, []).append(each)
    return found


def test_the_table_of_sasgen_is_three_methods_of_one_period() -> None:
    table = cells("sasgen2019_table1.csv")
    data = published("sasgen2019_table1.csv").read_bytes()

    found = read(data, name="sasgen2019", period=SASGEN)

    assert [(each.name, each.kind) for each in found] == [
        ("sasgen2019-combined", "combination"),
        ("sasgen2019-cryosat2", "altimetry"),
        ("sasgen2019-grace", "gravimetry"),
    ]
    for series in found:
        method = series.name.removeprefix("sasgen2019-")
        held = by_region(series)
        assert set(held) == (set(table) - {"total"}) | {"AIS"}
        for region, (each,) in held.items():
            row = table["total" if region == "AIS" else region]
            assert each.value == float(row[f"mass_rate_{method}"])
            assert each.sigma == float(row[f"sigma_{method}"])
            assert (each.first, each.after) == (dt.date(2011, 2, 1), dt.date(2017, 7, 1))


def test_the_table_of_yang_is_one_method_by_ice_years_without_the_means_over_them() -> None:
    table = cells("yang2023_table3.csv")
    data = published("yang2023_table3.csv").read_bytes()

    (series,) = read(data, name="yang2023")

    assert (series.name, series.kind) == ("yang2023", "mass_budget")
    ends = {
        "2000": (2000, 2001), "2007-2011": (2007, 2011), "2013-2017": (2013, 2017),
        "2017-2020": (2017, 2020),
    }  # fmt: skip
    held = {(each.region, each.first.year): each for each in series.intervals}
    assert len(held) == len(table) * len(ends) == len(series.intervals)
    for region, row in table.items():
        for label, (first, after) in ends.items():
            each = held[region, first]
            assert each.value == float(row[f"MB_{label}"])
            assert each.sigma == float(row[f"MB_sigma_{label}"])
            assert (each.first, each.after) == (dt.date(first, 7, 1), dt.date(after, 7, 1))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("yang2023_table2", "found no rate of mass; expected a file of IMBIE, columns such as"),
        ("yang2023_table4_and_text", "found no rate of mass"),
        ("tang2026_tables", "found the columns table, row, metric, value; expected one of basin"),
        ("tang2026_tables6_7_consistency", "found the columns ice_shelf"),
    ],
)
def test_printed_tables_without_rates_of_mass_are_refused(name: str, match: str) -> None:
    with pytest.raises(PublishedRateError, match=rf"^{name}: {match}"):
        read(published(f"{name}.csv").read_bytes(), name=name)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rates_of_every_dialect_come_back(dialect: Dialect) -> None:
    (series,) = read(dmdt(RATES, dialect), name="budget")

    assert (series.name, series.kind) == ("budget", "mass_budget")
    # 2013.5 is noon of 2 July 2013, half way through 365 days; 2020.5 of a leap year likewise.
    assert [(i.region, i.first, i.after, i.value, i.sigma) for i in series.intervals] == [
        ("22", dt.date(2013, 7, 3), dt.date(2017, 7, 3), -46.0, 18.0),
        ("22", dt.date(2017, 7, 3), dt.date(2020, 7, 2), -53.25, 17.0),
        ("AP", dt.date(2017, 7, 3), dt.date(2020, 7, 2), -24.0, 26.0),
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_masses_of_every_dialect_give_the_rates_between_their_dates(dialect: Dialect) -> None:
    data = dm(MASSES, dialect)

    (series,) = read(data, name="budget")

    one, other = series.intervals
    assert (one.region, one.value, one.sigma) == ("AIS", -75.0, 30.0)
    # −200 Gt in two years; an error of two years lies half way between that of one and of three.
    assert other.value == -100.0
    assert other.sigma == pytest.approx(40.0 / 2.0)
    assert one.after == other.first
    assert series.masses == (Masses("AIS", (2013.5, 2014.5, 2016.5), (0.0, 30.0, 50.0)),)
    assert dict(series.areas) == {"AIS": 12169469.0}


def test_intervals_between_masses_of_no_error_have_none_that_is_known() -> None:
    bare = [imbie.Mass("1", 62e3, 62e3, 2010.0 + n, 3.0 * n, 0.0) for n in range(3)]
    noisy = [imbie.Mass("1", 62e3, 62e3, 2010.0 + n, 3.0 * n, 4.0) for n in range(3)]

    (none,), (some,) = read(dm(bare), name="bare"), read(dm(noisy), name="noisy")

    assert all(math.isnan(each.sigma) for each in none.intervals)
    assert [each.sigma for each in some.intervals] == pytest.approx([4.0 * 2.0**0.5] * 2)


@given(
    starts=st.lists(st.integers(1990, 2030), min_size=1, max_size=6, unique=True),
    scale=st.floats(-99.0, 99.0),
    sigma=st.floats(0.0, 99.0),
    dialect=st.sampled_from(DIALECTS),
)
def test_what_our_writer_says_is_read_to_its_four_decimals(
    starts: list[int], scale: float, sigma: float, dialect: Dialect
) -> None:
    rates = [
        imbie.Rate("AIS", 12e6, 12e6, float(year), year + 1.0, scale * (n + 1), sigma)
        for n, year in enumerate(sorted(starts))
    ]

    (series,) = read(dmdt(rates, dialect), name="budget")

    assert [each.first for each in series.intervals] == [dt.date(y, 1, 1) for y in sorted(starts)]
    for given_, each in zip(rates, series.intervals, strict=True):
        assert each.value == pytest.approx(given_.dmdt, abs=5.1e-5)
        assert each.sigma == pytest.approx(sigma, abs=5.1e-5)


def test_names_of_imbie_s_validator_and_comments_are_read() -> None:
    text = (
        "contributor,experiment_group,basin_group,basin_id,area_basin,area_observed,"
        "date_0,date_1,dmdt,dmdt_sd\n"
        "# a remark of the contributor\n"
        "Groh,GMB,zwally,apis,228732,228732,2011.0,2012.0,-20.5,3.5\n\n"
    )

    (series,) = read(b"\xef\xbb\xbf" + text.encode(), name="groh")

    (each,) = series.intervals
    assert (series.kind, each.region, each.value, each.sigma) == ("gravimetry", "AP", -20.5, 3.5)
    assert (each.first, each.after) == (dt.date(2011, 1, 1), dt.date(2012, 1, 1))


def test_contributors_groups_and_sets_of_one_file_are_series_of_their_own() -> None:
    written = [
        imbie.dmdt(RATES[:1], dialect="imbie-2024", contributor=who, region_set=of, group=group)
        for who, group, of in (
            ("Groh", "Gravimetry", "zwally"), ("Groh", "Altimetry", "zwally"),
            ("Le Roy", "Radar Altimetry", "zwally"),
        )
    ]  # fmt: skip
    lines = [data.decode().splitlines() for data in written]
    greenland = lines[0][1].replace(",AIS,", ",GRIS,").replace("Groh", "Kappelsberger")
    text = "\n".join([lines[0][0], *(each[1] for each in lines), greenland]) + "\n"

    found = read(text.encode(), name="imbie")

    assert [(each.name, each.kind) for each in found] == [
        ("imbie-Groh-Gravimetry-Zwally", "gravimetry"),
        ("imbie-Groh-Altimetry-Zwally", "altimetry"),
        ("imbie-Le_Roy-Radar_Altimetry-Zwally", "altimetry"),
    ]
    assert {rate.region for each in found for rate in each.intervals} == {"22"}


def test_both_region_sets_of_a_file_do_not_meet_in_one_total() -> None:
    zwally = dmdt([imbie.Rate("AIS", 12e6, 12e6, 2011.0, 2012.0, -80.0, 9.0)]).decode()
    rignot = zwally.splitlines()[1].replace("Zwally", "Rignot").replace("-80.0", "-90.0")

    found = read(f"{zwally}{rignot}\n".encode(), name="both")

    assert [(each.name, each.intervals[0].value) for each in found] == [
        ("both-Yang-Mass_Budget-Zwally", -80.0),
        ("both-Yang-Mass_Budget-Rignot", -90.0),
    ]


RESULT = (
    "Year,Mass balance (Gt/yr),Mass balance uncertainty (Gt/yr),Cumulative mass balance (Gt)\n"
    "1992.0,-20.5,36,-5\n1992.25,-30,35,-12.5\n\n1992.75,-40,34,-30\n"
)


@pytest.mark.parametrize(
    ("file", "series", "region"),
    [
        ("imbie_antarctica_2021_Gt", "imbie_2021_Gt", "AIS"),
        ("imbie_west_antarctica_2021_Gt", "imbie_2021_Gt", "WAIS"),
        ("imbie_east_antarctica_2021_Gt", "imbie_2021_Gt", "EAIS"),
        ("imbie_antarctic_peninsula_2021_Gt", "imbie_2021_Gt", "AP"),
    ],
)
def test_results_of_imbie_are_rates_until_the_next_date(
    file: str, series: str, region: str
) -> None:
    (found,) = read(RESULT.encode(), name=file)

    assert (found.name, found.kind) == (series, published_rates.UNKNOWN)
    ends = [dt.date(1992, 1, 1), dt.date(1992, 4, 2), dt.date(1992, 10, 2), dt.date(1993, 4, 2)]
    assert [(i.region, i.first, i.value, i.sigma) for i in found.intervals] == [
        (region, ends[0], -20.5, 36.0), (region, ends[1], -30.0, 35.0),
        (region, ends[2], -40.0, 34.0),
    ]  # fmt: skip
    # The last lasts as long as the one before it.
    assert [each.after for each in found.intervals] == ends[1:]


def test_a_gap_of_a_result_stays_a_gap() -> None:
    """Months as IMBIE dates them, March to May 1992 missing: February's rate ends with it."""
    first, *_, last = header = RESULT.splitlines()[0].split(",")
    assert (first, len(header), last[-4:]) == ("Year", 4, "(Gt)")
    dates = [1992.0, 1992.083, 1992.417, 1992.5, 1992.583]
    text = "\n".join([",".join(header), *(f"{date},-10,5,0" for date in dates)])

    (found,) = read(text.encode(), name="imbie_antarctica_2021_Gt")

    ends = [each.after for each in found.intervals]
    starts = [each.first for each in found.intervals]
    assert ends[0] == starts[1] == dt.date(1992, 1, 31)
    assert (ends[1], starts[2]) == (dt.date(1992, 3, 2), dt.date(1992, 6, 2))
    assert ends[2:-1] == starts[3:]
    assert ends[-1] == dt.date(1992, 9, 1)


def test_a_single_year_of_a_paper_is_the_ice_year_that_begins_in_it() -> None:
    (series,) = read(b"basin,MB_2008,MB_2009-2010\n1,2,3\n", name="table")

    assert [(each.first, each.after) for each in series.intervals] == [
        (dt.date(2008, 7, 1), dt.date(2009, 7, 1)),
        (dt.date(2009, 7, 1), dt.date(2010, 7, 1)),
    ]


def test_areas_of_a_file_of_imbie_are_kept_by_set_and_region() -> None:
    zwally = dmdt(RATES, "imbie-2024").decode()
    rignot = zwally.splitlines()[1].replace("Zwally", "Rignot").replace("213744.00", "99000.00")
    assert rignot.count("99000.00") == 1
    none = zwally.splitlines()[1].replace("Zwally,22", "Zwally,5").replace("213744.00", "0.00")

    one, other = read(f"{zwally}{rignot}\n{none}\n".encode(), name="both")

    assert dict(one.areas) == {"22": 213744.0, "AP": 228732.0}
    assert dict(other.areas) == {"22": 99000.0}
    assert published_rates.merged([one])[0].areas == one.areas


def test_files_of_several_regions_become_one_series_and_a_file_named_twice_is_refused() -> None:
    west, all_of_it = (read(RESULT.encode(), name=f"imbie_{place}antarctica_2021")
                       for place in ("west_", ""))  # fmt: skip

    (found,) = published_rates.merged([*west, *all_of_it])

    assert [each.region for each in found.intervals] == ["WAIS"] * 3 + ["AIS"] * 3
    with pytest.raises(PublishedRateError, match="region WAIS has a rate of 1992-01-01"):
        published_rates.merged([*west, *west])


def test_errors_of_masses_stay_with_the_regions_of_several_files() -> None:
    west = [imbie.Mass("WAIS", 2e6, 2e6, each.date, each.dm, 2.0 * each.sigma) for each in MASSES]

    (found,) = published_rates.merged([*read(dm(MASSES), name="t"), *read(dm(west), name="t")])

    assert [each.region for each in found.masses] == ["AIS", "WAIS"]


def row(region: str, first: str, last: str, value: float, **more: str) -> tables.Row:
    return tables.Row(
        more.get("product", "gravimetry"), more.get("quantity", "mass_rate"), "zwally2012", region,
        dt.date.fromisoformat(first), dt.date.fromisoformat(last), value, 2.0, "Gt yr-1",
        more.get("note", ""),
    )  # fmt: skip


def test_our_own_tables_are_read_method_by_method() -> None:
    one = [
        row("AP", "2011-02-01", "2013-01-31", -20.0),
        row("AP", "2011-02-01", "2013-01-31", -99.0, quantity="mass_rate_buffered"),
    ]
    both = [
        row("AP", "2011-02-01", "2013-01-31", -20.0, product="comparison", quantity="mass_balance",
            note="method=ours;class=gravimetry;signal=all"),
        row("AP", "2011-02-01", "2013-01-31", -30.0, product="comparison", quantity="mass_balance",
            note="method=theirs;class=a new one"),
    ]  # fmt: skip

    (series,) = read(tables.write_rows(one), name="csr")
    found = read(tables.write_rows(both), name="ours")

    assert (series.name, series.kind, len(series.intervals)) == ("csr", "gravimetry", 1)
    assert series.intervals[0].after == dt.date(2013, 2, 1)
    assert [(each.name, each.kind, each.intervals[0].value) for each in found] == [
        ("ours-ours", "gravimetry", -20.0),
        ("ours-theirs", published_rates.UNKNOWN, -30.0),
    ]


def test_an_unknown_method_is_of_no_class() -> None:
    data = b"basin,mass_rate_seismology\n1,2.5\nTotal,3\n"

    (series,) = read(data, name="new", period=SASGEN)

    assert (series.name, series.kind) == ("new-seismology", published_rates.UNKNOWN)
    assert [each.region for each in series.intervals] == ["1", "AIS"]
    assert all(math.isnan(each.sigma) for each in series.intervals)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_may_end_as_anyone_s_editor_ends_them(end: str) -> None:
    lines = ("basin,mass_rate_grace,mass_rate_new,sigma_new,sigma_grace", "7,1,2,3,4", "")

    found = read(end.join(lines).encode(), name="t", period=SASGEN)

    assert [(each.name, each.intervals[0].value, each.intervals[0].sigma) for each in found] == [
        ("t-grace", 1.0, 4.0),
        ("t-new", 2.0, 3.0),
    ]


def test_what_was_not_measured_is_no_rate() -> None:
    rows = [
        row("1", "2011-01-01", "2011-12-31", float("nan")),
        row("1", "2012-01-01", "2012-12-31", 3.0),
    ]

    (series,) = read(tables.write_rows(rows), name="gaps")

    assert [(each.first.year, each.value) for each in series.intervals] == [(2012, 3.0)]
    with pytest.raises(PublishedRateError, match="found no rate of mass"):
        read(tables.write_rows(rows[:1]), name="gaps")


def changed(old: str, new: str) -> bytes:
    text = dmdt(RATES).decode()
    assert old in text
    return text.replace(old, new).encode()


BAD = {
    "not text": (b"\xff\xfe\x00", "is not CSV in UTF-8"),
    "nothing": (b"", "has 0 lines; expected a header and a row or more"),
    "a header alone": (b"basin,MB_2011-2012\n", "has 1 lines"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "is not CSV in UTF-8"),
    "no number": (b"basin,MB_2011-2012\n1,much\n", "line 2, mb_2011-2012: found 'much'"),
    "a formula": (b"basin,MB_2011-2012\n1,=2+3\n", "found '=2\\+3', expected a number"),
    "short lines": (b"basin,MB_2011-2012\n1\n", "line 2 has 1 cells, expected 2"),
    "a region twice": (b"basin,MB_2011-2012\n1,2\nB1,3\n", "comes a second time"),
    "a sigma alone": (b"basin,MB_sigma_2011-2012\n1,2\n", "uncertainties of MB 2011-2012 and no"),
    "years backwards": (b"basin,MB_2012-2011\n1,2\n", "to 2011-07-01, expected an end"),
    "years that none are": (b"basin,MB_0000-9999\n1,2\n", "found no rate of mass"),
    "other columns of ours": (
        ",".join(tables.COLUMNS).encode() + b"\na,mass_rate,c,d,e,f,g,h,i,j\n",
        "line 2: Invalid isoformat",
    ),
    "overlaps of ours": (
        tables.write_rows([row("1", "2011-01-01", "2011-12-31", 1.0),
                           row("1", "2011-12-31", "2012-12-31", 1.0)]),
        "region 1 has a rate of 2011-12-31 to 2013-01-01 after one that ends at 2012-01-01",
    ),
    "a sigma below 0": (b"basin,MB_2011-2012,MB_sigma_2011-2012\n1,2,-3\n", "an uncertainty of -3"),
    "result: words": (RESULT.replace("-30,", "much,").encode(), "a line is not of numbers"),
    "result: short": (RESULT.replace("-30,35,-12.5", "-30").encode(), "a line is not of numbers"),
    "result: one date": ("\n".join(RESULT.split("\n")[:2]).encode(), "found the dates"),
    "result: no date": (RESULT.replace("1992.0,", "nan,").encode(), "two decimal years at least"),
    "result: a far date": (RESULT.replace("1992.0,", "1e9,").encode(), "two decimal years"),
    "imbie: words": (changed("-46.0000", "minus"), "line 2, number: found 'minus'"),
    "imbie: no number": (changed("-46.0000", "nan"), "expected a finite number"),
    "imbie: backwards": (changed("2013.5000", "2018.5000"), "dates: found 2018.5 to 2017.5"),
    "imbie: overlaps": (changed("2017.5000,2020", "2017.2000,2020"), "date: found 2017.2 after"),
    "imbie: year 0": (changed("2013.5000", "0.5000"), "date: found 0.5, expected decimal years"),
    "imbie: a far year": (changed("2020.5000,-53", "1e300,-53"), "date: found 1e\\+300"),
    "imbie: sigma": (changed(",18.0000", ",-18.0000"), "uncertainty: found -18"),
    "imbie: a short line": (changed(",-46.0000", ""), "row: found 9 columns, expected 10"),
    "imbie: a comma too many": (changed("-46.0000", "-46,0000"), "row: found 11 columns"),
    "imbie: many columns": (
        dmdt(RATES).replace(b"\n", b",a,b\n"),
        "header: found 12 columns, expected 11",
    ),
    "imbie: few columns": (
        "\n".join(",".join(line.split(",")[:7]) for line in
                  dm(MASSES).decode().splitlines()).encode(),
        "header: found 7 columns, expected 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_refused_with_their_name_and_what_is_wrong(what: str) -> None:
    data, match = BAD[what]

    with pytest.raises(PublishedRateError, match=match) as refused:
        read(data, name="file")

    assert str(refused.value).startswith("file")


def test_a_table_without_dates_says_how_to_give_them() -> None:
    with pytest.raises(PublishedRateError, match=r"published_periods: \[\{name: t, first: YYYY"):
        read(b"basin,mass_rate_grace\n1,2\n", name="t")


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    try:
        found = read(data, name="any", period=SASGEN)
    except PublishedRateError:
        return
    assert all(each.intervals for each in found)


@given(data=st.data())
def test_no_cell_of_a_file_of_imbie_does_more_than_be_refused(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(DIALECTS))
    lines = [line.split(",") for line in
             dmdt(RATES, dialect).decode().splitlines()]  # fmt: skip
    i = data.draw(st.integers(0, len(lines) - 1))
    j = data.draw(st.integers(0, len(lines[i]) - 1))
    lines[i][j] = data.draw(st.sampled_from(
        ["", "#", "=1+1", "1e999", "-1", "AIS", "GRIS", "2017.5", "٣", '"', "\x00", "a\nb", "End"]
    ))  # fmt: skip
    text = io.StringIO()
    csv.writer(text).writerows(lines)

    try:
        found = read(text.getvalue().encode(), name="any")
    except PublishedRateError:
        return
    assert all(math.isfinite(each.value) for series in found for each in series.intervals)
    assert all(each.first < each.after for series in found for each in series.intervals)


def test_formulas_in_words_stay_words() -> None:
    """A name may look like a formula; it is only ever the end of a name, never a cell's start."""
    data = imbie.dmdt(RATES[:1], dialect="imbie-3", contributor="=cmd|' /C calc'!A0",
                      region_set="zwally")  # fmt: skip
    lines = data.decode().splitlines()
    two = "\n".join([*lines, lines[1].replace("=cmd", "@SUM")]).encode()

    (one,), both = read(data, name="file"), read(two, name="file")

    assert one.name == "file"
    assert all(each.name.startswith("file-") for each in both)
    assert imbie_check.columns(lines[0].split(",")) == ("rate", None)


@pytest.mark.parametrize(
    ("column", "cell", "km2"), [("area_1e4km2", "31.8", 318_000.0), ("area_km2", "213744", 213_744)]
)
def test_printed_areas_tell_which_ice_is_meant(column: str, cell: str, km2: float) -> None:
    table = f"basin,{column},mass_rate_grace,sigma_grace\n22,{cell},-1.3,1.6\n".encode()
    (found,) = read(table, name="table", period=SASGEN)
    assert dict(found.areas) == pytest.approx({"22": km2})
