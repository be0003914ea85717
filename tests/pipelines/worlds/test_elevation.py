import numpy as np
import pytest

from pipelines.kernels import geodesy
from pipelines.worlds import equal_area, forcing
from pipelines.worlds.antarctica import Antarctica
from pipelines.worlds.elevation import ElevationChange, elevation_change, stream

SPACING = 40e3


def lattice() -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(-2.8e6 + SPACING / 2, 2.8e6, SPACING)
    x, y = np.meshgrid(axis, axis[::-1])
    return x, y


@pytest.fixture(scope="module")
def change(world: Antarctica) -> ElevationChange:
    return elevation_change(world, *lattice())


def test_equation_a1_with_a_perfect_model_of_snow_and_firn_gives_the_mass_rate_back(world, change):
    truth = world.mass_rate(*geodesy.inverse_polar_stereographic(*lattice()))

    found = 910.0 * (change.elevation_rate - change.surface_elevation_rate) + change.snow

    # 910 (h − h_S) cancels to a few rounding errors of the largest rate, 610 kg m⁻² yr⁻¹.
    assert np.abs(found - truth).max() < 1e-12 * np.abs(truth).max()


def test_flow_and_snow_sum_to_the_mass_rate_of_the_world_basin_by_basin(world):
    nodes = world.nodes
    x, y = geodesy.polar_stereographic(nodes.latitude, nodes.longitude)

    change = elevation_change(world, x, y, grounded=np.ones(x.shape, dtype=bool))

    sums = ((change.dynamic + change.snow) * nodes.area).sum(axis=-1) / 1e12
    truth = [world.basin_mass_rates()[str(n)] for n in range(1, 28)]
    # Nodes go to the map and back: a nanometre of position times the slope of the anomalies.
    assert sums == pytest.approx(truth, abs=1e-9)


def test_nothing_changes_where_no_ice_is_grounded(world, change):
    outside = ~world.is_grounded(*geodesy.inverse_polar_stereographic(*lattice()))

    assert outside.any()
    for part in (change.dynamic, change.snow, change.compaction, change.elevation_rate):
        assert (part[outside] == 0.0).all()
        assert np.isfinite(part).all()


def test_flow_takes_the_larger_share_in_streams_and_snow_between_them(world, change):
    x, y = lattice()
    inside = world.is_grounded(*geodesy.inverse_polar_stereographic(x, y))
    in_stream = stream(world, equal_area.plane_from_map(x, y))
    # Half of all mass change here is snow if neither a stream nor a changing glacier is near.
    maud = inside & (np.abs(np.arctan2(x, y) - np.radians(25.0)) < np.radians(30.0))
    share = change.dynamic / np.where(change.mass_rate == 0.0, np.nan, change.mass_rate)

    assert np.nanmin(share[maud & (in_stream > 0.5)]) > 0.5
    assert np.nanmax(share[maud & (in_stream < 0.05)]) < 0.25


def test_the_surface_moves_more_than_ice_alone_would_let_it(change):
    """Snow is lighter than ice: volume over mass lies between 1/910 and 1/310 for the whole."""
    apparent = change.mass_rate.sum() / change.elevation_rate.sum()

    assert 310.0 < apparent < 910.0


def test_a_given_mass_rate_is_matched_instead_of_the_worlds(world):
    x, y = lattice()
    inside = np.hypot(x, y) < 1.0e6

    change = elevation_change(world, x, y, mass_rate=lambda x, _: -30.0 + x / 1e5, grounded=inside)

    expected = np.where(inside, -30.0 + x / 1e5, 0.0)
    assert np.abs(change.mass_rate - expected).max() < 1e-13 * np.abs(expected).max()
    a1 = 910.0 * (change.elevation_rate - change.surface_elevation_rate) + change.snow
    assert np.abs(a1 - expected).max() < 1e-12 * np.abs(expected).max()


def test_a_world_with_outlets_still_balances_and_its_basins_resolve_them():
    world = Antarctica(anomalies=forcing.ANOMALIES + forcing.OUTLETS)
    axis = np.arange(-2.8e6 + 5e3, 2.8e6, 10e3)
    x, y = np.meshgrid(axis, axis)
    change = elevation_change(world, x, y)

    mass, snow, gone = (
        world.basin_mass_rates(),
        world.basin_surface_mass_balance(),
        world.basin_discharge(),
    )

    for region, rate in mass.items():
        assert snow[region] - gone[region] == pytest.approx(rate, abs=1e-9)
    raster = (change.mass_rate * geodesy.cell_areas(x, y, 10e3)).sum() / 1e12
    # 10 km cells blur the coast: the world without outlets differs by 0.01 Gt as much.
    assert raster == pytest.approx(mass["AIS"], abs=0.05)
    assert mass["AIS"] < Antarctica().basin_mass_rates()["AIS"] - 20.0
