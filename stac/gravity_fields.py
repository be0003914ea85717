"""Monthly and static gravity fields: GRACE Level-2 `GSM` of RL05 and RL06, and ICGEM `.gfc`."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac.gravity_text import (
    FLOAT,
    Columns,
    GravityFormatError,
    header_value,
    number,
    optional_value,
    split_rows,
    triangle,
)

YAML_END = b"# End of YAML header"
GFC_END = re.compile(rb"^end_of_head.*$", re.MULTILINE)
OLD_ROWS = re.compile(rb"^GRCO(?:F2|EF)\b", re.MULTILINE)
TIDES = {"inclusive": "zero_tide", "exclusive": "tide_free"}
DIMS = ("part", "degree", "order")


def read_yaml_gsm(text: bytes, *, name: str) -> xr.Dataset:
    """Read a Level-2 field with the YAML header of RL06."""
    header, _, block = text.partition(YAML_END)

    def said(pattern: str, what: str) -> str:
        return header_value(header, pattern, name=name, what=what)

    _require_normalised(said(r"^\s*normalization\s*:\s*(.+)$", "the normalisation"), name=name)
    unit = said(r"mean_equator_radius\s*:[^#]*?units\s*:\s*(\S+)", "the unit of the radius")
    if unit not in {"meters", "m", "metres"}:
        msg = f"{name}: the radius is in {unit!r}, expected meters; convert the header"
        raise GravityFormatError(msg)
    start = _date(said(r"^\s*time_coverage_start\s*:\s*(\S+)", "the start"), name=name)
    end = _date(said(r"^\s*time_coverage_end\s*:\s*(\S+)", "the end"), name=name)
    flag = optional_value(header, r"^\s*permanent_tide_flag\s*:\s*(\S+)")
    platform = optional_value(header, r"^\s*platform\s*:\s*(.+)$")
    attributes = {
        "product": said(r"^\s*product_id\s*:\s*(\S+)", "the product"),
        "centre": _centre(said(r"^\s*institution\s*:\s*(.+)$", "the institution")),
        "release": optional_value(header, r"^\s*product_version\s*:\s*(\S+)"),
        "mission": _mission(platform),
        "gm": number(
            said(r"earth_gravity_param\s*:[^#]*?value\s*:\s*(\S+)", "GM"), name=name, what="GM"
        ),
        "radius": number(
            said(r"mean_equator_radius\s*:[^#]*?value\s*:\s*(\S+)", "the radius"),
            name=name,
            what="the radius",
        ),
        "tide_system": TIDES.get(flag, "unknown"),
        "unused_days": optional_value(header, r"^\s*unused_days\s*:\s*\[(.*)\]"),
        **_window(start, end, name=name),
    }
    j_max = int(said(r"^\s*degree\s*:\s*(\d+)", "the degree"))
    return _field(split_rows(block.partition(b"\n")[2], name=name), j_max, attributes, name=name)


def read_old_gsm(text: bytes, *, name: str) -> xr.Dataset:
    """Read a Level-2 field with the fixed header of RL05 and before (FIRST, EARTH, SHM)."""
    first = OLD_ROWS.search(text)
    start_of_rows = first.start() if first else len(text)
    header = text[:start_of_rows]
    block = b"\n".join(line for line in text[start_of_rows:].splitlines() if OLD_ROWS.match(line))
    rows = split_rows(block, name=name)
    earth = header_value(header, r"^EARTH\s+(\S+\s+\S+)", name=name, what="GM and radius (EARTH)")
    gm, radius = (number(part, name=name, what="EARTH") for part in earth.split())
    shape = header_value(header, r"^SHM\s+(.+)$", name=name, what="the degree (SHM)")
    _require_normalised(shape, name=name)
    if len(rows.fields) < 9:
        msg = f"{name}: rows have {len(rows.fields)} fields, expected dates in columns 8 and 9"
        raise GravityFormatError(msg)
    start, end = (_date(rows.fields[i][0].decode(), name=name) for i in (7, 8))
    label = optional_value(header, r"^FIRST\s+(.+)$") or name
    flag = "exclusive" if "exclusive" in shape else "inclusive" if "inclusive" in shape else ""
    attributes = {
        "product": "GSM-2",
        "centre": _centre(f"{label} {name}"),
        "release": _release(f"{label} {name}"),
        "mission": "GRACE",
        "gm": gm,
        "radius": radius,
        "tide_system": TIDES.get(flag, "unknown"),
        "unused_days": "",
        **_window(start, end, name=name),
    }
    return _field(rows, int(shape.split()[0]), attributes, name=name)


def _require_normalised(text: str, *, name: str) -> None:
    if "fully" not in text.lower() or "normal" not in text.lower():
        msg = f"{name}: the normalisation is {text!r}, expected 'fully normalized' (4π)"
        raise GravityFormatError(msg)


def _mission(platform: str) -> str:
    if "GRACE-C" in platform or "GRACE-FO" in platform:
        return "GRACE-FO"
    return "GRACE" if "GRACE" in platform else ""


def _centre(label: str) -> str:
    known = (("CSR", "CSR"), ("GFZ", "GFZ"), ("GFZ", "EIGEN"), ("JPL", "JPL"), ("ITSG", "ITSG"))
    return next((centre for centre, sign in known if sign in label.upper()), "unknown")


def _release(label: str) -> str:
    found = re.search(r"_00(\d\d)\b|RL(\d\d)", label)
    return f"RL{found.group(1) or found.group(2)}" if found else ""


def _date(text: str, *, name: str) -> dt.datetime:
    """Return a moment written as ISO 8601 or ``yyyymmdd.hhmm``."""
    try:
        if "T" in text or "-" in text:
            return dt.datetime.fromisoformat(text.removesuffix("Z")[:19]).replace(tzinfo=dt.UTC)
        return dt.datetime.strptime(text[:8], "%Y%m%d").replace(tzinfo=dt.UTC)
    except ValueError as error:
        msg = f"{name}: found {text!r} for a date, expected YYYY-MM-DD or yyyymmdd.hhmm"
        raise GravityFormatError(msg) from error


def _window(start: dt.datetime, end: dt.datetime, *, name: str) -> dict[str, str]:
    if end <= start:
        msg = f"{name}: ends {end:%Y-%m-%d} before it starts {start:%Y-%m-%d}; correct the header"
        raise GravityFormatError(msg)
    after = end if (end.hour, end.minute, end.second) == (0, 0, 0) else _next_midnight(end)
    return {"time_start": f"{start:%Y-%m-%d}", "time_end": f"{after:%Y-%m-%d}"}


def _next_midnight(moment: dt.datetime) -> dt.datetime:
    return (moment + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _field(rows: Columns, j_max: int, attributes: Mapping[str, Any], *, name: str) -> xr.Dataset:
    """Return the dataset of a monthly field; degrees 0 and 1 may be left out of the file."""
    if len(rows.fields) < 5:
        msg = f"{name}: rows have {len(rows.fields)} fields, expected a key, j, m, C and S"
        raise GravityFormatError(msg)
    _require_keys(rows.fields[0], {b"GRCOF2", b"GRCOEF"}, name=name)
    degree = rows.whole(1, name=name, what="the degree")
    order = rows.whole(2, name=name, what="the order")
    what = ("C", "S", "the sigma of C", "the sigma of S")
    given = 4 if len(rows.fields) >= 7 else 2
    columns = [rows.real(3 + i, name=name, what=what[i]) for i in range(given)]
    squares = triangle(degree, order, columns, j_max=j_max, first=2, name=name)
    sigma = np.stack(squares[2:]) if given == 4 else _unknown(j_max)
    return _dataset({"stokes": np.stack(squares[:2]), "stokes_sigma": sigma}, attributes)


def _require_keys(keys: NDArray[np.bytes_], known: set[bytes], *, name: str) -> None:
    strange = sorted(set(np.unique(keys).tolist()) - known)
    if strange:
        expected = ", ".join(sorted(key.decode() for key in known))
        found = ", ".join(key.decode("latin-1") for key in strange)
        msg = f"{name}: found rows of {found}, expected {expected} only"
        raise GravityFormatError(msg)


def _unknown(j_max: int) -> FLOAT:
    """Return sigmas that the source does not give: NaN within the triangle."""
    inside = np.tri(j_max + 1, dtype=bool)
    return np.broadcast_to(np.where(inside, np.nan, 0.0), (2, j_max + 1, j_max + 1)).copy()


def _dataset(
    arrays: Mapping[str, FLOAT],
    attributes: Mapping[str, Any],
    periods: FLOAT | None = None,
) -> xr.Dataset:
    units = {"stokes_trend": "yr-1"}
    variables = {
        key: (("period_years", *DIMS) if values.ndim == 4 else DIMS, values, {"units": unit})
        for key, values in arrays.items()
        for unit in [units.get(key, "1")]
    }
    coordinates = {} if periods is None else {"period_years": periods}
    degree = int(arrays["stokes"].shape[-1] - 1)
    attrs = {**attributes, "max_degree": degree, "normalisation": "4pi"}
    return xr.Dataset(variables, coords=coordinates, attrs=attrs)


def read_gfc(text: bytes, *, name: str) -> xr.Dataset:
    """Read an ICGEM field, static or with trend and periodic records (format 1.0).

    Barthelmes & Förste (2011): ``gfct`` is the value at t₀, ``trnd`` or ``dot`` its rate, ``acos`` and
    ``asin`` the amplitudes of a period in years.
    """
    end = GFC_END.search(text)
    header, block = (text[: end.start()], text[end.end() :]) if end else (text, b"")

    def said(pattern: str, what: str) -> str:
        return header_value(header, pattern, name=name, what=what)

    normalisation = optional_value(header, r"^norm\s+(\S+)") or "fully_normalized"
    _require_normalised(normalisation.replace("_", " "), name=name)
    j_max = int(said(r"^max_degree\s+(\d+)", "max_degree"))
    tide = optional_value(header, r"^tide_system\s+(\S+)")
    attributes: dict[str, Any] = {
        "product": said(r"^modelname\s+(\S+)", "modelname"),
        "centre": _centre(name),
        "release": "",
        "mission": "",
        "gm": number(
            said(r"^earth_gravity_constant\s+(\S+)", "earth_gravity_constant"),
            name=name,
            what="earth_gravity_constant",
        ),
        "radius": number(said(r"^radius\s+(\S+)", "radius"), name=name, what="radius"),
        "tide_system": tide if tide in {"zero_tide", "tide_free", "mean_tide"} else "unknown",
        "unused_days": "",
        "time_start": "",
        "time_end": "",
    }
    return _gfc_dataset(_gfc_records(block, name=name), j_max, attributes, name=name)


Record = tuple[int, int, list[float]]


def _gfc_records(block: bytes, *, name: str) -> dict[str, list[Record]]:
    """Return rows by key; ``dot`` is the older name of ``trnd``."""
    records: dict[str, list[Record]] = {"gfc": [], "trnd": [], "acos": [], "asin": []}
    alias = {"gfct": "gfc", "dot": "trnd"}
    epochs: set[float] = set()
    for line in block.decode("latin-1").splitlines():
        key, *cells = line.split() or [""]
        target = alias.get(key, key)
        if not key:
            continue
        if target not in records or len(cells) < 4:
            msg = f"{name}: found {line[:60]!r}, expected gfc, gfct, trnd, dot, acos or asin rows"
            raise GravityFormatError(msg)
        values = [number(cell, name=name, what=f"a {key} row") for cell in cells]
        if key == "gfct":
            epochs.add(values[-1])
        records[target].append((int(values[0]), int(values[1]), values[2:]))
    if len(epochs) > 1:
        listed = ", ".join(f"{epoch:.0f}" for epoch in sorted(epochs))
        msg = f"{name}: gfct rows hold epochs {listed}; piecewise fields are not read, expected one"
        raise GravityFormatError(msg)
    records["epoch"] = [(0, 0, [epoch]) for epoch in epochs]
    return records


def _gfc_dataset(
    records: dict[str, list[Record]], j_max: int, attributes: dict[str, Any], *, name: str
) -> xr.Dataset:
    static = _squares(records["gfc"], j_max, first=2, name=name)
    arrays = {"stokes": static[0], "stokes_sigma": static[1]}
    periods = np.array(sorted({row[2][-1] for row in records["acos"] + records["asin"]}))
    if records["trnd"]:
        arrays["stokes_trend"] = _squares(records["trnd"], j_max, first=None, name=name)[0]
    for key, variable in (("acos", "stokes_cosine"), ("asin", "stokes_sine")):
        if periods.size:
            arrays[variable] = np.stack([
                _squares([r for r in records[key] if r[2][-1] == p], j_max, first=None, name=name)[0]
                for p in periods
            ])  # fmt: skip
    if records["epoch"]:
        text = f"{records['epoch'][0][2][0]:.0f}"
        attributes["reference_epoch"] = f"{_date(text, name=name):%Y-%m-%d}"
    return _dataset(arrays, attributes, periods if periods.size else None)


def _squares(
    rows: list[Record], j_max: int, *, first: int | None, name: str
) -> tuple[FLOAT, FLOAT]:
    """Return coefficients and sigmas of records, shape (2, j_max + 1, j_max + 1) each."""
    degree = np.array([row[0] for row in rows], dtype=np.int64)
    order = np.array([row[1] for row in rows], dtype=np.int64)
    has_sigma = bool(rows) and all(len(row[2]) >= 4 for row in rows)
    count = 4 if has_sigma else 2
    columns = [np.array([row[2][i] for row in rows]) for i in range(count)]
    start = j_max + 1 if first is None else first
    placed = triangle(degree, order, columns, j_max=j_max, first=start, name=name)
    sigma = np.stack(placed[2:]) if has_sigma else _unknown(j_max)
    return np.stack(placed[:2]), sigma
