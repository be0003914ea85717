"""Restoration of whole images, patch by patch, each patch with noise of its own.

The overall strategy: patches overlap and are blended by Gaussian weights; only those with a gap
are shown to the networks, and only gap pixels are written. The noise of a patch comes from the
seed and its place, so that a pixel depends neither on batches nor on what is restored beside it.
Memory is that of the image, four times, and of one batch.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.kernels.imagery import tiling
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restorer import Restored

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]


class RestoresPatches(Protocol):
    """What :class:`~pipelines.nets.restorer.Restorer` does, of which this module needs no more."""

    @property
    def uses_samples(self) -> bool:
        """Whether mean or spread depend on drawn samples."""
        ...

    def restore(
        self, images: Tensor, known: Tensor, *, samples: int, seed: Sequence[int], steps: int
    ) -> Restored:
        """Fill the gaps of patches."""
        ...


class RestoredImage(NamedTuple):
    """A whole image without gaps [reflectance, 1].

    Attributes
    ----------
    mean : ndarray of float32, shape (c, H, W)
        Known pixels bit for bit; NaN in gaps around which nothing is known.
    spread : ndarray of float32, shape (c, H, W)
        One standard deviation of gap pixels; 0 where known, NaN where `mean` is.
    """

    mean: FLOAT32
    spread: FLOAT32


class _Choices(NamedTuple):
    """How patches are restored, see :func:`restored`."""

    samples: int
    seed: int
    steps: int
    batch: int
    device: str
    half: bool
    origin: tuple[int, int] = (0, 0)


class _Patch(NamedTuple):
    """A window of the image with a gap to fill."""

    rows: slice
    columns: slice


def restored(
    restorer: RestoresPatches,
    image: FLOAT32,
    gap: BOOL,
    *,
    tile: int = 256,
    overlap: int = 64,
    samples: int = 4,
    seed: int = 0,
    steps: int = 10,
    batch: int = 4,
    device: str = "cpu",
    half: bool = False,
    origin: tuple[int, int] = (0, 0),
    say: Callable[[str], None] | None = None,
) -> RestoredImage:
    """Fill the gaps of an image with the best estimate.

    Parameters
    ----------
    restorer : RestoresPatches
        On `device`, in evaluation mode.
    image : ndarray of float32, shape (c, H, W)
        Reflectance [1], NaN where nothing was measured; values in gaps are not read.
    gap : ndarray of bool, shape (H, W)
        What to fill. Pixels that are NaN outside of it stay so.
    tile, overlap : int
        Side of patches, and what neighbours share [pixels].
    samples : int
        Samples of each patch; none are drawn where neither mean nor spread use them.
    seed : int
        Of the noise; with row and column of a patch it is the patch's seed.
    steps : int
        Denoising steps.
    batch : int
        Patches at a time; halved when a GPU runs out of memory.
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.
    half : bool
        Whether networks compute in bfloat16.
    origin : tuple of int
        Row and column of the image's first pixel in a larger one: patches at the same place of
        that have the same noise.
    say : callable, optional
        Told in a sentence what could not be filled.

    Returns
    -------
    RestoredImage
        New arrays; without gaps the image itself and a spread of 0.

    Raises
    ------
    RestorationError
        Shapes that do not fit, patches that do not overlap rightly, an image of which nothing is
        known, or a restorer that answers with NaN.
    """
    blend = _Blend(image, gap, tile, overlap)
    weights = tiling.gaussian_weights(tile)
    used = samples if restorer.uses_samples else 0
    choices = _Choices(used, seed, steps, batch, device, half, origin)
    for patches, answer in _answers(restorer, image, gap, blend.patches, choices):
        means, spreads = answer.mean.float().cpu().numpy(), answer.spread.float().cpu().numpy()
        for patch, mean, spread in zip(patches, means, spreads, strict=True):
            blend.add(patch, mean, spread, weights)
    return blend.result(say)


def one_sample(
    restorer: RestoresPatches,
    image: FLOAT32,
    gap: BOOL,
    *,
    tile: int = 256,
    overlap: int = 64,
    seed: int = 0,
    steps: int = 10,
    batch: int = 4,
    device: str = "cpu",
    half: bool = False,
) -> FLOAT32:
    """Fill the gaps of an image with one sample, which has the texture that means lack.

    Each pixel is taken from the patch in whose middle it lies most; blending would smooth. See
    :func:`restored` for the parameters.

    Returns
    -------
    ndarray of float32, shape (c, H, W)
        Known pixels bit for bit; NaN in gaps around which nothing is known.

    Raises
    ------
    RestorationError
        As :func:`restored`, or a restorer that draws no samples.
    """
    blend = _Blend(image, gap, tile, overlap)
    weights = tiling.gaussian_weights(tile)
    choices = _Choices(1, seed, steps, batch, device, half)
    for patches, answer in _answers(restorer, image, gap, blend.patches, choices):
        if answer.samples is None:
            msg = "found a restorer that draws no samples, expected a sampler; name one in its spec"
            raise RestorationError(msg)
        for patch, sample in zip(patches, answer.samples[0].float().cpu().numpy(), strict=True):
            blend.take(patch, sample, weights)
    return blend.result(None).mean


class _Blend:
    """Sums of what patches say of gap pixels."""

    def __init__(self, image: FLOAT32, gap: BOOL, tile: int, overlap: int) -> None:
        _require(image, gap, tile, overlap)
        self._image, self._gap = image, gap
        shape = (image.shape[1], image.shape[2])
        known = _known(image, gap)
        self.patches = [
            _Patch(rows, columns)
            for rows, columns in tiling.windows(shape, tile=tile, stride=tile - overlap)
            if gap[rows, columns].any() and known[rows, columns].any()
        ]
        self._mean = np.zeros(image.shape, dtype=np.float32)
        self._variance = np.zeros(image.shape, dtype=np.float32)
        self._weight = np.zeros(shape, dtype=np.float32)

    def add(self, patch: _Patch, mean: FLOAT32, spread: FLOAT32, weights: FLOAT32) -> None:
        """Add a patch (c, h, w) to the sums."""
        window = (slice(None), *patch)
        weight = weights[: mean.shape[1], : mean.shape[2]]
        self._mean[window] += weight * mean
        self._variance[window] += weight * spread**2
        self._weight[patch.rows, patch.columns] += weight

    def take(self, patch: _Patch, sample: FLOAT32, weights: FLOAT32) -> None:
        """Keep a patch (c, h, w) wherever no other lies nearer its middle."""
        weight = weights[: sample.shape[1], : sample.shape[2]]
        so_far = self._weight[patch.rows, patch.columns]
        nearer = weight > so_far
        there = self._mean[:, patch.rows, patch.columns]
        there[:, nearer] = (sample * weight)[:, nearer]
        so_far[nearer] = weight[nearer]

    def result(self, say: Callable[[str], None] | None) -> RestoredImage:
        """Divide the sums by their weights, in gaps; what no patch filled is NaN."""
        filled = self._gap & (self._weight > 0)
        left = int(np.count_nonzero(self._gap & ~filled))
        if left and say is not None:
            say(
                f"{left:,} of {np.count_nonzero(self._gap):,} gap pixels stay empty: nothing is "
                "known in the patches around them"
            )
        mean = self._image.copy()
        spread = np.where(np.isnan(mean), np.float32(np.nan), np.float32(0.0))
        mean[:, self._gap] = spread[:, self._gap] = np.nan
        weight = self._weight[filled]
        mean[:, filled] = self._mean[:, filled] / weight
        spread[:, filled] = np.sqrt(self._variance[:, filled] / weight)
        return RestoredImage(mean, spread)


def _answers(
    restorer: RestoresPatches,
    image: FLOAT32,
    gap: BOOL,
    patches: Sequence[_Patch],
    choices: _Choices,
) -> Iterator[tuple[Sequence[_Patch], Restored]]:
    """Restore patches in batches; a GPU without memory gets half of a batch, and half again."""
    samples, seed, steps, batch, device, half, origin = choices
    at = 0
    while at < len(patches):
        some = patches[at : at + batch]
        images, known = _tensors(image, gap, some)
        seeds = [_patch_seed(seed, patch, origin) for patch in some]
        try:
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                answer = restorer.restore(
                    images.to(device), known.to(device), samples=samples, seed=seeds, steps=steps
                )
        except torch.OutOfMemoryError as error:
            if len(some) == 1:
                msg = (
                    f"found no memory on {device} for one patch of {tuple(images.shape)} with "
                    f"{samples} samples, expected enough; take smaller tiles or fewer samples"
                )
                raise RestorationError(msg) from error
            batch = len(some) // 2
            continue
        yield some, answer
        at += len(some)


def _tensors(image: FLOAT32, gap: BOOL, patches: Sequence[_Patch]) -> tuple[Tensor, Tensor]:
    """Return patches (n, c, h, w), 0 where not known, and what is known (n, 1, h, w)."""
    cut = np.stack([image[:, rows, columns] for rows, columns in patches])
    known = np.stack(
        [_known(part, gap[p.rows, p.columns]) for part, p in zip(cut, patches, strict=True)]
    )
    shown = np.where(known[:, None], cut, np.float32(0.0))
    return torch.from_numpy(shown), torch.from_numpy(known[:, None].astype(np.float32))


def _known(image: FLOAT32, gap: BOOL) -> BOOL:
    """Where all bands are measured, outside of gaps, shape (h, w)."""
    known: BOOL = np.isfinite(image).all(axis=0) & ~gap
    return known


def _patch_seed(seed: int, patch: _Patch, origin: tuple[int, int]) -> int:
    """Return a seed below 2⁶³ of the patch that begins at this row and column."""
    # A block of a larger image may begin before its first row: seeds are not negative.
    row, column = (start % 2**32 for start in (
        patch.rows.start + origin[0], patch.columns.start + origin[1]
    ))  # fmt: skip
    place = np.random.SeedSequence([seed, row, column])
    return int(place.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _require(image: FLOAT32, gap: BOOL, tile: int, overlap: int) -> None:
    if image.ndim != 3 or gap.shape != image.shape[1:] or gap.dtype != np.bool_:
        msg = (
            f"found an image of shape {image.shape} and gaps of type {gap.dtype} and shape "
            f"{gap.shape}, expected (c, H, W) and bool (H, W); give one mask for all bands"
        )
        raise RestorationError(msg)
    if not 0 <= overlap < tile:
        msg = f"found an overlap of {overlap} for tiles of {tile} pixels, expected 0 to {tile - 1}"
        raise RestorationError(msg)
    if gap.any() and not _known(image, gap).any():
        msg = (
            f"found no known pixel in an image of {gap.shape[0]} × {gap.shape[1]} pixels, expected "
            "some to restore from; leave out scenes without data"
        )
        raise RestorationError(msg)
