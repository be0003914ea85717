"""Errors drawn a hundred times lie within the σ that a run states for them as often as σ says.

Each seed draws what the synthetic maps draw, at the nodes of the gate, and hands the measured
fields to the same functions that make a run's uncertainty (flows of the flux and of the sums).
"""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pipelines.flows.mass_budget_flux import FluxJob
from pipelines.flows.mass_budget_rows import Rows, rows_of
from pipelines.flows.mass_budget_sums import BudgetJob, Terms
from pipelines.geometry.cell_overlap import area_weights, grid_overlap
from pipelines.geometry.gate_lines import GateNodes, gate_nodes
from pipelines.geometry.slivers import slivers
from pipelines.kernels import geodesy
from pipelines.kernels.budget import balance, flux_gate, loadings, paper_uncertainty
from pipelines.kernels.budget.patches import (
    NodeErrors,
    node_errors,
    patch_sums,
    square_patches,
)
from pipelines.kernels.constants import KG_PER_GT
from pipelines.settings_mass_budget import MassBudgetChoices, Uncertainty
from pipelines.worlds import budget, forcing
from pipelines.worlds.antarctica import ICE_DENSITY, Antarctica
from pipelines.worlds.budget import GatePlace
from pipelines.worlds.elevation_files import grid_axis
from pipelines.worlds.mass_budget_files import THICKNESS_SIGMA, THINNING_SIGMA
from pipelines.worlds.snowfall_files import RELATIVE
from pipelines.worlds.velocity_files import SIGMA, patch_errors

FLOAT = NDArray[np.float64]

SEEDS = 100
YEARS = 5
DENSITY_SIGMA = 5.0
CELL = 5.0
SIZES = Uncertainty(
    velocity_sigma_m_per_yr=SIGMA,
    surface_mass_balance=RELATIVE,
    dynamic_volume=0.0,
    elevation_rate_sigma_m_per_yr=THINNING_SIGMA,
    density_sigma=DENSITY_SIGMA,
    members=0,
)
"""As the run file of the demo has them, but for 40 % of the dynamic volume, which none draws."""
INSIDE = {1: 0.6827, 2: 0.9545}
"""Part of a normal distribution within so many σ [1]."""
QUANTITIES = ("ice_flux", "discharge", "balance", "first_year")
GROUPS = ("EAIS", "WAIS", "AP", "AIS")


@dataclass(frozen=True)
class Scene:
    """What does not change from one seed to the next; sums by basin in kg yr⁻¹."""

    nodes: GateNodes
    thickness: FLOAT
    v_x: FLOAT
    v_y: FLOAT
    rows: Rows
    truth: dict[str, FLOAT]
    cells: tuple[FLOAT, FLOAT]
    sliver: FLOAT
    area: FLOAT


def scene_of(world: Antarctica, place: GatePlace) -> Scene:
    basins = world.basins()
    # Vertices of the gate 3 km apart: chords that cost 0.02 Gt/yr in a basin.
    gate = budget.gate_line(world, place, along=1)
    nodes = gate_nodes(gate, basins, spacing_m=2000.0, patch_km=20.0, snap_m=20_000.0)
    thickness = world.thickness(nodes.x, nodes.y)
    v_x, v_y = world.velocity(nodes.x, nodes.y)
    between = slivers(gate, world.grounded(), basins)
    assert between.region.tolist() == basins.region.tolist()
    assert (between.sign == 1).all()
    axis = grid_axis(CELL)
    x, y = np.meshgrid(axis, axis[::-1])
    latitude, _ = geodesy.inverse_polar_stereographic(x, y)
    true_area = (1e3 * CELL / geodesy.map_scale(latitude)) ** 2
    weights = area_weights(
        grid_overlap(axis, axis[::-1].copy(), between.geometry), true_area.ravel()
    )
    used = np.unique(weights.indices)
    terms = budget.truth(world, place)
    truth = {
        name: KG_PER_GT * np.array([values[region] for region in basins.region])
        for name, values in vars(terms).items()
    }
    return Scene(
        nodes, thickness, v_x, v_y, rows_of(basins, ()), truth,
        (x.ravel()[used], y.ravel()[used]), weights[:, used].toarray(),
        1e6 * between.area_km2.to_numpy(),
    )  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """Errors and the σ stated for them, by row [Gt yr⁻¹]: of the mean of all years, or of one.

    ``first_year`` and ``paper`` are the discharge of one year; the latter's σ is the paper's.
    """

    ice_flux: tuple[FLOAT, FLOAT]
    discharge: tuple[FLOAT, FLOAT]
    balance: tuple[FLOAT, FLOAT]
    paper: tuple[FLOAT, FLOAT]
    first_year: tuple[FLOAT, FLOAT]


