"""Arithmetic of Yang et al. (2023), tables 2 to 4 and text: what holds and what does not.

Checks A1 to A17 and known discrepancies F1 to F13 of ``science/mass_budget.md``, section 3, with
pandas and NumPy alone; then that the auditor finds the same by itself. Units: Gt yr⁻¹.
Eqs. (1) to (8) cannot be tested: flux, snowfall and volume at the gates are not published.
"""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines.cli import main
from tests.fixtures.published import published

EPOCHS = ["2000", "2007-2011", "2013-2017", "2017-2020"]
YEARS = np.array([1.0, 3.0, 4.0, 3.0])
EAIS = [str(i) for i in range(2, 18)]
WAIS = ["1", *(str(i) for i in range(18, 24))]
AP = ["24", "25", "26", "27"]
BASINS = [str(i) for i in range(1, 28)]
SHEETS = {"EAIS": EAIS, "WAIS": WAIS, "AP": AP}
SECTORS = {
    "Amundsen": ["20", "21", "22"],
    "Bellingshausen": ["23", "24", "25"],
    "Weddell": ["26", "27", "1", "2", "3", "4", "5"],
    "West Indian": ["6", "7", "8", "9", "10", "11"],
    "East Indian": ["12", "13", "14"],
    "Ross": ["15", "16", "17", "18", "19"],
}
TABLES = [f"yang2023_{name}.csv" for name in ("table2", "table3", "table4_and_text")]


@pytest.fixture(scope="module")
def d():
    """Table 2: areas, discharge by epoch, mean snowfall."""
    return pd.read_csv(published(TABLES[0])).set_index("basin")


@pytest.fixture(scope="module")
def mb():
    """Table 3: mass balance by epoch, and its mean."""
    return pd.read_csv(published(TABLES[1])).set_index("basin")


@pytest.fixture(scope="module")
def methods():
    """Table 4 and text: (quantity, region) -> value, uncertainty."""
    return pd.read_csv(published(TABLES[2])).set_index(["quantity", "region"])


def quadrature(values):
    return np.sqrt(np.sum(np.square(np.asarray(values, dtype=float)), axis=0))


def columns(quantity, *, of=("2000", "2007-2011", "2013-2017", "2017-2020")):
    return [f"{quantity}_{epoch}" for epoch in of]


def group_sums(table, names):
    """Return sums of basins, a row each of EAIS, WAIS, AP."""
    return np.array([table.loc[members, names].sum().to_numpy() for members in SHEETS.values()])


def group_sigmas(table, names):
    return np.array([quadrature(table.loc[members, names]) for members in SHEETS.values()])


MB_ALL = [*EPOCHS, "mean"]


def test_a1_areas_add_up(d):
    found = [d.loc[members, "area_km2"].sum() for members in (*SHEETS.values(), BASINS)]
    assert found == [10139000, 1801737, 228732, 12169469]
    assert d.loc[[*SHEETS, "Total"], "area_km2"].tolist() == found


def test_a2_discharge_and_snowfall_add_up(d):
    sums = group_sums(d, columns("D"))
    np.testing.assert_array_equal(sums[1], d.loc["WAIS", columns("D")])
    np.testing.assert_array_equal(sums[2], d.loc["AP", columns("D")])
    np.testing.assert_array_equal(sums[0, 2:], d.loc["EAIS", columns("D", of=EPOCHS[2:])])
    np.testing.assert_array_equal(sums.sum(axis=0)[2:], [1908, 1940])
    snow = group_sums(d, ["SMB_mean"])[:, 0]
    np.testing.assert_array_equal([*snow, snow.sum()], d.loc[[*SHEETS, "Total"], "SMB_mean"])


def test_a3_the_total_is_that_of_ice_sheets_but_for_rounding(d):
    names = [*columns("D"), "SMB_mean"]
    off = d.loc["Total", names] - d.loc[list(SHEETS), names].sum()
    assert off.tolist() == [0, 1, 0, 0, 0]


