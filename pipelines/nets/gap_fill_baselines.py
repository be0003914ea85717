"""Fills of gaps that learn nothing: what every network must beat.

Each takes an image (band, y, x) with its gaps and returns it with the gaps filled; pixels outside
of gaps come back bit for bit, missing ones (NaN) included. A pixel that lacks one band counts as
unknown in all. Where something outside of the gaps is missing, the nearest known pixel stands in
for it while an equation is solved.

`linear`
    Along the shortest of eight ways across.
`linear-columns`
    Down the columns, whatever the direction of the stripes: the usual shorthand.
`telea`, `navier-stokes`
    OpenCV's. Telea's (2004) method adds numbers of the size of one grey level, so it must count in
    integers: 16 bits over the image's own range (in float32 it answers nonsense). Navier-Stokes
    (Bertalmio et al. 2001) runs in float32.
`biharmonic`
    scikit-image's, ∇⁴ = 0 with the known pixels around (Damelin & Hoang 2018), each connected gap
    on its own.

`second_scene` needs another date, and so stands apart from `FILLS`.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]
INT = NDArray[np.int32]
Fill = Callable[[FLOAT32, BOOL], FLOAT32]

RADIUS_PX: Final = 5.0
"""Neighbourhood that Telea's and the Navier-Stokes method look at [pixels]."""

WAYS: Final = ((1, 0), (0, 1), (1, 1), (1, -1))
"""Lines through a pixel, as steps of rows and columns: down, right and the two diagonals."""

MATCHED_PX: Final = 5.0
"""Standard deviation of the neighbourhood in which two dates are matched [pixels]."""

MOST_GAIN: Final = 3.0
"""Contrast of one date over that of the other, at most (Scaramuzza et al. 2004)."""

_FAR: Final = 2**28
_LEVELS: Final = 65535.0


class GapFillError(ValueError):
    """An image whose gaps cannot be filled."""


def linear(image: FLOAT32, gap: BOOL) -> FLOAT32:
    """Interpolate across gaps, at each pixel along the line that is shortest there.

    Of the row, the column and the two diagonals through a pixel, the one whose nearest known
    pixels a and b, at distances d_a and d_b on either side, lie closest together gives::

        (I_a d_b + I_b d_a) / (d_a + d_b)

    Where no line has known pixels on both sides, as in corners, the nearest known pixel serves.

    Parameters
    ----------
    image : ndarray of float32, shape (band, y, x)
        Reflectance [1].
    gap : ndarray of bool, shape (y, x)
        What to fill.

    Returns
    -------
    ndarray of float32, shape (band, y, x)

    Raises
    ------
    GapFillError
        Shapes that do not fit, or no known pixel.
    """
    known = _known(image, gap)
    rows, columns = np.nonzero(gap)
    shortest = np.full(rows.size, np.inf)
    between = _nearest(image, known)[:, rows, columns]
    for down, right in WAYS:
        back = _steps(known, down, right)[rows, columns]
        on = _steps(known[::-1, ::-1], down, right)[::-1, ::-1][rows, columns]
        length = (back + on) * np.hypot(down, right)
        better = np.flatnonzero((back < _FAR) & (on < _FAR) & (length < shortest))
        shortest[better] = length[better]
        d_a, d_b, y, x = back[better], on[better], rows[better], columns[better]
        a = image[:, y - d_a * down, x - d_a * right]
        b = image[:, y + d_b * down, x + d_b * right]
        between[:, better] = (a * d_b + b * d_a) / (d_a + d_b)
    return _with(image, gap, between)


def linear_columns(image: FLOAT32, gap: BOOL) -> FLOAT32:
    """Interpolate down each column; a column without known pixels takes the nearest ones.

    Parameters, returns and refusals as in :func:`linear`.
    """
    known = _known(image, gap)
    out = _nearest(image, known)
    row = np.arange(gap.shape[0])
    for x in np.flatnonzero(known.any(axis=0) & gap.any(axis=0)):
        at = np.flatnonzero(known[:, x])
        for band in range(image.shape[0]):
            out[band, :, x] = np.interp(row, at, image[band, at, x])
    return _with(image, gap, out[:, gap])


def telea(image: FLOAT32, gap: BOOL) -> FLOAT32:
    """March inwards from the rim, weighting by distance and level set (Telea 2004); in 16 bits.

    Parameters, returns and refusals as in :func:`linear`.
    """
    import cv2

    whole = _nearest(image, _known(image, gap))
    holes = gap.astype(np.uint8)
    filled = []
    for band in whole:
        low, high = float(band.min()), float(band.max())
        scale = (high - low) / _LEVELS or 1.0
        counts = np.rint((band - low) / scale).astype(np.uint16)
        marched = cv2.inpaint(counts, holes, RADIUS_PX, cv2.INPAINT_TELEA)
        filled.append(marched[gap].astype(np.float32) * scale + low)
    return _with(image, gap, np.stack(filled))


def navier_stokes(image: FLOAT32, gap: BOOL) -> FLOAT32:
    """Continue isophotes inwards (Bertalmio et al. 2001); in float32.

    Parameters, returns and refusals as in :func:`linear`.
    """
    import cv2

    whole = _nearest(image, _known(image, gap))
    holes = gap.astype(np.uint8)
    filled = [cv2.inpaint(band, holes, RADIUS_PX, cv2.INPAINT_NS)[gap] for band in whole]
    return _with(image, gap, np.stack(filled))


