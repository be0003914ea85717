"""Bringing a reanalysis to a model's level, against numpy's polyfit, loops and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.budget import hindcast
from pipelines.kernels.budget.hindcast import HindcastError

NAN = np.nan


@pytest.fixture
def records():
    """Forty years of three regions: a reanalysis, and a model that is a line of it and noise."""
    rng = np.random.default_rng(1)
    reanalysis = rng.normal([900.0, 500.0, 200.0], [60.0, 50.0, 30.0], (40, 3))
    model = reanalysis * [1.2, 0.9, 1.1] + rng.normal(0.0, [20.0, 10.0, 5.0], (40, 3))
    return model, reanalysis


def predicted_by_hand(model, reanalysis, folds, method):
    """Leave blocks out one after the other, one region after the other."""
    predicted = np.full(model.shape, NAN)
    for block in np.array_split(np.arange(len(model)), folds):
        for region in range(model.shape[1]):
            rest = [t for t in range(len(model)) if t not in block]
            rest = [t for t in rest if not np.isnan(model[t, region] + reanalysis[t, region])]
            m, r = model[rest, region], reanalysis[rest, region]
            slope, offset = (m.sum() / r.sum(), 0.0) if method == "ratio" else np.polyfit(r, m, 1)
            predicted[block, region] = slope * reanalysis[block, region] + offset
    return predicted


def test_the_papers_factor_is_a_ratio_of_sums_over_common_years(records):
    model, reanalysis = records
    model[3, 1] = NAN
    reanalysis[7, 1] = NAN
    both = np.delete(np.arange(40), [3, 7])

    found = hindcast.fit(model, reanalysis)

    np.testing.assert_allclose(found.slope[0], model[:, 0].sum() / reanalysis[:, 0].sum())
    np.testing.assert_allclose(found.slope[1], model[both, 1].sum() / reanalysis[both, 1].sum())
    np.testing.assert_array_equal(found.intercept, 0.0)


def test_the_other_reading_is_a_line_of_least_squares(records):
    model, reanalysis = records
    found = hindcast.fit(model, reanalysis, method="regression")
    for region in range(3):
        slope, offset = np.polyfit(reanalysis[:, region], model[:, region], 1)
        assert found.slope[region] == pytest.approx(slope, rel=1e-9)
        assert found.intercept[region] == pytest.approx(offset, rel=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 10.0), st.integers(0, 2**32 - 1))
def test_a_model_that_is_a_multiple_of_its_reanalysis_is_predicted_exactly(factor, seed):
    reanalysis = np.random.default_rng(seed).uniform(50.0, 150.0, (8, 2))
    score = hindcast.hindcast(factor * reanalysis, reanalysis, folds=4)
    np.testing.assert_allclose(score.predicted, factor * reanalysis, rtol=1e-12)
    np.testing.assert_allclose(score.rmse, 0.0, atol=1e-10 * factor * 150.0)
    np.testing.assert_allclose(score.r2, 1.0, rtol=1e-12)


@pytest.mark.parametrize("method", ["ratio", "regression"])
@pytest.mark.parametrize("folds", [None, 5])
def test_every_year_is_predicted_from_the_others(records, method, folds):
    model, reanalysis = records
    model[5, 2] = NAN
    expected = predicted_by_hand(model, reanalysis, folds or 40, method)

    score = hindcast.hindcast(model, reanalysis, method=method, folds=folds)

    np.testing.assert_allclose(score.predicted, expected, rtol=1e-9)
    error = expected - model
    np.testing.assert_allclose(score.rmse, np.sqrt(np.nanmean(error**2, axis=0)), rtol=1e-6)
    np.testing.assert_allclose(score.bias, np.nanmean(error, axis=0), rtol=1e-5, atol=1e-9)
    skill = 1.0 - np.nansum(error**2, axis=0) / (
        np.nanvar(model, axis=0) * (~np.isnan(model)).sum(axis=0)
    )
    np.testing.assert_allclose(score.r2, skill, rtol=1e-6)
    assert score.years.tolist() == [40, 40, 39]


def test_the_papers_r2_is_the_squared_correlation(records):
    model, reanalysis = records
    score = hindcast.hindcast(model, reanalysis)
    for region in range(3):
        expected = np.corrcoef(model[:, region], reanalysis[:, region])[0, 1] ** 2
        assert score.correlation2[region] == pytest.approx(expected, rel=1e-9)


def test_the_score_of_years_left_out_is_worse_than_that_of_years_fitted(records):
    model, reanalysis = records
    line = hindcast.fit(model, reanalysis, method="regression")
    residual = np.sqrt(np.mean((line.predict(reanalysis) - model) ** 2, axis=0))
    score = hindcast.hindcast(model, reanalysis, method="regression")
    assert (score.rmse > residual).all()


def test_the_score_recovers_the_noise(records):
    model, reanalysis = records
    # A standard deviation of forty draws has a standard error of 11 %; three of them.
    found = hindcast.hindcast(model, reanalysis).rmse
    np.testing.assert_allclose(found, [20.0, 10.0, 5.0], rtol=0.34)


def test_a_region_that_cannot_be_fitted_is_unknown_and_the_others_are_not(records):
    model, reanalysis = records
    model[:, 0] = NAN
    reanalysis[:, 1] *= -1.0
    found = hindcast.fit(model, reanalysis)
    assert np.isnan(found.slope).tolist() == [True, True, False]
    assert np.isnan(hindcast.hindcast(model, reanalysis).rmse).tolist() == [True, True, False]
    constant = np.ones((5, 1))
    assert np.isnan(hindcast.fit(constant, constant, method="regression").slope).all()


def test_records_without_a_year_in_common_are_refused(records):
    model, reanalysis = records
    model[20:], reanalysis[:20] = NAN, NAN
    with pytest.raises(HindcastError, match="no complete year in common"):
        hindcast.fit(model, reanalysis)


def test_refusals(records):
    model, reanalysis = records
    with pytest.raises(HindcastError, match="found the method 'quantile'"):
        hindcast.fit(model, reanalysis, method="quantile")
    with pytest.raises(HindcastError, match="same months and regions"):
        hindcast.fit(model, reanalysis[:-1])
    with pytest.raises(HindcastError, match="found 1 folds for 40 years"):
        hindcast.hindcast(model, reanalysis, folds=1)
    with pytest.raises(HindcastError, match="found 41 folds"):
        hindcast.hindcast(model, reanalysis, folds=41)
