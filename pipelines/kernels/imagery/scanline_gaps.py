"""Which missing pixels of a Landsat 7 scene are gaps of its broken scan line corrector (SLC).

Since the SLC failed, scans zigzag: wedges of the ground, up to 14.4 pixels wide at the edges of the
swath and nothing at nadir, were never seen. Level-1 bands hold 0 there, as they do outside the
scene. `gap_mask` tells both apart, `slc_state` compares what was found with the date.
"""

import math
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

BOOL = NDArray[np.bool_]
Sides = tuple[tuple[int, int, int], ...]
"""Segments (rows down, columns right, cells) whose sum is a shape."""
GapSource = Literal["fill", "file", "geometry"]
"""Where a mask of gaps is from: the fill of bands, official gap-mask files, drawn stripes."""
GAP_SOURCES: tuple[GapSource, ...] = get_args(GapSource)

SLC_FAILURE = datetime(2003, 5, 31, 21, 42, 35, tzinfo=UTC)
"""The scan line corrector of Landsat 7 failed (USGS)."""

WIDEST_GAP_PX = 16.0
"""No gap is wider across [pixels of 30 m]; the widest real one measured is 14.4."""

PIXEL_M = 30.0
"""Size of the pixels that widths are told in [m]."""

HALO_PX = 17
"""Pixels of 30 m that a block must be read with on each side for the mask the whole would give."""

UNBIASED_M = 300.0
"""Up to such cells `gap_mask` is unbiased; above 700 m they skip from stripe to stripe."""

LEAST_FRACTION = 0.01
"""Share of a swath in gaps from which a scene is said to have stripes; whole scenes lack 0.21."""

_REACH_M = HALO_PX * PIXEL_M
_LEAST_SIDE = 2
"""Cells from the first to the last of a shape; at 600 m two neighbours may lie in two gaps."""


class GapError(ValueError):
    """Masks, platforms or dates that tell nothing of gaps."""


@dataclass(frozen=True)
class SlcState:
    """Whether a scene was taken with the SLC off, said twice.

    Attributes
    ----------
    by_date : bool
        Landsat 7 after the failure.
    by_gaps : bool
        Gaps were found. A window near nadir has none after the failure either.
    agrees : bool
        Both say the same.
    """

    by_date: bool
    by_gaps: bool
    agrees: bool

    def to_dict(self) -> dict[str, bool]:
        """Return it as attributes of a product."""
        return asdict(self)


def is_slc_off(platform: str, day: date | datetime | str) -> bool:
    """Say whether a scene was taken by Landsat 7 after its scan line corrector failed.

    Parameters
    ----------
    platform : str
        As ``landsat-7`` or ``LANDSAT_7``.
    day : date, datetime or str
        UTC; text in ISO 8601. The day of the failure counts as after it, if no time is given.

    Raises
    ------
    GapError
        Not a Landsat, or not a date.

    Examples
    --------
    >>> is_slc_off("landsat-7", "2003-05-31T14:10:00Z"), is_slc_off("landsat-7", "2003-06-01")
    (False, True)
    """
    name = platform.lower().replace("_", "-")
    if not name.startswith("landsat-") or not name[8:].isdigit():
        msg = f"found platform {platform!r}, expected one as 'landsat-7'; name it as its item does"
        raise GapError(msg)
    when = _instant(day)
    after = when >= SLC_FAILURE if isinstance(when, datetime) else when >= SLC_FAILURE.date()
    return int(name[8:]) == 7 and after


def _instant(day: date | datetime | str) -> date | datetime:
    if isinstance(day, str):
        try:
            day = date.fromisoformat(day) if len(day) == 10 else datetime.fromisoformat(day)
        except ValueError as error:
            msg = f"found date {day!r}, expected ISO 8601 such as 2010-12-24T16:38:00Z"
            raise GapError(msg) from error
    if isinstance(day, datetime) and day.tzinfo is None:
        return day.replace(tzinfo=UTC)
    return day


def has_stripes(gap_pixels: int, swath_pixels: int) -> bool:
    """Say whether gaps take `LEAST_FRACTION` of the swath or more; never of an empty one.

    Parameters
    ----------
    gap_pixels, swath_pixels : int
        Pixels in gaps, and all pixels between the edges of the swath; sums over blocks.

    Raises
    ------
    GapError
        More gaps than swath, or negative.
    """
    if not 0 <= gap_pixels <= swath_pixels:
        msg = (
            f"found {gap_pixels} gap pixels in {swath_pixels} pixels of swath, expected no more "
            "gaps than swath; count gaps within the swath, and the swath with its gaps"
        )
        raise GapError(msg)
    return swath_pixels > 0 and gap_pixels >= LEAST_FRACTION * swath_pixels


def slc_state(
    platform: str, day: date | datetime | str, *, gap_pixels: int, swath_pixels: int
) -> SlcState:
    """Compare what a date says of the scan line corrector with the gaps that were found."""
    by_date, by_gaps = is_slc_off(platform, day), has_stripes(gap_pixels, swath_pixels)
    return SlcState(by_date, by_gaps, by_date == by_gaps)


def halo_px(spacing: float = PIXEL_M) -> int:
    """Return the cells of `spacing` metres that a block must be read with on each side.

    >>> [halo_px(spacing) for spacing in (30.0, 60.0, 90.0, 300.0, 600.0)]
    [17, 9, 6, 2, 2]
    """
    if not (math.isfinite(spacing) and spacing > 0):
        msg = f"found cells of {spacing} m, expected a size above 0; give the spacing of the mask"
        raise GapError(msg)
    return max(math.ceil(_REACH_M / spacing - 1e-6), _LEAST_SIDE)


