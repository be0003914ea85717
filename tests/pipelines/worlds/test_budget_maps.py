"""The synthetic budget through its maps: what cells of a grid and patches of errors do to terms.

Errors are drawn in the cells that the gate reads, as files have them, and read between cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pytest
import shapely

from pipelines.geometry import cell_overlap
from pipelines.geometry.gate_lines import GateNodes, gate_nodes
from pipelines.geometry.slivers import slivers
from pipelines.geometry.true_area import map_scale_at
from pipelines.kernels.budget import bilinear, flux_gate, loadings, uncertainty
from pipelines.kernels.budget.loadings import CORRELATED, Loadings
from pipelines.kernels.budget.patches import node_errors, patch_sums
from pipelines.kernels.constants import KG_PER_GT
from pipelines.worlds import budget
from pipelines.worlds.antarctica import ICE_DENSITY, Antarctica
from pipelines.worlds.budget import BudgetTruth, GatePlace
from pipelines.worlds.elevation_files import grid_axis
from pipelines.worlds.mass_budget_files import THICKNESS_SIGMA, THINNING_SIGMA
from pipelines.worlds.snowfall_files import RELATIVE
from pipelines.worlds.velocity_files import SIGMA, patch_errors

FLOAT = np.ndarray
REGIONS = 27
YEARS = 5
SEEDS = 100


@pytest.fixture(scope="module")
def truth(world: Antarctica) -> BudgetTruth:
    return budget.truth(world, GatePlace())


@pytest.fixture(scope="module")
def nodes(world: Antarctica) -> GateNodes:
    line, basins = budget.gate_line(world, GatePlace()), world.basins()
    return gate_nodes(line, basins, spacing_m=500.0, patch_km=20.0, snap_m=2e3)


@pytest.fixture(scope="module")
def below(world: Antarctica) -> gpd.GeoDataFrame:
    """Slivers between gate and grounding line."""
    return slivers(budget.gate_line(world, GatePlace()), world.grounded(), world.basins())


@dataclass(frozen=True)
class Cells:
    """Cells of 5 km that slivers cover in part: true area in each sliver (sliver, cell) [m²]."""

    x: FLOAT
    y: FLOAT
    area: FLOAT


@pytest.fixture(scope="module")
def cells(below: gpd.GeoDataFrame) -> Cells:
    axis = grid_axis(5.0)
    shares = cell_overlap.grid_overlap(axis, axis[::-1], below.geometry)
    used = np.flatnonzero(np.diff(shares.tocsc().indptr))
    x, y = (each.ravel()[used] for each in np.meshgrid(axis, axis[::-1]))
    return Cells(x, y, shares[:, used].toarray() * (5e3 / map_scale_at(x, y)) ** 2)


def by_basin(values: dict[str, float]) -> FLOAT:
    return np.array([values[str(n)] for n in range(1, REGIONS + 1)])


def flux(at: GateNodes, thickness: FLOAT, v_x: FLOAT, v_y: FLOAT) -> FLOAT:
    through = flux_gate.segment_flux(thickness, v_x, v_y, at.w_x, at.w_y, density=ICE_DENSITY)
    return np.bincount(at.region, through, minlength=REGIONS) / KG_PER_GT


def test_the_gate_is_10_to_20_km_inland_wherever_the_coast_is_straight(world):
    ring = budget.gate_line(world, GatePlace()).geometry.iloc[0]
    ice = shapely.Polygon(world.grounded().geometry.iloc[0].exterior)
    away = shapely.distance(ice.exterior, shapely.points(shapely.get_coordinates(ring)))

    assert ring.is_simple
    assert shapely.contains_properly(ice, ring)
    assert 8e3 < away.min() < 11e3
    assert np.percentile(away, 99) < 21e3
    assert away.max() < 26e3


def test_slivers_of_the_geometry_hold_the_snow_of_the_truth(world, truth, below, cells):
    snow = cells.area @ world.accumulation(cells.x, cells.y) / KG_PER_GT

    assert below.region.tolist() == [str(n) for n in range(1, REGIONS + 1)]
    assert (below.sign == 1).all()
    assert snow == pytest.approx(by_basin(truth.sliver_smb), rel=0.01)


def test_slivers_of_the_geometry_thin_as_the_truth(world, truth, cells):
    lost = cells.area @ (ICE_DENSITY * budget.ice_equivalent_rate(world, cells.x, cells.y))

    assert lost / KG_PER_GT == pytest.approx(by_basin(truth.sliver_mass_rate), rel=0.01, abs=1e-3)


@dataclass(frozen=True)
class Sampled:
    """What maps of a spacing give at the nodes: cells that they read, and their weights."""

    x: FLOAT
    y: FLOAT
    cells: FLOAT
    weights: FLOAT

    def __call__(self, values: FLOAT) -> FLOAT:
        return bilinear.interpolate(values[..., self.cells], self.weights)


def sampled(at: GateNodes, spacing_km: float) -> Sampled:
    axis = grid_axis(spacing_km)
    found = bilinear.stencil(axis, axis[::-1], at.x, at.y)
    used, cells = np.unique(found.rows * len(axis) + found.columns, return_inverse=True)
    return Sampled(
        axis[used % len(axis)],
        axis[::-1][used // len(axis)],
        cells.reshape(found.rows.shape),
        found.weights,
    )


def bias(world: Antarctica, at: GateNodes, true: FLOAT, spacing_km: float) -> FLOAT:
    maps = sampled(at, spacing_km)
    v_x, v_y = world.velocity(maps.x, maps.y)
    return flux(at, maps(world.thickness(maps.x, maps.y)), maps(v_x), maps(v_y)) - true


def test_grids_of_5_km_resolve_the_flux_of_the_streams(world, nodes, truth):
    true = by_basin(truth.ice_flux)
    worst = {km: np.abs(bias(world, nodes, true, km)).max() for km in (2.0, 5.0, 10.0)}

    # Measured: 0.02, 0.12 and 0.65 Gt/yr.
    assert worst[2.0] < 0.05
    assert worst[5.0] < 0.2
    assert worst[10.0] < 1.0
    assert worst[2.0] < worst[5.0] / 3.0 < worst[10.0] / 9.0


@dataclass(frozen=True)
class Draws:
    """Errors of many seeds over what the terms' loadings say of them, (seed, region)."""

    flux: FLOAT
    balance: FLOAT
    whole: FLOAT


