"""A temperature undoes what overconfidence did, and reliability shows it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from pipelines.nets.calibration import (
    CalibrationError,
    calibrated,
    calibration_error,
    reliability,
    temperature,
)
from pipelines.nets.segmentation_scores import tally


def honest(seed: int, count: int = 20_000):
    """Draw probabilities, and labels that are damage as often as these say."""
    rng = np.random.default_rng(seed)
    probability = expit(rng.normal(-1.0, 1.5, (count // 100, 100)))
    label = (rng.random(probability.shape) < probability).astype(np.uint8)
    return probability, label


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.3, 4.0))
@settings(max_examples=15)
def test_the_temperature_is_the_one_that_spoiled_the_logits(seed: int, factor: float):
    probability, label = honest(seed)

    found = temperature(expit(factor * logit(probability)), label)

    assert found == pytest.approx(factor, rel=0.1)


def test_the_temperature_makes_labels_most_likely():
    probability, label = honest(1)
    sure = expit(2.5 * logit(probability))

    def loss(log_t: float) -> float:
        p = expit(logit(sure) / np.exp(log_t))
        return float(-np.where(label == 1, np.log(p), np.log1p(-p)).mean())

    best = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-10})

    assert temperature(sure, label) == pytest.approx(np.exp(best.x), rel=1e-4)


def test_calibration_removes_the_error_and_changes_no_class():
    probability, label = honest(2)
    sure = expit(3.0 * logit(probability)).astype(np.float32)
    better = calibrated(sure, temperature(sure, label))
    errors = [
        reliability([tally(p.astype(np.float32), label, name="t", region="r")]).error
        for p in (sure, better)
    ]

    assert errors[0] > 0.08
    assert errors[1] < 0.015
    np.testing.assert_array_equal(better > 0.5, sure > 0.5)


def test_reliability_counts_pixels_by_told_probability():
    probability = np.array([[0.04, 0.06, 0.06, 0.98]], np.float32)
    label = np.array([[0, 1, 0, 255]], np.uint8)

    found = reliability([tally(probability, label, name="t", region="r")], bins=20)

    assert found.pixels[:2].tolist() == [1, 2]
    assert found.pixels.sum() == 3
    np.testing.assert_allclose(found.told[:2], [0.04, 0.06], rtol=1e-6)
    np.testing.assert_allclose(found.found[:2], [0.0, 0.5])
    assert np.isnan(found.told[2:]).all()
    assert found.error == pytest.approx((0.04 + 2 * 0.44) / 3, rel=1e-6)


def test_one_changes_nothing_and_missing_stays_missing():
    given_map = np.array([0.0, 0.2, 0.5, 0.9, 1.0, np.nan], np.float32)

    found = calibrated(given_map, 1.0)

    np.testing.assert_allclose(found, given_map, atol=2e-6)
    assert found.dtype == np.float32
    assert calibrated(np.array([0.5]), 7.0)[0] == 0.5


def test_a_perfect_map_cannot_be_too_sure():
    label = np.array([0, 1, 0, 1], np.uint8)

    assert temperature(np.array([0.1, 0.9, 0.2, 0.8]), label) == 1e-3
    assert temperature(np.array([0.9, 0.1, 0.8, 0.2]), label) == 1e3


def test_what_tells_nothing_is_refused():
    with pytest.raises(CalibrationError, match="0 of 3 labelled pixels"):
        temperature(np.array([0.1, 0.2, 0.3]), np.zeros(3, np.uint8))
    with pytest.raises(CalibrationError, match="expected one above 0"):
        calibrated(np.array([0.1]), 0.0)
    with pytest.raises(CalibrationError, match="give some"):
        reliability([])
    empty = tally(np.zeros((2, 2), np.float32), np.full((2, 2), 255, np.uint8), name="t", region="")
    with pytest.raises(CalibrationError, match="without a labelled pixel"):
        reliability([empty])


def test_the_error_of_a_histogram_is_that_of_its_middles():
    histogram = np.array([[3, 0, 0, 0], [1, 0, 0, 2]])

    assert calibration_error(histogram) == pytest.approx((4 * 0.125 + 2 * 0.125) / 6)
    assert np.isnan(calibration_error(np.zeros((2, 4), np.int64)))
