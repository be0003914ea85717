"""The classifier that LPIPS looks through, if a run names one: found, checked, recorded.

Nothing is fetched: ``evaluation.lpips`` is the address of a safetensors file, or empty.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from pipelines.flows import network_inputs
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.network_inputs import Found, Weights
from pipelines.lifecycle import InputItem
from stac.locations import CatalogueError, read_bytes

if TYPE_CHECKING:
    from pipelines.settings import Run

ROLE = "lpips"
COLOURS = (1, 3)
"""Numbers of bands that LPIPS takes."""


def added(run: Run, found: Found) -> Found:
    """Return inputs with the backbone among weights and records, if the run names one.

    Raises
    ------
    InputError
        It cannot be read, is no backbone, or there is nothing to compare by it.
    """
    from pipelines.nets import perceptual_distance

    address = run.choices.lpips
    if not address:
        return found
    if "restorer" not in found.weights:
        msg = "evaluation.lpips: compares restored with original images, found no inputs.restorer; "
        raise InputError(msg + "name one, or leave lpips empty")
    _require_colours(found.weights["restorer"])
    try:
        data = read_bytes(address)
        perceptual_distance.of_bytes(data, name=address)
    except (OSError, CatalogueError, perceptual_distance.PerceptualDistanceError) as error:
        msg = f"evaluation.lpips: {address} cannot be used: {error}; give a safetensors file of "
        msg += "AlexNet's or VGG-16's convolutions by torchvision's names, or leave lpips empty"
        raise InputError(msg) from error
    sha256 = hashlib.sha256(data).hexdigest()
    record = InputItem(ROLE, address, sha256, len(data), address)
    weights = {**found.weights, ROLE: Weights(address, address, sha256)}
    return dataclasses.replace(found, weights=weights, items=(*found.items, record))


def _require_colours(restorer: Weights) -> None:
    network = network_inputs.opened(restorer, role="restorer", task="restoration")
    bands = tuple(network.spec.channels)
    if len(bands) not in COLOURS:
        msg = (
            f"evaluation.lpips: {restorer.name} restores {', '.join(bands)}, expected one band or "
        )
        raise InputError(msg + "red, green and blue; leave lpips empty")
