"""Gaps of Landsat 7 from the motion of its mirror, held against what was measured on real masks."""

from datetime import UTC, datetime

import numpy as np
import pytest

from pipelines.worlds import landsat_stripes

HALF_PX = 3083
ACROSS = np.arange(-HALF_PX, HALF_PX + 1, dtype=float)[None, :] * 30.0


def mask(columns=slice(None), lines: int = 1321, band: str = "red", seed: int = 1):
    along = np.arange(lines, dtype=float)[:, None] * 30.0
    return landsat_stripes.gap(ACROSS[:, columns], along, phase=0.3, band=band, seed=seed)


@pytest.fixture(scope="module")
def whole():
    return mask(slice(None, None, 8))  # 40 periods


def test_a_scene_loses_22_percent_of_its_ground(whole):
    # USGS: "an estimated 22 percent of any given scene"; the model has 14.4 px / 2 / 33.03 px.
    assert whole.mean() == pytest.approx(0.217, abs=0.01)


def test_gaps_widen_from_nothing_at_the_middle_line_to_14_pixels_at_the_edges(whole):
    width = 33.03 * whole.mean(axis=0)
    s = np.abs(ACROSS[0, ::8]) / 92.5e3

    assert width[s < 0.13].max() == 0.0
    far = s > 0.2
    # Whole pixels, of 40 gaps with a jitter of 0.2 px: the mean of a column errs by 0.3 px.
    np.testing.assert_allclose(width[far], 14.4 * s[far], atol=0.6)
    # Real crop of 1200 columns from the edge: 0.344 and 0.331 lost.
    assert width[s > 1.0 - 1200 / HALF_PX].mean() / 33.03 == pytest.approx(0.345, abs=0.015)


@pytest.mark.parametrize("column", [100, 1200, 5000])
def test_the_period_is_33_pixels_by_autocorrelation(column):
    lines = 33 * 240
    signal = mask([column], lines=lines).mean(axis=1) - 0.3

    size = 2 ** int(np.ceil(np.log2(2 * lines)))
    correlation = np.fft.irfft(np.abs(np.fft.rfft(signal - signal.mean(), size)) ** 2)[: lines // 2]
    lag = np.arange(3290, 3317)
    best = lag[correlation[lag].argmax()] / 100.0

    assert best == pytest.approx(33.03, abs=0.1)


def test_halves_of_the_swath_are_half_a_period_apart():
    left, right = (mask([column], lines=33 * 60)[:, 0] for column in (600, 2 * HALF_PX - 600))

    wave = np.exp(-2j * np.pi * np.arange(left.size) / 33.03)
    turn = np.angle((right * wave).sum() / (left * wave).sum()) / (2 * np.pi)

    assert abs(abs(turn) - 0.5) < 0.02


def test_bands_are_displaced_by_up_to_two_pixels():
    masks = {band: mask([300], band=band)[:, 0] for band in landsat_stripes.BAND_PX}
    wave = np.exp(-2j * np.pi * np.arange(1321) / 33.03)
    centre = {
        band: np.angle((each * wave).sum()) * 33.03 / (2 * np.pi) for band, each in masks.items()
    }

    for band, moved in landsat_stripes.BAND_PX.items():
        assert centre["blue"] - centre[band] == pytest.approx(moved, abs=0.15)


def test_sweeps_are_jittered_by_at_most_a_fifth_of_a_pixel():
    column = mask([100], lines=33 * 100, seed=4)[:, 0].astype(int)
    edges = np.flatnonzero(np.diff(column) == 1)

    apart = np.diff(edges)

    assert set(np.unique(apart)) <= {32, 33, 34}
    away = edges - np.polyval(np.polyfit(np.arange(edges.size), edges, 1), np.arange(edges.size))
    assert np.abs(away).max() < 0.5 + 2 * 0.2


@pytest.mark.realdata
def test_gaps_come_as_often_as_in_official_masks(data_root):
    # Two crops of real masks; the satellite's height and speed, so the period, vary by 2 %.
    with np.load(data_root / "optical" / "slc_off" / "slc_gap_masks_30m_dev.npz") as archive:
        real = [archive[name] for name in archive.files]

    for each in real:
        lost = each if each.mean() < 0.5 else ~each
        spectrum = np.abs(np.fft.rfft2(lost - lost.mean(), s=(4096, 4096)))
        spectrum = np.fft.fftshift(spectrum, axes=0)
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        period = 4096.0 / np.hypot(row - 2048, column)
        assert period == pytest.approx(landsat_stripes.PERIOD_PX, rel=0.025)


def test_the_corrector_failed_on_31_may_2003():
    from pipelines.worlds.landsat_passes import SCAN_LINES_FAILED

    assert datetime(2003, 5, 31, tzinfo=UTC) == SCAN_LINES_FAILED
