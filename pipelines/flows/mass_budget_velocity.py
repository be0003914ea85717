"""Velocity and thickness at the nodes: maps are read around the gates alone, then made complete.

Gaps are filled after sampling: 0.3 % of a map's cells touch a gate, so no continental mosaic is
built for a flux. Sampled velocities are in metres on the ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import gate_reading
from pipelines.kernels import geodesy
from pipelines.kernels.budget import velocity

if TYPE_CHECKING:
    import xarray as xr
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.flows.mass_budget_years import Calendar, Candidate, Sampled

FLOAT = NDArray[np.float64]

Method = Literal["bilinear", "nearest"]

MOVING, ENOUGH = 50.0, 100
"""Speed of ice by which layers are compared [m yr⁻¹], and at how many nodes at least."""

COMPONENTS = ("v_x", "v_y", "v_x_sigma", "v_y_sigma")


@dataclass(frozen=True)
class SampleJob:
    """``sample/3``: all maps and beds at one block of nodes, each touched chunk read once."""

    sampled: tuple[Sampled, ...]
    beds: tuple[Source, ...]
    per_task: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the block of every map and bed."""
        block = block_of(key, self.per_task)
        x, y = (stored.read(group, f"node_{axis}", block) for axis in ("x", "y"))
        scale = map_over_true(x, y)
        written = {
            f"map_{name}": np.full((len(self.sampled), len(x)), np.nan, "float32")
            for name in COMPONENTS
        }
        for i, each in enumerate(self.sampled):
            found = _sample(each.map.source, COMPONENTS, x, y, method=each.sampling)
            if each.map.sigma_kind != "absolute":
                found = {name: v for name, v in found.items() if not name.endswith("sigma")}
            for name, values in found.items():
                on_map = each.map.frame == "map"
                written[f"map_{name}"][i] = velocity.to_ground(values, scale) if on_map else values
        beds = ("thickness", "thickness_sigma")
        written |= {name: np.full((len(self.beds), len(x)), np.nan, "float32") for name in beds}
        for i, source in enumerate(self.beds):
            for name, values in _sample(source, beds, x, y, method="bilinear").items():
                written[name][i] = values
        for name, values in written.items():
            stored.write(group, name, values, (slice(None), block))
        inputs = (*(each.map.source.id for each in self.sampled), *(s.id for s in self.beds))
        return Receipt(key, "done", inputs=tuple(dict.fromkeys(inputs)))


def _sample(
    source: Source, names: tuple[str, ...], x: FLOAT, y: FLOAT, *, method: Method
) -> dict[str, FLOAT]:
    """Return the fields of one item at nodes, those that it has; NaN where it has no value."""

    def choose(data: xr.Dataset) -> dict[str, FLOAT]:
        arrays = {name: data[name] for name in names if name in data}
        return gate_reading.sample(arrays, data.x.values, data.y.values, x, y, method=method)

    return source.read(choose)


