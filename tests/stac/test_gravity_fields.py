"""Gravity fields in every published layout are read to the last digit, and damage is named."""

import gzip
import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac.contracts import CONTRACTS
from stac.gravity import GravityFormatError, read_gravity_field

NAME = "GSM-2_2011032-2011059_GRAC_UTCSR_BB01_0600"
YAML = """\
header:
  dimensions:
    degree                :  {degree}
    order                 :  {degree}
  non-standard_attributes:
    product_id            : GSM-2
    normalization         : fully normalized
    permanent_tide_flag   : inclusive
    earth_gravity_param   :
      long_name           : gravitational constant times mass of Earth
      units               : m3/s2
      value               : 3.9860044150E+14
    mean_equator_radius   :
      long_name           : mean equator radius
      units               : meters
      value               : 6.3781363000E+06
  global_attributes:
    title                 : GRACE Geopotential Coefficients CSR RL06
    institution           : UT-AUSTIN/CSR
    platform              : GRACE-A, GRACE-B
    product_version       : RL06
    time_coverage_start   : 2011-02-01T00:00:00.00
    time_coverage_end     : 2011-03-01T00:00:00.00
    unused_days           : [2011-02-05, 2011-02-06]
# End of YAML header
"""
OLD = """\
FIRST              GSM-2_2011032-2011059_0028_UTCSR_0060_0005    SHM     UTCSR       20110410
CMMNT Monthly field of release 5: CSR RL05
CMMNT Reported standard deviations are formal (not calibrated)
EARTH 0.3986004415{e}+15 0.6378136300{e}+07
SHM      {degree}   {degree} 1.00 fully normalized inclusive permanent tide
"""
GFC = """\
Words about the model, which may hold radius 6.4 or any other key.
begin_of_head ======================
modelname              {model}
product_type           gravity_field
earth_gravity_constant 3.9860044150e+14
radius                 6.3781363000e+06
max_degree             {degree}
norm                   fully_normalized
tide_system            tide_free
errors                 formal
{more}
key     L    M         C                   S                sigma C             sigma S
end_of_head ========================
"""
DATES = " 20110201.0000 20110301.0000"
Field = np.ndarray


def random_field(seed: int, degree: int) -> Field:
    """Return C, S and their sigmas, shape (4, degree + 1, degree + 1)."""
    rng = np.random.default_rng(seed)
    decades = 10.0 ** rng.integers(-14, -3, (4, degree + 1, degree + 1))
    field = rng.uniform(-1.0, 1.0, decades.shape) * decades
    field[2:] = np.abs(field[2:])
    field[1::2, :, 0] = 0.0
    return np.tril(field)


def fortran(value: float, digits: int = 12, letter: str = "E") -> str:
    """Print 0.ddd and an exponent, the zero left out before a negative number's point."""
    mantissa, _, exponent = f"{abs(value):.{digits - 1}E}".partition("E")
    power = int(exponent) + 1 if value else 0
    sign = "-." if value < 0.0 else "0."
    return f"{sign}{mantissa.replace('.', '')}{letter}{power:+03d}"


def rows(
    field: Field,
    *,
    key: str = "GRCOF2",
    letter: str = "E",
    sigmas: bool = True,
    tail: str = DATES + " yynn",
    digits: tuple[int, int] = (12, 4),
) -> list[str]:
    """Print rows as the centres do: by order, then by degree."""
    lines = []
    for m in range(field.shape[-1]):
        for j in range(m, field.shape[-1]):
            c, s = (fortran(v, digits[0], letter) for v in field[:2, j, m])
            errors = "".join(f" {fortran(v, digits[1], letter)}" for v in field[2:, j, m])
            lines.append(f"{key} {j:4d} {m:4d} {c} {s}{errors if sigmas else ''}{tail}")
    return lines


def rl06(field: Field, **layout: str) -> bytes:
    header = YAML.format(degree=field.shape[-1] - 1)
    return (header + "\n".join(rows(field, **layout)) + "\n").encode()


def rl05(field: Field, *, letter: str = "E", **layout: str) -> bytes:
    header = OLD.format(degree=field.shape[-1] - 1, e=letter)
    return (header + "\n".join(rows(field, letter=letter, **layout)) + "\n").encode()


def printed(field: Field) -> Field:
    """Return what a reader must find: the float nearest to each printed decimal."""
    found = np.zeros_like(field)
    for place in zip(*np.nonzero(np.tril(np.ones(field.shape))), strict=True):
        digits = 12 if place[0] < 2 else 4
        found[place] = float(fortran(field[place], digits))
    return found


