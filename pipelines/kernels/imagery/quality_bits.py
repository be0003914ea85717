"""What is known about each pixel, as bits: the quality bands of Landsat in one layout of ours.

The low byte is QA_PIXEL of Collection 2 (USGS, product guides LSDS-1618 for Landsat 7 and LSDS-1619
for 8 and 9); what we find ourselves lies above it. The paper (Tang et al., 2026, section 2.1.3)
rejects cloud and shadow only, bits 3 and 4: :data:`PAPER`.
"""

from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

MASK = NDArray[np.uint16]

FILL = 1
"""No measurement: outside the scene, in a gap of the scan line corrector, or dropped."""
DILATED = 2
CIRRUS = 4
"""High thin cloud seen at 1.37 µm; Landsat 7 has no such band."""
CLOUD = 8
SHADOW = 16
SNOW = 32
CLEAR = 64
"""Neither cloud nor dilated cloud; shadow and snow are clear too."""
WATER = 128
GAP = 256
"""Lost since the scan line corrector failed: inside the swath of Landsat 7, but not measured."""
SATURATED = 512
"""The detector was at its end in one of red, green and blue at least."""
SATURATED_ALL = 1024
"""It was so in all three: no texture is left."""
OPINION = 2048
"""A second opinion says cloud (:mod:`pipelines.kernels.imagery.cloud_opinion`)."""
SEAM = 4096
"""A mixture of two granules."""

PAPER = CLOUD | SHADOW
"""What the paper rejects."""
CAREFUL = PAPER | DILATED | CIRRUS
"""And what lies beside clouds or under thin ones."""

FLAGS = {
    "fill": FILL,
    "dilated_cloud": DILATED,
    "cirrus": CIRRUS,
    "cloud": CLOUD,
    "cloud_shadow": SHADOW,
    "snow": SNOW,
    "clear": CLEAR,
    "water": WATER,
    "scan_line_gap": GAP,
    "saturated": SATURATED,
    "saturated_all": SATURATED_ALL,
    "second_opinion_cloud": OPINION,
    "seam": SEAM,
}
"""Bits by name, from the lowest up."""
FLAG_MASKS: tuple[int, ...] = tuple(FLAGS.values())
"""CF attribute `flag_masks`."""
FLAG_MEANINGS = " ".join(FLAGS)
"""CF attribute `flag_meanings`."""

ETM_PLUS = ("landsat-7",)
OLI = ("landsat-8", "landsat-9")
PLATFORMS = (*ETM_PLUS, *OLI)

Condition = Literal["cloud", "shadow", "snow", "cirrus"]
_CONFIDENCE_BIT: dict[Condition, int] = {"cloud": 8, "shadow": 10, "snow": 12, "cirrus": 14}
_HIGH = 3
"""Confidence that sets the bit of a condition: 0 not determined, 1 low, 2 medium, 3 high."""


class QualityError(ValueError):
    """Quality bands that cannot be read."""


def flags(qa: NDArray[Any], *, collection: int, platform: str) -> MASK:
    """Return a quality band of USGS in our layout.

    Parameters
    ----------
    qa : ndarray of integers, any shape
        QA_PIXEL of Collection 2, or BQA of Collection 1.
    collection : {1, 2}
        Collection number of the product.
    platform : {"landsat-7", "landsat-8", "landsat-9"}
        Whose scene it is.

    Returns
    -------
    ndarray of uint16, the same shape
        Bits of the low byte; of Collection 1 also SATURATED and SATURATED_ALL.

    Raises
    ------
    QualityError
        Another collection or platform, or numbers that are no integers.

    Notes
    -----
    Collection 1 is translated so: high confidence of shadow, snow and cirrus (OLI) sets the bit; a
    dropped pixel (ETM+, bit 1) was not measured, so it is FILL; terrain occlusion (OLI, bit 1) has
    no place in Collection 2's QA_PIXEL either and is left out; BQA counts saturated bands without
    naming them, so any is SATURATED, and five or more, which no longer fit beside red, green and
    blue, are SATURATED_ALL. Dilated cloud and water it does not have.

    Examples
    --------
    >>> flags(np.array([30048, 55052, 1]), collection=2, platform="landsat-8").tolist()
    [96, 12, 1]
    >>> flags(np.array([752, 928, 1]), collection=1, platform="landsat-7").tolist()
    [8, 80, 1]
    """
    _check_platform(platform)
    if not np.issubdtype(np.asarray(qa).dtype, np.integer):
        msg = (
            f"found a quality band of type {np.asarray(qa).dtype}, expected integers: its bits are "
            "lost in floats; load it as uint16 with fill 1"
        )
        raise QualityError(msg)
    words = np.asarray(qa).astype(np.uint16, copy=False)
    if collection == 2:
        unused = CIRRUS if platform in ETM_PLUS else 0
        return words & np.uint16(0xFF & ~unused)
    if collection == 1:
        return np.take(_collection_1_table(platform), words)
    msg = f"found Landsat collection {collection!r}, expected 1 or 2; ask for Collection 2"
    raise QualityError(msg)


