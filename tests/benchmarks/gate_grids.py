"""Grids and a gate for the benchmark of gate reading: as large, gappy and noisy as real ones.

Velocities and a thickness on the real outline of the ice sheet where ``../shared/data`` holds it,
else on a drawn one. Values are smooth fields with noise in every bit, so that they compress as
measured ones do. Each layout holds the same values.
"""

import argparse
import functools
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.features
import rasterio.transform
import shapely
import xarray as xr
import zarr
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

FLOAT = NDArray[np.float64]
HALF_WIDTH = 2.8e6
VELOCITIES = ("v_x", "v_y")
LARGEST_HOLE = 1e10
"""Polygons smaller than this [m²] get no gate: islands and rises."""


@dataclass(frozen=True)
class Size:
    """What is read: cells along a side, years, nodes, and how stores are cut.

    Attributes
    ----------
    side, years, nodes : int
        Cells along x and y, years, nodes of the gate.
    chunk, tile, inner : int
        Cells along a side of a chunk that holds all years, of one that holds a year (as
        published), and of a chunk inside a shard of that size.
    """

    side: int
    years: int
    nodes: int
    chunk: int
    tile: int
    inner: int

    @property
    def axes(self) -> tuple[FLOAT, FLOAT]:
        """Cell centres [m], y descending."""
        step = 2 * HALF_WIDTH / self.side
        x = -HALF_WIDTH + step * (np.arange(self.side) + 0.5)
        return x, -x

    @property
    def layouts(self) -> dict[str, dict[str, Any]]:
        """How velocities are cut in each store; the thickness is in tiles in all of them."""
        years, tile = self.years, self.tile
        return {
            "time_contiguous": {"chunks": (years, self.chunk, self.chunk)},
            "year_major": {"chunks": (1, tile, tile)},
            "sharded": {
                "chunks": (years, self.inner, self.inner),
                "shards": (years, tile, tile),
            },
        }


