"""Scenes with gaps, found in a finished product of scenes: what there is to restore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines import stored
from pipelines.flows import (
    austral_summers,
    finished_scenes,
    network_inputs,
    product_arrays,
    scenes_candidates,
)
from pipelines.flows.catalogue_inputs import InputError
from pipelines.flows.finished_products import ProductSource
from pipelines.flows.network_inputs import Weights
from pipelines.flows.scenes_arrays import GAP_QUANTITIES
from pipelines.lifecycle import InputItem
from pipelines.stored import group_at

if TYPE_CHECKING:
    import pystac
    import zarr

    from pipelines.settings import Run
    from stac.pixel_grids import PixelGrid

FRACTION = GAP_QUANTITIES.index("fraction")
READ = ("selected", "gap_record", "candidate", "candidate_of", "time")
"""Arrays of a summer that say what there is to restore."""


@dataclass(frozen=True)
class Striped:
    """Stored scenes of a shelf's summer that have gaps.

    Attributes
    ----------
    shelf : str
        Region id.
    summer : int
        Year of its November.
    grid : PixelGrid
        Of 30 m.
    places : tuple of int
        Where the scenes lie in the product of scenes.
    labels : tuple of str
        Their dates.
    times : tuple of float
        Their acquisitions [s since 1970-01-01].
    fractions : tuple of float
        How much of each is missing [1].
    """

    shelf: str
    summer: int
    grid: PixelGrid
    places: tuple[int, ...]
    labels: tuple[str, ...]
    times: tuple[float, ...]
    fractions: tuple[float, ...]

    @property
    def path(self) -> str:
        """Its group in both products."""
        return f"{self.shelf}/{self.summer}"


@dataclass(frozen=True)
class RestorationFound:
    """Resolved inputs of a restoration run."""

    source: ProductSource
    chunk: int
    summers: tuple[Striped, ...]
    weights: Weights
    items: tuple[InputItem, ...]
    sources: tuple[pystac.Item, ...]
    footprint: dict[str, Any]


def resolve(run: Run) -> RestorationFound:
    """Find scenes with gaps, and weights; a few numbers of each summer are read.

    Raises
    ------
    InputError
        No finished scenes, none of a shelf that is asked for, or scenes stored as bytes.
    """
    scenes = finished_scenes.find(run.inputs.scenes)
    group = scenes.source.open()
    summers = tuple(_summers(group, run))
    weights = network_inputs.resolve(run.catalogue, (), {"restorer": run.inputs.restorer})
    return RestorationFound(
        source=scenes.source,
        chunk=int(scenes.run["scenes"]["chunk"]),
        summers=summers,
        weights=weights.weights["restorer"],
        items=(scenes.record, *weights.items),
        sources=(scenes.item, *weights.sources),
        footprint=dict(scenes.item.geometry or {}),
    )


def _summers(group: zarr.Group, run: Run) -> list[Striped]:
    """Return the summers that the run asks for and that hold a scene with gaps."""
    choices = run.choices
    shelves = list(group.group_keys())
    unknown = sorted(set(choices.shelves) - set(shelves))
    if unknown:
        msg = f"restoration.shelves: the scenes hold no {', '.join(unknown)}; they hold "
        raise InputError(msg + ", ".join(sorted(shelves)))
    found = []
    for shelf in sorted(set(choices.shelves) or set(shelves)):
        for name in sorted(group_at(group, shelf).group_keys()):
            made = group_at(group, f"{shelf}/{name}")
            _require_arrays(made, run.inputs.scenes)
            striped = _striped(made, shelf, int(name))
            wanted = not choices.summers or int(name) in choices.summers
            if wanted and striped.places and austral_summers.meets(int(name), run.period):
                found.append(striped)
    return found


def _require_arrays(made: zarr.Group, address: str) -> None:
    missing = [name for name in READ if name not in made]
    if missing:
        msg = f"inputs.scenes: {address} has no {', '.join(missing)} in {made.path}: it was made by"
        raise InputError(msg + " an older nunatak; run scenes again with this one")


def _striped(made: zarr.Group, shelf: str, summer: int) -> Striped:
    selected, record = stored.values(made, "selected"), stored.read(made, "gap_record")
    fractions = record[:, FRACTION]
    places = [int(n) for n in np.flatnonzero((selected > 0) & (np.nan_to_num(fractions) > 0.0))]
    names = product_arrays.labels_of(made, "candidate")
    of, times = stored.values(made, "candidate_of"), stored.read(made, "time")
    return Striped(
        shelf,
        summer,
        scenes_candidates.grid_of(made),
        tuple(places),
        tuple(names[int(of[n]) - 1] for n in places),
        tuple(float(times[n]) for n in places),
        tuple(float(fractions[n]) for n in places),
    )
