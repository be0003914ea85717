"""Tables of numbers by region as papers print them, read by the names of their columns.

Three layouts are told apart by their header:

- wide: ``basin`` or ``region`` first, then ``QUANTITY[_PERIOD]`` and its uncertainty with
  ``sigma`` among the words, as ``D_2000``, ``D_sigma_2000``, ``SMB_mean_sigma``, ``area_km2``;
- long: columns ``quantity``, ``region``, ``value``, ``uncertainty``;
- ours (:mod:`pipelines.tables`), which is long with periods and products.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from pipelines.kernels.budget.audit_groups import canonical
from pipelines.kernels.budget.printed_numbers import Column, Printed

QUANTITIES: Mapping[str, str] = {
    "d": "D", "discharge": "D", "smb": "SMB", "surface_mass_balance": "SMB", "mb": "MB",
    "mass_balance": "MB", "area": "area",
}  # fmt: skip
"""Names, in lower case, of quantities that are checked against each other."""

REGION = ("basin", "region", "basin_id", "id", "drainage_basin")
SIGMA = frozenset({"sigma", "sd", "uncertainty", "error", "err", "std"})
UNITS = frozenset({"km2", "gt", "gtyr", "yr", "gt/yr"})
MEAN = frozenset({"mean", "average", "avg"})

_Cells = dict[str, Printed]
_Key = tuple[str, str]


class PublishedTableError(ValueError):
    """A file that is no table of numbers by region."""


def read(data: bytes, *, name: str) -> list[Column]:
    r"""Return the columns of a table.

    Parameters
    ----------
    data : bytes
        CSV in UTF-8, a header first.
    name : str
        What to call the table.

    Returns
    -------
    list of Column
        In the order of the table; cells that are empty or NaN are absent.

    Raises
    ------
    PublishedTableError
        No CSV, no column of regions, a cell that is no number, a region that comes twice.

    Examples
    --------
    >>> column, = read(b"basin,D_2000,D_sigma_2000\nB1,114,25\n2,50,\n", name="table2")
    >>> column.name, column.values["1"], sorted(column.sigmas)
    ('D 2000', Printed(value=114.0, half=0.5), ['1'])
    """
    header, lines = header_and_lines(data, name=name)
    names = [cell.strip().lower() for cell in header]
    for number, line in lines:
        if len(line) != len(header):
            msg = f"{name}: line {number} has {len(line)} cells, expected {len(header)}"
            raise PublishedTableError(msg)
    if {"quantity", "region", "value"} <= set(names):
        return _long(names, lines, name=name)
    return _wide(names, lines, name=name)


def header_and_lines(data: bytes, *, name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the first line, and the others with their numbers, without those that are empty."""
    try:
        text = data.decode("utf-8-sig")
        rows = [each for each in enumerate(csv.reader(io.StringIO(text)), start=1) if any(each[1])]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{name} is not CSV in UTF-8 ({error}); save it as one"
        raise PublishedTableError(msg) from error
    if len(rows) < 2:
        msg = f"{name} has {len(rows)} lines; expected a header and a row or more"
        raise PublishedTableError(msg)
    return rows[0][1], rows[1:]


def _wide(
    names: Sequence[str], lines: Sequence[tuple[int, list[str]]], *, name: str
) -> list[Column]:
    found = next((index for index, cell in enumerate(names) if cell in REGION), None)
    if found is None:
        msg = (
            f"{name}: found the columns {', '.join(names)}; expected one of {', '.join(REGION)}, "
            "or quantity, region and value"
        )
        raise PublishedTableError(msg)
    values: dict[_Key, _Cells] = {}
    sigmas: dict[_Key, _Cells] = {}
    for index, cell in enumerate(names):
        if index != found:
            key, is_sigma = _meaning(cell)
            kept = (sigmas if is_sigma else values).setdefault(key, {})
            for number, line in lines:
                _keep(kept, line[found], line[index], where=f"{name}: line {number}, {cell}")
    return _columns(values, sigmas, name=name)


