"""The stripes that a broken scan line corrector leaves, as eight numbers; drawn from them.

With the corrector off, scans zigzag. Between two of them lies a wedge without data, once per full
cycle of the mirror (2 × 16 lines); it narrows from the edge of the swath to nothing at nadir. In
the other half of the swath the wedges lie between the other pairs of scans, half a period on.

Coordinates are pixels: x the column, y the row (downwards), integers at pixel centres, counted
from the corner of the scene, or from wherever `origin` counts. Along and across the stripes::

    u = x cos t + y sin t        v = −x sin t + y cos t

with t from the direction of columns clockwise as seen, pointing to where stripes widen.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery.scanline_gaps import GapError

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]

PIXEL_M = 30.0
"""Spacing of the multispectral bands of Landsat 7 [m]."""

PERIOD_M = (970.0, 995.0)
"""Distance of stripes across [m]; four real masks have 973, 973, 991 and 991."""

NARROWING = (4.15, 4.30)
"""Pixels of width lost per 1000 pixels towards nadir; real masks have 4.18, 4.22, 4.24, 4.28."""

HALF_SWATH_M = 100e3
"""Nadir to the edge of the SLC-off swath, its ragged edge included [m]; a real scene has 100.0."""

INTACT_M = 22e3
"""Width of the strip at nadir without gaps [m] (USGS); gaps under 1.5 pixels are filled there."""

_ROWS_AT_ONCE = 256
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Stripes:
    """Gaps of one band of a scene, see the module for coordinates.

    With the line of nadir c = edge_px − 1000 width_px / narrowing and n any integer, a pixel is in
    a gap if it is outside the intact strip and::

        |v − phase_px − n P|       < (narrowing / 2000) (u − c)      on the side that t points to
        |v − phase_px − n P − P/2| < (narrowing / 2000) (c − u)      on the other

    Attributes
    ----------
    azimuth_deg : float
        Direction t of the stripes [degrees], in [0, 360): 0 along the row to the right, 90 down.
    period_px : float
        Distance P of their centre lines, across [pixels].
    phase_px : float
        v of a centre line on the side that t points to [pixels], in [0, P).
    width_px : float
        Width across at the reference edge [pixels].
    narrowing : float
        Width lost per 1000 pixels towards nadir, not negative [pixels per 1000 pixels]; 0: there
        is no nadir, and no other half.
    edge_px : float
        u of the reference edge [pixels]: of the widest place measured, or of the swath's edge.
    spacing_m : float
        Size of a pixel [m].
    intact_px : float
        Width of the strip at nadir whose gaps, too narrow, were filled [pixels].
    jitter_px : float
        Largest deviation of a centre line from where the period puts it [pixels].
    seed : int
        Which deviations, if there are any.
    """

    azimuth_deg: float
    period_px: float
    phase_px: float
    width_px: float
    narrowing: float
    edge_px: float
    spacing_m: float = PIXEL_M
    intact_px: float = 0.0
    jitter_px: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that draw no stripes.

        Raises
        ------
        GapError
            Not finite, no period, a width of a period or more, or negative where none may be.
        """
        sizes = (self.width_px, self.narrowing, self.intact_px, self.jitter_px)
        places = (self.azimuth_deg, self.period_px, self.phase_px, self.edge_px, self.spacing_m)
        finite = all(math.isfinite(number) for number in (*sizes, *places))
        if not finite or min(sizes) < 0 or self.spacing_m <= 0 or self.width_px >= self.period_px:
            msg = (
                f"found {self}, expected finite numbers, a width below the period, and neither "
                "width, narrowing, intact strip nor jitter below 0; measure the gaps again"
            )
            raise GapError(msg)

    @property
    def centre_px(self) -> float:
        """Line of nadir, where widths reach 0: its u [pixels]; −inf if stripes do not narrow."""
        if self.narrowing == 0:
            return -math.inf
        return self.edge_px - 1000.0 * self.width_px / self.narrowing

    @property
    def period_m(self) -> float:
        """Distance of centre lines across [m]."""
        return self.period_px * self.spacing_m

    @property
    def row_period_px(self) -> float:
        """Distance of centre lines down a column [pixels]; inf if they run down columns."""
        tilt = abs(math.cos(math.radians(self.azimuth_deg)))
        return self.period_px / tilt if tilt > 1e-12 else math.inf

    def width_at(self, u: float) -> float:
        """Return the width across at u [pixels]; not negative, 0 in the intact strip."""
        if self.narrowing == 0:
            return self.width_px
        distance = abs(u - self.centre_px)
        return 0.0 if distance < self.intact_px / 2 else distance * self.narrowing / 1000.0