def shared_basins() -> Path:
    """Return the folder of real outlines, there or not."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("NUNATAK_DATA", beside)) / "basins"


@functools.cache
def outlines() -> tuple[BaseGeometry, BaseGeometry, str]:
    """Return the ice with its shelves, the grounded ice, and where they are from."""
    folder = shared_basins()
    coast = folder / "measures_coastline_v02" / "Coastline_Antarctica_v02.shp"
    basins = folder / "measures_imbie_basins_v02" / "Basins_IMBIE_Antarctica_v02.shp"
    if not (coast.is_file() and basins.is_file()):
        return drawn(1.0), drawn(0.93), "drawn"
    import geopandas as gpd

    ice = gpd.read_file(coast).union_all().simplify(500.0)
    table = gpd.read_file(basins)
    grounded = table[table["Regions"] != "Islands"].union_all()
    parts = [part for part in shapely.get_parts(grounded) if part.area > LARGEST_HOLE]
    return ice, shapely.union_all(parts), "MEaSUREs coastline and IMBIE basins"


def drawn(scale: float) -> BaseGeometry:
    """Return an outline with lobes and bays, about as long as the real one."""
    angle = np.linspace(0.0, 2.0 * np.pi, 40_000, endpoint=False)
    lobes = 1.0 + 0.16 * np.cos(2 * angle) + 0.08 * np.sin(3 * angle)
    bays = 0.02 * np.sin(97 * angle) + 0.008 * np.sin(461 * angle)
    radius = 2.0e6 * scale * (lobes + bays)
    return shapely.Polygon(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))


@functools.cache
def gate(nodes: int) -> tuple[FLOAT, FLOAT]:
    """Return nodes along the outline of the grounded ice, evenly spaced [m]."""
    _, grounded, _ = outlines()
    rings = [part.exterior.simplify(1000.0) for part in shapely.get_parts(grounded)]
    ends = np.cumsum([ring.length for ring in rings])
    at = (np.arange(nodes) + 0.5) / nodes * ends[-1]
    points = [
        _along(ring, at[(at >= end - ring.length) & (at < end)] - (end - ring.length))
        for ring, end in zip(rings, ends, strict=True)
    ]
    x, y = np.concatenate(points).T
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def _along(ring: BaseGeometry, distance: FLOAT) -> FLOAT:
    """Return points on a line by their distance from its start, shape (n, 2)."""
    points = shapely.get_coordinates(ring)
    passed = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return np.stack([np.interp(distance, passed, along) for along in points.T], axis=1)


def write(folder: Path, size: Size) -> None:
    """Write a store for each layout: v_x, v_y (time, y, x) and thickness (y, x)."""
    ice, _, _ = outlines()
    side, step = size.side, 2 * HALF_WIDTH / size.side
    transform = rasterio.transform.from_origin(-HALF_WIDTH, HALF_WIDTH, step, step)
    ocean = rasterio.features.geometry_mask([ice], (side, side), transform, all_touched=True)
    stores = {name: _empty(folder / name, size, cut) for name, cut in size.layouts.items()}
    noise = np.random.default_rng(1).standard_normal((size.tile + size.years, side))
    noise = noise.astype(np.float32)
    for start in range(0, side, size.tile):
        rows = slice(start, min(start + size.tile, side))
        for name in VELOCITIES:
            block = _velocity(name, size, rows, noise)
            block[:, ocean[rows]] = np.nan
            for store in stores.values():
                store[name][:, rows] = block
        thickness = _thickness(size, rows, noise)
        thickness[ocean[rows]] = np.nan
        for store in stores.values():
            store["thickness"][rows] = thickness


def _empty(path: Path, size: Size, cut: dict[str, Any]) -> zarr.Group:
    """Make the arrays of one store."""
    x, y = size.axes
    xr.Dataset(coords={"x": x, "y": y}).to_zarr(path, zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="a")
    shape = size.years, size.side, size.side
    nothing: dict[str, Any] = {"dtype": "float32", "fill_value": np.nan}
    for name in VELOCITIES:
        dims = ["time", "y", "x"]
        group.create_array(name, shape=shape, dimension_names=dims, **cut, **nothing)
    square = min(size.tile, size.side), min(size.tile, size.side)
    dims, plane = ["y", "x"], shape[1:]
    group.create_array("thickness", shape=plane, chunks=square, dimension_names=dims, **nothing)
    return group


def _velocity(name: str, size: Size, rows: slice, noise: NDArray[np.float32]) -> NDArray[Any]:
    """Return a band of rows of all years [m yr⁻¹], shape (years, rows, side)."""
    x, y = (axis.astype(np.float32) for axis in size.axes)
    turn = np.float32(0.0 if name == "v_x" else 1.0)
    smooth = 300.0 * np.sin(x / 3e5 + turn) * np.cos(y[rows, None] / 2e5 - turn)
    count = smooth.shape[0]
    band = np.empty((size.years, count, size.side), dtype=np.float32)
    for year in range(size.years):
        np.multiply(smooth, 1.0 + 0.01 * year, out=band[year], casting="same_kind")
        band[year] += 5.0 * noise[year : year + count]
    return band


def _thickness(size: Size, rows: slice, noise: NDArray[np.float32]) -> NDArray[Any]:
    """Return a band of rows [m], shape (rows, side)."""
    x, y = size.axes
    smooth = 1200.0 + 800.0 * np.cos(x / 7e5) * np.cos(y[rows, None] / 6e5)
    return np.asarray(smooth + 20.0 * noise[: smooth.shape[0]], dtype=np.float32)


def write_command(folder: Path, size: Size) -> list[str]:
    """Return the arguments with which this module writes in a process of its own."""
    sizes = [f"--{name}={value}" for name, value in asdict(size).items()]
    return ["-m", "tests.benchmarks.gate_grids", str(folder), *sizes]


def main() -> None:
    """Write stores of one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in Size.__dataclass_fields__:
        parser.add_argument(f"--{name}", type=int, required=True)
    options = vars(parser.parse_args())
    write(options.pop("folder"), Size(**options))


if __name__ == "__main__":
    main()
