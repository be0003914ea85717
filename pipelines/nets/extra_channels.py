"""What a segmenter is shown of a whole image, before it is cut into tiles: bands and extras."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.kernels.imagery.radon_operator import dense_signal
from pipelines.nets.segmenter import SegmenterSpec

RADON_WINDOW = 5
"""Side of NeRD's windows [pixel]: the finer of the two of Izeboud and Lhermitte (2023)."""

SNOW, CONTRAST = 0.7, 0.15
"""Mean and deviation that evened bands get, those of sunlit snow [1]."""
LEAST_CONTRAST = 0.03
"""Added to the deviation that is divided out, so that noise on flat snow stays small [1]."""
DARKEST, BRIGHTEST = -0.2, 1.6
"""Evened bands are cut off here: shadows and glints tell no more [1]."""

Extra = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""From an image (c, h, w) [1] with NaN to one channel (h, w)."""


class ExtraChannelError(ValueError):
    """A channel that nobody here can compute."""


def radon_signal(image: NDArray[np.float32]) -> NDArray[np.floating]:
    """NeRD damage signal of the mean of the bands, on the pixels of the image."""
    return dense_signal(image.mean(axis=0), RADON_WINDOW)


EXTRAS: Mapping[str, Extra] = {"nerd": radon_signal}
"""Known extras by name."""


def shown(image: NDArray[np.float32], spec: SegmenterSpec) -> NDArray[np.float32]:
    """Return what a network is to see of an image: bands, evened if it wants so, then extras.

    Parameters
    ----------
    image : ndarray, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    spec : SegmenterSpec
        Says what the network wants.
    """
    if spec.local_contrast:
        bands = evened(image, spec.local_contrast)
        if not spec.extras:
            return bands
        return np.concatenate([bands, appended(image, spec.extras)[len(image) :]])
    return appended(image, spec.extras)


def reach(spec: SegmenterSpec) -> int:
    """Return how far around a pixel :func:`shown` looks [pixels].

    Evened bands have a deviation of what a mean was taken from: two Gaussian windows, each cut off
    at four standard deviations.
    """
    even = 2 * int(4.0 * spec.local_contrast + 0.5)
    return max(even, RADON_WINDOW if spec.extras else 0)


def evened(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Take mean and deviation of the surroundings out of each band.

    Mosaics of many days, such as the MODIS one, differ in light from place to place by more than
    a fracture does from the snow around it.

    Parameters
    ----------
    image : ndarray, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    sigma : float
        Of the Gaussian window [pixel].

    Returns
    -------
    ndarray, shape (c, h, w)
        0.7 + 0.15 (x - m) / (s + 0.03), m and s over the measured pixels around; NaN where not
        measured [1].
    """
    out = np.empty(image.shape, dtype=np.float32)
    for band, into in zip(image, out, strict=True):
        into[...] = _evened(band, sigma)
    return out


def _evened(band: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    known = np.isfinite(band)
    weight = np.maximum(ndimage.gaussian_filter(known.astype(np.float32), sigma), np.float32(1e-6))

    def around(values: NDArray[np.float32]) -> NDArray[np.float32]:
        held = np.where(known, values, np.float32(0.0))
        return np.asarray(ndimage.gaussian_filter(held, sigma) / weight)

    apart = band - around(band)
    deviation = np.sqrt(around(apart**2))
    seen = SNOW + CONTRAST * apart / (deviation + LEAST_CONTRAST)
    return np.asarray(np.clip(seen, DARKEST, BRIGHTEST), dtype=np.float32)


def appended(
    image: NDArray[np.float32],
    extras: Sequence[str],
    *,
    known: Mapping[str, Extra] = EXTRAS,
) -> NDArray[np.float32]:
    """Append extra channels to the bands.

    Parameters
    ----------
    image : ndarray, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    extras : sequence of str
        Names of extras, as a segmenter's specification gives them.
    known : mapping of callable
        What computes each.

    Returns
    -------
    ndarray, shape (c + extras, h, w)
        An extra is 0 where the bands are valid but it has no value (too near a gap), so that it
        takes no pixel away.
    """
    if unknown := [name for name in extras if name not in known]:
        msg = f"unknown extra channels {unknown}; choose from {', '.join(known)}"
        raise ExtraChannelError(msg)
    if not extras:
        return image
    valid = np.isfinite(image).all(axis=0)
    channels = [np.nan_to_num(known[name](image), nan=0.0) for name in extras]
    planes = [np.where(valid, channel, np.nan)[None] for channel in channels]
    return np.concatenate([image, *planes]).astype(np.float32)
