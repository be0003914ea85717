"""The choices of a run of shelf damage: yearly maps of crevasses and rifts, with uncertainties.

Tang et al. (2026), sections 2.4 and 3. What the paper did by hand (which prediction supplies a
pixel, where a shelf ends) is chosen here and written down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipelines.settings_actors import (
    ActorChoices,
    Backend,
    CutChoices,
    Device,
    Fraction,
    Precision,
    without_gpus,
)
from pipelines.settings_reading import Bounds, Spelling

_PART = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


def _require_part(text: str) -> None:
    if not _PART.fullmatch(text):
        raise ValueError(text)


Summer = Annotated[int, Bounds("the year in which a summer begins", 1972, 2200)]
Length = Annotated[float, Bounds("a length [m]", 0.0, 1e6)]
ExtentSource = Literal["auto", "fronts", "imagery", "outline"]


@dataclass(frozen=True)
class ShelfDamageInputs:
    """Roles of a run: finished products, weights, and collections of a catalogue."""

    scenes: str | None = None
    restoration: str | None = None
    evaluation: str | None = None
    segmenter: str = "shipped:segmenter-b0"
    images: tuple[str, ...] = ()
    velocity: str | None = None
    grounded_ice: str | None = None
    fronts: str | None = None

    ADDRESSES: ClassVar[tuple[str, ...]] = ("scenes", "restoration", "evaluation")
    OPTIONAL: ClassVar[tuple[str, ...]] = ("catalogue", "regions")

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if bool(self.scenes) == bool(self.images):
            said = "found both" if self.scenes else "found neither"
            said += " of scenes and images, expected one: the output of a finished run of scenes, "
            return [("scenes", said + "or collections of kind imagery")]
        if self.restoration and not self.scenes:
            return [("restoration", "found without scenes; name the scenes that it restored")]
        return []


@dataclass(frozen=True)
class TileChoices(CutChoices):
    """How scenes are cut for the network.

    Tiles advance by ``tile - overlap``, which divides blocks, so that a map does not show where
    blocks meet.
    """

    tile: Annotated[int, Bounds("pixels, a multiple of 32", 64, 4096)] = 320


@dataclass(frozen=True)
class MergeChoices:
    """How much each scene of a summer counts, see :mod:`pipelines.kernels.damage.merging`."""

    mode: Literal["best", "weighted"] = "best"
    time_scale_days: Annotated[float, Bounds("days", 1e-3, 1e6)] = 30.0
    view_floor: Fraction = 0.02
    sun_floor: Fraction = 0.5
    cloud_floor: Fraction = 0.25
    cloud_distance_m: Annotated[float, Bounds("a length [m]", 0.0, 1900.0)] = 1500.0


@dataclass(frozen=True)
class ExtentChoices:
    """Where a shelf ends in a summer, see :mod:`pipelines.kernels.damage.extents`.

    ``auto`` takes a front of that summer where there is one, else the imagery where grounded ice is
    given, else the outline of the shelf.
    """

    source: ExtentSource = "auto"
    ice_reflectance: Annotated[float, Bounds("a reflectance", 0.0, 1.5)] = 0.4
    solid_share: Fraction = 0.97
    advance: Annotated[float, Bounds("a factor", 0.0, 100.0)] = 1.5
    slack_m: Length = 600.0
    neck_m: Length = 900.0
    least_known: Fraction = 0.8
    least_share: Fraction = 1.0


@dataclass(frozen=True)
class PartChoice:
    """A part of a shelf that is told apart: what lies near its front (``Amery_front``: 240 km)."""

    shelf: str
    name: Annotated[str, Spelling("letters, digits and underscores, such as front", _require_part)]
    within_km: Annotated[float, Bounds("a distance from the front [km]", 1e-3, 1e4)]


@dataclass(frozen=True)
class DamageOverride:
    """What a person decides instead for one shelf and summer, and why."""

    shelf: str
    summer: Summer
    reason: str
    drop: tuple[str, ...] = ()
    publish: bool | None = None

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if not self.drop and self.publish is None:
            said = "neither drop nor publish is given; give one, or remove the override"
            return [("drop", said)]
        return []


@dataclass(frozen=True)
class AssumedErrors:
    """What is taken where no evaluation tells it.

    ``restoration_factor`` is the paper's (section 3.2.4). The length is that over which errors of
    neighbouring pixels are alike.
    """

    restoration_factor: Annotated[float, Bounds("a factor", 0.1, 10.0)] = 1.044
    correlation_length_m: Length = 300.0


@dataclass(frozen=True)
class ShelfDamageChoices:
    """How maps are made; every default is written into ``run.yaml``."""

    shelves: tuple[str, ...] = ()
    summers: tuple[Summer, ...] = ()
    threshold: Fraction = 0.5
    tiles: TileChoices = field(default_factory=TileChoices)
    merge: MergeChoices = field(default_factory=MergeChoices)
    extent: ExtentChoices = field(default_factory=ExtentChoices)
    melt_water_index: Annotated[float, Bounds("an index, 1 for no mask", 0.0, 1.0)] = 0.25
    least_covered: Fraction = 0.9
    restoration_spread: bool = True
    assumed: AssumedErrors = field(default_factory=AssumedErrors)
    parts: tuple[PartChoice, ...] = ()
    fractures: bool = True
    release: bool = True
    review: bool = True
    device: Device = "cpu"
    backend: Backend = "auto"
    precision: Precision = "auto"
    threads: Annotated[int, Bounds("a number of threads", 1, 256)] = 1
    actors: ActorChoices = field(default_factory=ActorChoices)
    overrides: tuple[DamageOverride, ...] = ()
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        return without_gpus(self.device, self.actors)
