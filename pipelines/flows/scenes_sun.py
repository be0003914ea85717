"""The sun over a granule: one elevation for the scene, or a surface of its own.

Two rows of one pass hold the same numbers where they overlap, and each names the sun of its own
centre: with one elevation for each, their reflectances differ by a tenth under a low sun, and a
seam shows. So each pixel has its own sun by default: from the band of solar zenith angles where a
granule has one, else from the time and place of the pixel (record 0026).
"""

from __future__ import annotations

import functools
import math
from typing import Literal

import numpy as np
import pyproj
from numpy.typing import NDArray

from pipelines.kernels.imagery import sun_surface
from pipelines.kernels.imagery.sun import sun_position
from pipelines.kernels.imagery.sun_surface import SunSurface
from stac import grids, landsat_stack
from stac.landsat_calibration import calibration
from stac.landsat_items import Granule
from stac.pixel_grids import PixelGrid

FLOAT = NDArray[np.float64]
FARTHEST_DEGREES = 3.0
"""What the sun over a ROI may differ from that of a scene's centre, 130 km away at most [°]."""
SPACING_CELLS = 10
"""Cells of the screening grid between points at which the sun is asked: 3 km of 300 m cells."""


@functools.lru_cache(maxsize=64)
def sun_of(
    granule: Granule, screen: PixelGrid, sun: Literal["scene", "pixel"]
) -> SunSurface | float | None:
    """Return the sun's elevation over a ROI.

    Parameters
    ----------
    granule : Granule
        Whose numbers are to become reflectance.
    screen : PixelGrid
        Screening grid of the ROI.
    sun : {"scene", "pixel"}
        One for the scene, that of its centre; or one for each pixel.

    Returns
    -------
    SunSurface, float or None
        A surface, the elevation of the centre [degrees], or None for level 2, which needs none.
    """
    centre = calibration(granule).sun_elevation
    if centre is None or sun == "scene":
        return centre
    step = max(1, min(SPACING_CELLS, screen.nx // 8, screen.ny // 8))
    x, y = (a.ravel() for a in np.meshgrid(screen.x[::step], screen.y[::step]))
    measured = _measured(granule, screen)[::step, ::step].ravel()
    seen = np.isfinite(measured)
    if np.count_nonzero(seen) >= 4 * sun_surface.LEAST_POINTS:
        return sun_surface.fit(x[seen], y[seen], measured[seen])
    moment = calibration(granule).moment or granule.moment
    computed = _computed(x, y, moment.timestamp(), code=screen.code)
    # A day without a time, or the wrong place: then the file's own number is all there is.
    if abs(float(np.median(computed)) - centre) > FARTHEST_DEGREES:
        return centre
    return sun_surface.fit(x, y, computed)


def _measured(granule: Granule, screen: PixelGrid) -> FLOAT:
    """Return elevations from the band of solar zenith angles; NaN where there are none [degrees].

    The band holds hundredths of a degree from the zenith (LSDS-1834), and 0 for none.
    """
    if "sza" not in granule.assets:
        return np.full(screen.shape, math.nan)
    numbers = landsat_stack.read(granule, band="sza", grid=screen).astype(np.float64)
    return np.where(numbers == 0.0, math.nan, 90.0 - numbers / 100.0)


def _computed(x: FLOAT, y: FLOAT, time: float, *, code: str) -> FLOAT:
    """Return elevations at places of the map and one instant [degrees]."""
    to_geographic = pyproj.Transformer.from_crs(code, grids.GEOGRAPHIC, always_xy=True)
    longitude, latitude = to_geographic.transform(x, y)
    return sun_position(np.full(x.shape, time), np.asarray(longitude), np.asarray(latitude))[0]
