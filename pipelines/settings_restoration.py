"""The choices of a restoration run: gaps of the scan line corrector in stored scenes, filled.

Tang et al. (2026), section 2.2, with a spread that the paper lacks: the mean network states it, and
where the chain has a diffusion its samples add to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pipelines.settings_actors import ActorChoices, Device, without_gpus
from pipelines.settings_reading import Bounds

Summer = Annotated[int, Bounds("the year in which a summer begins", 1999, 2200)]


@dataclass(frozen=True)
class RestorationInputs:
    """Roles of a restoration run: a finished product of scenes, and weights."""

    scenes: str
    restorer: str = "shipped:restorer-lossless"

    ADDRESSES: ClassVar[tuple[str, ...]] = ("scenes",)
    OPTIONAL: ClassVar[tuple[str, ...]] = ("catalogue", "regions")


@dataclass(frozen=True)
class RestorationChoices:
    """How gaps are filled; every default is written into ``run.yaml``."""

    shelves: tuple[str, ...] = ()
    summers: tuple[Summer, ...] = ()
    samples: Annotated[int, Bounds("a number of samples", 1, 64)] = 4
    sampler_steps: Annotated[int, Bounds("a number of steps", 1, 1000)] = 10
    patch: Annotated[int, Bounds("pixels, a multiple of 32", 64, 2048)] = 320
    overlap: Annotated[int, Bounds("pixels", 16, 1024)] = 64
    device: Device = "cpu"
    threads: Annotated[int, Bounds("a number of threads", 1, 256)] = 1
    seed: Annotated[int, Bounds("a seed", 0, 2**31)] = 1
    actors: ActorChoices = field(default_factory=ActorChoices)
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        if self.patch % 32:
            found.append(("patch", f"found {self.patch}, expected a multiple of 32"))
        if 2 * self.overlap > self.patch:
            said = f"found {self.overlap}, expected at most half a patch, {self.patch // 2}"
            found.append(("overlap", said))
        return found + without_gpus(self.device, self.actors)