def test_a4_uncertainty_of_the_total_is_the_quadrature(d):
    names = columns("D_sigma")
    np.testing.assert_allclose(
        quadrature(d.loc[BASINS, names]), [47.2, 50.6, 51.3, 38.1], atol=0.05
    )
    for name in [*names, "SMB_mean_sigma"]:
        low = quadrature(np.maximum(d.loc[BASINS, name].to_numpy() - 0.5, 0.0))
        high = quadrature(d.loc[BASINS, name].to_numpy() + 0.5)
        assert low - 0.5 <= d.loc["Total", name] <= high + 0.5
    assert quadrature(d.loc[BASINS, "SMB_mean_sigma"]) == pytest.approx(84.8, abs=0.05)


def test_a5_so_are_those_of_the_peninsula_and_of_snowfall(d):
    found = group_sigmas(d, columns("D_sigma"))[2]
    np.testing.assert_allclose(found, [11.7, 9.9, 12.2, 10.5], atol=0.05)
    assert np.abs(found - d.loc["AP", columns("D_sigma")].to_numpy(float)).max() <= 0.55
    snow = group_sigmas(d, ["SMB_mean_sigma"])[:, 0]
    np.testing.assert_allclose(snow, [64.4, 49.3, 24.8], atol=0.05)
    np.testing.assert_array_equal(snow.round(), d.loc[list(SHEETS), "SMB_mean_sigma"])


def test_a6_and_f1_uncertainties_of_east_and_west_are_exchanged(d, mb):
    wrong = 0
    for table, names in ((d, columns("D_sigma")), (mb, columns("MB_sigma", of=MB_ALL))):
        east, west = group_sigmas(table, names)[:2]
        printed = table.loc[["EAIS", "WAIS"], names].to_numpy(float)
        assert np.abs(printed - [west, east]).max() <= 1.0
        wrong += (np.abs(printed - [east, west]) > 1.5).sum()
    assert wrong == 16
    np.testing.assert_allclose(
        group_sigmas(mb, columns("MB_sigma", of=MB_ALL))[:2],
        [[73.5, 74.7, 77.6, 71.2, 74.4], [62.2, 54.8, 57.9, 55.0, 56.2]],
        atol=0.06,
    )


def test_a7_uncertainty_of_snowfall_is_a_fifth_of_it(d):
    found = np.floor(0.2 * d.loc[BASINS, "SMB_mean"].to_numpy(float) + 0.5)
    np.testing.assert_array_equal(found, d.loc[BASINS, "SMB_mean_sigma"])


def test_a8_balances_add_up_to_rounding(mb):
    names = columns("MB", of=MB_ALL)
    sums = group_sums(mb, names)
    found = np.vstack([sums, sums.sum(axis=0)])
    np.testing.assert_array_equal(found[0], [56, 13, 70, 69, 53])
    assert np.abs(found - mb.loc[[*SHEETS, "AIS"], names].to_numpy()).max() <= 1


def test_a9_the_balance_of_all_is_that_of_ice_sheets(mb):
    names, sigmas = columns("MB", of=MB_ALL), columns("MB_sigma", of=MB_ALL)
    off = mb.loc["AIS", names] - mb.loc[list(SHEETS), names].sum()
    assert off.abs().max() <= 1
    found = quadrature(mb.loc[list(SHEETS), sigmas])
    np.testing.assert_allclose(found, [99.0, 97.1, 100.7, 93.5, 98.2], atol=0.11)
    assert np.abs(found - mb.loc["AIS", sigmas].to_numpy(float)).max() <= 0.9


