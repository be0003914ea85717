"""The empty product of yearly damage maps: every array, coordinate and record of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.flows import product_arrays, shelf_damage_fractures
from pipelines.flows.shelf_damage_arrays import (
    CELL,
    EDGES,
    EXTENT_QUANTITIES,
    FLAGS,
    INNER,
    KINDS,
    PROBABILITY_STEP,
    SCENE_SUMS,
    SUMS,
    UNKNOWN,
    arrays,
)

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.shelf_damage_records import DamageSummer


def create(
    group: zarr.Group,
    *,
    summers: tuple[DamageSummer, ...],
    chunk: int,
    side: int,
    fractures: bool,
    attributes: dict[str, Any],
) -> None:
    """Create the empty arrays of every summer, and write down its scenes and outlines."""
    group.attrs.update({"Conventions": "CF-1.11", **attributes})
    for summer in summers:
        made = group.require_group(summer.path)
        grid = summer.grid
        about = {
            "proj:code": grid.code,
            "spatial:shape": [grid.ny, grid.nx],
            "spatial:transform": list(grid.transform),
            "nunatak:name": summer.name,
            "nunatak:spacing": grid.spacing,
            "nunatak:scenes": json.dumps([scene.to_dict() for scene in summer.scenes]),
            "nunatak:parts": list(summer.parts),
        }
        wanted = arrays(summer, chunk=chunk, side=side, parts=summer.parts)
        product_arrays.create(made, wanted, about)
        _coordinates(made, summer)
        if fractures:
            shape = (grid.ny, grid.nx, chunk)
            product_arrays.create(made, shelf_damage_fractures.arrays(*shape), about)
            shelf_damage_fractures.name_quantities(made)
    for summer in {each.shelf: each for each in summers}.values():
        _create_parts(group.require_group(summer.shelf), summer)


def _create_parts(made: zarr.Group, summer: DamageSummer) -> None:
    """Create the cells of a shelf's sub-regions, the same in every summer."""
    shape = tuple(-(-size // CELL) for size in summer.grid.shape)
    product_arrays.create(
        made,
        (
            product_arrays.whole(f"part_{part}", ("cell_y", "cell_x"), shape, "1",
                                 "cell lies in the sub-region", "uint8")
            for part in summer.parts[1:]
        ),
        {},
    )  # fmt: skip


def _coordinates(made: zarr.Group, summer: DamageSummer) -> None:
    grid = summer.grid
    width = CELL * grid.spacing
    west, _, _, north = grid.bounds
    cells = tuple(-(-size // CELL) for size in grid.shape)
    product_arrays.polar_axes(made, {"x": grid.x, "y": grid.y})
    for name, values in (
        ("cell_x", west + (np.arange(cells[1]) + 0.5) * width),
        ("cell_y", north - (np.arange(cells[0]) + 0.5) * width),
    ):
        about = {"units": "m", "standard_name": f"projection_{name[-1]}_coordinate"}
        product_arrays.coordinate(made, name, (name,), values, about)
    for name, names in (
        ("part", summer.parts), ("sum_quantity", SUMS), ("error_kind", KINDS), ("edge", EDGES),
        ("inner_quantity", INNER), ("scene_quantity", SCENE_SUMS),
        ("extent_quantity", EXTENT_QUANTITIES),
    ):  # fmt: skip
        product_arrays.labels(made, name, names)
    for name in ("scene_probability", "probability", "spread", "scene_ice"):
        packing = {"scale_factor": PROBABILITY_STEP, "add_offset": 0.0, "_FillValue": UNKNOWN}
        made[name].attrs.update(packing)
    for name in ("scene_spread", "filling_spread"):
        made[name].attrs.update({"scale_factor": PROBABILITY_STEP, "add_offset": 0.0})
    flags: dict[str, Any] = {"flag_masks": list(FLAGS.values()), "flag_meanings": " ".join(FLAGS)}
    made["scene_flags"].attrs.update(flags)
