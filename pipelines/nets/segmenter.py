"""SegFormer for damage: transformers' encoder, its all-MLP head, and a branch at full resolution.

Xie et al. (2021) predict at a quarter of the resolution, where fractures of one to three pixels
are gone; the branch of ``detail`` channels looks at every pixel and is fused before the classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import SegformerConfig, SegformerModel

STRIDE = 32
"""Pixels of one cell of the deepest features."""


class SegmenterError(ValueError):
    """A specification or an input that no segmenter can serve."""


@dataclass(frozen=True)
class Backbone:
    """Widths and depths of an encoder and the width of its head (Xie et al. 2021, table 6).

    Attributes
    ----------
    widths, depths, heads : tuple of int
        Channels, layers and attention heads of the four stages.
    decoder : int
        Channels of the head.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    decoder: int


BACKBONES = {
    "tiny": Backbone((8, 16, 24, 32), (1, 1, 1, 1), (1, 2, 3, 4), 32),
    "b0": Backbone((32, 64, 160, 256), (2, 2, 2, 2), (1, 2, 5, 8), 256),
    "b2": Backbone((64, 128, 320, 512), (3, 4, 6, 3), (1, 2, 5, 8), 768),
}
"""Published configurations, and ``tiny`` for tests."""


@dataclass(frozen=True)
class SegmenterSpec:
    """Everything that fixes the shape of a segmenter and how it sees its input.

    Attributes
    ----------
    backbone : str
        Of :data:`BACKBONES`.
    channels : tuple of str
        Bands of the image, in order.
    extras : tuple of str
        Channels computed from the bands and appended to them: ``nerd``.
    detail : int
        Channels of the full-resolution branch; 0: plain SegFormer, upsampled fourfold.
    mean, std : tuple of float
        Of each channel and extra [1]: the net sees (x - mean) / std, and 0 where invalid.
    valid_channel : bool
        Whether the validity mask is an input channel of its own.
    magnify : int
        Times by which the input is enlarged inside; 2 halves the stride for four times the work.
    local_contrast : int
        Window over which the light of the bands is evened before the network sees them [pixel];
        0: bands as they are.
    """

    backbone: str = "b0"
    channels: tuple[str, ...] = ("red", "green", "blue")
    extras: tuple[str, ...] = ()
    detail: int = 16
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    valid_channel: bool = True
    magnify: int = 1
    local_contrast: int = 0

    def __post_init__(self) -> None:
        names = len(self.channels) + len(self.extras)
        if self.backbone not in BACKBONES:
            msg = f"no backbone {self.backbone!r}; choose from {', '.join(BACKBONES)}"
            raise SegmenterError(msg)
        object.__setattr__(self, "mean", self.mean or (0.5,) * names)
        object.__setattr__(self, "std", self.std or (0.25,) * names)
        if not self.channels or len(self.mean) != names or len(self.std) != names:
            msg = (
                f"{names} channels and extras, but {len(self.mean)} means and {len(self.std)} "
                "standard deviations; give one of each for every channel, at least one channel"
            )
            raise SegmenterError(msg)
        if min(self.std) <= 0 or min(self.detail, self.local_contrast) < 0 or self.magnify < 1:
            msg = (
                f"std {self.std} must be positive, detail {self.detail} and local_contrast "
                f"{self.local_contrast} not negative and magnify {self.magnify} at least 1"
            )
            raise SegmenterError(msg)

    @property
    def inputs(self) -> int:
        """Channels of the image tensor: bands and extras."""
        return len(self.channels) + len(self.extras)

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a model card keeps them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def spec_from_json(values: Mapping[str, Any]) -> SegmenterSpec:
    """Inverse of :meth:`SegmenterSpec.as_json`; unknown names are refused.

    >>> spec_from_json(SegmenterSpec("tiny").as_json()) == SegmenterSpec("tiny")
    True
    """
    known = {field.name for field in fields(SegmenterSpec)}
    if unknown := set(values) - known:
        msg = f"unknown values {sorted(unknown)} in a segmenter's specification; known: {known}"
        raise SegmenterError(msg)
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return SegmenterSpec(**plain)


def paper_spec() -> SegmenterSpec:
    """Return the configuration of Tang et al. (2026): b2, bands as they are, no mask, no branch."""
    return SegmenterSpec(
        "b2", detail=0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), valid_channel=False
    )


def transformers_config(spec: SegmenterSpec) -> SegformerConfig:
    """Say the encoder and head of a specification in transformers' words."""
    backbone = BACKBONES[spec.backbone]
    values: dict[str, Any] = {"num_labels": 2, "attn_implementation": "sdpa"}
    return SegformerConfig(
        num_channels=spec.inputs + spec.valid_channel,
        hidden_sizes=backbone.widths,
        depths=backbone.depths,
        num_attention_heads=backbone.heads,
        decoder_hidden_size=backbone.decoder,
        **values,
    )


def enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    """``coarse`` interpolated bilinearly between pixel centres to the size of ``like``."""
    return functional.interpolate(coarse, size=like.shape[2:], mode="bilinear", align_corners=False)


class Projection(nn.Module):
    """Holds one stage's linear map to the decoder's width under transformers' name."""

    def __init__(self, width: int, decoder: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, decoder)

    def fused(self, block: Tensor) -> tuple[Tensor, Tensor]:
        """Weight W P, as a 1 × 1 kernel, and bias W b of the map followed by ``block``, W."""
        return (block @ self.proj.weight)[:, :, None, None], block @ self.proj.bias