def biharmonic(image: FLOAT32, gap: BOOL) -> FLOAT32:
    """Solve ∇⁴I = 0 in each connected gap with the two rings of pixels around it as boundary.

    A gap is a sparse system of its own, so memory grows with the largest gap, not with the scene.
    Values stay between the least and the largest known one of their band.

    Parameters, returns and refusals as in :func:`linear`.
    """
    from skimage.restoration import inpaint_biharmonic

    whole = _nearest(image, _known(image, gap))
    if not gap.any():
        return image.copy()
    filled = inpaint_biharmonic(whole, gap, split_into_regions=True, channel_axis=0)
    return _with(image, gap, filled[:, gap])


FILLS: Final[Mapping[str, Fill]] = {
    "linear": linear,
    "linear-columns": linear_columns,
    "telea": telea,
    "navier-stokes": navier_stokes,
    "biharmonic": biharmonic,
}
"""What fills gaps from the image alone, by the name that tables give it."""


def second_scene(
    image: FLOAT32, other: FLOAT32, gap: BOOL, *, scale_px: float = MATCHED_PX
) -> FLOAT32:
    """Fill gaps with another date, matched to this one band by band in each neighbourhood.

    A line through what both dates show nearby::

        I = μ₁ + g (I₂ − μ₂),      g = cov(I₁, I₂) / var(I₂)

    with moments over the pixels that both know, weighted by a Gaussian, and g between 0 and 3.

    Parameters
    ----------
    image, other : ndarray of float32, shape (band, y, x)
        Reflectance of this date, and of the other on the same pixels [1].
    gap : ndarray of bool, shape (y, x)
        What to fill.
    scale_px : float
        Standard deviation of the neighbourhood [pixels].

    Returns
    -------
    ndarray of float32, shape (band, y, x)

    Raises
    ------
    GapFillError
        Shapes that do not fit, or no pixel that both dates know.

    Notes
    -----
    The gap-filled products of Landsat 7 (Scaramuzza et al. 2004) take g = σ₁ / σ₂, which keeps
    contrast where the two dates show different things: 2 to 4 dB worse on moving ice.
    """
    known = _known(image, gap)
    if other.shape != image.shape:
        msg = f"the other date has shape {other.shape}, this one {image.shape}; align them first"
        raise GapFillError(msg)
    seen = np.isfinite(other).all(axis=0)
    both = known & seen
    if not both.any():
        msg = "the two dates share no known pixel, so neither can be matched; choose another date"
        raise GapFillError(msg)
    matched = np.stack(
        [_matched(a, b, both, scale_px) for a, b in zip(image, other, strict=True)]
    ).astype(np.float32)
    taken = gap & seen & np.isfinite(matched).all(axis=0)
    joined = np.where(taken, matched, image)
    return linear(joined, gap & ~taken) if (gap & ~taken).any() else joined


def _matched(this: FLOAT32, other: FLOAT32, both: BOOL, scale_px: float) -> NDArray[np.float64]:
    """Return one band of the other date as this one would show it."""
    weight = _blurred(both.astype(np.float64), scale_px)
    ours = np.where(both, this, 0.0).astype(np.float64)
    theirs = np.where(both, other, 0.0).astype(np.float64)
    # Far from any shared pixel there is nothing to match with: 0/0, and a linear fill.
    near = np.where(weight > 1e-6, weight, np.nan)
    mean_1, mean_2 = (_blurred(band, scale_px) / near for band in (ours, theirs))
    covariance = _blurred(ours * theirs, scale_px) / near - mean_1 * mean_2
    variance = _blurred(theirs**2, scale_px) / near - mean_2**2
    gain = np.clip(covariance / np.maximum(variance, 1e-8), 0.0, MOST_GAIN)
    out: NDArray[np.float64] = mean_1 + gain * (other - mean_2)
    return out


def _blurred(values: NDArray[np.float64], scale_px: float) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = ndimage.gaussian_filter(
        values, scale_px, mode="constant", truncate=3.0
    )
    return blurred


def _known(image: FLOAT32, gap: BOOL) -> BOOL:
    """Return where all bands are known; refuse what cannot be filled."""
    if image.ndim != 3 or gap.shape != image.shape[1:] or gap.dtype != np.bool_:
        msg = (
            f"found an image of shape {image.shape} and gaps of shape {gap.shape} and type "
            f"{gap.dtype}; give (band, y, x) and bool (y, x)"
        )
        raise GapFillError(msg)
    known: BOOL = np.isfinite(image).all(axis=0) & ~gap
    if not known.any():
        msg = (
            f"none of {gap.size} pixels is known outside of the gaps, so nothing can be continued "
            "into them; leave this image out"
        )
        raise GapFillError(msg)
    return known


def _nearest(image: FLOAT32, known: BOOL) -> FLOAT32:
    """Return the image with the nearest known pixel wherever one is unknown."""
    if known.all():
        return image.copy()
    y, x = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return image[:, y, x]


def _steps(known: BOOL, down: int, right: int) -> INT:
    """Return how many steps (−down, −right) lead to the nearest known pixel; `_FAR` if none do."""
    if down == 0:
        return _steps(known.T, 1, 0).T
    out = np.empty(known.shape, dtype=np.int32)
    above = np.full(known.shape[1], _FAR, dtype=np.int32)
    for y, here in enumerate(known):
        before = np.full_like(above, _FAR)
        width = above.size - abs(right)
        start = max(right, 0)
        before[start : start + width] = above[start - right : start - right + width]
        above = np.where(here, 0, np.minimum(before + 1, _FAR)).astype(np.int32)
        out[y] = above
    return out


def _with(image: FLOAT32, gap: BOOL, inside: NDArray[np.floating]) -> FLOAT32:
    """Return the image with its gaps replaced, and nothing else."""
    out = image.copy()
    out[:, gap] = inside
    return out
