"""The choices of an altimetry run. Defaults are the paper's: Sasgen et al. (2019), appendix A."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipelines.settings_reading import Bounds

Model = Literal["ice", "mean", "fast_or_lowering", "surface_processes"]
Fit = Literal["M1", "M2", "M3", "M4"]
Density = Annotated[float, Bounds("a density in kg m-3", 1.0, 2000.0)]


@dataclass(frozen=True)
class Fits:
    """How along-track heights become gridded rates; gridded rates pass these choices by."""

    models: tuple[Fit, ...] = ("M1", "M2", "M3", "M4")
    pixel_km: Annotated[float, Bounds("a number of kilometres", 0.5, 20.0)] = 2.0
    radius_km: Annotated[float, Bounds("a number of kilometres", 1.0, 200.0)] = 25.0
    spacing_km: Annotated[float, Bounds("a number of kilometres", 1.0, 100.0)] = 5.0
    least_points: Annotated[int, Bounds("a number of points", 3, 10_000)] = 15
    least_years: Annotated[float, Bounds("a number of years", 0.0, 100.0)] = 2.0
    rejection: Annotated[float, Bounds("a number of standard deviations", 1.0, 100.0)] = 3.0

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        return _repeated("models", self.models)


@dataclass(frozen=True)
class Densities:
    """How elevation becomes mass: appendix A and equation A1 of Sasgen et al. (2019).

    The paper gives no thresholds of fast flow and fast lowering; ours are in record 0012.
    """

    models: tuple[Model, ...] = ("ice", "mean", "fast_or_lowering", "surface_processes")
    ice: Density = 910.0
    mean: Density = 650.0
    snow: Density = 300.0
    fast_m_per_yr: Annotated[float, Bounds("a speed in m/yr", 0.0, 20_000.0)] = 50.0
    lowering_m_per_yr: Annotated[float, Bounds("a rate in m/yr", 0.0, 100.0)] = 0.3

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        return _repeated("models", self.models)


@dataclass(frozen=True)
class GapFilling:
    """Inverse-distance weighting of measured pixels into gaps inside the grounding line."""

    neighbours: Annotated[int, Bounds("a number of pixels", 1, 1000)] = 16
    power: Annotated[float, Bounds("a power of distance", 0.5, 8.0)] = 2.0


@dataclass(frozen=True)
class Cells:
    """The latitude-longitude cells that are analysed."""

    step_degrees: Annotated[float, Bounds("a number of degrees", 0.01, 2.0)] = 0.2
    north: Annotated[float, Bounds("a latitude", -85.0, -50.0)] = -58.0


@dataclass(frozen=True)
class AltimetryMap:
    """The map in EPSG:3031."""

    spacing_km: Annotated[float, Bounds("a number of kilometres", 5.0, 500.0)] = 40.0


@dataclass(frozen=True)
class AltimetryChoices:
    """Everything that a scientist might question; every default is written into ``run.yaml``."""

    j_max: Annotated[int, Bounds("a spherical-harmonic degree", 2, 8000)] = 512
    cells: Cells = field(default_factory=Cells)
    quadrature: Literal["cell", "fejer", "exact"] = "cell"
    regridding: Literal["conservative", "bilinear"] = "conservative"
    gaps: Literal["refuse", "union", "each"] = "refuse"
    largest_rate_m_per_yr: Annotated[float, Bounds("a rate in m/yr", 0.1, 1e6)] = 100.0
    gap_filling: GapFilling = field(default_factory=GapFilling)
    fits: Fits = field(default_factory=Fits)
    density: Densities = field(default_factory=Densities)
    latitude: Literal["geocentric", "geographic"] = "geocentric"
    region_spacing_km: Annotated[float, Bounds("a number of kilometres", 0.5, 50.0)] = 2.0
    map: AltimetryMap = field(default_factory=AltimetryMap)
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        carried = round(180.0 / self.cells.step_degrees) - 1
        if self.j_max <= carried:
            return []
        said = (
            f"found {self.j_max}, but cells of {self.cells.step_degrees:g} degrees carry degrees "
            f"up to {carried}; lower j_max or cells.step_degrees"
        )
        return [("j_max", said)]


def _repeated(key: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    if not names:
        return [(key, "is empty, expected one name at least")]
    if len(set(names)) < len(names):
        return [(key, "names one twice; name each once")]
    return []


@dataclass(frozen=True)
class AltimetryInputs:
    """Roles of an altimetry run: collections of the catalogue, or ``COLLECTION/ITEM``."""

    elevation_rate: tuple[str, ...]
    grounded_ice: str
    velocity: str | None = None
    surface_processes: str | None = None
    surface_elevation: str | None = None

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if not self.elevation_rate:
            return [("elevation_rate", "is empty, expected a collection of rates or of granules")]
        return _repeated("elevation_rate", self.elevation_rate)
