"""Combined estimates: against brute force, against many draws, and where methods share errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.comparison import combining
from pipelines.kernels.comparison.estimates import EstimateError, Estimates, estimates

METHODS = {"gravimetry": (-90.0, 25.0), "altimetry": (-70.0, 40.0), "budget": (-120.0, 60.0)}
SHARED = {
    "rebound": {"gravimetry": 20.0, "altimetry": 3.0},
    "snow": {"altimetry": 25.0, "budget": 45.0},
}
CLASSES = {"gravimetry": "gravimetry", "altimetry": "altimetry", "budget": "mass budget"}


def drawn(found: Estimates, truth: float, count: int) -> np.ndarray:
    """Draw what the methods would say in many worlds, shape (count, n)."""
    root = np.linalg.cholesky(found.covariance)
    return truth + np.random.default_rng(1).standard_normal((count, len(found.names))) @ root.T


class TestEstimates:
    def test_shared_causes_fill_the_covariance_and_leave_the_variances(self):
        found = estimates(METHODS, SHARED)
        np.testing.assert_allclose(found.sigmas, [25.0, 40.0, 60.0])
        np.testing.assert_allclose(found.covariance[0, 1], 20.0 * 3.0)
        np.testing.assert_allclose(found.covariance[1, 2], 25.0 * 45.0)
        assert found.covariance[0, 2] == 0.0

    @pytest.mark.parametrize(
        ("values", "shared", "words"),
        [
            ({}, {}, "one at least"),
            ({"a": (1.0, 0.0)}, {}, "not above zero"),
            ({"a": (1.0, -2.0)}, {}, "not above zero"),
            ({"a": (float("nan"), 1.0)}, {}, "not finite"),
            ({"a": (1.0, 1.0)}, {"rebound": {"b": 1.0}}, r"moves \['b'\]"),
            ({"a": (1.0, 1.0)}, {"rebound": {"a": 2.0}}, "more than all of its error, 1"),
            ({"a": (1.0, 1.0), "b": (1.0, 1.0)}, {"x": {"a": 1.0, "b": 1.0}}, "wholly another"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, values, shared, words):
        with pytest.raises(EstimateError, match=words):
            estimates(values, shared)

    def test_shapes_that_do_not_fit_are_refused(self):
        with pytest.raises(EstimateError, match=r"expected \(2,\) and \(2, 2\)"):
            Estimates(("a", "b"), np.zeros(2), np.eye(3))
        with pytest.raises(EstimateError, match="not symmetric"):
            Estimates(("a", "b"), np.zeros(2), np.array([[1.0, 0.1], [0.2, 1.0]]))


class TestGeneralisedMean:
    def test_it_is_the_best_of_all_unbiased_sums(self):
        found = estimates(METHODS, SHARED)
        mean = combining.generalised_mean(found)
        weights = np.array(mean.weights)
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        rng = np.random.default_rng(2)
        for _ in range(200):
            step = rng.normal(size=3)
            other = weights + 0.1 * (step - step.mean())  # sums to 1 too
            assert other @ found.covariance @ other >= mean.sigma**2 - 1e-9
        assert weights @ found.covariance @ weights == pytest.approx(mean.sigma**2)

    def test_its_error_is_what_many_worlds_show_and_that_of_the_rule_that_knows_less_is_not(self):
        found = estimates(METHODS, SHARED)
        mean = combining.generalised_mean(found)
        many = drawn(found, -100.0, 20_000)
        scatter = float(np.std(many @ np.array(mean.weights)))
        assert scatter == pytest.approx(mean.sigma, rel=0.02)  # 20,000 draws: 0.5 % at 1 sigma
        naive = combining.generalised_mean(estimates(METHODS))
        assert float(np.std(many @ np.array(naive.weights))) > 1.05 * naive.sigma

    def test_chi_square_has_its_distribution(self):
        found = estimates(METHODS, SHARED)
        many = [
            combining.generalised_mean(Estimates(found.names, values, found.covariance))
            for values in drawn(found, 5.0, 4000)
        ]
        squares = np.array([each.chi_square for each in many])
        assert squares.mean() == pytest.approx(2.0, abs=4 * 2.0 / 4000**0.5)
        below = np.mean([each.probability < 0.05 for each in many])
        assert below == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 4000) ** 0.5)

    def test_a_method_that_shares_a_large_error_may_weigh_less_than_nothing(self):
        shared = {"rebound": {"a": 9.0, "b": 28.0}}
        mean = combining.generalised_mean(estimates({"a": (0.0, 10.0), "b": (9.0, 30.0)}, shared))
        assert mean.weights[1] < 0.0
        assert mean.sigma < 10.0

    def test_one_method_stands_for_itself(self):
        mean = combining.generalised_mean(estimates({"a": (3.0, 2.0)}))
        assert (mean.value, mean.sigma, mean.freedom) == (3.0, 2.0, 0)
        assert (mean.birge, mean.probability) == (1.0, 1.0)

    @given(
        st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.5, 200.0)), min_size=2, max_size=6),
        st.floats(-1e3, 1e3),
    )
    def test_it_moves_with_its_methods_and_stays_among_independent_ones(self, found, shift):
        named = {f"m{number}": pair for number, pair in enumerate(found)}
        moved = {name: (value + shift, sigma) for name, (value, sigma) in named.items()}
        one, other = map(combining.generalised_mean, (estimates(named), estimates(moved)))
        values = [value for value, _ in found]
        assert min(values) - 1e-6 <= one.value <= max(values) + 1e-6
        assert one.sigma <= min(sigma for _, sigma in found) * (1 + 1e-9)
        assert other.value - one.value == pytest.approx(shift, abs=1e-6)


class TestImbieMean:
    def test_more_estimates_of_one_class_do_not_make_it_surer(self):
        classes = {"a": "gravimetry", "b": "gravimetry", "c": "altimetry"}
        found = estimates({"a": (-80.0, 20.0), "b": (-100.0, 20.0), "c": (-60.0, 20.0)})
        mean = combining.imbie_mean(found, classes)
        assert mean.value == pytest.approx(0.5 * (-90.0 - 60.0))
        assert mean.sigma == pytest.approx(20.0 / 2**0.5)
        assert mean.weights == pytest.approx((0.25, 0.25, 0.5))
        assert mean.chi_square == pytest.approx(2 * (15.0 / 20.0) ** 2)
        assert mean.freedom == 1

    def test_of_one_estimate_a_class_it_is_that_of_independent_methods(self):
        found = estimates(METHODS)
        rule, best = combining.imbie_mean(found, CLASSES), combining.generalised_mean(found)
        assert (rule.value, rule.sigma) == pytest.approx((best.value, best.sigma))
        assert rule.weights == pytest.approx(best.weights)
        assert rule.chi_square == pytest.approx(best.chi_square)

    def test_a_method_without_a_class_is_refused(self):
        with pytest.raises(EstimateError, match="no class is given for"):
            combining.imbie_mean(estimates(METHODS), {"gravimetry": "gravimetry"})


class TestDifferences:
    def test_errors_that_are_shared_cancel(self):
        found = estimates(METHODS, SHARED)
        apart = combining.difference(found, "altimetry", "budget")
        assert apart.value == 50.0
        assert apart.sigma == pytest.approx((40.0**2 + 60.0**2 - 2 * 25.0 * 45.0) ** 0.5)
        many = drawn(found, 0.0, 20_000)
        assert np.std(many[:, 1] - many[:, 2]) == pytest.approx(apart.sigma, rel=0.02)
        assert apart.z == pytest.approx(apart.value / apart.sigma)

    def test_what_is_not_there_is_refused(self):
        found = estimates(METHODS)
        with pytest.raises(EstimateError, match=r"no estimate by \['x'\]"):
            combining.difference(found, "x", "budget")
        with pytest.raises(EstimateError, match="does not differ from itself"):
            combining.difference(found, "budget", "budget")
