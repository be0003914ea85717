"""Writers of the published formats of satellite gravity, for the record of a synthetic world.

Level-2 ``GSM`` fields as of release 6 (YAML header, ``GRCOF2`` rows), geocentre motion as in
Technical Note 13, C20 and C30 as in Technical Note 14, load Love numbers as by Han and Wahr
(1995), glacial isostatic adjustment as posted for ICE-6G. The same world gives the same bytes.
"""

from __future__ import annotations

import datetime as dt
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds import gravity_headers as headers
from pipelines.worlds import months
from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.earth import kelvin_love_numbers
from pipelines.worlds.gravity_record import (
    C20_SIGMA,
    C30_SIGMA,
    DEGREE_ONE_SIGMA,
    MEAN_C20,
    MEAN_C30,
    Record,
    measure,
)
from pipelines.worlds.months import Window

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

LOVE_DEGREE = 512
"""Degree to which the Love numbers are written."""
_MJD_ZERO = dt.date(1858, 11, 17)
_TENTH_OF_NANO = 1e-10


@dataclass(frozen=True)
class WrittenGravity:
    """Files of a synthetic gravity record.

    Attributes
    ----------
    gravity : list of Path
        Monthly fields, in order of time.
    degree_one, low_degrees, love_numbers, gia : list of Path
        One file each.
    basins, grounded : list of Path
        Polygons, one GeoPackage each.
    """

    gravity: list[Path]
    degree_one: list[Path]
    low_degrees: list[Path]
    love_numbers: list[Path]
    gia: list[Path]
    basins: list[Path]
    grounded: list[Path]


def write_gravity(
    world: Antarctica, folder: Path, *, start: str = "2011-02", months: int = 60, j_max: int = 60
) -> WrittenGravity:
    """Write everything that a gravimetry run reads.

    Parameters
    ----------
    world : Antarctica
        What is measured.
    folder : Path
        Where to write; made if absent.
    start : str
        First month, such as ``2011-02``.
    months : int
        Calendar months that the record spans; a few of them have no field.
    j_max : int
        Maximum degree J.

    Returns
    -------
    WrittenGravity
        Paths of what was written.
    """
    record = measure(world, start=start, span=months, j_max=j_max)
    folder.mkdir(parents=True, exist_ok=True)
    fields = [
        _write(folder / field_name(window), field_bytes(record, n))
        for n, window in enumerate(record.windows)
    ]
    return WrittenGravity(
        gravity=fields,
        degree_one=[_write(folder / "TN-13_GEOC_NUNAT_RL06.txt", degree_one_bytes(record))],
        low_degrees=[_write(folder / "TN-14_C30_C20_NUNAT_SLR.txt", low_degree_bytes(record))],
        love_numbers=[_write(folder / "love_numbers_nunat", love_number_bytes(LOVE_DEGREE))],
        gia=[_write(folder / "GIA.NUNAT.txt", rebound_bytes(record.rebound))],
        basins=[write_polygons(world.basins(), folder / "basins_nunat.gpkg")],
        grounded=[write_polygons(world.grounded(), folder / "grounded_nunat.gpkg")],
    )


def field_name(window: Window) -> str:
    """Name a monthly field by its first and last day, as the mission does.

    Examples
    --------
    >>> from datetime import date
    >>> field_name(Window(0, date(2011, 2, 1), date(2011, 3, 1)))
    'GSM-2_2011032-2011059_GRAC_NUNAT_BB01_0600.gz'
    """
    last = window.stop - dt.timedelta(days=1)
    return f"GSM-2_{window.start:%Y%j}-{last:%Y%j}_GRAC_NUNAT_BB01_0600.gz"


def field_bytes(record: Record, n: int) -> bytes:
    """Format one monthly field.

    Parameters
    ----------
    record : Record
        All months.
    n : int
        Which of them.

    Returns
    -------
    bytes
        A gzip file: YAML header, then ``GRCOF2`` rows by order and degree.
    """
    window, j_max = record.windows[n], record.fields.shape[-1] - 1
    text = headers.FIELD.format(
        j_max=j_max,
        start=window.start.isoformat(),
        stop=window.stop.isoformat(),
        unused=_unused_days(window),
        space=" ",
    )
    text += "\n".join(_field_rows(record.fields[n], record.formal[n], window)) + "\n"
    return gzip.compress(text.encode("ascii"), compresslevel=6, mtime=0)


def _unused_days(window: Window) -> str:
    """Name the tenth day of every sixth month as one that was left out; most months use all."""
    left_out = window.start + dt.timedelta(days=9)
    return f"[{left_out.isoformat()}]" if window.index % 6 == 5 else "[]"


def _field_rows(
    field: NDArray[np.float64], formal: NDArray[np.float64], window: Window
) -> list[str]:
    epochs = f"{window.start:%Y%m%d}.0000 {window.stop:%Y%m%d}.0000"
    size = field.shape[-1]
    return [
        f"GRCOF2{j:5d}{m:5d} {fortran_e(field[0, j, m], 12)} {fortran_e(field[1, j, m], 12)}"
        f" {fortran_e(formal[0, j, m], 4)} {fortran_e(formal[1, j, m], 4)}"
        f" {epochs} {'nn' if j < 2 else 'yn' if m == 0 else 'yy'}nn"
        for m in range(size)
        for j in range(m, size)
    ]


