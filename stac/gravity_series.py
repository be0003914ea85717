"""Series that complete monthly fields: degree 1 (geocentre), C20 and C30."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac.gravity_headers import gm_of, moment, radius_of
from stac.gravity_text import FLOAT, GravityFormatError, Rows, cut_lines, numbered_lines

DATES = NDArray[np.datetime64]

GM = 3.986004415e14
"""Of the GRACE standards, for series that do not state theirs [m³ s⁻²]."""
RADIUS = 6_378_136.3
"""Of the GRACE standards, for series that do not state theirs [m]."""
DEGREE_ONE = ("C10", "C11", "S11")
MEAN_RADIUS = 6.371e6
"""Mean radius of the Earth, as gravity-toolkit takes it for Swenson et al. (2008) [m]."""
MEAN_DENSITY = 5_517.0
"""Mean density of the Earth, as gravity-toolkit takes it for Swenson et al. (2008) [kg m⁻³]."""
SIGMA_UNIT = 1e-10
"""Unit of the sigmas in TN-05, TN-07, TN-11 and TN-14 [1]."""
NEAR = {"C20": (-4.8416e-4, 1e-7), "C30": (9.57e-7, 1e-8)}
"""What published values of the Earth are close to: value and distance [1]."""

_MJD_ZERO = np.datetime64("1858-11-17", "ns")
_DAY_NS = 86_400_000_000_000
_HALF_MONTH = np.timedelta64(round(365.25 / 24 * _DAY_NS), "ns")
_TN13_ROW = re.compile(rb"GRCOF2\s+1\s+[01]\s")
_TELLUS_ROW = re.compile(rb"\s*\d{6}(\.\d*)?\s+1\s+[01]\s")
_MJD_ROW = re.compile(rb"\s*\d{5}(\.\d*)?\s+[12]\d{3}\.")


def degree_one(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-13, its predecessor for RL05, or the series of Swenson et al. (2008)."""
    lines = list(numbered_lines(text))
    if chosen := [pair for pair in lines if _TN13_ROW.match(pair[1])]:
        fields = [(number, b" ".join(line.split()[:9])) for number, line in chosen]
        return _paired(cut_lines(fields, name=name), 7, said=text, source="TN-13")
    if chosen := [pair for pair in lines if _TELLUS_ROW.match(pair[1])]:
        return _paired(cut_lines(chosen, name=name), 0, said=text, source="GRACE Tellus degree 1")
    heading = next((i for i, (_, line) in enumerate(lines) if b"Time" in line), None)
    if heading is not None and {b"C10", b"C11", b"S11"} <= set(lines[heading][1].split()):
        return _swenson(lines[heading + 1 :], unit=text[: text.index(b"Time")], name=name)
    msg = (
        f"{name}: found no rows of degree 1; expected TN-13 (GRCOF2 1 0 …), rows of yyyymm 1 0 …, "
        "or a table under 'Time C10 C11 S11'"
    )
    raise GravityFormatError(msg)


def _paired(rows: Rows, date: int, *, said: bytes, source: str) -> xr.Dataset:
    """Read rows in pairs of order 0 and 1; column `date` holds the begin, the next the end.

    Before TN-13 column 0 holds a calendar month.
    """
    order = rows.whole(2, "the order")
    if len(rows.cells) < 7 or len(order) % 2 or not (order.reshape(-1, 2) == [0, 1]).all():
        msg = (
            f"{rows.name}: found {len(order)} rows of {len(rows.cells)} columns, expected pairs of "
            "order 0 and 1 for each month, with sigmas; the file may be cut off, fetch it again"
        )
        raise GravityFormatError(msg)
    c, s, c_sigma, s_sigma = (
        rows.real(i, "a coefficient of degree 1").reshape(-1, 2) for i in (3, 4, 5, 6)
    )
    start, end = _paired_windows(rows, date)
    return _series(
        start,
        end,
        DEGREE_ONE,
        np.column_stack([c, s[:, 1]]),
        np.column_stack([c_sigma, s_sigma[:, 1]]),
        lines=rows.lines[::2],
        name=rows.name,
        source=source,
        tide_system="zero_tide",
        frame="CF",
        gia_removed=_gia_removed(said),
    )


