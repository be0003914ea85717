"""Degree 1, C20, C30, Love numbers and rates of adjustment, in each published layout."""

import gzip
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stac.contracts import CONTRACTS
from stac.gravity import (
    GravityFormatError,
    read_degree_one,
    read_gia,
    read_love_numbers,
    read_low_degrees,
)

TN13 = """\
GRACE Technical Note 13
DESCRIPTION:
	These coefficients represent the degree 1 gravity coefficients. Prior to the inversion,
	GRACE-C20 has been replaced with the SLR-C20 (TN-14), and GIA has been corrected
	with ICE6G-D.
    record_key:
      key_name              : GRCOF2
end of header ===============================================================================
"""
JANUARY, FEBRUARY = "20110101.0000 20110201.0000", "20110201.0000 20110301.0000"
TN13_ROWS = [
    f"GRCOF2    1   0 +5.120437146e-10 +0.000000000e+00 +4.4585e-11 +0.0000e+00 {JANUARY}",
    f"GRCOF2    1   1 +2.897447347e-10 -6.826708442e-11 +4.5296e-11 +5.0724e-11 {JANUARY}",
    f"GRCOF2    1   0 -4.542912581e-10 +0.000000000e+00 +4.4585e-11 +0.0000e+00 {FEBRUARY}",
    f"GRCOF2    1   1 +1.584053247e-10 -8.940349160e-11 +4.5296e-11 +5.0724e-11 {FEBRUARY}",
]
TELLUS = """\
    Degree 1 coefficients. The post-glacial rebound signal was subtracted
    FORMAT: '(a6,2i5,2e19.12,2e11.4)'
"""
TELLUS_ROWS = [
    "201101    1    0 0.512043714600E-09 0.000000000000E+00 0.1000E-10 0.0000E+00",
    "201101    1    1 0.289744734700E-09 -.682670844200E-10 0.1000E-10 0.2000E-10",
    "201102    1    0 -.454291258100E-09 0.000000000000E+00 0.1000E-10 0.0000E+00",
    "201102    1    1 0.158405324700E-09 -.894034916000E-10 0.1000E-10 0.2000E-10",
]
SWENSON = """\
  Degree 1 coefficients, mm equivalent water thickness
  format='(4f9.2)'
  Time        C10      C11     S11
  2002.29    11.86     7.79    -3.21
  2002.36     8.42     7.39    -3.95
  2002.62    -1.11    -2.37    -0.10
"""
TN14 = """\
Title: NASA GSFC SLR C20 and C30 solutions
Notes:
   C20 is zero tide
Constants:
   Mean C20: -4.841694573200E-04
         GM: 0.3986004415E+06 (km^3/s^2)
          R: 6378.1363 (km)
Product:
55562.0 2011.0000  -4.8416934147454E-04  1.1585  0.1628                   NaN     NaN     NaN \
55593.0 2011.0849
56110.0 2012.5000  -4.8416936114948E-04  0.9617  0.1546   9.5714687793669E-07 -0.1788  0.3127 \
56141.0 2012.5847
"""
TN11 = """\
GRACE Technical Note 11
PRODUCT:
52369.0000 2002.2574  -4.8416938905481E-04    0.6827    0.3000  52395.0000 2002.3288
52397.0000 2002.3340  -4.8416937085000E-04    0.8647    0.2900  52413.0000 2002.3781
"""
TN07 = """\
GRACE Technical Note 07
PRODUCT:

55866.0 2011.8329 -4.8416943000000E-04  0.2732  0.2100
55851.0 2011.7918 -4.8416942000000E-04  0.3732  0.2000 *
55896.0 2011.9151 -4.8416941000000E-04  0.4732  0.2200
"""
TN05 = """\
GRACE Technical Note 05
PRODUCT:
52275.0 2002.0000 -0.48416939445999E-03  0.2933  0.0000  0.2438
52306.0 2002.0849 -0.48416946306659E-03 -0.3928  0.0000  0.2402
"""
HAN_WAHR = """\
  l    h                 k                   l
************************************************
  0  -0.13273           0.                   0.
  1  -0.28796165358324  0.    1.0283235526008D-01
  2  -0.99015777857079  -0.30252982142510    2.3882296795977D-02
"""
GEGOUT = """\
# LOVE_NUMBERS  Format of 2005.01.10
# degree h                 l                 k
#
     0  0.0000000000D+00  0.0000000000D+00  0.0000000000D+00
     1 -0.2858777580D+00  0.1039182063D+00  0.0000000000D+00
     2 -0.9915810331D+00  0.2353293958D-01 -0.3054020195D+00
"""
WANG = """\
     n         h                l                k               nl               nk\r
     1  -0.28566759E+00   0.10358232E+00   0.00000000E+00   0.10358232E+00   0.00000000E+00\r
     2  -0.99079949E+00   0.23286695E-01  -0.30516104E+00   0.46573390E-01  -0.61032208E+00\r
"""
READERS = {
    "degree-one": read_degree_one,
    "low-degrees": read_low_degrees,
    "love-numbers": read_love_numbers,
    "gia": read_gia,
}


