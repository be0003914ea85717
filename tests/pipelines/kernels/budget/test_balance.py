"""Equations 2 and 3, and groups of regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.budget.balance import (
    SECTORS,
    SHEETS,
    BalanceError,
    discharge,
    dynamic_mass_rate,
    group_sums,
    groups,
    mass_balance,
    membership,
    sea_level_rate,
)

ZWALLY = [str(i) for i in range(1, 28)]
LABELS = [next(name for name, ids in SHEETS.items() if int(i) in ids) for i in ZWALLY]
RATE = st.floats(-1e15, 1e15)


def test_a_steady_sliver_passes_its_snow_on():
    assert discharge(np.array(100e12), np.array(3e12), np.array(0.0), density=917.0) == 103e12


def test_density_stands_on_the_volume_rate():
    """Equation 2 as printed subtracts cubic metres from kilograms."""
    thinning = discharge(np.array(0.0), np.array(0.0), np.array(-1e9), density=917.0)

    assert thinning == pytest.approx(0.917e12)  # 1 km³ of ice is 0.917 Gt
    assert dynamic_mass_rate(np.array(-1e9), density=917.0) == -thinning


def test_a_sliver_beyond_the_grounding_line_takes_back_what_it_gave():
    """Where the gate lies outside, area, snow, volume and melt there count with a minus sign."""
    inside = discharge(
        np.zeros(1), np.array([2.0]), np.array([3.0]), density=917.0, sliver_melt=np.array([1.0])
    )
    outside = discharge(
        np.zeros(1), -np.array([2.0]), -np.array([3.0]), density=917.0, sliver_melt=-np.ones(1)
    )

    assert inside == -outside


@given(RATE, RATE, RATE, RATE)
def test_melt_below_the_sliver_is_lost_either_way(flux, smb, melt, total_melt):
    """What melts between gate and grounding line leaves as melt and not as discharge."""
    flux, smb, melt = np.array(flux), np.array(smb), np.array(melt)
    plain = discharge(flux, smb, np.array(0.0), density=917.0)
    melted = discharge(flux, smb, np.array(0.0), density=917.0, sliver_melt=melt)

    without = mass_balance(smb, plain, total_melt)
    together = mass_balance(smb, melted, total_melt + melt)

    assert together == pytest.approx(without, abs=1.0)


def test_what_is_not_measured_stays_so():
    flux = np.array([1.0, np.nan])
    out = discharge(flux, np.zeros(2), np.zeros(2), density=917.0)

    np.testing.assert_array_equal(np.isnan(out), [False, True])
    np.testing.assert_array_equal(np.isnan(mass_balance(np.ones(2), out)), [False, True])


@pytest.mark.parametrize("density", [0.0, -917.0, np.nan])
def test_a_density_that_is_none_is_refused(density):
    with pytest.raises(BalanceError, match="expected a positive one"):
        discharge(np.zeros(1), np.zeros(1), np.zeros(1), density=density)


def test_every_basin_is_in_one_ice_sheet_and_one_sector():
    for parts in (SHEETS, SECTORS):
        assert sorted(i for ids in parts.values() for i in ids) == list(range(1, 28))


def test_groups_of_the_27_basins_are_those_of_the_paper():
    found = groups(ZWALLY, LABELS)

    assert list(found)[:4] == ["EAIS", "WAIS", "AP", "AIS"]
    assert set(list(found)[4:]) == set(SECTORS)
    assert "1" in found["WAIS"]
    assert "1" in found["Weddell"]
    assert {"23", "24", "25"} == set(found["Bellingshausen"])  # one of WAIS, two of the AP


def test_groups_of_all_are_sums_of_ice_sheets_and_of_sectors():
    names, matrix = membership(ZWALLY, LABELS)
    row = dict(zip(names, matrix, strict=True))

    np.testing.assert_array_equal(row["EAIS"] + row["WAIS"] + row["AP"], row["AIS"])
    np.testing.assert_array_equal(sum(row[name] for name in SECTORS), row["AIS"])


def test_other_regions_have_their_own_groups_and_all_only():
    found = groups(["A-Ap", "Ap-B", "1"], ["EAIS", "", "Islands"])

    assert found == {"EAIS": ["A-Ap"], "Islands": ["1"], "AIS": ["A-Ap", "Ap-B", "1"]}


def test_a_region_that_only_bears_a_basins_number_is_none_of_a_sector():
    other = ["WAIS" if label == "EAIS" else "EAIS" for label in LABELS]

    assert set(groups(ZWALLY, other)) == {"EAIS", "WAIS", "AIS"}


def test_a_sector_that_misses_a_basin_is_left_out():
    found = groups(["20", "21", "23", "24", "25"], ["WAIS"] * 3 + ["AP"] * 2)

    assert set(found) == {"WAIS", "AP", "AIS", "Bellingshausen"}


def test_a_region_without_a_value_leaves_its_own_groups_unknown():
    names, matrix = membership(ZWALLY, LABELS)
    values = np.arange(27.0)
    values[3] = np.nan  # basin 4
    sums = dict(zip(names, group_sums(values, matrix), strict=True))

    assert {name for name, value in sums.items() if np.isnan(value)} == {"EAIS", "AIS", "Weddell"}
    assert sums["AP"] == 23 + 24 + 25 + 26


def test_a_loss_of_89_gt_is_a_quarter_of_a_millimetre():
    assert sea_level_rate(np.array(-89.0)) == pytest.approx(0.246, abs=5e-4)


def test_labels_and_matrices_that_do_not_fit_are_refused():
    with pytest.raises(BalanceError, match="2 regions and 1 labels"):
        groups(["1", "2"], ["AP"])
    with pytest.raises(BalanceError, match="3 regions in the values and 2"):
        group_sums(np.zeros(3), np.zeros((1, 2)))
