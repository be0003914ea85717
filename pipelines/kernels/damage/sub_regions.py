"""Parts of an ice shelf: the cells near its front.

Tang et al. (2026, section 5) release the frontal 240 km of Amery apart, ``Amery_front``, because
melt water near its grounding line looks like damage.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BOOL = NDArray[np.bool_]


class SubRegionError(ValueError):
    """An extent without the part that was asked for."""


def front_cells(body: BOOL, roi: BOOL, grounded: BOOL) -> BOOL:
    """Return the cells of an extent with water beside them; the region's edge is no front.

    Parameters
    ----------
    body, roi, grounded : ndarray of bool, shape (cell_y, cell_x)
        The extent, the region and grounded cells.

    Returns
    -------
    ndarray of bool, shape (cell_y, cell_x)

    Raises
    ------
    SubRegionError
        Masks of different shapes.
    """
    if not body.shape == roi.shape == grounded.shape:
        msg = f"found masks of shapes {body.shape}, {roi.shape} and {grounded.shape}, expected one"
        raise SubRegionError(msg)
    return np.asarray(body & ndimage.binary_dilation(roi & ~body & ~grounded))


def near_front(body: BOOL, roi: BOOL, grounded: BOOL, *, distance: float, spacing: float) -> BOOL:
    """Return the part of an extent near its front, such as ``Amery_front`` within 240 km.

    Parameters
    ----------
    body, roi, grounded : ndarray of bool, shape (cell_y, cell_x)
        The extent, the region and grounded cells. For a series take one year's part and cut every
        year's extent by it, or ice that only came nearer seems new.
    distance : float
        From the nearest cell of the front, straight [m].
    spacing : float
        Width of a cell [m].

    Raises
    ------
    SubRegionError
        If the extent has no front.
    """
    front = front_cells(body, roi, grounded)
    if not front.any():
        msg = (
            f"found no front of {int(body.sum())} cells of extent, expected water beside them; let"
        )
        raise SubRegionError(msg + " the region reach beyond the ice")
    near = ndimage.distance_transform_edt(~front, sampling=spacing) <= distance
    return np.asarray(body & near)
