"""Ensembles: seeded members, unbiased spread, and moments without expansion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.kernels import ensembles
from pipelines.kernels.ensembles import (
    EnsembleError,
    centre,
    expand,
    factor_covariance,
    factor_mean,
    factor_quantiles,
    factor_variance,
    perturbations,
    single_perturbation,
)


def factors(*members: int, shape: tuple[int, ...] = (5,), seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(loc=i, size=(n, *shape)) for i, n in enumerate(members)]


def test_a_member_made_alone_is_the_member_made_with_the_others():
    sigma = np.linspace(0.0, 2.0, 7)
    together = perturbations(sigma, members=30, seed=1, centred=False)
    np.testing.assert_array_equal(together[17], single_perturbation(sigma, seed=1, member=17))


def test_a_member_is_sigma_times_the_standard_normals_of_its_own_generator():
    normals = np.random.default_rng([5, 2]).standard_normal((2, 3))
    drawn = single_perturbation(np.full((2, 3), 4.0), seed=5, member=2)
    np.testing.assert_array_equal(drawn, 4.0 * normals)


def test_more_members_leave_the_first_ones_as_they_are():
    few, many = (perturbations(np.ones(4), members=n, seed=1, centred=False) for n in (3, 9))
    np.testing.assert_array_equal(many[:3], few)


def test_seeds_and_members_do_not_repeat_each_other():
    drawn = {
        (seed, member): float(single_perturbation(np.ones(1), seed=seed, member=member)[0])
        for seed in range(30)
        for member in range(30)
    }
    assert len(set(drawn.values())) == 900


def test_the_mean_member_of_a_centred_ensemble_is_the_estimate():
    drawn = perturbations(np.linspace(0.1, 3.0, 50), members=30, seed=1)
    # Thirty roundings of numbers up to ten.
    assert np.abs(drawn.mean(axis=0)).max() < 1e-15 * 30


def test_the_population_variance_of_a_centred_ensemble_is_sigma_squared_on_average():
    drawn = perturbations(np.full(20000, 2.0), members=30, seed=1)
    # 20000 variances of relative spread sqrt(2 / 29).
    assert abs(drawn.var(axis=0).mean() / 4.0 - 1.0) < 5 * np.sqrt(2 / 29 / 20000)


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_centring_keeps_differences_up_to_one_factor(members, seed):
    drawn = np.random.default_rng(seed).normal(size=(members, 3))
    spread = np.sqrt(members / (members - 1))
    np.testing.assert_allclose(
        np.diff(centre(drawn), axis=0), spread * np.diff(drawn, axis=0), atol=1e-13
    )


def test_a_coefficient_without_uncertainty_is_never_perturbed():
    sigma = np.array([0.0, 1.0])
    assert not perturbations(sigma, members=30, seed=1)[:, 0].any()


@pytest.mark.parametrize("sizes", [(7,), (30, 3), (4, 3, 5), (1, 6)])
def test_moments_agree_with_every_member_written_out(sizes):
    estimate, parts = np.linspace(-2.0, 2.0, 5), factors(*sizes)
    members = expand(estimate, parts)
    centred = members - members.mean(axis=0)

    assert members.shape == (np.prod(sizes), 5)
    # Sums of up to 90 numbers of order one.
    close = {"rtol": 0, "atol": 1e-14}
    np.testing.assert_allclose(factor_mean(estimate, parts), members.mean(axis=0), **close)
    np.testing.assert_allclose(factor_variance(parts), members.var(axis=0), **close)
    covariance = centred.T @ centred / len(members)
    np.testing.assert_allclose(factor_covariance(parts), covariance, **close)


def test_gia_enters_with_its_sign():
    estimate, drawn, gia = np.array([10.0]), np.array([[-1.0], [1.0]]), np.array([[4.0], [6.0]])
    members = expand(estimate, [drawn, -gia])
    assert sorted(members[:, 0]) == [3.0, 5.0, 5.0, 7.0]
    assert factor_mean(estimate, [drawn, -gia]) == 5.0
    assert factor_variance([drawn, -gia]) == 2.0


@given(
    hnp.arrays(np.float64, (4, 3), elements=st.floats(-1e3, 1e3)),
    hnp.arrays(np.float64, (6, 3), elements=st.floats(-1e3, 1e3)),
)
def test_variances_of_any_two_factors_add(first, second):
    members = expand(np.zeros(3), [first, second])
    # Squares up to 4e6, 24 of them.
    np.testing.assert_allclose(
        factor_variance([first, second]), members.var(axis=0), rtol=1e-12, atol=1e-8
    )


@given(st.integers(0, 10**6))
def test_the_diagonal_of_the_covariance_is_the_variance(seed):
    parts = factors(5, 3, seed=seed)
    np.testing.assert_allclose(
        np.diag(factor_covariance(parts)), factor_variance(parts), rtol=1e-13
    )


def test_quantiles_agree_with_every_member_written_out(monkeypatch):
    estimate, parts = np.zeros((2, 3)), factors(30, 3, shape=(2, 3))
    expected = np.quantile(expand(estimate, parts), [0.05, 0.5, 0.95], axis=0)
    np.testing.assert_array_equal(factor_quantiles(estimate, parts, q=[0.05, 0.5, 0.95]), expected)
    monkeypatch.setattr(ensembles, "BLOCK_BYTES", 8 * 90 * 4)
    np.testing.assert_array_equal(factor_quantiles(estimate, parts, q=[0.05, 0.5, 0.95]), expected)


def test_without_factors_the_only_member_is_the_estimate():
    estimate = np.array([1.0, 2.0])
    np.testing.assert_array_equal(expand(estimate, []), [estimate])
    np.testing.assert_array_equal(factor_mean(estimate, []), estimate)


def test_without_factors_there_is_no_spread():
    with pytest.raises(EnsembleError, match="expected at least one"):
        factor_variance([])


def test_an_empty_factor_is_refused():
    with pytest.raises(EnsembleError, match="leave an empty factor out"):
        factor_variance([np.ones((3, 5)), np.empty((0, 5))])


def test_the_covariance_of_whole_fields_is_refused():
    with pytest.raises(EnsembleError, match="one sum per region"):
        factor_covariance([np.ones((3, 4, 4))])


def test_factors_of_different_fields_are_refused():
    with pytest.raises(EnsembleError, match=r"factor 1 has shape \(3, 4\)"):
        factor_mean(np.zeros(5), [np.ones((3, 5)), np.ones((3, 4))])


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_a_sigma_that_is_no_spread_is_refused(bad):
    with pytest.raises(EnsembleError, match=r"at index \(1,\)"):
        perturbations(np.array([1.0, bad]), members=3, seed=1)


def test_one_member_cannot_be_centred():
    with pytest.raises(EnsembleError, match="centred=False"):
        perturbations(np.ones(2), members=1, seed=1)
    assert perturbations(np.ones(2), members=1, seed=1, centred=False).shape == (1, 2)


def test_an_ensemble_without_members_is_refused():
    with pytest.raises(EnsembleError, match="found 0 members"):
        perturbations(np.ones(2), members=0, seed=1)


@pytest.mark.parametrize(("seed", "member"), [(-1, 0), (0, -1)])
def test_negative_seeds_and_members_are_refused(seed, member):
    with pytest.raises(EnsembleError, match="expected zero or more"):
        single_perturbation(np.ones(2), seed=seed, member=member)
