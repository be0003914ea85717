"""Means of Yang et al. (2023): which years count how much, and what the replacement moves.

Checks A12 to A14 and A17 of the audit, from tables 2 to 4 by the kernels for epochs, balances and
replacements. Units: Gt yr⁻¹. A printed integer is known to ±0.5.
"""

import numpy as np
import pandas as pd
import pytest

from pipelines.kernels.budget import balance, epochs, replacement
from pipelines.kernels.budget.epochs import PAPER_EPOCHS
from tests.fixtures.published import published

NAMES = [epoch.name for epoch in PAPER_EPOCHS]
BASINS = [str(number) for number in range(1, 28)]
REPLACED = ["25", "26"]
SHEETS = ["EAIS", "WAIS", "AP"]


@pytest.fixture(scope="module")
def table2():
    """Discharge of four epochs and mean snowfall, a row per basin and sheet."""
    return pd.read_csv(published("yang2023_table2.csv")).set_index("basin")


@pytest.fixture(scope="module")
def table3():
    """Mass balance of four epochs and its mean."""
    return pd.read_csv(published("yang2023_table3.csv")).set_index("basin")


@pytest.fixture(scope="module")
def table4():
    """Means of 2013 to 2020."""
    rows = pd.read_csv(published("yang2023_table4_and_text.csv"))
    return rows[rows["quantity"] == "iom_mean_2013_2020"].set_index("region")


def by_epoch(table, prefix, rows):
    """Return the printed values, shape (epoch, region)."""
    return table.loc[rows, [f"{prefix}_{name}" for name in NAMES]].to_numpy(float).T


def mean_of(values, chosen=PAPER_EPOCHS, *, of="years"):
    """Return the mean of epochs, shape (region,)."""
    return epochs.weighted_sums(epochs.mean_weights(chosen, of=of)[None], values)[0]


def sheets_of(values):
    """Sum basins to EAIS, WAIS, AP and AIS, shape (..., 4)."""
    labels = [name for basin in BASINS for name, ids in balance.SHEETS.items() if int(basin) in ids]
    names, matrix = balance.membership(BASINS, labels)
    return balance.group_sums(values, matrix[[names.index(name) for name in [*SHEETS, "AIS"]]])


def test_a12_the_mean_of_every_basin_is_that_of_eleven_years(table3):
    found = mean_of(by_epoch(table3, "MB", BASINS))
    error = found - table3.loc[BASINS, "MB_mean"].to_numpy(float)

    # A mean of rounded values, and its own rounding: ±0.5 each.
    assert np.abs(error).max() <= 1.0
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.34, abs=0.005)


def test_a12_and_of_every_sheet(table3):
    found = mean_of(by_epoch(table3, "MB", [*SHEETS, "AIS"]))
    np.testing.assert_allclose(found, [53.2, -127.0, -14.5, -88.6], atol=0.05)
    printed = table3.loc[[*SHEETS, "AIS"], "MB_mean"].to_numpy(float)
    assert np.abs(found - printed).max() <= 0.5


def test_a12_epochs_that_count_alike_miss_west_antarctica_by_20(table3):
    values = by_epoch(table3, "MB", [*BASINS, *SHEETS])
    printed = table3.loc[[*BASINS, *SHEETS], "MB_mean"].to_numpy(float)
    error = mean_of(values, of="epochs") - printed
    assert error[-2] == pytest.approx(20.5, abs=0.1)
    assert (np.abs(error[:27]) > 1.0).sum() >= 5


def test_a13_mean_snowfall_less_mean_balance_is_mean_discharge(table2, table3):
    kept = [basin for basin in BASINS if basin not in REPLACED]
    discharge = mean_of(by_epoch(table2, "D", kept))
    found = balance.mass_balance(table2.loc[kept, "SMB_mean"].to_numpy(float), discharge)
    printed = table3.loc[kept, "MB_mean"].to_numpy(float)
    # Rounding of three printed values.
    assert np.abs(found - printed).max() <= 1.6


