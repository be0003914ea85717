"""A small finished product of shelf damage, made by hand: two shelves, a few summers."""

import json

import numpy as np
import zarr

from pipelines.flows import product_arrays, shelf_damage_arrays

NY, NX, CHUNK = 720, 1100, 256
SPACING = 30.0
WEST, NORTH = -2_300_010.0, 1_300_020.0


def scene(number: int, label: str, time: float, sensor: str, **changes):
    """Return what is told of a scene."""
    ids = [f"{sensor}_L1GT_{label.replace('-', '')}"]
    return {"number": number, "label": label, "time": time, "sensors": [sensor],
            "sun_elevation": 24.0, "slc_off": False, "restored": False,
            "scene_ids": ids} | changes  # fmt: skip


def product(folder=None) -> zarr.Group:
    """Return an empty product, in memory or in a folder."""
    return zarr.open_group(store=None if folder is None else str(folder), mode="a")


def summer(group, shelf, year, *, name, damage, extent, scenes, supplier=None, **more):
    """Write one summer: damage and extent (y, x) bool; what else there is follows from them."""
    made = group.require_group(f"{shelf}/{year}")
    ny, nx = damage.shape
    unknown = more.get("unknown", np.zeros_like(damage))
    supplier = np.ones(damage.shape, np.uint8) if supplier is None else supplier
    made.attrs.update({
        "proj:code": more.get("code", "EPSG:3031"), "spatial:shape": [ny, nx],
        "spatial:transform": [SPACING, 0.0, WEST, 0.0, -SPACING, NORTH], "nunatak:name": name,
        "nunatak:spacing": SPACING, "nunatak:scenes": json.dumps(scenes),
        "nunatak:parts": ["shelf", *more.get("parts", {})],
    })  # fmt: skip
    probability = np.where(unknown, 255, np.where(damage, 210, 20)).astype(np.uint8)
    arrays = {
        "probability": probability,
        "supplier": np.where(unknown, 0, supplier).astype(np.uint8),
        "extent": extent.astype(np.uint8),
        "damage": np.where(extent & ~unknown, damage, 255).astype(np.uint8),
        "region_damage": np.where(damage & ~unknown, 255, 0).astype(np.uint8),
    }
    for key, held in arrays.items():
        put(made, key, ("y", "x"), held)
    stack = np.stack([np.where(supplier == s["number"], probability, 255) for s in scenes])
    put(made, "scene_probability", ("scene", "y", "x"), stack.astype(np.uint8))
    put(made, "published", ("one",), np.array([more.get("published", 1)], np.uint8))
    put(made, "extent_record", ("extent_quantity",), np.array([2.0, 0, 0, 0, 0, 0]))
    product_arrays.labels(made, "extent_quantity", shelf_damage_arrays.EXTENT_QUANTITIES)
    for part, mask in more.get("parts", {}).items():
        put(made, f"part_{part}", ("cell_y", "cell_x"), mask.astype(np.uint8))
    return made


def put(made, key, dims, held):
    """Write one array, in chunks along y and x."""
    plane = tuple(min(CHUNK, n) if d in {"y", "x"} else n if d != "scene" else 1
                  for n, d in zip(held.shape, dims, strict=True))  # fmt: skip
    array = made.create_array(key, shape=held.shape, chunks=plane, dtype=held.dtype,
                              dimension_names=dims, overwrite=True)  # fmt: skip
    array[...] = held


def drawn(seed: int, *, growth: float = 0.0, ny: int = NY, nx: int = NX):
    """Return damage and extent of a tongue with crevasses that grow."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ny, :nx]
    front = nx * (0.72 + 0.06 * np.sin(y / ny * 5.0))
    extent = (x < front) & (np.abs(y - ny / 2) < ny * 0.42)
    damage = np.zeros((ny, nx), bool)
    for _ in range(int(30 + 40 * growth)):
        i, j, turn = rng.uniform(0, ny), rng.uniform(0, nx), rng.uniform(1.0, 2.0)
        along = np.arange(0, rng.uniform(20, 90), 0.5)
        for width in range(3):
            rows = (i + along * np.sin(turn) + width).astype(int)
            columns = (j + along * np.cos(turn) + width).astype(int)
            ok = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
            damage[rows[ok], columns[ok]] = True
    margin = np.abs(np.abs(y - ny / 2) - ny * 0.38) < ny * (0.01 + 0.02 * growth)
    return damage | (margin & (x > nx * 0.3)), extent
