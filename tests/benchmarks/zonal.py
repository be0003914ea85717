"""Monthly surface mass balance summed over 27 basins, weights included: seconds of one thread.

``python -m tests.benchmarks.zonal [--quick]``. 252 months on a 27 km grid in EPSG:3031 become 27
sums a month, in kg. Every side takes part of a cell where a basin takes part of it. The basins are
the real ones from ``NUNATAK_DATA`` or ``../shared/data``; where they are absent, 27 of as many
vertices.

* ours: `pipelines.geometry.cell_overlap.grid_overlap`, then `pipelines.kernels.budget.zonal`, made
  anew in every run: polygons to shares, areas, missing cells, sums.
* ``xvec``, ``exactextract``: the sum of amount × area, which is computed for them beforehand. xvec
  calls exactextract with all months at once; ``exactextract`` itself takes a band a month.

Cells by their corners, as a rotated pole needs them, are stated as ``by_corners`` (time over ours).
"""

import argparse
import itertools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely
import xarray as xr

from pipelines.geometry import cell_overlap
from pipelines.kernels import geodesy
from pipelines.kernels.budget import zonal
from tests.benchmarks.statement import Statement, alternate
from tests.benchmarks.threads import on_one_thread

SPACING = 27_000.0
REACH = 2.835e6


class Problem(NamedTuple):
    """A grid, its true areas [m²], monthly amounts [kg m⁻²] and basins."""

    x: np.ndarray
    y: np.ndarray
    area: np.ndarray
    amounts: np.ndarray
    basins: gpd.GeoDataFrame
    which: str


def main() -> None:
    """Compare all sides on one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 months")
    options = parser.parse_args()
    on_one_thread("tests.benchmarks.zonal")
    # One system written in two ways; exactextract compares the words.
    warnings.filterwarnings("ignore", "Spatial reference system", RuntimeWarning)
    months, runs = (60, 5) if options.quick else (252, 7)
    state(make_problem(months), runs=runs).tell()


def make_problem(months: int) -> Problem:
    """Return amounts that look like snowfall: more at the coast, more in some months."""
    rng = np.random.default_rng(1)
    x = np.arange(-REACH + SPACING / 2, REACH, SPACING)
    y = x[::-1].copy()
    grid_x, grid_y = np.meshgrid(x, y)
    latitude, _ = geodesy.inverse_polar_stereographic(grid_x, grid_y)
    amounts = 20.0 * (np.hypot(grid_x, grid_y) / 2e6) ** 2 * rng.gamma(4.0, size=(months, 1, 1))
    amounts = amounts + rng.normal(scale=2.0, size=amounts.shape)
    area = (SPACING / geodesy.map_scale(latitude)) ** 2
    basins, which = real_basins() or (made_basins(rng), "made")
    return Problem(x, y, area, amounts, basins, which)


def real_basins() -> tuple[gpd.GeoDataFrame, str] | None:
    """Return Zwally's basins, if they are here."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(os.environ.get("NUNATAK_DATA", beside))
    path = root / "basins" / "zwally2012_grounded_27basins_simpl400m_epsg3031.gpkg"
    return (gpd.read_file(path)[["geometry"]], "Zwally") if path.is_file() else None


def made_basins(rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Return 27 sectors of a continent with rough sides, 1100 vertices each."""
    edges = np.linspace(0.0, 2.0 * np.pi, 28)
    shapes = []
    for west, east in itertools.pairwise(edges):
        angle = np.linspace(west, east, 1100)
        radius = 2.0e6 + np.cumsum(rng.normal(scale=2e3, size=angle.size))
        coast = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
        shapes.append(shapely.Polygon([(0.0, 0.0), *coast]))
    return gpd.GeoDataFrame(geometry=shapes, crs="EPSG:3031")


def state(problem: Problem, *, runs: int) -> Statement:
    """Time and compare all sides."""
    sides: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: ours(problem),
        "xvec": with_xvec(problem),
        "exactextract": with_exactextract(problem),
        "by corners": lambda: ours_by_corners(problem),
    }
    results = {name: side() for name, side in sides.items()}
    expected = results.pop("ours")
    errors = {
        name: float(np.abs(found - expected).max() / np.abs(expected).max())
        for name, found in results.items()
    }
    timed = {timing.name: timing for timing in alternate(sides, runs=runs)}
    size = {
        "months": len(problem.amounts),
        "cells": problem.x.size * problem.y.size,
        "basins": f"{len(problem.basins)} {problem.which}",
        "vertices": int(shapely.get_num_coordinates(problem.basins.geometry).sum()),
    }
    more = {
        "relative_errors": errors,
        "by_corners": round(timed["by corners"].cpu / timed["ours"].cpu, 3),
    }
    timings = [timed[name] for name in ("ours", "xvec", "exactextract")]
    return Statement("zonal", timings, max(errors.values()), size, unit="all months (CPU time)",
                     more=more, clock="cpu")  # fmt: skip


def ours(problem: Problem) -> np.ndarray:
    """Return sums, shape (month, basin) [kg]."""
    shares = cell_overlap.grid_overlap(problem.x, problem.y, problem.basins.geometry)
    weights = cell_overlap.area_weights(shares, problem.area.reshape(-1))
    return zonal.region_sums(weights, problem.amounts.reshape(len(problem.amounts), -1)).total


def ours_by_corners(problem: Problem) -> np.ndarray:
    """Return the same from quadrilaterals."""
    centres = [each.reshape(-1, 1) for each in np.meshgrid(problem.x, problem.y)]
    half = SPACING / 2.0
    corners = (centres[0] + half * np.array([-1, 1, 1, -1]),
               centres[1] + half * np.array([-1, -1, 1, 1]))  # fmt: skip
    shares = cell_overlap.overlap(*corners, problem.basins.geometry)
    weights = cell_overlap.area_weights(shares, problem.area.reshape(-1))
    return zonal.region_sums(weights, problem.amounts.reshape(len(problem.amounts), -1)).total


def with_xvec(problem: Problem) -> Callable[[], np.ndarray]:
    """Return a run of xvec's zonal statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import xvec  # noqa: F401

    masses = xr.DataArray(
        problem.amounts * problem.area,
        dims=("time", "y", "x"),
        coords={"time": np.arange(len(problem.amounts)), "y": problem.y, "x": problem.x},
    )

    def work() -> np.ndarray:
        found = masses.xvec.zonal_stats(
            problem.basins.geometry, "x", "y", stats="sum", method="exactextract"
        )
        return np.asarray(found.transpose("time", "geometry").to_numpy())

    return work


def with_exactextract(problem: Problem) -> Callable[[], np.ndarray]:
    """Return a run of exactextract, a band for each month."""
    import exactextract

    half = SPACING / 2.0
    bounds = (problem.x[0] - half, problem.y[-1] - half, problem.x[-1] + half, problem.y[0] + half)
    masses, wkt = problem.amounts * problem.area, problem.basins.crs.to_wkt()
    bands = [
        exactextract.raster.NumPyRasterSource(month, *bounds, name=f"m{i}", srs_wkt=wkt)
        for i, month in enumerate(masses)
    ]

    def work() -> np.ndarray:
        found: Any = exactextract.exact_extract(bands, problem.basins, "sum", output="pandas")
        return np.asarray(found.to_numpy(dtype=np.float64)).T

    return work


if __name__ == "__main__":
    main()
