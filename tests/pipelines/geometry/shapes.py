"""Gates and basins of known shape, in EPSG:3031."""

import geopandas as gpd
import numpy as np
import shapely
from hypothesis import strategies as st


def gate_table(shapes: dict[str, shapely.Geometry]) -> gpd.GeoDataFrame:
    """Gates by name."""
    return gpd.GeoDataFrame({"gate": list(shapes)}, geometry=list(shapes.values()), crs=3031)


def region_table(shapes: dict[str, shapely.Geometry]) -> gpd.GeoDataFrame:
    """Regions by name."""
    return gpd.GeoDataFrame({"region": list(shapes)}, geometry=list(shapes.values()), crs=3031)


def disc(x: float, y: float, radius: float, *, n: int = 360) -> shapely.Polygon:
    """A disc of n nodes, drawn counter-clockwise."""
    angle = 2.0 * np.pi * np.arange(n) / n
    return shapely.Polygon(np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle)])


def star_ring(rng: np.random.Generator, *, n: int, radius: float) -> shapely.Polygon:
    """A star-shaped polygon around a place near the pole."""
    angle = 2.0 * np.pi * (np.arange(n) + rng.uniform(0.05, 0.95, n)) / n
    reach = radius * rng.uniform(0.4, 1.0, n)
    x0, y0 = rng.uniform(-2e5, 2e5, 2)
    return shapely.Polygon(np.c_[x0 + reach * np.cos(angle), y0 + reach * np.sin(angle)])


def wedges(rng: np.random.Generator, *, n: int, radius: float) -> dict[str, shapely.Polygon]:
    """Basins: sectors of one disc, whose divides are common to the last digit."""
    bearing = 2.0 * np.pi * (np.arange(n) + rng.uniform(0.05, 0.95, n)) / n
    x0, y0 = rng.uniform(-1e5, 1e5, 2)
    basins = {}
    for i in range(n):
        start, stop = bearing[i], bearing[(i + 1) % n] + (2.0 * np.pi if i == n - 1 else 0.0)
        angle = np.linspace(start, stop, 2 + int((stop - start) / 0.02))
        if i == n - 1:
            angle[-1] = bearing[0]
        rim = np.c_[x0 + radius * np.cos(angle), y0 + radius * np.sin(angle)]
        basins[f"b{i}"] = shapely.Polygon(np.r_[[[x0, y0]], rim])
    return basins


SEEDS = st.integers(0, 2**32 - 1)