def test_a10_equation_10_gives_the_uncertainty_of_all(d, mb):
    snow = d.loc[BASINS, columns("D")].to_numpy() + mb.loc[BASINS, columns("MB")].to_numpy()
    # What two replaced basins imply is not their snowfall: that of the mean stands in.
    replaced = np.isin(BASINS, ["25", "26"])[:, None]
    snow = np.where(replaced, d.loc[BASINS, ["SMB_mean"]].to_numpy(), snow)
    total = d.loc["Total", columns("D_sigma")].to_numpy(float)
    found = np.hypot(total, quadrature(0.2 * snow))
    np.testing.assert_allclose(found, [99.8, 96.1, 100.3, 92.7], atol=0.1)
    np.testing.assert_allclose(found, mb.loc["AIS", columns("MB_sigma")].to_numpy(float), atol=1.0)
    assert round(float(np.hypot(51, 85))) == mb.loc["AIS", "MB_sigma_mean"] == 99


def test_a11_uncertainty_of_a_balance_is_that_of_its_terms(d, mb):
    kept = [basin for basin in BASINS if basin not in {"25", "26"}]
    discharge, sigma = (d.loc[kept, columns(each)].to_numpy(float) for each in ("D", "D_sigma"))
    balance, printed = (mb.loc[kept, columns(each)].to_numpy(float) for each in ("MB", "MB_sigma"))
    snow = np.abs(balance + discharge)
    low = np.hypot(np.maximum(sigma - 0.5, 0.0), 0.2 * (snow - 1.0))
    high = np.hypot(sigma + 0.5, 0.2 * (snow + 1.0))
    fails = (printed < low - 0.5) | (printed > high + 0.5)
    assert printed.size == 100
    assert {(kept[i], EPOCHS[j]) for i, j in np.argwhere(fails)} == {
        ("12", "2013-2017"),
        ("20", "2007-2011"),
    }


def test_a12_the_mean_is_that_of_eleven_years(mb):
    rows = [*BASINS, *SHEETS, "AIS"]
    error = mb.loc[rows, columns("MB")].to_numpy() @ YEARS / 11.0 - mb.loc[rows, "MB_mean"]
    assert error[:27].abs().max() <= 1.0
    assert error[27:].abs().max() <= 0.5


def test_a13_mean_snowfall_less_mean_balance_is_mean_discharge(d, mb):
    mean = pd.Series(d.loc[BASINS, columns("D")].to_numpy() @ YEARS / 11.0, BASINS)
    off = d.loc[BASINS, "SMB_mean"] - mb.loc[BASINS, "MB_mean"] - mean
    assert off.drop(["25", "26"]).abs().max() <= 1.6
    assert mean[EAIS].sum() == pytest.approx(989.5, abs=0.1)
    assert mean[WAIS].sum() == pytest.approx(722.9, abs=0.1)


def test_a14_table_4_is_the_mean_of_seven_years(mb, methods):
    rows = [*SHEETS, "AIS"]
    found = mb.loc[rows, columns("MB")[2:]].to_numpy() @ [4.0, 3.0] / 7.0
    np.testing.assert_allclose(found, [70.0, -140.4, -14.3, -85.3], atol=0.05)
    printed = methods.loc["iom_mean_2013_2020"].loc[rows]
    assert np.abs(found - printed["value"]).max() <= 1.0
    assert quadrature(printed["uncertainty"][:3]) == pytest.approx(93.0, abs=0.05)
    assert 7 * 85 == 595
    assert abs(7 * 70 - 489) == 1


@pytest.mark.parametrize(
    ("method", "total"),
    [("altimetry_2003_2019", -118), ("altimetry_masked", -89), ("gravimetry_2013_2020", -81)],
)
def test_a15_other_methods_add_up(methods, method, total):
    rows = methods.loc[method]
    assert rows.loc[list(SHEETS), "value"].sum() == rows.loc["AIS", "value"] == total
    if "altimetry" in method:
        assert quadrature(rows.loc[list(SHEETS), "uncertainty"]) == pytest.approx(23.8, abs=0.05)


def sector(table, name, column):
    return table.loc[SECTORS[name], column].sum()


