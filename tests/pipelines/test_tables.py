"""The one table schema: columns of the contract, numbers to the last digit, refusals."""

import csv
import datetime as dt
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tables import COLUMNS, Row, TableError, read_rows, write_rows

CONTRACT = (
    "product, quantity, region_set, region, period_start, period_end, value, uncertainty, unit"
    ", note"
)
DAY = dt.date(2011, 2, 1)
ROW = Row("gravimetry", "mass_rate", "zwally2012", "22", DAY, DAY, -46.5, 1.5, "Gt yr-1")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=20)
numbers = st.floats(allow_nan=False)
sigmas = st.floats(min_value=0.0, allow_nan=False)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    start, end = sorted((draw(st.dates()), draw(st.dates())))
    names = [draw(texts) for _ in range(6)]
    return Row(*names[:4], start, end, draw(numbers), draw(sigmas), *names[4:])


def test_columns_are_those_of_the_contract() -> None:
    assert ", ".join(COLUMNS) == CONTRACT
    assert write_rows([]).decode() == CONTRACT.replace(", ", ",") + "\n"


@given(st.lists(rows(), max_size=5))
def test_what_is_written_is_read_back_to_the_last_digit(table: list[Row]) -> None:
    assert read_rows(write_rows(table)) == table


def test_any_reader_of_csv_finds_the_fields() -> None:
    row = Row(**{**ROW.__dict__, "note": 'a "quoted", note\nof two lines'})

    (found,) = csv.DictReader(io.StringIO(write_rows([row]).decode()))

    assert found["note"] == row.note
    assert float(found["value"]) == row.value


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("product,quantity", "quantity,product", "found columns quantity, product"),
        ("-46.5", "much", "line 2: could not convert string to float"),
        ("2011-02-01", "February", "line 2: Invalid isoformat"),
        ("1.5", "-1.5", "line 2: found uncertainty -1.5, expected 0 or more"),
        (
            "2011-02-01,2011-02-01",
            "2011-02-01,2011-01-31",
            "line 2: found 2011-02-01 to 2011-01-31, expected a period that ends",
        ),
        (",Gt yr-1,", "", "line 2: not enough values"),
    ],
)
def test_other_tables_are_refused(old: str, new: str, expected: str) -> None:
    data = write_rows([ROW]).decode().replace(old, new).encode()

    with pytest.raises(TableError, match=expected):
        read_rows(data)


def test_what_is_not_measured_stays_so() -> None:
    row = Row(**{**ROW.__dict__, "value": float("nan"), "uncertainty": float("nan")})

    (found,) = read_rows(write_rows([row]))

    assert math.isnan(found.value)
    assert math.isnan(found.uncertainty)


def test_numbers_of_numpy_are_written_to_the_last_digit() -> None:
    row = Row(**{**ROW.__dict__, "value": np.float64(1) / 3})

    assert read_rows(write_rows([row]))[0].value == 1 / 3


@pytest.mark.parametrize("data", [b"", b"\xff\xfe"])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(TableError, match="expected product, quantity"):
        read_rows(data)
