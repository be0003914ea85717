"""Sums over pixels of restored images, from which all figures of quality are made.

See :mod:`pipelines.nets.restoration_scores` for what the figures are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_stat_scores
from torchmetrics.functional.image import (
    structural_similarity_index_measure,
    universal_image_quality_index,
)

from pipelines.nets import inference

FLOAT32 = NDArray[np.float32]
FLOAT = NDArray[np.float64]
BOOL = NDArray[np.bool_]

DATA_RANGE: Final = 1.0
"""Reflectance that PSNR and SSIM call full range [1]."""

TILE: Final = 512
"""Images up to this side are shown to the network whole, larger ones in blended tiles [pixels]."""

_WINDOW: Final = 11
SUMS: Final = (
    "n", "square", "a", "b", "aa", "bb", "ab", "ssim", "uiqi_n", "uiqi", "texture", "real_texture",
    "spread_n", "s", "ss", "e", "ee", "se", "tp", "fp", "tn", "fn", "lpips_n", "lpips",
    "within_1", "within_2", "share_n", "share",
)  # fmt: skip
_AT: Final = {name: place for place, name in enumerate(SUMS)}
_RIM: Final = _WINDOW // 2
_BLOCK: Final = 66
"""Side of what is compared at a time [pixels]: with its rim 28 MB are written out."""
_BORDER: Final = (slice(_WINDOW // 2, -(_WINDOW // 2)),) * 2


class RestorationScoresError(ValueError):
    """Images that cannot be compared."""


@dataclass(frozen=True)
class Pair:
    """A restored image beside the original one.

    Attributes
    ----------
    original, restored : ndarray of float32, shape (band, y, x)
        Reflectance [1]; the original is NaN where nothing was measured, and not scored there.
    gap : ndarray of bool, shape (y, x)
        What was restored.
    spread : ndarray of float32, shape (band, y, x), optional
        Standard deviation that the restoration states [1]; needed in gaps only.
    """

    original: FLOAT32
    restored: FLOAT32
    gap: BOOL
    spread: FLOAT32 | None = None

    def __post_init__(self) -> None:
        """Refuse images that do not fit, are smaller than a window, or were not restored.

        Raises
        ------
        RestorationScoresError
            What was found, and what to change.
        """
        shapes = {self.original.shape, self.restored.shape}
        if self.spread is not None:
            shapes.add(self.spread.shape)
        fits = self.original.ndim == 3 and self.gap.shape == self.original.shape[1:]
        if len(shapes) > 1 or not fits or min(self.gap.shape) < _WINDOW:
            msg = (
                f"found images of shapes {sorted(shapes)} with gaps of shape {self.gap.shape}; "
                f"give one shape (band, y, x), sides of {_WINDOW} pixels at least, and (y, x)"
            )
            raise RestorationScoresError(msg)
        lacking = np.count_nonzero(~np.isfinite(self.restored).all(axis=0) & self.measured)
        if lacking:
            msg = (
                f"{lacking:,} pixels of the restored image are not finite where the original was "
                "measured; score what a method leaves open as what it falls back to"
            )
            raise RestorationScoresError(msg)

    @property
    def measured(self) -> BOOL:
        """Where all bands of the original are known."""
        known: BOOL = np.asarray(np.isfinite(self.original).all(axis=0))
        return known

    @property
    def images(self) -> tuple[FLOAT32, FLOAT32]:
        """The restored and the original image."""
        return self.restored, self.original


def mean_share(sums: FLOAT) -> FLOAT:
    """Return the mean local gap fraction of the pixels that were summed over; NaN of none [1]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: FLOAT = sums[..., _AT["share"]] / sums[..., _AT["share_n"]]
    return mean


