"""Surface mass balance that modellers have summed over basins themselves, month by month.

Two forms of them exist: NetCDF ``smb(time, basins)`` as RACMO's authors gave IMBIE, and text with a
line per basin and month, IMBIE's own form, as MAR's authors gave it. Both name the set of basins in
a word. Areas labelled km² may hold 10⁶ km²: no basin of the ice sheet is smaller than 20 km², none
larger than 2·10⁷.
"""

import csv
import io
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stac import model_cells
from stac.field_units import FieldFormatError, factor
from stac.model_months import TIME_NAMES, decimal_months, month_factors, read_months
from stac.netcdf import Array, NetcdfFile, text
from stac.regional_climate import UNDECLARED_FILL

FLOAT = NDArray[np.float64]

REGION_NAMES = ("basin", "region", "drainage", "sector", "catchment")
SETS = ("zwally", "rignot")
GROUPS = {"ais": "AIS", "eais": "EAIS", "wais": "WAIS", "ap": "AP", "apis": "AP"}
RIGNOT_KM2 = {
    "Islands": 142_404.0, "K-A": 264_295.0, "Jpp-K": 2_147_251.0, "J-Jpp": 644_594.0,
    "Ipp-J": 61_595.0, "I-Ipp": 69_685.0, "Hp-I": 148_536.0, "H-Hp": 65_878.0,
    "G-H": 431_593.0, "F-G": 134_313.0, "Ep-F": 837_848.0, "E-Ep": 1_649_564.0,
    "Dp-E": 434_045.0, "D-Dp": 695_331.0, "Cp-D": 1_161_581.0, "C-Cp": 702_229.0,
    "B-C": 1_339_420.0, "Ap-B": 647_410.0, "A-Ap": 778_808.0,
}  # fmt: skip
"""Basins of Rignot in the order in which IMBIE's tables have them, with their areas on the
ellipsoid from MEaSUREs (NSIDC-0709 v2) [km²]."""
SAME_AREA = 0.10
"""How far a model's area of a basin, counted in its cells, may be from the basin's [1]."""
KG_PER_GT = 1.0e12
MILLION_KM2 = 20.0
LARGEST_KM2 = 2.0e7
COLUMNS = {
    "set": "drainage region set",
    "region": "drainage region id",
    "area": "drainage region area (km2)",
    "date": "date (decimal years)",
    "amount": "relative mass change (gt)",
}
_MOST_NOTED = 1.0
"""Difference of a total and the sum of its regions that is told [Gt yr⁻¹]."""


def find(array: Array) -> tuple[str, str] | None:
    """Return the dimensions of time and region if a variable is a table by basin."""
    if len(array.dims) != 2:
        return None
    times = [dim for dim in array.dims if dim.lower() in TIME_NAMES]
    regions = [dim for dim in array.dims if any(word in dim.lower() for word in REGION_NAMES)]
    return (times[0], regions[0]) if len(times) == 1 and len(regions) == 1 else None


def read_netcdf(
    file: NetcdfFile, array: Array, time: str, region: str, *, product: str
) -> xr.Dataset:
    """Read ``smb(time, basins)``; see `stac.surface_mass_balance.read_surface_mass_balance`.

    Basins that the file does not name are those of Rignot where their areas are, in order; a last
    one that has the area of all others is their total.

    Raises
    ------
    FieldFormatError
        Regions that nothing names, an unknown set, unit or time, or damaged.
    """
    what = f"{file.name}: {array.name!r}"
    sizes = dict(zip(array.dims, array.shape, strict=True))
    months = read_months(file, time, sizes[time])
    values = array.read() if array.dims == (time, region) else array.read().T
    values = np.where(values == UNDECLARED_FILL, np.nan, values)
    scale = month_factors(array.unit, months, to="kg", what=what) / KG_PER_GT
    area, note = _areas(file, region)
    labels = _labels(file, region, area)
    words = [text(value) for value in (*file.attributes.values(), *array.attributes.values())]
    region_set = _region_set([*words, file.name], what=file.name)
    attributes = {"product": product, "region_set": region_set}
    return _dataset(values * scale[:, None], months, labels, area, attributes, [note])


