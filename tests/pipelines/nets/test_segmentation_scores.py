"""Scores are those of torchmetrics and of plain arithmetic; pooled ones count pixels, not tiles."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryJaccardIndex,
    BinaryPrecision,
    BinaryRecall,
    MulticlassJaccardIndex,
)

from pipelines.nets.segmentation_scores import (
    BINS,
    Counts,
    Near,
    ScoreError,
    best_threshold,
    bootstrap,
    cross_validated,
    figures,
    pooled,
    score_table,
    scores,
    tally,
)

seeds = st.integers(0, 2**32 - 1)


def tile(seed: int, *, shape=(24, 30), damage: float = 0.2, skill: float = 1.0):
    """Draw labels and probabilities that know something of them; some missing on either side."""
    rng = np.random.default_rng(seed)
    label = (rng.random(shape) < damage).astype(np.uint8)
    logits = skill * (2.0 * label - 1.0) + rng.normal(size=shape)
    probability = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
    label[rng.random(shape) < 0.1] = 255
    probability[rng.random(shape) < 0.05] = np.nan
    return probability, label


def tallies(count: int, **choices):
    regions = ("amery", "brunt", "larsen-c")
    return [
        tally(*tile(seed, **choices), name=f"t{seed}", region=regions[seed % 3])
        for seed in range(count)
    ]


@given(seed=seeds, threshold=st.sampled_from([0.2, 0.5, 0.731]))
@settings(max_examples=20)
def test_scores_are_those_of_plain_arithmetic(seed: int, threshold: float):
    probability, label = tile(seed)
    used = np.isfinite(probability) & (label != 255)
    says, is_damage = probability[used] > np.float32(threshold), label[used] == 1
    both, either = (says & is_damage).sum(), (says | is_damage).sum()

    found = tally(probability, label, name="t", region="r", threshold=threshold)
    mine = scores(found.counts)

    assert found.counts.total == used.sum()
    assert found.unsaid == (~np.isfinite(probability) & (label != 255)).sum()
    assert mine.iou == pytest.approx(both / either)
    assert mine.precision == pytest.approx(is_damage[says].mean())
    assert mine.recall == pytest.approx(says[is_damage].mean())
    assert mine.accuracy == pytest.approx((says == is_damage).mean())
    assert mine.iou_intact == pytest.approx(
        (~says & ~is_damage).sum() / (~(says & is_damage)).sum()
    )
    assert mine.ratio == pytest.approx(mine.precision / mine.recall)


def test_pooled_scores_are_those_of_torchmetrics_over_all_pixels():
    made = [tile(seed) for seed in range(4)]
    target = torch.cat([torch.from_numpy(np.where(np.isfinite(p), y, 255).astype(int)).ravel()
                        for p, y in made])  # fmt: skip
    predicted = torch.cat([torch.from_numpy(np.nan_to_num(p)).ravel() for p, _ in made])
    theirs = {
        "iou": BinaryJaccardIndex(ignore_index=255),
        "accuracy": BinaryAccuracy(ignore_index=255),
        "precision": BinaryPrecision(ignore_index=255),
        "recall": BinaryRecall(ignore_index=255),
        "f1": BinaryF1Score(ignore_index=255),
    }

    mine = scores(pooled(tally(p, y, name="t", region="r") for p, y in made))

    for name, metric in theirs.items():
        assert getattr(mine, name) == pytest.approx(float(metric(predicted, target)), rel=1e-6)
    macro = MulticlassJaccardIndex(2, average="macro", ignore_index=255)
    classes = (predicted > 0.5).long()
    assert mine.miou == pytest.approx(float(macro(classes, target)), rel=1e-6)


@given(seed=seeds)
@settings(max_examples=15)
def test_bins_give_the_counts_at_any_edge(seed: int):
    probability, label = tile(seed)
    edge = int(np.random.default_rng(seed).integers(0, BINS))

    found = tally(probability, label, name="t", region="r", threshold=edge / BINS)

    exact = np.float64(probability[np.isfinite(probability) & (label == 1)]) > edge / BINS
    assert found.at_edges()[edge, 0] == exact.sum()
    assert found.at_edges()[edge].sum() == found.counts.total


def test_one_half_is_an_edge_that_agrees_with_torchmetrics_to_the_pixel():
    probability, label = tile(11)
    probability[0, :5] = 0.5

    found = tally(probability, label, name="t", region="r")

    assert Counts(*found.at_edges()[BINS // 2].tolist()) == found.counts


@given(seed=seeds, tolerance=st.integers(0, 3))
@settings(max_examples=15)
def test_near_is_within_rows_and_columns(seed: int, tolerance: int):
    probability, label = tile(seed, damage=0.05, skill=0.3)
    used = np.isfinite(probability) & (label != 255)
    says, is_damage = (probability > 0.5) & used, (label == 1) & used
    away = [distance_transform_cdt(~mask, metric="chessboard") for mask in (says, is_damage)]

    near = tally(probability, label, name="t", region="r", tolerance=tolerance).near

    assert near.found == (says & (away[1] <= tolerance)).sum()
    assert near.met == (is_damage & (away[0] <= tolerance)).sum()
    assert (near.predicted, near.labelled) == (says.sum(), is_damage.sum())


def test_a_line_one_pixel_off_is_wrong_and_near():
    label = np.zeros((9, 9), np.uint8)
    label[4] = 1
    probability = np.roll(label, 1, axis=0).astype(np.float32)

    found = tally(probability, label, name="t", region="r")

    assert (scores(found.counts).f1, found.near.f1) == (0.0, 1.0)


def test_no_tolerance_gives_the_plain_f1():
    found = tally(*tile(3), name="t", region="r", tolerance=0)

    assert found.near.f1 == pytest.approx(scores(found.counts).f1)
    assert math.isnan(Near().f1)
    assert Near(0, 5, 0, 7).f1 == 0.0
    assert Near(0, 0, 0, 7).f1 == 0.0


def test_scores_of_nothing_are_not_numbers():
    none = scores(Counts(true_negative=50))

    assert none.accuracy == 1.0
    assert all(math.isnan(v) for v in (none.iou, none.miou, none.precision, none.recall, none.f1))


def test_a_table_pools_pixels_and_tells_regions_apart():
    made = tallies(9)

    table = score_table(made, draws=200)

    assert (table.tiles, table.threshold) == (9, 0.5)
    assert table.pixels == sum(each.counts.total for each in made)
    assert list(table.regions) == ["amery", "brunt", "larsen-c"]
    assert table.regions["brunt"] == scores(pooled(made[1::3]))
    for name, estimate in table.pooled.items():
        assert estimate.low <= estimate.value <= estimate.high, name
    assert table.pooled["f1"].value == scores(pooled(made)).f1
    assert score_table(made, draws=200) == table
    assert json.loads(json.dumps(table.as_dict()))["pooled"]["f1"]["low"] > 0.0


def test_intervals_are_as_wide_as_between_sets_of_tiles():
    """Of 60 sets of 20 tiles, most scores lie in the interval that one set gives."""
    rng = np.random.default_rng(0)
    made = tallies(300, shape=(12, 12), skill=0.7)
    whole = scores(pooled(made)).f1

    tables = [score_table([made[i] for i in rng.integers(0, 300, 20)], draws=300, seed=s)
              for s in range(60)]  # fmt: skip

    held = np.mean([t.pooled["f1"].low <= whole <= t.pooled["f1"].high for t in tables])
    assert 0.8 <= held <= 1.0


def test_tiles_without_damage_give_scores_that_json_can_hold():
    empty = tally(np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8), name="t", region="r")

    table = score_table([empty], draws=10)

    assert math.isnan(table.pooled["f1"].value)
    assert '"f1": null' in json.dumps(table.as_dict()["regions"])


def test_the_chosen_threshold_is_the_best_of_all():
    made = tallies(5, damage=0.05)

    chosen = best_threshold(made)

    every = [
        scores(Counts(*np.sum([t.at_edges()[k] for t in made], axis=0).tolist())).f1
        for k in range(0, BINS, 5)
    ]
    at = scores(pooled(tally(*tile(s, damage=0.05), name="t", region="r", threshold=chosen)
                       for s in range(5)))  # fmt: skip
    assert at.f1 >= np.nanmax(every)
    assert at.f1 > scores(pooled(made)).f1


def test_each_fold_is_cut_at_the_threshold_of_the_others():
    made = tallies(5, damage=0.05)
    folds = [made[:2], made[2:3], made[3:]]

    found = cross_validated(folds)

    row = 0
    for number, fold in enumerate(folds):
        others = [each for n, held in enumerate(folds) if n != number for each in held]
        for each in fold:
            edge = round(best_threshold(others) * BINS)
            np.testing.assert_array_equal(found[row], each.at_edges()[edge])
            row += 1
    assert row == len(found) == 5
    with pytest.raises(ScoreError, match="none of 0 tiles"):
        cross_validated([made])


def test_a_perfect_map_keeps_one_half():
    label = np.tile(np.array([0, 1], np.uint8), (4, 4))

    found = tally(label.astype(np.float32), label, name="t", region="r")

    assert best_threshold([found]) == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probability": np.zeros((3, 3), np.float32)}, "expected the same rows"),
        ({"probability": np.full((4, 4), 2.0, np.float32)}, "sigmoid of logits"),
        ({"label": np.full((4, 4), 3, np.uint8)}, r"labels \[3\]"),
    ],
)
def test_maps_that_cannot_be_compared_are_refused(change, words: str):
    given_maps = {"probability": np.zeros((4, 4), np.float32), "label": np.zeros((4, 4), np.uint8)}

    with pytest.raises(ScoreError, match=words):
        tally(**(given_maps | change), name="t", region="r")


def test_sets_that_cannot_be_scored_are_refused():
    made = [tally(*tile(1), name="t", region="r", threshold=t) for t in (0.4, 0.5)]

    with pytest.raises(ScoreError, match=r"thresholds \[0\.4, 0\.5\]"):
        score_table(made)
    with pytest.raises(ScoreError, match="0 tiles"):
        score_table([])
    with pytest.raises(ScoreError, match="labelled damage"):
        best_threshold([])


def test_a_map_that_says_nothing_is_told_not_counted():
    label = np.ones((4, 4), np.uint8)

    found = tally(np.full((4, 4), np.nan, np.float32), label, name="t", region="r")

    assert (found.counts.total, found.unsaid) == (0, 16)


def test_the_bootstrap_of_equal_tiles_has_no_width_and_of_many_that_of_theory():
    same = np.tile([10, 3, 50, 4], (6, 1))
    spread, low, high = bootstrap(same, draws=50)["f1"]
    assert spread == pytest.approx(0.0, abs=1e-12)
    assert low == pytest.approx(high)

    # Precision of tiles with one prediction each is a mean of independent 0s and 1s.
    right = np.arange(200) < 60
    tiles = np.stack([right, ~right, np.zeros(200), np.zeros(200)], axis=1).astype(np.int64)
    spread, low, high = bootstrap(tiles, draws=4000, seed=3)["precision"]

    sigma = math.sqrt(0.3 * 0.7 / 200)
    assert spread == pytest.approx(sigma, rel=0.05)
    assert (low, high) == pytest.approx((0.3 - 1.96 * sigma, 0.3 + 1.96 * sigma), abs=0.006)


def test_figures_of_many_are_those_of_each():
    many = np.random.default_rng(0).integers(0, 50, (3, 5, 4))

    found = figures(many)

    one = scores(Counts(*many[2, 3].tolist()))
    assert found["miou"].shape == (3, 5)
    assert (found["accuracy"][2, 3], found["ratio"][2, 3]) == (one.accuracy, one.ratio)
