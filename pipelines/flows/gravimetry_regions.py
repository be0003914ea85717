"""Polygons to spectral operators: the localisation mask and one kernel per region.

Both are made once per run, on a worker, from the polygons of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.kernels import basins, geodesy
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import harmonics, localisation, sphere

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.gravimetry_inputs import Source

FLOAT = NDArray[np.float64]

BUFFERED = "AIS_buffered"
"""The whole localised field, ocean buffer included (Sasgen et al. 2019, table 1, note)."""

GROUPS = ("EAIS", "WAIS", "AP")
"""Groups of basins that have a row of their own, where the polygons name them."""

ALL = "AIS"
"""Every polygon of the collection together."""

MASK_ROWS = 720
"""Gauss-Legendre rows that sample the mask, 0.25° apart: its slopes are 100 km wide or 0.9°."""

OUTLINE_SPACING_M = 2_000.0
"""Spacing of the points that stand for the grounding line: 2 km moves 200 km by 2.5 m at most."""

LATTICE_STEP = 0.05
"""Rows of the lattice that region kernels are projected from [degrees], 5.6 km."""

LATTICE_STEP_LONGITUDE = 0.2
"""Columns of that lattice [degrees]; at 0.5° a region at 67° S lost 0.3 % of its own shape."""

LATTICE_EDGE = -55.0
"""North edge of that lattice [degrees]; regions are Antarctic."""


def region_names(polygons: gpd.GeoDataFrame) -> tuple[str, ...]:
    """Return the rows of the product: polygons, groups, all, and all with the buffer."""
    return (*polygons.region, *groups_of(polygons), BUFFERED)


def groups_of(polygons: gpd.GeoDataFrame) -> dict[str, list[str]]:
    """Return the polygons of each group that has a row of its own, and of all together."""
    named = {name: list(polygons.region[polygons.group == name]) for name in GROUPS}
    return {**{name: ids for name, ids in named.items() if ids}, ALL: list(polygons.region)}


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
        south = grid.latitude < LATTICE_EDGE
        field[south] = self._mask(polygons, grid.latitude[south], grid.longitude)
        coefficients = harmonics.analyse(field, grid, j_max=self.degree)
        stored.write(group, "mask", coefficients)
        return Receipt(key, "done", inputs=(self.grounded_ice.id,))

    def _mask(self, polygons: gpd.GeoDataFrame, latitude: FLOAT, longitude: FLOAT) -> FLOAT:
        """Return the mask at rows × columns, latitude as the harmonics have it."""
        from stac import boundaries

        outline_lat, outline_lon = boundaries.boundary_points(polygons, spacing_m=OUTLINE_SPACING_M)
        outline_lat = sphere.latitude_on_sphere(outline_lat, reading=self.reading)
        lat, lon = (a.ravel() for a in np.meshgrid(latitude, longitude, indexing="ij"))
        distance = localisation.distance_to_points(lat, lon, outline_lat, outline_lon)
        geodetic = lat if self.reading == "geographic" else geodesy.geodetic_latitude(lat)
        x, y = geodesy.polar_stereographic(geodetic, lon)
        distance[_inside(polygons, x, y)] = 0.0
        mask = localisation.buffer_mask(distance, inner_km=self.inner_km, outer_km=self.outer_km)
        return np.asarray(mask).reshape(len(latitude), len(longitude))


def _inside(polygons: gpd.GeoDataFrame, x: FLOAT, y: FLOAT) -> NDArray[np.bool_]:
    """Return which points lie on a 2 km raster of the polygons."""
    from stac import boundaries

    columns, rows, labels = boundaries.rasterise(polygons, spacing_m=OUTLINE_SPACING_M)
    i = np.rint((x - columns[0]) / (columns[1] - columns[0])).astype(int)
    j = np.rint((y - rows[0]) / (rows[1] - rows[0])).astype(int)
    on = (i >= 0) & (i < len(columns)) & (j >= 0) & (j < len(rows))
    inside = np.zeros(x.shape, dtype=bool)
    inside[on] = labels[j[on], i[on]] >= 0
    return inside


@dataclass(frozen=True)
class KernelJob:
    """``kernels``: for each region, what a unit coefficient of surface mass density weighs there.

    ``kernel[r, :, j, m] = a² ∫_r Y_jm dΩ``, so a mass is a plain sum of products.
    """

    regions: Source
    spacing_m: float
    degree: int
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the kernels of polygons, groups, all, and the buffered total."""
        polygons = self.regions.open_regions()
        kernels = polygon_kernels(
            polygons, spacing_m=self.spacing_m, degree=self.degree, reading=self.reading
        )
        matrix = basins.group_matrix(list(polygons.region), groups_of(polygons))
        grouped = basins.group_kernels(matrix, kernels)
        buffered = np.zeros((1, *kernels.shape[1:]))
        buffered[0, 0, 0, 0] = 4.0 * np.pi * MEAN_RADIUS**2
        stored.write(group, "region_kernel", np.concatenate([kernels, grouped, buffered]))
        return Receipt(key, "done", inputs=(self.regions.id,))


def polygon_kernels(
    polygons: gpd.GeoDataFrame, *, spacing_m: float, degree: int, reading: sphere.Reading
) -> FLOAT:
    """Return the kernel of each polygon [m²], shape (regions, 2, degree + 1, degree + 1)."""
    from stac import boundaries

    columns, rows, labels = boundaries.rasterise(polygons, spacing_m=spacing_m)
    row, column = np.nonzero(labels >= 0)
    x, y = columns[column], rows[row]
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    area = geodesy.cell_areas(x, y, spacing_m)
    weight = MEAN_RADIUS**2 * sphere.solid_angle(area, latitude, reading=reading)
    weights, lat, lon = basins.bin_to_lattice(
        sphere.latitude_on_sphere(latitude, reading=reading),
        longitude,
        weight,
        labels[row, column].astype(np.int64),
        n_regions=len(polygons),
        lat_step=LATTICE_STEP,
        lon_step=LATTICE_STEP_LONGITUDE,
        south_of=LATTICE_EDGE,
    )
    return harmonics.project_rows(weights, lat, lon, j_max=degree)
