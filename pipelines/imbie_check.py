"""What is wrong with a file of IMBIE: columns, names, dates, uncertainties, areas, units.

See :mod:`pipelines.imbie` for the dialects.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines import imbie_names
from pipelines.imbie_names import Dialect

WORDS = {
    "place": (
        ("participant surname", "contributor", "pi"),
        ("experiment group", "group"),
        ("drainage region set", "basin group", "ds set"),
        ("drainage region id", "basin id", "ds id"),
        ("drainage region area", "area basin", "ds area"),
        ("drainage region area observed", "area observed", "ds area obs"),
    ),
    "rate": (
        ("start date", "date 0", "date1"),
        ("end date", "date 1", "date2"),
        ("rate of mass change", "dmdt", "change"),
        ("rate of mass change uncertainty", "dmdt sd", "change err"),
    ),
    "mass": (
        ("date", "date1"),
        ("relative mass change", "mass change", "dm", "change"),
        ("relative mass change uncertainty", "mass change uncertainty", "dm sd", "change err"),
    ),
}
"""Names that IMBIE's pages, its validator and its example give to a column, in lower case."""

YEARS = (1900.0, 2200.0)
"""Dates that decimal years of an ice sheet are expected between."""

LARGEST_AREA_KM2 = 16e6
"""More than Antarctica with its shelves: an area above is in other units [km²]."""

LARGEST_THICKNESS_GT_PER_KM2 = 0.1
"""Rate or anomaly over a whole region, 100 m of water: one above is in other units."""

_SLACK_KM2 = 0.01


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes
    ----------
    line : int
        Line of the file, from 1; 0 for the whole file.
    column : str
        What it is about.
    found, expected : str
        What the file says, and what it should.
    """

    line: int
    column: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line else ""
        return f"{where}{self.column}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class _Row:
    """A row with numbers where they are: area, observed, dates, value, sigma."""

    line: int
    key: tuple[str, ...]
    numbers: tuple[float, ...]


def is_imbie(header: Sequence[str]) -> bool:
    """Return whether a first line is that of an IMBIE file, of any dialect and with any faults.

    Examples
    --------
    >>> is_imbie(["#PI", " group", " DS_set", " DS_ID", " DS_area", " DS_area_obs", " date1"])
    True
    >>> is_imbie(["basin", "area_km2", "D_2000"])
    False
    """
    cells = [_words(cell) for cell in header]
    return sum(any(cell in names for cell in cells) for names in WORDS["place"]) >= 4


def guess_dialect(header: Sequence[str]) -> Dialect:
    """Return the dialect whose columns a first line has: the latest if there is one too many."""
    kind = _kind(header)
    return "imbie-3" if len(header) <= len(_names(kind)) else "imbie-2024"


def columns(header: Sequence[str]) -> tuple[str, int | None]:
    """Return whether columns are those of a ``rate`` or a ``mass``, and which is the further one.

    Examples
    --------
    >>> from pipelines import imbie
    >>> columns(imbie.RATE), columns([*imbie.MASS[:2], "Ice Sheet", *imbie.MASS[2:]])
    (('rate', None), ('mass', 2))
    """
    kind = _kind(header)
    names = _names(kind)
    return kind, _extra(header, names) if len(header) > len(names) else None


def check(data: bytes, dialect: Dialect) -> list[Fault]:
    """List what is wrong with a file of rates (dM/dt) or masses (dM).

    Parameters
    ----------
    data : bytes
        The file.
    dialect : {"imbie-3", "imbie-2023", "imbie-2024"}
        Which columns to expect.

    Returns
    -------
    list of Fault
        Empty for a file that passes.

    Examples
    --------
    >>> from pipelines import imbie
    >>> rate = imbie.Rate("22", 213744.0, 210000.0, 2017.5, 2020.5, -53.0, 18.0)
    >>> data = imbie.dmdt([rate], dialect="imbie-3", contributor="Yang", region_set="zwally2012")
    >>> check(data, "imbie-3")
    []
    >>> print(check(data.replace(b"Zwally,22", b"Zwally,28"), "imbie-3")[0])
    line 2, region: found '28', expected 1 to 27, APIS, EAIS, WAIS, AIS
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        return [Fault(0, "file", str(error), "CSV in UTF-8")]
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if len(kept) < 2:
        return [Fault(0, "file", f"{len(kept)} lines", "a header and a row or more")]
    return list(_faults(kept, strict=imbie_names.has_extra(dialect)))


def _faults(lines: list[tuple[int, list[str]]], *, strict: bool) -> Iterator[Fault]:
    header = lines[0][1]
    names = _names(_kind(header))
    size = len(names) + strict
    if len(header) != size:
        yield Fault(lines[0][0], "header", f"{len(header)} columns", f"{size}")
        return
    extra = _extra(header, names) if strict else None
    if strict and header[0].startswith("#"):
        yield Fault(lines[0][0], "header", repr(header[0]), "no mark of a comment")
    yield from _misnamed(lines[0][0], header, names, extra)
    rows = []
    for number, line in lines[1:]:
        if line[0].startswith("#") and not strict:
            continue
        if len(line) != size:
            yield Fault(number, "row", f"{len(line)} columns", f"{size}")
            continue
        if extra is not None and not line[extra].strip():
            yield Fault(number, header[extra], "nothing", "a value")
        cells = [cell for index, cell in enumerate(line) if index != extra]
        yield from _wrong_words(number, cells, strict=strict)
        row = _row(number, cells)
        if isinstance(row, Fault):
            yield row
            continue
        yield from _wrong_numbers(row)
        rows.append(row)
    yield from _wrong_order(rows)


