"""What segmenters make small: Tang et al. (2026), equations 1 to 3, over known pixels."""

import torch
from torch import Tensor
from torch.nn import functional

NOT_LABELLED = 255
"""Label of pixels that count neither way."""

SMOOTHING = 1.0
"""ε of equation 2 [pixels]: without damage in a batch the loss stays smooth."""


class LossError(ValueError):
    """Labels, logits and masks that do not belong together."""


def known_pixels(label: Tensor, valid: Tensor) -> Tensor:
    """1 where a pixel was measured and labelled, else 0: shape (n, h, w), float32."""
    return (label != NOT_LABELLED).float() * valid.reshape(label.shape).float()


def edges(label: Tensor, known: Tensor) -> Tensor:
    """1 on pixels with both damage and intact ice among their 3 × 3 neighbours, (n, h, w)."""
    damage = (label == 1).float() * known
    intact = (label == 0).float() * known
    pair = torch.stack([damage, intact], dim=1)
    near = functional.max_pool2d(pair, 3, stride=1, padding=1)
    return near[:, 0] * near[:, 1] * known


def bce_dice(
    logits: Tensor,
    label: Tensor,
    valid: Tensor,
    *,
    smoothing: float = SMOOTHING,
    positive_weight: float = 1.0,
    edge_weight: float = 0.0,
) -> Tensor:
    """Binary cross-entropy plus soft Dice loss of a whole batch.

    Tang et al. (2026), equations 1 to 3, with p_i = 1 / (1 + exp(-logit_i)) and sums over the N
    pixels of the batch that are valid and labelled::

        L_BCE  = -1/N Σ_i [y_i log p_i + (1 - y_i) log(1 - p_i)]
        L_Dice = 1 - (2 Σ_i y_i p_i + ε) / (Σ_i y_i + Σ_i p_i + ε)
        L      = L_BCE + L_Dice

    Parameters
    ----------
    logits : Tensor, shape (n, h, w)
        Log-odds of damage, l₁ - l₀.
    label : Tensor of uint8, shape (n, h, w)
        0 intact, 1 damage, 255 not labelled.
    valid : Tensor, shape (n, 1, h, w) or (n, h, w)
        1 where measured.
    smoothing : float
        ε [pixels].
    positive_weight : float
        Weight of damaged pixels in L_BCE; 1 in the paper.
    edge_weight : float
        Added to the weight of pixels at an edge of damage in L_BCE; 0 in the paper.

    Returns
    -------
    Tensor, scalar
        0 with a zero gradient if no pixel is known.
    """
    if logits.shape != label.shape or valid.numel() != label.numel():
        msg = (
            f"logits {tuple(logits.shape)}, label {tuple(label.shape)} and valid "
            f"{tuple(valid.shape)} must have the same n, h and w"
        )
        raise LossError(msg)
    logits = logits.float()
    known = known_pixels(label, valid)
    target = (label == 1).float() * known
    weight = known * (1.0 + (positive_weight - 1.0) * target)
    if edge_weight:
        weight = weight + edge_weight * edges(label, known)
    surprise = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    bce = (surprise * weight).sum() / known.sum().clamp_min(1.0)
    probability = torch.sigmoid(logits) * known
    overlap = 2.0 * (target * probability).sum() + smoothing
    dice = 1.0 - overlap / (target.sum() + probability.sum() + smoothing)
    return bce + dice
