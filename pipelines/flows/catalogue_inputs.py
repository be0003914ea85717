"""What every flow asks of a catalogue: items of a role, of the right kind, one or all of them.

Records of items are small; what they hold is opened on the workers, each with a :class:`Source`.
"""

from __future__ import annotations

import datetime as dt
import difflib
import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cluster.chunk_errors import is_away
from cluster.ledger import KeyFailed
from pipelines.lifecycle import InputItem
from stac import contracts
from stac.catalogue import Catalogue

if TYPE_CHECKING:
    import geopandas as gpd
    import pystac
    import xarray as xr

T = TypeVar("T")

POLYGONS = ("basins", "boundaries")
"""Kinds of collection that hold polygons."""


class InputError(ValueError):
    """The catalogue does not hold what the run file asks for."""


@dataclass(frozen=True)
class Source:
    """Where the data of a catalogue item are: all that a worker needs to open them."""

    id: str
    kind: str
    href: str

    def item(self) -> pystac.Item:
        """Return a catalogue item that :mod:`stac.contracts` can open."""
        import pystac

        item = pystac.Item(
            id=self.id,
            geometry=None,
            bbox=None,
            datetime=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
            properties={"nunatak:kind": self.kind},
        )
        item.add_asset("data", pystac.Asset(href=self.href))
        return item

    def open(self) -> xr.Dataset:
        """Open arrays on a worker; what cannot be opened fails its key alone."""
        return self._opened(contracts.open_item)

    def read(self, choose: Callable[[xr.Dataset], T]) -> T:
        """Read some values of arrays on a worker; what is damaged fails its key alone.

        Opening reads no chunk: a broken one is found when values are asked for, so ``choose`` asks
        for all that are wanted, and does nothing else. A store that is away ends the run.
        """
        try:
            return choose(self.open())
        except KeyFailed:
            raise
        except (OSError, LookupError, RuntimeError, ValueError) as error:
            if is_away(error):
                raise
            reason = f"{self.id}: its values cannot be read ({error}); ingest it again"
            raise KeyFailed(reason, (self.id,)) from error

    def open_regions(self) -> gpd.GeoDataFrame:
        """Open polygons on a worker; what cannot be opened fails its key alone."""
        return self._opened(contracts.open_regions)

    def _opened(self, opener: Callable[[pystac.Item], T]) -> T:
        try:
            return opener(self.item())
        except (contracts.ContractError, OSError, LookupError) as error:
            reason = f"{self.id}: {error}"
            raise KeyFailed(reason, (self.id,)) from error


def source_of(item: pystac.Item) -> Source:
    """Return where the data of an item are."""
    return Source(item.id, str(item.properties.get("nunatak:kind")), contracts.data_url(item))


def all_of(
    catalogue: Catalogue, name: str, *, role: str, kinds: Sequence[str]
) -> list[pystac.Item]:
    """Return the items of ``COLLECTION``, or the one of ``COLLECTION/ITEM``, in order of their ids.

    Raises
    ------
    InputError
        No such collection, nothing in it, or data of a kind that cannot play the role.
    """
    collection, _, item_id = name.partition("/")
    known = catalogue.collections()
    if collection not in known:
        near = difflib.get_close_matches(collection, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it holds {', '.join(known) or 'none'}"
        msg = (
            f"inputs.{role}: the catalogue {catalogue.url} has no collection {collection!r}; {hint}"
        )
        raise InputError(msg)
    found = list(catalogue.search(collection, ids=[item_id] if item_id else None))
    if not found:
        msg = f"inputs.{role}: nothing found for {name!r} in {catalogue.url}; ingest it first"
        raise InputError(msg)
    _require_kind(found, name, role, kinds)
    return sorted(found, key=lambda item: item.id)


def _require_kind(items: Sequence[pystac.Item], name: str, role: str, kinds: Sequence[str]) -> None:
    """Refuse a collection that holds something else than its role needs."""
    for item in items:
        kind = str(item.properties.get("nunatak:kind"))
        if kind not in kinds:
            msg = (
                f"inputs.{role}: {name!r} holds {item.id} of kind {kind!r}, expected "
                f"{' or '.join(kinds)}; are two inputs exchanged?"
            )
            raise InputError(msg)


def single(catalogue: Catalogue, name: str, *, role: str, kinds: Sequence[str]) -> pystac.Item:
    """Return the only item of a collection, or say which there are to choose from."""
    found = all_of(catalogue, name, role=role, kinds=kinds)
    if len(found) > 1:
        names = ", ".join(f"{name.partition('/')[0]}/{item.id}" for item in found)
        msg = (
            f"inputs.{role}: {name!r} holds {len(found)} items, one is needed; name one of {names}"
        )
        raise InputError(msg)
    return found[0]


def input_item(role: str, item: pystac.Item) -> InputItem:
    """Return the record of an item that a plan shows and a run's identity holds."""
    asset = item.assets["data"]
    return InputItem(
        role=role,
        id=item.id,
        checksum=str(asset.extra_fields.get("file:checksum", "")),
        bytes=int(asset.extra_fields.get("file:size", 0)),
        href=contracts.data_url(item),
    )


def identity(items: Iterable[InputItem]) -> dict[str, str]:
    """Return what, with the run file, decides the numbers: checksums of inputs, our version."""
    return {**checksums(items), "software/nunatak": importlib.metadata.version("nunatak")}


def checksums(items: Iterable[InputItem]) -> dict[str, str]:
    """Return the checksum of every input under ``role/id``, for the identity of a run."""
    return {f"{item.role}/{item.id}": item.checksum for item in items}
