"""The paper's loss against its equations written out in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.nets.losses import LossError, bce_dice, edges

SHAPE = 2, 5, 7


def literal(logits, label, valid, smoothing):
    """Tang et al. (2026), equations 1 to 3, pixel by pixel."""
    surprise, hits, damage, guessed, n = 0.0, 0.0, 0.0, 0.0, 0
    for logit, y, v in zip(logits.ravel(), label.ravel(), valid.ravel(), strict=True):
        if v and y != 255:
            p = 1.0 / (1.0 + np.exp(-float(logit)))
            surprise += y * np.log(p) + (1 - y) * np.log(1 - p)
            hits, damage, guessed, n = hits + y * p, damage + y, guessed + p, n + 1
    bce = -surprise / n if n else 0.0
    return bce + 1.0 - (2 * hits + smoothing) / (damage + guessed + smoothing)


def drawn(seed: int = 0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, SHAPE).astype(np.float32)
    return logits, rng.choice([0, 1, 255], SHAPE).astype(np.uint8), rng.random(SHAPE) < 0.7


def loss(logits, label, valid, **choices):
    tensors = torch.tensor(logits), torch.tensor(label), torch.tensor(valid).float()[:, None]
    return bce_dice(*tensors, **choices)


@given(
    arrays.arrays(np.float32, SHAPE, elements=st.floats(-12, 12, width=32)),
    arrays.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 255])),
    arrays.arrays(np.bool_, SHAPE),
    st.sampled_from([1e-7, 1.0, 10.0]),
)
def test_the_loss_is_that_of_the_equations(logits, label, valid, smoothing):
    found = float(loss(logits, label, valid, smoothing=smoothing))
    expected = literal(logits, label, valid, smoothing)
    assert found == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_pixels_missing_or_not_labelled_neither_count_nor_learn():
    logits, label, valid = drawn()
    out = ~valid | (label == 255)
    tensor = torch.tensor(logits, requires_grad=True)
    bce_dice(tensor, torch.tensor(label), torch.tensor(valid)[:, None]).backward()
    assert bool((tensor.grad[torch.tensor(out)] == 0).all())
    assert bool((tensor.grad[torch.tensor(~out)] != 0).all())
    other = np.where(out, 50.0, logits).astype(np.float32)
    assert float(loss(other, label, valid)) == float(loss(logits, label, valid))


def test_a_batch_without_known_pixels_is_zero_and_learns_nothing():
    logits, label, _ = drawn()
    tensor = torch.tensor(logits, requires_grad=True)
    found = bce_dice(tensor, torch.tensor(label), torch.zeros(2, 1, 5, 7))
    found.backward()
    assert float(found.detach()) == 0.0
    assert not tensor.grad.any()


def test_confident_truth_costs_nothing_and_confident_error_much():
    _, label, valid = drawn()
    sure = np.where(label == 1, 40.0, -40.0).astype(np.float32)
    assert float(loss(sure, label, valid)) < 1e-5
    assert float(loss(-sure, label, valid)) > 30.0


def test_half_precision_logits_are_summed_in_single():
    logits, label, valid = drawn()
    tensors = torch.tensor(label), torch.tensor(valid)
    found = bce_dice(torch.tensor(logits).bfloat16(), *tensors)
    assert found.dtype == torch.float32


def test_heavier_damage_weighs_only_damage():
    logits, label, valid = drawn()
    extra = float(loss(logits, label, valid, positive_weight=3.0) - loss(logits, label, valid))
    known = valid & (label != 255)
    damage = known & (label == 1)
    by_hand = 2.0 * np.log1p(np.exp(-logits[damage].astype(float))).sum() / known.sum()
    assert extra == pytest.approx(by_hand, rel=1e-4)


def test_edges_are_pixels_with_both_kinds_about_them():
    label = np.zeros((1, 5, 5), np.uint8)
    label[0, 2, 2], label[0, 0, 4] = 1, 255
    found = edges(torch.tensor(label), torch.tensor(label != 255).float())[0].numpy()
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = 1
    np.testing.assert_array_equal(found, expected)
    logits, label, valid = drawn()
    assert float(loss(logits, label, valid, edge_weight=1.0)) > float(loss(logits, label, valid))


def test_shapes_that_differ_are_refused():
    with pytest.raises(LossError, match=r"logits \(2, 4, 7\), label \(2, 5, 7\)"):
        bce_dice(torch.zeros(2, 4, 7), torch.zeros(SHAPE), torch.zeros(SHAPE))
