"""Members from sums by patch, against errors added to every node, and the analytic covariance."""

import numpy as np
import pytest

from pipelines.kernels.budget.loadings import (
    CORRELATED,
    RANDOM,
    SYSTEMATIC,
    Structure,
    UncertaintyError,
    stacked,
)
from pipelines.kernels.budget.monte_carlo import MEMBERS_AT_ONCE, draws, flux_members
from pipelines.kernels.budget.patches import NodeErrors, patch_sums
from pipelines.kernels.budget.uncertainty import (
    density_loadings,
    product_loadings,
    thickness_loadings,
    velocity_loadings,
)
from pipelines.kernels.constants import KG_PER_GT
from tests.benchmarks.monte_carlo_sides import make_nodes, node_level
from tests.pipelines.kernels.budget.gates import random_nodes

HALF = Structure.of_variances(systematic=0.3, correlated=0.7)
SHARED = np.array([[0] * 20 + [3] * 20, [1] * 40, [2] * 10 + [3] * 30])


def members_of(nodes: NodeErrors, members: int, *, seed: int = 1, **other) -> np.ndarray:
    choices = {"thickness": HALF, "velocity": HALF} | other
    generator = np.random.default_rng(seed)
    return flux_members(patch_sums(nodes), members=members, generator=generator, **choices)


def draws_of(nodes: NodeErrors, members: int, *, seed: int = 1, **other):
    choices = {"thickness": HALF, "velocity": HALF} | other
    generator = np.random.default_rng(seed)
    return draws(patch_sums(nodes), members=members, generator=generator, **choices)


@pytest.mark.parametrize("structure", [SYSTEMATIC, CORRELATED, HALF])
@pytest.mark.parametrize("maps", [None, 0, SHARED], ids=["a map a year", "one map", "some shared"])
def test_members_are_those_of_every_node_with_the_same_draws(structure, maps):
    nodes = random_nodes(velocity_map=maps)
    parts = {"thickness": structure, "velocity": structure}

    found = members_of(nodes, 150, relative_density=0.1, **parts)
    expected = node_level(nodes, draws_of(nodes, 150, **parts), relative_density=0.1)

    assert found.shape == (150, 3, 4)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_a_continent_is_within_a_hundred_thousandth_of_a_gigatonne_of_its_nodes():
    nodes = make_nodes(20_000, 3)
    found = members_of(nodes, 5)
    expected = node_level(nodes, draws_of(nodes, 5))

    assert np.abs(expected).max() / KG_PER_GT > 30.0
    assert np.abs(found - expected).max() / KG_PER_GT < 1e-5


def test_products_of_errors_make_the_covariance_exact():
    """First order alone is 20 % short where both errors are half of what they are errors of."""
    nodes = random_nodes(
        12, 2, regions=2, patches=4, sigma_thickness=900.0, sigma_v_x=150.0, sigma_v_y=150.0
    )
    sums = patch_sums(nodes)
    first = stacked([thickness_loadings(nodes, sums, HALF), velocity_loadings(nodes, sums, HALF)])
    whole = stacked([first, product_loadings(sums, HALF, HALF)])

    members = members_of(nodes, 60_000).reshape(60_000, 4)
    expected = whole.covariance().reshape(4, 4)
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))

    np.testing.assert_allclose(np.cov(members.T) / spread, expected / spread, atol=0.04)
    assert (first.variance() < 0.9 * whole.variance()).all()
    error = np.sqrt(np.diag(expected) / 60_000)
    assert (np.abs(members.mean(axis=0) - sums.region_flux().ravel()) < 4 * error).all()


def test_small_errors_have_the_covariance_of_first_order():
    """Of a continent, with density and random errors; 3000 members know σ to 1.3 %."""
    nodes = make_nodes(4000, 2)
    sums = patch_sums(nodes)
    parts = Structure.of_variances(systematic=0.1, correlated=0.6, random=0.3)
    whole = thickness_loadings(nodes, sums, parts, random_length_m=1000.0)
    speed = velocity_loadings(nodes, sums, parts, random_length_m=1000.0)
    density = density_loadings(sums.region_flux(), density=917.0, sigma_density=5.0)
    expected = stacked([whole, speed, density])
    of_nodes = stacked(
        [
            loadings(nodes, sums, RANDOM, random_length_m=1000.0).scaled(parts.random)
            for loadings in (thickness_loadings, velocity_loadings)
        ]
    )

    members = members_of(
        nodes,
        3000,
        thickness=parts,
        velocity=parts,
        relative_density=5.0 / 917.0,
        random=of_nodes,
    )

    np.testing.assert_allclose(members.std(axis=0), expected.sigma(), rtol=0.06)  # 4.6σ of 54
    together = expected.grouped(np.ones((1, 27))).sigma()[:, 0]
    np.testing.assert_allclose(members.sum(axis=2).std(axis=0), together, rtol=0.06)


def test_a_member_does_not_depend_on_how_many_follow_it():
    nodes = random_nodes()
    few, many = members_of(nodes, MEMBERS_AT_ONCE), members_of(nodes, MEMBERS_AT_ONCE + 50)

    np.testing.assert_array_equal(few, many[:MEMBERS_AT_ONCE])
    assert not np.array_equal(few, members_of(nodes, MEMBERS_AT_ONCE, seed=2))


def test_the_truth_is_within_one_sigma_in_two_worlds_of_three():
    """Errors drawn at the nodes, uncertainty from the sums: 68.3 % of 27 regions in 60 worlds."""
    nodes = make_nodes(3000, 1)
    sums = patch_sums(nodes)
    terms = [thickness_loadings(nodes, sums, HALF), velocity_loadings(nodes, sums, HALF)]
    sigma = stacked(terms).sigma()

    worlds = node_level(nodes, draws_of(nodes, 60))
    inside = np.abs(worlds - sums.region_flux()) <= sigma

    assert inside.mean() == pytest.approx(0.683, abs=0.06)


def test_an_unknown_node_leaves_its_region_and_year_unknown():
    fields = random_nodes()
    v_x = fields.v_x.copy()
    v_x[2, 0] = np.nan
    nodes = random_nodes(v_x=v_x)
    found = members_of(nodes, 3)

    unknown = np.argwhere(np.isnan(found).any(axis=0)).tolist()
    assert unknown == [[2, nodes.region[0]]]


def test_members_that_cannot_be_drawn_are_refused():
    nodes = random_nodes()
    with pytest.raises(UncertaintyError, match="found 0 members"):
        members_of(nodes, 0)
    with pytest.raises(UncertaintyError, match=r"random parts 1\.0 of thickness"):
        members_of(nodes, 1, thickness=RANDOM)
