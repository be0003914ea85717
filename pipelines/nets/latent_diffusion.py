"""Latent diffusion of gaps for GPUs: an autoencoder, and a denoiser told what is known.

Patches are encoded to a quarter of their sides and 4 channels (diffusers' AutoencoderKL), where a
U-Net takes noise away in 10 to 20 steps of DPM-Solver++ (Lu et al. 2022)::

    z_t = α_t z + σ_t n         v_t = α_t n − σ_t z         α_t² + σ_t² = 1  (cosine schedule)

The U-Net sees z_t beside the latents of the patch with its gaps cheaply filled (an autoencoder
that has learned ice shows holes as edges all around them) and the mask. A latent is missing if any
of its 4 × 4 pixels is, or one of its eight neighbours is: an encoder smears. Known latents are
replaced at every step by themselves with the noise of that step, as in RePaint (Lugmayr et al.
2022, equation 8, without its resampling), so that gaps grow out of what surrounds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, UNet2DModel
from torch import Tensor, nn
from torch.nn import functional

from pipelines.nets.noise_schedule import levels, noise_solver, repeated
from pipelines.nets.restoration_stage import RestorationError, standard_normal

DOWN: Final = 4
"""Pixels per side of one latent [1]."""

LATENTS: Final = 4
"""Channels of the latents."""

GROUPS: Final = 8
"""Groups of channels that are normalised together."""

FARTHEST: Final = 8.0
"""Latents beyond this are none of an image [spread of latents, 1]."""


@dataclass(frozen=True)
class LatentSpec:
    """What a latent diffusion is built of; JSON can hold it.

    Attributes
    ----------
    channels : int
        Bands of the images.
    autoencoder : tuple of three int
        Channels of the autoencoder's scales, the finest first: three scales make latents of a
        quarter of the sides.
    denoiser : tuple of int
        Channels of the U-Net's scales.
    layers : int
        Residual blocks at each scale, of both.
    attention : bool
        Whether the U-Net attends to all latents at its coarsest scale.
    """

    channels: int = 3
    autoencoder: tuple[int, ...] = (64, 128, 128)
    denoiser: tuple[int, ...] = (128, 192, 256)
    layers: int = 1
    attention: bool = False

    def __post_init__(self) -> None:
        """Take lists for tuples, as JSON has them, and refuse what cannot be built.

        Raises
        ------
        RestorationError
            Not three scales, no band, or widths that no group norm divides.
        """
        object.__setattr__(self, "autoencoder", tuple(self.autoencoder))
        object.__setattr__(self, "denoiser", tuple(self.denoiser))
        widths = (*self.autoencoder, *self.denoiser)
        odd = [width for width in widths if width <= 0 or width % GROUPS]
        wrong = len(self.autoencoder) != 3 or not self.denoiser or self.channels < 1
        if odd or wrong or self.layers < 1:
            msg = (
                f"found {self}, expected three scales of the autoencoder, one or more of the "
                f"denoiser, widths that {GROUPS} divides, and at least one band and layer; "
                "correct the specification"
            )
            raise RestorationError(msg)

    @property
    def side(self) -> int:
        """What the sides of patches are extended to multiples of [pixels]."""
        return DOWN * int(2 ** (len(self.denoiser) - 1))


SMALL: Final = LatentSpec()
"""For training in hours on one GPU: 18 million parameters."""

LARGE: Final = LatentSpec(
    autoencoder=(128, 256, 512), denoiser=(192, 384, 576), layers=2, attention=True
)
"""Of the size of published latent inpainting: for days on several GPUs."""


class LatentDiffusion(nn.Module):
    """A stage of a restorer, see :class:`~pipelines.nets.restoration_stage.Stage`.

    Attributes
    ----------
    centre, spread : Tensor, shape (1, latent, 1, 1)
        Mean and standard deviation of the autoencoder's latents of real patches [1], measured
        while it is trained; the denoiser works on latents without them.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, spec: LatentSpec) -> None:
        """Build both networks, untrained."""
        super().__init__()
        self.spec = spec
        self.autoencoder = _autoencoder(spec)
        self.denoiser = _denoiser(spec)
        self.register_buffer("centre", torch.zeros(1, LATENTS, 1, 1))
        self.register_buffer("spread", torch.ones(1, LATENTS, 1, 1))

    def encoded(self, images: Tensor) -> Tensor:
        """Return the most likely latents, of about unit variance, shape (n, latent, h/4, w/4).

        Parameters
        ----------
        images : Tensor, shape (n, c, h, w)
            Normalised patches without holes [1]; h and w are multiples of 4.
        """
        raw: Tensor = self.autoencoder.encode(images).latent_dist.mode()
        return (raw.float() - self.centre) / self.spread

    def decoded(self, latents: Tensor) -> Tensor:
        """Return the patches (n, c, h, w) of latents (n, latent, h/4, w/4), normalised [1]."""
        images: Tensor = self.autoencoder.decode(latents * self.spread + self.centre).sample
        return images.float()

    def forward(self, noisy: Tensor, step: Tensor, seen: Tensor, missing: Tensor) -> Tensor:
        """Predict velocities.

        Parameters
        ----------
        noisy, seen : Tensor, shape (n, latent, h/4, w/4)
            Noisy latents z_t, and those of the patches with cheaply filled gaps.
        step : Tensor of int64, shape (n,)
            Step t of the schedule, 0 to 999.
        missing : Tensor, shape (n, 1, h/4, w/4)
            1 where latents are missing.

        Returns
        -------
        Tensor, shape (n, latent, h/4, w/4)
            v_t.
        """
        shown = torch.cat([noisy, seen, missing - 0.5], dim=1)
        velocity: Tensor = self.denoiser(shown, step).sample
        return velocity.float()

    @torch.no_grad()
    def fill(
        self,
        images: Tensor,
        known: Tensor,
        guess: Tensor,
        *,
        samples: int,
        steps: int,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Draw fills of every patch; on a GPU in bfloat16.

        Parameters, returns and shapes as in
        :meth:`pipelines.nets.restoration_stage.Stage.fill`: what lies in the gaps of `images` is
        not read, nor is anything of it returned.
        """
        height, width = known.shape[-2:]
        whole = torch.where(known > 0.5, images, guess)
        whole, mask = _extended(whole, known, self.spec.side)
        missing = missing_latents(1.0 - mask)
        with torch.autocast(whole.device.type, torch.bfloat16, enabled=whole.is_cuda):
            seen = self.encoded(whole)
            noise = standard_normal(generators, samples, seen.shape[1:], like=seen)
            latents = self._denoised(noise.flatten(0, 1), repeated(seen, samples),
                                     repeated(missing, samples), steps)  # fmt: skip
            fills = self.decoded(latents)
        return fills[..., :height, :width].reshape(samples, *images.shape).to(images.dtype)

    def _denoised(self, noise: Tensor, seen: Tensor, missing: Tensor, steps: int) -> Tensor:
        """Return latents without noise; known ones as they were."""
        solver = noise_solver(steps)
        z, lacking = noise, missing > 0.5
        for step in solver.timesteps:
            alpha, sigma = levels(step[None], like=z)
            z = torch.where(lacking, z, alpha * seen + sigma * noise)
            said = self(z, step.repeat(len(z)).to(z.device), seen, missing)
            # A solver of second order remembers velocities: those of known latents must fit too.
            velocity = torch.where(lacking, said, alpha * noise - sigma * seen)
            z = solver.step(velocity, step, z).prev_sample
        return torch.where(lacking, z.clamp(-FARTHEST, FARTHEST), seen)


def missing_latents(gap: Tensor) -> Tensor:
    """Return which latents lack something: any pixel, or any neighbour.

    Parameters
    ----------
    gap : Tensor, shape (n, 1, h, w)
        1 in gaps; h and w are multiples of 4.

    Returns
    -------
    Tensor, shape (n, 1, h/4, w/4)
    """
    return functional.max_pool2d(functional.max_pool2d(gap, DOWN), 3, stride=1, padding=1)


def _autoencoder(spec: LatentSpec) -> Any:
    """Build the autoencoder: convolutions only, so that patches may have any size."""
    network: Any = AutoencoderKL
    scales = len(spec.autoencoder)
    return network(
        in_channels=spec.channels,
        out_channels=spec.channels,
        block_out_channels=spec.autoencoder,
        down_block_types=("DownEncoderBlock2D",) * scales,
        up_block_types=("UpDecoderBlock2D",) * scales,
        layers_per_block=spec.layers,
        latent_channels=LATENTS,
        norm_num_groups=GROUPS,
        mid_block_add_attention=False,
    )


def _denoiser(spec: LatentSpec) -> Any:
    network: Any = UNet2DModel
    plain = len(spec.denoiser) - 1
    coarsest = "Attn" if spec.attention else ""
    unet = network(
        in_channels=2 * LATENTS + 1,
        out_channels=LATENTS,
        block_out_channels=spec.denoiser,
        down_block_types=("DownBlock2D",) * plain + (f"{coarsest}DownBlock2D",),
        up_block_types=(f"{coarsest}UpBlock2D",) + ("UpBlock2D",) * plain,
        layers_per_block=spec.layers,
        norm_num_groups=GROUPS,
        add_attention=spec.attention,
    )
    # It begins by saying v = 0, which keeps the noise as it is.
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    return unet


def _extended(images: Tensor, known: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Extend patches to multiples of `side` pixels by their rims, which count as known."""
    height, width = known.shape[-2:]
    padding = (0, -width % side, 0, -height % side)
    if not any(padding):
        return images, known
    return (
        functional.pad(images, padding, mode="replicate"),
        functional.pad(known, padding, value=1.0),
    )
