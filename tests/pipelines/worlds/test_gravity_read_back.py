"""The readers of the products read the world's files back to their printed digits."""

import datetime as dt

import numpy as np
import pytest

from pipelines.worlds import gravity_files, months
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.gravity_files import WrittenGravity
from pipelines.worlds.gravity_record import Record, measure
from stac import gravity

J_MAX = 20


@pytest.fixture(scope="module")
def record(world: Antarctica) -> Record:
    return measure(world, start="2011-02", span=16, j_max=J_MAX)


def test_a_monthly_field_reads_back_to_its_printed_digits(
    written: WrittenGravity, record: Record
) -> None:
    for n in (0, len(record.windows) - 1):
        path, window = written.gravity[n], record.windows[n]

        found = gravity.read_gravity_field(path.read_bytes(), name=path.name)

        np.testing.assert_allclose(found.stokes.values, record.fields[n], rtol=1e-11, atol=1e-30)
        np.testing.assert_allclose(found.stokes_sigma.values, record.formal[n], rtol=2e-3)
        assert found.attrs["tide_system"] == "zero_tide"
        assert found.attrs["max_degree"] == J_MAX
        assert found.attrs["mission"] == "GRACE"
        assert found.attrs["time_start"][:10] == window.start.isoformat()
        assert found.attrs["time_end"][:10] == window.stop.isoformat()


def test_the_geocentre_lacks_one_month_and_reads_back(
    written: WrittenGravity, record: Record
) -> None:
    path = written.degree_one[0]

    found = gravity.read_degree_one(path.read_bytes(), name=path.name)

    kept = [n for n, w in enumerate(record.windows) if w.index != months.WITHOUT_GEOCENTRE]
    assert len(kept) == len(record.windows) - 1
    np.testing.assert_allclose(
        found["value"].sel(coefficient=["C10", "C11", "S11"]), record.degree_one[kept], rtol=1e-9
    )
    starts = found["time_start"].values.astype("datetime64[D]").astype(dt.date).tolist()
    assert starts == [record.windows[n].start for n in kept]
    assert found.attrs["gia_removed"] == ""


def test_low_degrees_read_back_and_c30_begins_late(written: WrittenGravity, record: Record) -> None:
    path = written.low_degrees[0]

    found = gravity.read_low_degrees(path.read_bytes(), name=path.name)

    values = found["value"].sel(coefficient=["C20", "C30"]).values
    np.testing.assert_allclose(values, record.low_degrees, rtol=1e-13)
    late = [w.start >= months.FIRST_C30 for w in record.windows]
    np.testing.assert_array_equal(np.isfinite(values[:, 1]), late)
    assert found.attrs["tide_system"] == "zero_tide"


def test_love_numbers_read_back(written: WrittenGravity) -> None:
    path = written.love_numbers[0]

    found = gravity.read_love_numbers(path.read_bytes(), name=path.name)

    h, shear, k = gravity_files.kelvin_love_numbers(gravity_files.LOVE_DEGREE)
    np.testing.assert_allclose(found["h"], h, atol=1e-13)
    np.testing.assert_allclose(found["l"], shear, atol=1e-13)
    np.testing.assert_allclose(found["k"], k, atol=1e-13)


def test_rebound_reads_back(written: WrittenGravity, record: Record) -> None:
    path = written.gia[0]

    found = gravity.read_gia(path.read_bytes(), name=path.name)

    np.testing.assert_allclose(found["stokes_rate"], record.rebound, rtol=1e-8, atol=1e-99)