def confidence(qa: NDArray[Any], what: Condition) -> NDArray[np.uint8]:
    """Return how sure QA_PIXEL of Collection 2 is: 0 not determined, 1 low, 2 medium, 3 high.

    Parameters
    ----------
    qa : ndarray of integers, any shape
        QA_PIXEL as it comes.
    what : {"cloud", "shadow", "snow", "cirrus"}
        Medium is not used for shadow, snow and cirrus; Landsat 7 has no cirrus.

    Returns
    -------
    ndarray of uint8, the same shape

    Raises
    ------
    QualityError
        A condition that has no confidence.

    Examples
    --------
    >>> [int(confidence(np.array(30048), what)) for what in ("cloud", "shadow", "snow", "cirrus")]
    [1, 1, 3, 1]
    """
    if what not in _CONFIDENCE_BIT:
        msg = f"found {what!r}, expected one of {', '.join(get_args(Condition))}"
        raise QualityError(msg)
    return (np.asarray(qa) >> _CONFIDENCE_BIT[what] & _HIGH).astype(np.uint8)


def rejected(mask: NDArray[np.uint16], bits: int) -> NDArray[np.bool_]:
    """Return where any of `bits` is set, or nothing was measured.

    Parameters
    ----------
    mask : ndarray of uint16, any shape
        Bits in our layout.
    bits : int
        :data:`PAPER`, :data:`CAREFUL` or any others; FILL and GAP always count.

    Returns
    -------
    ndarray of bool, the same shape

    Examples
    --------
    >>> rejected(np.array([CLEAR | SNOW, CLOUD, DILATED, FILL], np.uint16), PAPER).tolist()
    [False, True, False, True]
    """
    found: NDArray[np.bool_] = (mask & np.uint16(bits | FILL | GAP)) != 0
    return found


def _check_platform(platform: str) -> None:
    """Refuse a platform whose bits are not known here."""
    if platform not in PLATFORMS:
        msg = f"found the platform {platform!r}, expected one of {', '.join(PLATFORMS)}"
        raise QualityError(msg)


@cache
def _collection_1_table(platform: str) -> MASK:
    """Return our bits for each of the 65536 words that BQA can hold."""
    word = np.arange(65536, dtype=np.uint32)
    is_set = {
        FILL: (word & 1) == 1,
        CLOUD: (word >> 4 & 1) == 1,
        SHADOW: (word >> 7 & 3) == _HIGH,
        SNOW: (word >> 9 & 3) == _HIGH,
        SATURATED: (word >> 2 & 3) > 0,
        SATURATED_ALL: (word >> 2 & 3) == _HIGH,
    }
    if platform in ETM_PLUS:
        is_set[FILL] |= (word >> 1 & 1) == 1
    else:
        is_set[CIRRUS] = (word >> 11 & 3) == _HIGH
    table = np.zeros(65536, np.uint16)
    for bit, where in is_set.items():
        table[where & ~is_set[FILL]] |= np.uint16(bit)
    table[is_set[FILL]] = FILL
    table[~is_set[FILL] & ~is_set[CLOUD]] |= np.uint16(CLEAR)
    table.flags.writeable = False
    return table
