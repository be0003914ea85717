"""Polygons as operators on spherical harmonics, for every product that sums over regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.kernels import basins, geodesy
from pipelines.kernels.constants import MEAN_RADIUS
from pipelines.kernels.gravity import legendre, sphere

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.catalogue_inputs import Source

FLOAT = NDArray[np.float64]

BUFFERED = "AIS_buffered"
"""The whole localised field, ocean buffer included (Sasgen et al. 2019, table 1, note)."""

GROUPS = ("EAIS", "WAIS", "AP")
"""Groups of basins that have a row of their own, where the polygons name them."""

ALL = "AIS"
"""Every polygon of the collection together."""

RASTER_SPACING_M = 2_000.0
"""Spacing of rasters of polygons, and of the points that stand for their outline [m]."""

FINE_DEGREE = 180
"""Above this degree the lattice that kernels are projected from has cells of half the size."""

REGIONS_AT_ONCE = 4
"""Regions on the fine lattice together: 80 MiB."""

LATTICE_STEP = 0.05
"""Rows of the lattice that region kernels are projected from [degrees], 5.6 km."""

LATTICE_STEP_LONGITUDE = 0.2
"""Columns of that lattice [degrees]; at 0.5° a region at 67° S lost 0.3 % of its own shape."""

LATTICE_EDGE = -55.0
"""North edge of that lattice [degrees]; regions are Antarctic."""


def groups_of(polygons: gpd.GeoDataFrame) -> dict[str, list[str]]:
    """Return the polygons of each group that has a row of its own, and of all together."""
    named = {name: list(polygons.region[polygons.group == name]) for name in GROUPS}
    return {**{name: ids for name, ids in named.items() if ids}, ALL: list(polygons.region)}


def region_names(polygons: gpd.GeoDataFrame) -> tuple[str, ...]:
    """Return the rows of the product: polygons, groups, all, and all with the buffer."""
    return (*polygons.region, *groups_of(polygons), BUFFERED)


def labels_at(polygons: gpd.GeoDataFrame, x: FLOAT, y: FLOAT) -> NDArray[np.int64]:
    """Return the row of the polygon that holds each point of EPSG:3031 [m], −1 for none.

    Read off a 2 km raster of the polygons.
    """
    from stac import boundaries

    columns, rows, labels = boundaries.rasterise(polygons, spacing_m=RASTER_SPACING_M)
    i = np.rint((x - columns[0]) / (columns[1] - columns[0])).astype(int)
    j = np.rint((y - rows[0]) / (rows[1] - rows[0])).astype(int)
    on = (i >= 0) & (i < len(columns)) & (j >= 0) & (j < len(rows))
    found = np.full(np.shape(x), -1, dtype=np.int64)
    found[on] = labels[j[on], i[on]]
    return found


@dataclass(frozen=True)
class KernelJob:
    """``kernels`` or ``kernels/0-64``: what a unit coefficient of surface mass density weighs.

    ``kernel[r, :, j, m] = a² ∫_r Y_jm dΩ``, so a mass is a plain sum of products. A key that names
    orders writes those alone.
    """

    regions: Source
    spacing_m: float
    degree: int
    reading: sphere.Reading

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the kernels of polygons, groups, all, and the buffered total."""
        polygons = self.regions.open_regions()
        orders = orders_of(key, degree=self.degree)
        kernels = polygon_kernels(
            polygons,
            spacing_m=self.spacing_m,
            degree=self.degree,
            reading=self.reading,
            orders=orders,
        )
        matrix = basins.group_matrix(list(polygons.region), groups_of(polygons))
        grouped = basins.group_kernels(matrix, kernels)
        buffered = np.zeros((1, *kernels.shape[1:]))
        if orders.start == 0:
            buffered[0, 0, 0, 0] = 4.0 * np.pi * MEAN_RADIUS**2
        part = slice(orders.start, orders.stop)
        whole = np.concatenate([kernels, grouped, buffered])
        stored.array(group, "region_kernel")[..., part] = whole
        return Receipt(key, "done", inputs=(self.regions.id,))


def orders_of(key: str, *, degree: int) -> range:
    """Return the orders that a key such as ``kernels/0-64`` names, all of them if it names none.

    Examples
    --------
    >>> orders_of("kernels/64-128", degree=512)
    range(64, 128)
    """
    first, _, after = key.partition("/")[2].partition("-")
    return range(int(first), int(after)) if after else range(degree + 1)


def polygon_kernels(
    polygons: gpd.GeoDataFrame,
    *,
    spacing_m: float,
    degree: int,
    reading: sphere.Reading,
    orders: range | None = None,
) -> FLOAT:
    """Return the kernel of each polygon [m²], shape (regions, 2, degree + 1, orders).

    All orders from 0 to the degree, unless ``orders`` names some.
    """
    from stac import boundaries

    columns, rows, labels = boundaries.rasterise(polygons, spacing_m=spacing_m)
    row, column = np.nonzero(labels >= 0)
    x, y = columns[column], rows[row]
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    area = geodesy.cell_areas(x, y, spacing_m)
    points = Points(
        sphere.latitude_on_sphere(latitude, reading=reading),
        longitude,
        MEAN_RADIUS**2 * sphere.solid_angle(area, latitude, reading=reading),
        labels[row, column].astype(np.int64),
    )
    wanted = range(degree + 1) if orders is None else orders
    return _lattice_kernels(points, len(polygons), degree=degree, orders=wanted)


class Points(NamedTuple):
    """Weighted points on the sphere: degrees, m², and the region of each."""

    latitude: FLOAT
    longitude: FLOAT
    weight: FLOAT
    region: NDArray[np.int64]


def _lattice_kernels(points: Points, count: int, *, degree: int, orders: range) -> FLOAT:
    """Return kernels from weighted points on a lattice, a few regions at a time.

    A wave of degree 512 has 78 km: 28 rows and, at 65° S, 17 columns of the fine lattice.
    """
    part = 1.0 if degree <= FINE_DEGREE else 0.5
    waves = []
    for first in range(0, count, REGIONS_AT_ONCE):
        n = min(REGIONS_AT_ONCE, count - first)
        mine = (points.region >= first) & (points.region < first + n)
        weights, latitude, longitude = basins.bin_to_lattice(
            points.latitude[mine],
            points.longitude[mine],
            points.weight[mine],
            points.region[mine] - first,
            n_regions=n,
            lat_step=part * LATTICE_STEP,
            lon_step=part * LATTICE_STEP_LONGITUDE,
            south_of=LATTICE_EDGE,
        )
        m_lam = np.radians(longitude)[:, None] * np.arange(orders.start, orders.stop)
        waves.append(np.stack([weights @ np.cos(m_lam), weights @ np.sin(m_lam)], axis=1))
    return _over_rows(np.concatenate(waves), latitude, degree=degree, orders=orders)


def _over_rows(waves: FLOAT, latitude: FLOAT, *, degree: int, orders: range) -> FLOAT:
    """Return Σ over rows of waves (region, part, row, order) times the Legendre functions."""
    rows = legendre.rows_at(latitude)
    kernels = np.zeros((*waves.shape[:2], degree + 1, len(orders)))
    for i, m in enumerate(orders):
        column = legendre.legendre(rows, j_max=degree, m=m)
        kernels[:, :, m:, i] = waves[..., i] @ column.T
    if orders.start == 0:
        kernels[:, 1, :, 0] = 0.0
    return kernels
