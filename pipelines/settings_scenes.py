"""The choices of a scenes run. Defaults follow Tang et al. (2026), sections 2.1 and 2.4."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipelines.settings_reading import Bounds, Spelling

Fraction = Annotated[float, Bounds("a fraction", 0.0, 1.0)]
Platform = Literal["landsat-7", "landsat-8", "landsat-9"]
Flag = Literal["cloud", "shadow", "dilated", "cirrus", "opinion", "saturated"]
Service = Literal["catalogue", "usgs", "planetary-computer", "earth-search"]
Summer = Annotated[int, Bounds("the year in which a summer begins", 1999, 2200)]

BUILTIN = "nine"
"""What ``regions`` says for the boxes of the paper's nine shelves that come with the project."""


def _is_scene(text: str) -> None:
    day, letter = text[:10], text[10:]
    dt.date.fromisoformat(day)
    if not re.fullmatch(r"[a-z]?", letter):
        raise ValueError(letter)


SceneLabel = Annotated[str, Spelling("a scene such as 2011-01-23 or 2011-01-23b", _is_scene)]


@dataclass(frozen=True)
class SceneChoice:
    """How the smallest set that covers the ROI, closest in time, is chosen.

    The objective is in units of the ROI: what stays uncovered, plus ``least_gain`` for each scene,
    plus as much for each ``days_per_scene`` between the first scene and the last (record 0023).
    """

    most: Annotated[int, Bounds("a number of scenes", 1, 50)] = 6
    spares: Annotated[int, Bounds("a number of scenes", 0, 20)] = 3
    least_gain: Fraction = 0.02
    days_per_scene: Annotated[float, Bounds("a number of days", 1.0, 10_000.0)] = 30.0
    fast_weight: Annotated[float, Bounds("a weight", 0.0, 100.0)] = 1.0


@dataclass(frozen=True)
class Override:
    """What a person decides instead, for one shelf and summer, and why.

    ``use`` is the whole set; without it the rule chooses from what is not dropped.
    """

    shelf: str
    summer: Summer
    reason: str
    use: tuple[SceneLabel, ...] = ()
    drop: tuple[SceneLabel, ...] = ()

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if not (self.use or self.drop):
            return [("use", "neither use nor drop names a scene; name one, or remove the override")]
        both = sorted(set(self.use) & set(self.drop))
        if both:
            return [("drop", f"{', '.join(both)} is also under use; keep it in one of them")]
        return []


@dataclass(frozen=True)
class ScenesChoices:
    """Everything that a scientist might question; every default is written into ``run.yaml``."""

    shelves: tuple[str, ...] = ()
    summers: tuple[Summer, ...] = ()
    service: Service = "catalogue"
    level: Literal[1, 2] | None = None
    platforms: tuple[Platform, ...] = ("landsat-7", "landsat-8", "landsat-9")
    platform_years: Literal["paper", "all"] = "paper"
    most_cloud: Annotated[float, Bounds("a percentage", 0.0, 100.0)] = 80.0
    buffer_km: Annotated[float, Bounds("a number of kilometres", 0.0, 500.0)] = 10.0
    days: Literal["pass", "utc"] = "pass"
    reject: tuple[Flag, ...] = ("cloud", "shadow")
    cloud_opinion: str = "none"
    screening_m: Annotated[int, Bounds("metres, a multiple of 30", 60, 3000)] = 300
    least_valid: Fraction = 0.05
    least_sun_degrees: Annotated[float, Bounds("a number of degrees", 0.0, 90.0)] = 5.0
    most_saturated: Fraction = 0.5
    fast_m_per_yr: Annotated[float, Bounds("a speed in m/yr", 0.0, 20_000.0)] = 300.0
    choice: SceneChoice = field(default_factory=SceneChoice)
    feather_m: Annotated[float, Bounds("metres", 0.0, 20_000.0)] = 300.0
    encoding: Literal["reflectance", "stretched", "paper"] = "reflectance"
    sun: Literal["scene", "pixel"] = "pixel"
    gaps: Literal["auto", "fill", "file", "geometry"] = "auto"
    verify: Literal["none", "size", "full"] = "size"
    chunk: Annotated[int, Bounds("pixels, a multiple of 32", 32, 4096)] = 512
    overrides: tuple[Override, ...] = ()
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = [
            (key, f"found {value}, expected a multiple of {step}")
            for key, value, step in (
                ("screening_m", self.screening_m, 30),
                ("chunk", self.chunk, 32),
            )
            if value % step
        ]
        if 0.0 < self.most_cloud < 1.0:
            said = f"found {self.most_cloud:g} per cent, which leaves nothing; write 80 for 80 %"
            found.append(("most_cloud", said))
        if not self.platforms:
            found.append(("platforms", "is empty, expected one platform at least"))
        if "opinion" in self.reject and self.cloud_opinion == "none":
            said = "rejects what an opinion calls cloud, but cloud_opinion is none; name one"
            found.append(("reject", said))
        found += self._too_many()
        pairs = [(each.shelf.casefold(), each.summer) for each in self.overrides]
        if len(set(pairs)) < len(pairs):
            found.append(("overrides", "one shelf and summer is there twice; join the two"))
        return found

    def _too_many(self) -> list[tuple[str, str]]:
        """Return overrides that use more scenes than there are places."""
        most = self.choice.most
        said = "found {} scenes, expected {} at most: raise scenes.choice.most, or use fewer"
        return [
            (f"overrides[{n}].use", said.format(len(each.use), most))
            for n, each in enumerate(self.overrides)
            if len(each.use) > most
        ]


@dataclass(frozen=True)
class ScenesInputs:
    """Roles of a scenes run: collections of the catalogue or of the service."""

    landsat: tuple[str, ...] = ()
    velocity: str | None = None
    recorded: str | None = None

    ADDRESSES: ClassVar[tuple[str, ...]] = ("recorded",)
