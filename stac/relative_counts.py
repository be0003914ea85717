"""Counts that are only relative to each other, as the MODIS mosaics have them, as reflectances.

0 is both "no data" (the sea, grounded ice) and the darkest shadow, which is where fractures are; so
only wide areas of 0 are missing. The highest count of the type is the brightest snow.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BOOL = NDArray[np.bool_]

WIDEST_SHADOW = 1024
"""Pixels of 0 that touch each other are shadow up to this many, and missing above."""
LOW, HIGH = 1.0, 99.0
"""Percentiles of counts that become `DARK` and `BRIGHT`."""
DARK, BRIGHT, MOST = 0.1, 1.1, 1.2
"""Reflectances that relative counts are stretched to, and where they end [1]."""


def wide_zeros(zero: BOOL) -> BOOL:
    """Return the pixels of areas of more than `WIDEST_SHADOW`, edge to edge."""
    areas, _ = ndimage.label(zero)
    sizes = np.bincount(areas.ravel())
    sizes[0] = 0
    return np.asarray((sizes > WIDEST_SHADOW)[areas])


def stretched(counts: NDArray[Any], missing: BOOL) -> tuple[NDArray[np.float64], float, float]:
    """Return relative counts as reflectances between 0 and `MOST`.

    ρ = `DARK` + (`BRIGHT` - `DARK`) (q - q₁) / (q₉₉ - q₁), with percentiles over what is
    measured and not saturated, in all bands together, so that colours stay.
    """
    top = np.iinfo(counts.dtype).max
    usable = ~missing & (counts > 0) & (counts < top)
    told = counts[usable if usable.any() else ~missing]
    low, high = np.percentile(told, [LOW, HIGH]) if told.size else (0.0, 0.0)
    share = (counts - low) / (high - low) if high > low else np.full(counts.shape, 0.5)
    image = np.clip(DARK + (BRIGHT - DARK) * share, 0.0, MOST)
    return np.where(missing, np.nan, image), float(low), float(high)
