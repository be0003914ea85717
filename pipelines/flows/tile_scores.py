"""What tiles add to the scores of a segmentation, as arrays of a product. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import stored
from pipelines.flows.product_arrays import Array
from pipelines.nets.segmentation_scores import BINS, Counts, Near, TileTally, tally

if TYPE_CHECKING:
    import zarr


def arrays(tiles: int) -> tuple[Array, ...]:
    """Return the arrays that hold a row for each tile."""
    four = ("tile", "count")
    return (
        Array("counts", four, (tiles, 4), (1, 4), "1",
              "pixels: true positive, false positive, true negative, false negative", "int64"),
        Array("near", four, (tiles, 4), (1, 4), "1",
              "within a pixel: found, predicted, met, labelled", "int64"),
        Array("histogram", ("tile", "label", "bin"), (tiles, 2, BINS), (1, 2, BINS), "1",
              "pixels labelled intact, and damaged, by probability", "int64"),
        Array("summed", ("tile", "bin"), (tiles, BINS), (1, BINS), "1",
              "sum of the probabilities of each bin"),
        Array("unsaid", ("tile",), (tiles,), (1,), "1",
              "labelled pixels without a probability", "int64"),
        Array("radon_counts", four, (tiles, 4), (1, 4), "1",
              "as counts, of NeRD, the baseline without a network", "int64"),
    )  # fmt: skip


def write(
    group: zarr.Group,
    number: int,
    probability: NDArray[np.float32],
    label: NDArray[np.uint8],
    *,
    threshold: float,
) -> None:
    """Compare probabilities with labels and keep what is needed of it in the row of a tile."""
    found = tally(probability, label, name="", region="", threshold=threshold)
    rows: dict[str, Any] = {
        "counts": np.array(astuple(found.counts)),
        "near": np.array(astuple(found.near)),
        "histogram": np.stack([found.intact, found.damaged]),
        "summed": found.summed,
        "unsaid": np.array(found.unsaid),
    }
    for name, row in rows.items():
        stored.write(group, name, row, number)


def write_baseline(
    group: zarr.Group, number: int, damage: NDArray[np.float32], label: NDArray[np.uint8]
) -> None:
    """Compare what a baseline calls damage (1, 0, NaN) with labels."""
    found = tally(damage, label, name="", region="")
    stored.write(group, "radon_counts", np.array(astuple(found.counts)), number)


def read(
    group: zarr.Group, names: Sequence[str], regions: Sequence[str], *, threshold: float
) -> list[TileTally]:
    """Return what :func:`write` kept of every tile."""
    held = {name: stored.values(group, name) for name in ("counts", "near", "unsaid")}
    histogram, summed = stored.values(group, "histogram"), stored.read(group, "summed")
    return [
        TileTally(
            name, region, threshold, Counts(*held["counts"][n].tolist()),
            Near(*held["near"][n].tolist()), histogram[n, 1], histogram[n, 0], summed[n],
            int(held["unsaid"][n]),
        )
        for n, (name, region) in enumerate(zip(names, regions, strict=True))
    ]  # fmt: skip
