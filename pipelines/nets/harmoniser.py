"""The second stage: a fill is joined to what is known around it.

First a membrane takes off the misfit along the rim of a gap, then a small network, told where the
gap is, mends what is left. Neither can touch a known pixel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipelines.nets.restoration_stage import pasted
from pipelines.nets.small_unet import SmallUNet
from pipelines.nets.smooth_fill import MEMBRANE, smooth_fill


def membrane_corrected(fill: Tensor, images: Tensor, known: Tensor) -> Tensor:
    """Remove the misfit of a fill along rims by a membrane across each gap (Pérez et al. 2003).

    ::

        ∇² m = 0 in the gap,    m = fill − image on known pixels,    corrected = fill − m

    so that steps at the rim vanish while differences between neighbours within are kept.

    Parameters
    ----------
    fill : Tensor, shape (n, c, h, w)
        Fills, with what the stage says of known pixels.
    images : Tensor, shape (n, c, h, w)
        Patches; values in gaps are not read.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.

    Returns
    -------
    Tensor, shape (n, c, h, w)
        `images` bit for bit where known.
    """
    misfit = smooth_fill(torch.where(known > 0.5, fill - images, 0.0), known, MEMBRANE)
    return pasted(images, known, fill - misfit)


class Harmoniser(nn.Module):
    """Mends fills in gaps by what a small network makes of fill, known pixels and gaps."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        """Build a network for images of `channels` bands; without `widths` the membrane alone."""
        super().__init__()
        self.net = SmallUNet(2 * channels + 1, channels, widths) if widths else None

    def forward(self, fill: Tensor, images: Tensor, known: Tensor) -> Tensor:
        """Return harmonised fills.

        Parameters
        ----------
        fill : Tensor, shape (n, c, h, w)
            Normalised fills [1], with what the stage says of known pixels.
        images : Tensor, shape (n, c, h, w)
            Normalised patches [1], 0 in gaps.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.

        Returns
        -------
        Tensor, shape (n, c, h, w)
            `images` bit for bit where known.
        """
        joined = membrane_corrected(fill, images, known)
        if self.net is None:
            return joined
        mended = self.net(torch.cat([joined, images, known - 0.5], dim=1)).float()
        return pasted(images, known, joined + mended)