def _paired_windows(rows: Rows, date: int) -> tuple[DATES, DATES]:
    if date == 0:
        months = [text[:4] + "-" + text[4:6] for text in rows.texts(0)]
        first = _dates((f"{month}-01" for month in months), name=rows.name)
        end = (first.astype("datetime64[M]") + 1).astype("datetime64[ns]")
    else:
        first, end = (_dates(rows.texts(i), name=rows.name) for i in (date, date + 1))
    other = (first[::2] != first[1::2]) | (end[::2] != end[1::2])
    if other.any():
        i = 2 * int(other.argmax())
        msg = (
            f"{rows.name}: lines {rows.lines[i]} and {rows.lines[i + 1]} give orders 0, 1 of "
            f"months that begin {first[i]:.10} and {first[i + 1]:.10}, expected one month; a row "
            "is missing, fetch the file again"
        )
        raise GravityFormatError(msg)
    return first[::2], end[::2]


def _dates(texts: Iterable[str], *, name: str) -> DATES:
    moments = [moment(text, name=name).replace(tzinfo=None) for text in texts]
    return np.array(moments, dtype="datetime64[ns]")


def _gia_removed(said: bytes) -> str:
    """Return the model that the text says was removed, by its usual name."""
    found = re.search(rb"ICE-?([56])G[-_ ]?([CD])?\b", said)
    if not found:
        return ""
    version = (found[2] or b"").decode()
    return f"ICE-{found[1].decode()}G" + (f"_{version}" if version else "")


