"""The operator is the published transform: same deviations, same peaks, a matter of rounding."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from pipelines.kernels.imagery import radon_operator
from pipelines.kernels.imagery.radon_operator import RadonError, deviations, operator, signals
from pipelines.kernels.imagery.window_peaks import highest
from tests.benchmarks.nerd_literal import literal_deviations, literal_map, literal_signal

EXACT = 1e-12
seeds = st.integers(0, 2**32 - 1)


def windows_of(seed: int, size: int, count: int = 2):
    """Draw windows as different as noise, few levels, a ramp, and near-constant snow."""
    rng = np.random.default_rng(seed)
    kinds = [
        rng.random((size, size)),
        rng.integers(0, 3, (size, size)) / 2.0,
        np.add.outer(rng.normal() * np.arange(size), rng.normal() * np.arange(size)),
        0.9 + 1e-3 * rng.normal(size=(size, size)),
    ]
    return np.stack([kinds[(seed + i) % 4] for i in range(count)])


def crevasse(size: int, degrees: float, *, width: float = 1.6):
    """Draw a dark line through the middle of a window, counter-clockwise from the x axis."""
    middle = (size - 1) / 2.0
    row, column = np.mgrid[:size, :size] - middle
    across = -np.sin(np.radians(degrees)) * column + np.cos(np.radians(degrees)) * -row
    return 0.9 - 0.4 * np.exp(-((across / width) ** 2))


@pytest.mark.parametrize("size", [5, 10])
@given(seed=seeds)
@settings(max_examples=3)
def test_deviations_are_those_of_the_literal_algorithm(size: int, seed: int):
    windows = windows_of(seed, size)

    found = deviations(windows, operator=operator(size))

    for window, mine in zip(windows, found, strict=True):
        np.testing.assert_allclose(mine, literal_deviations(window), rtol=0.0, atol=EXACT)


@pytest.mark.parametrize(("size", "count"), [(5, 3), (10, 2)])
def test_signals_and_angles_of_an_image_are_the_literal_ones(size: int, count: int):
    rng = np.random.default_rng(size)
    image = rng.random((size * count, size * 3 + 2))
    image[0, 0] = np.nan

    found = signals(image, size)
    signal, angle = literal_map(image, size)

    np.testing.assert_allclose(found.signal, signal, rtol=0.0, atol=EXACT)
    np.testing.assert_array_equal(found.angle, angle)
    assert np.isnan(found.signal[0, 0])
    assert np.isfinite(found.signal.ravel()[1:]).all()


@given(seed=seeds, steps=st.integers(2, 6))
@settings(max_examples=60)
def test_peaks_are_those_of_scipy_plateaus_and_all(seed: int, steps: int):
    """Few levels make plateaus and ties; of those as high, ours is the last, SciPy's may be any."""
    values = np.random.default_rng(seed).integers(0, steps, (40, 25)).astype(float)

    height, angle = highest(values, "published")

    for k in range(25):
        smooth = median_filter(values[:, k], size=3, mode="wrap")
        at, _ = find_peaks(smooth, distance=10)
        assert height[k] == (smooth[at].max() if at.size else 0.0)
        if at.size:
            near, _ = find_peaks(smooth)
            assert angle[k] == near[smooth[near] == height[k]][-1]
        else:
            assert np.isnan(angle[k])


@given(seed=seeds, turn=st.integers(0, 39))
@settings(max_examples=40)
def test_a_peak_on_the_circle_turns_with_its_signal(seed: int, turn: int):
    values = np.random.default_rng(seed).random((40, 20))

    height, angle = highest(values, "circular")
    turned_height, turned = highest(np.roll(values, turn, axis=0), "circular")

    np.testing.assert_array_equal(turned_height, height)
    smooth = np.stack([median_filter(v, size=3, mode="wrap") for v in values.T])
    np.testing.assert_array_equal(height, smooth.max(axis=1))
    unique = (smooth == height[:, None]).sum(axis=1) == 1
    np.testing.assert_array_equal(((angle + turn) % 40)[unique], turned[unique])


def test_a_constant_signal_has_no_peak():
    for peaks in ("published", "circular"):
        height, angle = highest(np.ones((180, 3)), peaks)
        assert height.tolist() == [0.0] * 3
        assert np.isnan(angle).all()


@pytest.mark.parametrize("degrees", range(-80, 90, 20))
def test_orientation_is_the_direction_of_a_crevasse_on_the_map(degrees: int):
    window = crevasse(15, degrees)

    found = signals(window, 15, peaks="circular")

    off = (float(found.orientation[0, 0]) - degrees + 90.0) % 180.0 - 90.0
    assert abs(off) <= 6.0
    assert found.signal[0, 0] > 0.05


def test_a_crevasse_along_columns_is_a_peak_on_the_circle_only():
    """As published, the first and last angle cannot be peaks."""
    window = crevasse(10, 90.0)

    published, circular = (signals(window, 10, peaks=each) for each in ("published", "circular"))

    assert published.signal[0, 0] < 0.6 * circular.signal[0, 0]
    assert circular.orientation[0, 0] in {-90.0, -89.0, -88.0, 87.0, 88.0, 89.0}


