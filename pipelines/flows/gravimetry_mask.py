"""The localisation mask of gravimetry, made once per run from polygons of grounded ice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import regions
from pipelines.kernels import geodesy
from pipelines.kernels.gravity import harmonics, localisation, sphere

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.catalogue_inputs import Source

FLOAT = NDArray[np.float64]

MASK_ROWS = 720
"""Gauss-Legendre rows that sample the mask, 0.25° apart: its slopes are 100 km wide or 0.9°."""


@dataclass(frozen=True)
class MaskJob:
    """``mask``: 1 near grounded ice, 0 far from it, linear between, in spherical harmonics.

    Sasgen et al. (2019), section 2.1 and equation 2.
    """

    grounded_ice: Source
    degree: int
    inner_km: float
    outer_km: float
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the coefficients of the mask."""
        polygons = self.grounded_ice.open_regions()
        grid = harmonics.gauss_legendre(MASK_ROWS)
        field = np.zeros((len(grid.latitude), len(grid.longitude)))
        south = grid.latitude < regions.LATTICE_EDGE
        field[south] = self._mask(polygons, grid.latitude[south], grid.longitude)
        coefficients = harmonics.analyse(field, grid, j_max=self.degree)
        stored.write(group, "mask", coefficients)
        return Receipt(key, "done", inputs=(self.grounded_ice.id,))

    def _mask(self, polygons: gpd.GeoDataFrame, latitude: FLOAT, longitude: FLOAT) -> FLOAT:
        """Return the mask at rows × columns, latitude as the harmonics have it."""
        from stac import boundaries

        outline_lat, outline_lon = boundaries.boundary_points(
            polygons, spacing_m=regions.RASTER_SPACING_M
        )
        outline_lat = sphere.latitude_on_sphere(outline_lat, reading=self.reading)
        lat, lon = (a.ravel() for a in np.meshgrid(latitude, longitude, indexing="ij"))
        distance = localisation.distance_to_points(lat, lon, outline_lat, outline_lon)
        geodetic = lat if self.reading == "geographic" else geodesy.geodetic_latitude(lat)
        x, y = geodesy.polar_stereographic(geodetic, lon)
        distance[regions.labels_at(polygons, x, y) >= 0] = 0.0
        mask = localisation.buffer_mask(distance, inner_km=self.inner_km, outer_km=self.outer_km)
        return np.asarray(mask).reshape(len(latitude), len(longitude))
