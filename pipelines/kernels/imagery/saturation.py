"""Where the detectors were at their end: QA_RADSAT of Collection 2.

Bit n − 1 stands for band n (USGS, product guides LSDS-1618 and LSDS-1619), and the same colour has
another band number on Landsat 7 than on 8 and 9. Snow saturates the high gain of ETM+, which no
stretch brings back. Collection 1 has no such band; what its BQA counts, :mod:`quality_bits`
translates.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import quality_bits

MASK = NDArray[np.uint16]

RGB = {"landsat-7": (3, 2, 1), "landsat-8": (4, 3, 2), "landsat-9": (4, 3, 2)}
"""Numbers of the red, green and blue band."""

DROPPED = 1 << 9
"""ETM+: the pixel was lost between the satellite and the ground."""
OCCLUDED = 1 << 11
"""OLI: terrain hides the ground from the satellite; Landsat 7 has no such bit."""

_MOST_BANDS = 16


class SaturationError(ValueError):
    """Bands or platforms that QA_RADSAT does not know."""


def saturated(radsat: NDArray[Any], *, bands: tuple[int, ...]) -> MASK:
    """Return SATURATED where any of `bands` is saturated, and SATURATED_ALL where all are.

    Parameters
    ----------
    radsat : ndarray of integers, any shape
        QA_RADSAT of Collection 2.
    bands : tuple of int
        Numbers of the bands, from 1: :data:`RGB` of the platform.

    Returns
    -------
    ndarray of uint16, the same shape
        Bits in the layout of :mod:`pipelines.kernels.imagery.quality_bits`.

    Raises
    ------
    SaturationError
        No bands, or numbers that are none.

    Examples
    --------
    >>> saturated(np.array([0, 0b0001, 0b0111]), bands=RGB["landsat-7"]).tolist()
    [0, 512, 1536]
    """
    if not bands or not all(1 <= band <= _MOST_BANDS for band in bands):
        msg = (
            f"found the bands {bands}, expected numbers from 1 to {_MOST_BANDS}: those of red, "
            "green and blue, RGB[platform]"
        )
        raise SaturationError(msg)
    ours = sum(1 << (band - 1) for band in set(bands))
    here = np.asarray(radsat) & ours
    made = np.zeros(here.shape, np.uint16)
    made[here != 0] = quality_bits.SATURATED
    made[here == ours] |= np.uint16(quality_bits.SATURATED_ALL)
    return made


def dropped(radsat: NDArray[Any], *, platform: str) -> NDArray[np.bool_]:
    """Return which pixels of Landsat 7 were lost on the way; OLI has no such bit: none.

    Parameters
    ----------
    radsat : ndarray of int, shape (...)
        Words of the band of saturation, QA_RADSAT.
    platform : str
        ``landsat-7``, ``landsat-8`` or ``landsat-9``.

    Returns
    -------
    ndarray of bool, shape (...)

    Raises
    ------
    SaturationError
        Another platform.

    Examples
    --------
    >>> dropped(np.array([0, 512]), platform="landsat-7").tolist()
    [False, True]
    """
    return _flagged(radsat, DROPPED, platform, quality_bits.ETM_PLUS)


def occluded(radsat: NDArray[Any], *, platform: str) -> NDArray[np.bool_]:
    """Return which pixels of Landsat 8 and 9 terrain hides; ETM+ has no such bit: none.

    Parameters
    ----------
    radsat : ndarray of int, shape (...)
        Words of the band of saturation, QA_RADSAT.
    platform : str
        ``landsat-7``, ``landsat-8`` or ``landsat-9``.

    Returns
    -------
    ndarray of bool, shape (...)

    Raises
    ------
    SaturationError
        Another platform.

    Examples
    --------
    >>> occluded(np.array([0, 2048]), platform="landsat-8").tolist()
    [False, True]
    """
    return _flagged(radsat, OCCLUDED, platform, quality_bits.OLI)


def _flagged(
    radsat: NDArray[Any], bit: int, platform: str, known_to: Collection[str]
) -> NDArray[np.bool_]:
    """Return where a bit is set; a platform that does not know it has it nowhere."""
    _check(platform)
    flagged: NDArray[np.bool_] = (np.asarray(radsat) & (bit if platform in known_to else 0)) != 0
    return flagged


def _check(platform: str) -> None:
    """Refuse a platform whose bits are not known here."""
    if platform not in RGB:
        msg = f"found the platform {platform!r}, expected one of {', '.join(RGB)}"
        raise SaturationError(msg)
