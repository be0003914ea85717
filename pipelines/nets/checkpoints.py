"""Weights and their model card as one safetensors file, the same bytes for the same weights.

Nothing here executes what it reads: the header is JSON within stated limits, the rest is
numbers. A pickle, whatever its suffix, is refused by its first bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

TASKS = ("segmentation", "restoration")
"""What shipped networks do."""

MAXIMUM_BYTES = 4 * 1024**3
"""Largest file read [bytes]: forty times the b2 segmenter in single precision."""

MAXIMUM_HEADER_BYTES = 8 * 1024**2
"""Largest header read [bytes]; a thousand tensors need a tenth of a megabyte."""

HALF_MAXIMUM = 65504.0
"""Largest finite float16."""

PICKLE_STARTS = (b"PK\x03\x04", *(bytes([0x80, protocol]) for protocol in range(1, 6)))
"""First bytes of torch's zip archives and of binary pickles."""

PICKLE_OPCODES = (b"c", b"(", b"}", b"]")
"""First bytes of pickles of protocol 0."""


class CheckpointError(ValueError):
    """Weights that are not what they are said to be."""


@dataclass(frozen=True)
class ModelCard:
    """What weights are, what they saw and how well they do.

    Attributes
    ----------
    task : str
        Of :data:`TASKS`.
    architecture : str
        Name that :mod:`pipelines.nets.models` knows.
    spec : dict
        Specification of the architecture, as plain values.
    data, split : str
        What the weights were fitted to and how it was divided.
    scores : dict
        Names and numbers, with what they were measured on in the names.
    licence : str
        Under which the weights may be used.
    recipe : dict
        Steps, batch, seed, seconds, machine and what else is needed to make them again.
    note : str
        Anything a user should know.
    """

    task: str
    architecture: str
    spec: dict[str, Any]
    data: str = ""
    split: str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            msg = f"no task {self.task!r} for a model card; choose from {', '.join(TASKS)}"
            raise CheckpointError(msg)