def is_text_table(data: bytes) -> bool:
    """Say whether bytes begin with the header of IMBIE's table."""
    first = data[:4096].split(b"\n", 1)[0].decode("utf-8", "replace").lower()
    return all(column in first for column in COLUMNS.values())


def read_text(data: bytes, *, name: str) -> xr.Dataset:
    """Read IMBIE's table: a line per basin and month, mass change of the month in Gt.

    Raises
    ------
    FieldFormatError
        A line that is no line of the table, another set for some lines, months that differ from
        basin to basin, several areas of one basin.
    """
    lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"))))
    header = [" ".join(word.lower().split()) for word in lines[0]]
    rows = [[word.strip() for word in line] for line in lines[1:] if any(line)]
    wrong = [i for i, row in enumerate(rows, 2) if len(row) != len(header)]
    if wrong or not rows:
        found = f"line {wrong[0]} has not the {len(header)} columns" if wrong else "no line follows"
        msg = f"{name}: {found} of its header; the file is damaged or cut off: fetch it again"
        raise FieldFormatError(msg)
    place = {key: next(i for i, word in enumerate(header) if word.startswith(title))
             for key, title in COLUMNS.items()}  # fmt: skip
    column = {key: np.array([row[at] for row in rows]) for key, at in place.items()}
    years, area, amount = (_numbers(column[key], name=name) for key in ("date", "area", "amount"))
    region_set = _region_set(sorted(set(column["set"])), what=name)
    labels, row_region = np.unique(column["region"], return_inverse=True)
    dates, row_date = np.unique(years, return_inverse=True)
    table, areas = (np.full((dates.size, labels.size), np.nan) for _ in range(2))
    table[row_date, row_region], areas[row_date, row_region] = amount, area
    if len(rows) != table.size or np.isnan(areas).any() or np.ptp(areas, axis=0).any():
        msg = (
            f"{name} has {len(rows)} lines for {labels.size} regions and {dates.size} months, "
            "expected one line for each, and one area for each region; complete the file"
        )
        raise FieldFormatError(msg)
    months = decimal_months(dates, what=name)
    order = sorted(range(labels.size), key=lambda i: _rank(str(labels[i])))
    named = [_region(str(labels[i])) for i in order]
    attributes = {"product": _participant(rows, header) or name, "region_set": region_set}
    area_km2, note = _km2(areas[0][order])
    return _dataset(table[:, order], months, named, area_km2, attributes, [note])


def _dataset(
    amounts: FLOAT,
    months: NDArray[np.datetime64],
    labels: Sequence[str],
    area: FLOAT,
    attributes: dict[str, str],
    notes: list[str],
) -> xr.Dataset:
    """Return amounts (time, region) [Gt] as the contract has them."""
    if len(set(labels)) != len(labels):
        msg = f"regions {sorted(labels)} are not all different; correct the table"
        raise FieldFormatError(msg)
    made = {
        "surface_mass_balance": (("time", "region"), amounts, {"units": "Gt"}),
        "region_area": ("region", area, {"units": "km2"}),
    }
    coords = {**model_cells.spans(months), "region": ("region", np.array(list(labels)))}
    note = "; ".join(word for word in [*notes, _total_note(amounts, list(labels))] if word)
    said = {**attributes, "quantity": "surface_mass_balance", "note": note}
    return xr.Dataset(made, coords=coords, attrs=said)


def _total_note(amounts: FLOAT, labels: list[str]) -> str:
    """Say by how much the ice sheet's own row differs from the sum of its basins."""
    basins = [i for i, label in enumerate(labels) if label not in GROUPS.values()]
    if "AIS" not in labels or not basins:
        return ""
    yearly = 12.0 * np.nanmean(amounts, axis=0)
    more = float(yearly[labels.index("AIS")] - yearly[basins].sum())
    if not abs(more) > _MOST_NOTED:
        return ""
    return f"AIS has {more:+.1f} Gt/yr beside the sum of its {len(basins)} regions"


