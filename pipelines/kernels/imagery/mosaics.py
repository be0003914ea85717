"""One picture of one day from the granules of a pass, without a seam and without a blur.

Neighbouring granules overlap. A mean or a median of the two smooths crevasses away wherever they
lie a pixel apart; here every pixel comes from one granule, and only along a seam do they mix. The
seam runs where two granules reach equally far beyond each other: with d_i the distance from a pixel
to the nearest one that another granule has and granule i lacks,

::

    δ_i = d_i − max d_k over the others k that have the pixel
    g   = min(feather, d_i + max d_k)
    w_i = clip(1/2 + δ_i / (2 g), 0, 1) / Σ of the same

Two weights sum to one before they are divided. Across a seam between parallel edges δ changes by
two metres in each metre, so they mix over `feather` metres, half of it on either side; where
footprints cross at an angle below 120° never farther than `feather` from the seam. At the edge of a
footprint its weight is 0, because there d_i = 0 and δ_i = −g: no step. Distances do not know the
order of the granules, so the mosaic does not either.

Distances are found once for a scene, on coarse cells; :func:`on_block` brings them to a block of
pixels, so that blocks agree wherever they meet.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from pipelines.kernels.imagery import quality_bits

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]

FAR_M = 1e7
"""Distance where no other granule reaches beyond [m]: a quarter of the way around the Earth."""


class MosaicError(ValueError):
    """Granules that do not fit each other."""


def footprint(valid: BOOL) -> BOOL:
    """Return where a granule reaches: the convex hull of its pixels.

    A Landsat scene is a quadrilateral, and any window of one is convex, so the hull closes the gaps
    of the scan line corrector and dropped lines, and nothing else.

    Parameters
    ----------
    valid : ndarray of bool, shape (y, x)
        Where something was measured.

    Returns
    -------
    ndarray of bool, shape (y, x)

    Examples
    --------
    >>> footprint(np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], bool)).astype(int).tolist()
    [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    """
    rows = np.flatnonzero(valid.any(axis=1))
    if not rows.size:
        return np.zeros(valid.shape, bool)
    first = valid[rows].argmax(axis=1)
    last = valid.shape[1] - 1 - valid[rows, ::-1].argmax(axis=1)
    # a trifle around the centres of the ends, so that they are never all on one line
    ends = [(rows + up, side) for up in (-1e-3, 1e-3) for side in (first - 1e-3, last + 1e-3)]
    corners = np.concatenate([np.stack(pair, axis=1) for pair in ends])
    made = np.ones(valid.shape, bool)
    row, column = np.ogrid[: valid.shape[0], : valid.shape[1]]
    for a, b, c in spatial.ConvexHull(corners).equations:
        made &= a * row + b * column + c <= 0.0
    return made


def edge_distance(valid: BOOL, *, spacing: float) -> FLOAT:
    """Return how far each pixel lies from where its granule ends and another one goes on.

    Parameters
    ----------
    valid : ndarray of bool, shape (n, y, x)
        Footprints of the granules without holes, on coarse cells: see :func:`footprint`.
    spacing : float
        Width of a cell [m].

    Returns
    -------
    ndarray of float32, shape (n, y, x)
        Distance to the nearest cell that another granule has and this one lacks [m];
        :data:`FAR_M` for a granule that no other reaches beyond. The common outer edge of two
        granules is no such end: along the sides of a swath one granule follows the other sharply.

    Raises
    ------
    MosaicError
        An array that is not (n, y, x).

    Examples
    --------
    >>> strips = np.array([[[1, 1, 1, 0, 0]], [[0, 1, 1, 1, 1]]], bool)
    >>> edge_distance(strips, spacing=300.0)[:, 0].tolist()
    [[900.0, 600.0, 300.0, 0.0, 0.0], [0.0, 300.0, 600.0, 900.0, 1200.0]]
    """
    if valid.ndim != 3:
        msg = f"found footprints of shape {valid.shape}, expected (granule, y, x)"
        raise MosaicError(msg)
    anywhere = valid.any(axis=0)
    distance = np.full(valid.shape, FAR_M, np.float32)
    for own, to_end in zip(valid, distance, strict=True):
        beyond = anywhere & ~own
        if beyond.any():
            to_end[...] = ndimage.distance_transform_edt(~beyond, sampling=spacing)
    return distance


def on_block(distance: FLOAT, *, factor: int, rows: slice, columns: slice) -> FLOAT:
    """Return coarse distances at the pixels of a block, bilinear between centres of cells.

    Parameters
    ----------
    distance : ndarray of float32, shape (n, Y, X)
        Distances on coarse cells [m].
    factor : int
        Pixels along the side of a cell.
    rows, columns : slice
        The block, in pixels of the whole fine grid.

    Returns
    -------
    ndarray of float32, shape (n, rows, columns)
        Distances [m]; beyond the outermost centres those of the outermost cells.

    Examples
    --------
    >>> coarse = np.array([[[0.0, 300.0]]], np.float32)
    >>> on_block(coarse, factor=2, rows=slice(0, 1), columns=slice(0, 4))[0, 0].tolist()
    [0.0, 75.0, 225.0, 300.0]
    """
    low_y, high_y, part_y = _between(distance.shape[1], factor, rows)
    low_x, high_x, part_x = _between(distance.shape[2], factor, columns)
    along = distance[:, :, low_x] + part_x * (distance[:, :, high_x] - distance[:, :, low_x])
    step = along[:, high_y] - along[:, low_y]
    step *= part_y[:, None]
    step += along[:, low_y]
    return step


def seam_weights(distance: FLOAT, valid: BOOL, *, feather: float) -> FLOAT:
    """Return what each granule gives to each pixel.

    Parameters
    ----------
    distance : ndarray of float32, shape (n, y, x)
        From :func:`edge_distance`, through :func:`on_block` [m].
    valid : ndarray of bool, shape (n, y, x)
        Where each granule was measured in all its bands, gaps left out: the others fill them.
    feather : float
        Width over which two granules mix [m]; 0 for a sharp seam.

    Returns
    -------
    ndarray of float32, shape (n, y, x)
        Weights that sum to 1 wherever anything is valid, and to 0 elsewhere. Granules that reach
        equally far everywhere, the same one twice, share a pixel equally: give only one of them.

    Raises
    ------
    MosaicError
        A negative feather, or arrays of different shapes.

    Examples
    --------
    >>> distance = np.array([[[900.0, 600.0, 300.0]], [[300.0, 600.0, 900.0]]], np.float32)
    >>> seam_weights(distance, np.ones((2, 1, 3), bool), feather=600.0)[:, 0].tolist()
    [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    """
    if distance.shape != valid.shape or distance.ndim != 3 or not feather >= 0.0:
        msg = (
            f"found distances of shape {distance.shape}, valid pixels of shape {valid.shape} and a "
            f"feather of {feather:g} m, expected two of (granule, y, x) and at least 0 m"
        )
        raise MosaicError(msg)
    if len(valid) == 1:
        return valid.astype(np.float32)
    # one below any distance: a granule without the pixel is no rival
    reach = np.where(valid, distance, np.float32(-1.0))
    first, second = _two_farthest(reach)
    weights = np.empty(valid.shape, np.float32)
    for n, own in enumerate(reach):
        rival = np.where(own == first, second, first)
        _share(own, rival, feather, out=weights[n])
        weights[n, rival < 0.0] = 1.0
    weights *= valid
    total = weights.sum(axis=0)
    total[total == 0.0] = 1.0
    weights /= total
    return weights


def mosaic(values: NDArray[Any], weights: FLOAT) -> NDArray[Any]:
    """Return one picture of several granules.

    With r the heaviest granule of a pixel, v = v_r + Σ w_i (v_i − v_r): a pixel of one granule, and
    one that all granules agree on, keeps its value to the last bit.

    Parameters
    ----------
    values : ndarray, shape (n, band, y, x)
        Reflectances with NaN where there is none, or stored counts (uint16) with 0 there.
    weights : ndarray of float32, shape (n, y, x)
        From :func:`seam_weights`. Where granules mix and a band of one is missing, its weight
        goes to the others.

    Returns
    -------
    ndarray of the same type, shape (band, y, x)

    Raises
    ------
    MosaicError
        Arrays that do not fit each other, or of another type.

    Examples
    --------
    >>> values = np.array([[[[100, 0]]], [[[200, 200]]]], np.uint16)
    >>> mosaic(values, np.array([[[0.75, 1.0]], [[0.25, 0.0]]], np.float32)).tolist()
    [[[125, 0]]]
    """
    whole = values.dtype == np.uint16
    if not (whole or np.issubdtype(values.dtype, np.floating)):
        msg = f"found values of type {values.dtype}, expected floats with NaN or counts in uint16"
        raise MosaicError(msg)
    if values.ndim != 4 or values.shape[:1] + values.shape[2:] != weights.shape:
        msg = (
            f"found values of shape {values.shape} and weights of shape {weights.shape}, expected "
            "(granule, band, y, x) and (granule, y, x)"
        )
        raise MosaicError(msg)
    made = np.full(values.shape[1:], 0 if whole else np.nan, values.dtype)
    alone = np.zeros(weights.shape[1:], bool)
    for value, weight in zip(values, weights, strict=True):
        only = weight == 1.0
        alone |= only
        np.copyto(made, value, where=only)
    mixed = (weights > 0.0).any(axis=0) & ~alone
    made[:, mixed] = _blend(values[:, :, mixed], weights[:, mixed])
    return made


def mosaic_flags(masks: NDArray[np.uint16], weights: FLOAT) -> NDArray[np.uint16]:
    """Return the bits of the heaviest granule, and SEAM where two of them mix.

    Parameters
    ----------
    masks : ndarray of uint16, shape (n, y, x)
        Bits in the layout of :mod:`pipelines.kernels.imagery.quality_bits`.
    weights : ndarray of float32, shape (n, y, x)
        From :func:`seam_weights`.

    Returns
    -------
    ndarray of uint16, shape (y, x)
        FILL only where no granule gives anything, with GAP where it is one in any of them. Of
        granules that are equally heavy, the one with the larger number counts: with more or
        graver bits, and whatever their order.

    Examples
    --------
    >>> weights = np.array([[[1.0, 0.6, 0.0]], [[0.0, 0.4, 0.0]]], np.float32)
    >>> mosaic_flags(np.array([[[64, 64, 257]], [[8, 8, 1]]], np.uint16), weights).tolist()
    [[64, 4160, 257]]
    """
    top = weights.max(axis=0)
    heaviest: NDArray[np.uint16] = np.where(weights == top, masks, np.uint16(0)).max(axis=0)
    nothing = top == 0.0
    gap = np.bitwise_or.reduce(masks, axis=0) & np.uint16(quality_bits.GAP)
    heaviest[nothing] = gap[nothing] | np.uint16(quality_bits.FILL)
    heaviest[(top < 1.0) & ~nothing] |= np.uint16(quality_bits.SEAM)
    return heaviest


def _between(
    cells: int, factor: int, pixels: slice
) -> tuple[NDArray[np.intp], NDArray[np.intp], FLOAT]:
    """Return the cells below and above each pixel, and how far it lies between their centres."""
    place = (np.arange(pixels.start, pixels.stop) + 0.5) / factor - 0.5
    place = np.clip(place, 0.0, cells - 1.0)
    low = np.floor(place).astype(np.intp)
    return low, np.minimum(low + 1, cells - 1), (place - low).astype(np.float32)


def _two_farthest(reach: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return the largest and the second largest of n values, shape (n, y, x), at each pixel."""
    first = np.maximum(reach[0], reach[1])
    second = np.minimum(reach[0], reach[1])
    for another in reach[2:]:
        np.maximum(second, np.minimum(first, another), out=second)
        np.maximum(first, another, out=first)
    return first, second


def _share(own: FLOAT, rival: FLOAT, feather: float, *, out: FLOAT) -> None:
    """Write clip(1/2 + δ / (2 g), 0, 1) of one granule against its strongest rival."""
    width = np.add(own, rival)
    # a sharp seam still needs a width to divide by; on the seam itself δ = 0 gives one half
    np.clip(width, np.float32(1e-3), np.float32(max(feather, 1e-3)), out=width)
    np.subtract(own, rival, out=out)
    out /= width
    out *= np.float32(0.5)
    out += np.float32(0.5)
    np.clip(out, 0.0, 1.0, out=out)


def _blend(values: NDArray[Any], weights: FLOAT) -> NDArray[Any]:
    """Return v_r + Σ w_i (v_i − v_r) of n granules, shapes (n, band, k) and (n, k)."""
    whole = values.dtype == np.uint16
    there = values != 0 if whole else ~np.isnan(values)
    exact = np.where(there, values, 0).astype(np.float32 if whole else values.dtype)
    share = weights[:, None] * there
    heaviest = np.take_along_axis(exact, share.argmax(axis=0)[None], axis=0)[0]
    total = share.sum(axis=0)
    change = (share * (exact - heaviest)).sum(axis=0) / np.where(total > 0.0, total, 1.0)
    mixed = np.rint(heaviest + change) if whole else heaviest + change
    made: NDArray[Any] = np.where(total > 0.0, mixed, 0 if whole else np.nan).astype(values.dtype)
    return made
