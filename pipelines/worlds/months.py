"""When the synthetic satellites measured: whole months, one short month, and gaps."""

import datetime as dt
from dataclasses import dataclass

MISSING = (4, 23, 38, 51)
"""Months, counted from the first, without a gravity field: the batteries were off."""
SHORT = 11
"""The month of which only part was measured."""
SHORT_LAST_DAY = 17
WITHOUT_GEOCENTRE = 8
"""The month that the geocentre series lacks."""
FIRST_C30 = dt.date(2012, 3, 1)
"""From here on satellite laser ranging gives C30, as in TN-14, and the fields' own is bad."""


class MonthError(ValueError):
    """A period that no record can cover."""


@dataclass(frozen=True)
class Window:
    """The days that went into one monthly field.

    Attributes
    ----------
    index : int
        Number of the calendar month, counted from the first of the record.
    start, stop : datetime.date
        First day, and the day after the last.
    """

    index: int
    start: dt.date
    stop: dt.date

    @property
    def days(self) -> int:
        """Length [d]."""
        return (self.stop - self.start).days


def month_after(first: dt.date, count: int) -> dt.date:
    """Return the first day of the month ``count`` months later.

    Examples
    --------
    >>> month_after(dt.date(2011, 11, 1), 3)
    datetime.date(2012, 2, 1)
    """
    months = first.year * 12 + first.month - 1 + count
    return dt.date(months // 12, months % 12 + 1, 1)


def first_day(start: str) -> dt.date:
    """Read a month such as ``2011-02``.

    Raises
    ------
    MonthError
        Text that is no month.
    """
    try:
        return dt.date.fromisoformat(f"{start}-01")
    except ValueError as error:
        msg = f"found start {start!r}, expected a month such as '2011-02'"
        raise MonthError(msg) from error


def windows(start: str, *, months: int) -> tuple[Window, ...]:
    """Lay out the record: a calendar month each, some absent, one cut short.

    Parameters
    ----------
    start : str
        First month, such as ``2011-02``.
    months : int
        Calendar months that the record spans, those without a field included.

    Returns
    -------
    tuple of Window
        One for each field there is.

    Raises
    ------
    MonthError
        Text that is no month, or fewer than one month.
    """
    first = first_day(start)
    if months < 1:
        msg = f"found {months} months, expected at least one"
        raise MonthError(msg)
    return tuple(_window(first, index) for index in range(months) if index not in MISSING)


def _window(first: dt.date, index: int) -> Window:
    begin, after = month_after(first, index), month_after(first, index + 1)
    if index == SHORT:
        after = begin.replace(day=SHORT_LAST_DAY + 1)
    return Window(index, begin, after)
