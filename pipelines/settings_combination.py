"""The choices of a combination run. Defaults are the paper's: Sasgen et al. (2019), section 2.3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pipelines.settings_reading import Bounds

Degree = Annotated[int, Bounds("a spherical-harmonic degree", 2, 8000)]


@dataclass(frozen=True)
class Taper:
    """Where gravimetry ends: full weight below ``degree − width``, none beyond ``degree``.

    ``intent`` lowers the weight as the text of section 2.3 says, ``printed`` multiplies the spread
    as its formula says, which raises the weight to 1 before it drops (record 0010).
    """

    degree: Degree = 90
    width: Annotated[int, Bounds("a number of degrees", 1, 1000)] = 5
    reading: Literal["intent", "printed"] = "intent"

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if self.width < self.degree:
            return []
        return [("width", f"found {self.width}, expected less than degree {self.degree}")]


@dataclass(frozen=True)
class Members:
    """Whether members count alike, or by how well their two spectra agree (section 4.2).

    Spectra are compared from ``lowest_degree`` to ``highest_degree``, or to where gravimetry ends.
    """

    weights: Literal["uniform", "inverse_mismatch", "exponential"] = "uniform"
    highest_degree: Degree = 60
    lowest_degree: Annotated[int, Bounds("a spherical-harmonic degree", 0, 8000)] = 2

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if self.lowest_degree <= self.highest_degree:
            return []
        said = f"found {self.lowest_degree}, expected at most highest_degree {self.highest_degree}"
        return [("lowest_degree", said)]


@dataclass(frozen=True)
class Transect:
    """A line across the map: ``waypoints`` are pairs of longitude and latitude [degrees]."""

    name: str
    longitudes: tuple[Annotated[float, Bounds("a longitude", -180.0, 360.0)], ...]
    latitudes: tuple[Annotated[float, Bounds("a latitude", -90.0, -50.0)], ...]

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        if len(self.longitudes) == len(self.latitudes) > 1:
            return []
        found = f"{len(self.longitudes)} longitudes and {len(self.latitudes)} latitudes"
        return [("longitudes", f"found {found}, expected as many of each, two at least")]


@dataclass(frozen=True)
class CombinationMap:
    """The map in EPSG:3031."""

    spacing_km: Annotated[float, Bounds("a number of kilometres", 5.0, 500.0)] = 40.0


@dataclass(frozen=True)
class CombinationChoices:
    """Everything that a scientist might question; every default is written into ``run.yaml``."""

    taper: Taper = field(default_factory=Taper)
    total_correction: Literal["none", "ad_hoc"] = "none"
    members: Members = field(default_factory=Members)
    quantiles: tuple[Annotated[float, Bounds("a probability", 0.0, 1.0)], ...] = (0.05, 0.5, 0.95)
    contribution_degrees: tuple[Degree, ...] = (40, 90, 150, 512)
    map: CombinationMap = field(default_factory=CombinationMap)
    transects: tuple[Transect, ...] = ()
    transect_spacing_km: Annotated[float, Bounds("a number of kilometres", 1.0, 100.0)] = 5.0
    batch: Annotated[int, Bounds("a number of keys per commit", 1, 10_000)] = 8

    def conflicts(self) -> list[tuple[str, str]]:
        """Return what does not fit together, as (key, message)."""
        names = [each.name for each in self.transects]
        if len(set(names)) < len(names) or any(" " in name for name in names):
            return [("transects", "has names that repeat or hold blanks; name each once")]
        return []


@dataclass(frozen=True)
class CombinationInputs:
    """Roles of a combination run.

    ``gravimetry`` and ``altimetry`` are the addresses of finished products, relative to the run
    file like every address; ``grounded_ice`` is a collection of the catalogue.
    """

    gravimetry: str
    altimetry: str
    grounded_ice: str

    ADDRESSES: ClassVar[tuple[str, ...]] = ("gravimetry", "altimetry")
