"""Checkpoints: the same bytes for the same weights, and nothing unexpected is ever opened."""

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pipelines.nets import checkpoints, models
from pipelines.nets.checkpoints import CheckpointError, ModelCard
from pipelines.nets.segmenter import Segmenter, SegmenterSpec

SPEC = SegmenterSpec("tiny", detail=4)
CARD = ModelCard(
    "segmentation",
    "segformer",
    SPEC.as_json(),
    data="synthetic shelves",
    split="by shelf",
    scores={"F1, held-out shelf": 0.81234},
    licence="Apache-2.0",
    recipe={"steps": 3, "seed": 1},
    note="For tests.",
)


def network() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(SPEC).eval()


def renamed(data: bytes, change) -> bytes:
    """A checkpoint with the same card and changed tensors."""
    state, card = checkpoints.read(data, name="kept")
    return checkpoints.save(change(state), card, half=False)


def opened(data: bytes, **expected: str):
    return models.opened(data, name="W.safetensors", **expected)


def test_the_same_weights_and_card_give_the_same_bytes():
    state = network().state_dict()
    reverse = dict(reversed(state.items()))
    shuffled = replace(CARD, recipe=dict(reversed(CARD.recipe.items())))
    first = checkpoints.save(network(), CARD)
    assert checkpoints.save(reverse, shuffled) == first
    assert checkpoints.digest(first) == checkpoints.digest(checkpoints.save(state, CARD))


def test_what_is_opened_predicts_what_was_saved_to_half_precision():
    module = network()
    image, valid = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    data = checkpoints.save(module, CARD)
    found = opened(data, sha256=checkpoints.digest(data).upper(), task="segmentation")
    with torch.no_grad():
        torch.testing.assert_close(found(image, valid), module(image, valid), rtol=0, atol=2e-3)
        exact = opened(checkpoints.save(module, CARD, half=False))
        assert torch.equal(exact(image, valid), module(image, valid))
    assert not found.training
    assert found.card == CARD
    assert not any(each.requires_grad for each in found.parameters())


def test_half_precision_halves_the_file_and_keeps_vectors_whole():
    module = network()
    half, whole = (checkpoints.save(module, CARD, half=each) for each in (True, False))
    assert len(half) < 0.75 * len(whole)
    kinds = {name: each.dtype for name, each in safetensors.torch.load(half).items()}
    assert kinds["decode_head.linear_fuse.weight"] == torch.float16
    assert kinds["decode_head.batch_norm.running_var"] == torch.float32
    assert kinds["decode_head.batch_norm.num_batches_tracked"] == torch.int64


def test_matrices_beyond_half_precision_stay_single():
    state = {"w": torch.tensor([[1e5, 1.0]])}
    found, _ = checkpoints.read(checkpoints.save(state, CARD), name="large")
    assert torch.equal(found["w"], state["w"])


@given(st.lists(st.floats(-6e4, 6e4, width=16), min_size=1, max_size=8))
def test_numbers_of_half_precision_survive(values):
    state = {"w": torch.tensor([values], dtype=torch.float32)}
    found, card = checkpoints.read(checkpoints.save(state, CARD), name="halves")
    assert torch.equal(found["w"], state["w"])
    assert card == CARD


def legacy_pickle() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def zipped_pickle() -> bytes:
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer)
    assert zipfile.is_zipfile(buffer)
    return buffer.getvalue()


class Trap:
    """Would make a file if it were ever unpickled."""

    def __reduce__(self):
        return open, ("/nonexistent/trap", "w")


