"""Errors of thickness and velocity at the nodes of a gate, gathered by patch.

The flux of a region is bilinear in the errors of its nodes (Yang et al. 2023, equation 1)::

    F = Σ_i ρ (H_i + δH_i) ((v_x,i + δv_x,i) w_x,i + (v_y,i + δv_y,i) w_y,i)

An error that is the same within a patch, but for its σ, needs its effect summed over the nodes of
the patch once: errors along a gate are as long as what caused them, not as the spacing of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.kernels.budget.loadings import UncertaintyError

COMPONENTS = 2
"""Velocity errs along x and along y, independently."""


def square_patches(
    x: NDArray[np.float64], y: NDArray[np.float64], *, size_m: float
) -> NDArray[np.int64]:
    """Return the square of the map that each point lies in, numbered.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Points, EPSG:3031 [m].
    size_m : float
        Side of the squares, the length over which errors are alike [m].

    Returns
    -------
    ndarray of int64, shape (n,)
        Patch of each point, from 0 without gaps.

    Raises
    ------
    UncertaintyError
        A size that is not positive, a point that is not finite.
    """
    if not size_m > 0.0 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        msg = f"found squares of {size_m} m and points that may not be finite; expected both to be"
        raise UncertaintyError(msg)
    column = np.floor(x / size_m).astype(np.int64)
    row = np.floor(y / size_m).astype(np.int64)
    wide = int(np.ptp(column)) + 1 if len(column) else 1
    key = (row - row.min(initial=0)) * wide + (column - column.min(initial=0))
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class NodeErrors:
    """Nodes of a gate with what is uncertain about them; made by :func:`node_errors`.

    Attributes
    ----------
    thickness, v_x, v_y : ndarray, shape (year, n)
        H [m], v [m yr⁻¹].
    w_x, w_y, length : ndarray, shape (n,)
        True outward widths and length of the segment [m].
    region, patch : ndarray of int64, shape (n,)
        Indices.
    sigma_thickness, sigma_v_x, sigma_v_y : ndarray, shape (year, n)
        Standard deviations [m, m yr⁻¹].
    velocity_map : ndarray of int64, shape (year, n)
        Which map a velocity was taken from: years that share a map share its errors.
    density : float
        ρ [kg m⁻³].
    regions : int
        How many regions there are, with or without nodes.
    measured : ndarray of bool, shape (year, n)
        Where thickness and velocity are known.
    leave_out : bool
        Whether nodes that are not measured are left out; they make their region NaN if not.
    """

    thickness: NDArray[np.float64]
    v_x: NDArray[np.float64]
    v_y: NDArray[np.float64]
    w_x: NDArray[np.float64]
    w_y: NDArray[np.float64]
    length: NDArray[np.float64]
    region: NDArray[np.int64]
    patch: NDArray[np.int64]
    sigma_thickness: NDArray[np.float64]
    sigma_v_x: NDArray[np.float64]
    sigma_v_y: NDArray[np.float64]
    velocity_map: NDArray[np.int64]
    density: float
    regions: int
    measured: NDArray[np.bool_]
    leave_out: bool

    @property
    def years(self) -> int:
        """Number of years."""
        return int(self.v_x.shape[0])

    def flux(self, year: int) -> NDArray[np.float64]:
        """Return the flux of each node, shape (n,) [kg yr⁻¹]."""
        return self._known(year, self._through(year) * self.thickness[year])

    def thickness_effect(self, year: int) -> NDArray[np.float64]:
        """Return ``ρ (v·w) σ_H``: the flux of a thickness error of one σ, shape (n,)."""
        return self._known(year, self._through(year) * self.sigma_thickness[year])

    def velocity_effect(self, year: int) -> NDArray[np.float64]:
        """Return ``ρ H w_k σ_k``, the flux of a velocity error of one σ, shape (2, n)."""
        return self._known(year, self._sideways(year) * self.thickness[year])

    def product_effect(self, year: int) -> NDArray[np.float64]:
        """Return ``ρ σ_H w_k σ_k``, the flux of both errors together, shape (2, n)."""
        return self._known(year, self._sideways(year) * self.sigma_thickness[year])

    def _through(self, year: int) -> NDArray[np.float64]:
        speed = self.v_x[year] * self.w_x + self.v_y[year] * self.w_y
        return np.asarray(self.density * speed)

    def _sideways(self, year: int) -> NDArray[np.float64]:
        along_x, along_y = self.w_x * self.sigma_v_x[year], self.w_y * self.sigma_v_y[year]
        both = np.stack([along_x, along_y])
        both *= self.density
        return both

    def _known(self, year: int, effect: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.measured[year].all():
            return effect
        missing = 0.0 if self.leave_out else np.nan
        return np.where(self.measured[year], effect, missing)


def node_errors(
    thickness: ArrayLike,
    v_x: NDArray[np.float64],
    v_y: NDArray[np.float64],
    w_x: NDArray[np.float64],
    w_y: NDArray[np.float64],
    *,
    sigma_thickness: ArrayLike,
    sigma_v_x: ArrayLike,
    sigma_v_y: ArrayLike,
    region: NDArray[np.int64],
    patch: NDArray[np.int64],
    regions: int,
    density: float,
    velocity_map: ArrayLike | None = None,
    length: NDArray[np.float64] | None = None,
    leave_out: bool = False,
) -> NodeErrors:
    """Check what is known of the nodes of a gate and bring it to one shape.

    Parameters
    ----------
    thickness : array_like, shape (n,) or (year, n)
        Ice-equivalent thickness H, NaN where it is not measured [m].
    v_x, v_y : ndarray, shape (year, n)
        Velocity, NaN where it is not measured [m yr⁻¹].
    w_x, w_y : ndarray, shape (n,)
        True outward widths [m].
    sigma_thickness, sigma_v_x, sigma_v_y : array_like, broadcast to (year, n)
        Standard deviations where there is a value [m, m yr⁻¹].
    region : ndarray of int, shape (n,)
        Index of the region, 0 to ``regions`` − 1.
    patch : ndarray of int, shape (n,)
        Index of the patch within which errors are alike, ≥ 0.
    regions : int
        Number of regions.
    density : float
        ρ [kg m⁻³].
    velocity_map : array_like of int, broadcast to (year, n), optional
        The map each velocity was taken from, any numbers ≥ 0: where two years were filled from
        one map (a phase map of no date) the error is one. A map for each year if not given.
    length : ndarray, shape (n,), optional
        True length of the segment, which random errors need [m]; √(w_x² + w_y²) if not given.
    leave_out : bool
        Leave nodes that are not measured out, as a flux of only the measured ones does.

    Returns
    -------
    NodeErrors
        Views of what was given where shapes allow; nothing is copied per year.

    Raises
    ------
    UncertaintyError
        A σ that is negative, or not known where there is a value; an index out of range.
    """
    years, n = shape = np.shape(v_x)
    maps = np.arange(years)[:, None] if velocity_map is None else np.asarray(velocity_map)
    nodes = NodeErrors(
        thickness=_spread(thickness, shape, "thickness"),
        v_x=_spread(v_x, shape, "v_x"),
        v_y=_spread(v_y, shape, "v_y"),
        w_x=_spread(w_x, (n,), "w_x"),
        w_y=_spread(w_y, (n,), "w_y"),
        length=np.hypot(w_x, w_y) if length is None else _spread(length, (n,), "length"),
        region=_indices(region, (n,), "region", below=regions),
        patch=_indices(patch, (n,), "patch"),
        sigma_thickness=_spread(sigma_thickness, shape, "sigma_thickness"),
        sigma_v_x=_spread(sigma_v_x, shape, "sigma_v_x"),
        sigma_v_y=_spread(sigma_v_y, shape, "sigma_v_y"),
        velocity_map=_indices(maps, shape, "velocity_map"),
        density=density,
        regions=regions,
        measured=np.isfinite(thickness) & np.isfinite(v_x) & np.isfinite(v_y),
        leave_out=leave_out,
    )
    _check_sigmas(nodes)
    return nodes


def _spread(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    try:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), shape)
    except ValueError as error:
        msg = f"{name} has shape {np.shape(values)}, expected one that broadcasts to {shape}"
        raise UncertaintyError(msg) from error


def _indices(
    values: ArrayLike, shape: tuple[int, ...], name: str, *, below: int | None = None
) -> NDArray[np.int64]:
    found = np.asarray(values)
    least, most = found.min(initial=0), found.max(initial=0)
    if found.dtype.kind not in "iu" or least < 0 or (below is not None and most >= below):
        msg = (
            f"{name} holds {found.dtype} from {least} to {most}, expected indices from 0"
            f"{'' if below is None else f' to {below - 1}'}: leave out nodes that have none"
        )
        raise UncertaintyError(msg)
    try:
        return np.broadcast_to(found, shape)
    except ValueError as error:
        msg = f"{name} has shape {found.shape}, expected one that broadcasts to {shape}"
        raise UncertaintyError(msg) from error


def _check_sigmas(nodes: NodeErrors) -> None:
    given = {
        "sigma_thickness": (nodes.sigma_thickness, "m"),
        "sigma_v_x": (nodes.sigma_v_x, "m yr⁻¹"),
        "sigma_v_y": (nodes.sigma_v_y, "m yr⁻¹"),
    }
    for name, (sigma, unit) in given.items():
        bad = nodes.measured & ~(np.isfinite(sigma) & (sigma >= 0.0))
        if bad.any():
            year, node = (int(i) for i in np.argwhere(bad)[0])
            msg = (
                f"{name} is {sigma[year, node]} {unit} at year {year}, node {node} ({bad.sum()} "
                "such values) where thickness and velocity are known; expected finite values, "
                "zero or more: give a σ to every source of the data"
            )
            raise UncertaintyError(msg)


@dataclass(frozen=True, eq=False)
class PatchSums:
    """Effects of errors of one σ, summed over nodes of one year, region, patch and velocity map.

    Attributes
    ----------
    year, region, patch, velocity_map : ndarray of int64, shape (c,)
        What the nodes share; maps and patches are numbered from 0 without gaps.
    flux, thickness : ndarray, shape (c,)
        Σ of the flux, and of the effect of a thickness error [kg yr⁻¹].
    velocity, product : ndarray, shape (2, c)
        Σ of the effects of a velocity error along x and y, and of both errors [kg yr⁻¹].
    years, regions, patches, maps : int
        How many there are.
    """

    year: NDArray[np.int64]
    region: NDArray[np.int64]
    patch: NDArray[np.int64]
    velocity_map: NDArray[np.int64]
    flux: NDArray[np.float64]
    thickness: NDArray[np.float64]
    velocity: NDArray[np.float64]
    product: NDArray[np.float64]
    years: int
    regions: int
    patches: int
    maps: int

    @property
    def column(self) -> NDArray[np.int64]:
        """Return the place of each sum among years × regions, region fastest."""
        return self.year * self.regions + self.region

    def region_flux(self) -> NDArray[np.float64]:
        """Return the flux without errors, shape (year, region) [kg yr⁻¹]."""
        size = self.years * self.regions
        sums = np.bincount(self.column, self.flux, minlength=size)
        return np.asarray(sums, dtype=np.float64).reshape(self.years, self.regions)


def patch_sums(nodes: NodeErrors) -> PatchSums:
    """Sum the effects of errors over the nodes of each patch, a year at a time.

    Parameters
    ----------
    nodes : NodeErrors
        Nodes, from :func:`node_errors`.

    Returns
    -------
    PatchSums
        About as many sums as years × patches, whatever the number of nodes.
    """
    patch_ids, patch = np.unique(nodes.patch, return_inverse=True)
    cells, cell = np.unique(nodes.region * len(patch_ids) + patch, return_inverse=True)
    map_ids = np.unique(np.concatenate([maps_of_year(nodes, t) for t in range(nodes.years)]))
    parts = [_sums_of_year(nodes, year, cell, len(cells), map_ids) for year in range(nodes.years)]
    key = np.concatenate([key for key, _ in parts])
    sums = np.concatenate([sums for _, sums in parts], axis=1)
    counts = [len(key) for key, _ in parts]
    return PatchSums(
        year=np.repeat(np.arange(nodes.years), counts),
        region=cells[key % len(cells)] // len(patch_ids),
        patch=cells[key % len(cells)] % len(patch_ids),
        velocity_map=key // len(cells),
        flux=sums[0],
        thickness=sums[1],
        velocity=sums[2:4],
        product=sums[4:6],
        years=nodes.years,
        regions=nodes.regions,
        patches=len(patch_ids),
        maps=len(map_ids),
    )


def maps_of_year(nodes: NodeErrors, year: int) -> NDArray[np.int64]:
    """Return the velocity maps that a year was taken from, ascending."""
    maps = nodes.velocity_map[year]
    repeated = maps.strides[0] == 0
    return np.unique(maps[:1] if repeated else maps)


def _sums_of_year(
    nodes: NodeErrors,
    year: int,
    cell: NDArray[np.int64],
    cells: int,
    map_ids: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return map × cells + cell of every sum of a year, and the six sums, shape (6, c)."""
    local = maps_of_year(nodes, year)
    several = len(local) > 1
    place = np.searchsorted(local, nodes.velocity_map[year]) * cells + cell if several else cell
    size = len(local) * cells
    effects = (
        nodes.flux(year),
        nodes.thickness_effect(year),
        *nodes.velocity_effect(year),
        *nodes.product_effect(year),
    )
    # Neighbours in memory are mostly of one patch: sum the runs, then the few sums of runs.
    runs = np.flatnonzero(np.diff(place, prepend=-1))
    used = np.flatnonzero(np.bincount(place[runs], minlength=size))
    sums = [
        np.bincount(place[runs], np.add.reduceat(effect, runs), minlength=size)[used]
        for effect in effects
    ]
    key = np.searchsorted(map_ids, local)[used // cells] * cells + used % cells
    return key, np.asarray(sums, dtype=np.float64)