def _meaning(cell: str) -> tuple[_Key, bool]:
    """Return quantity and period that a name speaks of, and whether it is an uncertainty.

    The first word is the quantity, ``sigma`` may stand anywhere, units are dropped.
    """
    words = cell.split("_")
    whole = "_".join(word for word in words if word not in SIGMA | UNITS)
    known = max((q for q in QUANTITIES if f"{whole}_".startswith(f"{q}_")), key=len, default=None)
    quantity = whole.partition("_")[0] if known is None else known
    period = whole[len(quantity) :].strip("_")
    key = (QUANTITIES.get(quantity, quantity), "mean" if period in MEAN else period)
    return key, bool(SIGMA & set(words))


def _long(
    names: Sequence[str], lines: Sequence[tuple[int, list[str]]], *, name: str
) -> list[Column]:
    rows = [(number, dict(zip(names, line, strict=True))) for number, line in lines]
    apart = _telling_apart([row for _, row in rows])
    values: dict[_Key, _Cells] = {}
    sigmas: dict[_Key, _Cells] = {}
    for number, row in rows:
        key = _long_key(row, apart)
        where = f"{name}: line {number}, {row['quantity']}"
        _keep(values.setdefault(key, {}), row["region"], row["value"], where=where)
        _keep(sigmas.setdefault(key, {}), row["region"], row.get("uncertainty", ""), where=where)
    return _columns(values, sigmas, name=name)


def _long_key(row: Mapping[str, str], apart: Sequence[str]) -> _Key:
    """Return the quantity of a row, and its period with what else tells rows apart."""
    quantity = row["quantity"].strip()
    ends = [row[key] for key in ("period_start", "period_end") if row.get(key)]
    words = ["/".join(ends), *(row[key] for key in apart)]
    return QUANTITIES.get(quantity.lower(), quantity), " ".join(word for word in words if word)


def _telling_apart(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the fewest further columns by which no region of a quantity comes twice.

    Notes differ from row to row, so they are used only if they must be.
    """
    for apart in ((), ("product",), ("product", "region_set"), ("product", "region_set", "note")):
        if all(key in rows[0] for key in apart):
            keys = [(*_long_key(row, apart), canonical(row["region"])) for row in rows]
            if len(set(keys)) == len(keys):
                return apart
    return ()


def _keep(kept: _Cells, region: str, cell: str, *, where: str) -> None:
    """Read a cell; half of its last digit is what it does not say."""
    text = cell.strip().replace("\u2212", "-")
    if not text or text.lower() in {"nan", "-", "n/a"}:
        return
    try:
        value = float(text)
    except ValueError as error:
        msg = f"{where}: found {cell!r}, expected a number; leave the cell empty if there is none"
        raise PublishedTableError(msg) from error
    place = canonical(region)
    if place in kept:
        msg = f"{where}: region {region!r} comes a second time; keep one row of it"
        raise PublishedTableError(msg)
    if math.isfinite(value):
        kept[place] = Printed(value, _half(text))


def _half(text: str) -> float:
    """Return half of the last printed digit.

    Examples
    --------
    >>> _half("968"), _half("-0.25"), _half("1.2e3")
    (0.5, 0.005, 50.0)
    """
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return float(f"0.5e{int(exponent or 0) - digits}")


def _columns(
    values: Mapping[_Key, _Cells], sigmas: Mapping[_Key, _Cells], *, name: str
) -> list[Column]:
    orphans = [" ".join(key) for key in sigmas if key not in values]
    if orphans:
        msg = f"{name}: found uncertainties of {', '.join(orphans)} and no values of it"
        raise PublishedTableError(msg)
    kept = [
        Column(name, quantity, period, cells, sigmas.get((quantity, period), {}))
        for (quantity, period), cells in values.items()
        if cells
    ]
    if not kept:
        msg = f"{name}: found no number; expected columns such as D_2000 and D_sigma_2000"
        raise PublishedTableError(msg)
    return kept
