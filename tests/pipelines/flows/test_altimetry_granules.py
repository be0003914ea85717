"""Heights along tracks in the format of CryoTEMPO, to gridded rates: planted rates come back.

An outlet of 120 × 60 km sinks in its west and rises in its east. Twelve passes in six years see
both ends of it, none its middle; heights have noise and wild outliers. A last pass runs beyond the
period of the run, after which the surface jumps.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
import zarr
from numpy.typing import NDArray

from cluster.ledger import KeyFailed
from pipelines import stored
from pipelines.flows.catalogue_inputs import InputError
from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.elevation_files import AltimetryFiles
from tests.stac.field_files import POLAR_CF, NetcdfWriter, write_granule

from .conftest import Document, added, changed, labels, plan_of, rows, worked

FLOAT = NDArray[np.float64]
WEST, EAST = (300e3, 348e3), (402e3, 420e3)
"""Reach of the tracks along x [m]: far enough from the border of tiles at 375 km."""
SOUTH, NORTH = 200e3, 260e3
BORDER = 360e3
SINKING, RISING = -1.5, 0.4
PERIOD = ("2011-02-01", "2017-01-31")
NOISE = 0.05
"""Standard deviation of a height [m]; one in a hundred is an outlier of tens of metres."""
PASSES = [dt.datetime(2011 + i // 2, 3 + 6 * (i % 2), 10, 7, 30, tzinfo=dt.UTC) for i in range(12)]
LAST = dt.datetime(2017, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
AFTER = dt.datetime(2017, 2, 1, tzinfo=dt.UTC)
MODELS = ("M1", "M2", "M3", "M4")
SINCE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def terrain(x: FLOAT, y: FLOAT) -> FLOAT:
    """Return a surface that is bilinear in x and y, so that every model can follow it [m]."""
    u, v = x - 360e3, y - 230e3
    return 1500.0 + 4e-3 * u - 7e-3 * v + 2e-9 * u * v


def rate(x: FLOAT) -> FLOAT:
    """Return the planted rate [m yr⁻¹]."""
    return np.where(x < BORDER, SINKING, RISING)


def track(reach: tuple[float, float], draw: np.random.Generator) -> tuple[FLOAT, FLOAT]:
    """Return points every 300 m on lines along x, 2 km apart, a little elsewhere on each pass."""
    line = np.arange(reach[0], reach[1], 300.0)
    lines = np.arange(SOUTH + 1e3, NORTH, 2e3) + draw.uniform(-800.0, 800.0)
    x = np.concatenate([line[:: 1 if i % 2 == 0 else -1] for i in range(lines.size)])
    return x + draw.uniform(-150.0, 150.0, x.size), np.repeat(lines, line.size)


def write_pass(folder: Path, when: dt.datetime, reach: tuple[float, float], seed: int) -> Path:
    """Write a granule of one pass over one end; points 50 ms apart."""
    draw = np.random.default_rng(seed)
    x, y = track(reach, draw)
    to_geographic = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = to_geographic.transform(x, y)
    seconds = (when - SINCE).total_seconds() + 0.05 * np.arange(x.size)
    years = 2000.0 + seconds / (365.2425 * 86_400.0)
    height = terrain(x, y) + rate(x) * (years - 2014.0) + NOISE * draw.standard_normal(x.size)
    wild = draw.random(x.size) < 0.01
    height[wild] += draw.choice([-40.0, 25.0], wild.sum())
    height[seconds >= (AFTER - SINCE).total_seconds()] += 300.0
    end = when + dt.timedelta(seconds=0.05 * x.size)
    name = f"CS_OFFL_SIR_TDP_LI_ANTARC_{when:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}"
    side = "01" if reach == WEST else "02"
    path = folder / f"{name}_{side}_{seed:05d}_C001.nc"
    return write_granule(path, latitude, longitude, height, seconds=seconds)


def write_terrain(path: Path) -> Path:
    """Write a DEM of 1 km, the surface of the middle of 2013, as its publishers would."""
    x, y = np.arange(290e3, 431e3, 1e3), np.arange(270e3, 189e3, -1e3)
    writer = NetcdfWriter(path).axes(x, y).mapping(POLAR_CF)
    return writer.field(
        "h", terrain(*np.meshgrid(x, y)), units="m", grid_mapping="crs",
        standard_name="height_above_reference_ellipsoid",
    ).done()  # fmt: skip


def write_boxes(path: Path) -> Path:
    """Write the two halves of the outlet as polygons."""
    halves = {"1": (300e3, BORDER), "2": (BORDER, 420e3)}
    table = gpd.GeoDataFrame(
        {"region": list(halves), "name": ["sinking", "rising"], "group": ["WAIS", "WAIS"]},
        geometry=[shapely.box(west, SOUTH, east, NORTH) for west, east in halves.values()],
        crs="EPSG:3031",
    )
    return write_polygons(table, path)


def write_passes(folder: Path) -> list[Path]:
    folder.mkdir()
    passes = [(when, reach) for when in (*PASSES, LAST) for reach in (WEST, EAST)]
    return [write_pass(folder, *each, seed=i) for i, each in enumerate(passes)]


def fill(catalogue: Path, passes: list[Path], folder: Path) -> None:
    boxes, dem = write_boxes(folder / "outlet.gpkg"), write_terrain(folder / "dem.nc")
    added("elevation-rate", passes, catalogue, "passes")
    added("boundaries", [boxes], catalogue, "grounded")
    added("basins", [boxes], catalogue, "halves")
    added("surface-elevation", [dem], catalogue, "terrain")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    fill(folder / "catalogue", write_passes(folder / "passes"), folder)
    return folder / "catalogue"


def granule_document(catalogue: Path) -> Document:
    return {
        "product": "altimetry",
        "catalogue": str(catalogue),
        "output": "out",
        "period": list(PERIOD),
        "regions": "halves",
        "inputs": {
            "elevation_rate": "passes",
            "grounded_ice": "grounded",
            "surface_elevation": "terrain",
        },
        "altimetry": {
            "j_max": 20,
            "cells": {"step_degrees": 2.0},
            "density": {"models": ["ice", "mean"]},
            "gaps": "each",
            "region_spacing_km": 5,
            "map": {"spacing_km": 400},
        },
    }


@pytest.fixture
def document(catalogue: Path) -> Document:
    return granule_document(catalogue)


@pytest.fixture(scope="module")
def fitted(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> zarr.Group:
    """Return the product of all passes, worked through here."""
    folder = tmp_path_factory.mktemp("fitted")
    return worked(plan_of(granule_document(catalogue), folder))


def inside(x: FLOAT, y: FLOAT, reach: tuple[float, float]) -> NDArray[np.bool_]:
    across = (x > reach[0]) & (x < reach[1])
    return (y > SOUTH)[:, None] & (y < NORTH)[:, None] & across


def test_planted_rates_come_back_by_all_four_fits(fitted: zarr.Group) -> None:
    x, y = (stored.read(fitted, name) for name in ("x_grid", "y_grid"))
    found = stored.read(fitted, "elevation_rate_measured")

    assert labels(fitted, "height") == list(MODELS)
    for reach, planted in ((WEST, SINKING), (EAST, RISING)):
        here = found[:, inside(x, y, reach)]
        assert here.shape[1] > 40
        # A pixel has some 80 heights of 5 cm in six years: 3 mm/yr, and a cell blends a few.
        assert np.abs(here - planted).max() < 0.02
        assert np.abs(here.mean(axis=1) - planted).max() < 0.002


def test_standard_errors_of_pixels_are_honest(fitted: zarr.Group) -> None:
    x = stored.read(fitted, "x_pixel")
    found, sigma = (stored.read(fitted, f"fitted_rate{of}") for of in ("", "_sigma"))

    score = (found - rate(x)) / sigma
    for model in range(len(MODELS)):
        known = np.isfinite(score[model])
        assert known.sum() > 900
        # Rejecting what 1 % of outliers look like leaves errors a little small.
        assert 0.9 < np.sqrt(np.mean(np.square(score[model][known]))) < 1.25


def test_cells_far_from_any_track_are_missing_and_not_zero(fitted: zarr.Group) -> None:
    x, y = (stored.read(fitted, name) for name in ("x_grid", "y_grid"))
    pixels = np.isfinite(stored.read(fitted, "fitted_rate")[0])
    at = np.meshgrid(stored.read(fitted, "x_pixel"), stored.read(fitted, "y_pixel"))
    places = shapely.MultiPoint(np.stack([axis[pixels] for axis in at], axis=1))
    nodes = shapely.points(*np.meshgrid(x, y))

    missing = np.isnan(stored.read(fitted, "elevation_rate_measured")[0])

    np.testing.assert_array_equal(missing, shapely.distance(nodes, places) > 25e3)
    assert 0.02 < missing.mean() < 0.9


def test_the_unseen_middle_takes_the_end_within_25_km(fitted: zarr.Group) -> None:
    """Between 348 and 402 km nothing is measured; off the ice all is zero."""
    x, y = (stored.read(fitted, name) for name in ("x_grid", "y_grid"))
    rates = stored.read(fitted, "elevation_rate")

    for reach, planted in (((370e3, 375e3), SINKING), ((375e3, 380e3), RISING)):
        np.testing.assert_allclose(rates[:, inside(x, y, reach)], planted, atol=0.02)
    on_ice = stored.read(fitted, "is_grounded") > 0
    assert on_ice.sum() == 24 * 12
    assert (rates[:, ~on_ice] == 0.0).all()


def test_heights_after_the_period_do_not_count(fitted: zarr.Group) -> None:
    """The last pass runs past midnight, when the surface jumps by 300 m: 50 m/yr, were it used."""
    assert np.nanmax(np.abs(stored.read(fitted, "fitted_rate"))) < 1.7


def test_granules_after_the_period_are_not_read(document: Document, tmp_path: Path) -> None:
    document["period"] = [PERIOD[0], "2016-12-31"]

    assert len(plan_of(document, tmp_path).inputs) == 2 * len(PASSES) + 3


def test_the_total_is_the_mass_of_the_cells(fitted: zarr.Group) -> None:
    mixing, basis = (stored.read(fitted, n) for n in ("mixing", "region_mass_rate_basis"))
    members = mixing @ basis
    x, y = (stored.read(fitted, name) for name in ("x_grid", "y_grid"))
    at = pyproj.Transformer.from_crs(3031, 4326, always_xy=True).transform(*np.meshgrid(x, y))
    area = 5e3**2 / pyproj.Proj(3031).get_factors(*at).areal_scale
    volume = np.tensordot(stored.read(fitted, "elevation_rate"), area, axes=2)

    expected = np.concatenate([910.0 * volume, 650.0 * volume])

    # The areal scale at the centre of a cell of 5 km: 1e-7.
    np.testing.assert_allclose(members[:, -1], expected, rtol=1e-6)


def test_a_corrupt_granule_fails_its_tiles_only(
    catalogue: Path, fitted: zarr.Group, document: Document, tmp_path: Path, workers: str
) -> None:
    passes = sorted((catalogue.parent / "passes").glob("*.nc"))
    added("elevation-rate", passes, catalogue, "damaged")
    document["inputs"]["elevation_rate"] = "damaged"
    store = next((catalogue / "damaged").glob("*_02_00003_C001/*.zarr"))
    for path in (each for each in (store / "elevation" / "c").rglob("*") if each.is_file()):
        path.write_bytes(b"no chunk")

    outcome = plan_of(document, tmp_path).execute(workers)

    failed = {key.partition("@")[0]: reason for key, reason in outcome.failures}
    assert set(failed) == {"fit/0-1", "fit/1-1"}
    assert all("its values cannot be read" in reason for reason in failed.values())
    assert all("_02_00003_C001" in reason for reason in failed.values())
    assert outcome.left == 0
    group = zarr.open_group(str(tmp_path / "out" / "product.zarr"), mode="r")
    whole, part = (stored.read(each, "fitted_rate") for each in (fitted, group))
    west = stored.read(group, "x_pixel") < 375e3
    np.testing.assert_array_equal(part[..., west], whole[..., west])
    assert np.isnan(part[..., ~west]).all()
    assert np.isfinite(stored.read(group, "region_mass_rate")).all()
    filled = {r.region: r for r in rows(tmp_path / "out") if r.quantity == "filled_fraction"}
    assert filled["1"].value < 0.05 < filled["2"].value
    receipts = map(json.loads, (tmp_path / "out" / "receipts.jsonl").read_text().splitlines())
    assert {r["key"].partition("@")[0] for r in receipts if r["state"] == "failed"} == set(failed)


def test_a_surface_without_a_dem_is_fitted_by_the_other_three(
    document: Document, tmp_path: Path
) -> None:
    del document["inputs"]["surface_elevation"]

    with pytest.raises(InputError, match=r"'M1' subtracts a DEM.*keep models \[M2, M3, M4\]"):
        plan_of(document, tmp_path)

    fits = changed(document["altimetry"], fits={"models": ["M2", "M3", "M4"]})
    assert len(plan_of(changed(document, altimetry=fits), tmp_path).stages[0].keys) > 1


def test_too_few_points_are_missing_and_end_the_run(document: Document, tmp_path: Path) -> None:
    fits = changed(document["altimetry"], fits={"least_points": 5000})

    with pytest.raises(KeyFailed, match="none of the 288 pixels on the ice"):
        worked(plan_of(changed(document, altimetry=fits), tmp_path))


def test_granules_and_gridded_rates_are_not_mixed(
    catalogue: Path, elevation_files: AltimetryFiles, document: Document, tmp_path: Path
) -> None:
    added("elevation-rate", [elevation_files.elevation_rate[0]], catalogue, "rates")
    document["inputs"]["elevation_rate"] = ["passes", "rates"]

    with pytest.raises(InputError, match="kinds elevation and elevation-rate, expected one"):
        plan_of(document, tmp_path)


def test_granules_that_miss_the_ice_are_refused(
    catalogue: Path, document: Document, tmp_path: Path
) -> None:
    far = [write_pass(tmp_path, PASSES[i], (2.0e6, 2.01e6), seed=90 + i) for i in (0, 11)]
    added("elevation-rate", far, catalogue, "far")
    document["inputs"]["elevation_rate"] = "far"

    with pytest.raises(InputError, match="no granule crosses the grounded ice"):
        plan_of(document, tmp_path)
