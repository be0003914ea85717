"""One small synthetic world, ingested once, run files on it, and its products, finished once."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import yaml
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from cluster import dask_cluster
from pipelines import settings, tables
from pipelines.flows import altimetry, combination, gravimetry, mass_budget
from pipelines.lifecycle import Plan
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_files import AltimetryFiles, write_altimetry
from pipelines.worlds.gravity_files import WrittenGravity, write_gravity
from stac.ingest import ingest
from tests.fixtures import comparison

from . import budget_world

MONTHS, DEGREE = 48, 30
RESULT_DEGREE = 60
SPACING_KM = 40.0
PERIOD = (dt.date(2011, 2, 1), dt.date(2013, 1, 31))
COLLECTIONS = {
    "grace-l2": ("gravity", "months"),
    "degree-one": ("degree_one", "degree-one"),
    "low-degrees": ("low_degrees", "low-degrees"),
    "love-numbers": ("love_numbers", "love"),
    "gia": ("gia", "gia"),
    "basins": ("basins", "basins"),
    "boundaries": ("grounded", "grounded"),
}
ELEVATION = {
    "elevation-rate": ("elevation_rate", "rates"),
    "surface-processes": ("surface_processes", "firn"),
    "velocity": ("velocity", "velocity"),
}
PLANNERS = {
    "gravimetry": gravimetry.plan,
    "altimetry": altimetry.plan,
    "combination": combination.plan,
    "mass_budget": mass_budget.plan,
}

GEOCENTRIC = (1.0 - 1.0 / 298.257223563) ** 2
"""(b / a)² of WGS84: tangent of geocentric over tangent of geodetic latitude."""

WriteRun = Callable[..., Path]
Document = dict[str, Any]


@pytest.fixture(scope="session")
def world() -> Antarctica:
    return Antarctica(seed=1)


@pytest.fixture(scope="session")
def written(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> WrittenGravity:
    folder = tmp_path_factory.mktemp("written")
    return write_gravity(world, folder, start="2011-02", months=MONTHS, j_max=DEGREE)


def added(kind: str, sources: list[Path], catalogue: Path, collection: str) -> None:
    """Ingest files that are all new and good."""
    paths = [str(path) for path in sources]
    found = list(ingest(kind, paths, catalogue=str(catalogue), collection=collection))
    assert [done.state for done in found] == ["added"] * len(paths), [d.reason for d in found]


def fill(catalogue: Path, written: WrittenGravity) -> None:
    for kind, (part, collection) in COLLECTIONS.items():
        added(kind, list(getattr(written, part)), catalogue, collection)


@pytest.fixture(scope="session")
def catalogue(written: WrittenGravity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalogue")
    fill(folder, written)
    return folder


@pytest.fixture(scope="session")
def elevation_files(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> AltimetryFiles:
    folder = tmp_path_factory.mktemp("elevation")
    return write_altimetry(world, folder, spacing_km=SPACING_KM, period=PERIOD)


def fill_altimetry(catalogue: Path, files: AltimetryFiles, written: WrittenGravity) -> None:
    """Catalogue what an altimetry run reads, polygons among it."""
    for kind, (part, collection) in ELEVATION.items():
        added(kind, list(getattr(files, part)), catalogue, collection)
    for kind in ("basins", "boundaries"):
        part, collection = COLLECTIONS[kind]
        added(kind, list(getattr(written, part)), catalogue, collection)


@pytest.fixture(scope="session")
def altimetry_catalogue(
    elevation_files: AltimetryFiles,
    written: WrittenGravity,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("altimetry_catalogue")
    fill_altimetry(folder, elevation_files, written)
    return folder


def run_document(catalogue: str, output: str) -> Document:
    return {
        "product": "gravimetry",
        "catalogue": catalogue,
        "output": output,
        "period": ["2011-02-01", "2015-01-31"],
        "regions": "basins",
        "inputs": {
            "gravity": "months",
            "degree_one": "degree-one",
            "low_degrees": "low-degrees",
            "love_numbers": "love",
            "gia": ["gia"],
            "grounded_ice": "grounded",
        },
        "gravimetry": {
            "j_max": DEGREE,
            "result_degree": RESULT_DEGREE,
            "mask": {"degree": 60},
            "members": 12,
            "region_spacing_km": 10,
            "map": {"spacing_km": 160},
            "batch": 8,
        },
    }


def altimetry_document(catalogue: str, output: str) -> Document:
    """Return a run file of altimetry: all 112 members, to degree 60 on cells of 0.5°."""
    return {
        "product": "altimetry",
        "catalogue": catalogue,
        "output": output,
        "period": [day.isoformat() for day in PERIOD],
        "regions": "basins",
        "inputs": {
            "elevation_rate": "rates",
            "grounded_ice": "grounded",
            "velocity": "velocity",
            "surface_processes": "firn",
        },
        "altimetry": {
            "j_max": RESULT_DEGREE,
            "cells": {"step_degrees": 0.5, "north": -58},
            "region_spacing_km": 10,
            "map": {"spacing_km": 160},
            "batch": 32,
        },
    }


def combination_document(catalogue: str, output: str, *, products: Path) -> Document:
    """Return a run file that combines the products below a folder, gravimetry to degree 30."""
    return {
        "product": "combination",
        "catalogue": catalogue,
        "output": output,
        "period": [day.isoformat() for day in PERIOD],
        "regions": "basins",
        "inputs": {
            "gravimetry": str(products / "gravimetry"),
            "altimetry": str(products / "altimetry"),
            "grounded_ice": "grounded",
        },
        "combination": {
            "taper": {"degree": DEGREE, "width": 3},
            "members": {"highest_degree": DEGREE},
            "contribution_degrees": [10, 30, 60],
            "map": {"spacing_km": 160},
            "transect_spacing_km": 100,
            "batch": 32,
        },
    }


@pytest.fixture(scope="session")
def budget(world: Antarctica, tmp_path_factory: pytest.TempPathFactory) -> budget_world.BudgetWorld:
    return budget_world.made(world, tmp_path_factory.mktemp("mass_budget"))


def changed(document: Document, **changes: object) -> Document:
    """Return a run file with sections replaced, or added to where both are mappings."""
    merged = dict(document)
    for key, value in changes.items():
        held = document.get(key)
        both = isinstance(held, dict) and isinstance(value, dict)
        merged[key] = {**held, **value} if both else value  # type: ignore[dict-item]
    return merged


def write_document(folder: Path, document: Document, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def write_run(catalogue: Path, tmp_path: Path) -> WriteRun:
    """Write a run file; keyword arguments replace or add sections."""

    def write(name: str = "run.yaml", *, output: str = "out", **changes: object) -> Path:
        return write_document(
            tmp_path, changed(run_document(str(catalogue), output), **changes), name
        )

    return write


def plan_of(document: Document, folder: Path) -> Plan:
    """Plan a run file that is written into a folder."""
    run = settings.read(write_document(folder, document, f"{document['product']}.yaml"))
    return PLANNERS[run.product](run)


def worked(plan: Plan, *, before: str | None = None) -> zarr.Group:
    """Do every key of a plan here and in memory, one after the other, up to a stage."""
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)
    for stage in plan.stages:
        if stage.name == before:
            break
        for key in stage.keys:
            stage.job(key, group)
    return group


@pytest.fixture(scope="module")
def workers() -> Iterator[str]:
    """Address of two processes that the runs of a file share."""
    with dask_cluster.connect(None, workers=2) as client:
        yield client.scheduler.address


@dataclass(frozen=True)
class Products:
    """Finished products of the small world, a folder each, with what they were made from."""

    folder: Path
    catalogue: Path

    @property
    def gravimetry(self) -> Path:
        return self.folder / "gravimetry"

    @property
    def altimetry(self) -> Path:
        return self.folder / "altimetry"

    @property
    def combination(self) -> Path:
        return self.folder / "combination"

    def document(self, output: str = "out", **changes: object) -> Document:
        """Return the run file of the combination, with changes."""
        document = combination_document(str(self.catalogue), output, products=self.folder)
        return changed(document, **changes)


def weaker_rebound(path: Path, folder: Path) -> Path:
    """Write a second model of rebound, 0.7 times the first."""
    lines = []
    for line in path.read_text().splitlines():
        cells = line.split("\t")
        if len(cells) == 4 and cells[0].isdigit():
            cells[2:] = [f"{0.7 * float(cell): .8e}" for cell in cells[2:]]
        lines.append("\t".join(cells))
    weaker = folder / "GIA.WEAKER.txt"
    weaker.write_text("\n".join(lines) + "\n")
    return weaker


@pytest.fixture(scope="session")
def products(
    written: WrittenGravity,
    altimetry_catalogue: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Products:
    """All three products, of 12 perturbations × 2 models of rebound and of 112 members."""
    folder = tmp_path_factory.mktemp("products")
    gravity = tmp_path_factory.mktemp("two_rebounds")
    fill(gravity, written)
    added("gia", [weaker_rebound(written.gia[0], folder)], gravity, "gia-weaker")
    done = Products(folder, altimetry_catalogue)
    two_models = changed(
        run_document(str(gravity), "gravimetry"),
        period=[day.isoformat() for day in PERIOD],
        inputs={"gia": ["gia", "gia-weaker"]},
    )
    two_models["gravimetry"]["batch"] = 64
    with dask_cluster.connect(None, workers=2) as client:
        for document in (
            two_models,
            altimetry_document(str(altimetry_catalogue), "altimetry"),
            done.document("combination"),
        ):
            outcome = plan_of(document, folder).execute(client.scheduler.address)
            assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return done


@pytest.fixture(scope="session")
def common(
    products: Products,
    budget: budget_world.BudgetWorld,
    written: WrittenGravity,
    tmp_path_factory: pytest.TempPathFactory,
) -> comparison.Common:
    """What a comparison reads: the three products, a finished mass budget, polygons, damage."""
    done = comparison.Common(tmp_path_factory.mktemp("common"), products.folder)
    comparison.catalogued(done.folder, *written.basins, *written.grounded, *written.gia)
    comparison.write_shelf_damage(done.folder / "shelf_damage")
    outcome = plan_of(budget.document("mass_budget"), done.folder).execute(None)
    assert (outcome.failed, outcome.left) == (0, 0), outcome.failures
    return done


def opened(output: Path) -> zarr.Group:
    """Return the plain copy of a finished product."""
    return zarr.open_group(str(output / "product.zarr"), mode="r")


def labels(group: zarr.Group, name: str) -> list[str]:
    return str(group[name].attrs["flag_meanings"]).split()


def rows(output: Path, name: str = "regions.csv") -> list[tables.Row]:
    return tables.read_rows((output / "tables" / name).read_bytes())


def harmonics_at(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], *, j_max: int
) -> NDArray[np.float64]:
    """Return Y_jm (point, part, degree, order) by SciPy: 4π-normalised, no Condon-Shortley phase.

    The oracle of what our own recursions do.
    """
    from scipy.special import sph_harm_y_all

    theta, phi = np.radians(90.0 - latitude), np.radians(longitude)
    of = sph_harm_y_all(j_max, j_max, theta, phi)[:, : j_max + 1].transpose(2, 0, 1)
    m = np.arange(j_max + 1)
    of = of * np.sqrt(4.0 * np.pi * np.where(m > 0, 2.0, 1.0)) * (-1.0) ** m
    return np.stack([of.real, of.imag], axis=1)


def on_sphere(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return geocentric latitude and longitude by PROJ [degrees]."""
    to_geographic = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = to_geographic.transform(x, y)
    return np.degrees(np.arctan(GEOCENTRIC * np.tan(np.radians(latitude)))), longitude
