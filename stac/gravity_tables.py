"""Series and tables that complete gravity fields: degree 1, C20, C30, Love numbers, GIA."""

import re
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac.gravity_text import (
    FLOAT,
    GravityFormatError,
    split_rows,
    triangle,
)

DATES = NDArray[np.datetime64]

GM = 3.986004415e14
RADIUS = 6_378_136.3
MJD_ZERO = np.datetime64("1858-11-17", "ns")
DAY_NS = 86_400_000_000_000
LARGEST_RATE = 1e-6
"""A Stokes rate beyond this is no rate: GIA moves C20 by 1e-11 a year [yr⁻¹]."""
MONTH_DAYS = 30.4375
"""Length of a month where a table gives its middle only [d]."""

# Load of 1 kg m⁻² of degree 1 per unit coefficient is a ρ_e / (1 + k1); Swenson's series is in mm
# water with k1 = 0 (the CE frame of its solid Earth), as gravity-toolkit reads it.
MEAN_RADIUS = 6_371_000.79
MEAN_DENSITY = 5_513.4


def degree_one(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-13 (rows of GRCOF2 after ``end of header``) or Swenson's RL05 series."""
    if re.search(rb"^GRCOF2\s+1\s+[01]\s", text, flags=re.MULTILINE):
        return _tn13(text, name=name)
    if b"Time" in text and b"GRCOF2" not in text:
        return _swenson(text, name=name)
    msg = (
        f"{name}: found no rows of degree 1; expected TN-13 (GRCOF2 1 0 …) or a table under a line "
        "with 'Time' (RL05 geocentre)"
    )
    raise GravityFormatError(msg)


def _tn13(text: bytes, *, name: str) -> xr.Dataset:
    lines = [line for line in text.splitlines() if line.startswith(b"GRCOF2")]
    rows = split_rows(b"\n".join(lines), name=name)
    order = rows.whole(2, name=name, what="the order")
    if len(order) % 2 or not (order.reshape(-1, 2) == [0, 1]).all():
        msg = f"{name}: found {len(order)} rows, expected pairs of order 0 and 1 for each month"
        raise GravityFormatError(msg)
    c, s, c_sigma, s_sigma = (
        rows.real(i, name=name, what="a coefficient").reshape(-1, 2) for i in (3, 4, 5, 6)
    )
    start, end = (_calendar(rows.fields[i][::2], name=name) for i in (7, 8))
    return _series(
        start,
        end,
        ("C10", "C11", "S11"),
        np.column_stack([c[:, 0], c[:, 1], s[:, 1]]),
        np.column_stack([c_sigma[:, 0], c_sigma[:, 1], s_sigma[:, 1]]),
        name=name,
        source="TN-13",
        frame="CF",
        gia_removed=_gia_removed(text),
    )


def _gia_removed(text: bytes) -> str:
    said = re.search(rb"ICE-?6G[-_](C|D)", text)
    return f"ICE-6G_{said.group(1).decode()}" if said else ""


def _swenson(text: bytes, *, name: str) -> xr.Dataset:
    """Read decimal year, C10, C11, S11 in mm of water, and maybe a month number."""
    body = text[text.index(b"Time") :].partition(b"\n")[2]
    rows = split_rows(body, name=name)
    if len(rows.fields) < 4:
        msg = f"{name}: rows have {len(rows.fields)} fields, expected time, C10, C11 and S11"
        raise GravityFormatError(msg)
    years = rows.real(0, name=name, what="the time")
    load = np.column_stack([rows.real(i, name=name, what="a load") for i in (1, 2, 3)])
    value = load / (MEAN_RADIUS * MEAN_DENSITY)
    start, end = _month_about(years)
    return _series(
        start,
        end,
        ("C10", "C11", "S11"),
        value,
        np.full_like(value, np.nan),
        name=name,
        source="Swenson et al. (2008)",
        frame="CE",
        gia_removed="",
    )


def _month_about(years: FLOAT) -> tuple[DATES, DATES]:
    """Return a month around epochs that are given by their middle only."""
    whole = np.floor(years).astype(int)
    first = (whole - 1970).astype("datetime64[Y]").astype("datetime64[ns]")
    after = (whole - 1969).astype("datetime64[Y]").astype("datetime64[ns]")
    middle = first + ((after - first).astype(np.int64) * (years - whole)).astype("timedelta64[ns]")
    half = np.timedelta64(int(MONTH_DAYS / 2 * DAY_NS), "ns")
    return middle - half, middle + half


def low_degrees(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-14 (C20 and C30) or TN-07 and TN-11 (C20)."""
    lines = [line for line in text.splitlines() if re.match(rb"^\s*\d{5}(\.\d*)?\s", line)]
    if not lines:
        msg = f"{name}: found no rows that begin with a Julian date; expected TN-14, TN-11 or TN-07"
        raise GravityFormatError(msg)
    rows = split_rows(b"\n".join(line.replace(b"*", b" ") for line in lines), name=name)
    count = len(rows.fields)
    if count not in {5, 7, 10}:
        msg = f"{name}: rows have {count} fields, expected 10 (TN-14), 7 (TN-11) or 5 (TN-07)"
        raise GravityFormatError(msg)
    cells = [rows.real(i, name=name, what=f"column {i + 1}") for i in range(count)]
    start = _mjd(cells[0])
    if count == 5:
        half = np.timedelta64(int(MONTH_DAYS / 2 * DAY_NS), "ns")
        start, end = start - half, start + half
    else:
        end = _mjd(cells[5] if count == 7 else cells[8])
    places = ((2, 4), (5, 7)) if count == 10 else ((2, 4),)
    return _series(
        start,
        end,
        ("C20", "C30")[: len(places)],
        np.column_stack([cells[value] for value, _ in places]),
        np.column_stack([1e-10 * cells[sigma] for _, sigma in places]),
        name=name,
        source={10: "TN-14", 7: "TN-11", 5: "TN-07"}[count],
        frame="CM",
        gia_removed="",
        tide="zero_tide" if re.search(rb"C20 is zero.tide", text) or count < 10 else "unknown",
    )


def _mjd(days: FLOAT) -> DATES:
    return MJD_ZERO + np.round(days * DAY_NS).astype("timedelta64[ns]")


def _calendar(cells: NDArray[np.bytes_], *, name: str) -> DATES:
    """Return days written as ``yyyymmdd.hhmm``."""
    days = [f"{c[:4].decode()}-{c[4:6].decode()}-{c[6:8].decode()}" for c in cells]
    try:
        return np.array(days, dtype="datetime64[ns]")
    except ValueError as error:
        msg = f"{name}: {error}; expected dates as yyyymmdd.hhmm"
        raise GravityFormatError(msg) from error


def _series(
    start: DATES,
    end: DATES,
    coefficients: Sequence[str],
    value: FLOAT,
    sigma: FLOAT,
    *,
    name: str,
    source: str,
    frame: str,
    gia_removed: str,
    tide: str = "zero_tide",
) -> xr.Dataset:
    """Return a series of low degrees in the order of time."""
    if not (end > start).all():
        i = int(np.flatnonzero(end <= start)[0])
        msg = f"{name}: row {i + 1} ends {end[i]} before it starts {start[i]}; correct the table"
        raise GravityFormatError(msg)
    if not np.isfinite(value[:, 0]).all():
        i = int(np.flatnonzero(~np.isfinite(value[:, 0]))[0])
        msg = f"{name}: {coefficients[0]} of row {i + 1} is {value[i, 0]}, expected a number"
        raise GravityFormatError(msg)
    sort = np.argsort(start, kind="stable")
    time = start + (end - start) // 2
    return xr.Dataset(
        {
            "value": (("time", "coefficient"), value[sort], {"units": "1"}),
            "sigma": (("time", "coefficient"), sigma[sort], {"units": "1"}),
        },
        coords={
            "coefficient": np.array(coefficients),
            "time": time[sort],
            "time_start": ("time", start[sort]),
            "time_end": ("time", end[sort]),
        },
        attrs={
            "source": source,
            "tide_system": tide,
            "frame": frame,
            "gia_removed": gia_removed,
            "gm": GM,
            "radius": RADIUS,
        },
    )


def love_numbers(text: bytes, *, name: str) -> xr.Dataset:
    """Read load Love numbers; the heading says in which order the columns stand.

    Han & Wahr (1995): ``l h k l``; Gegout (2005): ``degree h l k``; Wang et al. (2012): ``n h l k …``.
    """
    lines = text.decode("latin-1").splitlines()
    heading = next((line.lstrip("# ").split() for line in lines if _is_heading(line)), None)
    if heading is None:
        msg = f"{name}: found no heading that names h, k and l; expected 'l h k l' or 'n h l k'"
        raise GravityFormatError(msg)
    body = "\n".join(line for line in lines if re.match(r"^\s*\d+\s", line)).encode()
    rows = split_rows(body, name=name)
    degree = rows.whole(0, name=name, what="the degree")
    if not (np.diff(degree) == 1).all() or degree[0] > 1:
        msg = f"{name}: found gaps in degrees {degree[0]} to {degree[-1]}, expected all from 0 or 1"
        raise GravityFormatError(msg)
    columns: dict[str, FLOAT] = {}
    for letter in "hkl":
        place = 1 + heading[1:].index(letter)
        column = rows.real(place, name=name, what=f"{letter} of a degree")
        columns[letter] = np.concatenate([np.zeros(int(degree[0])), column])
    if not all(np.isfinite(column).all() for column in columns.values()):
        msg = f"{name}: some Love numbers are not finite; fetch the file again"
        raise GravityFormatError(msg)
    return xr.Dataset(
        {letter: (("degree",), column, {"units": "1"}) for letter, column in columns.items()},
        attrs={"name": name, "frame": "CE", "max_degree": int(degree[-1])},
    )


def _is_heading(line: str) -> bool:
    words = line.lstrip("# ").split()
    return len(words) >= 4 and {"h", "k", "l"} <= set(words[1:])


def gia(text: bytes, *, name: str) -> xr.Dataset:
    """Read rows of degree, order, C and S in yr⁻¹, after ``END OF HEADER`` if there is a header."""
    marker = re.search(rb"^.*END OF HEADER.*$", text, flags=re.MULTILINE)
    rows = split_rows(text[marker.end() :] if marker else text, name=name)
    if len(rows.fields) < 4:
        msg = f"{name}: rows have {len(rows.fields)} fields, expected degree, order, C and S"
        raise GravityFormatError(msg)
    degree = rows.whole(0, name=name, what="the degree")
    order = rows.whole(1, name=name, what="the order")
    columns = [rows.real(i, name=name, what="a rate") for i in (2, 3)]
    if np.abs(columns[0]).max() > LARGEST_RATE:
        msg = (
            f"{name}: rates reach {np.abs(columns[0]).max():g}, expected Stokes rates below 1e-6 "
            "yr⁻¹; this may be a static field or another unit"
        )
        raise GravityFormatError(msg)
    j_max = int(degree.max())
    squares = triangle(degree, order, columns, j_max=j_max, first=2, name=name)
    label = re.search(r"ICE-?6G[-_]?[CD]|IJ05[-_]?R2|AGE1[ab]?|Caron", f"{name} {text[:400]!r}")
    return xr.Dataset(
        {"stokes_rate": (("part", "degree", "order"), np.stack(squares), {"units": "yr-1"})},
        attrs={"name": label.group(0) if label else name, "max_degree": j_max},
    )
