"""Whether a grid is one in EPSG:3031, and its axes: metres, x from west to east, y from the top.

No coordinate system is guessed: a file says that it is in EPSG:3031, in whatever words, or is
refused. Two systems are the same where they put the same places within a metre of each other.
"""

import functools
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from stac.field_units import FieldFormatError, factor
from stac.grids import POLAR

FLOAT = NDArray[np.float64]

SAME_PLACE_M = 1.0
"""Systems of coordinates that differ by less than this are taken for one [m]."""
UNEVEN = 1e-3
"""Share of the spacing that centres may be off, as 32-bit coordinates are."""
LONGEST_CRS = 20_000
WARP = "gdalwarp -t_srs EPSG:3031 -r bilinear -tr 5000 5000 FILE NEW.tif"
ASSIGN = "gdal_translate -a_srs EPSG:3031 FILE NEW.tif"
_PLACES = np.array([[-170.0, -88.0], [-100.0, -75.0], [0.5, -70.0], [45.0, -82.0], [140.0, -66.0]])
_INIT = re.compile(r"^\+init=(epsg:\d+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class PolarAxes:
    """Centres of the cells of a square grid in EPSG:3031 [m], and how the file orders them.

    Attributes
    ----------
    x : ndarray, shape (nx,)
        Increasing.
    y : ndarray, shape (ny,)
        Decreasing.
    flips : tuple of bool
        Whether rows and columns of the file must be reversed to match.
    """

    x: FLOAT
    y: FLOAT
    flips: tuple[bool, bool]

    def oriented(self, field: FLOAT) -> FLOAT:
        """Return a field (..., y, x) of the file in the order of these axes."""
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return np.ascontiguousarray(field[..., rows, columns])

    def same_as(self, other: "PolarAxes") -> bool:
        """Say whether two grids are one."""
        return np.array_equal(self.x, other.x) and np.array_equal(self.y, other.y)


def polar_axes(x: FLOAT, y: FLOAT, *, what: str) -> PolarAxes:
    """Return the axes of a grid from the centres of its columns and rows.

    Parameters
    ----------
    x, y : ndarray, shapes (nx,), (ny,)
        In the order of the file [m].
    what : str
        File and variable, for messages.

    Raises
    ------
    FieldFormatError
        Uneven spacing, cells that are not square, fewer than two rows or columns.
    """
    steps = _even_step(x, "x", what), _even_step(y, "y", what)
    if abs(abs(steps[0]) - abs(steps[1])) > UNEVEN * abs(steps[0]):
        msg = (
            f"{what} has cells of {abs(steps[0]):g} × {abs(steps[1]):g} m, expected squares; "
            f"regrid it: {WARP}"
        )
        raise FieldFormatError(msg)
    flips = steps[1] > 0.0, steps[0] < 0.0
    return PolarAxes(
        _evened(x[::-1] if flips[1] else x), _evened(y[::-1] if flips[0] else y), flips
    )


def _even_step(centres: FLOAT, axis: str, what: str) -> float:
    if centres.size < 2 or not np.isfinite(centres).all():
        msg = (
            f"{what} has {np.isfinite(centres).sum()} usable of {centres.size} coordinates along "
            f"{axis}, expected two at least and all of them; write them into the file"
        )
        raise FieldFormatError(msg)
    step = float(centres[-1] - centres[0]) / (centres.size - 1)
    gaps = np.diff(centres)
    if step == 0.0 or np.abs(gaps - step).max() > UNEVEN * abs(step):
        msg = (
            f"{what} is spaced {np.abs(gaps).min():g} to {np.abs(gaps).max():g} m along {axis}, "
            f"expected a regular grid; regrid it to even cells: {WARP}"
        )
        raise FieldFormatError(msg)
    return step


def _evened(centres: FLOAT) -> FLOAT:
    """Return centres without the rounding of 32-bit coordinates."""
    even = np.linspace(centres[0], centres[-1], centres.size)
    return np.asarray(centres if np.abs(centres - even).max() < 1e-6 else even, dtype=np.float64)


def to_metres(values: FLOAT, unit: str, *, what: str) -> FLOAT:
    """Return coordinates in metres.

    Raises
    ------
    FieldFormatError
        Degrees, no unit, or one that is no length.
    """
    if unit.lower().startswith("degree"):
        msg = (
            f"{what} is in {unit!r}: a latitude-longitude grid, expected x and y of {POLAR} in m "
            f"or km; warp it: {WARP}"
        )
        raise FieldFormatError(msg)
    return np.asarray(values * factor(unit, "m", what=what))


def require_polar(statements: Mapping[str, object], *, what: str) -> None:
    """Refuse a grid unless all that a file says of its coordinate system means EPSG:3031.

    Parameters
    ----------
    statements : mapping of str to object
        Where the file says it, and what: WKT, PROJ text, an EPSG code, or a mapping of CF
        parameters.
    what : str
        File and variable, for messages.

    Raises
    ------
    FieldFormatError
        Nothing said, nothing that can be read, or another system.
    """
    known = {place: crs for place, said in statements.items() if (crs := _system(said)) is not None}
    if not known:
        found = f"says {'; '.join(statements)}, which PROJ cannot read" if statements else "says no"
        msg = (
            f"{what} {found} coordinate system, so its grid is unknown; expected {POLAR}; if it is "
            f"that, say so in the file ({ASSIGN}, or a CF grid_mapping variable with crs_wkt), "
            f"otherwise warp it: {WARP}"
        )
        raise FieldFormatError(msg)
    for place, crs in known.items():
        if not is_polar(crs):
            msg = (
                f"{what} is in {_title(crs)} ({place}), expected {POLAR}, WGS 84 / Antarctic Polar "
                f"Stereographic; warp it: {WARP}"
            )
            raise FieldFormatError(msg)


def is_polar(crs: pyproj.CRS) -> bool:
    """Say whether a system puts places where EPSG:3031 does, in whatever unit of length."""
    if not crs.is_projected:
        return False
    size = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    found = np.stack(pyproj.Proj(crs)(*_PLACES.T)) * size
    return bool(np.abs(found - _expected()).max() < SAME_PLACE_M)


@functools.cache
def _expected() -> FLOAT:
    return np.stack(pyproj.Proj(POLAR)(*_PLACES.T))


def _system(said: object) -> pyproj.CRS | None:
    """Return what a statement means, if PROJ can read it."""
    with warnings.catch_warnings():
        # PROJ warns of forms of text that are old but clear.
        warnings.simplefilter("ignore")
        try:
            if isinstance(said, Mapping):
                return pyproj.CRS.from_cf(dict(said))
            written = str(said).strip()
            if not written or len(written) > LONGEST_CRS:
                return None
            matched = _INIT.match(written)
            if written.isdigit():
                written = f"EPSG:{written}"
            return pyproj.CRS.from_user_input(matched[1] if matched else written)
        except (CRSError, KeyError, ValueError, TypeError):
            return None


def _title(crs: pyproj.CRS) -> str:
    code: Any = crs.to_epsg()
    return f"EPSG:{code} ({crs.name})" if code else str(crs.name)
