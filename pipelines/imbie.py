"""Files of the Ice sheet Mass Balance Inter-comparison Exercise: rates and time series of mass.

Two dialects are in use. The older one, ``imbie-3``, has ten columns of rates and nine of masses::

    contributor, experiment_group, basin_group, basin_id, area_basin, area_observed,
    date_0, date_1, dmdt, dmdt_sd          (rates; time series: date, dm, dm_sd)

(schemas of IMBIE's validator; ``imbie.org/imbie-3/file-formats``). The headers of ``imbie-3`` are
those of files that IMBIE received. ``imbie-2023`` and ``imbie-2024`` are strict CSV in UTF-8 with
one column more, eleven and ten.

Notes
-----
What the further column of 2023 and 2024 is could not be confirmed: the page that defines it
(``cpom.ucl.ac.uk/imbie/file_format.php``) was within reach only as far as the numbers of columns.
It says that the format changed "to help identify ambiguous entries", and that one file holds
regions of both ice sheets, whose basins share numbers: so :data:`ICE_SHEET`, third, is the guess
made here. It is an argument of the writers, and the checker accepts one column of any name
anywhere. Confirm it before a file is sent. So are ``Start Date`` and ``End Date``: no header of
rates was seen.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines import imbie_names
from pipelines.imbie_check import check
from pipelines.imbie_names import Dialect, ImbieError, has_extra

MASS_BUDGET = "Mass Budget"
"""Experiment group as the pages name it; IMBIE's validator of 2021 takes ``IOM`` only."""

PLACE = (
    "Participant Surname",
    "Experiment Group (altimetry/gravimetry/mass budget)",
    "Drainage Region Set (Rignot/Zwally)",
    "Drainage Region ID",
    "Drainage Region Area (km2)",
    "Drainage Region Area Observed (km2)",
)
RATE = (
    *PLACE,
    "Start Date (decimal years)",
    "End Date (decimal years)",
    "Rate of Mass Change (Gt/yr)",
    "Rate of Mass Change Uncertainty (Gt/yr)",
)
MASS = (
    *PLACE,
    "Date (decimal years)",
    "Relative Mass Change (Gt)",
    "Relative Mass Change Uncertainty (Gt)",
)


@dataclass(frozen=True)
class Rate:
    """Rate of mass of a region between two dates.

    Attributes
    ----------
    region : str
        A basin of the region set, or ``EAIS``, ``WAIS``, ``AP`` or ``APIS``, ``AIS``.
    area_km2, area_observed_km2 : float
        True area of the region, and of what was observed of it [km²].
    start, end : float
        Dates [decimal years]; the end is exclusive.
    dmdt, sigma : float
        Rate and one standard deviation [Gt yr⁻¹]; a rate of NaN was not measured.
    """

    region: str
    area_km2: float
    area_observed_km2: float
    start: float
    end: float
    dmdt: float
    sigma: float


@dataclass(frozen=True)
class Mass:
    """Mass of a region at a date, beside that at some other date of its series.

    Attributes
    ----------
    region, area_km2, area_observed_km2
        As of :class:`Rate`.
    date : float
        Date [decimal years].
    dm, sigma : float
        Relative mass and one standard deviation [Gt]; a mass of NaN was not measured.
    """

    region: str
    area_km2: float
    area_observed_km2: float
    date: float
    dm: float
    sigma: float


@dataclass(frozen=True)
class ExtraColumn:
    """The column by which 2023 and 2024 differ from ``imbie-3``, see the notes of this module.

    Attributes
    ----------
    name, value : str
        Header, and what every row says.
    position : int
        Index of the column, from 0.
    """

    name: str
    value: str
    position: int


ICE_SHEET = ExtraColumn("Ice Sheet (AIS/GRIS)", "AIS", 2)
"""The guess at the further column of 2023 and 2024: unconfirmed."""