@pytest.fixture(scope="module")
def gravity_toolkit() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import gravity_toolkit
    return gravity_toolkit


def tn13(rows: list[str] = TN13_ROWS) -> bytes:
    return (TN13 + "\n".join(rows) + "\n").encode()


def days(found, name: str) -> list[str]:
    return [str(day)[:10] for day in found[name].values]


@pytest.mark.parametrize("packed", [False, True])
def test_tn13_keeps_windows_frame_and_removed_model(packed):
    found = read_degree_one(gzip.compress(tn13()) if packed else tn13(), name="tn13")

    assert found["value"].values.tolist() == [
        [5.120437146e-10, 2.897447347e-10, -6.826708442e-11],
        [-4.542912581e-10, 1.584053247e-10, -8.940349160e-11],
    ]
    assert found["sigma"].values[0].tolist() == [4.4585e-11, 4.5296e-11, 5.0724e-11]
    assert days(found, "time_start") == ["2011-01-01", "2011-02-01"]
    assert days(found, "time_end") == ["2011-02-01", "2011-03-01"]
    assert str(found.time.values[0]) == "2011-01-16T12:00:00.000000000"
    assert found.attrs["frame"] == "CF"
    assert found.attrs["gia_removed"] == "ICE-6G_D"
    CONTRACTS["degree-one"].check_values(found)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("GIA has been corrected with ICE6G-D. ", "ICE-6G_D"),
        ("GIA was removed (ICE-6G_C, Peltier et al., 2015). ", "ICE-6G_C"),
        ("GIA has not been removed; subtract ICE-6G_D yourself. ", ""),
        ("Glacial isostatic adjustment has been removed. ", "unnamed"),
        ("Corrected for the pole tide. ", ""),
    ],
)
def test_only_what_the_text_says_was_removed_counts_as_removed(sentence, expected):
    text = TN13[: TN13.index("These")] + sentence + TN13[TN13.index("    record_key") :]

    found = read_degree_one((text + "\n".join(TN13_ROWS) + "\n").encode(), name="tn13")

    assert found.attrs["gia_removed"] == expected


def test_remarks_after_the_dates_of_tn13_do_not_matter():
    remarked = [TN13_ROWS[0] + " re-processed in 2024", *TN13_ROWS[1:]]

    found = read_degree_one(tn13(remarked), name="tn13")

    assert found["value"].shape == (2, 3)


def test_rows_out_of_order_come_back_in_order_of_time():
    found = read_degree_one(tn13(TN13_ROWS[2:] + TN13_ROWS[:2]), name="tn13")

    assert days(found, "time_start") == ["2011-01-01", "2011-02-01"]


def test_the_series_before_tn13_has_calendar_months():
    found = read_degree_one((TELLUS + "\n".join(TELLUS_ROWS) + "\n").encode(), name="deg1")

    assert found["value"].values[0].tolist() == [5.120437146e-10, 2.897447347e-10, -6.826708442e-11]
    assert days(found, "time_start") == ["2011-01-01", "2011-02-01"]
    assert days(found, "time_end") == ["2011-02-01", "2011-03-01"]
    assert found.attrs["gia_removed"] == "unnamed"
    CONTRACTS["degree-one"].check_values(found)


