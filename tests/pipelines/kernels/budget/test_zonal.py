"""Sums over regions: nothing missing becomes zero in silence."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.budget.zonal import ZonalError, region_sums

NAN = np.nan
WEIGHTS = scipy.sparse.csr_array([[2.0, 1.0, 0.0, 1.0], [0.0, 0.0, 4.0, 1.0]])


def test_sums_are_weighted_sums():
    amounts = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.5, 0.0]])

    total, missing = region_sums(WEIGHTS, amounts)

    np.testing.assert_allclose(total, [[8.0, 16.0], [0.0, 2.0]])
    np.testing.assert_array_equal(missing, 0.0)


def test_a_missing_coast_takes_the_mean_of_the_rest():
    total, missing = region_sums(WEIGHTS, np.array([3.0, 5.0, 7.0, NAN]))

    np.testing.assert_allclose(missing, [0.25, 0.2])
    np.testing.assert_allclose(total, [11.0 / 0.75, 28.0 / 0.8])


def test_a_missing_coast_can_make_the_region_missing():
    amounts = np.array([[3.0, NAN, 7.0, 1.0], [3.0, 5.0, 7.0, 1.0]])

    total, missing = region_sums(WEIGHTS, amounts, coast="as_missing")

    np.testing.assert_allclose(missing, [[0.25, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(total, [[NAN, 29.0], [12.0, 29.0]])


@pytest.mark.parametrize("coast", ["renormalise", "as_missing"])
def test_a_region_without_any_value_is_missing_never_zero(coast):
    total, missing = region_sums(WEIGHTS, np.array([NAN, NAN, 1.0, NAN]), coast=coast)

    assert np.isnan(total[0])
    assert missing[0] == 1.0
    empty = scipy.sparse.csr_array((1, 4))
    assert np.isnan(region_sums(empty, np.ones(4), coast=coast).total).all()
    assert region_sums(empty, np.ones(4), coast=coast).missing == 1.0


def test_what_lies_beyond_all_cells_is_missing_too():
    total, missing = region_sums(WEIGHTS, np.ones(4), whole=np.array([5.0, 5.0]))

    np.testing.assert_allclose(missing, [0.2, 0.0])
    np.testing.assert_allclose(total, [5.0, 5.0])


def test_missing_cells_outside_all_regions_do_not_matter():
    weights = scipy.sparse.csr_array([[1.0, 0.0]])

    total, missing = region_sums(weights, np.array([2.0, NAN]))

    assert (total[0], missing[0]) == (2.0, 0.0)


@given(seed=st.integers(0, 2**31), lead=st.sampled_from([(), (3,), (2, 5)]))
def test_a_uniform_field_survives_any_gaps(seed, lead):
    rng = np.random.default_rng(seed)
    weights = rng.random((4, 30)) * (rng.random((4, 30)) < 0.5)
    amounts = np.where(rng.random((*lead, 30)) < 0.3, NAN, 2.5)
    before = amounts.copy()

    total, missing = region_sums(scipy.sparse.csr_array(weights), amounts)

    assert total.shape == missing.shape == (*lead, 4)
    known = ~np.isnan(total)
    whole = np.broadcast_to(weights.sum(axis=1), total.shape)
    np.testing.assert_allclose(total[known], 2.5 * whole[known])
    lacking = (np.isnan(amounts)[..., None, :] * weights).sum(axis=-1) / weights.sum(axis=1)
    np.testing.assert_allclose(missing, lacking, atol=1e-12)
    np.testing.assert_array_equal(amounts, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"amounts": np.ones((2, 3))}, "weights for 4 cells and amounts of shape .2, 3."),
        ({"amounts": np.array(1.0)}, "expected the last axis"),
        ({"coast": "zero"}, "expected 'renormalise' or 'as_missing'"),
        ({"whole": np.ones(3)}, "2 whole regions"),
        ({"weights": -WEIGHTS}, "negative or not finite"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message: str):
    given = {"weights": WEIGHTS, "amounts": np.ones(4)} | arguments
    with pytest.raises(ZonalError, match=message):
        region_sums(given.pop("weights"), given.pop("amounts"), **given)
