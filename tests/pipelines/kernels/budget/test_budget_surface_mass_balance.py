"""Months of snow to years, records continued, ensembles: against pandas and by hand."""

import numpy as np
import pandas as pd
import pytest

from pipelines.kernels.budget import surface_mass_balance as smb
from pipelines.kernels.budget import years
from pipelines.kernels.budget.surface_mass_balance import SurfaceMassBalanceError

NAN = np.nan
MONTHS = np.arange("1979-01", "2021-01", dtype="datetime64[M]")
SEASONS = [f"{y}-{y + 1}" for y in range(1979, 2020)]


def bounds(*labels):
    return years.bounds([years.year(label) for label in labels])


@pytest.fixture
def amounts():
    return np.random.default_rng(1).gamma(20.0, 4.0, (len(MONTHS), 3))


def test_glaciological_sums_are_those_that_pandas_makes_from_july(amounts):
    found = smb.year_sums(amounts, MONTHS, *bounds(*SEASONS))
    table = pd.DataFrame(amounts, index=pd.PeriodIndex(MONTHS.astype(str), freq="M"))
    season = table.index.year - (table.index.month < 7)
    expected = table.groupby(season).sum().loc[1979:2019]
    np.testing.assert_allclose(found.total, expected.to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(found.missing, 0.0)


@pytest.mark.parametrize(("reading", "shift"), [("calendar", 0), ("calendar_end", 1)])
def test_calendar_sums_are_those_of_the_year_that_a_season_begins_or_ends_in(
    amounts, reading, shift
):
    found = smb.year_sums(amounts, MONTHS, *bounds(*SEASONS), reading=reading)
    table = pd.DataFrame(amounts).groupby(1979 + np.arange(len(MONTHS)) // 12).sum()
    expected = table.loc[1979 + shift : 2019 + shift].to_numpy()
    np.testing.assert_allclose(found.total, expected, rtol=1e-12)


def test_a_year_that_lacks_a_month_is_unknown_and_says_so(amounts):
    amounts[np.datetime64("1990-02") == MONTHS, 1] = NAN
    found = smb.year_sums(amounts, MONTHS, *bounds("1989-1990", "1990-1991"))
    np.testing.assert_array_equal(np.isnan(found.total), [[False, True, False], [False] * 3])
    np.testing.assert_array_equal(found.missing, [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def test_a_record_that_ends_in_december_has_no_half_of_the_last_season(amounts):
    found = smb.year_sums(amounts, MONTHS, *bounds("2020-2021", "2020"))
    np.testing.assert_array_equal(np.isnan(found.total), [[True] * 3, [False] * 3])
    np.testing.assert_array_equal(found.missing[0], 6.0)


def test_a_month_that_a_record_leaves_out_is_missed(amounts):
    kept = np.datetime64("2000-03") != MONTHS
    found = smb.year_sums(amounts[kept], MONTHS[kept], *bounds("2000", "2001"))
    np.testing.assert_array_equal(found.missing[:, 0], [1.0, 0.0])
    assert np.isnan(found.total[0]).all()


def test_sums_carry_models_along(amounts):
    found = smb.year_sums(np.stack([amounts, 2.0 * amounts]), MONTHS, *bounds("2000", "2001"))
    np.testing.assert_array_equal(found.total[1], 2.0 * found.total[0])


def test_sums_refuse_months_of_another_record(amounts):
    with pytest.raises(SurfaceMassBalanceError, match="503 months"):
        smb.year_sums(amounts, MONTHS[1:], *bounds("2000"))


@pytest.fixture
def model(amounts):
    """A model at 1.3 times the reanalysis and noise, that ends with 2015."""
    rng = np.random.default_rng(2)
    record = 1.3 * amounts * rng.normal(1.0, 0.05, amounts.shape)
    record[np.datetime64("2016-01") <= MONTHS] = NAN
    return record


def test_months_after_the_model_are_the_reanalysis_times_the_ratio_of_sums(amounts, model):
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015, folds=5)

    known = ~np.isnan(model[:, 0])
    ratio = model[known].sum(axis=0) / amounts[known].sum(axis=0)
    np.testing.assert_allclose(found.amounts[~known], ratio * amounts[~known], rtol=1e-12)
    np.testing.assert_array_equal(found.amounts[known], model[known])
    np.testing.assert_array_equal(found.extended[:, 0], ~known)
    np.testing.assert_allclose(found.fit.slope, ratio, rtol=1e-12)


def test_continuing_months_or_years_by_a_ratio_is_the_same(amounts, model):
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015)
    of_months = smb.year_sums(found.amounts, MONTHS, *bounds("2018")).total
    reanalysis = smb.year_sums(amounts, MONTHS, *bounds("2018")).total
    np.testing.assert_allclose(of_months, found.fit.slope * reanalysis, rtol=1e-12)


def test_a_line_gives_each_month_a_twelfth_of_its_intercept(amounts, model):
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015, method="regression")
    of_months = smb.year_sums(found.amounts, MONTHS, *bounds("2018")).total
    reanalysis = smb.year_sums(amounts, MONTHS, *bounds("2018")).total
    np.testing.assert_allclose(of_months, found.fit.predict(reanalysis), rtol=1e-12)


def test_the_overlap_is_what_it_is_said_to_be(amounts, model):
    found = smb.extend(model, amounts, MONTHS, first_year=1990, last_year=1999)
    years_of = MONTHS.astype("datetime64[Y]").astype(int) + 1970
    inside = (years_of >= 1990) & (years_of <= 1999)
    ratio = model[inside].sum(axis=0) / amounts[inside].sum(axis=0)
    np.testing.assert_allclose(found.fit.slope, ratio, rtol=1e-12)
    assert found.score.predicted.shape == (10, 3)


def test_a_gap_inside_the_model_stays_a_gap(amounts, model):
    model[100, 1] = NAN
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015)
    assert np.isnan(found.amounts[100, 1])
    assert not found.extended[100, 1]
    assert np.isfinite(found.amounts[100, 0])


