"""True areas and lengths of map shapes: geodesics of pyproj, and caps in closed form."""

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings

from pipelines.geometry.true_area import true_area, true_length
from pipelines.kernels import geodesy
from tests.pipelines.geometry.shapes import SEEDS, disc, star_ring

TO_EARTH = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
GEOD = pyproj.Geod(ellps="WGS84")


def on_earth(line: shapely.Geometry, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of a line of the map, in short steps."""
    x, y = shapely.get_coordinates(shapely.segmentize(line, step)).T
    return TO_EARTH.transform(x, y)


def areas(*shapes: shapely.Geometry) -> np.ndarray:
    return true_area(np.asarray(shapes, dtype=object))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_areas_are_those_of_geodesic_polygons(seed):
    shape = star_ring(np.random.default_rng(seed), n=9, radius=1.5e6)
    expected, _ = GEOD.polygon_area_perimeter(*on_earth(shape.exterior, 2e3))
    assert areas(shape)[0] == pytest.approx(abs(expected), rel=2e-7)


def test_a_cap_has_its_area_in_closed_form():
    """Authalic: A = π b² [q(90°) − q(φ)], q = s/(1−e²s²) + atanh(e s)/e, s = sin φ."""
    latitude = 75.0
    _, radius = geodesy.polar_stereographic(np.array(-latitude), np.array(0.0))
    e = np.sqrt(GEOD.es)

    def q(sine: float) -> float:
        return sine / (1.0 - GEOD.es * sine**2) + np.arctanh(e * sine) / e

    expected = np.pi * GEOD.b**2 * (q(1.0) - q(np.sin(np.radians(latitude))))
    n = 20_000
    polygon_part = np.sin(2.0 * np.pi / n) / (2.0 * np.pi / n)
    assert areas(disc(0, 0, float(radius), n=n))[0] == pytest.approx(
        expected * polygon_part, rel=2e-9
    )


def test_holes_are_subtracted_and_parts_added_whichever_way_they_turn():
    whole, hole, beside = disc(0, 0, 5e5), disc(1e5, 0, 1e5), disc(1e6, 0, 1e5)
    ice = shapely.union_all([whole.difference(hole), beside])
    a, b, c = areas(whole, hole, beside)
    np.testing.assert_allclose(areas(ice, shapely.reverse(ice)), a - b + c, rtol=1e-12)


def test_shapes_without_area_have_none():
    nothing = areas(shapely.Polygon(), shapely.LineString([(0, 0), (1, 1)]), shapely.Point(0, 0))
    assert nothing.tolist() == [0.0, 0.0, 0.0]
    assert areas().tolist() == []


def test_lengths_are_those_of_geodesics():
    lines = [
        shapely.LineString([(0, 0), (1.2e6, 9e5)]),
        shapely.MultiLineString([[(0, 2e6), (3e5, 2.1e6)], [(5e5, 0), (6e5, 1e4), (6e5, 5e4)]]),
    ]
    expected = [
        sum(GEOD.line_length(*on_earth(part, 500.0)) for part in shapely.get_parts(line))
        for line in lines
    ]
    found = true_length(np.asarray(lines, dtype=object))
    np.testing.assert_allclose(found, expected, rtol=5e-7)


@pytest.mark.realdata
def test_the_main_grounding_line_and_the_ice_inside_it_have_their_measured_size(data_root):
    """47 172 km on the map and 47 262 km in truth; basins 12.356 million km²."""
    basins = gpd.read_file(next((data_root / "basins/measures_imbie_basins_v02").glob("*.shp")))
    shapes = basins.geometry.to_numpy()
    assert areas(*shapes).sum() / 1e12 == pytest.approx(12.356, abs=2e-3)
    parts = shapely.get_parts(shapely.union_all(shapes))
    line = parts[np.argmax(shapely.area(parts))].exterior
    assert line.length / 1e3 == pytest.approx(47_172, abs=1.0)
    assert true_length(np.asarray([line], dtype=object))[0] / 1e3 == pytest.approx(47_262, abs=1.0)