def measured(
    scene: Scene, choices: MassBudgetChoices, generator: np.random.Generator
) -> NodeErrors:
    """Draw a bed for all years and a velocity for each, alike within 20 km."""
    nodes, sizes = scene.nodes, choices.uncertainty
    drawn = patch_errors(nodes.x, nodes.y, generator, count=1 + 2 * YEARS)
    return node_errors(
        scene.thickness + THICKNESS_SIGMA * drawn[0],
        scene.v_x + SIGMA * drawn[1 : 1 + YEARS], scene.v_y + SIGMA * drawn[1 + YEARS :],
        nodes.w_x, nodes.w_y, sigma_thickness=THICKNESS_SIGMA,
        sigma_v_x=sizes.velocity_sigma_m_per_yr, sigma_v_y=sizes.velocity_sigma_m_per_yr,
        region=nodes.region, patch=nodes.patch, regions=len(scene.rows.regions),
        density=choices.density, length=nodes.length, leave_out=True,
    )  # fmt: skip


@dataclass(frozen=True)
class WholeRecord:
    """A climate model that lasts as long as the velocity does: no reanalysis continues it."""

    zero: FLOAT

    def extension_sigma(self) -> FLOAT:
        return self.zero

    def ratio_sigma(self) -> FLOAT:
        return self.zero

    def coast_sigma(self) -> FLOAT:
        return self.zero


def terms_of(
    scene: Scene, flux: FLOAT, *, density: float, generator: np.random.Generator
) -> tuple[Terms, WholeRecord]:
    """Draw snow and thinning, and put the terms together as equations 2 and 3 do."""
    snow = 1.0 + RELATIVE * generator.standard_normal(len(scene.rows.regions))
    errors = THINNING_SIGMA * patch_errors(*scene.cells, generator)[0]
    volume = scene.truth["sliver_mass_rate"] / ICE_DENSITY + scene.sliver @ errors
    below, fallen, volume, area = (
        np.broadcast_to(each, flux.shape)
        for each in (scene.truth["sliver_smb"] * snow,
                     scene.truth["surface_mass_balance"] * snow, volume, scene.area)
    )  # fmt: skip
    out = balance.discharge(flux, below, volume, density=density)
    zero = np.zeros(flux.shape)
    terms = Terms(
        ice_flux=flux, sliver_smb=below, smb=fallen, melt=zero, sliver_melt=zero,
        volume=balance.dynamic_mass_rate(volume, density=density), sliver_area=area,
        discharge=out, balance=balance.mass_balance(fallen, out),
    )  # fmt: skip
    return terms, WholeRecord(zero)


def draw(scene: Scene, seed: int, *, sizes: Uncertainty = SIZES) -> Draw:
    """Measure the world once and state how well."""
    generator = np.random.default_rng([seed, 77])
    density = ICE_DENSITY + DENSITY_SIGMA * generator.standard_normal()
    choices = MassBudgetChoices(density=density, uncertainty=sizes)
    nodes = measured(scene, choices, generator)
    sums = patch_sums(nodes)
    flux = sums.region_flux()
    terms, snow = terms_of(scene, flux, density=density, generator=generator)
    of_flux = FluxJob(choices, ((0, 0, 0),), scene.rows)
    of_sums = BudgetJob(choices, ("model",), (), (), (), scene.rows, (), has_reanalysis=False)
    at_gate = of_flux._terms(nodes, sums, flux, np.zeros(flux.shape))
    placed = [at_gate["thickness"], at_gate["velocity"]]
    errors = of_sums._errors(terms, snow)
    rows = scene.rows.matrix()
    mean, first = np.full((1, YEARS), 1.0 / YEARS), np.eye(1, YEARS)

    def stated(parts: list[loadings.Loadings], weights: FLOAT = mean) -> FLOAT:
        return loadings.stacked(parts).grouped(rows).weighted(weights).sigma()[0] / KG_PER_GT

    def off(found: FLOAT, name: str, weights: FLOAT = mean) -> FLOAT:
        return ((weights @ found)[0] - scene.truth[name]) @ rows.T / KG_PER_GT

    of_discharge = placed + list(of_sums._discharge(errors).values())
    of_balance = placed + list(of_sums._balance(errors).values())
    one_year = off(terms.discharge, "discharge", first)
    return Draw(
        (off(terms.ice_flux, "ice_flux"), stated(list(at_gate.values()))),
        (off(terms.discharge, "discharge"), stated(of_discharge)),
        (off(terms.balance, "mass_balance"), stated(of_balance)),
        (one_year, paper_sigma(of_flux, nodes, terms, rows)),
        (one_year, stated(of_discharge, first)),
    )


