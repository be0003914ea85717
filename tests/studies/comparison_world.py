"""One seed of a small synthetic Antarctica, measured by every method and compared, in memory."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely
import yaml
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore

from pipelines import settings, stored
from pipelines.flows import comparison, comparison_arrays, comparison_inputs, regions
from pipelines.flows.catalogue_inputs import Source, source_of
from pipelines.flows.finished_products import ProductSource
from pipelines.geometry import margins
from pipelines.kernels import geodesy
from pipelines.kernels.constants import KG_PER_GT
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation_files import write_altimetry
from pipelines.worlds.gravity_files import write_gravity
from pipelines.worlds.mass_budget_files import write_mass_budget
from stac import boundaries, contracts
from stac.catalogue import open_catalogue
from tests.pipelines.flows import budget_world, conftest

FLOAT = NDArray[np.float64]

YEARS, FIRST = 3, 2011
PERIOD = (dt.date(FIRST, 7, 1), dt.date(FIRST + YEARS, 6, 30))
"""Whole ice years, over which the weather of the synthetic snow has no anomaly."""

DEGREE, RESULT_DEGREE = 60, 120
ALTIMETRY_DEGREE = 340
"""Of altimetry, which tells what gravimetry does not see: to degree 120 it sees no more."""
SPACING_KM, VELOCITY_KM = 20.0, 10.0
METHODS = ("gravimetry", "altimetry", "mass_budget")


@dataclass(frozen=True)
class InMemory:
    """A product that was never stored."""

    group: zarr.Group

    def open(self) -> zarr.Group:
        """Return its arrays."""
        return self.group


@dataclass(frozen=True)
class Seed:
    """A world and the files of its observations, catalogued.

    Attributes
    ----------
    number : int
    folder : Path
    world : Antarctica
    """

    number: int
    folder: Path
    world: Antarctica

    @property
    def catalogue(self) -> Path:
        """Where the catalogue is."""
        return self.folder / "catalogue"

    def truth(self) -> dict[str, float]:
        """Return the true rate of every basin and group [Gt yr⁻¹]."""
        rates = self.world.basin_mass_rates()
        groups = regions.groups_of(self.polygons())
        basins = {each: float(rates[each]) for each in self.polygons().region}
        return basins | {name: sum(basins[each] for each in ids) for name, ids in groups.items()}

    def polygons(self) -> Any:
        """Return the basins."""
        return contracts.open_regions(self.source("basins").item())

    def source(self, collection: str) -> Source:
        """Return the only item of a collection."""
        return source_of(next(iter(open_catalogue(str(self.catalogue)).search(collection))))


def make(number: int, folder: Path) -> Seed:
    """Write and catalogue what all methods measure of one world."""
    made = Seed(number, folder, Antarctica(seed=number))
    gravity = write_gravity(made.world, folder / "gravity", start=f"{FIRST}-07",
                            months=12 * YEARS, j_max=DEGREE)  # fmt: skip
    (folder / "elevation").mkdir()
    elevation = write_altimetry(made.world, folder / "elevation", seed=number,
                                spacing_km=SPACING_KM, period=PERIOD)  # fmt: skip
    budget = write_mass_budget(made.world, folder / "budget", seed=number,
                               spacing_km=VELOCITY_KM, first_year=FIRST, years=YEARS)  # fmt: skip
    conftest.fill(made.catalogue, gravity)
    for kind, (part, collection) in conftest.ELEVATION.items():
        conftest.added(kind, list(getattr(elevation, part)), made.catalogue, collection)
    for collection, (kind, part) in budget_world.COLLECTIONS.items():
        budget_world.add(made.catalogue, collection, kind, *getattr(budget, part))
    return made


def documents(seed: Seed, *, gia: str = "gia") -> dict[str, dict[str, Any]]:
    """Return the run files of the three methods."""
    catalogue, period = str(seed.catalogue), [day.isoformat() for day in PERIOD]
    changed = functools.partial(conftest.changed, period=period, catalogue=catalogue)
    budget = budget_world.BudgetWorld(seed.folder, cast("Any", None)).document("mass_budget")
    return {
        "gravimetry": changed(
            conftest.run_document(catalogue, "gravimetry"),
            inputs={"gia": [gia]},
            gravimetry={"j_max": DEGREE, "result_degree": RESULT_DEGREE, "mask": {"degree": 60},
                        "members": 30, "map": {"spacing_km": 400}},
        ),
        "altimetry": changed(
            conftest.altimetry_document(catalogue, "altimetry"),
            altimetry={"j_max": ALTIMETRY_DEGREE, "map": {"spacing_km": 400}},
        ),
        "mass_budget": changed(
            budget,
            mass_budget={
                "epochs": [], "mean": "years",
                "uncertainty": {"velocity_sigma_m_per_yr": 8, "surface_mass_balance": 0.05,
                                "elevation_rate_sigma_m_per_yr": 0.1, "dynamic_volume": 0,
                                "members": 0},
            },
        ),
    }  # fmt: skip


def product(
    seed: Seed, document: dict[str, Any], *, break_it: Any = None
) -> comparison_inputs.Method:
    """Work on a product in memory; ``break_it(seed, group, stage)`` may spoil it between stages."""
    name = document["product"]
    run = settings.read(conftest.write_document(seed.folder, document, f"{name}.yaml"))
    plan = conftest.PLANNERS[name](run)
    group = zarr.open_group(MemoryStore(), mode="w")
    plan.template(group)
    for stage in plan.stages:
        for key in stage.keys:
            if not key.startswith("map/"):
                stage.job(key, group)  # type: ignore[operator]
        if break_it is not None:
            break_it(seed, group, stage.name)
    source = cast("ProductSource", InMemory(group))
    described = yaml.safe_load(settings.resolved(run))
    return comparison_inputs.Method(name, name, source, described, True, *PERIOD)


def compare(
    seed: Seed, methods: list[comparison_inputs.Method], *, causes: bool = False,
    gia: tuple[str, ...] = (),
) -> zarr.Group:  # fmt: skip
    """Return the arrays of a comparison of the methods."""
    table = seed.polygons()
    ground = comparison_inputs.Ground(seed.source("basins"), None, *PERIOD)
    found = comparison_inputs.ComparisonInputs(
        items=(), sources=(), ground=ground, methods=tuple(methods), damage=(), shelves=None,
        gia=tuple(seed.source(each) for each in gia), regions=cast("Any", None),
        rows=regions.region_names(table)[:-1], regions_count=len(table),
    )  # fmt: skip
    document = {
        "product": "comparison", "catalogue": str(seed.catalogue), "output": "comparison",
        "period": [day.isoformat() for day in PERIOD], "regions": "basins",
        "inputs": {name: [name] for name in METHODS},
        "comparison": {"rate": "mean", "mask_share": 0.02 if causes else 0.0},
    }  # fmt: skip
    run = settings.read(conftest.write_document(seed.folder, document, "comparison.yaml"))
    layout = comparison.layout_of(run, found)
    group = zarr.open_group(MemoryStore(), mode="w")
    comparison_arrays.create(group, layout=layout)
    for stage in comparison.stages_of(run, found, layout):
        for key in stage.keys:
            stage.job(key, group)  # type: ignore[operator]
    return group


def without_gate_correction(seed: Seed, group: zarr.Group, stage: str) -> None:
    """Forget the snow between gate and grounding line, once months are summed."""
    if stage == "sources":
        held = stored.read(group, "record_sliver_smb")
        stored.write(group, "record_sliver_smb", np.zeros_like(held))


def on_wider_mask(seed: Seed, group: zarr.Group, stage: str, *, share: float = 0.02) -> None:
    """Add the snow of a rim outside the grounding line, as a mask too wide by a share would."""
    if stage == "sources":
        held = stored.read(group, "record_smb")
        whole = np.array([seed.world.basin_surface_mass_balance()[each]
                          for each in seed.polygons().region])  # fmt: skip
        wider = held * (1.0 + rim_snow(seed, share=share) / whole)
        stored.write(group, "record_smb", wider)


def rim_snow(seed: Seed, *, share: float) -> FLOAT:
    """Return the snow [Gt yr⁻¹] on a rim inside the coast of each basin, by its own quadrature."""
    table = seed.polygons()
    inner = margins.narrowed(boundaries.union(table), share=share)
    step = 4_000.0
    found = []
    for shape in table.geometry.difference(inner):
        west, south, east, north = shape.bounds
        x, y = np.meshgrid(np.arange(west, east, step), np.arange(south, north, step))
        inside = shapely.contains_xy(shape, x.ravel(), y.ravel())
        x, y = x.ravel()[inside], y.ravel()[inside]
        area = geodesy.cell_areas(x, y, step)
        found.append(float((seed.world.accumulation(x, y) * area).sum()) / KG_PER_GT)
    return np.array(found)


def rates(group: zarr.Group) -> tuple[dict[str, FLOAT], dict[str, FLOAT]]:
    """Return rates and standard deviations by method and combined, by row [Gt yr⁻¹]."""
    value = stored.read(group, "mass_rate") / KG_PER_GT
    spread = np.einsum("mrr->mr", stored.read(group, "mass_rate_covariance"))
    sigma = np.sqrt(spread) / KG_PER_GT
    names = str(group["method"].attrs["flag_meanings"]).split()
    both = (
        {name: value[m] for m, name in enumerate(names)},
        {name: sigma[m] for m, name in enumerate(names)},
    )
    for number, name in enumerate(("combined", "imbie")):
        both[0][name] = stored.read(group, "combined", number) / KG_PER_GT
        both[1][name] = stored.read(group, "combined_sigma", number) / KG_PER_GT
    return both


def causes(group: zarr.Group) -> dict[str, float]:
    """Return the evidence of every cause, the most likely first."""
    names = str(group["cause"].attrs["flag_meanings"]).split()
    held, prior = (stored.read(group, name) for name in ("cause_evidence", "cause_prior"))
    order = np.argsort(-np.nan_to_num(held + prior, nan=-np.inf))
    return {names[n]: float(held[n]) for n in order}