@pytest.fixture
def gravity_toolkit() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import gravity_toolkit
    return gravity_toolkit


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    degree=st.integers(2, 12),
    form=st.sampled_from(["rl06", "rl05", "rl05-D"]),
    packed=st.booleans(),
    order=st.sampled_from(["as written", "shuffled"]),
)
def test_written_digits_are_read_back_exactly(seed, degree, form, packed, order):
    field = random_field(seed, degree)
    text = {
        "rl06": lambda: rl06(field),
        "rl05": lambda: rl05(field),
        "rl05-D": lambda: rl05(field, letter="D"),
    }[form]()
    if order == "shuffled":
        lines = text.splitlines(keepends=True)
        first = next(i for i, line in enumerate(lines) if line.startswith(b"GRCOF2"))
        body = np.random.default_rng(seed).permutation(np.array(lines[first:], dtype=object))
        text = b"".join([*lines[:first], *body])

    found = read_gravity_field(gzip.compress(text) if packed else text, name=NAME)

    expected = printed(field)
    np.testing.assert_array_equal(found.stokes.values, expected[:2])
    np.testing.assert_array_equal(found.stokes_sigma.values, expected[2:])
    CONTRACTS["grace-l2"].check_values(found)


def ragged(text: bytes) -> bytes:
    """Write rows of different widths, split by tabs and blanks, with blank lines between."""
    header, marker, body = text.partition(b"# End of YAML header\n")
    lines = [b"\t".join(line.split()) + b" " * (i % 3) for i, line in enumerate(body.splitlines())]
    return header + marker + b"\n\n".join(lines) + b"\n"


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(ragged, id="ragged"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="carriage returns"),
        pytest.param(lambda text: text.rstrip(b"\n"), id="no last line feed"),
        pytest.param(lambda text: text + b"\n \n", id="blank lines at the end"),
        pytest.param(lambda text: text.replace(b" 0.", b" +0."), id="plus signs"),
        pytest.param(
            lambda text: gzip.compress(text[:900]) + gzip.compress(text[900:]), id="members"
        ),
        pytest.param(lambda text: gzip.compress(text) + bytes(512), id="padding after the stream"),
    ],
)
def test_layout_does_not_matter(rewrite: Callable[[bytes], bytes]):
    field = random_field(1, 6)

    found = read_gravity_field(rewrite(rl06(field)), name=NAME)

    np.testing.assert_array_equal(found.stokes.values, printed(field)[:2])


def test_a_rl06_header_becomes_attributes():
    found = read_gravity_field(rl06(random_field(1, 4)), name="any name at all")

    assert found.attrs == {
        "product": "GSM-2",
        "centre": "CSR",
        "release": "RL06",
        "mission": "GRACE",
        "gm": 3.986004415e14,
        "radius": 6378136.3,
        "tide_system": "zero_tide",
        "max_degree": 4,
        "time_start": "2011-02-01",
        "time_end": "2011-03-01",
        "unused_days": "2011-02-05, 2011-02-06",
        "normalisation": "4pi",
    }


def test_a_rl05_header_becomes_attributes():
    found = read_gravity_field(rl05(random_field(1, 4), letter="D"), name="any name at all")

    assert found.attrs["product"] == "GSM-2"
    assert found.attrs["centre"] == "CSR"
    assert found.attrs["release"] == "RL05"
    assert found.attrs["mission"] == "GRACE"
    assert found.attrs["tide_system"] == "zero_tide"
    assert found.attrs["radius"] == 6378136.3
    assert (found.attrs["time_start"], found.attrs["time_end"]) == ("2011-02-01", "2011-03-01")


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2011-03-01T00:00:00.00", "2011-03-01"),
        ("2011-02-28T23:59:59.99", "2011-03-01"),
        ("2011-02-28T24:00:00", "2011-03-01"),
        ("2011-03-01", "2011-03-01"),
    ],
)
def test_the_end_of_a_window_is_the_next_midnight(stated, expected):
    text = rl06(random_field(1, 3)).replace(b"2011-03-01T00:00:00.00", stated.encode())

    assert read_gravity_field(text, name=NAME).attrs["time_end"] == expected


