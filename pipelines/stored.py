"""Groups and arrays of a product by name, typed: what a job reads and writes.

Opening an array reads no chunk: a damaged one is found when its values are asked for. That fails
the key that asked, and no other, whether the array is of a product that the run is made from or of
an earlier stage of its own.
"""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr

Place = int | slice | EllipsisType | tuple[int | slice | EllipsisType, ...]


def array(group: zarr.Group, name: str) -> zarr.Array[zarr.core.metadata.v3.ArrayV3Metadata]:
    """Return a stored array; a group of that name, or none, is a defect of the flow."""
    found = group[name]
    if not hasattr(found, "shape"):
        msg = f"{name!r} is a group of the product, expected an array"
        raise TypeError(msg)
    return found  # type: ignore[return-value]


def group_at(group: zarr.Group, path: str) -> Any:
    """Return a group below ``group``."""
    import zarr

    found = group[path]
    if not isinstance(found, zarr.Group):
        msg = f"{path!r} is no group of the product"
        raise TypeError(msg)
    return found


def read(group: zarr.Group, name: str, at: Place = ...) -> NDArray[np.float64]:
    """Return an array of the product, or a part of it, as float64."""
    return np.asarray(_taken(group, name, at), dtype=np.float64)


def values(group: zarr.Group, name: str, at: Place = ...) -> NDArray[Any]:
    """Return an array of the product, or a part of it, in the type that it is stored in."""
    return np.asarray(_taken(group, name, at))


def _taken(group: zarr.Group, name: str, at: Place) -> Any:
    """Return a part of an array.

    Raises
    ------
    KeyFailed
        A chunk of it is damaged.
    """
    held = array(group, name)
    try:
        return held[at]
    except Exception as error:
        from cluster import chunk_errors
        from cluster.ledger import KeyFailed

        if not chunk_errors.is_damage(error):
            raise
        whose = getattr(held.store, "told_as", "") or "this run"
        msg = (
            f"a chunk of {held.path} in {whose} is damaged ({chunk_errors.first_line(error)}); "
            "make that product again with --fresh, then run this again"
        )
        raise KeyFailed(msg) from error


def write(group: zarr.Group, name: str, values: NDArray[Any], at: Place = ...) -> None:
    """Fill an array of the product, or a part of it: whole chunks."""
    array(group, name)[at] = values
