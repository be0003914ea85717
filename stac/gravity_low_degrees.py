"""Series of C20 and C30 from satellite laser ranging: TN-14 and what came before it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import xarray as xr

from stac.gravity_headers import gm_of, radius_of
from stac.gravity_series import DATES, DAY_NS, GM, RADIUS, Windows, series
from stac.gravity_text import (
    FLOAT,
    NUMBER,
    GravityFormatError,
    Rows,
    cut_lines,
    numbered_lines,
    table_lines,
)

SIGMA_UNIT = 1e-10
"""Unit of the sigmas in TN-05, TN-07, TN-11 and TN-14 [1]."""
NEAR = {"C20": (-4.8416e-4, 1e-7), "C30": (9.57e-7, 1e-8)}
"""What published values of the Earth are close to: value and distance [1]."""

_MJD_ZERO = np.datetime64("1858-11-17", "ns")
_START = re.compile(rb"product\s*:", re.IGNORECASE)
_ROW = re.compile(rb"\s*\d{5}(\.\d*)?\s+[12]\d{3}\.")


@dataclass(frozen=True)
class Layout:
    """Where a table of low degrees keeps its numbers.

    Attributes
    ----------
    source : str
        The technical note.
    end : int or None
        Column of the end of a window; None if rows name the begin only.
    places : mapping of str to (int, int)
        Columns of each coefficient and of its sigma [1e-10].
    """

    source: str
    end: int | None
    places: Mapping[str, tuple[int, int]]


_LAYOUTS = {
    10: Layout("TN-14", 8, {"C20": (2, 4), "C30": (5, 7)}),
    7: Layout("TN-11", 5, {"C20": (2, 4)}),
    6: Layout("TN-05", None, {"C20": (2, 5)}),
    5: Layout("TN-07", None, {"C20": (2, 4)}),
}


def low_degrees(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-14 (C20 and C30), or C20 of TN-11, TN-07 and TN-05.

    Before TN-11 a row names the beginning of its month only, which also a special solution (marked
    ``*``) keeps to the same day of the next month.
    """
    lines = [(number, line.replace(b"*", b" ")) for number, line in numbered_lines(text)]
    chosen = table_lines(lines, _START, _ROW, name=name)
    if not chosen:
        msg = (
            f"{name}: found no rows that begin with a modified Julian date and a year; expected "
            "TN-14, TN-11, TN-07 or TN-05"
        )
        raise GravityFormatError(msg)
    rows = cut_lines(chosen, name=name)
    if len(rows.cells) not in _LAYOUTS:
        msg = (
            f"{name}: rows have {len(rows.cells)} fields, expected 10 (TN-14), 7 (TN-11), 6 "
            "(TN-05) or 5 (TN-07)"
        )
        raise GravityFormatError(msg)
    layout = _LAYOUTS[len(rows.cells)]
    start = _mjd(rows.real(0, "the begin"), name=name)
    value = [rows.real(place, what) for what, (place, _) in layout.places.items()]
    sigma = [rows.real(place, "a sigma") for _, place in layout.places.values()]
    _require_near(value, list(layout.places), rows)
    gm, radius = _constants(text, name=name)
    return series(
        Windows(name, start, _ends(start, rows, layout), rows.lines),
        tuple(layout.places),
        np.column_stack(value),
        SIGMA_UNIT * np.column_stack(sigma),
        source=layout.source,
        tide_system=_tide_system(text),
        frame="CM",
        gm=gm,
        radius=radius,
    )


def _ends(start: DATES, rows: Rows, layout: Layout) -> DATES:
    if layout.end is None:
        return _month_later(start)
    return _mjd(rows.real(layout.end, "the end"), name=rows.name)


def _mjd(days: FLOAT, *, name: str) -> DATES:
    """Return dates of modified Julian days."""
    if not ((days > 15_000.0) & (days < 100_000.0)).all():
        msg = f"{name}: dates reach {days.min():g} to {days.max():g}, expected modified Julian days"
        raise GravityFormatError(msg)
    since: DATES = _MJD_ZERO + np.round(days * DAY_NS).astype("timedelta64[ns]")
    return since


def _month_later(start: DATES) -> DATES:
    """Return the same day of the next month."""
    month = start.astype("datetime64[M]")
    later: DATES = (month + 1).astype("datetime64[ns]") + (start - month.astype("datetime64[ns]"))
    return later


def _tide_system(said: bytes) -> str:
    """Return what the text says of the permanent tide; the older notes follow CSR's zero tide."""
    if re.search(rb"tide[- ]free", said, flags=re.IGNORECASE):
        return "tide_free"
    return "zero_tide"


def _constants(said: bytes, *, name: str) -> tuple[float, float]:
    """Return GM [m³ s⁻²] and radius [m] as the text states them, from their stated units."""
    gm = re.search(rb"^\s*GM\s*:\s*(\S+)\s*\((k?)m\^?3/s\^?2\)", said, flags=re.MULTILINE)
    radius = re.search(rb"^\s*R\s*:\s*(\S+)\s*\((k?)m\)", said, flags=re.MULTILINE)
    return (
        gm_of(_scaled(gm[1], 9 if gm[2] else 0), name=name) if gm else GM,
        radius_of(_scaled(radius[1], 3 if radius[2] else 0), name=name) if radius else RADIUS,
    )


def _scaled(printed: bytes, power: int) -> str:
    """Multiply a printed decimal by a power of ten without rounding it."""
    text = printed.decode("latin-1")
    if not NUMBER.fullmatch(text):
        return text
    return str(Decimal(text.upper().replace("D", "E")).scaleb(power))


def _require_near(value: list[FLOAT], coefficients: list[str], rows: Rows) -> None:
    """Refuse columns that cannot be what they are taken for."""
    for column, what in zip(value, coefficients, strict=True):
        centre, distance = NEAR[what]
        far = np.abs(column - centre) > distance
        if far.any():
            i = int(far.argmax())
            msg = (
                f"{rows.name}: line {rows.lines[i]}: {what} is {column[i]:g}, expected within "
                f"{distance:g} of {centre:g} (fully normalised); the columns are of another layout"
            )
            raise GravityFormatError(msg)