def _words(cell: str) -> str:
    """Return a name of a column in lower case, without unit, mark and underscores."""
    bare = re.sub(r"\(.*?\)", " ", cell.lower()).replace("_", " ").strip("# \ufeff")
    return " ".join(bare.split())


def _kind(header: Sequence[str]) -> str:
    """Return whether columns are those of rates or of masses."""
    cells = {_words(cell) for cell in header}
    ends = {"end date", "date 1", "date2", "rate of mass change", "dmdt"}
    return "rate" if cells & ends else "mass"


def _names(kind: str) -> list[tuple[str, ...]]:
    return [*WORDS["place"], *WORDS[kind]]


def _extra(header: Sequence[str], names: Sequence[tuple[str, ...]]) -> int:
    """Return which column is the further one: that without which most others are in place."""

    def misplaced(index: int) -> int:
        rest = [cell for number, cell in enumerate(header) if number != index]
        return sum(_words(cell) not in known for cell, known in zip(rest, names, strict=True))

    return min(range(len(header)), key=misplaced)


def _misnamed(
    line: int, header: Sequence[str], names: Sequence[tuple[str, ...]], extra: int | None
) -> Iterator[Fault]:
    rest = [cell for index, cell in enumerate(header) if index != extra]
    for cell, known in zip(rest, names, strict=True):
        if _words(cell) not in known:
            yield Fault(line, "header", repr(cell), " or ".join(known[:2]))


def _wrong_words(number: int, cells: Sequence[str], *, strict: bool) -> Iterator[Fault]:
    """Yield faults of contributor, experiment group, set and region."""
    if not cells[0].strip():
        yield Fault(number, "contributor", "nothing", "a surname")
    if cells[1].strip().lower() not in {
        "altimetry", "gravimetry", "mass budget", "ra", "gmb", "iom", "radar altimetry",
        "mass balance",
    }:  # fmt: skip
        yield Fault(number, "group", repr(cells[1]), "Altimetry, Gravimetry or Mass Budget")
    if strict and any(cell != cell.strip() for cell in cells):
        yield Fault(number, "row", "spaces around a value", "none")
    name = cells[2].strip().capitalize()
    if name not in imbie_names.BASINS:
        yield Fault(number, "region set", repr(cells[2]), "Rignot or Zwally")
    elif not imbie_names.is_region(cells[3], name) or cells[3].strip().upper() == "AP":
        basins = imbie_names.BASINS[name]
        known = f"{basins[0]} to {basins[-1]}, {', '.join(imbie_names.SHEETS)}"
        yield Fault(number, "region", repr(cells[3]), known)


def _row(number: int, cells: Sequence[str]) -> _Row | Fault:
    numbers = []
    for cell in cells[4:]:
        try:
            value = float(cell)
        except ValueError:
            return Fault(number, "number", repr(cell), "a number")
        if not math.isfinite(value):
            return Fault(number, "number", repr(cell), "a finite number; leave the row out")
        numbers.append(value)
    return _Row(number, tuple(cell.strip().upper() for cell in cells[:4]), tuple(numbers))


def _wrong_numbers(row: _Row) -> Iterator[Fault]:
    """Yield faults of areas, dates, uncertainty and units."""
    area, observed, *dates, value, sigma = row.numbers
    if not 0.0 < area <= LARGEST_AREA_KM2:
        yield Fault(row.line, "area", f"{area:g} km²", f"up to {LARGEST_AREA_KM2:g} km²")
    if not 0.0 <= observed <= area + _SLACK_KM2:
        yield Fault(row.line, "area observed", f"{observed:g} km²", f"0 to {area:g} km²")
    for date in dates:
        if not YEARS[0] <= date <= YEARS[1]:
            yield Fault(row.line, "date", f"{date:g}", "decimal years such as 2008.5")
    if len(dates) == 2 and not dates[0] < dates[1]:
        yield Fault(row.line, "dates", f"{dates[0]:g} to {dates[1]:g}", "an end after the start")
    if sigma < 0.0:
        yield Fault(row.line, "uncertainty", f"{sigma:g}", "0 or more (one sigma)")
    if area > 0.0 and max(abs(value), sigma) > LARGEST_THICKNESS_GT_PER_KM2 * area:
        most = f"less than {LARGEST_THICKNESS_GT_PER_KM2 * area:.3g} Gt over {area:g} km²"
        yield Fault(row.line, "mass", f"{value:g} ± {sigma:g}", f"{most} (other units?)")


def _wrong_order(rows: Sequence[_Row]) -> Iterator[Fault]:
    """Yield dates of a region that do not increase, and rates that overlap."""
    series: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        series.setdefault(row.key, []).append(row)
    for key, ordered in series.items():
        for before, after in pairwise(ordered):
            first, last = before.numbers[2], before.numbers[-3]
            date = after.numbers[2]
            if date <= first or date < last - 1e-9:
                found = f"{date:g} after {last:g} of {key[2].capitalize()} {key[3]}"
                yield Fault(after.line, "date", found, "dates that increase and do not overlap")
