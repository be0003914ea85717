"""Ice between gates and the grounding line: its sign, its region and its true area."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.geometry.gate_generator import generate
from pipelines.geometry.slivers import slivers
from pipelines.geometry.true_area import true_area
from pipelines.kernels.budget.flux_gate import GateError
from tests.pipelines.geometry.shapes import (
    SEEDS,
    disc,
    gate_table,
    region_table,
    star_ring,
    wedges,
)

BOX = shapely.box(0, 0, 2e5, 1e5)
"""A region whose ice flows north, towards +y."""
TWO = {"west": shapely.box(0, 0, 1e5, 1e5), "east": shapely.box(1e5, 0, 2e5, 1e5)}


def square_km(*shapes: shapely.Geometry) -> np.ndarray:
    return true_area(np.asarray(shapes, dtype=object)) / 1e6


def across(y: float, west: float = -1e4, east: float = 2.1e5) -> shapely.LineString:
    """A gate across the box; outward, to the left of its direction, is north."""
    return shapely.LineString([(west, y), (east, y)])


def test_ice_between_an_inland_gate_and_the_grounding_line_counts_once_more():
    ice, gate = disc(0, 0, 4e5), disc(0, 0, 3e5)
    table = slivers(gate_table({"g": gate}), ice, region_table({"a": ice}))
    assert table.region.tolist() == ["a"]
    assert table.sign.tolist() == [1]
    assert table.area_km2[0] == pytest.approx(np.diff(square_km(gate, ice))[0], rel=1e-12)


def test_ice_off_the_grounding_line_was_counted_too_much():
    ice, gate = disc(0, 0, 3e5), disc(0, 0, 4e5)
    table = slivers(gate_table({"g": gate}), ice, region_table({"a": ice}))
    assert table.sign.tolist() == [-1]
    assert table.area_km2[0] == pytest.approx(np.diff(square_km(ice, gate))[0], rel=1e-12)


def test_a_gate_that_crosses_the_grounding_line_has_both():
    ice, gate = disc(0, 0, 3e5), disc(5e4, 0, 3e5)
    table = slivers(gate_table({"g": gate}), ice, region_table({"a": ice}))
    assert table.sign.tolist() == [1, -1]
    expected = square_km(ice.difference(gate), gate.difference(ice))
    np.testing.assert_allclose(table.area_km2, expected, rtol=1e-9)


@given(SEEDS, st.integers(2, 7))
@settings(max_examples=15, deadline=None)
def test_signed_areas_are_the_ice_less_what_the_gate_holds(seed, n_basins):
    """Σ sign · area = area(ice) − area(inside), whichever way they cross; per region too."""
    rng = np.random.default_rng(seed)
    basins = wedges(rng, n=n_basins, radius=9e5)
    ice = shapely.union_all(list(basins.values()))
    gate = star_ring(rng, n=9, radius=1.2e6)
    table = slivers(gate_table({"g": gate}), ice, region_table(basins))
    assume(set(table.region) == set(basins))
    held, whole = square_km(gate, ice)
    assert (table.sign * table.area_km2).sum() == pytest.approx(whole - held, abs=1e-6 * whole)
    inland = table[table.sign == 1].set_index("region").area_km2
    for name, basin in basins.items():
        expected = square_km(basin.difference(gate))[0]
        assert inland.get(name, 0.0) == pytest.approx(expected, abs=1e-3)


def test_what_floats_goes_to_the_nearest_region():
    """Two regions side by side, a shelf along both: divided where their divide would go on.

    To 1/500 of the shelf's diagonal, 336 m here, which is 4e-3 of each half.
    """
    gate = shapely.box(2e4, 2e4, 1.8e5, 1.5e5)
    table = slivers(gate_table({"g": gate}), BOX, region_table(TWO))
    floating = table[table.sign == -1].set_index("region")
    expected = square_km(shapely.box(2e4, 1e5, 1e5, 1.5e5), shapely.box(1e5, 1e5, 1.8e5, 1.5e5))
    np.testing.assert_allclose(floating.area_km2[["west", "east"]], expected, rtol=4e-3)


def test_a_generated_gate_leaves_a_band_as_wide_as_its_distance():
    basins = wedges(np.random.default_rng(4), n=5, radius=1e6)
    regions = region_table(basins)
    ice = shapely.union_all(list(basins.values()))
    gates = generate(ice, distance_m=1e3, smallest_area_m2=1e8, simplify_m=0.0)
    table = slivers(gates, ice, regions)
    assert table.region.tolist() == list(basins)
    assert (table.sign == 1).all()
    assert table.area_km2.sum() == pytest.approx(gates.length_km[0] * 1.0, rel=2e-3)


@pytest.mark.parametrize("inset", [0.0, 100.0])
def test_gaps_of_polygons_simplified_apart_hardly_count(inset):
    """A gap of 10 m between two regions, enclosed by them or open to the sea."""
    gap = shapely.box(99_990, inset, 1e5, 1e5 - inset)
    parts = region_table({"west": TWO["west"].difference(gap), "east": TWO["east"]})
    gate = gate_table({"g": shapely.box(1e4, 1e4, 1.9e5, 9e4)})
    table = slivers(gate, parts, parts)
    expected = square_km(BOX.difference(gate.geometry[0]), gap)
    assert (table.sign * table.area_km2).sum() == pytest.approx(expected[0], abs=expected[1])


def test_a_region_that_no_gate_enters_has_none_and_is_named():
    far = {"far": shapely.box(5e5, 0, 6e5, 1e5)}
    gate = gate_table({"g": shapely.box(1e4, 1e4, 1.9e5, 9e4)})
    ice = shapely.union_all([BOX, far["far"]])
    table = slivers(gate, ice, region_table({"box": BOX, **far}))
    assert table.region.tolist() == ["box"]
    assert table.attrs["remarks"] == ["no gate enters regions far: they get no slivers"]


def test_a_gate_that_laps_over_a_divide_by_a_strip_does_not_enter_the_neighbour():
    gate = gate_table({"g": shapely.box(1e4, 1e4, 1.001e5, 9e4)})
    table = slivers(gate, BOX, region_table(TWO))
    assert table.region.tolist() == ["west"]
    assert table.attrs["remarks"] == ["no gate enters regions east: they get no slivers"]


def test_a_region_of_which_gates_hold_little_is_named():
    gate = gate_table({"g": shapely.box(1e4, 1e4, 6e4, 9e4)})
    table = slivers(gate, BOX, region_table({"a": BOX}))
    assert table.attrs["remarks"] == ["80 % of region a lies outside its gates"]


def test_islands_without_a_gate_belong_to_the_slivers_of_their_region():
    island = disc(3e5, 5e4, 2e4)
    region = shapely.union_all([BOX, island])
    gate = gate_table({"g": BOX})
    table = slivers(gate, region, region_table({"a": region}))
    assert table.area_km2.sum() == pytest.approx(square_km(island)[0], rel=1e-9)


def test_an_open_gate_that_cuts_a_region_has_what_lies_downstream_of_it():
    table = slivers(gate_table({"g": across(7e4)}), BOX, region_table({"a": BOX}))
    assert table.sign.tolist() == [1]
    expected = square_km(shapely.box(0, 7e4, 2e5, 1e5))[0]
    assert table.area_km2[0] == pytest.approx(expected, rel=1e-9)


def test_an_open_gate_drawn_the_other_way_is_turned_by_its_name():
    """Downstream of it would be most of the region, and is said to be."""
    gate = gate_table({"g": shapely.reverse(across(7e4))})
    wrong = slivers(gate, BOX, region_table({"a": BOX}))
    right = slivers(gate, BOX, region_table({"a": BOX}), reversed_gates=("g",))
    below, above = square_km(shapely.box(0, 0, 2e5, 7e4), shapely.box(0, 7e4, 2e5, 1e5))
    assert wrong.area_km2[0] == pytest.approx(below, rel=1e-9)
    assert right.area_km2[0] == pytest.approx(above, rel=1e-9)
    assert wrong.attrs["remarks"] == ["70 % of region a lies outside its gates"]


def test_an_open_gate_cuts_each_region_it_crosses():
    table = slivers(gate_table({"g": across(7e4)}), BOX, region_table(TWO))
    assert table.region.tolist() == ["west", "east"]
    expected = square_km(shapely.box(0, 7e4, 1e5, 1e5), shapely.box(1e5, 7e4, 2e5, 1e5))
    np.testing.assert_allclose(table.area_km2, expected, rtol=1e-9)


def test_two_open_gates_that_cut_a_region_together_do():
    halves = {"w": across(7e4, east=1e5), "e": shapely.LineString([(1e5, 7e4), (2.1e5, 7e4)])}
    table = slivers(gate_table(halves), BOX, region_table({"a": BOX}))
    expected = square_km(shapely.box(0, 7e4, 2e5, 1e5))[0]
    assert table.area_km2.tolist() == pytest.approx([expected], rel=1e-9)


@pytest.mark.parametrize("gate", [across(7e4, east=1.5e5), across(7e4, west=5e4, east=1.5e5)])
def test_an_open_gate_that_leaves_a_way_around_it_has_none_and_says_so(gate):
    table = slivers(gate_table({"g": gate}), BOX, region_table({"a": BOX}))
    assert len(table) == 0
    assert table.columns.tolist() == ["region", "sign", "area_km2", "geometry"]
    assert table.attrs["remarks"] == [
        "open gates g do not cut region a from side to side, each once: no slivers"
    ]


def test_two_open_gates_in_a_row_have_none_as_ice_would_pass_both():
    gates = gate_table({"upper": across(3e4), "lower": across(7e4)})
    table = slivers(gates, BOX, region_table({"a": BOX}))
    assert len(table) == 0
    assert "each once" in table.attrs["remarks"][0]


def test_an_open_gate_that_crosses_the_grounding_line_has_both_signs():
    """In over the western half, out over the eastern one."""
    line = shapely.LineString([(-1e4, 8e4), (1e5, 8e4), (1e5, 1.2e5), (2.1e5, 1.2e5), (2.1e5, 9e4),
                               (1.9e5, 9e4), (1.9e5, 5e4), (2.1e5, 5e4)])  # fmt: skip
    table = slivers(gate_table({"g": line}), BOX, region_table({"a": BOX}))
    assert table.sign.tolist() == [1, -1]
    expected = square_km(
        shapely.union_all([shapely.box(0, 8e4, 1e5, 1e5), shapely.box(1.9e5, 5e4, 2e5, 9e4)]),
        shapely.union_all([shapely.box(1e5, 1e5, 2e5, 1.2e5), shapely.box(2e5, 9e4, 2.1e5, 1.2e5)]),
    )
    np.testing.assert_allclose(table.area_km2, expected, rtol=1e-9)


def test_open_gates_in_regions_with_closed_ones_are_left_out_and_told():
    gates = gate_table({"ring": shapely.box(1e4, 1e4, 1.9e5, 9e4), "line": across(5e4)})
    table = slivers(gates, BOX, region_table({"a": BOX}))
    assert table.area_km2.sum() == pytest.approx(
        square_km(BOX.difference(gates.geometry[0]))[0], rel=1e-9
    )
    assert table.attrs["remarks"] == ["region a has closed gates: slivers of line left out"]


def test_a_gate_on_the_grounding_line_has_no_slivers():
    basins = region_table(wedges(np.random.default_rng(8), n=4, radius=8e5))
    ice = shapely.union_all(basins.geometry.to_numpy())
    assert len(slivers(gate_table({"g": ice}), ice, basins)) == 0


def test_gates_to_reverse_must_be_open_gates_of_the_table():
    gates = gate_table({"ring": disc(1e5, 5e4, 2e4)})
    with pytest.raises(GateError, match="gates lost, ring are to be reversed"):
        slivers(gates, BOX, region_table({"a": BOX}), reversed_gates=("ring", "lost"))


def test_grounded_ice_without_area_is_refused():
    with pytest.raises(GateError, match="LineString without area"):
        slivers(gate_table({"g": across(1e4)}), across(2e4), region_table({"a": BOX}))
