"""The choices of a gravimetry run. Defaults are the paper's: Sasgen et al. (2019), section 2.1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipelines.settings_reading import Bounds, Month

Missing = Literal["drop", "interpolate", "refuse", "keep"]
Term = Literal["bias", "trend", "acceleration", "annual", "semiannual", "s2", "p1", "mission_bias"]


@dataclass(frozen=True)
class Mask:
    """Where a field is kept: 1 within ``inner_km`` of grounded ice, 0 beyond ``outer_km``."""

    inner_km: Annotated[float, Bounds("a number of kilometres", 0.0, 5000.0)] = 200.0
    outer_km: Annotated[float, Bounds("a number of kilometres", 0.0, 5000.0)] = 300.0
    degree: Annotated[int, Bounds("a spherical-harmonic degree", 1, 360)] = 90


@dataclass(frozen=True)
class LowDegreePolicy:
    """Which coefficients come from which source, from when to when, and what if they are missing.

    ``from`` and ``to`` are months, the last one included; without them the policy always holds.
    ``missing`` months are dropped, interpolated, kept as the field gives them, or end the run.
    """

    coefficients: tuple[str, ...]
    source: Literal["degree_one", "low_degrees"]
    missing: Missing = "drop"
    from_: Month | None = None
    to: Month | None = None

    @property
    def start(self) -> float | None:
        """First instant of the policy [decimal years]."""
        return None if self.from_ is None else _year_of(self.from_, 0)

    @property
    def end(self) -> float | None:
        """First instant after the policy [decimal years]."""
        return None if self.to is None else _year_of(self.to, 1)

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        if not self.coefficients:
            found.append(("coefficients", "is empty, expected names such as C20; or drop the row"))
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            found.append(("to", f"{self.to} is before from {self.from_}; exchange them"))
        return found


def _year_of(month: Month, shift: int) -> float:
    """Return the start of a month, or of the one ``shift`` later, in calendar-year fractions."""
    import datetime as dt

    year, number = (int(part) for part in month.split("-"))
    total = 12 * year + number - 1 + shift
    year, number = divmod(total, 12)
    first, after = dt.date(year, 1, 1), dt.date(year + 1, 1, 1)
    return year + (dt.date(year, number + 1, 1) - first).days / (after - first).days


@dataclass(frozen=True)
class Map:
    """The map in EPSG:3031."""

    spacing_km: Annotated[float, Bounds("a number of kilometres", 5.0, 500.0)] = 40.0


@dataclass(frozen=True)
class Figures:
    """How figures are filtered; no number in a table is."""

    gaussian_km: Annotated[float, Bounds("a number of kilometres", 0.0, 2000.0)] = 300.0


DEFAULT_LOW_DEGREES = (
    LowDegreePolicy(("C10", "C11", "S11"), "degree_one", "drop"),
    LowDegreePolicy(("C20",), "low_degrees", "drop"),
    LowDegreePolicy(("C30",), "low_degrees", "keep"),
)
"""C30 is taken wherever the series gives it, and stays the field's own before (TN-14: 2012-03)."""


@dataclass(frozen=True)
class GravimetryChoices:
    """Everything that a scientist might question; every default is written into ``run.yaml``."""

    j_max: Annotated[int, Bounds("a spherical-harmonic degree", 2, 360)] = 90
    result_degree: Annotated[int, Bounds("a spherical-harmonic degree", 2, 720)] = 180
    mask: Mask = field(default_factory=Mask)
    low_degrees: tuple[LowDegreePolicy, ...] = DEFAULT_LOW_DEGREES
    frame: Literal["CF", "CE", "CM"] = "CF"
    k1: Annotated[float, Bounds("a load Love number", -1.0, 1.0)] | None = None
    latitude: Literal["geocentric", "geographic"] = "geocentric"
    terms: tuple[Term, ...] = ("bias", "trend", "acceleration", "annual", "s2", "p1")
    reference_epoch: Annotated[float, Bounds("a decimal year", 1900.0, 2200.0)] | None = None
    mission_change: Annotated[float, Bounds("a decimal year", 1900.0, 2200.0)] = 2018.0
    weights: Literal["uniform", "formal"] = "uniform"
    overlap_limit: Annotated[float, Bounds("a fraction", 0.0, 1.0)] = 0.7
    members: Annotated[int, Bounds("a number of members", 2, 10_000)] = 30
    seed: Annotated[int, Bounds("a seed", 0, 2**63 - 1)] = 1
    centred: bool = True
    region_spacing_km: Annotated[float, Bounds("a number of kilometres", 0.5, 50.0)] = 2.0
    map: Map = field(default_factory=Map)
    figures: Figures = field(default_factory=Figures)
    destripe: bool = False
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 32

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        if self.mask.outer_km <= self.mask.inner_km:
            said = (
                f"found {self.mask.outer_km:g}, expected more than inner_km {self.mask.inner_km:g}"
            )
            found.append(("mask.outer_km", f"{said}; the mask falls from 1 to 0 between them"))
        lacking = [term for term in ("bias", "trend") if term not in self.terms]
        if lacking:
            found.append(("terms", f"lacks {', '.join(lacking)}; a trend needs both"))
        if len(set(self.terms)) < len(self.terms):
            found.append(("terms", "names a term twice; name each once"))
        for i, policy in enumerate(self.low_degrees):
            found += [(f"low_degrees[{i}].{key}", said) for key, said in policy.conflicts()]
        return found


@dataclass(frozen=True)
class GravimetryInputs:
    """Roles of a gravimetry run: collections of the catalogue, or ``COLLECTION/ITEM``."""

    gravity: tuple[str, ...]
    degree_one: str
    low_degrees: str
    love_numbers: str
    grounded_ice: str
    gia: tuple[str, ...] = ()

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        return [] if self.gravity else [("gravity", "is empty, expected a collection of fields")]
