"""Tables by degree: load Love numbers, and Stokes rates of glacial isostatic adjustment."""

import re

import numpy as np
import xarray as xr

from stac.gravity_coefficients import Coefficients, coefficients, squares
from stac.gravity_text import (
    FLOAT,
    GravityFormatError,
    Rows,
    cut_lines,
    numbered_lines,
    table_lines,
)

LARGEST_RATE = 1e-8
"""A Stokes rate beyond this is none: adjustment moves C20 by 1.4e-11 a year [yr⁻¹]."""
IVINS_UNIT = 1e-11
"""Unit in which Ivins et al. (2013) print their rates, without saying so [yr⁻¹]."""
FRAME_TOLERANCE = 1e-6
"""How closely degree 1 must keep the condition that defines its frame [1]."""

_DEGREE_NAMES = {"l", "n", "j", "degree"}
_RULE = re.compile(rb"[\s*#=-]*")
_RATE_ROW = re.compile(rb"\s*\d+[\s,]+-?\d+[\s,]+[-+.\d]")
_YAML_END = re.compile(rb"# End of YAML header")
_KEYED_ROW = re.compile(rb"GRDOTA\s")
_END = re.compile(rb"END OF HEADER")
_PELTIER = (
    re.compile(rb"^GRACE Approximation for degrees 0 to 2"),
    re.compile(rb"^GRACE Approximation/Absolute Sea-level Values for degrees > 2"),
)
_MODEL = re.compile(r"ICE-?[56]G[-_]?[CD]|IJ05[-_]?R2|AGE-?1[ab]?|W12a|Caron", re.IGNORECASE)


def love_numbers(text: bytes, *, name: str) -> xr.Dataset:
    """Read load Love numbers; the heading says in which order the columns stand.

    Han and Wahr (1995) print ``l h k l``, Gegout (2005) ``degree h l k``, Wang et al. (2012)
    ``n h l k nl nk``: the first is the degree, then `l` is the horizontal number.
    """
    lines = list(numbered_lines(text))
    at = next((i for i, (_, line) in enumerate(lines) if _heading(line)), None)
    if at is None:
        msg = (
            f"{name}: found no heading that names h, k and l; expected 'l h k l' (Han and Wahr), "
            "'degree h l k' (Gegout) or 'n h l k nl nk' (Wang)"
        )
        raise GravityFormatError(msg)
    heading = _heading(lines[at][1])
    body = [(number, line) for number, line in lines[at + 1 :] if not _RULE.fullmatch(line)]
    rows = cut_lines(body, name=name)
    if len(rows.cells) != len(heading):
        msg = (
            f"{name}: line {rows.lines[0]} has {len(rows.cells)} fields, expected {len(heading)} "
            f"as the heading {' '.join(heading)!r} names"
        )
        raise GravityFormatError(msg)
    first = _require_every_degree(rows)
    columns = {
        letter: np.pad(rows.real(1 + heading[1:].index(letter), letter), (first, 0))
        for letter in "hlk"
    }
    _require_loads(columns, rows, first)
    return xr.Dataset(
        {letter: (("degree",), column, {"units": "1"}) for letter, column in columns.items()},
        attrs={
            "name": name,
            "frame": _frame(columns, name=name),
            "max_degree": len(columns["h"]) - 1,
        },
    )


def _heading(line: bytes) -> list[str]:
    """Return the names of columns, or nothing if the line does not name them."""
    words = line.decode("latin-1").lstrip("# ").split()
    names = len(words) >= 4 and words[0] in _DEGREE_NAMES and {"h", "k", "l"} <= set(words[1:])
    return words if names else []


def _require_every_degree(rows: Rows) -> int:
    """Return the first degree, 0 or 1; all that follow must be there."""
    degree = rows.whole(0, "the degree")
    gaps = np.flatnonzero(np.diff(degree) != 1)
    if degree[0] > 1 or gaps.size:
        found = degree[0] if degree[0] > 1 else degree[gaps[0] + 1]
        expected = "0 or 1" if degree[0] > 1 else degree[gaps[0]] + 1
        line = rows.lines[0] if degree[0] > 1 else rows.lines[gaps[0] + 1]
        msg = (
            f"{rows.name}: line {line}: found degree {found}, expected {expected}; a table with "
            "gaps must be interpolated before it is ingested"
        )
        raise GravityFormatError(msg)
    return int(degree[0])


def _require_loads(columns: dict[str, FLOAT], rows: Rows, first: int) -> None:
    """Refuse numbers no elastic Earth has: a load sinks (h < 0) and is partly compensated."""
    h, k = columns["h"][2:], columns["k"][2:]
    wrong = ~((h < 0.0) & (k < 0.0) & (k > -1.0) & np.isfinite(columns["l"][2:]))
    if wrong.any() or not all(np.isfinite(column).all() for column in columns.values()):
        j = 2 + int(wrong.argmax()) if wrong.any() else 0
        line = rows.lines[max(j - first, 0)]
        found = ", ".join(f"{letter} = {column[j]:g}" for letter, column in columns.items())
        msg = (
            f"{rows.name}: line {line}: degree {j} has {found}; expected load Love numbers with "
            "h < 0 and -1 < k < 0 from degree 2; the columns may stand in another order"
        )
        raise GravityFormatError(msg)


