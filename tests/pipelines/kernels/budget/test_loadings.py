"""Linear algebra of independent factors, against dense matrices and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.kernels.budget.loadings import (
    CORRELATED,
    Loadings,
    Structure,
    UncertaintyError,
    stacked,
    total,
    variance_shares,
)

FACTORS = hnp.arrays(np.float64, (5, 3, 4), elements=st.floats(-10, 10))


def random_factors(seed: int = 1, shape: tuple[int, ...] = (9, 4, 5)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_squares_of_the_parts_must_sum_to_one():
    assert Structure.of_variances(systematic=0.36, correlated=0.64) == Structure(0.6, 0.8, 0.0)
    for parts in ((1.0, 1.0, 0.0), (0.5, 0.5, 0.0), (-1.0, 0.0, 0.0), (np.nan, 1.0, 0.0)):
        with pytest.raises(UncertaintyError, match="squares"):
            Structure(*parts)
    with pytest.raises(UncertaintyError, match="expected zero or more"):
        Structure.of_variances(systematic=-0.5, correlated=1.5)
    with pytest.raises(UncertaintyError, match=r"sum to 0\.9"):
        Structure.of_variances(systematic=0.9)


@given(FACTORS)
def test_covariance_is_that_of_the_dense_factors(factors):
    found = Loadings.of_arrays(factors)

    expected = np.einsum("ftr,fus->trus", factors, factors)
    np.testing.assert_allclose(found.covariance(), expected, atol=1e-9)
    diagonal = np.einsum("trtr->tr", expected)
    np.testing.assert_allclose(found.variance(), diagonal, atol=1e-9)
    np.testing.assert_allclose(found.sigma() ** 2, diagonal, atol=1e-9)


def test_factors_of_few_and_of_many_loads_make_one_covariance(monkeypatch):
    factors = random_factors(1, (30, 12, 10)) * (np.arange(120).reshape(12, 10) > 80)
    factors[:11] = random_factors(2, (11, 12, 10))
    monkeypatch.setattr("pipelines.kernels.budget.loadings.BLOCK_BYTES", 8 * 120 * 4)

    found = Loadings.of_arrays(factors).covariance()

    np.testing.assert_allclose(found, np.einsum("ftr,fus->trus", factors, factors), atol=1e-12)


@given(FACTORS, hnp.arrays(np.float64, (2, 3), elements=st.floats(-3, 3)))
def test_weighted_and_grouped_sums_carry_the_covariance_along(factors, weights):
    matrix = np.array([[1.0, 1, 0, 0], [0, 1, 1, 1]])
    covariance = np.einsum("ftr,fus->trus", factors, factors)

    found = Loadings.of_arrays(factors).weighted(weights).grouped(matrix)

    expected = np.einsum(
        "et,gr,trus,du,hs->egdh", weights, matrix, covariance, weights, matrix, optimize=True
    )
    assert (found.years, found.regions) == (2, 2)
    np.testing.assert_allclose(found.covariance(), expected, atol=1e-7)


def test_order_of_weighting_and_grouping_does_not_matter():
    found = Loadings.of_arrays(random_factors())
    weights, matrix = np.random.default_rng(2).normal(size=(2, 4)), np.eye(5)[:3]

    one = found.weighted(weights).grouped(matrix).covariance()
    other = found.grouped(matrix).weighted(weights).covariance()

    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_independent_years_average_out_and_shared_ones_do_not():
    independent = Loadings.of_arrays(2.0 * np.eye(11)[:, :, None])
    same = Loadings.of_arrays(np.full((1, 11, 1), 2.0))
    mean = np.full((1, 11), 1 / 11)

    assert independent.weighted(mean).sigma().item() == pytest.approx(2 / np.sqrt(11))
    assert same.weighted(mean).sigma().item() == pytest.approx(2.0)


def test_a_cumulative_sum_grows_as_its_errors_are_shared():
    running = np.tril(np.ones((16, 16)))
    independent = Loadings.of_arrays(np.eye(16)[:, :, None]).weighted(running).sigma()[:, 0]
    same = Loadings.of_arrays(np.ones((1, 16, 1))).weighted(running).sigma()[:, 0]

    np.testing.assert_allclose(independent, np.sqrt(np.arange(1, 17)))
    np.testing.assert_allclose(same, np.arange(1, 17))


def test_regions_that_err_together_add_up_and_others_in_quadrature():
    """20 % of the paper's surface mass balance: 373 Gt/yr in one reading, 85 in the other."""
    sigma = np.array([3.0, 4.0])
    together = Loadings.of_arrays(sigma[None, None, :])
    apart = Loadings.of_arrays((np.eye(2) * sigma)[:, None, :])

    assert together.grouped(np.ones((1, 2))).sigma().item() == pytest.approx(7.0)
    assert apart.grouped(np.ones((1, 2))).sigma().item() == pytest.approx(5.0)