def map_over_true(x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the scale factor of EPSG:3031 at points [1]."""
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    return geodesy.map_scale(latitude)


@dataclass(frozen=True)
class MosaicJob:
    """``mosaic/0/3``: the velocity of every year at one block of nodes, gaps filled in order."""

    calendar: Calendar
    sigma: float
    per_task: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the block of one mosaic."""
        number = int(key.split("/")[1])
        block = block_of(key, self.per_task)
        maps = {name: stored.read(group, f"map_{name}", (slice(None), block))
                for name in COMPONENTS}  # fmt: skip
        for name in ("v_x_sigma", "v_y_sigma"):
            maps[name] = np.where(np.isnan(maps[name]), self.sigma, maps[name])
        by_map = [{name: maps[name][i] for name in COMPONENTS} for i in range(len(maps["v_x"]))]
        years = self.calendar.years
        filled = {name: np.full((len(years), maps["v_x"].shape[1]), np.nan) for name in COMPONENTS}
        layers = np.zeros(filled["v_x"].shape, "int8")
        errors = np.zeros(layers.shape, "int32")
        said: set[str] = set()
        for t, candidates in enumerate(self.calendar.candidates[number]):
            made = [candidate_at(by_map, c, years[t].middle) for c in candidates]
            if not made:
                continue
            said |= set(_odd_speeds(made, candidates))
            v_x, v_y, source = velocity.fill([(each["v_x"], each["v_y"]) for each in made])
            filled["v_x"][t], filled["v_y"][t] = v_x, v_y
            for name in ("v_x_sigma", "v_y_sigma"):
                spread = np.stack([each[name] for each in made])
                filled[name][t] = np.where(
                    source >= 0, np.take_along_axis(spread, np.maximum(source, 0)[None], 0)[0],
                    np.nan,
                )  # fmt: skip
            numbers = np.array([c.layer for c in candidates], "int8")
            layers[t] = np.where(source >= 0, numbers[np.maximum(source, 0)], 0)
            shared = np.array([_shared_errors(c) for c in candidates], "int32")
            errors[t] = np.where(source >= 0, shared[np.maximum(source, 0)], 0)
        written = filled | {"velocity_source": layers, "velocity_map": errors}
        for name, values in written.items():
            stored.write(group, name, values, (number, slice(None), block))
        return Receipt(key, "done", note="; ".join(sorted(said)))


def _odd_speeds(
    made: Sequence[Mapping[str, FLOAT]], candidates: Sequence[Candidate]
) -> Iterator[str]:
    """Yield which layers move at another rate than the first where both have ice that moves."""
    speeds = [np.hypot(each["v_x"], each["v_y"]) for each in made]
    for speed, candidate in zip(speeds[1:], candidates[1:], strict=True):
        both = (speeds[0] > MOVING) & np.isfinite(speed)
        if both.sum() < ENOUGH:
            continue
        ratio = float(np.median(speed[both] / speeds[0][both]))
        if not 0.5 < ratio < 2.0:
            yield (
                f"layer {candidate.layer} moves {ratio:.3g} times as fast as layer "
                f"{candidates[0].layer} at the same nodes: is its unit right?"
            )


def _shared_errors(candidate: Candidate) -> int:
    """Return a number, from 1, for what a candidate's errors come from: its latest map."""
    return 1 + candidate.maps[-1]


def candidate_at(
    maps: Mapping[int, Mapping[str, FLOAT]] | Sequence[Mapping[str, FLOAT]],
    candidate: Candidate,
    year: float,
) -> dict[str, FLOAT]:
    """Return what a candidate gives at some points: a map, or a line in time through two.

    Parameters
    ----------
    maps : mapping or sequence of mapping
        By number of the map: components, and their spreads where they are wanted, shape (n,).
    candidate : Candidate
        Which maps.
    year : float
        Time of the line [decimal year].
    """
    if len(candidate.maps) == 1:
        return dict(maps[candidate.maps[0]])
    first, last = (maps[number] for number in candidate.maps)
    year_a, year_b = candidate.years
    line = {
        name: velocity.trend(first[name], last[name], year_a=year_a, year_b=year_b, year=year)
        for name in ("v_x", "v_y")
    }
    weight = (year - year_a) / (year_b - year_a)
    spread = {
        name: np.hypot((1.0 - weight) * first[name], weight * last[name])
        for name in ("v_x_sigma", "v_y_sigma")
        if name in first
    }
    return line | spread


def block_of(key: str, per_task: int) -> slice:
    """Return the nodes of a key, ``sample/3`` or ``mosaic/0/3``."""
    number = int(key.rpartition("/")[2])
    return slice(number * per_task, (number + 1) * per_task)


def blocks(count: int, per_task: int) -> range:
    """Return the numbers of the blocks of ``count`` nodes."""
    return range(max(1, -(-count // per_task)))
