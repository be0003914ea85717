"""The spectral combination, against all 10 080 members written out at a low degree."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pipelines.kernels import basins
from pipelines.kernels.gravity import harmonics
from pipelines.kernels.gravity.combination import (
    Combination,
    CombinationError,
    ad_hoc_correction,
    combine,
    house_degrees,
    taper,
    weights,
)
from pipelines.kernels.gravity.contribution import contribution, cumulative_power
from pipelines.kernels.mixed_ensembles import MixedEnsemble, factor_mixing

FLOAT = NDArray[np.float64]

J_MAX = 12
LATITUDE, LONGITUDE = np.linspace(-88.0, -62.0, 5), np.arange(0.0, 360.0, 45.0)


class Brute(NamedTuple):
    """Everything written out, from equations 3 to 5 as printed (the taper as intended)."""

    weight: FLOAT
    members: FLOAT
    pixels: FLOAT
    regions: FLOAT
    kernels: FLOAT


def coefficients(n: int, seed: int) -> FLOAT:
    rng = np.random.default_rng(seed)
    filled = rng.normal(size=(n, 2, J_MAX + 1, J_MAX + 1)) * np.tri(J_MAX + 1)
    filled[:, 1, :, 0] = 0.0
    return filled


def gravimetry() -> MixedEnsemble:
    perturbations = coefficients(30, 1)
    perturbations -= perturbations.mean(axis=0)
    return factor_mixing(coefficients(1, 2)[0], [perturbations, -coefficients(3, 3)])


def altimetry() -> MixedEnsemble:
    h = coefficients(28, 4) + 2.0 * coefficients(1, 5)
    basis = np.concatenate([h, 700.0 * h + 40.0 * coefficients(28, 6), 50 * coefficients(1, 7)])
    one, nothing, none = np.eye(28), np.zeros((28, 28)), np.zeros((28, 1))
    rows = [[910.0 * one, nothing, none], [650.0 * one, nothing, none], [nothing, one, none]]
    rows += [[910.0 * one, nothing, none + 1.0]]
    return MixedEnsemble(basis / 700.0, np.concatenate([np.hstack(row) for row in rows]))


def synthesise(stack: FLOAT) -> FLOAT:
    return harmonics.synthesise(stack, LATITUDE, LONGITUDE)


@pytest.fixture(scope="module")
def brute() -> Brute:
    g, c = gravimetry().members(), altimetry().members()
    v_g, v_c = np.var(g, axis=0), np.var(c, axis=0)
    t = np.array([1.0 if j < 5 else max(0.0, 1 - ((j - 5) / 5) ** 2) for j in range(J_MAX + 1)])
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.nan_to_num((t[:, None] / v_g) / (t[:, None] / v_g + 1.0 / v_c))
    members = np.stack([a * weight + b * (1.0 - weight) for a, b in itertools.product(g, c)])
    pixels = synthesise(members)
    area = np.random.default_rng(8).uniform(size=(25, LATITUDE.size, LONGITUDE.size))
    kernels = harmonics.project_rows(area, LATITUDE, LONGITUDE, j_max=J_MAX)
    regions = np.einsum("rij,nij->nr", area, pixels)
    return Brute(weight, members, pixels, regions, kernels)


@pytest.fixture(scope="module")
def combined() -> Combination:
    g, c = gravimetry(), altimetry()
    w = weights(g.variance(), c.variance(), house_degrees(J_MAX), gravimetry_degree=10, width=5)
    return combine(g, c, w_gravimetry=w.gravimetry, w_altimetry=w.altimetry)


def close(found: FLOAT, expected: FLOAT, *, scale: float | None = None) -> bool:
    """Within 1e-13 of the largest value: sums of some hundred terms."""
    largest = np.abs(expected).max() if scale is None else scale
    return bool(np.abs(found - expected).max() <= 1e-13 * largest)


def test_weights_are_inverse_variances_without_dividing_by_them(brute):
    g, c = gravimetry().variance(), altimetry().variance()
    found = weights(g, c, house_degrees(J_MAX), gravimetry_degree=10, width=5)
    assert np.abs(found.gravimetry - brute.weight).max() < 1e-13
    np.testing.assert_array_equal(found.gravimetry + found.altimetry, 1.0)


def test_mean_and_variance_of_all_members_at_every_coefficient(combined, brute):
    assert combined.sizes == (90, 112)
    assert close(combined.mean(), brute.members.mean(axis=0))
    assert close(combined.variance(), brute.members.var(axis=0))


def test_mean_and_variance_of_all_members_in_every_pixel(combined, brute):
    pixels = combined.through(synthesise)
    assert close(pixels.mean(), brute.pixels.mean(axis=0), scale=np.abs(brute.pixels).max())
    assert close(pixels.variance(), brute.pixels.var(axis=0))
    mean, variance = pixels.moments()
    assert close(mean, pixels.mean(), scale=np.abs(brute.pixels).max())
    np.testing.assert_array_equal(variance, pixels.variance())


def test_quantiles_of_all_members_in_every_pixel(combined, brute):
    q = (0.0, 0.05, 0.5, 0.95, 1.0)
    found = combined.through(synthesise).quantiles(q)
    assert found.shape == (5, LATITUDE.size, LONGITUDE.size)
    assert close(found, np.quantile(brute.pixels, q, axis=0))


def test_quantiles_are_the_same_a_few_pixels_at_a_time(combined, monkeypatch):
    pixels = combined.through(synthesise)
    together = pixels.quantiles((0.25, 0.9))
    monkeypatch.setattr("pipelines.kernels.gravity.combination.QUANTILE_BYTES", 3 * 80640)
    np.testing.assert_array_equal(pixels.quantiles((0.25, 0.9)), together)


def test_every_member_of_every_region_is_an_outer_sum(combined, brute):
    regions = combined.through(lambda stack: basins.region_sums(stack, brute.kernels))
    assert close(regions.members().reshape(-1, 25), brute.regions)
    assert close(regions.covariance(), np.cov(brute.regions, rowvar=False, ddof=0))


def test_regions_need_no_weighted_members_if_the_kernels_are_weighted(combined, brute):
    regions = combined.through(lambda stack: basins.region_sums(stack, brute.kernels))
    by_kernel = Combination(
        gravimetry().through(lambda s: basins.region_sums(s, brute.kernels * brute.weight)),
        altimetry().through(lambda s: basins.region_sums(s, brute.kernels * (1 - brute.weight))),
    )
    assert close(by_kernel.members(), regions.members())


def test_the_spread_of_the_total_comes_from_the_covariance(combined, brute):
    regions = combined.through(lambda stack: basins.region_sums(stack, brute.kernels))
    total = basins.total_covariance(np.ones((1, 25)), regions.covariance())[0, 0]
    expected = brute.regions.sum(axis=1).var()
    assert abs(total / expected - 1.0) < 1e-12
    assert abs(np.diag(regions.covariance()).sum() / expected - 1.0) > 0.1


@pytest.mark.parametrize(("k", "l"), [(0, 0), (89, 111), (40, 7)])
def test_any_one_member_can_be_had(combined, brute, k, l):  # noqa: E741
    assert close(combined.member(k, l), brute.members[112 * k + l])


def test_packed_coefficients_and_their_degrees_do_as_well(combined):
    """A layout of complex C + iS by coefficient, members last, seen as real with members first."""
    m, j = np.nonzero(np.tri(J_MAX + 1).T)

    def pack(ensemble: MixedEnsemble) -> MixedEnsemble:
        packed = ensemble.basis[:, 0, j, m].T + 1j * ensemble.basis[:, 1, j, m].T
        parts = np.ascontiguousarray(packed).view(np.float64).reshape(*packed.shape, 2)
        return MixedEnsemble(np.moveaxis(parts, 1, 0), ensemble.mixing)

    g, c = pack(gravimetry()), pack(altimetry())
    w = weights(g.variance(), c.variance(), j[:, None], gravimetry_degree=10, width=5)
    packed = combine(g, c, w_gravimetry=w.gravimetry, w_altimetry=w.altimetry)

    for part in (0, 1):
        expected = combined.mean()[part, j, m]
        assert close(packed.mean()[:, part], expected, scale=np.abs(combined.mean()).max())


def test_the_taper_is_one_below_85_and_zero_from_90():
    t = taper(np.arange(513))
    assert (t[:86] == 1.0).all()
    np.testing.assert_allclose(t[86:90], [0.96, 0.84, 0.64, 0.36], atol=1e-15)
    assert not t[90:].any()


def test_no_width_is_a_cut():
    np.testing.assert_array_equal(taper(np.array([89, 90, 91]), width=0), np.array([1.0, 1.0, 0.0]))


def test_the_printed_taper_lifts_gravimetry_to_one_and_then_drops_it():
    """spectral.md, section 5: the opposite of what the text says."""
    v_altimetry = np.full(8, 1.0)
    v_gravimetry = np.full(8, (1.0 - 0.265) / 0.265)
    degree = np.arange(85, 93)
    printed = weights(v_gravimetry, v_altimetry, degree, mode="printed")
    intended = weights(v_gravimetry, v_altimetry, degree)

    # The last digit of .265 is rounded; .338 and .735 move by its half.
    np.testing.assert_allclose(
        printed.gravimetry[:6], [0.265, 0.281, 0.338, 0.468, 0.735, 1.0], atol=1.2e-3
    )
    assert not printed.gravimetry[6:].any()
    assert (np.diff(printed.gravimetry[:6]) > 0.0).all()
    assert intended.gravimetry[0] == pytest.approx(0.265)
    assert (np.diff(intended.gravimetry[:6]) < 0.0).all()
    assert not intended.gravimetry[5:].any()


def test_printed_is_equations_3_and_4_with_the_deviation_multiplied():
    rng = np.random.default_rng(3)
    v_g, v_c = rng.uniform(0.1, 2.0, size=(2, 85))
    degree = np.arange(5, 90)
    sigma_g, sigma_c = np.sqrt(v_g) * taper(degree), np.sqrt(v_c)
    expected = sigma_g**-2 / (sigma_g**-2 + sigma_c**-2)
    found = weights(v_g, v_c, degree, mode="printed")
    np.testing.assert_allclose(found.gravimetry, expected, rtol=1e-13)


@pytest.mark.parametrize("mode", ["intent", "printed"])
def test_coefficients_that_never_vary_belong_to_altimetry(mode):
    found = weights(np.zeros(3), np.zeros(3), np.array([2, 88, 90]), mode=mode)
    np.testing.assert_array_equal(found.gravimetry, np.zeros(3))
    np.testing.assert_array_equal(found.altimetry, np.ones(3))


def test_a_mission_without_variance_takes_all():
    w = weights(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([2, 2]))
    np.testing.assert_array_equal(w.gravimetry, [1.0, 0.0])


def test_what_is_not_known_stays_not_known():
    w = weights(np.array([np.nan, 1.0]), np.array([1.0, 1.0]), np.array([2, 2]))
    assert np.isnan(w.gravimetry[0])
    assert w.gravimetry[1] == 0.5


@given(
    hnp.arrays(np.float64, 9, elements=st.floats(0.0, 1e12)),
    hnp.arrays(np.float64, 9, elements=st.floats(0.0, 1e12)),
    st.sampled_from(["intent", "printed"]),
)
def test_weights_are_between_zero_and_one_and_sum_to_one(v_g, v_c, mode):
    w = weights(v_g, v_c, np.arange(84, 93), mode=mode)
    assert ((w.gravimetry >= 0.0) & (w.gravimetry <= 1.0)).all()
    np.testing.assert_array_equal(w.gravimetry + w.altimetry, 1.0)
    assert not w.gravimetry[7:].any()


def test_combined_variance_is_smaller_than_either(combined):
    g, c = gravimetry().variance(), altimetry().variance()
    assert (combined.variance() <= np.minimum(g, c) * (1.0 + 1e-12))[:, :6].all()


def test_contributions_are_equation_6(combined, brute):
    g = gravimetry().mean() * brute.weight
    c = altimetry().mean() * (1.0 - brute.weight)
    degree = house_degrees(J_MAX)
    powers = [cumulative_power(f, degree, j_max=J_MAX) for f in (g, c, g + c)]
    found = contribution(*powers)

    for j in range(J_MAX + 1):
        p_g, p_c = ((f[:, : j + 1] ** 2).sum() for f in (g, c))
        assert found.gravimetry[j] == pytest.approx(p_g / (p_g + p_c), rel=1e-13)
        cross = 2.0 * (g * c)[:, : j + 1].sum()
        assert found.deviation[j] == pytest.approx(
            (p_g + p_c) / (p_g + p_c + cross) - 1.0, abs=1e-12
        )
    np.testing.assert_array_equal(found.gravimetry + found.altimetry, 1.0)


def test_power_beyond_a_field_stays_what_it_was():
    field = coefficients(1, 1)[0]
    power = cumulative_power(field, house_degrees(J_MAX), j_max=20)
    np.testing.assert_allclose(power[:13], np.cumsum(harmonics.degree_variance(field)), rtol=1e-14)
    assert (power[13:] == power[12]).all()


def test_no_power_has_no_shares():
    found = contribution(np.array([0.0, 1.0]), np.array([0.0, 3.0]), np.array([0.0, 4.0]))
    assert np.isnan(found.gravimetry[0])
    assert (found.gravimetry[1], found.deviation[1]) == (0.25, 0.0)


def test_the_correction_closes_the_total():
    found = ad_hoc_correction(
        -130e12, -180e12, -120e12, gravimetry_sigma=20e12, altimetry_sigma=60e12, area=12e12
    )
    assert found.w_gravimetry == pytest.approx(0.9)
    assert found.target == pytest.approx(-174e12)
    assert -130e12 + 12e12 * found.density == pytest.approx(found.target)
    assert found.target_sigma == pytest.approx((1 / 20e12**2 + 1 / 60e12**2) ** -0.5)


@pytest.mark.parametrize("changed", ["gravimetry_sigma", "altimetry_sigma", "area"])
def test_a_correction_without_spread_or_area_is_refused(changed):
    choices = {"gravimetry_sigma": 1.0, "altimetry_sigma": 1.0, "area": 1.0, changed: 0.0}
    with pytest.raises(CombinationError, match="leave the correction out"):
        ad_hoc_correction(1.0, 2.0, 3.0, **choices)


def test_members_of_different_degrees_cannot_be_added():
    low = MixedEnsemble(np.zeros((1, 2, 5, 5)), np.ones((1, 1)))
    high = MixedEnsemble(np.zeros((1, 2, 9, 9)), np.ones((1, 1)))
    for use in (Combination.mean, Combination.variance, lambda both: both.member(0, 0)):
        with pytest.raises(CombinationError, match="bring both to one degree"):
            use(Combination(low, high))


def test_too_many_members_are_not_written_out(monkeypatch, combined):
    monkeypatch.setattr("pipelines.kernels.gravity.combination.EXPANSION_LIMIT", 1e6)
    with pytest.raises(CombinationError, match=r"use member\(k, l\), or the moments"):
        combined.members()


def test_a_negative_variance_is_refused():
    with pytest.raises(CombinationError, match="variance of altimetry is -1"):
        weights(np.ones(2), np.array([1.0, -1.0]), np.array([2, 3]))


def test_an_unknown_taper_is_refused():
    with pytest.raises(CombinationError, match="expected one of intent, printed"):
        weights(np.ones(2), np.ones(2), np.array([2, 3]), mode="none")  # type: ignore[arg-type]
    with pytest.raises(CombinationError, match="taper of 100 degrees before 90"):
        taper(np.array([2]), width=100)
