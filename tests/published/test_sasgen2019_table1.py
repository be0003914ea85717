"""Table 1 of Sasgen et al. (2019): what its arithmetic says, and errata as errata.

Every number here follows from the printed table; where the text says otherwise, that is asserted
too. Units: Gt yr⁻¹; areas in 10⁴ km².
"""

import numpy as np
import pandas as pd
import pytest

from pipelines.kernels.altimetry.density import mixing_matrix
from pipelines.kernels.constants import KG_PER_GT
from pipelines.kernels.gravity.combination import ad_hoc_correction, weights
from pipelines.kernels.gravity.contribution import contribution
from pipelines.kernels.mixed_ensembles import factor_mixing
from tests.fixtures.published import published


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The printed table, a row per basin and one for the total, or skip and say so."""
    return pd.read_csv(published("sasgen2019_table1.csv"), dtype={"basin": str}).set_index("basin")


@pytest.fixture(scope="module")
def basins(table: pd.DataFrame) -> pd.DataFrame:
    """The 25 basins, numbered as integers."""
    rows = table.drop(index="total")
    return rows.set_index(rows.index.astype(int))


@pytest.fixture(scope="module")
def total(table: pd.DataFrame) -> pd.Series:
    return table.loc["total"]


def rounded(value: float, digits: int = 1) -> float:
    return round(float(value), digits)


@pytest.mark.parametrize(
    ("column", "stated"),
    [("area_1e4km2", 1182.1), ("mass_rate_combined", -177.6), ("csr_rl05_mascon", -147.4)],
)
def test_columns_whose_basins_sum_to_the_printed_total(basins, total, column, stated):
    assert rounded(basins[column].sum()) == total[column] == stated


@pytest.mark.parametrize(
    ("column", "summed", "stated"),
    [("mass_rate_cryosat2", -129.7, -129.9), ("esa_cci", -128.5, -128.4)],
)
def test_columns_that_sum_to_the_total_within_their_rounding(basins, total, column, summed, stated):
    assert rounded(basins[column].sum()) == summed
    assert total[column] == stated
    # 25 values rounded to 0.1, and the total: a standard deviation of 0.15.
    assert abs(summed - stated) < 3 * 0.1 / np.sqrt(12.0) * np.sqrt(26.0)


def test_erratum_the_text_rounds_cci_up_to_129(total):
    assert round(total["esa_cci"]) != -129  # what section 4.1.1 prints
    assert round(total["esa_cci"]) == -128


def test_gravimetry_s_total_holds_a_buffer_that_its_basins_do_not(basins, total):
    summed = basins["mass_rate_grace"].sum()
    assert rounded(summed) == -135.8
    assert rounded(total["mass_rate_grace"] - summed) == -46.6


@pytest.mark.parametrize(
    ("column", "stated", "quadratic", "linear"),
    [
        ("sigma_combined", 22.6, 9.3, 42.5),
        ("sigma_cryosat2", 58.2, 31.9, 115.9),
        ("sigma_grace", 24.9, 11.0, 51.9),
    ],
)
def test_the_spread_of_the_total_is_no_sum_of_the_basins(
    basins, total, column, stated, quadratic, linear
):
    """Basins are correlated: only their covariance gives the total."""
    sigma = basins[column]
    assert total[column] == stated
    assert rounded(np.sqrt((sigma**2).sum())) == quadratic
    assert rounded(sigma.sum()) == linear
    assert quadratic < stated < linear


def test_the_ad_hoc_correction_is_40_gigatonnes_a_year(basins, total):
    """−3.4 kg m⁻² yr⁻¹ is "well below the mean uncertainty" in a pixel, and 23 % of the total."""
    area = total["area_1e4km2"] * 1e10
    applied = -3.4 * area / KG_PER_GT
    uncorrected = basins["mass_rate_combined"].sum() - applied
    assert rounded(applied) == -40.2
    assert rounded(uncorrected) == -137.4


def test_the_inverse_variance_mean_of_the_totals_is_3_gigatonnes_from_the_printed_one(total):
    found = ad_hoc_correction(
        -137.4,
        total["mass_rate_grace"],
        total["mass_rate_cryosat2"],
        gravimetry_sigma=total["sigma_grace"],
        altimetry_sigma=total["sigma_cryosat2"],
        area=total["area_1e4km2"] / 100.0,
    )
    assert (rounded(found.target), rounded(found.target_sigma)) == (-174.3, 22.9)
    assert rounded(found.w_gravimetry, 3) == 0.845
    # Unexplained: the paper prints −177.6 ± 22.6 after the correction, and −3.4 for it.
    assert rounded(total["mass_rate_combined"] - found.target) == -3.3
    assert rounded(found.density) == -3.1


def lower_than_gravimetry(basins: pd.DataFrame, without: list[int]) -> float:
    """Return by how much combined spreads are lower than gravimetry's, on average [%]."""
    kept = basins.drop(index=without)
    return rounded(100.0 * (1.0 - (kept["sigma_combined"] / kept["sigma_grace"]).mean()))


