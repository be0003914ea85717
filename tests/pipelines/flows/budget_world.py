"""A coarse synthetic world of a mass budget: its files, their catalogue, and run files on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from pipelines import stored
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.boundary_files import write_polygons
from pipelines.worlds.mass_budget_files import BudgetFiles, write_mass_budget
from stac.ingest import ingest

FLOAT = NDArray[np.float64]
Document = dict[str, Any]

SPACING_KM, FIRST_YEAR, YEARS = 20.0, 2011, 3
LABELS = ("2011-2012", "2012-2013", "2013-2014")
DENSITY, DENSITY_SIGMA = 917.0, 5.0

COLLECTIONS = {
    "annual": ("velocity", "velocity_annual"),
    "central": ("velocity", "velocity_central"),
    "its-live": ("velocity", "velocity_filler"),
    "phase": ("velocity", "velocity_phase"),
    "bed-3": ("thickness", "thickness"),
    "bed-2": ("thickness", "thickness_other"),
    "gate": ("gates", "gates"),
    "racmo": ("surface-mass-balance", "surface_mass_balance"),
    "era5": ("surface-mass-balance", "reanalysis"),
    "thinning": ("elevation-rate", "thinning"),
}

PAPER = {
    "name": "paper",
    "layers": [
        {"collection": "annual"},
        {"collection": "central", "use": "trend"},
        {"collection": "its-live", "use": "year", "sampling": "nearest", "before": 2013},
        {"collection": "phase", "use": "static"},
    ],
}
PLAIN = {
    "name": "plain",
    "layers": [{"collection": "annual"}, {"collection": "phase", "use": "static"}],
}


@dataclass(frozen=True)
class BudgetWorld:
    """Where the world's files and their catalogue are."""

    folder: Path
    files: BudgetFiles

    @property
    def catalogue(self) -> Path:
        return self.folder / "catalogue"

    def document(self, output: str = "out") -> Document:
        """Return the run file of the paper's order on all inputs, gates cut every 5 km."""
        return {
            "product": "mass_budget",
            "catalogue": str(self.catalogue),
            "output": output,
            "period": ["2011-02-01", "2014-12-31"],
            "regions": "basins",
            "inputs": {
                "velocity": ["annual", "central", "its-live", "phase"],
                "thickness": ["bed-3"],
                "gates": ["gate"],
                "grounded_ice": "grounded",
                "surface_mass_balance": ["racmo"],
                "reanalysis": "era5",
                "elevation_rate": "thinning",
            },
            "mass_budget": {
                "mosaics": [PAPER],
                "gates": {"spacing_km": 5.0},
                "uncertainty": {
                    "velocity_sigma_m_per_yr": 8,
                    "surface_mass_balance": 0.05,
                    "members": 0,
                },
                "epochs": [
                    {"name": "early", "years": ["2011-2012"], "weights": [3.0]},
                    {"name": "late", "years": ["2012-2013", "2013-2014"], "weights": [1.0, 3.0]},
                ],
                "mean": "epochs",
                "map": {"spacing_km": 0},
                "nodes_per_task": 8192,
            },
        }


def add(catalogue: Path, collection: str, kind: str, *sources: Path) -> None:
    """Ingest files that are all new and good."""
    found = list(
        ingest(kind, [str(p) for p in sources], catalogue=str(catalogue), collection=collection)
    )
    assert [done.state for done in found] == ["added"] * len(sources), [d.reason for d in found]


def made(world: Antarctica, folder: Path) -> BudgetWorld:
    """Write the world and catalogue it."""
    files = write_mass_budget(
        world, folder, spacing_km=SPACING_KM, years=YEARS, first_year=FIRST_YEAR
    )
    done = BudgetWorld(folder, files)
    for collection, (kind, part) in COLLECTIONS.items():
        add(done.catalogue, collection, kind, *getattr(files, part))
    basins = write_polygons(world.basins(), folder / "basins.gpkg")
    grounded = write_polygons(world.grounded(), folder / "grounded.gpkg")
    add(done.catalogue, "basins", "basins", basins)
    add(done.catalogue, "grounded", "boundaries", grounded)
    return done


def arrays_of(group: zarr.Group) -> dict[str, NDArray[Any]]:
    """Return every array of a product, whole."""
    return {name: np.asarray(stored.array(group, name)[...]) for name in sorted(group.array_keys())}


def differing(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the names of arrays that are not the same bits."""
    assert one.keys() == other.keys()
    return [name for name in one if one[name].tobytes() != other[name].tobytes()]


def field(path: Path, *names: str) -> list[xr.DataArray]:
    """Return fields of a file as written, fillers as NaN, y ascending."""
    with xr.open_dataset(path) as data:
        return [data[name].sortby("y").load().astype("float64") for name in names]
