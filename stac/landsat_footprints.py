"""Whether a scene meets a region, in the plane of EPSG:3031 and nowhere else.

Services write the corners of a scene in longitude and latitude. Those of a scene across 180° are
often joined the long way round, so in degrees its polygon is the complement of the scene; between
corners far apart in longitude the true edge is no straight line in degrees either. In the plane of
the pixels the corners of every scene make a simple polygon with straight edges, so there it is
tested, and a service is asked for an area wide enough that such a polygon meets it.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape

from stac.grids import GEOGRAPHIC, POLAR, footprint
from stac.queries import OutlineError, outline

NORTHERNMOST = -50.0
"""North of this latitude [°] regions are compared in degrees."""
SCENE_M = 270_000.0
"""No scene is longer than this from corner to corner [m]."""
MARGIN_M = 1_000.0
STEP_DEGREES = 1.0
_ANTIMERIDIAN = shapely.LineString([(0.0, 0.0), (0.0, -1.2e7)])


def is_polar(area: Mapping[str, Any]) -> bool:
    """Tell whether a GeoJSON geometry lies where EPSG:3031 is true enough to compare in."""
    return bool(shape(area).bounds[3] <= NORTHERNMOST)


def asked_area(roi: Mapping[str, Any]) -> dict[str, Any]:
    """Return the area to ask a service for, as GeoJSON split at 180°: it holds the whole ROI.

    A convex hull, so that a coastline of ten thousand corners is not sent. Within one scene of the
    antimeridian it is wider by one scene, see the top of this module.

    Parameters
    ----------
    roi : mapping
        GeoJSON in longitude and latitude, split at 180°.
    """
    if not is_polar(roi):
        return dict(roi)
    hull = shapely.convex_hull(region_in_plane(roi))
    near = shapely.distance(hull, _ANTIMERIDIAN) < SCENE_M
    return footprint(shapely.buffer(hull, SCENE_M if near else MARGIN_M))


def region_in_plane(roi: Mapping[str, Any]) -> shapely.Geometry:
    """Return a region in EPSG:3031 [m]; its edges are straight in longitude and latitude."""
    return _projected(shapely.segmentize(shape(roi), STEP_DEGREES))


def scene_in_plane(told: Mapping[str, Any]) -> shapely.Geometry:
    """Return the outline of a scene in EPSG:3031 [m]; its edges are straight there.

    Of edges that cross each other the ground on either side counts.

    Raises
    ------
    OutlineError
        If it is no geometry, or has no place in the plane.
    """
    try:
        return _projected(outline(told))
    except shapely.errors.ShapelyError as error:
        msg = f"its footprint has no place in the plane of EPSG:3031 ({error})"
        raise OutlineError(msg) from error


def scene_in_degrees(told: Mapping[str, Any]) -> shapely.Geometry:
    """Return the outline of a scene as it was told, for regions of the north [°].

    Raises
    ------
    OutlineError
        If it is no geometry.
    """
    return shapely.make_valid(outline(told))


def meets(region: shapely.Geometry, scene: shapely.Geometry) -> bool:
    """Tell whether a scene shares more than an edge with a region of the same plane."""
    return bool(shapely.intersects(region, scene) and not shapely.touches(region, scene))


def _projected(geometry: shapely.Geometry) -> shapely.Geometry:
    """Return valid parts in the plane, without the lines that meridians of a cut leave behind."""
    plane = shapely.make_valid(shapely.transform(geometry, _to_plane))
    parts = [part for part in shapely.get_parts(_flat(plane)) if part.area > 0.0]
    return shapely.union_all(parts) if parts else plane


def _flat(geometry: shapely.Geometry) -> shapely.Geometry:
    polygons = [
        polygon
        for part in shapely.get_parts(geometry)
        for polygon in shapely.get_parts(part)
        if polygon.geom_type == "Polygon"
    ]
    return shapely.GeometryCollection(polygons)


def _to_plane(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack(_transformer().transform(degrees[:, 0], degrees[:, 1]))


@functools.cache
def _transformer() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(GEOGRAPHIC, POLAR, always_xy=True)
