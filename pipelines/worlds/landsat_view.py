"""What Landsat sees of a surface on one day: counts with gaps and noise, quality bits, truth.

Everything but the shadows of the relief is a function of place and pass. So two rows of one pass
have the same pixels where they overlap, and a window of a scene has the pixels of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.worlds import landsat_sensors, landsat_stripes
from pipelines.worlds.landsat_granules import View, view
from pipelines.worlds.landsat_passes import HALF_SWATH_M
from pipelines.worlds.landsat_sensors import BANDS, Counts
from pipelines.worlds.landsat_sky import Sky
from pipelines.worlds.landsat_sun import earth_sun_distance
from pipelines.worlds.place_noise import hashed_gaussian
from stac.pixel_grids import PixelGrid

if TYPE_CHECKING:
    from pipelines.worlds.shelf_surface import Surface

__all__ = ["Seen", "View", "at_sensor", "see", "view"]

FLOAT = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]

RAGGED_PX = {
    "blue": 0, "green": 3, "red": 6, "nir08": -3, "swir16": -6, "swir22": -9,
}  # fmt: skip
"""How far the edges of a band lie from those of another [pixels]."""
STAGGER_PX = 8
"""Half the distance between odd and even sensor modules, or sweeps there and back [pixels]."""
MODULES = 14
"""Sensor modules of OLI side by side."""
PIXEL_M = landsat_stripes.PIXEL_M


@dataclass(frozen=True)
class Seen:
    """What a granule's files hold, and the truth about it; arrays of shape (ny, nx).

    Attributes
    ----------
    dn : mapping of band to ndarray
        Counts, uint8 or uint16; 0 is none.
    qa_pixel, qa_radsat : ndarray of uint16
        Quality bits, as the archive gives them: with errors.
    sza : ndarray of int16
        Zenith angle of the sun [0.01 degrees]; 0 is none.
    cloud, shadow : ndarray of bool
        Truth: cloud of a depth of 0.3 or more, shadow of one on uncovered ground; also where the
        granule has no pixel.
    gap : ndarray of bool
        Truth: inside the granule, but missed by a band since the scan line corrector failed.
    """

    dn: Mapping[str, Counts]
    qa_pixel: NDArray[np.uint16]
    qa_radsat: NDArray[np.uint16]
    sza: NDArray[np.int16]
    cloud: BOOL
    shadow: BOOL
    gap: BOOL


def see(surface: Surface, view: View) -> Seen:
    """Return the pixels of a granule over a surface, and the truth about its clouds and gaps.

    Parameters
    ----------
    surface : Surface
        What lies there on that day; its grid is that of the files.
    view : View
        The granule.
    """
    grid, sky = surface.grid, Sky(surface, view)
    across, along = view.swath.frame(grid.x[None, :], grid.y[:, None])
    detector = _detector(view, across, along)
    edge = _stagger(view, across, detector)
    lost, gap = (np.zeros(grid.shape, dtype=np.bool_) for _ in range(2))
    radsat = np.zeros(grid.shape, dtype=np.uint16)
    dn = {}
    for band in BANDS:
        missed, outside = (
            _missed(view, across, along, band),
            ~_inside(view, across, along, edge, band),
        )
        counts = _counts(sky.light(band), grid, view, band, detector)
        counts[missed | outside] = 0
        full = counts == landsat_sensors.full_scale(view.platform)
        radsat |= full * np.uint16(1 << (landsat_sensors.BAND_NUMBERS[view.platform][band] - 1))
        dn[band], gap, lost = counts, gap | missed, lost | outside
    gap &= ~lost
    zenith = np.rint((90.0 - sky.sun.elevation) * 100.0).astype(np.int16)
    zenith[lost] = 0
    return Seen(dn, sky.quality(lost | gap), radsat, zenith, sky.cloud, sky.shadow, gap)


def at_sensor(surface: Surface, view: View) -> dict[str, FLOAT32]:
    """Return reflectance × sin e above the air, without blur, noise and gaps, of each band."""
    sky = Sky(surface, view)
    return {band: sky.light(band) for band in BANDS}


def _stagger(view: View, across: FLOAT, detector: NDArray[np.int64]) -> FLOAT:
    """Return how far the edges are displaced, by the sweep there or back, or the module [m]."""
    if view.platform == "landsat-7":
        odd = detector >= landsat_stripes.DETECTORS
    else:
        odd = np.floor((across / HALF_SWATH_M + 1.0) * MODULES / 2.0) % 2 == 1
    return np.where(odd, -1.0, 1.0) * STAGGER_PX * PIXEL_M


def _inside(view: View, across: FLOAT, along: FLOAT, edge: FLOAT, band: str) -> BOOL:
    """Return where a band was looked at: its edges are ragged, and differ from band to band.

    Sweeps of Landsat 7 begin and end at different places of the swath's sides; modules of OLI at
    different places of a scene's ends.
    """
    ragged = RAGGED_PX[band] * PIXEL_M
    sides, ends = (edge, 0.0) if view.platform == "landsat-7" else (0.0, edge)
    within = np.abs(across - sides) <= HALF_SWATH_M
    ahead = along - ragged - ends
    return np.asarray(within & (ahead >= view.first) & (ahead <= view.last))


def _missed(view: View, across: FLOAT, along: FLOAT, band: str) -> BOOL:
    """Return the gaps of a band, shape (ny, nx)."""
    if not view.slc_off:
        return np.zeros(across.shape, dtype=np.bool_)
    return landsat_stripes.gap(across, along, phase=view.gap_phase, band=band, seed=view.seed)


def _counts(
    light: FLOAT32, grid: PixelGrid, view: View, band: str, detector: NDArray[np.int64]
) -> Counts:
    """Return the counts of a band everywhere, blurred and with noise."""
    platform, number = view.platform, BANDS.index(band)
    gain = landsat_sensors.gains(platform, gain=view.gain, distance=earth_sun_distance(view.start))[
        band
    ]
    blurred = ndimage.gaussian_filter(light, landsat_sensors.BLUR[platform], truncate=3.0)
    columns = np.rint(grid.x / grid.spacing).astype(np.int64)
    rows = np.rint(grid.y / grid.spacing).astype(np.int64)
    noise = hashed_gaussian(columns, rows, seed=view.seed * 17 + number)
    noise *= np.float32(landsat_sensors.NOISE_COUNTS[platform])
    lowest, highest = int(detector.min()), int(detector.max())
    uneven = hashed_gaussian(np.arange(lowest, highest + 1), np.zeros(1, int), seed=number)[0]
    uneven *= np.float32(landsat_sensors.DETECTOR_COUNTS[platform])
    noise += uneven[detector - lowest]
    return landsat_sensors.counts(blurred, platform, gain, noise=noise)


def _detector(view: View, across: FLOAT, along: FLOAT) -> NDArray[np.int64]:
    """Return the number of the detector that saw each place: OLI's lie side by side."""
    if view.platform == "landsat-7":
        return landsat_stripes.detector(across, along, phase=view.gap_phase, seed=view.seed)
    return np.asarray(np.rint(across / PIXEL_M)).astype(np.int64)
