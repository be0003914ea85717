"""Time models: exact recovery, least squares against LAPACK's, honest formal errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.kernels.trends import (
    TERMS,
    TimeModel,
    TrendError,
    condition,
    design_matrix,
    fit,
    parameter_names,
    predict,
    require_resolvable,
)

SASGEN = TimeModel(2014.2, ("bias", "trend", "acceleration", "annual", "s2", "p1"))
EVERYTHING = TimeModel(2014.2, TERMS, mission_change=2014.5)


def monthly(n: int = 77, *, first: float = 2011.1) -> np.ndarray:
    return first + np.arange(n) / 12


def test_names_follow_the_columns():
    assert parameter_names(SASGEN) == (
        *("bias", "trend", "acceleration"),
        *("annual_cosine", "annual_sine", "s2_cosine", "s2_sine", "p1_cosine", "p1_sine"),
    )
    assert design_matrix(monthly(), model=EVERYTHING).shape == (
        77,
        len(parameter_names(EVERYTHING)),
    )


def test_the_acceleration_is_a_second_derivative():
    model = TimeModel(2010.0, ("bias", "trend", "acceleration"))
    rows = design_matrix(np.array([2010.0, 2012.0]), model=model)
    np.testing.assert_array_equal(rows, [[1.0, 0.0, 0.0], [1.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("term", "days"), [("annual", 365.25), ("semiannual", 182.625), ("s2", 161.0), ("p1", 171.0)]
)
def test_an_oscillation_returns_after_its_period(term, days):
    model = TimeModel(2014.0, (term,))
    now, later = design_matrix(np.array([2012.3, 2012.3 + days / 365.25]), model=model)
    # Decimal years resolve 2e-13 yr: 3e-12 rad of phase.
    np.testing.assert_allclose(now, later, atol=1e-11)


def test_a_mission_bias_begins_with_its_epoch():
    model = TimeModel(2014.0, ("mission_bias",), mission_change=2018.0)
    column = design_matrix(np.array([2017.9, 2018.0, 2018.1]), model=model)[:, 0]
    assert column.tolist() == [0.0, 1.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.float64, (12, 3), elements=st.floats(-1e3, 1e3)),
    st.integers(24, 150),
)
def test_a_series_without_noise_gives_its_own_parameters_back(parameters, n):
    t = monthly(n, first=2013.0)
    design = design_matrix(t, model=EVERYTHING)

    found = fit(predict(design, parameters), design)

    # Rounding of a series up to 1e4, times the condition number.
    tolerance = 1e-15 * 1e4 * condition(design) * n
    np.testing.assert_allclose(found.parameters, parameters, rtol=0, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_weighted_series_without_noise_give_their_parameters_back(seed):
    rng = np.random.default_rng(seed)
    design = design_matrix(monthly(), model=SASGEN)
    parameters = rng.normal(size=(9, 4))
    sigma = 10.0 ** rng.uniform(-2, 2, size=(77, 4))

    found = fit(predict(design, parameters), design, sigma=sigma)

    # Weights spread over eight decades.
    np.testing.assert_allclose(found.parameters, parameters, atol=1e-7)


def test_equal_weights_agree_with_lapack():
    rng = np.random.default_rng(7)
    design = design_matrix(monthly(), model=SASGEN)
    series = rng.normal(size=(77, 5)) + 3.0
    expected, squares, rank, _ = np.linalg.lstsq(design, series, rcond=None)
    variance = squares / (77 - 9)
    covariance = np.linalg.inv(design.T @ design)

    found = fit(series, design)

    assert rank == 9
    assert found.degrees_of_freedom == 68
    np.testing.assert_allclose(found.parameters, expected, rtol=1e-11)
    np.testing.assert_allclose(found.residual_variance, variance, rtol=1e-12)
    np.testing.assert_allclose(
        found.standard_deviation, np.sqrt(np.diag(covariance)[:, None] * variance), rtol=1e-11
    )


def test_weights_agree_with_lapack_on_whitened_equations():
    rng = np.random.default_rng(8)
    design = design_matrix(monthly(), model=SASGEN)
    series = rng.normal(size=(77, 4))
    sigma = rng.uniform(0.3, 3.0, size=(77, 4))

    found = fit(series, design, sigma=sigma)

    for i in range(4):
        weight = sigma[:, i] ** -2 / np.mean(sigma[:, i] ** -2)
        white = np.sqrt(weight)[:, None] * design
        expected, squares, _, _ = np.linalg.lstsq(white, np.sqrt(weight) * series[:, i], rcond=None)
        variance = squares[0] / 68
        spread = np.sqrt(np.diag(np.linalg.inv(white.T @ white)) * variance)
        np.testing.assert_allclose(found.parameters[:, i], expected, rtol=1e-10)
        np.testing.assert_allclose(found.residual_variance[i], variance, rtol=1e-11)
        np.testing.assert_allclose(found.standard_deviation[:, i], spread, rtol=1e-11)


@given(st.floats(1e-20, 1e20))
def test_only_the_ratios_of_sigmas_count(scale):
    rng = np.random.default_rng(9)
    design = design_matrix(monthly(), model=SASGEN)
    series, sigma = rng.normal(size=(77, 2)), rng.uniform(1.0, 2.0, size=(77, 2))
    one, other = (fit(series, design, sigma=factor * sigma) for factor in (1.0, scale))
    np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-10)
    np.testing.assert_allclose(one.standard_deviation, other.standard_deviation, rtol=1e-10)


def test_equal_sigmas_are_equal_weights():
    series = np.random.default_rng(10).normal(size=(77, 2, 3))
    design = design_matrix(monthly(), model=SASGEN)
    plain, weighted = fit(series, design), fit(series, design, sigma=np.full_like(series, 1e-12))
    np.testing.assert_allclose(weighted.parameters, plain.parameters, rtol=1e-10)
    np.testing.assert_allclose(weighted.standard_deviation, plain.standard_deviation, rtol=1e-11)


def test_each_series_of_a_batch_is_fitted_as_if_alone():
    series = np.random.default_rng(11).normal(size=(77, 2, 3, 3))
    design = design_matrix(monthly(), model=SASGEN)
    batch = fit(series, design)
    alone = fit(series[:, 1, 2, 0], design)
    np.testing.assert_allclose(batch.parameters[:, 1, 2, 0], alone.parameters, rtol=1e-12)
    assert batch.residual_variance.shape == (2, 3, 3)


def test_the_unit_of_stokes_coefficients_does_no_harm():
    # C20 in its true size, with a trend ten thousand times smaller than its rounding allows none.
    design = design_matrix(monthly(), model=SASGEN)
    truth = np.array([-4.84169e-4, 1e-11, 2e-12, 1e-10, 5e-11, 1e-11, 0.0, 0.0, 1e-11])
    found = fit(predict(design, truth), design)
    np.testing.assert_allclose(found.parameters[1:], truth[1:], atol=1e-18)


def test_a_series_of_zeros_has_no_spread():
    found = fit(np.zeros((77, 2)), design_matrix(monthly(), model=SASGEN))
    assert not found.parameters.any()
    assert not found.standard_deviation.any()


def test_coefficients_that_exist_by_convention_only_may_have_no_sigma():
    rng = np.random.default_rng(12)
    series, sigma = rng.normal(size=(77, 2)), np.ones((77, 2))
    series[:, 1] = sigma[:, 1] = 0.0
    found = fit(series, design_matrix(monthly(), model=SASGEN), sigma=sigma)
    assert not found.parameters[:, 1].any()


@pytest.mark.parametrize("weighted", [False, True])
def test_two_thirds_of_the_truth_lies_within_one_formal_sigma(weighted):
    rng = np.random.default_rng(20)
    trials, months = 4000, 60
    design = design_matrix(monthly(months), model=SASGEN)
    sigma = rng.uniform(0.5, 2.0, size=(months, trials)) if weighted else np.ones((months, trials))

    found = fit(sigma * rng.normal(size=sigma.shape), design, sigma=sigma if weighted else None)

    score = found.parameters / found.standard_deviation
    inside = (np.abs(score) < 1.0).mean(axis=1)
    # Student's t with 51 degrees of freedom: P(|t| < 1) = 0.6779. Five binomial standard
    # deviations of 4000 trials, sqrt(p (1 − p) / 4000) = 0.0074, for nine parameters.
    np.testing.assert_allclose(inside, 0.6779, atol=5 * 0.0074)
    # Var t = 51 / 49; the variance of 4000 squares scatters by sqrt(2 / 4000) = 0.022.
    np.testing.assert_allclose(score.var(axis=1), 51 / 49, atol=5 * 0.024)


def test_the_residual_variance_is_unbiased():
    rng = np.random.default_rng(21)
    design = design_matrix(monthly(30), model=SASGEN)
    found = fit(rng.normal(size=(30, 20000)), design)
    # A mean of 20000 values of spread sqrt(2 / 21).
    assert abs(found.residual_variance.mean() - 1.0) < 5 * np.sqrt(2 / 21 / 20000)


def test_as_many_parameters_as_epochs_are_refused():
    design = design_matrix(monthly(9), model=SASGEN)
    with pytest.raises(TrendError, match="9 epochs cannot determine 9 parameters"):
        fit(np.zeros(9), design)


def test_tidal_aliases_that_a_short_period_cannot_tell_apart_are_named():
    model = TimeModel(2010.0, ("bias", "s2", "p1"))
    t = 2010.0 + np.arange(8) / 365.25
    names = parameter_names(model)
    with pytest.raises(TrendError, match=r"8 epochs cannot tell .*s2_cosine, p1_cosine apart"):
        fit(np.zeros(8), design_matrix(t, model=model), names=names)


def test_planning_names_the_period_that_is_too_short():
    model = TimeModel(2010.0, ("bias", "s2", "p1"))
    with pytest.raises(TrendError, match=r"in the period 2010.00 to 2010.02: 8 epochs"):
        require_resolvable(2010.0 + np.arange(8) / 365.25, model=model)


def test_a_mission_bias_without_a_change_in_the_period_is_named():
    model = TimeModel(2014.0, ("bias", "trend", "mission_bias"), mission_change=2030.0)
    with pytest.raises(TrendError, match=r"cannot tell mission_bias apart.*condition number inf"):
        require_resolvable(monthly(), model=model)


def test_a_mission_bias_that_spans_all_months_is_the_bias():
    model = TimeModel(2014.0, ("bias", "trend", "mission_bias"), mission_change=2000.0)
    with pytest.raises(TrendError, match="cannot tell bias, mission_bias apart"):
        require_resolvable(monthly(), model=model)


def test_the_paper_period_is_well_conditioned():
    assert require_resolvable(monthly(), model=SASGEN) < 5.0


def test_a_missing_observation_is_named_by_its_index():
    series = np.zeros((77, 2, 2))
    series[5, 1, 0] = np.nan
    with pytest.raises(TrendError, match=r"nan at index \(5, 1, 0\)"):
        fit(series, design_matrix(monthly(), model=SASGEN))


def test_a_series_of_another_length_is_refused():
    with pytest.raises(TrendError, match="expected 77 epochs"):
        fit(np.zeros((76, 2)), design_matrix(monthly(), model=SASGEN))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_sigma_that_is_no_spread_is_refused(bad):
    sigma = np.ones((77, 2))
    sigma[3, 1] = bad
    with pytest.raises(TrendError, match=r"index \(3, 1\)"):
        fit(np.zeros((77, 2)), design_matrix(monthly(), model=SASGEN), sigma=sigma)


def test_sigmas_of_another_shape_are_refused():
    with pytest.raises(TrendError, match=r"sigma of shape \(77,\)"):
        fit(np.zeros((77, 2)), design_matrix(monthly(), model=SASGEN), sigma=np.ones(77))


@pytest.mark.parametrize(
    ("terms", "change"),
    [
        (("bias", "slope"), None),
        (("bias", "bias"), None),
        ((), None),
        (("bias", "mission_bias"), None),
        (("bias", "trend"), 2018.0),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(terms, change):
    with pytest.raises(TrendError, match="found terms"):
        TimeModel(2014.0, terms, mission_change=change)
