"""LPIPS (Zhang et al. 2018) with a backbone from a file: nothing fetched, torchvision not needed.

The distance of two images is that of their features in an ImageNet classifier, equation 1::

    d = Σ_l mean_hw Σ_c w_lc (ŷ_lc − ŷ⁰_lc)²,      ŷ = y / ‖y‖ over channels

The weights w of the heads come with torchmetrics. Those of the classifier come from hubs only, so
LPIPS is left out of every table unless a backbone is configured: a safetensors file with the
convolutions named as torchvision names them (``features.0.weight``, ``features.0.bias``, …).
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.image import lpips as heads_beside

FLOAT32 = NDArray[np.float32]
Backbone = Literal["alex", "vgg"]

SMALLEST: Final = 32
"""Rows and columns of an image at least: of fewer a backbone's last layers see nothing."""

SHIFT: Final = (-0.030, -0.088, -0.188)
SCALE: Final = (0.458, 0.448, 0.450)
"""What the authors subtract from, and divide, colours between −1 and 1 by."""


class PerceptualDistanceError(ValueError):
    """A backbone or images that LPIPS cannot be computed with."""


@dataclass(frozen=True)
class _Convolution:
    """A layer of a classifier: its name, shape, and whether the authors look after it."""

    index: int
    channels: tuple[int, int]
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] = (0, 0)
    tapped: bool = True


_LAYERS: Final[Mapping[str, tuple[_Convolution, ...]]] = {
    "alex": (
        _Convolution(0, (3, 64), 11, 4, 2),
        _Convolution(3, (64, 192), 5, 1, 2, (3, 2)),
        _Convolution(6, (192, 384), pool=(3, 2)),
        _Convolution(8, (384, 256)),
        _Convolution(10, (256, 256)),
    ),
    "vgg": tuple(
        _Convolution(index, channels, pool=(2, 2) if pooled else (0, 0), tapped=tapped)
        for index, channels, pooled, tapped in (
            (0, (3, 64), False, False),
            (2, (64, 64), False, True),
            (5, (64, 128), True, False),
            (7, (128, 128), False, True),
            (10, (128, 256), True, False),
            (12, (256, 256), False, False),
            (14, (256, 256), False, True),
            (17, (256, 512), True, False),
            (19, (512, 512), False, False),
            (21, (512, 512), False, True),
            (24, (512, 512), True, False),
            (26, (512, 512), False, False),
            (28, (512, 512), False, True),
        )
    ),
}


class PerceptualDistance(nn.Module):
    """LPIPS between two images.

    Parameters
    ----------
    backbone : {"alex", "vgg"}
        Which classifier.
    weights : mapping of str to Tensor
        Its convolutions.

    Raises
    ------
    PerceptualDistanceError
        A convolution is missing or has another shape.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = _LAYERS[backbone]
        self.convolutions = nn.ModuleList(_convolution(each, weights) for each in self.layers)
        self.heads = nn.ParameterList(_heads(backbone))
        for name, numbers in (("shift", SHIFT), ("scale", SCALE)):
            self.register_buffer(name, torch.tensor(numbers)[:, None, None])
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance of pairs of images.

        Parameters
        ----------
        a, b : Tensor, shape (n, 3, h, w)
            Colours between −1 and 1.

        Returns
        -------
        Tensor, shape (n,)
        """
        apart: Tensor = torch.zeros(len(a), dtype=a.dtype, device=a.device)
        for head, y, y_0 in zip(self.heads, self.features(a), self.features(b), strict=True):
            apart = apart + ((y - y_0) ** 2 * head).sum(dim=1).mean(dim=(1, 2))
        return apart

    def features(self, colours: Tensor) -> list[Tensor]:
        """Return the features after each layer that is looked at, of unit length [1]."""
        y, tapped = (colours - self.shift) / self.scale, []
        for layer, convolution in zip(self.layers, self.convolutions, strict=True):
            if layer.pool[0]:
                y = functional.max_pool2d(y, *layer.pool)
            y = functional.relu(convolution(y))
            if layer.tapped:
                tapped.append(y / torch.sqrt(1e-8 + (y**2).sum(dim=1, keepdim=True)))
        return tapped

    def of_reflectance(self, restored: FLOAT32, original: FLOAT32) -> float:
        """Return the distance of two images of reflectance, cut to 0 … 1.

        Parameters
        ----------
        restored, original : ndarray of float32, shape (band, y, x)
            Reflectance without NaN [1]; three bands as red, green and blue, or one as all of them.
        """
        if restored.shape != original.shape or restored.shape[0] not in {1, 3}:
            msg = (
                f"found images of shapes {restored.shape} and {original.shape}; LPIPS knows "
                "colours: give three bands, or one that serves as all of them"
            )
            raise PerceptualDistanceError(msg)
        if min(restored.shape[1:]) < SMALLEST:
            msg = f"found images of {restored.shape[1:]} pixels; LPIPS needs {SMALLEST} each way"
            raise PerceptualDistanceError(msg)
        colours = [
            torch.from_numpy(np.clip(image, 0.0, 1.0) * 2.0 - 1.0).expand(3, -1, -1)[None]
            for image in (restored, original)
        ]
        return float(self(*colours))


