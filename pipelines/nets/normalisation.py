"""Patches in units of their own brightness and contrast, taken from known pixels alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.nets.restoration_stage import RestorationError

LEAST_CONTRAST = 2e-3
"""Standard deviation below which contrast is noise of the sensor [reflectance, 1]."""


@dataclass(frozen=True)
class Normalisation:
    """Brightness and contrast of patches, each of shape (n, c, 1, 1) [reflectance, 1]."""

    mean: Tensor
    contrast: Tensor

    @property
    def least_spread(self) -> Tensor:
        """What a spread may not be below (n, c, 1, 1): in flat patches, saturated ones too.

        Where contrast is no more than noise, it is the unit of nothing that a network has seen, and
        a spread in this unit says nothing; that of the noise is the least that is known.
        """
        return torch.where(self.contrast <= LEAST_CONTRAST, LEAST_CONTRAST, 0.0)

    def applied(self, images: Tensor) -> Tensor:
        """Return (images − mean) / contrast."""
        return (images - self.mean) / self.contrast

    def undone(self, normalised: Tensor) -> Tensor:
        """Return patches (..., n, c, h, w) in reflectance."""
        return normalised * self.contrast + self.mean


def of_known(images: Tensor, known: Tensor) -> Normalisation:
    """Measure brightness and contrast of each band of each patch.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        Reflectance [1]; values in gaps are not read.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.

    Returns
    -------
    Normalisation
        Mean and standard deviation, the latter at least :data:`LEAST_CONTRAST`.

    Raises
    ------
    RestorationError
        Nothing of a patch is known.
    """
    count = known.sum(dim=(-2, -1), keepdim=True)
    if bool((count == 0).any()):
        empty = torch.nonzero(count.flatten() == 0).flatten().tolist()
        msg = (
            f"found no known pixel in patches {empty} of {len(images)}, expected at least one in "
            "each; leave out patches of which nothing is known"
        )
        raise RestorationError(msg)
    values = torch.where(known > 0.5, images, 0.0)
    mean = values.sum(dim=(-2, -1), keepdim=True) / count
    square = ((values - mean) ** 2 * known).sum(dim=(-2, -1), keepdim=True) / count
    return Normalisation(mean, square.sqrt().clamp_min(LEAST_CONTRAST))
