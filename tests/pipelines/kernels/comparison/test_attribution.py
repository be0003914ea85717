"""The cause of a disagreement: its evidence by the densities themselves, and injected errors."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pipelines.kernels.comparison.attribution import ALTERNATIVE, Expected, causes
from pipelines.kernels.comparison.estimates import EstimateError

RNG = np.random.default_rng(3)
PATTERNS = {
    "rebound": RNG.normal(size=12),
    "gates": np.abs(RNG.normal(size=12)),
    "mask": np.ones(12),
}
ROOT = RNG.normal(size=(12, 12)) / 4.0
COVARIANCE = ROOT @ ROOT.T + 0.3 * np.eye(12)


def test_the_evidence_is_the_ratio_of_the_densities():
    apart = np.random.default_rng(31).normal(size=12)
    for each in causes(apart, COVARIANCE, PATTERNS):
        pattern = PATTERNS[each.name]
        with_it = multivariate_normal(cov=COVARIANCE + np.outer(pattern, pattern))
        without = multivariate_normal(cov=COVARIANCE)
        assert each.evidence == pytest.approx(with_it.logpdf(apart) - without.logpdf(apart))


def test_the_amplitude_is_that_of_a_regularised_fit():
    apart = np.random.default_rng(32).normal(size=12)
    (found,) = causes(apart, COVARIANCE, {"mask": PATTERNS["mask"]})
    inverse = np.linalg.inv(COVARIANCE)
    grid = np.linspace(-5.0, 5.0, 20_001)
    left = apart - grid[:, None] * PATTERNS["mask"]
    log = -0.5 * (np.einsum("gi,ij,gj->g", left, inverse, left) + grid**2)
    weight = np.exp(log - log.max())
    mean = np.average(grid, weights=weight)
    assert found.amplitude == pytest.approx(mean, abs=1e-6)
    assert found.sigma == pytest.approx(np.average((grid - mean) ** 2, weights=weight) ** 0.5)


@pytest.mark.parametrize(("mean", "spread"), [(1.0, 0.25), (1.0, 0.5), (-0.5, 2.0)])
def test_the_evidence_of_an_expected_amplitude_is_the_ratio_of_the_densities(mean, spread):
    apart = np.random.default_rng(35).normal(size=12)
    expected = dict.fromkeys(PATTERNS, Expected(mean, spread))
    for each in causes(apart, COVARIANCE, PATTERNS, expected):
        pattern = PATTERNS[each.name]
        wide = COVARIANCE + spread**2 * np.outer(pattern, pattern)
        with_it = multivariate_normal(mean * pattern, wide)
        without = multivariate_normal(cov=COVARIANCE)
        assert each.evidence == pytest.approx(with_it.logpdf(apart) - without.logpdf(apart))


def test_a_tenth_of_the_way_to_another_model_is_no_evidence_for_it():
    pattern = PATTERNS["rebound"]
    size = (1_400.0 / (pattern @ np.linalg.solve(COVARIANCE, pattern))) ** 0.5
    large = {"model": size * pattern}  # so large that a tenth of it is 3.7 standard deviations
    apart = 0.1 * large["model"]
    assert causes(apart, COVARIANCE, large)[0].evidence > 3.0
    assert causes(apart, COVARIANCE, large, {"model": ALTERNATIVE})[0].evidence < 0.0
    assert causes(large["model"], COVARIANCE, large, {"model": ALTERNATIVE})[0].evidence > 3.0


@pytest.mark.parametrize("name", PATTERNS)
def test_an_injected_error_is_named_first(name):
    """Twice its plausible size, in noise as stated."""
    root, rng = np.linalg.cholesky(COVARIANCE), np.random.default_rng(33)
    named = 0
    for _ in range(100):
        apart = 2.0 * PATTERNS[name] + root @ rng.standard_normal(12)
        named += causes(apart, COVARIANCE, PATTERNS)[0].name == name
    assert named >= 80


def test_without_an_error_evidence_speaks_against_every_cause_more_often_than_not():
    root, rng = np.linalg.cholesky(COVARIANCE), np.random.default_rng(34)
    first = [
        causes(root @ rng.standard_normal(12), COVARIANCE, PATTERNS)[0].evidence for _ in range(200)
    ]
    assert np.mean(np.array(first) < 0.0) > 0.5
    assert np.mean(np.array(first) > 3.0) < 0.05


def test_a_cause_that_could_explain_anything_pays_for_it():
    """Of two patterns of one shape the plausible size decides."""
    pattern = PATTERNS["gates"]
    found = causes(1.0 * pattern, COVARIANCE, {"small": pattern, "huge": 100.0 * pattern})
    assert [each.name for each in found] == ["small", "huge"]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(EstimateError, match=r"the pattern of 'mask' is \(3,\)"):
        causes(np.zeros(2), np.eye(2), {"mask": np.ones(3)})
    with pytest.raises(EstimateError, match="come with a covariance"):
        causes(np.zeros(2), np.eye(3), {})
    with pytest.raises(EstimateError, match="expected a symmetric"):
        causes(np.zeros(2), np.array([[1.0, 0.5], [-0.5, 1.0]]), {})
    with pytest.raises(EstimateError, match="not finite"):
        causes(np.array([np.nan, 1.0]), np.eye(2), {})
    with pytest.raises(EstimateError, match="all finite"):
        causes(np.zeros(2), np.eye(2), {"mask": np.array([np.nan, 1.0])})
    with pytest.raises(EstimateError, match="not positive definite"):
        causes(np.zeros(2), np.zeros((2, 2)), {})
