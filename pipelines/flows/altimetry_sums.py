"""Sums over regions, power by degree and the map of an altimetry ensemble, from its basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import polar_maps, regions
from pipelines.flows.spectra import order_blocks, read_orders, read_to_degree
from pipelines.kernels import basins, geodesy, mixed_ensembles
from pipelines.kernels.altimetry import gap_filling
from pipelines.kernels.gravity import harmonics, sphere

if TYPE_CHECKING:
    import zarr

    from pipelines.flows.catalogue_inputs import Source

FLOAT = NDArray[np.float64]


@dataclass(frozen=True)
class RegionJob:
    """``regions``: mass rates of regions, their covariance, power by degree, filled fractions."""

    regions: Source
    heights: int
    models: int

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the sums, a block of orders at a time."""
        mixing = stored.read(group, "mixing")
        parts = {"": mixing, **self._parts(mixing)}
        sums = np.zeros(stored.array(group, "region_mass_rate_basis").shape)
        power = np.zeros(stored.array(group, "degree_power").shape)
        spread = {name: np.zeros(power.shape) for name in parts}
        for orders in order_blocks(group, "mass_rate_basis"):
            basis = read_orders(group, "mass_rate_basis", orders)
            kernels = read_orders(group, "region_kernel", orders)
            sums += basis.reshape(len(basis), -1) @ kernels.reshape(len(kernels), -1).T
            mean = mixed_ensembles.mixed_mean(basis, mixing)
            power += np.square(mean).sum(axis=(0, 2))
            for name, rows in parts.items():
                spread[name] += mixed_ensembles.mixed_variance(basis, rows).sum(axis=(0, 2))
        stored.write(group, "region_mass_rate_basis", sums)
        stored.write(group, "region_mass_rate", mixed_ensembles.mixed_mean(sums, mixing))
        covariance = mixed_ensembles.mixed_covariance(sums, mixing)
        stored.write(group, "region_mass_rate_covariance", covariance)
        stored.write(group, "degree_power", power)
        for name, values in spread.items():
            stored.write(group, f"degree_power_spread{name}", values)
        self._write_filled(group)
        return Receipt(key, "done", inputs=(self.regions.id,))

    def _parts(self, mixing: FLOAT) -> dict[str, FLOAT]:
        """Return the mixing averaged over density models, and over rates: what each alone does."""
        by_model = mixing.reshape(self.models, self.heights, -1)
        return {"_heights": by_model.mean(axis=0), "_models": by_model.mean(axis=1)}

    def _write_filled(self, group: zarr.Group) -> None:
        """Write which fraction of each region's area was filled, and the area itself."""
        x, y = stored.read(group, "x_grid"), stored.read(group, "y_grid")
        polygons = self.regions.open_regions()
        labels = regions.labels_at(polygons, *np.meshgrid(x, y))
        area = geodesy.cell_areas(*np.meshgrid(x, y), float(x[1] - x[0]))
        matrix = basins.group_matrix(list(polygons.region), regions.groups_of(polygons))
        whole = np.concatenate([np.eye(len(polygons)), matrix, matrix[-1:]])
        on_ice = np.where(stored.read(group, "is_grounded") > 0.0, area, 0.0)
        count = len(polygons)
        areas = np.bincount(labels[labels >= 0], on_ice[labels >= 0], minlength=count)
        stored.write(group, "region_area", whole @ areas)
        fractions = np.zeros((self.heights, count))
        for height in range(self.heights):
            filled = stored.read(group, "is_filled", height) > 0.0
            fractions[height] = gap_filling.filled_fraction(filled, labels, on_ice, regions=count)
        joined = np.where(np.isnan(fractions), 0.0, fractions * areas) @ whole.T
        total = whole @ areas
        missing = np.full(joined.shape, np.nan)
        fraction = np.divide(joined, total, out=missing, where=total > 0.0)
        stored.write(group, "region_filled_fraction", fraction)


@dataclass(frozen=True)
class MapJob:
    """``map/2``: a band of the map with its mirror image, mean and spread of the members."""

    degree: int
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the bands of both maps."""
        x, y = stored.read(group, "x"), stored.read(group, "y")
        bands = polar_maps.bands_of(key, len(y))
        rows = np.concatenate([y[band] for band in bands])
        latitude, longitude = polar_maps.nodes(x, rows, reading=self.reading)
        basis = read_to_degree(group, "mass_rate_basis", self.degree)
        at = harmonics.synthesise_at(basis, latitude, longitude)
        mean, variance = mixed_ensembles.mixed_moments(at, stored.read(group, "mixing"))
        for name, field in (("mass_rate", mean), ("mass_rate_sigma", np.sqrt(variance))):
            polar_maps.write_bands(group, name, field.reshape(len(rows), len(x)), bands)
        return Receipt(key, "done")
