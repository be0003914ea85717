"""Diffusion of what the mean network leaves: details of gaps, in latents that lose nothing.

The residual of a patch in units of its own spread::

    r = (truth − mean) / spread          in gaps, 0 where known

has unit variance wherever the spread is right, so that noise of unit variance covers it. Its
latents are 4 × 4 pixels folded into channels, which has an exact inverse: no autoencoder has to be
trained, and none can blur. Noise is added, and predicted as a velocity, by the cosine schedule::

    z_t = α_t r + σ_t n         v_t = α_t n − σ_t r         α_t² + σ_t² = 1

The noise n is not white but has the correlations of residuals, see
:mod:`~pipelines.nets.texture`. A linear map makes it white, and schedule and solver commute with
linear maps, so nothing else changes. A network that says v = 0 keeps it at unit variance: it adds
texture of the right strength and smoothness and of no form, and training gives it form. Known
pixels of z are 0 at every step, as their residual is.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional

from pipelines.nets.mean_restorer import Estimate, masked_mean
from pipelines.nets.noise_schedule import levels, noise_solver, repeated
from pipelines.nets.texture import Texture

FOLD = 4
"""Pixels per side that are folded into channels of the latents [1]."""

FARTHEST = 6.0
"""Residuals beyond this are cut: an error of the mean network there, not a detail [spread, 1]."""


class ResidualDiffusion(nn.Module):
    """Predicts the velocity of noisy residuals, given mean, spread and gaps."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        """Build a network for images of `channels` bands with channels `widths` of its scales."""
        super().__init__()
        self.channels = channels
        folded = FOLD**2
        network: Any = UNet2DModel
        self.net = network(
            in_channels=(3 * channels + 1) * folded,
            out_channels=channels * folded,
            block_out_channels=tuple(widths),
            down_block_types=("DownBlock2D",) * len(widths),
            up_block_types=("UpBlock2D",) * len(widths),
            layers_per_block=1,
            norm_num_groups=8,
            add_attention=False,
        )
        nn.init.zeros_(self.net.conv_out.weight)
        nn.init.zeros_(self.net.conv_out.bias)

    def forward(self, noisy: Tensor, step: Tensor, estimate: Estimate, known: Tensor) -> Tensor:
        """Predict velocities.

        Parameters
        ----------
        noisy : Tensor, shape (n, c, h, w)
            Noisy residuals z_t in gaps, 0 where known; h and w multiples of 8.
        step : Tensor of int64, shape (n,)
            Step t of the schedule, 0 to 999.
        estimate : Estimate
            Of the patches (n, c, h, w).
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.

        Returns
        -------
        Tensor, shape (n, c, h, w)
            v_t in gaps, 0 where known.
        """
        logarithm = torch.log10(estimate.spread + 1e-3)
        seen = torch.cat([noisy, estimate.mean, logarithm + 1.0, known - 0.5], dim=1)
        said: Tensor = self.net(functional.pixel_unshuffle(seen, FOLD), step).sample
        return functional.pixel_shuffle(said, FOLD).float() * (1.0 - known)

    @torch.no_grad()
    def draw(
        self,
        estimate: Estimate,
        known: Tensor,
        *,
        samples: int,
        steps: int,
        generators: Sequence[torch.Generator],
        texture: Texture | None = None,
    ) -> Tensor:
        """Draw fills by DPM-Solver++, shape (samples, n, c, h, w), the mean where known.

        Parameters
        ----------
        estimate : Estimate
            Of the patches (n, c, h, w).
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.
        samples : int
            Number of fills.
        steps : int
            Number of denoising steps; 1 to 20 are of use.
        generators : sequence of torch.Generator
            One on the CPU per patch.
        texture : Texture, optional
            Makes the noise the network was trained with; white if absent.

        Returns
        -------
        Tensor, shape (samples, n, c, h, w)
            Fills.
        """
        height, width = known.shape[-2:]
        padded, mask = _padded(estimate, known)
        made = Texture(self.channels).to(known) if texture is None else texture
        noise = made.noise(padded.mean, mask, samples=samples, generators=generators)
        z = noise.flatten(0, 1) * (1.0 - repeated(mask, samples))
        many = Estimate(*(repeated(part, samples) for part in padded))
        known_many = repeated(mask, samples)
        solver = noise_solver(steps)
        for step in solver.timesteps:
            at = step.repeat(len(z)).to(z.device)
            velocity = self(z, at, many, known_many)
            z = solver.step(velocity, step, z).prev_sample
        detail = z.clamp(-FARTHEST, FARTHEST)[..., :height, :width]
        residuals = detail.reshape(samples, *estimate.mean.shape)
        return estimate.mean + residuals * estimate.spread


def standardised(estimate: Estimate, truth: Tensor, missing: Tensor) -> Tensor:
    """Return residuals r of patches (n, c, h, w) where the mask (n, 1, h, w) is 1, 0 elsewhere."""
    residual = (truth - estimate.mean) / estimate.spread.clamp_min(1e-3)
    return residual.clamp(-FARTHEST, FARTHEST) * missing


def diffusion_loss(
    net: ResidualDiffusion,
    estimate: Estimate,
    truth: Tensor,
    known: Tensor,
    missing: Tensor,
    noise: Tensor,
    step: Tensor,
) -> Tensor:
    """Score predicted velocities: their mean squared error over missing pixels.

    Parameters
    ----------
    net : ResidualDiffusion
        The network.
    estimate : Estimate
        Of the patches (n, c, h, w).
    truth : Tensor, shape (n, c, h, w)
        Normalised patches without gaps [1].
    known, missing : Tensor, shape (n, 1, h, w)
        1 where measured; 1 in gaps whose truth is known.
    noise : Tensor, shape (n, c, h, w)
        Of unit variance.
    step : Tensor of int64, shape (n,)
        Steps of the schedule.

    Returns
    -------
    Tensor, shape ()
        Loss [1]: 1 for a network that says nothing of residuals of unit variance.
    """
    gap = 1.0 - known
    alpha, sigma = levels(step, like=truth)
    residual = standardised(estimate, truth, missing)
    hidden = noise * gap
    noisy = alpha * residual + sigma * hidden
    wanted = alpha * hidden - sigma * residual
    said = net(noisy, step, estimate, known)
    return masked_mean((said - wanted) ** 2, missing)


def _padded(estimate: Estimate, known: Tensor) -> tuple[Estimate, Tensor]:
    """Extend patches to multiples of 8 pixels; what is added counts as known."""
    height, width = known.shape[-2:]
    padding = (0, -width % 8, 0, -height % 8)
    if not any(padding):
        return estimate, known
    mean = functional.pad(estimate.mean, padding, mode="replicate")
    return Estimate(mean, functional.pad(estimate.scale, padding)), functional.pad(
        known, padding, value=1.0
    )