def dmdt(
    rates: Sequence[Rate],
    *,
    dialect: Dialect,
    contributor: str,
    region_set: str,
    group: str = MASS_BUDGET,
    extra: ExtraColumn = ICE_SHEET,
) -> bytes:
    """Return rates as an IMBIE file of dM/dt.

    Parameters
    ----------
    rates : sequence of Rate
        Rates; those that are NaN are left out, since the format has no missing value.
    dialect : {"imbie-3", "imbie-2023", "imbie-2024"}
        Which columns.
    contributor : str
        Surname of the participant.
    region_set : str
        Collection of the regions: one whose name has Zwally, Rignot or IMBIE in it.
    group : str
        Experiment group.
    extra : ExtraColumn
        Further column of 2023 and 2024.

    Returns
    -------
    bytes
        CSV in UTF-8, a header first.

    Raises
    ------
    ImbieError
        An unknown dialect, set or region, or rows that the checker
        would not pass: an area observed above the area, dates that do not increase.

    Examples
    --------
    >>> rate = Rate("22", 213744.0, 210000.0, 2017.5, 2020.5, -53.0, 18.0)
    >>> options = {"contributor": "Yang", "region_set": "zwally2012"}
    >>> dmdt([rate], dialect="imbie-3", **options).decode().splitlines()[1]
    'Yang,Mass Budget,Zwally,22,213744.00,210000.00,2017.5000,2020.5000,-53.0000,18.0000'
    >>> dmdt([rate], dialect="imbie-2024", **options).decode().splitlines()[1][:26]
    'Yang,Mass Budget,AIS,Zwall'
    """
    rows = [
        (each, (each.start, each.end, each.dmdt, each.sigma))
        for each in rates
        if not math.isnan(each.dmdt)
    ]
    place = _place(contributor, group, region_set)
    return _file(RATE, rows, place=place, dialect=dialect, extra=extra)


def dm(
    masses: Sequence[Mass],
    *,
    dialect: Dialect,
    contributor: str,
    region_set: str,
    group: str = MASS_BUDGET,
    extra: ExtraColumn = ICE_SHEET,
) -> bytes:
    """Return masses as an IMBIE file of dM(t); parameters as of :func:`dmdt`.

    Examples
    --------
    >>> mass = Mass("AP", 228732.0, 228732.0, 2008.5, -15.0, 25.4)
    >>> options = {"contributor": "Yang", "region_set": "zwally2012"}
    >>> dm([mass], dialect="imbie-3", **options).decode().splitlines()[1]
    'Yang,Mass Budget,Zwally,APIS,228732.00,228732.00,2008.5000,-15.0000,25.4000'
    """
    rows = [(each, (each.date, each.dm, each.sigma)) for each in masses if not math.isnan(each.dm)]
    place = _place(contributor, group, region_set)
    return _file(MASS, rows, place=place, dialect=dialect, extra=extra)


def _place(contributor: str, group: str, region_set: str) -> tuple[str, str, str]:
    """Return the first three cells of every row."""
    name = contributor.strip()
    if not name or not name.isprintable() or any(mark in name for mark in '",#'):
        msg = f"the contributor is {contributor!r}; expected a surname without commas or quotes"
        raise ImbieError(msg)
    return name, group, imbie_names.set_name(region_set)


def _file(
    header: Sequence[str],
    rows: Sequence[tuple[Rate | Mass, tuple[float, ...]]],
    *,
    place: tuple[str, str, str],
    dialect: Dialect,
    extra: ExtraColumn,
) -> bytes:
    """Write header and rows; refuse what the checker finds in them."""
    lines = [list(header), *([*place, *_cells(each, place[2], own)] for each, own in rows)]
    if has_extra(dialect):
        for number, line in enumerate(lines):
            line.insert(extra.position, extra.value if number else extra.name)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    data = text.getvalue().encode()
    faults = check(data, dialect) if rows else []
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        msg = f"these records make no {dialect} file: {faults[0]}{more}"
        raise ImbieError(msg)
    return data


def _cells(each: Rate | Mass, set_name: str, own: tuple[float, ...]) -> list[str]:
    """Return region, areas to 0.01 km², and what is the row's own to four decimals."""
    region = imbie_names.region_id(each.region, set_name)
    areas = [f"{area:.2f}" for area in (each.area_km2, each.area_observed_km2)]
    return [region, *areas, *(f"{number:.4f}" for number in own)]
