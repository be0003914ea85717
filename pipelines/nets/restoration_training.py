"""What the stages of a restorer learn from: whole tiles with gaps drawn into them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.nets import normalisation
from pipelines.nets.harmoniser import Harmoniser
from pipelines.nets.mean_restorer import (
    Estimate,
    MeanRestorer,
    gradient_loss,
    masked_mean,
    mean_loss,
)
from pipelines.nets.noise_schedule import draw_steps
from pipelines.nets.residual_diffusion import (
    ResidualDiffusion,
    diffusion_loss,
)
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.restorer import Restorer
from pipelines.nets.smooth_fill import smooth_fill
from pipelines.nets.texture import Correlations

LEARNT = ("mean", "diffusion", "harmoniser")

LEAST_VALID = 0.7
"""Share of a crop that has to be measured [1]."""

RICH = 0.75
"""Share of patches that are the richest in structure of :data:`RIVALS` [1]."""

RIVALS = 6
"""Crops among which the richest is taken: most of a shelf is smooth snow and teaches little."""

GAP_SCALE = 6
"""Half of the width of a wide gap [pixels]."""

STRIDES = 16
"""Crops begin at multiples of this part of their side [1]."""

LATENT_STEPS = 10
"""Denoising steps of the fills that a harmoniser behind a latent diffusion learns from [1]."""

TRIES = 50
"""Masks drawn for a crop before they are said to hide all of it."""

BOOL = NDArray[np.bool_]
FLOAT32 = NDArray[np.float32]


class HasImage(Protocol):
    """A tile: reflectance, NaN where nothing was measured."""

    @property
    def image(self) -> FLOAT32:
        """Reflectance, shape (c, h, w) [1]."""
        ...


class RestorationTask:
    """Teaches one stage; satisfies :class:`~pipelines.nets.training.Task`.

    The module to train is ``getattr(restorer, stage)``; the stages before it are used as they
    are, without gradients. Before diffusion comes :func:`fit_texture`, which shapes its noise.

    Parameters
    ----------
    tiles : sequence of HasImage
        Tiles without SLC-off gaps; other missing pixels are neither shown nor scored.
    gaps : callable
        Draws a mask of shape (crop, crop), True in gaps, from a generator.
    crop : int
        Side of the squares cut from tiles [pixels].
    stage : {"mean", "diffusion", "harmoniser"}
        What is trained.
    restorer : Restorer, optional
        Gives the stages before; not needed for the mean network.

    Raises
    ------
    RestorationError
        No tiles, tiles smaller than the crop or of which too little is measured, an unknown
        stage, or one without those before it.
    """

    def __init__(
        self,
        tiles: Sequence[HasImage],
        gaps: Callable[[np.random.Generator], BOOL],
        *,
        crop: int = 128,
        stage: str = "mean",
        restorer: Restorer | None = None,
    ) -> None:
        _require(tiles, crop, stage, restorer)
        self._tiles, self._gaps, self._crop = tiles, gaps, crop
        self._stage, self._restorer = stage, restorer
        self._places = _places(tiles, crop)

    @torch.no_grad()
    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Draw patches with gaps, normalised by their known pixels.

        Returns
        -------
        dict of Tensor
            ``truth`` and ``guess`` (n, c, h, w), ``known`` and ``missing`` (n, 1, h, w), the last
            1 in gaps whose truth is known; for later stages what the earlier ones say, and noise.
        """
        drawn = [self._patch(rng) for _ in range(size)]
        images = torch.from_numpy(np.stack([image for image, _ in drawn]))
        gaps = torch.from_numpy(np.stack([gap for _, gap in drawn]))[:, None]
        valid = torch.isfinite(images).all(dim=1, keepdim=True)
        known, missing = (valid & ~gaps).float(), (valid & gaps).float()
        reflectance = torch.where(valid, images, 0.0)
        truth = normalisation.of_known(reflectance, known).applied(reflectance)
        truth = torch.where(valid, truth, 0.0)
        shown = torch.where(known > 0.5, truth, 0.0)
        out = {"truth": truth, "known": known, "missing": missing}
        return out | self._said_before(shown, known, rng)

    def _said_before(
        self, shown: Tensor, known: Tensor, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Return what the stage is given by those before it."""
        if self._restorer is None or self._stage == "mean":
            return {"guess": smooth_fill(shown, known)}
        # On the device of the networks before: a GPU that learns would wait for a core otherwise.
        device = next(self._restorer.parameters()).device
        shown, known = shown.to(device), known.to(device)
        if self._restorer.mean is None:
            return {"shown": shown, "guess": self._latent_fill(shown, known, rng)}
        estimate = self._restorer.estimate(shown, known)
        out = {"shown": shown, "guess": estimate.mean, "scale": estimate.scale}
        if self._stage == "diffusion":
            chance = _generators(rng, len(shown))
            texture = self._restorer.texture
            if texture is None:
                return out
            noise = texture.noise(estimate.mean, known, samples=1, generators=chance)[0]
            out |= {"noise": noise, "step": draw_steps(rng, len(shown))}
        return out

    def _latent_fill(self, shown: Tensor, known: Tensor, rng: np.random.Generator) -> Tensor:
        """Return a sample of the latent diffusion, with what it says of known pixels."""
        latent: Any = cast("Restorer", self._restorer).latent
        fills: Tensor = latent.fill(
            shown, known, smooth_fill(shown, known), samples=1, steps=LATENT_STEPS,
            generators=_generators(rng, len(shown)),
        )  # fmt: skip
        return fills[0]

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Score a stage on a batch [1]."""
        truth, known, missing = batch["truth"], batch["known"], batch["missing"]
        if self._stage == "mean":
            return mean_loss(cast("MeanRestorer", module)(batch["guess"], known), truth, missing)
        if self._stage == "diffusion":
            estimate = Estimate(batch["guess"], batch["scale"])
            net = cast("ResidualDiffusion", module)
            return diffusion_loss(
                net, estimate, truth, known, missing, batch["noise"], batch["step"]
            )
        fill = cast("Harmoniser", module)(batch["guess"], batch["shown"], known)
        error = (fill - truth) * missing
        return masked_mean(error.abs(), missing) + 0.5 * gradient_loss(error, missing)

    def _patch(self, rng: np.random.Generator) -> tuple[FLOAT32, BOOL]:
        """Cut a patch, turn and flip it, and draw its gaps."""
        rivals = [self._cut(rng) for _ in range(RIVALS if rng.random() < RICH else 1)]
        image = max(rivals, key=structure)
        image = np.rot90(image, int(rng.integers(4)), axes=(1, 2))
        image = image[:, :, ::-1] if rng.random() < 0.5 else image
        valid = np.isfinite(image).all(axis=0)
        for _ in range(TRIES):
            gap = self._gaps(rng)
            _require_mask(gap, self._crop)
            if (valid & ~gap).any():
                return np.ascontiguousarray(image, dtype=np.float32), gap
        msg = f"found nothing known outside of {TRIES} gaps drawn, expected narrower gaps"
        raise RestorationError(msg)

    def _cut(self, rng: np.random.Generator) -> FLOAT32:
        """Cut a square that is measured well enough, shape (c, crop, crop)."""
        number, top, left = self._places[int(rng.integers(len(self._places)))]
        image = self._tiles[int(number)].image
        return image[:, top : top + self._crop, left : left + self._crop]


def _generators(rng: np.random.Generator, count: int) -> list[torch.Generator]:
    """Return a generator for each patch of a batch."""
    seeds = rng.integers(2**63, size=count).tolist()
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def structure(image: FLOAT32) -> float:
    """Measure what a smooth surface misses in a gap, beyond the noise of the sensor.

    ::

        S = ⟨|u(x + l) − 2 u(x) + u(x − l)|²⟩ at l = 6, less the same at l = 1

    over both axes: white noise gives 6 σ² at either lag, slopes give 0.

    Parameters
    ----------
    image : ndarray of float32, shape (c, h, w)
        Reflectance [1], NaN where not measured.
    """
    return _bending(image[0], GAP_SCALE) - _bending(image[0], 1)


def _bending(band: FLOAT32, lag: int) -> float:
    """Return the mean square of second differences at a lag; 0 if there are none."""
    total, count = 0.0, 0
    for each in (band, band.T):
        middle = each[lag:-lag]
        bent = (each[2 * lag :] - 2.0 * middle + each[: -2 * lag])[:, ::2]
        found = np.isfinite(bent)
        total += float(np.square(bent, where=found, out=np.zeros_like(bent)).sum())
        count += int(np.count_nonzero(found))
    return total / max(count, 1)


def _places(tiles: Sequence[HasImage], crop: int) -> NDArray[np.int32]:
    """List tile, top and left of crops that are measured well enough, shape (place, 3)."""
    step = max(crop // STRIDES, 1)
    found = []
    for number, tile in enumerate(tiles):
        valid = np.isfinite(tile.image).all(axis=0)
        sums = np.pad(valid, ((1, 0), (1, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
        count = (
            sums[crop:, crop:] - sums[:-crop, crop:] - sums[crop:, :-crop] + sums[:-crop, :-crop]
        )
        rows, columns = np.nonzero(count[::step, ::step] >= LEAST_VALID * crop**2)
        found.append(np.stack([np.full_like(rows, number), rows * step, columns * step], axis=-1))
    places = np.concatenate(found).astype(np.int32)
    if not len(places):
        msg = (
            f"found no crop of {crop} pixels with {LEAST_VALID:.0%} of it measured in {len(tiles)} "
            "tiles, expected some; give other tiles or take smaller crops"
        )
        raise RestorationError(msg)
    return places


@torch.no_grad()
def fit_texture(
    restorer: Restorer, task: RestorationTask, *, batches: int = 16, size: int = 8, seed: int = 0
) -> Restorer:
    """Give the texture of a restorer the correlations of its mean network's residuals.

    Parameters
    ----------
    restorer : Restorer
        Its mean network is trained; its texture is changed in place.
    task : RestorationTask
        Draws patches; of the mean stage.
    batches, size : int
        Batches, and patches in each.
    seed : int
        Of the patches.

    Returns
    -------
    Restorer
        The same.
    """
    if restorer.mean is None or restorer.texture is None:
        msg = "found a restorer without a mean network, expected one; there are no residuals"
        raise RestorationError(msg)
    seen = Correlations(len(restorer.spec.channels))
    for k in range(batches):
        batch = task.batch(np.random.default_rng([seed, k]), size)
        estimate: Any = restorer.mean(batch["guess"], batch["known"])
        seen.add(estimate, batch["truth"], batch["known"], batch["missing"])
    seen.fitted(restorer.texture)
    return restorer


def _require(tiles: Sequence[HasImage], crop: int, stage: str, restorer: Restorer | None) -> None:
    if stage not in LEARNT:
        msg = f"found stage {stage!r}, expected one of {LEARNT}; only these are learnt here"
        raise RestorationError(msg)
    fills = restorer is not None and (
        restorer.mean is not None or (stage == "harmoniser" and restorer.latent is not None)
    )
    if stage != "mean" and not fills:
        msg = f"found no mean network before {stage!r}, expected one; train it first and give it"
        raise RestorationError(msg)
    if not tiles:
        msg = "found no tiles, expected at least one; give tiles without gaps to learn from"
        raise RestorationError(msg)
    small = [tile.image.shape for tile in tiles if min(tile.image.shape[1:]) < crop]
    if small:
        msg = f"found a tile of shape {small[0]}, expected {crop} pixels a side; take smaller crops"
        raise RestorationError(msg)


def _require_mask(gap: BOOL, crop: int) -> None:
    if gap.shape != (crop, crop) or gap.dtype != np.bool_:
        msg = (
            f"found gaps of type {gap.dtype} and shape {gap.shape}, expected bool of shape "
            f"({crop}, {crop}); draw masks of the size of the crop"
        )
        raise RestorationError(msg)
