"""The mean network: what most likely lies in a gap, and how far that may be wrong."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.nets.small_unet import SmallUNet

SCALE_RANGE = (1e-3, 4.0)
"""Bounds of the Laplace scale, of the contrast of the patch [1]."""

FIRST_SCALE = 0.1
"""Laplace scale of a network that has seen nothing [1]."""


class Estimate(NamedTuple):
    """What the network says of patches (n, c, h, w), normalised: of a Laplace distribution.

    The density of a value x is exp(−|x − mean| / scale) / (2 scale).
    """

    mean: Tensor
    scale: Tensor

    @property
    def spread(self) -> Tensor:
        """Standard deviation, √2 scale [1]."""
        return math.sqrt(2.0) * self.scale


class MeanRestorer(nn.Module):
    """Corrects the first guess in gaps, and says the scale of what it cannot know.

    The guess carries what a smooth surface knows; the network adds what lines, edges and texture
    on either side of a gap tell of its inside.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        """Build a network for images of `channels` bands with channels `widths` of its scales."""
        super().__init__()
        self.channels = channels
        self.net = SmallUNet(channels + 1, 2 * channels, widths)

    def forward(self, guess: Tensor, known: Tensor) -> Estimate:
        """Estimate patches from the guess.

        Parameters
        ----------
        guess : Tensor, shape (n, c, h, w)
            Normalised patches [1], gaps filled by :func:`~pipelines.nets.smooth_fill.smooth_fill`.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.

        Returns
        -------
        Estimate
            Mean (`guess` where known) and Laplace scale (0 where known).
        """
        said = self.net(torch.cat([guess, known - 0.5], dim=1)).float()
        correction, logarithm = said.split(self.channels, dim=1)
        gap = 1.0 - known
        low, high = SCALE_RANGE
        scale = (FIRST_SCALE * torch.exp(logarithm.clamp(-8.0, 8.0))).clamp(low, high)
        return Estimate(guess + gap * correction, gap * scale)


def mean_loss(
    estimate: Estimate,
    truth: Tensor,
    missing: Tensor,
    *,
    square: float = 2.0,
    gradient: float = 0.25,
) -> Tensor:
    """Score an estimate in gaps, by its errors, its slopes, and its own opinion of its errors.

    ::

        loss = ⟨|e|⟩ + κ ⟨e²⟩ + γ ⟨|∇e|⟩ + ⟨|e|' / b + ln b⟩ / 4,      e = mean − truth

    with the average ⟨⟩ over missing pixels, the scale b, and |e|' held fixed, so that the opinion
    follows the errors and never pulls the mean. Absolute errors alone are least at the median:
    between floes and dark water it lies far from the mean, which has the highest PSNR.

    Parameters
    ----------
    estimate : Estimate
        Of patches (n, c, h, w).
    truth : Tensor, shape (n, c, h, w)
        Normalised patches without gaps [1].
    missing : Tensor, shape (n, 1, h, w)
        1 in gaps whose truth is known.
    square, gradient : float
        Weights κ of squared errors and γ of slopes [1].

    Returns
    -------
    Tensor, shape ()
        Loss [1].
    """
    error = (estimate.mean - truth) * missing
    doubt = estimate.scale.clamp_min(SCALE_RANGE[0])
    opinion = error.detach().abs() / doubt + torch.log(doubt)
    return (
        masked_mean(error.abs(), missing)
        + square * masked_mean(error.square(), missing)
        + gradient * gradient_loss(error, missing)
        + 0.25 * masked_mean(opinion, missing)
    )


def gradient_loss(error: Tensor, missing: Tensor) -> Tensor:
    """Average the absolute slopes of an error (n, c, h, w) that is 0 outside `missing`."""
    across = functional.pad(error, (1, 0)).diff(dim=-1).abs()
    down = functional.pad(error, (0, 0, 1, 0)).diff(dim=-2).abs()
    return masked_mean(across + down, missing)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average values (n, c, h, w) where the mask (n, 1, h, w) is 1; 0 if it is nowhere."""
    count = mask.sum() * values.shape[1]
    return (values * mask).sum() / count.clamp_min(1.0)