class AllMlpHead(nn.Module):
    """The head of Xie et al. (2021), equation 4, with the two linear maps of a stage made one.

    Enlarging is linear in space and both maps are linear in channels, so they commute::

        Σ_i W_i ↑(P_i F_i + b_i) = Σ_i ↑((W_i P_i) F_i + W_i b_i)

    which costs a thirtieth of fusing at a quarter of the resolution (b2), with the same
    parameters under the names of ``SegformerDecodeHead``.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        stages = len(backbone.widths)
        self.linear_projections = nn.ModuleList(
            [Projection(width, backbone.decoder) for width in backbone.widths]
        )
        self.linear_fuse = nn.Conv2d(stages * backbone.decoder, backbone.decoder, 1, bias=False)
        self.batch_norm = nn.BatchNorm2d(backbone.decoder)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Conv2d(backbone.decoder, 2, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Features (n, decoder, h/4, w/4) before the classifier from the maps of all stages."""
        # The fuse stands over the stages in reverse: deepest first.
        blocks = self.linear_fuse.weight[:, :, 0, 0].chunk(len(maps), dim=1)[::-1]
        projections = cast("list[Projection]", list(self.linear_projections))
        parts = [
            functional.conv2d(each, *projection.fused(block))
            for each, projection, block in zip(maps, projections, blocks, strict=True)
        ]
        fused = parts[0]
        for part in parts[1:]:
            fused = fused + enlarged(part, fused)
        features: Tensor = self.dropout(functional.relu(self.batch_norm(fused)))
        return features


class DetailBranch(nn.Module):
    """Looks at every pixel, adds what the decoder saw from afar, and classifies.

    Parameters
    ----------
    inputs : int
        Channels of the normalised image, with the validity mask.
    decoder, width : int
        Channels of the decoder's features and of the branch.
    """

    def __init__(self, inputs: int, decoder: int, width: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.reduce = nn.Conv2d(decoder, width, 1)
        self.join = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.classifier = nn.Conv2d(width, 2, 1)

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        """Features (n, width, h, w) before the classifier."""
        # Reducing before enlarging is exact (both are linear) and 16 times cheaper.
        far = enlarged(self.reduce(features), image)
        near: Tensor = self.look(image)
        joined: Tensor = self.join(functional.relu(near + far))
        return joined


def log_odds(classifier: nn.Conv2d, features: Tensor) -> Tensor:
    """l₁ - l₀ of a two-class classifier as one channel, (n, 1, h, w)."""
    bias = classifier.bias
    return functional.conv2d(
        features,
        classifier.weight[1:] - classifier.weight[:1],
        None if bias is None else bias[1:] - bias[:1],
    )


class Segmenter(nn.Module):
    """Logits of damage for every pixel of an image.

    Parameters
    ----------
    spec : SegmenterSpec
        Shape and normalisation. Weights are drawn from torch's generator, never downloaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: SegmenterSpec) -> None:
        super().__init__()
        self.spec = spec
        backbone = BACKBONES[spec.backbone]
        self.segformer = SegformerModel(transformers_config(spec))
        self.decode_head = AllMlpHead(backbone)
        self.branch = None
        if spec.detail:
            inputs = spec.inputs + spec.valid_channel
            self.branch = DetailBranch(inputs, backbone.decoder, spec.detail)
            # The branch has its own classifier; the head's would never learn.
            del self.decode_head.classifier
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            column = torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
            self.register_buffer(name, column, persistent=False)

    def forward(self, image: Tensor, valid: Tensor) -> Tensor:
        """Log-odds of damage of every pixel.

        Parameters
        ----------
        image : Tensor, shape (n, c, h, w)
            Reflectance [1] and extras; anything finite where invalid.
        valid : Tensor, shape (n, 1, h, w)
            1 where all bands were measured, 0 elsewhere.

        Returns
        -------
        Tensor, shape (n, h, w)
            l₁ - l₀; the probability of damage is its logistic function.
        """
        # Comparing sizes while traced would only warn.
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if not tracing and image.shape[1] != self.spec.inputs:
            names = ", ".join(self.spec.channels + self.spec.extras)
            msg = f"an image of {image.shape[1]} channels, but this segmenter wants {names}"
            raise SegmenterError(msg)
        height, width = image.shape[2:]
        seen = (image - self.mean) / self.std * valid
        if self.spec.valid_channel:
            seen = torch.cat([seen, valid], dim=1)
        if self.spec.magnify > 1:
            seen = functional.interpolate(
                seen, scale_factor=float(self.spec.magnify), mode="bilinear", align_corners=False
            )
        tall, wide = seen.shape[2:]
        # Without a condition on the size, tracing keeps it exact for any h, w.
        seen = functional.pad(seen, (0, -wide % STRIDE, 0, -tall % STRIDE))
        logits = self._log_odds(seen)[:, :, :tall, :wide]
        if self.spec.magnify > 1:
            logits = functional.avg_pool2d(logits, self.spec.magnify)
        return logits[:, 0, :height, :width]

    def _log_odds(self, seen: Tensor) -> Tensor:
        """Log-odds (n, 1, h, w) of a normalised, padded input."""
        maps = []
        deeper = seen
        for stage in self.segformer.stages:
            deeper = stage(deeper)
            maps.append(deeper)
        features = self.decode_head(maps)
        if self.branch is not None:
            return log_odds(self.branch.classifier, self.branch(seen, features))
        return enlarged(log_odds(self.decode_head.classifier, features), seen)


def built(spec: Mapping[str, Any]) -> Segmenter:
    """Build a segmenter with fresh weights from the specification of a model card."""
    return Segmenter(spec_from_json(spec))
