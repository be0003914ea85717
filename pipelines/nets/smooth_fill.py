"""Membranes and plates through known pixels: cheap first fills of gaps, batched in torch.

With L the five-point Laplacian of a patch whose borders are mirrors, the fill minimises
Σ a (L u)² + b |∇u|² with u given where known, which is::

    A_gg u_g = −A_gk u_k,      A = a L² − b L                    (g: gap, k: known)

solved by conjugate gradients for every band of every patch at once, from a pyramid of averages.
A membrane has a = 0, a thin plate (biharmonic) b = 0, and a plate under tension both: it is smooth
at the rim of a gap as a plate is, and overshoots as little within as a membrane does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Sheet:
    """What is spanned across gaps.

    Attributes
    ----------
    stiffness : float
        Weight a of curvature [1].
    tension : float
        Weight b of slope [px⁻²].
    iterations : int
        Steps of conjugate gradients that fill gaps of 14 pixels to 1 % of their contrast.
    """

    stiffness: float
    tension: float
    iterations: int


MEMBRANE = Sheet(stiffness=0.0, tension=1.0, iterations=24)
PLATE = Sheet(stiffness=1.0, tension=0.0, iterations=128)
TENSE_PLATE = Sheet(stiffness=1.0, tension=1.0, iterations=48)


def smooth_fill(images: Tensor, known: Tensor, sheet: Sheet = TENSE_PLATE) -> Tensor:
    """Fill gaps with a smooth surface through the known pixels.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        Patches; values in gaps are not read.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.
    sheet : Sheet
        What is spanned.

    Returns
    -------
    Tensor, shape (n, c, h, w)
        `images` bit for bit where known; 0 in a patch of which nothing is known.
    """
    gap = 1.0 - known.float()
    u = pyramid_fill(images, known)
    residual = -gap * _bent(u, sheet)
    direction = residual
    norm = _dot(residual, residual)
    start = norm
    for _ in range(sheet.iterations):
        image = gap * _bent(direction, sheet)
        alive = norm > 1e-12 * start
        step = torch.where(alive, norm / (_dot(direction, image) + _TINY), 0.0)
        u = u + step * direction
        residual = residual - step * image
        new = _dot(residual, residual)
        direction = residual + torch.where(alive, new / (norm + _TINY), 0.0) * direction
        norm = new
    return torch.where(known > 0.5, images.float(), u)


def pyramid_fill(images: Tensor, known: Tensor) -> Tensor:
    """Fill gaps with averages of known pixels over ever larger squares.

    Parameters
    ----------
    images : Tensor, shape (n, c, h, w)
        Patches; values in gaps are not read.
    known : Tensor, shape (n, 1, h, w)
        1 where measured, 0 in gaps.

    Returns
    -------
    Tensor, shape (n, c, h, w)
        `images` where known; 0 in a patch of which nothing is known.
    """
    present = known > 0.5
    values = torch.where(present, images.float(), 0.0)
    height, width = values.shape[-2:]
    if max(height, width) == 1:
        return values
    even = (0, width % 2, 0, height % 2)
    weight = functional.avg_pool2d(functional.pad(present.float(), even), 2)
    means = functional.avg_pool2d(functional.pad(values, even), 2) / weight.clamp_min(0.25)
    coarse = pyramid_fill(means, (weight > 0).float())
    fine = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    return torch.where(present, values, fine[..., :height, :width])


_TINY = 1e-30


def _laplacian(u: Tensor) -> Tensor:
    """Sum of the four neighbours less four times the pixel; a border is its own neighbour."""
    across = u[..., :, 1:] - u[..., :, :-1]
    down = u[..., 1:, :] - u[..., :-1, :]
    out = torch.zeros_like(u)
    out[..., :, :-1] += across
    out[..., :, 1:] -= across
    out[..., :-1, :] += down
    out[..., 1:, :] -= down
    return out


def _bent(u: Tensor, sheet: Sheet) -> Tensor:
    """Apply A."""
    curvature = _laplacian(u)
    if sheet.stiffness == 0:
        return -sheet.tension * curvature
    return _laplacian(sheet.stiffness * curvature - sheet.tension * u)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(-2, -1), keepdim=True)
