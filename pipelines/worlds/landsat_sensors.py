"""What the instruments of Landsat 7, 8 and 9 make of the light: bands, gains, blur and noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOAT32 = NDArray[np.float32]
Counts = NDArray[np.uint8] | NDArray[np.uint16]

BANDS = ("blue", "green", "red", "nir08", "swir16", "swir22")
BAND_NUMBERS = {
    "landsat-7": dict(zip(BANDS, (1, 2, 3, 4, 5, 7), strict=True)),
    "landsat-8": dict(zip(BANDS, (2, 3, 4, 5, 6, 7), strict=True)),
    "landsat-9": dict(zip(BANDS, (2, 3, 4, 5, 6, 7), strict=True)),
}
SENSORS = {"landsat-7": "ETM", "landsat-8": "OLI_TIRS", "landsat-9": "OLI_TIRS"}

ETM_RADIANCE = {
    "H": {
        "blue": (-6.2, 191.6), "green": (-6.4, 196.5), "red": (-5.0, 152.9),
        "nir08": (-5.1, 157.4), "swir16": (-1.0, 31.06), "swir22": (-0.35, 10.80),
    },
    "L": {
        "blue": (-6.2, 293.7), "green": (-6.4, 300.9), "red": (-5.0, 234.4),
        "nir08": (-5.1, 241.1), "swir16": (-1.0, 47.57), "swir22": (-0.35, 16.54),
    },
}  # fmt: skip
"""Radiance of the counts 1 and 255 in high and low gain [W m⁻² sr⁻¹ μm⁻¹] (Landsat 7 handbook)."""

ETM_SUN = {
    "blue": 2036.0, "green": 1856.0, "red": 1525.0, "nir08": 1071.0, "swir16": 221.6,
    "swir22": 81.36,
}  # fmt: skip
"""Irradiance of the sun [W m⁻² μm⁻¹], from both coefficients of LE07 021/030 of 2010-01-09."""


@dataclass(frozen=True)
class Gain:
    """How a band's counts mean radiance and reflectance (before division by sin of the sun)."""

    reflectance_mult: float
    reflectance_add: float
    radiance_mult: float
    radiance_add: float


def gains(platform: str, *, gain: str, distance: float) -> Mapping[str, Gain]:
    """Return the coefficients of each band, rounded as the metadata state them.

    Parameters
    ----------
    platform : str
        Landsat 8 and 9 have the same for every band and scene.
    gain : str
        ``H`` or ``L``, of Landsat 7.
    distance : float
        From the Earth to the sun [astronomical units]; reflectance is π L d² / E.
    """
    if platform != "landsat-7":
        return {band: Gain(2.0e-5, -0.1, *_oli_radiance(band, distance)) for band in BANDS}
    return {band: _etm_gain(band, gain, distance) for band in BANDS}


def _oli_radiance(band: str, distance: float) -> tuple[float, float]:
    """Return radiance for a count and at 0; irradiances are taken from ETM+, for form only."""
    per = ETM_SUN[band] / (math.pi * distance**2)
    return float(f"{2.0e-5 * per:.4E}"), round(-0.1 * per, 5)


def _etm_gain(band: str, gain: str, distance: float) -> Gain:
    low, high = ETM_RADIANCE[gain][band]
    mult = (high - low) / 254.0
    per = math.pi * distance**2 / ETM_SUN[band]
    return Gain(
        float(f"{mult * per:.4E}"),
        round((low - mult) * per, 6),
        float(f"{mult:.4E}"),
        round(low - mult, 5),
    )


BLUR = {"landsat-7": 0.55, "landsat-8": 0.4, "landsat-9": 0.4}
"""Standard deviation of the blur of optics, detectors and resampling [pixels]."""

NOISE_COUNTS = {"landsat-7": 0.6, "landsat-8": 9.0, "landsat-9": 6.0}
"""Standard deviation of the noise of a pixel [counts]: signal to noise of ETM+ and OLI on snow."""

DETECTOR_COUNTS = {"landsat-7": 0.35, "landsat-8": 3.0, "landsat-9": 2.0}
"""Standard deviation of what remains of the difference between detectors [counts]."""

DTYPES: Mapping[str, type[np.uint8] | type[np.uint16]] = {
    "landsat-7": np.uint8, "landsat-8": np.uint16, "landsat-9": np.uint16,
}  # fmt: skip


def full_scale(platform: str) -> int:
    """Return the largest count, that of a saturated pixel."""
    return int(np.iinfo(DTYPES[platform]).max)


def counts(light: FLOAT32, platform: str, gain: Gain, *, noise: FLOAT32) -> Counts:
    """Return what is stored: at least 1, and the largest number where there is too much light.

    Parameters
    ----------
    light : ndarray of float32, shape (ny, nx)
        Reflectance × sin of the sun's elevation [1].
    platform : str
        Decides the number of bits.
    gain : Gain
        Of the band.
    noise : ndarray of float32, shape (ny, nx)
        [counts].
    """
    exact = (light - np.float32(gain.reflectance_add)) / np.float32(gain.reflectance_mult)
    exact += noise
    np.rint(exact, out=exact)
    np.clip(exact, 1, full_scale(platform), out=exact)
    kind = DTYPES[platform]
    return exact.astype(kind)  # type: ignore[return-value]