def grown(d, members, since="2000"):
    return d.loc[members, "D_2017-2020"].sum() - d.loc[members, f"D_{since}"].sum()


def test_a16_what_the_text_says_of_the_tables(d, mb):
    assert pytest.approx(0.155, abs=5e-4) == 753 / 652 - 1
    assert [grown(d, [each]) for each in ("20", "22")] == [22, 41]
    assert sector(mb, "East Indian", "MB_2000") == 1
    assert sector(mb, "East Indian", "MB_2017-2020") == -47
    sigma = mb.loc[SECTORS["East Indian"], ["MB_sigma_2000", "MB_sigma_2017-2020"]]
    np.testing.assert_allclose(quadrature(sigma), [59.4, 55.7], atol=0.1)
    assert mb.loc[["6", "7", "8", "17"], "MB_mean"].sum() == 63
    assert quadrature(mb.loc[["6", "7", "8", "17"], "MB_sigma_mean"] - 0.5) < 34.5
    assert sector(mb, "Amundsen", "MB_mean") == -155
    assert mb.loc[["9", "10", "11"], "MB_mean"].sum() == 0
    assert quadrature(mb.loc[["9", "10", "11"], "MB_sigma_mean"]) == pytest.approx(11.2, abs=0.05)
    assert grown(d, SECTORS["Ross"], "2013-2017") == 7
    assert (grown(d, SECTORS["Bellingshausen"]), grown(d, SECTORS["West Indian"])) == (13, 9)
    assert grown(d, ["WAIS"]) / grown(d, ["EAIS"]) == pytest.approx(3.2, abs=0.05)


def test_a17_without_the_replaced_basins_the_loss_is_54_less(d, mb):
    discharge = d.loc[BASINS, columns("D")].to_numpy() @ YEARS / 11.0
    native = d.loc[BASINS, "SMB_mean"] - discharge
    total = d.loc["Total", columns("D")].to_numpy(float) @ YEARS / 11.0
    assert d.loc["Total", "SMB_mean"] - total == pytest.approx(-33.5, abs=0.1)
    # The rows of basins are 3 more in two epochs than their printed sum (F2).
    assert native.sum() == pytest.approx(-34.3, abs=0.1)
    assert native[["25", "26"]].sum() == pytest.approx(27.9, abs=0.1)
    assert mb.loc[["25", "26"], "MB_mean"].sum() == -26


def test_f2_east_antarctica_is_three_less_than_its_basins(d):
    names = columns("D")[:2]
    np.testing.assert_array_equal(group_sums(d, names)[0], [971, 983])
    np.testing.assert_array_equal(d.loc["EAIS", names], [968, 980])
    np.testing.assert_array_equal(d.loc[BASINS, names].sum(), [1795, 1878])
    np.testing.assert_array_equal(d.loc["Total", names], [1792, 1876])
    # Seventeen rounding errors, uniform and independent.
    assert 3.0 / np.sqrt(17 / 12) > 2.4


def test_f3_growth_of_sectors_in_the_text_is_not_that_of_the_table(d):
    text = {"Amundsen": 114.0, "East Indian": 18.9, "Ross": -17.0, "Weddell": 10.6}
    table = {"Amundsen": 100, "East Indian": 24, "Ross": -14, "Weddell": 13}
    found = {name: grown(d, SECTORS[name]) for name in text}
    assert found == table
    # Growth is a difference of two sums of rounded numbers.
    off = {name: abs(text[name] - found[name]) for name in text}
    assert off["Amundsen"] > 3 * 0.5 * 2
    assert sum(text.values()) + 13.7 + 9.9 == pytest.approx(150.1)
    assert grown(d, BASINS) == 145
    assert grown(d, ["Total"]) == 148
    assert pytest.approx(0.68, abs=0.005) == 100 / 148
    assert pytest.approx(0.77, abs=0.005) == 114 / 148


