"""What the two networks of the latent diffusion learn, one after the other.

First the autoencoder learns to give patches back; while it does, mean and spread of its latents
are measured. Then it rests, and the denoiser learns to see through noise in missing latents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.nets import normalisation
from pipelines.nets.latent_diffusion import LatentDiffusion, missing_latents
from pipelines.nets.mean_restorer import gradient_loss, masked_mean
from pipelines.nets.noise_schedule import draw_steps, levels
from pipelines.nets.restoration_stage import RestorationError
from pipelines.nets.smooth_fill import smooth_fill

FLOAT32 = NDArray[np.float32]
BOOL = NDArray[np.bool_]
Gaps = Callable[[np.random.Generator, tuple[int, int]], BOOL]
"""Draws where pixels are missing from a crop of some shape."""

DIVERGENCE = 1e-6
"""Weight of the KL divergence: latents are kept near 0, not made normal (Rombach et al. 2022)."""

MEMORY = 0.99
"""How much of the measured mean and spread of latents one step of training keeps [1]."""

LEAST_KNOWN = 0.25
"""Share of a crop that must be measured [1]."""

TRIES = 20
"""Crops drawn before the last one is taken as it is, if something of it is measured."""


@dataclass(frozen=True)
class LatentTask:
    """Crops of whole images with drawn gaps, for either network.

    Attributes
    ----------
    images : sequence of ndarray of float32, shape (band, y, x)
        Reflectance [1], NaN where nothing was measured.
    gaps : callable
        Draws gaps, see :data:`Gaps`.
    learner : {"autoencoder", "denoiser"}
        What learns; :func:`only_learning` must have been told the same.
    crop : int
        Side of crops [pixels]; a multiple of the specification's `side`.
    """

    images: Sequence[FLOAT32]
    gaps: Gaps
    learner: Literal["autoencoder", "denoiser"]
    crop: int = 256

    def __post_init__(self) -> None:
        """Refuse images that no crop fits into.

        Raises
        ------
        RestorationError
            No image, or one smaller than a crop, or without a measured pixel.
        """
        bad = [
            (place, image.shape)
            for place, image in enumerate(self.images)
            if min(image.shape[1:]) < self.crop or not np.isfinite(image).all(axis=0).any()
        ]
        if bad or not self.images:
            msg = (
                f"found {len(self.images)} images, of which {bad} are smaller than the crop of "
                f"{self.crop} pixels or hold nothing; leave these out, or crop less"
            )
            raise RestorationError(msg)

    def batch(self, rng: np.random.Generator, size: int) -> Mapping[str, Tensor]:
        """Draw crops, turned and mirrored, with their gaps and noise.

        Returns
        -------
        dict of Tensor
            ``images`` (n, c, h, w), 0 where not measured; ``valid`` and ``known`` (n, 1, h, w);
            ``noise`` (n, latent, h/4, w/4); ``step`` (n,).
        """
        crops = [self._crop(rng) for _ in range(size)]
        valid = np.stack([np.isfinite(crop).all(axis=0) for crop in crops])[:, None]
        gap = np.stack([self.gaps(rng, (self.crop, self.crop)) for _ in range(size)])[:, None]
        known = valid & ~gap
        # Of a crop whose every measured pixel is in a gap nothing can be learned, or said.
        known = np.where(known.any(axis=(1, 2, 3), keepdims=True), known, valid)
        latent = (size, 4, self.crop // 4, self.crop // 4)
        return {
            "images": torch.from_numpy(np.where(valid, np.stack(crops), np.float32(0))),
            "valid": torch.from_numpy(valid.astype(np.float32)),
            "known": torch.from_numpy(known.astype(np.float32)),
            "noise": torch.from_numpy(rng.standard_normal(latent, dtype=np.float32)),
            "step": draw_steps(rng, size),
        }

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Score what learns; `module` is a :class:`LatentDiffusion`."""
        stage: Any = module
        if self.learner == "autoencoder":
            return autoencoder_loss(stage, batch["images"], batch["valid"])
        return denoiser_loss(stage, **batch)

    def _crop(self, rng: np.random.Generator) -> FLOAT32:
        side, crop = self.crop, np.empty(0, dtype=np.float32)
        for attempt in range(TRIES * len(self.images)):
            image = self.images[int(rng.integers(len(self.images)))]
            y, x = (int(rng.integers(length - side + 1)) for length in image.shape[1:])
            crop = image[:, y : y + side, x : x + side]
            share = np.isfinite(crop).all(axis=0).mean()
            if share >= LEAST_KNOWN or (share > 0 and attempt >= TRIES):
                break
        else:
            msg = (
                f"{TRIES * len(self.images)} crops of {side} pixels held nothing measured; crop "
                "the images to where they hold something"
            )
            raise RestorationError(msg)
        turned = np.rot90(crop, int(rng.integers(4)), axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if rng.integers(2) else turned)


