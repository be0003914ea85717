"""LPIPS assembled here, against torchmetrics' own with the same random backbone."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchmetrics.functional.image import lpips as reference

from pipelines.nets.perceptual_distance import (
    PerceptualDistance,
    PerceptualDistanceError,
    opened,
)

ALEX = (
    ("c", 3, 64, 11, 4, 2), ("r",), ("m", 3), ("c", 64, 192, 5, 1, 2), ("r",), ("m", 3),
    ("c", 192, 384, 3, 1, 1), ("r",), ("c", 384, 256, 3, 1, 1), ("r",), ("c", 256, 256, 3, 1, 1),
    ("r",), ("m", 3),
)  # fmt: skip
VGG = (64, 64, "m", 128, 128, "m", 256, 256, 256, "m", 512, 512, 512, "m", 512, 512, 512, "m")


def alexnet() -> nn.Sequential:
    made = {
        "c": nn.Conv2d,
        "r": lambda: nn.ReLU(inplace=True),
        "m": lambda side: nn.MaxPool2d(side, 2),
    }
    return nn.Sequential(*(made[kind](*rest) for kind, *rest in ALEX))


def vgg16() -> nn.Sequential:
    layers, before = [], 3
    for each in VGG:
        if each == "m":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(before, each, 3, padding=1), nn.ReLU(inplace=True)]
            before = each
    return nn.Sequential(*layers)


def weights(network: nn.Sequential) -> dict[str, torch.Tensor]:
    return {f"features.{name}": value.detach() for name, value in network.state_dict().items()}


def images(seed: int, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand((2, 3, side, side), generator=generator) * 2 - 1
    return a, (a + 0.3 * torch.randn(a.shape, generator=generator)).clamp(-1, 1)


@pytest.mark.parametrize(("backbone", "network"), [("alex", alexnet), ("vgg", vgg16)])
def test_the_distance_is_that_of_torchmetrics_with_the_same_backbone(
    monkeypatch, backbone, network
):
    torch.manual_seed(0)
    features = network()
    monkeypatch.setattr(reference, "_get_tv_model_features", lambda *_: features)
    theirs = reference._LPIPS(pretrained=False, net=backbone, pnet_rand=True).eval()
    ours = PerceptualDistance(backbone, weights(features))
    for layer, head in zip(theirs.lins, ours.heads, strict=True):
        layer.model[1].weight.data = head.data
    a, b = images(1, side=40)

    np.testing.assert_allclose(
        ours(a, b).numpy(), theirs(a, b).detach().flatten().numpy(), rtol=1e-5
    )


def test_an_image_is_at_no_distance_from_itself_and_further_from_what_differs_more(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "backbone.safetensors"
    save_file(weights(alexnet()), path)
    distance = opened(path)
    rng = np.random.default_rng(0)
    original = rng.uniform(0, 1, (1, 64, 64)).astype(np.float32)
    noise = rng.normal(size=original.shape).astype(np.float32)

    apart = [distance.of_reflectance(original + k * noise, original) for k in (0.0, 0.05, 0.2)]

    assert apart[0] == 0.0
    assert 0 < apart[1] < apart[2]
    three = distance.of_reflectance(np.repeat(original, 3, 0), np.repeat(original + noise, 3, 0))
    assert three == distance.of_reflectance(original, original + noise)


def test_another_backbone_and_other_files_are_refused(tmp_path):
    wrong = weights(vgg16())
    with pytest.raises(PerceptualDistanceError, match=r"'features.0.weight', expected shape"):
        PerceptualDistance("alex", wrong)
    bad = tmp_path / "backbone.pth"
    bad.write_bytes(b"\x80\x02pickled")
    with pytest.raises(PerceptualDistanceError, match="cannot be read as safetensors"):
        opened(bad)
    with pytest.raises(PerceptualDistanceError, match="cannot be read as safetensors"):
        opened(tmp_path / "absent.safetensors")


def test_two_bands_are_no_colours():
    distance = PerceptualDistance("alex", weights(alexnet()))
    two = np.zeros((2, 64, 64), dtype=np.float32)

    with pytest.raises(PerceptualDistanceError, match="give three bands"):
        distance.of_reflectance(two, two)