def test_swenson_agrees_with_gravity_toolkit(tmp_path: Path, gravity_toolkit):
    path = tmp_path / "gad_gsm.rl05.txt"
    path.write_text(SWENSON)
    expected = gravity_toolkit.geocenter().from_swenson(path)

    found = read_degree_one(path.read_bytes(), name=path.name)

    for name in ("C10", "C11", "S11"):
        # the oracle goes by centimetres, so it rounds twice more
        np.testing.assert_allclose(
            found["value"].sel(coefficient=name), getattr(expected, name), rtol=1e-15
        )
    assert np.isnan(found["sigma"].values).all()
    assert found.attrs["frame"] == "CE"
    assert days(found, "time") == ["2002-04-16", "2002-05-12", "2002-08-15"]
    CONTRACTS["degree-one"].check_values(found)


def test_tn14_gives_c30_where_it_is_measured():
    found = read_low_degrees(TN14.encode(), name="tn14")

    assert found.coefficient.values.tolist() == ["C20", "C30"]
    c20, c30 = found["value"].values.T
    assert c20.tolist() == [-4.8416934147454e-04, -4.8416936114948e-04]
    assert np.isnan(c30[0])
    assert c30[1] == 9.5714687793669e-07
    np.testing.assert_allclose(found["sigma"].values[1], [0.1546e-10, 0.3127e-10], rtol=1e-15)
    assert days(found, "time_start") == ["2011-01-01", "2012-07-02"]
    assert days(found, "time_end") == ["2011-02-01", "2012-08-02"]
    assert found.attrs["tide_system"] == "zero_tide"
    assert found.attrs["gm"] == 3.986004415e14
    assert found.attrs["radius"] == 6378136.3
    CONTRACTS["low-degrees"].check_values(found)


def test_tn11_has_c20_with_both_ends():
    found = read_low_degrees(TN11.encode(), name="tn11")

    assert found["value"].values[:, 0].tolist() == [-4.8416938905481e-04, -4.8416937085000e-04]
    assert days(found, "time_start") == ["2002-04-05", "2002-05-03"]
    assert days(found, "time_end") == ["2002-05-01", "2002-05-19"]
    CONTRACTS["low-degrees"].check_values(found)


def test_tn07_names_the_begin_of_months_and_of_special_solutions():
    found = read_low_degrees(TN07.encode(), name="tn07")

    # "'November 2011' actually spans October 17 to November 16": the starred row of TN-07
    assert days(found, "time_start") == ["2011-10-17", "2011-11-01", "2011-12-01"]
    assert days(found, "time_end") == ["2011-11-17", "2011-12-01", "2012-01-01"]
    np.testing.assert_allclose(found["sigma"].values[:, 0], [2e-11, 2.1e-11, 2.2e-11], rtol=1e-15)
    CONTRACTS["low-degrees"].check_values(found)


def test_tn05_keeps_its_sigma_in_the_sixth_column():
    found = read_low_degrees(TN05.encode(), name="tn05")

    np.testing.assert_allclose(found["sigma"].values[:, 0], [2.438e-11, 2.402e-11], rtol=1e-15)
    assert days(found, "time_end") == ["2002-02-01", "2002-03-01"]


@pytest.mark.parametrize(
    ("text", "h", "shear", "k"),
    [
        (HAN_WAHR, -0.99015777857079, 2.3882296795977e-2, -0.30252982142510),
        (GEGOUT, -0.9915810331, 0.2353293958e-1, -0.3054020195),
        (WANG, -0.99079949, 0.23286695e-1, -0.30516104),
    ],
    ids=["l h k l", "degree h l k", "n h l k nl nk"],
)
def test_the_heading_says_where_k_stands(text, h, shear, k):
    found = read_love_numbers(text.encode(), name="set")

    assert (found.h.values[2], found.l.values[2], found.k.values[2]) == (h, shear, k)
    assert found.k.values[1] == 0.0
    assert found.h.shape == (3,)
    assert found.attrs == {"name": "set", "frame": "CE", "max_degree": 2}
    CONTRACTS["love-numbers"].check_values(found)


