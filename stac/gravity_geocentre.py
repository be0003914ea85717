"""Series of degree 1, the motion of the geocentre: TN-13 and what came before it."""

import re
from collections.abc import Iterable

import numpy as np
import xarray as xr

from stac.gravity_headers import moment
from stac.gravity_series import DATES, DAY_NS, Windows, series
from stac.gravity_text import (
    FLOAT,
    GravityFormatError,
    Rows,
    cut_lines,
    numbered_lines,
    table_lines,
)

DEGREE_ONE = ("C10", "C11", "S11")
MEAN_RADIUS = 6.371e6
"""Mean radius of the Earth, as gravity-toolkit takes it for Swenson et al. (2008) [m]."""
MEAN_DENSITY = 5_517.0
"""Mean density of the Earth, as gravity-toolkit takes it for Swenson et al. (2008) [kg m⁻³]."""

_HALF_MONTH = np.timedelta64(round(365.25 / 24 * DAY_NS), "ns")
_TN13_START = re.compile(rb"end of header")
_TN13_ROW = re.compile(rb"GRCOF2\s+1\s+[01]\s")
_TELLUS_START = re.compile(rb".*\(a6,")
_TELLUS_ROW = re.compile(rb"\s*\d{6}(\.\d*)?\s+1\s+[01]\s")
_REBOUND = re.compile(r"\bGIA\b|isostatic|post-?glacial", re.IGNORECASE)
_REMOVED = re.compile(r"correct|remov|subtract", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no|nor|without)\b", re.IGNORECASE)
_ICE_MODEL = re.compile(r"ICE-?([56])G[-_ ]?([CD])?\b")


def degree_one(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-13, its predecessor for RL05, or the series of Swenson et al. (2008)."""
    lines = list(numbered_lines(text))
    if chosen := table_lines(lines, _TN13_START, _TN13_ROW, name=name):
        fields = [(number, b" ".join(line.split()[:9])) for number, line in chosen]
        return _paired(cut_lines(fields, name=name), 7, said=text, source="TN-13")
    if chosen := table_lines(lines, _TELLUS_START, _TELLUS_ROW, name=name):
        return _paired(cut_lines(chosen, name=name), 0, said=text, source="GRACE Tellus degree 1")
    heading = next((i for i, (_, line) in enumerate(lines) if b"Time" in line), None)
    if heading is not None and {b"C10", b"C11", b"S11"} <= set(lines[heading][1].split()):
        return _swenson(lines[heading + 1 :], said=text[: text.index(b"Time")], name=name)
    msg = (
        f"{name}: found no rows of degree 1; expected TN-13 (GRCOF2 1 0 …), rows of yyyymm 1 0 …, "
        "or a table under 'Time C10 C11 S11'"
    )
    raise GravityFormatError(msg)


def _paired(rows: Rows, date: int, *, said: bytes, source: str) -> xr.Dataset:
    """Read rows in pairs of order 0 and 1; column `date` holds the begin, the next the end.

    Before TN-13 column 0 holds a calendar month.
    """
    columns = 9 if date else 7
    order = rows.whole(2, "the order")
    paired = len(order) % 2 == 0 and bool((order.reshape(-1, 2) == [0, 1]).all())
    if len(rows.cells) < columns or not paired:
        msg = (
            f"{rows.name}: found {len(order)} rows of {len(rows.cells)} columns, expected pairs of "
            f"order 0 and 1 for each month, of {columns} columns; a row is missing or the file is "
            "cut off, fetch it again"
        )
        raise GravityFormatError(msg)
    c, s, c_sigma, s_sigma = (
        rows.real(i, "a coefficient of degree 1").reshape(-1, 2) for i in (3, 4, 5, 6)
    )
    return series(
        _paired_windows(rows, date),
        DEGREE_ONE,
        np.column_stack([c, s[:, 1]]),
        np.column_stack([c_sigma, s_sigma[:, 1]]),
        source=source,
        frame="CF",
        gia_removed=_gia_removed(said),
    )


def _paired_windows(rows: Rows, date: int) -> Windows:
    if date == 0:
        months = [text[:4] + "-" + text[4:6] for text in rows.texts(0)]
        start = _dates((f"{month}-01" for month in months), name=rows.name)
        end = (start.astype("datetime64[M]") + 1).astype("datetime64[ns]")
    else:
        start, end = (_dates(rows.texts(i), name=rows.name) for i in (date, date + 1))
    other = (start[::2] != start[1::2]) | (end[::2] != end[1::2])
    if other.any():
        i = 2 * int(other.argmax())
        msg = (
            f"{rows.name}: lines {rows.lines[i]} and {rows.lines[i + 1]} give orders 0 and 1 of "
            f"windows from {start[i]:.10} to {end[i]:.10} and from {start[i + 1]:.10} to "
            f"{end[i + 1]:.10}, expected one; a row is missing, fetch the file again"
        )
        raise GravityFormatError(msg)
    return Windows(rows.name, start[::2], end[::2], rows.lines[::2])


def _dates(texts: Iterable[str], *, name: str) -> DATES:
    moments = [moment(text, name=name).replace(tzinfo=None) for text in texts]
    return np.array(moments, dtype="datetime64[ns]")


def _gia_removed(said: bytes) -> str:
    """Return the model of adjustment that a sentence says was removed, empty if none does."""
    for sentence in re.split(r"\.\s", " ".join(said.decode("latin-1").split())):
        model = _ICE_MODEL.search(sentence)
        stated = _REMOVED.search(sentence) and not _DENIED.search(sentence)
        if stated and model:
            return f"ICE-{model[1]}G" + (f"_{model[2]}" if model[2] else "")
        if stated and _REBOUND.search(sentence):
            return "unnamed"
    return ""


def _swenson(lines: list[tuple[int, bytes]], *, said: bytes, name: str) -> xr.Dataset:
    """Read decimal year, C10, C11, S11 as loads in mm of water, and maybe a month number.

    Loads become coefficients with k₁ = 0, so they belong to the centre of the solid Earth (CE)::

        C = σ / (a ρ_e)
    """
    if b"mm" not in said:
        msg = f"{name}: the heading names no unit, expected 'mm equivalent water thickness'"
        raise GravityFormatError(msg)
    rows = cut_lines(lines, name=name)
    if len(rows.cells) not in {4, 5}:
        msg = f"{name}: rows have {len(rows.cells)} fields, expected time, C10, C11 and S11"
        raise GravityFormatError(msg)
    middle = _decimal_years(rows.real(0, "the time"), name=name)
    load = np.column_stack([rows.real(i, "a load") for i in (1, 2, 3)])
    value = load / (MEAN_RADIUS * MEAN_DENSITY)
    return series(
        Windows(name, middle - _HALF_MONTH, middle + _HALF_MONTH, rows.lines),
        DEGREE_ONE,
        value,
        np.full_like(value, np.nan),
        source="Swenson et al. (2008)",
        frame="CE",
    )


def _decimal_years(years: FLOAT, *, name: str) -> DATES:
    if not ((years > 1900.0) & (years < 2200.0)).all():
        msg = f"{name}: times reach {years.min():g} to {years.max():g}, expected decimal years"
        raise GravityFormatError(msg)
    whole = np.floor(years).astype(np.int64)
    first = (whole - 1970).astype("datetime64[Y]").astype("datetime64[ns]")
    after = (whole - 1969).astype("datetime64[Y]").astype("datetime64[ns]")
    elapsed = (after - first).astype(np.int64) * (years - whole)
    middle: DATES = first + np.round(elapsed).astype("timedelta64[ns]")
    return middle
