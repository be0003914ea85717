"""Arrays of a restoration: scenes without gaps, how sure, and how much was missing around.

``SHELF/SUMMER`` holds a row for each scene that had gaps, on the grid of the scenes' product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.flows import product_arrays
from pipelines.flows.product_arrays import Array
from pipelines.flows.scenes_arrays import BANDS
from pipelines.kernels.imagery import radiometry

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.restoration_inputs import RestorationFound, Striped

FRACTION_STEP = 1.0 / 250.0
"""Local gap fraction of one count [1]."""

SUMS = ("gap_pixels", "filled_pixels", "spread_pixels", "spread_sum")
"""What a block adds to the table: pixels in gaps, pixels that were filled, those of them whose
spread is known, sum of their spreads."""

NO_SPREAD = 65535
"""Count of a spread that is not known."""


def arrays(summer: Striped, *, chunk: int, blocks: tuple[int, int]) -> tuple[Array, ...]:
    """Return the arrays of a summer."""
    count, ny, nx = len(summer.places), summer.grid.ny, summer.grid.nx
    plane, tile = (count, ny, nx), (1, chunk, chunk)
    return (
        Array("reflectance", ("scene", "band", "y", "x"), (count, len(BANDS), ny, nx),
              (1, len(BANDS), chunk, chunk), "1", "reflectance, gaps filled", "uint16", level=1),
        Array("spread", ("scene", "y", "x"), plane, tile, "1",
              "standard deviation of filled reflectance, root mean square of bands; 0 measured",
              "uint16", NO_SPREAD, level=1),
        Array("restored", ("scene", "y", "x"), plane, tile, "1",
              "0 measured, or nothing known; 1 filled", "uint8", level=1),
        Array("gap_fraction", ("scene", "y", "x"), plane, tile, "1",
              "share of the pixels around that were missing", "uint8", level=1),
        Array("sums", ("scene", "block_y", "block_x", "quantity"),
              (count, *blocks, len(SUMS)), (1, 1, 1, len(SUMS)), "1", "sums of each block"),
    )  # fmt: skip


def create(
    group: zarr.Group, *, found: RestorationFound, side: int, attributes: dict[str, Any]
) -> None:
    """Create the empty arrays of every summer."""
    group.attrs.update({"Conventions": "CF-1.11", **attributes})
    for summer in found.summers:
        made = group.require_group(summer.path)
        grid = summer.grid
        about = {
            "proj:code": grid.code,
            "spatial:shape": [grid.ny, grid.nx],
            "spatial:transform": list(grid.transform),
            "nunatak:places": list(summer.places),
        }
        blocks = (-(-grid.ny // side), -(-grid.nx // side))
        product_arrays.create(made, arrays(summer, chunk=found.chunk, blocks=blocks), about)
        product_arrays.polar_axes(made, {"x": grid.x, "y": grid.y})
        product_arrays.labels(made, "scene", summer.labels)
        product_arrays.labels(made, "band", BANDS)
        product_arrays.labels(made, "quantity", SUMS)
        product_arrays.coordinate(
            made, "time", ("scene",), np.array(summer.times),
            {"units": "seconds since 1970-01-01", "standard_name": "time"},
        )  # fmt: skip
        packing = {"scale_factor": radiometry.PER_COUNT, "add_offset": 0.0}
        made["reflectance"].attrs.update({**packing, "_FillValue": 0})
        made["spread"].attrs.update({**packing, "_FillValue": NO_SPREAD})
        made["gap_fraction"].attrs.update({"scale_factor": FRACTION_STEP, "add_offset": 0.0})
