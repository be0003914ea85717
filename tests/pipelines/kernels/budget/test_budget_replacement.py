"""Balances from elsewhere: both numbers always, against sums by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.budget import replacement
from pipelines.kernels.budget.replacement import Replacement, ReplacementError

NAN = np.nan
REGIONS = ["24", "25", "26", "27"]
GROUPS = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
PAPER = (
    Replacement("25", -10.0, 13.0, "altimetry 2003 to 2019"),
    Replacement("26", -16.0, 10.0, "altimetry 2003 to 2019"),
)


def test_both_numbers_and_what_lies_between_them_are_kept_for_regions_and_groups():
    balance = np.array([[3.0, 10.0, 18.0, 9.0], [4.0, 11.0, 17.0, 8.0]])

    found = replacement.replace(balance, REGIONS, PAPER)
    groups = found.sums(GROUPS)

    np.testing.assert_array_equal(found.native, balance)
    np.testing.assert_array_equal(found.replaced, [[3, -10, -16, 9], [4, -10, -16, 8]])
    np.testing.assert_array_equal(found.difference, [[0, -20, -34, 0], [0, -21, -33, 0]])
    np.testing.assert_array_equal(groups.native, [[40, 12], [40, 12]])
    np.testing.assert_array_equal(groups.replaced, [[-14, 12], [-14, 12]])
    np.testing.assert_array_equal(groups.difference, [[-54, 0], [-54, 0]])


def test_a_region_without_a_budget_can_be_replaced_but_the_difference_is_unknown():
    found = replacement.replace(np.array([1.0, NAN, 2.0, NAN]), REGIONS, PAPER)
    np.testing.assert_array_equal(found.replaced, [1.0, -10.0, -16.0, NAN])
    np.testing.assert_array_equal(found.difference, [0.0, NAN, -18.0, NAN])
    np.testing.assert_array_equal(found.sums(GROUPS).replaced, [NAN, NAN])


def test_no_replacement_changes_nothing_and_inputs_are_left_alone():
    balance = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(replacement.replace(balance, REGIONS, ()).difference, 0.0)
    replacement.replace(balance, REGIONS, PAPER)
    np.testing.assert_array_equal(balance, [1.0, 2.0, 3.0, 4.0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_spread_of_a_group_has_the_replacements_in_quadrature(seed):
    root = np.random.default_rng(seed).normal(size=(4, 4))
    covariance = root @ root.T
    found = replacement.replace_covariance(covariance, REGIONS, PAPER)
    rest = covariance[np.ix_([0, 3], [0, 3])].sum()
    assert found.sum() == pytest.approx(rest + 13.0**2 + 10.0**2)
    np.testing.assert_array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    sigma = replacement.replace_sigma(np.sqrt(np.diag(covariance)), REGIONS, PAPER)
    np.testing.assert_allclose(sigma, np.sqrt(np.diag(found)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("25", NAN, 1.0, "s"), "expected a finite balance"),
        (("25", 1.0, -1.0, "s"), "standard deviation of 0 or more"),
        (("25", 1.0, 1.0, " "), "source is empty"),
    ],
)
def test_a_replacement_refuses(values, message):
    with pytest.raises(ReplacementError, match=message):
        Replacement(*values)


def test_refusals():
    balance = np.zeros(4)
    with pytest.raises(ReplacementError, match="replacement of 99, the regions are 24, 25"):
        replacement.replace(balance, REGIONS, [Replacement("99", 0.0, 0.0, "s")])
    with pytest.raises(ReplacementError, match="25 is replaced more than once"):
        replacement.replace(balance, REGIONS, [PAPER[0], PAPER[0]])
    with pytest.raises(ReplacementError, match="found 4 balances and 3 regions"):
        replacement.replace(balance, REGIONS[:3], PAPER)
