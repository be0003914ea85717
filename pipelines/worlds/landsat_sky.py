"""The light that reaches Landsat: sun on slopes, shadows, air, haze and clouds, band by band."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels import geodesy
from pipelines.worlds import landsat_clouds, landsat_quality, landsat_sun
from pipelines.worlds.landsat_clouds import EDGE_DEPTH, Layer
from pipelines.worlds.landsat_granules import View
from pipelines.worlds.place_noise import lattice_noise
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    from pipelines.worlds.shelf_surface import Surface

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]
UINT16 = NDArray[np.uint16]

SEA, ROCK, POND = 0, 5, 7
"""Kinds of surface that are not snow or ice."""

PATH = {"blue": 0.030, "green": 0.016, "red": 0.009, "nir08": 0.004, "swir16": 5e-4, "swir22": 2e-4}
"""Light that the air sends to the satellite: 1 − exp(−c / sin e), after molecular scattering."""
CLARITY = {
    "blue": 0.88, "green": 0.91, "red": 0.94, "nir08": 0.96, "swir16": 0.96, "swir22": 0.95,
}  # fmt: skip
"""Part of the light that comes through the air both ways [1]."""
SCATTERED = {
    "blue": 0.20, "green": 0.11, "red": 0.07, "nir08": 0.035, "swir16": 0.010, "swir22": 0.006,
}  # fmt: skip
"""Depth of the air that turns direct light into light of the sky: exp(−c / sin e) stays direct."""
HAZE = {"blue": 1.0, "green": 0.8, "red": 0.65, "nir08": 0.45, "swir16": 0.15, "swir22": 0.08}
"""Strength of haze by band [1]."""
HAZE_LIGHT, HAZE_LOSS = 0.10, 0.15
"""What haze of strength 1 adds, and what it takes from the light of the ground [1]."""
RELIEF_PX = 0.6
"""Relief is smoothed by this before it is lit: slits of one pixel have no slopes [pixels]."""
BILLOWS_M = 260.0
"""Height of a cloud's top over one standard deviation of its field [m]."""
CIRRUS_SEEN = 0.08
"""Optical depth of cirrus that the 1.38 μm band shows [1]."""


@dataclass(frozen=True)
class Sunlight:
    """The sun over a grid during a pass.

    Attributes
    ----------
    elevation : ndarray of float32, shape (ny, nx)
        [degrees].
    middle : float
        Elevation in the middle of the grid [degrees].
    direction : tuple of float
        Unit vector to the sun there, along x and y [1].
    """

    elevation: FLOAT32
    middle: float
    direction: tuple[float, float]


def sunlight(grid: PixelGrid, moment: datetime) -> Sunlight:
    """Return the sun over a grid: linear between its corners, which errs by less than 0.01°."""
    west, south, east, north = grid.bounds
    places = [(west, north), (east, north), (west, south), (east, south)]
    corners = [_sun_over(moment, *each)[0] for each in places]
    elevation, azimuth, longitude = _sun_over(moment, (west + east) / 2.0, (south + north) / 2.0)
    across = ((grid.x - west) / (east - west)).astype(np.float32)[None, :]
    down = ((north - grid.y) / (north - south)).astype(np.float32)[:, None]
    top = corners[0] + across * (corners[1] - corners[0])
    bottom = corners[2] + across * (corners[3] - corners[2])
    whole = np.asarray(top + down * (bottom - top), dtype=np.float32)
    return Sunlight(whole, elevation, landsat_sun.towards(azimuth, longitude))


def _sun_over(moment: datetime, x: float, y: float) -> tuple[float, float, float]:
    """Return elevation and azimuth of the sun and the longitude of a place [degrees]."""
    latitude, longitude = geodesy.inverse_polar_stereographic(np.asarray(x), np.asarray(y))
    return *landsat_sun.sun_position(moment, float(latitude), float(longitude)), float(longitude)


