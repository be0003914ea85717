"""Mass that leaves the ice sheet through gates: Yang et al. (2023), equation 1.

A gate is a line of nodes drawn clockwise around the ice (y up), so that "outward" lies to the left
of the direction of travel. Widths are true: a width on the map is divided by the scale factor
``map_over_true``, k of EPSG:3031, which is 1.0205 at 65° S (:func:`geodesy.map_scale`, pyproj's
``meridional_scale``). Some codes call the inverse, 0.9799, by the same name.
"""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]


class GateError(ValueError):
    """A gate, or regions beside it, through which no flux can be computed."""


def outward_widths(x: FLOAT, y: FLOAT, *, map_over_true: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the outward components of the true length of each segment of a clockwise line.

    ::

        w_i = (−Δy_i, +Δx_i) / k_i

    Parameters
    ----------
    x, y : ndarray, shape (m,)
        Nodes in EPSG:3031, in order; a closed gate repeats its first [m].
    map_over_true : ndarray, shape (m − 1,)
        Scale factor k at the middle of each segment, map length over true length [1].

    Returns
    -------
    w_x, w_y : ndarray, shape (m − 1,)
        Outward widths [m].

    Raises
    ------
    GateError
        If there are fewer than two nodes, shapes differ, or k is not positive.

    Examples
    --------
    A kilometre drawn towards +x has its outside in +y:

    >>> w_x, w_y = outward_widths(
    ...     np.array([0.0, 1000.0]), np.zeros(2), map_over_true=np.array([1.0205])
    ... )
    >>> float(w_y[0].round(1))
    979.9
    """
    _require_line(x, y, map_over_true)
    return -np.diff(y) / map_over_true, np.diff(x) / map_over_true


def _require_line(x: FLOAT, y: FLOAT, map_over_true: FLOAT) -> None:
    if np.ndim(x) != 1 or np.shape(x) != np.shape(y):
        msg = f"found x {np.shape(x)} and y {np.shape(y)}, expected two equal shapes (nodes,)"
        raise GateError(msg)
    if len(x) < 2:
        msg = f"the gate has {len(x)} node, expected two at least; give it a second or leave it out"
        raise GateError(msg)
    if np.shape(map_over_true) != (len(x) - 1,):
        msg = (
            f"found map_over_true {np.shape(map_over_true)}, expected {(len(x) - 1,)}: one value "
            "at the middle of each segment"
        )
        raise GateError(msg)
    if np.any(map_over_true <= 0.0):
        worst = float(np.min(map_over_true))
        msg = f"found a scale factor of {worst:.4g}, expected one near 1; see geodesy.map_scale"
        raise GateError(msg)


def signed_area(x: FLOAT, y: FLOAT) -> float:
    """Return the area inside a ring on the map, negative where it runs clockwise.

    Parameters
    ----------
    x, y : ndarray, shape (m,)
        Nodes of a closed ring, the first repeated [m].

    Returns
    -------
    float
        Signed area [m²]. Coordinates are taken from the first node, so that a small ring far from
        the pole keeps its digits.

    Examples
    --------
    >>> signed_area(np.array([0.0, 0.0, 2.0, 2.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.0]))
    -2.0
    """
    u, v = x - x[0], y - y[0]
    return float(0.5 * np.sum(u[:-1] * v[1:] - u[1:] * v[:-1]))


def segment_flux(
    thickness: FLOAT, v_x: FLOAT, v_y: FLOAT, w_x: FLOAT, w_y: FLOAT, *, density: float
) -> FLOAT:
    """Mass leaving through each gate segment in a year.

    Yang et al. (2023), equation 1, before summation::

        F_i = H_i (v_x,i w_x,i + v_y,i w_y,i) ρ

    Parameters
    ----------
    thickness : ndarray, shape (..., n)
        Ice-equivalent thickness H [m].
    v_x, v_y : ndarray, shape (..., n)
        Ice velocity along the axes of EPSG:3031 [m yr⁻¹].
    w_x, w_y : ndarray, shape (n,)
        Outward widths [m], see :func:`outward_widths`.
    density : float
        Ice density ρ [kg m⁻³].

    Returns
    -------
    ndarray, shape (..., n)
        Flux [kg yr⁻¹], positive outward; NaN where any input is NaN.
    """
    return thickness * (v_x * w_x + v_y * w_y) * density


def region_sums(flux: FLOAT, region: NDArray[np.integer], n_regions: int) -> FLOAT:
    """Sum what passes segments over the regions they belong to, by one sparse matrix.

    ::

        IF_r = Σ_{i: region_i = r} F_i

    Parameters
    ----------
    flux : ndarray, shape (..., n)
        A quantity of each segment, such as flux [kg yr⁻¹] or length [m].
    region : ndarray of int, shape (n,)
        Region of each segment, 0 to ``n_regions − 1``; −1 belongs to none and is left out.
    n_regions : int
        Number of regions.

    Returns
    -------
    ndarray, shape (..., n_regions)
        Sums; NaN where any segment of the region is NaN, 0 where it has none.

    Raises
    ------
    GateError
        If the shapes differ or a region lies outside −1 to ``n_regions − 1``.
    """
    n = np.shape(flux)[-1]
    if np.shape(region) != (n,):
        msg = f"found region {np.shape(region)}, expected {(n,)}: one index for each segment"
        raise GateError(msg)
    if n and (np.min(region) < -1 or np.max(region) >= n_regions):
        msg = (
            f"regions run from {np.min(region)} to {np.max(region)}, expected −1 (none) to "
            f"{n_regions - 1}"
        )
        raise GateError(msg)
    inside = np.flatnonzero(np.asarray(region) >= 0)
    members = scipy.sparse.csr_array(
        (np.ones(inside.size), (np.asarray(region)[inside], inside)), shape=(n_regions, n)
    )
    leading = np.shape(flux)[:-1]
    sums = members @ np.reshape(flux, (int(np.prod(leading)), n)).T
    return np.asarray(sums.T).reshape(*leading, n_regions)
