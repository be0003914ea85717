"""NeRD, the normalised Radon transform of ice-shelf damage, as an exact linear operator.

Izeboud and Lhermitte (2023, Remote Sensing of Environment 284, 113359) cut an image into windows of
W × W pixels. Each is interpolated to half pixels, and for θ = 0°, 1° … 179° turned by θ; its
values are averaged over strips one half pixel wide, which gives a profile p(θ); the deviation of
the profile, s(θ) = std p(θ), is large where strips lie along a crevasse. s is smoothed by a
running median of three angles; its highest peak is the signal of the window, the angle of the peak
tells how the crevasse runs. Damage is what exceeds a threshold of the sensor.

All before the deviation is linear and the same for each window, so for a window x and profile means
p = A(θ) x with n strips

    s(θ)² = |(1 - 1/n) A x|² / n = |B(θ) x|²,    B = H A / √n,

with the n - 1 rows of a Helmert matrix H, which are orthonormal and add up to zero. The B of all
angles are a few products of matrices with blocks of windows. Strips depend on how coordinates are
rounded, so B is made with the published formulas; many angles share their strips, and one B.
"""

import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import griddata
from scipy.linalg import helmert

from pipelines.kernels.imagery import window_peaks
from pipelines.kernels.imagery.window_peaks import Peaks

FLOAT = NDArray[np.float64]
REAL = NDArray[np.floating]