@pytest.mark.parametrize(
    ("first", "frame"),
    [
        ("-1.28796165358324 -1. -0.89716764", "CM"),
        ("-0.26052998 0.02743 0.13026499", "CF"),
    ],
)
def test_degree_1_tells_the_frame(first, frame):
    text = HAN_WAHR.replace("-0.28796165358324  0.    1.0283235526008D-01", first)

    assert read_love_numbers(text.encode(), name="set").attrs["frame"] == frame


def rates(degree: int, seed: int = 1) -> np.ndarray:
    """Return rates that print exactly in nine digits, shape (2, degree + 1, degree + 1)."""
    values = np.random.default_rng(seed).normal(scale=1e-12, size=(2, degree + 1, degree + 1))
    values[1, :, 0] = 0.0
    return np.tril(np.vectorize(lambda value: float(f"{value:.8e}"))(values))


def places(degree: int) -> list[tuple[int, int]]:
    return [(j, m) for j in range(degree + 1) for m in range(j + 1)]


def reordered(rate: np.ndarray) -> str:
    """Print as the reordered files of Peltier et al. stand: columns below END OF HEADER."""
    rows = [
        f"{j}\t{m}\t{rate[0, j, m]: .8e}\t{rate[1, j, m]: .8e}"
        for j, m in places(rate.shape[1] - 1)
    ]
    header = [
        'This file is a reordering of "ICE-6G_D.txt"',
        "Column 1: degree l",
        "=END OF HEADER=",
    ]
    return "\n".join([*header, *rows]) + "\n"


def plain(rate: np.ndarray) -> str:
    """Print as A et al. do: a line of words, then Fortran's exponents."""
    rows = [
        f"{j:4d}{m:5d}{rate[0, j, m]:17.8E}{rate[1, j, m]:17.8E}".replace("E", "D")
        for j, m in places(rate.shape[1] - 1)
    ]
    return "compressible Earth\n" + "\n".join(rows) + "\n"


def signed(rate: np.ndarray) -> str:
    """Print as Caron et al. do: S at negative orders."""
    rows = [
        f"{j} {m} {rate[0, j, m] if m >= 0 else rate[1, j, -m]:.8e}"
        for j in range(rate.shape[1])
        for m in range(-j, j + 1)
    ]
    return "Expectation of Stokes rates\n\nl m Y\nyr-1\n" + "\n".join(rows) + "\n"


def peltier(rate: np.ndarray) -> str:
    """Print as ICE-6G_D was posted: the low degrees apart, once for GRACE, once for sea level."""
    rows = [
        f"{j:5d}{m:5d}{rate[0, j, m]:16.8e}{rate[1, j, m]:16.8e}"
        for j, m in places(rate.shape[1] - 1)
    ]
    return "\n".join([
        "ICE-6G_D (VM5a)", "GRACE Approximation for degrees 0 to 2", *rows[:6], "",
        "Absolute Sea-level Values for degrees 0 to 2",
        *(row.replace("e-1", "e-2") for row in rows[:6]), "",
        "GRACE Approximation/Absolute Sea-level Values for degrees > 2", *rows[6:], "",
    ])  # fmt: skip


def gravis(rate: np.ndarray) -> str:
    """Print as GravIS does: GRDOTA below a YAML header."""
    rows = [
        f"GRDOTA {j:4d} {m:4d} {rate[0, j, m]:.8E} {rate[1, j, m]:.8E}"
        for j, m in places(rate.shape[1] - 1)
    ]
    return "header:\n  title : GIA\n# End of YAML header\n" + "\n".join(rows) + "\n"


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    degree=st.integers(3, 12),
    layout=st.sampled_from([reordered, plain, signed, peltier, gravis]),
)
def test_rates_are_read_back_exactly_from_every_layout(seed, degree, layout):
    rate = rates(degree, seed)

    found = read_gia(layout(rate).encode(), name="model")

    np.testing.assert_array_equal(found.stokes_rate.values, rate)
    assert found.attrs["max_degree"] == degree
    CONTRACTS["gia"].check_values(found)


def test_the_model_is_named_after_what_the_file_says():
    assert read_gia(reordered(rates(3)).encode(), name="a.txt").attrs["name"] == "ICE-6G_D"
    assert read_gia(plain(rates(3)).encode(), name="a.txt").attrs["name"] == "a.txt"


