"""Localisation: a smooth mask around the ice, and its exact product with a field.

Gravity sees the whole Earth. Sasgen et al. (2019, 2.1) multiply each field by a mask that is 1
within 200 km of grounded ice and 0 beyond 300 km. The product of an expansion to degree J and one
to degree J′ is an expansion to J + J′ (Martinec, 1989), computed without error by multiplying on a
Gauss-Legendre grid that is fine enough for the *product*. On a grid fine enough only for the
factors, degrees above fold back: nearly half of the product is wrong at degree 90 on 91 rows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.geodesy import unit_vectors
from pipelines.kernels.gravity import harmonics

FLOAT = NDArray[np.float64]


class LocalisationError(ValueError):
    """A mask that cannot be built as asked."""


def buffer_mask(distance_km: FLOAT, *, inner_km: float, outer_km: float) -> FLOAT:
    """Return the mask at a distance from grounded ice (Sasgen et al., 2019, section 2.1).

    Parameters
    ----------
    distance_km : ndarray, shape (...)
        Distance to the ice, zero on it [km].
    inner_km, outer_km : float
        1 up to the inner distance, 0 from the outer one on, linear between [km].

    Returns
    -------
    ndarray, shape (...)
        Mask [1].

    Raises
    ------
    LocalisationError
        Distances out of order, negative or not a number.

    Examples
    --------
    >>> buffer_mask(np.array([0.0, 250.0, 400.0]), inner_km=200.0, outer_km=300.0)
    array([1. , 0.5, 0. ])
    """
    if not 0.0 <= inner_km < outer_km:
        msg = (
            f"found inner {inner_km:g} km and outer {outer_km:g} km, expected 0 ≤ inner < outer; "
            "the mask falls from 1 to 0 between them"
        )
        raise LocalisationError(msg)
    if not (np.asarray(distance_km) >= 0.0).all():
        msg = "some distances to the ice are negative or NaN; measure every node of the grid"
        raise LocalisationError(msg)
    return np.clip((outer_km - distance_km) / (outer_km - inner_km), 0.0, 1.0)


def distance_to_points(
    latitude: FLOAT, longitude: FLOAT, to_latitude: FLOAT, to_longitude: FLOAT
) -> FLOAT:
    """Return the distance of each place to the nearest of a set of points.

    Parameters
    ----------
    latitude, longitude : ndarray, shape (p,)
        Places on the sphere [degrees].
    to_latitude, to_longitude : ndarray, shape (q,)
        Points, for instance a densified grounding line [degrees].

    Returns
    -------
    ndarray, shape (p,)
        Great-circle distance on the mean sphere [km]; at the pole the ellipsoid is 0.4 % smaller.

    Raises
    ------
    LocalisationError
        No points to measure to.
    """
    if to_latitude.size == 0:
        msg = "there is no point to measure distances to; give at least one"
        raise LocalisationError(msg)
    tree = cKDTree(unit_vectors(to_latitude, to_longitude))
    chord, _ = tree.query(unit_vectors(latitude, longitude))
    return np.asarray(2.0e-3 * MEAN_RADIUS * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0)))


def product_nodes(j_field: int, j_mask: int, j_out: int) -> int:
    """Return how many Gauss-Legendre rows make the expansion of a product exact.

    The integrand field · mask · P_jm is a polynomial of degree j_field + j_mask + j_out at most,
    and n rows integrate degree 2n − 1.

    Parameters
    ----------
    j_field, j_mask, j_out : int
        Degrees of the factors and of the result.

    Returns
    -------
    int
        Rows n.

    Examples
    --------
    >>> product_nodes(90, 90, 180)
    181
    """
    return max((j_field + j_mask + j_out + 2) // 2, j_out + 1)


def localise(coefficients: FLOAT, mask: FLOAT, *, j_max: int) -> FLOAT:
    """Return the expansion of field × mask, exact to its last degree.

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        Fields.
    mask : ndarray, shape (2, J′ + 1, J′ + 1)
        Expansion of the mask [1].
    j_max : int
        Highest degree of the result; J + J′ loses nothing.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
        Expansions of the products, in the unit of the fields.

    Raises
    ------
    LocalisationError
        A mask with leading axes: one mask serves all fields.
    """
    if mask.ndim != 3:
        msg = (
            f"found a mask of shape {mask.shape}, expected (2, J′ + 1, J′ + 1): one for all fields"
        )
        raise LocalisationError(msg)
    j_field, j_mask = coefficients.shape[-1] - 1, mask.shape[-1] - 1
    grid = _product_grid(j_field, j_mask, j_max)
    on_grid = harmonics.synthesise_on(coefficients, grid)
    on_grid *= harmonics.synthesise_on(mask, grid)
    return harmonics.analyse(on_grid, grid, j_max=j_max)


def localise_adjoint(kernel: FLOAT, mask: FLOAT, *, j_max: int) -> FLOAT:
    """Return the kernel that weighs a field as ``kernel`` weighs the masked field.

    The transpose of :func:`localise` in the plain product over part, degree and order::

        Σ kernel · localise(x) = Σ localise_adjoint(kernel) · x

    Multiplying by a mask is symmetric, and 4π-normalised harmonics are orthogonal with equal norm,
    so the transpose is the same product with the degrees exchanged.

    Parameters
    ----------
    kernel : ndarray, shape (..., 2, K + 1, K + 1)
        What a unit coefficient of the masked field weighs.
    mask : ndarray, shape (2, J′ + 1, J′ + 1)
        Expansion of the mask [1].
    j_max : int
        Highest degree of the fields that the result is applied to.

    Returns
    -------
    ndarray, shape (..., 2, j_max + 1, j_max + 1)
        Kernels for unmasked fields.
    """
    return localise(kernel, mask, j_max=j_max)


def _product_grid(j_field: int, j_mask: int, j_out: int) -> harmonics.GaussGrid:
    rows = product_nodes(j_field, j_mask, j_out)
    columns = j_field + j_mask + j_out + 1
    return harmonics.gauss_legendre(rows, n_lon=max(columns, 2 * j_out + 1))
