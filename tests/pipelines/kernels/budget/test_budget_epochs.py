"""Epochs by explicit weights, against pandas and loops."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.budget import epochs
from pipelines.kernels.budget.epochs import PAPER_EPOCHS, Epoch, EpochError

NAN = np.nan
PAPER_YEARS = [label for epoch in PAPER_EPOCHS for label in epoch.years]


def test_the_paper_has_eleven_mosaics_and_2009_to_2010_is_not_among_them():
    assert len(PAPER_YEARS) == 11
    assert "2009-2010" not in PAPER_YEARS
    assert [len(epoch.years) for epoch in PAPER_EPOCHS] == [1, 3, 4, 3]


def test_epoch_means_are_those_of_pandas():
    rates = np.random.default_rng(1).normal(size=(11, 4))
    found = epochs.weighted_sums(epochs.weight_matrix(PAPER_EPOCHS, PAPER_YEARS), rates)
    names = np.repeat([epoch.name for epoch in PAPER_EPOCHS], [1, 3, 4, 3])
    expected = pd.DataFrame(rates).groupby(names).mean()
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-12)


def test_the_papers_mean_is_that_of_eleven_years_and_the_other_of_four_epochs():
    rates = np.random.default_rng(2).normal(size=(11, 4))
    matrix = epochs.weight_matrix(PAPER_EPOCHS, PAPER_YEARS)
    of_years = epochs.mean_weights(PAPER_EPOCHS) @ matrix
    of_epochs = epochs.mean_weights(PAPER_EPOCHS, of="epochs") @ matrix
    np.testing.assert_allclose(of_years @ rates, rates.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(of_epochs @ rates, (matrix @ rates).mean(axis=0), rtol=1e-12)


def test_explicit_weights_count_within_an_epoch_and_in_the_mean():
    chosen = (Epoch("a", ("2000", "2001"), (1.0, 3.0)), Epoch("b", ("2002",), (4.0,)))
    matrix = epochs.weight_matrix(chosen, ["2002", "2001", "2000"])
    np.testing.assert_array_equal(matrix, [[0.0, 0.75, 0.25], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(epochs.mean_weights(chosen), [0.5, 0.5])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6), st.floats(0.01, 100.0))
def test_weights_matter_only_relative_to_each_other(weights, factor):
    labels = tuple(f"{2000 + i}" for i in range(len(weights)))
    one = epochs.weight_matrix([Epoch("e", labels, tuple(weights))], labels)
    other = epochs.weight_matrix([Epoch("e", labels, tuple(w * factor for w in weights))], labels)
    np.testing.assert_allclose(one, other, rtol=1e-12)
    assert one.sum() == pytest.approx(1.0)


def test_a_year_without_weight_may_be_absent_and_its_gaps_do_not_count():
    chosen = [Epoch("a", ("2000", "2001"), (1.0, 0.0))]
    np.testing.assert_array_equal(epochs.weight_matrix(chosen, ["2000"]), [[1.0]])
    matrix = epochs.weight_matrix(chosen, ["2000", "2001"])
    assert epochs.weighted_sums(matrix, np.array([[5.0], [NAN]])).tolist() == [[5.0]]


def test_a_region_without_one_of_the_years_has_no_epoch_and_others_do():
    rates = np.array([[1.0, 1.0], [NAN, 3.0]])
    matrix = epochs.weight_matrix([Epoch("a", ("2000", "2001"))], ["2000", "2001"])
    np.testing.assert_array_equal(epochs.weighted_sums(matrix, rates), [[NAN, 2.0]])


def test_sums_carry_leading_axes_of_members():
    rng = np.random.default_rng(3)
    weights, values = rng.random((2, 5)), rng.normal(size=(7, 5, 3))
    found = epochs.weighted_sums(weights, values)
    np.testing.assert_allclose(found, np.einsum("kt,mtr->mkr", weights, values), rtol=1e-12)


def test_changes_are_differences_and_carry_covariance():
    rates = np.random.default_rng(4).normal(size=(4, 3))
    successive = epochs.change_matrix(PAPER_EPOCHS)
    since = epochs.change_matrix(PAPER_EPOCHS, of="since_first")
    np.testing.assert_array_equal(successive @ rates, np.diff(rates, axis=0))
    np.testing.assert_array_equal(since @ rates, rates[1:] - rates[0])
    # An error that all epochs share leaves changes alone.
    np.testing.assert_array_equal(successive @ np.ones((4, 4)) @ successive.T, np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("years", "weights", "message"),
    [
        ((), (), "expected one at least, each once"),
        (("2000", "2000"), (), "expected one at least, each once"),
        (("2000",), (1.0, 2.0), "2 weights for 1 years"),
        (("2000", "2001"), (0.0, 0.0), "one above it"),
        (("2000", "2001"), (2.0, -1.0), "none below zero"),
        (("2000", "2001"), (NAN, 1.0), "none below zero"),
    ],
)
def test_an_epoch_refuses(years, weights, message):
    with pytest.raises(EpochError, match=message):
        Epoch("e", years, weights)


def test_an_epoch_whose_year_the_run_has_not_is_refused_by_name():
    with pytest.raises(EpochError, match="'2000' needs 2000-2001, the run has 2007-2008"):
        epochs.weight_matrix(PAPER_EPOCHS, PAPER_YEARS[1:])


def test_epochs_that_overlap_have_no_mean_of_years():
    chosen = [Epoch("a", ("2000", "2001")), Epoch("b", ("2001", "2002"))]
    with pytest.raises(EpochError, match="share 2001"):
        epochs.mean_weights(chosen)
    np.testing.assert_array_equal(epochs.mean_weights(chosen, of="epochs"), [0.5, 0.5])


def test_unknown_choices_and_shapes_are_refused():
    with pytest.raises(EpochError, match="mean of 'decades'"):
        epochs.mean_weights(PAPER_EPOCHS, of="decades")
    with pytest.raises(EpochError, match="found 0 epochs"):
        epochs.mean_weights([])
    with pytest.raises(EpochError, match="found changes 'all'"):
        epochs.change_matrix(PAPER_EPOCHS, of="all")
    with pytest.raises(EpochError, match=r"expected \(k, time\)"):
        epochs.weighted_sums(np.ones((1, 3)), np.ones((2, 1)))
