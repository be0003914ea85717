"""Austral summers, November to March: the days of one, and those that meet a period."""

from __future__ import annotations

import datetime as dt

Period = tuple[dt.date, dt.date]
"""First and last day."""


def days_of(summer: int) -> Period:
    """Return the first and the last day of a summer, named by the year of its November.

    >>> [str(day) for day in days_of(2003)]
    ['2003-11-01', '2004-03-31']
    """
    return dt.date(summer, 11, 1), dt.date(summer + 1, 3, 31)


def meets(summer: int, period: Period) -> bool:
    """Return whether a summer shares a day with a period.

    >>> meets(2003, (dt.date(2004, 3, 31), dt.date(2004, 9, 1)))
    True
    """
    first, last = days_of(summer)
    return first <= period[1] and period[0] <= last


def meeting(period: Period) -> tuple[int, ...]:
    """Return the summers that meet a period.

    >>> meeting((dt.date(2003, 4, 1), dt.date(2005, 1, 15)))
    (2003, 2004)
    """
    years = range(period[0].year - 1, period[1].year + 1)
    return tuple(year for year in years if meets(year, period))
