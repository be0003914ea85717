"""Grids of image pixels: north up, row 0 in the north, on the lattice that Landsat uses.

Landsat's metadata give the CENTRES of corner pixels, multiples of 30 m in EPSG:3031 (real scene
LC08_L2SR_099120_20191129: 733800, 494400), so the EDGES of its pixels lie at 30 k + 15 m (its
GeoTIFF begins at 733785, 494415). A grid with edges at multiples of 30 m would be half a pixel off
every scene; one of the named lattice takes pixels as they were delivered, none resampled.
"""

import dataclasses
import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stac.grids import POLAR

SPACING_M = 30.0
ORIGIN_M = 15.0
GRID_NAME = "antarctica-landsat-30m"
# Edges are sums of products in float64: equal places differ by nanometres, never by a millionth.
_SAME_PIXEL = 1e-6


class PixelGridError(ValueError):
    """Numbers that are no grid, or a part of a grid that it does not have."""


@dataclass(frozen=True)
class PixelGrid:
    """A regular grid of square pixels, north up: ``x`` grows with columns, ``y`` falls with rows.

    Parameters
    ----------
    name : str
        Name of the lattice.
    code : str
        Coordinate reference system, ``EPSG:n``.
    west, north : float
        Outer edges of column 0 and of row 0 [m].
    spacing : float
        Side of a pixel [m].
    nx, ny : int
        Columns and rows.

    Examples
    --------
    >>> scene = PixelGrid("", "EPSG:3031", 733785.0, 494415.0, 30.0, 9031, 9011)
    >>> float(scene.x[0]), float(scene.y[0])
    (733800.0, 494400.0)
    """

    name: str
    code: str
    west: float
    north: float
    spacing: float
    nx: int
    ny: int

    def __post_init__(self) -> None:
        numbers = (self.west, self.north, self.spacing)
        if not (all(map(math.isfinite, numbers)) and self.spacing > 0.0):
            msg = (
                f"a grid with west {self.west}, north {self.north} and spacing {self.spacing} m; "
                "expected finite edges and a spacing above 0"
            )
            raise PixelGridError(msg)
        if self.nx < 1 or self.ny < 1:
            msg = f"a grid of {self.ny} rows and {self.nx} columns; give it one of each at least"
            raise PixelGridError(msg)
        if not re.fullmatch(r"EPSG:\d+", self.code):
            msg = f"code {self.code!r}; expected EPSG and a number, like EPSG:3031"
            raise PixelGridError(msg)

    @property
    def x(self) -> NDArray[np.float64]:
        """Pixel centres along x, shape (nx,) [m], increasing."""
        return np.asarray(self.west + (np.arange(self.nx) + 0.5) * self.spacing, dtype=np.float64)

    @property
    def y(self) -> NDArray[np.float64]:
        """Pixel centres along y, shape (ny,) [m], decreasing."""
        return np.asarray(self.north - (np.arange(self.ny) + 0.5) * self.spacing, dtype=np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ny, self.nx

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north edges [m]."""
        south = self.north - self.ny * self.spacing
        return self.west, south, self.west + self.nx * self.spacing, self.north

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Column and row to x and y, as ``proj:transform`` writes it."""
        return self.spacing, 0.0, self.west, 0.0, -self.spacing, self.north

    @property
    def epsg(self) -> int:
        """Number of the coordinate reference system."""
        return int(self.code.removeprefix("EPSG:"))

    def window(self, rows: slice, columns: slice) -> "PixelGrid":
        """Return the grid of some rows and columns of this one.

        >>> snapped((15.0, 15.0, 3015.0, 3015.0)).window(slice(10, 20), slice(0, 5)).bounds
        (15.0, 2415.0, 165.0, 2715.0)

        Raises
        ------
        PixelGridError
            If a slice has a step, or is empty, or reaches beyond the grid.
        """
        top, bottom = _extent(rows, self.ny, axis="rows")
        left, right = _extent(columns, self.nx, axis="columns")
        return dataclasses.replace(
            self,
            west=self.west + left * self.spacing,
            north=self.north - top * self.spacing,
            nx=right - left,
            ny=bottom - top,
        )

    def coarser(self, factor: int) -> "PixelGrid":
        """Return the grid of the same place whose pixels are `factor` times as wide.

        >>> snapped((15.0, 15.0, 3015.0, 3015.0)).coarser(10).shape
        (10, 10)

        Raises
        ------
        PixelGridError
            If the rows or columns are no multiple of the factor.
        """
        if factor < 1 or self.nx % factor or self.ny % factor:
            msg = (
                f"{self.ny} rows and {self.nx} columns cannot be grouped by {factor}; make the "
                f"grid with snapped(..., multiple={max(factor, 1)})"
            )
            raise PixelGridError(msg)
        return dataclasses.replace(
            self, spacing=self.spacing * factor, nx=self.nx // factor, ny=self.ny // factor
        )


def snapped(
    bounds: tuple[float, float, float, float],
    *,
    spacing: float = SPACING_M,
    multiple: int = 1,
    code: str = POLAR,
    origin: float = ORIGIN_M,
    name: str = GRID_NAME,
) -> PixelGrid:
    """Return the smallest grid around bounds on a lattice with edges at ``origin + k spacing``.

    Parameters
    ----------
    bounds : tuple of float
        West, south, east, north [m].
    spacing : float
        Side of a pixel [m].
    multiple : int
        The corner and the size are multiples of this many pixels of the lattice, so that any two
        grids share the cells of their :meth:`PixelGrid.coarser` grids.
    code : str
        Coordinate reference system of the bounds.
    origin : float
        Place of one edge of the lattice along both axes [m].
    name : str
        Name of the lattice.

    Raises
    ------
    PixelGridError
        If the bounds are not finite or enclose nothing.

    Examples
    --------
    >>> snapped((0.0, 0.0, 100.0, 60.0)).bounds
    (-15.0, -15.0, 105.0, 75.0)
    >>> snapped((0.0, 0.0, 100.0, 60.0), multiple=10).bounds
    (-285.0, -285.0, 315.0, 315.0)
    """
    west, south, east, north = (float(edge) for edge in bounds)
    if not all(map(math.isfinite, (west, south, east, north))) or west >= east or south >= north:
        msg = f"bounds {bounds} [m] enclose nothing; expected west < east and south < north"
        raise PixelGridError(msg)
    if multiple < 1 or not spacing > 0.0:
        msg = f"spacing {spacing} m, multiple {multiple}; expected both above 0"
        raise PixelGridError(msg)
    cell = spacing * multiple
    tolerance = _SAME_PIXEL / multiple
    left, bottom = (math.floor((edge - origin) / cell + tolerance) for edge in (west, south))
    right, top = (math.ceil((edge - origin) / cell - tolerance) for edge in (east, north))
    return PixelGrid(
        name=name,
        code=code,
        west=origin + left * cell,
        north=origin + top * cell,
        spacing=spacing,
        nx=(right - left) * multiple,
        ny=(top - bottom) * multiple,
    )


def _extent(part: slice, size: int, *, axis: str) -> tuple[int, int]:
    """Return first and last + 1 of a slice that must lie inside ``0..size``."""
    start = 0 if part.start is None else int(part.start)
    stop = size if part.stop is None else int(part.stop)
    if part.step not in {None, 1} or not 0 <= start < stop <= size:
        msg = (
            f"{axis} {part.start}:{part.stop}:{part.step} of a grid with {size}; expected a range "
            f"without step inside 0:{size}"
        )
        raise PixelGridError(msg)
    return start, stop
