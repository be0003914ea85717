"""Maps and transects of a combination: both missions alone, and their combined members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import polar_maps, regions
from pipelines.flows.combination_arrays import SOURCES
from pipelines.flows.combination_spectra import Sources, moments, truncated
from pipelines.kernels import geodesy
from pipelines.kernels.gravity import filters, harmonics, sphere
from pipelines.kernels.gravity.combination import Combination
from pipelines.kernels.mixed_ensembles import MixedEnsemble

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.catalogue_inputs import Source
    from pipelines.settings_combination import CombinationChoices

FLOAT = NDArray[np.float64]

DISPLAY_RADIUS_KM = 145.0
"""Gaussian half-width of the map of gravimetry alone, 1.3° (Sasgen et al., 2019, figure 4) [km]."""


@dataclass(frozen=True)
class Ice:
    """Polygons that say where ice is grounded, and which of it is counted."""

    grounded: Source
    regions: Source


@dataclass(frozen=True)
class Fields:
    """Values of both missions alone, and of what each adds to the combination, at points."""

    gravimetry: MixedEnsemble
    altimetry: MixedEnsemble
    combined: Combination


def fields_at(
    sources: Sources, group: zarr.Group, latitude: FLOAT, longitude: FLOAT, *, degree: int
) -> Fields:
    """Return all ensembles at points on the sphere [degrees], shape (p,), up to a degree."""
    held = stored.read(group, "weight_gravimetry")
    end = min(held.shape[-1] - 1, degree)
    weight = harmonics.truncate(held, end)

    def at(ensemble: MixedEnsemble) -> MixedEnsemble:
        return ensemble.through(lambda b: harmonics.synthesise_at(b, latitude, longitude))

    gravimetry = sources.gravimetry_members()
    altimetry = sources.altimetry_to_degree(degree)
    taken = at(truncated(altimetry, end).scaled(weight))
    alone = at(altimetry)
    left = MixedEnsemble(alone.basis - taken.basis, alone.mixing)
    return Fields(
        at(gravimetry), alone, Combination(at(truncated(gravimetry, end).scaled(weight)), left)
    )


def correction_on_ice(
    group: zarr.Group, ice: Ice, x: FLOAT, y: FLOAT, *, applied: bool
) -> tuple[FLOAT, NDArray[np.bool_]]:
    """Return what the correction of the total adds at points of EPSG:3031, and which are on ice.

    It is spread over the grounded ice inside the regions, whose area it was divided by.
    """
    on_ice = regions.labels_at(ice.grounded.open_regions(), x, y) >= 0
    if not applied:
        return np.zeros(on_ice.shape), on_ice
    counted = on_ice & (regions.labels_at(ice.regions.open_regions(), x, y) >= 0)
    density = float(stored.read(group, "total_correction")[0])
    return np.where(counted, density, 0.0), on_ice


@dataclass(frozen=True)
class MapJob:
    """``map/2``: a band of all maps with its mirror image."""

    sources: Sources
    choices: CombinationChoices
    ice: Ice
    degree: int
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write mean and spread of gravimetry, altimetry and combination, and the quantiles."""
        x, y = stored.read(group, "x"), stored.read(group, "y")
        bands = polar_maps.bands_of(key, len(y))
        rows = np.concatenate([y[band] for band in bands])
        at = polar_maps.nodes(x, rows, reading=self.reading)
        fields = fields_at(self.sources, group, *at, degree=self.degree)
        mean, variance = moments(fields.combined, stored.read(group, "member_weight"))
        nodes = (axis.ravel() for axis in np.meshgrid(x, rows))
        applied = self.choices.total_correction == "ad_hoc"
        added, _ = correction_on_ice(group, self.ice, *nodes, applied=applied)
        written = {
            "mass_rate": mean + added,
            "mass_rate_sigma": np.sqrt(variance),
            "gravimetry_mass_rate": fields.gravimetry.mean(),
            "gravimetry_mass_rate_sigma": np.sqrt(fields.gravimetry.variance()),
            "gravimetry_mass_rate_gaussian": self._smooth(at),
            "altimetry_mass_rate": fields.altimetry.mean(),
            "altimetry_mass_rate_sigma": np.sqrt(fields.altimetry.variance()),
        }
        shape = (len(rows), len(x))
        for name, values in written.items():
            polar_maps.write_bands(group, name, values.reshape(shape), bands)
        if self.choices.quantiles:
            found = fields.combined.quantiles(self.choices.quantiles) + added
            self._write_quantiles(group, found.reshape(-1, *shape), bands)
        return Receipt(key, "done")

    def _smooth(self, at: tuple[FLOAT, FLOAT]) -> FLOAT:
        """Return gravimetry's mean without its stripes, for display (figure 4 of the paper)."""
        mean = self.sources.gravimetry_members().mean()
        gaussian = filters.gaussian_weights(mean.shape[-1] - 1, radius_km=DISPLAY_RADIUS_KM)
        return harmonics.synthesise_at(mean * gaussian[:, None], *at)

    def _write_quantiles(self, group: zarr.Group, values: FLOAT, bands: tuple[slice, ...]) -> None:
        first = 0
        for band in bands:
            count = band.stop - band.start
            held = stored.array(group, "mass_rate_quantile")
            held[:, band] = values[:, first : first + count]
            first += count


@dataclass(frozen=True)
class Line:
    """A sampled transect: geodetic coordinates [degrees] of points at equal distances."""

    name: str
    latitude: FLOAT
    longitude: FLOAT


@dataclass(frozen=True)
class TransectJob:
    """``transects``: gravimetry, altimetry and combination along lines (figure 6)."""

    sources: Sources
    choices: CombinationChoices
    ice: Ice
    lines: tuple[Line, ...]
    degree: int
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write every line; shorter lines end with missing values."""
        shape = stored.array(group, "transect_latitude").shape
        curves = np.full((2, len(SOURCES), *shape), np.nan)
        places = {name: np.full(shape, np.nan) for name in ("latitude", "longitude", "grounded")}
        for i, line in enumerate(self.lines):
            part = slice(0, len(line.latitude))
            curves[:, :, i, part], on_ice = self._curves(group, line)
            places["latitude"][i, part] = line.latitude
            places["longitude"][i, part] = line.longitude
            places["grounded"][i, part] = on_ice
        stored.write(group, "transect_mass_rate", curves[0])
        stored.write(group, "transect_mass_rate_sigma", curves[1])
        for name, values in places.items():
            stored.write(group, f"transect_{name}", values)
        return Receipt(key, "done")

    def _curves(self, group: zarr.Group, line: Line) -> tuple[FLOAT, NDArray[np.bool_]]:
        """Return mean and spread of each source along a line (2, source, p), and what is ice."""
        on_sphere = sphere.latitude_on_sphere(line.latitude, reading=self.reading)
        fields = fields_at(self.sources, group, on_sphere, line.longitude, degree=self.degree)
        mean, variance = moments(fields.combined, stored.read(group, "member_weight"))
        x, y = geodesy.polar_stereographic(line.latitude, line.longitude)
        applied = self.choices.total_correction == "ad_hoc"
        added, on_ice = correction_on_ice(group, self.ice, x, y, applied=applied)
        alone = (fields.gravimetry, fields.altimetry)
        means = [*(each.mean() for each in alone), mean + added]
        spreads = np.sqrt([*(each.variance() for each in alone), variance])
        return np.stack([means, spreads]), on_ice
