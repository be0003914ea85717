"""Measure the stripes of a scene without scan line corrector, and draw what was measured.

The strongest wave of the mask says where the stripes run and how far apart; least squares on the
edges of the gaps then finds azimuth, period, phase, width and narrowing together, first in the
window with most gaps, then in ever larger ones. What was not seen, under clouds or outside of the
swath, takes no part. Some ten thousand pixels, spread by chance from a fixed seed, stand for a
window: more do not move the edges, and every pass over more is paid for in memory.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from pipelines.kernels.imagery.scanline_gaps import GapError
from pipelines.kernels.imagery.stripe_edges import Fit, Samples, closest, edge_distance
from pipelines.kernels.imagery.stripes import PIXEL_M, Stripes, render, simulate

__all__ = ["PIXEL_M", "Stripes", "agreement", "measure", "render", "simulate"]

BOOL = NDArray[np.bool_]
FLOAT = NDArray[np.float64]

POSSIBLE_PERIOD_M = (800.0, 1250.0)
"""Distances of stripes that are looked for, across [m]: 990 stretched by any map in use."""

LEAST_STRIPES = 3
LEAST_AGREEMENT = 0.5
"""Fewer stripes, or a smaller intersection over union with the mask, are no measurement."""

_LEAST_PERIOD_PX = 4.0
_WINDOW_M = 15_360.0
_MOST_SAMPLES = 40_000
_MOST_EDGES = 16_000
_BESIDE_NADIR_PX = 25.0
_NADIR_SEEN_PX = 100.0


def measure(
    gap: BOOL, valid: BOOL, *, spacing: float = PIXEL_M, origin: tuple[int, int] = (0, 0)
) -> Stripes | None:
    """Return the stripes that a mask of gaps has, None if it has too few to tell.

    Least squares of a logistic edge: with e the distance outside of the nearest gap
    (`stripes.edge_distance`) and g the mask, over the pixels near edges::

        min Σ (g − 1 / (1 + exp(e / s)))²        s = 1, then 0.4, then 0.15 pixels

    Parameters
    ----------
    gap : ndarray of bool, shape (y, x)
        True in gaps.
    valid : ndarray of bool, shape (y, x)
        True where there are data. Pixels that are neither are unknown and take no part.
    spacing : float
        Size of a pixel [m].
    origin : tuple of int
        Row and column of the scene at the first pixel.

    Returns
    -------
    Stripes or None
        None with fewer than three stripes, stripes that do not fit the mask by half (intersection
        over union), or pixels so large that they cannot show them.

    Raises
    ------
    GapError
        Masks of different shapes, not boolean, or both true in a pixel.
    """
    _require_masks(gap, valid)
    periods = (POSSIBLE_PERIOD_M[0] / spacing, POSSIBLE_PERIOD_M[1] / spacing)
    if periods[0] < _LEAST_PERIOD_PX or not gap.any():
        return None
    size = round(_WINDOW_M / spacing)
    window = _densest(gap, size=size)
    fit = _strongest_wave(gap, valid, window, periods=periods)
    while fit is not None:
        samples = _samples(gap, valid, window)
        fit = _refined(fit, samples, periods=periods)
        if fit is None or not _is_convincing(fit, samples):
            return None
        if _is_whole(window, gap.shape):
            intact = _intact(fit, samples)
            if intact:
                # Gaps that were filled beside nadir pull the widths down as long as they take part.
                beyond = np.abs(_from_nadir(fit, samples)) >= intact / 2 + _BESIDE_NADIR_PX
                fit = _refined(fit, samples.at(beyond), periods=periods) or fit
            return _as_stripes(fit, samples, spacing=spacing, origin=origin)
        window = _larger(window, gap.shape)
    return None


def agreement(
    stripes: Stripes, gap: BOOL, valid: BOOL, *, origin: tuple[int, int] = (0, 0)
) -> float:
    """Return intersection over union of drawn stripes and a mask of gaps, where it is known.

    Parameters
    ----------
    stripes : Stripes
        What is drawn.
    gap, valid : ndarray of bool, shape (y, x)
        What is missing, and what was measured; of the rest nothing is known.
    origin : tuple of int
        Row and column of the first pixel in the frame of the stripes.

    Returns
    -------
    float
        [1]; NaN where neither has a gap.

    Raises
    ------
    GapError
        As `measure`.
    """
    _require_masks(gap, valid)
    drawn = render(stripes, (gap.shape[0], gap.shape[1]), origin=origin) & (gap | valid)
    union = int(np.count_nonzero(drawn | gap))
    return int(np.count_nonzero(drawn & gap)) / union if union else math.nan


def _densest(gap: BOOL, *, size: int) -> tuple[slice, slice]:
    """Return the window of `size` pixels or less that has most gaps, of those half that apart."""
    step = max(size // 2, 1)
    starts = [range(0, max(length - size, 0) + step, step) for length in gap.shape]
    corners = [
        (min(row, max(gap.shape[0] - size, 0)), min(column, max(gap.shape[1] - size, 0)))
        for row in starts[0]
        for column in starts[1]
    ]
    windows = [(slice(row, row + size), slice(column, column + size)) for row, column in corners]
    return max(windows, key=lambda window: int(np.count_nonzero(gap[window])))


def _larger(window: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(part.start - (part.stop - part.start) // 2, 0), 2 * part.stop - part.start)
        for part in window
    )
    return slice(rows.start, min(rows.stop, shape[0])), slice(
        columns.start, min(columns.stop, shape[1])
    )


def _is_whole(window: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    return all(part.start == 0 and part.stop >= n for part, n in zip(window, shape, strict=True))


def _samples(gap: BOOL, valid: BOOL, window: tuple[slice, slice]) -> Samples:
    """Return seen pixels of a window, one by chance of each d × d so that they are not too many.

    Every d-th row and column would see but a few phases of stripes that run along them.
    """
    inside, seen = gap[window], valid[window]
    step = max(math.isqrt(inside.size // _MOST_SAMPLES), 1)
    rng = np.random.default_rng(0)
    row, column = np.mgrid[: inside.shape[0] : step, : inside.shape[1] : step].reshape(2, -1)
    if step > 1:
        row = np.minimum(row + rng.integers(step, size=row.size), inside.shape[0] - 1)
        column = np.minimum(column + rng.integers(step, size=row.size), inside.shape[1] - 1)
    known = inside[row, column] | seen[row, column]
    row, column = row[known], column[known]
    x = np.asarray(column + window[1].start, dtype=np.float64)
    y = np.asarray(row + window[0].start, dtype=np.float64)
    return Samples(x, y, inside[row, column])


def _strongest_wave(
    gap: BOOL, valid: BOOL, window: tuple[slice, slice], *, periods: tuple[float, float]
) -> Fit | None:
    """Return stripes of one width along the strongest wave of possible length; None if no wave."""
    inside, seen = gap[window], gap[window] | valid[window]
    if min(inside.shape) < 2 or max(inside.shape) < LEAST_STRIPES * periods[0]:
        return None
    taper = np.hanning(inside.shape[0])[:, None] * np.hanning(inside.shape[1]) * seen
    image = taper * (inside - (taper * inside).sum() / max(taper.sum(), 1e-12))
    size = tuple(fft.next_fast_len(2 * length) for length in inside.shape)
    power = np.abs(fft.rfft2(image, s=size)) ** 2
    f_y, f_x = fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])
    length = np.hypot(f_y, f_x)
    power[(length < 1 / periods[1]) | (length > 1 / periods[0])] = 0.0
    row, column = (int(i) for i in np.unravel_index(int(power.argmax()), power.shape))
    if power[row, column] == 0.0:
        return None
    return _at_wave(image, taper, window, f_x=float(f_x[column]), f_y=float(f_y[row, 0]))


def _at_wave(
    image: FLOAT, taper: FLOAT, window: tuple[slice, slice], *, f_x: float, f_y: float
) -> Fit:
    """Return phase and width of the stripes of a wave: its amplitude is sin(π w / P) / π."""
    middle = [(n - 1) / 2 for n in image.shape]
    row = np.exp(-2j * np.pi * f_y * (np.arange(image.shape[0]) - middle[0]))
    column = np.exp(-2j * np.pi * f_x * (np.arange(image.shape[1]) - middle[1]))
    amplitude = complex(row @ image @ column) / float(taper.sum())
    period = 1.0 / math.hypot(f_x, f_y)
    return Fit(
        x=window[1].start + middle[1],
        y=window[0].start + middle[0],
        azimuth=math.atan2(-f_x, f_y),
        period=period,
        phase=-period * math.atan2(amplitude.imag, amplitude.real) / (2 * math.pi),
        width=period / math.pi * math.asin(min(math.pi * abs(amplitude), 1.0)),
        narrowing=0.0,
    )


def _refined(fit: Fit, samples: Samples, *, periods: tuple[float, float]) -> Fit | None:
    """Fit the edges of gaps, ever more sharply; None where what comes out are no stripes."""
    if samples.x.size == 0:
        return None
    reach = max(float(np.ptp(samples.x)), float(np.ptp(samples.y)), 1.0) / 2
    # One unit of each parameter moves an edge by about a pixel somewhere.
    scale = np.array([1.0, fit.period, reach, reach, 1.0]) / reach
    for sharpness in (1.0, 0.4, 0.15):
        off = np.abs(edge_distance(fit, samples.x, samples.y))
        near = np.flatnonzero(off < 3.0 + 6.0 * sharpness)
        if near.size < 10 * scale.size:
            return None
        if near.size > _MOST_EDGES:
            near = np.random.default_rng(0).choice(near, _MOST_EDGES, replace=False)
        fit = closest(fit, samples.at(near), scale, s=sharpness)
        if not periods[0] <= fit.period <= periods[1] or not abs(fit.width) < fit.period:
            return None
    return fit


def _is_convincing(fit: Fit, samples: Samples) -> bool:
    drawn = edge_distance(fit, samples.x, samples.y) < 0
    both = drawn & samples.gap
    cos, sin = math.cos(fit.azimuth), math.sin(fit.azimuth)
    across = (samples.y[both] - fit.y) * cos - (samples.x[both] - fit.x) * sin
    stripes = np.unique(np.round((across - fit.phase) / fit.period)).size
    either = int(np.count_nonzero(drawn | samples.gap))
    return stripes >= LEAST_STRIPES and int(np.count_nonzero(both)) >= LEAST_AGREEMENT * either


def _as_stripes(
    fit: Fit, samples: Samples, *, spacing: float, origin: tuple[int, int]
) -> Stripes | None:
    """Return a fit in coordinates of the scene, the azimuth pointing to where stripes widen."""
    if fit.narrowing < 0:
        fit = _turned(fit)
    cos, sin = math.cos(fit.azimuth), math.sin(fit.azimuth)
    along = (samples.x - fit.x) * cos + (samples.y - fit.y) * sin
    edge = float(along.max())
    width = fit.width + fit.narrowing * edge
    if not 0 < width < fit.period:
        return None
    x, y = fit.x + origin[1], fit.y + origin[0]
    return Stripes(
        azimuth_deg=math.degrees(fit.azimuth) % 360.0,
        period_px=fit.period,
        phase_px=(fit.phase + y * cos - x * sin) % fit.period,
        width_px=width,
        narrowing=1000.0 * fit.narrowing,
        edge_px=edge + x * cos + y * sin,
        spacing_m=spacing,
        intact_px=_intact(fit, samples),
    )


def _turned(fit: Fit) -> Fit:
    """Return the same stripes, described from the opposite direction."""
    return fit._replace(azimuth=fit.azimuth + math.pi, phase=-fit.phase, narrowing=-fit.narrowing)


def _from_nadir(fit: Fit, samples: Samples) -> FLOAT:
    """Return distances along the stripes from the line of nadir, signed [pixels]."""
    cos, sin = math.cos(fit.azimuth), math.sin(fit.azimuth)
    along = (samples.x - fit.x) * cos + (samples.y - fit.y) * sin
    return np.asarray(along + fit.width / fit.narrowing)


def _intact(fit: Fit, samples: Samples) -> float:
    """Return the width of the strip around nadir without gaps that explains most pixels; 0 if none.

    Known only if nadir was seen, or nearly, and if more than a few edges of gaps were filled.
    """
    if fit.narrowing == 0:
        return 0.0
    from_nadir = _from_nadir(fit, samples)
    if from_nadir.min() > _NADIR_SEEN_PX or from_nadir.max() < -_NADIR_SEEN_PX:
        return 0.0
    drawn = edge_distance(fit, samples.x, samples.y) < 0
    distance = np.abs(from_nadir[drawn])
    order = np.argsort(distance)
    there = samples.gap[drawn][order]
    # With the first i drawn pixels filled, gaps among them and missing gaps after them are wrong.
    wrong = np.cumsum(np.r_[0, np.where(there, 1, -1)])
    filled = int(wrong.argmin())
    if not filled or distance[order[filled - 1]] - distance[order[0]] < _BESIDE_NADIR_PX:
        return 0.0
    return 2.0 * float(distance[order[filled - 1]])


def _require_masks(gap: BOOL, valid: BOOL) -> None:
    if gap.shape != valid.shape or gap.ndim != 2 or {gap.dtype, valid.dtype} != {np.dtype(bool)}:
        msg = (
            f"found gap {gap.dtype} {gap.shape} and valid {valid.dtype} {valid.shape}, expected "
            "two masks of one shape (y, x); give where gaps are, and where there are data"
        )
        raise GapError(msg)
    both = int(np.count_nonzero(gap & valid))
    if both:
        msg = (
            f"found {both} pixels both in a gap and with data, expected none; a gap has no data: "
            "clear `valid` there"
        )
        raise GapError(msg)
