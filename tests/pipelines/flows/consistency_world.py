"""A shelf that flows as a closed form says, its damage maps, and its velocity in a catalogue.

Damage is a sum of waves in the frame of the ice, cut at a level, so that a map at any time is what
the closed form makes of the pixels' own places: nothing is resampled. Distances are small to be
quick: cells of 300 m instead of 900 m.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import yaml
import zarr
from numpy.typing import NDArray
from pyproj import CRS

from cluster.zarr_sink import Repository
from pipelines.flows import product_arrays
from pipelines.flows.product_arrays import Array
from stac.ingest import ingest
from stac.pixel_grids import PixelGrid

from .conftest import Document, changed

FLOAT = NDArray[np.float64]
UINT8 = NDArray[np.uint8]
Flow = Callable[[FLOAT, FLOAT, float], tuple[FLOAT, FLOAT]]
"""Places and a time [yr] to places at time 0, or to a velocity."""

GRID = PixelGrid("shelf", "EPSG:3031", 1_200_015.0, 600_015.0, 30.0, nx=330, ny=290)
CHUNK = 64
CELL_M = 300.0
MIDDLE = (GRID.west + 30.0 * GRID.nx / 2, GRID.north - 30.0 * GRID.ny / 2)
DAY = 86_400.0
YEAR = 365.25
UNKNOWN = 255


def seconds(day: str) -> float:
    """Return noon of a day [s since 1970]."""
    return (dt.date.fromisoformat(day).toordinal() - dt.date(1970, 1, 1).toordinal() + 0.5) * DAY


def years_between(first: str, second: str) -> float:
    return (seconds(second) - seconds(first)) / (DAY * YEAR)


def damaged(x: FLOAT, y: FLOAT, *, seed: int = 4) -> NDArray[np.bool_]:
    """Return where ice is damaged that was at a place [m] at time 0: belts 400 to 1300 m wide."""
    rng = np.random.default_rng(seed)
    total = np.zeros(np.broadcast(x, y).shape)
    for _ in range(24):
        angle, wave = rng.uniform(0.0, np.pi), rng.uniform(900.0, 2600.0)
        phase = rng.uniform(0.0, 2.0 * np.pi)
        total += np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wave + phase)
    return total > 3.5


def rotation(x: FLOAT, y: FLOAT, turned: float) -> tuple[FLOAT, FLOAT]:
    """Return places turned about the middle by an angle [rad]."""
    cos, sin = np.cos(turned), np.sin(turned)
    a, b = x - MIDDLE[0], y - MIDDLE[1]
    return MIDDLE[0] + cos * a - sin * b, MIDDLE[1] + sin * a + cos * b


def damage_map(
    origin: tuple[FLOAT, FLOAT] | None = None, *, extent: NDArray[np.bool_] | None = None
) -> UINT8:
    """Return a damage map from where the ice of its pixels was at time 0."""
    x, y = origin if origin is not None else np.meshgrid(GRID.x, GRID.y)
    made = damaged(x, y).astype(np.uint8)
    made[~(disc(4200.0) if extent is None else extent)] = UNKNOWN
    return made


def disc(radius: float, *, east: float = 0.0) -> NDArray[np.bool_]:
    """Return the pixels of a round shelf [m]."""
    x, y = np.meshgrid(GRID.x, GRID.y)
    return np.hypot(x - MIDDLE[0] - east, y - MIDDLE[1]) < radius


def pixels() -> tuple[FLOAT, FLOAT]:
    x, y = np.meshgrid(GRID.x, GRID.y)
    return x, y


@dataclass(frozen=True)
class Held:
    """A summer: its map, the days of its scenes, and which of them supplied each pixel."""

    damage: UINT8
    days: tuple[str, ...]
    supplier: UINT8 | None = None
    published: bool = True
    grid: PixelGrid = GRID


def write_damage(
    output: Path, shelves: Mapping[str, Mapping[int, Held]], *, product: str = "shelf_damage"
) -> Path:
    """Write a finished product of damage maps, as readers of it find it."""

    def template(group: zarr.Group) -> None:
        run = yaml.safe_dump({"product": product, product: {}})
        group.attrs.update(
            {"nunatak:product": product, "nunatak:run": run, "nunatak:region_set": "drawn"}
        )
        for shelf, summers in shelves.items():
            for summer, held in summers.items():
                write_summer(group.require_group(f"{shelf}/{summer}"), shelf, held)

    repository = Repository.open(str(output / "product.icechunk"))
    version = repository.begin("drawn")
    version.initialise(template)
    snapshot = repository.read(version.publish()).session.snapshot_id
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": product, "bbox": [60, -78, 65, -77],
        "geometry": {"type": "Polygon", "coordinates": [
            [[60, -78], [65, -78], [65, -77], [60, -77], [60, -78]]]},
        "properties": {"datetime": "2011-12-05T13:00:00Z", "nunatak:snapshot": snapshot},
        "links": [], "assets": {},
    }  # fmt: skip
    (output / "item.json").write_text(json.dumps(item))
    return output


def write_summer(made: zarr.Group, shelf: str, held: Held) -> None:
    grid = held.grid
    shape = (grid.ny, grid.nx)
    about: dict[str, Any] = {
        "proj:code": grid.code, "spatial:shape": list(shape),
        "spatial:transform": list(grid.transform), "nunatak:name": shelf.title(),
        "nunatak:scenes": json.dumps([
            {"number": n, "label": day, "time": seconds(day), "sensors": ["LE07"]}
            for n, day in enumerate(held.days, start=1)
        ]),
    }  # fmt: skip
    plane = (("y", "x"), shape, (CHUNK, CHUNK), "1", "")
    arrays = (
        Array("damage", *plane, "uint8", UNKNOWN),
        Array("supplier", *plane, "uint8"),
        Array("published", ("one",), (1,), (1,), "1", "", "uint8"),
    )
    product_arrays.create(made, arrays, about)
    supplier = np.ones(shape, np.uint8) if held.supplier is None else held.supplier
    made["damage"][...], made["supplier"][...] = held.damage, supplier
    made["published"][...] = int(held.published)


def write_velocity(
    folder: Path, name: str, v_x: FLOAT | float, v_y: FLOAT | float, *, spacing: float = 450.0
) -> Path:
    """Write a map of velocity [m yr⁻¹]; its name says which product, year and frame it is of."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = velocity_axes(spacing)
    path = folder / f"{name}.nc"
    with netCDF4.Dataset(path, "w") as file:
        for axis, values in (("x", x), ("y", y)):
            file.createDimension(axis, values.size)
            made = file.createVariable(axis, "f8", (axis,))
            made[:] = values
            made.setncatts({"units": "m", "standard_name": f"projection_{axis}_coordinate"})
        file.createVariable("crs", "i4", ()).setncatts(CRS.from_epsg(3031).to_cf())
        for component, values in (("vx", v_x), ("vy", v_y)):
            made = file.createVariable(component, "f8", ("y", "x"))
            whole = np.broadcast_to(values, (y.size, x.size)).copy()
            whole[0, 0] = 900.0  # far from the shelf: a file without speed is refused
            made[:] = whole
            made.setncatts({"units": "m/yr", "grid_mapping": "crs"})
    return path


