"""Overlapping tiles that cover an image, and the weights that blend what is predicted on them."""

import math

import numpy as np
from numpy.typing import NDArray

SIGMA_PER_TILE = 1 / 8
"""Standard deviation of the weights over the side of a tile [1] (Tang et al. 2026, their code)."""
LEAST_WEIGHT = 1e-3
"""What weights are raised to far from the centre, where 1 is their maximum [1] (same source)."""


class TilingError(ValueError):
    """An image cannot be cut as asked."""


def starts(length: int, *, tile: int, stride: int) -> tuple[int, ...]:
    """First pixels of the tiles along one axis: as few as the stride allows, evenly spread.

    Notes
    -----
    Departs from the authors' notebook, which pads to the next multiple of the stride and adds a
    whole tile where nothing is missing: here the last tile ends where the image ends, so that
    no pixel is predicted from padding that the image could have given.

    Parameters
    ----------
    length : int
        Pixels along the axis, at least 1.
    tile : int
        Side of a tile [pixels].
    stride : int
        Largest step between tiles, at most ``tile`` [pixels].

    Returns
    -------
    tuple of int
        Rising, the first 0; only 0 if the image is no longer than a tile (the tile reaches
        beyond its end then).

    Examples
    --------
    >>> starts(3584, tile=512, stride=448)
    (0, 439, 878, 1317, 1755, 2194, 2633, 3072)
    >>> starts(1024, tile=512, stride=512)
    (0, 512)
    """
    if not 0 < stride <= tile:
        msg = (
            f"tiles of {tile} pixels at steps of {stride} leave pixels uncovered; "
            "the step must be from 1 to the tile (overlap from 0 to one less than the tile)"
        )
        raise TilingError(msg)
    if length < 1:
        msg = f"an image of {length} pixels cannot be cut; expected at least 1"
        raise TilingError(msg)
    free = length - tile
    if free <= 0:
        return (0,)
    steps = math.ceil(free / stride)
    return tuple(round(step * free / steps) for step in range(steps + 1))


def windows(shape: tuple[int, int], *, tile: int, stride: int) -> tuple[tuple[slice, slice], ...]:
    """Windows ``(rows, columns)`` of a tile's size that cover an image, by rows of tiles.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the image [pixels].
    tile, stride : int
        See :func:`starts`.

    Returns
    -------
    tuple of (slice, slice)
        Each of ``tile`` by ``tile`` pixels; it ends beyond the image only where the image is
        smaller than a tile.

    Examples
    --------
    >>> windows((4, 6), tile=4, stride=2)
    ((slice(0, 4, None), slice(0, 4, None)), (slice(0, 4, None), slice(2, 6, None)))
    """
    rows, columns = (starts(length, tile=tile, stride=stride) for length in shape)
    return tuple(
        (slice(row, row + tile), slice(column, column + tile)) for row in rows for column in columns
    )


def gaussian_weights(
    tile: int, *, sigma: float | None = None, floor: float = LEAST_WEIGHT
) -> NDArray[np.float32]:
    """Weights of a tile's pixels in a blend: high in the middle, never zero.

    Tang et al. (2026), their code, with y, x from the centre of the tile::

        w = max(exp(-(x² + y²) / 2σ²), floor)

    Parameters
    ----------
    tile : int
        Side of the tile [pixels].
    sigma : float, optional
        Standard deviation σ [pixels]; an eighth of the tile if not given.
    floor : float
        Least weight [1], above 0 so that every covered pixel can be divided by its weight.

    Returns
    -------
    ndarray, shape (tile, tile), float32
        Weights [1], at most 1.
    """
    sigma = tile * SIGMA_PER_TILE if sigma is None else sigma
    if tile < 1 or not sigma > 0.0 or not 0.0 < floor <= 1.0:
        msg = (
            f"found a tile of {tile} pixels, a deviation of {sigma} pixels and a least weight of "
            f"{floor}; expected at least 1 pixel, a positive deviation and a weight in (0, 1]"
        )
        raise TilingError(msg)
    offset = np.arange(tile) - (tile - 1) / 2
    bell = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.maximum(np.outer(bell, bell), floor).astype(np.float32)