ANGLES = 180
"""Projections, one for each degree."""
STEP = 0.5
"""Pixels between interpolated values; their strips are one such unit of the turned frame wide."""
SMALLEST, LARGEST = 3, 48
"""Windows [pixels]; published are 5, 10, 25 and 33."""
WINDOWS_AT_ONCE = 2048
"""Windows of one product: their deviations take 3 MB in double precision."""
PUBLISHED_ORIGIN = 1
"""The official code leaves out the first row and column, then cuts windows side by side."""
LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Weights of red, green and blue in the gray image (ITU-R BT.709), as the official code has it."""

THRESHOLDS = MappingProxyType(
    {
        ("L7", 5): 0.027, ("L7", 10): 0.032, ("L7", 25): 0.037, ("L7", 33): 0.035,
        ("L8", 5): 0.048, ("L8", 10): 0.051, ("L8", 25): 0.065,
        ("S2", 5): 0.046, ("S2", 10): 0.040, ("S2", 25): 0.039,
    }
)  # fmt: skip
"""τ by sensor and window at 30 m, of gray images between 0 and 1 (official repository, 2023)."""


class RadonError(ValueError):
    """Images, windows or thresholds that the transform cannot take."""


@dataclass(frozen=True, eq=False)
class RadonOperator:
    """The deviations of all profiles of a window, as matrices.

    Attributes
    ----------
    window : int
        Rows and columns of a window W [pixels].
    parts : tuple of ndarray, each of shape (group, W²)
        Row k of the B of each group of angles that has so many; groups with most strips first, so
        those of a part are the first ones.
    group : ndarray of int, shape (180,)
        Group of each angle: those of one group have the same strips.
    """

    window: int
    parts: tuple[FLOAT, ...]
    group: NDArray[np.intp]

    @property
    def groups(self) -> int:
        """Different sets of strips; at most 180."""
        return len(self.parts[0])

    def rounded(self, dtype: np.dtype[np.floating]) -> tuple[REAL, ...]:
        """Return the matrices in another precision."""
        return tuple(np.ascontiguousarray(part, dtype=dtype) for part in self.parts)


@dataclass(frozen=True, eq=False)
class Signals:
    """What the transform says of each window.

    Attributes
    ----------
    signal : ndarray, shape (rows, columns)
        Height of the highest peak of s(θ), in units of the image; NaN where a pixel of the window
        is missing, 0 where there is no peak.
    angle : ndarray, shape (rows, columns)
        θ of the peak [degrees], 0 to 179; NaN where there is none.
    """

    signal: REAL
    angle: REAL

    @property
    def orientation(self) -> REAL:
        """Direction along crevasses on the map: α = θ - 90 [degrees].

        From the x axis towards the y axis, where y grows to the north and row 0 is there: 0 is a
        crevasse along rows, 45 one from the south-west to the north-east, -90 one along columns.
        The official code calls it ``alphaC``.
        """
        return self.angle - np.asarray(90.0, dtype=self.angle.dtype)


@functools.lru_cache(maxsize=8)
def operator(window: int) -> RadonOperator:
    """Return the operator of a size of windows, made once.

    Raises
    ------
    RadonError
        If windows are smaller than `SMALLEST` or larger than `LARGEST`.
    """
    if not SMALLEST <= window <= LARGEST:
        msg = f"windows of {window} pixels, expected {SMALLEST} to {LARGEST}; 5 and 10 are usual"
        raise RadonError(msg)
    interpolation = _interpolation(window)
    found: dict[bytes, int] = {}
    strips = [_strips(window, angle) for angle in range(ANGLES)]
    group = np.array([found.setdefault(each.tobytes(), len(found)) for each in strips])
    different = [strips[int(np.flatnonzero(group == g)[0])] for g in range(len(found))]
    matrices = [_deviation_rows(each, interpolation) for each in different]
    order = np.argsort([-len(matrix) for matrix in matrices], kind="stable")
    ranked = [matrices[g] for g in order]
    parts = tuple(
        np.stack([matrix[k] for matrix in ranked if k < len(matrix)]) for k in range(len(ranked[0]))
    )
    return RadonOperator(window, parts, np.argsort(order)[group])


def _interpolation(window: int) -> FLOAT:
    """Return values at half pixels from those of a window, shape ((2 W - 1)², W²).

    The official code gives windows with their columns first, so x runs along rows of the image.
    It interpolates linearly in Delaunay triangles; which diagonal of a square they use is a choice
    of the triangulation, so the same one is asked.
    """
    whole, half = np.arange(window), np.arange(0.0, window - STEP, STEP)
    points = np.column_stack([axis.ravel() for axis in np.meshgrid(whole, whole)])
    unit = np.eye(window**2)
    values = griddata(points, unit, tuple(np.meshgrid(half, half)), method="linear")
    by_column = values.reshape(-1, window, window)
    return np.ascontiguousarray(by_column.transpose(0, 2, 1)).reshape(-1, window**2)


def _strips(window: int, angle: int) -> NDArray[np.intp]:
    """Return the strip of each interpolated value at one angle, shape ((2 W - 1)²,).

    n' = -m sin θ + n cos θ, from 0 upwards, rounded to whole numbers, halves to even ones: at some
    angles the last bit of n' decides, so the formula is the published one to the letter.
    """
    half = np.arange(0.0, window - STEP, STEP)
    m, n = np.meshgrid(half, half)
    theta = np.radians(angle)
    turned = -np.sin(theta) * m + np.cos(theta) * n
    rounded = np.round(turned + np.abs(turned.min())).ravel()
    return np.unique(rounded, return_inverse=True)[1].astype(np.intp)


def _deviation_rows(strip: NDArray[np.intp], interpolation: FLOAT) -> FLOAT:
    """Return B of one set of n strips, shape (n - 1, W²)."""
    count = np.bincount(strip)
    means = np.zeros((count.size, interpolation.shape[1]))
    np.add.at(means, strip, interpolation)
    means /= count[:, np.newaxis]
    return np.asarray(helmert(count.size) @ means / np.sqrt(count.size))


def deviations(windows: REAL, *, operator: RadonOperator) -> REAL:
    """Return the deviation of the profile of each window at each angle.

    Parameters
    ----------
    windows : ndarray, shape (..., W, W)
        Values in rows from the north; float32 stays so, else in double precision.
    operator : RadonOperator
        Of windows of this size.

    Returns
    -------
    ndarray, shape (..., 180)
        s(θ), in units of the image; NaN where a pixel is missing.

    Raises
    ------
    RadonError
        If windows are of another size.
    """
    size = operator.window
    if windows.shape[-2:] != (size, size):
        msg = f"windows of shape {windows.shape}, expected (..., {size}, {size}); cut them so"
        raise RadonError(msg)
    dtype = _precision(windows)
    columns = np.asarray(windows, dtype=dtype).reshape(-1, size**2).T
    squares = _variances(columns, operator.rounded(dtype), operator.group)
    return np.sqrt(squares).T.reshape(*windows.shape[:-2], ANGLES)


def _precision(values: REAL) -> np.dtype[np.floating]:
    return np.dtype(np.float32 if values.dtype == np.float32 else np.float64)


def _variances(columns: REAL, parts: tuple[REAL, ...], group: NDArray[np.intp]) -> REAL:
    """Return s(θ)² of windows as columns, shapes (W², n) to (180, n).

    Their first value is taken off before: the rows add up to zero, so it would be rounding alone,
    and of uniform windows nothing is left.
    """
    centred = columns - columns[0]
    total = np.zeros((len(parts[0]), columns.shape[1]), dtype=columns.dtype)
    product = np.empty_like(total)
    for part in parts:
        here = np.matmul(part, centred, out=product[: len(part)])
        np.multiply(here, here, out=here)
        total[: len(part)] += here
    return total[group]


def signals(image: REAL, window: int, *, peaks: Peaks = "published", origin: int = 0) -> Signals:
    """Return signal and angle of each window of an image.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Gray values, NaN where missing; published thresholds hold for 0 to 1. An image of float32
        is transformed in single precision, any other in double.
    window : int
        Rows and columns of a window W [pixels].
    peaks : {"published", "circular"}
        See :func:`pipelines.kernels.imagery.window_peaks.highest`. As published, crevasses along
        the columns of the image (θ near 0 and 179) are no peak.
    origin : int
        Rows and columns left out before the first window; `PUBLISHED_ORIGIN` in the official code.

    Returns
    -------
    Signals
        Of shape ((h - origin) // W, (w - origin) // W); pixels beyond are not looked at.

    Raises
    ------
    RadonError
        If the image has other dimensions or no whole window.
    """
    made = operator(window)
    if image.ndim != 2:
        msg = f"an image of shape {image.shape}, expected (rows, columns); take its luminance"
        raise RadonError(msg)
    rows, columns = ((size - origin) // window for size in image.shape)
    if origin < 0 or rows < 1 or columns < 1:
        msg = f"an image of {image.shape} pixels holds no window of {window} from {origin}; choose"
        raise RadonError(msg + " smaller windows or a larger image")
    dtype = _precision(image)
    parts = made.rounded(dtype)
    found = Signals(np.empty((rows, columns), dtype), np.empty((rows, columns), dtype))
    high = max(1, WINDOWS_AT_ONCE // columns)
    for top in range(0, rows, high):
        here = slice(top, min(top + high, rows))
        strip = image[origin + here.start * window : origin + here.stop * window, origin:]
        _fill(found, here, strip[:, : columns * window], made, parts, peaks)
    return found


def _fill(
    found: Signals, here: slice, strip: REAL, made: RadonOperator, parts: tuple[REAL, ...],
    peaks: Peaks,
) -> None:  # fmt: skip
    """Transform some rows of windows, `WINDOWS_AT_ONCE` at a time at most."""
    size, (rows, columns) = made.window, found.signal[here].shape
    blocks = strip.reshape(rows, size, columns, size).transpose(1, 3, 0, 2)
    flat = np.ascontiguousarray(blocks, dtype=found.signal.dtype).reshape(size**2, -1)
    missing = ~np.isfinite(flat).all(axis=0)
    flat[:, missing] = 0.0
    signal, angle = (np.empty(flat.shape[1], flat.dtype) for _ in range(2))
    for first in range(0, flat.shape[1], WINDOWS_AT_ONCE):
        part = slice(first, first + WINDOWS_AT_ONCE)
        squares = _variances(flat[:, part], parts, made.group)
        squares, signal_angle = window_peaks.highest(squares, peaks)
        signal[part], angle[part] = np.sqrt(squares), signal_angle
    signal[missing], angle[missing] = np.nan, np.nan
    found.signal[here], found.angle[here] = (v.reshape(rows, columns) for v in (signal, angle))


def luminance(image: REAL) -> REAL:
    """Return the gray image of one band, or of red, green and blue; shapes (c, h, w) to (h, w).

    Raises
    ------
    RadonError
        If there are two bands, or more than three.
    """
    if image.ndim != 3 or len(image) not in {1, len(LUMINANCE)}:
        msg = f"an image of shape {image.shape}, expected (1 or 3 bands, rows, columns)"
        raise RadonError(msg)
    if len(image) == 1:
        return np.asarray(image[0])
    weights = np.asarray(LUMINANCE, dtype=_precision(image))
    return np.asarray(np.tensordot(weights, image, axes=1))


def damage(signal: REAL, *, threshold: float) -> REAL:
    """Return damage max(signal - τ, 0); NaN where the signal is."""
    return np.maximum(signal - np.asarray(threshold, dtype=signal.dtype), 0.0)


def threshold(sensor: str, window: int) -> float:
    """Return the published threshold of a sensor and a window at 30 m.

    >>> threshold("L8", 5)
    0.048

    Raises
    ------
    RadonError
        If none was published.
    """
    if (sensor, window) not in THRESHOLDS:
        known = ", ".join(f"{name} {size}" for name, size in THRESHOLDS)
        msg = f"no threshold of {sensor!r} with {window} pixels; published are {known}; choose one"
        raise RadonError(msg + " on validation data")
    return THRESHOLDS[sensor, window]


def dense_signal(
    image: REAL,
    window: int,
    *,
    peaks: Peaks = "circular",
    between: Literal["nearest", "bilinear"] = "bilinear",
) -> REAL:
    """Return the signal at every pixel, as a channel beside an image's bands.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        As in :func:`signals`. It is mirrored at its lower and right edge up to a whole window.
    window : int
        Rows and columns of a window [pixels].
    peaks : {"published", "circular"}
        As in :func:`signals`.
    between : {"nearest", "bilinear"}
        Whether a pixel has the signal of its window, or one between those of four windows, by
        their centres; windows without a signal are left out, and weights made up for them.

    Returns
    -------
    ndarray, shape (h, w)
        NaN where pixels of the pixel's own window are missing.
    """
    short = [-size % window for size in image.shape]
    whole = np.pad(image, [(0, short[0]), (0, short[1])], mode="symmetric")
    coarse = signals(whole, window, peaks=peaks).signal
    rows, columns = (np.arange(size) // window for size in image.shape)
    nearest = coarse[np.ix_(rows, columns)]
    if between == "nearest":
        return nearest
    known = np.isfinite(coarse)
    numerator = _upsampled(np.where(known, coarse, 0.0), window, image.shape)
    share = _upsampled(known.astype(coarse.dtype), window, image.shape)
    blended = np.divide(numerator, share, out=np.full_like(nearest, np.nan), where=share > 0.0)
    return np.asarray(np.where(np.isfinite(nearest), blended, nearest))


def _upsampled(coarse: REAL, window: int, shape: tuple[int, ...]) -> REAL:
    """Return linear values between the centres of windows, constant beyond the outer ones."""
    for axis, size in enumerate(shape):
        at = (np.arange(size) + 0.5) / window - 0.5
        at = np.clip(at, 0.0, coarse.shape[axis] - 1.0)
        low = np.minimum(at.astype(np.intp), max(coarse.shape[axis] - 2, 0))
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        weight = np.expand_dims(at - low, axis=1 - axis).astype(coarse.dtype)
        below, above = (np.take(coarse, index, axis=axis) for index in (low, high))
        coarse = below + weight * (above - below)
    return coarse
