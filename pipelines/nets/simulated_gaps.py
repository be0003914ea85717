"""Gaps of Landsat 7 to learn from: where a product without scan line corrector has nothing.

A product's pixel is missing where any of its bands is. Stripes of a scene are drawn by
:func:`pipelines.kernels.imagery.stripes.simulate`, whose numbers were measured on real masks: any
azimuth, as the polar grid has no fixed direction of flight, any phase, both halves of the swath,
bands up to a pixel either way. Where in the swath a patch lies decides how much of it is missing:
with the distance s from nadir, 0 to 1 at the edge, a band misses about 0.43 s, the union of three
bands 0.43 s + 0.03.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery.scanline_gaps import GapError
from pipelines.kernels.imagery.stripes import HALF_SWATH_M, PIXEL_M, Stripes, render, simulate

BOOL = NDArray[np.bool_]

BANDS = 3
"""Red, green and blue."""
WHOLE = (0.0, 1.0)
"""Of the swath, from nadir to its edge: 0.22 of its pixels are missing, in all bands 0.24 [1]."""
EDGE = (0.72, 0.90)
"""Where a third of the pixels of a band is missing, as in the two real masks near an edge [1]."""
_FIXED = 20260520
"""Source of the masks of evaluations, which never change."""


def draw(
    rng: np.random.Generator, shape: tuple[int, int], *, spacing: float = PIXEL_M,
    across: tuple[float, float] = WHOLE, bands: int = BANDS,
) -> BOOL:  # fmt: skip
    """Draw the gaps of a patch by chance.

    Parameters
    ----------
    rng : Generator
        The source of chance.
    shape : tuple of int
        Rows and columns.
    spacing : float
        Size of a pixel [m]. Leave it at 30 m to give images of another resolution gaps that are
        as many pixels wide as Landsat's.
    across : tuple of float
        Nearest and farthest distance of the patch's middle from nadir, 0 at nadir and 1 at the
        edge of the swath, on either side [1].
    bands : int
        Bands whose gaps are united.

    Returns
    -------
    ndarray of bool, shape `shape`
        True in gaps.

    Raises
    ------
    GapError
        A part of the swath that is none, or no band.

    Examples
    --------
    >>> gap = draw(np.random.default_rng(1), (64, 64), across=(0.9, 0.9))
    >>> gap.shape, bool(0.3 < gap.mean() < 0.5)
    ((64, 64), True)
    """
    lo, hi = across
    if not 0.0 <= lo <= hi <= 1.0 or bands < 1 or min(shape) < 1:
        msg = (
            f"found {bands} bands, a patch of {shape} and a place {across} in the swath, expected "
            "a band or more, a pixel or more, and 0 ≤ nearest ≤ farthest ≤ 1, from nadir to edge"
        )
        raise GapError(msg)
    distance = rng.uniform(lo, hi) * HALF_SWATH_M / spacing * (-1.0 if rng.random() < 0.5 else 1.0)
    drawn = stripes_at(rng, shape, distance, spacing=spacing, bands=bands)
    out = np.zeros(shape, dtype=np.bool_)
    for each in drawn:
        out |= render(each, shape)
    return out


def stripes_at(
    rng: np.random.Generator, shape: tuple[int, int], distance: float, *,
    spacing: float = PIXEL_M, bands: int = BANDS, azimuth_deg: float | None = None,
) -> tuple[Stripes, ...]:  # fmt: skip
    """Return the stripes of each band of a patch whose middle lies off nadir by a distance.

    Parameters
    ----------
    rng : Generator
        Draws what is not given.
    shape : tuple of int
        Rows and columns.
    distance : float
        From nadir to the middle along the stripes, negative in the half from which the azimuth
        points away [pixels].
    spacing : float
        Size of a pixel [m].
    bands : int
        How many.
    azimuth_deg : float, optional
        Direction of the stripes, uniform if it is not given [degrees].
    """
    azimuth = rng.uniform(0.0, 360.0) if azimuth_deg is None else azimuth_deg
    t = math.radians(azimuth)
    middle = ((shape[0] - 1) / 2.0, (shape[1] - 1) / 2.0)
    nadir = (middle[0] - distance * math.sin(t), middle[1] - distance * math.cos(t))
    return simulate(rng, nadir=nadir, bands=bands, spacing=spacing, azimuth_deg=azimuth)


def drawer(
    crop: int, *, spacing: float = PIXEL_M, across: tuple[float, float] = WHOLE, bands: int = BANDS
) -> Callable[[np.random.Generator], BOOL]:
    """Return a function of a generator that draws square masks, as tasks of training take it."""

    def drawn(rng: np.random.Generator) -> BOOL:
        return draw(rng, (crop, crop), spacing=spacing, across=across, bands=bands)

    return drawn


def fixed(
    number: int, shape: tuple[int, int], *, spacing: float = PIXEL_M,
    across: tuple[float, float] = EDGE, bands: int = 1,
) -> BOOL:  # fmt: skip
    """Return a mask of evaluations: the same for a number and shape, today and tomorrow.

    Parameters
    ----------
    number : int
        Which.
    shape, spacing, across, bands
        As in :func:`draw`; by default a third of the pixels is missing, as near an edge.
    """
    rng = np.random.default_rng([_FIXED, number])
    return draw(rng, shape, spacing=spacing, across=across, bands=bands)
