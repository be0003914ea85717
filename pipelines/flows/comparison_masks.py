"""The common mask as kernels: the regions as they are, and with a coast moved inwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cluster.ledger import Receipt
from pipelines import stored
from pipelines.flows import regions
from pipelines.geometry import margins
from pipelines.kernels import basins

if TYPE_CHECKING:
    import geopandas as gpd
    import zarr

    from pipelines.flows.comparison_inputs import Ground
    from pipelines.kernels.gravity import sphere

FLOAT = NDArray[np.float64]

MASK_DEGREE = 180
"""A narrower mask is a matter of tens of kilometres at the coast; fields end at 180 or above."""


def row_kernels(
    polygons: gpd.GeoDataFrame,
    *,
    degree: int,
    reading: sphere.Reading,
    orders: range | None = None,
) -> FLOAT:
    """Return the kernels of polygons and of their groups [m²], (row, 2, degree + 1, orders)."""
    kernels = regions.polygon_kernels(
        polygons, spacing_m=regions.RASTER_SPACING_M, degree=degree, reading=reading, orders=orders
    )
    return with_groups(polygons, kernels)


def with_groups(polygons: gpd.GeoDataFrame, kernels: FLOAT) -> FLOAT:
    """Return kernels of polygons with those of their groups after them."""
    matrix = basins.group_matrix(list(polygons.region), regions.groups_of(polygons))
    return np.concatenate([kernels, basins.group_kernels(matrix, kernels)])


def row_matrix(polygons: gpd.GeoDataFrame) -> FLOAT:
    """Return the matrix from polygons to rows, (row, polygon)."""
    matrix = basins.group_matrix(list(polygons.region), regions.groups_of(polygons))
    return np.concatenate([np.eye(len(polygons)), matrix])


@dataclass(frozen=True)
class MaskJob:
    """``mask``: what the regions lose where the coast moves inwards by a share of the area."""

    ground: Ground
    share: float

    def __call__(self, key: str, group: zarr.Group) -> Receipt:
        """Write the difference of the kernels, and of the areas."""
        from stac import boundaries

        polygons = self.ground.polygons()
        inner = margins.narrowed(boundaries.union(polygons), share=self.share)
        kept = polygons.geometry.intersection(inner)
        narrow = polygons.set_geometry(kept)
        whole, narrowed = (
            regions.polygon_kernels(
                table, spacing_m=regions.RASTER_SPACING_M, degree=MASK_DEGREE, reading="geocentric"
            )
            for table in (polygons, narrow)
        )
        stored.write(group, "mask_kernel", with_groups(polygons, narrowed - whole))
        lost = np.asarray(polygons.geometry.area - kept.area, dtype=np.float64)
        stored.write(group, "mask_area", row_matrix(polygons) @ lost)
        return Receipt(key, "done", inputs=(self.ground.regions.id,))
