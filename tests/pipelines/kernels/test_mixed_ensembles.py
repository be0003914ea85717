"""Ensembles that mix a few fields, against all their members written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.ensembles import EnsembleError, expand, factor_covariance
from pipelines.kernels.mixed_ensembles import (
    MixedEnsemble,
    centred_mixing,
    deviation_factor,
    factor_mixing,
    mixed_covariance,
    mixed_mean,
    mixed_moments,
    mixed_variance,
)


def altimetry_mixing(fields: int = 28) -> np.ndarray:
    """28 elevation rates under four density models: 910, 650, a map of densities, firn."""
    one = np.eye(fields)
    nothing, none = np.zeros((fields, fields)), np.zeros((fields, 1))
    rows = [
        np.hstack([910.0 * one, nothing, none]),
        np.hstack([650.0 * one, nothing, none]),
        np.hstack([nothing, one, none]),
        np.hstack([910.0 * one, nothing, none + 1.0]),
    ]
    return np.concatenate(rows)


def altimetry_basis(shape: tuple[int, ...], fields: int = 28, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    h = rng.normal(size=shape) + 0.2 * rng.normal(size=(fields, *shape))
    firn = 100.0 * rng.normal(size=(1, *shape))
    return np.concatenate([h, rng.choice([300.0, 910.0], size=shape) * h, firn])


@pytest.mark.parametrize("shape", [(), (7,), (2, 13, 13), (3, 70_000)])
def test_moments_of_112_members_come_from_their_57_fields(shape):
    basis, mixing = altimetry_basis(shape), altimetry_mixing()
    members = np.tensordot(mixing, basis, axes=1)
    scale = np.abs(members).max()

    mean, variance = mixed_moments(basis, mixing)

    assert mixing.shape == (112, 57)
    np.testing.assert_allclose(mean, members.mean(axis=0), atol=1e-13 * scale, rtol=0)
    np.testing.assert_allclose(variance, members.var(axis=0), atol=1e-13 * scale**2, rtol=0)
    np.testing.assert_allclose(mixed_mean(basis, mixing), mean, atol=1e-13 * scale, rtol=0)
    np.testing.assert_array_equal(mixed_variance(basis, mixing), variance)


def test_members_that_are_not_the_slowest_axis_need_no_copy_of_the_whole():
    packed = np.random.default_rng(1).normal(size=(5000, 57, 2))
    view = np.moveaxis(packed, 1, 0)
    direct = mixed_moments(np.ascontiguousarray(view), altimetry_mixing())
    for found, expected in zip(mixed_moments(view, altimetry_mixing()), direct, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-9)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31))
def test_any_rank_of_mixing_will_do(members, fields, rank, seed):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(members, rank)) @ rng.normal(size=(rank, fields))
    basis = rng.normal(size=(fields, 4))
    written = mixing @ basis
    scale = 1.0 + np.abs(mixing).max() * np.abs(basis).max() * fields

    np.testing.assert_allclose(
        mixed_variance(basis, mixing), written.var(axis=0), atol=1e-13 * scale**2
    )
    np.testing.assert_allclose(
        MixedEnsemble(basis, mixing).reduced().members(), written, atol=1e-12 * scale
    )


def test_members_that_are_all_alike_have_no_variance():
    mixing = np.repeat(np.random.default_rng(1).normal(size=(1, 5)), 9, axis=0)
    assert mixed_variance(np.ones((5, 3)), mixing) == pytest.approx(0.0, abs=1e-28)


def test_weights_count_members_as_often_as_they_say():
    rng = np.random.default_rng(4)
    mixing, basis = rng.normal(size=(6, 4)), rng.normal(size=(4, 10))
    times = np.array([3, 0, 1, 2, 5, 1])
    repeated = np.repeat(mixing, times, axis=0)

    mean, variance = mixed_moments(basis, mixing, times / times.sum())

    np.testing.assert_allclose(mean, (repeated @ basis).mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(variance, (repeated @ basis).var(axis=0), atol=1e-14)


def test_the_covariance_of_regions_is_that_of_the_members():
    basis, mixing = altimetry_basis((25,)), altimetry_mixing()
    members = mixing @ basis
    expected = np.cov(members, rowvar=False, ddof=0)
    found = mixed_covariance(basis, mixing)
    np.testing.assert_allclose(found, expected, atol=1e-13 * expected.max())
    np.testing.assert_allclose(np.diag(found), mixed_variance(basis, mixing), rtol=1e-12)


def test_independent_factors_are_a_mixing_in_the_order_of_their_expansion():
    rng = np.random.default_rng(5)
    estimate, p, g = rng.normal(size=6), rng.normal(size=(30, 6)), rng.normal(size=(3, 6))
    p -= p.mean(axis=0)

    ensemble = factor_mixing(estimate, [p, -g])

    assert (ensemble.size, ensemble.shape) == (90, (6,))
    np.testing.assert_allclose(ensemble.members(), expand(estimate, [p, -g]), atol=1e-14)
    np.testing.assert_allclose(ensemble.covariance(), factor_covariance([p, -g]), atol=1e-13)


def test_ninety_members_of_gravimetry_need_32_fields():
    rng = np.random.default_rng(5)
    ensemble = factor_mixing(
        rng.normal(size=40), [rng.normal(size=(30, 40)), rng.normal(size=(3, 40))]
    )
    reduced = ensemble.reduced()
    assert len(reduced.basis) == 32
    np.testing.assert_allclose(reduced.members(), ensemble.members(), atol=1e-13)
    np.testing.assert_allclose(reduced.variance(), ensemble.variance(), atol=1e-13)


def test_an_estimate_alone_is_an_ensemble_of_one():
    ensemble = factor_mixing(np.arange(3.0), [])
    assert ensemble.size == 1
    np.testing.assert_array_equal(ensemble.mean(), np.arange(3.0))
    np.testing.assert_array_equal(ensemble.variance(), np.zeros(3))


def test_one_member_is_the_row_of_all():
    ensemble = MixedEnsemble(altimetry_basis((3, 4)), altimetry_mixing())
    np.testing.assert_allclose(ensemble.member(60), ensemble.members()[60], rtol=1e-14)


def test_a_mixing_of_other_fields_is_refused():
    with pytest.raises(EnsembleError, match=r"\(112, 57\) for a basis of shape \(56, 3\)"):
        MixedEnsemble(np.zeros((56, 3)), altimetry_mixing())


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.5, -0.5], [1.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(EnsembleError, match="none negative, that sum to 1"):
        deviation_factor(np.eye(2), np.array(weights))


def test_the_covariance_of_maps_is_refused():
    with pytest.raises(EnsembleError, match="expected sums per region"):
        mixed_covariance(np.zeros((57, 3, 3)), altimetry_mixing())


def test_members_are_a_mean_and_deviations_whose_squares_are_their_variance():
    basis, mixing = altimetry_basis((6,)), altimetry_mixing()
    members = mixing @ basis
    rows, scores = centred_mixing(mixing)
    fields = rows @ basis
    scale = np.abs(members).max()
    np.testing.assert_allclose(scores @ fields, members, atol=1e-13 * scale)
    np.testing.assert_allclose(fields[0], members.mean(axis=0), atol=1e-13 * scale)
    np.testing.assert_allclose(
        np.square(fields[1:]).sum(axis=0), members.var(axis=0), atol=1e-13 * scale**2
    )