def test_f4_uncertainty_of_the_amundsen_sector_is_that_of_one_basin(d, mb):
    assert quadrature(mb.loc[SECTORS["Amundsen"], "MB_sigma_mean"]) == pytest.approx(41.3, abs=0.1)
    assert mb.loc["21", "MB_sigma_mean"] == 24
    assert d.loc["21", "D_2017-2020"] / d.loc["21", "D_2000"] == pytest.approx(1.24, abs=0.005)


def test_f5_text_and_table_3_disagree_and_the_text_is_right(mb):
    text = {"EAIS": 74, "WAIS": 56}
    for name, sigma in text.items():
        assert mb.loc[name, "MB_sigma_mean"] != sigma
        assert quadrature(mb.loc[SHEETS[name], "MB_sigma_mean"]) == pytest.approx(sigma, abs=0.5)


def test_f6_uncertainties_of_the_peninsula_are_not_reproducible(d, mb):
    names = columns("MB_sigma", of=MB_ALL)
    found = group_sigmas(mb, names)[2]
    np.testing.assert_allclose(found, [25.6, 25.4, 27.1, 24.0, 25.4], atol=0.06)
    assert mb.loc["AP", names].tolist() == [25, 28, 29, 26, 32]
    assert (np.abs(found - mb.loc["AP", names].to_numpy(float)) > 1.4).tolist() == [
        False, True, True, True, True,
    ]  # fmt: skip


def test_f7_uncertainties_of_table_4_do_not_follow_from_table_3(mb, methods):
    names = columns("MB_sigma")[2:]
    alike = group_sigmas(mb, names)[:2] @ [4.0, 3.0] / 7.0
    np.testing.assert_allclose(alike, [74.8, 56.6], atol=0.1)
    printed = methods.loc["iom_mean_2013_2020"].loc[["EAIS", "WAIS"], "uncertainty"]
    assert printed.tolist() == [66, 61]


def test_f8_the_gravimetric_gain_is_that_of_other_years(methods):
    rate = methods.loc[("gravimetry_2013_2020", "EAIS"), "value"]
    assert rate * 7 == 350
    assert pytest.approx(59.9, abs=0.05) == 419 / 7
    assert pytest.approx(62.1, abs=0.05) == 419 / 6.75
    assert methods.loc[("gravimetry_2013_2020", "AIS"), "value"] * 7 == -567


def test_f9_table_4_lists_altimetry_without_the_mask_it_names(methods):
    table, text = (
        methods.loc[each, "value"] for each in ("altimetry_2003_2019", "altimetry_masked")
    )
    assert (table - text).loc[[*SHEETS, "AIS"]].tolist() == [1, -23, -7, -29]


def test_f10_west_antarctica_is_70_per_cent_of_nothing_but_gross_loss(mb):
    mean = mb.loc[BASINS, "MB_mean"]
    assert pytest.approx(1.43, abs=0.005) == -127 / -89
    assert (mean[mean < 0].sum(), mean[WAIS][mean[WAIS] < 0].sum()) == (-222, -163)
    assert pytest.approx(0.73, abs=0.005) == 163 / 222


def test_f11_the_last_epoch_is_below_the_mean_and_the_first_gains(mb):
    assert mb.loc["AIS", "MB_2017-2020"] < mb.loc["AIS", "MB_mean"]
    assert mb.loc["AIS", "MB_2000"] == 33


@pytest.mark.realdata
def test_f12_basins_6_to_8_are_queen_maud_not_queen_mary_land(data_root):
    geopandas = pytest.importorskip("geopandas")
    path = next((data_root / "basins").glob("zwally2012*.gpkg"))
    polygons = geopandas.read_file(path)
    numbers = polygons.apply(pd.to_numeric, errors="coerce")
    column = next(name for name in numbers if set(range(1, 28)) <= set(numbers[name]))
    chosen = polygons[numbers[column].isin([6, 7, 8])]
    centre = geopandas.GeoSeries(chosen.geometry.centroid, crs=3031).to_crs(4326)
    # Queen Mary Land is 91° to 100° E.
    assert ((centre.x > -10.0) & (centre.x < 70.0)).all()