def render(stripes: Stripes, shape: tuple[int, int], *, origin: tuple[int, int] = (0, 0)) -> BOOL:
    """Draw both halves of a scene's gaps on a block of it.

    Parameters
    ----------
    stripes : Stripes
        What to draw.
    shape : tuple of int
        Rows and columns of the block.
    origin : tuple of int
        Row and column of the scene at the block's first pixel. A pixel of the scene is the same
        in every block that holds it.

    Returns
    -------
    ndarray of bool, shape `shape`
        True in gaps.
    """
    out = np.empty(shape, dtype=np.bool_)
    x = np.arange(origin[1], origin[1] + shape[1], dtype=np.float64)
    for first in range(0, shape[0], _ROWS_AT_ONCE):
        rows = slice(first, min(first + _ROWS_AT_ONCE, shape[0]))
        y = np.arange(origin[0] + rows.start, origin[0] + rows.stop, dtype=np.float64)
        out[rows] = edge_distance(stripes, x, y[:, None]) < 0.0
    return out


def edge_distance(stripes: Stripes, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return how far points lie outside of the nearest gap, across; negative inside [pixels].

    Parameters
    ----------
    stripes : Stripes
        The gaps.
    x, y : ndarray
        Columns and rows, of shapes that broadcast [pixels].
    """
    t = math.radians(stripes.azimuth_deg)
    u = x * math.cos(t) + y * math.sin(t)
    v = y * math.cos(t) - x * math.sin(t) - stripes.phase_px
    if stripes.narrowing == 0:
        return _off_centre(stripes, v, half=0) - stripes.width_px / 2
    from_nadir = u - stripes.centre_px
    this = from_nadir >= 0
    off = np.where(this, _off_centre(stripes, v, half=0), _off_centre(stripes, v, half=1))
    distance = np.abs(from_nadir)
    outside = off - distance * (stripes.narrowing / 2000.0)
    return np.where(distance < stripes.intact_px / 2, np.maximum(outside, off + 1.0), outside)


def _off_centre(stripes: Stripes, v: FLOAT, *, half: int) -> FLOAT:
    """Return the distance across to the nearest centre line of one half [pixels]."""
    in_periods = v / stripes.period_px - 0.5 * half
    count = np.floor(in_periods + 0.5)
    off = (in_periods - count) * stripes.period_px
    if stripes.jitter_px:
        first, last = int(count.min()), int(count.max())
        moves = _deviations(stripes.seed, np.arange(first, last + 1), half=half)
        off = off - stripes.jitter_px * moves[(count - first).astype(np.int64)]
    return np.abs(off)


def _deviations(seed: int, count: NDArray[np.int64], *, half: int) -> FLOAT:
    """Return numbers in [−1, 1) that only the seed, the stripe and its half decide (SplitMix64)."""
    mixed = np.array(2 * count + half, dtype=np.int64).astype(np.uint64)
    mixed = (mixed + np.full_like(mixed, seed % 2**63)) * _GOLDEN
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def simulate(
    rng: np.random.Generator,
    *,
    nadir: tuple[float, float],
    bands: int = 3,
    spacing: float = PIXEL_M,
    azimuth_deg: float | None = None,
) -> tuple[Stripes, ...]:
    """Draw the stripes of a scene's bands by chance, of the geometry that real masks have.

    Azimuth and phase are uniform: in a polar projection stripes may run anywhere, and no two
    scenes have one phase. Bands are up to 1 pixel apart, centre lines within ±0.2 pixels.

    Parameters
    ----------
    rng : Generator
        The source of chance.
    nadir : tuple of float
        Row and column of a point on the line of nadir [pixels].
    bands : int
        How many bands.
    spacing : float
        Size of a pixel [m].
    azimuth_deg : float, optional
        Direction of the stripes [degrees], if it is known.

    Returns
    -------
    tuple of Stripes
        One per band; a product's gaps are those of all its bands together.
    """
    azimuth = rng.uniform(0.0, 360.0) if azimuth_deg is None else azimuth_deg % 360.0
    period = rng.uniform(*PERIOD_M) / spacing
    narrowing, phase = rng.uniform(*NARROWING), rng.uniform(0.0, period)
    seed, t, reach = int(rng.integers(2**31)), math.radians(azimuth), HALF_SWATH_M / spacing
    edge = nadir[1] * math.cos(t) + nadir[0] * math.sin(t) + reach
    return tuple(
        Stripes(
            azimuth_deg=azimuth,
            period_px=period,
            phase_px=float((phase + rng.uniform(-1.0, 1.0) * PIXEL_M / spacing) % period),
            width_px=narrowing * reach / 1000.0,
            narrowing=narrowing,
            edge_px=edge,
            spacing_m=spacing,
            intact_px=INTACT_M / spacing,
            jitter_px=0.2 * PIXEL_M / spacing,
            seed=seed,
        )
        for _ in range(bands)
    )
