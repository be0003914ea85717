"""What a scene shows of a region: clear, clouded, gaps, saturated; its worth in one number.

A scene is judged on a coarse mask (300 m cells over the region, a hundredth of its pixels), whose
bits are those of :mod:`pipelines.kernels.imagery.quality_bits`.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels.imagery import quality_bits as bits

MASK = NDArray[np.uint16]
BOOL = NDArray[np.bool_]

CLEAR_WEIGHT, FAST_WEIGHT, GAP_WEIGHT, TEXTURE_WEIGHT, SUN_WEIGHT = 0.45, 0.25, 0.10, 0.10, 0.10
"""Shares of :func:`quality`: clear view, its fast part, seen without gaps, seen unsaturated, sun.

Clear view leads, as in Tang et al. (2026, section 2.1.3); the fast part comes next (2.4.1). What is
left only orders scenes that see as much.
"""
LOW_SUN, HIGH_SUN = 5.0, 25.0
"""Sun elevations that count 0 and 1 in :func:`quality` [degrees]: below 5° shadows of relief cover
crevasses; Antarctic noon reaches little above 25° at the shelves' latitudes."""


class SceneScoreError(ValueError):
    """A scene cannot be scored as asked."""


@dataclass(frozen=True)
class Scores:
    """What a scene shows, as fractions of the region's cells [1].

    Attributes
    ----------
    observed : float
        Inside the scene's granules; gaps of the scan line corrector included if they count.
    valid, valid_fast : float
        Observed and free of the rejected flags: over the region, over its fast-flowing part (of
        that part's cells; NaN where there is none).
    cloud, shadow, snow : float
        Seen, and flagged so by QA_PIXEL.
    gap : float
        In gaps of the scan line corrector (measured before they are restored).
    saturated : float
        Seen, and saturated in red, green and blue at once: no texture is left there.
    """

    observed: float
    valid: float
    valid_fast: float
    cloud: float
    shadow: float
    gap: float
    saturated: float
    snow: float


@dataclass(frozen=True)
class Limits:
    """What a scene must show to be a candidate at all.

    Attributes
    ----------
    least_valid : float
        Least clear fraction of the region [1].
    most_saturated : float
        Most of what is seen that may be saturated in red, green and blue at once [1].
    """

    least_valid: float = 0.05
    most_saturated: float = 0.5


def _has(mask: MASK, flags: int) -> BOOL:
    return np.asarray((mask & np.uint16(flags)) != 0)


def across_gaps(mask: MASK) -> MASK:
    """Return the mask with the flags of the nearest seen cell in the gaps of the line corrector.

    Whether a gap was under cloud is not known; it is as clear as what lies beside it, half a stripe
    (0.5 km) away at most. Otherwise a scene all in cloud would seem clear in the fifth that it did
    not see.

    Parameters
    ----------
    mask : ndarray of uint16, shape (cell_y, cell_x)
        Flags.

    Returns
    -------
    ndarray of uint16, shape (cell_y, cell_x)
        Flags; GAP stays set in gaps, FILL is not; FILL everywhere where no cell is seen at all.
    """
    gap = _has(mask, bits.GAP)
    seen = ~(gap | _has(mask, bits.FILL))
    if not seen.any():
        return mask | np.uint16(bits.FILL)
    if not gap.any():
        return mask
    rows, columns = ndimage.distance_transform_edt(
        ~seen, return_distances=False, return_indices=True
    )
    return np.where(gap, mask[rows, columns] | np.uint16(bits.GAP), mask)


def clear_cells(mask: MASK, *, reject: int = bits.PAPER, gaps_count: bool = True) -> BOOL:
    """Return where a scene shows the surface: observed and free of the rejected flags.

    Parameters
    ----------
    mask : ndarray of uint16, shape (cell_y, cell_x)
        Flags.
    reject : int
        Flags that a clear cell must not have; the paper's are cloud and cloud shadow.
    gaps_count : bool
        Whether the gaps of the scan line corrector count as seen (they are restored later), by the
        flags beside them, see :func:`across_gaps`.

    Returns
    -------
    ndarray of bool, shape (cell_y, cell_x)
    """
    unseen = bits.FILL if gaps_count else bits.FILL | bits.GAP
    filled = across_gaps(mask) if gaps_count else mask
    return ~_has(filled, unseen | reject)


def scores(
    mask: MASK,
    roi: BOOL,
    fast: BOOL,
    *,
    reject: int = bits.PAPER,
    gaps_count: bool = True,
) -> Scores:
    """Score a scene over a region.

    Parameters
    ----------
    mask : ndarray of uint16, shape (cell_y, cell_x)
        Flags of the scene.
    roi, fast : ndarray of bool, shape (cell_y, cell_x)
        The region; its fast-flowing part (only what of it lies in the region counts).
    reject, gaps_count
        See :func:`clear_cells`.

    Returns
    -------
    Scores

    Raises
    ------
    SceneScoreError
        If shapes differ or the region is empty.

    Examples
    --------
    >>> mask = np.array([[bits.CLEAR, bits.CLOUD, bits.FILL, bits.CLEAR]], dtype=np.uint16)
    >>> seen = scores(mask, np.ones((1, 4), bool), np.array([[True, True, False, False]]))
    >>> seen.observed, seen.valid, seen.valid_fast, seen.cloud
    (0.75, 0.5, 0.5, 0.25)
    """
    _check(mask, roi, fast)
    gap, fill = _has(mask, bits.GAP), _has(mask, bits.FILL)
    seen = ~(gap | fill)
    observed = seen | gap if gaps_count and seen.any() else seen
    valid = clear_cells(mask, reject=reject, gaps_count=gaps_count)

    def flagged(flags: int) -> float:
        return _share(seen & _has(mask, flags), roi)

    return Scores(
        observed=_share(observed, roi),
        valid=_share(valid, roi),
        valid_fast=_share(valid, roi & fast),
        cloud=flagged(bits.CLOUD),
        shadow=flagged(bits.SHADOW),
        gap=_share(gap, roi),
        saturated=flagged(bits.SATURATED_ALL),
        snow=flagged(bits.SNOW),
    )