def test_a_region_without_a_model_is_not_made_of_reanalysis(amounts, model):
    model[:, 2] = NAN
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015)
    assert np.isnan(found.amounts[:, 2]).all()
    assert not found.extended[:, 2].any()


def test_a_season_half_continued_has_the_spread_of_half_its_months(amounts, model):
    found = smb.extend(model, amounts, MONTHS, first_year=1979, last_year=2015)
    edges = bounds("2014-2015", "2015-2016", "2016-2017")
    share = smb.extended_share(found.extended, MONTHS, *edges)
    sigma = smb.extension_sigma(share, found.score.rmse)
    np.testing.assert_array_equal(share[:, 0], [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(sigma[0], 0.0)
    np.testing.assert_allclose(sigma[1], found.score.rmse * np.sqrt(0.5))
    np.testing.assert_allclose(sigma[2], found.score.rmse)
    unknown = smb.extension_sigma(np.array([[0.0, 0.5, NAN]]), np.array([NAN, NAN, 1.0]))
    np.testing.assert_array_equal(unknown, [[0.0, NAN, NAN]])


def test_the_spread_of_continued_years_covers_what_the_model_had():
    """Of 60 worlds, the truth of the years that were cut lies within one σ in two of three."""
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        reanalysis = rng.gamma(20.0, 4.0, (len(MONTHS), 2))
        # Errors of a year as a whole, as circulation makes them.
        error = np.repeat(rng.normal(1.0, 0.05, (len(MONTHS) // 12, 2)), 12, axis=0)
        truth = 0.8 * reanalysis * error
        cut = np.where((np.datetime64("2016-01") <= MONTHS)[:, None], NAN, truth)
        found = smb.extend(cut, reanalysis, MONTHS, first_year=1979, last_year=2015, folds=5)
        edges = bounds("2016", "2017", "2018", "2019", "2020")
        total = smb.year_sums(found.amounts, MONTHS, *edges).total
        expected = smb.year_sums(truth, MONTHS, *edges).total
        inside.append(np.abs(total - expected) < found.score.rmse)
    # 600 draws with a share of 0.68 have a standard error of 0.019; three of them and a bit.
    assert np.mean(inside) == pytest.approx(0.68, abs=0.06)


def test_extension_refuses_months_in_disorder_and_an_empty_overlap(amounts, model):
    with pytest.raises(SurfaceMassBalanceError, match="months do not ascend"):
        smb.extend(model, amounts, MONTHS[::-1], first_year=1979, last_year=2015)
    with pytest.raises(SurfaceMassBalanceError, match="from 2015 to 1979"):
        smb.extend(model, amounts, MONTHS, first_year=2015, last_year=1979)


def test_models_together_have_a_mean_and_a_spread():
    models = np.random.default_rng(3).normal(size=(4, 5, 2))
    found = smb.ensemble(models)
    table = pd.DataFrame(models.reshape(4, -1))
    np.testing.assert_allclose(found.mean.ravel(), table.mean())
    np.testing.assert_allclose(found.spread.ravel(), table.std())


def test_a_year_that_one_model_lacks_has_no_mean_and_one_model_no_spread():
    found = smb.ensemble(np.array([[1.0, 2.0], [3.0, NAN]]))
    np.testing.assert_array_equal(found.mean, [2.0, NAN])
    alone = smb.ensemble(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(alone.mean, [1.0, 2.0])
    assert np.isnan(alone.spread).all()
    with pytest.raises(SurfaceMassBalanceError, match="found no model"):
        smb.ensemble(np.empty((0, 2)))
