"""Years of ice flow and months of snow: which days each has, and how months make years.

Labels say which year is meant: ``2007-2008`` runs from 1 July 2007 to 30 June 2008, as the annual
maps of NSIDC-0720 do; ``2008`` is the calendar year; ``2008-03`` a month. Intervals start
inclusively and end exclusively.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.constants import DAYS_PER_YEAR

FLOAT = NDArray[np.float64]
DATES = NDArray[np.datetime64]
Reading = Literal["velocity", "calendar", "calendar_end", "calendar_both"]

_LABEL = re.compile(r"(\d{4})(?:-(\d{4}|\d{2}))?")


class YearError(ValueError):
    """Years and months that do not fit together."""


@dataclass(frozen=True)
class Year:
    """An interval of ice flow.

    Attributes
    ----------
    label : str
        What people call it.
    start, end : date
        First day, and the first day after it.
    """

    label: str
    start: dt.date
    end: dt.date

    @property
    def middle(self) -> float:
        """Its middle as a decimal year: days into that year over the length of that year."""
        half = dt.timedelta(days=(self.end - self.start).days / 2.0)
        moment = dt.datetime.combine(self.start, dt.time(), dt.UTC) + half
        first = dt.datetime(moment.year, 1, 1, tzinfo=dt.UTC)
        return moment.year + (moment - first) / dt.timedelta(days=_length(moment.year))

    @property
    def duration(self) -> float:
        """Its length [yr], in years of 365.25 days."""
        return (self.end - self.start).days / DAYS_PER_YEAR


def decimal(day: dt.date) -> float:
    """Return the beginning of a day as a decimal year: days into its year over that year's length.

    Examples
    --------
    >>> decimal(dt.date(2008, 1, 1)), round(decimal(dt.date(2008, 7, 2)), 3)
    (2008.0, 2008.5)
    """
    return day.year + (day - dt.date(day.year, 1, 1)).days / _length(day.year)


def _length(year: int) -> int:
    return (dt.date(year + 1, 1, 1) - dt.date(year, 1, 1)).days


def year(label: str) -> Year:
    """Return the interval that a label names.

    Raises
    ------
    YearError
        A label that names neither a glaciological year, a calendar year nor a month.

    Examples
    --------
    >>> year("2007-2008")
    Year(label='2007-2008', start=datetime.date(2007, 7, 1), end=datetime.date(2008, 7, 1))
    >>> year("2008").end
    datetime.date(2009, 1, 1)
    >>> year("2008-12").end
    datetime.date(2009, 1, 1)
    """
    match = _LABEL.fullmatch(label)
    first, second = (match.group(1), match.group(2)) if match else ("0", None)
    begin = int(first)
    if begin and second is None:
        return Year(label, dt.date(begin, 1, 1), dt.date(begin + 1, 1, 1))
    if begin and second and len(second) == 4 and int(second) == begin + 1:
        return Year(label, dt.date(begin, 7, 1), dt.date(begin + 1, 7, 1))
    if begin and second and len(second) == 2 and 1 <= int(second) <= 12:
        month = int(second)
        after = dt.date(begin + month // 12, month % 12 + 1, 1)
        return Year(label, dt.date(begin, month, 1), after)
    msg = (
        f"found the year {label!r}, expected '2007-2008' (1 July to 30 June), '2008' (calendar) or "
        "'2008-03' (a month)"
    )
    raise YearError(msg)


def months_of(start: dt.date, end: dt.date) -> tuple[Year, ...]:
    """Return the months of an interval as years of ice flow, where velocities are monthly.

    Examples
    --------
    >>> [each.label for each in months_of(dt.date(2007, 12, 1), dt.date(2008, 2, 1))]
    ['2007-12', '2008-01']
    """
    if start.day != 1 or end.day != 1 or end <= start:
        msg = f"found {start} to {end}, expected the first days of a month and of a later one"
        raise YearError(msg)
    months = np.arange(np.datetime64(start, "M"), np.datetime64(end, "M"))
    return tuple(year(str(month)) for month in months)


def bounds(years: Sequence[Year]) -> tuple[DATES, DATES]:
    """Return first days, and first days after, as arrays of days with shape (year,)."""
    start = np.array([each.start for each in years], dtype="datetime64[D]")
    end = np.array([each.end for each in years], dtype="datetime64[D]")
    return start, end


def month_weights(
    start: DATES, end: DATES, months: DATES, *, reading: Reading = "velocity"
) -> FLOAT:
    """Return what part of each month belongs to each year, so that amounts sum to the year's.

    Parameters
    ----------
    start, end : ndarray of datetime64[D], shape (year,)
        First days, and first days after, of years of ice flow.
    months : ndarray of datetime64[M], shape (month,)
        Months, each once, in any order.
    reading : {"velocity", "calendar", "calendar_end", "calendar_both"}
        Whose months a year takes: those of its own interval; of the calendar year in which it
        begins; in which its last day lies; or of all calendar years that it touches, each
        weighted by the part of the interval that lies in it.

    Returns
    -------
    ndarray, shape (year, month)
        Fractions [1]. They do not say whether all months of a year are there: see
        :func:`month_shortfall`.

    Raises
    ------
    YearError
        A year that ends before it starts, a month that is there twice, an unknown reading.

    Notes
    -----
    Yang et al. (2023) pair July-to-June velocities with calendar sums of a climate model, without
    saying of which of the two years; their tables cannot tell.
    """
    _require_calendar(start, end, months)
    rows = []
    for first, last in zip(start, end, strict=True):
        parts = _parts(first, last, reading)
        rows.append(sum(share * _overlap(a, b, months) for a, b, share in parts))
    return np.array(rows, dtype=np.float64).reshape(len(start), len(months))


def month_shortfall(
    start: DATES, end: DATES, months: DATES, *, reading: Reading = "velocity"
) -> FLOAT:
    """Return how many months each year needs that the record has not, shape (year,).

    A record that ends in the middle of a year would otherwise give half of it as the whole.
    Parameters are those of :func:`month_weights`.
    """
    first, last = start.min().astype("datetime64[Y]"), end.max().astype("datetime64[Y]") + 1
    every = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]"))
    needed = month_weights(start, end, every, reading=reading).sum(axis=1)
    held = month_weights(start, end, months, reading=reading).sum(axis=1)
    missing = needed - held
    return np.where(np.abs(missing) < 1e-9, 0.0, missing)


def _parts(
    first: np.datetime64, last: np.datetime64, reading: Reading
) -> list[tuple[np.datetime64, np.datetime64, float]]:
    """Return intervals whose months make a year, each with its weight."""
    begin = first.astype("datetime64[Y]")
    final = (last - np.timedelta64(1, "D")).astype("datetime64[Y]")
    day = "datetime64[D]"
    if reading == "velocity":
        return [(first, last, 1.0)]
    if reading in {"calendar", "calendar_end"}:
        of = begin if reading == "calendar" else final
        return [(of.astype(day), (of + 1).astype(day), 1.0)]
    if reading == "calendar_both":
        found = []
        for of in np.arange(begin, final + 1):
            a, b = of.astype(day), (of + 1).astype(day)
            shared = (min(b, last) - max(a, first)) / (last - first)
            found.append((a, b, float(shared)))
        return found
    msg = (
        f"found the reading {reading!r} of a year, expected 'velocity', 'calendar', "
        "'calendar_end' or 'calendar_both'"
    )
    raise YearError(msg)


def _overlap(first: np.datetime64, last: np.datetime64, months: DATES) -> FLOAT:
    """Return what part of each month lies in an interval, shape (month,)."""
    a, b = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    shared = (np.minimum(b, last) - np.maximum(a, first)).astype(np.float64)
    return np.asarray(np.maximum(shared, 0.0) / (b - a).astype(np.float64))


def _require_calendar(start: DATES, end: DATES, months: DATES) -> None:
    wrong = np.flatnonzero(end <= start)
    if wrong.size:
        i = wrong[0]
        msg = f"year {i} runs from {start[i]} to {end[i]}; its end must be after its start"
        raise YearError(msg)
    if months.dtype != np.dtype("datetime64[M]"):
        msg = f"found months as {months.dtype}, expected datetime64[M]"
        raise YearError(msg)
    values, counts = np.unique(months, return_counts=True)
    if np.any(counts > 1):
        msg = f"month {values[counts > 1][0]} is there more than once; leave one record of it"
        raise YearError(msg)


def day_weights(years: Sequence[Year], parts: Sequence[Year]) -> FLOAT:
    """Return the weights of the mean of rates over years, from rates of months (or other parts).

    Parameters
    ----------
    years : sequence of Year, length k
        Years that are asked for.
    parts : sequence of Year, length t
        What the rates are means of, such as months: see :func:`months_of`.

    Returns
    -------
    ndarray, shape (k, t)
        Part of the year's days [1]. Rows sum to 1; a row is NaN where parts overlap or leave days
        of the year out.
    """
    (a, b), (c, d) = bounds(years), bounds(parts)
    shared = np.minimum(b[:, None], d) - np.maximum(a[:, None], c)
    weights = np.maximum(shared.astype(np.float64), 0.0)
    weights /= (b - a).astype(np.float64)[:, None]
    whole = np.abs(weights.sum(axis=1, keepdims=True) - 1.0) < 1e-9
    return np.where(whole, weights, np.nan)
