"""The segmenter against transformers' own, at any size, in OpenVINO, and its refusals."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from transformers import SegformerForSemanticSegmentation

from pipelines.nets.quiet_openvino import openvino
from pipelines.nets.segmenter import (
    AllMlpHead,
    Segmenter,
    SegmenterError,
    SegmenterSpec,
    built,
    paper_spec,
    spec_from_json,
    transformers_config,
)

PLAIN = SegmenterSpec("tiny", detail=0, valid_channel=False)
TINY = SegmenterSpec("tiny", detail=8)


def network(spec: SegmenterSpec = TINY, seed: int = 0) -> Segmenter:
    torch.manual_seed(seed)
    module = Segmenter(spec)
    for each in module.modules():
        # Running statistics of a trained net are not 0 and 1.
        if isinstance(each, nn.BatchNorm2d):
            each.running_mean.uniform_(-0.5, 0.5)
            each.running_var.uniform_(0.5, 2.0)
    return module.eval()


def seen(height: int = 64, width: int = 96, *, n: int = 2, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand((n, 3, height, width), generator=generator)
    valid = (torch.rand((n, 1, height, width), generator=generator) > 0.2).float()
    return image * valid, valid


def parameters(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize(("backbone", "millions"), [("b0", 3.71), ("b2", 27.35)])
def test_published_configurations_have_their_published_size(backbone, millions):
    with torch.device("meta"):
        module = Segmenter(replace(PLAIN, backbone=backbone))
    assert round(parameters(module) / 1e6, 2) == millions


def test_the_branch_and_the_mask_add_few_parameters():
    with torch.device("meta"):
        plain = parameters(Segmenter(replace(PLAIN, backbone="b0")))
        ours = parameters(Segmenter(SegmenterSpec("b0")))
    assert plain < ours < 1.01 * plain


def test_plain_logits_are_those_of_transformers_segformer():
    """Its class takes our weights by name; it fuses after enlarging, we before."""
    module = network(PLAIN)
    peer = SegformerForSemanticSegmentation(transformers_config(PLAIN)).eval()
    peer.load_state_dict(module.state_dict())
    image, valid = seen()
    with torch.no_grad():
        found = module(image, valid)
        classes = peer((image - 0.5) / 0.25 * valid).logits
        both = functional.interpolate(classes, scale_factor=4, mode="bilinear")
    assert found.std() > 0.01
    torch.testing.assert_close(found, both[:, 1] - both[:, 0], rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter():
    module = network().train()
    module(*seen()).square().mean().backward()
    silent = [name for name, each in module.named_parameters() if each.grad is None]
    assert silent == []


def test_what_lies_under_the_mask_does_not_matter():
    module = network()
    image, valid = seen()
    with torch.no_grad():
        found = module(image, valid)
        other = module(image + 7.0 * (1 - valid), valid)
    torch.testing.assert_close(found, other, rtol=0, atol=0)


def test_the_branch_sees_single_pixels():
    """One pixel changes the logits there far more than any four pixels away."""
    module = network()
    image, valid = torch.full((1, 3, 64, 64), 0.5), torch.ones(1, 1, 64, 64)
    spot = image.clone()
    spot[..., 30, 33] = 1.2
    with torch.no_grad():
        change = (module(spot, valid) - module(image, valid)).abs()[0]
    assert np.unravel_index(int(change.argmax()), (64, 64))[0] in range(27, 34)
    assert change[27:34, 30:37].max() > 10 * change[:20].max()


@given(height=st.integers(32, 70), width=st.integers(32, 70))
@settings(max_examples=12)
def test_any_size_is_answered_pixel_by_pixel(height, width):
    image, valid = seen(height, width, n=1)
    with torch.no_grad():
        logits = network()(image, valid)
    assert logits.shape == (1, height, width)
    assert bool(torch.isfinite(logits).all())


def test_padding_is_the_same_as_missing_data_outside():
    image, valid = seen(50, 40)
    with torch.no_grad():
        found = network()(image, valid)
        padded = network()(*(functional.pad(each, (0, 24, 0, 14)) for each in (image, valid)))
    torch.testing.assert_close(found, padded[:, :50, :40], rtol=0, atol=0)


def test_magnified_input_keeps_its_size():
    image, valid = seen(33, 47)
    with torch.no_grad():
        assert network(replace(TINY, magnify=2))(image, valid).shape == (2, 33, 47)


@pytest.mark.slow
@pytest.mark.parametrize("spec", [PLAIN, replace(TINY, magnify=2)])
def test_openvino_gives_the_logits_of_torch_for_sizes_it_was_not_traced_at(spec):
    module = network(spec)
    with warnings.catch_warnings():
        # torch.jit.trace is deprecated, but what OpenVINO calls.
        warnings.simplefilter("ignore")
        model = openvino().convert_model(module, example_input=seen(64, 64))
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino().compile_model(model, "CPU", exact)
    image, valid = seen(70, 45, n=3)
    with torch.no_grad():
        expected = module(image, valid).numpy()
    found = compiled((image.numpy(), valid.numpy()))[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_nothing_is_fetched(monkeypatch):
    def refused(*_arguments, **_choices):
        pytest.fail("weights were looked for")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", refused)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refused)
    Segmenter(TINY)


def test_equal_seeds_give_equal_weights():
    first, second, third = network(), network(), network(seed=1)
    assert torch.equal(first.branch.look[0].weight, second.branch.look[0].weight)
    assert not torch.equal(first.branch.look[0].weight, third.branch.look[0].weight)


def test_extras_are_channels_of_their_own():
    spec = SegmenterSpec("tiny", channels=("nir",), extras=("nerd",), mean=(0.5, 0.0), std=(1, 2))
    assert spec.inputs == 2
    with torch.no_grad():
        assert Segmenter(spec).eval()(torch.rand(1, 2, 32, 32), torch.ones(1, 1, 32, 32)).shape[0]


@pytest.mark.parametrize("spec", [TINY, PLAIN, paper_spec()])
def test_specifications_survive_json(spec):
    assert spec_from_json(spec.as_json()) == spec


def test_the_papers_configuration_is_b2_without_mask_or_normalisation():
    spec = paper_spec()
    assert (spec.backbone, spec.detail, spec.valid_channel, spec.magnify) == ("b2", 0, False, 1)
    assert set(spec.mean) == {0.0}
    assert set(spec.std) == {1.0}


def test_a_card_builds_its_segmenter():
    assert built(TINY.as_json()).spec == TINY


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "b9"}, "no backbone 'b9'; choose from tiny, b0, b2"),
        ({"mean": (0.5,)}, "3 channels and extras, but 1 means"),
        ({"channels": ()}, "at least one channel"),
        ({"std": (0.0, 1.0, 1.0)}, "must be positive"),
        ({"detail": -1}, "detail -1"),
        ({"magnify": 0}, "magnify 0"),
    ],
)
def test_impossible_specifications_are_refused(values, message):
    with pytest.raises(SegmenterError, match=message):
        SegmenterSpec(**values)


def test_unknown_values_of_a_card_are_refused():
    with pytest.raises(SegmenterError, match=r"unknown values \['layers'\]"):
        spec_from_json({"backbone": "tiny", "layers": 3})


def test_an_image_with_other_bands_is_refused():
    image, valid = seen()
    with pytest.raises(SegmenterError, match=r"2 channels.*red, green, blue"):
        network()(image[:, :2], valid)


def test_the_head_has_the_parameters_of_transformers_under_their_names():
    peer = SegformerForSemanticSegmentation(transformers_config(PLAIN)).decode_head
    own = Segmenter(PLAIN).decode_head
    assert isinstance(own, AllMlpHead)
    shapes = {name: each.shape for name, each in peer.state_dict().items()}
    assert {name: each.shape for name, each in own.state_dict().items()} == shapes
