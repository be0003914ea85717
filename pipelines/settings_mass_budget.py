"""The choices of a mass-budget run. Defaults are the paper's: Yang et al. (2023), section 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipelines.settings_reading import Bounds

Kilometres = Annotated[float, Bounds("a number of kilometres", 0.01, 1000.0)]
Share = Annotated[float, Bounds("a share of the variance", 0.0, 1.0)]
Relative = Annotated[float, Bounds("a fraction", 0.0, 5.0)]
Year = Annotated[int, Bounds("a year", 1900, 2200)]
Rate = Annotated[float, Bounds("a rate in Gt/yr", -10_000.0, 10_000.0)]
Spread = Annotated[float, Bounds("a standard deviation", 0.0, 10_000.0)]


@dataclass(frozen=True)
class Layer:
    """One source of velocity, tried where those before it have nothing.

    ``year`` takes the map of the year itself, ``nearest_year`` that nearest in time, ``trend`` a
    line in time through two maps by component, ``static`` one map for all years.
    """

    collection: str
    use: Literal["year", "nearest_year", "trend", "static"] = "year"
    sampling: Literal["bilinear", "nearest"] = "bilinear"
    before: Year | None = None


@dataclass(frozen=True)
class Mosaic:
    """A way of making each year's velocity complete: its layers, in order."""

    name: str
    layers: tuple[Layer, ...]

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if not self.layers:
            return [("layers", "is empty, expected one collection of velocity at least")]
        if self.layers[0].use != "year":
            said = f"begins with use {self.layers[0].use!r}; the first layer's maps are the years"
            return [("layers", said)]
        return []


@dataclass(frozen=True)
class Gates:
    """How lines become nodes, and which lines are made from the grounding line itself."""

    spacing_km: Kilometres = 0.5
    snap_km: Annotated[float, Bounds("a number of kilometres", 0.0, 100.0)] = 2.0
    only: tuple[str, ...] = ()
    generate_km: tuple[Annotated[float, Bounds("a number of kilometres", 0.1, 200.0)], ...] = ()
    smallest_km2: Annotated[float, Bounds("an area in km2", 0.0, 1e7)] = 1000.0
    open_: Literal["flow", "as_drawn"] = "flow"


@dataclass(frozen=True)
class Structure:
    """Shares of a term's variance: common to all nodes, correlated over a length, of its own."""

    systematic: Share = 0.0
    correlated: Share = 1.0
    random: Share = 0.0

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        total = self.systematic + self.correlated + self.random
        if abs(total - 1.0) < 1e-9:
            return []
        return [
            ("systematic", f"shares sum to {total:g}, expected 1: systematic + correlated + random")
        ]


@dataclass(frozen=True)
class Uncertainty:
    """Sizes and structures of the errors (record 0018)."""

    correlation_km: Annotated[float, Bounds("a number of kilometres", 0.1, 2000.0)] = 20.0
    random_length_km: Kilometres = 0.5
    thickness: Structure = field(default_factory=Structure)
    thickness_sigma_m: Annotated[float, Bounds("metres", 0.0, 5000.0)] = 100.0
    velocity: Structure = field(default_factory=Structure)
    velocity_sigma_m_per_yr: Annotated[float, Bounds("a speed in m/yr", 0.0, 5000.0)] = 10.0
    density_sigma: Annotated[float, Bounds("a density in kg m-3", 0.0, 500.0)] = 5.0
    surface_mass_balance: Relative = 0.2
    surface_mass_balance_between_regions: Literal["independent", "common"] = "independent"
    dynamic_volume: Relative = 0.4
    elevation_rate_sigma_m_per_yr: Annotated[float, Bounds("a rate in m/yr", 0.0, 100.0)] = 0.0
    basal_melt: Relative = 0.5
    members: Annotated[int, Bounds("a number of members", 0, 1_000_000)] = 1000
    seed: Annotated[int, Bounds("a seed", 0, 2**31)] = 1


@dataclass(frozen=True)
class Epoch:
    """Some years together, with a weight for each; without weights they count alike."""

    name: str
    years: tuple[str, ...]
    weights: tuple[Annotated[float, Bounds("a weight", 0.0, 1e6)], ...] = ()

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if not self.years:
            return [("years", "is empty, expected labels such as '2007-2008'")]
        if self.weights and len(self.weights) != len(self.years):
            found = f"{len(self.weights)} weights for {len(self.years)} years"
            return [("weights", f"found {found}, expected one each, or none")]
        return []


