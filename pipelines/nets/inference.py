"""Blended prediction of a whole image by a network that sees one tile at a time.

The overall strategy: rows of tiles from top to bottom. Of the image only the rows under the
present row of tiles are held, of the sums ``Σ w p`` and ``Σ w`` only what later tiles may still add
to. A tile without a single measured pixel is never shown to the network; where a pixel was not
measured there is no prediction, whatever the network says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.kernels.imagery import tiling

FLOAT = NDArray[np.float32]
BOOL = NDArray[np.bool_]

Flip = Literal["lr", "ud", "both"]
MIRRORED: dict[str, tuple[int, ...]] = {"": (), "lr": (-1,), "ud": (-2,), "both": (-2, -1)}
"""Axes that each flip reverses; the empty one is the image as it is."""
NOT_KNOWN = 255
"""Class of a pixel of which nothing can be said."""


class InferenceError(ValueError):
    """A network cannot predict an image as asked."""


class Predictor(Protocol):
    """A network on some device: tiles in, probabilities out."""

    def predict(self, image: FLOAT, valid: BOOL) -> FLOAT:
        """Return the probability of damage of some tiles.

        Parameters
        ----------
        image : ndarray, shape (n, c, h, w)
            Reflectance [1], 0 where not measured.
        valid : ndarray, shape (n, h, w)
            Whether all bands were measured.

        Returns
        -------
        ndarray, shape (n, h, w)
            Probability [1].
        """


@dataclass(frozen=True)
class Engine:
    """What a predictor runs on.

    Attributes
    ----------
    backend : {"torch", "openvino"}
        The library.
    device : {"cpu", "cuda"}
        The processor.
    precision : {"f32", "bf16"}
        Of products; sums are in float32 always.
    threads : int or None
        Threads on a processor; None is the library's choice.
    """

    backend: Literal["torch", "openvino"]
    device: Literal["cpu", "cuda"]
    precision: Literal["f32", "bf16"]
    threads: int | None = None

    def __str__(self) -> str:
        """Return the words for logs and receipts."""
        return f"{self.backend} on {self.device} in {self.precision}"


class Image(Protocol):
    """An array read piece by piece: of NumPy, of Zarr, or :class:`Windowed`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Bands, rows, columns."""

    def __getitem__(self, window: tuple[slice, slice, slice], /) -> Any:
        """Return the pixels of a window ``(bands, rows, columns)``."""


@dataclass(frozen=True)
class Windowed:
    """An image that a function reads.

    Attributes
    ----------
    shape : tuple of int
        Bands, rows, columns.
    read : callable
        Takes slices of rows and of columns, returns reflectance [1], shape (c, rows, columns),
        NaN where not measured.
    """

    shape: tuple[int, int, int]
    read: Callable[[slice, slice], FLOAT]

    def __getitem__(self, window: tuple[slice, slice, slice], /) -> FLOAT:
        """Return the pixels of a window ``(bands, rows, columns)``."""
        bands, rows, columns = window
        return self.read(rows, columns)[bands]


@dataclass(frozen=True)
class Cut:
    """How an image is cut and its pieces are blended.

    Attributes
    ----------
    tile, overlap : int
        Side of a tile, and what neighbours share at least [pixels].
    batch : int
        Tiles shown to the network at once.
    flips : tuple of {"lr", "ud", "both"}
        Mirror images whose predictions are averaged with that of the image itself.
    """

    tile: int = 512
    overlap: int = 64
    batch: int = 4
    flips: tuple[Flip, ...] = ()

    def __post_init__(self) -> None:
        if self.batch < 1:
            msg = f"a batch of {self.batch} tiles predicts nothing; take at least 1"
            raise InferenceError(msg)
        unknown = set(self.flips) - (MIRRORED.keys() - {""})
        if unknown or len(set(self.flips)) < len(self.flips):
            msg = f"found the flips {self.flips}; expected each of 'lr', 'ud', 'both' at most once"
            raise InferenceError(msg)

    def starts(self, length: int) -> tuple[int, ...]:
        """First pixels of the tiles along an axis of some length."""
        return tiling.starts(length, tile=self.tile, stride=self.tile - self.overlap)


def blended(
    predictor: Predictor,
    image: Image,
    *,
    tile: int = 512,
    overlap: int = 64,
    batch: int = 4,
    flips: Sequence[Flip] = (),
) -> FLOAT:
    """Predict a whole image from overlapping tiles.

    Blended with the weights w of :func:`tiling.gaussian_weights` over all tiles and flips k
    that show a pixel::

        p = Σ_k w_k p_k / Σ_k w_k

    Parameters
    ----------
    predictor : Predictor
        The network.
    image : array-like, shape (c, H, W)
        Reflectance [1], NaN where not measured; only slices of it are read, a row of tiles at
        once.
    tile, overlap, batch, flips
        See :class:`Cut`.

    Returns
    -------
    ndarray, shape (H, W), float32
        Probability of damage [1]; NaN where any band was not measured.
    """
    _, rows, columns = _shape(image)
    probability = np.empty((rows, columns), np.float32)
    cut = Cut(tile, overlap, batch, tuple(flips))
    for finished, band in bands(predictor, image, cut):
        probability[finished] = band
    return probability


def classes(probability: FLOAT, *, threshold: float = 0.5) -> NDArray[np.uint8]:
    """Return 1 where damage is more probable than a threshold, 0 elsewhere, 255 for NaN.

    Everywhere in this project a probability of the threshold itself is no damage.

    Examples
    --------
    >>> classes(np.array([0.5, 0.6, np.nan], np.float32))
    array([  0,   1, 255], dtype=uint8)
    """
    found = (probability > threshold).astype(np.uint8)
    return np.where(np.isnan(probability), np.uint8(NOT_KNOWN), found)


def refuse_misfit(image: FLOAT, valid: BOOL, *, bands: int) -> None:
    """Refuse tiles that are not of a network's number of bands, or not of one shape."""
    count, found, rows, columns = image.shape
    if found != bands:
        msg = (
            f"found tiles of {found} band{'' if found == 1 else 's'}; the network was made for "
            f"{bands}; give its bands in its order (model card, spec.channels and spec.extras)"
        )
        raise InferenceError(msg)
    if valid.shape != (count, rows, columns):
        msg = (
            f"found a mask of shape {valid.shape} with tiles of shape {image.shape}; "
            f"expected {(count, rows, columns)}"
        )
        raise InferenceError(msg)


