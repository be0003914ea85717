"""Gates inland of a grounding line: distances against geodesics, and what is dropped."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings

from pipelines.geometry.gate_generator import generate
from pipelines.geometry.gate_lines import gate_nodes
from pipelines.kernels.budget.flux_gate import GateError
from tests.pipelines.geometry.shapes import SEEDS, disc, region_table, star_ring

EXACT = {"smallest_area_m2": 1e7, "simplify_m": 0.0}
TO_EARTH = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
GEOD = pyproj.Geod(ellps="WGS84")


def true_distances(gate: shapely.Geometry, coast: shapely.Geometry) -> np.ndarray:
    """Geodesic distance of points of a gate from a coast: the least to points along it."""
    points = shapely.get_coordinates(gate)
    points = points[:: max(1, len(points) // 40)]
    along = shapely.get_coordinates(shapely.segmentize(coast, 100.0))
    tree = shapely.STRtree(shapely.points(along))
    near = tree.query(shapely.points(points), predicate="dwithin", distance=6e4)
    start, end = TO_EARTH.transform(*points[near[0]].T), TO_EARTH.transform(*along[near[1]].T)
    _, _, distance = GEOD.inv(*start, *end)
    least = np.full(len(points), np.inf)
    np.minimum.at(least, near[0], distance)
    return least


@pytest.mark.parametrize("distance", [2e3, 2e4, 5e4])
@pytest.mark.parametrize("centre", [0.0, 2.4e6])
def test_gates_lie_at_their_true_distance(distance, centre):
    """On the map 2.8 % too far at the pole, 3 % too near at 62° S, were k left out."""
    ice = disc(centre, 0, 2e5, n=90)
    gate = generate(ice, distance_m=distance, **EXACT).geometry[0]
    np.testing.assert_allclose(true_distances(gate, ice.boundary), distance, rtol=1e-3)


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_no_gate_comes_nearer_than_it_should_to_a_ragged_coast(seed):
    ice = star_ring(np.random.default_rng(seed), n=11, radius=1e6)
    gate = generate(ice, distance_m=1e4, **EXACT).geometry[0]
    distance = true_distances(gate, ice.boundary)
    assert distance.min() > 1e4 * (1 - 1e-3)
    assert distance.max() < 1e4 * (1 + 1e-3)


def test_a_set_of_distances_gives_one_closed_gate_each_nested():
    table = generate(disc(0, 0, 3e5), distance_m=[0.0, 5e3, 2e4], **EXACT)
    assert table.gate.tolist() == ["inland-0m", "inland-5000m", "inland-20000m"]
    assert table.closed.all()
    assert table.crs.to_epsg() == 3031
    assert (np.diff(table.length_km) < 0.0).all()
    rings = [shapely.polygons(shapely.get_coordinates(g)) for g in table.geometry]
    assert rings[0].contains_properly(rings[1])
    assert rings[1].contains_properly(rings[2])


def test_lengths_are_those_of_the_nodes_the_gate_becomes():
    ice = disc(3e5, 0, 3e5)
    table = generate(ice, distance_m=1e4, **EXACT)
    sizes = {"spacing_m": 1e3, "patch_km": 20.0, "snap_m": 0.0}
    nodes = gate_nodes(table, region_table({"ice": ice}), **sizes)
    assert nodes.length.sum() / 1e3 == pytest.approx(table.length_km[0], rel=1e-7)
    assert nodes.notes == ()


def test_holes_of_the_ice_keep_their_distance_and_outward_points_into_them():
    ice = disc(0, 0, 4e5).difference(disc(1e5, 0, 5e4))
    table = generate(ice, distance_m=1e4, **EXACT)
    rings = [shapely.get_coordinates(line) for line in table.geometry[0].geoms]
    counter_clockwise = [shapely.is_ccw(shapely.linearrings(ring)) for ring in rings]
    assert sorted(counter_clockwise) == [False, True]
    np.testing.assert_allclose(true_distances(table.geometry[0], ice.boundary), 1e4, rtol=1e-3)


def test_gaps_between_polygons_simplified_apart_do_not_grow():
    ice = disc(0, 0, 4e5).difference(shapely.box(0, 0, 50, 1e4))
    table = generate(ice, distance_m=1e4, smallest_area_m2=1e8, simplify_m=0.0)
    assert len(table.geometry[0].geoms) == 1


def test_islands_too_small_for_a_gate_are_dropped_and_told():
    ice = shapely.union_all([disc(0, 0, 3e5), disc(5e5, 0, 9e3), disc(-5e5, 0, 5e4)])
    table = generate(ice, distance_m=1e4, **EXACT)
    assert len(table.geometry[0].geoms) == 2
    assert table.attrs["remarks"] == ["inland-10000m: 1 parts of the ice lie outside every gate"]


@pytest.mark.parametrize("simplify", [50.0, 500.0])
def test_simplification_moves_a_gate_no_farther_than_told(simplify):
    ice = star_ring(np.random.default_rng(3), n=300, radius=1e6)
    exact = generate(ice, distance_m=1e4, **EXACT).geometry[0]
    simple = generate(ice, distance_m=1e4, smallest_area_m2=1e7, simplify_m=simplify).geometry[0]
    assert shapely.get_num_coordinates(simple) < 0.5 * shapely.get_num_coordinates(exact)
    assert shapely.distance(shapely.points(shapely.get_coordinates(exact)), simple).max() <= (
        1.001 * simplify
    )


@pytest.mark.parametrize(
    ("ice", "distance", "said"),
    [
        (disc(0, 0, 1e5), -1.0, "0 or more"),
        (disc(0, 0, 1e5), [], "0 or more"),
        (disc(0, 0, 1e5), [1e3, 1e3], "different ones"),
        (disc(0, 0, 1e5), np.nan, "0 or more"),
        (disc(0, 0, 1e5), 2e5, "no ice of 10 km² is left 200000 m inland"),
        (disc(0, 0, 1e5).boundary, 1e3, "LineString, expected polygons"),
        (shapely.Polygon(), 1e3, "not empty"),
        (shapely.Polygon([(0, 0), (1e5, 1e5), (1e5, 0), (0, 1e5)]), 1e3, "Self-intersection"),
    ],
)
def test_ice_without_a_gate_is_refused(ice, distance, said):
    with pytest.raises(GateError, match=said):
        generate(ice, distance_m=distance, **EXACT)