class Sky:
    """Light and clouds over a surface during one pass.

    What all bands share is made once; :meth:`light` makes one band, so only one is in memory.

    Parameters
    ----------
    surface : Surface
        What lies below.
    view : View
        Weather and pass; its row does not matter.

    Attributes
    ----------
    sun : Sunlight
        Over the grid.
    cloud, shadow : ndarray of bool, shape (ny, nx)
        Truth.
    """

    def __init__(self, surface: Surface, view: View) -> None:
        self._surface, self._view = surface, view
        grid = surface.grid
        self.sun = sunlight(grid, view.swath.moment)
        height = ndimage.gaussian_filter(
            np.asarray(surface.height, dtype=np.float32), RELIEF_PX, truncate=3.0
        )
        low, where = self.sun.middle, self.sun.direction
        lit = landsat_sun.lambert(height, spacing=grid.spacing, sun=where, elevation=low)
        lit *= 1.0 - landsat_sun.cast_shadow(height, spacing=grid.spacing, sun=where, elevation=low)
        self._layers = landsat_clouds.sky(view.cloudiness, seed=view.seed)
        self._fields = [layer.field(grid.x, grid.y) for layer in self._layers]
        self._depths = [
            layer.depth(field) for layer, field in zip(self._layers, self._fields, strict=True)
        ]
        self._shade(lit)
        self._haze = self._haze_field()
        self._billows = self._lit_billows()
        self.cloud = self._thicker(self._depths)

    def _shade(self, lit: FLOAT32) -> None:
        """Split the sun's light on the ground into direct light and what clouds scatter on."""
        grid = self._surface.grid
        depth = np.zeros(grid.shape, dtype=np.float32)
        for layer in self._layers:
            depth += layer.shade(grid.x, grid.y, sun=self.sun.direction, elevation=self.sun.middle)
        through = np.exp(-depth)
        self._direct = lit * through
        self._spread = 1.0 - landsat_clouds.reflected(depth) - through
        self._shadowed = depth > EDGE_DEPTH

    @property
    def shadow(self) -> BOOL:
        """Shadow of clouds on ground that no cloud covers, shape (ny, nx)."""
        return self._shadowed & ~self.cloud

    def light(self, band: str) -> FLOAT32:
        """Return reflectance × sin e above the air.

        With the ground's reflectance ρ, the direct part D of the light on it, slopes and shadows
        L, clouds of reflectance R and transmission T, and the air's path light A and clarity C::

            S = ρ (D L + 1 − D)
            light = sin e (A + C (R + T S / (1 − ρ R)))

        Parameters
        ----------
        band : str
            Common name.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            [1].
        """
        sine = np.sin(np.radians(self.sun.elevation))
        direct = math.exp(-SCATTERED[band] / math.sin(math.radians(self.sun.middle)))
        ground = np.asarray(self._surface.reflectance[band], dtype=np.float32)
        lit = np.float32(direct) * (self._direct + self._spread) + np.float32(1.0 - direct)
        light = ground * lit
        for layer, depth in zip(self._layers, self._depths, strict=True):
            light = self._through(light, ground, layer, depth, band)
        loss = np.float32(HAZE_LOSS * HAZE[band]) * self._haze
        light *= (1.0 - loss) * np.float32(CLARITY[band])
        light += np.float32(HAZE_LIGHT * HAZE[band]) * self._haze
        light += 1.0 - np.exp(np.float32(-PATH[band]) / sine)
        return np.asarray(light * sine, dtype=np.float32)

    def _through(
        self, below: FLOAT32, ground: FLOAT32, layer: Layer, depth: FLOAT32, band: str
    ) -> FLOAT32:
        """Return the light above a deck of clouds, which takes, adds and throws back some."""
        kept = np.float32((landsat_clouds.ICE if layer.ice else landsat_clouds.WATER)[band])
        back = landsat_clouds.reflected(depth)
        absorbed = np.exp(-depth * (np.float32(1.0) - kept))
        thrown = below * (1.0 - back) * absorbed / (1.0 - ground * back * kept)
        shading = self._billows if layer is self._layers[0] else np.float32(1.0)
        return np.asarray(thrown + kept * back * shading, dtype=np.float32)

    def _lit_billows(self) -> FLOAT32:
        """Return how the sun lights the tops of the lower clouds, 0.6 to 1.25."""
        if not self._layers:
            return np.ones(self._surface.grid.shape, dtype=np.float32)
        top = np.float32(BILLOWS_M) * np.maximum(self._fields[0], self._layers[0].threshold)
        lit = landsat_sun.lambert(
            top.astype(np.float32), spacing=self._surface.grid.spacing, sun=self.sun.direction,
            elevation=max(self.sun.middle, 20.0),
        )  # fmt: skip
        return np.clip(lit, 0.6, 1.25)

    def _haze_field(self) -> FLOAT32:
        """Return the strength of haze, shape (ny, nx) [1]."""
        grid, view = self._surface.grid, self._view
        waves = lattice_noise(grid.x, grid.y, length=15e3, seed=view.seed * 13 + 9)
        return np.asarray(np.float32(view.haze) * np.clip(1.0 + 0.4 * waves, 0.0, None))

    @staticmethod
    def _thicker(depths: list[FLOAT32]) -> BOOL:
        return np.asarray(sum(depths) > EDGE_DEPTH)

    def quality(self, fill: BOOL) -> UINT16:
        """Return QA_PIXEL with CFMask's errors, see :mod:`pipelines.worlds.landsat_quality`.

        Parameters
        ----------
        fill : ndarray of bool, shape (ny, nx)
            Where the granule has no pixel.
        """
        grid, view = self._surface.grid, self._view
        place = {"x": grid.x, "y": grid.y}
        rank = np.zeros(grid.shape, dtype=np.float32)
        if self._layers:
            low = self._depths[0] > EDGE_DEPTH
            rank[low] = landsat_clouds.thickness_rank(self._fields[0][low], self._layers[0])
        called = landsat_quality.called_cloud(
            self.cloud, rank, **place, cloudiness=view.cloudiness, seed=view.seed
        )
        cirrus = np.zeros(grid.shape, dtype=np.bool_)
        for depth in self._depths[1:]:
            cirrus |= depth > CIRRUS_SEEN
        kind = np.asarray(self._surface.kind)
        water = (kind == SEA) | (kind == POND)
        return landsat_quality.qa_pixel(
            snow=~water & (kind != ROCK), water=water, cloud=called,
            shadow=landsat_quality.called_shadow(self.shadow, **place, seed=view.seed),
            cirrus=cirrus, fill=fill, oli=view.platform != "landsat-7",
        )  # fmt: skip
