"""What changed between two years in the frame of the ice: damage gained, lost and carried.

The accounts close by the codes alone, whatever the maps: every damaged pixel of either map has one
code that says what became of it. A way that is wrong by a pixel would turn a thin rift into one
lost and one gained; within a tolerance such damage counts as carried, on either side by itself.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels.damage.densities import DAMAGED, INTACT, UNKNOWN

FLOAT = NDArray[np.float64]
UINT8 = NDArray[np.uint8]
BOOL = NDArray[np.bool_]

UNCHANGED = 0
"""Intact in both years."""
GAINED = 1
"""Damaged in the later year only, and none was near."""
LOST = 2
"""Damaged in the earlier year only, and none is near."""
CARRIED = 3
"""Damaged in both years."""
CARRIED_HERE = 4
"""Damaged in the later year only, within the tolerance of damage of the earlier one."""
CARRIED_AWAY = 5
"""Damaged in the earlier year only, within the tolerance of damage of the later one."""
LEFT = 6
"""Damaged in the earlier year; the later map says nothing here: calved, or not seen."""
ENTERED = 7
"""Damaged in the later year; the earlier map says nothing of this ice: flowed in, or not seen."""


class ChangeError(ValueError):
    """Maps that cannot be compared, or areas that are not theirs."""


@dataclass(frozen=True)
class ChangeAreas:
    """Areas of what changed [m²]; sums of blocks are sums of these.

    Attributes
    ----------
    gained, lost : float
        Damage that is new, and that is gone.
    carried_later, carried_earlier : float
        Damage in both years, as much as each of the maps shows of it; equal without tolerance.
    left, entered : float
        Damage of either map on which the other says nothing.
    unchanged : float
        Ice without damage in both years.
    """

    gained: float
    lost: float
    carried_later: float
    carried_earlier: float
    left: float
    entered: float
    unchanged: float

    @property
    def later(self) -> float:
        """Damage of the later map inside the footprint, gained + carried [m²]."""
        return self.gained + self.carried_later

    @property
    def earlier(self) -> float:
        """Damage of the advected earlier map inside the footprint, lost + carried [m²]."""
        return self.lost + self.carried_earlier


class DensityChanges(NamedTuple):
    """Densities of what changed, the least change that explains both maps [1]."""

    gained: FLOAT
    lost: FLOAT
    carried: FLOAT


def changes(earlier: UINT8, later: UINT8, *, tolerance: float = 0.0) -> UINT8:
    """Return what became of each pixel between two years.

    ::

        later damage in the footprint    = GAINED + CARRIED + CARRIED_HERE
        earlier damage in the footprint  = LOST + CARRIED + CARRIED_AWAY
        all later damage                 = the first + ENTERED
        all earlier damage               = the second + LEFT

    Parameters
    ----------
    earlier : ndarray of uint8, shape (y, x)
        Earlier map, carried to the later year: 0 intact, 1 damaged, 255 unknown
        (:func:`pipelines.kernels.damage.advection.advected_labels`).
    later : ndarray of uint8, shape (y, x)
        Later map.
    tolerance : float
        Distance between pixel centres within which damage is the same [pixels]. A block needs a
        halo of as much, and the codes of the halo are not to be used.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        Codes of this module; 255 where nothing is known to have been or to be damaged.

    Raises
    ------
    ChangeError
        Shapes that differ, other values, a negative tolerance.

    Examples
    --------
    >>> changes(np.array([[0, 1, 1, 255]], np.uint8), np.array([[1, 1, 0, 1]], np.uint8)).tolist()
    [[1, 3, 2, 7]]
    """
    _require_maps(earlier, later, tolerance)
    was, now = earlier == DAMAGED, later == DAMAGED
    inside = (earlier != UNKNOWN) & (later != UNKNOWN)
    near_now, near_was = _within(now, tolerance), _within(was, tolerance)
    made = np.where(inside, UNCHANGED, UNKNOWN).astype(np.uint8)
    made[now & inside] = GAINED
    made[now & inside & near_was] = CARRIED_HERE
    made[was & inside] = LOST
    made[was & inside & near_now] = CARRIED_AWAY
    made[was & now] = CARRIED
    made[was & ~inside] = LEFT
    made[now & ~inside] = ENTERED
    return made


def change_areas(codes: UINT8, cell_area: FLOAT) -> ChangeAreas:
    """Return the true areas of what changed.

    Parameters
    ----------
    codes : ndarray of uint8, shape (y, x)
        Of :func:`changes`.
    cell_area : ndarray, shape (y, x) or broadcastable to it
        True areas of the pixels (:func:`pipelines.kernels.geodesy.cell_areas`) [m²].

    Returns
    -------
    ChangeAreas
        Sums over the pixels.

    Raises
    ------
    ChangeError
        Areas that do not fit the codes.
    """
    if np.broadcast_shapes(codes.shape, np.shape(cell_area)) != codes.shape:
        msg = f"found areas {np.shape(cell_area)} for codes {codes.shape}, expected one for each"
        raise ChangeError(msg)
    weights = np.broadcast_to(np.asarray(cell_area, np.float64), codes.shape).ravel()
    area = np.bincount(codes.ravel(), weights, minlength=UNKNOWN + 1).tolist()
    return ChangeAreas(
        gained=area[GAINED],
        lost=area[LOST],
        carried_later=area[CARRIED] + area[CARRIED_HERE],
        carried_earlier=area[CARRIED] + area[CARRIED_AWAY],
        left=area[LEFT],
        entered=area[ENTERED],
        unchanged=area[UNCHANGED],
    )


def density_changes(earlier: FLOAT, later: FLOAT) -> DensityChanges:
    """Split the densities of two years into what is gained, lost and carried.

    ::

        gained = max(y − x, 0),    lost = max(x − y, 0),    carried = min(x, y)

    so that gained + carried = y and lost + carried = x. A cell does not say where in it the damage
    is, so this is the least change that explains both.

    Parameters
    ----------
    earlier, later : ndarray, shape (...)
        Density of the advected earlier map x, and of the later one y [1], NaN where not known.

    Returns
    -------
    DensityChanges
        Each of shape (...) [1]; NaN where either map is.

    Raises
    ------
    ChangeError
        Shapes that differ.
    """
    if earlier.shape != later.shape:
        msg = f"found densities {earlier.shape} and {later.shape}, expected the same cells"
        raise ChangeError(msg)
    change = later - earlier
    return DensityChanges(
        np.maximum(change, 0.0), np.maximum(-change, 0.0), np.minimum(earlier, later)
    )


def _within(damaged: BOOL, tolerance: float) -> BOOL:
    """Return which pixels have damage within a distance, itself included."""
    reach = math.floor(tolerance)
    if reach == 0 or not damaged.any():
        return damaged
    distance: FLOAT = ndimage.distance_transform_edt(~damaged)
    return np.asarray(distance <= tolerance)


def _require_maps(earlier: UINT8, later: UINT8, tolerance: float) -> None:
    if earlier.shape != later.shape or earlier.ndim != 2:
        msg = f"found maps {earlier.shape} and {later.shape}, expected (y, x) for both"
        raise ChangeError(msg)
    if not 0.0 <= tolerance < np.inf:
        msg = f"found a tolerance of {tolerance:g} pixels, expected 0 or more"
        raise ChangeError(msg)
    for name, labels in (("earlier", earlier), ("later", later)):
        strange = set(np.unique(labels).tolist()) - {INTACT, DAMAGED, UNKNOWN}
        if strange:
            msg = (
                f"the {name} map has values {sorted(strange)}, expected {INTACT} intact, "
                f"{DAMAGED} damaged, {UNKNOWN} unknown"
            )
            raise ChangeError(msg)