def test_a13_sheets_whose_basins_are_all_their_own(table2, table3):
    # From basins: the printed row of EAIS is 3 less than they are in two epochs (F2).
    discharge = sheets_of(mean_of(by_epoch(table2, "D", BASINS)))[:2]
    np.testing.assert_allclose(discharge, [989.5, 722.9], atol=0.1)
    found = balance.mass_balance(np.array([1042.0, 596.0]), discharge)
    np.testing.assert_allclose(found, [52.5, -126.9], atol=0.1)
    printed = table3.loc[["EAIS", "WAIS"], "MB_mean"].to_numpy(float)
    assert np.abs(found - printed).max() <= 1.0


def test_a13_the_snowfall_of_each_epoch_has_the_printed_mean(table2, table3):
    kept = ~np.isin(BASINS, REPLACED)
    snowfall = by_epoch(table3, "MB", BASINS) + by_epoch(table2, "D", BASINS)
    found = sheets_of(np.where(kept, mean_of(snowfall), 0.0))[:3]
    printed = sheets_of(np.where(kept, table2.loc[BASINS, "SMB_mean"].to_numpy(float), 0.0))[:3]
    np.testing.assert_array_equal(printed, [1042.0, 596.0, 111.0])
    assert np.abs(found - printed).max() <= 1.0


def test_a14_the_mean_of_2013_to_2020_is_that_of_seven_years(table3, table4):
    late = PAPER_EPOCHS[2:]
    found = mean_of(by_epoch(table3, "MB", [*SHEETS, "AIS"])[2:], late)
    np.testing.assert_allclose(epochs.mean_weights(late), np.array([4.0, 3.0]) / 7.0)
    np.testing.assert_allclose(found, [70.0, -140.4, -14.3, -85.3], atol=0.05)
    printed = table4.loc[[*SHEETS, "AIS"], "value"].to_numpy(float)
    assert np.abs(found - printed).max() <= 1.0


def test_a14_the_spread_of_antarctica_is_the_quadrature_of_its_sheets(table4):
    sigma = np.sqrt((table4.loc[SHEETS, "uncertainty"] ** 2).sum())
    assert round(sigma) == table4.loc["AIS", "uncertainty"] == 93


def test_a14_seven_years_of_loss_are_595_gigatonnes_and_of_gain_490(table4):
    assert -7 * table4.loc["AIS", "value"] == 595
    assert 7 * table4.loc["EAIS", "value"] == 490  # the text has 489


def native_balance(table2):
    """What the budget itself says, mean snowfall less mean discharge, shape (basin,)."""
    discharge = mean_of(by_epoch(table2, "D", BASINS))
    return balance.mass_balance(table2.loc[BASINS, "SMB_mean"].to_numpy(float), discharge)


def the_papers_replacements(table3):
    return [
        replacement.Replacement(
            basin,
            float(table3.loc[basin, "MB_mean"]),
            float(table3.loc[basin, "MB_sigma_mean"]),
            "altimetry 2003 to 2019",
        )
        for basin in REPLACED
    ]


def test_a17_without_replacement_antarctica_loses_33_and_with_it_88(table2, table3):
    found = replacement.replace(native_balance(table2), BASINS, the_papers_replacements(table3))
    groups = found.sums(np.stack([np.ones(27), np.isin(BASINS, REPLACED)]))

    total = balance.mass_balance(
        np.array([table2.loc["Total", "SMB_mean"]], float),
        mean_of(by_epoch(table2, "D", ["Total"])),
    )
    assert total[0] == pytest.approx(-33.5, abs=0.05)
    # Basins sum to 1795 and 1878 where the totals 1792 and 1876 are printed (F2).
    basins = (1795 + 3 * 1878 + 4 * 1908 + 3 * 1940) / 11
    assert groups.native[0] == pytest.approx(1864 - basins, rel=1e-12)
    assert groups.native[1] == pytest.approx(27.9, abs=0.1)
    assert groups.replaced[1] == -26.0
    np.testing.assert_allclose(groups.difference, -53.9, atol=0.1)
    assert groups.replaced[0] == pytest.approx(float(table3.loc["AIS", "MB_mean"]), abs=1.5)


def test_a17_the_replacement_is_the_same_in_all_epochs(table3):
    values = by_epoch(table3, "MB", REPLACED)
    np.testing.assert_array_equal(values, np.broadcast_to([-10.0, -16.0], (4, 2)))
    assert [each.sigma for each in the_papers_replacements(table3)] == [13.0, 10.0]