def bands(predictor: Predictor, image: Image, cut: Cut) -> Iterator[tuple[slice, FLOAT]]:
    """Predict an image from top to bottom, handing out rows as soon as no tile adds to them.

    Yields
    ------
    slice
        Rows of the image, each handed out once.
    ndarray, shape (rows, W), float32
        Their probability [1]; NaN where any band was not measured.
    """
    _, rows, columns = _shape(image)
    firsts = cut.starts(rows)
    weights = tiling.gaussian_weights(cut.tile)
    total, weight = np.zeros((2, cut.tile, max(columns, cut.tile)), np.float32)
    for first, end in zip(firsts, (*firsts[1:], rows), strict=True):
        pixels, valid = _band(image, first, cut.tile)
        for part, probability in _predictions(predictor, pixels, valid, cut, first):
            total[:, part] += weights * probability
            weight[:, part] += weights
        ready = end - first
        band = np.full((ready, columns), np.nan, np.float32)
        known = valid[:ready, :columns]
        np.divide(total[:ready, :columns], weight[:ready, :columns], out=band, where=known)
        yield slice(first, end), band
        for sums in (total, weight):
            sums[: cut.tile - ready] = sums[ready:].copy()
            sums[cut.tile - ready :] = 0.0


def _shape(image: Image) -> tuple[int, int, int]:
    if len(image.shape) != 3 or 0 in image.shape:
        msg = (
            f"found an image of shape {tuple(image.shape)}; expected (bands, rows, columns), none "
            "of them 0 (one band is image[None])"
        )
        raise InferenceError(msg)
    found, rows, columns = image.shape
    return found, rows, columns


def _band(image: Image, first: int, tile: int) -> tuple[FLOAT, BOOL]:
    """Read a row of tiles: pixels with 0 where not measured, and where all bands were."""
    channels, rows, columns = _shape(image)
    inside = min(rows - first, tile)
    read = np.asarray(image[0:channels, first : first + inside, 0:columns], np.float32)
    if read.shape != (channels, inside, columns):
        msg = (
            f"rows {first} to {first + inside} of the image came with shape {read.shape}; "
            f"expected {(channels, inside, columns)}"
        )
        raise InferenceError(msg)
    pixels = np.zeros((channels, tile, max(columns, tile)), np.float32)
    valid = np.zeros(pixels.shape[1:], np.bool_)
    valid[:inside, :columns] = np.isfinite(read).all(axis=0)
    # Other bands go too where one is missing: the network has learned zeros there.
    np.copyto(pixels[:, :inside, :columns], read, where=valid[:inside, :columns])
    return pixels, valid


def _predictions(
    predictor: Predictor, pixels: FLOAT, valid: BOOL, cut: Cut, first: int
) -> Iterator[tuple[slice, FLOAT]]:
    """Predict one row of tiles; yields columns and probability, 0 where not measured."""
    parts = (slice(start, start + cut.tile) for start in cut.starts(valid.shape[1]))
    shown = [part for part in parts if valid[:, part].any()]
    looks = list(product(shown, ("", *cut.flips)))
    for some in (looks[at : at + cut.batch] for at in range(0, len(looks), cut.batch)):
        tiles = np.stack([np.flip(pixels[..., part], MIRRORED[flip]) for part, flip in some])
        masks = np.stack([np.flip(valid[..., part], MIRRORED[flip]) for part, flip in some])
        found = np.asarray(predictor.predict(tiles, masks), np.float32)
        if found.shape != masks.shape:
            msg = f"the network gave shape {found.shape}; expected {masks.shape}, as the tiles"
            raise InferenceError(msg)
        for look, probability, mask, seen in zip(some, found, masks, tiles, strict=True):
            _refuse_not_finite(probability, mask, seen, look, first)
            yield look[0], np.flip(np.where(mask, probability, np.float32(0)), MIRRORED[look[1]])


def _refuse_not_finite(
    probability: FLOAT, mask: BOOL, seen: FLOAT, look: tuple[slice, str], first: int
) -> None:
    spoilt = int((~np.isfinite(probability) & mask).sum())
    if spoilt:
        part, flip = look
        height = mask.shape[-2]
        msg = (
            f"the network gave {spoilt:,} values that are not finite, of {int(mask.sum()):,} "
            f"measured pixels, in the tile of rows {first} to {first + height} and columns "
            f"{part.start} to {part.stop}{f' (flipped {flip})' if flip else ''}, where the image "
            f"runs from {seen.min():.4g} to {seen.max():.4g}; look at the image there, or set "
            "the pixels to NaN so that they are left out"
        )
        raise InferenceError(msg)
