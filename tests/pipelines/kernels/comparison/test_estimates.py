"""Estimates of whole numbers are as good as others."""

import numpy as np

from pipelines.kernels.comparison.estimates import estimates


def test_whole_numbers_give_what_the_same_numbers_with_a_point_give():
    whole = estimates({"a": (1, 5), "b": (2, 5)}, {"rebound": {"a": 3, "b": -4}})
    point = estimates({"a": (1.0, 5.0), "b": (2.0, 5.0)}, {"rebound": {"a": 3.0, "b": -4.0}})

    np.testing.assert_array_equal(whole.covariance, [[25.0, -12.0], [-12.0, 25.0]])
    np.testing.assert_array_equal(whole.covariance, point.covariance)
    np.testing.assert_array_equal(whole.values, point.values)
    assert whole.values.dtype == whole.covariance.dtype == np.float64


def test_a_cause_of_parts_moves_estimates_of_whole_numbers():
    """Of integers, a sum of half of one would be cut to nothing, or refused by NumPy."""
    found = estimates({"a": (0, 1), "b": (0, 2)}, {"snow": {"a": 0.5, "b": 0.5}})

    np.testing.assert_allclose(found.covariance, [[1.0, 0.25], [0.25, 4.0]])
