"""From the bytes of a checkpoint to a network ready to predict."""

import importlib
from typing import TYPE_CHECKING, Any

from torch import nn

from pipelines.nets import checkpoints
from pipelines.nets import shipped as shipped_weights
from pipelines.nets.checkpoints import CheckpointError, ModelCard

if TYPE_CHECKING:
    from pipelines.nets.restorer import Restorer
    from pipelines.nets.segmenter import Segmenter

BUILDERS = {
    "segformer": "pipelines.nets.segmenter",
    "restorer": "pipelines.nets.restorer",
}
"""Module of each architecture; its function ``built(spec)`` makes the network from plain values."""


def _built(card: ModelCard, name: str) -> nn.Module:
    if card.architecture not in BUILDERS:
        msg = (
            f"{name}: no architecture {card.architecture!r} is known here, only "
            f"{', '.join(BUILDERS)}; update this software or give other weights"
        )
        raise CheckpointError(msg)
    builder: Any = importlib.import_module(BUILDERS[card.architecture])
    try:
        module: nn.Module = builder.built(card.spec)
    except (TypeError, ValueError, LookupError) as error:
        msg = f"{name}: its card specifies no {card.architecture} that can be built: {error}"
        raise CheckpointError(msg) from error
    return module


def opened(
    data: bytes, *, name: str, sha256: str = "", task: str = "", device: str = "cpu"
) -> "Segmenter | Restorer":
    """Build the network of a checkpoint and give it its weights.

    Parameters
    ----------
    data : bytes
        A file made by :func:`pipelines.nets.checkpoints.save`.
    name : str
        How errors call the file.
    sha256, task : str
        What it must be; anything if empty.
    device : str
        ``cpu``, ``cuda`` or ``cuda:1``.

    Returns
    -------
    Segmenter or Restorer
        In evaluation mode, gradients off, with its card as attribute ``card``.
    """
    state, card = checkpoints.read(data, name=name, sha256=sha256, task=task)
    module: Any = _built(card, name)
    checkpoints.fill(module, state, name=name)
    module.card = card
    module.eval().to(device)
    for parameter in module.parameters():
        parameter.requires_grad = False
    network: Segmenter | Restorer = module
    return network


def shipped(name: str) -> bytes:
    """Bytes of weights that come with the project, by name without the suffix."""
    try:
        return shipped_weights.read(name)
    except LookupError as error:
        raise CheckpointError(str(error.args[0])) from error