def test_erratum_27_percent_lower_holds_without_basins_21_to_23_not_20_to_22(basins):
    assert lower_than_gravimetry(basins, [20, 21, 22]) == 22.1
    assert lower_than_gravimetry(basins, [21, 22, 23]) == 26.7


def test_erratum_the_basins_with_increased_spread_are_21_to_23_not_20_to_22(basins):
    increased = basins.index[basins["sigma_combined"] > basins["sigma_grace"]]
    assert list(increased) == [21, 22, 23]


def test_erratum_101_and_129_are_the_losses_of_basins_20_to_22_not_20_to_23(basins):
    def losses(last: int) -> tuple[float, float]:
        rows = basins.loc[20:last]
        return (
            rounded(-rows["mass_rate_cryosat2"].sum()),
            rounded(-rows["mass_rate_combined"].sum()),
        )

    assert losses(23) == (103.7, 135.9)
    assert losses(22) == (101.1, 128.5)
    spread = np.sqrt((basins.loc[20:22, ["sigma_cryosat2", "sigma_combined"]] ** 2).sum())
    # The quadratic sums give the printed 10 ± and 4 ±: no covariance was used here.
    assert [rounded(value) for value in spread] == [10.4, 3.7]


def test_spreads_are_below_altimetry_s_in_all_basins_but_19(basins):
    above = basins.index[basins["sigma_combined"] > basins["sigma_cryosat2"]]
    equal = basins.index[basins["sigma_combined"] == basins["sigma_cryosat2"]]
    halved = basins["sigma_combined"] < basins["sigma_cryosat2"] / 2.0
    assert (list(above), list(equal)) == ([19], [15])
    assert halved.sum() == 14


def test_erratum_the_printed_taper_raises_the_weight_it_is_to_lower():
    v_gravimetry = np.full(7, (1.0 - 0.265) / 0.265)
    found = weights(v_gravimetry, np.ones(7), np.arange(85, 92), mode="printed")
    expected = [0.265, 0.281, 0.338, 0.468, 0.735, 1.0, 0.0]
    np.testing.assert_allclose(found.gravimetry, expected, atol=1.2e-3)


def test_the_ensembles_have_the_sizes_that_the_paper_states():
    gravimetry = factor_mixing(np.zeros(1), [np.zeros((30, 1)), np.zeros((3, 1))])
    altimetry = mixing_matrix(7 * 4)

    assert (gravimetry.size, len(altimetry)) == (90, 112)
    assert gravimetry.size * len(altimetry) == 10_080


def test_figure_5_is_what_power_gives_that_gravimetry_stops_adding_at_90():
    """88 % at degree 40, 50 % at 150, 26 % at 512: p_C / p_G of 0.136, 1.0 and 2.85."""
    found = contribution(np.ones(3), np.array([0.136, 1.0, 2.85]), np.ones(3))

    np.testing.assert_allclose(found.gravimetry, [0.88, 0.50, 0.26], atol=0.005)
