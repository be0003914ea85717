"""Stored coefficients, read a block of orders or a range of degrees at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import stored

if TYPE_CHECKING:
    import zarr

FLOAT = NDArray[np.float64]


def order_blocks(group: zarr.Group, name: str) -> list[slice]:
    """Return the blocks of orders that an array of coefficients is stored in."""
    held = stored.array(group, name)
    size, step = held.shape[-1], held.chunks[-1]
    return [slice(i, min(i + step, size)) for i in range(0, size, step)]


def read_orders(group: zarr.Group, name: str, orders: slice) -> FLOAT:
    """Return some orders of coefficients, shape (..., 2, J + 1, orders)."""
    return stored.read(group, name, (..., orders))


def read_to_degree(group: zarr.Group, name: str, degree: int) -> FLOAT:
    """Return coefficients up to a degree, and no more of them than that is read."""
    part = slice(0, degree + 1)
    return stored.read(group, name, (..., part, part))
