"""Granules of a scene laid side by side on a block: weights only where two of them have pixels.

Two rows of a pass share a tenth of their pixels; everywhere else a pixel is of one granule or of
none, and needs no distance, no weight and no float.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.flows import scenes_reading
from pipelines.flows.scenes_reading import Depths, Look
from pipelines.kernels.imagery import quality_bits

FILL, GAP = np.uint16(quality_bits.FILL), np.uint16(quality_bits.GAP)


def on_block(
    looks: Sequence[Look],
    deep: Depths | None,
    within: Sequence[int],
    block: tuple[slice, slice],
    *,
    feather_m: float,
) -> Look:
    """Join granules on a block, the same to the last bit as `scenes_reading.joined` on all of it.

    Parameters
    ----------
    looks : sequence of Look
        Granules on the block.
    deep : Depths or None
        Depths of all granules of the scene; None for a scene of one.
    within : sequence of int
        Which granules of the scene `looks` are.
    block : tuple of slice
        Rows and columns, in pixels of the whole grid.
    feather_m : float
        Width over which two granules mix [m].

    Returns
    -------
    Look
    """
    if len(looks) == 1 or deep is None:
        return looks[0]
    whole, part = _apart(looks), _shared(looks)
    if part is not None:
        rows, columns = (_moved(*pair) for pair in zip(block, part, strict=True))
        mixed = scenes_reading.joined(
            [Look(each.counts[:, *part], each.mask[part]) for each in looks],
            deep.on(rows, columns)[list(within)],
            feather_m=feather_m,
        )
        whole.counts[:, *part], whole.mask[part] = mixed.counts, mixed.mask
    return whole


def _apart(looks: Sequence[Look]) -> Look:
    """Lay down the pixels of each granule; right where no two of them have one."""
    counts = np.zeros_like(looks[0].counts)
    gap = np.bitwise_or.reduce([each.mask for each in looks], axis=0) & GAP
    mask = gap | FILL
    for each in looks:
        valid = (each.mask & FILL) == 0
        np.copyto(counts, each.counts, where=valid)
        np.copyto(mask, each.mask, where=valid)
    return Look(counts, mask)


def _shared(looks: Sequence[Look]) -> tuple[slice, slice] | None:
    """Return the rows and columns in which two granules have pixels; None if there are none."""
    held = np.zeros(looks[0].mask.shape, dtype=np.uint8)
    for each in looks:
        held += (each.mask & FILL) == 0
    twice = held > 1
    rows, columns = (np.flatnonzero(twice.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _moved(whole: slice, part: slice) -> slice:
    """Return a part of a slice, counted from where the slice counts.

    >>> _moved(slice(100, 200), slice(10, 20))
    slice(110, 120, None)
    """
    return slice(whole.start + part.start, whole.start + part.stop)
