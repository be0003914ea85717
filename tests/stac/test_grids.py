"""Footprints keep to one side of 180° and hold the pole exactly when their shape does."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from stac import grids
from stac.queries import QueryError

CORNERS = st.floats(-3.0e6, 3.0e6)


@settings(deadline=None, max_examples=60)
@given(x=st.tuples(CORNERS, CORNERS), y=st.tuples(CORNERS, CORNERS), seed=st.integers(0, 2**31))
def test_a_point_is_in_the_footprint_exactly_if_it_is_in_the_shape(x, y, seed: int):
    """Oracle: project random points and ask the shape itself; 300 m is the stated tolerance."""
    west, east = sorted(x)
    south, north = sorted(y)
    if east - west < 1e3 or north - south < 1e3:
        return
    box = shapely.box(west, south, east, north)
    generator = np.random.default_rng(seed)
    longitude = generator.uniform(-180, 180, 2000)
    latitude = -90 + 40 * generator.random(2000) ** 3
    to_polar = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3031", always_xy=True)
    points = shapely.points(*to_polar.transform(longitude, latitude))
    clear = shapely.distance(shapely.boundary(box), points) > 300.0

    footprint = shape(grids.footprint(box))

    assert footprint.is_valid
    inside = shapely.contains_xy(footprint, longitude, latitude)
    np.testing.assert_array_equal(inside[clear], shapely.contains(box, points)[clear])


@pytest.mark.parametrize(
    ("bounds", "kind", "south", "width"),
    [
        ((-1e6, -1e6, 1e6, 1e6), "Polygon", -90.0, 360.0),
        ((0.0, 0.0, 1e6, 1e6), "Polygon", -90.0, 90.0),
        ((-1e5, -1e6, 1e5, -5e5), "MultiPolygon", -85.40, 360.0),
        ((5e5, 5e5, 1e6, 1e6), "Polygon", -83.50, 36.87),
    ],
)
def test_pole_and_antimeridian_are_told_apart(bounds, kind: str, south: float, width: float):
    footprint = shape(grids.footprint(shapely.box(*bounds)))

    assert footprint.geom_type == kind
    assert footprint.bounds[1] == pytest.approx(south, abs=0.01)
    assert footprint.bounds[2] - footprint.bounds[0] == pytest.approx(width, abs=0.01)


def test_a_shape_across_180_has_one_polygon_on_each_side():
    footprint = shape(grids.footprint(shapely.box(-1e5, -1e6, 1e5, -5e5)))

    west, east = sorted(footprint.geoms, key=lambda part: part.bounds[0])
    assert west.bounds[0] == -180.0
    assert west.bounds[2] < -150.0
    assert east.bounds[0] > 150.0
    assert east.bounds[2] == 180.0


def test_rings_run_as_geojson_wants():
    footprint = shape(grids.footprint(shapely.box(-2e6, -2e6, 2e6, 2e6)))

    assert footprint.exterior.is_ccw
    assert len(footprint.exterior.coords) < 2000


@pytest.mark.parametrize(
    ("polygon", "message"),
    [(shapely.Polygon(), "empty"), (shapely.box(2e7, 0, 3e7, 1e7), "south of the equator")],
)
def test_what_is_no_polar_shape_is_refused(polygon, message: str):
    with pytest.raises(QueryError, match=message):
        grids.footprint(polygon)


def test_named_grids_nest_and_name_their_cell_centres():
    for name, grid in grids.GRIDS.items():
        assert grid.name == name
        assert grid.bounds == grids.CONTINENT_M
        assert grid.x[0] - grid.spacing / 2 == grid.west
        assert np.allclose(np.diff(grid.y), grid.spacing)
    assert shape(grids.GRIDS["antarctica-8km"].footprint).bounds[:2] == (-180.0, -90.0)


def test_a_covering_grid_snaps_to_its_spacing():
    grid = grids.covering((-950.0, 10.0, 950.0, 2010.0), spacing=1000.0)

    assert grid.bounds == (-1000.0, 0.0, 1000.0, 3000.0)
    assert (grid.nx, grid.ny) == (2, 3)
