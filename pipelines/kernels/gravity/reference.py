"""Stokes coefficients belong to a GM and a radius; fields are compared on one pair."""

import numpy as np
from numpy.typing import NDArray


def on_reference(
    coefficients: NDArray[np.float64], *, gm: float, radius: float, to_gm: float, to_radius: float
) -> NDArray[np.float64]:
    """Return coefficients as they are on another gravitational constant and reference radius.

    The potential does not change, so (Wahr et al., 1998, equation 1; Barthelmes, 2013)::

        C′_jm = C_jm (GM / GM′) (R / R′)^j

    Parameters
    ----------
    coefficients : ndarray, shape (..., 2, J + 1, J + 1)
        Stokes coefficients on ``gm`` and ``radius`` [1].
    gm, to_gm : float
        Gravitational constant times mass, given and wanted [m³ s⁻²].
    radius, to_radius : float
        Reference radius R, given and wanted [m].

    Returns
    -------
    ndarray, shape (..., 2, J + 1, J + 1)
        Stokes coefficients on ``to_gm`` and ``to_radius`` [1].

    Raises
    ------
    ValueError
        A constant that is not positive.

    Examples
    --------
    >>> field = np.ones((2, 3, 3))
    >>> on_reference(field, gm=1.0, radius=2.0, to_gm=1.0, to_radius=1.0)[0, :, 0]
    array([1., 2., 4.])
    """
    if min(gm, radius, to_gm, to_radius) <= 0.0:
        msg = (
            f"found GM {gm:g} and {to_gm:g} m³ s⁻², radius {radius:g} and {to_radius:g} m; "
            "all must be positive; check the header of the field"
        )
        raise ValueError(msg)
    degree = np.arange(coefficients.shape[-1])
    factor = (gm / to_gm) * (radius / to_radius) ** degree
    return np.asarray(coefficients * factor[:, None])
