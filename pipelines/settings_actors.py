"""What runs of networks choose alike: how many actors, on which device, how images are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pipelines.settings_reading import Bounds

Device = Literal["cpu", "cuda"]
Backend = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "f32", "bf16"]
Fraction = Annotated[float, Bounds("a fraction", 0.0, 1.0)]


@dataclass(frozen=True)
class ActorChoices:
    """The actors of Ray that hold the networks; they change how fast a run is, not its numbers."""

    count: Annotated[int, Bounds("a number of actors, 0 for as many as have room", 0, 10_000)] = 0
    cpus: Annotated[float, Bounds("a number of cores", 0.0, 1024.0)] = 1.0
    gpus: Annotated[float, Bounds("a share of a GPU, or a number of GPUs", 0.0, 64.0)] = 1.0

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if self.gpus > 1.0 and self.gpus != int(self.gpus):
            said = f"found {self.gpus:g}, expected a share below 1 or a whole number of GPUs"
            return [("gpus", said)]
        return []


def without_gpus(device: Device, actors: ActorChoices) -> list[tuple[str, str]]:
    """Return the conflict of a run on GPUs whose actors get none and so would be on the CPU.

    >>> without_gpus("cuda", ActorChoices(gpus=0.0))
    [('actors.gpus', 'found 0 where device is cuda, expected a share of a GPU, or device: cpu')]
    """
    if device == "cuda" and not actors.gpus:
        said = "found 0 where device is cuda, expected a share of a GPU, or device: cpu"
        return [("actors.gpus", said)]
    return []


Flip = Literal["lr", "ud", "both"]


@dataclass(frozen=True)
class CutChoices:
    """How an image is cut into tiles for a network, and how predictions are blended."""

    tile: Annotated[int, Bounds("pixels, a multiple of 32", 64, 4096)] = 512
    overlap: Annotated[int, Bounds("pixels", 0, 2048)] = 64
    flips: tuple[Flip, ...] = ()

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        if self.tile % 32:
            found.append(("tile", f"found {self.tile}, expected a multiple of 32"))
        if 2 * self.overlap > self.tile:
            said = f"found {self.overlap}, expected at most half a tile, {self.tile // 2}"
            found.append(("overlap", said))
        return found