def _areas(file: NetcdfFile, region: str) -> tuple[FLOAT, str]:
    found = [a for a in file.arrays.values() if a.dims == (region,) and "area" in a.name.lower()]
    if len(found) != 1:
        msg = (
            f"{file.name} has {len(found)} areas along {region!r}, expected one variable "
            f"area({region}) in km2; add it"
        )
        raise FieldFormatError(msg)
    (array,) = found
    values = array.read() * factor(array.unit, "km2", what=f"{file.name}: {array.name!r}")
    return _km2(values, what=f"{file.name}: {array.name!r}")


def _km2(values: FLOAT, *, what: str = "areas") -> tuple[FLOAT, str]:
    """Return areas in km², and a note if they were in millions of them."""
    if not (np.isfinite(values).all() and (values > 0.0).all() and values.max() < LARGEST_KM2):
        msg = (
            f"{what} are {values.min():g} to {values.max():g} km², expected those of basins of "
            f"Antarctica, less than {LARGEST_KM2:g}; correct the values or their unit"
        )
        raise FieldFormatError(msg)
    if values.max() > MILLION_KM2:
        return values, ""
    return values * 1.0e6, "areas labelled km2 held 10^6 km2"


def _labels(file: NetcdfFile, region: str, area: FLOAT) -> list[str]:
    """Return the names of regions: the file's own, or those of Rignot where areas are theirs."""
    named = [a for a in file.arrays.values() if a.dims[:1] == (region,)
             and (a.name == region or not a.is_number)]  # fmt: skip
    if len(named) == 1:
        return [_region(label) for label in named[0].labels()]
    is_total = abs(area[-1] - area[:-1].sum()) < 1e-6 * area[-1]
    basins = area[:-1] if is_total else area
    known = np.array(list(RIGNOT_KM2.values()))
    if basins.size == known.size and np.all(np.abs(basins / known - 1.0) < SAME_AREA):
        return [*RIGNOT_KM2, *(["AIS"] if is_total else [])]
    msg = (
        f"{file.name} does not name its {area.size} regions, and their areas are not those of the "
        f"{known.size} basins of Rignot in IMBIE's order; add a variable {region}({region}) with "
        "their names"
    )
    raise FieldFormatError(msg)


def _region(label: str) -> str:
    """Return the id of a region as boundaries have it.

    >>> _region("ais"), _region("07"), _region("A-Ap")
    ('AIS', '7', 'A-Ap')
    """
    word = "_".join(label.split())
    return str(int(word)) if word.isdigit() else GROUPS.get(word.lower(), word)


def _rank(label: str) -> tuple[int, int, str]:
    """Put numbers before names, and totals last."""
    region = _region(label)
    if region in GROUPS.values():
        return 2, 0, region
    return (0, int(region), "") if region.isdigit() else (1, 0, region)


def _region_set(words: Sequence[str], *, what: str) -> str:
    found = {each for each in SETS for word in words if each in word.lower()}
    if len(found) != 1:
        msg = (
            f"{what} names {' and '.join(sorted(found)) or 'no set'} as its set of basins, "
            f"expected one of {', '.join(SETS)}; say it in an attribute basin_definition"
        )
        raise FieldFormatError(msg)
    return found.pop()


def _participant(rows: list[list[str]], header: list[str]) -> str:
    title = "participant surname"
    return rows[0][header.index(title)] if title in header else ""


def _numbers(words: NDArray[np.str_], *, name: str) -> FLOAT:
    try:
        return words.astype(np.float64)
    except ValueError as error:
        msg = f"{name}: {error}; expected numbers in this column: correct the file"
        raise FieldFormatError(msg) from error
