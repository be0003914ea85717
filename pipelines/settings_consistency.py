"""The choices of a consistency run: how damage maps of two years agree once the ice has moved.

Tang et al. (2026), sections 2.5.2 and 3.2.5; what differs is in record 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pipelines.settings_reading import Bounds

Summer = Annotated[int, Bounds("the year in which a summer begins", 1999, 2200)]


@dataclass(frozen=True)
class ConsistencyInputs:
    """Roles of a consistency run: finished damage maps, and the velocity that carries them."""

    damage: tuple[str, ...]
    velocity: tuple[str, ...]

    ADDRESSES: ClassVar[tuple[str, ...]] = ("damage",)
    OPTIONAL: ClassVar[tuple[str, ...]] = ("regions",)

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what is missing, as (key, message)."""
        asked = {
            "damage": "the output of one finished run of shelf_damage at least",
            "velocity": "a collection of kind velocity at least; without one nothing is carried",
        }
        return [
            (name, f"found [], expected {what}")
            for name, what in asked.items()
            if not getattr(self, name)
        ]


@dataclass(frozen=True)
class ConsistencyChoices:
    """How maps are compared; every default is written into ``run.yaml``."""

    shelves: tuple[str, ...] = ()
    summers: tuple[Summer, ...] = ()
    pairs: Literal["adjacent", "all"] = "adjacent"
    longest_gap: Annotated[int, Bounds("a number of years", 1, 200)] = 10
    cell_m: Annotated[float, Bounds("metres", 10.0, 100_000.0)] = 900.0
    least_known: Annotated[float, Bounds("a share", 0.01, 1.0)] = 0.5
    least_cells: Annotated[int, Bounds("a number of cells", 2, 1_000_000)] = 50
    scheme: Literal["rk4", "rk2", "euler"] = "rk4"
    carry: Literal["densities", "pixels"] = "densities"
    unknown_frame: Literal["refuse", "ground", "map"] = "refuse"
    annual_within_years: Annotated[float, Bounds("years", 0.0, 200.0)] = 2.0
    reach_km: Annotated[float, Bounds("kilometres", 0.0, 100.0)] = 5.0
    changes: bool = True
    tolerance_px: Annotated[float, Bounds("pixels", 0.0, 100.0)] = 1.5
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 16