def fortran_e(value: float, digits: int) -> str:
    """Write a number as Fortran's E format does, its leading digit after the point.

    Parameters
    ----------
    value : float
        Finite number.
    digits : int
        Digits after the point.

    Returns
    -------
    str
        For instance ``0.957163E-06``; a negative number gives up its zero, ``-.484170E-03``.

    Examples
    --------
    >>> fortran_e(-4.84169632678e-4, 12), fortran_e(0.0, 4), fortran_e(0.99999, 4)
    ('-.484169632678E-03', '0.0000E+00', '0.1000E+01')
    """
    mantissa, exponent = f"{abs(value):.{digits - 1}E}".split("E")
    power = int(exponent) + 1 if value else 0
    lead = "-" if value < 0.0 else "0"
    return f"{lead}.{mantissa.replace('.', '')}E{power:+03d}"


def degree_one_bytes(record: Record) -> bytes:
    """Format the geocentre series; it lacks one month.

    Parameters
    ----------
    record : Record
        All months.

    Returns
    -------
    bytes
        Header and two rows a month, as Technical Note 13.
    """
    rows = []
    for window, (c10, c11, s11) in zip(record.windows, record.degree_one, strict=True):
        if window.index == months.WITHOUT_GEOCENTRE:
            continue
        epochs = f"{window.start:%Y%m%d}.0000 {window.stop:%Y%m%d}.0000"
        sigma = DEGREE_ONE_SIGMA
        rows += [
            f"GRCOF2    1   0 {c10:+.9e} {0.0:+.9e} {sigma:+.4e} {0.0:+.4e} {epochs}",
            f"GRCOF2    1   1 {c11:+.9e} {s11:+.9e} {sigma:+.4e} {sigma:+.4e} {epochs}",
        ]
    return (headers.DEGREE_ONE + "\n".join(rows) + "\n").encode("ascii")


def low_degree_bytes(record: Record) -> bytes:
    """Format C20 and C30 from laser ranging.

    Parameters
    ----------
    record : Record
        All months.

    Returns
    -------
    bytes
        Header and a row a month, as Technical Note 14: (F7.1,F10.4,E22.13,2F8.4,E22.13,2F8.4,
        F8.1,F10.4); C30 is NaN in the first months.
    """
    text = headers.LOW_DEGREES.format(c20=f"{MEAN_C20:+.12E}", c30=f"{MEAN_C30:+.12E}")
    for window, (c20, c30) in zip(record.windows, record.low_degrees, strict=True):
        text += (
            f"{_mjd(window.start):7.1f}{_year(window.start):10.4f}"
            f"{_replacement(c20, MEAN_C20, C20_SIGMA)}{_replacement(c30, MEAN_C30, C30_SIGMA)}"
            f"{_mjd(window.stop):8.1f}{_year(window.stop):10.4f}\n"
        )
    return text.encode("ascii")


def _replacement(value: float, mean: float, sigma: float) -> str:
    if np.isnan(value):
        return f"{'NaN':>22}{'NaN':>8}{'NaN':>8}"
    return f"{value:22.13E}{(value - mean) / _TENTH_OF_NANO:8.4f}{sigma / _TENTH_OF_NANO:8.4f}"


def _mjd(day: dt.date) -> float:
    """Return the modified Julian date of midnight [d]."""
    return float((day - _MJD_ZERO).days)


def _year(day: dt.date) -> float:
    """Year and fraction of it at midnight [yr]."""
    begin, end = dt.date(day.year, 1, 1), dt.date(day.year + 1, 1, 1)
    return day.year + (day - begin) / (end - begin)


def love_number_bytes(j_max: int) -> bytes:
    """Format the load Love numbers of the world's Earth.

    Parameters
    ----------
    j_max : int
        Maximum degree.

    Returns
    -------
    bytes
        Two lines of header, then degree, h, k and l in free format, as Han and Wahr (1995).
    """
    h, shear, k = kelvin_love_numbers(j_max)
    rows = [
        f"{j:5d}{h[j]:19.13f}{_double(k[j]):>23}{_double(shear[j]):>23}" for j in range(j_max + 1)
    ]
    return (headers.LOVE_NUMBERS + "\n".join(rows) + "\n").encode("ascii")


def _double(value: float) -> str:
    """Write a number as Fortran writes double precision."""
    return f"{value:.13E}".replace("E", "D")


def rebound_bytes(rebound: NDArray[np.float64]) -> bytes:
    """Format rates of glacial isostatic adjustment.

    Parameters
    ----------
    rebound : ndarray, shape (2, J + 1, J + 1)
        Stokes coefficients [yr⁻¹].

    Returns
    -------
    bytes
        Header, then degree, order, C and S, separated by tabs, as posted for ICE-6G.
    """
    rows = [
        f"{j}\t{m}\t{rebound[0, j, m]: .8e}\t{rebound[1, j, m]: .8e}"
        for j in range(rebound.shape[-1])
        for m in range(j + 1)
    ]
    return (headers.REBOUND + "\n".join(rows) + "\n").encode("ascii")


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
