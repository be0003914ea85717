"""The sun's elevation over a scene as a smooth surface.

A scene is 180 km across, and the sun's elevation changes by one to two degrees over it: with the
sun at 10°, one elevation for all leaves a ramp of a sixth in brightness, and a step of a tenth
where two granules of one pass meet, each with the sun of its own centre. The elevation itself is so
smooth that a quadratic form over a scene holds it to a few thousandths of a degree.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT = NDArray[np.float64]

SCALE_M = 100_000.0
"""Length by which coordinates are divided before they are squared [m]."""
LEAST_POINTS = 12
TERMS = 6


class SunSurfaceError(ValueError):
    """Points that do not make a surface."""


@dataclass(frozen=True)
class SunSurface:
    """A quadratic form of place on the map.

    ::

        θ = c₀ + c₁ u + c₂ v + c₃ u² + c₄ u v + c₅ v²,    u = (x − x₀)/s, v = (y − y₀)/s

    Attributes
    ----------
    coefficients : tuple of 6 floats
        c₀ to c₅ [degrees].
    x0, y0 : float
        Its origin [m].
    """

    coefficients: tuple[float, ...]
    x0: float
    y0: float

    def at(self, x: FLOAT, y: FLOAT) -> NDArray[np.float32]:
        """Return elevations on a grid of columns x (nx,) and rows y (ny,), shape (ny, nx) [°]."""
        u, v = (x - self.x0) / SCALE_M, (y - self.y0) / SCALE_M
        c = self.coefficients
        along_x = (c[0] + c[1] * u + c[3] * u**2).astype(np.float32)
        along_y = (c[2] * v + c[5] * v**2).astype(np.float32)
        cross = np.outer(c[4] * v, u).astype(np.float32)
        cross += along_x
        cross += along_y[:, None]
        return np.asarray(cross)


def fit(x: FLOAT, y: FLOAT, elevation: FLOAT) -> SunSurface:
    """Return the surface that fits elevations at points by least squares.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Places on the map [m].
    elevation : ndarray, shape (n,)
        Of the sun [degrees]; all finite.

    Raises
    ------
    SunSurfaceError
        Fewer than 12 points, or values that are not finite.
    """
    if x.size < LEAST_POINTS or not np.isfinite(elevation).all():
        msg = (
            f"found {x.size} elevations of the sun, {int(np.isfinite(elevation).sum())} of them "
            f"finite, expected {LEAST_POINTS} finite ones at least"
        )
        raise SunSurfaceError(msg)
    x0, y0 = float(x.mean()), float(y.mean())
    u, v = (x - x0) / SCALE_M, (y - y0) / SCALE_M
    terms = np.stack([np.ones_like(u), u, v, u**2, u * v, v**2], axis=-1)
    found, *_ = np.linalg.lstsq(terms, elevation, rcond=None)
    return SunSurface(tuple(float(value) for value in found), x0, y0)
