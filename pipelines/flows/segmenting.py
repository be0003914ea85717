"""A segmenter at work on whole images: its bands, its extra channels, its tiles. Imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import radon_operator
from pipelines.nets import backends, extra_channels, inference, models
from pipelines.nets.segmenter import SegmenterSpec

FLOAT32 = NDArray[np.float32]
RADON_WINDOW = 5
"""Side of the windows of the baseline [pixels]: the finer of the published ones."""


@dataclass(frozen=True)
class Segmenting:
    """What predicts, and what it wants to see.

    Attributes
    ----------
    predictor : Predictor
        A network on some device.
    spec : SegmenterSpec
        Bands of the image, and what is computed from them.
    """

    predictor: Any
    spec: SegmenterSpec

    @property
    def channels(self) -> tuple[str, ...]:
        """Bands of the image, in order."""
        return self.spec.channels

    def probability(
        self,
        image: FLOAT32,
        *,
        tile: int = 512,
        overlap: int = 64,
        flips: Sequence[Any] = (),
        margin: int = 0,
    ) -> FLOAT32:
        """Return the probability of damage of an image (band, ny, nx); NaN where unknown [1].

        Small images are cut into tiles no larger than they need, and a network that enlarges what
        it sees gets tiles that are as much smaller. Of a margin along the edges only light and
        texture are seen; what is returned is as much smaller.
        """
        ny, nx = (size - margin for size in image.shape[1:])
        seen = extra_channels.shown(image, self.spec)[:, margin:ny, margin:nx]
        side = min(tile // self.spec.magnify, 32 * math.ceil(max(seen.shape[1:]) / 32))
        return inference.blended(
            self.predictor, seen, tile=side, overlap=min(overlap, side // 2), flips=flips
        )


@dataclass(frozen=True)
class BandPredictor:
    """A predictor of bands alone: what the network wants beside them is made of each image.

    Restored patches are judged so. A single band is shown as each of the network's.

    Attributes
    ----------
    segmenting : Segmenting
        The network at work.
    """

    segmenting: Segmenting

    def predict(self, image: FLOAT32, valid: NDArray[np.bool_]) -> FLOAT32:
        """Return probabilities, see :class:`pipelines.nets.inference.Predictor`."""
        spec = self.segmenting.spec
        if image.shape[1] == 1:
            image = np.repeat(image, len(spec.channels), axis=1)
        if spec.local_contrast or spec.extras:
            known = np.where(valid[:, None], image, np.float32(np.nan))
            image = np.nan_to_num(
                np.stack([extra_channels.shown(each, spec) for each in known]), nan=0.0
            )
        found: FLOAT32 = self.segmenting.predictor.predict(image, valid)
        return found


def of_network(network: Any, **engine: Any) -> Segmenting:
    """Return a network as it segments; see :func:`pipelines.nets.backends.predictor`."""
    return Segmenting(backends.predictor(network, **engine), network.spec)


def of_bytes(data: bytes, *, name: str, sha256: str, **engine: Any) -> Segmenting:
    """Return checked weights of a segmenter as they segment."""
    network = models.opened(data, name=name, sha256=sha256, task="segmentation")
    return of_network(network, **engine)


def radon_damage(image: FLOAT32) -> FLOAT32:
    """Return what NeRD calls damage: 1 or 0 in each window, NaN where one lacks a pixel.

    Izeboud and Lhermitte (2023), windows of 5 pixels, their threshold for Landsat 8: the baseline
    of every segmentation. It is calibrated for images of 30 m between 0 and 1.
    """
    gray = radon_operator.luminance(image)
    found = radon_operator.signals(gray, RADON_WINDOW).signal
    limit = radon_operator.threshold("L8", RADON_WINDOW)
    damage = np.where(np.isfinite(found), found > limit, np.nan).astype(np.float32)
    whole = np.full(gray.shape, np.nan, dtype=np.float32)
    wide = np.repeat(np.repeat(damage, RADON_WINDOW, axis=0), RADON_WINDOW, axis=1)
    whole[: wide.shape[0], : wide.shape[1]] = wide
    return np.where(np.isfinite(gray), whole, np.float32(np.nan))
