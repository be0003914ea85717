"""Gates as nodes: orientation, splits, widths, and what cannot be a gate."""

import time

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.geometry.gate_lines import GateNodes, gate_nodes
from pipelines.kernels.budget.flux_gate import GateError, region_sums
from tests.pipelines.geometry.shapes import (
    SEEDS,
    disc,
    gate_table,
    region_table,
    star_ring,
    wedges,
)

SIZES = {"spacing_m": 5e3, "patch_km": 20.0, "snap_m": 2e3}
EVERYWHERE = region_table({"all": shapely.box(-3e6, -3e6, 3e6, 3e6)})
HALVES = {"west": shapely.box(-3e6, -3e6, 0, 3e6), "east": shapely.box(0, -3e6, 3e6, 3e6)}


def nodes_of(shape: shapely.Geometry, regions=EVERYWHERE, **sizes: float) -> GateNodes:
    return gate_nodes(gate_table({"g": shape}), regions, **{**SIZES, **sizes})


def map_flux(nodes: GateNodes, v_x: np.ndarray, v_y: np.ndarray) -> np.ndarray:
    """Flux on the map: true widths times the k that pyproj has at the nodes."""
    to_earth = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    longitude, latitude = to_earth.transform(nodes.x, nodes.y)
    k = pyproj.Proj("EPSG:3031").get_factors(longitude, latitude).meridional_scale
    return (v_x * nodes.w_x + v_y * nodes.w_y) * k


def moved_out(nodes: GateNodes, by: float) -> np.ndarray:
    """Points beside the nodes, that far outward."""
    width = np.hypot(nodes.w_x, nodes.w_y)
    return shapely.points(nodes.x + by * nodes.w_x / width, nodes.y + by * nodes.w_y / width)


@pytest.mark.parametrize("turn", [shapely.normalize, shapely.reverse, shapely.boundary])
def test_outward_of_a_closed_gate_leaves_its_ice_however_it_is_drawn(turn):
    ice = disc(3e5, -2e5, 4e5)
    nodes = nodes_of(turn(ice))
    assert not shapely.contains(ice, moved_out(nodes, 10.0)).any()
    assert shapely.contains(ice, moved_out(nodes, -10.0)).all()


@pytest.mark.parametrize("as_lines", [False, True])
def test_outward_of_a_hole_leaves_the_ice_into_the_hole(as_lines):
    """A nunatak in the ice, a lake of ice in the nunatak, and an island beside."""
    ring, rock, ice_in_rock = disc(0, 0, 5e5), disc(1e5, 0, 1e5), disc(1e5, 0, 3e4)
    island = disc(9e5, 0, 5e4)
    ice = shapely.union_all([ring.difference(rock), ice_in_rock, island])
    rings = shapely.get_rings(shapely.get_parts(ice))
    shape = shapely.multilinestrings([shapely.LineString(r) for r in rings]) if as_lines else ice
    nodes = nodes_of(shape)
    assert not shapely.contains(ice, moved_out(nodes, 10.0)).any()
    assert shapely.contains(ice, moved_out(nodes, -10.0)).all()


def test_a_nunatak_takes_in_what_it_stops():
    """Flow v = r into a hole is negative: the closed gate loses twice the area of its ice."""
    ice = disc(0, 0, 5e5).difference(disc(1e5, 0, 1e5))
    nodes = nodes_of(ice)
    assert map_flux(nodes, nodes.x, nodes.y).sum() == pytest.approx(2.0 * ice.area, rel=1e-9)


def test_an_open_gate_stays_as_drawn():
    line = shapely.LineString([(0, 0), (1e5, 0)])
    forth, back = nodes_of(line), nodes_of(shapely.reverse(line))
    assert (forth.w_y > 0.0).all()
    assert (back.w_y < 0.0).all()
    assert forth.length.sum() == pytest.approx(back.length.sum(), rel=1e-14)


def test_vertices_that_repeat_change_nothing():
    ring = np.array([(0, 0), (0, 1e5), (1e5, 1e5), (1e5, 0), (0, 0)], dtype=float)
    once, twice = (nodes_of(shapely.LineString(p)) for p in (ring, np.repeat(ring, 2, axis=0)))
    np.testing.assert_array_equal(once.w_x, twice.w_x)