def test_platform_and_tide_flag_are_understood():
    text = rl06(random_field(1, 3)).replace(b"GRACE-A, GRACE-B", b"GRACE-C, GRACE-D")
    text = text.replace(b": inclusive", b": exclusive").replace(b"UT-AUSTIN/CSR", b"GFZ Potsdam")

    attributes = read_gravity_field(text, name=NAME).attrs

    assert attributes["mission"] == "GRACE-FO"
    assert attributes["tide_system"] == "tide_free"
    assert attributes["centre"] == "GFZ"


def test_absent_sigmas_are_unknown_and_degrees_0_and_1_may_be_left_out():
    field = random_field(3, 5)
    lines = [line for line in rows(field, sigmas=False) if int(line.split()[1]) >= 2]
    text = YAML.format(degree=5) + "\n".join(lines) + "\n"

    found = read_gravity_field(text.encode(), name=NAME)

    inside = np.tri(6, dtype=bool)
    assert np.isnan(found.stokes_sigma.values[:, inside]).all()
    assert (found.stokes_sigma.values[:, ~inside] == 0.0).all()
    expected = printed(field)[:2]
    expected[:, :2] = 0.0
    np.testing.assert_array_equal(found.stokes.values, expected)


def test_an_old_file_without_dates_is_a_static_field_and_grdota_its_rate():
    field = random_field(4, 5)
    lines = rows(field, tail="                             yynn")
    lines.insert(
        7,
        "GRDOTA    2    0 0.116275500000E-10 0.000000000000E+00 0.0E+00 0.0E+00 20000101.0000",
    )
    text = OLD.format(degree=5, e="E") + "\n".join(lines) + "\n"

    found = read_gravity_field(text.encode(), name=NAME)

    np.testing.assert_array_equal(found.stokes.values, printed(field)[:2])
    assert found.stokes_trend.values[0, 2, 0] == 0.1162755e-10
    assert np.count_nonzero(found.stokes_trend.values) == 1
    assert found.attrs["reference_epoch"] == "2000-01-01"
    assert found.attrs["time_start"] == found.attrs["time_end"] == ""
    CONTRACTS["grace-l2"].check_values(found)


@pytest.mark.parametrize("release", ["RL06", "RL05"])
def test_both_releases_agree_with_gravity_toolkit(release, tmp_path: Path, gravity_toolkit):
    field = random_field(5, 30)
    field[:, 0, 0] = (1.0, 0.0, 0.0, 0.0)
    name = NAME if release == "RL06" else "GSM-2_2011032-2011059_0028_UTCSR_0060_0005"
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(rl06(field) if release == "RL06" else rl05(field)))

    expected = gravity_toolkit.read_GRACE_harmonics(path, 30)
    found = read_gravity_field(path.read_bytes(), name=path.name)

    np.testing.assert_array_equal(found.stokes.values, [expected["clm"], expected["slm"]])
    np.testing.assert_array_equal(found.stokes_sigma.values, [expected["eclm"], expected["eslm"]])


def icgem(
    field: Field,
    *,
    model: str = "XGM",
    more: str = "",
    sigmas: bool = True,
    variable: dict[str, tuple[Field, str]] | None = None,
    epoch: str = "20100101",
) -> bytes:
    """Print a ``.gfc``; `variable` holds further records, and what follows their sigmas."""
    lines = []
    for j, m in zip(*np.tril_indices(field.shape[-1]), strict=True):
        records = {"gfct" if variable else "gfc": (field, f" {epoch}" if variable else "")}
        for key, (values, tail) in (records | (variable or {})).items():
            printed_values = values[:, j, m] if sigmas else values[:2, j, m]
            cells = " ".join(f"{value:20.12e}" for value in printed_values)
            lines.append(f"{key.split('-')[0]:5s} {j:4d} {m:4d} {cells}{tail}")
    header = GFC.format(model=model, degree=field.shape[-1] - 1, more=more)
    return (header + "\n".join(lines) + "\n").encode()


def as_printed(field: Field) -> Field:
    return np.vectorize(lambda value: float(f"{value:.12e}"))(field)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), degree=st.integers(2, 8), sigmas=st.booleans())
def test_static_icgem_digits_are_read_back_exactly(seed, degree, sigmas):
    field = random_field(seed, degree)

    found = read_gravity_field(icgem(field, sigmas=sigmas), name="a.gfc")

    np.testing.assert_array_equal(found.stokes.values, as_printed(field[:2]))
    if sigmas:
        np.testing.assert_array_equal(found.stokes_sigma.values, as_printed(field[2:]))
    assert found.attrs["tide_system"] == "tide_free"
    assert "reference_epoch" not in found.attrs
    CONTRACTS["grace-l2"].check_values(found)


