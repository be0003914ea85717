"""Which ground Landsat 7 missed since its scan line corrector failed, from how its mirror moved.

The mirror sweeps 16 detectors across the flight, there and back, while the satellite moves on by
half a cycle's advance P/2. The corrector made sweeps parallel; without it they zigzag. With s from
−1 at the left edge of the swath to 1 at the right, the sweep number k lies at

    v_k(s) = P/2 (k + ½ a (−1)^k s)        a: part of the time of a sweep in which it looks

and is P/2 wide, widened by the bow-tie at the edges. Where neighbours sweep apart there is a gap,

    w(s) = P/2 a |s| − widening,

one for each cycle of two sweeps, on the left half of the swath half a period from the right.
Gaps of less than two pixels were interpolated (``SCAN_GAP_INTERPOLATION = 2.0``), so the middle
fifth is whole. Nothing here is fitted to an image, but P, and a from the width at the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.worlds.landsat_passes import HALF_SWATH_M
from pipelines.worlds.place_noise import hashed_gaussian

FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

PIXEL_M = 30.0
PERIOD_PX = 33.03
"""Advance of a cycle of the mirror, P [pixels]: measured on two real masks (33.03 and 33.04)."""
EDGE_PX = 14.4
"""Width of a gap at the edge of the swath [pixels]: measured 14.4 and 13.9."""
BOW_TIE_PX = 0.14
"""How much wider a sweep is at the edges: 16 px (1 / cos 7.5° − 1) [pixels]."""
INTERPOLATED_PX = 2.0
JITTER_PX = 0.2
"""Largest displacement of a sweep [pixels]."""
BAND_PX = {
    "blue": 0.0, "green": 0.45, "red": 0.9, "nir08": -0.45, "swir16": -0.9, "swir22": -1.0,
}  # fmt: skip
"""Displacement of the gaps of a band along the flight [pixels]."""
DETECTORS = 16


def gap(across: FLOAT, along: FLOAT, *, phase: float, band: str, seed: int) -> BOOL:
    """Return where a band has nothing between the sweeps.

    Parameters
    ----------
    across, along : ndarray, shapes that broadcast to (ny, nx)
        Place in the swath, see :meth:`~pipelines.worlds.landsat_passes.Swath.frame` [m].
    phase : float
        Where the cycle begins at the frame's origin, 0 to 1 [cycles].
    band : str
        Gaps of bands lie up to 2 px apart.
    seed : int
        Of the jitter of the sweeps.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True in a gap, and beyond the swath's edge as if it went on.
    """
    s = across / HALF_SWATH_M
    v = along / PIXEL_M - BAND_PX[band] - phase * PERIOD_PX
    half = 0.5 * (PERIOD_PX / 2.0 + BOW_TIE_PX * s**2)
    missed = np.asarray(EDGE_PX * np.abs(s) >= INTERPOLATED_PX)
    for parity in (0, 1):
        missed = missed & (np.abs(_from_sweep(s, v, parity, seed)[0]) > half)
    return missed


def detector(across: FLOAT, along: FLOAT, *, phase: float, seed: int) -> NDArray[np.int64]:
    """Return which row of the 16 detectors, of which of the two sweeps, saw a place, 0 to 31."""
    s, v = across / HALF_SWATH_M, along / PIXEL_M - phase * PERIOD_PX
    forward, reverse = (_from_sweep(s, v, parity, seed)[0] for parity in (0, 1))
    back = np.abs(reverse) < np.abs(forward)
    offset = np.where(back, reverse, forward) / (PERIOD_PX / 2.0) + 0.5
    row = np.clip(np.floor(offset * DETECTORS), 0, DETECTORS - 1).astype(np.int64)
    return np.asarray(row + DETECTORS * back)


def _from_sweep(s: FLOAT, v: FLOAT, parity: int, seed: int) -> tuple[FLOAT, NDArray[np.int64]]:
    """Return how far places are ahead of the nearest sweep of a direction [pixels], and its k."""
    looking = (EDGE_PX + BOW_TIE_PX) / (PERIOD_PX / 2.0)
    slant = 0.5 * looking * (1.0 if parity == 0 else -1.0) * s
    cycles = np.rint((v / (PERIOD_PX / 2.0) - slant - parity) / 2.0).astype(np.int64)
    k = 2 * cycles + parity
    first = int(k.min())
    jitter = hashed_gaussian(
        np.arange(first, int(k.max()) + 1), np.zeros(1, dtype=np.int64), seed=seed * 7 + 3
    )[0]
    shift = np.clip(jitter * JITTER_PX / 2.0, -JITTER_PX, JITTER_PX)
    return v - PERIOD_PX / 2.0 * (k + slant) - shift[k - first], k
