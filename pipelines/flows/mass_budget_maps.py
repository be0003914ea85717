"""Continental maps of speed, a year at a time: for pictures of how the ice's speed changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import gate_reading
from pipelines.flows.mass_budget_velocity import candidate_at, map_over_true
from pipelines.kernels.budget import velocity
from pipelines.lifecycle import MIB, Stage
from stac import contracts

if TYPE_CHECKING:
    import pystac
    import xarray as xr
    import zarr

    from pipelines.flows.mass_budget_arrays import Layout
    from pipelines.flows.mass_budget_inputs import MassBudgetInputs
    from pipelines.flows.mass_budget_years import Calendar, Sampled

FLOAT = NDArray[np.float64]

MARGIN_M = 100_000.0
"""How far a map reaches beyond the grounded ice, to show shelves [m]."""


def axes(grounded: pystac.Item, spacing_km: float) -> tuple[FLOAT, FLOAT]:
    """Return cell centres of the map around the grounded ice [m]; none if no map is wanted."""
    if spacing_km == 0.0:
        return np.empty(0), np.empty(0)
    step = 1000.0 * spacing_km
    bounds = contracts.open_regions(grounded).total_bounds
    low = np.floor((bounds[:2] - MARGIN_M) / step) * step
    high = np.ceil((bounds[2:] + MARGIN_M) / step) * step
    x, y = (np.arange(low[i] + step / 2.0, high[i], step) for i in (0, 1))
    return x, y[::-1].copy()


def stages(found: MassBudgetInputs, calendar: Calendar, layout: Layout) -> tuple[Stage, ...]:
    """Return the stage that makes the maps of the first mosaic; none if no map is wanted."""
    if not layout.x.size:
        return ()
    keys = tuple(f"speed/{t}" for t in range(len(calendar.years)))
    size = 8 * layout.x.size * layout.y.size
    about = "one map of velocity at the cells of the picture"
    job = SpeedJob(calendar)
    seconds = 1.0 + 2e-6 * layout.x.size * layout.y.size * len(found.mosaics[0].layers)
    return (Stage("maps", keys, job, 24 * size + 192 * MIB, seconds, about),)


@dataclass(frozen=True)
class SpeedJob:
    """``speed/3``: ice speed of one year on the map, gaps filled as at the gates."""

    calendar: Calendar

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the year; only cells that hold a layer's own values are averaged."""
        number = int(key.partition("/")[2])
        x, y = stored.read(group, "x"), stored.read(group, "y")
        at_x, at_y = (each.ravel() for each in np.meshgrid(x, y))
        scale = map_over_true(at_x, at_y)
        candidates = self.calendar.candidates[0][number]
        made = []
        for candidate in candidates:
            read = {
                i: _velocity(self.calendar.sampled[i], at_x, at_y, scale) for i in candidate.maps
            }
            made.append(candidate_at(read, candidate, self.calendar.years[number].middle))
        filled = velocity.fill([(each["v_x"], each["v_y"]) for each in made])
        speed = np.hypot(filled.v_x, filled.v_y).reshape(len(y), len(x))
        stored.write(group, "speed", speed.astype("float32"), number)
        return Receipt(key, "done")


def _velocity(each: Sampled, x: FLOAT, y: FLOAT, scale: FLOAT) -> dict[str, FLOAT]:
    """Return both components of a map at points, in metres on the ground."""

    def choose(data: xr.Dataset) -> dict[str, FLOAT]:
        fields = {name: data[name] for name in ("v_x", "v_y")}
        axes_of = data.x.values, data.y.values
        return gate_reading.sample(fields, *axes_of, x, y, method="bilinear")

    found = each.map.source.read(choose)
    if each.map.frame == "map":
        found = {name: velocity.to_ground(v, scale) for name, v in found.items()}
    return found
