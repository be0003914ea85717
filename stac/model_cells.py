"""Cells of climate models as quadrilaterals in EPSG:3031 with their true areas.

A model's own grid is kept: meridians and parallels, a rotated pole, or squares of a map. Latitudes
are taken for those of WGS84, as boundaries have them, though models run on a sphere of 6371 km. So
areas are those on the ellipsoid, 0.56 % (60° S) to 0.90 % (the pole) larger than the
models' own R² Δλ Δ(sin φ): a uniform field then gives the geodesic area of every polygon.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyproj
import xarray as xr
from numpy.typing import NDArray

from stac.field_units import FieldFormatError
from stac.grids import GEOGRAPHIC, POLAR

FLOAT = NDArray[np.float64]

UNEVEN = 0.01
"""Share of the spacing that centres may be off: coordinates of 32 bits, written with 3 decimals."""
FARTHEST_M = 1.0e7
"""Map radius to which cells are taken, 14° S [m]."""
_CORNERS = ((-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))
"""Corners around a cell, in steps of rows and columns."""


class Cells(NamedTuple):
    """Corners of cells in EPSG:3031, in order around each.

    Attributes
    ----------
    x, y : ndarray, shape (cell, 4)
        Coordinates [m].
    """

    x: FLOAT
    y: FLOAT


class Pole(NamedTuple):
    """A rotated pole, as PROJ's ``ob_tran`` has it: latitude o_lat_p, longitudes lon_0 and o_lon_p.

    Angles are in degrees; o_lat_p may exceed 90°, RACMO's is −180°.
    """

    latitude: float
    lon_0: float
    lon_p: float = 0.0


def geographic_cells(latitude: FLOAT, longitude: FLOAT, *, what: str) -> Cells:
    """Return cells between meridians and parallels.

    Parameters
    ----------
    latitude, longitude : ndarray, shapes (rows,), (columns,)
        Even centres, any order [°]; corners beyond the pole are put on it.
    what : str
        File, for messages.

    Returns
    -------
    Cells
        Row by row.
    """
    rows, columns = _corner_axes(latitude, longitude, what=what)
    return _projected(np.clip(rows, -90.0, 90.0), columns, what=what)


def rotated_cells(rlat: FLOAT, rlon: FLOAT, pole: Pole, *, what: str) -> Cells:
    """Return cells of a rotated pole, from even centres in rotated degrees, row by row."""
    rows, columns = _corner_axes(rlat, rlon, what=what)
    return _projected(*unrotated(rows, columns, pole), what=what)


def unrotated(rlat: FLOAT, rlon: FLOAT, pole: Pole) -> tuple[FLOAT, FLOAT]:
    """Return latitude and longitude of places in rotated coordinates.

    With φ_p the pole's latitude, Snyder (1987), section 5::

        sin φ = sin φ_p sin φ' + cos φ_p cos φ' cos(λ' − λ_p)
        tan(λ − λ₀) = cos φ' sin(λ' − λ_p) / (sin φ_p cos φ' cos(λ' − λ_p) − cos φ_p sin φ')

    Parameters
    ----------
    rlat, rlon : ndarray, shape (...)
        φ', λ' [°].
    pole : Pole
        Where the rotated pole is.

    Returns
    -------
    latitude, longitude : ndarray, shape (...)
        φ, λ [°].
    """
    phi, lam = np.radians(rlat), np.radians(rlon - pole.lon_p)
    sine, cosine = np.sin(np.radians(pole.latitude)), np.cos(np.radians(pole.latitude))
    ahead, up = np.cos(phi) * np.cos(lam), np.sin(phi)
    latitude = np.arcsin(np.clip(sine * up + cosine * ahead, -1.0, 1.0))
    longitude = np.arctan2(np.cos(phi) * np.sin(lam), sine * ahead - cosine * up)
    return np.degrees(latitude), np.degrees(longitude) + pole.lon_0


def curvilinear_cells(latitude: FLOAT, longitude: FLOAT, *, what: str) -> Cells:
    """Return cells around centres that lie in rows and columns of any shape.

    A corner is the mean of the four centres around it, on the map; those of the outer rim continue
    the rows and columns.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (rows, columns)
        Centres [°].
    what : str
        File, for messages.
    """
    if min(latitude.shape) < 2 or not np.isfinite(latitude + longitude).all():
        msg = (
            f"{what} has centres of cells {latitude.shape}, some missing perhaps, expected "
            "latitude and longitude of every cell of two rows and columns at least"
        )
        raise FieldFormatError(msg)
    x, y = _to_polar(latitude, longitude, what=what)
    return Cells(_between(x), _between(y))


def square_cells(x: FLOAT, y: FLOAT) -> Cells:
    """Return squares around even centres in EPSG:3031 [m], row by row."""
    rows, columns = _corner_axes(y, x, what="the grid")
    return Cells(columns, rows)


def true_areas(cells: Cells) -> FLOAT:
    """Return the areas of cells on the ellipsoid.

    ::

        A = ∬ k⁻² dx dy        k: scale of EPSG:3031

    by four Gauss points in each cell, which is right to 10⁻⁹ for cells of 100 km.

    Returns
    -------
    ndarray, shape (cell,)
        Areas [m²].
    """
    node = 0.5 / np.sqrt(3.0)
    area = np.zeros(len(cells.x))
    for s, t in ((-node, -node), (-node, node), (node, node), (node, -node)):
        weight = np.array([(0.5 + 2 * a * s) * (0.5 + 2 * b * t) for a, b in _CORNERS])
        along_s = np.array([2 * a * (0.5 + 2 * b * t) for a, b in _CORNERS])
        along_t = np.array([2 * b * (0.5 + 2 * a * s) for a, b in _CORNERS])
        squared = np.square(cells.x @ weight) + np.square(cells.y @ weight)
        jacobian = (cells.x @ along_s) * (cells.y @ along_t)
        jacobian -= (cells.x @ along_t) * (cells.y @ along_s)
        area += np.abs(jacobian) * _true_over_map()(squared) / 4.0
    return area


def dataset(
    amounts: FLOAT, months: NDArray[np.datetime64], cells: Cells, attributes: Mapping[str, Any]
) -> xr.Dataset:
    """Return amounts (time, cell) [kg m⁻²] of months as the contract has them."""
    made = {
        "surface_mass_balance": (("time", "cell"), amounts, {"units": "kg m-2"}),
        "corner_x": (("cell", "corner"), cells.x, {"units": "m"}),
        "corner_y": (("cell", "corner"), cells.y, {"units": "m"}),
        "area": ("cell", true_areas(cells), {"units": "m2"}),
    }
    return xr.Dataset(made, coords=spans(months), attrs=dict(attributes))


def spans(months: NDArray[np.datetime64]) -> dict[str, tuple[str, NDArray[np.datetime64]]]:
    """Return start and end (exclusive) of months."""
    ends = months + np.timedelta64(1, "M")
    return {
        "time_start": ("time", months.astype("datetime64[ns]")),
        "time_end": ("time", ends.astype("datetime64[ns]")),
    }


def _corner_axes(rows: FLOAT, columns: FLOAT, *, what: str) -> tuple[FLOAT, FLOAT]:
    """Return rows and columns of the corners of cells around centres, shapes (cell, 4)."""
    row_step, column_step = (even_step(axis, what=what) for axis in (rows, columns))
    row, column = (each.reshape(-1, 1) for each in np.meshgrid(rows, columns, indexing="ij"))
    up, along = np.array(_CORNERS).T
    return row + up * row_step, column + along * column_step


def even_step(centres: FLOAT, *, what: str) -> float:
    """Return the step between centres.

    Raises
    ------
    FieldFormatError
        Fewer than two, or steps that differ.
    """
    steps = np.diff(centres)
    step = float((centres[-1] - centres[0]) / steps.size) if steps.size else 0.0
    if step == 0.0 or not np.abs(steps - step).max() <= UNEVEN * abs(step):
        found = f"{steps.min():g} to {steps.max():g}" if steps.size else "none"
        msg = (
            f"{what}: steps between centres of cells are {found}, expected even ones; write the "
            "latitude and longitude of each cell instead"
        )
        raise FieldFormatError(msg)
    return step


def _between(centres: FLOAT) -> FLOAT:
    """Return corners (cell, 4) from centres (rows, columns)."""
    wide = np.pad(centres, 1, mode="reflect", reflect_type="odd")
    corner = (wide[:-1, :-1] + wide[:-1, 1:] + wide[1:, :-1] + wide[1:, 1:]) / 4.0
    around = (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1])
    return np.stack([each.reshape(-1) for each in around], axis=1)


def _projected(latitude: FLOAT, longitude: FLOAT, *, what: str) -> Cells:
    return Cells(*_to_polar(latitude, longitude, what=what))


def _to_polar(latitude: FLOAT, longitude: FLOAT, *, what: str) -> tuple[FLOAT, FLOAT]:
    """Project places, and refuse those that are not of the south."""
    if not (latitude.min() >= -90.001 and latitude.max() <= 0.0):
        msg = (
            f"{what} has cells between {latitude.min():.2f}° and {latitude.max():.2f}° of "
            "latitude, expected those of Antarctica; cut out the south, or correct the pole of the "
            "grid"
        )
        raise FieldFormatError(msg)
    transform = pyproj.Transformer.from_crs(GEOGRAPHIC, POLAR, always_xy=True).transform
    x, y = (np.asarray(each, dtype=np.float64) for each in transform(longitude, latitude))
    if not np.hypot(x, y).max() <= FARTHEST_M:
        msg = f"{what} has cells north of 14° S, expected those of Antarctica; cut out the south"
        raise FieldFormatError(msg)
    return x, y


@functools.cache
def _true_over_map() -> np.polynomial.Chebyshev:
    """Return k⁻² as a series in the square of the map radius [m²], right to 10⁻¹⁴."""
    proj = pyproj.Proj(POLAR)

    def ratio(squared: FLOAT) -> FLOAT:
        # At the pole itself PROJ has no scale; a metre beside it, it is the same to 10⁻¹³.
        radius = np.maximum(np.sqrt(np.maximum(squared, 0.0)), 1.0)
        longitude, latitude = proj(np.zeros(radius.shape), radius, inverse=True)
        return np.asarray(1.0 / proj.get_factors(longitude, latitude).areal_scale)

    series: np.polynomial.Chebyshev = np.polynomial.Chebyshev.interpolate(
        ratio, 24, domain=[0.0, FARTHEST_M**2]
    )
    return series
