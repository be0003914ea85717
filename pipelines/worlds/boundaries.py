"""The outlines of a synthetic Antarctica as polygons of EPSG:3031 that share their vertices.

Every polygon is cut from one list of coast vertices, one ray per basin border and one list of
points along the divide, so that basins tile the grounded ice without gaps or overlaps.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from pipelines.worlds import equal_area, outline
from pipelines.worlds.regions import EDGES, SECTORS, Sector

if TYPE_CHECKING:
    from pipelines.worlds.antarctica import Antarctica

CRS = "EPSG:3031"
COAST_STEP = 0.0011
"""Spacing of coast vertices in ν: 1 to 5 km [rad]."""
RAY_VERTICES = 240
DIVIDE_VERTICES = 200

_PER_CENTIMETRE = 2
"""Decimals kept of a coordinate in metres: the same bytes on every machine."""


def basins(world: Antarctica) -> gpd.GeoDataFrame:
    """Outline the 27 grounded basins.

    Parameters
    ----------
    world : Antarctica
        Whose basins.

    Returns
    -------
    GeoDataFrame
        Columns region ("1" to "27"), name, group (EAIS, WAIS, AP), geometry in EPSG:3031.
    """
    shapes = [_polygon(_basin_ring(world, n)) for n in range(len(SECTORS))]
    table = {
        "region": [s.region for s in SECTORS],
        "name": [f"{s.group} basin {s.region}" for s in SECTORS],
        "group": [s.group for s in SECTORS],
    }
    return gpd.GeoDataFrame(table, geometry=shapes, crs=CRS)


def grounded(world: Antarctica) -> gpd.GeoDataFrame:
    """Outline all grounded ice: the union of the basins, from the same vertices.

    Parameters
    ----------
    world : Antarctica
        Whose ice.

    Returns
    -------
    GeoDataFrame
        One row: region "grounded", name, group "AIS", geometry in EPSG:3031.
    """
    nu = coast_bearings()[:-1]
    ring = world.divide.position(world.coast(nu), nu)
    return _single("grounded", "grounded ice", ring)


def coastline(world: Antarctica) -> gpd.GeoDataFrame:
    """Outline all ice, grounded and floating.

    Parameters
    ----------
    world : Antarctica
        Whose ice.

    Returns
    -------
    GeoDataFrame
        One row: region "coastline", name, group "AIS", geometry in EPSG:3031.
    """
    nu = coast_bearings()[:-1]
    ring = world.divide.position(world.coast(nu) + outline.floating_reach(nu), nu)
    return _single("coastline", "grounded and floating ice", ring)


def ice_shelves(world: Antarctica) -> gpd.GeoDataFrame:
    """Outline the floating shelves, from the grounding line to the front.

    Parameters
    ----------
    world : Antarctica
        Whose shelves.

    Returns
    -------
    GeoDataFrame
        Columns region and name (both the shelf's name), group "shelf", geometry in EPSG:3031.
    """
    names = [shelf.name for shelf in outline.SHELVES]
    shapes = [_polygon(_shelf_ring(world, shelf)) for shelf in outline.SHELVES]
    table = {"region": names, "name": names, "group": ["shelf"] * len(names)}
    return gpd.GeoDataFrame(table, geometry=shapes, crs=CRS)


def coast_bearings() -> NDArray[np.float64]:
    """Bearings of all coast vertices, once around eastwards.

    Every basin border and every end of a shelf is among them.

    Returns
    -------
    ndarray, shape (n,)
        Falling from the first to the last of :data:`pipelines.worlds.regions.EDGES` [rad].
    """
    ends = [s.bearing + side * s.half_width for s in outline.SHELVES for side in (-1.0, 1.0)]
    marks = np.unique(np.append(EDGES, [_unwrapped(end) for end in ends]))[::-1]
    pieces = []
    for start, stop in itertools.pairwise(marks):
        steps = int(np.ceil((start - stop) / COAST_STEP))
        pieces.append(start + (stop - start) * np.arange(steps) / steps)
    return np.append(np.concatenate(pieces), marks[-1])


def _unwrapped(nu: float) -> float:
    """Bring a bearing between the first and the last of the basin borders."""
    return EDGES[0] - (EDGES[0] - nu) % (2.0 * np.pi)


def _single(region: str, name: str, ring: NDArray[np.complex128]) -> gpd.GeoDataFrame:
    table = {"region": [region], "name": [name], "group": ["AIS"]}
    return gpd.GeoDataFrame(table, geometry=[_polygon(ring)], crs=CRS)


def _polygon(ring: NDArray[np.complex128]) -> Polygon:
    x, y = equal_area.map_from_plane(ring)
    return Polygon(np.round(np.stack([x, y], axis=-1), _PER_CENTIMETRE))


def _basin_ring(world: Antarctica, n: int) -> NDArray[np.complex128]:
    """Up one border, along the coast, down the other, along the divide."""
    first, second = EDGES[n], EDGES[(n + 1) % len(SECTORS)]
    arc = _coast_arc(world, SECTORS[n])
    out = _ray(world, first)[:-1]
    back = _ray(world, second)[::-1][1:]
    return np.concatenate([out, arc, back, _along_divide(world, second, first)])


def _coast_arc(world: Antarctica, sector: Sector) -> NDArray[np.complex128]:
    nu = coast_bearings()
    nu = nu[(nu <= sector.stop) & (nu >= sector.start)]
    arc = world.divide.position(world.coast(nu), nu)
    if sector.start == EDGES[-1]:  # the loop closes: let its ends be one vertex to the last bit
        origin = np.asarray(EDGES[0])
        arc[-1] = world.divide.position(world.coast(origin), origin)
    return arc


def _ray(world: Antarctica, nu: float) -> NDArray[np.complex128]:
    bearing = np.asarray(nu)
    along = np.linspace(0.0, 1.0, RAY_VERTICES) * world.coast(bearing)
    return world.divide.position(along, bearing)


def _along_divide(world: Antarctica, begin: float, end: float) -> NDArray[np.complex128]:
    """Points strictly between the feet of two rays, of a list that all basins share."""
    shared = np.append(np.cos(EDGES[:-1]), np.linspace(-1.0, 1.0, DIVIDE_VERTICES))
    low, high = sorted((np.cos(begin), np.cos(end)))
    between = np.unique(shared[(shared > low) & (shared < high)])
    path = between if np.cos(begin) < np.cos(end) else between[::-1]
    return np.asarray(world.divide.centre + world.divide.half_axis * path)


def _shelf_ring(world: Antarctica, shelf: outline.Shelf) -> NDArray[np.complex128]:
    nu = coast_bearings()[:-1]
    across = outline.offset(nu, shelf.bearing)
    within = np.abs(across) <= shelf.half_width * (1.0 + 1e-12)
    order = np.argsort(across[within])
    nu = nu[within][order]
    reach = world.coast(nu)
    inner = world.divide.position(reach, nu)
    outer = world.divide.position(reach + outline.floating_reach(nu), nu)
    return np.concatenate([inner, outer[::-1][1:-1]])
