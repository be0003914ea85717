"""The choices of a comparison run: several methods on the same regions, period and mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipelines.settings_reading import Bounds, Month

METHODS = ("gravimetry", "altimetry", "combination", "mass_budget")
"""Products that give mass balance; each may come several times."""


@dataclass(frozen=True)
class ComparisonInputs:
    """Roles of a comparison run: finished products, files of published rates, polygons.

    ``grounded_ice`` clips every region where it is given; ``gia`` names models that might be right
    instead; ``shelves`` tells which basins lie behind an ice shelf.
    """

    gravimetry: tuple[str, ...] = ()
    altimetry: tuple[str, ...] = ()
    combination: tuple[str, ...] = ()
    mass_budget: tuple[str, ...] = ()
    shelf_damage: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    grounded_ice: str | None = None
    shelves: str | None = None
    gia: tuple[str, ...] = ()

    ADDRESSES: ClassVar[tuple[str, ...]] = (*METHODS, "shelf_damage", "published")

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what is missing, as (key, message)."""
        if any(getattr(self, name) for name in (*METHODS, "published")):
            return []
        return [("gravimetry", f"found no method, expected outputs of {', '.join(METHODS)}")]


@dataclass(frozen=True)
class Share:
    """A cause of error that several methods share.

    ``shares`` says, for each of ``methods``, which part of its standard deviation the cause makes;
    the sign is that of what one and the same error does to it.
    """

    name: str
    methods: tuple[str, ...]
    shares: tuple[Annotated[float, Bounds("a part of a standard deviation", -1.0, 1.0)], ...]

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if len(set(self.methods)) < len(self.methods):
            return [("methods", f"found {', '.join(self.methods)}, expected each method once")]
        if len(self.methods) == len(self.shares) > 1:
            return []
        found = f"{len(self.methods)} methods and {len(self.shares)} shares"
        return [("shares", f"found {found}, expected as many of each, two at least")]


@dataclass(frozen=True)
class PublishedPeriod:
    """The months of the rates of a published table that does not say them."""

    name: str
    first: Month
    last: Month

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if self.first <= self.last:
            return []
        return [("last", f"found {self.last}, expected {self.first} or later")]


@dataclass(frozen=True)
class Behind:
    """The basins whose ice flows into an ice shelf, where the polygons do not tell."""

    shelf: str
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Dynamics:
    """How damage is held against discharge."""

    reach_km: Annotated[float, Bounds("kilometres", 0.0, 500.0)] = 20.0
    behind: tuple[Behind, ...] = ()
    longest_lag: Annotated[int, Bounds("years", 0, 20)] = 3
    draws: Annotated[int, Bounds("a number of draws", 100, 1_000_000)] = 4000
    seed: Annotated[int, Bounds("a seed", 0, 2**63 - 1)] = 1


@dataclass(frozen=True)
class ComparisonChoices:
    """What a scientist might question; every default is written into ``run.yaml``."""

    rate: Literal["mean", "trend"] = "trend"
    combine: tuple[str, ...] = ()
    least_covered: Annotated[float, Bounds("a share", 0.01, 1.0)] = 0.75
    shared: tuple[Share, ...] = ()
    published_periods: tuple[PublishedPeriod, ...] = ()
    mask_share: Annotated[float, Bounds("a share of the area", 0.0, 0.5)] = 0.02
    leakage_share: Annotated[float, Bounds("a part of what is not seen", 0.0, 2.0)] = 0.3
    gia_share: Annotated[float, Bounds("a share of the model", 0.0, 2.0)] = 0.3
    dynamics: Dynamics = field(default_factory=Dynamics)
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        if len(set(self.combine)) < len(self.combine):
            found.append(("combine", f"found {', '.join(self.combine)}, expected each method once"))
        for name, whole in self._shared_parts().items():
            if whole > 1.0:
                told = f"found causes that make {whole:.2f} of the variance of {name}"
                found.append(("shared", f"{told}, expected 1 at most: squares of shares add"))
        return found

    def _shared_parts(self) -> dict[str, float]:
        """Return which part of each method's variance the causes of ``shared`` make [1]."""
        parts: dict[str, float] = {}
        for cause in self.shared:
            for name, share in zip(cause.methods, cause.shares, strict=False):
                parts[name] = parts.get(name, 0.0) + share**2
        return parts
