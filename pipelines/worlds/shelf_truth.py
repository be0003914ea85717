"""The truth about damage: what a person who sees the picture would call damaged, and its area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]

SLOPE_SEEN = 0.06
"""Least slope that carving adds where a crack is seen [1].

A sun 20° high changes the light on a slope s by s / tan 20° = 2.7 s, so this is a step of 16 per
cent, several times the noise of fresh snow."""
MINGLE = 5
"""Cracks with less than twice this between them are labelled as one area [pixels]."""
CROWD = 5
"""Half side of the boxes, twice over, in which labels are counted [pixels]."""
CROWDED = 0.55
"""Part of these boxes from which on a hole between labels is filled [1]."""
HALO = 24
"""Pixels around a window that its labels depend on."""


def seen(carved: FLOAT, *, spacing: float) -> BOOL:
    """Whether the carving of a pixel or of one beside it shows in a low sun.

    Parameters
    ----------
    carved : ndarray, shape (ny, nx)
        Depth below the surface around [m].
    spacing : float
        Of the pixels [m].

    Returns
    -------
    ndarray, shape (ny, nx)
        True where a slope of :data:`SLOPE_SEEN` or more lies within a pixel.
    """
    steep = np.zeros(carved.shape, dtype=np.bool_)
    down = np.abs(np.diff(carved, axis=0)) >= np.float32(SLOPE_SEEN * spacing)
    right = np.abs(np.diff(carved, axis=1)) >= np.float32(SLOPE_SEEN * spacing)
    steep[1:] |= down
    steep[:-1] |= down
    steep[:, 1:] |= right
    steep[:, :-1] |= right
    return steep


def labelled(fractured: BOOL, shown: BOOL, ice: BOOL) -> BOOL:
    """Label damage as the paper does: dense fields as areas, single cracks as they are.

    Parameters
    ----------
    fractured : ndarray, shape (ny, nx)
        Where cracks are.
    shown : ndarray, shape (ny, nx)
        Where carving is seen, see :func:`seen`.
    ice : ndarray, shape (ny, nx)
        Where the shelf is.

    Returns
    -------
    ndarray, shape (ny, nx)
        Cracks that show and are two pixels wide or more, and what lies between close ones.

    Notes
    -----
    Labels closer than :data:`HALO` to the edge of the arrays may differ from those of a larger one.
    """
    crack = ndimage.binary_opening(fractured & shown, np.ones((2, 2)))
    area = ~_within(~_within(crack, MINGLE), MINGLE)
    area |= _crowding(area) >= CROWDED
    # Closing leaves specks where two single cracks nearly meet.
    area = ndimage.binary_opening(area, np.ones((2, 2))) | crack
    return np.asarray(area & ice)


def _crowding(mask: BOOL) -> FLOAT:
    """Part of the pixels around each that are of the mask, under a pyramid, shape (ny, nx) [1]."""
    count = mask.astype(np.int32)
    side = 2 * CROWD + 1
    for axis in (0, 1, 0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (CROWD + 1, CROWD)
        total = np.cumsum(np.pad(count, padding), axis=axis)
        ahead = np.take(total, np.arange(side, total.shape[axis]), axis=axis)
        count = ahead - np.take(total, np.arange(total.shape[axis] - side), axis=axis)
    return np.asarray(count.astype(np.float32) / np.float32(side**4))


def _within(mask: BOOL, radius: int) -> BOOL:
    """Whether a pixel of the mask lies within a radius [pixels], shape (ny, nx)."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius + 0.3)
