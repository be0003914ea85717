"""The choices of a training run: what a network learns from which tiles, and for how long.

Defaults for segmentation follow Tang et al. (2026), section 2.3, where they say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipelines.settings_actors import ActorChoices, Device, Flip, Fraction, without_gpus
from pipelines.settings_reading import Bounds

SEGMENTERS = ("tiny", "b0", "b2")
RESTORERS = ("lossless", "kl")
PHASES = {
    "lossless": ("mean", "texture", "diffusion", "harmoniser"),
    "kl": ("autoencoder", "latent", "harmoniser"),
}
"""Networks of each restorer in the order in which they learn."""

OF_SEGMENTERS = (
    "extras", "detail", "mean", "std", "magnify", "local_contrast", "positive_share",
    "augmentation", "flips",
)  # fmt: skip
"""Choices that restorers do not heed."""

Count = Annotated[int, Bounds("a number of steps", 0, 10_000_000)]
Names = tuple[str, ...]
Level = Annotated[float, Bounds("a reflectance", 0.0, 10.0)]
Contrast = Annotated[float, Bounds("a reflectance above 0", 1e-6, 10.0)]


@dataclass(frozen=True)
class TrainingInputs:
    """Roles of a training run; a segmenter judges restorers, and is not read for a segmenter."""

    labels: tuple[str, ...]
    start: str | None = None
    segmenter: str | None = "shipped:segmenter-b0"

    OPTIONAL: ClassVar[tuple[str, ...]] = ("regions",)


@dataclass(frozen=True)
class RestorerSteps:
    """Steps of each network of a restorer, trained one after the other."""

    mean: Count = 2000
    texture: Count = 300
    diffusion: Count = 2000
    autoencoder: Count = 2000
    latent: Count = 4000
    harmoniser: Count = 500


@dataclass(frozen=True)
class TrainingChoices:
    """Everything that decides the weights; every default is written into ``run.yaml``."""

    task: Literal["segmentation", "restoration"] = "segmentation"
    network: Literal["tiny", "b0", "b2", "lossless", "kl"] = "b0"
    name: str = "model"
    channels: Names = ("red", "green", "blue")
    extras: tuple[Literal["nerd"], ...] = ()
    detail: Annotated[int, Bounds("a number of channels", 0, 256)] = 16
    mean: tuple[Level, ...] = ()
    std: tuple[Contrast, ...] = ()
    magnify: Annotated[int, Bounds("a factor", 1, 8)] = 1
    local_contrast: Annotated[int, Bounds("pixels, 0 for none", 0, 512)] = 0
    size: Literal["small", "large"] = "small"
    holdout: Names = ()
    folds: Annotated[int, Bounds("a number of folds, 0 for none", 0, 100)] = 0
    steps: Count = 5600
    restorer_steps: RestorerSteps = field(default_factory=RestorerSteps)
    rounds: Annotated[int, Bounds("a number of rounds", 1, 1000)] = 20
    crops: Annotated[int, Bounds("a number of crops a step", 1, 4096)] = 8
    crop: Annotated[int, Bounds("pixels, a multiple of 32", 32, 2048)] = 512
    positive_share: Fraction = 0.65
    schedule: Literal["paper", "short"] = "paper"
    peak_rate: Annotated[float, Bounds("a learning rate", 1e-8, 1.0)] = 1e-4
    augmentation: Literal["none", "paper", "better", "light", "strong"] = "paper"
    weight_decay: Annotated[float, Bounds("a decay", 0.0, 1.0)] = 0.01
    clip: Annotated[float, Bounds("a norm of the gradient, 0 for any", 0.0, 1e6)] = 1.0
    average: Fraction = 0.0
    flips: tuple[Flip, ...] = ()
    precision: Literal["f32", "bf16"] = "f32"
    device: Device = "cpu"
    threads: Annotated[int, Bounds("a number of threads", 1, 256)] = 1
    drawers: Annotated[int, Bounds("a number of threads, 0 for none", 0, 256)] = 0
    seed: Annotated[int, Bounds("a seed", 0, 2**31)] = 1
    licence: str = "unstated"
    actors: ActorChoices = field(default_factory=ActorChoices)
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 1

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        fitting = SEGMENTERS if self.task == "segmentation" else RESTORERS
        if self.network not in fitting:
            said = f"found {self.network!r} for {self.task}, expected one of {', '.join(fitting)}"
            found.append(("network", said))
        if self.crop % 32:
            found.append(("crop", f"found {self.crop}, expected a multiple of 32"))
        if self.folds == 1:
            found.append(("folds", "found 1, expected 0 (no cross-validation) or 2 and more"))
        if self.folds and self.holdout:
            said = "is given beside folds, which leave out each region in turn; keep one of them"
            found.append(("holdout", said))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            said = f"found {self.name!r}, expected letters, digits, '.', '_' and '-': a file's name"
            found.append(("name", said))
        if len(set(self.channels)) < len(self.channels):
            found.append(("channels", "names a band twice, expected each once"))
        if self.average >= 1.0:
            found.append(
                ("average", "found 1, which forgets nothing; expected less, such as 0.999")
            )
        found += self._conflicts_of_network()
        found += self._conflicts_of_steps()
        return found + without_gpus(self.device, self.actors)

    def _conflicts_of_network(self) -> list[tuple[str, str]]:
        """Return what the network cannot be built of, or would not look at."""
        found = []
        bands = len(self.channels) + len(self.extras)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) != bands:
                said = f"found {len(values)} numbers for {bands} channels, extras among them"
                found.append((name, said))
        if not self.channels:
            found.append(("channels", "is empty, expected one band at least"))
        if self.task == "restoration":
            said = "is of segmenters, and a restorer would not heed it; leave it out"
            found += [(name, said) for name in OF_SEGMENTERS if self._is_chosen(name)]
        if self.size != "small" and self.network != "kl":
            found.append(("size", f"is of the network kl, found {self.network}; leave it out"))
        return found

    def _is_chosen(self, name: str) -> bool:
        """Return whether a choice is another than that of a run file without it."""
        return bool(getattr(self, name) != type(self).__dataclass_fields__[name].default)

    def _conflicts_of_steps(self) -> list[tuple[str, str]]:
        """Return trainings without a step."""
        if self.task == "segmentation":
            return [] if self.steps else [("steps", "found 0, expected one step at least")]
        if self.network in RESTORERS and not any(
            getattr(self.restorer_steps, name) for name in PHASES[self.network]
        ):
            said = f"found 0 for each of {', '.join(PHASES[self.network])}, expected steps of one"
            return [("restorer_steps", said)]
        return []
