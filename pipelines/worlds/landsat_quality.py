"""QA_PIXEL as the Landsat archive fills it, with the errors that CFMask makes on ice.

Bits are those of the Landsat Collection 2 product guide. Over snow, Stillinger et al. (2019) found
that CFMask's clouds are clouds with a precision of 0.70 and a recall of 0.86; the errors here
keep those numbers on average over many scenes. Edges are missed before cores, and false alarms
stand half the time where they stood in other scenes, because it is the surface that deceives.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.worlds.place_noise import fractal_noise

FLOAT = NDArray[np.float64]
FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]
UINT16 = NDArray[np.uint16]

FILL, DILATED, CIRRUS, CLOUD, SHADOW, SNOW, CLEAR, WATER = (1 << bit for bit in range(8))
CLOUD_LOW, CLOUD_HIGH = 1 << 8, 3 << 8
SHADOW_LOW, SHADOW_HIGH = 1 << 10, 3 << 10
SNOW_LOW, SNOW_HIGH = 1 << 12, 3 << 12
CIRRUS_LOW, CIRRUS_HIGH = 1 << 14, 3 << 14

RECALL, PRECISION = 0.86, 0.70
"""Of CFMask's clouds over snow (Stillinger et al., 2019)."""
MOST_FALSE = 0.35
"""Of the clear ground, at most this part is called cloud, however cloudy the day [1]."""
EDGES_FIRST = 1.2
"""How much more a cloud's thickness decides on its being seen than chance [1]."""
DILATION_PX = 3
SHADOW_RECALL = 0.7


def called_cloud(
    cloud: BOOL, rank: FLOAT32, x: FLOAT, y: FLOAT, *, cloudiness: float, seed: int
) -> BOOL:
    """Return what CFMask calls cloud.

    With cloudiness c the part f of the clear ground that is called cloud keeps the precision P at
    the recall R: f = R c (1 − P) / (P (1 − c)).

    Parameters
    ----------
    cloud : ndarray of bool, shape (ny, nx)
        Truth.
    rank : ndarray of float32, shape (ny, nx)
        How thick a cloud is among its like, a normal deviate within clouds.
    x, y : ndarray, shapes (nx,) and (ny,)
        Coordinates [m].
    cloudiness : float
        Expected part of the ground under cloud, 0 to 1.
    seed : int
        Of the pass.
    """
    normal = NormalDist()
    chance = fractal_noise(x, y, length=2e3, seed=seed * 211 + 5, octaves=3)
    seen = chance + np.float32(EDGES_FIRST) * rank
    seen /= np.float32(np.hypot(1.0, EDGES_FIRST))
    found = cloud & (seen > np.float32(normal.inv_cdf(1.0 - RECALL)))
    if cloudiness <= 0.0:
        return found
    wrong = RECALL * cloudiness * (1.0 - PRECISION) / (PRECISION * max(1.0 - cloudiness, 1e-3))
    deceiving = fractal_noise(x, y, length=1.5e3, seed=17, octaves=3)
    deceived = (deceiving + chance) / np.float32(np.sqrt(2.0))
    found |= ~cloud & (deceived > np.float32(normal.inv_cdf(1.0 - min(wrong, MOST_FALSE))))
    return found


def called_shadow(shadow: BOOL, x: FLOAT, y: FLOAT, *, seed: int) -> BOOL:
    """Return what CFMask calls cloud shadow: most of it, in patches."""
    chance = fractal_noise(x, y, length=2.5e3, seed=seed * 211 + 6, octaves=3)
    return shadow & (chance > np.float32(NormalDist().inv_cdf(1.0 - SHADOW_RECALL)))


def qa_pixel(
    *, snow: BOOL, water: BOOL, cloud: BOOL, shadow: BOOL, cirrus: BOOL, fill: BOOL, oli: bool
) -> UINT16:
    """Return QA_PIXEL.

    Clear snow is 30048 on Landsat 8 and 9, and 13664 on Landsat 7, which sees no cirrus.

    Parameters
    ----------
    snow, water, cloud, shadow, cirrus, fill : ndarray of bool, shape (ny, nx)
        What CFMask takes each pixel for.
    oli : bool
        Of Landsat 8 or 9.
    """
    wide = ndimage.maximum_filter(cloud.view(np.uint8), size=2 * DILATION_PX + 1).view(np.bool_)
    dilated, shadow, cirrus = wide & ~cloud, shadow & ~cloud, cirrus & oli
    snow, water = snow & ~cloud, water & ~cloud
    value = np.full(cloud.shape, CLOUD_LOW | SHADOW_LOW | SNOW_LOW, dtype=np.uint16)
    for where, bits in (
        (snow, SNOW | SNOW_HIGH), (water, WATER), (cloud, CLOUD | CLOUD_HIGH),
        (shadow, SHADOW | SHADOW_HIGH), (dilated, DILATED), (~wide, CLEAR),
    ):  # fmt: skip
        value |= where * np.uint16(bits)
    if oli:
        value |= np.uint16(CIRRUS_LOW)
        value |= cirrus * np.uint16(CIRRUS | CIRRUS_HIGH)
    value[fill] = FILL
    return value