@pytest.mark.parametrize(("length", "within"), [(1e3, 1e-8), (1e4, 1e-6), (1e5, 1e-4)])
def test_lengths_are_geodesic_to_the_square_of_the_spacing(length, within):
    """From the pole outward along a meridian, which is a geodesic, in single segments."""
    edges = np.arange(2e5, 2.2e6, length)
    line = shapely.LineString(np.c_[0.6 * edges, 0.8 * edges])
    nodes = nodes_of(line, spacing_m=length)
    to_earth = pyproj.Transformer.from_crs(3031, 4326, always_xy=True)
    geod = pyproj.Geod(ellps="WGS84")
    longitude, latitude = to_earth.transform(0.6 * edges, 0.8 * edges)
    _, _, true = geod.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    assert len(nodes.x) == len(true)
    found = np.sort(nodes.length / length)
    np.testing.assert_allclose(found, np.sort(true / length), rtol=within)


def test_error_of_a_length_falls_with_the_square_of_the_spacing():
    line = shapely.LineString([(1e5, 2e5), (1.5e6, 1.7e6)])
    finest = nodes_of(line, spacing_m=500.0).length.sum()
    errors = [abs(nodes_of(line, spacing_m=s).length.sum() - finest) for s in (4e5, 2e5, 1e5)]
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    np.testing.assert_allclose(ratios, 4.0, rtol=0.25)


def test_no_segment_is_longer_than_the_spacing():
    nodes = nodes_of(disc(0, 0, 1e6, n=7), spacing_m=3e3)
    step = np.hypot(nodes.w_x, nodes.w_y)
    assert step.max() <= 3e3 / 0.972
    np.testing.assert_allclose(step, nodes.length, rtol=1e-12)


@given(SEEDS, st.integers(2, 8), st.integers(3, 30))
@settings(max_examples=40, deadline=None)
def test_regions_of_a_split_gate_sum_to_the_whole(seed, n_basins, n_nodes):
    rng = np.random.default_rng(seed)
    gate = star_ring(rng, n=n_nodes, radius=9e5)
    basins = region_table(wedges(rng, n=n_basins, radius=1.6e6))
    nodes = nodes_of(gate, basins)
    flux = map_flux(nodes, nodes.x, nodes.y)
    by_region = region_sums(flux, nodes.region, n_basins)
    assert (nodes.region >= 0).all()
    assert abs(by_region.sum() - flux.sum()) <= 1e-13 * np.abs(flux).sum()
    assert flux.sum() == pytest.approx(2.0 * gate.area, rel=1e-9)
    expected = [gate.boundary.intersection(basin).length for basin in basins.geometry]
    map_length = region_sums(map_flux(nodes, nodes.w_x, nodes.w_y) / nodes.length,
                             nodes.region, n_basins)  # fmt: skip
    np.testing.assert_allclose(map_length, expected, rtol=1e-9, atol=1e-2)