@pytest.mark.parametrize(
    ("layout", "kind", "name"),
    [
        (plain, "W12a", "grate_B.clm"),
        (signed, "Caron", "Caron.txt"),
        (peltier, "ICE6G-D", "ICE-6G_High_Res_Stokes_trend.txt"),
    ],
)
def test_rates_agree_with_gravity_toolkit(layout, kind, name, tmp_path: Path, gravity_toolkit):
    path = tmp_path / name
    path.write_text(layout(rates(8)))
    try:
        expected = gravity_toolkit.read_GIA_model(path, GIA=kind, LMAX=8)
    except (ValueError, IndexError) as error:
        pytest.fail(f"gravity-toolkit does not read the {kind} layout as written here: {error}")

    found = read_gia(path.read_bytes(), name=name)

    np.testing.assert_array_equal(found.stokes_rate.values, [expected["clm"], expected["slm"]])


def test_rates_of_ivins_are_scaled_as_gravity_toolkit_does(tmp_path: Path, gravity_toolkit):
    rate = rates(8) * 1e11
    path = tmp_path / "Stokes.R2_65_.2_1.5_L120"
    path.write_text(plain(rate).partition("\n")[2])
    expected = gravity_toolkit.read_GIA_model(path, GIA="IJ05-R2", LMAX=8)

    found = read_gia(path.read_bytes(), name=path.name)

    np.testing.assert_array_equal(found.stokes_rate.values, [expected["clm"], expected["slm"]])
    with pytest.raises(GravityFormatError, match="another unit"):
        read_gia(path.read_bytes(), name="rates.txt")


def change(text: str, old: str, new: str) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


