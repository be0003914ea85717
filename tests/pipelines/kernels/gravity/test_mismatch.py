"""Scores of all pairs of members, and moments under weights of their own, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.kernels.gravity.combination import Combination, CombinationError
from pipelines.kernels.gravity.mismatch import (
    effective_members,
    ocean_artefact,
    posterior_weights,
    spectral_mismatch,
    weighted_moments,
)
from pipelines.kernels.mixed_ensembles import MixedEnsemble

FLOAT = NDArray[np.float64]


def ensemble(members: int, fields: int, shape: tuple[int, ...], seed: int) -> MixedEnsemble:
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(fields, *shape)) + rng.normal(size=shape)
    return MixedEnsemble(basis, rng.normal(size=(members, fields)))


def pair(shape: tuple[int, ...] = (2, 9, 9), seed: int = 1) -> tuple[MixedEnsemble, MixedEnsemble]:
    return ensemble(9, 5, shape, seed), ensemble(11, 7, shape, seed + 1)


def test_the_mismatch_of_every_pair_is_its_mean_square_over_both_variances():
    g, c = pair()
    g.basis[:, 1, :, 0] = c.basis[:, 1, :, 0] = 0.0
    found = spectral_mismatch(g, c, np.arange(9)[:, None], highest_degree=6, lowest_degree=2)

    variance = (g.variance() + c.variance())[:, 2:7]
    varies = variance > 0.0
    for k, a in enumerate(g.members()[:, :, 2:7]):
        for l, b in enumerate(c.members()[:, :, 2:7]):  # noqa: E741
            expected = ((a - b) ** 2)[varies] / variance[varies]
            assert found[k, l] == pytest.approx(expected.mean(), rel=1e-12)
    assert varies.sum() == varies.size - 5


def test_mismatches_average_to_one_where_the_mean_spectra_are_the_same():
    g, c = pair()
    same = MixedEnsemble(g.basis, g.mixing - g.mixing.mean(axis=0))
    other = MixedEnsemble(c.basis, c.mixing - c.mixing.mean(axis=0))
    found = spectral_mismatch(same, other, np.arange(9)[:, None], highest_degree=8)
    assert found.mean() == pytest.approx(1.0, rel=1e-12)


def test_a_common_offset_costs_the_digits_of_a_difference_not_of_squares():
    g, c = pair()
    offset = np.full((1, 2, 9, 9), 1e6)
    lifted = [
        MixedEnsemble(
            np.concatenate([e.basis, offset]),
            np.pad(e.mixing, [(0, 0), (0, 1)], constant_values=1.0),
        )
        for e in (g, c)
    ]
    degree = np.arange(9)[:, None]
    plain = spectral_mismatch(g, c, degree, highest_degree=8)
    np.testing.assert_allclose(
        spectral_mismatch(*lifted, degree, highest_degree=8), plain, rtol=1e-7
    )


def test_the_artefact_of_every_pair_is_its_mean_square_over_the_ocean():
    g, c = pair(shape=(4, 6))
    area = np.random.default_rng(5).uniform(size=(4, 6)) * (np.arange(6) > 2)
    found = ocean_artefact(Combination(g, c), area)

    combined = g.members()[:, None] + c.members()[None]
    expected = (combined**2 * area).sum(axis=(2, 3)) / area.sum()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_artefacts_are_the_same_a_few_pixels_at_a_time(monkeypatch):
    g, c = pair(shape=(4, 6))
    together = ocean_artefact(Combination(g, c), np.ones((4, 6)))
    monkeypatch.setattr("pipelines.kernels.gravity.mismatch.BLOCK_BYTES", 5 * 7 * 8)
    np.testing.assert_allclose(
        ocean_artefact(Combination(g, c), np.ones((4, 6))), together, rtol=1e-13
    )


@given(st.integers(0, 2**31))
def test_weighted_moments_are_those_of_weighted_members(seed):
    g, c = pair(shape=(3, 2), seed=seed)
    rng = np.random.default_rng(seed)
    omega = rng.uniform(size=(9, 11)) * (rng.uniform(size=(9, 11)) > 0.3)
    omega /= omega.sum()

    mean, variance = weighted_moments(Combination(g, c), omega)

    members = g.members()[:, None] + c.members()[None]
    expected = np.einsum("kl,klij->ij", omega, members)
    squares = np.einsum("kl,klij->ij", omega, (members - expected) ** 2)
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    np.testing.assert_allclose(variance, squares, rtol=1e-11, atol=1e-12)


def test_the_variance_has_the_cross_term_of_dependent_missions():
    g, c = pair(shape=(5,))
    omega = posterior_weights(np.random.default_rng(1).uniform(0.1, 5.0, size=(9, 11)))
    mean, variance = weighted_moments(Combination(g, c), omega)

    a, b = g.members(), c.members()
    of_g, of_c = omega.sum(axis=1), omega.sum(axis=0)
    cross = 2.0 * np.einsum("kl,kp,lp->p", omega, a, b)
    expected = of_g @ a**2 + of_c @ b**2 + cross - mean**2
    np.testing.assert_allclose(variance, expected, rtol=1e-11)


def test_equal_weights_give_the_moments_of_the_outer_sum():
    both = Combination(*pair(shape=(3, 2)))
    mean, variance = weighted_moments(both, np.full((9, 11), 1.0 / 99.0))
    np.testing.assert_allclose(mean, both.mean(), atol=1e-13)
    np.testing.assert_allclose(variance, both.variance(), rtol=1e-12)


def test_members_that_agree_better_count_more():
    score = np.array([[1.0, 2.0], [4.0, 8.0]])
    inverse = posterior_weights(score)
    likely = posterior_weights(score, rule="exponential")
    np.testing.assert_allclose(inverse, np.array([[8, 4], [2, 1]]) / 15.0, rtol=1e-14)
    expected = np.exp(-score / 2.0)
    np.testing.assert_allclose(likely, expected / expected.sum(), rtol=1e-14)
    assert effective_members(likely) < effective_members(inverse) < 4.0


def test_large_mismatches_do_not_underflow():
    found = posterior_weights(np.array([[1e5, 1e5 + 2.0]]), rule="exponential")
    np.testing.assert_allclose(found[0, 1] / found[0, 0], np.exp(-1.0), rtol=1e-9)


def test_equal_members_count_as_many_as_they_are():
    assert effective_members(np.full((90, 112), 1.0 / 10080)) == pytest.approx(10080.0)


def test_weights_by_mismatch_bring_the_mean_spectra_together():
    """What the paper hoped for: the artefact becomes smaller, but does not vanish."""
    rng = np.random.default_rng(3)
    shape = (2, 13, 13)
    truth = rng.normal(size=shape)
    shared = rng.normal(size=shape)
    g = MixedEnsemble(
        np.stack([truth + 0.5 * shared, shared]),
        np.stack([np.ones(9), np.linspace(-1, 1, 9)], axis=1),
    )
    c = MixedEnsemble(
        np.stack([truth, shared]), np.stack([np.ones(9), np.linspace(-1, 1, 9)], axis=1)
    )
    score = spectral_mismatch(g, c, np.arange(13)[:, None], highest_degree=12)
    omega = posterior_weights(score + 0.05)
    difference = Combination(g, MixedEnsemble(-c.basis, c.mixing))
    before, after = difference.mean(), weighted_moments(difference, omega)[0]
    assert 0.0 < np.linalg.norm(after) < 0.7 * np.linalg.norm(before)


@pytest.mark.parametrize("score", [[[0.0, 1.0]], [[np.nan, 1.0]], [[-1.0, 1.0]], [[np.inf, 1.0]]])
def test_scores_that_are_no_mismatch_are_refused(score):
    with pytest.raises(CombinationError, match="finite ones above zero"):
        posterior_weights(np.array(score))


def test_an_unknown_rule_is_refused():
    with pytest.raises(CombinationError, match="expected one of inverse_mismatch, exponential"):
        posterior_weights(np.ones((2, 2)), rule="best")  # type: ignore[arg-type]


def test_degrees_without_variance_are_refused():
    g, c = (MixedEnsemble(np.ones((1, 2, 4, 4)), np.ones((3, 1))) for _ in range(2))
    with pytest.raises(CombinationError, match="none that varies"):
        spectral_mismatch(g, c, np.arange(4)[:, None], highest_degree=3)


def test_an_ocean_without_area_is_refused():
    both = Combination(*pair(shape=(4,)))
    with pytest.raises(CombinationError, match="weights of the ocean sum to 0"):
        ocean_artefact(both, np.zeros(4))
    with pytest.raises(CombinationError, match=r"shape \(3,\) for members of shape \(4,\)"):
        ocean_artefact(both, np.ones(3))


def test_weights_of_other_pairs_are_refused():
    with pytest.raises(CombinationError, match=r"one for each of \(9, 11\) pairs"):
        weighted_moments(Combination(*pair(shape=(4,))), np.full((11, 9), 1.0 / 99.0))
