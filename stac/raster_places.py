"""Where the pixels of an image file lie, and which of them are nearest to those of a grid.

The nearest pixel to a point at continuous column p and row q is (⌊p⌋, ⌊q⌋), as GDAL has it. Where
file and grid share a projection, columns depend on x and rows on y alone; on a shared lattice both
run by ones, and the pixels are taken as they are.
"""

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyproj
from numpy.typing import NDArray

from stac.pixel_grids import PixelGrid

Alignment = Literal["aligned", "decimated", "shifted", "warped"]
INDEX = NDArray[np.int64]
FLOAT = NDArray[np.float64]
# A thousandth of a pixel (3 cm) is below what Landsat's own geometry knows.
SAME_PIXELS = 1e-3
# Centres that fall on an edge between two pixels go to the right or lower one, whatever float64
# makes of them.
_ON_EDGE = 1e-6
_OUTSIDE = -1


@dataclass(frozen=True)
class Place:
    """Projection, lattice and size of an image.

    Parameters
    ----------
    crs : str
        ``EPSG:n`` or WKT.
    transform : tuple of 6 floats
        ``x = t₀ column + t₁ row + t₂``, ``y = t₃ column + t₄ row + t₅`` of pixel corners.
    shape : (int, int)
        Rows and columns.
    """

    crs: str
    transform: tuple[float, ...]
    shape: tuple[int, ...]

    @property
    def is_upright(self) -> bool:
        """Whether columns run along x and rows along y, in either sense."""
        return self.transform[1] == 0.0 == self.transform[3]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in its own projection."""
        (rows, columns), t = self.shape, self.transform
        corners = [(c, r) for c in (0, columns) for r in (0, rows)]
        x = [t[0] * c + t[1] * r + t[2] for c, r in corners]
        y = [t[3] * c + t[4] * r + t[5] for c, r in corners]
        return min(x), min(y), max(x), max(y)

    @property
    def pixel_m(self) -> tuple[float, float]:
        """Width and height of a pixel."""
        t = self.transform
        return math.hypot(t[0], t[3]), math.hypot(t[1], t[4])

    def position(self, x: FLOAT, y: FLOAT) -> tuple[FLOAT, FLOAT]:
        """Return continuous column and row of points in its own projection."""
        a, b, c, d, e, f = self.transform[:6]
        determinant = a * e - b * d
        if b == 0.0 == d:
            return (x - c) / a, (y - f) / e
        return (
            (e * (x - c) - b * (y - f)) / determinant,
            (a * (y - f) - d * (x - c)) / determinant,
        )


@functools.lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the transformation between two projections, x before y in both."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


@functools.lru_cache(maxsize=4096)
def same_projection(place: Place, code: str) -> bool:
    """Tell whether an image's projection gives its pixels the coordinates that `code` gives them.

    Names and codes do not decide: Landsat's files over Antarctica hold ``PS WGS84`` without any
    code, and with axes that other writers of EPSG:3031 name otherwise.
    """
    if place.crs == code:
        return True
    west, south, east, north = place.bounds
    x, y = (points.ravel() for points in np.meshgrid(
        np.linspace(west, east, 5), np.linspace(south, north, 5)))  # fmt: skip
    at_x, at_y = transformer(place.crs, code).transform(x, y)
    largest = max(np.abs(at_x - x).max(), np.abs(at_y - y).max())
    return bool(largest <= SAME_PIXELS * min(place.pixel_m))


def alignment(place: Place, grid: PixelGrid) -> Alignment:
    """Tell how the pixels of a grid come from those of an image.

    Returns
    -------
    {"aligned", "decimated", "shifted", "warped"}
        The same pixels; every n-th pixel; pixels of the same size up to half a pixel away in x and
        y; the nearest pixels of an image in another projection or with pixels of another size.
    """
    if not (place.is_upright and same_projection(place, grid.code)):
        return "warped"
    width, height = place.transform[0], -place.transform[4]
    across, down = grid.spacing / width, grid.spacing / height
    ratio = round(across)
    # Over the whole image, so that no pixel of it drifts.
    slack = SAME_PIXELS / max(*place.shape, *grid.shape)
    if ratio < 1 or max(abs(across - ratio), abs(down - ratio)) > slack * ratio:
        return "warped"
    column, row = place.position(np.array(grid.west), np.array(grid.north))
    off = max(abs(float(at) - round(float(at))) for at in (column, row))
    if off <= SAME_PIXELS:
        return "aligned" if ratio == 1 else "decimated"
    return "shifted" if ratio == 1 else "warped"


def outline(place: Place, grid: PixelGrid) -> tuple[float, float, float, float]:
    """Return bounds in the grid's projection that enclose the image, with some room [m]."""
    bounds = place.bounds
    if not same_projection(place, grid.code):
        bounds = transformer(place.crs, grid.code).transform_bounds(*bounds, densify_pts=51)
        margin = 0.01 * max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    else:
        margin = 2.0 * max(*place.pixel_m, grid.spacing)
    return bounds[0] - margin, bounds[1] - margin, bounds[2] + margin, bounds[3] + margin


def nearest(place: Place, grid: PixelGrid, *, stored: tuple[int, int]) -> tuple[INDEX, INDEX]:
    """Return rows and columns of the stored pixels nearest to the centres of a grid.

    Parameters
    ----------
    place : Place
        The image at full resolution; it decides what lies inside.
    grid : PixelGrid
        The pixels wanted.
    stored : (int, int)
        Rows and columns of what is read: the image, or one of its overviews.

    Returns
    -------
    rows, columns : ndarray
        Shapes (ny,) and (nx,) if the image is upright in the grid's projection, else both
        (ny, nx); -1 outside the image.
    """
    if place.is_upright and same_projection(place, grid.code):
        column, row = place.position(grid.x, grid.y)
    else:
        x, y = np.meshgrid(grid.x, grid.y)
        if not same_projection(place, grid.code):
            x, y = transformer(grid.code, place.crs).transform(x, y)
        with np.errstate(invalid="ignore"):
            column, row = place.position(x, y)
    return tuple(  # type: ignore[return-value]
        _inside(at, size, kept) for at, size, kept in zip((row, column), place.shape, stored,
                                                          strict=True)
    )  # fmt: skip


def _inside(at: FLOAT, size: int, kept: int) -> INDEX:
    """Return indices into `kept` stored pixels of positions among `size`, -1 if outside."""
    at = at + _ON_EDGE
    with np.errstate(invalid="ignore"):
        inside = (at >= 0.0) & (at < size)
    index = np.floor(np.where(inside, at, 0.0) * (kept / size)).astype(np.int64)
    return np.where(inside, np.minimum(index, kept - 1), _OUTSIDE)


def pixels_per_cell(place: Place, grid: PixelGrid) -> float:
    """Return how many pixels of the image lie side by side in one of the grid."""
    if same_projection(place, grid.code):
        return grid.spacing / max(place.pixel_m)
    x = np.array([0.0, 1.0, 0.0]) * grid.spacing + grid.west + 0.5 * grid.nx * grid.spacing
    y = np.array([0.0, 0.0, 1.0]) * grid.spacing + grid.north - 0.5 * grid.ny * grid.spacing
    column, row = place.position(*transformer(grid.code, place.crs).transform(x, y))
    steps: Any = [np.hypot(column[i] - column[0], row[i] - row[0]) for i in (1, 2)]
    return float(min(steps)) if np.isfinite(steps).all() else 1.0
