"""The choices of an evaluation run: how good a network is on annotated tiles."""

from __future__ import annotations

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
from pipelines.settings_reading import Bounds

Method = Literal["linear", "telea", "navier-stokes", "biharmonic", "second-scene"]


@dataclass(frozen=True)
class EvaluationInputs:
    """Roles of an evaluation run; weights are items of a catalogue or come with the project."""

    labels: tuple[str, ...]
    segmenter: str = "shipped:segmenter-b0"
    restorer: str | None = None

    OPTIONAL: ClassVar[tuple[str, ...]] = ("regions",)


@dataclass(frozen=True)
class EvaluationChoices:
    """How a network is tried; every default is written into ``run.yaml``.

    Restorations are tried on 256 × 256 pixels of each tile, see `flows.gap_trials`.
    """

    regions_of: tuple[str, ...] = ()
    threshold: Fraction = 0.5
    cut: CutChoices = field(default_factory=CutChoices)
    baselines: tuple[Method, ...] = (
        "linear", "telea", "navier-stokes", "biharmonic", "second-scene",
    )  # fmt: skip
    lpips: str | None = None
    across: Literal["edge", "any"] = "any"
    patch: Annotated[int, Bounds("pixels, a multiple of 32", 64, 2048)] = 256
    samples: Annotated[int, Bounds("a number of samples", 1, 64)] = 4
    sampler_steps: Annotated[int, Bounds("a number of steps", 1, 1000)] = 10
    resamples: Annotated[int, Bounds("a number of bootstrap samples", 0, 100_000)] = 1000
    device: Device = "cpu"
    backend: Backend = "auto"
    precision: Precision = "auto"
    threads: Annotated[int, Bounds("a number of threads", 1, 256)] = 1
    seed: Annotated[int, Bounds("a seed", 0, 2**31)] = 1
    actors: ActorChoices = field(default_factory=ActorChoices)
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    ADDRESSES: ClassVar[tuple[str, ...]] = ("lpips",)

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = (
            []
            if not self.patch % 32
            else [("patch", f"found {self.patch}, expected a multiple of 32")]
        )
        return found + without_gpus(self.device, self.actors)