@given(SEEDS, st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_no_segment_straddles_a_border(seed, n_basins):
    rng = np.random.default_rng(seed)
    basins = region_table(wedges(rng, n=n_basins, radius=1.6e6))
    nodes = nodes_of(star_ring(rng, n=12, radius=9e5), basins, spacing_m=5e4)
    k = map_flux(nodes, nodes.w_x, nodes.w_y) / nodes.length**2
    for along in (-0.4999, 0.4999):
        ends = shapely.points(nodes.x + along * k * nodes.w_y, nodes.y - along * k * nodes.w_x)
        own = basins.geometry.to_numpy()[nodes.region]
        assert shapely.dwithin(own, ends, 1e-3).all()


def test_a_gate_along_a_divide_belongs_to_the_basin_it_bounds():
    """Its line and the divide are the same; rounding must not share it out."""
    rng = np.random.default_rng(5)
    basins = wedges(rng, n=6, radius=1.2e6)
    for i, basin in enumerate(basins.values()):
        nodes = nodes_of(basin, region_table(basins))
        assert (nodes.region == i).all()


def test_a_split_at_a_vertex_of_the_gate_makes_no_empty_segment():
    line = shapely.LineString([(-1e4, 0), (0, 0), (1e4, 0)])
    nodes = nodes_of(line, region_table(HALVES), spacing_m=1e5)
    assert len(nodes.x) == 2
    assert set(nodes.region) == {0, 1}


def test_a_gate_just_off_the_regions_goes_to_the_nearest_and_says_so():
    strip = {"a": shapely.box(0, 0, 1e5, 1e5), "b": shapely.box(1e5, 0, 2e5, 1e5)}
    line = shapely.LineString([(1e4, 1.01e5), (1.9e5, 1.01e5)])
    nodes = nodes_of(line, region_table(strip))
    assert np.bincount(nodes.region).tolist() == [18, 18]
    assert "100.00 % of the gates' length" in nodes.notes[0]
    assert "went to the nearest within 2000 m" in nodes.notes[0]


def test_what_lies_far_from_all_regions_is_counted_and_left_out():
    inside = shapely.box(0, 0, 1e5, 1e5)
    line = shapely.LineString([(5e4, 5e4), (5e4, 2e5)])
    nodes = nodes_of(line, region_table({"a": inside}), snap_m=0.0, spacing_m=1e3)
    outside = nodes.length[nodes.region < 0].sum()
    assert outside == pytest.approx(2.0 * nodes.length[nodes.region == 0].sum(), rel=1e-3)
    assert f"({outside / 1e3:.1f} km) lies in no region" in nodes.notes[0]


def test_nodes_near_in_memory_are_near_on_the_map():
    nodes = nodes_of(disc(0, 0, 1e6))
    tiles = np.floor(np.c_[nodes.x, nodes.y] / 1e5)
    changes = 1 + np.count_nonzero((np.diff(tiles, axis=0) != 0).any(axis=1))
    assert changes == len(np.unique(tiles, axis=0))


def test_patches_are_squares_numbered_without_gaps():
    nodes = nodes_of(disc(1e5, 0, 3e5), patch_km=50.0)
    squares = np.floor(np.c_[nodes.x, nodes.y] / 5e4)
    assert set(nodes.patch) == set(range(len(np.unique(squares, axis=0))))
    for patch in set(nodes.patch):
        assert len(np.unique(squares[nodes.patch == patch], axis=0)) == 1


def test_gates_keep_their_names_in_order():
    table = gate_table({"Pine Island": disc(0, 0, 1e5), "Thwaites": disc(5e5, 0, 1e5)})
    nodes = gate_nodes(table, EVERYWHERE, **SIZES)
    assert nodes.gate_names == ("Pine Island", "Thwaites")
    assert (nodes.x[nodes.gate == 1] > 3e5).all()


def test_closed_gates_that_hold_ice_in_common_are_told():
    """A catchment, a smaller one within, and a neighbour that shares a divide with the first."""
    shapes = {"all": shapely.box(0, 0, 1e5, 1e5), "part": shapely.box(0, 0, 5e4, 5e4)}
    table = gate_table({**shapes, "beside": shapely.box(1e5, 0, 2e5, 1e5)})
    notes = gate_nodes(table, EVERYWHERE, **SIZES).notes
    assert len(notes) == 1
    assert "1 pairs of closed gates hold ice in common (all and part)" in notes[0]


def test_parts_of_an_open_gate_may_meet_at_their_ends():
    parts = shapely.MultiLineString([[(0, 0), (1e4, 0)], [(1e4, 0), (2e4, 1e4)]])
    assert nodes_of(parts).length.sum() > 2.3e4


def test_time_grows_no_faster_than_nodes_do():
    """280 000 nodes take a fraction of a second of the processor; ten bounds a slow one."""
    rng = np.random.default_rng(2)
    basins = region_table(wedges(rng, n=27, radius=2.5e6))
    ring = star_ring(rng, n=2000, radius=2e6)
    started = time.process_time()
    nodes = nodes_of(ring, basins, spacing_m=ring.length / 280_000)
    assert len(nodes.x) >= 280_000
    assert time.process_time() - started < 10.0


BOW_TIE = [(0, 0), (1e5, 1e5), (1e5, 0), (0, 1e5), (0, 0)]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (shapely.Point(0, 0), "two nodes at least"),
        (shapely.LineString(), "two nodes at least"),
        (shapely.LineString([(5, 5), (5, 5)]), "one node, at x 5 m, y 5 m"),
        (shapely.LineString(BOW_TIE), "x 50000 m, y 50000 m"),
        (shapely.Polygon(BOW_TIE), "x 50000 m, y 50000 m"),
        (shapely.LineString(BOW_TIE[:4]), "touches itself near x 50000 m, y 50000 m"),
        (shapely.LineString([(0, 0), (1e5, 0), (0, 0)]), "crosses or touches itself"),
        (
            shapely.multilinestrings([disc(0, 0, 1e5).exterior, disc(1e5, 0, 1e5).exterior]),
            "two of its 2 rings cross",
        ),
        (
            shapely.multilinestrings([disc(0, 0, 1e5).exterior, disc(0, 0, 1e5).exterior]),
            "are the same",
        ),
        (
            shapely.MultiLineString([[(0, 0), (10, 10)], [(0, 10), (10, 0)]]),
            "two of its 2 parts cross each other near x 5 m, y 5 m",
        ),
    ],
)
def test_lines_that_are_no_gates_are_refused(shape, said):
    with pytest.raises(GateError, match=said):
        nodes_of(shape)