def figures(sums: FLOAT) -> dict[str, FLOAT]:
    """Return the figures that sums over pixels make.

    Parameters
    ----------
    sums : ndarray, shape (..., sum)
        See :func:`pixel_sums` and :func:`agreement_sums`; sums of tiles add up.

    Returns
    -------
    dict of str to ndarray, shape (...)
        NaN where not defined.
    """
    of = {name: sums[..., place] for name, place in _AT.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        error = of["square"] / of["n"]
        intact = of["tn"] / (of["tn"] + of["fp"] + of["fn"])
        damage = of["tp"] / (of["tp"] + of["fp"] + of["fn"])
        precision, recall = of["tp"] / (of["tp"] + of["fp"]), of["tp"] / (of["tp"] + of["fn"])
        return {
            "psnr": 10.0 * np.log10(DATA_RANGE**2 / error),
            "rmse": np.sqrt(error),
            "cc": _correlation(of["n"], of["a"], of["b"], of["aa"], of["bb"], of["ab"]),
            "ssim": of["ssim"] / of["n"],
            "uiqi": of["uiqi"] / of["uiqi_n"],
            "texture": of["texture"] / of["real_texture"],
            "spread_cc": _correlation(
                of["spread_n"], of["s"], of["e"], of["ss"], of["ee"], of["se"]
            ),
            "spread_ratio": np.sqrt(of["ee"] / of["ss"]),
            "cover_1": of["within_1"] / of["spread_n"],
            "cover_2": of["within_2"] / of["spread_n"],
            "miou": (intact + damage) / 2.0,
            "oa": (of["tp"] + of["tn"]) / (of["tp"] + of["tn"] + of["fp"] + of["fn"]),
            "precision": precision,
            "recall": recall,
            "f1": 2.0 * of["tp"] / (2.0 * of["tp"] + of["fp"] + of["fn"]),
            "lambda": precision / recall,
            "lpips": of["lpips"] / of["lpips_n"],
        }


def pixel_sums(pair: Pair, where: Iterable[BOOL]) -> FLOAT:
    """Sum over pixels of an image what its figures need.

    Parameters
    ----------
    pair : Pair
        A tile.
    where : iterable of ndarray of bool, shape (y, x)
        Pixels to sum over, one row each; what was not measured is left out.

    Returns
    -------
    ndarray, shape (row, sum)
        Zero where it concerns segmentations.
    """
    measured = pair.measured
    a, b = (np.where(measured, image, 0.0).astype(np.float64) for image in pair.images)
    ssim, uiqi = _similarity(a, b)
    rows = []
    for mask in where:
        at = mask & measured
        x, y = a[:, at], b[:, at]
        inner = at[_BORDER]
        sums = {
            "n": x.size, "square": ((x - y) ** 2).sum(), "a": x.sum(), "b": y.sum(),
            "aa": (x * x).sum(), "bb": (y * y).sum(), "ab": (x * y).sum(),
            "ssim": ssim[:, at].sum(),
            "uiqi_n": inner.sum() * len(a), "uiqi": uiqi[:, inner].sum(),
            "texture": gradient_energy(a, at), "real_texture": gradient_energy(b, at),
        }  # fmt: skip
        if pair.spread is not None:
            sums |= _spread_sums(pair.spread[:, at & pair.gap], (a - b)[:, at & pair.gap])
        rows.append(sums_row(sums))
    return np.stack(rows)


def gradient_energy(image: FLOAT, where: BOOL) -> float:
    """Return the sum of squared differences of neighbours that both lie in some pixels.

    Parameters
    ----------
    image : ndarray, shape (band, y, x)
        Reflectance, no NaN [1].
    where : ndarray of bool, shape (y, x)
        The pixels.
    """
    down = np.diff(image, axis=1)[:, where[1:] & where[:-1]]
    right = np.diff(image, axis=2)[:, where[:, 1:] & where[:, :-1]]
    return float((down**2).sum() + (right**2).sum())


def agreement_sums(
    pair: Pair, where: Iterable[BOOL], predictor: inference.Predictor, *, threshold: float = 0.5
) -> FLOAT:
    """Count where the segmentation of the restored image is that of the original.

    Parameters
    ----------
    pair, where
        As in :func:`pixel_sums`.
    predictor : Predictor
        What segments; both images are valid where the original was measured.
    threshold : float
        Probability above which a pixel is damage [1].

    Returns
    -------
    ndarray, shape (row, sum)
        Zero but for true and false positives and negatives.
    """
    measured = pair.measured
    restored, original = (
        _segmented(predictor, np.where(measured, image, np.nan).astype(np.float32), threshold)
        for image in pair.images
    )
    return np.stack(
        [_counts(restored[mask & measured], original[mask & measured]) for mask in where]
    )


def sums_row(sums: Mapping[str, float]) -> FLOAT:
    """Return sums in their order, shape (sum,); 0 for those not given."""
    row = np.zeros(len(SUMS))
    for name, value in sums.items():
        row[_AT[name]] = value
    return row


def _counts(found: BOOL, true: BOOL) -> FLOAT:
    """Return sums that hold only how often both segmentations say damage, or not."""
    if not true.size:
        return sums_row({})
    said, truth = (torch.from_numpy(each.astype(np.uint8)) for each in (found, true))
    counted = binary_stat_scores(said, truth)
    return sums_row(dict(zip(("tp", "fp", "tn", "fn"), counted.tolist(), strict=False)))


def _spread_sums(spread: FLOAT32, error: FLOAT) -> dict[str, float]:
    """Return sums over the values whose spread is stated: more than 0, and a number."""
    stated = spread > 0.0
    s, e = spread[stated].astype(np.float64), np.abs(error[stated])
    return {
        "spread_n": s.size, "s": s.sum(), "ss": (s * s).sum(), "e": e.sum(), "ee": (e * e).sum(),
        "se": (s * e).sum(), "within_1": (e <= s).sum(), "within_2": (e <= 2.0 * s).sum(),
    }  # fmt: skip


def _similarity(restored: FLOAT, original: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return maps of SSIM, shape (band, y, x), and of UIQI without its border."""
    ssim, uiqi = np.empty_like(original), np.empty_like(original)
    # torchmetrics writes every window out, 121 numbers a pixel, five times over: so by blocks,
    # each with a rim that keeps its mirrored border away from what is taken.
    rows, columns = (
        [_block(first) for first in range(0, length, _BLOCK)] for length in original.shape[1:]
    )
    for band, row, column in product(range(len(original)), rows, columns):
        (seen_y, taken_y, y), (seen_x, taken_x, x) = row, column
        block = _similarity_of_block(restored[band, seen_y, seen_x], original[band, seen_y, seen_x])
        ssim[band, y, x], uiqi[band, y, x] = (each[taken_y, taken_x] for each in block)
    return ssim, uiqi[:, *_BORDER]


def _block(first: int) -> tuple[slice, slice, slice]:
    """Return, along an axis, a block with its rim, the block within that, and the block."""
    start = max(first - _RIM, 0)
    last = first + _BLOCK
    return slice(start, last + _RIM), slice(first - start, last - start), slice(first, last)


def _similarity_of_block(restored: FLOAT, original: FLOAT) -> tuple[FLOAT, FLOAT]:
    """Return maps of both, shape (y, x), of one band; UIQI is NaN at the border."""
    # Variances are differences of large numbers: in single precision flat snow would be noise.
    a, b = (torch.from_numpy(image)[None, None] for image in (restored, original))
    ssim = structural_similarity_index_measure(
        a, b, data_range=DATA_RANGE, reduction="none", return_full_image=True
    )
    uiqi = np.full_like(original, np.nan)
    uiqi[_BORDER] = universal_image_quality_index(a, b, reduction="none")[0, 0].numpy()
    return ssim[1][0, 0].numpy(), uiqi


def _segmented(predictor: inference.Predictor, image: FLOAT32, threshold: float) -> BOOL:
    if max(image.shape[1:]) > TILE:
        return inference.blended(predictor, image, tile=TILE) > threshold
    valid = np.isfinite(image).all(axis=0)
    shown = np.where(valid, image, np.float32(0))[None]
    probability = np.asarray(predictor.predict(shown, np.asarray(valid)[None]))
    found: BOOL = probability[0] > threshold
    return found


def _correlation(n: FLOAT, x: FLOAT, y: FLOAT, xx: FLOAT, yy: FLOAT, xy: FLOAT) -> FLOAT:
    """Return Pearson's correlation from sums; NaN where a side has no variance."""
    covariance, var_x, var_y = n * xy - x * y, n * xx - x * x, n * yy - y * y
    # What is left of equal numbers is rounding.
    varies = (var_x > 1e-12 * n * xx) & (var_y > 1e-12 * n * yy)
    out: FLOAT = np.where(varies, covariance / np.sqrt(np.abs(var_x * var_y)), np.nan)
    return out
