"""How a finished restoration is told: how much was filled, how sure, and what it looks like."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.ledger import KeyFailed
from pipelines import stored, tables
from pipelines.flows import network_results
from pipelines.flows.restoration_arrays import NO_SPREAD
from pipelines.kernels.imagery import quality_bits, radiometry
from pipelines.stored import group_at

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.restoration_inputs import RestorationFound, Striped
    from pipelines.lifecycle import Finished
    from pipelines.settings import Run

logger = logging.getLogger(__name__)

TITLE = "Landsat 7 scenes of ice shelves with their gaps filled"
DRAWN_PX = 384
"""Side of the part of a scene that its figure shows [pixels]."""
CELLS_PER_BAND = 8
"""Rows of half windows of a mask that are read at once: 1536 rows, three of its chunks."""


def provenance(run: Run, found: RestorationFound) -> dict[str, Any]:
    """Return the attributes that say how the product was made."""
    return {
        **network_results.provenance(run, found.items, title=TITLE),
        "references": "Tang et al. (2026), section 2.2",
        "nunatak:weights_sha256": found.weights.sha256,
    }


def tell(finished: Finished, *, run: Run, found: RestorationFound) -> None:
    """Write the table, a figure for each scene, and last ``item.json``."""
    from pipelines.figures import restored_scene

    rows = [row for summer in found.summers for row in summer_rows(finished.group, run, summer)]
    finished.write("tables/restoration.csv", tables.write_rows(rows))
    scenes = found.source.open()
    for summer in found.summers:
        for number, label in enumerate(summer.labels):
            try:
                shown = part(scenes, finished.group, summer, number)
            except KeyFailed as damage:
                logger.warning("no figure of %s %s: %s", summer.shelf, label, damage)
                continue
            data = restored_scene.drawn(*shown, title=f"{summer.shelf}, {label}")
            finished.write(f"figures/{summer.shelf}_{summer.summer}_{label}.png", data)
    network_results.publish(
        run, TITLE, items=found.items, sources=found.sources, snapshot=finished.snapshot,
        properties={"scenes": sum(len(s.places) for s in found.summers),
                    "shelves": sorted({s.shelf for s in found.summers})},
        footprint=found.footprint or None,
    )  # fmt: skip


def summer_rows(group: zarr.Group, run: Run, summer: Striped) -> Iterator[tables.Row]:
    """Yield for each scene what was missing, what was filled, and the spread where it is known."""
    sums = stored.read(group_at(group, summer.path), "sums")
    for number, label in enumerate(summer.labels):
        missing, filled, known, spread = np.nansum(sums[number], axis=(0, 1))
        day = dt.date.fromisoformat(label[:10])
        note = f"summer={summer.summer};scene={label}"
        numbers = {
            "gap_fraction": missing / (summer.grid.ny * summer.grid.nx),
            "filled_fraction_of_gaps": filled / missing if missing else float("nan"),
            "spread_of_filled": spread / known if known else float("nan"),
        }
        for name, value in numbers.items():
            yield tables.Row(
                run.product, name, network_results.region_set(run), summer.shelf, day, day,
                float(value), float("nan"), "1", note,
            )  # fmt: skip


def part(
    scenes: zarr.Group, group: zarr.Group, summer: Striped, number: int
) -> tuple[Any, Any, Any]:
    """Return the part of a scene with most gaps: as it was, as it is, and the spread."""
    before, after = group_at(scenes, summer.path), group_at(group, summer.path)
    place = summer.places[number]
    window = _densest(before, place)
    held = stored.values(before, "reflectance", (place, slice(None), *window))
    was = np.where(held > 0, radiometry.reflectance_of(held), np.nan)
    now = stored.values(after, "reflectance", (number, slice(None), *window))
    counts = stored.values(after, "spread", (number, *window))
    spread = np.where(counts != NO_SPREAD, counts * radiometry.PER_COUNT, np.nan)
    return was, np.where(now > 0, radiometry.reflectance_of(now), np.nan), spread


def _densest(scenes: zarr.Group, place: int) -> tuple[slice, slice]:
    """Return the window of a scene in which most is missing; its mask is read band by band."""
    side = DRAWN_PX // 2
    _, ny, nx = stored.array(scenes, "mask").shape
    high, wide = ny // side, nx // side
    if not high * wide:
        return slice(0, ny), slice(0, nx)
    shares = []
    for first in range(0, high, CELLS_PER_BAND):
        rows = slice(first * side, min(first + CELLS_PER_BAND, high) * side)
        mask = stored.values(scenes, "mask", (place, rows, slice(0, wide * side)))
        gap = (mask & np.uint16(quality_bits.GAP)) != 0
        shares.append(gap.reshape(-1, side, wide, side).mean(axis=(1, 3)))
    share = np.concatenate(shares)
    row, column = np.unravel_index(int(share.argmax()), share.shape)
    top = max(0, min(int(row) * side - side // 2, ny - DRAWN_PX))
    left = max(0, min(int(column) * side - side // 2, nx - DRAWN_PX))
    return slice(top, min(ny, top + DRAWN_PX)), slice(left, min(nx, left + DRAWN_PX))