@pytest.mark.realdata
def test_f13_the_choice_of_a_model_moves_snowfall_more_than_its_uncertainty(data_root, d):
    frame = pd.read_csv(data_root / "smb" / "kittel_amory_agosta_AIS_Zwally.dat")
    frame["basin"] = frame["Drainage Region ID"].astype(str).str.strip()
    end = frame["Date (decimal years)"]  # of the month
    kept = frame[(end > 2000.01) & (end < 2021.01)]
    rates = kept.groupby("basin")["Relative Mass Change (Gt)"].sum() / 21.0
    found = [rates[members].sum() for members in SHEETS.values()]
    np.testing.assert_allclose(found, [1293, 623, 200], atol=1.0)
    total = d.loc["Total"]
    assert sum(found) - total["SMB_mean"] > 2.5 * total["SMB_mean_sigma"]


@pytest.fixture(scope="module")
def audited():
    """What the auditor says of all three tables, without being told anything of the paper."""
    paths = [str(published(name)) for name in TABLES]
    result = CliRunner().invoke(main, ["audit", *paths, "--json"])
    assert result.exit_code == 0
    return json.loads(result.stdout.splitlines()[-1])


def wrong(audited, check):
    """Return table, column and region of what does not hold."""
    return {
        (each["table"].removeprefix("yang2023_"), each["column"], each["region"])
        for each in audited["findings"]
        if each["check"] == check and each["state"] != "holds"
    }


def test_the_auditor_finds_the_exchanged_uncertainties(audited):
    named = {
        (each["column"], each["region"])
        for each in audited["findings"]
        if each["cause"].startswith("exchanged with")
    }
    later = [f"D {epoch}" for epoch in EPOCHS[1:]]
    balance = [f"MB {epoch}" for epoch in MB_ALL]
    assert named == {(c, r) for c in (*later, *balance) for r in ("EAIS", "WAIS")}
    assert len(named) == 16


def test_the_auditor_finds_the_sums_and_only_those(audited):
    assert wrong(audited, "sum") == {
        ("table2", "D 2000", "EAIS"),
        ("table2", "D 2007-2011", "EAIS"),
    }
    assert wrong(audited, "total") == set()
    assert wrong(audited, "sigma of total") == set()


def test_the_auditor_finds_the_peninsula_and_table_4(audited):
    own = {(column, region) for _, column, region in wrong(audited, "sigma") if region == "AP"}
    assert own == {(f"MB {epoch}", "AP") for epoch in MB_ALL[1:]}
    regions = {region for *_, region in wrong(audited, "sigma of mean of epochs")}
    assert {"EAIS", "WAIS"} <= regions
    assert wrong(audited, "mean of epochs") == set()


def test_the_auditor_finds_weights_share_and_replaced_basins(audited):
    rules = "\n".join(audited["rules"])
    assert "weights 1 : 3 : 4 : 3 (rms 0.34, 31 of 31" in rules
    assert "uncertainties of SMB mean are 20 % of the value (27 of 27" in rules
    assert "MB of 25, 26 is the same in every epoch" in rules
    assert "SMB − D of AIS is -33.5, printed -89" in rules
    assert {region for *_, region in wrong(audited, "balance")} == {"25", "26", "AP", "AIS"}


def test_the_auditor_finds_the_two_balances_of_a11(audited):
    checked = [each for each in audited["findings"] if each["check"] == "sigma of balance"]
    assert len(checked) == 100
    assert wrong(audited, "sigma of balance") == {
        ("table3", "MB 2013-2017", "12"),
        ("table3", "MB 2007-2011", "20"),
    }
