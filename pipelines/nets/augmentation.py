"""Variations of labelled samples, drawn with a NumPy generator and nothing else."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.nets.losses import NOT_LABELLED

Float = NDArray[np.float32]

QUARTER = 90.0
"""A right angle [degrees]."""


class AugmentationError(ValueError):
    """No augmentation of this name or with these values."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A labelled piece of an image.

    Attributes
    ----------
    image : ndarray, shape (c, h, w)
        Reflectance [1] and extras, 0 where invalid.
    valid : ndarray of bool, shape (h, w)
        Where all bands were measured.
    label : ndarray of uint8, shape (h, w)
        0 intact, 1 damage, 255 not labelled.
    bands : int
        Leading channels that are reflectance; the others know no brightness.
    """

    image: Float
    valid: NDArray[np.bool_]
    label: NDArray[np.uint8]
    bands: int


class Augmentation(Protocol):
    """Draws one variation."""

    def window(self, crop: int) -> int:
        """Side of the square that must be cut out to give one of side ``crop`` [pixel]."""
        ...

    def __call__(self, rng: np.random.Generator, sample: Sample, crop: int) -> Sample:
        """Vary a square of side ``window(crop)`` into one of side ``crop``."""
        ...


def centre(array: NDArray[np.generic], side: int) -> NDArray[np.generic]:
    """Take the square of that side in the middle of the last two axes."""
    top, left = ((size - side) // 2 for size in array.shape[-2:])
    return array[..., top : top + side, left : left + side]


def warped(sample: Sample, matrix: NDArray[np.float64], crop: int, *, smooth: bool) -> Sample:
    """Sample at ``matrix @ (x, y, 1)`` for every pixel (x, y) of a square of side ``crop``.

    Labels take their nearest pixel. Smooth images are interpolated bilinearly from valid
    pixels alone, Σ w v x / Σ w v, and valid where those hold half of the weight; otherwise
    they too take the nearest pixel. What lies outside is invalid and not labelled.
    """
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    kind = (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP

    def taken(plane: NDArray[Any], flags: int, outside: float) -> NDArray[Any]:
        return cv2.warpAffine(
            plane,
            matrix,
            (crop, crop),
            flags=flags,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        )

    weight = taken(sample.valid.astype(np.float32), kind, 0.0).astype(np.float32)
    valid = weight >= 0.5
    planes = [taken(plane * sample.valid, kind, 0.0) for plane in sample.image]
    image = np.where(valid, np.stack(planes) / np.maximum(weight, 0.5), 0.0).astype(np.float32)
    label = taken(sample.label, nearest, float(NOT_LABELLED)).astype(np.uint8)
    return Sample(image, valid, label, sample.bands)


def rotation(
    degrees: float, *, window: int, crop: int, scale: float = 1.0, mirror: bool = False
) -> NDArray[np.float64]:
    """Affine map (2, 3) from a pixel of the crop to one of the window, about their centres.

    ``scale`` is pixels of the window in one of the crop; ``mirror`` swaps left and right first.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = scale * np.array([[cosine, -sine], [sine, cosine]])
    if mirror:
        turn = turn @ np.diag([-1.0, 1.0])
    shift = np.full(2, (window - 1) / 2.0) - turn @ np.full(2, (crop - 1) / 2.0)
    return np.column_stack([turn, shift])


def lit(sample: Sample, gain: float, offset: float = 0.0, noise: Float | None = None) -> Sample:
    """``gain`` x + ``offset`` (+ noise) in the bands, where they are valid."""
    image = sample.image.copy()
    bands = image[: sample.bands] * np.float32(gain) + np.float32(offset)
    if noise is not None:
        bands = bands + noise
    image[: sample.bands] = np.where(sample.valid, bands, 0.0)
    return Sample(image, sample.valid, sample.label, sample.bands)


@dataclass(frozen=True)
class Unchanged:
    """No variation."""

    def window(self, crop: int) -> int:
        """Nothing more than the crop."""
        return crop

    def __call__(self, rng: np.random.Generator, sample: Sample, crop: int) -> Sample:  # noqa: ARG002
        """Return the sample itself."""
        return sample


