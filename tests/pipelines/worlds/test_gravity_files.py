"""Files of the synthetic record: published layouts, the world's numbers, the same bytes."""

import gzip
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.worlds import months
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import WrittenGravity, fortran_e, write_gravity
from pipelines.worlds.gravity_record import MEAN_C20, Record, measure

J_MAX = 20


@pytest.fixture(scope="module")
def record(world: Antarctica) -> Record:
    return measure(world, start="2011-02", span=16, j_max=J_MAX)


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("ascii")


def test_months_that_were_not_measured_have_no_file(written: WrittenGravity) -> None:
    names = [path.name for path in written.gravity]

    assert names[0] == "GSM-2_2011032-2011059_GRAC_NUNAT_BB01_0600.gz"
    assert len(names) == 16 - len([m for m in months.MISSING if m < 16])
    assert not any("2011152" in name for name in names)  # June 2011
    assert "GSM-2_2012001-2012017_GRAC_NUNAT_BB01_0600.gz" in names  # cut short
    assert names == sorted(names)


def test_the_same_world_writes_the_same_bytes(written: WrittenGravity, tmp_path: Path) -> None:
    again = write_gravity(Antarctica(), tmp_path, months=16, j_max=J_MAX)

    for role in ("gravity", "degree_one", "low_degrees", "love_numbers", "gia", "basins"):
        for one, other in zip(getattr(written, role), getattr(again, role), strict=True):
            assert one.read_bytes() == other.read_bytes(), one.name
    other_seed = write_gravity(Antarctica(seed=2), tmp_path / "2", months=2, j_max=J_MAX)
    assert other_seed.gravity[0].read_bytes() != written.gravity[0].read_bytes()


@given(value=st.floats(-1e3, 1e3), digits=st.sampled_from([4, 12]))
def test_fortran_numbers_read_back_to_their_digits(value: float, digits: int) -> None:
    text = fortran_e(value, digits)

    assert re.fullmatch(rf"[0-]\.\d{{{digits}}}E[+-]\d\d\d?", text)
    assert float(text) == pytest.approx(value, rel=10.0 ** (1 - digits), abs=1e-320)


def test_polygons_read_back(written: WrittenGravity, world: Antarctica) -> None:
    found = gpd.read_file(written.basins[0])

    assert list(found.columns) == ["region", "name", "group", "geometry"]
    assert found.crs.to_epsg() == 3031
    assert found.geometry.geom_equals(world.basins().geometry).all()
    assert len(gpd.read_file(written.grounded[0])) == 1


def test_the_fields_own_low_degrees_must_be_replaced(record: Record) -> None:
    assert not record.fields[:, :, 1].any()
    np.testing.assert_array_equal(record.fields[:, 0, 0, 0], 1.0)
    own, ranged = record.fields[:, 0, 2, 0], record.low_degrees[:, 0]
    assert np.abs(own - ranged).mean() > 1e-10
    assert record.low_degrees[:, 0].mean() == pytest.approx(MEAN_C20, abs=1e-9)
    late = np.isfinite(record.low_degrees[:, 1])
    off = np.abs(record.fields[late, 0, 3, 0] - record.low_degrees[late, 1])
    assert off.mean() > 3e-11


def test_a_period_that_is_none_is_refused() -> None:
    with pytest.raises(months.MonthError, match="expected a month such as"):
        months.windows("February 2011", months=3)
    with pytest.raises(months.MonthError, match="at least one"):
        months.windows("2011-02", months=0)


@pytest.mark.realdata
def test_layouts_are_those_of_the_real_files(data_root: Path, written: WrittenGravity) -> None:
    """Rows have the columns of the real ones, and the header no key that theirs lack."""
    pairs = [
        (written.gravity[0], "csr_rl06_96/GSM-2_2012001-2012031_GRAC_UTCSR_BB01_0600.gz"),
        (written.degree_one[0], "auxiliary/TN-13_GEOC_CSR_RL0602.txt"),
        (written.low_degrees[0], "auxiliary/TN-14_C30_C20_GSFC_SLR.txt"),
        (written.love_numbers[0], "love_numbers/love_numbers"),
        (written.gia[0], "gia/GIA.ICE-6G_D.txt"),
    ]
    for ours, real in pairs:
        mine, theirs = text_of(ours), text_of(data_root / "gravity" / real)
        assert shape(mine.splitlines()[-1]) == shape(theirs.splitlines()[-1]), real
        keys = set(re.findall(r"^ +([a-z_-]+) *:", mine, flags=re.MULTILINE))
        assert keys <= set(re.findall(r"^ +([a-z_-]+) *:", theirs, flags=re.MULTILINE)), real


def shape(row: str) -> str:
    """Return a row with all digits alike, and a sign like the digit or blank in its place.

    Rows with tabs have no columns: there a number counts as one digit.
    """
    alike = re.sub(r"[0-9]", "9", re.sub(r"-\.", "0.", row))
    alike = re.sub(r"(^|[ \t])[+-]", r"\1 ", re.sub(r"[eE][+-]9+", "E+99", alike))
    return re.sub(r"9+", "9", alike) if "\t" in row else alike