def _swenson(lines: list[tuple[int, bytes]], *, unit: bytes, name: str) -> xr.Dataset:
    """Read decimal year, C10, C11, S11 as loads in mm of water, and maybe a month number.

    Loads become coefficients with k₁ = 0, so they belong to the centre of the solid Earth (CE)::

        C = σ / (a ρ_e)
    """
    if b"mm" not in unit:
        msg = f"{name}: the heading names no unit, expected 'mm equivalent water thickness'"
        raise GravityFormatError(msg)
    rows = cut_lines(((n, line) for n, line in lines if line.strip()), name=name)
    if len(rows.cells) not in {4, 5}:
        msg = f"{name}: rows have {len(rows.cells)} fields, expected time, C10, C11 and S11"
        raise GravityFormatError(msg)
    middle = _decimal_years(rows.real(0, "the time"), name=name)
    load = np.column_stack([rows.real(i, "a load") for i in (1, 2, 3)])
    value = load / (MEAN_RADIUS * MEAN_DENSITY)
    return _series(
        middle - _HALF_MONTH,
        middle + _HALF_MONTH,
        DEGREE_ONE,
        value,
        np.full_like(value, np.nan),
        lines=rows.lines,
        name=name,
        source="Swenson et al. (2008)",
        tide_system="zero_tide",
        frame="CE",
        gia_removed="",
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


def low_degrees(text: bytes, *, name: str) -> xr.Dataset:
    """Read TN-14 (C20 and C30), or C20 of TN-11, TN-07 and TN-05.

    Before TN-11 a row names the beginning of its month only, which also a special solution (marked
    ``*``) keeps to the same day of the next month.
    """
    chosen = [
        (n, line.replace(b"*", b" ")) for n, line in numbered_lines(text) if _is_mjd_row(line)
    ]
    if not chosen:
        msg = (
            f"{name}: found no rows that begin with a modified Julian date and a year; expected "
            "TN-14, TN-11, TN-07 or TN-05"
        )
        raise GravityFormatError(msg)
    rows = cut_lines(chosen, name=name)
    layouts = {10: ("TN-14", 8), 7: ("TN-11", 5), 6: ("TN-05", None), 5: ("TN-07", None)}
    count = len(rows.cells)
    if count not in layouts:
        msg = f"{name}: rows have {count} fields, expected 10 (TN-14), 7 (TN-11), 6 or 5 (TN-07)"
        raise GravityFormatError(msg)
    source, end_column = layouts[count]
    places = {"C20": (2, 5 if count == 6 else 4)} | ({"C30": (5, 7)} if count == 10 else {})
    start = _mjd(rows.real(0, "the begin"))
    end = _month_later(start) if end_column is None else _mjd(rows.real(end_column, "the end"))
    value = np.column_stack([rows.real(place, what) for what, (place, _) in places.items()])
    sigma = np.column_stack(
        [rows.real(place, f"the sigma of {what}") for what, (_, place) in places.items()]
    )
    _require_near(value, list(places), rows)
    return _series(
        start,
        end,
        tuple(places),
        value,
        SIGMA_UNIT * sigma,
        lines=rows.lines,
        name=name,
        source=source,
        tide_system=_tide_system(text),
        frame="CM",
        gia_removed="",
        **_constants(text, name=name),
    )


def _is_mjd_row(line: bytes) -> bool:
    return _MJD_ROW.match(line) is not None


def _mjd(days: FLOAT) -> DATES:
    since: DATES = _MJD_ZERO + np.round(days * _DAY_NS).astype("timedelta64[ns]")
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


def _constants(said: bytes, *, name: str) -> dict[str, float]:
    """Return GM and radius as the text states them, brought to SI by their stated units."""
    constants = {"gm": GM, "radius": RADIUS}
    patterns = {
        "gm": rb"^\s*GM\s*:\s*(\S+)\s*\((k?)m\^?3/s\^?2\)",
        "radius": rb"^\s*R\s*:\s*(\S+)\s*\((k?)m\)",
    }
    for key, pattern in patterns.items():
        if found := re.search(pattern, said, flags=re.MULTILINE):
            power = {"gm": 9, "radius": 3}[key] if found[2] else 0
            text = f"{found[1].decode('latin-1')}"
            check = gm_of if key == "gm" else radius_of
            constants[key] = check(_scaled(text, power), name=name)
    return constants


def _scaled(text: str, power: int) -> str:
    """Multiply a printed decimal by a power of ten without rounding it."""
    if not re.fullmatch(r"[+-]?\d*\.?\d*([eEdD][+-]?\d{1,3})?", text) or not re.search(r"\d", text):
        return text
    return str(Decimal(text.upper().replace("D", "E")).scaleb(power))


def _require_near(value: FLOAT, coefficients: list[str], rows: Rows) -> None:
    """Refuse columns that cannot be what they are taken for."""
    for column, what in zip(value.T, coefficients, strict=True):
        centre, distance = NEAR[what]
        far = np.abs(column - centre) > distance
        if far.any():
            i = int(far.argmax())
            msg = (
                f"{rows.name}: line {rows.lines[i]}: {what} is {column[i]:g}, expected within "
                f"{distance:g} of {centre:g} (fully normalised); the columns are of another layout"
            )
            raise GravityFormatError(msg)


def _series(
    start: DATES,
    end: DATES,
    coefficients: Sequence[str],
    value: FLOAT,
    sigma: FLOAT,
    *,
    lines: NDArray[np.int64],
    name: str,
    source: str,
    tide_system: str,
    frame: str,
    gia_removed: str,
    gm: float = GM,
    radius: float = RADIUS,
) -> xr.Dataset:
    """Return a series of low degrees in the order of time, shape (time, coefficient)."""
    _require_windows(start, end, lines, name=name)
    # C30 is not given before 2012; every other coefficient must be there.
    whole = value[:, :1] if "C30" in coefficients else value
    gaps = ~np.isfinite(whole).all(axis=1) | np.isinf(value).any(axis=1)
    if gaps.any():
        i = int(gaps.argmax())
        msg = (
            f"{name}: line {lines[i]}: found {value[i].tolist()} for {', '.join(coefficients)}, "
            "expected finite numbers; fetch the file again"
        )
        raise GravityFormatError(msg)
    time = start + (end - start) // 2
    sort = np.argsort(time, kind="stable")
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
            "tide_system": tide_system,
            "frame": frame,
            "gia_removed": gia_removed,
            "gm": gm,
            "radius": radius,
        },
    )


def _require_windows(start: DATES, end: DATES, lines: NDArray[np.int64], *, name: str) -> None:
    """Refuse windows that end before they begin, and epochs that come twice."""
    reversed_ = end <= start
    if reversed_.any():
        i = int(reversed_.argmax())
        msg = (
            f"{name}: line {lines[i]}: the window ends {end[i]:.10}, not after its start "
            f"{start[i]:.10}; correct the table or fetch it again"
        )
        raise GravityFormatError(msg)
    time = start + (end - start) // 2
    sort = np.argsort(time, kind="stable")
    twice = np.flatnonzero(np.diff(time[sort]) == np.timedelta64(0))
    if twice.size:
        one, other = sort[twice[0]], sort[twice[0] + 1]
        msg = (
            f"{name}: lines {lines[one]} and {lines[other]} both give the window from "
            f"{start[one]:.10}, expected each once; remove one of them"
        )
        raise GravityFormatError(msg)