def test_the_sign_of_an_error_changes_no_sigma_but_what_it_covaries_with():
    found = Loadings.of_arrays(random_factors())

    np.testing.assert_array_equal(found.scaled(-1.0).sigma(), found.sigma())
    np.testing.assert_array_equal(found.plus(found.scaled(-1.0)).sigma(), 0.0)
    np.testing.assert_allclose(found.plus(found).sigma(), 2.0 * found.sigma())
    joined = stacked([found, found.scaled(-1.0)])
    np.testing.assert_allclose(joined.sigma(), np.sqrt(2.0) * found.sigma())


def test_terms_are_independent_and_their_shares_sum_to_one():
    terms = {"thickness": Loadings.of_arrays(random_factors(1)), "velocity": Loadings.none(4, 5)}
    terms["density"] = Loadings.of_arrays(random_factors(2, (1, 4, 5)))
    shares = variance_shares(terms)

    np.testing.assert_allclose(sum(shares.values()), 1.0)
    np.testing.assert_array_equal(shares["velocity"], 0.0)
    expected = sum(term.variance() for term in terms.values())
    np.testing.assert_allclose(total(terms).variance(), expected)
    assert np.isnan(variance_shares({"nothing": Loadings.none(1, 1)})["nothing"]).all()


def test_what_is_not_known_stays_with_its_own_years_and_groups():
    factors = random_factors()
    factors[2, 1, 3] = np.nan
    found = Loadings.of_arrays(factors)
    groups = np.array([[1.0, 1, 0, 0, 0], [0, 0, 1, 1, 1]])

    assert np.argwhere(np.isnan(found.sigma())).tolist() == [[1, 3]]
    assert np.argwhere(np.isnan(found.grouped(groups).sigma())).tolist() == [[1, 1]]
    epochs = found.weighted([[0.5, 0, 0.5, 0], [0, 1, 0, 0]])
    assert np.argwhere(np.isnan(epochs.sigma())).tolist() == [[1, 3]]
    assert not np.isnan(found.only(np.arange(5) != 3).sigma()).any()


def test_keeping_some_regions_leaves_no_error_in_others():
    found = Loadings.of_arrays(random_factors())
    kept = np.array([True, False, True, True, False])

    np.testing.assert_array_equal(found.only(kept).sigma(), found.sigma() * kept)


def test_drawn_errors_have_the_covariance():
    found = Loadings.of_arrays(random_factors(3, (6, 2, 2)))
    drawn = found.draw(40_000, generator=np.random.default_rng(4)).reshape(-1, 4)

    expected = found.covariance().reshape(4, 4)
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(np.cov(drawn.T) / spread, expected / spread, atol=0.03)  # 4σ
    again = found.draw(40_000, generator=np.random.default_rng(4)).reshape(-1, 4)
    np.testing.assert_array_equal(drawn, again)


def test_drawing_in_blocks_draws_the_same(monkeypatch):
    found = Loadings.of_arrays(random_factors())
    whole = found.draw(10, generator=np.random.default_rng(1))
    monkeypatch.setattr("pipelines.kernels.budget.loadings.BLOCK_BYTES", 8 * 9 * 3)

    np.testing.assert_allclose(found.draw(10, generator=np.random.default_rng(1)), whole)


def test_loads_of_one_factor_and_column_are_summed():
    found = Loadings.of_entries(
        np.array([1.0, 2.0, 5.0, 0.0]),
        np.array([7, 7, 9, 11]),
        np.array([0, 0, 1, 1]),
        years=1,
        regions=2,
    )

    assert found.factors == 2  # nothing of the factor without loads
    np.testing.assert_array_equal(found.sigma(), [[3.0, 5.0]])


def test_shapes_that_do_not_fit_are_refused():
    found = Loadings.of_arrays(random_factors())
    with pytest.raises(UncertaintyError, match=r"shape \(1, 3\).*\(any, 4\)"):
        found.weighted(np.ones((1, 3)))
    with pytest.raises(UncertaintyError, match="1 not finite"):
        found.grouped(np.array([[1.0, 0, np.nan, 0, 0]]))
    with pytest.raises(UncertaintyError, match="same factors"):
        found.plus(Loadings.none(4, 5))
    with pytest.raises(UncertaintyError, match="same years and regions"):
        stacked([found, Loadings.none(1, 1)])
    with pytest.raises(UncertaintyError, match="0 errors"):
        stacked([])
    assert CORRELATED.correlated == 1.0