@dataclass(frozen=True)
class PaperAugmentation:
    """Tang et al. (2026), section 2.3.3, as their code does it.

    Rotation by up to ±45° that takes the nearest pixel, whose empty corners here are invalid
    and not labelled (the authors' are black and intact); brightness x (1 ± 25 %) for half.

    Attributes
    ----------
    degrees : float
        Largest rotation.
    brightness : float
        Largest relative change.
    share : float
        Of samples whose brightness changes.
    """

    degrees: float = 45.0
    brightness: float = 0.25
    share: float = 0.5

    def window(self, crop: int) -> int:
        """Nothing more than the crop: corners are empty."""
        return crop

    def __call__(self, rng: np.random.Generator, sample: Sample, crop: int) -> Sample:
        """Rotate, then brighten or darken."""
        angle, chance, change = rng.uniform((-1.0, 0.0, -1.0), 1.0)
        matrix = rotation(self.degrees * angle, window=sample.valid.shape[-1], crop=crop)
        turned = warped(sample, matrix, crop, smooth=False)
        return lit(turned, 1.0 + self.brightness * change) if chance < self.share else turned


@dataclass(frozen=True)
class BetterAugmentation:
    """Any rotation, mirror and scale, whose corners show the real surroundings; light and noise.

    Attributes
    ----------
    share : float
        Of samples turned by any angle and scaled; the others by right angles only, unresampled.
    scale : float
        Pixels are up to this factor coarser or finer.
    contrast, offset, brightness : float
        Largest changes: of the deviation from the sample's mean, of the mean [1], and of all.
    noise : float
        Largest standard deviation of white noise [1].
    """

    share: float = 0.7
    scale: float = 1.3
    contrast: float = 0.3
    offset: float = 0.05
    brightness: float = 0.25
    noise: float = 0.02

    def window(self, crop: int) -> int:
        """Enough for the corners of the coarsest turned crop."""
        return 2 * math.ceil(0.5 * crop * math.sqrt(2.0) * self.scale) + crop % 2

    def __call__(self, rng: np.random.Generator, sample: Sample, crop: int) -> Sample:
        """Turn, scale and mirror, then change the light and add noise."""
        return self._lit(rng, self._turned(rng, sample, crop))

    def _turned(self, rng: np.random.Generator, sample: Sample, crop: int) -> Sample:
        resampled, mirror = rng.uniform(size=2) < (self.share, 0.5)
        angle, stretch = rng.uniform(-1.0, 1.0, size=2)
        quarters = int(rng.integers(4))
        if resampled:
            matrix = rotation(
                QUARTER * quarters + 0.5 * QUARTER * angle,
                window=sample.valid.shape[-1],
                crop=crop,
                scale=self.scale**stretch,
                mirror=bool(mirror),
            )
            return warped(sample, matrix, crop, smooth=True)

        def turned(array: NDArray[np.generic]) -> NDArray[np.generic]:
            inner = np.rot90(centre(array, crop), quarters, axes=(-2, -1))
            return np.ascontiguousarray(inner[..., ::-1] if mirror else inner)

        image, label = turned(sample.image), turned(sample.label)
        return Sample(
            image.astype(np.float32),
            turned(sample.valid).astype(np.bool_),
            label.astype(np.uint8),
            sample.bands,
        )

    def _lit(self, rng: np.random.Generator, sample: Sample) -> Sample:
        contrast, offset, brightness = rng.uniform(-1.0, 1.0, size=3)
        spread = np.float32(self.noise * rng.uniform())
        shape = (sample.bands, *sample.valid.shape)
        noise = spread * rng.standard_normal(shape, dtype=np.float32)
        inside = sample.image[: sample.bands][:, sample.valid]
        mean = float(inside.mean()) if inside.size else 0.0
        gain = (1.0 + self.contrast * contrast) * (1.0 + self.brightness * brightness)
        kept = mean * (1.0 + self.brightness * brightness) - gain * mean
        return lit(sample, gain, kept + self.offset * offset, noise)


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Unchanged(),
    "paper": PaperAugmentation(),
    "better": BetterAugmentation(),
    "light": BetterAugmentation(
        share=0.25, scale=1.1, contrast=0.2, offset=0.03, brightness=0.15, noise=0.01
    ),
    "strong": BetterAugmentation(
        share=0.7, scale=1.6, contrast=0.4, offset=0.1, brightness=0.1, noise=0.03
    ),
}
"""Augmentations by the names that run files use."""


def named(name: str) -> Augmentation:
    """Find an augmentation by its name."""
    if name not in AUGMENTATIONS:
        msg = f"no augmentation {name!r}; choose from {', '.join(AUGMENTATIONS)}"
        raise AugmentationError(msg)
    return AUGMENTATIONS[name]