@given(seed=seeds, level=st.floats(-5.0, 5.0), contrast=st.floats(0.1, 10.0))
@settings(max_examples=15)
def test_brightness_does_not_matter_and_contrast_scales_the_signal(seed, level, contrast):
    image = np.random.default_rng(seed).random((20, 20))

    plain, changed = signals(image, 5), signals(level + contrast * image, 5)

    np.testing.assert_allclose(changed.signal, contrast * plain.signal, rtol=1e-10)
    np.testing.assert_array_equal(changed.angle, plain.angle)


def test_single_precision_agrees_to_its_last_digits():
    image = np.random.default_rng(3).random((400, 400))

    double, single = signals(image, 5), signals(image.astype(np.float32), 5)

    assert single.signal.dtype == np.float32
    np.testing.assert_allclose(single.signal, double.signal, rtol=0.0, atol=1e-6)
    assert (single.angle == double.angle).mean() > 0.99


def test_blocks_of_rows_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch):
    image = np.random.default_rng(3).random((60, 70))
    whole = signals(image, 5)

    monkeypatch.setattr(radon_operator, "WINDOWS_AT_ONCE", 5)

    np.testing.assert_allclose(signals(image, 5).signal, whole.signal, rtol=1e-12)
    np.testing.assert_array_equal(signals(image, 5).angle, whole.angle)


def test_missing_pixels_silence_their_window_alone_and_snow_has_no_signal():
    image = np.full((20, 20), 0.8)
    image[7, 12] = np.nan

    found = signals(image, 5)

    assert np.argwhere(np.isnan(found.signal)).tolist() == [[1, 2]]
    assert np.nanmax(found.signal) == 0.0
    assert np.isnan(found.angle).all()


def test_the_official_windows_begin_one_pixel_later():
    image = np.random.default_rng(5).random((21, 31))

    official = signals(image, 5, origin=radon_operator.PUBLISHED_ORIGIN)

    np.testing.assert_array_equal(official.signal, signals(image[1:, 1:], 5).signal)


def test_damage_is_what_exceeds_the_published_threshold():
    signal = np.array([0.02, 0.05, np.nan], np.float32)

    found = radon_operator.damage(signal, threshold=radon_operator.threshold("L8", 5))

    np.testing.assert_allclose(found, [0.0, 0.002, np.nan], atol=1e-7)
    assert found.dtype == np.float32
    with pytest.raises(RadonError, match="no threshold of 'L9' with 5 pixels; published are L7 5"):
        radon_operator.threshold("L9", 5)


@pytest.mark.parametrize("between", ["nearest", "bilinear"])
def test_the_dense_signal_is_that_of_windows_at_their_centres(between):
    image = np.random.default_rng(8).random((33, 41))
    image[12, 3] = np.nan

    dense = radon_operator.dense_signal(image, 5, peaks="published", between=between)
    coarse = signals(image, 5).signal

    assert dense.shape == image.shape
    inside = np.isfinite(coarse)
    np.testing.assert_allclose(dense[2:30:5, 2:40:5][inside], coarse[inside], rtol=1e-12)
    assert np.isnan(dense).sum() == 25
    assert np.nanmin(dense) >= 0.0


def test_an_image_smaller_than_a_window_is_mirrored():
    dense = radon_operator.dense_signal(np.random.default_rng(1).random((7, 4)), 5)

    assert dense.shape == (7, 4)
    assert np.isfinite(dense).all()


def test_luminance_weighs_colours_and_keeps_precision():
    image = np.stack([np.full((2, 2), v, np.float32) for v in (1.0, 0.5, 0.0)])

    gray = radon_operator.luminance(image)

    assert gray.dtype == np.float32
    np.testing.assert_allclose(gray, 0.2125 + 0.3577, rtol=1e-6)
    assert radon_operator.luminance(image[:1]) is not None
    with pytest.raises(RadonError, match="1 or 3 bands"):
        radon_operator.luminance(image[:2])


def test_what_is_no_image_or_no_window_is_refused():
    with pytest.raises(RadonError, match="windows of 2 pixels, expected 3 to 48"):
        operator(2)
    with pytest.raises(RadonError, match="take its luminance"):
        signals(np.zeros((3, 9, 9)), 5)
    with pytest.raises(RadonError, match="holds no window of 5"):
        signals(np.zeros((4, 9)), 5)
    with pytest.raises(RadonError, match=r"expected \(\.\.\., 5, 5\)"):
        deviations(np.zeros((2, 4, 4)), operator=operator(5))


def test_a_window_is_thousands_of_times_faster_than_literally():
    """A loose gate: the benchmark `segmentation` measures the real ratio on a whole image."""
    image = np.random.default_rng(2).random((1000, 1000), dtype=np.float32)
    signals(image[:50], 5)
    started = time.process_time()
    signals(image, 5)
    per_window = (time.process_time() - started) / 40_000
    started = time.process_time()
    literal_signal(image[:5, :5])

    assert time.process_time() - started > 1000 * per_window
