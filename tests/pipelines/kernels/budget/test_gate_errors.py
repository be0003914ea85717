"""Errors of nodes against the plain rule of propagation, closed forms and other spacings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.budget.loadings import (
    CORRELATED,
    RANDOM,
    SYSTEMATIC,
    Structure,
    UncertaintyError,
)
from pipelines.kernels.budget.paper_uncertainty import flux_sigma
from pipelines.kernels.budget.patches import node_errors, patch_sums, square_patches
from pipelines.kernels.budget.uncertainty import (
    product_loadings,
    thickness_loadings,
    velocity_loadings,
)
from tests.benchmarks.monte_carlo_sides import make_nodes
from tests.pipelines.kernels.budget.gates import (
    node_fields,
    random_nodes,
    thickness_covariance,
    velocity_covariance,
)

MIXED = Structure.of_variances(systematic=0.2, correlated=0.5, random=0.3)
STRUCTURES = [SYSTEMATIC, CORRELATED, RANDOM, MIXED]
ELL = 1000.0
SOME_MAPS = {
    "a map a year": None,
    "one map": 5,
    "years filled from others": np.array([[0] * 20 + [3] * 20, [1] * 40, [2] * 10 + [3] * 30]),
}


def test_sigma_of_a_uniform_gate_by_hand():
    """100 nodes of 1 km, 1 km thick, 200 m/yr, σ_H 50 m, patches of 20 nodes.

    One node: 917 · 200 · 1000 · 50 kg/yr. Systematic: all 100 together. Correlated: 20 in each of
    5 patches. Random over 500 m: white noise along 100 km, √(100 · 500 / 1000) nodes' worth.
    """
    n, node = 100, 917.0 * 200.0 * 1000.0 * 50.0
    nodes = node_errors(
        np.full(n, 1000.0),
        np.full((1, n), 200.0),
        np.zeros((1, n)),
        np.full(n, 1000.0),
        np.zeros(n),
        sigma_thickness=50.0,
        sigma_v_x=0.0,
        sigma_v_y=0.0,
        region=np.zeros(n, int),
        patch=np.arange(n) // 20,
        regions=1,
        density=917.0,
    )
    expected = {SYSTEMATIC: 100.0, CORRELATED: 20.0 * np.sqrt(5.0), RANDOM: np.sqrt(50.0)}
    for structure, count in expected.items():
        found = thickness_loadings(nodes, patch_sums(nodes), structure, random_length_m=500.0)
        assert found.sigma().item() == pytest.approx(count * node, rel=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_thickness_errs_alike_in_all_years(structure):
    nodes = random_nodes()
    found = thickness_loadings(nodes, patch_sums(nodes), structure, random_length_m=ELL)

    expected = thickness_covariance(nodes, structure)
    np.testing.assert_allclose(found.covariance(), expected, atol=1e-12 * expected.max())


@pytest.mark.parametrize("maps", SOME_MAPS.values(), ids=SOME_MAPS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_velocity_errs_alike_where_years_share_a_map(structure, maps):
    nodes = random_nodes(velocity_map=maps)
    found = velocity_loadings(nodes, patch_sums(nodes), structure, random_length_m=ELL)

    expected = velocity_covariance(nodes, structure)
    np.testing.assert_allclose(found.covariance(), expected, atol=1e-12 * expected.max())


def test_years_of_maps_of_their_own_are_independent():
    nodes = random_nodes()
    covariance = velocity_loadings(nodes, patch_sums(nodes), CORRELATED).covariance()

    for t, u in ((0, 1), (0, 2), (1, 2)):
        np.testing.assert_array_equal(covariance[t, :, u, :], 0.0)
    shared = random_nodes(velocity_map=7)
    rows = velocity_loadings(shared, patch_sums(shared), CORRELATED).covariance()
    assert np.abs(rows[0, :, 1, :]).max() > 0.0


def test_a_shift_of_all_velocities_passes_through_a_closed_gate():
    """What a systematic error lets out on one side, it lets in on the other."""
    nodes = make_nodes(2000, 1)
    even = np.full(2000, 800.0)
    flat = node_errors(
        even,
        nodes.v_x,
        nodes.v_y,
        nodes.w_x,
        nodes.w_y,
        sigma_thickness=0.0,
        sigma_v_x=10.0,
        sigma_v_y=10.0,
        region=nodes.region,
        patch=nodes.patch,
        regions=nodes.regions,
        density=917.0,
    )
    found = velocity_loadings(flat, patch_sums(flat), SYSTEMATIC)

    assert found.sigma().min() > 1e11
    assert found.grouped(np.ones((1, 27))).sigma().item() < 1e-9 * found.sigma().max()


SPACINGS = (5_000, 20_000, 80_000, 280_000)


def test_sigma_does_not_depend_on_the_spacing_of_nodes():
    """From 7 km to 130 m: within 2 % (patches of 20 km hold two or three of the fewest nodes)."""
    found = {"thickness": [], "velocity": [], "random": [], "paper": []}
    for n in SPACINGS:
        nodes = make_nodes(n, 1)
        sums, whole = patch_sums(nodes), np.ones((1, nodes.regions))
        terms = {
            "thickness": thickness_loadings(nodes, sums, CORRELATED),
            "velocity": velocity_loadings(nodes, sums, CORRELATED),
            "random": thickness_loadings(nodes, sums, RANDOM, random_length_m=ELL),
        }
        for name, term in terms.items():
            found[name].append(term.grouped(whole).sigma().item())
        found["paper"].append(np.linalg.norm(paper_mode(nodes)))

    for name in ("thickness", "velocity", "random"):
        np.testing.assert_allclose(found[name], found[name][-1], rtol=0.02, err_msg=name)
    falls = np.array(found["paper"]) * np.sqrt(SPACINGS)
    np.testing.assert_allclose(falls, falls[-1], rtol=0.02)
    assert found["paper"][0] / found["paper"][-1] == pytest.approx(np.sqrt(56), rel=0.02)


def paper_mode(nodes):
    sigma = flux_sigma(
        nodes.thickness[0],
        nodes.v_x[0],
        nodes.v_y[0],
        nodes.w_x,
        nodes.w_y,
        sigma_thickness=nodes.sigma_thickness[0],
        sigma_speed=np.zeros(len(nodes.region)),
        density=nodes.density,
        sigma_density=5.0,
        region=nodes.region,
        regions=nodes.regions,
    )
    return sigma.thickness


def all_sigmas(fields):
    nodes = node_errors(**fields)
    sums = patch_sums(nodes)
    return np.stack(
        [
            thickness_loadings(nodes, sums, MIXED, random_length_m=ELL).sigma(),
            velocity_loadings(nodes, sums, MIXED, random_length_m=ELL).sigma(),
            product_loadings(sums, CORRELATED, MIXED).sigma(),
        ]
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_cutting_nodes_in_two_changes_no_sigma(seed, cut):
    fields = node_fields(30, 2, regions=3, patches=5, seed=seed)
    twice = {name: repeated(value, cut) for name, value in fields.items()}
    for name in ("w_x", "w_y", "length"):
        twice[name] = twice[name] * np.where(np.arange(30 + cut) % (30) < cut, 0.5, 1.0)

    before, after = all_sigmas(fields), all_sigmas(twice)

    np.testing.assert_allclose(after, before, rtol=1e-9)


def repeated(value, cut):
    """Put the first nodes, again, at the end."""
    return np.concatenate([value, value[..., :cut]], axis=-1) if np.ndim(value) else value


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_order_of_nodes_and_numbers_of_patches_change_nothing(seed):
    fields = node_fields(30, 2, regions=3, patches=5, seed=seed)
    order = np.random.default_rng(seed).permutation(30)
    other = {name: value[..., order] if np.ndim(value) else value for name, value in fields.items()}
    other["patch"] = 1000 - 7 * other["patch"]

    np.testing.assert_allclose(all_sigmas(other), all_sigmas(fields), rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_reversing_a_gate_turns_its_flux_and_not_its_uncertainty(seed):
    fields = node_fields(30, 2, regions=3, patches=5, seed=seed)
    turned = fields | {"w_x": -fields["w_x"], "w_y": -fields["w_y"]}

    np.testing.assert_allclose(all_sigmas(turned), all_sigmas(fields), rtol=1e-9)
    here, there = patch_sums(node_errors(**fields)), patch_sums(node_errors(**turned))
    np.testing.assert_array_equal(here.region_flux(), -there.region_flux())


def test_sums_of_patches_hold_the_flux_of_every_region():
    nodes = random_nodes(velocity_map=SOME_MAPS["years filled from others"])
    expected = np.zeros((3, 4))
    for node, region in enumerate(nodes.region):
        speed = nodes.v_x[:, node] * nodes.w_x[node] + nodes.v_y[:, node] * nodes.w_y[node]
        expected[:, region] += 917.0 * nodes.thickness[:, node] * speed

    np.testing.assert_allclose(patch_sums(nodes).region_flux(), expected, rtol=1e-12)


def test_regions_without_a_gate_have_no_error():
    nodes = random_nodes(regions=6, region=np.arange(40) % 4)
    found = thickness_loadings(nodes, patch_sums(nodes), MIXED, random_length_m=ELL)

    np.testing.assert_array_equal(found.sigma()[:, 4:], 0.0)
    assert (found.sigma()[:, :4] > 0.0).all()


def test_a_node_that_is_not_measured_makes_its_region_unknown_or_is_left_out():
    fields = node_fields(40, 3, regions=4, patches=7, seed=1)
    fields["v_y"][1, 6] = np.nan
    region = fields["region"][6]
    for structure in STRUCTURES:
        for make in (thickness_loadings, velocity_loadings):
            kept = node_errors(**fields)
            found = make(kept, patch_sums(kept), structure, random_length_m=ELL).sigma()
            assert np.argwhere(np.isnan(found)).tolist() == [[1, region]]
            left = node_errors(**fields, leave_out=True)
            sigma = make(left, patch_sums(left), structure, random_length_m=ELL).sigma()
            assert np.isfinite(sigma).all()
            others = ~np.isnan(found)
            np.testing.assert_allclose(sigma[others], found[others], rtol=1e-9)
    left = patch_sums(node_errors(**fields, leave_out=True)).region_flux()
    without = np.arange(40) != 6
    assert np.isfinite(left).all()
    assert np.isnan(patch_sums(node_errors(**fields)).region_flux()[1, region])
    assert left[1, region] == pytest.approx(
        917.0
        * sum(
            fields["thickness"][i]
            * (fields["v_x"][1, i] * fields["w_x"][i] + fields["v_y"][1, i] * fields["w_y"][i])
            for i in np.flatnonzero(without & (fields["region"] == region))
        )
    )


def test_squares_of_the_map_hold_their_own_points():
    x = np.array([1.0, 19_999.0, 20_001.0, -1.0, 5.0])
    y = np.array([1.0, 1.0, 1.0, 1.0, -30_000.0])
    patch = square_patches(x, y, size_m=20_000.0)

    assert patch[0] == patch[1]
    assert len(set(patch[1:])) == 4
    assert sorted(set(patch)) == [0, 1, 2, 3]
    with pytest.raises(UncertaintyError, match="0 m"):
        square_patches(x, y, size_m=0)
    with pytest.raises(UncertaintyError, match="finite"):
        square_patches(x, np.full(5, np.nan), size_m=1.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma_thickness": -1.0}, r"sigma_thickness is -1.0 m at year 0, node 0 \(120"),
        ({"sigma_v_x": np.nan}, "sigma_v_x is nan m yr⁻¹"),
        ({"region": np.full(40, -1)}, "region holds int64 from -1"),
        ({"region": np.full(40, 4)}, "expected indices from 0 to 3"),
        ({"patch": np.zeros(40)}, "patch holds float64"),
        ({"w_x": np.zeros(39)}, r"w_x has shape \(39,\), expected one that broadcasts to \(40,\)"),
        ({"velocity_map": np.zeros((2, 40), int)}, r"velocity_map has shape \(2, 40\)"),
    ],
)
def test_nodes_that_make_no_gate_are_refused(change, said):
    with pytest.raises(UncertaintyError, match=said):
        random_nodes(**change)


def test_a_random_part_needs_a_length():
    nodes = random_nodes()
    sums = patch_sums(nodes)
    with pytest.raises(UncertaintyError, match="random_length_m"):
        thickness_loadings(nodes, sums, RANDOM)
    with pytest.raises(UncertaintyError, match="expected a positive length"):
        velocity_loadings(nodes, sums, RANDOM, random_length_m=0.0)


def test_a_segment_without_length_lets_no_error_through():
    nodes = random_nodes(w_x=np.zeros(40), w_y=np.zeros(40), length=np.zeros(40))
    found = velocity_loadings(nodes, patch_sums(nodes), MIXED, random_length_m=ELL)

    np.testing.assert_array_equal(found.sigma(), 0.0)
