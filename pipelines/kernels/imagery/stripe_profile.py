"""Share of the ground that gaps take, from one edge of the swath to the other; what is recorded.

Works on shares only, so that thinned-out scenes, on which stripes alias, can be profiled too.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from pipelines.kernels.imagery.scanline_gaps import GAP_SOURCES, GapError, GapSource
from pipelines.kernels.imagery.stripes import Stripes

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]

_WHOLE_LINE = 0.9
"""Scan lines shorter than this share of the longest ones were cut by the end of the scene."""

_TURN_DEG = 3.0


@dataclass(frozen=True)
class Profile:
    """Gaps across a swath.

    Attributes
    ----------
    position : ndarray, shape (bins,)
        Middle of each bin: 0 at one edge of the swath, 1 at the other, along `azimuth_deg`.
    fraction : ndarray, shape (bins,)
        Share of the pixels that are in gaps; NaN without pixels.
    pixels : ndarray of int, shape (bins,)
        Pixels counted.
    """

    position: FLOAT
    fraction: FLOAT
    pixels: NDArray[np.int64]


@dataclass(frozen=True)
class GapRecord:
    """What a product says of the gaps of a scene.

    Attributes
    ----------
    fraction : float
        Share of the swath in gaps.
    period_m : float
        Distance of stripes across [m]; NaN if none were measured, as all that follow.
    azimuth_deg : float
        Direction of the stripes, see `stripes.Stripes` [degrees].
    width_edge_m, width_nadir_m : float
        Width of gaps at the widest place measured, and at the narrowest [m].
    source : {"fill", "file", "geometry"}
        Where the mask is from.
    """

    fraction: float
    period_m: float
    azimuth_deg: float
    width_edge_m: float
    width_nadir_m: float
    source: GapSource

    def to_dict(self) -> dict[str, float | str | None]:
        """Return it as attributes of a product; what was not measured is None, as JSON asks."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


def record(
    gap: BOOL,
    valid: BOOL,
    stripes: Stripes | None,
    *,
    source: GapSource,
    origin: tuple[int, int] = (0, 0),
) -> GapRecord:
    """Return what is recorded of the gaps of a scene or window.

    Parameters
    ----------
    gap, valid : ndarray of bool, shape (y, x)
        Where gaps are, and where there are data.
    stripes : Stripes, optional
        What `stripe_geometry.measure` made of them.
    source : {"fill", "file", "geometry"}
        Where the mask is from.
    origin : tuple of int
        Row and column at the first pixel, as they were measured with.

    Raises
    ------
    GapError
        Another source; masks of different shapes.
    """
    if source not in GAP_SOURCES:
        msg = f"found source {source!r}, expected one of {', '.join(GAP_SOURCES)}"
        raise GapError(msg)
    inside = _swath(gap, valid)
    fraction = int(np.count_nonzero(gap)) / int(np.count_nonzero(inside))
    if stripes is None:
        return GapRecord(fraction, math.nan, math.nan, math.nan, math.nan, source)
    row, column = np.nonzero(inside)
    t = math.radians(stripes.azimuth_deg)
    u = (column + origin[1]) * math.cos(t) + (row + origin[0]) * math.sin(t)
    nearest = float(np.clip(stripes.centre_px, u.min(), u.max()))
    widest = max(stripes.width_at(float(u.min())), stripes.width_at(float(u.max())))
    return GapRecord(
        fraction=fraction,
        period_m=stripes.period_m,
        azimuth_deg=stripes.azimuth_deg,
        width_edge_m=widest * stripes.spacing_m,
        width_nadir_m=stripes.width_at(nearest) * stripes.spacing_m,
        source=source,
    )


def across_track(
    gap: BOOL, valid: BOOL, *, azimuth_deg: float, bins: int = 20, lines_px: float = 1.0
) -> Profile:
    """Return the share of gaps by distance across the track, from edge to edge.

    The ends of a scan line are the first and the last pixel of the swath on it; lines that the end
    of the scene has cut are left out.

    Parameters
    ----------
    gap, valid : ndarray of bool, shape (y, x)
        Where gaps are, and where there are data; of a whole scene.
    azimuth_deg : float
        Direction of the scan lines [degrees], see `stripes`; `scan_azimuth`.
    bins : int
        How many parts of equal width.
    lines_px : float
        Width of what is taken as one line [pixels].

    Raises
    ------
    GapError
        Masks of different shapes, without any swath; no bins.
    """
    if bins < 1 or not lines_px > 0:
        msg = f"found {bins} bins on lines of {lines_px} pixels, expected 1 bin and width or more"
        raise GapError(msg)
    inside = _swath(gap, valid)
    along, line = _lines(inside, azimuth_deg=azimuth_deg, lines_px=lines_px)
    first, last = _ends(along, line)
    length = last - first
    usual = np.quantile(length[np.isfinite(length)], 0.9)
    whole = length >= _WHOLE_LINE * usual
    chosen = whole[line]
    place = (along[chosen] - first[line[chosen]]) / np.maximum(length[line[chosen]], 1e-9)
    part = np.minimum((place * bins).astype(np.int64), bins - 1)
    pixels = np.bincount(part, minlength=bins)
    missing = np.bincount(part, gap[inside][chosen], minlength=bins)
    fraction = np.divide(missing, pixels, out=np.full(bins, np.nan), where=pixels > 0)
    return Profile((np.arange(bins) + 0.5) / bins, fraction, pixels)


