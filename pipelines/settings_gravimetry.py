"""The choices of a gravimetry run. Defaults are the paper's: Sasgen et al. (2019), section 2.1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipelines.settings_reading import Bounds, Month, Spelling

Missing = Literal["drop", "interpolate", "refuse", "keep"]
Term = Literal["bias", "trend", "acceleration", "annual", "semiannual", "s2", "p1", "mission_bias"]


def _require_coefficient(name: str) -> None:
    from pipelines.kernels.gravity.low_degrees import parse_coefficient

    parse_coefficient(name)


Coefficient = Annotated[
    str, Spelling("a coefficient such as C20, S11 or C10_10", _require_coefficient)
]


@dataclass(frozen=True)
class Mask:
    """Where a field is kept: 1 within ``inner_km`` of grounded ice, 0 beyond ``outer_km``."""

    inner_km: Annotated[float, Bounds("a number of kilometres", 0.0, 5000.0)] = 200.0
    outer_km: Annotated[float, Bounds("a number of kilometres", 0.0, 5000.0)] = 300.0
    degree: Annotated[int, Bounds("a spherical-harmonic degree", 1, 360)] = 90

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if self.outer_km > self.inner_km:
            return []
        said = f"found {self.outer_km:g}, expected more than inner_km {self.inner_km:g}"
        return [("outer_km", f"{said}; the mask falls from 1 to 0 between them")]


@dataclass(frozen=True)
class LowDegreePolicy:
    """Which coefficients come from which source, from when to when, and what if they are missing.

    ``from`` and ``to`` are months, the last one included; without them the policy always holds.
    ``missing`` months are dropped, interpolated, kept as the field gives them, or end the run.
    """

    coefficients: tuple[Coefficient, ...]
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
        if len(set(self.coefficients)) < len(self.coefficients):
            found.append(("coefficients", "names a coefficient twice; name each once"))
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            found.append(("to", f"{self.to} is before from {self.from_}; exchange them"))
        return found


def _shared(policies: Sequence[LowDegreePolicy]) -> list[tuple[str, str]]:
    """Return coefficients that two policies replace in the same months, as (key, message)."""
    found = []
    for j, later in enumerate(policies):
        for i, former in enumerate(policies[:j]):
            begins = max(former.from_ or "", later.from_ or "")
            ends = min(former.to or "9999-12", later.to or "9999-12")
            names = [name for name in later.coefficients if name in former.coefficients]
            if names and begins <= ends:
                said = f"{', '.join(names)} has a source for the same months in low_degrees[{i}]"
                found.append((f"[{j}].coefficients", f"{said}; part them by from and to"))
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
        lacking = [term for term in ("bias", "trend") if term not in self.terms]
        if lacking:
            found.append(("terms", f"lacks {', '.join(lacking)}; a trend needs both"))
        if len(set(self.terms)) < len(self.terms):
            found.append(("terms", "names a term twice; name each once"))
        found += [(f"low_degrees{key}", said) for key, said in _shared(self.low_degrees)]
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
        found = []
        if not self.gravity:
            found.append(("gravity", "is empty, expected a collection of fields"))
        for role, names in (("gravity", self.gravity), ("gia", self.gia)):
            if len(set(names)) < len(names):
                found.append((role, "names a collection twice; name each once"))
        return found
