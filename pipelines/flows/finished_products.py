"""Products that other products are made from: opened at one snapshot, whatever is published later.

Flows meet in object storage: a run file names the output of a finished run, the plan notes which
snapshot readers see there, and every task reads that one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.ledger import KeyFailed
from pipelines.flows.catalogue_inputs import InputError
from pipelines.lifecycle import InputItem

if TYPE_CHECKING:
    import pystac
    import zarr


@dataclass(frozen=True)
class ProductSource:
    """A finished product at one snapshot: all that a worker needs to open it."""

    address: str
    snapshot: str

    def open(self) -> zarr.Group:
        """Return its arrays, read only; a version that is gone fails the key that needs it."""
        import zarr

        from cluster import object_store, zarr_sink

        url = object_store.join(self.address, "product.icechunk")
        try:
            store = zarr_sink.Repository.open(url, read_only=True).read(self.snapshot)
        except (zarr_sink.NoRepository, zarr_sink.NoVersion) as error:
            msg = f"{self.address} no longer holds version {self.snapshot}: plan the run again"
            raise KeyFailed(msg) from error
        return zarr.open_group(store, mode="r")


@dataclass(frozen=True)
class Finished:
    """A finished product as a plan sees it."""

    role: str
    source: ProductSource
    run: Mapping[str, Any]
    attributes: Mapping[str, Any]
    item: pystac.Item

    @property
    def record(self) -> InputItem:
        """What the plan shows and the identity of the run holds."""
        return InputItem(self.role, self.item.id, self.source.snapshot, 0, self.source.address)


def find(address: str, *, role: str, product: str) -> Finished:
    """Return the product that readers see at ``address``.

    Parameters
    ----------
    address : str
        Output of a finished run.
    role : str
        Role in the run file, for messages.
    product : str
        What it must be.

    Raises
    ------
    InputError
        Nothing finished is there, or another product.
    """
    import yaml

    from cluster import object_store, zarr_sink

    url = object_store.join(address, "product.icechunk")
    try:
        snapshot = zarr_sink.Repository.open(url, read_only=True).published()
    except zarr_sink.NoRepository:
        snapshot = None
    item_address = object_store.join(address, "item.json")
    if snapshot is None or not object_store.exists(item_address):
        msg = (
            f"inputs.{role}: {address} holds no finished product; run {product} to its end first "
            "(`nunatak status RUN.yaml` says what is left), or name the output of one that is"
        )
        raise InputError(msg)
    source = ProductSource(address, snapshot)
    attributes = dict(source.open().attrs)
    held = str(attributes.get("nunatak:product"))
    if held != product:
        msg = f"inputs.{role}: {address} holds {held!r}, expected {product!r}; exchange the inputs?"
        raise InputError(msg)
    item = _item(item_address, role)
    if item.properties.get("nunatak:snapshot") != snapshot:
        msg = (
            f"inputs.{role}: the arrays and the item.json of {address} are of different versions: "
            f"a run is publishing, or was interrupted; run {product} again, which completes it"
        )
        raise InputError(msg)
    run = yaml.safe_load(str(attributes.get("nunatak:run", "")))
    if not isinstance(run, dict) or product not in run:
        msg = f"inputs.{role}: {address} does not tell its run; run {product} again with --fresh"
        raise InputError(msg)
    return Finished(role, source, run, attributes, item)


def _item(address: str, role: str) -> pystac.Item:
    import pystac

    from cluster import object_store

    try:
        item = pystac.Item.from_dict(json.loads(object_store.read_bytes(address)))
    except (ValueError, KeyError, TypeError, pystac.STACTypeError) as error:
        msg = f"inputs.{role}: {address} is no STAC item ({error}); run that product again"
        raise InputError(msg) from error
    item.set_self_href(address)
    return item