def parts_of(spacing: float) -> int:
    """Return into how many parts a side of a cell is cut so that gaps can be told on the parts.

    An odd number, so that the middle of the cell is the middle of a part; parts are whole pixels.
    1 for cells up to `UNBIASED_M`, and where there is no such number.

    >>> [parts_of(spacing) for spacing in (30.0, 300.0, 600.0, 900.0, 3000.0)]
    [1, 1, 5, 3, 25]
    """
    pixels, most = round(spacing / PIXEL_M), round(UNBIASED_M / PIXEL_M)
    if pixels <= most:
        return 1
    odd = (n for n in range(3, pixels + 1, 2) if pixels % n == 0 and pixels // n <= most)
    return next(odd, 1)


def gap_mask(fill: BOOL, *, spacing: float = PIXEL_M) -> BOOL:
    """Return the missing pixels that lie inside the swath, in strips too narrow for its outside.

    ::

        gap = fill ∧ ¬(fill ∘ O) ∧ ¬(fill ∘ S)

    ``∘`` is the opening: what the octagon O (509 m between opposite sides, or little more) and the
    square S (510 m from the first cell to the last, or little more) cover as they move about
    without touching a valid pixel is outside the swath, or a patch that something else took: a cut
    scene, lost scans. Neither enters a strip up to 17 pixels of 30 m wide, however it runs.

    Parameters
    ----------
    fill : ndarray of bool, shape (..., ny, nx)
        True where a band has no value, or an official gap mask says 0; of several bands, any.
    spacing : float
        Size of a pixel, or of the cell that it stands for [m]; `UNBIASED_M` at most, or `parts_of`.

    Returns
    -------
    ndarray of bool, shape (..., ny, nx)

    Raises
    ------
    GapError
        Not boolean, or smaller than the square.

    Notes
    -----
    * A block read with `halo_px` more on every side that has more gives what the whole gives.
    * Only shapes that lie within the array prove an outside: where the array cuts a swath, its
      gaps stay gaps, and an outside less than 540 m wide along the array's edge is called gap.
    * Where a gap opens to the outside, the shapes enter by 240 m at most: called outside. In
      corners of a missing patch that is turned, some 15 pixels are left that are called gap.
    * Cells of 60 to 300 m that have the pixel in their middle differ from the mask of all pixels
      there by less than 0.1 %, of 600 m by 0.3 % (simulated stripes across the swath's edge).
    * Single missing pixels in the swath are gaps too: missing between valid ones.
    """
    halo = halo_px(spacing)
    _require_mask(fill, halo)
    octagon, square = _shapes(halo, spacing=spacing)
    return np.asarray(fill & ~_opened(fill, octagon, halo) & ~_opened(fill, square, halo))


def _shapes(halo: int, *, spacing: float) -> tuple[Sides, Sides]:
    """Return octagon and square, ``halo + 1`` cells across; the octagon's corners are cut off.

    A diagonal side of b cells leaves ``√2 (halo − b + 1)`` cells across that diagonal. Larger cells
    need all of the square, as few of its cells lie in one gap and others in the next.
    """
    across = (_REACH_M - 1.0) / (math.sqrt(2.0) * spacing)
    cut = max(math.floor(halo - across), 0) if spacing <= UNBIASED_M else 0
    side, diagonal = halo - 2 * cut + 1, cut + 1
    octagon = ((0, 1, side), (1, 0, side), (1, 1, diagonal), (1, -1, diagonal))
    return octagon, ((0, 1, halo + 1), (1, 0, halo + 1))


def _opened(fill: BOOL, sides: Sides, halo: int) -> BOOL:
    """Return what a shape covers as it moves about on True pixels; `sides` sum up to the shape."""
    free = fill
    for down, right, length in sides:
        free = _all_along(free, down=down, right=right, length=length)
    if not free.any():
        return np.zeros(fill.shape, dtype=np.bool_)
    taken = ~np.pad(free, [(0, 0)] * (fill.ndim - 2) + [(halo, halo)] * 2)
    for down, right, length in sides:
        taken = _all_along(taken, down=down, right=right, length=length)
    return np.asarray(~taken)


def _all_along(mask: BOOL, *, down: int, right: int, length: int) -> BOOL:
    """Return where all pixels of segments are True; by doubling, in the fewest passes.

    Shape shrinks by ``length − 1`` along each axis that the segment moves on.
    """
    done = 1
    while done < length:
        step = min(done, length - done)
        ny, nx = mask.shape[-2] - down * step, mask.shape[-1] - abs(right) * step
        first, second = (0, step * right) if right >= 0 else (step, 0)
        mask = (
            mask[..., :ny, first : first + nx]
            & mask[..., down * step : down * step + ny, second : second + nx]
        )
        done += step
    return mask


def _require_mask(fill: BOOL, halo: int) -> None:
    if fill.dtype != np.bool_ or fill.ndim < 2 or min(fill.shape[-2:]) <= halo:
        msg = (
            f"found {fill.dtype} of shape {fill.shape}, expected bool (..., ny, nx) of at least "
            f"{halo + 1} × {halo + 1} pixels; read the block with its halo of {halo}"
        )
        raise GapError(msg)
