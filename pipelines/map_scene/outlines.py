"""Outlines that people click: the polygons that the products' tables are by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.report.lineage import UNREADABLE, linked_item, run_of

if TYPE_CHECKING:
    import geopandas as gpd
    import shapely

    from pipelines.report.outputs import Output

FINEST_M, COARSEST_M = 50.0, 1_000.0
"""Tolerance within which outlines are simplified [m]: a pixel of a shelf's map, and of a page's."""
SIDES = 500.0
"""Sides of a region in tolerances: more would not be seen on a page."""
ISLAND = 10.0
"""Islands of fewer tolerances a side are left out; the largest part of a region never is."""
GRAIN_M = 10.0
"""Coordinates are rounded to this [m]."""

SHELVES = "ice-shelves"
"""Kind of the items whose polygons are ice shelves."""


@dataclass(frozen=True)
class RegionSet:
    """One collection of polygons.

    Attributes
    ----------
    name : str
        Collection, as the tables' column ``region_set`` has it.
    shelves : bool
        Whether its regions are ice shelves.
    polygons : GeoDataFrame
        Columns region, name, group and area_km2; EPSG:3031.
    """

    name: str
    shelves: bool
    polygons: gpd.GeoDataFrame


def region_sets(outputs: Sequence[Output]) -> tuple[list[RegionSet], list[str]]:
    """Return the polygons of the products' catalogue, each collection once, and warnings.

    A catalogue that cannot be reached is a warning: the map opens without what it would have given.
    """
    import pystac

    found: dict[str, RegionSet] = {}
    warnings: dict[str, str] = {}
    for output in outputs:
        name = str(run_of(output).get("regions") or "")
        if name and name not in found:
            try:
                found[name] = _opened(output, name)
            except (*UNREADABLE, pystac.STACError, pystac.STACTypeError) as error:
                warnings[name] = (
                    f"the outlines of {name} cannot be drawn or clicked, for their catalogue is "
                    f"out of reach: {_words(error)}"
                )
    return list(found.values()), [text for name, text in warnings.items() if name not in found]


def _words(error: Exception) -> str:
    from cluster.redaction import redact

    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return redact(said)


def _opened(output: Output, name: str) -> RegionSet:
    from stac import contracts

    item = linked_item(output, name)
    shelves = item.properties.get("nunatak:kind") == SHELVES
    return RegionSet(name, shelves, contracts.open_regions(item))


def bounds(sets: Sequence[RegionSet]) -> tuple[float, float, float, float] | None:
    """Return the edges of all regions together [m]; None of none."""
    if not sets:
        return None
    edges = np.array([each.polygons.total_bounds for each in sets])
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def geojson(sets: Sequence[RegionSet]) -> dict[str, Any]:
    """Return all regions as GeoJSON in EPSG:3031, thinned to what a page can show.

    Coordinates are metres of EPSG:3031, not degrees: the page draws in that projection, and lines
    that are straight in it would bend in longitude and latitude. The member ``crs`` says so.
    """
    features = [feature for each in sets for feature in _features(each)]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3031"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


def _features(of: RegionSet) -> list[dict[str, Any]]:
    return [
        {
            "type": "Feature",
            "id": f"{of.name}/{row.region}",
            "properties": {
                "set": of.name,
                "region": str(row.region),
                "name": str(row.name),
                "group": str(row.group),
                "shelf": of.shelves,
                "area_km2": round(float(row.area_km2), 1),
            },
            "geometry": _rounded(shape),
        }
        for row, shape in zip(
            of.polygons.drop(columns="geometry").itertuples(index=False),
            simplified(of.polygons), strict=True,
        )
    ]  # fmt: skip


def simplified(polygons: gpd.GeoDataFrame) -> list[shapely.Geometry]:
    """Return outlines with fewer points; neighbours keep their common edges.

    The tolerance is a five-hundredth of the side of a middling region, within 50 m and 1 km.
    """
    import shapely

    shapes = polygons.geometry.to_numpy()
    middling = float(np.sqrt(np.median(shapely.area(shapes))))
    tolerance = float(np.clip(middling / SIDES, FINEST_M, COARSEST_M))
    thinned = shapely.coverage_simplify(shapes, tolerance)
    return [_main_parts(shape, (ISLAND * tolerance) ** 2) for shape in thinned]


def _main_parts(shape: shapely.Geometry, least_m2: float) -> shapely.Geometry:
    import shapely

    parts = sorted(shapely.get_parts(shape), key=lambda part: part.area, reverse=True)
    kept = [part for n, part in enumerate(parts) if n == 0 or part.area >= least_m2]
    return kept[0] if len(kept) == 1 else shapely.MultiPolygon(kept)


def _rounded(shape: shapely.Geometry) -> dict[str, Any]:
    """Return the geometry as GeoJSON with coordinates that are multiples of the grain."""

    def grain(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [grain(each) for each in value]
        return int(round(value / GRAIN_M) * GRAIN_M)

    document: dict[str, Any] = shape.__geo_interface__
    return {"type": document["type"], "coordinates": grain(document["coordinates"])}
