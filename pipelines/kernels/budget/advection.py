"""Discharge without a gate: move a mask with the ice for a moment and weigh what has left it.

The idea is that of ``gridded_flux`` in the Antarctic Mapping Tools (Greene et al. 2022, Nature 609,
948), written anew, with the scale factor of the map. It shares nothing with a gate but the fields,
so it checks lines, normals, signs and widths at once.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
INTEGER = NDArray[np.integer]
Scheme = Literal["forward", "centred"]

_ALL_ROUND = np.ones((3, 3), np.bool_)


class AdvectionError(ValueError):
    """Fields and regions of which no flux can be told."""


@dataclass(frozen=True)
class MaskFlux:
    """What leaves regions within a moment, by how long it was.

    Attributes
    ----------
    flux : ndarray, shape (region,)
        Mass that leaves all regions, by the region that it comes from, less what enters it from
        outside all of them [kg yr⁻¹]; NaN in a region without cells.
    missing : ndarray, shape (region,)
        Part of the region's perimeter cells without thickness or velocity [1]; NaN if it has no
        perimeter.
    step : float
        The moment [yr]; infinite where nothing moves.
    """

    flux: FLOAT
    missing: FLOAT
    step: float


def mask_flux(
    thickness: FLOAT,
    v_x: FLOAT,
    v_y: FLOAT,
    region: INTEGER,
    map_over_true: FLOAT,
    x: FLOAT,
    y: FLOAT,
    *,
    density: float,
    n_regions: int,
    pixels: float = 1.0,
    largest_gap: float = 0.0,
    scheme: Scheme = "forward",
) -> MaskFlux:
    """Return the flux out of regions of a grid, by advecting their mask.

    ::

        G_r(δ) = Σ_c ρ H A [m_r (1 − m(x + δ)) − (1 − m) m_r(x + δ)],      A = s² / k²
        forward   F_r = G_r(δ) / dt,                       δ = k v dt
        centred   F_r = (G_r(δ/2) − G_r(−δ/2)) / dt

    ``m_r`` is 1 in region r and ``m`` in any region, both linear between cell centres. What leaves
    one region for another leaves nothing.

    Parameters
    ----------
    thickness : ndarray, shape (y, x)
        Ice-equivalent thickness H [m], NaN where not measured.
    v_x, v_y : ndarray, shape (y, x)
        Velocity on the ground [m yr⁻¹], NaN where not measured.
    region : ndarray of int, shape (y, x)
        Region of each cell, −1 outside all.
    map_over_true : ndarray, shape (y, x)
        Scale factor k [1].
    x, y : ndarray, shapes (x,) and (y,)
        Cell centres in EPSG:3031, equally spaced, ascending or descending [m].
    density : float
        Ice density ρ [kg m⁻³].
    n_regions : int
        Number of regions.
    pixels : float
        Cells that the fastest ice of the perimeter moves within the moment.
    largest_gap : float
        Part of a region's perimeter that may be missing; beyond it the flux is NaN. What is
        missing counts as still.
    scheme : {"forward", "centred"}
        Forward needs no values outside the regions, and its error is of first order in a cell
        over the length on which the flux varies. Centred is of second order, and needs
        thickness and velocity beyond the perimeter: on shelves, not at cliffs.

    Returns
    -------
    MaskFlux
        Flux by region.

    Raises
    ------
    AdvectionError
        Shapes that differ, cells that are not square, regions at the edge of the grid, choices
        out of range, a centred scheme without values beyond the perimeter.
    """
    _require_grid((thickness, v_x, v_y, region, map_over_true), x, y)
    _require_choices(region, density=density, n_regions=n_regions, pixels=pixels, scheme=scheme)
    known = ~(np.isnan(thickness) | np.isnan(v_x) | np.isnan(v_y))
    perimeter, beyond = _rims(region >= 0)
    missing = _missing(region, known, perimeter, n_regions)
    if scheme == "centred":
        _require_beyond(known, beyond)
    fastest = _fastest(v_x, v_y, map_over_true, known & perimeter)
    spacing = abs(float(x[1] - x[0]))
    step = pixels * spacing / fastest if fastest > 0.0 else np.inf
    flux = np.zeros(n_regions)
    if np.isfinite(step):
        near = ndimage.binary_dilation(perimeter, _ALL_ROUND, iterations=int(np.ceil(pixels)) + 1)
        cells = np.nonzero(near & known)
        k = map_over_true[cells]
        mass = density * thickness[cells] * (spacing / k) ** 2
        rows = v_y[cells] * k * step / float(y[1] - y[0])
        columns = v_x[cells] * k * step / float(x[1] - x[0])
        for part in (1.0,) if scheme == "forward" else (0.5, -0.5):
            moved = (cells[0] + part * rows, cells[1] + part * columns)
            flux += np.sign(part) * _left(mass, moved, region[cells], region, n_regions=n_regions)
        flux /= step
    absent = np.bincount(region[region >= 0], minlength=n_regions) == 0
    return MaskFlux(np.where(absent | (missing > largest_gap), np.nan, flux), missing, step)


def _left(
    mass: FLOAT, moved: tuple[FLOAT, FLOAT], label: INTEGER, region: INTEGER, *, n_regions: int
) -> FLOAT:
    """Return the mass that displaced cells take out of each region, less what they bring in.

    Parameters
    ----------
    mass : ndarray, shape (n,)
        Mass of the cells [kg].
    moved : two ndarrays, shape (n,)
        Rows and columns to which they move [cells].
    label : ndarray of int, shape (n,)
        Regions from which they come, −1 for none.
    region : ndarray of int, shape (y, x)
        Regions of the grid.
    n_regions : int
        Number of regions.
    """
    row, column = (
        np.clip(np.floor(at).astype(np.intp), 0, size - 2)
        for at, size in zip(moved, region.shape, strict=True)
    )
    d_row = np.clip(moved[0] - row, 0.0, 1.0)
    d_column = np.clip(moved[1] - column, 0.0, 1.0)
    stays = np.zeros(len(mass))
    left = np.zeros(n_regions)
    outside = label < 0
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        w = np.abs(1 - i - d_row) * np.abs(1 - j - d_column)
        corner = region[row + i, column + j]
        stays += w * (corner >= 0)
        enters = outside & (corner >= 0)
        left -= np.bincount(corner[enters], (w * mass)[enters], n_regions)
    inside = ~outside
    return left + np.bincount(label[inside], (mass * (1.0 - stays))[inside], n_regions)


def _rims(inside: BOOL) -> tuple[BOOL, BOOL]:
    """Return the cells of a mask beside others, and the others beside it."""
    return (
        inside & ndimage.binary_dilation(~inside, _ALL_ROUND),
        ~inside & ndimage.binary_dilation(inside, _ALL_ROUND),
    )


def _missing(region: INTEGER, known: BOOL, perimeter: BOOL, n_regions: int) -> FLOAT:
    """Return the part of each region's perimeter that has no values; NaN without perimeter."""
    whole = np.bincount(region[perimeter], minlength=n_regions).astype(np.float64)
    lost = np.bincount(region[perimeter & ~known], minlength=n_regions)
    return np.where(whole > 0.0, lost / np.where(whole > 0.0, whole, 1.0), np.nan)


