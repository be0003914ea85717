"""Candidates of a shelf's summer: granules of one pass over the ROI, as the product remembers them.

A continent has thousands of granules. They are written into the product once, beside the arrays
that they will fill, so that a key is all that has to travel to a worker.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines import stored
from pipelines.flows import product_arrays
from pipelines.kernels.imagery import acquisition_days
from stac.landsat_items import Granule
from stac.pixel_grids import PixelGrid
from stac.queries import instant

if TYPE_CHECKING:
    import zarr

CANDIDATES = "candidate_record"
GRID = "nunatak:grid"


@dataclass(frozen=True)
class Scene:
    """All granules of one acquisition over one ROI: the paper's daily mosaic.

    Attributes
    ----------
    label : str
        Its date in UTC, with a letter if another scene has the same: ``2011-01-23b``.
    granules : tuple of Granule
        In order of time.
    """

    label: str
    granules: tuple[Granule, ...]

    @property
    def day(self) -> float:
        """Time of its first granule [days since 1970-01-01]."""
        return instant(self.granules[0].start).timestamp() / 86_400.0

    @property
    def platforms(self) -> str:
        """Names of its satellites."""
        return "+".join(sorted({granule.platform for granule in self.granules}))

    @property
    def paths(self) -> str:
        """Paths and rows, such as ``62/108-109``."""
        rows: dict[int, list[int]] = {}
        for granule in self.granules:
            rows.setdefault(granule.path, []).append(granule.row)
        told = (
            f"{path}/{min(found)}" + (f"-{max(found)}" if max(found) > min(found) else "")
            for path, found in sorted(rows.items())
        )
        return " ".join(told)

    @property
    def sun_elevation(self) -> float:
        """Lowest sun of its granules at their centres [°]."""
        return min(granule.sun_elevation for granule in self.granules)


def scenes_of(granules: Sequence[Granule], *, rule: Literal["pass", "utc"]) -> tuple[Scene, ...]:
    """Join granules to scenes, in order of time; see `kernels.imagery.acquisition_days`."""
    if not granules:
        return ()
    starts = np.array([instant(granule.start).timestamp() for granule in granules])
    labels = acquisition_days.group(
        starts,
        tuple(granule.platform for granule in granules),
        np.array([granule.path for granule in granules]),
        rule=rule,
    )
    order = np.argsort(starts, kind="stable")
    joined: dict[str, list[Granule]] = {}
    for i in order:
        joined.setdefault(str(labels[i]), []).append(granules[i])
    return tuple(Scene(label, tuple(found)) for label, found in joined.items())


def write(group: zarr.Group, scenes: Sequence[Scene], grid: PixelGrid) -> None:
    """Keep candidates and the 30 m grid in a summer's group."""
    told = [[scene.label, [granule.to_dict() for granule in scene.granules]] for scene in scenes]
    text = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
    about = {"long_name": "granules of each candidate, JSON in UTF-8"}
    product_arrays.coordinate(group, CANDIDATES, ("byte",), text, about)
    group.attrs[GRID] = json.dumps(dataclasses.asdict(grid))


def read(group: zarr.Group) -> tuple[Scene, ...]:
    """Return the candidates that `write` kept."""
    told = json.loads(stored.values(group, CANDIDATES).tobytes())
    return tuple(
        Scene(label, tuple(Granule.from_dict(each) for each in granules))
        for label, granules in told
    )


def grid_of(group: zarr.Group) -> PixelGrid:
    """Return the 30 m grid that `write` kept."""
    document: dict[str, Any] = json.loads(str(group.attrs[GRID]))
    return PixelGrid(**document)