@pytest.mark.parametrize(
    "data",
    [
        zipped_pickle(),
        legacy_pickle(),
        *(pickle.dumps(Trap(), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
    ids=["torch", "legacy torch", *(f"protocol {k}" for k in range(pickle.HIGHEST_PROTOCOL + 1))],
)
def test_a_pickle_is_refused_unread_whatever_its_name(data):
    with pytest.raises(CheckpointError, match=r"W\.safetensors is a pickle .*safetensors"):
        opened(data)


def test_a_header_whose_length_looks_like_a_pickle_is_read():
    """A header of 0x0280 bytes begins \\x80\\x02, as a pickle of protocol 2 does."""
    for spaces in range(700):
        data = checkpoints.save({"w": torch.ones(1)}, replace(CARD, note=" " * spaces))
        if data[:2] in {bytes([0x80, k]) for k in range(1, 6)}:
            assert "w" in checkpoints.read(data, name="unlucky")[0]
            return
    pytest.fail("no header of such a length was made")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_refused(share):
    data = checkpoints.save(network(), CARD)
    with pytest.raises(CheckpointError, match=r"bytes"):
        opened(data[: int(share * len(data))])


def test_trailing_bytes_are_refused():
    with pytest.raises(CheckpointError, match="its header tells of"):
        opened(checkpoints.save(network(), CARD) + b"more")


def test_lengths_are_checked_before_anything_is_parsed(monkeypatch):
    huge = (checkpoints.MAXIMUM_HEADER_BYTES + 1).to_bytes(8, "little") + b"{"
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        opened(huge)
    monkeypatch.setattr(checkpoints, "MAXIMUM_BYTES", 100)
    with pytest.raises(CheckpointError, match="weights have 8 to 100"):
        opened(checkpoints.save(network(), CARD))


@given(st.binary(max_size=64))
def test_random_bytes_are_refused_clearly(data):
    with pytest.raises(CheckpointError):
        checkpoints.read(data, name="noise")


@given(st.integers(0, 600), st.integers(0, 255))
def test_a_changed_byte_of_the_header_never_escapes_as_another_error(place, value):
    data = bytearray(checkpoints.save({"w": torch.ones(2, 2)}, CARD))
    data[place % len(data)] = value
    try:
        checkpoints.read(bytes(data), name="changed")
    except CheckpointError:
        return


def test_other_weights_than_expected_are_refused():
    data = checkpoints.save(network(), CARD)
    with pytest.raises(CheckpointError, match=rf"SHA-256 is {checkpoints.digest(data)}, expected"):
        opened(data, sha256="0" * 64)
    with pytest.raises(CheckpointError, match="task is segmentation, expected restoration"):
        opened(data, task="restoration")
    with pytest.raises(CheckpointError, match="architecture is segformer, expected restorer"):
        checkpoints.read(data, name="W", architecture="restorer")
    with pytest.raises(CheckpointError, match="no architecture 'unet' is known"):
        opened(checkpoints.save(network(), replace(CARD, architecture="unet")))
    wrong = replace(CARD, spec={**CARD.spec, "backbone": "b7"})
    with pytest.raises(CheckpointError, match="no backbone 'b7'"):
        opened(checkpoints.save(network(), wrong))


def test_weights_that_do_not_fit_their_own_card_are_refused():
    data, name = checkpoints.save(network(), CARD), "decode_head.linear_fuse.weight"
    with pytest.raises(CheckpointError, match=rf"lacks 1 tensors of Segmenter, first {name}"):
        opened(renamed(data, lambda state: {k: v for k, v in state.items() if k != name}))
    with pytest.raises(CheckpointError, match="has unknown 1 tensors of Segmenter, first more"):
        opened(renamed(data, lambda state: state | {"more": torch.ones(1)}))
    with pytest.raises(CheckpointError, match=rf"misshapes 1 .*{name} \(3,\) for \(32, 128"):
        opened(renamed(data, lambda state: state | {name: torch.ones(3)}))
    other = replace(CARD, spec=SegmenterSpec("tiny", detail=8).as_json())
    with pytest.raises(CheckpointError, match="belongs to another architecture"):
        opened(checkpoints.save(network(), other))


def test_weights_that_are_not_finite_are_neither_saved_nor_opened():
    state = {"w": torch.tensor([[1.0, torch.nan]])}
    with pytest.raises(CheckpointError, match="the tensor w holds values that are not finite"):
        checkpoints.save(state, CARD)
    text = json.dumps({"task": "segmentation", "architecture": "segformer", "spec": {}})
    data = safetensors.torch.save(state, {"nunatak": text})
    with pytest.raises(CheckpointError, match="not finite; give other weights"):
        checkpoints.read(data, name="W")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "no card of this project"),
        ("[]", "no card of this project"),
        ('{"task": "segmentation"}', "lacks architecture, spec"),
        ('{"task": "cooking", "architecture": "a", "spec": {}}', "no task 'cooking'"),
        ('{"task": 3, "architecture": "a", "spec": {}}', "task = 3"),
        ('{"task": "segmentation", "architecture": "a", "spec": {}, "x": 1}', "x = 1"),
    ],
)
def test_files_of_other_makers_are_refused(card, message):
    metadata = None if card is None else {"nunatak": card}
    data = safetensors.torch.save({"w": torch.ones(2)}, metadata)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.read(data, name="W")


@pytest.mark.parametrize("score", [float("nan"), np.float32(0.5), {1}])
def test_cards_that_json_cannot_hold_are_refused(score):
    with pytest.raises(CheckpointError, match="plain finite values"):
        checkpoints.save({"w": torch.ones(1)}, replace(CARD, scores={"F1": score}))


def test_a_card_reads_as_markdown():
    text = checkpoints.card_text(CARD)
    assert text.startswith("# segformer for segmentation\n\nFor tests.\n\n## Data\n")
    assert "- F1, held-out shelf: 0.8123" in text
    assert text.endswith("## Licence\n\nApache-2.0\n")
    assert "\n\n\n" not in text


def test_weights_that_are_not_shipped_are_named():
    with pytest.raises(
        CheckpointError, match="no weights 'nothing' come with the project; there are"
    ):
        models.shipped("nothing")


def test_shared_memory_is_written_twice():
    shared = nn.Linear(2, 2)
    data = checkpoints.save({"a": shared.weight, "b": shared.weight}, CARD)
    state, _ = checkpoints.read(data, name="W")
    assert torch.equal(state["a"], state["b"])
    np.testing.assert_allclose(state["a"], shared.weight.detach(), atol=1e-3)
