"""The files that the centres published, against gravity-toolkit and facts known of them."""

import statistics
import time
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from stac.contracts import CONTRACTS
from stac.gravity import (
    read_degree_one,
    read_gia,
    read_gravity_field,
    read_love_numbers,
    read_low_degrees,
)

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def gravity_toolkit() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import gravity_toolkit
        import gravity_toolkit.SLR
    return gravity_toolkit


@pytest.fixture(scope="module")
def gravity(data_root: Path) -> Path:
    return data_root / "gravity"


@pytest.fixture(scope="module")
def months(gravity: Path) -> list[Path]:
    return sorted((gravity / "csr_rl06_96").glob("GSM-2_*.gz"))


def read(reader, path: Path):
    return reader(path.read_bytes(), name=path.name)


def test_all_months_of_csr_are_read(months: list[Path]):
    fields = [read(read_gravity_field, path) for path in months]

    missions = [field.attrs["mission"] for field in fields]
    assert len(fields) == 231
    assert (missions.count("GRACE"), missions.count("GRACE-FO")) == (162, 69)
    assert {field.attrs["release"] for field in fields} == {"RL06", "RL06.2"}
    for key, value in {"centre": "CSR", "tide_system": "zero_tide", "max_degree": 96}.items():
        assert {field.attrs[key] for field in fields} == {value}
    middles = [np.mean([day(field, "time_start"), day(field, "time_end")]) for field in fields]
    first, after = (np.datetime64(text).astype(int) for text in ("2011-02-01", "2017-07-01"))
    assert sum(first <= middle < after for middle in middles) == 60
    for field in fields:
        assert abs(field.stokes.values[0, 2, 0] + 4.8416945e-4) < 1e-9
        assert field.stokes.values[0, 0, 0] == 1.0
        CONTRACTS["grace-l2"].check_values(field)


def day(field, name: str) -> int:
    return int(np.datetime64(field.attrs[name]).astype("datetime64[D]").astype(int))


def test_windows_agree_with_the_days_in_the_names_of_the_files(months: list[Path]):
    for path in months:
        field = read(read_gravity_field, path)
        first, last = (
            np.datetime64(f"{days[:4]}-01-01") + int(days[4:]) - 1
            for days in path.name.split("_")[1].split("-")
        )
        # the days of a name are those of the window, the last one included
        assert field.attrs["time_start"] == str(first), path.name
        assert field.attrs["time_end"] == str(last + 1), path.name


def test_every_tenth_month_agrees_bit_for_bit_with_gravity_toolkit(
    months: list[Path], gravity_toolkit
):
    for path in months[::10]:
        expected = gravity_toolkit.read_GRACE_harmonics(path, 96)

        found = read(read_gravity_field, path)

        np.testing.assert_array_equal(found.stokes.values, [expected["clm"], expected["slm"]])
        np.testing.assert_array_equal(
            found.stokes_sigma.values, [expected["eclm"], expected["eslm"]]
        )


def test_a_line_of_june_2018_is_found_in_its_place(gravity: Path):
    path = gravity / "csr_rl06_96" / "GSM-2_2018152-2018181_GRFO_UTCSR_BB01_0602.gz"

    found = read(read_gravity_field, path)

    # GRCOF2    2    0 -.484169560812E-03 0.000000000000E+00 0.1699E-12 0.0000E+00
    assert found.stokes.values[0, 2, 0] == -0.484169560812e-03
    assert found.stokes_sigma.values[0, 2, 0] == 0.1699e-12
    assert found.attrs["time_start"] == "2018-06-01"
    assert found.attrs["time_end"] == "2018-07-01"
    assert found.attrs["unused_days"] == ""


def test_reading_is_several_times_faster_than_gravity_toolkit(months: list[Path], gravity_toolkit):
    ours, peer = [], []
    for path in months[:12]:
        for spent, work in (
            (ours, lambda: read(read_gravity_field, path)),  # noqa: B023
            (peer, lambda: gravity_toolkit.read_GRACE_harmonics(path, 96)),  # noqa: B023
        ):
            started = time.process_time()
            work()
            spent.append(time.process_time() - started)

    # python -m tests.benchmarks.reading finds 9 times; 5 is what the first issue asks
    assert statistics.median(peer) > 5.0 * statistics.median(ours)


def test_degree_1_of_csr_agrees_with_gravity_toolkit(gravity: Path, gravity_toolkit):
    path = gravity / "auxiliary" / "TN-13_GEOC_CSR_RL0602.txt"
    expected = gravity_toolkit.geocenter().from_tellus(path)

    found = read(read_degree_one, path)

    for name in ("C10", "C11", "S11"):
        of_name = found.sel(coefficient=name)
        np.testing.assert_array_equal(of_name["value"], getattr(expected, name))
        np.testing.assert_array_equal(of_name["sigma"], getattr(expected, f"e{name}"))
    assert found.sizes["time"] == 232
    assert found.attrs["frame"] == "CF"
    assert found.attrs["gia_removed"] == "ICE-6G_D"
    CONTRACTS["degree-one"].check_values(found)


