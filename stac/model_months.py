"""The months that a file of monthly values is of, and amounts of months in whatever unit of time.

Times come as CF writes them, as whole numbers such as 197901, as decimal years, or not at all: a
series that IMBIE was given holds nothing but the fill value. Nothing is guessed: such a file says
its first month in an attribute or in its name, or it is a release whose months are published.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stac import netcdf
from stac.field_units import FieldFormatError, factor
from stac.netcdf import Array, NetcdfFile, text

FLOAT = NDArray[np.float64]
MONTHS = NDArray[np.datetime64]


class _Release(NamedTuple):
    """A series whose months are published, but not in its file."""

    word: str
    first: str
    months: int


RELEASES = (_Release("ERA5-3H_RACMO2.3p2_ANT27_IMBIE2", "1979-01", 516),)
"""van Wessem et al. (2018), ERA5 from January 1979 to December 2021: its months go with those of
MAR, forced by the same reanalysis (correlation of anomalies 0.96, next to none a month off)."""
TIME_NAMES = ("time", "valid_time", "date", "t")
FIRST_ATTRIBUTES = ("first_month", "start_month", "time_coverage_start", "start_date",
                    "period_start", "time_start")  # fmt: skip
DAYS_PER_YEAR = 365.25
_MONTHS_SINCE = re.compile(r"^months?\s+since\s+(?P<origin>.+)$", re.IGNORECASE)
_PER_MONTH = re.compile(
    r"(?:/|\bper\b)\s*(?:calendar\s+)?mon(?:th)?s?\b|\bmon(?:th)?s?\s*(?:\^|\*\*)?\s*[-⁻−][1¹]",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"(?<!\d)(?P<y0>(?:19|20)\d\d)-?(?P<m0>0[1-9]|1[0-2])?"
    r"[-_](?P<y1>(?:19|20)\d\d)-?(?P<m1>0[1-9]|1[0-2])?(?!\d)"
)
_BOUNDARY = 0.1
"""How far a decimal year may be from the boundary of a month, of which it has two decimals [month].
"""


def read_months(file: NetcdfFile, dim: str, count: int) -> MONTHS:
    """Read which months the entries along a dimension are of.

    Parameters
    ----------
    file : NetcdfFile
        Open file.
    dim : str
        Its dimension of time.
    count : int
        How many there are.

    Returns
    -------
    ndarray of datetime64[M], shape (count,)
        Increasing.

    Raises
    ------
    FieldFormatError
        No times and no first month, times of an unknown form, several in one month.
    """
    array = _times(file, dim)
    values = array.read().reshape(-1) if array is not None and array.is_number else None
    if array is None or values is None or np.isnan(values).all():
        return first_month(file, count) + np.arange(count)
    if np.isnan(values).any():
        msg = (
            f"{file.name}: {array.name!r} lacks {np.isnan(values).sum()} of {values.size} times, "
            "expected all or none of them; correct the file"
        )
        raise FieldFormatError(msg)
    return _require_increasing(_decoded(file, array, values), what=f"{file.name}: {array.name!r}")


def first_month(file: NetcdfFile, count: int) -> np.datetime64:
    """Return the first month of a series without times: from an attribute, its name, or a release.

    Raises
    ------
    FieldFormatError
        Nothing tells it.
    """
    given = {str(key).lower(): text(value) for key, value in file.attributes.items()}
    for key in FIRST_ATTRIBUTES:
        if re.match(r"(19|20)\d\d-?(0[1-9]|1[0-2])", given.get(key, "")):
            digits = given[key].replace("-", "")
            return np.datetime64(f"{digits[:4]}-{digits[4:6]}", "M")
    for release in RELEASES:
        known = any(release.word in said for said in (file.name, given.get("title", "")))
        if known and count == release.months:
            return np.datetime64(release.first, "M")
    for found in _SPAN.finditer(file.name):
        first = np.datetime64(f"{found['y0']}-{found['m0'] or '01'}", "M")
        last = np.datetime64(f"{found['y1']}-{found['m1'] or '12'}", "M")
        if (last - first).astype(int) + 1 == count:
            return first
    msg = (
        f"{file.name} holds {count} months without times, and neither its attributes nor its name "
        f"say which; add the first of them: ncatted -a {FIRST_ATTRIBUTES[0]},global,c,c,YYYY-MM "
        "FILE"
    )
    raise FieldFormatError(msg)


def decimal_months(years: FLOAT, *, what: str) -> MONTHS:
    """Return the months that decimal years stand for.

    A year between the boundaries of a month lies in that month. On boundaries, it may be the start
    or the end: whole calendar years tell which, as ``1979.08 … 2022.00`` can only be ends.

    Parameters
    ----------
    years : ndarray, shape (n,)
        Increasing, at least two decimals [yr].
    what : str
        File, for messages.

    Raises
    ------
    FieldFormatError
        Boundaries that may be starts or ends.

    Examples
    --------
    >>> decimal_months(np.array([1979.04, 1979.12]), what="a.csv").astype(str).tolist()
    ['1979-01', '1979-02']
    """
    number = years * 12.0
    whole = np.round(number)
    if (np.abs(number - whole) > _BOUNDARY).all():
        return _month(np.floor(number))
    if (np.abs(number - whole) > _BOUNDARY).any():
        msg = f"{what}: decimal years lie partly on boundaries of months; write YYYY-MM instead"
        raise FieldFormatError(msg)
    if whole[0] % 12 == 1 and whole[-1] % 12 == 0:
        return _month(whole - 1)
    if whole[0] % 12 == 0 and whole[-1] % 12 == 11:
        return _month(whole)
    msg = (
        f"{what}: decimal years run from {years[0]:.2f} to {years[-1]:.2f}, which may be starts or "
        "ends of months; expected whole calendar years, or dates at the middle of months"
    )
    raise FieldFormatError(msg)


def month_factors(unit: str, months: MONTHS, *, to: str, what: str) -> FLOAT:
    """Return what values must be multiplied by to be amounts of their months.

    Parameters
    ----------
    unit : str
        ``kg m-2 s-1``, ``mm w.e./day``, ``kg m-2 per month``, ``Gt yr-1``; without a time it is the
        amount of the month.
    months : ndarray of datetime64[M], shape (time,)
        Months of the values.
    to : str
        Unit of the amounts: ``kg m-2`` or ``kg``.
    what : str
        File and variable, for messages.

    Returns
    -------
    ndarray, shape (time,)
        Factors.

    Raises
    ------
    FieldFormatError
        An unknown unit.

    Examples
    --------
    >>> february = np.array(["2011-02"], dtype="datetime64[M]")
    >>> month_factors("mm w.e. day-1", february, to="kg m-2", what="smb.nc").round(9).tolist()
    [28.0]
    """
    rest, per_month = _PER_MONTH.subn("", unit)
    if per_month == 1:
        return np.full(months.shape, factor(rest, to, what=what))
    try:
        return days_of(months) * factor(unit, f"{to} d-1", what=what)
    except FieldFormatError:
        return np.full(months.shape, factor(unit, to, what=what))


def days_of(months: MONTHS) -> FLOAT:
    """Return the days of months, shape (time,) [d]."""
    starts, ends = (each.astype("datetime64[D]") for each in (months, months + 1))
    return np.asarray((ends - starts).astype(np.float64))


def _times(file: NetcdfFile, dim: str) -> Array | None:
    along = file.along(dim)
    if along is not None:
        return along
    found = [a for a in file.arrays.values()
             if a.dims == (dim,) and a.name.lower() in TIME_NAMES]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _decoded(file: NetcdfFile, array: Array, values: FLOAT) -> MONTHS:
    unit = array.unit.lower()
    if matched := _MONTHS_SINCE.match(array.unit):
        origin = netcdf.instant(matched["origin"])
        if origin is not None:
            start = np.datetime64(f"{origin:%Y-%m}", "M")
            return np.asarray(start + np.floor(values + 1e-6).astype(np.int64))
    elif "since" in unit:
        middle = _middles(file, array)
        return netcdf.decode_times(array).astype("datetime64[M]") if middle is None else middle
    digits = np.floor(values + 1e-6).astype(np.int64)
    for divisor, most in ((1, 210_012), (100, 21_001_231)):
        month = digits // divisor
        if ((month >= 190_001) & (digits <= most) & (month % 100 >= 1) & (month % 100 <= 12)).all():
            return _month(((month // 100) * 12 + month % 100 - 1).astype(np.float64))
    if ((values > 1850.0) & (values < 2200.0)).all() and ("year" in unit or not unit):
        return decimal_months(values, what=f"{file.name}: {array.name!r}")
    msg = (
        f"{file.name}: {array.name!r} runs from {values[0]:g} to {values[-1]:g} in {array.unit!r}, "
        "expected 'days since 1979-01-01', yyyymm or decimal years; correct the units in the file"
    )
    raise FieldFormatError(msg)


def _middles(file: NetcdfFile, array: Array) -> MONTHS | None:
    """Return the months in the middle of the bounds of times, if there are any."""
    bounds = file.arrays.get(text(array.attributes.get("bounds")))
    if bounds is None or bounds.shape != (*array.shape, 2):
        return None
    shared: Mapping[str, Any] = {
        **{key: array.attributes[key] for key in ("units", "calendar") if key in array.attributes},
        **bounds.attributes,
    }
    edges = netcdf.decode_times(dataclasses.replace(bounds, attributes=shared))
    if np.isnat(edges).any():
        return None
    return np.asarray((edges[:, 0] + (edges[:, 1] - edges[:, 0]) // 2).astype("datetime64[M]"))


def _month(number: FLOAT) -> MONTHS:
    """Return months from their number since January of the year 0."""
    return (number.astype(np.int64) - 1970 * 12).astype("datetime64[M]")


def _require_increasing(months: MONTHS, *, what: str) -> MONTHS:
    steps = np.diff(months).astype(np.int64)
    if (steps < 1).any():
        at = int(np.flatnonzero(steps < 1)[0])
        msg = (
            f"{what}: entries {at} and {at + 1} are of {months[at]} and {months[at + 1]}, expected "
            "each month once and in order; average or sum the file to months"
        )
        raise FieldFormatError(msg)
    return months
