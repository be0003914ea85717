"""The synthetic ice sheet keeps its promises: budgets close, polygons fit, flow conserves mass."""

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import geodesy
from pipelines.worlds import equal_area, forcing, outline
from pipelines.worlds.antarctica import ICE_DENSITY, Antarctica
from pipelines.worlds.regions import GROUPS, SECTORS, sector_index

GEOD = pyproj.Geod(ellps="WGS84")


def geodesic_area(polygon: shapely.Polygon) -> float:
    x, y = shapely.get_coordinates(shapely.segmentize(polygon.exterior, 5e3)).T
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    return abs(GEOD.polygon_area_perimeter(longitude, latitude)[0])


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    latitude=st.floats(-85.0, -70.0),
    longitude=st.floats(-180.0, 180.0),
    rate=st.floats(-900.0, 300.0),
)
def test_budgets_close_whatever_the_world_loses(
    seed: int, latitude: float, longitude: float, rate: float
) -> None:
    patch = forcing.Anomaly("drawn", latitude, longitude, 250e3, rate)
    world = Antarctica(seed=seed, anomalies=(*forcing.ANOMALIES, patch))

    gained, lost = world.basin_surface_mass_balance(), world.basin_discharge()
    changed = world.basin_mass_rates()

    for region, change in changed.items():
        # Relative to the terms of the budget: their difference cannot be more exact.
        assert abs(gained[region] - lost[region] - change) < 1e-12 * gained["AIS"]


def test_the_ice_sheet_has_a_plausible_size_and_balance(world: Antarctica) -> None:
    area = world.basin_areas()["AIS"] / 1e12
    assert 11.5 < area < 12.5  # million km²
    assert 1800.0 < world.basin_surface_mass_balance()["AIS"] < 2200.0
    assert 1900.0 < world.basin_discharge()["AIS"] < 2300.0
    assert -150.0 < world.basin_mass_rates()["AIS"] < -70.0


def test_totals_are_sums_of_their_basins(world: Antarctica) -> None:
    rates = world.basin_mass_rates()

    assert [s.region for s in SECTORS] == [str(n) for n in range(1, 28)]
    for group, regions in GROUPS.items():
        assert rates[group] == pytest.approx(sum(rates[r] for r in regions), abs=1e-12)
    assert rates["AIS"] == pytest.approx(rates["EAIS"] + rates["WAIS"] + rates["AP"], abs=1e-12)


def test_sums_of_the_map_agree_with_the_quadrature(world: Antarctica) -> None:
    spacing = 1e4
    axis = np.arange(-2.9e6, 2.9e6, spacing) + spacing / 2.0
    x, y = np.meshgrid(axis, axis)
    latitude, longitude = geodesy.inverse_polar_stereographic(x, y)
    area = (spacing / geodesy.map_scale(latitude)) ** 2
    grounded = world.is_grounded(latitude, longitude)

    loss = np.sum(world.mass_rate(latitude, longitude) * area) / 1e12
    snow = np.sum(world.accumulation(x, y)[grounded] * area[grounded]) / 1e12

    # Cells of 10 km follow the coast to a few parts in 10⁴.
    assert loss == pytest.approx(world.basin_mass_rates()["AIS"], rel=3e-3)
    assert snow == pytest.approx(world.basin_surface_mass_balance()["AIS"], rel=1e-3)
    assert area[grounded].sum() == pytest.approx(world.basin_areas()["AIS"], rel=5e-4)


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius"),
    [(-72.0, 40.0, 150e3), (-76.5, 253.0, 90e3), (-69.5, 116.0, 120e3), (-84.0, 120.0, 300e3)],
)
def test_flow_through_a_closed_gate_leaves_what_fell_inside_it(
    world: Antarctica, latitude: float, longitude: float, radius: float
) -> None:
    x_0, y_0 = geodesy.polar_stereographic(np.array(latitude), np.array(longitude))
    angle = 2.0 * np.pi * (np.arange(4000) + 0.5) / 4000
    x, y = x_0 + radius * np.cos(angle), y_0 + radius * np.sin(angle)
    scale = geodesy.map_scale(geodesy.inverse_polar_stereographic(x, y)[0])
    width = 2.0 * np.pi * radius / angle.size / scale

    v_x, v_y = world.velocity(x, y)
    outward = v_x * np.cos(angle) + v_y * np.sin(angle)
    through = np.sum(ICE_DENSITY * world.thickness(x, y) * outward * width)

    u, w = np.polynomial.legendre.leggauss(48)
    r = radius * (u[:, None] + 1.0) / 2.0
    x_in, y_in = x_0 + r * np.cos(angle[::20]), y_0 + r * np.sin(angle[::20])
    at, on = geodesy.inverse_polar_stereographic(x_in, y_in)
    surplus = world.accumulation(x_in, y_in) - world.mass_rate(at, on)
    cells = (radius / 2.0) * w[:, None] * r * (2.0 * np.pi / 200) / geodesy.map_scale(at) ** 2
    assert through == pytest.approx(np.sum(surplus * cells), rel=2e-5)