def paper_sigma(of_flux: FluxJob, nodes: NodeErrors, terms: Terms, rows: FLOAT) -> FLOAT:
    """Return equations 4 to 9 for the first year, groups in quadrature [Gt yr⁻¹]."""
    of_terms = of_flux._paper(nodes, np.eye(rows.shape[1]))
    flux = np.sqrt((of_terms**2).sum(axis=0))[:, 0]
    spread = paper_uncertainty.discharge_sigma(
        flux, terms.sliver_smb[0], terms.volume[0], relative_smb=RELATIVE
    )
    return np.sqrt(spread**2 @ rows.T) / KG_PER_GT


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scene_of(Antarctica(anomalies=forcing.ANOMALIES + forcing.OUTLETS), GatePlace())


@pytest.fixture(scope="module")
def draws(scene: Scene) -> list[Draw]:
    return [draw(scene, seed) for seed in range(SEEDS)]


def in_sigma(draws: list[Draw], quantity: str) -> FLOAT:
    """Errors in units of their σ, shape (seed, row)."""
    return np.array([np.divide(*getattr(each, quantity)) for each in draws])


def tolerance(inside: FLOAT, expected: float) -> float:
    """Return 3.5 standard errors of the part of errors inside, shape (seed, region).

    Basins of a seed share the density of ice, so the standard error is that of the means of seeds
    or, if larger, the binomial one of all draws: 0.0090 of 0.683 for 2700.
    """
    of_seeds = inside.mean(axis=1).std(ddof=1) / np.sqrt(len(inside))
    binomial = np.sqrt(expected * (1.0 - expected) / inside.size)
    return 3.5 * float(max(of_seeds, binomial))


def test_nodes_of_the_scene_carry_the_true_flux(scene):
    nodes = scene.nodes
    exact = flux_gate.segment_flux(
        scene.thickness, scene.v_x, scene.v_y, nodes.w_x, nodes.w_y, density=ICE_DENSITY
    )
    bias = flux_gate.region_sums(exact, nodes.region, 27) - scene.truth["ice_flux"]
    # Measured 0.016; the smallest sigma of a basin is 0.28.
    assert np.abs(bias).max() / KG_PER_GT < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_errors_of_basins_lie_within_sigma_as_often_as_normal_ones(draws, quantity):
    ratio = in_sigma(draws, quantity)[:, :27]
    for sigmas, expected in INSIDE.items():
        inside = np.abs(ratio) < sigmas
        # Measured 0.676 to 0.687, and 0.952 to 0.960; allowed 0.036 and 0.016 off.
        assert inside.mean() == pytest.approx(expected, abs=tolerance(inside, expected))
    # Measured 0.99 to 1.01; 2700 draws know their spread to 0.014.
    assert np.sqrt((ratio**2).mean()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("group", GROUPS)
def test_errors_of_groups_lie_within_sigma_as_often_as_normal_ones(scene, draws, group, quantity):
    ratio = in_sigma(draws, quantity)[:, scene.rows.names.index(group)]
    for sigmas, expected in INSIDE.items():
        count = int((np.abs(ratio) < sigmas).sum())
        # All but one of 1000 binomial draws of 100: 53 to 83 within 1 sigma, 88 to 100 within 2.
        low, high = stats.binom.interval(0.999, SEEDS, expected)
        assert low <= count <= high
    # 100 draws know their spread to 7 %.
    assert np.sqrt((ratio**2).mean()) == pytest.approx(1.0, abs=0.25)


@pytest.mark.slow
def test_no_error_is_a_bias(draws):
    for quantity in QUANTITIES:
        ratio = in_sigma(draws, quantity)
        assert np.abs(ratio.mean(axis=0)).max() < 4.0 / np.sqrt(SEEDS)


@pytest.mark.slow
def test_sigma_as_the_paper_has_it_fails_this_test(scene, draws):
    ratio = in_sigma(draws, "paper")
    # Nodes and the density of each err by themselves there. Of 100 seeds the ice sheet's discharge
    # of one year is within 1 sigma 23 times; of all basins 30 % are, whose errors have 3 times the
    # sigma though it counts 40 % of the dynamic volume besides, which is exact here.
    assert (np.abs(ratio[:, scene.rows.names.index("AIS")]) < 1.0).mean() < 0.4
    inside = np.abs(ratio[:, :27]) < 1.0
    assert inside.mean() < INSIDE[1] - 5.0 * tolerance(inside, INSIDE[1])
    assert np.sqrt((ratio[:, :27] ** 2).mean()) > 2.5


def test_sigma_of_thinning_bounds_what_patches_make_of_each_sliver(scene):
    patch = square_patches(*scene.cells, size_m=20e3)
    of_patches = np.stack([np.bincount(patch, row) for row in scene.sliver])
    exact = np.sqrt((of_patches**2).sum(axis=1))
    stated = np.sqrt(scene.area * np.minimum(scene.area, 20e3**2))
    # Slivers of 15 km fill no square of 20 km: what a run states is 1.23 to 1.40 times too large,
    # of 0.1 to 0.3 Gt/yr in a basin.
    assert (stated > 1.1 * exact).all()
    assert (stated < 1.5 * exact).all()
