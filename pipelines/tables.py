"""The one table schema of every product: tidy, one number a row, columns in a fixed order.

The columns are a contract with other tools (``docs/contracts.md``).
"""

import csv
import datetime as dt
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields


class TableError(ValueError):
    """A table that does not follow the schema."""


@dataclass(frozen=True)
class Row:
    """One number that people quote.

    Attributes
    ----------
    product, quantity : str
        What made it, and what it is.
    region_set, region : str
        Collection of polygons, and the id of one or the name of a group.
    period_start, period_end : date
        First and last day, both inclusive.
    value, uncertainty : float
        The number and one standard deviation.
    unit : str
        UDUNITS text, such as ``Gt yr-1``.
    note : str
        ``key=value`` pairs separated by semicolons.
    """

    product: str
    quantity: str
    region_set: str
    region: str
    period_start: dt.date
    period_end: dt.date
    value: float
    uncertainty: float
    unit: str
    note: str = ""

    @property
    def told(self) -> dict[str, str]:
        """What the note tells, by key; words without a value are left out.

        >>> day = dt.date(2006, 1, 20)
        >>> Row("", "", "", "", day, day, 1.0, 0.1, "1", "summer=2005;lower=0.9;dark").told
        {'summer': '2005', 'lower': '0.9'}
        """
        return dict(part.split("=", 1) for part in self.note.split(";") if "=" in part)


def summer_name(year: int) -> str:
    """Return an austral summer as people write it, from the year of its November.

    >>> summer_name(1999), summer_name(2005)
    ('1999/2000', '2005/06')
    """
    end = year + 1
    return f"{year}/{end}" if end % 100 == 0 else f"{year}/{end % 100:02d}"


COLUMNS = tuple(field.name for field in fields(Row))
"""Column names in the order of the contract."""


def write_rows(rows: Iterable[Row]) -> bytes:
    """Return rows as CSV: UTF-8, newline-terminated, numbers to the last digit.

    Examples
    --------
    >>> day = dt.date(2011, 2, 1)
    >>> row = Row("gravimetry", "mass_rate", "zwally2012", "22", day, day, -46.5, 1.5, "Gt yr-1")
    >>> print(write_rows([row]).decode().splitlines()[1])
    gravimetry,mass_rate,zwally2012,22,2011-02-01,2011-02-01,-46.5,1.5,Gt yr-1,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([v.isoformat() if isinstance(v, dt.date) else v for v in astuple(row)])
    return text.getvalue().encode()


def read_rows(data: bytes) -> list[Row]:
    """Read rows back.

    Parameters
    ----------
    data : bytes
        CSV in the schema.

    Returns
    -------
    list of Row

    Raises
    ------
    TableError
        Other columns, a short line, a field that is no date or number, a period that ends before
        it begins, or an uncertainty below zero.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode())))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"is not CSV in UTF-8 ({error}); expected {', '.join(COLUMNS)}"
        raise TableError(msg) from error
    if not lines or tuple(lines[0]) != COLUMNS:
        found = ", ".join(lines[0]) if lines else "an empty file"
        msg = f"found columns {found}; expected {', '.join(COLUMNS)}"
        raise TableError(msg)
    return [_row(number, line) for number, line in enumerate(lines[1:], start=2)]


def _row(number: int, line: list[str]) -> Row:
    try:
        product, quantity, region_set, region, start, end, value, sigma, unit, note = line
        row = Row(
            product,
            quantity,
            region_set,
            region,
            dt.date.fromisoformat(start),
            dt.date.fromisoformat(end),
            float(value),
            float(sigma),
            unit,
            note,
        )
    except ValueError as error:
        msg = f"line {number}: {error}; expected {', '.join(COLUMNS)}"
        raise TableError(msg) from error
    _require_sense(number, row)
    return row


def _require_sense(number: int, row: Row) -> None:
    """Refuse what no table of ours says; NaN is not measured, and passes."""
    if row.period_end < row.period_start:
        ends = f"found {row.period_start} to {row.period_end}"
        msg = f"line {number}: {ends}, expected a period that ends after it begins; exchange them"
        raise TableError(msg)
    if row.uncertainty < 0.0:
        msg = (
            f"line {number}: found uncertainty {row.uncertainty:g}, expected 0 or more (one sigma)"
        )
        raise TableError(msg)
