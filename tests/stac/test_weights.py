"""Weights are safetensors, checked byte for byte; nothing that runs code is let in."""

import contextlib
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from stac import weights
from stac.catalogue import open_catalogue
from stac.ingest import ingest
from stac.weights import WeightsError, read_container, read_weights

CARD = {
    "task": "segmentation", "architecture": "segformer", "licence": "CC-BY-4.0", "note": "",
    "scores": {"pooled_f1": 0.57, "by_region": {"amery": {"f1": 0.6}}, "text": "no number"},
}  # fmt: skip
TENSORS = {"a.weight": np.ones((3, 2), np.float32), "b": np.zeros(5, np.float16)}


def packed(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(begin: int = 0, end: int = 8, shape: tuple[int, ...] = (2,), dtype: str = "F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_what_the_reference_library_writes_is_read():
    data = save(TENSORS, metadata={"nunatak": json.dumps(CARD)})

    found = read_container(data, name="w.safetensors")

    assert (found.tensors, found.parameters) == (2, 11)
    assert found.card == CARD


def test_weights_are_stored_as_they_came_and_their_card_can_be_searched(tmp_path: Path):
    data = save(TENSORS, metadata={"nunatak": json.dumps(CARD)})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b0.safetensors").write_bytes(data)
    (tmp_path / "in" / "readme.md").write_text("passed over")

    (done,) = ingest("weights", [str(tmp_path / "in")], catalogue=str(tmp_path / "c"),
                     collection="nets")  # fmt: skip
    (item,) = open_catalogue(str(tmp_path / "c")).search("nets")

    assert (done.state, item.id) == ("added", "b0")
    assert read_weights(item) == data
    assert item.properties["nunatak:sha256"] == done.checksum
    assert item.properties["nunatak:architecture"] == "segformer"
    assert item.properties["nunatak:score_pooled_f1"] == 0.57
    assert item.properties["nunatak:score_by_region_amery_f1"] == 0.6
    assert item.assets["data"].href.endswith(".safetensors")
    assert "nunatak:score_text" not in item.properties


def test_weights_that_changed_in_their_place_are_refused(tmp_path: Path):
    (tmp_path / "b0.safetensors").write_bytes(save(TENSORS))
    list(ingest("weights", [str(tmp_path / "b0.safetensors")], catalogue=str(tmp_path / "c"),
                collection="nets"))  # fmt: skip
    (item,) = open_catalogue(str(tmp_path / "c")).search("nets")
    (stored,) = (tmp_path / "c").rglob("*.safetensors")
    stored.write_bytes(save({"a": np.zeros(3)}))

    with pytest.raises(WeightsError, match="changed or damaged"):
        read_weights(item)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_whatever_its_name(protocol: int):
    data = pickle.dumps({"weight": [1.0] * 10}, protocol=protocol)

    with pytest.raises(WeightsError, match=r"pickle|no safetensors"):
        read_container(data, name="model.safetensors")


def test_a_file_of_torch_save_is_refused_with_the_remedy():
    with pytest.raises(WeightsError, match=r"torch\.save writes.*safetensors\.torch\.save_file"):
        read_container(b"PK\x03\x04" + bytes(100), name="model.pt")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (save(TENSORS)[:-1], "its header promises"),
        (save(TENSORS)[:40], "cut off"),
        (save(TENSORS) + b"\0", "its header promises"),
        (struct.pack("<Q", 2**63) + b"{}", "cut off"),
        (struct.pack("<Q", 4) + b"{]}}", "no JSON"),
        (packed({}, b""), "no tensor"),
        (packed({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "overlap"),
        (packed({"a": entry(8, 16)}, bytes(16)), "hole"),
        (packed({"a": entry(shape=(3,))}, bytes(8)), "no place for so many"),
        (packed({"a": entry(shape=(-2,))}, bytes(8)), "no place for so many"),
        (packed({"a": entry(dtype="object")}, bytes(8)), "says no place"),
        (packed({"a": [1, 2]}, bytes(8)), "says no place"),
        (
            packed({"a": entry(), "__metadata__": {"nunatak": "{"}}, bytes(8)),
            "card that is no JSON",
        ),
        (packed({"a": entry(), "__metadata__": {"nunatak": "[]"}}, bytes(8)), "of type list"),
        (packed({"a": entry(), "__metadata__": 3}, bytes(8)), "card that is no JSON"),
    ],
)
def test_damaged_files_are_refused_in_words(data: bytes, words: str):
    with pytest.raises(WeightsError, match=words):
        read_container(data, name="w.safetensors")


@given(st.integers(0, 200), st.integers(0, 255))
def test_no_changed_byte_gives_another_error(position: int, value: int):
    data = bytearray(save(TENSORS, metadata={"nunatak": json.dumps(CARD)}))
    data[position % len(data)] = value

    with contextlib.suppress(WeightsError):
        read_container(bytes(data), name="w.safetensors")


def test_types_of_the_format_have_their_sizes():
    assert weights.BITS["BF16"] == 16
    assert read_container(packed({"a": entry(0, 4, (2,), "BF16")}, bytes(4)), name="w").tensors == 1


def test_the_card_that_our_networks_are_saved_with_is_found():
    """`stac` knows nothing of `pipelines`: this is where both are compared."""
    checkpoints = pytest.importorskip("pipelines.nets.checkpoints")
    card = checkpoints.ModelCard(task="segmentation", architecture="segformer", spec={})
    data = checkpoints.save({"a": checkpoints.torch.ones(2, 3)}, card)

    found = read_container(data, name="w.safetensors")

    assert (found.card["architecture"], found.parameters) == ("segformer", 6)
    assert found.sha256 == checkpoints.digest(data)