def only_learning(
    stage: LatentDiffusion, learner: Literal["autoencoder", "denoiser"]
) -> LatentDiffusion:
    """Hold one network still while the other learns; returns the stage itself."""
    stage.autoencoder.requires_grad_(learner == "autoencoder")
    stage.denoiser.requires_grad_(learner == "denoiser")
    return stage


def autoencoder_loss(
    stage: LatentDiffusion, images: Tensor, valid: Tensor, *, gradient: float = 0.5
) -> Tensor:
    """Score how patches are given back; in training also measure latents.

    ::

        loss = ⟨|e|⟩ + γ ⟨|∇e|⟩ + β KL(q(z | image) ‖ N(0, 1)),      e = decoded − image

    Parameters
    ----------
    stage : LatentDiffusion
        Whose autoencoder learns.
    images : Tensor, shape (n, c, h, w)
        Reflectance [1], 0 where not measured.
    valid : Tensor, shape (n, 1, h, w)
        1 where measured.
    gradient : float
        Weight γ of slopes [1].

    Returns
    -------
    Tensor, shape ()
    """
    whole = _filled(images, valid)
    posterior = stage.autoencoder.encode(whole).latent_dist
    latents = posterior.sample()
    if stage.training:
        _remember(stage, latents.detach().float())
    error = (stage.autoencoder.decode(latents).sample.float() - whole) * valid
    divergence: Tensor = posterior.kl().float().mean() / latents[0].numel()
    slopes = gradient_loss(error, valid)
    return masked_mean(error.abs(), valid) + gradient * slopes + DIVERGENCE * divergence


def denoiser_loss(
    stage: LatentDiffusion,
    images: Tensor,
    valid: Tensor,
    known: Tensor,
    noise: Tensor,
    step: Tensor,
) -> Tensor:
    """Score predicted velocities: their mean squared error over missing latents.

    Parameters
    ----------
    stage : LatentDiffusion
        Whose denoiser learns.
    images : Tensor, shape (n, c, h, w)
        Reflectance [1], 0 where not measured.
    valid, known : Tensor, shape (n, 1, h, w)
        1 where measured; 1 where measured and not in a gap.
    noise : Tensor, shape (n, latent, h/4, w/4)
        White, of unit variance.
    step : Tensor of int64, shape (n,)
        Steps of the schedule.

    Returns
    -------
    Tensor, shape ()
        1 for a network that says nothing of latents of unit variance.
    """
    scale = normalisation.of_known(images, known)
    normal = torch.where(valid > 0.5, scale.applied(images), 0.0)
    guess = smooth_fill(normal, known)
    with torch.no_grad():
        seen = stage.encoded(guess)
        truth = stage.encoded(torch.where(valid > 0.5, normal, guess))
    missing = missing_latents(1.0 - known)
    # As when sampling: a known latent is that of the filled patch.
    clean = torch.where(missing > 0.5, truth, seen)
    alpha, sigma = levels(step, like=clean)
    noisy, wanted = alpha * clean + sigma * noise, alpha * noise - sigma * clean
    said = stage(noisy, step, seen, missing)
    scored = missing * (1.0 - missing_latents(1.0 - valid))
    return masked_mean((said - wanted) ** 2, scored)


def _filled(images: Tensor, valid: Tensor) -> Tensor:
    """Return normalised patches with a smooth surface where nothing was measured."""
    normal = normalisation.of_known(images, valid).applied(images)
    if bool((valid > 0.5).all()):
        return normal
    return smooth_fill(torch.where(valid > 0.5, normal, 0.0), valid)


def _remember(stage: LatentDiffusion, latents: Tensor) -> None:
    """Let the measured mean and spread of latents follow those of a batch."""
    deviation, mean = torch.std_mean(latents, dim=(0, 2, 3), keepdim=True)
    stage.centre.lerp_(mean, 1.0 - MEMORY)
    stage.spread.lerp_(deviation.clamp_min(1e-3), 1.0 - MEMORY)