def between_edges(valid: BOOL, *, azimuth_deg: float, lines_px: float = 1.0) -> BOOL:
    """Return missing pixels between the first and the last valid one of their scan line.

    For whole scenes thinned out so much that gaps cannot be told by their width; on full pixels
    `scanline_gaps.gap_mask` is better, which no missing patch deceives.

    Parameters
    ----------
    valid : ndarray of bool, shape (y, x)
        Where there are data.
    azimuth_deg : float
        Direction of the scan lines [degrees], see `stripes`; `scan_azimuth`.
    lines_px : float
        Width of what is taken as one line [pixels]; at least a period of the stripes, or whole
        lines lie in a gap from the edge on. Pixels of 600 m hold most of one already.

    Raises
    ------
    GapError
        Nothing is valid.
    """
    _swath(np.zeros_like(valid), valid)
    along, line = _lines(np.ones_like(valid), azimuth_deg=azimuth_deg, lines_px=lines_px)
    known = valid.ravel()
    first, last = _ends(along, line, known)
    inside = (along >= first[line]) & (along <= last[line]) & ~known
    return np.asarray(inside.reshape(valid.shape))


def scan_azimuth(valid: BOOL) -> float:
    """Return the direction of scan lines by the outline of a whole scene [degrees], in [0, 180).

    The outline is a parallelogram: two sides run along scans, two along the track. Those along
    scans are longer (real scenes: 185 to 200 km against 170 km).

    Parameters
    ----------
    valid : ndarray of bool, shape (y, x)
        Where there are data; of a whole scene, not of a window, nor of one that was cut.

    Raises
    ------
    GapError
        No outline: nothing valid, or a line only.
    """
    _swath(np.zeros_like(valid), valid)
    rows = np.flatnonzero(valid.any(axis=1))
    first = valid[rows].argmax(axis=1)
    last = valid.shape[1] - 1 - valid[rows, ::-1].argmax(axis=1)
    points = np.array([np.r_[first, last], np.r_[rows, rows]], dtype=np.float64).T
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError as error:
        msg = "found valid pixels on one line only, expected the outline of a whole scene"
        raise GapError(msg) from error
    sides = np.roll(corners, -1, axis=0) - corners
    azimuth = np.degrees(np.arctan2(sides[:, 1], sides[:, 0])) % 180.0
    candidates = np.arange(1800) / 10.0
    turn = (azimuth[:, None] - candidates + 90.0) % 180.0 - 90.0
    length = np.hypot(sides[:, 0], sides[:, 1]) @ np.exp(-0.5 * (turn / _TURN_DEG) ** 2)
    return float(candidates[length.argmax()])


def _lines(inside: BOOL, *, azimuth_deg: float, lines_px: float) -> tuple[FLOAT, NDArray[np.int64]]:
    """Return place along its scan line, and number of the line, of pixels inside."""
    row, column = np.nonzero(inside)
    t = math.radians(azimuth_deg)
    along = column * math.cos(t) + row * math.sin(t)
    line = np.floor((row * math.cos(t) - column * math.sin(t)) / lines_px).astype(np.int64)
    return along, line - line.min()


def _ends(along: FLOAT, line: NDArray[np.int64], chosen: BOOL | None = None) -> tuple[FLOAT, FLOAT]:
    """Return first and last place on each line; inf and −inf on lines without any."""
    first = np.full(int(line.max()) + 1, np.inf)
    last = -first
    which = slice(None) if chosen is None else chosen
    np.minimum.at(first, line[which], along[which])
    np.maximum.at(last, line[which], along[which])
    return first, last


def _swath(gap: BOOL, valid: BOOL) -> BOOL:
    """Return gaps and data together; refuse masks that are none, or empty."""
    if gap.shape != valid.shape or gap.ndim != 2 or {gap.dtype, valid.dtype} != {np.dtype(bool)}:
        msg = (
            f"found gap {gap.dtype} {gap.shape} and valid {valid.dtype} {valid.shape}, expected "
            "two masks of one shape (y, x)"
        )
        raise GapError(msg)
    if not valid.any():
        msg = f"found no valid pixel in {valid.shape}, expected a scene; leave empty ones out"
        raise GapError(msg)
    return gap | valid
