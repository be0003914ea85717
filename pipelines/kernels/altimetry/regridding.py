"""From pixels of EPSG:3031 to latitude-longitude cells on the sphere that harmonics live on.

*Conservative*: every pixel's mass is shared out by the exact areas that it has in common with the
cells. *Bilinear*: values are sampled at the centres of the cells, as Sasgen et al. (2019, section
2.2) do; mass is not kept.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from pipelines.kernels import geodesy
from pipelines.kernels.altimetry.polar_overlap import (
    FARTHEST_M,
    Cells,
    area_per_radian,
    overlaps,
)
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import sphere
from pipelines.kernels.gravity.cap_grid import CapGrid

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]
INT = NDArray[np.int64]
Surface = Literal["ellipsoid", "sphere"]


class RegriddingError(ValueError):
    """Grids or fields that cannot be regridded."""


@dataclass(frozen=True)
class Regridding:
    """A linear operator from pixels to cells.

    Attributes
    ----------
    matrix : csr_array, shape (n_lat · n_lon, pixels)
        Acts on the wanted pixels.
    wanted : ndarray of bool, shape (y, x)
        Pixels that are read; all others count as zero.
    pixel_areas : ndarray, shape (pixels,)
        True area of each wanted pixel [m²].
    shape : tuple of int
        Rows and columns of cells.
    sphere_areas : ndarray, shape (n_lat,)
        Area a² Ω of a cell of each row on the sphere that loads lie on [m²].
    true_areas : ndarray, shape (n_lat,)
        Area of a cell of each row on the ellipsoid [m²]; NaN in rows beyond 38° S.
    keeps_mass : bool
        Whether the entries of the matrix are shared areas over ``sphere_areas``.
    """

    matrix: scipy.sparse.csr_array
    wanted: BOOL
    pixel_areas: FLOAT
    shape: tuple[int, int]
    sphere_areas: FLOAT
    true_areas: FLOAT
    keeps_mass: bool

    def apply(self, fields: FLOAT) -> FLOAT:
        """Return fields on the cells.

        Parameters
        ----------
        fields : ndarray, shape (..., y, x)
            Surface density on the pixels [kg m⁻², or its rate].

        Returns
        -------
        ndarray, shape (..., n_lat, n_lon)
            Surface density on the sphere, zero where there is no wanted pixel.

        Raises
        ------
        RegriddingError
            Another grid, or a wanted pixel without a value.
        """
        if fields.shape[-2:] != self.wanted.shape:
            msg = f"found fields of shape {fields.shape}, expected {('...', *self.wanted.shape)}"
            raise RegriddingError(msg)
        held = fields[..., self.wanted]
        missing = int(np.isnan(held).sum())
        if missing:
            msg = (
                f"{missing} of {held.size} values on wanted pixels are missing; expected none: "
                "fill the gaps first"
            )
            raise RegriddingError(msg)
        flat = held.reshape(math.prod(fields.shape[:-2]), held.shape[-1])
        cells = (self.matrix @ flat.T).T
        return np.asarray(cells.reshape(*fields.shape[:-2], *self.shape))

    def mass(self, field: FLOAT) -> float:
        """Return the mass of a field on its pixels [kg, or its rate], shape (y, x)."""
        return float(field[self.wanted] @ self.pixel_areas)

    def lost_mass(self, field: FLOAT) -> float:
        """Return how much less a field weighs on the cells than on its pixels.

        ::

            Δ = Σ_p σ_p A_p − Σ_c σ_c a² Ω_c

        Rounding if mass is kept. Sampling at the centres of the cells leaves the edge of the ice
        to chance, and reads true density as density on the sphere: near the pole it gains 0.45 %
        in the geocentric reading and loses 0.9 % in the geographic one.

        Parameters
        ----------
        field : ndarray, shape (y, x)
            Surface density on the pixels [kg m⁻², or its rate].

        Returns
        -------
        float
            Δ [kg, or its rate].
        """
        return self.mass(field) - float(self.apply(field).sum(axis=-1) @ self.sphere_areas)

    def area_fractions(
        self, labels: INT, *, n_regions: int, surface: Surface = "ellipsoid"
    ) -> FLOAT:
        """Return what each region of pixels covers of each cell.

        ::

            w_rc = Σ_{p ∈ r} A_pc                    (ellipsoid)
            w_rc = a² Ω_c Σ_{p ∈ r} A_pc / A_c       (sphere)

        The first sums to the true area of the region. The second weighs densities on the sphere,
        so that Σ_c w_rc σ_c is the mass of the region as far as σ is uniform within cells: what
        kernels of regions are made of (decision record 0005).

        Parameters
        ----------
        labels : ndarray of int, shape (y, x)
            Region of each pixel, −1 for none.
        n_regions : int
            Number of regions r.
        surface : {"ellipsoid", "sphere"}
            Where areas are measured.

        Returns
        -------
        ndarray, shape (r, n_lat, n_lon)
            Areas w [m²].

        Raises
        ------
        RegriddingError
            A bilinear operator, labels of another shape or range, or of pixels not wanted.
        """
        _check_labels(self, labels, n_regions)
        region = labels[self.wanted]
        member = np.flatnonzero(region >= 0)
        membership = scipy.sparse.csr_array(
            (np.ones(member.size), (member, region[member])), shape=(region.size, n_regions)
        )
        on_sphere = (self.matrix @ membership).T.toarray().reshape(n_regions, *self.shape)
        scale = self.sphere_areas
        if surface == "sphere":
            # Rows beyond the known areas hold no pixel: nothing to scale.
            scale = scale * np.nan_to_num(scale / self.true_areas)
        return np.asarray(on_sphere * scale[:, None])


def conservative(
    x: FLOAT,
    y: FLOAT,
    grid: CapGrid,
    *,
    reading: sphere.Reading = "geocentric",
    wanted: BOOL | None = None,
) -> Regridding:
    """Return the operator that keeps the mass of every pixel.

    ::

        σ_c = Σ_p A_pc σ_p / (a² Ω_c)

    with A_pc the true area that pixel and cell share, Ω_c the solid angle of the cell and a the
    radius that loads lie on: Σ_c σ_c a² Ω_c = Σ_p σ_p A_p. A cell has another area on the sphere
    than on the ellipsoid, so density on the sphere is the true one times A_c / (a² Ω_c), or masses
    would not be kept: 0.45 % less at the pole in the geocentric reading, where the ellipsoid is
    nearer to the centre than a, and 0.9 % more in the geographic one (decision record 0005).

    Parameters
    ----------
    x, y : ndarray, shapes (x,) and (y,)
        Centres of the pixels in EPSG:3031, equally spaced, in either direction [m].
    grid : CapGrid
        Cells; their latitudes are those of the sphere.
    reading : {"geocentric", "geographic"}
        How latitude is read, see :mod:`pipelines.kernels.gravity.sphere`.
    wanted : ndarray of bool, shape (y, x), optional
        Pixels to share out; all if not given.

    Returns
    -------
    Regridding

    Raises
    ------
    RegriddingError
        Axes that are not equally spaced, or a mask of another shape.
    pipelines.kernels.altimetry.polar_overlap.OverlapError
        Wanted pixels beyond the northern edge of the cells.
    """
    (left, right), (bottom, top) = _sides(x, "x"), _sides(y, "y")
    mask = _mask(wanted, (y.size, x.size))
    row, column = np.nonzero(mask)
    radius = map_radii(grid, reading=reading)
    cells = Cells(radius, grid.n_lon)
    matrix = overlaps(left[column], right[column], bottom[row], top[row], cells)
    areas = np.asarray(matrix.sum(axis=0)).ravel()
    sphere_areas, true_areas = _cell_areas(grid, radius)
    # In place: the overlaps are the largest array there is.
    matrix.data /= np.repeat(np.repeat(sphere_areas, grid.n_lon), np.diff(matrix.indptr))
    shape = (len(grid.latitude), grid.n_lon)
    return Regridding(matrix, mask, areas, shape, sphere_areas, true_areas, keeps_mass=True)


def map_radii(grid: CapGrid, *, reading: sphere.Reading) -> FLOAT:
    """Return the map radii of the edges of the rows of cells [m], exactly 0 at the pole."""
    edges = grid.edges
    geodetic = edges if reading == "geographic" else geodesy.geodetic_latitude(edges)
    _, radius = geodesy.polar_stereographic(geodetic, np.zeros(edges.shape))
    radius[0] = 0.0
    return radius


def _cell_areas(grid: CapGrid, radius: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the areas of a cell of each row on the sphere and on the ellipsoid [m²]."""
    known = np.where(radius <= FARTHEST_M, radius, np.nan)
    true = np.diff(area_per_radian(known)) * np.radians(grid.lon_step)
    return MEAN_RADIUS**2 * grid.solid_angles, true


