"""What every stage of a restorer is: a filler of gaps in normalised patches, with its own noise.

A chain of stages starts from a cheap fill of the gaps (the guess) and hands its fill from stage to
stage. Images are normalised to about zero mean and unit spread before the first stage and brought
back after the last one, so that no stage knows of reflectance, sensor or sun.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class RestorationError(ValueError):
    """An image, a mask, a model or its answer that cannot be restored with."""


class Stage(Protocol):
    """Fills gaps, given the known pixels and the best fill so far."""

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
        """Draw fills of every patch.

        Parameters
        ----------
        images : Tensor, shape (n, c, h, w)
            Normalised patches [1], 0 in gaps.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.
        guess : Tensor, shape (n, c, h, w)
            The fill of the stage before: `images` where known.
        samples : int
            Number of fills to draw; a deterministic stage repeats itself.
        steps : int
            Number of denoising steps; a deterministic stage ignores it.
        generators : sequence of torch.Generator
            One on the CPU per patch, so that the noise of a patch depends on neither the batch
            nor the device it is in: draw with :func:`standard_normal`.

        Returns
        -------
        Tensor, shape (samples, n, c, h, w)
            Whole patches. Where known stands what the stage itself says there, never pasted: the
            harmoniser removes its misfit along rims. A stage that says nothing there returns
            `images`.
        """
        ...


def standard_normal(
    generators: Sequence[torch.Generator],
    samples: int,
    shape: Sequence[int],
    *,
    like: Tensor,
) -> Tensor:
    """White noise, each patch from its own generator.

    Parameters
    ----------
    generators : sequence of n torch.Generator
        One per patch, on the CPU; they move on.
    samples : int
        Number of draws per patch.
    shape : sequence of int
        Shape of one draw.
    like : Tensor
        Gives device and type.

    Returns
    -------
    Tensor, shape (samples, n, *shape)
        Independent values of zero mean and unit variance [1].
    """
    drawn = [torch.randn((samples, *shape), generator=each) for each in generators]
    return torch.stack(drawn, dim=1).to(device=like.device, dtype=like.dtype)


def pasted(images: Tensor, known: Tensor, fill: Tensor) -> Tensor:
    """Known pixels of `images`, the fill elsewhere; bit for bit, so by choice and not by sums.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        Patches.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.
    fill : Tensor, shape (..., n, c, h, w)
        Fills of the patches.

    Returns
    -------
    Tensor, shape (..., n, c, h, w)
        The patches without gaps.
    """
    return torch.where(known > 0.5, images, fill)