PAPER_EPOCHS = (
    Epoch("2000", ("2000-2001",)),
    Epoch("2007-2011", ("2007-2008", "2008-2009", "2010-2011")),
    Epoch("2013-2017", ("2013-2014", "2014-2015", "2015-2016", "2016-2017")),
    Epoch("2017-2020", ("2017-2018", "2018-2019", "2019-2020")),
)
"""Yang et al. (2023), table 1."""


@dataclass(frozen=True)
class Replacement:
    """A region whose balance is taken from elsewhere; the native one is always reported too."""

    region: str
    value: Rate
    uncertainty: Spread
    source: str


@dataclass(frozen=True)
class Extension:
    """How a climate model that ends early is continued by a reanalysis.

    The fit is to the calendar years from ``first_year`` to ``last_year``; without them, to all
    that both records have whole.
    """

    method: Literal["ratio", "regression"] = "ratio"
    first_year: Year | None = None
    last_year: Year | None = None
    folds: Annotated[int, Bounds("a number of folds", 2, 100)] = 5


@dataclass(frozen=True)
class Part:
    """A climate model for some regions or groups of them; without regions, for all."""

    collection: str
    regions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Model:
    """One surface mass balance: a climate model, or several for different regions (section 2.4)."""

    name: str
    parts: tuple[Part, ...]

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        return [] if self.parts else [("parts", "is empty, expected a collection at least")]


@dataclass(frozen=True)
class SurfaceMassBalance:
    """Which months make a year, what a missing coast is, and how records are continued.

    ``months`` are those of the velocity's own interval; or of the calendar year in which it begins,
    in which it ends, or of both by parts: the paper does not say which (record 0019).
    """

    months: Literal["velocity", "calendar", "calendar_end", "calendar_both"] = "velocity"
    coast: Literal["renormalise", "as_missing"] = "renormalise"
    extension: Extension = field(default_factory=Extension)
    models: tuple[Model, ...] = ()


@dataclass(frozen=True)
class VelocityMap:
    """Gridded mosaics of the first way, for maps of velocity change; 0 makes none."""

    spacing_km: Annotated[float, Bounds("a number of kilometres", 0.0, 100.0)] = 10.0


@dataclass(frozen=True)
class MassBudgetChoices:
    """Everything that a scientist might question; every default is written into ``run.yaml``."""

    density: Annotated[float, Bounds("a density in kg m-3", 1.0, 2000.0)] = 917.0
    mosaics: tuple[Mosaic, ...] = ()
    gates: Gates = field(default_factory=Gates)
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    epochs: tuple[Epoch, ...] = PAPER_EPOCHS
    mean: Literal["years", "epochs"] = "years"
    surface_mass_balance: SurfaceMassBalance = field(default_factory=SurfaceMassBalance)
    replacements: tuple[Replacement, ...] = ()
    largest_gap: Annotated[float, Bounds("a fraction of a gate", 0.0, 1.0)] = 0.05
    map: VelocityMap = field(default_factory=VelocityMap)
    contributor: str = "nunatak"
    nodes_per_task: Annotated[int, Bounds("a number of nodes", 256, 10_000_000)] = 32_768
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        for key, names in (
            ("mosaics", [each.name for each in self.mosaics]),
            ("epochs", [each.name for each in self.epochs]),
            (
                "surface_mass_balance.models",
                [each.name for each in self.surface_mass_balance.models],
            ),
            ("replacements", [each.region for each in self.replacements]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                found.append((key, f"names {', '.join(twice)} more than once; name each once"))
        return found


@dataclass(frozen=True)
class MassBudgetInputs:
    """Roles of a mass-budget run: collections of the catalogue, or ``COLLECTION/ITEM``.

    More than one of ``thickness``, ``gates`` or ``surface_mass_balance`` make an ensemble, as do
    several ``mass_budget.mosaics`` and ``gates.generate_km``.
    """

    velocity: tuple[str, ...]
    thickness: tuple[str, ...]
    grounded_ice: str
    gates: tuple[str, ...] = ()
    surface_mass_balance: tuple[str, ...] = ()
    reanalysis: str | None = None
    elevation_rate: str | None = None
    basal_melt: str | None = None

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        found = []
        for key in ("velocity", "thickness", "gates", "surface_mass_balance"):
            names = getattr(self, key)
            if len(set(names)) < len(names):
                found.append((key, "names one collection twice; name each once"))
        found += [
            (key, "is empty, expected a collection at least")
            for key in ("velocity", "thickness")
            if not getattr(self, key)
        ]
        return found
