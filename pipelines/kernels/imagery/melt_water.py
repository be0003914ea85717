"""Melt water on ice, from how blue it is.

Ice that is wet or flooded takes away red light and not blue. Yang and Smith (2013) use

::

    NDWI_ice = (blue − red) / (blue + red)

Tang et al. (2026, section 5) see only that ponds and streams near the grounding line of Amery are
taken for damage.
"""

import numpy as np
from numpy.typing import NDArray

REAL = NDArray[np.floating]
BOOL = NDArray[np.bool_]

SURELY = 0.25
"""NDWI_ice from which on water is sure (Yang and Smith, 2013); slush lies at 0.12 to 0.14."""


def index(red: REAL, blue: REAL) -> NDArray[np.float32]:
    """Return NDWI_ice.

    Parameters
    ----------
    red, blue : ndarray, one shape
        Reflectance [1]; NaN where not measured.

    Returns
    -------
    ndarray of float32
        From -1 to 1 of reflectances of at least 0; NaN where a band is missing or both are 0.

    Examples
    --------
    >>> index(np.array([0.2, 0.8]), np.array([0.6, 0.8])).tolist()
    [0.5, 0.0]
    """
    total = np.asarray(blue + red, np.float32)
    with np.errstate(invalid="ignore"):
        made = np.divide(blue - red, total, out=np.full(total.shape, np.nan, np.float32),
                         where=total > 0.0)  # fmt: skip
    return np.asarray(made, np.float32)


def is_water(red: REAL, blue: REAL, *, limit: float = SURELY) -> BOOL:
    """Return where melt water is; nowhere where a band is missing.

    Parameters
    ----------
    red, blue : ndarray, one shape
        Reflectance [1].
    limit : float
        Least index of water [1]; 1 finds none.
    """
    return np.asarray(np.nan_to_num(index(red, blue), nan=-1.0) >= limit) & (limit < 1.0)