def test_discharge_is_thickness_times_velocity_across_the_grounding_line(
    world: Antarctica,
) -> None:
    sector = SECTORS[21]
    nu = np.linspace(sector.start, sector.stop, 40001)
    edge = world.divide.position(world.coast(nu) * (1.0 - 1e-9), nu)
    x, y = equal_area.map_from_plane(edge)
    middle = equal_area.map_from_plane(
        world.divide.position(*((world.coast(m := (nu[1:] + nu[:-1]) / 2) * (1 - 1e-9)), m))
    )
    scale = geodesy.map_scale(geodesy.inverse_polar_stereographic(*middle)[0])

    v_x, v_y = world.velocity(*middle)
    w_x, w_y = np.diff(y) / scale, -np.diff(x) / scale  # rising ν is anticlockwise
    flux = ICE_DENSITY * world.thickness(*middle) * (v_x * w_x + v_y * w_y)

    assert flux.sum() / 1e12 == pytest.approx(world.basin_discharge()["22"], rel=1e-5)


def test_ice_flows_outwards_and_no_faster_than_ice_does(world: Antarctica) -> None:
    axis = np.arange(-2.9e6, 2.9e6, 2e4)
    x, y = np.meshgrid(axis, axis)
    v_x, v_y = world.velocity(x, y)
    speed, thickness = np.hypot(v_x, v_y), world.thickness(x, y)
    mu, nu = world.divide.coordinates(equal_area.plane_from_map(x, y))
    along, _ = world.flux(mu, nu)
    ice = thickness > 0.0

    assert np.isnan(speed[~ice]).all()
    assert np.isfinite(speed[ice]).all()
    assert (along[ice] < 0.0).mean() < 0.01  # where it gains more than it is given
    assert 1000.0 < speed[ice].max() < 9000.0
    assert np.median(speed[ice]) < 60.0
    assert 3000.0 < thickness.max() < 4000.0


def test_no_mass_changes_beyond_the_grounded_ice(world: Antarctica) -> None:
    latitude, longitude = np.array([-60.0, 75.0, 0.0, -79.5]), np.array([255.0, 255.0, 0.0, 190.0])

    np.testing.assert_array_equal(world.mass_rate(latitude, longitude), 0.0)
    assert float(world.mass_rate(np.array(-76.0), np.array(254.5))) < -500.0


def test_basins_tile_the_grounded_ice(world: Antarctica) -> None:
    basins, grounded = world.basins(), world.grounded().geometry[0]

    assert list(basins.columns) == ["region", "name", "group", "geometry"]
    assert basins.crs.to_epsg() == 3031
    assert basins.is_valid.all()
    assert basins.union_all().symmetric_difference(grounded).area == 0.0
    assert basins.area.sum() == pytest.approx(grounded.area, rel=1e-12)


def test_polygons_have_the_areas_of_the_field(world: Antarctica) -> None:
    areas = world.basin_areas()

    for region, polygon in zip(world.basins().region, world.basins().geometry, strict=True):
        # Chords of the borders: 43 parts per million for the narrowest basin of the horn.
        assert geodesic_area(polygon) == pytest.approx(areas[region], rel=6e-5)
    assert geodesic_area(world.grounded().geometry[0]) == pytest.approx(areas["AIS"], rel=5e-6)


def test_points_in_a_basin_know_it(world: Antarctica) -> None:
    for n, polygon in enumerate(world.basins().geometry):
        inside = polygon.representative_point()
        z = equal_area.plane_from_map(np.array(inside.x), np.array(inside.y))
        assert int(sector_index(world.divide.coordinates(z)[1])) == n


def test_shelves_float_between_the_grounding_line_and_the_front(world: Antarctica) -> None:
    shelves, grounded = world.ice_shelves(), world.grounded().geometry[0]
    coastline = world.coastline().geometry[0]

    assert list(shelves.name) == [shelf.name for shelf in outline.SHELVES]
    assert shelves.is_valid.all()
    assert coastline.is_valid
    assert shelves.intersection(grounded).area.max() == 0.0
    assert shelves.area.sum() + grounded.area == pytest.approx(coastline.area, rel=1e-12)


def test_a_seed_is_a_world() -> None:
    same, other = Antarctica(seed=3), Antarctica(seed=4)

    assert same.basin_mass_rates() == Antarctica(seed=3).basin_mass_rates()
    assert same.basin_areas()["AIS"] != other.basin_areas()["AIS"]