@pytest.mark.parametrize("version", ["icgem1.0", "icgem2.0"])
@pytest.mark.parametrize("trend", ["trnd", "dot"])
def test_rates_and_periods_of_icgem_are_read_back_exactly(version, trend):
    field, rate, *waves = (random_field(seed, 6) for seed in range(6))
    span = " 20100101.0000 20200101.0000" if version == "icgem2.0" else ""
    variable = {trend: (rate, span)}
    for key, wave, period in zip(
        ("acos-1", "asin-1", "acos-2", "asin-2"), waves, ("1.0", "1.0", "0.5", "0.5"), strict=True
    ):
        variable[key] = (wave, f"{span} {period}")
    epoch = "20100101.0000 20200101.0000" if span else "20100101"

    found = read_gravity_field(
        icgem(field, more=f"format {version}", variable=variable, epoch=epoch), name="a.gfc"
    )

    np.testing.assert_array_equal(found.stokes.values, as_printed(field[:2]))
    np.testing.assert_array_equal(found.stokes_trend.values, as_printed(rate[:2]))
    assert found.period_years.values.tolist() == [0.5, 1.0]
    np.testing.assert_array_equal(found.stokes_cosine.values[1], as_printed(waves[0][:2]))
    np.testing.assert_array_equal(found.stokes_sine.values[1], as_printed(waves[1][:2]))
    np.testing.assert_array_equal(found.stokes_cosine.values[0], as_printed(waves[2][:2]))
    np.testing.assert_array_equal(found.stokes_sine.values[0], as_printed(waves[3][:2]))
    assert found.attrs["reference_epoch"] == "2010-01-01"
    CONTRACTS["grace-l2"].check_values(found)


@pytest.mark.parametrize(
    ("model", "more", "start", "end", "mission"),
    [
        ("ITSG-Grace2018_n96_2011-02", "", "2011-02-01", "2011-03-01", "GRACE"),
        ("ITSG-Grace2018_n40_2011-12-31", "", "2011-12-31", "2012-01-01", "GRACE"),
        ("GSM-2_2018335-2018365_GRFO_COSTG_BF01_0100", "", "2018-12-01", "2019-01-01", "GRACE-FO"),
        (
            "X",
            "time_period_of_data 20110201 - 20110228 (mid: 20110214)",
            "2011-02-01",
            "2011-03-01",
            "",
        ),
        ("XGM2019", "", "", "", ""),
    ],
)
def test_the_window_of_a_monthly_icgem_file_comes_from_its_header(model, more, start, end, mission):
    attributes = read_gravity_field(
        icgem(random_field(1, 2), model=model, more=more), name="a.gfc"
    ).attrs

    assert (attributes["time_start"], attributes["time_end"]) == (start, end)
    assert attributes["mission"] == mission


def test_icgem_agrees_with_pyshtools(tmp_path: Path):
    from pyshtools.shio import read_icgem_gfc

    path = tmp_path / "a.gfc"
    path.write_bytes(icgem(random_field(9, 12)))

    expected, gm, radius, sigma = read_icgem_gfc(str(path), errors="formal")
    found = read_gravity_field(path.read_bytes(), name=path.name)

    np.testing.assert_array_equal(found.stokes.values, expected)
    np.testing.assert_array_equal(found.stokes_sigma.values, sigma)
    assert (found.attrs["gm"], found.attrs["radius"]) == (gm, radius)


GOOD = rl06(random_field(7, 4))
GOOD_OLD = rl05(random_field(7, 4))
GOOD_GFC = icgem(random_field(7, 4))
LINES = GOOD.decode().splitlines()
FIRST_ROW = next(i for i, line in enumerate(LINES) if line.startswith("GRCOF2"))


def swap(old: str, new: str, *, text: bytes = GOOD) -> bytes:
    assert old.encode() in text
    return text.replace(old.encode(), new.encode(), 1)


def without_row(index: int) -> bytes:
    return (
        "\n".join(line for i, line in enumerate(LINES) if i != FIRST_ROW + index).encode() + b"\n"
    )


def cell(row: int, column: int, value: str) -> bytes:
    """Put a value into a row, as wide as the one that was there."""
    words = re.split(r"(\s+)", LINES[FIRST_ROW + row])
    words[2 * column] = value.ljust(len(words[2 * column]))
    return "\n".join(
        [*LINES[: FIRST_ROW + row], "".join(words), *LINES[FIRST_ROW + row + 1 :], ""]
    ).encode()


