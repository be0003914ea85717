"""Equations 10 to 12 against SciPy, closed forms, and what must hold for any two maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipelines.kernels.damage import agreement as measured

WHOLE = st.integers(0, 900)
PAIRS = st.lists(st.tuples(WHOLE, WHOLE), min_size=2, max_size=40)


def maps(pairs):
    x, y = np.array(pairs, np.float64).T / 900.0
    return x, y


def varies(x, y):
    return x.min() < x.max() and y.min() < y.max()


def random_maps(*, n=400, seed=3):
    rng = np.random.default_rng(seed)
    x = np.round(np.clip(rng.normal(0.1, 0.2, n), 0.0, 1.0) * 900.0) / 900.0
    return x, np.clip(0.7 * x + rng.normal(0.05, 0.1, n), 0.0, 1.0)


@given(PAIRS)
def test_rank_correlation_is_scipys_with_ties(pairs):
    x, y = maps(pairs)
    found = measured.agreement(x, y)
    if varies(x, y):
        expected = stats.spearmanr(x, y).statistic
        assert found.rank_correlation == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(found.rank_correlation)
        assert "constant" in found.reason


@given(st.permutations(range(12)))
def test_equation_10_is_the_correlation_of_ranks_without_ties(order):
    found = measured.agreement(np.arange(12.0), np.array(order, np.float64))
    assert found.printed_rank_correlation == pytest.approx(found.rank_correlation, abs=1e-12)


def test_ties_of_intact_ice_lift_the_printed_equation_above_the_correlation():
    """Ninety cells without damage in either year, ten that are damaged in reverse order."""
    x = np.concatenate([np.zeros(90), np.arange(1.0, 11.0)]) / 10.0
    y = np.concatenate([np.zeros(90), np.arange(10.0, 0.0, -1.0)]) / 10.0
    found = measured.agreement(x, y)
    assert found.rank_correlation == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    d2 = sum((2 * i - 11) ** 2 for i in range(1, 11))
    assert found.printed_rank_correlation == pytest.approx(1 - 6 * d2 / (100 * 9999), abs=1e-12)
    assert found.printed_rank_correlation > found.rank_correlation + 1e-4


@given(PAIRS)
def test_concordance_never_exceeds_pearsons_correlation(pairs):
    x, y = maps(pairs)
    if varies(x, y):
        found = abs(measured.agreement(x, y).concordance)
        assert found <= abs(stats.pearsonr(x, y).statistic) + 1e-12


@given(PAIRS)
def test_concordance_and_error_are_one_identity(pairs):
    """Lin (1989): ρ_c = 1 − E(x − y)² / (σ_x² + σ_y² + (μ_x − μ_y)²)."""
    x, y = maps(pairs)
    found = measured.agreement(x, y)
    total = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    if total > 0.0:
        expected = 1.0 - found.rmse**2 / total
        assert found.concordance == pytest.approx(expected, abs=1e-9)


@given(PAIRS)
def test_the_order_of_the_maps_changes_only_the_sign_of_the_bias(pairs):
    x, y = maps(pairs)
    one, other = measured.agreement(x, y), measured.agreement(y, x)
    assert one.bias == pytest.approx(-other.bias, abs=1e-15)
    assert one.rmse == other.rmse
    for name in ("rank_correlation", "printed_rank_correlation", "concordance"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12, nan_ok=True)


@given(PAIRS)
def test_rank_correlation_knows_order_only(pairs):
    x, y = maps(pairs)
    one, bent = measured.agreement(x, y), measured.agreement(x, np.exp(3.0 * y))
    assert one.rank_correlation == pytest.approx(bent.rank_correlation, abs=1e-12, nan_ok=True)


def test_a_shift_and_a_stretch_have_closed_forms():
    x, _ = random_maps()
    variance = x.var()
    shifted = measured.agreement(x, x + 0.2)
    assert shifted.concordance == pytest.approx(2 * variance / (2 * variance + 0.04), rel=1e-12)
    assert shifted.rmse == pytest.approx(0.2)
    assert shifted.bias == pytest.approx(0.2)
    about = measured.agreement(x - x.mean(), 3.0 * (x - x.mean()))
    assert about.concordance == pytest.approx(2 * 3 / (1 + 9), rel=1e-12)
    assert about.rank_correlation == 1.0


def test_a_map_agrees_with_itself_entirely_and_with_its_opposite_not_at_all():
    x, _ = random_maps()
    same, opposite = measured.agreement(x, x), measured.agreement(x - x.mean(), x.mean() - x)
    assert (same.rank_correlation, same.concordance, same.rmse, same.bias) == (1.0, 1.0, 0.0, 0.0)
    assert opposite.concordance == pytest.approx(-1.0)
    assert opposite.rank_correlation == pytest.approx(-1.0)


def test_cells_that_are_unknown_or_masked_take_no_part():
    x, y = random_maps()
    holes = x.reshape(20, 20).copy(), y.reshape(20, 20).copy()
    holes[0][3], holes[1][:, 7] = np.nan, np.nan
    use = np.ones((20, 20), bool)
    use[11] = False
    keep = use & ~np.isnan(holes[0]) & ~np.isnan(holes[1])
    found = measured.agreement(*holes, use=use)
    assert found == measured.agreement(holes[0][keep], holes[1][keep])
    assert found.n == keep.sum() == 18 * 19


def test_what_does_not_exist_is_nan_with_a_reason():
    nothing = measured.agreement(np.full(3, np.nan), np.ones(3))
    assert nothing.n == 0
    assert np.isnan([nothing.rmse, nothing.bias, nothing.concordance]).all()
    assert nothing.reason == "no cell is known in both maps"
    intact = measured.agreement(np.zeros(5), np.zeros(5))
    assert np.isnan([intact.rank_correlation, intact.concordance]).all()
    assert (intact.rmse, intact.bias, intact.n) == (0.0, 0.0, 5)
    assert intact.reason == "constant over 5 cells: the earlier and the later map"
    first = measured.agreement(np.full(3, 0.1), np.array([0.1, 0.2, 0.3]))
    assert first.concordance == pytest.approx(0.0, abs=1e-15)
    assert first.reason == "constant over 3 cells: the earlier map"
    assert measured.agreement(np.zeros(2), np.ones(2)).concordance == 0.0


def test_a_pair_is_compared_on_the_same_cells_with_and_without_correction():
    """Dotson: the correction drops cells of agreement; on the same cells it drops none."""
    rng = np.random.default_rng(5)
    later = rng.uniform(0.0, 1.0, (20, 20))
    earlier = later + 0.01 * rng.normal(size=later.shape)
    advected = later + 0.001 * rng.normal(size=later.shape)
    advected[:, 15:] = np.nan
    earlier[:2] = np.nan
    found = measured.pair_agreement(earlier, advected, later)
    assert found.corrected.n == found.uncorrected.n == 18 * 15
    assert found.corrected_own.n == 20 * 15
    assert found.uncorrected_own.n == 18 * 20
    assert found.corrected == measured.agreement(advected[2:, :15], later[2:, :15])
    assert found.uncorrected == measured.agreement(earlier[2:, :15], later[2:, :15])


def test_medians_are_of_the_pairs_that_have_the_measure():
    x, y = random_maps()
    known = [measured.agreement(x, y + shift) for shift in (0.0, 0.1, 0.5)]
    intact = measured.agreement(np.zeros(9), np.zeros(9))
    found = measured.median_agreement([*known, intact])
    assert found.concordance == known[1].concordance
    assert found.rank_correlation == known[1].rank_correlation
    assert found.rmse == np.median([0.0, *(pair.rmse for pair in known)])
    assert (found.pairs, found.undefined, found.n) == (4, 1, 400.0)
    assert np.isnan(measured.median_agreement([intact]).concordance)


def test_refusals():
    with pytest.raises(measured.AgreementError, match="cut them to the same cells"):
        measured.agreement(np.zeros(3), np.zeros(4))
    with pytest.raises(measured.AgreementError, match="shapes"):
        measured.agreement(np.zeros(3), np.zeros(3), use=np.ones(2, bool))
    with pytest.raises(measured.AgreementError, match="1 of 2 cells are infinite"):
        measured.agreement(np.array([0.0, np.inf]), np.zeros(2))
    with pytest.raises(measured.AgreementError, match="shapes"):
        measured.pair_agreement(np.zeros((2, 2)), np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(measured.AgreementError, match="no pairs"):
        measured.median_agreement([])