def _frame(columns: dict[str, FLOAT], *, name: str) -> str:
    """Return the frame that the degree-1 numbers belong to (Blewitt, 2003).

    The centre of the solid Earth has k₁ = 0, that of the whole Earth k₁ = −1, that of the figure
    h₁ + 2 l₁ = 0.
    """
    if len(columns["h"]) < 2:
        msg = f"{name}: holds degree 0 only, expected degree 1 and more; fetch the file again"
        raise GravityFormatError(msg)
    h, shear, k = (float(columns[letter][1]) for letter in "hlk")
    conditions = {"CE": k, "CM": k + 1.0, "CF": h + 2.0 * shear}
    frame = next((key for key, off in conditions.items() if abs(off) < FRAME_TOLERANCE), None)
    if frame is None:
        msg = (
            f"{name}: degree 1 has h = {h:g}, l = {shear:g}, k = {k:g}, which is no known frame; "
            "expected k = 0 (CE), k = -1 (CM) or h + 2l = 0 (CF)"
        )
        raise GravityFormatError(msg)
    return frame


def gia(text: bytes, *, name: str) -> xr.Dataset:
    """Read rates of C and S by degree and order.

    Rows of ``j m C S`` (the models of Peltier as posted or as reordered, A et al., Whitehouse et
    al.), of ``GRDOTA j m C S`` under a YAML header (GravIS), of ``j ±m value`` with S at negative
    orders (Caron et al.), or of Ivins et al. (2013), whose 1e-11 yr⁻¹ only their file name betrays.
    """
    lines = list(numbered_lines(text))
    if keyed := table_lines(lines, _YAML_END, _KEYED_ROW, name=name):
        found = _rates(
            cut_lines(((n, b" ".join(line.split()[:5])) for n, line in keyed), name=name), 1
        )
    else:
        found = _rates(cut_lines(_rate_lines(lines, name=name), name=name), 0)
    j_max = int(found.degree.max())
    rates = _in_rate_unit(squares(found, j_max=j_max), name=name)
    label = _MODEL.search(f"{text[:2000].decode('latin-1')} {name}")
    return xr.Dataset(
        {"stokes_rate": (("part", "degree", "order"), rates, {"units": "yr-1"})},
        attrs={"name": label.group() if label else name, "max_degree": j_max},
    )


def _rates(rows: Rows, first: int) -> Coefficients:
    """Read columns of degree, order and rates, from a first one on."""
    columns = len(rows.cells) - first
    if columns == 3 and first == 0:
        return _signed_orders(rows)
    if columns < 4:
        msg = f"{rows.name}: rows have {columns} fields, expected degree, order, C and S"
        raise GravityFormatError(msg)
    return coefficients(rows, first=first, count=2)


def _rate_lines(lines: list[tuple[int, bytes]], *, name: str) -> list[tuple[int, bytes]]:
    """Return the rows of a model without its header."""
    starts = [_position(lines, pattern) for pattern in _PELTIER]
    if None not in starts:
        low, high = (start or 0 for start in starts)
        head = [pair for pair in lines[low : low + 8] if _RATE_ROW.match(pair[1])]
        return head[:6] + [pair for pair in lines[high:] if pair[1].strip()]
    start = _position(lines, _END)
    if start is None:
        start = next((i for i, pair in enumerate(lines) if _RATE_ROW.match(pair[1])), None)
    if start is None:
        msg = (
            f"{name}: found no rows of degree, order and rates; expected 'j m C S' below END OF "
            "HEADER or from the first line"
        )
        raise GravityFormatError(msg)
    return [pair for pair in lines[start:] if pair[1].strip()]


def _position(lines: list[tuple[int, bytes]], pattern: re.Pattern[bytes]) -> int | None:
    """Return the index of the line after the one that a pattern finds."""
    return next((i + 1 for i, (_, line) in enumerate(lines) if pattern.search(line)), None)


def _signed_orders(rows: Rows) -> Coefficients:
    """Read rows of degree, order and value, where a negative order is that of S."""
    degree, order = rows.whole(0, "the degree"), rows.whole(1, "the order")
    value = rows.real(2, "a rate")
    s = order < 0
    found = Coefficients(rows.name, degree, np.abs(order), (value, value), rows.lines)
    j_max = int(degree.max())
    c_part = squares(found.where(~s), j_max=j_max)[0]
    s_part = squares(found.where(s), j_max=j_max, complete_from=None)[1]
    j, m = np.tril_indices(j_max + 1)
    return Coefficients(rows.name, j, m, (c_part[j, m], s_part[j, m]), np.zeros_like(j))


def _in_rate_unit(rates: FLOAT, *, name: str) -> FLOAT:
    """Return rates in yr⁻¹; numbers too large are refused unless Ivins et al. wrote them."""
    largest = float(np.abs(rates).max())
    if largest <= LARGEST_RATE:
        return rates
    if re.search(r"Stokes\.R2_|IJ05", name) and largest * IVINS_UNIT <= LARGEST_RATE:
        return rates * IVINS_UNIT
    msg = (
        f"{name}: rates reach {largest:g}, expected Stokes rates below {LARGEST_RATE:g} yr-1; this "
        "may be a static field or another unit, convert it"
    )
    raise GravityFormatError(msg)
