"""What pixels of elevation rates hold: true areas, parts inside polygons, members of a product."""

import geopandas as gpd
import numpy as np
import pyproj
import shapely
import zarr
from numpy.typing import NDArray

from pipelines import stored

FLOAT = NDArray[np.float64]


def true_areas(x: FLOAT, y: FLOAT) -> FLOAT:
    """Integrate the areal scale of PROJ over square pixels, 4 × 4 Gauss points each [m²]."""
    node, weight = np.polynomial.legendre.leggauss(4)
    half = abs(x[1] - x[0]) / 2.0
    to_geographic = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    polar = pyproj.Proj(3031)
    area = np.zeros((len(y), len(x)))
    for u, w_u in zip(node, weight, strict=True):
        for v, w_v in zip(node, weight, strict=True):
            at = to_geographic.transform(*np.meshgrid(x + half * u, y + half * v))
            area += w_u * w_v * half**2 / polar.get_factors(*at).areal_scale
    return area


def part_held(polygons: gpd.GeoDataFrame, x: FLOAT, y: FLOAT) -> FLOAT:
    """Return the part of each cell that polygons hold, from 8 × 8 points in it, flattened."""
    union = polygons.union_all()
    shapely.prepare(union)
    step = abs(x[1] - x[0])
    offset = step * ((np.arange(8) + 0.5) / 8 - 0.5)
    fine_x, fine_y = (np.add.outer(axis, offset).ravel() for axis in (x, y))
    held = shapely.contains_xy(union, *np.meshgrid(fine_x, fine_y))
    return np.asarray(held.reshape(len(y), 8, len(x), 8).mean(axis=(1, 3)).ravel())


def members_of(product: zarr.Group, name: str) -> FLOAT:
    """Write out all members of a basis."""
    return np.tensordot(stored.read(product, "mixing"), stored.read(product, name), axes=1)