def _fastest(v_x: FLOAT, v_y: FLOAT, map_over_true: FLOAT, cells: BOOL) -> float:
    """Return the highest speed on the map among cells [m yr⁻¹], 0 without any."""
    speed = np.hypot(v_x[cells], v_y[cells]) * map_over_true[cells]
    return float(speed.max(initial=0.0))


def _require_grid(fields: tuple[NDArray[np.generic], ...], x: FLOAT, y: FLOAT) -> None:
    shape = (len(y), len(x))
    found = [field.shape for field in fields]
    if any(each != shape for each in found) or min(shape) < 3:
        msg = (
            f"found fields {found} on axes of {shape[0]} rows and {shape[1]} columns, expected "
            "(y, x) for all and three of each at least"
        )
        raise AdvectionError(msg)
    steps = np.abs(np.concatenate([np.diff(x), np.diff(y)]))
    if not np.allclose(steps, steps[0], rtol=1e-6) or steps[0] == 0.0:
        msg = (
            f"cell centres are {steps.min():g} to {steps.max():g} m apart, expected square cells "
            "on equally spaced axes"
        )
        raise AdvectionError(msg)


def _require_choices(
    region: INTEGER, *, density: float, n_regions: int, pixels: float, scheme: str
) -> None:
    if not (density > 0.0 and 0.0 < pixels <= 5.0 and scheme in {"forward", "centred"}):
        msg = (
            f"found a density of {density:g} kg/m3, a move of {pixels:g} cells and the scheme "
            f"{scheme!r}, expected a positive density, 0 to 5 cells, 'forward' or 'centred'"
        )
        raise AdvectionError(msg)
    if region.min() < -1 or region.max() >= n_regions:
        span = f"{region.min()} to {region.max()}"
        msg = f"found regions {span}, expected −1 to {n_regions - 1}"
        raise AdvectionError(msg)
    edge = np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]])
    if np.any(edge >= 0):
        names = ", ".join(str(i) for i in np.unique(edge[edge >= 0]))
        msg = (
            f"regions {names} reach the edge of the grid, beyond which nothing tells ice from sea; "
            "take a larger grid"
        )
        raise AdvectionError(msg)


def _require_beyond(known: BOOL, beyond: BOOL) -> None:
    lost = int(np.sum(beyond & ~known))
    if lost:
        msg = (
            f"{lost} of {int(beyond.sum())} cells beyond the perimeter have no thickness or "
            "velocity, which the centred scheme needs; use the forward scheme"
        )
        raise AdvectionError(msg)
