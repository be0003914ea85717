"""Scenes that a finished run chose, as what restores or segments them needs them."""

from __future__ import annotations

from pipelines.flows import finished_products
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.finished_products import Finished


def find(address: str) -> Finished:
    """Return the scenes that readers see at ``address``.

    Raises
    ------
    InputError
        No finished scenes are there, or they are stored as bytes.
    """
    found = finished_products.find(address, role="scenes", product="scenes")
    encoding = found.run["scenes"].get("encoding", "reflectance")
    if encoding != "reflectance":
        msg = f"inputs.scenes: {address} holds scenes as {encoding}, expected reflectance: bytes "
        raise InputError(msg + "saturate snow; run scenes with encoding: reflectance")
    return found