LINE_OF_ROW_3 = f"line {FIRST_ROW + 4}"
PIECES = icgem(random_field(7, 2), more="format icgem2.0", variable={}) + b"".join(
    b"gfct 2 0 1e-6 0.0 0.0 0.0 %d0101 %d0101\n" % (year, year + 1) for year in (2002, 2003)
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", ["is empty"], id="empty"),
        pytest.param(b" \n\n", ["is empty"], id="blank"),
        pytest.param(gzip.compress(GOOD)[:-300], ["ends early", "fetch"], id="truncated gzip"),
        pytest.param(
            gzip.compress(GOOD)[:40] + b"\xff" * 40, ["damaged gzip", "fetch"], id="damaged gzip"
        ),
        pytest.param(b"PK\x03\x04 zip", ["no header that is known", "RL05", "ICGEM"], id="zip"),
        pytest.param(
            "\n".join(LINES[FIRST_ROW:]).encode() + b"\n",
            ["no header that is known"],
            id="no header",
        ),
        pytest.param("\n".join(LINES[:FIRST_ROW]).encode(), ["no records"], id="no rows"),
        pytest.param(
            without_row(6), ["found 11", "expected 12", "degree 2, order 1"], id="one row"
        ),
        pytest.param(
            "\n".join(LINES[:-2]).encode() + b"\n", ["found 10", "degree 4, order 3"], id="cut off"
        ),
        pytest.param(GOOD[:-60], ["stops after", "cut off"], id="cut within a row"),
        pytest.param(
            swap("degree                :  4", "degree                :  9"),
            ["found 12", "expected 52", "degree 5, order 0", "another degree"],
            id="degree stops short",
        ),
        pytest.param(
            swap("degree                :  4", "degree                :  3"),
            ["degree 4, order 0", "≤ 3"],
            id="beyond the degree",
        ),
        pytest.param(
            swap("degree                :  4", "degree                :  999999999"),
            ["degree 999999999", "5540"],
            id="absurd degree",
        ),
        pytest.param(cell(3, 3, "NaN"), [LINE_OF_ROW_3, "C of degree 3", "finite"], id="nan"),
        pytest.param(cell(3, 4, "inf"), [LINE_OF_ROW_3, "S of degree 3", "finite"], id="inf"),
        pytest.param(
            cell(3, 3, "0.1234x5E-09"), [LINE_OF_ROW_3, "'0.1234x5E-09'"], id="unreadable"
        ),
        pytest.param(cell(3, 3, "1_000"), [LINE_OF_ROW_3, "'1_000'"], id="underscore"),
        pytest.param(
            cell(3, 1, "2.5"), [LINE_OF_ROW_3, "'2.5'", "whole number"], id="half a degree"
        ),
        pytest.param(
            cell(3, 2, "9"), [LINE_OF_ROW_3, "order 9", "order ≤ degree"], id="order > degree"
        ),
        pytest.param(cell(3, 2, "-1"), [LINE_OF_ROW_3, "order -1"], id="negative order"),
        pytest.param(cell(3, 1, "2"), ["lines", "both give degree 2, order 0"], id="duplicate"),
        pytest.param(
            cell(3, 0, "GRXXF2"), [LINE_OF_ROW_3, "'GRXXF2'", "GRCOF2"], id="unknown record"
        ),
        pytest.param(
            swap("fully normalized", "unnormalized"), ["'unnormalized'", "4π"], id="normalisation"
        ),
        pytest.param(
            swap("units               : meters", "units               : km"), ["'km'"], id="unit"
        ),
        pytest.param(
            swap("6.3781363000E+06", "6.3781363000E+03"), ["6378.14", "6.3e+06"], id="radius"
        ),
        pytest.param(swap("3.9860044150E+14", "3.9860044150E+05"), ["398600", "GM"], id="GM"),
        pytest.param(
            swap("coverage_end     : 2011-03-01", "coverage_end     : 2011-01-01"),
            ["2011-01-01", "not after its start 2011-02-01"],
            id="window reversed",
        ),
        pytest.param(
            swap("time_coverage_start", "time_coverage_begin"),
            ["does not state", "time_coverage_start"],
            id="no window",
        ),
        pytest.param(
            swap("coverage_end     : 2011-03-01", "coverage_end     : 2011-02-31"),
            ["2011-02-31", "YYYY-MM-DD"],
            id="no such day",
        ),
        pytest.param(
            swap("EARTH 0.39", "EARTX 0.39", text=GOOD_OLD), ["'EARTX'", "line 4"], id="old: EARTH"
        ),
        pytest.param(
            swap("fully normalized", "unnormalized", text=GOOD_OLD), ["4π"], id="old: normalisation"
        ),
        pytest.param(
            swap("20110301.0000", "20110101.0000", text=GOOD_OLD), ["dates"], id="old: dates differ"
        ),
        pytest.param(
            GOOD_OLD.replace(b"20110301.0000", b"20110101.0000"), ["not after"], id="old: reversed"
        ),
        pytest.param(
            GOOD_OLD.replace(b" 20110201.0000", b""),
            ["1 dates", "begin and end"],
            id="old: one date",
        ),
        pytest.param(
            swap("fully_normalized", "unnormalized", text=GOOD_GFC), ["4π"], id="gfc: normalisation"
        ),
        pytest.param(
            swap("gravity_field", "topography", text=GOOD_GFC), ["'topography'"], id="gfc: product"
        ),
        pytest.param(swap("\ngfc ", "\ngfx ", text=GOOD_GFC), ["'gfx'", "gfct"], id="gfc: record"),
        pytest.param(PIECES, ["epochs", "pieces"], id="gfc: in pieces"),
        pytest.param(
            GOOD_GFC + b"gfct 5 0 1 2 3 4 \x1b[2J\ngfct 6 0 1 2 3 4 20100101\n",
            ["2 epochs", r"'\x1b[2J'"],
            id="gfc: escape sequence",
        ),
        pytest.param(
            GOOD_GFC + b"trnd 2 0 1e-12 0.0 0.0 0.0\n",
            ["0 epochs", "expected one"],
            id="gfc: no epoch",
        ),
        pytest.param(
            GOOD_GFC + b"gfct 2 0 1e-6 0.0 20100101\n", ["both give degree 2"], id="gfc: twice"
        ),
        pytest.param(
            GOOD_GFC + b"gfct 5 0 1 2 3 20100101\n", ["a gfct row has 7 fields"], id="gfc: fields"
        ),
        pytest.param(
            swap("max_degree", "max_degrees", text=GOOD_GFC), ["max_degree"], id="gfc: degree"
        ),
    ],
)
def test_what_is_wrong_is_named(data: bytes, said: list[str]):
    with pytest.raises(GravityFormatError) as refusal:
        read_gravity_field(data, name="the-file.gz")

    message = str(refusal.value)
    assert message.startswith("the-file.gz: ")
    for fragment in said:
        assert fragment in message


