"""Weights of networks: safetensors files and nothing else, checked without torch.

A safetensors file is eight bytes (the length of its header, little-endian), the header in JSON
(name of each tensor with its type, shape and place, and text metadata), and the numbers. Reading
one runs no code; unpickling does, so a pickle is refused by its first bytes, whatever its name.
Only the container is looked at here; `pipelines.nets.checkpoints` compares tensors with networks.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pystac

from stac import grids, stores
from stac.contracts import data_url
from stac.items import ALWAYS, Coverage
from stac.locations import read_bytes

KIND = "weights"
SUFFIXES = (".safetensors",)
SUFFIX = ".safetensors"
MEDIA = "application/vnd.safetensors"
LARGEST_HEADER = 100_000_000
"""The limit of the format itself [bytes]."""
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
CARD = "nunatak"
TOLD = ("task", "architecture", "licence", "data", "split", "note")
"""What of a card is worth searching for, besides its scores."""
_PICKLES = {
    b"PK\x03\x04": "a zip file, as torch.save writes",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"\x1f\x8b": "packed by gzip",
    b"\x89HDF": "HDF5",
}


class WeightsError(ValueError):
    """A file that holds no weights: what was found, what was expected."""


@dataclass(frozen=True)
class Container:
    """What a safetensors file says of itself.

    Attributes
    ----------
    sha256 : str
        Of the whole file, in hex.
    tensors, parameters : int
        How many tensors, and numbers in them.
    card : mapping
        The model card in its metadata; empty if it has none.
    """

    sha256: str
    tensors: int
    parameters: int
    card: Mapping[str, Any]


def read_container(data: bytes, *, name: str) -> Container:
    """Check a safetensors file and return what it says of itself.

    Raises
    ------
    WeightsError
        A pickle, another format, cut off, tensors that overlap or lie beyond the end, a card that
        is no JSON object.
    """
    for magic, what in _PICKLES.items():
        if data.startswith(magic):
            msg = (
                f"{name} is {what}; weights are taken as safetensors only, which run no code when "
                "read: convert it with safetensors.torch.save_file"
            )
            raise WeightsError(msg)
    header, start = _header(data, name)
    card = _card(header.pop("__metadata__", {}), name)
    places = sorted(_place(entry, key, name) for key, entry in header.items())
    _require_packed([place[:2] for place in places], len(data) - start, name)
    if not places:
        msg = f"{name} holds no tensor, expected the weights of a network"
        raise WeightsError(msg)
    parameters = sum(place[2] for place in places)
    return Container(hashlib.sha256(data).hexdigest(), len(places), parameters, card)


def store(data: bytes, folder: Path, *, name: str) -> tuple[stores.Stored, Coverage]:
    """Check weights, write them as they are, and return where they hold: everywhere, always."""
    found = read_container(data, name=name)
    path = folder / f"data{SUFFIX}"
    path.write_bytes(data)
    coverage = Coverage(grids.whole_globe(), *ALWAYS, grids.GEOCENTRIC, _properties(found))
    return stores.describe(path, MEDIA), coverage


def read_weights(item: pystac.Item) -> bytes:
    """Return the bytes of an item's weights, compared with the checksum of the item.

    Raises
    ------
    WeightsError
        Another kind of item, or bytes that changed since.
    CatalogueError
        If they are not where the item says.
    """
    kind = item.properties.get("nunatak:kind")
    if kind != KIND:
        msg = f"item {item.id!r} is of kind {kind!r}, expected {KIND!r}"
        raise WeightsError(msg)
    url = data_url(item)
    data = read_bytes(url)
    found, wanted = hashlib.sha256(data).hexdigest(), item.properties["nunatak:sha256"]
    if found != wanted:
        msg = (
            f"{url} has SHA-256 {found[:16]}..., its item {item.id!r} promises {wanted[:16]}...; "
            "it was changed or damaged: ingest its source again"
        )
        raise WeightsError(msg)
    return data


def _header(data: bytes, name: str) -> tuple[dict[str, Any], int]:
    """Return the header and where the numbers begin."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(LARGEST_HEADER, max(len(data) - 8, 0)) or data[8:9] != b"{":
        msg = f"{name} is no safetensors file, or cut off ({len(data)} bytes); fetch it again"
        raise WeightsError(msg)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        msg = f"{name} has a header that is no JSON ({error}); it is damaged: fetch it again"
        raise WeightsError(msg) from error
    if not isinstance(header, dict):
        msg = f"{name} has a header of type {type(header).__name__}, expected a JSON object"
        raise WeightsError(msg)
    return header, 8 + length


def _place(entry: Any, key: str, name: str) -> tuple[int, int, int]:
    """Return begin, end [bytes] and count of numbers of a tensor.

    Raises
    ------
    WeightsError
        An unknown type, or a size that differs from its shape.
    """
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        count = math.prod(shape) if whole else -1
        fits = whole and 8 * (end - begin) == BITS[kind] * count
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{name}: tensor {key!r} is described as {str(entry)[:80]}, which says no place"
        raise WeightsError(msg) from error
    if not fits:
        msg = f"{name}: tensor {key!r} of {kind} {shape} lies at {begin}:{end}, which is no place"
        raise WeightsError(msg + " for so many numbers; fetch the file again")
    return begin, end, count


def _require_packed(places: list[tuple[int, ...]], size: int, name: str) -> None:
    """Refuse tensors that overlap, leave holes, or reach beyond the file."""
    at = 0
    for begin, end in places:
        if begin != at:
            msg = f"{name}: tensors overlap or leave a hole at byte {at}; it is damaged"
            raise WeightsError(msg)
        at = end
    if at != size:
        msg = f"{name} holds {size} bytes of numbers, its header promises {at}; fetch it again"
        raise WeightsError(msg)


def _card(metadata: Any, name: str) -> dict[str, Any]:
    text = metadata.get(CARD, "{}") if isinstance(metadata, dict) else ""
    try:
        card = json.loads(text)
    except (TypeError, ValueError) as error:
        msg = f"{name} has a model card that is no JSON ({error}); write it anew"
        raise WeightsError(msg) from error
    if not isinstance(card, dict):
        msg = f"{name} has a model card of type {type(card).__name__}, expected an object"
        raise WeightsError(msg)
    return card


def _properties(found: Container) -> dict[str, Any]:
    card = found.card
    told = {f"nunatak:{key}": card[key] for key in TOLD if isinstance(card.get(key), str)}
    numbers = {f"nunatak:score_{key}": value for key, value in _flat(card.get("scores"))}
    size = {"nunatak:tensors": found.tensors, "nunatak:parameters": found.parameters}
    return {"nunatak:sha256": found.sha256, **size, **told, **numbers}


def _flat(scores: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield finite numbers of nested scores, keys joined by underscores."""
    if isinstance(scores, Mapping):
        for key, value in scores.items():
            yield from _flat(value, f"{prefix}_{key}" if prefix else str(key))
    elif isinstance(scores, int | float) and prefix and math.isfinite(scores):
        yield prefix, scores