def _share(cells: BOOL, part: BOOL) -> float:
    """Return the fraction of a part's cells; NaN of no part."""
    count = int(np.count_nonzero(part))
    return int(np.count_nonzero(cells & part)) / count if count else math.nan


def _check(mask: MASK, roi: BOOL, fast: BOOL) -> None:
    if not mask.shape == roi.shape == fast.shape or mask.ndim != 2:
        msg = (
            f"the mask has shape {mask.shape}, the region {roi.shape}, its fast part {fast.shape}; "
            "give all three on the same cells (rows, columns)"
        )
        raise SceneScoreError(msg)
    if mask.dtype != np.uint16:
        msg = f"the mask is {mask.dtype}, expected uint16 flags; see quality_bits.flags"
        raise SceneScoreError(msg)
    if not roi.any():
        msg = f"none of the {roi.size} cells is in the region; check its outline and its grid"
        raise SceneScoreError(msg)


def cell_weights(roi: BOOL, fast: BOOL, *, fast_weight: float = 2.0) -> NDArray[np.float64]:
    """Return what each cell of a region weighs in the choice of scenes.

    Parameters
    ----------
    roi, fast : ndarray of bool, shape (cell_y, cell_x)
        The region and its fast-flowing part.
    fast_weight : float
        What a fast cell weighs, another being 1; the paper takes "more complete coverage of rapidly
        flowing areas" first (section 2.4.1) and gives no number.

    Returns
    -------
    ndarray, shape (cell_y, cell_x)
        Weights [1]; 0 outside the region.
    """
    return np.where(roi, np.where(fast, fast_weight, 1.0), 0.0)


def quality(seen: Scores, *, sun_elevation: float) -> float:
    """Return the worth of a scene in one number, to order scenes and to break ties.

    ::

        q = 0.45 V + 0.25 V_fast + 0.10 (O − G) + 0.10 (O − S) + 0.10 h,   G, S ≤ O

    of the valid fractions V, the observed O, gaps G, saturated S, and the height of the sun h, from
    0 at 5° to 1 at 25°.

    Parameters
    ----------
    seen : Scores
        Scores; where no fast part is, its weight goes to the clear view.
    sun_elevation : float
        Of the scene's centre [degrees]; NaN, not known, counts a half.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> quality(Scores(1.0, 1.0, float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0), sun_elevation=30.0)
    1.0
    """
    fast = seen.valid if math.isnan(seen.valid_fast) else seen.valid_fast
    height = (sun_elevation - LOW_SUN) / (HIGH_SUN - LOW_SUN)
    sun = 0.5 if math.isnan(sun_elevation) else min(max(height, 0.0), 1.0)
    worth = (
        CLEAR_WEIGHT * seen.valid
        + FAST_WEIGHT * fast
        + GAP_WEIGHT * max(seen.observed - seen.gap, 0.0)
        + TEXTURE_WEIGHT * max(seen.observed - seen.saturated, 0.0)
        + SUN_WEIGHT * sun
    )
    return min(max(round(worth, 12), 0.0), 1.0)


def rejection(seen: Scores, limits: Limits | None = None) -> str:
    """Return why a scene is no candidate, or "" if it is one.

    Parameters
    ----------
    seen : Scores
        Scores.
    limits : Limits, optional
        What a candidate must show.

    Examples
    --------
    >>> rejection(Scores(1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    '0.0 % of the ROI is clear (QA_PIXEL calls 100.0 % cloud), expected at least 5.0 %'
    """
    limits = limits or Limits()
    if seen.observed == 0.0:
        return "0.0 % of the ROI is inside the scene: its granules hold nothing but fill there"
    if seen.valid < limits.least_valid:
        return (
            f"{_percent(seen.valid)} of the ROI is clear ({_obstacles(seen)}), "
            f"expected at least {_percent(limits.least_valid)}"
        )
    saturated = seen.saturated / seen.observed
    if saturated > limits.most_saturated:
        return (
            f"{_percent(saturated)} of what is seen is saturated in red, green and blue, "
            f"expected at most {_percent(limits.most_saturated)}"
        )
    return ""


def _obstacles(seen: Scores) -> str:
    """Say what hides the region: clouds, shadows, the edge of the scene."""
    parts = [f"QA_PIXEL calls {_percent(seen.cloud)} cloud"]
    if seen.shadow >= 0.0005:
        parts.append(f"{_percent(seen.shadow)} cloud shadow")
    other = seen.observed - seen.valid - seen.cloud - seen.shadow - seen.gap
    if other >= 0.0005:
        parts.append(f"{_percent(other)} has other rejected flags")
    if seen.observed < 0.9995:
        parts.append(f"{_percent(1.0 - seen.observed)} is outside the scene")
    return ", ".join(parts)


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.1f} %"


def as_columns(seen: Scores) -> dict[str, float]:
    """Return the scores by name, as a table or an item holds them; NaN where there is none."""
    return dataclasses.asdict(seen)