def flux_loadings(at: GateNodes, thickness: FLOAT, v_x: FLOAT, v_y: FLOAT) -> Loadings:
    """Return what a run states of the flux through the gate, by year and basin."""
    years = np.ones((YEARS, 1))
    known = node_errors(
        thickness, years * v_x, years * v_y, at.w_x, at.w_y,
        sigma_thickness=THICKNESS_SIGMA, sigma_v_x=SIGMA, sigma_v_y=SIGMA,
        region=at.region, patch=at.patch, regions=REGIONS, density=ICE_DENSITY, length=at.length,
    )  # fmt: skip
    sums = patch_sums(known)
    return loadings.stacked(
        [
            uncertainty.thickness_loadings(known, sums, CORRELATED),
            uncertainty.velocity_loadings(known, sums, CORRELATED),
            uncertainty.product_loadings(sums, CORRELATED, CORRELATED),
        ]
    )


def stated(at: GateNodes, true: BudgetTruth, ice: tuple[FLOAT, ...]) -> tuple[Loadings, Loadings]:
    """Return the mean flux's and the mean balance's errors, snow's included [kg/yr]."""
    through = flux_loadings(at, *ice).weighted(np.full((1, YEARS), 1.0 / YEARS))
    snow, below = (
        uncertainty.relative_loadings(
            KG_PER_GT * by_basin(each)[None], CORRELATED, relative=RELATIVE
        )
        for each in (true.surface_mass_balance, true.sliver_smb)
    )
    terms = uncertainty.balance_terms(
        {"ice_flux": through, "sliver_smb": below}, snow, one_model=True
    )
    return through, loadings.total(terms)


@pytest.fixture(scope="module")
def draws(world: Antarctica, nodes: GateNodes, truth: BudgetTruth) -> Draws:
    """Draw what :func:`write_mass_budget` draws, in the cells that the gate reads."""
    maps = sampled(nodes, 5.0)
    ice = world.thickness(maps.x, maps.y), *world.velocity(maps.x, maps.y)
    through, total = stated(nodes, truth, tuple(maps(each) for each in ice))
    true = by_basin(truth.ice_flux)
    net = by_basin(truth.surface_mass_balance) - by_basin(truth.sliver_smb)
    flux_errors, balance_errors = np.empty((2, SEEDS, REGIONS))
    for seed in range(SEEDS):
        generator = np.random.default_rng([7, seed])
        bed, *speed = patch_errors(maps.x, maps.y, generator, count=1 + 2 * YEARS)
        thickness = maps(ice[0] + THICKNESS_SIGMA * bed)
        years = [
            flux(nodes, thickness, maps(ice[1] + SIGMA * e_x), maps(ice[2] + SIGMA * e_y))
            for e_x, e_y in zip(speed[::2], speed[1::2], strict=True)
        ]
        flux_errors[seed] = np.mean(years, axis=0) - true
        snow = RELATIVE * generator.standard_normal(REGIONS) * net
        balance_errors[seed] = snow - flux_errors[seed]
    whole = np.sqrt(total.covariance().sum()) / KG_PER_GT
    return Draws(
        flux_errors / (through.sigma()[0] / KG_PER_GT),
        balance_errors / (total.sigma()[0] / KG_PER_GT),
        balance_errors.sum(axis=1) / whole,
    )


@pytest.mark.parametrize("quantity", ["flux", "balance"])
def test_the_truth_lies_within_the_stated_error_as_often_as_it_should(draws, quantity):
    z = getattr(draws, quantity)

    # 2700 of them: a hundredth is one standard deviation of the share. Bilinear reading of squares
    # takes 2 % off the spread, and the grid 0.1 σ beside it.
    assert (np.abs(z) < 1.0).mean() == pytest.approx(0.683, abs=0.03)
    assert (np.abs(z) < 2.0).mean() == pytest.approx(0.954, abs=0.015)
    assert np.sqrt((z**2).mean()) == pytest.approx(1.0, abs=0.05)


def test_no_basin_is_off_or_surer_than_it_may_be(draws):
    for z in (draws.flux, draws.balance):
        assert np.abs(z.mean(axis=0)).max() < 0.45
        assert z.std(axis=0) == pytest.approx(1.0, abs=0.3)


def test_the_whole_ice_sheet_errs_as_its_basins_together(draws):
    assert draws.whole.std() == pytest.approx(1.0, abs=0.25)
    assert abs(draws.whole.mean()) < 0.4


def test_errors_of_thinning_between_gate_and_line_stay_below_what_is_stated(cells):
    """The flow states ρ s √(A min(A, L²)), as if a sliver held whole squares: an upper bound."""
    errors = patch_errors(cells.x, cells.y, np.random.default_rng(5), count=400)

    spread = ICE_DENSITY * THINNING_SIGMA * (errors @ cells.area.T).std(axis=0)

    whole = cells.area.sum(axis=1)
    upper = ICE_DENSITY * THINNING_SIGMA * np.sqrt(whole * np.minimum(whole, 20e3**2))
    assert ((spread / upper > 0.5) & (spread / upper < 1.0)).all()