def test_low_degrees_of_gsfc_agree_with_gravity_toolkit(gravity: Path, gravity_toolkit):
    path = gravity / "auxiliary" / "TN-14_C30_C20_GSFC_SLR.txt"
    c20, c30 = gravity_toolkit.SLR.C20(path), gravity_toolkit.SLR.C30(path)

    found = read(read_low_degrees, path)

    given = found.sel(coefficient="C30").dropna("time")
    np.testing.assert_array_equal(found["value"].sel(coefficient="C20"), c20["data"])
    np.testing.assert_array_equal(found["sigma"].sel(coefficient="C20"), c20["error"])
    np.testing.assert_array_equal(given["value"], c30["data"])
    np.testing.assert_array_equal(given["sigma"], c30["error"])
    assert str(given.time_start.values[0])[:10] == "2012-03-01"
    assert found.attrs["tide_system"] == "zero_tide"
    CONTRACTS["low-degrees"].check_values(found)


def test_every_month_has_its_degree_1_c20_and_where_needed_c30(gravity: Path, months: list[Path]):
    geocentre = read(read_degree_one, gravity / "auxiliary" / "TN-13_GEOC_CSR_RL0602.txt")
    laser = read(read_low_degrees, gravity / "auxiliary" / "TN-14_C30_C20_GSFC_SLR.txt")

    for path in months:
        field = read(read_gravity_field, path)
        middle = np.mean([day(field, "time_start"), day(field, "time_end")])
        for series in (geocentre, laser):
            epochs = series.time.values.astype("datetime64[h]").astype(float) / 24.0
            assert np.abs(epochs - middle).min() <= 5.0, path.name


@pytest.mark.parametrize(
    ("name", "number", "degree"),
    [
        ("love_numbers", 0, 696),
        ("Load_Love2_CE.dat", 1, 1024),
        ("PREM-LLNs-truncated.dat", 2, 5000),
    ],
)
def test_love_numbers_agree_with_gravity_toolkit(
    gravity: Path, gravity_toolkit, name, number, degree
):
    h, k, shear = gravity_toolkit.load_love_numbers(degree, LOVE_NUMBERS=number, REFERENCE="CE")

    found = read(read_love_numbers, gravity / "love_numbers" / name)

    assert found.attrs["max_degree"] == degree
    assert found.attrs["frame"] == "CE"
    # the oracle extrapolates its last degree, and makes up degree 0 where a file has none
    inside = slice(1, degree)
    np.testing.assert_array_equal(found.h.values[inside], h[inside])
    np.testing.assert_array_equal(found.l.values[inside], shear[inside])
    np.testing.assert_array_equal(found.k.values[inside], k[inside])
    CONTRACTS["love-numbers"].check_values(found)


def test_han_and_wahr_have_the_known_k(gravity: Path):
    found = read(read_love_numbers, gravity / "love_numbers" / "love_numbers")

    assert found.k.values[1] == 0.0
    assert found.k.values[2] == pytest.approx(-0.3025, abs=5e-5)
    assert found.k.values[10] == pytest.approx(-0.0686, abs=5e-5)


@pytest.mark.parametrize(("version", "c20"), [("C", 1.40738668e-11), ("D", 1.38173003e-11)])
def test_rates_of_peltier_are_read_as_a_plain_split_reads_them(gravity: Path, version, c20):
    path = gravity / "gia" / f"GIA.ICE-6G_{version}.txt"
    body = path.read_text().partition("END OF HEADER")[2].split("\n", 1)[1]
    expected = np.zeros((2, 257, 257))
    for line in body.splitlines():
        j, m, c, s = line.split()
        expected[:, int(j), int(m)] = float(c), float(s)

    found = read(read_gia, path)

    np.testing.assert_array_equal(found.stokes_rate.values, expected)
    assert found.stokes_rate.values[0, 2, 0] == c20
    assert found.attrs == {"name": f"ICE-6G_{version}", "max_degree": 256}
    CONTRACTS["gia"].check_values(found)


def test_goco06s_at_an_epoch_agrees_with_pyshtools(gravity: Path):
    from pyshtools.shio import read_icgem_gfc

    path = gravity / "GOCO06s_l20.gfc"
    found = read(read_gravity_field, path)
    expected, gm, radius = read_icgem_gfc(str(path), epoch="20150701", encoding="utf-8")

    since = 2015.0 + 181.0 / 365.0 - 2010.0
    phase = 2.0 * np.pi * since / found.period_years.values[:, None, None, None]
    value = found.stokes.values + since * found.stokes_trend.values
    value = value + (found.stokes_cosine.values * np.cos(phase)).sum(axis=0)
    value = value + (found.stokes_sine.values * np.sin(phase)).sum(axis=0)

    assert found.period_years.values.tolist() == [1.0]
    assert found.attrs["reference_epoch"] == "2010-01-01"
    assert found.attrs["tide_system"] == "zero_tide"
    assert (found.attrs["gm"], found.attrs["radius"]) == (gm, radius)
    # rates reach 1e-10 yr-1, so a few ulp of C20 (1e-19) are left
    np.testing.assert_allclose(value, expected, rtol=0.0, atol=1e-18)
    CONTRACTS["grace-l2"].check_values(found)
