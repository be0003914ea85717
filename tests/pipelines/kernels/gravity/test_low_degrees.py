"""The policy table of low degrees: names, matching of months, fallbacks, tide systems."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.gravity.low_degrees import (
    LowDegreeError,
    Policy,
    Resolved,
    apply,
    match_months,
    parse_coefficient,
    permanent_tide_c20,
    resolve,
)

MONTHS = np.arange(12) / 12 + 2010.0
"""Starts of twelve equal months of 2010."""
WIDTH = 1 / 12
SIGMA = np.full((12, 1), 1e-11)


def line(start: np.ndarray) -> np.ndarray:
    """A C20 that grows by 2e-10 per year, at the middles of months, shape (k, 1)."""
    return (2e-10 * (start + WIDTH / 2 - 2010.0))[:, None]


def resolve_without(lost: list[int], policy: Policy, **choices: float) -> Resolved:
    """Resolve the twelve months from a source that lacks some of them."""
    have = np.setdiff1d(np.arange(12), lost)
    start = MONTHS[have]
    return resolve(
        policy,
        MONTHS,
        MONTHS + WIDTH,
        MONTHS + WIDTH / 2,
        start,
        start + WIDTH,
        start + WIDTH / 2,
        line(start),
        SIGMA[have],
        **choices,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C20", (0, 2, 0)),
        ("S11", (1, 1, 1)),
        ("C100", (0, 10, 0)),
        ("S111", (1, 11, 1)),
        ("C1000", (0, 100, 0)),
        ("C10_10", (0, 10, 10)),
        ("C101_0", (0, 101, 0)),
        ("S1202", (1, 120, 2)),
    ],
)
def test_a_name_gives_part_degree_and_order(name, expected):
    assert parse_coefficient(name) == expected


def test_an_ambiguous_name_is_refused_with_its_readings():
    with pytest.raises(LowDegreeError, match="write C10_10 or C101_0"):
        parse_coefficient("C1010")


@pytest.mark.parametrize("name", ["S20", "C12", "c20", "C2", "C02", "C2-0", "", "C10_11", "C²0"])
def test_a_name_of_no_coefficient_is_refused(name):
    with pytest.raises(LowDegreeError, match=re.escape(repr(name))):
        parse_coefficient(name)


@given(st.integers(0, 400).flatmap(lambda j: st.tuples(st.just(j), st.integers(0, j))))
def test_every_coefficient_has_a_name_that_reads_back(pair):
    degree, order = pair
    assert parse_coefficient(f"C{degree}_{order}") == (0, degree, order)
    try:
        short: object = parse_coefficient(f"C{degree}{order}")
    except LowDegreeError as error:
        short = str(error)
    assert short == (0, degree, order) or f"C{degree}_{order}" in str(short)


def test_months_meet_the_source_interval_that_shares_most_of_them():
    days = [
        np.array(column, dtype="datetime64[D]")
        for column in (
            ["2011-10-01", "2011-10-16", "2012-02-01", "2014-01-01"],
            ["2011-11-01", "2011-11-16", "2012-03-01", "2014-01-17"],
            ["2014-01-01", "2011-10-15", "2011-10-02"],
            ["2014-02-01", "2011-11-15", "2011-10-31"],
        )
    ]
    # 16 days of January 2014 are wholly inside the source's month; 2012-02 has no partner.
    assert match_months(*days).tolist() == [2, 1, -1, 0]


def test_less_than_half_of_the_shorter_interval_is_no_match():
    start, end = np.array([2010.0]), np.array([2010.1])
    assert match_months(start, end, np.array([2010.051]), np.array([2010.151])).tolist() == [-1]
    assert match_months(start, end, np.array([2010.049]), np.array([2010.149])).tolist() == [0]


def test_of_equal_overlaps_the_nearest_middle_wins():
    start, end = np.array([2010.40]), np.array([2010.45])
    source_start, source_end = np.array([2010.0, 2010.38]), np.array([2010.5, 2010.48])
    assert match_months(start, end, source_start, source_end).tolist() == [1]


def test_an_empty_source_matches_nothing():
    assert match_months(MONTHS, MONTHS + WIDTH, np.array([]), np.array([])).tolist() == [-1] * 12


@given(st.permutations(range(12)))
def test_months_find_themselves_in_a_shuffled_source(order):
    shuffled = MONTHS[list(order)]
    rows = match_months(MONTHS, MONTHS + WIDTH, shuffled, shuffled + WIDTH)
    np.testing.assert_array_equal(np.array(order)[rows], np.arange(12))


def test_a_complete_source_replaces_every_month():
    resolved = resolve_without([], Policy(("C20",), "TN-14"))
    assert set(resolved.state) == {"replaced"}
    assert set(resolved.notes) == {""}
    np.testing.assert_array_equal(resolved.value, line(MONTHS))
    np.testing.assert_array_equal(resolved.sigma, SIGMA)


@pytest.mark.parametrize(("missing", "state"), [("drop", "dropped"), ("keep", "kept")])
def test_a_month_that_the_source_lacks_is_dropped_or_kept_and_says_why(missing, state):
    resolved = resolve_without([4], Policy(("C20",), "TN-14", missing=missing))
    assert resolved.state.tolist() == ["replaced"] * 4 + [state] + ["replaced"] * 7
    assert np.isnan(resolved.value[4]).all()
    assert resolved.notes[4].startswith("TN-14: the source has no value")


def test_a_missing_month_is_interpolated_on_the_line_of_its_neighbours():
    resolved = resolve_without([4, 5], Policy(("C20",), "TN-14", missing="interpolate"))
    assert resolved.state.tolist()[3:7] == ["replaced", "interpolated", "interpolated", "replaced"]
    # Decimal years near 2010 resolve 2e-13 yr: 5e-23 of a coefficient.
    np.testing.assert_allclose(resolved.value, line(MONTHS), rtol=0, atol=1e-22)
    np.testing.assert_allclose(resolved.sigma, SIGMA, rtol=1e-14)


def test_interpolation_stops_at_long_gaps_and_drops_with_the_reason():
    policy = Policy(("C20",), "TN-14", missing="interpolate")
    resolved = resolve_without([4, 5], policy, max_gap_years=0.2)
    assert resolved.state.tolist()[4:6] == ["dropped", "dropped"]
    assert "gap of 0.25 yr around the month exceeds 0.2 yr" in resolved.notes[4]


def test_nothing_is_extrapolated():
    resolved = resolve_without([0, 11], Policy(("C20",), "TN-14", missing="interpolate"))
    assert resolved.state[[0, 11]].tolist() == ["dropped", "dropped"]
    assert "nothing is extrapolated" in resolved.notes[0]


def test_a_source_without_any_value_drops_every_month():
    policy = Policy(("C20",), "TN-14", missing="interpolate")
    resolved = resolve_without(list(range(12)), policy)
    assert set(resolved.state) == {"dropped"}


def test_months_outside_the_policy_are_left_alone_even_where_the_source_lacks_them():
    policy = Policy(("C20",), "TN-14", start=2010.25, end=2010.75, missing="refuse")
    resolved = resolve_without([0, 10], policy)
    assert resolved.state.tolist() == ["outside"] * 3 + ["replaced"] * 6 + ["outside"] * 3
    assert np.isnan(resolved.value[:3]).all()


def test_the_end_of_a_policy_is_exclusive():
    mid = MONTHS + WIDTH / 2
    policy = Policy(("C20",), "TN-14", start=float(mid[2]), end=float(mid[4]))
    assert np.flatnonzero(resolve_without([], policy).state == "replaced").tolist() == [2, 3]


def test_a_refusing_policy_names_the_months():
    start = np.array(["2011-07-01", "2011-08-01"], dtype="datetime64[D]")
    end = np.array(["2011-08-01", "2011-09-01"], dtype="datetime64[D]")
    mid = start + (end - start) // 2
    policy = Policy(("C20",), "TN-14", missing="refuse")
    with pytest.raises(LowDegreeError, match=r"1 month\(s\) \(2011-08-01 to 2011-09-01\)"):
        resolve(
            policy, start, end, mid, start[:1], end[:1], mid[:1], np.ones((1, 1)), np.ones((1, 1))
        )


def test_coefficients_of_one_policy_stand_or_fall_together():
    value = np.column_stack([line(MONTHS), line(MONTHS)])
    value[:6, 1] = np.nan
    mid, end = MONTHS + WIDTH / 2, MONTHS + WIDTH
    resolved = resolve(
        Policy(("C20", "C30"), "TN-14", missing="keep"),
        *(MONTHS, end, mid, MONTHS, end, mid, value, value),
    )
    assert resolved.state.tolist() == ["kept"] * 6 + ["replaced"] * 6
    assert np.isnan(resolved.value[:6]).all()


def test_a_source_with_the_wrong_columns_is_refused():
    policy = Policy(("C10", "C11", "S11"), "TN-13")
    with pytest.raises(LowDegreeError, match=r"TN-13: found values \(12, 1\).*expected \(12, 3\)"):
        resolve_without([], policy)


@given(
    st.sets(st.integers(0, 11)),
    st.sampled_from(["drop", "keep", "interpolate"]),
    st.floats(2009.9, 2011.1),
    st.floats(0.01, 1.2),
)
def test_every_month_has_one_state_and_a_value_only_where_it_is_used(lost, missing, start, length):
    policy = Policy(("C20",), "TN-14", start=start, end=start + length, missing=missing)
    resolved = resolve_without(sorted(lost), policy)
    used = np.isin(resolved.state, ["replaced", "interpolated"])
    np.testing.assert_array_equal(np.isfinite(resolved.value[:, 0]), used)
    np.testing.assert_array_equal(np.isfinite(resolved.sigma[:, 0]), used)
    silent = np.array([note == "" for note in resolved.notes])
    np.testing.assert_array_equal(silent, np.isin(resolved.state, ["replaced", "outside"]))
    # What is used lies on the truth, interpolated or not.
    np.testing.assert_allclose(resolved.value[used], line(MONTHS)[used], rtol=0, atol=1e-22)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"coefficients": ()}, "at least and at most once"),
        ({"coefficients": ("C20", "C2_0")}, "at least and at most once"),
        ({"coefficients": ("C20",), "missing": "skip"}, "drop, interpolate, refuse, keep"),
        ({"coefficients": ("C20",), "start": 2012.0, "end": 2011.0}, "precede its end"),
        ({"coefficients": ("S20",)}, "expected a coefficient"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(choices, message):
    with pytest.raises(LowDegreeError, match=message):
        Policy(**{"source": "TN-14", **choices})


def test_replacing_touches_the_named_coefficients_of_a_copy():
    field = np.arange(2 * 4 * 4, dtype=float).reshape(2, 4, 4)
    before = field.copy()
    replaced = apply(field, {"C20": -1.0, "S11": -2.0})
    np.testing.assert_array_equal(field, before)
    assert (replaced[0, 2, 0], replaced[1, 1, 1]) == (-1.0, -2.0)
    assert np.count_nonzero(replaced != field) == 2


def test_a_series_of_fields_takes_a_series_of_values():
    replaced = apply(np.zeros((3, 2, 4, 4)), {"C30": np.array([1.0, 2.0, 3.0])})
    assert replaced[:, 0, 3, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_replacement_beyond_the_field_is_refused():
    with pytest.raises(LowDegreeError, match="C40 has degree 4, but the field ends at degree 3"):
        apply(np.zeros((2, 4, 4)), {"C40": 0.0})


def test_a_missing_replacement_is_refused():
    with pytest.raises(LowDegreeError, match="C20 is nan"):
        apply(np.zeros((2, 4, 4)), {"C20": np.nan})


def test_the_zero_tide_is_more_negative_than_the_tide_free_by_the_constant_of_egm2008():
    # EGM2008 as published in both systems; made with k = 0.3 and an H0 of 1990, hence 1e-12.
    zero, free = -0.484169317366974e-03, -0.484165143790815e-03
    assert permanent_tide_c20(from_system="tide_free", to_system="zero_tide", k2=0.3) == (
        pytest.approx(zero - free, abs=1e-12)
    )


def test_the_zero_tide_of_the_conventions_is_4_2007e_9_below_the_tide_free():
    change = permanent_tide_c20(from_system="zero_tide", to_system="tide_free")
    assert change == pytest.approx(+4.2007e-9, abs=5e-14)


def test_the_mean_geoid_stands_above_the_zero_geoid_at_the_equator_and_below_at_the_pole():
    # Lemoine et al. (1998), equation 11.1-1: N_mean − N_zero = 9.9 − 29.6 sin²φ cm.
    change = permanent_tide_c20(from_system="zero_tide", to_system="mean_tide")
    sine = np.array([0.0, 0.5, 1.0])
    geoid_cm = 100 * 6378136.3 * change * np.sqrt(5.0) * (1.5 * sine**2 - 0.5)
    np.testing.assert_allclose(geoid_cm, 9.9 - 29.6 * sine**2, atol=0.2)


SYSTEMS = st.sampled_from(["zero_tide", "tide_free", "mean_tide"])


@given(SYSTEMS, SYSTEMS, SYSTEMS)
def test_tide_systems_form_a_closed_loop(a, b, c):
    around = [(a, b), (b, c), (c, a)]
    total = sum(permanent_tide_c20(from_system=x, to_system=y) for x, y in around)
    assert abs(total) < 1e-23


def test_an_unknown_tide_system_cannot_be_reconciled():
    with pytest.raises(LowDegreeError, match="found tide system 'unknown'"):
        permanent_tide_c20(from_system="unknown", to_system="zero_tide")


def csr_windows(root: Path) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(path.name for path in (root / "gravity" / "csr_rl06_96").glob("GSM-2_*"))
    years = [
        [int(n) for n in re.findall(r"(\d{4})(\d{3})", name)[i]] for name in names for i in (0, 1)
    ]
    days = np.array([np.datetime64(f"{y}-01-01") + (d - 1) for y, d in years])
    return days[::2], days[1::2] + 1


def tn14(root: Path) -> np.ndarray:
    text = (root / "gravity" / "auxiliary" / "TN-14_C30_C20_GSFC_SLR.txt").read_text()
    return np.loadtxt(text.split("Product:")[1].splitlines())


@pytest.mark.realdata
def test_tn14_gives_c20_for_all_231_months_and_c30_for_the_117_from_march_2012(data_root):
    start, end = csr_windows(data_root)
    table, epoch = tn14(data_root), np.datetime64("1858-11-17")
    first, last = epoch + table[:, 0].astype(int), epoch + table[:, 8].astype(int)
    states = {}
    for name, column in (("C20", 2), ("C30", 5)):
        value, sigma = table[:, [column]], table[:, [column + 2]] * 1e-10
        months = (start, end, start + (end - start) // 2)
        source = (first, last, first + (last - first) // 2, value, sigma)
        states[name] = resolve(Policy((name,), "TN-14", missing="keep"), *months, *source).state

    # TN-14 follows the windows of JPL, which differ from CSR's in eleven months.
    assert states["C20"].tolist() == ["replaced"] * 231
    assert states["C30"].tolist() == ["kept"] * 114 + ["replaced"] * 117
    assert str(start[114]) == "2012-03-20"


@pytest.mark.realdata
def test_each_csr_month_has_an_epoch_of_tn14_of_its_own(data_root):
    start, end = csr_windows(data_root)
    table, epoch = tn14(data_root), np.datetime64("1858-11-17")
    rows = match_months(
        start, end, epoch + table[:, 0].astype(int), epoch + table[:, 8].astype(int)
    )
    assert len(set(rows.tolist())) == 231