def bilinear(
    x: FLOAT, y: FLOAT, grid: CapGrid, *, reading: sphere.Reading = "geocentric"
) -> Regridding:
    """Return the operator that samples fields at the centres of the cells.

    Parameters
    ----------
    x, y, grid, reading
        As for :func:`conservative`.

    Returns
    -------
    Regridding
        Reads all pixels; zero where a centre lies beyond theirs. What a field loses is said by
        :meth:`Regridding.lost_mass`.

    Raises
    ------
    RegriddingError
        Axes that are not equally spaced.
    """
    steps = _spacing(x, "x"), _spacing(y, "y")
    latitude, longitude = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    geodetic = latitude if reading == "geographic" else geodesy.geodetic_latitude(latitude)
    at_x, at_y = geodesy.polar_stereographic(geodetic.ravel(), longitude.ravel())
    matrix = _bilinear_matrix((at_x - x[0]) / steps[0], (at_y - y[0]) / steps[1], (y.size, x.size))
    areas = geodesy.cell_areas(*np.meshgrid(x, y), float(np.sqrt(abs(steps[0] * steps[1]))))
    everywhere = np.ones((y.size, x.size), dtype=bool)
    shape = (len(grid.latitude), grid.n_lon)
    sphere_areas, true_areas = _cell_areas(grid, map_radii(grid, reading=reading))
    return Regridding(
        matrix, everywhere, areas.ravel(), shape, sphere_areas, true_areas, keeps_mass=False
    )


