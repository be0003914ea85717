"""Finished products as a report reads them: plain arrays, tables, figures, provenance.

Arrays are those of the snapshot that the item names, so that numbers and maps are of one version.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines import tables

if TYPE_CHECKING:
    import zarr

ITEM = "item.json"
MOST_LOOKED_INTO = 30
"""Folders below an address without a product that are asked whether they hold one."""


class ReportError(ValueError):
    """Outputs that no report can be made of."""


@dataclass(frozen=True)
class Output:
    """One finished product.

    Attributes
    ----------
    address : str
        Its folder or bucket prefix.
    product : str
        Which product it is, such as ``mass_budget``.
    name : str
        What tells it from others of the same report: its last path element.
    item : dict
        Its ``item.json``: provenance, software versions, checksums, links to inputs.
    """

    address: str
    product: str
    name: str
    item: dict[str, Any]

    def open(self) -> zarr.Group:
        """Return its arrays, read only.

        Raises
        ------
        ReportError
            The version that the item names is gone: a run is publishing, or was interrupted.
        """
        import zarr

        from cluster import object_store, zarr_sink

        url = object_store.join(self.address, "product.icechunk")
        try:
            repository = zarr_sink.Repository.open(url, read_only=True)
            store = repository.read(str(self.item["properties"]["nunatak:snapshot"]))
        except (zarr_sink.NoRepository, zarr_sink.NoVersion, KeyError) as error:
            msg = f"{url} does not hold the version that {ITEM} names; run {self.product} again"
            raise ReportError(msg) from error
        return zarr.open_group(store, mode="r")

    def files(self, pattern: str) -> list[str]:
        """Return the files of the product that match, such as ``tables/*.csv``, sorted."""
        return sorted(name for name in self.item["assets"] if fnmatch.fnmatchcase(name, pattern))

    def read(self, path: str) -> bytes:
        """Return the bytes of a file below the address."""
        from cluster import object_store

        return object_store.read_bytes(object_store.join(self.address, path))

    def table(self, name: str) -> list[tables.Row]:
        """Return the rows of ``tables/NAME.csv``; none where there is no such table.

        Raises
        ------
        ReportError
            A table that does not follow the schema.
        """
        path = f"tables/{name}.csv"
        if path not in self.item["assets"]:
            return []
        try:
            return tables.read_rows(self.read(path))
        except tables.TableError as error:
            msg = f"{self.address}/{path}: {error}"
            raise ReportError(msg) from error


def open_outputs(addresses: Sequence[str]) -> tuple[Output, ...]:
    """Return the finished products at the addresses.

    Raises
    ------
    ReportError
        No address, one without a finished product, or two with one name.
    """
    if not addresses:
        msg = "found no output; expected the output of one finished run at least"
        raise ReportError(msg)
    found = tuple(_output(address) for address in addresses)
    names = [each.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = f"found several outputs named {', '.join(twice)}; expected each once"
        raise ReportError(msg)
    return found


def _instead(address: str) -> str:
    """Return what to do about an address without a product; those in its folders are named."""
    from cluster import object_store

    below = [object_store.join(address, name)
             for name in object_store.list_folders(address)[:MOST_LOOKED_INTO]]  # fmt: skip
    if held := [each for each in below if object_store.exists(object_store.join(each, ITEM))]:
        return f"there are finished products below it, name those: {' '.join(held)}"
    return (
        "run it to its end first (`nunatak status RUN.yaml` says what is left), or name the output "
        "of one that is"
    )


def _output(given: str) -> Output:
    from cluster import object_store

    address = object_store.parse(given).url.rstrip("/")
    path = object_store.join(address, ITEM)
    if not object_store.exists(path):
        msg = f"{address} holds no finished product: there is no {ITEM}; {_instead(address)}"
        raise ReportError(msg)
    data = object_store.read_bytes(path)
    try:
        item = json.loads(data)
        product = str(item["properties"]["nunatak:product"])
        _require_shape(item)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path} is no item of a product ({error}); run that product again"
        raise ReportError(msg) from error
    return Output(address, product, address.rsplit("/", 1)[-1], item)


def _require_shape(item: dict[str, Any]) -> None:
    """Refuse an item whose parts are not what STAC says, before anything is made of it.

    Raises
    ------
    ReportError
        Assets that are no objects by name, or links that are no list of objects.
    """
    assets, links = item.get("assets"), item.get("links")
    if not isinstance(assets, dict) or not all(isinstance(each, dict) for each in assets.values()):
        msg = f"its assets are {assets!r:.60}, expected objects by name"
        raise ReportError(msg)
    if not isinstance(links, list) or not all(isinstance(each, dict) for each in links):
        msg = f"its links are {links!r:.60}, expected a list of objects"
        raise ReportError(msg)
