"""Worlds whose budget closes by construction: what falls on the ice leaves through its gates.

A cap of ice flows away from the pole with the speed at which uniform snowfall (less what thickens
it) leaves every parallel in equal shares, on the ellipsoid. Whatever gate is drawn in it, its flux
is the snowfall on what it encloses.
"""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import affinity

from pipelines.geometry import cell_overlap
from pipelines.geometry.gate_generator import generate
from pipelines.geometry.gate_lines import GateNodes, gate_nodes
from pipelines.geometry.slivers import slivers
from pipelines.geometry.true_area import map_scale_at, true_area
from pipelines.kernels import geodesy
from pipelines.kernels.budget import balance, bilinear
from pipelines.kernels.budget.flux_gate import region_sums, segment_flux
from tests.pipelines.geometry.shapes import (
    SEEDS,
    disc,
    gate_table,
    region_table,
    star_ring,
    wedges,
)

DENSITY = 917.0
SNOWFALL = 150.0
"""Surface mass balance [kg m⁻² yr⁻¹]."""
FINE = {"spacing_m": 1e3, "patch_km": 20.0, "snap_m": 2e3}
LATITUDES = (-66.0, -70.0, -75.0, -80.0, -85.0)


def thickness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ice-equivalent thickness of the cap, with hills [m]."""
    return 2500.0 - 500.0 * (x**2 + y**2) / 4e12 + 200.0 * np.sin(x / 3e5) * np.cos(y / 4e5)


def cap_area(latitude: np.ndarray) -> np.ndarray:
    """True area south of a parallel, in closed form [m²]."""
    e, b = np.sqrt(geodesy.WGS84_E2), geodesy.WGS84_SEMI_MAJOR * np.sqrt(1 - geodesy.WGS84_E2)

    def q(sine: np.ndarray) -> np.ndarray:
        return sine / (1.0 - (e * sine) ** 2) + np.arctanh(e * sine) / e

    return np.pi * b**2 * (q(np.ones(1)) - q(np.sin(-np.radians(latitude))))


def velocity(
    x: np.ndarray, y: np.ndarray, *, thickening: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """True velocity that carries what falls inside each parallel and does not stay [m yr⁻¹]."""
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    r = np.hypot(x, y)
    leaving = (SNOWFALL - DENSITY * thickening) * cap_area(latitude)
    parallel = 2.0 * np.pi * r / geodesy.map_scale(latitude)
    speed = leaving / (DENSITY * thickness(x, y) * parallel)
    return speed * x / r, speed * y / r


def flux(nodes: GateNodes, *, thickening: float = 0.0, widths: float | np.ndarray = 1.0):
    """Flux through every node [kg yr⁻¹], its widths multiplied by something."""
    v_x, v_y = velocity(nodes.x, nodes.y, thickening=thickening)
    w_x, w_y = nodes.w_x * widths, nodes.w_y * widths
    return segment_flux(thickness(nodes.x, nodes.y), v_x, v_y, w_x, w_y, density=DENSITY)


def cap(latitude: float) -> shapely.Polygon:
    """A cap as a polygon so fine that its chords cost 2e-8 of its area."""
    _, radius = geodesy.polar_stereographic(np.array(latitude), np.array(0.0))
    return disc(0.0, 0.0, float(radius), n=20_000)


def gridded_area(shape: shapely.Polygon, *, true: bool) -> float:
    """Area summed over cells of 10 km cut by the shape: true, or as if the map were flat [m²]."""
    edge = 1e4 * np.ceil(shape.bounds[2] / 1e4)
    axis = np.arange(-edge + 5e3, edge, 1e4)
    shares = cell_overlap.grid_overlap(axis, axis, gpd.GeoSeries([shape], crs=3031))
    x, y = np.meshgrid(axis, axis)
    cells = geodesy.cell_areas(x.ravel(), y.ravel(), 1e4) if true else np.full(x.size, 1e8)
    return float((shares @ cells)[0])


@pytest.mark.parametrize("latitude", LATITUDES)
def test_a_steady_cap_loses_what_falls_on_it(latitude):
    """D / SMB = 1.000000; cells of 10 km are worth 2e-7 of it, chords 2e-8."""
    ice = cap(latitude)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table({"cap": ice}), **FINE)
    assert flux(nodes).sum() / (SNOWFALL * gridded_area(ice, true=True)) == pytest.approx(
        1.0, abs=1e-6
    )


@pytest.mark.parametrize("latitude", LATITUDES)
def test_a_budget_that_takes_the_map_for_flat_misses_two_point_seven_percent(latitude):
    """Discharge −2.5 … +1.7 %, snowfall −5.2 … −1.1 %, and neither makes up for the other."""
    ice = cap(latitude)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table({"cap": ice}), **FINE)
    smb = SNOWFALL * gridded_area(ice, true=True)
    planar_d = flux(nodes, widths=map_scale_at(nodes.x, nodes.y)).sum()
    planar_smb = SNOWFALL * gridded_area(ice, true=False)
    assert -0.0265 > (planar_smb - planar_d) / smb > -0.0278
    assert -0.026 < planar_d / smb - 1.0 < 0.018
    assert -0.053 < planar_smb / smb - 1.0 < -0.010


def test_the_extremes_of_a_flat_map_are_those_measured():
    planar = {}
    for latitude in (-66.0, -85.0):
        ice = cap(latitude)
        nodes = gate_nodes(gate_table({"coast": ice}), region_table({"cap": ice}), **FINE)
        true = true_area(np.asarray([ice], dtype=object))[0]
        k = map_scale_at(nodes.x, nodes.y)
        planar[latitude] = (flux(nodes, widths=k).sum() / flux(nodes).sum(), ice.area / true)
    d, smb = 100.0 * (np.array(list(planar.values())).T - 1.0)
    np.testing.assert_allclose(d, [1.7, -2.5], atol=0.06)
    np.testing.assert_allclose(smb, [-1.1, -5.2], atol=0.06)
    np.testing.assert_allclose(smb - d, [-2.77, -2.65], atol=0.02)


def test_the_opposite_scale_factor_would_be_wrong_twice():
    """Widths times k² are those of a code that takes 0.9799 for k at 65° S."""
    ice = cap(-66.0)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table({"cap": ice}), **FINE)
    ratio = flux(nodes, widths=map_scale_at(nodes.x, nodes.y) ** 2).sum() / flux(nodes).sum()
    assert ratio == pytest.approx(map_scale_at(nodes.x, nodes.y).mean() ** 2, rel=1e-6)
    assert ratio > 1.03


@given(SEEDS, st.integers(3, 12))
@settings(max_examples=12, deadline=None)
def test_any_closed_gate_passes_on_what_falls_inside_it(seed, n):
    """Mid-points of 1 km steps on straight edges: 1e-6 of the flux."""
    gate = star_ring(np.random.default_rng(seed), n=n, radius=1.2e6)
    nodes = gate_nodes(gate_table({"g": gate}), region_table({"map": cap(-60.0)}), **FINE)
    falls = SNOWFALL * true_area(np.asarray([gate], dtype=object))[0]
    assert flux(nodes).sum() == pytest.approx(falls, abs=1e-6 * np.abs(flux(nodes)).sum())


@given(SEEDS, st.integers(2, 6))
@settings(max_examples=8, deadline=None)
def test_flux_and_slivers_together_are_the_discharge_wherever_the_gate_is(seed, n_basins):
    """Equations 2 and 3: inland, off the coast or across it, while ice thickens by 2 cm yr⁻¹."""
    rng = np.random.default_rng(seed)
    basins = wedges(rng, n=n_basins, radius=1.5e6)
    coast = shapely.union_all(list(basins.values()))
    gates = gate_table({"g": star_ring(rng, n=9, radius=1.9e6)})
    regions = region_table(basins)
    between = slivers(gates, coast, regions)
    assume(not any("no gate enters" in remark for remark in between.attrs["remarks"]))
    nodes = gate_nodes(gates, region_table({"map": cap(-60.0)}), **FINE)
    area = 1e6 * float((between.sign * between.area_km2).sum())
    leaving = balance.discharge(
        flux(nodes, thickening=0.02).sum(), SNOWFALL * area, 0.02 * area, density=DENSITY
    )
    whole = true_area(np.asarray([coast], dtype=object))[0]
    mb = balance.mass_balance(np.asarray(SNOWFALL * whole), leaving)
    assert mb == pytest.approx(DENSITY * 0.02 * whole, rel=2e-5)


@pytest.mark.parametrize("distance", [2e3, 1e4, 5e4])
def test_gates_at_any_distance_inland_give_one_discharge(distance):
    ice = cap(-72.0)
    gates = generate(ice, distance_m=distance, smallest_area_m2=1e9, simplify_m=100.0)
    between = slivers(gates, ice, region_table({"cap": ice}))
    nodes = gate_nodes(gates, region_table({"cap": ice}), **FINE)
    leaving = flux(nodes).sum() + SNOWFALL * 1e6 * between.area_km2.sum()
    falls = SNOWFALL * true_area(np.asarray([ice], dtype=object))[0]
    assert leaving == pytest.approx(falls, rel=1e-7)


def test_basins_of_a_split_gate_sum_to_the_whole_cap():
    ice = cap(-75.0)
    basins = wedges(np.random.default_rng(6), n=27, radius=2.5e6)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table(basins), **FINE)
    sums = region_sums(flux(nodes), nodes.region, 27)
    assert (sums > 0.0).all()
    assert sums.sum() == pytest.approx(flux(nodes).sum(), rel=1e-14)
    shares = [
        true_area(np.asarray([ice.intersection(b)], dtype=object))[0] for b in basins.values()
    ]
    assert np.corrcoef(sums, shares)[0, 1] > 0.9


@pytest.mark.parametrize("spacing", [100.0, 5e3, 2e4])
def test_discharge_does_not_depend_on_the_density_of_nodes(spacing):
    gate = star_ring(np.random.default_rng(11), n=14, radius=1.1e6)
    regions = region_table({"map": cap(-60.0)})
    sizes = {"patch_km": 20.0, "snap_m": 2e3}
    d, fine = (
        flux(gate_nodes(gate_table({"g": gate}), regions, spacing_m=s, **sizes)).sum()
        for s in (spacing, 1e3)
    )
    assert d == pytest.approx(fine, rel=1e-3 * max(spacing / 2e4, 1e-3))


def test_reversing_an_open_gate_flips_its_flux():
    line = shapely.LineString([(-4e5, 1e6), (3e5, 1.1e6), (6e5, 7e5)])
    regions = region_table({"map": cap(-60.0)})
    forth, back = (
        flux(gate_nodes(gate_table({"g": g}), regions, **FINE)).sum()
        for g in (line, shapely.reverse(line))
    )
    assert forth > 0.0
    assert back == pytest.approx(-forth, rel=1e-13)


@given(SEEDS, st.integers(3, 40))
@settings(max_examples=20, deadline=None)
def test_uniform_flow_on_the_map_nets_zero_through_a_gate_with_holes(seed, n):
    rng = np.random.default_rng(seed)
    ice = star_ring(rng, n=n, radius=1.2e6)
    ice = ice.difference(affinity.scale(ice, 0.3, 0.2))
    nodes = gate_nodes(gate_table({"g": ice}), region_table({"map": cap(-60.0)}), **FINE)
    k = map_scale_at(nodes.x, nodes.y)
    through = 300.0 * nodes.w_x * k - 40.0 * nodes.w_y * k
    assert abs(through.sum()) <= 1e-13 * np.abs(through).sum()


def test_flipped_and_transposed_grids_give_the_same_discharge():
    """Axes as stored, y upside down, x backwards, and arrays whose first dimension is x."""
    x_axis = np.arange(-1.3e6, 1.3e6, 2e4) + 1e4
    y_axis = x_axis[::-1]
    x, y = np.meshgrid(x_axis, y_axis)
    v_x, v_y = velocity(x, y)
    fields = np.stack([thickness(x, y), v_x, v_y])
    gate = star_ring(np.random.default_rng(2), n=14, radius=1e6)
    nodes = gate_nodes(gate_table({"g": gate}), region_table({"map": cap(-60.0)}), **FINE)

    def discharge(fields: np.ndarray, x_axis: np.ndarray, y_axis: np.ndarray) -> np.ndarray:
        at = bilinear.stencil(x_axis, y_axis, nodes.x, nodes.y)
        h, v_x, v_y = bilinear.interpolate(fields[:, at.rows, at.columns], at.weights)
        return segment_flux(h, v_x, v_y, nodes.w_x, nodes.w_y, density=DENSITY)

    stored = discharge(fields, x_axis, y_axis)
    np.testing.assert_allclose(
        discharge(fields[:, ::-1], x_axis, y_axis[::-1]), stored, rtol=1e-11, atol=1e-3
    )
    np.testing.assert_allclose(
        discharge(fields[:, :, ::-1], x_axis[::-1], y_axis), stored, rtol=1e-11, atol=1e-3
    )
    turned = bilinear.stencil(y_axis, x_axis, nodes.y, nodes.x)
    swapped = fields.transpose(0, 2, 1)[:, turned.rows, turned.columns]
    h, v_x, v_y = bilinear.interpolate(swapped, turned.weights)
    flux_turned = segment_flux(h, v_x, v_y, nodes.w_x, nodes.w_y, density=DENSITY)
    np.testing.assert_allclose(flux_turned, stored, rtol=1e-11, atol=1e-3)
    assert stored.sum() == pytest.approx(flux(nodes).sum(), rel=1e-3)


def test_metres_a_day_taken_for_metres_a_year_stand_out():
    """The budget of a steady cap is the check: it would miss all but 1 / 365 of its discharge."""
    ice = cap(-75.0)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table({"cap": ice}), **FINE)
    falls = SNOWFALL * true_area(np.asarray([ice], dtype=object))[0]
    assert flux(nodes).sum() / 365.25 / falls == pytest.approx(1.0 / 365.25, rel=1e-6)


def test_missing_velocity_leaves_its_basin_missing_and_zero_would_not():
    ice = cap(-75.0)
    basins = wedges(np.random.default_rng(6), n=9, radius=2.5e6)
    nodes = gate_nodes(gate_table({"coast": ice}), region_table(basins), **FINE)
    gap = flux(nodes)
    gap[np.flatnonzero(nodes.region == 4)[::3]] = np.nan
    sums = region_sums(gap, nodes.region, 9)
    assert np.isnan(sums).tolist() == [r == 4 for r in range(9)]
    filled = region_sums(np.nan_to_num(gap), nodes.region, 9)
    assert filled[4] < 0.7 * region_sums(flux(nodes), nodes.region, 9)[4]