def _bilinear_matrix(i: FLOAT, j: FLOAT, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """Return weights of the four pixels around each place (i across, j down), in pixels."""
    inside = (i >= 0.0) & (i <= shape[1] - 1) & (j >= 0.0) & (j <= shape[0] - 1)
    place = np.flatnonzero(inside)
    left = np.minimum(i[place].astype(np.int64), shape[1] - 2)
    upper = np.minimum(j[place].astype(np.int64), shape[0] - 2)
    across, down = i[place] - left, j[place] - upper
    rows, columns, values = [], [], []
    for right in (0, 1):
        for lower in (0, 1):
            rows.append(place)
            columns.append((upper + lower) * shape[1] + left + right)
            weight = (across if right else 1.0 - across) * (down if lower else 1.0 - down)
            values.append(weight)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csr_array(
        scipy.sparse.coo_array(entries, shape=(i.size, shape[0] * shape[1]))
    )


def resample(x: FLOAT, y: FLOAT, field: FLOAT, to_x: FLOAT, to_y: FLOAT) -> FLOAT:
    """Return a field of one EPSG:3031 grid at the centres of another, bilinearly.

    Parameters
    ----------
    x, y : ndarray, shapes (x,) and (y,)
        Centres of the pixels of the field [m].
    field : ndarray, shape (y, x)
        Values; missing is NaN.
    to_x, to_y : ndarray, shapes (u,) and (v,)
        Centres wanted [m].

    Returns
    -------
    ndarray, shape (v, u)
        NaN beyond the grid, and beside a missing value.
    """
    steps = _spacing(x, "x"), _spacing(y, "y")
    i, j = np.meshgrid((to_x - x[0]) / steps[0], (to_y - y[0]) / steps[1])
    matrix = _bilinear_matrix(i.ravel(), j.ravel(), (y.size, x.size))
    known = np.isfinite(field).ravel()
    values = matrix @ np.where(known, field.ravel(), 0.0)
    complete = np.abs(matrix @ known.astype(np.float64) - 1.0) < 1e-9
    return np.asarray(np.where(complete, values, np.nan).reshape(i.shape))


def _mask(wanted: BOOL | None, shape: tuple[int, int]) -> BOOL:
    if wanted is None:
        return np.ones(shape, dtype=bool)
    if wanted.shape != shape:
        msg = f"found a mask of shape {wanted.shape}, expected {shape}, a value per pixel"
        raise RegriddingError(msg)
    return wanted


def _check_labels(operator: Regridding, labels: INT, n_regions: int) -> None:
    if not operator.keeps_mass:
        msg = "bilinear sampling shares no areas; use the operator of conservative regridding"
        raise RegriddingError(msg)
    if labels.shape != operator.wanted.shape:
        msg = f"found labels of shape {labels.shape}, expected {operator.wanted.shape}"
        raise RegriddingError(msg)
    if labels.size and not (labels.min() >= -1 and labels.max() < n_regions):
        msg = (
            f"labels run from {labels.min()} to {labels.max()}, expected −1 (none) to "
            f"{n_regions - 1}"
        )
        raise RegriddingError(msg)
    unread = int(np.count_nonzero((labels >= 0) & ~operator.wanted))
    if unread:
        msg = (
            f"{unread} of {np.count_nonzero(labels >= 0)} labelled pixels are not wanted by the "
            "operator, so their area is unknown to it; make it with these pixels, or label them −1"
        )
        raise RegriddingError(msg)


def _sides(axis: FLOAT, name: str) -> tuple[FLOAT, FLOAT]:
    """Return the sides of pixels below and above their centres [m]."""
    half = abs(_spacing(axis, name)) / 2.0
    return axis - half, axis + half


def _spacing(axis: FLOAT, name: str) -> float:
    steps = np.diff(axis)
    if not steps.size or steps[0] == 0.0 or np.ptp(steps) > 1e-6 * abs(steps[0]):
        msg = (
            f"{name} has {axis.size} centres with spacings from {np.min(steps, initial=np.inf):g} "
            f"to {np.max(steps, initial=-np.inf):g} m; expected two or more at equal distances"
        )
        raise RegriddingError(msg)
    return float(axis[-1] - axis[0]) / steps.size