def opened(path: Path, *, backbone: Backbone = "alex") -> PerceptualDistance:
    """Read a backbone from a file.

    Parameters
    ----------
    path : Path
        A safetensors file.
    backbone : {"alex", "vgg"}
        Which classifier it holds.

    Raises
    ------
    PerceptualDistanceError
        No such file, not safetensors, or another classifier.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        msg = (
            f"{path} cannot be read as safetensors ({error}); convert the classifier's weights "
            "once, or leave LPIPS out by configuring no backbone"
        )
        raise PerceptualDistanceError(msg) from error
    return PerceptualDistance(backbone, weights)


def of_bytes(data: bytes, *, name: str) -> PerceptualDistance:
    """Return what the bytes of a safetensors file hold; its first kernels say which classifier.

    Parameters
    ----------
    data : bytes
        Of the file.
    name : str
        What messages call it.

    Raises
    ------
    PerceptualDistanceError
        Not safetensors, or another classifier.
    """
    try:
        weights = load(data)
    except SafetensorError as error:
        msg = f"{name} cannot be read as safetensors ({error}); convert the weights once"
        raise PerceptualDistanceError(msg) from error
    first = weights.get("features.0.weight")
    small = first is not None and tuple(first.shape[-2:]) == (3, 3)
    return PerceptualDistance("vgg" if small else "alex", weights)


def _convolution(layer: _Convolution, weights: Mapping[str, Tensor]) -> nn.Conv2d:
    module = nn.Conv2d(*layer.channels, layer.kernel, layer.stride, layer.padding)
    for part, parameter in (("weight", module.weight), ("bias", module.bias)):
        name = f"features.{layer.index}.{part}"
        found = weights.get(name)
        if parameter is None or found is None or found.shape != parameter.shape:
            shape = "nothing" if found is None else tuple(found.shape)
            expected = None if parameter is None else tuple(parameter.shape)
            msg = (
                f"the backbone holds {shape} under {name!r}, expected shape {expected}; give the "
                "weights of the classifier that was named, by torchvision's names"
            )
            raise PerceptualDistanceError(msg)
        parameter.data = found.float()
    return module


def _heads(backbone: Backbone) -> list[nn.Parameter]:
    """Return the authors' weights of channels, one (1, c, 1, 1) per layer that is looked at."""
    folder = Path(inspect.getfile(heads_beside)).parent / "lpips_models"
    # Tensors only: the file is a pickle, but one of torchmetrics' own wheel.
    state = torch.load(folder / f"{backbone}.pth", map_location="cpu", weights_only=True)
    return [nn.Parameter(state[f"lin{layer}.model.1.weight"]) for layer in range(5)]