@pytest.mark.parametrize("make", [shapely.linestrings, shapely.polygons])
def test_vertices_that_are_no_numbers_are_refused(make):
    points = [(0, 0), (np.nan, 1), (2, np.inf), (5, 5), (0, 0)]
    with np.errstate(invalid="ignore"):
        shape = make(points)
    with pytest.raises(GateError, match=r"2 of 5 vertices are no numbers, the first at index 1"):
        nodes_of(shape)


def test_a_gate_called_closed_that_is_open_is_refused():
    table = gate_table({"g": shapely.LineString([(0, 0), (1e5, 0), (1e5, 1e5)])})
    table["closed"] = True
    with pytest.raises(GateError, match="1 of its 1 parts end elsewhere"):
        gate_nodes(table, EVERYWHERE, **SIZES)


def test_a_gate_far_from_all_regions_is_refused():
    table = gate_table({"near": disc(0, 0, 1e4), "lost": disc(2e6, 0, 1e4)})
    regions = region_table({"a": shapely.box(-1e5, -1e5, 1e5, 1e5)})
    with pytest.raises(GateError, match=r"1 of 2 gates lie farther than 2000 m .* lost"):
        gate_nodes(table, regions, **SIZES)


def test_basins_that_overlap_are_refused_with_what_they_share():
    """A square of 10 km on the map at the pole holds 100 / 0.9728² = 105.67 km²."""
    regions = region_table(
        {"a": shapely.box(-1e5, -1e5, 5e3, 5e3), "b": shapely.box(-5e3, -5e3, 1e5, 1e5)}
    )
    with pytest.raises(GateError, match="a and b by 106 km²"):
        nodes_of(disc(0, 0, 5e4), regions)


def test_basins_that_were_simplified_apart_are_no_fault():
    regions = region_table({"a": shapely.box(-3e6, -3e6, 100, 3e6), "b": HALVES["east"]})
    nodes = nodes_of(disc(0, 0, 5e4), regions)
    assert set(nodes.region) == {0, 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g, r: (g.to_crs(4326), r), "gates come in EPSG:4326, expected EPSG:3031"),
        (lambda g, r: (g, r.set_crs(None, allow_override=True)), "no coordinate system"),
        (lambda g, r: (g.iloc[:0], r), "table of gates is empty"),
        (lambda g, r: (g, r.iloc[:0]), "table of regions is empty"),
        (lambda g, r: (g.iloc[[0, 0]], r), "gates g come more than once"),
        (lambda g, r: (g, region_table({"a": shapely.Polygon(BOW_TIE)})), "Self-intersection"),
        (lambda g, r: (g, region_table({"a": shapely.Point(0, 0)})), "holds Point"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, said):
    gates, regions = change(gate_table({"g": disc(0, 0, 1e5)}), EVERYWHERE)
    with pytest.raises(GateError, match=said):
        gate_nodes(gates, regions, **SIZES)


@pytest.mark.parametrize("wrong", [{"spacing_m": 0.0}, {"patch_km": -1.0}, {"spacing_m": np.nan}])
def test_sizes_that_are_none_are_refused(wrong):
    with pytest.raises(GateError, match="expected a positive number"):
        nodes_of(disc(0, 0, 1e5), **wrong)
