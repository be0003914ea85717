"""Scores of restorations, against NumPy written out and torchmetrics' own pooled metrics."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import image as image_metrics

from pipelines.nets.restoration_scores import local_gap_fraction, score
from pipelines.nets.restoration_sums import (
    SUMS,
    Pair,
    RestorationScoresError,
    agreement_sums,
    figures,
    gradient_energy,
    pixel_sums,
)

EVERYWHERE = np.ones((32, 40), dtype=bool)


def made(seed: int, *, shape=(2, 32, 40), noise: float = 0.05, spread: bool = False) -> Pair:
    rng = np.random.default_rng(seed)
    original = rng.uniform(0.2, 0.9, shape).astype(np.float32)
    gap = np.zeros(shape[1:], dtype=bool)
    gap[6 : 12 + 2 * seed, 3:] = True
    restored = original.copy()
    restored[:, gap] += rng.normal(0, noise, (shape[0], gap.sum())).astype(np.float32)
    stated = np.abs(restored - original) * 2 if spread else None
    return Pair(original, restored, gap, stated)


class Bright:
    """Calls damage what is brighter than a threshold in the first band."""

    def predict(self, image, valid):
        return np.where(valid, image[:, 0], 0.0).astype(np.float32)


def test_psnr_rmse_and_correlation_are_those_of_all_pixels_of_all_tiles():
    pairs = [made(seed) for seed in range(3)]
    a, b = (
        np.concatenate([getattr(p, name)[:, p.gap].ravel() for p in pairs]).astype(np.float64)
        for name in ("restored", "original")
    )

    scores = score(pairs, replicates=50)

    rmse = np.sqrt(np.mean((a - b) ** 2))
    assert scores.gaps["rmse"].value == pytest.approx(rmse, rel=1e-9)
    assert scores.gaps["psnr"].value == pytest.approx(-20 * np.log10(rmse), rel=1e-9)
    assert scores.gaps["cc"].value == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-9)
    assert scores.tiles == 3


def test_the_whole_image_scores_better_by_what_was_never_missing():
    pair = made(0)
    share = pair.gap.mean()

    scores = score([pair], replicates=10)

    lifted = scores.full["psnr"].value - scores.gaps["psnr"].value
    assert lifted == pytest.approx(-10 * np.log10(share), rel=1e-6)


def test_ssim_and_uiqi_of_whole_images_are_torchmetrics_own():
    pair = made(1)
    a, b = (torch.from_numpy(image)[None].double() for image in (pair.restored, pair.original))

    scores = score([pair], replicates=10)

    ssim = image_metrics.structural_similarity_index_measure(a, b, data_range=1.0)
    uiqi = image_metrics.universal_image_quality_index(a, b)
    psnr = image_metrics.peak_signal_noise_ratio(a, b, data_range=1.0)
    assert scores.full["ssim"].value == pytest.approx(float(ssim), rel=1e-9)
    assert scores.full["uiqi"].value == pytest.approx(float(uiqi), rel=1e-9)
    assert scores.full["psnr"].value == pytest.approx(float(psnr), rel=1e-5)


def test_similarity_is_the_same_by_blocks_as_in_one_piece(monkeypatch):
    pair = made(1, shape=(2, 61, 40))
    monkeypatch.setattr("pipelines.nets.restoration_sums._BLOCK", 64)
    whole = score([pair], replicates=2)

    monkeypatch.setattr("pipelines.nets.restoration_sums._BLOCK", 13)
    blocks = score([pair], replicates=2)

    for name in ("ssim", "uiqi"):
        assert blocks.full[name].value == pytest.approx(whole.full[name].value, rel=1e-12)
        assert blocks.gaps[name].value == pytest.approx(whole.gaps[name].value, rel=1e-12)


def test_ssim_in_a_gap_is_that_of_windows_centred_there():
    """Wang et al. (2004), equation 13, for one pixel of one band with the window written out."""
    pair = made(1)
    y, x = 10, 20
    here = np.zeros_like(pair.gap)
    here[y, x] = True
    r = np.arange(-5, 6)
    weight = np.exp(-(r[:, None] ** 2 + r**2) / (2 * 1.5**2))
    weight /= weight.sum()
    expected, quality = [], []
    around = (slice(None), slice(y - 5, y + 6), slice(x - 5, x + 6))
    windows = (image[around].astype(float) for image in pair.images)
    for a, b in zip(*windows, strict=True):
        mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
        var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
        cov = (weight * (a - mean_a) * (b - mean_b)).sum()
        expected.append(
            (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
            / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
        )  # fmt: skip
        quality.append(4 * mean_a * mean_b * cov / ((mean_a**2 + mean_b**2) * (var_a + var_b)))

    found = figures(pixel_sums(pair, [here])[0])

    assert found["ssim"] == pytest.approx(np.mean(expected), rel=1e-6)
    assert found["uiqi"] == pytest.approx(np.mean(quality), rel=1e-6)


def test_texture_is_one_for_the_truth_less_for_blur_and_more_for_noise():
    pair = made(2)
    smooth = np.where(pair.gap, np.float32(0.5), pair.original)
    noisy = made(2, noise=0.5)
    twice = np.where(pair.gap, 2 * pair.original, pair.original)

    def texture(restored):
        return score([Pair(pair.original, restored, pair.gap)], replicates=5).gaps["texture"].value

    assert texture(pair.original) == 1.0
    assert texture(smooth) == 0.0
    assert texture(noisy.restored) > 1.5
    assert texture(twice) == pytest.approx(4.0, rel=1e-6)


def test_gradient_energy_counts_neighbours_inside_only():
    image = np.array([[[0.0, 1.0, 5.0], [2.0, 4.0, 9.0]]])
    where = np.array([[True, True, False], [True, False, False]])

    assert gradient_energy(image, where) == 1.0**2 + 2.0**2


def test_a_spread_that_follows_the_error_correlates_with_it():
    followed = score([made(0, spread=True), made(1, spread=True)], replicates=10)
    pair = made(1)
    flat = Pair(pair.original, pair.restored, pair.gap, np.full_like(pair.original, 0.1))

    assert followed.gaps["spread_cc"].value == pytest.approx(1.0, abs=1e-9)
    assert "spread_cc" not in score([flat], replicates=10).gaps, "a constant follows nothing"
    assert "spread_cc" not in score([pair], replicates=10).gaps


def test_agreement_counts_the_segmentation_of_the_original_as_true():
    pair = made(1, noise=0.3)
    said, true = pair.restored[0] >= 0.5, pair.original[0] >= 0.5
    tp, fp, fn = (said & true).sum(), (said & ~true).sum(), (~said & true).sum()
    tn = (~said & ~true).sum()

    full = score([pair], predictor=Bright(), replicates=10).full

    assert full["precision"].value == pytest.approx(tp / (tp + fp))
    assert full["recall"].value == pytest.approx(tp / (tp + fn))
    assert full["f1"].value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert full["oa"].value == pytest.approx((tp + tn) / said.size)
    assert full["miou"].value == pytest.approx((tp / (tp + fp + fn) + tn / (tn + fp + fn)) / 2)
    assert full["lambda"].value == pytest.approx((tp / (tp + fp)) / (tp / (tp + fn)))


def test_images_larger_than_a_tile_are_segmented_in_blended_ones():
    rng = np.random.default_rng(0)
    original = rng.uniform(0, 1, (1, 30, 530)).astype(np.float32)
    original[0, :, :20] = np.nan
    gap = np.zeros((30, 530), dtype=bool)
    gap[:, 505:520] = True

    full = score([Pair(original, original, gap)], predictor=Bright(), replicates=5).full

    assert full["oa"].value == full["miou"].value == full["f1"].value == 1.0


def test_what_was_not_measured_is_not_scored():
    pair = made(1)
    holed, restored = pair.original.copy(), pair.restored.copy()
    holed[:, :, 30:] = np.nan
    restored[:, :, 30:] = 77.0
    kept = pair.gap & (np.arange(40) < 30)
    expected = np.sqrt(np.mean((pair.restored - pair.original)[:, kept].astype(float) ** 2))

    scores = score([Pair(holed, restored, pair.gap)], predictor=Bright(), replicates=5)

    assert scores.gaps["rmse"].value == pytest.approx(expected, rel=1e-6)
    assert sum(each.pixels for each in scores.by_gap_fraction) == kept.sum()


def test_bins_of_local_gap_fraction_share_out_all_pixels_and_errors():
    pair = made(2, shape=(1, 99, 99))
    fraction = local_gap_fraction(pair.gap)
    y, x = 40, 50

    scores = score([pair], replicates=5)

    assert fraction[y, x] == pytest.approx(pair.gap[y - 16 : y + 17, x - 16 : x + 17].mean())
    assert sum(each.pixels for each in scores.by_gap_fraction) == pair.gap.sum()
    for each in scores.by_gap_fraction:
        inside = pair.gap & (fraction >= each.least) & (fraction < each.most)
        if inside.any():
            assert each.fraction == pytest.approx(fraction[inside].mean())
    squares = sum(
        each.scores["rmse"].value ** 2
        * (pair.gap & (fraction >= each.least) & (fraction < each.most)).sum()
        for each in scores.by_gap_fraction
        if "rmse" in each.scores
    )
    assert np.sqrt(squares / pair.gap.sum()) == pytest.approx(scores.gaps["rmse"].value)


def test_intervals_hold_the_value_and_are_the_same_for_the_same_seed():
    pairs = [made(seed, noise=0.02 * (seed + 1)) for seed in range(4)]

    first, again = score(pairs, seed=3), score(pairs, seed=3)

    assert repr(first) == repr(again)  # of an empty bin the mean fraction is NaN
    for interval in first.gaps.values():
        assert interval.low <= interval.value <= interval.high
    assert first.gaps["psnr"].low < first.gaps["psnr"].high
    alone = score(pairs[:1]).gaps["psnr"]
    assert alone.low == alone.value == alone.high, "one tile says nothing of others"


@settings(max_examples=20)
@given(st.integers(0, 4), st.integers(12, 28))
def test_cut_in_two_an_image_scores_the_same_in_what_needs_no_window(seed, cut):
    pair = made(seed)
    halves = [
        Pair(pair.original[:, :, part], pair.restored[:, :, part], pair.gap[:, part])
        for part in (slice(None, cut), slice(cut, None))
    ]

    whole, both = score([pair], replicates=2).full, score(halves, replicates=2).full

    for name in ("psnr", "rmse", "cc"):
        assert both[name].value == pytest.approx(whole[name].value, rel=1e-9)


def test_perfect_restoration_has_no_error_and_says_so():
    pair = made(0, noise=0.0)

    gaps = score([pair], replicates=5).gaps

    assert gaps["rmse"].value == 0.0
    assert gaps["psnr"].value == np.inf
    assert gaps["cc"].value == pytest.approx(1.0)
    assert gaps["ssim"].value == pytest.approx(1.0)


def test_without_gaps_nothing_is_said_of_gaps():
    pair = made(0)
    scores = score([Pair(pair.original, pair.restored, np.zeros_like(pair.gap))], replicates=5)

    assert scores.gaps == {}


def test_a_distance_is_averaged_over_tiles_by_their_pixels():
    small, large = made(0, shape=(1, 20, 20)), made(0, shape=(1, 40, 40))

    def lpips(restored, original):
        assert np.isfinite(original).all()
        return float(original.shape[1])

    found = score([small, large], lpips=lpips, replicates=5).full["lpips"].value

    assert found == pytest.approx((400 * 20 + 1600 * 40) / 2000)


def test_what_cannot_be_compared_is_refused():
    pair = made(0)
    with pytest.raises(RestorationScoresError, match="sides of 11 pixels"):
        Pair(pair.original[:, :9], pair.restored[:, :9], pair.gap[:9])
    with pytest.raises(RestorationScoresError, match="one shape"):
        Pair(pair.original, pair.restored[:1], pair.gap)
    open_gaps = np.where(pair.gap, np.nan, pair.restored).astype(np.float32)
    with pytest.raises(RestorationScoresError, match="not finite where the original"):
        Pair(pair.original, open_gaps, pair.gap)
    with pytest.raises(RestorationScoresError, match="no tile"):
        score([])


def test_a_probability_of_the_threshold_itself_is_no_damage():
    image = np.full((1, 16, 16), 0.5, np.float32)
    gap = np.zeros((16, 16), bool)
    gap[:, 4:8] = True
    pair = Pair(image, np.where(gap, np.float32(0.51), image), gap)

    found = agreement_sums(pair, [gap], Bright(), threshold=0.5)[0]

    assert dict(zip(SUMS, found, strict=True))["fp"] == np.count_nonzero(gap)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
def test_normal_errors_of_the_stated_spread_are_covered_as_often_as_normal_ones(factor):
    rng = np.random.default_rng(7)
    original = np.full((2, 200, 200), 0.5, np.float32)
    spread = rng.uniform(0.01, 0.05, original.shape).astype(np.float32)
    restored = (original + spread * rng.standard_normal(original.shape)).astype(np.float32)
    pair = Pair(original, restored, np.ones(original.shape[1:], bool), factor * spread)

    found = figures(pixel_sums(pair, [pair.gap])[0])

    within = [math.erf(factor * sigmas / math.sqrt(2.0)) for sigmas in (1.0, 2.0)]
    assert found["spread_ratio"] == pytest.approx(1.0 / factor, rel=0.02)
    assert found["cover_1"] == pytest.approx(within[0], abs=0.01)
    assert found["cover_2"] == pytest.approx(within[1], abs=0.01)


def test_a_spread_that_is_not_stated_is_not_held_against_anybody():
    pair = made(1, spread=True)
    half = np.where(np.arange(40) < 20, pair.spread, np.float32(0.0))
    some = Pair(pair.original, pair.restored, pair.gap, half)
    none = Pair(pair.original, pair.restored, pair.gap, np.zeros_like(pair.spread))

    told = dict(zip(SUMS, pixel_sums(some, [some.gap])[0], strict=True))
    assert told["spread_n"] == 2 * np.count_nonzero(pair.gap[:, :20])
    assert np.isnan(figures(pixel_sums(none, [none.gap])[0])["cover_1"])