TN13_TEXT = tn13().decode()
GIA_TEXT = reordered(rates(3))


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        pytest.param("degree-one", TN14.encode(), ["no rows of degree 1", "TN-13"], id="not TN-13"),
        pytest.param("degree-one", tn13(TN13_ROWS[:3]), ["3 rows", "pairs"], id="half a month"),
        pytest.param(
            "degree-one",
            tn13([*TN13_ROWS[:1], TN13_ROWS[3]]),
            ["line", "2011-02-01", "one"],
            id="other month",
        ),
        pytest.param(
            "degree-one",
            change(TN13_TEXT, "+5.12", "+5,12"),
            ["line 9", "'+5,120437146e-10'"],
            id="comma",
        ),
        pytest.param(
            "degree-one",
            change(TN13_TEXT, "+5.120437146e-10", "nan"),
            ["line 9", "finite"],
            id="nan",
        ),
        pytest.param(
            "degree-one",
            change(TN13_TEXT, "GRCOF2    1   0 -4", "GRCOF3    1   0 -4"),
            ["line 11", "GRCOF3"],
            id="unknown record",
        ),
        pytest.param(
            "degree-one",
            TN13_TEXT.replace("20110301.0000", "20110101.0000").encode(),
            ["not after its start 2011-02-01"],
            id="reversed",
        ),
        pytest.param("degree-one", tn13(TN13_ROWS[:2] * 2), ["lines 9 and 11", "once"], id="twice"),
        pytest.param(
            "degree-one", change(SWENSON, "mm ", "cm "), ["'mm equivalent"], id="unit of loads"
        ),
        pytest.param(
            "degree-one", change(SWENSON, "2002.36", "202.36"), ["decimal years"], id="no year"
        ),
        pytest.param("low-degrees", tn13(), ["Julian date", "TN-14"], id="not TN-14"),
        pytest.param(
            "low-degrees",
            change(TN14, "55593.0", "55500.0"),
            ["line 9", "not after"],
            id="TN-14 reversed",
        ),
        pytest.param(
            "low-degrees",
            change(TN14, "-4.8416934147454E-04", "NaN"),
            ["line 9", "finite"],
            id="C20 absent",
        ),
        pytest.param(
            "low-degrees",
            change(TN14, "-4.8416934147454E-04", "-1.0826E-03"),
            ["line 9", "normalised"],
            id="C20 unnormalised",
        ),
        pytest.param(
            "low-degrees", change(TN14, " 0.3127 ", " "), ["line 10", "9 fields"], id="TN-14 short"
        ),
        pytest.param(
            "low-degrees",
            change(TN14, "56110.0", "5611O.0"),
            ["line 10", "'5611O.0"],
            id="letter O",
        ),
        pytest.param(
            "low-degrees",
            change(TN14, "6378.1363 (km)", "6378.1363 (m)"),
            ["6.3e+06"],
            id="unit of R",
        ),
        pytest.param(
            "low-degrees",
            change(TN07, "55866.0", "55851.0"),
            ["expected each once"],
            id="TN-07 twice",
        ),
        pytest.param("love-numbers", TN14.encode(), ["no heading", "l h k l"], id="no heading"),
        pytest.param(
            "love-numbers",
            change(HAN_WAHR, "h                 k                   l", "h l k l"),
            ["4 fields", "expected 5"],
            id="columns",
        ),
        pytest.param(
            "love-numbers",
            change(HAN_WAHR, "  h                 k                   l", "  h l k"),
            ["line 5", "-1 < k < 0", "order"],
            id="k and l swapped",
        ),
        pytest.param(
            "love-numbers",
            change(HAN_WAHR, "  2  -0.99", "  3  -0.99"),
            ["line 5", "degree 3, expected 2"],
            id="gap",
        ),
        pytest.param(
            "love-numbers", change(HAN_WAHR, "0.    1.02", "0.5    1.02"), ["frame"], id="no frame"
        ),
        pytest.param(
            "degree-one",
            change(TN13_TEXT, "+4.4585e-11", "inf"),
            ["line 9", "sigmas [inf"],
            id="infinite sigma",
        ),
        pytest.param(
            "gia",
            change(gravis(rates(3)), "GRDOTA    2    1", "GRDOTX    2    1"),
            ["line 8", "GRDOTX"],
            id="rate of unknown record",
        ),
        pytest.param(
            "gia", gravis(rates(3)).encode() + b"GRDOTA \n", ["line 14"], id="bare GRDOTA"
        ),
        pytest.param("gia", b"nothing here\n", ["no rows of degree"], id="no rates"),
        pytest.param(
            "gia", GIA_TEXT.replace("e-1", "e-0").encode(), ["another unit"], id="unit of rates"
        ),
        pytest.param(
            "gia",
            change(GIA_TEXT, "3\t3\t", "3\t2\t"),
            ["both give degree 3, order 2"],
            id="rate twice",
        ),
        pytest.param(
            "gia",
            change(GIA_TEXT, "3\t3\t", "4\t3\t"),
            ["first missing is degree 3, order 3"],
            id="rate gap",
        ),
        pytest.param(
            "gia", change(GIA_TEXT, "2\t1\t", "x\t1\t"), ["line 8", "'x'"], id="rate unreadable"
        ),
        pytest.param(
            "gia", GIA_TEXT.replace("3\t3\t", "3\t3 \t5\t").encode(), ["5 fields"], id="rate fields"
        ),
    ],
)
def test_what_is_wrong_is_named(kind: str, data: bytes, said: list[str]):
    with pytest.raises(GravityFormatError) as refusal:
        READERS[kind](data, name="the-file.txt")

    message = str(refusal.value)
    assert message.startswith("the-file.txt: ")
    for fragment in said:
        assert fragment in message


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    base=st.sampled_from(
        [
            ("degree-one", TN13_TEXT),
            ("degree-one", SWENSON),
            ("low-degrees", TN14),
            ("low-degrees", TN07),
            ("love-numbers", HAN_WAHR),
            ("love-numbers", WANG),
            ("gia", GIA_TEXT),
        ]
    ),
    cuts=st.integers(1, 4),
)
def test_damage_gives_a_table_or_a_named_refusal_and_nothing_else(seed, base, cuts):
    kind, text = base
    rng = np.random.default_rng(seed)
    data = bytearray(text.encode())
    for _ in range(cuts):
        at = int(rng.integers(len(data)))
        data[at : at + int(rng.integers(1, 20))] = rng.bytes(int(rng.integers(0, 5)))

    try:
        READERS[kind](bytes(data), name="fuzzed")
    except GravityFormatError as error:
        refusal = str(error)
    else:
        refusal = "fuzzed: read"
    assert refusal.startswith("fuzzed: ")
