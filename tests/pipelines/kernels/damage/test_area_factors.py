"""Bounds of areas are the paper's, and never narrow by what a restoration adds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.damage import area_factors
from pipelines.kernels.damage.area_factors import Factors
from pipelines.kernels.damage.area_factors import gap_factor as gap
from tests.fixtures.published import published

TABLES = {  # precision and recall of tables 3 and 5 as printed
    "testing_set": ("0.816", "0.841"),
    "totten": ("0.838", "0.792"),
    "restored": ("0.969", "0.929"),
}
PRINTED = {"testing_set": "0.971", "totten": "1.059", "restored": "1.044"}
FULL = {"testing_set": (0.8164, 0.8410), "totten": (0.8384, 0.7916), "restored": (0.9691, 0.9286)}
"""The same with the four digits of the paper's notebook (science/damage.md, section 1)."""


def could_be(printed):
    """From where to where a number lies that is printed so."""
    half = Decimal(1).scaleb(Decimal(printed).as_tuple().exponent) / 2
    return float(Decimal(printed) - half), float(Decimal(printed) + half)


@pytest.mark.parametrize("name", TABLES)
def test_printed_tables_and_printed_factors_agree_within_their_digits(name):
    (p_low, p_high), (r_low, r_high) = (could_be(each) for each in TABLES[name])
    low, high = could_be(PRINTED[name])

    assert area_factors.precision_over_recall(p_low, r_high) <= high
    assert area_factors.precision_over_recall(p_high, r_low) >= low


@pytest.mark.parametrize("name", FULL)
def test_four_digits_give_the_printed_factor(name):
    assert f"{area_factors.precision_over_recall(*FULL[name]):.3f}" == PRINTED[name]


def test_the_bounds_of_the_paper_are_reproduced():
    plain = area_factors.factors([FULL["testing_set"], FULL["totten"]])
    restoration = area_factors.precision_over_recall(*FULL["restored"])

    restored = area_factors.with_restoration(plain, restoration)

    assert (f"{plain.low:.3f}", f"{plain.high:.3f}") == ("0.971", "1.059")
    assert (f"{restored.low:.3f}", f"{restored.high:.3f}") == ("0.971", "1.105")


def test_the_published_file_holds_the_numbers_of_these_tests():
    path = published("tang2026_tables.csv")
    rows = {tuple(line.split(",")[1:3]): line.split(",")[3] for line in path.read_text().split()}
    names = {"restored": "restored_vs_original_segmentation"}

    for name, (precision, recall) in TABLES.items():
        assert rows[names.get(name, name), "precision"] == precision
        assert rows[names.get(name, name), "recall"] == recall
    assert rows["upper_bound_restored", "lambda"] == "1.105"


@given(st.floats(0.5, 1.5), st.floats(0.0, 1.0))
def test_a_restoration_counts_as_much_as_there_are_gaps(whole, g):
    made = area_factors.gap_factor(whole, gap_fraction=g, evaluated_gap_fraction=1.0)

    assert min(1.0, whole) - 1e-12 <= made <= max(1.0, whole) + 1e-12
    assert area_factors.gap_factor(whole, gap_fraction=0.0, evaluated_gap_fraction=0.22) == 1.0
    same = area_factors.gap_factor(whole, gap_fraction=0.22, evaluated_gap_fraction=0.22)
    assert same == pytest.approx(whole)


@given(st.floats(0.5, 1.0), st.floats(1.0, 2.0), st.floats(0.3, 3.0))
def test_a_restoration_never_narrows_bounds(low, high, restoration):
    made = area_factors.with_restoration(Factors(low, high), restoration)

    assert made.low <= low
    assert made.high >= high


def test_parts_of_sensors_add_their_bounds():
    low, high = area_factors.area_bounds([100.0, 50.0], [Factors(0.9, 1.1), Factors(0.8, 1.4)])

    assert (low, high) == pytest.approx((130.0, 180.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: area_factors.precision_over_recall(0.5, 0.0), "weights that find nothing"),
        (lambda: area_factors.factors([]), "found no evaluation"),
        (lambda: Factors(1.1, 0.9), "expected 0 < low <= high"),
        (lambda: gap(1.0, gap_fraction=1.2, evaluated_gap_fraction=0.2), "gaps of 1.2"),
        (lambda: gap(1.0, gap_fraction=0.2, evaluated_gap_fraction=0.0), "more than 0 to 1"),
        (lambda: gap(0.5, gap_fraction=1.0, evaluated_gap_fraction=0.1), "factor of -4"),
        (lambda: area_factors.area_bounds([1.0], []), "1 parts and factors of 0"),
    ],
)
def test_what_has_no_bounds_is_refused(make, message):
    with pytest.raises(area_factors.FactorError, match=message):
        make()