def velocity_axes(spacing: float = 450.0) -> tuple[FLOAT, FLOAT]:
    """Return cell centres of maps of velocity, 6 km wider than the shelf, y descending [m]."""
    half = 30.0 * max(GRID.nx, GRID.ny) / 2 + 6000.0
    steps = np.arange(-np.ceil(half / spacing), np.ceil(half / spacing) + 1) * spacing
    return MIDDLE[0] + steps, MIDDLE[1] - steps


STATIC = "ITS_LIVE_velocity_120m_RGI19A_0000_v02"


def annual(year: int) -> str:
    return f"ITS_LIVE_velocity_120m_RGI19A_{year}_v02"


def add_velocity(catalogue: Path, collection: str, paths: list[Path]) -> str:
    """Ingest maps of velocity."""
    names = [str(path) for path in paths]
    found = list(ingest("velocity", names, catalogue=str(catalogue), collection=collection))
    assert [each.state for each in found] == ["added"] * len(paths), [e.reason for e in found]
    return collection


def document(catalogue: Path, damage: Path | str, velocity: list[str], **choices: Any) -> Document:
    """Return a run file."""
    made: Document = {
        "product": "consistency", "catalogue": str(catalogue), "output": "out",
        "period": ["2000-01-01", "2020-12-31"],
        "inputs": {"damage": [str(damage)], "velocity": velocity},
        "consistency": {"cell_m": CELL_M, "reach_km": 1.0},
    }  # fmt: skip
    return changed(made, consistency=choices)
