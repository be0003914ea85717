"""Tables 6 and 7 of Tang et al. (2026): what their numbers say of each other and of the text.

The maps behind them are not here, so equations 10 to 12 cannot be run on them; what can be checked
is what the text states of the tables, and an identity that binds two of the three measures.
"""

import numpy as np
import pandas as pd
import pytest

from pipelines.kernels.damage.agreement import Agreement, agreement, median_agreement
from tests.fixtures.published import published

pytestmark = pytest.mark.realdata

MEASURES = ("rs", "ccc", "rmse")


@pytest.fixture(scope="module")
def tables() -> pd.DataFrame:
    """Both printed tables, a row per shelf, or skip and say so."""
    return pd.read_csv(published("tang2026_tables6_7_consistency.csv")).set_index("ice_shelf")


def total_spread(rmse: np.ndarray, concordance: np.ndarray) -> np.ndarray:
    """σ_x² + σ_y² + (μ_x − μ_y)², from equations 11 and 12: RMSE² / (1 − ρ_c)."""
    return rmse**2 / (1.0 - concordance)


def test_there_are_nine_shelves_and_the_front_of_one(tables):
    assert len(tables) == 10
    assert {"Amery(full)", "Amery(front)"} <= set(tables.index)


@pytest.mark.parametrize(
    ("measure", "low", "high"), [("rs", 0.75, 0.90), ("ccc", 0.80, 0.95), ("rmse", 0.04, 0.17)]
)
def test_the_ranges_of_the_text_are_those_of_table_6(tables, measure, low, high):
    """Section 3.2.5: 0.75 to 0.90, 0.80 to 0.95, 0.04 to 0.17. The 0.756 of Amery is cut, not
    rounded, to 0.75."""
    column = tables[f"{measure}_lagrangian"]
    assert column.min() == pytest.approx(low, abs=0.0075)
    assert column.max() == pytest.approx(high, abs=0.005)


def test_the_correction_improves_all_but_the_ranks_at_dotson(tables):
    gain = {m: tables[f"{m}_lagrangian"] - tables[f"{m}_plain"] for m in MEASURES}
    assert list(gain["rs"].index[gain["rs"] < 0.0]) == ["Dotson"]
    assert gain["rs"]["Dotson"] == pytest.approx(-0.032)
    assert (gain["ccc"] > 0.0).all()
    assert (gain["rmse"] < 0.0).all()


def test_pine_island_and_thwaites_have_two_of_the_three_largest_errors(tables):
    """Section 3.2.5 names both as the highest of table 6."""
    largest = tables["rmse_lagrangian"].nlargest(2).index
    assert set(largest) == {"Pine_Island", "Thwaites"}


def test_the_most_improved_shelves_are_those_of_the_text_by_two_measures(tables):
    """Most pronounced for Amery (front), Brunt and Crosson: so by r_s and by the part of RMSE that
    is left; by ρ_c Totten gains more than Brunt."""
    named = {"Amery(front)", "Brunt", "Crosson"}
    ranks = tables["rs_lagrangian"] - tables["rs_plain"]
    assert set(ranks.nlargest(3).index) == named
    assert set((tables["rmse_lagrangian"] / tables["rmse_plain"]).nsmallest(3).index) == named
    concordance = tables["ccc_lagrangian"] - tables["ccc_plain"]
    assert list(concordance.nlargest(4).index) == ["Amery(front)", "Crosson", "Totten", "Brunt"]


def test_medians_over_the_shelves(tables):
    """Read back through the kernel: each shelf as one pair, with and without correction."""
    corrected, plain = (
        median_agreement(
            [
                Agreement(row[f"rs_{how}"], np.nan, row[f"ccc_{how}"], row[f"rmse_{how}"], 0.0, 1)
                for _, row in tables.iterrows()
            ]
        )
        for how in ("lagrangian", "plain")
    )
    assert corrected.rank_correlation == pytest.approx((0.846 + 0.872) / 2)
    assert corrected.concordance == pytest.approx((0.862 + 0.875) / 2)
    assert corrected.rmse == pytest.approx((0.072 + 0.074) / 2)
    assert plain.rank_correlation == pytest.approx((0.751 + 0.776) / 2)
    assert plain.concordance == pytest.approx((0.798 + 0.812) / 2)
    assert plain.rmse == pytest.approx((0.109 + 0.112) / 2)


def test_the_identity_that_gives_a_spread_holds_for_the_kernel():
    x, y = np.random.default_rng(6).beta(0.3, 2.0, (2, 500))
    found = agreement(x, y)
    spread = total_spread(np.array(found.rmse), np.array(found.concordance))
    assert spread == pytest.approx(x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def test_the_corrected_maps_vary_less_than_the_plain_ones(tables):
    """Nine of ten shelves lose a tenth to a third of the spread that RMSE and ρ_c imply.

    The later maps are the same ones. So either the earlier ones were smoothed while they were
    carried, or the cells that left the comparison varied more than those that stayed; both make
    tables 6 and 7 incomparable, and ours are on the same cells. Medians of two measures need not
    be of one pair, so this bounds nothing for a single shelf.
    """
    ratio = total_spread(tables["rmse_lagrangian"], tables["ccc_lagrangian"]) / total_spread(
        tables["rmse_plain"], tables["ccc_plain"]
    )
    assert list(ratio.index[ratio > 1.0]) == ["Larsen_B"]
    assert ratio.drop("Larsen_B").between(0.65, 0.96).all()
    assert float(np.median(ratio)) == pytest.approx(0.83, abs=0.02)