def test_a_model_of_rates_is_sent_to_its_own_kind():
    text = YAML.format(degree=2) + "GRDOTA 2 0 1e-11 0.0\n"

    with pytest.raises(GravityFormatError, match="kind gia"):
        read_gravity_field(text.encode(), name=NAME)


def test_a_gzip_bomb_is_refused_before_it_fills_memory():
    bomb = gzip.compress(bytes(400 * 2**20), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(GravityFormatError, match="more than 67108864 bytes"):
            read_gravity_field(bomb, name="bomb.gz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 200 * 2**20


def test_many_periods_are_refused_before_they_fill_memory():
    waves = "".join(f"acos 2 0 1e-12 0.0 0.0 0.0 {i}.5\n" for i in range(50))
    rate = {"trnd": (random_field(8, 3), "")}
    text = icgem(random_field(7, 3), variable=rate) + waves.encode()

    with pytest.raises(GravityFormatError, match=r"50 values from 0\.5 to 49\.5"):
        read_gravity_field(text, name="a.gfc")


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    base=st.sampled_from([GOOD, GOOD_OLD, GOOD_GFC]),
    cuts=st.integers(1, 4),
)
def test_damage_gives_a_field_or_a_named_refusal_and_nothing_else(seed, base, cuts):
    rng = np.random.default_rng(seed)
    data = bytearray(base)
    for _ in range(cuts):
        at = int(rng.integers(len(data)))
        if rng.random() < 0.5:
            data[at : at + int(rng.integers(1, 40))] = rng.bytes(int(rng.integers(0, 5)))
        else:
            data[at] = int(rng.integers(256))

    try:
        found = read_gravity_field(bytes(data), name="fuzzed")
    except GravityFormatError as error:
        refusal = str(error)
    else:
        refusal = "" if np.isfinite(found.stokes.values).all() else "not finite"
    assert not refusal or refusal.startswith("fuzzed: ")