def digest(data: bytes) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def stored(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """Give a tensor as it is written: matrices and kernels in half precision where they fit.

    float16 keeps 11 bits of the mantissa (bfloat16: 8). Vectors (biases, norms, running
    statistics) are few and may be tiny or large, so they stay as they are, and so does a
    matrix that float16 would overflow.
    """
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        msg = f"the tensor {name} holds values that are not finite; these weights are not saved"
        raise CheckpointError(msg)
    whole = tensor.detach().to("cpu").contiguous()
    fits = whole.ndim >= 2 and whole.dtype == torch.float32 and whole.numel() > 0
    if half and fits and float(whole.abs().max()) < HALF_MAXIMUM:
        return whole.to(torch.float16)
    # A copy: tensors that share memory cannot be written.
    return whole.clone()


def packed(state: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """Tensors by name and one JSON value as safetensors bytes; equal input, equal bytes.

    Only one entry of metadata is written, because safetensors does not fix their order.
    """
    try:
        text = json.dumps(header, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"a card holds plain finite values alone ({error}); leave out or convert the others"
        raise CheckpointError(msg) from error
    return safetensors.torch.save(dict(sorted(state.items())), {"nunatak": text})


def save(weights: nn.Module | Mapping[str, Tensor], card: ModelCard, *, half: bool = True) -> bytes:
    """Write weights and card as safetensors bytes.

    Parameters
    ----------
    weights : Module or mapping of Tensor
        Weights by name.
    card : ModelCard
        Kept as JSON in the file's metadata.
    half : bool
        Whether matrices and kernels are kept as float16, see :func:`stored`.

    Returns
    -------
    bytes
        The same for the same weights and card.
    """
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    return packed(
        {name: stored(name, tensor, half=half) for name, tensor in state.items()}, asdict(card)
    )


def refuse_pickle(data: bytes, name: str) -> None:
    """Refuse what only ``pickle`` could read: it would run the code of a stranger."""
    if data[8:9] == b"{":
        # A header of 640 bytes begins like a pickle of protocol 2, but its JSON follows.
        return
    legacy_tar = data[257:262] == b"ustar"
    if data.startswith(PICKLE_STARTS) or legacy_tar or data[:1] in PICKLE_OPCODES:
        msg = (
            f"{name} is a pickle (first bytes {data[:4]!r}), as torch.save writes it, and reading "
            "one can run any code; convert it where it was made with safetensors.torch.save_file "
            "and give the .safetensors file"
        )
        raise CheckpointError(msg)


def header_of(data: bytes, name: str) -> dict[str, Any]:
    """Read the header of safetensors bytes after checking every length against the file."""
    refuse_pickle(data, name)
    if not 8 <= len(data) <= MAXIMUM_BYTES:
        msg = f"{name} has {len(data)} bytes; weights have 8 to {MAXIMUM_BYTES}"
        raise CheckpointError(msg)
    length = int.from_bytes(data[:8], "little")
    if length > MAXIMUM_HEADER_BYTES or data[8:9] not in {b"{", b""}:
        msg = (
            f"{name} is not a safetensors file: its first 8 bytes give a header of {length} bytes "
            f"(at most {MAXIMUM_HEADER_BYTES} are read); give weights saved as safetensors"
        )
        raise CheckpointError(msg)
    try:
        header = json.loads(data[8 : 8 + length])
        ends = [int(entry["data_offsets"][1]) for key, entry in header.items() if key[0] != "_"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        msg = f"{name}: the header of {length} bytes is cut short or not JSON; fetch it again"
        raise CheckpointError(msg) from error
    expected = 8 + length + max(ends, default=0)
    if expected != len(data):
        msg = (
            f"{name} has {len(data)} bytes, its header tells of {expected}; it was cut short or "
            "changed, fetch it again"
        )
        raise CheckpointError(msg)
    return dict(header)


def unpacked(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Inverse of :func:`packed`, for bytes of any origin."""
    header = header_of(data, name)
    try:
        state = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        msg = f"{name} cannot be read as safetensors: {error}; fetch it again"
        raise CheckpointError(msg) from error
    metadata = header.get("__metadata__")
    try:
        value = json.loads(metadata["nunatak"]) if isinstance(metadata, dict) else None
    except (KeyError, TypeError, ValueError):
        value = None
    if not isinstance(value, dict):
        msg = f"{name} has no card of this project in its metadata; save it with checkpoints.save"
        raise CheckpointError(msg)
    return state, value


def _card(values: Mapping[str, Any], name: str) -> ModelCard:
    kinds = {entry.name: entry.type for entry in fields(ModelCard)}
    for key, value in values.items():
        expected: type = str if kinds.get(key) is str else dict
        if key not in kinds or not isinstance(value, expected):
            msg = f"the card of {name} has {key} = {value!r}; it was not written by this project"
            raise CheckpointError(msg)
    if missing := {"task", "architecture", "spec"} - set(values):
        msg = f"the card of {name} lacks {', '.join(sorted(missing))}"
        raise CheckpointError(msg)
    return ModelCard(**values)


def _refuse_other(what: str, found: str, expected: str, name: str) -> None:
    if expected and found != expected:
        msg = f"{name}: the {what} is {found}, expected {expected}; give other weights"
        raise CheckpointError(msg)


def read(
    data: bytes, *, name: str, sha256: str = "", task: str = "", architecture: str = ""
) -> tuple[dict[str, Tensor], ModelCard]:
    """Read weights of any origin without running anything.

    Parameters
    ----------
    data : bytes
        A file made by :func:`save`.
    name : str
        How errors call the file.
    sha256, task, architecture : str
        What it must be; anything if empty.

    Returns
    -------
    dict of Tensor, ModelCard
        Weights on the CPU, half precision widened to float32, all finite; and the card.
    """
    refuse_pickle(data, name)
    _refuse_other("SHA-256", digest(data), sha256.lower(), name)
    state, values = unpacked(data, name)
    card = _card(values, name)
    _refuse_other("task", card.task, task, name)
    _refuse_other("architecture", card.architecture, architecture, name)
    wide = {key: x.float() if x.is_floating_point() else x for key, x in state.items()}
    for key, tensor in wide.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            msg = f"{name}: the tensor {key} holds values that are not finite; give other weights"
            raise CheckpointError(msg)
    return wide, card


def fill(module: nn.Module, state: Mapping[str, Tensor], *, name: str) -> None:
    """Put weights into a module in place, if every name and shape agrees."""
    own = module.state_dict()
    missing, excess = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    misshaped = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in sorted(set(own) & set(state))
        if own[key].shape != state[key].shape
    ]
    for what, found in (("lacks", missing), ("has unknown", excess), ("misshapes", misshaped)):
        if found:
            msg = (
                f"{name} {what} {len(found)} tensors of {type(module).__name__}, first "
                f"{found[0]}; it belongs to another architecture or specification"
            )
            raise CheckpointError(msg)
    module.load_state_dict(dict(state))


def _rows(values: Mapping[str, Any]) -> list[str]:
    def said(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else str(value)

    return [f"- {key}: {said(value)}" for key, value in values.items()]


def card_text(card: ModelCard) -> str:
    """Render a card as Markdown."""
    parts = [
        (f"# {card.architecture} for {card.task}", [card.note]),
        ("## Data", [card.data, card.split]),
        ("## Scores", _rows(card.scores)),
        ("## Specification", _rows(card.spec)),
        ("## Recipe", _rows(card.recipe)),
        ("## Licence", [card.licence]),
    ]
    blocks = ["\n".join(line for line in (title, "", *rows)) for title, rows in parts if any(rows)]
    return "\n\n".join(blocks).replace("\n\n\n", "\n\n").strip() + "\n"
