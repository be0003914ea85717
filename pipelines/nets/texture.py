"""Texture without diffusion: noise with the spread and the correlations that residuals have.

Residuals of the mean network, in units of their spread, are drawn as a Gaussian field with the
autocovariance that was measured on residuals in gaps of patches as rough as this one. It costs one
small convolution, has the right energy at every scale and no form; crevasses it does not continue.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.nets.mean_restorer import Estimate
from pipelines.nets.restoration_stage import RestorationError, standard_normal

REACH = 8
"""Farthest lag of the correlations that are kept [pixels]: more than half of the widest gap."""

TRUSTED = 4
"""Lag from which correlations, of ever fewer pairs, are tapered to 0 [pixels]."""


CLASSES = (0.16, 0.22, 0.30, 0.42, 0.60)
"""Bounds between classes of :func:`roughness`, which is 1/9 of slopes and 1 of white noise [1]."""

SHARED = 0.05
"""Weight of all patches together in the correlations of a class, which may have been rare [1]."""


class Texture(nn.Module):
    """Draws correlated residuals; white, and independent from band to band, until fitted."""

    kernel: Tensor
    mixing: Tensor

    def __init__(self, channels: int) -> None:
        """Build texture for images of `channels` bands."""
        super().__init__()
        side = 2 * REACH + 1
        kernel = torch.zeros(len(CLASSES) + 1, side, side)
        kernel[:, REACH, REACH] = 1.0
        self.register_buffer("kernel", kernel)
        self.register_buffer("mixing", torch.eye(channels))

    @torch.no_grad()
    def draw(
        self,
        estimate: Estimate,
        known: Tensor,
        *,
        samples: int,
        steps: int,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Draw fills, shape (samples, n, c, h, w), the mean where known.

        `steps` has no effect.
        """
        del steps
        detail = self.noise(estimate.mean, known, samples=samples, generators=generators)
        return estimate.mean + detail * estimate.spread * (1.0 - known)

    @torch.no_grad()
    def noise(
        self,
        images: Tensor,
        known: Tensor,
        *,
        samples: int,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Draw fields of about unit variance with the correlations that suit each patch.

        Parameters
        ----------
        images : Tensor, shape (n, c, h, w)
            Patches of any unit; values in gaps are not read.
        known : Tensor, shape (n, 1, h, w)
            1 where measured, 0 in gaps.
        samples : int
            Fields per patch.
        generators : sequence of torch.Generator
            One on the CPU per patch.

        Returns
        -------
        Tensor, shape (samples, n, c, h, w)
            Fields, in gaps and elsewhere.
        """
        channels, height, width = images.shape[1:]
        shape = (channels, height + 2 * REACH, width + 2 * REACH)
        white = standard_normal(generators, samples, shape, like=images)
        fields = [
            functional.conv2d(white[:, k].flatten(0, 1)[:, None], self.kernel[number][None, None])
            for k, number in enumerate(_classes(images, known))
        ]
        field = torch.stack([each.view(samples, channels, height, width) for each in fields], dim=1)
        return torch.einsum("ij,snjhw->snihw", self.mixing, field.to(self.mixing.dtype))


def roughness(images: Tensor, known: Tensor) -> Tensor:
    """Compare how pixels differ at short and at longer lags.

    ::

        R = Σ |u(x + 1) − u(x)|² / Σ |u(x + 3) − u(x)|²

    over pairs of known pixels along rows and columns, of all bands.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        Patches of any unit.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.

    Returns
    -------
    Tensor, shape (n,)
        About 1/9 of slopes, 1 of white noise [1]; 1 where nothing differs.
    """
    near, far = (_differences(images, known, lag) for lag in (1, 3))
    ratio: Tensor = torch.where(far > 0.0, near / far.clamp_min(1e-30), 1.0)
    return ratio


class Correlations:
    """Sums over residuals that give their autocovariance; fed batch by batch.

    With residuals e and spread s, which varies from pixel to pixel::

        C(lag) = Σ e(x) e(x + lag) / Σ s(x) s(x + lag)

    so that strong texture counts by its energy; weak residuals along rims are rougher.
    """

    def __init__(self, channels: int) -> None:
        """Begin with nothing seen."""
        side = 2 * REACH + 1
        shape = (len(CLASSES) + 1, side, side)
        self._products = torch.zeros(shape, dtype=torch.float64)
        self._weights = torch.zeros(shape, dtype=torch.float64)
        self._bands = torch.zeros(channels, channels, dtype=torch.float64)
        self._band_weights = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, estimate: Estimate, truth: Tensor, known: Tensor, missing: Tensor) -> None:
        """Add patches (n, c, h, w), of which (n, 1, h, w) are known, or missing but true."""
        error = ((truth - estimate.mean) * missing).double()
        spread = (estimate.spread * missing).double()
        for k, number in enumerate(_classes(truth, known)):
            self._products[number] += _lagged(error[k])
            self._weights[number] += _lagged(spread[k])
        self._bands += torch.einsum("nihw,njhw->ij", error, error)
        self._band_weights += torch.einsum("nihw,njhw->ij", spread, spread)

    def fitted(self, texture: Texture) -> Texture:
        """Give a texture the correlations seen, and return it.

        The mixing matrix is the Cholesky factor of the covariance of the bands.

        Raises
        ------
        RestorationError
            Nothing was seen.
        """
        if float(self._weights.sum()) == 0.0:
            msg = "found no residuals, expected some; add batches that have gaps"
            raise RestorationError(msg)
        products = self._products + SHARED * self._products.sum(dim=0)
        weights = self._weights + SHARED * self._weights.sum(dim=0)
        for kernel, covariance in zip(
            texture.kernel, products / weights.clamp_min(1e-12), strict=True
        ):
            kernel.copy_(_kernel(covariance))
        bands = self._bands / self._band_weights.clamp_min(1e-12)
        floor = 1e-6 * torch.eye(len(bands), dtype=torch.float64)
        texture.mixing.copy_(torch.linalg.cholesky(bands + floor).float())
        return texture


def _kernel(covariance: Tensor) -> Tensor:
    """Return the kernel k of a field without direction of autocovariance k ⋆ k = C / C(0).

    C is tapered towards the farthest lag and loses the negative power that sampling leaves.
    """
    symmetric = (covariance + covariance.flip(0) + covariance.T + covariance.T.flip(0)) / 4.0
    lag = torch.arange(-REACH, REACH + 1, dtype=torch.float64).abs()
    fall = (lag - TRUSTED).clamp_min(0.0) / (REACH + 1 - TRUSTED)
    taper = 0.5 * (1.0 + torch.cos(torch.pi * fall))
    shape = symmetric / symmetric[REACH, REACH] * torch.outer(taper, taper)
    # On a wider, empty surround, so that the kernel does not wrap around into itself.
    wide = functional.pad(shape, (2 * REACH,) * 4)
    power = torch.fft.fft2(torch.fft.ifftshift(wide)).real.clamp_min(0.0)
    kernel = torch.fft.fftshift(torch.fft.ifft2(power.sqrt()).real)
    kernel = kernel[2 * REACH : -2 * REACH, 2 * REACH : -2 * REACH]
    unit: Tensor = kernel / kernel.square().sum().sqrt()
    return unit.float()


def _classes(images: Tensor, known: Tensor) -> list[int]:
    """Return the class of roughness of each patch."""
    bounds = torch.tensor(CLASSES, device=images.device)
    numbers: list[int] = torch.bucketize(roughness(images, known).float(), bounds).tolist()
    return numbers


def _differences(images: Tensor, known: Tensor, lag: int) -> Tensor:
    """Sum squared differences at a lag, shape (n,), averaged over the pairs there are."""
    total = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    pairs = torch.zeros_like(total)
    for axis in (-2, -1):
        size = images.shape[axis] - lag
        both = known.narrow(axis, lag, size) * known.narrow(axis, 0, size)
        change = (images.narrow(axis, lag, size) - images.narrow(axis, 0, size)) * both
        total += change.double().square().sum(dim=(1, 2, 3))
        pairs += both.double().sum(dim=(1, 2, 3))
    return total / pairs.clamp_min(1.0)


def _lagged(values: Tensor) -> Tensor:
    """Sum v(x) v(x + lag) over pixels for every lag up to :data:`REACH`."""
    height, width = values.shape[-2:]
    padded = functional.pad(values, (REACH,) * 4)
    side = range(2 * REACH + 1)
    sums = [
        [(values * padded[..., i : i + height, j : j + width]).sum() for j in side] for i in side
    ]
    return torch.stack([torch.stack(row) for row in sums])
