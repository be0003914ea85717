"""Gravity fields: GRACE Level-2 (`GSM`) of RL06 and before, and ICGEM ``.gfc``."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from stac.gravity_coefficients import Coefficients, coefficients, joined, squares
from stac.gravity_headers import (
    FieldHeader,
    moment,
    read_icgem_header,
    read_old_header,
    read_yaml_header,
    window,
)
from stac.gravity_text import FLOAT, GravityFormatError, Rows, cut_even, cut_lines

YAML_END = b"# End of YAML header"
GFC_END = re.compile(rb"^end_of_head.*$", re.MULTILINE)
OLD_HEADER = re.compile(rb"\A\s*FIRST\b|^(?:EARTH|SHM)\s", re.MULTILINE)

_FIELD_RECORDS = ("GRCOF2", "GRCOEF")
_RATE_RECORD = "GRDOTA"
_OLD_LINES = ("FIRST", "CMMNT", "EARTH", "SHM", "LAST")
_CALIBRATED = "CALSDV"  # calibrated sigmas of RL01; the formal ones of the rows are read
_GSM_RECORDS = (*_FIELD_RECORDS, _RATE_RECORD)
_DATE = re.compile(r"\d{8}\.\d{4}\d*")
_FLAGS = re.compile(r"[A-Za-z]+")
_GFC_RECORDS = ("gfc", "gfct", "trnd", "dot", "acos", "asin")
_GFC_TIMES = {"gfct": 1, "acos": 1, "asin": 1}
_GFC_2_TIMES = {"gfct": 2, "trnd": 2, "dot": 2, "acos": 3, "asin": 3}
_MOST_PERIODS = 16
DIMS = ("part", "degree", "order")


def read_yaml_gsm(text: bytes, *, name: str) -> xr.Dataset:
    """Read a Level-2 field with the YAML header of RL06."""
    marker = text.index(YAML_END)
    header = read_yaml_header(text[:marker].decode("latin-1"), name=name)
    end = text.find(b"\n", marker)
    records = _records(text, end + 1 if end >= 0 else len(text), known=_GSM_RECORDS, name=name)
    return _gsm(records, header, name=name)


def read_old_gsm(text: bytes, *, name: str) -> xr.Dataset:
    """Read a Level-2 field with the fixed lines of RL05 and before (FIRST, EARTH, SHM)."""
    lines = _lines_by_key(text, 0)
    described = [line for key in _OLD_LINES for _, line in lines.pop(key, [])]
    lines.pop(_CALIBRATED, None)
    records = _cut_each(lines, known=_GSM_RECORDS, name=name)
    header = read_old_header(
        b"\n".join(described).decode("latin-1"), _window_of(_field_rows(records, name)), name=name
    )
    return _gsm(records, header, name=name)


def _records(text: bytes, start: int, *, known: tuple[str, ...], name: str) -> dict[str, Rows]:
    """Return the rows below a header by their key; all at once where there is one key only."""
    rows = cut_even(text, start, name=name)
    if rows is not None and rows.text(0) in known and rows.constant(0):
        return {rows.text(0): rows}
    return _cut_each(_lines_by_key(text, start), known=known, name=name)


def _lines_by_key(text: bytes, start: int) -> dict[str, list[tuple[int, bytes]]]:
    lines: dict[str, list[tuple[int, bytes]]] = {}
    first = text.count(b"\n", 0, start) + 1
    for number, line in enumerate(text[start:].split(b"\n"), start=first):
        if key := line[:40].split(maxsplit=1)[:1]:
            lines.setdefault(key[0].decode("latin-1"), []).append((number, line))
    return lines


def _cut_each(
    lines: Mapping[str, list[tuple[int, bytes]]], *, known: tuple[str, ...], name: str
) -> dict[str, Rows]:
    for key, numbered in lines.items():
        if key not in known:
            msg = (
                f"{name}: line {numbered[0][0]}: found a record {key!r}, expected "
                f"{', '.join(known)}; the file is damaged or of another format"
            )
            raise GravityFormatError(msg)
    return {key: cut_lines(numbered, name=name) for key, numbered in lines.items()}


def _field_rows(records: Mapping[str, Rows], name: str) -> Rows:
    """Return the rows of the field itself, which must be of one kind."""
    found = [records[key] for key in _FIELD_RECORDS if key in records]
    if len(found) != 1:
        held = ", ".join(records) or "no records"
        msg = f"{name}: holds {held}, expected rows of GRCOF2 (or of GRCOEF)"
        if _RATE_RECORD in records:
            msg += "; a file of GRDOTA alone is a model of rates: ingest it as kind gia"
        raise GravityFormatError(msg)
    return found[0]


def _window_of(rows: Rows) -> dict[str, str]:
    """Return the window that rows state, none if they hold no dates (a static field)."""
    dates = [i for i in range(5, len(rows.cells)) if _DATE.fullmatch(rows.text(i))]
    if not dates:
        return {}
    if len(dates) != 2 or not all(rows.constant(i) for i in dates):
        msg = (
            f"{rows.name}: line {rows.lines[0]}: rows hold {len(dates)} dates that may differ, "
            "expected begin and end of one window, the same in all rows"
        )
        raise GravityFormatError(msg)
    start, end = (moment(rows.text(i), name=rows.name) for i in dates)
    return window(start, end, name=rows.name)


def _gsm(records: Mapping[str, Rows], header: FieldHeader, *, name: str) -> xr.Dataset:
    """Return a monthly field; its degrees 0 and 1 may be left out of the file."""
    found = _gsm_coefficients(_field_rows(records, name))
    arrays = _field_arrays(squares(found, j_max=header.j_max))
    attributes: dict[str, Any] = {}
    if _RATE_RECORD in records:
        rates = records[_RATE_RECORD]
        trend = coefficients(rates, first=1, count=2)
        arrays["stokes_trend"] = squares(trend, j_max=header.j_max, complete_from=None)
        attributes["reference_epoch"] = _rate_epoch(rates)
    return _dataset(arrays, header, attributes)


def _gsm_coefficients(rows: Rows) -> Coefficients:
    """Read j, m, C, S and, where they come before dates and flags, the sigmas."""
    if len(rows.cells) < 5:
        msg = (
            f"{rows.name}: line {rows.lines[0]} has {len(rows.cells)} fields, expected a key, "
            "degree, order, C and S"
        )
        raise GravityFormatError(msg)
    after = [rows.text(i) for i in range(5, len(rows.cells))]
    marks = (i for i, cell in enumerate(after) if _DATE.fullmatch(cell) or _FLAGS.fullmatch(cell))
    sigmas = next(marks, len(after))
    if sigmas not in {0, 2}:
        msg = (
            f"{rows.name}: line {rows.lines[0]} has {sigmas} numbers after C and S, expected two "
            "sigmas or none; the columns are of another layout"
        )
        raise GravityFormatError(msg)
    return coefficients(rows, first=1, count=2 + sigmas)


def _rate_epoch(rows: Rows) -> str:
    """Return the epoch that RL04 and before map their rates to."""
    dates = [i for i in range(5, len(rows.cells)) if _DATE.fullmatch(rows.text(i))]
    if not dates or not rows.constant(dates[0]):
        msg = (
            f"{rows.name}: line {rows.lines[0]}: GRDOTA rows without one epoch for all; expected "
            "yyyymmdd.hhmm after the rates"
        )
        raise GravityFormatError(msg)
    return _epoch(rows.text(dates[0]), name=rows.name)


def _epoch(text: str, *, name: str) -> str:
    when = moment(text, name=name)
    return f"{when:%Y-%m-%d}" if (when.hour, when.minute) == (0, 0) else f"{when:%Y-%m-%dT%H:%M:%S}"


def _field_arrays(values: FLOAT) -> dict[str, FLOAT]:
    """Return C and S, and sigmas: NaN within the triangle where the source gives none."""
    if len(values) == 4:
        return {"stokes": values[:2], "stokes_sigma": values[2:]}
    unknown = np.where(np.tri(values.shape[-1], dtype=bool), np.nan, 0.0)
    return {"stokes": values, "stokes_sigma": np.stack([unknown, unknown])}


def _dataset(
    arrays: Mapping[str, FLOAT],
    header: FieldHeader,
    attributes: Mapping[str, Any],
    periods: FLOAT | None = None,
) -> xr.Dataset:
    units = {"stokes_trend": "yr-1"}
    variables = {
        key: (
            ("period_years", *DIMS) if values.ndim == 4 else DIMS,
            values,
            {"units": units.get(key, "1")},
        )
        for key, values in arrays.items()
    }
    coordinates = {} if periods is None else {"period_years": periods}
    stated = asdict(header)
    stated["max_degree"] = stated.pop("j_max")
    attrs = {**stated, "normalisation": "4pi", **attributes}
    return xr.Dataset(variables, coords=coordinates, attrs=attrs)


def read_gfc(text: bytes, *, name: str) -> xr.Dataset:
    """Read an ICGEM field, static or with rates and periodic parts.

    Barthelmes & Förste (2011), the ICGEM format, for each coefficient G and its epoch t₀::

        G(t) = gfct + trnd (t − t₀) + Σₚ [acosₚ cos(2π(t − t₀)/p) + asinₚ sin(2π(t − t₀)/p)]

    ``dot`` is the older name of ``trnd``. ``icgem2.0`` gives every part an interval of validity; a
    field of one interval is read, one in pieces is refused.
    """
    end = GFC_END.search(text)
    header_end, start = (end.start(), end.end() + 1) if end else (len(text), len(text))
    header, said = read_icgem_header(text[:header_end].decode("latin-1"), name=name)
    records = _records(text, start, known=_GFC_RECORDS, name=name)
    second = "2.0" in said.get("format", "")
    times = _GFC_2_TIMES if second else _GFC_TIMES
    found = {key: _gfc_coefficients(rows, times.get(key, 0)) for key, rows in records.items()}
    parts = [found[key] for key in ("gfc", "gfct") if key in found]
    if not parts:
        msg = f"{name}: holds no rows of gfc or gfct after end_of_head; fetch the file again"
        raise GravityFormatError(msg)
    epoch = _gfc_epoch(records, second=second, name=name)
    arrays = _field_arrays(squares(joined(parts), j_max=header.j_max))
    trends = [found[key] for key in ("trnd", "dot") if key in found]
    if trends:
        arrays["stokes_trend"] = squares(joined(trends), j_max=header.j_max, complete_from=None)[:2]
    periods = _periods(records, name=name)
    for key, variable in (("acos", "stokes_cosine"), ("asin", "stokes_sine")):
        if periods is not None:
            arrays[variable] = _periodic(records.get(key), found.get(key), periods, header.j_max)
    return _dataset(arrays, header, {"reference_epoch": epoch} if epoch else {}, periods)


def _gfc_coefficients(rows: Rows, times: int) -> Coefficients:
    """Read j, m, C, S and the first pair of sigmas: with two, the calibrated ones come first."""
    sigmas = len(rows.cells) - 5 - times
    if sigmas not in {0, 2, 4}:
        key = rows.text(0)
        msg = (
            f"{rows.name}: line {rows.lines[0]}: a {key} row has {len(rows.cells)} fields, "
            f"expected {5 + times}, {7 + times} or {9 + times}: key, degree, order, C, S, sigmas "
            f"and {times} of epoch and period"
        )
        raise GravityFormatError(msg)
    return coefficients(rows, first=1, count=2 + min(sigmas, 2))


def _gfc_epoch(records: Mapping[str, Rows], *, second: bool, name: str) -> str:
    """Return the epoch that all time-variable rows share, empty for a static field."""
    stated = (
        {"gfct": -1} if not second else {"gfct": -2, "trnd": -2, "dot": -2, "acos": -3, "asin": -3}
    )
    found = {
        cell for key, column in stated.items() if key in records
        for cell in records[key].texts(column)
    }  # fmt: skip
    variable = [key for key in records if key not in {"gfc", "gfct"}]
    if len(found) > 1 or (variable and not found):
        listed = ", ".join(repr(cell) for cell in sorted(found)[:4]) or "none"
        msg = (
            f"{name}: the time-variable rows name {len(found)} epochs ({listed}), expected one; a "
            "field in pieces is not read: take one piece"
        )
        raise GravityFormatError(msg)
    return _epoch(found.pop(), name=name) if found else ""


def _periods(records: Mapping[str, Rows], *, name: str) -> FLOAT | None:
    """Return the periods [yr] of the periodic rows, ascending; None without such rows."""
    found = [
        records[key].real(len(records[key].cells) - 1, "the period")
        for key in ("acos", "asin")
        if key in records
    ]
    if not found:
        return None
    periods = np.unique(np.concatenate(found))
    if len(periods) > _MOST_PERIODS or not (np.isfinite(periods) & (periods > 0.0)).all():
        msg = (
            f"{name}: the last columns of acos and asin hold {len(periods)} values from "
            f"{periods[0]:g} to {periods[-1]:g}, expected up to {_MOST_PERIODS} periods in years"
        )
        raise GravityFormatError(msg)
    return periods


def _periodic(rows: Rows | None, found: Coefficients | None, periods: FLOAT, j_max: int) -> FLOAT:
    """Return amplitudes by period, shape (periods, 2, j_max + 1, j_max + 1)."""
    filled = np.zeros((len(periods), 2, j_max + 1, j_max + 1))
    if rows is None or found is None:
        return filled
    of_row = rows.real(len(rows.cells) - 1, "the period")
    for square, period in zip(filled, periods, strict=True):
        square[:] = squares(found.where(of_row == period), j_max=j_max, complete_from=None)[:2]
    return filled
